/*
 * What a peer may not do on a channel, and for which reason it is closed:
 * every check, their order, and the descriptors that come along.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <sys/resource.h>

#include "chan_world.h"

/* ---- offences ---- */

/* Whatever was sent on this socket, keyd closes the link for this reason. */
static void
expect_offence(int fd, enum reason reason, enum ipc_type type)
{
	while (chan_input(pair.keyd) == 0)
		;
	assert_int_equal(pair.keyd_end.times, 1);
	assert_int_equal(pair.keyd_end.reason, reason);
	assert_int_equal(pair.keyd_end.type, type);
	close(fd);
}

static void
test_offence_route(void **state)
{
	struct msg_spdm_sign_req	spdm = { .key = 1 };
	struct msg_ctl_peer_show	ctl = { .name = "x" };
	struct msg_tls_sign_rep		rep = { .signature.len = 0 };
	int				fd;

	fd = bare_make(answers);
	raw_msg(fd, MSG_SPDM_SIGN_REQ, 1, &spdm);
	expect_offence(fd, R_IPC_ROUTE, MSG_SPDM_SIGN_REQ);
	fd = bare_make(answers);
	raw_msg(fd, MSG_CTL_PEER_SHOW, 1, &ctl);
	expect_offence(fd, R_IPC_ROUTE, MSG_CTL_PEER_SHOW);
	fd = bare_make(answers);		/* the wrong way round */
	raw_msg(fd, MSG_TLS_SIGN_REP, 1, &rep);
	expect_offence(fd, R_IPC_ROUTE, MSG_TLS_SIGN_REP);
	assert_int_equal(keyd.handled, 0);
}

static void
test_offence_phase(void **state)
{
	struct msg_link_hello	hello = { .generation = 1 };
	int			fd;

	fd = bare_make(answers);
	chan_set_phase(pair.keyd, IPC_START);
	raw_msg(fd, MSG_TLS_SIGN_REQ, 1, &request);
	expect_offence(fd, R_IPC_PHASE, MSG_TLS_SIGN_REQ);
	fd = bare_make(answers);
	raw_msg(fd, MSG_LINK_HELLO, 0, &hello);
	expect_offence(fd, R_IPC_PHASE, MSG_LINK_HELLO);
	assert_int_equal(keyd.handled, 0);
}

static void
test_offence_form(void **state)
{
	uint8_t	buf[64];
	size_t	len;
	int	fd;

	assert_int_equal(ipc_encode(MSG_TLS_SIGN_REQ, 1, &request, buf,
	    sizeof(buf), &len), 0);
	buf[len] = 0;
	fd = bare_make(answers);
	raw_send(fd, buf, len + 1, NULL, 0);
	expect_offence(fd, R_IPC_FORM, MSG_TLS_SIGN_REQ);
	fd = bare_make(answers);
	raw_send(fd, "x", 1, NULL, 0);
	expect_offence(fd, R_IPC_FORM, MSG_NONE);
	assert_int_equal(keyd.handled, 0);
}

/* Direction is looked at before form, and phase before form. */
static void
test_offence_order(void **state)
{
	/* [SPDM_SIGN_REQ, 1] with no field at all */
	uint8_t		buf[8] = { 0x92, MSG_SPDM_SIGN_REQ, 1 };
	const int	in = 0;
	int		fd;

	fd = bare_make(answers);
	raw_send(fd, buf, 3, &in, 1);
	expect_offence(fd, R_IPC_ROUTE, MSG_SPDM_SIGN_REQ);
	buf[1] = MSG_TLS_SIGN_REQ;
	fd = bare_make(answers);
	chan_set_phase(pair.keyd, IPC_START);
	raw_send(fd, buf, 3, &in, 1);
	expect_offence(fd, R_IPC_PHASE, MSG_TLS_SIGN_REQ);
	fd = bare_make(answers);
	raw_send(fd, buf, 3, &in, 1);
	expect_offence(fd, R_IPC_FORM, MSG_TLS_SIGN_REQ);
}

static void
test_offence_too_long(void **state)
{
	static uint8_t	big[IPC_MAX_RECORD + 1];
	int		fd;

	fd = bare_make(answers);
	raw_send(fd, big, sizeof(big), NULL, 0);
	expect_offence(fd, R_IPC_FORM, MSG_NONE);
}

static void
test_offence_window(void **state)
{
	unsigned	w = ipc_window(IPC_NETD, IPC_KEYD), i;
	int		fd;

	fd = bare_make(keeps);
	for (i = 0; i < w; i++)
		raw_msg(fd, MSG_TLS_SIGN_REQ, i + 1, &request);
	while (keyd.handled < w)
		assert_int_equal(chan_input(pair.keyd), 0);
	raw_msg(fd, MSG_TLS_SIGN_REQ, w + 1, &request);
	expect_offence(fd, R_IPC_WINDOW, MSG_TLS_SIGN_REQ);
	assert_int_equal(keyd.handled, w);
}

/* Who does not read replies gets no further ones: our memory is bounded. */
static void
test_offence_window_unread(void **state)
{
	int		fd = bare_make(answers);
	uint32_t	id = 0;

	while (pair.keyd_end.times == 0) {
		raw_msg(fd, MSG_TLS_SIGN_REQ, ++id, &request);
		chan_input(pair.keyd);
		assert_true(id < 100000);
	}
	assert_int_equal(pair.keyd_end.reason, R_IPC_WINDOW);
	close(fd);
}

static void
test_offence_number_twice(void **state)
{
	int	fd;

	fd = bare_make(keeps);
	raw_msg(fd, MSG_TLS_SIGN_REQ, 7, &request);
	raw_msg(fd, MSG_TLS_SIGN_REQ, 7, &request);
	expect_offence(fd, R_IPC_FORM, MSG_TLS_SIGN_REQ);
	assert_int_equal(keyd.handled, 1);
}

static void
test_offence_unhandled(void **state)
{
	int	fd;

	fd = bare_make(answers);
	chan_set_handlers(pair.keyd, NULL, 0);
	raw_msg(fd, MSG_TLS_SIGN_REQ, 1, &request);
	expect_offence(fd, R_IPC_UNHANDLED, MSG_TLS_SIGN_REQ);
}

static void
test_offence_handler(void **state)
{
	int	fd;

	fd = bare_make(objects);
	raw_msg(fd, MSG_TLS_SIGN_REQ, 1, &request);
	expect_offence(fd, R_IPC_HANDLER, MSG_TLS_SIGN_REQ);
	assert_int_equal(keyd.handled, 1);
}

/* A reply to no call, of the wrong type, twice, or refused with no reason. */
static void
test_offence_reply(void **state)
{
	static const struct {
		uint32_t	id_off;
		enum ipc_type	type;
		enum reason	reason, offence;
		unsigned	times, calls;
	} cases[] = {
		{ 1, MSG_REFUSED, R_IPC_NOLINK, R_IPC_REPLY, 1, 1 },
		{ 0, MSG_DONE, R_OK, R_IPC_REPLY, 1, 1 },
		{ 0, MSG_REFUSED, R_IPC_NOLINK, R_IPC_REPLY, 2, 1 },
		{ 0, MSG_REFUSED, R_OK, R_IPC_FORM, 1, 0 },
	};
	struct msg_refused	 m;
	struct chan		*netd;
	struct ending		 e;
	size_t			 i;
	unsigned		 n;
	uint32_t		 id;
	int			 fds[2];

	for (i = 0; i < NITEMS(cases); i++) {
		memset(&result, 0, sizeof(result));
		socket_pair(fds);
		netd = end_new(fds[0], IPC_NETD, IPC_KEYD, NULL, 0, &e);
		call(netd, 1000);
		assert_int_equal(raw_recv(fds[1], &id, &any), MSG_TLS_SIGN_REQ);
		m = (struct msg_refused){ .reason = cases[i].reason };
		for (n = 0; n < cases[i].times; n++)
			raw_msg(fds[1], cases[i].type, id + cases[i].id_off,
			    &m);
		assert_int_equal(chan_input(netd), -1);
		assert_int_equal(e.reason, cases[i].offence);
		assert_int_equal(result.times, cases[i].calls);
		close(fds[1]);
	}
}

/* ---- descriptors ---- */

static struct {
	unsigned	times;
	int		fd;
} accepted;

static int
accept_fd(struct chan *c, const struct ipc_call *ipc, const void *msg)
{
	accepted.times++;
	accepted.fd = ipc->fd;
	assert_true(fcntl(ipc->fd, F_GETFD) & FD_CLOEXEC);
	return 0;
}

static const struct ipc_handler accepts[] = {
	{ MSG_SPDM_ACCEPTED, accept_fd },
};

/* attestd -R, and a bare socket that speaks for netd; in pair.keyd. */
static int
responder_make(void)
{
	int	fds[2];

	memset(&accepted, 0, sizeof(accepted));
	socket_pair(fds);
	pair.keyd = end_new(fds[1], IPC_ATTESTR, IPC_NETD, accepts, 1,
	    &pair.keyd_end);
	return fds[0];
}

static void
send_accepted(int fd, const int *fds, size_t n)
{
	struct msg_spdm_accepted m = { .address = "192.0.2.1" };
	uint8_t			 buf[64];
	size_t			 len;

	assert_int_equal(ipc_encode(MSG_SPDM_ACCEPTED, 1, &m, buf, sizeof(buf),
	    &len), 0);
	raw_send(fd, buf, len, fds, n);
}

static void
test_descriptor(void **state)
{
	struct msg_spdm_accepted m = { .address = "192.0.2.1" };
	struct ending		 e;
	struct chan		*netd;
	unsigned		 before = fds_open();
	int			 fds[2], pipes[2];
	char			 c;

	memset(&accepted, 0, sizeof(accepted));
	socket_pair(fds);
	netd = end_new(fds[0], IPC_NETD, IPC_ATTESTR, NULL, 0, &e);
	pair.keyd = end_new(fds[1], IPC_ATTESTR, IPC_NETD, accepts, 1,
	    &pair.keyd_end);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(chan_call(netd, MSG_SPDM_ACCEPTED, &m, pipes[1], 1000,
	    got, NULL), 0);
	assert_int_equal(fcntl(pipes[1], F_GETFD), -1);
	assert_int_equal(chan_input(pair.keyd), 0);
	assert_int_equal(accepted.times, 1);
	assert_int_equal(write(accepted.fd, "x", 1), 1);
	assert_int_equal(read(pipes[0], &c, 1), 1);
	close(accepted.fd);
	close(pipes[0]);
	chan_close(netd);
	chan_close(pair.keyd);
	assert_int_equal(fds_open(), before);
}

/* A message that was not sent leaves its descriptor to the caller. */
static void
test_descriptor_not_sent(void **state)
{
	int	fd;

	pair_make(answers);
	fd = dup(0);
	assert_int_equal(chan_send(pair.netd, MSG_SPDM_DIALLED, &any, fd), -1);
	assert_int_equal(close(fd), 0);
	pair_close();
}

/* None, two, or eight where one belongs: offences, and all are closed. */
static void
test_offence_descriptors(void **state)
{
	static const size_t	counts[] = { 0, 2, 3, 8 };
	unsigned		before = fds_open();
	int			fd, in[8] = { 0 };
	size_t			i;

	for (i = 0; i < NITEMS(counts); i++) {
		fd = responder_make();
		send_accepted(fd, in, counts[i]);
		expect_offence(fd, R_IPC_DESCRIPTOR, MSG_SPDM_ACCEPTED);
		assert_int_equal(accepted.times, 0);
		assert_int_equal(fds_open(), before);
	}
}

/* One where none belongs. */
static void
test_offence_descriptor_unwanted(void **state)
{
	unsigned	before = fds_open();
	const int	in = 0;
	uint8_t		buf[64];
	size_t		len;
	int		fd;

	assert_int_equal(ipc_encode(MSG_TLS_SIGN_REQ, 1, &request, buf,
	    sizeof(buf), &len), 0);
	fd = bare_make(answers);
	raw_send(fd, buf, len, &in, 1);
	expect_offence(fd, R_IPC_DESCRIPTOR, MSG_TLS_SIGN_REQ);
	assert_int_equal(fds_open(), before);
	fd = bare_make(answers);
	raw_send(fd, "x", 1, &in, 1);
	expect_offence(fd, R_IPC_FORM, MSG_NONE);
	assert_int_equal(fds_open(), before);
	assert_int_equal(keyd.handled, 0);
}

/* An empty record is the end of the link; what came with it is closed. */
static void
test_empty_record(void **state)
{
	unsigned	before = fds_open();
	const int	in = 0;
	int		fd;

	fd = bare_make(answers);
	raw_send(fd, "", 0, &in, 1);
	expect_offence(fd, R_OK, MSG_NONE);
	assert_int_equal(fds_open(), before);
}

/* Two were sent and the kernel had room for one: it is not taken for all. */
static void
test_offence_descriptor_half(void **state)
{
	struct rlimit	old, one;
	const int	in[2] = { 0, 0 };
	unsigned	before = fds_open();
	int		fd, next;

	fd = responder_make();
	send_accepted(fd, in, 2);
	next = dup(0);
	close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	one = old;
	one.rlim_cur = (rlim_t)next + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &one), 0);
	assert_int_equal(chan_input(pair.keyd), -1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(pair.keyd_end.reason, R_IPC_DESCRIPTOR);
	assert_int_equal(accepted.times, 0);
	close(fd);
	assert_int_equal(fds_open(), before);
}

/* Our own table is full: no offence, the call is refused. */
static void
test_descriptor_no_room(void **state)
{
	struct rlimit	old, none;
	const int	in = 0;
	uint32_t	id;
	int		fd;

	fd = responder_make();
	send_accepted(fd, &in, 1);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(chan_input(pair.keyd), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(raw_recv(fd, &id, &any), MSG_REFUSED);
	assert_int_equal(any.refused.reason, R_IPC_DESCRIPTOR);
	assert_int_equal(accepted.times, 0);
	send_accepted(fd, &in, 1);
	assert_int_equal(chan_input(pair.keyd), 0);
	assert_int_equal(accepted.times, 1);
	close(accepted.fd);
	chan_close(pair.keyd);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(test_offence_route),
		cmocka_unit_test(test_offence_phase),
		cmocka_unit_test(test_offence_form),
		cmocka_unit_test(test_offence_order),
		cmocka_unit_test(test_offence_too_long),
		cmocka_unit_test(test_offence_window),
		cmocka_unit_test(test_offence_window_unread),
		cmocka_unit_test(test_offence_number_twice),
		cmocka_unit_test(test_offence_unhandled),
		cmocka_unit_test(test_offence_handler),
		cmocka_unit_test(test_offence_reply),
		cmocka_unit_test(test_descriptor),
		cmocka_unit_test(test_descriptor_not_sent),
		cmocka_unit_test(test_offence_descriptors),
		cmocka_unit_test(test_offence_descriptor_unwanted),
		cmocka_unit_test(test_empty_record),
		cmocka_unit_test(test_offence_descriptor_half),
		cmocka_unit_test(test_descriptor_no_room),
	};

	return cmocka_run_group_tests_name("offence", tests, NULL, NULL);
}
