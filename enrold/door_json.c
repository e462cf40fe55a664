/* The JSON door: what an operation asks of policyd, and what it answers. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "enrold.h"
#include "hex.h"
#include "log.h"
#include "secret.h"

#define CRL_JSON_MAX	((size_t)16 << 20)	/* DER; larger: /crl/ */
#define N(a)		(sizeof(a) / sizeof((a)[0]))

/* What the answer of policyd belongs to. */
struct asked {
	enum json_operation op;
	uint8_t		 serial[20];
	size_t		 serial_len;
};

/* ---- answers --------------------------------------------------------------- */

static void
answer(struct conn *c, enum json_operation op, const struct json_member *m,
    const uint8_t *taken, size_t taken_len)
{
	struct reply r = { .status = 200, .type = "application/json",
	    .more = "Cache-Control: no-store\r\n" };

	if ((r.body = json_answer(op, m, &r.len)) == NULL)
		fatal("json");
	if (taken_len > 0 && taken_len <= sizeof(r.taken)) {
		memcpy(r.taken, taken, taken_len);
		r.taken_len = taken_len;
	}
	conn_reply(c, &r);
}

/* A device renews at two thirds of the time that its certificate has. */
static void
issued(struct conn *c, const void *msg, const struct refusal *why, void *ctx)
{
	const struct msg_enrol_rep	*m = msg;
	const struct asked		*a = ctx;
	const struct authority		*ca;
	char				 pem[4096], serial[HEX_SIZE(16)];
	char				 after[32], renew[32];
	uint64_t			 from, to;

	if (why != NULL) {
		conn_refuse(c, why);
		return;
	}
	if ((ca = settings_ca(m->ca)) == NULL || cert_window(
	    m->certificate.data, m->certificate.len, &from, &to) == -1 ||
	    pem_encode(m->certificate.data, m->certificate.len, "CERTIFICATE",
	    pem, sizeof(pem)) == 0) {
		conn_refuse_why(c, R_CRT_NO_CA, NULL, NULL, NULL);
		return;
	}
	hex(m->serial.data, m->serial.len, serial);
	time_text(to, after);
	time_text(from + (to - from) / 3 * 2, renew);
	answer(c, a->op, (const struct json_member[]){
	    { "serial", serial }, { "certificate", pem },
	    { "chain", (const char *)ca->chain->p },
	    { "not_after", after }, { "renew_after", renew },
	    { NULL, NULL } }, m->serial.data, m->serial.len);
}

static void
revoked(struct conn *c, const void *msg, const struct refusal *why, void *ctx)
{
	const struct asked	*a = ctx;
	char			 serial[HEX_SIZE(20)];

	if (why != NULL) {
		conn_refuse(c, why);
		return;
	}
	hex(a->serial, a->serial_len, serial);
	answer(c, a->op, (const struct json_member[]){
	    { "serial", serial }, { NULL, NULL } }, NULL, 0);
}

static const char *const states[CERT_NSTATUS] = {
	[CERT_GOOD] = "valid",
	[CERT_REVOKED] = "revoked",
	[CERT_UNKNOWN] = "unknown",
	[CERT_EXPIRED] = "expired",
};

static void
looked_up(struct conn *c, const void *msg, const struct refusal *why,
    void *ctx)
{
	const struct msg_cert_status_rep *m = msg;
	const struct asked		*a = ctx;
	char				 serial[HEX_SIZE(20)];
	char				 after[32], when[32];

	if (why != NULL) {
		conn_refuse(c, why);
		return;
	}
	hex(a->serial, a->serial_len, serial);
	time_text(m->not_after, after);
	time_text(m->revoked, when);
	answer(c, a->op, (const struct json_member[]){
	    { "serial", serial }, { "certificate_status", states[m->status] },
	    { "not_after", m->not_after == 0 ? NULL : after },
	    { "revoked", m->revoked == 0 ? NULL : when },
	    { "reason", m->revoked == 0 ? NULL : json_reason(m->reason) },
	    { NULL, NULL } }, NULL, 0);
}

/* ---- operations -------------------------------------------------------------- */

static void
ask_for(struct conn *c, const struct json_request *q, enum ipc_type type,
    const void *msg, size_t size, ask_fn fn)
{
	struct asked *a = calloc(1, sizeof(*a));

	if (a == NULL)
		fatal("json");
	a->op = q->op;
	memcpy(a->serial, q->serial, q->serial_len);
	a->serial_len = q->serial_len;
	ask(c, type, msg, size, fn, a, free);
}

/* In the JSON or by HTTP Basic; by both only the same one. */
static int
ticket(struct conn *c, struct json_request *q, const struct csr *csr,
    struct refusal *why)
{
	char	name[65];
	uint8_t	basic[TICKET_LEN];
	bool	has;
	int	r;

	r = basic_ticket(conn_request(c)->authorization, name, basic, &has,
	    why);
	if (r == 0 && has && !name_same(name, csr->name)) {
		refusal_set(why, R_ENR_AUTH, "Authorization", csr->name,
		    "another name");
		r = -1;
	}
	if (r == 0 && has && q->has_ticket &&
	    CRYPTO_memcmp(basic, q->ticket, TICKET_LEN) != 0) {
		refusal_set(why, R_ENR_AUTH, "ticket", "one ticket", "two");
		r = -1;
	}
	if (r == 0 && has) {
		memcpy(q->ticket, basic, TICKET_LEN);
		q->has_ticket = true;
	}
	explicit_bzero(basic, sizeof(basic));
	return r;
}

static void
enrol(struct conn *c, struct json_request *q)
{
	struct msg_enrol_req	 m;
	struct enrol_ask	 a = { .renew = q->op == JSON_RENEW,
	    .profile = q->profile };
	struct refusal		 why;
	struct csr		 csr;

	if (a.renew && conn_client(c)->kind == CLIENT_NONE) {
		conn_refuse_why(c, R_ENR_AUTH, "client certificate", "one",
		    "none");
		return;
	}
	if (csr_parse(q->csr, q->csr_len, &csr, &why) == -1 ||
	    csr_verify(&csr, &why) == -1 ||
	    est_bound(c, &csr, &why) == -1 ||
	    (!a.renew && ticket(c, q, &csr, &why) == -1)) {
		conn_refuse(c, &why);
		return;
	}
	a.csr = &csr;
	a.ticket = q->has_ticket ? q->ticket : NULL;
	enrol_message(c, &a, &m);
	ask_for(c, q, MSG_ENROL_REQ, &m, sizeof(m), issued);
	explicit_bzero(&m, sizeof(m));
}

static void
revoke_cert(struct conn *c, struct json_request *q)
{
	const struct client	*who = conn_client(c);
	struct msg_revoke_req	 m = { .reason = q->reason };

	if (conn_door(c) == DOOR_PLAIN) {
		conn_refuse_why(c, R_ENR_DOOR, "operation",
		    "a listener with TLS", "none");
		return;
	}
	if (who->kind != CLIENT_OURS) {
		conn_refuse_why(c, R_ENR_AUTH, "client certificate",
		    "one of this service", "none");
		return;
	}
	if (q->serial_len == 0) {
		memcpy(q->serial, who->serial, who->serial_len);
		q->serial_len = who->serial_len;
	}
	IPC_SET_BLOB(m.client_serial, who->serial, who->serial_len);
	IPC_SET_BLOB(m.serial, q->serial, q->serial_len);
	IPC_SET_STR(m.address, conn_address(c));
	ask_for(c, q, MSG_REVOKE_REQ, &m, sizeof(m), revoked);
}

static void
status(struct conn *c, struct json_request *q)
{
	const struct client		*who = conn_client(c);
	struct msg_cert_status_req	 m = { 0 };

	if (q->serial_len == 0 && who->kind == CLIENT_OURS) {
		memcpy(q->serial, who->serial, who->serial_len);
		q->serial_len = who->serial_len;
	}
	if (q->serial_len == 0) {
		conn_refuse_why(c, R_ENR_FIELD, "serial", "hex digits",
		    "none");
		return;
	}
	IPC_SET_BLOB(m.serial, q->serial, q->serial_len);
	ask_for(c, q, MSG_CERT_STATUS_REQ, &m, sizeof(m), looked_up);
}

static void
chain(struct conn *c, struct json_request *q)
{
	const struct authority *a = settings_current();

	if (a == NULL) {
		conn_refuse_why(c, R_CRT_NO_CA, NULL, NULL, NULL);
		return;
	}
	answer(c, q->op, (const struct json_member[]){
	    { "chain", (const char *)a->chain->p }, { NULL, NULL } }, NULL,
	    0);
}

/* Made once for each CRL, by whoever asks first. */
static void
crl(struct conn *c, struct json_request *q)
{
	const struct authority	*a = settings_current();
	struct reply		 r = { .status = 200,
	    .type = "application/json" };

	if (a == NULL || a->crl == NULL) {
		conn_refuse_why(c, R_CRT_NO_CA, "CRL", NULL, NULL);
		return;
	}
	if (a->crl->len > CRL_JSON_MAX) {
		conn_refuse_why(c, R_ENR_DOOR, "operation", "the path /crl/",
		    NULL);
		return;
	}
	r.blob = settings_crl_json();
	conn_reply(c, &r);
}

static void	(*const operations[JSON_NOPERATIONS])(struct conn *,
		    struct json_request *) = {
	[JSON_REQUEST] = enrol,
	[JSON_RENEW] = enrol,
	[JSON_REVOKE] = revoke_cert,
	[JSON_CHAIN] = chain,
	[JSON_CRL] = crl,
	[JSON_STATUS] = status,
};

/* curl says urlencoded unless told otherwise, small clients say nothing. */
static bool
type_ok(const struct http_request *r)
{
	static const char *const types[] = { "application/json", "text/plain",
	    "application/x-www-form-urlencoded", "application/octet-stream" };
	size_t	i, n = strcspn(r->content_type, "; \t");

	if (!r->has_type)
		return true;
	for (i = 0; i < N(types); i++)
		if (strlen(types[i]) == n && strncasecmp(r->content_type,
		    types[i], n) == 0)
			return true;
	return false;
}

void
json_serve(struct conn *c)
{
	const struct http_request	*r = conn_request(c);
	struct json_request		*q;
	enum json_operation		 op;
	struct refusal			 why;

	if (json_path(r->path, &op) == -1) {
		conn_refuse_why(c, R_ENR_PATH, "path", NULL, NULL);
		return;
	}
	if (!type_ok(r)) {
		conn_refuse_why(c, R_ENR_TYPE, "Content-Type",
		    "application/json", NULL);
		return;
	}
	if ((q = malloc(sizeof(*q))) == NULL)
		fatal("json");
	if (json_parse(op, r->body, r->body_len, q, &why) == -1)
		conn_refuse(c, &why);
	else
		operations[q->op](c, q);
	explicit_bzero(q->ticket, sizeof(q->ticket));
	free(q);
}
