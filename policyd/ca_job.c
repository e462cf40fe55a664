/*
 * What the authority asks of keyd: a key, or a certificate, one at a time.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ca.h"
#include "clock.h"

#define KEYD_TIMEOUT	120000	/* ms; a slow TPM makes keys for a while */
#define RETRY_MIN	1000	/* ms, doubled at each failure */
#define RETRY_MAX	300000
#define SKEW		3600	/* s that one begins before it was issued */

static struct {
	bool		 busy;
	struct ca_task	*task;
	struct ca	*ca;		/* it concerns */
	struct ca_leaf	*leaf;		/* or NULL */
	struct ca_key	*key;		/* that is being made */
	uint32_t	 purpose;
	char		 label[33];
	struct ca_intent intent;
	const struct ca_key *issuer;
	const struct ca_cert *issuer_cert;	/* of a cross certificate */
	uint64_t	 now;		/* mono ms */
} job;

static const char	*const cert_names[CA_NPROFILES] = {
	[CA_ROOT] = "root CA",
	[CA_ISSUING] = "issuing CA",
	[CA_OCSP] = "OCSP signer",
	[CA_ENROL] = "listener leaf",
	[CA_CROSS] = "cross certificate of root CA",
};

bool
ca_job_busy(void)
{
	return job.busy;
}

void
ca_job_hold(bool busy)
{
	job.busy = busy;
}

void
ca_job_clear(void)
{
	memset(&job, 0, sizeof(job));
}

void
ca_job_clock(uint64_t mono_ms)
{
	job.now = mono_ms;
}

bool
ca_job_for(struct ca *c, struct ca_leaf *l)
{
	struct ca_task	*t = l != NULL ? &l->task : &c->task;

	if (job.now < t->retry)
		return false;
	job.ca = c;
	job.leaf = l;
	job.task = t;
	return true;
}

/* ---- failing and going on ---- */

void
ca_task_failed(struct ca_task *t, const char *what, const struct why *why)
{
	if (t->why.reason != why->reason)
		log_about(LOG_LVL_WARN, reason_code(why->reason), NULL,
		    "ca: %s: %s %s%s%s", what, reason_code(why->reason),
		    reason_text(why->reason), why->field[0] != '\0' ? " " : "",
		    why->field);
	t->why = *why;
	t->backoff = t->backoff == 0 ? RETRY_MIN : t->backoff * 2;
	if (t->backoff > RETRY_MAX)
		t->backoff = RETRY_MAX;
	t->retry = job.now + t->backoff;
}

static void
task_done(struct ca_task *t)
{
	memset(t, 0, sizeof(*t));
}

static void
job_failed(const char *what, const struct why *why)
{
	job.busy = false;
	ca_task_failed(job.task, what, why);
	if (job.ca != NULL)
		ca_wake(job.ca->generation, why);
	ca_next();		/* the others do not wait for this one */
}

static void
job_failed_r(const char *what, enum reason r, const char *field)
{
	struct why	why;

	why_set(&why, r, field, NULL, NULL);
	job_failed(what, &why);
}

static void
reply_failed(const char *what, const struct ipc_reply *rep)
{
	const struct msg_refused	*f = rep->refused;
	struct why			 why;

	why_set(&why, rep->reason, f == NULL ? NULL : f->field,
	    f == NULL ? NULL : f->expected, f == NULL ? NULL : f->seen);
	job_failed(what, &why);
}

/* False: it cannot go out now, and the task waits a little. */
static bool
job_call(enum ipc_type type, const void *msg, ipc_reply_fn fn)
{
	job.busy = true;
	if (chan_call(hubd_link(IPC_KEYD), type, msg, -1, KEYD_TIMEOUT, fn,
	    NULL) == 0)
		return true;
	job.busy = false;
	job.task->retry = job.now + RETRY_MIN;
	return false;
}

/* ---- keys ---- */

static bool
key_form_ok(const struct msg_key_info *m)
{
	if (m->purpose != job.purpose || m->algorithm != job.key->algorithm)
		return false;
	if (m->algorithm == KEY_RSA2048)
		return m->public.len == 256 && m->public.data[0] >= 0x80;
	return m->public.len == (m->algorithm == KEY_P384 ? 97 : 65) &&
	    m->public.data[0] == 4;
}

/* Is it the key of the certificate that we have? Another one is of no use. */
static bool
key_fits(struct ca *c)
{
	struct why	why;

	if (job.key != &c->issuing_key || c->der_len == 0)
		return true;
	if ((c->up = ca_cert_over(c->der, c->der_len, job.key)))
		return true;
	why_set(&why, R_CRT_CA_KEY, job.label, NULL, NULL);
	if (c->task.why.reason != why.reason)
		audit_record(AUDIT_KEY, "keyd", why.reason, "issuing CA %u",
		    c->generation);
	job.key->have = false;
	job_failed(job.label, &why);
	return false;
}

static void
got_key(const struct ipc_reply *rep, void *arg)
{
	const struct msg_key_info	*m = rep->msg;
	struct ca_key			*k = job.key;

	if (rep->type != MSG_KEY_INFO) {
		reply_failed(job.label, rep);
		return;
	}
	if (!key_form_ok(m)) {
		job_failed_r(job.label, R_KEY_IDENTITY_CERT, "key");
		return;
	}
	k->have = true;
	k->key = m->key;
	k->len = m->public.len;
	memcpy(k->public, m->public.data, m->public.len);
	if (m->made)
		audit_record(AUDIT_KEY, "keyd", R_OK, "key \"%s\" made",
		    job.label);
	if (job.ca != NULL && !key_fits(job.ca))
		return;
	if (job.ca != NULL && k == &job.ca->issuing_key)
		job.ca->key = k->key;
	if (job.ca != NULL && k == &job.ca->signer_key)
		job.ca->ocsp_key = k->key;
	if (job.leaf != NULL)
		job.leaf->told = false;
	task_done(job.task);
	job.busy = false;
	ca_next();
}

bool
ca_key_make(struct ca_key *k, uint32_t purpose, uint32_t algorithm,
    const char *what, unsigned generation)
{
	struct msg_key_make_req	m = { .purpose = purpose,
	    .algorithm = algorithm };

	if (generation != 0)
		snprintf(job.label, sizeof(job.label), "%s-%u", what,
		    generation);
	else
		text_set(job.label, sizeof(job.label), what);
	job.key = k;
	job.purpose = purpose;
	k->algorithm = algorithm;
	IPC_SET_STR(m.label, job.label);
	return job_call(MSG_KEY_MAKE_REQ, &m, got_key);
}

/* ---- certificates ---- */

static void
want_of(struct ca_want *w)
{
	const struct ca_intent	*i = &job.intent;

	memset(w, 0, sizeof(*w));
	w->profile = i->profile;
	w->serial = i->serial;
	w->key = i->key;
	w->not_before = i->not_before;
	w->not_after = i->not_after;
	if (i->profile == CA_CROSS) {
		w->issuer = job.issuer_cert->der;
		w->issuer_len = job.issuer_cert->len;
	} else if (i->profile == CA_ISSUING) {
		w->issuer = job.ca->root;
		w->issuer_len = job.ca->root_len;
	} else if (i->profile != CA_ROOT) {
		w->issuer = job.ca->der;
		w->issuer_len = job.ca->der_len;
	}
	if (i->profile == CA_ENROL)
		w->names = conf->ca.server;
}

static void
cert_place(const struct ca_cert *c)
{
	switch (job.intent.profile) {
	case CA_ROOT:
		job.ca->root_len = c->len;
		memcpy(job.ca->root, c->der, c->len);
		job.ca->root_not_before = c->not_before;
		job.ca->root_not_after = c->not_after;
		break;
	case CA_ISSUING:
		ca_take_issuing(job.ca, c);
		job.ca->up = true;
		break;
	case CA_OCSP:
		ca_take_ocsp(job.ca, c);
		break;
	case CA_ENROL:
		job.leaf->cert = *c;
		job.leaf->generation = job.ca->generation;
		job.leaf->told = false;
		break;
	case CA_CROSS:
		ca_take_cross(job.ca, c);
		break;
	case CA_NPROFILES:
		break;
	}
}

static void
cert_stored(enum reason r, void *arg)
{
	job.busy = false;
	if (r != R_OK) {
		job_failed_r(cert_names[job.intent.profile], r, NULL);
		return;
	}
	task_done(job.task);
	ca_next();
}

static void
cert_record(const struct ca_cert *c)
{
	char		 until[32] = "";
	time_t		 t = (time_t)c->not_after;
	struct tm	 tm;
	unsigned	 n;

	if (gmtime_r(&t, &tm) != NULL)
		strftime(until, sizeof(until), "%Y-%m-%dT%H:%M:%SZ", &tm);
	n = job.intent.generation;
	audit_record(AUDIT_CERT, "keyd", R_OK, "%s %u issued, serial "
	    "%02x%02x%02x%02x..., until %s", cert_names[job.intent.profile], n,
	    c->serial[0], c->serial[1], c->serial[2], c->serial[3], until);
	log_info("ca: %s %u issued, until %s",
	    cert_names[job.intent.profile], n, until);
}

static void
got_cert(const struct ipc_reply *rep, void *arg)
{
	const struct msg_cert_rep	*m = rep->msg;
	const char			*name = cert_names[job.intent.profile];
	struct ca_cert			 cert = { .serial_len = SERIAL_LEN };
	struct ca_want			 w;
	struct why			 why;
	enum reason			 r;

	if (rep->type != MSG_CERT_REP) {
		if (rep->refused != NULL)
			ca_store_forget(job.intent.id);
		reply_failed(name, rep);
		return;
	}
	want_of(&w);
	if (ca_cert_check(m->certificate.data, m->certificate.len, &w,
	    &why) != R_OK) {
		audit_record(AUDIT_REFUSAL, "keyd", why.reason, "%s: %s", name,
		    why.field);
		job_failed(name, &why);
		return;
	}
	if ((r = ca_store_fill(job.intent.id, m->certificate.data,
	    m->certificate.len)) != R_OK) {
		job_failed_r(name, r, NULL);
		return;
	}
	memcpy(cert.serial, job.intent.serial, SERIAL_LEN);
	cert.not_before = job.intent.not_before;
	cert.not_after = job.intent.not_after;
	cert.len = m->certificate.len;
	memcpy(cert.der, m->certificate.data, cert.len);
	cert_place(&cert);
	cert_record(&cert);
	store_after_commit(cert_stored, NULL);
}

/* The intent is on disk: now keyd may issue. */
static void
intent_stored(enum reason r, void *arg)
{
	const struct ca_intent	*i = &job.intent;
	struct msg_ca_cert_req	 m = { .key = i->key->key,
	    .profile = i->profile, .not_before = i->not_before,
	    .not_after = i->not_after };

	if (r != R_OK) {
		job_failed_r(cert_names[i->profile], r, NULL);
		return;
	}
	if (!i->key->have || !job.issuer->have) {	/* keyd went meanwhile */
		ca_store_forget(i->id);
		job_failed_r(cert_names[i->profile], R_IPC_NOLINK, "keyd");
		return;
	}
	m.issuer = job.issuer->key;
	IPC_SET_BLOB(m.serial, i->serial, sizeof(i->serial));
	if (!job_call(MSG_CA_CERT_REQ, &m, got_cert)) {
		ca_store_forget(i->id);
		job_failed_r(cert_names[i->profile], R_IPC_NOLINK, "keyd");
	}
}

bool
ca_cert_issue(enum ca_profile profile, unsigned generation,
    const struct ca_key *key, const uint8_t *names, const struct ca_above *a)
{
	struct ca_intent	*i = &job.intent;
	uint64_t		 now = clock_trusted();
	enum reason		 r;
	struct why		 why;

	memset(i, 0, sizeof(*i));
	i->profile = profile;
	i->generation = generation;
	i->key = key;
	i->names = names;
	i->not_before = now - SKEW > a->from ? now - SKEW : a->from;
	i->not_after = i->not_before + a->validity;
	if (i->not_after > a->until)
		i->not_after = a->until;
	job.issuer = a->key;
	job.issuer_cert = a->cert;
	if ((r = ca_store_intent(i)) != R_OK) {
		why_set(&why, r, NULL, NULL, NULL);
		ca_task_failed(job.task, cert_names[profile], &why);
		return false;
	}
	job.busy = true;
	store_after_commit(intent_stored, NULL);
	return true;
}
