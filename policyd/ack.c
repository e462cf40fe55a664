/* Answers to calls: after the commit, or with the check that failed. */
#include <stdlib.h>

#include "policyd.h"

static void
ack_now(enum reason r, void *arg)
{
	struct ipc_call	*call = arg;

	if (r == R_OK)
		(void)chan_done(chan_find(call), call);
	else
		(void)chan_refuse(chan_find(call), call, r);
	free(call);
}

void
ack_call(const struct ipc_call *call)
{
	struct ipc_call	*copy;

	if ((copy = malloc(sizeof(*copy))) == NULL)
		fatal("dispatch");
	*copy = *call;
	store_after_commit(ack_now, copy);
}

int
refuse_why(struct chan *c, const struct ipc_call *call, const struct why *w)
{
	return chan_refuse_why(c, call, w->reason, w->field, w->expected,
	    w->seen);
}
