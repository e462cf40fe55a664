/*
 * Sessions of the responder (DSP0274, sessions): KEY_EXCHANGE, FINISH and
 * what follows. Nothing of a session exists before KEY_EXCHANGE; the
 * ephemeral key lives only while the shared secret is made. A stranger gains
 * confidentiality by a session, and nothing else: what is served inside is
 * what is served outside.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "secret.h"
#include "spdm.h"
#include "spdm_handlers.h"
#include "spdm_responder.h"

#define FINISH_SIGNED	0x01	/* Param1 */

/* ---- life ---------------------------------------------------------------- */

bool
responder_session_there(const struct responder *r)
{
	return r->ses != NULL && r->ses->s != NULL;
}

uint8_t
responder_session_begin(struct responder *r, const uint8_t req_id[2])
{
	struct spdm_session	*s;
	uint16_t		 own = (uint16_t)(UINT16_MAX - r->sessions);

	responder_session_free(r);
	if ((r->ses = calloc(1, sizeof(*r->ses))) == NULL)
		return SPDM_E_UNSPECIFIED;
	s = spdm_session_new(r->version, r->alg, r->tr.base);
	if ((r->ses->s = s) == NULL) {
		responder_session_free(r);
		return SPDM_E_UNSPECIFIED;
	}
	/* Each session of a connection has an id of its own. */
	r->sessions++;
	memcpy(s->id, req_id, 2);
	s->id[2] = (uint8_t)own;
	s->id[3] = (uint8_t)(own >> 8);
	return 0;
}

void
responder_session_end(struct responder *r)
{
	struct responder_session	*ses = r->ses;

	if (!responder_session_there(r))
		return;
	spdm_session_free(ses->s);
	ses->s = NULL;
	responder_encap_free(&ses->encap);
	OPENSSL_cleanse(ses->plain, sizeof(ses->plain));
	/* A message that is half there, or half gone, goes with it. */
	if (r->chunk.one.secured)
		spdm_chunk_drop(&r->chunk.one);
	/* Nobody is there any more for what was asked of keyd. */
	if (r->sign_secured || r->request == SPDM_KEY_EXCHANGE ||
	    r->request == SPDM_PSK_EXCHANGE)
		r->signing = r->deferred = false;
}

void
responder_session_fail(struct responder *r)
{
	r->ses->then = THEN_END;
}

void
responder_session_free(struct responder *r)
{
	responder_session_end(r);
	freezero(r->ses, sizeof(*r->ses));
	r->ses = NULL;
}

void
responder_session_sweep(struct responder *r)
{
	if (r->ses != NULL && r->ses->s == NULL)
		responder_session_free(r);
}

bool
responder_in_session(const struct responder *r)
{
	return responder_session_there(r);
}

unsigned
responder_heartbeat(const struct responder *r)
{
	if (!responder_session_there(r) ||
	    r->ses->s->phase != SPDM_P_DATA ||
	    !responder_both(r, SPDM_CAP_HBEAT))
		return 0;
	return r->conf->heartbeat;
}

void
responder_expire(struct responder *r)
{
	responder_session_free(r);
	/* Its last record went with it. */
	if (r->secured)
		r->out.len = 0;
	r->secured = false;
}

/* ---- records ------------------------------------------------------------- */

enum spdm_open
responder_session_open(struct responder *r, const uint8_t **msg, size_t *len)
{
	struct responder_session	*ses = r->ses;

	if (!responder_session_there(r) || r->conf->binding == NULL)
		return OPEN_SESSION;
	ses->then = THEN_NOTHING;
	return spdm_record_open(ses->s, SPDM_SIDE_REQ, r->conf->binding, *msg,
	    *len, ses->plain, sizeof(ses->plain), msg, len);
}

/* The answer is sealed, and what it promised begins. */
static void
sealed(struct responder *r)
{
	struct responder_session	*ses = r->ses;
	uint8_t				 th[SPDM_HASH_MAX];
	enum responder_then		 then = ses->then;

	ses->then = THEN_NOTHING;
	switch (then) {
	case THEN_NOTHING:
		break;
	case THEN_DATA:
		spdm_session_th(ses->s, th);
		spdm_session_data(ses->s, th);
		break;
	case THEN_UPDATE:
		spdm_session_update(ses->s, SPDM_SIDE_REQ);
		break;
	case THEN_END:
		responder_session_end(r);
		break;
	}
}

bool
responder_session_seal(struct responder *r)
{
	struct responder_session	*ses = r->ses;

	if (ses == NULL)
		return false;
	ses->rec_len = 0;
	if (ses->s == NULL)
		return false;
	ses->rec_len = spdm_record_seal(ses->s, SPDM_SIDE_RSP,
	    r->conf->binding, r->conf->random, r->conf->random_arg,
	    r->out.data, r->out.len, ses->rec, sizeof(ses->rec));
	/* The sequence is used up, for one: nothing more can be said. */
	if (ses->rec_len == 0) {
		responder_session_end(r);
		return false;
	}
	sealed(r);
	return true;
}

uint8_t
responder_session_admit(const struct responder *r, const struct spdm_row *row)
{
	uint8_t	need;

	if (!r->secured)
		return row->flags & SPDM_F_SESSION ? SPDM_E_SESSION_REQUIRED :
		    0;
	need = r->ses->s->phase == SPDM_P_DATA ? SPDM_F_DATA : SPDM_F_HAND;
	return row->flags & need ? 0 : SPDM_E_UNEXPECTED;
}

/* ---- KEY_EXCHANGE -------------------------------------------------------- */

struct key_exchange {
	uint8_t		 summary, slot;
	const uint8_t	*id;		/* ReqSessionID */
	const uint8_t	*exchange;	/* X || Y */
	const uint8_t	*opaque;
	size_t		 opaque_len;
};

static int
key_exchange_get(const struct responder *r, const uint8_t *msg, size_t len,
    struct key_exchange *k)
{
	const size_t	point = 2 * r->alg->hash_len, fixed = 40 + point + 2;
	size_t		n;

	if (len < fixed)
		return -1;
	n = msg[fixed - 2] | (size_t)msg[fixed - 1] << 8;
	if (n > SPDM_OPAQUE_MAX || len - fixed != n)
		return -1;
	*k = (struct key_exchange){ .summary = msg[2], .slot = msg[3],
	    .id = msg + 4, .exchange = msg + 40, .opaque = msg + fixed,
	    .opaque_len = n };
	return 0;
}

/*
 * Which version of secured messages: in the opaque data if a format for it
 * was negotiated; -1 if there is none that we speak. 0 if nothing is said.
 */
static int
secured_version(const struct responder *r, const struct key_exchange *k)
{
	int	v;

	if (k->opaque_len == 0)
		return r->other & SPDM_OPAQUE_FMT1 ? -1 : 0;
	v = spdm_opaque_supported(k->opaque, k->opaque_len, r->version);
	return v == 0 ? -1 : v;
}

/* Our half of the exchange, and at once what both halves make. */
static uint8_t
exchange(struct responder *r, const uint8_t *peer)
{
	const struct spdm_dhe_ops	*ops = r->conf->dhe != NULL ?
					    r->conf->dhe : &spdm_dhe;
	uint8_t				 pub[SPDM_DHE_MAX];
	uint8_t				 shared[SPDM_SHARED_MAX];
	void				*key;
	int				 rv;

	if (ops->make(r->conf->dhe_arg, r->alg, &key, pub) == -1)
		return SPDM_E_UNSPECIFIED;
	rv = ops->agree(r->conf->dhe_arg, r->alg, key, peer, shared);
	ops->release(r->conf->dhe_arg, key);
	if (rv == 0) {
		spdm_put(&r->out, pub, 2 * r->alg->hash_len);
		spdm_session_shared(r->ses->s, shared, r->alg->hash_len);
	}
	OPENSSL_cleanse(shared, sizeof(shared));
	return rv == 0 ? 0 : SPDM_E_UNSPECIFIED;
}

/* KEY_EXCHANGE_RSP but signature and verify data. */
static uint8_t
put_key_exchange_rsp(struct responder *r, const struct key_exchange *k)
{
	struct responder_session	*ses = r->ses;
	uint8_t				 slot = 0, e;
	size_t				 at;
	int				 v;

	if ((v = secured_version(r, k)) == -1)
		return SPDM_E_INVALID_REQUEST;
	if ((e = responder_mutual(r, &ses->mutual)) != 0 ||
	    (e = responder_encap_begin(r, &slot)) != 0)
		return e;
	spdm_put_hdr(&r->out, r->version, SPDM_KEY_EXCHANGE_RSP,
	    responder_both(r, SPDM_CAP_HBEAT) ? r->conf->heartbeat : 0, 0);
	spdm_put(&r->out, ses->s->id + 2, 2);
	spdm_put_u8(&r->out, ses->mutual);
	spdm_put_u8(&r->out, slot);
	responder_put_nonce(r);
	if ((e = exchange(r, k->exchange)) != 0 ||
	    (e = responder_put_summary(r, k->summary)) != 0)
		return e;
	at = r->out.len;
	spdm_put_u16(&r->out, 0);
	if (v != 0) {
		spdm_opaque_put_selected(&r->out, r->version, (uint16_t)v);
		r->out.data[at] = (uint8_t)(r->out.len - at - 2);
	}
	return responder_fits(r, r->alg->sig_len + r->alg->hash_len) ? 0 :
	    SPDM_E_RESPONSE_TOO_LARGE;
}

uint8_t
serve_key_exchange(struct responder *r, const uint8_t *msg, size_t len)
{
	const struct spdm_slot	*slot;
	struct spdm_session	*s;
	struct key_exchange	 k;
	uint8_t			 e;

	if (responder_session_there(r))
		return SPDM_E_SESSION_LIMIT;
	if (r->table[SPDM_T_DHE] == 0 || r->table[SPDM_T_AEAD] == 0 ||
	    r->table[SPDM_T_SCHEDULE] == 0 ||
	    key_exchange_get(r, msg, len, &k) == -1 ||
	    (slot = responder_slot_for(r, k.slot, SPDM_USE_KEY_EXCHANGE)) ==
	    NULL)
		return SPDM_E_INVALID_REQUEST;
	if ((e = responder_session_begin(r, k.id)) != 0)
		return e;
	if ((e = put_key_exchange_rsp(r, &k)) != 0) {
		responder_session_free(r);
		return e;
	}
	s = r->ses->s;
	spdm_session_th_add(s, r->digests, r->digests_len);
	spdm_session_th_add(s, slot->digest, r->alg->hash_len);
	spdm_session_th_add(s, msg, len);
	spdm_session_th_add(s, r->out.data, r->out.len);
	spdm_session_th(s, r->hash);
	responder_ask_signature(r, slot, SPDM_CTX_KEY_EXCHANGE, msg);
	return 0;
}

void
responder_exchanged(struct responder *r, struct spdm_buf *b,
    const uint8_t *sig)
{
	struct spdm_session	*s = r->ses->s;
	uint8_t			 th1[SPDM_HASH_MAX], verify[SPDM_HASH_MAX];

	spdm_put(b, sig, r->sign.sig_len);
	spdm_session_th_add(s, sig, r->sign.sig_len);
	spdm_session_th(s, th1);
	spdm_session_handshake(s, th1);
	spdm_session_verify_data(s, SPDM_SIDE_RSP, th1, verify);
	spdm_put(b, verify, r->alg->hash_len);
	spdm_session_th_add(s, verify, r->alg->hash_len);
}

/* ---- FINISH -------------------------------------------------------------- */

/* The requester's signature over TH with FINISH's header. */
static bool
finish_signature(struct responder *r, const uint8_t *sig)
{
	const struct spdm_chain	*c = &r->ses->encap.chain;
	uint8_t			 th[SPDM_HASH_MAX];

	spdm_session_th(r->ses->s, th);
	if (spdm_verify(c->key, r->alg, r->version, SPDM_CTX_FINISH, th, sig)
	    == 0)
		return true;
	(void)spdm_fail(&r->why, R_ATT_SESSION_MUTUAL, "FINISH",
	    "signed by the requester's leaf", "another signature");
	return false;
}

/* Signature, if one is due, and verify data; everything goes into TH. */
static bool
finish_right(struct responder *r, const uint8_t *msg)
{
	struct responder_session	*ses = r->ses;
	const uint8_t			*p = msg + 4;
	uint8_t				 th[SPDM_HASH_MAX];
	uint8_t				 want[SPDM_HASH_MAX];
	const size_t			 n = r->alg->hash_len;
	bool				 ok;

	if (ses->mutual != SPDM_MUT_NONE)
		spdm_session_th_add(ses->s, ses->encap.digest, n);
	spdm_session_th_add(ses->s, msg, 4);
	if (ses->mutual != SPDM_MUT_NONE) {
		if (!finish_signature(r, p))
			return false;
		spdm_session_th_add(ses->s, p, r->alg->sig_len);
		p += r->alg->sig_len;
	}
	spdm_session_th(ses->s, th);
	spdm_session_verify_data(ses->s, SPDM_SIDE_REQ, th, want);
	ok = CRYPTO_memcmp(want, p, n) == 0;
	spdm_session_th_add(ses->s, p, n);
	OPENSSL_cleanse(want, sizeof(want));
	return ok;
}

uint8_t
serve_finish(struct responder *r, const uint8_t *msg, size_t len)
{
	struct responder_session	*ses = r->ses;
	bool				 mutual = ses->mutual != SPDM_MUT_NONE;

	if (ses->s->psk)
		return SPDM_E_UNEXPECTED;
	/* Our question is still out (DSP0274, RequestInFlight). */
	if (mutual && ses->encap.at != ENCAP_DONE)
		return SPDM_E_IN_FLIGHT;
	if (len != 4 + (mutual ? r->alg->sig_len : 0) + r->alg->hash_len ||
	    ((msg[2] & FINISH_SIGNED) != 0) != mutual ||
	    (mutual && msg[3] != ses->encap.slot))
		return SPDM_E_INVALID_REQUEST;
	if (!finish_right(r, msg)) {
		responder_session_fail(r);
		return SPDM_E_DECRYPT;
	}
	spdm_put_hdr(&r->out, r->version, SPDM_FINISH_RSP, 0, 0);
	spdm_session_th_add(ses->s, r->out.data, r->out.len);
	ses->then = THEN_DATA;
	return 0;
}

/* ---- after it ------------------------------------------------------------ */

uint8_t
serve_heartbeat(struct responder *r, const uint8_t *msg, size_t len)
{
	spdm_put_hdr(&r->out, r->version, SPDM_HEARTBEAT_ACK, 0, 0);
	return 0;
}

/*
 * The response key changes before the ACK, the request key after it. Each
 * update is verified before the next one, so that a peer cannot make us turn
 * keys for nothing.
 */
uint8_t
serve_key_update(struct responder *r, const uint8_t *msg, size_t len)
{
	struct responder_session	*ses = r->ses;

	switch (msg[2]) {
	case SPDM_UPDATE_KEY:
	case SPDM_UPDATE_ALL:
		if (ses->updating)
			return SPDM_E_INVALID_REQUEST;
		if (msg[2] == SPDM_UPDATE_ALL)
			spdm_session_update(ses->s, SPDM_SIDE_RSP);
		ses->updating = true;
		ses->then = THEN_UPDATE;
		break;
	case SPDM_VERIFY_NEW:
		if (!ses->updating)
			return SPDM_E_INVALID_REQUEST;
		ses->updating = false;
		break;
	default:
		return SPDM_E_INVALID_REQUEST;
	}
	spdm_put_hdr(&r->out, r->version, SPDM_KEY_UPDATE_ACK, msg[2], msg[3]);
	return 0;
}

uint8_t
serve_end_session(struct responder *r, const uint8_t *msg, size_t len)
{
	spdm_put_hdr(&r->out, r->version, SPDM_END_SESSION_ACK, 0, 0);
	r->ses->then = THEN_END;
	return 0;
}
