#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "field.h"
#include "log.h"
#include "queue.h"

void
queue_init(struct queue *q)
{
	size_t	i;

	TAILQ_INIT(&q->records);
	for (i = 0; i < QUEUE_BUCKETS; i++)
		LIST_INIT(&q->states[i]);
	q->n = 0;
}

static struct bucket *
queue_bucket(struct queue *q, enum ipc_type type, uint32_t key)
{
	return &q->states[(type * 31 + key) % QUEUE_BUCKETS];
}

struct record *
queue_first(const struct queue *q)
{
	return TAILQ_FIRST(&q->records);
}

void
queue_remove(struct queue *q, struct record *r)
{
	TAILQ_REMOVE(&q->records, r, entry);
	if (ipc_kind(r->type) == IPC_STATE)
		LIST_REMOVE(r, bucket);
	if (ipc_kind(r->type) != IPC_REPLY)
		q->n--;
	if (r->fd != -1)
		close(r->fd);
	/* It may be a one-time code, or the secrets of a session. */
	explicit_bzero(r->data, r->len);
	free(r);
}

void
queue_drop(struct queue *q)
{
	struct record	*r;

	while ((r = queue_first(q)) != NULL)
		queue_remove(q, r);
}

static struct record *
record_new(enum ipc_type type, uint32_t id, const void *msg, int fd)
{
	static uint8_t	 buf[IPC_MAX_RECORD];
	struct record	*r;
	size_t		 len;

	if (ipc_encode(type, id, msg, buf, sizeof(buf), &len) == -1)
		return NULL;
	if ((r = malloc(sizeof(*r) + len)) == NULL)
		fatal("ipc: %s", ipc_name(type));
	memset(r, 0, sizeof(*r));
	r->type = type;
	r->id = id;
	r->fd = fd;
	r->len = len;
	memcpy(r->data, buf, len);
	explicit_bzero(buf, len);
	return r;
}

/* A STATE that waits gives way to its successor. */
static void
queue_supersede(struct queue *q, struct record *by)
{
	struct bucket	*b = queue_bucket(q, by->type, by->key);
	struct record	*r;

	LIST_FOREACH(r, b, bucket) {
		if (r->type == by->type && r->key == by->key) {
			queue_remove(q, r);
			break;
		}
	}
	LIST_INSERT_HEAD(b, by, bucket);
}

int
queue_put(struct queue *q, enum ipc_type type, uint32_t id, const void *msg,
    int fd)
{
	struct record	*r;

	if ((r = record_new(type, id, msg, fd)) == NULL)
		return -1;
	if (ipc_kind(type) == IPC_STATE) {
		r->key = ipc_state_key(type, msg);
		queue_supersede(q, r);
	}
	if (ipc_kind(type) != IPC_REPLY)
		q->n++;
	TAILQ_INSERT_TAIL(&q->records, r, entry);
	return 0;
}
