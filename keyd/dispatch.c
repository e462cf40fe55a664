/*
 * Who may ask keyd for what: one table a peer. A handler finds the key,
 * has a form built or checked, and signs; it answers now or when the TPM has.
 */
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "dispatch.h"
#include "log.h"
#include "secret.h"

#define N(t)	(sizeof(t) / sizeof((t)[0]))

static struct keyd_conf	self;	/* set once, before the loop */

/* ---- refusals -------------------------------------------------------- */

int
dispatch_refuse(struct chan *c, const struct ipc_call *call,
    const struct why *w)
{
	if (hub_count(w->reason) == 1)
		log_about(LOG_LVL_WARN, reason_code(w->reason), NULL,
		    "%s from %s: %s", ipc_name(call->type),
		    ipc_role_name(chan_peer(c)), why_text(w));
	return chan_refuse_why(c, call, w->reason, w->field, w->expected,
	    w->seen);
}

int
dispatch_refuse_for(struct chan *c, const struct ipc_call *call,
    enum reason reason, const char *field, const char *expected, const char *seen)
{
	struct why	 w;

	why_set(&w, reason, field, expected, seen);
	return dispatch_refuse(c, call, &w);
}

/* What is wrong with all of keyd; R_OK if nothing. */
enum reason
dispatch_condition(void)
{
	if (self.state != R_OK || self.tpm == NULL)
		return self.state;
	return tpm_state(self.tpm);
}

/* The key of this number if it serves the purpose; else refused, NULL. */
const struct key *
dispatch_find(struct chan *c, const struct ipc_call *call, uint32_t id,
    enum key_purpose purpose)
{
	const struct key	*k;

	if (dispatch_condition() != R_OK) {
		dispatch_refuse_for(c, call, dispatch_condition(), "keyd", NULL, NULL);
		return NULL;
	}
	if ((k = key_byid(id)) == NULL) {
		dispatch_refuse_for(c, call, R_KEY_UNKNOWN, "key", NULL, NULL);
		return NULL;
	}
	if (purpose != KEY_NPURPOSES && key_purpose(k) != purpose) {
		dispatch_refuse_for(c, call, R_KEY_PURPOSE, "key",
		    key_purpose_name(purpose),
		    key_purpose_name(key_purpose(k)));
		return NULL;
	}
	return k;
}

struct asked *
asked_new(const struct ipc_call *call, const struct key *k)
{
	struct asked	*a;

	if ((a = calloc(1, sizeof(*a))) == NULL)
		fatal("calloc");
	a->call = *call;
	a->key = k;
	return a;
}

/*
 * The channel to answer on once a job is over, or NULL: whoever asked has
 * gone since, or it failed and was refused.
 */
struct chan *
asked_chan(const struct asked *a, const struct why *w)
{
	struct chan	*c = chan_find(&a->call);

	if (c == NULL || w->reason == R_OK)
		return c;
	dispatch_refuse(c, &a->call, w);
	return NULL;
}

/* ---- for policyd ----------------------------------------------------- */

static int
keyd_status(struct chan *c, const struct ipc_call *call, const void *arg)
{
	struct msg_keyd_status	 m = { .backend = self.backend };

	m.reason = dispatch_condition();
	m.keys = key_count() < KEY_MAX ? key_count() : KEY_MAX - 1;
	if (self.tpm != NULL) {
		IPC_SET_STR(m.manufacturer, tpm_info(self.tpm)->manufacturer);
		IPC_SET_STR(m.firmware, tpm_info(self.tpm)->firmware);
		m.counter = tpm_counter_state(self.tpm) == R_OK;
	}
	return chan_reply(c, call, MSG_KEYD_STATUS, &m);
}

static void
made(const struct key *k, bool new, const struct why *w, void *arg)
{
	struct msg_key_info	 m = { .made = new };
	struct asked		*a = arg;
	struct chan		*c;

	if ((c = asked_chan(a, w)) != NULL) {
		m.key = key_id(k);
		m.purpose = key_purpose(k);
		m.algorithm = key_algorithm(k);
		IPC_SET_BLOB(m.public, key_point(k), key_point_len(k));
		chan_reply(c, &a->call, MSG_KEY_INFO, &m);
	}
	free(a);
}

static int
keyd_key_make(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_key_make_req	*req = arg;
	struct why			 w;

	if (dispatch_condition() != R_OK)
		return dispatch_refuse_for(c, call, dispatch_condition(), "keyd", NULL, NULL);
	if (authority_key_ok(req->label, req->purpose, &w) == -1)
		return dispatch_refuse(c, call, &w);
	key_make(req->label, req->purpose, req->algorithm, made,
	    asked_new(call, NULL));
	return 0;
}

static void
cert_signed(const struct signature *s, void *arg)
{
	struct msg_cert_rep	 m;
	struct asked		*a = arg;
	struct chan		*c;
	size_t			 n;

	if ((c = asked_chan(a, &s->why)) != NULL) {
		memset(&m, 0, sizeof(m));
		if (der_signed(key_curve(a->key), a->tbs, a->len, s,
		    m.certificate.data, sizeof(m.certificate.data), &n) == -1)
			dispatch_refuse_for(c, &a->call, R_KEY_LIBRARY, "certificate",
			    NULL, NULL);
		else {
			m.certificate.len = (uint32_t)n;
			chan_reply(c, &a->call, MSG_CERT_REP, &m);
		}
	}
	free(a);
}

static int
keyd_cert(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_cert_req	*req = arg;
	const struct key		*k;
	struct asked			*a;
	struct why			 w;

	if ((k = dispatch_find(c, call, req->issuer, KEY_CA)) == NULL)
		return 0;
	a = asked_new(call, k);
	if (profile_build(req, k, a->tbs, sizeof(a->tbs), &a->len, &w) == -1) {
		free(a);
		return dispatch_refuse(c, call, &w);
	}
	key_sign(k, a->tbs, a->len, cert_signed, a);
	return 0;
}

static void
csr_signed(const struct signature *s, void *arg)
{
	struct msg_csr_rep	 m;
	struct asked		*a = arg;
	struct chan		*c;
	struct why		 w;
	size_t			 n;

	if ((c = asked_chan(a, &s->why)) == NULL)
		;
	/* Its name is the CA's from now on. */
	else if (authority_record(a->key, 0, &w) == -1)
		dispatch_refuse(c, &a->call, &w);
	else {
		memset(&m, 0, sizeof(m));
		if (der_signed(key_curve(a->key), a->tbs, a->len, s,
		    m.csr.data, sizeof(m.csr.data), &n) == -1)
			dispatch_refuse_for(c, &a->call, R_KEY_LIBRARY, "request", NULL,
			    NULL);
		else {
			m.csr.len = (uint32_t)n;
			chan_reply(c, &a->call, MSG_CSR_REP, &m);
		}
	}
	free(a);
}

static int
keyd_csr(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_csr_req	*req = arg;
	const struct key		*k;
	struct asked			*a;
	struct why			 w;

	/* csr.c knows which purposes may. */
	if ((k = dispatch_find(c, call, req->key, KEY_NPURPOSES)) == NULL)
		return 0;
	a = asked_new(call, k);
	if (csr_build(req, k, a->tbs, sizeof(a->tbs), &a->len, &w) == -1) {
		free(a);
		return dispatch_refuse(c, call, &w);
	}
	key_sign(k, a->tbs, a->len, csr_signed, a);
	return 0;
}

static void
checkpoint_signed(const struct signature *s, void *arg)
{
	struct msg_checkpoint_rep	 m = { .signature = { .len = 0 } };
	struct asked			*a = arg;
	struct chan			*c;

	if ((c = asked_chan(a, &s->why)) != NULL) {
		IPC_SET_BLOB(m.signature, s->der, s->len);
		chan_reply(c, &a->call, MSG_CHECKPOINT_REP, &m);
	}
	free(a);
}

static int
keyd_checkpoint(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_checkpoint_req	*req = arg;
	const struct key		*k;
	struct why			 w;
	uint8_t				 bytes[CHECKPOINT_LEN];

	if ((k = dispatch_find(c, call, req->key, KEY_AUDIT)) == NULL)
		return 0;
	if (checkpoint_build(req, bytes, &w) == -1)
		return dispatch_refuse(c, call, &w);
	key_sign(k, bytes, sizeof(bytes), checkpoint_signed,
	    asked_new(call, k));
	return 0;
}

static void
counter_read(const struct tpm_result *r, void *arg)
{
	struct msg_counter_rep	 m = { .value = r->counter };
	struct asked		*a = arg;
	struct chan		*c;
	struct why		 w;

	why_tpm(&w, r);
	if (r->reason == R_KEY_COUNTER)
		why_num(&w, r->reason, "counter", r->wanted - 1, r->counter);
	if ((c = asked_chan(a, &w)) != NULL)
		chan_reply(c, &a->call, MSG_COUNTER_REP, &m);
	free(a);
}

static int
keyd_counter(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_counter_req	*req = arg;
	struct asked			*a;
	enum reason			 reason;

	if (self.tpm == NULL)
		return dispatch_refuse_for(c, call, R_KEY_NO_TPM, "counter", NULL, NULL);
	a = asked_new(call, NULL);
	reason = tpm_counter(self.tpm, req->advance, counter_read, a);
	if (reason == R_OK)
		return 0;
	free(a);
	return dispatch_refuse_for(c, call, reason, "counter", NULL, NULL);
}

static int
keyd_code_put(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_code_put	*req = arg;
	struct msg_code_held		 m = { .code = { .len = CODE_ID_LEN } };
	struct why			 w;

	if (code_put(req->code.data, req->code.len, req->lifetime,
	    clock_mono_ms(), m.code.data, &w) == -1)
		return dispatch_refuse(c, call, &w);
	return chan_reply(c, call, MSG_CODE_HELD, &m);
}

static int
keyd_code_drop(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_code_drop	*m = arg;

	code_drop(m->code.data, m->code.len);
	return 0;
}

/* ---- for netd and enrold --------------------------------------------- */

static void
tls_signed(const struct signature *s, void *arg)
{
	struct msg_tls_sign_rep	 m = { .signature = { .len = 0 } };
	struct asked		*a = arg;
	struct chan		*c;

	if ((c = asked_chan(a, &s->why)) != NULL) {
		IPC_SET_BLOB(m.signature, s->der, s->len);
		chan_reply(c, &a->call, MSG_TLS_SIGN_REP, &m);
	}
	free(a);
}

static int
keyd_tls_sign(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_tls_sign_req	*req = arg;
	const struct key		*k;
	struct why			 w;

	if ((k = dispatch_find(c, call, req->key, chan_peer(c) == IPC_ENROLD ?
	    KEY_ENROL : KEY_TLS)) == NULL)
		return 0;
	if (tls13_check(key_algorithm(k), chan_peer(c), req->scheme,
	    req->content.data, req->content.len, &w) == -1)
		return dispatch_refuse(c, call, &w);
	key_sign(k, req->content.data, req->content.len, tls_signed,
	    asked_new(call, k));
	return 0;
}

/* ---- for attestd, -Q and -R ----------------------------------------- */

static void
spdm_signed(const struct signature *s, void *arg)
{
	struct msg_spdm_sign_rep	 m = { .signature = { .len = 0 } };
	struct asked			*a = arg;
	struct chan			*c;

	if ((c = asked_chan(a, &s->why)) == NULL) {
		free(a);
		return;
	}
	if (ecdsa_to_raw(key_curve(a->key), s->der, s->len,
	    m.signature.data) == -1)
		dispatch_refuse_for(c, &a->call, R_KEY_LIBRARY, "signature", NULL, NULL);
	else {
		m.signature.len = (uint32_t)(2 * key_curve(a->key)->coord);
		chan_reply(c, &a->call, MSG_SPDM_SIGN_REP, &m);
	}
	free(a);
}

static int
keyd_spdm_sign(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_spdm_sign_req	*req = arg;
	const struct key		*k;
	struct why			 w;
	uint8_t				 bytes[SPDM_SIGNED_MAX];
	size_t				 n;

	if ((k = dispatch_find(c, call, req->key, KEY_SPDM)) == NULL)
		return 0;
	if (spdm_build(key_curve(k), chan_peer(c), req->version, req->context,
	    req->hash.data, req->hash.len, bytes, &n, &w) == -1)
		return dispatch_refuse(c, call, &w);
	key_sign(k, bytes, n, spdm_signed, asked_new(call, k));
	return 0;
}

/*
 * Secrets of one session: for -Q as requester of the node that it names, for
 * -R as responder with the key of slot 0, whose node id is not its to say.
 * Named by -Q, this node's own id would give it the secrets of -R's session.
 */
static int
keyd_psk(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_psk_req	*req = arg;
	struct code_ask			 a = {
		.id = req->code.data, .idlen = req->code.len,
		.dir = CODE_REQUESTER, .node = req->node,
		.version = req->version,
		.algorithm = (enum key_algorithm)req->algorithm,
		.th1 = req->th1.data, .th1len = req->th1.len,
	};
	struct code_secrets		 s;
	struct msg_psk_rep		 m = { .request = { .len = 0 } };
	const struct key		*k;
	struct why			 w;
	char				 node[41];
	int				 r;

	if (chan_peer(c) == IPC_ATTESTR) {
		if ((k = dispatch_find(c, call, req->key, KEY_SPDM)) == NULL)
			return 0;
		if (curve_node_id(key_curve(k), key_point(k), node) == -1)
			return dispatch_refuse_for(c, call, R_KEY_LIBRARY, "node", NULL,
			    NULL);
		a.dir = CODE_RESPONDER;
		a.node = node;
	} else if (node_is_ours(req->node))
		return dispatch_refuse_for(c, call, R_KEY_CODE_FORM, "node",
		    "another node", req->node);
	if (code_use(&a, clock_mono_ms(), &s, &w) == -1)
		return dispatch_refuse(c, call, &w);
	log_info("a one-time code opens a session of %s",
	    ipc_role_name(chan_peer(c)));
	IPC_SET_BLOB(m.request, s.request, s.len);
	IPC_SET_BLOB(m.response, s.response, s.len);
	IPC_SET_BLOB(m.master, s.master, s.len);
	r = chan_reply(c, call, MSG_PSK_REP, &m);
	explicit_bzero(&m, sizeof(m));
	explicit_bzero(&s, sizeof(s));
	return r;
}

static void
pcrs_read(const struct tpm_result *r, void *arg)
{
	struct msg_pcr_rep	 m = { .values = { .len = 0 } };
	struct asked		*a = arg;
	struct chan		*c;
	struct why		 w;

	why_tpm(&w, r);
	if ((c = asked_chan(a, &w)) != NULL) {
		IPC_SET_BLOB(m.values, r->data, r->len);
		chan_reply(c, &a->call, MSG_PCR_REP, &m);
	}
	free(a);
}

static int
keyd_pcrs(struct chan *c, const struct ipc_call *call, const void *arg)
{
	struct asked	*a;
	enum reason	 reason;

	if (self.tpm == NULL)
		return dispatch_refuse_for(c, call, R_KEY_NO_TPM, "registers", NULL,
		    NULL);
	a = asked_new(call, NULL);
	if ((reason = tpm_pcrs(self.tpm, pcrs_read, a)) == R_OK)
		return 0;
	free(a);
	return dispatch_refuse_for(c, call, reason, "registers", NULL, NULL);
}

/* ---- the tables ------------------------------------------------------ */

static const struct ipc_handler from_policyd[] = {
	{ MSG_KEYD_STATUS_REQ,	keyd_status },
	{ MSG_KEY_MAKE_REQ,	keyd_key_make },
	{ MSG_CERT_REQ,		keyd_cert },
	{ MSG_CSR_REQ,		keyd_csr },
	{ MSG_CHECKPOINT_REQ,	keyd_checkpoint },
	{ MSG_COUNTER_REQ,	keyd_counter },
	{ MSG_CODE_PUT,		keyd_code_put },
	{ MSG_CODE_DROP,	keyd_code_drop },
	{ MSG_CA_CERT_REQ,	keyd_ca_cert },
	{ MSG_DEVICE_CERT_REQ,	keyd_device_cert },
	{ MSG_CRL_REQ,		keyd_crl },
	{ MSG_OCSP_SIGN_REQ,	keyd_ocsp },
};

static const struct ipc_handler from_netd[] = {
	{ MSG_TLS_SIGN_REQ,	keyd_tls_sign },
};

static const struct ipc_handler from_enrold[] = {
	{ MSG_TLS_SIGN_REQ,	keyd_tls_sign },
};

static const struct ipc_handler from_attestq[] = {
	{ MSG_SPDM_SIGN_REQ,	keyd_spdm_sign },
	{ MSG_PSK_REQ,		keyd_psk },
};

static const struct ipc_handler from_attestr[] = {
	{ MSG_SPDM_SIGN_REQ,	keyd_spdm_sign },
	{ MSG_PSK_REQ,		keyd_psk },
	{ MSG_PCR_REQ,		keyd_pcrs },
};

const struct hub_peer keyd_peers[] = {
	{ IPC_POLICYD,	from_policyd,	N(from_policyd), false },
	{ IPC_NETD,	from_netd,	N(from_netd), false },
	{ IPC_ATTESTQ,	from_attestq,	N(from_attestq), false },
	{ IPC_ATTESTR,	from_attestr,	N(from_attestr), false },
	{ IPC_ENROLD,	from_enrold,	N(from_enrold), true },
};
const size_t keyd_npeers = N(keyd_peers);

void
keyd_serve(const struct keyd_conf *conf)
{
	self = *conf;
}
