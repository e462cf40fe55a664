/*
 * A daemon's event loop: how it begins, and how a signal ends it.
 */
#include <signal.h>

#include <uv.h>

#include "confine.h"
#include "log.h"

static uv_signal_t	 sigterm, sigint;
static void		(*ended)(void);
static uv_loop_t	*running;
static uv_timer_t	 watchdog;
static uint64_t		 interval;	/* ms; 0: no watchdog */
static bool		(*told)(void);

static void
caught(uv_signal_t *h, int signum)
{
	start_stopping();
	ended();
}

static void
watchdog_due(uv_timer_t *h)
{
	uv_timer_start(h, watchdog_due, told() ? interval : interval / 8 + 1,
	    0);
}

void
loop_watchdog(uint64_t ms, bool (*alive)(void))
{
	if (running == NULL || interval != 0)
		return;
	interval = ms;
	told = alive;
	uv_timer_init(running, &watchdog);
	uv_unref((uv_handle_t *)&watchdog);	/* ends with the others */
	uv_timer_start(&watchdog, watchdog_due, ms, 0);
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
	running = loop;
}

void
loop_end(void)
{
	uv_close((uv_handle_t *)&sigterm, NULL);
	uv_close((uv_handle_t *)&sigint, NULL);
	if (interval != 0)
		uv_close((uv_handle_t *)&watchdog, NULL);
	interval = 0;
	running = NULL;
}
