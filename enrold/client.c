/*
 * Whose certificate is it that a client shows? One that an issuing CA of ours
 * signed, or one below an accepted manufacturer's root. What it may do with
 * it is policyd's to say.
 *
 * This runs inside of a handshake, on a small stack. Times are compared here,
 * since OpenSSL's own take a time_t.
 */
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "enrold.h"
#include "x509time.h"

#define MAKER_DEPTH	4	/* certificates between a leaf and its root */

static int
refuse(struct refusal *why, enum reason reason, const char *field,
    const char *expected, const char *seen)
{
	refusal_set(why, reason, field, expected, seen);
	return -1;
}

/* ---- fields ---------------------------------------------------------------- */

/* The one value of this attribute as UTF-8; empty if it is not so. */
static void
subject_text(X509 *x, int nid, char *out, size_t size)
{
	X509_NAME	*name = X509_get_subject_name(x);
	int		 i = X509_NAME_get_index_by_NID(name, nid, -1), n;
	uint8_t		*utf8 = NULL;

	out[0] = '\0';
	if (i < 0 || X509_NAME_get_index_by_NID(name, nid, i) >= 0)
		return;
	n = ASN1_STRING_to_UTF8(&utf8,
	    X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, i)));
	if (n > 0 && (size_t)n < size && memchr(utf8, '\0', (size_t)n) == NULL) {
		memcpy(out, utf8, (size_t)n);
		out[n] = '\0';
	}
	OPENSSL_free(utf8);
}

static int
fields(X509 *leaf, struct client *c, struct refusal *why)
{
	const ASN1_INTEGER	*serial = X509_get0_serialNumber(leaf);
	const uint8_t		*p = ASN1_STRING_get0_data(serial);
	int			 n = ASN1_STRING_length(serial);
	uint8_t			*spki = NULL;
	int			 len;
	bool			 ok;

	if (n < 1 || (size_t)n > sizeof(c->serial) ||
	    ASN1_STRING_type(serial) == V_ASN1_NEG_INTEGER)
		return refuse(why, R_ENR_CLIENT, "serialNumber",
		    "1 to 20 bytes", "another form");
	c->serial_len = (size_t)n;
	memcpy(c->serial, p, c->serial_len);
	len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(leaf), &spki);
	ok = len > 0 && EVP_Q_digest(tls_lib(), "SHA256", TLS_PROPQ, spki,
	    (size_t)len, c->key, NULL) == 1;
	OPENSSL_free(spki);
	if (!ok)
		return refuse(why, R_ENR_CLIENT, "subjectPublicKeyInfo",
		    "a key", "none");
	subject_text(leaf, NID_commonName, c->name, sizeof(c->name));
	subject_text(leaf, NID_serialNumber, c->unit, sizeof(c->unit));
	return 0;
}

static int
in_time(const X509 *x, uint64_t now, struct refusal *why)
{
	char	until[32], seen[32];

	time_text(now, seen);
	if (now > x509_time(X509_get0_notAfter(x))) {
		time_text(x509_time(X509_get0_notAfter(x)), until);
		return refuse(why, R_CRT_CLIENT_EXPIRED, "notAfter", seen,
		    until);
	}
	if (now < x509_time(X509_get0_notBefore(x)))
		return refuse(why, R_ENR_CLIENT, "notBefore", "before now",
		    seen);
	return 0;
}

/*
 * A leaf that may speak for itself on a connection. Ours is a device's, whose
 * profile may have made it a server's.
 */
static int
usable(X509 *leaf, uint32_t purposes, bool must, struct refusal *why)
{
	uint32_t	flags = X509_get_extension_flags(leaf);

	if (flags & EXFLAG_INVALID || flags & EXFLAG_CA)
		return refuse(why, R_ENR_CLIENT, "basicConstraints",
		    "an end entity", "a CA");
	/* UINT32_MAX where there is no such extension. */
	if (!(X509_get_key_usage(leaf) & KU_DIGITAL_SIGNATURE))
		return refuse(why, R_ENR_CLIENT, "keyUsage",
		    "digitalSignature", "none");
	if ((must || flags & EXFLAG_XKUSAGE) &&
	    !(X509_get_extended_key_usage(leaf) & purposes))
		return refuse(why, R_ENR_CLIENT, "extKeyUsage",
		    "a device's", "another");
	return 0;
}

/* ---- ours ------------------------------------------------------------------- */

static const struct authority *
issued_by(X509 *leaf)
{
	const struct authority	*a;
	unsigned		 i;
	EVP_PKEY		*key;

	for (i = 0; i < ENROL_CAS; i++) {
		if ((a = settings_ca(i)) == NULL ||
		    X509_check_issued(a->issuing, leaf) != X509_V_OK)
			continue;
		key = X509_get0_pubkey(a->issuing);
		if (key != NULL && X509_verify(leaf, key) == 1)
			return a;
	}
	ERR_clear_error();
	return NULL;
}

/* ---- a manufacturer's --------------------------------------------------------- */

static STACK_OF(X509) *
maker_roots(void)
{
	const struct maker	*m = settings_makers();
	STACK_OF(X509)		*roots = sk_X509_new_null();
	size_t			 i;

	for (i = 0; roots != NULL && i < MAKERS_MAX; i++)
		if (m[i].root != NULL && !sk_X509_push(roots, m[i].root))
			break;
	return roots;
}

static int
chain_times(STACK_OF(X509) *chain, uint64_t now, struct refusal *why)
{
	int	i;

	/* The root's own window matters to nobody: it was accepted. */
	for (i = 0; i + 1 < sk_X509_num(chain) || i == 0; i++)
		if (in_time(sk_X509_value(chain, i), now, why) == -1)
			return -1;
	return 0;
}

static int
maker_of(X509_STORE_CTX *ctx, struct client *c, struct refusal *why)
{
	const struct maker	*m = settings_makers();
	STACK_OF(X509)		*chain = X509_STORE_CTX_get0_chain(ctx);
	X509			*root;
	size_t			 i;

	root = sk_X509_value(chain, sk_X509_num(chain) - 1);
	for (i = 0; i < MAKERS_MAX; i++)
		if (m[i].root != NULL && X509_cmp(m[i].root, root) == 0) {
			memcpy(c->root, m[i].sha256, sizeof(c->root));
			return 0;
		}
	return refuse(why, R_ENR_CLIENT, "issuer", "an accepted root",
	    "another");
}

static int
below_maker(X509 *leaf, STACK_OF(X509) *untrusted, uint64_t now,
    struct client *c, struct refusal *why)
{
	X509_STORE_CTX	*ctx = X509_STORE_CTX_new_ex(tls_lib(), TLS_PROPQ);
	STACK_OF(X509)	*roots = maker_roots();
	int		 e, r = -1;

	if (ctx == NULL || roots == NULL ||
	    !X509_STORE_CTX_init(ctx, NULL, leaf, untrusted)) {
		refuse(why, R_ENR_BUSY, "memory", NULL, NULL);
		goto out;
	}
	X509_STORE_CTX_set0_trusted_stack(ctx, roots);
	X509_STORE_CTX_set_depth(ctx, MAKER_DEPTH);
	X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_NO_CHECK_TIME);
	if (X509_verify_cert(ctx) != 1) {
		e = X509_STORE_CTX_get_error(ctx);
		refuse(why, R_ENR_CLIENT, "issuer",
		    "a CA of this service or an accepted manufacturer",
		    X509_verify_cert_error_string(e));
		goto out;
	}
	if (chain_times(X509_STORE_CTX_get0_chain(ctx), now, why) == 0 &&
	    usable(leaf, XKU_SSL_CLIENT | XKU_ANYEKU, false, why) == 0)
		r = maker_of(ctx, c, why);
 out:
	X509_STORE_CTX_free(ctx);
	sk_X509_free(roots);
	ERR_clear_error();
	return r;
}

int
client_verify(X509 *leaf, STACK_OF(X509) *chain, uint64_t now,
    struct client *c, struct refusal *why)
{
	memset(c, 0, sizeof(*c));
	if (issued_by(leaf) != NULL) {
		if (usable(leaf, XKU_SSL_CLIENT | XKU_SSL_SERVER, true,
		    why) == -1 || in_time(leaf, now, why) == -1)
			return -1;
		c->kind = CLIENT_OURS;
	} else {
		if (below_maker(leaf, chain, now, c, why) == -1)
			return -1;
		c->kind = CLIENT_MAKER;
	}
	if (fields(leaf, c, why) == 0)
		return 0;
	c->kind = CLIENT_NONE;
	return -1;
}
