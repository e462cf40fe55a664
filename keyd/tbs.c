/*
 * What every certificate of the certificate service has: the fields of a
 * TBSCertificate before its extensions (RFC 5280, 4.1), and the limits that
 * hold for each.
 */
#include <string.h>

#include "der.h"
#include "keyd.h"
#include "store.h"

#define SLACK	3600		/* s that a window may begin before now */

static bool
zero(const uint8_t *p, size_t len)
{
	while (len > 0 && p[len - 1] == 0)
		len--;
	return len == 0;
}

int
tbs_check(const struct tbs *t, struct why *w)
{
	uint64_t	 end = authority_end(t->issuer);

	if (t->serial_len != 16 || zero(t->serial, 16))
		return why_num(w, R_KEY_CERT_SERIAL, "serial", 16,
		    t->serial_len);
	if (t->not_before >= t->not_after)
		return why_num(w, R_KEY_CERT_VALIDITY, "not_before",
		    t->not_after, t->not_before);
	if (t->not_after - t->not_before > t->longest + SLACK)
		return why_num(w, R_KEY_CERT_VALIDITY, "validity", t->longest,
		    t->not_after - t->not_before);
	/* A root's own end is what is being decided. */
	if (t->issuer != t->over && t->not_after > end)
		return why_num(w, R_KEY_CERT_VALIDITY, "not_after", end,
		    t->not_after);
	return 0;
}

int
tbs_head(struct put *p, const struct tbs *t)
{
	static const uint8_t	v3[] = { 0xa0, 3, DER_INTEGER, 1, 2 };
	size_t			mark;

	put_bytes(p, v3, sizeof(v3));
	asn1_uint(p, t->serial, t->serial_len);
	asn1_signature(p, key_curve(t->issuer));
	if (authority_name(p, t->issuer) == -1)
		return -1;
	mark = asn1_begin(p, DER_SEQUENCE);
	asn1_time(p, t->not_before);
	asn1_time(p, t->not_after);
	asn1_end(p, mark);
	return 0;
}

void
tbs_identifiers(struct put *p, const struct tbs *t)
{
	ext_ski(p, &t->subject);
	ext_aki(p, t->issuer);
}

void
tbs_pointers(struct put *p, const struct tbs *t)
{
	const char	*url = authority_ca()->url;
	unsigned	 n = authority_generation(t->issuer);

	if (url == NULL)
		return;
	ext_crl(p, url, n);
	ext_access(p, url, n);
}
