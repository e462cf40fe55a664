/*
 * What netd is told of the peers, and what it tells of their connections.
 *
 * netd learns of a peer only when it is trusted and the store has it so; it
 * learns at once when it no longer is. What it says of a connection moves the
 * states that trusted peers have among themselves, and grants nothing.
 */
#include <string.h>

#include "peer.h"

#define ROOM_MIN	1024	/* of the queue to netd, kept for the urgent */

#define NEWS_MAX	16	/* moves of a peer's link in a row; then, and until
				   it was quiet for as many seconds, the newest
				   each second: a record each is enough */

static struct peerq telling = TAILQ_HEAD_INITIALIZER(telling);
static bool	naming;		/* PEERS_END is still to be sent */
static bool	asked;		/* net_committed() will be called */

const char *
net_address(const struct peer *p, const char **from)
{
	const struct neighbour	*n;

	if (*p->address != '\0') {
		*from = p->origin == FROM_CONF ? "configuration" : "operator";
		return p->address;
	}
	if ((n = neighbour_of(p)) != NULL && *neighbour_address(n) != '\0') {
		*from = "lldp";
		return neighbour_address(n);
	}
	/* Not heard just now: strangers may be louder. It may be there. */
	*from = p->ev != NULL ? "last attestation" : "lldp";
	return p->ev != NULL ? p->ev->address : "";
}

const char *
net_spdm_address(const struct peer *p)
{
	const char	*from;

	return p->conf != NULL && p->conf->mctp != NULL ? p->conf->mctp :
	    net_address(p, &from);
}

static int
send_set(struct peer *p)
{
	struct msg_peer_set	 m = { .peer = p->id };
	const struct evidence	*ev = p->ev;
	const char		*from;

	IPC_SET_STR(m.name, p->name);
	IPC_SET_STR(m.address, net_address(p, &from));
	m.port = p->conf != NULL && p->conf->mtls_port != 0 ?
	    p->conf->mtls_port : conf->mtls_port;
	IPC_SET_STR(m.node, ev->node);
	IPC_SET_BLOB(m.anchor, ev->anchor, ev->anchor_len);
	if (p->anchor2 != NULL)
		IPC_SET_BLOB(m.anchor2, p->anchor2, p->anchor2_len);
	m.shift = policy_shift(ev->anchor_before, ev->anchor_after,
	    peers_env.now());
	m.keepalive = p->conf != NULL && p->conf->keepalive != 0 ?
	    p->conf->keepalive : conf->keepalive;
	m.silence = p->conf != NULL && p->conf->silence != 0 ?
	    p->conf->silence : conf->silence;
	return chan_send(peers_env.link(IPC_NETD), MSG_PEER_SET, &m, -1);
}

void
net_quiet(struct peer *p)
{
	if (p->tell != TELL_NOTHING)
		TAILQ_REMOVE(&telling, p, telling);
	p->tell = TELL_NOTHING;
}

static void
tell(struct peer *p, enum peer_tell when)
{
	if (p->tell == TELL_NOTHING)
		TAILQ_INSERT_TAIL(&telling, p, telling);
	p->tell = when;
}

void
net_pump(void)
{
	static const struct msg_peers_end end;
	struct chan		*c = peers_env.link(IPC_NETD);
	struct peer		*p, *next;

	if (c == NULL)
		return;
	for (p = TAILQ_FIRST(&telling); p != NULL; p = next) {
		next = TAILQ_NEXT(p, telling);
		if (p->tell != TELL_NOW)
			continue;
		if (chan_room(c) < ROOM_MIN || send_set(p) == -1)
			return;		/* the rest with the next tick */
		net_quiet(p);
		p->told = true;
	}
	if (naming && chan_send(c, MSG_PEERS_END, &end, -1) == 0)
		naming = false;
}

static void
net_committed(enum reason r, void *arg)
{
	struct peer	*p;

	asked = false;
	if (r != R_OK)
		return;		/* and policyd starts anew from the store */
	TAILQ_FOREACH(p, &telling, telling)
		p->tell = TELL_NOW;
	net_pump();
}

static void
ask(void)
{
	if (!asked)
		store_after_commit(net_committed, NULL);
	asked = true;
}

void
net_tell(struct peer *p)
{
	tell(p, TELL_NOW);
	ask();
}

void
net_tell_after(struct peer *p)
{
	tell(p, TELL_COMMIT);
	ask();
}

void
net_untell(struct peer *p)
{
	struct msg_peer_set	 m = { .peer = p->id };
	struct chan		*c = peers_env.link(IPC_NETD);

	net_quiet(p);
	if (!p->told || c == NULL)
		return;
	IPC_SET_STR(m.name, p->name);
	if (p->ev != NULL)
		IPC_SET_STR(m.node, p->ev->node);
	m.keepalive = conf->keepalive;
	m.silence = conf->silence;
	if (chan_send(c, MSG_PEER_SET, &m, -1) == -1) {
		/* A netd that does not read is cut off: it must hear this. */
		log_warnx("netd does not read, its link is closed");
		chan_close(c);
	}
}

void
net_forget(struct peer *p)
{
	struct msg_peer_drop	 m = { .peer = p->id };
	struct chan		*c = peers_env.link(IPC_NETD);

	net_quiet(p);
	if (!p->told || c == NULL)
		return;
	p->told = false;
	p->link = 0;
	if (chan_send(c, MSG_PEER_DROP, &m, -1) == -1) {
		log_warnx("netd does not read, its link is closed");
		chan_close(c);
	}
}

/* netd greeted: it hears of every peer, and then that this was all. */
void
net_up(void)
{
	struct peer	*p;

	naming = true;
	TAILQ_FOREACH(p, &peers, entry) {
		p->told = false;
		if (peer_trusted(p) && p->tell != TELL_COMMIT)
			tell(p, TELL_NOW);
	}
	net_pump();
}

void
net_down(void)
{
	struct peer	*p;

	naming = false;
	TAILQ_FOREACH(p, &peers, entry) {
		p->told = false;
		p->link = 0;
	}
}

/* Move the peer to where its link is now. */
static void
link_moved(struct peer *p)
{
	const struct why	*why = p->link_why.reason != R_OK ?
				    &p->link_why : NULL;

	if (p->link == 2)
		peer_step(p, EV_LINK_UP, why);
	else if (p->link == 1)
		peer_step(p, EV_LINK_PROGRESS, why);
	else if (peer_trusted(p) && policy_doubtful(p->link_why.reason))
		peer_step(p, EV_LINK_REFUSED, why);
	else
		peer_step(p, EV_LINK_DOWN, why);
}

void
net_tick(struct peer *p)
{
	if (p->link_news > NEWS_MAX)
		link_moved(p);
	if (p->link_news > 0)
		p->link_news--;
}

int
netd_peer_link(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_peer_link	*m = arg;
	struct peer			*p;
	enum peer_state			 from;
	struct why			 why;

	/* It may have been removed while this was on its way. */
	if ((p = peer_byid(m->peer)) == NULL)
		return 0;
	why_set(&why, (enum reason)m->reason, m->field, m->expected, m->seen);
	if (p->link != m->state || p->link_why.reason != why.reason)
		p->link_since = peers_env.now();
	p->link = m->state;
	p->dialled = m->dialled;
	IPC_SET_STR(p->link_address, m->address);
	p->link_why = why;
	control_link(p);
	if (m->state == 2)
		p->redials = 0;
	else if (m->state == 0)
		p->redials++;
	/* A redial after a failed one is no news: no flapping to and fro. */
	else if (p->redials > 1 && p->state == P_NOTCONNECTED)
		return 0;
	if (p->link_news < NEWS_MAX) {
		from = p->state;
		link_moved(p);
		p->link_news += p->state != from;
	} else
		p->link_news = NEWS_MAX + 1;
	jobs_pump();
	return 0;
}
