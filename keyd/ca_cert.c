/*
 * Certificates of the certificate service itself: root, issuing CAs, OCSP
 * signers, listeners. All that a request says is which key signs which, the
 * serial number and the window.
 */
#include "der.h"
#include "keyd.h"
#include "store.h"

#define LEAF_LONGEST	(90 * 86400ULL)
#define LEAF		(-1)

struct row {
	const char	*name;
	enum key_purpose issuer, over;
	int		 pathlen;	/* LEAF: not a CA */
	unsigned	 eku;
};

static const struct row rows[CA_NPROFILES] = {
	[CA_ROOT] = { "root CA", KEY_ROOT, KEY_ROOT, 2, 0 },
	[CA_ISSUING] = { "issuing CA", KEY_ROOT, KEY_ISSUING, 0, 0 },
	[CA_OCSP] = { "OCSP signer", KEY_ISSUING, KEY_OCSP, LEAF, EKU_OCSP },
	[CA_ENROL] = { "listener", KEY_ISSUING, KEY_ENROL, LEAF,
	    USAGE_SERVER },
	/* NewWithOld of RFC 4210, 4.4: by a root over a later one */
	[CA_CROSS] = { "cross certificate", KEY_ROOT, KEY_ROOT, 1, 0 },
};

static uint64_t
longest(enum ca_profile p)
{
	if (p == CA_ROOT || p == CA_CROSS)
		return authority_ca()->root_validity;
	if (p == CA_ISSUING)
		return authority_ca()->issuing_validity;
	return LEAF_LONGEST;
}

static int
check_keys(enum ca_profile profile, const struct tbs *t, struct why *w)
{
	const struct row *r = &rows[profile];
	const char	*over = key_purpose_name(key_purpose(t->over));
	const char	*by = key_purpose_name(key_purpose(t->issuer));

	if (key_purpose(t->issuer) != r->issuer)
		return why_set(w, R_KEY_PURPOSE, "issuer",
		    key_purpose_name(r->issuer), by);
	if (key_purpose(t->over) != r->over)
		return why_set(w, R_KEY_CERT_SUBJECT, "key",
		    key_purpose_name(r->over), over);
	if (profile == CA_ROOT && t->over != t->issuer)
		return why_set(w, R_KEY_CERT_SUBJECT, "key",
		    "the issuer's own key", key_label(t->over));
	if (profile == CA_CROSS && authority_generation(t->over) <=
	    authority_generation(t->issuer))
		return why_num(w, R_KEY_CERT_SUBJECT, "generation",
		    authority_generation(t->issuer) + 1,
		    authority_generation(t->over));
	/* It speaks for the CA that made it, and for no other. */
	if (r->over == KEY_OCSP && authority_generation(t->over) !=
	    authority_generation(t->issuer))
		return why_num(w, R_KEY_CERT_SUBJECT, "generation",
		    authority_generation(t->issuer),
		    authority_generation(t->over));
	return 0;
}

static int
check(enum ca_profile profile, struct tbs *t, struct why *w)
{
	if (authority_ca() == NULL)
		return why_set(w, R_KEY_CA_LABEL, "ca", "one in provd.conf",
		    NULL);
	if (check_keys(profile, t, w) == -1)
		return -1;
	if (profile == CA_ENROL && authority_ca()->server == NULL)
		return why_set(w, R_KEY_PROFILE_NAME, "server",
		    "a name in provd.conf", NULL);
	/* It gives a root no longer life than the root gave itself. */
	if (profile == CA_CROSS && t->not_after > authority_end(t->over))
		return why_num(w, R_KEY_CERT_VALIDITY, "not_after",
		    authority_end(t->over), t->not_after);
	t->longest = longest(profile);
	return tbs_check(t, w);
}

static int
subject_name(struct put *p, enum ca_profile profile, const struct key *k)
{
	size_t	 mark;

	if (profile != CA_ENROL)
		return authority_name(p, k);
	mark = asn1_begin(p, DER_SEQUENCE);
	asn1_attribute(p, AT_COMMON_NAME, authority_ca()->server->name);
	asn1_end(p, mark);
	return 0;
}

static void
extensions(struct put *p, enum ca_profile profile, const struct tbs *t)
{
	const struct row	*r = &rows[profile];
	size_t			 outer = asn1_begin(p, ASN1_CONTEXT(3));
	size_t			 list = asn1_begin(p, DER_SEQUENCE);

	ext_basic(p, r->pathlen);
	ext_usage(p, r->pathlen != LEAF);
	if (r->eku != 0)
		ext_eku(p, r->eku);
	tbs_identifiers(p, t);
	if (profile == CA_ISSUING && authority_ca()->permitted != NULL)
		ext_permitted(p, authority_ca()->permitted);
	if (profile == CA_ENROL) {
		ext_san(p, authority_ca()->server, NULL);
		tbs_pointers(p, t);
	}
	if (profile == CA_OCSP)
		ext_nocheck(p);
	asn1_end(p, list);
	asn1_end(p, outer);
}

int
ca_cert_build(const struct msg_ca_cert_req *req, const struct key *issuer,
    const struct key *over, uint8_t *out, size_t size, size_t *len,
    struct why *w)
{
	struct tbs	 t = {
		.issuer = issuer, .over = over, .subject = subject_of(over),
		.serial = req->serial.data, .serial_len = req->serial.len,
		.not_before = req->not_before, .not_after = req->not_after,
	};
	struct put	 p = { .buf = out, .size = size };
	size_t		 mark;

	if (check(req->profile, &t, w) == -1)
		return -1;
	mark = asn1_begin(&p, DER_SEQUENCE);
	if (tbs_head(&p, &t) == -1 ||
	    subject_name(&p, req->profile, over) == -1)
		return why_set(w, R_KEY_CA_LABEL, "label", NULL,
		    key_label(issuer));
	asn1_spki(&p, &t.subject);
	extensions(&p, req->profile, &t);
	asn1_end(&p, mark);
	*len = p.len;
	return p.bad ? why_set(w, R_KEY_LIBRARY, rows[req->profile].name,
	    NULL, NULL) : 0;
}
