/*
 * What depends on a key's algorithm, one row each, and the few things that
 * keyd does with points and signatures.
 */
#include <string.h>

#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/objects.h>
#include <openssl/rand.h>

#include "hex.h"
#include "keyd.h"
#include "spki.h"

static const struct curve curves[KEY_NCURVES] = {
	[KEY_P256] = {
		.group = "P-256", .nid = NID_X9_62_prime256v1,
		.sig_nid = NID_ecdsa_with_SHA256, .md_name = "SHA2-256",
		.coord = 32, .point = 65, .hash = 32, .tls_scheme = 0x0403,
		.tpm_curve = TPM2_ECC_NIST_P256, .tpm_hash = TPM2_ALG_SHA256,
	},
	[KEY_P384] = {
		.group = "P-384", .nid = NID_secp384r1,
		.sig_nid = NID_ecdsa_with_SHA384, .md_name = "SHA2-384",
		.coord = 48, .point = 97, .hash = 48, .tls_scheme = 0x0503,
		.tpm_curve = TPM2_ECC_NIST_P384, .tpm_hash = TPM2_ALG_SHA384,
	},
};

/* Fetched once by curve_init(): a fetch costs more than the digest. */
static struct {
	EVP_MD		*md[KEY_NCURVES], *sha1;
	EVP_MD_CTX	*ctx;
	EC_GROUP	*group[KEY_NCURVES];
} fetched;

const struct curve *
curve_get(enum key_algorithm a)
{
	return &curves[a];
}

static size_t
curve_index(const struct curve *c)
{
	return (size_t)(c - curves);
}

int
curve_init(void)
{
	uint8_t	 b[16];
	size_t	 i;

	if (fetched.ctx != NULL)
		return 0;
	if (RAND_bytes(b, sizeof(b)) != 1 ||
	    RAND_priv_bytes(b, sizeof(b)) != 1 ||
	    (fetched.ctx = EVP_MD_CTX_new()) == NULL)
		return -1;
	if ((fetched.sha1 = EVP_MD_fetch(NULL, "SHA1", NULL)) == NULL)
		return -1;
	for (i = 0; i < KEY_NCURVES; i++) {
		fetched.md[i] = EVP_MD_fetch(NULL, curves[i].md_name, NULL);
		fetched.group[i] = EC_GROUP_new_by_curve_name(curves[i].nid);
		if (fetched.md[i] == NULL || fetched.group[i] == NULL)
			return -1;
	}
	return 0;
}

bool
curve_has(const struct curve *c, const uint8_t *point, size_t len)
{
	const EC_GROUP	*g = fetched.group[curve_index(c)];
	EC_POINT	*p;
	bool		 ok;

	if (len != c->point || point[0] != POINT_CONVERSION_UNCOMPRESSED)
		return false;
	if ((p = EC_POINT_new(g)) == NULL)
		return false;
	/* This checks the curve's equation; both cofactors are 1. */
	ok = EC_POINT_oct2point(g, p, point, len, NULL) == 1;
	EC_POINT_free(p);
	return ok;
}

static int
digest(const EVP_MD *md, const void *msg, size_t len, uint8_t *out,
    size_t want)
{
	unsigned	 n;

	if (EVP_DigestInit_ex2(fetched.ctx, md, NULL) != 1 ||
	    EVP_DigestUpdate(fetched.ctx, msg, len) != 1 ||
	    EVP_DigestFinal_ex(fetched.ctx, out, &n) != 1)
		return -1;
	return n == want ? 0 : -1;
}

int
curve_digest(const struct curve *c, const void *msg, size_t len, uint8_t *out)
{
	return digest(fetched.md[curve_index(c)], msg, len, out, c->hash);
}

int
sha1_digest(const void *msg, size_t len, uint8_t out[20])
{
	return digest(fetched.sha1, msg, len, out, 20);
}

int
ecdsa_to_der(const struct curve *c, const uint8_t *raw, uint8_t *der,
    size_t size, size_t *len)
{
	ECDSA_SIG	*sig = ECDSA_SIG_new();
	BIGNUM		*r = BN_bin2bn(raw, (int)c->coord, NULL);
	BIGNUM		*s = BN_bin2bn(raw + c->coord, (int)c->coord, NULL);
	int		 n, ret = -1;

	if (sig == NULL || r == NULL || s == NULL ||
	    ECDSA_SIG_set0(sig, r, s) != 1) {
		BN_free(r);
		BN_free(s);
		goto out;
	}
	if ((n = i2d_ECDSA_SIG(sig, NULL)) <= 0 || (size_t)n > size)
		goto out;
	i2d_ECDSA_SIG(sig, &der);
	*len = (size_t)n;
	ret = 0;
 out:
	ECDSA_SIG_free(sig);
	return ret;
}

int
ecdsa_to_raw(const struct curve *c, const uint8_t *der, size_t len,
    uint8_t *raw)
{
	const uint8_t	*p = der;
	ECDSA_SIG	*sig;
	int		 n = (int)c->coord, ret = -1;

	if ((sig = d2i_ECDSA_SIG(NULL, &p, (long)len)) == NULL)
		return -1;
	if (p == der + len &&
	    BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, n) == n &&
	    BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + n, n) == n)
		ret = 0;
	ECDSA_SIG_free(sig);
	return ret;
}

X509_PUBKEY *
curve_spki(const struct curve *c, const uint8_t *point)
{
	X509_PUBKEY	*pub = X509_PUBKEY_new();
	uint8_t		*copy = OPENSSL_memdup(point, c->point);

	/* The point belongs to pub once this succeeds. */
	if (pub == NULL || copy == NULL ||
	    X509_PUBKEY_set0_param(pub, OBJ_nid2obj(NID_X9_62_id_ecPublicKey),
	    V_ASN1_OBJECT, OBJ_nid2obj(c->nid), copy, (int)c->point) != 1) {
		OPENSSL_free(copy);
		X509_PUBKEY_free(pub);
		return NULL;
	}
	return pub;
}

int
curve_node_id(const struct curve *c, const uint8_t *point, char *id)
{
	uint8_t	 der[SPKI_MAX], md[32];
	size_t	 n;

	if ((n = spki_der(point, c->point, der)) == 0 ||
	    curve_digest(&curves[KEY_P256], der, n, md) == -1)
		return -1;
	hex(md, 20, id);
	return 0;
}
