/* Operators who wait until a generation of issuing CA is there. */
#include <sys/queue.h>

#include <stdlib.h>

#include "ca.h"

#define WAIT_MS		60000

struct waiter {
	TAILQ_ENTRY(waiter) entry;
	unsigned	 generation;
	uint64_t	 until;		/* mono ms; 0: from the next tick on */
	ca_fn		 fn;
	void		*arg;
};
static TAILQ_HEAD(, waiter) waiters = TAILQ_HEAD_INITIALIZER(waiters);

void
ca_wait(unsigned generation, uint64_t mono_ms, ca_fn fn, void *arg)
{
	struct waiter	*w;

	if ((w = calloc(1, sizeof(*w))) == NULL)
		fatal("ca");
	w->generation = generation;
	w->until = mono_ms == 0 ? 0 : mono_ms + WAIT_MS;
	w->fn = fn;
	w->arg = arg;
	TAILQ_INSERT_TAIL(&waiters, w, entry);
}

static void
wake(struct waiter *w, const struct why *why)
{
	TAILQ_REMOVE(&waiters, w, entry);
	w->fn(why, w->arg);
	free(w);
}

void
ca_wake(unsigned generation, const struct why *why)
{
	struct waiter	*w, *next;

	for (w = TAILQ_FIRST(&waiters); w != NULL; w = next) {
		next = TAILQ_NEXT(w, entry);
		if (w->generation == generation)
			wake(w, why);
	}
}

void
ca_wait_tick(uint64_t mono_ms)
{
	struct waiter	*w, *next;
	struct why	 why;

	why_set(&why, R_CTL_PENDING, NULL, NULL, NULL);
	for (w = TAILQ_FIRST(&waiters); w != NULL; w = next) {
		next = TAILQ_NEXT(w, entry);
		if (w->until == 0)
			w->until = mono_ms + WAIT_MS;
		else if (mono_ms >= w->until)
			wake(w, &why);
	}
}

void
ca_wait_clear(void)
{
	struct why	why;

	why_set(&why, R_IPC_CLOSED, NULL, NULL, NULL);
	while (!TAILQ_EMPTY(&waiters))
		wake(TAILQ_FIRST(&waiters), &why);
}
