/*
 * The audit log: every field is in the chain, a checkpoint survives a kill at
 * each of its steps, and what is not covered is said.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "policyd_audit.h"

/* ---- the chain ---- */

static void
test_whole(void **state)
{
	records(2500);
	assert_int_equal(verify(), R_OK);
	assert_int_equal(result.records, audit_last());
	assert_int_equal(result.checkpoints, 0);
	assert_int_equal(result.uncovered, result.records);
	checkpoint();
	records(7);
	assert_int_equal(verify(), R_OK);
	assert_int_equal(result.checkpoints, 1);
	assert_int_equal(result.uncovered, 7);
	assert_int_equal(result.counter, 1001);
	assert_int_equal(result.tpm_counter, 1001);
	assert_true(result.have_counter);
}

static void
page(const struct audit_row *row, void *arg)
{
	uint64_t	*next = arg;

	assert_int_equal(row->sequence, *next);
	(*next)++;
}

static void
test_pages(void **state)
{
	uint64_t	from = 1, next = 1, pages = 0;

	records(250);
	while (from != 0) {
		from = audit_page(from, 100, page, &next);
		pages++;
	}
	assert_int_equal(next, audit_last() + 1);
	assert_int_equal(pages, 3);
	assert_int_equal(audit_page(audit_last() + 1, 10, page, &next), 0);
}

/* What an operator reads has no control characters and ends at a character. */
static void
test_text(void **state)
{
	struct audit_row	row;
	char			longer[600];

	memset(longer, 'x', sizeof(longer));
	memcpy(longer + 511, "\xc3\xa9", 3);
	audit_record(AUDIT_REFUSAL, "a\nb", R_IPC_USER, "%s", longer);
	store_turn();
	(void)audit_page(audit_last(), 1, last_row, &row);
	assert_string_equal(row.subject, "a?b");
	assert_string_equal(row.reason, reason_code(R_IPC_USER));
	assert_string_equal(row.kind, "refusal");
	assert_int_equal(strlen(row.text), 511);
	assert_int_equal(row.time, clock_trusted());
	assert_int_equal(verify(), R_OK);
}

/* Every field is in the hash, and so is the hash before. */
static void
test_hash(void **state)
{
	struct audit_row	row, other;
	uint8_t			zero[HASH_LEN] = { 0 }, one[HASH_LEN] = { 1 };
	uint8_t			want[HASH_LEN], seen[HASH_LEN];
	unsigned		i;

	memset(&row, 0, sizeof(row));
	audit_hash(&row, zero, want);
	audit_hash(&row, one, seen);
	assert_memory_not_equal(want, seen, HASH_LEN);
	for (i = 0; i < 6; i++) {
		other = row;
		if (i == 0)
			other.sequence = 1;
		else if (i == 1)
			other.time = 1;
		else
			text_set(i == 2 ? other.kind : i == 3 ?
			    other.subject : i == 4 ? other.reason :
			    other.text, 2, "x");
		audit_hash(&other, zero, seen);
		assert_memory_not_equal(want, seen, HASH_LEN);
	}
}

/* ---- checkpoints ---- */

static void
test_not_before_it_is_due(void **state)
{
	checkpoint();
	assert_int_equal(fake.checkpoints, 1);
	mono -= config.checkpoint;	/* when it was made */
	records(5);
	mono += config.checkpoint - 1;
	audit_tick(mono);
	fake_pump();
	assert_int_equal(fake.checkpoints, 1);
	mono += 1;
	audit_tick(mono);
	fake_pump();
	assert_int_equal(fake.checkpoints, 2);
	assert_int_equal(fake.counter, 1002);
}

/* What busd claims is covered soon, but not each time: counters wear out. */
static void
test_claims_once_a_minute(void **state)
{
	unsigned	i;

	checkpoint();
	mono -= config.checkpoint;
	for (i = 1; i < 600; i++) {
		audit_record(AUDIT_CLAIM, "bmc-b", R_OK, "claimed");
		store_turn();
		mono += 100;
		audit_tick(mono);
		fake_pump();
	}
	assert_int_equal(fake.checkpoints, 1);
	mono += 100;
	audit_tick(mono);
	fake_pump();
	assert_int_equal(fake.checkpoints, 2);
	/* An operator's own command does not wait. */
	audit_record(AUDIT_OPERATOR, "bmc-b", R_OK, "uid 0");
	store_turn();
	audit_tick(mono);
	fake_pump();
	assert_int_equal(fake.checkpoints, 3);
}

static void
test_nothing_new_no_checkpoint(void **state)
{
	records(5);
	checkpoint();
	checkpoint();
	checkpoint();
	assert_int_equal(fake.checkpoints, 1);
}

/* A privileged event does not wait, and several share one. */
static void
test_privileged(void **state)
{
	checkpoint();
	audit_record(AUDIT_OPERATOR, "bmc-b", R_OK, "provision");
	audit_record(AUDIT_OPERATOR, "bmc-b", R_OK, "unprovision");
	store_turn();
	mono += 1000;
	audit_tick(mono);
	fake_pump();
	assert_int_equal(fake.checkpoints, 2);
	mono += 1000;
	audit_tick(mono);
	fake_pump();
	assert_int_equal(fake.checkpoints, 2);
}

/* What a killed policyd left uncovered does not wait either. */
static void
test_covered_after_kill(void **state)
{
	checkpoint();
	records(5);
	restart();
	audit_tick(mono);
	fake_pump();
	assert_int_equal(fake.checkpoints, 2);
	assert_int_equal(verify(), R_OK);
	assert_int_equal(result.uncovered, 0);
}

static unsigned	stops;

static void
stopped(void *arg)
{
	stops++;
}

static void
test_clean_stop(void **state)
{
	stops = 0;
	records(5);
	audit_stop(stopped, NULL);
	fake_pump();
	assert_int_equal(stops, 1);
	assert_int_equal(fake.counter, 1001);
	assert_int_equal(verify(), R_OK);
	assert_int_equal(result.uncovered, 0);
}

/* A checkpoint is on its way already when the stop comes. */
static void
test_stop_covers_the_rest(void **state)
{
	stops = 0;
	audit_record(AUDIT_OPERATOR, "bmc-b", R_OK, "provision");
	store_turn();
	mono += 1000;
	audit_tick(mono);
	records(3);
	audit_stop(stopped, NULL);
	assert_int_equal(stops, 0);
	fake_pump();
	assert_int_equal(stops, 1);
	assert_int_equal(fake.checkpoints, 2);
	assert_int_equal(verify(), R_OK);
	assert_int_equal(result.uncovered, 0);
}

static void
test_stop_without_keyd(void **state)
{
	stops = 0;
	records(5);
	fake_stop();
	audit_stop(stopped, NULL);
	assert_int_equal(stops, 1);
}

/*
 * keyd dies at each of the calls of a checkpoint, before or after it did what
 * it was asked; after its next start the log and the counter agree.
 */
static void
keyd_dies(unsigned before, unsigned after)
{
	records(5);
	fake.calls = 0;
	fake.die_before = before;
	fake.die_after = after;
	checkpoint();
	assert_null(link_keyd);
	keyd_up();
	mono += 300000;
	checkpoint();
	assert_int_equal(verify(), R_OK);
	assert_int_equal(result.uncovered, 0);
	assert_int_equal(result.counter, fake.counter);
}

static void
test_keyd_dies(void **state)
{
	keyd_dies(1, 0);
	keyd_dies(0, 1);
	keyd_dies(2, 0);
	keyd_dies(0, 2);
}

/* The same with policyd: killed with the checkpoint signed, stored, moved. */
static void
policyd_dies(unsigned before, unsigned after)
{
	uint64_t	was = fake.counter;

	records(5);
	fake.calls = 0;
	fake.die_before = before;
	fake.die_after = after;
	checkpoint();
	assert_null(link_keyd);
	store_close();		/* what was not committed is gone */
	policyd_up();
	keyd_up();
	assert_int_equal(verify(), R_OK);
	/* a stored checkpoint was completed at start */
	assert_int_equal(fake.counter, result.counter == 0 ? was :
	    result.counter);
	checkpoint();
	assert_int_equal(verify(), R_OK);
	assert_int_equal(result.uncovered, 0);
}

static void
test_policyd_dies(void **state)
{
	policyd_dies(0, 1);		/* signed, never heard of */
	policyd_dies(2, 0);		/* stored, counter not moved */
	policyd_dies(0, 2);		/* counter moved, never heard of */
}

/* A checkpoint one above the counter is not a rollback, and is completed. */
static void
test_pending_completed_at_start(void **state)
{
	records(5);
	fake.calls = 0;
	fake.die_before = 2;
	checkpoint();
	assert_int_equal(fake.counter, 1000);
	store_close();
	policyd_up();
	fake.calls = 0;
	keyd_up();
	assert_int_equal(fake.counter, 1001);
	assert_int_equal(fake.counter_moves, 1);
	assert_int_equal(verify(), R_OK);
}

static void
test_bad_signature_not_stored(void **state)
{
	struct why	why;
	uint64_t	t, c, u;

	records(5);
	fake.lie = LIE_CHECKPOINT;
	checkpoint();
	audit_status(&t, &c, &u, &why);
	assert_int_equal(why.reason, R_AUD_SIGNATURE);
	assert_int_equal(c, 0);
	fake.lie = LIE_NONE;
	mono += 300000;
	checkpoint();
	audit_status(&t, &c, &u, &why);
	assert_int_equal(why.reason, R_OK);
	assert_int_equal(c, 1001);
	assert_int_equal(u, 0);
}

static void
test_refusal_is_retried(void **state)
{
	struct why	why;
	uint64_t	t, c, u;

	records(5);
	fake.refuse = R_TPM_LOCKOUT;
	checkpoint();
	audit_status(&t, &c, &u, &why);
	assert_int_equal(why.reason, R_TPM_LOCKOUT);
	fake.refuse = R_OK;
	mono += 300000;
	checkpoint();
	assert_int_equal(verify(), R_OK);
	assert_int_equal(result.uncovered, 0);
}

/* Without a TPM there is no counter: the chain is signed all the same. */
static void
test_no_counter(void **state)
{
	fake_stop();
	fake.counted = false;
	keyd_up();
	records(5);
	checkpoint();
	records(5);
	checkpoint();
	assert_int_equal(verify(), R_OK);
	assert_false(result.have_counter);
	assert_int_equal(result.checkpoints, 2);
	sql("DELETE FROM audit WHERE sequence > 5");
	assert_int_equal(verify(), R_AUD_TRUNCATED);
}

static void
test_no_keyd_no_proof(void **state)
{
	records(5);
	fake_stop();
	assert_int_equal(verify(), R_IPC_NOLINK);
}

static void
test_keyd_dies_while_verifying(void **state)
{
	records(5);
	fake.calls = 0;
	fake.die_before = 1;
	assert_int_equal(verify(), R_IPC_CLOSED);
}

static void
test_too_many_walks(void **state)
{
	unsigned	i;

	records(5);
	results = 0;
	for (i = 0; i < 5; i++)
		audit_verify(got_result, NULL);
	fake_pump();
	assert_int_equal(results, 5);
}

/* ---- a store that cannot be written ---- */

static void
test_lost_records(void **state)
{
	struct audit_row	row;
	uint64_t		last;

	disk_install();
	records(5);
	fake_stop();
	store_close();
	disk_errno = ENOSPC;
	policyd_up();
	assert_int_equal(store_state(), R_SYS_STORE_FULL);
	last = audit_last();
	events = 0;
	records(3);
	assert_int_equal(audit_last(), last);
	assert_int_equal(events, 3);	/* who watches still sees them */
	disk_errno = 0;
	assert_int_equal(store_probe(), R_OK);
	audit_tick(mono);
	store_turn();
	(void)audit_page(audit_last(), 1, last_row, &row);
	assert_string_equal(row.reason, reason_code(R_AUD_LOST));
	assert_string_equal(row.text, "3 records were not written");
	keyd_up();
	assert_int_equal(verify(), R_OK);
}

/* policyd is killed at every write; the log is whole each time. */
static void
die_recording(int at)
{
	unsigned	i;

	disk_install();
	disk_half = at % 2 == 0;
	disk_die_at = (unsigned)at;
	if (store_open(dir_store) != R_OK)
		_exit(97);
	audit_start();
	for (i = 0; i < 4; i++)
		records(3);
	store_close();
}

static void
test_killed_at_every_write(void **state)
{
	int	at, st = -1;

	for (at = 1; st == -1; at++) {
		assert_true(at < 500);
		fake_stop();
		store_close();
		st = in_child(die_recording, at);
		policyd_up();
		keyd_up();
		assert_int_equal(verify(), R_OK);
	}
	assert_int_equal(st, 0);
	assert_true(at > 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_whole),
		T(test_pages),
		T(test_text),
		T(test_hash),
		T(test_not_before_it_is_due),
		T(test_claims_once_a_minute),
		T(test_nothing_new_no_checkpoint),
		T(test_privileged),
		T(test_covered_after_kill),
		T(test_clean_stop),
		T(test_stop_covers_the_rest),
		T(test_stop_without_keyd),
		T(test_keyd_dies),
		T(test_policyd_dies),
		T(test_pending_completed_at_start),
		T(test_bad_signature_not_stored),
		T(test_refusal_is_retried),
		T(test_no_counter),
		T(test_no_keyd_no_proof),
		T(test_keyd_dies_while_verifying),
		T(test_too_many_walks),
		T(test_lost_records),
		T(test_killed_at_every_write),
	};

	return cmocka_run_group_tests_name("policyd_audit", tests, NULL,
	    NULL);
}
