/*
 * One requester and one responder for each test, and what is to come of it.
 */
#ifndef SPDM_TRIAL_H
#define SPDM_TRIAL_H

#include "spdm_talk.h"

static struct soft	soft;
static struct talk	t;

static int
setup(void **state)
{
	if (spdm_init() == -1)
		return -1;
	soft_new(&soft, KEY_P256);
	return 0;
}

static int
teardown(void **state)
{
	soft_free(&soft);
	return 0;
}

static int
before(void **state)
{
	talk_init(&t, &soft);
	return 0;
}

static int
after(void **state)
{
	talk_free(&t);
	return 0;
}

static void
run_expect(enum reason want)
{
	enum reason	got = talk_run(&t);

	if (got != want)
		fail_msg("%s instead of %s: %s: expected %s, seen %s",
		    reason_code(got), reason_code(want),
		    requester_why(t.requester)->field,
		    requester_why(t.requester)->expected,
		    requester_why(t.requester)->seen);
	if (want != R_OK && !t.silent)
		assert_true(requester_why(t.requester)->field[0] != '\0');
}

#define TRIAL(f)	cmocka_unit_test_setup_teardown(f, before, after)

#endif
