/*
 * EST (RFC 7030, as RFC 8951 clarifies it): paths, bodies, channel binding,
 * CSR attributes and keys made by the server.
 */
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "der_out.h"
#include "wire.h"

#define PREFIX		"/.well-known/est/"
#define LABEL_SIZE	33
#define PROPQ		"?provider=default"
/* No character of base64 is a hyphen: it cannot be in a part. */
#define BOUNDARY	"provd-est-part"

/* ---- requests -------------------------------------------------------------- */

int
est_path(const char *path, enum est_operation *operation,
    char label[LABEL_SIZE])
{
	static const char *const	names[EST_NOPERATIONS] = {
	    [EST_CACERTS] = "cacerts", [EST_ENROLL] = "simpleenroll",
	    [EST_REENROLL] = "simplereenroll", [EST_CSRATTRS] = "csrattrs",
	    [EST_KEYGEN] = "serverkeygen" };
	const char			*slash;
	size_t				 n;
	int				 i;

	label[0] = '\0';
	if (strncmp(path, PREFIX, strlen(PREFIX)) != 0)
		return -1;
	path += strlen(PREFIX);
	if ((slash = strchr(path, '/')) != NULL) {
		n = (size_t)(slash - path);
		if (n == 0 || n >= LABEL_SIZE ||
		    strspn(path, "abcdefghijklmnopqrstuvwxyz"
		    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != n)
			return -1;
		memcpy(label, path, n);
		label[n] = '\0';
		path = slash + 1;
	}
	for (i = 0; i < EST_NOPERATIONS; i++)
		if (strcmp(path, names[i]) == 0) {
			*operation = (enum est_operation)i;
			return 0;
		}
	return -1;
}

/* The type, whatever its parameters. */
static bool
is_type(const char *field, const char *type)
{
	size_t	n = strlen(type);

	return strncasecmp(field, type, n) == 0 &&
	    (field[n] == '\0' || strchr("; \t", field[n]) != NULL);
}

int
est_csr(const struct http_request *q, uint8_t *der, size_t size, size_t *len,
    struct refusal *why)
{
	if (!is_type(q->content_type, "application/pkcs10")) {
		refusal_set(why, R_ENR_TYPE, "Content-Type",
		    "application/pkcs10", q->content_type);
		return -1;
	}
	return base64_csr((const char *)q->body, q->body_len, der, size, len,
	    why);
}

int
est_binding(const struct csr *c, const uint8_t binding[32],
    struct refusal *why)
{
	char	text[45];

	if (c->password[0] == '\0')
		return 0;
	if (base64_encode(binding, 32, false, text, sizeof(text)) == 44 &&
	    strcmp(text, c->password) == 0)
		return 0;
	refusal_set(why, R_ENR_CSR_BINDING, "challengePassword",
	    "the tls-exporter value of this connection, in base64",
	    "another text");
	return -1;
}

/* ---- CSR attributes --------------------------------------------------------- */

#define OID_PKCS1(arc)	DER_OID, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, arc
#define OID_ECDSA(arc)	DER_OID, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, arc

/* Attribute ::= SEQUENCE { type, SET OF value }, of the values whose bit is
 * set; they are in the order of DER. */
static void
attribute(struct der_out *o, const uint8_t *type, size_t type_len,
    const struct bytes *value, size_t nvalues)
{
	size_t	end = o->at;

	while (nvalues-- > 0)
		der_out_raw(o, value[nvalues].p, value[nvalues].len);
	der_out_head(o, DER_SET, end);
	der_out_raw(o, type, type_len);
	der_out_head(o, DER_SEQUENCE, end);
}

/* What a key may be, and with which hash it signs the request. */
static const struct choice {
	enum subject_key key;
	uint8_t		 len, value[10];
} ec_choice[] = {
	{ SUBJECT_P384, 7, { DER_OID, 5, 0x2b, 0x81, 0x04, 0x00, 0x22 } },
	{ SUBJECT_P256, 10, { DER_OID, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03,
	    0x01, 0x07 } },
}, rsa_choice[] = {
	{ SUBJECT_RSA2048, 4, { DER_INTEGER, 2, 0x08, 0x00 } },
	{ SUBJECT_RSA3072, 4, { DER_INTEGER, 2, 0x0c, 0x00 } },
	{ SUBJECT_RSA4096, 4, { DER_INTEGER, 2, 0x10, 0x00 } },
};

static size_t
chosen(uint32_t keys, const struct choice *c, size_t n, struct bytes *out)
{
	size_t	i, have = 0;

	for (i = 0; i < n; i++)
		if (keys & 1U << c[i].key)
			out[have++] = (struct bytes){ c[i].value, c[i].len };
	return have;
}

int
est_csrattrs(uint32_t keys, uint8_t *out, size_t size, size_t *len)
{
	static const uint8_t	ec[] = { DER_OID, 7, 0x2a, 0x86, 0x48, 0xce,
	    0x3d, 2, 1 };
	static const uint8_t	rsa[] = { OID_PKCS1(1) };
	static const uint8_t	rsa_sha256[] = { OID_PKCS1(11) };
	static const uint8_t	ecdsa_sha256[] = { OID_ECDSA(2) };
	static const uint8_t	ecdsa_sha384[] = { OID_ECDSA(3) };
	struct der_out		o;
	struct bytes		value[3];
	size_t			n;

	der_out(&o, out, size);
	if ((n = chosen(keys, rsa_choice, 3, value)) > 0) {
		der_out_raw(&o, rsa_sha256, sizeof(rsa_sha256));
		attribute(&o, rsa, sizeof(rsa), value, n);
	}
	if ((n = chosen(keys, ec_choice, 2, value)) > 0) {
		if (keys & 1U << SUBJECT_P384)
			der_out_raw(&o, ecdsa_sha384, sizeof(ecdsa_sha384));
		if (keys & 1U << SUBJECT_P256)
			der_out_raw(&o, ecdsa_sha256, sizeof(ecdsa_sha256));
		attribute(&o, ec, sizeof(ec), value, n);
	}
	der_out_head(&o, DER_SEQUENCE, size);
	return der_out_end(&o, len);
}

/* ---- keys made here --------------------------------------------------------- */

static EVP_PKEY_CTX	*maker;		/* of P-256 keys: est_warm() */

void
est_cool(void)
{
	EVP_PKEY_CTX_free(maker);
	maker = NULL;
}

/* Both halves; the private one is the caller's to wipe. */
static int
make_key(uint8_t private[32], uint8_t point[65])
{
	EVP_PKEY	*key = NULL;
	BIGNUM		*bn = NULL;
	size_t		 n;
	int		 r = -1;

	if (maker == NULL || EVP_PKEY_generate(maker, &key) != 1 ||
	    EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &bn) != 1 ||
	    BN_bn2binpad(bn, private, 32) != 32 ||
	    EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY,
	    point, 65, &n) != 1 || n != 65 || point[0] != 4)
		goto out;
	r = 0;
 out:
	BN_clear_free(bn);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return r;
}

int
est_warm(OSSL_LIB_CTX *lib)
{
	uint8_t	private[32], point[65];
	int	r;

	est_cool();
	if ((maker = EVP_PKEY_CTX_new_from_name(lib, "EC", PROPQ)) == NULL ||
	    EVP_PKEY_keygen_init(maker) != 1 ||
	    EVP_PKEY_CTX_set_group_name(maker, "P-256") != 1)
		return -1;
	r = make_key(private, point);
	explicit_bzero(private, sizeof(private));
	return r;
}

int
est_keygen(struct csr *c, uint8_t *pkcs8, size_t size, size_t *len)
{
	/* PrivateKeyInfo (RFC 5208) of ECPrivateKey (RFC 5915) */
	static const uint8_t	head[] = { 0x30, 0x81, 0x87, 0x02, 0x01, 0x00,
	    0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
	    0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04,
	    0x6d, 0x30, 0x6b, 0x02, 0x01, 0x01, 0x04, 0x20 };
	static const uint8_t	middle[] = { 0xa1, 0x44, 0x03, 0x42, 0x00 };
	uint8_t			private[32], point[65];
	int			r = -1;

	*len = 0;
	if (size < sizeof(head) + 32 + sizeof(middle) + 65 ||
	    make_key(private, point) == -1)
		goto out;
	memcpy(pkcs8, head, sizeof(head));
	memcpy(pkcs8 + sizeof(head), private, 32);
	memcpy(pkcs8 + sizeof(head) + 32, middle, sizeof(middle));
	memcpy(pkcs8 + sizeof(head) + 32 + sizeof(middle), point, 65);
	*len = sizeof(head) + 32 + sizeof(middle) + 65;
	c->key_type = SUBJECT_P256;
	memcpy(c->public, point, 65);
	c->public_len = 65;
	c->exponent = 0;
	r = 0;
 out:
	explicit_bzero(private, sizeof(private));
	return r;
}

/* The head of a part, its bytes in base64; 0 if it does not fit. */
static size_t
part(const char *type, struct bytes b, char *out, size_t size)
{
	size_t	n;
	int	head;

	head = snprintf(out, size, "--" BOUNDARY "\r\nContent-Type: %s\r\n"
	    "Content-Transfer-Encoding: base64\r\n\r\n", type);
	if (head < 0 || (size_t)head >= size || (n = base64_encode(b.p, b.len,
	    true, out + head, size - (size_t)head)) == 0)
		return 0;
	return (size_t)head + n;
}

int
est_multipart(struct bytes pkcs8, struct bytes pkcs7, char *out, size_t size,
    size_t *len, char type[128])
{
	static const char	end[] = "--" BOUNDARY "--\r\n";
	size_t			n, m;

	if ((n = part("application/pkcs8", pkcs8, out, size)) == 0 ||
	    (m = part("application/pkcs7-mime; smime-type=certs-only", pkcs7,
	    out + n, size - n)) == 0 || size - n - m < sizeof(end)) {
		explicit_bzero(out, size);
		return -1;
	}
	memcpy(out + n + m, end, sizeof(end));
	*len = n + m + sizeof(end) - 1;
	snprintf(type, 128, "multipart/mixed; boundary=" BOUNDARY);
	return 0;
}
