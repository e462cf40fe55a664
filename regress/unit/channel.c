/* Channels: calls and their windows, deadlines, endings, the trace. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <stdio.h>

#include "chan_world.h"
#include "clock.h"
#include "log.h"

/* ---- calls ---- */

static void
test_call(void **state)
{
	pair_make(answers);
	assert_int_equal(call(pair.netd, 1000), 0);
	assert_int_equal(result.times, 0);
	assert_int_equal(chan_input(pair.keyd), 0);
	assert_int_equal(chan_input(pair.netd), 0);
	assert_int_equal(result.times, 1);
	assert_int_equal(result.reason, R_OK);
	assert_int_equal(result.type, MSG_TLS_SIGN_REP);
	assert_int_equal(chan_window(pair.netd),
	    ipc_window(IPC_NETD, IPC_KEYD));
	pair_close();
}

static void
test_call_refused(void **state)
{
	pair_make(keeps);
	call(pair.netd, 1000);
	chan_input(pair.keyd);
	assert_int_equal(chan_refuse_why(pair.keyd, &keyd.last, R_IPC_NOLINK,
	    "field", NULL, "seen"), 0);
	chan_input(pair.netd);
	assert_int_equal(result.times, 1);
	assert_int_equal(result.reason, R_IPC_NOLINK);
	assert_int_equal(result.type, MSG_REFUSED);
	pair_close();
}

/* Why a call was refused is cut to its field, at a character. */
static void
test_refusal_is_cut(void **state)
{
	char		 text[300];
	uint32_t	 id;
	int		 fd = bare_make(keeps);

	memset(text, 'x', sizeof(text));
	text[63] = '\xc3';
	text[64] = '\xa9';
	text[299] = '\0';
	raw_msg(fd, MSG_TLS_SIGN_REQ, 1, &request);
	chan_input(pair.keyd);
	assert_int_equal(chan_refuse_why(pair.keyd, &keyd.last, R_IPC_NOLINK,
	    text, text, "\xff"), 0);
	assert_int_equal(raw_recv(fd, &id, &any), MSG_REFUSED);
	assert_int_equal(strlen(any.refused.field), 63);
	assert_int_equal(strlen(any.refused.expected), 160);
	assert_string_equal(any.refused.seen, "");
	chan_close(pair.keyd);
	close(fd);
}

/* An answer is given once, to its call, with a type that fits. */
static void
test_reply_once(void **state)
{
	struct ipc_call	other;

	pair_make(keeps);
	call(pair.netd, 1000);
	chan_input(pair.keyd);
	assert_int_equal(chan_done(pair.keyd, &keyd.last), -1);
	other = keyd.last;
	other.id++;
	assert_int_equal(chan_refuse(pair.keyd, &other, R_IPC_NOLINK), -1);
	assert_ptr_equal(chan_find(&keyd.last), pair.keyd);
	assert_int_equal(chan_refuse(pair.keyd, &keyd.last, R_IPC_NOLINK), 0);
	assert_int_equal(chan_refuse(pair.keyd, &keyd.last, R_IPC_NOLINK), -1);
	chan_close(pair.keyd);
	assert_null(chan_find(&keyd.last));
	assert_int_equal(chan_refuse(chan_find(&keyd.last), &keyd.last,
	    R_IPC_NOLINK), -1);
	pair_close();
}

/* A reply that does not encode still answers: no caller waits for ever. */
static void
test_reply_unencodable(void **state)
{
	struct msg_tls_sign_rep	rep = { .signature.len = 257 };

	pair_make(keeps);
	call(pair.netd, 1000);
	chan_input(pair.keyd);
	assert_int_equal(chan_reply(pair.keyd, &keyd.last, MSG_TLS_SIGN_REP,
	    &rep), 0);
	chan_input(pair.netd);
	assert_int_equal(result.reason, R_IPC_FORM);
	pair_close();
}

/* The window is full: the caller is told, the peer is not bothered. */
static void
test_window_ours(void **state)
{
	unsigned	w = ipc_window(IPC_NETD, IPC_KEYD), i;

	pair_make(keeps);
	for (i = 0; i < w; i++)
		assert_int_equal(call(pair.netd, 1000), 0);
	assert_int_equal(chan_window(pair.netd), 0);
	assert_int_equal(call(pair.netd, 1000), -1);
	while (keyd.handled < w)
		assert_int_equal(chan_input(pair.keyd), 0);
	chan_refuse(pair.keyd, &keyd.last, R_IPC_NOLINK);
	chan_input(pair.netd);
	assert_int_equal(chan_window(pair.netd), 1);
	assert_int_equal(call(pair.netd, 1000), 0);
	pair_close();
	assert_int_equal(result.times, w + 1);
}

static void
test_call_nobody(void **state)
{
	assert_int_equal(call(NULL, 1000), -1);
	assert_int_equal(chan_window(NULL), 0);
	assert_int_equal(chan_send(NULL, MSG_READY, NULL, -1), -1);
}

/* What this process may not say, it cannot: not to this peer, not now. */
static void
test_send_is_checked(void **state)
{
	struct msg_tls_sign_req	bad = { .key = 64 };

	pair_make(answers);
	assert_int_equal(chan_send(pair.netd, MSG_READY, NULL, -1), -1);
	assert_int_equal(chan_send(pair.netd, MSG_TLS_SIGN_REQ, &request, -1),
	    -1);
	assert_int_equal(chan_send(pair.netd, MSG_TLS_SIGN_REP, NULL, -1), -1);
	assert_int_equal(chan_send(pair.netd, MSG_COUNT, NULL, -1), -1);
	assert_int_equal(chan_call(pair.netd, MSG_SPDM_SIGN_REQ, &any, -1, 1,
	    got, NULL), -1);
	assert_int_equal(chan_call(pair.netd, MSG_TLS_SIGN_REQ, &bad, -1, 1,
	    got, NULL), -1);
	assert_int_equal(chan_call(pair.netd, MSG_TLS_SIGN_REQ, &request, 0, 1,
	    got, NULL), -1);
	chan_set_phase(pair.netd, IPC_START);
	assert_int_equal(call(pair.netd, 1000), -1);
	assert_int_equal(chan_window(pair.netd),
	    ipc_window(IPC_NETD, IPC_KEYD));
	pair_close();
	assert_int_equal(result.times, 0);
}

/* ---- deadlines ---- */

static void
test_deadline(void **state)
{
	uint64_t	now;
	int64_t		left;

	pair_make(answers);
	assert_int_equal(chan_deadlines(pair.netd, clock_mono_ms()), -1);
	call(pair.netd, 500000);
	call(pair.netd, 900000);
	now = clock_mono_ms();
	left = chan_deadlines(pair.netd, now);
	assert_true(left > 0 && left <= 500000);
	assert_int_equal(chan_deadlines(pair.netd, now + left - 1), 1);
	assert_int_equal(result.times, 0);
	assert_true(chan_deadlines(pair.netd, now + left) > 0);
	assert_int_equal(result.times, 1);
	assert_int_equal(result.reason, R_IPC_DEADLINE);
	assert_int_equal(chan_deadlines(pair.netd, now + 1000000), -1);
	assert_int_equal(result.times, 2);
	pair_close();
	assert_int_equal(result.times, 2);
}

/*
 * A late reply is dropped. Until it comes the call keeps its place, because
 * the peer counts it still.
 */
static void
test_late_reply(void **state)
{
	unsigned	w = ipc_window(IPC_NETD, IPC_KEYD);

	pair_make(answers);
	call(pair.netd, 1000);
	chan_deadlines(pair.netd, clock_mono_ms() + 2000);
	assert_int_equal(result.times, 1);
	assert_int_equal(chan_window(pair.netd), w - 1);
	chan_input(pair.keyd);
	assert_int_equal(chan_input(pair.netd), 0);
	assert_int_equal(result.times, 1);
	assert_int_equal(chan_window(pair.netd), w);
	pair_close();
	assert_int_equal(pair.netd_end.reason, R_OK);
}

/* Being late excuses no wrong type. */
static void
test_late_reply_wrong_type(void **state)
{
	struct msg_spdm_sign_rep	 rep = { .signature.len = 0 };
	struct chan			*netd;
	struct ending			 e;
	uint32_t			 id;
	int				 fds[2];

	memset(&result, 0, sizeof(result));
	socket_pair(fds);
	netd = end_new(fds[0], IPC_NETD, IPC_KEYD, NULL, 0, &e);
	call(netd, 1000);
	chan_deadlines(netd, clock_mono_ms() + 2000);
	assert_int_equal(raw_recv(fds[1], &id, &any), MSG_TLS_SIGN_REQ);
	raw_msg(fds[1], MSG_DONE, id, &rep);
	assert_int_equal(chan_input(netd), -1);
	assert_int_equal(e.reason, R_IPC_REPLY);
	assert_int_equal(result.times, 1);
	close(fds[1]);
}

/* ---- endings ---- */

static void
test_closed_fails_calls(void **state)
{
	pair_make(keeps);
	call(pair.netd, 1000);
	call(pair.netd, 1000);
	chan_close(pair.keyd);
	assert_int_equal(chan_input(pair.netd), -1);
	assert_int_equal(result.times, 2);
	assert_int_equal(result.reason, R_IPC_CLOSED);
	assert_int_equal(pair.netd_end.times, 1);
	assert_int_equal(pair.netd_end.reason, R_OK);
}

/* What the peer said before it went is still heard. */
static void
test_last_words(void **state)
{
	pair_make(answers);
	call(pair.netd, 1000);
	chan_input(pair.keyd);
	call(pair.netd, 1000);
	chan_close(pair.keyd);		/* with the second call unread */
	while (chan_input(pair.netd) == 0)
		;
	assert_int_equal(result.times, 2);
	assert_int_equal(result.good, 1);
	assert_int_equal(pair.netd_end.times, 1);
	assert_int_equal(pair.netd_end.reason, R_OK);
}

/* A call to a peer that has just gone is not lost either. */
static void
test_call_after_end(void **state)
{
	pair_make(answers);
	chan_close(pair.keyd);
	assert_int_equal(call(pair.netd, 1000), 0);
	assert_int_equal(result.times, 0);
	while (chan_input(pair.netd) == 0)
		;
	assert_int_equal(result.times, 1);
	assert_int_equal(result.reason, R_IPC_CLOSED);
}

/* Callbacks of a closing channel may call again, in vain, and close it. */
static void
test_close_reentered(void **state)
{
	pair_make(keeps);
	call(pair.netd, 1000);
	call(pair.netd, 1000);
	result.again = result.close = pair.netd;
	chan_close(pair.netd);
	assert_int_equal(result.times, 2);
	assert_int_equal(result.ret, -1);
	assert_int_equal(pair.netd_end.times, 1);
	pair_close();
}

/* The reply's callback closes the channel whose input is being read. */
static void
test_close_in_reply(void **state)
{
	pair_make(answers);
	call(pair.netd, 1000);
	call(pair.netd, 1000);
	chan_input(pair.keyd);
	result.close = pair.netd;
	assert_int_equal(chan_input(pair.netd), -1);
	assert_int_equal(result.times, 2);
	assert_int_equal(pair.netd_end.times, 1);
	pair_close();
}

static void
test_close_in_handler(void **state)
{
	pair_make(closes);
	call(pair.netd, 1000);
	call(pair.netd, 1000);
	assert_int_equal(chan_input(pair.keyd), -1);
	assert_int_equal(keyd.handled, 1);
	assert_int_equal(pair.keyd_end.times, 1);
	assert_int_equal(pair.keyd_end.reason, R_OK);
	pair_close();
}

static void
test_close_in_deadline(void **state)
{
	pair_make(keeps);
	call(pair.netd, 1000);
	call(pair.netd, 1000);
	result.close = pair.netd;
	assert_int_equal(chan_deadlines(pair.netd, clock_mono_ms() + 2000), -1);
	assert_int_equal(result.times, 2);
	assert_int_equal(pair.netd_end.times, 1);
	pair_close();
}

/* A callback uses the place that its own call has just left. */
static void
test_call_in_reply(void **state)
{
	pair_make(answers);
	result.again = pair.netd;
	call(pair.netd, 1000);
	chan_input(pair.keyd);
	chan_input(pair.netd);
	assert_int_equal(result.times, 1);
	assert_int_equal(result.ret, 0);
	result.again = NULL;
	chan_input(pair.keyd);
	chan_input(pair.netd);
	assert_int_equal(result.times, 2);
	pair_close();
}

/* One turn reads a bounded number of records. */
static void
test_bounded_turn(void **state)
{
	int		fd = bare_make(answers);
	unsigned	i, before;

	for (i = 0; i < 64; i++)
		raw_msg(fd, MSG_TLS_SIGN_REQ, i + 1, &request);
	assert_int_equal(chan_input(pair.keyd), 0);
	before = keyd.handled;
	assert_true(before > 0 && before < 64);
	while (keyd.handled < 64)
		assert_int_equal(chan_input(pair.keyd), 0);
	chan_close(pair.keyd);
	close(fd);
}

/* ---- the trace ---- */

/* One line each way: who, to whom, what, its number and length. No payload. */
static void
test_trace(void **state)
{
	struct msg_tls_sign_req	secret = { .key = 1, .content.len = 6 };
	char			out[4096] = "";
	int			pipes[2], err;
	uint8_t			buf[64];
	size_t			len;
	char			want[128];

	memcpy(secret.content.data, "secret", 6);
	assert_int_equal(ipc_encode(MSG_TLS_SIGN_REQ, 1, &secret, buf,
	    sizeof(buf), &len), 0);
	snprintf(want, sizeof(want), "ipc: netd > keyd TLS_SIGN_REQ 1 %zu\n",
	    len);
	assert_int_equal(pipe(pipes), 0);
	err = dup(2);
	dup2(pipes[1], 2);
	log_init("test", true);
	log_level(LOG_LVL_TRACE);
	pair_make(answers);
	chan_call(pair.netd, MSG_TLS_SIGN_REQ, &secret, -1, 1000, got, NULL);
	chan_input(pair.keyd);
	chan_input(pair.netd);
	pair_close();
	log_level(LOG_LVL_WARN);
	dup2(err, 2);
	close(err);
	close(pipes[1]);
	assert_true(read(pipes[0], out, sizeof(out) - 1) > 0);
	close(pipes[0]);
	assert_non_null(strstr(out, want));
	assert_non_null(strstr(strstr(out, want) + 1, want));
	assert_non_null(strstr(out, "ipc: keyd > netd TLS_SIGN_REP 1 "));
	assert_null(strstr(out, "secret"));
}

/* ---- everything at once ---- */

/*
 * Two channels that keep the rules, in any order of calls, answers, turns of
 * the loop, deadlines and one end: every call has one answer, and nobody is
 * ever accused.
 */
static struct {
	struct ipc_call	open[64];
	unsigned	nopen;
	unsigned	made, over;
} chaos;

static int
chaos_take(struct chan *c, const struct ipc_call *ipc, const void *msg)
{
	assert_true(chaos.nopen < NITEMS(chaos.open));
	chaos.open[chaos.nopen++] = *ipc;
	return 0;
}

static const struct ipc_handler chaos_takes[] = {
	{ MSG_TLS_SIGN_REQ, chaos_take },
};

static void
chaos_over(const struct ipc_reply *r, void *arg)
{
	unsigned	*answers_of = arg;

	assert_int_equal((*answers_of)++, 0);
	chaos.over++;
}

static void
chaos_answer(unsigned which)
{
	struct msg_tls_sign_rep	 rep = { .signature.len = 112 };
	struct ipc_call		*k = &chaos.open[which];

	if (which % 3 == 0)
		assert_int_equal(chan_refuse(chan_find(k), k, R_IPC_NOLINK), 0);
	else
		assert_int_equal(chan_reply(chan_find(k), k, MSG_TLS_SIGN_REP,
		    &rep), 0);
	*k = chaos.open[--chaos.nopen];
}

static void
test_chaos(void **state)
{
	static unsigned	answered[4096];
	unsigned	round, step;
	uint64_t	now;

	srandom(7);
	for (round = 0; round < 200; round++) {
		memset(&chaos, 0, sizeof(chaos));
		memset(answered, 0, sizeof(answered));
		pair_make(chaos_takes);
		now = clock_mono_ms();
		for (step = 0; step < 400; step++) {
			switch (random() % 6) {
			case 0:
			case 1:
				if (chan_call(pair.netd, MSG_TLS_SIGN_REQ,
				    &request, -1, (uint32_t)(random() % 1000),
				    chaos_over, &answered[chaos.made]) == 0)
					chaos.made++;
				break;
			case 2:
				assert_int_equal(chan_input(pair.keyd), 0);
				break;
			case 3:
				assert_int_equal(chan_input(pair.netd), 0);
				break;
			case 4:
				if (chaos.nopen > 0)
					chaos_answer((unsigned)random() %
					    chaos.nopen);
				break;
			case 5:
				now += (uint64_t)random() % 50;
				chan_deadlines(pair.netd, now);
				break;
			}
		}
		pair_close();
		assert_int_equal(chaos.made, chaos.over);
		assert_int_equal(pair.netd_end.reason, R_OK);
		assert_int_equal(pair.keyd_end.reason, R_OK);
	}
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(test_call),
		cmocka_unit_test(test_call_refused),
		cmocka_unit_test(test_refusal_is_cut),
		cmocka_unit_test(test_reply_once),
		cmocka_unit_test(test_reply_unencodable),
		cmocka_unit_test(test_window_ours),
		cmocka_unit_test(test_call_nobody),
		cmocka_unit_test(test_send_is_checked),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_late_reply),
		cmocka_unit_test(test_late_reply_wrong_type),
		cmocka_unit_test(test_closed_fails_calls),
		cmocka_unit_test(test_last_words),
		cmocka_unit_test(test_call_after_end),
		cmocka_unit_test(test_close_reentered),
		cmocka_unit_test(test_close_in_reply),
		cmocka_unit_test(test_close_in_handler),
		cmocka_unit_test(test_close_in_deadline),
		cmocka_unit_test(test_call_in_reply),
		cmocka_unit_test(test_bounded_turn),
		cmocka_unit_test(test_trace),
		cmocka_unit_test(test_chaos),
	};

	return cmocka_run_group_tests_name("channel", tests, NULL, NULL);
}
