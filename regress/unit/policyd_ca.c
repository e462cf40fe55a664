/*
 * The authority: complete after a kill of either side at every step, no
 * certificate without a record, nothing of keyd's taken unread; renewal,
 * rollover by hand and in time, and what enrold is told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "policyd_authority.h"

#define CALLS	10	/* of ca init: 4 keys, 4 certificates, a CRL, and RSA
			   that is refused */

/* ---- what must hold ---- */

/* Every certificate that keyd was ever asked for has its row. */
static void
assert_recorded(void)
{
	static struct store_sql	 get = STORE_SQL(
	    "SELECT profile FROM ca WHERE serial = ?1");
	sqlite3_stmt		*st;
	unsigned		 i;

	for (i = 0; i < fake.ncerts; i++) {
		st = store_stmt(&get);
		store_bind(st, "b", fake.serials[i], (size_t)16);
		assert_int_equal(store_row(st), 1);
		assert_int_equal(sqlite3_column_int64(st, 0),
		    fake.profiles[i]);
		sqlite3_reset(st);
	}
}

static X509 *
x509(const uint8_t *der, size_t len)
{
	const uint8_t	*p = der;
	X509		*x = d2i_X509(NULL, &p, (long)len);

	assert_non_null(x);
	return x;
}

static const struct ca *
assert_issues(unsigned generation)
{
	struct why	 why;
	const struct ca	*c = ca_current(&why);
	X509		*root, *issuing, *ocsp, *leaf;

	assert_int_equal(why.reason, R_OK);
	assert_non_null(c);
	assert_int_equal(c->generation, generation);
	assert_true(c->up);
	root = x509(c->root, c->root_len);
	issuing = x509(c->der, c->der_len);
	ocsp = x509(c->ocsp, c->ocsp_len);
	leaf = x509(ca_leafs()[0].cert.der, ca_leafs()[0].cert.len);
	assert_int_equal(X509_check_issued(root, root), X509_V_OK);
	assert_int_equal(X509_check_issued(root, issuing), X509_V_OK);
	assert_int_equal(X509_check_issued(issuing, ocsp), X509_V_OK);
	assert_int_equal(X509_check_issued(issuing, leaf), X509_V_OK);
	assert_int_equal(X509_get_pathlen(root), 2);
	assert_int_equal(X509_get_pathlen(issuing), 0);
	assert_true(c->not_after <= c->root_not_after);
	assert_true(c->not_before >= c->root_not_before);
	X509_free(root);
	X509_free(issuing);
	X509_free(ocsp);
	X509_free(leaf);
	assert_recorded();
	return c;
}

static unsigned
rows(const char *sql)
{
	struct store_sql q = STORE_SQL(sql);
	unsigned	 n = 0;
	sqlite3_stmt	*st;

	assert_int_equal(sqlite3_prepare_v2(store_db(), q.sql, -1, &st, NULL),
	    SQLITE_OK);
	if (sqlite3_step(st) == SQLITE_ROW)
		n = (unsigned)sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return n;
}

/* What an auditor finds of it. */
static void
assert_audited(const char *like, unsigned want)
{
	char	sql[256];

	snprintf(sql, sizeof(sql), "SELECT count(*) FROM audit WHERE text"
	    " LIKE '%s'", like);
	assert_int_equal(rows(sql), want);
}

/* ---- from nothing ---- */

static void
test_nothing(void **state)
{
	struct why	why;

	enrold_start();
	keyd_up();
	assert_int_equal(fake.calls, 0);
	assert_null(ca_current(&why));
	assert_int_equal(why.reason, R_CRT_NO_CA);
	assert_int_equal(enrold.listeners, 3);
	assert_int_equal(enrold.listener[0].leaf.len, 0);
	assert_int_equal(enrold.cas, 0);
}

static void
test_init(void **state)
{
	const struct ca	*c;
	struct why	 why;
	struct stat	 st;
	char		 path[160];

	keyd_up();
	assert_int_equal(init(false), R_OK);
	assert_int_equal(made, 0);
	pump();
	assert_int_equal(made, 1);
	assert_int_equal(made_why.reason, R_OK);
	c = assert_issues(1);
	assert_int_equal(c->root_generation, 1);
	assert_int_equal(fake.ncerts, 4);
	assert_int_equal(c->not_after - c->not_before, 1825 * DAY);
	assert_int_equal(c->root_not_after - c->root_not_before, 3650 * DAY);
	assert_int_equal(service.crls, 1);
	snprintf(path, sizeof(path), "%s/crl/issuing-1.crl", dir_path);
	assert_int_equal(stat(path, &st), 0);
	assert_audited("test: ca init, issuing CA 1", 1);
	assert_audited("key \"%-%\" made", 4);
	assert_audited("root CA 1 issued, serial %", 1);
	assert_audited("issuing CA 1 issued, serial %", 1);
	assert_audited("OCSP signer 1 issued, serial %", 1);
	assert_audited("listener leaf 1 issued, serial %", 1);
	assert_audited("issuing CA 1 issues from now on", 1);
	assert_audited("CRL 1 of issuing CA 1, 0 entries", 1);
	assert_int_equal(ca_init(false, "test", on_made, NULL, &why),
	    R_CRT_CA_EXISTS);
	assert_int_equal(init(true), R_CRT_CA_EXISTS);
}

static void
test_p384(void **state)
{
	config.ca.curve = CURVE_P384;
	keyd_up();
	assert_int_equal(init(false), R_OK);
	pump();
	assert_int_equal(assert_issues(1)->issuing_key.len, 97);
	assert_int_equal(crl_byslot(0)->number, 1);
	/* Another curve is for another root. */
	config.ca.curve = CURVE_P256;
	fake_stop();
	store_close();
	policyd_up();
	keyd_up();
	assert_int_equal(assert_issues(1)->issuing_key.len, 97);
}

/* Without keyd it waits, and is done when keyd comes. */
static void
test_init_without_keyd(void **state)
{
	assert_int_equal(init(false), R_OK);
	pump();
	later(1000);
	assert_int_equal(made, 0);
	later(61000);
	assert_int_equal(made, 1);
	assert_int_equal(made_why.reason, R_CTL_PENDING);
	assert_int_equal(init(false), R_OK);	/* asked again, not made again */
	keyd_up();
	assert_int_equal(made, 2);
	assert_int_equal(made_why.reason, R_OK);
	assert_issues(1);
	assert_int_equal(rows("SELECT count(*) FROM authority"), 1);
}

static void
test_idempotent(void **state)
{
	keyd_up();
	init(false);
	pump();
	fake_stop();
	keyd_up();
	assert_issues(1);
	assert_int_equal(fake.ncerts, 4);
	fake_stop();
	store_close();
	policyd_up();
	keyd_up();
	assert_issues(1);
	assert_int_equal(fake.ncerts, 4);
}

/* ---- kills ---- */

static void
killed_at(void **state, bool policyd, unsigned at, bool before)
{
	authority_teardown(state);
	authority_setup(state);
	fake.die_before = before ? at : 0;
	fake.die_after = before ? 0 : at;
	keyd_up();
	init(false);
	pump();
	assert_true(link_keyd == NULL || at == CALLS + 1);
	fake.die_before = fake.die_after = 0;
	if (policyd) {
		fake_stop();
		store_close();
		policyd_up();
		assert_recorded();
	} else {
		fake_stop();
		later(1000);
	}
	keyd_up();
	later(600000);
	assert_issues(1);
	assert_int_equal(rows("SELECT count(*) FROM authority"), 1);
	/* A number is never used for two CRLs. */
	assert_true(service.crls < 2 ||
	    service.numbers[0] < service.numbers[1]);
}

static void
test_keyd_killed_at_every_call(void **state)
{
	unsigned	at;

	for (at = 1; at <= CALLS + 1; at++) {
		killed_at(state, false, at, true);
		killed_at(state, false, at, false);
	}
}

static void
test_policyd_killed_at_every_call(void **state)
{
	unsigned	at;

	for (at = 1; at <= CALLS + 1; at++) {
		killed_at(state, true, at, true);
		killed_at(state, true, at, false);
	}
}

static void
make_keys(void)
{
	bool	is_new;

	(void)fake_key("root-1", KEY_ROOT, KEY_P256, &is_new);
	(void)fake_key("issuing-1", KEY_ISSUING, KEY_P256, &is_new);
	(void)fake_key("ocsp-1", KEY_OCSP, KEY_P256, &is_new);
	(void)fake_key("enrol-p256", KEY_ENROL, KEY_P256, &is_new);
}

static void
make_more_keys(void)
{
	bool	is_new;

	(void)fake_key("root-2", KEY_ROOT, KEY_P256, &is_new);
	(void)fake_key("issuing-2", KEY_ISSUING, KEY_P256, &is_new);
	(void)fake_key("ocsp-2", KEY_OCSP, KEY_P256, &is_new);
}

static void
die_making(int at)
{
	disk_install();
	disk_die_at = (unsigned)at;
	if (open_store() != R_OK)
		_exit(97);
	audit_start();
	ca_start();
	crl_start();
	keyd_up();
	init(false);
	pump();
	store_close();
}

static void
test_killed_at_every_write(void **state)
{
	int	at, st = -1;

	for (at = 1; st == -1; at++) {
		assert_true(at < 500);
		authority_teardown(state);
		authority_setup(state);
		store_close();
		make_keys();
		st = in_child(die_making, at);
		policyd_up();
		keyd_up();
		if (ca_store_last() == 0)	/* it was never asked for */
			assert_int_equal(init(false), R_OK);
		pump();
		later(600000);
		assert_issues(1);
		fake_stop();
	}
	assert_int_equal(st, 0);
	assert_true(at > 20);
}

/* ---- keyd refuses or lies ---- */

static void
test_refused(void **state)
{
	keyd_up();
	fake.refuse = R_TPM_LOCKOUT;
	init(false);
	pump();
	assert_int_equal(made, 1);
	assert_int_equal(made_why.reason, R_TPM_LOCKOUT);
	assert_string_equal(made_why.seen, "that");
	fake.calls = 0;
	later(100);
	assert_int_equal(fake.calls, 0);
	later(1000);
	assert_int_equal(fake.calls, 1);
	later(1000);			/* it backs off */
	assert_int_equal(fake.calls, 1);
	fake.refuse = R_OK;
	later(2000);
	assert_issues(1);
}

static const struct {
	enum fake_lie	 lie;
	const char	*field;
} lies[] = {
	{ LIE_SERIAL, "serial" },
	{ LIE_KEY, "public key" },
	{ LIE_WINDOW, "notAfter" },
	{ LIE_BEGIN, "notBefore" },
	{ LIE_SIGNATURE, "signature" },
	{ LIE_JUNK, "certificate" },
	{ LIE_ISSUER, "issuer" },
	{ LIE_PATHLEN, "pathLenConstraint" },
	{ LIE_PATHLEN_ISSUING, "pathLenConstraint" },
	{ LIE_EKU, "extendedKeyUsage" },
	{ LIE_LEAF_IS_CA, "basicConstraints" },
	{ LIE_PURPOSE, "key" },
	{ LIE_POINT, "key" },
};

/* What a keyd in the hands of somebody else issues is not used. */
static void
test_lies(void **state)
{
	struct why	why;
	size_t		i;

	for (i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		authority_teardown(state);
		authority_setup(state);
		fake.lie = lies[i].lie;
		enrold_start();
		keyd_up();
		init(false);
		pump();
		assert_int_equal(made, 1);
		assert_int_equal(made_why.reason, R_KEY_IDENTITY_CERT);
		assert_string_equal(made_why.field, lies[i].field);
		assert_null(ca_current(&why));
		assert_int_equal(enrold.cas, 0);
		assert_int_equal(rows("SELECT count(*) FROM audit WHERE"
		    " kind = 'refusal' AND reason = 'KEY-052'"),
		    strcmp(lies[i].field, "key") != 0);
		fake.lie = LIE_NONE;
		later(600000);
		assert_issues(1);
		assert_int_equal(enrold.cas, 1);
	}
}

static void
test_lie_of_listener(void **state)
{
	keyd_up();
	fake.lie = LIE_SAN;
	init(false);
	pump();
	assert_int_equal(ca_leafs()[0].cert.len, 0);
	assert_int_equal(ca_leafs()[0].task.why.reason, R_KEY_IDENTITY_CERT);
	assert_string_equal(ca_leafs()[0].task.why.field, "subjectAltName");
	fake.lie = LIE_SAN_OTHER;
	later(600000);
	assert_int_equal(ca_leafs()[0].cert.len, 0);
	assert_string_equal(ca_leafs()[0].task.why.field, "subjectAltName");
	fake.lie = LIE_NONE;
	later(600000);
	assert_issues(1);
}

/* Another key directory: what it would sign nobody could verify. */
static void
test_key_lost(void **state)
{
	struct why	why;

	keyd_up();
	init(false);
	pump();
	fake_stop();
	fake_forget();
	keyd_up();
	assert_null(ca_current(&why));
	assert_int_equal(why.reason, R_CRT_CA_KEY);
	assert_int_equal(fake.ncerts, 4);
	later(600000);
	assert_int_equal(fake.ncerts, 4);
}

/* ---- listeners ---- */

static void
test_listener_names(void **state)
{
	static char		other[] = "two.example.org";
	static struct conf_name	more = { .next = &server, .name = other };
	X509			*x;

	keyd_up();
	init(false);
	pump();
	fake_stop();
	store_close();
	config.ca.server = &more;
	policyd_up();
	keyd_up();
	assert_issues(1);
	assert_int_equal(service.profiles[CA_ENROL], 2);
	assert_int_equal(service.profiles[CA_ISSUING], 1);
	x = x509(ca_leafs()[0].cert.der, ca_leafs()[0].cert.len);
	assert_int_equal(X509_check_host(x, other, 0, 0, NULL), 1);
	X509_free(x);
}

/* Leaf and OCSP signer at two thirds of 90 days; no CA. */
static void
test_two_thirds(void **state)
{
	keyd_up();
	init(false);
	pump();
	later_days(59);
	assert_int_equal(fake.ncerts, 4);
	later_days(2);
	assert_int_equal(service.profiles[CA_ENROL], 2);
	assert_int_equal(service.profiles[CA_OCSP], 2);
	assert_int_equal(fake.ncerts, 6);
	assert_issues(1);
}

static void
test_rsa(void **state)
{
	struct why	why;

	keyd_up();
	init(false);
	pump();
	assert_issues(1);		/* P-256 does not wait for it */
	assert_int_equal(ca_leafs()[1].task.why.reason, R_KEY_ALGORITHM);
	assert_non_null(ca_current(&why));
	fake.no_rsa = false;
	enrold_start();
	later(600000);
	assert_int_equal(ca_leafs()[1].task.why.reason, R_OK);
	assert_true(ca_leafs()[1].cert.len > 0);
	assert_int_equal(enrold.listener[1].algorithm, KEY_RSA2048);
	assert_int_equal(enrold.listener[1].leaf.len,
	    ca_leafs()[1].cert.len);
}

/* ---- enrold ---- */

static void
test_told(void **state)
{
	const struct ca	*c;

	enrold_start();
	keyd_up();
	pump();
	assert_int_equal(enrold.profiles, 1);
	assert_string_equal(enrold.profile.name, "iot");
	init(false);
	pump();
	c = assert_issues(1);
	assert_int_equal(enrold.cas, 1);
	assert_true(enrold.ca[0].current);
	assert_int_equal(enrold.ca[0].issuing.len, c->der_len);
	assert_int_equal(enrold.ca[0].root.len, c->root_len);
	assert_int_equal(enrold.ca[0].ocsp.len, c->ocsp_len);
	assert_int_equal(enrold.listener[0].leaf.len,
	    ca_leafs()[0].cert.len);
	assert_int_equal(enrold.listener[0].issuing.len, c->der_len);
	assert_int_equal(enrold.listener[0].key, ca_leafs()[0].key.key);
	assert_int_equal(enrold.listener[2].door, DOOR_STATUS);
	assert_int_equal(enrold.crls, 1);
	later(1000);
	assert_int_equal(enrold.cas, 1);	/* once */
	chan_close(enrold.chan);
	chan_close(link_other[IPC_ENROLD]);
	enrold_start();			/* again: all of it */
	pump();
	assert_int_equal(enrold.cas, 1);
	assert_int_equal(enrold.listeners, 3);
	assert_int_equal(enrold.crls, 1);
	assert_int_equal(enrold.listener[0].leaf.len,
	    ca_leafs()[0].cert.len);
}

/* ---- rollover ---- */

static enum reason
rollover(bool root)
{
	struct why	why;
	enum reason	r;

	made = 0;
	r = ca_rollover(root, "test", on_made, NULL, &why);
	pump();
	return r;
}

static void
test_rollover(void **state)
{
	const struct ca	*c, *old;

	enrold_start();
	keyd_up();
	assert_int_equal(rollover(false), R_CRT_NO_CA);
	init(false);
	pump();
	enrold.cas = enrold.listeners = 0;
	assert_int_equal(rollover(false), R_OK);
	assert_int_equal(made, 1);
	assert_int_equal(made_why.reason, R_OK);
	c = assert_issues(2);
	old = ca_bygeneration(1);
	assert_non_null(old);
	assert_int_equal(old->state, CA_OLD);
	assert_true(old->up);
	assert_int_equal(c->root_generation, 1);
	assert_int_equal(service.profiles[CA_ROOT], 1);
	/* Both are told, and the listener's leaf is of the new one. */
	assert_true(enrold.ca[c->slot].current);
	assert_false(enrold.ca[old->slot].current);
	assert_true(enrold.ca[old->slot].issuing.len > 0);
	assert_int_equal(enrold.listener[0].issuing.len, c->der_len);
	assert_memory_equal(enrold.listener[0].issuing.data, c->der,
	    c->der_len);
	assert_true(enrold.crl[c->slot].len > 0);
	/* The old one goes when nothing of it is valid. */
	later(61000);
	assert_non_null(ca_bygeneration(1));
	issued.none_valid = true;
	later(61000);
	assert_null(ca_bygeneration(1));
	assert_int_equal(enrold.ca[0].issuing.len, 0);
	assert_audited("test: ca rollover, issuing CA 2", 1);
	assert_audited("issuing CA 2 issues from now on, the one%", 1);
	assert_audited("issuing CA 1 is gone%", 1);
	fake_stop();
	store_close();
	policyd_up();
	keyd_up();
	assert_null(ca_bygeneration(1));
	assert_issues(2);
}

static void
test_rollover_root(void **state)
{
	const struct ca	*c;

	keyd_up();
	init(false);
	pump();
	config.ca.curve = CURVE_P384;	/* the moment to change it */
	assert_int_equal(rollover(true), R_OK);
	c = assert_issues(2);
	assert_int_equal(c->root_generation, 2);
	assert_int_equal(c->algorithm, KEY_P384);
	assert_int_equal(ca_bygeneration(1)->root_generation, 1);
	assert_int_equal(rollover(false), R_OK);
	assert_int_equal(assert_issues(3)->root_generation, 2);
}

/* What stands above an issuing CA for who trusts only the root before. */
static void
assert_cross(unsigned generation)
{
	const struct ca	*c = ca_bygeneration(generation);
	struct ca_cert	 old;
	X509		*x, *root;

	assert_true(c->cross_len > 0);
	assert_true(ca_store_cert(CA_ROOT, c->root_generation - 1, 0, NULL,
	    &old));
	x = x509(c->cross, c->cross_len);
	root = x509(old.der, old.len);
	assert_int_equal(X509_verify(x, X509_get0_pubkey(root)), 1);
	X509_free(root);
	root = x509(c->root, c->root_len);
	assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(x),
	    X509_get0_pubkey(root)), 1);
	X509_free(root);
	assert_int_equal(X509_get_pathlen(x), 1);
	assert_true(c->cross_not_after <= old.not_after);
	assert_true(c->cross_not_after <= c->root_not_after);
	X509_free(x);
}

static void
test_cross(void **state)
{
	const struct ca	*c;

	enrold_start();
	keyd_up();
	init(false);
	pump();
	c = ca_bygeneration(1);
	assert_int_equal(c->cross_len, 0);
	assert_int_equal(enrold.ca[c->slot].cross.len, 0);
	assert_int_equal(rollover(false), R_OK);
	assert_int_equal(service.profiles[CA_CROSS], 0);
	config.ca.curve = CURVE_P384;
	assert_int_equal(rollover(true), R_OK);
	assert_int_equal(assert_issues(3)->root_generation, 2);
	assert_cross(3);
	assert_audited("cross certificate of root CA 2 issued, serial %", 1);
	c = ca_bygeneration(3);
	assert_int_equal(enrold.ca[c->slot].cross.len, c->cross_len);
	assert_memory_equal(enrold.ca[c->slot].cross.data, c->cross,
	    c->cross_len);
	/* The next CA below the same root has the same, across a start, too. */
	assert_int_equal(rollover(false), R_OK);
	assert_issues(4);
	assert_cross(4);
	assert_int_equal(service.profiles[CA_CROSS], 1);
	fake_stop();
	store_close();
	policyd_up();
	keyd_up();
	assert_cross(4);
	assert_int_equal(rollover(true), R_OK);
	assert_int_equal(assert_issues(5)->root_generation, 3);
	assert_cross(5);
	assert_int_equal(service.profiles[CA_CROSS], 2);
}

static uint32_t
root_key(unsigned generation)
{
	char		 label[33];
	bool		 is_new;

	snprintf(label, sizeof(label), "root-%u", generation);
	return fake_key(label, KEY_ROOT, KEY_P256, &is_new);
}

/* An old root that ended, or whose key is another now, is no obstacle. */
static void
test_cross_not_to_be_had(void **state)
{
	config.ca.root_validity = 1830 * DAY;
	keyd_up();
	init(false);
	pump();
	later_days(1831);
	assert_int_equal(rollover(true), R_OK);
	assert_int_equal(assert_issues(2)->cross_len, 0);
	assert_int_equal(service.profiles[CA_CROSS], 0);
	EVP_PKEY_free(fake.keys[root_key(2)]);
	fake.keys[root_key(2)] = EVP_EC_gen("P-256");
	fake_stop();
	keyd_up();
	assert_int_equal(rollover(true), R_OK);
	assert_int_equal(assert_issues(3)->cross_len, 0);
	assert_int_equal(service.profiles[CA_CROSS], 0);
	assert_audited("root 2 cannot certify root 3", 1);
}

/* What keyd says of it is read as everything else. */
static void
test_cross_lie(void **state)
{
	keyd_up();
	init(false);
	pump();
	fake.lie = LIE_CROSS;
	assert_int_equal(rollover(true), R_OK);
	assert_issues(1);
	assert_int_equal(ca_bygeneration(2)->cross_len, 0);
	assert_audited("cross certificate of root CA: signature", 1);
	fake.lie = LIE_NONE;
	later(600000);
	assert_issues(2);
	assert_cross(2);
}

/* Calls of a rollover of the root: 4 keys, 5 certificates, a CRL. */
#define ROOT_CALLS	10

static void
test_rollover_root_killed(void **state)
{
	unsigned	at;

	for (at = 1; at <= 2 * ROOT_CALLS; at++) {
		authority_teardown(state);
		authority_setup(state);
		keyd_up();
		init(false);
		pump();
		fake.calls = 0;
		if (at % 2 == 0)
			fake.die_before = at / 2;
		else
			fake.die_after = (at + 1) / 2;
		assert_int_equal(rollover(true), R_OK);
		fake.die_before = fake.die_after = 0;
		fake_stop();
		store_close();
		policyd_up();
		assert_recorded();
		keyd_up();
		later(600000);
		assert_int_equal(assert_issues(2)->root_generation, 2);
		assert_cross(2);
		assert_int_equal(ca_bygeneration(1)->state, CA_OLD);
	}
}

static void
die_crossing(int at)
{
	disk_install();
	if (open_store() != R_OK)
		_exit(97);
	audit_start();
	ca_start();
	crl_start();
	keyd_up();
	disk_die_at = disk_writes + (unsigned)at;
	(void)rollover(true);
	store_close();
}

static void
test_cross_killed_at_every_write(void **state)
{
	int	at, st = -1;

	for (at = 1; st == -1; at++) {
		assert_true(at < 500);
		authority_teardown(state);
		authority_setup(state);
		make_keys();
		make_more_keys();
		keyd_up();
		init(false);
		pump();
		fake_stop();
		store_close();
		st = in_child(die_crossing, at);
		policyd_up();
		keyd_up();
		if (ca_store_last() == 1)	/* it was never asked for */
			assert_int_equal(rollover(true), R_OK);
		later(600000);
		assert_issues(2);
		assert_cross(2);
		fake_stop();
	}
	assert_int_equal(st, 0);
	assert_true(at > 20);
}

/* Killed anywhere in a rollover, the old one issues until the new one can. */
static void
test_rollover_killed(void **state)
{
	unsigned	at;

	for (at = 1; at <= 8; at++) {
		authority_teardown(state);
		authority_setup(state);
		keyd_up();
		init(false);
		pump();
		fake.calls = 0;
		fake.die_after = at;
		assert_int_equal(rollover(false), R_OK);
		fake.die_after = 0;
		fake_stop();
		store_close();
		policyd_up();
		assert_true(ca_bygeneration(1)->state == CA_CURRENT ||
		    ca_bygeneration(2)->state == CA_CURRENT);
		keyd_up();
		later(600000);
		assert_issues(2);
		assert_int_equal(ca_bygeneration(1)->state, CA_OLD);
	}
}

static void
test_too_many(void **state)
{
	unsigned	i;

	keyd_up();
	init(false);
	pump();
	for (i = 2; i <= ENROL_CAS; i++)
		assert_int_equal(rollover(false), R_OK);
	assert_issues(ENROL_CAS);
	assert_int_equal(rollover(false), R_CRT_CA_MANY);
	assert_issues(ENROL_CAS);
	issued.none_valid = true;
	later(61000);
	assert_int_equal(rollover(false), R_OK);
	assert_issues(ENROL_CAS + 1);
}

static unsigned		warned;
static enum reason	warning;

static void
on_warning(const char *about, const struct why *why, void *arg)
{
	if (why->reason == R_OK || why->reason == R_KEY_ALGORITHM)
		return;
	warned++;
	warning = why->reason;
}

/* By itself, when what remains is less than what a profile gives. */
static void
test_in_time(void **state)
{
	keyd_up();
	init(false);
	pump();
	later_days(1825 - 32);
	assert_issues(1);
	later_days(3);
	assert_issues(2);
	assert_audited("issuing CA 1 is rolled over to 2", 1);
	later_days(1);
	assert_issues(2);		/* once */
	warned = 0;
	ca_warnings(on_warning, NULL);
	assert_int_equal(warned, 0);
}

/* Nothing would be won: a warning, and no endless row of CAs. */
static void
test_root_ends(void **state)
{
	config.ca.root_validity = 1830 * DAY;
	keyd_up();
	init(false);
	pump();
	later_days(1825 - 29);
	assert_issues(1);
	warned = 0;
	ca_warnings(on_warning, NULL);
	assert_int_equal(warned, 1);
	assert_int_equal(warning, R_CRT_CA_ENDS);
	/* What the warning says to do helps. */
	assert_int_equal(rollover(true), R_OK);
	later_days(1);
	assert_issues(2);
	warned = 0;
	ca_warnings(on_warning, NULL);
	assert_int_equal(warned, 0);
}

static void
test_validity_too_short(void **state)
{
	profile.validity = 4000 * DAY;
	keyd_up();
	init(false);
	pump();
	later_days(1);
	later_days(1);
	assert_issues(1);
	assert_int_equal(rows("SELECT count(*) FROM authority"), 1);
}

/* Nothing outlives what is above it: leaf, issuing CA, root. */
static void
test_within(void **state)
{
	const struct ca	*c;

	config.ca.root_validity = 60 * DAY;
	keyd_up();
	init(false);
	pump();
	c = assert_issues(1);
	assert_int_equal(c->not_after, c->root_not_after);
	assert_int_equal(c->ocsp_not_after, c->root_not_after);
	assert_int_equal(ca_leafs()[0].cert.not_after, c->root_not_after);
	later_days(50);			/* and are not made anew for nothing */
	later_days(5);
	assert_int_equal(service.profiles[CA_ENROL], 1);
	assert_int_equal(service.profiles[CA_OCSP], 1);
}

/* Past its end nothing is issued, and the reason is told. */
static void
test_expired(void **state)
{
	struct why	why;

	config.ca.root_validity = 1825 * DAY;
	keyd_up();
	init(false);
	pump();
	later_days(1826);
	assert_null(ca_current(&why));
	assert_int_equal(why.reason, R_CRT_NO_CA);
	assert_string_equal(why.seen, "expired");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_nothing),
		T(test_init),
		T(test_p384),
		T(test_init_without_keyd),
		T(test_idempotent),
		T(test_keyd_killed_at_every_call),
		T(test_policyd_killed_at_every_call),
		T(test_killed_at_every_write),
		T(test_refused),
		T(test_lies),
		T(test_lie_of_listener),
		T(test_key_lost),
		T(test_listener_names),
		T(test_two_thirds),
		T(test_rsa),
		T(test_told),
		T(test_rollover),
		T(test_rollover_root),
		T(test_rollover_killed), T(test_cross),
		T(test_cross_not_to_be_had), T(test_cross_lie),
		T(test_rollover_root_killed),
		T(test_cross_killed_at_every_write),
		T(test_too_many),
		T(test_in_time),
		T(test_root_ends),
		T(test_validity_too_short),
		T(test_within),
		T(test_expired),
	};

	return cmocka_run_group_tests_name("policyd_ca", tests, NULL, NULL);
}
