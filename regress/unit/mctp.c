/*
 * netd's side of MCTP: sockets of bridges, and the relay to a kernel that
 * speaks it, which is played here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "../../netd/mctp.h"
#include "../../netd/netd.h"

static uv_loop_t	loop;
static char		dir[64];
static char		path[108];

/* The kernel: a pair of datagram sockets; type and sender go in front. */
static int		wire = -1;	/* the peer's end */
static int		no_mctp;	/* errno of socket(2) */

static int
fake_open(void)
{
	int	fd[2];

	if (no_mctp != 0) {
		errno = no_mctp;
		return -1;
	}
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0,
	    fd), 0);
	wire = fd[1];
	return fd[0];
}

static ssize_t
fake_send(int fd, const struct mctp_endpoint *to, uint8_t type,
    const uint8_t *p, size_t len)
{
	uint8_t	b[512] = { (uint8_t)to->network, to->eid, type };

	assert_true(len + 3 <= sizeof(b));
	memcpy(b + 3, p, len);
	return send(fd, b, len + 3, 0);
}

static ssize_t
fake_recv(int fd, struct mctp_endpoint *from, uint8_t *type, uint8_t *p,
    size_t size)
{
	uint8_t	b[512];
	ssize_t	n = recv(fd, b, sizeof(b), MSG_DONTWAIT);

	if (n < 3)
		return -1;
	from->network = b[0];
	from->eid = b[1];
	*type = b[2];
	memcpy(p, b + 3, (size_t)n - 3);
	return n - 3;
}

static int
setup(void **state)
{
	uv_loop_init(&loop);
	snprintf(dir, sizeof(dir), "/tmp/provd-mctp.XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/x.sock", dir);
	mctp_init(&loop, "");
	mctp_kernel = (struct mctp_kernel){ fake_open, fake_send, fake_recv };
	no_mctp = 0;
	wire = -1;
	return 0;
}

static int
teardown(void **state)
{
	mctp_stop();
	uv_run(&loop, UV_RUN_DEFAULT);
	if (wire != -1)
		close(wire);
	unlink(path);
	rmdir(dir);
	return uv_loop_close(&loop);
}

static void
turn(void)
{
	uv_run(&loop, UV_RUN_NOWAIT);
}

/* ---- bridges ------------------------------------------------------------- */

static void
test_bridge(void **state)
{
	struct stat	st;
	int		l, fd, in;
	char		c[4];

	assert_int_equal(mctp_dial(path, &fd), R_NET_NO_BRIDGE);
	close(fd);
	assert_true((l = mctp_listen(path)) != -1);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	assert_int_equal(mctp_dial(path, &fd), R_OK);
	assert_true((in = accept(l, NULL, NULL)) != -1);
	/* A datagram stays one. */
	assert_int_equal(send(fd, "abc", 3, 0), 3);
	assert_int_equal(send(fd, "d", 1, 0), 1);
	assert_int_equal(recv(in, c, sizeof(c), 0), 3);
	close(in);
	close(fd);
	close(l);
	/* Nobody listens: refused; and a new start takes the name over. */
	assert_int_equal(mctp_dial(path, &fd), R_NET_NO_BRIDGE);
	close(fd);
	assert_true((l = mctp_listen(path)) != -1);
	close(l);
}

static void
test_bridge_names(void **state)
{
	char	longer[256];
	int	fd, l;

	/* A file in the way is left alone. */
	fclose(fopen(path, "w"));
	assert_int_equal(mctp_listen(path), -1);
	assert_int_equal(unlink(path), 0);
	snprintf(longer, sizeof(longer), "%s/%0120d", dir, 1);
	assert_int_equal(mctp_listen(longer), -1);
	assert_int_equal(errno, ENAMETOOLONG);
	assert_int_equal(mctp_dial(longer, &fd), R_NET_ADDRESS);
	assert_int_equal(fd, -1);
	/* Inside of a root, only what is in it. */
	assert_true((l = mctp_listen(path)) != -1);
	mctp_init(&loop, "/nowhere");
	assert_int_equal(mctp_dial(path, &fd), R_NET_ADDRESS);
	/* "/tmp" is taken off: "/provd-mctp.../x.sock" is nowhere here. */
	mctp_init(&loop, "/tmp");
	assert_int_equal(mctp_dial(path, &fd), R_NET_NO_BRIDGE);
	close(fd);
	mctp_init(&loop, "/tm");
	assert_int_equal(mctp_dial(path, &fd), R_NET_ADDRESS);
	close(l);
}

/* ---- the kernel ---------------------------------------------------------- */

static void
test_addresses(void **state)
{
	static const char *const	bad[] = { "mctp:", "mctp:1",
	    "mctp:1:", "mctp::9", "mctp:0:9", "mctp:1:7", "mctp:1:255",
	    "mctp:1:9x", "mctp:99999999999:9", "mctp:1:9:1" };
	size_t				i;
	int				fd;

	assert_true(mctp_is("/x") && mctp_is("mctp:1:9"));
	assert_false(mctp_is("192.0.2.1") || mctp_is("fe80::1") ||
	    mctp_is(""));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(mctp_dial(bad[i], &fd), R_NET_ADDRESS);
}

static void
test_no_kernel(void **state)
{
	int	fd;

	no_mctp = EAFNOSUPPORT;
	assert_int_equal(mctp_dial("mctp:1:9", &fd), R_NET_NO_MCTP);
	no_mctp = EMFILE;
	assert_int_equal(mctp_dial("mctp:1:9", &fd), R_NET_RESOURCES);
	assert_int_equal(fd, -1);
}

/* The type byte is the kernel's on one side and a byte on the other. */
static void
test_relay(void **state)
{
	uint8_t	b[64];
	int	fd, end;

	assert_int_equal(mctp_dial("mctp:3:9", &fd), R_OK);
	end = wire;
	assert_int_equal(send(fd, "\x05\x10\x84\0\0", 5, 0), 5);
	turn();
	assert_int_equal(recv(end, b, sizeof(b), 0), 7);
	assert_memory_equal(b, "\x03\x09\x05\x10\x84\0\0", 7);
	/* Another endpoint is not heard. */
	assert_int_equal(send(end, "\x03\x0a\x05no", 5, 0), 5);
	assert_int_equal(send(end, "\x02\x09\x05no", 5, 0), 5);
	assert_int_equal(send(end, "\x03\x09\x06yes", 6, 0), 6);
	turn();
	turn();
	turn();
	assert_int_equal(recv(fd, b, sizeof(b), 0), 4);
	assert_memory_equal(b, "\x06yes", 4);
	assert_int_equal(recv(fd, b, sizeof(b), MSG_DONTWAIT), -1);
	/* attestd closes: so is the other side. */
	close(fd);
	turn();
	turn();
	assert_int_equal(send(end, "x", 1, MSG_NOSIGNAL), -1);
}

/* A datagram without a message in it ends the relay. */
static void
test_relay_short(void **state)
{
	uint8_t	b[8];
	int	fd;

	assert_int_equal(mctp_dial("mctp:3:9", &fd), R_OK);
	assert_int_equal(send(fd, "\x05", 1, 0), 1);
	turn();
	turn();
	assert_int_equal(recv(fd, b, sizeof(b), 0), 0);
	close(fd);
}

static void
test_relay_limit(void **state)
{
	int	fd[64], i, j, over;

	for (i = 0; i < 64; i++) {
		if (mctp_dial("mctp:3:9", &fd[i]) != R_OK)
			break;
		close(wire);
		wire = -1;
	}
	close(wire);
	wire = -1;
	assert_int_equal(i, 32);
	/* What ends gives its place. */
	close(fd[0]);
	turn();
	turn();
	assert_int_equal(mctp_dial("mctp:3:9", &over), R_OK);
	close(over);
	for (j = 1; j < i; j++)
		close(fd[j]);
}

#define T(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		T(test_bridge),
		T(test_bridge_names),
		T(test_addresses),
		T(test_no_kernel),
		T(test_relay),
		T(test_relay_short),
		T(test_relay_limit),
	};

	return cmocka_run_group_tests_name("mctp", tests, NULL, NULL);
}
