/*
 * What a hostile peer, or somebody between us and an honest one, may try
 * against the requester: every attempt ends without evidence and with a
 * reason of its own. Chains are the business of spdm_chain.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "spdm_trial.h"

/* ---- the honest case ----------------------------------------------------- */

static void
test_honest(void **state)
{
	run_expect(R_OK);
	assert_int_equal(requester_evidence(t.requester)->version, SPDM_V13);
	assert_int_equal(requester_evidence(t.requester)->nblocks, 10);
	t.qc.versions = SPDM_ALLOW_12;
	run_expect(R_OK);
	assert_int_equal(requester_evidence(t.requester)->version, SPDM_V12);
}

/* ---- a byte flipped, in every message, both ways ------------------------- */

static void
flip(struct talk *k, uint8_t *msg, size_t *len)
{
	if (msg[1] != k->code || k->hits > 0 || k->at >= *len)
		return;
	msg[k->at] ^= 0x01;
	k->hits++;
}

/* Every byte of the first message of this code. Returns how many there are. */
static size_t
flip_all(uint8_t code)
{
	enum reason	r;

	t.code = code;
	for (t.at = 0;; t.at++) {
		r = talk_run(&t);
		if (t.hits == 0)
			break;
		if (r == R_OK)
			fail_msg("byte %zu of %#x may be flipped", t.at, code);
	}
	assert_int_equal(r, R_OK);
	return t.at;
}

static void
test_flipped_response(void **state)
{
	static const uint8_t	codes[] = { SPDM_VERSION, SPDM_CAPABILITIES,
	    SPDM_ALGORITHMS, SPDM_DIGESTS, SPDM_CHALLENGE_AUTH,
	    SPDM_MEASUREMENTS, SPDM_CERTIFICATE };
	size_t			i;

	t.response = flip;
	for (i = 0; i < sizeof(codes); i++)
		assert_true(flip_all(codes[i]) >= 8);
}

static void
test_flipped_request(void **state)
{
	static const uint8_t	codes[] = { SPDM_GET_VERSION,
	    SPDM_GET_CAPABILITIES, SPDM_NEGOTIATE_ALGORITHMS,
	    SPDM_GET_DIGESTS, SPDM_GET_CERTIFICATE, SPDM_CHALLENGE,
	    SPDM_GET_MEASUREMENTS };
	size_t			i;

	t.request = flip;
	for (i = 0; i < sizeof(codes); i++)
		assert_true(flip_all(codes[i]) >= 4);
}

/* The last byte of each signature names the message that was forged. */
static void
flip_last(struct talk *k, uint8_t *msg, size_t *len)
{
	if (msg[1] == k->code)
		msg[*len - 1] ^= 0x01;
}

static void
test_signatures(void **state)
{
	t.response = flip_last;
	t.code = SPDM_CHALLENGE_AUTH;
	run_expect(R_ATT_CHALLENGE);
	t.code = SPDM_MEASUREMENTS;
	run_expect(R_ATT_MEASURE_SIGNATURE);
}

/* Another key than the certificate's. */
static void
test_other_key(void **state)
{
	t.sign_key = soft.root_key;
	run_expect(R_ATT_CHALLENGE);
}

/* Fields that are compared before the signature is looked at. */
static void
flip_at(struct talk *k, uint8_t *msg, size_t *len)
{
	if (msg[1] == k->code)
		msg[k->at < *len ? k->at : *len - (SIZE_MAX - k->at)] ^= 0x01;
}

#define FROM_END(n)	(SIZE_MAX - (n))

static void
field(uint8_t code, size_t at, enum reason want)
{
	t.response = flip_at;
	t.code = code;
	t.at = at;
	run_expect(want);
}

static void
test_fields(void **state)
{
	field(SPDM_CHALLENGE_AUTH, 2, R_ATT_CHALLENGE_FIELD);	/* slot */
	field(SPDM_CHALLENGE_AUTH, 3, R_ATT_CHALLENGE_FIELD);	/* mask */
	field(SPDM_CHALLENGE_AUTH, 4, R_ATT_CHALLENGE_FIELD);	/* chain */
	field(SPDM_CHALLENGE_AUTH, FROM_END(64 + 8), R_ATT_CHALLENGE_FIELD);
	field(SPDM_CHALLENGE_AUTH, 4 + 32, R_ATT_CHALLENGE);	/* nonce */
	field(SPDM_CHALLENGE_AUTH, 4 + 64, R_ATT_CHALLENGE);	/* summary */
	field(SPDM_MEASUREMENTS, 3, R_ATT_MEASURE_FIELD);	/* slot */
	field(SPDM_MEASUREMENTS, FROM_END(64 + 8), R_ATT_MEASURE_FIELD);
}

/* ---- a peer that holds its key and signs what it likes ------------------- */

static void
evil_request(struct talk *k, uint8_t *msg, size_t *len)
{
	if (msg[1] == SPDM_GET_VERSION)
		transcript_reset(&k->evil);
	memcpy(k->last, msg, *len);
	k->last_len = *len;
}

/* Changes one byte of MEASUREMENTS, then signs it. */
static void
evil_response(struct talk *k, uint8_t *msg, size_t *len)
{
	uint8_t	h[SPDM_HASH_MAX];
	size_t	body = *len - k->soft->alg->sig_len;

	if (k->evil.alg == NULL) {
		transcript_a(&k->evil, k->last, k->last_len);
		transcript_a(&k->evil, msg, *len);
		if (msg[1] == SPDM_ALGORITHMS)
			transcript_negotiated(&k->evil, k->soft->alg);
	}
	if (msg[1] != SPDM_MEASUREMENTS)
		return;
	msg[k->at] ^= k->code;
	transcript_m(&k->evil, k->last, k->last_len, msg, body);
	transcript_m_hash(&k->evil, h);
	soft_sign(k->soft->key, k->soft->alg, msg[0], SPDM_CTX_MEASUREMENTS,
	    h, msg + body);
}

static void
evil(size_t at, uint8_t bits, enum reason want)
{
	assert_int_equal(transcript_init(&t.evil), 0);
	t.request = evil_request;
	t.response = evil_response;
	t.at = at;
	t.code = bits;
	run_expect(want);
	transcript_free(&t.evil);
}

static void
test_evil_signer(void **state)
{
	evil(3, 0, R_OK);
	evil(3, 0x30, R_ATT_CHANGED);		/* 2 becomes 1 */
	evil(3, 0x20, R_OK);			/* cannot tell */
	evil(4, 1, R_ATT_MEASURE_FORM);		/* number of blocks */
	evil(5, 1, R_ATT_FORM);			/* length of the record */
	evil(9, 2, R_ATT_MEASURE_FORM);		/* specification */
	evil(10, 1, R_ATT_MEASURE_FORM);	/* size of a block */
	evil(13, 1, R_ATT_MEASURE_FORM);	/* size of a value */
	evil(15, 1, R_ATT_SUMMARY);		/* a value */
	evil(12, 0x80, R_ATT_SUMMARY);		/* raw or digest */
}

/* ---- transcripts that begin anew ----------------------------------------- */

/* Somebody else asks in between, on the same connection. */
static void
asks_between(struct talk *k, uint8_t *msg, size_t *len)
{
	static const uint8_t	unsigned_one[] = { 0x12, 0xe0, 0, 1 };
	static const uint8_t	digests[] = { 0x12, 0x81, 0, 0 };

	if (msg[1] != SPDM_GET_MEASUREMENTS || k->hits++ > 0)
		return;
	responder_feed(k->responder, false, unsigned_one, sizeof(unsigned_one));
	assert_int_equal(responder_error(k->responder), 0);
	if (k->code == 0)
		return;
	responder_feed(k->responder, false, digests, sizeof(digests));
	assert_int_equal(responder_error(k->responder), 0);
}

static void
test_m_begins_anew(void **state)
{
	t.qc.versions = SPDM_ALLOW_12;
	t.request = asks_between;
	t.code = 0;		/* what was asked before belongs to L1/L2 */
	run_expect(R_ATT_MEASURE_SIGNATURE);
	t.code = 1;		/* any other request starts it anew */
	run_expect(R_OK);
}

/* A CHALLENGE that was answered ends B. */
static void
test_b_begins_anew(void **state)
{
	static const struct spdm_step	steps[] = {
		{ SPDM_GET_VERSION, 0 }, { SPDM_GET_CAPABILITIES, 0 },
		{ SPDM_NEGOTIATE_ALGORITHMS, 0 }, { SPDM_GET_DIGESTS, 0 },
		{ SPDM_GET_CERTIFICATE, 0 }, { SPDM_GET_CERTIFICATE, 1 },
		{ SPDM_CHALLENGE, 0 }, { SPDM_CHALLENGE, 0 },
		{ SPDM_GET_DIGESTS, 0 }, { SPDM_GET_MEASUREMENTS, 0 },
		{ SPDM_CHALLENGE, 0 },
	};

	t.qc.steps = steps;
	t.qc.nsteps = sizeof(steps) / sizeof(steps[0]);
	run_expect(R_OK);
}

/* ---- answers played back ------------------------------------------------- */

static void
keep(struct talk *k, uint8_t *msg, size_t *len)
{
	if (msg[1] != k->code)
		return;
	memcpy(k->kept.p, msg, *len);
	k->kept.len = *len;
}

static void
play_back(struct talk *k, uint8_t *msg, size_t *len)
{
	if (msg[1] != k->code)
		return;
	memcpy(msg, k->kept.p, k->kept.len);
	*len = k->kept.len;
}

/* Genuine MEASUREMENTS, to the nonce of an earlier job. */
static void
replay_measurements(enum reason want)
{
	t.code = SPDM_MEASUREMENTS;
	t.response = keep;
	run_expect(R_OK);
	t.nonce[0] ^= 1;
	t.response = play_back;
	run_expect(want);
}

static void
test_replayed_measurements(void **state)
{
	t.qc.versions = SPDM_ALLOW_12;
	replay_measurements(R_ATT_MEASURE_SIGNATURE);
	t.qc.versions = SPDM_ALLOW_13;
	replay_measurements(R_ATT_MEASURE_FIELD);
	/* Even where everything else that is random repeats. */
	t.seed = 7;
	replay_measurements(R_ATT_MEASURE_SIGNATURE);
}

static void
test_replayed_challenge(void **state)
{
	t.code = SPDM_CHALLENGE_AUTH;
	t.qc.versions = SPDM_ALLOW_12;
	t.response = keep;
	run_expect(R_OK);
	t.response = play_back;
	run_expect(R_ATT_CHALLENGE);
}

/* The peer is asked with an older nonce than ours. */
static void
stale(struct talk *k, uint8_t *msg, size_t *len)
{
	if (msg[1] == SPDM_GET_MEASUREMENTS)
		memset(msg + 4, 0x11, SPDM_NONCE);
}

static void
test_stale_nonce(void **state)
{
	t.request = stale;
	run_expect(R_ATT_MEASURE_SIGNATURE);
}

/* ---- lengths ------------------------------------------------------------- */

static void
resize(struct talk *k, uint8_t *msg, size_t *len)
{
	if (msg[1] != k->code)
		return;
	if (k->at == 0)
		msg[(*len)++] = 0;
	else
		*len = *len > k->at ? *len - k->at : 0;
}

static void
test_lengths(void **state)
{
	static const uint8_t	codes[] = { SPDM_VERSION, SPDM_CAPABILITIES,
	    SPDM_ALGORITHMS, SPDM_DIGESTS, SPDM_CERTIFICATE,
	    SPDM_CHALLENGE_AUTH, SPDM_MEASUREMENTS };
	static const size_t	less[] = { 0, 1, 2, 3, 7, 31, 60000 };
	size_t			i, j;

	t.response = resize;
	for (i = 0; i < sizeof(codes); i++) {
		for (j = 0; j < sizeof(less) / sizeof(less[0]); j++) {
			t.code = codes[i];
			t.at = less[j];
			run_expect(R_ATT_FORM);
		}
	}
}

/* ---- downgrades ---------------------------------------------------------- */

/* A list of versions without the highest. */
static void
only_12(struct talk *k, uint8_t *msg, size_t *len)
{
	if (msg[1] != SPDM_VERSION)
		return;
	msg[5] = 1;
	*len = 8;
}

static void
test_version_downgrade(void **state)
{
	t.response = only_12;
	run_expect(R_ATT_CHALLENGE);
	t.qc.versions = SPDM_ALLOW_13;
	run_expect(R_ATT_VERSION);
}

static void
other_version(struct talk *k, uint8_t *msg, size_t *len)
{
	if (msg[1] == k->code)
		msg[0] = SPDM_V12;
}

static void
test_version_changed(void **state)
{
	static const uint8_t	codes[] = { SPDM_CAPABILITIES,
	    SPDM_ALGORITHMS, SPDM_DIGESTS, SPDM_CERTIFICATE,
	    SPDM_CHALLENGE_AUTH, SPDM_MEASUREMENTS };
	size_t			i;

	t.response = other_version;
	for (i = 0; i < sizeof(codes); i++) {
		t.code = codes[i];
		run_expect(R_ATT_VERSION_CHANGED);
	}
}

/* ALGORITHMS: MeasurementHashAlgo at 8, BaseAsymSel at 12, BaseHashSel at 16. */
static void
select_byte(struct talk *k, uint8_t *msg, size_t *len)
{
	if (msg[1] == SPDM_ALGORITHMS)
		msg[k->at] = k->code;
}

static void
selection(size_t at, uint8_t value, enum reason want)
{
	t.at = at;
	t.code = value;
	run_expect(want);
}

static void
test_algorithm_downgrade(void **state)
{
	t.response = select_byte;
	selection(12, 0x90, R_ATT_ALGORITHM);	/* two at once */
	selection(12, 0x01, R_ATT_ALGORITHM);	/* RSA, never offered */
	selection(12, 0, R_ATT_NO_ALGORITHM);
	selection(16, 0x04, R_ATT_ALGORITHM);	/* SHA-512 */
	selection(16, 0x02, R_ATT_NO_ALGORITHM); /* P-256 with SHA-384 */
	selection(8, 0, R_ATT_NO_ALGORITHM);
	selection(6, 0x02, R_ATT_ALGORITHM);	/* specification unknown */
	selection(7, 0x10, R_ATT_ALGORITHM);	/* multi-key, not offered */
	selection(31, 0x01, R_ATT_ALGORITHM);	/* event log, not offered */
	t.qc.algorithms = 1U << KEY_P384;
	t.response = NULL;
	run_expect(R_ATT_ERROR);
	t.qc.algorithms = 1U << KEY_P256;
	t.response = select_byte;
	selection(12, 0x80, R_ATT_ALGORITHM);
}

static void
caps_byte(struct talk *k, uint8_t *msg, size_t *len)
{
	if (msg[1] == SPDM_CAPABILITIES)
		msg[k->at] = k->code;
}

static void
test_capabilities(void **state)
{
	t.response = caps_byte;
	selection(8, 0x06, R_ATT_CAPABILITY);	/* no measurements */
	selection(8, 0x0e, R_ATT_CAPABILITY);	/* none that are signed */
	selection(8, 0x14, R_ATT_CAPABILITY);	/* CHAL without CERT */
	selection(9, 0x60, R_ATT_CAPABILITY);	/* ENCRYPT without KEY_EX */
	selection(8, 0x1e, R_ATT_CAPABILITY);	/* a reserved MEAS */
	selection(13, 0, R_ATT_CAPABILITY);	/* DataTransferSize 0 */
}

/* ---- certificates in portions -------------------------------------------- */

static void
portion(struct talk *k, uint8_t *msg, size_t *len)
{
	if (msg[1] != SPDM_CERTIFICATE || k->hits++ != k->at)
		return;
	switch (k->code) {
	case 0:				/* nothing, and much to come */
		msg[4] = msg[5] = 0;
		*len = 8;
		break;
	case 1:				/* more than was asked for */
		memset(msg + *len, 0, 4096);
		*len += 4096;
		msg[4] = (*len - 8) & 0xff;
		msg[5] = (*len - 8) >> 8;
		break;
	case 2:				/* more remains than before */
		msg[6] = 0xff;
		break;
	case 3:				/* a slot that never ends */
		msg[7] = 0xff;
		break;
	case 4:				/* another slot */
		msg[2] ^= 1;
		break;
	}
}

static void
test_portions(void **state)
{
	uint8_t	how;

	t.qc.caps.data_transfer = t.qc.caps.max_msg = 600;
	run_expect(R_OK);
	t.response = portion;
	for (how = 0; how <= 4; how++) {
		t.code = how;
		t.at = 1;
		/* What is larger than we take never gets to the portion. */
		run_expect(how == 1 ? R_ATT_FORM : R_ATT_PORTION);
	}
	t.qc.caps.data_transfer = t.qc.caps.max_msg = REQUESTER_TRANSFER;
	t.rc.caps.data_transfer = t.rc.caps.max_msg = 600;
	t.code = 1;
	t.at = 0;
	run_expect(R_ATT_PORTION);
}

/* A peer that sends the least it may, to the end of the portions. */
static void
test_least_portions(void **state)
{
	/* CHALLENGE of 1.3 does not fit in 42 bytes. */
	t.qc.versions = SPDM_ALLOW_12;
	t.rc.caps.flags &= ~SPDM_CAP_CHUNK;
	t.qc.caps.data_transfer = t.qc.caps.max_msg = 300;
	t.rc.caps.data_transfer = t.rc.caps.max_msg = SPDM_MIN_TRANSFER;
	run_expect(R_OK);
	assert_true(t.messages > 20);
	t.qc.versions = SPDM_ALLOW_13;
	run_expect(R_ATT_REQUEST_SIZE);
	t.rc.caps.flags |= SPDM_CAP_CHUNK;
	run_expect(R_ATT_REQUEST_SIZE);
}

static void
forget_slot(struct talk *k, uint8_t *msg, size_t *len)
{
	if (msg[1] == SPDM_DIGESTS)
		msg[4 + 32 * k->at] ^= 1;
}

static void
test_digests(void **state)
{
	t.response = forget_slot;
	for (t.at = 0; t.at <= 1; t.at++)
		run_expect(R_ATT_DIGEST);
	t.response = NULL;
	spdm_slot_clear(&t.slots[1]);
	run_expect(R_ATT_NO_ANCHOR);
	assert_int_equal(spdm_slot_set(&t.slots[1], 5, KEY_P256, soft.chain1,
	    soft.len1), 0);
	spdm_slot_clear(&t.slots[0]);
	run_expect(R_ATT_NO_IDENTITY);
}

/* ---- measurements -------------------------------------------------------- */

/* They change between CHALLENGE and GET_MEASUREMENTS; both are signed. */
static void
change(struct talk *k, uint8_t *msg, size_t *len)
{
	if (msg[1] == SPDM_GET_MEASUREMENTS && k->hits++ == 0)
		k->set.m[3].digest[0] ^= 1;
}

static void
test_summary(void **state)
{
	t.request = change;
	run_expect(R_ATT_SUMMARY);
}

static void
test_blocks(void **state)
{
	struct measure_set	good = t.set;

	t.set.m[1].index = t.set.m[0].index;	/* twice the same */
	run_expect(R_ATT_MEASURE_FORM);
	t.set = good;
	t.set.m[0].index = 0;
	run_expect(R_ATT_MEASURE_FORM);
	t.set = good;
	t.set.m[2].digest_len = 31;
	run_expect(R_ATT_MEASURE_FORM);
	t.set = good;
	t.set.m[t.set.n - 1].index = 0xff;
	run_expect(R_ATT_MEASURE_FORM);
	t.set = good;
	t.set.n = 0;				/* nothing measured, and signed */
	run_expect(R_OK);
	assert_int_equal(requester_evidence(t.requester)->nblocks, 0);
}

/* The record does not fit: number, indices, one by one, one signature. */
static void
one_by_one(uint32_t versions)
{
	uint8_t	record[4096];
	size_t	len;

	t.qc.versions = versions;
	t.qc.caps.data_transfer = t.qc.caps.max_msg = REQUESTER_TRANSFER;
	run_expect(R_OK);
	len = requester_evidence(t.requester)->record_len;
	memcpy(record, requester_evidence(t.requester)->record, len);
	t.qc.caps.data_transfer = t.qc.caps.max_msg = 300;
	run_expect(R_OK);
	assert_true(t.messages > 20);
	assert_int_equal(requester_evidence(t.requester)->record_len, len);
	assert_memory_equal(requester_evidence(t.requester)->record, record,
	    len);
	assert_int_equal(requester_evidence(t.requester)->nblocks, 10);
}

static void
test_one_by_one(void **state)
{
	one_by_one(SPDM_ALLOW_12);
	one_by_one(SPDM_ALLOW_13);
}

/* Read one by one, a block that is not signed by itself changes on the way. */
static void
flip_nth(struct talk *k, uint8_t *msg, size_t *len)
{
	if (msg[1] == SPDM_MEASUREMENTS && k->hits++ == k->at)
		msg[20] ^= 1;
}

static void
test_one_by_one_flipped(void **state)
{
	t.qc.caps.data_transfer = t.qc.caps.max_msg = 300;
	t.response = flip_nth;
	/* the count, ten that are found, then those that are kept */
	for (t.at = 11; t.at < 20; t.at++)
		run_expect(R_ATT_MEASURE_SIGNATURE);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		TRIAL(test_honest),
		TRIAL(test_flipped_response),
		TRIAL(test_flipped_request),
		TRIAL(test_signatures),
		TRIAL(test_other_key),
		TRIAL(test_fields),
		TRIAL(test_evil_signer),
		TRIAL(test_m_begins_anew),
		TRIAL(test_b_begins_anew),
		TRIAL(test_replayed_measurements),
		TRIAL(test_replayed_challenge),
		TRIAL(test_stale_nonce),
		TRIAL(test_lengths),
		TRIAL(test_version_downgrade),
		TRIAL(test_version_changed),
		TRIAL(test_algorithm_downgrade),
		TRIAL(test_capabilities),
		TRIAL(test_portions),
		TRIAL(test_least_portions),
		TRIAL(test_digests),
		TRIAL(test_summary),
		TRIAL(test_blocks),
		TRIAL(test_one_by_one),
		TRIAL(test_one_by_one_flipped),
	};

	return cmocka_run_group_tests_name("spdm_hostile", tests, setup,
	    teardown);
}
