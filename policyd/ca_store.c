/* The authority's rows in the store. */
#include <string.h>

#include "ca.h"
#include "clock.h"

static void
row_cert(sqlite3_stmt *st, struct ca_cert *c)
{
	c->serial_len = store_blob(st, 0, c->serial, sizeof(c->serial));
	c->not_before = (uint64_t)sqlite3_column_int64(st, 1);
	c->not_after = (uint64_t)sqlite3_column_int64(st, 2);
	c->len = store_blob(st, 3, c->der, sizeof(c->der));
	c->algorithm = (uint32_t)sqlite3_column_int64(st, 4);
}

bool
ca_store_cert(enum ca_profile profile, unsigned generation,
    uint32_t algorithm, const uint8_t *names, struct ca_cert *out)
{
	static struct store_sql	 get = STORE_SQL("SELECT serial, not_before,"
	    " not_after, certificate, algorithm FROM ca WHERE profile = ?1 AND"
	    " generation = ?2 AND certificate IS NOT NULL AND"
	    " (?4 = x'' OR (algorithm = ?3 AND names = ?4))"
	    " ORDER BY id DESC LIMIT 1");
	sqlite3_stmt		*st = store_stmt(&get);
	bool			 found;

	memset(out, 0, sizeof(*out));
	store_bind(st, "iiib", (int64_t)profile, (int64_t)generation,
	    (int64_t)algorithm, names,
	    names == NULL ? (size_t)0 : (size_t)HASH_LEN);
	if ((found = store_row(st) == 1))
		row_cert(st, out);
	sqlite3_reset(st);
	return found;
}

/* ---- generations ---- */

static void
load_one(struct ca *c)
{
	struct ca_cert	cert;

	if (c->root_generation != 0 && ca_store_cert(CA_ROOT,
	    c->root_generation, 0, NULL, &cert)) {
		c->root_len = cert.len;
		memcpy(c->root, cert.der, cert.len);
		c->root_not_after = cert.not_after;
		c->root_not_before = cert.not_before;
	}
	if (ca_store_cert(CA_CROSS, c->root_generation, 0, NULL, &cert))
		ca_take_cross(c, &cert);
	if (ca_store_cert(CA_ISSUING, c->generation, 0, NULL, &cert))
		ca_take_issuing(c, &cert);
	if (ca_store_cert(CA_OCSP, c->generation, 0, NULL, &cert))
		ca_take_ocsp(c, &cert);
}

void
ca_store_load(struct ca cas[ENROL_CAS])
{
	static struct store_sql	 get = STORE_SQL("SELECT generation, slot,"
	    " algorithm, root, offline, state FROM authority"
	    " WHERE state <> 3 ORDER BY generation");
	sqlite3_stmt		*st = store_stmt(&get);
	struct ca		*c;
	int64_t			 slot;
	unsigned		 i;

	while (store_row(st) == 1) {
		slot = sqlite3_column_int64(st, 1);
		if (slot < 0 || slot >= ENROL_CAS ||
		    cas[slot].generation != 0)
			fatalx("store: an issuing CA has slot %lld",
			    (long long)slot);
		c = &cas[slot];
		c->slot = (unsigned)slot;
		c->generation = (unsigned)sqlite3_column_int64(st, 0);
		c->algorithm = (uint32_t)sqlite3_column_int64(st, 2);
		c->root_generation = (unsigned)sqlite3_column_int64(st, 3);
		c->offline = sqlite3_column_int64(st, 4) != 0;
		c->state = (enum ca_state)sqlite3_column_int64(st, 5);
	}
	for (i = 0; i < ENROL_CAS; i++)
		if (cas[i].generation != 0)
			load_one(&cas[i]);
}

static unsigned
store_max(struct store_sql *q)
{
	sqlite3_stmt	*st = store_stmt(q);
	unsigned	 n = 0;

	if (store_row(st) == 1)
		n = (unsigned)sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return n;
}

unsigned
ca_store_last(void)
{
	static struct store_sql	 get = STORE_SQL(
	    "SELECT coalesce(max(generation), 0) FROM authority");

	return store_max(&get);
}

unsigned
ca_store_last_root(void)
{
	static struct store_sql	 get = STORE_SQL("SELECT max("
	    "(SELECT coalesce(max(root), 0) FROM authority),"
	    "(SELECT coalesce(max(generation), 0) FROM ca WHERE profile = 0))");

	return store_max(&get);
}

enum reason
ca_store_add(const struct ca *c)
{
	static struct store_sql	 put = STORE_SQL(
	    "INSERT INTO authority VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)");
	static struct store_sql	 crl = STORE_SQL(
	    "INSERT INTO crl VALUES (?1, 0, 0, 0, 0, 0, NULL)");
	sqlite3_stmt		*st = store_stmt(&put);
	enum reason		 r;

	store_bind(st, "iiiiiii", (int64_t)c->generation, (int64_t)c->slot,
	    (int64_t)c->algorithm, (int64_t)c->root_generation,
	    (int64_t)c->offline, (int64_t)c->state,
	    (int64_t)clock_trusted());
	if ((r = store_write(st)) != R_OK)
		return r;
	st = store_stmt(&crl);
	store_bind(st, "i", (int64_t)c->generation);
	return store_write(st);
}

enum reason
ca_store_state(const struct ca *c)
{
	static struct store_sql	 put = STORE_SQL("UPDATE authority SET"
	    " root = ?2, state = ?3, since = ?4 WHERE generation = ?1");
	sqlite3_stmt		*st = store_stmt(&put);

	store_bind(st, "iiii", (int64_t)c->generation,
	    (int64_t)c->root_generation, (int64_t)c->state,
	    (int64_t)clock_trusted());
	return store_write(st);
}

/* ---- certificates ---- */

static struct store_sql	insert = STORE_SQL("INSERT INTO ca (profile,"
    " generation, algorithm, names, serial, public, not_before, not_after,"
    " requested, certificate) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9,"
    " ?10)");

enum reason
ca_store_intent(struct ca_intent *i)
{
	sqlite3_stmt	*st = store_stmt(&insert);
	enum reason	 r;

	serial_draw(i->serial);
	store_bind(st, "iiibbbiiin", (int64_t)i->profile,
	    (int64_t)i->generation, (int64_t)i->key->algorithm, i->names,
	    i->names == NULL ? (size_t)0 : (size_t)HASH_LEN, i->serial,
	    sizeof(i->serial), i->key->public, i->key->len,
	    (int64_t)i->not_before, (int64_t)i->not_after,
	    (int64_t)clock_trusted());
	if ((r = store_write(st)) == R_OK)
		i->id = sqlite3_last_insert_rowid(store_db());
	return r;
}

void
ca_store_forget(int64_t id)
{
	static struct store_sql	 del = STORE_SQL("DELETE FROM ca"
	    " WHERE id = ?1 AND certificate IS NULL");
	sqlite3_stmt		*st = store_stmt(&del);

	store_bind(st, "i", id);
	(void)store_write(st);
}

enum reason
ca_store_fill(int64_t id, const uint8_t *der, size_t len)
{
	static struct store_sql	 put = STORE_SQL(
	    "UPDATE ca SET certificate = ?2 WHERE id = ?1");
	sqlite3_stmt		*st = store_stmt(&put);

	store_bind(st, "ib", id, der, len);
	return store_write(st);
}

enum reason
ca_store_put(enum ca_profile profile, unsigned generation,
    const struct ca_key *k, const struct ca_cert *c)
{
	sqlite3_stmt	*st = store_stmt(&insert);

	store_bind(st, "iiibbbiiib", (int64_t)profile, (int64_t)generation,
	    k == NULL ? (int64_t)0 : (int64_t)k->algorithm, NULL, (size_t)0,
	    c->serial, c->serial_len, k == NULL ? NULL : k->public,
	    k == NULL ? (size_t)0 : k->len, (int64_t)c->not_before,
	    (int64_t)c->not_after, (int64_t)clock_trusted(), c->der, c->len);
	return store_write(st);
}

unsigned
ca_store_find_root(const uint8_t *der, size_t len)
{
	static struct store_sql	 get = STORE_SQL("SELECT generation FROM ca"
	    " WHERE profile = 0 AND certificate = ?1");
	sqlite3_stmt		*st = store_stmt(&get);
	unsigned		 n = 0;

	store_bind(st, "b", der, len);
	if (store_row(st) == 1)
		n = (unsigned)sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return n;
}

bool
ca_store_issued(unsigned generation, const uint8_t *serial, size_t len)
{
	static struct store_sql	 get = STORE_SQL("SELECT 1 FROM ca WHERE"
	    " serial = ?1 AND generation = ?2 AND profile IN (2, 3) AND"
	    " certificate IS NOT NULL");
	sqlite3_stmt		*st = store_stmt(&get);
	bool			 found;

	store_bind(st, "bi", serial, len, (int64_t)generation);
	found = store_row(st) == 1;
	sqlite3_reset(st);
	return found;
}
