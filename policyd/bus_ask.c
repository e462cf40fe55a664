/*
 * What busd may ask for: an attestation, an end of trust, how much is logged.
 *
 * The uid that it claims for its caller only narrows that, and is on record as
 * a claim: a busd that was taken over can claim any, so nothing is given here
 * that grants trust to whom policy does not list, or lifts a revocation.
 */
#include <sys/types.h>

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bus.h"
#include "self.h"

#define GROUP		"provd"
#define USERS_MAX	1024	/* members of it */

#define BURST		30	/* requests in a row; then ... */
#define EVERY_MS	2000	/* ... one each */
#define RECORD_MS	60000	/* between records of what was too much */

static uint64_t	paid;		/* mono ms until which requests are paid for */
static uint64_t	recorded;	/* mono ms of the last record of too many */

/* ---- who may ask ------------------------------------------------------------ */

static uint32_t	users[USERS_MAX];	/* beside root; set once in main */
static size_t	nusers;

static void
user_add(uid_t uid)
{
	if (bus_may(uid))
		return;
	if (nusers < USERS_MAX)
		users[nusers++] = uid;
	else
		log_warnx("group %s: uid %u is one too many, it may not ask",
		    GROUP, (unsigned)uid);
}

void
bus_read(const struct conf *c, bool developer)
{
	struct passwd	*pw;
	struct group	*gr;
	gid_t		 gid;
	char		**m;

	nusers = 0;
	paid = recorded = 0;
	if (c->dbus == NULL)
		return;
	if (developer)
		user_add(geteuid());
	if ((gr = getgrnam(GROUP)) == NULL)
		return;			/* then it is root only */
	gid = gr->gr_gid;
	for (m = gr->gr_mem; *m != NULL; m++)
		if ((pw = getpwnam(*m)) != NULL)
			user_add(pw->pw_uid);
	setpwent();
	while ((pw = getpwent()) != NULL)
		if (pw->pw_gid == gid)
			user_add(pw->pw_uid);
	endpwent();
}

bool
bus_may(uint32_t uid)
{
	size_t	i;

	for (i = 0; i < nusers; i++)
		if (users[i] == uid)
			return true;
	return uid == 0;
}

/* ---- a request -------------------------------------------------------------- */

struct wish {
	struct chan	*c;
	const struct ipc_call *call;
	const char	*what;
	char		 name[65];	/* of a peer, "" if there is none */
	char		 who[48];	/* as records say it */
	uint32_t	 uid;
};

static int
refuse(const struct wish *w, const struct why *why)
{
	if (hubd_count(why->reason) == 1)
		log_about(LOG_LVL_INFO, reason_code(why->reason), w->name,
		    "bus: %s refused to uid %u: %s %s", w->what, w->uid,
		    reason_code(why->reason), reason_text(why->reason));
	audit_record(AUDIT_REFUSAL, w->name, why->reason, "%s: %s refused",
	    w->who, w->what);
	return refuse_why(w->c, w->call, why);
}

static int
refuse_r(const struct wish *w, enum reason r, const char *field)
{
	struct why	why;

	why_set(&why, r, field, NULL, NULL);
	return refuse(w, &why);
}

/* It asks too often: counted, and one a minute on record. */
static int
refuse_rate(const struct wish *w, uint64_t now)
{
	if (recorded == 0 || now - recorded >= RECORD_MS) {
		recorded = now;
		return refuse_r(w, R_BUS_RATE, NULL);
	}
	hubd_count(R_BUS_RATE);
	return chan_refuse(w->c, w->call, R_BUS_RATE);
}

static bool
too_often(uint64_t now)
{
	if (paid < now)
		paid = now;
	if (paid - now > (BURST - 1) * EVERY_MS)
		return true;
	paid += EVERY_MS;
	return false;
}

/* May this one be asked at all? Else the call is refused. */
static bool
wish_ok(struct wish *w, struct chan *c, const struct ipc_call *call,
    uint32_t uid, const char *what, const char *name)
{
	uint64_t	now = peers_env.mono();
	char		seen[16];
	struct why	why;

	memset(w, 0, sizeof(*w));
	w->c = c;
	w->call = call;
	w->uid = uid;
	w->what = what;
	text_set(w->name, sizeof(w->name), name);
	snprintf(w->who, sizeof(w->who), "claimed by busd: uid %u", uid);
	if (too_often(now)) {
		refuse_rate(w, now);
		return false;
	}
	if (bus_may(uid))
		return true;
	snprintf(seen, sizeof(seen), "uid %u", uid);
	why_set(&why, R_BUS_CALLER, "caller", "root, or group " GROUP, seen);
	refuse(w, &why);
	return false;
}

/* ---- the four ---------------------------------------------------------------- */

int
busd_provision(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_bus_provision	*m = arg;
	struct peer			*p = NULL;
	struct wish			 w;
	struct why			 why;

	if (!wish_ok(&w, c, call, m->caller, "provision", m->name))
		return 0;
	if (strcmp(m->name, SELF_NAME) != 0 &&
	    (p = peer_wanted(m->name, false, &why)) == NULL)
		return refuse(&w, &why);
	if (bus_asked(call, p == NULL ? PEER_SELF : p->id) == -1)
		return refuse_r(&w, R_BUS_RATE, "outcomes");
	audit_record(AUDIT_CLAIM, m->name, R_OK, "%s: provision", w.who);
	if (p == NULL)
		self_provision();
	else
		peer_provision(p);
	return 0;
}

int
busd_unprovision(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_bus_unprovision	*m = arg;
	struct peer				*p;
	struct wish				 w;

	if (!wish_ok(&w, c, call, m->caller, "unprovision", m->name))
		return 0;
	if ((p = peer_byname(m->name)) == NULL)
		return refuse_r(&w, R_POL_NO_PEER, "name");
	if (p->state == P_REVOKED)
		return refuse_r(&w, R_BUS_REVOKED, "name");
	peer_unprovision(p, AUDIT_CLAIM, w.who);
	ack_call(call);
	return 0;
}

int
busd_revoke(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_bus_revoke	*m = arg;
	struct peer			*p;
	struct wish			 w;
	struct why			 why;

	if (!wish_ok(&w, c, call, m->caller, "revoke", m->name))
		return 0;
	if ((p = peer_byname(m->name)) == NULL)
		return refuse_r(&w, R_POL_NO_PEER, "name");
	if (peer_revoke(p, AUDIT_CLAIM, w.who, &why) != R_OK)
		return refuse(&w, &why);
	ack_call(call);
	return 0;
}

int
busd_log_level(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_bus_log_level	*m = arg;
	struct wish			 w;
	unsigned			 r;

	if (!wish_ok(&w, c, call, m->caller, "log level", ""))
		return 0;
	for (r = 0; r < IPC_NROLES; r++)
		hubd_log_level(r, m->level);
	audit_record(AUDIT_CLAIM, "", R_OK, "%s: log level %u", w.who,
	    m->level);
	bus_node_changed();
	ack_call(call);
	return 0;
}
