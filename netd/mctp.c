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
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "log.h"
#include "mctp.h"
#include "netd.h"

/* After <net/if.h>, which netd.h has: the two declare the same. */
#include <linux/mctp.h>

#ifndef AF_MCTP
#define AF_MCTP	45
#endif

#define RELAYS_MAX	32	/* as many as jobs of attestd -Q */
#define MESSAGE_MAX	0x10000	/* bytes, with the type */

struct relay {
	LIST_ENTRY(relay)	 entry;
	struct mctp_endpoint	 to;
	uv_poll_t		 kernel, ours;
	int			 kernel_fd, ours_fd;
	int			 nhandles;	/* not closed yet */
	bool			 closing;
};

static LIST_HEAD(, relay)	 relays = LIST_HEAD_INITIALIZER(relays);
static unsigned			 nrelays;
static uv_loop_t		*loop;
static char			 root[PATH_MAX];	/* ours, or "": no chroot */
static uint8_t			 buf[MESSAGE_MAX];

/* ---- the kernel's MCTP --------------------------------------------------- */

static int
kernel_open(void)
{
	return socket(AF_MCTP, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* A request: the kernel picks its tag and brings us what answers it. */
static ssize_t
kernel_send(int fd, const struct mctp_endpoint *to, uint8_t type,
    const uint8_t *p, size_t len)
{
	struct sockaddr_mctp	a = {
		.smctp_family = AF_MCTP,
		.smctp_network = to->network,
		.smctp_addr.s_addr = to->eid,
		.smctp_type = type,
		.smctp_tag = MCTP_TAG_OWNER,
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
	*type = a.smctp_type;
	return n;
}

struct mctp_kernel	mctp_kernel = { kernel_open, kernel_send,
    kernel_recv };

/* ---- relays -------------------------------------------------------------- */

static void
relay_closed(uv_handle_t *h)
{
	struct relay	*r = h->data;

	if (--r->nhandles > 0)
		return;
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

	n = recv(r->ours_fd, buf, sizeof(buf), MSG_DONTWAIT | MSG_TRUNC);
	if (passes(n))
		return;
	if (n < 2 || n > (ssize_t)sizeof(buf) ||
	    mctp_kernel.send(r->kernel_fd, &r->to, buf[0], buf + 1,
	    (size_t)n - 1) == -1) {
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

static enum reason
relay_new(const struct mctp_endpoint *to, int *fd)
{
	struct relay	*r;
	int		 pair[2], kernel;

	if ((kernel = mctp_kernel.open()) == -1)
		return errno == EAFNOSUPPORT || errno == EPROTONOSUPPORT ?
		    R_NET_NO_MCTP : R_NET_RESOURCES;
	if (nrelays == RELAYS_MAX || (r = calloc(1, sizeof(*r))) == NULL) {
		close(kernel);
		return R_NET_RESOURCES;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0, pair) == -1) {
		close(kernel);
		free(r);
		return R_NET_RESOURCES;
	}
	r->to = *to;
	r->kernel_fd = kernel;
	r->ours_fd = pair[0];
	r->kernel.data = r->ours.data = r;
	r->nhandles = 2;
	LIST_INSERT_HEAD(&relays, r, entry);
	nrelays++;
	if (uv_poll_init(loop, &r->kernel, kernel) != 0 ||
	    uv_poll_init(loop, &r->ours, pair[0]) != 0)
		fatalx("mctp: poll");
	uv_poll_start(&r->kernel, UV_READABLE, from_kernel);
	uv_poll_start(&r->ours, UV_READABLE, from_attestd);
	*fd = pair[1];
	return R_OK;
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

bool
mctp_is(const char *address)
{
	return *address == '/' || strncmp(address, "mctp:", 5) == 0;
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
	return true;
}

enum reason
mctp_dial(const char *address, int *fd)
{
	struct mctp_endpoint	to;

	*fd = -1;
	if (*address == '/')
		return bridge_connect(address, fd);
	return parse(address, &to) ? relay_new(&to, fd) : R_NET_ADDRESS;
}

void
mctp_init(struct uv_loop_s *l, const char *chrooted)
{
	loop = l;
	ipc_set_str(root, sizeof(root), chrooted);
}

void
mctp_stop(void)
{
	struct relay	*r;

	while ((r = LIST_FIRST(&relays)) != NULL)
		relay_end(r);
}
