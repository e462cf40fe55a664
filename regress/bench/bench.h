/*
 * What every bench does: take the time, the middle of some rounds, and print
 *
 *     name value unit ratio
 *
 * or with --json an object with these. The ratio is to what the same work
 * costs without us, measured in turns in the same run; "-" is none.
 */
#ifndef BENCH_H
#define BENCH_H

#include <err.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BENCH_NONE	(-1.0)	/* no ratio */

static bool	bench_json;

static inline double
seconds(void)
{
	struct timespec	ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Seconds of a processor that this process, or another one, has used. */
static inline double
cpu_seconds(pid_t pid)
{
	struct timespec	ts;
	clockid_t	id;

	if (clock_getcpuclockid(pid, &id) != 0 || clock_gettime(id, &ts) == -1)
		errx(1, "process %d has ended", (int)pid);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static inline int
bench_less(const void *a, const void *b)
{
	const double	*x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Of n rounds, which it sorts. */
static inline double
median(double *v, size_t n)
{
	qsort(v, n, sizeof(*v), bench_less);
	return v[n / 2];
}

static inline void
bench_line(const char *name, double value, const char *unit, double ratio)
{
	int	digits = value < 10 ? 3 : value < 1000 ? 1 : 0;
	char	r[32] = "-";

	if (ratio >= 0)
		snprintf(r, sizeof(r), "%.2f", ratio);
	if (bench_json)
		printf("{\"name\": \"%s\", \"value\": %.*f, \"unit\": \"%s\", "
		    "\"ratio\": %s}\n", name, digits, value, unit,
		    ratio >= 0 ? r : "null");
	else
		printf("%s %.*f %s %s\n", name, digits, value, unit, r);
	fflush(stdout);
}

/* True if --json was the first argument, which is then taken. */
static inline bool
bench_start(int argc, char **argv)
{
	bench_json = argc > 1 && strcmp(argv[1], "--json") == 0;
	return bench_json;
}

#endif
