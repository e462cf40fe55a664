/*
 * Trusted time = max(system clock, build time, last time in the store), and it
 * never goes back. A system clock below that is "clock unset": trusted time
 * then runs on with CLOCK_BOOTTIME from where it stood, and nothing stops.
 */
#include <inttypes.h>
#include <string.h>

#include "ca.h"
#include "clock.h"

#define LATEST		UINT64_C(253402300799)	/* 99991231235959Z */
#define KEEP_EVERY	600000	/* ms between two writes of the time */
#define SLACK		60	/* s; the system clock may be slewed */

static struct {
	bool		 unset;
	uint64_t	 kept;		/* mono ms; the store got the time */
	bool		 wrote;
} clk;

/* What no certificate can name is no time: a damaged clock or store. */
static uint64_t
clockd_sane(uint64_t t)
{
	return t > LATEST ? 0 : t;
}

static uint64_t
clockd_stored(void)
{
	int64_t	t = store_meta_int("time", 0);

	return t < 0 ? 0 : clockd_sane((uint64_t)t);
}

uint64_t
clockd_floor(void)
{
	uint64_t	stored = clockd_stored(), build = clock_build_time();

	return stored > build ? stored : build;
}

bool
clockd_unset(void)
{
	return clk.unset;
}

static void
clockd_keep(uint64_t now, uint64_t mono_ms)
{
	if (store_meta_set_int("time", (int64_t)now) != R_OK)
		return;		/* said already; tried again at the next look */
	clk.kept = mono_ms;
	clk.wrote = true;
}

static void
clockd_set_unset(bool unset, uint64_t system_now, uint64_t trusted)
{
	if (unset == clk.unset)
		return;
	clk.unset = unset;
	if (unset)
		log_about(LOG_LVL_WARN, reason_code(R_SYS_CLOCK_UNSET), NULL,
		    "clock: %s: system %" PRIu64 ", trusted %" PRIu64,
		    reason_code(R_SYS_CLOCK_UNSET), system_now, trusted);
	else
		log_info("clock: the system clock is good");
	audit_record(AUDIT_CLOCK, "policyd", unset ? R_SYS_CLOCK_UNSET : R_OK,
	    "system clock %" PRIu64 ", trusted time %" PRIu64, system_now,
	    trusted);
}

void
clockd_start(uint64_t system_now)
{
	uint64_t	floor = clockd_floor(), now;

	memset(&clk, 0, sizeof(clk));
	now = system_now = clockd_sane(system_now);
	if (now < floor)
		now = floor;
	clock_set(now);
	clockd_set_unset(system_now + SLACK < floor, system_now, now);
}

/*
 * The system clock leads as long as it does not go back. stepped is true if
 * the kernel said that it was set; a jump of more than SLACK counts as well,
 * for a step may happen while the timer that would notice it is being set.
 */
void
clockd_look(uint64_t system_now, uint64_t mono_ms, bool stepped)
{
	struct msg_trusted_time	m = { 0 };
	uint64_t		was = clock_trusted(), now = was;

	system_now = clockd_sane(system_now);
	if (system_now > was) {
		now = system_now;
		stepped = stepped || system_now - was > SLACK;
		clock_set(now);
	}
	clockd_set_unset(system_now + SLACK < now, system_now, now);
	if (stepped && now - was > SLACK) {
		log_info("clock: %s: trusted time %" PRIu64 " to %" PRIu64,
		    reason_code(R_SYS_CLOCK_STEP), was, now);
		audit_record(AUDIT_CLOCK, "policyd", R_SYS_CLOCK_STEP,
		    "trusted time %" PRIu64 " to %" PRIu64, was, now);
	}
	if (!clk.wrote || stepped || mono_ms - clk.kept >= KEEP_EVERY)
		clockd_keep(now, mono_ms);
	m.now = now;
	hubd_broadcast(MSG_TRUSTED_TIME, &m);
	if (stepped) {
		identity_time_step();
		service_time_step();
		peers_time_step();
	}
}
