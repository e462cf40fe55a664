/* Commands about this node attested by itself; what watchers are told. */
#include <string.h>

#include "control.h"
#include "self.h"

static json_t *
row_self(void)
{
	json_t		*o = row_new("self");
	struct why	 why;

	row_str(o, "state", self_state_name(self_state()));
	row_bool(o, "provisioned", self_state() == SELF_PROVISIONED);
	row_time(o, "since", self_since());
	row_str(o, "node", identity_get()->node);
	row_bool(o, "attesting", self_attesting());
	row_time(o, "attested", self_attested());
	row_mono(o, "next", self_due());
	row_num(o, "attempts", self_attempts());
	row_why(o, "reason", self_why());
	why_set(&why, self_warning(), NULL, NULL, NULL);
	row_why(o, "warning", self_trouble()->reason != R_OK ? self_trouble() :
	    &why);
	return o;
}

/* ---- what happens -------------------------------------------------------- */

static bool
waits(const struct client *cl, const void *what)
{
	return cl->self;
}

void
control_self_step(const struct step *s)
{
	if (!TAILQ_EMPTY(&clients))
		waiters_row(waits, NULL, row_step(SELF_NAME, self_last_job(),
		    s));
}

void
control_self_transition(enum self_state from, const char *event,
    const char *cause, const struct why *why)
{
	json_t	*o;

	if (TAILQ_EMPTY(&clients))
		return;
	o = row_new("transition");
	row_str(o, "peer", SELF_NAME);
	row_str(o, "from", self_state_name(from));
	row_str(o, "to", self_state_name(self_state()));
	row_str(o, "event", event);
	row_str(o, "cause", cause);
	row_why(o, "reason", why);
	row_time(o, "time", self_since());
	waiters_row(waits, NULL, o);
}

void
control_self_attempt(const struct why *why)
{
	json_t	*o;

	if (TAILQ_EMPTY(&clients))
		return;
	o = row_new("attempt");
	row_str(o, "peer", SELF_NAME);
	row_why(o, "reason", why);
	row_num(o, "attempts", self_attempts());
	row_mono(o, "next", self_due());
	waiters_row(waits, NULL, o);
}

void
control_self_judged(const struct why *why)
{
	struct client	*cl, *next;

	for (cl = TAILQ_FIRST(&clients); cl != NULL; cl = next) {
		next = TAILQ_NEXT(cl, entry);
		if (!cl->self)
			continue;
		cl->self = false;
		client_row(cl, row_self());
		if (why->reason == R_OK)
			client_ack(cl);
		else
			client_refuse(cl, why);
	}
}

void
control_self_pending(struct why *why)
{
	if (self_trouble()->reason != R_OK)
		*why = *self_trouble();
	else if (self_why()->reason != R_OK)
		*why = *self_why();
}

/* ---- commands ------------------------------------------------------------ */

void
control_self_status(struct client *cl)
{
	if (self_runs())
		client_row(cl, row_self());
}

int
control_self_provision(struct client *cl, const struct msg_ctl_provision *m)
{
	if (*m->identity != '\0' || m->code.len > 0)
		return client_refuse_r(cl, R_CTL_VALUE,
		    *m->identity != '\0' ? "identity" : "code",
		    "nothing: this node is who it is", NULL);
	audit_record(AUDIT_OPERATOR, SELF_NAME, R_OK, "uid %u: provision",
	    cl->uid);
	if (m->wait) {
		cl->self = true;
		cl->wait_until = peers_env.mono() + WAIT_MS;
	}
	self_provision();
	if (!m->wait) {
		client_row(cl, row_self());
		client_ack(cl);
	}
	return 0;
}

static const char *
explain_text(void)
{
	switch (self_state()) {
	case SELF_UNKNOWN:
		return "This node has not attested itself yet.";
	case SELF_ATTESTING:
		return self_attesting() ? "This node is attesting itself." :
		    "This node is to attest itself; it waits for what that "
		    "needs.";
	case SELF_PROVISIONED:
		return "This node attested itself as it would a peer.";
	case SELF_FAILED:
		return "This node attested itself, and would not trust a peer "
		    "that showed the same.";
	case SELF_NSTATES:
		break;
	}
	return "";
}

int
control_self_explain(struct client *cl)
{
	json_t		*o = row_new("explain");
	struct why	 why;

	row_str(o, "peer", SELF_NAME);
	row_str(o, "state", self_state_name(self_state()));
	row_str(o, "text", explain_text());
	row_why(o, "reason", self_why());
	why_set(&why, self_warning(), NULL, NULL, NULL);
	row_why(o, "warning", self_trouble()->reason != R_OK ? self_trouble() :
	    &why);
	row_null(o, "confirm");
	client_row(cl, o);
	return client_done(cl);
}
