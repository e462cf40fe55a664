/*
 * OCSP (RFC 6960): enrold parsed the request, the store knows the status,
 * keyd's OCSP signer of that issuing CA signs. Whoever can reach the door
 * can make keyd sign, so only some of its window is for that.
 */
#include <stdlib.h>
#include <string.h>

#include "ca.h"
#include "clock.h"

#define KEYD_TIMEOUT	10000	/* ms; the client has gone by then */
#define FLYING_MAX	32	/* of a window of 64 */
#define FRESH		3600	/* s that an answer may be kept, at most */

static unsigned	flying;

struct ocsp_wait {
	struct ipc_call	 call;
	unsigned	 slot;
	uint64_t	 next_update;
};

static const struct ca *
named(const struct msg_ocsp_req *m)
{
	const size_t	 n = m->hash == 0 ? 20 : HASH_LEN;
	const struct ca	*c;
	unsigned	 i;

	if (m->name_hash.len != n || m->key_hash.len != n)
		return NULL;
	for (i = 0; i < ENROL_CAS; i++)
		if ((c = ca_byslot(i)) != NULL && c->der_len > 0 &&
		    memcmp(c->name_hash[m->hash], m->name_hash.data, n) == 0 &&
		    memcmp(c->key_hash[m->hash], m->key_hash.data, n) == 0)
			return c;
	return NULL;
}

/*
 * A certificate that has expired is not revoked thereby: "good" says that it
 * is on record and not revoked (RFC 6960, 2.2). One that another CA of ours
 * issued is not known to this one.
 */
static void
status_of(const struct ca *c, const struct msg_ocsp_req *m, uint64_t now,
    struct msg_ocsp_sign_req *out)
{
	static struct issued	i;
	enum cert_status	s;

	out->status = CERT_UNKNOWN;
	s = issued_status(m->serial.data, m->serial.len, now, &i);
	if (s == CERT_UNKNOWN) {
		if (ca_store_issued(c->generation, m->serial.data,
		    m->serial.len))
			out->status = CERT_GOOD;
		return;
	}
	if (i.generation != c->generation)
		return;
	out->status = i.revoked != 0 ? CERT_REVOKED : CERT_GOOD;
	if (i.revoked != 0) {
		out->revoked = i.revoked;
		out->reason = i.reason;
	}
}

static void
got_signature(const struct ipc_reply *rep, void *arg)
{
	const struct msg_ocsp_sign_rep	*m = rep->msg;
	struct ocsp_wait		*w = arg;
	struct msg_ocsp_rep		 r = { .ca = w->slot,
	    .next_update = w->next_update };
	struct chan			*c = chan_find(&w->call);

	flying--;
	if (rep->type == MSG_OCSP_SIGN_REP) {
		IPC_SET_BLOB(r.data, m->data.data, m->data.len);
		IPC_SET_BLOB(r.signature, m->signature.data,
		    m->signature.len);
		(void)chan_reply(c, &w->call, MSG_OCSP_REP, &r);
	} else {
		hubd_count(rep->reason);
		(void)chan_refuse(c, &w->call, rep->reason);
	}
	free(w);
}

static int
refuse(struct chan *ch, const struct ipc_call *call, enum reason r,
    const char *field)
{
	if (hubd_count(r) == 1)
		log_about(LOG_LVL_INFO, reason_code(r), NULL, "ocsp: %s %s",
		    reason_code(r), reason_text(r));
	return chan_refuse_why(ch, call, r, field, NULL, NULL);
}

int
enrold_ocsp(struct chan *ch, const struct ipc_call *call, const void *arg)
{
	const struct msg_ocsp_req	*m = arg;
	const struct ca			*c = named(m);
	struct msg_ocsp_sign_req	 q = { .hash = m->hash };
	struct ocsp_wait		*w;
	uint64_t			 now = clock_trusted(), fresh;

	if (c == NULL)
		return refuse(ch, call, R_CRT_OCSP_ISSUER, "issuer");
	if (!c->up || c->ocsp_len == 0 || !c->signer_key.have)
		return refuse(ch, call, R_IPC_NOLINK, "keyd");
	if (flying >= FLYING_MAX)
		return refuse(ch, call, R_ENR_BUSY, "requests");
	status_of(c, m, now, &q);
	fresh = conf->ca.crl_every / 2 < FRESH ? conf->ca.crl_every / 2 : FRESH;
	q.key = c->ocsp_key;
	q.this_update = now;
	q.next_update = now + fresh;
	IPC_SET_BLOB(q.name_hash, m->name_hash.data, m->name_hash.len);
	IPC_SET_BLOB(q.key_hash, m->key_hash.data, m->key_hash.len);
	IPC_SET_BLOB(q.serial, m->serial.data, m->serial.len);
	IPC_SET_BLOB(q.nonce, m->nonce.data, m->nonce.len);
	if ((w = calloc(1, sizeof(*w))) == NULL)
		fatal("ocsp");
	w->call = *call;
	w->slot = c->slot;
	w->next_update = q.next_update;
	if (chan_call(hubd_link(IPC_KEYD), MSG_OCSP_SIGN_REQ, &q, -1,
	    KEYD_TIMEOUT, got_signature, w) == -1) {
		free(w);
		return refuse(ch, call, R_ENR_BUSY, "keyd");
	}
	flying++;
	return 0;
}
