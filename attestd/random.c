/* Randomness, and what must be loaded before files are out of reach. */
#include <time.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "attestd.h"
#include "log.h"
#include "spdm_session.h"

void
attestd_random(void *arg, uint8_t *p, size_t n)
{
	if (RAND_bytes(p, (int)n) != 1)
		fatalx("no randomness");
}

/* A key, a signature and its verification: all that an attestation uses. */
static void
warm_curve(const struct spdm_alg *alg)
{
	EVP_PKEY	*key = EVP_EC_gen(alg->group);
	uint8_t		 sig[SPDM_SIG_MAX] = { 0 }, hash[SPDM_HASH_MAX] = { 0 };

	if (key == NULL)
		fatalx("%s is not there", alg->name);
	/* A zero signature is refused; how does not matter here. */
	if (spdm_verify(key, alg, SPDM_V12, SPDM_CTX_CHALLENGE, hash, sig)
	    == 0)
		fatalx("%s verifies anything", alg->name);
	EVP_PKEY_free(key);
}

/* An ephemeral key, and a record of a session. */
static void
warm_session(const struct spdm_alg *alg)
{
	static const uint8_t	 msg[4], hash[SPDM_HASH_MAX];
	struct spdm_binding	 b = { .mctp = true };
	uint8_t			 pub[SPDM_DHE_MAX], shared[SPDM_SHARED_MAX];
	uint8_t			 rec[64];
	struct spdm_session	*s;
	EVP_MD_CTX		*base = EVP_MD_CTX_new();
	void			*key;

	if (base == NULL ||
	    EVP_DigestInit_ex2(base, spdm_md(alg), NULL) != 1 ||
	    (s = spdm_session_new(SPDM_V12, alg, base)) == NULL ||
	    spdm_dhe.make(NULL, alg, &key, pub) == -1 ||
	    spdm_dhe.agree(NULL, alg, key, pub, shared) == -1)
		fatalx("%s: no sessions", alg->name);
	spdm_dhe.release(NULL, key);
	spdm_session_shared(s, shared, alg->hash_len);
	spdm_session_handshake(s, hash);
	if (spdm_record_seal(s, SPDM_SIDE_REQ, &b, attestd_random, NULL, msg,
	    sizeof(msg), rec, sizeof(rec)) == 0)
		fatalx("%s: no records", alg->name);
	spdm_session_free(s);
	EVP_MD_CTX_free(base);
}

void
attestd_warm(void)
{
	uint8_t	b[16];
	time_t	now = 0;
	struct tm tm;

	if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG |
	    OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL) != 1 || spdm_init() == -1)
		fatalx("OpenSSL cannot start");
	warm_curve(spdm_alg(KEY_P256));
	warm_curve(spdm_alg(KEY_P384));
	warm_session(spdm_alg(KEY_P256));
	warm_session(spdm_alg(KEY_P384));
	attestd_random(NULL, b, sizeof(b));
	/* libc reads the zone file even for UTC. */
	gmtime_r(&now, &tm);
}
