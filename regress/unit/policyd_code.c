/*
 * One-time codes in policyd: what an operator typed becomes a job of its own
 * kind; evidence with it stands in for a listed identity, and nothing else
 * does; it ends with its time, its use, or its keyd.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "peers_fake.h"

#define CODE	"sixteen secret b"

static struct why	answered;
static unsigned		answers;

static void
on_held(struct peer *p, const struct why *why, void *arg)
{
	assert_ptr_equal(arg, &answered);
	answered = *why;
	answers++;
	if (p == NULL || why->reason != R_OK)
		return;
	job_cancel(p);
	peer_step(p, EV_PROVISION, NULL);
	jobs_pump();
}

static struct peer *
a_peer(const char *identity)
{
	struct why	 why;
	struct peer	*p = peer_new("bmc-c", FROM_OPERATOR, identity, "",
	    "192.0.2.3", &why);

	assert_non_null(p);
	w_all_up();
	w_keyd_up();
	return p;
}

static void
type(struct peer *p, const char *code)
{
	assert_int_equal(code_hold(p, (const uint8_t *)code, CODE_LEN,
	    on_held, &answered), 0);
	w_pump();
}

/* Typed, and the job of it open. */
static struct peer *
waiting(const char *identity)
{
	struct peer	*p = a_peer(identity);

	type(p, CODE);
	assert_int_equal(answered.reason, R_OK);
	assert_true(p->code.held);
	assert_int_equal(p->state, P_ATTESTING);
	assert_non_null(p->job);
	assert_int_equal(w_job.kind, JOB_CODE);
	assert_int_equal(w_job.code.len, CODE_ID_LEN);
	assert_memory_equal(w_job.code.data, p->code.id, CODE_ID_LEN);
	return p;
}

static const struct proof *
proof_c(void)
{
	static struct proof	c;

	c = proof_b;
	c.node = NODE_C;
	return &c;
}

/* keyd was told to forget the one that w_code is. */
static void
wiped(unsigned times)
{
	unsigned	i;

	w_pump();
	assert_int_equal(w_wiped, times);
	for (i = 0; i < 16; i++)
		assert_int_equal(w_dropped.code.data[i],
		    (uint8_t)~w_code.code.data[i]);
}

static int
setup(void **state)
{
	answers = 0;
	memset(&answered, 0, sizeof(answered));
	return w_setup(state);
}

static void
test_confirms(void **state)
{
	struct peer	*p = waiting("");

	assert_int_equal(w_code.lifetime, conf->code_lifetime);
	assert_memory_equal(w_code.code.data, CODE, CODE_LEN);
	w_prove(proof_c());
	w_pump();
	assert_int_equal(p->state, P_PROVISIONED);
	assert_string_equal(p->identity, NODE_C);
	assert_int_equal(p->pinned, PIN_CODE);
	assert_true(p->have & HAVE_LEAVE);
	/* keyd keeps it: the peer has still to attest us. */
	assert_false(p->code.held);
	assert_int_equal(w_wiped, 0);
	/* The next attestation is one like any other. */
	peer_step(p, EV_PROVISION, NULL);
	jobs_pump();
	w_pump();
	assert_int_equal(w_job.kind, JOB_ATTEST);
	assert_int_equal(w_job.code.len, 0);
	w_prove(proof_c());
	w_pump();
	assert_true(peer_trusted(p));
	/* What was confirmed outlives us, the code does not. */
	w_kill();
	w_start();
	p = peer_byname("bmc-c");
	assert_string_equal(p->identity, NODE_C);
	assert_int_equal(p->pinned, PIN_CODE);
	assert_true(peer_trusted(p));
	assert_false(p->code.held);
}

static void
test_without_it_unlisted(void **state)
{
	struct peer	*p = a_peer("");

	peer_step(p, EV_PROVISION, NULL);
	jobs_pump();
	w_pump();
	assert_int_equal(w_job.kind, JOB_ATTEST);
	w_prove(proof_c());
	w_pump();
	assert_int_equal(p->state, P_ATTESTFAILED);
	assert_int_equal(p->why.reason, R_POL_NOT_LISTED);
}

/* attestd says "code" where none was asked for, or none where one was. */
static void
test_lies(void **state)
{
	struct peer	*p = a_peer("");

	w_lie = true;
	peer_step(p, EV_PROVISION, NULL);
	jobs_pump();
	w_pump();
	w_prove(proof_c());
	w_pump();
	assert_true(w_attestq.offended);
	assert_false(peer_trusted(p));
	w_down(&w_attestq);
	w_attestq_up();
	type(p, CODE);
	assert_int_equal(w_job.kind, JOB_CODE);
	w_prove(proof_c());
	w_pump();
	assert_true(w_attestq.offended);
	assert_false(peer_trusted(p));
	assert_string_equal(p->identity, "");
}

/* The other operator is typing: again, every few seconds, until it is over. */
static void
test_waits(void **state)
{
	struct peer	*p = waiting("");
	uint64_t	 t, jobs = 0;
	unsigned	 before = w_opens;

	for (t = 0; t < 299; t++) {
		if (p->job != NULL)
			w_fail(R_ATT_CODE_UNKNOWN);
		w_pump();
		w_pass(1);
		assert_int_equal(p->state, P_ATTESTING);
	}
	jobs = w_opens - before;
	assert_in_range(jobs, 60, 200);
	if (p->job != NULL)
		w_fail(R_ATT_CODE_UNKNOWN);
	w_pump();
	w_pass(2);
	assert_int_equal(p->state, P_ATTESTFAILED);
	assert_int_equal(p->why.reason, R_POL_CODE_EXPIRED);
	assert_string_equal(p->why.field, reason_code(R_ATT_CODE_UNKNOWN));
	wiped(1);
	before = w_opens;
	w_pass(600);
	assert_int_equal(w_opens, before);
	/* Typed at last, in the middle: it is proved at the next attempt. */
	type(p, "another secret c");
	w_fail(R_ATT_CODE_UNKNOWN);
	w_until_job(4);
	w_prove(proof_c());
	w_pump();
	assert_true(peer_trusted(p));
}

/* A job that runs when the time is over says itself what came of it. */
static void
test_late_proof(void **state)
{
	struct peer	*p = waiting("");
	uint64_t	 until = p->code.until;

	while (w_mono + 5000 < until || p->job == NULL) {
		if (p->job != NULL)
			w_fail(R_ATT_CODE_UNKNOWN);
		w_pass(1);
	}
	w_pass(8);
	assert_true(w_mono > until);
	assert_int_equal(p->state, P_ATTESTING);
	w_prove(proof_c());
	w_pump();
	assert_true(peer_trusted(p));
}

/* What more than "not yet" ends it at once. */
static void
test_failures(void **state)
{
	static const enum reason	reasons[] = { R_ATT_CODE_REFUSED,
	    R_ATT_CODE_PROOF, R_ATT_CODE_KEYD, R_ATT_CODE_CAPABILITY,
	    R_ATT_CHALLENGE, R_ATT_MEASURE_SIGNATURE };
	struct peer			*p = a_peer("");
	char				 code[17] = CODE;
	size_t				 i;

	for (i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		code[0] = (char)('a' + i);
		type(p, code);
		assert_int_equal(w_job.kind, JOB_CODE);
		w_fail(reasons[i]);
		w_pump();
		assert_int_equal(p->state, P_ATTESTFAILED);
		assert_int_equal(p->why.reason, reasons[i]);
		assert_false(p->code.held);
		wiped((unsigned)i + 1);
	}
}

static void
test_keyd_goes(void **state)
{
	struct peer	*p = waiting("");

	w_down(&w_keyd);
	assert_int_equal(p->state, P_ATTESTFAILED);
	assert_int_equal(p->why.reason, R_POL_CODE_LOST);
	assert_false(p->code.held);
	assert_null(p->job);
	assert_int_equal(code_hold(p, (const uint8_t *)CODE, CODE_LEN,
	    on_held, &answered), -1);
	/* And in the middle of being asked. */
	w_keyd_up();
	answers = 0;
	assert_int_equal(code_hold(p, (const uint8_t *)CODE, CODE_LEN,
	    on_held, &answered), 0);
	w_down(&w_keyd);
	assert_int_equal(answers, 1);
	assert_int_equal(answered.reason, R_IPC_CLOSED);
	assert_false(p->code.held);
}

static void
test_keyd_refuses(void **state)
{
	struct peer	*p = a_peer("");

	w_refuse_code = R_KEY_CODE_AGAIN;
	type(p, CODE);
	assert_int_equal(answered.reason, R_KEY_CODE_AGAIN);
	assert_false(p->code.held);
	assert_int_equal(p->state, P_NOTDETERMINED);
	assert_int_equal(w_opens, 0);
}

/* A listed identity stays what it is; a code does not change it. */
static void
test_listed_otherwise(void **state)
{
	struct peer	*p = waiting(NODE_B);

	w_prove(proof_c());
	w_pump();
	assert_int_equal(p->state, P_ATTESTFAILED);
	assert_int_equal(p->why.reason, R_POL_IDENTITY);
	assert_string_equal(p->identity, NODE_B);
	wiped(1);
}

/* Everything else is judged as ever. */
static void
test_other_root(void **state)
{
	struct proof	 c = *proof_c();
	struct peer	*p = waiting("");

	c.root = ROOT_B;
	w_prove(&c);
	w_pump();
	assert_int_equal(p->why.reason, R_POL_ROOT);
	assert_string_equal(p->identity, "");
	wiped(1);
}

/* Who it is was confirmed; what it runs is refused all the same. */
static void
test_measurements(void **state)
{
	struct proof	 c = *proof_c();
	struct peer	*p = a_peer(NODE_C);

	peer_step(p, EV_PROVISION, NULL);
	jobs_pump();
	w_pump();
	w_prove(&c);
	w_pump();
	assert_int_equal(reference_learn(p), R_OK);
	assert_int_equal(reference_accept(p), R_OK);
	peer_step(p, EV_UNPROVISION, NULL);
	memset(p->identity, 0, sizeof(p->identity));
	type(p, CODE);
	c.firmware++;
	w_prove(&c);
	w_pump();
	assert_int_equal(p->state, P_ATTESTFAILED);
	assert_int_equal(p->why.reason, R_POL_MEASUREMENT);
	assert_string_equal(p->identity, NODE_C);
	assert_false(p->code.held);
}

/* One that is trusted is not less so for a code that fails. */
static void
test_trusted(void **state)
{
	struct peer	*p = a_peer(NODE_C);

	peer_step(p, EV_PROVISION, NULL);
	jobs_pump();
	w_pump();
	w_prove(proof_c());
	w_pump();
	assert_true(peer_trusted(p));
	type(p, CODE);
	assert_int_equal(w_job.kind, JOB_CODE);
	w_fail(R_ATT_CODE_PROOF);
	w_pump();
	assert_true(peer_trusted(p));
	wiped(1);
	type(p, "sixteen others b");
	w_fail(R_ATT_CODE_UNKNOWN);
	w_pass(400);
	assert_true(peer_trusted(p));
	assert_false(p->code.held);
	wiped(2);
	/* And one that succeeds tells nothing new. */
	type(p, "sixteen others c");
	w_prove(proof_c());
	w_pump();
	assert_true(peer_trusted(p));
	assert_int_equal(p->pinned, PIN_OPERATOR);
}

/* The newest counts; the one before it is wiped, here and in keyd. */
static void
test_newer(void **state)
{
	struct peer	*p = waiting("");
	uint32_t	 job = w_job.job;
	uint8_t		 first[CODE_ID_LEN];

	memcpy(first, p->code.id, sizeof(first));
	type(p, "another secret d");
	assert_int_equal(w_wiped, 1);
	assert_memory_equal(w_dropped.code.data, first, sizeof(first));
	assert_int_not_equal(w_job.job, job);
	assert_memory_not_equal(w_job.code.data, first, sizeof(first));
	assert_int_equal(w_cancels, 1);
}

static void
test_ended_by_operator(void **state)
{
	struct peer	*p = waiting("");

	peer_step(p, EV_UNPROVISION, NULL);
	assert_false(p->code.held);
	wiped(1);
	type(p, "another secret e");
	peer_step(p, EV_REVOKE, NULL);
	assert_false(p->code.held);
	wiped(2);
	peer_step(p, EV_UNPROVISION, NULL);
	type(p, "another secret f");
	peer_remove(p);
	wiped(3);
	/* Gone before keyd answered. */
	p = peer_byname("bmc-b");
	assert_non_null(p = peer_new("bmc-d", FROM_OPERATOR, "", "",
	    "192.0.2.4", &answered));
	answers = 0;
	assert_int_equal(code_hold(p, (const uint8_t *)"another secret g",
	    CODE_LEN, on_held, &answered), 0);
	peer_remove(p);
	w_pump();
	assert_int_equal(answers, 1);
	wiped(4);
}

int
main(void)
{
#define T(f)	cmocka_unit_test_setup_teardown(f, setup, w_teardown)
	const struct CMUnitTest	tests[] = {
		T(test_confirms),
		T(test_without_it_unlisted),
		T(test_lies),
		T(test_waits),
		T(test_late_proof),
		T(test_failures),
		T(test_keyd_goes),
		T(test_keyd_refuses),
		T(test_listed_otherwise),
		T(test_other_root),
		T(test_measurements),
		T(test_trusted),
		T(test_newer),
		T(test_ended_by_operator),
	};

	return cmocka_run_group_tests_name("policyd_code", tests, NULL, NULL);
}
