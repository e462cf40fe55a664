/*
 * One connection of a client: TLS or plain, one request after the other. While
 * one is served nothing more is read; what came behind it waits its turn.
 *
 *   HANDSHAKE -> READING <-> SERVING -> WRITING -> READING or LINGER
 *
 * Every state has its time. That of a request runs from its first byte to its
 * last, however slowly they come.
 */
#include <sys/queue.h>
#include <sys/socket.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "enrold.h"
#include "log.h"
#include "secret.h"

#define IDLE_MS		60000	/* between two requests */
#define SERVE_MS	60000	/* asks have deadlines of their own */
#define LINGER_MS	2000	/* for the client to read why it was refused */
#define LINGER_MAX	((size_t)1024 * 1024)	/* bytes that are thrown away meanwhile */
#define IN_MAX		65536	/* bytes that wait behind a request */
#define READ_SIZE	4096
#define READS_MAX	8	/* a turn; others want theirs */
#define PROGRESS	16384	/* bytes read by the client in a request's time */
#define HEAD_MAX	640

enum conn_state { HANDSHAKE, READING, SERVING, WRITING, LINGER };

struct conn {
	TAILQ_ENTRY(conn) entry;
	uint32_t	 number;	/* netd's */
	uint32_t	 generation;	/* of netd's link */
	enum enrol_door	 door;
	char		 address[65];
	enum conn_state	 state;
	bool		 closed, pumping, eof, broken;
	bool		 last;		/* no request follows */
	bool		 spoke;		/* there was a request */
	int		 handles;	/* of libuv, not closed yet */
	uv_timer_t	 timer;
	struct tls	*tls;		/* or, plain: */
	uv_poll_t	 poll;
	int		 fd, watched;
	struct http	*http;
	struct client	 client;
	uint8_t		*in;
	size_t		 in_len, in_size;
	uint8_t		*out;
	size_t		 out_len, out_sent, out_size;
	bool		 out_secret;
	struct blob	*blob;		/* follows out */
	size_t		 blob_sent, progress;
	size_t		 discarded;
	uint8_t		 taken[16];
	size_t		 taken_len;
	void		(*gone)(void *);
	void		*gone_arg;
};

static struct {
	uv_loop_t	*loop;
	TAILQ_HEAD(, conn) all;
	unsigned	 n;
	uint32_t	 handshake_ms, request_ms;
} conns = { .all = TAILQ_HEAD_INITIALIZER(conns.all) };

static void	pump(struct conn *);
static void	ready(uv_poll_t *, int, int);

/* ---- the end ----------------------------------------------------------------- */

static void
handle_closed(uv_handle_t *h)
{
	struct conn *c = h->data;

	if (--c->handles > 0)
		return;
	if (c->fd != -1)
		close(c->fd);
	free(c);
}

static void
tell_over(uint32_t number, uint32_t generation)
{
	struct chan		*netd = hub_link(IPC_NETD);
	struct msg_http_over	 m = { .connection = number };

	/* Another netd knows nothing of it. */
	if (netd != NULL && chan_generation(netd) == generation)
		(void)chan_send(netd, MSG_HTTP_OVER, &m, -1);
}

static void
drop_out(struct conn *c)
{
	if (c->out_secret)
		freezero(c->out, c->out_size);
	else
		free(c->out);
	c->out = NULL;
	c->out_len = c->out_sent = 0;
	blob_release(c->blob);
	c->blob = NULL;
}

static void
conn_end(struct conn *c)
{
	if (c->closed)
		return;
	c->closed = true;
	TAILQ_REMOVE(&conns.all, c, entry);
	conns.n--;
	if (c->gone != NULL)
		c->gone(c->gone_arg);
	c->gone = NULL;
	tls_close(c->tls);
	http_free(c->http);
	freezero(c->in, c->in_size);
	c->in = NULL;
	drop_out(c);
	tell_over(c->number, c->generation);
	if (c->fd != -1)
		uv_close((uv_handle_t *)&c->poll, handle_closed);
	uv_close((uv_handle_t *)&c->timer, handle_closed);
}

/* What strangers do is counted; only the first of a kind is logged. */
void
conn_count(const struct conn *c, const struct refusal *why)
{
	if (hub_count(why->reason) == 1)
		log_about(LOG_LVL_INFO, reason_code(why->reason), NULL,
		    "%s: %s %s (%s: expected %s, seen %s)", c->address,
		    reason_code(why->reason), reason_text(why->reason),
		    why->field, why->expected, why->seen);
	else
		log_debug("%s: %s %s", c->address, reason_code(why->reason),
		    why->field);
}

/* ---- time -------------------------------------------------------------------- */

static const char *const states[] = {
	[HANDSHAKE] = "handshake",
	[READING] = "request",
	[SERVING] = "decision",
	[WRITING] = "answer",
	[LINGER] = "end",
};

static void	late(uv_timer_t *);

static void
within(struct conn *c, uint32_t ms)
{
	uv_timer_start(&c->timer, late, ms, 0);
}

static void
late(uv_timer_t *h)
{
	struct conn	*c = h->data;
	struct refusal	 why;

	if (c->state == READING && c->http != NULL &&
	    http_part(c->http) != HTTP_IDLE) {
		refusal_set(&why, R_ENR_SLOW, http_part(c->http) ==
		    HTTP_HEADER ? "header" : "body", NULL, NULL);
		c->last = true;
		conn_refuse(c, &why);
		return;
	}
	/* Silence between two requests is in order. */
	if (c->state != LINGER && (c->state != READING || !c->spoke)) {
		refusal_set(&why, R_ENR_SLOW, states[c->state], NULL, NULL);
		conn_count(c, &why);
	}
	conn_end(c);
}

/* ---- writing ------------------------------------------------------------------ */

static void
watch(struct conn *c, int events)
{
	if (c->closed || c->watched == events)
		return;
	c->watched = events;
	if (events == 0)
		uv_poll_stop(&c->poll);
	else
		uv_poll_start(&c->poll, events, ready);
}

/* What of it goes out now. */
static size_t
put(struct conn *c, const uint8_t *p, size_t len)
{
	size_t	done = 0;
	ssize_t	n;

	if (c->tls != NULL)
		return tls_write(c->tls, p, len);
	while (done < len) {
		n = send(c->fd, p + done, len - done,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1) {
			/* Reading meets what is wrong with it. */
			if (errno == EAGAIN || errno == EWOULDBLOCK)
				watch(c, c->watched | UV_WRITABLE);
			else
				c->broken = true;
			break;
		}
		done += (size_t)n;
	}
	return done;
}

/* Our side is over; why it is over is to be read before the connection is
 * reset for what we did not read. */
static void
linger(struct conn *c)
{
	c->state = LINGER;
	if (c->tls != NULL) {
		tls_pause(c->tls, false);
		tls_finish(c->tls);
	} else {
		(void)shutdown(c->fd, SHUT_WR);
		watch(c, UV_READABLE);
	}
	within(c, LINGER_MS);
}

static void
written(struct conn *c)
{
	struct msg_enrol_taken m = { 0 };

	drop_out(c);
	if (c->taken_len > 0) {
		IPC_SET_BLOB(m.serial, c->taken, c->taken_len);
		(void)chan_send(hub_link(IPC_POLICYD), MSG_ENROL_TAKEN, &m,
		    -1);
		c->taken_len = 0;
	}
	if (c->last || c->eof) {
		linger(c);
		return;
	}
	http_reset(c->http);
	c->state = READING;
	c->spoke = true;
	within(c, IDLE_MS);
	pump(c);
}

static void
flush(struct conn *c)
{
	size_t	before = c->out_sent + c->blob_sent;

	if (c->state != WRITING)
		return;
	if (c->out_sent < c->out_len)
		c->out_sent += put(c, c->out + c->out_sent,
		    c->out_len - c->out_sent);
	if (c->out_sent == c->out_len && c->blob != NULL &&
	    c->blob_sent < c->blob->len)
		c->blob_sent += put(c, c->blob->p + c->blob_sent,
		    c->blob->len - c->blob_sent);
	if (c->broken) {
		conn_end(c);
		return;
	}
	if (c->out_sent == c->out_len &&
	    (c->blob == NULL || c->blob_sent == c->blob->len)) {
		written(c);
		return;
	}
	c->progress += c->out_sent + c->blob_sent - before;
	if (c->progress >= PROGRESS) {
		c->progress = 0;
		within(c, conns.request_ms);
	}
}

/* ---- answers --------------------------------------------------------------------- */

static const char *
date_text(void)
{
	static char	text[40];
	static uint64_t	at;
	uint64_t	now = clock_trusted();
	time_t		t = (time_t)now;
	struct tm	tm;

	if (now != at && gmtime_r(&t, &tm) != NULL && strftime(text,
	    sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &tm) > 0)
		at = now;
	return text;
}

static size_t
write_head(const struct conn *c, const struct reply *r, size_t len, char *to)
{
	char	type[256] = "";
	int	n;

	if (r->type != NULL)
		snprintf(type, sizeof(type), "Content-Type: %s\r\n", r->type);
	n = snprintf(to, HEAD_MAX, "HTTP/1.1 %u %s\r\nDate: %s\r\n%s%s"
	    "Content-Length: %zu\r\nConnection: %s\r\n\r\n", r->status,
	    http_phrase(r->status), date_text(), type,
	    r->more == NULL ? "" : r->more, len,
	    c->last ? "close" : "keep-alive");
	if (n < 0 || n >= HEAD_MAX)
		fatalx("conn: the head of an answer does not fit");
	return (size_t)n;
}

void
conn_reply(struct conn *c, const struct reply *r)
{
	size_t	len = r->blob != NULL ? r->blob->len : r->len;
	bool	body = http_request(c->http)->verb != VERB_HEAD;

	c->gone = NULL;
	c->last = c->last || !http_request(c->http)->keep_alive;
	c->out_size = HEAD_MAX + r->len;
	if ((c->out = malloc(c->out_size)) == NULL)
		fatal("conn");
	c->out_len = write_head(c, r, len, (char *)c->out);
	c->out_sent = c->blob_sent = c->progress = 0;
	c->out_secret = r->secret;
	/* One buffer, so that it is one record and one segment. */
	if (body && r->body != NULL) {
		memcpy(c->out + c->out_len, r->body, r->len);
		c->out_len += r->len;
	}
	if (r->secret)
		freezero(r->body, r->len);
	else
		free(r->body);
	if (body && r->blob != NULL)
		c->blob = blob_ref(r->blob);
	if (r->taken_len > 0)
		memcpy(c->taken, r->taken, r->taken_len);
	c->taken_len = r->taken_len;
	c->state = WRITING;
	within(c, conns.request_ms);
	flush(c);
}

void
conn_refuse(struct conn *c, const struct refusal *why)
{
	struct reply r = { .status = http_status(why->reason),
	    .type = "application/json" };

	conn_count(c, why);
	r.body = json_error(why, &r.len);
	switch (r.status) {
	case 401:
		r.more = "WWW-Authenticate: Basic realm=\"enrol\"\r\n";
		break;
	case 405:
		r.more = "Allow: GET, HEAD, POST\r\n";
		break;
	case 429:
		r.more = "Retry-After: 60\r\n";
		break;
	case 503:
		r.more = "Retry-After: 5\r\n";
		break;
	}
	conn_reply(c, &r);
}

void
conn_refuse_why(struct conn *c, enum reason reason, const char *field,
    const char *expected, const char *seen)
{
	struct refusal why;

	refusal_set(&why, reason, field, expected, seen);
	conn_refuse(c, &why);
}

/* ---- reading ---------------------------------------------------------------------- */

static void
pause_reading(struct conn *c, bool paused)
{
	if (c->tls != NULL)
		tls_pause(c->tls, paused);
	else
		watch(c, (c->watched & UV_WRITABLE) |
		    (paused || c->eof ? 0 : UV_READABLE));
}

/* It would send its body only now. */
static void
go_on(struct conn *c)
{
	static const char	text[] = "HTTP/1.1 100 Continue\r\n\r\n";

	if (put(c, (const uint8_t *)text, sizeof(text) - 1) < sizeof(text) - 1)
		conn_end(c);
}

static void
step(struct conn *c)
{
	enum http_part	 before = http_part(c->http);
	struct refusal	 why;
	enum http_step	 s;
	size_t		 used;

	s = http_read(c->http, c->in, c->in_len, &used, &why);
	c->in_len -= used;
	memmove(c->in, c->in + used, c->in_len);
	explicit_bzero(c->in + c->in_len, used);	/* maybe a ticket */
	if (before == HTTP_IDLE && http_part(c->http) != HTTP_IDLE)
		within(c, conns.request_ms);
	switch (s) {
	case HTTP_MORE:
		break;
	case HTTP_CONTINUE:
		if (c->in_len == 0)
			go_on(c);
		break;
	case HTTP_WHOLE:
		c->state = SERVING;
		within(c, SERVE_MS);
		route(c);
		break;
	case HTTP_REFUSED:
		/* Where the next request would begin, nobody knows. */
		c->last = true;
		conn_refuse(c, &why);
	}
}

static void
pump(struct conn *c)
{
	if (c->pumping)
		return;
	c->pumping = true;
	while (!c->closed && c->state == READING && c->in_len > 0)
		step(c);
	c->pumping = false;
	if (!c->closed && c->state != LINGER)
		pause_reading(c, c->state != READING);
}

static bool
in_room(struct conn *c, size_t more)
{
	size_t	 size = c->in_size == 0 ? READ_SIZE : c->in_size;
	uint8_t	*grown;

	if (more > IN_MAX - c->in_len)
		return false;
	while (size < c->in_len + more)
		size *= 2;
	if (size == c->in_size)
		return true;
	if ((grown = malloc(size)) == NULL)
		fatal("conn");
	if (c->in_len > 0)
		memcpy(grown, c->in, c->in_len);
	freezero(c->in, c->in_size);
	c->in = grown;
	c->in_size = size;
	return true;
}

static void
received(struct conn *c, const uint8_t *p, size_t len)
{
	struct refusal why;

	if (c->state == LINGER) {
		if ((c->discarded += len) > LINGER_MAX)
			conn_end(c);
		return;
	}
	if (c->http == NULL && (c->http = http_new()) == NULL)
		fatal("conn");
	if (!in_room(c, len)) {
		refusal_set(&why, R_ENR_BODY, "pipeline", NULL, NULL);
		conn_count(c, &why);
		conn_end(c);
		return;
	}
	memcpy(c->in + c->in_len, p, len);
	c->in_len += len;
	pump(c);
}

/* ---- plain -------------------------------------------------------------------------- */

static void
read_plain(struct conn *c)
{
	uint8_t	buf[READ_SIZE];
	ssize_t	n;
	int	i;

	for (i = 0; i < READS_MAX && !c->closed && c->watched & UV_READABLE;
	    i++) {
		n = recv(c->fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (n <= 0) {
			c->eof = true;
			if (c->state == READING || c->state == LINGER ||
			    n == -1)
				conn_end(c);
			return;
		}
		received(c, buf, (size_t)n);
		explicit_bzero(buf, (size_t)n);
	}
}

static void
ready(uv_poll_t *h, int status, int events)
{
	struct conn *c = h->data;

	if (status < 0) {
		conn_end(c);
		return;
	}
	if (events & UV_WRITABLE) {
		watch(c, c->watched & ~UV_WRITABLE);
		flush(c);
	}
	if (events & UV_READABLE && !c->closed)
		read_plain(c);
}

/* ---- TLS ------------------------------------------------------------------------------ */

static void
on_up(struct tls *t, void *arg)
{
	struct conn *c = arg;

	c->state = READING;
	within(c, conns.request_ms);
}

static void
on_data(struct tls *t, void *arg, const uint8_t *p, size_t len)
{
	received(arg, p, len);
}

static void
on_down(struct tls *t, void *arg, const struct refusal *why)
{
	struct conn *c = arg;

	/* An end between two requests is none to speak of. */
	if (c->state == HANDSHAKE)
		conn_count(c, why);
	conn_end(c);
}

static int
on_verify(struct tls *t, void *arg, X509 *leaf, struct refusal *why)
{
	struct conn *c = arg;

	return client_verify(leaf, tls_chain(t), clock_trusted(), &c->client,
	    why);
}

static void
on_drained(struct tls *t, void *arg)
{
	flush(arg);
}

static const struct tls_events events = {
	.up = on_up,
	.data = on_data,
	.down = on_down,
	.verify = on_verify,
	.drained = on_drained,
};

/* ---- a new one -------------------------------------------------------------------------- */

static void
refuse_new(const struct msg_http_accepted *m, uint32_t generation, int fd,
    enum reason reason)
{
	if (hub_count(reason) == 1)
		log_about(LOG_LVL_INFO, reason_code(reason), NULL,
		    "%s: %s %s (listener %u)", m->address,
		    reason_code(reason), reason_text(reason), m->listener);
	close(fd);
	tell_over(m->connection, generation);
}

static void
conn_new(const struct msg_http_accepted *m, uint32_t generation, int fd,
    const struct listener *l)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (c == NULL)
		fatal("conn");
	c->number = m->connection;
	c->generation = generation;
	c->door = l->door;
	memcpy(c->address, m->address, sizeof(c->address));
	TAILQ_INSERT_TAIL(&conns.all, c, entry);
	conns.n++;
	uv_timer_init(conns.loop, &c->timer);
	c->timer.data = c;
	c->handles = 1;
	c->fd = -1;
	if (l->ctx != NULL) {
		c->tls = tls_start(conns.loop, l->ctx, fd, true, &events, c);
		within(c, conns.handshake_ms);
		return;
	}
	if (uv_poll_init(conns.loop, &c->poll, fd) != 0)
		fatalx("conn: descriptor cannot be watched");
	c->fd = fd;
	c->poll.data = c;
	c->handles = 2;
	c->state = READING;
	watch(c, UV_READABLE);
	within(c, conns.request_ms);
}

int
enrold_accepted(struct chan *chan, const struct ipc_call *call,
    const void *arg)
{
	const struct msg_http_accepted	*m = arg;
	const struct listener		*l = settings_listener(m->listener);
	uint32_t			 generation = chan_generation(chan);
	int				 type;
	socklen_t			 len = sizeof(type);
	bool				 plain;

	/* A file would stay readable for ever; netd has only sockets. */
	if (getsockopt(call->fd, SOL_SOCKET, SO_TYPE, &type, &len) == -1 ||
	    type != SOCK_STREAM) {
		close(call->fd);
		return -1;
	}
	plain = l != NULL &&
	    (l->door == DOOR_PLAIN || l->door == DOOR_STATUS);
	if (l == NULL || (!plain && l->ctx == NULL))
		refuse_new(m, generation, call->fd, R_ENR_NO_LISTENER);
	else if (conns.n >= CONNS_MAX)
		refuse_new(m, generation, call->fd, R_ENR_CONNECTIONS);
	else
		conn_new(m, generation, call->fd, l);
	return 0;
}

/* ---- all of them ------------------------------------------------------------------------- */

void
conns_init(uv_loop_t *loop, const struct conf *conf)
{
	conns.loop = loop;
	conns.request_ms = conf->request_timeout;
	conns.handshake_ms = conf->handshake_timeout < conns.request_ms ?
	    conf->handshake_timeout : conns.request_ms;
}

void
conns_stop(void)
{
	while (!TAILQ_EMPTY(&conns.all))
		conn_end(TAILQ_FIRST(&conns.all));
}

/*
 * netd has gone, and the next one does not count what this one handed on:
 * what is under way is answered, the others end.
 */
void
conns_netd_gone(void)
{
	struct conn *c, *next;

	for (c = TAILQ_FIRST(&conns.all); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->state == SERVING || c->state == WRITING)
			c->last = true;
		else
			conn_end(c);
	}
}

unsigned
conns_open(void)
{
	return conns.n;
}

/* ---- for handlers ------------------------------------------------------------------------- */

const struct http_request *
conn_request(const struct conn *c)
{
	return http_request(c->http);
}

const struct client *
conn_client(const struct conn *c)
{
	return &c->client;
}

const char *
conn_address(const struct conn *c)
{
	return c->address;
}

enum enrol_door
conn_door(const struct conn *c)
{
	return c->door;
}

int
conn_binding(const struct conn *c, uint8_t out[32])
{
	static const char label[] = "EXPORTER-Channel-Binding";

	return c->tls != NULL && SSL_export_keying_material(tls_ssl(c->tls),
	    out, 32, label, sizeof(label) - 1, (const uint8_t *)"", 0, 1) ==
	    1 ? 0 : -1;
}

void
conn_owner(struct conn *c, void (*gone)(void *), void *arg)
{
	c->gone = gone;
	c->gone_arg = arg;
}
