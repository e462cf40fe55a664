/* An older store moves forward, whole or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>

#include "../../policyd/policyd.h"
#include "policyd_dir.h"

/* This program's own schema in the place of policyd/schema.c. */
const char *const store_schema[] = {
	"CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL);",
	"CREATE TABLE second (x);"
	"INSERT INTO second SELECT value FROM meta WHERE name = 'old';",
	"CREATE TABLE third (x UNIQUE);"
	"INSERT INTO third SELECT x FROM second;",
	NULL
};

static int64_t
raw_int(const char *sql)
{
	sqlite3_stmt	*st;
	sqlite3		*db;
	int64_t		 n = -1;

	assert_int_equal(sqlite3_open(dir_store, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL),
	    SQLITE_OK);
	if (sqlite3_step(st) == SQLITE_ROW)
		n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	return n;
}

#define VERSION_1							\
	"PRAGMA application_id = 1886547830; PRAGMA user_version = 1;"	\
	"CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL);"

static void
test_new_store(void **state)
{
	assert_int_equal(store_open(dir_store), R_OK);
	store_close();
	assert_int_equal(raw_int("PRAGMA user_version"), 3);
	assert_int_equal(raw_int("PRAGMA application_id"), 1886547830);
}

static void
test_moves_forward(void **state)
{
	dir_sql(VERSION_1 "INSERT INTO meta VALUES ('old', 42)");
	assert_int_equal(store_open(dir_store), R_OK);
	store_close();
	assert_int_equal(raw_int("PRAGMA user_version"), 3);
	assert_int_equal(raw_int("SELECT x FROM third"), 42);
}

/* The step from 2 to 3 contradicts a constraint: the store stays at 2. */
static void
test_failing_step(void **state)
{
	dir_sql(VERSION_1 "CREATE TABLE second (x);"
	    "INSERT INTO second VALUES (5), (5); PRAGMA user_version = 2;");
	assert_int_equal(store_open(dir_store), R_SYS_STORE_RULE);
	assert_int_equal(raw_int("PRAGMA user_version"), 2);
	assert_int_equal(raw_int("SELECT count(*) FROM sqlite_schema"
	    " WHERE name = 'third'"), 0);
	assert_int_equal(raw_int("SELECT count(*) FROM second"), 2);
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

static void
test_killed_while_moving(void **state)
{
	int	at, st = -1;

	for (at = 1; st == -1; at++) {
		assert_true(at < 500);
		dir_sql(VERSION_1 "INSERT INTO meta VALUES ('old', 42)");
		st = in_child(die_moving, at);
		assert_int_equal(store_open(dir_store), R_OK);
		store_close();
		assert_int_equal(raw_int("PRAGMA user_version"), 3);
		assert_int_equal(raw_int("SELECT x FROM third"), 42);
		unlink(dir_store);
	}
	assert_int_equal(st, 0);
	assert_true(at > 5);
}

static int
end(void **state)
{
	store_close();
	return dir_remove(state);
}

#define T(f)	cmocka_unit_test_setup_teardown(f, dir_make, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_new_store),
		T(test_moves_forward),
		T(test_failing_step),
		T(test_killed_while_moving),
	};

	return cmocka_run_group_tests_name("policyd_schema", tests, NULL,
	    NULL);
}
