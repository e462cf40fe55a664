/*
 * The authority of the certificate service: root, issuing CAs, their OCSP
 * signers, and the leafs of enrold's listeners.
 *
 * The store says which generations there shall be; ca_next() asks keyd for
 * what is missing, one call at a time, and may be called at any moment: a
 * kill of either side at any line leads to the same end. A certificate is
 * asked for only after a row with its serial is on disk.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>

#include "ca.h"
#include "clock.h"

#define KEYD_TIMEOUT	120000	/* ms; a slow TPM makes keys for a while */
#define RETRY_MIN	1000	/* ms, doubled at each failure */
#define RETRY_MAX	300000
#define LOOK_EVERY	60000	/* ms between looks at what ends */
#define SKEW		3600	/* s that one begins before it was issued */

static struct ca	cas[ENROL_CAS];
static struct ca_leaf	leafs[CA_LEAFS];

static struct {
	unsigned	 generation;	/* 0: not asked for in this life */
	struct ca_key	 key;
} root;

/* What keyd is asked for, one at a time. */
static struct {
	bool		 busy;
	struct ca_task	*task;
	struct ca	*ca;		/* it concerns, or NULL: */
	struct ca_leaf	*leaf;
	struct ca_key	*key;		/* that is being made */
	uint32_t	 purpose;
	char		 label[33];
	struct ca_intent intent;
	uint8_t		 names[HASH_LEN];
} job;

static struct {
	uint64_t	 now, looked;	/* mono ms */
	struct why	 end;		/* why it is not rolled over in time */
} ca;

static const char	*const cert_names[CA_NPROFILES] = {
	[CA_ROOT] = "root CA",
	[CA_ISSUING] = "issuing CA",
	[CA_OCSP] = "OCSP signer",
	[CA_ENROL] = "listener leaf",
};

static void	 ca_next(void);

/* ---- looking things up ---------------------------------------------------- */

const struct ca *
ca_byslot(unsigned slot)
{
	return slot < ENROL_CAS && cas[slot].generation != 0 ? &cas[slot] :
	    NULL;
}

const struct ca *
ca_bygeneration(unsigned generation)
{
	unsigned	i;

	for (i = 0; i < ENROL_CAS; i++)
		if (generation != 0 && cas[i].generation == generation)
			return &cas[i];
	return NULL;
}

static struct ca *
in_state(enum ca_state state)
{
	unsigned	i;

	for (i = 0; i < ENROL_CAS; i++)
		if (cas[i].generation != 0 && cas[i].state == state)
			return &cas[i];
	return NULL;
}

const struct ca_leaf *
ca_leafs(void)
{
	return leafs;
}

void
ca_leafs_told(void)
{
	unsigned	i;

	for (i = 0; i < CA_LEAFS; i++)
		leafs[i].told = true;
}

void
ca_all_told(void)
{
	unsigned	i;

	for (i = 0; i < ENROL_CAS; i++)
		cas[i].told = true;
}

const struct ca *
ca_current(struct why *why)
{
	const struct ca	*c = in_state(CA_CURRENT);
	uint64_t	 now = clock_trusted();

	if (c == NULL) {
		c = in_state(CA_WAITING);
		why_set(why, c != NULL && c->offline ? R_CRT_CA_WAITS :
		    R_CRT_NO_CA, NULL, NULL, NULL);
		return NULL;
	}
	if (hubd_link(IPC_KEYD) == NULL)
		why_set(why, R_IPC_NOLINK, "keyd", NULL, NULL);
	else if (!c->up && c->task.why.reason != R_OK)
		*why = c->task.why;
	else if (!c->up)
		why_set(why, R_CRT_NO_CA, "key", NULL, NULL);
	else if (now < c->not_before || now > c->not_after)
		why_set(why, R_CRT_NO_CA, "validity", "valid now",
		    now > c->not_after ? "expired" : "not yet valid");
	else {
		why_set(why, R_OK, NULL, NULL, NULL);
		return c;
	}
	return NULL;
}

void
ca_take_issuing(struct ca *c, const struct ca_cert *cert)
{
	c->not_before = cert->not_before;
	c->not_after = cert->not_after;
	c->der_len = cert->len;
	memcpy(c->der, cert->der, cert->len);
	c->told = false;
	if (ca_cert_hashes(c->der, c->der_len, c->name_hash, c->key_hash) == -1)
		fatalx("store: the certificate of issuing CA %u cannot be "
		    "read", c->generation);
}

void
ca_take_ocsp(struct ca *c, const struct ca_cert *cert)
{
	if (cert->len > sizeof(c->ocsp))
		return;
	c->ocsp_not_before = cert->not_before;
	c->ocsp_not_after = cert->not_after;
	c->ocsp_len = cert->len;
	memcpy(c->ocsp, cert->der, cert->len);
	c->told = false;
}

/* ---- failing and going on --------------------------------------------------- */

static void
task_failed(struct ca_task *t, const char *what, const struct why *why)
{
	if (t->why.reason != why->reason)
		log_warnx("ca: %s: %s %s%s%s", what, reason_code(why->reason),
		    reason_text(why->reason), why->field[0] != '\0' ? " " : "",
		    why->field);
	t->why = *why;
	t->backoff = t->backoff == 0 ? RETRY_MIN : t->backoff * 2;
	if (t->backoff > RETRY_MAX)
		t->backoff = RETRY_MAX;
	t->retry = ca.now + t->backoff;
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
	task_failed(job.task, what, why);
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
	job.task->retry = ca.now + RETRY_MIN;
	return false;
}

/* ---- keys --------------------------------------------------------------------- */

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
	job.busy = false;
	ca_next();
}

static bool
key_make(struct ca_key *k, uint32_t purpose, uint32_t algorithm,
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

/* ---- certificates ---------------------------------------------------------------- */

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
	if (i->profile == CA_ISSUING) {
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
	if (!i->key->have) {		/* keyd went meanwhile */
		ca_store_forget(i->id);
		job_failed_r(cert_names[i->profile], R_IPC_NOLINK, "keyd");
		return;
	}
	m.issuer = i->profile == CA_ROOT || i->profile == CA_ISSUING ?
	    root.key.key : job.ca->key;
	IPC_SET_BLOB(m.serial, i->serial, sizeof(i->serial));
	if (!job_call(MSG_CA_CERT_REQ, &m, got_cert)) {
		ca_store_forget(i->id);
		job_failed_r(cert_names[i->profile], R_IPC_NOLINK, "keyd");
	}
}

/* Nobody may outlive the CA above, nor begin before it. */
static bool
cert_issue(enum ca_profile profile, unsigned generation,
    const struct ca_key *key, uint64_t validity, uint64_t above_from,
    uint64_t above_until)
{
	struct ca_intent	*i = &job.intent;
	uint64_t		 now = clock_trusted();
	enum reason		 r;
	struct why		 why;

	memset(i, 0, sizeof(*i));
	i->profile = profile;
	i->generation = generation;
	i->key = key;
	i->not_before = now - SKEW > above_from ? now - SKEW : above_from;
	i->not_after = i->not_before + validity;
	if (i->not_after > above_until)
		i->not_after = above_until;
	i->names = profile == CA_ENROL ? job.names : NULL;
	if ((r = ca_store_intent(i)) != R_OK) {
		why_set(&why, r, NULL, NULL, NULL);
		task_failed(job.task, cert_names[profile], &why);
		return false;
	}
	job.busy = true;
	store_after_commit(intent_stored, NULL);
	return true;
}

/* At two thirds, or when the clock puts it out of its window; but only if the
 * CA above lets another one live longer. */
static bool
cert_due(uint64_t nb, uint64_t na, size_t len, const struct ca *above)
{
	uint64_t	now = clock_trusted();

	if (now > above->not_after)
		return false;
	if (len == 0 || now < nb)
		return true;
	return now >= nb + (na - nb) / 3 * 2 && na < above->not_after &&
	    now - SKEW + conf->leaf_lifetime > na;
}

/* ---- a generation ------------------------------------------------------------------ */

static void
promoted(enum reason r, void *arg)
{
	struct why	why;

	job.busy = false;
	why_set(&why, r, NULL, NULL, NULL);
	ca_wake(job.ca->generation, &why);
	if (r == R_OK)
		ca_next();
}

/* Waiting no longer: it issues from now on, the one before it does not. */
static bool
promote(struct ca *c)
{
	struct ca	*was = in_state(CA_CURRENT);
	struct why	 why;
	enum reason	 r = R_OK;

	if (was != NULL)
		was->state = CA_OLD;
	c->state = CA_CURRENT;
	if (was != NULL)
		r = ca_store_state(was);
	if (r == R_OK)
		r = ca_store_state(c);
	if (r != R_OK) {
		if (was != NULL)
			was->state = CA_CURRENT;
		c->state = CA_WAITING;
		why_set(&why, r, NULL, NULL, NULL);
		task_failed(&c->task, "issuing CA", &why);
		return false;
	}
	c->told = false;
	if (was != NULL)
		was->told = false;
	audit_record(AUDIT_CERT, "ca", R_OK, "issuing CA %u issues from now "
	    "on%s", c->generation, was != NULL ? ", the one before it is old" :
	    "");
	log_info("ca: issuing CA %u issues from now on", c->generation);
	crl_changed(c->generation, NULL, NULL);
	job.busy = true;
	store_after_commit(promoted, NULL);
	return true;
}

/* The root in keyd and its certificate; true if something was asked. */
static bool
step_root(struct ca *c)
{
	struct why	why;

	if (root.generation != c->root_generation) {
		memset(&root, 0, sizeof(root));
		root.generation = c->root_generation;
	}
	if (!root.key.have)
		return key_make(&root.key, KEY_ROOT, c->algorithm, "root",
		    c->root_generation);
	if (c->root_len == 0)
		return cert_issue(CA_ROOT, c->root_generation, &root.key,
		    conf->ca.root_validity, 0, UINT64_MAX);
	if (ca_cert_over(c->root, c->root_len, &root.key))
		return cert_issue(CA_ISSUING, c->generation, &c->issuing_key,
		    conf->ca.issuing_validity, c->root_not_before,
		    c->root_not_after);
	why_set(&why, R_CRT_CA_KEY, "root", NULL, NULL);
	task_failed(job.task, "root", &why);
	root.key.have = false;
	ca_wake(c->generation, &why);
	return false;
}

/* The next thing that it lacks; true if something was asked for. */
static bool
step_ca(struct ca *c)
{
	struct why	why;

	if (ca.now < c->task.retry)
		return false;
	job.ca = c;
	job.leaf = NULL;
	job.task = &c->task;
	if (!c->issuing_key.have)
		return key_make(&c->issuing_key, KEY_ISSUING, c->algorithm,
		    "issuing", c->generation);
	if (c->der_len == 0 && c->offline) {
		why_set(&why, R_OK, NULL, NULL, NULL);
		ca_wake(c->generation, &why);
		return false;		/* the operator's turn */
	}
	if (c->der_len == 0)
		return step_root(c);
	if (!c->signer_key.have)
		return key_make(&c->signer_key, KEY_OCSP, c->algorithm, "ocsp",
		    c->generation);
	if (c->ocsp_len != 0 && !ca_cert_over(c->ocsp, c->ocsp_len,
	    &c->signer_key))
		c->ocsp_len = 0;	/* of another key directory */
	if (cert_due(c->ocsp_not_before, c->ocsp_not_after, c->ocsp_len, c))
		return cert_issue(CA_OCSP, c->generation, &c->signer_key,
		    conf->leaf_lifetime, c->not_before, c->not_after);
	return c->state == CA_WAITING && promote(c);
}

/* ---- the listeners --------------------------------------------------------------------- */

static bool
leaf_wanted(uint32_t algorithm)
{
	const struct conf_listener	*l;

	for (l = conf->listeners; l != NULL; l = l->next)
		if ((l->door == DOOR_TLS || l->door == DOOR_MUTUAL) &&
		    l->key == algorithm)
			return true;
	return false;
}

/* Another name, or another place for CRLs, is another certificate. */
static void
leaf_names(uint8_t out[HASH_LEN])
{
	const struct conf_name	*n;
	const char		*url = conf->ca.url;
	EVP_MD_CTX		*ctx = EVP_MD_CTX_new();

	if (ctx == NULL || EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1)
		fatalx("ca: SHA-256");
	for (n = conf->ca.server; n != NULL; n = n->next)
		if (EVP_DigestUpdate(ctx, n->name, strlen(n->name) + 1) != 1)
			fatalx("ca: SHA-256");
	if ((url != NULL && EVP_DigestUpdate(ctx, url, strlen(url)) != 1) ||
	    EVP_DigestFinal_ex(ctx, out, NULL) != 1)
		fatalx("ca: SHA-256");
	EVP_MD_CTX_free(ctx);
}

static bool
step_leaf(struct ca_leaf *l, struct ca *c)
{
	if (ca.now < l->task.retry || !leaf_wanted(l->algorithm))
		return false;
	job.ca = c;
	job.leaf = l;
	job.task = &l->task;
	if (!l->key.have)
		return key_make(&l->key, KEY_ENROL, l->algorithm,
		    l->algorithm == KEY_RSA2048 ? "enrol-rsa2048" :
		    "enrol-p256", 0);
	if (l->cert.len != 0 && !ca_cert_over(l->cert.der, l->cert.len,
	    &l->key))
		l->cert.len = 0;
	if (l->generation == c->generation && !cert_due(l->cert.not_before,
	    l->cert.not_after, l->cert.len, c))
		return false;
	return cert_issue(CA_ENROL, c->generation, &l->key,
	    conf->leaf_lifetime, c->not_before, c->not_after);
}

/* ---- the next thing to ask for ------------------------------------------------------------ */

static void
ca_next(void)
{
	struct ca	*c;
	unsigned	 i;

	if (job.busy || hubd_link(IPC_KEYD) == NULL)
		return;
	/* First what issues, then its listeners, then those to come or go. */
	if ((c = in_state(CA_CURRENT)) != NULL) {
		if (step_ca(c))
			return;
		for (i = 0; c->up && i < CA_LEAFS; i++)
			if (step_leaf(&leafs[i], c))
				return;
	}
	for (i = 0; i < ENROL_CAS; i++)
		if (cas[i].generation != 0 && &cas[i] != c && step_ca(&cas[i]))
			return;
	ca_tell(false);
}

void
ca_up(enum ipc_role role)
{
	unsigned	i;

	if (role == IPC_ENROLD)
		ca_tell(true);
	if (role != IPC_KEYD)
		return;
	for (i = 0; i < ENROL_CAS; i++)
		cas[i].task.retry = cas[i].task.backoff = 0;
	for (i = 0; i < CA_LEAFS; i++)
		leafs[i].task.retry = leafs[i].task.backoff = 0;
	ca_next();
}

/* A call that was out has failed already, through its callback. */
void
ca_down(enum ipc_role role)
{
	unsigned	i;

	if (role != IPC_KEYD)
		return;
	memset(&root, 0, sizeof(root));
	for (i = 0; i < ENROL_CAS; i++) {
		cas[i].up = false;
		cas[i].issuing_key.have = cas[i].signer_key.have = false;
	}
	for (i = 0; i < CA_LEAFS; i++)
		leafs[i].key.have = false;
}

/* ---- rollover ------------------------------------------------------------------------------ */

/* A generation to be made; the store alone says so. R_OK, or why not. */
static enum reason
generation_add(const struct ca *like, bool offline, bool new_root,
    unsigned *generation, struct why *why)
{
	struct ca	*c = NULL;
	unsigned	 i;
	enum reason	 r;
	struct ca_cert	 cert;

	for (i = 0; i < ENROL_CAS && c == NULL; i++)
		if (cas[i].generation == 0)
			c = &cas[i];
	if (c == NULL)
		return why_set(why, R_CRT_CA_MANY, "issuing CAs", "7 at most",
		    "8");
	memset(c, 0, sizeof(*c));
	c->slot = (unsigned)(c - cas);
	c->generation = ca_store_last() + 1;
	c->algorithm = conf->ca.curve == CURVE_P384 ? KEY_P384 : KEY_P256;
	c->offline = offline;
	c->state = CA_WAITING;
	if (!offline)
		c->root_generation = like == NULL || new_root ?
		    ca_store_last_root() + 1 : like->root_generation;
	if (!offline && ca_store_cert(CA_ROOT, c->root_generation, 0, NULL,
	    &cert)) {
		c->algorithm = like->algorithm;
		c->root_len = cert.len;
		memcpy(c->root, cert.der, cert.len);
		c->root_not_before = cert.not_before;
		c->root_not_after = cert.not_after;
	}
	*generation = c->generation;
	if ((r = ca_store_add(c)) != R_OK) {
		memset(c, 0, sizeof(*c));
		return why_set(why, r, NULL, NULL, NULL);
	}
	return why_set(why, R_OK, NULL, NULL, NULL);
}

static void
generation_stored(enum reason r, void *arg)
{
	if (r == R_OK)
		ca_next();
}

/* s: what the longest of the profiles needs. */
static uint64_t
longest(void)
{
	const struct conf_profile	*p;
	uint64_t			 n = 0;

	for (p = conf->profiles; p != NULL; p = p->next)
		if (p->validity > n)
			n = p->validity;
	return n;
}

/*
 * In time: what remains of the issuing CA is less than the longest validity
 * that it gives. Only if its successor lives notably longer: under a root
 * that ends soon, or with a validity shorter than that of a profile, it
 * would be rolled over again and again. A new root is the operator's to make.
 */
static void
rollover_in_time(void)
{
	const struct ca	*c = in_state(CA_CURRENT);
	uint64_t	 now = clock_trusted(), until;
	unsigned	 generation;
	struct why	 why;

	why_set(&ca.end, R_OK, NULL, NULL, NULL);
	if (c == NULL || now + longest() <= c->not_after ||
	    in_state(CA_WAITING) != NULL)
		return;
	until = now + conf->ca.issuing_validity;
	if (!c->offline && until > c->root_not_after)
		until = c->root_not_after;
	if (until < c->not_after + conf->ca.issuing_validity / 4) {
		why_set(&ca.end, R_CRT_CA_ENDS, "issuing CA", NULL, NULL);
		return;
	}
	if (generation_add(c, c->offline, false, &generation, &why) != R_OK) {
		ca.end = why;
		return;
	}
	audit_record(AUDIT_CERT, "ca", R_CRT_CA_ENDS, "issuing CA %u is rolled"
	    " over to %u", c->generation, generation);
	log_info("ca: issuing CA %u ends within the validity of a profile: "
	    "rolled over to %u", c->generation, generation);
	store_after_commit(generation_stored, NULL);
}

/* Nothing that it issued is valid: it is forgotten, its rows stay. */
static void
drop_old(void)
{
	unsigned	 i;
	struct ca	*c;

	for (i = 0; i < ENROL_CAS && !crl_busy(); i++) {
		c = &cas[i];
		if (c->generation == 0 || c->state != CA_OLD ||
		    issued_any_valid(c->generation, clock_trusted()))
			continue;
		c->state = CA_GONE;
		if (ca_store_state(c) != R_OK) {
			c->state = CA_OLD;
			continue;
		}
		audit_record(AUDIT_CERT, "ca", R_OK, "issuing CA %u is gone: "
		    "nothing that it issued is valid", c->generation);
		log_info("ca: issuing CA %u is gone", c->generation);
		ca_tell_gone(c->slot);
		memset(c, 0, sizeof(*c));
	}
}

/* ---- time -------------------------------------------------------------------------------------- */

static void
ca_look(void)
{
	ca.looked = ca.now;
	if (job.busy || store_state() != R_OK)
		return;
	drop_old();
	rollover_in_time();
}

void
ca_tick(uint64_t mono_ms)
{
	ca.now = mono_ms;
	ca_wait_tick(mono_ms);
	if (mono_ms - ca.looked >= LOOK_EVERY)
		ca_look();
	ca_next();
}

void
ca_time_step(void)
{
	unsigned	i;

	for (i = 0; i < ENROL_CAS; i++)
		cas[i].task.retry = 0;
	for (i = 0; i < CA_LEAFS; i++)
		leafs[i].task.retry = 0;
	ca_look();
	ca_next();
}

/* ---- start --------------------------------------------------------------------------------------- */

static void
load_leaf(struct ca_leaf *l, const struct ca *c)
{
	if (c != NULL && ca_store_cert(CA_ENROL, c->generation, l->algorithm,
	    job.names, &l->cert))
		l->generation = c->generation;
}

void
ca_start(void)
{
	unsigned	i;

	memset(cas, 0, sizeof(cas));
	memset(leafs, 0, sizeof(leafs));
	memset(&job, 0, sizeof(job));
	memset(&root, 0, sizeof(root));
	memset(&ca, 0, sizeof(ca));
	ca_wait_clear();
	leaf_names(job.names);
	ca_store_load(cas);
	leafs[0].algorithm = KEY_P256;
	leafs[1].algorithm = KEY_RSA2048;
	for (i = 0; i < CA_LEAFS; i++)
		load_leaf(&leafs[i], in_state(CA_CURRENT));
}

void
ca_warnings(service_warn_fn fn, void *arg)
{
	const struct ca	*c;
	struct why	 why;
	unsigned	 i;

	if (ca_current(&why) == NULL)
		fn("ca", &why, arg);
	if ((c = in_state(CA_WAITING)) != NULL && c->offline &&
	    why.reason != R_CRT_CA_WAITS) {
		why_set(&why, R_CRT_CA_WAITS, NULL, NULL, NULL);
		fn("ca", &why, arg);
	}
	for (i = 0; i < ENROL_CAS; i++)
		if (cas[i].generation != 0 && &cas[i] != in_state(CA_CURRENT))
			fn("ca", &cas[i].task.why, arg);
	for (i = 0; i < CA_LEAFS; i++)
		fn("listener", &leafs[i].task.why, arg);
	fn("ca", &ca.end, arg);
}

/* ---- the operator ---------------------------------------------------------------------------------- */

enum reason
ca_init(bool offline, const char *who, ca_fn fn, void *arg, struct why *why)
{
	const struct ca	*c = in_state(CA_WAITING);
	unsigned	 generation;

	if (conf->ca.name == NULL)
		return why_set(why, R_CRT_NO_CA, "ca", "in provd.conf", NULL);
	if (in_state(CA_CURRENT) != NULL || in_state(CA_OLD) != NULL)
		return why_set(why, R_CRT_CA_EXISTS, NULL, NULL, NULL);
	if (c != NULL && c->offline != offline)
		return why_set(why, R_CRT_CA_EXISTS, "root", c->offline ?
		    "offline" : "in keyd", NULL);
	if (c == NULL && generation_add(NULL, offline, true, &generation,
	    why) != R_OK)
		return why->reason;
	if (c != NULL)
		generation = c->generation;
	audit_record(AUDIT_OPERATOR, "ca", R_OK, "%s: ca init%s, issuing CA "
	    "%u", who, offline ? " --offline" : "", generation);
	ca_wait(generation, ca.now, fn, arg);
	store_after_commit(generation_stored, NULL);
	return why_set(why, R_OK, NULL, NULL, NULL);
}

enum reason
ca_rollover(bool new_root, const char *who, ca_fn fn, void *arg,
    struct why *why)
{
	const struct ca	*c = in_state(CA_CURRENT);
	unsigned	 generation;

	if (in_state(CA_WAITING) != NULL)
		return why_set(why, R_CRT_CA_WAITS, NULL, NULL, NULL);
	if (c == NULL)
		return why_set(why, R_CRT_NO_CA, NULL, NULL, NULL);
	if (generation_add(c, c->offline, new_root, &generation, why) != R_OK)
		return why->reason;
	audit_record(AUDIT_OPERATOR, "ca", R_OK, "%s: ca rollover%s, issuing "
	    "CA %u", who, new_root ? " --root" : "", generation);
	ca_wait(generation, ca.now, fn, arg);
	store_after_commit(generation_stored, NULL);
	return why_set(why, R_OK, NULL, NULL, NULL);
}

static enum reason
install_stored(struct ca *c, const struct ca_cert *top,
    const struct ca_cert *issuing)
{
	enum reason	r;
	unsigned	was = c->root_generation;

	c->root_generation = ca_store_find_root(top->der, top->len);
	if (c->root_generation == 0) {
		c->root_generation = ca_store_last_root() + 1;
		if ((r = ca_store_put(CA_ROOT, c->root_generation, NULL,
		    top)) != R_OK)
			return r;
	}
	if ((r = ca_store_put(CA_ISSUING, c->generation, &c->issuing_key,
	    issuing)) == R_OK)
		r = ca_store_state(c);
	if (r != R_OK)
		c->root_generation = was;
	return r;
}

enum reason
ca_install(const void *pem, size_t len, const char *who, ca_fn fn, void *arg,
    struct why *why)
{
	struct ca		*c = in_state(CA_WAITING);
	struct ca_cert		 top, issuing;
	struct ca_install_want	 w = { 0 };
	enum reason		 r;

	if (c == NULL || !c->offline || c->der_len != 0)
		return why_set(why, R_CRT_NO_CA, "issuing CA",
		    "one that waits for its certificate", "none");
	if (!c->issuing_key.have)
		return why_set(why, R_IPC_NOLINK, "keyd", NULL, NULL);
	w.key = &c->issuing_key;
	w.generation = c->generation;
	w.now = clockd_unset() ? 0 : clock_trusted();
	if (ca_cert_install(pem, len, &w, &top, &issuing, why) != R_OK)
		return why->reason;
	if ((r = install_stored(c, &top, &issuing)) != R_OK)
		return why_set(why, r, NULL, NULL, NULL);
	c->root_len = top.len;
	memcpy(c->root, top.der, top.len);
	c->root_not_before = top.not_before;
	c->root_not_after = top.not_after;
	ca_take_issuing(c, &issuing);
	c->up = true;
	audit_record(AUDIT_OPERATOR, "ca", R_OK, "%s: ca install, issuing CA "
	    "%u below root %u", who, c->generation, c->root_generation);
	ca_wait(c->generation, ca.now, fn, arg);
	store_after_commit(generation_stored, NULL);
	return R_OK;
}

/* ---- its request -------------------------------------------------------------------------------- */

struct csr_wait {
	identity_csr_fn	 fn;
	void		*arg;
};

static void
got_csr(const struct ipc_reply *rep, void *arg)
{
	const struct msg_csr_rep	*m = rep->msg;
	const struct msg_refused	*f = rep->refused;
	struct csr_wait			*w = arg;
	struct why			 why;

	why_set(&why, rep->type == MSG_CSR_REP ? R_OK : rep->reason,
	    f == NULL ? NULL : f->field, f == NULL ? NULL : f->expected,
	    f == NULL ? NULL : f->seen);
	if (why.reason == R_OK)
		w->fn(m->csr.data, m->csr.len, &why, w->arg);
	else
		w->fn(NULL, 0, &why, w->arg);
	free(w);
}

void
ca_csr(unsigned *generation, identity_csr_fn fn, void *arg)
{
	const struct ca		*c = in_state(CA_WAITING);
	struct msg_csr_req	 m = { 0 };
	struct csr_wait		*w;
	struct why		 why;

	*generation = c == NULL ? 0 : c->generation;
	if (c == NULL || !c->offline) {
		why_set(&why, R_CRT_NO_CA, "issuing CA",
		    "one that waits for its certificate", "none");
		fn(NULL, 0, &why, arg);
		return;
	}
	if ((w = calloc(1, sizeof(*w))) == NULL)
		fatal("ca");
	w->fn = fn;
	w->arg = arg;
	m.key = c->issuing_key.key;
	IPC_SET_STR(m.name, conf->ca.name);
	if (c->issuing_key.have && chan_call(hubd_link(IPC_KEYD), MSG_CSR_REQ,
	    &m, -1, KEYD_TIMEOUT, got_csr, w) == 0)
		return;
	free(w);
	why_set(&why, R_IPC_NOLINK, "keyd", NULL, NULL);
	fn(NULL, 0, &why, arg);
}
