/*
 * Peers found by the node that they proved to be, and by the address that
 * they were given: each verdict asks for the one, each inbound attestation
 * for the other, and there may be thousands.
 */
#include <string.h>

#include "peer.h"

#define BUCKETS		4096

static LIST_HEAD(, peer) nodes[BUCKETS], hosts[BUCKETS];

/* FNV-1a; the set is bounded, so chosen values cannot do much harm. */
static unsigned
bucket(const void *p, size_t n)
{
	const uint8_t	*b = p;
	uint32_t	 h = 2166136261u;

	while (n-- > 0)
		h = (h ^ *b++) * 16777619u;
	return h % BUCKETS;
}

void
peer_set_evidence(struct peer *p, struct evidence *ev)
{
	if (p->ev != NULL)
		LIST_REMOVE(p, by_node);
	evidence_free(p->ev);
	p->ev = ev;
	if (ev != NULL)
		LIST_INSERT_HEAD(&nodes[bucket(ev->node, strlen(ev->node))],
		    p, by_node);
}

const struct peer *
peer_bynode(const char *node, const struct peer *not)
{
	const struct peer	*p;

	LIST_FOREACH(p, &nodes[bucket(node, strlen(node))], by_node)
		if (p != not && peer_trusted(p) &&
		    strcmp(p->ev->node, node) == 0)
			return p;
	return NULL;
}

void
peer_set_address(struct peer *p, const char *address)
{
	if (p->has_host)
		LIST_REMOVE(p, by_host);
	ipc_set_str(p->address, sizeof(p->address), address);
	p->has_host = address_bytes(address, p->host) == 0;
	if (p->has_host)
		LIST_INSERT_HEAD(&hosts[bucket(p->host, sizeof(p->host))], p,
		    by_host);
}

/* fn may move a peer on, and must not remove one. */
void
peers_at(const char *address, void (*fn)(struct peer *, void *), void *arg)
{
	struct peer	*p;
	uint8_t		 host[16];

	if (address_bytes(address, host) == -1)
		return;
	LIST_FOREACH(p, &hosts[bucket(host, sizeof(host))], by_host)
		if (memcmp(p->host, host, sizeof(host)) == 0)
			fn(p, arg);
}
