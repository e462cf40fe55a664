/*
 * RSA-2048, for the listeners of the certificate service whose clients know
 * nothing else. The numbers that are read from a key file lie in OpenSSL's
 * secure heap; what it computes from the primes at the first signature
 * (Montgomery's constants) it keeps in ordinary memory, which no core dump and
 * no other process of this user sees, but a swap partition might.
 */
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include "keyd.h"

#define HALF	(RSA_BYTES / 2)

/* Where each number stands in the secret. */
static const struct {
	const char	*name;
	int		 at, len;
} parts[] = {
	{ OSSL_PKEY_PARAM_RSA_D, 0, RSA_BYTES },
	{ OSSL_PKEY_PARAM_RSA_FACTOR1, RSA_BYTES, HALF },
	{ OSSL_PKEY_PARAM_RSA_FACTOR2, RSA_BYTES + HALF, HALF },
	{ OSSL_PKEY_PARAM_RSA_EXPONENT1, RSA_BYTES + 2 * HALF, HALF },
	{ OSSL_PKEY_PARAM_RSA_EXPONENT2, RSA_BYTES + 3 * HALF, HALF },
	{ OSSL_PKEY_PARAM_RSA_COEFFICIENT1, RSA_BYTES + 4 * HALF, HALF },
};
#define NPARTS	(sizeof(parts) / sizeof(parts[0]))

bool
rsa_has(const uint8_t *modulus, size_t len)
{
	return len == RSA_BYTES && (modulus[0] & 0x80) != 0 &&
	    (modulus[RSA_BYTES - 1] & 1) != 0;
}

static int
put_part(const EVP_PKEY *pkey, const char *name, uint8_t *out, int len)
{
	BIGNUM	*n = NULL;
	int	 r = -1;

	if (EVP_PKEY_get_bn_param(pkey, name, &n) == 1 &&
	    BN_bn2binpad(n, out, len) == len)
		r = 0;
	BN_clear_free(n);
	return r;
}

int
rsa_make(uint8_t secret[RSA_SECRET_LEN], uint8_t modulus[RSA_BYTES])
{
	EVP_PKEY	*pkey = EVP_RSA_gen(8 * RSA_BYTES);
	size_t		 i;
	int		 r = -1;

	if (pkey == NULL || put_part(pkey, OSSL_PKEY_PARAM_RSA_N, modulus,
	    RSA_BYTES) == -1)
		goto out;
	for (i = 0; i < NPARTS; i++)
		if (put_part(pkey, parts[i].name, secret + parts[i].at,
		    parts[i].len) == -1)
			goto out;
	r = 0;
 out:
	EVP_PKEY_free(pkey);
	if (r == -1)
		explicit_bzero(secret, RSA_SECRET_LEN);
	return r;
}

static EVP_PKEY *
rsa_pkey(const uint8_t *secret, const uint8_t *modulus)
{
	OSSL_PARAM_BLD	*bld = OSSL_PARAM_BLD_new();
	OSSL_PARAM	*params = NULL;
	EVP_PKEY_CTX	*ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	EVP_PKEY	*pkey = NULL;
	BIGNUM		*n = BN_bin2bn(modulus, RSA_BYTES, NULL);
	BIGNUM		*part[NPARTS] = { NULL };
	size_t		 i;

	if (bld == NULL || ctx == NULL || n == NULL ||
	    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n) != 1 ||
	    OSSL_PARAM_BLD_push_ulong(bld, OSSL_PKEY_PARAM_RSA_E,
	    RSA_EXPONENT) != 1)
		goto out;
	for (i = 0; i < NPARTS; i++)
		/* A secure BIGNUM stays in the secure heap. */
		if ((part[i] = BN_secure_new()) == NULL ||
		    BN_bin2bn(secret + parts[i].at, parts[i].len,
		    part[i]) == NULL ||
		    OSSL_PARAM_BLD_push_BN(bld, parts[i].name, part[i]) != 1)
			goto out;
	if ((params = OSSL_PARAM_BLD_to_param(bld)) == NULL ||
	    EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_KEYPAIR, params) != 1)
		pkey = NULL;
 out:
	for (i = 0; i < NPARTS; i++)
		BN_clear_free(part[i]);
	BN_free(n);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(bld);
	EVP_PKEY_CTX_free(ctx);
	return pkey;
}

/* One signature now: what OpenSSL loads late is loaded before the filter. */
static bool
warm(EVP_PKEY_CTX *ctx)
{
	static const uint8_t	digest[32];
	uint8_t			sig[RSA_BYTES];
	size_t			len = sizeof(sig);

	return EVP_PKEY_sign(ctx, sig, &len, digest, sizeof(digest)) == 1 &&
	    len == RSA_BYTES;
}

EVP_PKEY_CTX *
rsa_signer(const uint8_t secret[RSA_SECRET_LEN],
    const uint8_t modulus[RSA_BYTES])
{
	EVP_PKEY	*pkey = rsa_pkey(secret, modulus);
	EVP_PKEY_CTX	*ctx = NULL;

	if (pkey == NULL ||
	    (ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL)) == NULL ||
	    EVP_PKEY_sign_init(ctx) != 1 ||
	    EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) != 1 ||
	    EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) != 1 ||
	    EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx,
	    RSA_PSS_SALTLEN_DIGEST) != 1 || !warm(ctx)) {
		EVP_PKEY_CTX_free(ctx);
		ctx = NULL;
	}
	EVP_PKEY_free(pkey);
	return ctx;
}
