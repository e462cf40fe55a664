/*
 * Public keys of devices in DER, and whether the certificate that keyd
 * returned is the one that it was asked for: walked as it stands, since
 * OpenSSL's own decoder takes longer than all the rest.
 */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "der.h"
#include "enrol.h"
#include "spki.h"

#define DER_UTCTIME	0x17
#define DER_TIME	0x18
#define DER_EXTENSIONS	0xa3	/* [3] of TBSCertificate */
#define DER_VERSION	0xa0	/* [0] */
#define SAN_DNSNAME	0x82	/* [2] of GeneralName */
#define SAN_URINAME	0x86	/* [6] */

/* ---- keys ---- */

/* Tag and length of n bytes before p; the new beginning. */
static uint8_t *
der_before(uint8_t *p, uint8_t tag, size_t n)
{
	if (n < 0x80)
		*--p = (uint8_t)n;
	else {
		*--p = (uint8_t)n;
		if (n > 0xff) {
			*--p = (uint8_t)(n >> 8);
			*--p = 0x82;
		} else
			*--p = 0x81;
	}
	*--p = tag;
	return p;
}

/* An unsigned INTEGER (X.690, 8.3.2). */
static uint8_t *
der_number(uint8_t *p, const uint8_t *n, size_t len)
{
	while (len > 1 && n[0] == 0) {
		n++;
		len--;
	}
	p -= len;
	memcpy(p, n, len);
	if (*p & 0x80) {
		*--p = 0;
		len++;
	}
	return der_before(p, DER_INTEGER, len);
}

/* RFC 3279, 2.3.1: rsaEncryption with NULL. Written from its end. */
static size_t
spki_rsa(const uint8_t *n, size_t len, uint32_t e, uint8_t *out)
{
	static const uint8_t	 alg[] = { 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86,
	    0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00 };
	uint8_t			 buf[SPKI_ANY_MAX], exponent[4];
	uint8_t			*end = buf + sizeof(buf), *p = end;

	exponent[0] = (uint8_t)(e >> 24);
	exponent[1] = (uint8_t)(e >> 16);
	exponent[2] = (uint8_t)(e >> 8);
	exponent[3] = (uint8_t)e;
	p = der_number(p, exponent, sizeof(exponent));
	p = der_number(p, n, len);
	p = der_before(p, DER_SEQUENCE, (size_t)(end - p));
	*--p = 0;			/* unused bits */
	p = der_before(p, DER_BITS, (size_t)(end - p));
	p -= sizeof(alg);
	memcpy(p, alg, sizeof(alg));
	p = der_before(p, DER_SEQUENCE, (size_t)(end - p));
	memcpy(out, p, (size_t)(end - p));
	return (size_t)(end - p);
}

size_t
form_spki(uint32_t type, const uint8_t *public, size_t len, uint32_t e,
    uint8_t out[SPKI_ANY_MAX])
{
	static const size_t	lens[SUBJECT_NKEYS] = {
	    [SUBJECT_P256] = 65, [SUBJECT_P384] = 97,
	    [SUBJECT_RSA2048] = 256, [SUBJECT_RSA3072] = 384,
	    [SUBJECT_RSA4096] = 512 };

	if (type >= SUBJECT_NKEYS || len != lens[type])
		return 0;
	if (type == SUBJECT_P256 || type == SUBJECT_P384)
		return e == 0 ? spki_der(public, len, out) : 0;
	if ((public[0] & 0x80) == 0)
		return 0;
	return spki_rsa(public, len, e, out);
}

/* ---- a certificate, walked ---- */

struct form {
	struct der	all, tbs, serial, issuer, validity, subject, spki;
	struct der	extensions;	/* without their tag; may be empty */
	struct der	signature;
};

static bool
form_walk(const uint8_t *der, size_t len, struct form *f)
{
	struct der	d = { der, len }, cert, tbs, any, exts;

	memset(f, 0, sizeof(*f));
	if (!der_strict(der, len) ||
	    !der_next(&d, DER_SEQUENCE, &cert, &f->all) ||
	    !der_next(&cert, DER_SEQUENCE, &tbs, &f->tbs) ||
	    !der_next(&cert, DER_SEQUENCE, &any, NULL) ||
	    !der_next(&cert, DER_BITS, &f->signature, NULL) ||
	    cert.left != 0 || f->signature.left < 2)
		return false;
	f->signature.p++;		/* unused bits */
	f->signature.left--;
	if (!der_next(&tbs, DER_VERSION, &any, NULL) ||
	    !der_next(&tbs, DER_INTEGER, &f->serial, NULL) ||
	    !der_next(&tbs, DER_SEQUENCE, &any, NULL) ||
	    !der_next(&tbs, DER_SEQUENCE, &any, &f->issuer) ||
	    !der_next(&tbs, DER_SEQUENCE, &f->validity, NULL) ||
	    !der_next(&tbs, DER_SEQUENCE, &any, &f->subject) ||
	    !der_next(&tbs, DER_SEQUENCE, &any, &f->spki))
		return false;
	if (tbs.left == 0)
		return true;
	return der_next(&tbs, DER_EXTENSIONS, &exts, NULL) && tbs.left == 0 &&
	    der_next(&exts, DER_SEQUENCE, &f->extensions, NULL) &&
	    exts.left == 0;
}

/* Its extnValue; false if it has none of this id (2.5.29.n). */
static bool
form_extension(const struct form *f, uint8_t n, struct der *value)
{
	const uint8_t	oid[] = { 0x55, 0x1d, n };
	struct der	exts = f->extensions, ext, id, skip;

	while (der_next(&exts, DER_SEQUENCE, &ext, NULL)) {
		if (!der_next(&ext, DER_OID, &id, NULL))
			return false;
		if (!der_equals(&id, oid, sizeof(oid)))
			continue;
		(void)der_next(&ext, DER_BOOLEAN, &skip, NULL);
		return der_next(&ext, DER_OCTETS, value, NULL);
	}
	return false;
}

/* RFC 5280, 4.1.2.5: UTCTime until 2049. */
static bool
time_is(struct der *validity, uint64_t when)
{
	char		text[32];
	time_t		t = (time_t)when;
	struct tm	tm;
	struct der	body;
	bool		utc;

	if (gmtime_r(&t, &tm) == NULL)
		return false;
	utc = tm.tm_year < 150;
	if (strftime(text, sizeof(text), utc ? "%y%m%d%H%M%SZ" :
	    "%Y%m%d%H%M%SZ", &tm) == 0)
		return false;
	return der_next(validity, utc ? DER_UTCTIME : DER_TIME, &body, NULL) &&
	    der_equals(&body, text, strlen(text));
}

/* One common name, and nothing else. */
static bool
subject_is(const struct form *f, const char *name)
{
	static const uint8_t	cn[] = { 0x55, 0x04, 0x03 };
	struct der		d = f->subject, rdns, rdn, attr, oid, value;

	if (!der_next(&d, DER_SEQUENCE, &rdns, NULL) ||
	    !der_next(&rdns, DER_SET, &rdn, NULL) || rdns.left != 0 ||
	    !der_next(&rdn, DER_SEQUENCE, &attr, NULL) || rdn.left != 0 ||
	    !der_next(&attr, DER_OID, &oid, NULL) ||
	    !der_equals(&oid, cn, sizeof(cn)) || attr.left == 0)
		return false;
	return der_next(&attr, attr.p[0], &value, NULL) && attr.left == 0 &&
	    der_equals(&value, name, strlen(name));
}

static bool
san_is(const struct form *f, enum conf_name_kind kind, const char *name)
{
	struct der	value, names, one;
	char		text[128];
	uint8_t		tag;

	tag = name_san(kind, name, text, sizeof(text)) == SAN_DNS ?
	    SAN_DNSNAME : SAN_URINAME;
	return form_extension(f, 17, &value) &&
	    der_next(&value, DER_SEQUENCE, &names, NULL) &&
	    value.left == 0 && der_next(&names, tag, &one, NULL) &&
	    names.left == 0 && der_equals(&one, text, strlen(text));
}

static bool
no_ca(const struct form *f)
{
	struct der	value, basic;

	return !form_extension(f, 19, &value) ||
	    (der_next(&value, DER_SEQUENCE, &basic, NULL) &&
	    basic.left == 0 && value.left == 0);
}

/* ---- the signature ---- */

/* The key of the issuing CA: parsed once, as long as it is the same. */
static struct {
	EVP_PKEY	*key;
	EVP_MD_CTX	*ctx;
	const char	*md;
	size_t		 len;
	uint8_t		 spki[SPKI_MAX];
} issuer;

static bool
issuer_key(const struct der *spki)
{
	const uint8_t	*p = spki->p;

	if (issuer.key != NULL && der_equals(spki, issuer.spki, issuer.len))
		return true;
	if (spki->left > sizeof(issuer.spki))
		return false;
	EVP_PKEY_free(issuer.key);
	if ((issuer.key = d2i_PUBKEY(NULL, &p, (long)spki->left)) == NULL) {
		ERR_clear_error();
		return false;
	}
	issuer.len = spki->left;
	memcpy(issuer.spki, spki->p, spki->left);
	issuer.md = EVP_PKEY_get_bits(issuer.key) > 256 ? "SHA384" : "SHA256";
	/* One that was begun with another key would go on with it. */
	EVP_MD_CTX_free(issuer.ctx);
	if ((issuer.ctx = EVP_MD_CTX_new()) == NULL)
		fatalx("cert: out of memory");
	return true;
}

static bool
signed_by(const struct form *f, const struct ca *ca)
{
	struct form	c;
	bool		ok;

	if (!form_walk(ca->der, ca->der_len, &c) ||
	    !der_equals(&f->issuer, c.subject.p, c.subject.left) ||
	    !issuer_key(&c.spki))
		return false;
	ok = EVP_DigestVerifyInit_ex(issuer.ctx, NULL, issuer.md, NULL, NULL,
	    issuer.key, NULL) == 1 && EVP_DigestVerify(issuer.ctx,
	    f->signature.p, f->signature.left, f->tbs.p, f->tbs.left) == 1;
	ERR_clear_error();
	return ok;
}

/* ---- what keyd was asked for ---- */

static const char *
form_differs(const struct form *f, const struct form_want *w)
{
	struct der	validity = f->validity;

	if (!der_equals(&f->serial, w->serial, SERIAL_LEN))
		return "serial";
	if (!der_equals(&f->spki, w->spki, w->spkilen))
		return "public key";
	if (!time_is(&validity, w->not_before))
		return "notBefore";
	if (!time_is(&validity, w->not_after) || validity.left != 0)
		return "notAfter";
	if (!subject_is(f, w->name))
		return "subject";
	if (!san_is(f, w->profile->names, w->name))
		return "subjectAltName";
	if (!no_ca(f))
		return "basicConstraints";
	return signed_by(f, w->ca) ? NULL : "signature";
}

enum reason
form_check(const uint8_t *der, size_t len, const struct form_want *w,
    struct why *why)
{
	struct form	 f;
	const char	*field;

	if (!form_walk(der, len, &f))
		return why_set(why, R_KEY_IDENTITY_CERT, "certificate", "DER",
		    NULL);
	if ((field = form_differs(&f, w)) != NULL)
		return why_set(why, R_KEY_IDENTITY_CERT, field, NULL, NULL);
	return why_set(why, R_OK, NULL, NULL, NULL);
}
