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

/* The kernel: a pair of datagram sockets; network, eid, type and tag go in
 * front. */
static int		wire = -1;	/* the peer's end of the last one */
static int		wire5 = -1;	/* of that for requests of type 5 */
static unsigned		binds;
static int		eacces;		/* errno of bind(2) */
static int		no_mctp;	/* errno of socket(2) */

/* What asked us. */
static int		accepted_fd[96];
static char		accepted_from[96][NETD_ADDR_MAX];
static unsigned		naccepted;

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

static int
fake_bind(int fd, uint32_t network, uint8_t type)
{
	if (eacces != 0) {
		errno = eacces;
		return -1;
	}
	assert_int_equal(network, 3);
	assert_int_equal(type, 5 + binds);
	if (binds++ == 0)
		wire5 = wire;
	return 0;
}

static ssize_t
fake_send(int fd, const struct mctp_endpoint *to, uint8_t type,
    const uint8_t *p, size_t len)
{
	uint8_t	b[512] = { (uint8_t)to->network, to->eid, type, to->tag };

	assert_true(len + 4 <= sizeof(b));
	memcpy(b + 4, p, len);
	return send(fd, b, len + 4, 0);
}

static ssize_t
fake_recv(int fd, struct mctp_endpoint *from, uint8_t *type, uint8_t *p,
    size_t size)
{
	uint8_t	b[512];
	ssize_t	n = recv(fd, b, sizeof(b), MSG_DONTWAIT);

	if (n < 4)
		return -1;
	from->network = b[0];
	from->eid = b[1];
	*type = b[2];
	from->tag = b[3];
	memcpy(p, b + 4, (size_t)n - 4);
	return n - 4;
}

static int
setup(void **state)
{
	uv_loop_init(&loop);
	snprintf(dir, sizeof(dir), "/tmp/provd-mctp.XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/x.sock", dir);
	mctp_init(&loop, "", true);
	mctp_kernel = (struct mctp_kernel){ fake_open, fake_bind, fake_send,
	    fake_recv };
	no_mctp = eacces = 0;
	binds = naccepted = 0;
	wire5 = -1;
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
	mctp_init(&loop, "/nowhere", true);
	assert_int_equal(mctp_dial(path, &fd), R_NET_ADDRESS);
	/* "/tmp" is taken off: "/provd-mctp.../x.sock" is nowhere here. */
	mctp_init(&loop, "/tmp", true);
	assert_int_equal(mctp_dial(path, &fd), R_NET_NO_BRIDGE);
	close(fd);
	mctp_init(&loop, "/tm", true);
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

/* Only a line for the kernel is one; a bridge needs nothing of it. */
static void
test_wanted(void **state)
{
	static char		 bridge[] = "/run/x.sock", nic[] = "mctp:1:9",
	    net[] = "mctp:1";
	struct conf_peer	 p[] = { { .next = &p[1] }, { .mctp = bridge } };
	struct conf_component	 c[] = { { .next = &c[1], .address = bridge },
	    { .address = (char []){ "192.0.2.1" } } };
	struct conf		 conf = { .peers = p, .components = c,
	    .spdm_mctp = bridge };
	int			 fd;

	assert_false(mctp_wanted(&conf));
	conf.spdm_mctp = net;
	assert_true(mctp_wanted(&conf));
	conf.spdm_mctp = NULL;
	p[1].mctp = nic;
	assert_true(mctp_wanted(&conf));
	p[1].mctp = NULL;
	assert_false(mctp_wanted(&conf));
	c[1].address = nic;
	assert_true(mctp_wanted(&conf));

	/* The filter would end us: no socket is asked for. */
	mctp_init(&loop, "", false);
	no_mctp = EMFILE;
	assert_int_equal(mctp_dial(nic, &fd), R_NET_MCTP_UNUSED);
	assert_int_equal(fd, -1);
	assert_int_equal(mctp_dial("mctp:1", &fd), R_NET_ADDRESS);
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
	/* A request: the kernel gives it a tag. */
	assert_int_equal(recv(end, b, sizeof(b), 0), 8);
	assert_memory_equal(b, "\x03\x09\x05\x08\x10\x84\0\0", 8);
	/* Another endpoint is not heard. */
	assert_int_equal(send(end, "\x03\x0a\x05\0no", 6, 0), 6);
	assert_int_equal(send(end, "\x02\x09\x05\0no", 6, 0), 6);
	assert_int_equal(send(end, "\x03\x09\x06\0yes", 7, 0), 7);
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
	int	fd[96], i, j, over;

	for (i = 0; i < 96; i++) {
		if (mctp_dial("mctp:3:9", &fd[i]) != R_OK)
			break;
		close(wire);
		wire = -1;
	}
	close(wire);
	wire = -1;
	assert_int_equal(i, 64);
	/* What ends gives its place. */
	close(fd[0]);
	turn();
	turn();
	assert_int_equal(mctp_dial("mctp:3:9", &over), R_OK);
	close(over);
	for (j = 1; j < i; j++)
		close(fd[j]);
}

/* ---- endpoints that ask -------------------------------------------------- */

static void
got(int fd, const struct sockaddr_storage *from)
{
	accepted_fd[naccepted] = fd;
	addr_text(from, accepted_from[naccepted++], NETD_ADDR_MAX);
}

static void
asks(uint8_t eid, uint8_t tag, const char *what)
{
	uint8_t	b[64] = { 3, eid, 5, tag };

	memcpy(b + 4, what, strlen(what));
	assert_int_equal(send(wire5, b, 4 + strlen(what), 0),
	    4 + strlen(what));
	turn();
}

static void
test_serve(void **state)
{
	uint8_t	b[64];
	int	wire6;

	assert_int_equal(mctp_bind("mctp:3"), 0);
	assert_int_equal(binds, 2);
	wire6 = wire;
	mctp_serve(got);
	/* Each endpoint gets a descriptor, once. */
	asks(9, 0x08 | 3, "one");
	asks(10, 0x08 | 4, "two");
	asks(9, 0x08 | 5, "three");
	assert_int_equal(naccepted, 2);
	assert_string_equal(accepted_from[0], "mctp:3:9");
	assert_string_equal(accepted_from[1], "mctp:3:10");
	assert_int_equal(recv(accepted_fd[0], b, sizeof(b), 0), 4);
	assert_memory_equal(b, "\x05one", 4);
	assert_int_equal(recv(accepted_fd[1], b, sizeof(b), 0), 4);
	assert_int_equal(recv(accepted_fd[0], b, sizeof(b), 0), 6);
	/* An answer has the tag of the last request, and is none itself. */
	assert_int_equal(send(accepted_fd[0], "\x05yes", 4, 0), 4);
	assert_int_equal(send(accepted_fd[1], "\x06sec", 4, 0), 4);
	turn();
	turn();
	assert_int_equal(recv(wire5, b, sizeof(b), 0), 7);
	assert_memory_equal(b, "\x03\x09\x05\x05yes", 7);
	assert_int_equal(recv(wire6, b, sizeof(b), 0), 7);
	assert_memory_equal(b, "\x03\x0a\x06\x04sec", 7);
	/* What answers nothing of ours is nobody's request. */
	asks(11, 4, "stray");
	assert_int_equal(naccepted, 2);
	/* attestd ends one; the next request makes a new one. */
	close(accepted_fd[0]);
	turn();
	turn();
	asks(9, 0x08, "again");
	assert_int_equal(naccepted, 3);
	close(accepted_fd[1]);
	close(accepted_fd[2]);
	close(wire5);
}

/* As many as there may be; then nobody new is heard. */
static void
test_serve_limit(void **state)
{
	uint8_t	eid;
	int	i;

	assert_int_equal(mctp_bind("mctp:3"), 0);
	mctp_serve(got);
	for (eid = 8; eid < 8 + 70; eid++)
		asks(eid, 0x08, "x");
	assert_int_equal(naccepted, 64);
	for (i = 0; i < 64; i++)
		close(accepted_fd[i]);
	close(wire5);
}

static void
test_serve_refused(void **state)
{
	no_mctp = EAFNOSUPPORT;
	assert_int_equal(mctp_bind("mctp:3"), -1);
	assert_int_equal(errno, EAFNOSUPPORT);
	no_mctp = 0;
	eacces = EACCES;
	assert_int_equal(mctp_bind("mctp:3"), -1);
	assert_int_equal(errno, EACCES);
	mctp_serve(got);
}

static void
test_same(void **state)
{
	struct sockaddr_storage	a, b;

	mctp_address(&(struct mctp_endpoint){ 1, 9, 0 }, &a);
	mctp_address(&(struct mctp_endpoint){ 1, 9, 7 }, &b);
	assert_true(addr_same(&a, &b));
	mctp_address(&(struct mctp_endpoint){ 1, 8, 0 }, &b);
	assert_false(addr_same(&a, &b));
	mctp_address(&(struct mctp_endpoint){ 2, 9, 0 }, &b);
	assert_false(addr_same(&a, &b));
	b.ss_family = AF_UNIX;
	assert_false(addr_same(&a, &b));
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
		T(test_wanted),
		T(test_relay),
		T(test_relay_short),
		T(test_relay_limit),
		T(test_serve),
		T(test_serve_limit),
		T(test_serve_refused),
		T(test_same),
	};

	return cmocka_run_group_tests_name("mctp", tests, NULL, NULL);
}
