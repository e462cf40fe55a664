/* Whose certificate is it: each way to be refused, and its reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <time.h>

#include "certs.h"

static struct ca	ca_a, ca_b, ca_a2;
static struct peer	*peer_a, *peer_b;

static struct peer *
enter(uint32_t number, const char *name, const char *node,
    const struct ca *anchor, const struct ca *anchor2, int64_t shift)
{
	static struct msg_peer_set	m;
	struct refusal			why;
	struct peer			*p;

	memset(&m, 0, sizeof(m));
	m.peer = number;
	m.shift = shift;
	IPC_SET_STR(m.name, name);
	IPC_SET_STR(m.node, node);
	if (anchor != NULL)
		CERTS_BLOB(m.anchor, anchor->cert);
	if (anchor2 != NULL)
		CERTS_BLOB(m.anchor2, anchor2->cert);
	p = peer_enter(&m, &why);
	assert_int_equal(why.reason, R_OK);
	return p;
}

static int
setup(void **state)
{
	clock_set((uint64_t)time(NULL));
	if (tls_init(NULL) == -1)
		return -1;
	peer_table_init();
	ca_a = certs_ca("provd node " NODE_A);
	ca_b = certs_ca("provd node " NODE_B);
	ca_a2 = certs_ca("provd node " NODE_A);	/* a new CA of the same name */
	peer_a = enter(1, "bmc-a", NODE_A, &ca_a, NULL, 0);
	peer_b = enter(2, "bmc-b", NODE_B, &ca_b, NULL, 0);
	return 0;
}

static int
teardown(void **state)
{
	while (!TAILQ_EMPTY(peer_all()))
		peer_remove(TAILQ_FIRST(peer_all()));
	certs_ca_free(&ca_a);
	certs_ca_free(&ca_b);
	certs_ca_free(&ca_a2);
	tls_stop();
	return 0;
}

static struct peer *
verify(struct leaf l, bool server, const struct peer *dialled,
    struct refusal *why)
{
	struct peer	*p;
	uint8_t		*der = NULL;
	int		 len = i2d_X509(l.cert, &der);
	X509		*x;

	/* As it comes from the wire, not as it was built. */
	x = tls_parse(der, (size_t)len);
	assert_non_null(x);
	memset(why, 0, sizeof(*why));
	p = peer_verify(x, server, dialled, clock_trusted(), why);
	assert_true(p != NULL || why->reason != R_OK);
	X509_free(x);
	OPENSSL_free(der);
	certs_leaf_free(&l);
	return p;
}

#define REFUSED(l, server, dialled, r)	do {				\
	struct refusal why_;						\
	assert_null(verify((l), (server), (dialled), &why_));		\
	assert_string_equal(reason_code(why_.reason), reason_code(r));	\
	assert_true(why_.field[0] != '\0' && why_.seen[0] != '\0');	\
} while (0)

static struct leaf
leaf_a(const struct leaf_conf *c)
{
	return certs_leaf(&ca_a, NODE_A, c);
}

static void
test_proper(void **state)
{
	struct refusal why;

	assert_ptr_equal(verify(leaf_a(NULL), true, NULL, &why), peer_a);
	assert_ptr_equal(verify(leaf_a(NULL), false, NULL, &why), peer_a);
	assert_ptr_equal(verify(leaf_a(NULL), true, peer_a, &why), peer_a);
	assert_ptr_equal(verify(certs_leaf(&ca_b, NODE_B, NULL), true, NULL,
	    &why), peer_b);
}

static void
test_identity(void **state)
{
	static const struct leaf_conf none = { .san = "" },
	    dns = { .san = "DNS:bmc-a" },
	    two = { .san = "URI:urn:provd:node:" NODE_A
		",URI:urn:provd:node:" NODE_B },
	    twice = { .san = "URI:urn:provd:node:" NODE_A
		",URI:urn:provd:node:" NODE_A },
	    other = { .san = "URI:https://bmc-a/" },
	    upper = { .san = "URI:urn:provd:node:"
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" },
	    longer = { .san = "URI:urn:provd:node:" NODE_A "a" },
	    component = { .san = "URI:urn:provd:component:" NODE_A ":nic0" },
	    shorter = { .san = "URI:urn:provd:node:abcd" };

	REFUSED(leaf_a(&none), false, NULL, R_TLS_NO_IDENTITY);
	REFUSED(leaf_a(&dns), false, NULL, R_TLS_NO_IDENTITY);
	REFUSED(leaf_a(&two), false, NULL, R_TLS_TWO_IDENTITIES);
	REFUSED(leaf_a(&twice), false, NULL, R_TLS_TWO_IDENTITIES);
	REFUSED(leaf_a(&other), false, NULL, R_TLS_BAD_IDENTITY);
	REFUSED(leaf_a(&upper), false, NULL, R_TLS_BAD_IDENTITY);
	REFUSED(leaf_a(&longer), false, NULL, R_TLS_BAD_IDENTITY);
	REFUSED(leaf_a(&shorter), false, NULL, R_TLS_BAD_IDENTITY);
	/* Of a device whose slot that node fills. */
	REFUSED(leaf_a(&component), false, NULL, R_TLS_BAD_IDENTITY);
}

/* An extension that occurs twice hides one of the two from somebody. */
static void
test_extension_twice(void **state)
{
	struct leaf	l = leaf_a(NULL);

	certs_extend(l.cert, ca_a.cert, NID_subject_alt_name,
	    "URI:urn:provd:node:" NODE_B);
	certs_sign(l.cert, ca_a.key);
	REFUSED(l, false, NULL, R_TLS_TWO_IDENTITIES);
	l = leaf_a(NULL);
	certs_extend(l.cert, ca_a.cert, NID_basic_constraints, "CA:TRUE");
	certs_sign(l.cert, ca_a.key);
	REFUSED(l, false, NULL, R_TLS_CERTIFICATE);
}

/* What the other side is told, of all that we may refuse it for. */
static void
test_alert(void **state)
{
	static const struct {
		enum reason	reason;
		int		alert;
	} cases[] = {
		{ R_TLS_EXPIRED, X509_V_ERR_CERT_HAS_EXPIRED },
		{ R_TLS_NOT_YET_VALID, X509_V_ERR_CERT_NOT_YET_VALID },
		{ R_TLS_PURPOSE, X509_V_ERR_INVALID_PURPOSE },
		{ R_TLS_KEY_USAGE, X509_V_ERR_INVALID_PURPOSE },
		{ R_TLS_LEAF_CA, X509_V_ERR_INVALID_PURPOSE },
		{ R_TLS_NO_IDENTITY, X509_V_ERR_CERT_REJECTED },
		{ R_TLS_TWO_IDENTITIES, X509_V_ERR_CERT_REJECTED },
		{ R_TLS_BAD_IDENTITY, X509_V_ERR_CERT_REJECTED },
		{ R_TLS_CERTIFICATE, X509_V_ERR_CERT_REJECTED },
		/* Not whom we know, nor whether we know anybody. */
		{ R_TLS_UNKNOWN_PEER,
		    X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY },
		{ R_TLS_WRONG_ANCHOR,
		    X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY },
		{ R_TLS_FOREIGN_ANCHOR,
		    X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY },
	};
	size_t	i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(tls_alert(cases[i].reason),
		    cases[i].alert);
}

static void
test_unknown(void **state)
{
	REFUSED(certs_leaf(&ca_a, NODE_C, NULL), false, NULL,
	    R_TLS_UNKNOWN_PEER);
}

/* Whoever is dialled must answer, and nobody else that we also know. */
static void
test_wrong_peer(void **state)
{
	REFUSED(certs_leaf(&ca_b, NODE_B, NULL), true, peer_a,
	    R_TLS_WRONG_PEER);
	REFUSED(certs_leaf(&ca_b, NODE_C, NULL), true, peer_a,
	    R_TLS_WRONG_PEER);
}

static void
test_wrong_anchor(void **state)
{
	struct ca stranger = certs_ca("provd node " NODE_C);

	REFUSED(certs_leaf(&stranger, NODE_A, NULL), false, NULL,
	    R_TLS_WRONG_ANCHOR);
	/* Same name, another key. */
	REFUSED(certs_leaf(&ca_a2, NODE_A, NULL), false, NULL,
	    R_TLS_WRONG_ANCHOR);
	certs_ca_free(&stranger);
}

/* It says that A's CA issued it, but a stranger's key signed. */
static void
test_forged_issuer(void **state)
{
	struct ca		stranger = certs_ca("stranger");
	struct leaf_conf	c = { .named = &ca_a };

	REFUSED(certs_leaf(&stranger, NODE_A, &c), false, NULL,
	    R_TLS_WRONG_ANCHOR);
	certs_ca_free(&stranger);
}

/* B has a trusted CA, and uses it to speak for A. */
static void
test_foreign_anchor(void **state)
{
	struct refusal why;

	assert_null(verify(certs_leaf(&ca_b, NODE_A, NULL), false, NULL, &why));
	assert_int_equal(why.reason, R_TLS_FOREIGN_ANCHOR);
	assert_string_equal(why.expected, "bmc-a");
	assert_string_equal(why.seen, "bmc-b");
}

/* Two anchors while a CA is rolled over, then the new one alone. */
static void
test_rollover(void **state)
{
	struct refusal	why;
	uint64_t	epoch = peer_a->epoch;

	enter(1, "bmc-a", NODE_A, &ca_a, &ca_a2, 0);
	assert_true(peer_a->epoch != epoch);
	assert_ptr_equal(verify(leaf_a(NULL), true, NULL, &why), peer_a);
	assert_ptr_equal(verify(certs_leaf(&ca_a2, NODE_A, NULL), true, NULL,
	    &why), peer_a);
	enter(1, "bmc-a", NODE_A, &ca_a2, NULL, 0);
	REFUSED(leaf_a(NULL), true, NULL, R_TLS_WRONG_ANCHOR);
	enter(1, "bmc-a", NODE_A, &ca_a, NULL, 0);
	epoch = peer_a->epoch;
	enter(1, "bmc-a", NODE_A, &ca_a, NULL, 77);	/* nothing new to verify */
	assert_true(peer_a->epoch == epoch);
	enter(1, "bmc-a", NODE_A, &ca_a, NULL, 0);
}

static void
test_disabled(void **state)
{
	enter(1, "bmc-a", NODE_A, NULL, NULL, 0);
	REFUSED(leaf_a(NULL), false, NULL, R_TLS_UNKNOWN_PEER);
	enter(1, "bmc-a", NODE_A, &ca_a, NULL, 0);
}

static void
test_window(void **state)
{
	static const struct leaf_conf old = { .from = -10 * DAY, .to = -DAY },
	    young = { .from = DAY, .to = 10 * DAY };

	REFUSED(leaf_a(&old), false, NULL, R_TLS_EXPIRED);
	REFUSED(leaf_a(&young), false, NULL, R_TLS_NOT_YET_VALID);
}

/*
 * A leaf that was accepted is not verified again, but what it was accepted
 * for, by whom, and when, is.
 */
static void
test_pinned(void **state)
{
	static const struct leaf_conf client = { .eku = "clientAuth" };
	struct leaf	l = leaf_a(&client);
	uint64_t	now = clock_trusted();
	struct refusal	why;

	assert_ptr_equal(peer_verify(l.cert, false, NULL, now, &why), peer_a);
	assert_true(peer_a->pin[0].set);
	assert_ptr_equal(peer_verify(l.cert, false, NULL, now, &why), peer_a);
	assert_null(peer_verify(l.cert, true, NULL, now, &why));
	assert_int_equal(why.reason, R_TLS_PURPOSE);
	assert_null(peer_verify(l.cert, false, NULL, now + 100 * DAY, &why));
	assert_int_equal(why.reason, R_TLS_EXPIRED);
	assert_null(peer_verify(l.cert, false, NULL, now - 2 * DAY, &why));
	assert_int_equal(why.reason, R_TLS_NOT_YET_VALID);
	enter(1, "bmc-a", NODE_A, &ca_a2, NULL, 0);
	assert_null(peer_verify(l.cert, false, NULL, now, &why));
	assert_int_equal(why.reason, R_TLS_WRONG_ANCHOR);
	enter(1, "bmc-a", NODE_A, NULL, NULL, 0);
	assert_null(peer_verify(l.cert, false, NULL, now, &why));
	enter(1, "bmc-a", NODE_A, &ca_a, NULL, 0);
	assert_false(peer_a->pin[0].set);
	assert_ptr_equal(peer_verify(l.cert, false, NULL, now, &why), peer_a);
	certs_leaf_free(&l);
}

/* The peer's clock counts, as its attestation showed it. */
static void
test_shift(void **state)
{
	static const struct leaf_conf old = { .from = -10 * DAY, .to = -DAY };
	struct refusal why;

	enter(1, "bmc-a", NODE_A, &ca_a, NULL, -5 * DAY);
	assert_ptr_equal(verify(leaf_a(&old), false, NULL, &why), peer_a);
	REFUSED(leaf_a(NULL), false, NULL, R_TLS_NOT_YET_VALID);
	/* A CA does not lose its word by a clock: it is younger than this. */
	assert_true(X509_cmp_timeframe(NULL, X509_get0_notBefore(ca_a.cert),
	    X509_get0_notAfter(ca_a.cert)) == 0);
	enter(1, "bmc-a", NODE_A, &ca_a, NULL, INT64_MIN + 1);
	REFUSED(leaf_a(NULL), false, NULL, R_TLS_NOT_YET_VALID);
	enter(1, "bmc-a", NODE_A, &ca_a, NULL, INT64_MAX);
	REFUSED(leaf_a(NULL), false, NULL, R_TLS_EXPIRED);
	enter(1, "bmc-a", NODE_A, &ca_a, NULL, 0);
}

static void
test_usage(void **state)
{
	static const struct leaf_conf client = { .eku = "clientAuth" },
	    server = { .eku = "serverAuth" }, no_eku = { .eku = "" },
	    code = { .eku = "codeSigning" }, any = { .eku = "anyExtendedKeyUsage" },
	    no_ku = { .ku = "" }, agree = { .ku = "critical,keyAgreement" };
	struct refusal why;

	assert_ptr_equal(verify(leaf_a(&client), false, NULL, &why), peer_a);
	assert_ptr_equal(verify(leaf_a(&server), true, NULL, &why), peer_a);
	REFUSED(leaf_a(&client), true, NULL, R_TLS_PURPOSE);
	REFUSED(leaf_a(&server), false, NULL, R_TLS_PURPOSE);
	REFUSED(leaf_a(&no_eku), true, NULL, R_TLS_PURPOSE);
	REFUSED(leaf_a(&code), true, NULL, R_TLS_PURPOSE);
	REFUSED(leaf_a(&any), true, NULL, R_TLS_PURPOSE);
	REFUSED(leaf_a(&no_ku), true, NULL, R_TLS_KEY_USAGE);
	REFUSED(leaf_a(&agree), true, NULL, R_TLS_KEY_USAGE);
}

static void
test_ca_as_leaf(void **state)
{
	static const struct leaf_conf ca = { .bc = "critical,CA:TRUE" };

	REFUSED(leaf_a(&ca), true, NULL, R_TLS_LEAF_CA);
}

/* The leaf that is its own issuer, though it names a peer. */
static void
test_self_signed(void **state)
{
	struct leaf	l = { .key = certs_key("P-256") };

	l.cert = certs_begin("provd node " NODE_A, l.key, -DAY, DAY);
	X509_set_issuer_name(l.cert, X509_get_subject_name(l.cert));
	certs_extend(l.cert, l.cert, NID_key_usage, "digitalSignature");
	certs_extend(l.cert, l.cert, NID_ext_key_usage, "serverAuth");
	certs_extend(l.cert, l.cert, NID_subject_alt_name,
	    "URI:urn:provd:node:" NODE_A);
	certs_sign(l.cert, l.key);
	REFUSED(l, true, NULL, R_TLS_LEAF_CA);
}

/* RFC 5280 to the letter: a CA:FALSE leaf with a path length is none. */
static void
test_strict(void **state)
{
	static const struct leaf_conf odd = { .ku =
	    "critical,digitalSignature,keyCertSign" };

	REFUSED(leaf_a(&odd), true, NULL, R_TLS_CERTIFICATE);
}

/* An anchor is a CA, whole, and nothing after it. */
static void
test_bad_anchor(void **state)
{
	static struct msg_peer_set	m;
	struct leaf			l = leaf_a(NULL);
	struct refusal			why;
	struct peer			*p;

	m.peer = 9;
	IPC_SET_STR(m.name, "bmc-c");
	IPC_SET_STR(m.node, NODE_C);
	IPC_SET_BLOB(m.anchor, "rubbish", 7);
	p = peer_enter(&m, &why);
	assert_int_equal(why.reason, R_TLS_BAD_ANCHOR);
	assert_int_equal(p->nanchors, 0);
	CERTS_BLOB(m.anchor, l.cert);
	peer_enter(&m, &why);
	assert_int_equal(why.reason, R_TLS_BAD_ANCHOR);
	CERTS_BLOB(m.anchor, ca_b.cert);
	m.anchor.data[m.anchor.len++] = 0;
	peer_enter(&m, &why);
	assert_int_equal(why.reason, R_TLS_BAD_ANCHOR);
	m.anchor.len--;
	IPC_SET_STR(m.node, "");
	peer_enter(&m, &why);
	assert_int_equal(why.reason, R_TLS_BAD_ANCHOR);
	IPC_SET_STR(m.node, NODE_B);
	peer_enter(&m, &why);
	assert_int_equal(why.reason, R_TLS_DUPLICATE_NODE);
	assert_ptr_equal(peer_bynode(NODE_B), peer_b);
	peer_remove(p);
	certs_leaf_free(&l);
}

/* Several hundred peers are found by number and by node, and go again. */
static void
test_many_peers(void **state)
{
	static struct msg_peer_set	m;
	struct refusal			why;
	uint32_t			i;

	memset(&m, 0, sizeof(m));
	for (i = 100; i < 100 + PEERS_MAX - 2; i++) {
		m.peer = i;
		snprintf(m.node, sizeof(m.node), "%040x", i);
		assert_non_null(peer_enter(&m, &why));
	}
	m.peer = i;
	snprintf(m.node, sizeof(m.node), "%040x", i);
	assert_null(peer_enter(&m, &why));
	for (i = 100; i < 100 + PEERS_MAX - 2; i++) {
		snprintf(m.node, sizeof(m.node), "%040x", i);
		assert_ptr_equal(peer_bynumber(i), peer_bynode(m.node));
		peer_remove(peer_bynumber(i));
		assert_null(peer_bynode(m.node));
	}
	assert_ptr_equal(peer_bynumber(1), peer_a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_proper),
		cmocka_unit_test(test_identity),
		cmocka_unit_test(test_extension_twice),
		cmocka_unit_test(test_alert),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_wrong_peer),
		cmocka_unit_test(test_wrong_anchor),
		cmocka_unit_test(test_forged_issuer),
		cmocka_unit_test(test_foreign_anchor),
		cmocka_unit_test(test_rollover),
		cmocka_unit_test(test_disabled),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_pinned),
		cmocka_unit_test(test_shift),
		cmocka_unit_test(test_usage),
		cmocka_unit_test(test_ca_as_leaf),
		cmocka_unit_test(test_self_signed),
		cmocka_unit_test(test_strict),
		cmocka_unit_test(test_bad_anchor),
		cmocka_unit_test(test_many_peers),
	};

	return cmocka_run_group_tests_name("verify", tests, setup, teardown);
}
