/* Commands about the authority of the certificate service. */
#include <sys/types.h>

#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ca.h"
#include "control.h"

/* A command that is answered later; who asks is gone, or still there. */
struct later {
	struct ipc_call	 call;
	unsigned	 generation;
	int		 fd;		/* memfd of 'ca crl', or -1 */
};

static struct later *
later_new(const struct ipc_call *call)
{
	struct later	*l;

	if ((l = calloc(1, sizeof(*l))) == NULL)
		fatal("control");
	l->call = *call;
	l->fd = -1;
	return l;
}

static void
later_free(struct later *l)
{
	if (l->fd != -1)
		close(l->fd);
	free(l);
}

/* ---- rows ---- */

static const char *
key_name(uint32_t algorithm)
{
	static const char *const names[KEY_NALGORITHMS] = {
	    [KEY_P256] = "P-256", [KEY_P384] = "P-384",
	    [KEY_RSA2048] = "RSA-2048" };

	return names[algorithm];
}

static void
row_certificate(json_t *o, const uint8_t *der, size_t len)
{
	struct cert_info	info;
	uint8_t			hash[HASH_LEN];

	if (len == 0 || cert_read(der, len, &info) == -1) {
		row_null(o, "subject");
		row_null(o, "serial");
		row_null(o, "not_before");
		row_null(o, "not_after");
		row_null(o, "sha256");
		row_null(o, "pem");
		return;
	}
	row_str(o, "subject", info.subject);
	row_hex(o, "serial", info.serial, info.seriallen);
	row_time(o, "not_before", info.not_before);
	row_time(o, "not_after", info.not_after);
	SHA256(der, len, hash);
	row_hex(o, "sha256", hash, sizeof(hash));
	row_pem(o, "pem", "CERTIFICATE", der, len);
}

static void
ca_row(struct client *cl, const char *kind, unsigned generation,
    const char *state, uint32_t algorithm, const uint8_t *der, size_t len,
    const struct why *why)
{
	json_t	*o = row_new("ca");

	row_str(o, "kind", kind);
	row_num(o, "generation", generation);
	row_str(o, "state", state);
	row_str(o, "key", key_name(algorithm));
	row_certificate(o, der, len);
	row_why(o, "reason", why);
	client_row(cl, o);
}

static const char *
state_name(enum ca_state s)
{
	static const char *const names[CA_NSTATES] = {
	    [CA_WAITING] = "waiting", [CA_CURRENT] = "current",
	    [CA_OLD] = "old", [CA_GONE] = "gone" };

	return names[s];
}

static void
crl_row(struct client *cl, const struct ca *c)
{
	const struct crl	*r = crl_byslot(c->slot);
	json_t			*o;

	if (r->generation != c->generation || r->number == 0)
		return;
	o = row_new("crl");
	row_num(o, "generation", c->generation);
	row_num(o, "number", (int64_t)r->number);
	row_time(o, "this_update", r->this_update);
	row_time(o, "next_update", r->next_update);
	row_num(o, "entries", (int64_t)r->entries);
	row_why(o, "reason", &r->why);
	client_row(cl, o);
}

/* A root once, though several CAs stand below it. */
static bool
root_shown(unsigned slot)
{
	const struct ca	*c = ca_byslot(slot), *o;
	unsigned	 i;

	for (i = 0; i < slot; i++)
		if ((o = ca_byslot(i)) != NULL &&
		    o->root_generation == c->root_generation)
			return true;
	return false;
}

/* A root is what the best of the CAs below it is. */
static enum ca_state
root_state(const struct ca *c)
{
	const struct ca	*o;
	enum ca_state	 best = c->state;
	unsigned	 i;

	for (i = 0; i < ENROL_CAS; i++)
		if ((o = ca_byslot(i)) != NULL && o->state == CA_CURRENT &&
		    o->root_generation == c->root_generation)
			best = CA_CURRENT;
	return best;
}

static void
ca_rows(struct client *cl, const struct ca *c)
{
	const char	*state = state_name(c->state);

	if (c->root_len > 0 && !root_shown(c->slot))
		ca_row(cl, "root", c->root_generation,
		    state_name(root_state(c)), c->algorithm, c->root,
		    c->root_len, NULL);
	ca_row(cl, "issuing", c->generation, state, c->algorithm, c->der,
	    c->der_len, &c->task.why);
	if (c->ocsp_len > 0)
		ca_row(cl, "ocsp", c->generation, state, c->algorithm, c->ocsp,
		    c->ocsp_len, NULL);
	crl_row(cl, c);
}

static void
authority_rows(struct client *cl)
{
	const struct ca_leaf	*l = ca_leafs();
	unsigned		 i;

	for (i = 0; i < ENROL_CAS; i++)
		if (ca_byslot(i) != NULL)
			ca_rows(cl, ca_byslot(i));
	for (i = 0; i < CA_LEAFS; i++)
		if (l[i].cert.len > 0 || l[i].task.why.reason != R_OK)
			ca_row(cl, "listener", l[i].generation,
			    l[i].cert.len > 0 ? "current" : "waiting",
			    l[i].algorithm, l[i].cert.der, l[i].cert.len,
			    &l[i].task.why);
}

/* ---- show, init, rollover, install ---- */

int
ctl_ca_show(struct chan *ch, const struct ipc_call *call, const void *arg)
{
	struct client	*cl;
	struct why	 why;

	if ((cl = client_begin(ch, call)) == NULL)
		return 0;
	if (conf->ca.name == NULL)
		return client_refuse_r(cl, R_CRT_NO_CA, "ca",
		    "in provd.conf", NULL);
	authority_rows(cl);
	if (ca_current(&why) == NULL && why.reason == R_CRT_NO_CA &&
	    ca_store_last() == 0)
		return client_refuse(cl, &why);
	return client_done(cl);
}

static void
ca_made(const struct why *why, void *arg)
{
	struct later	*l = arg;
	struct client	*cl = client_of(&l->call);

	if (cl != NULL) {
		if (why->reason == R_OK) {
			authority_rows(cl);
			client_done(cl);
		} else
			client_refuse(cl, why);
	}
	later_free(l);
}

typedef enum reason (*begin_fn)(const void *msg, const char *who,
    struct later *, struct why *);

/* Begin what is answered by ca_made(), or refuse it at once. */
static int
begin(struct chan *ch, const struct ipc_call *call, const void *msg,
    begin_fn fn)
{
	struct client	*cl;
	struct later	*l;
	char		 who[32];
	struct why	 why;

	if ((cl = client_begin(ch, call)) == NULL)
		return 0;
	snprintf(who, sizeof(who), "uid %u", cl->uid);
	l = later_new(call);
	if (fn(msg, who, l, &why) == R_OK)
		return 0;
	later_free(l);
	audit_record(AUDIT_REFUSAL, "ca", why.reason, "%s: %s%s%s", who,
	    why.field, why.seen[0] != '\0' ? ": " : "", why.seen);
	return client_refuse(cl, &why);
}

static enum reason
begin_init(const void *msg, const char *who, struct later *l, struct why *why)
{
	const struct msg_ctl_ca_init	*m = msg;

	return ca_init(m->offline, who, ca_made, l, why);
}

static enum reason
begin_rollover(const void *msg, const char *who, struct later *l,
    struct why *why)
{
	const struct msg_ctl_ca_rollover	*m = msg;

	return ca_rollover(m->root, who, ca_made, l, why);
}

static enum reason
begin_install(const void *msg, const char *who, struct later *l,
    struct why *why)
{
	const struct msg_ctl_ca_install	*m = msg;

	return ca_install(m->chain.data, m->chain.len, who, ca_made, l, why);
}

int
ctl_ca_init(struct chan *ch, const struct ipc_call *call, const void *arg)
{
	return begin(ch, call, arg, begin_init);
}

int
ctl_ca_rollover(struct chan *ch, const struct ipc_call *call, const void *arg)
{
	return begin(ch, call, arg, begin_rollover);
}

int
ctl_ca_install(struct chan *ch, const struct ipc_call *call, const void *arg)
{
	return begin(ch, call, arg, begin_install);
}

/* ---- the request ---- */

static void
ca_requested(const uint8_t *der, size_t len, const struct why *why, void *arg)
{
	struct later	*l = arg;
	struct client	*cl = client_of(&l->call);
	char		 name[128];
	json_t		*o;

	if (cl != NULL && der == NULL)
		client_refuse(cl, why);
	else if (cl != NULL) {
		o = row_new("ca_csr");
		row_num(o, "generation", l->generation);
		snprintf(name, sizeof(name), "CN=%s Issuing CA %u,O=%s",
		    conf->ca.name, l->generation, conf->ca.name);
		row_str(o, "subject", name);
		row_pem(o, "pem", "CERTIFICATE REQUEST", der, len);
		client_row(cl, o);
		client_done(cl);
	}
	later_free(l);
}

int
ctl_ca_csr(struct chan *ch, const struct ipc_call *call, const void *arg)
{
	struct later	*l;

	if (client_begin(ch, call) == NULL)
		return 0;
	l = later_new(call);
	ca_csr(&l->generation, ca_requested, l);
	return 0;
}

/* ---- its CRL ---- */

static int
crl_give(struct client *cl, unsigned generation, int fd)
{
	const struct ca	*c = ca_bygeneration(generation);
	enum reason	 r = crl_copy(generation, fd);

	if (r != R_OK)
		return client_refuse_r(cl, r, r == R_CTL_VALUE ? "descriptor" :
		    "generation", r == R_CTL_VALUE ? "a memfd that may grow" :
		    NULL, NULL);
	if (c != NULL)
		crl_row(cl, c);
	return client_done(cl);
}

static void
crl_made(enum reason r, void *arg)
{
	struct later	*l = arg;
	struct client	*cl = client_of(&l->call);

	if (cl != NULL && r == R_OK)
		crl_give(cl, l->generation, l->fd);
	else if (cl != NULL)
		client_refuse_r(cl, r, "CRL", NULL, NULL);
	later_free(l);
}

static unsigned
generation_of(uint32_t wanted)
{
	const struct ca	*c;
	unsigned	 i;

	for (i = 0; i < ENROL_CAS; i++)
		if ((c = ca_byslot(i)) != NULL && (wanted != 0 ?
		    c->generation == wanted : c->state == CA_CURRENT))
			return c->generation;
	return 0;
}

int
ctl_ca_crl(struct chan *ch, const struct ipc_call *call, const void *arg)
{
	const struct msg_ctl_ca_crl	*m = arg;
	struct client			*cl;
	struct later			*l;
	unsigned			 generation;

	if ((cl = client_begin(ch, call)) == NULL) {
		close(call->fd);
		return 0;
	}
	if ((generation = generation_of(m->generation)) == 0) {
		close(call->fd);
		return client_refuse_r(cl, R_CRT_NO_CRL, "generation", NULL,
		    NULL);
	}
	if (!m->publish) {
		crl_give(cl, generation, call->fd);
		close(call->fd);
		return 0;
	}
	audit_record(AUDIT_OPERATOR, "ca", R_OK, "uid %u: ca crl --publish, "
	    "issuing CA %u", cl->uid, generation);
	l = later_new(call);
	l->generation = generation;
	l->fd = call->fd;
	crl_hurry(generation);
	crl_changed(generation, crl_made, l);
	return 0;
}
