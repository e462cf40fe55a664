/*
 * Signatures in this process, for the backends `sealed' and `soft'. Scalars
 * live in OpenSSL's secure heap: locked, left out of dumps, wiped.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>

#include "keyd.h"

struct local {
	EVP_PKEY	*pkey;
	EVP_PKEY_CTX	*ctx;		/* made once: signing fetches nothing */
};

int
local_make(const struct curve *c, uint8_t *scalar, uint8_t *point)
{
	EC_GROUP	*g = EC_GROUP_new_by_curve_name(c->nid);
	EC_POINT	*p = NULL;
	BIGNUM		*d = BN_secure_new();
	int		 ret = -1;

	if (g == NULL || d == NULL || (p = EC_POINT_new(g)) == NULL)
		goto out;
	do
		if (BN_priv_rand_range_ex(d, EC_GROUP_get0_order(g), 0,
		    NULL) != 1)
			goto out;
	while (BN_is_zero(d));
	BN_set_flags(d, BN_FLG_CONSTTIME);
	if (EC_POINT_mul(g, p, d, NULL, NULL, NULL) != 1 ||
	    EC_POINT_point2oct(g, p, POINT_CONVERSION_UNCOMPRESSED, point,
	    c->point, NULL) != c->point ||
	    BN_bn2binpad(d, scalar, (int)c->coord) != (int)c->coord)
		goto out;
	ret = 0;
 out:
	if (ret == -1)
		explicit_bzero(scalar, c->coord);
	BN_clear_free(d);
	EC_POINT_free(p);
	EC_GROUP_free(g);
	return ret;
}

static EVP_PKEY *
local_pkey(const struct curve *c, const BIGNUM *d, const uint8_t *point)
{
	OSSL_PARAM_BLD	*bld = OSSL_PARAM_BLD_new();
	OSSL_PARAM	*params = NULL;
	EVP_PKEY_CTX	*ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	EVP_PKEY	*pkey = NULL;

	if (bld == NULL || ctx == NULL ||
	    OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME,
	    c->group, 0) != 1 ||
	    OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY,
	    point, c->point) != 1 ||
	    /* A secure BIGNUM stays in the secure heap. */
	    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_PRIV_KEY, d) != 1 ||
	    (params = OSSL_PARAM_BLD_to_param(bld)) == NULL ||
	    EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_KEYPAIR, params) != 1)
		pkey = NULL;
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(bld);
	EVP_PKEY_CTX_free(ctx);
	return pkey;
}

struct local *
local_new(const struct curve *c, const uint8_t *scalar, const uint8_t *point)
{
	struct local	*l = calloc(1, sizeof(*l));
	BIGNUM		*d = BN_secure_new();

	if (l == NULL || d == NULL ||
	    BN_bin2bn(scalar, (int)c->coord, d) == NULL ||
	    (l->pkey = local_pkey(c, d, point)) == NULL ||
	    (l->ctx = EVP_PKEY_CTX_new_from_pkey(NULL, l->pkey,
	    NULL)) == NULL ||
	    EVP_PKEY_sign_init(l->ctx) != 1) {
		local_free(l);
		l = NULL;
	}
	BN_clear_free(d);
	return l;
}

struct local *
local_rsa(const uint8_t *secret, const uint8_t *modulus)
{
	struct local	*l = calloc(1, sizeof(*l));

	/* The context holds the key. */
	if (l == NULL || (l->ctx = rsa_signer(secret, modulus)) == NULL) {
		local_free(l);
		return NULL;
	}
	return l;
}

void
local_free(struct local *l)
{
	if (l == NULL)
		return;
	EVP_PKEY_CTX_free(l->ctx);
	EVP_PKEY_free(l->pkey);
	free(l);
}

int
local_sign(struct local *l, const uint8_t *digest, size_t len, uint8_t *sig,
    size_t *siglen)
{
	*siglen = SIG_MAX;
	return EVP_PKEY_sign(l->ctx, sig, siglen, digest, len) == 1 ? 0 : -1;
}
