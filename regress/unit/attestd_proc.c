/*
 * attestd -Q and -R as two processes, over real channels, against a policyd,
 * a netd and a keyd that this test plays: one attestation of each curve in
 * each version, then what netd and keyd may do to them.
 */
#include <sys/socket.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "spdm_soft.h"
#include "../../attestd/attestd.h"
#include "log.h"

#define PATIENCE	120000	/* ms; a loaded machine with sanitizers */

static uv_loop_t	loop;
static uv_timer_t	patience, late;

/* What the two processes say. */
static struct {
	pid_t			 pid_q, pid_r;
	struct chan		*hub_q, *hub_r;		/* we are policyd */
	struct chan		*netd_q, *netd_r;	/* we are netd */
	struct chan		*keyd_q, *keyd_r;	/* we are keyd */
	unsigned		 ready;
	unsigned		 steps, measurements;
	bool			 ended, failed, opened, over;
	unsigned		 attested;
	bool			 mute_keyd;	/* keyd does not answer */
	bool			 slow_keyd;	/* the next signature is late */
	struct msg_spdm_sign_req late;
	struct ipc_call		 late_call;
	unsigned		 busy_keyd;	/* so many signatures refused */
	struct msg_evid_identity identity;
	struct msg_evid_anchor	 anchor;
	struct msg_evid_end	 end;
	struct msg_job_failed	 why;
	uint64_t		 counts[R_COUNT];
	struct soft		*soft;
} w;

/* ---- the children -------------------------------------------------------- */

static void
child_q(int hub)
{
	struct hub_conf	conf = { .self = IPC_ATTESTQ, .developer = true,
	    .peers = attestq_peers, .npeers = attestq_npeers };
	uv_loop_t	l;

	uv_loop_init(&l);
	job_init(&l);
	if (hub_start(&l, hub, &conf) == -1)
		_exit(1);
	uv_run(&l, UV_RUN_DEFAULT);
	job_stop();
	hub_stop();
	uv_run(&l, UV_RUN_DEFAULT);
	_exit(uv_loop_close(&l) == 0 ? 0 : 1);
}

static void
child_r(int hub)
{
	struct hub_conf		 conf = { .self = IPC_ATTESTR,
	    .developer = true, .peers = attestr_peers,
	    .npeers = attestr_npeers };
	struct measure_set	 set;
	const char		*bad;
	uv_loop_t		 l;

	if (measure_files(&set, NULL, "/proc/sys/kernel/random/boot_id",
	    false, &bad) == -1)
		_exit(1);
	uv_loop_init(&l);
	session_init(&l, SPDM_ALLOW_12 | SPDM_ALLOW_13, false, &set);
	if (hub_start(&l, hub, &conf) == -1)
		_exit(1);
	uv_run(&l, UV_RUN_DEFAULT);
	session_stop();
	hub_stop();
	uv_run(&l, UV_RUN_DEFAULT);
	_exit(uv_loop_close(&l) == 0 ? 0 : 1);
}

static pid_t
child(void (*run)(int), int *hub)
{
	int	fds[2];
	pid_t	pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    fds), 0);
	if ((pid = fork()) == 0) {
		close(fds[0]);
		run(fds[1]);
		_exit(1);
	}
	assert_true(pid > 0);
	close(fds[1]);
	*hub = fds[0];
	return pid;
}

/* ---- policyd, played here ------------------------------------------------ */

static int
on_step(struct chan *c, const struct ipc_call *call, const void *msg)
{
	const struct msg_job_step	*m = msg;

	assert_true(m->detail[0] != '\0');
	w.steps++;
	return 0;
}

static int
on_identity(struct chan *c, const struct ipc_call *call, const void *msg)
{
	w.identity = *(const struct msg_evid_identity *)msg;
	return 0;
}

static int
on_anchor(struct chan *c, const struct ipc_call *call, const void *msg)
{
	w.anchor = *(const struct msg_evid_anchor *)msg;
	return 0;
}

static int
on_measurement(struct chan *c, const struct ipc_call *call, const void *msg)
{
	w.measurements++;
	return 0;
}

static int
on_end(struct chan *c, const struct ipc_call *call, const void *msg)
{
	w.end = *(const struct msg_evid_end *)msg;
	w.ended = true;
	return 0;
}

static int
on_failed(struct chan *c, const struct ipc_call *call, const void *msg)
{
	w.why = *(const struct msg_job_failed *)msg;
	w.failed = true;
	return 0;
}

static int
on_attested(struct chan *c, const struct ipc_call *call, const void *msg)
{
	const struct msg_attested	*m = msg;

	assert_string_equal(m->address, "192.0.2.7");
	w.attested++;
	return 0;
}

static int
on_counter(struct chan *c, const struct ipc_call *call, const void *msg)
{
	const struct msg_counter	*m = msg;

	w.counts[m->reason] = m->count;
	return 0;
}

static const struct ipc_handler from_q[] = {
	{ MSG_JOB_STEP, on_step }, { MSG_EVID_IDENTITY, on_identity },
	{ MSG_EVID_ANCHOR, on_anchor },
	{ MSG_EVID_MEASUREMENT, on_measurement }, { MSG_EVID_END, on_end },
	{ MSG_JOB_FAILED, on_failed }, { MSG_COUNTER, on_counter },
};
static const struct ipc_handler from_r[] = {
	{ MSG_ATTESTED, on_attested }, { MSG_COUNTER, on_counter },
};

/* ---- keyd, played here --------------------------------------------------- */

static int
sign(struct chan *c, const struct ipc_call *call,
    const struct msg_spdm_sign_req *m)
{
	struct msg_spdm_sign_rep	rep;
	uint8_t				sig[SPDM_SIG_MAX];

	soft_sign(w.soft->key, w.soft->alg, m->version, m->context,
	    m->hash.data, sig);
	IPC_SET_BLOB(rep.signature, sig, w.soft->alg->sig_len);
	return chan_reply(c, call, MSG_SPDM_SIGN_REP, &rep);
}

static void
sign_late(uv_timer_t *h)
{
	assert_int_equal(sign(w.keyd_r, &w.late_call, &w.late), 0);
}

static int
on_sign(struct chan *c, const struct ipc_call *call, const void *msg)
{
	const struct msg_spdm_sign_req	*m = msg;

	assert_int_equal(m->key, 5);
	assert_int_equal(m->hash.len, w.soft->alg->hash_len);
	if (w.mute_keyd)
		return 0;
	if (w.busy_keyd > 0) {
		w.busy_keyd--;
		return chan_refuse(c, call, R_IPC_NOLINK);
	}
	if (w.slow_keyd) {
		w.slow_keyd = false;
		w.late = *m;
		w.late_call = *call;
		uv_timer_start(&late, sign_late, 2000, 0);
		return 0;
	}
	return sign(c, call, m);
}

static int
on_pcr(struct chan *c, const struct ipc_call *call, const void *msg)
{
	struct msg_pcr_rep	rep;
	uint8_t			values[256];

	memset(values, 0x5a, sizeof(values));
	IPC_SET_BLOB(rep.values, values, sizeof(values));
	return chan_reply(c, call, MSG_PCR_REP, &rep);
}

static const struct ipc_handler keyd_from_r[] = {
	{ MSG_SPDM_SIGN_REQ, on_sign }, { MSG_PCR_REQ, on_pcr },
};

/* ---- links --------------------------------------------------------------- */

static void
on_closed(struct chan *c, enum reason offence, unsigned type)
{
	if (offence != R_OK)
		fail_msg("offence by %s: %s", ipc_role_name(chan_peer(c)),
		    reason_code(offence));
	w.hub_q = c == w.hub_q ? NULL : w.hub_q;
	w.hub_r = c == w.hub_r ? NULL : w.hub_r;
	w.netd_q = c == w.netd_q ? NULL : w.netd_q;
	w.netd_r = c == w.netd_r ? NULL : w.netd_r;
	w.keyd_q = c == w.keyd_q ? NULL : w.keyd_q;
	w.keyd_r = c == w.keyd_r ? NULL : w.keyd_r;
}

static int
on_link_hello(struct chan *c, const struct ipc_call *call, const void *msg)
{
	chan_set_phase(c, IPC_RUN);
	if (c == w.keyd_r)
		chan_set_handlers(c, keyd_from_r, 2);
	w.ready++;
	return 0;
}

static const struct ipc_handler from_stranger[] = {
	{ MSG_LINK_HELLO, on_link_hello },
};

/* Introduce self to the daemon behind hub; our end of the link. */
static struct chan *
introduce(struct chan *hub, enum ipc_role self, uint32_t generation)
{
	struct chan_conf	 conf = { .self = self, .peer = chan_peer(hub),
	    .generation = generation, .handlers = from_stranger,
	    .nhandlers = 1, .closed = on_closed };
	struct msg_introduce	 m = { .peer = self,
	    .generation = generation };
	struct msg_link_hello	 hello = { .generation = generation };
	struct chan		*c;
	int			 fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    fds), 0);
	assert_non_null(c = chan_open(&loop, fds[0], &conf));
	assert_int_equal(chan_send(hub, MSG_INTRODUCE, &m, fds[1]), 0);
	IPC_SET_BLOB(hello.catalogue, ipc_catalogue(), 32);
	assert_int_equal(chan_send(c, MSG_LINK_HELLO, &hello, -1), 0);
	return c;
}

static int
on_hello(struct chan *c, const struct ipc_call *call, const void *msg)
{
	struct msg_welcome	m = { .now = 1900000000, .log_level = 0 };

	IPC_SET_BLOB(m.catalogue, ipc_catalogue(), 32);
	chan_reply(c, call, MSG_WELCOME, &m);
	chan_set_phase(c, IPC_RUN);
	if (chan_peer(c) == IPC_ATTESTQ) {
		chan_set_handlers(c, from_q, 7);
		w.netd_q = introduce(c, IPC_NETD, 1);
		w.keyd_q = introduce(c, IPC_KEYD, 1);
	} else {
		chan_set_handlers(c, from_r, 2);
		w.netd_r = introduce(c, IPC_NETD, 1);
		w.keyd_r = introduce(c, IPC_KEYD, 1);
	}
	return 0;
}

static const struct ipc_handler from_new[] = { { MSG_HELLO, on_hello } };

static struct chan *
hub_open(enum ipc_role peer, int fd)
{
	struct chan_conf	 conf = { .self = IPC_POLICYD, .peer = peer,
	    .handlers = from_new, .nhandlers = 1, .closed = on_closed };
	struct chan		*c = chan_open(&loop, fd, &conf);

	assert_non_null(c);
	return c;
}

/* ---- the loop ------------------------------------------------------------ */

static void
out_of_patience(uv_timer_t *t)
{
	fail_msg("nothing happened in two minutes: ready %u, steps %u",
	    w.ready, w.steps);
}

#define WAIT_FOR(cond)	do {						\
	uv_timer_start(&patience, out_of_patience, PATIENCE, 0);	\
	while (!(cond))							\
		uv_run(&loop, UV_RUN_ONCE);				\
	uv_timer_stop(&patience);					\
} while (0)

static void
set_slot(uint32_t slot, const uint8_t *chain, size_t len)
{
	static struct msg_spdm_slot	m;

	m.slot = slot;
	m.key = 5;
	m.algorithm = w.soft->algorithm;
	IPC_SET_BLOB(m.chain, chain, len);
	assert_int_equal(chan_send(w.hub_r, MSG_SPDM_SLOT, &m, -1), 0);
}

static int
setup(void **state)
{
	int	hub_q, hub_r;

	assert_int_equal(spdm_init(), 0);
	signal(SIGPIPE, SIG_IGN);
	log_init("attestd_proc", true);
	w.pid_q = child(child_q, &hub_q);
	w.pid_r = child(child_r, &hub_r);
	uv_loop_init(&loop);
	uv_timer_init(&loop, &patience);
	uv_timer_init(&loop, &late);
	w.hub_q = hub_open(IPC_ATTESTQ, hub_q);
	w.hub_r = hub_open(IPC_ATTESTR, hub_r);
	WAIT_FOR(w.ready == 4);
	return 0;
}

static void
reap(pid_t pid)
{
	int	status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* Without policyd they end by themselves, and leave nothing behind. */
static int
teardown(void **state)
{
	chan_close(w.hub_q);
	chan_close(w.hub_r);
	reap(w.pid_q);
	reap(w.pid_r);
	chan_close(w.netd_q);
	chan_close(w.netd_r);
	chan_close(w.keyd_q);
	chan_close(w.keyd_r);
	uv_close((uv_handle_t *)&patience, NULL);
	uv_close((uv_handle_t *)&late, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	return uv_loop_close(&loop);
}

static void
on_opened(const struct ipc_reply *r, void *arg)
{
	assert_int_equal(r->reason, R_OK);
	w.opened = true;
}

static void
on_over(const struct ipc_reply *r, void *arg)
{
	assert_int_equal(r->reason, R_OK);
	w.over = true;
}

static void
job_begin(uint32_t job, uint32_t versions, uint32_t deadline)
{
	struct msg_job_open	m = { .job = job, .versions = versions,
	    .algorithms = 3, .deadline = deadline };
	uint8_t			nonce[32];

	w.steps = w.measurements = 0;
	w.ended = w.failed = w.opened = w.over = false;
	memset(nonce, (int)job, sizeof(nonce));
	IPC_SET_BLOB(m.nonce, nonce, 32);
	assert_int_equal(chan_call(w.hub_q, MSG_JOB_OPEN, &m, -1, PATIENCE,
	    on_opened, NULL), 0);
	WAIT_FOR(w.opened);
}

/* netd dials: one end to each of the two. */
static void
dial(uint32_t job)
{
	struct msg_spdm_dialled		d = { .job = job };
	struct msg_spdm_accepted	a = { .address = "192.0.2.7" };
	int				fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
	    fds), 0);
	assert_int_equal(chan_send(w.netd_q, MSG_SPDM_DIALLED, &d, fds[0]),
	    0);
	assert_int_equal(chan_call(w.netd_r, MSG_SPDM_ACCEPTED, &a, fds[1],
	    PATIENCE, on_over, NULL), 0);
}

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
		cmocka_unit_test(test_keyd_refuses_once),
		cmocka_unit_test(test_keyd_slow),
		cmocka_unit_test(test_keyd_comes_back),
		cmocka_unit_test(test_no_certificates),
		cmocka_unit_test(test_unknown_job),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_job_limit),
		cmocka_unit_test(test_stranger),
		cmocka_unit_test(test_blocking_descriptor),
		cmocka_unit_test(test_cancel),
	};

	return cmocka_run_group_tests_name("attestd_proc", tests, setup,
	    teardown);
}
