/* The TCTI over a descriptor: never waits, takes only whole responses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <tss2/tss2_tcti.h>

#include "tcti.h"

static const uint8_t	 command[12] = {
	0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x7b, 0, 8
};
static const uint8_t	 response[14] = {
	0x80, 1, 0, 0, 0, 14, 0, 0, 0, 0, 0, 2, 7, 9
};

static TSS2_TCTI_CONTEXT	*tcti;
static int			 far;

static int
setup(void **state)
{
	int	 sv[2];

	signal(SIGPIPE, SIG_IGN);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == -1)
		return -1;
	far = sv[1];
	return (tcti = tcti_new(sv[0])) == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	tcti_free(tcti);
	if (far != -1)
		close(far);
	return 0;
}

static TSS2_RC
receive(uint8_t *buf, size_t *len)
{
	*len = TPM2_MAX_RESPONSE_SIZE;
	return Tss2_Tcti_Receive(tcti, len, buf, TSS2_TCTI_TIMEOUT_BLOCK);
}

static void
test_whole_response(void **state)
{
	uint8_t	 buf[TPM2_MAX_RESPONSE_SIZE], seen[64];
	size_t	 i, n;

	assert_int_equal(Tss2_Tcti_Transmit(tcti, sizeof(command), command),
	    TSS2_RC_SUCCESS);
	assert_int_equal(read(far, seen, sizeof(seen)), sizeof(command));
	assert_memory_equal(seen, command, sizeof(command));
	/* Even with a timeout of for ever it does not wait. */
	assert_int_equal(receive(buf, &n), TSS2_TCTI_RC_TRY_AGAIN);
	for (i = 0; i < sizeof(response) - 1; i++) {
		assert_int_equal(write(far, response + i, 1), 1);
		assert_int_equal(receive(buf, &n), TSS2_TCTI_RC_TRY_AGAIN);
	}
	assert_int_equal(write(far, response + i, 1), 1);
	n = 0;
	assert_int_equal(Tss2_Tcti_Receive(tcti, &n, NULL, 0),
	    TSS2_RC_SUCCESS);
	assert_int_equal(n, sizeof(response));
	n = sizeof(response) - 1;
	assert_int_equal(Tss2_Tcti_Receive(tcti, &n, buf, 0),
	    TSS2_TCTI_RC_INSUFFICIENT_BUFFER);
	assert_int_equal(receive(buf, &n), TSS2_RC_SUCCESS);
	assert_int_equal(n, sizeof(response));
	assert_memory_equal(buf, response, n);
}

static void
test_sequence(void **state)
{
	uint8_t	 buf[TPM2_MAX_RESPONSE_SIZE];
	size_t	 n;

	assert_int_equal(receive(buf, &n), TSS2_TCTI_RC_BAD_SEQUENCE);
	assert_int_equal(Tss2_Tcti_Transmit(tcti, 9, command),
	    TSS2_TCTI_RC_BAD_VALUE);
	assert_int_equal(Tss2_Tcti_Transmit(tcti, TPM2_MAX_COMMAND_SIZE + 1,
	    command), TSS2_TCTI_RC_BAD_VALUE);
	assert_int_equal(Tss2_Tcti_Transmit(tcti, sizeof(command), command),
	    TSS2_RC_SUCCESS);
	assert_int_equal(Tss2_Tcti_Transmit(tcti, sizeof(command), command),
	    TSS2_TCTI_RC_BAD_SEQUENCE);
	assert_int_equal(Tss2_Tcti_Cancel(tcti),
	    TSS2_TCTI_RC_NOT_IMPLEMENTED);
	assert_int_equal(Tss2_Tcti_SetLocality(tcti, 3),
	    TSS2_TCTI_RC_NOT_IMPLEMENTED);
}

static void
bad_response(const uint8_t *bytes, size_t len)
{
	uint8_t	 buf[TPM2_MAX_RESPONSE_SIZE];
	size_t	 n;

	assert_int_equal(Tss2_Tcti_Transmit(tcti, sizeof(command), command),
	    TSS2_RC_SUCCESS);
	assert_int_equal(write(far, bytes, len), len);
	assert_int_equal(receive(buf, &n), TSS2_TCTI_RC_MALFORMED_RESPONSE);
}

static void
test_size_too_small(void **state)
{
	const uint8_t	 r[10] = { 0x80, 1, 0, 0, 0, 9 };

	bad_response(r, sizeof(r));
}

static void
test_size_too_large(void **state)
{
	const uint8_t	 r[10] = { 0x80, 1, 0, 0, 0x10, 1 };

	bad_response(r, sizeof(r));
}

static void
test_bytes_after_the_end(void **state)
{
	uint8_t	 r[sizeof(response) + 1] = { 0 };

	memcpy(r, response, sizeof(response));
	bad_response(r, sizeof(r));
}

static void
test_gone(void **state)
{
	uint8_t	 buf[TPM2_MAX_RESPONSE_SIZE];
	size_t	 n;

	assert_int_equal(Tss2_Tcti_Transmit(tcti, sizeof(command), command),
	    TSS2_RC_SUCCESS);
	assert_int_equal(write(far, response, 11), 11);
	close(far);
	far = -1;
	assert_int_equal(receive(buf, &n), TSS2_TCTI_RC_IO_ERROR);
}

static void
test_idle(void **state)
{
	assert_false(tcti_idle_lost(tcti));
	assert_int_equal(write(far, "x", 1), 1);
	assert_true(tcti_idle_lost(tcti));
}

static void
test_idle_gone(void **state)
{
	close(far);
	far = -1;
	assert_true(tcti_idle_lost(tcti));
}

static void
test_send_to_nobody(void **state)
{
	close(far);
	far = -1;
	assert_int_equal(Tss2_Tcti_Transmit(tcti, sizeof(command), command),
	    TSS2_TCTI_RC_IO_ERROR);
}

/* A full socket: the rest of the command goes out when there is room. */
static void
test_partial_command(void **state)
{
	uint8_t	 cmd[TPM2_MAX_COMMAND_SIZE], got[65536];
	size_t	 filled = 0, total = 0;
	ssize_t	 n;

	memset(cmd, 0xa5, sizeof(cmd));
	while ((n = write(tcti_fd(tcti), cmd, sizeof(cmd))) > 0)
		filled += (size_t)n;
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(Tss2_Tcti_Transmit(tcti, sizeof(cmd), cmd),
	    TSS2_RC_SUCCESS);
	assert_true(tcti_wants_output(tcti));
	assert_int_equal(fcntl(far, F_SETFL, O_NONBLOCK), 0);
	while (total < filled + sizeof(cmd)) {
		tcti_output(tcti);
		if ((n = read(far, got, sizeof(got))) > 0)
			total += (size_t)n;
	}
	assert_false(tcti_wants_output(tcti));
	assert_int_equal(read(far, got, sizeof(got)), -1);
	assert_int_equal(errno, EAGAIN);
}

static void
test_poll_handles(void **state)
{
	TSS2_TCTI_POLL_HANDLE	 h[2];
	size_t			 n = 0;

	assert_int_equal(Tss2_Tcti_GetPollHandles(tcti, NULL, &n),
	    TSS2_RC_SUCCESS);
	assert_int_equal(n, 1);
	n = 0;
	assert_int_equal(Tss2_Tcti_GetPollHandles(tcti, h, &n),
	    TSS2_TCTI_RC_INSUFFICIENT_BUFFER);
	n = 2;
	assert_int_equal(Tss2_Tcti_GetPollHandles(tcti, h, &n),
	    TSS2_RC_SUCCESS);
	assert_int_equal(n, 1);
	assert_int_equal(h[0].fd, tcti_fd(tcti));
	assert_int_equal(h[0].events, POLLIN);
}

int
main(void)
{
#define T(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_whole_response),
		T(test_sequence),
		T(test_size_too_small),
		T(test_size_too_large),
		T(test_bytes_after_the_end),
		T(test_gone),
		T(test_idle),
		T(test_idle_gone),
		T(test_send_to_nobody),
		T(test_partial_command),
		T(test_poll_handles),
	};

	return cmocka_run_group_tests_name("tcti", tests, NULL, NULL);
}
