/*
 * What a certificate request asks for beside its name, and who signed it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "csr_make.h"

/* ---- attributes ------------------------------------------------------------- */

static enum reason
read_attributes(const struct piece *list, struct csr *c)
{
	struct piece	*p = malloc(sizeof(*p));
	enum reason	 r;

	*p = *list;
	wrap(p, 0xa0, false);
	r = read_recipe(&(struct recipe){ .attributes = p }, c);
	free(p);
	return r;
}

/* One extensionRequest of what is given, which is in no SEQUENCE yet. */
static enum reason
read_extensions(const void *exts, size_t n, struct csr *c)
{
	struct piece	*p = calloc(1, sizeof(*p));
	struct piece	*list = calloc(1, sizeof(*list));
	enum reason	 r;

	put(p, exts, n);
	wrap(p, 0x30, false);
	attribute(list, ext_request, p->b, p->len);
	r = read_attributes(list, c);
	free(list);
	free(p);
	return r;
}

#define S(s)	(s), sizeof(s) - 1
#define KU	"\x30\x0e\x06\x03\x55\x1d\x0f\x01\x01\xff\x04\x04\x03\x02\x07"

static void
test_extensions(void **state)
{
	static const struct {
		const char	*what, *ext;
		size_t		 len;
		enum reason	 reason;
	} cases[] = {
		{ "dNSName", S(DNS), R_OK },
		{ "URI", S("\x30\x0e" SAN("\x07\x30\x05\x86\x03") "a:b"),
		    R_OK },
		{ "usage", S(KU "\x80"), R_OK },
		{ "keyCertSign", S("\x30\x0b\x06\x03\x55\x1d\x0f\x04\x04\x03"
		    "\x02\x02\x84"), R_ENR_CSR_EXTENSION },
		{ "cRLSign", S("\x30\x0b\x06\x03\x55\x1d\x0f\x04\x04\x03"
		    "\x02\x01\x02"), R_ENR_CSR_EXTENSION },
		{ "usage without bits", S("\x30\x0a\x06\x03\x55\x1d\x0f\x04"
		    "\x03\x03\x01\x00"), R_ENR_CSR_EXTENSION },
		{ "usage with dirty bits", S(KU "\x81"),
		    R_ENR_CSR_EXTENSION },
		{ "EKU", S("\x30\x13\x06\x03\x55\x1d\x25\x04\x0c\x30\x0a\x06"
		    "\x08\x2b\x06\x01\x05\x05\x07\x03\x02"), R_OK },
		{ "empty EKU", S("\x30\x09\x06\x03\x55\x1d\x25\x04\x02\x30"
		    "\x00"), R_ENR_CSR_EXTENSION },
		{ "EKU of numbers", S("\x30\x0c\x06\x03\x55\x1d\x25\x04\x05"
		    "\x30\x03\x02\x01\x01"), R_ENR_CSR_EXTENSION },
		{ "CA:FALSE", S("\x30\x09\x06\x03\x55\x1d\x13\x04\x02\x30"
		    "\x00"), R_OK },
		{ "CA:TRUE", S("\x30\x0f\x06\x03\x55\x1d\x13\x01\x01\xff\x04"
		    "\x05\x30\x03\x01\x01\xff"), R_ENR_CSR_EXTENSION },
		{ "pathlen", S("\x30\x0c\x06\x03\x55\x1d\x13\x04\x05\x30\x03"
		    "\x02\x01\x00"), R_ENR_CSR_EXTENSION },
		{ "SKI", S("\x30\x0b\x06\x03\x55\x1d\x0e\x04\x04\x04\x02xx"),
		    R_OK },
		{ "SKI of a number", S("\x30\x0a\x06\x03\x55\x1d\x0e\x04\x03"
		    "\x02\x01\x00"), R_ENR_CSR_EXTENSION },
		{ "template", S("\x30\x15\x06\x09\x2b\x06\x01\x04\x01\x82\x37"
		    "\x14\x02\x04\x08\x1e\x06\0c\0l\0i"), R_OK },
		{ "template of a number", S("\x30\x10\x06\x09\x2b\x06\x01\x04"
		    "\x01\x82\x37\x14\x02\x04\x03\x02\x01\x00"),
		    R_ENR_CSR_EXTENSION },
		{ "name constraints", S("\x30\x09\x06\x03\x55\x1d\x1e\x04\x02"
		    "\x30\x00"), R_ENR_CSR_EXTENSION },
		{ "critical FALSE", S("\x30\x0c\x06\x03\x55\x1d\x13\x01\x01"
		    "\x00\x04\x02\x30\x00"), R_ENR_CSR },
		{ "no value", S("\x30\x05\x06\x03\x55\x1d\x13"), R_ENR_CSR },
		{ "no extension", S("\x02\x01\x00"), R_ENR_CSR },
		{ "nothing", S(""), R_ENR_CSR },
		{ "SAN twice", S(DNS DNS), R_ENR_CSR_EXTENSION },
		{ "two names", S("\x30\x13" SAN("\x0c\x30\x0a\x82\x03") "a.b"
		    "\x82\x03" "c.d"), R_ENR_CSR_EXTENSION },
		{ "no names", S("\x30\x09" SAN("\x02\x30\x00")),
		    R_ENR_CSR_EXTENSION },
		{ "e-mail", S("\x30\x0e" SAN("\x07\x30\x05\x81\x03") "a@b"),
		    R_ENR_CSR_EXTENSION },
		{ "address", S("\x30\x0f" SAN("\x08\x30\x06\x87\x04")
		    "\x7f\0\0\1"), R_ENR_CSR_EXTENSION },
		{ "empty name", S("\x30\x0b" SAN("\x04\x30\x02\x82\x00")),
		    R_ENR_CSR_EXTENSION },
		{ "NUL in a name", S("\x30\x0e" SAN("\x07\x30\x05\x82\x03")
		    "a\0b"), R_ENR_CSR_EXTENSION },
		{ "blank in a name", S("\x30\x0e" SAN("\x07\x30\x05\x86\x03")
		    "a b"), R_ENR_CSR_EXTENSION },
		{ "long form in SAN", S("\x30\x0f" SAN("\x08\x30\x81\x05\x82"
		    "\x03") "a.b"), R_ENR_CSR_EXTENSION },
		{ "bytes behind SAN", S("\x30\x10" SAN("\x09\x30\x05\x82\x03")
		    "a.b\x05\x00"), R_ENR_CSR_EXTENSION },
	};
	struct csr	c;
	enum reason	r;
	size_t		i;

	for (i = 0; i < N(cases); i++) {
		r = read_extensions(cases[i].ext, cases[i].len, &c);
		if (r != cases[i].reason)
			fail_msg("%s: %s", cases[i].what, reason_code(r));
	}
	assert_int_equal(read_extensions(S(DNS), &c), R_OK);
	assert_int_equal(c.san_kind, SAN_DNS);
	assert_string_equal(c.san, "a.b");
}

static void
test_san_length(void **state)
{
	struct piece	*p = calloc(1, sizeof(*p));
	struct csr	 c;
	char		 text[129];
	size_t		 n;

	memset(text, 'u', sizeof(text));
	for (n = 128; n <= 129; n++) {
		p->len = 0;
		put(p, text, n);
		wrap(p, 0x86, false);
		wrap(p, 0x30, false);
		wrap(p, 4, false);
		prepend(p, "\x06\x03\x55\x1d\x11", 5);
		wrap(p, 0x30, false);
		assert_int_equal(read_extensions(p->b, p->len, &c), n == 128 ?
		    R_OK : R_ENR_CSR_EXTENSION);
	}
	free(p);
}

static void
test_attributes(void **state)
{
	static const uint8_t	 other[] = { 6, 9, 0x2a, 0x86, 0x48, 0x86,
	    0xf7, 0x0d, 1, 9, 8 };
	struct piece		*p = calloc(1, sizeof(*p));
	struct csr		 c;
	uint8_t			 text[258] = { 0x0c, 0x81, 255 };

	attribute(p, password, "\x13\x03" "abc", 5);
	assert_int_equal(read_attributes(p, &c), R_OK);
	assert_string_equal(c.password, "abc");
	attribute(p, password, "\x13\x03" "abc", 5);
	assert_int_equal(read_attributes(p, &c), R_ENR_CSR_EXTENSION);
	p->len = 0;		/* in either order */
	attribute(p, ext_request, "\x30\x10" DNS, 18);
	attribute(p, password, "\x0c\x01" "x", 3);
	assert_int_equal(read_attributes(p, &c), R_OK);
	attribute(p, ext_request, "\x30\x10" DNS, 18);
	assert_int_equal(read_attributes(p, &c), R_ENR_CSR_EXTENSION);
	p->len = 0;
	attribute(p, ext_request, "\x30\x10" DNS "\x30\x10" DNS, 36);
	assert_int_equal(read_attributes(p, &c), R_ENR_CSR);
	p->len = 0;
	attribute(p, other, "\x13\x03" "abc", 5);
	assert_int_equal(read_attributes(p, &c), R_ENR_CSR_EXTENSION);
	p->len = 0;
	memset(text + 3, 'p', 255);
	attribute(p, password, text, 258);
	assert_int_equal(read_attributes(p, &c), R_OK);
	assert_int_equal(strlen(c.password), 255);
	p->len = 0;
	put(p, "\x02\x01\x00", 3);
	assert_int_equal(read_attributes(p, &c), R_ENR_CSR);
	free(p);
}

static void
test_bad_passwords(void **state)
{
	static const char *const bad[] = { "\x0c\x03" "a\0b", "\x0c\x00",
	    "\x04\x01" "a", "\x0c\x01" "a\x0c\x01" "b", "\x0c\x01\xff", "" };
	static const size_t	 len[] = { 5, 2, 3, 6, 3, 0 };
	struct piece		*p = calloc(1, sizeof(*p));
	struct csr		 c;
	uint8_t			 text[260] = { 0x0c, 0x82, 1, 0 };
	size_t			 i;

	for (i = 0; i < N(bad); i++) {
		p->len = 0;
		attribute(p, password, bad[i], len[i]);
		assert_int_equal(read_attributes(p, &c), R_ENR_CSR_EXTENSION);
	}
	p->len = 0;
	memset(text + 4, 'p', 256);
	attribute(p, password, text, 260);
	assert_int_equal(read_attributes(p, &c), R_ENR_CSR_EXTENSION);
	free(p);
}

/* ---- signatures -------------------------------------------------------------- */

/* Somebody else's key, or key of another kind, signed it. */
static void
test_not_possessed(void **state)
{
	struct csr	c;

	assert_int_equal(read_recipe(&(struct recipe){ .key = p256,
	    .signer = another }, &c), R_ENR_CSR_SIGNATURE);
	assert_int_equal(read_recipe(&(struct recipe){ .key = p256,
	    .signer = rsa }, &c), R_ENR_CSR_SIGNATURE);
	assert_int_equal(read_recipe(&(struct recipe){ .key = rsa,
	    .signer = p256 }, &c), R_ENR_CSR_SIGNATURE);
	assert_int_equal(read_recipe(&(struct recipe){ .key = p384,
	    .signer = p256 }, &c), R_ENR_CSR_SIGNATURE);
	/* the key of before is not what the next one is verified with */
	assert_int_equal(read_recipe(&(struct recipe){ .key = another }, &c),
	    R_OK);
	assert_int_equal(read_recipe(&(struct recipe){ .key = p256,
	    .signer = another }, &c), R_ENR_CSR_SIGNATURE);
}

static enum reason
with_algorithm(EVP_PKEY *key, const EVP_MD *md, int salt, const void *der,
    size_t n)
{
	struct piece	*a = calloc(1, sizeof(*a));
	struct csr	 c;
	enum reason	 r;

	put(a, der, n);
	wrap(a, 0x30, false);
	r = read_recipe(&(struct recipe){ .key = key, .md = md, .salt = salt,
	    .algorithm = a }, &c);
	free(a);
	return r;
}

#define ECDSA(arc)	"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03" arc
#define PKCS1(arc)	"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01" arc
#define NUL		"\x05\x00"

static void
test_algorithms(void **state)
{
	const struct {
		EVP_PKEY	*key;
		const EVP_MD	*md;
		const char	*der;
		size_t		 len;
		bool		 good;
	} cases[] = {
		{ p256, EVP_sha256(), S(ECDSA("\x02")), true },
		{ p256, EVP_sha384(), S(ECDSA("\x03")), true },
		{ p256, EVP_sha512(), S(ECDSA("\x04")), true },
		{ p384, EVP_sha256(), S(ECDSA("\x02")), true },
		{ rsa, EVP_sha256(), S(PKCS1("\x0b") NUL), true },
		{ rsa, EVP_sha384(), S(PKCS1("\x0c") NUL), true },
		{ rsa, EVP_sha512(), S(PKCS1("\x0d") NUL), true },
		/* another digest than the one that it says */
		{ p256, EVP_sha384(), S(ECDSA("\x02")), false },
		{ rsa, EVP_sha256(), S(PKCS1("\x0c") NUL), false },
		/* SHA-1, MD5, SHA-224 */
		{ p256, EVP_sha1(), S("\x06\x07\x2a\x86\x48\xce\x3d\x04\x01"),
		    false },
		{ p256, EVP_sha224(), S(ECDSA("\x01")), false },
		{ rsa, EVP_sha1(), S(PKCS1("\x05") NUL), false },
		{ rsa, EVP_md5(), S(PKCS1("\x04") NUL), false },
		{ rsa, EVP_sha224(), S(PKCS1("\x0e") NUL), false },
		/* parameters that must be there, or must not */
		{ p256, EVP_sha256(), S(ECDSA("\x02") NUL), false },
		{ rsa, EVP_sha256(), S(PKCS1("\x0b")), false },
		{ rsa, EVP_sha256(), S(PKCS1("\x01") NUL), false },
		/* the algorithm of another kind of key */
		{ p256, EVP_sha256(), S(PKCS1("\x0b") NUL), false },
		{ rsa, EVP_sha256(), S(ECDSA("\x02")), false },
		{ p256, EVP_sha256(), S(""), false },
	};
	size_t	i;

	for (i = 0; i < N(cases); i++)
		if (with_algorithm(cases[i].key, cases[i].md, 0, cases[i].der,
		    cases[i].len) != (cases[i].good ? R_OK :
		    R_ENR_CSR_SIGNATURE))
			fail_msg("case %zu", i);
}

#define SHA2(arc)	"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02" arc
#define HASH(arc)	"\x30\x0d" SHA2(arc) NUL
#define MGF1		"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08"
#define PSS(n, m)	PKCS1("\x0a") "\x30" n "\xa0\x0f" HASH("\x01")	\
			"\xa1\x1c\x30\x1a" MGF1 HASH(m)

static void
test_pss(void **state)
{
	const struct {
		int		 salt;
		const EVP_MD	*md;
		const char	*der;
		size_t		 len;
		bool		 good;
	} cases[] = {
		{ 32, EVP_sha256(), S(PSS("\x34", "\x01") "\xa2\x03\x02\x01"
		    "\x20"), true },
		{ 222, EVP_sha256(), S(PSS("\x35", "\x01") "\xa2\x04\x02\x02"
		    "\x00\xde"), true },
		{ 64, EVP_sha512(), S(PKCS1("\x0a") "\x30\x30\xa0\x0d\x30\x0b"
		    SHA2("\x03") "\xa1\x1a\x30\x18" MGF1 "\x30\x0b"
		    SHA2("\x03") "\xa2\x03\x02\x01\x40"), true },
		/* another salt, hash or mask than was used */
		{ 32, EVP_sha256(), S(PSS("\x34", "\x01") "\xa2\x03\x02\x01"
		    "\x1f"), false },
		{ 32, EVP_sha384(), S(PSS("\x34", "\x01") "\xa2\x03\x02\x01"
		    "\x20"), false },
		{ 32, EVP_sha256(), S(PSS("\x34", "\x02") "\xa2\x03\x02\x01"
		    "\x20"), false },
		/* defaults: SHA-1 */
		{ 20, EVP_sha1(), S(PKCS1("\x0a") "\x30\x00"), false },
		{ 20, EVP_sha1(), S(PKCS1("\x0a")), false },
		{ 20, EVP_sha256(), S(PSS("\x2f", "\x01")), false },
		/* a negative salt; a trailer; no salt number */
		{ 32, EVP_sha256(), S(PSS("\x34", "\x01") "\xa2\x03\x02\x01"
		    "\xe0"), false },
		{ 32, EVP_sha256(), S(PSS("\x39", "\x01") "\xa2\x03\x02\x01"
		    "\x20\xa3\x03\x02\x01\x01"), false },
		{ 32, EVP_sha256(), S(PSS("\x31", "\x01") "\xa2\x00"),
		    false },
		{ 32, EVP_sha256(), S(PSS("\x34", "\x04") "\xa2\x03\x02\x01"
		    "\x20"), false },
	};
	size_t	i;

	for (i = 0; i < N(cases); i++)
		if (with_algorithm(rsa, cases[i].md, cases[i].salt,
		    cases[i].der, cases[i].len) != (cases[i].good ? R_OK :
		    R_ENR_CSR_SIGNATURE))
			fail_msg("case %zu", i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_extensions),
		cmocka_unit_test(test_san_length),
		cmocka_unit_test(test_attributes),
		cmocka_unit_test(test_bad_passwords),
		cmocka_unit_test(test_not_possessed),
		cmocka_unit_test(test_algorithms),
		cmocka_unit_test(test_pss),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
