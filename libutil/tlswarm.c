/*
 * Handshakes in memory before confinement. OpenSSL loads much of what it needs
 * at its first use (providers, tables, strings, entropy, the time zone); under
 * the filter a first use could be the last.
 */
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "clock.h"
#include "tlsconn.h"
#include "x509time.h"

static const struct warm *warm;		/* while one is open */

static enum reason
warm_sign(const struct sign_request *q)
{
	EVP_MD_CTX	*ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX	*pctx;		/* the other's */
	uint8_t		 sig[256];
	size_t		 len = sizeof(sig);
	uint32_t	 id = q->id;
	bool		 ok;

	ok = ctx != NULL && EVP_DigestSignInit_ex(ctx, &pctx, "SHA256",
	    warm->lib, TLS_PROPQ, warm->key, NULL) == 1;
	if (ok && EVP_PKEY_is_a(warm->key, "RSA"))
		ok = EVP_PKEY_CTX_set_rsa_padding(pctx,
		    RSA_PKCS1_PSS_PADDING) == 1 &&
		    EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx,
		    RSA_PSS_SALTLEN_DIGEST) == 1;
	ok = ok && EVP_DigestSign(ctx, sig, &len, q->content, q->len) == 1;
	EVP_MD_CTX_free(ctx);
	provider_done(id, ok ? R_OK : R_TLS_PROTOCOL, sig, len);
	return R_OK;
}

/* ---- certificates -------------------------------------------------------- */

static bool
extend(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX	 ctx;
	X509_EXTENSION	*e;
	bool		 ok;

	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	e = X509V3_EXT_nconf_nid(NULL, &ctx, nid, value);
	ok = e != NULL && X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
	return ok;
}

/* A certificate over key; a CA's of its own if issuer is NULL. */
static X509 *
warm_cert(const struct warm *w, EVP_PKEY *key, X509 *issuer, const char *name,
    const char *san)
{
	X509		*x = X509_new_ex(w->lib, TLS_PROPQ);
	uint64_t	 now = clock_trusted();
	X509_NAME	*subject;
	bool		 ok;

	if (x == NULL)
		return NULL;
	subject = X509_get_subject_name(x);
	ok = X509_set_version(x, X509_VERSION_3) &&
	    ASN1_INTEGER_set(X509_get_serialNumber(x), 1) &&
	    x509_time_set(X509_getm_notBefore(x), now - 86400) == 0 &&
	    x509_time_set(X509_getm_notAfter(x), now + 86400) == 0 &&
	    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
	    (const uint8_t *)name, -1, -1, 0) &&
	    X509_set_issuer_name(x, issuer == NULL ? subject :
	    X509_get_subject_name(issuer)) &&
	    X509_set_pubkey(x, key) &&
	    extend(x, x, NID_subject_key_identifier, "hash") &&
	    extend(x, issuer == NULL ? x : issuer,
	    NID_authority_key_identifier, "keyid:always");
	if (issuer == NULL)
		ok = ok && extend(x, x, NID_basic_constraints,
		    "critical,CA:TRUE,pathlen:0") &&
		    extend(x, x, NID_key_usage, "critical,keyCertSign");
	else
		ok = ok && extend(x, issuer, NID_basic_constraints,
		    "critical,CA:FALSE") &&
		    extend(x, issuer, NID_key_usage,
		    "critical,digitalSignature") &&
		    extend(x, issuer, NID_ext_key_usage,
		    "serverAuth,clientAuth") &&
		    extend(x, issuer, NID_subject_alt_name, san);
	if (ok && X509_sign(x, w->ca_key, EVP_sha256()) > 0)
		return x;
	X509_free(x);
	return NULL;
}

int
warm_open(struct warm *w, OSSL_LIB_CTX *lib, enum key_algorithm algorithm,
    const char *san)
{
	*w = (struct warm){ .lib = lib };
	warm = w;
	provider_signer(warm_sign);
	w->ca_key = EVP_PKEY_Q_keygen(lib, TLS_PROPQ, "EC", "P-256");
	w->key = algorithm == KEY_RSA2048 ?
	    EVP_PKEY_Q_keygen(lib, TLS_PROPQ, "RSA", (size_t)2048) :
	    EVP_PKEY_Q_keygen(lib, TLS_PROPQ, "EC", "P-256");
	if (w->ca_key == NULL || w->key == NULL ||
	    (w->ca = warm_cert(w, w->ca_key, NULL, "ca", NULL)) == NULL ||
	    (w->leaf = warm_cert(w, w->key, w->ca, "leaf", san)) == NULL ||
	    (w->remote = tls_leaf_key(w->leaf, 0, algorithm)) == NULL)
		return -1;
	return 0;
}

void
warm_close(struct warm *w)
{
	X509_free(w->leaf);
	X509_free(w->ca);
	EVP_PKEY_free(w->remote);
	EVP_PKEY_free(w->key);
	EVP_PKEY_free(w->ca_key);
	warm = NULL;
}

/* ---- the handshake ------------------------------------------------------- */

static int
warm_woken(SSL *ssl, void *arg)
{
	return 1;	/* the loop below goes on by itself */
}

static SSL *
warm_end(SSL_CTX *ctx, BIO *bio, bool server)
{
	SSL *ssl = SSL_new(ctx);

	if (ssl == NULL)
		return NULL;
	SSL_set_bio(ssl, bio, bio);
	SSL_set_mode(ssl, SSL_MODE_ASYNC);
	SSL_set_async_callback(ssl, warm_woken);
	if (server)
		SSL_set_accept_state(ssl);
	else
		SSL_set_connect_state(ssl);
	return ssl;
}

bool
warm_handshake(SSL_CTX *servers, SSL_CTX *clients)
{
	BIO	*a = NULL, *b = NULL;
	SSL	*server, *client;
	char	 buf[8];
	int	 i;
	bool	 ok = false;

	if (!BIO_new_bio_pair(&a, 0, &b, 0))
		return false;
	server = warm_end(servers, a, true);
	client = warm_end(clients, b, false);
	for (i = 0; server != NULL && client != NULL && i < 16 && !ok; i++) {
		ok = SSL_do_handshake(client) == 1;
		provider_flush();
		ok = SSL_do_handshake(server) == 1 && ok;
		provider_flush();
	}
	SSL_clear_mode(server, SSL_MODE_ASYNC);
	SSL_clear_mode(client, SSL_MODE_ASYNC);
	ok = ok && SSL_write(client, "ping", 4) == 4 &&
	    SSL_read(server, buf, sizeof(buf)) == 4 &&
	    SSL_shutdown(server) >= 0 && SSL_shutdown(client) >= 0;
	SSL_free(server);
	SSL_free(client);
	return ok;
}
