/*
 * The store: what was acknowledged is on disk, whatever happens to the
 * process or the disk; at most one commit a turn; stores of others refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/mount.h>
#include <sys/stat.h>

#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>

#include "../../policyd/policyd.h"
#include "policyd_dir.h"
#include "confine.h"

static unsigned		commits;
static char		order[64];
static enum reason	said;

static int
count_commit(void *arg)
{
	commits++;
	return 0;
}

static void
ack(enum reason r, void *arg)
{
	char	*s = arg;

	said = r;
	strncat(order, s, sizeof(order) - strlen(order) - 1);
	free(s);
}

/* A copy for ack(), which frees it. */
static void *
word(const char *s)
{
	return strdup(s);
}

static void
open_store(void)
{
	assert_int_equal(store_open(dir_store), R_OK);
	sqlite3_commit_hook(store_db(), count_commit, NULL);
	commits = 0;
	order[0] = '\0';
	said = R_COUNT;
}

/* Runs at the end of every test, passed or not. */
static int
close_store(void **state)
{
	disk_errno = 0;
	disk_die_at = 0;
	store_close();
	return dir_remove(state);
}

/* ---- the turn ---- */

static void
test_one_commit_a_turn(void **state)
{
	open_store();
	assert_false(store_dirty());
	assert_int_equal(store_meta_set_int("a", 1), R_OK);
	store_after_commit(ack, word("1"));
	assert_int_equal(store_meta_set_int("b", 2), R_OK);
	store_after_commit(ack, word("2"));
	assert_int_equal(commits, 0);
	assert_string_equal(order, "");
	assert_true(store_dirty());
	store_turn();
	assert_int_equal(commits, 1);
	assert_string_equal(order, "12");
	assert_int_equal(said, R_OK);
	assert_false(store_dirty());
	store_turn();
	assert_int_equal(commits, 1);
}

/* A turn that changed nothing acknowledges without touching the disk. */
static void
test_no_change_no_commit(void **state)
{
	open_store();
	assert_int_equal(store_meta_int("a", 7), 7);
	store_after_commit(ack, word("x"));
	store_turn();
	assert_int_equal(commits, 0);
	assert_string_equal(order, "x");
}

static void
ack_writes(enum reason r, void *arg)
{
	(void)store_meta_set_int("late", 1);
	store_after_commit(ack, word("late"));
}

/* What an acknowledgement changes belongs to the next turn. */
static void
test_ack_may_write(void **state)
{
	open_store();
	assert_int_equal(store_meta_set_int("a", 1), R_OK);
	store_after_commit(ack_writes, NULL);
	store_turn();
	assert_string_equal(order, "");
	assert_true(store_dirty());
	store_turn();
	assert_string_equal(order, "late");
	assert_int_equal(commits, 2);
}

static void
test_reads_its_own_writes_and_keeps_them(void **state)
{
	char	buf[8];

	open_store();
	assert_int_equal(store_meta_set_blob("node", "abc", 3), R_OK);
	assert_int_equal(store_meta_blob("node", buf, sizeof(buf)), 3);
	store_turn();
	store_close();
	open_store();
	assert_int_equal(store_meta_blob("node", buf, sizeof(buf)), 3);
	assert_memory_equal(buf, "abc", 3);
	assert_int_equal(store_meta_blob("node", buf, 2), 2);
}

/* A contradiction refuses the one statement, not the turn. */
static void
test_constraint(void **state)
{
	static struct store_sql	 q = STORE_SQL(
	    "INSERT INTO slot VALUES (3, x'00', 1)");

	open_store();
	assert_int_equal(store_write(store_stmt(&q)), R_OK);
	assert_int_equal(store_write(store_stmt(&q)), R_SYS_STORE_RULE);
	store_after_commit(ack, word("k"));
	store_turn();
	assert_int_equal(said, R_OK);
	assert_int_equal(commits, 1);
}

static void
test_foreign_keys(void **state)
{
	int64_t		 on = 0, sync = 0;
	sqlite3_stmt	*st;

	open_store();
	assert_int_equal(sqlite3_prepare_v2(store_db(), "PRAGMA foreign_keys",
	    -1, &st, NULL), SQLITE_OK);
	if (sqlite3_step(st) == SQLITE_ROW)
		on = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	assert_int_equal(sqlite3_prepare_v2(store_db(), "PRAGMA synchronous",
	    -1, &st, NULL), SQLITE_OK);
	if (sqlite3_step(st) == SQLITE_ROW)
		sync = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	assert_int_equal(on, 1);
	assert_int_equal(sync, 2);
}

/* ---- death ---- */

static int	acks_fd;

static void
tell_parent(enum reason r, void *arg)
{
	uint8_t	n = (uint8_t)(uintptr_t)arg;

	if (r == R_OK && write(acks_fd, &n, 1) != 1)
		_exit(98);
}

/* Turn i writes rows i.0 and i.1 and tells the parent after the commit. */
static void
die_writing(int at)
{
	char		name[16];
	uintptr_t	i;

	disk_install();
	disk_half = at % 2 == 0;
	disk_die_at = (unsigned)at;
	if (store_open(dir_store) != R_OK)
		_exit(97);
	for (i = 1; i <= 5; i++) {
		snprintf(name, sizeof(name), "%d.0", (int)i);
		(void)store_meta_set_int(name, 1);
		snprintf(name, sizeof(name), "%d.1", (int)i);
		(void)store_meta_set_int(name, 1);
		store_after_commit(tell_parent, (void *)i);
		store_turn();
		if (i == 3)		/* so that the log starts over once */
			(void)sqlite3_wal_checkpoint_v2(store_db(), NULL,
			    SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	}
	store_close();
}

static void
check_after_death(int acked)
{
	char	name[16];
	int	i;
	int64_t	a, b;

	assert_int_equal(store_open(dir_store), R_OK);
	for (i = 1; i <= 5; i++) {
		snprintf(name, sizeof(name), "%d.0", i);
		a = store_meta_int(name, 0);
		snprintf(name, sizeof(name), "%d.1", i);
		b = store_meta_int(name, 0);
		assert_int_equal(a, b);	/* a turn is whole or not at all */
		if (i <= acked)
			assert_int_equal(a, 1);
	}
	store_close();
}

/* The process dies before, or in the middle of, every write in turn. */
static void
test_killed_at_every_write(void **state)
{
	int	at, fds[2], st, acked;
	uint8_t	n;

	for (at = 1, st = -1; st == -1; at++) {
		assert_true(at < 500);
		assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
		acks_fd = fds[1];
		st = in_child(die_writing, at);
		close(fds[1]);
		for (acked = 0; read(fds[0], &n, 1) == 1; acked++)
			assert_int_equal(n, acked + 1);
		close(fds[0]);
		check_after_death(acked);
		unlink(dir_store);
	}
	assert_int_equal(st, 0);
	assert_int_equal(acked, 5);
	assert_true(at > 20);		/* the writes were really counted */
}

/* ---- a disk that fails ---- */

static void
test_full_disk(void **state)
{
	disk_install();
	open_store();
	assert_int_equal(store_meta_set_int("kept", 1), R_OK);
	store_turn();
	disk_errno = ENOSPC;
	assert_int_equal(store_meta_set_int("lost", 1), R_OK);
	store_after_commit(ack, word("n"));
	store_turn();
	assert_int_equal(said, R_SYS_STORE_FULL);
	assert_true(store_failed());
	store_close();

	/* It starts anew, reads what it had, and says why it cannot write. */
	open_store();
	assert_int_equal(store_state(), R_SYS_STORE_FULL);
	assert_false(store_failed());
	assert_int_equal(store_meta_int("kept", 0), 1);
	assert_int_equal(store_meta_int("lost", 0), 0);
	assert_int_equal(store_meta_set_int("more", 1), R_SYS_STORE_FULL);
	store_turn();
	assert_false(store_failed());
	assert_int_equal(store_probe(), R_SYS_STORE_FULL);

	/* Room again: it goes on by itself. */
	disk_errno = 0;
	assert_int_equal(store_probe(), R_OK);
	assert_int_equal(store_meta_set_int("more", 1), R_OK);
	store_after_commit(ack, word("y"));
	store_turn();
	assert_int_equal(said, R_OK);
}

/* With the disk full before a store is made there is none, and a reason. */
static void
test_full_at_first_start(void **state)
{
	disk_install();
	disk_errno = ENOSPC;
	assert_int_equal(store_open(dir_store), R_SYS_STORE_FULL);
}

static void
test_failing_disk(void **state)
{
	disk_install();
	open_store();
	disk_errno = EIO;
	assert_int_equal(store_meta_set_int("a", 1), R_OK);
	store_after_commit(ack, word("n"));
	store_turn();
	assert_int_equal(said, R_SYS_STORE_IO);
	assert_true(store_failed());
}

/* Exit status: 77 if such a mount is not permitted here. */
static void
readonly_child(int kept)
{
	if (unshare(CLONE_NEWNS) == -1 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1 ||
	    mount(dir_path, dir_path, NULL, MS_BIND, NULL) == -1 ||
	    mount(NULL, dir_path, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY,
	    NULL) == -1)
		_exit(77);
	if (store_open(dir_store) != R_OK ||
	    store_state() != R_SYS_STORE_READONLY)
		_exit(1);
	if (store_meta_int("kept", 0) != kept)
		_exit(2);
	if (store_meta_set_int("more", 1) != R_SYS_STORE_READONLY)
		_exit(3);
	store_turn();
	if (store_probe() != R_SYS_STORE_READONLY || store_failed())
		_exit(4);
	/* Written again it is by the next start, which this one asks for. */
	if (mount(NULL, dir_path, NULL, MS_BIND | MS_REMOUNT, NULL) == -1 ||
	    store_probe() != R_SYS_STORE_READONLY || !store_failed())
		_exit(5);
	store_close();
	_exit(store_open(dir_store) == R_OK && store_state() == R_OK &&
	    store_meta_int("kept", 0) == kept ? 0 : 6);
}

static void
readonly(int kept)
{
	int	st;

	if ((st = in_child(readonly_child, kept)) == 77)
		skip();
	assert_int_equal(st, 0);
}

static void
test_readonly(void **state)
{
	open_store();
	assert_int_equal(store_meta_set_int("kept", 1), R_OK);
	store_turn();
	store_close();
	readonly(1);
}

/* Killed: what it acknowledged last is in the log only. */
static void
leave_log(int kept)
{
	if (store_open(dir_store) != R_OK ||
	    store_meta_set_int("kept", kept) != R_OK)
		_exit(1);
	store_turn();
	_exit(store_failed() ? 2 : 0);
}

static void
test_readonly_with_log(void **state)
{
	assert_int_equal(in_child(leave_log, 7), 0);
	readonly(7);
}

/* ---- under the filter ---- */

/* Everything that a running policyd may meet; SIGSYS would end it. */
static void
filtered(int err)
{
	unsigned	i;
	char		name[16];

	disk_install();
	if (store_open(dir_store) != R_OK)
		_exit(1);
	confine_filter(&policyd_confine);
	for (i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "n%u", i % 700);
		if (store_meta_set_blob(name, dir_path, 60) != R_OK)
			_exit(2);
		if (i % 2 == 0)
			store_turn();
	}
	store_turn();
	disk_errno = err;
	if (err != 0) {
		(void)store_meta_set_int("lost", 1);
		store_turn();
		if (!store_failed() || store_meta_int("lost", 0) != 0)
			_exit(3);
		(void)store_probe();
	}
	disk_errno = 0;
	if (store_meta_blob("n7", name, sizeof(name)) == 0)
		_exit(4);
	store_close();
	_exit(0);
}

static void
test_filter(void **state)
{
	assert_int_equal(in_child(filtered, 0), 0);
	assert_int_equal(in_child(filtered, ENOSPC), 0);
	assert_int_equal(in_child(filtered, EIO), 0);
	open_store();
	assert_int_equal(store_meta_int("lost", 0), 0);
}

/* The store is made with a full disk: its log is synced for the first time
   after the filter, and its directory with it. */
static void
filtered_late(int arg)
{
	disk_install();
	disk_errno = ENOSPC;
	if (store_open(dir_store) != R_OK ||
	    store_state() != R_SYS_STORE_FULL)
		_exit(1);
	confine_filter(&policyd_confine);
	disk_errno = 0;
	_exit(store_probe() == R_OK ? 0 : 2);
}

static void
test_filter_late(void **state)
{
	open_store();
	store_close();
	assert_int_equal(in_child(filtered_late, 0), 0);
}

static void
opens_to_write(int arg)
{
	confine_filter(&policyd_confine);
	_exit(open(dir_store, O_RDWR | O_CREAT, 0600) == -1 ? 1 : 0);
}

/* No file but those that were open at start is ever written. */
static void
test_filter_opens_nothing(void **state)
{
	assert_int_equal(in_child(opens_to_write, 0), -1);	/* SIGSYS */
}

/* ---- stores of others ---- */

static void
test_newer_refused(void **state)
{
	open_store();
	store_close();
	dir_sql("PRAGMA user_version = 9999");
	assert_int_equal(store_open(dir_store), R_SYS_STORE_NEWER);
	assert_null(store_db());
}

static void
test_foreign_refused(void **state)
{
	dir_sql("CREATE TABLE t (x)");
	assert_int_equal(store_open(dir_store), R_SYS_STORE_FOREIGN);
}

static void
test_no_database(void **state)
{
	FILE	*f;
	int	 i;

	assert_non_null(f = fopen(dir_store, "w"));
	for (i = 0; i < 2000; i++)
		fputs("this is not a database\n", f);
	fclose(f);
	assert_int_equal(store_open(dir_store), R_SYS_STORE_CORRUPT);
}

/* Junk in the place of a table's root page. */
static void
damage(const char *table)
{
	char		 sql[128], junk[4096];
	sqlite3_stmt	*st;
	sqlite3		*db;
	int64_t		 root;
	int		 fd;

	snprintf(sql, sizeof(sql), "SELECT rootpage FROM sqlite_schema"
	    " WHERE name = '%s'", table);
	assert_int_equal(sqlite3_open(dir_store, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL),
	    SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	root = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	memset(junk, 0xa5, sizeof(junk));
	assert_true((fd = open(dir_store, O_WRONLY | O_CLOEXEC)) != -1);
	assert_int_equal(pwrite(fd, junk, sizeof(junk),
	    (root - 1) * (off_t)sizeof(junk)), sizeof(junk));
	close(fd);
}

/* Peers that cannot be read are not peers that are not there. */
static void
read_peers(int arg)
{
	static struct store_sql	q = STORE_SQL("SELECT held FROM peer");

	if (store_open(dir_store) != R_OK)
		_exit(2);
	if (store_row_try(store_stmt(&q)) != -1)
		_exit(3);
	(void)store_row(store_stmt(&q));	/* ends with status 1 */
	_exit(4);
}

static void
test_damaged_table(void **state)
{
	open_store();
	store_close();
	damage("peer");
	assert_int_equal(in_child(read_peers, 0), 1);
	damage("meta");
	assert_int_equal(store_open(dir_store), R_SYS_STORE_CORRUPT);
	assert_null(store_db());
}

static void
test_damaged_page(void **state)
{
	char	junk[4096];
	int	fd;

	open_store();
	store_close();
	memset(junk, 0xa5, sizeof(junk));
	assert_true((fd = open(dir_store, O_WRONLY | O_CLOEXEC)) != -1);
	assert_int_equal(pwrite(fd, junk, sizeof(junk) - 100, 100), 3996);
	close(fd);
	assert_int_equal(store_open(dir_store), R_SYS_STORE_CORRUPT);
}

static void
second_opens(int arg)
{
	_exit(store_open(dir_store) == R_SYS_STORE_BUSY ? 0 : 1);
}

static void
test_second_policyd(void **state)
{
	open_store();
	assert_int_equal(store_meta_set_int("a", 1), R_OK);
	store_turn();
	assert_int_equal(in_child(second_opens, 0), 0);
}

static void
test_mode(void **state)
{
	struct stat	st;
	mode_t		mask = umask(077);

	open_store();
	umask(mask);
	assert_int_equal(stat(dir_store, &st), 0);
	assert_int_equal(st.st_mode & 077, 0);
}

#define T(f)	cmocka_unit_test_setup_teardown(f, dir_make, close_store)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_one_commit_a_turn),
		T(test_no_change_no_commit),
		T(test_ack_may_write),
		T(test_reads_its_own_writes_and_keeps_them),
		T(test_constraint),
		T(test_foreign_keys),
		T(test_killed_at_every_write),
		T(test_full_disk),
		T(test_full_at_first_start),
		T(test_failing_disk),
		T(test_readonly),
		T(test_readonly_with_log),
		T(test_filter),
		T(test_filter_late),
		T(test_filter_opens_nothing),
		T(test_newer_refused),
		T(test_foreign_refused),
		T(test_no_database),
		T(test_damaged_table),
		T(test_damaged_page),
		T(test_second_policyd),
		T(test_mode),
	};

	return cmocka_run_group_tests_name("policyd_store", tests, NULL, NULL);
}
