/*
 * Answers that do not come at once, or never: a peer that says Busy or
 * ResponseNotReady for ever, and a keyd of ours that takes its time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "spdm_trial.h"

static void
say_error(struct talk *k, uint8_t *msg, size_t *len)
{
	if (msg[1] != k->code)
		return;
	msg[1] = SPDM_ERROR;
	msg[2] = k->at;
	msg[3] = 0;
	*len = 4;
	if (k->at == SPDM_E_NOT_READY) {
		msg[4] = 10;
		msg[5] = SPDM_GET_DIGESTS;
		msg[6] = 1;
		msg[7] = 2;
		*len = 8;
	}
}

static void
test_endless_delays(void **state)
{
	t.response = say_error;
	t.code = SPDM_DIGESTS;
	t.at = SPDM_E_BUSY;
	run_expect(R_ATT_BUSY);
	assert_int_equal(t.waits, 8);
	t.at = SPDM_E_UNSPECIFIED;
	run_expect(R_ATT_ERROR);
	assert_non_null(strstr(requester_why(t.requester)->seen,
	    "Unspecified"));
}

/* Every answer is "not ready", also the one to RESPOND_IF_READY. */
static void
never_ready(struct talk *k, uint8_t *msg, size_t *len)
{
	if (msg[1] != SPDM_DIGESTS && msg[1] != SPDM_ERROR)
		return;
	k->code = msg[1];
	k->at = SPDM_E_NOT_READY;
	say_error(k, msg, len);
}

static void
test_never_ready(void **state)
{
	t.response = never_ready;
	run_expect(R_ATT_NOT_READY);
	assert_int_equal(t.waits, 32);
}

/* A slow keyd: ResponseNotReady, and the answer to RESPOND_IF_READY. */
static void
test_deferred(void **state)
{
	t.defer = 1;
	run_expect(R_OK);
	assert_int_equal(t.waits, 2);
	t.defer = 3;
	run_expect(R_OK);
	assert_int_equal(t.waits, 6);
	t.qc.caps.data_transfer = t.qc.caps.max_msg = 300;
	run_expect(R_OK);
	t.no_key = true;
	run_expect(R_ATT_BUSY);
}

/* Who asks something else meanwhile gets that, and the old answer never. */
static void
test_deferred_forgotten(void **state)
{
	static const uint8_t	version[4] = { 0x10, 0x84, 0, 0 };
	uint8_t			again[4] = { 0x13, 0xff, 0x83, 0 };
	uint8_t			sig[SPDM_SIG_MAX] = { 0 };
	uint32_t		serial;

	t.defer = 1;
	t.requester = requester_new(&t.qc, t.nonce);
	t.responder = responder_new(&t.rc);
	assert_int_equal(requester_start(t.requester), SPDM_SEND);
	while (talk_exchange(&t) == SPDM_SEND)
		continue;
	assert_int_equal(responder_error(t.responder), SPDM_E_NOT_READY);
	serial = responder_sign(t.responder)->serial;
	again[3] = (uint8_t)(serial + 1);	/* another token */
	responder_feed(t.responder, false, again, 4);
	assert_int_equal(responder_error(t.responder),
	    SPDM_E_INVALID_REQUEST);
	responder_feed(t.responder, false, version, 4);
	assert_int_equal(responder_error(t.responder), 0);
	assert_false(responder_signed(t.responder, serial, sig));
	again[3] = (uint8_t)serial;
	responder_feed(t.responder, false, again, 4);
	assert_int_equal(responder_error(t.responder), SPDM_E_UNEXPECTED);
}

/* A requester without RESPOND_IF_READY just asks again. */
static void
asks_again(struct talk *k, uint8_t *msg, size_t *len)
{
	if (msg[1] != SPDM_GET_MEASUREMENTS || k->hits++ > 0)
		return;
	assert_int_equal(responder_feed(k->responder, false, msg, *len),
	    RESPONDER_SIGN);
	responder_defer(k->responder);
}

static void
test_deferred_asked_again(void **state)
{
	t.request = asks_again;
	run_expect(R_OK);
}

/* keyd is away for good: Busy, and the requester gives up. */
static void
test_no_key(void **state)
{
	t.no_key = true;
	run_expect(R_ATT_BUSY);
}

static void
other_code(struct talk *k, uint8_t *msg, size_t *len)
{
	if (msg[1] == SPDM_DIGESTS)
		msg[1] = SPDM_CERTIFICATE;
}

static void
test_other_answer(void **state)
{
	t.response = other_code;
	run_expect(R_ATT_ANSWER);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		TRIAL(test_endless_delays),
		TRIAL(test_never_ready),
		TRIAL(test_deferred),
		TRIAL(test_deferred_forgotten),
		TRIAL(test_deferred_asked_again),
		TRIAL(test_no_key),
		TRIAL(test_other_answer),
	};

	return cmocka_run_group_tests_name("spdm_delay", tests, setup,
	    teardown);
}
