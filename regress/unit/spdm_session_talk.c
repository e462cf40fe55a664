/*
 * Whole sessions of our requester with our responder: both curves, both
 * versions, both bindings, mutual authentication of every kind, keys updated
 * in every order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "spdm_trial.h"

#define ATTEST							\
	{ SPDM_GET_VERSION, 0 }, { SPDM_GET_CAPABILITIES, 0 },	\
	{ SPDM_NEGOTIATE_ALGORITHMS, 0 }, { SPDM_GET_DIGESTS, 0 },	\
	{ SPDM_GET_CERTIFICATE, 0 }, { SPDM_GET_CERTIFICATE, 1 },	\
	{ SPDM_CHALLENGE, 0 }, { SPDM_GET_MEASUREMENTS, 0 }

static const struct spdm_step	whole[] = {
	ATTEST,
	{ SPDM_KEY_EXCHANGE, 0 },
	{ SPDM_FINISH, 0 },
	{ SPDM_HEARTBEAT, 0 },
	{ SPDM_KEY_UPDATE, SPDM_UPDATE_ALL },
	{ SPDM_KEY_UPDATE, SPDM_VERIFY_NEW },
	{ SPDM_GET_MEASUREMENTS, 0 },
	{ SPDM_KEY_UPDATE, SPDM_UPDATE_KEY },
	{ SPDM_KEY_UPDATE, SPDM_VERIFY_NEW },
	{ SPDM_GET_DIGESTS, 0 },
	{ SPDM_GET_CERTIFICATE, 0 },
	{ SPDM_END_SESSION, 0 },
	{ SPDM_GET_DIGESTS, 0 },
};

static struct spdm_root		roots[1];
static uint8_t			root_der[2048];

/* The responder believes the maker of the requester, who is its twin. */
static void
mutual(uint8_t how)
{
	size_t	n = soft_der(t.soft->root, root_der);

	spdm_hash(spdm_md(spdm_alg(KEY_P256)), root_der, n,
	    roots[0].sha256);
	spdm_hash(spdm_md(spdm_alg(KEY_P384)), root_der, n,
	    roots[0].sha384);
	roots[0].cert = t.soft->root;
	t.rc.roots = roots;
	t.rc.nroots = 1;
	t.rc.mutual = how;
	t.rc.caps.flags |= SPDM_CAP_MUT_AUTH | SPDM_CAP_ENCAP;
	t.rc.known = &t.slots[0];
	t.rc.known_slot = 0;
	t.qc.slots = t.slots;
	t.own_key = t.soft->key;
}

static void
script(const struct spdm_step *steps, size_t n)
{
	requester_offer_session(&t.qc, t.qc.slots != NULL);
	t.qc.steps = steps;
	t.qc.nsteps = n;
}

#define SCRIPT(s)	script(s, sizeof(s) / sizeof((s)[0]))

static void
whole_session(void)
{
	SCRIPT(whole);
	run_expect(R_OK);
	assert_int_equal(t.requester->ses.s, NULL);
	assert_true(requester_evidence(t.requester)->nblocks > 0);
	t.qc.versions = SPDM_ALLOW_12;
	run_expect(R_OK);
	t.qc.versions = SPDM_ALLOW_12 | SPDM_ALLOW_13;
}

static void
test_whole(void **state)
{
	whole_session();
}

static void
test_mutual_known(void **state)
{
	mutual(SPDM_MUT_KNOWN);
	whole_session();
}

static void
test_mutual_encap(void **state)
{
	mutual(SPDM_MUT_ENCAP);
	whole_session();
}

static void
test_mutual_digests(void **state)
{
	mutual(SPDM_MUT_DIGESTS);
	whole_session();
}

/* Our chain in as many pieces as the responder likes. */
static void
test_mutual_portions(void **state)
{
	unsigned	few;

	mutual(SPDM_MUT_ENCAP);
	whole_session();
	few = t.messages;
	t.rc.caps.flags &= ~SPDM_CAP_CHUNK;
	t.rc.caps.data_transfer = t.rc.caps.max_msg = 330;
	whole_session();
	assert_true(t.messages > few + 4);
}

static void
test_p384(void **state)
{
	struct soft	other;

	talk_free(&t);
	soft_new(&other, KEY_P384);
	talk_init(&t, &other);
	whole_session();
	mutual(SPDM_MUT_ENCAP);
	whole_session();
	talk_free(&t);
	soft_free(&other);
	talk_init(&t, &soft);
}

/* A responder that wants to know us, and we have no identity yet. */
static void
test_mutual_nobody(void **state)
{
	mutual(SPDM_MUT_ENCAP);
	SCRIPT(whole);
	t.qc.slots = NULL;
	run_expect(R_ATT_MUTUAL);
	t.qc.slots = t.slots;
	t.own_key = NULL;
	run_expect(R_ATT_SIGN);
	/* Somebody else's key. */
	t.own_key = t.soft->ca_key;
	run_expect(R_ATT_SESSION_ENDED);
}

static void
test_mctp(void **state)
{
	t.binding = (struct spdm_binding){ .seq_len = 2, .pad_max = 32,
	    .mctp = true };
	whole_session();
	mutual(SPDM_MUT_DIGESTS);
	whole_session();
}

/* Every order of updates that the rules allow, of up to four. */
static void
test_updates(void **state)
{
	struct spdm_step	steps[32] = { ATTEST,
	    { SPDM_KEY_EXCHANGE, 0 }, { SPDM_FINISH, 0 } };
	unsigned		i, mask, n;

	for (mask = 0; mask < 1U << 4; mask++) {
		n = 10;
		for (i = 0; i < 4; i++) {
			steps[n++] = (struct spdm_step){ SPDM_KEY_UPDATE,
			    mask >> i & 1 ? SPDM_UPDATE_ALL :
			    SPDM_UPDATE_KEY };
			steps[n++] = (struct spdm_step){ SPDM_KEY_UPDATE,
			    SPDM_VERIFY_NEW };
			steps[n++] = (struct spdm_step){ SPDM_HEARTBEAT, 0 };
		}
		steps[n++] = (struct spdm_step){ SPDM_END_SESSION, 0 };
		script(steps, n);
		run_expect(R_OK);
	}
}

/* A session after another one, and one that takes another's place. */
static void
test_again(void **state)
{
	static const struct spdm_step	steps[] = {
		ATTEST,
		{ SPDM_KEY_EXCHANGE, 0 }, { SPDM_FINISH, 0 },
		{ SPDM_END_SESSION, 0 }, { SPDM_GET_MEASUREMENTS, 0 },
		{ SPDM_KEY_EXCHANGE, 0 }, { SPDM_FINISH, 0 },
		{ SPDM_GET_MEASUREMENTS, 0 }, { SPDM_END_SESSION, 1 },
	};

	SCRIPT(steps);
	run_expect(R_OK);
}

/* Steps that need a session, without one. */
static void
test_no_session(void **state)
{
	struct spdm_step	steps[] = { ATTEST, { 0, 0 } };
	static const uint8_t	codes[] = { SPDM_FINISH, SPDM_HEARTBEAT,
	    SPDM_KEY_UPDATE, SPDM_END_SESSION };
	size_t			i;

	for (i = 0; i < sizeof(codes); i++) {
		steps[8].code = codes[i];
		SCRIPT(steps);
		run_expect(R_ATT_NO_SESSION);
	}
	/* The chain by whose key it would be signed has not been read. */
	steps[8] = (struct spdm_step){ SPDM_KEY_EXCHANGE, 2 };
	SCRIPT(steps);
	run_expect(R_ATT_NO_IDENTITY);
}

/* A peer that cannot do what the steps need. */
static void
test_capabilities(void **state)
{
	static const uint32_t	lost[] = { SPDM_CAP_HBEAT, SPDM_CAP_KEY_UPD,
	    SPDM_CAP_MAC, SPDM_CAP_ENCRYPT, SPDM_CAP_PSK | SPDM_CAP_KEY_EX |
	    SPDM_CAP_ENCRYPT | SPDM_CAP_MAC | SPDM_CAP_HBEAT |
	    SPDM_CAP_KEY_UPD };
	uint32_t		flags;
	size_t			i;

	SCRIPT(whole);
	flags = t.rc.caps.flags;
	for (i = 0; i < sizeof(lost) / sizeof(lost[0]); i++) {
		t.rc.caps.flags = flags & ~lost[i];
		run_expect(R_ATT_SESSION_CAPABILITY);
	}
	t.rc.caps.flags = flags;
	t.rc.algs.table[SPDM_T_AEAD] = 1;	/* AES-128 alone */
	run_expect(R_ATT_NO_ALGORITHM);
	t.rc.algs.table[SPDM_T_AEAD] = SPDM_AEAD_AES256GCM;
	t.rc.algs.other = 0;
	run_expect(R_ATT_NO_ALGORITHM);
}

/* As a CSR does it: somebody must issue before it goes on. */
static void
wait_for_chain(void *arg, unsigned step, const char *detail)
{
	t.requester->csr.waiting = t.requester->asked == SPDM_FINISH;
}

/* While a chain is issued for it, a component is told that we live. */
static void
test_beat(void **state)
{
	static const struct spdm_step	steps[] = { ATTEST,
	    { SPDM_KEY_EXCHANGE, 0 }, { SPDM_FINISH, 0 },
	    { SPDM_END_SESSION, 0 } };
	unsigned			i;

	SCRIPT(steps);
	t.rc.heartbeat = 3;
	t.qc.step = wait_for_chain;
	t.responder = responder_new(&t.rc);
	t.requester = requester_new(&t.qc, t.nonce);
	assert_true(t.responder != NULL && t.requester != NULL);
	assert_int_equal(requester_start(t.requester), SPDM_SEND);
	assert_int_equal(requester_beat_after(t.requester), 0);
	while (t.requester->asked != SPDM_FINISH)
		assert_int_equal(talk_exchange(&t), SPDM_SEND);
	assert_int_equal(talk_exchange(&t), SPDM_ISSUE);
	assert_int_equal(requester_beat_after(t.requester), 1500);
	for (i = 0; i < 3; i++) {
		assert_int_equal(requester_beat(t.requester), SPDM_SEND);
		assert_int_equal(t.requester->asked, SPDM_HEARTBEAT);
		assert_int_equal(talk_exchange(&t), SPDM_ISSUE);
	}
	/* Between them there is nothing to say. */
	assert_int_equal(requester_feed(t.requester, true, t.buf, 26),
	    SPDM_FAIL);
	assert_int_equal(requester_why(t.requester)->reason, R_ATT_ANSWER);
}

/* After the last record that a key may seal. */
static void
use_up(struct talk *k, uint8_t *msg, size_t *len)
{
	if (k->requester->asked == SPDM_HEARTBEAT && k->hits++ == 0)
		k->requester->ses.s->dir[SPDM_SIDE_REQ].seq = 1U << 24;
}

static void
test_used_up(void **state)
{
	SCRIPT(whole);
	t.request = use_up;
	run_expect(R_ATT_RECORD_LIMIT);
	assert_int_equal(t.hits, 1);
}

/* keyd is slow: ResponseNotReady, in the clear and inside. */
static void
test_not_ready(void **state)
{
	t.defer = 3;
	whole_session();
	assert_true(t.waits > 4);
}

/* keyd is away: Busy, until the requester gives up. */
static void
test_busy(void **state)
{
	SCRIPT(whole);
	t.no_key = true;
	run_expect(R_ATT_BUSY);
}

/* Nothing of the secrets is left where the session was. */
static void
test_wiped(void **state)
{
	static const struct spdm_step	steps[] = { ATTEST,
	    { SPDM_KEY_EXCHANGE, 0 }, { SPDM_FINISH, 0 } };
	const struct spdm_session	*s;
	static const uint8_t		 zero[SPDM_HASH_MAX * 2];

	SCRIPT(steps);
	run_expect(R_OK);
	assert_non_null(s = t.requester->ses.s);
	assert_int_equal(s->phase, SPDM_P_DATA);
	assert_null(t.requester->ses.key);
	assert_memory_equal(s->hs, zero, sizeof(s->hs));
	assert_memory_equal(s->master, zero, sizeof(s->master));
	assert_memory_equal(s->finished, zero, sizeof(s->finished));
	requester_session_end(t.requester);
	assert_null(t.requester->ses.s);
	assert_null(t.requester->ses.rec);
	assert_null(t.requester->ses.plain);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		TRIAL(test_whole),
		TRIAL(test_mutual_known),
		TRIAL(test_mutual_encap),
		TRIAL(test_mutual_digests),
		TRIAL(test_mutual_portions),
		TRIAL(test_p384),
		TRIAL(test_mutual_nobody),
		TRIAL(test_mctp),
		TRIAL(test_updates),
		TRIAL(test_again),
		TRIAL(test_no_session),
		TRIAL(test_capabilities),
		TRIAL(test_beat),
		TRIAL(test_used_up),
		TRIAL(test_not_ready),
		TRIAL(test_busy),
		TRIAL(test_wiped),
	};

	return cmocka_run_group_tests_name("spdm_session_talk", tests, setup,
	    teardown);
}
