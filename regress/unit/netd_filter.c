/*
 * netd_filter: under the system call filter of netd, what it needs works and
 * what it must not do ends it. One child for each call.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/capability.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <linux/filter.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "../../netd/mctp.h"
#include "../../netd/netd.h"

#define TCP	(SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC)

static int	tcp = -1;	/* a socket from before the filter */
static struct confine	row;	/* of a configuration */

/* How a child ends that calls f under the filter: 0, or the signal. */
static int
under_filter(void (*f)(void))
{
	int	status;
	pid_t	pid;

	if ((pid = fork()) == 0) {
		confine_filter(&row);
		f();
		syscall(SYS_exit_group, 0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status))
		return WTERMSIG(status);
	assert_int_equal(WEXITSTATUS(status), 0);
	return 0;
}

/* ---- what netd needs --------------------------------------------------- */

static void
dials(void)
{
	struct sockaddr_in	sin = { .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(9) };
	int			fd, err;
	socklen_t		len = sizeof(err);

	if ((fd = socket(AF_INET, TCP, 0)) == -1)
		syscall(SYS_exit_group, 1);
	if (dial_tune(fd) == -1)
		syscall(SYS_exit_group, 2);
	connect(fd, (struct sockaddr *)&sin, sizeof(sin));
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
	close(fd);
	close(socket(AF_INET6, TCP, 0));
}

static void
accepts(void)
{
	accept4(tcp, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	close(fcntl(tcp, F_DUPFD_CLOEXEC, 0));
}

static void
greets_another_hub(void)
{
	struct sockaddr_un	sun = { .sun_family = AF_UNIX,
	    .sun_path = "/hub.sock" };
	int			fd;

	if ((fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)) == -1)
		syscall(SYS_exit_group, 1);
	connect(fd, (struct sockaddr *)&sun, sizeof(sun));
	close(fd);
}

static void
joins_a_group(void)
{
	struct packet_mreq	m = { 0 };

	setsockopt(tcp, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &m, sizeof(m));
}

static void
test_needed(void **state)
{
	assert_int_equal(under_filter(dials), 0);
	assert_int_equal(under_filter(accepts), 0);
	assert_int_equal(under_filter(greets_another_hub), 0);
	assert_int_equal(under_filter(joins_a_group), 0);
}

/* ---- what it must not do ----------------------------------------------- */

static void
packet_socket(void)
{
	socket(AF_PACKET, SOCK_RAW, 0);
}

static void
netlink_socket(void)
{
	socket(AF_NETLINK, SOCK_RAW, 0);
}

static void
raw_socket(void)
{
	socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
}

static void
udp_socket(void)
{
	socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

static void
unix_stream(void)
{
	socket(AF_UNIX, SOCK_STREAM, 0);
}

static void
vsock(void)
{
	socket(AF_VSOCK, SOCK_STREAM, 0);
}

static void
binds(void)
{
	struct sockaddr_in	sin = { .sin_family = AF_INET };

	bind(tcp, (struct sockaddr *)&sin, sizeof(sin));
}

static void
listens(void)
{
	listen(tcp, 1);
}

static void
changes_the_lldp_filter(void)
{
	struct sock_fprog	p = { 0 };

	setsockopt(tcp, SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof(p));
}

static void
takes_an_interface(void)
{
	setsockopt(tcp, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3);
}

static void
passes_a_level(void)
{
	setsockopt(tcp, IPPROTO_IP, IP_TTL, &(int){ 1 }, sizeof(int));
}

static void
opens_a_file(void)
{
	open("/etc/passwd", O_RDONLY);
}

static void
makes_a_file(void)
{
	syscall(SYS_open, "/tmp/netd", O_CREAT | O_WRONLY, 0600);
}

static void
executes(void)
{
	static char	*argv[] = { NULL };

	execve("/bin/true", argv, argv);
}

static void
forks(void)
{
	syscall(SYS_fork);
}

static void
traces(void)
{
	ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
}

static void
reads_memory(void)
{
	char		b[1];
	struct iovec	l = { b, 1 }, r = { b, 1 };

	process_vm_readv(getpid(), &l, 1, &r, 1, 0);
}

static void
becomes_root(void)
{
	syscall(SYS_setuid, 0);
}

static void
kills(void)
{
	kill(getpid(), 0);
}

static void
test_forbidden(void **state)
{
	static const struct {
		const char	*name;
		void		(*f)(void);
	} calls[] = {
		{ "packet socket", packet_socket },
		{ "netlink socket", netlink_socket },
		{ "raw socket", raw_socket },
		{ "UDP socket", udp_socket },
		{ "UNIX stream socket", unix_stream },
		{ "vsock", vsock },
		{ "bind", binds },
		{ "listen", listens },
		{ "socket filter", changes_the_lldp_filter },
		{ "bind to device", takes_an_interface },
		{ "another level of setsockopt", passes_a_level },
		{ "open", opens_a_file },
		{ "create", makes_a_file },
		{ "execve", executes },
		{ "fork", forks },
		{ "ptrace", traces },
		{ "process_vm_readv", reads_memory },
		{ "setuid", becomes_root },
		{ "kill", kills },
	};
	size_t	i;
	int	sig;

	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if ((sig = under_filter(calls[i].f)) != SIGSYS)
			fail_msg("%s: ended with %d", calls[i].name, sig);
}

/* ---- what it may if the configuration says so -------------------------- */

/* The kernel may not have it: that is an error, and not the end. */
static void
speaks_mctp(void)
{
	close(socket(AF_MCTP, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

static void
makes_a_pair(void)
{
	int	fd[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd) == -1)
		syscall(SYS_exit_group, 1);
}

static void
mctp_stream(void)
{
	socket(AF_MCTP, SOCK_STREAM, 0);
}

static void
test_mctp(void **state)
{
	struct conf_peer	peer = { .mctp = (char []){ "/x.sock" } };
	struct conf		conf = { .peers = &peer };

	row = netd_confine_for(&conf);
	assert_int_equal(under_filter(speaks_mctp), SIGSYS);
	assert_int_equal(under_filter(makes_a_pair), SIGSYS);

	peer.mctp = (char []){ "mctp:1:9" };
	row = netd_confine_for(&conf);
	assert_int_equal(under_filter(speaks_mctp), 0);
	assert_int_equal(under_filter(makes_a_pair), 0);
	assert_int_equal(under_filter(mctp_stream), SIGSYS);
	test_needed(state);
	test_forbidden(state);
}

/* The capabilities are for the start: of LLDP and, where a unit lends it, of
 * the kernel's MCTP. */
static void
test_row(void **state)
{
	assert_int_equal(netd_confine.caps, 1ULL << CAP_NET_RAW |
	    1ULL << CAP_NET_BIND_SERVICE);
	assert_false(netd_confine.writes);
	assert_false(netd_confine.state_root);
}

static int
setup(void **state)
{
	row = netd_confine_for(&(struct conf){ 0 });
	return (tcp = socket(AF_INET, TCP, 0)) == -1 ? -1 : 0;
}

static int
teardown(void **state)
{
	return close(tcp);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(test_needed),
		cmocka_unit_test(test_forbidden),
		cmocka_unit_test(test_mctp),
		cmocka_unit_test(test_row),
	};

	return cmocka_run_group_tests_name("netd_filter", tests, setup,
	    teardown);
}
