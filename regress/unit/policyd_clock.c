/*
 * Trusted time: never before the build, the store or itself; a step is
 * noticed and told; a clock that is unset stops nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "clock.h"
#include "policyd_dir.h"
#include "../../policyd/ca.h"

#define BUILD		clock_build_time()
#define YEARS(n)	((uint64_t)(n) * 31557600)

static struct conf	config;
const struct conf	*conf = &config;
static unsigned		told, identity_steps, peer_steps;
static uint64_t		told_now;
static char		recorded[16];

struct chan *
hubd_link(enum ipc_role r)
{
	return NULL;
}

void
hubd_broadcast(enum ipc_type type, const void *msg)
{
	const struct msg_trusted_time	*m = msg;

	assert_int_equal(type, MSG_TRUSTED_TIME);
	told++;
	told_now = m->now;
}

void
identity_time_step(void)
{
	identity_steps++;
}

void
service_time_step(void)
{
}

void
peers_time_step(void)
{
	peer_steps++;
}

void
control_event(const struct audit_row *row)
{
	snprintf(recorded, sizeof(recorded), "%s", row->reason);
}

static void
start(uint64_t system_now)
{
	assert_int_equal(store_open(dir_store), R_OK);
	audit_start();
	clockd_start(system_now);
	told = identity_steps = peer_steps = 0;
	recorded[0] = '\0';
}

static void
stop(void)
{
	store_turn();
	store_close();
}

static int
teardown(void **state)
{
	store_close();
	return dir_remove(state);
}

/* within a few seconds, for trusted time runs while the test does */
static void
assert_now(uint64_t want)
{
	uint64_t	now = clock_trusted();

	assert_true(now >= want && now < want + 300);
}

static void
test_system_clock_leads(void **state)
{
	start(BUILD + YEARS(1));
	assert_now(BUILD + YEARS(1));
	assert_false(clockd_unset());
	clockd_look(BUILD + YEARS(1) + 30, 1000, false);
	assert_int_equal(told, 1);
	assert_int_equal(told_now, BUILD + YEARS(1) + 30);
	assert_int_equal(identity_steps + peer_steps, 0);
}

static void
test_1970(void **state)
{
	start(0);
	assert_now(BUILD);
	assert_true(clockd_unset());
	clockd_look(5, 1000, false);
	assert_now(BUILD);
	assert_true(clockd_unset());
	assert_int_equal(told, 1);
}

/* After a restart without a clock, time goes on from the store's. */
static void
test_store_is_a_floor(void **state)
{
	start(BUILD + YEARS(3));
	clockd_look(BUILD + YEARS(3), 1000, false);
	stop();
	start(0);
	assert_now(BUILD + YEARS(3));
	assert_true(clockd_unset());
	assert_true(clockd_floor() >= BUILD + YEARS(3));
}

static void
test_ten_years_forward(void **state)
{
	start(BUILD + YEARS(1));
	clockd_look(BUILD + YEARS(1), 1000, false);
	clockd_look(BUILD + YEARS(11), 2000, true);
	assert_now(BUILD + YEARS(11));
	assert_int_equal(told_now, BUILD + YEARS(11));
	assert_int_equal(identity_steps, 1);
	assert_int_equal(peer_steps, 1);
	assert_string_equal(recorded, reason_code(R_SYS_CLOCK_STEP));
	assert_int_equal(told, 2);
	stop();
	start(BUILD + YEARS(1));	/* it is in the store at once */
	assert_now(BUILD + YEARS(11));
}

/* Back again: trusted time stays, the clock counts as unset. */
static void
test_step_back(void **state)
{
	start(BUILD + YEARS(11));
	clockd_look(BUILD + YEARS(1), 1000, true);
	assert_now(BUILD + YEARS(11));
	assert_true(clockd_unset());
	assert_string_equal(recorded, reason_code(R_SYS_CLOCK_UNSET));
	assert_int_equal(identity_steps, 1);
	clockd_look(BUILD + YEARS(11) + 100, 2000, true);
	assert_false(clockd_unset());
}

/* A time that no certificate can name is none. */
static void
test_beyond_9999(void **state)
{
	start(BUILD + YEARS(1));
	clockd_look(UINT64_C(253402300800), 1000, true);
	assert_now(BUILD + YEARS(1));
	assert_true(clockd_unset());
	assert_int_equal(store_meta_set_int("time", INT64_MAX), R_OK);
	stop();
	start(BUILD + YEARS(1));
	assert_now(BUILD + YEARS(1));
	assert_false(clockd_unset());
}

/* Without word from the kernel, a jump is a step all the same. */
static void
test_jump_is_a_step(void **state)
{
	start(BUILD + YEARS(1));
	clockd_look(BUILD + YEARS(1) + 86400, 1000, false);
	assert_int_equal(identity_steps, 1);
}

/* A clock that is slewed by seconds is neither a step nor unset. */
static void
test_slew(void **state)
{
	start(BUILD + YEARS(1));
	clockd_look(BUILD + YEARS(1) - 20, 1000, false);
	assert_false(clockd_unset());
	assert_int_equal(identity_steps, 0);
	assert_now(BUILD + YEARS(1));
}

static unsigned	commits;

static int
count_commit(void *arg)
{
	commits++;
	return 0;
}

/* The store is written now and then, not each minute. */
static void
test_kept_now_and_then(void **state)
{
	unsigned	minute;

	start(BUILD + YEARS(1));
	stop();
	start(BUILD + YEARS(1));
	sqlite3_commit_hook(store_db(), count_commit, NULL);
	commits = 0;
	for (minute = 1; minute <= 60; minute++) {
		clockd_look(clock_trusted(), minute * 60000, false);
		store_turn();
	}
	assert_true(commits >= 5 && commits <= 8);
}

#define T(f)	cmocka_unit_test_setup_teardown(f, dir_make, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_system_clock_leads),
		T(test_1970),
		T(test_store_is_a_floor),
		T(test_ten_years_forward),
		T(test_step_back),
		T(test_beyond_9999),
		T(test_jump_is_a_step),
		T(test_slew),
		T(test_kept_now_and_then),
	};

	return cmocka_run_group_tests_name("policyd_clock", tests, NULL,
	    NULL);
}
