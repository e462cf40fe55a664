/*
 * Jobs of attestd -Q: policyd opens one, netd brings its socket, the
 * requester asks, and policyd hears evidence or why there is none. A socket
 * for a job that policyd did not open is closed.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attestd.h"
#include "log.h"
#include "spdm_csr.h"

#define ROOTS_MAX	64
#define KEYD_MS		20000	/* a TPM may be busy */

struct job {
	uint32_t		 id;
	bool			 open;
	uint8_t			 nonce[SPDM_NONCE];
	struct requester_conf	 conf;
	struct slotset		*slots;		/* who we are, at its opening */
	struct requester	*requester;
	struct conn		*conn;
	uv_timer_t		*deadline;
	/* Of a component: its script, its slot, and what is done with it. */
	struct spdm_step	 steps[REQUESTER_STEPS];
	uint8_t			 slot;		/* 0: no component's */
	bool			 told;		/* policyd has the evidence */
	bool			 issuing;	/* policyd owes us a chain */
	bool			 beating;	/* the peer, a HEARTBEAT_ACK */
	struct msg_component_chain *chain;	/* came while beating */
};

/* One process has one set of jobs; all of it belongs to policyd. */
static uv_loop_t	*loop;
static struct job	 jobs[JOBS_MAX];
static struct slotset	*current;	/* our own: who we are in a session */

void
job_init(uv_loop_t *l)
{
	loop = l;
	current = slotset_new();
}

static struct job *
job_find(uint32_t id)
{
	size_t	i;

	for (i = 0; i < JOBS_MAX; i++)
		if (jobs[i].open && jobs[i].id == id)
			return &jobs[i];
	return NULL;
}

static void
timer_closed(uv_handle_t *h)
{
	free(h);
}

static void
job_end(struct job *j)
{
	if (!j->open)
		return;
	conn_close(j->conn);
	requester_free(j->requester);
	slotset_release(j->slots);
	free(j->chain);
	uv_close((uv_handle_t *)j->deadline, timer_closed);
	memset(j, 0, sizeof(*j));
}

void
job_stop(void)
{
	size_t	i;

	for (i = 0; i < JOBS_MAX; i++)
		job_end(&jobs[i]);
	roots_clear();
	slotset_release(current);
	current = NULL;
}

/* ---- what policyd hears -------------------------------------------------- */

/* Events of one job; policyd gone means that this process ends. */
static void
tell(enum ipc_type type, const void *msg)
{
	if (chan_send(hub_link(IPC_POLICYD), type, msg, -1) == -1)
		log_debug("%s was not sent", ipc_name(type));
}

static void
job_failed(struct job *j, const struct spdm_why *w)
{
	struct msg_job_failed	m = { .job = j->id, .reason = w->reason };

	IPC_SET_STR(m.field, w->field);
	IPC_SET_STR(m.expected, w->expected);
	IPC_SET_STR(m.seen, w->seen);
	log_about(LOG_LVL_INFO, reason_code(w->reason), NULL,
	    "job %u: %s %s: expected %s, seen %s", j->id,
	    reason_code(w->reason), w->field, w->expected, w->seen);
	tell(MSG_JOB_FAILED, &m);
	job_end(j);
}

static void
job_fail(struct job *j, enum reason reason, const char *field,
    const char *expected, const char *seen)
{
	struct spdm_why	w;

	spdm_fail(&w, reason, field, expected, "%s", seen);
	job_failed(j, &w);
}

static void
job_step(void *arg, unsigned step, const char *detail)
{
	struct job		*j = arg;
	struct msg_job_step	 m = { .job = j->id, .step = step };

	IPC_SET_STR(m.detail, detail);
	log_debug("job %u: step %u: %s", j->id, step, detail);
	tell(MSG_JOB_STEP, &m);
}

static void
tell_identity(const struct job *j, const struct spdm_evidence *e)
{
	struct msg_evid_identity	m = {
		.job = j->id,
		.version = e->version,
		.algorithm = e->algorithm,
		.not_before = e->not_before,
		.not_after = e->not_after,
	};

	IPC_SET_STR(m.node, e->id.node);
	IPC_SET_STR(m.serial, e->id.serial);
	IPC_SET_STR(m.device, e->id.device);
	IPC_SET_STR(m.subject, e->id.subject);
	IPC_SET_BLOB(m.root, e->root_sha256, sizeof(e->root_sha256));
	tell(MSG_EVID_IDENTITY, &m);
}

static void
tell_measurements(const struct job *j, const struct spdm_evidence *e)
{
	struct msg_evid_measurement	 m;
	struct spdm_block		 b;
	const uint8_t			*p = e->record;
	size_t				 left = e->record_len;

	while (spdm_block_next(&p, &left, &b) == 1) {
		m = (struct msg_evid_measurement){ .job = j->id,
		    .index = b.index, .type = b.type, .raw = b.raw };
		IPC_SET_BLOB(m.value, b.value, b.len);
		tell(MSG_EVID_MEASUREMENT, &m);
	}
}

static void
tell_end(const struct job *j, const struct spdm_evidence *e)
{
	struct msg_evid_end	m = { .job = j->id, .count = e->nblocks,
	    .code = e->code };

	IPC_SET_BLOB(m.nonce, j->nonce, sizeof(j->nonce));
	tell(MSG_EVID_END, &m);
}

/* A component has no anchor; its evidence comes before anything is issued. */
static void
tell_component(struct job *j)
{
	const struct spdm_evidence	*e = requester_evidence(j->requester);

	if (j->told)
		return;
	j->told = true;
	tell_identity(j, e);
	tell_measurements(j, e);
	tell_end(j, e);
}

static void
component_done(struct job *j)
{
	struct msg_component_held	 m = { .job = j->id };
	const uint8_t			*p;
	size_t				 n = 0;

	tell_component(j);
	p = requester_slot_ders(j->requester, j->slot, &n);
	if (p != NULL)
		spdm_hash(spdm_sha256(), p, n, m.chain.data);
	m.chain.len = p != NULL ? 32 : 0;
	tell(MSG_COMPONENT_HELD, &m);
	log_info("job %u: slot %u holds %zu bytes", j->id, j->slot, n);
	job_end(j);
}

static void
job_done(struct job *j)
{
	const struct spdm_evidence	*e = requester_evidence(j->requester);
	struct msg_evid_anchor		 a = { .job = j->id,
	    .not_before = e->anchor_before, .not_after = e->anchor_after };

	if (j->slot != 0) {
		component_done(j);
		return;
	}
	if (IPC_SET_BLOB(a.anchor, e->anchor, e->anchor_len) == -1) {
		job_fail(j, R_ATT_ANCHOR_FORM, "node CA",
		    "at most 2048 bytes", "more");
		return;
	}
	tell_identity(j, e);
	tell(MSG_EVID_ANCHOR, &a);
	tell_measurements(j, e);
	tell_end(j, e);
	log_info("job %u: %s attested with %u measurements", j->id,
	    e->id.node, e->nblocks);
	job_end(j);
}

/* ---- the conversation ---------------------------------------------------- */

static void	ask_signature(struct job *);
static void	ask_secrets(struct job *);

static void	give_chain(struct job *, const struct msg_component_chain *);

/* Nothing is read until the chain is there, or a sign of life is due. */
static void
await_chain(struct job *j)
{
	conn_pause(j->conn);
	conn_timer(j->conn, requester_beat_after(j->requester));
}

/* The peer has seen that we live; the chain may have come meanwhile. */
static void
beaten(struct job *j)
{
	struct msg_component_chain	*m = j->chain;

	j->beating = false;
	j->chain = NULL;
	if (m == NULL)
		await_chain(j);
	else
		give_chain(j, m);
	free(m);
}

/* Evidence, then what it asks for. */
static void
ask_chain(struct job *j)
{
	const struct spdm_csr		*q = requester_csr(j->requester);
	struct msg_component_csr	 m = { .job = j->id,
	    .algorithm = q->algorithm };

	IPC_SET_BLOB(m.public, q->point, q->point_len);
	IPC_SET_STR(m.name, q->name);
	IPC_SET_STR(m.device, q->device);
	tell_component(j);
	j->issuing = true;
	await_chain(j);
	tell(MSG_COMPONENT_CSR, &m);
}

/* It failed, unless a component only wants a reset first. */
static void
act_failed(struct job *j)
{
	struct msg_component_reset	 m = { .job = j->id };
	bool				 set;
	uint8_t				 tag;

	if (j->slot == 0 || !requester_reset(j->requester, &set, &tag)) {
		job_failed(j, requester_why(j->requester));
		return;
	}
	tell_component(j);
	m.set = set;
	m.tag = tag;
	tell(MSG_COMPONENT_RESET, &m);
	log_info("job %u: the component wants a reset", j->id);
	job_end(j);
}

static void
job_act(struct job *j, enum spdm_act act)
{
	const uint8_t	*p;
	size_t		 n;
	bool		 secured;

	switch (act) {
	case SPDM_SEND:
		p = requester_out(j->requester, &secured, &n);
		conn_send(j->conn, secured, p, n);
		break;
	case SPDM_SIGN:
		ask_signature(j);
		break;
	case SPDM_KEYS:
		ask_secrets(j);
		break;
	case SPDM_WAIT:
		/* Nothing is expected meanwhile, so nothing is read. */
		conn_pause(j->conn);
		conn_timer(j->conn, requester_delay(j->requester));
		break;
	case SPDM_DONE:
		job_done(j);
		break;
	case SPDM_ISSUE:
		if (j->beating)
			beaten(j);
		else
			ask_chain(j);
		break;
	case SPDM_FAIL:
		act_failed(j);
		break;
	}
}

/* ---- keyd ---------------------------------------------------------------- */

/* Whose answer it is; NULL if the job is over meanwhile. */
static struct job *
answered(void *arg)
{
	struct job	*j = job_find(*(uint32_t *)arg);

	free(arg);
	if (j == NULL || j->requester == NULL)
		return NULL;
	conn_resume(j->conn);
	/* What came meanwhile may have ended it. */
	return j->open ? j : NULL;
}

/* The peer has nothing to say until keyd has answered. -1: it will not. */
static int
ask_keyd(struct job *j, enum ipc_type type, const void *msg, ipc_reply_fn done)
{
	uint32_t	*id;

	if ((id = malloc(sizeof(*id))) == NULL)
		fatal("job %u", j->id);
	*id = j->id;
	conn_pause(j->conn);
	if (chan_call(hub_link(IPC_KEYD), type, msg, -1, KEYD_MS, done, id)
	    == 0)
		return 0;
	free(id);
	conn_resume(j->conn);
	return -1;
}

static void
key_signed(const struct ipc_reply *r, void *arg)
{
	const struct msg_spdm_sign_rep	*m = r->msg;
	struct job			*j;

	if ((j = answered(arg)) == NULL)
		return;
	job_act(j, requester_signed(j->requester, r->reason == R_OK &&
	    m->signature.len == requester_sign(j->requester)->sig_len ?
	    m->signature.data : NULL));
}

/* FINISH waits for its signature. */
static void
ask_signature(struct job *j)
{
	const struct responder_sign	*sg = requester_sign(j->requester);
	struct msg_spdm_sign_req	 m = { .key = sg->key,
	    .version = sg->version };

	IPC_SET_STR(m.context, sg->context);
	IPC_SET_BLOB(m.hash, sg->hash, sg->hash_len);
	if (ask_keyd(j, MSG_SPDM_SIGN_REQ, &m, key_signed) == -1 && j->open)
		job_act(j, requester_signed(j->requester, NULL));
}

static void
key_derived(const struct ipc_reply *r, void *arg)
{
	const struct msg_psk_rep	*m = r->msg;
	struct job			*j;
	struct spdm_secrets		 s;
	const char			*why = reason_code(r->reason);
	size_t				 n;

	if ((j = answered(arg)) == NULL)
		return;
	n = requester_psk(j->requester)->hash_len;
	if (r->reason != R_OK || m->request.len != n ||
	    m->response.len != n || m->master.len != n) {
		job_act(j, requester_secrets(j->requester, NULL, why));
		return;
	}
	s = (struct spdm_secrets){ m->request.data, m->response.data,
	    m->master.data };
	job_act(j, requester_secrets(j->requester, &s, NULL));
}

/* The answer to PSK_EXCHANGE is there; keyd has the code. */
static void
ask_secrets(struct job *j)
{
	const struct spdm_psk	*p = requester_psk(j->requester);
	struct msg_psk_req	 m = { .version = p->version,
	    .algorithm = p->algorithm };

	IPC_SET_BLOB(m.code, p->hint, SPDM_HINT);
	IPC_SET_STR(m.node, p->node);
	IPC_SET_BLOB(m.th1, p->th1, p->hash_len);
	if (ask_keyd(j, MSG_PSK_REQ, &m, key_derived) == -1 && j->open)
		job_act(j, requester_secrets(j->requester, NULL,
		    reason_code(R_IPC_NOLINK)));
}

/* ---- the connection ------------------------------------------------------ */

static void
job_message(void *arg, bool secured, const uint8_t *msg, size_t len)
{
	struct job	*j = arg;

	job_act(j, requester_feed(j->requester, secured, msg, len));
}

static void
job_lost(void *arg, enum reason reason, const char *expected,
    const char *seen)
{
	job_fail(arg, reason, "connection", expected, seen);
}

static void
job_wake(void *arg)
{
	struct job	*j = arg;

	conn_resume(j->conn);
	/* What came meanwhile may have ended it. */
	if (!j->open)
		return;
	if (j->issuing && !j->beating) {
		j->beating = true;
		job_act(j, requester_beat(j->requester));
	} else
		job_act(j, requester_wake(j->requester));
}

static const struct conn_ops ops = { job_message, job_lost, job_wake };

static void
job_late(uv_timer_t *t)
{
	struct job	*j = t->data;

	job_fail(j, R_ATT_TIMEOUT, "deadline", "evidence in time",
	    j->conn == NULL ? "no connection" : "an unfinished attestation");
}

/* ---- messages ------------------------------------------------------------ */

int
attestq_slot(struct chan *c, const struct ipc_call *call, const void *arg)
{
	return slotset_change(&current, arg);
}

static struct job *
job_free_slot(void)
{
	size_t	i;

	for (i = 0; i < JOBS_MAX; i++)
		if (!jobs[i].open)
			return &jobs[i];
	return NULL;
}

int
attestq_job_open(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_job_open	*m = arg;
	struct job			*j;

	if (m->nonce.len != SPDM_NONCE ||
	    m->code.len != (m->kind == JOB_CODE ? SPDM_HINT : 0) ||
	    (m->slot != 0) != (m->kind == JOB_COMPONENT))
		return -1;
	if (job_find(m->job) != NULL)
		return chan_refuse(c, call, R_ATT_JOB_EXISTS);
	if ((j = job_free_slot()) == NULL) {
		hub_count(R_ATT_JOB_LIMIT);
		return chan_refuse(c, call, R_ATT_JOB_LIMIT);
	}
	j->open = true;
	j->id = m->job;
	memcpy(j->nonce, m->nonce.data, SPDM_NONCE);
	requester_defaults(&j->conf);
	j->conf.versions = m->versions;
	j->conf.algorithms = m->algorithms;
	j->conf.roots = roots_get(&j->conf.nroots);
	j->slots = slotset_hold(current);
	j->conf.slots = j->slots->slot;
	j->conf.random = attestd_random;
	j->conf.step = job_step;
	j->conf.step_arg = j;
	if (m->kind == JOB_CODE)
		requester_offer_code(&j->conf, m->code.data);
	if (m->kind == JOB_COMPONENT) {
		j->slot = (uint8_t)m->slot;
		requester_offer_component(&j->conf, j->steps, j->slot,
		    (uint8_t)m->tag, m->readback);
	}
	if ((j->deadline = malloc(sizeof(*j->deadline))) == NULL)
		fatal("job %u", j->id);
	uv_timer_init(loop, j->deadline);
	j->deadline->data = j;
	uv_update_time(loop);
	uv_timer_start(j->deadline, job_late, m->deadline, 0);
	return chan_done(c, call);
}

int
attestq_job_cancel(struct chan *c, const struct ipc_call *call,
    const void *arg)
{
	const struct msg_job_cancel	*m = arg;
	struct job			*j;

	if ((j = job_find(m->job)) != NULL)
		job_end(j);
	return 0;
}

static void
give_chain(struct job *j, const struct msg_component_chain *m)
{
	conn_timer(j->conn, 0);
	conn_resume(j->conn);
	/* What came meanwhile may have ended it. */
	if (j->open)
		job_act(j, requester_chain(j->requester, m->chain.data,
		    m->chain.len));
}

/* policyd issued: in the same session the component gets it. */
int
attestq_component_chain(struct chan *c, const struct ipc_call *call,
    const void *arg)
{
	const struct msg_component_chain	*m = arg;
	struct job				*j = job_find(m->job);

	if (j == NULL || j->requester == NULL)
		return 0;		/* over meanwhile */
	if (!j->issuing)
		return -1;
	j->issuing = false;
	if (!j->beating) {
		give_chain(j, m);
		return 0;
	}
	if ((j->chain = malloc(sizeof(*j->chain))) == NULL)
		fatal("job %u", j->id);
	*j->chain = *m;
	return 0;
}

int
attestq_dialled(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_spdm_dialled	*m = arg;
	struct job			*j = job_find(m->job);

	if (j == NULL || j->requester != NULL) {
		close(call->fd);
		if (hub_count(R_ATT_JOB_UNKNOWN) == 1)
			log_warnx("job %u: %s", m->job,
			    reason_text(R_ATT_JOB_UNKNOWN));
		return 0;
	}
	j->conn = conn_new(loop, call->fd, REQUESTER_TRANSFER, &ops, j);
	if (j->conn != NULL)
		j->conf.binding = conn_binding(j->conn);
	if ((j->requester = requester_new(&j->conf, j->nonce)) == NULL)
		fatal("job %u", j->id);
	if (j->conn == NULL) {
		job_fail(j, R_ATT_CLOSED, "descriptor", "a connected socket",
		    "something else");
		return 0;
	}
	job_act(j, requester_start(j->requester));
	return 0;
}
