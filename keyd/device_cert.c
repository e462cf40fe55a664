/*
 * Certificates of devices. A request names a profile of provd.conf, which keyd
 * read itself: whoever asks chooses within it and not beyond.
 */
#include <arpa/inet.h>

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "der.h"
#include "keyd.h"
#include "store.h"
#include "weakkey.h"

#define LOWER	"abcdefghijklmnopqrstuvwxyz"
#define UPPER	"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS	"0123456789"
#define NAME_MAX_CN	64	/* ub-common-name: RFC 5280, A.1 */
#define LABEL_MAX	63	/* of a host name: RFC 1035, 2.3.4 */

static const struct {
	const char	*name;
	size_t		 bytes;		/* of a modulus; 0: a curve */
	enum key_algorithm curve;
} key_types[SUBJECT_NKEYS] = {
	[SUBJECT_P256] = { "ecdsa-p256", 0, KEY_P256 },
	[SUBJECT_P384] = { "ecdsa-p384", 0, KEY_P384 },
	[SUBJECT_RSA2048] = { "rsa-2048", 256, KEY_NCURVES },
	[SUBJECT_RSA3072] = { "rsa-3072", 384, KEY_NCURVES },
	[SUBJECT_RSA4096] = { "rsa-4096", 512, KEY_NCURVES },
};

/* ---- names ----------------------------------------------------------- */

/* "24:0a:c4:12:34:56", in this form only, and of one station (IEEE 802, 8.2). */
static bool
is_mac(const char *s)
{
	size_t	 i;

	if (strlen(s) != 17 || strchr("13579bdf", s[1]) != NULL ||
	    strcmp(s, "00:00:00:00:00:00") == 0)
		return false;
	for (i = 0; i < 17; i++)
		if (i % 3 == 2 ? s[i] != ':' :
		    strchr(DIGITS "abcdef", s[i]) == NULL)
			return false;
	return true;
}

/* Lower case: two ways to write one host would be two devices. */
static bool
is_host(const char *s)
{
	const char	*last = s;
	size_t		 n;

	for (;; s += n + 1) {
		n = strspn(s, LOWER DIGITS "-");
		if (n == 0 || n > LABEL_MAX || s[0] == '-' || s[n - 1] == '-')
			return false;
		last = s;
		if (s[n] != '.')
			break;
	}
	/* a label of digits at the end: an address */
	return s[n] == '\0' && strspn(last, DIGITS) != n;
}

/* Nothing in it can end a URN or begin another part of it. */
static bool
is_text(const char *s)
{
	return s[0] != '\0' && strspn(s, LOWER UPPER DIGITS "-_.") ==
	    strlen(s);
}

static bool
name_ok(enum conf_name_kind kind, const char *s)
{
	if (strlen(s) > NAME_MAX_CN)
		return false;
	if (kind == NAME_MAC)
		return is_mac(s);
	return kind == NAME_DNS ? is_host(s) : is_text(s);
}

/*
 * Verifiers hold a common name with a dot against the issuer's constraints,
 * as a host name: such a certificate would be good for nothing.
 */
static bool
permitted(const char *s)
{
	const struct conf_name	*n = authority_ca()->permitted;
	const char		*base;
	size_t			 len = strlen(s), m;

	if (n == NULL)
		return true;
	for (; n != NULL; n = n->next) {
		base = n->name[0] == '.' ? n->name + 1 : n->name;
		m = strlen(base);
		if (len >= m && strcasecmp(s + len - m, base) == 0 &&
		    (len == m || s[len - m - 1] == '.'))
			return true;
	}
	return false;
}

static int
check_name(const struct conf_profile *p, const char *name, struct why *w)
{
	static const char	*const kinds[] = {
		[NAME_MAC] = "a MAC address", [NAME_DNS] = "a host name",
		[NAME_TEXT] = "letters, digits and -_.",
		[NAME_SERIAL] = "a serial number of letters, digits and -_.",
	};

	if (!name_ok(p->names, name))
		return why_set(w, R_KEY_PROFILE_NAME, "name", kinds[p->names],
		    name);
	if ((p->names == NAME_DNS || strchr(name, '.') != NULL) &&
	    !permitted(name))
		return why_set(w, R_KEY_PROFILE_NAME, "name",
		    "one that the issuing CA is permitted", name);
	return 0;
}

/* ---- keys ------------------------------------------------------------ */

static int
check_curve(const struct msg_device_cert_req *req, struct why *w)
{
	if (!curve_has(curve_get(key_types[req->key_type].curve),
	    req->public.data, req->public.len))
		return why_set(w, R_KEY_CERT_POINT, "public",
		    "a point of the curve", NULL);
	return 0;
}

static int
check_rsa(const struct msg_device_cert_req *req, struct why *w)
{
	size_t		 want = key_types[req->key_type].bytes;
	const char	*weak;

	if (req->public.len != want || (req->public.data[0] & 0x80) == 0)
		return why_num(w, R_KEY_PROFILE_KEY, "modulus bytes", want,
		    req->public.len);
	weak = weak_rsa(req->public.data, req->public.len, req->exponent);
	if (weak != NULL)
		return why_set(w, R_KEY_WEAK, "public", "a strong key", weak);
	return 0;
}

static int
check_key(const struct conf_profile *p, const struct msg_device_cert_req *req,
    struct why *w)
{
	if ((p->keys & 1U << req->key_type) == 0)
		return why_set(w, R_KEY_PROFILE_KEY, "key", p->name,
		    key_types[req->key_type].name);
	if ((key_types[req->key_type].bytes == 0 ? check_curve(req, w) :
	    check_rsa(req, w)) == -1)
		return -1;
	if (key_over(req->public.data, req->public.len) != NULL)
		return why_set(w, R_KEY_CERT_SUBJECT, "public",
		    "a key of the device", "a key of this node");
	return 0;
}

/* ---- building -------------------------------------------------------- */

/* With what "urn:provd:device:" is longer than the name. */
#define URI_MAX	(NAME_MAX_CN + 24)

static void
device_uri(enum conf_name_kind kind, const char *name, char out[URI_MAX])
{
	size_t	 n;

	snprintf(out, URI_MAX, "urn:provd:device:%s", name);
	if (kind != NAME_MAC)
		return;
	for (n = strlen("urn:provd:device:"); *name != '\0'; name++)
		if (*name != ':')
			out[n++] = *name;
	out[n] = '\0';
}

static void
extensions(struct put *p, const struct conf_profile *profile,
    const char *name, const struct tbs *t)
{
	struct conf_name	 host;
	char			 dns[NAME_MAX_CN + 1], uri[URI_MAX];
	size_t			 outer = asn1_begin(p, ASN1_CONTEXT(3));
	size_t			 list = asn1_begin(p, DER_SEQUENCE);

	ext_basic(p, -1);
	ext_usage(p, false);
	ext_eku(p, profile->usage);
	tbs_identifiers(p, t);
	if (profile->names == NAME_DNS) {
		snprintf(dns, sizeof(dns), "%s", name);
		host = (struct conf_name){ .name = dns };
		ext_san(p, &host, NULL);
	} else {
		device_uri(profile->names, name, uri);
		ext_san(p, NULL, uri);
	}
	tbs_pointers(p, t);
	asn1_end(p, list);
	asn1_end(p, outer);
}

static int
check(const struct conf_profile *profile,
    const struct msg_device_cert_req *req, struct tbs *t, struct why *w)
{
	if (profile == NULL)
		return why_set(w, R_KEY_PROFILE_NONE, "profile", NULL,
		    req->profile);
	if (key_purpose(t->issuer) != KEY_ISSUING)
		return why_set(w, R_KEY_PURPOSE, "issuer", "issuing",
		    key_purpose_name(key_purpose(t->issuer)));
	if (check_key(profile, req, w) == -1 ||
	    check_name(profile, req->name, w) == -1)
		return -1;
	t->longest = profile->validity;
	return tbs_check(t, w);
}

int
device_cert_build(const struct msg_device_cert_req *req,
    const struct key *issuer, uint8_t *out, size_t size, size_t *len,
    struct why *w)
{
	const struct conf_profile *profile = authority_profile(req->profile);
	struct tbs	 t = {
		.issuer = issuer,
		.serial = req->serial.data, .serial_len = req->serial.len,
		.not_before = req->not_before, .not_after = req->not_after,
		.subject = { req->public.data, req->public.len,
		    key_types[req->key_type].bytes == 0 ? 0 : req->exponent },
	};
	struct put	 p = { .buf = out, .size = size };
	size_t		 mark, name;

	if (check(profile, req, &t, w) == -1)
		return -1;
	mark = asn1_begin(&p, DER_SEQUENCE);
	if (tbs_head(&p, &t) == -1)
		return why_set(w, R_KEY_CA_LABEL, "label", NULL,
		    key_label(issuer));
	name = asn1_begin(&p, DER_SEQUENCE);
	asn1_attribute(&p, AT_COMMON_NAME, req->name);
	asn1_end(&p, name);
	asn1_spki(&p, &t.subject);
	extensions(&p, profile, req->name, &t);
	asn1_end(&p, mark);
	*len = p.len;
	return p.bad ? why_set(w, R_KEY_LIBRARY, "certificate", NULL, NULL) :
	    0;
}
