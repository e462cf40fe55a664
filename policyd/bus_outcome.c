/*
 * What attestations ended with. Who asked for one over D-Bus is owed exactly
 * one outcome, after the call was answered; what came of itself is told while
 * there is room. A peer that goes takes its outcomes along, before its name
 * may be another's.
 */
#include <stdlib.h>
#include <string.h>

#include "bus.h"
#include "self.h"

#define LATER_MAX	256	/* outcomes that nobody asked for */

struct asked {
	TAILQ_ENTRY(asked) entry;
	struct ipc_call	 call;
	uint64_t	 until;		/* mono ms */
	bool		 accepted;	/* it is on disk, and busd knows */
	bool		 over;		/* there is an outcome */
	bool		 unlisted;	/* not in the list any more ... */
	enum reason	 reason;	/* ... so that this is its answer */
	struct msg_bus_outcome m;
};
static TAILQ_HEAD(, asked) asked = TAILQ_HEAD_INITIALIZER(asked);
static unsigned		 nasked;

struct event {
	TAILQ_ENTRY(event) entry;
	enum ipc_type	 type;
	union {
		struct msg_bus_outcome	 outcome;
		struct msg_bus_peer_gone gone;
	} u;
};
TAILQ_HEAD(eventq, event);
static struct eventq	 first = TAILQ_HEAD_INITIALIZER(first);
static struct eventq	 later = TAILQ_HEAD_INITIALIZER(later);
static unsigned		 nlater;

static struct event *
event_new(struct eventq *q, enum ipc_type type)
{
	struct event	*e;

	if ((e = calloc(1, sizeof(*e))) == NULL)
		fatal("bus");
	e->type = type;
	TAILQ_INSERT_TAIL(q, e, entry);
	return e;
}

static void
event_free(struct eventq *q, struct event *e)
{
	TAILQ_REMOVE(q, e, entry);
	if (q == &later)
		nlater--;
	free(e);
}

static void
asked_remove(struct asked *a)
{
	TAILQ_REMOVE(&asked, a, entry);
	nasked--;
}

static void
outcome_fill(struct msg_bus_outcome *m, uint32_t peer, bool provisioned,
    const struct why *why)
{
	m->peer = peer;
	m->provisioned = provisioned;
	if (why == NULL)
		return;
	m->reason = why->reason;
	IPC_SET_STR(m->field, why->field);
	IPC_SET_STR(m->expected, why->expected);
	IPC_SET_STR(m->seen, why->seen);
}

/* ---- outcomes --------------------------------------------------------------- */

/* How many had asked. */
static unsigned
asked_over(uint32_t peer, bool provisioned, const struct why *why)
{
	struct asked	*a;
	unsigned	 n = 0;

	TAILQ_FOREACH(a, &asked, entry) {
		if (a->m.peer != peer || a->over)
			continue;
		a->over = true;
		outcome_fill(&a->m, peer, provisioned, why);
		n++;
	}
	if (n > 0)
		bus_soon();
	return n;
}

void
bus_outcome(uint32_t peer, bool provisioned, const struct why *why)
{
	if (asked_over(peer, provisioned, why) > 0)
		return;
	if (bus_link() == NULL || nlater == LATER_MAX)
		return;
	nlater++;
	outcome_fill(&event_new(&later, MSG_BUS_OUTCOME)->u.outcome, peer,
	    provisioned, why);
	bus_soon();
}

void
bus_stepped(const struct peer *p, enum peer_event ev, const struct why *why)
{
	if (ev == EV_GOOD)
		bus_outcome(p->id, true, NULL);
	else if (ev == EV_BAD || ev == EV_UNPROVED)
		bus_outcome(p->id, false, why);
	else if (ev == EV_UNPROVISION || ev == EV_REVOKE)
		(void)asked_over(p->id, false, &p->why);
}

/* Nothing has ended, so it is not done yet; what the last attempt met is seen. */
void
bus_outcomes_tick(uint64_t mono)
{
	const struct why	*why;
	const struct peer	*p;
	struct asked		*a;
	struct why		 pending;

	TAILQ_FOREACH(a, &asked, entry) {
		if (a->over || mono < a->until)
			continue;
		why = NULL;
		if (a->m.peer == PEER_SELF)
			why = self_trouble()->reason != R_OK ?
			    self_trouble() : self_why();
		else if ((p = peer_byid(a->m.peer)) != NULL)
			why = p->trouble.reason != R_OK || peer_trusted(p) ?
			    &p->trouble : &p->why;
		why_set(&pending, R_CTL_PENDING, "attestation", "an end",
		    why != NULL && why->reason != R_OK ?
		    reason_code(why->reason) : NULL);
		a->over = true;
		outcome_fill(&a->m, a->m.peer, false, &pending);
	}
}

/* ---- who asked -------------------------------------------------------------- */

static void
asked_stored(enum reason r, void *arg)
{
	struct asked	*a = arg;

	if (r == R_OK && a->unlisted)
		r = a->reason;
	if (r == R_OK) {
		a->accepted = true;
		(void)chan_done(chan_find(&a->call), &a->call);
		if (a->over)
			bus_soon();
		return;
	}
	(void)chan_refuse(chan_find(&a->call), &a->call, r);
	if (!a->unlisted)
		asked_remove(a);
	free(a);
}

int
bus_asked(const struct ipc_call *call, uint32_t peer)
{
	struct asked	*a;

	if (nasked == BUS_ASKED_MAX)
		return -1;
	if ((a = calloc(1, sizeof(*a))) == NULL)
		fatal("bus");
	a->call = *call;
	a->until = peers_env.mono() + BUS_PATIENCE_MS;
	a->m.peer = peer;
	a->m.asked = true;
	TAILQ_INSERT_TAIL(&asked, a, entry);
	nasked++;
	store_after_commit(asked_stored, a);
	return 0;
}

/* Its call is not answered yet: asked_stored() will, and frees it. */
static void
asked_unlist(struct asked *a, enum reason r)
{
	asked_remove(a);
	a->unlisted = true;
	a->reason = r;
	if (a->accepted)
		free(a);
}

void
bus_forgotten(const struct peer *p, bool told)
{
	struct asked	*a, *anext;
	struct event	*e, *enext;
	struct why	 why;

	why_set(&why, R_POL_NO_PEER, "name", NULL, p->name);
	(void)asked_over(p->id, false, &why);
	for (e = TAILQ_FIRST(&later); e != NULL; e = enext) {
		enext = TAILQ_NEXT(e, entry);
		if (e->u.outcome.peer != p->id)
			continue;
		event_new(&first, MSG_BUS_OUTCOME)->u.outcome = e->u.outcome;
		event_free(&later, e);
	}
	for (a = TAILQ_FIRST(&asked); a != NULL; a = anext) {
		anext = TAILQ_NEXT(a, entry);
		if (a->m.peer != p->id)
			continue;
		if (a->accepted)
			event_new(&first, MSG_BUS_OUTCOME)->u.outcome = a->m;
		asked_unlist(a, R_POL_NO_PEER);
	}
	if (told)
		event_new(&first, MSG_BUS_PEER_GONE)->u.gone.peer = p->id;
}

/* ---- sending ---------------------------------------------------------------- */

static int
send_one(struct chan *c, enum ipc_type type, const void *m)
{
	return chan_room(c) <= BUS_ROOM_MIN ? -1 : chan_send(c, type, m, -1);
}

static int
send_events(struct chan *c, struct eventq *q)
{
	struct event	*e;

	while ((e = TAILQ_FIRST(q)) != NULL) {
		if (send_one(c, e->type, &e->u) == -1)
			return -1;
		event_free(q, e);
	}
	return 0;
}

int
bus_send_first(struct chan *c)
{
	return send_events(c, &first);
}

int
bus_send_outcomes(struct chan *c)
{
	struct asked	*a, *next;

	if (send_events(c, &later) == -1)
		return -1;
	for (a = TAILQ_FIRST(&asked); a != NULL; a = next) {
		next = TAILQ_NEXT(a, entry);
		if (!a->accepted || !a->over)
			continue;
		if (send_one(c, MSG_BUS_OUTCOME, &a->m) == -1)
			return -1;
		asked_remove(a);
		free(a);
	}
	return 0;
}

bool
bus_outcomes_wait(void)
{
	const struct asked	*a;

	TAILQ_FOREACH(a, &asked, entry)
		if (a->accepted && a->over)
			return true;
	return !TAILQ_EMPTY(&first) || !TAILQ_EMPTY(&later);
}

void
bus_outcomes_down(void)
{
	struct asked	*a;
	struct event	*e;

	while ((e = TAILQ_FIRST(&first)) != NULL)
		event_free(&first, e);
	while ((e = TAILQ_FIRST(&later)) != NULL)
		event_free(&later, e);
	while ((a = TAILQ_FIRST(&asked)) != NULL)
		asked_unlist(a, R_IPC_CLOSED);
}
