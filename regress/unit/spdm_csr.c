/*
 * GET_CSR and SET_CERTIFICATE: the messages, and the certificate request of a
 * device. What it asks for is believed only if it proved to hold the key.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "../../attestd/spdm_csr.h"

#define N(a)	(sizeof(a) / sizeof((a)[0]))

static int
setup(void **state)
{
	return spdm_init();
}

/* ---- messages ------------------------------------------------------------ */

/* No prefix of a message is one, and neither is it with a byte more. */
#define EXACT(get, msg, len, out)	do {				\
	for (size_t i_ = 0; i_ < (len); i_++)				\
		assert_int_equal(get(msg, i_, out), -1);		\
	assert_int_equal(get(msg, (len) + 1, out), -1);			\
	assert_int_equal(get(msg, len, out), 0);			\
} while (0)

static void
test_get_csr(void **state)
{
	struct spdm_get_csr	 g = { .key_pair = 3, .model = 2, .tag = 5,
	    .overwrite = true, .info = (const uint8_t *)"info",
	    .info_len = 4, .opaque = (const uint8_t *)"opaque",
	    .opaque_len = 6 }, h;
	uint8_t			 buf[64] = { 0 };
	struct spdm_buf		 b;

	spdm_buf_init(&b, buf, sizeof(buf));
	spdm_get_csr_put(&b, SPDM_V13, &g);
	assert_int_equal(b.len, 18);
	assert_memory_equal(buf, "\x13\xed\x03\xaa\x04\0\x06\0", 8);
	EXACT(spdm_get_csr_get, buf, b.len, &h);
	assert_int_equal(h.key_pair, 3);
	assert_int_equal(h.model, 2);
	assert_int_equal(h.tag, 5);
	assert_true(h.overwrite);
	assert_memory_equal(h.info, "info", h.info_len);
	assert_memory_equal(h.opaque, "opaque", h.opaque_len);
	/* 1.2 has none of the parameters. */
	spdm_buf_init(&b, buf, sizeof(buf));
	spdm_get_csr_put(&b, SPDM_V12, &g);
	assert_memory_equal(buf, "\x12\xed\0\0", 4);
	assert_int_equal(spdm_get_csr_get(buf, b.len, &h), 0);
	assert_int_equal(h.key_pair + h.model + h.tag + h.overwrite, 0);
}

static void
test_opaque_max(void **state)
{
	uint8_t			*buf = calloc(1, 8 + 2048);
	struct spdm_get_csr	 h;

	assert_non_null(buf);
	buf[0] = SPDM_V12;
	buf[7] = 0x04;			/* 1024, and no more */
	assert_int_equal(spdm_get_csr_get(buf, 8 + 1024, &h), 0);
	buf[6] = 1;
	assert_int_equal(spdm_get_csr_get(buf, 8 + 1025, &h), -1);
	/* both lengths together wrap nothing */
	buf[4] = buf[5] = buf[6] = buf[7] = 0xff;
	assert_int_equal(spdm_get_csr_get(buf, 8 + 1024, &h), -1);
	free(buf);
}

static void
test_csr(void **state)
{
	struct spdm_csr_rsp	 c = { 5, (const uint8_t *)"12345" }, d;
	uint8_t			 buf[64] = { 0 };
	struct spdm_buf		 b;

	spdm_buf_init(&b, buf, sizeof(buf));
	spdm_csr_put(&b, SPDM_V12, &c);
	assert_memory_equal(buf, "\x12\x6d\0\0\x05\0\0\0" "12345", 13);
	EXACT(spdm_csr_get, buf, b.len, &d);
	assert_int_equal(d.len, 5);
	buf[4] = 0;			/* an empty one is none */
	assert_int_equal(spdm_csr_get(buf, 8, &d), -1);
}

static void
test_set_certificate(void **state)
{
	uint8_t				 chain[9] = { 9, 0, 0, 0, 1, 2, 3, 4,
	    5 }, buf[64] = { 0 };
	struct spdm_set_certificate	 s = { .slot = 3, .key_pair = 7,
	    .model = 3, .len = 9, .chain = chain }, t;
	struct spdm_buf			 b;

	spdm_buf_init(&b, buf, sizeof(buf));
	spdm_set_certificate_put(&b, SPDM_V13, &s);
	assert_memory_equal(buf, "\x13\xee\x33\x07", 4);
	EXACT(spdm_set_certificate_get, buf, b.len, &t);
	assert_int_equal(t.slot, 3);
	assert_int_equal(t.key_pair, 7);
	assert_int_equal(t.model, 3);
	assert_memory_equal(t.chain, chain, t.len);
	buf[2] = 8;
	assert_int_equal(spdm_set_certificate_get(buf, b.len, &t), -1);
	/* An erasure has no chain and no model. */
	s.erase = true;
	s.model = 0;
	spdm_buf_init(&b, buf, sizeof(buf));
	spdm_set_certificate_put(&b, SPDM_V13, &s);
	assert_int_equal(b.len, 4);
	EXACT(spdm_set_certificate_get, buf, b.len, &t);
	assert_true(t.erase);
	buf[2] |= 0x10;
	assert_int_equal(spdm_set_certificate_get(buf, b.len, &t), -1);
	/* 1.2 knows neither. */
	s = (struct spdm_set_certificate){ .slot = 1, .key_pair = 7,
	    .model = 1, .len = 9, .chain = chain };
	spdm_buf_init(&b, buf, sizeof(buf));
	spdm_set_certificate_put(&b, SPDM_V12, &s);
	assert_memory_equal(buf, "\x12\xee\x01\0", 4);
	buf[2] = 0x81;			/* reserved bits are passed over */
	assert_int_equal(spdm_set_certificate_get(buf, b.len, &t), 0);
	assert_false(t.erase);
	assert_int_equal(spdm_set_certificate_rsp_get(
	    (const uint8_t *)"\x12\x6e\x01\0", 4), 1);
	assert_int_equal(spdm_set_certificate_rsp_get(
	    (const uint8_t *)"\x12\x6e\x01\0", 5), -1);
}

static void
test_slot_content(void **state)
{
	static const uint8_t	 ders[8] = { 0x30, 2, 5, 0, 0x30, 2, 5, 0 };
	const struct spdm_alg	*alg = spdm_alg(KEY_P384);
	uint8_t			 out[128], h[SPDM_HASH_MAX];
	size_t			 n = 4 + alg->hash_len + sizeof(ders);

	assert_int_equal(spdm_slot_content(alg, ders, 8, out, n), n);
	assert_int_equal(out[0], n);
	spdm_hash(spdm_md(alg), ders, 4, h);
	assert_memory_equal(out + 4, h, alg->hash_len);
	assert_memory_equal(out + 4 + alg->hash_len, ders, 8);
	assert_int_equal(spdm_slot_content(alg, ders, 8, out, n - 1), 0);
	assert_int_equal(spdm_slot_content(alg, ders + 1, 7, out, n), 0);
}

/* ---- the request --------------------------------------------------------- */

struct made {
	uint8_t	der[2048];
	size_t	len;
};

static void
name(X509_NAME *n, const char *type, int kind, const char *value)
{
	assert_int_equal(X509_NAME_add_entry_by_txt(n, type, kind,
	    (const unsigned char *)value, -1, -1, 0), 1);
}

/* A request over subject's key, signed by signer. */
static void
make(struct made *m, EVP_PKEY *subject, EVP_PKEY *signer, const EVP_MD *md,
    bool extensions)
{
	STACK_OF(X509_EXTENSION)	*exts;
	X509_REQ			*q = X509_REQ_new();
	X509_NAME			*n = X509_REQ_get_subject_name(q);
	uint8_t				*p = m->der;

	X509_REQ_set_version(q, 0);
	name(n, "O", MBSTRING_ASC, "acme");
	name(n, "CN", MBSTRING_UTF8, "nic of acme");
	name(n, "serialNumber", MBSTRING_ASC, "NIC-0042");
	if (extensions) {
		exts = sk_X509_EXTENSION_new_null();
		sk_X509_EXTENSION_push(exts, X509V3_EXT_conf_nid(NULL, NULL,
		    NID_basic_constraints, "critical,CA:TRUE"));
		X509_REQ_add_extensions(q, exts);
		sk_X509_EXTENSION_pop_free(exts, X509_EXTENSION_free);
	}
	X509_REQ_set_pubkey(q, subject);
	assert_true(X509_REQ_sign(q, signer, md) > 0);
	m->len = (size_t)i2d_X509_REQ(q, &p);
	assert_true(m->len < sizeof(m->der));
	X509_REQ_free(q);
}

static enum reason
read_it(const struct made *m, enum key_algorithm a, struct spdm_csr *c)
{
	struct spdm_why	w = { .reason = R_OK };

	if (spdm_csr_read(m->der, m->len, a, c, &w) == 0)
		assert_int_equal(w.reason, R_OK);
	else
		assert_int_not_equal(w.reason, R_OK);
	return w.reason;
}

static void
test_good(void **state)
{
	static const char *const	 groups[] = { "P-256", "P-384" };
	struct made			 m;
	struct spdm_csr			 c;
	EVP_PKEY			*k;
	uint8_t				 point[97];
	size_t				 i, n;

	for (i = 0; i < 4; i++) {
		k = EVP_EC_gen(groups[i / 2]);
		make(&m, k, k, i / 2 ? EVP_sha384() : EVP_sha256(), i & 1);
		assert_int_equal(read_it(&m, i / 2 ? KEY_P384 : KEY_P256, &c),
		    R_OK);
		assert_int_equal(EVP_PKEY_get_octet_string_param(k, "pub",
		    point, sizeof(point), &n), 1);
		assert_int_equal(c.point_len, n);
		assert_memory_equal(c.point, point, n);
		assert_int_equal(c.algorithm, i / 2 ? KEY_P384 : KEY_P256);
		assert_string_equal(c.name, "nic of acme");
		assert_string_equal(c.device, "NIC-0042");
		EVP_PKEY_free(k);
	}
}

/* The key of another device, whose private half is not here. */
static void
test_not_possessed(void **state)
{
	EVP_PKEY	*mine = EVP_EC_gen("P-256"), *other;
	struct made	 m;
	struct spdm_csr	 c;

	other = EVP_EC_gen("P-256");
	make(&m, other, mine, EVP_sha256(), false);
	assert_int_equal(read_it(&m, KEY_P256, &c), R_ATT_CSR_PROOF);
	EVP_PKEY_free(mine);
	EVP_PKEY_free(other);
}

static void
test_wrong_key(void **state)
{
	static const char *const	 groups[] = { "P-384", "P-521",
	    "secp256k1" };
	EVP_PKEY			*k;
	struct made			 m;
	struct spdm_csr			 c;
	size_t				 i;

	for (i = 0; i < N(groups); i++) {
		k = EVP_EC_gen(groups[i]);
		make(&m, k, k, EVP_sha256(), false);
		assert_int_equal(read_it(&m, KEY_P256, &c), R_ATT_CSR_KEY);
		EVP_PKEY_free(k);
	}
	k = EVP_RSA_gen(2048);
	make(&m, k, k, EVP_sha256(), false);
	assert_int_equal(read_it(&m, KEY_P256, &c), R_ATT_CSR_KEY);
	EVP_PKEY_free(k);
	/* A hash weaker than the key. */
	k = EVP_EC_gen("P-384");
	make(&m, k, k, EVP_sha256(), false);
	assert_int_equal(read_it(&m, KEY_P384, &c), R_ATT_CSR_KEY);
	EVP_PKEY_free(k);
	k = EVP_EC_gen("P-256");
	make(&m, k, k, EVP_sha1(), false);
	assert_int_equal(read_it(&m, KEY_P256, &c), R_ATT_CSR_KEY);
	EVP_PKEY_free(k);
}

/* Every byte of it counts: changed, left out, or one more. */
static void
test_every_byte(void **state)
{
	EVP_PKEY	*k = EVP_EC_gen("P-256");
	struct made	 m;
	struct spdm_csr	 c;
	size_t		 i, len;

	make(&m, k, k, EVP_sha256(), true);
	len = m.len;
	for (i = 0; i < len; i++) {
		m.der[i] ^= 0x01;
		assert_int_not_equal(read_it(&m, KEY_P256, &c), R_OK);
		m.der[i] ^= 0x01;
		m.len = i;
		assert_int_equal(read_it(&m, KEY_P256, &c), R_ATT_CSR_FORM);
		m.len = len;
	}
	m.der[len] = 0;
	m.len = len + 1;
	assert_int_equal(read_it(&m, KEY_P256, &c), R_ATT_CSR_FORM);
	m.len = len;
	assert_int_equal(read_it(&m, KEY_P256, &c), R_OK);
	EVP_PKEY_free(k);
}

/* A name that would not fit a message, or a terminal, is passed over. */
static void
test_names(void **state)
{
	EVP_PKEY	*k = EVP_EC_gen("P-256");
	X509_REQ	*q = X509_REQ_new();
	X509_NAME	*n = X509_REQ_get_subject_name(q);
	struct made	 m;
	struct spdm_csr	 c;
	uint8_t		*p = m.der;

	name(n, "CN", MBSTRING_UTF8, "a");
	name(n, "CN", MBSTRING_UTF8, "evil\033[2J");
	name(n, "serialNumber", V_ASN1_BMPSTRING, "abcd");
	X509_REQ_set_pubkey(q, k);
	assert_true(X509_REQ_sign(q, k, EVP_sha256()) > 0);
	m.len = (size_t)i2d_X509_REQ(q, &p);
	assert_int_equal(read_it(&m, KEY_P256, &c), R_OK);
	assert_string_equal(c.name, "a");
	assert_string_equal(c.device, "");
	X509_REQ_free(q);
	EVP_PKEY_free(k);
}

static void
test_too_long(void **state)
{
	static uint8_t	 big[SPDM_CSR_MAX + 1] = { 0x30, 0x82, 0x0f, 0xfd };
	struct spdm_csr	 c;
	struct spdm_why	 w;

	assert_int_equal(spdm_csr_read(big, sizeof(big), KEY_P256, &c, &w), -1);
	assert_int_equal(w.reason, R_ATT_CSR_FORM);
	assert_string_equal(w.expected, "at most 4096 bytes");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_get_csr),
		cmocka_unit_test(test_opaque_max),
		cmocka_unit_test(test_csr),
		cmocka_unit_test(test_set_certificate),
		cmocka_unit_test(test_slot_content),
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_not_possessed),
		cmocka_unit_test(test_wrong_key),
		cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_too_long),
	};

	return cmocka_run_group_tests_name("spdm_csr", tests, setup, NULL);
}
