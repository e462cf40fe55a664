/*
 * The two ports that strangers may connect to, the socket of bridges to MCTP,
 * if there is one, and the ports of the certificate service, if there are
 * any. A connection on the mtls port becomes a peerlink; one on the others is
 * handed to attestd -R or to enrold, which says when it is over. Limits come
 * first, before anything is read.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "log.h"
#include "mctp.h"
#include "netd.h"

#define BACKLOG		64
#define HTTP_BACKLOG	512	/* a fleet that starts at once */
#define ACCEPTS_TURN	16	/* accepted in one turn of the loop */

/*
 * Connections for enrold are taken at no more than 16 times limit enrol in a
 * second, which is above what enrold can serve; the others wait in the kernel.
 * So netd has turns left for peers, however fast strangers connect and go.
 */
#define HTTP_WINDOW	50	/* ms */
#define HTTP_TAKEN(n)	((n) < 20 ? 16 : 16 * (n) * HTTP_WINDOW / 1000)

struct port {
	const char	*name;
	uv_poll_t	 poll;
	int		 fd;	/* -1 until open */
	bool		 started;
	bool		 local;	/* a socket of bridges, not of TCP */
	/* NULL: to enrold, as a connection on this listener */
	void		(*accepted)(int, const struct sockaddr_storage *);
	unsigned	 listener;
};

static void	mtls_accepted(int, const struct sockaddr_storage *);
static void	spdm_accepted(int, const struct sockaddr_storage *);

static struct port	mtls = { .name = "mtls", .fd = -1,
			    .accepted = mtls_accepted };
static struct port	spdm = { .name = "spdm", .fd = -1,
			    .accepted = spdm_accepted };
static struct port	bridges = { .name = "mctp", .fd = -1, .local = true,
			    .accepted = spdm_accepted };
static struct port	http[ENROL_LISTENERS];
static unsigned		nhttp;
static unsigned		http_taken;	/* at most, in one window */
static unsigned		http_left;	/* in this one */
static uv_timer_t	http_timer;	/* runs while a window does */
static bool		http_paused;
static uint32_t		session_ms;	/* the longest SPDM session */

/*
 * One descriptor kept back: without it, a connection that cannot be
 * accepted for want of descriptors would wake the loop for ever.
 */
static int		reserve = -1;

/* ---- what becomes of a connection -------------------------------------- */

/* Closes what is let in by no limit; the first of each reason is logged. */
static void
turn_away(int fd, const struct sockaddr_storage *from, enum reason reason)
{
	char	text[NETD_ADDR_MAX];

	if (fd != -1)
		close(fd);
	addr_text(from, text, sizeof(text));
	if (hub_count(reason) == 1)
		log_about(LOG_LVL_WARN, reason_code(reason), NULL,
		    "listen: %s: %s: %s", text, reason_code(reason),
		    reason_text(reason));
	else
		log_debug("listen: %s: %s", text, reason_code(reason));
}

static void
mtls_accepted(int fd, const struct sockaddr_storage *from)
{
	enum reason	r;

	if ((r = limit_take(from, LIMIT_TLS, peer_at(from))) != R_OK) {
		turn_away(fd, from, r);
		return;
	}
	if ((r = limit_take(from, LIMIT_HALF, peer_at(from))) != R_OK) {
		limit_release(from, LIMIT_TLS);
		turn_away(fd, from, r);
		return;
	}
	peerlink_accept(fd, from);
}

/* attestd -R has ended the session, or is gone, or took too long. */
static void
session_over(const struct ipc_reply *r, void *arg)
{
	struct sockaddr_storage	*from = arg;

	limit_release(from, LIMIT_SPDM);
	free(from);
}

static void
spdm_accepted(int fd, const struct sockaddr_storage *from)
{
	struct msg_spdm_accepted	 m = { 0 };
	struct sockaddr_storage		*copy;
	char				 text[NETD_ADDR_MAX];
	enum reason			 r;

	if (hub_link(IPC_ATTESTR) == NULL) {
		turn_away(fd, from, R_NET_NO_ATTESTR);
		return;
	}
	if ((r = limit_take(from, LIMIT_SPDM, peer_at(from))) != R_OK) {
		turn_away(fd, from, r);
		return;
	}
	if ((copy = malloc(sizeof(*copy))) == NULL)
		fatal("listen");
	*copy = *from;
	addr_text(from, text, sizeof(text));
	IPC_SET_STR(m.address, text);
	if (chan_call(hub_link(IPC_ATTESTR), MSG_SPDM_ACCEPTED, &m, fd,
	    session_ms, session_over, copy) == -1) {
		limit_release(from, LIMIT_SPDM);
		free(copy);
		turn_away(fd, from, R_NET_TOTAL);
	}
}

static void
http_accepted(int fd, const struct sockaddr_storage *from, unsigned listener)
{
	enum reason	r;

	if ((r = door_hand(hub_link(IPC_ENROLD), fd, from, listener)) != R_OK)
		turn_away(fd, from, r);
}

/* ---- accepting --------------------------------------------------------- */

/* No descriptor is left: give up the reserve for long enough to say no. */
static bool
refuse_one(struct port *p)
{
	struct sockaddr_storage	from = { 0 };
	socklen_t		len = sizeof(from);
	int			fd;

	if (reserve != -1)
		close(reserve);
	fd = accept4(p->fd, (struct sockaddr *)&from, &len,
	    SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd != -1)
		turn_away(fd, &from, R_NET_RESOURCES);
	reserve = fcntl(p->fd, F_DUPFD_CLOEXEC, 0);
	return fd != -1;
}

/* accept(2): errors of the connection that is gone already are not ours. */
static bool
passes(int err)
{
	return err == ECONNABORTED || err == EINTR || err == EPROTO ||
	    err == ENETDOWN || err == ENOPROTOOPT || err == EHOSTDOWN ||
	    err == EHOSTUNREACH || err == ENETUNREACH || err == ENONET ||
	    err == EOPNOTSUPP || err == EPERM;
}

/* One connection. false when there is no more to do in this turn. */
static bool
accept_one(struct port *p)
{
	struct sockaddr_storage	from = { 0 };
	socklen_t		len = sizeof(from);
	int			fd, err;

	fd = accept4(p->fd, (struct sockaddr *)&from, &len,
	    SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd == -1) {
		err = errno;
		if (err == EAGAIN || err == EWOULDBLOCK)
			return false;
		if (err == EMFILE || err == ENFILE)
			return refuse_one(p);
		if (hub_count(R_NET_ACCEPT) == 1)
			log_warnx("listen: %s: %s", p->name, strerror(err));
		return passes(err);
	}
	if (!p->local && dial_tune(fd) == -1)
		turn_away(fd, &from, R_NET_ACCEPT);
	else if (p->accepted == NULL)
		http_accepted(fd, &from, p->listener);
	else
		p->accepted(fd, &from);
	return true;
}

static void
ready(uv_poll_t *h, int status, int events)
{
	struct port	*p = h->data;
	unsigned	 i;

	if (status < 0)
		fatalx("listen: %s: %s", p->name, uv_strerror(status));
	/* The poll is level-triggered: the rest comes in the next turn. */
	for (i = 0; i < ACCEPTS_TURN && accept_one(p); i++)
		;
}

/* ---- those for enrold, not too fast ------------------------------------ */

static void	http_ready(uv_poll_t *, int, int);

static void
http_polls(bool on)
{
	unsigned	i;
	int		err = 0;

	for (i = 0; i < nhttp && err == 0; i++)
		err = on ? uv_poll_start(&http[i].poll, UV_READABLE,
		    http_ready) : uv_poll_stop(&http[i].poll);
	if (err != 0)
		fatalx("listen: http: %s", uv_strerror(err));
	http_paused = !on;
}

static void
http_window_over(uv_timer_t *t)
{
	http_left = http_taken;
	if (http_paused)
		http_polls(true);
}

static void
http_ready(uv_poll_t *h, int status, int events)
{
	struct port	*p = h->data;
	unsigned	 i;

	if (status < 0)
		fatalx("listen: %s: %s", p->name, uv_strerror(status));
	if (http_left == http_taken)
		uv_timer_start(&http_timer, http_window_over, HTTP_WINDOW, 0);
	for (i = 0; i < ACCEPTS_TURN && http_left > 0 && accept_one(p); i++)
		http_left--;
	if (http_left > 0 || http_paused)
		return;
	if (hub_count(R_NET_RATE) == 1)
		log_about(LOG_LVL_WARN, reason_code(R_NET_RATE), NULL,
		    "listen: http: %s: %s", reason_code(R_NET_RATE),
		    reason_text(R_NET_RATE));
	http_polls(false);
}

/* ---- opening ----------------------------------------------------------- */

static int
bound_socket(const struct sockaddr_storage *ss, socklen_t len, int backlog)
{
	static const int		 on = 1, off = 0;
	const struct sockaddr_in6	*sin6 = (const struct sockaddr_in6 *)ss;
	int				 fd, err;

	if ((fd = socket(ss->ss_family, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0)) == -1)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == -1)
		goto fail;
	/* "::" is every address, IPv4 too; any other is itself only. */
	if (ss->ss_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6,
	    IPV6_V6ONLY, IN6_IS_ADDR_UNSPECIFIED(&sin6->sin6_addr) ?
	    &off : &on, sizeof(on)) == -1)
		goto fail;
	/* The interface may get its address later than we start. */
	if (setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on)) == -1 ||
	    bind(fd, (const struct sockaddr *)ss, len) == -1 ||
	    listen(fd, backlog) == -1)
		goto fail;
	return fd;
 fail:
	err = errno;
	close(fd);
	errno = err;
	return -1;
}

static int
port_open(struct port *p, const char *address, uint16_t port)
{
	struct sockaddr_storage	ss;
	socklen_t		len;
	int			backlog;

	backlog = p->accepted == NULL ? HTTP_BACKLOG : BACKLOG;
	if (addr_parse(address, port, link_now(), &ss, &len) == -1) {
		log_warnx("listen: %s: %s: %s", p->name, address,
		    reason_text(R_NET_ADDRESS));
		return -1;
	}
	p->fd = bound_socket(&ss, len, backlog);
	/* A kernel without IPv6 has one way to be every address. */
	if (p->fd == -1 && errno == EAFNOSUPPORT &&
	    strcmp(address, "::") == 0 &&
	    addr_parse("0.0.0.0", port, link_now(), &ss, &len) == 0)
		p->fd = bound_socket(&ss, len, backlog);
	if (p->fd == -1) {
		log_warn("listen: %s: %s port %u", p->name, address, port);
		return -1;
	}
	return 0;
}

/* A socket for bridges, or the kernel's MCTP. */
static int
mctp_open(const char *where)
{
	if (*where != '/')
		return mctp_bind(where);
	bridges.fd = mctp_listen(where);
	return bridges.fd == -1 ? -1 : 0;
}

/* Numbered as they stand in the file: policyd and enrold count the same. */
static int
http_open(const struct conf *conf, const char *address)
{
	const struct conf_listener	*l;
	struct port			*p;

	for (l = conf->listeners; l != NULL; l = l->next) {
		p = &http[nhttp];
		*p = (struct port){ .name = "http", .fd = -1,
		    .listener = nhttp };
		if (port_open(p, address, l->port) == -1)
			return -1;
		nhttp++;
	}
	http_taken = http_left = HTTP_TAKEN(conf->max_enrol);
	return 0;
}

int
listen_open(const struct conf *conf)
{
	const char	*address = conf->listen_address;

	if (address == NULL)
		address = "::";
	/* attestd -R ends sessions itself; this is for when it does not. */
	session_ms = 2 * conf->attest_timeout;
	if (port_open(&mtls, address, conf->mtls_port) == -1 ||
	    port_open(&spdm, address, conf->spdm_port) == -1 ||
	    http_open(conf, address) == -1)
		return -1;
	if (conf->spdm_mctp != NULL && mctp_open(conf->spdm_mctp) == -1) {
		log_warn("listen: %s", conf->spdm_mctp);
		return -1;
	}
	if ((reserve = fcntl(mtls.fd, F_DUPFD_CLOEXEC, 0)) == -1) {
		log_warn("listen");
		return -1;
	}
	return 0;
}

static int
port_start(struct port *p, uv_loop_t *loop)
{
	int	err;

	if ((err = uv_poll_init(loop, &p->poll, p->fd)) != 0 ||
	    (err = uv_poll_start(&p->poll, UV_READABLE,
	    p->accepted == NULL ? http_ready : ready)) != 0) {
		log_warnx("listen: %s: %s", p->name, uv_strerror(err));
		return -1;
	}
	p->poll.data = p;
	p->started = true;
	return 0;
}

static int
http_start(struct uv_loop_s *loop)
{
	unsigned	i;

	if (nhttp > 0)
		uv_timer_init(loop, &http_timer);
	for (i = 0; i < nhttp; i++)
		if (port_start(&http[i], loop) == -1)
			return -1;
	return 0;
}

int
listen_start(struct uv_loop_s *loop)
{
	if (port_start(&mtls, loop) == -1 || port_start(&spdm, loop) == -1 ||
	    (bridges.fd != -1 && port_start(&bridges, loop) == -1) ||
	    http_start(loop) == -1)
		return -1;
	mctp_serve(spdm_accepted);
	return 0;
}

static void
port_closed(uv_handle_t *h)
{
	struct port	*p = h->data;

	close(p->fd);
	p->fd = -1;
}

static void
port_stop(struct port *p)
{
	if (p->started)
		uv_close((uv_handle_t *)&p->poll, port_closed);
	p->started = false;
}

void
listen_stop(void)
{
	unsigned	i;

	port_stop(&mtls);
	port_stop(&spdm);
	port_stop(&bridges);
	for (i = 0; i < nhttp; i++)
		port_stop(&http[i]);
	if (nhttp > 0)
		uv_close((uv_handle_t *)&http_timer, NULL);
	nhttp = 0;
	if (reserve != -1)
		close(reserve);
	reserve = -1;
}
