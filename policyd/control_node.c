/* Commands about this node as it stands: status and log level. */
#include <string.h>
#include <unistd.h>

#include "confine.h"
#include "bus.h"
#include "ca.h"
#include "component.h"
#include "control.h"
#include "self.h"

/* As they are shown, those that the configuration asks for. */
static const enum ipc_role	 roles[] = { IPC_POLICYD, IPC_KEYD, IPC_NETD,
	IPC_ATTESTQ, IPC_ATTESTR, IPC_ENROLD, IPC_BUSD };
#define NROLES	(sizeof(roles) / sizeof(roles[0]))

static bool
role_runs(enum ipc_role role)
{
	return role == IPC_ENROLD ? conf->listeners != NULL :
	    role != IPC_BUSD || conf->dbus != NULL;
}

/* ---- status ------------------------------------------------------------- */

static void
warning_row(struct client *cl, const char *about, const struct why *why)
{
	json_t	*o;

	if (why->reason == R_OK)
		return;
	o = row_new("warning");
	row_str(o, "about", about);
	row_why(o, "reason", why);
	client_row(cl, o);
}

static void
warning(struct client *cl, const char *about, enum reason r)
{
	struct why	why;

	why_set(&why, r, NULL, NULL, NULL);
	warning_row(cl, about, &why);
}

/* All daemons ready and our identity complete: we serve. */
static const char *
node_state(void)
{
	const struct identity	*id = identity_get();
	size_t			 i;

	for (i = 1; i < NROLES; i++)
		if (role_runs(roles[i]) && !hubd_row(roles[i])->ready)
			return *id->node == '\0' ? "starting" : "degraded";
	return id->why.reason != R_OK || store_state() != R_OK ? "degraded" :
	    "ready";
}

static void
node_row(struct client *cl)
{
	json_t	*o = row_new("node");

	row_str(o, "node", identity_get()->node);
	row_str(o, "name", conf->node);
	row_bool(o, "developer", confine_developer());
	row_hex(o, "catalogue", ipc_catalogue(), HASH_LEN);
	row_time(o, "started", peers_env.now() - peers_age() / 1000);
	row_str(o, "state", node_state());
	client_row(cl, o);
}

static void
daemon_row(struct client *cl, enum ipc_role role, const struct hubd_row *h)
{
	json_t	*o = row_new("daemon");

	row_str(o, "role", ipc_role_name(role));
	row_str(o, "state", !h->up ? "absent" : h->ready ? "ready" : "greeted");
	row_bool(o, "ready", h->up && h->ready);
	if (h->up) {
		row_num(o, "pid", h->pid);
		row_num(o, "uid", h->uid);
	} else {
		row_null(o, "pid");
		row_null(o, "uid");
	}
	row_bool(o, "developer", h->developer);
	row_num(o, "generation", h->generation);
	row_time(o, "since", h->since);
	row_num(o, "offences", (int64_t)h->offences);
	row_num(o, "log_level", h->log_level);
	client_row(cl, o);
}

static void
daemon_rows(struct client *cl)
{
	struct hubd_row	 self = { .up = true, .ready = true };
	size_t		 i;

	self.pid = getpid();
	self.uid = getuid();
	self.developer = confine_developer();
	self.generation = 1;
	self.since = peers_env.now() - peers_age() / 1000;
	self.log_level = (uint32_t)log_level_now();
	daemon_row(cl, IPC_POLICYD, &self);
	for (i = 1; i < NROLES; i++)
		if (role_runs(roles[i]))
			daemon_row(cl, roles[i], hubd_row(roles[i]));
}

static void
keyd_row(struct client *cl)
{
	static const char *const backends[] = { "tpm", "sealed", "soft" };
	const struct identity	*id = identity_get();
	json_t			*o;

	if (hubd_link(IPC_KEYD) == NULL)
		return;
	o = row_new("keyd");
	row_str(o, "backend", backends[id->backend <= 2 ? id->backend : 2]);
	row_reason(o, "condition", id->condition);
	row_str(o, "manufacturer", id->manufacturer);
	row_str(o, "firmware", id->firmware);
	row_num(o, "keys", id->nkeys);
	row_bool(o, "counter", id->counter);
	client_row(cl, o);
}

static void
clock_row(struct client *cl)
{
	json_t	*o = row_new("clock");

	row_time(o, "time", peers_env.now());
	row_time(o, "floor", clockd_floor());
	row_bool(o, "unset", clockd_unset());
	client_row(cl, o);
}

static void
peers_row(struct client *cl)
{
	json_t			*o = row_new("peers");
	const struct peer	*p;
	int64_t			 trusted = 0, by[P_NSTATES] = { 0 }, busy = 0;

	TAILQ_FOREACH(p, &peers, entry) {
		by[p->state]++;
		trusted += peer_trusted(p);
		busy += p->job != NULL || p->queued;
	}
	row_num(o, "total", (int64_t)peers_count());
	row_num(o, "provisioned", trusted);
	row_num(o, "connected", by[P_CONNECTED]);
	row_num(o, "attesting", busy);
	row_num(o, "failed", by[P_ATTESTFAILED]);
	row_num(o, "revoked", by[P_REVOKED]);
	client_row(cl, o);
}

static void
trail_row(struct client *cl)
{
	json_t		*o = row_new("trail");
	uint64_t	 time, counter, uncovered;
	struct why	 why;

	audit_status(&time, &counter, &uncovered, &why);
	row_num(o, "sequence", (int64_t)audit_last());
	row_time(o, "checkpoint", time);
	row_num(o, "counter", (int64_t)counter);
	row_num(o, "uncovered", (int64_t)uncovered);
	row_why(o, "condition", &why);
	client_row(cl, o);
}

static void
counter_row(enum ipc_role role, enum reason r, uint64_t count, void *arg)
{
	json_t	*o = row_new("counter");

	row_str(o, "role", ipc_role_name(role));
	row_reason(o, "reason", r);
	row_num(o, "count", (int64_t)count);
	client_row(arg, o);
}

/* What an operator must do something about. */
static void
component_warnings(struct client *cl)
{
	const struct component	*c;

	TAILQ_FOREACH(c, &components, entry) {
		if (c->state == C_FAILED || c->state == C_UNFINISHED ||
		    c->state == C_RESETREQUIRED || c->state == C_RESUMING)
			warning_row(cl, c->name, &c->why);
		else
			warning_row(cl, c->name, &c->trouble);
	}
}

static void
service_warning(const char *about, const struct why *why, void *arg)
{
	warning_row(arg, about, why);
}

/* Profiles that let in whoever asks: as it was configured, and seen. */
static void
open_profiles(struct client *cl)
{
	const struct conf_profile	*p;

	for (p = conf->profiles; p != NULL; p = p->next)
		if (p->open)
			warning(cl, p->name, R_CTL_OPEN_PROFILE);
}

static void
warnings(struct client *cl)
{
	const struct identity	*id = identity_get();
	const struct peer	*p;
	unsigned		 n = 0;

	if (confine_developer())
		warning(cl, "policyd", R_CTL_DEVELOPER);
	warning_row(cl, "identity", &id->why);
	warning(cl, "keyd", id->condition);
	if (hubd_link(IPC_KEYD) != NULL && id->backend == KEY_BACKEND_SOFT)
		warning(cl, "keyd", R_CTL_SOFT_KEYS);
	if (clockd_unset())
		warning(cl, "clock", R_SYS_CLOCK_UNSET);
	warning(cl, "store", store_state());
	component_warnings(cl);
	service_warnings(service_warning, cl);
	open_profiles(cl);
	TAILQ_FOREACH(p, &peers, entry) {
		if (!peer_trusted(p))
			continue;
		if (n++ == 64)
			break;		/* the rest is in 'peer list' */
		if (p->trouble.reason != R_OK)
			warning_row(cl, p->name, &p->trouble);
		else
			warning(cl, p->name, p->warning);
	}
}

int
ctl_status(struct chan *c, const struct ipc_call *call, const void *arg)
{
	struct client	*cl;

	if ((cl = client_begin(c, call)) == NULL)
		return 0;
	node_row(cl);
	daemon_rows(cl);
	keyd_row(cl);
	clock_row(cl);
	peers_row(cl);
	control_self_status(cl);
	trail_row(cl);
	hubd_counters(counter_row, cl);
	warnings(cl);
	return client_done(cl);
}

int
ctl_log_level(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_ctl_log_level	*m = arg;
	struct client			*cl;
	bool				 found = false;
	size_t				 i;

	if ((cl = client_begin(c, call)) == NULL)
		return 0;
	for (i = 0; i < NROLES; i++) {
		if (!role_runs(roles[i]))
			continue;
		if (*m->daemon != '\0' &&
		    strcmp(m->daemon, ipc_role_name(roles[i])) != 0)
			continue;
		found = true;
		hubd_log_level(roles[i], m->level);
	}
	if (!found)
		return client_refuse_r(cl, R_CTL_DAEMON, "daemon", NULL,
		    m->daemon);
	bus_node_changed();
	audit_record(AUDIT_OPERATOR, m->daemon, R_OK, "uid %u: log level %u",
	    cl->uid, m->level);
	return client_ack(cl);
}
