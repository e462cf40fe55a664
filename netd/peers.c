/*
 * What a peer needs from netd: to be dialled while it has no connection, to
 * be reported to policyd, and to go when policyd says so. netd decides
 * nothing here: policyd names the peers and their anchors, and what netd
 * reports grants nothing.
 */
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "tls.h"

#define DIALS_MAX	96	/* peers that are being connected to; those
				   that do not answer hold up no others */
#define SHAKES_MAX	32	/* handshakes of ours; the other half of
				   SIGN_MAX is for those that dial us */

#define ROOM_MIN	1024	/* of the queue to policyd: reports of all
				   peers at once must not close the link */
#define OWED_MS		50

static struct {
	uv_loop_t	*loop;
	uv_timer_t	*timer;		/* while reports are owed */
	struct peer_list owed;
	uint32_t	 retry_min, retry_max, handshake_timeout;	/* ms */
	char		 node[NODE_MAX];	/* ours, empty until policyd said it */
	bool		 no_link;	/* our interface has no carrier */
} self;

uv_loop_t *
peers_loop(void)
{
	return self.loop;
}

uint32_t
peers_handshake_timeout(void)
{
	return self.handshake_timeout;
}

bool
peers_ours_wins(const struct peer *p)
{
	return strcmp(self.node, p->node) < 0;
}

int
peers_init(struct uv_loop_s *loop, const struct conf *conf)
{
	self.loop = loop;
	TAILQ_INIT(&self.owed);
	self.retry_min = conf->retry_min;
	self.retry_max = conf->retry_max;
	self.handshake_timeout = conf->handshake_timeout;
	peer_table_init();
	return 0;
}

/* ---- reports ------------------------------------------------------------- */

static bool
same_refusal(const struct refusal *a, const struct refusal *b)
{
	return a->reason == b->reason && strcmp(a->field, b->field) == 0 &&
	    strcmp(a->expected, b->expected) == 0 &&
	    strcmp(a->seen, b->seen) == 0;
}

/* Attempts that follow a failed one are not progress until they succeed. */
static uint32_t
link_state(const struct peer *p)
{
	if (p->live != NULL)
		return 2;
	return TAILQ_EMPTY(&p->links) || p->failures > 0 ? 0 : 1;
}

static void
timer_free(uv_handle_t *h)
{
	free(h);
}

static void	owed_due(uv_timer_t *);

/* The newest state is told once there is room; none is told twice. */
static void
owe(struct peer *p)
{
	if (p->owed)
		return;
	p->owed = true;
	TAILQ_INSERT_TAIL(&self.owed, p, owing);
	if (self.timer != NULL)
		return;
	if ((self.timer = malloc(sizeof(*self.timer))) == NULL)
		fatal("peer");
	uv_timer_init(self.loop, self.timer);
	uv_timer_start(self.timer, owed_due, OWED_MS, OWED_MS);
}

static void
settle(struct peer *p)
{
	if (p->owed)
		TAILQ_REMOVE(&self.owed, p, owing);
	p->owed = false;
	if (TAILQ_EMPTY(&self.owed) && self.timer != NULL) {
		uv_close((uv_handle_t *)self.timer, timer_free);
		self.timer = NULL;
	}
}

static void
report(struct peer *p)
{
	struct msg_peer_link	 m = { .peer = p->number };
	const struct peerlink	*l = peerlink_best(p);
	struct chan		*c = hub_link(IPC_POLICYD);

	if (c != NULL && chan_room(c) < ROOM_MIN) {
		owe(p);
		return;
	}
	settle(p);
	p->relinked = false;
	m.state = p->reported = link_state(p);
	if (l != NULL) {
		m.dialled = peerlink_is_dialled(l);
		IPC_SET_STR(m.address, peerlink_address(l));
	} else
		IPC_SET_STR(m.address, p->address);
	if (m.state == 0) {
		m.reason = p->why.reason;
		IPC_SET_STR(m.field, p->why.field);
		IPC_SET_STR(m.expected, p->why.expected);
		IPC_SET_STR(m.seen, p->why.seen);
	}
	if (c != NULL && chan_send(c, MSG_PEER_LINK, &m, -1) == -1)
		log_warnx("peer %s: report not sent", p->name);
}

static void
owed_due(uv_timer_t *h)
{
	struct chan	*c = hub_link(IPC_POLICYD);

	while (!TAILQ_EMPTY(&self.owed) && (c == NULL ||
	    chan_room(c) >= ROOM_MIN))
		report(TAILQ_FIRST(&self.owed));
}

/* ---- dialling ------------------------------------------------------------ */

static void	dial_peer(struct peer *);
static unsigned	ndials, nshakes;
static struct peer_list	waiting = TAILQ_HEAD_INITIALIZER(waiting);

/* Connected, but there are handshakes enough as it is; it counts as dialled. */
static void
wait_turn(struct peer *p, int fd)
{
	p->fd = fd;
	p->waits = true;
	TAILQ_INSERT_TAIL(&waiting, p, waiting);
}

static int
wait_end(struct peer *p)
{
	TAILQ_REMOVE(&waiting, p, waiting);
	p->waits = false;
	ndials--;
	return p->fd;
}

void
peers_handshaken(void)
{
	struct peer	*p = TAILQ_FIRST(&waiting);

	nshakes--;
	if (p == NULL)
		return;
	nshakes++;
	peerlink_dialled(p, wait_end(p));
}

static void
redial_cancel(struct peer *p)
{
	if (p->redial != NULL)
		uv_close((uv_handle_t *)p->redial, timer_free);
	p->redial = NULL;
}

static void
redial_due(uv_timer_t *h)
{
	struct peer *p = h->data;

	redial_cancel(p);
	dial_peer(p);
}

static uint32_t
random32(void)
{
	uint32_t r;

	if (RAND_bytes_ex(tls_lib(), (uint8_t *)&r, sizeof(r), 0) != 1)
		fatalx("no randomness");
	return r;
}

static void
redial_after(struct peer *p, uint32_t ms)
{
	if (p->redial == NULL) {
		if ((p->redial = calloc(1, sizeof(*p->redial))) == NULL)
			fatal("peer");
		uv_timer_init(self.loop, p->redial);
		p->redial->data = p;
	}
	uv_update_time(self.loop);
	uv_timer_start(p->redial, redial_due, ms, 0);
}

/* Is this peer behind our interface, and that without a carrier? */
static bool
cut_off(const struct peer *p)
{
	return self.no_link && link_reaches(p->address);
}

static bool
wants_dial(const struct peer *p)
{
	return !cut_off(p) && !p->quiet && tls_ready() && p->nanchors > 0 &&
	    p->address[0] != '\0' && p->port != 0 && p->live == NULL &&
	    p->dial == NULL && !p->waits && !peerlink_dialling(p);
}

static void
redial_later(struct peer *p)
{
	if (wants_dial(p) && p->redial == NULL)
		redial_after(p, backoff_next(&p->backoff, random32()));
}

/* No room just now: not the peer's fault, so without backoff. */
static void
dial_soon(struct peer *p)
{
	redial_after(p, self.retry_min / 2 + random32() % (self.retry_min + 1));
}

static void
dialled(int fd, enum reason reason, void *arg)
{
	struct peer	*p = arg;
	struct refusal	 why;

	p->dial = NULL;
	if (fd != -1 && nshakes == SHAKES_MAX) {
		wait_turn(p, fd);
		return;
	}
	ndials--;
	if (fd == -1) {
		refusal_set(&why, reason, NULL, NULL, p->address);
		peers_changed(p, &why);
	} else {
		nshakes++;
		peerlink_dialled(p, fd);
	}
}

static void
dial_peer(struct peer *p)
{
	if (!wants_dial(p))
		return;
	if (ndials < DIALS_MAX)
		p->dial = dial_start(p->address, p->port,
		    self.handshake_timeout, dialled, p);
	if (p->dial == NULL)
		dial_soon(p);
	else
		ndials++;
}

static void
dial_end(struct peer *p)
{
	if (p->dial != NULL) {
		dial_cancel(p->dial);
		p->dial = NULL;
		ndials--;
	}
	if (p->waits)
		close(wait_end(p));
	redial_cancel(p);
}

static void
dial_now(struct peer *p)
{
	p->failures = 0;
	backoff_reset(&p->backoff);
	redial_cancel(p);
	dial_peer(p);
}

/*
 * Each report is a record of the audit log, so a peer that cannot be reached
 * or refuses us is reported once, not at each attempt: 1 is told at the first
 * one, 0 when its reason is a new one.
 */
void
peers_changed(struct peer *p, const struct refusal *why)
{
	uint32_t	state = link_state(p);
	bool		new_reason = false;

	if (p->quiet)
		return;
	if (why != NULL && state == 0) {
		new_reason = !same_refusal(&p->why, why);
		p->why = *why;
		p->failures++;
	}
	if (p->live != NULL) {
		p->failures = 0;
		backoff_reset(&p->backoff);
		redial_cancel(p);
	}
	if (state != p->reported || new_reason || p->relinked) {
		if (state != p->reported)
			log_about(LOG_LVL_INFO, NULL, p->name,
			    "peer %s: %s", p->name, state == 2 ?
			    "connected" : state == 1 ? "in progress" :
			    "not connected");
		report(p);
	}
	redial_later(p);
}

/* ---- policyd's messages -------------------------------------------------- */

/* No connection and no dialling for this peer, and not a word about it. */
static void
peer_end(struct peer *p, enum reason reason)
{
	p->quiet = true;
	dial_end(p);
	peerlink_end_all(p, reason);
	p->quiet = false;
}

int
netd_net_identity(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_net_identity	*m = arg;
	struct peer			*p;
	struct refusal			 why;
	enum reason			 r;
	bool				 other;

	lldp_name(m->system_name);
	if (m->leaf.len == 0)
		return 0;
	other = self.node[0] != '\0' && strcmp(self.node, m->node) != 0;
	memcpy(self.node, m->node, sizeof(self.node));
	r = tls_identity(m->key, (enum key_algorithm)m->algorithm,
	    m->leaf.data, m->leaf.len);
	if (r != R_OK) {
		hub_count(r);
		log_about(LOG_LVL_WARN, reason_code(r), NULL,
		    "identity: %s %s", reason_code(r), reason_text(r));
		return 0;
	}
	log_info("identity: node %s, a new TLS leaf", self.node);
	TAILQ_FOREACH(p, peer_all(), all) {
		if (other) {
			peer_end(p, R_TLS_OWN_IDENTITY);
			refusal_set(&why, R_TLS_OWN_IDENTITY, NULL, NULL, NULL);
			peers_changed(p, &why);
		}
		dial_now(p);
	}
	return 0;
}

static void
peer_disable(struct peer *p, const struct refusal *why)
{
	peer_end(p, R_TLS_PEER_GONE);
	p->why = *why;
	report(p);
}

static void
peer_forget(struct peer *p)
{
	peer_end(p, R_TLS_PEER_GONE);
	settle(p);
	peer_remove(p);
}

/* Why a peer is not dialled, if that is not for policyd to say. */
static void
peer_cannot(struct peer *p)
{
	struct refusal why;

	if (cut_off(p))
		refusal_set(&why, R_TLS_LINK_DOWN, NULL, NULL, NULL);
	else if (p->address[0] == '\0' || p->port == 0)
		refusal_set(&why, R_TLS_NO_ADDRESS, NULL, NULL, NULL);
	else
		return;
	if (TAILQ_EMPTY(&p->links))
		peers_changed(p, &why);
}

int
netd_peer_set(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_peer_set	*m = arg;
	struct peer			*p = peer_bynumber(m->peer);
	struct refusal			 why;
	bool				 is_new = p == NULL, moved;

	moved = p != NULL && (strcmp(p->address, m->address) != 0 ||
	    p->port != m->port);
	if ((p = peer_enter(m, &why)) == NULL) {
		log_warnx("peer %s: there is no room for more", m->name);
		return 0;
	}
	p->named = true;
	if (is_new)
		backoff_init(&p->backoff, self.retry_min, self.retry_max);
	if (p->nanchors == 0) {
		if (why.reason == R_OK)
			refusal_set(&why, R_TLS_PEER_GONE, NULL, NULL, NULL);
		else
			log_about(LOG_LVL_WARN, reason_code(why.reason),
			    p->name, "peer %s: %s %s", p->name,
			    reason_code(why.reason), reason_text(why.reason));
		peer_disable(p, &why);
		return 0;
	}
	peerlink_recheck(p);
	if (moved)
		dial_end(p);
	dial_now(p);
	peer_cannot(p);
	return 0;
}

int
netd_peer_drop(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_peer_drop	*m = arg;
	struct peer			*p = peer_bynumber(m->peer);

	if (p != NULL)
		peer_forget(p);
	return 0;
}

int
netd_peers_end(struct chan *c, const struct ipc_call *call, const void *arg)
{
	struct peer *p, *next;

	for (p = TAILQ_FIRST(peer_all()); p != NULL; p = next) {
		next = TAILQ_NEXT(p, all);
		if (!p->named)
			peer_forget(p);
	}
	return 0;
}

/* ---- what happens around ------------------------------------------------- */

void
peers_link(bool up)
{
	struct peer *p;

	if (self.no_link == !up)
		return;
	self.no_link = !up;
	log_info("link %s", up ? "up" : "down");
	if (!up)
		peerlink_end_strangers(R_TLS_LINK_DOWN);
	TAILQ_FOREACH(p, peer_all(), all) {
		if (cut_off(p))
			peer_end(p, R_TLS_LINK_DOWN);
		if (p->nanchors == 0)
			continue;
		dial_now(p);
		peer_cannot(p);
	}
}

void
peers_hub(enum ipc_role role, bool up)
{
	struct peer *p;

	if (!up || (role != IPC_POLICYD && role != IPC_KEYD))
		return;
	TAILQ_FOREACH(p, peer_all(), all) {
		if (role == IPC_POLICYD) {
			p->named = false;
			owe(p);
		} else
			dial_now(p);	/* it may have failed for want of keyd */
	}
}

void
peers_stop(void)
{
	peerlink_end_strangers(R_TLS_PEER_GONE);
	while (!TAILQ_EMPTY(peer_all()))
		peer_forget(TAILQ_FIRST(peer_all()));
	tls_stop();
}
