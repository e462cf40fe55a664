/*
 * Records of a channel that wait for the kernel, in their order. A STATE
 * takes the place away from an older one of its type and key.
 */
#ifndef QUEUE_H
#define QUEUE_H

#include <sys/queue.h>

#include "ipc.h"

#define QUEUE_BUCKETS	64

struct record {
	TAILQ_ENTRY(record) entry;
	LIST_ENTRY(record) bucket;	/* of a STATE, by type and key */
	enum ipc_type	 type;
	uint32_t	 key;		/* of a STATE */
	uint32_t	 id;
	int		 fd;		/* to go with it and be closed, or -1 */
	size_t		 len;
	uint8_t		 data[];
};
TAILQ_HEAD(records, record);
LIST_HEAD(bucket, record);

struct queue {
	struct records	records;
	struct bucket	states[QUEUE_BUCKETS];
	size_t		n;		/* without replies, which always fit */
};

void	queue_init(struct queue *);
/* Encode and append. 0, and fd is the queue's; or -1 if it does not encode. */
int	queue_put(struct queue *, enum ipc_type, uint32_t id, const void *msg,
	    int fd);
struct record *queue_first(const struct queue *);	/* or NULL */
void	queue_remove(struct queue *, struct record *);
void	queue_drop(struct queue *);			/* everything */

#endif
