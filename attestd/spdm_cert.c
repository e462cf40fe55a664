/*
 * What a slot holds: Length, root hash, certificates (DSP0274, 10.6), and
 * what must be true of them. Nothing is trusted here: which root counts is
 * policyd's verdict, by the SHA-256 that is reported.
 */
#include <stdio.h>
#include <string.h>

#include <openssl/x509v3.h>

#include "hex.h"
#include "spdm.h"
#include "spki.h"
#include "x509time.h"

#define OID_EKU_RESPONDER	"1.3.6.1.4.1.412.274.3"
#define OID_EKU_REQUESTER	"1.3.6.1.4.1.412.274.4"
#define AUTH_LEVEL		2	/* 112 bits: no SHA-1, no RSA-1024 */

/* For a reason; valid until the next call, as there is one thread. */
static const char *
where(const struct spdm_chain_rules *r, size_t i)
{
	static char	s[48];

	snprintf(s, sizeof(s), "slot %u certificate %zu", r->slot, i);
	return s;
}

static void
window(struct spdm_chain *c, const X509 *x)
{
	uint64_t	from = x509_time(X509_get0_notBefore(x));
	uint64_t	to = x509_time(X509_get0_notAfter(x));

	if (from > c->not_before)
		c->not_before = from;
	if (to < c->not_after)
		c->not_after = to;
}

/* NULL if it is none; *end is where it ended. */
X509 *
spdm_x509(const uint8_t *p, size_t n, const uint8_t **end)
{
	X509	*x = X509_new_ex(spdm_lib(), NULL);

	*end = p;
	if (x != NULL && d2i_X509(&x, end, (long)n) == NULL) {
		X509_free(x);
		x = NULL;
	}
	return x;
}

/* Cut the DERs apart and parse each, once. */
static int
parse(const uint8_t *p, size_t left, const struct spdm_chain_rules *r,
    struct spdm_chain *c, struct spdm_why *w)
{
	const uint8_t	*der;
	size_t		 n;
	X509		*x;

	while (left > 0) {
		if (c->n == SPDM_CERTS_MAX)
			return spdm_fail(w, R_ATT_CHAIN_FORM,
			    where(r, c->n), "at most 8 certificates", "more");
		if ((n = der_len(p, left)) == 0 || !der_strict(p, n))
			return spdm_fail(w, R_ATT_CHAIN_FORM,
			    where(r, c->n), "one certificate in strict DER",
			    "%zu bytes that are not", left);
		x = spdm_x509(p, n, &der);
		c->cert[c->n] = x;
		c->der[c->n] = p;
		c->der_len[c->n] = n;
		if (x == NULL || der != p + n ||
		    X509_get_version(x) != X509_VERSION_3)
			return spdm_fail(w, R_ATT_CHAIN_FORM,
			    where(r, c->n++), "an X.509 v3 certificate",
			    "something else");
		if (ASN1_TIME_check(X509_get0_notBefore(x)) != 1 ||
		    ASN1_TIME_check(X509_get0_notAfter(x)) != 1)
			return spdm_fail(w, R_ATT_CHAIN_FORM,
			    where(r, c->n++), "a validity window", "none");
		window(c, x);
		c->n++;
		p += n;
		left -= n;
	}
	if (c->n < 1)
		return spdm_fail(w, R_ATT_CHAIN_FORM, where(r, 0),
		    "a certificate", "none");
	return 0;
}

/*
 * The root: the first certificate if the root hash is its hash, else an
 * accepted root that has this hash.
 */
static X509 *
find_root(const uint8_t *root_hash, const struct spdm_chain_rules *r,
    struct spdm_chain *c, struct spdm_why *w)
{
	uint8_t		 h[SPDM_HASH_MAX];
	char		 want[2 * SPDM_HASH_MAX + 1];
	char		 got[2 * SPDM_HASH_MAX + 1];
	size_t		 i, n = r->alg->hash_len;
	const uint8_t	*rh;
	X509		*x = c->cert[0];

	spdm_hash(spdm_md(r->alg), c->der[0], c->der_len[0], h);
	if (memcmp(h, root_hash, n) == 0) {
		if (X509_NAME_cmp(X509_get_subject_name(x),
		    X509_get_issuer_name(x)) != 0) {
			spdm_fail(w, R_ATT_CHAIN_ROOT, where(r, 0),
			    "a root that names itself as its issuer",
			    "another issuer");
			return NULL;
		}
		spdm_hash(spdm_sha256(), c->der[0], c->der_len[0],
		    c->root_sha256);
		return x;
	}
	for (i = 0; i < r->nroots; i++) {
		rh = n == 32 ? r->roots[i].sha256 : r->roots[i].sha384;
		if (r->roots[i].cert == NULL || memcmp(rh, root_hash, n) != 0)
			continue;
		memcpy(c->root_sha256, r->roots[i].sha256, 32);
		window(c, r->roots[i].cert);
		return r->roots[i].cert;
	}
	hex(root_hash, n, want);
	hex(h, n, got);
	spdm_fail(w, R_ATT_CHAIN_ROOT, "root hash", want,
	    "first certificate %s, and no accepted root has this hash", got);
	return NULL;
}

/* Did the verification walk exactly the certificates of the slot, in order? */
static int
same_path(X509_STORE_CTX *ctx, const struct spdm_chain_rules *r,
    const struct spdm_chain *c, const X509 *root, struct spdm_why *w)
{
	STACK_OF(X509)	*path = X509_STORE_CTX_get0_chain(ctx);
	int		 i, n = (int)c->n, len = sk_X509_num(path);

	if (len != n + (root != c->cert[0]) ||
	    sk_X509_value(path, len - 1) != root)
		return spdm_fail(w, R_ATT_CHAIN_LINK, where(r, 0),
		    "every certificate issues the next one",
		    "%d of %d form a chain", len, n);
	for (i = 0; i < n; i++)
		if (sk_X509_value(path, n - 1 - i) != c->cert[i])
			return spdm_fail(w, R_ATT_CHAIN_LINK,
			    where(r, (size_t)i),
			    "every certificate issues the next one",
			    "another order");
	return 0;
}

static int
verify_path(X509_STORE_CTX *ctx, X509_STORE *store, STACK_OF(X509) *middle,
    const struct spdm_chain_rules *r, const struct spdm_chain *c, X509 *root,
    struct spdm_why *w)
{
	X509_VERIFY_PARAM	*param;
	size_t			 i;
	int			 e, d;

	for (i = root == c->cert[0]; i + 1 < c->n; i++)
		if (!sk_X509_push(middle, c->cert[i]))
			return spdm_fail(w, R_ATT_CHAIN_FORM, where(r, i),
			    "memory", "none");
	if (!X509_STORE_add_cert(store, root) ||
	    !X509_STORE_CTX_init(ctx, store, c->cert[c->n - 1], middle))
		return spdm_fail(w, R_ATT_CHAIN_FORM, where(r, 0),
		    "memory", "none");
	param = X509_STORE_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_auth_level(param, AUTH_LEVEL);
	X509_VERIFY_PARAM_set_depth(param, SPDM_CERTS_MAX + 1);
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_NO_CHECK_TIME |
	    (r->self_signed ? X509_V_FLAG_CHECK_SS_SIGNATURE : 0));
	if (X509_verify_cert(ctx) != 1) {
		e = X509_STORE_CTX_get_error(ctx);
		d = X509_STORE_CTX_get_error_depth(ctx);
		return spdm_fail(w, R_ATT_CHAIN_LINK, where(r,
		    d < (int)c->n ? c->n - 1 - (size_t)d : 0),
		    "properly issued", "%s",
		    X509_verify_cert_error_string(e));
	}
	return same_path(ctx, r, c, root, w);
}

static int
verify(const struct spdm_chain_rules *r, const struct spdm_chain *c,
    X509 *root, struct spdm_why *w)
{
	STACK_OF(X509)	*middle = sk_X509_new_null();
	X509_STORE	*store = X509_STORE_new();
	X509_STORE_CTX	*ctx = X509_STORE_CTX_new_ex(spdm_lib(), NULL);
	int		 rv;

	if (middle == NULL || store == NULL || ctx == NULL)
		rv = spdm_fail(w, R_ATT_CHAIN_FORM, where(r, 0), "memory",
		    "none");
	else
		rv = verify_path(ctx, store, middle, r, c, root, w);
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	sk_X509_free(middle);
	return rv;
}

/* An EKU that names the other role of SPDM and not this one refuses it. */
static bool
eku_ok(const X509 *leaf, bool as_requester)
{
	EXTENDED_KEY_USAGE	*eku;
	bool			 requester = false, responder = false;
	char			 oid[64];
	int			 i;

	if ((eku = X509_get_ext_d2i(leaf, NID_ext_key_usage, NULL, NULL))
	    == NULL)
		return true;
	for (i = 0; i < sk_ASN1_OBJECT_num(eku); i++) {
		OBJ_obj2txt(oid, sizeof(oid), sk_ASN1_OBJECT_value(eku, i), 1);
		requester |= strcmp(oid, OID_EKU_REQUESTER) == 0;
		responder |= strcmp(oid, OID_EKU_RESPONDER) == 0;
	}
	EXTENDED_KEY_USAGE_free(eku);
	return as_requester ? requester || !responder :
	    responder || !requester;
}

/* The key in the one form that its curve has; its hash names the node. */
static int
leaf_key(const struct spdm_chain_rules *r, struct spdm_chain *c,
    struct spdm_why *w)
{
	const X509	*leaf = c->cert[c->n - 1];
	const int	 plen = (int)r->alg->sig_len + 1;
	uint8_t		*der = NULL, form[SPKI_MAX];
	size_t		 n = 0;
	int		 len;

	len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(leaf), &der);
	c->key = X509_get0_pubkey(leaf);
	if (len > plen)
		n = spki_der(der + len - plen, (size_t)plen, form);
	if (n == 0 || (size_t)len != n || c->key == NULL ||
	    memcmp(der, form, n) != 0) {
		OPENSSL_free(der);
		return spdm_fail(w, R_ATT_LEAF_KEY, where(r, c->n - 1),
		    r->alg->name, "%s", c->key == NULL ? "no usable key" :
		    EVP_PKEY_get0_type_name(c->key));
	}
	spdm_hash(spdm_sha256(), der, n, c->spki);
	OPENSSL_free(der);
	return 0;
}

static int
leaf_check(const struct spdm_chain_rules *r, struct spdm_chain *c,
    struct spdm_why *w)
{
	X509		*leaf = c->cert[c->n - 1];
	uint32_t	 flags = X509_get_extension_flags(leaf);
	const char	*at = where(r, c->n - 1);

	if (flags & EXFLAG_INVALID)
		return spdm_fail(w, R_ATT_CHAIN_FORM, at, "proper extensions",
		    "malformed ones");
	if ((flags & EXFLAG_CA) != 0 || X509_check_ca(leaf) != 0)
		return spdm_fail(w, R_ATT_LEAF_CA, at, "CA:FALSE", "CA");
	if (r->version >= SPDM_V13 && (flags & EXFLAG_BCONS) == 0)
		return spdm_fail(w, R_ATT_LEAF_CA, at, "CA:FALSE",
		    "no basicConstraints");
	if ((flags & EXFLAG_KUSAGE) == 0 ||
	    (X509_get_key_usage(leaf) & KU_DIGITAL_SIGNATURE) == 0)
		return spdm_fail(w, R_ATT_LEAF_USAGE, at, "digitalSignature",
		    "%s", flags & EXFLAG_KUSAGE ? "other uses" :
		    "no keyUsage");
	if (!eku_ok(leaf, r->requester))
		return spdm_fail(w, R_ATT_LEAF_EKU, at, r->requester ?
		    "requester auth (" OID_EKU_REQUESTER ")" :
		    "responder auth (" OID_EKU_RESPONDER ")",
		    "the other role only");
	return leaf_key(r, c, w);
}

int
spdm_chain_read(const uint8_t *p, size_t len, const struct spdm_chain_rules *r,
    struct spdm_chain *c, struct spdm_why *w)
{
	size_t	 hdr = 4 + r->alg->hash_len;
	X509	*root;

	*c = (struct spdm_chain){ .not_after = UINT64_MAX };
	/* Length u16, reserved u16: of the whole slot. */
	if (len < hdr || (p[0] | (size_t)p[1] << 8) != len)
		return spdm_fail(w, R_ATT_CHAIN_FORM, "Length",
		    "the length of the chain", "%u for %zu bytes",
		    len < 2 ? 0U : p[0] | (unsigned)p[1] << 8, len);
	if (parse(p + hdr, len - hdr, r, c, w) == -1 ||
	    (root = find_root(p + 4, r, c, w)) == NULL)
		return -1;
	if (root == c->cert[0] && c->n < 2)
		return spdm_fail(w, R_ATT_LEAF_CA, where(r, 0),
		    "a leaf below the root", "the root alone");
	/* What is cheap to see comes before signatures. */
	if (leaf_check(r, c, w) == -1)
		return -1;
	return verify(r, c, root, w);
}

int
spdm_anchor_check(const struct spdm_chain *a, const struct spdm_chain *slot0,
    struct spdm_why *w)
{
	char	want[65], got[65];

	if (a->n != 2)
		return spdm_fail(w, R_ATT_ANCHOR_FORM, "slot 1 certificates",
		    "2: node CA and leaf", "%zu", a->n);
	if ((X509_get_extension_flags(a->cert[0]) & EXFLAG_CA) == 0 ||
	    X509_get_pathlen(a->cert[0]) != 0)
		return spdm_fail(w, R_ATT_ANCHOR_FORM, "node CA",
		    "CA:TRUE, pathlen 0", "pathlen %ld",
		    X509_get_pathlen(a->cert[0]));
	if (memcmp(a->spki, slot0->spki, sizeof(a->spki)) != 0) {
		hex(slot0->spki, 20, want);
		hex(a->spki, 20, got);
		return spdm_fail(w, R_ATT_ANCHOR_KEY, "slot 1 leaf key", want,
		    "%s", got);
	}
	return 0;
}

/* Only what may stand in a message and in a log: printable ASCII. */
static void
subject_field(const X509 *x, int nid, char *out, size_t size)
{
	const X509_NAME		*name = X509_get_subject_name(x);
	const ASN1_STRING	*s;
	const uint8_t		*p;
	int			 i, n, at;

	*out = '\0';
	if ((at = X509_NAME_get_index_by_NID(name, nid, -1)) < 0)
		return;
	s = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
	p = ASN1_STRING_get0_data(s);
	n = ASN1_STRING_length(s);
	if (n >= (int)size)
		return;
	for (i = 0; i < n; i++)
		if (p[i] < 0x20 || p[i] > 0x7e)
			return;
	memcpy(out, p, (size_t)n);
	out[n] = '\0';
}

void
spdm_identity(const struct spdm_chain *c, struct spdm_identity *id)
{
	const X509		*leaf = c->cert[c->n - 1];
	const ASN1_INTEGER	*serial = X509_get0_serialNumber(leaf);
	BIO			*b = BIO_new(BIO_s_mem());
	int			 n;

	memset(id, 0, sizeof(*id));
	hex(c->spki, 20, id->node);
	if ((n = ASN1_STRING_length(serial)) > 32)
		n = 32;
	hex(ASN1_STRING_get0_data(serial), (size_t)n, id->serial);
	subject_field(leaf, NID_serialNumber, id->device, sizeof(id->device));
	/* RFC 2253 form escapes everything that is not printable ASCII. */
	if (b != NULL && X509_NAME_print_ex(b, X509_get_subject_name(leaf), 0,
	    XN_FLAG_RFC2253) >= 0 &&
	    (n = BIO_read(b, id->subject, sizeof(id->subject) - 1)) > 0)
		id->subject[n] = '\0';
	BIO_free(b);
}

void
spdm_chain_free(struct spdm_chain *c)
{
	size_t	i;

	for (i = 0; i < c->n; i++)
		X509_free(c->cert[i]);
	*c = (struct spdm_chain){ 0 };
}
