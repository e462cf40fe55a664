/*
 * A one-time code between attestd -Q and -R as two processes, with a keyd
 * that this test plays: what each asks it for, what policyd hears of it, and
 * what it does not hear.
 */
#include "attestd_world.h"

static const uint8_t	code_id[SPDM_HINT] = "sixteen bytes id";

/* Both asked; what they asked for, and what keyd says to each. */
static struct {
	unsigned		 asked_q, asked_r;
	struct msg_psk_req	 q, r;
	enum reason		 refuse_q, refuse_r;
	bool			 other;		/* the two codes differ */
} k;

static int
secrets(struct chan *c, const struct ipc_call *call,
    const struct msg_psk_req *m, uint8_t code)
{
	struct msg_psk_rep	rep;
	uint8_t			s[48];

	assert_int_equal(m->code.len, SPDM_HINT);
	assert_memory_equal(m->code.data, code_id, SPDM_HINT);
	assert_int_equal(m->algorithm, w.soft->algorithm);
	assert_int_equal(m->th1.len, w.soft->alg->hash_len);
	memcpy(s, m->th1.data, m->th1.len);
	s[0] ^= code;
	IPC_SET_BLOB(rep.request, s, m->th1.len);
	s[1] ^= 1;
	IPC_SET_BLOB(rep.response, s, m->th1.len);
	s[1] ^= 3;
	IPC_SET_BLOB(rep.master, s, m->th1.len);
	return chan_reply(c, call, MSG_PSK_REP, &rep);
}

static int
on_psk_q(struct chan *c, const struct ipc_call *call, const void *msg)
{
	k.asked_q++;
	k.q = *(const struct msg_psk_req *)msg;
	if (k.refuse_q != R_OK)
		return chan_refuse(c, call, k.refuse_q);
	return secrets(c, call, msg, 1);
}

static int
on_psk_r(struct chan *c, const struct ipc_call *call, const void *msg)
{
	k.asked_r++;
	k.r = *(const struct msg_psk_req *)msg;
	if (k.refuse_r != R_OK)
		return chan_refuse(c, call, k.refuse_r);
	return secrets(c, call, msg, k.other ? 2 : 1);
}

static const struct ipc_handler for_q[] = { { MSG_PSK_REQ, on_psk_q } };
static const struct ipc_handler for_r[] = {
	{ MSG_SPDM_SIGN_REQ, on_sign }, { MSG_PCR_REQ, on_pcr },
	{ MSG_PSK_REQ, on_psk_r },
};

static int
group_setup(void **state)
{
	setup(state);
	chan_set_handlers(w.keyd_q, for_q, 1);
	chan_set_handlers(w.keyd_r, for_r, 3);
	return 0;
}

/* A job with a code, to its end. */
static void
job(struct soft *soft, uint32_t versions)
{
	static uint32_t		number = 70;
	struct msg_job_open	m = { .job = ++number, .kind = JOB_CODE,
	    .versions = versions, .algorithms = 3, .deadline = PATIENCE };
	uint8_t			nonce[32] = { 7 };

	w.soft = soft;
	set_slot(0, soft->chain0, soft->len0);
	set_slot(1, soft->chain1, soft->len1);
	w.steps = w.measurements = 0;
	w.ended = w.failed = w.opened = w.over = false;
	memset(&w.end, 0, sizeof(w.end));
	k.asked_q = k.asked_r = 0;
	IPC_SET_BLOB(m.nonce, nonce, 32);
	IPC_SET_BLOB(m.code, code_id, SPDM_HINT);
	assert_int_equal(chan_call(w.hub_q, MSG_JOB_OPEN, &m, -1, PATIENCE,
	    on_opened, NULL), 0);
	WAIT_FOR(w.opened);
	dial(number);
	WAIT_FOR((w.ended || w.failed) && w.over);
	set_slot(0, NULL, 0);
	set_slot(1, NULL, 0);
}

static void
failed(enum reason want)
{
	struct soft	soft;

	soft_new(&soft, KEY_P256);
	job(&soft, SPDM_ALLOW_13);
	assert_true(w.failed);
	assert_false(w.ended);
	if (w.why.reason != want)
		fail_msg("%s instead of %s: %s, %s", reason_code(w.why.reason),
		    reason_code(want), w.why.field, w.why.seen);
	soft_free(&soft);
}

static void
right(enum key_algorithm a, uint32_t versions, uint8_t version)
{
	struct soft	soft;
	unsigned	before = w.attested;

	soft_new(&soft, a);
	job(&soft, versions);
	if (w.failed)
		fail_msg("%s %s: expected %s, seen %s",
		    reason_code(w.why.reason), w.why.field, w.why.expected,
		    w.why.seen);
	assert_true(w.end.code);
	assert_int_equal(w.measurements, 10);
	assert_int_equal(w.end.count, 10);
	assert_int_equal(w.end.nonce.data[0], 7);	/* the job's */
	assert_int_equal(k.asked_q, 1);
	assert_int_equal(k.asked_r, 1);
	/* -Q says who answered, -R with which key: of one exchange. */
	assert_string_equal(k.q.node, w.identity.node);
	assert_string_equal(k.r.node, "");
	assert_int_equal(k.r.key, 5);
	assert_int_equal(k.q.version, version);
	assert_int_equal(k.r.version, version);
	assert_memory_equal(&k.q.th1, &k.r.th1, sizeof(k.q.th1));
	/* Once outside, once in the session. */
	WAIT_FOR(w.attested == before + 2);
	soft_free(&soft);
}

static void
test_right(void **state)
{
	right(KEY_P256, SPDM_ALLOW_12, SPDM_V12);
	right(KEY_P256, SPDM_ALLOW_12 | SPDM_ALLOW_13, SPDM_V13);
	right(KEY_P384, SPDM_ALLOW_12, SPDM_V12);
	right(KEY_P384, SPDM_ALLOW_13, SPDM_V13);
}

/* The same over MCTP, where records have a sequence number and padding. */
static void
test_mctp(void **state)
{
	w.datagrams = true;
	test_right(state);
	w.datagrams = false;
}

static void
test_unknown_there(void **state)
{
	uint64_t	before = w.counts[R_ATT_SESSION_CODE];

	k.refuse_r = R_KEY_CODE_UNKNOWN;
	failed(R_ATT_CODE_UNKNOWN);
	assert_int_equal(k.asked_q, 0);		/* nothing of ours is burned */
	WAIT_FOR(w.counts[R_ATT_SESSION_CODE] == before + 1);
	k.refuse_r = R_OK;
}

static void
test_used_there(void **state)
{
	k.refuse_r = R_KEY_CODE_USED;
	failed(R_ATT_CODE_REFUSED);
	k.refuse_r = R_KEY_CODE_EXPIRED;
	failed(R_ATT_CODE_REFUSED);
	assert_int_equal(k.asked_q, 0);
	k.refuse_r = R_OK;
}

static void
test_refused_here(void **state)
{
	k.refuse_q = R_KEY_CODE_USED;
	failed(R_ATT_CODE_KEYD);
	assert_string_equal(w.why.seen, reason_code(R_KEY_CODE_USED));
	k.refuse_q = R_OK;
}

static void
test_other_code(void **state)
{
	k.other = true;
	failed(R_ATT_CODE_PROOF);
	assert_int_equal(k.asked_q, 1);
	k.other = false;
}

/* And after all that an honest one still goes through. */
static void
test_right_again(void **state)
{
	right(KEY_P256, SPDM_ALLOW_13, SPDM_V13);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(test_right),
		cmocka_unit_test(test_mctp),
		cmocka_unit_test(test_unknown_there),
		cmocka_unit_test(test_used_there),
		cmocka_unit_test(test_refused_here),
		cmocka_unit_test(test_other_code),
		cmocka_unit_test(test_right_again),
	};

	return cmocka_run_group_tests_name("attestd_code", tests, group_setup,
	    teardown);
}
