/*
 * A responder, or somebody between, that does not keep to the rules of a
 * session. Each case ends the attestation with its reason; none is believed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "spdm_trial.h"

static const struct spdm_step	steps[] = {
	{ SPDM_GET_VERSION, 0 }, { SPDM_GET_CAPABILITIES, 0 },
	{ SPDM_NEGOTIATE_ALGORITHMS, 0 }, { SPDM_GET_DIGESTS, 0 },
	{ SPDM_GET_CERTIFICATE, 0 },
	{ SPDM_KEY_EXCHANGE, 0 },
	{ SPDM_FINISH, 0 },
	{ SPDM_HEARTBEAT, 0 },
	{ SPDM_KEY_UPDATE, SPDM_UPDATE_ALL },
	{ SPDM_KEY_UPDATE, SPDM_VERIFY_NEW },
	{ SPDM_GET_MEASUREMENTS, 0 },
	{ SPDM_END_SESSION, 0 },
};

#define NSTEPS		(sizeof(steps) / sizeof(steps[0]))
/* KEY_EXCHANGE_RSP with P-256: where its fields are. */
#define AT_HEARTBEAT	2
#define AT_ID		4
#define AT_MUTUAL	6
#define AT_SLOT		7
#define AT_RANDOM	8
#define AT_POINT	40
#define AT_SUMMARY	104
#define AT_OPAQUE	138
#define AT_SELECTED	148
#define AT_SIGNATURE	150
#define AT_VERIFY	214
#define EXCHANGE_LEN	246

static struct spdm_root		roots[1];

static void
prepare(uint8_t mutual)
{
	static uint8_t	der[2048];

	t.qc.anchor = 0;
	t.qc.steps = steps;
	t.qc.nsteps = NSTEPS;
	if (mutual != 0) {
		spdm_hash(spdm_sha256(), der, soft_der(soft.root, der),
		    roots[0].sha256);
		roots[0].cert = soft.root;
		t.rc.roots = roots;
		t.rc.nroots = 1;
		t.rc.mutual = mutual;
		t.rc.known = &t.slots[0];
		t.rc.caps.flags |= SPDM_CAP_MUT_AUTH | SPDM_CAP_ENCAP;
		t.own_key = soft.key;
	}
	t.qc.slots = t.slots;
	requester_offer_session(&t.qc, true);
}

/* ---- KEY_EXCHANGE_RSP ---------------------------------------------------- */

static void
flip_exchange(struct talk *k, uint8_t *msg, size_t *len)
{
	if (msg[1] != (SPDM_KEY_EXCHANGE & 0x7f))
		return;
	assert_int_equal(*len, EXCHANGE_LEN);
	msg[k->at] ^= k->code;
	k->hits++;
}

static enum reason
flipped(size_t at, uint8_t bits)
{
	enum reason	why;

	t.response = flip_exchange;
	t.at = at;
	t.code = bits;
	why = talk_run(&t);
	assert_int_equal(t.hits, 1);
	assert_null(t.requester->ses.s);
	return why;
}

/* No byte of it may change, whatever it is for. */
static void
test_flips(void **state)
{
	enum reason	why;
	size_t		i;

	prepare(0);
	for (i = 0; i < EXCHANGE_LEN; i++) {
		if (i == 1)
			continue;
		/* Each byte of the fields, some of random strings. */
		if ((i > AT_RANDOM + 1 && i < AT_POINT - 1) ||
		    (i > AT_SIGNATURE + 4 && i < AT_VERIFY - 4 && i % 9))
			continue;
		why = flipped(i, 0x01);
		if (why == R_OK)
			fail_msg("byte %zu", i);
		assert_true(why == R_ATT_VERSION_CHANGED ||
		    (why >= R_ATT_KEY_EXCHANGE_FIELD &&
		    why <= R_ATT_MUTUAL) || why == R_ATT_FORM);
	}
}

/* Which check it is that refuses. */
static void
test_fields(void **state)
{
	static const struct {
		size_t		at;
		uint8_t		bits;
		enum reason	why;
	} cases[] = {
		{ AT_ID, 0x01, R_ATT_KEY_EXCHANGE },
		{ AT_HEARTBEAT, 0x01, R_ATT_KEY_EXCHANGE },
		{ AT_RANDOM, 0x80, R_ATT_KEY_EXCHANGE },
		{ AT_POINT + 63, 0x01, R_ATT_KEY_EXCHANGE },
		{ AT_SUMMARY, 0x01, R_ATT_KEY_EXCHANGE },
		{ AT_SIGNATURE, 0x01, R_ATT_KEY_EXCHANGE },
		{ AT_OPAQUE - 2, 0x01, R_ATT_FORM },
		{ AT_OPAQUE - 1, 0x80, R_ATT_FORM },
		{ AT_OPAQUE, 0x02, R_ATT_SECURED_VERSION },
		{ AT_SELECTED + 1, 0x20, R_ATT_SECURED_VERSION },
		{ AT_VERIFY, 0x01, R_ATT_VERIFY_DATA },
		{ AT_VERIFY + 31, 0x80, R_ATT_VERIFY_DATA },
	};
	size_t	i;

	prepare(0);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (flipped(cases[i].at, cases[i].bits) != cases[i].why)
			fail_msg("byte %zu: %s", cases[i].at, reason_code(
			    requester_why(t.requester)->reason));
}

/* What CHALLENGE_AUTH said, and what both sides can. */
static void
test_fields_before(void **state)
{
	static const struct spdm_step	challenged[] = {
		{ SPDM_GET_VERSION, 0 }, { SPDM_GET_CAPABILITIES, 0 },
		{ SPDM_NEGOTIATE_ALGORITHMS, 0 }, { SPDM_GET_DIGESTS, 0 },
		{ SPDM_GET_CERTIFICATE, 0 }, { SPDM_CHALLENGE, 0 },
		{ SPDM_KEY_EXCHANGE, 0 }, { SPDM_FINISH, 0 },
	};

	prepare(0);
	t.qc.steps = challenged;
	t.qc.nsteps = sizeof(challenged) / sizeof(challenged[0]);
	run_expect(R_OK);
	assert_int_equal(flipped(AT_SUMMARY, 0x01), R_ATT_SUMMARY);
	assert_int_equal(flipped(AT_SUMMARY + 31, 0x80), R_ATT_SUMMARY);
	t.qc.caps.flags &= ~SPDM_CAP_HBEAT;
	assert_int_equal(flipped(AT_HEARTBEAT, 0x01),
	    R_ATT_KEY_EXCHANGE_FIELD);
}

/* MutAuthRequested has four values, and two of them need a capability. */
static void
test_mutual_values(void **state)
{
	unsigned	i;
	enum reason	why;

	prepare(SPDM_MUT_ENCAP);
	for (i = 1; i < 256; i++) {
		why = flipped(AT_MUTUAL, (uint8_t)i);
		switch (i ^ SPDM_MUT_ENCAP) {
		case SPDM_MUT_NONE:
		case SPDM_MUT_KNOWN:
		case SPDM_MUT_DIGESTS:
			assert_int_equal(why, R_ATT_KEY_EXCHANGE);
			break;
		default:
			assert_int_equal(why, R_ATT_MUTUAL);
		}
	}
	/* Our slot 5 is empty, and there is no slot 8 and no bare key. */
	t.rc.mutual = SPDM_MUT_KNOWN;
	assert_int_equal(flipped(AT_SLOT, 5), R_ATT_MUTUAL);
	assert_int_equal(flipped(AT_SLOT, 8), R_ATT_MUTUAL);
	assert_int_equal(flipped(AT_SLOT, 15), R_ATT_MUTUAL);
	t.rc.mutual = SPDM_MUT_NONE;
	t.qc.caps.flags &= ~SPDM_CAP_ENCAP;
	assert_int_equal(flipped(AT_MUTUAL, SPDM_MUT_ENCAP), R_ATT_MUTUAL);
	assert_int_equal(flipped(AT_MUTUAL, SPDM_MUT_DIGESTS), R_ATT_MUTUAL);
	t.qc.caps.flags &= ~SPDM_CAP_MUT_AUTH;
	assert_int_equal(flipped(AT_MUTUAL, SPDM_MUT_KNOWN), R_ATT_MUTUAL);
}

static void
cut_exchange(struct talk *k, uint8_t *msg, size_t *len)
{
	if (msg[1] != (SPDM_KEY_EXCHANGE & 0x7f))
		return;
	memset(msg + *len, 0, 8);
	*len = k->at;
}

static void
test_lengths(void **state)
{
	prepare(0);
	t.response = cut_exchange;
	for (t.at = 4; t.at <= EXCHANGE_LEN + 8; t.at++)
		if (t.at != EXCHANGE_LEN && t.at % 5 != 0)
			run_expect(R_ATT_FORM);
}

/* ---- points, signed by whoever holds the key ----------------------------- */

static uint8_t	evil_point[SPDM_DHE_MAX];

static int
evil_make(void *arg, const struct spdm_alg *alg, void **key, uint8_t *pub)
{
	*key = evil_point;
	memcpy(pub, evil_point, 2 * alg->hash_len);
	return 0;
}

static int
evil_agree(void *arg, const struct spdm_alg *alg, void *key,
    const uint8_t *peer, uint8_t *shared)
{
	memset(shared, 0, alg->hash_len);
	return 0;
}

static void
evil_release(void *arg, void *key)
{
}

static void
test_points(void **state)
{
	static const struct spdm_dhe_ops	evil = { evil_make,
	    evil_agree, evil_release };
	uint8_t	real[SPDM_DHE_MAX];
	void	*key;

	prepare(0);
	t.rc.dhe = &evil;
	memset(evil_point, 0, sizeof(evil_point));
	run_expect(R_ATT_POINT);
	memset(evil_point, 0xff, sizeof(evil_point));
	run_expect(R_ATT_POINT);
	assert_int_equal(spdm_dhe.make(NULL, soft.alg, &key, real), 0);
	spdm_dhe.release(NULL, key);
	memcpy(evil_point, real, sizeof(real));
	evil_point[63] ^= 1;
	run_expect(R_ATT_POINT);
	/* On the curve, but then it does not know the secret. */
	evil_point[63] ^= 1;
	run_expect(R_ATT_VERIFY_DATA);
}

/* ---- records ------------------------------------------------------------- */

/* Run until the request with this code is about to leave. */
static void
run_until(uint8_t code)
{
	enum spdm_act	act;

	talk_over(&t);
	t.responder = responder_new(&t.rc);
	t.requester = requester_new(&t.qc, t.nonce);
	assert_true(t.responder != NULL && t.requester != NULL);
	act = requester_start(t.requester);
	while (t.requester->asked != code) {
		if (act == SPDM_SIGN)
			act = talk_own_sign(&t);
		else
			act = talk_exchange(&t);
		if (act != SPDM_SEND && act != SPDM_SIGN)
			fail_msg("%s", requester_why(t.requester)->seen);
	}
}

static enum reason
why(enum spdm_act act)
{
	assert_true(act != SPDM_DONE);
	return act == SPDM_FAIL ? requester_why(t.requester)->reason : R_OK;
}

/* The requester is told this, as the next record of its session. */
static enum spdm_act
say(const uint8_t *msg, size_t len)
{
	struct spdm_session	s = *t.requester->ses.s;
	uint8_t			rec[SPDM_RECORD_MAX];
	size_t			n;

	n = spdm_record_seal(&s, SPDM_SIDE_RSP, &t.binding, talk_random, &t,
	    msg, len, rec, sizeof(rec));
	assert_true(n > 0);
	return requester_feed(t.requester, true, rec, n);
}

#define SAY(...)	why(say((const uint8_t[]){ __VA_ARGS__ },	\
			    sizeof((const uint8_t[]){ __VA_ARGS__ })))
#define CLEAR(...)	why(requester_feed(t.requester, false,		\
			    (const uint8_t[]){ __VA_ARGS__ },		\
			    sizeof((const uint8_t[]){ __VA_ARGS__ })))

/* A record of the responder to HEARTBEAT, as it should be. */
static size_t
heartbeat_ack(uint8_t *rec)
{
	struct spdm_session	s = *t.requester->ses.s;
	const uint8_t		msg[4] = { t.requester->version, 0x68 };

	return spdm_record_seal(&s, SPDM_SIDE_RSP, &t.binding, talk_random,
	    &t, msg, sizeof(msg), rec, 128);
}

static void
test_record_flips(void **state)
{
	uint8_t		rec[128];
	size_t		i, n;
	enum reason	r;

	prepare(0);
	run_until(SPDM_HEARTBEAT);
	n = heartbeat_ack(rec);
	for (i = 0; i < n; i++) {
		run_until(SPDM_HEARTBEAT);
		n = heartbeat_ack(rec);
		rec[i] ^= 0x40;
		r = why(requester_feed(t.requester, true, rec, n));
		assert_int_equal(r, i < 4 ? R_ATT_RECORD_SESSION : i < 6 ?
		    R_ATT_RECORD_FORM : R_ATT_RECORD);
		assert_null(t.requester->ses.s);
	}
	for (i = 0; i < n; i += 5) {
		run_until(SPDM_HEARTBEAT);
		(void)heartbeat_ack(rec);
		assert_int_equal(why(requester_feed(t.requester, true, rec,
		    i)), R_ATT_RECORD_FORM);
	}
}

static void
keep_record(struct talk *k, uint8_t *msg, size_t *len)
{
	if (k->requester->asked != SPDM_HEARTBEAT)
		return;
	memcpy(k->kept.p, msg, *len);
	k->kept.len = *len;
}

/* What was said before, or after what is still to come, is not said now. */
static void
test_order(void **state)
{
	struct spdm_session	s;
	uint8_t			rec[128];
	const uint8_t		msg[4] = { SPDM_V13, 0x68 };
	size_t			n;

	prepare(0);
	t.response = keep_record;
	run_until(SPDM_KEY_UPDATE);
	assert_true(t.kept.len > 0);
	assert_int_equal(why(requester_feed(t.requester, true, t.kept.p,
	    t.kept.len)), R_ATT_RECORD);
	t.response = NULL;
	run_until(SPDM_HEARTBEAT);
	s = *t.requester->ses.s;
	s.dir[SPDM_SIDE_RSP].seq++;
	n = spdm_record_seal(&s, SPDM_SIDE_RSP, &t.binding, NULL, NULL, msg,
	    4, rec, sizeof(rec));
	assert_int_equal(why(requester_feed(t.requester, true, rec, n)),
	    R_ATT_RECORD);
	/* Our own record comes back. */
	run_until(SPDM_HEARTBEAT);
	assert_int_equal(why(requester_feed(t.requester, true,
	    t.requester->ses.rec, t.requester->ses.rec_len)), R_ATT_RECORD);
	/* The record of another session with the same ids. */
	run_until(SPDM_HEARTBEAT);
	n = heartbeat_ack(rec);
	run_until(SPDM_HEARTBEAT);
	assert_int_equal(why(requester_feed(t.requester, true, rec, n)),
	    R_ATT_RECORD);
}

/* A record before there is a session, and none where one must be. */
static void
test_secured_or_not(void **state)
{
	uint8_t	rec[64] = { 0xff, 0xff, 0xff, 0xff, 0x1a };

	prepare(0);
	run_until(SPDM_KEY_EXCHANGE);
	assert_int_equal(why(requester_feed(t.requester, true, rec, 32)),
	    R_ATT_NO_SESSION);
	run_until(SPDM_FINISH);
	assert_int_equal(CLEAR(SPDM_V13, 0x65, 0, 0), R_ATT_NOT_SECURED);
	run_until(SPDM_HEARTBEAT);
	assert_int_equal(CLEAR(SPDM_V13, 0x68, 0, 0), R_ATT_NOT_SECURED);
	assert_null(t.requester->ses.s);
	run_until(SPDM_GET_MEASUREMENTS);
	assert_int_equal(CLEAR(SPDM_V13, 0x7f, SPDM_E_BUSY, 0),
	    R_ATT_NOT_SECURED);
	run_until(SPDM_HEARTBEAT);
	assert_int_equal(why(requester_feed(t.requester, false, rec, 0)),
	    R_ATT_NOT_SECURED);
}

static void
test_errors(void **state)
{
	prepare(0);
	/* It could not open ours: it has no key to say so under. */
	run_until(SPDM_HEARTBEAT);
	assert_int_equal(CLEAR(SPDM_V13, 0x7f, 0x06, 0), R_ATT_SESSION_ENDED);
	assert_null(t.requester->ses.s);
	run_until(SPDM_HEARTBEAT);
	assert_int_equal(SAY(SPDM_V13, 0x7f, 0x06, 0), R_ATT_SESSION_ENDED);
	run_until(SPDM_HEARTBEAT);
	assert_int_equal(SAY(SPDM_V13, 0x7f, 0x04, 0), R_ATT_ERROR);
	run_until(SPDM_FINISH);
	assert_int_equal(SAY(SPDM_V13, 0x7f, 0x05, 0), R_ATT_ERROR);
	/* Busy is asked again, in a record of its own. */
	run_until(SPDM_HEARTBEAT);
	assert_int_equal(SAY(SPDM_V13, 0x7f, SPDM_E_BUSY, 0), R_OK);
	assert_true(requester_delay(t.requester) > 0);
	assert_int_equal(requester_wake(t.requester), SPDM_SEND);
	assert_int_equal(t.requester->ses.s->dir[SPDM_SIDE_REQ].seq, 2);
	/* FINISH is sent again as it was: it is in TH. */
	run_until(SPDM_FINISH);
	memcpy(t.kept.p, t.requester->req.data, t.requester->req.len);
	assert_int_equal(SAY(SPDM_V13, 0x7f, SPDM_E_BUSY, 0), R_OK);
	assert_int_equal(requester_wake(t.requester), SPDM_SEND);
	assert_memory_equal(t.kept.p, t.requester->req.data,
	    t.requester->req.len);
}

/* ---- answers inside ------------------------------------------------------ */

static void
test_answers(void **state)
{
	prepare(0);
	run_until(SPDM_FINISH);
	assert_int_equal(SAY(SPDM_V13, 0x65, 0, 0, 0), R_ATT_FORM);
	run_until(SPDM_HEARTBEAT);
	assert_int_equal(SAY(SPDM_V13, 0x68, 0, 0, 0), R_ATT_FORM);
	run_until(SPDM_HEARTBEAT);
	assert_int_equal(SAY(SPDM_V13, 0x69, 1, 0), R_ATT_ANSWER);
	run_until(SPDM_HEARTBEAT);
	assert_int_equal(SAY(SPDM_V12, 0x68, 0, 0), R_ATT_VERSION_CHANGED);
	run_until(SPDM_HEARTBEAT);
	assert_int_equal(SAY(SPDM_V13, 0x68), R_ATT_FORM);
	run_until(SPDM_END_SESSION);
	assert_int_equal(SAY(SPDM_V13, 0x6c, 0, 0, 0), R_ATT_FORM);
}

static void
test_key_update(void **state)
{
	struct spdm_dir	old;
	uint8_t		tag;

	prepare(0);
	run_until(SPDM_KEY_UPDATE);
	tag = t.requester->req.data[3];
	assert_int_equal(SAY(SPDM_V13, 0x69, SPDM_UPDATE_ALL,
	    (uint8_t)(tag ^ 1)), R_ATT_KEY_UPDATE);
	run_until(SPDM_KEY_UPDATE);
	tag = t.requester->req.data[3];
	assert_int_equal(SAY(SPDM_V13, 0x69, SPDM_UPDATE_KEY, tag),
	    R_ATT_KEY_UPDATE);
	run_until(SPDM_KEY_UPDATE);
	assert_int_equal(SAY(SPDM_V13, 0x69, SPDM_UPDATE_ALL,
	    t.requester->req.data[3], 0), R_ATT_FORM);
	/* The acknowledgement must come under the new key, */
	run_until(SPDM_KEY_UPDATE);
	tag = t.requester->req.data[3];
	t.requester->ses.s->dir[SPDM_SIDE_RSP] = t.requester->ses.s->before;
	assert_int_equal(SAY(SPDM_V13, 0x69, SPDM_UPDATE_ALL, tag), R_OK);
	run_until(SPDM_KEY_UPDATE);
	tag = t.requester->req.data[3];
	{
		struct spdm_session	s = *t.requester->ses.s;
		uint8_t			rec[64], msg[4] = { SPDM_V13, 0x69,
		    SPDM_UPDATE_ALL, tag };
		size_t			n;

		s.dir[SPDM_SIDE_RSP] = s.before;
		n = spdm_record_seal(&s, SPDM_SIDE_RSP, &t.binding, NULL,
		    NULL, msg, 4, rec, sizeof(rec));
		assert_int_equal(why(requester_feed(t.requester, true, rec,
		    n)), R_ATT_KEY_UPDATE);
		/* An ERROR comes under the old one, which then stays. */
		run_until(SPDM_KEY_UPDATE);
		s = *t.requester->ses.s;
		old = s.dir[SPDM_SIDE_RSP] = s.before;
		msg[1] = 0x7f;
		msg[2] = SPDM_E_BUSY;
		n = spdm_record_seal(&s, SPDM_SIDE_RSP, &t.binding, NULL,
		    NULL, msg, 4, rec, sizeof(rec));
		assert_int_equal(why(requester_feed(t.requester, true, rec,
		    n)), R_OK);
		old.seq++;
		assert_memory_equal(&old,
		    &t.requester->ses.s->dir[SPDM_SIDE_RSP], sizeof(old));
		assert_false(t.requester->ses.s->has_before);
	}
	/* It cannot be put off: nobody would know which key is next. */
	run_until(SPDM_KEY_UPDATE);
	assert_int_equal(SAY(SPDM_V13, 0x7f, SPDM_E_NOT_READY, 0, 10,
	    SPDM_KEY_UPDATE, 1, 1), R_ATT_NOT_READY);
}

/* ---- the encapsulated flow ----------------------------------------------- */

#define ACK		0x6b
#define ENCAP		0x6a

static void
test_encapsulated(void **state)
{
	prepare(SPDM_MUT_ENCAP);
	/* No request in it; of another version; a response. */
	run_until(SPDM_GET_ENCAPSULATED);
	assert_int_equal(SAY(SPDM_V13, ENCAP, 1, 0), R_ATT_ENCAPSULATED);
	run_until(SPDM_GET_ENCAPSULATED);
	assert_int_equal(SAY(SPDM_V13, ENCAP, 1, 0, SPDM_V13, 0x81, 0),
	    R_ATT_ENCAPSULATED);
	run_until(SPDM_GET_ENCAPSULATED);
	assert_int_equal(SAY(SPDM_V13, ENCAP, 1, 0, SPDM_V12, 0x81, 0, 0),
	    R_ATT_ENCAPSULATED);
	run_until(SPDM_GET_ENCAPSULATED);
	assert_int_equal(SAY(SPDM_V13, ENCAP, 1, 0, SPDM_V13, 0x01, 0, 0),
	    R_ATT_ENCAPSULATED);
	run_until(SPDM_GET_ENCAPSULATED);
	assert_int_equal(SAY(SPDM_V13, ACK, 1, 0, 0, 0, 0, 0), R_ATT_ANSWER);
	/* Acknowledges another one; is too short; of a type that is none. */
	run_until(SPDM_DELIVER_ENCAPSULATED);
	assert_int_equal(SAY(SPDM_V13, ACK, 0, 0, 9, 0, 0, 0),
	    R_ATT_ENCAPSULATED);
	run_until(SPDM_DELIVER_ENCAPSULATED);
	assert_int_equal(SAY(SPDM_V13, ACK, 0, 0, 1, 0, 0),
	    R_ATT_ENCAPSULATED);
	run_until(SPDM_DELIVER_ENCAPSULATED);
	assert_int_equal(SAY(SPDM_V13, ACK, 0, 3, 1, 0, 0, 0),
	    R_ATT_ENCAPSULATED);
	/* Over, and more; a slot that we do not have; none named. */
	run_until(SPDM_DELIVER_ENCAPSULATED);
	assert_int_equal(SAY(SPDM_V13, ACK, 0, 0, 1, 0, 0, 0, 0),
	    R_ATT_ENCAPSULATED);
	run_until(SPDM_DELIVER_ENCAPSULATED);
	assert_int_equal(SAY(SPDM_V13, ACK, 0, 2, 1, 0, 0, 0, 6),
	    R_ATT_ENCAPSULATED);
	run_until(SPDM_DELIVER_ENCAPSULATED);
	assert_int_equal(SAY(SPDM_V13, ACK, 0, 2, 1, 0, 0, 0),
	    R_ATT_ENCAPSULATED);
}

/* What we answer: the encapsulated response in the request at hand. */
static const uint8_t *
delivered(uint8_t code)
{
	assert_int_equal(t.requester->asked, SPDM_DELIVER_ENCAPSULATED);
	assert_int_equal(t.requester->req.data[5], code);
	return t.requester->req.data + 4;
}

/* Nothing but digests and certificates, and of them only what is there. */
static void
test_encapsulated_answers(void **state)
{
	const uint8_t	*p;

	prepare(SPDM_MUT_ENCAP);
	run_until(SPDM_DELIVER_ENCAPSULATED);
	p = delivered(SPDM_DIGESTS);
	assert_int_equal(p[3], 0x03);
	/* CHALLENGE would have us sign: no. */
	assert_int_equal(SAY(SPDM_V13, ACK, 2, 1, 1, 0, 0, 0, SPDM_V13,
	    SPDM_CHALLENGE, 0, 0), R_OK);
	p = delivered(SPDM_ERROR);
	assert_int_equal(p[2], SPDM_E_UNSUPPORTED);
	assert_int_equal(p[3], SPDM_CHALLENGE);
	assert_int_equal(SAY(SPDM_V13, ACK, 3, 1, 2, 0, 0, 0, SPDM_V13,
	    SPDM_GET_CERTIFICATE, 6, 0, 0, 0, 0, 1), R_OK);
	assert_int_equal(delivered(SPDM_ERROR)[2], SPDM_E_INVALID_REQUEST);
	assert_int_equal(SAY(SPDM_V13, ACK, 4, 1, 3, 0, 0, 0, SPDM_V13,
	    SPDM_GET_CERTIFICATE, 0, 0, 0xff, 0xff, 0xff, 0xff), R_OK);
	assert_int_equal(delivered(SPDM_ERROR)[2], SPDM_E_INVALID_REQUEST);
	/* More than there is: as much as there is. */
	assert_int_equal(SAY(SPDM_V13, ACK, 5, 1, 4, 0, 0, 0, SPDM_V13,
	    SPDM_GET_CERTIFICATE, 1, 0, 8, 0, 0xff, 0xff), R_OK);
	p = delivered(SPDM_CERTIFICATE);
	assert_int_equal(p[2], 1);
	assert_int_equal(p[4] | p[5] << 8, t.slots[1].len - 8);
	assert_memory_equal(p + 8, t.slots[1].content + 8, 64);
	assert_int_equal(SAY(SPDM_V13, ACK, 6, 1, 5, 0, 0, 0, SPDM_V13,
	    SPDM_GET_DIGESTS, 0, 0, 0), R_OK);
	assert_int_equal(delivered(SPDM_ERROR)[2], SPDM_E_INVALID_REQUEST);
	/* It may name a slot at the end, by whose key FINISH is signed. */
	assert_int_equal(SAY(SPDM_V13, ACK, 0, 2, 6, 0, 0, 0, 0), R_OK);
	assert_int_equal(t.requester->asked, SPDM_FINISH);
	assert_int_equal(t.requester->req.data[3], 0);
	/* While keyd signs there is nothing to say. */
	assert_int_equal(SAY(SPDM_V13, 0x65, 0, 0), R_ATT_ANSWER);
}

static void
test_encapsulated_endless(void **state)
{
	uint8_t		msg[16] = { SPDM_V13, ACK, 2, 1, 1, 0, 0, 0,
	    SPDM_V13, SPDM_GET_DIGESTS };
	unsigned	i;
	enum reason	r = R_OK;

	prepare(SPDM_MUT_ENCAP);
	run_until(SPDM_DELIVER_ENCAPSULATED);
	for (i = 0; i < 5000 && r == R_OK; i++) {
		msg[4] = t.requester->ses.encap.id;
		msg[2] = (uint8_t)(msg[4] + 1);
		r = why(say(msg, 12));
	}
	assert_int_equal(r, R_ATT_ENCAPSULATED);
	assert_int_equal(i, 1024);
}

/* A flow that was not begun does not begin later. */
static void
test_encapsulated_unasked(void **state)
{
	prepare(0);
	run_until(SPDM_FINISH);
	assert_int_equal(SAY(SPDM_V13, ENCAP, 1, 0, SPDM_V13, 0x81, 0, 0),
	    R_ATT_ANSWER);
	run_until(SPDM_HEARTBEAT);
	assert_int_equal(SAY(SPDM_V13, ENCAP, 1, 0, SPDM_V13, 0x83, 0, 0),
	    R_ATT_ANSWER);
}

/* ---- noise --------------------------------------------------------------- */

static void
test_noise(void **state)
{
	uint8_t		rec[96];
	unsigned	i;
	size_t		n;

	prepare(0);
	for (i = 0; i < 300; i++) {
		run_until(i % 2 ? SPDM_FINISH : SPDM_HEARTBEAT);
		talk_random(&t, rec, sizeof(rec));
		n = rec[0] % sizeof(rec);
		memset(rec, 0xff, 4);
		if (i % 3 && n >= 6) {
			rec[4] = (uint8_t)(n - 6);
			rec[5] = 0;
		}
		assert_int_not_equal(why(requester_feed(t.requester, i % 5,
		    rec, n)), R_OK);
	}
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		TRIAL(test_flips),
		TRIAL(test_fields),
		TRIAL(test_fields_before),
		TRIAL(test_mutual_values),
		TRIAL(test_lengths),
		TRIAL(test_points),
		TRIAL(test_record_flips),
		TRIAL(test_order),
		TRIAL(test_secured_or_not),
		TRIAL(test_errors),
		TRIAL(test_answers),
		TRIAL(test_key_update),
		TRIAL(test_encapsulated),
		TRIAL(test_encapsulated_answers),
		TRIAL(test_encapsulated_endless),
		TRIAL(test_encapsulated_unasked),
		TRIAL(test_noise),
	};

	return cmocka_run_group_tests_name("spdm_session_hostile", tests,
	    setup, teardown);
}
