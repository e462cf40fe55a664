/*
 * Mutual authentication as requester (DSP0274, encapsulated request flow):
 * the responder asks for our digests and certificates inside its answers.
 * Nothing else is answered, and every answer is made of what is public.
 */
#include <string.h>

#include "spdm_handlers.h"
#include "spdm_requester.h"

#define ANSWERS_MAX	1024	/* encapsulated requests of one session */
#define SLOT_PARAM	0x0f	/* SlotIDParam: slot, or a provisioned key */

/* ENCAPSULATED_RESPONSE_ACK, Param2 */
#define ACK_DONE	0
#define ACK_REQUEST	1
#define ACK_SLOT	2

const struct spdm_slot *
requester_own(const struct requester *r, uint8_t slot)
{
	const struct spdm_alg	*alg;
	const struct spdm_slot	*s;

	if (r->conf.slots == NULL || slot >= SPDM_SLOTS)
		return NULL;
	s = &r->conf.slots[slot];
	alg = spdm_alg_selected(r->selected.table[SPDM_T_REQ_ASYM],
	    r->alg->hash);
	return s->content != NULL && alg == spdm_alg(s->algorithm) ? s : NULL;
}

static uint8_t
own_mask(const struct requester *r)
{
	uint8_t	i, mask = 0;

	for (i = 0; i < SPDM_SLOTS; i++)
		if (requester_own(r, i) != NULL)
			mask = (uint8_t)(mask | 1U << i);
	return mask;
}

/* Bits beside the one value that asks for something are not legal. */
static enum spdm_take
mutual_legal(struct requester *r, uint8_t mutual, uint8_t slot)
{
	uint32_t	need = SPDM_CAP_MUT_AUTH;

	if (mutual != SPDM_MUT_KNOWN && mutual != SPDM_MUT_ENCAP &&
	    mutual != SPDM_MUT_DIGESTS)
		return requester_bad(r, R_ATT_MUTUAL, "MutAuthRequested",
		    "0, 1, 2 or 4", "%#04x", mutual);
	if (mutual != SPDM_MUT_KNOWN)
		need |= SPDM_CAP_ENCAP;
	if ((r->conf.caps.flags & r->peer_flags & need) != need)
		return requester_bad(r, R_ATT_MUTUAL, "MutAuthRequested",
		    "0 unless both sides can do it", "%#04x", mutual);
	/* A slot that the flow names later is judged there. */
	if (mutual == SPDM_MUT_KNOWN ? requester_own(r, slot) == NULL :
	    own_mask(r) == 0)
		return requester_bad(r, R_ATT_MUTUAL, "SlotIDParam",
		    "a slot of ours with the negotiated kind of key",
		    "slot %u", slot);
	return TAKE_NEXT;
}

enum spdm_take
requester_mutual(struct requester *r, uint8_t mutual, uint8_t slot)
{
	struct requester_session	*ses = &r->ses;

	ses->mutual = mutual;
	if (mutual == SPDM_MUT_NONE)
		return TAKE_NEXT;
	slot &= SLOT_PARAM;
	if (mutual_legal(r, mutual, slot) == TAKE_FAIL)
		return TAKE_FAIL;
	ses->own_slot = mutual == SPDM_MUT_KNOWN ? slot : 0;
	if (mutual == SPDM_MUT_ENCAP)
		ses->encap.next = SPDM_GET_ENCAPSULATED;
	if (mutual == SPDM_MUT_DIGESTS) {
		/* As if GET_DIGESTS had come with request id 0. */
		ses->encap.next = SPDM_DELIVER_ENCAPSULATED;
		ses->encap.req[0] = r->version;
		ses->encap.req[1] = SPDM_GET_DIGESTS;
		ses->encap.len = 4;
	}
	return TAKE_NEXT;
}

/* ---- answers ------------------------------------------------------------- */

static uint8_t
answer_digests(struct requester *r)
{
	uint8_t	mask = own_mask(r);
	size_t	from = r->req.len;

	if (r->ses.encap.len != 4)
		return SPDM_E_INVALID_REQUEST;
	spdm_digests_put(&r->req, r->version, r->conf.slots, mask,
	    r->alg->hash_len, r->multi_key_own);
	if (r->multi_key_own && !r->ses.encap.digests) {
		spdm_session_th_add(r->ses.s, r->req.data + from,
		    r->req.len - from);
		r->ses.encap.digests = true;
	}
	return 0;
}

/* What one DELIVER_ENCAPSULATED_RESPONSE holds of a CERTIFICATE. */
static size_t
portion_max(const struct requester *r)
{
	size_t	n = r->peer_transfer < SPDM_REQUEST_MAX ? r->peer_transfer :
	    SPDM_REQUEST_MAX;

	return n - 4 - 8;
}

static uint8_t
answer_certificate(struct requester *r)
{
	struct requester_session	*ses = &r->ses;
	struct spdm_get_certificate	 g;
	const struct spdm_slot		*s;
	size_t				 n;

	if (ses->encap.len != 8 || spdm_get_certificate_get(ses->encap.req,
	    ses->encap.len, &g) == -1 || (s = requester_own(r, g.slot)) ==
	    NULL || g.offset >= s->len)
		return SPDM_E_INVALID_REQUEST;
	n = s->len - g.offset;
	if (n > g.length)
		n = g.length;
	if (n > portion_max(r))
		n = portion_max(r);
	if (g.size_only)
		n = 0;
	spdm_put_hdr(&r->req, r->version, SPDM_CERTIFICATE, g.slot,
	    r->multi_key_own ? s->model : 0);
	spdm_put_u16(&r->req, (uint16_t)n);
	spdm_put_u16(&r->req, (uint16_t)(s->len - g.offset - n));
	spdm_put(&r->req, s->content + g.offset, n);
	ses->own_slot = g.slot;
	return 0;
}

void
ask_deliver(struct requester *r)
{
	const struct requester_encap	*e = &r->ses.encap;
	uint8_t				 code = e->req[1], error;

	spdm_put_hdr(&r->req, r->version, SPDM_DELIVER_ENCAPSULATED, e->id,
	    0);
	if (code == SPDM_GET_DIGESTS)
		error = answer_digests(r);
	else if (code == SPDM_GET_CERTIFICATE)
		error = answer_certificate(r);
	else
		error = SPDM_E_UNSUPPORTED;
	if (error != 0)
		spdm_error_put(&r->req, r->version, error,
		    error == SPDM_E_UNSUPPORTED ? code : 0);
}

/* ---- requests ------------------------------------------------------------ */

/* The next one to answer: kept as far as an answer needs it. */
static enum spdm_take
request(struct requester *r, uint8_t id, const uint8_t *msg, size_t len)
{
	struct requester_encap	*e = &r->ses.encap;

	if (len < 4 || msg[0] != r->version || (msg[1] & 0x80) == 0)
		return requester_bad(r, R_ATT_ENCAPSULATED,
		    spdm_code_name(r->asked), "an encapsulated request of "
		    "the negotiated version", "%zu bytes", len);
	if (e->answered++ >= ANSWERS_MAX)
		return requester_bad(r, R_ATT_ENCAPSULATED,
		    spdm_code_name(r->asked), "at most 1024 encapsulated "
		    "requests", "more");
	memset(e->req, 0, sizeof(e->req));
	memcpy(e->req, msg, len < sizeof(e->req) ? len : sizeof(e->req));
	e->len = len;
	e->id = id;
	e->next = SPDM_DELIVER_ENCAPSULATED;
	return TAKE_AGAIN;
}

enum spdm_take
take_encapsulated(struct requester *r, const uint8_t *msg, size_t len)
{
	return request(r, msg[2], msg + 4, len - 4);
}

enum spdm_take
take_delivered(struct requester *r, const uint8_t *msg, size_t len)
{
	struct requester_encap	*e = &r->ses.encap;
	size_t			 head = r->version >= SPDM_V12 ? 8 : 4;

	if (len < head || (head == 8 && msg[4] != e->id))
		return requester_bad(r, R_ATT_ENCAPSULATED,
		    spdm_code_name(r->asked), "AckRequestID of what was "
		    "delivered", "%zu bytes, id %u for %u", len,
		    len < head ? 0 : msg[4], e->id);
	if (msg[3] == ACK_REQUEST)
		return request(r, msg[2], msg + head, len - head);
	if ((msg[3] == ACK_DONE && len != head) || (msg[3] == ACK_SLOT &&
	    (len != head + 1 || requester_own(r, msg[head]) == NULL)) ||
	    msg[3] > ACK_SLOT)
		return requester_bad(r, R_ATT_ENCAPSULATED,
		    spdm_code_name(r->asked), "an end, a request, or a slot "
		    "of ours", "type %u, %zu bytes", msg[3], len - head);
	if (msg[3] == ACK_SLOT)
		r->ses.own_slot = msg[head];
	e->next = 0;
	return TAKE_AGAIN;
}
