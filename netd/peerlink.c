/*
 * One connection of the peer channel: handshake, greeting, then pings and
 * bounded silence; and which of two with the same peer stays.
 *
 *   HANDSHAKE --certificate accepted--> GREETING --Hello or alive--> LIVE
 *
 * A connection from outside belongs to no peer until its certificate was
 * accepted and its owner's key has signed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "tls.h"

#define PEER_LINKS_MAX	4	/* connections of one peer, in any state */

struct peerlink {
	TAILQ_ENTRY(peerlink) entry;	/* of its peer, or of the strangers */
	struct peer	*peer;		/* NULL: a stranger */
	struct tls	*tls;
	uv_timer_t	 timer;
	enum { HANDSHAKE, GREETING, LIVE } state;
	bool		 dialled;
	bool		 counted;	/* under LIMIT_TLS and LIMIT_HALF */
	bool		 closed;
	struct sockaddr_storage from;	/* of one that was accepted */
	char		 address[NETD_ADDR_MAX];
	uint32_t	 number;	/* the peer whose certificate was shown */
	uint64_t	 epoch;		/* the peer's, when it was verified */
	struct token_reader in;
	uint64_t	 heard;		/* ms; the last whole token */
	uint64_t	 pinged;	/* ms; our last ping */
};

static TAILQ_HEAD(, peerlink) strangers = TAILQ_HEAD_INITIALIZER(strangers);

static void	live_timer(struct peerlink *);

/* ---- the end of one ------------------------------------------------------ */

static void
link_free(uv_handle_t *h)
{
	free(h->data);
}

static void
link_uncount(struct peerlink *l)
{
	if (!l->counted)
		return;
	limit_release(&l->from, LIMIT_HALF);
	limit_release(&l->from, LIMIT_TLS);
	l->counted = false;
}

static void
link_log(const struct peerlink *l, const struct refusal *why, bool theirs)
{
	const char *addr = l->address;
	const char *name = l->peer == NULL ? "?" : l->peer->name;

	/* Strangers may come as often as they like; one line must do. */
	if ((!theirs || hub_count(why->reason) > 1) && l->peer == NULL)
		log_debug("refused %s: %s", addr, reason_code(why->reason));
	else if (l->peer == NULL)
		log_about(LOG_LVL_WARN, reason_code(why->reason), NULL,
		    "refused %s: %s %s %s: expected %s, seen %s", addr,
		    reason_code(why->reason), reason_text(why->reason),
		    why->field, why->expected, why->seen);
	else if (l->peer->failures > 0 && l->peer->why.reason == why->reason)
		log_debug("peer %s at %s: %s again", name, addr,
		    reason_code(why->reason));
	else if (l == l->peer->live || l->state != LIVE)
		log_about(LOG_LVL_INFO, reason_code(why->reason), name,
		    "peer %s at %s: %s %s %s %s", name, addr,
		    reason_code(why->reason), reason_text(why->reason),
		    why->field, why->seen);
	else
		log_debug("peer %s at %s: second connection ends: %s", name,
		    addr, reason_code(why->reason));
}

/* Another one that is greeted takes the place of the live one. */
static struct peerlink *
successor(const struct peer *p)
{
	struct peerlink *l;

	TAILQ_FOREACH_REVERSE(l, &p->links, peerlink_list, entry)
		if (l->state == LIVE)
			return l;
	return NULL;
}

/*
 * A refusal by one who did not prove to be the peer must not appear as the
 * peer's. A leaf that the peer's own CA issued but that is out of date is
 * told, though its key has not signed yet: policyd learns from it that the
 * clocks have moved.
 */
static void
stranger_ended(struct peerlink *l, const struct refusal *why)
{
	struct peer *p;

	if (why->reason != R_TLS_EXPIRED && why->reason != R_TLS_NOT_YET_VALID)
		return;
	if ((p = peer_bynumber(l->number)) != NULL && p->live == NULL)
		peers_changed(p, why);
}

static void
link_end(struct peerlink *l, const struct refusal *why, bool theirs)
{
	struct peer *p = l->peer;

	if (l->closed)
		return;
	l->closed = true;
	link_log(l, why, theirs);
	link_uncount(l);
	tls_close(l->tls);
	uv_close((uv_handle_t *)&l->timer, link_free);
	if (p == NULL) {
		TAILQ_REMOVE(&strangers, l, entry);
		stranger_ended(l, why);
		return;
	}
	TAILQ_REMOVE(&p->links, l, entry);
	if (l->dialled && l->state == HANDSHAKE)
		peers_handshaken();
	if (p->live == l) {
		p->live = successor(p);
		p->relinked = p->live != NULL;
	}
	peers_changed(p, why);
}

static void
link_fail(struct peerlink *l, enum reason reason, const char *field,
    const char *expected, const char *seen)
{
	struct refusal why;

	refusal_set(&why, reason, field, expected, seen);
	link_end(l, &why, true);
}

/* We end it, and nobody is to blame. */
static void
link_drop(struct peerlink *l, enum reason reason)
{
	struct refusal why;

	refusal_set(&why, reason, NULL, NULL, NULL);
	link_end(l, &why, false);
}

void
peerlink_end_all(struct peer *p, enum reason reason)
{
	struct peerlink *l, *next;

	/* The live one last, or it would be followed by one of the others. */
	for (l = TAILQ_FIRST(&p->links); l != NULL; l = next) {
		next = TAILQ_NEXT(l, entry);
		if (l != p->live)
			link_drop(l, reason);
	}
	if (p->live != NULL)
		link_drop(p->live, reason);
}

void
peerlink_end_strangers(enum reason reason)
{
	while (!TAILQ_EMPTY(&strangers))
		link_drop(TAILQ_FIRST(&strangers), reason);
}

/* ---- which of two stays -------------------------------------------------- */

static bool
wins(const struct peerlink *l)
{
	return l->dialled == peers_ours_wins(l->peer);
}

static int
say(struct peerlink *l, enum token t)
{
	if (tls_send(l->tls, token_text(t), strlen(token_text(t))) == 0)
		return 0;
	link_fail(l, R_TLS_NOT_READ, NULL, NULL, NULL);
	return -1;
}

static void
ping(struct peerlink *l)
{
	l->pinged = clock_mono_ms();
	say(l, TOKEN_PING);
}

/* The live one has just shown that it lives: the others go. */
static void
end_others(struct peer *p)
{
	struct peerlink *l, *next;

	for (l = TAILQ_FIRST(&p->links); l != NULL; l = next) {
		next = TAILQ_NEXT(l, entry);
		if (l != p->live && l->state == LIVE)
			link_drop(l, R_TLS_REPLACED);
	}
}

/*
 * The greeting is complete. Of two connections the one that the lower node id
 * dialled stays; the other closes only after a token on the winner, so that
 * a winner whose peer has lost it (a restart, a cut) cannot keep out the
 * connection that replaces it. Of two that the same side dialled the newer
 * stays: nobody dials again what he still has.
 */
static void
became_live(struct peerlink *l)
{
	struct peer	*p = l->peer;
	struct peerlink	*old = p->live;

	l->state = LIVE;
	l->heard = l->pinged = clock_mono_ms();
	live_timer(l);
	if (old != NULL && old->dialled != l->dialled && !wins(l)) {
		ping(old);		/* alive: l goes; dead: l follows */
		return;
	}
	p->live = l;
	p->relinked = true;
	if (old != NULL && (old->dialled == l->dialled || l->dialled))
		end_others(p);
	peers_changed(p, NULL);
}

/* ---- tokens -------------------------------------------------------------- */

static void
heard_token(struct peerlink *l, enum token t)
{
	struct peer *p = l->peer;

	if (l->state == LIVE) {
		l->heard = clock_mono_ms();
		if (p->live == l)
			end_others(p);
	} else if (t == (l->dialled ? TOKEN_ALIVE : TOKEN_HELLO))
		became_live(l);
}

/*
 * As server we answer anything, as OpenBMC's daemon does; one answer to what
 * one read brought. As client we answer a ping, which a server of ours sends
 * when it doubts the connection.
 */
static void
link_data(struct tls *tls, void *arg, const uint8_t *buf, size_t len)
{
	struct peerlink	*l = arg;
	size_t		 used;
	uint32_t	 babble = l->in.babble;
	bool		 answer = false;
	enum token	 t;

	while (len > 0) {
		t = token_next(&l->in, buf, len, &used);
		buf += used;
		len -= used;
		if (t == TOKEN_NONE)
			break;
		if (t == TOKEN_BABBLE) {
			link_fail(l, R_TLS_BABBLE, NULL, NULL, NULL);
			return;
		}
		heard_token(l, t);
		if (l->closed)
			return;
		answer = answer || !l->dialled || t == TOKEN_PING;
	}
	if (!l->dialled && l->in.babble > babble)
		answer = true;
	if (answer)
		say(l, TOKEN_ALIVE);
}

/* ---- time ---------------------------------------------------------------- */

static void
link_late(uv_timer_t *h)
{
	struct peerlink *l = h->data;

	link_fail(l, R_TLS_TIMEOUT, l->state == HANDSHAKE ? "handshake" :
	    "greeting", NULL, NULL);
}

static void
link_tick(uv_timer_t *h)
{
	struct peerlink	*l = h->data;
	uint64_t	 now = clock_mono_ms();

	if (now >= l->heard + l->peer->silence) {
		link_fail(l, R_TLS_SILENT, NULL, NULL, NULL);
		return;
	}
	if (l->dialled && now >= l->pinged + l->peer->keepalive)
		ping(l);
	if (!l->closed)
		live_timer(l);
}

static void
live_timer(struct peerlink *l)
{
	uint64_t now = clock_mono_ms();
	uint64_t due = l->heard + l->peer->silence;
	uint64_t next = l->pinged + l->peer->keepalive;

	if (l->dialled && next < due)
		due = next;
	uv_update_time(peers_loop());
	uv_timer_start(&l->timer, link_tick, due > now ? due - now : 1, 0);
}

/* ---- the handshake ------------------------------------------------------- */

static int
link_verify(struct tls *tls, void *arg, X509 *leaf, struct refusal *why)
{
	struct peerlink	*l = arg;
	struct peer	*p;
	char		 node[NODE_MAX];
	struct refusal	 other;

	p = peer_verify(leaf, l->dialled, l->peer, clock_trusted(), why);
	if (p == NULL) {
		/* Whose it would be, see stranger_ended(). */
		if (verify_identity(leaf, node, &other) == 0 &&
		    (p = peer_bynode(node)) != NULL)
			l->number = p->number;
		return -1;
	}
	l->number = p->number;
	l->epoch = p->epoch;
	return 0;
}

/*
 * The signature may have taken a while, and policyd may have dropped the
 * peer or changed its anchors meanwhile: it is looked up again.
 */
static struct peer *
link_owner(struct peerlink *l, struct refusal *why)
{
	struct peer *p = peer_bynumber(l->number);

	if (p == NULL || p->nanchors == 0) {
		refusal_set(why, R_TLS_PEER_GONE, NULL, NULL, NULL);
		return NULL;
	}
	if (p->epoch != l->epoch) {
		p = peer_verify(tls_leaf(l->tls), l->dialled, l->peer,
		    clock_trusted(), why);
		if (p == NULL)
			return NULL;
		l->epoch = p->epoch;
	}
	return p;
}

/* One peer may not hold many: the oldest that is not the live one goes. */
static void
bound_links(struct peer *p)
{
	struct peerlink	*l;
	unsigned	 n = 0;

	TAILQ_FOREACH(l, &p->links, entry)
		n++;
	if (n < PEER_LINKS_MAX)
		return;
	TAILQ_FOREACH(l, &p->links, entry)
		if (l != p->live && !l->dialled)
			break;
	if (l != NULL)
		link_drop(l, R_TLS_REPLACED);
}

static void
link_up(struct tls *tls, void *arg)
{
	struct peerlink	*l = arg;
	struct peer	*p;
	struct refusal	 why;

	if ((p = link_owner(l, &why)) == NULL) {
		link_end(l, &why, true);
		return;
	}
	if (l->peer == NULL) {
		bound_links(p);
		TAILQ_REMOVE(&strangers, l, entry);
		TAILQ_INSERT_TAIL(&p->links, l, entry);
		l->peer = p;
	}
	link_uncount(l);
	if (l->dialled)
		peers_handshaken();
	l->state = GREETING;
	uv_timer_start(&l->timer, link_late, peers_handshake_timeout(), 0);
	if (!l->dialled || say(l, TOKEN_HELLO) == 0)
		peers_changed(p, NULL);
}

static void
link_down(struct tls *tls, void *arg, const struct refusal *why)
{
	link_end(arg, why, true);
}

static const struct tls_events events = {
	.up = link_up,
	.data = link_data,
	.down = link_down,
	.verify = link_verify,
};

static struct peerlink *
link_new(int fd, bool dialled, struct refusal *why)
{
	struct peerlink *l;

	if ((l = calloc(1, sizeof(*l))) == NULL)
		fatal("peerlink");
	l->dialled = dialled;
	l->tls = tls_open(peers_loop(), fd, !dialled, &events, l, why);
	if (l->tls == NULL) {
		free(l);
		return NULL;
	}
	uv_timer_init(peers_loop(), &l->timer);
	l->timer.data = l;
	uv_update_time(peers_loop());
	uv_timer_start(&l->timer, link_late, peers_handshake_timeout(), 0);
	return l;
}

int
peerlink_accept(int fd, const struct sockaddr_storage *from)
{
	struct peerlink	*l;
	struct refusal	 why;

	if ((l = link_new(fd, false, &why)) == NULL) {
		limit_release(from, LIMIT_HALF);
		limit_release(from, LIMIT_TLS);
		if (hub_count(why.reason) == 1)
			log_about(LOG_LVL_WARN, reason_code(why.reason), NULL,
			    "mtls: %s %s", reason_code(why.reason),
			    reason_text(why.reason));
		return -1;
	}
	l->from = *from;
	addr_text(from, l->address, sizeof(l->address));
	l->counted = true;
	TAILQ_INSERT_TAIL(&strangers, l, entry);
	return 0;
}

void
peerlink_dialled(struct peer *p, int fd)
{
	struct peerlink	*l;
	struct refusal	 why;

	if ((l = link_new(fd, true, &why)) == NULL) {
		peers_handshaken();
		peers_changed(p, &why);
		return;
	}
	snprintf(l->address, sizeof(l->address), "%s", p->address);
	l->peer = p;
	TAILQ_INSERT_TAIL(&p->links, l, entry);
	peers_changed(p, NULL);
}

/* ---- for peers.c --------------------------------------------------------- */

/* A connection outlives its leaf's window, so only the new CA's word counts. */
static bool
still_fits(const struct peerlink *l, struct refusal *why)
{
	struct peer	*p = l->peer;
	X509		*leaf = tls_leaf(l->tls);
	char		 node[NODE_MAX];

	if (verify_identity(leaf, node, why) == -1 ||
	    verify_leaf(leaf, p->anchor, p->nanchors, l->dialled, 0,
	    why) == -1)
		return false;
	return strcmp(node, p->node) == 0;
}

void
peerlink_recheck(struct peer *p)
{
	struct peerlink	*l, *next;
	struct refusal	 why;

	for (l = TAILQ_FIRST(&p->links); l != NULL; l = next) {
		next = TAILQ_NEXT(l, entry);
		if (l->state == HANDSHAKE || l->epoch == p->epoch)
			continue;	/* link_owner() will look again */
		if (still_fits(l, &why))
			l->epoch = p->epoch;
		else
			link_drop(l, R_TLS_ANCHOR_CHANGED);
	}
}

bool
peerlink_dialling(const struct peer *p)
{
	const struct peerlink *l;

	TAILQ_FOREACH(l, &p->links, entry)
		if (l->dialled && l->state != LIVE)
			return true;
	return false;
}

const struct peerlink *
peerlink_best(const struct peer *p)
{
	return p->live != NULL ? p->live : TAILQ_LAST(&p->links, peerlink_list);
}

bool
peerlink_is_dialled(const struct peerlink *l)
{
	return l->dialled;
}

const char *
peerlink_address(const struct peerlink *l)
{
	return l->address;
}
