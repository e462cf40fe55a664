/*
 * Whose certificate is it? A leaf names its node in one URI, and counts only
 * if that node's own CA issued it. No other CA can speak for a node.
 */
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tls.h"
#include "x509time.h"

#define URN		"urn:provd:node:"
#define NODE_DIGITS	40

static int
refuse(struct refusal *why, enum reason reason, const char *field,
    const char *expected, const char *seen)
{
	refusal_set(why, reason, field, expected, seen);
	return -1;
}

static bool
uri_node(const uint8_t *p, size_t len, char node[NODE_MAX])
{
	const size_t	skip = sizeof(URN) - 1;
	size_t		i;

	if (len != skip + NODE_DIGITS || memcmp(p, URN, skip) != 0)
		return false;
	for (i = 0; i < NODE_DIGITS; i++) {
		node[i] = (char)p[skip + i];
		if (!(node[i] >= '0' && node[i] <= '9') &&
		    !(node[i] >= 'a' && node[i] <= 'f'))
			return false;
	}
	node[NODE_DIGITS] = '\0';
	return true;
}

int
verify_identity(X509 *leaf, char node[NODE_MAX], struct refusal *why)
{
	static const char	 form[] = URN "<40 hex digits>";
	const ASN1_IA5STRING	*uri = NULL;
	GENERAL_NAMES		*names;
	char			 seen[80];
	int			 crit, i, n = 0, r;

	names = X509_get_ext_d2i(leaf, NID_subject_alt_name, &crit, NULL);
	if (names == NULL && crit == -2)
		return refuse(why, R_TLS_TWO_IDENTITIES, "subjectAltName",
		    "one extension", "several");
	for (i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);

		if (g->type == GEN_URI) {
			uri = g->d.uniformResourceIdentifier;
			n++;
		}
	}
	if (n == 0)
		r = refuse(why, R_TLS_NO_IDENTITY, "subjectAltName", form,
		    "no URI");
	else if (n > 1) {
		snprintf(seen, sizeof(seen), "%d URIs", n);
		r = refuse(why, R_TLS_TWO_IDENTITIES, "subjectAltName",
		    "one URI", seen);
	} else if (!uri_node(ASN1_STRING_get0_data(uri),
	    (size_t)ASN1_STRING_length(uri), node)) {
		refusal_text(seen, sizeof(seen), ASN1_STRING_get0_data(uri),
		    (size_t)ASN1_STRING_length(uri));
		r = refuse(why, R_TLS_BAD_IDENTITY, "subjectAltName", form,
		    seen);
	} else
		r = 0;
	GENERAL_NAMES_free(names);
	return r;
}

/* Does the leaf claim to be issued by this CA? */
static bool
claims_issuer(X509 *leaf, X509 *anchor)
{
	const ASN1_OCTET_STRING	*aki = X509_get0_authority_key_id(leaf);
	const ASN1_OCTET_STRING	*ski = X509_get0_subject_key_id(anchor);

	return X509_NAME_cmp(X509_get_issuer_name(leaf),
	    X509_get_subject_name(anchor)) == 0 &&
	    (aki == NULL || ski == NULL ||
	    ASN1_OCTET_STRING_cmp(aki, ski) == 0);
}

bool
verify_issued(X509 *leaf, X509 *anchor)
{
	EVP_PKEY *key = X509_get0_pubkey(anchor);

	/* The claim first: a signature costs a thousand times more. */
	return claims_issuer(leaf, anchor) && key != NULL &&
	    X509_verify(leaf, key) == 1;
}

bool
verify_anchor(X509 *x)
{
	return X509_check_ca(x) == 1 &&
	    X509_get_extension_flags(x) & EXFLAG_SS &&
	    X509_get0_pubkey(x) != NULL;
}

/* "2026-11-26T14:00:00Z", or "?" */
static void
time_text(int64_t t, char *out, size_t size)
{
	time_t		s = (time_t)t;
	struct tm	tm;

	if (gmtime_r(&s, &tm) == NULL ||
	    strftime(out, size, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		snprintf(out, size, "?");
}

static int
refuse_window(struct refusal *why, enum reason reason, const char *field,
    int64_t bound, int64_t now)
{
	char		 bound_text[80], now_text[80];
	char		 expected[64], at[192];

	time_text(bound, bound_text, sizeof(bound_text));
	time_text(now, now_text, sizeof(now_text));
	snprintf(expected, sizeof(expected), "%s its clock",
	    reason == R_TLS_EXPIRED ? "after" : "before");
	snprintf(at, sizeof(at), "%s, its clock %s", bound_text, now_text);
	return refuse(why, reason, field, expected, at);
}

static int
refuse_anchor(struct refusal *why, X509 *leaf, const char *what)
{
	char name[120], seen[161];

	X509_NAME_oneline(X509_get_issuer_name(leaf), name, sizeof(name));
	snprintf(seen, sizeof(seen), "%s, %s", name, what);
	return refuse(why, R_TLS_WRONG_ANCHOR, "issuer",
	    "the CA of the peer's attestation", seen);
}

/*
 * The leaf's window only: a CA that was accepted once does not lose that by
 * time, as a clock that was wrong when it was made must not end a pair.
 */
int
verify_window(const X509 *leaf, int64_t now, struct refusal *why)
{
	int64_t	from = (int64_t)x509_time(X509_get0_notBefore(leaf));
	int64_t	to = (int64_t)x509_time(X509_get0_notAfter(leaf));

	if (now > to)
		return refuse_window(why, R_TLS_EXPIRED, "notAfter", to, now);
	if (now < from)
		return refuse_window(why, R_TLS_NOT_YET_VALID, "notBefore",
		    from, now);
	return 0;
}

static int
verify_error(X509_STORE_CTX *ctx, X509 *leaf, struct refusal *why)
{
	int e = X509_STORE_CTX_get_error(ctx);

	switch (e) {
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
		return refuse_anchor(why, leaf, "another key");
	case X509_V_ERR_INVALID_PURPOSE:
		return refuse(why, R_TLS_PURPOSE, "extendedKeyUsage", NULL,
		    X509_verify_cert_error_string(e));
	default:
		return refuse(why, R_TLS_CERTIFICATE,
		    X509_STORE_CTX_get_error_depth(ctx) > 0 ? "issuer" :
		    "certificate", "RFC 5280",
		    X509_verify_cert_error_string(e));
	}
}

/* X509_verify_cert() with this anchor and nothing else. */
static int
verify_chain(X509 *leaf, X509 *anchor, bool server, int64_t now,
    struct refusal *why)
{
	X509_STORE_CTX		*ctx;
	X509_VERIFY_PARAM	*param;
	STACK_OF(X509)		*trusted = sk_X509_new_null();
	int			 r = -1;

	ctx = X509_STORE_CTX_new_ex(tls_lib(), "?provider=default");
	if (ctx == NULL || trusted == NULL || !sk_X509_push(trusted, anchor) ||
	    !X509_STORE_CTX_init(ctx, NULL, leaf, NULL)) {
		refuse(why, R_TLS_CERTIFICATE, NULL, NULL, "no memory");
		goto out;
	}
	X509_STORE_CTX_set0_trusted_stack(ctx, trusted);
	param = X509_STORE_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT |
	    X509_V_FLAG_NO_CHECK_TIME);
	/* The leaf and its CA; nobody stands between them. */
	X509_VERIFY_PARAM_set_depth(param, 0);
	X509_VERIFY_PARAM_set_purpose(param,
	    server ? X509_PURPOSE_SSL_SERVER : X509_PURPOSE_SSL_CLIENT);
	if (X509_verify_cert(ctx) != 1)
		verify_error(ctx, leaf, why);
	else if (now == 0 || verify_window(leaf, now, why) == 0)
		r = 0;
 out:
	X509_STORE_CTX_free(ctx);
	sk_X509_free(trusted);
	return r;
}

/* What X509_verify_cert() lets pass when an extension is not there at all. */
static int
verify_form(X509 *leaf, bool server, struct refusal *why)
{
	uint32_t	flags = X509_get_extension_flags(leaf);
	uint32_t	want = server ? XKU_SSL_SERVER : XKU_SSL_CLIENT;

	if (flags & EXFLAG_INVALID)
		return refuse(why, R_TLS_CERTIFICATE, "extensions", "RFC 5280",
		    "malformed");
	if (flags & (EXFLAG_CA | EXFLAG_SS) || X509_check_ca(leaf) != 0)
		return refuse(why, R_TLS_LEAF_CA, "basicConstraints",
		    "not a CA", flags & EXFLAG_SS ? "self-signed" : "a CA");
	if (!(flags & EXFLAG_KUSAGE) ||
	    !(X509_get_key_usage(leaf) & KU_DIGITAL_SIGNATURE))
		return refuse(why, R_TLS_KEY_USAGE, "keyUsage",
		    "digitalSignature", flags & EXFLAG_KUSAGE ? "others" :
		    "none");
	if (!(flags & EXFLAG_XKUSAGE) ||
	    !(X509_get_extended_key_usage(leaf) & want))
		return refuse(why, R_TLS_PURPOSE, "extendedKeyUsage",
		    server ? "serverAuth" : "clientAuth",
		    flags & EXFLAG_XKUSAGE ? "others" : "none");
	return 0;
}

int
verify_leaf(X509 *leaf, X509 *const *anchors, size_t nanchors, bool server,
    int64_t now, struct refusal *why)
{
	size_t i;

	if (verify_form(leaf, server, why) == -1)
		return -1;
	for (i = 0; i < nanchors; i++) {
		if (!claims_issuer(leaf, anchors[i]))
			continue;
		if (verify_chain(leaf, anchors[i], server, now, why) == 0)
			return 0;
		if (why->reason != R_TLS_WRONG_ANCHOR)
			return -1;
	}
	return refuse_anchor(why, leaf, "another CA");
}
