/*
 * The hub client, as netd, against a policyd that this test plays: greeting,
 * refusals, generations, offences, and what keep means.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <sys/un.h>
#include <sys/wait.h>

#include <stdio.h>
#include <uv.h>

#include "../../libipc/chan.h"
#include "chan_pair.h"
#include "child.h"
#include "clock.h"
#include "log.h"

static uv_loop_t	loop;
static uv_timer_t	patience;
static char		dir[64], path[100];

/* ---- policyd, played here ---- */

static struct {
	int		 listener;
	uv_poll_t	 poll;
	struct chan	*chan;
	struct ending	 end;
	unsigned	 hellos;
	struct msg_hello hello;
	unsigned	 refuse;	/* so many HELLOs ... */
	enum reason	 reason;	/* ... for this */
	bool		 stranger;	/* welcome with another catalogue */
	bool		 silent;
	unsigned	 offences;
	struct msg_offence offence;
	uint64_t	 counts[R_COUNT];
	unsigned	 reports;
	unsigned	 readies;
} policyd;

static int
on_offence(struct chan *c, const struct ipc_call *call, const void *msg)
{
	policyd.offences++;
	policyd.offence = *(const struct msg_offence *)msg;
	return 0;
}

static int
on_counter(struct chan *c, const struct ipc_call *call, const void *msg)
{
	const struct msg_counter	*m = msg;

	policyd.reports++;
	policyd.counts[m->reason] = m->count;
	return 0;
}

static int
on_ready(struct chan *c, const struct ipc_call *call, const void *msg)
{
	policyd.readies++;
	return 0;
}

static const struct ipc_handler from_netd[] = {
	{ MSG_OFFENCE,	on_offence },
	{ MSG_COUNTER,	on_counter },
	{ MSG_READY,	on_ready },
};

static int
on_hello(struct chan *c, const struct ipc_call *call, const void *msg)
{
	struct msg_welcome	m = { .now = 4000000000, .log_level = 0 };
	int			ret;

	policyd.hellos++;
	policyd.hello = *(const struct msg_hello *)msg;
	if (policyd.silent)
		return 0;
	if (policyd.refuse > 0) {
		policyd.refuse--;
		return chan_refuse(c, call, policyd.reason);
	}
	IPC_SET_BLOB(m.catalogue, ipc_catalogue(), 32);
	m.catalogue.data[0] ^= policyd.stranger;
	ret = chan_reply(c, call, MSG_WELCOME, &m);
	chan_set_phase(c, IPC_RUN);
	chan_set_handlers(c, from_netd, 3);
	return ret;
}

static const struct ipc_handler from_stranger[] = { { MSG_HELLO, on_hello } };

static void
on_closed(struct chan *c, enum reason offence, unsigned type)
{
	note_ending(c, offence, type);
	policyd.chan = NULL;
}

static void
on_connect(uv_poll_t *h, int status, int events)
{
	struct chan_conf	conf = { .self = IPC_POLICYD, .peer = IPC_NETD,
	    .handlers = from_stranger, .nhandlers = 1, .closed = on_closed,
	    .arg = &policyd.end };
	int			fd;

	fd = accept4(policyd.listener, NULL, NULL, SOCK_CLOEXEC);
	assert_int_not_equal(fd, -1);
	policyd.chan = chan_open(&loop, fd, &conf);
	assert_non_null(policyd.chan);
}

static int
listen_here(void)
{
	struct sockaddr_un	sun = { .sun_family = AF_UNIX };
	int			fd;

	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	unlink(path);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static void
policyd_start(void)
{
	memset(&policyd, 0, sizeof(policyd));
	policyd.listener = listen_here();
	uv_poll_init(&loop, &policyd.poll, policyd.listener);
	uv_poll_start(&policyd.poll, UV_READABLE, on_connect);
}

static void
policyd_stop(void)
{
	uv_close((uv_handle_t *)&policyd.poll, NULL);
	close(policyd.listener);
	unlink(path);
	chan_close(policyd.chan);
	policyd.chan = NULL;
}

/* ---- netd, the hub client under test ---- */

static struct {
	unsigned	up[IPC_NROLES], down[IPC_NROLES];
	unsigned	words;		/* from policyd */
	unsigned	ready;
} netd;

static void
up(enum ipc_role r, struct chan *c)
{
	assert_ptr_equal(hub_link(r), c);
	netd.up[r]++;
	netd.ready += hub_ready();
}

static void
down(enum ipc_role r)
{
	assert_null(hub_link(r));
	netd.down[r]++;
}

static int
on_peers_end(struct chan *c, const struct ipc_call *call, const void *msg)
{
	netd.words++;
	return 0;
}

static const struct ipc_handler from_policyd[] = {
	{ MSG_PEERS_END, on_peers_end },
};

static const struct hub_peer peers[] = {
	{ IPC_POLICYD, from_policyd, 1, false },
	{ IPC_KEYD, NULL, 0, false },
};

static struct hub_conf	conf = { .self = IPC_NETD, .path = path, .peers = peers,
    .npeers = 2, .up = up, .down = down };

static void
netd_start(bool keep)
{
	int	fd;

	memset(&netd, 0, sizeof(netd));
	conf.keep = keep;
	conf.developer = true;
	fd = hub_connect(&conf);
	assert_int_not_equal(fd, -1);
	assert_int_equal(hub_start(&loop, fd, &conf), 0);
}

/* ---- the loop ---- */

static void
out_of_patience(uv_timer_t *t)
{
	fail_msg("it did not happen");
}

#define UNTIL(cond)							\
	while (!(cond))							\
		uv_run(&loop, UV_RUN_ONCE)

static int
setup(void **state)
{
	uv_timer_start(&patience, out_of_patience, 60000, 0);
	policyd_start();
	return 0;
}

static int
teardown(void **state)
{
	hub_stop();
	policyd_stop();
	uv_timer_stop(&patience);
	uv_run(&loop, UV_RUN_DEFAULT);
	return 0;
}

static void
greeted(bool keep)
{
	netd_start(keep);
	UNTIL(netd.up[IPC_POLICYD] == 1);
}

/* Introduce keyd; the other end, which plays keyd, is returned. */
static int
introduce(enum ipc_role role, uint32_t generation)
{
	struct msg_introduce	m = { .peer = role, .generation = generation };
	int			fds[2];

	socket_pair(fds);
	assert_int_equal(chan_send(policyd.chan, MSG_INTRODUCE, &m, fds[0]), 0);
	return fds[1];
}

static void
hello(int fd, uint32_t generation, uint8_t spoil)
{
	struct msg_link_hello	m = { .generation = generation };

	IPC_SET_BLOB(m.catalogue, ipc_catalogue(), 32);
	m.catalogue.data[31] ^= spoil;
	raw_msg(fd, MSG_LINK_HELLO, 0, &m);
}

/* ---- greeting ---- */

static void
test_greeting(void **state)
{
	greeted(false);
	assert_int_equal(policyd.hellos, 1);
	assert_int_equal(policyd.hello.role, IPC_NETD);
	assert_int_equal(policyd.hello.catalogue.len, 32);
	assert_memory_equal(policyd.hello.catalogue.data, ipc_catalogue(), 32);
	assert_true(policyd.hello.developer);
	assert_false(policyd.hello.again);
	assert_true(clock_trusted() >= 4000000000);
	assert_int_equal(log_level_now(), LOG_LVL_WARN);
	chan_send(policyd.chan, MSG_PEERS_END, NULL, -1);
	UNTIL(netd.words == 1);
}

static void
test_time_and_level(void **state)
{
	struct msg_trusted_time	t = { .now = 5000000000 };
	struct msg_log_level	l = { .level = LOG_LVL_DEBUG };

	greeted(false);
	chan_send(policyd.chan, MSG_TRUSTED_TIME, &t, -1);
	chan_send(policyd.chan, MSG_LOG_LEVEL, &l, -1);
	UNTIL(log_level_now() == LOG_LVL_DEBUG);
	assert_true(clock_trusted() >= 5000000000);
	log_level(LOG_LVL_WARN);
}

/* The one before us is just dying: it is asked again. */
static void
test_role_taken(void **state)
{
	policyd.refuse = 2;
	policyd.reason = R_IPC_ROLE;
	greeted(false);
	assert_int_equal(policyd.hellos, 3);
}

static void
netd_alone(void)
{
	uv_loop_fork(&loop);
	netd_start(true);
	for (;;)
		uv_run(&loop, UV_RUN_ONCE);
}

/* What the process says when it ends, and that it ends badly. */
static void
expect_fatal(const char *text)
{
	assert_int_not_equal(child_exit(netd_alone), 0);
	if (strstr(out, text) == NULL)
		fail_msg("%s: %s", text, out);
}

static void
test_refused_user(void **state)
{
	policyd.refuse = 1;
	policyd.reason = R_IPC_USER;
	expect_fatal("IPC-012");
}

static void
test_welcome_of_another_build(void **state)
{
	policyd.stranger = true;
	expect_fatal("IPC-010");
}

/* ---- introductions ---- */

static void
test_introduction(void **state)
{
	static union ipc_any	m;
	uint32_t		id;
	enum ipc_type		t;
	int			fd;

	greeted(false);
	fd = introduce(IPC_KEYD, 1);
	UNTIL((t = raw_recv(fd, &id, &m)) != MSG_NONE);
	assert_int_equal(t, MSG_LINK_HELLO);
	assert_int_equal(m.link_hello.generation, 1);
	assert_memory_equal(m.link_hello.catalogue.data, ipc_catalogue(), 32);
	assert_null(hub_link(IPC_KEYD));
	hello(fd, 1, 0);
	UNTIL(netd.up[IPC_KEYD] == 1);
	assert_int_equal(chan_generation(hub_link(IPC_KEYD)), 1);
	close(fd);
	UNTIL(netd.down[IPC_KEYD] == 1);
	assert_int_equal(policyd.offences, 0);
}

static void
test_newer_generation(void **state)
{
	static union ipc_any	m;
	uint32_t		id;
	char			c;
	int			old, new;

	greeted(false);
	old = introduce(IPC_KEYD, 3);
	hello(old, 3, 0);
	UNTIL(netd.up[IPC_KEYD] == 1);
	assert_int_equal(raw_recv(old, &id, &m), MSG_LINK_HELLO);
	new = introduce(IPC_KEYD, 4);
	UNTIL(netd.down[IPC_KEYD] == 1);
	assert_int_equal(recv(old, &c, 1, 0), 0);
	hello(new, 4, 0);
	UNTIL(netd.up[IPC_KEYD] == 2);
	assert_int_equal(chan_generation(hub_link(IPC_KEYD)), 4);
	close(old);
	close(new);
}

/* A generation that was there already, a stranger, ourselves: offences. */
static void
test_wrong_introduction(void **state)
{
	static const struct {
		enum ipc_role	role;
		uint32_t	generation;
	} cases[] = {
		{ IPC_KEYD, 3 }, { IPC_KEYD, 2 }, { IPC_ATTESTQ, 1 },
		{ IPC_POLICYD, 1 }, { IPC_NETD, 1 }, { IPC_PROVCTL, 1 },
	};
	unsigned	before = fds_open();
	size_t		i;
	int		fd, wrong;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		greeted(false);
		fd = introduce(IPC_KEYD, 3);
		hello(fd, 3, 0);
		UNTIL(netd.up[IPC_KEYD] == 1);
		wrong = introduce(cases[i].role, cases[i].generation);
		UNTIL(hub_lost());
		assert_null(hub_link(IPC_POLICYD));
		UNTIL(policyd.chan == NULL);
		hub_stop();
		close(fd);
		close(wrong);
		assert_int_equal(fds_open(), before);
	}
}

/* What a sister does on its link is reported with who, which and why. */
static void
expect_reported(int fd, enum reason reason, enum ipc_type type)
{
	UNTIL(policyd.offences == 1);
	assert_int_equal(policyd.offence.peer, IPC_KEYD);
	assert_int_equal(policyd.offence.generation, 7);
	assert_int_equal(policyd.offence.reason, reason);
	assert_int_equal(policyd.offence.type, type);
	assert_null(hub_link(IPC_KEYD));
	close(fd);
}

static void
test_link_of_another_build(void **state)
{
	int	fd;

	greeted(false);
	fd = introduce(IPC_KEYD, 7);
	hello(fd, 7, 1);
	expect_reported(fd, R_IPC_BUILD, MSG_LINK_HELLO);
	assert_int_equal(netd.up[IPC_KEYD], 0);
}

static void
test_link_of_another_generation(void **state)
{
	int	fd;

	greeted(false);
	fd = introduce(IPC_KEYD, 7);
	hello(fd, 6, 0);
	expect_reported(fd, R_IPC_GENERATION, MSG_LINK_HELLO);
	assert_int_equal(netd.up[IPC_KEYD], 0);
}

static void
test_link_without_hello(void **state)
{
	struct msg_refused	m = { .reason = R_IPC_NOLINK };
	struct msg_tls_sign_rep	rep = { .signature.len = 0 };
	int			fd;

	greeted(false);
	fd = introduce(IPC_KEYD, 7);
	raw_msg(fd, MSG_TLS_SIGN_REP, 1, &rep);
	expect_reported(fd, R_IPC_PHASE, MSG_TLS_SIGN_REP);
	policyd.offences = 0;
	fd = introduce(IPC_KEYD, 8);
	raw_msg(fd, MSG_REFUSED, 1, &m);
	UNTIL(policyd.offences == 1);
	assert_int_equal(policyd.offence.reason, R_IPC_REPLY);
	close(fd);
}

static void
test_link_offence(void **state)
{
	int	fd;

	greeted(false);
	fd = introduce(IPC_KEYD, 7);
	hello(fd, 7, 0);
	UNTIL(netd.up[IPC_KEYD] == 1);
	raw_send(fd, "x", 1, NULL, 0);
	expect_reported(fd, R_IPC_FORM, MSG_NONE);
	assert_int_equal(netd.down[IPC_KEYD], 1);
	assert_non_null(hub_link(IPC_POLICYD));
}

/* Ready with the last link, once, whatever comes and goes after that. */
static void
test_ready(void **state)
{
	unsigned	i;
	int		fd;

	greeted(true);
	assert_int_equal(netd.ready, 0);
	for (i = 1; i <= 2; i++) {
		fd = introduce(IPC_KEYD, i);
		hello(fd, i, 0);
		UNTIL(netd.up[IPC_KEYD] == i);
		assert_int_equal(netd.ready, 1);
		if (i == 1)
			close(fd);
		UNTIL(netd.down[IPC_KEYD] == 1);
	}
	UNTIL(policyd.readies == 1);
	chan_close(policyd.chan);
	UNTIL(netd.up[IPC_POLICYD] == 2);
	assert_int_equal(netd.ready, 2);
	UNTIL(policyd.readies == 2);
	close(fd);
}

/* ---- losing policyd ---- */

static void
test_lost(void **state)
{
	greeted(false);
	chan_close(policyd.chan);
	UNTIL(hub_lost());
	assert_int_equal(netd.down[IPC_POLICYD], 1);
}

static void
test_keep(void **state)
{
	int	keyd_fd;

	greeted(true);
	keyd_fd = introduce(IPC_KEYD, 9);
	hello(keyd_fd, 9, 0);
	UNTIL(netd.up[IPC_KEYD] == 1);
	hub_count(R_IPC_QUEUE);
	policyd_stop();
	UNTIL(netd.down[IPC_POLICYD] == 1);
	assert_false(hub_lost());
	assert_non_null(hub_link(IPC_KEYD));
	hub_count(R_IPC_QUEUE);
	/* The handle of the old listener is gone before it is used again. */
	uv_run(&loop, UV_RUN_NOWAIT);
	policyd_start();
	UNTIL(netd.up[IPC_POLICYD] == 2);
	assert_true(policyd.hello.again);
	assert_non_null(hub_link(IPC_KEYD));
	UNTIL(policyd.counts[R_IPC_QUEUE] == 2);
	/* This policyd counts generations from the beginning. */
	close(introduce(IPC_KEYD, 1));
	UNTIL(netd.down[IPC_KEYD] == 1);
	close(keyd_fd);
}

/* Between our connecting and its greeting policyd may go as well. */
static void
test_keep_refused(void **state)
{
	greeted(true);
	policyd.silent = true;
	chan_close(policyd.chan);
	UNTIL(policyd.hellos == 2);
	chan_close(policyd.chan);
	policyd.silent = false;
	UNTIL(netd.up[IPC_POLICYD] == 2);
	assert_int_equal(netd.down[IPC_POLICYD], 1);
	assert_false(hub_lost());
}

/* Nobody listens at first: it is waited for, and said once. */
static void
test_connect_waits(void **state)
{
	char	line[256] = "";
	pid_t	pid;
	int	fds[2], fd, status;
	ssize_t	n;

	policyd_stop();
	uv_run(&loop, UV_RUN_NOWAIT);
	assert_int_equal(pipe(fds), 0);
	if ((pid = fork()) == 0) {
		dup2(fds[1], 2);
		fd = hub_connect(&conf);
		_exit(fd == -1 ? 1 : 0);
	}
	n = read(fds[0], line, sizeof(line) - 1);
	assert_true(n > 0);
	assert_non_null(strstr(line, "waiting for policyd"));
	policyd_start();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	close(fds[0]);
	close(fds[1]);
}

/* ---- counters ---- */

static void
test_counters(void **state)
{
	uint64_t	first;
	unsigned	i;

	first = hub_count(R_IPC_FORM);		/* before there is a hub */
	greeted(false);
	UNTIL(policyd.counts[R_IPC_FORM] == first);
	policyd.reports = 0;
	for (i = 1; i <= 1000; i++)
		assert_int_equal(hub_count(R_IPC_FORM), first + i);
	UNTIL(policyd.counts[R_IPC_FORM] == first + 1000);
	assert_int_equal(policyd.reports, 1);
}

static int
begin(void **state)
{
	const char	*tmp = getenv("TMPDIR");

	snprintf(dir, sizeof(dir), "%s/hub.XXXXXX", tmp == NULL ||
	    strlen(tmp) > 40 ? "/tmp" : tmp);
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/hub.sock", dir);
	log_init("hub-test", true);
	uv_loop_init(&loop);
	uv_timer_init(&loop, &patience);
	return 0;
}

/* policyd is away for an hour: never more than half a second between two
   attempts to reach it, and not many more than two a second. */
static void
test_backoff(void **state)
{
	uint32_t	next = 0, wait, now, n = 0;

	(void)state;
	for (now = 0; now < 3600000; now += wait, n++) {
		wait = hub_backoff(&next);
		assert_in_range(wait, 50, 500);
		assert_true(n < 4 || wait == 500);
	}
	assert_in_range(n, 7200, 7205);
	next = 0;
	assert_int_equal(hub_backoff(&next), 50);
}

static int
end(void **state)
{
	uv_close((uv_handle_t *)&patience, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	rmdir(dir);
	return uv_loop_close(&loop);
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		TEST(test_greeting),
		TEST(test_time_and_level),
		TEST(test_role_taken),
		TEST(test_refused_user),
		TEST(test_welcome_of_another_build),
		TEST(test_introduction),
		TEST(test_newer_generation),
		TEST(test_wrong_introduction),
		TEST(test_link_of_another_build),
		TEST(test_link_of_another_generation),
		TEST(test_link_without_hello),
		TEST(test_link_offence),
		TEST(test_ready),
		TEST(test_lost),
		TEST(test_keep),
		TEST(test_keep_refused),
		TEST(test_connect_waits),
		TEST(test_counters),
		cmocka_unit_test(test_backoff),
	};

	return cmocka_run_group_tests_name("hub", tests, begin, end);
}
