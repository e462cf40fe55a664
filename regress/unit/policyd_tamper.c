/*
 * Whoever can write the store, and has no key: every way to tamper with the
 * audit log is found, and where it begins.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>

#include "policyd_audit.h"

static void
tampered(const char *text, enum reason want, uint64_t sequence)
{
	records(50);
	checkpoint();
	records(10);
	sql(text);
	assert_int_equal(verify(), want);
	assert_int_equal(result.sequence, sequence);
}

static void
test_changed_text(void **state)
{
	tampered("UPDATE audit SET text = 'nothing' WHERE sequence = 20",
	    R_AUD_CHANGED, 20);
}

static void
test_changed_reason(void **state)
{
	tampered("UPDATE audit SET reason = 'POL-001' WHERE sequence = 20",
	    R_AUD_CHANGED, 20);
}

static void
test_changed_time(void **state)
{
	tampered("UPDATE audit SET time = time + 1 WHERE sequence = 20",
	    R_AUD_CHANGED, 20);
}

/* Bytes moved from one field to the next are another encoding. */
static void
test_moved_bytes(void **state)
{
	tampered("UPDATE audit SET subject = 'bmc-bO', reason = 'K'"
	    " WHERE sequence = 20", R_AUD_CHANGED, 20);
}

static void
test_missing(void **state)
{
	tampered("DELETE FROM audit WHERE sequence = 20", R_AUD_MISSING, 20);
}

static void
test_missing_first(void **state)
{
	tampered("DELETE FROM audit WHERE sequence = 1", R_AUD_MISSING, 1);
}

static void
test_reordered(void **state)
{
	tampered("UPDATE audit SET sequence = -1 WHERE sequence = 20;"
	    "UPDATE audit SET sequence = 20 WHERE sequence = 21;"
	    "UPDATE audit SET sequence = 21 WHERE sequence = -1;",
	    R_AUD_CHANGED, 20);
}

static void
test_renumbered_over_a_hole(void **state)
{
	tampered("DELETE FROM audit WHERE sequence = 20;"
	    "UPDATE audit SET sequence = sequence - 1 WHERE sequence > 20;",
	    R_AUD_CHANGED, 20);
}

static void
test_truncated(void **state)
{
	tampered("DELETE FROM audit WHERE sequence > 30", R_AUD_TRUNCATED, 31);
}

/* Cut while policyd runs, above the checkpoint: it knows its newest record. */
static void
test_truncated_tail(void **state)
{
	tampered("DELETE FROM audit WHERE sequence > 55", R_AUD_TRUNCATED, 56);
}

/* Whoever can write the store can hash, but cannot sign. */
static void
rewrite_from(uint64_t sequence)
{
	static struct store_sql	 get = STORE_SQL("SELECT hash FROM audit"
	    " WHERE sequence = ?1");
	static struct store_sql	 put = STORE_SQL("UPDATE audit SET text ="
	    " ?2, hash = ?3 WHERE sequence = ?1");
	struct audit_row	 row;
	uint8_t			 chain[HASH_LEN];
	uint64_t		 i;

	store_bind(store_stmt(&get), "i", (int64_t)sequence - 1);
	assert_int_equal(store_row(get.st), 1);
	store_blob(get.st, 0, chain, HASH_LEN);
	sqlite3_reset(get.st);
	for (i = sequence; i <= audit_last(); i++) {
		(void)audit_page(i, 1, last_row, &row);
		if (i == sequence)
			text_set(row.text, sizeof(row.text), "never was");
		audit_hash(&row, chain, row.hash);
		memcpy(chain, row.hash, HASH_LEN);
		store_bind(store_stmt(&put), "isb", (int64_t)i, row.text,
		    row.hash, (size_t)HASH_LEN);
		assert_int_equal(store_write(put.st), R_OK);
	}
	store_turn();
}

static void
test_rewritten(void **state)
{
	uint64_t	covered;

	records(50);
	checkpoint();
	covered = audit_last();
	records(10);
	rewrite_from(20);
	assert_int_equal(verify(), R_AUD_CHECKPOINT);
	assert_int_equal(result.sequence, covered);
}

static void
test_checkpoint_forged(void **state)
{
	tampered("UPDATE checkpoint SET counter = counter + 1",
	    R_AUD_SIGNATURE, 51);
}

static void
test_checkpoint_unsigned(void **state)
{
	tampered("UPDATE checkpoint SET signature = x'00'", R_AUD_SIGNATURE,
	    51);
}

/* The last checkpoint taken away: the counter has gone on. */
static void
test_checkpoint_removed(void **state)
{
	records(5);
	checkpoint();
	records(5);
	checkpoint();
	sql("DELETE FROM checkpoint WHERE id = 2");
	assert_int_equal(verify(), R_AUD_ROLLED_BACK);
	assert_string_equal(result.why.expected, "1001");
	assert_string_equal(result.why.seen, "1002");
}

static void
test_checkpoint_between_removed(void **state)
{
	int	i;

	for (i = 0; i < 3; i++) {
		records(5);
		checkpoint();
	}
	sql("DELETE FROM checkpoint WHERE id = 2");
	assert_int_equal(verify(), R_AUD_ROLLED_BACK);
}

/* ---- rollback ---- */

static void
copy(const char *from, const char *to)
{
	char	buf[65536];
	ssize_t	n;
	int	a, b;

	assert_true((a = open(from, O_RDONLY | O_CLOEXEC)) != -1);
	b = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(b != -1);
	while ((n = read(a, buf, sizeof(buf))) > 0)
		assert_int_equal(write(b, buf, (size_t)n), n);
	close(a);
	close(b);
}

/* The store of before the last checkpoint is put back: found, for ever. */
static void
test_rolled_back(void **state)
{
	char	old[128];

	snprintf(old, sizeof(old), "%s.old", dir_store);
	records(5);
	checkpoint();
	fake_stop();
	store_close();
	copy(dir_store, old);
	policyd_up();
	keyd_up();
	records(5);
	checkpoint();
	assert_int_equal(verify(), R_OK);
	fake_stop();
	store_close();
	copy(old, dir_store);
	unlink(old);
	policyd_up();
	keyd_up();
	assert_int_equal(verify(), R_AUD_ROLLED_BACK);
	checkpoint();		/* a new one does not cover it up */
	assert_int_equal(verify(), R_AUD_ROLLED_BACK);
	restart();
	assert_int_equal(verify(), R_AUD_ROLLED_BACK);
}

/* Another TPM, or a cleared one: its counter stands below ours. */
static void
test_counter_below(void **state)
{
	records(5);
	checkpoint();
	records(5);
	checkpoint();
	fake.counter = 3;
	restart();
	assert_int_equal(verify(), R_AUD_COUNTER);
	checkpoint();
	assert_int_equal(verify(), R_AUD_COUNTER);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_changed_text),
		T(test_changed_reason),
		T(test_changed_time),
		T(test_moved_bytes),
		T(test_missing),
		T(test_missing_first),
		T(test_reordered),
		T(test_renumbered_over_a_hole),
		T(test_truncated),
		T(test_truncated_tail),
		T(test_rewritten),
		T(test_checkpoint_forged),
		T(test_checkpoint_unsigned),
		T(test_checkpoint_removed),
		T(test_checkpoint_between_removed),
		T(test_rolled_back),
		T(test_counter_below),
	};

	return cmocka_run_group_tests_name("policyd_tamper", tests, NULL,
	    NULL);
}
