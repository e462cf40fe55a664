/*
 * Certificate chains of SPDM slots: what a verifier must refuse, each with
 * its own reason, and what it must take.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "spdm_soft.h"

static struct soft		soft;
static struct spdm_chain_rules	rules;
static struct spdm_why		why;
static struct spdm_chain	chain;
static uint8_t			content[20000];
static size_t			content_len;

static int
setup(void **state)
{
	if (spdm_init() == -1)
		return -1;
	soft_new(&soft, KEY_P256);
	return 0;
}

static int
teardown(void **state)
{
	soft_free(&soft);
	return 0;
}

static int
before(void **state)
{
	rules = (struct spdm_chain_rules){ .alg = spdm_alg(KEY_P256),
	    .version = SPDM_V13 };
	return 0;
}

/* The content of a slot: Length, hash of the root, the certificates. */
static void
fill(const X509 *root, X509 *const *certs, size_t n)
{
	uint8_t	der[4096];
	size_t	i, len = soft_der((X509 *)(uintptr_t)root, der);

	spdm_hash(spdm_md(rules.alg), der, len, content + 4);
	content_len = 4 + rules.alg->hash_len;
	for (i = 0; i < n; i++)
		content_len += soft_der(certs[i], content + content_len);
	content[0] = content_len;
	content[1] = content_len >> 8;
	content[2] = content[3] = 0;
}

static void
read_expect(enum reason want)
{
	int	r;

	why.reason = R_OK;
	r = spdm_chain_read(content, content_len, &rules, &chain, &why);
	if (why.reason != want)
		fail_msg("%s instead of %s: %s: expected %s, seen %s",
		    reason_code(why.reason), reason_code(want), why.field,
		    why.expected, why.seen);
	assert_int_equal(r, want == R_OK ? 0 : -1);
	if (want != R_OK)
		spdm_chain_free(&chain);
}

/* A chain of the root and this leaf. */
static void
leaf_expect(const struct soft_cert *c, EVP_PKEY *key, enum reason want)
{
	X509	*leaf = soft_issue(c, key, soft.root, soft.root_key);
	X509	*certs[2] = { soft.root, leaf };

	fill(soft.root, certs, 2);
	read_expect(want);
	spdm_chain_free(&chain);
	X509_free(leaf);
}

static void
test_good(void **state)
{
	struct spdm_identity	id;
	X509			*certs[2] = { soft.root, soft.leaf };
	uint8_t			 der[4096], h[32];

	fill(soft.root, certs, 2);
	read_expect(R_OK);
	spdm_identity(&chain, &id);
	assert_string_equal(id.serial, "7712");
	assert_string_equal(id.device, "ACME-7712");
	assert_string_equal(id.subject, "serialNumber=ACME-7712,CN=acme bmc");
	assert_int_equal(strlen(id.node), 40);
	spdm_hash(spdm_sha256(), der, soft_der(soft.root, der), h);
	assert_memory_equal(chain.root_sha256, h, 32);
	/* the leaf's window lies inside the root's */
	assert_int_equal(chain.not_after - chain.not_before,
	    SOFT_YEAR + 3600);
	spdm_chain_free(&chain);
}

/* Changed after it was issued, and signed again: read it. */
static void
changed_expect(X509 *leaf, enum reason want)
{
	X509	*certs[2] = { soft.root, leaf };

	NEED(X509_sign(leaf, soft.root_key, EVP_sha256()) > 0);
	fill(soft.root, certs, 2);
	read_expect(want);
}

static void
test_version_1(void **state)
{
	X509	*leaf = soft_issue(&soft_leaf, soft.key, soft.root,
	    soft.root_key);

	NEED(X509_set_version(leaf, X509_VERSION_1) == 1);
	changed_expect(leaf, R_ATT_CHAIN_FORM);
	X509_free(leaf);
}

/* An extension that occurs twice hides one of the two from somebody. */
static void
test_extension_twice(void **state)
{
	X509	*leaf = soft_issue(&soft_leaf, soft.key, soft.root,
	    soft.root_key);

	soft_ext(leaf, soft.root, NID_basic_constraints, "CA:TRUE");
	changed_expect(leaf, R_ATT_CHAIN_FORM);
	X509_free(leaf);
}

/* A serial number that no person could read, or no field could hold. */
static void
test_device_unreadable(void **state)
{
	static const char	*const names[] = { "a\nb", "\xc3\xa9",
	    "0123456789012345678901234567890123456789012345678901234567890123" };
	struct spdm_identity	 id;
	struct soft_cert	 c = soft_leaf;
	X509			*leaf;
	X509_NAME		*n;
	size_t			 i;

	c.device = NULL;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		leaf = soft_issue(&c, soft.key, soft.root, soft.root_key);
		n = X509_get_subject_name(leaf);
		NEED(X509_NAME_add_entry_by_NID(n, NID_serialNumber,
		    V_ASN1_PRINTABLESTRING, (const uint8_t *)names[i], -1, -1,
		    0) == 1);
		changed_expect(leaf, R_OK);
		spdm_identity(&chain, &id);
		if (i < 2)
			assert_string_equal(id.device, "");
		else
			assert_int_equal(strlen(id.device), 64);
		spdm_chain_free(&chain);
		X509_free(leaf);
	}
}

/* An expired leaf is reported with its window, and is no reason here. */
static void
test_expired_is_reported(void **state)
{
	struct soft_cert	c = soft_leaf;
	X509			*leaf, *certs[2];

	c.from = -7200;
	c.to = -3600;
	leaf = soft_issue(&c, soft.key, soft.root, soft.root_key);
	certs[0] = soft.root;
	certs[1] = leaf;
	fill(soft.root, certs, 2);
	read_expect(R_OK);
	assert_int_equal(chain.not_after - chain.not_before, 3600);
	assert_true(chain.not_after < (uint64_t)time(NULL));
	spdm_chain_free(&chain);
	X509_free(leaf);
}

static void
test_eku(void **state)
{
	struct soft_cert	c = soft_leaf;

	c.eku = "1.3.6.1.4.1.412.274.4";
	leaf_expect(&c, soft.key, R_ATT_LEAF_EKU);
	c.eku = "1.3.6.1.4.1.412.274.4,serverAuth";
	leaf_expect(&c, soft.key, R_ATT_LEAF_EKU);
	c.eku = "critical,1.3.6.1.4.1.412.274.3";
	leaf_expect(&c, soft.key, R_OK);
	c.eku = NULL;
	leaf_expect(&c, soft.key, R_OK);
	/* the sample certificates of the field carry those of TLS */
	c.eku = "critical,serverAuth,clientAuth,OCSPSigning";
	leaf_expect(&c, soft.key, R_OK);
}

static void
test_ca_leaf(void **state)
{
	struct soft_cert	c = soft_leaf;

	c.bc = "critical,CA:TRUE";
	leaf_expect(&c, soft.key, R_ATT_LEAF_CA);
	c.ku = "critical,digitalSignature,keyCertSign";
	leaf_expect(&c, soft.key, R_ATT_LEAF_CA);
	c = soft_leaf;
	c.bc = NULL;
	leaf_expect(&c, soft.key, R_ATT_LEAF_CA);
	rules.version = SPDM_V12;	/* may be left out before 1.3 */
	leaf_expect(&c, soft.key, R_OK);
}

static void
test_key_usage(void **state)
{
	struct soft_cert	c = soft_leaf;

	c.ku = "critical,keyAgreement";
	leaf_expect(&c, soft.key, R_ATT_LEAF_USAGE);
	c.ku = NULL;
	leaf_expect(&c, soft.key, R_ATT_LEAF_USAGE);
}

static void
test_leaf_key(void **state)
{
	EVP_PKEY	*k384 = EVP_EC_gen("secp384r1");
	EVP_PKEY	*k521 = EVP_EC_gen("secp521r1");
	EVP_PKEY	*ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");

	leaf_expect(&soft_leaf, k384, R_ATT_LEAF_KEY);
	leaf_expect(&soft_leaf, k521, R_ATT_LEAF_KEY);
	leaf_expect(&soft_leaf, ed, R_ATT_LEAF_KEY);
	EVP_PKEY_free(k384);
	EVP_PKEY_free(k521);
	EVP_PKEY_free(ed);
}

/* A curve given by its parameters is not the named curve. */
static void
test_explicit_curve(void **state)
{
	EVP_PKEY	*k = EVP_EC_gen("prime256v1");
	X509		*leaf, *certs[2] = { soft.root, NULL };

	assert_int_equal(EVP_PKEY_set_utf8_string_param(k, "encoding",
	    "explicit"), 1);
	leaf = soft_issue(&soft_leaf, k, soft.root, soft.root_key);
	certs[1] = leaf;
	fill(soft.root, certs, 2);
	/* OpenSSL may refuse it as a link already; it is never taken */
	assert_int_equal(spdm_chain_read(content, content_len, &rules, &chain,
	    &why), -1);
	spdm_chain_free(&chain);
	X509_free(leaf);
	EVP_PKEY_free(k);
}

static void
test_unknown_critical(void **state)
{
	X509		*leaf = X509_dup(soft.leaf), *certs[2];
	X509_EXTENSION	*e;
	ASN1_OCTET_STRING *v = ASN1_OCTET_STRING_new();
	ASN1_OBJECT	*oid = OBJ_txt2obj("1.3.6.1.4.1.99999.1", 1);

	ASN1_OCTET_STRING_set(v, (const uint8_t *)"\x05\x00", 2);
	e = X509_EXTENSION_create_by_OBJ(NULL, oid, 1, v);
	assert_non_null(e);
	X509_add_ext(leaf, e, -1);
	X509_sign(leaf, soft.root_key, EVP_sha256());
	certs[0] = soft.root;
	certs[1] = leaf;
	fill(soft.root, certs, 2);
	read_expect(R_ATT_CHAIN_LINK);
	X509_EXTENSION_free(e);
	ASN1_OCTET_STRING_free(v);
	ASN1_OBJECT_free(oid);
	X509_free(leaf);
}

/* ---- links --------------------------------------------------------------- */

static const struct soft_cert	inter = { "inter", NULL, "critical,CA:TRUE",
    "critical,keyCertSign", NULL, 9, -7200, 2 * SOFT_YEAR, false };

/* root, an intermediate as asked for, a leaf below it. */
static void
inter_expect(const struct soft_cert *c, enum reason want)
{
	EVP_PKEY	*k = EVP_EC_gen("prime256v1");
	X509		*mid = soft_issue(c, k, soft.root, soft.root_key);
	X509		*leaf = soft_issue(&soft_leaf, soft.key, mid, k);
	X509		*certs[3] = { soft.root, mid, leaf };

	fill(soft.root, certs, 3);
	read_expect(want);
	spdm_chain_free(&chain);
	X509_free(mid);
	X509_free(leaf);
	EVP_PKEY_free(k);
}

static void
test_intermediate(void **state)
{
	struct soft_cert	c = inter;

	inter_expect(&c, R_OK);
	c.bc = "critical,CA:FALSE";
	inter_expect(&c, R_ATT_CHAIN_LINK);
	c.bc = NULL;
	inter_expect(&c, R_ATT_CHAIN_LINK);
	c = inter;
	c.ku = "critical,digitalSignature";
	inter_expect(&c, R_ATT_CHAIN_LINK);
	c = inter;
	c.sha1 = true;
	inter_expect(&c, R_ATT_CHAIN_LINK);
}

static void
test_pathlen(void **state)
{
	struct soft_cert	r = soft_root;
	EVP_PKEY		*k = EVP_EC_gen("prime256v1");
	X509			*root, *mid, *leaf, *certs[3];

	r.bc = "critical,CA:TRUE,pathlen:0";
	root = soft_issue(&r, soft.root_key, NULL, soft.root_key);
	mid = soft_issue(&inter, k, root, soft.root_key);
	leaf = soft_issue(&soft_leaf, soft.key, mid, k);
	certs[0] = root;
	certs[1] = mid;
	certs[2] = leaf;
	fill(root, certs, 3);
	read_expect(R_ATT_CHAIN_LINK);
	X509_free(root);
	X509_free(mid);
	X509_free(leaf);
	EVP_PKEY_free(k);
}

static void
test_forged_link(void **state)
{
	/* the root's name, another key */
	X509	*leaf = soft_issue(&soft_leaf, soft.key, soft.root, soft.ca_key);
	X509	*certs[2] = { soft.root, leaf };

	fill(soft.root, certs, 2);
	read_expect(R_ATT_CHAIN_LINK);
	X509_free(leaf);
}

static void
test_order(void **state)
{
	EVP_PKEY	*k = EVP_EC_gen("prime256v1");
	X509		*mid = soft_issue(&inter, k, soft.root, soft.root_key);
	X509		*leaf = soft_issue(&soft_leaf, soft.key, mid, k);
	X509		*other = soft_issue(&inter, soft.ca_key, soft.root,
			    soft.root_key);
	X509		*extra[4] = { soft.root, mid, other, leaf };
	X509		*swapped[3] = { soft.root, leaf, mid };
	X509		*twice[4] = { soft.root, mid, mid, leaf };

	fill(soft.root, extra, 4);
	read_expect(R_ATT_CHAIN_LINK);
	fill(soft.root, swapped, 3);
	why.reason = R_OK;
	assert_int_equal(spdm_chain_read(content, content_len, &rules, &chain,
	    &why), -1);
	spdm_chain_free(&chain);
	fill(soft.root, twice, 4);
	read_expect(R_ATT_CHAIN_LINK);
	X509_free(mid);
	X509_free(leaf);
	X509_free(other);
	EVP_PKEY_free(k);
}

/* ---- roots --------------------------------------------------------------- */

static void
root_fill(struct spdm_root *r, X509 *x)
{
	uint8_t	der[4096];
	size_t	n = soft_der(x, der);

	r->cert = x;
	spdm_hash(spdm_sha256(), der, n, r->sha256);
	spdm_hash(spdm_md(spdm_alg(KEY_P384)), der, n, r->sha384);
}

/* A chain that starts below its root needs a root that we accepted. */
static void
test_below_root(void **state)
{
	struct spdm_root	roots[3] = { 0 };
	X509			*certs[1] = { soft.leaf };

	fill(soft.root, certs, 1);
	read_expect(R_ATT_CHAIN_ROOT);
	root_fill(&roots[1], soft.node_ca);
	rules.roots = roots;
	rules.nroots = 3;
	read_expect(R_ATT_CHAIN_ROOT);
	root_fill(&roots[2], soft.root);
	read_expect(R_OK);
	assert_memory_equal(chain.root_sha256, roots[2].sha256, 32);
	spdm_chain_free(&chain);
	/* the hash of one accepted root, the leaf of another */
	memcpy(content + 4, roots[1].sha256, 32);
	read_expect(R_ATT_CHAIN_LINK);
}

static void
test_root_hash(void **state)
{
	X509	*certs[2] = { soft.root, soft.leaf };
	X509	*alone[1] = { soft.root };

	fill(soft.root, certs, 2);
	content[4] ^= 1;
	read_expect(R_ATT_CHAIN_ROOT);
	fill(soft.node_ca, certs, 2);
	read_expect(R_ATT_CHAIN_ROOT);
	fill(soft.root, alone, 1);
	read_expect(R_ATT_LEAF_CA);
}

/* A first certificate that was issued by another is no root. */
static void
test_root_not_self_issued(void **state)
{
	X509	*mid = soft_issue(&inter, soft.ca_key, soft.root,
		    soft.root_key);
	X509	*leaf = soft_issue(&soft_leaf, soft.key, mid, soft.ca_key);
	X509	*certs[2] = { mid, leaf };

	fill(mid, certs, 2);
	read_expect(R_ATT_CHAIN_ROOT);
	X509_free(mid);
	X509_free(leaf);
}

/* ---- form ---------------------------------------------------------------- */

static void
test_form(void **state)
{
	X509	*certs[2] = { soft.root, soft.leaf };
	X509	*many[9];
	size_t	 i, whole;

	fill(soft.root, certs, 2);
	whole = content_len;
	/* every length but the right one, and every length that lies */
	for (content_len = 0; content_len < whole; content_len++) {
		read_expect(R_ATT_CHAIN_FORM);
		if (content_len < 36 || content_len > 40)
			continue;
		content[0] = content_len;
		content[1] = content_len >> 8;
		read_expect(R_ATT_CHAIN_FORM);
	}
	fill(soft.root, certs, 2);
	content[content_len++] = 0;
	content[0] = content_len;
	content[1] = content_len >> 8;
	read_expect(R_ATT_CHAIN_FORM);
	for (i = 0; i < 9; i++)
		many[i] = soft.root;
	fill(soft.root, many, 9);
	read_expect(R_ATT_CHAIN_FORM);
}

/* A length in more bytes than it needs is BER, and no certificate of ours. */
static void
test_ber(void **state)
{
	static const uint8_t	good[] = { 0x30, 0x03, 0x02, 0x01, 0x05 };
	static const uint8_t	bad[][10] = {
		{ 0x30, 0x81, 0x03, 0x02, 0x01, 0x05 },	/* long length */
		{ 0x30, 0x80, 0x02, 0x01, 0x05, 0, 0 },	/* indefinite */
		{ 0x30, 0x04, 0x02, 0x02, 0x00, 0x05 },	/* padded INTEGER */
		{ 0x30, 0x02, 0x02, 0x00 },		/* empty INTEGER */
		{ 0x30, 0x03, 0x01, 0x01, 0x01 },	/* BOOLEAN 1 */
		{ 0x30, 0x04, 0x03, 0x02, 0x01, 0x01 },	/* unused bits set */
		{ 0x30, 0x02, 0x03, 0x00 },		/* no unused-bits byte */
		{ 0x30, 0x03, 0x05, 0x01, 0x00 },	/* NULL with a body */
		{ 0x30, 0x04, 0x02, 0x01, 0x05, 0x02 },	/* cut off inside */
	};
	static const size_t	len[] = { 6, 7, 6, 4, 5, 6, 4, 5, 6 };
	size_t			i;

	assert_true(der_strict(good, sizeof(good)));
	assert_false(der_strict(good, sizeof(good) - 1));
	for (i = 0; i < sizeof(len) / sizeof(len[0]); i++)
		if (der_strict(bad[i], len[i]))
			fail_msg("form %zu passes", i);
}

/* A chain is looked at for BER before anything of it is believed. */
static void
test_ber_chain(void **state)
{
	X509		*certs[2] = { soft.root, soft.leaf };
	static const uint8_t truth[] = { 0x01, 0x01, 0xff };
	uint8_t		*p;

	fill(soft.root, certs, 2);
	p = memmem(content + 36, content_len - 36, truth, sizeof(truth));
	assert_non_null(p);
	p[2] = 0x01;			/* TRUE in BER only */
	read_expect(R_ATT_CHAIN_FORM);
}

/* ---- slot 1 -------------------------------------------------------------- */

static void
anchor_expect(X509 *ca, X509 *leaf, enum reason want)
{
	struct spdm_chain	slot0;
	X509			*certs[2] = { soft.root, soft.leaf };
	static uint8_t		 first[8192];

	fill(soft.root, certs, 2);
	memcpy(first, content, content_len);
	assert_int_equal(spdm_chain_read(first, content_len, &rules, &slot0,
	    &why), 0);
	rules.slot = 1;
	rules.self_signed = true;
	certs[0] = ca;
	certs[1] = leaf;
	fill(ca, certs, 2);
	why.reason = R_OK;
	if (spdm_chain_read(content, content_len, &rules, &chain, &why) == 0)
		spdm_anchor_check(&chain, &slot0, &why);
	if (why.reason != want)
		fail_msg("%s instead of %s: %s: expected %s, seen %s",
		    reason_code(why.reason), reason_code(want), why.field,
		    why.expected, why.seen);
	spdm_chain_free(&chain);
	spdm_chain_free(&slot0);
}

static void
test_anchor(void **state)
{
	struct soft_cert	c = soft_node_ca;
	X509			*ca, *leaf;

	anchor_expect(soft.node_ca, soft.node_leaf, R_OK);
	/* over another key than slot 0 */
	leaf = soft_issue(&soft_node_leaf, soft.root_key, soft.node_ca,
	    soft.ca_key);
	anchor_expect(soft.node_ca, leaf, R_ATT_ANCHOR_KEY);
	X509_free(leaf);
	/* a CA that might issue others */
	c.bc = "critical,CA:TRUE";
	ca = soft_issue(&c, soft.ca_key, NULL, soft.ca_key);
	leaf = soft_issue(&soft_node_leaf, soft.key, ca, soft.ca_key);
	anchor_expect(ca, leaf, R_ATT_ANCHOR_FORM);
	X509_free(ca);
	X509_free(leaf);
	/* not signed by itself, but by the key of slot 0 */
	ca = soft_issue(&soft_node_ca, soft.ca_key, NULL, soft.key);
	leaf = soft_issue(&soft_node_leaf, soft.key, ca, soft.ca_key);
	anchor_expect(ca, leaf, R_ATT_CHAIN_LINK);
	X509_free(ca);
	X509_free(leaf);
}

static void
test_anchor_three(void **state)
{
	struct spdm_chain	a = { .n = 3 }, b = { .n = 2 };

	assert_int_equal(spdm_anchor_check(&a, &b, &why), -1);
	assert_int_equal(why.reason, R_ATT_ANCHOR_FORM);
}

#define CHAIN(f)	cmocka_unit_test_setup(f, before)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		CHAIN(test_good),
		CHAIN(test_version_1),
		CHAIN(test_extension_twice),
		CHAIN(test_device_unreadable),
		CHAIN(test_expired_is_reported),
		CHAIN(test_eku),
		CHAIN(test_ca_leaf),
		CHAIN(test_key_usage),
		CHAIN(test_leaf_key),
		CHAIN(test_explicit_curve),
		CHAIN(test_unknown_critical),
		CHAIN(test_intermediate),
		CHAIN(test_pathlen),
		CHAIN(test_forged_link),
		CHAIN(test_order),
		CHAIN(test_below_root),
		CHAIN(test_root_hash),
		CHAIN(test_root_not_self_issued),
		CHAIN(test_form),
		CHAIN(test_ber),
		CHAIN(test_ber_chain),
		CHAIN(test_anchor),
		CHAIN(test_anchor_three),
	};

	return cmocka_run_group_tests_name("spdm_chain", tests, setup,
	    teardown);
}
