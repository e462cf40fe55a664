/* What somebody asks of a peer, over the control socket or over D-Bus. */
#include "peer.h"

/* A neighbour of this name becomes a peer: an operator's word is enough. */
static struct peer *
neighbour_wanted(const char *name, bool operator, struct why *why)
{
	const struct neighbour	*n = neighbour_byname(name);
	struct peer		*p;

	if (n == NULL)
		why_set(why, R_POL_NO_PEER, "name", NULL, name);
	else if (operator)
		return peer_new(name, FROM_NEIGHBOUR, "", "", "", why);
	else if ((p = inbound_peer(n)) != NULL)
		return p;
	else
		why_set(why, R_BUS_UNLISTED, "name", NULL, name);
	return NULL;
}

struct peer *
peer_wanted(const char *name, bool operator, struct why *why)
{
	struct peer	*p = peer_byname(name);

	if (p == NULL)
		return neighbour_wanted(name, operator, why);
	if (p->state == P_REVOKED) {
		*why = p->why;
		return NULL;
	}
	return p;
}

void
peer_provision(struct peer *p)
{
	peer_step(p, EV_PROVISION, NULL);
	jobs_pump();
}

void
peer_unprovision(struct peer *p, enum audit_kind kind, const char *who)
{
	audit_record(kind, p->name, R_OK, "%s: unprovision", who);
	peer_step(p, EV_UNPROVISION, NULL);
}

enum reason
peer_revoke(struct peer *p, enum audit_kind kind, const char *who,
    struct why *why)
{
	if (p->state != P_REVOKED && p->ev == NULL && *p->identity == '\0')
		return why_set(why, R_POL_NOT_ATTESTED, "identity", NULL,
		    NULL);
	audit_record(kind, p->name, R_OK, "%s: revoke %s", who,
	    p->ev != NULL ? p->ev->node : p->identity);
	peer_step(p, EV_REVOKE, NULL);
	return R_OK;
}
