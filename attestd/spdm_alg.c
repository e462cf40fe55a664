/* Algorithms, the combined prefix, and the verification of r || s. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <openssl/ecdsa.h>

#include "log.h"
#include "spdm.h"
#include "spdm_session.h"

static const struct spdm_alg algs[KEY_NCURVES] = {
	[KEY_P256] = { "ECDSA P-256 with SHA-256", 0x10, 0x01, "SHA256",
	    "prime256v1", 32, 64 },
	[KEY_P384] = { "ECDSA P-384 with SHA-384", 0x80, 0x02, "SHA384",
	    "secp384r1", 48, 96 },
};

/* Measurement hashes by bit (DSP0274, MeasurementHashAlgo); raw only is 1. */
static const struct {
	uint32_t	 bit;
	size_t		 len;
	const char	*name;
} meas_hashes[] = {
	{ 0x02, 32, "SHA256" }, { 0x04, 48, "SHA384" }, { 0x08, 64, "SHA512" },
};

/* Fetched once: a fetch by name costs more than the hash of a message. */
static EVP_MD	*mds[KEY_NCURVES];

int
spdm_init(void)
{
	unsigned	i;

	if (spdm_lib_init() == -1)
		return -1;
	for (i = 0; i < KEY_NCURVES; i++)
		if (mds[i] == NULL && (mds[i] = EVP_MD_fetch(spdm_lib(),
		    algs[i].md_name, NULL)) == NULL)
			return -1;
	return spdm_session_init();
}

const struct spdm_alg *
spdm_alg(enum key_algorithm a)
{
	return &algs[a];
}

const struct spdm_alg *
spdm_alg_selected(uint32_t asym, uint32_t hash)
{
	unsigned	i;

	for (i = 0; i < KEY_NCURVES; i++)
		if (algs[i].asym == asym && algs[i].hash == hash)
			return &algs[i];
	return NULL;
}

const EVP_MD *
spdm_md(const struct spdm_alg *a)
{
	return mds[a - algs];
}

const EVP_MD *
spdm_sha256(void)
{
	return mds[KEY_P256];
}

size_t
spdm_meas_hash_len(uint32_t bit)
{
	size_t	i;

	for (i = 0; i < sizeof(meas_hashes) / sizeof(meas_hashes[0]); i++)
		if (meas_hashes[i].bit == bit)
			return meas_hashes[i].len;
	return 0;
}

void
spdm_prefix(uint8_t version, const char *context, uint8_t out[SPDM_PREFIX])
{
	uint8_t	part[17] = "dmtf-spdm-vX.Y.*";
	size_t	i, n = strlen(context);

	part[11] = '0' + (version >> 4);
	part[13] = '0' + (version & 0xf);
	memset(out, 0, SPDM_PREFIX);
	for (i = 0; i < 4; i++)
		memcpy(out + 16 * i, part, 16);
	memcpy(out + SPDM_PREFIX - n, context, n);
}

int
spdm_verify(EVP_PKEY *key, const struct spdm_alg *alg, uint8_t version,
    const char *context, const uint8_t *hash, const uint8_t *sig)
{
	uint8_t		 tbs[SPDM_PREFIX + SPDM_HASH_MAX], h[SPDM_HASH_MAX];
	uint8_t		 der[112], *p = der;
	ECDSA_SIG	*s = NULL;
	BIGNUM		*r = NULL, *t = NULL;
	EVP_PKEY_CTX	*ctx = NULL;
	int		 n = (int)alg->sig_len / 2, rv = -1;

	memcpy(h, hash, alg->hash_len);
	if (version >= SPDM_V12) {
		spdm_prefix(version, context, tbs);
		memcpy(tbs + SPDM_PREFIX, hash, alg->hash_len);
		spdm_hash(spdm_md(alg), tbs, SPDM_PREFIX + alg->hash_len, h);
	}
	if ((s = ECDSA_SIG_new()) == NULL ||
	    (r = BN_bin2bn(sig, n, NULL)) == NULL ||
	    (t = BN_bin2bn(sig + n, n, NULL)) == NULL ||
	    !ECDSA_SIG_set0(s, r, t))
		goto out;
	r = t = NULL;			/* s owns them */
	if ((n = i2d_ECDSA_SIG(s, &p)) <= 0 ||
	    (ctx = EVP_PKEY_CTX_new_from_pkey(spdm_lib(), key, NULL)) == NULL ||
	    EVP_PKEY_verify_init(ctx) != 1)
		goto out;
	if (EVP_PKEY_verify(ctx, der, (size_t)n, h, alg->hash_len) == 1)
		rv = 0;
 out:
	BN_free(r);
	BN_free(t);
	ECDSA_SIG_free(s);
	EVP_PKEY_CTX_free(ctx);
	return rv;
}

void
spdm_hash(const EVP_MD *md, const void *p, size_t n, uint8_t *out)
{
	if (EVP_Digest(p, n, out, NULL, md, NULL) != 1)
		fatalx("spdm: digest failed");
}

int
spdm_fail(struct spdm_why *w, enum reason reason, const char *field,
    const char *expected, const char *seen, ...)
{
	va_list	ap;

	*w = (struct spdm_why){ .reason = reason };
	snprintf(w->field, sizeof(w->field), "%s", field);
	if (expected != NULL)
		snprintf(w->expected, sizeof(w->expected), "%s", expected);
	if (seen != NULL) {
		va_start(ap, seen);
		vsnprintf(w->seen, sizeof(w->seen), seen, ap);
		va_end(ap);
	}
	return -1;
}
