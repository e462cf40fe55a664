/* A channel on the event loop: what ipc_uv.c promises. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <uv.h>

#include "chan_pair.h"

static uv_loop_t	loop;
static struct ending	ends[2];	/* netd's, keyd's */
static struct chan	*netd, *keyd;
static unsigned		replies, drains;
static enum reason	last;

static int
answer(struct chan *c, const struct ipc_call *call, const void *msg)
{
	struct msg_tls_sign_rep	rep = { .signature.len = 2 };

	return chan_reply(c, call, MSG_TLS_SIGN_REP, &rep);
}

static int
ignore(struct chan *c, const struct ipc_call *call, const void *msg)
{
	return 0;
}

static const struct ipc_handler answers[] = { { MSG_TLS_SIGN_REQ, answer } };
static const struct ipc_handler ignores[] = { { MSG_TLS_SIGN_REQ, ignore } };

static void
drained(struct chan *c)
{
	drains++;
}

static struct chan *
open_end(int fd, enum ipc_role self, enum ipc_role peer,
    const struct ipc_handler *h, struct ending *e)
{
	struct chan_conf	 conf = { .self = self, .peer = peer,
	    .handlers = h, .nhandlers = h != NULL, .closed = note_ending,
	    .drained = drained, .arg = e };
	struct chan		*c;

	memset(e, 0, sizeof(*e));
	c = chan_open(&loop, fd, &conf);
	assert_non_null(c);
	chan_set_phase(c, IPC_RUN);
	return c;
}

static void
open_pair(const struct ipc_handler *h)
{
	int	fds[2];

	replies = drains = 0;
	socket_pair(fds);
	netd = open_end(fds[0], IPC_NETD, IPC_KEYD, NULL, &ends[0]);
	keyd = open_end(fds[1], IPC_KEYD, IPC_NETD, h, &ends[1]);
}

static void
call(struct chan *c, uint32_t timeout, ipc_reply_fn fn)
{
	static const struct msg_tls_sign_req	m = { .key = 1 };

	assert_int_equal(chan_call(c, MSG_TLS_SIGN_REQ, &m, -1, timeout, fn,
	    c), 0);
}

static void
ten_times(const struct ipc_reply *r, void *arg)
{
	assert_int_equal(r->reason, R_OK);
	if (++replies == 10)
		chan_close(arg);
	else
		call(arg, 600000, ten_times);
}

/* The loop ends by itself: both channels close and no handle stays. */
static void
run(void)
{
	assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(ends[0].times, 1);
	assert_int_equal(ends[1].times, 1);
}

static void
test_calls(void **state)
{
	open_pair(answers);
	call(netd, 600000, ten_times);
	run();
	assert_int_equal(replies, 10);
	assert_int_equal(ends[1].reason, R_OK);
}

static void
note(const struct ipc_reply *r, void *arg)
{
	replies++;
	last = r->reason;
}

static void
deadline_then_close(const struct ipc_reply *r, void *arg)
{
	assert_int_equal(r->reason, R_IPC_DEADLINE);
	assert_int_equal(replies, 0);
	chan_close(arg);
}

/* The loop's timer fails a call that nobody answers, the nearest first. */
static void
test_deadline(void **state)
{
	open_pair(ignores);
	call(netd, 600000, note);
	call(netd, 1, deadline_then_close);
	run();
	assert_int_equal(replies, 1);
	assert_int_equal(last, R_IPC_CLOSED);
}

static void
test_offence(void **state)
{
	open_pair(NULL);
	call(netd, 600000, note);
	run();
	assert_int_equal(ends[1].reason, R_IPC_UNHANDLED);
	assert_int_equal(replies, 1);
	assert_int_equal(last, R_IPC_CLOSED);
}

/* ---- an end with much left to read ---- */

static unsigned	drops;

static int
count_drop(struct chan *c, const struct ipc_call *ipc, const void *msg)
{
	drops++;
	return 0;
}

static const struct ipc_handler drops_in[] = { { MSG_PEER_DROP, count_drop } };

/*
 * The peer ends with our word unread, which poll(2) reports as an error: all
 * that it said is heard, in more turns than one.
 */
static void
test_last_words(void **state)
{
	struct msg_peer_drop	m = { .peer = 1 };
	struct chan		*c;
	unsigned		 i;
	int			 fds[2];

	drops = 0;
	socket_pair(fds);
	c = open_end(fds[0], IPC_NETD, IPC_POLICYD, drops_in, &ends[0]);
	assert_int_equal(chan_send(c, MSG_NEIGHBOURS_END, NULL, -1), 0);
	for (i = 0; i < 100; i++)
		raw_msg(fds[1], MSG_PEER_DROP, 0, &m);
	close(fds[1]);
	assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(drops, 100);
	assert_int_equal(ends[0].times, 1);
	assert_int_equal(ends[0].reason, R_OK);
}

/* ---- a queue that fills ---- */

static unsigned	rows;

static int
count_row(struct chan *c, const struct ipc_call *ipc, const void *msg)
{
	if (++rows == 1000)
		chan_close(c);
	return 0;
}

static const struct ipc_handler rows_in[] = { { MSG_CTL_ROW, count_row } };

static void
test_output(void **state)
{
	static struct msg_ctl_row	row = { .json.len = 1000 };
	struct chan			*policyd;
	unsigned			 i;
	int				 fds[2];

	rows = drains = 0;
	socket_pair(fds);
	policyd = open_end(fds[0], IPC_POLICYD, IPC_PROVCTL, NULL, &ends[0]);
	open_end(fds[1], IPC_PROVCTL, IPC_POLICYD, rows_in, &ends[1]);
	for (i = 0; i < 1000; i++)
		assert_int_equal(chan_send(policyd, MSG_CTL_ROW, &row, -1), 0);
	assert_true(chan_wants_output(policyd));
	assert_true(chan_room(policyd) < IPC_QUEUE_MAX);
	run();
	assert_int_equal(rows, 1000);
	assert_int_equal(drains, 1);
}

/* A peer that does not read is left, at the loop's next turn. */
static void
test_full(void **state)
{
	static struct msg_ctl_row	row = { .json.len = 1000 };
	struct chan			*policyd;
	unsigned			 i = 0;
	int				 fds[2];

	socket_pair(fds);
	policyd = open_end(fds[0], IPC_POLICYD, IPC_PROVCTL, NULL, &ends[0]);
	while (chan_send(policyd, MSG_CTL_ROW, &row, -1) == 0)
		assert_true(++i < 3 * IPC_QUEUE_MAX);
	assert_true(i > IPC_QUEUE_MAX);
	assert_int_equal(ends[0].times, 0);
	assert_int_equal(chan_room(policyd), 0);
	assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(ends[0].times, 1);
	assert_int_equal(ends[0].reason, R_IPC_QUEUE);
	close(fds[1]);
}

static int
loop_open(void **state)
{
	return uv_loop_init(&loop);
}

static int
loop_close(void **state)
{
	return uv_loop_close(&loop);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_offence),
		cmocka_unit_test(test_last_words),
		cmocka_unit_test(test_output),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests_name("events", tests, loop_open,
	    loop_close);
}
