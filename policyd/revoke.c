/*
 * What clients with a certificate of ours ask beside one: to revoke it, or
 * another's as an operator, and what has become of one.
 */
#include <string.h>

#include "clock.h"
#include "enrol.h"
#include "hex.h"

struct revocation {
	const struct msg_revoke_req *m;
	struct issued	 client, target;
};

/* An operator for as long as the list says so. */
static bool
is_operator(const struct issued *client)
{
	const struct conf_profile	*p = profile_find(client->profile);
	struct device			 dev;

	return p != NULL && p->operators && device_find(client->name, &dev) &&
	    strcmp(dev.profile, p->name) == 0;
}

/* A certificate of ours that counts at this moment. */
static enum reason
client_good(struct revocation *v, struct why *why)
{
	const struct msg_revoke_req	*m = v->m;

	if (m->client_serial.len == 0)
		return why_set(why, R_CRT_NO_AUTH, "client certificate", NULL,
		    NULL);
	if (!issued_find(m->client_serial.data, m->client_serial.len,
	    &v->client) || v->client.len == 0)
		return why_set(why, R_CRT_CLIENT_REVOKED, "client certificate",
		    "a recorded one", NULL);
	if (v->client.revoked != 0)
		return why_set(why, R_CRT_CLIENT_REVOKED, "client certificate",
		    "not revoked", crl_reason_name(v->client.reason));
	if (v->client.not_after <= clock_trusted())
		return why_set(why, R_CRT_CLIENT_EXPIRED, "client certificate",
		    NULL, NULL);
	return R_OK;
}

static enum reason
decide(struct revocation *v, struct why *why)
{
	const struct msg_revoke_req	*m = v->m;
	char				 serial[HEX_SIZE(20)];

	if (client_good(v, why) != R_OK)
		return why->reason;
	if (!crl_reason_ok(m->reason))
		return why_set(why, R_CTL_VALUE, "reason", NULL, NULL);
	if (m->serial.len == 0 || (m->serial.len == SERIAL_LEN &&
	    memcmp(m->serial.data, v->client.serial, SERIAL_LEN) == 0)) {
		v->target = v->client;
		return why_set(why, R_OK, NULL, NULL, NULL);
	}
	/* Whoever may not, is not told whether there is such a one. */
	if (!is_operator(&v->client))
		return why_set(why, R_CRT_NOT_YOURS, "profile", "one of"
		    " operators", v->client.profile);
	hex(m->serial.data, m->serial.len, serial);
	if (!issued_find(m->serial.data, m->serial.len, &v->target))
		return why_set(why, R_CRT_SERIAL, "serial", NULL, serial);
	return why_set(why, R_OK, NULL, NULL, NULL);
}

static int
refuse(struct chan *c, const struct ipc_call *call, const struct revocation *v,
    const struct why *why)
{
	attempt_refused(ATTEMPT_ADDRESS, v->m->address, enrol_now());
	refusal_note("revoke", v->client.name, v->m->address, why);
	return refuse_why(c, call, why);
}

int
enrold_revoke(struct chan *c, const struct ipc_call *call, const void *arg)
{
	static struct revocation	v;
	char				who[160];
	struct why			why;

	memset(&v, 0, sizeof(v));
	v.m = arg;
	if (attempt_over(ATTEMPT_ADDRESS, v.m->address, enrol_now())) {
		why_set(&why, R_CRT_ATTEMPTS_ADDRESS, "address", NULL,
		    v.m->address);
		return refuse(c, call, &v, &why);
	}
	if (decide(&v, &why) != R_OK)
		return refuse(c, call, &v, &why);
	snprintf(who, sizeof(who), "%s, from %s", v.client.name,
	    v.m->address);
	if (issued_revoke(&v.target, (enum crl_reason)v.m->reason, who,
	    &why) != R_OK)
		return refuse(c, call, &v, &why);
	crl_changed(v.target.generation, NULL, NULL);
	ack_call(call);
	return 0;
}

int
enrold_cert_status(struct chan *c, const struct ipc_call *call,
    const void *arg)
{
	const struct msg_cert_status_req	*m = arg;
	struct msg_cert_status_rep		 rep = { 0 };
	static struct issued			 i;

	rep.status = issued_status(m->serial.data, m->serial.len,
	    clock_trusted(), &i);
	if (rep.status == CERT_UNKNOWN)
		return chan_reply(c, call, MSG_CERT_STATUS_REP, &rep);
	rep.not_after = i.not_after;
	if (rep.status == CERT_REVOKED) {
		rep.revoked = i.revoked;
		rep.reason = i.reason;
	}
	return chan_reply(c, call, MSG_CERT_STATUS_REP, &rep);
}
