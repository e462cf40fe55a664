/*
 * Enrolments under way, one at a time: attestd -Q attests the device, we
 * judge the evidence, keyd issues over the key that the device proved to
 * hold, and attestd -Q sets the chain in the same session and reads it back.
 * Nothing is issued before the verdict, and nothing without a row on disk.
 */
#include <sys/random.h>

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "component.h"

#define SKEW		3600	/* s that a leaf begins before it was issued */

/* How far it is; a report that comes in another stage is an offence. */
enum stage { J_NONE, J_ATTESTING, J_JUDGED, J_INTENT, J_ISSUING, J_SETTING,
    J_READING };

static struct {
	struct job		*j;		/* NULL: none */
	struct component	*c;
	enum stage		 stage;
	bool			 readback;	/* only look at the slot */
	struct msg_component_csr csr;
	struct component_cert	 cert;		/* being issued */
} job;

static void	component_where(struct job *, struct msg_dial_spdm *);
static void	component_job_step(struct job *, struct step *);
static void	component_evidence(struct job *);
static void	component_failed(struct job *, const struct why *);
static void	component_lost(struct job *, enum job_loss,
		    const struct why *);

static const struct job_ops	component_ops = {
	.where = component_where,
	.step = component_job_step,
	.evidence = component_evidence,
	.failed = component_failed,
	.lost = component_lost,
};

static void
sha256(const void *p, size_t n, uint8_t out[HASH_LEN])
{
	if (EVP_Q_digest(NULL, "SHA256", NULL, p, n, out, NULL) != 1)
		fatalx("component: SHA-256");
}

void
component_ca(uint8_t out[HASH_LEN])
{
	const struct identity	*me = identity_get();

	sha256(me->certs[IDC_NODE_CA].der, me->certs[IDC_NODE_CA].len, out);
}

bool
component_job_of(const struct component *c)
{
	return job.j != NULL && job.c == c;
}

static bool
job_is(uint32_t id)
{
	return job.j != NULL && job.j->id == id;
}

/* ---- its end ------------------------------------------------------------- */

static void
job_clear(bool by_us)
{
	job_end(job.j, by_us);
	memset(&job, 0, sizeof(job));
}

static void
job_over(bool by_us, enum component_event ev, const struct why *why)
{
	struct component	*c = job.c;

	job_clear(by_us);
	component_step(c, ev, why);
}

static void
job_refuse(enum component_event ev, enum reason r, const char *field,
    const char *expected, const char *seen)
{
	struct why	why;

	why_set(&why, r, field, expected, seen);
	job_over(true, ev, &why);
}

void
component_job_end(void)
{
	if (job.j != NULL)
		job_clear(true);
}

static void
component_lost(struct job *j, enum job_loss loss, const struct why *why)
{
	job_over(true, CE_LOST, why);
}

/* ---- opening ------------------------------------------------------------- */

static void
component_where(struct job *j, struct msg_dial_spdm *m)
{
	m->port = job.c->conf->spdm_port;
	IPC_SET_STR(m->address, job.c->conf->address);
}

/* It goes on waiting if it cannot be opened now. */
static void
enrol(struct component *c)
{
	struct msg_job_open	m = { .kind = JOB_COMPONENT };

	/* 1.1 has neither message. */
	m.versions = policy.versions & (1u << 0 | 1u << 1);
	m.slot = c->conf->slot;
	m.tag = c->reset_set ? 0 : c->tag;
	m.readback = c->state == C_RESUMING && c->reset_set;
	if ((job.j = job_open(&component_ops, c, &m)) == NULL)
		return;
	job.c = c;
	job.stage = J_ATTESTING;
	job.readback = m.readback;
	c->last_job = m.job;
	c->looked = m.readback;
	log_debug("component %s: job %u", c->name, m.job);
}

static bool
wants_job(const struct component *c)
{
	return c->state == C_ENROLLING || c->state == C_RENEWING ||
	    c->state == C_RESUMING;
}

void
component_job_pump(void)
{
	struct component	*c;

	if (job.j != NULL || !job_possible() ||
	    !identity_get()->certs[IDC_NODE_CA].have)
		return;
	TAILQ_FOREACH(c, &components, entry)
		if (wants_job(c)) {
			enrol(c);
			return;
		}
}

/* ---- evidence ------------------------------------------------------------ */

static void
component_job_step(struct job *j, struct step *s)
{
	struct component	*c = job.c;

	if (c->nsteps == COMPONENT_STEPS)
		return;
	c->steps[c->nsteps++] = *s;
	s->detail = NULL;
	control_component_step(c, &c->steps[c->nsteps - 1]);
}

static const uint8_t *
root_hash(const char *path)
{
	const struct root	*r;

	for (r = settings_roots(); r != NULL; r = r->next)
		if (path != NULL && strcmp(r->path, path) == 0)
			return r->hash;
	return NULL;
}

/* A root is what it is, wherever its file lies. */
void
component_rules(const struct component *c, uint8_t out[HASH_LEN])
{
	const struct conf_component	*k = c->conf;
	const char			*identity, *serial;
	const uint8_t			*root = root_hash(k->root);
	uint8_t				 all[3 * HASH_LEN] = { 0 };

	identity = k->identity != NULL ? k->identity : "";
	serial = k->serial != NULL ? k->serial : "";
	sha256(identity, strlen(identity), all);
	sha256(serial, strlen(serial), all + HASH_LEN);
	if (root != NULL)
		memcpy(all + (size_t)2 * HASH_LEN, root, HASH_LEN);
	sha256(all, sizeof(all), out);
}

/* Is this the device of the configuration? */
static enum reason
judge(const struct component *c, struct why *why)
{
	struct listing	l = {
		.identity = c->conf->identity != NULL ? c->conf->identity : "",
		.serial = c->conf->serial != NULL ? c->conf->serial : "",
		.own = identity_get()->node,
		.revoked = peer_revoked(job.j->ev->node),
		.unset = clockd_unset(),
	};

	return policy_judge_component(&policy, &l, root_hash(c->conf->root),
	    job.j->ev, peers_env.now(), why);
}

static void
component_evidence(struct job *j)
{
	struct component	*c = job.c;
	const struct evidence	*ev = j->ev;
	struct why		 why;

	if (judge(c, &why) != R_OK) {
		log_about(LOG_LVL_INFO, reason_code(why.reason), NULL,
		    "component %s: refused: %s %s %s: expected %s, seen "
		    "%s", c->name, reason_code(why.reason),
		    reason_text(why.reason), why.field, why.expected,
		    why.seen);
		audit_record(AUDIT_VERDICT, c->name, why.reason, "component "
		    "refused: node %s: %s: expected %s, seen %s", ev->node,
		    why.field, why.expected, why.seen);
		/* Our clock, or its maker's dates: it says nothing about it. */
		job_over(true, why.reason == R_POL_WINDOW ? CE_LOST : CE_BAD,
		    &why);
		return;
	}
	audit_record(AUDIT_VERDICT, c->name, R_OK, "component accepted: node "
	    "%s, serial %s, SPDM %u.%u, %u measurements", ev->node, ev->serial,
	    ev->version >> 4, ev->version & 15, ev->measures.n);
	memcpy(c->node, ev->node, sizeof(c->node));
	ipc_set_str(c->device, sizeof(c->device), ev->device);
	c->attested = peers_env.now();
	job.stage = job.readback ? J_READING : J_JUDGED;
}

static void
component_failed(struct job *j, const struct why *w)
{
	struct why	why = *w;
	bool		lost;

	/* After a reset the slot may not be filled yet. */
	lost = policy_transient(why.reason) || (job.readback &&
	    why.reason == R_ATT_SLOT_OTHER);
	/* An ERROR to what follows the attestation is the device's word. */
	if (job.stage != J_ATTESTING && why.reason == R_ATT_ERROR)
		lost = false;
	if (!lost)
		audit_record(AUDIT_VERDICT, job.c->name, why.reason,
		    "component refused: %s: expected %s, seen %s", why.field,
		    why.expected, why.seen);
	job_over(false, lost ? CE_LOST : CE_BAD, &why);
	component_job_pump();
}

/* ---- issuing ------------------------------------------------------------- */

static void
chain_send(void)
{
	static struct msg_component_chain	 m;
	const struct identity			*me = identity_get();
	size_t	 ca = me->certs[IDC_NODE_CA].len;

	memset(&m, 0, sizeof(m));
	m.job = job.j->id;
	if (ca + job.cert.len > sizeof(m.chain.data)) {
		job_refuse(CE_LOST, R_KEY_CHAIN_SIZE, "chain", "4096 bytes",
		    "more");
		return;
	}
	memcpy(m.chain.data, me->certs[IDC_NODE_CA].der, ca);
	memcpy(m.chain.data + ca, job.cert.der, job.cert.len);
	m.chain.len = (uint32_t)(ca + job.cert.len);
	job.stage = J_SETTING;
	if (chan_send(peers_env.link(IPC_ATTESTQ), MSG_COMPONENT_CHAIN, &m,
	    -1) == -1)
		job_refuse(CE_LOST, R_IPC_NOLINK, "daemon", "attestd-q", NULL);
}

/* The certificate is on disk: now the device may have it. */
static void
cert_stored(enum reason r, void *arg)
{
	if (!job_is((uint32_t)(uintptr_t)arg))
		return;
	if (r != R_OK)
		job_refuse(CE_LOST, r, "store", NULL, NULL);
	else
		chain_send();
}

static enum reason
cert_right(const struct msg_cert_rep *m, struct why *why)
{
	const struct identity	*me = identity_get();
	struct cert_want	 w = {
		.serial = job.cert.serial,
		.point = job.csr.public.data,
		.pointlen = job.csr.public.len,
		.ca = me->keys[IDK_CA].point,
		.calen = me->keys[IDK_CA].len,
		.not_before = job.cert.not_before,
		.not_after = job.cert.not_after,
		.node = me->node,
		.component = job.c->name,
	};

	return cert_check(m->certificate.data, m->certificate.len, &w, why);
}

/* Which key, of which device, and what it called itself. */
static void
issued_note(const struct component *c)
{
	const struct msg_component_csr	*q = &job.csr;
	const uint8_t			*s = job.cert.serial;
	char				 key[NODE_ID_LEN + 1] = "";

	(void)cert_node_id(q->public.data, q->public.len, key);
	audit_record(AUDIT_CERT, c->name, R_OK, "component leaf issued, serial "
	    "%02x%02x%02x%02x..., for slot %u of %s, over key %s, asked for as "
	    "\"%s\"%s%s", s[0], s[1], s[2], s[3], c->conf->slot, c->node, key,
	    q->name, *q->device != '\0' ? ", serial " : "", q->device);
}

static void
got_cert(const struct ipc_reply *rep, void *arg)
{
	const struct msg_cert_rep	*m = rep->msg;
	struct component		*c = job.c;
	struct why			 why;
	enum reason			 r;

	if (!job_is((uint32_t)(uintptr_t)arg))
		return;		/* its intent stays: the row of what may be */
	if (rep->type != MSG_CERT_REP) {
		why_reply(&why, rep);
		if (rep->refused != NULL)
			component_intent_forget(job.cert.id);
		job_over(true, rep->refused != NULL &&
		    !policy_transient(why.reason) ? CE_BAD : CE_LOST, &why);
		return;
	}
	if (cert_right(m, &why) != R_OK) {
		job_over(true, CE_LOST, &why);
		return;
	}
	job.cert.len = m->certificate.len;
	memcpy(job.cert.der, m->certificate.data, m->certificate.len);
	c->next = job.cert;
	if ((r = component_issued(&job.cert)) != R_OK ||
	    (r = component_save(c)) != R_OK) {
		job_refuse(CE_LOST, r, "store", NULL, NULL);
		return;
	}
	issued_note(c);
	store_after_commit(cert_stored, arg);
}

/* The intent is on disk: now keyd may issue. */
static void
intent_stored(enum reason r, void *arg)
{
	const struct identity	*me = identity_get();
	struct msg_cert_req	 m = { .profile = CERT_COMPONENT_LEAF };

	if (!job_is((uint32_t)(uintptr_t)arg))
		return;
	if (r != R_OK) {
		job_refuse(CE_LOST, r, "store", NULL, NULL);
		return;
	}
	m.issuer = me->keys[IDK_CA].key;
	m.algorithm = job.csr.algorithm;
	m.not_before = job.cert.not_before;
	m.not_after = job.cert.not_after;
	IPC_SET_BLOB(m.public, job.csr.public.data, job.csr.public.len);
	IPC_SET_BLOB(m.serial, job.cert.serial, sizeof(job.cert.serial));
	IPC_SET_STR(m.node, me->node);
	IPC_SET_STR(m.component, job.c->name);
	job.stage = J_ISSUING;
	if (chan_call(peers_env.link(IPC_KEYD), MSG_CERT_REQ, &m, -1,
	    conf->attest_timeout, got_cert, arg) == -1)
		job_refuse(CE_LOST, R_IPC_NOLINK, "daemon", "keyd", NULL);
}

int
attestq_component_csr(struct chan *ch, const struct ipc_call *call,
    const void *arg)
{
	const struct msg_component_csr	*m = arg;
	struct component_cert		*n = &job.cert;
	uint64_t			 now = peers_env.now();
	struct why			 why;

	if (!job_is(m->job))
		return job_late(m->job) ? 0 : -1;
	if (job.stage != J_JUDGED ||
	    m->public.len != (m->algorithm == KEY_P384 ? 97 : 65))
		return -1;
	job.csr = *m;
	job.stage = J_INTENT;
	memset(n, 0, sizeof(*n));
	/* 128 bits (RFC 5280, 4.1.2.2): positive, no leading zero. */
	peers_env.random(n->serial, sizeof(n->serial));
	n->serial[0] = (n->serial[0] & 0x3f) | 0x40;
	n->not_before = now - SKEW;
	n->not_after = n->not_before + job.c->conf->validity;
	component_ca(n->ca);
	n->id = component_intent(job.c, n, m->public.data, m->public.len,
	    &why);
	if (n->id == 0) {
		job_over(true, CE_LOST, &why);
		return 0;
	}
	store_after_commit(intent_stored, (void *)(uintptr_t)job.j->id);
	return 0;
}

/* ---- the end that attestd -Q reports ------------------------------------- */

static bool
chain_is_next(const struct component *c, const uint8_t *hash)
{
	const struct identity	*me = identity_get();
	uint8_t			 both[2 * CERT_MAX], h[HASH_LEN];
	size_t			 ca = me->certs[IDC_NODE_CA].len;

	if (c->next.id == 0)
		return false;
	memcpy(both, me->certs[IDC_NODE_CA].der, ca);
	memcpy(both + ca, c->next.der, c->next.len);
	sha256(both, ca + c->next.len, h);
	return memcmp(h, hash, sizeof(h)) == 0;
}

int
attestq_component_held(struct chan *ch, const struct ipc_call *call,
    const void *arg)
{
	const struct msg_component_held	*m = arg;
	struct why			 why;
	bool				 ours, readback = job.readback;

	if (!job_is(m->job))
		return job_late(m->job) ? 0 : -1;
	if ((job.stage != J_SETTING && job.stage != J_READING) ||
	    m->chain.len != HASH_LEN)
		return -1;
	ours = chain_is_next(job.c, m->chain.data);
	why_set(&why, ours ? R_OK : R_ATT_SLOT_OTHER, ours ? NULL : "slot",
	    ours ? NULL : "the certificate that was issued",
	    ours ? NULL : "another");
	if (ours) {
		log_info("component %s: slot %u holds our certificate",
		    job.c->name, job.c->conf->slot);
		audit_record(AUDIT_CERT, job.c->name, R_OK,
		    "component leaf in slot %u", job.c->conf->slot);
	}
	job_over(false, ours ? CE_HELD : readback ? CE_LOST : CE_BAD, &why);
	component_job_pump();
	return 0;
}

int
attestq_component_reset(struct chan *ch, const struct ipc_call *call,
    const void *arg)
{
	const struct msg_component_reset	*m = arg;
	struct why				 why;

	if (!job_is(m->job))
		return job_late(m->job) ? 0 : -1;
	if (job.stage != (m->set ? J_SETTING : J_JUDGED))
		return -1;
	job.c->reset_set = m->set;
	job.c->tag = (uint8_t)m->tag;
	why_set(&why, R_ATT_RESET_REQUIRED, m->set ? "SET_CERTIFICATE" :
	    "GET_CSR", "an answer", "ResetRequired");
	job_over(false, CE_RESET, &why);
	component_job_pump();
	return 0;
}
