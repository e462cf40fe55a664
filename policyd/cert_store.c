/*
 * What the certificate service issued. A row is there before keyd is asked,
 * its certificate beside it afterwards, so that no certificate exists without
 * a record. state is 0 asked for, 1 issued, 2 in the hands of its client.
 */
#include <string.h>

#include "clock.h"
#include "enrol.h"
#include "hex.h"

#define LOOKED	2000	/* rows that a page which finds little looks at */
#define COUNTED	20000	/* and one that only counts */

#define COLUMNS								\
	"c.id, c.serial, c.generation, c.name, c.profile, c.address,"	\
	" c.not_before, c.not_after, c.requested, c.revoked, c.reason,"	\
	" c.auth, c.est, c.state, c.key, d.der"
#define FROM	" FROM cert c LEFT JOIN cert_der d ON d.id = c.id"

static uint64_t
column_time(sqlite3_stmt *st, int col)
{
	return (uint64_t)sqlite3_column_int64(st, col);
}

static void
row_read(sqlite3_stmt *st, struct issued *i)
{
	i->id = sqlite3_column_int64(st, 0);
	memset(i->serial, 0, sizeof(i->serial));
	store_blob(st, 1, i->serial, sizeof(i->serial));
	i->generation = (unsigned)sqlite3_column_int(st, 2);
	store_text(st, 3, i->name, sizeof(i->name));
	store_text(st, 4, i->profile, sizeof(i->profile));
	store_text(st, 5, i->address, sizeof(i->address));
	i->not_before = column_time(st, 6);
	i->not_after = column_time(st, 7);
	i->requested = column_time(st, 8);
	i->revoked = column_time(st, 9);
	i->reason = (enum crl_reason)sqlite3_column_int(st, 10);
	i->auth = (enum cert_auth)sqlite3_column_int(st, 11);
	i->est = sqlite3_column_int(st, 12) != 0;
	i->orphan = sqlite3_column_int(st, 13) < 2;
	memset(i->key, 0, sizeof(i->key));
	store_blob(st, 14, i->key, sizeof(i->key));
	i->len = store_blob(st, 15, i->der, sizeof(i->der));
}

static bool
row_one(sqlite3_stmt *st, struct issued *i)
{
	bool	found = store_row(st) == 1;

	if (found)
		row_read(st, i);
	sqlite3_reset(st);
	return found;
}

/* ---- reading ---- */

bool
issued_find(const uint8_t *serial, size_t len, struct issued *i)
{
	static struct store_sql	 get = STORE_SQL("SELECT " COLUMNS FROM
	    " WHERE c.serial = ?1");
	sqlite3_stmt		*st;

	if (len != SERIAL_LEN)
		return false;
	st = store_stmt(&get);
	store_bind(st, "b", serial, len);
	return row_one(st, i);
}

bool
issued_byid(int64_t id, struct issued *i)
{
	static struct store_sql	 get = STORE_SQL("SELECT " COLUMNS FROM
	    " WHERE c.id = ?1");
	sqlite3_stmt		*st = store_stmt(&get);

	store_bind(st, "i", id);
	return row_one(st, i);
}

bool
issued_newest(const char *name, struct issued *i)
{
	static struct store_sql	 get = STORE_SQL("SELECT " COLUMNS FROM
	    " WHERE c.name = ?1 ORDER BY c.id DESC LIMIT 1");
	sqlite3_stmt		*st = store_stmt(&get);

	store_bind(st, "s", name);
	return row_one(st, i);
}

static int64_t
one_int(sqlite3_stmt *st)
{
	int64_t	n = 0;

	if (store_row(st) == 1)
		n = sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return n;
}

int64_t
issued_last(void)
{
	static struct store_sql	 get = STORE_SQL("SELECT max(id) FROM cert");

	return one_int(store_stmt(&get));
}

unsigned
issued_valid(const char *name, uint64_t now, unsigned max)
{
	static struct store_sql	 get = STORE_SQL("SELECT count(*) FROM"
	    " (SELECT 1 FROM cert WHERE name = ?1 AND not_after > ?2"
	    " AND revoked = 0 LIMIT ?3)");
	sqlite3_stmt		*st = store_stmt(&get);

	store_bind(st, "sii", name, (int64_t)now, (int64_t)max);
	return (unsigned)one_int(st);
}

bool
issued_taken_back(const char *name)
{
	static struct store_sql	 get = STORE_SQL("SELECT count(*) FROM"
	    " (SELECT 1 FROM cert WHERE name = ?1 AND revoked > 0"
	    " AND reason <> ?2 LIMIT 1)");
	sqlite3_stmt		*st = store_stmt(&get);

	store_bind(st, "si", name, (int64_t)CRL_SUPERSEDED);
	return one_int(st) != 0;
}

unsigned
issued_orphans(uint64_t before, uint64_t now, unsigned max)
{
	static struct store_sql	 get = STORE_SQL("SELECT count(*) FROM"
	    " (SELECT 1 FROM cert WHERE state < 2 AND id > 0 AND state = 1"
	    " AND requested < ?1 AND not_after > ?2 AND revoked = 0"
	    " LIMIT ?3)");
	sqlite3_stmt		*st = store_stmt(&get);

	store_bind(st, "iii", (int64_t)before, (int64_t)now, (int64_t)max);
	return (unsigned)one_int(st);
}

enum key_use
issued_key(const uint8_t key[HASH_LEN], const char *name,
    const struct intent *in, struct issued *same)
{
	static struct store_sql	 get = STORE_SQL("SELECT id, name, revoked,"
	    " request, authority FROM cert WHERE key = ?1");
	sqlite3_stmt		*st = store_stmt(&get);
	enum key_use		 use = KEY_FREE;
	struct intent		 was;
	char			 other[NAME_LEN + 1];
	int64_t			 id = 0;

	store_bind(st, "b", key, (size_t)HASH_LEN);
	while (store_row(st) == 1) {
		store_text(st, 1, other, sizeof(other));
		memset(&was, 0, sizeof(was));
		store_blob(st, 3, was.request, HASH_LEN);
		store_blob(st, 4, was.authority, HASH_LEN);
		if (strcmp(other, name) != 0)
			use = KEY_TAKEN;
		else if (sqlite3_column_int64(st, 2) != 0)
			use = KEY_REVOKED;
		else {
			if (memcmp(&was, in, sizeof(was)) == 0)
				id = sqlite3_column_int64(st, 0);
			continue;
		}
		sqlite3_reset(st);
		return use;
	}
	return id != 0 && issued_byid(id, same) ? KEY_SAME : KEY_FREE;
}

int
serial_read(const char *s, uint8_t out[SERIAL_LEN])
{
	int		high, low;
	unsigned	i;

	for (i = 0; i < SERIAL_LEN; i++, s += 2) {
		if ((high = hex_digit(s[0])) == -1 ||
		    (low = hex_digit(s[1])) == -1)
			return -1;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

const char *
cert_auth_name(enum cert_auth a)
{
	static const char *const	names[AUTH_N] = {
	    [AUTH_TICKET] = "ticket", [AUTH_RENEWAL] = "renewal",
	    [AUTH_MAKER] = "manufacturer", [AUTH_OPEN] = "open" };

	return a < AUTH_N ? names[a] : "";
}

enum issued_status
issued_state(const struct issued *i, uint64_t now)
{
	if (i->revoked != 0)
		return ST_REVOKED;
	if (i->not_after <= now)
		return ST_EXPIRED;
	return i->orphan ? ST_ORPHAN : ST_VALID;
}

/* One that keyd never answered for is nobody's: it is not vouched for. */
enum cert_status
issued_status(const uint8_t *serial, size_t len, uint64_t now,
    struct issued *i)
{
	if (!issued_find(serial, len, i))
		return CERT_UNKNOWN;
	if (i->revoked != 0)
		return CERT_REVOKED;
	if (i->len == 0)
		return CERT_UNKNOWN;
	return i->not_after <= now ? CERT_EXPIRED : CERT_GOOD;
}

void
issued_revoked(unsigned generation, issued_fn fn, void *arg)
{
	static struct store_sql	 get = STORE_SQL("SELECT serial, revoked,"
	    " reason FROM cert WHERE generation = ?1 AND revoked > 0"
	    " ORDER BY revoked");
	sqlite3_stmt		*st = store_stmt(&get);
	uint8_t			 serial[SERIAL_LEN] = { 0 };

	store_bind(st, "i", (int64_t)generation);
	while (store_row(st) == 1) {
		store_blob(st, 0, serial, sizeof(serial));
		fn(serial, column_time(st, 1),
		    (enum crl_reason)sqlite3_column_int(st, 2), arg);
	}
}

bool
issued_any_valid(unsigned generation, uint64_t now)
{
	static struct store_sql	 get = STORE_SQL("SELECT count(*) FROM"
	    " (SELECT 1 FROM cert WHERE generation = ?1 AND not_after > ?2"
	    " LIMIT 1)");
	sqlite3_stmt		*st = store_stmt(&get);

	store_bind(st, "ii", (int64_t)generation, (int64_t)now);
	return one_int(st) != 0;
}

/* ---- pages ---- */

/*
 * Each walks an index of its own, the last one all rows. What does not match
 * is left out here, so that no certificate is read for it.
 */
#define MATCHES								\
	" AND c.id > ?1 AND c.id <= ?2 AND (?3 = '' OR c.profile = ?3)"	\
	" AND (?4 = 0 OR ?4 = CASE WHEN c.revoked > 0 THEN 2"		\
	" WHEN c.not_after <= ?5 THEN 3 WHEN c.state < 2 THEN 4"	\
	" ELSE 1 END) ORDER BY c.id"

static struct store_sql	 by_name = STORE_SQL("SELECT " COLUMNS FROM
    " WHERE c.name = ?6" MATCHES);
static struct store_sql	 by_orphan = STORE_SQL("SELECT " COLUMNS FROM
    " WHERE c.state < 2" MATCHES);
static struct store_sql	 by_id = STORE_SQL("SELECT " COLUMNS FROM
    " WHERE c.id > 0" MATCHES);

bool
issued_page(const struct issued_filter *f, int64_t *at, unsigned max,
    issued_row_fn fn, void *arg)
{
	static struct issued	 row;
	int64_t			 last = issued_last(), end = last;
	sqlite3_stmt		*st;

	if (*f->name != '\0')
		st = store_stmt(&by_name);
	else if (f->status == ST_ORPHAN)
		st = store_stmt(&by_orphan);
	else {
		st = store_stmt(&by_id);
		if (end > *at + LOOKED)
			end = *at + LOOKED;
	}
	store_bind(st, *f->name != '\0' ? "iisiis" : "iisii", *at, end,
	    f->profile, (int64_t)f->status, (int64_t)f->now, f->name);
	while (max > 0 && store_row(st) == 1) {
		row_read(st, &row);
		fn(&row, arg);
		*at = row.id;
		max--;
	}
	if (max == 0) {
		sqlite3_reset(st);
		return true;
	}
	*at = end;
	return end < last;
}

/* How many there are: one row a profile and status of a bounded piece. */
bool
issued_count(int64_t *at, uint64_t now, issued_count_fn fn, void *arg)
{
	static struct store_sql	 get = STORE_SQL("SELECT profile, CASE"
	    " WHEN revoked > 0 THEN 2 WHEN not_after <= ?3 THEN 3"
	    " WHEN state < 2 THEN 4 ELSE 1 END AS st, count(*) FROM cert"
	    " WHERE id > ?1 AND id <= ?2 GROUP BY profile, st");
	sqlite3_stmt		*st = store_stmt(&get);
	int64_t			 last = issued_last(), end = last;
	char			 profile[33];

	if (end > *at + COUNTED)
		end = *at + COUNTED;
	store_bind(st, "iii", *at, end, (int64_t)now);
	while (store_row(st) == 1) {
		store_text(st, 0, profile, sizeof(profile));
		fn(profile, (enum issued_status)sqlite3_column_int(st, 1),
		    sqlite3_column_int64(st, 2), arg);
	}
	*at = end;
	return end < last;
}

/* ---- writing ---- */

enum reason
issued_intent(struct issued *i, const struct intent *in)
{
	static struct store_sql	 put = STORE_SQL("INSERT INTO cert (serial,"
	    " generation, name, profile, address, not_before, not_after,"
	    " requested, auth, est, key, request, authority, state, revoked,"
	    " reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0,"
	    " 0)");
	sqlite3_stmt		*st = store_stmt(&put);
	enum reason		 r;

	store_bind(st, "bisssiiiiibbb", i->serial, sizeof(i->serial),
	    (int64_t)i->generation, i->name, i->profile, i->address,
	    (int64_t)i->not_before, (int64_t)i->not_after,
	    (int64_t)i->requested, (int64_t)i->auth, (int64_t)i->est,
	    i->key, sizeof(i->key), in->request, sizeof(in->request),
	    in->authority, sizeof(in->authority));
	if ((r = store_write(st)) == R_OK)
		i->id = sqlite3_last_insert_rowid(store_db());
	return r;
}

enum reason
issued_fill(int64_t id, const uint8_t *der, size_t len)
{
	static struct store_sql	 put = STORE_SQL(
	    "INSERT INTO cert_der VALUES (?1, ?2)");
	static struct store_sql	 set = STORE_SQL(
	    "UPDATE cert SET state = 1 WHERE id = ?1");
	sqlite3_stmt		*st = store_stmt(&put);
	enum reason		 r;

	store_bind(st, "ib", id, der, len);
	if ((r = store_write(st)) != R_OK)
		return r;
	st = store_stmt(&set);
	store_bind(st, "i", id);
	return store_write(st);
}

enum reason
issued_forget(int64_t id)
{
	static struct store_sql	 del = STORE_SQL(
	    "DELETE FROM cert WHERE id = ?1 AND state = 0 AND revoked = 0");
	sqlite3_stmt		*st = store_stmt(&del);

	store_bind(st, "i", id);
	return store_write(st);
}

enum reason
issued_taken(const uint8_t serial[SERIAL_LEN])
{
	static struct store_sql	 set = STORE_SQL(
	    "UPDATE cert SET state = 2 WHERE serial = ?1 AND state = 1");
	sqlite3_stmt		*st = store_stmt(&set);

	store_bind(st, "b", serial, (size_t)SERIAL_LEN);
	return store_write(st);
}

enum reason
issued_revoke(const struct issued *i, enum crl_reason reason, const char *who,
    struct why *why)
{
	static struct store_sql	 set = STORE_SQL("UPDATE cert"
	    " SET revoked = ?2, reason = ?3 WHERE id = ?1 AND revoked = 0");
	uint64_t		 now = clock_trusted();
	char			 serial[HEX_SIZE(SERIAL_LEN)];
	struct issued		 is;
	sqlite3_stmt		*st;
	enum reason		 r;

	hex(i->serial, sizeof(i->serial), serial);
	if (!issued_byid(i->id, &is))
		return why_set(why, R_CRT_SERIAL, "serial", NULL, serial);
	if (is.revoked != 0)
		return why_set(why, R_CRT_REVOKED, "serial", NULL, serial);
	st = store_stmt(&set);
	store_bind(st, "iii", i->id, (int64_t)now, (int64_t)reason);
	if ((r = store_write(st)) != R_OK)
		return why_set(why, r, "store", NULL, NULL);
	audit_record(AUDIT_CERT, i->name, R_OK, "certificate %s revoked by %s:"
	    " %s", serial, who, crl_reason_name(reason));
	return why_set(why, R_OK, NULL, NULL, NULL);
}

/* RFC 5280, 5.3.1 */
static const char *const reasons[CRL_NREASONS] = {
	[CRL_UNSPECIFIED] = "unspecified",
	[CRL_KEY_COMPROMISE] = "keyCompromise",
	[CRL_CA_COMPROMISE] = "cACompromise",
	[CRL_AFFILIATION_CHANGED] = "affiliationChanged",
	[CRL_SUPERSEDED] = "superseded",
	[CRL_CESSATION] = "cessationOfOperation",
	[CRL_HOLD] = "certificateHold",
	[CRL_REMOVE] = "removeFromCRL",
	[CRL_PRIVILEGE_WITHDRAWN] = "privilegeWithdrawn",
	[CRL_AA_COMPROMISE] = "aACompromise",
};

const char *
crl_reason_name(enum crl_reason r)
{
	return r < CRL_NREASONS && reasons[r] != NULL ? reasons[r] :
	    "unspecified";
}

/* What is revoked stays so: no hold, and nothing is taken from a CRL. */
bool
crl_reason_ok(uint32_t r)
{
	return r < CRL_NREASONS && reasons[r] != NULL && r != CRL_HOLD &&
	    r != CRL_REMOVE;
}
