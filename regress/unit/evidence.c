/*
 * An attestd -Q that was taken over: what no honest one sends closes its
 * link, and gains nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "peers_fake.h"

/* The link is closed for it, the peer is not trusted, netd heard nothing. */
static void
caught(const struct peer *p)
{
	w_pump();
	assert_true(w_attestq.offended);
	assert_int_equal(w_attestq.offence, R_IPC_HANDLER);
	assert_int_equal(p->state, P_ATTESTING);
	assert_int_equal(p->have & ~(unsigned)HAVE_LEAVE, 0);
	assert_null(p->job);
	assert_int_equal(w_sets, 0);
}

static void
test_unknown_job(void **state)
{
	struct peer	*p = w_attesting();

	w_job.job += 7;
	w_identity(&proof_b);
	caught(p);
}

static void
test_no_job_at_all(void **state)
{
	struct peer	*p;

	w_netd_up();
	w_attestq_up();
	p = peer_byname("bmc-b");
	w_job.job = 0;
	w_end(0);
	w_pump();
	assert_true(w_attestq.offended);
	assert_int_equal(p->state, P_NOTDETERMINED);
}

static void
test_wrong_nonce(void **state)
{
	struct peer	*p = w_attesting();

	w_job.nonce.data[31] ^= 1;
	w_prove(&proof_b);
	caught(p);
}

static void
test_short_nonce(void **state)
{
	struct peer	*p = w_attesting();

	w_job.nonce.len = 31;
	w_prove(&proof_b);
	caught(p);
}

/* The nonce of the job before: evidence of then does not count now. */
static void
test_old_nonce(void **state)
{
	struct peer		*p = w_attesting();
	struct msg_job_open	 old = w_job;

	w_fail(R_ATT_CLOSED);
	w_until_job(10);
	assert_int_not_equal(old.job, w_job.job);
	assert_memory_not_equal(old.nonce.data, w_job.nonce.data, 32);
	memcpy(&w_job.nonce, &old.nonce, sizeof(old.nonce));
	w_prove(&proof_b);
	caught(p);
}

static void
test_wrong_count(void **state)
{
	struct peer	*p = w_attesting();

	w_identity(&proof_b);
	w_anchor(&proof_b);
	w_measurement(1, 1, false, 1, 48);
	w_end(2);
	caught(p);
}

static void
test_duplicate_index(void **state)
{
	struct peer	*p = w_attesting();

	w_measurement(1, 1, false, 1, 48);
	w_measurement(1, 1, false, 2, 48);
	caught(p);
}

static void
test_bad_index(void **state)
{
	struct peer	*p = w_attesting();

	w_measurement(255, 1, false, 1, 48);
	caught(p);
}

static void
test_two_identities(void **state)
{
	struct proof	 c = proof_b;
	struct peer	*p = w_attesting();

	c.node = NODE_C;
	w_identity(&c);
	w_identity(&proof_b);
	caught(p);
}

static void
test_two_anchors(void **state)
{
	struct peer	*p = w_attesting();

	w_anchor(&proof_b);
	w_anchor(&proof_b);
	caught(p);
}

static void
test_node_form(void **state)
{
	struct proof	 c = proof_b;
	struct peer	*p = w_attesting();

	c.node = "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB";
	w_identity(&c);
	caught(p);
}

static void
test_too_much(void **state)
{
	struct peer	*p = w_attesting();
	unsigned	 i;

	for (i = 1; i <= 65 && w_attestq.theirs != NULL; i++) {
		w_measurement(i, 4, true, 1, 1024);
		w_pump();
	}
	caught(p);
}

/* After the end, or after a failure, there is nothing to add. */
static void
test_after_end(void **state)
{
	struct peer	*p = w_attesting();

	w_prove(&proof_b);
	assert_int_equal(p->state, P_PROVISIONED);
	w_measurement(9, 1, false, 1, 48);
	w_pump();
	assert_true(w_attestq.offended);
	assert_int_equal(p->state, P_PROVISIONED);
}

static void
test_after_failure(void **state)
{
	struct peer	*p = w_attesting();

	w_fail(R_ATT_CHALLENGE);
	w_prove(&proof_b);
	assert_true(w_attestq.offended);
	assert_int_equal(p->state, P_ATTESTFAILED);
	assert_int_equal(w_sets, 0);
}

static void
test_failure_without_reason(void **state)
{
	struct peer	*p = w_attesting();

	w_fail(R_OK);
	caught(p);
}

/* Each part of the evidence is needed: without it there is no trust. */
static void
test_incomplete(void **state)
{
	struct peer	*p = w_attesting();
	int		 leave_out;

	for (leave_out = 0; leave_out < 3; leave_out++) {
		if (leave_out != 0)
			w_identity(&proof_b);
		if (leave_out != 1)
			w_anchor(&proof_b);
		if (leave_out != 2)
			w_measurement(1, 1, false, 1, 48);
		w_end(leave_out != 2);
		w_pump();
		assert_int_equal(p->state, P_ATTESTFAILED);
		assert_int_equal(p->why.reason, R_POL_INCOMPLETE);
		assert_int_equal(w_sets, 0);
		peer_step(p, EV_PROVISION, NULL);
		jobs_pump();
		w_pump();
	}
	assert_false(w_attestq.offended);
}

/* What was on its way when we cancelled is no offence. */
static void
test_late_after_cancel(void **state)
{
	struct peer	*p = w_attesting();

	peer_step(p, EV_UNPROVISION, NULL);
	w_prove(&proof_b);
	w_fail(R_ATT_CLOSED);
	assert_false(w_attestq.offended);
	assert_int_equal(p->state, P_NOTDETERMINED);
}

/* What attestd says of a peer that was not asked for this job. */
static void
test_step_of_nobody(void **state)
{
	struct msg_job_step	 m = { .job = 12345, .step = 1 };
	struct peer		*p = w_attesting();

	w_send(&w_attestq, MSG_JOB_STEP, &m);
	caught(p);
}

/* No claim makes bits: a step into trust without them is refused. */
static void
test_no_evidence_no_trust(void **state)
{
	struct peer	*p = w_attesting();
	unsigned	 bits;

	for (bits = 0; bits < 1u << BIT_N; bits++) {
		if ((bits & TRUST) == TRUST)
			continue;
		p->have = bits;
		assert_int_equal(peer_step(p, EV_GOOD, NULL), -1);
		assert_int_equal(p->state, P_ATTESTING);
	}
	p->have = 0;
}

int
main(void)
{
#define T(f)	cmocka_unit_test_setup_teardown(f, w_setup, w_teardown)
	const struct CMUnitTest tests[] = {
		T(test_unknown_job),
		T(test_no_job_at_all),
		T(test_wrong_nonce),
		T(test_short_nonce),
		T(test_old_nonce),
		T(test_wrong_count),
		T(test_duplicate_index),
		T(test_bad_index),
		T(test_two_identities),
		T(test_two_anchors),
		T(test_node_form),
		T(test_too_much),
		T(test_after_end),
		T(test_after_failure),
		T(test_failure_without_reason),
		T(test_incomplete),
		T(test_late_after_cancel),
		T(test_step_of_nobody),
		T(test_no_evidence_no_trust),
	};

	return cmocka_run_group_tests_name("evidence", tests, NULL, NULL);
}
