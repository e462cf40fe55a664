/*
 * What policyd said last. Every object on the bus is made from here, and a
 * signal is what has changed here.
 */
#include <stdlib.h>
#include <string.h>

#include "busd.h"
#include "log.h"

#define BUCKETS	1024	/* of a table that holds some thousands at most */

static TAILQ_HEAD(, view_peer)	 peers = TAILQ_HEAD_INITIALIZER(peers);
static LIST_HEAD(, view_peer)	 ids[BUCKETS], names[BUCKETS];
static size_t			 npeers;
static struct msg_bus_node	 node;
static bool			 told;

/* FNV-1a; policyd bounds the set. */
static unsigned
bucket(const char *name)
{
	uint32_t	 h = 2166136261u;

	for (; *name != '\0'; name++)
		h = (h ^ (uint8_t)*name) * 16777619u;
	return h % BUCKETS;
}

const struct msg_bus_node *
view_node(void)
{
	return &node;
}

bool
view_told(void)
{
	return told;
}

size_t
view_count(void)
{
	return npeers;
}

struct view_peer *
view_first(void)
{
	return TAILQ_FIRST(&peers);
}

struct view_peer *
view_next(struct view_peer *v)
{
	return TAILQ_NEXT(v, entry);
}

struct view_peer *
view_peer_byid(uint32_t id)
{
	struct view_peer	*v;

	LIST_FOREACH(v, &ids[id % BUCKETS], by_id)
		if (v->m.peer == id)
			return v;
	return NULL;
}

struct view_peer *
view_peer_byname(const char *name)
{
	struct view_peer	*v;

	LIST_FOREACH(v, &names[bucket(name)], by_name)
		if (strcmp(v->m.name, name) == 0)
			return v;
	return NULL;
}

struct view_peer *
view_peer_bypath(const char *path)
{
	struct view_peer	*v = NULL;
	char			*name = NULL;

	if (sd_bus_path_decode(path, BUS_PEERS, &name) > 0) {
		v = view_peer_byname(name);
		/* One name, one path: what else decodes to it is nobody. */
		if (v != NULL && strcmp(v->path, path) != 0)
			v = NULL;
	}
	free(name);
	return v;
}

/* ---- what policyd says ---------------------------------------------------- */

int
view_set_node(struct chan *c, const struct ipc_call *call, const void *arg)
{
	struct msg_bus_node	 before = node;

	memcpy(&node, arg, sizeof(node));
	if (told)
		face_node_changed(&before);
	return 0;
}

static struct view_peer *
view_add(const struct msg_bus_peer *m)
{
	struct view_peer	*v;

	if ((v = calloc(1, sizeof(*v))) == NULL ||
	    sd_bus_path_encode(BUS_PEERS, m->name, &v->path) < 0)
		fatal("peer");
	v->m = *m;
	TAILQ_INSERT_TAIL(&peers, v, entry);
	LIST_INSERT_HEAD(&ids[m->peer % BUCKETS], v, by_id);
	LIST_INSERT_HEAD(&names[bucket(m->name)], v, by_name);
	npeers++;
	return v;
}

static void
view_remove(struct view_peer *v)
{
	if (told) {
		progress_removed(v);
		attestation_removed(v);
		peer_object_removed(v);
	}
	TAILQ_REMOVE(&peers, v, entry);
	LIST_REMOVE(v, by_id);
	LIST_REMOVE(v, by_name);
	npeers--;
	free(v->path);
	free(v);
}

int
view_set_peer(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_bus_peer	*m = arg;
	struct msg_bus_peer		 before;
	struct view_peer		*v = view_peer_byid(m->peer);

	/* A name is for life; under one id, or one name, is one peer. */
	if (m->peer == PEER_SELF || *m->name == '\0')
		return -1;
	if (v != NULL && strcmp(v->m.name, m->name) != 0)
		return -1;
	if (v == NULL && view_peer_byname(m->name) != NULL)
		return -1;
	if (v == NULL) {
		v = view_add(m);
		if (told) {
			peer_object_added(v);
			attestation_added(v);
		}
		return 0;
	}
	before = v->m;
	v->m = *m;
	if (told) {
		peer_object_changed(v, &before);
		attestation_changed(v, &before);
	}
	return 0;
}

int
view_peer_gone(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_bus_peer_gone	*m = arg;
	struct view_peer		*v = view_peer_byid(m->peer);

	/* It may have come and gone while its state waited to be sent. */
	if (v != NULL)
		view_remove(v);
	return 0;
}

int
view_end(struct chan *c, const struct ipc_call *call, const void *arg)
{
	if (told)
		return -1;
	told = true;
	bus_publish();
	return 0;
}

int
view_step(struct chan *c, const struct ipc_call *call, const void *arg)
{
	if (told)
		progress_step(arg);
	return 0;
}

int
view_outcome(struct chan *c, const struct ipc_call *call, const void *arg)
{
	if (!told)
		return 0;
	progress_outcome(arg);
	attestation_outcome(arg);
	face_outcome(arg);
	return 0;
}

void
view_stop(void)
{
	told = false;
	while (!TAILQ_EMPTY(&peers))
		view_remove(TAILQ_FIRST(&peers));
}
