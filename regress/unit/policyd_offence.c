/*
 * What becomes of a daemon that breaks a rule, or accuses another one; and
 * what the hub keeps of each: counters, the level of its log.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "policyd_fakes.h"

static void
accuse(struct fake *by, enum ipc_role who, uint32_t generation)
{
	struct msg_offence	m = { .peer = who, .generation = generation,
	    .reason = R_IPC_FORM, .type = MSG_TLS_SIGN_REQ };

	assert_int_equal(chan_send(by->chan, MSG_OFFENCE, &m, -1), 0);
}

static void
test_offender_is_parted(void **state)
{
	struct fake	*keyd, *netd, *r;
	uint32_t	 was;

	netd = greet(IPC_NETD);
	keyd = greet(IPC_KEYD);
	r = greet(IPC_ATTESTR);
	UNTIL(netd->link[IPC_ATTESTR] != -1 && keyd->link[IPC_ATTESTR] != -1);
	was = netd->generation[IPC_ATTESTR];
	accuse(keyd, IPC_ATTESTR, keyd->generation[IPC_ATTESTR]);
	UNTIL(r->chan == NULL);
	assert_int_equal(records[AUDIT_OFFENCE], 1);
	assert_string_equal(last_subject, "attestd-r");
	assert_int_equal(last_reason, R_IPC_FORM);
	assert_int_equal(hubd_row(IPC_ATTESTR)->offences, 1);
	assert_false(hubd_row(IPC_ATTESTR)->up);
	/* its link with netd is gone too, though netd noticed nothing */
	UNTIL(netd->generation[IPC_ATTESTR] > was);
	assert_false(link_open(netd, IPC_ATTESTR));
	assert_non_null(netd->chan);
	assert_non_null(keyd->chan);
}

/* The same process may not come back: it must start afresh. */
static void
test_offender_must_start_afresh(void **state)
{
	struct fake	*keyd, *r;

	keyd = greet(IPC_KEYD);
	r = greet(IPC_ATTESTR);
	UNTIL(keyd->link[IPC_ATTESTR] != -1);
	accuse(keyd, IPC_ATTESTR, keyd->generation[IPC_ATTESTR]);
	UNTIL(r->chan == NULL);
	r = greet(IPC_ATTESTR);
	assert_int_equal(r->reason, R_IPC_OFFENDED);
	assert_false(hubd_row(IPC_ATTESTR)->up);
}

static void
test_old_generation(void **state)
{
	struct fake	*keyd, *r;

	keyd = greet(IPC_KEYD);
	r = greet(IPC_ATTESTR);
	UNTIL(keyd->link[IPC_ATTESTR] != -1);
	accuse(keyd, IPC_ATTESTR, keyd->generation[IPC_ATTESTR] + 7);
	assert_int_equal(chan_send(keyd->chan, MSG_READY, NULL, -1), 0);
	UNTIL(hubd_row(IPC_KEYD)->ready);
	assert_non_null(r->chan);
	assert_int_equal(records[AUDIT_OFFENCE], 0);
}

/* No link, so nothing to complain of: the accuser is the offender. */
static void
test_accusing_a_stranger(void **state)
{
	struct fake	*q, *r;

	q = greet(IPC_ATTESTQ);
	r = greet(IPC_ATTESTR);
	accuse(q, IPC_ATTESTR, 0);
	UNTIL(q->chan == NULL);
	assert_non_null(r->chan);
	assert_string_equal(last_subject, "attestd-q");
	assert_int_equal(last_reason, R_IPC_HANDLER);
}

/* Who leaves before it is accused is on record all the same, and banned. */
static void
test_offender_has_gone(void **state)
{
	struct fake	*keyd, *r;

	keyd = greet(IPC_KEYD);
	r = greet(IPC_ATTESTR);
	UNTIL(keyd->link[IPC_ATTESTR] != -1);
	chan_close(r->chan);
	UNTIL(downs[IPC_ATTESTR] == 1);
	accuse(keyd, IPC_ATTESTR, keyd->generation[IPC_ATTESTR]);
	UNTIL(records[AUDIT_OFFENCE] == 1);
	assert_string_equal(last_subject, "attestd-r");
	r = greet(IPC_ATTESTR);
	assert_int_equal(r->reason, R_IPC_OFFENDED);
	assert_non_null(keyd->chan);
}

/* The one that greeted since has done nothing; each link is blamed once. */
static void
test_offender_was_replaced(void **state)
{
	struct fake	*keyd, *r;
	uint32_t	 old;

	keyd = greet(IPC_KEYD);
	r = greet(IPC_ATTESTR);
	UNTIL(keyd->link[IPC_ATTESTR] != -1);
	old = keyd->generation[IPC_ATTESTR];
	chan_close(r->chan);
	UNTIL(downs[IPC_ATTESTR] == 1);
	r = greet(IPC_ATTESTR);
	UNTIL(keyd->generation[IPC_ATTESTR] > old);
	accuse(keyd, IPC_ATTESTR, old);
	accuse(keyd, IPC_ATTESTR, old);
	assert_int_equal(chan_send(keyd->chan, MSG_READY, NULL, -1), 0);
	UNTIL(hubd_row(IPC_KEYD)->ready);
	assert_int_equal(records[AUDIT_OFFENCE], 1);
	assert_non_null(r->chan);
	assert_true(hubd_row(IPC_ATTESTR)->up);
}

/* What is said before the greeting is on record, once a minute. */
static void
test_record_before_the_greeting(void **state)
{
	uint8_t		buf[64], c;
	size_t		len;
	unsigned	i;
	int		fd;

	assert_int_equal(ipc_encode(MSG_READY, 0, NULL, buf, sizeof(buf), &len),
	    0);
	for (i = 0; i < 3; i++) {
		fd = dial(IPC_NETD);
		assert_int_equal(send(fd, buf, len, 0), len);
		UNTIL(recv(fd, &c, 1, MSG_DONTWAIT) == 0 ||
		    errno == ECONNRESET);
		close(fd);
		assert_int_equal(records[AUDIT_REFUSAL], 1);
	}
	assert_int_equal(last_reason, R_IPC_PHASE);
	assert_string_equal(last_subject, "netd");
}

/*
 * A hostile attestd -R cannot keep keyd from the others by accusing it again
 * and again. Its accusations are played, each time with a keyd of another
 * process, so that only their number counts.
 */
static void
play_daemon(int role)
{
	struct msg_hello	m = { .role = (uint32_t)role };
	uint8_t			buf[IPC_MAX_RECORD];
	size_t			len;
	int			fd;

	close_range(3, ~0U, 0);		/* the parent's ends are not ours */
	fd = dial((enum ipc_role)role);
	IPC_SET_BLOB(m.catalogue, ipc_catalogue(), 32);
	if (ipc_encode(MSG_HELLO, 1, &m, buf, sizeof(buf), &len) == -1 ||
	    send(fd, buf, len, 0) != (ssize_t)len)
		_exit(1);
	while (recv(fd, buf, sizeof(buf), 0) > 0)
		;
	_exit(0);
}

static pid_t
play(enum ipc_role role)
{
	pid_t	pid;

	fflush(NULL);
	assert_int_not_equal(pid = fork(), -1);
	if (pid == 0)
		play_daemon(role);
	return pid;
}

static void
test_false_accusations(void **state)
{
	struct fake	*r = greet(IPC_ATTESTR);
	unsigned	 i;
	int		 st;
	pid_t		 pid;

	for (i = 1; i <= 4; i++) {
		pid = play(IPC_KEYD);
		/* one at each greeting, and a dead one at each parting */
		UNTIL(r->introductions[IPC_KEYD] == 2 * i - 1 &&
		    hubd_link(IPC_KEYD) != NULL);
		accuse(r, IPC_KEYD, r->generation[IPC_KEYD]);
		if (i <= 3) {
			UNTIL(hubd_link(IPC_KEYD) == NULL);
			assert_int_equal(waitpid(pid, &st, 0), pid);
			continue;
		}
		UNTIL(r->chan == NULL);	/* now it is the accuser's turn */
		assert_non_null(hubd_link(IPC_KEYD));
		assert_string_equal(last_subject, "attestd-r");
		hubd_stop();
		assert_int_equal(waitpid(pid, &st, 0), pid);
	}
}

/*
 * Nor can it by offending keyd again and again, each time as another process:
 * keyd is believed however often it complains of those below it.
 */
static void
test_offences_without_end(void **state)
{
	struct fake	*keyd = greet(IPC_KEYD);
	unsigned	 i;
	int		 st;
	pid_t		 pid;

	for (i = 1; i <= 2 * 3 + 1; i++) {
		pid = play(IPC_ATTESTR);
		UNTIL(keyd->introductions[IPC_ATTESTR] == 2 * i - 1);
		accuse(keyd, IPC_ATTESTR, keyd->generation[IPC_ATTESTR]);
		UNTIL(hubd_link(IPC_ATTESTR) == NULL);
		assert_int_equal(waitpid(pid, &st, 0), pid);
		assert_string_equal(last_subject, "attestd-r");
		assert_int_equal(records[AUDIT_OFFENCE], i);
	}
	assert_non_null(keyd->chan);
}

/* ---- counters and levels ---- */

static uint64_t	total;

static void
one_counter(enum ipc_role r, enum reason reason, uint64_t n, void *arg)
{
	if (r == IPC_NETD && reason == R_NET_TOTAL)
		total = n;
}

static void
report(struct fake *f, uint64_t n)
{
	struct msg_counter	m = { .reason = R_NET_TOTAL, .count = n };

	assert_int_equal(chan_send(f->chan, MSG_COUNTER, &m, -1), 0);
}

/* They go on over a restart of the daemon, and never back within its life. */
static void
test_counters(void **state)
{
	struct fake	*netd = greet(IPC_NETD);

	report(netd, 5);
	total = 0;
	UNTIL((hubd_counters(one_counter, NULL), total == 5));
	chan_close(netd->chan);
	UNTIL(downs[IPC_NETD] == 1);
	netd = greet(IPC_NETD);
	report(netd, 2);
	UNTIL((hubd_counters(one_counter, NULL), total == 7));
	report(netd, INT64_MAX);
	UNTIL((hubd_counters(one_counter, NULL), total == INT64_MAX));
	report(netd, 1);
	UNTIL(netd->chan == NULL);
	assert_int_equal(last_reason, R_IPC_HANDLER);
}

static void
test_log_level(void **state)
{
	struct fake	*netd = greet(IPC_NETD);

	hubd_log_level(IPC_NETD, LOG_LVL_DEBUG);
	UNTIL(netd->level == LOG_LVL_DEBUG);
	chan_close(netd->chan);
	UNTIL(downs[IPC_NETD] == 1);
	netd = greet(IPC_NETD);		/* it outlives the daemon */
	assert_int_equal(netd->welcome.log_level, LOG_LVL_DEBUG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_offender_is_parted),
		T(test_offender_must_start_afresh),
		T(test_old_generation),
		T(test_accusing_a_stranger),
		T(test_offender_has_gone),
		T(test_offender_was_replaced),
		T(test_record_before_the_greeting),
		T(test_false_accusations),
		T(test_offences_without_end),
		T(test_counters),
		T(test_log_level),
	};

	return cmocka_run_group_tests_name("policyd_offence", tests, NULL,
	    NULL);
}
