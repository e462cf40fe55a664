/*
 * Certificates for the tests of netd, good ones and each kind of bad one.
 * A program that includes this links netd's objects and called tls_init().
 */
#ifndef CERTS_H
#define CERTS_H

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "../../netd/tls.h"
#include "clock.h"
#include "x509time.h"

#define NODE_A	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define NODE_B	"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define NODE_C	"cccccccccccccccccccccccccccccccccccccccc"
#define DAY	86400L

struct ca {
	EVP_PKEY	*key;
	X509		*cert;
};

struct leaf {
	EVP_PKEY	*key;
	X509		*cert;
};

/* Fields left NULL or 0 are those of a proper TLS leaf. */
struct leaf_conf {
	const char	*san;		/* "URI:urn:provd:node:..."; "" for none */
	const char	*eku, *ku, *bc;	/* "" for none */
	long		 from, to;	/* s from now */
	const struct ca	*named;		/* issuer by name, but ca signs */
};

static inline EVP_PKEY *
certs_key(const char *curve)
{
	EVP_PKEY *k = EVP_PKEY_Q_keygen(tls_lib(), TLS_PROPQ, "EC", curve);

	if (k == NULL)
		abort();
	return k;
}

static inline void
certs_extend(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX	 ctx;
	X509_EXTENSION	*e;

	if (value[0] == '\0')
		return;
	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	e = X509V3_EXT_nconf_nid(NULL, &ctx, nid, value);
	if (e == NULL || !X509_add_ext(x, e, -1))
		abort();
	X509_EXTENSION_free(e);
}

static inline X509 *
certs_begin(const char *cn, EVP_PKEY *key, long from, long to)
{
	static long	 serial;
	uint64_t	 now = clock_trusted();
	X509		*x = X509_new_ex(tls_lib(), TLS_PROPQ);

	if (x == NULL || !X509_set_version(x, X509_VERSION_3) ||
	    !ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial) ||
	    x509_time_set(X509_getm_notBefore(x), now + (uint64_t)from) == -1 ||
	    x509_time_set(X509_getm_notAfter(x), now + (uint64_t)to) == -1 ||
	    !X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN",
	    MBSTRING_ASC, (const uint8_t *)cn, -1, -1, 0) ||
	    !X509_set_pubkey(x, key))
		abort();
	return x;
}

static inline void
certs_sign(X509 *x, EVP_PKEY *key)
{
	if (X509_sign(x, key, EVP_sha256()) <= 0)
		abort();
}

static inline struct ca
certs_ca(const char *cn)
{
	struct ca ca = { .key = certs_key("P-256") };

	ca.cert = certs_begin(cn, ca.key, -DAY, 3650 * DAY);
	X509_set_issuer_name(ca.cert, X509_get_subject_name(ca.cert));
	certs_extend(ca.cert, ca.cert, NID_basic_constraints,
	    "critical,CA:TRUE,pathlen:0");
	certs_extend(ca.cert, ca.cert, NID_key_usage, "critical,keyCertSign");
	certs_extend(ca.cert, ca.cert, NID_subject_key_identifier, "hash");
	certs_extend(ca.cert, ca.cert, NID_authority_key_identifier,
	    "keyid:always");
	certs_sign(ca.cert, ca.key);
	return ca;
}

/* Over this key, of which the public half is enough. */
static inline struct leaf
certs_leaf_over(EVP_PKEY *key, const struct ca *ca, const char *node,
    const struct leaf_conf *c)
{
	static const struct leaf_conf	 proper;
	struct leaf			 l = { .key = key };
	const struct ca			*named;
	char				 san[128];

	if (c == NULL)
		c = &proper;
	named = c->named == NULL ? ca : c->named;
	snprintf(san, sizeof(san), "URI:urn:provd:node:%s", node);
	l.cert = certs_begin("leaf", l.key, c->from == 0 ? -3600 : c->from,
	    c->to == 0 ? 90 * DAY : c->to);
	X509_set_issuer_name(l.cert, X509_get_subject_name(named->cert));
	certs_extend(l.cert, named->cert, NID_basic_constraints,
	    c->bc == NULL ? "critical,CA:FALSE" : c->bc);
	certs_extend(l.cert, named->cert, NID_key_usage,
	    c->ku == NULL ? "critical,digitalSignature" : c->ku);
	certs_extend(l.cert, named->cert, NID_ext_key_usage,
	    c->eku == NULL ? "serverAuth,clientAuth" : c->eku);
	certs_extend(l.cert, named->cert, NID_subject_alt_name,
	    c->san == NULL ? san : c->san);
	certs_extend(l.cert, named->cert, NID_subject_key_identifier, "hash");
	certs_extend(l.cert, named->cert, NID_authority_key_identifier,
	    "keyid:always");
	certs_sign(l.cert, ca->key);
	return l;
}

static inline struct leaf
certs_leaf(const struct ca *ca, const char *node, const struct leaf_conf *c)
{
	return certs_leaf_over(certs_key("P-256"), ca, node, c);
}

static inline void
certs_ca_free(struct ca *ca)
{
	EVP_PKEY_free(ca->key);
	X509_free(ca->cert);
}

static inline void
certs_leaf_free(struct leaf *l)
{
	EVP_PKEY_free(l->key);
	X509_free(l->cert);
}

/* DER into a field of a message. */
#define CERTS_BLOB(field, cert)	do {					\
	uint8_t *der_ = NULL;						\
	int	 len_ = i2d_X509((cert), &der_);			\
	if (len_ < 0 || IPC_SET_BLOB(field, der_, (size_t)len_) == -1)	\
		abort();						\
	OPENSSL_free(der_);						\
} while (0)

/* What keyd does, here. */
static inline size_t
certs_signature(EVP_PKEY *key, const uint8_t *content, size_t len,
    uint8_t sig[112])
{
	EVP_MD_CTX	*ctx = EVP_MD_CTX_new();
	size_t		 n = 112;

	if (ctx == NULL || EVP_DigestSignInit_ex(ctx, NULL, "SHA256", tls_lib(),
	    TLS_PROPQ, key, NULL) != 1 ||
	    EVP_DigestSign(ctx, sig, &n, content, len) != 1)
		abort();
	EVP_MD_CTX_free(ctx);
	return n;
}

static inline size_t
certs_public(EVP_PKEY *key, uint8_t pub[97])
{
	size_t n;

	if (!EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, pub,
	    97, &n))
		abort();
	return n;
}

#endif
