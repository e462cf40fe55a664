/*
 * A soft responder identity for the tests: keys in this process and chains
 * of the manufacturer (slot 0) and of the node (slot 1), as right or as
 * wrong as a test asks for.
 */
#ifndef SPDM_SOFT_H
#define SPDM_SOFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/x509v3.h>

#include "../../attestd/spdm.h"

/* The bench uses this file too, and has no cmocka. */
#define NEED(cond)	do {						\
	if (!(cond)) {							\
		fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);	\
		abort();						\
	}								\
} while (0)

struct soft_cert {
	const char	*name;		/* common name */
	const char	*device;	/* serialNumber, or NULL */
	const char	*bc, *ku, *eku;	/* as openssl.cnf spells them, or NULL */
	long		 serial;
	long		 from, to;	/* seconds from now */
	bool		 sha1;
};

#define SOFT_YEAR	31536000L
#define SOFT_EKU_BOTH	"1.3.6.1.4.1.412.274.3,1.3.6.1.4.1.412.274.4"

static inline void
soft_ext(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX	 ctx;
	X509_EXTENSION	*e;

	if (value == NULL)
		return;
	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	e = X509V3_EXT_nconf_nid(NULL, &ctx, nid, value);
	NEED(e != NULL);
	NEED(X509_add_ext(x, e, -1) == 1);
	X509_EXTENSION_free(e);
}

/* A certificate over key; issuer NULL: self-signed by ikey. */
static inline X509 *
soft_issue(const struct soft_cert *c, EVP_PKEY *key, X509 *issuer,
    EVP_PKEY *ikey)
{
	X509		*x = X509_new();
	X509_NAME	*n;

	NEED(x != NULL);
	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), c->serial);
	X509_gmtime_adj(X509_getm_notBefore(x), c->from);
	X509_gmtime_adj(X509_getm_notAfter(x), c->to);
	n = X509_get_subject_name(x);
	X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_ASC,
	    (const unsigned char *)c->name, -1, -1, 0);
	if (c->device != NULL)
		X509_NAME_add_entry_by_txt(n, "serialNumber", MBSTRING_ASC,
		    (const unsigned char *)c->device, -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(issuer != NULL ?
	    issuer : x));
	X509_set_pubkey(x, key);
	if (issuer == NULL)
		issuer = x;
	soft_ext(x, issuer, NID_basic_constraints, c->bc);
	soft_ext(x, issuer, NID_key_usage, c->ku);
	soft_ext(x, issuer, NID_ext_key_usage, c->eku);
	NEED(X509_sign(x, ikey, c->sha1 ? EVP_sha1() :
	    EVP_PKEY_get_bits(ikey) > 256 ? EVP_sha384() : EVP_sha256()) > 0);
	return x;
}

static const struct soft_cert	soft_root = { "acme root", NULL,
    "critical,CA:TRUE", "critical,keyCertSign", NULL, 1, -SOFT_YEAR,
    10 * SOFT_YEAR, false };
static const struct soft_cert	soft_leaf = { "acme bmc", "ACME-7712",
    "critical,CA:FALSE", "critical,digitalSignature", SOFT_EKU_BOTH, 0x7712,
    -3600, SOFT_YEAR, false };
static const struct soft_cert	soft_node_ca = { "node ca", NULL,
    "critical,CA:TRUE,pathlen:0", "critical,keyCertSign", NULL, 3,
    -SOFT_YEAR, 10 * SOFT_YEAR, false };
static const struct soft_cert	soft_node_leaf = { "node leaf", NULL,
    "critical,CA:FALSE", "critical,digitalSignature", SOFT_EKU_BOTH, 4,
    -3600, SOFT_YEAR / 4, false };

struct soft {
	enum key_algorithm	 algorithm;
	const struct spdm_alg	*alg;
	EVP_PKEY		*key, *root_key, *ca_key;
	X509			*root, *leaf, *node_ca, *node_leaf;
	uint8_t			 chain0[4096], chain1[4096];	/* DERs */
	size_t			 len0, len1;
};

static inline size_t
soft_der(X509 *x, uint8_t *p)
{
	int	n = i2d_X509(x, &p);

	NEED(n > 0);
	return n;
}

static inline void
soft_chains(struct soft *s)
{
	s->len0 = soft_der(s->root, s->chain0);
	s->len0 += soft_der(s->leaf, s->chain0 + s->len0);
	s->len1 = soft_der(s->node_ca, s->chain1);
	s->len1 += soft_der(s->node_leaf, s->chain1 + s->len1);
}

static inline void
soft_new(struct soft *s, enum key_algorithm a)
{
	memset(s, 0, sizeof(*s));
	s->algorithm = a;
	s->alg = spdm_alg(a);
	s->key = EVP_EC_gen(s->alg->group);
	s->root_key = EVP_EC_gen(s->alg->group);
	s->ca_key = EVP_EC_gen("prime256v1");
	NEED(s->key && s->root_key && s->ca_key);
	s->root = soft_issue(&soft_root, s->root_key, NULL, s->root_key);
	s->leaf = soft_issue(&soft_leaf, s->key, s->root, s->root_key);
	s->node_ca = soft_issue(&soft_node_ca, s->ca_key, NULL, s->ca_key);
	s->node_leaf = soft_issue(&soft_node_leaf, s->key, s->node_ca,
	    s->ca_key);
	soft_chains(s);
}

static inline void
soft_free(struct soft *s)
{
	X509_free(s->root);
	X509_free(s->leaf);
	X509_free(s->node_ca);
	X509_free(s->node_leaf);
	EVP_PKEY_free(s->key);
	EVP_PKEY_free(s->root_key);
	EVP_PKEY_free(s->ca_key);
}

/* What keyd does: prefix and hash, signed; r || s. */
static inline void
soft_sign(EVP_PKEY *key, const struct spdm_alg *alg, uint8_t version,
    const char *context, const uint8_t *hash, uint8_t *out)
{
	uint8_t		 tbs[SPDM_PREFIX + SPDM_HASH_MAX], der[128];
	const uint8_t	*p = der;
	size_t		 n = sizeof(der);
	EVP_MD_CTX	*ctx = EVP_MD_CTX_new();
	ECDSA_SIG	*sig;

	spdm_prefix(version, context, tbs);
	memcpy(tbs + SPDM_PREFIX, hash, alg->hash_len);
	NEED(EVP_DigestSignInit_ex(ctx, NULL, alg->md_name, NULL, NULL, key,
	    NULL) == 1);
	NEED(EVP_DigestSign(ctx, der, &n, tbs, SPDM_PREFIX + alg->hash_len)
	    == 1);
	sig = d2i_ECDSA_SIG(NULL, &p, n);
	NEED(sig != NULL);
	BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, alg->sig_len / 2);
	BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + alg->sig_len / 2,
	    alg->sig_len / 2);
	ECDSA_SIG_free(sig);
	EVP_MD_CTX_free(ctx);
}

#endif
