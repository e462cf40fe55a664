/*
 * TLS of the listeners: version 1.3 only, keys at keyd, no tickets, so that
 * every connection shows its certificate anew. A context a listener, made
 * when policyd gives its leaf, never for a request.
 */
#include <openssl/async.h>
#include <openssl/core_dispatch.h>
#include <openssl/err.h>

#include "enrold.h"
#include "log.h"

#define CERT_LIST_MAX	16384	/* bytes of certificates a client may send */
#define FRAGMENT_MAX	8192

/*
 * TLS 1.3, device keys and certificates over P-256, P-384 and RSA. SHA-1 is
 * for CertIDs of OCSP and for X509_cmp().
 */
static const struct sieve_row algorithms[] = {
	{ OSSL_OP_DIGEST,	"SHA1",			NULL },
	{ OSSL_OP_DIGEST,	"SHA2-256",		NULL },
	{ OSSL_OP_DIGEST,	"SHA2-384",		NULL },
	{ OSSL_OP_DIGEST,	"SHA2-512",		NULL },
	{ OSSL_OP_CIPHER,	"AES-256-GCM",		NULL },
	{ OSSL_OP_CIPHER,	"AES-128-GCM",		NULL },
	{ OSSL_OP_CIPHER,	"ChaCha20-Poly1305",	NULL },
	{ OSSL_OP_MAC,		"HMAC",			NULL },
	{ OSSL_OP_KDF,		"HKDF",			NULL },
	{ OSSL_OP_KDF,		"TLS13-KDF",		NULL },
	{ OSSL_OP_RAND,		"CTR-DRBG",		NULL },
	{ OSSL_OP_RAND,		"SEED-SRC",		NULL },
	{ OSSL_OP_KEYMGMT,	"EC",			NULL },
	{ OSSL_OP_KEYMGMT,	"RSA",			NULL },
	{ OSSL_OP_KEYMGMT,	"RSA-PSS",		NULL },
	{ OSSL_OP_KEYMGMT,	"X25519",		NULL },
	{ OSSL_OP_KEYEXCH,	"ECDH",			NULL },
	{ OSSL_OP_KEYEXCH,	"X25519",		NULL },
	{ OSSL_OP_SIGNATURE,	"ECDSA",		NULL },
	{ OSSL_OP_SIGNATURE,	"RSA",			NULL },
	{ OSSL_OP_DECODER,	"EC",
	    "input=der,structure=SubjectPublicKeyInfo" },
	{ OSSL_OP_DECODER,	"RSA",
	    "input=der,structure=SubjectPublicKeyInfo" },
	{ OSSL_OP_ENCODER,	"EC",			/* warm.c's */
	    "output=der,structure=SubjectPublicKeyInfo" },
	{ OSSL_OP_ENCODER,	"RSA",			/* warm.c's */
	    "output=der,structure=SubjectPublicKeyInfo" },
};

static EVP_MD		*sha256;
static EVP_MD_CTX	*sha256_ctx;

EVP_MD_CTX *
tls_sha256(void)
{
	if (EVP_DigestInit_ex2(sha256_ctx, sha256, NULL) != 1)
		fatalx("tls: SHA-256");
	return sha256_ctx;
}

SSL_CTX *
tls_context(uint32_t key, enum key_algorithm algorithm, X509 *leaf,
    X509 *issuing, X509 *cross, bool mutual)
{
	char		 sigalgs[] = "ecdsa_secp256r1_sha256:"
			    "ecdsa_secp384r1_sha384:rsa_pss_rsae_sha256:"
			    "rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:"
			    /* of certificates alone */
			    "rsa_pkcs1_sha256:rsa_pkcs1_sha384:"
			    "rsa_pkcs1_sha512";
	SSL_CTX		*ctx = tls_rules(TLS_server_method(),
			    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
			    "TLS_CHACHA20_POLY1305_SHA256", sigalgs,
			    CERT_LIST_MAX, FRAGMENT_MAX);
	EVP_PKEY	*pkey = NULL;
	bool		 ok;

	if (ctx == NULL)
		return NULL;
	SSL_CTX_set_options(ctx, SSL_OP_CLEANSE_PLAINTEXT);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER |
	    (mutual ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
	ok = (pkey = tls_leaf_key(leaf, key, algorithm)) != NULL &&
	    SSL_CTX_use_certificate(ctx, leaf) == 1 &&
	    SSL_CTX_use_PrivateKey(ctx, pkey) == 1 &&
	    SSL_CTX_check_private_key(ctx) == 1 &&
	    SSL_CTX_add1_chain_cert(ctx, issuing) == 1 &&
	    (cross == NULL || SSL_CTX_add1_chain_cert(ctx, cross) == 1);
	EVP_PKEY_free(pkey);
	if (ok)
		return ctx;
	SSL_CTX_free(ctx);
	ERR_clear_error();
	return NULL;
}

int
tls_init(void)
{
	if (tls_library(algorithms, sizeof(algorithms) / sizeof(algorithms[0]),
	    true) == -1 ||
	    (sha256 = EVP_MD_fetch(tls_lib(), "SHA256", TLS_PROPQ)) == NULL ||
	    (sha256_ctx = EVP_MD_CTX_new()) == NULL || warm() == -1) {
		log_warnx("tls: openssl: %s",
		    ERR_reason_error_string(ERR_peek_error()));
		return -1;
	}
	tls_keyd();
	return 0;
}

void
tls_stop(void)
{
	csr_cool();
	est_cool();
	EVP_MD_CTX_free(sha256_ctx);
	EVP_MD_free(sha256);
	sha256_ctx = NULL;
	sha256 = NULL;
	ASYNC_cleanup_thread();
}
