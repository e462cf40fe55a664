/*
 * attestd -Q and -R as two processes: one attestation of each curve in each
 * version, then what netd and keyd may do to them.
 */
#include "attestd_world.h"

/* ---- tests --------------------------------------------------------------- */

static void
attest(enum key_algorithm a, uint32_t versions, uint8_t version)
{
	struct soft	soft;
	static uint32_t	job = 10;
	unsigned	before = w.attested;

	soft_new(&soft, a);
	w.soft = &soft;
	set_slot(0, soft.chain0, soft.len0);
	set_slot(1, soft.chain1, soft.len1);
	job_begin(++job, versions, PATIENCE);
	dial(job);
	WAIT_FOR((w.ended || w.failed) && w.over);
	if (w.failed)
		fail_msg("%s %s: expected %s, seen %s",
		    reason_code(w.why.reason), w.why.field, w.why.expected,
		    w.why.seen);
	assert_int_equal(w.identity.version, version);
	assert_int_equal(w.identity.algorithm, a);
	assert_string_equal(w.identity.serial, "7712");
	assert_string_equal(w.identity.device, "ACME-7712");
	assert_int_equal(strlen(w.identity.node), 40);
	assert_int_equal(w.anchor.job, job);
	assert_memory_equal(w.anchor.anchor.data, soft.chain1,
	    w.anchor.anchor.len);
	/* 8 PCRs, boot id, device mode */
	assert_int_equal(w.measurements, 10);
	assert_int_equal(w.end.count, 10);
	assert_int_equal(w.end.nonce.data[31], job);
	assert_int_equal(w.steps, 8);
	WAIT_FOR(w.attested == before + 1);
	set_slot(0, NULL, 0);
	set_slot(1, NULL, 0);
	soft_free(&soft);
}

static void
test_attest(void **state)
{
	attest(KEY_P256, SPDM_ALLOW_12, SPDM_V12);
	attest(KEY_P256, SPDM_ALLOW_12 | SPDM_ALLOW_13, SPDM_V13);
	attest(KEY_P384, SPDM_ALLOW_12, SPDM_V12);
	attest(KEY_P384, SPDM_ALLOW_13, SPDM_V13);
}

/* The same over MCTP: what netd brings are sockets of datagrams. */
static void
test_mctp(void **state)
{
	w.datagrams = true;
	attest(KEY_P256, SPDM_ALLOW_12, SPDM_V12);
	attest(KEY_P384, SPDM_ALLOW_13, SPDM_V13);
	w.datagrams = false;
}

/* A signature that keyd refuses once is Busy once, and asked for again. */
static void
test_keyd_refuses_once(void **state)
{
	w.busy_keyd = 1;
	attest(KEY_P256, SPDM_ALLOW_13, SPDM_V13);
	assert_int_equal(w.busy_keyd, 0);
	WAIT_FOR(w.counts[R_ATT_SESSION_KEY] == 1);
}

/* keyd takes longer than a peer should wait: ResponseNotReady, and the
 * signature for RESPOND_IF_READY. */
static void
test_keyd_slow(void **state)
{
	w.slow_keyd = true;
	attest(KEY_P256, SPDM_ALLOW_13, SPDM_V13);
	assert_false(w.slow_keyd);
}

/* keyd dies and comes back while a peer attests: Busy, until then. */
static void
test_keyd_comes_back(void **state)
{
	uint64_t	refused = w.counts[R_ATT_SESSION_REQUEST];
	unsigned	ready = w.ready;
	struct soft	soft;

	soft_new(&soft, KEY_P256);
	w.soft = &soft;
	set_slot(0, soft.chain0, soft.len0);
	set_slot(1, soft.chain1, soft.len1);
	chan_close(w.keyd_q);
	chan_close(w.keyd_r);
	job_begin(800, SPDM_ALLOW_13, PATIENCE);
	dial(800);
	WAIT_FOR(w.counts[R_ATT_SESSION_REQUEST] > refused);
	w.keyd_r = introduce(w.hub_r, IPC_KEYD, 2);
	WAIT_FOR(w.ready > ready);
	WAIT_FOR((w.ended || w.failed) && w.over);
	assert_false(w.failed);
	/* with its PCRs: none of them was left out meanwhile */
	assert_int_equal(w.measurements, 10);
	set_slot(0, NULL, 0);
	set_slot(1, NULL, 0);
	soft_free(&soft);
}

/* Before policyd has given certificates the peer is busy, and no more. */
static void
test_no_certificates(void **state)
{
	struct msg_job_cancel	m = { .job = 900 };

	job_begin(900, SPDM_ALLOW_13, PATIENCE);
	dial(900);
	WAIT_FOR(w.counts[R_ATT_SESSION_EMPTY] > 0);
	assert_false(w.failed);
	assert_int_equal(chan_send(w.hub_q, MSG_JOB_CANCEL, &m, -1), 0);
	WAIT_FOR(w.over);
}

/* A socket for a job that nobody opened is closed and counted. */
static void
test_unknown_job(void **state)
{
	w.over = false;
	dial(4711);
	WAIT_FOR(w.counts[R_ATT_JOB_UNKNOWN] == 1 && w.over);
}

/* A node is nobody's component: its attestd -R fills in no slot. */
static void
test_component(void **state)
{
	struct msg_job_open	 m = { .job = 77, .versions = SPDM_ALLOW_13,
	    .algorithms = 3, .deadline = PATIENCE, .kind = JOB_COMPONENT,
	    .slot = 2 };
	struct msg_component_chain chain = { .job = 78 };
	struct soft		 soft;
	uint8_t			 nonce[32] = { 0 };

	soft_new(&soft, KEY_P256);
	w.soft = &soft;
	set_slot(0, soft.chain0, soft.len0);
	set_slot(1, soft.chain1, soft.len1);
	w.ended = w.failed = w.opened = w.over = false;
	IPC_SET_BLOB(m.nonce, nonce, 32);
	assert_int_equal(chan_call(w.hub_q, MSG_JOB_OPEN, &m, -1, PATIENCE,
	    on_opened, NULL), 0);
	WAIT_FOR(w.opened);
	/* A chain for a job that is over meanwhile goes nowhere. */
	assert_int_equal(chan_send(w.hub_q, MSG_COMPONENT_CHAIN, &chain, -1),
	    0);
	dial(77);
	WAIT_FOR(w.failed && w.over);
	assert_int_equal(w.why.job, 77);
	assert_int_equal(w.why.reason, R_ATT_CSR_CAPABILITY);
	assert_false(w.ended);
	set_slot(0, NULL, 0);
	set_slot(1, NULL, 0);
	soft_free(&soft);
}

/* A job whose socket never comes ends at its deadline, with that reason. */
static void
test_deadline(void **state)
{
	job_begin(901, SPDM_ALLOW_13, 10);
	WAIT_FOR(w.failed);
	assert_int_equal(w.why.job, 901);
	assert_int_equal(w.why.reason, R_ATT_TIMEOUT);
}

static void
on_limit(const struct ipc_reply *r, void *arg)
{
	*(enum reason *)arg = r->reason;
}

static enum reason
open_job(uint32_t job)
{
	struct msg_job_open	m = { .job = job, .versions = 3,
	    .algorithms = 3, .deadline = PATIENCE };
	enum reason		reason = R_COUNT;
	uint8_t			nonce[32] = { 0 };

	IPC_SET_BLOB(m.nonce, nonce, 32);
	assert_int_equal(chan_call(w.hub_q, MSG_JOB_OPEN, &m, -1, PATIENCE,
	    on_limit, &reason), 0);
	WAIT_FOR(reason != R_COUNT);
	return reason;
}

/* 32 jobs and no more, each number once, and a place is free again. */
static void
test_job_limit(void **state)
{
	struct msg_job_cancel	m;
	uint32_t		i;

	for (i = 0; i < JOBS_MAX; i++)
		assert_int_equal(open_job(1000 + i), R_OK);
	assert_int_equal(open_job(1005), R_ATT_JOB_EXISTS);
	assert_int_equal(open_job(2000), R_ATT_JOB_LIMIT);
	m.job = 1007;
	assert_int_equal(chan_send(w.hub_q, MSG_JOB_CANCEL, &m, -1), 0);
	assert_int_equal(open_job(2000), R_OK);
	for (i = 0; i < JOBS_MAX; i++) {
		m.job = 1000 + i;
		assert_int_equal(chan_send(w.hub_q, MSG_JOB_CANCEL, &m, -1),
		    0);
	}
	m.job = 2000;
	assert_int_equal(chan_send(w.hub_q, MSG_JOB_CANCEL, &m, -1), 0);
}

/* ---- what a stranger's socket may bring ---------------------------------- */

/* Send these bytes as a stranger; what comes back, until the end. */
static size_t
stranger(const void *p, size_t len, uint8_t *back, size_t size, bool quit)
{
	struct msg_spdm_accepted	a = { .address = "192.0.2.7" };
	int				fds[2];
	size_t				n = 0;
	ssize_t				r;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
	    fds), 0);
	assert_int_equal(write(fds[0], p, len), (ssize_t)len);
	if (quit)
		shutdown(fds[0], SHUT_WR);
	w.over = false;
	assert_int_equal(chan_call(w.netd_r, MSG_SPDM_ACCEPTED, &a, fds[1],
	    PATIENCE, on_over, NULL), 0);
	WAIT_FOR(w.over);
	while ((r = read(fds[0], back + n, size - n)) > 0)
		n += r;
	close(fds[0]);
	return n;
}

static void
test_stranger(void **state)
{
	/* two requests in one segment, then the end */
	static const uint8_t	two[] = { 6, 0, 1, 5, 0x10, 0x84, 0, 0,
	    6, 0, 1, 5, 0x10, 0xaa, 0, 0 };
	static const uint8_t	two_back[] = { 12, 0, 1, 5, 0x10, 4, 0, 0, 0,
	    2, 0, 0x12, 0, 0x13, 6, 0, 1, 5, 0x10, 0x7f, 7, 0xaa };
	static const uint8_t	plain[] = { 4, 0, 1, 5, 0x10, 0x84, 0, 0 };
	static const uint8_t	inquiry[] = { 0, 0, 1, 0xbf };
	static const uint8_t	huge[] = { 0xff, 0xff, 1, 5, 0x12, 0x84, 0, 0 };
	static const uint8_t	http[] = "GET / HTTP/1.1\r\n\r\n";
	uint8_t			back[256];

	assert_int_equal(stranger(two, sizeof(two), back, sizeof(back), true),
	    sizeof(two_back));
	assert_memory_equal(back, two_back, sizeof(two_back));
	/* who counts otherwise is answered otherwise */
	assert_int_equal(stranger(plain, sizeof(plain), back, sizeof(back),
	    true), 14);
	assert_int_equal(back[0], 10);
	assert_int_equal(stranger(inquiry, sizeof(inquiry), back,
	    sizeof(back), false), 4);
	assert_memory_equal(back, "\0\0\1\xc2", 4);
	assert_int_equal(stranger(huge, sizeof(huge), back, sizeof(back),
	    false), 4);
	assert_memory_equal(back, "\0\0\1\xc0", 4);
	assert_int_equal(stranger(http, sizeof(http) - 1, back, sizeof(back),
	    false), 4);
	assert_memory_equal(back, "\0\0\1\xc1", 4);
	WAIT_FOR(w.counts[R_ATT_SESSION_FRAME] == 3 &&
	    w.counts[R_ATT_SESSION_REQUEST] > 0);
}

static void
flag_over(const struct ipc_reply *r, void *arg)
{
	*(bool *)arg = true;
}

/*
 * netd keeps the same description and makes it blocking again, and its end
 * reads nothing: the others are served all the same.
 */
static void
test_blocking_descriptor(void **state)
{
	struct msg_spdm_accepted	a = { .address = "192.0.2.7" };
	static const uint8_t		one[] = { 6, 0, 1, 5, 0x10, 0x84, 0, 0 };
	uint8_t				many[512 * sizeof(one)], back[64];
	struct pollfd			pfd = { .events = POLLIN };
	int				fds[2], mine;
	bool				over = false;
	size_t				i;

	for (i = 0; i < sizeof(many); i++)
		many[i] = one[i % sizeof(one)];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
	    fds), 0);
	assert_int_not_equal(mine = dup(fds[1]), -1);
	assert_int_equal(chan_call(w.netd_r, MSG_SPDM_ACCEPTED, &a, fds[1],
	    PATIENCE, flag_over, &over), 0);
	assert_int_equal(write(fds[0], one, sizeof(one)), sizeof(one));
	pfd.fd = fds[0];
	while (poll(&pfd, 1, 10) == 0)
		uv_run(&loop, UV_RUN_NOWAIT);	/* we are its keyd, too */
	assert_int_equal(fcntl(mine, F_SETFL, 0), 0);
	for (i = 0; i < 8; i++)
		(void)!send(fds[0], many, sizeof(many), MSG_DONTWAIT);
	for (i = 0; i < 3; i++)
		assert_int_equal(stranger(one, sizeof(one), back, sizeof(back),
		    true), 14);
	close(mine);
	close(fds[0]);
	WAIT_FOR(over);
}

/* A cancelled job closes its connection and says nothing more. */
static void
test_cancel(void **state)
{
	struct msg_job_cancel	m = { .job = 902 };
	struct soft		soft;

	soft_new(&soft, KEY_P256);
	w.soft = &soft;
	set_slot(0, soft.chain0, soft.len0);
	w.mute_keyd = true;
	job_begin(902, SPDM_ALLOW_13, PATIENCE);
	dial(902);
	WAIT_FOR(w.steps >= 4 || w.failed);
	assert_int_equal(chan_send(w.hub_q, MSG_JOB_CANCEL, &m, -1), 0);
	WAIT_FOR(w.over);
	w.mute_keyd = false;
	set_slot(0, NULL, 0);
	soft_free(&soft);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(test_attest),
		cmocka_unit_test(test_mctp),
		cmocka_unit_test(test_keyd_refuses_once),
		cmocka_unit_test(test_keyd_slow),
		cmocka_unit_test(test_keyd_comes_back),
		cmocka_unit_test(test_no_certificates),
		cmocka_unit_test(test_unknown_job),
		cmocka_unit_test(test_component),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_job_limit),
		cmocka_unit_test(test_stranger),
		cmocka_unit_test(test_blocking_descriptor),
		cmocka_unit_test(test_cancel),
	};

	return cmocka_run_group_tests_name("attestd_proc", tests, setup,
	    teardown);
}
