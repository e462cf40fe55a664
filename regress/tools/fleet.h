/*
 * What one BMC of a fleet is: a maker's certificate, a CA of its own over
 * the same key, and a TLS leaf which that issued.
 */
#ifndef FLEET_H
#define FLEET_H

#include <netinet/in.h>

#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "../unit/spdm_soft.h"

struct member {
	struct in_addr	 address;
	EVP_PKEY	*key, *tls_key;
	X509		*tls_leaf;
	char		 node[41];
	struct spdm_slot slot[SPDM_SLOTS];
	struct responder_conf conf;
	unsigned	 live;		/* greeted TLS connections */
	bool		 served;	/* it was attested */
	bool		 connected;	/* once, at least */
	bool		 attested;	/* it attested the node */
	bool		 attesting;
	uint64_t	 again;		/* ms: not before */
};

static EVP_PKEY	*maker_key;
static X509	*maker;

static inline void *
fleet_pem(const char *path, bool key)
{
	FILE	*f = fopen(path, "r");
	void	*p;

	NEED(f != NULL);
	if (key)
		p = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	else
		p = PEM_read_X509(f, NULL, NULL, NULL);
	NEED(p != NULL);
	fclose(f);
	return p;
}

/* 40 hex digits of the hash of the key, as a verifier computes them. */
static inline void
fleet_node(EVP_PKEY *key, char out[41])
{
	uint8_t		*der = NULL, h[32];
	int		 i, n = i2d_PUBKEY(key, &der);

	NEED(n > 0);
	spdm_hash(spdm_sha256(), der, (size_t)n, h);
	OPENSSL_free(der);
	for (i = 0; i < 20; i++)
		snprintf(out + 2 * i, 3, "%02x", h[i]);
}

/* X509_V_FLAG_X509_STRICT wants key ids, which soft_issue() leaves out. */
static inline void
fleet_ids(X509 *x, X509 *issuer, EVP_PKEY *ikey)
{
	soft_ext(x, issuer, NID_subject_key_identifier, "hash");
	soft_ext(x, issuer, NID_authority_key_identifier, "keyid:always");
	NEED(X509_sign(x, ikey, EVP_sha256()) > 0);
}

static inline void
fleet_slot(struct spdm_slot *slot, X509 *issuer, X509 *leaf)
{
	uint8_t	ders[8192];
	size_t	n;

	n = soft_der(issuer, ders);
	n += soft_der(leaf, ders + n);
	NEED(spdm_slot_set(slot, 1, KEY_P256, ders, n) == 0);
}

static inline void
fleet_tls(struct member *m, X509 *ca, EVP_PKEY *ca_key, long serial)
{
	struct soft_cert	c = { "tls leaf", NULL, "critical,CA:FALSE",
	    "critical,digitalSignature", "serverAuth,clientAuth", serial,
	    -3600, SOFT_YEAR / 4, false };
	char			san[80];

	m->tls_key = EVP_EC_gen("prime256v1");
	NEED(m->tls_key != NULL);
	m->tls_leaf = soft_issue(&c, m->tls_key, ca, ca_key);
	snprintf(san, sizeof(san), "URI:urn:provd:node:%s", m->node);
	soft_ext(m->tls_leaf, ca, NID_subject_alt_name, san);
	fleet_ids(m->tls_leaf, ca, ca_key);
}

static inline void
fleet_member(struct member *m, unsigned i, struct in_addr address)
{
	struct soft_cert	 leaf = soft_leaf, ca = soft_node_ca;
	EVP_PKEY		*ca_key = EVP_EC_gen("prime256v1");
	X509			*x, *ca_cert;
	char			 device[32], name[48];

	memset(m, 0, sizeof(*m));
	m->address = address;
	m->key = EVP_EC_gen("prime256v1");
	NEED(m->key != NULL && ca_key != NULL);
	fleet_node(m->key, m->node);
	snprintf(device, sizeof(device), "FLEET-%u", i);
	leaf.device = device;
	leaf.serial = 0x10000 + (long)i;
	x = soft_issue(&leaf, m->key, maker, maker_key);
	fleet_slot(&m->slot[0], maker, x);
	X509_free(x);
	snprintf(name, sizeof(name), "provd node CA %u", i);
	ca.name = name;
	ca_cert = soft_issue(&ca, ca_key, NULL, ca_key);
	fleet_ids(ca_cert, ca_cert, ca_key);
	x = soft_issue(&soft_node_leaf, m->key, ca_cert, ca_key);
	fleet_slot(&m->slot[1], ca_cert, x);
	X509_free(x);
	fleet_tls(m, ca_cert, ca_key, 5);
	X509_free(ca_cert);
	EVP_PKEY_free(ca_key);
}

#endif
