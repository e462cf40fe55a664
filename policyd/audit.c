/*
 * The audit log: a hash chain in the store, and its checkpoints.
 *
 * A record's hash covers the hash before it and the record in one canonical
 * encoding. A checkpoint is keyd's signature over the newest record's number
 * and hash, the time and the next value n + 1 of the TPM's counter. It is
 * stored and committed first, then the counter moves: whoever is killed in
 * between finds a checkpoint one above the counter at the next start and
 * completes it. A store that is put back to an older state has a last
 * checkpoint below the counter, for ever.
 */
#include <inttypes.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "checkpoint.h"
#include "clock.h"
#include "policyd.h"

#define KEYD_TIMEOUT	60000	/* ms; keyd queues behind a slow TPM */
#define RETRY_MIN	2000	/* ms, doubled at each failure */
#define RETRY_MAX	300000
#define CLAIM_MS	60000	/* a busd that lies must not wear out the TPM */

static const char *const kinds[AUDIT_NKINDS] = {
	[AUDIT_START] = "start",
	[AUDIT_OPERATOR] = "operator",
	[AUDIT_CLAIM] = "operator",
	[AUDIT_TRANSITION] = "transition",
	[AUDIT_VERDICT] = "verdict",
	[AUDIT_REFUSAL] = "refusal",
	[AUDIT_CERT] = "certificate",
	[AUDIT_KEY] = "key",
	[AUDIT_OFFENCE] = "offence",
	[AUDIT_CLOCK] = "clock",
};

static struct {
	EVP_MD		*md;
	EVP_MD_CTX	*ctx;
	struct audit_mark head;		/* newest record */
	uint64_t	 lost;		/* records that could not be written */

	struct audit_mark last;		/* newest stored checkpoint */
	struct audit_mark next;		/* the one being made */
	bool		 have_last;

	bool		 keyd;		/* the audit key is known */
	uint32_t	 key;
	uint8_t		 point[97];
	size_t		 pointlen;
	bool		 counted;	/* keyd has a counter */
	bool		 known;		/* and told where it stands: */
	uint64_t	 tpm;

	bool		 busy;		/* a call to keyd is out */
	bool		 wanted;	/* a privileged event: do not wait */
	bool		 claimed;	/* one that busd claims: wait a minute */
	uint64_t	 now, due, retry, backoff;	/* ms, monotonic */
	struct why	 why;		/* of the last attempt */
	bool		 stopping;	/* the last checkpoint is to begin */
	void		(*stopped)(void *);
	void		*stop_arg;
} audit;

/* ---- the chain ---- */

static bool
hash_int(uint64_t v, int bytes)
{
	uint8_t	b[8];
	int	i;

	for (i = 0; i < bytes; i++)
		b[i] = (uint8_t)(v >> 8 * (bytes - 1 - i));
	return EVP_DigestUpdate(audit.ctx, b, (size_t)bytes) == 1;
}

static bool
hash_text(const char *s)
{
	size_t	n = strlen(s);

	return hash_int(n, 4) && EVP_DigestUpdate(audit.ctx, s, n) == 1;
}

/* 64-bit sequence and time, then the texts, each after its 32-bit length. */
void
audit_hash(const struct audit_row *row, const uint8_t before[HASH_LEN],
    uint8_t out[HASH_LEN])
{
	if (EVP_DigestInit_ex2(audit.ctx, audit.md, NULL) != 1 ||
	    EVP_DigestUpdate(audit.ctx, before, HASH_LEN) != 1 ||
	    !hash_int(row->sequence, 8) || !hash_int(row->time, 8) ||
	    !hash_text(row->kind) || !hash_text(row->subject) ||
	    !hash_text(row->reason) || !hash_text(row->text) ||
	    EVP_DigestFinal_ex(audit.ctx, out, NULL) != 1)
		fatalx("audit: SHA-256");
}

static enum reason
audit_append(const struct audit_row *row)
{
	static struct store_sql	 put = STORE_SQL(
	    "INSERT INTO audit VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)");
	sqlite3_stmt		*st = store_stmt(&put);

	store_bind(st, "iissssb", (int64_t)row->sequence, (int64_t)row->time,
	    row->kind, row->subject, row->reason, row->text, row->hash,
	    (size_t)HASH_LEN);
	return store_write(st);
}

void
audit_record(enum audit_kind kind, const char *subject, enum reason reason,
    const char *fmt, ...)
{
	struct audit_row	 row;
	char			 text[1024];
	va_list			 ap;
	enum reason		 r;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	row.sequence = audit.head.sequence + 1;
	row.time = clock_trusted();
	text_set(row.kind, sizeof(row.kind), kinds[kind]);
	text_set(row.subject, sizeof(row.subject), subject);
	text_set(row.reason, sizeof(row.reason), reason_code(reason));
	text_set(row.text, sizeof(row.text), text);
	audit_hash(&row, audit.head.chain, row.hash);
	if ((r = audit_append(&row)) != R_OK) {
		audit.lost++;
		log_about(LOG_LVL_WARN, reason_code(r), NULL,
		    "audit: %s: not written: %s %s: %s %s",
		    reason_code(r), row.kind, row.subject, row.reason,
		    row.text);
		control_event(&row);
		return;
	}
	audit.head.sequence = row.sequence;
	memcpy(audit.head.chain, row.hash, HASH_LEN);
	if (kind == AUDIT_OPERATOR || kind == AUDIT_OFFENCE ||
	    kind == AUDIT_KEY)
		audit.wanted = true;
	if (kind == AUDIT_CLAIM)
		audit.claimed = true;
	control_event(&row);
}

uint64_t
audit_last(void)
{
	return audit.head.sequence;
}

/* ---- start ---- */

static void
audit_load(void)
{
	static struct store_sql	 head = STORE_SQL("SELECT sequence, hash, time"
	    " FROM audit ORDER BY sequence DESC LIMIT 1");
	static struct store_sql	 last = STORE_SQL("SELECT sequence, chain,"
	    " time, counter FROM checkpoint ORDER BY id DESC LIMIT 1");
	sqlite3_stmt		*st;

	st = store_stmt(&head);
	if (store_row(st) == 1) {
		audit.head.sequence = (uint64_t)sqlite3_column_int64(st, 0);
		store_blob(st, 1, audit.head.chain, HASH_LEN);
	}
	st = store_stmt(&last);
	if (store_row(st) == 1) {
		audit.have_last = true;
		audit.last.sequence = (uint64_t)sqlite3_column_int64(st, 0);
		store_blob(st, 1, audit.last.chain, HASH_LEN);
		audit.last.time = (uint64_t)sqlite3_column_int64(st, 2);
		audit.last.counter = (uint64_t)sqlite3_column_int64(st, 3);
	}
	sqlite3_reset(st);
}

void
audit_start(void)
{
	EVP_MD		*md = audit.md;
	EVP_MD_CTX	*ctx = audit.ctx;

	memset(&audit, 0, sizeof(audit));
	audit.md = md != NULL ? md : EVP_MD_fetch(NULL, "SHA256", NULL);
	audit.ctx = ctx != NULL ? ctx : EVP_MD_CTX_new();
	if (audit.md == NULL || audit.ctx == NULL)
		fatalx("audit: no SHA-256");
	audit.backoff = RETRY_MIN;
	audit_load();
	/* not a clean stop: cover what it left as soon as keyd is there */
	audit.wanted = audit.head.sequence > audit.last.sequence;
	if (audit.have_last && audit.head.sequence < audit.last.sequence) {
		log_warnx("audit: %s: record %" PRIu64 " is the last, the"
		    " checkpoint covers %" PRIu64,
		    reason_code(R_AUD_TRUNCATED), audit.head.sequence,
		    audit.last.sequence);
		audit_record(AUDIT_START, "policyd", R_AUD_TRUNCATED,
		    "the log ended before its last checkpoint");
	}
}

/* ---- checkpoints ---- */

static void	 audit_begin(void);

/* ECDSA with SHA-256 over the checkpoint's bytes, by this public point. */
bool
audit_signed_by(const uint8_t *point, size_t pointlen,
    const struct audit_mark *m, const uint8_t *sig, size_t siglen)
{
	OSSL_PARAM	 params[3];
	EVP_PKEY_CTX	*pctx;
	EVP_PKEY	*key = NULL;
	EVP_MD_CTX	*ctx;
	uint8_t		 bytes[CHECKPOINT_LEN], copy[97];
	char		 group[] = "P-256";
	bool		 ok = false;

	if (pointlen == 0 || pointlen > sizeof(copy))
		return false;
	memcpy(copy, point, pointlen);
	params[0] = OSSL_PARAM_construct_utf8_string(
	    OSSL_PKEY_PARAM_GROUP_NAME, group, 0);
	params[1] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY,
	    copy, pointlen);
	params[2] = OSSL_PARAM_construct_end();
	pctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	ctx = EVP_MD_CTX_new();
	if (pctx == NULL || ctx == NULL)
		fatalx("audit: out of memory");
	checkpoint_bytes(m->sequence, m->chain, m->time, m->counter, bytes);
	if (EVP_PKEY_fromdata_init(pctx) == 1 && EVP_PKEY_fromdata(pctx, &key,
	    EVP_PKEY_PUBLIC_KEY, params) == 1 &&
	    EVP_DigestVerifyInit_ex(ctx, NULL, "SHA256", NULL, NULL, key,
	    NULL) == 1)
		ok = EVP_DigestVerify(ctx, sig, siglen, bytes,
		    sizeof(bytes)) == 1;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_CTX_free(pctx);
	EVP_PKEY_free(key);
	return ok;
}

static bool
audit_uncovered(void)
{
	return !audit.have_last || audit.head.sequence > audit.last.sequence;
}

/* Nothing is under way any more. At a stop one last checkpoint begins. */
static void
audit_over(void)
{
	void	(*fn)(void *) = audit.stopped;

	audit.busy = false;
	if (fn == NULL)
		return;
	if (audit.stopping && audit.keyd && audit.known &&
	    audit_uncovered() && store_state() == R_OK) {
		audit.stopping = false;
		audit_begin();
		return;
	}
	audit.stopped = NULL;
	fn(audit.stop_arg);
}

static void
audit_failed(enum reason r, const char *step)
{
	if (audit.why.reason != r)
		log_about(LOG_LVL_WARN, reason_code(r), NULL,
		    "audit: checkpoint: %s: %s: %s", step,
		    reason_code(r), reason_text(r));
	why_set(&audit.why, r, step, NULL, NULL);
	audit.retry = audit.now + audit.backoff;
	audit.backoff = audit.backoff * 2 > RETRY_MAX ? RETRY_MAX :
	    audit.backoff * 2;
	audit_over();
}

static void
audit_complete(void)
{
	why_set(&audit.why, R_OK, NULL, NULL, NULL);
	audit.backoff = RETRY_MIN;
	audit.retry = 0;
	audit.due = audit.now + conf->checkpoint;
	log_debug("audit: checkpoint %" PRIu64 " covers record %" PRIu64,
	    audit.last.counter, audit.last.sequence);
	audit_over();
}

static void
audit_moved(const struct ipc_reply *rep, void *arg)
{
	const struct msg_counter_rep	*m = rep->msg;

	if (rep->type != MSG_COUNTER_REP) {
		audit.known = false;
		audit_failed(rep->reason, "advance counter");
		return;
	}
	audit.tpm = m->value;
	if (m->value != audit.last.counter) {
		audit.known = false;
		audit_failed(R_AUD_COUNTER, "advance counter");
		return;
	}
	audit_complete();
}

static void
audit_move(void)
{
	struct msg_counter_req	m = { .advance = audit.last.counter };

	audit.busy = true;
	if (chan_call(hubd_link(IPC_KEYD), MSG_COUNTER_REQ, &m, -1,
	    KEYD_TIMEOUT, audit_moved, NULL) == -1)
		audit_failed(R_IPC_NOLINK, "advance counter");
}

static void
audit_stored(enum reason r, void *arg)
{
	if (r != R_OK) {
		audit_failed(r, "store");
		return;
	}
	audit.last = audit.next;
	audit.have_last = true;
	if (audit.counted)
		audit_move();
	else
		audit_complete();
}

static void
audit_signed(const struct ipc_reply *rep, void *arg)
{
	static struct store_sql		 put = STORE_SQL(
	    "INSERT INTO checkpoint (counter, sequence, chain, time, signature)"
	    " VALUES (?1, ?2, ?3, ?4, ?5)");
	const struct msg_checkpoint_rep	*m = rep->msg;
	const struct audit_mark		*n = &audit.next;
	sqlite3_stmt			*st;
	enum reason			 r;

	if (rep->type != MSG_CHECKPOINT_REP) {
		audit_failed(rep->reason, "sign");
		return;
	}
	if (!audit_signed_by(audit.point, audit.pointlen, n,
	    m->signature.data, m->signature.len)) {
		audit_failed(R_AUD_SIGNATURE, "sign");
		return;
	}
	st = store_stmt(&put);
	store_bind(st, "iibib", (int64_t)n->counter, (int64_t)n->sequence,
	    n->chain, (size_t)HASH_LEN, (int64_t)n->time, m->signature.data,
	    (size_t)m->signature.len);
	if ((r = store_write(st)) != R_OK)
		audit_failed(r, "store");
	else
		store_after_commit(audit_stored, NULL);
}

static void
audit_begin(void)
{
	struct msg_checkpoint_req	m = { .key = audit.key };

	audit.wanted = audit.claimed = false;
	audit.busy = true;
	audit.next = audit.head;
	audit.next.time = clock_trusted();
	audit.next.counter = (audit.counted ? audit.tpm :
	    audit.last.counter) + 1;
	m.sequence = audit.next.sequence;
	m.time = audit.next.time;
	m.counter = audit.next.counter;
	IPC_SET_BLOB(m.chain, audit.next.chain, HASH_LEN);
	if (chan_call(hubd_link(IPC_KEYD), MSG_CHECKPOINT_REQ, &m, -1,
	    KEYD_TIMEOUT, audit_signed, NULL) == -1)
		audit_failed(R_IPC_NOLINK, "sign");
}

/*
 * Where the counter stands against the last checkpoint: equal is the rule,
 * one below is a checkpoint whose counter has not moved yet.
 */
static void
audit_compare(void)
{
	uint64_t	 c = audit.last.counter;
	enum reason	 r;

	audit.known = true;
	why_set(&audit.why, R_OK, NULL, NULL, NULL);
	if (!audit.have_last) {
		audit_record(AUDIT_KEY, "keyd", R_OK, "first checkpoint"
		    " follows counter %" PRIu64, audit.tpm);
		audit_over();
	} else if (c == audit.tpm) {
		audit_over();
	} else if (c == audit.tpm + 1) {
		log_info("audit: completes checkpoint %" PRIu64, c);
		audit_move();
	} else {
		r = c < audit.tpm ? R_AUD_ROLLED_BACK : R_AUD_COUNTER;
		log_warnx("audit: %s: last checkpoint %" PRIu64 ", TPM counter"
		    " %" PRIu64, reason_code(r), c, audit.tpm);
		audit_record(AUDIT_KEY, "keyd", r, "last checkpoint %" PRIu64
		    ", TPM counter %" PRIu64, c, audit.tpm);
		audit.wanted = true;
		audit_over();
	}
}

static void
audit_counter_read(const struct ipc_reply *rep, void *arg)
{
	const struct msg_counter_rep	*m = rep->msg;

	if (rep->type != MSG_COUNTER_REP) {
		audit_failed(rep->reason, "read counter");
		return;
	}
	audit.tpm = m->value;
	audit_compare();
}

static void
audit_read_counter(void)
{
	struct msg_counter_req	m = { 0 };

	audit.busy = true;
	if (chan_call(hubd_link(IPC_KEYD), MSG_COUNTER_REQ, &m, -1,
	    KEYD_TIMEOUT, audit_counter_read, NULL) == -1)
		audit_failed(R_IPC_NOLINK, "read counter");
}

void
audit_keyd_up(uint32_t key, const uint8_t *point, size_t len, bool counter)
{
	if (len > sizeof(audit.point))
		return;
	audit.keyd = true;
	audit.key = key;
	memcpy(audit.point, point, len);
	audit.pointlen = len;
	audit.counted = counter;
	audit.known = !counter;
	audit.retry = 0;
	if (counter && !audit.busy)
		audit_read_counter();
}

void
audit_keyd_down(void)
{
	audit.keyd = audit.known = false;
}

/* The public audit key, as long as keyd is there. */
size_t
audit_point(uint8_t point[97], bool *counter)
{
	if (!audit.keyd)
		return 0;
	memcpy(point, audit.point, audit.pointlen);
	*counter = audit.counted;
	return audit.pointlen;
}

void
audit_tick(uint64_t mono_ms)
{
	uint64_t	n = audit.lost;

	if (audit.due == 0)
		audit.due = mono_ms + conf->checkpoint;
	audit.now = mono_ms;
	if (n > 0 && store_state() == R_OK) {
		audit.lost = 0;
		audit_record(AUDIT_START, "policyd", R_AUD_LOST,
		    "%" PRIu64 " records were not written", n);
	}
	if (audit.busy || !audit.keyd || mono_ms < audit.retry ||
	    store_state() != R_OK)
		return;
	if (!audit.known)
		audit_read_counter();
	else if (audit_uncovered() && (audit.wanted || mono_ms >= audit.due ||
	    (audit.claimed &&
	    mono_ms + conf->checkpoint >= audit.due + CLAIM_MS)))
		audit_begin();
}

/* A checkpoint that is on its way comes first; then one covers the rest. */
void
audit_stop(void (*fn)(void *), void *arg)
{
	audit.stopped = fn;
	audit.stop_arg = arg;
	audit.stopping = true;
	if (!audit.busy)
		audit_over();
}

void
audit_status(uint64_t *time, uint64_t *counter, uint64_t *uncovered,
    struct why *why)
{
	*time = audit.last.time;
	*counter = audit.last.counter;
	*uncovered = audit.head.sequence - audit.last.sequence;
	*why = audit.why;
}
