/*
 * For tests of the certificate service's half of keyd: an authority as
 * provd.conf would give it, its keys, and certificates under it.
 */
#ifndef KEYD_CA_H
#define KEYD_CA_H

#include <openssl/x509v3.h>

#include "der.h"
#include "keyd_dir.h"

#define NOW	1790000000ULL
#define DAY	86400ULL

/* struct conf owns its strings; these are nobody's. */
#define TEXT(s)	((char *)(uintptr_t)(s))

static struct conf_name	 ca_server2 = { .name = TEXT("192.0.2.1") };
static struct conf_name	 ca_server = { .next = &ca_server2,
			    .name = TEXT("ca.example.org") };
static struct conf_name	 ca_permitted = { .name = TEXT("example.org") };
static struct conf_profile ca_profiles[5] = {
	{ .next = &ca_profiles[1], .name = TEXT("iot"),
	    .keys = 1 << SUBJECT_P256 | 1 << SUBJECT_P384 |
	    1 << SUBJECT_RSA2048 | 1 << SUBJECT_RSA4096,
	    .validity = 30 * DAY, .usage = USAGE_CLIENT, .names = NAME_MAC },
	{ .next = &ca_profiles[2], .name = TEXT("web"),
	    .keys = 1 << SUBJECT_P256, .validity = 90 * DAY,
	    .usage = USAGE_SERVER, .names = NAME_DNS },
	{ .next = &ca_profiles[3], .name = TEXT("text"),
	    .keys = 1 << SUBJECT_P384, .validity = DAY,
	    .usage = USAGE_CLIENT | USAGE_SERVER, .names = NAME_TEXT },
	{ .next = &ca_profiles[4], .name = TEXT("serial"),
	    .keys = 1 << SUBJECT_RSA3072, .validity = DAY,
	    .usage = USAGE_CLIENT, .names = NAME_SERIAL },
	{ .name = TEXT("long"), .keys = 1 << SUBJECT_P256,
	    .validity = 4000 * DAY, .usage = USAGE_CLIENT,
	    .names = NAME_MAC },
};
static struct conf	 ca_conf;

/* The configuration as it is before a test changes it. */
static inline void
ca_conf_reset(void)
{
	ca_conf = (struct conf){ .profiles = ca_profiles, .ca = {
	    .name = TEXT("ACME"), .root_validity = 3650 * DAY,
	    .issuing_validity = 1825 * DAY, .crl_every = DAY,
	    .url = TEXT("http://ca.example.org:8080"),
	    .server = &ca_server, .permitted = &ca_permitted } };
}

static const struct key	*ca_root, *ca_issuing, *ca_ocsp, *ca_enrol;
static uint8_t		 ca_device[KEY_POINT_MAX];	/* of a device, P-256 */

/* Keys of generation 1, the CAs over this curve. */
static inline int
ca_setup(enum key_algorithm a)
{
	struct why	 w;
	uint8_t		 scalar[SCALAR_MAX];

	ca_conf_reset();
	if (test_dir_make(NULL) == -1 || test_ring_open(&w) == -1 ||
	    authority_open(&ca_conf, test_dir, &w) == -1 ||
	    local_make(curve_get(KEY_P256), scalar, ca_device) == -1)
		return -1;
	ca_root = test_key("root-1", KEY_ROOT, a);
	ca_issuing = test_key("issuing-1", KEY_ISSUING, a);
	ca_ocsp = test_key("ocsp-1", KEY_OCSP, a);
	ca_enrol = test_key("enrol-p256", KEY_ENROL, KEY_P256);
	return ca_root == NULL || ca_issuing == NULL || ca_ocsp == NULL ||
	    ca_enrol == NULL ? -1 : 0;
}

static inline void
ca_request(struct msg_ca_cert_req *m, enum ca_profile p)
{
	static const uint64_t	days[] = { 3650, 1825, 90, 90, 3650 };
	const struct key	*next;

	memset(m, 0, sizeof(*m));
	m->issuer = key_id(p == CA_ROOT || p == CA_ISSUING ||
	    p == CA_CROSS ? ca_root :
	    ca_issuing);
	m->key = key_id(p == CA_ROOT ? ca_root : p == CA_ISSUING ?
	    ca_issuing : p == CA_OCSP ? ca_ocsp : ca_enrol);
	if (p == CA_CROSS) {
		next = key_bylabel("root-2");
		if (next == NULL)
			next = test_key("root-2", KEY_ROOT, KEY_P256);
		m->key = key_id(next);
	}
	m->profile = p;
	IPC_SET_BLOB(m->serial, "\x81\x02\x03\x04\x05\x06\x07\x08"
	    "\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10", 16);
	m->serial.data[1] = (uint8_t)p;
	m->not_before = NOW - 3600;
	m->not_after = NOW + days[p] * DAY;
}

static inline void
device_request(struct msg_device_cert_req *m)
{
	memset(m, 0, sizeof(*m));
	m->issuer = key_id(ca_issuing);
	IPC_SET_STR(m->profile, "iot");
	IPC_SET_STR(m->name, "24:0a:c4:12:34:56");
	m->key_type = SUBJECT_P256;
	IPC_SET_BLOB(m->public, ca_device, 65);
	IPC_SET_BLOB(m->serial, "\x00\x02\x03\x04\x05\x06\x07\x08"
	    "\x09\x0a\x0b\x0c\x0d\x0e\x0f\x11", 16);
	m->not_before = NOW - 3600;
	m->not_after = NOW + 30 * DAY;
}

/* What the key signed, as one SEQUENCE of three, in DER and no other form. */
static inline void
ca_signed(const struct key *k, const uint8_t *tbs, size_t n, uint8_t *out,
    size_t size, size_t *len)
{
	struct test_signed	 s = { .calls = 0 };

	key_sign(k, tbs, n, test_signed_cb, &s);
	assert_int_equal(s.sig.why.reason, R_OK);
	assert_int_equal(der_signed(key_curve(k), tbs, n, &s.sig, out, size,
	    len), 0);
	assert_true(der_strict(out, *len));
}

static inline X509 *
ca_x509(const struct key *issuer, const uint8_t *tbs, size_t n)
{
	uint8_t		 der[DER_MAX];
	const uint8_t	*p = der;
	size_t		 len;
	X509		*x;

	ca_signed(issuer, tbs, n, der, sizeof(der), &len);
	x = d2i_X509(NULL, &p, (long)len);
	assert_non_null(x);
	assert_ptr_equal(p, der + len);
	return x;
}

/* The certificate, or NULL with why not. */
static inline X509 *
ca_issue(const struct msg_ca_cert_req *m, struct why *w)
{
	const struct key *issuer = key_byid(m->issuer);
	const struct key *over = key_byid(m->key);
	uint8_t		 tbs[DER_MAX];
	size_t		 n;

	w->reason = R_OK;
	if (ca_cert_build(m, issuer, over, tbs, sizeof(tbs), &n, w) == -1)
		return NULL;
	assert_int_equal(authority_record(over, m->not_after, w), 0);
	return ca_x509(issuer, tbs, n);
}

static inline X509 *
ca_issue_ok(enum ca_profile p)
{
	struct msg_ca_cert_req	 m;
	struct why		 w;
	X509			*x;

	ca_request(&m, p);
	x = ca_issue(&m, &w);
	assert_int_equal(w.reason, R_OK);
	return x;
}

static inline X509 *
device_issue(const struct msg_device_cert_req *m, struct why *w)
{
	uint8_t		 tbs[DER_MAX];
	size_t		 n;

	w->reason = R_OK;
	if (device_cert_build(m, key_byid(m->issuer), tbs, sizeof(tbs), &n,
	    w) == -1)
		return NULL;
	return ca_x509(key_byid(m->issuer), tbs, n);
}

/* X509_V_OK, or what a strict verifier says of x below root and issuing. */
static inline int
ca_verify(X509 *root, X509 *issuing, X509 *x, X509_CRL *crl, int purpose)
{
	X509_STORE	*store = X509_STORE_new();
	X509_STORE_CTX	*ctx = X509_STORE_CTX_new();
	X509_VERIFY_PARAM *param;
	STACK_OF(X509)	*between = sk_X509_new_null();
	int		 r;

	assert_int_equal(X509_STORE_add_cert(store, root), 1);
	if (issuing != NULL)
		sk_X509_push(between, issuing);
	if (crl != NULL)
		assert_int_equal(X509_STORE_add_crl(store, crl), 1);
	assert_int_equal(X509_STORE_CTX_init(ctx, store, x, between), 1);
	param = X509_STORE_CTX_get0_param(ctx);
	/* (no time_t for OpenSSL: see x509time.h) */
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT |
	    X509_V_FLAG_CHECK_SS_SIGNATURE | X509_V_FLAG_NO_CHECK_TIME |
	    (crl == NULL ? 0 : X509_V_FLAG_CRL_CHECK));
	if (purpose != 0)
		X509_VERIFY_PARAM_set_purpose(param, purpose);
	r = X509_verify_cert(ctx) == 1 ? X509_V_OK :
	    X509_STORE_CTX_get_error(ctx);
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	sk_X509_free(between);
	return r;
}

#endif
