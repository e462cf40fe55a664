/*
 * CRLs: field by field, as verifiers take them, long, and from descriptors
 * that are not what they should be or change meanwhile.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/mman.h>

#include <errno.h>

#include "keyd_ca.h"
#include "x509time.h"

#define ROW	25

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

static void
row_make(uint8_t *row, uint64_t serial, uint64_t when, uint8_t reason)
{
	unsigned	 i;

	memset(row, 0, ROW);
	row[0] = 0x91;
	for (i = 0; i < 8; i++) {
		row[8 + i] = (uint8_t)(serial >> (56 - 8 * i));
		row[16 + i] = (uint8_t)(when >> (56 - 8 * i));
	}
	row[24] = reason;
}

static int
rows_fd(const void *rows, size_t len)
{
	int	 fd = memfd_create("rows", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd != -1);
	assert_int_equal(pwrite(fd, rows, len, 0), len);
	return fd;
}

static void
request(struct msg_crl_req *m, uint32_t count)
{
	*m = (struct msg_crl_req){ .issuer = key_id(ca_issuing),
	    .number = 0x80, .this_update = NOW, .next_update = NOW + DAY,
	    .count = count };
}

/* What dispatch_ca.c does with it. The descriptor stays open. */
static enum reason
list(const struct msg_crl_req *m, int fd, X509_CRL **out)
{
	struct test_signed	 s = { .calls = 0 };
	struct crl		 crl;
	struct why		 w;
	const uint8_t		*p, *map;

	if (crl_build(m, key_byid(m->issuer), fd, &crl, &w) == -1) {
		assert_null(crl.buf);
		return w.reason;
	}
	key_sign(key_byid(m->issuer), crl.buf + crl.at, crl.len,
	    test_signed_cb, &s);
	assert_int_equal(crl_finish(&crl, key_curve(ca_issuing), &s.sig), 0);
	assert_int_equal(crl_write(&crl, fd), 0);
	assert_int_equal(lseek(fd, 0, SEEK_END), crl.len);
	map = mmap(NULL, crl.len, PROT_READ, MAP_SHARED, fd, 0);
	assert_true(map != MAP_FAILED);
	assert_memory_equal(map, crl.buf + crl.at, crl.len);
	p = map;
	assert_true(der_strict(map, crl.len));
	*out = d2i_X509_CRL(NULL, &p, (long)crl.len);
	assert_non_null(*out);
	assert_ptr_equal(p, map + crl.len);
	munmap((void *)(uintptr_t)map, crl.len);
	crl_free(&crl);
	return R_OK;
}

/* ---- what is in it --------------------------------------------------- */

static void
has_extensions(const STACK_OF(X509_EXTENSION) *exts, const char *want)
{
	BIO		*b = BIO_new(BIO_s_mem());
	X509_EXTENSION	*e;
	char		 got[512];
	int		 i, n, nid;

	for (i = 0; i < sk_X509_EXTENSION_num(exts); i++) {
		e = sk_X509_EXTENSION_value(exts, i);
		nid = OBJ_obj2nid(X509_EXTENSION_get_object(e));
		BIO_printf(b, "%s%s: ", X509_EXTENSION_get_critical(e) ?
		    "critical " : "", OBJ_nid2sn(nid));
		if (nid != NID_authority_key_identifier)
			assert_int_equal(X509V3_EXT_print(b, e, 0, 0), 1);
		BIO_printf(b, "\n");
	}
	n = BIO_read(b, got, sizeof(got) - 1);
	got[n < 0 ? 0 : n] = '\0';
	BIO_free(b);
	assert_string_equal(got, want);
}

static void
lint(X509_CRL *crl, X509 *ca)
{
	AUTHORITY_KEYID	*aki;

	assert_int_equal(X509_CRL_get_version(crl), X509_CRL_VERSION_2);
	assert_int_equal(X509_CRL_get_signature_nid(crl),
	    key_curve(ca_issuing)->sig_nid);
	assert_int_equal(X509_NAME_cmp(X509_CRL_get_issuer(crl),
	    X509_get_subject_name(ca)), 0);
	assert_int_equal(x509_time(X509_CRL_get0_lastUpdate(crl)), NOW);
	assert_int_equal(x509_time(X509_CRL_get0_nextUpdate(crl)), NOW + DAY);
	assert_int_equal(X509_CRL_verify(crl, X509_get0_pubkey(ca)), 1);
	aki = X509_CRL_get_ext_d2i(crl, NID_authority_key_identifier, NULL,
	    NULL);
	assert_non_null(aki);
	assert_int_equal(ASN1_OCTET_STRING_cmp(aki->keyid,
	    X509_get0_subject_key_id(ca)), 0);
	assert_null(aki->issuer);
	AUTHORITY_KEYID_free(aki);
}

#define URL_EXTENSIONS							\
	"authorityKeyIdentifier: \n"					\
	"crlNumber: 128\n"						\
	"critical issuingDistributionPoint: Full Name:\n"		\
	"  URI:http://ca.example.org:8080/crl/issuing-1.crl\n"

static void
test_empty(void **state)
{
	X509			*root = ca_issue_ok(CA_ROOT);
	X509			*ca = ca_issue_ok(CA_ISSUING);
	struct msg_crl_req	 m;
	X509_CRL		*crl;
	int			 fd = rows_fd("", 0);

	request(&m, 0);
	assert_int_equal(list(&m, fd, &crl), R_OK);
	close(fd);
	lint(crl, ca);
	assert_null(X509_CRL_get_REVOKED(crl));
	has_extensions(X509_CRL_get0_extensions(crl), URL_EXTENSIONS);
	X509_CRL_free(crl);
	X509_free(ca);
	X509_free(root);
}

/* One row of each reason that a CRL may have, and both forms of time. */
static void
test_rows(void **state)
{
	static const uint8_t	 reasons[] = { 0, 1, 2, 3, 4, 5, 6, 9, 10 };
	static const char *const names[] = { "Unspecified", "Key Compromise",
		"CA Compromise", "Affiliation Changed", "Superseded",
		"Cessation Of Operation", "Certificate Hold", "", "",
		"Privilege Withdrawn", "AA Compromise" };
	const size_t		 n = sizeof(reasons);
	X509			*root = ca_issue_ok(CA_ROOT);
	X509			*ca = ca_issue_ok(CA_ISSUING);
	uint8_t			 rows[sizeof(reasons) * ROW];
	STACK_OF(X509_REVOKED)	*all;
	X509_REVOKED		*r;
	struct msg_crl_req	 m;
	X509_CRL		*crl;
	char			 want[64];
	size_t			 i;
	int			 fd;

	for (i = 0; i < n; i++)
		row_make(rows + i * ROW, i, i == 8 ? 2524608000 : NOW - i,
		    reasons[i]);
	fd = rows_fd(rows, sizeof(rows));
	request(&m, (uint32_t)n);
	ca_conf.ca.url = NULL;
	assert_int_equal(list(&m, fd, &crl), R_OK);
	close(fd);
	lint(crl, ca);
	has_extensions(X509_CRL_get0_extensions(crl),
	    "authorityKeyIdentifier: \ncrlNumber: 128\n"
	    "critical issuingDistributionPoint: Only User Certificates\n\n");
	all = X509_CRL_get_REVOKED(crl);
	assert_int_equal(sk_X509_REVOKED_num(all), n);
	/* d2i_X509_CRL() leaves them in their order */
	for (i = 0; i < n; i++) {
		r = sk_X509_REVOKED_value(all, (int)i);
		assert_int_equal(ASN1_STRING_length(
		    X509_REVOKED_get0_serialNumber(r)), 16);
		assert_memory_equal(ASN1_STRING_get0_data(
		    X509_REVOKED_get0_serialNumber(r)), rows + i * ROW, 16);
		assert_int_equal(x509_time(
		    X509_REVOKED_get0_revocationDate(r)), i == 8 ?
		    2524608000 : NOW - i);
		snprintf(want, sizeof(want), "CRLReason: %s\n",
		    names[reasons[i]]);
		has_extensions(X509_REVOKED_get0_extensions(r),
		    reasons[i] == 0 ? "" : want);
	}
	X509_CRL_free(crl);
	ca_conf_reset();
	X509_free(ca);
	X509_free(root);
}

/* A verifier that looks at the CRL takes one certificate, and not another. */
static void
test_verifier(void **state)
{
	X509				*root = ca_issue_ok(CA_ROOT);
	X509				*ca = ca_issue_ok(CA_ISSUING);
	X509				*good, *bad;
	struct msg_device_cert_req	 d;
	struct msg_crl_req		 m;
	X509_CRL			*crl;
	struct why			 w;
	uint8_t				 row[ROW];
	int				 fd;

	device_request(&d);
	good = device_issue(&d, &w);
	d.serial.data[15]++;
	bad = device_issue(&d, &w);
	assert_true(good != NULL && bad != NULL);
	row_make(row, 0, NOW, CRL_KEY_COMPROMISE);
	memcpy(row, d.serial.data, 16);
	fd = rows_fd(row, ROW);
	request(&m, 1);
	assert_int_equal(list(&m, fd, &crl), R_OK);
	close(fd);
	assert_int_equal(ca_verify(root, ca, good, crl,
	    X509_PURPOSE_SSL_CLIENT), X509_V_OK);
	assert_int_equal(ca_verify(root, ca, bad, crl,
	    X509_PURPOSE_SSL_CLIENT), X509_V_ERR_CERT_REVOKED);
	X509_CRL_free(crl);
	X509_free(good);
	X509_free(bad);
	X509_free(ca);
	X509_free(root);
}

/* More rows than are read at once; the lengths of all heads grow. */
static void
test_long(void **state)
{
	static const uint32_t	 counts[] = { 1, 2, 3, 1023, 1024, 1025, 1800,
				    20000 };
	X509			*root = ca_issue_ok(CA_ROOT);
	X509			*ca = ca_issue_ok(CA_ISSUING);
	struct msg_crl_req	 m;
	X509_CRL		*crl;
	X509_REVOKED		*r;
	uint8_t			*rows;
	uint32_t		 i, k;
	int			 fd;

	for (k = 0; k < sizeof(counts) / sizeof(counts[0]); k++) {
		rows = calloc(counts[k], ROW);
		assert_non_null(rows);
		for (i = 0; i < counts[k]; i++)
			row_make(rows + (size_t)i * ROW, i, NOW, 1);
		fd = rows_fd(rows, (size_t)counts[k] * ROW);
		request(&m, counts[k]);
		assert_int_equal(list(&m, fd, &crl), R_OK);
		close(fd);
		lint(crl, ca);
		assert_int_equal(sk_X509_REVOKED_num(X509_CRL_get_REVOKED(
		    crl)), counts[k]);
		r = sk_X509_REVOKED_value(X509_CRL_get_REVOKED(crl),
		    (int)counts[k] - 1);
		assert_memory_equal(ASN1_STRING_get0_data(
		    X509_REVOKED_get0_serialNumber(r)),
		    rows + (size_t)(counts[k] - 1) * ROW, 16);
		X509_CRL_free(crl);
		free(rows);
	}
	X509_free(ca);
	X509_free(root);
}

/* ---- what is refused ------------------------------------------------- */

static void
refused(const void *rows, size_t len, uint32_t count)
{
	struct msg_crl_req	 m;
	X509_CRL		*crl;
	int			 fd = rows_fd(rows, len);

	request(&m, count);
	assert_int_equal(list(&m, fd, &crl), R_KEY_CRL_FORM);
	close(fd);
}

static void
test_form(void **state)
{
	static const uint8_t	bad[] = { 7, 8, 11, 0x80, 0xff };
	uint8_t			rows[2 * ROW];
	size_t			i;

	row_make(rows, 1, NOW, 0);
	row_make(rows + ROW, 2, NOW, 0);
	refused(rows, 2 * ROW, 1);
	refused(rows, 2 * ROW, 3);
	refused(rows, 2 * ROW - 1, 2);
	refused(rows, 2 * ROW, 0);
	refused(rows, 2 * ROW, UINT32_MAX);
	for (i = 0; i < sizeof(bad); i++) {
		rows[2 * ROW - 1] = bad[i];
		refused(rows, 2 * ROW, 2);
	}
	row_make(rows + ROW, 2, 253402300800, 0);
	refused(rows, 2 * ROW, 2);
	row_make(rows + ROW, 2, UINT64_MAX, 0);
	refused(rows, 2 * ROW, 2);
	row_make(rows + ROW, 2, NOW, 0);
	memset(rows + ROW, 0, 16);
	refused(rows, 2 * ROW, 2);
}

static void
test_descriptor(void **state)
{
	static const int	 seals[] = { F_SEAL_WRITE, F_SEAL_GROW,
				    F_SEAL_SHRINK };
	struct msg_crl_req	 m;
	X509_CRL		*crl;
	uint8_t			 row[ROW];
	char			 path[] = "/var/tmp/crl.XXXXXX";
	size_t			 i;
	int			 fd, fds[2];

	row_make(row, 1, NOW, 0);
	request(&m, 1);
	for (i = 0; i < sizeof(seals) / sizeof(seals[0]); i++) {
		fd = rows_fd(row, ROW);
		assert_int_equal(fcntl(fd, F_ADD_SEALS, seals[i]), 0);
		assert_int_equal(list(&m, fd, &crl), R_KEY_CRL_FORM);
		close(fd);
	}
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], row, ROW), ROW);
	assert_int_equal(list(&m, fds[0], &crl), R_KEY_CRL_FORM);
	close(fds[0]);
	close(fds[1]);
	/* A file on a disk: /var/tmp may be in memory, and then it has seals. */
	fd = mkstemp(path);
	assert_true(fd != -1);
	unlink(path);
	assert_int_equal(write(fd, row, ROW), ROW);
	if (fcntl(fd, F_GET_SEALS) == -1)
		assert_int_equal(list(&m, fd, &crl), R_KEY_CRL_FORM);
	close(fd);
	assert_int_equal(list(&m, -1, &crl), R_KEY_CRL_FORM);
}

/* What is signed is what was read, whatever is written there meanwhile. */
static void
test_changed_meanwhile(void **state)
{
	X509			*root = ca_issue_ok(CA_ROOT);
	X509			*ca = ca_issue_ok(CA_ISSUING);
	struct test_signed	 s = { .calls = 0 };
	struct msg_crl_req	 m;
	struct crl		 crl;
	struct why		 w;
	const uint8_t		*p;
	uint8_t			 row[ROW];
	X509_CRL		*x;
	int			 fd;

	row_make(row, 1, NOW, 1);
	fd = rows_fd(row, ROW);
	request(&m, 1);
	assert_int_equal(crl_build(&m, ca_issuing, fd, &crl, &w), 0);
	assert_int_equal(ftruncate(fd, 3), 0);
	assert_int_equal(pwrite(fd, "abc", 3, 0), 3);
	key_sign(ca_issuing, crl.buf + crl.at, crl.len, test_signed_cb, &s);
	assert_int_equal(crl_finish(&crl, key_curve(ca_issuing), &s.sig), 0);
	p = crl.buf + crl.at;
	x = d2i_X509_CRL(NULL, &p, (long)crl.len);
	assert_non_null(x);
	lint(x, ca);
	X509_CRL_free(x);
	assert_int_equal(crl_write(&crl, fd), 0);
	assert_int_equal(lseek(fd, 0, SEEK_END), crl.len);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);	/* and longer */
	assert_int_equal(crl_write(&crl, fd), 0);
	assert_int_equal(lseek(fd, 0, SEEK_END), crl.len);
	/* Sealed meanwhile: an error, no signal and no half of a list. */
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	assert_int_equal(crl_write(&crl, fd), -1);
	assert_int_equal(errno, EPERM);
	crl_free(&crl);
	close(fd);
	X509_free(ca);
	X509_free(root);
}

static void
test_bounds(void **state)
{
	const struct key	*others[] = { ca_root, ca_ocsp, ca_enrol };
	struct msg_crl_req	 m;
	X509_CRL		*crl;
	size_t			 i;
	int			 fd = rows_fd("", 0);

	for (i = 0; i < 3; i++) {
		request(&m, 0);
		m.issuer = key_id(others[i]);
		assert_int_equal(list(&m, fd, &crl), R_KEY_PURPOSE);
	}
	request(&m, 0);
	m.next_update = m.this_update;
	assert_int_equal(list(&m, fd, &crl), R_KEY_CERT_VALIDITY);
	m.next_update = m.this_update + DAY + 3601;
	assert_int_equal(list(&m, fd, &crl), R_KEY_CERT_VALIDITY);
	ca_conf.ca.name = NULL;
	request(&m, 0);
	assert_int_equal(list(&m, fd, &crl), R_KEY_CA_LABEL);
	ca_conf_reset();
	close(fd);
}

#define T(f)	cmocka_unit_test_setup_teardown(f, setup, test_dir_remove)
#define T384(f)	cmocka_unit_test_setup_teardown(f, setup_p384, test_dir_remove)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_empty), T384(test_empty), T(test_rows),
		T(test_verifier), T384(test_verifier), T(test_long),
		T(test_form), T(test_descriptor), T(test_changed_meanwhile),
		T(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
