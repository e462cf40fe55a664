/* Trusted time: never before the build, and running on from what was set. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "clock.h"

static void
test_floor(void **state)
{
	(void)state;
	assert_true(clock_build_time() > 1700000000);
	assert_int_equal(clock_trusted(), clock_build_time());
	clock_set(0);		/* a clock at 1970 */
	assert_true(clock_trusted() >= clock_build_time());
	assert_true(clock_trusted() < clock_build_time() + 1000);
}

static void
test_set(void **state)
{
	uint64_t	later = clock_build_time() + 315360000;

	(void)state;
	clock_set(later);
	assert_true(clock_trusted() >= later);
	assert_true(clock_trusted() < later + 1000);
	clock_set(later - 5000);	/* policyd may correct it downwards */
	assert_true(clock_trusted() < later);
}

static void
test_mono(void **state)
{
	uint64_t	a = clock_mono_ms(), b = clock_mono_ms();

	(void)state;
	assert_true(a > 0 && b >= a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_floor),
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_mono),
	};

	return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
