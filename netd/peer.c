/*
 * The table of peers: what policyd said of each, found by policyd's number
 * and by node id.
 */
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "tls.h"

#define BUCKETS		4096
#define LAST_SECOND	253402300799LL	/* 9999-12-31T23:59:59Z */
#define KEEPALIVE	10000			/* ms, where policyd says 0 */
#define SILENCE		30000

LIST_HEAD(bucket, peer);

/* The process's only table; filled by policyd alone. */
static struct {
	struct peer_list all;
	struct bucket	 number[BUCKETS], node[BUCKETS], host[BUCKETS];
	unsigned	 count;
	uint64_t	 epoch;
} table;

void
peer_table_init(void)
{
	TAILQ_INIT(&table.all);
}

struct peer_list *
peer_all(void)
{
	return &table.all;
}

static struct bucket *
number_bucket(uint32_t number)
{
	return &table.number[number % BUCKETS];
}

/* A node id is a piece of a SHA-256: its digits are as good as random. */
static struct bucket *
node_bucket(const char *node)
{
	uint32_t h = 0;

	while (*node != '\0')
		h = h * 31 + (uint8_t)*node++;
	return &table.node[h % BUCKETS];
}

struct peer *
peer_bynumber(uint32_t number)
{
	struct peer *p;

	LIST_FOREACH(p, number_bucket(number), by_number)
		if (p->number == number)
			return p;
	return NULL;
}

struct peer *
peer_bynode(const char *node)
{
	struct peer *p;

	LIST_FOREACH(p, node_bucket(node), by_node)
		if (strcmp(p->node, node) == 0)
			return p;
	return NULL;
}

/* FNV-1a; addresses are policyd's, so nobody chooses many of one bucket. */
static struct bucket *
host_bucket(const uint8_t host[16])
{
	uint32_t	h = 2166136261u;
	unsigned	i;

	for (i = 0; i < 16; i++)
		h = (h ^ host[i]) * 16777619u;
	return &table.host[h % BUCKETS];
}

bool
peer_at(const struct sockaddr_storage *ss)
{
	const struct peer	*p;
	uint8_t			 host[16];

	if (!addr_host(ss, host))
		return false;
	LIST_FOREACH(p, host_bucket(host), by_host)
		if (p->nanchors > 0 &&
		    memcmp(p->host, host, sizeof(host)) == 0)
			return true;
	return false;
}

static void
set_address(struct peer *p, const char *address)
{
	struct sockaddr_storage	ss;
	socklen_t		len;

	if (p->has_host)
		LIST_REMOVE(p, by_host);
	ipc_set_str(p->address, sizeof(p->address), address);
	p->has_host = addr_parse(address, 1, link_now(), &ss, &len) == 0 &&
	    addr_host(&ss, p->host);
	if (p->has_host)
		LIST_INSERT_HEAD(host_bucket(p->host), p, by_host);
}

static void
anchors_free(struct peer *p)
{
	size_t i;

	for (i = 0; i < p->nanchors; i++) {
		X509_free(p->anchor[i]);
		p->anchor[i] = NULL;
	}
	p->nanchors = 0;
}

static struct peer *
peer_new(uint32_t number)
{
	struct peer *p;

	if (table.count == PEERS_MAX)
		return NULL;
	if ((p = calloc(1, sizeof(*p))) == NULL)
		fatal("peer");
	p->number = number;
	TAILQ_INIT(&p->links);
	TAILQ_INSERT_TAIL(&table.all, p, all);
	LIST_INSERT_HEAD(number_bucket(number), p, by_number);
	table.count++;
	return p;
}

static void
set_node(struct peer *p, const char *node)
{
	if (p->node[0] != '\0')
		LIST_REMOVE(p, by_node);
	memcpy(p->node, node, strlen(node) + 1);
	if (p->node[0] != '\0')
		LIST_INSERT_HEAD(node_bucket(p->node), p, by_node);
}

/* The parsed anchors of the message; -1 if one of them cannot be one. */
static int
parse_anchors(const struct msg_peer_set *m, X509 *anchor[PEER_ANCHORS],
    size_t *n)
{
	const struct { const uint8_t *p; size_t len; } der[PEER_ANCHORS] = {
		{ m->anchor.data, m->anchor.len },
		{ m->anchor2.data, m->anchor2.len },
	};
	size_t i;

	*n = 0;
	if (m->anchor.len == 0)
		return 0;
	for (i = 0; i < PEER_ANCHORS; i++) {
		if (der[i].len == 0)
			continue;
		if ((anchor[*n] = tls_parse(der[i].p, der[i].len)) == NULL)
			return -1;
		if (!verify_anchor(anchor[(*n)++]))
			return -1;
	}
	return 0;
}

static bool
same_anchors(const struct peer *p, X509 *const *anchor, size_t n)
{
	size_t i;

	if (p->nanchors != n)
		return false;
	for (i = 0; i < n; i++)
		if (X509_cmp(p->anchor[i], anchor[i]) != 0)
			return false;
	return true;
}

/* A node id is of one peer only; the one that had it first keeps it. */
static bool
node_taken(const struct peer *p, const char *node)
{
	const struct peer *other = peer_bynode(node);

	return other != NULL && other != p;
}

struct peer *
peer_enter(const struct msg_peer_set *m, struct refusal *why)
{
	struct peer	*p = peer_bynumber(m->peer);
	X509		*anchor[PEER_ANCHORS] = { NULL, NULL };
	const char	*node = m->node;
	size_t		 n, i;

	if (p == NULL && (p = peer_new(m->peer)) == NULL)
		return NULL;
	memset(why, 0, sizeof(*why));
	if (parse_anchors(m, anchor, &n) == -1 ||
	    (n > 0 && strlen(node) != NODE_MAX - 1))
		refusal_set(why, R_TLS_BAD_ANCHOR, "anchor", "a CA", NULL);
	else if (node[0] != '\0' && node_taken(p, node))
		refusal_set(why, R_TLS_DUPLICATE_NODE, "node", NULL, node);
	if (why->reason != R_OK) {
		for (i = 0; i < PEER_ANCHORS; i++) {
			X509_free(anchor[i]);
			anchor[i] = NULL;
		}
		n = 0;
		node = "";
	}
	if (!same_anchors(p, anchor, n) || strcmp(p->node, node) != 0) {
		p->epoch = ++table.epoch;
		memset(p->pin, 0, sizeof(p->pin));
		set_node(p, node);
	}
	anchors_free(p);
	memcpy(p->anchor, anchor, sizeof(p->anchor));
	p->nanchors = n;
	memcpy(p->name, m->name, sizeof(p->name));
	set_address(p, m->address);
	p->port = (uint16_t)m->port;
	p->shift = m->shift;
	p->keepalive = m->keepalive > 0 ? m->keepalive : KEEPALIVE;
	p->silence = m->silence > 0 ? m->silence : SILENCE;
	return p;
}

void
peer_remove(struct peer *p)
{
	TAILQ_REMOVE(&table.all, p, all);
	LIST_REMOVE(p, by_number);
	set_node(p, "");
	set_address(p, "");
	anchors_free(p);
	table.count--;
	free(p);
}

/* The peer whose CA issued the leaf though it names another one, or NULL. */
static const struct peer *
issuing_peer(X509 *leaf)
{
	const struct peer	*p;
	size_t			 i;

	TAILQ_FOREACH(p, &table.all, all)
		for (i = 0; i < p->nanchors; i++)
			if (verify_issued(leaf, p->anchor[i]))
				return p;
	return NULL;
}

/* Between 1970 and 9999, which is all that a certificate can say. */
static int64_t
their_time(const struct peer *p, uint64_t now)
{
	int64_t t;

	if (now > LAST_SECOND)
		now = LAST_SECOND;
	if (p->shift > LAST_SECOND - (int64_t)now)
		return LAST_SECOND;
	t = (int64_t)now + p->shift;
	return t > 0 ? t : 1;
}

/*
 * The same bytes were accepted under the same anchors and for the same
 * purpose: but for the time, nothing is left to verify.
 */
static bool
pinned(const struct pin *pin, X509 *leaf, int64_t now)
{
	uint8_t		sha256[EVP_MAX_MD_SIZE];
	struct refusal	why;
	unsigned	n;

	return pin->set && X509_digest(leaf, EVP_sha256(), sha256, &n) == 1 &&
	    n == sizeof(pin->sha256) && memcmp(pin->sha256, sha256, n) == 0 &&
	    verify_window(leaf, now, &why) == 0;
}

static void
keep(struct pin *pin, X509 *leaf)
{
	uint8_t		sha256[EVP_MAX_MD_SIZE];
	unsigned	n;

	pin->set = X509_digest(leaf, EVP_sha256(), sha256, &n) == 1 &&
	    n == sizeof(pin->sha256);
	if (pin->set)
		memcpy(pin->sha256, sha256, sizeof(pin->sha256));
}

struct peer *
peer_verify(X509 *leaf, bool server, const struct peer *dialled, uint64_t now,
    struct refusal *why)
{
	struct peer		*p;
	const struct peer	*other;
	char			 node[NODE_MAX];

	if (verify_identity(leaf, node, why) == -1)
		return NULL;
	p = peer_bynode(node);
	if (dialled != NULL && p != dialled) {
		refusal_set(why, R_TLS_WRONG_PEER, "node", dialled->node, node);
		return NULL;
	}
	if (p == NULL || p->nanchors == 0) {
		refusal_set(why, R_TLS_UNKNOWN_PEER, "node", "a trusted peer",
		    node);
		return NULL;
	}
	if (pinned(&p->pin[server], leaf, their_time(p, now)))
		return p;
	if (verify_leaf(leaf, p->anchor, p->nanchors, server,
	    their_time(p, now), why) == 0) {
		keep(&p->pin[server], leaf);
		return p;
	}
	if (why->reason == R_TLS_WRONG_ANCHOR &&
	    (other = issuing_peer(leaf)) != NULL)
		refusal_set(why, R_TLS_FOREIGN_ANCHOR, "issuer", p->name,
		    other->name);
	return NULL;
}
