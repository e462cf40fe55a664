/*
 * Certificates. A request names a profile and fills in fields; keyd builds
 * the TBSCertificate (RFC 5280, 4.1) itself, so that nothing that the profile
 * does not have can come into it. A leaf of this node can be made only over
 * a key that keyd itself holds for that use, a component's only over one that
 * keyd does not hold, and both only for this node's id.
 */
#include <stdio.h>
#include <string.h>

#include <openssl/asn1t.h>
#include <openssl/x509v3.h>

#include "keyd.h"
#include "x509time.h"

#define FOREVER		253402300799ULL	/* 99991231235959Z: RFC 5280, 4.1.2.5 */
#define DAY		86400ULL
#define LEAF_MAX	(90 * DAY + 3600)

/* DSP0274, certificate requirements: responder and requester authentication. */
#define EKU_SPDM	"1.3.6.1.4.1.412.274.3,1.3.6.1.4.1.412.274.4"
#define EKU_COMPONENT	"1.3.6.1.4.1.412.274.3"
#define EKU_TLS		"serverAuth,clientAuth"

struct profile {
	const char	*name;
	const char	*subject;	/* CN; node id or component follows */
	const char	*basic;
	const char	*usage;
	const char	*eku;		/* NULL: none */
	enum key_purpose over;		/* whose key it certifies */
	bool		 foreign;	/* over a component's key, by name */
	bool		 forever;	/* self-signed, never expires */
	uint64_t	 longest;	/* seconds; of leafs */
};

static const struct profile profiles[CERT_NPROFILES] = {
	[CERT_NODE_CA] = {
		.name = "node CA", .subject = "provd node CA ",
		.basic = "critical,CA:TRUE,pathlen:0",
		.usage = "critical,keyCertSign,cRLSign",
		.over = KEY_CA, .forever = true,
	},
	[CERT_SPDM_LEAF] = {
		.name = "SPDM leaf", .subject = "provd node ",
		.basic = "critical,CA:FALSE",
		.usage = "critical,digitalSignature",
		.eku = EKU_SPDM, .over = KEY_SPDM, .longest = LEAF_MAX,
	},
	[CERT_TLS_LEAF] = {
		.name = "TLS leaf", .subject = "provd node ",
		.basic = "critical,CA:FALSE",
		.usage = "critical,digitalSignature",
		.eku = EKU_TLS, .over = KEY_TLS, .longest = LEAF_MAX,
	},
	[CERT_COMPONENT_LEAF] = {
		.name = "component leaf", .subject = "provd component ",
		.basic = "critical,CA:FALSE",
		.usage = "critical,digitalSignature",
		.eku = EKU_COMPONENT, .over = KEY_NPURPOSES, .foreign = true,
		.longest = LEAF_MAX,
	},
};

/* TBSCertificate ::= SEQUENCE; the optional unique identifiers are not ours. */
typedef struct {
	ASN1_INTEGER	*version;
	ASN1_INTEGER	*serial;
	X509_ALGOR	*algorithm;
	X509_NAME	*issuer;
	X509_VAL	*validity;
	X509_NAME	*subject;
	X509_PUBKEY	*key;
	STACK_OF(X509_EXTENSION) *extensions;
} TBS;

ASN1_SEQUENCE(TBS) = {
	ASN1_EXP(TBS, version, ASN1_INTEGER, 0),
	ASN1_SIMPLE(TBS, serial, ASN1_INTEGER),
	ASN1_SIMPLE(TBS, algorithm, X509_ALGOR),
	ASN1_SIMPLE(TBS, issuer, X509_NAME),
	ASN1_SIMPLE(TBS, validity, X509_VAL),
	ASN1_SIMPLE(TBS, subject, X509_NAME),
	ASN1_SIMPLE(TBS, key, X509_PUBKEY),
	ASN1_EXP_SEQUENCE_OF(TBS, extensions, X509_EXTENSION, 3)
} static_ASN1_SEQUENCE_END(TBS)

/* ---- what a request may hold ----------------------------------------- */

static bool
zeroes(const uint8_t *p, size_t len)
{
	while (len > 0 && p[len - 1] == 0)
		len--;
	return len == 0;
}

bool
node_is_ours(const char *node)
{
	const struct key	*k;
	char			 id[41];
	unsigned		 n;

	for (n = 0; (k = key_bypurpose(KEY_SPDM, n)) != NULL; n++)
		if (curve_node_id(key_curve(k), key_point(k), id) == 0 &&
		    strcmp(id, node) == 0)
			return true;
	return false;
}

/* A key of any purpose over this point. */
static bool
point_is_ours(const uint8_t *point, size_t len)
{
	unsigned	p;

	for (p = 0; p < KEY_NPURPOSES; p++)
		if (key_bypoint((enum key_purpose)p, point, len) != NULL)
			return true;
	return false;
}

/* Nothing in it can end a URN or begin another part of it. */
static bool
component_ok(const char *s)
{
	size_t	n = strlen(s);

	return n > 0 && n <= 32 && strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789-_.") == n;
}

static int
check_key(const struct msg_cert_req *req, const struct profile *p,
    const struct key *issuer, struct why *w)
{
	const struct key	*k;

	if (p->foreign && point_is_ours(req->public.data, req->public.len))
		return why_set(w, R_KEY_CERT_SUBJECT, "public",
		    "a key of the component", "a key of this node");
	if (p->foreign)
		return 0;
	k = key_bypoint(p->over, req->public.data, req->public.len);
	if (k == NULL || (p->forever && k != issuer))
		return why_set(w, R_KEY_CERT_SUBJECT, "public",
		    p->forever ? "the issuer's own key" :
		    p->over == KEY_TLS ? "a tls key of this node" :
		    "an spdm key of this node", NULL);
	return 0;
}

static int
check_subject(const struct msg_cert_req *req, const struct profile *p,
    const struct key *issuer, struct why *w)
{
	const struct curve	*c = curve_get(req->algorithm);

	if (!curve_has(c, req->public.data, req->public.len))
		return why_set(w, R_KEY_CERT_POINT, "public",
		    "a point of the curve", NULL);
	if (check_key(req, p, issuer, w) == -1)
		return -1;
	if (p->foreign ? !component_ok(req->component) :
	    req->component[0] != '\0')
		return why_set(w, R_KEY_CERT_COMPONENT, "component",
		    p->foreign ? "1 to 32 letters, digits and -_." : "none",
		    req->component);
	if (!node_is_ours(req->node))
		return why_set(w, R_KEY_CERT_NODE, "node",
		    "the id of this node's SPDM key", req->node);
	return 0;
}

static int
check_validity(const struct msg_cert_req *req, const struct profile *p,
    struct why *w)
{
	if (req->not_before >= req->not_after)
		return why_num(w, R_KEY_CERT_VALIDITY, "not_before",
		    req->not_after, req->not_before);
	if (p->forever && req->not_after != FOREVER)
		return why_num(w, R_KEY_CERT_VALIDITY, "not_after", FOREVER,
		    req->not_after);
	if (!p->forever && req->not_after - req->not_before > p->longest)
		return why_num(w, R_KEY_CERT_VALIDITY, "validity", p->longest,
		    req->not_after - req->not_before);
	return 0;
}

static int
profile_check(const struct msg_cert_req *req, const struct profile *p,
    const struct key *issuer, struct why *w)
{
	if (key_purpose(issuer) != KEY_CA)
		return why_set(w, R_KEY_PURPOSE, "issuer", "ca",
		    key_purpose_name(key_purpose(issuer)));
	if (check_subject(req, p, issuer, w) == -1)
		return -1;
	if (req->serial.len != 16 || zeroes(req->serial.data, 16))
		return why_num(w, R_KEY_CERT_SERIAL, "serial", 16,
		    req->serial.len);
	return check_validity(req, p, w);
}

/* ---- building -------------------------------------------------------- */

static int
name_build(X509_NAME *name, const char *prefix, const char *last)
{
	char	 cn[65];

	snprintf(cn, sizeof(cn), "%s%s", prefix, last);
	return X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_ASC,
	    (const unsigned char *)cn, -1, -1, 0) == 1 ? 0 : -1;
}

/* RFC 7093, section 2, method 1: the left 160 bits of SHA-256 of the key. */
static int
key_identifier(const struct curve *c, const uint8_t *point, uint8_t out[20])
{
	uint8_t	 md[32];

	if (curve_digest(curve_get(KEY_P256), point, c->point, md) == -1)
		return -1;
	memcpy(out, md, 20);
	return 0;
}

static int
ext_der(STACK_OF(X509_EXTENSION) **exts, int nid, void *value)
{
	return value != NULL && X509V3_add1_i2d(exts, nid, value, 0,
	    X509V3_ADD_APPEND) == 1 ? 0 : -1;
}

static int
ext_conf(STACK_OF(X509_EXTENSION) **exts, int nid, const char *value)
{
	X509_EXTENSION	*e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
	int		 r = -1;

	if (e != NULL && X509v3_add_ext(exts, e, -1) != NULL)
		r = 0;
	X509_EXTENSION_free(e);
	return r;
}

static int
ext_identifiers(STACK_OF(X509_EXTENSION) **exts, const struct curve *c,
    const uint8_t *point, const struct key *issuer)
{
	ASN1_OCTET_STRING	*ski = ASN1_OCTET_STRING_new();
	AUTHORITY_KEYID		*aki = AUTHORITY_KEYID_new();
	uint8_t			 id[20];
	int			 r = -1;

	if (ski == NULL || aki == NULL ||
	    (aki->keyid = ASN1_OCTET_STRING_new()) == NULL)
		goto out;
	if (key_identifier(c, point, id) == -1 ||
	    ASN1_OCTET_STRING_set(ski, id, sizeof(id)) != 1 ||
	    key_identifier(key_curve(issuer), key_point(issuer), id) == -1 ||
	    ASN1_OCTET_STRING_set(aki->keyid, id, sizeof(id)) != 1)
		goto out;
	if (ext_der(exts, NID_subject_key_identifier, ski) == -1 ||
	    ext_der(exts, NID_authority_key_identifier, aki) == -1)
		goto out;
	r = 0;
 out:
	ASN1_OCTET_STRING_free(ski);
	AUTHORITY_KEYID_free(aki);
	return r;
}

static int
ext_names(STACK_OF(X509_EXTENSION) **exts, const struct msg_cert_req *req)
{
	GENERAL_NAMES	*names = GENERAL_NAMES_new();
	GENERAL_NAME	*gn = GENERAL_NAME_new();
	ASN1_IA5STRING	*uri = ASN1_IA5STRING_new();
	char		 text[128];
	int		 r = -1;

	if (req->component[0] == '\0')
		snprintf(text, sizeof(text), "urn:provd:node:%s", req->node);
	else
		snprintf(text, sizeof(text), "urn:provd:component:%s:%s",
		    req->node, req->component);
	if (names == NULL || gn == NULL || uri == NULL ||
	    ASN1_STRING_set(uri, text, -1) != 1)
		goto out;
	GENERAL_NAME_set0_value(gn, GEN_URI, uri);
	uri = NULL;
	if (sk_GENERAL_NAME_push(names, gn) <= 0)
		goto out;
	gn = NULL;
	r = ext_der(exts, NID_subject_alt_name, names);
 out:
	ASN1_IA5STRING_free(uri);
	GENERAL_NAME_free(gn);
	GENERAL_NAMES_free(names);
	return r;
}

static int
tbs_extensions(TBS *t, const struct profile *p, const struct msg_cert_req *req,
    const struct key *issuer)
{
	STACK_OF(X509_EXTENSION)	**e = &t->extensions;

	if (ext_conf(e, NID_basic_constraints, p->basic) == -1 ||
	    ext_conf(e, NID_key_usage, p->usage) == -1)
		return -1;
	if (p->eku != NULL && ext_conf(e, NID_ext_key_usage, p->eku) == -1)
		return -1;
	if (ext_identifiers(e, curve_get(req->algorithm), req->public.data,
	    issuer) == -1)
		return -1;
	return ext_names(e, req);
}

static int
tbs_fields(TBS *t, const struct profile *p, const struct msg_cert_req *req,
    const struct key *issuer)
{
	BIGNUM	*serial = BN_bin2bn(req->serial.data, 16, NULL);
	int	 r = -1;

	X509_PUBKEY_free(t->key);
	t->key = curve_spki(curve_get(req->algorithm), req->public.data);
	if (serial == NULL || t->key == NULL ||
	    ASN1_INTEGER_set(t->version, 2) != 1 ||
	    BN_to_ASN1_INTEGER(serial, t->serial) == NULL ||
	    X509_ALGOR_set0(t->algorithm,
	    OBJ_nid2obj(key_curve(issuer)->sig_nid), V_ASN1_UNDEF, NULL) != 1 ||
	    x509_time_set(t->validity->notBefore, req->not_before) == -1 ||
	    x509_time_set(t->validity->notAfter, req->not_after) == -1 ||
	    name_build(t->issuer, profiles[CERT_NODE_CA].subject,
	    req->node) == -1 ||
	    name_build(t->subject, p->subject, p->foreign ? req->component :
	    req->node) == -1)
		goto out;
	r = 0;
 out:
	BN_free(serial);
	return r;
}

int
profile_build(const struct msg_cert_req *req, const struct key *issuer,
    uint8_t *out, size_t size, size_t *len, struct why *w)
{
	const struct profile	*p = &profiles[req->profile];
	TBS			*t;
	int			 n, r = -1;

	if (profile_check(req, p, issuer, w) == -1)
		return -1;
	if ((t = (TBS *)ASN1_item_new(ASN1_ITEM_rptr(TBS))) == NULL ||
	    tbs_fields(t, p, req, issuer) == -1 ||
	    tbs_extensions(t, p, req, issuer) == -1)
		goto out;
	n = ASN1_item_i2d((const ASN1_VALUE *)t, NULL, ASN1_ITEM_rptr(TBS));
	if (n <= 0 || (size_t)n > size)
		goto out;
	ASN1_item_i2d((const ASN1_VALUE *)t, &out, ASN1_ITEM_rptr(TBS));
	*len = (size_t)n;
	r = 0;
 out:
	ASN1_item_free((ASN1_VALUE *)t, ASN1_ITEM_rptr(TBS));
	return r == 0 ? 0 : why_set(w, R_KEY_LIBRARY, p->name, NULL, NULL);
}
