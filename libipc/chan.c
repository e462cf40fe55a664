/*
 * Channels: records of a SOCK_SEQPACKET socket, checked, matched and
 * dispatched. What the peer sends is hostile until every check has passed.
 *
 * A channel closes in one place, chan_finish(), and its memory goes when the
 * last frame and the last handle have let go of it: a callback may close any
 * channel, its own too.
 */
#include <sys/types.h>
#include <sys/queue.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chan.h"
#include "clock.h"
#include "field.h"
#include "log.h"
#include "queue.h"
#include "wire.h"

#define NITEMS(a)	(sizeof(a) / sizeof((a)[0]))
#define INPUT_MAX	32	/* records read in one turn of the loop */
#define OUTPUT_MAX	128	/* records written in one turn */

/* A call of ours: late once its callback has run and its reply has not come. */
struct sent {
	enum { SENT_FREE, SENT_PENDING, SENT_LATE } state;
	uint32_t	 id;
	enum ipc_type	 type;
	uint64_t	 deadline;
	ipc_reply_fn	 cb;
	void		*arg;
};

/* A call of the peer; its place is taken until the reply is in the kernel. */
struct taken {
	enum { TAKEN_FREE, TAKEN_OPEN, TAKEN_ANSWERED } state;
	uint32_t	 id;
	enum ipc_type	 type;
};

struct chan {
	LIST_ENTRY(chan) entry;
	int		 fd;
	unsigned	 refs;
	uint64_t	 serial;
	struct chan_conf conf;
	enum ipc_phase	 phase;
	bool		 closing;
	bool		 doomed;	/* closes at the loop's next turn */
	enum reason	 doom;
	const struct chan_watch *watch;
	void		*watch_arg;

	unsigned	 window;
	uint32_t	 last_id;
	struct sent	*sent;		/* window of them */
	struct taken	*taken;		/* window of them */

	struct queue	 queue;

	union ipc_any	 msg;		/* the record being dispatched */
};

/* Live channels, so that an answer given later finds its channel or nothing. */
static LIST_HEAD(, chan) channels = LIST_HEAD_INITIALIZER(channels);
static uint64_t	next_serial = 1;

static void	chan_finish(struct chan *, enum reason, unsigned);

/* ---- life ---- */

struct chan *
chan_new(int fd, const struct chan_conf *conf)
{
	struct chan	*c;
	int		 flags;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	c->window = ipc_window(conf->self, conf->peer);
	c->sent = calloc(c->window + 1, sizeof(*c->sent));
	c->taken = calloc(c->window + 1, sizeof(*c->taken));
	if (c->sent == NULL || c->taken == NULL ||
	    (flags = fcntl(fd, F_GETFL)) == -1 ||
	    fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1) {
		free(c->sent);
		free(c->taken);
		free(c);
		return NULL;
	}
	c->fd = fd;
	c->refs = 1;
	c->serial = next_serial++;
	c->conf = *conf;
	c->phase = IPC_START;
	queue_init(&c->queue);
	LIST_INSERT_HEAD(&channels, c, entry);
	return c;
}

void
chan_hold(struct chan *c)
{
	c->refs++;
}

void
chan_release(struct chan *c)
{
	if (--c->refs > 0)
		return;
	free(c->sent);
	free(c->taken);
	free(c);
}

void
chan_set_watch(struct chan *c, const struct chan_watch *watch, void *arg)
{
	c->watch = watch;
	c->watch_arg = arg;
}

static void
chan_changed(struct chan *c)
{
	if (c->watch != NULL && !c->closing)
		c->watch->changed(c, c->watch_arg);
}

void
chan_close(struct chan *c)
{
	if (c != NULL)
		chan_finish(c, R_OK, MSG_NONE);
}

void
chan_offend(struct chan *c, enum reason reason, unsigned type)
{
	chan_finish(c, reason, type);
}

/*
 * Close at the next turn of the loop: a caller of chan_send() must find the
 * channel alive when it returns.
 */
static void
chan_doom(struct chan *c, enum reason reason)
{
	if (c->doomed || c->closing)
		return;
	c->doomed = true;
	c->doom = reason;
	chan_changed(c);
}

static bool
chan_met_doom(struct chan *c)
{
	if (!c->closing && c->doomed)
		chan_finish(c, c->doom, MSG_NONE);
	return c->closing;
}

int
chan_fd(const struct chan *c)
{
	return c->fd;
}

enum ipc_role
chan_peer(const struct chan *c)
{
	return c->conf.peer;
}

uint32_t
chan_generation(const struct chan *c)
{
	return c->conf.generation;
}

void *
chan_arg(const struct chan *c)
{
	return c->conf.arg;
}

void
chan_set_phase(struct chan *c, enum ipc_phase phase)
{
	c->phase = phase;
}

void
chan_set_handlers(struct chan *c, const struct ipc_handler *h, size_t n)
{
	c->conf.handlers = h;
	c->conf.nhandlers = n;
}

struct chan *
chan_find(const struct ipc_call *call)
{
	struct chan	*c;

	LIST_FOREACH(c, &channels, entry) {
		if (c->serial == call->chan)
			return c;
	}
	return NULL;
}

/* With -v: one line for each message, never its payload. */
static void
trace(enum ipc_role from, enum ipc_role to, enum ipc_type type, uint32_t id,
    size_t len)
{
	log_trace("ipc: %s > %s %s %u %zu", ipc_role_name(from),
	    ipc_role_name(to), ipc_name(type), id, len);
}

/* ---- output queue ---- */

/* The reply to this call is in the kernel: its place in the window is free. */
static void
taken_free(struct chan *c, uint32_t id)
{
	unsigned	i;

	for (i = 0; i < c->window; i++) {
		if (c->taken[i].state == TAKEN_ANSWERED &&
		    c->taken[i].id == id) {
			c->taken[i].state = TAKEN_FREE;
			return;
		}
	}
}

static void
chan_send_failed(struct chan *c, int err)
{
	if (err == EAGAIN || err == EWOULDBLOCK)
		return;
	/*
	 * The peer is gone. What it said before is still to be read, and
	 * reading finds the end.
	 */
	if (err == EPIPE || err == ECONNRESET)
		queue_drop(&c->queue);
	else
		chan_doom(c, err == ETOOMANYREFS ? R_IPC_QUEUE : R_OK);
}

/* Give the kernel what it takes. */
static void
chan_flush(struct chan *c)
{
	struct record	*r;
	unsigned	 n;

	for (n = 0; n < OUTPUT_MAX; n++) {
		if ((r = queue_first(&c->queue)) == NULL)
			return;
		if (wire_send(c->fd, r->data, r->len, r->fd) == -1) {
			chan_send_failed(c, errno);
			return;
		}
		trace(c->conf.self, c->conf.peer, r->type, r->id, r->len);
		if (ipc_kind(r->type) == IPC_REPLY)
			taken_free(c, r->id);
		queue_remove(&c->queue, r);
	}
}

size_t
chan_room(const struct chan *c)
{
	if (c == NULL || c->closing || c->doomed || c->queue.n >= IPC_QUEUE_MAX)
		return 0;
	return IPC_QUEUE_MAX - c->queue.n;
}

bool
chan_wants_output(const struct chan *c)
{
	return queue_first(&c->queue) != NULL;
}

int
chan_output(struct chan *c)
{
	int	ret;

	chan_hold(c);
	if (!chan_met_doom(c)) {
		chan_flush(c);
		chan_changed(c);
		if (queue_first(&c->queue) == NULL && c->conf.drained != NULL)
			c->conf.drained(c);
	}
	ret = chan_met_doom(c) ? -1 : 0;
	chan_release(c);
	return ret;
}

/* Encode and queue; send at once if nothing is in the way. */
static int
chan_put(struct chan *c, enum ipc_type type, uint32_t id, const void *msg,
    int fd)
{
	bool	idle = queue_first(&c->queue) == NULL;

	if (c->closing || c->doomed ||
	    !ipc_route(type, c->conf.self, c->conf.peer, c->phase) ||
	    ipc_takes_fd(type) != (fd != -1) ||
	    queue_put(&c->queue, type, id, msg, fd) == -1)
		return -1;
	if (idle)
		chan_flush(c);
	if (c->queue.n > IPC_QUEUE_MAX)
		chan_doom(c, R_IPC_QUEUE);
	if (queue_first(&c->queue) != NULL)
		chan_changed(c);
	return 0;
}

int
chan_send(struct chan *c, enum ipc_type type, const void *msg, int fd)
{
	if (c == NULL || !ipc_known(type) || (ipc_kind(type) != IPC_EVENT &&
	    ipc_kind(type) != IPC_STATE))
		return -1;
	return chan_put(c, type, 0, msg, fd);
}

/* ---- our calls ---- */

static struct sent *
sent_find(struct chan *c, uint32_t id)
{
	unsigned	i;

	for (i = 0; i < c->window; i++) {
		if (c->sent[i].state != SENT_FREE && c->sent[i].id == id)
			return &c->sent[i];
	}
	return NULL;
}

unsigned
chan_window(const struct chan *c)
{
	unsigned	i, n = 0;

	if (c == NULL || c->closing || c->doomed)
		return 0;
	for (i = 0; i < c->window; i++)
		n += c->sent[i].state == SENT_FREE;
	return n;
}

int
chan_call(struct chan *c, enum ipc_type type, const void *msg, int fd,
    uint32_t timeout, ipc_reply_fn cb, void *arg)
{
	struct sent	*s = NULL;
	unsigned	 i;

	if (c == NULL || !ipc_known(type) || ipc_kind(type) != IPC_CALL)
		return -1;
	for (i = 0; i < c->window && s == NULL; i++) {
		if (c->sent[i].state == SENT_FREE)
			s = &c->sent[i];
	}
	if (s == NULL)
		return -1;
	do {
		c->last_id++;
	} while (c->last_id == 0 || sent_find(c, c->last_id) != NULL);
	if (chan_put(c, type, c->last_id, msg, fd) == -1)
		return -1;
	s->state = SENT_PENDING;
	s->id = c->last_id;
	s->type = type;
	s->deadline = clock_mono_ms() + timeout;
	s->cb = cb;
	s->arg = arg;
	chan_changed(c);
	return 0;
}

static void
sent_fail(struct sent *s, enum reason reason)
{
	struct ipc_reply	r = { .type = MSG_REFUSED, .reason = reason };

	s->cb(&r, s->arg);
}

int64_t
chan_next_deadline(const struct chan *c, uint64_t now)
{
	int64_t		next = -1, left;
	unsigned	i;

	if (c->closing)
		return -1;
	if (c->doomed)
		return 0;
	for (i = 0; i < c->window; i++) {
		if (c->sent[i].state != SENT_PENDING)
			continue;
		left = c->sent[i].deadline > now ?
		    (int64_t)(c->sent[i].deadline - now) : 0;
		if (next == -1 || left < next)
			next = left;
	}
	return next;
}

int64_t
chan_deadlines(struct chan *c, uint64_t now)
{
	int64_t		next;
	unsigned	i;

	chan_hold(c);
	for (i = 0; i < c->window && !chan_met_doom(c); i++) {
		if (c->sent[i].state == SENT_PENDING &&
		    c->sent[i].deadline <= now) {
			/* The reply is still owed: its place stays taken. */
			c->sent[i].state = SENT_LATE;
			sent_fail(&c->sent[i], R_IPC_DEADLINE);
		}
	}
	chan_met_doom(c);
	next = chan_next_deadline(c, now);
	chan_release(c);
	return next;
}

/* ---- our replies ---- */

int
chan_reply(struct chan *c, const struct ipc_call *call, enum ipc_type type,
    const void *msg)
{
	struct msg_refused	 refused = { .reason = R_IPC_FORM };
	struct taken		*t = NULL;
	unsigned		 i;

	if (c == NULL || c->closing || c->serial != call->chan)
		return -1;
	for (i = 0; i < c->window && t == NULL; i++) {
		if (c->taken[i].state == TAKEN_OPEN &&
		    c->taken[i].id == call->id)
			t = &c->taken[i];
	}
	if (t == NULL || !ipc_answers(t->type, type))
		return -1;
	t->state = TAKEN_ANSWERED;
	if (chan_put(c, type, call->id, msg, -1) == 0)
		return 0;
	/* It does not encode. The caller learns that there is no answer. */
	return chan_put(c, MSG_REFUSED, call->id, &refused, -1);
}

int
chan_done(struct chan *c, const struct ipc_call *call)
{
	return chan_reply(c, call, MSG_DONE, NULL);
}

/* What does not fit is cut at a character; what is no UTF-8 is left out. */
static void
set_cut(char *field, size_t size, const char *s)
{
	size_t	len;

	memset(field, 0, size);
	if (s == NULL)
		return;
	len = strnlen(s, size - 1);
	while (len > 0 && ((uint8_t)s[len] & 0xc0) == 0x80)
		len--;
	if (ipc_utf8(s, len))
		memcpy(field, s, len);
}

int
chan_refuse_why(struct chan *c, const struct ipc_call *call, enum reason reason,
    const char *field, const char *expected, const char *seen)
{
	struct msg_refused	m = { .reason = reason };

	set_cut(m.field, sizeof(m.field), field);
	set_cut(m.expected, sizeof(m.expected), expected);
	set_cut(m.seen, sizeof(m.seen), seen);
	return chan_reply(c, call, MSG_REFUSED, &m);
}

int
chan_refuse(struct chan *c, const struct ipc_call *call, enum reason reason)
{
	return chan_refuse_why(c, call, reason, NULL, NULL, NULL);
}

/* ---- input: every check, in one order ---- */

static ipc_fn
handler_find(const struct chan *c, enum ipc_type type)
{
	size_t	i;

	for (i = 0; i < c->conf.nhandlers; i++) {
		if (c->conf.handlers[i].type == type)
			return c->conf.handlers[i].fn;
	}
	return NULL;
}

/* Remember a call of the peer's. */
static enum reason
take_call(struct chan *c, enum ipc_type type, uint32_t id)
{
	struct taken	*t = NULL;
	unsigned	 i;

	for (i = 0; i < c->window; i++) {
		if (c->taken[i].state == TAKEN_FREE) {
			if (t == NULL)
				t = &c->taken[i];
		} else if (c->taken[i].id == id)
			return R_IPC_FORM;
	}
	if (t == NULL)
		return R_IPC_WINDOW;
	t->state = TAKEN_OPEN;
	t->id = id;
	t->type = type;
	return R_OK;
}

static enum reason
dispatch_reply(struct chan *c, enum ipc_type type, uint32_t id)
{
	struct ipc_reply	 r = { .type = type, .msg = &c->msg };
	struct sent		*s, was;

	if ((s = sent_find(c, id)) == NULL || !ipc_answers(s->type, type))
		return R_IPC_REPLY;
	was = *s;
	s->state = SENT_FREE;
	if (was.state == SENT_LATE)
		return R_OK;
	if (type == MSG_REFUSED) {
		r.refused = &c->msg.refused;
		r.reason = (enum reason)r.refused->reason;
		/* A refusal without a reason is still a refusal. */
		if (r.reason == R_OK)
			return R_IPC_FORM;
	}
	was.cb(&r, was.arg);
	return R_OK;
}

static enum reason
dispatch(struct chan *c, struct arrival *a, enum ipc_type type, uint32_t id)
{
	struct ipc_call	 call = { c->serial, id, type, -1 };
	enum reason	 reason;
	ipc_fn		 fn;

	if (ipc_kind(type) == IPC_REPLY)
		return dispatch_reply(c, type, id);
	if (ipc_kind(type) == IPC_CALL &&
	    (reason = take_call(c, type, id)) != R_OK)
		return reason;
	if ((fn = handler_find(c, type)) == NULL)
		return R_IPC_UNHANDLED;
	if (a->nfds == 1) {
		call.fd = a->fds[0];
		a->nfds = 0;
	}
	return fn(c, &call, &c->msg) == -1 ? R_IPC_HANDLER : R_OK;
}

/* Our own table is full: no fault of the peer's, who may try again. */
static enum reason
no_room_for_fd(struct chan *c, enum ipc_type type, uint32_t id)
{
	struct ipc_call	 call = { c->serial, id, type, -1 };
	enum reason	 reason;

	if (ipc_kind(type) != IPC_CALL) {
		chan_doom(c, R_OK);
		return R_OK;
	}
	if ((reason = take_call(c, type, id)) == R_OK)
		chan_refuse(c, &call, R_IPC_DESCRIPTOR);
	return reason;
}

/* Peer and direction, phase, form and bounds; then what it asks for. */
static enum reason
check(struct chan *c, struct arrival *a, enum ipc_type *type)
{
	enum ipc_role	self = c->conf.self, peer = c->conf.peer;
	uint32_t	id;

	*type = MSG_NONE;
	if (a->truncated || ipc_peek(a->buf, a->len, type, &id) == -1)
		return R_IPC_FORM;
	trace(peer, self, *type, id, a->len);
	if (!ipc_route(*type, peer, self, IPC_START) &&
	    !ipc_route(*type, peer, self, IPC_RUN))
		return R_IPC_ROUTE;
	if (!ipc_route(*type, peer, self, c->phase))
		return R_IPC_PHASE;
	if (ipc_decode(*type, a->buf, a->len, &c->msg) == -1)
		return R_IPC_FORM;
	if (ipc_takes_fd(*type) && a->lost && a->nfds == 0)
		return no_room_for_fd(c, *type, id);
	if (a->lost || a->nfds != (ipc_takes_fd(*type) ? 1 : 0))
		return R_IPC_DESCRIPTOR;
	return dispatch(c, a, *type, id);
}

int
chan_input(struct chan *c)
{
	static struct arrival	 a;
	enum ipc_type		 type;
	enum reason		 reason;
	unsigned		 n;
	int			 got = 1;

	chan_hold(c);
	for (n = 0; n < INPUT_MAX && !chan_met_doom(c); n++) {
		if ((got = wire_recv(c->fd, &a)) != 1)
			break;
		reason = check(c, &a, &type);
		arrival_close(&a);
		/* It may be a one-time code, or the secrets of a session. */
		explicit_bzero(a.buf, a.len);
		explicit_bzero(&c->msg, ipc_size(type));
		if (!chan_met_doom(c) && reason != R_OK)
			chan_finish(c, reason, type);
	}
	if (got == -1)
		chan_finish(c, R_OK, MSG_NONE);
	got = chan_met_doom(c) ? -1 : 0;
	chan_release(c);
	return got;
}

/* ---- the end ---- */

static void
chan_finish(struct chan *c, enum reason reason, unsigned type)
{
	unsigned	i;

	if (c->closing)
		return;
	c->closing = true;
	LIST_REMOVE(c, entry);
	if (c->watch != NULL)
		c->watch->closing(c, c->watch_arg);
	close(c->fd);
	c->fd = -1;
	queue_drop(&c->queue);
	for (i = 0; i < c->window; i++) {
		if (c->sent[i].state == SENT_PENDING) {
			c->sent[i].state = SENT_FREE;
			sent_fail(&c->sent[i], R_IPC_CLOSED);
		}
	}
	if (c->conf.closed != NULL)
		c->conf.closed(c, reason, type);
	chan_release(c);
}
