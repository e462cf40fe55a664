/* Certificate requests, made piece by piece, so that any may be wrong. */
#ifndef CSR_MAKE_H
#define CSR_MAKE_H

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "../../enrold/wire.h"

#define N(a)	(sizeof(a) / sizeof((a)[0]))

static EVP_PKEY	*p256, *p384, *rsa, *another;

static int
setup(void **state)
{
	p256 = EVP_EC_gen("P-256");
	p384 = EVP_EC_gen("P-384");
	another = EVP_EC_gen("P-256");
	rsa = EVP_RSA_gen(2048);
	return csr_warm(NULL);
}

static int
teardown(void **state)
{
	csr_cool();
	EVP_PKEY_free(p256);
	EVP_PKEY_free(p384);
	EVP_PKEY_free(another);
	EVP_PKEY_free(rsa);
	return 0;
}

/* ---- a request, piece by piece --------------------------------------------- */

struct piece {
	uint8_t	b[70000];
	size_t	len;
};

/* What a request is made of; what is NULL is as it should be. */
struct recipe {
	const struct piece *name, *spki, *attributes, *algorithm;
	EVP_PKEY	*key, *signer;
	const EVP_MD	*md;
	int		 salt;		/* RSASSA-PSS if not 0 */
	uint8_t		 version;
	bool		 bits;		/* one unused bit in the signature */
};

static void
put(struct piece *p, const void *bytes, size_t n)
{
	assert_true(p->len + n <= sizeof(p->b));
	memcpy(p->b + p->len, bytes, n);
	p->len += n;
}

/* Put bytes before all of it. By hand: valgrind takes glibc's checked memmove
 * for a memcpy. */
static void
prepend(struct piece *p, const void *bytes, size_t n)
{
	size_t	i;

	assert_true(p->len + n <= sizeof(p->b));
	for (i = p->len; i > 0; i--)
		p->b[i - 1 + n] = p->b[i - 1];
	memcpy(p->b, bytes, n);
	p->len += n;
}

/* Put a head before all of it; a longer form than DER's if ber. */
static void
wrap(struct piece *p, uint8_t tag, bool ber)
{
	uint8_t	head[6] = { tag, 0x83, (uint8_t)(p->len >> 16),
		    (uint8_t)(p->len >> 8), (uint8_t)p->len };
	size_t	n = 5;

	if (!ber && p->len < 0x80) {
		head[1] = (uint8_t)p->len;
		n = 2;
	} else if (!ber && p->len < 0x100) {
		head[1] = 0x81;
		head[2] = (uint8_t)p->len;
		n = 3;
	} else if (!ber && p->len < 0x10000) {
		head[1] = 0x82;
		head[2] = (uint8_t)(p->len >> 8);
		head[3] = (uint8_t)p->len;
		n = 4;
	}
	prepend(p, head, n);
}

static const uint8_t	oid_cn[] = { 6, 3, 0x55, 4, 3 };

/* RelativeDistinguishedName of one attribute. */
static void
rdn(struct piece *name, const uint8_t oid[5], uint8_t tag, const void *value,
    size_t n)
{
	struct piece	*p = calloc(1, sizeof(*p));

	put(p, value, n);
	wrap(p, tag, false);
	prepend(p, oid, 5);
	wrap(p, 0x30, false);
	wrap(p, 0x31, false);
	put(name, p->b, p->len);
	free(p);
}

/* A name of one common name, in its SEQUENCE. */
static struct piece *
common_name(uint8_t tag, const void *value, size_t n)
{
	struct piece	*p = calloc(1, sizeof(*p));

	rdn(p, oid_cn, tag, value, n);
	wrap(p, 0x30, false);
	return p;
}

static void
put_spki(struct piece *p, EVP_PKEY *key)
{
	uint8_t	*der = NULL;
	int	 n = i2d_PUBKEY(key, &der);

	assert_true(n > 0);
	put(p, der, (size_t)n);
	OPENSSL_free(der);
}

static void
sign(struct piece *p, const struct recipe *r, const struct piece *info)
{
	EVP_MD_CTX	*ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX	*pctx;
	uint8_t		 sig[512];
	size_t		 n = sizeof(sig);

	assert_int_equal(EVP_DigestSignInit(ctx, &pctx, r->md, NULL,
	    r->signer), 1);
	if (r->salt != 0) {
		EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING);
		EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, r->salt);
	}
	assert_int_equal(EVP_DigestSign(ctx, sig, &n, info->b, info->len), 1);
	put(p, r->bits ? "\1" : "", 1);
	put(p, sig, n);
	if (r->bits)
		p->b[p->len - 1] &= 0xfe;
	wrap(p, 3, false);
	EVP_MD_CTX_free(ctx);
}

static void
put_algorithm(struct piece *p, EVP_PKEY *key)
{
	static const uint8_t	sha256[] = { 0x30, 10, 6, 8, 0x2a, 0x86, 0x48,
	    0xce, 0x3d, 4, 3, 2 };
	static const uint8_t	sha384[] = { 0x30, 10, 6, 8, 0x2a, 0x86, 0x48,
	    0xce, 0x3d, 4, 3, 3 };
	static const uint8_t	pkcs1[] = { 0x30, 13, 6, 9, 0x2a, 0x86, 0x48,
	    0x86, 0xf7, 0x0d, 1, 1, 11, 5, 0 };

	if (key == rsa)
		put(p, pkcs1, sizeof(pkcs1));
	else
		put(p, key == p384 ? sha384 : sha256, sizeof(sha256));
}

static struct piece *
make(const struct recipe *recipe)
{
	struct recipe	 r = *recipe;
	struct piece	*info = calloc(1, sizeof(*info));
	struct piece	*all = calloc(1, sizeof(*all));
	struct piece	*sig = calloc(1, sizeof(*sig)), *name = NULL;

	if (r.key == NULL)
		r.key = p256;
	if (r.signer == NULL)
		r.signer = r.key;
	if (r.md == NULL)
		r.md = r.key == p384 ? EVP_sha384() : EVP_sha256();
	if (r.name == NULL)
		r.name = name = common_name(0x0c, "24:0a:c4:12:34:56", 17);
	put(info, (uint8_t []){ 2, 1, r.version }, 3);
	put(info, r.name->b, r.name->len);
	if (r.spki != NULL)
		put(info, r.spki->b, r.spki->len);
	else
		put_spki(info, r.key);
	if (r.attributes != NULL)
		put(info, r.attributes->b, r.attributes->len);
	else
		put(info, "\xa0\0", 2);
	wrap(info, 0x30, false);
	put(all, info->b, info->len);
	if (r.algorithm != NULL)
		put(all, r.algorithm->b, r.algorithm->len);
	else
		put_algorithm(all, r.key);
	sign(sig, &r, info);
	put(all, sig->b, sig->len);
	wrap(all, 0x30, false);
	free(info);
	free(sig);
	free(name);
	return all;
}

/* Read it where reading past its end is seen. */
static enum reason
read_bytes(const uint8_t *p, size_t n, struct csr *c, struct refusal *w)
{
	uint8_t		*copy = malloc(n + (n == 0));
	enum reason	 r = R_OK;

	if (n > 0)
		memcpy(copy, p, n);
	*w = (struct refusal){ .reason = R_OK };
	if (csr_parse(copy, n, c, w) == -1 || csr_verify(c, w) == -1) {
		r = w->reason;
		assert_int_not_equal(r, R_OK);
		assert_true(w->field[0] != '\0' && w->expected[0] != '\0');
	}
	free(copy);
	return r;
}

static enum reason
read_piece(const struct piece *p, struct csr *c)
{
	struct refusal	w;

	return read_bytes(p->b, p->len, c, &w);
}

static enum reason
read_recipe(const struct recipe *r, struct csr *c)
{
	struct piece	*p = make(r);
	enum reason	 reason = read_piece(p, c);

	free(p);
	return reason;
}

/* ---- attributes ------------------------------------------------------------- */

static const uint8_t	ext_request[] = { 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7,
    0x0d, 1, 9, 14 };
static const uint8_t	password[] = { 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7,
    0x0d, 1, 9, 7 };

/* Attribute of this type with these values. */
static void
attribute(struct piece *p, const uint8_t oid[11], const void *values, size_t n)
{
	struct piece	*a = calloc(1, sizeof(*a));

	put(a, values, n);
	wrap(a, 0x31, false);
	prepend(a, oid, 11);
	wrap(a, 0x30, false);
	put(p, a->b, a->len);
	free(a);
}

/* A SAN of one dNSName, "a.b". */
#define SAN(n)	"\x06\x03\x55\x1d\x11\x04" n
#define DNS	"\x30\x0e" SAN("\x07\x30\x05\x82\x03") "a.b"

#endif
