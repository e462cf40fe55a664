/*
 * What busd is told of this node and its peers.
 *
 * A change leaves a mark; after the commit of its turn what is marked is sent
 * as it stands then, as much as there is room for in the queue to busd. The
 * rest keeps its mark until the next second. So a busd that reads slowly, or
 * not at all, costs a bounded queue and nobody's time, and one that reads is
 * told the newest of everything.
 */
#include <string.h>

#include "bus.h"

static struct {
	bool		 runs;		/* the configuration has D-Bus */
	bool		 naming;	/* BUS_PEERS_END is still to be sent */
	bool		 soon;		/* committed() will be called */
	bool		 node_marked, node_told;
	struct msg_bus_node node;	/* as it was told last */
} b;
static struct peerq	 showing = TAILQ_HEAD_INITIALIZER(showing);

/* ---- sending --------------------------------------------------------------- */

static bool
room(const struct chan *c)
{
	return chan_room(c) > BUS_ROOM_MIN;
}

static void
unmark(struct peer *p)
{
	if (p->bus.marked)
		TAILQ_REMOVE(&showing, p, showing);
	p->bus.marked = false;
}

static void
mark(struct peer *p)
{
	if (!p->bus.marked)
		TAILQ_INSERT_TAIL(&showing, p, showing);
	p->bus.marked = true;
	bus_soon();
}

static int
send_peers(struct chan *c)
{
	struct msg_bus_peer	 m;
	struct peer		*p;

	while ((p = TAILQ_FIRST(&showing)) != NULL) {
		if (!room(c))
			return -1;
		bus_peer_fill(p, &m);
		if (chan_send(c, MSG_BUS_PEER, &m, -1) == -1)
			return -1;
		unmark(p);
		p->bus.known = true;
	}
	return 0;
}

/* Nothing that did not change is news. */
static int
send_node(struct chan *c)
{
	struct msg_bus_node	 m;

	if (!b.node_marked)
		return 0;
	if (!room(c))
		return -1;
	bus_node_fill(&m);
	if ((!b.node_told || memcmp(&m, &b.node, sizeof(m)) != 0) &&
	    chan_send(c, MSG_BUS_NODE, &m, -1) == -1)
		return -1;
	b.node = m;
	b.node_told = true;
	b.node_marked = false;
	return 0;
}

static void
tell(void)
{
	static const struct msg_bus_peers_end	 end;
	struct chan				*c;

	if ((c = peers_env.link(IPC_BUSD)) == NULL)
		return;
	/* Who has gone may have left a name to another. */
	if (bus_send_first(c) == -1 || send_peers(c) == -1 ||
	    send_node(c) == -1)
		return;			/* the rest with the next tick */
	if (b.naming && (!room(c) ||
	    chan_send(c, MSG_BUS_PEERS_END, &end, -1) == -1))
		return;
	b.naming = false;
	(void)bus_send_outcomes(c);
}

static void
committed(enum reason r, void *arg)
{
	b.soon = false;
	if (r == R_OK)		/* else policyd starts anew from the store */
		tell();
}

void
bus_soon(void)
{
	if (!b.soon)
		store_after_commit(committed, NULL);
	b.soon = true;
}

struct chan *
bus_link(void)
{
	struct chan	*c = b.runs ? peers_env.link(IPC_BUSD) : NULL;

	return c != NULL && !b.naming && room(c) ? c : NULL;
}

/* ---- what changes ---------------------------------------------------------- */

void
bus_node_changed(void)
{
	if (!b.runs || peers_env.link(IPC_BUSD) == NULL)
		return;
	b.node_marked = true;
	bus_soon();
}

void
bus_peer_changed(struct peer *p)
{
	if (!b.runs)
		return;
	bus_count(p);
	if (peers_env.link(IPC_BUSD) == NULL)
		return;
	mark(p);
	b.node_marked = true;
}

void
bus_peer_gone(struct peer *p)
{
	if (!b.runs)
		return;
	unmark(p);
	bus_uncount(p);
	if (peers_env.link(IPC_BUSD) == NULL)
		return;
	bus_forgotten(p, p->bus.known);
	b.node_marked = true;
	bus_soon();
}

/* What comes too fast for busd is not kept: the outcome says what counts. */
void
bus_step(uint32_t peer, const struct step *s)
{
	struct msg_bus_step	 m = { .peer = peer, .step = s->step };
	const struct peer	*p;
	struct chan		*c;

	if ((c = bus_link()) == NULL || (peer != PEER_SELF &&
	    ((p = peer_byid(peer)) == NULL || !p->bus.known)))
		return;
	IPC_SET_STR(m.name, step_name(s->step));
	text_set(m.detail, sizeof(m.detail), s->detail);
	(void)chan_send(c, MSG_BUS_STEP, &m, -1);
}

/* ---- busd comes and goes, and time ----------------------------------------- */

void
bus_start(void)
{
	struct peer	*p;

	if (conf->dbus == NULL)
		return;
	b.runs = true;
	TAILQ_FOREACH(p, &peers, entry)
		bus_count(p);
	bus_node_start();
}

void
bus_up(void)
{
	struct peer	*p;

	b.naming = true;
	b.node_marked = true;
	b.node_told = false;
	TAILQ_FOREACH(p, &peers, entry) {
		p->bus.known = false;
		mark(p);
	}
	bus_soon();
}

void
bus_down(void)
{
	struct peer	*p;

	while ((p = TAILQ_FIRST(&showing)) != NULL)
		unmark(p);
	b.naming = b.node_marked = false;
	bus_outcomes_down();
}

void
bus_tick(uint64_t mono)
{
	if (!b.runs || peers_env.link(IPC_BUSD) == NULL)
		return;
	bus_outcomes_tick(mono);
	if (bus_worsening())
		b.node_marked = true;
	if (b.naming || b.node_marked || !TAILQ_EMPTY(&showing) ||
	    bus_outcomes_wait())
		bus_soon();
}

void
bus_end(void)
{
	bus_down();
	bus_node_start();
	memset(&b, 0, sizeof(b));
}
