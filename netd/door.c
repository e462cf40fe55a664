/*
 * Connections that enrold has. Each counts under LIMIT_HTTP from the moment it
 * is handed on until enrold says that it is over, or enrold is gone. Their
 * numbers name a row and how often it was used, so that what enrold says of
 * one that is over, or of one that an earlier netd handed on, moves nothing.
 *
 * An IPv6 client counts with its /64, of which it may have every address,
 * while BMCs that share the prefix of a management network count alone.
 */
#include <stdlib.h>

#include "clock.h"
#include "log.h"
#include "netd.h"

#define ROW_BITS	12	/* 4096: the most that limit enrol allows */
#define ROW_MASK	((1U << ROW_BITS) - 1)

struct row {
	struct sockaddr_storage	block;		/* where it counts */
	uint32_t		connection;	/* its number */
	bool			used;
	unsigned		next;		/* free row, if this is one */
};

static struct row	*rows;
static unsigned		 nrows, nused;
static unsigned		 free_row;	/* nrows: none */

void
door_init(const struct conf *conf)
{
	uint32_t	start = (uint32_t)clock_mono_ms() << ROW_BITS;
	unsigned	i;

	door_free();
	if (conf->listeners == NULL)
		return;
	nrows = conf->max_enrol;
	if (nrows > ROW_MASK + 1)
		nrows = ROW_MASK + 1;
	if ((rows = calloc(nrows, sizeof(*rows))) == NULL)
		fatal("door");
	for (i = 0; i < nrows; i++) {
		rows[i].connection = start | i;
		rows[i].next = i + 1;
	}
}

void
door_free(void)
{
	free(rows);
	rows = NULL;
	nrows = nused = free_row = 0;
}

unsigned
door_total(void)
{
	return nused;
}

enum reason
door_hand(struct chan *enrold, int fd, const struct sockaddr_storage *from,
    unsigned listener)
{
	struct msg_http_accepted	 m = { .listener = listener };
	struct sockaddr_storage		 block = addr_block(from);
	char				 text[NETD_ADDR_MAX];
	struct row			*r;
	enum reason			 why;

	if (enrold == NULL)
		return R_NET_NO_ENROLD;
	/* Should enrold not read, that is its end, not ours to wait for. */
	if (free_row == nrows || chan_room(enrold) == 0)
		return R_NET_TOTAL;
	/* Nothing is kept for the peers: they have ports of their own. */
	if ((why = limit_take(&block, LIMIT_HTTP, true)) != R_OK)
		return why;
	r = &rows[free_row];
	m.connection = r->connection;
	addr_text(from, text, sizeof(text));
	IPC_SET_STR(m.address, text);
	if (chan_send(enrold, MSG_HTTP_ACCEPTED, &m, fd) == -1) {
		limit_release(&block, LIMIT_HTTP);
		return R_NET_NO_ENROLD;
	}
	free_row = r->next;
	r->block = block;
	r->used = true;
	nused++;
	return R_OK;
}

static void
over(struct row *r)
{
	limit_release(&r->block, LIMIT_HTTP);
	r->used = false;
	r->connection += ROW_MASK + 1;
	r->next = free_row;
	free_row = (unsigned)(r - rows);
	nused--;
}

/* A number that is not that of a live row gives nobody a place. */
int
netd_http_over(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_http_over	*m = arg;
	unsigned			 i = m->connection & ROW_MASK;

	if (i < nrows && rows[i].used && rows[i].connection == m->connection)
		over(&rows[i]);
	else if (hub_count(R_NET_NOT_OPEN) == 1)
		log_about(LOG_LVL_WARN, reason_code(R_NET_NOT_OPEN), NULL,
		    "door: connection %u: %s: %s", m->connection,
		    reason_code(R_NET_NOT_OPEN), reason_text(R_NET_NOT_OPEN));
	return 0;
}

void
door_gone(void)
{
	unsigned	i;

	for (i = 0; i < nrows; i++)
		if (rows[i].used)
			over(&rows[i]);
}
