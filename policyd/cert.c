/*
 * Certificates of this node: what keyd issued, and the manufacturer's chain
 * that an operator installs. Nothing here was on a network.
 */
#include <sys/random.h>

#include <inttypes.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "hex.h"
#include "policyd.h"
#include "spki.h"
#include "x509time.h"

/* s: a chain issued just now, by a clock a little ahead, is no error. */
#define CLOCK_SKEW	300
#define PEM_LINE	48	/* bytes of DER in a line of 64 characters */

int
cert_node_id(const uint8_t *point, size_t len, char id[NODE_ID_LEN + 1])
{
	uint8_t	der[SPKI_MAX], hash[HASH_LEN];
	size_t	n;

	id[0] = '\0';
	if ((n = spki_der(point, len, der)) == 0 ||
	    EVP_Q_digest(NULL, "SHA256", NULL, der, n, hash, NULL) != 1)
		return -1;
	hex(hash, NODE_ID_LEN / 2, id);
	return 0;
}

/* ---- reading ---- */

static X509 *
cert_parse(const uint8_t *der, size_t len)
{
	const uint8_t	*p = der;
	X509		*x;

	if (len > SLOT_MAX || (x = d2i_X509(NULL, &p, (long)len)) == NULL) {
		ERR_clear_error();
		return NULL;
	}
	if (p != der + len) {
		X509_free(x);
		return NULL;
	}
	return x;
}

void
cert_name(const X509_NAME *name, char *buf, size_t size)
{
	char	*text;
	BIO	*bio;
	long	 n;

	if ((bio = BIO_new(BIO_s_mem())) == NULL ||
	    X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) < 0 ||
	    BIO_write(bio, "", 1) != 1)
		fatalx("cert: out of memory");
	n = BIO_get_mem_data(bio, &text);
	text_set(buf, size, n > 0 ? text : "");
	BIO_free(bio);
}

static size_t
cert_point(const X509 *x, uint8_t point[97])
{
	const ASN1_BIT_STRING	*b = X509_get0_pubkey_bitstr(x);
	const uint8_t		*p = ASN1_STRING_get0_data(b);
	int			 n = ASN1_STRING_length(b);

	if ((n != 65 && n != 97) || p[0] != 4)
		return 0;
	memcpy(point, p, (size_t)n);
	return (size_t)n;
}

static void
cert_fill(X509 *x, struct cert_info *info)
{
	const ASN1_INTEGER	*s = X509_get0_serialNumber(x);
	int			 n = ASN1_STRING_length(s);

	memset(info, 0, sizeof(*info));
	if (n > 0 && n <= (int)sizeof(info->serial)) {
		memcpy(info->serial, ASN1_STRING_get0_data(s), (size_t)n);
		info->seriallen = (size_t)n;
	}
	info->not_before = x509_time(X509_get0_notBefore(x));
	info->not_after = x509_time(X509_get0_notAfter(x));
	info->pointlen = cert_point(x, info->point);
	cert_name(X509_get_subject_name(x), info->subject,
	    sizeof(info->subject));
	cert_name(X509_get_issuer_name(x), info->issuer, sizeof(info->issuer));
}

int
cert_read(const uint8_t *der, size_t len, struct cert_info *info)
{
	X509	*x;

	if ((x = cert_parse(der, len)) == NULL)
		return -1;
	cert_fill(x, info);
	X509_free(x);
	return 0;
}

bool
cert_next(const uint8_t **p, size_t *left, const uint8_t **der, size_t *len)
{
	const uint8_t	*q = *p;
	size_t		 n;

	/* SEQUENCE with a length of one to two bytes (X.690, 8.1.3) */
	if (*left < 4 || q[0] != 0x30)
		return false;
	if (q[1] < 0x80)
		n = 2u + q[1];
	else if (q[1] == 0x81)
		n = 3u + q[2];
	else if (q[1] == 0x82)
		n = 4u + ((size_t)q[2] << 8 | q[3]);
	else
		return false;
	if (n > *left)
		return false;
	*der = q;
	*len = n;
	*p += n;
	*left -= n;
	return true;
}

/* ---- what keyd issued ---- */

static bool
cert_signed_by(X509 *x, const uint8_t *ca, size_t calen)
{
	const uint8_t	*p;
	uint8_t		 der[SPKI_MAX];
	EVP_PKEY	*key;
	size_t		 n;
	bool		 ok;

	p = der;
	if ((n = spki_der(ca, calen, der)) == 0 ||
	    (key = d2i_PUBKEY(NULL, &p, (long)n)) == NULL)
		return false;
	ok = X509_verify(x, key) == 1;
	ERR_clear_error();
	EVP_PKEY_free(key);
	return ok;
}

static bool
cert_names(const X509 *x, const char *node, const char *component)
{
	const GENERAL_NAME	*n;
	GENERAL_NAMES		*names;
	char			 uri[128];
	const ASN1_IA5STRING	*s;
	bool			 ok = false;

	if (component == NULL)
		snprintf(uri, sizeof(uri), "urn:provd:node:%s", node);
	else
		snprintf(uri, sizeof(uri), "urn:provd:component:%s:%s", node,
		    component);
	names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	if (names != NULL && sk_GENERAL_NAME_num(names) == 1) {
		n = sk_GENERAL_NAME_value(names, 0);
		s = n->d.uniformResourceIdentifier;
		ok = n->type == GEN_URI &&
		    (size_t)ASN1_STRING_length(s) == strlen(uri) &&
		    memcmp(ASN1_STRING_get0_data(s), uri, strlen(uri)) == 0;
	}
	GENERAL_NAMES_free(names);
	return ok;
}

static const char *
cert_differs(X509 *x, const struct cert_want *want)
{
	struct cert_info	info;

	cert_fill(x, &info);
	if (info.seriallen != 16 || memcmp(info.serial, want->serial, 16) != 0)
		return "serial";
	if (info.pointlen == 0 || info.pointlen != want->pointlen ||
	    memcmp(info.point, want->point, want->pointlen) != 0)
		return "public key";
	if (info.not_before != want->not_before)
		return "notBefore";
	if (info.not_after != want->not_after)
		return "notAfter";
	if (!cert_signed_by(x, want->ca, want->calen))
		return "signature";
	if (want->node != NULL && !cert_names(x, want->node, want->component))
		return "subjectAltName";
	return NULL;
}

enum reason
cert_check(const uint8_t *der, size_t len, const struct cert_want *want,
    struct why *why)
{
	const char	*field;
	X509		*x;

	if ((x = cert_parse(der, len)) == NULL)
		return why_set(why, R_KEY_IDENTITY_CERT, "certificate", "DER",
		    NULL);
	field = cert_differs(x, want);
	X509_free(x);
	if (field != NULL)
		return why_set(why, R_KEY_IDENTITY_CERT, field, NULL, NULL);
	return why_set(why, R_OK, NULL, NULL, NULL);
}

/* ---- the manufacturer's chain ---- */

struct chain {
	struct cert_pem	 pem;
	X509		*order[CERT_PEM_MAX];	/* leaf first; borrowed */
	unsigned	 len;
};

static enum reason
pem_add(struct cert_pem *c, const char *name, const uint8_t *der, long len,
    struct why *why)
{
	if (strcmp(name, "CERTIFICATE") != 0)
		return why_set(why, R_KEY_CHAIN_PEM, "PEM label",
		    "CERTIFICATE", name);
	if (c->n == CERT_PEM_MAX)
		return why_set(why, R_KEY_CHAIN_SIZE, "certificates", "8",
		    "more");
	if ((c->certs[c->n] = cert_parse(der, (size_t)len)) == NULL)
		return why_set(why, R_KEY_CHAIN_PEM, "certificate", "DER",
		    NULL);
	c->n++;
	return R_OK;
}

enum reason
cert_pem_read(struct cert_pem *c, const void *pem, size_t len, struct why *why)
{
	enum reason	 r = R_OK;
	uint8_t		*der;
	char		*name, *header;
	long		 n;
	BIO		*bio;

	if ((bio = BIO_new_mem_buf(pem, (int)len)) == NULL)
		fatalx("cert: out of memory");
	while (r == R_OK && PEM_read_bio(bio, &name, &header, &der, &n) == 1) {
		r = pem_add(c, name, der, n, why);
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_clear_free(der, (size_t)n);	/* it may be a key */
	}
	if (r == R_OK && ERR_GET_REASON(ERR_peek_last_error()) !=
	    PEM_R_NO_START_LINE)
		r = why_set(why, R_KEY_CHAIN_PEM, "PEM", NULL, NULL);
	ERR_clear_error();
	BIO_free(bio);
	if (r == R_OK && c->n == 0)
		r = why_set(why, R_KEY_CHAIN_PEM, "certificates", "1 or more",
		    "0");
	return r;
}

void
cert_pem_free(struct cert_pem *c)
{
	while (c->n > 0)
		X509_free(c->certs[--c->n]);
}

static enum reason
chain_leaf(struct chain *c, const uint8_t *point, size_t len, struct why *why)
{
	uint8_t		 p[97];
	char		 want[NODE_ID_LEN + 1], seen[NODE_ID_LEN + 1] = "";
	unsigned	 i;

	for (i = 0; i < c->pem.n; i++) {
		if (cert_point(c->pem.certs[i], p) == len &&
		    memcmp(p, point, len) == 0) {
			c->order[c->len++] = c->pem.certs[i];
			return R_OK;
		}
	}
	(void)cert_node_id(point, len, want);
	if ((len = cert_point(c->pem.certs[0], p)) > 0)
		(void)cert_node_id(p, len, seen);
	return why_set(why, R_KEY_CHAIN_LEAF, "node id of the leaf's key",
	    want, seen);
}

static bool
chain_uses(const struct chain *c, const X509 *x)
{
	unsigned	i;

	for (i = 0; i < c->len; i++)
		if (c->order[i] == x)
			return true;
	return false;
}

/* From the leaf to the self-signed root, using every certificate once. */
static enum reason
chain_order(struct chain *c, struct why *why)
{
	char		 name[160], left[160];
	unsigned	 i;
	X509		*x;

	for (;;) {
		x = c->order[c->len - 1];
		if (X509_check_issued(x, x) == X509_V_OK)
			break;
		for (i = 0; i < c->pem.n; i++)
			if (!chain_uses(c, c->pem.certs[i]) &&
			    X509_check_issued(c->pem.certs[i], x) == X509_V_OK)
				break;
		if (i == c->pem.n) {
			cert_name(X509_get_issuer_name(x), name, sizeof(name));
			return why_set(why, R_KEY_CHAIN_GAP, "issuer", name,
			    "not in the file");
		}
		c->order[c->len++] = c->pem.certs[i];
	}
	for (i = 0; i < c->pem.n; i++) {
		if (chain_uses(c, c->pem.certs[i]))
			continue;
		cert_name(X509_get_subject_name(c->pem.certs[i]), left,
		    sizeof(left));
		return why_set(why, R_KEY_CHAIN_GAP, "certificate",
		    "one of the chain", left);
	}
	return R_OK;
}

/* What every attestd -Q looks at, so that the operator hears it here first. */
static enum reason
chain_leaf_form(X509 *leaf, struct why *why)
{
	if (X509_check_ca(leaf) != 0)
		return why_set(why, R_KEY_CHAIN_VERIFY, "basicConstraints",
		    "no CA", "CA");
	if ((X509_get_key_usage(leaf) & KU_DIGITAL_SIGNATURE) == 0)
		return why_set(why, R_KEY_CHAIN_VERIFY, "keyUsage",
		    "digitalSignature", "without it");
	return R_OK;
}

static enum reason
chain_error(X509_STORE_CTX *ctx, struct why *why)
{
	int	 e = X509_STORE_CTX_get_error(ctx);
	X509	*x = X509_STORE_CTX_get_current_cert(ctx);
	char	 name[65] = "";

	if (x != NULL)
		cert_name(X509_get_subject_name(x), name, sizeof(name));
	return why_set(why, R_KEY_CHAIN_VERIFY, name, "ok",
	    X509_verify_cert_error_string(e));
}

/* The first from the root on that is not valid now. */
static enum reason
chain_window(const struct chain *c, uint64_t now, struct why *why)
{
	char		 name[65];
	const X509	*x;
	bool		 early;
	unsigned	 i;

	for (i = c->len; i-- > 0;) {
		x = c->order[i];
		early = now < x509_time(X509_get0_notBefore(x));
		if (!early && now <= x509_time(X509_get0_notAfter(x)))
			continue;
		cert_name(X509_get_subject_name(x), name, sizeof(name));
		return why_set(why, R_KEY_CHAIN_WINDOW, name, "ok",
		    X509_verify_cert_error_string(early ?
		    X509_V_ERR_CERT_NOT_YET_VALID :
		    X509_V_ERR_CERT_HAS_EXPIRED));
	}
	return R_OK;
}

static enum reason
chain_verify(struct chain *c, uint64_t now, struct why *why)
{
	X509_VERIFY_PARAM	*param;
	X509_STORE_CTX		*ctx;
	X509_STORE		*store;
	STACK_OF(X509)		*others;
	enum reason		 r = R_OK;
	unsigned		 i;

	store = X509_STORE_new();
	ctx = X509_STORE_CTX_new();
	others = sk_X509_new_null();
	if (store == NULL || ctx == NULL || others == NULL ||
	    X509_STORE_add_cert(store, c->order[c->len - 1]) != 1)
		fatalx("cert: out of memory");
	for (i = 1; i + 1 < c->len; i++)
		if (sk_X509_push(others, c->order[i]) == 0)
			fatalx("cert: out of memory");
	if (X509_STORE_CTX_init(ctx, store, c->order[0], others) != 1)
		fatalx("cert: out of memory");
	param = X509_STORE_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_CHECK_SS_SIGNATURE);
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_NO_CHECK_TIME);
	if (X509_verify_cert(ctx) != 1)
		r = chain_error(ctx, why);
	else if (now != 0)
		r = chain_window(c, now + CLOCK_SKEW, why);
	ERR_clear_error();
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	sk_X509_free(others);
	return r;
}

static enum reason
chain_write(const struct chain *c, uint8_t *out, size_t *outlen,
    struct why *why)
{
	uint8_t		*p = out;
	unsigned	 i;
	int		 n;

	*outlen = 0;
	for (i = c->len; i-- > 0;) {
		n = i2d_X509(c->order[i], NULL);
		if (n < 0 || *outlen + (size_t)n > SLOT_MAX)
			return why_set(why, R_KEY_CHAIN_SIZE, "bytes",
			    "16384", "more");
		(void)i2d_X509(c->order[i], &p);
		*outlen += (size_t)n;
	}
	return R_OK;
}

enum reason
cert_chain(const void *pem, size_t pemlen, const uint8_t *point,
    size_t pointlen, uint64_t now, uint8_t *out, size_t *outlen,
    struct why *why)
{
	struct chain	 c = { 0 };
	enum reason	 r;

	why_set(why, R_OK, NULL, NULL, NULL);
	if ((r = cert_pem_read(&c.pem, pem, pemlen, why)) == R_OK &&
	    (r = chain_leaf(&c, point, pointlen, why)) == R_OK &&
	    (r = chain_order(&c, why)) == R_OK &&
	    (r = chain_leaf_form(c.order[0], why)) == R_OK &&
	    (r = chain_verify(&c, now, why)) == R_OK)
		r = chain_write(&c, out, outlen, why);
	cert_pem_free(&c.pem);
	return r;
}

/* ---- for all who issue and show ---- */

void
serial_draw(uint8_t serial[16])
{
	if (getrandom(serial, 16, 0) != 16)
		fatal("getrandom");
	serial[0] = (serial[0] & 0x3f) | 0x40;
}

size_t
pem_text(char *buf, size_t size, const char *label, const uint8_t *der,
    size_t len)
{
	size_t	n, at;
	int	end;

	at = (size_t)snprintf(buf, size, "-----BEGIN %s-----\n", label);
	while (len > 0) {
		if (at + 128 > size)
			return 0;
		n = len < PEM_LINE ? len : PEM_LINE;
		at += (size_t)EVP_EncodeBlock((unsigned char *)buf + at, der,
		    (int)n);
		buf[at++] = '\n';
		der += n;
		len -= n;
	}
	end = snprintf(buf + at, size - at, "-----END %s-----\n", label);
	return end < 0 || (size_t)end >= size - at ? 0 : at + (size_t)end;
}
