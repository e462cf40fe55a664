/* Commands that read: identity, the audit log, explain, monitor. */
#include <openssl/sha.h>

#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "self.h"

#define AUDIT_PAGE	32	/* records a step of 'audit show' */

/* A call that is answered later. */
static struct ipc_call *
call_keep(const struct ipc_call *call)
{
	struct ipc_call	*copy;

	if ((copy = malloc(sizeof(*copy))) == NULL)
		fatal("control");
	*copy = *call;
	return copy;
}

/* ---- identity ----------------------------------------------------------- */

void
control_certificate(struct client *cl, const char *use, unsigned position,
    const uint8_t *der, size_t len)
{
	struct cert_info	 info;
	uint8_t			 hash[HASH_LEN];
	json_t			*o;

	if (cert_read(der, len, &info) == -1)
		return;
	o = row_new("certificate");
	row_str(o, "use", use);
	row_num(o, "position", position);
	row_str(o, "subject", info.subject);
	row_str(o, "issuer", info.issuer);
	row_hex(o, "serial", info.serial, info.seriallen);
	row_time(o, "not_before", info.not_before);
	row_time(o, "not_after", info.not_after);
	SHA256(der, len, hash);
	row_hex(o, "sha256", hash, sizeof(hash));
	row_pem(o, "pem", "CERTIFICATE", der, len);
	client_row(cl, o);
}

static void
slot0_rows(struct client *cl)
{
	const struct identity	*id = identity_get();
	const uint8_t		*p = id->slot0.der, *der;
	size_t			 left = id->slot0.len, len;
	unsigned		 n = 0;

	if (id->slot0.have)
		while (cert_next(&p, &left, &der, &len))
			control_certificate(cl, "slot-0", n++, der, len);
}

int
ctl_identity_show(struct chan *c, const struct ipc_call *call, const void *arg)
{
	static const char *const	 labels[IDK_N] = {
	    [IDK_CA] = "ca", [IDK_SPDM] = "spdm", [IDK_TLS] = "tls",
	    [IDK_AUDIT] = "audit" };
	static const char *const	 uses[IDC_N] = {
	    [IDC_NODE_CA] = "node-ca", [IDC_SPDM_LEAF] = "spdm-leaf",
	    [IDC_TLS_LEAF] = "tls-leaf" };
	const struct identity		*id = identity_get();
	struct client			*cl;
	json_t				*o;
	unsigned			 i;

	if ((cl = client_begin(c, call)) == NULL)
		return 0;
	o = row_new("identity");
	row_str(o, "node", id->node);
	row_str(o, "name", conf->node);
	row_str(o, "algorithm", !id->keys[IDK_SPDM].have ? "" :
	    id->keys[IDK_SPDM].algorithm == KEY_P256 ? "P-256" : "P-384");
	row_str(o, "state", id->why.reason == R_OK ? "ready" : "waiting");
	row_why(o, "reason", &id->why);
	client_row(cl, o);
	for (i = 0; i < IDK_N; i++) {
		if (!id->keys[i].have)
			continue;
		o = row_new("key");
		row_str(o, "label", labels[i]);
		row_str(o, "purpose", labels[i]);
		row_str(o, "algorithm",
		    id->keys[i].algorithm == KEY_P256 ? "P-256" : "P-384");
		row_num(o, "key", id->keys[i].key);
		client_row(cl, o);
	}
	for (i = 0; i < IDC_N; i++)
		if (id->certs[i].have)
			control_certificate(cl, uses[i], 0, id->certs[i].der,
			    id->certs[i].len);
	slot0_rows(cl);
	return client_done(cl);
}

static void
csr_made(const uint8_t *der, size_t len, const struct why *why, void *arg)
{
	struct ipc_call	*call = arg;
	struct client	*cl = client_of(call);
	json_t		*o;

	free(call);
	if (cl == NULL)
		return;
	if (der == NULL) {
		client_refuse(cl, why);
		return;
	}
	o = row_new("csr");
	row_pem(o, "pem", "CERTIFICATE REQUEST", der, len);
	client_row(cl, o);
	client_done(cl);
}

int
ctl_identity_csr(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_ctl_identity_csr	*m = arg;
	struct client				*cl;

	if ((cl = client_begin(c, call)) == NULL)
		return 0;
	audit_record(AUDIT_OPERATOR, "", R_OK, "uid %u: identity csr", cl->uid);
	identity_csr(m->serial, csr_made, call_keep(call));
	return 0;
}

int
ctl_identity_install(struct chan *c, const struct ipc_call *call,
    const void *arg)
{
	const struct msg_ctl_identity_install	*m = arg;
	struct client				*cl;
	struct why				 why;

	if ((cl = client_begin(c, call)) == NULL)
		return 0;
	if (identity_install(m->chain.data, m->chain.len, &why) != R_OK) {
		audit_record(AUDIT_OPERATOR, "", why.reason,
		    "uid %u: identity install", cl->uid);
		return client_refuse(cl, &why);
	}
	audit_record(AUDIT_OPERATOR, "", R_OK, "uid %u: identity install",
	    cl->uid);
	slot0_rows(cl);
	return client_ack(cl);
}

/* ---- the audit log ------------------------------------------------------ */

static void
audit_send(const struct audit_row *a, void *arg)
{
	client_row(arg, row_audit(a));
}

static bool
next_audit(struct client *cl)
{
	cl->cursor = audit_page(cl->cursor, AUDIT_PAGE, audit_send, cl);
	return cl->cursor != 0;
}

int
ctl_audit_show(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_ctl_audit_show	*m = arg;
	struct client			*cl;
	uint64_t			 last = audit_last();

	if ((cl = client_begin(c, call)) == NULL)
		return 0;
	cl->cursor = m->from > 0 ? m->from : 1;
	if (m->last > 0 && last > m->last && cl->cursor <= last - m->last)
		cl->cursor = last - m->last + 1;
	return client_stream(cl, next_audit);
}

static void
audit_verified(const struct audit_result *res, void *arg)
{
	struct ipc_call	*call = arg;
	struct client	*cl = client_of(call);
	json_t		*o;

	free(call);
	if (cl == NULL)
		return;
	o = row_new("verify");
	row_num(o, "records", (int64_t)res->records);
	if (res->sequence != 0)
		row_num(o, "sequence", (int64_t)res->sequence);
	else
		row_null(o, "sequence");
	row_num(o, "checkpoints", (int64_t)res->checkpoints);
	row_num(o, "uncovered", (int64_t)res->uncovered);
	row_num(o, "counter", (int64_t)res->counter);
	if (res->have_counter)
		row_num(o, "tpm_counter", (int64_t)res->tpm_counter);
	else
		row_null(o, "tpm_counter");
	row_why(o, "reason", &res->why);
	client_row(cl, o);
	if (res->why.reason != R_OK)
		client_refuse(cl, &res->why);
	else
		client_done(cl);
}

int
ctl_audit_verify(struct chan *c, const struct ipc_call *call, const void *arg)
{
	if (client_begin(c, call) == NULL)
		return 0;
	audit_verify(audit_verified, call_keep(call));
	return 0;
}

/* ---- explain ------------------------------------------------------------ */

static const char *
explain_text(const struct peer *p)
{
	switch (p->state) {
	case P_NOTDETERMINED:
		return "The peer is not trusted, and nobody asked for it yet.";
	case P_ATTESTING:
		return p->job != NULL ? "The peer is being attested." :
		    p->queued ? "The peer waits to be attested." :
		    "The peer is to be attested; the last attempt did not "
		    "reach it.";
	case P_PROVISIONED:
		return "The peer is trusted; no connection was tried yet.";
	case P_INPROGRESS:
		return "The peer is trusted; a connection is being made.";
	case P_CONNECTED:
		return "The peer is trusted and connected.";
	case P_NOTCONNECTED:
		return "The peer is trusted, but there is no connection.";
	case P_ATTESTFAILED:
		return "The peer was attested and is not trusted.";
	case P_REVOKED:
		return "An operator revoked the peer's identity.";
	case P_NSTATES:
		break;
	}
	return "";
}

int
ctl_explain_peer(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_ctl_explain_peer	*m = arg;
	const struct peer			*p;
	struct client				*cl;
	struct why				 warning;
	json_t					*o;

	if ((cl = client_begin(c, call)) == NULL)
		return 0;
	if (strcmp(m->name, SELF_NAME) == 0)
		return control_self_explain(cl);
	if ((p = peer_byname(m->name)) == NULL)
		return client_refuse_r(cl, R_POL_NO_PEER, "name", NULL,
		    m->name);
	o = row_new("explain");
	row_str(o, "peer", p->name);
	row_str(o, "state", fsm_state_name(p->state));
	row_str(o, "text", explain_text(p));
	row_why(o, "reason", &p->why);
	why_set(&warning, p->warning, NULL, NULL, NULL);
	row_why(o, "warning", p->trouble.reason != R_OK ? &p->trouble :
	    peer_trusted(p) ? &warning : NULL);
	row_str(o, "confirm", p->why.reason == R_POL_NOT_LISTED ?
	    p->why.seen : "");
	client_row(cl, o);
	return client_done(cl);
}

/* ---- monitor ------------------------------------------------------------ */

int
ctl_monitor(struct chan *c, const struct ipc_call *call, const void *arg)
{
	struct client	*cl;

	if ((cl = client_begin(c, call)) == NULL)
		return 0;
	cl->monitor = true;	/* the call is never answered */
	return 0;
}

void
control_event(const struct audit_row *a)
{
	if (!TAILQ_EMPTY(&clients))
		monitors_row(row_audit(a));
}
