/*
 * attestd -Q and -R as two processes, over real channels, against a policyd,
 * a netd and a keyd that the test plays.
 */
#ifndef ATTESTD_WORLD_H
#define ATTESTD_WORLD_H

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

/* Of attestd -R; to be changed before it starts. */
static struct session_conf	world_conf = {
	.heartbeat = RESPONDER_HEARTBEAT
};

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
	bool	datagrams;	/* netd brings MCTP */
} w;

/* ---- the children -------------------------------------------------------- */

static inline void
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

static inline void
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
	world_conf.versions = SPDM_ALLOW_12 | SPDM_ALLOW_13;
	world_conf.measures = &set;
	session_init(&l, &world_conf);
	if (hub_start(&l, hub, &conf) == -1)
		_exit(1);
	uv_run(&l, UV_RUN_DEFAULT);
	session_stop();
	hub_stop();
	uv_run(&l, UV_RUN_DEFAULT);
	_exit(uv_loop_close(&l) == 0 ? 0 : 1);
}

static inline pid_t
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

static inline int
on_step(struct chan *c, const struct ipc_call *call, const void *msg)
{
	const struct msg_job_step	*m = msg;

	assert_true(m->detail[0] != '\0');
	w.steps++;
	return 0;
}

static inline int
on_identity(struct chan *c, const struct ipc_call *call, const void *msg)
{
	w.identity = *(const struct msg_evid_identity *)msg;
	return 0;
}

static inline int
on_anchor(struct chan *c, const struct ipc_call *call, const void *msg)
{
	w.anchor = *(const struct msg_evid_anchor *)msg;
	return 0;
}

static inline int
on_measurement(struct chan *c, const struct ipc_call *call, const void *msg)
{
	w.measurements++;
	return 0;
}

static inline int
on_end(struct chan *c, const struct ipc_call *call, const void *msg)
{
	w.end = *(const struct msg_evid_end *)msg;
	w.ended = true;
	return 0;
}

static inline int
on_failed(struct chan *c, const struct ipc_call *call, const void *msg)
{
	w.why = *(const struct msg_job_failed *)msg;
	w.failed = true;
	return 0;
}

static inline int
on_attested(struct chan *c, const struct ipc_call *call, const void *msg)
{
	const struct msg_attested	*m = msg;

	assert_string_equal(m->address, "192.0.2.7");
	w.attested++;
	return 0;
}

static inline int
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

static inline int
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

static inline void
sign_late(uv_timer_t *h)
{
	assert_int_equal(sign(w.keyd_r, &w.late_call, &w.late), 0);
}

static inline int
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

static inline int
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

static inline void
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

static inline int
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
static inline struct chan *
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

static inline int
on_hello(struct chan *c, const struct ipc_call *call, const void *msg)
{
	struct msg_welcome	m = { .now = (uint64_t)time(NULL), .log_level = 0 };

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

static inline struct chan *
hub_open(enum ipc_role peer, int fd)
{
	struct chan_conf	 conf = { .self = IPC_POLICYD, .peer = peer,
	    .handlers = from_new, .nhandlers = 1, .closed = on_closed };
	struct chan		*c = chan_open(&loop, fd, &conf);

	assert_non_null(c);
	return c;
}

/* ---- the loop ------------------------------------------------------------ */

static inline void
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

static inline void
set_slot(uint32_t slot, const uint8_t *chain, size_t len)
{
	static struct msg_spdm_slot	m;

	m.slot = slot;
	m.key = 5;
	m.algorithm = w.soft->algorithm;
	IPC_SET_BLOB(m.chain, chain, len);
	assert_int_equal(chan_send(w.hub_r, MSG_SPDM_SLOT, &m, -1), 0);
}

static inline int
setup(void **state)
{
	int	hub_q, hub_r;

	memset(&w, 0, sizeof(w));
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

static inline void
reap(pid_t pid)
{
	int	status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* Without policyd they end by themselves, and leave nothing behind. */
static inline int
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

static inline void
on_opened(const struct ipc_reply *r, void *arg)
{
	assert_int_equal(r->reason, R_OK);
	w.opened = true;
}

static inline void
on_over(const struct ipc_reply *r, void *arg)
{
	assert_int_equal(r->reason, R_OK);
	w.over = true;
}

static inline void
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
static inline void
dial(uint32_t job)
{
	struct msg_spdm_dialled		d = { .job = job };
	struct msg_spdm_accepted	a = { .address = "192.0.2.7" };
	int				fds[2];

	assert_int_equal(socketpair(AF_UNIX, (w.datagrams ? SOCK_SEQPACKET :
	    SOCK_STREAM) | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(chan_send(w.netd_q, MSG_SPDM_DIALLED, &d, fds[0]),
	    0);
	assert_int_equal(chan_call(w.netd_r, MSG_SPDM_ACCEPTED, &a, fds[1],
	    PATIENCE, on_over, NULL), 0);
}

#endif
