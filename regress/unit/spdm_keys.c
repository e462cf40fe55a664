/*
 * Multi-key connections (DSP0274 1.3): DIGESTS that say which key a slot has
 * and for what. What is said is checked, and kept to.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "spdm_trial.h"

static void
multi(void)
{
	t.rc.caps.flags |= SPDM_MULTI_KEY_NEG;
	t.qc.versions = SPDM_ALLOW_13;
}

/* Length of the DIGESTS that the requester saw: 2 slots of P-256. */
static void
measure(struct talk *k, uint8_t *msg, size_t *len)
{
	if (msg[1] == SPDM_DIGESTS)
		k->at = *len;
}

static size_t
digests_len(void)
{
	t.response = measure;
	run_expect(R_OK);
	t.response = NULL;
	return t.at;
}

static void
test_negotiated(void **state)
{
	multi();
	assert_int_equal(digests_len(), 4 + 2 * (32 + 4));
	/* Only a peer that says it can is asked. */
	t.rc.caps.flags &= ~SPDM_CAP_MULTI_KEY;
	assert_int_equal(digests_len(), 4 + 2 * 32);
	/* One that must is not asked whether we like it. */
	t.rc.caps.flags |= SPDM_MULTI_KEY_ONLY;
	t.qc.algs.other = SPDM_OPAQUE_FMT1;
	assert_int_equal(digests_len(), 4 + 2 * (32 + 4));
	/* One that can is, if we do not want it. */
	t.rc.caps.flags ^= SPDM_CAP_MULTI_KEY;
	assert_int_equal(digests_len(), 4 + 2 * 32);
	/* The bits are reserved before 1.3. */
	t.qc.algs.other |= SPDM_MULTI_KEY_CONN;
	t.qc.versions = SPDM_ALLOW_12;
	assert_int_equal(digests_len(), 4 + 2 * 32);
}

/* ---- a peer whose key is for something else ------------------------------ */

static void
usage(uint16_t use, enum reason want)
{
	t.slots[0].usage = use;
	run_expect(want);
}

static void
test_usage(void **state)
{
	multi();
	usage(0xffff, R_OK);
	usage(SPDM_USE_CHALLENGE | SPDM_USE_MEASUREMENTS, R_OK);
	usage(SPDM_USE_CHALLENGE, R_ATT_KEY_USAGE);
	usage(SPDM_USE_MEASUREMENTS, R_ATT_KEY_USAGE);
	usage(SPDM_USE_KEY_EXCHANGE, R_ATT_KEY_USAGE);
	usage(0, R_ATT_KEY_USAGE);
	/* What slot 1's key is for is no affair of an attestation. */
	t.slots[1].usage = 0;
	usage(0xffff, R_OK);
}

static void
test_model(void **state)
{
	multi();
	t.slots[0].model = SPDM_CERT_ALIAS;
	run_expect(R_OK);
	t.slots[0].model = SPDM_CERT_GENERIC;
	run_expect(R_ATT_KEY_USAGE);
	t.slots[0].model = 0;
	run_expect(R_ATT_FORM);
	t.slots[0].model = 4;
	run_expect(R_ATT_FORM);
	t.slots[0].model = SPDM_CERT_DEVICE;
	t.slots[1].model = SPDM_CERT_GENERIC;
	run_expect(R_OK);
	t.slots[1].key_pair = 0;
	run_expect(R_ATT_FORM);
}

/* ---- DIGESTS that were changed ------------------------------------------- */

static void
flip(struct talk *k, uint8_t *msg, size_t *len)
{
	if (msg[1] == SPDM_DIGESTS && k->at < *len) {
		msg[k->at] ^= 0x01;
		k->hits++;
	}
}

static void
resize(struct talk *k, uint8_t *msg, size_t *len)
{
	if (msg[1] != SPDM_DIGESTS)
		return;
	if (k->at == 0)
		msg[(*len)++] = 0;
	else
		*len -= k->at;
}

static void
test_changed(void **state)
{
	size_t	n;

	multi();
	n = digests_len();
	t.response = flip;
	for (t.at = 0; t.at < n; t.at++) {
		enum reason	r = talk_run(&t);

		/* All of it is in B, and CHALLENGE_AUTH signs that. */
		if (r == R_OK || t.hits == 0)
			fail_msg("byte %zu: %s", t.at, reason_code(r));
	}
	t.response = resize;
	for (t.at = 0; t.at < n; t.at++) {
		enum reason	r = talk_run(&t);

		if (r != R_ATT_FORM)
			fail_msg("%zu bytes less: %s", t.at, reason_code(r));
	}
}

/* DIGESTS of one kind where the other was agreed on. */
static void
test_other_form(void **state)
{
	multi();
	t.at = 8;			/* the three fields cut off */
	t.response = resize;
	run_expect(R_ATT_FORM);
}

/* ---- ALGORITHMS that select for us --------------------------------------- */

static void
select_ours(struct talk *k, uint8_t *msg, size_t *len)
{
	if (msg[1] == SPDM_ALGORITHMS)
		msg[7] |= SPDM_MULTI_KEY_CONN;
}

static void
test_ours(void **state)
{
	multi();
	t.response = select_ours;
	run_expect(R_ATT_ALGORITHM);
}

/* ---- a stranger asks a key for what it is not for ------------------------ */

static uint8_t
ask(const uint8_t *msg, size_t len)
{
	if (responder_feed(t.responder, false, msg, len) == RESPONDER_SIGN)
		talk_sign(&t, false);
	return responder_error(t.responder);
}

static void
begin(bool with)
{
	static const uint8_t	version[] = { 0x10, 0x84, 0, 0 };
	static const uint8_t	caps[] = { 0x13, 0xe1, 0, 0, 0, 0, 0, 0,
	    0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0x10, 0, 0 };
	uint8_t			algs[32] = { 0x13, 0xe3, 0, 0, 32, 0, 1,
	    SPDM_OPAQUE_FMT1, 0x10, 0, 0, 0, 1 };

	talk_over(&t);
	assert_non_null(t.responder = responder_new(&t.rc));
	if (with)
		algs[7] |= SPDM_MULTI_KEY_CONN;
	assert_int_equal(ask(version, sizeof(version)), 0);
	assert_int_equal(ask(caps, sizeof(caps)), 0);
	assert_int_equal(ask(algs, sizeof(algs)), 0);
}

static void
test_responder(void **state)
{
	static const uint8_t	challenge[44] = { 0x13, SPDM_CHALLENGE, 0, 0 };
	static const uint8_t	measure_all[45] = { 0x13,
	    SPDM_GET_MEASUREMENTS, SPDM_ATTR_SIGN, SPDM_OP_ALL };
	static const uint8_t	unsigned_all[12] = { 0x13,
	    SPDM_GET_MEASUREMENTS, 0, SPDM_OP_ALL };

	multi();
	t.slots[0].usage = SPDM_USE_CHALLENGE;
	begin(true);
	assert_int_equal(ask(challenge, sizeof(challenge)), 0);
	assert_int_equal(ask(measure_all, sizeof(measure_all)),
	    SPDM_E_INVALID_REQUEST);
	assert_int_equal(ask(unsigned_all, sizeof(unsigned_all)), 0);
	t.slots[0].usage = SPDM_USE_MEASUREMENTS;
	begin(true);
	assert_int_equal(ask(challenge, sizeof(challenge)),
	    SPDM_E_INVALID_REQUEST);
	assert_int_equal(ask(measure_all, sizeof(measure_all)), 0);
	/* With one key for all, usage is not told and not asked. */
	begin(false);
	assert_int_equal(ask(challenge, sizeof(challenge)), 0);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		TRIAL(test_negotiated),
		TRIAL(test_usage),
		TRIAL(test_model),
		TRIAL(test_changed),
		TRIAL(test_other_form),
		TRIAL(test_ours),
		TRIAL(test_responder),
	};

	return cmocka_run_group_tests_name("spdm_keys", tests, setup,
	    teardown);
}
