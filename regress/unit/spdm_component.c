/*
 * A component and the node that fills its slot, in one process: in a session
 * only, only over a key that the device holds, and what is believed of the
 * slot is what was read from it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "spdm_talk.h"
#include "../../attestd/spdm_csr.h"

#define SLOT	3

/* ---- the device ---------------------------------------------------------- */

static struct soft	 soft;
static struct talk	 t;
static struct spdm_step	 steps[REQUESTER_STEPS];
static EVP_PKEY		*csr_key, *csr_signer;
static uint8_t		 csr_error, set_error;	/* answered once */
static uint8_t		 tag_given, tag_seen;
static unsigned		 sets, issues;
static bool		 lie, no_chain;
static X509		*ca, *leaf;
static uint8_t		 chain[4096];
static size_t		 chain_len;

static uint8_t
device_csr(void *arg, uint8_t *tag, uint8_t *out, size_t *len)
{
	X509_REQ	*q;
	uint8_t		 e = csr_error, *p = out;
	int		 n;

	tag_seen = *tag;
	csr_error = 0;
	if (e != 0) {
		*tag = tag_given;
		return e;
	}
	NEED((q = X509_REQ_new()) != NULL);
	X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(q), "CN",
	    MBSTRING_ASC, (const unsigned char *)"a nic", -1, -1, 0);
	X509_REQ_set_pubkey(q, csr_key);
	NEED(X509_REQ_sign(q, csr_signer, EVP_PKEY_get_bits(csr_key) > 256 ?
	    EVP_sha384() : EVP_sha256()) > 0);
	NEED((size_t)i2d_X509_REQ(q, NULL) <= *len);
	n = i2d_X509_REQ(q, &p);
	*len = (size_t)n;
	X509_REQ_free(q);
	return 0;
}

static uint8_t
device_set(void *arg, uint8_t slot, const uint8_t *ders, size_t len)
{
	uint8_t	e = set_error;

	sets++;
	if (e == SPDM_E_RESET_REQUIRED || e == 0) {
		if (ders == NULL)
			spdm_slot_clear(&t.slots[slot]);
		else if (lie)
			NEED(spdm_slot_set(&t.slots[slot], 5, soft.algorithm,
			    soft.chain1, soft.len1) == 0);
		else if (spdm_slot_set(&t.slots[slot], 5, soft.algorithm,
		    ders, len) == -1)
			return SPDM_E_INVALID_REQUEST;
	}
	set_error = 0;
	return e;
}

/* ---- the node ------------------------------------------------------------ */

static enum spdm_act
issue(struct talk *talk)
{
	const struct spdm_csr	*q = requester_csr(talk->requester);
	const struct spdm_evidence *e = requester_evidence(talk->requester);
	uint8_t			 point[97];
	size_t			 n;

	issues++;
	/* The evidence is complete before anything is issued. */
	assert_int_equal(strlen(e->id.node), 40);
	assert_true(e->nblocks > 0);
	assert_null(e->anchor);
	NEED(EVP_PKEY_get_octet_string_param(csr_key, "pub", point,
	    sizeof(point), &n) == 1);
	assert_int_equal(q->point_len, n);
	assert_memory_equal(q->point, point, n);
	assert_string_equal(q->name, "a nic");
	return requester_chain(talk->requester, chain, no_chain ? 1 :
	    chain_len);
}

static void
make_chain(void)
{
	ca = soft_issue(&soft_node_ca, soft.ca_key, NULL, soft.ca_key);
	leaf = soft_issue(&soft_node_leaf, csr_key, ca, soft.ca_key);
	chain_len = soft_der(ca, chain);
	chain_len += soft_der(leaf, chain + chain_len);
}

static void
begin(enum key_algorithm a)
{
	soft_new(&soft, a);
	talk_init(&t, &soft);
	spdm_slot_clear(&t.slots[1]);
	csr_key = csr_signer = soft.key;
	make_chain();
	csr_error = set_error = tag_given = tag_seen = 0;
	sets = issues = 0;
	lie = no_chain = false;
	t.issue = issue;
	t.rc.caps.flags |= SPDM_CAP_CSR | SPDM_CAP_SET_CERT |
	    SPDM_CAP_INSTALL_RESET;
	t.rc.csr = device_csr;
	t.rc.set_certificate = device_set;
	requester_offer_component(&t.qc, steps, SLOT, 0, false);
}

static int
setup(void **state)
{
	if (spdm_init() == -1)
		return -1;
	begin(KEY_P384);
	return 0;
}

static int
teardown(void **state)
{
	talk_free(&t);
	X509_free(ca);
	X509_free(leaf);
	soft_free(&soft);
	return 0;
}

static void
holds(const uint8_t *want, size_t len)
{
	const uint8_t	*p;
	size_t		 n = 0;

	p = requester_slot_ders(t.requester, SLOT, &n);
	assert_non_null(p);
	assert_int_equal(n, len);
	assert_memory_equal(p, want, len);
}

/* ---- the straight way ---------------------------------------------------- */

static void
test_enrol(void **state)
{
	static const struct {
		enum key_algorithm	 alg;
		uint32_t		 versions;
	} rows[] = {
		{ KEY_P256, SPDM_ALLOW_12 }, { KEY_P256, SPDM_ALLOW_13 },
		{ KEY_P384, SPDM_ALLOW_12 }, { KEY_P384, SPDM_ALLOW_13 },
	};
	size_t	i;

	for (i = 0; i < 4; i++) {
		teardown(state);
		begin(rows[i].alg);
		t.qc.versions = rows[i].versions;
		assert_int_equal(talk_run(&t), R_OK);
		assert_int_equal(sets, 1);
		assert_int_equal(issues, 1);
		holds(chain, chain_len);
		/* and again: a slot that is filled is filled anew */
		assert_int_equal(talk_run(&t), R_OK);
		assert_int_equal(sets, 2);
	}
}

/* The device's own key of another slot is as good as that of slot 0. */
static void
test_other_key(void **state)
{
	csr_key = csr_signer = EVP_EC_gen("P-384");
	X509_free(ca);
	X509_free(leaf);
	make_chain();
	assert_int_equal(talk_run(&t), R_OK);
	holds(chain, chain_len);
	EVP_PKEY_free(csr_key);
}

/* ---- a session, or nothing ----------------------------------------------- */

static void
test_no_session(void **state)
{
	static const struct spdm_step	bare[] = {
		{ SPDM_GET_VERSION, 0 }, { SPDM_GET_CAPABILITIES, 0 },
		{ SPDM_NEGOTIATE_ALGORITHMS, 0 }, { SPDM_GET_DIGESTS, 0 },
		{ SPDM_GET_CERTIFICATE, 0 }, { SPDM_CHALLENGE, 0 },
		{ SPDM_GET_CSR, SLOT },
	};

	t.qc.steps = bare;
	t.qc.nsteps = sizeof(bare) / sizeof(bare[0]);
	assert_int_equal(talk_run(&t), R_ATT_NO_SESSION);
	assert_int_equal(issues, 0);
}

/* Whoever asks the device outside of one gets SessionRequired. */
static void
test_session_required(void **state)
{
	static const uint8_t	csr[8] = { 0x13, SPDM_GET_CSR };
	static const uint8_t	set[8] = { 0x13, SPDM_SET_CERTIFICATE, SLOT, 0,
	    4 };
	const uint8_t		*p;
	size_t			 n;
	bool			 secured;

	t.qc.nsteps = 7;		/* negotiated, attested, no session */
	assert_int_equal(talk_run(&t), R_OK);
	responder_feed(t.responder, false, csr, sizeof(csr));
	p = responder_out(t.responder, &secured, &n);
	assert_int_equal(p[1], SPDM_ERROR);
	assert_int_equal(p[2], SPDM_E_SESSION_REQUIRED);
	responder_feed(t.responder, false, set, sizeof(set));
	p = responder_out(t.responder, &secured, &n);
	assert_int_equal(p[2], SPDM_E_SESSION_REQUIRED);
	assert_int_equal(sets, 0);
	assert_null(t.slots[SLOT].content);
}

/* A CSR in the clear, as somebody between the two would send it. */
static void
in_clear(struct talk *talk, uint8_t *msg, size_t *len)
{
	if (msg[1] == SPDM_CSR)
		talk->in_clear = true;
}

static void
test_csr_in_clear(void **state)
{
	t.inside = in_clear;
	assert_int_equal(talk_run(&t), R_ATT_NOT_SECURED);
	assert_int_equal(issues, 0);
	assert_int_equal(sets, 0);
}

/* attestd -R, as it is, has neither request, in a session or not. */
static void
test_not_ours(void **state)
{
	responder_defaults(&t.rc);
	assert_int_equal(t.rc.caps.flags & (SPDM_CAP_CSR | SPDM_CAP_SET_CERT |
	    SPDM_CAP_INSTALL_RESET), 0);
	assert_true(t.rc.csr == NULL && t.rc.set_certificate == NULL);
}

static void
unsupported(uint32_t cap)
{
	t.rc.caps.flags &= ~cap;
	assert_int_equal(talk_run(&t), R_ATT_CSR_CAPABILITY);
	t.rc.caps.flags |= cap;
}

static void
test_capabilities(void **state)
{
	unsupported(SPDM_CAP_CSR);
	unsupported(SPDM_CAP_SET_CERT);
	t.rc.caps.flags = SPDM_CAP_CERT | SPDM_CAP_CHAL | SPDM_CAP_MEAS_SIG |
	    SPDM_CAP_CSR | SPDM_CAP_SET_CERT;
	assert_int_equal(talk_run(&t), R_ATT_SESSION_CAPABILITY);
	assert_int_equal(issues, 0);
}

/* ---- what the device may try --------------------------------------------- */

static void
test_not_possessed(void **state)
{
	csr_key = EVP_EC_gen("P-384");	/* signed by the key of slot 0 */
	assert_int_equal(talk_run(&t), R_ATT_CSR_PROOF);
	assert_int_equal(issues, 0);
	EVP_PKEY_free(csr_key);
	csr_key = csr_signer = EVP_EC_gen("P-256");
	assert_int_equal(talk_run(&t), R_ATT_CSR_KEY);
	assert_int_equal(issues, 0);
	EVP_PKEY_free(csr_key);
}

static void
cut_csr(struct talk *talk, uint8_t *msg, size_t *len)
{
	if (msg[1] == SPDM_CSR)
		(*len)--;
}

static void
other_slot(struct talk *talk, uint8_t *msg, size_t *len)
{
	if (msg[1] == SPDM_SET_CERTIFICATE_RSP)
		msg[2] ^= 1;
}

static void
test_malformed(void **state)
{
	t.inside = cut_csr;
	assert_int_equal(talk_run(&t), R_ATT_FORM);
	assert_int_equal(issues, 0);
	t.inside = other_slot;
	assert_int_equal(talk_run(&t), R_ATT_SET_CERTIFICATE);
}

static void
test_refused(void **state)
{
	csr_error = SPDM_E_UNSPECIFIED;
	assert_int_equal(talk_run(&t), R_ATT_ERROR);
	assert_string_equal(requester_why(t.requester)->field, "GET_CSR");
	assert_int_equal(issues, 0);
	set_error = SPDM_E_UNSPECIFIED;
	assert_int_equal(talk_run(&t), R_ATT_SET_CERTIFICATE);
	assert_null(t.slots[SLOT].content);
	/* Busy is asked again. */
	set_error = SPDM_E_BUSY;
	assert_int_equal(talk_run(&t), R_OK);
	assert_int_equal(t.waits, 1);
	csr_error = SPDM_E_BUSY;
	assert_int_equal(talk_run(&t), R_OK);
	assert_int_equal(t.waits, 1);
	assert_int_equal(issues, 3);
}

/* It says that it took the chain, and shows another. */
static void
test_lie(void **state)
{
	const uint8_t	*p;
	size_t		 n;

	lie = true;
	assert_int_equal(talk_run(&t), R_OK);
	p = requester_slot_ders(t.requester, SLOT, &n);
	assert_non_null(p);		/* what is reported is what was read */
	assert_int_not_equal(memcmp(p, chain, chain_len), 0);
}

static void
test_chain_refused(void **state)
{
	no_chain = true;
	assert_int_equal(talk_run(&t), R_ATT_SET_CERTIFICATE);
	assert_int_equal(sets, 0);
}

/* A word while policyd issues: nothing was asked. */
static enum spdm_act
speak(struct talk *talk)
{
	static const uint8_t	msg[4] = { 0x13, SPDM_SET_CERTIFICATE_RSP,
	    SLOT, 0 };

	assert_int_equal(requester_feed(talk->requester, false, msg, 4),
	    SPDM_FAIL);
	return SPDM_FAIL;
}

static void
test_speaks_unasked(void **state)
{
	t.issue = speak;
	assert_int_equal(talk_run(&t), R_ATT_ANSWER);
	assert_int_equal(sets, 0);
	/* and a chain that comes now, or was never asked for, goes nowhere */
	assert_int_equal(requester_chain(t.requester, chain, chain_len),
	    SPDM_FAIL);
	talk_over(&t);
	t.requester = requester_new(&t.qc, t.nonce);
	assert_int_equal(requester_chain(t.requester, chain, chain_len),
	    SPDM_FAIL);
}

/* ---- a reset ------------------------------------------------------------- */

static void
test_reset(void **state)
{
	uint8_t	tag;
	bool	set;

	csr_error = SPDM_E_RESET_REQUIRED;
	tag_given = 5;
	assert_int_equal(talk_run(&t), R_ATT_RESET_REQUIRED);
	assert_true(requester_reset(t.requester, &set, &tag));
	assert_false(set);
	assert_int_equal(tag, 5);
	assert_int_equal(tag_seen, 0);
	/* It is attested, and that is known. */
	assert_true(requester_evidence(t.requester)->nblocks > 0);
	requester_offer_component(&t.qc, steps, SLOT, tag, false);
	set_error = SPDM_E_RESET_REQUIRED;
	assert_int_equal(talk_run(&t), R_ATT_RESET_REQUIRED);
	assert_int_equal(tag_seen, 5);
	assert_true(requester_reset(t.requester, &set, &tag));
	assert_true(set);
	assert_int_equal(tag, 0);
	/* After it the slot is only looked at, under the challenge. */
	requester_offer_component(&t.qc, steps, SLOT, 0, true);
	t.qc.caps.flags = SPDM_CAP_CHUNK;
	assert_int_equal(talk_run(&t), R_OK);
	assert_int_equal(issues, 1);
	assert_int_equal(sets, 1);
	holds(chain, chain_len);
}

/* 1.2 has no tag. */
static void
test_reset_12(void **state)
{
	uint8_t	tag = 9;
	bool	set;

	t.qc.versions = SPDM_ALLOW_12;
	csr_error = SPDM_E_RESET_REQUIRED;
	tag_given = 5;
	assert_int_equal(talk_run(&t), R_ATT_RESET_REQUIRED);
	assert_true(requester_reset(t.requester, &set, &tag));
	assert_int_equal(tag, 0);
	assert_int_equal(talk_run(&t), R_OK);
}

/* A device that never said so may not want one. */
static void
test_reset_unannounced(void **state)
{
	uint8_t	tag;
	bool	set;

	t.rc.caps.flags &= ~SPDM_CAP_INSTALL_RESET;
	csr_error = SPDM_E_RESET_REQUIRED;
	assert_int_equal(talk_run(&t), R_ATT_ERROR);
	assert_false(requester_reset(t.requester, &set, &tag));
}

static void
test_look_at_nothing(void **state)
{
	requester_offer_component(&t.qc, steps, SLOT, 0, true);
	t.qc.caps.flags = SPDM_CAP_CHUNK;
	assert_int_equal(talk_run(&t), R_ATT_SLOT_OTHER);
}

/* ---- the device's own checks --------------------------------------------- */

static size_t
ask_device(const uint8_t *msg, size_t len, uint8_t *code)
{
	uint8_t		 rec[TALK_MSG], plain[TALK_MSG];
	const uint8_t	*p;
	size_t		 n;
	bool		 secured;

	n = spdm_record_seal(t.requester->ses.s, SPDM_SIDE_REQ, &t.binding,
	    talk_random, &t, msg, len, rec, sizeof(rec));
	NEED(n > 0);
	responder_feed(t.responder, true, rec, n);
	p = responder_out(t.responder, &secured, &n);
	assert_true(secured);
	NEED(spdm_record_open(t.requester->ses.s, SPDM_SIDE_RSP, &t.binding,
	    p, n, plain, sizeof(plain), &p, &n) == OPEN_OK);
	*code = p[1] == SPDM_ERROR ? p[2] : 0;
	return n;
}

static void
test_device_checks(void **state)
{
	static const struct {
		uint8_t	msg[16];
		size_t	len;
		uint8_t	code;
	} rows[] = {
		{ { 0x13, 0xed, 0, 0, 0, 0, 0, 0 }, 8, 0 },
		{ { 0x13, 0xed, 1, 0, 0, 0, 0, 0 }, 8, 1 },	/* key pair */
		{ { 0x13, 0xed, 0, 1, 0, 0, 0, 0 }, 8, 1 },	/* model */
		{ { 0x13, 0xed, 0, 0x88, 0, 0, 0, 0 }, 8, 1 },	/* tag anew */
		{ { 0x13, 0xed, 0, 0, 1, 0, 0, 0 }, 8, 1 },	/* length */
		{ { 0x13, 0xed, 0, 0, 0, 0 }, 6, 1 },
		{ { 0x13, 0xee, 0, 0, 8, 0, 0, 0 }, 8, 1 },
		{ { 0x13, 0xee, 0x80, 0 }, 4, 1 },		/* slot 0 */
		{ { 0x13, 0xee, 8, 0, 8, 0, 0, 0 }, 8, 1 },	/* slot 8 */
		{ { 0x13, 0xee, SLOT, 1, 8, 0, 0, 0 }, 8, 1 },
		{ { 0x13, 0xee, SLOT, 0, 4, 0, 0, 0 }, 8, 1 },	/* no chain */
		{ { 0x13, 0xee, SLOT | 0x80, 0, 4, 0, 0, 0 }, 8, 1 },
		{ { 0x13, 0xee, SLOT | 0x80, 0 }, 4, 0 },	/* erase */
		{ { 0x12, 0xee, SLOT, 0 }, 4, 0x41 },
	};
	uint8_t	code;
	size_t	i;

	t.qc.nsteps = 9;		/* as far as FINISH */
	assert_int_equal(talk_run(&t), R_OK);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ask_device(rows[i].msg, rows[i].len, &code);
		if (code != rows[i].code)
			fail_msg("row %zu: %#x, not %#x", i, code,
			    rows[i].code);
	}
	assert_null(t.slots[SLOT].content);
	assert_int_equal(sets, 1);
}

/* A device that takes no whole chain takes it in chunks, or not at all. */
static void
test_small_device(void **state)
{
	unsigned	whole;

	assert_int_equal(talk_run(&t), R_OK);
	whole = t.messages;
	t.rc.caps.data_transfer = t.qc.caps.data_transfer = 330;
	assert_int_equal(talk_run(&t), R_OK);
	holds(chain, chain_len);
	assert_true(t.messages > whole + 4);
	t.rc.caps.flags &= ~SPDM_CAP_CHUNK;
	t.rc.caps.max_msg = t.rc.caps.data_transfer;
	t.qc.caps.data_transfer = REQUESTER_TRANSFER;
	assert_int_equal(talk_run(&t), R_ATT_REQUEST_SIZE);
	assert_int_equal(sets, 2);
}

/* With several keys each request names its key pair and model. */
static void
test_multi_key(void **state)
{
	static const uint8_t	bare[8] = { 0x13, SPDM_GET_CSR };
	static const uint8_t	named[8] = { 0x13, SPDM_GET_CSR, 6, 3 };
	static const uint8_t	erase[4] = { 0x13, SPDM_SET_CERTIFICATE,
	    SLOT | 0x80, 6 };
	static const uint8_t	nameless[4] = { 0x13, SPDM_SET_CERTIFICATE,
	    SLOT | 0x80, 0 };
	uint8_t			code;

	t.rc.caps.flags |= SPDM_MULTI_KEY_NEG;
	t.qc.versions = SPDM_ALLOW_13;
	assert_int_equal(talk_run(&t), R_OK);
	assert_true(t.requester->multi_key);
	assert_int_equal(t.requester->csr.key_pair, 6);
	holds(chain, chain_len);
	t.qc.nsteps = 9;
	assert_int_equal(talk_run(&t), R_OK);
	ask_device(bare, sizeof(bare), &code);
	assert_int_equal(code, SPDM_E_INVALID_REQUEST);
	ask_device(nameless, sizeof(nameless), &code);
	assert_int_equal(code, SPDM_E_INVALID_REQUEST);
	ask_device(named, sizeof(named), &code);
	assert_int_equal(code, 0);
	ask_device(erase, sizeof(erase), &code);
	assert_int_equal(code, 0);
	assert_null(t.slots[SLOT].content);
}

int
main(void)
{
#define T(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_enrol),
		T(test_other_key),
		T(test_no_session),
		T(test_session_required),
		T(test_csr_in_clear),
		T(test_not_ours),
		T(test_capabilities),
		T(test_not_possessed),
		T(test_malformed),
		T(test_refused),
		T(test_lie),
		T(test_chain_refused),
		T(test_speaks_unasked),
		T(test_reset),
		T(test_reset_12),
		T(test_reset_unannounced),
		T(test_look_at_nothing),
		T(test_device_checks),
		T(test_small_device),
		T(test_multi_key),
	};

	return cmocka_run_group_tests_name("spdm_component", tests, NULL,
	    NULL);
}
