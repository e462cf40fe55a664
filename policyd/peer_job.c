/*
 * Attestations under way: one a peer, at most JOBS_MAX in all, the others
 * wait in line.
 *
 * attestd -Q is told the job and its nonce, then netd dials and brings it the
 * descriptor. What attestd reports counts for the open job only; a report
 * that no honest attestd makes is an offence, which closes its link.
 */
#include <stdlib.h>
#include <string.h>

#include "component.h"

#define SLACK_MS	10000	/* after attestd's own deadline */
#define ENDED_MAX	256	/* jobs whose late messages are told apart */

struct job {
	uint32_t	 id;		/* 0: free */
	struct peer	*peer;
	struct evidence	*ev;
	uint8_t		 nonce[32];
	bool		 code;		/* it needs a one-time code */
	uint64_t	 deadline;	/* mono ms */
};

static struct job	 jobs[JOBS_MAX];
static unsigned		 njobs;
static uint32_t		 next_id;
static struct peerq	 waiting = TAILQ_HEAD_INITIALIZER(waiting);
static struct {
	uint32_t	 id;
	bool		 by_us;		/* late messages are no offence */
} ended[ENDED_MAX];
static unsigned		 nended;

static void	job_dial(struct job *);

/* Numbers are not used again after a restart: netd may still be dialling. */
void
jobs_start(void)
{
	peers_env.random(&next_id, sizeof(next_id));
}

unsigned
jobs_running(void)
{
	return njobs;
}

static struct job *
job_find(uint32_t id)
{
	size_t	i;

	for (i = 0; i < JOBS_MAX; i++)
		if (id != 0 && jobs[i].id == id)
			return &jobs[i];
	return NULL;
}

uint32_t
job_number(void)
{
	do
		next_id++;
	while (next_id == 0 || job_find(next_id) != NULL ||
	    component_owns(next_id));
	return next_id;
}

void
job_ended(uint32_t id, bool by_us)
{
	ended[nended % ENDED_MAX].id = id;
	ended[nended++ % ENDED_MAX].by_us = by_us;
}

bool
job_late(uint32_t id)
{
	bool	late = false;
	size_t	i;

	for (i = 0; i < ENDED_MAX; i++)
		if (ended[i].id == id && id != 0)
			late = ended[i].by_us;
	return late;
}

/*
 * For a message of attestd: its job, or NULL. *late says whether a message
 * for a job that is gone is excused.
 */
static struct job *
job_of(uint32_t id, bool *late)
{
	struct job	*j = job_find(id);

	*late = j == NULL && job_late(id);
	return j;
}

static void
job_end(struct job *j, bool by_us)
{
	struct msg_job_cancel	 m = { .job = j->id };
	struct chan		*c;

	if (by_us && (c = peers_env.link(IPC_ATTESTQ)) != NULL)
		chan_send(c, MSG_JOB_CANCEL, &m, -1);
	job_ended(j->id, by_us);
	evidence_free(j->ev);
	j->peer->job = NULL;
	memset(j, 0, sizeof(*j));
	njobs--;
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
		job_end(p->job, true);
}

/* ---- opening ------------------------------------------------------------ */

static void
why_reply(const struct ipc_reply *r, struct why *why)
{
	if (r->refused != NULL)
		why_set(why, r->reason, r->refused->field,
		    r->refused->expected, r->refused->seen);
	else
		why_set(why, r->reason, NULL, NULL, NULL);
}

static void
job_unreachable(struct job *j, const struct why *why)
{
	struct peer	*p = j->peer;

	log_info("peer %s: not attested: %s %s%s%s", p->name,
	    reason_code(why->reason), reason_text(why->reason),
	    *why->seen != '\0' ? ": " : "", why->seen);
	job_end(j, true);
	peer_step(p, EV_UNREACHABLE, why);
	code_retry(p);
	jobs_pump();
}

static void
job_dialled(const struct ipc_reply *r, void *arg)
{
	struct job	*j = job_find((uint32_t)(uintptr_t)arg);
	struct why	 why;

	if (j == NULL || r->reason == R_OK)
		return;
	why_reply(r, &why);
	job_unreachable(j, &why);
}

static void
job_opened(const struct ipc_reply *r, void *arg)
{
	struct job	*j = job_find((uint32_t)(uintptr_t)arg);
	struct why	 why;

	if (j == NULL)
		return;
	if (r->reason == R_OK) {
		job_dial(j);
		return;
	}
	why_reply(r, &why);
	job_unreachable(j, &why);
}

static void
job_dial(struct job *j)
{
	struct msg_dial_spdm	 m = { .job = j->id };
	const char		*from;
	struct why		 why;

	m.port = j->peer->conf != NULL && j->peer->conf->spdm_port != 0 ?
	    j->peer->conf->spdm_port : conf->spdm_port;
	IPC_SET_STR(m.address, net_spdm_address(j->peer));
	IPC_SET_STR(j->ev->address, net_address(j->peer, &from));
	if (*m.address == '\0')
		why_set(&why, R_POL_NO_ADDRESS, NULL, NULL, NULL);
	else if (chan_call(peers_env.link(IPC_NETD), MSG_DIAL_SPDM, &m, -1,
	    conf->attest_timeout, job_dialled, (void *)(uintptr_t)j->id) == 0)
		return;
	else
		why_set(&why, R_IPC_NOLINK, "daemon", "netd", NULL);
	job_unreachable(j, &why);
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
job_open(struct peer *p)
{
	struct msg_job_open	 m = { 0 };
	struct job		*j;
	size_t			 i;

	for (i = 0; jobs[i].id != 0; i++)
		;
	j = &jobs[i];
	peers_env.random(j->nonce, sizeof(j->nonce));
	m.job = job_number();
	IPC_SET_BLOB(m.nonce, j->nonce, sizeof(j->nonce));
	m.versions = policy.versions;
	if (p->code.held) {
		m.kind = JOB_CODE;
		IPC_SET_BLOB(m.code, p->code.id, CODE_ID_LEN);
	}
	m.algorithms = policy.algorithms;
	m.deadline = conf->attest_timeout;
	if (chan_call(peers_env.link(IPC_ATTESTQ), MSG_JOB_OPEN, &m, -1,
	    conf->attest_timeout, job_opened, (void *)(uintptr_t)m.job) == -1)
		return -1;
	j->id = m.job;
	j->peer = p;
	j->ev = evidence_new();
	j->code = p->code.held;
	j->deadline = peers_env.mono() + conf->attest_timeout + SLACK_MS;
	njobs++;
	steps_clear(p);
	p->job = j;
	p->last_job = j->id;
	log_debug("peer %s: attesting, job %u: %s", p->name, j->id, p->cause);
	return 0;
}

void
jobs_pump(void)
{
	struct peer	*p;
	struct why	 why;

	while (njobs < JOBS_MAX && (p = TAILQ_FIRST(&waiting)) != NULL &&
	    peers_env.link(IPC_ATTESTQ) != NULL &&
	    peers_env.link(IPC_NETD) != NULL) {
		TAILQ_REMOVE(&waiting, p, wait);
		p->queued = false;
		if (*net_spdm_address(p) == '\0') {
			why_set(&why, R_POL_NO_ADDRESS, NULL, NULL, NULL);
			peer_step(p, EV_UNREACHABLE, &why);
		} else if (job_open(p) == -1) {
			p->queued = true;
			TAILQ_INSERT_HEAD(&waiting, p, wait);
			return;
		}
	}
}

void
jobs_tick(uint64_t mono)
{
	struct peer	*p;
	struct why	 why;
	size_t		 i;

	for (i = 0; i < JOBS_MAX; i++) {
		if (jobs[i].id == 0 || mono < jobs[i].deadline)
			continue;
		p = jobs[i].peer;
		why_set(&why, R_POL_TIMEOUT, NULL, NULL, NULL);
		log_info("peer %s: not attested: %s %s", p->name,
		    reason_code(why.reason), reason_text(why.reason));
		job_end(&jobs[i], true);
		peer_step(p, EV_JOB_TIMEOUT, &why);
		code_retry(p);
	}
}

void
jobs_down(enum ipc_role role)
{
	struct peer	*p;
	struct why	 why;
	size_t		 i;

	if (role != IPC_ATTESTQ)
		return;		/* netd's dials fail by themselves */
	why_set(&why, R_IPC_CLOSED, "daemon", "attestd-q", NULL);
	for (i = 0; i < JOBS_MAX; i++) {
		if (jobs[i].id == 0)
			continue;
		p = jobs[i].peer;
		job_end(&jobs[i], true);
		peer_step(p, EV_ATTESTQ_LOST, &why);
		code_retry(p);
	}
}

/* ---- what attestd -Q reports -------------------------------------------- */

int
attestq_job_step(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_job_step	*m = arg;
	struct job			*j;
	struct peer			*p;
	struct step			*s;
	bool				 late;

	if (component_owns(m->job))
		return component_job_step(m);
	if ((j = job_of(m->job, &late)) == NULL)
		return late ? 0 : -1;
	p = j->peer;
	if (p->nsteps == STEPS_MAX)
		return 0;
	if ((s = reallocarray(p->steps, p->nsteps + 1, sizeof(*s))) == NULL)
		fatal("step");
	p->steps = s;
	s = &p->steps[p->nsteps++];
	s->step = m->step;
	s->time = peers_env.now();
	if ((s->detail = strdup(m->detail)) == NULL)
		fatal("step");
	control_step(p, s);
	return 0;
}

int
attestq_evid_identity(struct chan *c, const struct ipc_call *call,
    const void *arg)
{
	const struct msg_evid_identity	*m = arg;
	struct job			*j;
	bool				 late;

	if (component_owns(m->job))
		return component_evid_identity(m);
	if ((j = job_of(m->job, &late)) == NULL)
		return late ? 0 : -1;
	return evidence_identity(j->ev, m);
}

int
attestq_evid_anchor(struct chan *c, const struct ipc_call *call,
    const void *arg)
{
	const struct msg_evid_anchor	*m = arg;
	struct job			*j;
	bool				 late;

	if ((j = job_of(m->job, &late)) == NULL)
		return late ? 0 : -1;
	return evidence_anchor(j->ev, m);
}

int
attestq_evid_measurement(struct chan *c, const struct ipc_call *call,
    const void *arg)
{
	const struct msg_evid_measurement	*m = arg;
	struct job				*j;
	bool					 late;

	if (component_owns(m->job))
		return component_evid_measurement(m);
	if ((j = job_of(m->job, &late)) == NULL)
		return late ? 0 : -1;
	return evidence_measurement(j->ev, m);
}

/* A verdict is a record, whatever comes of it. */
static void
verdict_note(const struct peer *p, const struct evidence *ev,
    const struct why *why, enum reason warning)
{
	if (why->reason == R_OK) {
		log_info("peer %s: attested, %s%s%s", p->name, ev->node,
		    warning != R_OK ? ", " : "",
		    warning != R_OK ? reason_text(warning) : "");
		audit_record(AUDIT_VERDICT, p->name, warning,
		    "accepted: node %s, serial %s, SPDM %u.%u, %u measurements",
		    ev->node, ev->serial, ev->version >> 4, ev->version & 15,
		    ev->measures.n);
		return;
	}
	log_info("peer %s: refused: %s %s %s%s%s%s%s", p->name,
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

int
attestq_evid_end(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_evid_end	*m = arg;
	struct job			*j;
	struct peer			*p;
	struct evidence			*ev;
	bool				 late;

	if (component_owns(m->job))
		return component_evid_end(m);
	if ((j = job_of(m->job, &late)) == NULL)
		return late ? 0 : -1;
	/* A job with a code ends with its proof or in JOB_FAILED. */
	if (m->code != j->code || evidence_end(j->ev, m, j->nonce) == -1)
		return -1;
	p = j->peer;
	ev = j->ev;
	j->ev = NULL;
	job_end(j, false);
	verdict(p, ev);
	jobs_pump();
	return 0;
}

int
attestq_job_failed(struct chan *c, const struct ipc_call *call,
    const void *arg)
{
	const struct msg_job_failed	*m = arg;
	struct job			*j;
	struct peer			*p;
	struct why			 why;
	enum peer_event			 ev;
	bool				 late;

	if (component_owns(m->job))
		return component_job_failed(m);
	if ((j = job_of(m->job, &late)) == NULL)
		return late ? 0 : -1;
	if (m->reason == R_OK)
		return -1;
	p = j->peer;
	why_set(&why, (enum reason)m->reason, m->field, m->expected, m->seen);
	if (policy_transient(why.reason))
		ev = EV_UNREACHABLE;
	else
		ev = peer_trusted(p) ? EV_UNPROVED : EV_BAD;
	verdict_note(p, j->ev->have & HAVE_IDENTITY ? j->ev : NULL, &why, R_OK);
	/* What is more than the way to the peer ends the code, too. */
	if (j->code && ev != EV_UNREACHABLE)
		code_drop(p);
	job_end(j, false);
	peer_step(p, ev, &why);
	code_retry(p);
	jobs_pump();
	return 0;
}
