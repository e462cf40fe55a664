/*
 * A policyd without a hub for tests of peers: real channels to a netd and an
 * attestd -Q that the test plays, a store in a temporary directory, and a
 * clock that the test moves.
 */
#ifndef PEERS_FAKE_H
#define PEERS_FAKE_H

#include <sys/socket.h>

#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "policyd_dir.h"
#include "../../policyd/peer.h"

#define ROOT_A	0xaa		/* bytes of an accepted root's hash */
#define ROOT_B	0xbb		/* and of one that is not accepted */
#define NODE_B	"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define NODE_C	"cccccccccccccccccccccccccccccccccccccccc"
#define T0	1800000000u	/* trusted time at the start */

static struct conf_peer	conf_b = { .name = (char []){ "bmc-b" },
	.identity = (char []){ NODE_B }, .address = (char []){ "192.0.2.2" } };
static struct conf	config = {
	.node = (char []){ "bmc-a" }, .mtls_port = 8090, .spdm_port = 4194,
	.versions = 3, .algorithms = 3, .keepalive = 10000, .silence = 30000,
	.retry_min = 1000, .retry_max = 60000, .attest_timeout = 20000,
	.reattest = 86400000ull, .evidence_lifetime = 7 * 86400000ull,
	.checkpoint = 600000, .code_lifetime = 300000, .peers = &conf_b,
};
const struct conf	*conf = &config;

static uint64_t		 w_mono, w_now;
static struct policy_accept w_accept[2];

struct side {
	struct chan	*ours, *theirs;	/* policyd's end, the daemon's end */
	bool		 offended;
	enum reason	 offence;
};
static struct side	 w_netd, w_attestq, w_attestr, w_keyd;
static unsigned		 w_dials, w_opens, w_sets, w_drops, w_ends, w_cancels;
static struct msg_job_open w_job;	/* the newest */
static struct msg_dial_spdm w_dial;
static struct msg_peer_set w_set;
static enum reason	 w_refuse_dial;
static bool		 w_hold;	/* answer neither JOB_OPEN nor DIAL_SPDM */
static struct msg_code_put w_code;	/* the newest */
static struct msg_code_drop w_dropped;
static unsigned		 w_codes, w_wiped;
static enum reason	 w_refuse_code;
static bool		 w_lie;		/* attestd lies about the code */

static inline struct chan *
w_link(enum ipc_role role)
{
	return role == IPC_NETD ? w_netd.ours : role == IPC_ATTESTQ ?
	    w_attestq.ours : role == IPC_ATTESTR ? w_attestr.ours :
	    role == IPC_KEYD ? w_keyd.ours : NULL;
}

static inline uint64_t
w_clock_mono(void)
{
	return w_mono;
}

static inline uint64_t
w_clock_now(void)
{
	return w_now;
}

/* Always the longest of what chance may give. */
static inline void
w_random(void *p, size_t n)
{
	static uint8_t	k;

	memset(p, 0xff, n);
	if (n == 32)
		memset(p, ++k, n);
}

static inline int
w_peer_set(struct chan *c, const struct ipc_call *call, const void *m)
{
	w_sets++;
	memcpy(&w_set, m, sizeof(w_set));
	return 0;
}

static inline int
w_peer_drop(struct chan *c, const struct ipc_call *call, const void *m)
{
	w_drops++;
	return 0;
}

static inline int
w_peers_end(struct chan *c, const struct ipc_call *call, const void *m)
{
	w_ends++;
	return 0;
}

static inline int
w_dial_spdm(struct chan *c, const struct ipc_call *call, const void *m)
{
	w_dials++;
	memcpy(&w_dial, m, sizeof(w_dial));
	if (w_hold)
		return 0;
	if (w_refuse_dial != R_OK)
		return chan_refuse(c, call, w_refuse_dial);
	return chan_done(c, call);
}

static inline int
w_job_open(struct chan *c, const struct ipc_call *call, const void *m)
{
	w_opens++;
	memcpy(&w_job, m, sizeof(w_job));
	return w_hold ? 0 : chan_done(c, call);
}

static inline int
w_job_cancel(struct chan *c, const struct ipc_call *call, const void *m)
{
	w_cancels++;
	return 0;
}

/* The id of a code is its bytes turned round: nobody else may know it. */
static inline int
w_code_put(struct chan *c, const struct ipc_call *call, const void *m)
{
	struct msg_code_held	 held = { .code = { .len = 16 } };
	unsigned		 i;

	w_codes++;
	memcpy(&w_code, m, sizeof(w_code));
	if (w_refuse_code != R_OK)
		return chan_refuse(c, call, w_refuse_code);
	for (i = 0; i < 16; i++)
		held.code.data[i] = (uint8_t)~w_code.code.data[i];
	return chan_reply(c, call, MSG_CODE_HELD, &held);
}

static inline int
w_code_drop(struct chan *c, const struct ipc_call *call, const void *m)
{
	w_wiped++;
	memcpy(&w_dropped, m, sizeof(w_dropped));
	return 0;
}

static inline int
w_ignore(struct chan *c, const struct ipc_call *call, const void *m)
{
	return 0;
}

static const struct ipc_handler w_at_netd[] = {
	{ MSG_PEER_SET, w_peer_set }, { MSG_PEER_DROP, w_peer_drop },
	{ MSG_PEERS_END, w_peers_end }, { MSG_DIAL_SPDM, w_dial_spdm },
};
static const struct ipc_handler w_at_attestq[] = {
	{ MSG_JOB_OPEN, w_job_open }, { MSG_JOB_CANCEL, w_job_cancel },
	{ MSG_ROOT_SET, w_ignore },
};
static const struct ipc_handler w_at_keyd[] = {
	{ MSG_CODE_PUT, w_code_put }, { MSG_CODE_DROP, w_code_drop },
};

static inline void
w_closed(struct chan *c, enum reason offence, unsigned type)
{
	struct side	*s = chan_arg(c);
	enum ipc_role	 role = chan_peer(c);

	if (s->ours == c) {
		s->ours = NULL;
		s->offended = offence != R_OK;
		s->offence = offence;
		peers_down(role);
	} else
		s->theirs = NULL;
}

static inline void
w_up(struct side *s, enum ipc_role role, const struct ipc_handler *ours,
    size_t nours, const struct ipc_handler *theirs, size_t ntheirs)
{
	struct chan_conf	 cc = { .self = IPC_POLICYD, .peer = role,
	    .generation = 1, .handlers = ours, .nhandlers = nours,
	    .closed = w_closed, .arg = s };
	int			 fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    fds), 0);
	s->offended = false;
	s->ours = chan_new(fds[0], &cc);
	cc.self = role;
	cc.peer = IPC_POLICYD;
	cc.handlers = theirs;
	cc.nhandlers = ntheirs;
	s->theirs = chan_new(fds[1], &cc);
	assert_non_null(s->ours);
	assert_non_null(s->theirs);
	chan_set_phase(s->ours, IPC_RUN);
	chan_set_phase(s->theirs, IPC_RUN);
	peers_up(role);
}

static inline void
w_netd_up(void)
{
	w_up(&w_netd, IPC_NETD, from_netd, nfrom_netd, w_at_netd,
	    sizeof(w_at_netd) / sizeof(w_at_netd[0]));
}

static inline void
w_attestq_up(void)
{
	w_up(&w_attestq, IPC_ATTESTQ, from_attestq, nfrom_attestq,
	    w_at_attestq, sizeof(w_at_attestq) / sizeof(w_at_attestq[0]));
}

static inline void
w_keyd_up(void)
{
	w_up(&w_keyd, IPC_KEYD, from_keyd, nfrom_keyd, w_at_keyd,
	    sizeof(w_at_keyd) / sizeof(w_at_keyd[0]));
}

static inline void
w_attestr_up(void)
{
	w_up(&w_attestr, IPC_ATTESTR, from_attestr, nfrom_attestr, NULL, 0);
}

static inline void
w_side_pump(struct side *s)
{
	if (s->ours != NULL && chan_wants_output(s->ours))
		chan_output(s->ours);
	if (s->theirs != NULL)
		chan_input(s->theirs);
	if (s->theirs != NULL && chan_wants_output(s->theirs))
		chan_output(s->theirs);
	if (s->ours != NULL)
		chan_input(s->ours);
}

/* Turns of the loop, until nothing moves any more. */
static inline void
w_pump(void)
{
	int	i;

	for (i = 0; i < 12; i++) {
		w_side_pump(&w_netd);
		w_side_pump(&w_attestq);
		w_side_pump(&w_attestr);
		w_side_pump(&w_keyd);
		store_turn();
	}
}

/* Time passes, in steps that get finer toward the end. */
static inline void
w_pass(uint64_t seconds)
{
	uint64_t	step;

	while (seconds > 0) {
		step = seconds > 7200 ? 600 : seconds > 120 ? 60 : 1;
		seconds -= step;
		w_mono += step * 1000;
		w_now += step;
		peers_tick(w_mono);
		w_pump();
	}
}

/* Time passes until the next job is opened; the seconds it took. */
static inline uint64_t
w_until_job(uint64_t max)
{
	unsigned	before = w_opens;
	uint64_t	t, step;

	for (t = 0; t < max && w_opens == before; t += step) {
		step = max - t > 7200 ? 600 : max - t > 120 ? 60 : 1;
		w_mono += step * 1000;
		w_now += step;
		peers_tick(w_mono);
		w_pump();
	}
	assert_int_not_equal(w_opens, before);
	return t;
}

static inline void
w_start(void)
{
	assert_int_equal(store_open(dir_store), R_OK);
	audit_start();
	peers_start(NULL);
	store_turn();
}

static inline void
w_down(struct side *s)
{
	if (s->theirs != NULL)
		chan_close(s->theirs);
	if (s->ours != NULL)
		chan_close(s->ours);
	w_pump();
}

/* policyd dies, whatever is not committed is lost, and it starts again. */
static inline void
w_kill(void)
{
	store_turn();
	w_down(&w_netd);
	w_down(&w_attestq);
	w_down(&w_attestr);
	w_down(&w_keyd);
	peers_end();
	store_close();
}

static inline int
w_setup(void **state)
{
	if (dir_make(state) == -1)
		return -1;
	w_mono = 5000000;
	w_now = T0;
	w_hold = w_lie = false;
	w_refuse_code = R_OK;
	w_codes = w_wiped = 0;
	w_refuse_dial = R_OK;
	w_dials = w_opens = w_sets = w_drops = w_ends = w_cancels = 0;
	memset(w_accept[0].root, ROOT_A, HASH_LEN);
	policy = (struct policy){ .accepts = w_accept, .naccepts = 1,
	    .versions = 3, .algorithms = 3 };
	peers_env = (struct peers_env){ w_link, w_clock_mono, w_clock_now,
	    w_random };
	w_start();
	return 0;
}

static inline int
w_teardown(void **state)
{
	w_kill();
	return dir_remove(state);
}

static inline void
w_all_up(void)
{
	w_netd_up();
	w_attestq_up();
	w_attestr_up();
	w_pump();
}

/* bmc-b, in the middle of its first attestation. */
static inline struct peer *
w_attesting(void)
{
	struct peer	*p = peer_byname("bmc-b");

	w_netd_up();
	w_attestq_up();
	w_pump();
	peer_step(p, EV_PROVISION, NULL);
	jobs_pump();
	w_pump();
	assert_non_null(p->job);
	return p;
}

/* ---- what attestd -Q says ------------------------------------------------ */

struct proof {
	const char	*node;
	uint8_t		 root;
	uint8_t		 firmware;	/* byte of measurement 1 */
	uint8_t		 boot;		/* byte of the boot id */
	uint64_t	 not_before, not_after;
	uint64_t	 anchor_before, anchor_after;
	uint8_t		 anchor;	/* byte of the node CA */
};
static const struct proof	proof_b = { NODE_B, ROOT_A, 1, 1, 0, T0 * 2ull,
    T0 - 10000, T0 + 90 * 86400ull, 0x30 };

static inline void
w_send(struct side *s, enum ipc_type type, const void *m)
{
	assert_int_equal(chan_send(s->theirs, type, m, -1), 0);
}

static inline void
w_identity(const struct proof *p)
{
	struct msg_evid_identity	m = { .job = w_job.job, .version = 0x13,
	    .algorithm = KEY_P384 };

	IPC_SET_STR(m.node, p->node);
	IPC_SET_STR(m.serial, "0badcafe");
	IPC_SET_STR(m.device, "ACME-7700");
	IPC_SET_STR(m.subject, "CN=a device");
	memset(m.root.data, p->root, HASH_LEN);
	m.root.len = HASH_LEN;
	m.not_before = p->not_before;
	m.not_after = p->not_after;
	w_send(&w_attestq, MSG_EVID_IDENTITY, &m);
}

static inline void
w_anchor(const struct proof *p)
{
	struct msg_evid_anchor	m = { .job = w_job.job };

	memset(m.anchor.data, p->anchor, 300);
	m.anchor.len = 300;
	m.not_before = p->anchor_before;
	m.not_after = p->anchor_after;
	w_send(&w_attestq, MSG_EVID_ANCHOR, &m);
}

static inline void
w_measurement(unsigned index, unsigned type, bool raw, uint8_t byte,
    size_t len)
{
	struct msg_evid_measurement	m = { .job = w_job.job,
	    .index = index, .type = type, .raw = raw };

	memset(m.value.data, byte, len);
	m.value.len = (uint32_t)len;
	w_send(&w_attestq, MSG_EVID_MEASUREMENT, &m);
}

static inline void
w_end(unsigned count)
{
	struct msg_evid_end	m = { .job = w_job.job, .count = count,
	    .code = (w_job.kind == JOB_CODE) != w_lie };

	memcpy(&m.nonce, &w_job.nonce, sizeof(m.nonce));
	w_send(&w_attestq, MSG_EVID_END, &m);
}

/* Everything for the newest job. */
static inline void
w_prove(const struct proof *p)
{
	w_identity(p);
	w_anchor(p);
	w_measurement(1, 1, false, p->firmware, 48);
	w_measurement(2, 0, true, 7, 20);
	w_measurement(MEASURE_BOOT_ID, MEASURE_BOOT_TYPE, false, p->boot, 48);
	w_end(3);
	w_pump();
}

static inline void
w_fail(enum reason r)
{
	struct msg_job_failed	m = { .job = w_job.job, .reason = r };

	w_send(&w_attestq, MSG_JOB_FAILED, &m);
	w_pump();
}

static inline void
w_peer_link(struct peer *p, uint32_t state, enum reason r)
{
	struct msg_peer_link	m = { .peer = p->id, .state = state,
	    .reason = r };

	w_send(&w_netd, MSG_PEER_LINK, &m);
	w_pump();
}

static inline void
w_neighbour(uint32_t id, const char *name, const char *address)
{
	struct msg_neighbour	m = { .neighbour = id, .ttl = 120 };

	IPC_SET_STR(m.system_name, name);
	IPC_SET_STR(m.address4, address);
	w_send(&w_netd, MSG_NEIGHBOUR, &m);
	w_pump();
}

static inline void
w_attested(const char *address)
{
	struct msg_attested	m = { 0 };

	IPC_SET_STR(m.address, address);
	w_send(&w_attestr, MSG_ATTESTED, &m);
	w_pump();
}

/* The peer asked for, attested and trusted. */
static inline struct peer *
w_provision(const char *name, const struct proof *proof)
{
	struct peer	*p = peer_byname(name);

	assert_non_null(p);
	assert_int_equal(peer_step(p, EV_PROVISION, NULL), 0);
	jobs_pump();
	w_pump();
	w_prove(proof);
	return p;
}

#endif
