/*
 * OCSP responses: as OpenSSL's client takes them, and what a signer does not
 * say.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/ocsp.h>

#include "keyd_ca.h"
#include "../../keyd/store.h"

static X509	*root, *issuing, *signer;

static int
setup_with(enum key_algorithm a)
{
	if (ca_setup(a) == -1)
		return -1;
	root = ca_issue_ok(CA_ROOT);
	issuing = ca_issue_ok(CA_ISSUING);
	signer = ca_issue_ok(CA_OCSP);
	return 0;
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

static int
teardown(void **state)
{
	X509_free(root);
	X509_free(issuing);
	X509_free(signer);
	return test_dir_remove(state);
}

static const uint8_t	serial[16] = { 0x00, 0x91, 2, 3 };

static OCSP_CERTID *
cert_id(uint32_t hash)
{
	ASN1_INTEGER	*n = ASN1_INTEGER_new();
	BIGNUM		*b = BN_bin2bn(serial, sizeof(serial), NULL);
	OCSP_CERTID	*id;

	BN_to_ASN1_INTEGER(b, n);
	id = OCSP_cert_id_new(hash == 0 ? EVP_sha1() : EVP_sha256(),
	    X509_get_subject_name(issuing), X509_get0_pubkey_bitstr(issuing),
	    n);
	ASN1_INTEGER_free(n);
	BN_free(b);
	assert_non_null(id);
	return id;
}

static void
request(struct msg_ocsp_sign_req *m, uint32_t hash, enum cert_status status)
{
	OCSP_CERTID		*id = cert_id(hash);
	ASN1_OCTET_STRING	*name, *key;

	memset(m, 0, sizeof(*m));
	OCSP_id_get0_info(&name, NULL, &key, NULL, id);
	m->key = key_id(ca_ocsp);
	m->hash = hash;
	IPC_SET_BLOB(m->name_hash, ASN1_STRING_get0_data(name),
	    (size_t)ASN1_STRING_length(name));
	IPC_SET_BLOB(m->key_hash, ASN1_STRING_get0_data(key),
	    (size_t)ASN1_STRING_length(key));
	IPC_SET_BLOB(m->serial, serial, sizeof(serial));
	m->status = status;
	if (status == CERT_REVOKED) {
		m->revoked = NOW - 5;
		m->reason = CRL_SUPERSEDED;
	}
	m->this_update = NOW;
	m->next_update = NOW + 3600;
	IPC_SET_BLOB(m->nonce, "0123456789abcdef0123456789abcdef", 32);
	OCSP_CERTID_free(id);
}

/* BasicOCSPResponse (RFC 6960, 4.2.1) as enrold makes it. */
static OCSP_BASICRESP *
answer(const struct msg_ocsp_sign_req *m, struct why *w)
{
	struct test_signed	 s = { .calls = 0 };
	uint8_t			 data[1024], out[4096], *cert = NULL;
	struct put		 p = { .buf = out, .size = sizeof(out) };
	const uint8_t		*q = out;
	OCSP_BASICRESP		*r;
	size_t			 n, mark, outer, list;
	int			 len;

	w->reason = R_OK;
	if (ocsp_build(m, key_byid(m->key), data, sizeof(data), &n, w) == -1)
		return NULL;
	assert_true(der_strict(data, n));
	key_sign(key_byid(m->key), data, n, test_signed_cb, &s);
	mark = asn1_begin(&p, DER_SEQUENCE);
	put_bytes(&p, data, n);
	asn1_signature(&p, key_curve(key_byid(m->key)));
	asn1_bits(&p, s.sig.der, s.sig.len);
	outer = asn1_begin(&p, ASN1_CONTEXT(0));
	list = asn1_begin(&p, DER_SEQUENCE);
	len = i2d_X509(signer, &cert);
	put_bytes(&p, cert, (size_t)len);
	OPENSSL_free(cert);
	asn1_end(&p, list);
	asn1_end(&p, outer);
	asn1_end(&p, mark);
	assert_false(p.bad);
	r = d2i_OCSP_BASICRESP(NULL, &q, (long)p.len);
	assert_non_null(r);
	assert_ptr_equal(q, out + p.len);
	return r;
}

static enum reason
refusal(const struct msg_ocsp_sign_req *m)
{
	struct why	 w;

	OCSP_BASICRESP_free(answer(m, &w));
	return w.reason;
}

static void
has_gtime(const ASN1_GENERALIZEDTIME *t, const char *want)
{
	assert_non_null(t);
	assert_int_equal(ASN1_STRING_type(t), V_ASN1_GENERALIZEDTIME);
	assert_string_equal(ASN1_STRING_get0_data(t), want);
}

static void
verifies(OCSP_BASICRESP *r)
{
	X509_STORE	*store = X509_STORE_new();
	STACK_OF(X509)	*chain = sk_X509_new_null();

	X509_STORE_add_cert(store, root);
	X509_VERIFY_PARAM_set_flags(X509_STORE_get0_param(store),
	    X509_V_FLAG_X509_STRICT | X509_V_FLAG_NO_CHECK_TIME);
	sk_X509_push(chain, issuing);
	assert_int_equal(OCSP_basic_verify(r, chain, store, 0), 1);
	sk_X509_free(chain);
	X509_STORE_free(store);
}

/* Each status with each hash: what a client finds is what was said. */
static void
test_status(void **state)
{
	static const int		 want[] = { V_OCSP_CERTSTATUS_GOOD,
		V_OCSP_CERTSTATUS_REVOKED, V_OCSP_CERTSTATUS_UNKNOWN };
	struct msg_ocsp_sign_req	 m;
	OCSP_BASICRESP			*r;
	OCSP_CERTID			*id;
	ASN1_GENERALIZEDTIME		*revoked, *this, *next;
	uint32_t			 hash, s;
	struct why			 w;
	int				 status, reason;

	for (hash = 0; hash < 2; hash++)
		for (s = CERT_GOOD; s <= CERT_UNKNOWN; s++) {
			request(&m, hash, s);
			r = answer(&m, &w);
			assert_non_null(r);
			verifies(r);
			id = cert_id(hash);
			assert_int_equal(OCSP_resp_find_status(r, id, &status,
			    &reason, &revoked, &this, &next), 1);
			OCSP_CERTID_free(id);
			assert_int_equal(OCSP_resp_count(r), 1);
			assert_int_equal(status, want[s]);
			if (s == CERT_REVOKED) {
				assert_int_equal(reason, CRL_SUPERSEDED);
				has_gtime(revoked, "20260921141315Z");
			}
			has_gtime(this, "20260921141320Z");
			has_gtime(next, "20260921151320Z");
			has_gtime(OCSP_resp_get0_produced_at(r),
			    "20260921141320Z");
			OCSP_BASICRESP_free(r);
		}
}

static void
test_nonce(void **state)
{
	struct msg_ocsp_sign_req	 m;
	OCSP_REQUEST			*req = OCSP_REQUEST_new();
	OCSP_BASICRESP			*r;
	struct why			 w;
	uint8_t				 nonce[32];

	memcpy(nonce, "0123456789abcdef0123456789abcdef", 32);
	assert_int_equal(OCSP_request_add1_nonce(req, nonce, 32), 1);
	request(&m, 0, CERT_GOOD);
	r = answer(&m, &w);
	assert_int_equal(OCSP_check_nonce(req, r), 1);
	assert_int_equal(OCSP_BASICRESP_get_ext_count(r), 1);
	OCSP_BASICRESP_free(r);
	m.nonce.data[0]++;
	r = answer(&m, &w);
	assert_int_equal(OCSP_check_nonce(req, r), 0);
	OCSP_BASICRESP_free(r);
	m.nonce.len = 0;
	r = answer(&m, &w);
	assert_int_equal(OCSP_BASICRESP_get_ext_count(r), 0);
	verifies(r);
	OCSP_BASICRESP_free(r);
	OCSP_REQUEST_free(req);
}

/* Revoked for no reason that anybody gave: no reason is sent. */
static void
test_no_reason(void **state)
{
	struct msg_ocsp_sign_req	 m;
	OCSP_BASICRESP			*r;
	OCSP_CERTID			*id = cert_id(1);
	struct why			 w;
	int				 status, reason;

	request(&m, 1, CERT_REVOKED);
	m.reason = CRL_UNSPECIFIED;
	r = answer(&m, &w);
	assert_int_equal(OCSP_resp_find_status(r, id, &status, &reason, NULL,
	    NULL, NULL), 1);
	assert_int_equal(status, V_OCSP_CERTSTATUS_REVOKED);
	assert_int_equal(reason, -1);
	OCSP_BASICRESP_free(r);
	OCSP_CERTID_free(id);
}

/* ---- what is refused ------------------------------------------------- */

static void
test_form(void **state)
{
	struct msg_ocsp_sign_req	 m;

#define BAD(status, change, reason) do {				\
	request(&m, 1, (status));					\
	assert_int_equal(refusal(&m), R_OK);				\
	change;								\
	assert_int_equal(refusal(&m), (reason));			\
} while (0)
	BAD(CERT_GOOD, m.name_hash.len = 20, R_KEY_OCSP_FORM);
	BAD(CERT_GOOD, m.key_hash.len = 0, R_KEY_OCSP_FORM);
	BAD(CERT_GOOD, m.hash = 0, R_KEY_OCSP_FORM);
	BAD(CERT_GOOD, m.serial.len = 0, R_KEY_OCSP_FORM);
	BAD(CERT_GOOD, m.revoked = NOW, R_KEY_OCSP_FORM);
	BAD(CERT_GOOD, m.reason = 1, R_KEY_OCSP_FORM);
	BAD(CERT_UNKNOWN, m.revoked = NOW, R_KEY_OCSP_FORM);
	BAD(CERT_REVOKED, m.revoked = 0, R_KEY_OCSP_FORM);
	BAD(CERT_REVOKED, m.reason = 7, R_KEY_OCSP_FORM);
	BAD(CERT_REVOKED, m.reason = CRL_REMOVE, R_KEY_OCSP_FORM);
	BAD(CERT_GOOD, m.next_update = m.this_update, R_KEY_CERT_VALIDITY);
	BAD(CERT_GOOD, m.next_update = NOW + DAY + 3601, R_KEY_CERT_VALIDITY);
	BAD(CERT_GOOD, m.key = key_id(ca_issuing), R_KEY_PURPOSE);
	BAD(CERT_GOOD, m.key = key_id(ca_root), R_KEY_PURPOSE);
	BAD(CERT_GOOD, m.key = key_id(ca_enrol), R_KEY_PURPOSE);
#undef BAD
}

/* A signer vouches for its own CA's certificates, and knows no others. */
static void
test_other_ca(void **state)
{
	struct msg_ocsp_sign_req	 m;
	const struct key		*other;

	request(&m, 0, CERT_GOOD);
	m.name_hash.data[0] ^= 1;
	assert_int_equal(refusal(&m), R_KEY_OCSP_FORM);
	m.status = CERT_UNKNOWN;
	assert_int_equal(refusal(&m), R_OK);
	request(&m, 1, CERT_REVOKED);
	m.key_hash.data[31] ^= 1;
	assert_int_equal(refusal(&m), R_KEY_OCSP_FORM);
	/* no issuing CA of its generation; then one with another key */
	other = test_key("ocsp-2", KEY_OCSP, KEY_P256);
	assert_non_null(other);
	request(&m, 0, CERT_GOOD);
	m.key = key_id(other);
	assert_int_equal(refusal(&m), R_KEY_OCSP_FORM);
	assert_non_null(test_key("issuing-2", KEY_ISSUING, KEY_P256));
	assert_int_equal(refusal(&m), R_KEY_OCSP_FORM);
}

#define T(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)
#define T384(f)	cmocka_unit_test_setup_teardown(f, setup_p384, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_status), T384(test_status), T(test_nonce),
		T(test_no_reason), T(test_form), T(test_other_ca),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
