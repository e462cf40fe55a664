/*
 * Calls to policyd for connections. The window of the link bounds what is
 * under way; the others wait in their order, one a connection. Who has gone
 * meanwhile is not told, but its call runs on: policyd decides all the same.
 */
#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>

#include "enrold.h"
#include "log.h"
#include "secret.h"

#define ASK_MS		20000	/* for policyd, keyd and the disk */

struct ask {
	TAILQ_ENTRY(ask) entry;		/* while it waits */
	bool		 waits;
	struct conn	*conn;		/* NULL: has gone */
	enum ipc_type	 type;
	void		*msg;		/* may hold a ticket */
	size_t		 size;
	ask_fn		 fn;
	void		*ctx;
	void		(*free_ctx)(void *);
};

static TAILQ_HEAD(, ask) waiting = TAILQ_HEAD_INITIALIZER(waiting);

static void
ask_free(struct ask *a)
{
	if (a->waits)
		TAILQ_REMOVE(&waiting, a, entry);
	freezero(a->msg, a->size);
	if (a->free_ctx != NULL)
		a->free_ctx(a->ctx);
	free(a);
}

/* The connection went. What was not asked yet is not asked any more. */
static void
ask_gone(void *arg)
{
	struct ask *a = arg;

	a->conn = NULL;
	if (a->waits)
		ask_free(a);
}

static void
answer(struct ask *a, const void *msg, const struct refusal *why)
{
	struct conn *c = a->conn;

	if (c != NULL) {
		conn_owner(c, NULL, NULL);
		a->fn(c, msg, why, a->ctx);
	}
	ask_free(a);
}

static void	send_waiting(void);

static void
replied(const struct ipc_reply *r, void *arg)
{
	struct refusal	why;

	if (r->type != MSG_REFUSED && r->reason == R_OK)
		answer(arg, r->msg, NULL);
	else {
		refusal_set(&why, r->reason,
		    r->refused == NULL ? NULL : r->refused->field,
		    r->refused == NULL ? NULL : r->refused->expected,
		    r->refused == NULL ? NULL : r->refused->seen);
		answer(arg, NULL, &why);
	}
	send_waiting();
}

/* False: there is no room for it now. */
static bool
ask_send(struct ask *a)
{
	struct chan	*c = hub_link(IPC_POLICYD);
	struct refusal	 why;

	if (c != NULL && chan_window(c) == 0)
		return false;
	if (a->waits)
		TAILQ_REMOVE(&waiting, a, entry);
	a->waits = false;
	if (chan_call(c, a->type, a->msg, -1, ASK_MS, replied, a) == -1) {
		refusal_set(&why, c == NULL ? R_IPC_NOLINK : R_IPC_FORM, NULL,
		    NULL, NULL);
		answer(a, NULL, &why);
		return true;
	}
	/* It is with the channel: a ticket need not stay here. */
	explicit_bzero(a->msg, a->size);
	return true;
}

static void
send_waiting(void)
{
	struct ask *a;

	while ((a = TAILQ_FIRST(&waiting)) != NULL && ask_send(a))
		;
}

void
ask(struct conn *c, enum ipc_type type, const void *msg, size_t size,
    ask_fn fn, void *ctx, void (*free_ctx)(void *))
{
	struct ask *a = calloc(1, sizeof(*a));

	if (a == NULL || (a->msg = malloc(size)) == NULL)
		fatal("ask");
	memcpy(a->msg, msg, size);
	a->size = size;
	a->conn = c;
	a->type = type;
	a->fn = fn;
	a->ctx = ctx;
	a->free_ctx = free_ctx;
	conn_owner(c, ask_gone, a);
	a->waits = true;
	TAILQ_INSERT_TAIL(&waiting, a, entry);
	if (TAILQ_FIRST(&waiting) == a)
		(void)ask_send(a);
}

void
ask_stop(void)
{
	while (!TAILQ_EMPTY(&waiting))
		ask_free(TAILQ_FIRST(&waiting));
}
