/* Time: CLOCK_BOOTTIME runs through suspend and is never stepped. */
#include <time.h>

#include "build_time.h"
#include "clock.h"

static uint64_t	trusted_base = BUILD_TIME;	/* seconds since 1970 ... */
static uint64_t	trusted_at;		/* ... at this clock_mono_ms() */

uint64_t
clock_mono_ms(void)
{
	struct timespec	ts;

	/* cannot fail: the clock exists since Linux 2.6.39 */
	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

uint64_t
clock_trusted(void)
{
	if (trusted_at == 0)
		return trusted_base;
	return trusted_base + (clock_mono_ms() - trusted_at) / 1000;
}

void
clock_set(uint64_t now)
{
	trusted_base = now < BUILD_TIME ? BUILD_TIME : now;
	trusted_at = clock_mono_ms();
}

uint64_t
clock_build_time(void)
{
	return BUILD_TIME;
}
