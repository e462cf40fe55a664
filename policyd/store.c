/*
 * The store: one SQLite file that only policyd opens.
 *
 * Everything that changes in one turn of the loop shares one transaction and
 * one commit at the turn's end; acknowledgements run after it. A commit that
 * fails refuses them all, and policyd starts anew from what is on disk:
 * memory never runs ahead of it. A store that cannot be written (full disk,
 * read-only file system) is still read, so that pairs stay up; every change
 * is then refused with the reason.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policyd.h"

#define STORE_APPLICATION	0x70726f76	/* "prov": a store of ours */

struct ack {
	store_fn	 fn;
	void		*arg;
};

static struct {
	sqlite3		*db;
	struct store_sql *stmts;
	struct ack	*acks;
	size_t		 nacks, sacks;
	enum reason	 state;		/* why nothing can be written */
	enum reason	 doomed;	/* why this turn cannot commit */
	bool		 open;		/* the turn's transaction */
	bool		 failed;
	bool		 denied;	/* opened to read: it may not be written */
	char		 path[4096];
} store;

static enum reason
store_reason(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_FULL:
		return R_SYS_STORE_FULL;
	case SQLITE_READONLY:
	case SQLITE_PERM:
		return R_SYS_STORE_READONLY;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return R_SYS_STORE_CORRUPT;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return R_SYS_STORE_BUSY;
	case SQLITE_CONSTRAINT:
		return R_SYS_STORE_RULE;
	case SQLITE_NOMEM:
		fatalx("store: out of memory");
	default:
		return R_SYS_STORE_IO;
	}
}

/* Logs what SQLite says about its last failure; returns our reason for it. */
static enum reason
store_complain(int rc, const char *what)
{
	enum reason	 r = store_reason(rc);
	int		 e = sqlite3_system_errno(store.db);

	log_about(LOG_LVL_WARN, reason_code(r), NULL,
	    "store: %s: %s: %s%s%s", what, reason_code(r),
	    sqlite3_errmsg(store.db), e == 0 ? "" : ": ",
	    e == 0 ? "" : strerror(e));
	return r;
}

static enum reason
store_exec(const char *sql)
{
	int	rc;

	rc = sqlite3_exec(store.db, sql, NULL, NULL, NULL);
	return rc == SQLITE_OK ? R_OK : store_complain(rc, "exec");
}

/* ---- opening ---- */

static int
store_pragma_int(const char *sql, int64_t *out)
{
	sqlite3_stmt	*st;
	int		 rc;

	rc = sqlite3_prepare_v2(store.db, sql, -1, &st, NULL);
	if (rc != SQLITE_OK)
		return rc;
	if ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		*out = sqlite3_column_int64(st, 0);
		rc = SQLITE_OK;
	}
	sqlite3_finalize(st);
	return rc == SQLITE_DONE ? SQLITE_CORRUPT : rc;
}

static enum reason
store_step_version(int version)
{
	char		 pragma[64];
	enum reason	 r;

	snprintf(pragma, sizeof(pragma), "PRAGMA user_version = %d",
	    version + 1);
	if ((r = store_exec("BEGIN IMMEDIATE")) != R_OK)
		return r;
	if ((r = store_exec(store_schema[version])) == R_OK &&
	    (r = store_exec(pragma)) == R_OK &&
	    (r = store_exec("COMMIT")) == R_OK)
		return R_OK;
	if (!sqlite3_get_autocommit(store.db))
		(void)store_exec("ROLLBACK");
	return r;
}

/* What is there may be read by this program; nothing is written yet. */
static enum reason
store_known(int64_t *version, bool *ours)
{
	int64_t		 app = 0, tables = 0;
	int		 newest, rc;

	for (newest = 0; store_schema[newest] != NULL; newest++)
		;
	if ((rc = store_pragma_int("PRAGMA application_id", &app)) !=
	    SQLITE_OK ||
	    (rc = store_pragma_int("PRAGMA user_version", version)) !=
	    SQLITE_OK ||
	    (rc = store_pragma_int("SELECT count(*) FROM sqlite_schema",
	    &tables)) != SQLITE_OK)
		return store_complain(rc, "schema");
	*ours = app == STORE_APPLICATION;
	if (!*ours && (app != 0 || *version != 0 || tables != 0))
		return R_SYS_STORE_FOREIGN;
	if (*version < 0 || *version > newest) {
		log_warnx("store: version %lld, this program knows %d",
		    (long long)*version, newest);
		return R_SYS_STORE_NEWER;
	}
	return R_OK;
}

/* Move an older store forward. */
static enum reason
store_migrate(void)
{
	int64_t		 version = 0;
	bool		 ours = false;
	int		 newest;
	enum reason	 r;

	for (newest = 0; store_schema[newest] != NULL; newest++)
		;
	if ((r = store_known(&version, &ours)) != R_OK)
		return r;
	if (!ours && sqlite3_db_readonly(store.db, "main") == 1)
		return R_SYS_STORE_READONLY;
	if (!ours && (r = store_exec("PRAGMA application_id = 1886547830")) !=
	    R_OK)
		return r;
	if (version < newest && version > 0)
		log_info("store: moves from version %lld to %d",
		    (long long)version, newest);
	for (; version < newest; version++)
		if ((r = store_step_version((int)version)) != R_OK)
			return r;
	return R_OK;
}

/*
 * WAL without shared memory: locking_mode EXCLUSIVE before the first read
 * keeps the index in our heap, so the filter needs no shared mapping, and a
 * second policyd on the same store is refused (BUSY).
 */
static enum reason
store_configure(bool writable)
{
	static const char	*const pragmas[] = {
		"PRAGMA locking_mode = EXCLUSIVE",
		"PRAGMA temp_store = MEMORY",
		"PRAGMA mmap_size = 0",
		"PRAGMA foreign_keys = ON",
		"PRAGMA trusted_schema = OFF",
		"PRAGMA cell_size_check = ON",
		"PRAGMA synchronous = FULL",
	};
	int64_t			 version = 0;
	bool			 ours;
	enum reason		 r;
	size_t			 i;

	sqlite3_db_config(store.db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(store.db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0,
	    NULL);
	for (i = 0; i < sizeof(pragmas) / sizeof(pragmas[0]); i++)
		if ((r = store_exec(pragmas[i])) != R_OK)
			return r;
	if (!writable)
		return R_OK;
	/* The mode is written into the file: not into one of others. */
	if ((r = store_known(&version, &ours)) != R_OK)
		return r;
	return store_exec("PRAGMA journal_mode = WAL");
}

/* how: what the URI says more, NULL to write */
static enum reason
store_open_as(const char *path, const char *how)
{
	char		 uri[4200];
	enum reason	 r;
	int		 rc;

	if (snprintf(uri, sizeof(uri), "file:%s%s", path,
	    how == NULL ? "" : how) >= (int)sizeof(uri))
		return R_SYS_STORE_IO;
	rc = sqlite3_open_v2(uri, &store.db, SQLITE_OPEN_URI |
	    SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | (how != NULL ?
	    SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE),
	    NULL);
	if (store.db == NULL)
		fatalx("store: out of memory");
	if (rc != SQLITE_OK)
		r = store_complain(rc, path);
	else
		r = store_configure(how == NULL);
	if (r != R_OK) {
		sqlite3_close(store.db);
		store.db = NULL;
	}
	return r;
}

/*
 * A read-only file system has no room for a write-ahead log, so without one
 * the file alone is the whole store. A log that a kill left beside it holds
 * the newest of it: it is read, with its index in our heap, and without locks,
 * which a file that is open for reading only cannot have.
 */
static enum reason
store_open_readonly(const char *path)
{
	char	wal[4200];

	if (snprintf(wal, sizeof(wal), "%s-wal", path) >= (int)sizeof(wal) ||
	    access(path, F_OK) == -1)
		return R_SYS_STORE_READONLY;
	store.denied = access(path, W_OK) == -1;
	return store_open_as(path, access(wal, F_OK) == 0 ?
	    "?vfs=unix-none" : "?immutable=1");
}

enum reason
store_open(const char *path)
{
	enum reason	r;

	memset(&store, 0, sizeof(store));
	if (strpbrk(path, "?#%") != NULL)	/* special in a URI */
		return R_SYS_STORE_IO;
	snprintf(store.path, sizeof(store.path), "%s", path);
	r = store_open_as(path, NULL);
	if ((r == R_SYS_STORE_IO || r == R_SYS_STORE_READONLY) &&
	    store_open_readonly(path) == R_OK)
		r = R_OK;
	if (r == R_OK && (r = store_migrate()) != R_OK)
		store_close();
	if (r != R_OK)
		return r;
	if (store_probe() == R_SYS_STORE_CORRUPT) {
		store_close();
		return R_SYS_STORE_CORRUPT;
	}
	return R_OK;
}

void
store_close(void)
{
	struct store_sql	*q;

	while ((q = store.stmts) != NULL) {
		store.stmts = q->next;
		sqlite3_finalize(q->st);
		q->st = NULL;
		q->next = NULL;
	}
	if (store.db != NULL && sqlite3_close(store.db) != SQLITE_OK)
		log_warnx("store: close: %s", sqlite3_errmsg(store.db));
	free(store.acks);
	memset(&store, 0, sizeof(store));
}

int
store_path(const char *name, char *buf, size_t size)
{
	const char	*end = strrchr(store.path, '/');
	int		 n;

	n = snprintf(buf, size, "%.*s%s", end == NULL ? 0 :
	    (int)(end - store.path) + 1, store.path, name);
	return n < 0 || (size_t)n >= size ? -1 : 0;
}

sqlite3 *
store_db(void)
{
	return store.db;
}

enum reason
store_state(void)
{
	return store.state;
}

bool
store_failed(void)
{
	return store.failed;
}

/*
 * Commits of their own, so never while the turn's transaction is open. They
 * are as large as a busy turn: a store for which there is room for one page
 * only would fail at the first real commit, again and again. The log keeps
 * the room that it took.
 */
static int
probe_write(void)
{
	static struct store_sql	 put = STORE_SQL("INSERT INTO meta"
	    " VALUES ('probe', zeroblob(65536))"
	    " ON CONFLICT (name) DO UPDATE SET value = zeroblob(65536)");
	static struct store_sql	 del = STORE_SQL(
	    "DELETE FROM meta WHERE name = 'probe'");
	int			 rc;

	rc = sqlite3_step(store_stmt(&put));
	sqlite3_reset(put.st);
	if (rc != SQLITE_DONE)
		return rc;
	rc = sqlite3_step(store_stmt(&del));
	sqlite3_reset(del.st);
	return rc;
}

enum reason
store_probe(void)
{
	enum reason	r;
	int		rc;

	if (store.open)
		return store.state;
	if (sqlite3_db_readonly(store.db, "main") == 1) {
		/* Only the next start opens it to write. */
		if (store.denied && access(store.path, W_OK) == 0) {
			log_info("store: can be written again");
			store.failed = true;
		}
		return store.state = R_SYS_STORE_READONLY;
	}
	if ((rc = probe_write()) == SQLITE_DONE) {
		if (store.state != R_OK)
			log_info("store: can be written again");
		return store.state = R_OK;
	}
	r = store_reason(rc);
	if (store.state != r)
		(void)store_complain(rc, "nothing can be written");
	return store.state = r;
}

/* ---- the turn ---- */

/* The transaction cannot be committed any more. */
static enum reason
store_doom(int rc, const char *what)
{
	enum reason	r = store_complain(rc, what);

	if (store.doomed == R_OK)
		store.doomed = r;
	return r;
}

/* Open the turn's transaction if it is not open. R_OK, or why not. */
static enum reason
store_begin(void)
{
	int	rc;

	if (store.state != R_OK)
		return store.state;
	if (store.doomed != R_OK)
		return store.doomed;
	if (store.open)
		return R_OK;
	rc = sqlite3_exec(store.db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		return store_doom(rc, "begin");
	store.open = true;
	return R_OK;
}

void
store_after_commit(store_fn fn, void *arg)
{
	size_t		 n;
	struct ack	*a;

	if (store.nacks == store.sacks) {
		n = store.sacks == 0 ? 16 : store.sacks * 2;
		if ((a = reallocarray(store.acks, n, sizeof(*a))) == NULL)
			fatal("store");
		store.acks = a;
		store.sacks = n;
	}
	store.acks[store.nacks].fn = fn;
	store.acks[store.nacks++].arg = arg;
}

bool
store_dirty(void)
{
	return store.open || store.doomed != R_OK || store.nacks > 0;
}

void
store_turn(void)
{
	struct ack	*acks = store.acks;
	size_t		 i, n = store.nacks;
	enum reason	 r;
	int		 rc;

	if (store.open && store.doomed == R_OK) {
		rc = sqlite3_exec(store.db, "COMMIT", NULL, NULL, NULL);
		if (rc != SQLITE_OK)
			store_doom(rc, "commit");
	}
	if ((r = store.doomed) != R_OK) {
		if (!sqlite3_get_autocommit(store.db))
			(void)store_exec("ROLLBACK");
		store.failed = true;
		store.state = r;
	}
	store.open = false;
	store.doomed = R_OK;
	store.acks = NULL;
	store.nacks = store.sacks = 0;
	for (i = 0; i < n; i++)
		acks[i].fn(r, acks[i].arg);
	free(acks);
}

/* ---- statements ---- */

sqlite3_stmt *
store_stmt(struct store_sql *q)
{
	int	rc;

	if (q->st == NULL) {
		rc = sqlite3_prepare_v3(store.db, q->sql, -1,
		    SQLITE_PREPARE_PERSISTENT, &q->st, NULL);
		if (rc != SQLITE_OK)
			fatalx("store: %s: %s", q->sql,
			    sqlite3_errmsg(store.db));
		q->next = store.stmts;
		store.stmts = q;
	}
	sqlite3_reset(q->st);
	sqlite3_clear_bindings(q->st);
	return q->st;
}

void
store_bind(sqlite3_stmt *st, const char *kinds, ...)
{
	const void	*p;
	va_list		 ap;
	size_t		 n;
	int		 i, rc;

	va_start(ap, kinds);
	for (i = 1; *kinds != '\0'; kinds++, i++) {
		rc = SQLITE_MISUSE;
		if (*kinds == 'i') {
			rc = sqlite3_bind_int64(st, i, va_arg(ap, int64_t));
		} else if (*kinds == 's') {
			rc = sqlite3_bind_text(st, i, va_arg(ap, const char *),
			    -1, SQLITE_TRANSIENT);
		} else if (*kinds == 'b') {
			p = va_arg(ap, const void *);
			n = va_arg(ap, size_t);
			rc = sqlite3_bind_blob64(st, i, n == 0 ? "" : p, n,
			    SQLITE_TRANSIENT);
		} else if (*kinds == 'n')
			rc = sqlite3_bind_null(st, i);
		if (rc != SQLITE_OK)
			fatalx("store: %s: parameter %d: %s", sqlite3_sql(st),
			    i, sqlite3_errstr(rc));
	}
	va_end(ap);
}

static int
row_or_reason(sqlite3_stmt *st, enum reason *r)
{
	int	rc;

	if ((rc = sqlite3_step(st)) == SQLITE_ROW)
		return 1;
	*r = rc == SQLITE_DONE ? R_OK : store_complain(rc, sqlite3_sql(st));
	sqlite3_reset(st);
	return rc == SQLITE_DONE ? 0 : -1;
}

int
store_row_try(sqlite3_stmt *st)
{
	enum reason	r;

	return row_or_reason(st, &r);
}

int
store_row(sqlite3_stmt *st)
{
	enum reason	r;
	int		n;

	if ((n = row_or_reason(st, &r)) == -1)
		fatalx("store: %s %s %s", reason_code(r), reason_text(r),
		    reason_remedy(r));
	return n;
}

enum reason
store_write(sqlite3_stmt *st)
{
	enum reason	r;
	int		rc;

	if ((r = store_begin()) != R_OK) {
		sqlite3_reset(st);
		return r;
	}
	rc = sqlite3_step(st);
	if (rc == SQLITE_DONE || rc == SQLITE_ROW)
		r = R_OK;
	else if ((rc & 0xff) == SQLITE_CONSTRAINT)
		r = store_complain(rc, sqlite3_sql(st));
	else
		r = store_doom(rc, sqlite3_sql(st));
	sqlite3_reset(st);
	return r;
}

void
store_text(sqlite3_stmt *st, int col, char *buf, size_t size)
{
	const unsigned char	*s = sqlite3_column_text(st, col);

	snprintf(buf, size, "%s", s == NULL ? "" : (const char *)s);
}

size_t
store_blob(sqlite3_stmt *st, int col, void *buf, size_t size)
{
	const void	*p = sqlite3_column_blob(st, col);
	size_t		 n = (size_t)sqlite3_column_bytes(st, col);

	if (n > size)
		n = size;
	if (n > 0)
		memcpy(buf, p, n);
	return n;
}

void
store_why(sqlite3_stmt *st, int col, struct why *why)
{
	char	code[16];
	int	r;

	store_text(st, col, code, sizeof(code));
	r = reason_find(code);
	why->reason = r < 0 ? R_OK : (enum reason)r;
	store_text(st, col + 1, why->field, sizeof(why->field));
	store_text(st, col + 2, why->expected, sizeof(why->expected));
	store_text(st, col + 3, why->seen, sizeof(why->seen));
}

/* ---- meta ---- */

static struct store_sql meta_get = STORE_SQL(
    "SELECT value FROM meta WHERE name = ?1");
static struct store_sql meta_set = STORE_SQL(
    "INSERT INTO meta VALUES (?1, ?2)"
    " ON CONFLICT (name) DO UPDATE SET value = ?2");

int64_t
store_meta_int(const char *name, int64_t missing)
{
	sqlite3_stmt	*st = store_stmt(&meta_get);

	store_bind(st, "s", name);
	if (store_row(st) == 1)
		missing = sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return missing;
}

enum reason
store_meta_set_int(const char *name, int64_t value)
{
	sqlite3_stmt	*st = store_stmt(&meta_set);

	store_bind(st, "si", name, value);
	return store_write(st);
}

size_t
store_meta_blob(const char *name, void *buf, size_t size)
{
	sqlite3_stmt	*st = store_stmt(&meta_get);
	size_t		 n = 0;

	store_bind(st, "s", name);
	if (store_row(st) == 1)
		n = store_blob(st, 0, buf, size);
	sqlite3_reset(st);
	return n;
}

enum reason
store_meta_set_blob(const char *name, const void *value, size_t len)
{
	sqlite3_stmt	*st = store_stmt(&meta_set);

	store_bind(st, "sb", name, value, len);
	return store_write(st);
}
