/*
 * What a call costs over libipc: encoded, checked, dispatched, answered. The
 * same bytes go back and forth over a bare SOCK_SEQPACKET pair beside it,
 * in turns, with both processes on one core and on two. Prints
 *
 *     name  median  unit  ratio to the bare socket
 */
#include <sys/socket.h>
#include <sys/wait.h>

#include <err.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <uv.h>

#include "bench.h"
#include "ipc.h"

#define CALLS	1000	/* in a round */
#define ROUNDS	11

static struct msg_tls_sign_req	request = { .key = 1, .scheme = 0x0403 };
static struct msg_tls_sign_rep	reply;
static uint8_t			bytes_out[512], bytes_in[512];
static size_t			request_len, reply_len;

static void
pin(int cpu)
{
	cpu_set_t	set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) == -1)
		err(1, "sched_setaffinity");
}

/* ---- the one that answers ---- */

static int
answer(struct chan *c, const struct ipc_call *call, const void *msg)
{
	return chan_reply(c, call, MSG_TLS_SIGN_REP, &reply);
}

static const struct ipc_handler from_netd[] = { { MSG_TLS_SIGN_REQ, answer } };

static const struct chan_conf	keyd_conf = { .self = IPC_KEYD,
    .peer = IPC_NETD, .handlers = from_netd, .nhandlers = 1 };
static const struct chan_conf	netd_conf = { .self = IPC_NETD,
    .peer = IPC_KEYD };

static void
serve_bare(int fd)
{
	uint8_t	buf[512];

	while (recv(fd, buf, sizeof(buf), 0) > 0)
		if (send(fd, bytes_in, reply_len, MSG_NOSIGNAL) == -1)
			break;
}

static void
serve_poll(int fd)
{
	struct chan	*c = chan_new(fd, &keyd_conf);
	struct pollfd	 p = { .fd = fd, .events = POLLIN };

	chan_set_phase(c, IPC_RUN);
	do {
		poll(&p, 1, -1);
	} while (chan_input(c) == 0);
}

static void
serve_loop(int fd)
{
	uv_loop_t	 loop;

	uv_loop_init(&loop);
	chan_set_phase(chan_open(&loop, fd, &keyd_conf), IPC_RUN);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
}

/* ---- the one that asks ---- */

struct way {
	const char	*name;
	void		(*serve)(int);
	void		(*round)(struct way *);
	int		 fd;
	pid_t		 pid;
	struct chan	*chan;
	uv_loop_t	 loop;
	unsigned	 left;
	double		 us[ROUNDS];	/* a call */
};

static void
round_bare(struct way *w)
{
	uint8_t		buf[512];
	unsigned	i;

	for (i = 0; i < CALLS; i++) {
		if (send(w->fd, bytes_out, request_len, 0) == -1 ||
		    recv(w->fd, buf, sizeof(buf), 0) <= 0)
			err(1, "%s", w->name);
	}
}

static void
answered(const struct ipc_reply *r, void *arg)
{
	struct way	*w = arg;

	if (r->reason != R_OK)
		errx(1, "%s: %s", w->name, reason_text(r->reason));
	if (--w->left > 0)
		chan_call(w->chan, MSG_TLS_SIGN_REQ, &request, -1, 60000,
		    answered, w);
	else
		uv_stop(&w->loop);
}

static void
begin_calls(struct way *w)
{
	w->left = CALLS;
	if (chan_call(w->chan, MSG_TLS_SIGN_REQ, &request, -1, 60000, answered,
	    w) == -1)
		errx(1, "%s", w->name);
}

static void
round_poll(struct way *w)
{
	struct pollfd	p = { .fd = w->fd, .events = POLLIN };

	begin_calls(w);
	while (w->left > 0) {
		poll(&p, 1, -1);
		chan_input(w->chan);
	}
}

static void
round_loop(struct way *w)
{
	begin_calls(w);
	uv_run(&w->loop, UV_RUN_DEFAULT);
}

static struct way	ways[] = {
	{ .name = "bare", .serve = serve_bare, .round = round_bare },
	{ .name = "call", .serve = serve_poll, .round = round_poll },
	{ .name = "call_on_loop", .serve = serve_loop, .round = round_loop },
};
#define NWAYS	(sizeof(ways) / sizeof(ways[0]))

static void
way_open(struct way *w, int cpu)
{
	int	fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == -1)
		err(1, "socketpair");
	if ((w->pid = fork()) == -1)
		err(1, "fork");
	if (w->pid == 0) {
		close(fds[0]);
		pin(cpu);
		w->serve(fds[1]);
		_exit(0);
	}
	close(fds[1]);
	w->fd = fds[0];
	uv_loop_init(&w->loop);
	if (w->serve == serve_poll)
		w->chan = chan_new(w->fd, &netd_conf);
	else if (w->serve == serve_loop)
		w->chan = chan_open(&w->loop, w->fd, &netd_conf);
	if (w->chan != NULL)
		chan_set_phase(w->chan, IPC_RUN);
}

static void
way_close(struct way *w)
{
	if (w->chan != NULL)
		chan_close(w->chan);
	else
		close(w->fd);
	w->chan = NULL;
	uv_run(&w->loop, UV_RUN_DEFAULT);
	uv_loop_close(&w->loop);
	kill(w->pid, SIGTERM);
	waitpid(w->pid, NULL, 0);
}

static void
measure(const char *where, int other)
{
	double		start, base, us;
	char		name[64];
	unsigned	r;
	size_t		i;

	for (i = 0; i < NWAYS; i++)
		way_open(&ways[i], other);
	for (r = 0; r < ROUNDS; r++) {
		for (i = 0; i < NWAYS; i++) {
			start = seconds();
			ways[i].round(&ways[i]);
			ways[i].us[r] = (seconds() - start) * 1e6 / CALLS;
		}
	}
	base = median(ways[0].us, ROUNDS);
	for (i = 0; i < NWAYS; i++) {
		us = median(ways[i].us, ROUNDS);
		snprintf(name, sizeof(name), "ipc_%s_%s", ways[i].name, where);
		/* Of the rate that the bare socket has. */
		bench_line(name, us, "us/call", base / us);
		way_close(&ways[i]);
	}
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	bench_start(argc, argv);
	request.content.len = sizeof(request.content.data);
	reply.signature.len = 72;
	if (ipc_encode(MSG_TLS_SIGN_REQ, 1000, &request, bytes_out,
	    sizeof(bytes_out), &request_len) == -1 ||
	    ipc_encode(MSG_TLS_SIGN_REP, 1000, &reply, bytes_in,
	    sizeof(bytes_in), &reply_len) == -1)
		errx(1, "encode");
	pin(0);
	measure("one_core", 0);
	if (sysconf(_SC_NPROCESSORS_ONLN) > 1)
		measure("two_cores", 1);
	return 0;
}
