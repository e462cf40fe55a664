/*
 * Proof of possession. The key of each curve is made once; verifying is to
 * exchange its point, to hash, and to verify. Nothing here is for two threads.
 */
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <string.h>

#include "wire.h"

#define PROPQ	"?provider=default"	/* as for TLS, where keys are remote */

static const struct curve {
	const char	*name;
	size_t		 point;
	uint8_t		 base[97];	/* the generator: any point will do */
} curves[] = {
	[SUBJECT_P256] = { "P-256", 65, { 0x04,
	    0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6,
	    0xe5, 0x63, 0xa4, 0x40, 0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb,
	    0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96, 0x4f,
	    0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a,
	    0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce, 0x33, 0x57, 0x6b, 0x31, 0x5e,
	    0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5 } },
	[SUBJECT_P384] = { "P-384", 97, { 0x04,
	    0xaa, 0x87, 0xca, 0x22, 0xbe, 0x8b, 0x05, 0x37, 0x8e, 0xb1, 0xc7,
	    0x1e, 0xf3, 0x20, 0xad, 0x74, 0x6e, 0x1d, 0x3b, 0x62, 0x8b, 0xa7,
	    0x9b, 0x98, 0x59, 0xf7, 0x41, 0xe0, 0x82, 0x54, 0x2a, 0x38, 0x55,
	    0x02, 0xf2, 0x5d, 0xbf, 0x55, 0x29, 0x6c, 0x3a, 0x54, 0x5e, 0x38,
	    0x72, 0x76, 0x0a, 0xb7, 0x36, 0x17, 0xde, 0x4a, 0x96, 0x26, 0x2c,
	    0x6f, 0x5d, 0x9e, 0x98, 0xbf, 0x92, 0x92, 0xdc, 0x29, 0xf8, 0xf4,
	    0x1d, 0xbd, 0x28, 0x9a, 0x14, 0x7c, 0xe9, 0xda, 0x31, 0x13, 0xb5,
	    0xf0, 0xb8, 0xc0, 0x0a, 0x60, 0xb1, 0xce, 0x1d, 0x7e, 0x81, 0x9d,
	    0x7a, 0x43, 0x1d, 0x7c, 0x90, 0xea, 0x0e, 0x5f } },
};

/* Filled by csr_warm(), once in the life of the process. */
static struct {
	OSSL_LIB_CTX	*lib;
	EVP_PKEY	*key[2];	/* of each curve */
	EVP_PKEY_CTX	*ec[2];		/* ready to verify with it */
	EVP_PKEY_CTX	*rsa;		/* ready to make a key */
	EVP_MD		*md[CSR_NDIGESTS];
} warm;

static EVP_PKEY *
make_key(EVP_PKEY_CTX *ctx, OSSL_PARAM *params)
{
	EVP_PKEY	*key = NULL;

	if (EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		return NULL;
	return key;
}

static int
warm_curve(enum subject_key type)
{
	const struct curve	*v = &curves[type];
	char			 name[8];
	uint8_t			 point[97];
	OSSL_PARAM		 params[3];
	EVP_PKEY_CTX		*ctx;

	memcpy(name, v->name, strlen(v->name) + 1);
	memcpy(point, v->base, v->point);
	params[0] = OSSL_PARAM_construct_utf8_string(
	    OSSL_PKEY_PARAM_GROUP_NAME, name, 0);
	params[1] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY,
	    point, v->point);
	params[2] = OSSL_PARAM_construct_end();
	if ((ctx = EVP_PKEY_CTX_new_from_name(warm.lib, "EC", PROPQ)) == NULL)
		return -1;
	warm.key[type] = make_key(ctx, params);
	EVP_PKEY_CTX_free(ctx);
	if (warm.key[type] == NULL ||
	    (warm.ec[type] = EVP_PKEY_CTX_new_from_pkey(warm.lib,
	    warm.key[type], PROPQ)) == NULL ||
	    EVP_PKEY_verify_init(warm.ec[type]) != 1)
		return -1;
	return 0;
}

/* Verify with every kind of key and signature, so that all is loaded. */
static void
warm_use(void)
{
	struct csr	c;
	struct refusal	why;
	size_t		i;
	uint8_t		sig[256] = { 0x30, 6, 2, 1, 1, 2, 1, 1 };

	for (i = 0; i < 4; i++) {
		c = (struct csr){ .key_type = SUBJECT_RSA2048,
		    .public_len = 256, .exponent = 65537, .pss = i == 3,
		    .digest = (enum csr_digest)(i % CSR_NDIGESTS),
		    .signature = { sig, i < 2 ? 8 : 256 }, .salt = 32 };
		memset(c.public, 0xff, sizeof(c.public));
		if (i < 2) {
			c.key_type = (enum subject_key)i;
			c.public_len = curves[i].point;
			memcpy(c.public, curves[i].base, c.public_len);
			c.exponent = 0;
		}
		csr_verify(&c, &why);
	}
}

int
csr_warm(OSSL_LIB_CTX *lib)
{
	static const char *const	md[CSR_NDIGESTS] = { "SHA2-256",
	    "SHA2-384", "SHA2-512" };
	size_t				i;

	csr_cool();
	warm.lib = lib;
	for (i = 0; i < CSR_NDIGESTS; i++)
		if ((warm.md[i] = EVP_MD_fetch(lib, md[i], PROPQ)) == NULL)
			return -1;
	if (warm_curve(SUBJECT_P256) == -1 || warm_curve(SUBJECT_P384) == -1 ||
	    (warm.rsa = EVP_PKEY_CTX_new_from_name(lib, "RSA", PROPQ)) == NULL)
		return -1;
	warm_use();
	return 0;
}

void
csr_cool(void)
{
	size_t	i;

	for (i = 0; i < 2; i++) {
		EVP_PKEY_CTX_free(warm.ec[i]);
		EVP_PKEY_free(warm.key[i]);
	}
	EVP_PKEY_CTX_free(warm.rsa);
	for (i = 0; i < CSR_NDIGESTS; i++)
		EVP_MD_free(warm.md[i]);
	memset(&warm, 0, sizeof(warm));
}

/* 1, 0, or -1 if the point is none of the curve. */
static int
verify_ec(const struct csr *c, const uint8_t *hash, size_t len)
{
	if (EVP_PKEY_set_octet_string_param(warm.key[c->key_type],
	    OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, c->public,
	    c->public_len) != 1)
		return -1;
	return EVP_PKEY_verify(warm.ec[c->key_type], c->signature.p,
	    c->signature.len, hash, len) == 1;
}

/* OpenSSL wants numbers in the order of the machine. */
static EVP_PKEY *
rsa_key(const struct csr *c)
{
	uint8_t		 n[sizeof(c->public)];
	unsigned	 e = c->exponent;
	BIGNUM		*bn = BN_bin2bn(c->public, (int)c->public_len, NULL);
	OSSL_PARAM	 params[3];

	if (bn == NULL || BN_bn2nativepad(bn, n, (int)c->public_len) == -1) {
		BN_free(bn);
		return NULL;
	}
	BN_free(bn);
	params[0] = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_N, n,
	    c->public_len);
	params[1] = OSSL_PARAM_construct_uint(OSSL_PKEY_PARAM_RSA_E, &e);
	params[2] = OSSL_PARAM_construct_end();
	return make_key(warm.rsa, params);
}

static int
verify_rsa(const struct csr *c, const uint8_t *hash, size_t len)
{
	const EVP_MD	*md = warm.md[c->digest];
	EVP_PKEY	*key = rsa_key(c);
	EVP_PKEY_CTX	*ctx = NULL;
	int		 r = 0;

	if (key == NULL || (ctx = EVP_PKEY_CTX_new_from_pkey(warm.lib, key,
	    PROPQ)) == NULL || EVP_PKEY_verify_init(ctx) != 1 ||
	    EVP_PKEY_CTX_set_rsa_padding(ctx, c->pss ? RSA_PKCS1_PSS_PADDING :
	    RSA_PKCS1_PADDING) != 1 ||
	    EVP_PKEY_CTX_set_signature_md(ctx, md) != 1)
		goto out;
	if (c->pss && (EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, md) != 1 ||
	    EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, c->salt) != 1))
		goto out;
	r = EVP_PKEY_verify(ctx, c->signature.p, c->signature.len, hash,
	    len) == 1;
 out:
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(key);
	return r;
}

int
csr_verify(const struct csr *c, struct refusal *why)
{
	uint8_t		hash[EVP_MAX_MD_SIZE];
	unsigned	len;
	int		ok = 0;

	if (warm.rsa != NULL && EVP_Digest(c->info.p, c->info.len, hash, &len,
	    warm.md[c->digest], NULL) == 1)
		ok = c->key_type < SUBJECT_RSA2048 ? verify_ec(c, hash, len) :
		    verify_rsa(c, hash, len);
	if (ok == 1)
		return 0;
	ERR_clear_error();
	if (ok == -1)
		refusal_set(why, R_ENR_CSR_KEY, "public key",
		    "a point of its curve", "another");
	else
		refusal_set(why, R_ENR_CSR_SIGNATURE, "signature",
		    "one by the key in the request",
		    "one that does not verify");
	return -1;
}
