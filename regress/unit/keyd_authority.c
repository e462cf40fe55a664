/*
 * What keyd certifies for the certificate service, field by field, as a linter
 * reads it and as a strict verifier takes it; and every way to ask for more
 * than provd.conf gives.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "keyd_ca.h"
#include "../../keyd/store.h"
#include "weakkey.h"
#include "x509time.h"

static int
setup(void **state)
{
	return ca_setup(KEY_P256);
}

static int
setup_p384(void **state)
{
	return ca_setup(KEY_P384);
}

/* ---- lint ------------------------------------------------------------ */

/* "critical "? name: value, a line each, in their order. */
static void
has_extensions(const X509 *x, const char *want)
{
	BIO		*b = BIO_new(BIO_s_mem());
	X509_EXTENSION	*e;
	char		 got[2048];
	int		 i, n;

	for (i = 0; i < X509_get_ext_count(x); i++) {
		e = X509_get_ext(x, i);
		BIO_printf(b, "%s%s: ", X509_EXTENSION_get_critical(e) ?
		    "critical " : "",
		    OBJ_nid2sn(OBJ_obj2nid(X509_EXTENSION_get_object(e))));
		switch (OBJ_obj2nid(X509_EXTENSION_get_object(e))) {
		case NID_subject_key_identifier:
		case NID_authority_key_identifier:
			BIO_printf(b, "(20 bytes)");	/* has_identifiers() */
			break;
		default:
			assert_int_equal(X509V3_EXT_print(b, e, 0, 0), 1);
		}
		BIO_printf(b, "\n");
	}
	n = BIO_read(b, got, sizeof(got) - 1);
	got[n < 0 ? 0 : n] = '\0';
	BIO_free(b);
	assert_string_equal(got, want);
}

/* The key's bits, hashed as RFC 7093 does, whatever kind of key it is. */
static void
has_identifier(const ASN1_OCTET_STRING *id, const X509 *of)
{
	const ASN1_BIT_STRING	*bits = X509_get0_pubkey_bitstr(of);
	uint8_t			 md[32];

	assert_non_null(id);
	curve_digest(curve_get(KEY_P256), ASN1_STRING_get0_data(bits),
	    (size_t)ASN1_STRING_length(bits), md);
	assert_int_equal(ASN1_STRING_length(id), 20);
	assert_memory_equal(ASN1_STRING_get0_data(id), md, 20);
}

static void
has_name(const X509_NAME *name, const char *want)
{
	char	 got[200] = "";
	BIO	*b = BIO_new(BIO_s_mem());
	int	 i;

	X509_NAME_print_ex(b, name, 0, XN_FLAG_RFC2253);
	BIO_read(b, got, sizeof(got) - 1);
	BIO_free(b);
	assert_string_equal(got, want);
	for (i = 0; i < X509_NAME_entry_count(name); i++)
		assert_int_equal(ASN1_STRING_type(X509_NAME_ENTRY_get_data(
		    X509_NAME_get_entry(name, i))), V_ASN1_UTF8STRING);
}

static void
has_time(const ASN1_TIME *t, uint64_t want)
{
	assert_int_equal(x509_time(t), want);
	assert_int_equal(ASN1_STRING_type(t), want < 2524608000 ?
	    V_ASN1_UTCTIME : V_ASN1_GENERALIZEDTIME);
}

/* What is the same in all of them. */
static void
lint(X509 *x, X509 *issuer, const char *subject, const char *by)
{
	const ASN1_INTEGER	*serial = X509_get0_serialNumber(x);
	AUTHORITY_KEYID		*aki;
	const ASN1_BIT_STRING	*unused;
	const ASN1_BIT_STRING	*unused2;
	uint8_t			*der = NULL;
	int			 n = i2d_X509(x, &der);

	assert_true(n > 0 && der_strict(der, (size_t)n));
	OPENSSL_free(der);
	assert_int_equal(X509_get_version(x), X509_VERSION_3);
	assert_int_equal(ASN1_STRING_type(serial), V_ASN1_INTEGER);
	assert_in_range(ASN1_STRING_length(serial), 15, 16);
	has_name(X509_get_subject_name(x), subject);
	has_name(X509_get_issuer_name(x), by);
	has_time(X509_get0_notBefore(x), NOW - 3600);
	X509_get0_uids(x, &unused, &unused2);
	assert_null(unused);
	assert_null(unused2);
	has_identifier(X509_get0_subject_key_id(x), x);
	has_identifier(X509_get0_authority_key_id(x), issuer);
	aki = X509_get_ext_d2i(x, NID_authority_key_identifier, NULL, NULL);
	assert_null(aki->issuer);
	assert_null(aki->serial);
	AUTHORITY_KEYID_free(aki);
	assert_int_equal(X509_verify(x, X509_get0_pubkey(issuer)), 1);
}

#define ROOT	"CN=ACME Root CA 1,O=ACME"
#define ISSUING	"CN=ACME Issuing CA 1,O=ACME"
#define POINTERS							\
	"crlDistributionPoints: Full Name:\n"				\
	"  URI:http://ca.example.org:8080/crl/issuing-1.crl\n"		\
	"authorityInfoAccess: "						\
	"OCSP - URI:http://ca.example.org:8080/ocsp\n"			\
	"CA Issuers - URI:http://ca.example.org:8080/ca/issuing-1.der\n"
#define IDENTIFIERS							\
	"subjectKeyIdentifier: (20 bytes)\n"				\
	"authorityKeyIdentifier: (20 bytes)\n"
#define LEAF								\
	"critical basicConstraints: CA:FALSE\n"				\
	"critical keyUsage: Digital Signature\n"

static void
test_root(void **state)
{
	X509	*x = ca_issue_ok(CA_ROOT);

	lint(x, x, ROOT, ROOT);
	has_time(X509_get0_notAfter(x), NOW + 3650 * DAY);
	has_extensions(x,
	    "critical basicConstraints: CA:TRUE, pathlen:2\n"
	    "critical keyUsage: Certificate Sign, CRL Sign\n" IDENTIFIERS);
	assert_int_equal(X509_get_signature_nid(x),
	    key_curve(ca_root)->sig_nid);
	assert_int_equal(ca_verify(x, NULL, x, NULL, 0), X509_V_OK);
	X509_free(x);
}

static void
test_issuing(void **state)
{
	X509	*root = ca_issue_ok(CA_ROOT), *x = ca_issue_ok(CA_ISSUING);

	lint(x, root, ISSUING, ROOT);
	has_extensions(x,
	    "critical basicConstraints: CA:TRUE, pathlen:0\n"
	    "critical keyUsage: Certificate Sign, CRL Sign\n" IDENTIFIERS
	    "critical nameConstraints: Permitted:\n  DNS:example.org\n");
	assert_int_equal(ca_verify(root, NULL, x, NULL, 0), X509_V_OK);
	X509_free(x);
	ca_conf.ca.permitted = NULL;
	x = ca_issue_ok(CA_ISSUING);
	has_extensions(x,
	    "critical basicConstraints: CA:TRUE, pathlen:0\n"
	    "critical keyUsage: Certificate Sign, CRL Sign\n" IDENTIFIERS);
	X509_free(x);
	X509_free(root);
	ca_conf_reset();
}

static void
test_ocsp(void **state)
{
	X509	*root = ca_issue_ok(CA_ROOT), *ca = ca_issue_ok(CA_ISSUING);
	X509	*x = ca_issue_ok(CA_OCSP);

	lint(x, ca, "CN=ACME OCSP 1,O=ACME", ISSUING);
	has_extensions(x, LEAF "extendedKeyUsage: OCSP Signing\n" IDENTIFIERS
	    "noCheck: \n");
	assert_int_equal(ca_verify(root, ca, x, NULL,
	    X509_PURPOSE_OCSP_HELPER), X509_V_OK);
	X509_free(x);
	X509_free(ca);
	X509_free(root);
}

static void
test_listener(void **state)
{
	X509	*root = ca_issue_ok(CA_ROOT), *ca = ca_issue_ok(CA_ISSUING);
	X509	*x = ca_issue_ok(CA_ENROL);

	lint(x, ca, "CN=ca.example.org", ISSUING);
	has_extensions(x, LEAF
	    "extendedKeyUsage: TLS Web Server Authentication\n" IDENTIFIERS
	    "subjectAltName: DNS:ca.example.org, IP Address:192.0.2.1\n"
	    POINTERS);
	assert_int_equal(ca_verify(root, ca, x, NULL,
	    X509_PURPOSE_SSL_SERVER), X509_V_OK);
	assert_int_equal(X509_check_host(x, "ca.example.org", 0, 0, NULL), 1);
	assert_int_equal(X509_check_ip_asc(x, "192.0.2.1", 0), 1);
	X509_free(x);
	ca_conf.ca.url = NULL;
	ca_server2.name = TEXT("2001:db8::1");
	x = ca_issue_ok(CA_ENROL);
	has_extensions(x, LEAF
	    "extendedKeyUsage: TLS Web Server Authentication\n" IDENTIFIERS
	    "subjectAltName: DNS:ca.example.org, "
	    "IP Address:2001:DB8:0:0:0:0:0:1\n");
	X509_free(x);
	X509_free(ca);
	X509_free(root);
	ca_server2.name = TEXT("192.0.2.1");
	ca_conf_reset();
}

static void
test_listener_rsa(void **state)
{
	X509			*root = ca_issue_ok(CA_ROOT);
	X509			*ca = ca_issue_ok(CA_ISSUING), *x;
	struct msg_ca_cert_req	 m;
	const struct key	*k;
	struct why		 w;

	k = test_key("enrol-rsa2048", KEY_ENROL, KEY_RSA2048);
	assert_non_null(k);
	ca_request(&m, CA_ENROL);
	m.key = key_id(k);
	x = ca_issue(&m, &w);
	assert_non_null(x);
	lint(x, ca, "CN=ca.example.org", ISSUING);
	assert_int_equal(EVP_PKEY_get_bits(X509_get0_pubkey(x)), 2048);
	assert_int_equal(ca_verify(root, ca, x, NULL,
	    X509_PURPOSE_SSL_SERVER), X509_V_OK);
	X509_free(x);
	X509_free(ca);
	X509_free(root);
}

/* ---- the next root, below the one before it ---------------------------- */

/* A chain below the first root alone, as a device that knows no other. */
static int
verify_across(X509 *root, X509 *cross, X509 *issuing, X509 *x)
{
	X509_STORE		*store = X509_STORE_new();
	X509_STORE_CTX		*ctx = X509_STORE_CTX_new();
	STACK_OF(X509)		*between = sk_X509_new_null();
	int			 r;

	assert_int_equal(X509_STORE_add_cert(store, root), 1);
	assert_true(sk_X509_push(between, issuing) > 0);
	assert_true(cross == NULL || sk_X509_push(between, cross) > 0);
	assert_int_equal(X509_STORE_CTX_init(ctx, store, x, between), 1);
	X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_X509_STRICT |
	    X509_V_FLAG_CHECK_SS_SIGNATURE | X509_V_FLAG_NO_CHECK_TIME);
	r = X509_verify_cert(ctx) == 1 ? X509_V_OK :
	    X509_STORE_CTX_get_error(ctx);
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	sk_X509_free(between);
	return r;
}

static X509 *
issue_below(enum ca_profile p, const struct key *issuer, const struct key *over)
{
	struct msg_ca_cert_req	 m;
	struct why		 w;
	X509			*x;

	ca_request(&m, p);
	m.issuer = key_id(issuer);
	m.key = key_id(over);
	x = ca_issue(&m, &w);
	assert_int_equal(w.reason, R_OK);
	return x;
}

static void
test_cross(void **state)
{
	const struct key	*next, *issuing;
	X509			*root = ca_issue_ok(CA_ROOT), *root2, *x, *ca;
	X509			*leaf;

	next = test_key("root-2", KEY_ROOT, KEY_P256);
	issuing = test_key("issuing-2", KEY_ISSUING, KEY_P256);
	assert_true(next != NULL && issuing != NULL);
	root2 = issue_below(CA_ROOT, next, next);
	x = ca_issue_ok(CA_CROSS);
	lint(x, root, "CN=ACME Root CA 2,O=ACME", ROOT);
	has_time(X509_get0_notAfter(x), NOW + 3650 * DAY);
	has_extensions(x,
	    "critical basicConstraints: CA:TRUE, pathlen:1\n"
	    "critical keyUsage: Certificate Sign, CRL Sign\n" IDENTIFIERS);
	assert_int_equal(X509_get_signature_nid(x),
	    key_curve(ca_root)->sig_nid);
	assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(x),
	    X509_get0_pubkey(root2)), 1);
	ca = issue_below(CA_ISSUING, next, issuing);
	leaf = issue_below(CA_ENROL, issuing, ca_enrol);
	assert_int_equal(verify_across(root, x, ca, leaf), X509_V_OK);
	assert_int_equal(verify_across(root2, NULL, ca, leaf), X509_V_OK);
	assert_int_equal(verify_across(root2, x, ca, leaf), X509_V_OK);
	assert_int_not_equal(verify_across(root, NULL, ca, leaf), X509_V_OK);
	X509_free(leaf);
	X509_free(ca);
	X509_free(x);
	X509_free(root2);
	X509_free(root);
}

static void
test_cross_refused(void **state)
{
	const struct key	*next = test_key("root-2", KEY_ROOT, KEY_P256);
	struct msg_ca_cert_req	 m;
	struct why		 w;

	assert_non_null(next);
	X509_free(ca_issue_ok(CA_ROOT));
	ca_request(&m, CA_ROOT);
	m.issuer = m.key = key_id(next);
	m.not_after = NOW + 3000 * DAY;
	X509_free(ca_issue(&m, &w));
	assert_int_equal(w.reason, R_OK);
	/* no longer than the root that it is over, nor the one that signs */
	ca_request(&m, CA_CROSS);
	m.not_after = NOW + 3000 * DAY + 1;
	assert_null(ca_issue(&m, &w));
	assert_int_equal(w.reason, R_KEY_CERT_VALIDITY);
	assert_string_equal(w.field, "not_after");
	m.not_after--;
	X509_free(ca_issue(&m, &w));
	assert_int_equal(w.reason, R_OK);
	ca_request(&m, CA_ROOT);
	m.issuer = m.key = key_id(next);
	m.not_before = NOW + 100 * DAY;
	m.not_after = NOW + 3700 * DAY;
	X509_free(ca_issue(&m, &w));
	assert_int_equal(w.reason, R_OK);
	ca_request(&m, CA_CROSS);
	m.not_before = NOW + 100 * DAY;
	m.not_after = NOW + 3650 * DAY + 1;
	assert_null(ca_issue(&m, &w));
	assert_int_equal(w.reason, R_KEY_CERT_VALIDITY);
	m.not_after--;
	X509_free(ca_issue(&m, &w));
	assert_int_equal(w.reason, R_OK);
	/* itself; an older one; a CA that is no root */
	m.key = key_id(ca_root);
	assert_null(ca_issue(&m, &w));
	assert_int_equal(w.reason, R_KEY_CERT_SUBJECT);
	assert_string_equal(w.field, "generation");
	m.issuer = key_id(next);
	assert_null(ca_issue(&m, &w));
	assert_int_equal(w.reason, R_KEY_CERT_SUBJECT);
	m.key = key_id(ca_issuing);
	assert_null(ca_issue(&m, &w));
	assert_int_equal(w.reason, R_KEY_CERT_SUBJECT);
	m.issuer = key_id(ca_issuing);
	assert_null(ca_issue(&m, &w));
	assert_int_equal(w.reason, R_KEY_PURPOSE);
}

/* ---- devices --------------------------------------------------------- */

static uint8_t	modulus[512];		/* what passes for an RSA key */

/* Odd, without small factors; whether it has two prime factors is not seen. */
static void
modulus_make(size_t len)
{
	BIGNUM	*n = BN_new();

	do {
		assert_int_equal(BN_rand(n, (int)(8 * len), BN_RAND_TOP_TWO,
		    BN_RAND_BOTTOM_ODD), 1);
		BN_bn2binpad(n, modulus, (int)len);
	} while (weak_rsa(modulus, len, 65537) != NULL);
	BN_free(n);
}

static void
device_rsa(struct msg_device_cert_req *m, enum subject_key type, size_t len)
{
	modulus_make(len);
	m->key_type = type;
	m->exponent = 65537;
	IPC_SET_BLOB(m->public, modulus, len);
}

static void
test_device(void **state)
{
	X509				*root = ca_issue_ok(CA_ROOT);
	X509				*ca = ca_issue_ok(CA_ISSUING), *x;
	struct msg_device_cert_req	 m;
	struct why			 w;

	device_request(&m);
	x = device_issue(&m, &w);
	assert_non_null(x);
	lint(x, ca, "CN=24:0a:c4:12:34:56", ISSUING);
	has_time(X509_get0_notAfter(x), NOW + 30 * DAY);
	has_extensions(x, LEAF
	    "extendedKeyUsage: TLS Web Client Authentication\n" IDENTIFIERS
	    "subjectAltName: URI:urn:provd:device:240ac4123456\n" POINTERS);
	assert_int_equal(ca_verify(root, ca, x, NULL,
	    X509_PURPOSE_SSL_CLIENT), X509_V_OK);
	assert_int_not_equal(ca_verify(root, ca, x, NULL,
	    X509_PURPOSE_SSL_SERVER), X509_V_OK);
	X509_free(x);
	device_rsa(&m, SUBJECT_RSA4096, 512);
	x = device_issue(&m, &w);
	assert_non_null(x);
	lint(x, ca, "CN=24:0a:c4:12:34:56", ISSUING);
	assert_int_equal(EVP_PKEY_get_bits(X509_get0_pubkey(x)), 4096);
	assert_int_equal(ca_verify(root, ca, x, NULL,
	    X509_PURPOSE_SSL_CLIENT), X509_V_OK);
	X509_free(x);
	X509_free(ca);
	X509_free(root);
}

static void
test_device_kinds(void **state)
{
	X509				*root = ca_issue_ok(CA_ROOT);
	X509				*ca = ca_issue_ok(CA_ISSUING), *x;
	struct msg_device_cert_req	 m;
	struct why			 w;
	uint8_t				 scalar[SCALAR_MAX], point[97];

	device_request(&m);
	IPC_SET_STR(m.profile, "web");
	IPC_SET_STR(m.name, "dev-1.example.org");
	x = device_issue(&m, &w);
	assert_non_null(x);
	lint(x, ca, "CN=dev-1.example.org", ISSUING);
	has_extensions(x, LEAF
	    "extendedKeyUsage: TLS Web Server Authentication\n" IDENTIFIERS
	    "subjectAltName: DNS:dev-1.example.org\n" POINTERS);
	assert_int_equal(ca_verify(root, ca, x, NULL,
	    X509_PURPOSE_SSL_SERVER), X509_V_OK);
	X509_free(x);

	IPC_SET_STR(m.profile, "text");
	IPC_SET_STR(m.name, "Pump_7-b");
	m.not_after = m.not_before + DAY;
	m.key_type = SUBJECT_P384;
	assert_int_equal(local_make(curve_get(KEY_P384), scalar, point), 0);
	IPC_SET_BLOB(m.public, point, 97);
	x = device_issue(&m, &w);
	assert_non_null(x);
	lint(x, ca, "CN=Pump_7-b", ISSUING);
	has_extensions(x, LEAF
	    "extendedKeyUsage: TLS Web Server Authentication, "
	    "TLS Web Client Authentication\n" IDENTIFIERS
	    "subjectAltName: URI:urn:provd:device:Pump_7-b\n" POINTERS);
	X509_free(x);

	IPC_SET_STR(m.profile, "serial");
	IPC_SET_STR(m.name, "SN0042");
	device_rsa(&m, SUBJECT_RSA3072, 384);
	ca_conf.ca.url = NULL;
	x = device_issue(&m, &w);
	assert_non_null(x);
	has_extensions(x, LEAF
	    "extendedKeyUsage: TLS Web Client Authentication\n" IDENTIFIERS
	    "subjectAltName: URI:urn:provd:device:SN0042\n");
	X509_free(x);
	ca_conf_reset();
	X509_free(ca);
	X509_free(root);
}

/*
 * The longest that provd.conf(5) takes of everything fits: a name of 40, a URL
 * of 128 and eight servers of 512 characters.
 */
static void
test_largest(void **state)
{
	static char			 word[41], url[129], host[8][65];
	static struct conf_name		 servers[8];
	const struct key		*top, *ca, *door;
	struct msg_ca_cert_req		 m;
	struct msg_device_cert_req	 d;
	struct why			 w;
	X509				*x;
	size_t				 i;

	memset(word, 'W', 40);
	memset(url, 'u', 128);
	memcpy(url, "http://", 7);
	for (i = 0; i < 8; i++) {
		memset(host[i], 'a', 64);
		host[i][0] = (char)('b' + i);
		host[i][32] = '.';
		servers[i] = (struct conf_name){ .name = host[i],
		    .next = i < 7 ? &servers[i + 1] : NULL };
	}
	ca_conf.ca.name = word;
	ca_conf.ca.url = url;
	ca_conf.ca.server = servers;
	top = test_key("root-999999", KEY_ROOT, KEY_P384);
	ca = test_key("issuing-999999", KEY_ISSUING, KEY_P384);
	door = test_key("enrol-rsa2048", KEY_ENROL, KEY_RSA2048);
	assert_true(top != NULL && ca != NULL && door != NULL);
	ca_request(&m, CA_ROOT);
	m.issuer = m.key = key_id(top);
	X509_free(ca_issue(&m, &w));
	assert_int_equal(w.reason, R_OK);
	ca_request(&m, CA_ISSUING);
	m.issuer = key_id(top);
	m.key = key_id(ca);
	X509_free(ca_issue(&m, &w));
	assert_int_equal(w.reason, R_OK);
	ca_request(&m, CA_ENROL);
	m.issuer = key_id(ca);
	m.key = key_id(door);
	x = ca_issue(&m, &w);
	assert_int_equal(w.reason, R_OK);
	X509_free(x);
	ca_conf.ca.permitted = NULL;
	device_request(&d);
	d.issuer = key_id(ca);
	device_rsa(&d, SUBJECT_RSA4096, 512);
	x = device_issue(&d, &w);
	assert_int_equal(w.reason, R_OK);
	X509_free(x);
	ca_conf_reset();
}

/* Times on both sides of where UTCTime ends, and at the end of the calendar. */
static void
test_times(void **state)
{
	static const uint64_t	 at[] = { 0, 1, 86399, 951782399, 951782400,
				    951868799, 951868800, 1709164800,
				    2524607999, 2524608000, 4107542399,
				    4107542400, 253402300799 };
	uint8_t			 buf[32];
	struct put		 p;
	const uint8_t		*q;
	ASN1_TIME		*t;
	size_t			 i;

	for (i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		p = (struct put){ .buf = buf, .size = sizeof(buf) };
		asn1_time(&p, at[i]);
		assert_false(p.bad);
		q = buf;
		t = d2i_ASN1_TIME(NULL, &q, (long)p.len);
		assert_non_null(t);
		has_time(t, at[i]);
		ASN1_TIME_free(t);
	}
	p = (struct put){ .buf = buf, .size = sizeof(buf) };
	asn1_time(&p, 253402300800);
	assert_true(p.bad);
}

/* ---- what is refused ------------------------------------------------- */

static enum reason
ca_refusal(const struct msg_ca_cert_req *m)
{
	struct why	 w;
	X509		*x = ca_issue(m, &w);

	X509_free(x);
	return w.reason;
}

static enum reason
device_refusal(const struct msg_device_cert_req *m)
{
	struct why	 w;
	X509		*x = device_issue(m, &w);

	X509_free(x);
	return w.reason;
}

static bool
is_later(uint32_t a, uint32_t b)
{
	return authority_generation(key_byid(b)) >
	    authority_generation(key_byid(a));
}

/* Every key of keyd as issuer and as subject of every profile. */
static void
test_purposes(void **state)
{
	static const struct {
		enum key_purpose	 issuer, over;
	} right[CA_NPROFILES] = {
		{ KEY_ROOT, KEY_ROOT }, { KEY_ROOT, KEY_ISSUING },
		{ KEY_ISSUING, KEY_OCSP }, { KEY_ISSUING, KEY_ENROL },
		{ KEY_ROOT, KEY_ROOT },
	};
	struct msg_ca_cert_req		 m;
	struct msg_device_cert_req	 d;
	const struct key		*k;
	char				 label[16];
	uint32_t			 i, j, p;

	X509_free(ca_issue_ok(CA_ROOT));
	X509_free(ca_issue_ok(CA_ISSUING));
	for (p = KEY_TLS; p <= KEY_AUDIT; p++) {
		snprintf(label, sizeof(label), "other-%u", p);
		assert_non_null(test_key(label, p, KEY_P256));
	}
	for (p = 0; p < CA_NPROFILES; p++)
		for (i = 0; key_byid(i) != NULL; i++)
			for (j = 0; key_byid(j) != NULL; j++) {
				ca_request(&m, p);
				m.issuer = i;
				m.key = j;
				if (key_purpose(key_byid(i)) !=
				    right[p].issuer)
					assert_int_equal(ca_refusal(&m),
					    R_KEY_PURPOSE);
				else if (key_purpose(key_byid(j)) !=
				    right[p].over)
					assert_int_equal(ca_refusal(&m),
					    R_KEY_CERT_SUBJECT);
				else
					assert_int_equal(ca_refusal(&m),
					    p == CA_CROSS && !is_later(i, j) ?
					    R_KEY_CERT_SUBJECT : R_OK);
			}
	for (i = 0; (k = key_byid(i)) != NULL; i++) {
		device_request(&d);
		d.issuer = i;
		assert_int_equal(device_refusal(&d),
		    key_purpose(k) == KEY_ISSUING ? R_OK : R_KEY_PURPOSE);
		if (key_curve(k) == NULL || key_curve(k)->coord != 32)
			continue;
		/* no key of this node is a device's */
		device_request(&d);
		IPC_SET_BLOB(d.public, key_point(k), 65);
		assert_int_equal(device_refusal(&d), R_KEY_CERT_SUBJECT);
	}
}

static void
test_generations(void **state)
{
	static const char *const	 bad[] = { "issuing", "issuing-",
		"issuing-0", "issuing-01", "issuing-1a", "issuing-1000000",
		"root-1", "issuing--1" };
	const struct key		*k;
	struct msg_ca_cert_req		 m;
	struct why			 w;
	size_t				 i;

	X509_free(ca_issue_ok(CA_ROOT));
	X509_free(ca_issue_ok(CA_ISSUING));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(authority_key_ok(bad[i], KEY_ISSUING, &w),
		    -1);
		assert_int_equal(w.reason, R_KEY_CA_LABEL);
	}
	assert_int_equal(authority_key_ok("issuing-999999", KEY_ISSUING, &w),
	    0);
	assert_int_equal(authority_key_ok("anything", KEY_TLS, &w), 0);
	/* An OCSP signer speaks for the CA of its own generation. */
	k = test_key("ocsp-2", KEY_OCSP, KEY_P256);
	assert_non_null(k);
	ca_request(&m, CA_OCSP);
	m.key = key_id(k);
	assert_int_equal(ca_refusal(&m), R_KEY_CERT_SUBJECT);
	/* A root certifies no other root. */
	k = test_key("root-2", KEY_ROOT, KEY_P256);
	assert_non_null(k);
	ca_request(&m, CA_ROOT);
	m.key = key_id(k);
	assert_int_equal(ca_refusal(&m), R_KEY_CERT_SUBJECT);
	/* A key that came by its label in another way has no name. */
	k = test_key("nameless", KEY_ISSUING, KEY_P256);
	assert_non_null(k);
	ca_request(&m, CA_ISSUING);
	m.key = key_id(k);
	assert_int_equal(ca_refusal(&m), R_KEY_CA_LABEL);
}

static void
test_validity(void **state)
{
	struct msg_ca_cert_req		 m;
	struct msg_device_cert_req	 d;
	unsigned			 p;

	for (p = 0; p < CA_NPROFILES; p++) {
		ca_request(&m, p);
		m.not_after++;
		assert_int_equal(ca_refusal(&m), R_KEY_CERT_VALIDITY);
		ca_request(&m, p);
		m.not_after = m.not_before;
		assert_int_equal(ca_refusal(&m), R_KEY_CERT_VALIDITY);
		ca_request(&m, p);
		assert_int_equal(ca_refusal(&m), R_OK);
	}
	device_request(&d);
	d.not_after++;
	assert_int_equal(device_refusal(&d), R_KEY_CERT_VALIDITY);
	/* Nobody outlives its issuer. */
	device_request(&d);
	IPC_SET_STR(d.profile, "long");
	d.not_after = NOW + 1825 * DAY;
	assert_int_equal(device_refusal(&d), R_OK);
	d.not_after++;
	assert_int_equal(device_refusal(&d), R_KEY_CERT_VALIDITY);
	ca_conf.ca.issuing_validity = 5000 * DAY;
	ca_request(&m, CA_ISSUING);
	m.not_after = NOW + 3650 * DAY;
	assert_int_equal(ca_refusal(&m), R_OK);
	m.not_after++;
	assert_int_equal(ca_refusal(&m), R_KEY_CERT_VALIDITY);
	ca_request(&m, CA_OCSP);
	m.not_before = NOW + 3600 * DAY;
	m.not_after = NOW + 3650 * DAY + 1;
	assert_int_equal(ca_refusal(&m), R_KEY_CERT_VALIDITY);
	ca_conf_reset();
}

static void
test_serial(void **state)
{
	struct msg_ca_cert_req		 m;
	struct msg_device_cert_req	 d;

	ca_request(&m, CA_ROOT);
	m.serial.len = 15;
	assert_int_equal(ca_refusal(&m), R_KEY_CERT_SERIAL);
	device_request(&d);
	d.serial.len = 0;
	assert_int_equal(device_refusal(&d), R_KEY_CERT_SERIAL);
	device_request(&d);
	memset(d.serial.data, 0, 16);
	assert_int_equal(device_refusal(&d), R_KEY_CERT_SERIAL);
}

static void
test_profile_none(void **state)
{
	struct msg_device_cert_req	 d;
	struct msg_ca_cert_req		 m;
	struct why			 w;

	device_request(&d);
	IPC_SET_STR(d.profile, "iot2");
	assert_int_equal(device_refusal(&d), R_KEY_PROFILE_NONE);
	IPC_SET_STR(d.profile, "");
	assert_int_equal(device_refusal(&d), R_KEY_PROFILE_NONE);
	ca_conf.ca.name = NULL;
	device_request(&d);
	assert_int_equal(device_refusal(&d), R_KEY_PROFILE_NONE);
	ca_request(&m, CA_ROOT);
	assert_int_equal(ca_refusal(&m), R_KEY_CA_LABEL);
	assert_int_equal(authority_key_ok("root-3", KEY_ROOT, &w), -1);
	assert_int_equal(w.reason, R_KEY_CA_LABEL);
	ca_conf_reset();
}

static void
test_names(void **state)
{
	static const struct {
		const char	*profile, *name;
		bool		 ok;
	} rows[] = {
		{ "iot", "24:0a:c4:12:34:56", true },
		{ "iot", "24:0A:c4:12:34:56", false },
		{ "iot", "24-0a-c4-12-34-56", false },
		{ "iot", "240ac4123456", false },
		{ "iot", "25:0a:c4:12:34:56", false },	/* a group */
		{ "iot", "ff:ff:ff:ff:ff:ff", false },
		{ "iot", "00:00:00:00:00:00", false },
		{ "iot", "24:0a:c4:12:34:5", false },
		{ "iot", "24:0a:c4:12:34:567", false },
		{ "iot", "24:0a:c4:12:34:5g", false },
		{ "iot", "", false },
		{ "iot", "dev.example.org", false },
		{ "web", "dev.example.org", true },
		{ "web", "a.b.example.org", true },
		{ "web", "example.org", true },
		{ "web", "example.com", false },
		{ "web", "badexample.org", false },
		{ "web", "Dev.example.org", false },
		{ "web", "*.example.org", false },
		{ "web", "dev.example.org.", false },
		{ "web", ".example.org", false },
		{ "web", "a..example.org", false },
		{ "web", "-a.example.org", false },
		{ "web", "a-.example.org", false },
		{ "web", "a_b.example.org", false },
		{ "web", "192.0.2.1", false },
		{ "web", "24:0a:c4:12:34:56", false },
		{ "web", "", false },
		{ "text", "Pump_7-b", true },
		{ "text", "pump.example.org", true },
		{ "text", "pump.example.com", false },
		{ "text", "a b", false },
		{ "text", "a/O=b", false },
		{ "text", "a:b", false },
		{ "text", "a,b", false },
		{ "text", "\xc3\xa4", false },
		{ "text", "", false },
	};
	struct msg_device_cert_req	 m;
	uint8_t				 scalar[SCALAR_MAX], point[97];
	size_t				 i;

	X509_free(ca_issue_ok(CA_ROOT));
	X509_free(ca_issue_ok(CA_ISSUING));
	assert_int_equal(local_make(curve_get(KEY_P384), scalar, point), 0);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		device_request(&m);
		IPC_SET_STR(m.profile, rows[i].profile);
		IPC_SET_STR(m.name, rows[i].name);
		if (rows[i].profile[0] == 't') {
			m.key_type = SUBJECT_P384;
			m.not_after = m.not_before + DAY;
			IPC_SET_BLOB(m.public, point, 97);
		}
		assert_int_equal(device_refusal(&m), rows[i].ok ? R_OK :
		    R_KEY_PROFILE_NAME);
	}
}

/* A label of 63 characters, and of one more: RFC 1035, 2.3.4. */
static void
test_long_names(void **state)
{
	struct msg_device_cert_req	 m;

	ca_conf.ca.permitted = NULL;
	device_request(&m);
	IPC_SET_STR(m.profile, "web");
	memset(m.name, 'a', 64);
	assert_int_equal(device_refusal(&m), R_KEY_PROFILE_NAME);
	m.name[63] = '\0';
	assert_int_equal(device_refusal(&m), R_OK);
	ca_conf_reset();
}

static void
test_keys(void **state)
{
	struct msg_device_cert_req	 m;

	X509_free(ca_issue_ok(CA_ROOT));
	X509_free(ca_issue_ok(CA_ISSUING));
	device_request(&m);
	m.public.data[7] ^= 1;
	assert_int_equal(device_refusal(&m), R_KEY_CERT_POINT);
	device_request(&m);
	m.public.data[0] = 2;
	m.public.len = 33;
	assert_int_equal(device_refusal(&m), R_KEY_CERT_POINT);
	device_request(&m);
	m.key_type = SUBJECT_P384;
	assert_int_equal(device_refusal(&m), R_KEY_CERT_POINT);
	device_request(&m);
	m.key_type = SUBJECT_RSA2048;
	assert_int_equal(device_refusal(&m), R_KEY_PROFILE_KEY);
	device_request(&m);
	device_rsa(&m, SUBJECT_RSA3072, 384);
	assert_int_equal(device_refusal(&m), R_KEY_PROFILE_KEY);
	device_rsa(&m, SUBJECT_RSA2048, 256);
	assert_int_equal(device_refusal(&m), R_OK);
	m.key_type = SUBJECT_RSA4096;
	assert_int_equal(device_refusal(&m), R_KEY_PROFILE_KEY);
	m.key_type = SUBJECT_RSA2048;
	m.exponent = 3;
	assert_int_equal(device_refusal(&m), R_KEY_WEAK);
	m.exponent = 1;
	assert_int_equal(device_refusal(&m), R_KEY_WEAK);
	m.exponent = 0;
	assert_int_equal(device_refusal(&m), R_KEY_WEAK);
	m.exponent = 65537;
	m.public.data[255] ^= 1;
	assert_int_equal(device_refusal(&m), R_KEY_WEAK);
	m.public.data[255] ^= 1;
	m.public.data[0] &= 0x7f;	/* 2047 bits */
	assert_int_equal(device_refusal(&m), R_KEY_PROFILE_KEY);
}

/* ---- what is remembered ---------------------------------------------- */

static void
reopen(void)
{
	struct why	 w;

	key_close();
	assert_int_equal(test_ring_open(&w), 0);
	assert_int_equal(authority_open(&ca_conf, test_dir, &w), 0);
	ca_root = key_bylabel("root-1");
	ca_issuing = key_bylabel("issuing-1");
	ca_ocsp = key_bylabel("ocsp-1");
	ca_enrol = key_bylabel("enrol-p256");
}

/* Certified anew for less, the first certificate still counts. */
static void
test_record_longest(void **state)
{
	struct msg_ca_cert_req	 m;

	X509_free(ca_issue_ok(CA_ROOT));
	X509_free(ca_issue_ok(CA_ISSUING));
	ca_request(&m, CA_ISSUING);
	m.not_after = NOW + DAY;
	assert_int_equal(ca_refusal(&m), R_OK);
	assert_int_equal(authority_end(ca_issuing), NOW + 1825 * DAY);
	reopen();
	assert_int_equal(authority_end(ca_issuing), NOW + 1825 * DAY);
}

/* A CA that was certified keeps its name and its end, whatever comes. */
static void
test_records(void **state)
{
	struct msg_device_cert_req	 d;
	struct msg_ca_cert_req		 m;
	struct why			 w;
	X509				*x;

	X509_free(ca_issue_ok(CA_ROOT));
	X509_free(ca_issue_ok(CA_ISSUING));
	ca_conf.ca.name = TEXT("Other");
	reopen();
	assert_int_equal(authority_end(ca_root), NOW + 3650 * DAY);
	assert_int_equal(authority_end(ca_issuing), NOW + 1825 * DAY);
	device_request(&d);
	x = device_issue(&d, &w);
	assert_non_null(x);
	has_name(X509_get_issuer_name(x), ISSUING);
	X509_free(x);
	x = ca_issue_ok(CA_OCSP);
	has_name(X509_get_subject_name(x), "CN=ACME OCSP 1,O=ACME");
	X509_free(x);
	IPC_SET_STR(d.profile, "long");
	d.not_after = NOW + 1825 * DAY + 1;
	assert_int_equal(device_refusal(&d), R_KEY_CERT_VALIDITY);
	/* The next generation has the new name. */
	ca_request(&m, CA_ROOT);
	m.issuer = m.key = key_id(test_key("root-2", KEY_ROOT, KEY_P256));
	x = ca_issue(&m, &w);
	assert_non_null(x);
	has_name(X509_get_subject_name(x), "CN=Other Root CA 2,O=Other");
	X509_free(x);
	ca_conf_reset();
}

static void
test_record_damaged(void **state)
{
	const struct ca_record	 record = { "ACME", 7 };
	struct why		 w;
	uint8_t			 buf[128];
	size_t			 n, i;

	X509_free(ca_issue_ok(CA_ROOT));
	assert_int_equal(ca_record_format(&record, buf, sizeof(buf), &n), 0);
	for (i = 0; i <= n; i++) {
		if (i < n)
			buf[i] ^= 0x40;
		assert_int_equal(store_write(test_dir, "root-1.ca", buf, n),
		    0);
		key_close();
		assert_int_equal(test_ring_open(&w), 0);
		assert_int_equal(authority_open(&ca_conf, test_dir, &w),
		    i < n ? -1 : 0);
		if (i < n) {
			assert_int_equal(w.reason, R_KEY_FILE);
			buf[i] ^= 0x40;
		}
	}
	reopen();
	assert_int_equal(authority_end(ca_root), 7);
}

/* ---- the request of an issuing CA ------------------------------------ */

static void
test_csr(void **state)
{
	struct msg_csr_req	 m = { .key = key_id(ca_issuing) };
	const uint8_t		*p;
	uint8_t			 tbs[DER_MAX], der[DER_MAX];
	struct why		 w;
	X509_REQ		*req;
	size_t			 n, len;

	IPC_SET_STR(m.name, "Somebody Else");
	IPC_SET_STR(m.serial, "1");
	assert_int_equal(csr_build(&m, ca_issuing, tbs, sizeof(tbs), &n, &w),
	    0);
	ca_signed(ca_issuing, tbs, n, der, sizeof(der), &len);
	p = der;
	req = d2i_X509_REQ(NULL, &p, (long)len);
	assert_non_null(req);
	has_name(X509_REQ_get_subject_name(req), ISSUING);
	assert_int_equal(X509_REQ_verify(req, X509_REQ_get0_pubkey(req)), 1);
	assert_int_equal(X509_REQ_get_attr_count(req), 0);
	X509_REQ_free(req);
	assert_int_equal(csr_build(&m, ca_root, tbs, sizeof(tbs), &n, &w), -1);
	assert_int_equal(w.reason, R_KEY_PURPOSE);
	assert_int_equal(csr_build(&m, ca_ocsp, tbs, sizeof(tbs), &n, &w), -1);
	assert_int_equal(w.reason, R_KEY_PURPOSE);
}

#define T(f)	cmocka_unit_test_setup_teardown(f, setup, test_dir_remove)
#define T384(f)	cmocka_unit_test_setup_teardown(f, setup_p384, test_dir_remove)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_root), T384(test_root),
		T(test_issuing), T384(test_issuing),
		T(test_ocsp), T384(test_ocsp),
		T(test_cross), T384(test_cross), T(test_cross_refused),
		T(test_listener), T(test_listener_rsa),
		T(test_device), T384(test_device), T(test_device_kinds),
		T(test_largest), T(test_times), T(test_purposes), T(test_generations),
		T(test_validity), T(test_serial), T(test_profile_none),
		T(test_names), T(test_keys), T(test_records),
		T(test_long_names), T(test_record_longest),
		T(test_record_damaged), T(test_csr),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
