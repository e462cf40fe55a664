/*
 * A store that a provd with version 1 left behind moves forward with this
 * program's own schema: nothing in it changes but what a step says, and
 * whenever it is killed there is the old one or the new one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../policyd/policyd.h"
#include "policyd_dir.h"

#define OLD	"regress/data/upgrade/a.sql"

static char	*old_sql;

static int64_t
newest(void)
{
	int64_t	n = 0;

	while (store_schema[n] != NULL)
		n++;
	return n;
}

/* What a statement finds, all columns of all rows, in one line each. */
static char *
dump(const char *sql)
{
	sqlite3_stmt	*st;
	sqlite3		*db;
	char		*text = NULL;
	size_t		 size;
	FILE		*f;
	int		 i;

	assert_int_equal(sqlite3_open(dir_store, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL),
	    SQLITE_OK);
	f = open_memstream(&text, &size);
	assert_non_null(f);
	while (sqlite3_step(st) == SQLITE_ROW) {
		for (i = 0; i < sqlite3_column_count(st); i++)
			fprintf(f, "%s|", sqlite3_column_type(st, i) ==
			    SQLITE_NULL ? "NULL" :
			    (const char *)sqlite3_column_text(st, i));
		fprintf(f, "\n");
	}
	fclose(f);
	sqlite3_finalize(st);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	return text;
}

static void
assert_dump(const char *sql, const char *want)
{
	char	*got = dump(sql);

	assert_string_equal(got, want);
	free(got);
}

/* Every column that version 1 had. */
static const char *const kept[] = {
	"SELECT sequence, time, kind, subject, reason, text, hex(hash)"
	    " FROM audit ORDER BY sequence",
	"SELECT id, counter, sequence, hex(chain), time, hex(signature)"
	    " FROM checkpoint",
	"SELECT id, hex(serial), profile, hex(public), not_before, not_after,"
	    " requested, hex(certificate) FROM issued",
	"SELECT slot, hex(chain), installed FROM slot",
	"SELECT id, name, origin, identity, serial, address, held, state,"
	    " since, reason, field, expected, seen FROM peer",
	"SELECT peer, node, serial, device, subject, hex(root), version,"
	    " algorithm, not_before, not_after, hex(anchor), anchor_before,"
	    " anchor_after, hex(anchor2), time, run FROM evidence",
	"SELECT peer, list, time, hex(ignored) FROM measures",
	"SELECT peer, list, idx, type, raw, size, hex(digest), hex(value)"
	    " FROM measurement",
	"SELECT * FROM revoked",
	"SELECT name, hex(value) FROM meta WHERE name <> 'probe'",
};
#define NKEPT	(sizeof(kept) / sizeof(kept[0]))

static void
assert_kept(char **before)
{
	size_t	i;

	for (i = 0; i < NKEPT; i++)
		assert_dump(kept[i], before[i]);
}

static void
remember(char **before)
{
	size_t	i;

	for (i = 0; i < NKEPT; i++) {
		before[i] = dump(kept[i]);
		assert_true(*before[i] != '\0');
	}
}

static void
forget(char **before)
{
	size_t	i;

	for (i = 0; i < NKEPT; i++)
		free(before[i]);
}

static void
test_moves_forward(void **state)
{
	char	*before[NKEPT], version[16];

	dir_sql(old_sql);
	assert_dump("PRAGMA user_version", "1|\n");
	remember(before);
	assert_int_equal(store_open(dir_store), R_OK);
	store_close();
	snprintf(version, sizeof(version), "%d|\n", (int)newest());
	assert_dump("PRAGMA user_version", version);
	assert_kept(before);
	/* 1 -> 2 */
	assert_dump("SELECT address FROM evidence", "|\n");
	/* 5 -> 6: no authority where there was none */
	assert_dump("SELECT (SELECT count(*) FROM authority),"
	    " (SELECT count(*) FROM ca), (SELECT count(*) FROM crl)",
	    "0|0|0|\n");
	forget(before);
}

static void
die_moving(int at)
{
	disk_install();
	disk_die_at = (unsigned)at;
	if (store_open(dir_store) != R_OK)
		_exit(1);
	store_close();
}

/*
 * Killed before each write in turn: what is on disk then is a whole store of
 * one version or the other, and the next start completes it.
 */
static void
test_killed(void **state)
{
	char	*before[NKEPT], *version;
	int	 at, st = -1;

	dir_sql(old_sql);
	remember(before);
	for (at = 1; st == -1; at++) {
		assert_true(at < 500);
		st = in_child(die_moving, at);
		version = dump("PRAGMA user_version");
		assert_in_range(strtol(version, NULL, 10), 1, newest());
		/* A column is there if and only if its version is. */
		assert_dump("SELECT count(*) FROM pragma_table_info('evidence')"
		    " WHERE name = 'address'",
		    strtol(version, NULL, 10) == 1 ? "0|\n" : "1|\n");
		free(version);
		assert_dump("PRAGMA integrity_check", "ok|\n");
		assert_kept(before);
		assert_int_equal(store_open(dir_store), R_OK);
		store_close();
		assert_kept(before);
		unlink(dir_store);
		dir_sql(old_sql);
	}
	assert_int_equal(st, 0);
	assert_true(at > 5);
	forget(before);
}

/* What a newer provd keeps, and how, is not for this one to touch. */
static void
test_newer(void **state)
{
	char	*mode;

	dir_sql(old_sql);
	dir_sql("PRAGMA user_version = 1000");
	mode = dump("PRAGMA journal_mode");
	assert_int_equal(store_open(dir_store), R_SYS_STORE_NEWER);
	assert_dump("PRAGMA user_version", "1000|\n");
	assert_dump("PRAGMA journal_mode", mode);
	free(mode);
}

static int
end(void **state)
{
	store_close();
	return dir_remove(state);
}

static int
read_old(void **state)
{
	size_t	 size = 0;
	FILE	*f;

	if ((f = fopen(OLD, "r")) == NULL)
		return -1;
	if (getdelim(&old_sql, &size, '\0', f) == -1)
		return -1;
	fclose(f);
	return 0;
}

static int
free_old(void **state)
{
	free(old_sql);
	return 0;
}

#define T(f)	cmocka_unit_test_setup_teardown(f, dir_make, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_moves_forward),
		T(test_killed),
		T(test_newer),
	};

	return cmocka_run_group_tests_name("policyd_upgrade", tests, read_old,
	    free_old);
}
