/*
 * Components and the one function that moves them from state to state.
 *
 * Only an operator begins an enrolment. Once the slot holds our certificate
 * it is renewed by itself; a device that wants a reset is looked at until it
 * had one. What policyd did not see to its end is shown as such, never as
 * enrolled.
 */
#include <stdlib.h>
#include <string.h>

#include "component.h"

#define RENEW_MIN	60000	/* ms between two renewals that fail, */
#define RENEW_MAX	3600000	/* each of which is a record */
#define RESET_MIN	1000	/* ms until the first look after a reset, */
#define RESET_MAX	900000	/* and at most between two of them */

struct componentq	components = TAILQ_HEAD_INITIALIZER(components);

static const char *const	state_names[C_NSTATES] = {
	"NotEnrolled", "Enrolling", "Unfinished", "ResetRequired", "Resuming",
	"Enrolled", "Renewing", "Failed"
};
static const char *const	event_names[CE_NEVENTS] = {
	"Enrol", "Due", "Held", "Refused", "Lost", "Reset"
};

static void	act_begin(struct component *, const struct why *);
static void	act_resume(struct component *, const struct why *);
static void	act_again(struct component *, const struct why *);
static void	act_held(struct component *, const struct why *);
static void	act_failed(struct component *, const struct why *);
static void	act_look(struct component *, const struct why *);
static void	act_later(struct component *, const struct why *);

static const struct {
	enum component_state	 state;
	enum component_event	 event;
	void			(*act)(struct component *, const struct why *);
	enum component_state	 next;
} rows[] = {
	{ C_NOTENROLLED,	CE_ENROL,	act_begin,	C_ENROLLING },
	{ C_UNFINISHED,		CE_ENROL,	act_begin,	C_ENROLLING },
	{ C_FAILED,		CE_ENROL,	act_begin,	C_ENROLLING },
	{ C_ENROLLED,		CE_ENROL,	act_begin,	C_RENEWING },
	{ C_ENROLLED,		CE_DUE,		act_begin,	C_RENEWING },
	{ C_RESETREQUIRED,	CE_ENROL,	act_again,	C_RESUMING },
	{ C_RESETREQUIRED,	CE_DUE,		act_resume,	C_RESUMING },

	{ C_ENROLLING,		CE_HELD,	act_held,	C_ENROLLED },
	{ C_ENROLLING,		CE_BAD,		act_failed,	C_FAILED },
	{ C_ENROLLING,		CE_LOST,	act_failed,	C_UNFINISHED },
	{ C_ENROLLING,		CE_RESET,	act_look,	C_RESETREQUIRED },
	{ C_RENEWING,		CE_HELD,	act_held,	C_ENROLLED },
	{ C_RENEWING,		CE_BAD,		act_failed,	C_FAILED },
	{ C_RENEWING,		CE_LOST,	act_later,	C_ENROLLED },
	{ C_RENEWING,		CE_RESET,	act_look,	C_RESETREQUIRED },
	{ C_RESUMING,		CE_HELD,	act_held,	C_ENROLLED },
	{ C_RESUMING,		CE_BAD,		act_failed,	C_FAILED },
	{ C_RESUMING,		CE_LOST,	act_look,	C_RESETREQUIRED },
	{ C_RESUMING,		CE_RESET,	act_look,	C_RESETREQUIRED },
};

const char *
component_state_name(enum component_state s)
{
	return state_names[s];
}

int
component_state_find(const char *name)
{
	int	i;

	for (i = 0; i < C_NSTATES; i++)
		if (strcmp(state_names[i], name) == 0)
			return i;
	return -1;
}

struct component *
component_byname(const char *name)
{
	struct component	*c;

	TAILQ_FOREACH(c, &components, entry)
		if (strcmp(c->name, name) == 0)
			return c;
	return NULL;
}

bool
component_enrolled(const struct component *c)
{
	return c->cert.id != 0 && (c->state == C_ENROLLED ||
	    c->state == C_RENEWING);
}

uint64_t
component_renewal(const struct component *c)
{
	const struct component_cert	*t = &c->cert;

	return t->not_before + (t->not_after - t->not_before) / 3 * 2;
}

/* ---- acts ---------------------------------------------------------------- */

static void
steps_clear(struct component *c)
{
	while (c->nsteps > 0)
		free(c->steps[--c->nsteps].detail);
}

static void
act_begin(struct component *c, const struct why *why)
{
	steps_clear(c);
	why_set(&c->why, R_OK, NULL, NULL, NULL);
	c->reset_set = false;
	c->tag = 0;
	memset(&c->next, 0, sizeof(c->next));
	c->due = 0;
}

static void
act_resume(struct component *c, const struct why *why)
{
	steps_clear(c);
	c->due = 0;
}

/* The operator does not wait for a chain that was set: another one, then. A
 * request that the device keeps under its tag is still asked for. */
static void
act_again(struct component *c, const struct why *why)
{
	if (c->reset_set)
		act_begin(c, why);
	else
		act_resume(c, why);
}

static void
act_held(struct component *c, const struct why *why)
{
	c->cert = c->next;
	memset(&c->next, 0, sizeof(c->next));
	c->reset_set = false;
	c->tag = 0;
	c->attempts = 0;
	c->due = 0;
	why_set(&c->why, R_OK, NULL, NULL, NULL);
	why_set(&c->trouble, R_OK, NULL, NULL, NULL);
}

/* What it still holds is no longer renewed: an operator must look. */
static void
act_failed(struct component *c, const struct why *why)
{
	c->attempts = 0;
	c->due = 0;
	why_set(&c->trouble, R_OK, NULL, NULL, NULL);
	c->why = *why;
}

static void
retry(struct component *c, uint64_t min, uint64_t max)
{
	c->due = peers_env.mono() + peer_backoff(c->attempts, min, max);
	if (c->attempts < 16)
		c->attempts++;
}

static void
act_look(struct component *c, const struct why *why)
{
	if (why->reason == R_ATT_RESET_REQUIRED)
		c->why = *why;
	else	/* it is being reset, perhaps */
		c->trouble = *why;
	retry(c, RESET_MIN, RESET_MAX);
}

static void
act_later(struct component *c, const struct why *why)
{
	c->trouble = *why;
	retry(c, RENEW_MIN, RENEW_MAX);
}

/* ---- the one that moves -------------------------------------------------- */

static void
step_note(const struct component *c, enum component_state from,
    enum component_event ev, const struct why *why)
{
	enum reason	r = why != NULL ? why->reason : R_OK;

	log_about(LOG_LVL_INFO, r != R_OK ? reason_code(r) : NULL, NULL,
	    "component %s: %s -> %s: %s%s%s", c->name, state_names[from],
	    state_names[c->state], event_names[ev], r != R_OK ? ", " : "",
	    r != R_OK ? reason_code(r) : "");
	audit_record(AUDIT_TRANSITION, c->name, r, "%s -> %s: component, %s%s"
	    "%s%s%s%s%s", state_names[from], state_names[c->state],
	    event_names[ev],
	    r != R_OK && *why->field ? "; " : "", r != R_OK ? why->field : "",
	    r != R_OK && *why->expected ? ": expected " : "",
	    r != R_OK ? why->expected : "",
	    r != R_OK && *why->seen ? ", seen " : "",
	    r != R_OK ? why->seen : "");
}

int
component_step(struct component *c, enum component_event ev,
    const struct why *why)
{
	static const size_t	n = sizeof(rows) / sizeof(rows[0]);
	enum component_state	from = c->state;
	size_t			i;

	for (i = 0; i < n; i++)
		if (rows[i].state == from && rows[i].event == ev)
			break;
	if (i == n) {
		if (hubd_count(R_POL_EVENT) == 1)
			log_info("component %s: %s: refused in state %s",
			    c->name, event_names[ev], state_names[from]);
		return -1;
	}
	c->state = rows[i].next;
	c->since = peers_env.now();
	rows[i].act(c, why);
	step_note(c, from, ev, why);
	(void)component_save(c);
	control_component(c);
	return 0;
}

/* ---- time, and the start ------------------------------------------------- */

/*
 * Due by its age, by a clock that stepped back before it, or because our CA
 * is another one now: then nobody can verify what the slot holds.
 */
static bool
renewal_due(const struct component *c)
{
	const struct identity	*me = identity_get();
	uint64_t		 now = peers_env.now();
	uint8_t			 ca[HASH_LEN];

	if (now < c->cert.not_before || now >= component_renewal(c))
		return true;
	if (!me->certs[IDC_NODE_CA].have)
		return false;
	component_ca(ca);
	return memcmp(ca, c->cert.ca, sizeof(ca)) != 0;
}

void
components_tick(uint64_t mono)
{
	struct component	*c;

	TAILQ_FOREACH(c, &components, entry) {
		if (c->due != 0 && mono < c->due)
			continue;
		if (c->state == C_RESETREQUIRED ||
		    (c->state == C_ENROLLED && renewal_due(c)))
			component_step(c, CE_DUE, NULL);
	}
	component_job_pump();
}

/* What was under way when policyd ended came to no end that it saw. */
static void
resume(struct component *c)
{
	enum component_state	was = c->state;

	switch (was) {
	case C_ENROLLING:
		c->state = C_UNFINISHED;
		why_set(&c->why, R_POL_COMPONENT_UNFINISHED, NULL, NULL, NULL);
		break;
	case C_RENEWING:
		c->state = C_ENROLLED;
		break;
	case C_RESUMING:
		c->state = C_RESETREQUIRED;
		break;
	case C_NOTENROLLED:
		if (c->why.reason == R_OK)
			why_set(&c->why, R_POL_COMPONENT_NOT_ASKED, NULL, NULL,
			    NULL);
		break;
	case C_UNFINISHED:
	case C_RESETREQUIRED:
	case C_ENROLLED:
	case C_FAILED:
		break;
	case C_NSTATES:
		return;
	}
	/* The slot that it had is no longer ours to fill, or it is another
	 * device, for which nobody asked. */
	if (c->why.reason == R_POL_COMPONENT_CHANGED)
		c->state = C_NOTENROLLED;
	/* A row that lost its certificate is believed nothing. */
	if (c->state == C_ENROLLED && c->cert.id == 0)
		c->state = C_NOTENROLLED;
	if (c->state == C_RESETREQUIRED && c->reset_set && c->next.id == 0)
		c->state = C_UNFINISHED;
	if (c->state == was)
		return;
	c->since = peers_env.now();
	audit_record(AUDIT_TRANSITION, c->name, c->why.reason,
	    "%s -> %s: component, policyd started anew", state_names[was],
	    state_names[c->state]);
	(void)component_save(c);
}

void
components_start(void)
{
	const struct conf_component	*k;
	struct component		*c;

	for (k = conf->components; k != NULL; k = k->next) {
		if ((c = calloc(1, sizeof(*c))) == NULL)
			fatal("component");
		c->conf = k;
		c->name = k->name;
		c->since = peers_env.now();
		TAILQ_INSERT_TAIL(&components, c, entry);
		component_load(c);
		resume(c);
	}
	component_sweep();
}

void
components_end(void)
{
	struct component	*c;

	component_job_end();
	while ((c = TAILQ_FIRST(&components)) != NULL) {
		TAILQ_REMOVE(&components, c, entry);
		steps_clear(c);
		free(c);
	}
}
