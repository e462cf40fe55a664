/*
 * Certificate requests (RFC 2986). Over the `spdm' and `tls' keys the subject
 * has a common name and, if there is one, a serial number; over an `issuing'
 * key it is that of the authority, whatever was asked for. No attributes, since
 * what an issuer certifies is the issuer's decision.
 */
#include <string.h>

#include "der.h"
#include "keyd.h"
#include "store.h"

#define NAME_MAX_CN	64	/* ub-common-name, ub-serial-number: RFC 5280 */

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

	if (p == KEY_ISSUING)
		return 0;
	if (p != KEY_SPDM && p != KEY_TLS)
		return why_set(w, R_KEY_PURPOSE, "key", "spdm, tls or issuing",
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
csr_subject(struct put *p, const struct msg_csr_req *req, const struct key *k,
    struct why *w)
{
	size_t	 mark;

	if (key_purpose(k) == KEY_ISSUING)
		return authority_name(p, k) == 0 ? 0 : why_set(w,
		    R_KEY_CA_LABEL, "label", NULL, key_label(k));
	mark = asn1_begin(p, DER_SEQUENCE);
	asn1_attribute(p, AT_COMMON_NAME, req->name);
	if (req->serial[0] != '\0')
		asn1_attribute(p, AT_SERIAL, req->serial);
	asn1_end(p, mark);
	return 0;
}

int
csr_build(const struct msg_csr_req *req, const struct key *k, uint8_t *out,
    size_t size, size_t *len, struct why *w)
{
	static const uint8_t	 v1[] = { DER_INTEGER, 1, 0 };
	static const uint8_t	 no_attributes[] = { ASN1_CONTEXT(0), 0 };
	const struct subject	 s = subject_of(k);
	struct put		 p = { .buf = out, .size = size };
	size_t			 mark;

	if (csr_check(req, k, w) == -1)
		return -1;
	mark = asn1_begin(&p, DER_SEQUENCE);
	put_bytes(&p, v1, sizeof(v1));
	if (csr_subject(&p, req, k, w) == -1)
		return -1;
	asn1_spki(&p, &s);
	put_bytes(&p, no_attributes, sizeof(no_attributes));
	asn1_end(&p, mark);
	*len = p.len;
	return p.bad ? why_set(w, R_KEY_LIBRARY, "request", NULL, NULL) : 0;
}

int
der_signed(const struct curve *c, const uint8_t *tbs, size_t tbslen,
    const struct signature *sig, uint8_t *out, size_t size, size_t *len)
{
	struct put	 p = { .buf = out, .size = size };
	size_t		 mark = asn1_begin(&p, DER_SEQUENCE);

	put_bytes(&p, tbs, tbslen);
	asn1_signature(&p, c);
	asn1_bits(&p, sig->der, sig->len);
	asn1_end(&p, mark);
	*len = p.len;
	return p.bad ? -1 : 0;
}
