/* Peers and their evidence in the store. */
#include <stdlib.h>
#include <string.h>

#include "peer.h"

struct revoked {
	struct revoked	*next;
	char		 node[NODE_ID_LEN + 1];
	char		 name[65];
	uint64_t	 time;
};
static struct revoked	*revoked;

void
peer_store_insert(struct peer *p)
{
	static struct store_sql	 sql = STORE_SQL("INSERT INTO peer "
	    "(name, origin, identity, serial, address, since) "
	    "VALUES (?, ?, ?, ?, ?, ?)");
	sqlite3_stmt		*st = store_stmt(&sql);
	int64_t			 id;

	store_bind(st, "sisssi", p->name, (int64_t)p->origin, p->identity,
	    p->serial, p->address, (int64_t)p->since);
	if (store_write(st) != R_OK)
		return;
	id = sqlite3_last_insert_rowid(store_db());
	if (id > 0 && id <= UINT32_MAX)
		p->id = (uint32_t)id;
}

/* What the configuration says is read from there each time. */
static const char *
own(const char *value, const char *configured)
{
	return configured != NULL ? "" : value;
}

void
peer_store_save(const struct peer *p)
{
	static struct store_sql	 sql = STORE_SQL("UPDATE peer SET origin = ?, "
	    "identity = ?, serial = ?, address = ?, held = ?, state = ?, "
	    "since = ?, reason = ?, field = ?, expected = ?, seen = ?, "
	    "pinned = ? WHERE id = ?");
	static const struct conf_peer none;
	const struct conf_peer	*c = p->conf != NULL ? p->conf : &none;
	sqlite3_stmt		*st = store_stmt(&sql);

	store_bind(st, "isssisissssii", (int64_t)p->origin,
	    own(p->identity, c->identity), own(p->serial, c->serial),
	    own(p->address, c->address), (int64_t)p->held,
	    fsm_state_name(p->state),
	    (int64_t)p->since, reason_code(p->why.reason), p->why.field,
	    p->why.expected, p->why.seen, (int64_t)p->pinned,
	    (int64_t)p->id);
	store_write(st);
}

void
peer_store_delete(const struct peer *p)
{
	static struct store_sql	 sql = STORE_SQL("DELETE FROM peer "
	    "WHERE id = ?");
	sqlite3_stmt		*st = store_stmt(&sql);

	store_bind(st, "i", (int64_t)p->id);
	store_write(st);
}

static enum reason
evidence_delete(const struct peer *p)
{
	static struct store_sql	 sql = STORE_SQL("DELETE FROM evidence "
	    "WHERE peer = ?");
	sqlite3_stmt		*st = store_stmt(&sql);

	store_bind(st, "i", (int64_t)p->id);
	return store_write(st);
}

enum reason
peer_store_evidence(const struct peer *p)
{
	static struct store_sql	 sql = STORE_SQL("INSERT OR REPLACE INTO "
	    "evidence (peer, node, serial, device, subject, root, version, "
	    "algorithm, not_before, not_after, anchor, anchor_before, "
	    "anchor_after, anchor2, time, run, address) "
	    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
	static const struct measures none;
	const struct evidence	*ev = p->ev;
	sqlite3_stmt		*st;
	enum reason		 r;

	if (ev == NULL) {
		reference_save(p, LIST_BASELINE, &none);
		return evidence_delete(p);
	}
	st = store_stmt(&sql);
	store_bind(st, "issssbiiiibii", (int64_t)p->id, ev->node, ev->serial,
	    ev->device, ev->subject, ev->root, sizeof(ev->root),
	    (int64_t)ev->version, (int64_t)ev->algorithm,
	    (int64_t)ev->not_before, (int64_t)ev->not_after,
	    ev->anchor, ev->anchor_len, (int64_t)ev->anchor_before,
	    (int64_t)ev->anchor_after);
	if (p->anchor2 != NULL)
		sqlite3_bind_blob(st, 14, p->anchor2, (int)p->anchor2_len,
		    SQLITE_TRANSIENT);
	sqlite3_bind_int64(st, 15, (int64_t)p->attested);
	sqlite3_bind_int64(st, 16, (int64_t)p->attested_run);
	sqlite3_bind_text(st, 17, ev->address, -1, SQLITE_TRANSIENT);
	if ((r = store_write(st)) == R_OK) {
		reference_save(p, LIST_BASELINE, &ev->measures);
		peers_run_save();
	}
	return r;
}

/* ---- revoked identities ------------------------------------------------- */

const char *
peer_revoked(const char *node)
{
	const struct revoked	*r;

	for (r = revoked; r != NULL; r = r->next)
		if (strcmp(r->node, node) == 0)
			return r->name;
	return NULL;
}

static void
revoked_add(const char *node, const char *name, uint64_t time)
{
	struct revoked	*r;

	if ((r = calloc(1, sizeof(*r))) == NULL)
		fatal("revoked");
	ipc_set_str(r->node, sizeof(r->node), node);
	ipc_set_str(r->name, sizeof(r->name), name);
	r->time = time;
	r->next = revoked;
	revoked = r;
}

static void
revoked_clear(const char *name)
{
	struct revoked	**pp = &revoked, *r;

	while ((r = *pp) != NULL)
		if (name == NULL || strcmp(r->name, name) == 0) {
			*pp = r->next;
			free(r);
		} else
			pp = &r->next;
}

void
peer_store_revoke(const char *node, const char *name, bool on)
{
	static struct store_sql	 add = STORE_SQL("INSERT OR REPLACE INTO "
	    "revoked (node, name, time) VALUES (?, ?, ?)");
	static struct store_sql	 del = STORE_SQL("DELETE FROM revoked "
	    "WHERE name = ?");
	sqlite3_stmt		*st = store_stmt(on ? &add : &del);

	if (on) {
		store_bind(st, "ssi", node, name, (int64_t)peers_env.now());
		if (peer_revoked(node) == NULL)
			revoked_add(node, name, peers_env.now());
	} else {
		store_bind(st, "s", name);
		revoked_clear(name);
	}
	store_write(st);
}

/* ---- at start ----------------------------------------------------------- */

static void
load_peers(void)
{
	static struct store_sql	 sql = STORE_SQL("SELECT id, name, origin, "
	    "identity, serial, address, held, state, since, reason, field, "
	    "expected, seen, pinned FROM peer ORDER BY id");
	sqlite3_stmt		*st = store_stmt(&sql);
	struct peer		*p;
	char			 name[65], state[32], address[65];
	int			 n;

	while (store_row(st) == 1) {
		store_text(st, 1, name, sizeof(name));
		p = peer_restore((uint32_t)sqlite3_column_int64(st, 0), name,
		    (enum peer_origin)sqlite3_column_int(st, 2));
		store_text(st, 3, p->identity, sizeof(p->identity));
		store_text(st, 4, p->serial, sizeof(p->serial));
		store_text(st, 5, address, sizeof(address));
		peer_set_address(p, address);
		p->held = sqlite3_column_int(st, 6) != 0;
		store_text(st, 7, state, sizeof(state));
		n = fsm_state_find(state);
		p->stored = n < 0 ? P_NOTDETERMINED : (enum peer_state)n;
		p->since = (uint64_t)sqlite3_column_int64(st, 8);
		store_why(st, 9, &p->why);
		p->pinned = sqlite3_column_int(st, 13) == PIN_CODE ?
		    PIN_CODE : PIN_OPERATOR;
		peer_leave(p);
	}
}

/* The bits are those of what is really there. */
static struct evidence *
load_evidence_row(sqlite3_stmt *st, struct peer *p)
{
	struct evidence	*ev = evidence_new();
	uint8_t		 der[CERT_MAX];

	store_text(st, 1, ev->node, sizeof(ev->node));
	store_text(st, 2, ev->serial, sizeof(ev->serial));
	store_text(st, 3, ev->device, sizeof(ev->device));
	store_text(st, 4, ev->subject, sizeof(ev->subject));
	if (store_blob(st, 5, ev->root, sizeof(ev->root)) == HASH_LEN &&
	    strlen(ev->node) == NODE_ID_LEN)
		ev->have |= HAVE_IDENTITY;
	ev->version = (uint8_t)sqlite3_column_int(st, 6);
	ev->algorithm = (uint8_t)sqlite3_column_int(st, 7);
	ev->not_before = (uint64_t)sqlite3_column_int64(st, 8);
	ev->not_after = (uint64_t)sqlite3_column_int64(st, 9);
	if ((ev->anchor_len = store_blob(st, 10, der, sizeof(der))) > 0) {
		if ((ev->anchor = malloc(ev->anchor_len)) == NULL)
			fatal("anchor");
		memcpy(ev->anchor, der, ev->anchor_len);
		ev->have |= HAVE_ANCHOR;
	}
	ev->anchor_before = (uint64_t)sqlite3_column_int64(st, 11);
	ev->anchor_after = (uint64_t)sqlite3_column_int64(st, 12);
	if ((p->anchor2_len = store_blob(st, 13, der, sizeof(der))) > 0) {
		if ((p->anchor2 = malloc(p->anchor2_len)) == NULL)
			fatal("anchor");
		memcpy(p->anchor2, der, p->anchor2_len);
	}
	p->attested = (uint64_t)sqlite3_column_int64(st, 14);
	p->attested_run = (uint64_t)sqlite3_column_int64(st, 15);
	if (p->attested_run > peers_run())
		p->attested_run = peers_run();
	store_text(st, 16, ev->address, sizeof(ev->address));
	if (p->attested != 0)
		ev->have |= HAVE_FRESH;
	return ev;
}

static void
load_evidence(void)
{
	static struct store_sql	 sql = STORE_SQL("SELECT peer, node, serial, "
	    "device, subject, root, version, algorithm, not_before, "
	    "not_after, anchor, anchor_before, anchor_after, anchor2, time, "
	    "run, address FROM evidence");
	sqlite3_stmt		*st = store_stmt(&sql);
	struct peer		*p;

	while (store_row(st) == 1) {
		p = peer_byid((uint32_t)sqlite3_column_int64(st, 0));
		if (p != NULL && p->ev == NULL)
			peer_set_evidence(p, load_evidence_row(st, p));
	}
}

static void
load_revoked(void)
{
	static struct store_sql	 sql = STORE_SQL("SELECT node, name, time "
	    "FROM revoked");
	sqlite3_stmt		*st = store_stmt(&sql);
	char			 node[NODE_ID_LEN + 1], name[65];

	revoked_clear(NULL);
	while (store_row(st) == 1) {
		store_text(st, 0, node, sizeof(node));
		store_text(st, 1, name, sizeof(name));
		revoked_add(node, name, (uint64_t)sqlite3_column_int64(st, 2));
	}
}

void
peer_store_load(void)
{
	load_revoked();
	load_peers();
	load_evidence();
	reference_load();
}
