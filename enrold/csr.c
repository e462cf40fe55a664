/*
 * Certificate requests (PKCS#10, RFC 2986). OpenSSL never sees one: it gets a
 * point or a modulus whose form is known, a digest and a signature. To decode
 * a key costs it twice as long as to verify a signature, so the key of each
 * curve is made once and only its point is exchanged.
 *
 * The order of the attributes (a SET OF) is not checked: they are covered by
 * the signature, nothing is encoded again, and some clients do not sort.
 */
#include <ctype.h>
#include <string.h>

#include "der.h"
#include "field.h"
#include "pkcs10.h"
#include "spki.h"
#include "wire.h"

#define TAG_UTF8	0x0c
#define TAG_PRINTABLE	0x13
#define TAG_T61		0x14
#define TAG_IA5		0x16
#define TAG_DNS		0x82	/* GeneralName [2] */
#define TAG_URI		0x86	/* GeneralName [6] */

#define N(a)		(sizeof(a) / sizeof((a)[0]))

static int
refuse(struct refusal *why, enum reason reason, const char *field,
    const char *expected, const char *seen)
{
	refusal_set(why, reason, field, expected, seen);
	return -1;
}

/* ---- subject -------------------------------------------------------------- */

/* X.680, 41.4 */
static bool
printable(const uint8_t *p, size_t n)
{
	for (; n > 0; n--, p++)
		if (!(*p < 0x80 && isalnum(*p)) &&
		    (*p == '\0' || strchr(" '()+,-./:=?", *p) == NULL))
			return false;
	return true;
}

/* UTF-8 without control characters (C0, DEL, C1). */
static bool
readable(const uint8_t *p, size_t n)
{
	size_t	i;

	if (!ipc_utf8((const char *)p, n))
		return false;
	for (i = 0; i < n; i++)
		if (p[i] < 0x20 || p[i] == 0x7f ||
		    (p[i] == 0xc2 && p[i + 1] < 0xa0))
			return false;
	return true;
}

/* What of a name is not as it must be, or NULL. */
static const char *
read_name(struct der name, struct csr *c)
{
	static const uint8_t	cn[] = { 0x55, 0x04, 0x03 };
	struct der		set, pair, type, value;
	uint8_t			tag;

	if (!der_next(&name, DER_SET, &set, NULL))
		return "no name, or something else";
	if (!der_next(&set, DER_SEQUENCE, &pair, NULL) ||
	    !der_next(&pair, DER_OID, &type, NULL) || pair.left == 0)
		return "something else";
	if (name.left > 0 || set.left > 0)
		return "several attributes";
	if (!der_equals(&type, cn, sizeof(cn)))
		return "another attribute";
	tag = pair.p[0];
	if ((tag != TAG_UTF8 && tag != TAG_PRINTABLE) ||
	    !der_next(&pair, tag, &value, NULL) || pair.left > 0)
		return "another type of string";
	if (value.left == 0 || value.left >= sizeof(c->name))
		return value.left == 0 ? "an empty one" : "a longer one";
	if (!readable(value.p, value.left))
		return "a control character, or no UTF-8";
	if (tag == TAG_PRINTABLE && !printable(value.p, value.left))
		return "a character that no PrintableString has";
	memcpy(c->name, value.p, value.left);
	c->name[value.left] = '\0';
	return NULL;
}

/* ---- public key ----------------------------------------------------------- */

static int
weak(struct refusal *why, const char *expected, const char *seen)
{
	return refuse(why, R_CRT_KEY_WEAK, "public key", expected, seen);
}

static int
read_rsa(struct der key, struct csr *c, struct refusal *why)
{
	static const char	form[] = "RSAPublicKey, strict DER";
	struct der		body, n, e;
	size_t			i;

	if (key.left < 1 || key.p[0] != 0 || !der_strict(key.p + 1,
	    key.left - 1))
		return refuse(why, R_ENR_CSR_KEY, "public key", form,
		    "something else");
	key.p++, key.left--;
	if (!der_next(&key, DER_SEQUENCE, &body, NULL) ||
	    !der_next(&body, DER_INTEGER, &n, NULL) ||
	    !der_next(&body, DER_INTEGER, &e, NULL) || body.left > 0 ||
	    (n.p[0] & 0x80) || (e.p[0] & 0x80))
		return refuse(why, R_ENR_CSR_KEY, "public key", form,
		    "something else");
	if (n.p[0] == 0 && n.left > 1)
		n.p++, n.left--;
	if (e.p[0] == 0 && e.left > 1)
		e.p++, e.left--;
	if (n.left < 256 || (n.left == 256 && n.p[0] < 0x80))
		return weak(why, "at least 2048 bits", "less");
	if (e.left > sizeof(c->exponent))
		return refuse(why, R_ENR_CSR_KEY, "public key",
		    "an exponent of at most 32 bits", "a larger one");
	for (i = 0; i < e.left; i++)
		c->exponent = c->exponent << 8 | e.p[i];
	/* With an exponent of 1 anybody can make a signature. */
	if (c->exponent < 3 || c->exponent % 2 == 0)
		return weak(why, "an odd exponent of 3 or more", "another");
	if (n.p[n.left - 1] % 2 == 0)
		return weak(why, "an odd modulus", "an even one");
	if ((n.left != 256 && n.left != 384 && n.left != 512) ||
	    n.p[0] < 0x80)
		return refuse(why, R_ENR_CSR_KEY, "public key",
		    "RSA of 2048, 3072 or 4096 bits", "another size");
	c->key_type = n.left == 256 ? SUBJECT_RSA2048 :
	    n.left == 384 ? SUBJECT_RSA3072 : SUBJECT_RSA4096;
	memcpy(c->public, n.p, n.left);
	c->public_len = n.left;
	return 0;
}

/* The one form that a named curve and an uncompressed point have. */
static int
read_ec(const struct der *spki, size_t point, struct csr *c,
    struct refusal *why)
{
	uint8_t	form[SPKI_MAX];

	if (spki->left <= point || spki_der(spki->p + spki->left - point,
	    point, form) != spki->left ||
	    memcmp(form, spki->p, spki->left) != 0)
		return refuse(why, R_ENR_CSR_KEY, "public key",
		    "an uncompressed point", "another form");
	memcpy(c->public, spki->p + spki->left - point, point);
	c->public_len = point;
	c->key_type = point == 65 ? SUBJECT_P256 : SUBJECT_P384;
	return 0;
}

static int
read_key(const struct der *spki, struct der body, struct csr *c,
    struct refusal *why)
{
	/* bodies of AlgorithmIdentifier: rsaEncryption; both curves */
	static const uint8_t	rsa[] = { DER_OID, 9, 0x2a, 0x86, 0x48, 0x86,
	    0xf7, 0x0d, 0x01, 0x01, 0x01, DER_NULL, 0 };
	static const uint8_t	p256[] = { DER_OID, 7, 0x2a, 0x86, 0x48, 0xce,
	    0x3d, 0x02, 0x01, DER_OID, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03,
	    0x01, 0x07 };
	static const uint8_t	p384[] = { DER_OID, 7, 0x2a, 0x86, 0x48, 0xce,
	    0x3d, 0x02, 0x01, DER_OID, 5, 0x2b, 0x81, 0x04, 0x00, 0x22 };
	struct der		algorithm, key;

	if (!der_next(&body, DER_SEQUENCE, &algorithm, NULL) ||
	    !der_next(&body, DER_BITS, &key, NULL) || body.left > 0)
		return refuse(why, R_ENR_CSR, "public key",
		    "an algorithm and a key", "something else");
	if (der_equals(&algorithm, rsa, sizeof(rsa)))
		return read_rsa(key, c, why);
	if (der_equals(&algorithm, p256, sizeof(p256)))
		return read_ec(spki, 65, c, why);
	if (der_equals(&algorithm, p384, sizeof(p384)))
		return read_ec(spki, 97, c, why);
	return refuse(why, R_ENR_CSR_KEY, "public key",
	    "rsaEncryption, or a named curve P-256 or P-384",
	    "another algorithm");
}

/* ---- attributes ----------------------------------------------------------- */

static int
bad_extension(struct refusal *why, const char *field, const char *expected)
{
	return refuse(why, R_ENR_CSR_EXTENSION, field, expected,
	    "something else");
}

/* One dNSName or URI, of visible ASCII. */
static int
read_san(const struct der *value, struct csr *c, struct refusal *why)
{
	struct der	all = *value, names, name;
	size_t		i;
	uint8_t		tag;

	if (!der_strict(value->p, value->left) ||
	    !der_next(&all, DER_SEQUENCE, &names, NULL) || names.left == 0)
		return bad_extension(why, "subjectAltName", "GeneralNames");
	tag = names.p[0];
	if ((tag != TAG_DNS && tag != TAG_URI) ||
	    !der_next(&names, tag, &name, NULL) || names.left > 0 ||
	    name.left == 0 || name.left >= sizeof(c->san))
		return bad_extension(why, "subjectAltName",
		    "one dNSName or URI of at most 128 bytes");
	for (i = 0; i < name.left; i++)
		if (name.p[i] <= 0x20 || name.p[i] > 0x7e)
			return bad_extension(why, "subjectAltName",
			    "visible characters of ASCII");
	memcpy(c->san, name.p, name.left);
	c->san[name.left] = '\0';
	c->san_kind = tag == TAG_DNS ? SAN_DNS : SAN_URI;
	return 0;
}

/* The profile decides on usages, but nobody asks for those of a CA. */
static int
read_usage(const struct der *value, struct csr *c, struct refusal *why)
{
	struct der	all = *value, bits;

	if (!der_next(&all, DER_BITS, &bits, NULL) || all.left > 0 ||
	    bits.left < 2 || bits.left > 3 || bits.p[0] > 7 ||
	    (bits.p[bits.left - 1] & ((1U << bits.p[0]) - 1)) != 0)
		return bad_extension(why, "keyUsage", "a BIT STRING");
	if (bits.p[1] & 0x06)
		return refuse(why, R_ENR_CSR_EXTENSION, "keyUsage",
		    "a usage of a device", "keyCertSign or cRLSign");
	return 0;
}

static int
read_purposes(const struct der *value, struct csr *c, struct refusal *why)
{
	struct der	all = *value, list, oid;

	if (!der_strict(value->p, value->left) ||
	    !der_next(&all, DER_SEQUENCE, &list, NULL) || list.left == 0)
		return bad_extension(why, "extKeyUsage", "purposes");
	while (list.left > 0)
		if (!der_next(&list, DER_OID, &oid, NULL))
			return bad_extension(why, "extKeyUsage", "purposes");
	return 0;
}

/* FALSE is the default, which DER leaves out. */
static int
read_constraints(const struct der *value, struct csr *c, struct refusal *why)
{
	static const uint8_t	no_ca[] = { DER_SEQUENCE, 0 };

	if (!der_equals(value, no_ca, sizeof(no_ca)))
		return bad_extension(why, "basicConstraints", "CA:FALSE");
	return 0;
}

static int
read_key_id(const struct der *value, struct csr *c, struct refusal *why)
{
	struct der	all = *value, id;

	if (!der_next(&all, DER_OCTETS, &id, NULL) || all.left > 0)
		return bad_extension(why, "subjectKeyIdentifier",
		    "an OCTET STRING");
	return 0;
}

/* Name of a template (MS-WCCE, 2.2.2.7.7.1), as strongSwan's pki sends it. */
static int
read_template(const struct der *value, struct csr *c, struct refusal *why)
{
	struct der	all = *value, text;

	if (value->left == 0 || (value->p[0] != 0x1e &&
	    value->p[0] != TAG_UTF8) ||
	    !der_next(&all, value->p[0], &text, NULL) || all.left > 0)
		return bad_extension(why, "certificate template", "a name");
	return 0;
}

/* All but the SAN are read, and left alone. */
static const struct extension {
	uint8_t	 len, oid[9];
	int	(*read)(const struct der *, struct csr *, struct refusal *);
} extensions[] = {
	{ 3, { 0x55, 0x1d, 14 }, read_key_id },
	{ 3, { 0x55, 0x1d, 15 }, read_usage },
	{ 3, { 0x55, 0x1d, 17 }, read_san },
	{ 3, { 0x55, 0x1d, 19 }, read_constraints },
	{ 3, { 0x55, 0x1d, 37 }, read_purposes },
	{ 9, { 0x2b, 6, 1, 4, 1, 0x82, 0x37, 20, 2 }, read_template },
};

static int
read_extension(struct der *list, struct csr *c, uint32_t *seen,
    struct refusal *why)
{
	static const char	field[] = "extensionRequest";
	struct der		e, oid, critical, value;
	size_t			i;

	if (!der_next(list, DER_SEQUENCE, &e, NULL) ||
	    !der_next(&e, DER_OID, &oid, NULL) ||
	    (e.left > 0 && e.p[0] == DER_BOOLEAN &&
	    (!der_next(&e, DER_BOOLEAN, &critical, NULL) ||
	    critical.p[0] == 0)) ||	/* the default, which DER leaves out */
	    !der_next(&e, DER_OCTETS, &value, NULL) || e.left > 0)
		return refuse(why, R_ENR_CSR, field, "extensions",
		    "something else");
	for (i = 0; i < N(extensions); i++)
		if (der_equals(&oid, extensions[i].oid, extensions[i].len))
			break;
	if (i == N(extensions))
		return refuse(why, R_ENR_CSR_EXTENSION, field,
		    "what a profile may give", "an extension not known here");
	if (*seen & 1U << i)
		return refuse(why, R_ENR_CSR_EXTENSION, field,
		    "each extension once", "one twice");
	*seen |= 1U << i;
	return extensions[i].read(&value, c, why);
}

static int
read_extensions(struct der set, struct csr *c, struct refusal *why)
{
	struct der	list;
	uint32_t	seen = 0;

	if (!der_next(&set, DER_SEQUENCE, &list, NULL) || set.left > 0 ||
	    list.left == 0)
		return refuse(why, R_ENR_CSR, "extensionRequest",
		    "one list of extensions", "something else");
	while (list.left > 0)
		if (read_extension(&list, c, &seen, why) == -1)
			return -1;
	return 0;
}

/* A DirectoryString (RFC 2985, 5.4.1), of ASCII; some write an IA5String. */
static int
read_password(struct der set, struct csr *c, struct refusal *why)
{
	static const char	field[] = "challengePassword";
	struct der		s;
	uint8_t			tag = set.left > 0 ? set.p[0] : 0;
	size_t			i;

	if ((tag != TAG_UTF8 && tag != TAG_PRINTABLE && tag != TAG_T61 &&
	    tag != TAG_IA5) || !der_next(&set, tag, &s, NULL) ||
	    set.left > 0 || s.left == 0 || s.left >= sizeof(c->password))
		return refuse(why, R_ENR_CSR_EXTENSION, field,
		    "one string of 1 to 255 bytes", "something else");
	for (i = 0; i < s.left; i++)
		if (s.p[i] < 0x20 || s.p[i] > 0x7e)
			return refuse(why, R_ENR_CSR_EXTENSION, field,
			    "printable characters of ASCII", "another");
	memcpy(c->password, s.p, s.left);
	c->password[s.left] = '\0';
	return 0;
}

static int
read_attributes(struct der list, struct csr *c, struct refusal *why)
{
	/* 1.2.840.113549.1.9, before 7 (password) and 14 (extensions) */
	static const uint8_t	pkcs9[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d,
	    0x01, 0x09 };
	struct der		a, oid, set;
	bool			have[2] = { false, false };
	int			which, r;

	while (list.left > 0) {
		if (!der_next(&list, DER_SEQUENCE, &a, NULL) ||
		    !der_next(&a, DER_OID, &oid, NULL) ||
		    !der_next(&a, DER_SET, &set, NULL) || a.left > 0)
			return refuse(why, R_ENR_CSR, "attributes",
			    "a type and a set of values", "something else");
		if (oid.left != sizeof(pkcs9) + 1 ||
		    memcmp(oid.p, pkcs9, sizeof(pkcs9)) != 0 ||
		    (oid.p[8] != 7 && oid.p[8] != 14))
			return refuse(why, R_ENR_CSR_EXTENSION, "attributes",
			    "challengePassword and extensionRequest alone",
			    "another attribute");
		which = oid.p[8] == 7 ? 0 : 1;
		if (have[which])
			return refuse(why, R_ENR_CSR_EXTENSION, "attributes",
			    "each attribute once", "one twice");
		have[which] = true;
		r = which == 0 ? read_password(set, c, why) :
		    read_extensions(set, c, why);
		if (r == -1)
			return -1;
	}
	return 0;
}

/* ---- signature ------------------------------------------------------------ */

/* id-sha256, id-sha384, id-sha512: the last arc of 2.16.840.1.101.3.4.2 */
static bool
read_hash(struct der algorithm, enum csr_digest *digest)
{
	static const uint8_t	sha2[] = { 0x60, 0x86, 0x48, 0x01, 0x65, 0x03,
	    0x04, 0x02 };
	struct der		oid, null;

	if (!der_next(&algorithm, DER_OID, &oid, NULL) || oid.left != 9 ||
	    memcmp(oid.p, sha2, sizeof(sha2)) != 0 || oid.p[8] < 1 ||
	    oid.p[8] > 3)
		return false;
	*digest = (enum csr_digest)(CSR_SHA256 + oid.p[8] - 1);
	/* RFC 4055, 2.1: NULL and nothing are both accepted */
	return algorithm.left == 0 || (der_next(&algorithm, DER_NULL, &null,
	    NULL) && algorithm.left == 0);
}

/*
 * RSASSA-PSS-params (RFC 4055, 3.1): one of SHA-2 for both hashes. Without
 * them it would be SHA-1.
 */
static bool
read_pss(struct der *rest, struct csr *c)
{
	static const uint8_t	mgf1[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d,
	    0x01, 0x01, 0x08 };
	struct der		params, wrap, algorithm, oid, hash, salt;
	enum csr_digest		mask;

	if (!der_next(rest, DER_SEQUENCE, &params, NULL) || rest->left > 0 ||
	    !der_next(&params, 0xa0, &wrap, NULL) ||
	    !der_next(&wrap, DER_SEQUENCE, &hash, NULL) || wrap.left > 0 ||
	    !read_hash(hash, &c->digest) ||
	    !der_next(&params, 0xa1, &wrap, NULL) ||
	    !der_next(&wrap, DER_SEQUENCE, &algorithm, NULL) ||
	    wrap.left > 0 || !der_next(&algorithm, DER_OID, &oid, NULL) ||
	    !der_equals(&oid, mgf1, sizeof(mgf1)) ||
	    !der_next(&algorithm, DER_SEQUENCE, &hash, NULL) ||
	    algorithm.left > 0 || !read_hash(hash, &mask) ||
	    mask != c->digest)
		return false;
	/* the default, which DER leaves out, is 20 bytes: that of SHA-1 */
	if (!der_next(&params, 0xa2, &wrap, NULL) ||
	    !der_next(&wrap, DER_INTEGER, &salt, NULL) || wrap.left > 0 ||
	    params.left > 0 || salt.left > 2 || salt.p[0] >= 0x80)
		return false;
	c->pss = true;
	for (c->salt = 0; salt.left > 0; salt.p++, salt.left--)
		c->salt = (uint16_t)(c->salt << 8 | salt.p[0]);
	return true;
}

static bool
is_rsa(const struct csr *c)
{
	return c->key_type >= SUBJECT_RSA2048;
}

static bool
read_algorithm(struct der algorithm, struct csr *c)
{
	static const uint8_t	ecdsa[] = { 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04,
	    0x03 };			/* before 2, 3, 4 */
	static const uint8_t	pkcs1[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d,
	    0x01, 0x01 };		/* before 11, 12, 13, and 10: PSS */
	static const uint8_t	null[] = { DER_NULL, 0 };
	struct der		oid;
	uint8_t			arc;

	if (!der_next(&algorithm, DER_OID, &oid, NULL) || oid.left == 0)
		return false;
	arc = oid.p[oid.left - 1];
	if (!is_rsa(c)) {
		if (oid.left != sizeof(ecdsa) + 1 ||
		    memcmp(oid.p, ecdsa, sizeof(ecdsa)) != 0 || arc < 2 ||
		    arc > 4 || algorithm.left > 0)
			return false;
		c->digest = (enum csr_digest)(CSR_SHA256 + arc - 2);
		return true;
	}
	if (oid.left != sizeof(pkcs1) + 1 ||
	    memcmp(oid.p, pkcs1, sizeof(pkcs1)) != 0)
		return false;
	if (arc == 10)
		return read_pss(&algorithm, c);
	if (arc < 11 || arc > 13 ||
	    !der_equals(&algorithm, null, sizeof(null)))
		return false;
	c->digest = (enum csr_digest)(CSR_SHA256 + arc - 11);
	return true;
}

/* ---- all of it ------------------------------------------------------------- */

int
csr_parse(const uint8_t *der, size_t len, struct csr *c, struct refusal *why)
{
	struct pkcs10	 q;
	const char	*bad;

	*c = (struct csr){ .der = { der, len } };
	if (len > CSR_DER_MAX)
		return refuse(why, R_ENR_CSR, "request", "at most 16384 bytes",
		    "more");
	if ((bad = pkcs10_read(der, len, &q)) != NULL)
		return refuse(why, R_ENR_CSR, "request", bad,
		    "something else");
	c->info = (struct bytes){ q.info.p, q.info.left };
	c->spki = (struct bytes){ q.spki.p, q.spki.left };
	c->signature = (struct bytes){ q.sig.p, q.sig.left };
	if ((bad = read_name(q.name, c)) != NULL)
		return refuse(why, R_ENR_CSR_NAME, "subject",
		    "one common name of 1 to 64 bytes", bad);
	if (read_key(&q.spki, q.spki_body, c, why) == -1)
		return -1;
	if (!read_algorithm(q.algorithm, c))
		return refuse(why, R_ENR_CSR_SIGNATURE, "signatureAlgorithm",
		    "ECDSA, RSA or RSASSA-PSS of the key, with SHA-2",
		    "another algorithm");
	return read_attributes(q.attributes, c, why);
}
