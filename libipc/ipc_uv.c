/*
 * A channel on libuv: a poll handle, and one timer for the nearest deadline.
 * The handles are freed in their close callback and keep the channel's
 * memory until then.
 */
#include <stdlib.h>

#include <uv.h>

#include "chan.h"
#include "clock.h"
#include "log.h"

struct binding {
	uv_poll_t	 poll;
	uv_timer_t	 timer;
	struct chan	*chan;
	int		 events;	/* what poll waits for */
	uint64_t	 due;		/* when timer fires; 0 if it does not */
	int		 open;		/* handles not closed yet */
};

static void	ready(uv_poll_t *, int, int);
static void	expired(uv_timer_t *);

static void
watch_output(struct binding *b)
{
	int	events = UV_READABLE, err;

	if (chan_wants_output(b->chan))
		events |= UV_WRITABLE;
	if (events == b->events)
		return;
	b->events = events;
	if ((err = uv_poll_start(&b->poll, events, ready)) != 0)
		fatalx("ipc: poll: %s", uv_strerror(err));
}

/* The timer may fire too early, for a call that was answered; never late. */
static void
watch_deadlines(struct binding *b)
{
	uint64_t	now = clock_mono_ms();
	int64_t		left;

	if ((left = chan_next_deadline(b->chan, now)) == -1)
		return;
	if (b->due != 0 && b->due <= now + (uint64_t)left)
		return;
	b->due = now + (uint64_t)left;
	uv_update_time(b->timer.loop);
	uv_timer_start(&b->timer, expired, (uint64_t)left, 0);
}

static void
changed(struct chan *c, void *arg)
{
	watch_output(arg);
	watch_deadlines(arg);
}

static void
ready(uv_poll_t *h, int status, int events)
{
	struct binding	*b = h->data;

	if (status < 0) {
		/*
		 * An error of the socket, after which libuv has stopped
		 * watching; reading takes it away and goes on to the end.
		 */
		b->events = 0;
		if (chan_input(b->chan) == 0)
			watch_output(b);
		return;
	}
	if ((events & UV_READABLE) != 0 && chan_input(b->chan) == -1)
		return;
	if ((events & UV_WRITABLE) != 0)
		chan_output(b->chan);
}

static void
expired(uv_timer_t *h)
{
	struct binding	*b = h->data;
	struct chan	*c = b->chan;

	b->due = 0;
	chan_hold(c);
	if (chan_deadlines(c, clock_mono_ms()) != -1)
		watch_deadlines(b);
	chan_release(c);
}

static void
handle_closed(uv_handle_t *h)
{
	struct binding	*b = h->data;
	struct chan	*c = b->chan;

	if (--b->open > 0)
		return;
	free(b);
	chan_release(c);
}

static void
closing(struct chan *c, void *arg)
{
	struct binding	*b = arg;

	uv_poll_stop(&b->poll);
	uv_close((uv_handle_t *)&b->poll, handle_closed);
	uv_close((uv_handle_t *)&b->timer, handle_closed);
}

static const struct chan_watch watch = { changed, closing };

struct chan *
chan_open(struct uv_loop_s *loop, int fd, const struct chan_conf *conf)
{
	struct binding	*b;
	struct chan	*c;

	if ((b = calloc(1, sizeof(*b))) == NULL)
		return NULL;
	if ((c = chan_new(fd, conf)) == NULL) {
		free(b);
		return NULL;
	}
	b->chan = c;
	b->open = 2;
	b->poll.data = b;
	b->timer.data = b;
	if (uv_poll_init(loop, &b->poll, fd) != 0 ||
	    uv_timer_init(loop, &b->timer) != 0)
		fatalx("ipc: cannot watch a channel");
	chan_hold(c);
	chan_set_watch(c, &watch, b);
	watch_output(b);
	return c;
}
