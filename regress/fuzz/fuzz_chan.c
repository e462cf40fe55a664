/*
 * A hostile peer on a channel. The input is who speaks to whom and in what
 * phase, then records: length (two bytes, little-endian), how many
 * descriptors come with it, and the bytes. A handler may see only what the
 * routes allow, with the descriptor that its type has; every call of ours
 * ends once, and no descriptor stays.
 */
#include <sys/socket.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc.h"

#define FDS_MAX	3

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static struct {
	enum ipc_role	self, peer;
	enum ipc_phase	phase;
	unsigned	open;		/* unanswered calls of the peer */
	unsigned	ours, over;	/* calls of ours */
	unsigned	ended;
} run;

static void
must(bool what)
{
	if (!what)
		abort();
}

static int
handle(struct chan *c, const struct ipc_call *call, const void *msg)
{
	must(ipc_route(call->type, run.peer, run.self, run.phase));
	must((call->fd != -1) == ipc_takes_fd(call->type));
	if (call->fd != -1)
		must(close(call->fd) == 0);
	if (ipc_kind(call->type) != IPC_CALL)
		return call->type % 7 == 0 ? -1 : 0;
	/* Every third number is answered at once, the others never. */
	if (call->id % 3 == 0)
		must(chan_refuse(c, call, R_IPC_NOLINK) == 0);
	else
		must(++run.open <= ipc_window(run.self, run.peer));
	return 0;
}

static void
over(const struct ipc_reply *r, void *arg)
{
	bool	*once = arg;

	must(!*once);
	*once = true;
	run.over++;
}

static void
ended(struct chan *c, enum reason offence, unsigned type)
{
	run.ended++;
}

static void
call_all(struct chan *c)
{
	static union ipc_any	zero;
	static bool		once[MSG_COUNT];
	enum ipc_type		t;

	memset(once, 0, sizeof(once));
	for (t = MSG_NONE + 1; t < MSG_COUNT; t++) {
		if (ipc_kind(t) == IPC_CALL && !ipc_takes_fd(t) &&
		    chan_call(c, t, &zero, -1, 1000, over, &once[t]) == 0)
			run.ours++;
	}
}

static void
send_record(int fd, const uint8_t *p, size_t len, unsigned nfds)
{
	union {
		struct cmsghdr	hdr;
		char		buf[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control = { .buf = { 0 } };
	union { const void *in; void *out; } data = { .in = p };
	struct iovec	 iov = { data.out, len };
	struct msghdr	 mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr	*cm;
	unsigned	 i;

	if (nfds > 0) {
		mh.msg_control = control.buf;
		mh.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		cm = CMSG_FIRSTHDR(&mh);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		for (i = 0; i < nfds; i++)
			memcpy(CMSG_DATA(cm) + i * sizeof(int), &fd,
			    sizeof(int));
	}
	(void)sendmsg(fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void
feed(struct chan *c, int fd, const uint8_t *p, size_t left)
{
	size_t	len;

	while (left >= 3) {
		len = (size_t)p[0] | (size_t)p[1] << 8;
		if (len > left - 3)
			len = left - 3;
		send_record(fd, p + 3, len, p[2] % (FDS_MAX + 1));
		if (chan_input(c) == -1)
			return;
		p += 3 + len;
		left -= 3 + len;
	}
	chan_close(c);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ipc_handler table[MSG_COUNT];
	struct chan_conf	 conf = { .closed = ended };
	struct chan		*c;
	int			 fds[2], next;
	unsigned		 t;

	if (size < 1)
		return 0;
	memset(&run, 0, sizeof(run));
	conf.self = run.self = data[0] % IPC_NROLES;
	conf.peer = run.peer = data[0] / IPC_NROLES % IPC_NROLES;
	run.phase = data[0] & 0x80 ? IPC_START : IPC_RUN;
	for (t = 0; t + 1 < MSG_COUNT; t++)
		table[t] = (struct ipc_handler){ t + 1, handle };
	conf.handlers = table;
	conf.nhandlers = MSG_COUNT - 1;
	must(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds) == 0);
	must((c = chan_new(fds[0], &conf)) != NULL);
	chan_set_phase(c, run.phase);
	call_all(c);
	feed(c, fds[1], data + 1, size - 1);
	close(fds[1]);
	must(run.ended == 1 && run.over == run.ours);
	must((next = open("/dev/null", O_RDONLY)) == fds[0]);
	close(next);
	return 0;
}
