/* Reconnecting: exponential from min to max, spread by a quarter each way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../netd/tls.h"

static void
test_doubles_to_max(void **state)
{
	const uint32_t	want[] = { 1000, 2000, 4000, 8000, 10000, 10000 };
	struct backoff	b;
	size_t		i;

	backoff_init(&b, 1000, 10000);
	for (i = 0; i < sizeof(want) / sizeof(want[0]); i++)	/* in the middle */
		assert_int_equal(backoff_next(&b, want[i] / 4), want[i]);
}

static void
test_jitter(void **state)
{
	struct backoff	b;
	uint32_t	i, wait, low = UINT32_MAX, high = 0;

	for (i = 0; i < 5000; i++) {
		backoff_init(&b, 1000, 10000);
		wait = backoff_next(&b, i * 2654435761u);
		low = wait < low ? wait : low;
		high = wait > high ? wait : high;
	}
	assert_in_range(low, 750, 760);
	assert_in_range(high, 1240, 1250);
}

static void
test_reset(void **state)
{
	struct backoff b;

	backoff_init(&b, 1000, 10000);
	backoff_next(&b, 0);
	backoff_next(&b, 0);
	backoff_reset(&b);
	assert_int_equal(backoff_next(&b, 0), 750);
}

/* Bounds that make no sense neither spin nor overflow. */
static void
test_bounds(void **state)
{
	struct backoff	b;
	int		i;

	backoff_init(&b, 0, 0);
	assert_int_equal(backoff_next(&b, 7), 1);
	backoff_init(&b, UINT32_MAX - 1, 5);
	for (i = 0; i < 5; i++)
		assert_true(backoff_next(&b, UINT32_MAX) >= UINT32_MAX / 4 * 3);
}

/* A peer that is away for a day: whatever chance says, never longer between
   two attempts than the bound and a quarter, nor more often than three
   quarters of it. */
static void
test_day(void **state)
{
	const uint32_t	day = 86400000;
	struct backoff	b;
	uint32_t	now, wait, n, seed, r;

	for (seed = 0; seed < 8; seed++) {
		backoff_init(&b, 1000, 60000);
		r = seed;
		for (now = n = 0; now < day; now += wait, n++) {
			r = r * 1664525u + 1013904223u;
			wait = backoff_next(&b, seed == 0 ? 0 : seed == 1 ?
			    UINT32_MAX : r >> 8);
			assert_in_range(wait, n < 6 ? 750 : 45000, 75000);
		}
		assert_in_range(n, day / 75000, day / 45000 + 7);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_doubles_to_max),
		cmocka_unit_test(test_jitter),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_day),
	};

	return cmocka_run_group_tests_name("backoff", tests, NULL, NULL);
}
