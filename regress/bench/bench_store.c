/*
 * What it costs to change a peer's state and to have it on disk: the change,
 * its audit record and the commit, alone and with 32 events in one turn. The
 * same number of bytes goes into a bare SQLite table beside it, in turns.
 * Prints
 *
 *     name  median  unit  ratio to bare SQLite
 */
#include <err.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "../../policyd/policyd.h"

#define TURNS	100	/* in a round */
#define ROUNDS	11

static struct conf	config;
const struct conf	*conf = &config;
static sqlite3		*bare;
static sqlite3_stmt	*bare_put;
static char		 dir[64], path[96], bare_path[96];

/* What audit.c tells others; nobody listens here. */
struct chan *
hubd_link(enum ipc_role r)
{
	return NULL;
}

void
control_event(const struct audit_row *row)
{
}

static void
bare_exec(const char *sql)
{
	if (sqlite3_exec(bare, sql, NULL, NULL, NULL) != SQLITE_OK)
		errx(1, "%s: %s", sql, sqlite3_errmsg(bare));
}

static void
bare_open(void)
{
	if (sqlite3_open(bare_path, &bare) != SQLITE_OK)
		errx(1, "%s", bare_path);
	bare_exec("PRAGMA locking_mode = EXCLUSIVE;"
	    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
	    "CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB)");
	if (sqlite3_prepare_v2(bare, "INSERT INTO t (v) VALUES"
	    " (zeroblob(160))", -1, &bare_put, NULL) != SQLITE_OK)
		errx(1, "%s", sqlite3_errmsg(bare));
}

/* Turns a second. */
static double
run_bare(unsigned events)
{
	double		start = seconds();
	unsigned	i, n;

	for (i = 0; i < TURNS; i++) {
		bare_exec("BEGIN IMMEDIATE");
		for (n = 0; n < events; n++) {
			if (sqlite3_step(bare_put) != SQLITE_DONE)
				errx(1, "%s", sqlite3_errmsg(bare));
			sqlite3_reset(bare_put);
		}
		bare_exec("COMMIT");
	}
	return TURNS / (seconds() - start);
}

static unsigned	acked;

static void
ack(enum reason r, void *arg)
{
	if (r != R_OK)
		errx(1, "%s", reason_text(r));
	acked++;
}

static double
run_ours(unsigned events)
{
	static struct store_sql	 put = STORE_SQL("INSERT INTO meta"
	    " VALUES ('state', ?1) ON CONFLICT (name) DO UPDATE SET"
	    " value = ?1");
	sqlite3_stmt		*st;
	double			 start = seconds();
	unsigned		 i, n;

	for (i = 0; i < TURNS; i++) {
		for (n = 0; n < events; n++) {
			st = store_stmt(&put);
			store_bind(st, "s", "Connected");
			if (store_write(st) != R_OK)
				errx(1, "write");
			audit_record(AUDIT_TRANSITION, "bmc-b", R_OK,
			    "NotConnected to Connected: the connection is up");
			store_after_commit(ack, NULL);
		}
		store_turn();
	}
	return TURNS / (seconds() - start);
}

static void
compare(const char *name, unsigned events)
{
	double		ours[ROUNDS], theirs[ROUNDS], o, t;
	unsigned	i;

	for (i = 0; i < ROUNDS; i++) {
		theirs[i] = run_bare(events);
		ours[i] = run_ours(events);
	}
	o = median(ours, ROUNDS);
	t = median(theirs, ROUNDS);
	bench_line(name, o * events, "events/s", o / t);
}

int
main(int argc, char **argv)
{
	static const char *const ends[] = { "", "-wal" };
	char			 name[128];
	size_t			 i;

	bench_start(argc, argv);
	snprintf(dir, sizeof(dir), "/tmp/provd-bench.XXXXXX");
	if (mkdtemp(dir) == NULL)
		err(1, "%s", dir);
	snprintf(path, sizeof(path), "%s/store.db", dir);
	snprintf(bare_path, sizeof(bare_path), "%s/bare.db", dir);
	if (store_open(path) != R_OK)
		errx(1, "%s", path);
	audit_start();
	bare_open();
	compare("store_event", 1);
	compare("store_event_of_32", 32);
	sqlite3_finalize(bare_put);
	sqlite3_close(bare);
	store_close();
	for (i = 0; i < 2; i++) {
		snprintf(name, sizeof(name), "%s%s", path, ends[i]);
		unlink(name);
		snprintf(name, sizeof(name), "%s%s", bare_path, ends[i]);
		unlink(name);
	}
	return rmdir(dir) == 0 ? 0 : 1;
}
