/* What every bench does: take the time, and the middle of some rounds. */
#ifndef BENCH_H
#define BENCH_H

#include <stdlib.h>
#include <time.h>

static double
seconds(void)
{
	struct timespec	ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int
bench_less(const void *a, const void *b)
{
	const double	*x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Of n rounds, which it sorts. */
static double
median(double *v, size_t n)
{
	qsort(v, n, sizeof(*v), bench_less);
	return v[n / 2];
}

#endif
