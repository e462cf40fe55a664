/*
 * Generations of issuing CA: made, rolled over in time, forgotten, and what
 * the operator says about them.
 */
#include <stdlib.h>
#include <string.h>

#include "ca.h"
#include "clock.h"

#define KEYD_TIMEOUT	120000	/* ms */

static struct why	ends;	/* why it is not rolled over in time */

void
ca_rollover_start(void)
{
	why_set(&ends, R_OK, NULL, NULL, NULL);
}

void
ca_rollover_warnings(service_warn_fn fn, void *arg)
{
	fn("ca", &ends, arg);
}

/* ---- rollover ---- */

/* A generation to be made; the store alone says so. R_OK, or why not. */
static enum reason
generation_add(const struct ca *like, bool offline, bool new_root,
    unsigned *generation, struct why *why)
{
	struct ca	*c = ca_free_slot();
	struct ca_cert	 cert;
	enum reason	 r;
	unsigned	 slot;

	if (c == NULL)
		return why_set(why, R_CRT_CA_MANY, "issuing CAs", "7 at most",
		    "8");
	slot = c->slot;
	memset(c, 0, sizeof(*c));
	c->slot = slot;
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
	if (!offline && ca_store_cert(CA_CROSS, c->root_generation, 0, NULL,
	    &cert))
		ca_take_cross(c, &cert);
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
void
ca_rollover_in_time(void)
{
	const struct ca	*c = ca_in_state(CA_CURRENT);
	uint64_t	 now = clock_trusted(), until;
	unsigned	 generation;
	struct why	 why;

	why_set(&ends, R_OK, NULL, NULL, NULL);
	if (c == NULL || now + longest() <= c->not_after ||
	    ca_in_state(CA_WAITING) != NULL)
		return;
	until = now + conf->ca.issuing_validity;
	if (!c->offline && until > c->root_not_after)
		until = c->root_not_after;
	if (until < c->not_after + conf->ca.issuing_validity / 4) {
		why_set(&ends, R_CRT_CA_ENDS, "issuing CA", NULL, NULL);
		return;
	}
	if (generation_add(c, c->offline, false, &generation, &why) != R_OK) {
		ends = why;
		return;
	}
	audit_record(AUDIT_CERT, "ca", R_CRT_CA_ENDS, "issuing CA %u is rolled"
	    " over to %u", c->generation, generation);
	log_info("ca: issuing CA %u ends within the validity of a profile: "
	    "rolled over to %u", c->generation, generation);
	store_after_commit(generation_stored, NULL);
}

/* Nothing that it issued is valid: it is forgotten, its rows stay. */
void
ca_drop_old(void)
{
	unsigned	 i;
	struct ca	*c;

	for (i = 0; i < ENROL_CAS && !crl_busy(); i++) {
		c = ca_slot(i);
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

/* ---- the operator ---- */

enum reason
ca_init(bool offline, const char *who, ca_fn fn, void *arg, struct why *why)
{
	const struct ca	*c = ca_in_state(CA_WAITING);
	unsigned	 generation;

	if (conf->ca.name == NULL)
		return why_set(why, R_CRT_NO_CA, "ca", "in provd.conf", NULL);
	if (ca_in_state(CA_CURRENT) != NULL || ca_in_state(CA_OLD) != NULL)
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
	ca_wait(generation, ca_clock(), fn, arg);
	store_after_commit(generation_stored, NULL);
	return why_set(why, R_OK, NULL, NULL, NULL);
}

enum reason
ca_rollover(bool new_root, const char *who, ca_fn fn, void *arg,
    struct why *why)
{
	const struct ca	*c = ca_in_state(CA_CURRENT);
	unsigned	 generation;

	if (ca_in_state(CA_WAITING) != NULL)
		return why_set(why, R_CRT_CA_WAITS, NULL, NULL, NULL);
	if (c == NULL)
		return why_set(why, R_CRT_NO_CA, NULL, NULL, NULL);
	if (generation_add(c, c->offline, new_root, &generation, why) != R_OK)
		return why->reason;
	audit_record(AUDIT_OPERATOR, "ca", R_OK, "%s: ca rollover%s, issuing "
	    "CA %u", who, new_root ? " --root" : "", generation);
	ca_wait(generation, ca_clock(), fn, arg);
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
	struct ca		*c = ca_in_state(CA_WAITING);
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
	ca_wait(c->generation, ca_clock(), fn, arg);
	store_after_commit(generation_stored, NULL);
	return R_OK;
}

/* ---- its request ---- */

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
	const struct ca		*c = ca_in_state(CA_WAITING);
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
