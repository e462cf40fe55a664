/*
 * Who this node is on the peer channel: the context with its leaf, whose
 * private key is at keyd, for both sides of a connection.
 */
#include <openssl/async.h>
#include <openssl/core_dispatch.h>
#include <openssl/err.h>
#include <unistd.h>

#include "log.h"
#include "tls.h"

#define CERT_LIST_MAX	8192			/* bytes of certificates a peer may send */
#define FRAGMENT_MAX	2048

/* What TLS 1.3 as below and certificates over P-256 and P-384 are made of. */
static const struct sieve_row algorithms[] = {
	{ OSSL_OP_DIGEST,	"SHA1",			NULL },	/* X509_cmp() */
	{ OSSL_OP_DIGEST,	"SHA2-256",		NULL },
	{ OSSL_OP_DIGEST,	"SHA2-384",		NULL },
	{ OSSL_OP_CIPHER,	"AES-256-GCM",		NULL },
	{ OSSL_OP_CIPHER,	"AES-128-GCM",		NULL },
	{ OSSL_OP_CIPHER,	"ChaCha20-Poly1305",	NULL },
	{ OSSL_OP_MAC,		"HMAC",			NULL },
	{ OSSL_OP_KDF,		"HKDF",			NULL },
	{ OSSL_OP_KDF,		"TLS13-KDF",		NULL },
	{ OSSL_OP_RAND,		"CTR-DRBG",		NULL },
	{ OSSL_OP_RAND,		"SEED-SRC",		NULL },
	{ OSSL_OP_KEYMGMT,	"EC",			NULL },
	{ OSSL_OP_KEYMGMT,	"X25519",		NULL },
	{ OSSL_OP_KEYEXCH,	"ECDH",			NULL },
	{ OSSL_OP_KEYEXCH,	"X25519",		NULL },
	{ OSSL_OP_SIGNATURE,	"ECDSA",		NULL },
	{ OSSL_OP_DECODER,	"EC",
	    "input=der,structure=SubjectPublicKeyInfo" },
	{ OSSL_OP_ENCODER,	"EC",			/* warm.c's */
	    "output=der,structure=SubjectPublicKeyInfo" },
};

static struct {
	SSL_CTX		*ctx;		/* both sides; replaced with the leaf */
} tls;

/* ---- the context --------------------------------------------------------- */

SSL_CTX *
tls_context(void)
{
	char	 sigalgs[] = "ecdsa_secp256r1_sha256:ecdsa_secp384r1_sha384";
	SSL_CTX	*ctx = tls_rules(TLS_method(), "TLS_AES_256_GCM_SHA384:"
		    "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256",
		    sigalgs, CERT_LIST_MAX, FRAGMENT_MAX);

	if (ctx == NULL)
		return NULL;
	SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_verify(ctx,
	    SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	return ctx;
}

int
tls_init(const struct conf *conf)
{
	if (tls_library(algorithms, sizeof(algorithms) / sizeof(algorithms[0]),
	    false) == -1 || tls_warm() == -1) {
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
	SSL_CTX_free(tls.ctx);
	tls.ctx = NULL;
	ASYNC_cleanup_thread();
}

bool
tls_ready(void)
{
	return tls.ctx != NULL;
}

enum reason
tls_identity(uint32_t key, enum key_algorithm algorithm, const uint8_t *der,
    size_t len)
{
	X509		*leaf = tls_parse(der, len);
	EVP_PKEY	*pkey = NULL;
	SSL_CTX		*ctx = NULL;
	enum reason	 r = R_TLS_BAD_LEAF;

	if (leaf == NULL || (pkey = tls_leaf_key(leaf, key, algorithm)) == NULL ||
	    (ctx = tls_context()) == NULL ||
	    SSL_CTX_use_certificate(ctx, leaf) != 1 ||
	    SSL_CTX_use_PrivateKey(ctx, pkey) != 1 ||
	    SSL_CTX_check_private_key(ctx) != 1)
		goto out;
	SSL_CTX_free(tls.ctx);
	tls.ctx = ctx;
	ctx = NULL;
	r = R_OK;
 out:
	ERR_clear_error();
	SSL_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	X509_free(leaf);
	return r;
}

struct tls *
tls_open(uv_loop_t *loop, int fd, bool server, const struct tls_events *ev,
    void *arg, struct refusal *why)
{
	if (tls.ctx == NULL) {
		refusal_set(why, R_TLS_NO_LEAF, NULL, NULL, NULL);
		close(fd);
		return NULL;
	}
	return tls_start(loop, tls.ctx, fd, server, ev, arg);
}
