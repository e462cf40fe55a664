/*
 * Time. Timers use monotonic milliseconds; validity checks use trusted time,
 * which policyd computes and gives to the others.
 */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

uint64_t clock_mono_ms(void);		/* CLOCK_BOOTTIME, milliseconds */
uint64_t clock_trusted(void);		/* seconds since 1970; the build time
					   until clock_set() was called */
void	clock_set(uint64_t now);	/* trusted time is now; it runs on from
					   here with CLOCK_BOOTTIME */
uint64_t clock_build_time(void);	/* no clock is before it */

#endif
