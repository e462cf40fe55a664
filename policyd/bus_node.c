/*
 * This node and its peers in the words of D-Bus: OpenBMC knows one Provisioned
 * and one PeerConnected for all of them.
 */
#include <string.h>

#include "bus.h"
#include "self.h"

static struct {
	unsigned	 words[LINK_NWORDS];	/* peers that count, by word */
	unsigned	 n, trusted;		/* of those */
	struct bus_hold	 hold;
} sum;

/* ---- one word for all ------------------------------------------------------ */

uint32_t
bus_hold(struct bus_hold *h, uint32_t word, uint64_t now)
{
	if (word >= h->told) {
		h->told = word;
		h->since = 0;
		return h->told;
	}
	if (h->since == 0) {
		h->since = now;
		h->best = word;
	}
	if (word > h->best)
		h->best = word;
	if (now - h->since < BUS_HOLD_MS)
		return h->told;
	h->told = h->best;
	h->since = word < h->told ? now : 0;
	h->best = word;
	return h->told;
}

uint32_t
bus_word(enum peer_state s)
{
	static const char *const	words[LINK_NWORDS] = {
		[LINK_NOTDETERMINED] = "NotDetermined",
		[LINK_NOTCONNECTED] = "NotConnected",
		[LINK_INPROGRESS] = "InProgress",
		[LINK_CONNECTED] = "Connected",
	};
	uint32_t	w;

	for (w = LINK_NWORDS - 1; w > 0; w--)
		if (strcmp(words[w], fsm_connected(s)) == 0)
			break;
	return w;
}

/*
 * Those that somebody wants: of the configuration, added by an operator, or a
 * neighbour whose identity one confirmed. What merely announces itself does
 * not make the node look unconnected.
 */
static bool
counts(const struct peer *p)
{
	return p->origin != FROM_NEIGHBOUR || *p->identity != '\0';
}

static uint32_t
worst(void)
{
	uint32_t	w;

	for (w = 0; w < LINK_NWORDS; w++)
		if (sum.words[w] > 0)
			return w;
	return LINK_NOTDETERMINED;
}

void
bus_uncount(struct peer *p)
{
	if (!p->bus.counted)
		return;
	sum.words[p->bus.word]--;
	sum.trusted -= p->bus.trusted;
	sum.n--;
	p->bus.counted = false;
	bus_hold(&sum.hold, worst(), peers_env.mono());
}

void
bus_count(struct peer *p)
{
	if (p->bus.counted) {
		sum.words[p->bus.word]--;
		sum.trusted -= p->bus.trusted;
		sum.n--;
	}
	if ((p->bus.counted = counts(p))) {
		p->bus.word = (uint8_t)bus_word(p->state);
		p->bus.trusted = peer_trusted(p);
		sum.words[p->bus.word]++;
		sum.trusted += p->bus.trusted;
		sum.n++;
	}
	bus_hold(&sum.hold, worst(), peers_env.mono());
}

void
bus_node_start(void)
{
	sum.hold = (struct bus_hold){ .told = worst() };
}

bool
bus_worsening(void)
{
	return sum.hold.since != 0;
}

/* ---- messages -------------------------------------------------------------- */

void
bus_node_fill(struct msg_bus_node *m)
{
	const struct why	*why = self_why();

	memset(m, 0, sizeof(*m));	/* it is compared whole */
	IPC_SET_STR(m->node, identity_get()->node);
	IPC_SET_STR(m->name, conf->node);
	m->self = self_state();
	m->provisioned = m->self == SELF_PROVISIONED && sum.trusted == sum.n;
	m->connected = bus_hold(&sum.hold, worst(), peers_env.mono());
	m->since = self_since();
	if (why->reason == R_OK)
		why = self_trouble();
	m->reason = why->reason;
	IPC_SET_STR(m->field, why->field);
	IPC_SET_STR(m->expected, why->expected);
	IPC_SET_STR(m->seen, why->seen);
	m->log_level = (uint32_t)log_level_now();
}

/* How the newest measurements stand to their reference, in numbers. */
static void
measures_fill(const struct peer *p, struct msg_bus_peer *m)
{
	static const char *const sources[] = { [REF_NONE] = "",
	    [REF_BASELINE] = "baseline", [REF_FILE] = "file",
	    [REF_ACCEPTED] = "accepted" };
	const struct measures	*list, *l;
	enum ref_source		 source;
	unsigned		 i, n[J_UNLISTED + 1] = { 0 };

	list = peer_reference(p, &source);
	l = p->seen.n > 0 ? &p->seen : p->ev != NULL ? &p->ev->measures : NULL;
	for (i = 0; l != NULL && i < l->n; i++)
		n[measurement_judge(&l->m[i], list)]++;
	IPC_SET_STR(m->reference, sources[source]);
	m->measured = l != NULL ? l->n : 0;
	m->equal = n[J_EQUAL];
	m->ignored = n[J_IGNORED];
	m->differs = n[J_DIFFERS];
	m->unlisted = n[J_UNLISTED];
}

void
bus_peer_fill(const struct peer *p, struct msg_bus_peer *m)
{
	static const char *const origins[] = { [FROM_CONF] = "configuration",
	    [FROM_OPERATOR] = "operator", [FROM_NEIGHBOUR] = "neighbour" };
	const struct why	*why = &p->why;

	memset(m, 0, sizeof(*m));
	m->peer = p->id;
	IPC_SET_STR(m->name, p->name);
	IPC_SET_STR(m->origin, origins[p->origin]);
	IPC_SET_STR(m->state, fsm_state_name(p->state));
	m->provisioned = peer_trusted(p);
	m->connected = bus_word(p->state);
	m->since = p->since;
	if (why->reason == R_OK)
		why = &p->trouble;
	m->reason = why->reason;
	IPC_SET_STR(m->field, why->field);
	IPC_SET_STR(m->expected, why->expected);
	IPC_SET_STR(m->seen, why->seen);
	if (p->ev != NULL)
		IPC_SET_STR(m->node, p->ev->node);
	IPC_SET_STR(m->identity, p->identity);
	IPC_SET_STR(m->address, net_spdm_address(p));
	if (p->conf == NULL || p->conf->mctp == NULL)
		m->port = p->conf != NULL && p->conf->spdm_port != 0 ?
		    p->conf->spdm_port : conf->spdm_port;
	m->attested = p->attested;
	measures_fill(p, m);
}
