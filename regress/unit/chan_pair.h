/*
 * Two ends for the tests of channels: a channel and a bare socket, on which
 * the test says what it likes, or two channels that talk.
 */
#ifndef CHAN_PAIR_H
#define CHAN_PAIR_H

#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "chan.h"

/* What closed() was told; one a channel under test. */
struct ending {
	unsigned	times;
	enum reason	reason;
	unsigned	type;
};

static inline void
note_ending(struct chan *c, enum reason offence, unsigned type)
{
	struct ending	*e = chan_arg(c);

	e->times++;
	e->reason = offence;
	e->type = type;
}

static inline void
socket_pair(int fds[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    fds), 0);
}

static inline struct chan *
end_new(int fd, enum ipc_role self, enum ipc_role peer,
    const struct ipc_handler *h, size_t n, struct ending *e)
{
	struct chan_conf	 conf = { .self = self, .peer = peer,
	    .generation = 1, .handlers = h, .nhandlers = n,
	    .closed = note_ending, .arg = e };
	struct chan		*c;

	memset(e, 0, sizeof(*e));
	c = chan_new(fd, &conf);
	assert_non_null(c);
	chan_set_phase(c, IPC_RUN);
	return c;
}

/* Send raw bytes with n descriptors. */
static inline void
raw_send(int fd, const void *buf, size_t len, const int *fds, size_t n)
{
	union {
		struct cmsghdr	hdr;
		char		buf[CMSG_SPACE(16 * sizeof(int))];
	} control = { .buf = { 0 } };
	union { const void *in; void *out; } data = { .in = buf };
	struct iovec	 iov = { data.out, len };
	struct msghdr	 mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr	*cm;

	if (n > 0) {
		mh.msg_control = control.buf;
		mh.msg_controllen = CMSG_SPACE(n * sizeof(int));
		cm = CMSG_FIRSTHDR(&mh);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(cm), fds, n * sizeof(int));
	}
	assert_int_equal(sendmsg(fd, &mh, MSG_NOSIGNAL), len);
}

static inline void
raw_msg(int fd, enum ipc_type type, uint32_t id, const void *msg)
{
	uint8_t	buf[IPC_MAX_RECORD];
	size_t	len;

	assert_int_equal(ipc_encode(type, id, msg, buf, sizeof(buf), &len), 0);
	raw_send(fd, buf, len, NULL, 0);
}

/* The next record on a bare socket; its type, or MSG_NONE. */
static inline enum ipc_type
raw_recv(int fd, uint32_t *id, union ipc_any *m)
{
	uint8_t		buf[IPC_MAX_RECORD];
	enum ipc_type	type;
	ssize_t		n;

	if ((n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT)) <= 0)
		return MSG_NONE;
	assert_int_equal(ipc_peek(buf, (size_t)n, &type, id), 0);
	assert_int_equal(ipc_decode(type, buf, (size_t)n, m), 0);
	return type;
}

/* Open descriptors of this process. */
static inline unsigned
fds_open(void)
{
	unsigned	n = 0;
	int		fd;

	for (fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

#endif
