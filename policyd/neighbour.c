/*
 * Neighbours heard over LLDP, as netd tells of them, or busd, which has them
 * of an LLDP service on D-Bus: one of the two, as the configuration says. They
 * are claims: they choose whom to ask, never whom to trust.
 */
#include <arpa/inet.h>

#include <string.h>

#include "bus.h"

#define TWINS_MS	60000	/* between two lines about equal names */

static struct neighbour	 table[NEIGHBOURS_MAX];
static uint64_t		 order;
static uint64_t		 twins_said;	/* mono ms; two of one name */

static struct neighbour *
find(uint32_t id)
{
	size_t	i;

	for (i = 0; i < NEIGHBOURS_MAX; i++)
		if (table[i].used && table[i].m.neighbour == id)
			return &table[i];
	return NULL;
}

static struct neighbour *
find_free(void)
{
	size_t	i;

	for (i = 0; i < NEIGHBOURS_MAX; i++)
		if (!table[i].used)
			return &table[i];
	return NULL;
}

/* The newer one, but nobody without an address before one with it. */
static bool
better(const struct neighbour *n, const struct neighbour *than)
{
	bool	reached = *neighbour_address(n) != '\0';

	if (reached != (*neighbour_address(than) != '\0'))
		return reached;
	return n->order > than->order;
}

const struct neighbour *
neighbour_byname(const char *name)
{
	const struct neighbour	*best = NULL, *n;
	size_t			 i;

	for (i = 0; i < NEIGHBOURS_MAX; i++) {
		n = &table[i];
		if (n->used && strcmp(n->m.system_name, name) == 0 &&
		    (best == NULL || better(n, best)))
			best = n;
	}
	return best;
}

/*
 * Whom to ask for this peer: of those that announce its name the one where it
 * proved itself, as long as it is there; else the newest. Whoever shouts the
 * name does not divert us from a peer that is trusted.
 */
const struct neighbour *
neighbour_of(const struct peer *p)
{
	const struct neighbour	*n;
	size_t			 i;

	for (i = 0; p->ev != NULL && i < NEIGHBOURS_MAX; i++) {
		n = &table[i];
		if (n->used && strcmp(n->m.system_name, p->name) == 0 &&
		    address_equal(neighbour_address(n), p->ev->address))
			return n;
	}
	return neighbour_byname(p->name);
}

const char *
neighbour_address(const struct neighbour *n)
{
	return *n->m.address4 != '\0' ? n->m.address4 : n->m.address6;
}

void
neighbours_each(void (*fn)(const struct neighbour *, void *), void *arg)
{
	size_t	i;

	for (i = 0; i < NEIGHBOURS_MAX; i++)
		if (table[i].used)
			fn(&table[i], arg);
}

int
address_bytes(const char *s, uint8_t out[16])
{
	char	buf[INET6_ADDRSTRLEN];
	size_t	n = strcspn(s, "%");

	if (n >= sizeof(buf))
		return -1;
	memcpy(buf, s, n);
	buf[n] = '\0';
	if (inet_pton(AF_INET6, buf, out) == 1)
		return 0;
	memset(out, 0, 10);
	out[10] = out[11] = 0xff;
	return inet_pton(AF_INET, buf, out + 12) == 1 ? 0 : -1;
}

bool
address_equal(const char *a, const char *b)
{
	uint8_t	x[16], y[16];

	return address_bytes(a, x) == 0 && address_bytes(b, y) == 0 &&
	    memcmp(x, y, sizeof(x)) == 0;
}

/* Whoever is on the cable can make it so at each frame: a line a minute. */
static void
twins(const struct neighbour *n)
{
	uint64_t	now = peers_env.mono();

	if (twins_said != 0 && now - twins_said < TWINS_MS)
		return;
	twins_said = now;
	log_info("neighbour %s: two of this name, the newer one at %s",
	    n->m.system_name, neighbour_address(n));
}

/* A peer that waits for its address has one, or has another one. */
static void
tell_peer(const struct neighbour *n)
{
	struct peer	*p = peer_byname(n->m.system_name);

	if (p == NULL || *p->address != '\0' || neighbour_of(p) != n)
		return;
	bus_peer_changed(p);
	if (peer_trusted(p) && p->tell == TELL_NOTHING)
		net_tell(p);
	if (!p->queued && p->job == NULL && p->due != 0 &&
	    (p->why.reason == R_POL_NO_ADDRESS ||
	    p->trouble.reason == R_POL_NO_ADDRESS))
		peer_schedule(p, 0, "its address was heard");
}

enum ipc_role
neighbours_source(void)
{
	return conf->dbus_neighbours ? IPC_BUSD : IPC_NETD;
}

/*
 * Daemons read the configuration when they start, netd perhaps before it was
 * changed: the other one is no offender, but it is not heeded.
 */
static bool
heeded(const struct chan *c, const char *name)
{
	if (chan_peer(c) == neighbours_source())
		return true;
	if (hubd_count(R_BUS_SOURCE) == 1)
		log_about(LOG_LVL_INFO, reason_code(R_BUS_SOURCE), NULL,
		    "neighbour %s, told by %s: %s %s", name,
		    ipc_role_name(chan_peer(c)), reason_code(R_BUS_SOURCE),
		    reason_text(R_BUS_SOURCE));
	return false;
}

int
neighbour_told(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_neighbour	*m = arg;
	const struct neighbour		*other;
	struct neighbour		*n;
	bool				 same;

	if (!heeded(c, m->system_name))
		return 0;
	if ((n = find(m->neighbour)) == NULL && (n = find_free()) == NULL) {
		if (hubd_count(R_LLD_TABLE) == 1)
			log_about(LOG_LVL_INFO, reason_code(R_LLD_TABLE),
			    NULL, "neighbour %s: %s", m->system_name,
			    reason_text(R_LLD_TABLE));
		return 0;
	}
	other = neighbour_byname(m->system_name);
	same = n->used && strcmp(n->m.system_name, m->system_name) == 0 &&
	    strcmp(n->m.address4, m->address4) == 0 &&
	    strcmp(n->m.address6, m->address6) == 0;
	n->used = true;
	n->stale = false;
	n->heard = peers_env.now();
	n->m = *m;
	if (same)
		return 0;
	n->order = ++order;
	if (other != NULL && other != n && *m->system_name != '\0')
		twins(n);
	control_neighbour(n, false);
	tell_peer(n);
	inbound_heard(n);
	jobs_pump();
	return 0;
}

static void
gone(struct neighbour *n)
{
	struct peer	*p = peer_byname(n->m.system_name);

	control_neighbour(n, true);
	n->used = false;
	if (p != NULL && *p->address == '\0')
		bus_peer_changed(p);
}

static void
gone_stale(void)
{
	size_t	i;

	for (i = 0; i < NEIGHBOURS_MAX; i++)
		if (table[i].used && table[i].stale)
			gone(&table[i]);
}

int
neighbour_gone(struct chan *c, const struct ipc_call *call,
    const void *arg)
{
	const struct msg_neighbour_gone	*m = arg;
	struct neighbour		*n;

	if (heeded(c, "gone") && (n = find(m->neighbour)) != NULL)
		gone(n);
	return 0;
}

int
neighbours_told(struct chan *c, const struct ipc_call *call,
    const void *arg)
{
	/* A netd that has no LLDP ends an empty list. */
	if (chan_peer(c) == neighbours_source())
		gone_stale();
	return 0;
}

/* Its number may be another's now. */
static void
make_stale(void)
{
	size_t	i;

	for (i = 0; i < NEIGHBOURS_MAX; i++)
		table[i].stale = true;
}

void
neighbours_up(enum ipc_role role)
{
	if (role == neighbours_source())
		make_stale();
}

/* netd comes back and hears them again; the service on the bus may not. */
void
neighbours_down(enum ipc_role role)
{
	if (role != IPC_BUSD || role != neighbours_source())
		return;
	make_stale();
	gone_stale();
}

void
neighbours_clear(void)
{
	memset(table, 0, sizeof(table));
}
