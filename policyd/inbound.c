/*
 * Somebody at an address attested us. That says nothing about who it is; if
 * it is the address of a peer that policy lets pair, that peer is attested,
 * at the address that we know.
 */
#include <string.h>

#include "self.h"

#define REMEMBERED	16
#define REMEMBER_MS	60000
#define MADE_MAX	256	/* peers made of neighbours */

/* Addresses heard before the LLDP frame that tells whose they are. */
static struct {
	char		 address[65];
	uint64_t	 until;		/* mono ms */
} heard[REMEMBERED];
static unsigned	next;

static void
remember(const char *address)
{
	size_t	i;

	for (i = 0; i < REMEMBERED; i++)
		if (address_equal(heard[i].address, address))
			break;
	if (i == REMEMBERED)
		i = next++ % REMEMBERED;
	IPC_SET_STR(heard[i].address, address);
	heard[i].until = peers_env.mono() + REMEMBER_MS;
}

static void
inbound(struct peer *p)
{
	/* A peer that may not pair unasked is left in peace, uncounted. */
	if (p->have & HAVE_LEAVE || p->state == P_ATTESTING)
		peer_step(p, EV_INBOUND, NULL);
}

/*
 * Room for one more peer that is made of a neighbour's claim. One that came
 * to nothing gives way: whoever shouts names must not keep out those to come.
 */
static bool
make_room(void)
{
	struct peer	*p, *oldest = NULL;
	unsigned	 n = 0;

	TAILQ_FOREACH(p, &peers, entry) {
		if (p->origin != FROM_NEIGHBOUR)
			continue;
		n++;
		if (!peer_trusted(p) && !p->held && p->job == NULL &&
		    *p->identity == '\0' &&
		    (oldest == NULL || p->since < oldest->since))
			oldest = p;
	}
	if (n < MADE_MAX)
		return true;
	if (oldest == NULL)
		return false;
	log_info("peer %s: forgotten, it came to nothing", oldest->name);
	peer_remove(oldest);
	return true;
}

/* A neighbour that is no peer may become one if a rule can accept it. */
struct peer *
inbound_peer(const struct neighbour *n)
{
	struct peer	*p = peer_byname(n->m.system_name);
	struct why	 why;

	if (p != NULL)
		return neighbour_of(p) == n ? p : NULL;
	if (!policy_has_rule(&policy) || !peer_name_ok(n->m.system_name) ||
	    !make_room())
		return NULL;
	return peer_new(n->m.system_name, FROM_NEIGHBOUR, "", "", "", &why);
}

struct match {
	const char	*address;
	bool		 found;
};

static void
match_neighbour(const struct neighbour *n, void *arg)
{
	struct match	*m = arg;
	struct peer	*p;

	if (!address_equal(n->m.address4, m->address) &&
	    !address_equal(n->m.address6, m->address))
		return;
	if ((p = inbound_peer(n)) != NULL && *p->address == '\0') {
		m->found = true;
		inbound(p);
	}
}

static void
match_peer(struct peer *p, void *arg)
{
	struct match	*m = arg;

	m->found = true;
	inbound(p);
}

/* An endpoint of the kernel's MCTP, which has one name for both ways. */
static void
over_mctp(struct match *m)
{
	struct peer	*p;

	if (strncmp(m->address, "mctp:", 5) == 0)
		TAILQ_FOREACH(p, &peers, entry)
			if (p->conf != NULL && p->conf->mctp != NULL &&
			    strcmp(p->conf->mctp, m->address) == 0)
				match_peer(p, m);
}

int
attestr_attested(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_attested	*a = arg;
	struct match			 m = { a->address, false };

	if (self_heard(a->address))
		return 0;
	peers_at(a->address, match_peer, &m);
	over_mctp(&m);
	neighbours_each(match_neighbour, &m);
	if (!m.found)
		remember(a->address);
	jobs_pump();
	return 0;
}

void
inbound_heard(const struct neighbour *n)
{
	uint64_t	 now = peers_env.mono();
	struct peer	*p;
	size_t		 i;

	for (i = 0; i < REMEMBERED; i++) {
		if (heard[i].until <= now ||
		    (!address_equal(heard[i].address, n->m.address4) &&
		    !address_equal(heard[i].address, n->m.address6)))
			continue;
		heard[i].until = 0;
		if ((p = inbound_peer(n)) != NULL)
			inbound(p);
	}
}

void
inbound_clear(void)
{
	memset(heard, 0, sizeof(heard));
}
