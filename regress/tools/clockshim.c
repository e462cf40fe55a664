/*
 * clockshim: a preload that moves the wall clock of one process.
 *
 * CLOCKSHIM names a file that holds one int64_t, the seconds to add to
 * CLOCK_REALTIME. It is mapped at start, before any confinement, so that a
 * test can step the clock of a daemon that runs by writing to the file.
 */
#include <sys/mman.h>
#include <sys/time.h>

#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *shift;
static int	(*real_gettime)(clockid_t, struct timespec *);

__attribute__((constructor)) static void
init(void)
{
	const char	*path = getenv("CLOCKSHIM");
	void		*p;
	int		 fd;

	real_gettime = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT,
	    "clock_gettime");
	if (path == NULL || (fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return;
	p = mmap(NULL, sizeof(*shift), PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (p != MAP_FAILED)
		shift = p;
}

int
clock_gettime(clockid_t id, struct timespec *ts)
{
	int	r = real_gettime(id, ts);

	if (r == 0 && id == CLOCK_REALTIME && shift != NULL)
		ts->tv_sec += *shift;
	return r;
}

int
gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
	struct timespec	ts;

	(void)tz;
	if (clock_gettime(CLOCK_REALTIME, &ts) == -1)
		return -1;
	tv->tv_sec = ts.tv_sec;
	tv->tv_usec = ts.tv_nsec / 1000;
	return 0;
}

time_t
time(time_t *t)
{
	struct timespec	ts;

	if (clock_gettime(CLOCK_REALTIME, &ts) == -1)
		return -1;
	if (t != NULL)
		*t = ts.tv_sec;
	return ts.tv_sec;
}
