/*
 * What a certificate of the authority must be: what keyd should have
 * answered, and what an operator installs from an offline root. Pure.
 */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "ca.h"
#include "spki.h"
#include "x509time.h"

/* s: what was signed just now, by a clock a little ahead, is no error. */
#define CLOCK_SKEW	300
#define ISSUING_MAX	2048	/* ENROL_LISTENER.issuing */
#define BITS_MIN	112	/* of security, SP 800-57 part 1, 5.6.1 */

/* ---- keys ---- */

/* SubjectPublicKeyInfo of RSA-2048 around the modulus (RFC 8017, A.1.1) */
static const uint8_t rsa_head[] = { 0x30, 0x82, 0x01, 0x22, 0x30, 0x0d, 0x06,
    0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
    0x03, 0x82, 0x01, 0x0f, 0x00, 0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01,
    0x01, 0x00 };
static const uint8_t rsa_tail[] = { 0x02, 0x03, 0x01, 0x00, 0x01 };

size_t
ca_key_spki(const struct ca_key *k, uint8_t out[CA_SPKI_MAX])
{
	if (k->algorithm != KEY_RSA2048)
		return spki_der(k->public, k->len, out);
	if (k->len != 256 || k->public[0] < 0x80)
		return 0;
	memcpy(out, rsa_head, sizeof(rsa_head));
	memcpy(out + sizeof(rsa_head), k->public, 256);
	memcpy(out + sizeof(rsa_head) + 256, rsa_tail, sizeof(rsa_tail));
	return sizeof(rsa_head) + 256 + sizeof(rsa_tail);
}

static bool
over_key(const X509 *x, const struct ca_key *k)
{
	uint8_t	 want[CA_SPKI_MAX], *seen = NULL;
	size_t	 n = ca_key_spki(k, want);
	int	 len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &seen);
	bool	 ok;

	ok = n > 0 && len == (int)n && memcmp(seen, want, n) == 0;
	OPENSSL_free(seen);
	return ok;
}

static X509 *
parse(const uint8_t *der, size_t len)
{
	const uint8_t	*p = der;
	X509		*x = NULL;

	if (len <= CA_CERT_MAX && (x = d2i_X509(NULL, &p, (long)len)) != NULL &&
	    p != der + len) {
		X509_free(x);
		x = NULL;
	}
	ERR_clear_error();
	return x;
}

bool
ca_cert_over(const uint8_t *der, size_t len, const struct ca_key *k)
{
	X509	*x = parse(der, len);
	bool	 ok = x != NULL && over_key(x, k);

	X509_free(x);
	return ok;
}

/* ---- what keyd answered ---- */

static bool
signed_by(X509 *x, X509 *issuer)
{
	EVP_PKEY	*key = X509_get0_pubkey(issuer);
	bool		 ok = key != NULL && X509_verify(x, key) == 1;

	ERR_clear_error();
	return ok;
}

static bool
serial_is(const X509 *x, const uint8_t serial[SERIAL_LEN])
{
	const ASN1_INTEGER	*s = X509_get0_serialNumber(x);

	return ASN1_STRING_type(s) == V_ASN1_INTEGER &&
	    ASN1_STRING_length(s) == SERIAL_LEN &&
	    memcmp(ASN1_STRING_get0_data(s), serial, SERIAL_LEN) == 0;
}

/* What every user of the certificate will look at. */
static const char *
use_differs(X509 *x, enum ca_profile profile)
{
	uint32_t	flags = X509_get_extension_flags(x);
	uint32_t	usage = X509_get_key_usage(x);
	uint32_t	more = X509_get_extended_key_usage(x);
	bool		ca = profile == CA_ROOT || profile == CA_ISSUING ||
			    profile == CA_CROSS;

	if ((flags & (EXFLAG_INVALID | EXFLAG_CRITICAL)) != 0)
		return "extensions";
	if (((flags & EXFLAG_CA) != 0) != ca)
		return "basicConstraints";
	if (ca && (usage & (KU_KEY_CERT_SIGN | KU_CRL_SIGN)) !=
	    (KU_KEY_CERT_SIGN | KU_CRL_SIGN))
		return "keyUsage";
	if (profile == CA_ROOT && X509_get_pathlen(x) != 2)
		return "pathLenConstraint";
	if (profile == CA_CROSS && X509_get_pathlen(x) != 1)
		return "pathLenConstraint";
	if (profile == CA_ISSUING && X509_get_pathlen(x) != 0)
		return "pathLenConstraint";
	if (!ca && (usage & KU_DIGITAL_SIGNATURE) == 0)
		return "keyUsage";
	if (profile == CA_OCSP && more != XKU_OCSP_SIGN)
		return "extendedKeyUsage";
	if (profile == CA_ENROL && more != XKU_SSL_SERVER)
		return "extendedKeyUsage";
	return NULL;
}

static bool
names_are(X509 *x, const struct conf_name *n)
{
	GENERAL_NAMES	*names;
	int		 count = 0, seen;

	if (n == NULL)
		return true;	/* keyd's own choice */
	names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	seen = names == NULL ? 0 : sk_GENERAL_NAME_num(names);
	GENERAL_NAMES_free(names);
	for (; n != NULL; n = n->next, count++)
		if (X509_check_host(x, n->name, 0, X509_CHECK_FLAG_NO_WILDCARDS |
		    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) != 1 &&
		    X509_check_ip_asc(x, n->name, 0) != 1)
			return false;
	return seen == count;
}

static const char *
differs(X509 *x, X509 *issuer, const struct ca_want *w)
{
	if (!serial_is(x, w->serial))
		return "serial";
	if (!over_key(x, w->key))
		return "public key";
	if (x509_time(X509_get0_notBefore(x)) != w->not_before)
		return "notBefore";
	if (x509_time(X509_get0_notAfter(x)) != w->not_after)
		return "notAfter";
	if (X509_NAME_cmp(X509_get_issuer_name(x),
	    X509_get_subject_name(issuer)) != 0)
		return "issuer";
	if (!signed_by(x, issuer))
		return "signature";
	if (w->profile == CA_ENROL && !names_are(x, w->names))
		return "subjectAltName";
	return use_differs(x, w->profile);
}

enum reason
ca_cert_check(const uint8_t *der, size_t len, const struct ca_want *w,
    struct why *why)
{
	const char	*field = "certificate";
	X509		*x = parse(der, len), *issuer = NULL;

	if (x != NULL) {
		issuer = w->profile == CA_ROOT ? x :
		    parse(w->issuer, w->issuer_len);
		field = issuer == NULL ? "issuer" : differs(x, issuer, w);
	}
	if (issuer != x)
		X509_free(issuer);
	X509_free(x);
	ERR_clear_error();
	return why_set(why, field == NULL ? R_OK : R_KEY_IDENTITY_CERT, field,
	    NULL, NULL);
}

/* ---- CertID (RFC 6960, 4.1.1) ---- */

int
ca_cert_hashes(const uint8_t *der, size_t len, uint8_t name[2][HASH_LEN],
    uint8_t key[2][HASH_LEN])
{
	static const char *const	 algs[2] = { "SHA1", "SHA256" };
	X509				*x = parse(der, len);
	const ASN1_BIT_STRING		*bits;
	uint8_t				*subject = NULL;
	int				 i, n, r = -1;

	if (x == NULL)
		return -1;
	bits = X509_get0_pubkey_bitstr(x);
	n = i2d_X509_NAME(X509_get_subject_name(x), &subject);
	if (n > 0 && bits != NULL) {
		r = 0;
		for (i = 0; i < 2; i++)
			if (EVP_Q_digest(NULL, algs[i], NULL, subject,
			    (size_t)n, name[i], NULL) != 1 ||
			    EVP_Q_digest(NULL, algs[i], NULL,
			    ASN1_STRING_get0_data(bits),
			    (size_t)ASN1_STRING_length(bits), key[i],
			    NULL) != 1)
				r = -1;
	}
	OPENSSL_free(subject);
	X509_free(x);
	ERR_clear_error();
	return r;
}

/* ---- from an offline root ---- */

static enum reason
refuse(struct why *why, const char *field, const char *expected,
    const char *seen)
{
	return why_set(why, R_CRT_CHAIN, field, expected, seen);
}

/* The name that keyd writes as the issuer of all that this CA issues. */
static X509_NAME *
issuing_name(unsigned generation)
{
	X509_NAME	*n = X509_NAME_new();
	char		 cn[128];

	snprintf(cn, sizeof(cn), "%s Issuing CA %u", conf->ca.name, generation);
	if (n == NULL || X509_NAME_add_entry_by_txt(n, "O", MBSTRING_UTF8,
	    (const unsigned char *)conf->ca.name, -1, -1, 0) != 1 ||
	    X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_UTF8,
	    (const unsigned char *)cn, -1, -1, 0) != 1)
		fatalx("ca: out of memory");
	return n;
}

static enum reason
check_subject(X509 *x, unsigned generation, struct why *why)
{
	X509_NAME	*want = issuing_name(generation);
	char		 expected[161], seen[161];
	enum reason	 r = R_OK;

	if (X509_NAME_cmp(want, X509_get_subject_name(x)) != 0) {
		cert_name(want, expected, sizeof(expected));
		cert_name(X509_get_subject_name(x), seen, sizeof(seen));
		r = refuse(why, "subject", expected, seen);
	}
	X509_NAME_free(want);
	return r;
}

/* Both are CAs, as every verifier will look at them. */
static enum reason
check_ca(X509 *x, const char *which, struct why *why)
{
	uint32_t	flags = X509_get_extension_flags(x);
	int		md, bits;
	char		field[65];

	snprintf(field, sizeof(field), "%s, basicConstraints", which);
	if ((flags & EXFLAG_BCONS) == 0 || (flags & EXFLAG_CA) == 0)
		return refuse(why, field, "CA:TRUE", "no CA");
	snprintf(field, sizeof(field), "%s, keyUsage", which);
	if ((flags & EXFLAG_KUSAGE) == 0 || (X509_get_key_usage(x) &
	    (KU_KEY_CERT_SIGN | KU_CRL_SIGN)) !=
	    (KU_KEY_CERT_SIGN | KU_CRL_SIGN))
		return refuse(why, field, "keyCertSign, cRLSign", "without");
	snprintf(field, sizeof(field), "%s, extensions", which);
	if ((flags & EXFLAG_CRITICAL) != 0)
		return refuse(why, field, "known", "a critical one is not");
	if ((flags & EXFLAG_INVALID) != 0)
		return refuse(why, field, "well-formed", "malformed");
	snprintf(field, sizeof(field), "%s, signature", which);
	if (X509_get_signature_info(x, &md, NULL, &bits, NULL) != 1 ||
	    bits < BITS_MIN)
		return refuse(why, field, "SHA-256 or better", "a weak one");
	return R_OK;
}

static enum reason
check_paths(X509 *root, X509 *issuing, struct why *why)
{
	char	seen[16];
	long	n = X509_get_pathlen(issuing);

	snprintf(seen, sizeof(seen), "%ld", n);
	if (n != 0)
		return refuse(why, "issuing CA, pathLenConstraint", "0",
		    n < 0 ? "none" : seen);
	if (X509_get_pathlen(root) == 0)
		return refuse(why, "root, pathLenConstraint", "1, 2 or none",
		    "0");
	return R_OK;
}

static enum reason
check_window(X509 *x, const char *which, uint64_t now, struct why *why)
{
	char	field[65];

	snprintf(field, sizeof(field), "%s, validity", which);
	if (now + CLOCK_SKEW < x509_time(X509_get0_notBefore(x)))
		return refuse(why, field, "valid now", "not yet valid");
	if (now > x509_time(X509_get0_notAfter(x)))
		return refuse(why, field, "valid now", "expired");
	return R_OK;
}

static enum reason
check_windows(X509 *root, X509 *issuing, uint64_t now, struct why *why)
{
	enum reason	r;

	if (x509_time(X509_get0_notAfter(issuing)) >
	    x509_time(X509_get0_notAfter(root)))
		return refuse(why, "issuing CA, validity",
		    "within that of the root", "ends after it");
	if (now == 0)
		return R_OK;		/* the clock is unset */
	if ((r = check_window(root, "root", now, why)) != R_OK)
		return r;
	return check_window(issuing, "issuing CA", now, why);
}

/* As devices and openssl verify -x509_strict will do it. */
static enum reason
check_strict(X509 *root, X509 *issuing, struct why *why)
{
	X509_STORE		*store = X509_STORE_new();
	X509_STORE_CTX		*ctx = X509_STORE_CTX_new();
	X509_VERIFY_PARAM	*param;
	enum reason		 r = R_OK;

	if (store == NULL || ctx == NULL ||
	    X509_STORE_add_cert(store, root) != 1 ||
	    X509_STORE_CTX_init(ctx, store, issuing, NULL) != 1)
		fatalx("ca: out of memory");
	param = X509_STORE_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT |
	    X509_V_FLAG_CHECK_SS_SIGNATURE | X509_V_FLAG_NO_CHECK_TIME);
	if (X509_verify_cert(ctx) != 1)
		r = refuse(why, "chain", "ok", X509_verify_cert_error_string(
		    X509_STORE_CTX_get_error(ctx)));
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	return r;
}

static enum reason
check_pair(X509 *root, X509 *issuing, const struct ca_install_want *w,
    struct why *why)
{
	EVP_PKEY	*key = X509_get0_pubkey(root);
	enum reason	 r;

	if (X509_NAME_cmp(X509_get_subject_name(root),
	    X509_get_issuer_name(root)) != 0 || !signed_by(root, root))
		return refuse(why, "root", "self-signed", "not");
	if (key == NULL || EVP_PKEY_get_security_bits(key) < BITS_MIN)
		return refuse(why, "root, key", "112 bits of security",
		    "less");
	if (X509_NAME_cmp(X509_get_subject_name(root),
	    X509_get_issuer_name(issuing)) != 0)
		return refuse(why, "issuing CA, issuer", "the root",
		    "another name");
	if (!signed_by(issuing, root))
		return refuse(why, "issuing CA, signature", "by the root",
		    "not");
	if ((r = check_ca(root, "root", why)) != R_OK ||
	    (r = check_ca(issuing, "issuing CA", why)) != R_OK ||
	    (r = check_paths(root, issuing, why)) != R_OK ||
	    (r = check_windows(root, issuing, w->now, why)) != R_OK ||
	    (r = check_subject(issuing, w->generation, why)) != R_OK)
		return r;
	return check_strict(root, issuing, why);
}

static enum reason
write_der(X509 *x, struct ca_cert *out, size_t max, const char *which,
    struct why *why)
{
	const ASN1_INTEGER	*s = X509_get0_serialNumber(x);
	uint8_t			*p = out->der;
	int			 n = i2d_X509(x, NULL);
	char			 field[65];

	snprintf(field, sizeof(field), "%s, bytes", which);
	if (n <= 0 || (size_t)n > max)
		return refuse(why, field, max == ISSUING_MAX ?
		    "2048 at most" : "4096 at most", "more");
	snprintf(field, sizeof(field), "%s, serial", which);
	if (ASN1_STRING_type(s) != V_ASN1_INTEGER ||
	    ASN1_STRING_length(s) < 1 ||
	    ASN1_STRING_length(s) > (int)sizeof(out->serial))
		return refuse(why, field, "1 to 20 bytes", NULL);
	out->len = (size_t)i2d_X509(x, &p);
	out->serial_len = (size_t)ASN1_STRING_length(s);
	memcpy(out->serial, ASN1_STRING_get0_data(s), out->serial_len);
	out->not_before = x509_time(X509_get0_notBefore(x));
	out->not_after = x509_time(X509_get0_notAfter(x));
	return R_OK;
}

enum reason
ca_cert_install(const void *pem, size_t len, const struct ca_install_want *w,
    struct ca_cert *root, struct ca_cert *issuing, struct why *why)
{
	struct cert_pem	 c = { 0 };
	enum reason	 r;
	char		 n[16];
	int		 ours;

	if (cert_pem_read(&c, pem, len, why) != R_OK) {
		cert_pem_free(&c);
		return why->reason = R_CRT_CHAIN;
	}
	snprintf(n, sizeof(n), "%u", c.n);
	if (c.n != 2) {
		cert_pem_free(&c);
		return refuse(why, "certificates", "2", n);
	}
	ours = over_key(c.certs[0], w->key) ? 0 : 1;
	if (!over_key(c.certs[ours], w->key))
		r = refuse(why, "issuing CA, public key",
		    "that of 'provctl ca csr'", "another");
	else
		r = check_pair(c.certs[1 - ours], c.certs[ours], w, why);
	if (r == R_OK && (r = write_der(c.certs[1 - ours], root, CA_CERT_MAX,
	    "root", why)) == R_OK && (r = write_der(c.certs[ours], issuing,
	    ISSUING_MAX, "issuing CA", why)) == R_OK)
		why_set(why, R_OK, NULL, NULL, NULL);
	cert_pem_free(&c);
	ERR_clear_error();
	return r;
}
