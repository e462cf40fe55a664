#include <sys/types.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "wire.h"

int
wire_send(int sock, const uint8_t *p, size_t len, int fd)
{
	union {
		struct cmsghdr	hdr;
		char		buf[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec	 iov;
	struct msghdr	 mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr	*cm;
	ssize_t		 n;
	union { const uint8_t *in; void *out; } data = { .in = p };

	iov.iov_base = data.out;
	iov.iov_len = len;
	if (fd != -1) {
		memset(&control, 0, sizeof(control));
		mh.msg_control = control.buf;
		mh.msg_controllen = sizeof(control.buf);
		cm = CMSG_FIRSTHDR(&mh);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cm), &fd, sizeof(int));
	}
	do {
		n = sendmsg(sock, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n == -1 && errno == EINTR);
	return n == -1 ? -1 : 0;
}

void
arrival_close(struct arrival *a)
{
	while (a->nfds > 0)
		close(a->fds[--a->nfds]);
}

static void
arrival_fds(struct arrival *a, struct msghdr *mh)
{
	struct cmsghdr	*cm;
	size_t		 i, n;
	int		 fd;

	for (cm = CMSG_FIRSTHDR(mh); cm != NULL; cm = CMSG_NXTHDR(mh, cm)) {
		if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS)
			continue;
		n = (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(cm) + i * sizeof(int),
			    sizeof(fd));
			if (a->nfds < WIRE_FDS_MAX)
				a->fds[a->nfds++] = fd;
			else
				close(fd);
		}
	}
}

int
wire_recv(int sock, struct arrival *a)
{
	union {
		struct cmsghdr	hdr;
		char		buf[CMSG_SPACE(WIRE_FDS_MAX * sizeof(int))];
	} control;
	struct iovec	 iov = { a->buf, sizeof(a->buf) };
	struct msghdr	 mh = { .msg_iov = &iov, .msg_iovlen = 1,
	    .msg_control = control.buf, .msg_controllen = sizeof(control.buf) };
	ssize_t		 n;

	do {
		n = recvmsg(sock, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		/* ECONNRESET comes once, before what was sent earlier. */
	} while (n == -1 && (errno == EINTR || errno == ECONNRESET));
	if (n == -1)
		return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -1;
	a->nfds = 0;
	arrival_fds(a, &mh);
	a->len = (size_t)n;
	a->truncated = (mh.msg_flags & MSG_TRUNC) != 0;
	a->lost = (mh.msg_flags & MSG_CTRUNC) != 0;
	if (n == 0) {
		/* The end. An empty record looks the same and is no better. */
		arrival_close(a);
		return -1;
	}
	return 1;
}
