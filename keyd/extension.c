/*
 * Extensions of the certificates and CRLs of the certificate service (RFC
 * 5280, 4.2 and 5.2). An object identifier stands here as its whole element.
 */
#include <arpa/inet.h>

#include <stdio.h>
#include <string.h>

#include "der.h"
#include "keyd.h"
#include "store.h"

#define OID_KP(n)	0x06, 0x08, 0x2b, 6, 1, 5, 5, 7, 3, n	/* id-kp */
#define OID_AD(n)	0x06, 0x08, 0x2b, 6, 1, 5, 5, 7, 0x30, n	/* id-ad */

/* id-pkix-ocsp-nocheck: RFC 6960, 4.2.2.2.1 */
static const uint8_t	oid_nocheck[] = { 0x2b, 6, 1, 5, 5, 7, 0x30, 1, 5 };

size_t
ext_begin(struct put *p, uint8_t ce, bool critical)
{
	const uint8_t	 oid[] = { DER_OID, 3, 0x55, 0x1d, ce };
	const uint8_t	 yes[] = { DER_BOOLEAN, 1, 0xff };
	size_t		 mark = asn1_begin(p, DER_SEQUENCE);

	put_bytes(p, oid, sizeof(oid));
	if (critical)
		put_bytes(p, yes, sizeof(yes));
	return mark;
}

/* An extension whose value is written by now. */
static void
ext_put(struct put *p, uint8_t ce, bool critical, const void *der, size_t len)
{
	size_t	 mark = ext_begin(p, ce, critical);

	asn1_put(p, DER_OCTETS, der, len);
	asn1_end(p, mark);
}

void
ext_basic(struct put *p, int pathlen)
{
	const uint8_t	 ca[] = { DER_SEQUENCE, 6, DER_BOOLEAN, 1, 0xff,
			    DER_INTEGER, 1, (uint8_t)pathlen };
	const uint8_t	 leaf[] = { DER_SEQUENCE, 0 };

	if (pathlen < 0)
		ext_put(p, CE_BASIC, true, leaf, sizeof(leaf));
	else
		ext_put(p, CE_BASIC, true, ca, sizeof(ca));
}

void
ext_usage(struct put *p, bool ca)
{
	/* keyCertSign and cRLSign; digitalSignature */
	static const uint8_t	signs[] = { DER_BITS, 2, 1, 0x06 };
	static const uint8_t	leaf[] = { DER_BITS, 2, 7, 0x80 };

	ext_put(p, CE_USAGE, true, ca ? signs : leaf, sizeof(leaf));
}

void
ext_eku(struct put *p, unsigned usage)
{
	static const uint8_t	server[] = { OID_KP(1) };
	static const uint8_t	client[] = { OID_KP(2) };
	static const uint8_t	ocsp[] = { OID_KP(9) };
	size_t			mark = ext_begin(p, CE_EKU, false);
	size_t			octets = asn1_begin(p, DER_OCTETS);
	size_t			list = asn1_begin(p, DER_SEQUENCE);

	if (usage & USAGE_SERVER)
		put_bytes(p, server, sizeof(server));
	if (usage & USAGE_CLIENT)
		put_bytes(p, client, sizeof(client));
	if (usage & EKU_OCSP)
		put_bytes(p, ocsp, sizeof(ocsp));
	asn1_end(p, list);
	asn1_end(p, octets);
	asn1_end(p, mark);
}

void
ext_ski(struct put *p, const struct subject *s)
{
	uint8_t	 value[22] = { DER_OCTETS, 20 };

	if (subject_identifier(s, value + 2) == -1)
		p->bad = true;
	ext_put(p, CE_SKI, false, value, sizeof(value));
}

void
ext_aki(struct put *p, const struct key *issuer)
{
	struct subject	 s = subject_of(issuer);
	uint8_t		 value[24] = { DER_SEQUENCE, 22, 0x80, 20 };

	if (subject_identifier(&s, value + 4) == -1)
		p->bad = true;
	ext_put(p, CE_AKI, false, value, sizeof(value));
}

/* GeneralName of a host: iPAddress of a literal, else dNSName. */
static void
host(struct put *p, const char *name)
{
	uint8_t	 a[16];

	if (inet_pton(AF_INET, name, a) == 1)
		asn1_put(p, GN_IP, a, 4);
	else if (inet_pton(AF_INET6, name, a) == 1)
		asn1_put(p, GN_IP, a, 16);
	else
		asn1_text(p, GN_DNS, name);
}

void
ext_san(struct put *p, const struct conf_name *hosts, const char *uri)
{
	size_t	 mark = ext_begin(p, CE_SAN, false);
	size_t	 octets = asn1_begin(p, DER_OCTETS);
	size_t	 list = asn1_begin(p, DER_SEQUENCE);

	for (; hosts != NULL; hosts = hosts->next)
		host(p, hosts->name);
	if (uri != NULL)
		asn1_text(p, GN_URI, uri);
	asn1_end(p, list);
	asn1_end(p, octets);
	asn1_end(p, mark);
}

/* NameConstraints: RFC 5280, 4.2.1.10 */
void
ext_permitted(struct put *p, const struct conf_name *names)
{
	size_t	 mark = ext_begin(p, CE_CONSTRAINTS, true);
	size_t	 octets = asn1_begin(p, DER_OCTETS);
	size_t	 list = asn1_begin(p, DER_SEQUENCE);
	size_t	 trees = asn1_begin(p, ASN1_CONTEXT(0)), tree;

	for (; names != NULL; names = names->next) {
		tree = asn1_begin(p, DER_SEQUENCE);
		asn1_text(p, GN_DNS, names->name);
		asn1_end(p, tree);
	}
	asn1_end(p, trees);
	asn1_end(p, list);
	asn1_end(p, octets);
	asn1_end(p, mark);
}

static void
put_uri(struct put *p, const char *base, const char *rest)
{
	size_t	 mark = asn1_begin(p, GN_URI), n = strlen(base);

	put_bytes(p, base, n > 0 && base[n - 1] == '/' ? n - 1 : n);
	put_bytes(p, rest, strlen(rest));
	asn1_end(p, mark);
}

void
asn1_crl_point(struct put *p, const char *url, unsigned generation)
{
	char	 path[48];
	size_t	 point = asn1_begin(p, ASN1_CONTEXT(0));
	size_t	 name = asn1_begin(p, ASN1_CONTEXT(0));

	snprintf(path, sizeof(path), "/crl/issuing-%u.crl", generation);
	put_uri(p, url, path);
	asn1_end(p, name);
	asn1_end(p, point);
}

/* CRLDistributionPoints: RFC 5280, 4.2.1.13 */
void
ext_crl(struct put *p, const char *url, unsigned generation)
{
	size_t	 mark = ext_begin(p, CE_CRL, false);
	size_t	 octets = asn1_begin(p, DER_OCTETS);
	size_t	 list = asn1_begin(p, DER_SEQUENCE);
	size_t	 one = asn1_begin(p, DER_SEQUENCE);

	asn1_crl_point(p, url, generation);
	asn1_end(p, one);
	asn1_end(p, list);
	asn1_end(p, octets);
	asn1_end(p, mark);
}

/* AuthorityInfoAccess: RFC 5280, 4.2.2.1 */
void
ext_access(struct put *p, const char *url, unsigned generation)
{
	static const uint8_t	pe[] = { DER_OID, 8, 0x2b, 6, 1, 5, 5, 7, 1,
				    1 };
	static const uint8_t	ocsp[] = { OID_AD(1) };
	static const uint8_t	issuers[] = { OID_AD(2) };
	char			path[48];
	size_t			mark = asn1_begin(p, DER_SEQUENCE);
	size_t			octets, list, one;

	put_bytes(p, pe, sizeof(pe));
	octets = asn1_begin(p, DER_OCTETS);
	list = asn1_begin(p, DER_SEQUENCE);
	one = asn1_begin(p, DER_SEQUENCE);
	put_bytes(p, ocsp, sizeof(ocsp));
	put_uri(p, url, "/ocsp");
	asn1_end(p, one);
	one = asn1_begin(p, DER_SEQUENCE);
	put_bytes(p, issuers, sizeof(issuers));
	snprintf(path, sizeof(path), "/ca/issuing-%u.der", generation);
	put_uri(p, url, path);
	asn1_end(p, one);
	asn1_end(p, list);
	asn1_end(p, octets);
	asn1_end(p, mark);
}

void
ext_nocheck(struct put *p)
{
	static const uint8_t	null[] = { DER_NULL, 0 };
	size_t			mark = asn1_begin(p, DER_SEQUENCE);

	asn1_put(p, DER_OID, oid_nocheck, sizeof(oid_nocheck));
	asn1_put(p, DER_OCTETS, null, sizeof(null));
	asn1_end(p, mark);
}
