/*
 * What an `ocsp' key signs: the ResponseData (RFC 6960, 4.2.1) of one
 * certificate. The signer speaks for the issuing CA of its own generation; of
 * another's certificates it says only that it does not know them.
 */
#include <string.h>

#include "der.h"
#include "keyd.h"
#include "store.h"

#define SLACK	3600		/* s */

enum { HASH_SHA1, HASH_SHA256 };

static size_t
hash_len(uint32_t hash)
{
	return hash == HASH_SHA1 ? 20 : 32;
}

static int
digest(uint32_t hash, const void *data, size_t len, uint8_t out[32])
{
	return hash == HASH_SHA1 ? sha1_digest(data, len, out) :
	    curve_digest(curve_get(KEY_P256), data, len, out);
}

/* Is this CertID one of the CA's? */
static bool
speaks_for(const struct msg_ocsp_sign_req *req, const struct key *k)
{
	char			 label[KEY_LABEL_MAX + 1];
	const struct key	*ca;
	uint8_t			 name[256], md[32];
	struct put		 p = { .buf = name, .size = sizeof(name) };
	size_t			 n = hash_len(req->hash);

	authority_label(KEY_ISSUING, authority_generation(k), label);
	if ((ca = key_bylabel(label)) == NULL || authority_name(&p, ca) == -1)
		return false;
	return digest(req->hash, name, p.len, md) == 0 &&
	    memcmp(md, req->name_hash.data, n) == 0 &&
	    digest(req->hash, key_point(ca), key_point_len(ca), md) == 0 &&
	    memcmp(md, req->key_hash.data, n) == 0;
}

static int
check_status(const struct msg_ocsp_sign_req *req, struct why *w)
{
	bool	 revoked = req->status == CERT_REVOKED;

	if (revoked != (req->revoked != 0))
		return why_num(w, R_KEY_OCSP_FORM, "revoked", revoked,
		    req->revoked);
	if (req->reason == 7 || req->reason == CRL_REMOVE ||
	    (!revoked && req->reason != CRL_UNSPECIFIED))
		return why_num(w, R_KEY_OCSP_FORM, "reason", CRL_UNSPECIFIED,
		    req->reason);
	return 0;
}

static int
check(const struct msg_ocsp_sign_req *req, const struct key *k, struct why *w)
{
	const struct conf_ca	*ca = authority_ca();
	size_t			 n = hash_len(req->hash);

	if (ca == NULL)
		return why_set(w, R_KEY_CA_LABEL, "ca", "one in provd.conf",
		    NULL);
	if (key_purpose(k) != KEY_OCSP)
		return why_set(w, R_KEY_PURPOSE, "key", "ocsp",
		    key_purpose_name(key_purpose(k)));
	if (req->name_hash.len != n || req->key_hash.len != n)
		return why_num(w, R_KEY_OCSP_FORM, "hash", n,
		    req->name_hash.len);
	if (req->serial.len == 0)
		return why_set(w, R_KEY_OCSP_FORM, "serial", "1 to 20 bytes",
		    NULL);
	if (check_status(req, w) == -1)
		return -1;
	if (req->status != CERT_UNKNOWN && !speaks_for(req, k))
		return why_set(w, R_KEY_OCSP_FORM, "CertID",
		    "of the issuing CA of this signer", NULL);
	if (req->this_update >= req->next_update ||
	    req->next_update - req->this_update > ca->crl_every + SLACK)
		return why_num(w, R_KEY_CERT_VALIDITY, "next_update",
		    req->this_update + ca->crl_every, req->next_update);
	return 0;
}

/* CertID: RFC 6960, 4.1.1; parameters as nearly all clients write them. */
static void
cert_id(struct put *p, const struct msg_ocsp_sign_req *req)
{
	static const uint8_t	sha1[] = { 0x30, 9, 0x06, 5, 0x2b, 0x0e, 3, 2,
				    0x1a, 0x05, 0 };
	static const uint8_t	sha256[] = { 0x30, 13, 0x06, 9, 0x60, 0x86,
				    0x48, 1, 0x65, 3, 4, 2, 1, 0x05, 0 };
	size_t			mark = asn1_begin(p, DER_SEQUENCE);

	if (req->hash == HASH_SHA1)
		put_bytes(p, sha1, sizeof(sha1));
	else
		put_bytes(p, sha256, sizeof(sha256));
	asn1_put(p, DER_OCTETS, req->name_hash.data, req->name_hash.len);
	asn1_put(p, DER_OCTETS, req->key_hash.data, req->key_hash.len);
	asn1_uint(p, req->serial.data, req->serial.len);
	asn1_end(p, mark);
}

static void
cert_status(struct put *p, const struct msg_ocsp_sign_req *req)
{
	const uint8_t	 reason[] = { ASN1_CONTEXT(0), 3, DER_ENUMERATED, 1,
			    (uint8_t)req->reason };
	size_t		 mark;

	if (req->status != CERT_REVOKED) {
		asn1_put(p, req->status == CERT_GOOD ? 0x80 : 0x82, "", 0);
		return;
	}
	mark = asn1_begin(p, ASN1_CONTEXT(1));
	asn1_gtime(p, req->revoked);
	if (req->reason != CRL_UNSPECIFIED)
		put_bytes(p, reason, sizeof(reason));
	asn1_end(p, mark);
}

static void
single_response(struct put *p, const struct msg_ocsp_sign_req *req)
{
	size_t	 list = asn1_begin(p, DER_SEQUENCE);
	size_t	 one = asn1_begin(p, DER_SEQUENCE), next;

	cert_id(p, req);
	cert_status(p, req);
	asn1_gtime(p, req->this_update);
	next = asn1_begin(p, ASN1_CONTEXT(0));
	asn1_gtime(p, req->next_update);
	asn1_end(p, next);
	asn1_end(p, one);
	asn1_end(p, list);
}

/* id-pkix-ocsp-nonce, an OCTET STRING in its OCTET STRING: RFC 8954, 2.1 */
static void
nonce(struct put *p, const uint8_t *value, size_t len)
{
	static const uint8_t	oid[] = { 0x2b, 6, 1, 5, 5, 7, 0x30, 1, 2 };
	size_t			outer, list, mark, octets;

	if (len == 0)
		return;
	outer = asn1_begin(p, ASN1_CONTEXT(1));
	list = asn1_begin(p, DER_SEQUENCE);
	mark = asn1_begin(p, DER_SEQUENCE);
	asn1_put(p, DER_OID, oid, sizeof(oid));
	octets = asn1_begin(p, DER_OCTETS);
	asn1_put(p, DER_OCTETS, value, len);
	asn1_end(p, octets);
	asn1_end(p, mark);
	asn1_end(p, list);
	asn1_end(p, outer);
}

int
ocsp_build(const struct msg_ocsp_sign_req *req, const struct key *k,
    uint8_t *out, size_t size, size_t *len, struct why *w)
{
	struct put	 p = { .buf = out, .size = size };
	uint8_t		 id[20];
	size_t		 mark, by;

	if (check(req, k, w) == -1)
		return -1;
	mark = asn1_begin(&p, DER_SEQUENCE);
	/* byKey: SHA-1 of the signer's own key */
	by = asn1_begin(&p, ASN1_CONTEXT(2));
	if (sha1_digest(key_point(k), key_point_len(k), id) == -1)
		return why_set(w, R_KEY_LIBRARY, "SHA-1", NULL, NULL);
	asn1_put(&p, DER_OCTETS, id, sizeof(id));
	asn1_end(&p, by);
	asn1_gtime(&p, req->this_update);	/* producedAt */
	single_response(&p, req);
	nonce(&p, req->nonce.data, req->nonce.len);
	asn1_end(&p, mark);
	*len = p.len;
	return p.bad ? why_set(w, R_KEY_LIBRARY, "response", NULL, NULL) : 0;
}
