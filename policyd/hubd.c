/*
 * The hub: a socket for each role, greetings, introductions, offences.
 *
 * Who may connect is the mode of a file; SO_PEERCRED must name the role's
 * user as well. What a connection says before its greeting is complete can
 * only be HELLO. Links between two daemons are socketpairs made here, with a
 * generation; policyd keeps neither end.
 */
#include <sys/types.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "ca.h"
#include "clock.h"
#include "confine.h"

#define PENDING_MAX	4	/* of a role, not greeted yet */
#define PENDING_MS	15000	/* how long one may say nothing */
#define AUDIT_GAP_MS	60000	/* between records of refused greetings */
#define GREETS_MAX	60UL	/* greetings of a role in a row; then ... */
#define GREET_MS	1000	/* ... one each: each costs records and links */
#define ACCUSE_MAX	3	/* accusations upwards by one daemon in ... */
#define ACCUSE_MS	600000	/* ... this time; one more turns against it */

struct conn {
	TAILQ_ENTRY(conn) entry;
	enum ipc_role	 role;		/* of the socket it came on */
	struct chan	*chan;
	struct ucred	 cred;
	uint64_t	 heard;		/* mono ms of its last word */
	bool		 complained;
};
TAILQ_HEAD(connq, conn);

static struct role {
	int		 fd;		/* listener, or -1 */
	uv_poll_t	*poll;
	uid_t		 uid;		/* who may greet */
	struct connq	 pending;
	unsigned	 npending;
	struct conn	*live;
	pid_t		 banned;	/* it offended: it must start afresh */
	uint64_t	 refused[R_COUNT]; /* mono ms; last greeting, by reason */
	uint64_t	 greets;	/* mono ms until which they are paid for */
	uint64_t	 accused[ACCUSE_MAX];	/* mono ms, by this role */
	uint32_t	 links[IPC_NROLES];	/* generations, the newest */
	uint32_t	 blamed[IPC_NROLES];	/* the newest it complained of */
	struct hubd_row	 row;
	uint64_t	 counts[R_COUNT], before[R_COUNT];
} roles[IPC_NROLES];

static uv_loop_t	*hub_loop;
static bool		 hub_stopping;

static const struct {
	const struct ipc_handler *handlers;
	const size_t	*n;
} tables[IPC_NROLES] = {
	[IPC_KEYD] = { from_keyd, &nfrom_keyd },
	[IPC_NETD] = { from_netd, &nfrom_netd },
	[IPC_ATTESTQ] = { from_attestq, &nfrom_attestq },
	[IPC_ATTESTR] = { from_attestr, &nfrom_attestr },
	[IPC_ENROLD] = { from_enrold, &nfrom_enrold },
	[IPC_BUSD] = { from_busd, &nfrom_busd },
};

static const struct ipc_handler from_stranger[] = {
	{ MSG_HELLO,	hubd_hello },
};

static bool
is_daemon(enum ipc_role r)
{
	return r != IPC_POLICYD && r != IPC_PROVCTL && r < IPC_NROLES;
}

/* ---- sockets ---- */

/* Somebody listens there: another policyd runs. */
static bool
socket_alive(const struct sockaddr_un *sun)
{
	bool	alive;
	int	fd;

	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		fatal("socket");
	alive = connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) == 0 ||
	    errno == EAGAIN;		/* its queue is full */
	close(fd);
	return alive;
}

int
hubd_listen(const char *path, gid_t gid)
{
	struct sockaddr_un	sun = { .sun_family = AF_UNIX };
	mode_t			mask;
	int			fd;

	if (strlen(path) >= sizeof(sun.sun_path))
		fatalx("%s: longer than a socket's name may be", path);
	memcpy(sun.sun_path, path, strlen(path));
	if (socket_alive(&sun))
		fatalx("%s: another policyd listens there", path);
	if (unlink(path) == -1 && errno != ENOENT) {
		if (errno == EROFS)
			fatalx("%s: %s %s %s", path,
			    reason_code(R_SYS_STORE_READONLY),
			    reason_text(R_SYS_STORE_READONLY),
			    reason_remedy(R_SYS_STORE_READONLY));
		fatal("unlink %s", path);
	}
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		fatal("socket");
	mask = umask(0177);
	if (bind(fd, (const struct sockaddr *)&sun, sizeof(sun)) == -1)
		fatal("bind %s", path);
	umask(mask);
	if (gid != (gid_t)-1 && chown(path, (uid_t)-1, gid) == -1)
		fatal("chown %s", path);
	if (chmod(path, 0660) == -1)
		fatal("chmod %s", path);
	if (listen(fd, 16) == -1)
		fatal("listen %s", path);
	return fd;
}

void
hubd_bind(const struct conf *c, bool developer)
{
	char		 path[4096];
	const char	*user;
	struct passwd	*pw;
	gid_t		 gid;
	unsigned	 r;

	memset(roles, 0, sizeof(roles));
	for (r = 0; r < IPC_NROLES; r++) {
		TAILQ_INIT(&roles[r].pending);
		roles[r].fd = -1;
		roles[r].row.log_level = LOG_LVL_INFO;
		if (!is_daemon(r) ||
		    (r == IPC_ENROLD && c->listeners == NULL) ||
		    (r == IPC_BUSD && c->dbus == NULL))
			continue;
		gid = (gid_t)-1;
		roles[r].uid = geteuid();
		user = confine_role_user(ipc_role_name(r));
		if (!developer) {
			if ((pw = getpwnam(user)) == NULL)
				fatalx("there is no user %s", user);
			roles[r].uid = pw->pw_uid;
			gid = geteuid() == 0 ? pw->pw_gid : gid;
		}
		if (confine_hub_path(c, ipc_role_name(r), path,
		    sizeof(path)) == -1)
			fatalx("path of a hub socket is too long");
		roles[r].fd = hubd_listen(path, gid);
	}
}

/* ---- what others ask ---- */

struct chan *
hubd_link(enum ipc_role r)
{
	return roles[r].live == NULL ? NULL : roles[r].live->chan;
}

const struct hubd_row *
hubd_row(enum ipc_role r)
{
	return &roles[r].row;
}

/* Counts are what a daemon says; their sum must not wrap. */
static uint64_t
counts_sum(uint64_t a, uint64_t b)
{
	return a + b > INT64_MAX ? INT64_MAX : a + b;
}

void
hubd_counters(void (*fn)(enum ipc_role, enum reason, uint64_t, void *),
    void *arg)
{
	unsigned	r, i;
	uint64_t	n;

	for (r = 0; r < IPC_NROLES; r++) {
		for (i = 0; i < R_COUNT; i++) {
			n = counts_sum(roles[r].counts[i],
			    roles[r].before[i]);
			if (n > 0)
				fn(r, i, n, arg);
		}
	}
}

uint64_t
hubd_count(enum reason r)
{
	return ++roles[IPC_POLICYD].counts[r];
}

void
hubd_log_level(enum ipc_role r, uint32_t level)
{
	struct msg_log_level	m = { .level = level };

	roles[r].row.log_level = level;
	if (r == IPC_POLICYD)
		log_level((enum log_level)level);
	else
		(void)chan_send(hubd_link(r), MSG_LOG_LEVEL, &m, -1);
}

void
hubd_broadcast(enum ipc_type type, const void *msg)
{
	unsigned	r;

	for (r = 0; r < IPC_NROLES; r++)
		(void)chan_send(hubd_link(r), type, msg, -1);
}

/* ---- introductions ---- */

static void
introduce_end(enum ipc_role to, enum ipc_role peer, int fd)
{
	struct msg_introduce	m = { .peer = peer };

	m.generation = roles[to].links[peer];
	if (chan_send(hubd_link(to), MSG_INTRODUCE, &m, fd) == -1)
		close(fd);
}

static void
introduce_pair(enum ipc_role a, enum ipc_role b)
{
	int	fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0, fds) == -1) {
		log_warn("hub: %s-%s: socketpair", ipc_role_name(a),
		    ipc_role_name(b));
		return;
	}
	roles[a].links[b]++;
	roles[b].links[a] = roles[a].links[b];
	introduce_end(a, b, fds[0]);
	introduce_end(b, a, fds[1]);
}

static void
introduce(enum ipc_role r)
{
	unsigned	o;

	for (o = 0; o < IPC_NROLES; o++)
		if (o != r && is_daemon(o) && ipc_window(r, o) != 0 &&
		    roles[o].live != NULL)
			introduce_pair(r, o);
}

/*
 * Whoever has a link with the offender gets a newer one whose other end is
 * closed: the offender's links end without its help.
 */
static void
cut_links(enum ipc_role offender)
{
	unsigned	o;
	int		fds[2];

	for (o = 0; o < IPC_NROLES; o++) {
		if (!is_daemon(o) || ipc_window(offender, o) == 0 ||
		    roles[o].live == NULL ||
		    roles[o].links[offender] == 0)
			continue;
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC |
		    SOCK_NONBLOCK, 0, fds) == -1) {
			log_warn("hub: socketpair");
			continue;
		}
		close(fds[1]);
		roles[o].links[offender]++;
		roles[offender].links[o] = roles[o].links[offender];
		introduce_end(o, offender, fds[0]);
	}
}

/* ---- connections ---- */

static void
conn_down(struct conn *c)
{
	struct role	*r = &roles[c->role];

	r->live = NULL;
	r->row.up = r->row.ready = false;
	if (hub_stopping)
		return;
	log_info("hub: %s: gone", ipc_role_name(c->role));
	identity_down(c->role);
	service_down(c->role);
	peers_down(c->role);
}

static void
conn_offended(enum ipc_role offender, enum ipc_role by, enum reason offence,
    unsigned type)
{
	struct role	*r = &roles[offender];

	r->row.offences++;
	hubd_count(offence);
	log_about(LOG_LVL_WARN, reason_code(offence), NULL,
	    "hub: %s: offence, seen by %s: %s %s in %s",
	    ipc_role_name(offender), ipc_role_name(by), reason_code(offence),
	    reason_text(offence), type > MSG_NONE && type < MSG_COUNT ?
	    ipc_name((enum ipc_type)type) : "a record");
	audit_record(AUDIT_OFFENCE, ipc_role_name(offender), offence,
	    "in %s, seen by %s", type > MSG_NONE && type < MSG_COUNT ?
	    ipc_name((enum ipc_type)type) : "a record", ipc_role_name(by));
}

/*
 * Whoever may reach a socket can do this as often as he likes: all of it is
 * counted, and one of a kind recorded each minute.
 */
static void
conn_refused(struct conn *c, enum reason reason, const char *what)
{
	struct role	*r = &roles[c->role];
	const char	*name = ipc_role_name(c->role);

	hubd_count(reason);
	if (c->complained || (r->refused[reason] != 0 &&
	    c->heard - r->refused[reason] < AUDIT_GAP_MS))
		return;
	c->complained = true;
	r->refused[reason] = c->heard;
	log_about(LOG_LVL_WARN, reason_code(reason), NULL,
	    "hub: %s: %s of pid %d, uid %u refused: %s %s", name, what,
	    (int)c->cred.pid, (unsigned)c->cred.uid, reason_code(reason),
	    reason_text(reason));
	audit_record(AUDIT_REFUSAL, name, reason, "%s of pid %d, uid %u", what,
	    (int)c->cred.pid, (unsigned)c->cred.uid);
}

static void
conn_closed(struct chan *ch, enum reason offence, unsigned type)
{
	struct conn	*c = chan_arg(ch);
	struct role	*r = &roles[c->role];

	if (r->live != c) {
		TAILQ_REMOVE(&r->pending, c, entry);
		r->npending--;
		if (offence != R_OK)
			conn_refused(c, offence, "a record before the greeting");
		free(c);
		return;
	}
	if (offence != R_OK) {
		conn_offended(c->role, IPC_POLICYD, offence, type);
		r->banned = c->cred.pid;
		cut_links(c->role);
	}
	conn_down(c);
	free(c);
}

static void
conn_new(enum ipc_role role, int fd)
{
	struct chan_conf	 cc = { .self = IPC_POLICYD, .peer = role,
	    .handlers = from_stranger, .nhandlers = 1, .closed = conn_closed };
	struct role		*r = &roles[role];
	struct conn		*c;
	socklen_t		 len;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		fatal("hub");
	c->role = role;
	c->heard = clock_mono_ms();
	len = sizeof(c->cred);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c->cred, &len) == -1)
		fatal("hub: SO_PEERCRED");
	if (r->npending == PENDING_MAX) {
		hubd_count(R_IPC_SILENT);
		chan_close(TAILQ_FIRST(&r->pending)->chan);
	}
	cc.arg = c;
	if ((c->chan = chan_open(hub_loop, fd, &cc)) == NULL)
		fatal("hub");
	TAILQ_INSERT_TAIL(&r->pending, c, entry);
	r->npending++;
}

static void
listen_ready(uv_poll_t *h, int status, int events)
{
	struct role	*r = h->data;
	int		 fd, i;

	for (i = 0; i < PENDING_MAX; i++) {
		fd = accept4(r->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd == -1) {
			if (errno != EAGAIN && errno != EINTR &&
			    errno != ECONNABORTED)
				log_warn("hub: accept");
			return;
		}
		conn_new((enum ipc_role)(r - roles), fd);
	}
}

void
hubd_start(struct uv_loop_s *loop)
{
	unsigned	r;
	int		e;

	hub_loop = loop;
	hub_stopping = false;
	for (r = 0; r < IPC_NROLES; r++) {
		if (roles[r].fd == -1)
			continue;
		if ((roles[r].poll = calloc(1, sizeof(uv_poll_t))) == NULL)
			fatal("hub");
		roles[r].poll->data = &roles[r];
		if ((e = uv_poll_init(loop, roles[r].poll, roles[r].fd)) != 0 ||
		    (e = uv_poll_start(roles[r].poll, UV_READABLE,
		    listen_ready)) != 0)
			fatalx("hub: poll: %s", uv_strerror(e));
	}
}

void
hubd_tick(uint64_t mono_ms)
{
	struct conn	*c, *next;
	unsigned	 r;

	for (r = 0; r < IPC_NROLES; r++) {
		for (c = TAILQ_FIRST(&roles[r].pending); c != NULL; c = next) {
			next = TAILQ_NEXT(c, entry);
			if (c->heard + PENDING_MS > mono_ms)
				continue;
			if (hubd_count(R_IPC_SILENT) == 1)
				log_about(LOG_LVL_WARN,
				    reason_code(R_IPC_SILENT), NULL,
				    "hub: %s: %s", ipc_role_name(r),
				    reason_text(R_IPC_SILENT));
			chan_close(c->chan);
		}
	}
}

static void
poll_free(uv_handle_t *h)
{
	free(h);
}

void
hubd_stop(void)
{
	unsigned	 r;

	hub_stopping = true;
	for (r = 0; r < IPC_NROLES; r++) {
		while (!TAILQ_EMPTY(&roles[r].pending))
			chan_close(TAILQ_FIRST(&roles[r].pending)->chan);
		if (roles[r].live != NULL)
			chan_close(roles[r].live->chan);
		if (roles[r].poll != NULL)
			uv_close((uv_handle_t *)roles[r].poll, poll_free);
		roles[r].poll = NULL;
		if (roles[r].fd != -1)
			close(roles[r].fd);
		roles[r].fd = -1;
	}
}

/* ---- greetings ---- */

/*
 * Each greeting moves the states of peers and makes links for its sisters: a
 * daemon that was taken over must not do so without end. No service manager
 * starts one more often than this.
 */
static bool
greets_too_often(struct role *r)
{
	uint64_t	now = clock_mono_ms();

	if (r->greets < now)
		r->greets = now;
	if (r->greets - now >= GREETS_MAX * GREET_MS)
		return true;
	r->greets += GREET_MS;
	return false;
}

/* Has the other end gone, though its end of file was not read yet? */
static bool
hung_up(struct chan *ch)
{
	struct pollfd	p = { .fd = chan_fd(ch), .events = 0 };

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR)) != 0;
}

static enum reason
hello_check(const struct conn *c, const struct msg_hello *m)
{
	struct role	*r = &roles[c->role];

	if (c->cred.uid != r->uid)
		return R_IPC_USER;
	if (m->role != c->role)
		return R_IPC_SOCKET;
	if (m->catalogue.len != 32 ||
	    memcmp(m->catalogue.data, ipc_catalogue(), 32) != 0)
		return R_IPC_BUILD;
	if (r->banned != 0 && r->banned == c->cred.pid)
		return R_IPC_OFFENDED;
	if (r->live != NULL && hung_up(r->live->chan))
		chan_close(r->live->chan);
	if (r->live != NULL)
		return R_IPC_ROLE;
	return greets_too_often(r) ? R_IPC_GREETINGS : R_OK;
}

/*
 * The connection stays: a daemon that was started anew may be faster than the
 * end of the one before it, and tries again.
 */
static int
hello_refuse(struct conn *c, const struct ipc_call *call, enum reason reason)
{
	conn_refused(c, reason, "greeting");
	return chan_refuse(c->chan, call, reason);
}

static void
conn_up(struct conn *c, bool developer)
{
	struct role	*r = &roles[c->role];
	unsigned	 i;

	TAILQ_REMOVE(&r->pending, c, entry);
	r->npending--;
	r->live = c;
	r->banned = 0;
	r->row.up = true;
	r->row.ready = false;
	r->row.pid = c->cred.pid;
	r->row.uid = c->cred.uid;
	r->row.developer = developer;
	r->row.generation++;
	r->row.since = clock_trusted();
	for (i = 0; i < R_COUNT; i++) {
		r->before[i] = counts_sum(r->before[i], r->counts[i]);
		r->counts[i] = 0;
	}
}

int
hubd_hello(struct chan *ch, const struct ipc_call *call, const void *arg)
{
	const struct msg_hello	*m = arg;
	struct conn		*c = chan_arg(ch);
	struct role		*r = &roles[c->role];
	struct msg_welcome	 w = { 0 };
	enum reason		 reason;

	c->heard = clock_mono_ms();
	if ((reason = hello_check(c, m)) != R_OK)
		return hello_refuse(c, call, reason);
	IPC_SET_BLOB(w.catalogue, ipc_catalogue(), 32);
	w.now = clock_trusted();
	w.log_level = r->row.log_level;
	if (chan_reply(ch, call, MSG_WELCOME, &w) == -1)
		return 0;
	chan_set_phase(ch, IPC_RUN);
	chan_set_handlers(ch, tables[c->role].handlers, *tables[c->role].n);
	conn_up(c, m->developer);
	log_info("hub: %s: pid %d greeted%s%s", ipc_role_name(c->role),
	    (int)c->cred.pid, m->again ? " again" : "",
	    m->developer ? ", unconfined (developer mode)" : "");
	introduce(c->role);
	settings_up(c->role);
	identity_up(c->role);
	service_up(c->role);
	peers_up(c->role);
	return 0;
}

int
hubd_ready(struct chan *ch, const struct ipc_call *call, const void *arg)
{
	struct role	*r = &roles[chan_peer(ch)];

	if (!r->row.ready)
		log_info("hub: %s: ready", ipc_role_name(chan_peer(ch)));
	r->row.ready = true;
	return 0;
}

int
hubd_counter(struct chan *ch, const struct ipc_call *call, const void *arg)
{
	const struct msg_counter	*m = arg;

	if (m->count < roles[chan_peer(ch)].counts[m->reason])
		return -1;
	roles[chan_peer(ch)].counts[m->reason] = m->count;
	return 0;
}

/* ---- offences ---- */

/*
 * Two say something else of one link, and nobody can tell who lies. The one
 * is believed who could do without the other anyway: keyd, which no network
 * reaches, over all; netd, which may hand attestd nothing, over attestd. A
 * daemon that accuses those above it again and again is the one to distrust:
 * a hostile attestd -R must not be able to keep keyd from the others.
 */
static bool
is_above(enum ipc_role a, enum ipc_role b)
{
	return a < b;		/* the order of enum ipc_role */
}

static bool
accuses_too_much(struct role *by)
{
	uint64_t	now = clock_mono_ms();
	unsigned	i, oldest = 0;

	for (i = 0; i < ACCUSE_MAX; i++)
		if (by->accused[i] < by->accused[oldest])
			oldest = i;
	if (by->accused[oldest] != 0 &&
	    now - by->accused[oldest] < ACCUSE_MS)
		return true;
	by->accused[oldest] = now;
	return false;
}

int
hubd_offence(struct chan *ch, const struct ipc_call *call, const void *arg)
{
	const struct msg_offence	*m = arg;
	enum ipc_role			 by = chan_peer(ch), who = m->peer;
	struct role			*r = &roles[who];

	if (!is_daemon(who) || ipc_window(by, who) == 0 || m->reason == R_OK)
		return -1;
	/* Each link once; those to come have offended nobody. */
	if (m->generation <= roles[by].blamed[who] ||
	    m->generation > roles[by].links[who])
		return 0;
	roles[by].blamed[who] = m->generation;
	if (is_above(who, by) && accuses_too_much(&roles[by]))
		return -1;
	conn_offended(who, by, m->reason, m->type);
	/* The offender has gone, and another one greeted since. */
	if (m->generation != roles[by].links[who])
		return 0;
	r->banned = r->row.pid;
	cut_links(who);
	if (r->live != NULL)
		chan_close(r->live->chan);
	return 0;
}
