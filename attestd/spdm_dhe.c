/* Ephemeral ECDH of KEY_EXCHANGE (DSP0274, ExchangeData: X || Y). */
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>

#include "spdm_session.h"

#define POINT_MAX	(1 + SPDM_DHE_MAX)
#define UNCOMPRESSED	4		/* SEC 1, 2.3.3 */

static int
dhe_make(void *arg, const struct spdm_alg *alg, void **key, uint8_t *pub)
{
	uint8_t		 point[POINT_MAX];
	EVP_PKEY	*k;
	size_t		 n;

	k = EVP_PKEY_Q_keygen(spdm_lib(), NULL, "EC", alg->group);
	if (k == NULL)
		return -1;
	if (EVP_PKEY_get_octet_string_param(k, OSSL_PKEY_PARAM_PUB_KEY, point,
	    sizeof(point), &n) != 1 || n != 1 + 2 * alg->hash_len ||
	    point[0] != UNCOMPRESSED) {
		EVP_PKEY_free(k);
		return -1;
	}
	memcpy(pub, point + 1, n - 1);
	*key = k;
	return 0;
}

/* The peer's point; NULL if it is not on the curve. X || Y has no way to
 * write the point at infinity. */
static EVP_PKEY *
peer_key(const struct spdm_alg *alg, const uint8_t *peer)
{
	uint8_t		 point[POINT_MAX];
	char		 group[16];
	OSSL_PARAM	 params[3];
	EVP_PKEY_CTX	*c;
	EVP_PKEY	*k = NULL;
	size_t		 n = 2 * alg->hash_len;

	point[0] = UNCOMPRESSED;
	memcpy(point + 1, peer, n);
	OPENSSL_strlcpy(group, alg->group, sizeof(group));
	params[0] = OSSL_PARAM_construct_utf8_string(
	    OSSL_PKEY_PARAM_GROUP_NAME, group, 0);
	params[1] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY,
	    point, 1 + n);
	params[2] = OSSL_PARAM_construct_end();
	c = EVP_PKEY_CTX_new_from_name(spdm_lib(), "EC", NULL);
	if (c == NULL || EVP_PKEY_fromdata_init(c) != 1 ||
	    EVP_PKEY_fromdata(c, &k, EVP_PKEY_PUBLIC_KEY, params) != 1)
		k = NULL;
	EVP_PKEY_CTX_free(c);
	return k;
}

static int
dhe_agree(void *arg, const struct spdm_alg *alg, void *key,
    const uint8_t *peer, uint8_t *shared)
{
	EVP_PKEY	*p = peer_key(alg, peer);
	EVP_PKEY_CTX	*c;
	size_t		 n = alg->hash_len;
	int		 r = -1;

	if (p == NULL)
		return -1;
	c = EVP_PKEY_CTX_new_from_pkey(spdm_lib(), key, NULL);
	/* The check of the peer's key is repeated here (SP 800-56A). */
	if (c != NULL && EVP_PKEY_derive_init(c) == 1 &&
	    EVP_PKEY_derive_set_peer(c, p) == 1 &&
	    EVP_PKEY_derive(c, shared, &n) == 1 && n == alg->hash_len)
		r = 0;
	EVP_PKEY_CTX_free(c);
	EVP_PKEY_free(p);
	return r;
}

static void
dhe_release(void *arg, void *key)
{
	EVP_PKEY_free(key);
}

const struct spdm_dhe_ops spdm_dhe = { dhe_make, dhe_agree, dhe_release };
