/*
 * The hub: who may greet on which socket, introductions and their
 * generations.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "policyd_fakes.h"

static void
test_welcome(void **state)
{
	struct fake	*netd = greet(IPC_NETD);

	assert_int_equal(netd->reason, R_OK);
	assert_memory_equal(netd->welcome.catalogue.data, ipc_catalogue(), 32);
	assert_true(netd->welcome.now >= 4000000000);
	assert_int_equal(netd->welcome.log_level, LOG_LVL_INFO);
	assert_true(hubd_row(IPC_NETD)->up);
	assert_false(hubd_row(IPC_NETD)->ready);
	assert_int_equal(hubd_row(IPC_NETD)->pid, getpid());
	assert_int_equal(hubd_row(IPC_NETD)->uid, geteuid());
	assert_int_equal(ups[IPC_NETD], 1);
	assert_int_equal(chan_send(netd->chan, MSG_READY, NULL, -1), 0);
	UNTIL(hubd_row(IPC_NETD)->ready);
}

/* Who may connect at all is the mode of a file. */
static void
test_modes(void **state)
{
	struct stat	st;
	char		path[128];
	unsigned	r;

	for (r = IPC_KEYD; r <= IPC_ATTESTR; r++) {
		assert_int_equal(confine_hub_path(&config, ipc_role_name(r),
		    path, sizeof(path)), 0);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0660);
	}
}

static void
test_wrong_role(void **state)
{
	struct fake	*f = attach(IPC_ATTESTR, IPC_NETD);

	greet_as(f, IPC_ATTESTR, false);
	assert_int_equal(refused(f), R_IPC_SOCKET);
	assert_false(hubd_row(IPC_NETD)->up);
	assert_false(hubd_row(IPC_ATTESTR)->up);
	assert_int_equal(records[AUDIT_REFUSAL], 1);
	assert_string_equal(last_subject, "netd");
}

static void
test_wrong_build(void **state)
{
	struct fake	*f = attach(IPC_NETD, IPC_NETD);

	greet_as(f, IPC_NETD, true);
	assert_int_equal(refused(f), R_IPC_BUILD);
	assert_false(hubd_row(IPC_NETD)->up);
}

/* In a child, for SO_PEERCRED is fixed at connect(2). */
static void
as_nobody(int arg)
{
	struct msg_hello	m = { .role = IPC_NETD };
	uint8_t			buf[IPC_MAX_RECORD];
	union ipc_any		any;
	enum ipc_type		type;
	uint32_t		id;
	size_t			len;
	ssize_t			n;
	int			fd;

	if (setresgid(65534, 65534, 65534) == -1 ||
	    setresuid(65534, 65534, 65534) == -1)
		_exit(77);
	fd = dial(IPC_NETD);
	IPC_SET_BLOB(m.catalogue, ipc_catalogue(), 32);
	if (ipc_encode(MSG_HELLO, 1, &m, buf, sizeof(buf), &len) == -1 ||
	    send(fd, buf, len, 0) != (ssize_t)len ||
	    (n = recv(fd, buf, sizeof(buf), 0)) <= 0 ||
	    ipc_peek(buf, (size_t)n, &type, &id) == -1 ||
	    type != MSG_REFUSED ||
	    ipc_decode(type, buf, (size_t)n, &any) == -1)
		_exit(1);
	_exit(any.refused.reason == R_IPC_USER ? 0 : 2);
}

static uv_signal_t	child;
static int		child_status;

static void
child_ended(uv_signal_t *h, int signum)
{
	int	st;

	if (waitpid(-1, &st, WNOHANG) > 0)
		child_status = WIFEXITED(st) ? WEXITSTATUS(st) : -2;
}

static void
test_wrong_user(void **state)
{
	char	path[128];
	pid_t	pid;

	if (geteuid() != 0)
		skip();
	assert_int_equal(confine_hub_path(&config, "netd", path,
	    sizeof(path)), 0);
	assert_int_equal(chmod(path, 0666), 0);
	assert_int_equal(chmod(dir_path, 0755), 0);
	uv_signal_init(&loop, &child);
	uv_signal_start(&child, child_ended, SIGCHLD);
	child_status = -1;
	fflush(NULL);
	assert_int_not_equal(pid = fork(), -1);
	if (pid == 0)
		as_nobody(0);
	UNTIL(child_status != -1);
	uv_close((uv_handle_t *)&child, NULL);
	assert_int_equal(child_status, 0);
	assert_false(hubd_row(IPC_NETD)->up);
	assert_int_equal(last_reason, R_IPC_USER);
}

/* Where no listener is configured, nobody can greet as enrold. */
static void
test_no_enrold(void **state)
{
	char	path[128];

	assert_null(config.listeners);
	assert_int_equal(confine_hub_path(&config, "attestd-r", path,
	    sizeof(path)), 0);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(confine_hub_path(&config, "enrold", path,
	    sizeof(path)), 0);
	assert_int_equal(access(path, F_OK), -1);
}

static void
test_second_hello(void **state)
{
	struct fake	*first = greet(IPC_NETD), *second;

	second = attach(IPC_NETD, IPC_NETD);
	greet_as(second, IPC_NETD, false);
	assert_int_equal(refused(second), R_IPC_ROLE);
	assert_non_null(first->chan);
	assert_true(hubd_row(IPC_NETD)->up);
	assert_int_equal(ups[IPC_NETD], 1);
	/* the first one goes: the second tries again on its connection */
	chan_close(first->chan);
	greet_as(second, IPC_NETD, false);
	assert_int_equal(refused(second), R_OK);
	assert_int_equal(ups[IPC_NETD], 2);
	assert_int_equal(downs[IPC_NETD], 1);
	assert_int_equal(hubd_row(IPC_NETD)->generation, 2);
}

/* Each one moves peers and makes links: not without end. */
static void
test_greets_without_end(void **state)
{
	struct fake	*f;
	unsigned	 i;

	for (i = 0; i < 200; i++) {
		nfakes = 0;
		f = greet(IPC_NETD);
		if (f->reason != R_OK)
			break;
		chan_close(f->chan);
		UNTIL(downs[IPC_NETD] == i + 1);
	}
	assert_in_range(i, 60, 199);
	assert_int_equal(f->reason, R_IPC_GREETINGS);
	assert_int_equal(records[AUDIT_REFUSAL], 1);
	nfakes = 1;
	f = greet(IPC_KEYD);		/* the others are not concerned */
	assert_int_equal(f->reason, R_OK);
}

/* A greeting that is faster than the news of the old one's death. */
static void
test_restart_is_not_a_second(void **state)
{
	struct fake	*old = greet(IPC_NETD), *new;
	int		 i;

	new = attach(IPC_NETD, IPC_NETD);
	for (i = 0; i < 3; i++)		/* it is accepted */
		uv_run(&loop, UV_RUN_NOWAIT);
	greet_as(new, IPC_NETD, false);
	chan_close(old->chan);		/* both wait, in this order */
	assert_int_equal(refused(new), R_OK);
}

static void
test_hello_twice_is_an_offence(void **state)
{
	struct fake	*f = greet(IPC_NETD);

	chan_set_phase(f->chan, IPC_START);
	greet_as(f, IPC_NETD, false);
	UNTIL(f->chan == NULL);
	assert_int_equal(records[AUDIT_OFFENCE], 1);
	assert_int_equal(last_reason, R_IPC_PHASE);
	assert_false(hubd_row(IPC_NETD)->up);
}

/* Before its greeting a connection can say nothing else. */
static void
test_ready_before_hello(void **state)
{
	struct fake	*f = attach(IPC_NETD, IPC_NETD);

	chan_set_phase(f->chan, IPC_RUN);
	assert_int_equal(chan_send(f->chan, MSG_READY, NULL, -1), 0);
	UNTIL(f->chan == NULL);
	assert_false(hubd_row(IPC_NETD)->up);
}

/* ---- silence ---- */

static void
test_silent_connections(void **state)
{
	struct fake	*f[5], *good;
	unsigned	 i;

	for (i = 0; i < 4; i++)
		f[i] = attach(IPC_NETD, IPC_NETD);
	good = greet(IPC_NETD);		/* one too many: the oldest goes */
	assert_int_equal(good->reason, R_OK);
	UNTIL(f[0]->chan == NULL);
	for (i = 1; i < 4; i++)
		assert_non_null(f[i]->chan);
	hubd_tick(clock_mono_ms());
	assert_non_null(f[3]->chan);
	hubd_tick(clock_mono_ms() + 3600000);
	UNTIL(f[1]->chan == NULL && f[2]->chan == NULL && f[3]->chan == NULL);
	assert_non_null(good->chan);
}

/* ---- introductions ---- */

static void
test_links(void **state)
{
	struct fake	*keyd, *netd, *q, *r;

	netd = greet(IPC_NETD);
	assert_int_equal(netd->introductions[IPC_KEYD], 0);
	keyd = greet(IPC_KEYD);
	q = greet(IPC_ATTESTQ);
	r = greet(IPC_ATTESTR);
	UNTIL(netd->link[IPC_KEYD] != -1 && keyd->link[IPC_NETD] != -1 &&
	    netd->link[IPC_ATTESTQ] != -1 && q->link[IPC_NETD] != -1 &&
	    netd->link[IPC_ATTESTR] != -1 && r->link[IPC_NETD] != -1 &&
	    q->link[IPC_KEYD] != -1 && keyd->link[IPC_ATTESTQ] != -1 &&
	    r->link[IPC_KEYD] != -1 && keyd->link[IPC_ATTESTR] != -1);
	assert_true(link_joins(netd, keyd));
	assert_true(link_joins(netd, q));
	assert_true(link_joins(netd, r));
	assert_true(link_joins(q, keyd));
	assert_true(link_joins(r, keyd));
	/* and no others: the two of attestd never talk to each other */
	assert_int_equal(q->introductions[IPC_ATTESTR], 0);
	assert_int_equal(r->introductions[IPC_ATTESTQ], 0);
	assert_int_equal(netd->generation[IPC_KEYD],
	    keyd->generation[IPC_NETD]);
}

static void
test_generation_after_restart(void **state)
{
	struct fake	*keyd, *netd, *again;
	uint32_t	 was;

	netd = greet(IPC_NETD);
	keyd = greet(IPC_KEYD);
	UNTIL(netd->link[IPC_KEYD] != -1 && keyd->link[IPC_NETD] != -1);
	was = netd->generation[IPC_KEYD];
	chan_close(keyd->chan);
	UNTIL(downs[IPC_KEYD] == 1);
	again = greet(IPC_KEYD);
	UNTIL(again->link[IPC_NETD] != -1 &&
	    netd->introductions[IPC_KEYD] == 2);
	assert_true(netd->generation[IPC_KEYD] > was);
	assert_int_equal(netd->generation[IPC_KEYD],
	    again->generation[IPC_NETD]);
	assert_true(link_joins(netd, again));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_welcome),
		T(test_modes),
		T(test_wrong_role),
		T(test_wrong_build),
		T(test_wrong_user),
		T(test_no_enrold),
		T(test_second_hello),
		T(test_restart_is_not_a_second),
		T(test_greets_without_end),
		T(test_hello_twice_is_an_offence),
		T(test_ready_before_hello),
		T(test_silent_connections),
		T(test_links),
		T(test_generation_after_restart),
	};

	return cmocka_run_group_tests_name("policyd_hub", tests, NULL, NULL);
}
