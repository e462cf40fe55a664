/*
 * What a transition does, and when a peer is attested next.
 *
 * Acts run inside of peer_step(): they note, schedule and send, and never
 * step themselves.
 */
#include <stdlib.h>
#include <string.h>

#include "peer.h"

#define DOUBT_MIN	10000	/* ms: the peer may just be attesting us */
#define BACK_SOON	1000	/* ms after a lost connection is back */

uint64_t
peer_backoff(unsigned attempts, uint64_t min, uint64_t max)
{
	uint64_t	delay = min > 0 ? min : 1;
	uint16_t	r;

	while (attempts-- > 0 && delay < max)
		delay *= 2;
	if (delay > max)
		delay = max;
	peers_env.random(&r, sizeof(r));
	return delay / 2 + ((delay - delay / 2) * r >> 16);
}

void
peer_schedule(struct peer *p, uint64_t delay, const char *cause)
{
	p->due = peers_env.mono() + delay;
	p->cause = cause;
}

static bool
peer_expired(const struct peer *p)
{
	/* Age is counted on our own clock: a step of the time of day ages
	   nobody. */
	return peers_run() - p->attested_run > conf->evidence_lifetime;
}

uint64_t
peer_period(void)
{
	uint64_t	all = conf->reattest;

	/* backoff gives half to all of it; keep to the last fifth. */
	return all - (all - peer_backoff(0, all, all)) * 2 / 5;
}

static void
schedule_reattest(struct peer *p)
{
	uint64_t	age = peers_run() - p->attested_run;
	uint64_t	period = peer_period();

	peer_schedule(p, age < period ? period - age : 0,
	    "the evidence has its age");
}

static void
retry(struct peer *p, uint64_t min, uint64_t max, const char *cause)
{
	peer_schedule(p, peer_backoff(p->attempts, min, max), cause);
	p->attempts++;
}

/* ---- acts --------------------------------------------------------------- */

static void
act_none(struct peer *p, const struct trans *t, const struct why *why)
{
}

static void
act_attest(struct peer *p, const struct trans *t, const struct why *why)
{
	if (t->event == EV_PROVISION || t->event == EV_INBOUND) {
		p->attempts = 0;
		p->held = false;
		peer_leave(p);
		why_set(&p->why, R_OK, NULL, NULL, NULL);
	}
	if (t->event == EV_INBOUND)
		p->cause = "somebody at its address attested us";
	else if (t->event == EV_PROVISION)
		p->cause = "an operator asked for it";
	p->due = 0;
	job_want(p);
}

static void
act_again(struct peer *p, const struct trans *t, const struct why *why)
{
	p->attempts = 0;
	p->cause = fsm_event_text(t->event);
	p->due = 0;
	job_want(p);
}

static void
act_hasten(struct peer *p, const struct trans *t, const struct why *why)
{
	uint64_t	now = peers_env.mono();

	if (now < p->inbound_after || p->job != NULL)
		return;
	p->inbound_after = now + conf->retry_max;
	peer_schedule(p, peer_backoff(0, conf->retry_min, conf->retry_max),
	    "somebody at its address attested us");
}

/* A trusted peer keeps the reason of its connection apart. */
static void
note(struct peer *p, const struct why *why)
{
	struct why	*to = peer_trusted(p) ? &p->trouble : &p->why;

	if (why != NULL)
		*to = *why;
}

static void
act_retry(struct peer *p, const struct trans *t, const struct why *why)
{
	note(p, why);
	retry(p, conf->retry_min, conf->retry_max, "the last attempt failed");
	control_attempt(p, why);
}

static void
act_seldom(struct peer *p, const struct trans *t, const struct why *why)
{
	if (why != NULL)
		p->trouble = *why;
	if (p->have & HAVE_LEAVE)
		retry(p, conf->retry_max, conf->reattest,
		    "the last attempt failed");
	if (why != NULL)
		control_attempt(p, why);
}

static void
act_refuse(struct peer *p, const struct trans *t, const struct why *why)
{
	p->have &= HAVE_LEAVE;
	if (why != NULL)
		p->why = *why;
	act_seldom(p, t, NULL);
}

static void
act_restore(struct peer *p, const struct trans *t, const struct why *why)
{
	schedule_reattest(p);
	net_tell(p);
}

/* During a rollover of its CA a peer has two anchors, until attested again. */
static void
keep_old_anchor(struct peer *p, bool trusted)
{
	const struct evidence	*old = p->ev, *new = p->fresh;

	free(p->anchor2);
	p->anchor2 = NULL;
	p->anchor2_len = 0;
	if (!trusted || old == NULL || (old->anchor_len == new->anchor_len &&
	    memcmp(old->anchor, new->anchor, new->anchor_len) == 0))
		return;
	if ((p->anchor2 = malloc(old->anchor_len)) == NULL)
		fatal("anchor");
	memcpy(p->anchor2, old->anchor, old->anchor_len);
	p->anchor2_len = old->anchor_len;
}

/* The boot id is never compared, but tells that the peer restarted. */
static void
note_restart(const struct peer *p)
{
	const struct measurement	*old, *new;

	if (p->ev == NULL)
		return;
	old = measures_find(&p->ev->measures, MEASURE_BOOT_ID);
	new = measures_find(&p->fresh->measures, MEASURE_BOOT_ID);
	if (old == NULL || new == NULL || !measurement_boot(new) ||
	    (old->dlen == new->dlen &&
	    memcmp(old->digest, new->digest, new->dlen) == 0))
		return;
	log_about(LOG_LVL_INFO, reason_code(R_POL_RESTART), p->name,
	    "peer %s: restarted since it was last attested", p->name);
	audit_record(AUDIT_VERDICT, p->name, R_POL_RESTART, "another boot id");
}

static void
act_trust(struct peer *p, const struct trans *t, const struct why *why)
{
	bool	was = fsm_trusted(t->state);

	keep_old_anchor(p, was);
	note_restart(p);
	peer_set_evidence(p, p->fresh);
	p->fresh = NULL;
	p->attested = peers_env.now();
	p->attested_run = peers_run();
	p->attempts = 0;
	p->lost = false;
	why_set(&p->trouble, R_OK, NULL, NULL, NULL);
	if (!was) {
		why_set(&p->why, R_OK, NULL, NULL, NULL);
		p->doubts = 0;
	}
	schedule_reattest(p);
	if (peer_store_evidence(p) == R_OK)
		net_tell_after(p);
	else
		log_warnx("peer %s: evidence not stored, netd is not told",
		    p->name);
}

static void
act_distrust(struct peer *p, const struct trans *t, const struct why *why)
{
	p->have &= HAVE_LEAVE;
	if (why != NULL)
		p->why = *why;
	net_untell(p);
	p->attempts = 0;
	act_seldom(p, t, NULL);
}

static void
act_up(struct peer *p, const struct trans *t, const struct why *why)
{
	why_set(&p->why, R_OK, NULL, NULL, NULL);
	if (p->lost)
		peer_schedule(p, peer_backoff(0, BACK_SOON, BACK_SOON),
		    "its connection was lost, it may have restarted");
	else if (p->doubts > 0 && p->job == NULL)
		schedule_reattest(p);
	p->doubts = 0;
}

static void
act_down(struct peer *p, const struct trans *t, const struct why *why)
{
	if (t->state == P_CONNECTED)
		p->lost = true;
	if (why != NULL)
		p->why = *why;
	else if (t->event == EV_TIMEOUT)
		why_set(&p->why, R_POL_LINK_TIMEOUT, NULL, NULL, NULL);
	else if (t->event == EV_NETD_LOST)
		why_set(&p->why, R_IPC_NOLINK, "daemon", "netd", NULL);
}

static void
act_doubt(struct peer *p, const struct trans *t, const struct why *why)
{
	uint64_t	min = conf->retry_min;

	act_down(p, t, why);
	if (why != NULL && why->reason == R_TLS_REFUSED_US && min < DOUBT_MIN)
		min = DOUBT_MIN;
	/* One at a time: a refusal while an attestation is due adds nothing. */
	if (p->job != NULL || p->queued || (p->doubts > 0 && p->due != 0 &&
	    p->due < peers_env.mono() + conf->retry_max))
		return;
	peer_schedule(p, peer_backoff(p->doubts, min,
	    min > conf->reattest ? min : conf->reattest),
	    "a TLS handshake was refused");
	p->doubts++;
}

static void
forget(struct peer *p)
{
	job_cancel(p);
	code_drop(p);
	net_forget(p);
	peer_forget_evidence(p);
	peer_store_evidence(p);
	p->due = 0;
	p->attempts = p->doubts = 0;
	why_set(&p->trouble, R_OK, NULL, NULL, NULL);
}

static void
act_forget(struct peer *p, const struct trans *t, const struct why *why)
{
	forget(p);
	p->held = true;
	peer_leave(p);
	why_set(&p->why, R_POL_UNPROVISIONED, NULL, NULL, NULL);
	peer_store_revoke("", p->name, false);
	peer_store_save(p);
}

static void
act_revoke(struct peer *p, const struct trans *t, const struct why *why)
{
	char	node[NODE_ID_LEN + 1];

	ipc_set_str(node, sizeof(node),
	    p->ev != NULL ? p->ev->node : p->identity);
	forget(p);
	p->held = true;
	peer_leave(p);
	why_set(&p->why, R_POL_REVOKED, "identity", NULL, node);
	if (*node != '\0')
		peer_store_revoke(node, p->name, true);
	peer_store_save(p);
}

void
peer_run_act(struct peer *p, const struct trans *t, const struct why *why)
{
	static void (*const acts[])(struct peer *, const struct trans *,
	    const struct why *) = {
#define ACT(name, text)	[ACT_##name] = act_##name,
#include "peer_fsm.def"
	};

	acts[t->act](p, t, why);
}

/* ---- time, and the start ------------------------------------------------ */

void
peer_tick(struct peer *p, uint64_t mono)
{
	struct why	why;

	net_tick(p);
	code_tick(p, mono);
	if (p->deadline != 0 && mono >= p->deadline) {
		p->deadline = 0;
		peer_step(p, EV_TIMEOUT, NULL);
	}
	if (peer_trusted(p) && peer_expired(p)) {
		why_set(&why, R_POL_EXPIRED, p->trouble.reason != R_OK ?
		    reason_code(p->trouble.reason) : NULL, NULL, NULL);
		peer_step(p, EV_EXPIRED, &why);
	}
	if (p->due != 0 && mono >= p->due) {
		p->due = 0;
		peer_step(p, EV_DUE, NULL);
	}
}

/*
 * Evidence of the store counts if policy, as it is now, still accepts it. A
 * chain outside its window is no verdict about a peer that is trusted.
 */
static void
resume_trusted(struct peer *p)
{
	struct listing	l;
	struct why	why = { 0 };
	enum reason	warning = R_OK, r = R_POL_INCOMPLETE;

	if (p->ev != NULL) {
		peer_listing(p, p->ev, &l);
		r = policy_judge(&policy, &l, p->ev, peers_env.now(), &why,
		    &warning);
	} else
		why_set(&why, R_POL_INCOMPLETE, "store", NULL, NULL);
	if (r == R_OK || r == R_POL_WINDOW) {
		p->have |= p->ev->have | HAVE_POLICY;
		p->warning = warning;
		why_set(&p->why, R_OK, NULL, NULL, NULL);
		peer_step(p, EV_RESTORE_TRUST, NULL);
		return;
	}
	p->why = why;
	peer_step(p, EV_RESTORE_FAIL, &why);
}

void
peer_resume(struct peer *p)
{
	switch (p->stored) {
	case P_NOTDETERMINED:
		break;
	case P_ATTESTING:
		peer_step(p, EV_RESTORE_ATTEST, NULL);
		break;
	case P_REVOKED:
		peer_step(p, EV_RESTORE_REVOKE, NULL);
		break;
	case P_ATTESTFAILED:
		peer_step(p, EV_RESTORE_FAIL, NULL);
		break;
	case P_PROVISIONED:
	case P_INPROGRESS:
	case P_CONNECTED:
	case P_NOTCONNECTED:
		resume_trusted(p);
		break;
	case P_NSTATES:
		break;
	}
}
