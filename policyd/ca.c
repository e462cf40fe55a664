/*
 * The authority of the certificate service: root, issuing CAs, their OCSP
 * signers, and the leafs of enrold's listeners.
 *
 * The store says which generations there shall be; ca_next() asks keyd for
 * what is missing, one call at a time, and may be called at any moment: a
 * kill of either side at any line leads to the same end. A certificate is
 * asked for only after a row with its serial is on disk.
 */
#include <openssl/evp.h>
#include <string.h>

#include "ca.h"
#include "clock.h"

#define LOOK_EVERY	60000	/* ms between looks at what ends */
#define SKEW		3600	/* s that one begins before it was issued */

static struct ca	cas[ENROL_CAS];
static struct ca_leaf	leafs[CA_LEAFS];
static uint8_t		names[HASH_LEN];	/* of the listeners */
static uint64_t		mono, looked;		/* ms */

static struct {
	unsigned	 generation;	/* 0: not asked for in this life */
	struct ca_key	 key;
} root;

/* The root before it, while it certifies that one. */
static struct {
	unsigned	 generation;
	struct ca_key	 key;
	struct ca_cert	 cert;
} before;

/* ---- looking things up ---- */

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

struct ca *
ca_in_state(enum ca_state state)
{
	unsigned	i;

	for (i = 0; i < ENROL_CAS; i++)
		if (cas[i].generation != 0 && cas[i].state == state)
			return &cas[i];
	return NULL;
}

struct ca *
ca_slot(unsigned slot)
{
	cas[slot].slot = slot;
	return &cas[slot];
}

struct ca *
ca_free_slot(void)
{
	unsigned	i;

	for (i = 0; i < ENROL_CAS; i++)
		if (cas[i].generation == 0)
			return ca_slot(i);
	return NULL;
}

uint64_t
ca_clock(void)
{
	return mono;
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
	const struct ca	*c = ca_in_state(CA_CURRENT);
	uint64_t	 now = clock_trusted();

	if (c == NULL) {
		c = ca_in_state(CA_WAITING);
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

void
ca_take_cross(struct ca *c, const struct ca_cert *cert)
{
	c->cross_not_after = cert->not_after;
	c->cross_len = cert->len;
	memcpy(c->cross, cert->der, cert->len);
	c->told = false;
}

/* At two thirds, or when the clock puts it out of its window; but only if the
 * CA above lets another one live longer. */
static bool
cert_due(uint64_t nb, uint64_t na, size_t len, const struct ca *above)
{
	uint64_t	now = clock_trusted();

	if (now > above->not_after)
		return false;
	if (len == 0)
		return true;
	if (now < nb)		/* the CA's own begin, or a clock set back? */
		return now - SKEW < nb && nb > above->not_before;
	return now >= nb + (na - nb) / 3 * 2 && na < above->not_after &&
	    now - SKEW + conf->leaf_lifetime > na;
}

/* ---- a generation ---- */

static void
promoted(enum reason r, void *arg)
{
	struct why	why;

	ca_job_hold(false);
	why_set(&why, r, NULL, NULL, NULL);
	ca_wake((unsigned)(uintptr_t)arg, &why);
	if (r != R_OK)
		return;
	ca_tell(false);		/* before its first CRL, which belongs to it */
	ca_next();
}

/* Waiting no longer: it issues from now on, the one before it does not. */
static bool
promote(struct ca *c)
{
	struct ca	*was = ca_in_state(CA_CURRENT);
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
		ca_task_failed(&c->task, "issuing CA", &why);
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
	ca_job_hold(true);
	store_after_commit(promoted, (void *)(uintptr_t)c->generation);
	return true;
}

/*
 * The root before this one gives it a certificate (RFC 4210, 4.4, NewWithOld),
 * so that who trusts only that one goes on. None to be had is no obstacle.
 */
static bool
cross_wanted(struct ca *c)
{
	if (c->cross_len != 0 || c->cross_lost || c->root_generation < 2)
		return false;
	if (before.generation != c->root_generation - 1) {
		memset(&before, 0, sizeof(before));
		before.generation = c->root_generation - 1;
		if (!ca_store_cert(CA_ROOT, before.generation, 0, NULL,
		    &before.cert))
			before.cert.len = 0;
	}
	return before.cert.len != 0 &&
	    clock_trusted() < before.cert.not_after;
}

static bool
step_cross(struct ca *c)
{
	uint64_t	from, until;

	if (!before.key.have)
		return ca_key_make(&before.key, KEY_ROOT,
		    before.cert.algorithm, "root", before.generation);
	if (!ca_cert_over(before.cert.der, before.cert.len, &before.key)) {
		c->cross_lost = true;
		audit_record(AUDIT_KEY, "keyd", R_CRT_CA_KEY, "root %u cannot "
		    "certify root %u", before.generation, c->root_generation);
		return false;
	}
	from = before.cert.not_before > c->root_not_before ?
	    before.cert.not_before : c->root_not_before;
	until = before.cert.not_after < c->root_not_after ?
	    before.cert.not_after : c->root_not_after;
	return ca_cert_issue(CA_CROSS, c->root_generation, &root.key, NULL,
	    &(struct ca_above){ &before.key, conf->ca.root_validity, from,
	    until, &before.cert });
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
		return ca_key_make(&root.key, KEY_ROOT, c->algorithm, "root",
		    c->root_generation);
	if (c->root_len == 0)
		return ca_cert_issue(CA_ROOT, c->root_generation, &root.key,
		    NULL, &(struct ca_above){ &root.key,
		    conf->ca.root_validity, 0, UINT64_MAX, NULL });
	if (ca_cert_over(c->root, c->root_len, &root.key)) {
		if (cross_wanted(c) && (step_cross(c) || !c->cross_lost))
			return ca_job_busy();
		return ca_cert_issue(CA_ISSUING, c->generation,
		    &c->issuing_key, NULL, &(struct ca_above){ &root.key,
		    conf->ca.issuing_validity, c->root_not_before,
		    c->root_not_after, NULL });
	}
	why_set(&why, R_CRT_CA_KEY, "root", NULL, NULL);
	ca_task_failed(&c->task, "root", &why);
	root.key.have = false;
	ca_wake(c->generation, &why);
	return false;
}

/* The next thing that it lacks; true if something was asked for. */
static bool
step_ca(struct ca *c)
{
	struct why	why;

	if (!ca_job_for(c, NULL))
		return false;
	if (!c->issuing_key.have)
		return ca_key_make(&c->issuing_key, KEY_ISSUING, c->algorithm,
		    "issuing", c->generation);
	if (c->der_len == 0 && c->offline) {
		why_set(&why, R_OK, NULL, NULL, NULL);
		ca_wake(c->generation, &why);
		return false;		/* the operator's turn */
	}
	if (c->der_len == 0)
		return step_root(c);
	if (!c->signer_key.have)
		return ca_key_make(&c->signer_key, KEY_OCSP, c->algorithm, "ocsp",
		    c->generation);
	if (c->ocsp_len != 0 && !ca_cert_over(c->ocsp, c->ocsp_len,
	    &c->signer_key))
		c->ocsp_len = 0;	/* of another key directory */
	if (cert_due(c->ocsp_not_before, c->ocsp_not_after, c->ocsp_len, c))
		return ca_cert_issue(CA_OCSP, c->generation, &c->signer_key,
		    NULL, &(struct ca_above){ &c->issuing_key,
		    conf->leaf_lifetime, c->not_before, c->not_after, NULL });
	return c->state == CA_WAITING && promote(c);
}

/* ---- the listeners ---- */

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
	if (!leaf_wanted(l->algorithm) || !ca_job_for(c, l))
		return false;
	if (!l->key.have)
		return ca_key_make(&l->key, KEY_ENROL, l->algorithm,
		    l->algorithm == KEY_RSA2048 ? "enrol-rsa2048" :
		    "enrol-p256", 0);
	if (l->cert.len != 0 && !ca_cert_over(l->cert.der, l->cert.len,
	    &l->key))
		l->cert.len = 0;
	if (l->generation == c->generation && !cert_due(l->cert.not_before,
	    l->cert.not_after, l->cert.len, c))
		return false;
	return ca_cert_issue(CA_ENROL, c->generation, &l->key, names,
	    &(struct ca_above){ &c->issuing_key, conf->leaf_lifetime,
	    c->not_before, c->not_after, NULL });
}

/* ---- the next thing to ask for ---- */

void
ca_next(void)
{
	struct ca	*c;
	unsigned	 i;

	if (ca_job_busy() || hubd_link(IPC_KEYD) == NULL)
		return;
	/* First what issues, then its listeners, then those to come or go. */
	if ((c = ca_in_state(CA_CURRENT)) != NULL) {
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
	crl_next();		/* some may have waited for their key */
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
	memset(&before, 0, sizeof(before));
	for (i = 0; i < ENROL_CAS; i++) {
		cas[i].up = false;
		cas[i].issuing_key.have = cas[i].signer_key.have = false;
	}
	for (i = 0; i < CA_LEAFS; i++)
		leafs[i].key.have = false;
}

/* ---- time ---- */

static void
ca_look(void)
{
	looked = mono;
	if (ca_job_busy() || store_state() != R_OK)
		return;
	ca_drop_old();
	ca_rollover_in_time();
}

void
ca_tick(uint64_t mono_ms)
{
	mono = mono_ms;
	ca_job_clock(mono_ms);
	ca_wait_tick(mono_ms);
	if (mono_ms - looked >= LOOK_EVERY)
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

/* ---- start ---- */

static void
load_leaf(struct ca_leaf *l, const struct ca *c)
{
	if (c != NULL && ca_store_cert(CA_ENROL, c->generation, l->algorithm,
	    names, &l->cert))
		l->generation = c->generation;
}

void
ca_start(void)
{
	unsigned	i;

	memset(cas, 0, sizeof(cas));
	memset(leafs, 0, sizeof(leafs));
	ca_job_clear();
	memset(&root, 0, sizeof(root));
	memset(&before, 0, sizeof(before));
	mono = looked = 0;
	ca_rollover_start();
	ca_wait_clear();
	leaf_names(names);
	ca_store_load(cas);
	leafs[0].algorithm = KEY_P256;
	leafs[1].algorithm = KEY_RSA2048;
	for (i = 0; i < CA_LEAFS; i++)
		load_leaf(&leafs[i], ca_in_state(CA_CURRENT));
}

void
ca_warnings(service_warn_fn fn, void *arg)
{
	const struct ca	*c;
	struct why	 why;
	unsigned	 i;

	if (ca_current(&why) == NULL)
		fn("ca", &why, arg);
	if ((c = ca_in_state(CA_WAITING)) != NULL && c->offline &&
	    why.reason != R_CRT_CA_WAITS) {
		why_set(&why, R_CRT_CA_WAITS, NULL, NULL, NULL);
		fn("ca", &why, arg);
	}
	for (i = 0; i < ENROL_CAS; i++)
		if (cas[i].generation != 0 && &cas[i] != ca_in_state(CA_CURRENT))
			fn("ca", &cas[i].task.why, arg);
	for (i = 0; i < CA_LEAFS; i++)
		fn("listener", &leafs[i].task.why, arg);
	ca_rollover_warnings(fn, arg);
}
