/*
 * Certificates: node ids, what keyd should have answered, and every reason
 * for which a manufacturer's chain is not taken.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/pem.h>

#include "policyd_keyd.h"

#define NOW	UINT64_C(1800000000)
#define YEAR	UINT64_C(31536000)

static struct conf	config;
const struct conf	*conf = &config;
static EVP_PKEY		*root, *mid, *leaf, *other;
static uint8_t		 point[97];
static size_t		 pointlen;
static uint8_t		 serial[16] = { 0x41, 1 };
static char		 pem[65536];
static uint8_t		 out[SLOT_MAX];
static size_t		 outlen;
static struct why	 why;

void
control_event(const struct audit_row *row)
{
}

static int
make_keys(void **state)
{
	root = EVP_EC_gen("P-384");
	mid = EVP_EC_gen("P-256");
	leaf = EVP_EC_gen("P-384");
	other = EVP_EC_gen("P-256");
	pointlen = fake_point(leaf, point);
	return root == NULL || mid == NULL || leaf == NULL || other == NULL;
}

static int
free_keys(void **state)
{
	EVP_PKEY_free(root);
	EVP_PKEY_free(mid);
	EVP_PKEY_free(leaf);
	EVP_PKEY_free(other);
	return 0;
}

static X509 *
root_cert(void)
{
	return fake_x509(root, "root", root, "root", serial, NOW - YEAR,
	    NOW + 9 * YEAR, true);
}

static X509 *
mid_cert(void)
{
	return fake_x509(mid, "mid", root, "root", serial, NOW - YEAR,
	    NOW + 9 * YEAR, true);
}

static X509 *
leaf_cert(void)
{
	return fake_x509(leaf, "unit 7", mid, "mid", serial, NOW - YEAR,
	    NOW + YEAR, false);
}

/* Appends x as PEM and frees it. */
static void
add(X509 *x)
{
	BIO	*b = BIO_new(BIO_s_mem());
	char	*p;
	long	 n;

	assert_int_equal(PEM_write_bio_X509(b, x), 1);
	n = BIO_get_mem_data(b, &p);
	strncat(pem, p, (size_t)n);
	BIO_free(b);
	X509_free(x);
}

static enum reason
chain_at(uint64_t now)
{
	return cert_chain(pem, strlen(pem), point, pointlen, now, out,
	    &outlen, &why);
}

static int
start(void **state)
{
	pem[0] = '\0';
	memset(&why, 0, sizeof(why));
	return 0;
}

static const char *
subject_at(unsigned i)
{
	static struct cert_info	 info;
	const uint8_t		*p = out, *der = NULL;
	size_t			 left = outlen, len = 0;

	do
		assert_true(cert_next(&p, &left, &der, &len));
	while (i-- > 0);
	assert_int_equal(cert_read(der, len, &info), 0);
	return info.subject;
}

/* Whatever the order in the file, the slot has the root first. */
static void
test_any_order(void **state)
{
	add(mid_cert());
	add(leaf_cert());
	add(root_cert());
	assert_int_equal(chain_at(NOW), R_OK);
	assert_string_equal(subject_at(0), "CN=root");
	assert_string_equal(subject_at(1), "CN=mid");
	assert_string_equal(subject_at(2), "CN=unit 7");
	pem[0] = '\0';
	add(root_cert());
	add(mid_cert());
	add(leaf_cert());
	assert_int_equal(chain_at(NOW), R_OK);
	assert_string_equal(subject_at(2), "CN=unit 7");
}

static void
refused(enum reason want, const char *field)
{
	assert_int_equal(chain_at(NOW), want);
	assert_int_equal(why.reason, want);
	assert_string_equal(why.field, field);
}

static void
test_empty(void **state)
{
	refused(R_KEY_CHAIN_PEM, "certificates");
}

static void
test_no_pem(void **state)
{
	strcat(pem, "-----BEGIN CERTIFICATE-----\nnot base64!\n"
	    "-----END CERTIFICATE-----\n");
	refused(R_KEY_CHAIN_PEM, "PEM");
}

static void
test_no_der(void **state)
{
	strcat(pem, "-----BEGIN CERTIFICATE-----\nMAA=\n"
	    "-----END CERTIFICATE-----\n");
	refused(R_KEY_CHAIN_PEM, "certificate");
}

/* A key in the file is a mistake that the operator should hear of. */
static void
test_private_key(void **state)
{
	add(leaf_cert());
	strcat(pem, "-----BEGIN PRIVATE KEY-----\nMAA=\n"
	    "-----END PRIVATE KEY-----\n");
	refused(R_KEY_CHAIN_PEM, "PEM label");
	assert_string_equal(why.seen, "PRIVATE KEY");
}

static void
test_other_key(void **state)
{
	char	id[NODE_ID_LEN + 1];

	add(fake_x509(other, "unit 8", mid, "mid", serial, NOW - YEAR,
	    NOW + YEAR, false));
	add(mid_cert());
	add(root_cert());
	refused(R_KEY_CHAIN_LEAF, "node id of the leaf's key");
	assert_int_equal(cert_node_id(point, pointlen, id), 0);
	assert_string_equal(why.expected, id);
	assert_int_equal(strlen(why.seen), NODE_ID_LEN);
}

static void
test_no_root(void **state)
{
	add(leaf_cert());
	add(mid_cert());
	refused(R_KEY_CHAIN_GAP, "issuer");
	assert_string_equal(why.expected, "CN=root");
}

static void
test_no_intermediate(void **state)
{
	add(leaf_cert());
	add(root_cert());
	refused(R_KEY_CHAIN_GAP, "issuer");
	assert_string_equal(why.expected, "CN=mid");
}

static void
test_stranger_in_file(void **state)
{
	add(leaf_cert());
	add(mid_cert());
	add(root_cert());
	add(fake_x509(other, "stray", other, "stray", serial, NOW - YEAR,
	    NOW + YEAR, true));
	refused(R_KEY_CHAIN_GAP, "certificate");
	assert_string_equal(why.seen, "CN=stray");
}

static void
test_signature(void **state)
{
	add(fake_x509(leaf, "unit 7", other, "mid", serial, NOW - YEAR,
	    NOW + YEAR, false));
	add(mid_cert());
	add(root_cert());
	refused(R_KEY_CHAIN_VERIFY, "CN=unit 7");
}

static void
test_intermediate_no_ca(void **state)
{
	add(leaf_cert());
	add(fake_x509(mid, "mid", root, "root", serial, NOW - YEAR,
	    NOW + YEAR, false));
	add(root_cert());
	/* a certificate that may not sign issued nothing */
	refused(R_KEY_CHAIN_GAP, "issuer");
}

static void
test_leaf_is_ca(void **state)
{
	add(fake_x509(leaf, "unit 7", mid, "mid", serial, NOW - YEAR,
	    NOW + YEAR, true));
	add(mid_cert());
	add(root_cert());
	refused(R_KEY_CHAIN_VERIFY, "basicConstraints");
}

static void
test_expired(void **state)
{
	add(leaf_cert());
	add(mid_cert());
	add(root_cert());
	assert_int_equal(chain_at(NOW + 2 * YEAR), R_KEY_CHAIN_WINDOW);
	assert_string_equal(why.field, "CN=unit 7");
	assert_int_equal(chain_at(NOW - 2 * YEAR), R_KEY_CHAIN_WINDOW);
	/* without a clock nobody can say */
	assert_int_equal(chain_at(0), R_OK);
}

static void
test_too_many(void **state)
{
	unsigned	i;

	for (i = 0; i < 9; i++)
		add(root_cert());
	refused(R_KEY_CHAIN_SIZE, "certificates");
}

/* The node id: over the SubjectPublicKeyInfo as OpenSSL writes it. */
static void
test_node_id(void **state)
{
	EVP_PKEY	*keys[] = { leaf, other };
	uint8_t		 p[97], *der, hash[HASH_LEN];
	char		 id[NODE_ID_LEN + 1], want[NODE_ID_LEN + 1];
	size_t		 n;
	int		 i, k, len;

	for (k = 0; k < 2; k++) {
		der = NULL;
		len = i2d_PUBKEY(keys[k], &der);
		assert_true(len > 0);
		assert_int_equal(EVP_Q_digest(NULL, "SHA256", NULL, der,
		    (size_t)len, hash, NULL), 1);
		for (i = 0; i < NODE_ID_LEN / 2; i++)
			snprintf(want + 2 * i, 3, "%02x", hash[i]);
		n = fake_point(keys[k], p);
		assert_int_equal(cert_node_id(p, n, id), 0);
		assert_string_equal(id, want);
		OPENSSL_free(der);
	}
	p[0] = 2;
	assert_int_equal(cert_node_id(p, n, id), -1);
	assert_int_equal(cert_node_id(p, n - 1, id), -1);
}

/* Every field of a certificate of keyd's is compared. */
static void
test_check(void **state)
{
	X509			*x = leaf_cert();
	uint8_t			 der[CERT_MAX], *p = der, ca[97], wrong[97];
	size_t			 len, calen = fake_point(mid, ca);
	struct cert_want	 w, good = { .serial = serial, .point = point,
	    .pointlen = pointlen, .ca = ca, .calen = calen,
	    .not_before = NOW - YEAR, .not_after = NOW + YEAR };

	len = (size_t)i2d_X509(x, &p);
	X509_free(x);
	assert_int_equal(cert_check(der, len, &good, &why), R_OK);
	w = good;
	w.not_after++;
	assert_int_equal(cert_check(der, len, &w, &why), R_KEY_IDENTITY_CERT);
	assert_string_equal(why.field, "notAfter");
	w = good;
	w.not_before++;
	assert_int_equal(cert_check(der, len, &w, &why), R_KEY_IDENTITY_CERT);
	assert_string_equal(why.field, "notBefore");
	w = good;
	w.serial = wrong;
	memset(wrong, 0x41, sizeof(wrong));
	assert_int_equal(cert_check(der, len, &w, &why), R_KEY_IDENTITY_CERT);
	assert_string_equal(why.field, "serial");
	w = good;
	w.ca = wrong;
	w.calen = fake_point(other, wrong);
	assert_int_equal(cert_check(der, len, &w, &why), R_KEY_IDENTITY_CERT);
	assert_string_equal(why.field, "signature");
	w = good;
	w.point = wrong;
	w.pointlen = w.calen = fake_point(other, wrong);
	assert_int_equal(cert_check(der, len, &w, &why), R_KEY_IDENTITY_CERT);
	assert_string_equal(why.field, "public key");
	w = good;
	w.node = "0123456789012345678901234567890123456789";
	assert_int_equal(cert_check(der, len, &w, &why), R_KEY_IDENTITY_CERT);
	assert_string_equal(why.field, "subjectAltName");
	der[len] = 0;
	assert_int_equal(cert_check(der, len + 1, &good, &why),
	    R_KEY_IDENTITY_CERT);
	assert_int_equal(cert_check(der, len - 1, &good, &why),
	    R_KEY_IDENTITY_CERT);
}

static void
test_next_stops(void **state)
{
	const uint8_t	 junk[] = { 0x30, 0x82, 0xff, 0xff, 0 }, *p, *der;
	size_t		 left, len;

	p = junk;
	left = sizeof(junk);
	assert_false(cert_next(&p, &left, &der, &len));
	left = 3;
	assert_false(cert_next(&p, &left, &der, &len));
	left = 0;
	assert_false(cert_next(&p, &left, &der, &len));
}

#define T(f)	cmocka_unit_test_setup(f, start)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_any_order),
		T(test_empty),
		T(test_no_pem),
		T(test_no_der),
		T(test_private_key),
		T(test_other_key),
		T(test_no_root),
		T(test_no_intermediate),
		T(test_stranger_in_file),
		T(test_signature),
		T(test_intermediate_no_ca),
		T(test_leaf_is_ca),
		T(test_expired),
		T(test_too_many),
		T(test_node_id),
		T(test_check),
		T(test_next_stops),
	};

	return cmocka_run_group_tests_name("policyd_cert", tests, make_keys,
	    free_keys);
}
