/*
 * The means of a hostile sister: to be a daemon's user, to greet the hub, to
 * take what it introduces, and to put any bytes with any descriptors. Nothing
 * here is held to what a channel of libipc may send.
 */
#include <sys/socket.h>
#include <sys/un.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "confine.h"
#include "sister.h"
#include "wire.h"

void
sister_user(enum ipc_role user, enum ipc_role group)
{
	struct passwd	*u = getpwnam(confine_role_user(ipc_role_name(user)));
	uid_t		 uid = u == NULL ? 0 : u->pw_uid;
	struct passwd	*g = getpwnam(confine_role_user(ipc_role_name(group)));

	if (uid == 0 || g == NULL)
		errx(2, "no users of the suite");
	if (setgroups(0, NULL) == -1 ||
	    setresgid(g->pw_gid, g->pw_gid, g->pw_gid) == -1 ||
	    setresuid(uid, uid, uid) == -1)
		err(2, "%s", u->pw_name);
}

static int
sister_connect(const char *path)
{
	struct sockaddr_un	sun = { .sun_family = AF_UNIX };
	int			fd, e;

	if (strlen(path) >= sizeof(sun.sun_path))
		errx(2, "%s: too long", path);
	memcpy(sun.sun_path, path, strlen(path));
	if ((fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)) == -1)
		err(2, "socket");
	if (connect(fd, (const struct sockaddr *)&sun, sizeof(sun)) == 0)
		return fd;
	e = errno;
	close(fd);
	errno = e;
	return -1;
}

int
sister_dial(const char *dir, enum ipc_role role)
{
	char	path[512];

	if (role == IPC_PROVCTL)
		snprintf(path, sizeof(path), "%s/run/control.sock", dir);
	else
		snprintf(path, sizeof(path), "%s/%s/%s/hub.sock", dir,
		    role == IPC_KEYD ? "state" : "run", ipc_role_name(role));
	return sister_connect(path);
}

/* The links that policyd makes do not block; we do. */
static int
put(int sock, const struct msghdr *mh)
{
	struct pollfd	p = { .fd = sock, .events = POLLOUT };

	while (sendmsg(sock, mh, MSG_NOSIGNAL) == -1) {
		if (errno != EAGAIN)
			return -1;
		poll(&p, 1, -1);
	}
	return 0;
}

int
sister_put(int sock, const uint8_t *p, size_t len, unsigned n)
{
	union {
		struct cmsghdr	hdr;
		char		buf[CMSG_SPACE(2 * sizeof(int))];
	} control = { .buf = { 0 } };
	union { const uint8_t *in; void *out; } data = { .in = p };
	struct iovec	 iov = { data.out, len };
	struct msghdr	 mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr	*cm;
	int		 fds[2], null, r;

	if (n == 0)
		return put(sock, &mh);
	if ((null = open("/dev/null", O_RDWR | O_CLOEXEC)) == -1)
		err(2, "/dev/null");
	fds[0] = fds[1] = null;
	mh.msg_control = control.buf;
	mh.msg_controllen = CMSG_SPACE(n * sizeof(int));
	cm = CMSG_FIRSTHDR(&mh);
	cm->cmsg_level = SOL_SOCKET;
	cm->cmsg_type = SCM_RIGHTS;
	cm->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(cm), fds, n * sizeof(int));
	r = put(sock, &mh);
	close(null);
	return r;
}

int
sister_say(int sock, enum ipc_type type, uint32_t id, const void *msg)
{
	static uint8_t	buf[IPC_MAX_RECORD];
	size_t		len;

	if (ipc_encode(type, id, msg, buf, sizeof(buf), &len) == -1)
		errx(2, "%s cannot be encoded", ipc_name(type));
	return sister_put(sock, buf, len, 0);
}

int
sister_recv(int sock, struct heard *h, int ms)
{
	static struct arrival	a;
	struct pollfd		p = { .fd = sock, .events = POLLIN };
	int			r;

	if (poll(&p, 1, ms) == 0)
		return 0;
	if ((r = wire_recv(sock, &a)) != 1)
		return r;
	if (ipc_peek(a.buf, a.len, &h->type, &h->id) == -1 ||
	    ipc_decode(h->type, a.buf, a.len, &h->msg) == -1)
		errx(2, "an honest daemon sent a malformed record");
	h->fd = a.nfds == 1 ? a.fds[0] : -1;
	return 1;
}

enum reason
sister_hello(struct sister *s, enum ipc_role role, bool right_build)
{
	struct msg_ctl_hello	ctl;
	struct msg_hello	m = { .role = role };
	struct heard		h;
	bool			operator = role == IPC_PROVCTL;
	int			r;

	IPC_SET_BLOB(m.catalogue, ipc_catalogue(), 32);
	m.catalogue.data[31] ^= right_build ? 0 : 1;
	IPC_SET_BLOB(ctl.catalogue, m.catalogue.data, 32);
	s->next_id = 1;
	s->job.type = MSG_NONE;
	if (sister_say(s->hub, operator ? MSG_CTL_HELLO : MSG_HELLO,
	    s->next_id++, operator ? (const void *)&ctl : &m) == -1 ||
	    (r = sister_recv(s->hub, &h, SISTER_MS)) != 1)
		return R_IPC_CLOSED;
	if (h.type == MSG_REFUSED)
		return (enum reason)h.msg.refused.reason;
	return h.type == (operator ? MSG_CTL_WELCOME : MSG_WELCOME) ? R_OK :
	    R_IPC_FORM;
}

int
sister_introduced(struct sister *s, enum ipc_role role)
{
	struct heard	 h;
	enum ipc_role	 peer;

	while (s->link[role] == -1) {
		if (sister_recv(s->hub, &h, SISTER_MS) != 1)
			return -1;
		if (h.type == MSG_JOB_OPEN)
			s->job = h;
		if (h.type != MSG_INTRODUCE) {
			if (h.fd != -1)
				close(h.fd);
			continue;
		}
		peer = (enum ipc_role)h.msg.introduce.peer;
		if (s->link[peer] != -1)
			close(s->link[peer]);
		s->link[peer] = h.fd;
		s->generation[peer] = h.msg.introduce.generation;
	}
	return 0;
}

int
sister_link(struct sister *s, enum ipc_role role)
{
	struct msg_link_hello	m = { 0 };
	struct heard		h;

	if (sister_introduced(s, role) == -1)
		return -1;
	m.generation = s->generation[role];
	IPC_SET_BLOB(m.catalogue, ipc_catalogue(), 32);
	if (sister_say(s->link[role], MSG_LINK_HELLO, 0, &m) == -1 ||
	    sister_recv(s->link[role], &h, SISTER_MS) != 1 ||
	    h.type != MSG_LINK_HELLO)
		return -1;
	return 0;
}

bool
sister_closed(int sock, unsigned *replies)
{
	uint64_t	end = clock_mono_ms() + SISTER_MS;
	struct heard	h;
	int		r;

	while ((r = sister_recv(sock, &h, SISTER_MS)) == 1) {
		if (h.fd != -1)
			close(h.fd);
		if (ipc_kind(h.type) == IPC_REPLY && h.type != MSG_REFUSED)
			++*replies;
		if (clock_mono_ms() > end)
			return false;
	}
	return r == -1;
}

enum reason
sister_call(struct sister *s, int sock, enum ipc_type type, const void *msg,
    struct heard *h)
{
	uint32_t	id = s->next_id++;

	if (sister_say(sock, type, id, msg) == -1)
		return R_IPC_CLOSED;
	for (;;) {
		if (sister_recv(sock, h, SISTER_MS) != 1)
			return R_IPC_CLOSED;
		if (ipc_kind(h->type) == IPC_REPLY && h->id == id)
			break;
		if (h->fd != -1)
			close(h->fd);
	}
	return h->type == MSG_REFUSED ? (enum reason)h->msg.refused.reason :
	    R_OK;
}
