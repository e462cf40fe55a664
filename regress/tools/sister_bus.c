/*
 * Written cases: what busd, taken over, may ask of policyd in good form and
 * does not get; and one that reads nothing.
 */
#include <err.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sister_cases.h"

#define STRANGER	64999	/* a uid that is in no group of ours */
#define FLOOD		500	/* requests in a row */
#define HEARD		31	/* of them, at most: those of a burst and one */
#define UNREAD		48	/* calls of one that reads nothing */
#define NEIGHBOURS	600	/* more than policyd keeps */

static enum reason
wish(struct sister *s, enum ipc_type type, uint32_t uid, const char *name)
{
	struct msg_bus_provision	m = { .caller = uid };
	struct heard			h;

	/* The three have the same fields. */
	IPC_SET_STR(m.name, name);
	return sister_call(s, s->hub, type, &m, &h);
}

/* Until an outcome that was asked for; MSG_NONE if there is none in time. */
static void
asked_outcome(struct sister *s, struct heard *h)
{
	while (sister_recv(s->hub, h, 3 * SISTER_MS) == 1)
		if (h->type == MSG_BUS_OUTCOME && h->msg.bus_outcome.asked)
			return;
	h->type = MSG_NONE;
}

static void
cases_stranger_uid(struct sister *s, const char *trusted)
{
	static const enum ipc_type	all[] = { MSG_BUS_PROVISION,
	    MSG_BUS_UNPROVISION, MSG_BUS_REVOKE };
	struct msg_bus_log_level	m = { .caller = STRANGER };
	struct heard			h;
	size_t				i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		tap_reason(wish(s, all[i], STRANGER, trusted), R_BUS_CALLER,
		    ipc_name(all[i]), "for a caller who may not");
	tap_reason(sister_call(s, s->hub, MSG_BUS_LOG_LEVEL, &m, &h),
	    R_BUS_CALLER, "BUS_LOG_LEVEL", "for a caller who may not");
}

static void
cases_revoked(struct sister *s, const char *revoked)
{
	tap_reason(wish(s, MSG_BUS_UNPROVISION, 0, revoked), R_BUS_REVOKED,
	    "busd", "a revocation lifted");
	tap_reason(wish(s, MSG_BUS_PROVISION, 0, revoked), R_POL_REVOKED,
	    "busd", "trust in who is revoked");
	tap_reason(wish(s, MSG_BUS_PROVISION, 0, "made-up"), R_POL_NO_PEER,
	    "busd", "trust in who is no peer");
	tap_reason(wish(s, MSG_BUS_UNPROVISION, 0, "self"), R_POL_NO_PEER,
	    "busd", "an end of trust in this node itself");
}

/* Accepted, for an operator could want it; but nothing comes of it. */
static void
case_unlisted(struct sister *s, const char *unlisted)
{
	struct heard	h;

	tap_reason(wish(s, MSG_BUS_PROVISION, 0, unlisted), R_OK, "busd",
	    "an attestation of who is not listed");
	asked_outcome(s, &h);
	tap(h.type == MSG_BUS_OUTCOME && !h.msg.bus_outcome.provisioned &&
	    h.msg.bus_outcome.reason != R_OK, "busd: the outcome is no trust: "
	    "%s", h.type == MSG_BUS_OUTCOME ?
	    reason_code((enum reason)h.msg.bus_outcome.reason) : "none");
}

/* Neighbours that nobody heard, under the name of one that is trusted, too. */
static void
say_neighbours(struct sister *s, const char *trusted)
{
	struct msg_neighbour	m = { .ttl = 120 };
	struct msg_neighbour_gone gone = { 0 };

	IPC_SET_STR(m.address4, "192.0.2.66");
	for (m.neighbour = 0; m.neighbour < NEIGHBOURS; m.neighbour++) {
		if (m.neighbour % 2 == 0)
			IPC_SET_STR(m.system_name, trusted);
		else
			snprintf(m.system_name, sizeof(m.system_name),
			    "made-up-%u", m.neighbour);
		sister_say(s->hub, MSG_NEIGHBOUR, 0, &m);
	}
	for (; gone.neighbour < NEIGHBOURS; gone.neighbour += 2)
		sister_say(s->hub, MSG_NEIGHBOUR_GONE, 0, &gone);
	sister_say(s->hub, MSG_NEIGHBOURS_END, 0, NULL);
}

static void
case_flood(struct sister *s)
{
	unsigned	i, heard = 0, rate = 0;
	enum reason	r;

	for (i = 0; i < FLOOD; i++) {
		r = wish(s, MSG_BUS_UNPROVISION, 0, "made-up");
		heard += r == R_POL_NO_PEER;
		rate += r == R_BUS_RATE;
	}
	tap(heard <= HEARD && heard + rate == FLOOD, "busd: of %d requests in "
	    "a row %s are heard, the others refused: %s", FLOOD,
	    heard <= HEARD ? "few" : "too many", reason_code(R_BUS_RATE));
}

void
cases_busd(const char *dir, char **arg)
{
	struct sister	s;

	sister_user(IPC_BUSD, IPC_BUSD);
	sister_greeted(&s, dir, IPC_BUSD);
	cases_stranger_uid(&s, arg[0]);
	cases_revoked(&s, arg[1]);
	case_unlisted(&s, arg[2]);
	say_neighbours(&s, arg[0]);
	case_flood(&s);
	tap_alive(&s);
}

/* It asks, and reads nothing, until it is ended. */
void
case_deaf(const char *dir, const char *peer)
{
	struct msg_bus_provision	m = { .caller = STRANGER };
	struct sister			s;
	unsigned			i;

	sister_user(IPC_BUSD, IPC_BUSD);
	sister_greeted(&s, dir, IPC_BUSD);
	IPC_SET_STR(m.name, peer);
	for (i = 0; i < UNREAD; i++)
		sister_say(s.hub, MSG_BUS_PROVISION, s.next_id++, &m);
	printf("# deaf\n");
	fflush(stdout);
	for (;;)
		pause();
}
