/*
 * Certificate requests as devices and others write them: what is believed of
 * one is its name, if its key signed it. Attributes and signatures are in
 * csr_signed.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>

#include "csr_make.h"

#define SEEDS	"regress/fuzz/seeds/csr"

static const uint8_t	oid_o[] = { 6, 3, 0x55, 4, 10 };

/* ---- good ones -------------------------------------------------------------- */

static void
test_good(void **state)
{
	EVP_PKEY	*key[] = { p256, p384, rsa };
	struct recipe	 r = { 0 };
	struct csr	 c;
	uint8_t		 point[97];
	size_t		 i, n;

	for (i = 0; i < N(key); i++) {
		r.key = key[i];
		assert_int_equal(read_recipe(&r, &c), R_OK);
		assert_string_equal(c.name, "24:0a:c4:12:34:56");
		assert_int_equal(c.key_type, (int)i);
		assert_int_equal(c.san_kind, SAN_NONE);
		assert_string_equal(c.password, "");
		if (i == 2) {
			assert_int_equal(c.exponent, 65537);
			assert_int_equal(c.public_len, 256);
			assert_true(c.public[0] >= 0x80);
			continue;
		}
		assert_int_equal(EVP_PKEY_get_octet_string_param(key[i], "pub",
		    point, sizeof(point), &n), 1);
		assert_int_equal(c.public_len, n);
		assert_memory_equal(c.public, point, n);
		assert_int_equal(c.exponent, 0);
	}
}

/* Requests of openssl, certtool, pki and pyca/cryptography. */
static void
test_others(void **state)
{
	struct csr	 c;
	struct piece	*p = calloc(1, sizeof(*p));
	struct dirent	*e;
	char		 path[512];
	unsigned	 good = 0;
	FILE		*f;
	DIR		*d;

	assert_non_null(d = opendir(SEEDS));
	while ((e = readdir(d)) != NULL) {
		if (strncmp(e->d_name, "good-", 5) != 0)
			continue;
		snprintf(path, sizeof(path), SEEDS "/%s", e->d_name);
		assert_non_null(f = fopen(path, "r"));
		p->len = fread(p->b, 1, sizeof(p->b), f);
		fclose(f);
		if (read_piece(p, &c) != R_OK)
			fail_msg("%s", path);
		assert_true(strcmp(c.name, "24:0a:c4:12:34:56") == 0 ||
		    strcmp(c.name, "a") == 0);
		good++;
	}
	closedir(d);
	free(p);
	assert_true(good >= 8);
}

/* ---- names ------------------------------------------------------------------ */

static enum reason
read_name(uint8_t tag, const void *value, size_t n, struct csr *c)
{
	struct piece	*name = common_name(tag, value, n);
	enum reason	 r = read_recipe(&(struct recipe){ .name = name }, c);

	free(name);
	return r;
}

static void
test_strings(void **state)
{
	static const struct {
		uint8_t		 tag;
		const char	*value;
		size_t		 len;
		bool		 good;
	} cases[] = {
		{ 0x0c, "a", 1, true },
		{ 0x13, "AB-cd.9 '()+,/:=?", 17, true },
		{ 0x0c, "ger\xc3\xa4t", 6, true },
		{ 0x0c, "", 0, false },			/* empty */
		{ 0x0c, "admin\0.evil", 11, false },	/* NUL inside */
		{ 0x13, "admin\0", 6, false },
		{ 0x0c, "a\nb", 3, false },
		{ 0x0c, "a\x7f", 2, false },
		{ 0x0c, "a\xc2\x85", 3, false },	/* NEL, of C1 */
		{ 0x0c, "\xc0\x80", 2, false },		/* NUL, overlong */
		{ 0x0c, "\xff", 1, false },
		{ 0x0c, "\xed\xa0\x80", 3, false },	/* a surrogate */
		{ 0x0c, "a\xc3", 2, false },		/* cut */
		{ 0x13, "a_b", 3, false },		/* not printable */
		{ 0x13, "a@b", 3, false },
		{ 0x13, "\xc3\xa4", 2, false },
		{ 0x14, "a", 1, false },		/* T61String */
		{ 0x16, "a", 1, false },		/* IA5String */
		{ 0x1e, "\0a", 2, false },		/* BMPString */
		{ 0x1c, "\0\0\0a", 4, false },		/* UniversalString */
		{ 0x04, "a", 1, false },
		{ 0x2c, "\x0c\1a", 3, false },		/* constructed */
	};
	struct csr	c;
	size_t		i;

	for (i = 0; i < N(cases); i++) {
		if (read_name(cases[i].tag, cases[i].value, cases[i].len,
		    &c) != (cases[i].good ? R_OK : R_ENR_CSR_NAME))
			fail_msg("case %zu", i);
		if (cases[i].good)
			assert_string_equal(c.name, cases[i].value);
	}
}

static void
test_long_names(void **state)
{
	char		*text = malloc(65536);
	struct csr	 c;

	memset(text, 'a', 65536);
	assert_int_equal(read_name(0x0c, text, 64, &c), R_OK);
	assert_int_equal(strlen(c.name), 64);
	assert_int_equal(read_name(0x0c, text, 65, &c), R_ENR_CSR_NAME);
	assert_int_equal(read_name(0x0c, text, 15000, &c), R_ENR_CSR_NAME);
	/* more than a request may have, whatever it is */
	assert_int_equal(read_name(0x0c, text, 65536, &c), R_ENR_CSR);
	free(text);
}

static enum reason
read_names(const struct piece *rdns, struct csr *c)
{
	struct piece	*name = malloc(sizeof(*name));
	enum reason	 r;

	*name = *rdns;
	wrap(name, 0x30, false);
	r = read_recipe(&(struct recipe){ .name = name }, c);
	free(name);
	return r;
}

/* formats.md 8.13: a text search found the CN in O="x/CN=dev1", CN=admin */
static void
test_one_name(void **state)
{
	struct piece	*p = calloc(1, sizeof(*p));
	struct csr	 c;

	assert_int_equal(read_names(p, &c), R_ENR_CSR_NAME);
	rdn(p, oid_o, 0x0c, "x/CN=dev1", 9);
	assert_int_equal(read_names(p, &c), R_ENR_CSR_NAME);
	rdn(p, oid_cn, 0x0c, "admin", 5);
	assert_int_equal(read_names(p, &c), R_ENR_CSR_NAME);
	p->len = 0;
	rdn(p, oid_cn, 0x0c, "dev1", 4);
	assert_int_equal(read_names(p, &c), R_OK);
	rdn(p, oid_cn, 0x0c, "admin", 5);
	assert_int_equal(read_names(p, &c), R_ENR_CSR_NAME);
	p->len = 0;
	rdn(p, oid_cn, 0x0c, "dev1", 4);
	rdn(p, oid_o, 0x0c, "acme", 4);
	assert_int_equal(read_names(p, &c), R_ENR_CSR_NAME);
	free(p);
}

/* One RDN of two attributes; other shapes of a name. */
static void
test_name_shapes(void **state)
{
	static const char *const bad[] = {
		"\x31\x18\x30\x0a\x06\x03\x55\x04\x03\x0c\x03one"
		"\x30\x0a\x06\x03\x55\x04\x03\x0c\x03two",
		"\x31\x00",				/* an empty set */
		"\x31\x02\x30\x00",			/* an empty pair */
		"\x31\x07\x30\x05\x06\x03\x55\x04\x03",	/* without value */
		"\x31\x0d\x30\x0b\x06\x03\x55\x04\x03\x0c\x01""a\x0c\x01""b",
		"\x30\x0a\x06\x03\x55\x04\x03\x0c\x03one", /* no set */
		"\x31\x07\x31\x05\x0c\x01""a\x0c\x00",
		"\x31\x09\x30\x07\x0c\x03""CN=\x0c\x00",
	};
	static const size_t	 len[] = { 26, 2, 4, 9, 15, 12, 9, 11 };
	struct piece		*p = calloc(1, sizeof(*p));
	struct csr		 c;
	size_t			 i;

	for (i = 0; i < N(bad); i++) {
		p->len = 0;
		put(p, bad[i], len[i]);
		if (read_names(p, &c) != R_ENR_CSR_NAME)
			fail_msg("case %zu", i);
	}
	free(p);
}

/* ---- keys ------------------------------------------------------------------- */

static enum reason
read_spki(const uint8_t *p, size_t n, struct csr *c)
{
	struct piece	*spki = calloc(1, sizeof(*spki));
	enum reason	 r;

	put(spki, p, n);
	r = read_recipe(&(struct recipe){ .spki = spki }, c);
	free(spki);
	return r;
}

static void
test_points(void **state)
{
	struct piece	*s = calloc(1, sizeof(*s));
	struct csr	 c;
	uint8_t		 b[200];

	put_spki(s, p256);
	memcpy(b, s->b, s->len);
	assert_int_equal(s->len, 91);
	assert_int_equal(read_spki(b, 91, &c), R_OK);
	/* a point that is none of the curve, nor of another one */
	b[90] ^= 1;
	assert_int_equal(read_spki(b, 91, &c), R_ENR_CSR_KEY);
	memset(b + 27, 0, 64);
	assert_int_equal(read_spki(b, 91, &c), R_ENR_CSR_KEY);
	/* coordinates beyond the prime */
	memset(b + 27, 0xff, 64);
	assert_int_equal(read_spki(b, 91, &c), R_ENR_CSR_KEY);
	/* hybrid form */
	memcpy(b, s->b, s->len);
	b[26] = 0x06 | (b[90] & 1);
	assert_int_equal(read_spki(b, 91, &c), R_ENR_CSR_KEY);
	/* compressed */
	memcpy(b, s->b, s->len);
	b[1] = 0x39;
	b[24] = 34;
	b[26] = 0x02 | (b[90] & 1);
	assert_int_equal(read_spki(b, 59, &c), R_ENR_CSR_KEY);
	/* the point at infinity */
	b[1] = 0x19;
	b[24] = 2;
	b[26] = 0;
	assert_int_equal(read_spki(b, 27, &c), R_ENR_CSR_KEY);
	/* no point */
	b[1] = 0x18;
	b[24] = 1;
	assert_int_equal(read_spki(b, 26, &c), R_ENR_CSR_KEY);
	/* the point of one curve with the name of another */
	s->len = 0;
	put_spki(s, p384);
	memcpy(b, s->b, s->len);
	b[19] ^= 1;
	assert_int_equal(read_spki(b, s->len, &c), R_ENR_CSR_KEY);
	free(s);
}

static void
test_other_keys(void **state)
{
	static const char *const	 kinds[] = { "ED25519", "ED448",
	    "X25519" };
	struct piece			*s = calloc(1, sizeof(*s));
	EVP_PKEY			*k;
	EVP_PKEY_CTX			*ctx;
	struct csr			 c;
	size_t				 i;

	for (i = 0; i < N(kinds) + 3; i++) {
		s->len = 0;
		if (i < N(kinds))
			k = EVP_PKEY_Q_keygen(NULL, NULL, kinds[i]);
		else if (i == N(kinds))
			k = EVP_EC_gen("P-521");
		else if (i == N(kinds) + 1)
			k = EVP_EC_gen("brainpoolP256r1");
		else {
			/* explicit parameters: CVE-2020-0601 */
			k = NULL;
			ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
			EVP_PKEY_keygen_init(ctx);
			EVP_PKEY_CTX_set_group_name(ctx, "P-256");
			EVP_PKEY_CTX_set_ec_param_enc(ctx, 0);
			EVP_PKEY_generate(ctx, &k);
			EVP_PKEY_CTX_free(ctx);
		}
		assert_non_null(k);
		put_spki(s, k);
		EVP_PKEY_free(k);
		assert_int_equal(read_spki(s->b, s->len, &c), R_ENR_CSR_KEY);
	}
	free(s);
}

/* An RSA key of these numbers; the parts of its SEQUENCE if parts. */
static enum reason
read_rsa(const uint8_t *n, size_t nlen, const uint8_t *e, size_t elen,
    struct csr *c)
{
	static const uint8_t	 id[] = { 0x30, 13, 6, 9, 0x2a, 0x86, 0x48,
	    0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0 };
	struct piece		*p = calloc(1, sizeof(*p));
	struct piece		*q = calloc(1, sizeof(*q));
	enum reason		 r;
	struct refusal		 w;
	struct piece		*all;

	put(q, n, nlen);
	wrap(q, 2, false);
	put(p, q->b, q->len);
	q->len = 0;
	put(q, e, elen);
	wrap(q, 2, false);
	put(p, q->b, q->len);
	wrap(p, 0x30, false);
	prepend(p, "", 1);
	wrap(p, 3, false);
	q->len = 0;
	put(q, id, sizeof(id));
	put(q, p->b, p->len);
	wrap(q, 0x30, false);
	p->len = 0;
	put_algorithm(p, rsa);
	all = make(&(struct recipe){ .spki = q, .algorithm = p });
	/* the signature is none of this key: only its form is looked at */
	w.reason = R_OK;
	r = csr_parse(all->b, all->len, c, &w) == 0 ? R_OK : w.reason;
	free(all);
	free(p);
	free(q);
	return r;
}

static void
test_rsa_numbers(void **state)
{
	static const struct {
		const char	*e;
		size_t		 len;
		enum reason	 reason;
	} exponents[] = {
		{ "\1\0\1", 3, R_OK },
		{ "\3", 1, R_OK },
		{ "\0\xff\xff\xff\xff", 5, R_OK },
		{ "\1", 1, R_CRT_KEY_WEAK },
		{ "\2", 1, R_CRT_KEY_WEAK },
		{ "\0", 1, R_CRT_KEY_WEAK },
		{ "\1\0\0", 3, R_CRT_KEY_WEAK },
		{ "\xff", 1, R_ENR_CSR_KEY },		/* negative */
		{ "\1\0\0\0\1", 5, R_ENR_CSR_KEY },
		{ "\0\3", 2, R_ENR_CSR_KEY },		/* not the shortest */
		{ "", 0, R_ENR_CSR_KEY },
	};
	static const struct {
		size_t		 len;
		uint8_t		 first, last;
		enum reason	 reason;
	} moduli[] = {
		{ 256, 0x80, 1, R_OK },
		{ 384, 0xff, 1, R_OK },
		{ 512, 0xff, 1, R_OK },
		{ 256, 0x7f, 1, R_CRT_KEY_WEAK },	/* 2047 bits */
		{ 128, 0xff, 1, R_CRT_KEY_WEAK },
		{ 1, 0xff, 1, R_CRT_KEY_WEAK },
		{ 256, 0xff, 2, R_CRT_KEY_WEAK },	/* even */
		{ 257, 0x80, 1, R_ENR_CSR_KEY },
		{ 384, 0x40, 1, R_ENR_CSR_KEY },
		{ 1024, 0xff, 1, R_ENR_CSR_KEY },
	};
	uint8_t		n[1025];
	struct csr	c;
	size_t		i;

	for (i = 0; i < N(moduli); i++) {
		memset(n, 0x5a, sizeof(n));
		n[0] = 0;
		n[1] = moduli[i].first;
		n[moduli[i].len] = moduli[i].last;
		/* without the zero where DER wants none */
		if (read_rsa(n + (n[1] < 0x80), moduli[i].len +
		    (n[1] >= 0x80), (const uint8_t *)"\1\0\1", 3, &c) !=
		    moduli[i].reason)
			fail_msg("modulus %zu", i);
	}
	memset(n, 0xf1, sizeof(n));
	n[0] = 0;
	for (i = 0; i < N(exponents); i++)
		if (read_rsa(n, 257, (const uint8_t *)exponents[i].e,
		    exponents[i].len, &c) != exponents[i].reason)
			fail_msg("exponent %zu", i);
	assert_int_equal(read_rsa(n, 257, (const uint8_t *)"\1\0\1", 3, &c),
	    R_OK);
	assert_int_equal(c.exponent, 65537);
	/* a negative modulus */
	assert_int_equal(read_rsa(n + 1, 256, (const uint8_t *)"\3", 1, &c),
	    R_ENR_CSR_KEY);
}

/* ---- DER ---------------------------------------------------------------------- */

static void
test_every_cut(void **state)
{
	struct piece	*p = make(&(struct recipe){ 0 });
	struct csr	 c;
	struct refusal	 w;
	size_t		 n;

	for (n = 0; n < p->len; n++)
		assert_int_equal(read_bytes(p->b, n, &c, &w), R_ENR_CSR);
	p->b[p->len] = 0;
	assert_int_equal(read_bytes(p->b, p->len + 1, &c, &w), R_ENR_CSR);
	assert_int_equal(read_bytes(p->b, p->len, &c, &w), R_OK);
	free(p);
}

/* Every byte counts. */
static void
test_every_change(void **state)
{
	static const uint8_t	 masks[] = { 0x01, 0x20, 0x80 };
	struct piece		*list = calloc(1, sizeof(*list)), *p;
	struct csr		 c;
	size_t			 i, m;

	attribute(list, ext_request, "\x30\x10" DNS, 18);
	wrap(list, 0xa0, false);
	p = make(&(struct recipe){ .attributes = list });
	for (i = 0; i < p->len; i++)
		for (m = 0; m < N(masks); m++) {
			p->b[i] ^= masks[m];
			if (read_piece(p, &c) == R_OK)
				fail_msg("byte %zu, mask %x", i, masks[m]);
			p->b[i] ^= masks[m];
		}
	assert_int_equal(read_piece(p, &c), R_OK);
	free(list);
	free(p);
}

static void
test_ber(void **state)
{
	struct piece	*name = calloc(1, sizeof(*name)), *p;
	struct piece	*body = calloc(1, sizeof(*body));
	struct csr	 c;

	/* a longer length than needed, outside and inside */
	p = make(&(struct recipe){ 0 });
	assert_int_equal(p->b[1], 0x81);
	put(body, p->b + 3, p->len - 3);
	*p = *body;
	wrap(p, 0x30, true);
	assert_int_equal(read_piece(p, &c), R_ENR_CSR);
	/* indefinite */
	*p = *body;
	prepend(p, "\x30\x80", 2);
	put(p, "\0\0", 2);
	assert_int_equal(read_piece(p, &c), R_ENR_CSR);
	*p = *body;
	wrap(p, 0x30, false);
	assert_int_equal(read_piece(p, &c), R_OK);
	free(p);
	rdn(name, oid_cn, 0x0c, "a", 1);
	wrap(name, 0x30, true);
	assert_int_equal(read_recipe(&(struct recipe){ .name = name }, &c),
	    R_ENR_CSR);
	name->len = 0;
	put(name, "\x30\x80", 2);
	rdn(name, oid_cn, 0x0c, "a", 1);
	put(name, "\0\0", 2);
	assert_int_equal(read_recipe(&(struct recipe){ .name = name }, &c),
	    R_ENR_CSR);
	free(body);
	free(name);
}

static void
test_shapes(void **state)
{
	static const char *const bad[] = { "", "\x30\x00", "\x30\x80\0\0",
	    "\x30\x02\x30\x00", "\x30\x84\xff\xff\xff\xff",
	    "\x30\x04\x30\x00\x30\x00", "\x30\x08\x30\x00\x30\x00\x03\x02\0\0",
	    "\x30\x0b\x30\x03\x02\x01\x00\x30\x00\x03\x02\0\0",
	    "\x30\x0d\x30\x05\x02\x01\x00\x30\x00\x30\x00\x03\x02\0\0" };
	static const size_t	 len[] = { 0, 2, 4, 4, 6, 6, 10, 13, 15 };
	struct piece		*p = calloc(1, sizeof(*p));
	struct csr		 c;
	struct refusal		 w;
	size_t			 i;

	for (i = 0; i < N(bad); i++)
		assert_int_equal(read_bytes((const uint8_t *)bad[i], len[i],
		    &c, &w), R_ENR_CSR);
	assert_int_equal(read_recipe(&(struct recipe){ .version = 1 }, &c),
	    R_ENR_CSR);
	assert_int_equal(read_recipe(&(struct recipe){ .bits = true }, &c),
	    R_ENR_CSR);
	/* attributes twice, of another tag, and missing */
	put(p, "\xa0\0\xa0\0", 4);
	assert_int_equal(read_recipe(&(struct recipe){ .attributes = p }, &c),
	    R_ENR_CSR);
	p->len = 0;
	put(p, "\xa1\0", 2);
	assert_int_equal(read_recipe(&(struct recipe){ .attributes = p }, &c),
	    R_ENR_CSR);
	p->len = 0;
	assert_int_equal(read_recipe(&(struct recipe){ .attributes = p }, &c),
	    R_ENR_CSR);
	/* no key in the key */
	put(p, "\x30\0", 2);
	assert_int_equal(read_recipe(&(struct recipe){ .spki = p }, &c),
	    R_ENR_CSR);
	free(p);
}

/* A hundred thousand levels are not walked. */
static void
test_deep(void **state)
{
	struct piece	*p = calloc(1, sizeof(*p));
	struct csr	 c;

	while (p->len < 16000)
		wrap(p, 0x30, false);
	assert_int_equal(read_piece(p, &c), R_ENR_CSR);
	free(p);
}

/* Cold, nothing is believed. */
static void
test_cold(void **state)
{
	struct piece	*p = make(&(struct recipe){ 0 });
	struct csr	 c;

	csr_cool();
	assert_int_equal(read_piece(p, &c), R_ENR_CSR_SIGNATURE);
	assert_int_equal(csr_warm(NULL), 0);
	assert_int_equal(read_piece(p, &c), R_OK);
	free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_one_name),
		cmocka_unit_test(test_name_shapes),
		cmocka_unit_test(test_points),
		cmocka_unit_test(test_other_keys),
		cmocka_unit_test(test_rsa_numbers),
		cmocka_unit_test(test_every_cut),
		cmocka_unit_test(test_every_change),
		cmocka_unit_test(test_ber),
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_deep),
		cmocka_unit_test(test_cold),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
