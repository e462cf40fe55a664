/*
 * A connected socket from netd: TCP with SPDM in frames (DSP0287), or
 * SEQPACKET with a datagram of MCTP each (DSP0275). A peer can send bytes and
 * close, nothing more: what it sends is bounded by one message, and it is not
 * read while an answer of ours waits to leave.
 */
#include <sys/socket.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attestd.h"
#include "log.h"
#include "spdm_mctp.h"

#define FRAME_MAX(max)	(SPDM_TCP_HDR + SPDM_RECORD_EXTRA + (max))

struct conn {
	uv_poll_t		 poll;
	uv_timer_t		 timer;
	int			 fd, open;	/* handles not closed yet */
	const struct conn_ops	*ops;
	void			*arg;
	struct spdm_tcp		 tcp;
	struct spdm_binding	 binding;	/* mctp: one datagram each */
	bool			 paused, closing, busy;
	uint8_t			*in, *out;
	size_t			 in_len, in_size;
	size_t			 out_len, out_sent, out_size;
};

static void	process(struct conn *);

static void
handle_closed(uv_handle_t *h)
{
	struct conn	*c = h->data;

	if (--c->open > 0)
		return;
	close(c->fd);
	free(c->in);
	free(c->out);
	free(c);
}

void
conn_close(struct conn *c)
{
	if (c == NULL || c->closing)
		return;
	c->closing = true;
	uv_close((uv_handle_t *)&c->poll, handle_closed);
	uv_close((uv_handle_t *)&c->timer, handle_closed);
}

static void	ready(uv_poll_t *, int, int);

static void
watch(struct conn *c)
{
	int	events = 0;

	if (c->closing)
		return;
	if (c->out_sent < c->out_len)
		events = UV_WRITABLE;
	else if (!c->paused)
		events = UV_READABLE;
	if (events == 0)
		uv_poll_stop(&c->poll);
	else
		uv_poll_start(&c->poll, events, ready);
}

static void
lost(struct conn *c, enum reason reason, const char *expected,
    const char *seen)
{
	if (!c->closing)
		c->ops->lost(c->arg, reason, expected, seen);
}

static void
flush(struct conn *c)
{
	ssize_t	n;

	while (c->out_sent < c->out_len) {
		n = send(c->fd, c->out + c->out_sent, c->out_len - c->out_sent,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (n == -1) {
			lost(c, R_ATT_CLOSED, "an open connection",
			    strerror(errno));
			return;
		}
		c->out_sent += (size_t)n;
	}
}

/* Room for one frame; the buffer grows to the longest one ever sent. */
static void
out_room(struct conn *c, size_t n)
{
	if (n <= c->out_size)
		return;
	free(c->out);
	if ((c->out = malloc(n)) == NULL)
		fatal("conn");
	c->out_size = n;
}

static void
send_frame(struct conn *c, uint8_t type, const uint8_t *msg, size_t len)
{
	size_t	hdr = c->binding.mctp ? SPDM_MCTP_HDR : SPDM_TCP_HDR;

	/* Both bindings have the same numbers for the two types of message. */
	out_room(c, hdr + len);
	if (c->binding.mctp)
		c->out[0] = type;
	else
		spdm_tcp_header(&c->tcp, type, len, c->out);
	if (len > 0)
		memcpy(c->out + hdr, msg, len);
	c->out_len = hdr + len;
	c->out_sent = 0;
	flush(c);
}

void
conn_send(struct conn *c, bool secured, const uint8_t *msg, size_t len)
{
	if (c->closing)
		return;
	send_frame(c, secured ? SPDM_TCP_SECURED : SPDM_TCP_SPDM, msg, len);
	watch(c);
}

const struct spdm_binding *
conn_binding(const struct conn *c)
{
	return &c->binding;
}

static const char *
frame_text(uint8_t type)
{
	switch (type) {
	case SPDM_TCP_INQUIRY:
		return "Role-Inquiry";
	case SPDM_TCP_TOO_LARGE:
		return "too large";
	case SPDM_TCP_NO_VERSION:
		return "binding version not supported";
	case SPDM_TCP_NO_REQUESTER:
		return "cannot be requester";
	case SPDM_TCP_NO_RESPONDER:
		return "cannot be responder";
	case SPDM_TCP_SECURED:
		return "a secured message before any other";
	}
	return "a frame that breaks the binding";
}

/* The datagram in the buffer. False: there is none. */
static bool
datagram(struct conn *c)
{
	struct spdm_mctp_msg	m;
	enum spdm_mctp_result	r;

	if (c->in_len == 0)
		return false;
	r = spdm_mctp_read(c->in, c->in_len, c->tcp.max, &m);
	c->in_len = 0;
	if (r == MCTP_OK)
		c->ops->message(c->arg, m.secured, m.msg, m.len);
	else
		lost(c, r == MCTP_TOO_LARGE ? R_ATT_FRAME_SIZE : R_ATT_FRAME,
		    "a message of DSP0275", spdm_mctp_text(r));
	return !c->closing;
}

/* The next frame of the buffer. False: no more of them now. */
static bool
frame(struct conn *c)
{
	struct spdm_frame	f;

	switch (spdm_tcp_next(&c->tcp, c->in, c->in_len, &f)) {
	case TCP_MORE:
		return false;
	case TCP_MESSAGE:
		c->ops->message(c->arg, f.type == SPDM_TCP_SECURED, f.msg,
		    f.len);
		break;
	case TCP_PEER_ERROR:
		/* The side that was connected to does not become requester. */
		if (f.type == SPDM_TCP_INQUIRY)
			send_frame(c, SPDM_TCP_NO_REQUESTER, NULL, 0);
		lost(c, R_ATT_BINDING, "SPDM messages", frame_text(f.type));
		return false;
	case TCP_BAD:
		if (f.reply != 0)
			send_frame(c, f.reply, NULL, 0);
		lost(c, f.reply == SPDM_TCP_TOO_LARGE ? R_ATT_FRAME_SIZE :
		    R_ATT_FRAME, "a frame of DSP0287", frame_text(f.type));
		return false;
	}
	if (c->closing)
		return false;
	c->in_len -= f.used;
	memmove(c->in, c->in + f.used, c->in_len);
	return true;
}

static void
process(struct conn *c)
{
	if (c->busy)
		return;
	c->busy = true;
	while (!c->closing && !c->paused && c->out_sent == c->out_len &&
	    (c->binding.mctp ? datagram(c) : frame(c)))
		continue;
	c->busy = false;
	watch(c);
}

static void
ready(uv_poll_t *h, int status, int events)
{
	struct conn	*c = h->data;
	ssize_t		 n;

	if (c->out_sent < c->out_len)
		flush(c);
	else if (c->in_len < c->in_size &&
	    !(c->binding.mctp && c->in_len > 0)) {
		/* Of a datagram, MSG_TRUNC tells the length that it had. */
		n = recv(c->fd, c->in + c->in_len, c->in_size - c->in_len,
		    MSG_DONTWAIT | (c->binding.mctp ? MSG_TRUNC : 0));
		if (n > (ssize_t)(c->in_size - c->in_len))
			lost(c, R_ATT_FRAME_SIZE, "a message of DSP0275",
			    spdm_mctp_text(MCTP_TOO_LARGE));
		else if (n > 0)
			c->in_len += (size_t)n;
		else if (n == 0)
			lost(c, R_ATT_CLOSED, "an open connection",
			    "end of file");
		else if (errno != EAGAIN && errno != EINTR)
			lost(c, R_ATT_CLOSED, "an open connection",
			    strerror(errno));
	}
	process(c);
}

static void
expired(uv_timer_t *h)
{
	struct conn	*c = h->data;

	c->ops->timer(c->arg);
}

/* What netd brought: is it one of datagrams? */
static bool
datagrams(int fd)
{
	int		type = SOCK_STREAM;
	socklen_t	len = sizeof(type);

	(void)getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len);
	return type == SOCK_SEQPACKET;
}

struct conn *
conn_new(uv_loop_t *loop, int fd, size_t max, const struct conn_ops *ops,
    void *arg)
{
	struct conn	*c = calloc(1, sizeof(*c));

	if (c == NULL || (c->in = malloc(FRAME_MAX(max))) == NULL) {
		free(c);
		close(fd);
		return NULL;
	}
	c->in_size = FRAME_MAX(max);
	c->fd = fd;
	c->ops = ops;
	c->arg = arg;
	c->tcp = (struct spdm_tcp){ .counted = SPDM_TCP_COUNTED_DEFAULT,
	    .max = max };
	c->binding = datagrams(fd) ? spdm_mctp_binding :
	    (struct spdm_binding){ .tcp = &c->tcp };
	c->poll.data = c->timer.data = c;
	/* Not a socket: netd misbehaves. */
	if (uv_poll_init(loop, &c->poll, fd) != 0) {
		free(c->in);
		free(c);
		close(fd);
		return NULL;
	}
	uv_timer_init(loop, &c->timer);
	c->open = 2;
	watch(c);
	return c;
}

void
conn_pause(struct conn *c)
{
	c->paused = true;
	watch(c);
}

void
conn_resume(struct conn *c)
{
	c->paused = false;
	process(c);
}

void
conn_timer(struct conn *c, uint64_t ms)
{
	if (c->closing)
		return;
	uv_update_time(c->timer.loop);
	if (ms == 0)
		uv_timer_stop(&c->timer);
	else
		uv_timer_start(&c->timer, expired, ms, 0);
}
