/*
 * A whole handshake in memory before confinement. OpenSSL loads much of what
 * it needs at its first use (providers, tables, strings, entropy, the time
 * zone); under the filter a first use could be the last.
 */
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "tls.h"
#include "x509time.h"

static EVP_PKEY *warm_key;	/* the private half, for the time of this file */

static enum reason
warm_sign(const struct sign_request *q)
{
	EVP_MD_CTX	*ctx = EVP_MD_CTX_new();
	uint8_t		 sig[112];
	size_t		 len = sizeof(sig);
	uint32_t	 id = q->id;
	bool		 ok;

	ok = ctx != NULL && EVP_DigestSignInit_ex(ctx, NULL, "SHA256",
	    tls_lib(), TLS_PROPQ, warm_key, NULL) == 1 &&
	    EVP_DigestSign(ctx, sig, &len, q->content, q->len) == 1;
	EVP_MD_CTX_free(ctx);
	provider_done(id, ok ? R_OK : R_TLS_PROTOCOL, sig, len);
	return R_OK;
}

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
warm_cert(EVP_PKEY *key, X509 *issuer, EVP_PKEY *signer, const char *name)
{
	X509		*x = X509_new_ex(tls_lib(), TLS_PROPQ);
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
		    extend(x, issuer, NID_subject_alt_name, "URI:urn:provd:"
		    "node:0000000000000000000000000000000000000000");
	if (ok && X509_sign(x, signer, EVP_sha256()) > 0)
		return x;
	X509_free(x);
	return NULL;
}

static int
warm_verify(X509_STORE_CTX *store, void *arg)
{
	X509		*anchor = arg, *leaf = X509_STORE_CTX_get0_cert(store);
	struct refusal	 why;
	char		 node[NODE_MAX];

	if (verify_identity(leaf, node, &why) == -1 ||
	    verify_leaf(leaf, &anchor, 1, true, (int64_t)clock_trusted(),
	    &why) == -1)
		return 0;
	X509_STORE_CTX_set_error(store, X509_V_OK);
	return 1;
}

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

static bool
warm_handshake(SSL_CTX *ctx)
{
	BIO	*a = NULL, *b = NULL;
	SSL	*server, *client;
	char	 buf[8];
	int	 i;
	bool	 ok = false;

	if (!BIO_new_bio_pair(&a, 0, &b, 0))
		return false;
	server = warm_end(ctx, a, true);
	client = warm_end(ctx, b, false);
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

/* What a failed handshake needs: error strings, the alert, the time zone. */
static bool
warm_failure(X509 *leaf)
{
	struct refusal	why;
	struct tm	tm;
	time_t		now = (time_t)clock_trusted();

	tzset();
	return gmtime_r(&now, &tm) != NULL && localtime_r(&now, &tm) != NULL &&
	    verify_leaf(leaf, NULL, 0, true, 0, &why) == -1 &&
	    tls_parse((const uint8_t *)"0", 1) == NULL;
}

int
tls_warm(void)
{
	EVP_PKEY	*ca_key, *remote = NULL;
	X509		*ca = NULL, *leaf = NULL;
	SSL_CTX		*ctx = NULL;
	uint8_t		 pub[97];
	size_t		 len;
	int		 r = -1;

	provider_signer(warm_sign);
	ca_key = EVP_PKEY_Q_keygen(tls_lib(), TLS_PROPQ, "EC", "P-256");
	warm_key = EVP_PKEY_Q_keygen(tls_lib(), TLS_PROPQ, "EC", "P-256");
	if (ca_key == NULL || warm_key == NULL ||
	    !EVP_PKEY_get_octet_string_param(warm_key, OSSL_PKEY_PARAM_PUB_KEY,
	    pub, sizeof(pub), &len) ||
	    (remote = provider_key(0, KEY_P256, pub, len)) == NULL ||
	    (ca = warm_cert(ca_key, NULL, ca_key, "ca")) == NULL ||
	    (leaf = warm_cert(warm_key, ca, ca_key, "leaf")) == NULL ||
	    (ctx = tls_context()) == NULL ||
	    SSL_CTX_use_certificate(ctx, leaf) != 1 ||
	    SSL_CTX_use_PrivateKey(ctx, remote) != 1)
		goto out;
	SSL_CTX_set_cert_verify_callback(ctx, warm_verify, ca);
	if (warm_handshake(ctx) && warm_failure(leaf))
		r = 0;
 out:
	if (r == 0)
		ERR_clear_error();
	SSL_CTX_free(ctx);
	X509_free(leaf);
	X509_free(ca);
	EVP_PKEY_free(remote);
	EVP_PKEY_free(warm_key);
	EVP_PKEY_free(ca_key);
	warm_key = NULL;
	return r;
}
