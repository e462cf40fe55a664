/*
 * Every offence that the catalogue lets one daemon commit towards another, on
 * every link, both ways, in both phases: it is found, for its reason, in its
 * message, and nothing of it reaches a handler. The list is generated from
 * messages.def (regress/tools/sister_list.c).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "chan_pair.h"
#include "../tools/sister.h"

#include "../tools/sister_list.c"

static unsigned	handled;

static int
handle(struct chan *c, const struct ipc_call *call, const void *msg)
{
	handled++;
	if (call->fd != -1)
		close(call->fd);
	return 0;
}

/* Whatever may come has a handler. */
static struct ipc_handler	all[MSG_COUNT];

static void
attempt(const struct attempt *a, int fds[2])
{
	static uint8_t	 record[ATTEMPT_MAX];
	const int	 in[2] = { 0, 0 };
	struct ending	 e;
	struct chan	*c;

	socket_pair(fds);
	c = end_new(fds[1], a->to, a->from, all, MSG_COUNT, &e);
	chan_set_phase(c, a->phase);
	raw_send(fds[0], record, attempt_record(a, record), in,
	    attempt_fds(a));
	if (chan_input(c) != -1)
		fail_msg("%s: the link is open", attempt_name(a));
	if (e.times != 1 || e.reason != a->reason || e.type != a->blame)
		fail_msg("%s: %s in %u, expected %s in %u", attempt_name(a),
		    reason_code(e.reason), e.type, reason_code(a->reason),
		    a->blame);
	if (handled != 0)
		fail_msg("%s: it was handled", attempt_name(a));
	close(fds[0]);
}

static size_t
link_attempts(enum ipc_role from, enum ipc_role to)
{
	struct attempt	*a;
	enum ipc_phase	 phase;
	size_t		 i, n, sum = 0;
	int		 fds[2];

	for (phase = IPC_START; phase <= IPC_RUN; phase++) {
		a = attempts(from, to, phase, &n);
		for (i = 0; i < n; i++)
			attempt(&a[i], fds);
		/* Every message is wrong in one way or another. */
		assert_true(n >= MSG_COUNT - 1);
		sum += n;
		free(a);
	}
	return sum;
}

static void
test_every_offence_on_every_link(void **state)
{
	unsigned	before = fds_open(), from, to, links = 0;
	size_t		sum = 0;

	for (from = 0; from < MSG_COUNT; from++)
		all[from] = (struct ipc_handler){ from, handle };
	for (from = 0; from < IPC_NROLES; from++) {
		for (to = 0; to < IPC_NROLES; to++) {
			if (from == to || ipc_window(from, to) == 0)
				continue;
			links++;
			sum += link_attempts(from, to);
		}
	}
	assert_true(links >= 18);
	assert_int_equal(fds_open(), before);
	print_message("# %zu offences on %u links\n", sum, links);
}

/* The rest is heard: a list of what is wrong alone would prove nothing. */
static void
test_what_is_right_is_heard(void **state)
{
	static uint8_t	 record[ATTEMPT_MAX];
	struct attempt	 a = { .from = IPC_NETD, .to = IPC_KEYD,
	    .phase = IPC_RUN, .type = MSG_TLS_SIGN_REQ };
	struct ending	 e;
	struct chan	*c;
	int		 fds[2];

	handled = 0;
	socket_pair(fds);
	c = end_new(fds[1], a.to, a.from, all, MSG_COUNT, &e);
	raw_send(fds[0], record, attempt_record(&a, record), NULL, 0);
	assert_int_equal(chan_input(c), 0);
	assert_int_equal(handled, 1);
	handled = 0;
	chan_close(c);
	close(fds[0]);
}

/* Every message has a way in which it is an offence. */
static void
test_no_message_is_forgotten(void **state)
{
	bool		 seen[MSG_COUNT] = { false };
	struct attempt	*a;
	size_t		 i, n;
	unsigned	 type;

	a = attempts(IPC_NETD, IPC_POLICYD, IPC_RUN, &n);
	for (i = 0; i < n; i++)
		seen[a[i].type] = true;
	free(a);
	for (type = MSG_NONE + 1; type < MSG_COUNT; type++)
		assert_true(seen[type]);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(test_every_offence_on_every_link),
		cmocka_unit_test(test_what_is_right_is_heard),
		cmocka_unit_test(test_no_message_is_forgotten),
	};

	return cmocka_run_group_tests_name("sisters", tests, NULL, NULL);
}
