/*
 * Attestations under way at attestd -Q, whoever they are for: a peer, a
 * component, this node itself.
 *
 * attestd -Q is told the job and its nonce, then netd dials and brings it the
 * descriptor. What attestd reports counts for the open job only; a report
 * that no honest attestd makes is an offence, which closes its link.
 */
#include <stdlib.h>
#include <string.h>

#include "peer.h"

#define SLACK_MS	10000	/* after attestd's own deadline */
#define ENDED_MAX	256	/* jobs whose late messages are told apart */
#define OPEN_MAX	32	/* at once; as many has attestd -Q */

static LIST_HEAD(, job)	 jobs = LIST_HEAD_INITIALIZER(jobs);
static uint32_t		 next_id;
static struct {
	uint32_t	 id;
	bool		 by_us;		/* late messages are no offence */
} ended[ENDED_MAX];
static unsigned		 nended;

/* Numbers are not used again after a restart: netd may still be dialling. */
void
jobs_start(void)
{
	peers_env.random(&next_id, sizeof(next_id));
}

static struct job *
job_find(uint32_t id)
{
	struct job	*j;

	LIST_FOREACH(j, &jobs, entry)
		if (j->id == id)
			return j;
	return NULL;
}

static uint32_t
job_number(void)
{
	do
		next_id++;
	while (next_id == 0 || job_find(next_id) != NULL);
	return next_id;
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

void
job_end(struct job *j, bool by_us)
{
	struct msg_job_cancel	 m = { .job = j->id };
	struct chan		*c;

	if (by_us && (c = peers_env.link(IPC_ATTESTQ)) != NULL)
		chan_send(c, MSG_JOB_CANCEL, &m, -1);
	ended[nended % ENDED_MAX].id = j->id;
	ended[nended++ % ENDED_MAX].by_us = by_us;
	LIST_REMOVE(j, entry);
	evidence_free(j->ev);
	free(j);
}

struct evidence *
job_take(struct job *j)
{
	struct evidence	*ev = j->ev;

	j->ev = NULL;
	job_end(j, false);
	return ev;
}

/* In the order of attestd/requester.c. */
const char *
step_name(uint32_t step)
{
	static const char *const names[] = { "VERSION", "CAPABILITIES",
	    "ALGORITHMS", "DIGESTS", "CERTIFICATE, slot 0",
	    "CERTIFICATE, slot 1", "CHALLENGE", "MEASUREMENTS",
	    /* with a one-time code */
	    "PSK_EXCHANGE", "PSK_FINISH", "MEASUREMENTS, in session",
	    "END_SESSION" };

	return step < sizeof(names) / sizeof(names[0]) ? names[step] : "";
}

/* ---- opening ------------------------------------------------------------ */

void
why_reply(struct why *why, const struct ipc_reply *r)
{
	const struct msg_refused	*f = r->refused;

	why_set(why, r->reason, f == NULL ? NULL : f->field,
	    f == NULL ? NULL : f->expected, f == NULL ? NULL : f->seen);
}

static void
job_lost(struct job *j, enum job_loss loss, enum reason r, const char *daemon)
{
	struct why	why;

	why_set(&why, r, daemon != NULL ? "daemon" : NULL, daemon, NULL);
	j->ops->lost(j, loss, &why);
}

static void
job_dialled(const struct ipc_reply *r, void *arg)
{
	struct job	*j = job_find((uint32_t)(uintptr_t)arg);
	struct why	 why;

	if (j == NULL || r->reason == R_OK)
		return;
	why_reply(&why, r);
	j->ops->lost(j, JOB_UNREACHABLE, &why);
}

static void
job_opened(const struct ipc_reply *r, void *arg)
{
	struct job		*j = job_find((uint32_t)(uintptr_t)arg);
	struct msg_dial_spdm	 m = { 0 };
	struct why		 why;

	if (j == NULL)
		return;
	if (r->reason != R_OK) {
		why_reply(&why, r);
		j->ops->lost(j, JOB_UNREACHABLE, &why);
		return;
	}
	m.job = j->id;
	j->ops->where(j, &m);
	if (*m.address == '\0')
		job_lost(j, JOB_UNREACHABLE, R_POL_NO_ADDRESS, NULL);
	else if (chan_call(peers_env.link(IPC_NETD), MSG_DIAL_SPDM, &m, -1,
	    conf->attest_timeout, job_dialled, arg) == -1)
		job_lost(j, JOB_UNREACHABLE, R_IPC_NOLINK, "netd");
}

bool
job_possible(void)
{
	return peers_env.link(IPC_ATTESTQ) != NULL &&
	    peers_env.link(IPC_NETD) != NULL;
}

struct job *
job_open(const struct job_ops *ops, void *owner, struct msg_job_open *m)
{
	struct job	*j;

	if ((j = calloc(1, sizeof(*j))) == NULL)
		fatal("job");
	peers_env.random(j->nonce, sizeof(j->nonce));
	j->id = m->job = job_number();
	IPC_SET_BLOB(m->nonce, j->nonce, sizeof(j->nonce));
	m->algorithms = policy.algorithms;
	m->deadline = conf->attest_timeout;
	if (chan_call(peers_env.link(IPC_ATTESTQ), MSG_JOB_OPEN, m, -1,
	    conf->attest_timeout, job_opened, (void *)(uintptr_t)j->id) == -1) {
		free(j);
		return NULL;
	}
	j->ops = ops;
	j->owner = owner;
	j->kind = m->kind;
	j->ev = evidence_new();
	j->deadline = peers_env.mono() + conf->attest_timeout + SLACK_MS;
	LIST_INSERT_HEAD(&jobs, j, entry);
	return j;
}

/* ---- time, and the end of attestd -Q ------------------------------------ */

/* Each that is late at mono; the owner's answer may open and end others. */
static void
each_lost(uint64_t mono, enum job_loss loss, enum reason r, const char *daemon)
{
	uint32_t	 ids[OPEN_MAX];
	unsigned	 n = 0, i;
	struct job	*j;

	LIST_FOREACH(j, &jobs, entry)
		if (mono >= j->deadline && n < OPEN_MAX)
			ids[n++] = j->id;
	for (i = n; i > 0; i--)		/* the oldest is the last of the list */
		if ((j = job_find(ids[i - 1])) != NULL)
			job_lost(j, loss, r, daemon);
}

void
jobs_tick(uint64_t mono)
{
	each_lost(mono, JOB_TIMEOUT, R_POL_TIMEOUT, NULL);
}

void
jobs_down(enum ipc_role role)
{
	if (role == IPC_ATTESTQ)	/* netd's dials fail by themselves */
		each_lost(UINT64_MAX, JOB_ATTESTQ_LOST, R_IPC_CLOSED,
		    "attestd-q");
}

/* ---- what attestd -Q reports -------------------------------------------- */

int
attestq_job_step(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_job_step	*m = arg;
	struct job			*j;
	struct step			 s = { .step = m->step };

	if ((j = job_find(m->job)) == NULL)
		return job_late(m->job) ? 0 : -1;
	s.time = peers_env.now();
	if ((s.detail = strdup(m->detail)) == NULL)
		fatal("step");
	j->ops->step(j, &s);
	free(s.detail);
	return 0;
}

int
attestq_evid_identity(struct chan *c, const struct ipc_call *call,
    const void *arg)
{
	const struct msg_evid_identity	*m = arg;
	struct job			*j;

	if ((j = job_find(m->job)) == NULL)
		return job_late(m->job) ? 0 : -1;
	return j->proved ? -1 : evidence_identity(j->ev, m);
}

int
attestq_evid_anchor(struct chan *c, const struct ipc_call *call,
    const void *arg)
{
	const struct msg_evid_anchor	*m = arg;
	struct job			*j;

	if ((j = job_find(m->job)) == NULL)
		return job_late(m->job) ? 0 : -1;
	/* Whether a component has one does not matter to anybody. */
	return j->proved || j->kind == JOB_COMPONENT ? -1 :
	    evidence_anchor(j->ev, m);
}

int
attestq_evid_measurement(struct chan *c, const struct ipc_call *call,
    const void *arg)
{
	const struct msg_evid_measurement	*m = arg;
	struct job				*j;

	if ((j = job_find(m->job)) == NULL)
		return job_late(m->job) ? 0 : -1;
	return j->proved ? -1 : evidence_measurement(j->ev, m);
}

int
attestq_evid_end(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_evid_end	*m = arg;
	struct job			*j;

	if ((j = job_find(m->job)) == NULL)
		return job_late(m->job) ? 0 : -1;
	/* A job with a code ends with its proof or in JOB_FAILED. */
	if (j->proved || m->code != (j->kind == JOB_CODE) ||
	    evidence_end(j->ev, m, j->nonce) == -1)
		return -1;
	j->proved = true;
	j->ops->evidence(j);
	return 0;
}

int
attestq_job_failed(struct chan *c, const struct ipc_call *call,
    const void *arg)
{
	const struct msg_job_failed	*m = arg;
	struct job			*j;
	struct why			 why;

	if ((j = job_find(m->job)) == NULL)
		return job_late(m->job) ? 0 : -1;
	if (m->reason == R_OK)
		return -1;
	why_set(&why, (enum reason)m->reason, m->field, m->expected, m->seen);
	j->ops->failed(j, &why);
	return 0;
}
