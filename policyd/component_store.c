/* Components and their certificates in the store. */
#include <string.h>

#include "component.h"

static void
load_cert(int64_t id, struct component_cert *c)
{
	static struct store_sql	 get = STORE_SQL("SELECT serial, not_before,"
	    " not_after, ca, certificate FROM issued WHERE id = ?1"
	    " AND certificate IS NOT NULL");
	sqlite3_stmt		*st;

	memset(c, 0, sizeof(*c));
	if (id == 0)
		return;
	st = store_stmt(&get);
	store_bind(st, "i", id);
	if (store_row(st) == 1) {
		c->id = id;
		store_blob(st, 0, c->serial, sizeof(c->serial));
		c->not_before = (uint64_t)sqlite3_column_int64(st, 1);
		c->not_after = (uint64_t)sqlite3_column_int64(st, 2);
		store_blob(st, 3, c->ca, sizeof(c->ca));
		c->len = store_blob(st, 4, c->der, sizeof(c->der));
	}
	sqlite3_reset(st);
}

/* What of its entry is not as it was when this row was written, or NULL. */
static const char *
changed(const struct component *c, int64_t slot, const uint8_t *rules,
    size_t len)
{
	uint8_t	now[HASH_LEN];

	if (slot != c->conf->slot)
		return "slot";
	component_rules(c, now);
	return len == HASH_LEN && memcmp(rules, now, HASH_LEN) != 0 ?
	    "identity, serial or root" : NULL;
}

void
component_load(struct component *c)
{
	static struct store_sql	 get = STORE_SQL("SELECT state, since, slot,"
	    " node, device, attested, cert, next, reset_set, tag, reason,"
	    " field, expected, seen, rules FROM component WHERE name = ?1");
	sqlite3_stmt		*st = store_stmt(&get);
	int64_t			 cert = 0, next = 0;
	uint8_t			 rules[HASH_LEN];
	const char		*what = NULL;
	size_t			 len = 0;
	char			 state[32];
	bool			 there;
	int			 n;

	store_bind(st, "s", c->name);
	there = store_row(st) == 1;
	if (there) {
		store_text(st, 0, state, sizeof(state));
		n = component_state_find(state);
		c->state = n < 0 ? C_NOTENROLLED : (enum component_state)n;
		c->since = (uint64_t)sqlite3_column_int64(st, 1);
		len = store_blob(st, 14, rules, sizeof(rules));
		what = changed(c, sqlite3_column_int64(st, 2), rules, len);
	}
	if (there && what == NULL) {
		store_text(st, 3, c->node, sizeof(c->node));
		store_text(st, 4, c->device, sizeof(c->device));
		c->attested = (uint64_t)sqlite3_column_int64(st, 5);
		cert = sqlite3_column_int64(st, 6);
		next = sqlite3_column_int64(st, 7);
		c->reset_set = sqlite3_column_int(st, 8) != 0;
		c->tag = (uint8_t)sqlite3_column_int(st, 9);
		store_why(st, 10, &c->why);
	} else if (there)
		why_set(&c->why, R_POL_COMPONENT_CHANGED, what, NULL, NULL);
	sqlite3_reset(st);
	load_cert(cert, &c->cert);
	load_cert(next, &c->next);
	/* A store from before this was kept: from now on it is. */
	if (there && what == NULL && len == 0)
		(void)component_save(c);
}

enum reason
component_save(const struct component *c)
{
	static struct store_sql	 put = STORE_SQL("INSERT OR REPLACE INTO"
	    " component (name, state, since, slot, node, device, attested,"
	    " cert, next, reset_set, tag, reason, field, expected, seen,"
	    " rules) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
	sqlite3_stmt		*st = store_stmt(&put);
	uint8_t			 rules[HASH_LEN];

	component_rules(c, rules);
	store_bind(st, "ssiissiiiiissssb", c->name,
	    component_state_name(c->state), (int64_t)c->since,
	    (int64_t)c->conf->slot, c->node, c->device, (int64_t)c->attested,
	    c->cert.id, c->next.id, (int64_t)c->reset_set, (int64_t)c->tag,
	    reason_code(c->why.reason), c->why.field, c->why.expected,
	    c->why.seen, rules, sizeof(rules));
	return store_write(st);
}

/* One at a time: a statement that is read is not written meanwhile. */
static bool
sweep_one(void)
{
	static struct store_sql	 get = STORE_SQL("SELECT name FROM component"
	    " WHERE name > ?1 ORDER BY name");
	static struct store_sql	 del = STORE_SQL("DELETE FROM component"
	    " WHERE name = ?1");
	sqlite3_stmt		*st = store_stmt(&get);
	char			 name[65] = "";
	bool			 found = false;

	store_bind(st, "s", "");
	while (!found && store_row(st) == 1) {
		store_text(st, 0, name, sizeof(name));
		found = component_byname(name) == NULL;
	}
	sqlite3_reset(st);
	if (!found)
		return false;
	log_info("component %s: no longer in the configuration", name);
	audit_record(AUDIT_OPERATOR, name, R_OK, "component taken out of "
	    "provd.conf");
	st = store_stmt(&del);
	store_bind(st, "s", name);
	return store_write(st) == R_OK;
}

void
component_sweep(void)
{
	while (sweep_one())
		;
}

/* ---- certificates -------------------------------------------------------- */

int64_t
component_intent(const struct component *c, const struct component_cert *n,
    const uint8_t *point, size_t len, struct why *why)
{
	static struct store_sql	 put = STORE_SQL("INSERT INTO issued (serial,"
	    " profile, public, not_before, not_after, requested, component,"
	    " ca) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");
	sqlite3_stmt		*st = store_stmt(&put);
	enum reason		 r;

	store_bind(st, "bibiiisb", n->serial, sizeof(n->serial),
	    (int64_t)CERT_COMPONENT_LEAF, point, len, (int64_t)n->not_before,
	    (int64_t)n->not_after, (int64_t)peers_env.now(), c->name, n->ca,
	    sizeof(n->ca));
	if ((r = store_write(st)) == R_OK)
		return sqlite3_last_insert_rowid(store_db());
	why_set(why, r, "store", NULL, NULL);
	return 0;
}

enum reason
component_issued(const struct component_cert *n)
{
	static struct store_sql	 put = STORE_SQL("UPDATE issued"
	    " SET certificate = ?2 WHERE id = ?1");
	sqlite3_stmt		*st = store_stmt(&put);

	store_bind(st, "ib", n->id, n->der, n->len);
	return store_write(st);
}

/* keyd said no, so that certificate does not exist: neither does its row. */
void
component_intent_forget(int64_t id)
{
	static struct store_sql	 del = STORE_SQL("DELETE FROM issued"
	    " WHERE id = ?1 AND certificate IS NULL");
	sqlite3_stmt		*st = store_stmt(&del);

	store_bind(st, "i", id);
	(void)store_write(st);
}
