/*
 * Enrolments under way. A turn's transaction holds the burned ticket, the
 * intent and its record; once it is on disk keyd is asked. keyd's answer is
 * compared with what was asked for and goes into the store; once that is on
 * disk the files of all that came with it are written and synced together,
 * and only then is anybody answered.
 */
#include <sys/queue.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "enrol.h"
#include "hex.h"
#include "peer.h"

#define KEYD_TIMEOUT	60000	/* ms; a slow TPM has a queue of its own */
#define KEYD_SPARE	24	/* of its window, for all the others */
#define SKEW		300	/* s that a leaf begins before it was issued */
#define TAKEN_MAX	256
#define ORPHAN_AGE	600	/* s until one is told of in the status */
#define ORPHANS_MAX	1000
#define RECORDS		60	/* refusals on record in a minute; more are counted */

struct waiter {
	struct waiter	*next;
	struct ipc_call	 call;
	bool		 again;		/* not the first who asked */
};

struct enrolment {
	TAILQ_ENTRY(enrolment) entry;
	struct waiter	*waiters;
	struct issued	 cert;
	bool		 waiting;	/* for room in keyd's window */
	bool		 burned;	/* a ticket, with the hash: */
	uint8_t		 ticket[HASH_LEN];
	const struct conf_profile *profile;
	struct msg_device_cert_req req;
	size_t		 spkilen;
	uint8_t		 spki[SPKI_ANY_MAX];
	struct why	 why;		/* of its refusal, after the commit */
};
TAILQ_HEAD(enrolmentq, enrolment);

static struct enrolmentq under_way = TAILQ_HEAD_INITIALIZER(under_way);
static struct {
	size_t		 n;		/* of them */
	unsigned	 waiting;
	struct enrolment **group;	/* whose files are to be written */
	size_t		 ngroup, sgroup;
	uint8_t		 taken[TAKEN_MAX][SERIAL_LEN];
	unsigned	 ntaken;
	uint64_t	 now, minute;	/* mono ms */
	unsigned	 records, unrecorded;
} en;

static void	pump(void);

size_t
enrol_under_way(void)
{
	return en.n;
}

uint64_t
enrol_now(void)
{
	return en.now;
}

/* ---- refusals ---- */

/*
 * A stranger may be refused as often as he likes: all of it is counted, and
 * so many a minute are on record. What he says goes into a log of lines.
 */
void
refusal_note(const char *what, const char *who, const char *where,
    const struct why *why)
{
	char	name[NAME_LEN + 1], address[65];

	text_set(name, sizeof(name), who);
	text_set(address, sizeof(address), where);
	if (hubd_count(why->reason) == 1)
		log_about(LOG_LVL_INFO, reason_code(why->reason), NULL,
		    "%s: %s refused to %s: %s %s", what, name, address,
		    reason_code(why->reason), reason_text(why->reason));
	if (en.records == RECORDS) {
		en.unrecorded++;
		return;
	}
	en.records++;
	audit_record(AUDIT_REFUSAL, name, why->reason, "%s refused to %s"
	    "%s%s%s%s%s%s", what, address,
	    *why->field ? "; " : "", why->field,
	    *why->expected ? ": expected " : "", why->expected,
	    *why->seen ? ", seen " : "", why->seen);
}

static void
refusals_tick(uint64_t mono)
{
	if (mono - en.minute < 60000)
		return;
	en.minute = mono;
	en.records = 0;
	if (en.unrecorded > 0)
		audit_record(AUDIT_REFUSAL, "", R_OK, "%u more refusals",
		    en.unrecorded);
	en.unrecorded = 0;
}

/* ---- one enrolment ---- */

static void
waiter_add(struct enrolment *e, const struct ipc_call *call, bool again)
{
	struct waiter	*w, **end;

	if ((w = calloc(1, sizeof(*w))) == NULL)
		fatal("enrol");
	w->call = *call;
	w->again = again;
	for (end = &e->waiters; *end != NULL; end = &(*end)->next)
		;
	*end = w;
}

static void
enrolment_free(struct enrolment *e)
{
	struct waiter	*w;

	while ((w = e->waiters) != NULL) {
		e->waiters = w->next;
		free(w);
	}
	en.waiting -= e->waiting;
	TAILQ_REMOVE(&under_way, e, entry);
	en.n--;
	free(e);
}

static void
enrolment_refuse(struct enrolment *e, const struct why *why)
{
	struct waiter	*w;

	hubd_count(why->reason);
	for (w = e->waiters; w != NULL; w = w->next)
		(void)refuse_why(chan_find(&w->call), &w->call, why);
	enrolment_free(e);
}

static void
enrolment_answer(const struct enrolment *e)
{
	static struct msg_enrol_rep	 m;
	const struct ca			*ca;
	const struct waiter		*w;

	memset(&m, 0, sizeof(m));
	ca = ca_bygeneration(e->cert.generation);
	m.ca = ca == NULL ? 0 : ca->slot;
	IPC_SET_BLOB(m.serial, e->cert.serial, SERIAL_LEN);
	IPC_SET_BLOB(m.certificate, e->cert.der, e->cert.len);
	for (w = e->waiters; w != NULL; w = w->next) {
		m.again = w->again;
		(void)chan_reply(chan_find(&w->call), &w->call, MSG_ENROL_REP,
		    &m);
	}
}

static struct enrolment *
enrolment_byid(int64_t id)
{
	struct enrolment	*e;

	TAILQ_FOREACH(e, &under_way, entry)
		if (e->cert.id == id)
			break;
	return e;
}

static bool
wanted(const struct enrolment *e)
{
	const struct waiter	*w;

	for (w = e->waiters; w != NULL; w = w->next)
		if (chan_find(&w->call) != NULL)
			return true;
	return false;
}

/* ---- nothing came of it ---- */

static void
undone(enum reason r, void *arg)
{
	struct enrolment	*e = arg;

	if (r != R_OK)
		why_set(&e->why, r, NULL, NULL, NULL);
	enrolment_refuse(e, &e->why);
}

/*
 * keyd was not asked, or said no: there is no such certificate, so there is
 * no row, and the ticket is as good as before.
 */
static void
undo(struct enrolment *e, const struct why *why)
{
	char	serial[HEX_SIZE(SERIAL_LEN)];

	e->why = *why;
	hex(e->cert.serial, SERIAL_LEN, serial);
	(void)issued_forget(e->cert.id);
	if (e->burned)
		(void)ticket_restore(e->ticket);
	audit_record(AUDIT_CERT, e->cert.name, why->reason, "certificate %s "
	    "was not issued%s%s", serial, *why->field ? ": " : "",
	    why->field);
	store_after_commit(undone, e);
}

/* ---- files, and the answer ---- */

/* Every row before it is out of our hands, or was never in them. */
static int64_t
lowest(void)
{
	const struct enrolment	*e;
	int64_t			 id = issued_last() + 1;

	TAILQ_FOREACH(e, &under_way, entry)
		if (e->cert.id < id)
			id = e->cert.id;
	return id;
}

static void
group_write(enum reason r, void *arg)
{
	const struct issued	**list;
	struct why		 why;
	size_t			 i, n = en.ngroup;

	en.ngroup = 0;
	if ((list = reallocarray(NULL, n, sizeof(void *))) == NULL)
		fatal("enrol");
	for (i = 0; i < n; i++)
		list[i] = &en.group[i]->cert;
	r = files_write(list, n);
	free(list);
	why_set(&why, r, r == R_OK ? NULL : "issued", NULL, NULL);
	for (i = 0; i < n; i++) {
		if (r != R_OK) {
			enrolment_refuse(en.group[i], &why);
			continue;
		}
		enrolment_answer(en.group[i]);
		enrolment_free(en.group[i]);
	}
	files_known(lowest() - 1);
}

/* At the end of the next turn, for what comes until then shares the sync. */
static void
group_add(struct enrolment *e)
{
	struct enrolment	**p;
	size_t			  n;

	if (en.ngroup == en.sgroup) {
		n = en.sgroup == 0 ? 64 : en.sgroup * 2;
		if ((p = reallocarray(en.group, n, sizeof(struct enrolment *)))
		    == NULL)
			fatal("enrol");
		en.group = p;
		en.sgroup = n;
	}
	en.group[en.ngroup++] = e;
	if (en.ngroup == 1)
		store_after_commit(group_write, NULL);
}

/* ---- keyd ---- */

static void
filled(enum reason r, void *arg)
{
	struct enrolment	*e = arg;
	struct why		 why;

	if (r == R_OK) {
		group_add(e);
		return;
	}
	why_set(&why, r, "store", NULL, NULL);
	enrolment_refuse(e, &why);
}

static void
fill(struct enrolment *e, const uint8_t *der, size_t len)
{
	char		until[32], serial[HEX_SIZE(SERIAL_LEN)];
	struct why	why;
	enum reason	r;

	if ((r = issued_fill(e->cert.id, der, len)) != R_OK) {
		why_set(&why, r, "store", NULL, NULL);
		enrolment_refuse(e, &why);
		return;
	}
	e->cert.len = len;
	memcpy(e->cert.der, der, len);
	hex(e->cert.serial, SERIAL_LEN, serial);
	audit_record(AUDIT_CERT, e->cert.name, R_OK, "certificate %s issued, "
	    "until %s", serial, time_text(e->cert.not_after, until,
	    sizeof(until)));
	store_after_commit(filled, e);
}

static void
got_cert(const struct ipc_reply *rep, void *arg)
{
	const struct msg_cert_rep	*m = rep->msg;
	const struct msg_refused	*ref = rep->refused;
	struct enrolment		*e = arg;
	struct form_want		 w = { .profile = e->profile,
	    .serial = e->cert.serial, .name = e->cert.name,
	    .not_before = e->cert.not_before,
	    .not_after = e->cert.not_after, .spki = e->spki,
	    .spkilen = e->spkilen };
	struct why			 why;

	if (rep->type == MSG_CERT_REP &&
	    (w.ca = ca_bygeneration(e->cert.generation)) != NULL &&
	    form_check(m->certificate.data, m->certificate.len, &w,
	    &why) == R_OK)
		fill(e, m->certificate.data, m->certificate.len);
	else if (ref != NULL) {
		why_set(&why, rep->reason, ref->field, ref->expected,
		    ref->seen);
		undo(e, &why);
	} else {
		/* It may exist, then: its row stays. */
		if (rep->type != MSG_CERT_REP)
			why_set(&why, rep->reason, "keyd", NULL, NULL);
		else if (w.ca == NULL)
			why_set(&why, R_CRT_NO_CA, "issuing CA", NULL, NULL);
		audit_record(AUDIT_CERT, e->cert.name, why.reason,
		    "keyd did not answer for a certificate: %s", why.field);
		enrolment_refuse(e, &why);
	}
	pump();
}

static void
ask(struct enrolment *e)
{
	struct why	 why;
	const struct ca	*ca = ca_bygeneration(e->cert.generation);

	e->waiting = false;
	en.waiting--;
	if (ca != NULL)
		e->req.issuer = ca->key;
	if (ca != NULL && wanted(e) && chan_call(hubd_link(IPC_KEYD),
	    MSG_DEVICE_CERT_REQ, &e->req, -1, KEYD_TIMEOUT, got_cert, e) == 0)
		return;
	why_set(&why, ca == NULL ? R_CRT_NO_CA : R_IPC_NOLINK, "keyd", NULL,
	    NULL);
	undo(e, &why);
}

/* In the order in which they were asked for. */
static void
pump(void)
{
	struct enrolment	*e, *next;
	struct chan		*c = hubd_link(IPC_KEYD);

	if (en.waiting == 0)
		return;
	for (e = TAILQ_FIRST(&under_way); e != NULL && en.waiting > 0;
	    e = next) {
		next = TAILQ_NEXT(e, entry);
		if (!e->waiting)
			continue;
		if (c != NULL && chan_window(c) <= KEYD_SPARE)
			return;
		ask(e);
	}
}

static void
intent_stored(enum reason r, void *arg)
{
	struct enrolment	*e = arg;
	struct why		 why;

	if (r != R_OK) {
		why_set(&why, r, "store", NULL, NULL);
		enrolment_refuse(e, &why);
		return;
	}
	e->waiting = true;
	en.waiting++;
	pump();
}

/* ---- a request ---- */

static struct enrolment *
enrolment_new(const struct msg_enrol_req *m, const struct decision *d)
{
	struct enrolment	*e;

	if ((e = calloc(1, sizeof(*e))) == NULL)
		fatal("enrol");
	e->profile = d->profile;
	e->spkilen = d->spkilen;
	memcpy(e->spki, d->spki, d->spkilen);
	e->req.key_type = m->key_type;
	e->req.exponent = m->exponent;
	memcpy(&e->req.public, &m->public, sizeof(e->req.public));
	IPC_SET_STR(e->req.profile, d->profile->name);
	IPC_SET_STR(e->req.name, d->name);
	TAILQ_INSERT_TAIL(&under_way, e, entry);
	en.n++;
	return e;
}

static void
enrolment_window(struct enrolment *e)
{
	IPC_SET_BLOB(e->req.serial, e->cert.serial, SERIAL_LEN);
	e->req.not_before = e->cert.not_before;
	e->req.not_after = e->cert.not_after;
}

/* A certificate is no longer valid than the CA above it. */
static void
intent_fill(struct issued *i, const struct msg_enrol_req *m,
    const struct decision *d, const struct ca *ca, uint64_t now)
{
	uint64_t	skew = d->profile->validity / 10;

	serial_draw(i->serial);
	i->generation = ca->generation;
	i->requested = now;
	i->not_before = now - (skew < SKEW ? skew : SKEW);
	if (i->not_before < ca->not_before)
		i->not_before = ca->not_before;
	i->not_after = i->not_before + d->profile->validity;
	if (i->not_after > ca->not_after)
		i->not_after = ca->not_after;
	i->auth = d->auth;
	i->est = m->est;
	memcpy(i->key, d->key, HASH_LEN);
	text_set(i->name, sizeof(i->name), d->name);
	text_set(i->profile, sizeof(i->profile), d->profile->name);
	text_set(i->address, sizeof(i->address), m->address);
}

static void
taken_write(void)
{
	unsigned	i;

	for (i = 0; i < en.ntaken; i++)
		if (issued_taken(en.taken[i]) != R_OK)
			return;
	en.ntaken = 0;
}

static int
begin(struct chan *c, const struct ipc_call *call,
    const struct msg_enrol_req *m, const struct decision *d, uint64_t now)
{
	char			 serial[HEX_SIZE(SERIAL_LEN)];
	const struct ca		*ca;
	struct enrolment	*e;
	struct why		 why;
	enum reason		 r;

	ca = ca_current(&why);
	if ((r = files_retry()) != R_OK)
		why_set(&why, r, "issued", NULL, NULL);
	if (r != R_OK || ca == NULL) {
		refusal_note("enrol", m->name, m->address, &why);
		return refuse_why(c, call, &why);
	}
	e = enrolment_new(m, d);
	intent_fill(&e->cert, m, d, ca, now);
	enrolment_window(e);
	waiter_add(e, call, false);
	if ((r = issued_intent(&e->cert, &d->intent)) != R_OK || (d->ticket &&
	    (r = ticket_burn(d->intent.authority, now)) != R_OK)) {
		why_set(&why, r, "store", NULL, NULL);
		enrolment_refuse(e, &why);
		return 0;
	}
	e->burned = d->ticket;
	memcpy(e->ticket, d->intent.authority, HASH_LEN);
	taken_write();
	hex(e->cert.serial, SERIAL_LEN, serial);
	audit_record(AUDIT_CERT, e->cert.name, R_OK, "certificate %s asked for"
	    " from %s: profile %s, %s, %s", serial, m->address,
	    d->profile->name, cert_auth_name(d->auth), m->est ? "est" : "json");
	store_after_commit(intent_stored, e);
	return 0;
}

/*
 * What was asked for before: the answer that is on its way, the one that is
 * there, or keyd is asked once more for the very same certificate.
 */
static int
again(struct chan *c, const struct ipc_call *call,
    const struct msg_enrol_req *m, const struct decision *d)
{
	struct enrolment	*e;
	struct why		 why;
	enum reason		 r;

	if ((e = enrolment_byid(d->same.id)) != NULL) {
		waiter_add(e, call, true);
		return 0;
	}
	if (d->same.len > 0 && (r = files_ensure(&d->same)) != R_OK) {
		why_set(&why, r, "issued", NULL, NULL);
		refusal_note("enrol", m->name, m->address, &why);
		return refuse_why(c, call, &why);
	}
	e = enrolment_new(m, d);
	e->cert = d->same;
	waiter_add(e, call, true);
	if (d->same.len > 0) {
		enrolment_answer(e);
		enrolment_free(e);
		return 0;
	}
	enrolment_window(e);
	e->burned = d->ticket;
	memcpy(e->ticket, d->intent.authority, HASH_LEN);
	store_after_commit(intent_stored, e);
	return 0;
}

/* Refusals of these say something of who asked; the others of ourselves. */
static bool
charged(enum reason r)
{
	return r != R_CRT_RENEW_EARLY && r != R_ENR_NO_KEYGEN;
}

static int
refuse(struct chan *c, const struct ipc_call *call,
    const struct msg_enrol_req *m, struct why *why)
{
	bool	over = attempt_over(ATTEMPT_DEVICE, m->name, en.now);

	if (charged(why->reason)) {
		attempt_refused(ATTEMPT_ADDRESS, m->address, en.now);
		attempt_refused(ATTEMPT_DEVICE, m->name, en.now);
	}
	if (over)
		why_set(why, R_CRT_ATTEMPTS_DEVICE, "name", NULL, m->name);
	refusal_note("enrol", m->name, m->address, why);
	return refuse_why(c, call, why);
}

/*
 * An address that was refused too often is not listened to for a while. A
 * device is: its name is no secret, and whoever guesses tickets of 128 bits
 * must not be able to lock out who has one. He is told nothing more, though.
 */
int
enrold_enrol(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_enrol_req	*m = arg;
	static struct decision		 d;
	uint64_t			 now = clock_trusted();
	struct why			 why;

	if (m->request.len != HASH_LEN)
		return -1;
	if (attempt_over(ATTEMPT_ADDRESS, m->address, en.now)) {
		why_set(&why, R_CRT_ATTEMPTS_ADDRESS, "address", NULL,
		    m->address);
		refusal_note("enrol", m->name, m->address, &why);
		return refuse_why(c, call, &why);
	}
	if (enrol_decide(m, now, &d, &why) != R_OK)
		return refuse(c, call, m, &why);
	return d.again ? again(c, call, m, &d) : begin(c, call, m, &d, now);
}

/* Written with what is written next, for it delays nobody. */
int
enrold_taken(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_enrol_taken	*m = arg;

	if (m->serial.len != SERIAL_LEN)
		return -1;
	if (en.ntaken == TAKEN_MAX)
		taken_write();
	if (en.ntaken == TAKEN_MAX)	/* the store cannot be written */
		return 0;
	memcpy(en.taken[en.ntaken++], m->serial.data, SERIAL_LEN);
	return 0;
}

/* ---- what an operator should know ---- */

/* Who lost the answer asks again, soon: what is older is nobody's. */
void
enrol_warnings(service_warn_fn fn, void *arg)
{
	uint64_t	now = clock_trusted();
	char		n[24];
	struct why	why;
	unsigned	orphans;

	if (files_broken()) {
		why_set(&why, R_CRT_FILES, NULL, NULL, NULL);
		fn("issued", &why, arg);
	}
	orphans = issued_orphans(now - ORPHAN_AGE, now, ORPHANS_MAX);
	if (orphans == 0)
		return;
	snprintf(n, sizeof(n), "%u%s", orphans, orphans == ORPHANS_MAX ?
	    " or more" : "");
	why_set(&why, R_CRT_ORPHAN, "certificates", "0", n);
	fn("issued", &why, arg);
}

/* ---- start, and time ---- */

void
enrol_start(void)
{
	enrol_end();
	en.now = clock_mono_ms();
	attempt_start();
	files_start();
}

void
enrol_end(void)
{
	struct enrolment	*e;

	while ((e = TAILQ_FIRST(&under_way)) != NULL)
		enrolment_free(e);
	free(en.group);
	memset(&en, 0, sizeof(en));
}

void
enrol_up(enum ipc_role r)
{
	if (r == IPC_KEYD)
		pump();
}

/* Calls that were out have failed already; the others were never asked. */
void
enrol_down(enum ipc_role r)
{
	if (r == IPC_KEYD)
		pump();
}

void
enrol_settle(void)
{
	taken_write();
}

void
enrol_tick(uint64_t mono_ms)
{
	en.now = mono_ms;
	refusals_tick(mono_ms);
	taken_write();
	files_tick();
	pump();
}
