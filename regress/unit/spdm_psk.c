/*
 * Sessions with a one-time code: our requester with our responder, with
 * somebody between them who has another node's answers, and with peers that
 * have no code, another one, or one that was used.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/hmac.h>
#include <openssl/sha.h>

#include "spdm_trial.h"
#include "hex.h"

static const uint8_t	hint[SPDM_HINT] = "sixteen bytes id";

/* Two keyds, as far as a session needs them. */
static struct {
	uint8_t		 code[2][16];	/* requester's, responder's */
	unsigned	 used[2];	/* how often each gave secrets */
	uint8_t		 error;		/* of the responder's, 0: none */
	const char	*refusal;	/* of the requester's, or NULL */
	unsigned	 away;		/* the responder's, so many times */
	bool		 no_node;	/* both forget the node */
	bool		 slow;		/* the responder's */
	uint8_t		 request[48], response[48], master[48];
	struct spdm_secrets secrets;
} k;

static const struct spdm_secrets *
derive(unsigned side, const struct spdm_psk *p, const char *node)
{
	uint8_t		 in[1 + 40 + 48] = { 0 };
	uint8_t		*out[] = { k.request, k.response, k.master };
	unsigned	 i;

	assert_memory_equal(p->hint, hint, SPDM_HINT);
	assert_int_equal(strlen(node), 40);
	if (!k.no_node)
		memcpy(in + 1, node, 40);
	memcpy(in + 41, p->th1, p->hash_len);
	for (i = 0; i < 3; i++) {
		in[0] = (uint8_t)i;
		assert_non_null(HMAC(EVP_sha384(), k.code[side], 16, in,
		    sizeof(in), out[i], NULL));
	}
	k.used[side]++;
	k.secrets = (struct spdm_secrets){ k.request, k.response, k.master };
	return &k.secrets;
}

/* The node id of a key, computed from the certificate. */
static void
node_of(X509 *leaf, char node[41])
{
	uint8_t	*der = NULL, md[32];
	int	 n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(leaf), &der);

	assert_true(n > 0);
	SHA256(der, (size_t)n, md);
	hex(md, 20, node);
	OPENSSL_free(der);
}

static enum spdm_act
requester_keys(struct talk *talk)
{
	const struct spdm_psk	*p = requester_psk(talk->requester);

	if (k.refusal != NULL)
		return requester_secrets(talk->requester, NULL, k.refusal);
	return requester_secrets(talk->requester, derive(0, p, p->node),
	    NULL);
}

static void
responder_answer(struct responder *r, X509 *leaf)
{
	const struct spdm_psk	*p = responder_psk(r);
	char			 node[41];
	uint8_t			 e = k.error;

	node_of(leaf, node);
	if (k.away > 0) {
		k.away--;
		e = SPDM_E_BUSY;
	}
	if (k.slow)
		responder_defer(r);
	assert_int_equal(responder_secrets(r, p->serial, e != 0 ? NULL :
	    derive(1, p, node), e), !k.slow);
	assert_false(responder_secrets(r, p->serial, &k.secrets, 0));
}

static void
responder_keys(struct talk *talk)
{
	talk->asked = 0;	/* no signature is late */
	responder_answer(talk->responder, talk->soft->leaf);
}

static int
before_code(void **state)
{
	memset(&k, 0, sizeof(k));
	memset(k.code, 0x42, sizeof(k.code));
	before(state);
	requester_offer_code(&t.qc, hint);
	t.keys = requester_keys;
	t.psk = responder_keys;
	return 0;
}

/* Evidence never says "code" unless all of it was right. */
static void
expect(enum reason want)
{
	k.used[0] = k.used[1] = 0;
	run_expect(want);
	assert_int_equal(requester_evidence(t.requester)->code,
	    want == R_OK);
}

static void
right(void)
{
	unsigned	v;

	for (v = 1; v <= 3; v++) {
		t.qc.versions = v;
		expect(R_OK);
		assert_int_equal(k.used[0], 1);
		assert_int_equal(k.used[1], 1);
		assert_true(requester_evidence(t.requester)->nblocks > 0);
		assert_null(t.requester->ses.s);	/* it was ended */
		assert_false(responder_in_session(t.responder));
	}
}

static void
test_right(void **state)
{
	right();
	t.binding = (struct spdm_binding){ .seq_len = 2, .pad_max = 32,
	    .mctp = true };
	right();
}

static void
test_p384(void **state)
{
	struct soft	other;

	talk_free(&t);
	soft_new(&other, KEY_P384);
	talk_init(&t, &other);
	requester_offer_code(&t.qc, hint);
	t.keys = requester_keys;
	t.psk = responder_keys;
	right();
	talk_free(&t);
	soft_free(&other);
	talk_init(&t, &soft);
}

/* The second measurements are asked with another nonce than the job's. */
static uint8_t	nonces[2][SPDM_NONCE];
static unsigned	nnonces;

static void
see_nonce(struct talk *talk, uint8_t *p, size_t *len)
{
	const uint8_t	*req = talk->requester->req.data;

	if (talk->requester->asked == SPDM_GET_MEASUREMENTS && nnonces < 2)
		memcpy(nonces[nnonces++], req + 4, SPDM_NONCE);
}

static void
test_nonces(void **state)
{
	nnonces = 0;
	t.request = see_nonce;
	expect(R_OK);
	assert_int_equal(nnonces, 2);
	assert_memory_equal(nonces[0], t.nonce, SPDM_NONCE);
	assert_memory_not_equal(nonces[1], t.nonce, SPDM_NONCE);
}

/* It did not type it (yet): nothing is asked of our keyd, nothing burned. */
static void
test_unknown(void **state)
{
	k.error = SPDM_E_INVALID_REQUEST;
	expect(R_ATT_CODE_UNKNOWN);
	assert_int_equal(k.used[0], 0);
	k.error = SPDM_E_UNSPECIFIED;
	expect(R_ATT_CODE_REFUSED);
	assert_int_equal(k.used[0], 0);
}

static void
test_keyd_away(void **state)
{
	k.away = 3;
	expect(R_OK);
	assert_int_equal(t.waits, 3);
	k.away = 100;
	expect(R_ATT_BUSY);
	k.away = 0;
	k.refusal = "KEY-031";
	expect(R_ATT_CODE_KEYD);
}

static void
test_keyd_slow(void **state)
{
	k.slow = true;
	expect(R_OK);
	assert_int_equal(t.waits, 1);
}

/* Whoever claims an id without the code. */
static void
test_other_code(void **state)
{
	k.code[1][15] ^= 1;
	expect(R_ATT_CODE_PROOF);
	assert_int_equal(k.used[0], 1);		/* burned all the same */
}

static void
test_capabilities(void **state)
{
	uint32_t	flags = t.rc.caps.flags;

	t.rc.caps.flags = flags & ~SPDM_CAP_PSK_CONTEXT;
	expect(R_ATT_CODE_CAPABILITY);
	/* PSK without context: its freshness would be ours alone. */
	t.rc.caps.flags |= SPDM_CAP_PSK_ASKS;
	expect(R_ATT_CODE_CAPABILITY);
	t.rc.caps.flags = flags & ~SPDM_CAP_ENCRYPT;
	expect(R_ATT_CODE_CAPABILITY);
	t.rc.caps.flags = flags & ~SPDM_CAP_MAC;
	expect(R_ATT_CODE_CAPABILITY);
	t.rc.caps.flags = flags;
	t.rc.algs.table[SPDM_T_AEAD] = 0;
	expect(R_ATT_NO_ALGORITHM);
}

/* ---- somebody between ---------------------------------------------------- */

static void
flip_response(struct talk *talk, uint8_t *p, size_t *len)
{
	if (p[1] != talk->code || talk->at / 8 >= *len)
		return;
	p[talk->at / 8] ^= (uint8_t)(1 << talk->at % 8);
	talk->hits++;
}

static void
flip_request(struct talk *talk, uint8_t *p, size_t *len)
{
	flip_response(talk, p, len);
}

/* What the answer was not free to choose has a reason of its own. */
static void
test_fields(void **state)
{
	static const struct { size_t byte; enum reason r; } rows[] = {
		{ 2, R_ATT_KEY_EXCHANGE_FIELD },	/* a heartbeat */
		{ 8, R_ATT_FORM },	/* length of the context */
		{ 10, R_ATT_FORM },	/* of the opaque data */
		{ 12, R_ATT_SUMMARY },
		{ 12 + 32, R_ATT_CODE_PROOF },		/* the context */
		{ 12 + 32 + 32, R_ATT_SECURED_VERSION },
		{ 12 + 32 + 32 + 12, R_ATT_CODE_PROOF },	/* verify data */
	};
	size_t	i;

	t.response = flip_response;
	t.code = SPDM_PSK_EXCHANGE_RSP;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		t.at = rows[i].byte * 8;
		expect(rows[i].r);
		assert_int_equal(t.hits, 1);
	}
}

/* One bit of each byte of a message, request or answer: never a code. */
static void
flip_each(uint8_t code, size_t *bytes)
{
	t.code = code;
	for (t.at = 0;; t.at += 8 + (t.at / 8 % 7 == 3)) {
		enum reason	r = talk_run(&t);

		if (t.hits == 0)
			break;
		if (r == R_OK || requester_evidence(t.requester)->code)
			fail_msg("%s, bit %zu", spdm_code_name(code), t.at);
	}
	*bytes = t.at / 8;
}

static void
test_flipped_answer(void **state)
{
	size_t	n;

	t.response = flip_response;
	flip_each(SPDM_PSK_EXCHANGE_RSP, &n);
	assert_true(n > 12 + 32 + 32 + 32);
}

static void
test_flipped_request(void **state)
{
	size_t	n;

	t.request = flip_request;
	k.no_node = false;
	/* Another hint is another code: the keyds here know only one. */
	t.code = SPDM_PSK_EXCHANGE;
	for (t.at = 0; t.at / 8 < 12; t.at += 9) {
		assert_int_not_equal(talk_run(&t), R_OK);
		assert_int_equal(t.hits, 1);
	}
	for (t.at = 28 * 8; ; t.at += 9) {
		assert_true(talk_run(&t) != R_OK || t.hits == 0);
		if (t.hits == 0)
			break;
	}
	n = t.at / 8;
	assert_true(n >= 28 + 32);
}

/*
 * Mallory has a genuine device and the line to b, whose operator typed the
 * code. He answers with his own certificates and lets b answer PSK_EXCHANGE
 * and what comes after it.
 */
static void
relay(enum reason want)
{
	struct soft		 b;
	struct spdm_slot	 slots[SPDM_SLOTS] = { 0 };
	struct responder_conf	 bc = t.rc;
	struct responder	*other;
	enum spdm_act		 act;
	const uint8_t		*p;
	size_t			 len;
	bool			 secured, lent = false;
	uint8_t			 code;

	soft_new(&b, KEY_P256);
	assert_int_equal(spdm_slot_set(&slots[0], 6, KEY_P256, b.chain0,
	    b.len0), 0);
	bc.slots = slots;
	talk_over(&t);
	t.messages = 0;
	t.responder = responder_new(&t.rc);
	t.requester = requester_new(&t.qc, t.nonce);
	other = responder_new(&bc);
	act = requester_start(t.requester);
	while (act != SPDM_DONE && act != SPDM_FAIL) {
		if (act == SPDM_KEYS) {
			act = requester_keys(&t);
			continue;
		}
		assert_int_equal(act, SPDM_SEND);
		p = requester_out(t.requester, &secured, &len);
		code = t.requester->asked;
		lent = lent || code == SPDM_PSK_EXCHANGE;
		/* What TH begins with goes to both, and is the same. */
		if (!lent && code != SPDM_GET_VERSION &&
		    code != SPDM_GET_CAPABILITIES &&
		    code != SPDM_NEGOTIATE_ALGORITHMS) {
			act = talk_exchange(&t);
			continue;
		}
		switch (responder_feed(other, secured, p, len)) {
		case RESPONDER_PSK:
			responder_answer(other, b.leaf);
			break;
		case RESPONDER_SIGN: {
			const struct responder_sign *sg =
			    responder_sign(other);
			uint8_t	sig[SPDM_SIG_MAX];

			soft_sign(b.key, b.alg, sg->version, sg->context,
			    sg->hash, sig);
			assert_true(responder_signed(other, sg->serial, sig));
			break;
		}
		case RESPONDER_SEND:
		case RESPONDER_NONE:
			break;
		}
		if (!lent) {
			act = talk_exchange(&t);
			continue;
		}
		p = responder_out(other, &secured, &len);
		memcpy(t.buf, p, len);
		act = requester_feed(t.requester, secured, t.buf, len);
	}
	assert_true(lent);
	assert_int_equal(act, SPDM_FAIL);
	assert_int_equal(requester_why(t.requester)->reason, want);
	assert_false(requester_evidence(t.requester)->code);
	responder_free(other);
	spdm_slot_clear(&slots[0]);
	soft_free(&b);
}

static void
test_relay(void **state)
{
	relay(R_ATT_CODE_PROOF);
}

/* Were the node not in the key: then the second signature tells. */
static void
test_relay_without_node(void **state)
{
	k.no_node = true;
	relay(R_ATT_MEASURE_SIGNATURE);
}

/* ---- a requester that does what it likes --------------------------------- */

static uint8_t	answer[TALK_MSG];
static size_t	answer_len;

static uint8_t
say(const void *msg, size_t len)
{
	const uint8_t	*p;
	bool		 secured;

	if (responder_feed(t.responder, false, msg, len) == RESPONDER_PSK)
		responder_keys(&t);
	p = responder_out(t.responder, &secured, &answer_len);
	assert_false(secured);
	memcpy(answer, p, answer_len);
	return answer[1] == SPDM_ERROR ? answer[2] : 0;
}

static uint8_t	psk_msg[128];
static size_t	psk_len;

/* The conversation until PSK_EXCHANGE, which is kept and not sent. */
static void
keep_psk(struct talk *talk, uint8_t *p, size_t *len)
{
	if (p[1] != SPDM_PSK_EXCHANGE)
		return;
	memcpy(psk_msg, p, *len);
	psk_len = *len;
	*len = 1;		/* too short to be a message */
}

static void
connected(void)
{
	t.request = keep_psk;
	psk_len = 0;
	assert_int_not_equal(talk_run(&t), R_OK);
	assert_true(psk_len > 28 + 32);
	t.request = NULL;
}

static void
test_form(void **state)
{
	static const struct { size_t at; uint8_t v; } bad[] = {
		{ 2, 2 },			/* summary of no kind */
		{ 6, 15 }, { 6, 17 }, { 7, 1 },	/* length of the hint */
		{ 8, 31 }, { 8, 33 }, { 9, 1 },	/* of the context */
		{ 10, 0 }, { 10, 21 }, { 11, 8 },	/* of the opaque data */
		{ 60, 9 },			/* elements of it */
	};
	size_t	i;
	uint8_t	was;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		connected();
		was = psk_msg[bad[i].at];
		psk_msg[bad[i].at] = bad[i].v;
		if (say(psk_msg, psk_len) != SPDM_E_INVALID_REQUEST)
			fail_msg("byte %zu", bad[i].at);
		assert_int_equal(k.used[1], 0);
		assert_false(responder_in_session(t.responder));
		psk_msg[bad[i].at] = was;
	}
	connected();
	assert_int_equal(say(psk_msg, 12), SPDM_E_INVALID_REQUEST);
	assert_int_equal(say(psk_msg, psk_len - 1), SPDM_E_INVALID_REQUEST);
	assert_int_equal(say(psk_msg, psk_len), 0);
	assert_int_equal(answer[1], SPDM_PSK_EXCHANGE_RSP);
	assert_int_equal(k.used[1], 1);
}

/* One a connection: neither guesses nor a second session. */
static void
test_one_guess(void **state)
{
	connected();
	k.error = SPDM_E_INVALID_REQUEST;
	assert_int_equal(say(psk_msg, psk_len), SPDM_E_INVALID_REQUEST);
	k.error = 0;
	assert_int_equal(say(psk_msg, psk_len), SPDM_E_UNEXPECTED);
	assert_int_equal(k.used[1], 0);
	connected();
	assert_int_equal(say(psk_msg, psk_len), 0);
	assert_int_equal(say(psk_msg, psk_len), SPDM_E_SESSION_LIMIT);
	assert_int_equal(k.used[1], 1);
}

/* Without the code there is no way to PSK_FINISH, and not to anything else. */
static void
test_no_finish(void **state)
{
	uint8_t	finish[36] = { SPDM_V13, SPDM_PSK_FINISH };

	connected();
	assert_int_equal(say(finish, sizeof(finish)),
	    SPDM_E_SESSION_REQUIRED);
	assert_int_equal(say(psk_msg, psk_len), 0);
	assert_int_equal(say(finish, sizeof(finish)),
	    SPDM_E_SESSION_REQUIRED);
}

/* A wrong verify data, under the right record keys. */
static void
wrong_finish(struct talk *talk, uint8_t *p, size_t *len)
{
	struct spdm_session	s;
	uint8_t			msg[64] = { 0 };
	size_t			n = talk->requester->req.len;

	if (talk->requester->asked != SPDM_PSK_FINISH)
		return;
	s = *talk->requester->ses.s;
	s.dir[SPDM_SIDE_REQ].seq = 0;
	memcpy(msg, talk->requester->req.data, n);
	if (talk->at < n)
		msg[talk->at] ^= 1;
	else
		n = talk->at;
	*len = spdm_record_seal(&s, SPDM_SIDE_REQ, &talk->binding,
	    talk_random, talk, msg, n, p, TALK_MSG);
	talk->hits++;
}

static void
test_wrong_finish(void **state)
{
	t.request = wrong_finish;
	t.at = 4;
	expect(R_ATT_SESSION_ENDED);
	assert_int_equal(t.hits, 1);
	assert_false(responder_in_session(t.responder));
	t.at = 35;
	expect(R_ATT_SESSION_ENDED);
	t.at = 1;		/* FINISH, in a session of a code */
	expect(R_ATT_ERROR);
	t.at = 37;		/* a byte too long */
	expect(R_ATT_ERROR);
}

/* PSK_FINISH where keys were exchanged otherwise. */
static void
test_other_session(void **state)
{
	static const struct spdm_step	steps[] = {
		REQUESTER_ATTESTS,
		{ SPDM_KEY_EXCHANGE, 0 }, { SPDM_PSK_FINISH, 0 },
	};

	requester_offer_session(&t.qc, false);
	t.qc.steps = steps;
	t.qc.nsteps = sizeof(steps) / sizeof(steps[0]);
	expect(R_ATT_ERROR);
	assert_int_equal(k.used[0] + k.used[1], 0);
}

/* Without a challenge that was answered there is nobody to lend it to. */
static void
test_no_identity(void **state)
{
	static const struct spdm_step	steps[] = {
		{ SPDM_GET_VERSION, 0 }, { SPDM_GET_CAPABILITIES, 0 },
		{ SPDM_NEGOTIATE_ALGORITHMS, 0 }, { SPDM_GET_DIGESTS, 0 },
		{ SPDM_GET_CERTIFICATE, 0 }, { SPDM_PSK_EXCHANGE, 0 },
	};

	t.qc.steps = steps;
	t.qc.nsteps = sizeof(steps) / sizeof(steps[0]);
	expect(R_ATT_NO_IDENTITY);
}

/* Our own responder, to which somebody passes our requests on. */
static void
test_ourselves(void **state)
{
	t.qc.slots = t.slots;
	expect(R_POL_SELF);
	assert_int_equal(k.used[0] + k.used[1], 0);
}

int
main(void)
{
#define CODE(f)	cmocka_unit_test_setup_teardown(f, before_code, after)
	const struct CMUnitTest	tests[] = {
		CODE(test_right),
		CODE(test_p384),
		CODE(test_nonces),
		CODE(test_unknown),
		CODE(test_keyd_away),
		CODE(test_keyd_slow),
		CODE(test_other_code),
		CODE(test_capabilities),
		CODE(test_fields),
		CODE(test_flipped_answer),
		CODE(test_flipped_request),
		CODE(test_relay),
		CODE(test_relay_without_node),
		CODE(test_form),
		CODE(test_one_guess),
		CODE(test_no_finish),
		CODE(test_wrong_finish),
		CODE(test_other_session),
		CODE(test_no_identity),
		CODE(test_ourselves),
	};

	return cmocka_run_group_tests_name("spdm_psk", tests, setup,
	    teardown);
}
