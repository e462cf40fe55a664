/*
 * This node, attested by itself.
 *
 * Our own attestd -Q asks our own attestd -R, through netd and the port that
 * peers come to, and the evidence is judged as a peer's is: so one look shows
 * that the maker's chain is there and leads to an accepted root, that the key
 * signs, that slot 1 holds our node CA, and what this node measures of itself.
 * Nothing is granted by it; a state is shown, and its reason.
 *
 * It runs where the configuration has D-Bus, whose callers ask for it, or
 * once an operator asked.
 */
#include <stdlib.h>
#include <string.h>

#include "bus.h"
#include "self.h"

#define SOON_MS		1000	/* after something of it changed */
#define CHANGES_MAX	16	/* that are followed soon; then one each */
#define CHANGES_MS	60000	/* such a time: a daemon may start for ever */
#define ECHO_MS		5000	/* ATTESTED comes with the evidence, or after */

enum self_event {
	SE_ASKED,		/* an operator, or somebody on the bus */
	SE_DUE,
	SE_GOOD,
	SE_BAD,
	SE_LOST,		/* nothing was learnt */
	SE_EXPIRED,		/* nothing was learnt for too long */
	SE_OTHER,		/* another key: what was proved is another's */
	SE_NEVENTS
};

static struct {
	enum self_state	 state;
	bool		 asked;
	uint64_t	 since;		/* trusted time */
	struct why	 why;		/* why it is not provisioned */
	struct why	 trouble;	/* what the last attempt failed of */
	enum reason	 warning;
	char		 node[NODE_ID_LEN + 1];	/* proved, or "" */
	uint64_t	 attested;	/* trusted time */
	uint64_t	 attested_mono;	/* ms */
	uint64_t	 due;		/* mono ms of the next job, 0: none */
	unsigned	 attempts;	/* since the last good one */
	struct job	*job;
	bool		 again;		/* something changed meanwhile */
	unsigned	 changes;	/* that were followed soon, */
	uint64_t	 forgiven;	/* mono ms; one less from then on */
	bool		 echo;		/* one ATTESTED will be ours */
	uint64_t	 echo_until;	/* mono ms, 0: while the job runs */
	uint32_t	 last_job;
	struct step	 steps[STEPS_MAX];
	unsigned	 nsteps;
} self;

static const char *const	state_names[SELF_NSTATES] = {
	"Unknown", "Attesting", "Provisioned", "Failed"
};
static const struct {
	const char	*name, *text;
} events[SE_NEVENTS] = {
	{ "Asked", "somebody asked for it" },
	{ "Due", "it is time for it" },
	{ "Good", "it would be accepted as a peer" },
	{ "Bad", "it would be refused as a peer" },
	{ "Lost", "nothing was learnt" },
	{ "Expired", "nothing was learnt for too long" },
	{ "OtherKey", "it has another key now" },
};

static void	act_begin(const struct why *);
static void	act_want(const struct why *);
static void	act_good(const struct why *);
static void	act_bad(const struct why *);
static void	act_retry(const struct why *);
static void	act_seldom(const struct why *);

static const struct {
	enum self_state	 state;
	enum self_event	 event;
	void		(*act)(const struct why *);
	enum self_state	 next;
} rows[] = {
	{ SELF_UNKNOWN,		SE_ASKED,	act_begin,	SELF_ATTESTING },
	{ SELF_UNKNOWN,		SE_DUE,		act_begin,	SELF_ATTESTING },
	{ SELF_ATTESTING,	SE_ASKED,	act_begin,	SELF_ATTESTING },
	{ SELF_ATTESTING,	SE_DUE,		act_want,	SELF_ATTESTING },
	{ SELF_ATTESTING,	SE_GOOD,	act_good,	SELF_PROVISIONED },
	{ SELF_ATTESTING,	SE_BAD,		act_bad,	SELF_FAILED },
	{ SELF_ATTESTING,	SE_LOST,	act_retry,	SELF_ATTESTING },
	{ SELF_PROVISIONED,	SE_ASKED,	act_want,	SELF_PROVISIONED },
	{ SELF_PROVISIONED,	SE_DUE,		act_want,	SELF_PROVISIONED },
	{ SELF_PROVISIONED,	SE_GOOD,	act_good,	SELF_PROVISIONED },
	{ SELF_PROVISIONED,	SE_BAD,		act_bad,	SELF_FAILED },
	{ SELF_PROVISIONED,	SE_LOST,	act_retry,	SELF_PROVISIONED },
	{ SELF_PROVISIONED,	SE_EXPIRED,	act_bad,	SELF_FAILED },
	{ SELF_PROVISIONED,	SE_OTHER,	act_begin,	SELF_ATTESTING },
	{ SELF_FAILED,		SE_ASKED,	act_begin,	SELF_ATTESTING },
	{ SELF_FAILED,		SE_DUE,		act_want,	SELF_FAILED },
	{ SELF_FAILED,		SE_GOOD,	act_good,	SELF_PROVISIONED },
	{ SELF_FAILED,		SE_BAD,		act_bad,	SELF_FAILED },
	{ SELF_FAILED,		SE_LOST,	act_seldom,	SELF_FAILED },
};

/* ---- as it is shown ------------------------------------------------------ */

bool
self_runs(void)
{
	return conf->dbus != NULL || self.asked;
}

enum self_state
self_state(void)
{
	return self.state;
}

const char *
self_state_name(enum self_state s)
{
	return state_names[s];
}

const struct why *
self_why(void)
{
	return &self.why;
}

const struct why *
self_trouble(void)
{
	return &self.trouble;
}

enum reason
self_warning(void)
{
	return self.warning;
}

uint64_t
self_since(void)
{
	return self.since;
}

uint64_t
self_attested(void)
{
	return self.attested;
}

bool
self_attesting(void)
{
	return self.job != NULL;
}

uint64_t
self_due(void)
{
	return self.due;
}

unsigned
self_attempts(void)
{
	return self.attempts;
}

uint32_t
self_last_job(void)
{
	return self.last_job;
}

const struct step *
self_steps(unsigned *n)
{
	*n = self.nsteps;
	return self.steps;
}

/* ---- acts ---------------------------------------------------------------- */

static void
act_want(const struct why *why)
{
	self.due = peers_env.mono();
}

static void
act_begin(const struct why *why)
{
	self.attempts = 0;
	self.warning = R_OK;
	self.attested = 0;
	why_set(&self.why, R_OK, NULL, NULL, NULL);
	why_set(&self.trouble, R_OK, NULL, NULL, NULL);
	act_want(why);
}

static void
act_good(const struct why *why)
{
	self.attested = peers_env.now();
	self.attested_mono = peers_env.mono();
	self.attempts = 0;
	self.due = peers_env.mono() + peer_period();
	why_set(&self.why, R_OK, NULL, NULL, NULL);
	why_set(&self.trouble, R_OK, NULL, NULL, NULL);
}

static void
retry(uint64_t min, uint64_t max)
{
	self.due = peers_env.mono() + peer_backoff(self.attempts, min, max);
	self.attempts++;
}

static void
act_bad(const struct why *why)
{
	self.why = *why;
	self.warning = R_OK;
	self.attested = 0;
	self.attempts = 0;
	why_set(&self.trouble, R_OK, NULL, NULL, NULL);
	retry(conf->retry_max, conf->reattest);
}

static void
act_retry(const struct why *why)
{
	if (self.state == SELF_PROVISIONED)
		self.trouble = *why;
	else
		self.why = *why;
	retry(conf->retry_min, conf->retry_max);
}

static void
act_seldom(const struct why *why)
{
	self.trouble = *why;
	retry(conf->retry_max, conf->reattest);
}

/* ---- the one that moves -------------------------------------------------- */

static void
step_note(enum self_state from, enum self_event ev, const struct why *why)
{
	enum reason	r = why != NULL ? why->reason : R_OK;

	log_about(LOG_LVL_INFO, r != R_OK ? reason_code(r) : NULL, SELF_NAME,
	    "self: %s -> %s: %s%s%s", state_names[from],
	    state_names[self.state], events[ev].name, r != R_OK ? ", " : "",
	    r != R_OK ? reason_code(r) : "");
	audit_record(AUDIT_TRANSITION, SELF_NAME, r, "%s -> %s: this node, %s%s"
	    "%s%s%s%s%s", state_names[from], state_names[self.state],
	    events[ev].name,
	    r != R_OK && *why->field ? "; " : "", r != R_OK ? why->field : "",
	    r != R_OK && *why->expected ? ": expected " : "",
	    r != R_OK ? why->expected : "",
	    r != R_OK && *why->seen ? ", seen " : "",
	    r != R_OK ? why->seen : "");
}

static void
self_step(enum self_event ev, const struct why *why)
{
	static const size_t	n = sizeof(rows) / sizeof(rows[0]);
	enum self_state		from = self.state;
	size_t			i;

	for (i = 0; i < n; i++)
		if (rows[i].state == from && rows[i].event == ev)
			break;
	if (i == n) {
		if (hubd_count(R_POL_EVENT) == 1)
			log_about(LOG_LVL_INFO, reason_code(R_POL_EVENT),
			    SELF_NAME, "self: %s: refused in state %s",
			    events[ev].name, state_names[from]);
		return;
	}
	self.state = rows[i].next;
	if (self.state != from)
		self.since = peers_env.now();
	rows[i].act(why);
	if (self.state != from) {
		step_note(from, ev, why);
		control_self_transition(from, events[ev].name, events[ev].text,
		    why);
	}
	bus_node_changed();
	if (ev == SE_LOST)
		control_self_attempt(why);
	if (ev == SE_GOOD || ev == SE_BAD) {
		control_self_judged(why);
		bus_outcome(PEER_SELF, ev == SE_GOOD, why);
	}
}

/* ---- what it needs ------------------------------------------------------- */

/* Everything that a peer would have to be shown was issued, and is valid. */
static enum reason
issued(struct why *why)
{
	static const char *const names[IDC_N] = {
		[IDC_NODE_CA] = "node CA", [IDC_SPDM_LEAF] = "SPDM leaf",
		[IDC_TLS_LEAF] = "TLS leaf"
	};
	const struct identity	*me = identity_get();
	uint64_t		 now = peers_env.now();
	char			 seen[32];
	unsigned		 i;

	for (i = 0; i < IDC_N; i++) {
		if (!me->certs[i].have)
			return why_set(why, R_POL_SELF_CERTIFICATE, names[i],
			    "issued", me->why.reason != R_OK ?
			    reason_code(me->why.reason) : "nothing");
		if (now > me->certs[i].not_after || (!clockd_unset() &&
		    now < me->certs[i].not_before))
			return why_set(why, R_POL_SELF_CERTIFICATE, names[i],
			    "a certificate that is valid now",
			    time_text(now, seen, sizeof(seen)));
	}
	return R_OK;
}

/* Where we listen, as seen from here. */
static const char *
own_address(void)
{
	const char	*a = conf->listen_address;

	if (a == NULL || strcmp(a, "0.0.0.0") == 0)
		return "127.0.0.1";
	return strcmp(a, "::") == 0 ? "::1" : a;
}

/* ---- the verdict --------------------------------------------------------- */

static enum reason
judge(const struct evidence *ev, struct why *why)
{
	const struct identity	*me = identity_get();
	struct listing		 l = {
		.identity = me->node,
		.serial = "",
		.own = "",
		.revoked = peer_revoked(ev->node),
		.unset = clockd_unset(),
		.reference = policy_file(conf->reference),
	};

	l.source = l.reference != NULL ? REF_FILE : REF_NONE;
	if (issued(why) != R_OK || policy_judge(&policy, &l, ev,
	    peers_env.now(), why, &self.warning) != R_OK)
		return why->reason;
	if (ev->anchor_len != me->certs[IDC_NODE_CA].len ||
	    memcmp(ev->anchor, me->certs[IDC_NODE_CA].der, ev->anchor_len) != 0)
		return why_set(why, R_POL_SELF_ANCHOR, "slot 1",
		    "our node CA", "another");
	return R_OK;
}

/* A verdict is a record, whatever comes of it. */
static void
verdict_note(const struct evidence *ev, const struct why *why)
{
	if (why->reason == R_OK) {
		log_about(LOG_LVL_INFO, self.warning != R_OK ?
		    reason_code(self.warning) : NULL, SELF_NAME,
		    "self: attested, %s%s%s", ev->node,
		    self.warning != R_OK ? ", " : "",
		    self.warning != R_OK ? reason_text(self.warning) : "");
		audit_record(AUDIT_VERDICT, SELF_NAME, self.warning,
		    "this node accepted: node %s, serial %s, SPDM %u.%u, "
		    "%u measurements", ev->node, ev->serial, ev->version >> 4,
		    ev->version & 15, ev->measures.n);
		return;
	}
	log_about(LOG_LVL_INFO, reason_code(why->reason), SELF_NAME,
	    "self: refused: %s %s %s%s%s%s%s", reason_code(why->reason),
	    reason_text(why->reason), why->field,
	    *why->expected != '\0' ? ": expected " : "", why->expected,
	    *why->seen != '\0' ? ", seen " : "", why->seen);
	audit_record(AUDIT_VERDICT, SELF_NAME, why->reason,
	    "this node refused: node %s: %s%s%s%s%s",
	    ev->have & HAVE_IDENTITY ? ev->node : "unknown", why->field,
	    *why->expected != '\0' ? ": expected " : "", why->expected,
	    *why->seen != '\0' ? ", seen " : "", why->seen);
}

/* ---- its job ------------------------------------------------------------- */

static void
job_where(struct job *j, struct msg_dial_spdm *m)
{
	m->port = conf->spdm_port;
	IPC_SET_STR(m->address, own_address());
	self.echo = true;
	self.echo_until = 0;
}

static void
job_step(struct job *j, struct step *s)
{
	if (self.nsteps == STEPS_MAX)
		return;
	self.steps[self.nsteps++] = *s;
	s->detail = NULL;
	control_self_step(&self.steps[self.nsteps - 1]);
	bus_step(PEER_SELF, &self.steps[self.nsteps - 1]);
}

/* Every look is a record: whoever makes us look does not fill the log. */
static void
follow(void)
{
	uint64_t	now = peers_env.mono();

	if (self.changes < CHANGES_MAX) {
		self.changes++;
		self.due = now + SOON_MS;
	} else if (self.due == 0 || self.due > now + CHANGES_MS)
		self.due = now + CHANGES_MS;
}

/* What changed while it ran is looked at as well. */
static void
job_over(enum self_event ev, const struct why *why)
{
	bool	again = self.again;

	self.job = NULL;
	self.again = false;
	self_step(ev, why);
	if (again)
		follow();
	jobs_pump();
}

static void
job_evidence(struct job *j)
{
	struct evidence	*ev = job_take(j);
	struct why	 why;

	self.echo_until = peers_env.mono() + ECHO_MS;
	if (judge(ev, &why) == R_OK)
		memcpy(self.node, ev->node, sizeof(self.node));
	verdict_note(ev, &why);
	evidence_free(ev);
	job_over(why.reason == R_OK ? SE_GOOD : SE_BAD, &why);
}

static void
job_failed(struct job *j, const struct why *w)
{
	struct why	why = *w;
	bool		lost = policy_transient(why.reason);

	self.echo = false;
	if (!lost)
		verdict_note(j->ev, &why);
	job_end(j, false);
	job_over(lost ? SE_LOST : SE_BAD, &why);
}

static void
job_lost(struct job *j, enum job_loss loss, const struct why *w)
{
	struct why	why = *w;

	self.echo = false;
	job_end(j, true);
	job_over(SE_LOST, &why);
}

static const struct job_ops	self_ops = {
	.where = job_where,
	.step = job_step,
	.evidence = job_evidence,
	.failed = job_failed,
	.lost = job_lost,
};

static void
steps_clear(void)
{
	while (self.nsteps > 0)
		free(self.steps[--self.nsteps].detail);
}

/* All that have a part in it are there. */
static bool
possible(void)
{
	return job_possible() && peers_env.link(IPC_ATTESTR) != NULL &&
	    peers_env.link(IPC_KEYD) != NULL;
}

void
self_pump(void)
{
	struct msg_job_open	m = { .versions = policy.versions };
	struct why		why;

	if (self.job != NULL || self.due == 0 ||
	    peers_env.mono() < self.due || !possible())
		return;
	self_step(SE_DUE, NULL);
	/* keyd may just be issuing them; what had them and lost them is bad. */
	if (issued(&why) != R_OK) {
		self_step(self.state == SELF_PROVISIONED ? SE_BAD : SE_LOST,
		    &why);
		return;
	}
	if ((self.job = job_open(&self_ops, NULL, &m)) == NULL)
		return;
	self.due = 0;
	self.last_job = m.job;
	steps_clear();
	log_debug("self: attesting, job %u", m.job);
}

/* ---- for the others ------------------------------------------------------ */

bool
self_heard(const char *address)
{
	if (!self.echo || (self.echo_until != 0 &&
	    peers_env.mono() >= self.echo_until) ||
	    !address_equal(address, own_address()))
		return false;
	self.echo = false;
	return true;
}

/* Look again; a change that comes while a job runs may be too late for it. */
void
self_changed(void)
{
	if (!self_runs())
		return;
	if (self.state == SELF_PROVISIONED &&
	    strcmp(self.node, identity_get()->node) != 0)
		self_step(SE_OTHER, NULL);
	if (self.job != NULL)
		self.again = true;
	else
		follow();
}

void
self_provision(void)
{
	self.asked = true;
	self_step(SE_ASKED, NULL);
	self_pump();
}

void
self_start(void)
{
	memset(&self, 0, sizeof(self));
	why_set(&self.why, R_POL_SELF_UNKNOWN, NULL, NULL, NULL);
	self.forgiven = peers_env.mono();
	if (conf->dbus != NULL)
		self.due = peers_env.mono();
}

void
self_tick(uint64_t mono)
{
	struct why	why;

	if (mono - self.forgiven >= CHANGES_MS) {
		self.forgiven = mono;
		if (self.changes > 0)
			self.changes--;
	}
	if (self.state == SELF_PROVISIONED &&
	    mono - self.attested_mono > conf->evidence_lifetime) {
		why_set(&why, R_POL_EXPIRED, self.trouble.reason != R_OK ?
		    reason_code(self.trouble.reason) : NULL, NULL, NULL);
		self_step(SE_EXPIRED, &why);
	}
	self_pump();
}

void
self_end(void)
{
	if (self.job != NULL)
		job_end(self.job, true);
	steps_clear();
	memset(&self, 0, sizeof(self));
}
