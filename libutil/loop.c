/*
 * A daemon's event loop: how it begins, and how a signal ends it.
 */
#include <signal.h>

#include <uv.h>

#include "confine.h"
#include "log.h"

static uv_signal_t	 sigterm, sigint;
static void		(*ended)(void);

static void
caught(uv_signal_t *h, int signum)
{
	ended();
}

void
loop_start(uv_loop_t *loop, void (*end)(void))
{
	int	err;

	ended = end;
	if ((err = uv_loop_init(loop)) != 0 ||
	    (err = uv_signal_init(loop, &sigterm)) != 0 ||
	    (err = uv_signal_init(loop, &sigint)) != 0 ||
	    (err = uv_signal_start(&sigterm, caught, SIGTERM)) != 0 ||
	    (err = uv_signal_start(&sigint, caught, SIGINT)) != 0)
		fatalx("loop: %s", uv_strerror(err));
}

void
loop_end(void)
{
	uv_close((uv_handle_t *)&sigterm, NULL);
	uv_close((uv_handle_t *)&sigint, NULL);
}
