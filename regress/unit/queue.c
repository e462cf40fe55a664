/*
 * The output queue: order, coalescing of STATE, its bound, and that replies
 * always fit. policyd's channel is under test, netd's end is a bare socket.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "chan_pair.h"

static union ipc_any	any;
static struct chan	*c;
static struct ending	end;
static unsigned		drains;
static int		bare;

static void
drained(struct chan *ch)
{
	drains++;
}

static void
open_end(enum ipc_role self, enum ipc_role peer)
{
	struct chan_conf	conf = { .self = self, .peer = peer,
	    .closed = note_ending, .drained = drained, .arg = &end };
	int			fds[2];

	memset(&end, 0, sizeof(end));
	drains = 0;
	socket_pair(fds);
	c = chan_new(fds[0], &conf);
	assert_non_null(c);
	chan_set_phase(c, IPC_RUN);
	bare = fds[1];
}

static int
teardown(void **state)
{
	if (end.times == 0)
		chan_close(c);
	close(bare);
	return 0;
}

static void
drop(uint32_t peer)
{
	struct msg_peer_drop	m = { .peer = peer };

	assert_int_equal(chan_send(c, MSG_PEER_DROP, &m, -1), 0);
}

static void
set(uint32_t peer, uint32_t port)
{
	struct msg_peer_set	m = { .peer = peer, .port = port };

	assert_int_equal(chan_send(c, MSG_PEER_SET, &m, -1), 0);
}

/* What the kernel takes until it takes no more; PEER_DROP 0 fills it. */
static size_t
fill_kernel(void)
{
	size_t	n = 0;

	while (!chan_wants_output(c)) {
		drop(0);
		n++;
	}
	return n;
}

/* The next record after what fill_kernel() sent. */
static enum ipc_type
next(void)
{
	enum ipc_type	t;
	uint32_t	id;

	for (;;) {
		while ((t = raw_recv(bare, &id, &any)) == MSG_NONE) {
			if (!chan_wants_output(c))
				return MSG_NONE;
			assert_int_equal(chan_output(c), 0);
		}
		if (t != MSG_PEER_DROP || any.peer_drop.peer != 0)
			return t;
	}
}

static void
expect_set(uint32_t peer, uint32_t port)
{
	assert_int_equal(next(), MSG_PEER_SET);
	assert_int_equal(any.peer_set.peer, peer);
	assert_int_equal(any.peer_set.port, port);
}

static void
expect_drop(uint32_t peer)
{
	assert_int_equal(next(), MSG_PEER_DROP);
	assert_int_equal(any.peer_drop.peer, peer);
}

/* ---- order and coalescing ---- */

static void
test_order(void **state)
{
	uint32_t	i;

	open_end(IPC_POLICYD, IPC_NETD);
	fill_kernel();
	for (i = 1; i <= 500; i++) {
		drop(i);
		set(i, i);
	}
	for (i = 1; i <= 500; i++) {
		expect_drop(i);
		expect_set(i, i);
	}
	assert_int_equal(next(), MSG_NONE);
	assert_true(drains > 0);
}

/* The newer takes the older's place away and stands at the end. */
static void
test_coalesce(void **state)
{
	open_end(IPC_POLICYD, IPC_NETD);
	fill_kernel();
	set(1, 10);
	set(2, 20);
	drop(1);
	set(1, 11);
	drop(2);
	set(1, 12);
	expect_set(2, 20);
	expect_drop(1);
	expect_drop(2);
	expect_set(1, 12);
	assert_int_equal(next(), MSG_NONE);
}

/* Another type with the same key is another state. */
static void
test_coalesce_by_type(void **state)
{
	struct msg_trusted_time	t = { .now = 5 };
	struct msg_log_level	l = { .level = 1 };

	open_end(IPC_POLICYD, IPC_NETD);
	fill_kernel();
	set(0, 1);
	chan_send(c, MSG_TRUSTED_TIME, &t, -1);
	chan_send(c, MSG_LOG_LEVEL, &l, -1);
	expect_set(0, 1);
	assert_int_equal(next(), MSG_TRUSTED_TIME);
	assert_int_equal(next(), MSG_LOG_LEVEL);
	assert_int_equal(next(), MSG_NONE);
}

/* What has left the queue is not taken back. */
static void
test_no_coalescing_when_sent(void **state)
{
	open_end(IPC_POLICYD, IPC_NETD);
	set(1, 10);
	set(1, 11);
	expect_set(1, 10);
	expect_set(1, 11);
}

/* Many states of many keys, each the newest, in the order of the last word. */
static void
test_coalesce_many(void **state)
{
	uint32_t	i, round;

	open_end(IPC_POLICYD, IPC_NETD);
	fill_kernel();
	for (round = 0; round < 4; round++) {
		for (i = 1; i <= 2000; i++)
			set(i, round);
	}
	assert_int_equal(end.times, 0);
	for (i = 1; i <= 2000; i++)
		expect_set(i, 3);
	assert_int_equal(next(), MSG_NONE);
	assert_int_equal(chan_room(c), IPC_QUEUE_MAX);
}

/* ---- the bound ---- */

static void
test_bound(void **state)
{
	size_t	n;

	open_end(IPC_POLICYD, IPC_NETD);
	fill_kernel();
	assert_int_equal(chan_room(c), IPC_QUEUE_MAX - 1);
	for (n = chan_room(c); n > 0; n--)
		drop(1);
	assert_int_equal(chan_room(c), 0);
	assert_int_equal(chan_output(c), 0);
	assert_int_equal(end.times, 0);
	set(1, 1);
	/* Said in the loop's next turn, never to the caller. */
	assert_int_equal(end.times, 0);
	assert_int_equal(chan_send(c, MSG_PEERS_END, NULL, -1), -1);
	assert_int_equal(chan_output(c), -1);
	assert_int_equal(end.times, 1);
	assert_int_equal(end.reason, R_IPC_QUEUE);
}

/* A handler that says too much: no fault of the peer that asked. */
static int
stream(struct chan *ch, const struct ipc_call *call, const void *msg)
{
	static struct msg_ctl_row	row = { .json.len = 1000 };

	while (chan_send(ch, MSG_CTL_ROW, &row, -1) == 0)
		;
	return chan_done(ch, call);
}

static const struct ipc_handler streams[] = { { MSG_CTL_STATUS, stream } };

static void
test_bound_in_handler(void **state)
{
	open_end(IPC_POLICYD, IPC_PROVCTL);
	chan_set_handlers(c, streams, 1);
	raw_msg(bare, MSG_CTL_STATUS, 1, NULL);
	assert_int_equal(chan_input(c), -1);
	assert_int_equal(end.times, 1);
	assert_int_equal(end.reason, R_IPC_QUEUE);
}

/* A full queue takes a state whose elder it holds. */
static void
test_bound_coalesced(void **state)
{
	size_t	n;

	open_end(IPC_POLICYD, IPC_NETD);
	fill_kernel();
	set(1, 1);
	for (n = chan_room(c); n > 0; n--)
		drop(1);
	for (n = 0; n < 100; n++)
		set(1, (uint32_t)n);
	assert_int_equal(chan_output(c), 0);
	assert_int_equal(end.times, 0);
}

/* Descriptors that wait in the queue of a channel that closes do not leak. */
static void
test_descriptors_dropped(void **state)
{
	struct msg_introduce	m = { .peer = IPC_KEYD };
	unsigned		before;

	open_end(IPC_POLICYD, IPC_NETD);
	fill_kernel();
	before = fds_open();
	assert_int_equal(chan_send(c, MSG_INTRODUCE, &m, dup(0)), 0);
	assert_int_equal(chan_send(c, MSG_INTRODUCE, &m, dup(0)), 0);
	assert_int_equal(fds_open(), before + 2);
	chan_close(c);
	assert_int_equal(fds_open(), before - 1);
}

/* ---- replies ---- */

static struct ipc_call	waiting[64];
static unsigned		nwaiting;

static int
dial(struct chan *ch, const struct ipc_call *call, const void *msg)
{
	waiting[nwaiting++] = *call;
	return 0;
}

static const struct ipc_handler calls_in[] = { { MSG_DIAL_SPDM, dial } };

/* With the queue full to its bound every call that was taken is answered. */
static void
test_replies_fit(void **state)
{
	static struct msg_neighbour	m = { .neighbour = 1 };
	struct msg_dial_spdm		call = { .job = 1 };
	unsigned			w = ipc_window(IPC_NETD, IPC_POLICYD);
	unsigned			i, dones = 0;
	enum ipc_type			t;
	uint32_t			id;
	size_t				n;

	nwaiting = 0;
	open_end(IPC_NETD, IPC_POLICYD);
	chan_set_handlers(c, calls_in, 1);
	for (i = 0; i < w; i++)
		raw_msg(bare, MSG_DIAL_SPDM, i + 1, &call);
	while (nwaiting < w)
		assert_int_equal(chan_input(c), 0);
	for (n = 0; chan_room(c) > 0; n++) {
		m.neighbour = (uint32_t)n;
		assert_int_equal(chan_send(c, MSG_NEIGHBOUR, &m, -1), 0);
	}
	for (i = 0; i < w; i++)
		assert_int_equal(chan_done(c, &waiting[i]), 0);
	assert_int_equal(end.times, 0);
	while (dones < w) {
		t = raw_recv(bare, &id, &any);
		if (t == MSG_NONE)
			assert_int_equal(chan_output(c), 0);
		else if (t == MSG_DONE)
			assert_int_equal(id, ++dones);
	}
}

#define TEST(f)	cmocka_unit_test_teardown(f, teardown)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		TEST(test_order),
		TEST(test_coalesce),
		TEST(test_coalesce_by_type),
		TEST(test_no_coalescing_when_sent),
		TEST(test_coalesce_many),
		TEST(test_bound),
		TEST(test_bound_in_handler),
		TEST(test_bound_coalesced),
		TEST(test_descriptors_dropped),
		TEST(test_replies_fit),
	};

	return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}
