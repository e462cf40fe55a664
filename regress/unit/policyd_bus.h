/*
 * A policyd with D-Bus for tests: busd, netd and attestd -Q are played over
 * real channels, the test chooses the time, and is the list of users.
 */
#ifndef POLICYD_BUS_H
#define POLICYD_BUS_H

#include <errno.h>
#include <grp.h>
#include <pwd.h>

#include "peers_fake.h"
#include "../../policyd/bus.h"
#include "../../policyd/self.h"

#define MEMBER	1001u		/* of the group, listed there */
#define PRIMARY	1002u		/* whose own group it is */
#define STRANGER 1003u

/* ---- the users of this machine ---------------------------------------------- */

static char	n_member[] = "member", n_primary[] = "primary",
		n_other[] = "other", n_gone[] = "gone", n_group[] = "provd";
static bool	no_group;
static unsigned	read_on;

struct group *
getgrnam(const char *name)
{
	static char		*members[] = { n_member, n_gone, NULL };
	static struct group	 g = { .gr_name = n_group, .gr_gid = 77,
	    .gr_mem = members };

	return no_group || strcmp(name, "provd") != 0 ? NULL : &g;
}

static inline struct passwd *
user(unsigned i)
{
	static struct passwd	all[] = {
		{ .pw_name = n_other, .pw_uid = STRANGER, .pw_gid = 78 },
		{ .pw_name = n_member, .pw_uid = MEMBER, .pw_gid = 78 },
		{ .pw_name = n_primary, .pw_uid = PRIMARY, .pw_gid = 77 },
	};

	return i < sizeof(all) / sizeof(all[0]) ? &all[i] : NULL;
}

struct passwd *
getpwnam(const char *name)
{
	struct passwd	*pw;
	unsigned	 i;

	for (i = 0; (pw = user(i)) != NULL; i++)
		if (strcmp(pw->pw_name, name) == 0)
			break;
	return pw;
}

void
setpwent(void)
{
	read_on = 0;
}

struct passwd *
getpwent(void)
{
	return user(read_on++);
}

void
endpwent(void)
{
}

/* ---- busd, played ------------------------------------------------------------ */

#define OUTCOMES	4	/* kept */

static struct side	 busd;
static bool		 deaf;		/* it does not read */
static char		 order[9000];	/* of what was heard, a letter each */
static size_t		 nheard;
static struct msg_bus_node node;
static struct msg_bus_peer seen;	/* the newest */
static struct msg_bus_step step;
static struct msg_bus_outcome outcomes[OUTCOMES];
static unsigned		 nnodes, npeers, ngone, nends, nsteps, noutcomes,
			 nasked;
static uint32_t		 gone;

static inline void
heard(char what)
{
	assert_true(nheard + 1 < sizeof(order));
	order[nheard++] = what;
	order[nheard] = '\0';
}

static inline int
on_node(struct chan *c, const struct ipc_call *call, const void *m)
{
	memcpy(&node, m, sizeof(node));
	nnodes++;
	heard('N');
	return 0;
}

static inline int
on_peer(struct chan *c, const struct ipc_call *call, const void *m)
{
	memcpy(&seen, m, sizeof(seen));
	npeers++;
	heard('P');
	return 0;
}

static inline int
on_gone(struct chan *c, const struct ipc_call *call, const void *m)
{
	gone = ((const struct msg_bus_peer_gone *)m)->peer;
	ngone++;
	heard('G');
	return 0;
}

static inline int
on_end(struct chan *c, const struct ipc_call *call, const void *m)
{
	nends++;
	heard('E');
	return 0;
}

static inline int
on_step(struct chan *c, const struct ipc_call *call, const void *m)
{
	memcpy(&step, m, sizeof(step));
	nsteps++;
	heard('S');
	return 0;
}

static inline int
on_outcome(struct chan *c, const struct ipc_call *call, const void *m)
{
	const struct msg_bus_outcome	*o = m;

	if (noutcomes < OUTCOMES)
		memcpy(&outcomes[noutcomes], o, sizeof(*o));
	noutcomes++;
	nasked += o->asked;
	heard('O');
	return 0;
}

static const struct ipc_handler at_busd[] = {
	{ MSG_BUS_NODE, on_node }, { MSG_BUS_PEER, on_peer },
	{ MSG_BUS_PEER_GONE, on_gone }, { MSG_BUS_PEERS_END, on_end },
	{ MSG_BUS_STEP, on_step }, { MSG_BUS_OUTCOME, on_outcome },
	/* of hubd_log_level(), which is not played here */
};

static inline struct chan *
link_of(enum ipc_role role)
{
	return role == IPC_BUSD ? busd.ours : w_link(role);
}

static inline void
forget(void)
{
	nheard = 0;
	order[0] = '\0';
	nnodes = npeers = ngone = nends = nsteps = noutcomes =
	    nasked = 0;
}

static inline void
pump(void)
{
	int	i;

	for (i = 0; i < 4; i++) {
		w_pump();
		if (busd.ours != NULL && chan_wants_output(busd.ours))
			chan_output(busd.ours);
		if (busd.theirs != NULL && !deaf)
			chan_input(busd.theirs);
		if (busd.theirs != NULL && chan_wants_output(busd.theirs))
			chan_output(busd.theirs);
		if (busd.ours != NULL)
			chan_input(busd.ours);
	}
}

/* All that is on its way to busd, however much it is. */
static inline void
read_all(void)
{
	size_t	before;

	do {
		before = nheard;
		pump();
	} while (nheard != before);
}

static inline void
pass(uint64_t ms)
{
	w_mono += ms;
	w_now += ms / 1000;
	peers_tick(w_mono);
	read_all();
}

static inline void
busd_greets(void)
{
	w_up(&busd, IPC_BUSD, from_busd, nfrom_busd, at_busd,
	    sizeof(at_busd) / sizeof(at_busd[0]));
}

static inline void
busd_up(void)
{
	busd_greets();
	read_all();
	forget();
}

static inline void
busd_dies(void)
{
	chan_close(busd.theirs);
	pump();
	assert_null(busd.ours);
}

/* ---- the answer to a request --------------------------------------------------- */

static unsigned		 answers, dones;
static enum reason	 answer;

static inline void
on_answer(const struct ipc_reply *r, void *arg)
{
	answers++;
	answer = r->reason;
	if (r->type == MSG_DONE) {
		dones++;
		heard('D');
	} else
		heard('R');
}

static inline void
say(enum ipc_type type, const void *m)
{
	assert_int_equal(chan_call(busd.theirs, type, m, -1, 60000, on_answer,
	    NULL), 0);
}

static inline void
wish(enum ipc_type type, uint32_t uid, const char *name)
{
	struct msg_bus_provision	m = { .caller = uid };

	/* The three have the same fields. */
	IPC_SET_STR(m.name, name);
	say(type, &m);
}

/* Ask, and have the answer. */
static inline enum reason
ask(enum ipc_type type, uint32_t uid, const char *name)
{
	unsigned	before = answers;

	wish(type, uid, name);
	read_all();
	assert_int_equal(answers, before + 1);
	return answer;
}

/* ---- the audit log --------------------------------------------------------------- */

struct looked_for {
	const char	*kind, *subject, *text;
	unsigned	 n;
};

static inline void
look(const struct audit_row *row, void *arg)
{
	struct looked_for	*l = arg;

	if (strcmp(row->kind, l->kind) == 0 &&
	    (l->subject == NULL || strcmp(row->subject, l->subject) == 0) &&
	    strcmp(row->text, l->text) == 0)
		l->n++;
}

static inline unsigned
recorded(const char *kind, const char *subject, const char *text)
{
	struct looked_for	l = { kind, subject, text, 0 };
	uint64_t		at = 1;

	while (at != 0)
		at = audit_page(at, 64, look, &l);
	return l.n;
}

/* ---- the world --------------------------------------------------------------------- */

static char	path[] = "/nowhere";

static inline int
setup_as(void **state, bool dbus)
{
	config.dbus = dbus ? path : NULL;
	no_group = deaf = false;
	if (w_setup(state) != 0)
		return -1;
	peers_env.link = link_of;
	bus_read(conf, false);
	answers = dones = 0;
	forget();
	return 0;
}

static inline int
setup(void **state)
{
	return setup_as(state, true);
}

static inline int
setup_without(void **state)
{
	return setup_as(state, false);
}

static inline int
teardown(void **state)
{
	deaf = false;
	if (busd.theirs != NULL)
		busd_dies();
	return w_teardown(state);
}

static inline struct peer *
another(const char *name, enum peer_origin origin, const char *identity)
{
	struct peer	*p;
	struct why	 why;

	p = peer_new(name, origin, identity, "", "192.0.2.9", &why);
	assert_non_null(p);
	return p;
}

/* bmc-b, trusted and connected; busd knows. */
static inline struct peer *
connected(void)
{
	struct peer	*p;

	w_all_up();
	busd_up();
	p = w_provision("bmc-b", &proof_b);
	w_peer_link(p, 2, R_OK);
	read_all();
	assert_int_equal(p->state, P_CONNECTED);
	return p;
}

/* Our own identity, as keyd would have made it possible. */
static inline void
own_identity(bool have)
{
	struct identity	*me = (struct identity *)(uintptr_t)identity_get();
	unsigned	 i;

	memset(me, 0, sizeof(*me));
	if (!have)
		return;
	IPC_SET_STR(me->node, NODE_C);
	for (i = 0; i < IDC_N; i++) {
		me->certs[i].have = true;
		me->certs[i].not_after = T0 * 2ull;
		me->certs[i].len = 300;
		memset(me->certs[i].der, 0x30, 300);
	}
}

/* This node attests itself, well. */
static inline void
self_done(void)
{
	struct proof	p = proof_b;

	own_identity(true);
	w_keyd_up();
	self_changed();
	pass(2000);
	p.node = NODE_C;
	w_prove(&p);
	assert_int_equal(self_state(), SELF_PROVISIONED);
	read_all();
}

#define T(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
