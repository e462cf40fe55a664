/*
 * Sessions of our responder with a requester that does what it likes: out of
 * order, wrong, twice, and too much. Nothing of it may leave a session where
 * none should be, or a key that was not wiped.
 */
#include "spdm_client.h"
#include "../../attestd/spdm_responder.h"

/* ---- a right one --------------------------------------------------------- */

/* GET_MEASUREMENTS of everything, signed; verified over the session's M. */
static void
measured(bool secured)
{
	uint8_t				 msg[64] = { c.version,
	    SPDM_GET_MEASUREMENTS, SPDM_ATTR_SIGN, SPDM_OP_ALL };
	size_t				 len = c.version >= SPDM_V13 ? 45 :
					    37;
	struct spdm_measurements	 m;
	EVP_MD_CTX			*l = EVP_MD_CTX_new();
	uint8_t				 hash[SPDM_HASH_MAX];

	assert_int_equal(secured ? sec(msg, len) : say(msg, len),
	    SPDM_MEASUREMENTS);
	assert_int_equal(spdm_measurements_get(c.ans, c.anslen, c.alg, true,
	    &m), 0);
	EVP_MD_CTX_copy_ex(l, c.a);
	EVP_DigestUpdate(l, msg, len);
	EVP_DigestUpdate(l, c.ans, c.anslen - c.alg->sig_len);
	EVP_DigestFinal_ex(l, hash, NULL);
	EVP_MD_CTX_free(l);
	assert_int_equal(spdm_verify(t.soft->key, c.alg, c.version,
	    SPDM_CTX_MEASUREMENTS, hash, m.signature), 0);
	assert_true(responder_attested(t.responder));
}

static void
update_all(void)
{
	spdm_session_before(c.s);
	client_seal((const uint8_t[]){ c.version, SPDM_KEY_UPDATE,
	    SPDM_UPDATE_ALL, 7 }, 4);
	spdm_session_update(c.s, SPDM_SIDE_RSP);
	client_feed(true, c.rec, c.rec_len);
	client_open();
	assert_false(c.s->went_back);
	assert_memory_equal(c.ans, ((uint8_t[]){ c.version,
	    SPDM_KEY_UPDATE_ACK, SPDM_UPDATE_ALL, 7 }), 4);
	spdm_session_update(c.s, SPDM_SIDE_REQ);
	assert_int_equal(sec4(SPDM_KEY_UPDATE, SPDM_VERIFY_NEW, 8),
	    SPDM_KEY_UPDATE_ACK);
}

static void
update_key(void)
{
	assert_int_equal(sec4(SPDM_KEY_UPDATE, SPDM_UPDATE_KEY, 9),
	    SPDM_KEY_UPDATE_ACK);
	spdm_session_update(c.s, SPDM_SIDE_REQ);
	assert_int_equal(sec4(SPDM_KEY_UPDATE, SPDM_VERIFY_NEW, 10),
	    SPDM_KEY_UPDATE_ACK);
}

static void
whole(void)
{
	const uint8_t	cert[8] = { c.version, SPDM_GET_CERTIFICATE, 0, 0, 0,
	    0, 0xff, 0xff };

	client_session();
	assert_int_equal(c.mutual, SPDM_MUT_NONE);
	assert_int_equal(c.heartbeat, RESPONDER_HEARTBEAT);
	assert_int_equal(responder_heartbeat(t.responder),
	    RESPONDER_HEARTBEAT);
	assert_int_equal(sec4(SPDM_HEARTBEAT, 0, 0), SPDM_HEARTBEAT_ACK);
	measured(true);
	update_all();
	update_key();
	update_all();
	assert_int_equal(sec4(SPDM_GET_DIGESTS, 0, 0), SPDM_DIGESTS);
	assert_int_equal(sec(cert, sizeof(cert)), SPDM_CERTIFICATE);
	measured(true);
	assert_int_equal(sec4(SPDM_END_SESSION, 0, 0), SPDM_END_SESSION_ACK);
	client_is_over();
}

static void
test_whole(void **state)
{
	uint8_t	first[4];

	whole();
	memcpy(first, c.id, 4);
	assert_int_equal(dhe_made, 1);
	/* Another on the same connection has another id. */
	assert_int_equal(client_exchange(), SPDM_KEY_EXCHANGE_RSP);
	assert_memory_not_equal(first, c.id, 4);
	client_finish();
	spdm_session_free(c.s);
	c.s = NULL;
	talk_over(&t);
	c.version = SPDM_V12;
	whole();
	/* A requester that would shake hands in the clear does not here. */
	talk_over(&t);
	c.caps |= SPDM_CAP_CLEAR;
	whole();
}

/* The session of the other curve, and the transport of MCTP. */
static void
test_p384_mctp(void **state)
{
	static struct soft	big;

	talk_free(&t);
	soft_new(&big, KEY_P384);
	client_before(NULL);
	talk_free(&t);
	talk_init(&t, &big);
	c.alg = big.alg;
	c.binding = (struct spdm_binding){ .seq_len = 2, .pad_max = 32,
	    .mctp = true };
	t.rc.binding = &c.binding;
	t.rc.dhe = &counted_dhe;
	whole();
	soft_free(&big);
}

/* What was decrypted does not stay for the next to find. */
static void
test_wiped(void **state)
{
	const uint8_t	*p;
	size_t		 i;

	client_session();
	assert_int_equal(sec4(SPDM_END_SESSION, 0xa5, 0),
	    SPDM_END_SESSION_ACK);
	assert_null(t.responder->ses->s);
	for (i = 0, p = t.responder->ses->plain;
	    i < sizeof(t.responder->ses->plain); i++)
		assert_int_equal(p[i], 0);
	assert_int_equal(say4(SPDM_GET_DIGESTS, 0, 0), SPDM_DIGESTS);
	assert_null(t.responder->ses);
}

/* No key is made for who only attests. */
static void
test_no_key_before(void **state)
{
	assert_int_equal(talk_run(&t), R_OK);
	assert_int_equal(dhe_made, 0);
	assert_false(responder_in_session(t.responder));
}

/* ---- out of order -------------------------------------------------------- */

static void
test_outside(void **state)
{
	static const uint8_t	codes[] = { SPDM_HEARTBEAT, SPDM_KEY_UPDATE,
	    SPDM_END_SESSION };
	uint8_t			finish[36] = { SPDM_V13, SPDM_FINISH };
	size_t			i;

	client_connect();
	for (i = 0; i < sizeof(codes); i++) {
		say4(codes[i], 1, 0);
		error_is(SPDM_E_SESSION_REQUIRED);
	}
	say(finish, sizeof(finish));
	error_is(SPDM_E_SESSION_REQUIRED);
	/* Nor in the clear while a session is being made. */
	assert_int_equal(client_exchange(), SPDM_KEY_EXCHANGE_RSP);
	say(finish, sizeof(finish));
	error_is(SPDM_E_SESSION_REQUIRED);
	client_finish();
}

/* What is negotiated by neither or one of the two is not there. */
static void
test_not_negotiated(void **state)
{
	static const struct { uint32_t without; uint8_t e; } rows[] = {
		{ SPDM_CAP_KEY_EX | SPDM_CAP_ENCRYPT | SPDM_CAP_MAC |
		    SPDM_CAP_HBEAT | SPDM_CAP_KEY_UPD, SPDM_E_UNSUPPORTED },
		/* Records without secrecy or integrity are not made. */
		{ SPDM_CAP_MAC, SPDM_E_INVALID_REQUEST },
		{ SPDM_CAP_ENCRYPT, SPDM_E_INVALID_REQUEST },
	};
	size_t	i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		c.caps = CLIENT_CAPS & ~rows[i].without;
		client_connect();
		assert_int_equal(c.ans[36 + 2], 0);	/* DHE */
		assert_int_equal(c.ans[40 + 2], 0);	/* AEAD */
		assert_int_equal(c.ans[44 + 2], 0);	/* requester asym */
		assert_int_equal(c.ans[48 + 2], 0);	/* key schedule */
		client_exchange();
		error_is(rows[i].e);
		assert_false(responder_in_session(t.responder));
	}
	assert_int_equal(dhe_made, 0);
	/* No heartbeat, no key update: the session does without. */
	c.caps = CLIENT_CAPS & ~(SPDM_CAP_HBEAT | SPDM_CAP_KEY_UPD);
	client_session();
	assert_int_equal(c.heartbeat, 0);
	assert_int_equal(responder_heartbeat(t.responder), 0);
	sec4(SPDM_HEARTBEAT, 0, 0);
	error_is(SPDM_E_UNSUPPORTED);
	sec4(SPDM_KEY_UPDATE, SPDM_UPDATE_KEY, 0);
	error_is(SPDM_E_UNSUPPORTED);
}

/* Before FINISH a session is for FINISH. */
static void
test_handshake_only(void **state)
{
	static const uint8_t	codes[] = { SPDM_HEARTBEAT, SPDM_KEY_UPDATE,
	    SPDM_END_SESSION, SPDM_GET_DIGESTS, SPDM_GET_MEASUREMENTS };
	size_t			i;

	client_connect();
	assert_int_equal(client_exchange(), SPDM_KEY_EXCHANGE_RSP);
	for (i = 0; i < sizeof(codes); i++) {
		sec4(codes[i], 1, 0);
		error_is(SPDM_E_UNEXPECTED);
	}
	client_finish();
	measured(true);
}

static void
test_refused_inside(void **state)
{
	uint8_t	msg[512] = { SPDM_V13, SPDM_CHALLENGE, 0, SPDM_SUMMARY_ALL };
	uint8_t	pub[SPDM_DHE_MAX] = { 0 };

	client_session();
	sec(msg, 44);
	error_is(SPDM_E_UNEXPECTED);
	sec4(SPDM_GET_VERSION, 0, 0);
	error_is(SPDM_E_UNEXPECTED);
	sec(msg, client_exchange_put(msg, sizeof(msg), pub));
	error_is(SPDM_E_UNEXPECTED);
	msg[1] = SPDM_FINISH;
	sec(msg, 36);
	error_is(SPDM_E_UNEXPECTED);
	/* In a record as in the clear: unknown, too short, another version. */
	sec4(0xaa, 0, 0);
	error_is(SPDM_E_UNSUPPORTED);
	sec(msg, 3);
	error_is(SPDM_E_INVALID_REQUEST);
	msg[0] = SPDM_V12;
	msg[1] = SPDM_HEARTBEAT;
	sec(msg, 4);
	error_is(SPDM_E_VERSION_MISMATCH);
	/* And it still stands. */
	assert_int_equal(sec4(SPDM_HEARTBEAT, 0, 0), SPDM_HEARTBEAT_ACK);
}

/* ---- KEY_EXCHANGE -------------------------------------------------------- */

/* At this byte another value, at this length. */
static const struct {
	const char	*what;
	int		 at, value, cut;
	uint8_t		 e;
} exchanges[] = {
	{ "a summary of no kind", 2, 0x33, 0, SPDM_E_INVALID_REQUEST },
	{ "slot 2", 3, 2, 0, SPDM_E_INVALID_REQUEST },
	{ "slot 9", 3, 9, 0, SPDM_E_INVALID_REQUEST },
	{ "a public key of no slot", 3, 0xff, 0, SPDM_E_INVALID_REQUEST },
	{ "a point off the curve", 40, -1, 0, SPDM_E_UNSPECIFIED },
	{ "OpaqueLength too long", 104, 0xff, 0, SPDM_E_INVALID_REQUEST },
	{ "OpaqueLength beyond its bound", 105, 0x05, 0,
	  SPDM_E_INVALID_REQUEST },
	{ "a byte less", 0, SPDM_V13, 1, SPDM_E_INVALID_REQUEST },
	{ "no opaque data", 104, 0, 20, SPDM_E_INVALID_REQUEST },
	{ "none of what it says", 0, SPDM_V13, 20, SPDM_E_INVALID_REQUEST },
	{ "half of it", 0, SPDM_V13, 80, SPDM_E_INVALID_REQUEST },
	{ "no element of opaque data", 106, 0, 0, SPDM_E_INVALID_REQUEST },
};

static void
test_exchange_form(void **state)
{
	uint8_t		msg[512], pub[SPDM_DHE_MAX];
	void		*key;
	size_t		i, len;

	client_connect();
	NEED(spdm_dhe.make(NULL, c.alg, &key, pub) == 0);
	spdm_dhe.release(NULL, key);
	for (i = 0; i < sizeof(exchanges) / sizeof(exchanges[0]); i++) {
		len = client_exchange_put(msg, sizeof(msg), pub);
		if (exchanges[i].value == -1)
			msg[exchanges[i].at] ^= 1;
		else
			msg[exchanges[i].at] = (uint8_t)exchanges[i].value;
		say(msg, len - (size_t)exchanges[i].cut);
		if (c.ans[1] != SPDM_ERROR || c.ans[2] != exchanges[i].e)
			fail_msg("%s: %02x%02x", exchanges[i].what, c.ans[1],
			    c.ans[2]);
		assert_false(responder_in_session(t.responder));
	}
	assert_int_equal(client_exchange(), SPDM_KEY_EXCHANGE_RSP);
}

/* Where no format was agreed on there is no opaque data (DSP0274, opaque
 * data format), and a session all the same. */
static void
test_no_format(void **state)
{
	c.other = 0;
	client_session();
	assert_int_equal(sec4(SPDM_HEARTBEAT, 0, 0), SPDM_HEARTBEAT_ACK);
}

/* A hundred of them make one session and one signature. */
static void
test_flood(void **state)
{
	unsigned	i;
	struct spdm_session	*s;

	client_connect();
	assert_int_equal(client_exchange(), SPDM_KEY_EXCHANGE_RSP);
	s = c.s;
	c.s = NULL;
	for (i = 0; i < 100; i++) {
		client_exchange();
		error_is(SPDM_E_SESSION_LIMIT);
	}
	assert_int_equal(dhe_made, 1);
	c.s = s;
	client_finish();
	client_exchange();
	error_is(SPDM_E_SESSION_LIMIT);
	assert_int_equal(sec4(SPDM_HEARTBEAT, 0, 0), SPDM_HEARTBEAT_ACK);
}

/* keyd gives no signature: Busy, and nothing is left. */
static void
test_no_signature(void **state)
{
	client_connect();
	t.no_key = true;
	client_exchange();
	error_is(SPDM_E_BUSY);
	assert_false(responder_in_session(t.responder));
	t.no_key = false;
	assert_int_equal(client_exchange(), SPDM_KEY_EXCHANGE_RSP);
	client_finish();
	t.no_key = true;
	sec((const uint8_t[45]){ SPDM_V13, SPDM_GET_MEASUREMENTS, 1, 0xff },
	    45);
	error_is(SPDM_E_BUSY);
	t.no_key = false;
	measured(true);
}

/* ---- signatures that take long ------------------------------------------- */

/* KEY_EXCHANGE_RSP comes to RESPOND_IF_READY. */
static void
test_deferred_exchange(void **state)
{
	uint8_t	msg[512], pub[SPDM_DHE_MAX], shared[SPDM_SHARED_MAX];
	uint8_t	again[4] = { SPDM_V13, SPDM_RESPOND_IF_READY,
	    SPDM_KEY_EXCHANGE, 0 };
	void	*key;
	size_t	len;

	client_connect();
	NEED(spdm_dhe.make(NULL, c.alg, &key, pub) == 0);
	len = client_exchange_put(msg, sizeof(msg), pub);
	c.keyd_mute = true;
	client_feed(false, msg, len);
	assert_int_equal(c.act, RESPONDER_SIGN);
	responder_defer(t.responder);
	again[3] = (uint8_t)responder_sign(t.responder)->serial;
	say(again, 4);
	error_is(SPDM_E_NOT_READY);
	client_sign();
	assert_int_equal(say(again, 4), SPDM_KEY_EXCHANGE_RSP);
	NEED(spdm_dhe.agree(NULL, c.alg, key, c.ans + 40, shared) == 0);
	client_exchanged(msg, len, shared);
	spdm_dhe.release(NULL, key);
	client_finish();
}

/* Whoever asks for something else meanwhile gives it up. */
static void
test_deferred_given_up(void **state)
{
	static const uint8_t	version[4] = { SPDM_V10, SPDM_GET_VERSION };
	unsigned		i;

	for (i = 0; i < 4; i++) {
		client_connect();
		c.keyd_mute = true;
		client_exchange();
		assert_int_equal(c.act, RESPONDER_SIGN);
		responder_defer(t.responder);
		if (i & 1)
			client_sign();
		if (i & 2)
			say(version, 4);
		else
			say4(SPDM_GET_DIGESTS, 0, 0);
		assert_false(responder_in_session(t.responder));
		/* It comes too late, and changes nothing. */
		assert_false(responder_signed(t.responder,
		    responder_sign(t.responder)->serial, NULL));
		c.keyd_mute = false;
	}
	client_connect();
	assert_int_equal(client_exchange(), SPDM_KEY_EXCHANGE_RSP);
}

/* The same inside; in the clear nobody gets it. */
static void
test_deferred_inside(void **state)
{
	uint8_t	msg[45] = { SPDM_V13, SPDM_GET_MEASUREMENTS, 1, 0xff };
	uint8_t	again[4] = { SPDM_V13, SPDM_RESPOND_IF_READY,
	    SPDM_GET_MEASUREMENTS, 0 };
	const uint8_t	*out;

	client_session();
	c.keyd_mute = true;
	client_seal(msg, sizeof(msg));
	client_feed(true, c.rec, c.rec_len);
	assert_int_equal(c.act, RESPONDER_SIGN);
	responder_defer(t.responder);
	out = responder_out(t.responder, &c.ans_secured, &c.anslen);
	memcpy(c.in, out, c.anslen);
	client_open();
	error_is(SPDM_E_NOT_READY);
	again[3] = c.ans[6];
	say(again, 4);
	error_is(SPDM_E_INVALID_REQUEST);
	sec(again, 4);
	error_is(SPDM_E_NOT_READY);
	client_sign();
	say(again, 4);
	error_is(SPDM_E_INVALID_REQUEST);
	assert_int_equal(sec(again, 4), SPDM_MEASUREMENTS);
	assert_true(responder_attested(t.responder));
	/* A session that ends meanwhile takes it along. */
	client_seal(msg, sizeof(msg));
	client_feed(true, c.rec, c.rec_len);
	responder_defer(t.responder);
	responder_expire(t.responder);
	client_sign();
	client_is_over();
	say(again, 4);
	error_is(SPDM_E_INVALID_REQUEST);
}

/* ---- FINISH -------------------------------------------------------------- */

static void
test_finish_wrong(void **state)
{
	static const struct { int at, len; uint8_t xor, e; } rows[] = {
		{ 4, 36, 1, SPDM_E_DECRYPT },	/* verify data */
		{ 35, 36, 0x80, SPDM_E_DECRYPT },
		{ 3, 36, 1, SPDM_E_DECRYPT },	/* not what was said */
		{ 2, 36, 1, SPDM_E_INVALID_REQUEST },	/* no signature */
		{ 2, 100, 1, SPDM_E_INVALID_REQUEST },	/* nobody asked */
		{ 2, 35, 0, SPDM_E_INVALID_REQUEST },
		{ 2, 37, 0, SPDM_E_INVALID_REQUEST },
	};
	uint8_t	msg[256];
	size_t	i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		client_connect();
		assert_int_equal(client_exchange(), SPDM_KEY_EXCHANGE_RSP);
		memset(msg, 0, sizeof(msg));
		client_finish_put(msg, NULL, NULL, 0);
		msg[rows[i].at] ^= rows[i].xor;
		sec(msg, (size_t)rows[i].len);
		error_is(rows[i].e);
		/* Wrong verify data is the end of the session. */
		assert_int_equal(responder_in_session(t.responder),
		    rows[i].e != SPDM_E_DECRYPT);
		spdm_session_free(c.s);
		c.s = NULL;
	}
}

/* Two secrets of two exchanges do not mix. */
static void
test_finish_of_another(void **state)
{
	uint8_t			msg[256];
	size_t			len;
	struct spdm_session	*other;

	client_connect();
	assert_int_equal(client_exchange(), SPDM_KEY_EXCHANGE_RSP);
	len = client_finish_put(msg, NULL, NULL, 0);
	other = c.s;
	client_connect();	/* GET_VERSION: the session is over */
	assert_int_equal(client_exchange(), SPDM_KEY_EXCHANGE_RSP);
	sec(msg, len);
	error_is(SPDM_E_DECRYPT);
	assert_false(responder_in_session(t.responder));
	spdm_session_free(other);
}

/* ---- records ------------------------------------------------------------- */

/* One byte of a record changed, for each byte: a word, then silence. */
static void
test_record_changed(void **state)
{
	uint8_t	rec[64];
	size_t	i;

	for (i = 0; i < 4 + 2 + 10 + SPDM_AEAD_TAG; i++) {
		client_session();
		client_seal((const uint8_t[]){ SPDM_V13, SPDM_HEARTBEAT, 0,
		    0 }, 4);
		assert_int_equal(c.rec_len, 4 + 2 + 10 + SPDM_AEAD_TAG);
		memcpy(rec, c.rec, c.rec_len);
		rec[i] ^= 1;
		client_feed(true, rec, c.rec_len);
		if (i < 6) {
			/* Another session, or no record: not a word. */
			assert_int_equal(c.act, RESPONDER_NONE);
			assert_true(responder_in_session(t.responder));
		} else {
			client_open();
			error_is(SPDM_E_DECRYPT);
			client_is_over();
		}
		spdm_session_free(c.s);
		c.s = NULL;
	}
}

static void
test_record_replayed(void **state)
{
	client_session();
	assert_int_equal(sec4(SPDM_HEARTBEAT, 0, 0), SPDM_HEARTBEAT_ACK);
	client_feed(true, c.rec, c.rec_len);
	client_open();
	error_is(SPDM_E_DECRYPT);
	client_is_over();
	/* FINISH, too, and what was sealed for the direction back. */
	client_connect();
	assert_int_equal(client_exchange(), SPDM_KEY_EXCHANGE_RSP);
	client_finish();
	client_feed(true, c.rec, c.rec_len);
	client_open();
	error_is(SPDM_E_DECRYPT);
	client_is_over();
	client_session();
	assert_int_equal(sec4(SPDM_HEARTBEAT, 0, 0), SPDM_HEARTBEAT_ACK);
	memcpy(c.rec, c.in, c.rec_len = 32);
	client_feed(true, c.rec, c.rec_len);
	client_open();
	error_is(SPDM_E_DECRYPT);
	client_is_over();
}

/* Every length of garbage, with and without a session. */
static void
test_record_garbage(void **state)
{
	uint8_t	garbage[RESPONDER_TRANSFER + 128] = { 0 };
	size_t	len, pass;

	client_connect();
	for (pass = 0; pass < 2; pass++) {
		for (len = 0; len <= sizeof(garbage);
		    len += len < 80 ? 1 : 997) {
			client_feed(true, garbage, len);
			assert_int_equal(c.act, RESPONDER_NONE);
		}
		if (pass == 0) {
			assert_int_equal(client_exchange(),
			    SPDM_KEY_EXCHANGE_RSP);
			client_finish();
			memcpy(garbage, c.id, 4);
		}
	}
	/* Longer than what we take has no place to be opened in. */
	garbage[4] = (uint8_t)(sizeof(garbage) - 6);
	garbage[5] = (uint8_t)((sizeof(garbage) - 6) >> 8);
	client_feed(true, garbage, sizeof(garbage));
	assert_int_equal(c.act, RESPONDER_NONE);
	assert_int_equal(sec4(SPDM_HEARTBEAT, 0, 0), SPDM_HEARTBEAT_ACK);
}

/* ---- KEY_UPDATE ---------------------------------------------------------- */

static void
test_key_update(void **state)
{
	client_session();
	sec4(SPDM_KEY_UPDATE, SPDM_VERIFY_NEW, 1);	/* there is none */
	error_is(SPDM_E_INVALID_REQUEST);
	sec4(SPDM_KEY_UPDATE, 0, 1);
	error_is(SPDM_E_INVALID_REQUEST);
	sec4(SPDM_KEY_UPDATE, 4, 1);
	error_is(SPDM_E_INVALID_REQUEST);
	assert_int_equal(sec4(SPDM_KEY_UPDATE, SPDM_UPDATE_KEY, 2),
	    SPDM_KEY_UPDATE_ACK);
	spdm_session_update(c.s, SPDM_SIDE_REQ);
	/* The next one before this one is verified. */
	sec4(SPDM_KEY_UPDATE, SPDM_UPDATE_KEY, 3);
	error_is(SPDM_E_INVALID_REQUEST);
	sec4(SPDM_KEY_UPDATE, SPDM_UPDATE_ALL, 3);
	error_is(SPDM_E_INVALID_REQUEST);
	assert_int_equal(sec4(SPDM_KEY_UPDATE, SPDM_VERIFY_NEW, 4),
	    SPDM_KEY_UPDATE_ACK);
	sec4(SPDM_KEY_UPDATE, SPDM_VERIFY_NEW, 4);
	error_is(SPDM_E_INVALID_REQUEST);
	update_all();
}

/* Who goes on with the old key, or sends it again, is out. */
static void
test_key_update_old(void **state)
{
	client_session();
	assert_int_equal(sec4(SPDM_KEY_UPDATE, SPDM_UPDATE_KEY, 2),
	    SPDM_KEY_UPDATE_ACK);
	client_feed(true, c.rec, c.rec_len);
	client_open();
	error_is(SPDM_E_DECRYPT);
	client_is_over();
	client_session();
	assert_int_equal(sec4(SPDM_KEY_UPDATE, SPDM_UPDATE_KEY, 2),
	    SPDM_KEY_UPDATE_ACK);
	sec4(SPDM_KEY_UPDATE, SPDM_VERIFY_NEW, 3);
	error_is(SPDM_E_DECRYPT);
	client_is_over();
}

/* ---- beside a session ---------------------------------------------------- */

/* In the clear a session changes nothing, and the other way round. */
static void
test_plain_beside(void **state)
{
	const uint8_t	count[12] = { SPDM_V13, SPDM_GET_MEASUREMENTS, 0, 0 };

	client_session();
	assert_int_equal(say4(SPDM_GET_DIGESTS, 0, 0), SPDM_DIGESTS);
	measured(false);
	/* M of the session and M of the connection do not mix. */
	assert_int_equal(say(count, sizeof(count)), SPDM_MEASUREMENTS);
	measured(true);
	assert_int_equal(sec(count, sizeof(count)), SPDM_MEASUREMENTS);
	assert_int_equal(say4(SPDM_GET_DIGESTS, 0, 0), SPDM_DIGESTS);
	measured(false);
	assert_int_equal(sec4(SPDM_HEARTBEAT, 0, 0), SPDM_HEARTBEAT_ACK);
}

/* GET_VERSION forgets it, in each of its phases; so does silence. */
static void
test_forgotten(void **state)
{
	unsigned	i;

	for (i = 0; i < 4; i++) {
		client_connect();
		assert_int_equal(client_exchange(), SPDM_KEY_EXCHANGE_RSP);
		if (i & 1)
			client_finish();
		client_seal((const uint8_t[]){ SPDM_V13, SPDM_HEARTBEAT, 0,
		    0 }, 4);
		if (i & 2) {
			responder_expire(t.responder);
			(void)responder_out(t.responder, &c.ans_secured,
			    &c.anslen);
			assert_false(c.ans_secured);
		} else
			client_connect();
		client_is_over();
	}
	/* A responder that goes while one stands leaves nothing (ASan). */
	client_session();
}

/* Nor a message of which a piece came, however the session ends. */
static void
test_forgotten_pieces(void **state)
{
	const struct spdm_chunk	*one;
	uint8_t			 msg[SPDM_MIN_TRANSFER + 4] = { SPDM_V13,
	    SPDM_CHUNK_SEND, 0, 1, [8] = SPDM_MIN_TRANSFER + 4 -
	    SPDM_CHUNK_HDR - SPDM_CHUNK_SIZE, [12] = 100 };
	unsigned		 i;

	c.caps |= SPDM_CAP_CHUNK;
	for (i = 0; i < 3; i++) {
		client_session();
		one = &t.responder->chunk.one;
		assert_int_equal(sec(msg, sizeof(msg)), SPDM_CHUNK_SEND_ACK);
		assert_int_equal(one->state, CHUNK_IN);
		assert_non_null(one->msg);
		if (i == 0)
			responder_expire(t.responder);
		else if (i == 1) {
			client_seal(msg, sizeof(msg));
			c.rec[c.rec_len - 1] ^= 1;
			client_feed(true, c.rec, c.rec_len);
		} else
			(void)sec4(SPDM_END_SESSION, 0, 0);
		assert_null(one->msg);
		spdm_session_free(c.s);
		c.s = NULL;
	}
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		CLIENT(test_whole), CLIENT(test_p384_mctp),
		CLIENT(test_wiped), CLIENT(test_no_key_before), CLIENT(test_outside),
		CLIENT(test_not_negotiated), CLIENT(test_handshake_only),
		CLIENT(test_refused_inside), CLIENT(test_exchange_form),
		CLIENT(test_no_format), CLIENT(test_flood), CLIENT(test_no_signature),
		CLIENT(test_deferred_exchange),
		CLIENT(test_deferred_given_up), CLIENT(test_deferred_inside),
		CLIENT(test_finish_wrong), CLIENT(test_finish_of_another),
		CLIENT(test_record_changed), CLIENT(test_record_replayed),
		CLIENT(test_record_garbage), CLIENT(test_key_update),
		CLIENT(test_key_update_old), CLIENT(test_plain_beside),
		CLIENT(test_forgotten), CLIENT(test_forgotten_pieces),
	};

	return cmocka_run_group_tests_name("spdm_session_rsp", tests,
	    client_setup, client_teardown);
}
