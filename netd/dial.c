/*
 * Connections that we open: a non-blocking connect(2) with a deadline, to an
 * address that policyd named. Used for SPDM (the descriptor goes to
 * attestd -Q), which may be one of MCTP, and for the peer channel.
 */
#include <sys/queue.h>

#include <netinet/tcp.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "log.h"
#include "mctp.h"
#include "netd.h"

#define DIALS_MAX	128		/* under way at once */
#define DIAL_SPDM_MS	10000

struct dial {
	LIST_ENTRY(dial) entry;		/* while it is under way */
	uv_poll_t	 poll;
	uv_timer_t	 timer;
	int		 nhandles;	/* not closed yet */
	int		 fd;		/* ours until done; -1 if none */
	enum reason	 failed;	/* known before the loop ran */
	dial_fn		 done;
	void		*arg;
};

static uv_loop_t		*loop;
static LIST_HEAD(, dial)	 dials = LIST_HEAD_INITIALIZER(dials);
static unsigned			 ndials;

/*
 * A dead cable is noticed by netlink, or by the silence of the peer channel;
 * this is for peers that vanish while nobody speaks (SPDM).
 */
int
dial_tune(int fd)
{
	static const int	on = 1, idle = 10, every = 5, probes = 3;

	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) == -1 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle,
	    sizeof(idle)) == -1 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every,
	    sizeof(every)) == -1 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes,
	    sizeof(probes)) == -1)
		return -1;
	return 0;
}

static enum reason
reason_of(int err)
{
	static const struct {
		int		err;
		enum reason	reason;
	} map[] = {
		{ ECONNREFUSED,		R_NET_REFUSED },
		{ ECONNRESET,		R_NET_REFUSED },
		{ ETIMEDOUT,		R_NET_TIMEOUT },
		{ ENETUNREACH,		R_NET_UNREACHABLE },
		{ EHOSTUNREACH,		R_NET_UNREACHABLE },
		{ ENETDOWN,		R_NET_UNREACHABLE },
		{ EHOSTDOWN,		R_NET_UNREACHABLE },
		{ EADDRNOTAVAIL,	R_NET_UNREACHABLE },
		{ EAFNOSUPPORT,		R_NET_UNREACHABLE },
		{ EINVAL,		R_NET_UNREACHABLE },	/* no scope */
		{ ENODEV,		R_NET_UNREACHABLE },
		{ EMFILE,		R_NET_RESOURCES },
		{ ENFILE,		R_NET_RESOURCES },
		{ ENOBUFS,		R_NET_RESOURCES },
		{ ENOMEM,		R_NET_RESOURCES },
	};
	size_t	i;

	for (i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		if (map[i].err == err)
			return map[i].reason;
	log_warnx("dial: %s", strerror(err));
	return R_NET_FAILED;
}

static void
closed(uv_handle_t *h)
{
	struct dial	*d = h->data;

	if (--d->nhandles > 0)
		return;
	if (d->fd != -1)
		close(d->fd);
	free(d);
}

/* Off the list; freed once libuv has let go of the handles. */
static void
end(struct dial *d)
{
	LIST_REMOVE(d, entry);
	ndials--;
	uv_close((uv_handle_t *)&d->timer, closed);
	if (d->nhandles == 2)
		uv_close((uv_handle_t *)&d->poll, closed);
}

static void
finish(struct dial *d, enum reason reason)
{
	int	fd = -1;

	if (d->nhandles == 2)
		uv_poll_stop(&d->poll);
	if (reason == R_OK) {
		fd = d->fd;
		d->fd = -1;
	}
	end(d);
	d->done(fd, reason, d->arg);
}

static void
writable(uv_poll_t *h, int status, int events)
{
	struct dial	*d = h->data;
	int		 err = 0;
	socklen_t	 len = sizeof(err);

	if (getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &err, &len) == -1)
		err = errno;
	if (err == 0 && status < 0)
		err = -status;
	finish(d, err == 0 ? R_OK : reason_of(err));
}

/* The deadline, or what was known before the loop ran. */
static void
expired(uv_timer_t *h)
{
	struct dial	*d = h->data;

	finish(d, d->failed != R_OK ? d->failed : R_NET_TIMEOUT);
}

/* A connect(2) under way in d->fd, or the reason. */
static enum reason
begin(struct dial *d, const char *address, uint16_t port)
{
	struct sockaddr_storage	ss;
	socklen_t		len;

	if (mctp_is(address))
		return mctp_dial(address, &d->fd);
	if (port == 0 || addr_parse(address, port, link_now(), &ss, &len) == -1)
		return R_NET_ADDRESS;
	if ((d->fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0)) == -1 || dial_tune(d->fd) == -1)
		return reason_of(errno);
	if (connect(d->fd, (struct sockaddr *)&ss, len) == -1 &&
	    errno != EINPROGRESS)
		return reason_of(errno);
	return R_OK;
}

void
dial_init(struct uv_loop_s *l)
{
	loop = l;
}

struct dial *
dial_start(const char *address, uint16_t port, uint32_t timeout_ms,
    dial_fn done, void *arg)
{
	struct dial	*d;

	if (ndials == DIALS_MAX || (d = calloc(1, sizeof(*d))) == NULL)
		return NULL;
	d->fd = -1;
	d->done = done;
	d->arg = arg;
	d->failed = begin(d, address, port);
	LIST_INSERT_HEAD(&dials, d, entry);
	ndials++;
	uv_timer_init(loop, &d->timer);
	d->timer.data = d;
	d->nhandles = 1;
	if (d->failed == R_OK && uv_poll_init(loop, &d->poll, d->fd) == 0) {
		d->poll.data = d;
		d->nhandles = 2;
		uv_poll_start(&d->poll, UV_WRITABLE, writable);
	} else if (d->failed == R_OK)
		d->failed = R_NET_RESOURCES;
	uv_update_time(loop);
	uv_timer_start(&d->timer, expired, d->failed == R_OK ? timeout_ms : 0,
	    0);
	return d;
}

void
dial_cancel(struct dial *d)
{
	if (d != NULL)
		end(d);
}

void
dial_stop(void)
{
	struct dial	*d;

	while ((d = LIST_FIRST(&dials)) != NULL)
		finish(d, R_IPC_CLOSED);
}

/* ---- SPDM: for a job that policyd opened at attestd -Q ----------------- */

struct job {
	struct ipc_call	call;		/* to answer */
	uint32_t	number;
	char		where[124];	/* "192.0.2.1 port 4194", or MCTP's */
};

/* The descriptor goes to attestd -Q, or is closed. */
static enum reason
hand_over(const struct job *j, int fd)
{
	struct msg_spdm_dialled	 m = { .job = j->number };

	if (chan_find(&j->call) != NULL && chan_send(hub_link(IPC_ATTESTQ),
	    MSG_SPDM_DIALLED, &m, fd) == 0)
		return R_OK;
	close(fd);
	return R_NET_NO_ATTESTQ;
}

static void
spdm_dialled(int fd, enum reason reason, void *arg)
{
	struct job	*j = arg;
	struct chan	*c;

	if (reason == R_OK)
		reason = hand_over(j, fd);
	if ((c = chan_find(&j->call)) != NULL) {
		if (reason == R_OK)
			chan_done(c, &j->call);
		else
			chan_refuse_why(c, &j->call, reason, "address", NULL,
			    j->where);
	}
	log_debug("dial: job %u: %s: %s", j->number, j->where,
	    reason_text(reason));
	free(j);
}

int
netd_dial_spdm(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_dial_spdm	*m = arg;
	struct job			*j;

	if (hub_link(IPC_ATTESTQ) == NULL)
		return chan_refuse(c, call, R_NET_NO_ATTESTQ);
	if ((j = calloc(1, sizeof(*j))) == NULL)
		fatal("dial");
	j->call = *call;
	j->number = m->job;
	if (mctp_is(m->address))
		snprintf(j->where, sizeof(j->where), "%s", m->address);
	else
		snprintf(j->where, sizeof(j->where), "%s port %u",
		    m->address, m->port);
	if (dial_start(m->address, (uint16_t)m->port, DIAL_SPDM_MS,
	    spdm_dialled, j) == NULL) {
		free(j);
		return chan_refuse(c, call, R_NET_RESOURCES);
	}
	return 0;
}
