/*
 * A daemon's side of the hub: the link to policyd, the links that policyd
 * introduces, and what every daemon does about them.
 *
 * An introduced link is up once each side has sent LINK_HELLO. A newer
 * generation takes the place of an older one. With keep, losing policyd
 * leaves the other links alone and the hub is greeted again.
 */
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uv.h>

#include "chan.h"
#include "clock.h"
#include "confine.h"
#include "log.h"

#define HELLO_TIMEOUT	10000	/* ms */
#define HELLO_RETRY	200	/* ms; the old instance of a role is dying */
#define HELLO_TRIES	50
#define RETRY_MIN	50	/* ms; waiting for policyd's socket */
#define RETRY_MAX	500
#define COUNTER_DELAY	250	/* ms between reports of counters */
#define HANDLERS_MAX	64	/* of policyd, the hub's own with them */

struct link {
	struct chan	*chan;
	uint32_t	 generation;
	bool		 up;
};

/* One process has one hub. */
static struct hub {
	struct hub_conf	 conf;
	uv_loop_t	*loop;
	struct link	 links[IPC_NROLES];	/* policyd's: the hub itself */
	struct ipc_handler handlers[HANDLERS_MAX];
	size_t		 nhandlers;
	bool		 running, stopping, lost, again, ready;
	unsigned	 tries;		/* HELLOs refused in a row */
	uint32_t	 delay;		/* of hub_backoff() */
	uv_timer_t	*retry;
	uv_timer_t	*report;	/* NULL or closing: not armed */
	uint64_t	 counts[R_COUNT];
	bool		 dirty[R_COUNT];
} hub;

static void	hub_greet(struct chan *);
static int	hub_attach(int);
static void	hub_reconnect_later(void);

/* ---- connecting ---- */

/* A connected socket, or -1 with errno. */
static int
hub_dial(const char *path, int flags)
{
	struct sockaddr_un	sun = { .sun_family = AF_UNIX };
	int			fd, err;

	if (strlen(path) >= sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(sun.sun_path, path, strlen(path));
	if ((fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags,
	    0)) == -1)
		return -1;
	if (connect(fd, (const struct sockaddr *)&sun, sizeof(sun)) == -1) {
		err = errno;
		close(fd);
		errno = err;
		return -1;
	}
	return fd;
}

uint32_t
hub_backoff(uint32_t *next)
{
	uint32_t	delay = *next < RETRY_MIN ? RETRY_MIN : *next;

	*next = delay > RETRY_MAX / 2 ? RETRY_MAX : delay * 2;
	return delay;
}

/* policyd is not there yet, or is coming back. */
static bool
hub_absent(int err)
{
	return err == ENOENT || err == ECONNREFUSED || err == EACCES ||
	    err == EAGAIN || err == EINTR;
}

int
hub_connect(const struct hub_conf *conf)
{
	uint32_t	next = 0;
	bool		said = false;
	int		fd;

	while ((fd = hub_dial(conf->path, 0)) == -1) {
		if (!hub_absent(errno))
			return -1;
		if (!said) {
			log_warn("hub: waiting for policyd at %s%s", conf->path,
			    conf->developer ? "" : " in this daemon's root");
			start_status("waiting for policyd");
		}
		said = true;
		poll(NULL, 0, (int)hub_backoff(&next));
	}
	return fd;
}

/* ---- timers ---- */

static void
timer_free(uv_handle_t *h)
{
	free(h);
}

static void
timer_close(uv_timer_t **t)
{
	if (*t != NULL)
		uv_close((uv_handle_t *)*t, timer_free);
	*t = NULL;
}

static void
timer_start(uv_timer_t **t, uv_timer_cb cb, uint64_t ms)
{
	if (*t == NULL) {
		if ((*t = calloc(1, sizeof(**t))) == NULL)
			fatal("hub");
		uv_timer_init(hub.loop, *t);
	}
	uv_timer_start(*t, cb, ms, 0);
}

/* ---- counters ---- */

static void
counters_send(uv_timer_t *t)
{
	struct msg_counter	 m;
	struct chan		*c = hub_link(IPC_POLICYD);
	unsigned		 i;

	if (t != NULL)
		timer_close(&hub.report);
	for (i = 0; c != NULL && i < R_COUNT; i++) {
		if (!hub.dirty[i])
			continue;
		m = (struct msg_counter){ .reason = i, .count = hub.counts[i] };
		if (chan_send(c, MSG_COUNTER, &m, -1) == -1)
			return;
		hub.dirty[i] = false;
	}
}

uint64_t
hub_count(enum reason reason)
{
	hub.dirty[reason] = true;
	if (hub.running && hub.report == NULL &&
	    hub_link(IPC_POLICYD) != NULL)
		timer_start(&hub.report, counters_send, COUNTER_DELAY);
	return ++hub.counts[reason];
}

/* policyd knows nothing of us yet: tell it everything. */
static void
counters_all(void)
{
	unsigned	i;

	for (i = 0; i < R_COUNT; i++)
		hub.dirty[i] = hub.counts[i] != 0;
	counters_send(NULL);
}

/* ---- links ---- */

struct chan *
hub_link(enum ipc_role role)
{
	return hub.links[role].up ? hub.links[role].chan : NULL;
}

bool
hub_ready(void)
{
	size_t	i;

	if (hub.ready)
		return false;
	for (i = 0; i < hub.conf.npeers; i++)
		if (!hub.conf.peers[i].optional &&
		    hub_link(hub.conf.peers[i].role) == NULL)
			return false;
	hub.ready = true;
	chan_send(hub_link(IPC_POLICYD), MSG_READY, NULL, -1);
	return true;
}

bool
hub_lost(void)
{
	return hub.lost;
}

static void
link_up(enum ipc_role role)
{
	hub.links[role].up = true;
	if (hub.conf.up != NULL)
		hub.conf.up(role, hub.links[role].chan);
}

static void
hub_reconnect(uv_timer_t *t)
{
	int	fd;

	if ((fd = hub_dial(hub.conf.path, SOCK_NONBLOCK)) != -1) {
		if (hub_attach(fd) == -1)
			fatal("hub");
		return;
	}
	if (!hub_absent(errno))
		fatal("hub: %s", hub.conf.path);
	hub_reconnect_later();
}

static void
hub_reconnect_later(void)
{
	timer_start(&hub.retry, hub_reconnect, hub_backoff(&hub.delay));
}

static void
hub_gone(void)
{
	if (!hub.conf.keep) {
		log_debug("hub: policyd has gone");
		hub.lost = true;
		uv_stop(hub.loop);
		return;
	}
	log_info("hub: policyd has gone, waiting for it");
	start_status("policyd has gone, waiting for it");
	hub.again = true;
	hub_reconnect_later();
}

static void
link_offence(struct chan *c, enum reason offence, unsigned type)
{
	struct msg_offence	 m = { .peer = chan_peer(c),
	    .generation = chan_generation(c), .reason = offence, .type = type };

	log_about(LOG_LVL_WARN, reason_code(offence), NULL,
	    "hub: %s: offence in %s: %s %s", ipc_role_name(chan_peer(c)),
	    type == MSG_NONE ? "a record" : ipc_name((enum ipc_type)type),
	    reason_code(offence), reason_text(offence));
	if (chan_peer(c) != IPC_POLICYD)
		chan_send(hub_link(IPC_POLICYD), MSG_OFFENCE, &m, -1);
}

static void
link_closed(struct chan *c, enum reason offence, unsigned type)
{
	enum ipc_role	 role = chan_peer(c);
	struct link	*l = &hub.links[role];
	bool		 was_up = l->up;

	if (offence != R_OK)
		link_offence(c, offence, type);
	l->chan = NULL;
	l->up = false;
	if (hub.stopping)
		return;
	if (role == IPC_POLICYD)
		hub.ready = false;
	if (was_up && hub.conf.down != NULL)
		hub.conf.down(role);
	if (role == IPC_POLICYD)
		hub_gone();
}

static const struct hub_peer *
peer_find(enum ipc_role role)
{
	size_t	i;

	for (i = 0; i < hub.conf.npeers; i++) {
		if (hub.conf.peers[i].role == role)
			return &hub.conf.peers[i];
	}
	return NULL;
}

/* ---- introductions ---- */

static int
link_hello(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_link_hello	*m = arg;
	const struct hub_peer		*p = peer_find(chan_peer(c));

	if (m->catalogue.len != 32 ||
	    memcmp(m->catalogue.data, ipc_catalogue(), 32) != 0) {
		chan_offend(c, R_IPC_BUILD, MSG_LINK_HELLO);
		return 0;
	}
	if (m->generation != chan_generation(c)) {
		chan_offend(c, R_IPC_GENERATION, MSG_LINK_HELLO);
		return 0;
	}
	chan_set_phase(c, IPC_RUN);
	chan_set_handlers(c, p->handlers, p->nhandlers);
	log_debug("hub: link to %s, generation %u",
	    ipc_role_name(chan_peer(c)), m->generation);
	link_up(chan_peer(c));
	return 0;
}

static const struct ipc_handler from_stranger[] = {
	{ MSG_LINK_HELLO,	link_hello },
};

static void
link_open(enum ipc_role role, uint32_t generation, int fd)
{
	struct msg_link_hello	 hello = { .generation = generation };
	struct link		*l = &hub.links[role];
	struct chan_conf	 conf = {
		.self = hub.conf.self,
		.peer = role,
		.generation = generation,
		.handlers = from_stranger,
		.nhandlers = 1,
		.closed = link_closed,
	};

	chan_close(l->chan);
	if ((l->chan = chan_open(hub.loop, fd, &conf)) == NULL)
		fatal("hub: link to %s", ipc_role_name(role));
	l->generation = generation;
	IPC_SET_BLOB(hello.catalogue, ipc_catalogue(), 32);
	chan_send(l->chan, MSG_LINK_HELLO, &hello, -1);
}

static int
hub_introduce(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_introduce	*m = arg;
	enum ipc_role			 role = (enum ipc_role)m->peer;

	if (role == IPC_POLICYD || peer_find(role) == NULL ||
	    ipc_window(hub.conf.self, role) == 0 ||
	    m->generation <= hub.links[role].generation) {
		close(call->fd);
		return -1;
	}
	link_open(role, m->generation, call->fd);
	return 0;
}

static int
hub_log_level(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_log_level	*m = arg;

	log_level((enum log_level)m->level);
	return 0;
}

static int
hub_trusted_time(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_trusted_time	*m = arg;

	clock_set(m->now);
	return 0;
}

static const struct ipc_handler from_hub[] = {
	{ MSG_INTRODUCE,	hub_introduce },
	{ MSG_LOG_LEVEL,	hub_log_level },
	{ MSG_TRUSTED_TIME,	hub_trusted_time },
};

/* ---- the greeting ---- */

static void
hub_greet_again(uv_timer_t *t)
{
	if (hub.links[IPC_POLICYD].chan != NULL)
		hub_greet(hub.links[IPC_POLICYD].chan);
}

static void
hub_refused(struct chan *c, const struct ipc_reply *r)
{
	if (r->reason == R_IPC_CLOSED)
		return;			/* link_closed() knows what to do */
	if (r->reason == R_IPC_DEADLINE) {
		chan_close(c);
		return;
	}
	if (r->reason == R_IPC_ROLE && ++hub.tries < HELLO_TRIES) {
		timer_start(&hub.retry, hub_greet_again, HELLO_RETRY);
		return;
	}
	fatalx("hub: %s: %s %s", reason_code(r->reason),
	    reason_text(r->reason), reason_remedy(r->reason));
}

static void
hub_welcome(const struct ipc_reply *r, void *arg)
{
	const struct msg_welcome	*m = r->msg;
	struct chan			*c = arg;
	unsigned			 i;

	if (r->reason != R_OK) {
		hub_refused(c, r);
		return;
	}
	if (m->catalogue.len != 32 ||
	    memcmp(m->catalogue.data, ipc_catalogue(), 32) != 0)
		fatalx("hub: %s: %s %s", reason_code(R_IPC_BUILD),
		    reason_text(R_IPC_BUILD), reason_remedy(R_IPC_BUILD));
	if (hub.again)
		start_status("serving");
	hub.tries = 0;
	hub.delay = 0;
	/* Another policyd numbers its links anew. */
	for (i = 0; i < IPC_NROLES; i++)
		hub.links[i].generation = 0;
	clock_set(m->now);
	log_level((enum log_level)m->log_level);
	chan_set_phase(c, IPC_RUN);
	link_up(IPC_POLICYD);
	counters_all();
}

static void
hub_greet(struct chan *c)
{
	struct msg_hello	m = {
		.role = hub.conf.self,
		.developer = hub.conf.developer,
		.again = hub.again,
	};

	IPC_SET_BLOB(m.catalogue, ipc_catalogue(), 32);
	if (chan_call(c, MSG_HELLO, &m, -1, HELLO_TIMEOUT, hub_welcome,
	    c) == -1)
		chan_close(c);
}

static int
hub_attach(int fd)
{
	struct chan_conf	 conf = {
		.self = hub.conf.self,
		.peer = IPC_POLICYD,
		.handlers = hub.handlers,
		.nhandlers = hub.nhandlers,
		.closed = link_closed,
	};
	struct chan		*c;

	if ((c = chan_open(hub.loop, fd, &conf)) == NULL)
		return -1;
	hub.links[IPC_POLICYD].chan = c;
	hub_greet(c);
	return 0;
}

int
hub_start(struct uv_loop_s *loop, int fd, const struct hub_conf *conf)
{
	const struct hub_peer	*p;
	size_t			 i;

	hub.conf = *conf;
	hub.loop = loop;
	hub.running = true;
	hub.stopping = hub.lost = hub.again = hub.ready = false;
	hub.tries = 0;
	hub.delay = 0;
	hub.nhandlers = 0;
	for (i = 0; i < sizeof(from_hub) / sizeof(from_hub[0]); i++)
		hub.handlers[hub.nhandlers++] = from_hub[i];
	if ((p = peer_find(IPC_POLICYD)) != NULL) {
		if (p->nhandlers > HANDLERS_MAX - hub.nhandlers)
			fatalx("hub: too many handlers");
		for (i = 0; i < p->nhandlers; i++)
			hub.handlers[hub.nhandlers++] = p->handlers[i];
	}
	return hub_attach(fd);
}

void
hub_stop(void)
{
	unsigned	i;

	hub.stopping = true;
	hub.running = false;
	for (i = 0; i < IPC_NROLES; i++)
		chan_close(hub.links[i].chan);
	timer_close(&hub.retry);
	timer_close(&hub.report);
}
