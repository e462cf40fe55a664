/*
 * Attestations of peers: one a peer, at most JOBS_MAX in all, the others wait
 * in line; and the verdict.
 */
#include <stdlib.h>
#include <string.h>

#include "bus.h"

static unsigned		 njobs;
static struct peerq	 waiting = TAILQ_HEAD_INITIALIZER(waiting);

static void	peer_step_seen(struct job *, struct step *);
static void	peer_evidence(struct job *);
static void	peer_failed(struct job *, const struct why *);
static void	peer_lost(struct job *, enum job_loss, const struct why *);
static void	peer_where(struct job *, struct msg_dial_spdm *);

static const struct job_ops	peer_ops = {
	.where = peer_where,
	.step = peer_step_seen,
	.evidence = peer_evidence,
	.failed = peer_failed,
	.lost = peer_lost,
};

unsigned
jobs_running(void)
{
	return njobs;
}

/* It is over; what it brought is the caller's. */
static struct evidence *
evidence_of(struct peer *p)
{
	struct job	*j = p->job;

	p->job = NULL;
	njobs--;
	return job_take(j);
}

static void
give_up(struct peer *p, bool by_us)
{
	struct job	*j = p->job;

	p->job = NULL;
	njobs--;
	job_end(j, by_us);
}

void
job_want(struct peer *p)
{
	if (p->job != NULL || p->queued)
		return;
	p->queued = true;
	TAILQ_INSERT_TAIL(&waiting, p, wait);
}

void
job_cancel(struct peer *p)
{
	if (p->queued) {
		TAILQ_REMOVE(&waiting, p, wait);
		p->queued = false;
	}
	if (p->job != NULL)
		give_up(p, true);
}

/* ---- opening ------------------------------------------------------------ */

static void
peer_where(struct job *j, struct msg_dial_spdm *m)
{
	const struct peer	*p = j->owner;
	const char		*from;

	m->port = p->conf != NULL && p->conf->spdm_port != 0 ?
	    p->conf->spdm_port : conf->spdm_port;
	IPC_SET_STR(m->address, net_spdm_address(p));
	IPC_SET_STR(j->ev->address, net_address(p, &from));
}

static void
peer_lost(struct job *j, enum job_loss loss, const struct why *why)
{
	static const enum peer_event	events[] = {
		[JOB_UNREACHABLE] = EV_UNREACHABLE,
		[JOB_TIMEOUT] = EV_JOB_TIMEOUT,
		[JOB_ATTESTQ_LOST] = EV_ATTESTQ_LOST,
	};
	struct peer	*p = j->owner;

	if (loss != JOB_ATTESTQ_LOST)
		log_about(LOG_LVL_INFO, reason_code(why->reason), p->name,
		    "peer %s: not attested: %s %s%s%s", p->name,
		    reason_code(why->reason), reason_text(why->reason),
		    *why->seen != '\0' ? ": " : "", why->seen);
	give_up(p, true);
	peer_step(p, events[loss], why);
	code_retry(p);
	if (loss == JOB_UNREACHABLE)
		jobs_pump();
}

static void
steps_clear(struct peer *p)
{
	while (p->nsteps > 0)
		free(p->steps[--p->nsteps].detail);
	free(p->steps);
	p->steps = NULL;
}

/* 0, or -1 if it cannot be opened now and must go on waiting. */
static int
attest(struct peer *p)
{
	struct msg_job_open	 m = { .versions = policy.versions };

	if (p->code.held) {
		m.kind = JOB_CODE;
		IPC_SET_BLOB(m.code, p->code.id, CODE_ID_LEN);
	}
	if ((p->job = job_open(&peer_ops, p, &m)) == NULL)
		return -1;
	njobs++;
	steps_clear(p);
	p->last_job = m.job;
	log_debug("peer %s: attesting, job %u: %s", p->name, m.job, p->cause);
	return 0;
}

void
jobs_pump(void)
{
	struct peer	*p;
	struct why	 why;

	while (njobs < JOBS_MAX && (p = TAILQ_FIRST(&waiting)) != NULL &&
	    job_possible()) {
		TAILQ_REMOVE(&waiting, p, wait);
		p->queued = false;
		if (*net_spdm_address(p) == '\0') {
			why_set(&why, R_POL_NO_ADDRESS, NULL, NULL, NULL);
			peer_step(p, EV_UNREACHABLE, &why);
		} else if (attest(p) == -1) {
			p->queued = true;
			TAILQ_INSERT_HEAD(&waiting, p, wait);
			return;
		}
	}
}

/* ---- what attestd -Q reports -------------------------------------------- */

static void
peer_step_seen(struct job *j, struct step *s)
{
	struct peer	*p = j->owner;

	if (p->nsteps == STEPS_MAX)
		return;
	if ((p->steps = reallocarray(p->steps, p->nsteps + 1,
	    sizeof(*s))) == NULL)
		fatal("step");
	p->steps[p->nsteps++] = *s;
	s->detail = NULL;
	control_step(p, &p->steps[p->nsteps - 1]);
	bus_step(p->id, &p->steps[p->nsteps - 1]);
}

/* A verdict is a record, whatever comes of it. */
static void
verdict_note(const struct peer *p, const struct evidence *ev,
    const struct why *why, enum reason warning)
{
	if (why->reason == R_OK) {
		log_about(LOG_LVL_INFO, warning != R_OK ?
		    reason_code(warning) : NULL, p->name,
		    "peer %s: attested, %s%s%s", p->name, ev->node,
		    warning != R_OK ? ", " : "",
		    warning != R_OK ? reason_text(warning) : "");
		audit_record(AUDIT_VERDICT, p->name, warning,
		    "accepted: node %s, serial %s, SPDM %u.%u, %u measurements",
		    ev->node, ev->serial, ev->version >> 4, ev->version & 15,
		    ev->measures.n);
		return;
	}
	log_about(LOG_LVL_INFO, reason_code(why->reason), p->name,
	    "peer %s: refused: %s %s %s%s%s%s%s", p->name,
	    reason_code(why->reason), reason_text(why->reason), why->field,
	    *why->expected != '\0' ? ": expected " : "", why->expected,
	    *why->seen != '\0' ? ", seen " : "", why->seen);
	audit_record(AUDIT_VERDICT, p->name, why->reason,
	    "refused: node %s: %s%s%s%s%s", ev != NULL ? ev->node : "unknown",
	    why->field, *why->expected != '\0' ? ": expected " : "",
	    why->expected, *why->seen != '\0' ? ", seen " : "", why->seen);
}

/* Nothing was wrong with the identity, whatever else was. */
static bool
identity_good(enum reason r)
{
	static const enum reason after_identity[] = {
		R_OK, R_POL_WINDOW, R_POL_MEASUREMENT, R_POL_CHANGED,
		R_POL_MISSING, R_POL_UNLISTED
	};
	size_t	i;

	for (i = 0; i < sizeof(after_identity) / sizeof(enum reason); i++)
		if (after_identity[i] == r)
			return true;
	return false;
}

/* What reference_learn() may propose: measurements under the right key. */
static void
keep_seen(struct peer *p, struct evidence *ev)
{
	ev->measures.time = peers_env.now();
	measures_copy(&p->seen, &ev->measures);
	reference_save(p, LIST_SEEN, &p->seen);
}

static enum peer_event
verdict_event(const struct peer *p, const struct evidence *ev, enum reason r)
{
	if (r == R_OK)
		return EV_GOOD;
	if (!peer_trusted(p))
		return EV_BAD;
	/* Only what the peer's own key signed can take trust away: anybody
	   may answer at its address. */
	if (strcmp(ev->node, p->ev->node) != 0)
		return EV_UNPROVED;
	/* Our clock, or its maker's dates: no verdict about what it is. */
	return r == R_POL_WINDOW ? EV_UNREACHABLE : EV_BAD;
}

static void
verdict(struct peer *p, struct evidence *ev)
{
	struct listing	 l;
	struct why	 why;
	enum reason	 warning, r;

	peer_listing(p, ev, &l);
	r = policy_judge(&policy, &l, ev, peers_env.now(), &why, &warning);
	/* A rule takes many; one that is trusted stays the one that it is. */
	if (r == R_OK && peer_trusted(p) && strcmp(ev->node, p->ev->node) != 0)
		r = why_set(&why, R_POL_NOT_PROVED, "identity", p->ev->node,
		    ev->node);
	verdict_note(p, ev, &why, warning);
	if (identity_good(r))
		keep_seen(p, ev);
	if (ev->code && identity_good(r))
		code_confirm(p, ev);
	else if (ev->code)
		code_drop(p);
	if (r == R_OK && store_state() != R_OK) {
		/* Trust that would not outlast us is none. */
		why_set(&why, store_state(), "store", NULL, NULL);
		peer_step(p, EV_UNREACHABLE, &why);
		evidence_free(ev);
		return;
	}
	if (r != R_OK) {
		peer_step(p, verdict_event(p, ev, r), &why);
		evidence_free(ev);
		return;
	}
	p->have = (p->have & HAVE_LEAVE) | ev->have | HAVE_POLICY;
	p->warning = warning;
	p->fresh = ev;
	if (peer_step(p, EV_GOOD, NULL) == -1 && !peer_trusted(p))
		p->have &= HAVE_LEAVE;
	evidence_free(p->fresh);
	p->fresh = NULL;
}

static void
peer_evidence(struct job *j)
{
	struct peer	*p = j->owner;

	verdict(p, evidence_of(p));
	jobs_pump();
}

static void
peer_failed(struct job *j, const struct why *why)
{
	struct peer	*p = j->owner;
	enum peer_event	 ev;

	if (policy_transient(why->reason))
		ev = EV_UNREACHABLE;
	else
		ev = peer_trusted(p) ? EV_UNPROVED : EV_BAD;
	verdict_note(p, j->ev->have & HAVE_IDENTITY ? j->ev : NULL, why, R_OK);
	/* What is more than the way to the peer ends the code, too. */
	if (j->kind == JOB_CODE && ev != EV_UNREACHABLE)
		code_drop(p);
	give_up(p, false);
	peer_step(p, ev, why);
	code_retry(p);
	jobs_pump();
}
