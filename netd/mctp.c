/*
 * SPDM over MCTP (DSP0275). What attestd gets is a SEQPACKET socket on which
 * each datagram begins with the type byte of MCTP: the one of a bridge that
 * runs beside us, or, where the kernel speaks MCTP, one of a pair whose other
 * end is relayed here, since the kernel keeps the type byte to itself and
 * knows no connections. Nothing of the messages is looked at.
 */
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "log.h"
#include "mctp.h"
#include "netd.h"

/* After <net/if.h>, which netd.h has: the two declare the same. */
#include <linux/mctp.h>

#define RELAYS_MAX	64	/* jobs of attestd -Q, and who asks -R */
#define MESSAGE_MAX	0x10000	/* bytes, with the type */

#define TYPES		2	/* DSP0275 and DSP0276: 5 and 6 */
#define TYPE_FIRST	5

/* One endpoint: one that we ask, or one that asks us. */
struct relay {
	LIST_ENTRY(relay)	 entry;
	struct mctp_endpoint	 to;
	bool			 asks;		/* by the sockets of served */
	uv_poll_t		 kernel, ours;
	int			 kernel_fd, ours_fd;
	int			 nhandles;	/* not closed yet */
	bool			 closing;
};

/* Where requests come in; one a type. */
static struct served {
	int		 fd;
	uv_poll_t	 poll;
	bool		 started;
} served[TYPES] = { { .fd = -1 }, { .fd = -1 } };
static mctp_accept_fn		 accepted;

static LIST_HEAD(, relay)	 relays = LIST_HEAD_INITIALIZER(relays);
static unsigned			 nrelays;
static uv_loop_t		*loop;
static char			 root[PATH_MAX];	/* ours, or "": no chroot */
static bool			 wanted;	/* the kernel's */
static uint8_t			 buf[MESSAGE_MAX];

/* ---- the kernel's MCTP --------------------------------------------------- */

static int
kernel_open(void)
{
	return socket(AF_MCTP, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static int
kernel_bind(int fd, uint32_t network, uint8_t type)
{
	struct sockaddr_mctp	a = {
		.smctp_family = AF_MCTP,
		.smctp_network = network,
		.smctp_addr.s_addr = MCTP_ADDR_ANY,
		.smctp_type = type,
	};

	return bind(fd, (struct sockaddr *)&a, sizeof(a));
}

/* For a request the kernel picks a tag, and brings us what answers it; an
 * answer has the tag of its request. */
static ssize_t
kernel_send(int fd, const struct mctp_endpoint *to, uint8_t type,
    const uint8_t *p, size_t len)
{
	struct sockaddr_mctp	a = {
		.smctp_family = AF_MCTP,
		.smctp_network = to->network,
		.smctp_addr.s_addr = to->eid,
		.smctp_type = type,
		.smctp_tag = to->tag,
	};

	return sendto(fd, p, len, MSG_DONTWAIT, (struct sockaddr *)&a,
	    sizeof(a));
}

static ssize_t
kernel_recv(int fd, struct mctp_endpoint *from, uint8_t *type, uint8_t *p,
    size_t size)
{
	struct sockaddr_mctp	a = { 0 };
	socklen_t		len = sizeof(a);
	ssize_t			n;

	n = recvfrom(fd, p, size, MSG_DONTWAIT | MSG_TRUNC,
	    (struct sockaddr *)&a, &len);
	if (n >= 0 && (len < sizeof(a) || a.smctp_family != AF_MCTP)) {
		errno = EPROTO;
		return -1;
	}
	from->network = a.smctp_network;
	from->eid = a.smctp_addr.s_addr;
	from->tag = a.smctp_tag;
	*type = a.smctp_type;
	return n;
}

struct mctp_kernel	mctp_kernel = { kernel_open, kernel_bind,
    kernel_send, kernel_recv };

/* ---- relays -------------------------------------------------------------- */

static void
relay_closed(uv_handle_t *h)
{
	struct relay	*r = h->data;

	if (--r->nhandles > 0)
		return;
	if (!r->asks)
		close(r->kernel_fd);
	close(r->ours_fd);
	free(r);
}

static void
relay_end(struct relay *r)
{
	if (r->closing)
		return;
	r->closing = true;
	LIST_REMOVE(r, entry);
	nrelays--;
	if (!r->asks)
		uv_close((uv_handle_t *)&r->kernel, relay_closed);
	uv_close((uv_handle_t *)&r->ours, relay_closed);
}

static bool
passes(ssize_t n)
{
	return n == -1 && (errno == EAGAIN || errno == EINTR);
}

/* attestd speaks, or has closed its end. */
static void
from_attestd(uv_poll_t *h, int status, int events)
{
	struct relay	*r = h->data;
	ssize_t		 n;
	int		 fd = r->kernel_fd;

	n = recv(r->ours_fd, buf, sizeof(buf), MSG_DONTWAIT | MSG_TRUNC);
	if (passes(n))
		return;
	if (r->asks && n > 0)
		fd = served[buf[0] != TYPE_FIRST].fd;
	if (n < 2 || n > (ssize_t)sizeof(buf) || mctp_kernel.send(fd, &r->to,
	    buf[0], buf + 1, (size_t)n - 1) == -1) {
		if (n > 0)
			log_debug("mctp: eid %u: %s", r->to.eid,
			    strerror(errno));
		relay_end(r);
	}
}

/* The peer answers. What another endpoint says is not for this one. */
static void
from_kernel(uv_poll_t *h, int status, int events)
{
	struct relay		*r = h->data;
	struct mctp_endpoint	 from = { 0 };
	ssize_t			 n;

	n = mctp_kernel.recv(r->kernel_fd, &from, &buf[0], buf + 1,
	    sizeof(buf) - 1);
	if (passes(n) || (n >= 0 && (from.network != r->to.network ||
	    from.eid != r->to.eid)))
		return;
	if (n == -1 || n > (ssize_t)sizeof(buf) - 1 ||
	    send(r->ours_fd, buf, (size_t)n + 1, MSG_DONTWAIT | MSG_NOSIGNAL)
	    == -1)
		relay_end(r);
}

/* A pair with attestd's end in *fd; NULL: no room. */
static struct relay *
relay_new(const struct mctp_endpoint *to, int *fd)
{
	struct relay	*r;
	int		 pair[2];

	if (nrelays == RELAYS_MAX || (r = calloc(1, sizeof(*r))) == NULL)
		return NULL;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0, pair) == -1) {
		free(r);
		return NULL;
	}
	r->to = *to;
	r->kernel_fd = -1;
	r->ours_fd = pair[0];
	r->ours.data = r;
	r->nhandles = 1;
	LIST_INSERT_HEAD(&relays, r, entry);
	nrelays++;
	if (uv_poll_init(loop, &r->ours, pair[0]) != 0)
		fatalx("mctp: poll");
	uv_poll_start(&r->ours, UV_READABLE, from_attestd);
	*fd = pair[1];
	return r;
}

static enum reason
kernel_dial(const struct mctp_endpoint *to, int *fd)
{
	struct relay	*r;
	int		 kernel;

	if ((kernel = mctp_kernel.open()) == -1)
		return errno == EAFNOSUPPORT || errno == EPROTONOSUPPORT ?
		    R_NET_NO_MCTP : R_NET_RESOURCES;
	if ((r = relay_new(to, fd)) == NULL) {
		close(kernel);
		return R_NET_RESOURCES;
	}
	r->kernel_fd = kernel;
	r->kernel.data = r;
	if (uv_poll_init(loop, &r->kernel, kernel) != 0)
		fatalx("mctp: poll");
	r->nhandles = 2;
	uv_poll_start(&r->kernel, UV_READABLE, from_kernel);
	return R_OK;
}

/* ---- endpoints that ask ---------------------------------------------------- */

static struct relay *
asker(const struct mctp_endpoint *from)
{
	struct relay		*r;
	struct sockaddr_storage	 ss;
	int			 fd;

	LIST_FOREACH(r, &relays, entry)
		if (r->asks && r->to.network == from->network &&
		    r->to.eid == from->eid)
			return r;
	if ((r = relay_new(from, &fd)) == NULL)
		return NULL;
	r->asks = true;
	mctp_address(from, &ss);
	accepted(fd, &ss);
	return r;
}

/* A request of somebody; attestd -R has a socket for him. */
static void
request(uv_poll_t *h, int status, int events)
{
	struct served		*s = h->data;
	struct mctp_endpoint	 from = { 0 };
	struct relay		*r;
	ssize_t			 n;

	n = mctp_kernel.recv(s->fd, &from, &buf[0], buf + 1, sizeof(buf) - 1);
	if (n < 0 || n > (ssize_t)sizeof(buf) - 1 ||
	    (from.tag & MCTP_TAG_OWNER) == 0 || (r = asker(&from)) == NULL)
		return;
	r->to.tag = from.tag & MCTP_TAG_MASK;
	if (send(r->ours_fd, buf, (size_t)n + 1, MSG_DONTWAIT | MSG_NOSIGNAL)
	    == -1)
		relay_end(r);
}

/* "mctp:NET" */
int
mctp_bind(const char *where)
{
	uint32_t	network = (uint32_t)strtoul(where + 5, NULL, 10);
	unsigned	i;

	for (i = 0; i < TYPES; i++)
		if ((served[i].fd = mctp_kernel.open()) == -1 ||
		    mctp_kernel.bind(served[i].fd, network,
		    (uint8_t)(TYPE_FIRST + i)) == -1)
			return -1;
	return 0;
}

void
mctp_serve(mctp_accept_fn fn)
{
	struct served	*s;

	accepted = fn;
	for (s = served; s < served + TYPES; s++) {
		if (s->fd == -1)
			continue;
		if (uv_poll_init(loop, &s->poll, s->fd) != 0)
			fatalx("mctp: poll");
		s->poll.data = s;
		s->started = true;
		uv_poll_start(&s->poll, UV_READABLE, request);
	}
}

static void
served_closed(uv_handle_t *h)
{
	struct served	*s = h->data;

	close(s->fd);
	s->fd = -1;
}

void
mctp_address(const struct mctp_endpoint *e, struct sockaddr_storage *ss)
{
	struct sockaddr_mctp	*a = (struct sockaddr_mctp *)ss;

	memset(ss, 0, sizeof(*ss));
	a->smctp_family = AF_MCTP;
	a->smctp_network = e->network;
	a->smctp_addr.s_addr = e->eid;
}

bool
mctp_same(const struct sockaddr_storage *x, const struct sockaddr_storage *y)
{
	const struct sockaddr_mctp	*a = (const struct sockaddr_mctp *)x;
	const struct sockaddr_mctp	*b = (const struct sockaddr_mctp *)y;

	return a->smctp_network == b->smctp_network &&
	    a->smctp_addr.s_addr == b->smctp_addr.s_addr;
}

void
mctp_text(const struct sockaddr_storage *ss, char *out, size_t size)
{
	const struct sockaddr_mctp	*a = (const struct sockaddr_mctp *)ss;

	snprintf(out, size, "mctp:%u:%u", a->smctp_network,
	    a->smctp_addr.s_addr);
}

/* ---- bridges ------------------------------------------------------------- */

/* The path as we see it from inside of our root. 0, or -1: it is not there. */
static int
bridge_address(const char *path, struct sockaddr_un *sun)
{
	size_t	n = strlen(root);

	*sun = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strncmp(path, root, n) != 0 || path[n] != '/' ||
	    strlen(path + n) >= sizeof(sun->sun_path))
		return -1;
	ipc_set_str(sun->sun_path, sizeof(sun->sun_path), path + n);
	return 0;
}

static enum reason
bridge_connect(const char *path, int *fd)
{
	struct sockaddr_un	sun;

	if (bridge_address(path, &sun) == -1)
		return R_NET_ADDRESS;
	if ((*fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0)) == -1)
		return R_NET_RESOURCES;
	if (connect(*fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
		return R_OK;
	return R_NET_NO_BRIDGE;
}

int
mctp_listen(const char *path)
{
	struct sockaddr_un	sun = { .sun_family = AF_UNIX };
	struct stat		st;
	mode_t			old;
	int			fd, e;

	if (ipc_set_str(sun.sun_path, sizeof(sun.sun_path), path) == -1) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		(void)unlink(path);	/* of an earlier run */
	if ((fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0)) == -1)
		return -1;
	/* Its owner and group, which the directory may give. */
	old = umask(0117);
	e = bind(fd, (struct sockaddr *)&sun, sizeof(sun));
	umask(old);
	if (e == -1 || listen(fd, 16) == -1) {
		e = errno;
		close(fd);
		errno = e;
		return -1;
	}
	return fd;
}

/* ---- what dial.c asks for ------------------------------------------------ */

static bool
of_kernel(const char *where)
{
	return where != NULL && strncmp(where, "mctp:", 5) == 0;
}

bool
mctp_is(const char *address)
{
	return *address == '/' || of_kernel(address);
}

/* "mctp:NET:EID" */
static bool
parse(const char *address, struct mctp_endpoint *e)
{
	const char	*p = address + 5;
	char		*end;
	unsigned long	 n, eid;

	n = strtoul(p, &end, 10);
	if (end == p || *end != ':' || n == 0 || n > INT_MAX)
		return false;
	p = end + 1;
	eid = strtoul(p, &end, 10);
	if (end == p || *end != '\0' || eid < 8 || eid > 254)
		return false;
	e->network = (uint32_t)n;
	e->eid = (uint8_t)eid;
	e->tag = MCTP_TAG_OWNER;
	return true;
}

enum reason
mctp_dial(const char *address, int *fd)
{
	struct mctp_endpoint	to;

	*fd = -1;
	if (*address == '/')
		return bridge_connect(address, fd);
	if (!parse(address, &to))
		return R_NET_ADDRESS;
	/* policyd may have read another provd.conf since: our filter stays */
	return wanted ? kernel_dial(&to, fd) : R_NET_MCTP_UNUSED;
}

bool
mctp_wanted(const struct conf *conf)
{
	const struct conf_peer		*p;
	const struct conf_component	*c;

	for (p = conf->peers; p != NULL; p = p->next)
		if (of_kernel(p->mctp))
			return true;
	for (c = conf->components; c != NULL; c = c->next)
		if (of_kernel(c->address))
			return true;
	return of_kernel(conf->spdm_mctp);
}

void
mctp_init(struct uv_loop_s *l, const char *chrooted, bool kernel)
{
	loop = l;
	wanted = kernel;
	ipc_set_str(root, sizeof(root), chrooted);
}

void
mctp_stop(void)
{
	struct relay	*r;
	struct served	*s;

	while ((r = LIST_FIRST(&relays)) != NULL)
		relay_end(r);
	for (s = served; s < served + TYPES; s++)
		if (s->started) {
			s->started = false;
			uv_close((uv_handle_t *)&s->poll, served_closed);
		}
}
