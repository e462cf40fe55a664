/* Commands about peers and their reference values; what watchers are told. */
#include <arpa/inet.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "control.h"
#include "hex.h"
#include "self.h"

/* ---- what happens ------------------------------------------------------- */

void
control_step(const struct peer *p, const struct step *s)
{
	if (!TAILQ_EMPTY(&clients))
		watchers_row(p, row_step(p->name, p->last_job, s));
}

void
control_attempt(const struct peer *p, const struct why *why)
{
	json_t	*o;

	if (TAILQ_EMPTY(&clients))
		return;
	o = row_new("attempt");
	row_str(o, "peer", p->name);
	row_why(o, "reason", why);
	row_num(o, "attempts", p->attempts);
	row_mono(o, "next", p->due);
	watchers_row(p, o);
}

/* The end of a 'provision' that waited for this. */
static void
wait_over(struct client *cl, const struct peer *p, const struct why *why)
{
	cl->wait = 0;
	client_row(cl, row_peer(p));
	if (why == NULL || why->reason == R_OK)
		client_ack(cl);
	else
		client_refuse(cl, why);
}

void
control_transition(const struct peer *p, enum peer_state from,
    enum peer_event ev, const struct why *why)
{
	struct client	*cl, *next;
	json_t		*o;

	if (TAILQ_EMPTY(&clients))
		return;
	o = row_new("transition");
	row_str(o, "peer", p->name);
	row_str(o, "from", fsm_state_name(from));
	row_str(o, "to", fsm_state_name(p->state));
	row_str(o, "event", fsm_event_name(ev));
	row_str(o, "cause", fsm_event_text(ev));
	row_why(o, "reason", why);
	row_time(o, "time", p->since);
	watchers_row(p, o);
	/* The connection of a trusted peer is not what is waited for. */
	if (p->state == P_ATTESTING ||
	    (fsm_trusted(from) && peer_trusted(p)))
		return;
	for (cl = TAILQ_FIRST(&clients); cl != NULL; cl = next) {
		next = TAILQ_NEXT(cl, entry);
		if (cl->wait == p->id)
			wait_over(cl, p, &p->why);
	}
}

void
control_stay(const struct peer *p, enum peer_event ev, const struct why *why)
{
	struct client	*cl, *next;

	if (ev != EV_GOOD && ev != EV_BAD && ev != EV_UNPROVED)
		return;
	for (cl = TAILQ_FIRST(&clients); cl != NULL; cl = next) {
		next = TAILQ_NEXT(cl, entry);
		if (cl->wait == p->id)
			wait_over(cl, p, ev == EV_GOOD ? NULL : why);
	}
}

void
control_link(const struct peer *p)
{
	if (!TAILQ_EMPTY(&clients))
		monitors_row(row_link(p));
}

void
control_neighbour(const struct neighbour *n, bool gone)
{
	if (!TAILQ_EMPTY(&clients))
		monitors_row(row_neighbour(n, gone ? "gone" : "heard"));
}

/* ---- showing ------------------------------------------------------------ */

static void
neighbour_row(const struct neighbour *n, void *arg)
{
	client_row(arg, row_neighbour(n, "heard"));
}

int
ctl_neighbours(struct chan *c, const struct ipc_call *call, const void *arg)
{
	struct client	*cl;

	if ((cl = client_begin(c, call)) == NULL)
		return 0;
	neighbours_each(neighbour_row, cl);	/* bounded, fits the queue */
	return client_done(cl);
}

/* Peers are kept in the order of their ids; the cursor is the next id. */
static bool
next_peer(struct client *cl)
{
	const struct peer	*p;

	TAILQ_FOREACH(p, &peers, entry)
		if (p->id >= cl->cursor)
			break;
	if (p == NULL)
		return false;
	client_row(cl, row_peer(p));
	cl->cursor = (uint64_t)p->id + 1;
	return true;
}

int
ctl_peer_list(struct chan *c, const struct ipc_call *call, const void *arg)
{
	struct client	*cl;

	if ((cl = client_begin(c, call)) == NULL)
		return 0;
	return client_stream(cl, next_peer);
}

/* The peer of this name, or NULL and the client is refused. */
static struct peer *
peer_named(struct client *cl, const char *name)
{
	struct peer	*p;

	if ((p = peer_byname(name)) == NULL)
		client_refuse_r(cl, R_POL_NO_PEER, "name", NULL, name);
	return p;
}

int
ctl_peer_show(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_ctl_peer_show	*m = arg;
	const struct measures		*l;
	struct client			*cl;
	struct peer			*p;
	unsigned			 i;

	if ((cl = client_begin(c, call)) == NULL ||
	    (p = peer_named(cl, m->name)) == NULL)
		return 0;
	client_row(cl, row_peer(p));
	if (p->ev != NULL && p->ev->anchor != NULL)
		client_row(cl, row_evidence(p));
	if (p->told)
		client_row(cl, row_link(p));
	for (i = 0; i < p->nsteps; i++)
		client_row(cl, row_step(p->name, p->last_job, &p->steps[i]));
	l = p->seen.n > 0 ? &p->seen : p->ev != NULL ? &p->ev->measures : NULL;
	for (i = 0; l != NULL && i < l->n; i++)
		client_row(cl, row_measurement(p, &l->m[i]));
	return client_done(cl);
}

/* ---- changing ----------------------------------------------------------- */

static bool
identity_ok(const char *s)
{
	return strlen(s) == NODE_ID_LEN &&
	    strspn(s, "0123456789abcdefABCDEF") == NODE_ID_LEN;
}

static bool
address_ok(const char *s)
{
	uint8_t	buf[16];

	return inet_pton(AF_INET, s, buf) == 1 ||
	    inet_pton(AF_INET6, s, buf) == 1;
}

int
ctl_peer_add(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_ctl_peer_add	*m = arg;
	struct client			*cl;
	struct peer			*p;
	struct why			 why;

	if ((cl = client_begin(c, call)) == NULL)
		return 0;
	if (*m->identity != '\0' && !identity_ok(m->identity))
		return client_refuse_r(cl, R_CTL_VALUE, "identity",
		    "40 hex digits", m->identity);
	if (*m->address != '\0' && !address_ok(m->address))
		return client_refuse_r(cl, R_CTL_VALUE, "address",
		    "an IP address", m->address);
	p = peer_new(m->name, FROM_OPERATOR, m->identity, m->serial,
	    m->address, &why);
	if (p == NULL)
		return client_refuse(cl, &why);
	audit_record(AUDIT_OPERATOR, p->name, R_OK,
	    "uid %u: peer add%s%s%s%s%s%s", cl->uid,
	    *p->identity ? " identity " : "", p->identity,
	    *p->serial ? " serial " : "", p->serial,
	    *p->address ? " address " : "", p->address);
	client_row(cl, row_peer(p));
	return client_ack(cl);
}

int
ctl_peer_remove(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_ctl_peer_remove	*m = arg;
	struct client				*cl;
	struct peer				*p;

	if ((cl = client_begin(c, call)) == NULL ||
	    (p = peer_named(cl, m->name)) == NULL)
		return 0;
	if (p->origin == FROM_CONF)
		return client_refuse_r(cl, R_POL_CONFIGURED, "name", NULL,
		    p->name);
	/* A revocation outlives the name; it is taken back on purpose only. */
	if (p->state == P_REVOKED)
		return client_refuse(cl, &p->why);
	audit_record(AUDIT_OPERATOR, p->name, R_OK, "uid %u: peer remove",
	    cl->uid);
	peer_remove(p);
	return client_ack(cl);
}

/* The operator confirms an identity: it is listed from now on. */
static enum reason
pin(struct peer *p, const char *identity, struct why *why)
{
	size_t	i;

	if (strcasecmp(p->identity, identity) == 0)
		return R_OK;
	if (p->conf != NULL && p->conf->identity != NULL)
		return why_set(why, R_POL_CONFIGURED, "identity",
		    p->conf->identity, identity);
	/* What it proved may be listed; another one may not. */
	if (peer_trusted(p) && strcasecmp(p->ev->node, identity) != 0)
		return why_set(why, R_POL_IDENTITY, "identity", p->ev->node,
		    identity);
	ipc_set_str(p->identity, sizeof(p->identity), identity);
	p->pinned = PIN_OPERATOR;
	for (i = 0; p->identity[i] != '\0'; i++)
		if (p->identity[i] >= 'A' && p->identity[i] <= 'F')
			p->identity[i] += 'a' - 'A';
	peer_leave(p);
	peer_store_save(p);
	return R_OK;
}

/* Attest it; the client is answered when it is trusted, or at once. */
static int
provision(struct client *cl, struct peer *p, bool wait, uint64_t patience)
{
	if (cl != NULL && wait) {
		cl->wait = p->id;
		cl->wait_until = peers_env.mono() + patience;
	}
	peer_provision(p);
	if (cl != NULL && !wait) {
		client_row(cl, row_peer(p));
		client_ack(cl);
	}
	return 0;
}

/* A 'provision' whose code keyd is asked to hold. */
struct typed {
	struct ipc_call	 call;
	bool		 wait;
};

static void
code_held(struct peer *p, const struct why *why, void *arg)
{
	struct typed	 t = *(struct typed *)arg;
	struct client	*cl = client_of(&t.call);
	char		 id[HEX_SIZE(CODE_ID_LEN)];

	free(arg);
	if (p == NULL || why->reason != R_OK) {
		if (cl != NULL && p != NULL)
			client_refuse(cl, why);
		else if (cl != NULL)
			client_refuse_r(cl, R_POL_NO_PEER, "name", NULL, NULL);
		return;
	}
	hex(p->code.id, CODE_ID_LEN, id);
	audit_record(AUDIT_OPERATOR, p->name, R_OK,
	    "one-time code of id %s typed", id);
	/* What runs knows nothing of the code. */
	job_cancel(p);
	provision(cl, p, t.wait, conf->code_lifetime + WAIT_MS);
}

static int
provision_code(struct client *cl, struct peer *p,
    const struct msg_ctl_provision *m)
{
	struct typed	*t;

	if (m->code.len != CODE_LEN)
		return client_refuse_r(cl, R_CTL_VALUE, "code", "16 bytes",
		    NULL);
	if ((t = malloc(sizeof(*t))) == NULL)
		fatal("code");
	*t = (struct typed){ cl->call, m->wait };
	if (code_hold(p, m->code.data, m->code.len, code_held, t) == 0)
		return 0;
	free(t);
	return client_refuse_r(cl, R_IPC_NOLINK, "daemon", "keyd", NULL);
}

int
ctl_provision(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_ctl_provision	*m = arg;
	struct client			*cl;
	struct peer			*p;
	struct why			 why;

	if ((cl = client_begin(c, call)) == NULL)
		return 0;
	if (*m->identity != '\0' && !identity_ok(m->identity))
		return client_refuse_r(cl, R_CTL_VALUE, "identity",
		    "40 hex digits", m->identity);
	if (strcmp(m->name, SELF_NAME) == 0)
		return control_self_provision(cl, m);
	if ((p = peer_wanted(m->name, true, &why)) == NULL)
		return client_refuse(cl, &why);
	if (*m->identity != '\0' && pin(p, m->identity, &why) != R_OK)
		return client_refuse(cl, &why);
	audit_record(AUDIT_OPERATOR, p->name, R_OK, "uid %u: provision%s%s%s",
	    cl->uid, *m->identity ? " identity " : "", m->identity,
	    m->code.len > 0 ? " with a one-time code" : "");
	if (m->code.len > 0)
		return provision_code(cl, p, m);
	return provision(cl, p, m->wait, WAIT_MS);
}

int
ctl_unprovision(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_ctl_unprovision	*m = arg;
	struct client				*cl;
	struct peer				*p;
	char					 who[24];

	if ((cl = client_begin(c, call)) == NULL ||
	    (p = peer_named(cl, m->name)) == NULL)
		return 0;
	snprintf(who, sizeof(who), "uid %u", cl->uid);
	peer_unprovision(p, AUDIT_OPERATOR, who);
	client_row(cl, row_peer(p));
	return client_ack(cl);
}

int
ctl_revoke(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_ctl_revoke	*m = arg;
	struct client			*cl;
	struct peer			*p;
	struct why			 why;
	char				 who[24];

	if ((cl = client_begin(c, call)) == NULL ||
	    (p = peer_named(cl, m->name)) == NULL)
		return 0;
	snprintf(who, sizeof(who), "uid %u", cl->uid);
	if (peer_revoke(p, AUDIT_OPERATOR, who, &why) != R_OK)
		return client_refuse(cl, &why);
	client_row(cl, row_peer(p));
	return client_ack(cl);
}

/* ---- reference values --------------------------------------------------- */

static void
reference_rows(struct client *cl, const struct peer *p, const char *set,
    const struct measures *l)
{
	unsigned	i;

	for (i = 0; l != NULL && i < l->n; i++)
		client_row(cl, row_reference(p, set, l, &l->m[i]));
}

int
ctl_reference_show(struct chan *c, const struct ipc_call *call,
    const void *arg)
{
	const struct msg_ctl_reference_show	*m = arg;
	const struct measures			*l;
	enum ref_source				 source;
	struct client				*cl;
	struct peer				*p;

	if ((cl = client_begin(c, call)) == NULL ||
	    (p = peer_named(cl, m->name)) == NULL)
		return 0;
	l = peer_reference(p, &source);
	reference_rows(cl, p, source == REF_ACCEPTED ? "accepted" :
	    source == REF_FILE ? "file" : "baseline", l);
	reference_rows(cl, p, "proposed", &p->proposed);
	return client_done(cl);
}

int
ctl_reference_learn(struct chan *c, const struct ipc_call *call,
    const void *arg)
{
	const struct msg_ctl_reference_learn	*m = arg;
	struct client				*cl;
	struct peer				*p;
	enum reason				 r;

	if ((cl = client_begin(c, call)) == NULL ||
	    (p = peer_named(cl, m->name)) == NULL)
		return 0;
	if ((r = reference_learn(p)) != R_OK)
		return client_refuse_r(cl, r, NULL, NULL, NULL);
	audit_record(AUDIT_OPERATOR, p->name, R_OK,
	    "uid %u: reference learn, %u values", cl->uid, p->proposed.n);
	reference_rows(cl, p, "proposed", &p->proposed);
	return client_ack(cl);
}

int
ctl_reference_accept(struct chan *c, const struct ipc_call *call,
    const void *arg)
{
	const struct msg_ctl_reference_accept	*m = arg;
	struct client				*cl;
	struct peer				*p;
	enum reason				 r;

	if ((cl = client_begin(c, call)) == NULL ||
	    (p = peer_named(cl, m->name)) == NULL)
		return 0;
	if ((r = reference_accept(p)) != R_OK)
		return client_refuse_r(cl, r, NULL, NULL, NULL);
	audit_record(AUDIT_OPERATOR, p->name, R_OK,
	    "uid %u: reference accept, %u values", cl->uid, p->accepted.n);
	reference_rows(cl, p, "accepted", &p->accepted);
	client_ack(cl);
	peer_step(p, EV_POLICY, NULL);
	jobs_pump();
	return 0;
}
