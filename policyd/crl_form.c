/*
 * Does a CRL say what it was to say, all of it and nothing else? Strict and
 * linear: lists are long, and OpenSSL would make an object of each entry.
 * Pure.
 */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <string.h>

#include "ca.h"
#include "der.h"

#define UTCTIME		0x17
#define GENERALIZED	0x18
#define UTC_END		UINT64_C(2524608000)	/* 20500101000000Z */
#define EXTENSIONS	0xa0	/* [0] EXPLICIT */

static const uint8_t oid_number[] = { 0x55, 0x1d, 0x14 };
static const uint8_t oid_reason[] = { 0x55, 0x1d, 0x15 };

static void
digits(char *p, unsigned value, int n)
{
	for (; n > 0; n--, value /= 10)
		p[n - 1] = (char)('0' + value % 10);
}

/*
 * YYYYMMDDHHMMSSZ of these seconds, days counted in eras of 400 years that
 * begin in March; strftime(3) would take most of the time of a long list.
 */
static void
time_format(uint64_t seconds, char text[15])
{
	uint64_t	days = seconds / 86400 + 719468;
	unsigned	rest = (unsigned)(seconds % 86400);
	unsigned	doe = (unsigned)(days % 146097), doy, mp, month;
	unsigned	yoe = (doe - doe / 1460 + doe / 36524 -
			    doe / 146096) / 365;
	uint64_t	year = days / 146097 * 400 + yoe;

	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	month = mp < 10 ? mp + 3 : mp - 9;
	digits(text, (unsigned)(year + (month <= 2)), 4);
	digits(text + 4, month, 2);
	digits(text + 6, doy - (153 * mp + 2) / 5 + 1, 2);
	digits(text + 8, rest / 3600, 2);
	digits(text + 10, rest / 60 % 60, 2);
	digits(text + 12, rest % 60, 2);
	text[14] = 'Z';
}

/* A Time of these seconds: UTCTime up to 2049 (RFC 5280, 5.1.2.4). */
static bool
time_is(struct der *d, uint64_t seconds)
{
	struct der	body;
	char		text[15];
	bool		utc = seconds < UTC_END;

	time_format(seconds, text);
	return der_next(d, utc ? UTCTIME : GENERALIZED, &body, NULL) &&
	    der_equals(&body, text + (utc ? 2 : 0), sizeof(text) - (utc ? 2 : 0));
}

static bool
uint_is(const struct der *d, uint64_t n)
{
	uint64_t	seen = 0;
	size_t		i;

	if (d->left == 0 || d->left > 9 || d->p[0] >= 0x80 ||
	    (d->left == 9 && d->p[0] != 0) ||
	    (d->left > 1 && d->p[0] == 0 && d->p[1] < 0x80))
		return false;
	for (i = 0; i < d->left; i++)
		seen = seen << 8 | d->p[i];
	return seen == n;
}

/* The extension's value if it is this one; the rest may be what it will. */
static bool
extension(struct der *list, struct der *oid, struct der *value)
{
	struct der	ext, critical;

	if (!der_next(list, DER_SEQUENCE, &ext, NULL) ||
	    !der_next(&ext, DER_OID, oid, NULL))
		return false;
	(void)der_next(&ext, DER_BOOLEAN, &critical, NULL);
	return der_next(&ext, DER_OCTETS, value, NULL) && ext.left == 0;
}

/* crlEntryExtensions: the reason alone, or nothing for unspecified. */
static bool
entry_reason_is(struct der *entry, uint8_t reason)
{
	struct der	list, oid, value, body;

	if (reason == CRL_UNSPECIFIED)
		return entry->left == 0;
	return der_next(entry, DER_SEQUENCE, &list, NULL) &&
	    entry->left == 0 && extension(&list, &oid, &value) &&
	    list.left == 0 && der_equals(&oid, oid_reason,
	    sizeof(oid_reason)) &&
	    der_next(&value, DER_ENUMERATED, &body, NULL) &&
	    value.left == 0 && body.left == 1 && body.p[0] == reason;
}

static bool
entry_is(struct der *entries, const uint8_t row[CRL_ROW])
{
	struct der	entry, serial;
	uint64_t	when = 0;
	int		i;

	for (i = 0; i < 8; i++)
		when = when << 8 | row[SERIAL_LEN + i];
	return der_next(entries, DER_SEQUENCE, &entry, NULL) &&
	    der_next(&entry, DER_INTEGER, &serial, NULL) &&
	    der_equals(&serial, row, SERIAL_LEN) && time_is(&entry, when) &&
	    entry_reason_is(&entry, row[CRL_ROW - 1]);
}

static bool
entries_are(struct der *tbs, const struct crl_want *w)
{
	struct der	entries;
	size_t		i;

	if (w->count == 0)		/* absent, never empty: 5.1.2.6 */
		return tbs->left == 0 || tbs->p[0] != DER_SEQUENCE;
	if (!der_next(tbs, DER_SEQUENCE, &entries, NULL))
		return false;
	for (i = 0; i < w->count; i++)
		if (!entry_is(&entries, w->rows + i * CRL_ROW))
			return false;
	return entries.left == 0;
}

static bool
number_is(struct der *tbs, uint64_t number)
{
	struct der	outer, list, oid, value, body;
	bool		seen = false;

	if (!der_next(tbs, EXTENSIONS, &outer, NULL) || tbs->left != 0 ||
	    !der_next(&outer, DER_SEQUENCE, &list, NULL) || outer.left != 0)
		return false;
	while (list.left > 0) {
		if (!extension(&list, &oid, &value))
			return false;
		if (!der_equals(&oid, oid_number, sizeof(oid_number)))
			continue;
		if (seen || !der_next(&value, DER_INTEGER, &body, NULL) ||
		    value.left != 0 || !uint_is(&body, number))
			return false;
		seen = true;
	}
	return seen;
}

static bool
issuer_is(struct der *tbs, X509 *ca)
{
	struct der	 body, whole;
	uint8_t		*name = NULL;
	int		 n = i2d_X509_NAME(X509_get_subject_name(ca), &name);
	bool		 ok;

	ok = n > 0 && der_next(tbs, DER_SEQUENCE, &body, &whole) &&
	    der_equals(&whole, name, (size_t)n);
	OPENSSL_free(name);
	return ok;
}

/* ECDSA with the hash of the curve; both AlgorithmIdentifiers are the same. */
static bool
signed_by(X509 *ca, const struct der *tbs, const struct der *signature)
{
	EVP_PKEY	*key = X509_get0_pubkey(ca);
	EVP_MD_CTX	*ctx = EVP_MD_CTX_new();
	bool		 ok;

	if (ctx == NULL)
		fatalx("crl: out of memory");
	ok = key != NULL && signature->left > 1 && signature->p[0] == 0 &&
	    EVP_DigestVerifyInit_ex(ctx, NULL, EVP_PKEY_get_bits(key) > 256 ?
	    "SHA384" : "SHA256", NULL, NULL, key, NULL) == 1 &&
	    EVP_DigestVerify(ctx, signature->p + 1, signature->left - 1,
	    tbs->p, tbs->left) == 1;
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return ok;
}

static const char *
differs(X509 *ca, const uint8_t *der, size_t len, const struct crl_want *w)
{
	static const uint8_t	v2 = 1;
	struct der		d = { der, len }, outer, tbs, whole, body,
				inner_alg, outer_alg, bits;

	if (!der_next(&d, DER_SEQUENCE, &outer, NULL) || d.left != 0 ||
	    !der_next(&outer, DER_SEQUENCE, &tbs, &whole) ||
	    !der_next(&outer, DER_SEQUENCE, &body, &outer_alg) ||
	    !der_next(&outer, DER_BITS, &bits, NULL) || outer.left != 0 ||
	    !der_next(&tbs, DER_INTEGER, &body, NULL) ||
	    !der_equals(&body, &v2, 1) ||
	    !der_next(&tbs, DER_SEQUENCE, &body, &inner_alg) ||
	    !der_equals(&inner_alg, outer_alg.p, outer_alg.left))
		return "form";
	if (!issuer_is(&tbs, ca))
		return "issuer";
	if (!time_is(&tbs, w->this_update))
		return "thisUpdate";
	if (!time_is(&tbs, w->next_update))
		return "nextUpdate";
	if (!entries_are(&tbs, w))
		return "revokedCertificates";
	if (!number_is(&tbs, w->number))
		return "cRLNumber";
	return signed_by(ca, &whole, &bits) ? NULL : "signature";
}

enum reason
crl_check(const uint8_t *der, size_t len, const struct crl_want *w,
    struct why *why)
{
	const uint8_t	*p = w->ca;
	const char	*field = "issuer";
	X509		*ca = d2i_X509(NULL, &p, (long)w->ca_len);

	if (ca != NULL)
		field = differs(ca, der, len, w);
	X509_free(ca);
	ERR_clear_error();
	return why_set(why, field == NULL ? R_OK : R_CRT_CRL, field, NULL,
	    NULL);
}
