/* Commands about components; what watchers are told of them. */
#include <string.h>

#include "component.h"
#include "control.h"

/* attestd/requester_csr.c: the scripts of a component's jobs. */
#define STEPS	14
static const char *const	enrol_steps[STEPS] = { "VERSION", "CAPABILITIES",
    "ALGORITHMS", "DIGESTS", "CERTIFICATE, slot 0", "CHALLENGE",
    "MEASUREMENTS", "KEY_EXCHANGE", "FINISH", "CSR", "SET_CERTIFICATE",
    "DIGESTS", "CERTIFICATE of the slot", "END_SESSION" };
static const char *const	look_steps[STEPS] = { "VERSION",
    "CAPABILITIES", "ALGORITHMS", "DIGESTS", "CERTIFICATE, slot 0",
    "CERTIFICATE of the slot", "CHALLENGE", "MEASUREMENTS" };

static json_t *
row_component(const struct component *c)
{
	const struct component_cert	*t = &c->cert;
	json_t				*o = row_new("component");

	row_str(o, "name", c->name);
	row_str(o, "state", component_state_name(c->state));
	row_bool(o, "enrolled", component_enrolled(c));
	row_time(o, "since", c->since);
	row_num(o, "slot", c->conf->slot);
	row_str(o, "address", c->conf->address);
	row_num(o, "port", c->conf->spdm_port);
	row_str(o, "identity", c->conf->identity);
	row_str(o, "serial", c->conf->serial);
	row_str(o, "node", c->node);
	row_str(o, "device", c->device);
	row_time(o, "attested", c->attested);
	row_bool(o, "busy", component_job_of(c));
	if (t->id != 0)
		row_hex(o, "certificate", t->serial, sizeof(t->serial));
	else
		row_null(o, "certificate");
	row_time(o, "not_before", t->id != 0 ? t->not_before : 0);
	row_time(o, "not_after", t->id != 0 ? t->not_after : 0);
	row_time(o, "renewal", t->id != 0 ? component_renewal(c) : 0);
	row_mono(o, "next", c->due);
	row_why(o, "reason", &c->why);
	row_why(o, "warning", &c->trouble);
	return o;
}

static json_t *
row_component_step(const struct component *c, const struct step *s)
{
	const char *const	*names = c->looked ? look_steps : enrol_steps;
	json_t			*o = row_new("step");

	row_null(o, "peer");
	row_str(o, "component", c->name);
	row_num(o, "job", c->last_job);
	row_num(o, "step", s->step);
	row_str(o, "name", s->step < STEPS ? names[s->step] : "");
	row_str(o, "detail", s->detail);
	row_time(o, "time", s->time);
	return o;
}

/* ---- what happens -------------------------------------------------------- */

static bool
waits(const struct client *cl, const void *what)
{
	return cl->component == what;
}

void
control_component_step(const struct component *c, const struct step *s)
{
	if (!TAILQ_EMPTY(&clients))
		waiters_row(waits, c, row_component_step(c, s));
}

static bool
under_way(const struct component *c)
{
	return c->state == C_ENROLLING || c->state == C_RENEWING ||
	    c->state == C_RESUMING;
}

void
control_component(struct component *c)
{
	const struct why	*why;
	struct client		*cl, *next;

	if (TAILQ_EMPTY(&clients))
		return;
	monitors_row(row_component(c));
	if (under_way(c))
		return;
	why = component_enrolled(c) ? &c->trouble : &c->why;
	for (cl = TAILQ_FIRST(&clients); cl != NULL; cl = next) {
		next = TAILQ_NEXT(cl, entry);
		if (cl->component != c)
			continue;
		cl->component = NULL;
		client_row(cl, row_component(c));
		if (why->reason == R_OK)
			client_ack(cl);
		else
			client_refuse(cl, why);
	}
}

/* ---- commands ------------------------------------------------------------ */

int
ctl_component_list(struct chan *ch, const struct ipc_call *call,
    const void *arg)
{
	const struct component	*c;
	struct client		*cl;

	if ((cl = client_begin(ch, call)) == NULL)
		return 0;
	TAILQ_FOREACH(c, &components, entry)	/* bounded, fits the queue */
		client_row(cl, row_component(c));
	return client_done(cl);
}

static struct component *
named(struct client *cl, const char *name)
{
	struct component	*c = component_byname(name);

	if (c == NULL)
		client_refuse_r(cl, R_POL_COMPONENT_NONE, "name", NULL, name);
	return c;
}

int
ctl_component_show(struct chan *ch, const struct ipc_call *call,
    const void *arg)
{
	const struct msg_ctl_component_show	*m = arg;
	const struct identity			*me = identity_get();
	struct component			*c;
	struct client				*cl;
	unsigned				 i;

	if ((cl = client_begin(ch, call)) == NULL ||
	    (c = named(cl, m->name)) == NULL)
		return 0;
	client_row(cl, row_component(c));
	if (c->cert.id != 0) {
		control_certificate(cl, "component", 0, c->cert.der,
		    c->cert.len);
		control_certificate(cl, "node-ca", 1,
		    me->certs[IDC_NODE_CA].der, me->certs[IDC_NODE_CA].len);
	}
	for (i = 0; i < c->nsteps; i++)
		client_row(cl, row_component_step(c, &c->steps[i]));
	return client_done(cl);
}

int
ctl_component_enrol(struct chan *ch, const struct ipc_call *call,
    const void *arg)
{
	const struct msg_ctl_component_enrol	*m = arg;
	struct component			*c;
	struct client				*cl;

	if ((cl = client_begin(ch, call)) == NULL ||
	    (c = named(cl, m->name)) == NULL)
		return 0;
	if (under_way(c))
		return client_refuse_r(cl, R_POL_COMPONENT_BUSY, "name", NULL,
		    c->name);
	audit_record(AUDIT_OPERATOR, c->name, R_OK, "uid %u: component enrol",
	    cl->uid);
	c->attempts = 0;
	if (m->wait) {
		cl->component = c;
		cl->wait_until = peers_env.mono() + WAIT_MS;
	}
	component_step(c, CE_ENROL, NULL);
	if (!m->wait) {
		client_row(cl, row_component(c));
		client_ack(cl);
	}
	component_job_pump();
	return 0;
}
