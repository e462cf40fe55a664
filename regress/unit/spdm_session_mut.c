/*
 * Mutual authentication as the responder: who shows a chain of an accepted
 * root and signs with its leaf gets the session, and nobody else does.
 */
#include "spdm_client.h"

static struct spdm_root	root;
static struct spdm_slot	shown;		/* the requester's slot 0 */
static unsigned		portion;	/* bytes of each */

/* What the requester sends in the place of the right thing. */
static struct wrong {
	uint8_t	id;		/* added to the request id */
	uint8_t	code, version;	/* of the encapsulated response; 0: right */
	int	xor_digest;	/* a byte of DIGESTS */
	int	xor_chain;	/* a byte of the first portion */
	int	slot;		/* of CERTIFICATE */
	int	grow;		/* added to the remainder of the second one */
	int	empty;		/* a portion of nothing */
	int	longer;		/* bytes behind the portion */
} wrong;

static void
root_set(X509 *x)
{
	uint8_t	der[4096];
	size_t	n = soft_der(x, der);

	root.cert = x;
	spdm_hash(spdm_sha256(), der, n, root.sha256);
	spdm_hash(spdm_md(spdm_alg(KEY_P384)), der, n, root.sha384);
}

static int
before(void **state)
{
	client_before(state);
	memset(&wrong, 0, sizeof(wrong));
	c.caps = CLIENT_MUTUAL;
	t.rc.caps.flags |= SPDM_CAP_MUT_AUTH | SPDM_CAP_ENCAP;
	t.rc.mutual = SPDM_MUT_ENCAP;
	t.rc.roots = &root;
	t.rc.nroots = 1;
	root_set(soft.root);
	portion = 400;
	return spdm_slot_set(&shown, 0, KEY_P256, soft.chain0, soft.len0);
}

static int
after(void **state)
{
	spdm_slot_clear(&shown);
	return client_after(state);
}

#define MUTUAL(f)	cmocka_unit_test_setup_teardown(f, before, after)

/* ---- the encapsulated flow, as the requester ----------------------------- */

/* DELIVER_ENCAPSULATED_RESPONSE; the code of the answer. */
static uint8_t
deliver(uint8_t id, const uint8_t *msg, size_t len)
{
	uint8_t	buf[0x2000] = { c.version, SPDM_DELIVER_ENCAPSULATED,
	    (uint8_t)(id + wrong.id) };

	memcpy(buf + 4, msg, len);
	if (wrong.version != 0)
		buf[4] = wrong.version;
	if (wrong.code != 0)
		buf[5] = wrong.code;
	return sec(buf, 4 + len);
}

static uint8_t
deliver_digests(uint8_t id)
{
	uint8_t	msg[4 + SPDM_HASH_MAX] = { c.version, SPDM_DIGESTS,
	    c.version >= SPDM_V13 ? 1 : 0, 1 };

	memcpy(msg + 4, shown.digest, c.alg->hash_len);
	if (wrong.xor_digest)
		msg[4] ^= 1;
	return deliver(id, msg, 4 + c.alg->hash_len);
}

/* CERTIFICATE for the question in the last answer. */
static uint8_t
deliver_portion(unsigned number)
{
	const uint8_t	*ask = c.ans + 8;
	uint8_t		 msg[0x1800] = { c.version, SPDM_CERTIFICATE }, id;
	size_t		 at = ask[4] | (size_t)ask[5] << 8;
	size_t		 n = ask[6] | (size_t)ask[7] << 8, left;

	id = c.ans[2];
	assert_int_equal(c.ans[3], 1);
	assert_int_equal(ask[1], SPDM_GET_CERTIFICATE);
	assert_int_equal(ask[2], 0);
	assert_true(at < shown.len);
	if (n > portion)
		n = portion;
	if (n > shown.len - at)
		n = shown.len - at;
	if (wrong.empty)
		n = 0;
	left = shown.len - at - n + (number == 1 ? (size_t)wrong.grow : 0);
	msg[2] = (uint8_t)wrong.slot;
	msg[4] = (uint8_t)n;
	msg[5] = (uint8_t)(n >> 8);
	msg[6] = (uint8_t)left;
	msg[7] = (uint8_t)(left >> 8);
	memcpy(msg + 8, shown.content + at, n);
	if (wrong.xor_chain && number == 0)
		msg[8 + wrong.xor_chain] ^= 1;
	return deliver(id, msg, 8 + n + (size_t)wrong.longer);
}

/* All of it, until the responder has no question or refuses. */
static uint8_t
authenticate(void)
{
	uint8_t		id = 0;
	unsigned	i;

	if (c.mutual == SPDM_MUT_ENCAP) {
		assert_int_equal(sec4(SPDM_GET_ENCAPSULATED, 0, 0),
		    SPDM_ENCAPSULATED_REQUEST);
		id = c.ans[2];
		assert_memory_equal(c.ans + 4, ((uint8_t[]){ c.version,
		    SPDM_GET_DIGESTS, 0, 0 }), 4);
	}
	if (deliver_digests(id) != SPDM_ENCAPSULATED_ACK)
		return c.ans[1];
	assert_int_equal(c.ans[4], id);
	for (i = 0; c.ans[3] == 1; i++) {
		id = c.ans[2];
		if (deliver_portion(i) != SPDM_ENCAPSULATED_ACK)
			return c.ans[1];
		assert_int_equal(c.ans[4], id);
	}
	assert_int_equal(c.ans[2], 0);
	return c.ans[1];
}

static uint8_t
finish(EVP_PKEY *key, uint8_t slot)
{
	uint8_t	msg[256];

	return sec(msg, client_finish_put(msg, key, shown.digest, slot));
}

static void
begin(void)
{
	client_connect();
	assert_int_equal(client_exchange(), SPDM_KEY_EXCHANGE_RSP);
}

static void
end(void)
{
	spdm_session_free(c.s);
	c.s = NULL;
}

/* ---- right --------------------------------------------------------------- */

static void
test_flow(void **state)
{
	static const uint8_t	ways[] = { SPDM_MUT_ENCAP, SPDM_MUT_DIGESTS };
	size_t			i, v;

	for (v = SPDM_V12; v <= SPDM_V13; v++)
		for (i = 0; i < sizeof(ways); i++) {
			c.version = (uint8_t)v;
			t.rc.mutual = ways[i];
			portion = i == 0 ? 400 : 0x1200;
			begin();
			assert_int_equal(c.mutual, ways[i]);
			assert_int_equal(authenticate(),
			    SPDM_ENCAPSULATED_ACK);
			finish(soft.key, 0);
			client_finished();
			assert_int_equal(sec4(SPDM_HEARTBEAT, 0, 0),
			    SPDM_HEARTBEAT_ACK);
			end();
		}
}

/* The chain is known already: no question is asked. */
static void
test_known(void **state)
{
	t.rc.mutual = SPDM_MUT_KNOWN;
	t.rc.known = &shown;
	t.rc.known_slot = 3;
	begin();
	assert_int_equal(c.mutual, SPDM_MUT_KNOWN);
	assert_int_equal(c.slot_param, 3);
	sec4(SPDM_GET_ENCAPSULATED, 0, 0);
	error_is(SPDM_E_NO_PENDING);
	finish(soft.key, 3);
	client_finished();
	end();
	/* Not the slot that was asked for. */
	begin();
	finish(soft.key, 0);
	error_is(SPDM_E_INVALID_REQUEST);
	end();
	/* A known chain that has lost its root is none. */
	root.sha256[0] ^= 1;
	client_connect();
	client_exchange();
	error_is(SPDM_E_UNSPECIFIED);
	assert_false(responder_in_session(t.responder));
}

/* ---- capabilities -------------------------------------------------------- */

static void
test_unable(void **state)
{
	static const uint32_t	without[] = { SPDM_CAP_MUT_AUTH,
	    SPDM_CAP_ENCAP, SPDM_CAP_MUT_AUTH | SPDM_CAP_CERT |
	    SPDM_CAP_CHAL };
	size_t			i;

	for (i = 0; i < sizeof(without) / sizeof(without[0]); i++) {
		c.caps = CLIENT_MUTUAL & ~without[i];
		client_connect();
		client_exchange();
		error_is(SPDM_E_UNSUPPORTED);
		assert_false(responder_in_session(t.responder));
	}
	/* It is attested all the same. */
	assert_int_equal(say4(SPDM_GET_DIGESTS, 0, 0), SPDM_DIGESTS);
	assert_int_equal(dhe_made, 0);
}

/* ---- FINISH -------------------------------------------------------------- */

static void
test_finish_early(void **state)
{
	unsigned	i;

	for (i = 0; i < 3; i++) {
		begin();
		if (i > 0)
			sec4(SPDM_GET_ENCAPSULATED, 0, 0);
		if (i > 1)
			deliver_digests(c.ans[2]);
		finish(soft.key, 0);
		error_is(SPDM_E_IN_FLIGHT);
		assert_true(responder_in_session(t.responder));
		end();
	}
}

static void
test_finish_signature(void **state)
{
	EVP_PKEY	*other = EVP_EC_gen("prime256v1");
	uint8_t		 msg[256];
	size_t		 len;

	begin();
	authenticate();
	finish(other, 0);
	error_is(SPDM_E_DECRYPT);
	assert_int_equal(responder_why(t.responder)->reason,
	    R_ATT_SESSION_MUTUAL);
	client_is_over();
	EVP_PKEY_free(other);
	/* Without a signature, and with that of another slot. */
	begin();
	authenticate();
	sec(msg, client_finish_put(msg, NULL, shown.digest, 0));
	error_is(SPDM_E_INVALID_REQUEST);
	end();
	begin();
	authenticate();
	finish(soft.key, 1);
	error_is(SPDM_E_INVALID_REQUEST);
	end();
	/* A right signature and wrong verify data. */
	begin();
	authenticate();
	len = client_finish_put(msg, soft.key, shown.digest, 0);
	msg[len - 1] ^= 1;
	sec(msg, len);
	error_is(SPDM_E_DECRYPT);
	client_is_over();
}

/* ---- chains -------------------------------------------------------------- */

static void
chain_refused(enum reason reason)
{
	begin();
	assert_int_equal(authenticate(), SPDM_ERROR);
	error_is(SPDM_E_UNSPECIFIED);
	if (responder_why(t.responder)->reason != reason)
		fail_msg("%s instead of %s", reason_code(
		    responder_why(t.responder)->reason), reason_code(reason));
	client_is_over();
}

/* A leaf like this one, in the place of the requester's. */
static void
leaf(const struct soft_cert *like, EVP_PKEY *key)
{
	uint8_t	ders[4096];
	X509	*x = soft_issue(like, key, soft.root, soft.root_key);
	size_t	 n = soft_der(soft.root, ders);

	n += soft_der(x, ders + n);
	X509_free(x);
	NEED(spdm_slot_set(&shown, 0, KEY_P256, ders, n) == 0);
}

static void
test_chain(void **state)
{
	struct soft_cert	like = soft_leaf;
	struct soft		other;

	like.eku = "1.3.6.1.4.1.412.274.3";	/* a responder's only */
	leaf(&like, soft.key);
	chain_refused(R_ATT_LEAF_EKU);
	like.eku = "1.3.6.1.4.1.412.274.4";
	leaf(&like, soft.key);
	begin();
	assert_int_equal(authenticate(), SPDM_ENCAPSULATED_ACK);
	end();
	like = soft_leaf;
	like.bc = "critical,CA:TRUE";
	leaf(&like, soft.key);
	chain_refused(R_ATT_LEAF_CA);
	/* Time counts here: nobody else judges a requester. */
	leaf(&soft_leaf, soft.key);
	t.rc.now = 1;
	chain_refused(R_ATT_SESSION_MUTUAL);
	t.rc.now = (uint64_t)time(NULL);
	begin();
	assert_int_equal(authenticate(), SPDM_ENCAPSULATED_ACK);
	end();
	like = soft_leaf;
	like.from = 100;		/* by a clock before ours */
	leaf(&like, soft.key);
	begin();
	assert_int_equal(authenticate(), SPDM_ENCAPSULATED_ACK);
	end();
	like.from = 3600;
	leaf(&like, soft.key);
	chain_refused(R_ATT_SESSION_MUTUAL);
	/* Another maker's. */
	soft_new(&other, KEY_P256);
	NEED(spdm_slot_set(&shown, 0, KEY_P256, other.chain0, other.len0)
	    == 0);
	chain_refused(R_ATT_CHAIN_ROOT);
	t.rc.nroots = 0;
	leaf(&soft_leaf, soft.key);
	chain_refused(R_ATT_CHAIN_ROOT);
	soft_free(&other);
}

/* ---- answers that are none ----------------------------------------------- */

static void
response_refused(uint8_t e)
{
	begin();
	assert_int_equal(authenticate(), SPDM_ERROR);
	error_is(e);
	if (e == SPDM_E_INVALID_RESPONSE) {
		assert_int_equal(responder_why(t.responder)->reason,
		    R_ATT_SESSION_MUTUAL);
		client_is_over();
	} else {
		assert_true(responder_in_session(t.responder));
		end();
	}
	memset(&wrong, 0, sizeof(wrong));
}

static void
test_responses(void **state)
{
	wrong.id = 1;
	response_refused(SPDM_E_INVALID_REQUEST);
	wrong.code = SPDM_ERROR;
	response_refused(SPDM_E_INVALID_RESPONSE);
	wrong.code = SPDM_CHALLENGE_AUTH;
	response_refused(SPDM_E_INVALID_RESPONSE);
	wrong.version = SPDM_V12;
	response_refused(SPDM_E_INVALID_RESPONSE);
	wrong.xor_digest = 1;
	response_refused(SPDM_E_INVALID_RESPONSE);
	wrong.xor_chain = 60;
	response_refused(SPDM_E_INVALID_RESPONSE);
	wrong.slot = 1;
	response_refused(SPDM_E_INVALID_RESPONSE);
	wrong.grow = 1;
	response_refused(SPDM_E_INVALID_RESPONSE);
	wrong.grow = -1;
	response_refused(SPDM_E_INVALID_RESPONSE);
	wrong.empty = 1;
	response_refused(SPDM_E_INVALID_RESPONSE);
	wrong.longer = 1;
	response_refused(SPDM_E_INVALID_RESPONSE);
}

/* Slots of nothing, and masks that promise more than there is. */
static void
test_digests(void **state)
{
	static const struct { uint8_t mask; size_t len; } rows[] = {
		{ 0, 4 }, { 1, 4 }, { 1, 35 }, { 3, 36 }, { 0, 36 },
		{ 0xff, 36 }
	};
	uint8_t	msg[64];
	size_t	i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin();
		sec4(SPDM_GET_ENCAPSULATED, 0, 0);
		memset(msg, 0, sizeof(msg));
		msg[0] = SPDM_V13;
		msg[1] = SPDM_DIGESTS;
		msg[3] = rows[i].mask;
		assert_int_equal(deliver(c.ans[2], msg, rows[i].len),
		    SPDM_ERROR);
		error_is(SPDM_E_INVALID_RESPONSE);
		client_is_over();
	}
	begin();
	sec4(SPDM_GET_ENCAPSULATED, 0, 0);
	deliver(c.ans[2], msg, 3);	/* no header */
	error_is(SPDM_E_INVALID_REQUEST);
	end();
}

/* A chain that comes byte by byte does not come. */
static void
test_endless(void **state)
{
	unsigned	i;

	portion = 1;
	begin();
	sec4(SPDM_GET_ENCAPSULATED, 0, 0);
	deliver_digests(c.ans[2]);
	for (i = 0; c.ans[1] == SPDM_ENCAPSULATED_ACK; i++)
		deliver_portion(i);
	assert_int_equal(i, 65);
	error_is(SPDM_E_INVALID_RESPONSE);
	client_is_over();
	/* Nor one that says it is longer than any. */
	wrong.grow = 0x8000;
	portion = 100;
	begin();
	sec4(SPDM_GET_ENCAPSULATED, 0, 0);
	deliver_digests(c.ans[2]);
	deliver_portion(1);
	error_is(SPDM_E_INVALID_RESPONSE);
	client_is_over();
}

/* Answers to what nobody asked, anywhere. */
static void
test_not_asked(void **state)
{
	uint8_t	msg[8] = { SPDM_V13, SPDM_DELIVER_ENCAPSULATED, 0, 0,
	    SPDM_V13, SPDM_DIGESTS, 0, 0 };

	client_connect();
	say(msg, sizeof(msg));
	error_is(SPDM_E_UNEXPECTED);
	say4(SPDM_GET_ENCAPSULATED, 0, 0);
	error_is(SPDM_E_NO_PENDING);
	assert_int_equal(client_exchange(), SPDM_KEY_EXCHANGE_RSP);
	sec(msg, sizeof(msg));		/* before it was asked */
	error_is(SPDM_E_UNEXPECTED);
	sec4(SPDM_GET_ENCAPSULATED, 0, 0);
	sec4(SPDM_GET_ENCAPSULATED, 0, 0);	/* twice */
	error_is(SPDM_E_IN_FLIGHT);
	end();
	begin();
	authenticate();
	sec(msg, sizeof(msg));		/* after the end */
	error_is(SPDM_E_UNEXPECTED);
	sec4(SPDM_GET_ENCAPSULATED, 0, 0);
	error_is(SPDM_E_NO_PENDING);
	finish(soft.key, 0);
	client_finished();
	sec(msg, sizeof(msg));
	error_is(SPDM_E_UNEXPECTED);
	sec4(SPDM_GET_ENCAPSULATED, 0, 0);
	error_is(SPDM_E_NO_PENDING);
	end();
	/* The code for it is one of 1.3. */
	c.version = SPDM_V12;
	begin();
	authenticate();
	sec4(SPDM_GET_ENCAPSULATED, 0, 0);
	error_is(SPDM_E_UNEXPECTED);
}

/* Whoever goes in the middle of it leaves nothing (ASan). */
static void
test_gone(void **state)
{
	unsigned	i;

	for (i = 0; i < 4; i++) {
		begin();
		sec4(SPDM_GET_ENCAPSULATED, 0, 0);
		if (i > 0)
			deliver_digests(c.ans[2]);
		if (i > 1)
			deliver_portion(0);
		if (i > 2)
			responder_expire(t.responder);
		end();
	}
	begin();
	authenticate();
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		MUTUAL(test_flow), MUTUAL(test_known), MUTUAL(test_unable),
		MUTUAL(test_finish_early), MUTUAL(test_finish_signature),
		MUTUAL(test_chain), MUTUAL(test_responses),
		MUTUAL(test_digests), MUTUAL(test_endless),
		MUTUAL(test_not_asked), MUTUAL(test_gone),
	};

	return cmocka_run_group_tests_name("spdm_session_mut", tests,
	    client_setup, client_teardown);
}
