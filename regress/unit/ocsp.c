/* Requests and responses of OCSP, made and read by OpenSSL's own functions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/ocsp.h>
#include <openssl/x509v3.h>

#include "../../enrold/wire.h"

#define N(a)	(sizeof(a) / sizeof((a)[0]))

static EVP_PKEY	*ca_key;
static X509	*ca;

static X509 *
certificate(EVP_PKEY *k, const char *name)
{
	X509	*x = X509_new();

	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN",
	    MBSTRING_ASC, (const uint8_t *)name, -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	ASN1_TIME_set_string(X509_getm_notBefore(x), "20260101000000Z");
	ASN1_TIME_set_string(X509_getm_notAfter(x), "20960101000000Z");
	X509_set_pubkey(x, k);
	assert_true(X509_sign(x, k, EVP_sha256()) > 0);
	return x;
}

static int
setup(void **state)
{
	ca_key = EVP_EC_gen("P-256");
	ca = certificate(ca_key, "CA");
	return 0;
}

static int
teardown(void **state)
{
	EVP_PKEY_free(ca_key);
	X509_free(ca);
	return 0;
}

/* ---- requests ------------------------------------------------------------------ */

struct request {
	const char	*serial;	/* hex */
	const EVP_MD	*md;
	int		 nonce;		/* bytes; -1: none */
	int		 certs;
	bool		 sign, name;
};
#define ASK(s, m, n, c)	{ .serial = (s), .md = (m), .nonce = (n), .certs = (c) }

static size_t
make(const struct request *r, uint8_t **der)
{
	OCSP_REQUEST	*q = OCSP_REQUEST_new();
	ASN1_INTEGER	*serial;
	BIGNUM		*bn = NULL;
	int		 i, n;

	BN_hex2bn(&bn, r->serial);
	serial = BN_to_ASN1_INTEGER(bn, NULL);
	for (i = 0; i < r->certs; i++)
		OCSP_request_add0_id(q, OCSP_cert_id_new(r->md,
		    X509_get_subject_name(ca), X509_get0_pubkey_bitstr(ca),
		    serial));
	if (r->nonce >= 0)
		OCSP_request_add1_nonce(q, NULL, r->nonce);
	if (r->name)
		OCSP_request_set1_name(q, X509_get_subject_name(ca));
	if (r->sign)
		assert_int_equal(OCSP_request_sign(q, ca, ca_key, EVP_sha256(),
		    NULL, 0), 1);
	ASN1_INTEGER_free(serial);
	BN_free(bn);
	*der = NULL;
	n = i2d_OCSP_REQUEST(q, der);
	assert_true(n > 0);
	OCSP_REQUEST_free(q);
	return (size_t)n;
}

static int
parse(const uint8_t *p, size_t n, struct ocsp_query *q)
{
	uint8_t		*copy = malloc(n + (n == 0));
	struct refusal	 why = { .reason = R_OK };
	int		 r;

	if (n > 0)
		memcpy(copy, p, n);
	r = ocsp_parse(copy, n, q, &why);
	free(copy);
	assert_int_equal(why.reason, r == 0 ? R_OK : R_ENR_OCSP);
	return r;
}

static int
parse_made(const struct request *r, struct ocsp_query *q)
{
	uint8_t	*der;
	size_t	 n = make(r, &der);
	int	 result = parse(der, n, q);

	OPENSSL_free(der);
	return result;
}

static void
test_good(void **state)
{
	struct request		r = ASK("f1", EVP_sha1(), -1, 1);
	struct ocsp_query	q;
	uint8_t			hash[32];
	unsigned		n;
	ASN1_BIT_STRING		*key = X509_get0_pubkey_bitstr(ca);

	assert_int_equal(parse_made(&r, &q), 0);
	assert_int_equal(q.hash, 0);
	assert_int_equal(q.hash_len, 20);
	assert_int_equal(q.serial_len, 1);
	assert_int_equal(q.serial[0], 0xf1);
	assert_int_equal(q.nonce_len, 0);
	X509_NAME_digest(X509_get_subject_name(ca), EVP_sha1(), hash, &n);
	assert_memory_equal(q.name_hash, hash, 20);
	EVP_Digest(key->data, (size_t)key->length, hash, &n, EVP_sha1(), NULL);
	assert_memory_equal(q.key_hash, hash, 20);
	r = (struct request){ "ff00112233445566778899aabbccddeeff001122",
	    EVP_sha256(), 32, 1, true, true };
	assert_int_equal(parse_made(&r, &q), 0);
	assert_int_equal(q.hash, 1);
	assert_int_equal(q.hash_len, 32);
	assert_int_equal(q.serial_len, 20);
	assert_int_equal(q.nonce_len, 32);
	r = (struct request)ASK("0", EVP_sha256(), 1, 1);
	assert_int_equal(parse_made(&r, &q), 0);
	assert_int_equal(q.serial_len, 1);
	assert_int_equal(q.serial[0], 0);
	assert_int_equal(q.nonce_len, 1);
}

static void
test_refused(void **state)
{
	const struct request bad[] = {
		ASK("1", EVP_sha1(), -1, 0),	/* nothing is asked */
		ASK("1", EVP_sha1(), -1, 2),
		ASK("1", EVP_md5(), -1, 1),
		ASK("1", EVP_sha512(), -1, 1),
		ASK("1", EVP_sha1(), 33, 1),	/* RFC 8954, 2.1 */
		ASK("100112233445566778899aabbccddeeff00112233", EVP_sha1(), -1,
		    1),
		ASK("-1", EVP_sha1(), -1, 1),
	};
	struct ocsp_query	q;
	size_t			i;

	for (i = 0; i < N(bad); i++)
		if (parse_made(&bad[i], &q) == 0)
			fail_msg("case %zu", i);
}

/* No cut of a request is one, nor a request with a byte more. */
static void
test_cuts(void **state)
{
	struct request		 r = ASK("1234", EVP_sha256(), 16, 1);
	struct ocsp_query	 q;
	uint8_t			*der, *more;
	size_t			 i, n = make(&r, &der);

	for (i = 0; i < n; i++)
		assert_int_equal(parse(der, i, &q), -1);
	more = calloc(1, n + 1);
	memcpy(more, der, n);
	assert_int_equal(parse(more, n + 1, &q), -1);
	assert_int_equal(parse(more, n, &q), 0);
	free(more);
	OPENSSL_free(der);
}

#define S(s)	(const uint8_t *)(s), sizeof(s) - 1
#define H19	"aaaaaaaaaaaaaaaaaaa"
#define H20	H19 "a"
#define SHA1	"\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00"
/* 61 bytes: one Request of serial 1 */
#define ID	"\x30\x3a" SHA1 "\x04\x14" H20 "\x04\x14" H20 "\x02\x01\x01"
#define LIST	"\x30\x3e\x30\x3c" ID
#define NONCE	"\x06\x09\x2b\x06\x01\x05\x05\x07\x30\x01\x02"
#define OTHER	"\x06\x09\x2b\x06\x01\x05\x05\x07\x30\x01\x09"

static void
test_shapes(void **state)
{
	static const struct {
		const char	*what;
		const uint8_t	*der;
		size_t		 len;
		int		 result;
	} cases[] = {
		{ "plain", S("\x30\x42\x30\x40" LIST), 0 },
		{ "v1", S("\x30\x47\x30\x45\xa0\x03\x02\x01\x00" LIST), 0 },
		{ "v2", S("\x30\x47\x30\x45\xa0\x03\x02\x01\x01" LIST), -1 },
		{ "nonce", S("\x30\x57\x30\x55" LIST "\xa2\x13\x30\x11\x30"
		    "\x0f" NONCE "\x04\x02\x04\x00"), -1 },
		{ "nonce of a byte", S("\x30\x58\x30\x56" LIST "\xa2\x14\x30"
		    "\x12\x30\x10" NONCE "\x04\x03\x04\x01n"), 0 },
		{ "critical nonce", S("\x30\x5b\x30\x59" LIST "\xa2\x17\x30"
		    "\x15\x30\x13" NONCE "\x01\x01\xff\x04\x03\x04\x01n"),
		    0 },
		{ "nonce twice", S("\x30\x6a\x30\x68" LIST "\xa2\x26\x30\x24"
		    "\x30\x10" NONCE "\x04\x03\x04\x01n\x30\x10" NONCE
		    "\x04\x03\x04\x01n"), -1 },
		{ "bare nonce", S("\x30\x56\x30\x54" LIST "\xa2\x12\x30\x10"
		    "\x30\x0e" NONCE "\x04\x01n"), -1 },
		{ "unknown", S("\x30\x57\x30\x55" LIST "\xa2\x13\x30\x11"
		    "\x30\x0f" OTHER "\x04\x02\x05\x00"), 0 },
		{ "unknown and critical", S("\x30\x5a\x30\x58" LIST "\xa2\x16"
		    "\x30\x14\x30\x12" OTHER "\x01\x01\xff\x04\x02\x05\x00"),
		    -1 },
		{ "of the one", S("\x30\x57\x30\x55\x30\x53\x30\x51" ID "\xa0"
		    "\x13\x30\x11\x30\x0f" OTHER "\x04\x02\x05\x00"), 0 },
		{ "no list of extensions", S("\x30\x46\x30\x44" LIST "\xa2"
		    "\x02\x05\x00"), -1 },
		{ "extension without value", S("\x30\x53\x30\x51" LIST "\xa2"
		    "\x0f\x30\x0d\x30\x0b" OTHER), -1 },
		{ "no extension", S("\x30\x48\x30\x46" LIST "\xa2\x04\x30"
		    "\x02\x30\x00"), -1 },
		{ "short name hash", S("\x30\x41\x30\x3f\x30\x3d\x30\x3b\x30"
		    "\x39" SHA1 "\x04\x13" H19 "\x04\x14" H20
		    "\x02\x01\x01"), -1 },
		{ "short key hash", S("\x30\x41\x30\x3f\x30\x3d\x30\x3b\x30"
		    "\x39" SHA1 "\x04\x14" H20 "\x04\x13" H19
		    "\x02\x01\x01"), -1 },
		{ "more behind the serial", S("\x30\x44\x30\x42\x30\x40\x30"
		    "\x3e\x30\x3c" SHA1 "\x04\x14" H20 "\x04\x14" H20
		    "\x02\x01\x01\x05\x00"), -1 },
		{ "more behind the CertID", S("\x30\x44\x30\x42\x30\x40\x30"
		    "\x3e" ID "\x05\x00"), -1 },
		{ "more behind the nonce", S("\x30\x5a\x30\x58" LIST "\xa2"
		    "\x16\x30\x14\x30\x12" NONCE "\x04\x05\x04\x01n\x05"
		    "\x00"), -1 },
		{ "more behind the extensions", S("\x30\x5a\x30\x58" LIST
		    "\xa2\x16\x30\x12\x30\x10" NONCE "\x04\x03\x04\x01n"
		    "\x05\x00"), -1 },
		{ "more behind", S("\x30\x44\x30\x42" LIST "\x05\x00"), -1 },
		{ "signature", S("\x30\x46\x30\x40" LIST "\xa0\x02\x30\x00"),
		    0 },
		{ "more behind the signature", S("\x30\x48\x30\x40" LIST
		    "\xa0\x02\x30\x00\x05\x00"), -1 },
		{ "empty signature", S("\x30\x44\x30\x40" LIST "\xa0\x00"),
		    -1 },
		{ "no CertID", S("\x30\x06\x30\x04\x30\x02\x30\x00"), -1 },
		{ "nothing", S("\x30\x02\x30\x00"), -1 },
		{ "long form", S("\x30\x81\x42\x30\x40" LIST), -1 },
	};
	struct ocsp_query	q;
	size_t			i;

	for (i = 0; i < N(cases); i++)
		if (parse(cases[i].der, cases[i].len, &q) != cases[i].result)
			fail_msg("%s", cases[i].what);
}

static void
test_path(void **state)
{
	static const struct {
		const char	*path;
		int		 result;
	} cases[] = {
		{ "/ocsp/Zm9v", 0 }, { "/ocsp/Zm8%3D", 0 },
		{ "/ocsp/Zm8%3d", 0 }, { "/ocsp/%5am9v", 0 },
		{ "/ocsp/Zm8=", 0 }, { "/ocsp/Pz8/", 0 },
		{ "/ocsp/Pz8%2F", 0 }, { "/ocsp/Pj4+", 0 },
		{ "/ocsp/", -1 }, { "/ocsp", -1 }, { "/other/Zm9v", -1 },
		{ "/ocsp/Zm9", -1 }, { "/ocsp/Zm9v%", -1 },
		{ "/ocsp/Zm9v%0", -1 }, { "/ocsp/Zm9v%0a", -1 },
		{ "/ocsp/Zm9v%20", -1 }, { "/ocsp/Zm9v%00", -1 },
		{ "/ocsp/Zm9v%gg", -1 }, { "/ocsp/Zm9v%5", -1 },
		{ "/ocsp/-m9v", -1 }, { "/ocsp/%ff", -1 },
	};
	char	 text[1200] = "/ocsp/";
	uint8_t	 out[1024];
	size_t	 i, n;

	for (i = 0; i < N(cases); i++)
		if (ocsp_path(cases[i].path, out, sizeof(out), &n) !=
		    cases[i].result)
			fail_msg("%s", cases[i].path);
	assert_int_equal(ocsp_path("/ocsp/Zm9v", out, 2, &n), -1);
	assert_int_equal(ocsp_path("/ocsp/Zm9v", out, 3, &n), 0);
	assert_memory_equal(out, "foo", 3);
	memset(text + 6, 'A', 1100);
	assert_int_equal(ocsp_path(text, out, sizeof(out), &n), -1);
}

/* ---- responses ----------------------------------------------------------------- */

/* OpenSSL signs a response; put together again it is the same. */
static void
test_response(void **state)
{
	static const char *const groups[] = { "P-256", "P-384", "P-521" };
	EVP_PKEY		*k;
	X509			*signer;
	OCSP_BASICRESP		*b;
	OCSP_RESPONSE		*r;
	OCSP_CERTID		*id;
	ASN1_TIME		*now;
	struct bytes		 data, sig, cert;
	enum key_algorithm	 a;
	uint8_t			*d, *c, *whole, out[4096];
	const uint8_t		*p;
	size_t			 i, size, n, len;

	for (i = 0; i < 2; i++) {
		k = EVP_EC_gen(groups[i]);
		signer = certificate(k, "signer");
		b = OCSP_BASICRESP_new();
		id = OCSP_cert_id_new(EVP_sha1(), X509_get_subject_name(ca),
		    X509_get0_pubkey_bitstr(ca), X509_get0_serialNumber(ca));
		now = ASN1_TIME_new();
		ASN1_TIME_set_string(now, "20261126000000Z");
		OCSP_basic_add1_status(b, id, V_OCSP_CERTSTATUS_GOOD, 0, NULL,
		    now, now);
		assert_int_equal(OCSP_basic_sign(b, signer, k, i ?
		    EVP_sha384() : EVP_sha256(), NULL, OCSP_RESPID_KEY), 1);
		r = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, b);
		whole = d = c = NULL;
		n = (size_t)i2d_OCSP_RESPONSE(r, &whole);
		data.len = (size_t)i2d_OCSP_RESPDATA((OCSP_RESPDATA *)
		    (uintptr_t)OCSP_resp_get0_respdata(b), &d);
		data.p = d;
		sig.p = OCSP_resp_get0_signature(b)->data;
		sig.len = (size_t)OCSP_resp_get0_signature(b)->length;
		cert.len = (size_t)i2d_X509(signer, &c);
		cert.p = c;
		assert_int_equal(ocsp_algorithm(cert, &a), 0);
		assert_int_equal(a, i ? KEY_P384 : KEY_P256);
		assert_int_equal(ocsp_response(data, sig, a, cert, out,
		    sizeof(out), &len), 0);
		assert_int_equal(len, n);
		assert_memory_equal(out, whole, n);
		for (size = 0; size < n; size++)
			assert_int_equal(ocsp_response(data, sig, a, cert, out,
			    size, &len), -1);
		for (size = 0; size < 100; size++) {
			cert.len = size;
			assert_int_equal(ocsp_algorithm(cert, &a), -1);
		}
		p = whole;
		OCSP_RESPONSE_free(r);
		assert_non_null(r = d2i_OCSP_RESPONSE(NULL, &p, (long)n));
		OCSP_RESPONSE_free(r);
		OPENSSL_free(whole);
		OPENSSL_free(d);
		OPENSSL_free(c);
		OCSP_CERTID_free(id);
		ASN1_TIME_free(now);
		OCSP_BASICRESP_free(b);
		X509_free(signer);
		EVP_PKEY_free(k);
	}
	k = EVP_EC_gen(groups[2]);
	signer = certificate(k, "signer");
	c = NULL;
	cert.len = (size_t)i2d_X509(signer, &c);
	cert.p = c;
	assert_int_equal(ocsp_algorithm(cert, &a), -1);
	assert_int_equal(ocsp_response(data, sig, KEY_RSA2048, cert, out,
	    sizeof(out), &len), -1);
	OPENSSL_free(c);
	X509_free(signer);
	EVP_PKEY_free(k);
}

static void
test_failed(void **state)
{
	static const enum ocsp_status	 status[] = { OCSP_MALFORMED,
	    OCSP_INTERNAL, OCSP_TRY_LATER, OCSP_UNAUTHORIZED };
	uint8_t				 out[8];
	const uint8_t			*p;
	OCSP_RESPONSE			*r;
	size_t				 i, n;

	for (i = 0; i < N(status); i++) {
		n = ocsp_failed(status[i], out);
		p = out;
		assert_non_null(r = d2i_OCSP_RESPONSE(NULL, &p, (long)n));
		assert_ptr_equal(p, out + n);
		assert_int_equal(OCSP_response_status(r), (int)status[i]);
		assert_null(OCSP_response_get1_basic(r));
		OCSP_RESPONSE_free(r);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_path),
		cmocka_unit_test(test_response),
		cmocka_unit_test(test_failed),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
