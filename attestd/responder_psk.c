/*
 * PSK_EXCHANGE and PSK_FINISH of the responder (DSP0274, PSK): the hint is
 * the id of a one-time code that an operator typed here, and keyd, which has
 * the code, gives the secrets of this one session. Nobody learns here whether
 * a code is held that he does not know the id of.
 */
#include <string.h>

#include <openssl/crypto.h>

#include "spdm_handlers.h"
#include "spdm_responder.h"

#define FIXED		12	/* PSK_EXCHANGE before its three strings */

struct psk_exchange {
	uint8_t		 summary;
	const uint8_t	*id;		/* ReqSessionID */
	const uint8_t	*hint, *opaque;
	size_t		 hint_len, context_len, opaque_len;
};

static int
psk_exchange_get(const uint8_t *msg, size_t len, struct psk_exchange *x)
{
	if (len < FIXED)
		return -1;
	x->summary = msg[2];
	x->id = msg + 4;
	x->hint_len = msg[6] | (size_t)msg[7] << 8;
	x->context_len = msg[8] | (size_t)msg[9] << 8;
	x->opaque_len = msg[10] | (size_t)msg[11] << 8;
	if (x->opaque_len > SPDM_OPAQUE_MAX ||
	    len - FIXED != x->hint_len + x->context_len + x->opaque_len)
		return -1;
	x->hint = msg + FIXED;
	x->opaque = x->hint + x->hint_len + x->context_len;
	return 0;
}

/* PSK_EXCHANGE_RSP but its verify data. */
static uint8_t
put_psk_exchange_rsp(struct responder *r, const struct psk_exchange *x)
{
	struct spdm_buf	*o = &r->out;
	size_t		 at;
	uint8_t		 e;
	int		 v = 0;

	if (x->opaque_len > 0 || (r->other & SPDM_OPAQUE_FMT1))
		v = spdm_opaque_supported(x->opaque, x->opaque_len,
		    r->version);
	if (v < 0 || (v == 0 && x->opaque_len > 0))
		return SPDM_E_INVALID_REQUEST;
	spdm_put_hdr(o, r->version, SPDM_PSK_EXCHANGE_RSP,
	    responder_both(r, SPDM_CAP_HBEAT) ? r->conf->heartbeat : 0, 0);
	spdm_put(o, r->ses->s->id + 2, 2);
	spdm_put_u16(o, 0);
	spdm_put_u16(o, SPDM_NONCE);
	at = o->len;
	spdm_put_u16(o, 0);
	if ((e = responder_put_summary(r, x->summary)) != 0)
		return e;
	responder_put_nonce(r);
	if (v > 0) {
		o->data[at] = (uint8_t)o->len;
		spdm_opaque_put_selected(o, r->version, (uint16_t)v);
		o->data[at] = (uint8_t)(o->len - o->data[at]);
	}
	return responder_fits(r, r->alg->hash_len) ? 0 :
	    SPDM_E_RESPONSE_TOO_LARGE;
}

uint8_t
serve_psk_exchange(struct responder *r, const uint8_t *msg, size_t len)
{
	const struct spdm_slot	*slot;
	struct spdm_session	*s;
	struct psk_exchange	 x;
	uint8_t			 e;

	if (responder_session_there(r))
		return SPDM_E_SESSION_LIMIT;
	if (r->table[SPDM_T_AEAD] == 0 || r->table[SPDM_T_SCHEDULE] == 0 ||
	    psk_exchange_get(msg, len, &x) == -1 ||
	    x.context_len < SPDM_NONCE || x.hint_len != SPDM_HINT ||
	    (slot = responder_slot(r, 0)) == NULL)
		return SPDM_E_INVALID_REQUEST;
	/* One guess a connection: netd counts those. */
	if (r->guessed)
		return SPDM_E_UNEXPECTED;
	r->guessed = true;
	if ((e = responder_session_begin(r, x.id)) != 0)
		return e;
	if ((e = put_psk_exchange_rsp(r, &x)) != 0) {
		responder_session_free(r);
		return e;
	}
	s = r->ses->s;
	spdm_session_th_add(s, msg, len);
	spdm_session_th_add(s, r->out.data, r->out.len);
	spdm_session_th(s, r->hash);
	memcpy(r->hint, x.hint, SPDM_HINT);
	/* It waits as a signature would. */
	responder_ask_signature(r, slot, NULL, msg);
	r->psk = (struct spdm_psk){
		.serial = r->sign.serial, .hint = r->hint, .node = "",
		.key = slot->key, .version = r->version,
		.algorithm = slot->algorithm,
		.th1 = r->hash, .hash_len = r->alg->hash_len,
	};
	r->act = RESPONDER_PSK;
	return 0;
}

const struct spdm_psk *
responder_psk(const struct responder *r)
{
	return &r->psk;
}

static void
opened(struct responder *r, struct spdm_buf *b,
    const struct spdm_secrets *secrets)
{
	struct spdm_session	*s = r->ses->s;
	uint8_t			 th1[SPDM_HASH_MAX], verify[SPDM_HASH_MAX];

	spdm_session_th(s, th1);
	spdm_session_handshake_psk(s, secrets->request, secrets->response,
	    secrets->master);
	spdm_session_verify_data(s, SPDM_SIDE_RSP, th1, verify);
	spdm_put(b, verify, r->alg->hash_len);
	spdm_session_th_add(s, verify, r->alg->hash_len);
}

bool
responder_secrets(struct responder *r, uint32_t serial,
    const struct spdm_secrets *secrets, uint8_t error)
{
	uint8_t	msg[4] = { 0, r->request, 0, 0 };

	if (!r->signing || serial != r->sign.serial)
		return false;
	r->signing = false;
	r->ready = secrets != NULL;
	if (secrets != NULL)
		opened(r, r->deferred ? &r->held : &r->out, secrets);
	else {
		responder_session_end(r);
		/* keyd was not there: that was no guess. */
		if (error == SPDM_E_BUSY)
			r->guessed = false;
		if (!r->deferred)
			responder_put_error(r, msg, sizeof(msg), error);
	}
	return !r->deferred && responder_deliver(r) == RESPONDER_SEND;
}

uint8_t
serve_psk_finish(struct responder *r, const uint8_t *msg, size_t len)
{
	struct responder_session	*ses = r->ses;
	uint8_t				 th[SPDM_HASH_MAX];
	uint8_t				 want[SPDM_HASH_MAX];
	const size_t			 n = r->alg->hash_len;
	bool				 right;

	if (!ses->s->psk)
		return SPDM_E_UNEXPECTED;
	if (len != 4 + n)
		return SPDM_E_INVALID_REQUEST;
	spdm_session_th_add(ses->s, msg, 4);
	spdm_session_th(ses->s, th);
	spdm_session_verify_data(ses->s, SPDM_SIDE_REQ, th, want);
	right = CRYPTO_memcmp(want, msg + 4, n) == 0;
	OPENSSL_cleanse(want, sizeof(want));
	if (!right) {
		responder_session_fail(r);
		return SPDM_E_DECRYPT;
	}
	spdm_session_th_add(ses->s, msg + 4, n);
	spdm_put_hdr(&r->out, r->version, SPDM_PSK_FINISH_RSP, 0, 0);
	spdm_session_th_add(ses->s, r->out.data, r->out.len);
	ses->then = THEN_DATA;
	return 0;
}
