/* Commands about certificates that were issued, and about devices. */
#include <openssl/sha.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "control.h"
#include "enrol.h"
#include "hex.h"

#define PAGE		32	/* rows a step */
#define LIFETIME	86400	/* s, of a ticket that names none */
#define PROFILES	64	/* in statistics; one may have been taken away */

/* ---- rows ---------------------------------------------------------------- */

static const char *
status_name(const struct issued *i, uint64_t now)
{
	static const char *const	names[] = { [ST_ALL] = "",
	    [ST_VALID] = "valid", [ST_REVOKED] = "revoked",
	    [ST_EXPIRED] = "expired", [ST_ORPHAN] = "orphan" };

	return names[issued_state(i, now)];
}

static void
row_certificate(json_t *o, const struct issued *i, bool pem)
{
	uint8_t	hash[HASH_LEN];

	if (i->len == 0) {
		row_null(o, "sha256");
		row_null(o, "pem");
		return;
	}
	SHA256(i->der, i->len, hash);
	row_hex(o, "sha256", hash, sizeof(hash));
	if (pem)
		row_pem(o, "pem", "CERTIFICATE", i->der, i->len);
	else
		row_null(o, "pem");
}

static json_t *
row_cert(const struct issued *i, bool pem)
{
	json_t	*o = row_new("cert");

	row_hex(o, "serial", i->serial, sizeof(i->serial));
	row_str(o, "name", i->name);
	row_str(o, "profile", i->profile);
	row_num(o, "generation", i->generation);
	row_str(o, "status", status_name(i, clock_trusted()));
	row_time(o, "not_before", i->not_before);
	row_time(o, "not_after", i->not_after);
	row_time(o, "issued", i->requested);
	row_time(o, "revoked", i->revoked);
	row_str(o, "revocation", i->revoked != 0 ?
	    crl_reason_name(i->reason) : "");
	row_str(o, "auth", cert_auth_name(i->auth));
	row_str(o, "door", i->est ? "est" : "json");
	row_str(o, "address", i->address);
	row_certificate(o, i, pem);
	row_bool(o, "acknowledged", !i->orphan);
	return o;
}


static json_t *
row_device(const struct device *d, const char *ticket)
{
	json_t		*o = row_new("device");
	uint64_t	 now = clock_trusted();

	row_str(o, "name", d->name);
	row_str(o, "profile", d->profile);
	row_time(o, "added", d->added);
	row_str(o, "ticket", ticket);
	row_str(o, "ticket_state", d->expires == 0 ? "none" :
	    d->used != 0 ? "used" : d->expires <= now ? "expired" :
	    "waiting");
	row_time(o, "ticket_expires", d->expires);
	row_num(o, "certificates", d->certificates);
	if (d->certificates > 0)
		row_hex(o, "last", d->last, sizeof(d->last));
	else
		row_null(o, "last");
	return o;
}

/* ---- lists --------------------------------------------------------------- */

struct answer {
	struct issued_filter filter;
	int64_t		 at;
	bool		 pem;
	unsigned	 n;			/* rows of this step */
	struct client	*cl;
	char		 after[NAME_LEN + 1];	/* devices */
	unsigned	 nprofiles;		/* statistics */
	struct {
		char	 name[33];
		int64_t	 n[ST_ORPHAN + 1];
	} profiles[PROFILES];
};

static struct answer *
answer_new(struct client *cl)
{
	struct answer	*l;

	enrol_settle();
	if ((l = calloc(1, sizeof(*l))) == NULL)
		fatal("control");
	l->cl = cl;
	l->filter.now = clock_trusted();
	cl->listing = l;
	return l;
}

static void
send_cert(const struct issued *i, void *arg)
{
	struct answer	*l = arg;

	l->n++;
	client_row(l->cl, row_cert(i, l->pem));
}

/* A page that found nothing leaves the turn to others. */
static bool
next_cert(struct client *cl)
{
	struct answer	*l = cl->listing;
	bool		 more;

	l->n = 0;
	more = issued_page(&l->filter, &l->at, PAGE, send_cert, l);
	cl->paused = more && l->n == 0;
	return more;
}

/* The name in the form that the store has it in: as it was written, if there
 * is such a one, since case counts in a text. */
static void
name_known(const char *name, char out[NAME_LEN + 1])
{
	struct device	dev;
	struct issued	cert;
	unsigned	k;

	text_set(out, NAME_LEN + 1, name);
	if (device_find(out, &dev) || issued_newest(out, &cert))
		return;
	for (k = NAME_MAC; k <= NAME_SERIAL; k++)
		if (name_canonical((enum conf_name_kind)k, name, out) == 0 &&
		    (device_find(out, &dev) || issued_newest(out, &cert)))
			return;
	text_set(out, NAME_LEN + 1, name);
}

int
ctl_cert_list(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_ctl_cert_list	*m = arg;
	struct answer			*l;
	struct client			*cl;

	if ((cl = client_begin(c, call)) == NULL)
		return 0;
	l = answer_new(cl);
	if (*m->name != '\0')
		name_known(m->name, l->filter.name);
	text_set(l->filter.profile, sizeof(l->filter.profile), m->profile);
	l->filter.status = (enum issued_status)m->status;
	l->pem = m->pem;
	return client_stream(cl, next_cert);
}

static void
count_add(const char *profile, enum issued_status st, int64_t n, void *arg)
{
	struct answer	*l = arg;
	unsigned	 i;

	for (i = 0; i < l->nprofiles; i++)
		if (strcmp(l->profiles[i].name, profile) == 0)
			break;
	if (i == PROFILES)
		i--;		/* the last one stands for all that follow */
	else if (i == l->nprofiles)
		text_set(l->profiles[l->nprofiles++].name,
		    sizeof(l->profiles[i].name), profile);
	l->profiles[i].n[ST_ALL] += n;
	l->profiles[i].n[st] += n;
}

static bool
next_count(struct client *cl)
{
	struct answer	*l = cl->listing;
	json_t		*o;
	unsigned	 i;

	cl->paused = issued_count(&l->at, l->filter.now, count_add, l);
	if (cl->paused)
		return true;
	for (i = 0; i < l->nprofiles; i++) {
		o = row_new("cert_stats");
		row_str(o, "profile", l->profiles[i].name);
		row_num(o, "total", l->profiles[i].n[ST_ALL]);
		row_num(o, "valid", l->profiles[i].n[ST_VALID]);
		row_num(o, "revoked", l->profiles[i].n[ST_REVOKED]);
		row_num(o, "expired", l->profiles[i].n[ST_EXPIRED]);
		row_num(o, "orphan", l->profiles[i].n[ST_ORPHAN]);
		client_row(cl, o);
	}
	return false;
}

int
ctl_cert_stats(struct chan *c, const struct ipc_call *call, const void *arg)
{
	struct client	*cl;

	if ((cl = client_begin(c, call)) == NULL)
		return 0;
	answer_new(cl);
	return client_stream(cl, next_count);
}

/* ---- one certificate ------------------------------------------------------ */

static bool
serial_find(struct client *cl, const char *serial, struct issued *i)
{
	uint8_t	bytes[SERIAL_LEN];

	if (strlen(serial) != SERIAL_DIGITS ||
	    serial_read(serial, bytes) == -1) {
		client_refuse_r(cl, R_CTL_VALUE, "serial", "32 hex digits",
		    serial);
		return false;
	}
	if (!issued_find(bytes, sizeof(bytes), i)) {
		client_refuse_r(cl, R_CRT_SERIAL, "serial", NULL, serial);
		return false;
	}
	return true;
}

int
ctl_cert_show(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_ctl_cert_show	*m = arg;
	static struct issued		 i;
	struct client			*cl;

	enrol_settle();
	if ((cl = client_begin(c, call)) == NULL ||
	    !serial_find(cl, m->serial, &i))
		return 0;
	client_row(cl, row_cert(&i, true));
	return client_done(cl);
}

/* ---- revoking ------------------------------------------------------------- */

/* Answered once the CRLs of all issuing CAs that it concerns are published. */
struct revoking {
	struct ipc_call	 call;
	unsigned	 left;
	enum reason	 reason;
	size_t		 n, size;
	int64_t		*ids;
};

static void
revoke_over(enum reason r, void *arg)
{
	struct revoking	*rv = arg;
	struct client	*cl;

	if (r != R_OK && rv->reason == R_OK)
		rv->reason = r;
	if (--rv->left > 0)
		return;
	if ((cl = client_of(&rv->call)) != NULL) {
		if (rv->reason == R_OK)
			client_done(cl);
		else
			client_refuse_r(cl, rv->reason, "CRL", NULL, NULL);
	}
	free(rv->ids);
	free(rv);
}

static void
revoke_add(const struct issued *i, void *arg)
{
	struct revoking	*rv = arg;
	int64_t		*p;

	if (i->revoked != 0 || i->not_after <= clock_trusted())
		return;
	if (rv->n == rv->size) {
		rv->size = rv->size == 0 ? 16 : rv->size * 2;
		if ((p = reallocarray(rv->ids, rv->size, sizeof(*p))) == NULL)
			fatal("control");
		rv->ids = p;
	}
	rv->ids[rv->n++] = i->id;
}

static enum reason
revoke_all(struct client *cl, struct revoking *rv, enum crl_reason reason,
    struct why *why)
{
	static struct issued	 cert;
	unsigned		 told = 0;
	char			 who[32];
	size_t			 i;

	snprintf(who, sizeof(who), "uid %u", (unsigned)cl->uid);
	for (i = 0; i < rv->n; i++) {
		if (!issued_byid(rv->ids[i], &cert))
			continue;
		if (issued_revoke(&cert, reason, who, why) != R_OK)
			return why->reason;
		(void)issued_byid(cert.id, &cert);
		client_row(cl, row_cert(&cert, false));
		if (cert.generation == told)
			continue;
		told = cert.generation;
		rv->left++;
		crl_changed(told, revoke_over, rv);
	}
	return R_OK;
}

/* Which ones; false if it was refused. */
static bool
revoke_which(struct client *cl, const struct msg_ctl_cert_revoke *m,
    struct revoking *rv)
{
	struct issued_filter	 f = { .status = ST_ALL };
	static struct issued	 cert;
	int64_t			 at = 0;

	if (*m->serial != '\0') {
		if (!serial_find(cl, m->serial, &cert))
			return false;
		if (cert.revoked != 0) {
			client_refuse_r(cl, R_CRT_REVOKED, "serial", NULL,
			    m->serial);
			return false;
		}
		revoke_add(&cert, rv);
		if (rv->n == 0)
			client_refuse_r(cl, R_CRT_SERIAL, "serial",
			    "not expired", m->serial);
		return rv->n > 0;
	}
	name_known(m->name, f.name);
	while (*f.name != '\0' && issued_page(&f, &at, PAGE, revoke_add, rv))
		;
	if (rv->n == 0)
		client_refuse_r(cl, R_CRT_SERIAL, "name", "one of a valid"
		    " certificate", m->name);
	return rv->n > 0;
}

int
ctl_cert_revoke(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_ctl_cert_revoke	*m = arg;
	struct revoking				*rv;
	struct client				*cl;
	struct why				 why;
	enum reason				 r;

	if ((cl = client_begin(c, call)) == NULL)
		return 0;
	if (!crl_reason_ok(m->reason))
		return client_refuse_r(cl, R_CTL_VALUE, "reason", NULL, NULL);
	if ((rv = calloc(1, sizeof(*rv))) == NULL)
		fatal("control");
	rv->call = *call;
	if (!revoke_which(cl, m, rv)) {
		free(rv->ids);
		free(rv);
		return 0;
	}
	audit_record(AUDIT_OPERATOR, m->name, R_OK, "uid %u: cert revoke %s%s",
	    (unsigned)cl->uid, m->serial, m->name);
	rv->left = 1;		/* until all of them were begun */
	r = revoke_all(cl, rv, (enum crl_reason)m->reason, &why);
	revoke_over(r, rv);
	return 0;
}

/* ---- devices -------------------------------------------------------------- */

static void
send_device(const struct device *d, void *arg)
{
	client_row(arg, row_device(d, ""));
}

static bool
next_device(struct client *cl)
{
	struct answer	*l = cl->listing;

	return device_page(l->after, l->filter.profile, PAGE, send_device,
	    cl);
}

int
ctl_device_list(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_ctl_device_list	*m = arg;
	char					 name[NAME_LEN + 1];
	struct device				 d;
	struct answer				*l;
	struct client				*cl;

	if ((cl = client_begin(c, call)) == NULL)
		return 0;
	if (*m->name != '\0') {
		name_known(m->name, name);
		if (!device_find(name, &d))
			return client_refuse_r(cl, R_CRT_DEVICE, "name", NULL,
			    m->name);
		client_row(cl, row_device(&d, ""));
		return client_done(cl);
	}
	l = answer_new(cl);
	text_set(l->filter.profile, sizeof(l->filter.profile), m->profile);
	return client_stream(cl, next_device);
}

/* The named profile, the one that it is listed under, or the only one. */
static const struct conf_profile *
device_profile(const char *profile, const char *name)
{
	char		known[NAME_LEN + 1];
	struct device	d;

	if (*profile != '\0')
		return profile_find(profile);
	name_known(name, known);
	if (device_find(known, &d))
		return profile_find(d.profile);
	return profile_only();
}

/* Lists it if it is not. R_OK, or the check that failed. */
static enum reason
device_listed(const struct msg_ctl_device_add *m, struct device *d,
    struct why *why)
{
	const struct conf_profile	*p = device_profile(m->profile,
					    m->name);
	char				 name[NAME_LEN + 1];

	if (p == NULL)
		return why_set(why, R_CRT_PROFILE, "profile", "one of"
		    " provd.conf", m->profile);
	if (name_canonical(p->names, m->name, name) == -1)
		return why_set(why, R_CRT_NAME_FORM, "name", NULL, m->name);
	if (!device_find(name, d)) {
		if (device_add(name, p, why) != R_OK)
			return why->reason;
		if (!device_find(name, d))
			return why_set(why, R_SYS_STORE_IO, "device", NULL,
			    name);
	}
	if (strcmp(d->profile, p->name) != 0)
		return why_set(why, R_CRT_PROFILE, "profile", d->profile,
		    p->name);
	return why_set(why, R_OK, NULL, NULL, NULL);
}

int
ctl_device_add(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_ctl_device_add	*m = arg;
	char				 digits[HEX_SIZE(TICKET_LEN)] = "";
	uint8_t				 ticket[TICKET_LEN];
	uint32_t			 life;
	struct client			*cl;
	struct device			 d = { .id = 0 };
	struct why			 why;
	enum reason			 r = R_OK;

	if ((cl = client_begin(c, call)) == NULL)
		return 0;
	if (device_listed(m, &d, &why) != R_OK) {
		audit_record(AUDIT_OPERATOR, m->name, why.reason, "uid %u: "
		    "device add", (unsigned)cl->uid);
		return client_refuse(cl, &why);
	}
	life = m->lifetime == 0 ? LIFETIME : m->lifetime;
	if (m->ticket)
		r = device_ticket(d.id, clock_trusted() + life, ticket);
	if (r != R_OK)
		return client_refuse_r(cl, r, "store", NULL, NULL);
	if (m->ticket) {
		hex(ticket, sizeof(ticket), digits);
		explicit_bzero(ticket, sizeof(ticket));
	}
	audit_record(AUDIT_OPERATOR, d.name, R_OK, "uid %u: device add,"
	    " profile %s%s", (unsigned)cl->uid, d.profile,
	    m->ticket ? ", ticket" : "");
	(void)device_find(d.name, &d);
	client_row(cl, row_device(&d, digits));
	explicit_bzero(digits, sizeof(digits));
	return client_ack(cl);
}

int
ctl_device_remove(struct chan *c, const struct ipc_call *call,
    const void *arg)
{
	const struct msg_ctl_device_remove	*m = arg;
	char					 name[NAME_LEN + 1];
	struct client				*cl;
	struct device				 d;
	enum reason				 r;

	if ((cl = client_begin(c, call)) == NULL)
		return 0;
	name_known(m->name, name);
	if (!device_find(name, &d))
		return client_refuse_r(cl, R_CRT_DEVICE, "name", NULL,
		    m->name);
	if ((r = device_remove(d.id)) != R_OK)
		return client_refuse_r(cl, r, "store", NULL, NULL);
	audit_record(AUDIT_OPERATOR, d.name, R_OK, "uid %u: device remove",
	    (unsigned)cl->uid);
	return client_ack(cl);
}
