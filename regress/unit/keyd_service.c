/*
 * keyd's handlers of the certificate service over channels: who may ask for
 * what with which key, and what RSA keys of listeners sign.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/mman.h>

#include <openssl/rsa.h>

#include "keyd_ca.h"
#include "keyd_links.h"
#include "../../keyd/store.h"

static struct link	 netd, enrold;
static uint32_t		 root, issuing, ocsp, enrol, rsa, tls, ca, spdm;

/* The one RSA key, as a file: to make one takes seconds on slow machines. */
static uint8_t		 rsa_key[KEY_FILE_MAX];
static ssize_t		 rsa_key_len;

static int
setup(void **state)
{
	const struct keyd_conf	 conf = { .backend = KEY_BACKEND_SOFT };
	struct why		 w;
	uint8_t			 scalar[SCALAR_MAX];

	ca_conf_reset();
	if (test_dir_make(NULL) == -1 || (rsa_key_len > 0 &&
	    store_write(test_dir, "enrol-rsa2048.key", rsa_key,
	    (size_t)rsa_key_len) == -1) || test_ring_open(&w) == -1 ||
	    authority_open(&ca_conf, test_dir, &w) == -1 ||
	    local_make(curve_get(KEY_P256), scalar, ca_device) == -1)
		return -1;
	keyd_serve(&conf);
	link_new(&policyd, IPC_POLICYD);
	link_new(&netd, IPC_NETD);
	link_new(&enrold, IPC_ENROLD);
	root = make("root-1", KEY_ROOT, KEY_P256);
	issuing = make("issuing-1", KEY_ISSUING, KEY_P256);
	ocsp = make("ocsp-1", KEY_OCSP, KEY_P256);
	enrol = make("enrol-p256", KEY_ENROL, KEY_P256);
	rsa = make("enrol-rsa2048", KEY_ENROL, KEY_RSA2048);
	rsa_key_len = store_read(test_dir, "enrol-rsa2048.key", rsa_key,
	    sizeof(rsa_key));
	tls = make("tls", KEY_TLS, KEY_P256);
	ca = make("ca", KEY_CA, KEY_P256);
	spdm = make("spdm", KEY_SPDM, KEY_P256);
	ca_root = key_byid(root);
	ca_issuing = key_byid(issuing);
	ca_ocsp = key_byid(ocsp);
	ca_enrol = key_byid(enrol);
	return 0;
}

static int
teardown(void **state)
{
	link_end(&policyd);
	link_end(&netd);
	link_end(&enrold);
	return test_dir_remove(state);
}

static X509 *
certificate(void)
{
	const struct msg_cert_rep	*m = &got.msg.cert_rep;
	const uint8_t			*p = m->certificate.data;
	X509				*x;

	assert_int_equal(got.type, MSG_CERT_REP);
	assert_true(der_strict(p, m->certificate.len));
	x = d2i_X509(NULL, &p, m->certificate.len);
	assert_non_null(x);
	return x;
}

static X509 *
ca_certificate(enum ca_profile p)
{
	struct msg_ca_cert_req	 m;

	ca_request(&m, p);
	assert_int_equal(call(&policyd, MSG_CA_CERT_REQ, &m), R_OK);
	return certificate();
}

/* ---- certificates, CRL, OCSP ------------------------------------------ */

static void
test_all(void **state)
{
	X509				*top, *ca1, *x;
	struct msg_device_cert_req	 d;
	struct msg_crl_req		 c = { .issuer = issuing, .number = 1,
	    .this_update = NOW, .next_update = NOW + DAY };
	struct msg_ocsp_sign_req	 o = { .key = ocsp,
	    .status = CERT_UNKNOWN, .this_update = NOW,
	    .next_update = NOW + DAY };
	int				 fd, mine;
	X509_CRL			*crl;
	const uint8_t			*p;
	void				*map;
	size_t				 n;

	top = ca_certificate(CA_ROOT);
	ca1 = ca_certificate(CA_ISSUING);
	assert_true(test_has("root-1.ca") && test_has("issuing-1.ca"));
	X509_free(ca_certificate(CA_OCSP));
	X509_free(ca_certificate(CA_ENROL));
	assert_false(test_has("ocsp-1.ca") || test_has("enrol-p256.ca"));
	device_request(&d);
	assert_int_equal(call(&policyd, MSG_DEVICE_CERT_REQ, &d), R_OK);
	x = certificate();
	assert_int_equal(ca_verify(top, ca1, x, NULL,
	    X509_PURPOSE_SSL_CLIENT), X509_V_OK);
	d.not_after += DAY;
	assert_int_equal(call(&policyd, MSG_DEVICE_CERT_REQ, &d),
	    R_KEY_CERT_VALIDITY);
	assert_string_equal(got.field, "validity");

	fd = memfd_create("rows", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	mine = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	assert_true(fd != -1 && mine != -1);
	assert_int_equal(call_fd(&policyd, MSG_CRL_REQ, &c, fd), R_OK);
	assert_int_equal(got.type, MSG_CRL_REP);
	n = got.msg.crl_rep.length;
	assert_int_equal(lseek(mine, 0, SEEK_END), n);
	map = mmap(NULL, n, PROT_READ, MAP_SHARED, mine, 0);
	assert_true(map != MAP_FAILED);
	p = map;
	crl = d2i_X509_CRL(NULL, &p, (long)n);
	assert_int_equal(ca_verify(top, ca1, x, crl, 0), X509_V_OK);
	munmap(map, n);
	X509_CRL_free(crl);
	c.count = 7;
	assert_int_equal(call_fd(&policyd, MSG_CRL_REQ, &c, mine),
	    R_KEY_CRL_FORM);

	o.name_hash.len = o.key_hash.len = 20;
	o.serial.len = 1;
	assert_int_equal(call(&policyd, MSG_OCSP_SIGN_REQ, &o), R_OK);
	assert_int_equal(got.type, MSG_OCSP_SIGN_REP);
	assert_true(test_verify(curve_get(KEY_P256), key_point(ca_ocsp),
	    got.msg.ocsp_sign_rep.data.data, got.msg.ocsp_sign_rep.data.len,
	    got.msg.ocsp_sign_rep.signature.data,
	    got.msg.ocsp_sign_rep.signature.len));
	X509_free(x);
	X509_free(ca1);
	X509_free(top);
}

/* No descriptor stays behind, whatever came of the request. */
static void
test_descriptors(void **state)
{
	struct msg_crl_req	 c = { .issuer = issuing, .number = 1,
	    .this_update = NOW, .next_update = NOW + DAY };
	const uint32_t		 issuers[] = { issuing, root, 63 };
	unsigned		 before = fds_open();
	size_t			 i, k;
	int			 fd;

	for (i = 0; i < 3; i++)
		for (k = 0; k < 2; k++) {
			fd = memfd_create("rows", MFD_CLOEXEC);
			assert_true(fd != -1);
			c.issuer = issuers[i];
			c.count = (uint32_t)k;
			assert_int_equal(call_fd(&policyd, MSG_CRL_REQ, &c,
			    fd), i == 2 ? R_KEY_UNKNOWN : i == 1 ?
			    R_KEY_PURPOSE : k == 1 ? R_KEY_CRL_FORM : R_OK);
			assert_int_equal(fds_open(), before);
		}
}

/* ---- TLS of listeners -------------------------------------------------- */

static void
tls_request(struct msg_tls_sign_req *m, uint32_t key, uint32_t scheme,
    const char *context)
{
	memset(m, 0, sizeof(*m));
	m->key = key;
	m->scheme = scheme;
	m->content.len = 130;
	memset(m->content.data, ' ', 64);
	memcpy(m->content.data + 64, context, 34);
}

#define SERVER	"TLS 1.3, server CertificateVerify"
#define CLIENT	"TLS 1.3, client CertificateVerify"

static bool
pss_verify(const struct key *k, const struct msg_tls_sign_req *m,
    const uint8_t *sig, size_t len)
{
	const struct subject	 s = subject_of(k);
	uint8_t			 spki[400];
	struct put		 p = { .buf = spki, .size = sizeof(spki) };
	const uint8_t		*q = spki;
	EVP_MD_CTX		*ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX		*pctx;
	EVP_PKEY		*pkey;
	bool			 ok;

	asn1_spki(&p, &s);
	pkey = d2i_PUBKEY(NULL, &q, (long)p.len);
	assert_non_null(pkey);
	ok = EVP_DigestVerifyInit(ctx, &pctx, EVP_sha256(), NULL, pkey) == 1 &&
	    EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) == 1 &&
	    EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx,
	    RSA_PSS_SALTLEN_DIGEST) == 1 &&
	    EVP_DigestVerify(ctx, sig, len, m->content.data,
	    m->content.len) == 1;
	EVP_PKEY_free(pkey);
	EVP_MD_CTX_free(ctx);
	return ok;
}

static void
test_rsa(void **state)
{
	struct msg_tls_sign_req	 m;
	uint8_t			 modulus[256];
	unsigned		 i;

	memcpy(modulus, key_point(key_byid(rsa)), 256);
	for (i = 0; i < 2; i++) {
		tls_request(&m, rsa, 0x0804, SERVER);
		assert_int_equal(call(&enrold, MSG_TLS_SIGN_REQ, &m), R_OK);
		assert_int_equal(got.msg.tls_sign_rep.signature.len, 256);
		assert_true(pss_verify(key_byid(rsa), &m,
		    got.msg.tls_sign_rep.signature.data, 256));
		m.content.data[100] ^= 1;
		assert_false(pss_verify(key_byid(rsa), &m,
		    got.msg.tls_sign_rep.signature.data, 256));
		tls_request(&m, rsa, 0x0403, SERVER);
		assert_int_equal(call(&enrold, MSG_TLS_SIGN_REQ, &m),
		    R_KEY_TLS_SCHEME);
		tls_request(&m, rsa, 0x0401, SERVER);	/* PKCS#1 */
		assert_int_equal(call(&enrold, MSG_TLS_SIGN_REQ, &m),
		    R_KEY_TLS_SCHEME);
		/* again as the key that is read from its file */
		key_close();
		assert_int_equal(test_ring_open(&(struct why){ 0 }), 0);
		assert_memory_equal(key_point(key_byid(rsa)), modulus, 256);
	}
}

/* A changed file is no key, whichever half of it was changed. */
static void
test_rsa_file(void **state)
{
	struct key_file	 f;
	uint8_t		 buf[KEY_FILE_MAX];
	struct why	 w;
	ssize_t		 n;
	size_t		 len;

	n = store_read(test_dir, "enrol-rsa2048.key", buf, sizeof(buf));
	assert_true(n > 0);
	assert_int_equal(store_parse(buf, (size_t)n, &f), 0);
	assert_int_equal(f.public_len, 256);
	f.public[7] ^= 4;
	assert_int_equal(store_format(&f, buf, sizeof(buf), &len), 0);
	assert_int_equal(store_write(test_dir, "enrol-rsa2048.key", buf, len),
	    0);
	key_close();
	assert_int_equal(test_ring_open(&w), -1);
	assert_int_equal(w.reason, R_KEY_FILE);
	f.public[7] ^= 4;
	f.blob[500] ^= 4;
	assert_int_equal(store_format(&f, buf, sizeof(buf), &len), 0);
	assert_int_equal(store_write(test_dir, "enrol-rsa2048.key", buf, len),
	    0);
	key_close();
	assert_int_equal(test_ring_open(&w), -1);
	f.blob[500] ^= 4;
	f.public[0] &= 0x7f;
	assert_int_equal(store_format(&f, buf, sizeof(buf), &len), 0);
	assert_int_equal(store_parse(buf, len, &f), -1);
}

static void
test_who_signs_tls(void **state)
{
	const uint32_t		 keys[] = { root, issuing, ocsp, enrol, rsa,
				    tls, ca, spdm };
	struct msg_tls_sign_req	 m;
	size_t			 i;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		tls_request(&m, keys[i], keys[i] == rsa ? 0x0804 : 0x0403,
		    SERVER);
		assert_int_equal(call(&netd, MSG_TLS_SIGN_REQ, &m),
		    keys[i] == tls ? R_OK : R_KEY_PURPOSE);
		assert_int_equal(call(&enrold, MSG_TLS_SIGN_REQ, &m),
		    keys[i] == enrol || keys[i] == rsa ? R_OK :
		    R_KEY_PURPOSE);
	}
	/* enrold never is a client */
	tls_request(&m, enrol, 0x0403, CLIENT);
	assert_int_equal(call(&enrold, MSG_TLS_SIGN_REQ, &m),
	    R_KEY_TLS_CONTEXT);
	tls_request(&m, tls, 0x0403, CLIENT);
	assert_int_equal(call(&netd, MSG_TLS_SIGN_REQ, &m), R_OK);
}

/* ---- keys ---------------------------------------------------------------- */

static void
test_labels(void **state)
{
	struct msg_key_make_req	 m = { .purpose = KEY_ISSUING };

	IPC_SET_STR(m.label, "issuing");
	assert_int_equal(call(&policyd, MSG_KEY_MAKE_REQ, &m), R_KEY_CA_LABEL);
	IPC_SET_STR(m.label, "root-2");
	assert_int_equal(call(&policyd, MSG_KEY_MAKE_REQ, &m), R_KEY_CA_LABEL);
	IPC_SET_STR(m.label, "issuing-1");
	assert_int_equal(call(&policyd, MSG_KEY_MAKE_REQ, &m), R_OK);
	assert_false(got.msg.key_info.made);
	ca_conf.ca.name = NULL;
	assert_int_equal(call(&policyd, MSG_KEY_MAKE_REQ, &m), R_KEY_CA_LABEL);
	ca_conf_reset();
}

/* RSA is for listeners, and for keys that are in this process. */
static void
test_algorithms(void **state)
{
	const struct key_conf	 tpm = { .backend = KEY_BACKEND_TPM,
	    .dir = test_dir };
	struct msg_key_make_req	 m = { .algorithm = KEY_RSA2048 };
	struct test_made	 made = { .calls = 0 };
	struct why		 w;
	uint32_t		 p;

	for (p = 0; p < KEY_NPURPOSES; p++) {
		snprintf(m.label, sizeof(m.label), "%s", p == KEY_ROOT ?
		    "root-7" : p == KEY_ISSUING ? "issuing-7" :
		    p == KEY_OCSP ? "ocsp-7" : "k");
		m.purpose = p;
		if (p != KEY_ENROL)
			assert_int_equal(call(&policyd, MSG_KEY_MAKE_REQ, &m),
			    R_KEY_ALGORITHM);
	}
	key_close();
	test_dir_empty(test_dir);
	assert_int_equal(key_open(&tpm, &w), 0);
	key_make("enrol-rsa2048", KEY_ENROL, KEY_RSA2048, test_made_cb, &made);
	assert_int_equal(made.calls, 1);
	assert_int_equal(made.why.reason, R_KEY_ALGORITHM);
	assert_string_equal(made.why.field, "backend");
}

/* Each request with each key: only those of its purpose are used. */
static void
test_every_key(void **state)
{
	const uint32_t			 keys[] = { root, issuing, ocsp, enrol,
					    rsa, tls, ca, spdm };
	struct msg_device_cert_req	 d;
	struct msg_cert_req		 n = { .profile = CERT_NODE_CA };
	struct msg_ocsp_sign_req	 o = { .status = CERT_UNKNOWN };
	struct msg_csr_req		 r = { .name = "x" };
	size_t				 i;
	uint32_t			 k;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		k = keys[i];
		device_request(&d);
		d.issuer = k;
		assert_int_equal(call(&policyd, MSG_DEVICE_CERT_REQ, &d),
		    k == issuing ? R_OK : R_KEY_PURPOSE);
		/* a node's certificate is issued by the node's CA alone */
		n.issuer = k;
		assert_int_equal(call(&policyd, MSG_CERT_REQ, &n),
		    k == ca ? R_KEY_CERT_POINT : R_KEY_PURPOSE);
		o.key = k;
		assert_int_equal(call(&policyd, MSG_OCSP_SIGN_REQ, &o),
		    k == ocsp ? R_KEY_OCSP_FORM : R_KEY_PURPOSE);
		r.key = k;
		assert_int_equal(call(&policyd, MSG_CSR_REQ, &r), k == spdm ||
		    k == tls || k == issuing ? R_OK : R_KEY_PURPOSE);
	}
	/* An offline root will certify it: under this name, whatever comes. */
	assert_true(test_has("issuing-1.ca"));
}

#define T(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_all), T(test_descriptors), T(test_rsa),
		T(test_rsa_file), T(test_who_signs_tls), T(test_labels),
		T(test_algorithms), T(test_every_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
