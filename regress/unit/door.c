/*
 * door: connections that enrold has. One end is netd's channel, the other
 * enrold's, played here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "../../netd/netd.h"
#include "chan_pair.h"
#include "clock.h"

#define MAX	8

static const struct link	none;
static struct conf_listener	door = { .port = 8443 };
static struct chan		*netd, *enrold;
static struct ending		netd_end, enrold_end;

/* What enrold was handed. */
static struct msg_http_accepted	got[MAX];
static unsigned			ngot;

static int
on_accepted(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_http_accepted	*m = arg;

	assert_true(call->fd != -1);
	close(call->fd);
	assert_true(ngot < MAX);
	got[ngot++] = *m;
	return 0;
}

static const struct ipc_handler	for_enrold[] = {
	{ MSG_HTTP_ACCEPTED,	on_accepted },
};
static const struct ipc_handler	for_netd[] = {
	{ MSG_HTTP_OVER,	netd_http_over },
};

static void
links_new(void)
{
	int	fds[2];

	socket_pair(fds);
	netd = end_new(fds[0], IPC_NETD, IPC_ENROLD, for_netd, 1, &netd_end);
	enrold = end_new(fds[1], IPC_ENROLD, IPC_NETD, for_enrold, 1,
	    &enrold_end);
	ngot = 0;
}

static void
links_close(void)
{
	chan_close(netd);
	chan_close(enrold);
}

static int
setup(void **state)
{
	static const struct conf	conf = { .max_connections = 10,
	    .max_per_address = 2, .max_half_open = 5, .max_enrol = 4,
	    .listeners = &door };

	limit_init(&conf);
	door_init(&conf);
	links_new();
	return 0;
}

static int
teardown(void **state)
{
	links_close();
	door_free();
	limit_free();
	return 0;
}

static const struct sockaddr_storage *
host(unsigned n)
{
	static struct sockaddr_storage	ss;
	socklen_t			len;
	char				text[32];

	snprintf(text, sizeof(text), "192.0.2.%u", n);
	assert_int_equal(addr_parse(text, 1024, &none, &ss, &len), 0);
	return &ss;
}

/* 2001:db8:0:NET::N; the same buffer each time. */
static const struct sockaddr_storage *
host6(unsigned net, unsigned n)
{
	static struct sockaddr_storage	ss;
	socklen_t			len;
	char				text[64];

	snprintf(text, sizeof(text), "2001:db8:0:%x::%x", net, n);
	assert_int_equal(addr_parse(text, 1024, &none, &ss, &len), 0);
	return &ss;
}

/* Hand one on; what door_hand() says. A refused descriptor is still ours. */
static enum reason
hand_from(const struct sockaddr_storage *from, unsigned listener)
{
	enum reason	r;
	int		fd = dup(STDERR_FILENO);

	assert_true(fd != -1);
	r = door_hand(netd, fd, from, listener);
	if (r != R_OK)
		assert_int_equal(close(fd), 0);
	return r;
}

static enum reason
hand(unsigned from, unsigned listener)
{
	return hand_from(host(from), listener);
}

static void
over(uint32_t number)
{
	struct msg_http_over	m = { .connection = number };

	assert_int_equal(chan_send(enrold, MSG_HTTP_OVER, &m, -1), 0);
	assert_int_equal(chan_input(netd), 0);
}

static void
test_handed_on(void **state)
{
	assert_int_equal(hand(1, 0), R_OK);
	assert_int_equal(hand(2, 7), R_OK);
	assert_int_equal(chan_input(enrold), 0);
	assert_int_equal(ngot, 2);
	assert_string_equal(got[0].address, "192.0.2.1");
	assert_string_equal(got[1].address, "192.0.2.2");
	assert_int_equal(got[0].listener, 0);
	assert_int_equal(got[1].listener, 7);
	assert_int_not_equal(got[0].connection, got[1].connection);
	assert_int_equal(door_total(), 2);
	assert_int_equal(limit_total(LIMIT_HTTP), 2);
	assert_int_equal(limit_total(LIMIT_TLS), 0);
}

static void
test_bounds(void **state)
{
	assert_int_equal(hand(1, 0), R_OK);
	assert_int_equal(hand(1, 0), R_OK);
	assert_int_equal(hand(1, 0), R_NET_PER_ADDRESS);
	assert_int_equal(hand(2, 0), R_OK);
	assert_int_equal(hand(3, 0), R_OK);
	assert_int_equal(hand(4, 0), R_NET_TOTAL);
	assert_int_equal(door_total(), 4);
	chan_input(enrold);
	over(got[3].connection);
	assert_int_equal(hand(1, 0), R_NET_PER_ADDRESS);
	assert_int_equal(hand(4, 0), R_OK);
}

/* Whoever has a /64 has no more than one address; told is which one it was. */
static void
test_block(void **state)
{
	assert_int_equal(hand_from(host6(1, 1), 0), R_OK);
	assert_int_equal(hand_from(host6(1, 2), 0), R_OK);
	assert_int_equal(hand_from(host6(1, 3), 0), R_NET_PER_ADDRESS);
	assert_int_equal(hand_from(host6(2, 3), 0), R_OK);
	chan_input(enrold);
	assert_string_equal(got[1].address, "2001:db8:0:1::2");
	over(got[0].connection);
	assert_int_equal(hand_from(host6(1, 3), 0), R_OK);
}

/* A row is used again under another number; the old one moves nothing. */
static void
test_only_its_own(void **state)
{
	uint32_t	first;
	unsigned	i;

	assert_int_equal(hand(1, 0), R_OK);
	chan_input(enrold);
	first = got[0].connection;
	over(first);
	assert_int_equal(door_total(), 0);
	for (i = 0; i < 4; i++)
		assert_int_equal(hand(i / 2, 0), R_OK);
	chan_input(enrold);
	for (i = 1; i < ngot; i++)
		assert_int_not_equal(got[i].connection, first);
	over(first);
	over(first + (1 << 20));
	over(0);
	over(UINT32_MAX);
	assert_int_equal(door_total(), 4);
	assert_int_equal(netd_end.times, 0);
	assert_int_equal(hand(9, 0), R_NET_TOTAL);
}

/* An earlier netd's numbers are not ours. */
static void
test_another_start(void **state)
{
	uint32_t	first;
	uint64_t	then;

	assert_int_equal(hand(1, 0), R_OK);
	chan_input(enrold);
	first = got[0].connection;
	door_gone();
	then = clock_mono_ms();
	while (clock_mono_ms() == then)
		continue;
	links_close();
	setup(state);
	assert_int_equal(hand(1, 0), R_OK);
	over(first);
	assert_int_equal(door_total(), 1);
}

static void
test_gone(void **state)
{
	unsigned	i, round;

	for (round = 0; round < 3; round++) {
		for (i = 0; i < 4; i++)
			assert_int_equal(hand(i, 0), R_OK);
		links_close();
		door_gone();
		assert_int_equal(door_total(), 0);
		assert_int_equal(limit_total(LIMIT_HTTP), 0);
		assert_int_equal(door_hand(NULL, -1, host(1), 0),
		    R_NET_NO_ENROLD);
		links_new();
	}
}

/* Whoever does not read keeps nobody waiting. */
static void
test_does_not_read(void **state)
{
	static const struct conf	conf = { .max_connections = 10,
	    .max_per_address = 600, .max_half_open = 5, .max_enrol = 600,
	    .listeners = &door };
	enum reason			r;
	unsigned			n = 0;

	limit_init(&conf);
	door_init(&conf);
	while ((r = hand(1, 0)) == R_OK)
		n++;
	assert_int_equal(n, door_total());
	assert_in_range(n, 1, 600);
	/* full, or doomed as whoever has too many under way */
	assert_true(r == R_NET_TOTAL || r == R_NET_NO_ENROLD);
}

/* Without listeners there is no table, and nothing goes through. */
static void
test_no_listener(void **state)
{
	static const struct conf	conf = { .max_connections = 10,
	    .max_per_address = 2, .max_half_open = 5, .max_enrol = 4 };

	limit_init(&conf);
	door_init(&conf);
	assert_int_equal(hand(1, 0), R_NET_TOTAL);
	over(0);
	assert_int_equal(door_total(), 0);
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		TEST(test_handed_on),
		TEST(test_bounds),
		TEST(test_block),
		TEST(test_only_its_own),
		TEST(test_another_start),
		TEST(test_gone),
		TEST(test_does_not_read),
		TEST(test_no_listener),
	};

	return cmocka_run_group_tests_name("door", tests, NULL, NULL);
}
