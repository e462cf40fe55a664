/*
 * Certificate requests (RFC 2986) over the `spdm' and `tls' keys: the subject
 * has a common name and, if there is one, a serial number; no attributes,
 * since what a manufacturer certifies is the manufacturer's decision.
 */
#include <string.h>

#include <openssl/asn1t.h>

#include "keyd.h"

#define NAME_MAX_CN	64	/* ub-common-name, ub-serial-number: RFC 5280 */

/* CertificationRequestInfo ::= SEQUENCE */
typedef struct {
	ASN1_INTEGER	*version;
	X509_NAME	*subject;
	X509_PUBKEY	*key;
	STACK_OF(X509_ATTRIBUTE) *attributes;
} REQINFO;

ASN1_SEQUENCE(REQINFO) = {
	ASN1_SIMPLE(REQINFO, version, ASN1_INTEGER),
	ASN1_SIMPLE(REQINFO, subject, X509_NAME),
	ASN1_SIMPLE(REQINFO, key, X509_PUBKEY),
	ASN1_IMP_SET_OF(REQINFO, attributes, X509_ATTRIBUTE, 0)
} static_ASN1_SEQUENCE_END(REQINFO)

/* Certificate and CertificationRequest alike: what was signed comes first. */
typedef struct {
	ASN1_TYPE	*tbs;
	X509_ALGOR	*algorithm;
	ASN1_BIT_STRING	*signature;
} SIGNED;

ASN1_SEQUENCE(SIGNED) = {
	ASN1_SIMPLE(SIGNED, tbs, ASN1_ANY),
	ASN1_SIMPLE(SIGNED, algorithm, X509_ALGOR),
	ASN1_SIMPLE(SIGNED, signature, ASN1_BIT_STRING)
} static_ASN1_SEQUENCE_END(SIGNED)

/* PrintableString (X.680, 41.4), so that every encoder agrees on the type. */
static bool
csr_printable(const char *s)
{
	size_t	 n = strlen(s);

	return n <= NAME_MAX_CN && strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789 '()+,-./:=?") == n;
}

static int
csr_check(const struct msg_csr_req *req, const struct key *k, struct why *w)
{
	enum key_purpose	 p = key_purpose(k);

	if (p != KEY_SPDM && p != KEY_TLS)
		return why_set(w, R_KEY_PURPOSE, "key", "spdm or tls",
		    key_purpose_name(p));
	if (req->name[0] == '\0' || !csr_printable(req->name))
		return why_set(w, R_KEY_CSR_NAME, "name",
		    "1 to 64 printable characters", NULL);
	if (!csr_printable(req->serial))
		return why_set(w, R_KEY_CSR_NAME, "serial",
		    "at most 64 printable characters", NULL);
	return 0;
}

static int
csr_name(X509_NAME *name, int nid, const char *value)
{
	return X509_NAME_add_entry_by_NID(name, nid, MBSTRING_ASC,
	    (const unsigned char *)value, -1, -1, 0) == 1 ? 0 : -1;
}

int
csr_build(const struct msg_csr_req *req, const struct key *k, uint8_t *out,
    size_t size, size_t *len, struct why *w)
{
	REQINFO	*info;
	int	 n, r = -1;

	if (csr_check(req, k, w) == -1)
		return -1;
	info = (REQINFO *)ASN1_item_new(ASN1_ITEM_rptr(REQINFO));
	if (info == NULL)
		goto out;
	X509_PUBKEY_free(info->key);
	info->key = curve_spki(key_curve(k), key_point(k));
	if (info->key == NULL || ASN1_INTEGER_set(info->version, 0) != 1 ||
	    csr_name(info->subject, NID_commonName, req->name) == -1)
		goto out;
	if (req->serial[0] != '\0' &&
	    csr_name(info->subject, NID_serialNumber, req->serial) == -1)
		goto out;
	n = ASN1_item_i2d((const ASN1_VALUE *)info, NULL,
	    ASN1_ITEM_rptr(REQINFO));
	if (n <= 0 || (size_t)n > size)
		goto out;
	ASN1_item_i2d((const ASN1_VALUE *)info, &out, ASN1_ITEM_rptr(REQINFO));
	*len = (size_t)n;
	r = 0;
 out:
	ASN1_item_free((ASN1_VALUE *)info, ASN1_ITEM_rptr(REQINFO));
	return r == 0 ? 0 : why_set(w, R_KEY_LIBRARY, "request", NULL, NULL);
}

int
der_signed(const struct curve *c, const uint8_t *tbs, size_t tbslen,
    const struct signature *sig, uint8_t *out, size_t size, size_t *len)
{
	SIGNED		*s = (SIGNED *)ASN1_item_new(ASN1_ITEM_rptr(SIGNED));
	ASN1_STRING	*seq = ASN1_STRING_type_new(V_ASN1_SEQUENCE);
	int		 n, r = -1;

	if (s == NULL || seq == NULL ||
	    ASN1_STRING_set(seq, tbs, (int)tbslen) != 1)
		goto out;
	ASN1_TYPE_set(s->tbs, V_ASN1_SEQUENCE, seq);
	seq = NULL;
	if (X509_ALGOR_set0(s->algorithm, OBJ_nid2obj(c->sig_nid),
	    V_ASN1_UNDEF, NULL) != 1 ||
	    ASN1_BIT_STRING_set(s->signature, (unsigned char *)
	    (uintptr_t)sig->der, (int)sig->len) != 1)
		goto out;
	/* No unused bits, whatever the signature's last byte is. */
	s->signature->flags &= ~(ASN1_STRING_FLAG_BITS_LEFT | 0x07);
	s->signature->flags |= ASN1_STRING_FLAG_BITS_LEFT;
	n = ASN1_item_i2d((const ASN1_VALUE *)s, NULL, ASN1_ITEM_rptr(SIGNED));
	if (n <= 0 || (size_t)n > size)
		goto out;
	ASN1_item_i2d((const ASN1_VALUE *)s, &out, ASN1_ITEM_rptr(SIGNED));
	*len = (size_t)n;
	r = 0;
 out:
	ASN1_STRING_free(seq);
	ASN1_item_free((ASN1_VALUE *)s, ASN1_ITEM_rptr(SIGNED));
	return r;
}
