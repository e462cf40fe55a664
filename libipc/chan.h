/*
 * What ipc_uv.c and hub.c know of a channel beyond ipc.h.
 */
#ifndef CHAN_H
#define CHAN_H

#include "ipc.h"

/* An event loop's side of a channel. */
struct chan_watch {
	/* What the channel waits for may have changed: output, deadlines. */
	void	(*changed)(struct chan *, void *arg);
	/* It is closing and its descriptor goes: stop watching it. */
	void	(*closing)(struct chan *, void *arg);
};

void	chan_set_watch(struct chan *, const struct chan_watch *, void *arg);
/* A frame or a handle that still needs the memory of the channel. */
void	chan_hold(struct chan *);
void	chan_release(struct chan *);
/* As chan_deadlines(), without failing any. */
int64_t	chan_next_deadline(const struct chan *, uint64_t now_ms);
/* The peer broke a rule that is found above the channel: close, blame it. */
void	chan_offend(struct chan *, enum reason, unsigned type);

/* hub.c: ms until the next attempt to reach policyd. *next is 0 at first and
   after a success; the wait doubles from 50 ms to half a second. */
uint32_t hub_backoff(uint32_t *next);

#endif
