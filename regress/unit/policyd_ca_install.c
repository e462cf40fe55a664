/*
 * An authority whose root is put away: the request comes out, and of what
 * comes back only a root and an issuing CA over our key, as every verifier
 * will look at them, are taken; each other is refused with the check.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "policyd_authority.h"

/* What a root elsewhere may sign; the defaults are right. */
struct paper {
	const char	*subject;	/* CN, after O=ACME */
	const char	*issuer;
	const char	*basic, *usage;
	const char	*more;		/* another extension: OID:value */
	uint64_t	 from, until;
	EVP_PKEY	*key, *by;
	const char	*md;
	bool		 other_org;
};

static EVP_PKEY	*top, *other, *small;
static char	 pem[65536];
static X509	*again;		/* the same root, not signed anew */
static struct why why;

static void
add_name(X509_NAME *n, const char *cn, bool other_org)
{
	X509_NAME_add_entry_by_txt(n, "O", MBSTRING_UTF8,
	    (const unsigned char *)(other_org ? "ACMF" : "ACME"), -1, -1, 0);
	X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_UTF8,
	    (const unsigned char *)cn, -1, -1, 0);
}

static X509 *
write_paper(const struct paper *p)
{
	X509		*x = X509_new();
	X509_NAME	*n = X509_NAME_new();
	EVP_MD		*md = EVP_MD_fetch(NULL, p->md, NULL);
	X509V3_CTX	 ctx;
	X509_EXTENSION	*e;

	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 77);
	add_name(n, p->subject, p->other_org);
	X509_set_subject_name(x, n);
	X509_NAME_free(n);
	n = X509_NAME_new();
	add_name(n, p->issuer, false);
	X509_set_issuer_name(x, n);
	X509_NAME_free(n);
	x509_time_set(X509_getm_notBefore(x), p->from);
	x509_time_set(X509_getm_notAfter(x), p->until);
	X509_set_pubkey(x, p->key);
	if (p->basic != NULL)
		fake_ext(x, NID_basic_constraints, p->basic);
	if (p->usage != NULL)
		fake_ext(x, NID_key_usage, p->usage);
	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, NID_subject_key_identifier, "hash");
	X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
	if (p->more != NULL) {
		e = X509V3_EXT_conf(NULL, &ctx, "1.2.3.4", p->more);
		assert_non_null(e);
		X509_add_ext(x, e, -1);
		X509_EXTENSION_free(e);
	}
	assert_true(X509_sign(x, p->by, md) > 0);
	EVP_MD_free(md);
	return x;
}

/* RFC 5280, 4.2.1.1: strict verifiers want it of all but the root. */
static void
add_akid(X509 *x, X509 *by, const struct paper *p)
{
	EVP_MD		*md = EVP_MD_fetch(NULL, p->md, NULL);
	X509_EXTENSION	*e;
	X509V3_CTX	 ctx;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, by, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, NID_authority_key_identifier,
	    "keyid");
	X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
	assert_true(X509_sign(x, p->by, md) > 0);
	EVP_MD_free(md);
}

static void
root_of(struct paper *p)
{
	*p = (struct paper){ "Root", "Root", "critical,CA:TRUE,pathlen:2",
	    "critical,keyCertSign,cRLSign", NULL, START - DAY,
	    START + 7300 * DAY, top, top, "SHA256", false };
}

static EVP_PKEY *
issuing_key(void)
{
	unsigned	i;

	for (i = 0; i < fake.nkeys; i++)
		if (strncmp(fake.labels[i], "issuing-", 8) == 0 &&
		    i + 1 >= fake.nkeys)
			return fake.keys[i];
	for (i = fake.nkeys; i-- > 0;)
		if (strncmp(fake.labels[i], "issuing-", 8) == 0)
			return fake.keys[i];
	abort();
}

static void
issuing_of(struct paper *p, const char *cn)
{
	*p = (struct paper){ cn, "Root", "critical,CA:TRUE,pathlen:0",
	    "critical,keyCertSign,cRLSign", NULL, START - DAY,
	    START + 1825 * DAY, issuing_key(), top, "SHA256", false };
}

static void
pem_of(const struct paper *r, const struct paper *i, bool issuing_first)
{
	X509	*x[2] = { again != NULL ? again : write_paper(r),
		    write_paper(i) };
	BIO	*b = BIO_new(BIO_s_mem());
	char	*text;
	long	 n;

	add_akid(x[1], x[0], i);
	PEM_write_bio_X509(b, x[issuing_first]);
	PEM_write_bio_X509(b, x[!issuing_first]);
	n = BIO_get_mem_data(b, &text);
	memcpy(pem, text, (size_t)n);
	pem[n] = '\0';
	BIO_free(b);
	if (again == NULL)
		X509_free(x[0]);
	X509_free(x[1]);
}

static enum reason
install(void)
{
	enum reason	r;

	made = 0;
	r = ca_install(pem, strlen(pem), "test", on_made, NULL, &why);
	pump();
	return r;
}

static void
waits(void)
{
	keyd_up();
	assert_int_equal(init(true), R_OK);
	pump();
	assert_int_equal(made, 1);
	assert_int_equal(made_why.reason, R_OK);
}

static void
assert_issues(unsigned generation)
{
	const struct ca	*c = ca_current(&why);

	assert_int_equal(why.reason, R_OK);
	assert_int_equal(c->generation, generation);
	assert_true(c->up);
	assert_true(c->ocsp_len > 0);
}

/* ---- the good way ---- */

static unsigned	csr_generation;
static size_t	csr_len;

static void
got_csr(const uint8_t *der, size_t len, const struct why *w, void *arg)
{
	csr_len = der == NULL ? 0 : len;
	why = *w;
}

static void
test_offline(void **state)
{
	struct paper	r, i;

	enrold_start();
	waits();
	assert_null(ca_current(&why));
	assert_int_equal(why.reason, R_CRT_CA_WAITS);
	assert_int_equal(fake.ncerts, 0);
	assert_int_equal(enrold.cas, 0);
	ca_csr(&csr_generation, got_csr, NULL);
	pump();
	assert_int_equal(csr_generation, 1);
	assert_int_equal(csr_len, 3);
	assert_int_equal(init(false), R_CRT_CA_EXISTS);
	assert_int_equal(init(true), R_OK);	/* asked again */
	pump();
	root_of(&r);
	issuing_of(&i, "ACME Issuing CA 1");
	pem_of(&r, &i, false);
	assert_int_equal(install(), R_OK);
	assert_int_equal(made, 1);
	assert_int_equal(made_why.reason, R_OK);
	assert_issues(1);
	assert_int_equal(service.profiles[CA_ROOT], 0);
	assert_int_equal(service.profiles[CA_ISSUING], 0);
	assert_int_equal(enrold.cas, 1);
	assert_int_equal(ca_byslot(0)->root_generation, 1);
	assert_int_equal(install(), R_CRT_NO_CA);	/* nothing waits */
	ca_csr(&csr_generation, got_csr, NULL);
	assert_int_equal(why.reason, R_CRT_NO_CA);
	/* It is the same after a restart. */
	fake_stop();
	store_close();
	policyd_up();
	keyd_up();
	assert_issues(1);
}

static void
test_any_order(void **state)
{
	struct paper	r, i;

	waits();
	root_of(&r);
	issuing_of(&i, "ACME Issuing CA 1");
	r.basic = "critical,CA:TRUE";		/* no limit is one of 1, too */
	pem_of(&r, &i, true);
	assert_int_equal(install(), R_OK);
	assert_issues(1);
}

/* A root that certifies no other root, as they were made before. */
static void
test_short_path(void **state)
{
	struct paper	r, i;

	waits();
	root_of(&r);
	issuing_of(&i, "ACME Issuing CA 1");
	r.basic = "critical,CA:TRUE,pathlen:1";
	pem_of(&r, &i, false);
	assert_int_equal(install(), R_OK);
	assert_issues(1);
}

/* The next one, under the same root and then under another. */
static void
test_rollover(void **state)
{
	struct paper	r, i;

	waits();
	root_of(&r);
	again = write_paper(&r);
	issuing_of(&i, "ACME Issuing CA 1");
	pem_of(&r, &i, false);
	assert_int_equal(install(), R_OK);
	assert_int_equal(ca_rollover(false, "test", on_made, NULL, &why),
	    R_OK);
	pump();
	assert_issues(1);			/* goes on meanwhile */
	assert_int_equal(ca_rollover(false, "test", on_made, NULL, &why),
	    R_CRT_CA_WAITS);
	issuing_of(&i, "ACME Issuing CA 2");
	pem_of(&r, &i, false);
	assert_int_equal(install(), R_OK);
	assert_issues(2);
	assert_int_equal(ca_byslot(1)->root_generation, 1);
	assert_int_equal(ca_byslot(0)->state, CA_OLD);
	assert_int_equal(ca_rollover(true, "test", on_made, NULL, &why), R_OK);
	pump();
	X509_free(again);
	again = NULL;
	root_of(&r);
	issuing_of(&i, "ACME Issuing CA 3");
	r.key = r.by = i.by = other;
	pem_of(&r, &i, false);
	assert_int_equal(install(), R_OK);
	assert_issues(3);
	assert_int_equal(ca_byslot(2)->root_generation, 2);
}

static void
test_killed(void **state)
{
	struct paper	r, i;
	unsigned	at;

	for (at = 1; at <= 5; at++) {
		authority_teardown(state);
		authority_setup(state);
		waits();
		root_of(&r);
		issuing_of(&i, "ACME Issuing CA 1");
		pem_of(&r, &i, false);
		fake.calls = 0;
		fake.die_after = at;
		assert_int_equal(install(), R_OK);
		fake.die_after = 0;
		fake_stop();
		store_close();
		policyd_up();
		keyd_up();
		later(600000);
		assert_issues(1);
	}
}

/* ---- refusals ---- */

static void
refused(const char *field, const char *seen)
{
	assert_int_equal(install(), R_CRT_CHAIN);
	assert_string_equal(why.field, field);
	if (seen != NULL)
		assert_string_equal(why.seen, seen);
	assert_int_equal(made, 0);
	assert_null(ca_current(&why));
	assert_int_equal(why.reason, R_CRT_CA_WAITS);
}

static void
test_refused_form(void **state)
{
	struct paper	 r, i;
	X509		*x;
	BIO		*b;
	char		*text;
	size_t		 n;

	pem[0] = '\0';
	assert_int_equal(install(), R_CRT_NO_CA);	/* nothing waits */
	waits();
	refused("certificates", "0");
	snprintf(pem, sizeof(pem), "hello\n");
	refused("certificates", "0");
	root_of(&r);
	issuing_of(&i, "ACME Issuing CA 1");
	pem_of(&r, &i, false);
	n = strlen(pem);
	text = strstr(pem + 10, "-----BEGIN");
	*text = '\0';
	refused("certificates", "1");
	pem_of(&r, &i, false);
	n = strlen(pem);
	memmove(pem + n, pem, n + 1);
	pem[2 * n] = '\0';
	refused("certificates", "4");
	pem_of(&r, &i, false);
	memset(strstr(pem, "MII"), 'A', 8);
	assert_int_equal(install(), R_CRT_CHAIN);
	/* A private key among them is wiped and refused. */
	b = BIO_new(BIO_s_mem());
	PEM_write_bio_PrivateKey(b, top, NULL, NULL, 0, NULL, NULL);
	x = write_paper(&r);
	PEM_write_bio_X509(b, x);
	X509_free(x);
	n = (size_t)BIO_get_mem_data(b, &text);
	memcpy(pem, text, n);
	pem[n] = '\0';
	BIO_free(b);
	refused("PEM label", "PRIVATE KEY");
}

struct defect {
	const char	*field, *seen;
	/* NULL or 0: as it should be */
	const char	*root_basic, *basic, *root_usage, *usage, *more, *cn,
			*issuer;
	uint64_t	 from, until, root_from, root_until;
	const char	*md;
	int		 key;	/* 1 another key in it, 2 signed by another,
				   3 a weak root, 4 O of another, 5 root not
				   self-signed */
};

static const struct defect defects[] = {
	{ .field = "issuing CA, public key", .key = 1 },
	{ .field = "issuing CA, signature", .key = 2 },
	{ .field = "root, key", .key = 3 },
	{ .field = "subject", .key = 4 },
	{ .field = "root", .key = 5 },
	{ .field = "issuing CA, issuer", .issuer = "Ruth" },
	{ .field = "subject", .cn = "ACME Issuing CA 2" },
	{ .field = "root, basicConstraints",
	    .root_basic = "critical,CA:FALSE" },
	{ .field = "root, basicConstraints", .root_basic = "none" },
	{ .field = "root, keyUsage", .root_usage = "critical,keyCertSign" },
	{ .field = "root, pathLenConstraint", .seen = "0",
	    .root_basic = "critical,CA:TRUE,pathlen:0" },
	{ .field = "issuing CA, basicConstraints",
	    .basic = "critical,CA:FALSE" },
	{ .field = "issuing CA, basicConstraints", .basic = "none" },
	{ .field = "issuing CA, pathLenConstraint", .seen = "none",
	    .basic = "critical,CA:TRUE" },
	{ .field = "issuing CA, pathLenConstraint", .seen = "1",
	    .basic = "critical,CA:TRUE,pathlen:1" },
	{ .field = "issuing CA, keyUsage",
	    .usage = "critical,digitalSignature" },
	{ .field = "issuing CA, keyUsage", .usage = "critical,keyCertSign" },
	{ .field = "issuing CA, keyUsage", .usage = "none" },
	{ .field = "issuing CA, extensions", .more = "critical,DER:0500" },
	{ .field = "issuing CA, validity", .seen = "not yet valid",
	    .from = 10 },
	{ .field = "issuing CA, validity", .seen = "ends after it",
	    .until = 8000 },
	{ .field = "root, validity", .seen = "not yet valid",
	    .root_from = 10 },
	{ .field = "issuing CA, signature", .md = "SHA1" },
	/* what OpenSSL's strict verification says beyond */
	{ .field = "chain", .basic = "CA:TRUE,pathlen:0" },
};

static void
spoil(const struct defect *d, struct paper *r, struct paper *i)
{
	const char	*none = NULL;

	root_of(r);
	issuing_of(i, d->cn != NULL ? d->cn : "ACME Issuing CA 1");
#define PUT(to, from)							\
	do {								\
		if ((from) != NULL)					\
			(to) = strcmp(from, "none") == 0 ? none : (from); \
	} while (0)
	PUT(r->basic, d->root_basic);
	PUT(r->usage, d->root_usage);
	PUT(i->basic, d->basic);
	PUT(i->usage, d->usage);
	PUT(i->more, d->more);
	PUT(i->issuer, d->issuer);
	PUT(i->md, d->md);
	if (d->from != 0)
		i->from = START + d->from * DAY;
	if (d->until != 0)
		i->until = START + d->until * DAY;
	if (d->root_from != 0)
		r->from = START + d->root_from * DAY;
	if (d->key == 1)
		i->key = other;
	else if (d->key == 2)
		i->by = other;
	else if (d->key == 3)
		r->key = r->by = i->by = small;
	else if (d->key == 4)
		i->other_org = true;
	else if (d->key == 5)
		r->by = other;
}

static void
test_refused(void **state)
{
	struct paper	r, i;
	size_t		n;

	waits();
	for (n = 0; n < sizeof(defects) / sizeof(defects[0]); n++) {
		spoil(&defects[n], &r, &i);
		pem_of(&r, &i, n % 2 == 0);
		refused(defects[n].field, defects[n].seen);
	}
	/* And none of it stands in the way of the right ones. */
	root_of(&r);
	issuing_of(&i, "ACME Issuing CA 1");
	pem_of(&r, &i, false);
	assert_int_equal(install(), R_OK);
	assert_issues(1);
}

/* Expired; but with a clock that is unset nobody can say so. */
static void
test_refused_window(void **state)
{
	struct paper	r, i;

	waits();
	root_of(&r);
	issuing_of(&i, "ACME Issuing CA 1");
	i.from = START - 20 * DAY;
	i.until = START - 10 * DAY;
	pem_of(&r, &i, false);
	refused("issuing CA, validity", "expired");
	r.from = i.from;
	r.until = i.until;
	pem_of(&r, &i, false);
	refused("root, validity", "expired");
	i.until = START + DAY;
	r.until = START + DAY;
	i.from = START + DAY / 2;
	pem_of(&r, &i, false);
	refused("issuing CA, validity", "not yet valid");
	clock_is_unset = true;
	assert_int_equal(install(), R_OK);
}

static int
make_keys(void **state)
{
	top = EVP_EC_gen("P-384");
	other = EVP_EC_gen("P-256");
	small = EVP_EC_gen("P-192");
	return top == NULL || other == NULL || small == NULL ? -1 : 0;
}

static int
free_keys(void **state)
{
	EVP_PKEY_free(top);
	EVP_PKEY_free(other);
	EVP_PKEY_free(small);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_offline),
		T(test_any_order), T(test_short_path),
		T(test_rollover),
		T(test_killed),
		T(test_refused_form),
		T(test_refused),
		T(test_refused_window),
	};

	return cmocka_run_group_tests_name("policyd_ca_install", tests,
	    make_keys, free_keys);
}
