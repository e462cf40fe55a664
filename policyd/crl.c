/*
 * CRLs of the issuing CAs: signed by keyd, one at a time, when something was
 * revoked, at half of their life, and after a start. The number that a CRL
 * will have is on disk before keyd is asked, so that no two have the same
 * one; a CRL is published once it is on disk itself. Long ones are not signed
 * as fast as devices may be revoked: each is written to the disk twice.
 */
#include <sys/queue.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ca.h"
#include "clock.h"

#define KEYD_TIMEOUT	120000	/* ms */
#define RETRY_MIN	1000	/* ms, doubled at each failure */
#define RETRY_MAX	300000
#define COUNT_MAX	4194304	/* CRL_REQ.count */
#define LONG		10000	/* entries; from there on ... */
#define GAP(n)		((n) / 20)	/* ... ms between two CRLs of a CA */

/* Somebody who wants to know that a revocation is published. */
struct waiter {
	TAILQ_ENTRY(waiter) entry;
	unsigned	 generation;
	bool		 flying;	/* it is in the one being signed */
	store_fn	 fn;
	void		*arg;
};
static TAILQ_HEAD(, waiter) waiters = TAILQ_HEAD_INITIALIZER(waiters);

static struct crl	crls[ENROL_CAS];	/* by slot of the CA */

static struct {
	bool		 busy;
	unsigned	 slot, generation;
	int		 fd;		/* our end of the memfd, or -1 */
	uint64_t	 number, this_update, next_update;
	uint8_t		*rows;
	size_t		 count, size;	/* rows that there are, and fit */
	uint8_t		*der;		/* signed, not published yet */
	size_t		 len;
} job = { .fd = -1 };

static uint64_t		mono;

const struct crl *
crl_byslot(unsigned slot)
{
	return &crls[slot];
}

bool
crl_busy(void)
{
	return job.busy;
}

/* ---- who waits ---- */

static void
wake(unsigned generation, bool flying, enum reason r)
{
	struct waiter	*w, *next;

	for (w = TAILQ_FIRST(&waiters); w != NULL; w = next) {
		next = TAILQ_NEXT(w, entry);
		if (w->generation != generation || w->flying != flying)
			continue;
		TAILQ_REMOVE(&waiters, w, entry);
		w->fn(r, w->arg);
		free(w);
	}
}

static void
board(unsigned generation)
{
	struct waiter	*w;

	TAILQ_FOREACH(w, &waiters, entry)
		if (w->generation == generation)
			w->flying = true;
}

/* ---- failing ---- */

static void
job_clear(void)
{
	if (job.fd != -1)
		close(job.fd);
	free(job.rows);
	free(job.der);
	memset(&job, 0, sizeof(job));
	job.fd = -1;
}

static void
job_failed(const struct why *why)
{
	struct crl	*c = &crls[job.slot];
	unsigned	 generation = job.generation;

	if (c->why.reason != why->reason)
		log_about(LOG_LVL_WARN, reason_code(why->reason), NULL,
		    "crl: issuing CA %u: %s %s%s%s", generation,
		    reason_code(why->reason), reason_text(why->reason),
		    why->field[0] != '\0' ? " " : "", why->field);
	c->why = *why;
	c->wanted = true;
	c->backoff = c->backoff == 0 ? RETRY_MIN : c->backoff * 2;
	if (c->backoff > RETRY_MAX)
		c->backoff = RETRY_MAX;
	c->retry = mono + c->backoff;
	job_clear();
	wake(generation, true, why->reason);
	crl_next();
}

static void
job_failed_r(enum reason r, const char *field)
{
	struct why	why;

	why_set(&why, r, field, NULL, NULL);
	job_failed(&why);
}

/* ---- publishing ---- */

static void
tell_enrold(unsigned slot, const uint8_t *der, size_t len, uint64_t next)
{
	struct msg_enrol_crl	 m = { .ca = slot, .next_update = next };
	int			 fd;

	if (hubd_link(IPC_ENROLD) == NULL)
		return;
	m.length = (uint32_t)len;
	if ((fd = crl_memfd(der, len, true)) == -1) {
		log_warn("crl: memfd");
		return;
	}
	if (chan_send(hubd_link(IPC_ENROLD), MSG_ENROL_CRL, &m, fd) == -1)
		close(fd);
}

static void
to_file(struct crl *c, const uint8_t *der, size_t len)
{
	enum reason	r = crl_file_write(c->generation, der, len);

	c->in_file = r == R_OK;
	if (r == R_OK) {
		c->file_retry = 0;
		return;
	}
	why_set(&c->why, r, "crl", NULL, NULL);
	hubd_count(r);
	c->file_retry = mono + RETRY_MAX / 5;
}

static void
job_published(enum reason r, void *arg)
{
	struct crl	*c = &crls[job.slot];
	unsigned	 generation = job.generation;

	if (r != R_OK) {
		job_failed_r(r, NULL);
		return;
	}
	c->number = job.number;
	c->this_update = job.this_update;
	c->next_update = job.next_update;
	c->entries = job.count;
	c->retry = c->backoff = 0;
	c->gap = job.count < LONG ? 0 : mono + GAP(job.count);
	why_set(&c->why, R_OK, NULL, NULL, NULL);
	to_file(c, job.der, job.len);
	tell_enrold(job.slot, job.der, job.len, job.next_update);
	log_info("crl: issuing CA %u: number %llu, %zu entries", generation,
	    (unsigned long long)job.number, job.count);
	job_clear();
	wake(generation, true, c->in_file ? R_OK : R_CRT_FILES);
	crl_next();
}

static enum reason
job_store(void)
{
	static struct store_sql	 put = STORE_SQL("UPDATE crl SET number = ?2,"
	    " this_update = ?3, next_update = ?4, entries = ?5, der = ?6"
	    " WHERE generation = ?1");
	sqlite3_stmt		*st = store_stmt(&put);

	store_bind(st, "iiiiib", (int64_t)job.generation, (int64_t)job.number,
	    (int64_t)job.this_update, (int64_t)job.next_update,
	    (int64_t)job.count, job.der, job.len);
	return store_write(st);
}

/* ---- signing ---- */

/* What keyd wrote is copied first: it may hold on to the memory. */
static enum reason
job_read(size_t len, struct why *why)
{
	const struct ca	*ca = ca_bygeneration(job.generation);
	struct crl_want	 w = { .number = job.number,
	    .this_update = job.this_update, .next_update = job.next_update,
	    .rows = job.rows, .count = job.count };

	/* An entry has 51 bytes at most, the rest of it 700 or so. */
	if (ca == NULL || len == 0 || len > 4096 + job.count * 64 ||
	    (job.der = crl_memfd_read(job.fd, len)) == NULL)
		return why_set(why, R_CRT_CRL, "length", NULL, NULL);
	job.len = len;
	w.ca = ca->der;
	w.ca_len = ca->der_len;
	return crl_check(job.der, job.len, &w, why);
}

static void
got_crl(const struct ipc_reply *rep, void *arg)
{
	const struct msg_crl_rep	*m = rep->msg;
	const struct msg_refused	*f = rep->refused;
	struct why			 why;
	enum reason			 r;

	if (rep->type != MSG_CRL_REP) {
		why_set(&why, rep->reason, f == NULL ? NULL : f->field,
		    f == NULL ? NULL : f->expected, f == NULL ? NULL :
		    f->seen);
		job_failed(&why);
		return;
	}
	if (job_read(m->length, &why) != R_OK) {
		audit_record(AUDIT_REFUSAL, "keyd", why.reason, "CRL of "
		    "issuing CA %u: %s", job.generation, why.field);
		job_failed(&why);
		return;
	}
	if ((r = job_store()) != R_OK) {
		job_failed_r(r, NULL);
		return;
	}
	audit_record(AUDIT_CERT, "ca", R_OK, "CRL %llu of issuing CA %u, %zu "
	    "entries", (unsigned long long)job.number, job.generation,
	    job.count);
	store_after_commit(job_published, NULL);
}

static void
job_row(const uint8_t serial[SERIAL_LEN], uint64_t revoked,
    enum crl_reason reason, void *arg)
{
	uint8_t	*p;
	int	 i;

	if (job.count == job.size) {
		job.size = job.size == 0 ? 64 : job.size * 2;
		p = reallocarray(job.rows, job.size, CRL_ROW);
		if (p == NULL)
			fatal("crl");
		job.rows = p;
	}
	p = job.rows + job.count++ * CRL_ROW;
	memcpy(p, serial, SERIAL_LEN);
	for (i = 0; i < 8; i++)
		p[SERIAL_LEN + i] = (uint8_t)(revoked >> 8 * (7 - i));
	p[CRL_ROW - 1] = (uint8_t)reason;
}

static void
job_ask(const struct ca *ca)
{
	struct msg_crl_req	 m = { .issuer = ca->key,
	    .number = job.number };
	int			 fd;

	issued_revoked(job.generation, job_row, NULL);
	board(job.generation);
	crls[job.slot].wanted = false;
	if (job.count > COUNT_MAX) {
		job_failed_r(R_CRT_CRL, "entries");
		return;
	}
	job.this_update = clock_trusted();
	job.next_update = job.this_update + conf->ca.crl_every;
	m.this_update = job.this_update;
	m.next_update = job.next_update;
	m.count = (uint32_t)job.count;
	if ((job.fd = crl_memfd(job.rows, job.count * CRL_ROW, false)) == -1 ||
	    (fd = fcntl(job.fd, F_DUPFD_CLOEXEC, 0)) == -1) {
		job_failed_r(R_SYS_STORE_IO, "memfd");
		return;
	}
	if (chan_call(hubd_link(IPC_KEYD), MSG_CRL_REQ, &m, fd, KEYD_TIMEOUT,
	    got_crl, NULL) == -1) {
		close(fd);
		job_failed_r(R_IPC_NOLINK, "keyd");
	}
}

/* Its number is on disk: now keyd may sign. */
static void
job_numbered(enum reason r, void *arg)
{
	const struct ca	*ca = ca_bygeneration(job.generation);

	if (r != R_OK)
		job_failed_r(r, NULL);
	else if (ca == NULL || !ca->up)
		job_failed_r(R_IPC_NOLINK, "keyd");
	else
		job_ask(ca);
}

static enum reason
take_number(unsigned generation, uint64_t *number)
{
	static struct store_sql	 put = STORE_SQL("UPDATE crl SET"
	    " asked = max(asked, number) + 1 WHERE generation = ?1");
	static struct store_sql	 get = STORE_SQL(
	    "SELECT asked FROM crl WHERE generation = ?1");
	sqlite3_stmt		*st = store_stmt(&put);
	enum reason		 r;

	store_bind(st, "i", (int64_t)generation);
	if ((r = store_write(st)) != R_OK)
		return r;
	st = store_stmt(&get);
	store_bind(st, "i", (int64_t)generation);
	*number = store_row(st) == 1 ? (uint64_t)sqlite3_column_int64(st, 0) :
	    0;
	sqlite3_reset(st);
	return *number == 0 ? R_SYS_STORE_RULE : R_OK;
}

/* False: nothing of it can be done now. */
static bool
begin(const struct ca *ca, struct crl *c)
{
	enum reason	r;

	if (!c->wanted || ca->state == CA_WAITING || mono < c->retry ||
	    mono < c->gap)
		return false;
	if (!ca->up) {			/* ca_up() comes back to it */
		wake(ca->generation, false, R_IPC_NOLINK);
		return false;
	}
	job.slot = ca->slot;
	job.generation = ca->generation;
	if ((r = take_number(ca->generation, &job.number)) != R_OK) {
		why_set(&c->why, r, NULL, NULL, NULL);
		c->retry = mono + RETRY_MIN;
		wake(ca->generation, false, r);
		return false;
	}
	job.busy = true;
	store_after_commit(job_numbered, NULL);
	return true;
}

void
crl_next(void)
{
	const struct ca	*ca;
	unsigned	 i;

	for (i = 0; i < ENROL_CAS && !job.busy; i++) {
		if ((ca = ca_byslot(i)) == NULL)
			continue;
		if (crls[i].generation != ca->generation) {
			memset(&crls[i], 0, sizeof(crls[i]));
			crls[i].generation = ca->generation;
			crls[i].wanted = true;
		}
		(void)begin(ca, &crls[i]);
	}
}

static void
changed(enum reason r, void *arg)
{
	unsigned	generation = (unsigned)(uintptr_t)arg;

	if (r != R_OK)
		wake(generation, false, r);
	else
		crl_next();
}

void
crl_hurry(unsigned generation)
{
	const struct ca	*ca = ca_bygeneration(generation);

	if (ca != NULL)
		crls[ca->slot].gap = 0;
}

void
crl_changed(unsigned generation, store_fn fn, void *arg)
{
	const struct ca	*ca = ca_bygeneration(generation);
	struct waiter	*w;

	if (ca == NULL) {		/* gone: nobody asks for its CRL */
		if (fn != NULL)
			store_after_commit(fn, arg);
		return;
	}
	if (crls[ca->slot].generation == generation) {
		crls[ca->slot].wanted = true;
		crls[ca->slot].retry = 0;
	}
	if (fn != NULL) {
		if ((w = calloc(1, sizeof(*w))) == NULL)
			fatal("crl");
		w->generation = generation;
		w->fn = fn;
		w->arg = arg;
		TAILQ_INSERT_TAIL(&waiters, w, entry);
	}
	store_after_commit(changed, (void *)(uintptr_t)generation);
}

/* ---- reading ---- */

static uint8_t *
crl_read(unsigned generation, size_t *len)
{
	static struct store_sql	 get = STORE_SQL(
	    "SELECT der FROM crl WHERE generation = ?1 AND der IS NOT NULL");
	sqlite3_stmt		*st = store_stmt(&get);
	uint8_t			*p = NULL;

	store_bind(st, "i", (int64_t)generation);
	if (store_row(st) == 1) {
		*len = (size_t)sqlite3_column_bytes(st, 0);
		if ((p = malloc(*len)) == NULL)
			fatal("crl");
		(void)store_blob(st, 0, p, *len);
	}
	sqlite3_reset(st);
	return p;
}

enum reason
crl_copy(unsigned generation, int fd)
{
	uint8_t		*p;
	size_t		 n;
	enum reason	 r;

	if ((p = crl_read(generation, &n)) == NULL)
		return R_CRT_NO_CRL;
	r = crl_memfd_fill(fd, p, n);
	free(p);
	return r;
}

/* ---- life ---- */

static void
tell_stored(unsigned slot)
{
	uint8_t	*p;
	size_t	 n;

	if (crls[slot].number == 0 ||
	    (p = crl_read(crls[slot].generation, &n)) == NULL)
		return;
	tell_enrold(slot, p, n, crls[slot].next_update);
	free(p);
}

void
crl_up(enum ipc_role role)
{
	unsigned	i;

	if (role == IPC_KEYD) {
		for (i = 0; i < ENROL_CAS; i++)
			crls[i].retry = crls[i].backoff = 0;
		crl_next();
	}
	for (i = 0; role == IPC_ENROLD && i < ENROL_CAS; i++)
		tell_stored(i);
}

static void
file_again(struct crl *c)
{
	uint8_t	*p;
	size_t	 n;

	if ((p = crl_read(c->generation, &n)) == NULL)
		return;
	to_file(c, p, n);
	if (c->in_file && c->why.reason == R_CRT_FILES)
		why_set(&c->why, R_OK, NULL, NULL, NULL);
	free(p);
}

void
crl_tick(uint64_t mono_ms)
{
	uint64_t	 now = clock_trusted();
	struct crl	*c;
	unsigned	 i;

	mono = mono_ms;
	for (i = 0; i < ENROL_CAS; i++) {
		c = &crls[i];
		if (c->number == 0 || ca_byslot(i) == NULL ||
		    ca_byslot(i)->generation != c->generation)
			continue;
		if (now >= c->this_update +
		    (c->next_update - c->this_update) / 2)
			c->wanted = true;
		if (!c->in_file && mono >= c->file_retry)
			file_again(c);
	}
	if (store_state() == R_OK)
		crl_next();
}

void
crl_start(void)
{
	static struct store_sql	 get = STORE_SQL("SELECT number, this_update,"
	    " next_update, entries FROM crl WHERE generation = ?1");
	sqlite3_stmt		*st;
	const struct ca		*ca;
	struct crl		*c;
	struct waiter		*w;
	unsigned		 i;

	job_clear();
	while ((w = TAILQ_FIRST(&waiters)) != NULL) {
		TAILQ_REMOVE(&waiters, w, entry);
		free(w);
	}
	memset(crls, 0, sizeof(crls));
	mono = 0;
	crl_file_start();
	for (i = 0; i < ENROL_CAS; i++) {
		if ((ca = ca_byslot(i)) == NULL)
			continue;
		c = &crls[i];
		c->generation = ca->generation;
		c->wanted = true;
		st = store_stmt(&get);
		store_bind(st, "i", (int64_t)ca->generation);
		if (store_row(st) == 1) {
			c->number = (uint64_t)sqlite3_column_int64(st, 0);
			c->this_update = (uint64_t)sqlite3_column_int64(st, 1);
			c->next_update = (uint64_t)sqlite3_column_int64(st, 2);
			c->entries = (uint64_t)sqlite3_column_int64(st, 3);
		}
		sqlite3_reset(st);
	}
}

void
crl_warnings(service_warn_fn fn, void *arg)
{
	unsigned	i;

	for (i = 0; i < ENROL_CAS; i++)
		if (crls[i].generation != 0)
			fn("crl", &crls[i].why, arg);
}
