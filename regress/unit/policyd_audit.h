/*
 * An audit log with a keyd beside it, for the tests that write it and for
 * those that tamper with it.
 */
#ifndef POLICYD_AUDIT_H
#define POLICYD_AUDIT_H

#include "clock.h"
#include "policyd_dir.h"
#include "policyd_keyd.h"

static struct conf	config = { .checkpoint = 600000 };
const struct conf	*conf = &config;
static unsigned		events;
static uint64_t		mono;		/* the test's clock, ms */

void
control_event(const struct audit_row *row)
{
	events++;
}

static void
keyd_down(void)
{
	audit_keyd_down();
}

static void
keyd_up(void)
{
	uint8_t		point[97];
	size_t		n;
	bool		made;
	unsigned	k;

	fake_start();
	k = fake_key("audit", KEY_AUDIT, KEY_P256, &made);
	n = fake_point(fake.keys[k], point);
	audit_keyd_up(k, point, n, fake.counted);
	fake_pump();
}

static void
policyd_up(void)
{
	assert_int_equal(store_open(dir_store), R_OK);
	audit_start();
}

static int
setup(void **state)
{
	memset(&fake, 0, sizeof(fake));
	fake.counted = true;
	fake.counter = 1000;
	fake_down = keyd_down;
	mono = 1000000;
	if (dir_make(state) == -1)
		return -1;
	policyd_up();
	keyd_up();
	return 0;
}

static int
teardown(void **state)
{
	disk_errno = 0;
	disk_die_at = 0;
	fake_stop();
	fake_forget();
	store_close();
	return dir_remove(state);
}

static void
restart(void)
{
	fake_stop();
	store_close();
	policyd_up();
	keyd_up();
}

static void
records(unsigned n)
{
	unsigned	i;

	for (i = 0; i < n; i++)
		audit_record(AUDIT_TRANSITION, "bmc-b", R_OK, "row %u", i);
	store_turn();
}

/* The next checkpoint is due: a tick far enough ahead, and its calls. */
static void
checkpoint(void)
{
	mono += config.checkpoint;
	audit_tick(mono);
	fake_pump();
	mono += config.checkpoint;
	audit_tick(mono);
	fake_pump();
}

static struct audit_result	result;
static unsigned			results;

static void
got_result(const struct audit_result *r, void *arg)
{
	result = *r;
	results++;
}

static enum reason
verify(void)
{
	results = 0;
	audit_verify(got_result, NULL);
	assert_int_equal(results, 0);	/* never from inside */
	fake_pump();
	assert_int_equal(results, 1);
	return result.why.reason;
}

static void
sql(const char *text)
{
	store_turn();
	assert_int_equal(sqlite3_exec(store_db(), text, NULL, NULL, NULL),
	    SQLITE_OK);
}

static void
last_row(const struct audit_row *row, void *arg)
{
	*(struct audit_row *)arg = *row;
}

#define T(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
