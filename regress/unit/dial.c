/* dial: connections that we open, each with one end and one reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "../../netd/netd.h"

#define LONG	60000	/* ms: never reached */

static uv_loop_t	loop;
static unsigned		calls;
static int		last_fd;
static enum reason	last_reason;

static int
setup(void **state)
{
	uv_loop_init(&loop);
	dial_init(&loop);
	calls = 0;
	last_fd = -1;
	last_reason = R_OK;
	return 0;
}

static int
teardown(void **state)
{
	dial_stop();
	uv_run(&loop, UV_RUN_DEFAULT);
	if (last_fd != -1)
		close(last_fd);
	return uv_loop_close(&loop);
}

static void
over(int fd, enum reason reason, void *arg)
{
	assert_ptr_equal(arg, &loop);
	assert_int_equal(fd == -1, reason != R_OK);
	calls++;
	last_fd = fd;
	last_reason = reason;
}

/* A listening socket on loopback, and its port. */
static int
listener(int family, int backlog, uint16_t *port)
{
	struct sockaddr_storage	ss;
	static const struct link none;
	socklen_t		len;
	int			fd;

	assert_int_equal(addr_parse(family == AF_INET ? "127.0.0.1" : "::1", 0,
	    &none, &ss, &len), 0);
	if ((fd = socket(family, SOCK_STREAM, 0)) == -1 ||
	    bind(fd, (struct sockaddr *)&ss, len) == -1 ||
	    (backlog >= 0 && listen(fd, backlog) == -1) ||
	    getsockname(fd, (struct sockaddr *)&ss, &len) == -1)
		return -1;
	*port = ntohs(((struct sockaddr_in *)&ss)->sin_port);
	return fd;
}

static enum reason
dial_once(const char *address, uint16_t port, uint32_t timeout)
{
	unsigned	before = calls;

	assert_non_null(dial_start(address, port, timeout, over, &loop));
	assert_int_equal(calls, before);	/* never from inside */
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(calls, before + 1);
	return last_reason;
}

static void
connects(int family, const char *address)
{
	char		buf[8];
	int		fd, peer, on = 0;
	socklen_t	len = sizeof(on);
	uint16_t	port;

	if ((fd = listener(family, 8, &port)) == -1)
		skip();
	assert_int_equal(dial_once(address, port, LONG), R_OK);
	assert_true((peer = accept(fd, NULL, NULL)) != -1);
	assert_int_equal(write(last_fd, "hello", 5), 5);
	assert_int_equal(read(peer, buf, sizeof(buf)), 5);
	assert_true(fcntl(last_fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(last_fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(getsockopt(last_fd, IPPROTO_TCP, TCP_NODELAY, &on,
	    &len), 0);
	assert_int_not_equal(on, 0);
	close(peer);
	close(fd);
}

static void
test_ipv4(void **state)
{
	connects(AF_INET, "127.0.0.1");
}

static void
test_ipv6(void **state)
{
	connects(AF_INET6, "::1");
}

static void
test_refused(void **state)
{
	uint16_t	port;
	int		fd = listener(AF_INET, -1, &port);

	assert_true(fd != -1);
	assert_int_equal(dial_once("127.0.0.1", port, LONG), R_NET_REFUSED);
	close(fd);
}

static void
test_no_literal(void **state)
{
	assert_int_equal(dial_once("localhost", 1, LONG), R_NET_ADDRESS);
	assert_int_equal(dial_once("", 1, LONG), R_NET_ADDRESS);
	assert_int_equal(dial_once("127.0.0.1", 0, LONG), R_NET_ADDRESS);
}

/* 240/4 is nobody's (RFC 1112), and link-local needs an interface. */
static void
test_unreachable(void **state)
{
	assert_int_equal(dial_once("fe80::1", 1, LONG), R_NET_UNREACHABLE);
	assert_int_equal(dial_once("255.255.255.255", 1, LONG),
	    R_NET_UNREACHABLE);
}

/* The queue of the listener is full, so nobody answers. */
static void
test_timeout(void **state)
{
	struct dial	*d[8];
	uint16_t	 port;
	int		 fd = listener(AF_INET, 0, &port), i;

	assert_true(fd != -1);
	for (i = 0; i < 8; i++) {
		d[i] = dial_start("127.0.0.1", port, 1, over, &loop);
		assert_non_null(d[i]);
	}
	last_reason = R_OK;
	while (calls < 8) {
		uv_run(&loop, UV_RUN_ONCE);
		if (last_fd != -1)
			close(last_fd);
		last_fd = -1;
	}
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(calls, 8);
	assert_int_equal(last_reason, R_NET_TIMEOUT);
	close(fd);
}

static void
test_cancel(void **state)
{
	struct dial	*d;
	uint16_t	 port;
	int		 fd = listener(AF_INET, 8, &port);

	assert_true(fd != -1);
	assert_non_null(d = dial_start("127.0.0.1", port, LONG, over, &loop));
	dial_cancel(d);
	assert_non_null(d = dial_start("no address", 1, LONG, over, &loop));
	dial_cancel(d);
	dial_cancel(NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(calls, 0);
	close(fd);
}

/* At the end everybody who waits is told. */
static void
test_stop(void **state)
{
	uint16_t	port;
	int		fd = listener(AF_INET, 8, &port);

	assert_true(fd != -1);
	assert_non_null(dial_start("127.0.0.1", port, LONG, over, &loop));
	assert_non_null(dial_start("127.0.0.1", port, LONG, over, &loop));
	dial_stop();
	assert_int_equal(calls, 2);
	assert_int_equal(last_reason, R_IPC_CLOSED);
	close(fd);
}

static void
test_bounded(void **state)
{
	unsigned	n = 0;

	while (dial_start("no address", 1, LONG, over, &loop) != NULL)
		n++;
	assert_in_range(n, 64, 1024);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(calls, n);
	assert_int_equal(dial_once("no address", 1, LONG), R_NET_ADDRESS);
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		TEST(test_ipv4),
		TEST(test_ipv6),
		TEST(test_refused),
		TEST(test_no_literal),
		TEST(test_unreachable),
		TEST(test_timeout),
		TEST(test_cancel),
		TEST(test_stop),
		TEST(test_bounded),
	};

	return cmocka_run_group_tests_name("dial", tests, NULL, NULL);
}
