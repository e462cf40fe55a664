/*
 * Reading the audit log: pages for 'audit show', and the walk of 'audit
 * verify', in pieces, so that a long log never holds up the loop.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hex.h"
#include "policyd.h"

#define WALKS_MAX	4		/* at once */
#define PIECE		1000		/* records in a turn */
#define SIGNATURE_COST	100		/* records that a signature equals */
#define KEYD_TIMEOUT	60000		/* ms */

struct walk {
	struct walk	*next;
	audit_result_fn	 fn;
	void		*arg;
	struct audit_result res;
	bool		 ready;		/* keyd was asked: go on */
	uint8_t		 chain[HASH_LEN];	/* of the record walked last */
	uint64_t	 at;		/* its sequence */
	uint64_t	 end;		/* newest record when the walk began */
	uint8_t		 point[97];
	size_t		 pointlen;
	int64_t		 mark_id;	/* next checkpoint, 0 if none is left */
	struct audit_mark mark;
	uint8_t		 sig[112];
	size_t		 siglen;
	struct audit_mark before;	/* the checkpoint before it */
};

static struct walk	*walks;

/* ---- records ---- */

static struct store_sql	 sql_records = STORE_SQL("SELECT sequence, time, kind,"
    " subject, reason, text, hash FROM audit WHERE sequence >= ?1"
    " ORDER BY sequence LIMIT ?2");

static void
record_get(sqlite3_stmt *st, struct audit_row *row)
{
	memset(row, 0, sizeof(*row));
	row->sequence = (uint64_t)sqlite3_column_int64(st, 0);
	row->time = (uint64_t)sqlite3_column_int64(st, 1);
	store_text(st, 2, row->kind, sizeof(row->kind));
	store_text(st, 3, row->subject, sizeof(row->subject));
	store_text(st, 4, row->reason, sizeof(row->reason));
	store_text(st, 5, row->text, sizeof(row->text));
	store_blob(st, 6, row->hash, sizeof(row->hash));
}

uint64_t
audit_page(uint64_t from, unsigned max, audit_row_fn fn, void *arg)
{
	struct audit_row	*rows;
	sqlite3_stmt		*st = store_stmt(&sql_records);
	unsigned		 i, n = 0;
	uint64_t		 next;

	if (max == 0 || max > PIECE)
		max = PIECE;
	if ((rows = calloc(max, sizeof(*rows))) == NULL)
		fatal("audit");
	store_bind(st, "ii", (int64_t)from, (int64_t)max);
	while (n < max && store_row_try(st) == 1)
		record_get(st, &rows[n++]);
	sqlite3_reset(st);
	/* fn may use the statement again, so nothing is read below here */
	for (i = 0; i < n; i++)
		fn(&rows[i], arg);
	next = n == max ? rows[n - 1].sequence + 1 : 0;
	free(rows);
	return next;
}

/* ---- the walk ---- */

static void
walk_found(struct walk *w, enum reason r, uint64_t sequence,
    const char *field, uint64_t expected, uint64_t seen)
{
	char	e[24], s[24];

	snprintf(e, sizeof(e), "%" PRIu64, expected);
	snprintf(s, sizeof(s), "%" PRIu64, seen);
	why_set(&w->res.why, r, field, e, s);
	w->res.sequence = sequence;
}

static void
walk_found_hash(struct walk *w, enum reason r, uint64_t sequence,
    const char *field, const uint8_t *expected, const uint8_t *seen)
{
	char	e[HEX_SIZE(8)], s[HEX_SIZE(8)];

	hex(expected, 8, e);
	hex(seen, 8, s);
	why_set(&w->res.why, r, field, e, s);
	w->res.sequence = sequence;
}

static void
walk_next_mark(struct walk *w)
{
	static struct store_sql	 get = STORE_SQL("SELECT id, counter, sequence,"
	    " chain, time, signature FROM checkpoint WHERE id > ?1"
	    " ORDER BY id LIMIT 1");
	sqlite3_stmt		*st = store_stmt(&get);

	store_bind(st, "i", w->mark_id);
	w->mark_id = 0;
	if (store_row(st) == 1) {
		w->mark_id = sqlite3_column_int64(st, 0);
		w->mark.counter = (uint64_t)sqlite3_column_int64(st, 1);
		w->mark.sequence = (uint64_t)sqlite3_column_int64(st, 2);
		memset(w->mark.chain, 0, HASH_LEN);
		store_blob(st, 3, w->mark.chain, HASH_LEN);
		w->mark.time = (uint64_t)sqlite3_column_int64(st, 4);
		w->siglen = store_blob(st, 5, w->sig, sizeof(w->sig));
	}
	sqlite3_reset(st);
}

/* The checkpoint at the record that was just walked. */
static int
walk_mark(struct walk *w)
{
	const struct audit_mark	*m = &w->mark, *b = &w->before;

	if (!audit_signed_by(w->point, w->pointlen, m, w->sig, w->siglen)) {
		walk_found(w, R_AUD_SIGNATURE, m->sequence,
		    "checkpoint signature", m->counter, m->counter);
		return -1;
	}
	if (memcmp(m->chain, w->chain, HASH_LEN) != 0) {
		walk_found_hash(w, R_AUD_CHECKPOINT, m->sequence,
		    "checkpoint chain", m->chain, w->chain);
		return -1;
	}
	if (w->res.checkpoints > 0 && m->counter != b->counter + 1) {
		walk_found(w, m->counter > b->counter ? R_AUD_ROLLED_BACK :
		    R_AUD_COUNTER, m->sequence, "checkpoint counter",
		    b->counter + 1, m->counter);
		return -1;
	}
	w->res.checkpoints++;
	w->before = *m;
	walk_next_mark(w);
	return 0;
}

/* Checkpoints at w->at; one below it comes out of order: it was moved. */
static int
walk_marks(struct walk *w, unsigned *spent)
{
	while (w->mark_id != 0 && w->mark.sequence <= w->at) {
		if (w->mark.sequence < w->at) {
			walk_found(w, R_AUD_CHECKPOINT, w->mark.sequence,
			    "checkpoint sequence", w->at, w->mark.sequence);
			return -1;
		}
		*spent += SIGNATURE_COST;
		if (walk_mark(w) == -1)
			return -1;
	}
	return 0;
}

static int
walk_record(struct walk *w, const struct audit_row *row)
{
	uint8_t	hash[HASH_LEN];

	if (row->sequence != w->at + 1) {
		walk_found(w, R_AUD_MISSING, w->at + 1, "sequence", w->at + 1,
		    row->sequence);
		return -1;
	}
	audit_hash(row, w->chain, hash);
	if (memcmp(hash, row->hash, HASH_LEN) != 0) {
		walk_found_hash(w, R_AUD_CHANGED, row->sequence, "hash",
		    row->hash, hash);
		return -1;
	}
	memcpy(w->chain, hash, HASH_LEN);
	w->at = row->sequence;
	w->res.records++;
	return 0;
}

/* All records are walked: what should have come, and the TPM's counter. */
static void
walk_end(struct walk *w)
{
	const struct audit_result	*r = &w->res;

	w->res.counter = w->before.counter;
	w->res.uncovered = w->at - w->before.sequence;
	if (w->mark_id != 0)
		walk_found(w, R_AUD_TRUNCATED, w->at + 1, "last record",
		    w->mark.sequence, w->at);
	else if (w->at < w->end)
		walk_found(w, R_AUD_TRUNCATED, w->at + 1, "last record",
		    w->end, w->at);
	else if (!r->have_counter || r->checkpoints == 0)
		return;
	else if (r->tpm_counter > r->counter)
		walk_found(w, R_AUD_ROLLED_BACK, w->before.sequence,
		    "TPM counter", r->counter, r->tpm_counter);
	else if (r->tpm_counter + 1 < r->counter)
		walk_found(w, R_AUD_COUNTER, w->before.sequence,
		    "TPM counter", r->counter, r->tpm_counter);
}

/* True when the walk is over. */
static bool
walk_piece(struct walk *w)
{
	struct audit_row	 row;
	sqlite3_stmt		*st = store_stmt(&sql_records);
	unsigned		 spent;
	int			 r = 0;

	store_bind(st, "ii", (int64_t)w->at + 1, (int64_t)PIECE);
	for (spent = 0; spent < PIECE; spent++) {
		if (w->at >= w->end || (r = store_row_try(st)) != 1)
			break;
		record_get(st, &row);
		if (walk_record(w, &row) == -1 || walk_marks(w, &spent) == -1)
			r = -2;
		if (r == -2)
			break;
	}
	sqlite3_reset(st);
	if (r == -1)
		why_set(&w->res.why, R_SYS_STORE_CORRUPT, "audit", NULL, NULL);
	else if (r != -2 && spent < PIECE)
		walk_end(w);
	return r < 0 || spent < PIECE;
}

bool
audit_work(void)
{
	struct walk	*w, **p;
	bool		 more = false;

	for (p = &walks; (w = *p) != NULL;) {
		if (!w->ready || !walk_piece(w)) {
			more = more || w->ready;
			p = &w->next;
			continue;
		}
		*p = w->next;
		w->fn(&w->res, w->arg);
		free(w);
		return walks != NULL;	/* fn may have begun another */
	}
	return more;
}

/* ---- beginning ---- */

static void
walk_over(enum reason r, void *arg)
{
	struct walk	*w = arg;

	w->fn(&w->res, w->arg);
	free(w);
}

/* The walk cannot begin; fn still runs later, as promised. */
static void
walk_refuse(struct walk *w, enum reason r)
{
	why_set(&w->res.why, r, NULL, NULL, NULL);
	store_after_commit(walk_over, w);
}

static void
walk_begin(struct walk *w)
{
	w->ready = true;
	w->end = audit_last();
	walk_next_mark(w);
}

static void
walk_counter(const struct ipc_reply *rep, void *arg)
{
	const struct msg_counter_rep	*m = rep->msg;
	struct walk			*w = arg, **p;

	if (rep->type == MSG_COUNTER_REP) {
		w->res.have_counter = true;
		w->res.tpm_counter = m->value;
		walk_begin(w);
		return;
	}
	for (p = &walks; *p != w; p = &(*p)->next)
		;
	*p = w->next;
	walk_refuse(w, rep->reason);
}

/*
 * Without keyd there is neither key nor counter, so a walk would prove
 * nothing: it is refused.
 */
void
audit_verify(audit_result_fn fn, void *arg)
{
	struct msg_counter_req	 m = { 0 };
	struct walk		*w, *o;
	bool			 counter = false;
	unsigned		 n = 0;

	if ((w = calloc(1, sizeof(*w))) == NULL)
		fatal("audit");
	w->fn = fn;
	w->arg = arg;
	for (o = walks; o != NULL; o = o->next)
		n++;
	w->pointlen = audit_point(w->point, &counter);
	if (n >= WALKS_MAX) {
		walk_refuse(w, R_AUD_BUSY);
		return;
	}
	if (w->pointlen == 0 || (counter && chan_call(hubd_link(IPC_KEYD),
	    MSG_COUNTER_REQ, &m, -1, KEYD_TIMEOUT, walk_counter, w) == -1)) {
		walk_refuse(w, R_IPC_NOLINK);
		return;
	}
	w->next = walks;
	walks = w;
	if (!counter)
		walk_begin(w);
}
