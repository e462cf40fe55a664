/* Base64, PEM, PKCS#7 and the bodies of EST, compared with OpenSSL. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/pkcs7.h>
#include <openssl/x509.h>

#include "../../enrold/der_out.h"
#include "../../enrold/wire.h"

#define N(a)	(sizeof(a) / sizeof((a)[0]))

/* ---- base64 and PEM -------------------------------------------------------- */

static void
test_base64(void **state)
{
	static const struct {
		const char	*text, *bytes;	/* NULL: refused */
	} cases[] = {
		{ "", "" }, { "Zg==", "f" }, { "Zm8=", "fo" }, { "Zm9v", "foo" },
		{ "Zm9vYg==", "foob" }, { "Zm9vYmFy", "foobar" },
		{ " Z\tm\r\n9v\n\n", "foo" }, { "Zg=\n=", "f" },
		{ "Z", NULL }, { "Zg", NULL }, { "Zg=", NULL },
		{ "Zm9", NULL }, { "Zg===", NULL }, { "Zm8==", NULL },
		{ "=", NULL }, { "====", NULL }, { "Z===", NULL },
		{ "Zm9v=", NULL }, { "Zm9v====", NULL },
		{ "Zg==Zg==", NULL }, { "Zm8=Zg==", NULL },
		{ "Zg=A", NULL }, { "Zg==A", NULL },
		{ "Zh==", NULL }, { "Zm9=", NULL },	/* bits left over */
		{ "Zm9v-", NULL }, { "Zm_v", NULL }, { "Zm9v\v", NULL },
		{ "Zm9v.", NULL }, { "\xc3\xa4" "==", NULL },
	};
	uint8_t	out[64];
	size_t	i, len;
	int	r;

	for (i = 0; i < N(cases); i++) {
		r = base64_decode(cases[i].text, strlen(cases[i].text), out,
		    sizeof(out), &len);
		if (r != (cases[i].bytes == NULL ? -1 : 0))
			fail_msg("%s", cases[i].text);
		if (r == 0) {
			assert_int_equal(len, strlen(cases[i].bytes));
			assert_memory_equal(out, cases[i].bytes, len);
		}
	}
	assert_int_equal(base64_decode("Zm\0v", 4, out, 64, &len), -1);
}

/* Every length, in one line and in many, into a buffer with no byte more. */
static void
test_base64_sizes(void **state)
{
	uint8_t	in[200], out[200];
	char	text[400], theirs[400];
	size_t	i, n, len, lines;

	for (i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)(i * 37);
	for (n = 1; n < sizeof(in); n++) {
		EVP_EncodeBlock((unsigned char *)theirs, in, (int)n);
		len = strlen(theirs);
		assert_int_equal(base64_encode(in, n, false, text, len), 0);
		assert_int_equal(base64_encode(in, n, false, text, len + 1),
		    len);
		assert_string_equal(text, theirs);
		assert_int_equal(base64_decode(text, len, out, n - 1, &len),
		    -1);
		assert_int_equal(base64_decode(text, strlen(text), out, n,
		    &len), 0);
		assert_int_equal(len, n);
		assert_memory_equal(out, in, n);
		len = strlen(theirs);
		lines = len + (len + 63) / 64;
		assert_int_equal(base64_encode(in, n, true, text, lines), 0);
		assert_int_equal(base64_encode(in, n, true, text, lines + 1),
		    lines);
		assert_int_equal(text[lines - 1], '\n');
		for (i = 64; i < lines; i += 65)
			assert_int_equal(text[i], '\n');
		assert_int_equal(base64_decode(text, lines, out, n, &len), 0);
		assert_memory_equal(out, in, n);
	}
}

static void
test_pem(void **state)
{
	static const char	good[] = "-----BEGIN CERTIFICATE-----\nZm9v\n"
				    "-----END CERTIFICATE-----\n";
	static const char	renewed[] = "\r\n"
	    "-----BEGIN NEW CERTIFICATE REQUEST-----\r\nZm9v\r\n"
	    "-----END NEW CERTIFICATE REQUEST-----\r\n";
	static const char *const bad[] = {
	    "", "-----BEGIN CERTIFICATE-----", "Zm9v",
	    "-----BEGIN CERTIFICATE-----\nZm9v\n",
	    "-----BEGIN CERTIFICATE-----Zm9v\n-----END CERTIFICATE-----\n",
	    "-----BEGIN CERTIFICATE-----\nZm9v-----END CERTIFICATE-----\n",
	    "-----BEGIN CERTIFICATE-----\nZm9v\n-----END X-----\n",
	    "-----BEGIN X-----\nZm9v\n-----END X-----\n",
	    "-----BEGIN CERTIFICATE-----\nZm9v\n-----END CERTIFICATE----\n",
	    "-----BEGIN CERTIFICATE-----\nA: b\n\nZm9v\n"
	    "-----END CERTIFICATE-----\n",
	    "-----BEGIN CERTIFICATE-----\nZm9v\n-----END CERTIFICATE-----\n"
	    "-----BEGIN CERTIFICATE-----\nZm9v\n-----END CERTIFICATE-----\n",
	    "x\n-----BEGIN CERTIFICATE-----\nZm9v\n"
	    "-----END CERTIFICATE-----\n" };
	char			text[128];
	uint8_t			out[64];
	size_t			i, len, n = strlen(good);

	for (i = 0; i < n; i++)
		assert_int_equal(pem_encode((const uint8_t *)"foo", 3,
		    "CERTIFICATE", text, i), 0);
	assert_int_equal(pem_encode((const uint8_t *)"foo", 3, "CERTIFICATE",
	    text, n), 0);
	assert_int_equal(pem_encode((const uint8_t *)"foo", 3, "CERTIFICATE",
	    text, n + 1), n);
	assert_string_equal(text, good);
	assert_int_equal(pem_decode(good, n, "CERTIFICATE", out, 64, &len), 0);
	assert_int_equal(len, 3);
	assert_int_equal(pem_decode(good, n, "CERTIFICATE", out, 2, &len),
	    -1);
	assert_int_equal(pem_decode(renewed, strlen(renewed),
	    "CERTIFICATE REQUEST", out, 64, &len), 0);
	assert_memory_equal(out, "foo", 3);
	for (i = 0; i < N(bad); i++)
		if (pem_decode(bad[i], strlen(bad[i]), "CERTIFICATE", out, 64,
		    &len) != -1)
			fail_msg("case %zu", i);
	for (i = 0; i < n - 1; i++)
		assert_int_equal(pem_decode(good, i, "CERTIFICATE", out, 64,
		    &len), -1);
}

/* DER, PEM, and what Node's Buffer makes of PEM with CRLF (formats.md 3.1). */
static void
test_request_texts(void **state)
{
	static const char	pem[] = "-----BEGIN CERTIFICATE REQUEST-----"
				    "\r\nMAA=\r\n"
				    "-----END CERTIFICATE REQUEST-----\r\n";
	static const char *const bad[] = { "", " ", "MAA", "-", "LQ==",
	    "{\"csr\":1}", "LS0tLS1CRUdJTiBYLS0tLS0K" };
	char			twice[256];
	uint8_t			out[256];
	struct refusal		why;
	size_t			i, n, len;

	assert_int_equal(base64_csr("MAA=", 4, out, 256, &len, &why), 0);
	assert_int_equal(len, 2);
	assert_int_equal(base64_csr(pem, strlen(pem), out, 256, &len, &why),
	    0);
	assert_int_equal(len, 2);
	n = base64_encode((const uint8_t *)pem, strlen(pem), false, twice,
	    sizeof(twice));
	assert_int_equal(base64_csr(twice, n, out, 256, &len, &why), 0);
	assert_int_equal(len, 2);
	assert_memory_equal(out, "0", 2);
	for (i = 0; i < N(bad); i++) {
		why.reason = R_OK;
		if (base64_csr(bad[i], strlen(bad[i]), out, 256, &len,
		    &why) != -1 || why.reason != R_ENR_BASE64)
			fail_msg("case %zu", i);
	}
}

/* ---- PKCS#7 ------------------------------------------------------------------ */

static X509 *
certificate(int serial)
{
	EVP_PKEY	*k = EVP_EC_gen("P-256");
	X509		*x = X509_new();

	ASN1_INTEGER_set(X509_get_serialNumber(x), serial);
	X509_set_version(x, X509_VERSION_3);
	X509_set_pubkey(x, k);
	ASN1_TIME_set_string(X509_getm_notBefore(x), "20260101000000Z");
	ASN1_TIME_set_string(X509_getm_notAfter(x), "20270101000000Z");
	assert_true(X509_sign(x, k, EVP_sha256()) > 0);
	EVP_PKEY_free(k);
	return x;
}

static void
test_pkcs7(void **state)
{
	struct bytes		 certs[3];
	X509			*x[3];
	uint8_t			*der, out[4096], again[4096];
	const uint8_t		*p;
	size_t			 i, n, len, size;
	PKCS7			*p7;

	for (i = 0; i < 3; i++) {
		x[i] = certificate((int)i + 1);
		der = NULL;
		certs[i].len = (size_t)i2d_X509(x[i], &der);
		certs[i].p = der;
	}
	for (n = 0; n <= 3; n++) {
		assert_int_equal(pkcs7_certs(certs, n, out, sizeof(out),
		    &len), 0);
		p = out;
		p7 = d2i_PKCS7(NULL, &p, (long)len);
		assert_non_null(p7);
		assert_ptr_equal(p, out + len);
		assert_true(PKCS7_type_is_signed(p7));
		assert_int_equal(sk_X509_num(p7->d.sign->cert), n);
		for (i = 0; i < n; i++)
			assert_int_equal(X509_cmp(sk_X509_value(
			    p7->d.sign->cert, (int)i), x[i]), 0);
		assert_int_equal(sk_PKCS7_SIGNER_INFO_num(
		    p7->d.sign->signer_info), 0);
		der = again;
		assert_int_equal(i2d_PKCS7(p7, &der), len);
		assert_memory_equal(again, out, len);
		PKCS7_free(p7);
		for (size = 0; size < len; size++)
			assert_int_equal(pkcs7_certs(certs, n, out, size,
			    &i), -1);
		assert_int_equal(pkcs7_certs(certs, n, out, len, &i), 0);
	}
	for (i = 0; i < 3; i++) {
		der = (uint8_t *)(uintptr_t)certs[i].p;
		OPENSSL_free(der);
		X509_free(x[i]);
	}
}

/* Each form of a length, from its first to its last. */
static void
test_lengths(void **state)
{
	static const size_t	 sizes[] = { 0, 1, 127, 128, 255, 256, 65535,
	    65536 };
	uint8_t			*buf = malloc(70000), *zero = calloc(1, 65536);
	const uint8_t		*body;
	struct der_out		 o;
	size_t			 i, len, blen;

	for (i = 0; i < N(sizes); i++) {
		der_out(&o, buf, 70000);
		der_out_raw(&o, zero, sizes[i]);
		der_out_head(&o, DER_OCTETS, 70000);
		assert_int_equal(der_out_end(&o, &len), 0);
		assert_int_equal(der_element(buf, len, &body, &blen), len);
		assert_int_equal(blen, sizes[i]);
	}
	free(buf);
	free(zero);
}

/* ---- EST ----------------------------------------------------------------------- */

static void
test_paths(void **state)
{
	static const struct {
		const char		*path;
		enum est_operation	 operation;	/* NOPERATIONS: none */
		const char		*label;
	} cases[] = {
		{ "/.well-known/est/cacerts", EST_CACERTS, "" },
		{ "/.well-known/est/simpleenroll", EST_ENROLL, "" },
		{ "/.well-known/est/iot/simplereenroll", EST_REENROLL, "iot" },
		{ "/.well-known/est/a-b_c.9/csrattrs", EST_CSRATTRS,
		    "a-b_c.9" },
		{ "/.well-known/est/12345678901234567890123456789012/"
		    "serverkeygen", EST_KEYGEN,
		    "12345678901234567890123456789012" },
		{ "/.well-known/est/123456789012345678901234567890123/"
		    "serverkeygen", EST_NOPERATIONS, "" },
		{ "/.well-known/est/", EST_NOPERATIONS, "" },
		{ "/.well-known/est//cacerts", EST_NOPERATIONS, "" },
		{ "/.well-known/est/a/b/cacerts", EST_NOPERATIONS, "" },
		{ "/.well-known/est/%2e/cacerts", EST_NOPERATIONS, "" },
		{ "/.well-known/est/a b/cacerts", EST_NOPERATIONS, "" },
		{ "/.well-known/est/cacerts/", EST_NOPERATIONS, "" },
		{ "/.well-known/est/CACERTS", EST_NOPERATIONS, "" },
		{ "/.well-known/est/fullcmc", EST_NOPERATIONS, "" },
		{ "/.well-known/estcacerts", EST_NOPERATIONS, "" },
		{ "/cacerts", EST_NOPERATIONS, "" },
		{ "", EST_NOPERATIONS, "" },
	};
	enum est_operation	op;
	char			label[33];
	size_t			i;
	int			r;

	for (i = 0; i < N(cases); i++) {
		r = est_path(cases[i].path, &op, label);
		if (r != (cases[i].operation == EST_NOPERATIONS ? -1 : 0))
			fail_msg("%s", cases[i].path);
		if (r == -1)
			continue;
		assert_int_equal(op, cases[i].operation);
		assert_string_equal(label, cases[i].label);
	}
}

static void
test_body(void **state)
{
	static const struct {
		const char	*type, *body;
		enum reason	 reason;
	} cases[] = {
		{ "application/pkcs10", "MAA=", R_OK },
		{ "Application/PKCS10", "M\nA\nA\r\n=\n", R_OK },
		{ "application/pkcs10; charset=x", "MAA=", R_OK },
		{ "application/pkcs10 ;x", "MAA=", R_OK },
		{ NULL, "MAA=", R_ENR_TYPE },
		{ "", "MAA=", R_ENR_TYPE },
		{ "application/pkcs", "MAA=", R_ENR_TYPE },
		{ "application/pkcs10x", "MAA=", R_ENR_TYPE },
		{ "text/plain", "MAA=", R_ENR_TYPE },
		{ "application/pkcs10", "", R_ENR_BASE64 },
		{ "application/pkcs10", "MAA", R_ENR_BASE64 },
		{ "application/pkcs10", "0\x80", R_ENR_BASE64 },
	};
	struct http_request	q;
	struct refusal		why;
	uint8_t			out[16];
	size_t			i, len;
	enum reason		r;

	for (i = 0; i < N(cases); i++) {
		q = (struct http_request){ .has_type = cases[i].type != NULL,
		    .body = (const uint8_t *)cases[i].body,
		    .body_len = strlen(cases[i].body) };
		if (cases[i].type != NULL)
			strcpy(q.content_type, cases[i].type);
		r = est_csr(&q, out, sizeof(out), &len, &why) == 0 ? R_OK :
		    why.reason;
		if (r != cases[i].reason)
			fail_msg("case %zu: %s", i, reason_code(r));
		if (r == R_OK)
			assert_int_equal(len, 2);
	}
}

static void
test_binding(void **state)
{
	uint8_t		exporter[32];
	struct csr	c = { .password = "" };
	struct refusal	why;
	size_t		i;

	for (i = 0; i < 32; i++)
		exporter[i] = (uint8_t)(0xf0 + i);
	assert_int_equal(est_binding(&c, exporter, &why), 0);
	EVP_EncodeBlock((unsigned char *)c.password, exporter, 32);
	assert_int_equal(est_binding(&c, exporter, &why), 0);
	for (i = 0; i < 32; i++) {	/* another connection */
		exporter[i] ^= 1;
		assert_int_equal(est_binding(&c, exporter, &why), -1);
		assert_int_equal(why.reason, R_ENR_CSR_BINDING);
		exporter[i] ^= 1;
	}
	c.password[44] = 'A';
	assert_int_equal(est_binding(&c, exporter, &why), -1);
	c.password[43] = '\0';
	assert_int_equal(est_binding(&c, exporter, &why), -1);
}

/* RFC 8951, 4.2: what is there, byte for byte. */
static void
test_csrattrs(void **state)
{
	static const uint8_t	p256[] = { 0x30, 0x21, 0x30, 0x15, 6, 7, 0x2a,
	    0x86, 0x48, 0xce, 0x3d, 2, 1, 0x31, 10, 6, 8, 0x2a, 0x86, 0x48,
	    0xce, 0x3d, 3, 1, 7, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2 };
	static const uint8_t	rsa[] = { 0x30, 0x22, 0x30, 0x15, 6, 9, 0x2a,
	    0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 0x31, 8, 2, 2, 8, 0, 2, 2,
	    16, 0, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11 };
	uint8_t			out[256];
	uint32_t		keys;
	size_t			len, size, n;

	assert_int_equal(est_csrattrs(1U << SUBJECT_P256, out, sizeof(out),
	    &len), 0);
	assert_int_equal(len, sizeof(p256));
	assert_memory_equal(out, p256, len);
	assert_int_equal(est_csrattrs(1U << SUBJECT_RSA2048 |
	    1U << SUBJECT_RSA4096, out, sizeof(out), &len), 0);
	assert_int_equal(len, sizeof(rsa));
	assert_memory_equal(out, rsa, len);
	for (keys = 0; keys < 1U << SUBJECT_NKEYS; keys++) {
		assert_int_equal(est_csrattrs(keys, out, sizeof(out), &len),
		    0);
		assert_true(der_strict(out, len));
		for (size = 0; size < len; size++)
			assert_int_equal(est_csrattrs(keys, out, size, &n),
			    -1);
	}
}

static void
test_keygen(void **state)
{
	struct csr	 c = { .name = "d", .key_type = SUBJECT_RSA2048,
	    .public_len = 256, .exponent = 3 };
	uint8_t		 a[256], b[256], point[65];
	const uint8_t	*p;
	EVP_PKEY	*k;
	size_t		 len, n;

	assert_int_equal(est_keygen(&c, a, sizeof(a), &len), -1);
	assert_int_equal(est_warm(NULL), 0);
	assert_int_equal(est_keygen(&c, a, 137, &len), -1);
	assert_int_equal(est_keygen(&c, a, 138, &len), 0);
	assert_int_equal(len, 138);
	assert_true(der_strict(a, len));
	assert_int_equal(c.key_type, SUBJECT_P256);
	assert_int_equal(c.exponent, 0);
	p = a;
	k = d2i_AutoPrivateKey(NULL, &p, (long)len);
	assert_non_null(k);
	assert_ptr_equal(p, a + len);
	assert_true(EVP_PKEY_is_a(k, "EC"));
	assert_int_equal(EVP_PKEY_get_octet_string_param(k, "pub", point, 65,
	    &n), 1);
	assert_int_equal(c.public_len, n);
	assert_memory_equal(c.public, point, n);
	EVP_PKEY_free(k);
	assert_int_equal(est_keygen(&c, b, sizeof(b), &len), 0);
	assert_memory_not_equal(a, b, len);
	est_cool();
}

static void
test_multipart(void **state)
{
	static const char	want[] = "--provd-est-part\r\n"
	    "Content-Type: application/pkcs8\r\n"
	    "Content-Transfer-Encoding: base64\r\n\r\na2V5\n"
	    "--provd-est-part\r\n"
	    "Content-Type: application/pkcs7-mime; smime-type=certs-only\r\n"
	    "Content-Transfer-Encoding: base64\r\n\r\nY2VydA==\n"
	    "--provd-est-part--\r\n";
	struct bytes		key = { (const uint8_t *)"key", 3 };
	struct bytes		cert = { (const uint8_t *)"cert", 4 };
	char			out[512], type[128];
	size_t			i, len, n = strlen(want);

	for (i = 0; i <= n; i++) {
		memset(out, 'x', sizeof(out));
		assert_int_equal(est_multipart(key, cert, out, i, &len, type),
		    -1);
		/* half a key is not left behind */
		assert_null(memmem(out, sizeof(out), "a2V5", 4));
	}
	assert_int_equal(est_multipart(key, cert, out, n + 1, &len, type), 0);
	assert_int_equal(len, n);
	assert_memory_equal(out, want, n);
	assert_string_equal(type, "multipart/mixed; boundary=provd-est-part");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_base64_sizes),
		cmocka_unit_test(test_pem),
		cmocka_unit_test(test_request_texts),
		cmocka_unit_test(test_pkcs7),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_body),
		cmocka_unit_test(test_binding),
		cmocka_unit_test(test_csrattrs),
		cmocka_unit_test(test_keygen),
		cmocka_unit_test(test_multipart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
