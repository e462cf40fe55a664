/*
 * busd as a process of its own: user, filter and all, on a message bus that
 * the test starts, against a policyd that the test plays, and callers of
 * several users.
 */
#ifndef BUS_WORLD_H
#define BUS_WORLD_H

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../busd/busd.h"
#include "log.h"

#define N(a)		(sizeof(a) / sizeof((a)[0]))
#define PATIENCE	120000	/* ms; a loaded machine with sanitizers */
#define POLICY		"etc/dbus/xyz.openbmc_project.Provisioning.conf"
#define PROPERTIES	"org.freedesktop.DBus.Properties"
#define MANAGER		"org.freedesktop.DBus.ObjectManager"

/* What busd.c has, which is not in the archive that tests link. */
static uv_loop_t	busd_loop;
static bool		busd_neighbours;

static uv_loop_t	loop;
static uv_timer_t	patience;

static struct {
	char		 dir[64], socket[96];
	pid_t		 daemon;	/* the bus */
	bool		 anybody;	/* may own every name, and be heard */
	pid_t		 pid;		/* busd */
	int		 status;	/* of busd, once it was waited for */
	struct chan	*hub;
	bool		 greeted;
	unsigned	 ready, offences;
	/* policyd: what it was asked, and how it answers */
	unsigned	 asked, waiting;
	enum ipc_type	 type;		/* of the last one */
	uint32_t	 caller, level;
	char		 name[65];
	bool		 mute;
	enum reason	 refuse;	/* R_OK: accept */
	struct ipc_call	 calls[64];	/* of those not answered */
	struct msg_bus_node node;	/* said last */
	uint64_t	 counts[R_COUNT];
	unsigned	 neighbours, neighbours_gone, neighbours_end;
	struct msg_neighbour neighbour;	/* the last one */
} w;

/* ---- the process --------------------------------------------------------------- */

static inline void	busd_up(enum ipc_role role, struct chan *c);

void
busd_ready(void)
{
	if (bus_named() && hub_ready() && busd_neighbours)
		lldp_start(&busd_loop, bus_get());
}

void
busd_end(void)
{
	lldp_stop();
	call_stop();
	progress_stop();
	view_stop();
	bus_stop();
	hub_stop();
	loop_end();
}

static inline void
busd_up(enum ipc_role role, struct chan *c)
{
	busd_ready();
}

/* As main() of busd has it, without a root directory. */
static inline void
busd_child(int hub)
{
	struct start_opts	 o = { .foreground = true };
	struct hub_conf		 hc = { .self = IPC_BUSD, .developer = true,
	    .peers = busd_peers, .npeers = busd_npeers, .up = busd_up,
	    .down = busd_down };
	int			 fd, code;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	confine_become(&busd_confine, &o);
	fd = bus_connect(w.socket);
	bus_init(fd);
	/* An emulator of another machine has none. */
	if (prctl(PR_GET_SECCOMP) != -1) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
			_exit(9);
		confine_filter(&busd_confine);
	}
	loop_start(&busd_loop, busd_end);
	bus_start(&busd_loop);
	if (hub_start(&busd_loop, hub, &hc) == -1)
		_exit(9);
	uv_run(&busd_loop, UV_RUN_DEFAULT);
	if (hub_lost()) {
		busd_end();
		uv_run(&busd_loop, UV_RUN_DEFAULT);
	}
	code = bus_lost() ? 1 : 0;
	_exit(uv_loop_close(&busd_loop) == 0 ? code : 8);
}

/* ---- policyd, played here ------------------------------------------------------- */

static inline int
on_ask(struct chan *c, const struct ipc_call *call, uint32_t caller,
    const char *name, uint32_t level)
{
	w.type = call->type;
	w.caller = caller;
	w.level = level;
	snprintf(w.name, sizeof(w.name), "%s", name);
	w.asked++;
	if (w.mute) {
		assert_true(w.waiting < N(w.calls));
		w.calls[w.waiting++] = *call;
		return 0;
	}
	if (w.refuse != R_OK)
		return chan_refuse_why(c, call, w.refuse, "field", "this",
		    "that");
	return chan_done(c, call);
}

static inline int
on_provision(struct chan *c, const struct ipc_call *call, const void *msg)
{
	const struct msg_bus_provision	*m = msg;

	return on_ask(c, call, m->caller, m->name, 0);
}

static inline int
on_unprovision(struct chan *c, const struct ipc_call *call, const void *msg)
{
	const struct msg_bus_unprovision	*m = msg;

	return on_ask(c, call, m->caller, m->name, 0);
}

static inline int
on_revoke(struct chan *c, const struct ipc_call *call, const void *msg)
{
	const struct msg_bus_revoke	*m = msg;

	return on_ask(c, call, m->caller, m->name, 0);
}

static inline int
on_log_level(struct chan *c, const struct ipc_call *call, const void *msg)
{
	const struct msg_bus_log_level	*m = msg;

	return on_ask(c, call, m->caller, "", m->level);
}

/* Every call that was left unanswered. */
static inline void
answer_all(void)
{
	unsigned	i;

	for (i = 0; i < w.waiting; i++)
		chan_done(chan_find(&w.calls[i]), &w.calls[i]);
	w.waiting = 0;
}

static inline int
on_ready(struct chan *c, const struct ipc_call *call, const void *msg)
{
	w.ready++;
	return 0;
}

static inline int
on_counter(struct chan *c, const struct ipc_call *call, const void *msg)
{
	const struct msg_counter *m = msg;

	w.counts[m->reason] = m->count;
	return 0;
}

static inline int
on_offence(struct chan *c, const struct ipc_call *call, const void *msg)
{
	w.offences++;
	return 0;
}

static inline int
on_neighbour(struct chan *c, const struct ipc_call *call, const void *msg)
{
	w.neighbour = *(const struct msg_neighbour *)msg;
	w.neighbours++;
	return 0;
}

static inline int
on_neighbour_gone(struct chan *c, const struct ipc_call *call, const void *msg)
{
	w.neighbours_gone++;
	return 0;
}

static inline int
on_neighbours_end(struct chan *c, const struct ipc_call *call, const void *msg)
{
	w.neighbours_end++;
	return 0;
}

static const struct ipc_handler from_busd[] = {
	{ MSG_BUS_PROVISION, on_provision },
	{ MSG_BUS_UNPROVISION, on_unprovision },
	{ MSG_BUS_REVOKE, on_revoke },
	{ MSG_BUS_LOG_LEVEL, on_log_level },
	{ MSG_READY, on_ready }, { MSG_COUNTER, on_counter },
	{ MSG_OFFENCE, on_offence },
	{ MSG_NEIGHBOUR, on_neighbour },
	{ MSG_NEIGHBOUR_GONE, on_neighbour_gone },
	{ MSG_NEIGHBOURS_END, on_neighbours_end },
};

static inline int
on_hello(struct chan *c, const struct ipc_call *call, const void *msg)
{
	struct msg_welcome	m = { .now = (uint64_t)time(NULL) };

	IPC_SET_BLOB(m.catalogue, ipc_catalogue(), 32);
	chan_reply(c, call, MSG_WELCOME, &m);
	chan_set_phase(c, IPC_RUN);
	chan_set_handlers(c, from_busd, N(from_busd));
	w.greeted = true;
	return 0;
}

static const struct ipc_handler from_new[] = { { MSG_HELLO, on_hello } };

static inline void
on_closed(struct chan *c, enum reason offence, unsigned type)
{
	if (offence != R_OK)
		fail_msg("offence by busd: %s", reason_code(offence));
	w.hub = NULL;
}

/* ---- the loop ------------------------------------------------------------------------ */

static inline void
out_of_patience(uv_timer_t *t)
{
	fail_msg("nothing happened in two minutes: asked %u, ready %u",
	    w.asked, w.ready);
}

#define WAIT_FOR(cond)	do {						\
	uv_timer_start(&patience, out_of_patience, PATIENCE, 0);	\
	while (!(cond))							\
		uv_run(&loop, UV_RUN_ONCE);				\
	uv_timer_stop(&patience);					\
} while (0)

/* ---- what policyd says ------------------------------------------------------------------ */

static inline struct msg_bus_node
node_words(void)
{
	struct msg_bus_node	m = { .self = SELF_PROVISIONED,
	    .connected = LINK_NOTDETERMINED, .log_level = LOG_LVL_INFO,
	    .since = 1000 };

	IPC_SET_STR(m.node, "0123456789abcdef0123456789abcdef01234567");
	IPC_SET_STR(m.name, "bmc-a");
	return m;
}

static inline struct msg_bus_peer
peer_words(uint32_t id, const char *name)
{
	struct msg_bus_peer	m = { .peer = id, .provisioned = true,
	    .connected = LINK_CONNECTED, .since = 1000, .port = 4194,
	    .attested = 2000, .measured = 5, .equal = 5 };

	IPC_SET_STR(m.name, name);
	IPC_SET_STR(m.origin, "configuration");
	IPC_SET_STR(m.state, "Connected");
	IPC_SET_STR(m.node, "89abcdef0123456789abcdef0123456789abcdef");
	IPC_SET_STR(m.identity, m.node);
	IPC_SET_STR(m.address, "192.0.2.7");
	IPC_SET_STR(m.reference, "configured");
	return m;
}

static inline void
say_node(const struct msg_bus_node *m)
{
	w.node = *m;
	assert_int_equal(chan_send(w.hub, MSG_BUS_NODE, m, -1), 0);
}

static inline void
say_peer(const struct msg_bus_peer *m)
{
	assert_int_equal(chan_send(w.hub, MSG_BUS_PEER, m, -1), 0);
}

static inline void
say_gone(uint32_t id)
{
	struct msg_bus_peer_gone	m = { .peer = id };

	assert_int_equal(chan_send(w.hub, MSG_BUS_PEER_GONE, &m, -1), 0);
}

static inline void
say_end(void)
{
	assert_int_equal(chan_send(w.hub, MSG_BUS_PEERS_END, NULL, -1), 0);
}

/* ---- callers ------------------------------------------------------------------------------ */

struct caller {
	sd_bus		*bus;
	uv_poll_t	 poll;
	uv_prepare_t	 before;
	int		 open;		/* handles that are not closed yet */
	bool		 gone;		/* the bus closed it */
	/* signals that it has seen, "path iface member first-argument;" */
	char		 signals[16384];
	unsigned	 nsignals;
};

struct answer {
	bool		 done, error;
	char		 name[96];	/* of the error */
	char		 text[1024];	/* of the error */
	sd_bus_message	*m;		/* unref'd by answer_free() */
};

static inline bool
caller_work(struct caller *c)
{
	bool	did = false;
	int	r;

	while (!c->gone && (r = sd_bus_process(c->bus, NULL)) != 0) {
		did = true;
		if (r < 0 || sd_bus_is_open(c->bus) <= 0)
			c->gone = true;
	}
	return did;
}

static inline void
caller_ready(uv_poll_t *p, int status, int events)
{
	caller_work(p->data);
}

static inline void
caller_look(uv_prepare_t *p)
{
	struct caller	*c = p->data;
	int		 e;

	/* What came may be what is waited for: the loop must not sleep. */
	if (caller_work(c))
		uv_stop(&loop);
	if (c->gone || (e = sd_bus_get_events(c->bus)) < 0) {
		uv_poll_stop(&c->poll);
		return;
	}
	uv_poll_start(&c->poll, (e & POLLIN ? UV_READABLE : 0) |
	    (e & POLLOUT ? UV_WRITABLE : 0), caller_ready);
}

/* A connection of this user, with or without the group provd. */
static inline struct caller *
caller_open(uid_t uid, bool member)
{
	struct caller		*c = calloc(1, sizeof(*c));
	struct sockaddr_un	 sun = { .sun_family = AF_UNIX };
	struct group		*gr = getgrnam("provd");
	int			 fd;

	assert_non_null(c);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", w.socket);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (geteuid() == 0) {
		assert_non_null(gr);
		assert_int_equal(setgroups(member, &gr->gr_gid), 0);
		assert_int_equal(setegid(uid == 0 ? 0 : 65534), 0);
		assert_int_equal(seteuid(uid), 0);
	}
	assert_int_equal(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	if (geteuid() != getuid()) {
		assert_int_equal(seteuid(0), 0);
		assert_int_equal(setegid(0), 0);
	}
	assert_true(sd_bus_new(&c->bus) >= 0);
	assert_true(sd_bus_set_fd(c->bus, fd, fd) >= 0);
	assert_true(sd_bus_set_bus_client(c->bus, 1) >= 0);
	assert_true(sd_bus_start(c->bus) >= 0);
	assert_int_equal(uv_poll_init(&loop, &c->poll, fd), 0);
	assert_int_equal(uv_prepare_init(&loop, &c->before), 0);
	c->poll.data = c->before.data = c;
	c->open = 2;
	uv_prepare_start(&c->before, caller_look);
	return c;
}

static inline void
caller_freed(uv_handle_t *h)
{
	struct caller	*c = h->data;

	if (--c->open == 0)
		free(c);
}

static inline void
caller_close(struct caller *c)
{
	uv_close((uv_handle_t *)&c->poll, caller_freed);
	uv_close((uv_handle_t *)&c->before, caller_freed);
	sd_bus_close(c->bus);
	sd_bus_unref(c->bus);
}

static inline int
answered(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	const sd_bus_error	*e = sd_bus_message_get_error(m);
	struct answer		*a = arg;

	a->done = true;
	if (e != NULL) {
		a->error = true;
		snprintf(a->name, sizeof(a->name), "%s", e->name);
		snprintf(a->text, sizeof(a->text), "%s", e->message);
	}
	a->m = sd_bus_message_ref(m);
	return 1;
}

static inline void
answer_free(struct answer *a)
{
	sd_bus_message_unref(a->m);
	memset(a, 0, sizeof(*a));
}

/* Sends a call that was filled, and takes it. */
static inline void
call_send(struct caller *c, struct answer *a, sd_bus_message *m)
{
	memset(a, 0, sizeof(*a));
	assert_true(sd_bus_call_async(c->bus, NULL, m, answered, a,
	    (uint64_t)PATIENCE * 1000) >= 0);
	sd_bus_message_unref(m);
}

static inline sd_bus_message *
call_make(struct caller *c, const char *path, const char *iface,
    const char *member)
{
	sd_bus_message	*m;

	assert_true(sd_bus_message_new_method_call(c->bus, &m, BUS_NAME, path,
	    iface, member) >= 0);
	return m;
}

/* A call with one string, or none if s is NULL. */
static inline void
call_one(struct caller *c, struct answer *a, const char *path,
    const char *iface, const char *member, const char *s)
{
	sd_bus_message	*m = call_make(c, path, iface, member);

	if (s != NULL)
		assert_true(sd_bus_message_append(m, "s", s) >= 0);
	call_send(c, a, m);
}

/* The same, waited for: the name of the error, or "". */
static inline const char *
call_wait(struct caller *c, struct answer *a, const char *path,
    const char *iface, const char *member, const char *s)
{
	call_one(c, a, path, iface, member, s);
	WAIT_FOR(a->done);
	return a->name;
}

/* A property, that must be there; its reply stands in its variant. */
static inline sd_bus_message *
property(struct caller *c, struct answer *a, const char *path,
    const char *iface, const char *name, const char *type)
{
	sd_bus_message	*m = call_make(c, path, PROPERTIES, "Get");

	assert_true(sd_bus_message_append(m, "ss", iface, name) >= 0);
	call_send(c, a, m);
	WAIT_FOR(a->done);
	if (a->error)
		fail_msg("%s %s: %s: %s", path, name, a->name, a->text);
	assert_true(sd_bus_message_enter_container(a->m, 'v', type) > 0);
	return a->m;
}

static inline bool
property_flag(struct caller *c, const char *path, const char *iface,
    const char *name)
{
	struct answer	a;
	int		flag;

	assert_true(sd_bus_message_read(property(c, &a, path, iface, name,
	    "b"), "b", &flag) > 0);
	answer_free(&a);
	return flag != 0;
}

/* The text stays until the next call. */
static inline const char *
property_text(struct caller *c, const char *path, const char *iface,
    const char *name)
{
	static char	text[1024];
	struct answer	a;
	const char	*s;

	assert_true(sd_bus_message_read(property(c, &a, path, iface, name,
	    "s"), "s", &s) > 0);
	snprintf(text, sizeof(text), "%s", s);
	answer_free(&a);
	return text;
}

/* The same until it has this value. */
static inline void
property_becomes(struct caller *c, const char *path, const char *iface,
    const char *name, const char *value)
{
	uint64_t	till = uv_hrtime() + PATIENCE * 1000000ULL;

	while (strcmp(property_text(c, path, iface, name), value) != 0)
		if (uv_hrtime() > till)
			fail_msg("%s: %s is not %s", path, name, value);
}

/* ---- signals ------------------------------------------------------------------------------- */

/* The values of PropertiesChanged in its order: " Name=value". */
static inline void
note_changes(sd_bus_message *m, char *out, size_t size)
{
	const char	*key, *sig, *s;
	size_t		 n = 0;
	char		 type;
	int		 flag;
	uint32_t	 u;
	uint64_t	 t;

	if (sd_bus_message_skip(m, "s") < 0 ||
	    sd_bus_message_enter_container(m, 'a', "{sv}") < 0)
		return;
	while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
		assert_true(sd_bus_message_read(m, "s", &key) > 0);
		assert_true(sd_bus_message_peek_type(m, &type, &sig) > 0);
		assert_true(sd_bus_message_enter_container(m, 'v', sig) > 0);
		n += (size_t)snprintf(out + n, size - n, " %s=", key);
		if (*sig == 's' && sd_bus_message_read(m, "s", &s) > 0)
			n += (size_t)snprintf(out + n, size - n, "%s", s);
		else if (*sig == 'b' && sd_bus_message_read(m, "b", &flag) > 0)
			n += (size_t)snprintf(out + n, size - n, "%d", flag);
		else if (*sig == 'u' && sd_bus_message_read(m, "u", &u) > 0)
			n += (size_t)snprintf(out + n, size - n, "%u", u);
		else if (*sig == 't' && sd_bus_message_read(m, "t", &t) > 0)
			n += (size_t)snprintf(out + n, size - n, "%llu",
			    (unsigned long long)t);
		else
			sd_bus_message_skip(m, sig);
		assert_true(n < size);
		sd_bus_message_exit_container(m);
		sd_bus_message_exit_container(m);
	}
}

static inline int
on_signal(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	struct caller	*c = arg;
	size_t		 n = strlen(c->signals);
	char		 what[2048] = "", sig[8];
	const char	*object;
	int		 flag;

	if (sd_bus_message_is_signal(m, PROPERTIES, "PropertiesChanged") > 0)
		note_changes(m, what, sizeof(what));
	else if (sd_bus_message_is_signal(m, MANAGER, NULL) > 0 &&
	    sd_bus_message_read(m, "o", &object) > 0)
		snprintf(what, sizeof(what), " %s", object);
	else if (snprintf(sig, sizeof(sig), "%s",
	    sd_bus_message_get_signature(m, 1)) > 0 && strcmp(sig, "b") == 0 &&
	    sd_bus_message_read(m, "b", &flag) > 0)
		snprintf(what, sizeof(what), " %d", flag);
	n += (size_t)snprintf(c->signals + n, sizeof(c->signals) - n,
	    "%s %s%s;", sd_bus_message_get_path(m),
	    sd_bus_message_get_member(m), what);
	assert_true(n < sizeof(c->signals));
	c->nsignals++;
	return 0;
}

/* From now on it hears what comes below a path; waits for the bus to know. */
static inline void
caller_listen(struct caller *c, const char *below)
{
	char		 rule[256];
	struct answer	 a;
	sd_bus_message	*m;

	snprintf(rule, sizeof(rule), "type='signal',path_namespace='%s'",
	    below);
	assert_true(sd_bus_add_match_async(c->bus, NULL, rule, on_signal, NULL,
	    c) >= 0);
	assert_true(sd_bus_message_new_method_call(c->bus, &m,
	    "org.freedesktop.DBus", "/org/freedesktop/DBus",
	    "org.freedesktop.DBus", "GetId") >= 0);
	call_send(c, &a, m);
	WAIT_FOR(a.done);
	answer_free(&a);
}

static inline void
signals_clear(struct caller *c)
{
	c->signals[0] = '\0';
	c->nsignals = 0;
}

static inline void
level_becomes(struct caller *c, const char *word)
{
	uint64_t	 till = uv_hrtime() + PATIENCE * 1000000ULL;
	struct answer	 a;
	const char	*s;
	bool		 same = false;

	while (!same) {
		call_wait(c, &a, BUS_DEBUG, BUS_IFACE_DEBUG, "GetLogLevel",
		    NULL);
		assert_true(sd_bus_message_read(a.m, "s", &s) > 0);
		same = strcmp(s, word) == 0;
		answer_free(&a);
		assert_true(uv_hrtime() < till);
	}
}

/*
 * What policyd said was heard, and what busd signalled of it has come to c.
 * Two links have no order between them, so that something is said last which
 * can be asked for and is no signal: a level of the log that is no other time.
 */
static inline void
signals_settle(struct caller *c)
{
	struct msg_bus_node	m = w.node;

	m.log_level = LOG_LVL_WARN;
	assert_int_equal(chan_send(w.hub, MSG_BUS_NODE, &m, -1), 0);
	level_becomes(c, "WARNING");
	m.log_level = LOG_LVL_INFO;
	say_node(&m);
	level_becomes(c, "INFO");
}

/* ---- the bus -------------------------------------------------------------------------------- */

static inline void
bus_config(const char *path)
{
	char	*policy = realpath(POLICY, NULL);
	FILE	*f = fopen(path, "w");

	if (policy == NULL || f == NULL)
		fail_msg("%s: start the test from the top of the tree", POLICY);
	/* The default policy of /usr/share/dbus-1/system.conf. */
	fprintf(f, "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus "
	    "Bus Configuration 1.0//EN\" \"http://www.freedesktop.org/"
	    "standards/dbus/1.0/busconfig.dtd\">\n<busconfig>"
	    "<type>system</type><auth>EXTERNAL</auth>"
	    "<listen>unix:path=%s</listen><policy context=\"default\">"
	    "<allow user=\"*\"/><deny own=\"*\"/>"
	    "<deny send_type=\"method_call\"/><allow send_type=\"signal\"/>"
	    "<allow send_requested_reply=\"true\" send_type=\"method_return\"/>"
	    "<allow send_requested_reply=\"true\" send_type=\"error\"/>"
	    "<allow receive_type=\"method_call\"/>"
	    "<allow receive_type=\"method_return\"/>"
	    "<allow receive_type=\"error\"/><allow receive_type=\"signal\"/>"
	    "<allow send_destination=\"org.freedesktop.DBus\" "
	    "send_interface=\"org.freedesktop.DBus\"/></policy>"
	    "<include>%s</include>%s</busconfig>\n", w.socket, policy,
	    w.anybody ? "<policy context=\"mandatory\"><allow own=\"*\"/>"
	    "<allow receive_type=\"signal\"/></policy>" : "");
	assert_int_equal(fclose(f), 0);
	free(policy);
}

static inline void
bus_start_daemon(void)
{
	char	conf[128], arg[160], c;
	int	fds[2];

	snprintf(conf, sizeof(conf), "%s/bus.conf", w.dir);
	snprintf(arg, sizeof(arg), "--config-file=%s", conf);
	bus_config(conf);
	assert_int_equal(pipe(fds), 0);
	if ((w.daemon = fork()) == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(fds[1], STDOUT_FILENO);
		close_range(3, ~0U, 0);
		execlp("dbus-daemon", "dbus-daemon", arg, "--nofork",
		    "--nopidfile", "--nosyslog", "--print-address=1",
		    (char *)NULL);
		_exit(127);
	}
	assert_true(w.daemon > 0);
	close(fds[1]);
	/* its address: it listens */
	assert_int_equal(read(fds[0], &c, 1), 1);
	close(fds[0]);
}

static inline void
bus_stop_daemon(void)
{
	if (w.daemon <= 0)
		return;
	kill(w.daemon, SIGKILL);
	assert_int_equal(waitpid(w.daemon, NULL, 0), w.daemon);
	w.daemon = 0;
}

/* ---- the world ------------------------------------------------------------------------------ */

/* What keeps the test from running here, or NULL. */
static inline const char *
world_lacks(void)
{
	if (geteuid() != 0)
		return "not root: no callers of several users";
	if (getpwnam("_busd") == NULL || getgrnam("provd") == NULL)
		return "the users of the suite are missing";
	if (access("/usr/bin/dbus-daemon", X_OK) == -1)
		return "no dbus-daemon";
	return NULL;
}

static inline void
world_dir(void)
{
	memset(&w, 0, sizeof(w));
	signal(SIGPIPE, SIG_IGN);
	log_init("busd", true);
	snprintf(w.dir, sizeof(w.dir), "/tmp/busd_unit.XXXXXX");
	assert_non_null(mkdtemp(w.dir));
	assert_int_equal(chmod(w.dir, 0755), 0);
	snprintf(w.socket, sizeof(w.socket), "%s/socket", w.dir);
	uv_loop_init(&loop);
	uv_timer_init(&loop, &patience);
}

/* busd starts, and greets policyd when it has found the bus. */
static inline void
busd_start(void)
{
	struct chan_conf	conf = { .self = IPC_POLICYD,
	    .peer = IPC_BUSD, .handlers = from_new, .nhandlers = 1,
	    .closed = on_closed };
	int			fds[2];

	w.ready = 0;
	w.greeted = false;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    fds), 0);
	if ((w.pid = fork()) == 0) {
		close(fds[0]);
		busd_child(fds[1]);
	}
	assert_true(w.pid > 0);
	close(fds[1]);
	assert_non_null(w.hub = chan_open(&loop, fds[0], &conf));
}

static inline void
busd_greeted(void)
{
	WAIT_FOR(w.greeted || w.hub == NULL);
	assert_true(w.greeted);
}

/* How it ends: its exit status, or minus the signal. */
static inline int
busd_wait(void)
{
	int	status;

	assert_int_equal(waitpid(w.pid, &status, 0), w.pid);
	w.pid = 0;
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* policyd goes, and busd with it; nothing is left behind in it. */
static inline void
busd_over(void)
{
	if (w.hub != NULL)
		chan_close(w.hub);
	if (w.pid > 0)
		assert_int_equal(busd_wait(), 0);
}

static inline void
world_end(void)
{
	char	path[128];

	busd_over();
	bus_stop_daemon();
	uv_close((uv_handle_t *)&patience, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	unlink(w.socket);
	snprintf(path, sizeof(path), "%s/bus.conf", w.dir);
	unlink(path);
	assert_int_equal(rmdir(w.dir), 0);
}

/* A node without peers, ready. */
static inline int
setup(void **state)
{
	struct msg_bus_node	m = node_words();

	world_dir();
	bus_start_daemon();
	busd_start();
	busd_greeted();
	say_node(&m);
	say_end();
	WAIT_FOR(w.ready == 1);
	return 0;
}

static inline int
teardown(void **state)
{
	world_end();
	return 0;
}

#endif
