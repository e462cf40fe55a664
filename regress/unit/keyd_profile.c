/*
 * Certificates and requests: every field of every profile, and every way to
 * ask for more than the profile has.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/wait.h>

#include <fcntl.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "keyd_dir.h"
#include "x509time.h"

#define FOREVER	253402300799ULL
#define DAY	86400ULL
#define NOW	1790000000ULL

static const struct key	*ca, *spdm, *tls, *audit;
static char		 node[41];
static uint8_t		 foreign[KEY_POINT_MAX];	/* of a component, P-256 */

static int
setup_with(enum key_algorithm a)
{
	struct why	 w;
	uint8_t		 scalar[SCALAR_MAX];

	if (test_dir_make(NULL) == -1 || test_ring_open(&w) == -1 ||
	    local_make(curve_get(KEY_P256), scalar, foreign) == -1)
		return -1;
	ca = test_key("ca", KEY_CA, KEY_P256);
	spdm = test_key("spdm", KEY_SPDM, a);
	tls = test_key("tls", KEY_TLS, KEY_P256);
	audit = test_key("audit", KEY_AUDIT, KEY_P256);
	if (ca == NULL || spdm == NULL || tls == NULL || audit == NULL)
		return -1;
	return curve_node_id(key_curve(spdm), key_point(spdm), node);
}

static int
setup(void **state)
{
	return setup_with(KEY_P256);
}

static int
setup_p384(void **state)
{
	return setup_with(KEY_P384);
}

static void
request(struct msg_cert_req *m, enum cert_profile p)
{
	const struct key	*k = p == CERT_NODE_CA ? ca :
				    p == CERT_SPDM_LEAF ? spdm : tls;

	memset(m, 0, sizeof(*m));
	m->issuer = key_id(ca);
	m->profile = p;
	m->algorithm = key_algorithm(k);
	IPC_SET_BLOB(m->public, key_point(k), key_curve(k)->point);
	if (p == CERT_COMPONENT_LEAF) {
		m->algorithm = KEY_P256;
		IPC_SET_BLOB(m->public, foreign, 65);
		IPC_SET_STR(m->component, "nic-0_a.b");
	}
	IPC_SET_STR(m->node, node);
	IPC_SET_BLOB(m->serial, "\x41\x02\x03\x04\x05\x06\x07\x08"
	    "\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10", 16);
	m->not_before = p == CERT_NODE_CA ? 0 : NOW - 3600;
	m->not_after = p == CERT_NODE_CA ? FOREVER : NOW + 90 * DAY;
}

/* The certificate as dispatch.c makes it, or NULL with the reason. */
static X509 *
issue(const struct msg_cert_req *m, const struct key *issuer, struct why *w)
{
	struct test_signed	 s = { .calls = 0 };
	uint8_t			 tbs[DER_MAX], der[DER_MAX];
	const uint8_t		*p = der;
	size_t			 n, len;
	X509			*x;

	w->reason = R_OK;
	if (profile_build(m, issuer, tbs, sizeof(tbs), &n, w) == -1)
		return NULL;
	key_sign(issuer, tbs, n, test_signed_cb, &s);
	assert_int_equal(s.sig.why.reason, R_OK);
	assert_int_equal(der_signed(key_curve(issuer), tbs, n, &s.sig, der,
	    sizeof(der), &len), 0);
	x = d2i_X509(NULL, &p, (long)len);
	assert_non_null(x);
	assert_ptr_equal(p, der + len);
	return x;
}

static X509 *
issue_ok(enum cert_profile p)
{
	struct msg_cert_req	 m;
	struct why		 w;
	X509			*x;

	request(&m, p);
	x = issue(&m, ca, &w);
	assert_non_null(x);
	return x;
}

static enum reason
refusal(const struct msg_cert_req *m)
{
	struct why	 w;
	X509		*x = issue(m, ca, &w);

	X509_free(x);
	return w.reason;
}

/* ---- what is in them ------------------------------------------------- */

static void
has_cn(const X509_NAME *name, const char *prefix, const char *last)
{
	char	 want[80], got[80] = "";
	BIO	*b = BIO_new(BIO_s_mem());

	snprintf(want, sizeof(want), "CN = %s%s", prefix, last);

	X509_NAME_print_ex(b, name, 0, XN_FLAG_ONELINE);
	BIO_read(b, got, sizeof(got) - 1);
	BIO_free(b);
	assert_string_equal(got, want);
}

static void
has_name(const X509_NAME *name, const char *prefix)
{
	has_cn(name, prefix, node);
}

static void
has_time(const ASN1_TIME *t, uint64_t want)
{
	assert_int_equal(x509_time(t), want);
	assert_int_equal(ASN1_STRING_type(t), want < 2524608000 ?
	    V_ASN1_UTCTIME : V_ASN1_GENERALIZEDTIME);
}

static void
has_san(X509 *x, enum cert_profile p)
{
	GENERAL_NAMES	*names;
	GENERAL_NAME	*n;
	char		 want[128];
	int		 crit;

	if (p == CERT_COMPONENT_LEAF)
		snprintf(want, sizeof(want), "urn:provd:component:%s:%s",
		    node, "nic-0_a.b");
	else
		snprintf(want, sizeof(want), "urn:provd:node:%s", node);
	names = X509_get_ext_d2i(x, NID_subject_alt_name, &crit, NULL);
	assert_non_null(names);
	assert_int_equal(crit, 0);
	assert_int_equal(sk_GENERAL_NAME_num(names), 1);
	n = sk_GENERAL_NAME_value(names, 0);
	assert_int_equal(n->type, GEN_URI);
	assert_int_equal(ASN1_STRING_length(n->d.uniformResourceIdentifier),
	    strlen(want));
	assert_memory_equal(ASN1_STRING_get0_data(
	    n->d.uniformResourceIdentifier), want, strlen(want));
	GENERAL_NAMES_free(names);
}

static void
has_eku(X509 *x, const char *const *oids, int n)
{
	EXTENDED_KEY_USAGE	*eku;
	char			 text[64];
	int			 i, crit;

	eku = X509_get_ext_d2i(x, NID_ext_key_usage, &crit, NULL);
	if (n == 0) {
		assert_null(eku);
		return;
	}
	assert_non_null(eku);
	assert_int_equal(sk_ASN1_OBJECT_num(eku), n);
	for (i = 0; i < n; i++) {
		OBJ_obj2txt(text, sizeof(text), sk_ASN1_OBJECT_value(eku, i),
		    1);
		assert_string_equal(text, oids[i]);
	}
	EXTENDED_KEY_USAGE_free(eku);
}

static void
has_basic(X509 *x, bool is_ca)
{
	BASIC_CONSTRAINTS	*bc;
	int			 crit;

	bc = X509_get_ext_d2i(x, NID_basic_constraints, &crit, NULL);
	assert_non_null(bc);
	assert_int_equal(crit, 1);
	assert_int_equal(bc->ca != 0, is_ca);
	assert_int_equal(bc->pathlen != NULL, is_ca);
	if (is_ca)
		assert_int_equal(ASN1_INTEGER_get(bc->pathlen), 0);
	BASIC_CONSTRAINTS_free(bc);
}

/* SKI is the certificate's own key, AKI the CA's; nothing else is in AKI. */
static void
has_identifiers(X509 *x, const uint8_t *point, size_t len)
{
	const ASN1_OCTET_STRING	*ski, *aki;
	AUTHORITY_KEYID		*full;
	uint8_t			 md[32];

	ski = X509_get0_subject_key_id(x);
	aki = X509_get0_authority_key_id(x);
	assert_non_null(ski);
	assert_non_null(aki);
	curve_digest(curve_get(KEY_P256), point, len, md);
	assert_int_equal(ASN1_STRING_length(ski), 20);
	assert_memory_equal(ASN1_STRING_get0_data(ski), md, 20);
	curve_digest(curve_get(KEY_P256), key_point(ca), key_curve(ca)->point,
	    md);
	assert_int_equal(ASN1_STRING_length(aki), 20);
	assert_memory_equal(ASN1_STRING_get0_data(aki), md, 20);
	full = X509_get_ext_d2i(x, NID_authority_key_identifier, NULL, NULL);
	assert_null(full->issuer);
	assert_null(full->serial);
	AUTHORITY_KEYID_free(full);
}

static void
has_common(X509 *x, enum cert_profile p)
{
	const ASN1_INTEGER	*s = X509_get0_serialNumber(x);
	struct msg_cert_req	 m;
	EVP_PKEY		*pub;
	int			 usage;

	request(&m, p);
	assert_int_equal(X509_get_version(x), X509_VERSION_3);
	assert_int_equal(ASN1_STRING_type(s), V_ASN1_INTEGER);
	assert_int_equal(ASN1_STRING_length(s), 16);
	assert_memory_equal(ASN1_STRING_get0_data(s), m.serial.data, 16);
	has_name(X509_get_issuer_name(x), "provd node CA ");
	has_time(X509_get0_notBefore(x), m.not_before);
	has_time(X509_get0_notAfter(x), m.not_after);
	has_identifiers(x, m.public.data, m.public.len);
	has_san(x, p);
	usage = X509_get_ext_by_NID(x, NID_key_usage, -1);
	assert_true(usage >= 0);
	assert_int_equal(X509_EXTENSION_get_critical(X509_get_ext(x, usage)),
	    1);
	assert_int_equal(X509_get_signature_nid(x), NID_ecdsa_with_SHA256);
	pub = X509_get_pubkey(x);
	assert_non_null(pub);
	assert_int_equal(EVP_PKEY_get_bits(pub), 8 * (m.public.len / 2));
	EVP_PKEY_free(pub);
}

static void
test_node_ca(void **state)
{
	X509	*x = issue_ok(CERT_NODE_CA);

	has_common(x, CERT_NODE_CA);
	has_name(X509_get_subject_name(x), "provd node CA ");
	has_basic(x, true);
	assert_int_equal(X509_get_key_usage(x), KU_KEY_CERT_SIGN | KU_CRL_SIGN);
	has_eku(x, NULL, 0);
	assert_string_equal(ASN1_STRING_get0_data(X509_get0_notAfter(x)),
	    "99991231235959Z");
	assert_int_equal(X509_get_ext_count(x), 5);
	assert_int_equal(X509_verify(x, X509_get0_pubkey(x)), 1);
	X509_free(x);
}

static void
test_spdm_leaf(void **state)
{
	static const char *const	 eku[] = {
		"1.3.6.1.4.1.412.274.3", "1.3.6.1.4.1.412.274.4"
	};
	X509				*x = issue_ok(CERT_SPDM_LEAF);

	has_common(x, CERT_SPDM_LEAF);
	has_name(X509_get_subject_name(x), "provd node ");
	has_basic(x, false);
	assert_int_equal(X509_get_key_usage(x), KU_DIGITAL_SIGNATURE);
	has_eku(x, eku, 2);
	assert_int_equal(X509_get_ext_count(x), 6);
	X509_free(x);
}

static void
test_tls_leaf(void **state)
{
	static const char *const	 eku[] = {
		"1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"
	};
	X509				*x = issue_ok(CERT_TLS_LEAF);

	has_common(x, CERT_TLS_LEAF);
	has_name(X509_get_subject_name(x), "provd node ");
	has_basic(x, false);
	assert_int_equal(X509_get_key_usage(x), KU_DIGITAL_SIGNATURE);
	has_eku(x, eku, 2);
	assert_int_equal(X509_get_ext_count(x), 6);
	X509_free(x);
}

/* A device's leaf: no node's name, and of no use in TLS. */
static void
test_component_leaf(void **state)
{
	static const char *const	 eku[] = { "1.3.6.1.4.1.412.274.3" };
	X509				*x = issue_ok(CERT_COMPONENT_LEAF);

	has_common(x, CERT_COMPONENT_LEAF);
	has_cn(X509_get_subject_name(x), "provd component ", "nic-0_a.b");
	has_basic(x, false);
	assert_int_equal(X509_get_key_usage(x), KU_DIGITAL_SIGNATURE);
	has_eku(x, eku, 1);
	assert_int_equal(X509_get_ext_count(x), 6);
	X509_free(x);
}

/* The node's id as a peer computes it, from the certificate that it sees. */
static void
test_node_id(void **state)
{
	X509		*x = issue_ok(CERT_SPDM_LEAF);
	uint8_t		*spki = NULL, md[32];
	char		 id[41];
	int		 n, i;

	n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &spki);
	assert_true(n > 0);
	assert_int_equal(EVP_Digest(spki, (size_t)n, md, NULL, EVP_sha256(),
	    NULL), 1);
	for (i = 0; i < 20; i++)
		snprintf(id + 2 * i, 3, "%02x", md[i]);
	assert_string_equal(id, node);
	OPENSSL_free(spki);
	X509_free(x);
}

/* Serial numbers stay positive and whole, whatever their first bits are. */
static void
test_serials(void **state)
{
	struct msg_cert_req	 m;
	struct why		 w;
	BIGNUM			*bn, *want;
	X509			*x;
	unsigned		 b;

	for (b = 0; b < 256; b += 51) {
		request(&m, CERT_TLS_LEAF);
		m.serial.data[0] = (uint8_t)b;
		x = issue(&m, ca, &w);
		assert_non_null(x);
		bn = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x), NULL);
		want = BN_bin2bn(m.serial.data, 16, NULL);
		assert_int_equal(BN_is_negative(bn), 0);
		assert_int_equal(BN_cmp(bn, want), 0);
		BN_free(bn);
		BN_free(want);
		X509_free(x);
	}
}

/* ---- openssl verify -x509_strict ------------------------------------- */

static void
write_pem(X509 *x, const char *name)
{
	char	 path[128];
	FILE	*f;

	snprintf(path, sizeof(path), "%s/%s", test_dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(PEM_write_X509(f, x), 1);
	assert_int_equal(fclose(f), 0);
	X509_free(x);
}

static int
openssl_verify(const char *purpose, const char *time, const char *leaf)
{
	char	 root[128], path[128];
	pid_t	 pid;
	int	 st, null;

	snprintf(root, sizeof(root), "%s/ca.pem", test_dir);
	snprintf(path, sizeof(path), "%s/%s", test_dir, leaf);
	if ((pid = fork()) == 0) {
		if ((null = open("/dev/null", O_RDWR)) != -1) {
			dup2(null, 1);
			dup2(null, 2);
		}
		execlp("openssl", "openssl", "verify", "-x509_strict",
		    "-check_ss_sig", "-purpose", purpose, "-attime", time,
		    "-no-CApath", "-no-CAstore", "-CAfile", root, path,
		    (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &st, 0), pid);
	return WIFEXITED(st) ? WEXITSTATUS(st) : -1;
}

static void
test_openssl_verify(void **state)
{
	write_pem(issue_ok(CERT_NODE_CA), "ca.pem");
	write_pem(issue_ok(CERT_SPDM_LEAF), "spdm.pem");
	write_pem(issue_ok(CERT_TLS_LEAF), "tls.pem");
	write_pem(issue_ok(CERT_COMPONENT_LEAF), "nic.pem");
	assert_int_equal(openssl_verify("any", "1790000000", "ca.pem"), 0);
	assert_int_equal(openssl_verify("any", "1790000000", "spdm.pem"), 0);
	assert_int_equal(openssl_verify("sslserver", "1790000000", "tls.pem"),
	    0);
	assert_int_equal(openssl_verify("sslclient", "1790000000", "tls.pem"),
	    0);
	assert_int_equal(openssl_verify("any", "1790000000", "nic.pem"), 0);
	assert_int_not_equal(openssl_verify("sslserver", "1790000000",
	    "nic.pem"), 0);
	assert_int_not_equal(openssl_verify("sslclient", "1790000000",
	    "nic.pem"), 0);
	/* The test can fail: another use, another time. */
	assert_int_not_equal(openssl_verify("sslserver", "1790000000",
	    "spdm.pem"), 0);
	assert_int_not_equal(openssl_verify("sslserver", "1900000000",
	    "tls.pem"), 0);
}

/* ---- never more than the profile ------------------------------------- */

static void
test_issuer(void **state)
{
	const struct key *const	 wrong[] = { spdm, tls, audit };
	struct msg_cert_req	 m;
	struct why		 w;
	size_t			 i;

	for (i = 0; i < 3; i++) {
		request(&m, CERT_TLS_LEAF);
		assert_null(issue(&m, wrong[i], &w));
		assert_int_equal(w.reason, R_KEY_PURPOSE);
	}
}

static void
test_public_key(void **state)
{
	struct msg_cert_req	 m;
	uint8_t			 scalar[SCALAR_MAX], point[KEY_POINT_MAX];
	unsigned		 p;

	for (p = 0; p < CERT_NPROFILES; p++) {
		request(&m, p);
		m.public.data[20] ^= 1;		/* not on the curve */
		assert_int_equal(refusal(&m), R_KEY_CERT_POINT);
		request(&m, p);
		m.public.data[0] = 6;		/* hybrid form */
		assert_int_equal(refusal(&m), R_KEY_CERT_POINT);
		request(&m, p);
		m.public.len--;
		assert_int_equal(refusal(&m), R_KEY_CERT_POINT);
		request(&m, p);
		m.public.len = 0;
		assert_int_equal(refusal(&m), R_KEY_CERT_POINT);
		request(&m, p);
		m.algorithm = !m.algorithm;
		assert_int_equal(refusal(&m), R_KEY_CERT_POINT);
		/* A point of somebody else: nobody gets a name of ours. */
		if (p == CERT_COMPONENT_LEAF)
			continue;
		request(&m, p);
		assert_int_equal(local_make(curve_get(KEY_P256), scalar,
		    point), 0);
		m.algorithm = KEY_P256;
		IPC_SET_BLOB(m.public, point, 65);
		assert_int_equal(refusal(&m), R_KEY_CERT_SUBJECT);
	}
	/* A key of ours with another purpose. */
	request(&m, CERT_TLS_LEAF);
	IPC_SET_BLOB(m.public, key_point(audit), 65);
	assert_int_equal(refusal(&m), R_KEY_CERT_SUBJECT);
	request(&m, CERT_NODE_CA);
	IPC_SET_BLOB(m.public, key_point(tls), 65);
	assert_int_equal(refusal(&m), R_KEY_CERT_SUBJECT);
	request(&m, CERT_SPDM_LEAF);
	m.algorithm = KEY_P256;
	IPC_SET_BLOB(m.public, key_point(tls), 65);
	assert_int_equal(refusal(&m), R_KEY_CERT_SUBJECT);
	/* A second CA: no CA certifies another. */
	request(&m, CERT_NODE_CA);
	IPC_SET_BLOB(m.public, key_point(test_key("ca-2", KEY_CA, KEY_P256)),
	    65);
	assert_int_equal(refusal(&m), R_KEY_CERT_SUBJECT);
}

/* A component never gets a certificate over a key of this node, of any use. */
static void
test_component_key(void **state)
{
	const struct key *const	 ours[] = { ca, spdm, tls, audit };
	struct msg_cert_req	 m;
	size_t			 i;

	for (i = 0; i < 4; i++) {
		request(&m, CERT_COMPONENT_LEAF);
		m.algorithm = key_algorithm(ours[i]);
		IPC_SET_BLOB(m.public, key_point(ours[i]),
		    key_curve(ours[i])->point);
		assert_int_equal(refusal(&m), R_KEY_CERT_SUBJECT);
	}
}

static void
test_component_name(void **state)
{
	static const char *const	 bad[] = { "", "a:b", "a b", "a/b", "a\n",
	    "a,CN=b", "\xc3\xa4", "a%3a", "#" };
	struct msg_cert_req		 m;
	size_t				 i;
	unsigned			 p;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		request(&m, CERT_COMPONENT_LEAF);
		IPC_SET_STR(m.component, bad[i]);
		assert_int_equal(refusal(&m), R_KEY_CERT_COMPONENT);
	}
	request(&m, CERT_COMPONENT_LEAF);
	memset(m.component, 'x', 32);
	m.component[32] = '\0';
	assert_int_equal(refusal(&m), R_OK);
	/* and no other profile has one */
	for (p = 0; p < CERT_COMPONENT_LEAF; p++) {
		request(&m, p);
		IPC_SET_STR(m.component, "nic0");
		assert_int_equal(refusal(&m), R_KEY_CERT_COMPONENT);
	}
}

static void
test_node(void **state)
{
	struct msg_cert_req	 m;
	unsigned		 p;

	for (p = 0; p < CERT_NPROFILES; p++) {
		request(&m, p);
		m.node[0] = m.node[0] == 'a' ? 'b' : 'a';
		assert_int_equal(refusal(&m), R_KEY_CERT_NODE);
		request(&m, p);
		m.node[39] = '\0';
		assert_int_equal(refusal(&m), R_KEY_CERT_NODE);
		request(&m, p);
		m.node[0] = '\0';
		assert_int_equal(refusal(&m), R_KEY_CERT_NODE);
	}
}

static void
test_serial_form(void **state)
{
	struct msg_cert_req	 m;
	uint32_t		 n;

	for (n = 0; n < 16; n++) {
		request(&m, CERT_TLS_LEAF);
		m.serial.len = n;
		assert_int_equal(refusal(&m), R_KEY_CERT_SERIAL);
	}
	request(&m, CERT_TLS_LEAF);
	memset(m.serial.data, 0, 16);
	assert_int_equal(refusal(&m), R_KEY_CERT_SERIAL);
}

static void
test_validity(void **state)
{
	static const struct {
		enum cert_profile	 profile;
		uint64_t		 from, to;
		enum reason		 reason;
	} rows[] = {
		{ CERT_TLS_LEAF, NOW, NOW + 90 * DAY + 3600, R_OK },
		{ CERT_TLS_LEAF, NOW, NOW + 90 * DAY + 3601,
		    R_KEY_CERT_VALIDITY },
		{ CERT_TLS_LEAF, NOW, NOW, R_KEY_CERT_VALIDITY },
		{ CERT_TLS_LEAF, NOW, NOW - 1, R_KEY_CERT_VALIDITY },
		{ CERT_TLS_LEAF, NOW, FOREVER, R_KEY_CERT_VALIDITY },
		{ CERT_TLS_LEAF, 0, UINT32_MAX * 64ULL, R_KEY_CERT_VALIDITY },
		{ CERT_SPDM_LEAF, NOW, NOW + 90 * DAY + 3600, R_OK },
		{ CERT_SPDM_LEAF, NOW, NOW + 90 * DAY + 3601,
		    R_KEY_CERT_VALIDITY },
		{ CERT_SPDM_LEAF, NOW, FOREVER, R_KEY_CERT_VALIDITY },
		{ CERT_COMPONENT_LEAF, NOW, NOW + 90 * DAY + 3600, R_OK },
		{ CERT_COMPONENT_LEAF, NOW, NOW + 90 * DAY + 3601,
		    R_KEY_CERT_VALIDITY },
		{ CERT_COMPONENT_LEAF, NOW, FOREVER, R_KEY_CERT_VALIDITY },
		{ CERT_NODE_CA, 0, FOREVER, R_OK },
		{ CERT_NODE_CA, 0, FOREVER - 1, R_KEY_CERT_VALIDITY },
		{ CERT_NODE_CA, 0, FOREVER + 1, R_KEY_CERT_VALIDITY },
		{ CERT_NODE_CA, FOREVER, FOREVER, R_KEY_CERT_VALIDITY },
		{ CERT_NODE_CA, NOW, NOW + 90 * DAY, R_KEY_CERT_VALIDITY },
	};
	struct msg_cert_req	 m;
	size_t			 i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		request(&m, rows[i].profile);
		m.not_before = rows[i].from;
		m.not_after = rows[i].to;
		assert_int_equal(refusal(&m), rows[i].reason);
	}
}

/* ---- requests -------------------------------------------------------- */

static X509_REQ *
csr(const struct key *k, const char *name, const char *serial, struct why *w)
{
	struct msg_csr_req	 m = { .key = key_id(k) };
	struct test_signed	 s = { .calls = 0 };
	uint8_t			 tbs[DER_MAX], der[DER_MAX];
	const uint8_t		*p = der;
	size_t			 n, len;
	X509_REQ		*r;

	w->reason = R_OK;
	IPC_SET_STR(m.name, name);
	IPC_SET_STR(m.serial, serial);
	if (csr_build(&m, k, tbs, sizeof(tbs), &n, w) == -1)
		return NULL;
	key_sign(k, tbs, n, test_signed_cb, &s);
	assert_int_equal(der_signed(key_curve(k), tbs, n, &s.sig, der,
	    sizeof(der), &len), 0);
	r = d2i_X509_REQ(NULL, &p, (long)len);
	assert_non_null(r);
	assert_ptr_equal(p, der + len);
	return r;
}

static void
csr_holds(const struct key *k, const char *serial, const char *want)
{
	char		 text[128];
	struct why	 w;
	X509_REQ	*r = csr(k, "bmc-a.example", serial, &w);

	assert_non_null(r);
	assert_int_equal(X509_REQ_get_version(r), X509_REQ_VERSION_1);
	assert_int_equal(X509_REQ_verify(r, X509_REQ_get0_pubkey(r)), 1);
	assert_int_equal(X509_REQ_get_attr_count(r), 0);
	X509_NAME_oneline(X509_REQ_get_subject_name(r), text, sizeof(text));
	assert_string_equal(text, want);
	X509_REQ_free(r);
}

static void
test_csr(void **state)
{
	csr_holds(spdm, "ACME-77-0001", "/CN=bmc-a.example"
	    "/serialNumber=ACME-77-0001");
	csr_holds(spdm, "", "/CN=bmc-a.example");
	csr_holds(tls, "", "/CN=bmc-a.example");
}

static void
test_csr_refused(void **state)
{
	static const char *const	 bad[] = {
		"", "a\nb", "b\xc3\xa4r", "a@b", "a*", "a_b", "a\"b",
	};
	struct why			 w;
	size_t				 i;

	assert_null(csr(ca, "x", "", &w));
	assert_int_equal(w.reason, R_KEY_PURPOSE);
	assert_null(csr(audit, "x", "", &w));
	assert_int_equal(w.reason, R_KEY_PURPOSE);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_null(csr(spdm, bad[i], "", &w));
		assert_int_equal(w.reason, R_KEY_CSR_NAME);
		if (bad[i][0] == '\0')
			continue;
		assert_null(csr(spdm, "x", bad[i], &w));
		assert_int_equal(w.reason, R_KEY_CSR_NAME);
	}
}

int
main(void)
{
#define T(f)	cmocka_unit_test_setup_teardown(f, setup, test_dir_remove)
#define T3(f)	cmocka_unit_test_setup_teardown(f, setup_p384, test_dir_remove)
	const struct CMUnitTest tests[] = {
		T(test_node_ca),
		T(test_spdm_leaf),
		T3(test_spdm_leaf),
		T(test_tls_leaf),
		T(test_component_leaf),
		T3(test_component_leaf),
		T(test_node_id),
		T3(test_node_id),
		T(test_serials),
		T(test_openssl_verify),
		T3(test_openssl_verify),
		T(test_issuer),
		T(test_public_key),
		T3(test_public_key),
		T(test_component_key),
		T3(test_component_key),
		T(test_component_name),
		T(test_node),
		T(test_serial_form),
		T(test_validity),
		T(test_csr),
		T3(test_csr),
		T(test_csr_refused),
	};

	return cmocka_run_group_tests_name("keyd_profile", tests, NULL, NULL);
}
