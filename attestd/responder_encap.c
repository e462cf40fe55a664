/*
 * Mutual authentication as the responder (DSP0274, basic mutual
 * authentication in a session): what we ask of a requester comes inside our
 * answers, and its answers inside its requests. One question is out at a
 * time; its number says which.
 */
#include <stdlib.h>
#include <string.h>

#include "hex.h"
#include "spdm.h"
#include "spdm_handlers.h"
#include "spdm_responder.h"

#define DELIVER_HDR	4	/* before the encapsulated response */
#define CLOCK_SKEW	300	/* s, as policyd's: a chain may be new */

void
responder_encap_free(struct responder_encap *e)
{
	spdm_chain_free(&e->chain);
	free(e->buf);
	*e = (struct responder_encap){ 0 };
}

/*
 * A requester that must show who it is and cannot gets no session: what the
 * configuration asks for is no wish.
 */
uint8_t
responder_mutual(const struct responder *r, uint8_t *mutual)
{
	*mutual = r->conf->mutual;
	if (*mutual == SPDM_MUT_NONE)
		return 0;
	if (r->table[SPDM_T_REQ_ASYM] == 0 ||
	    (*mutual != SPDM_MUT_KNOWN &&
	    (!responder_both(r, SPDM_CAP_ENCAP) ||
	    (r->peer_flags & SPDM_CAP_CERT) == 0)))
		return SPDM_E_UNSUPPORTED;
	return 0;
}

/* ---- the chain ----------------------------------------------------------- */

/* Is it a requester's, of a maker that counts, at this time? */
static int
chain_check(struct responder *r, const uint8_t *p, size_t len)
{
	struct responder_encap		*e = &r->ses->encap;
	const struct spdm_chain_rules	 rules = { .alg = r->alg,
	    .version = r->version, .slot = e->slot, .requester = true,
	    .roots = r->conf->roots, .nroots = r->conf->nroots };
	const struct spdm_root		*root;
	char				 got[65];
	size_t				 i;

	if (spdm_chain_read(p, len, &rules, &e->chain, &r->why) == -1)
		return -1;
	for (i = 0; i < r->conf->nroots; i++) {
		root = &r->conf->roots[i];
		if (root->cert != NULL && memcmp(root->sha256,
		    e->chain.root_sha256, sizeof(root->sha256)) == 0)
			break;
	}
	if (i == r->conf->nroots) {
		hex(e->chain.root_sha256, 32, got);
		return spdm_fail(&r->why, R_ATT_CHAIN_ROOT, "requester root",
		    "an accepted root", "%s", got);
	}
	if (r->conf->now != 0 &&
	    (r->conf->now + CLOCK_SKEW < e->chain.not_before ||
	    r->conf->now > e->chain.not_after))
		return spdm_fail(&r->why, R_ATT_SESSION_MUTUAL,
		    "requester certificates", "valid now", "another time");
	return 0;
}

uint8_t
responder_encap_begin(struct responder *r, uint8_t *slot)
{
	struct responder_encap	*e = &r->ses->encap;
	const struct spdm_slot	*known = r->conf->known;

	*slot = 0;
	switch (r->ses->mutual) {
	case SPDM_MUT_NONE:
		break;
	case SPDM_MUT_ENCAP:
		e->at = ENCAP_WAIT;
		break;
	case SPDM_MUT_DIGESTS:
		e->at = ENCAP_DIGESTS;	/* as if asked, number 0 */
		break;
	case SPDM_MUT_KNOWN:
		e->slot = *slot = r->conf->known_slot;
		if (known == NULL ||
		    chain_check(r, known->content, known->len) == -1)
			return SPDM_E_UNSPECIFIED;
		memcpy(e->digest, known->digest, r->alg->hash_len);
		e->at = ENCAP_DONE;
		break;
	default:
		return SPDM_E_UNSPECIFIED;
	}
	return 0;
}

/* ---- questions ----------------------------------------------------------- */

/* GET_CERTIFICATE of what is missing. */
static void
put_get_certificate(struct responder *r)
{
	struct responder_encap	*e = &r->ses->encap;
	size_t			 n = r->conf->caps.data_transfer;

	/* The portion comes back in CERTIFICATE in DELIVER. */
	n = (n < RESPONDER_TRANSFER ? n : RESPONDER_TRANSFER) - DELIVER_HDR -
	    8;
	if (e->len > 0 && e->total - e->len < n)
		n = e->total - e->len;
	e->at = ENCAP_CERTIFICATE;
	spdm_put_hdr(&r->out, r->version, SPDM_GET_CERTIFICATE, e->slot, 0);
	spdm_put_u16(&r->out, (uint16_t)e->len);
	spdm_put_u16(&r->out, (uint16_t)n);
}

uint8_t
serve_get_encapsulated(struct responder *r, const uint8_t *msg, size_t len)
{
	struct responder_encap	*e;

	/* Nothing to ask. The code for it came with 1.3. */
	if (!r->secured || (e = &r->ses->encap)->at == ENCAP_NONE ||
	    e->at == ENCAP_DONE)
		return r->version >= SPDM_V13 ? SPDM_E_NO_PENDING :
		    SPDM_E_UNEXPECTED;
	if (e->at != ENCAP_WAIT)
		return SPDM_E_IN_FLIGHT;
	e->at = ENCAP_DIGESTS;
	spdm_put_hdr(&r->out, r->version, SPDM_ENCAPSULATED_REQUEST, ++e->id,
	    0);
	spdm_put_hdr(&r->out, r->version, SPDM_GET_DIGESTS, 0, 0);
	return 0;
}

/* ENCAPSULATED_RESPONSE_ACK, before another question or without one. */
static void
put_ack(struct responder *r, uint8_t acked, bool more)
{
	struct responder_encap	*e = &r->ses->encap;

	if (more)
		e->id++;
	spdm_put_hdr(&r->out, r->version, SPDM_ENCAPSULATED_ACK,
	    more ? e->id : 0, more ? 1 : 0);
	spdm_put_u8(&r->out, acked);
	spdm_put_u24(&r->out, 0);
}

/* ---- answers ------------------------------------------------------------- */

/* What a requester says to our question is no answer: no session. */
static uint8_t
bad_response(struct responder *r, const char *field, const char *expected,
    const char *seen)
{
	(void)spdm_fail(&r->why, R_ATT_SESSION_MUTUAL, field, expected, "%s",
	    seen);
	responder_session_fail(r);
	return SPDM_E_INVALID_RESPONSE;
}

/* The lowest slot that the requester has is the one that it shall sign
 * with. */
static uint8_t
take_encap_digests(struct responder *r, const uint8_t *msg, size_t len,
    uint8_t id)
{
	struct responder_encap	*e = &r->ses->encap;
	struct spdm_digests	 d;

	if (spdm_digests_get(msg, len, r->alg->hash_len, r->multi_key_req,
	    &d) == -1 || d.n == 0)
		return bad_response(r, "DIGESTS", "a slot with certificates",
		    "none");
	while ((d.provisioned >> e->slot & 1) == 0)
		e->slot++;
	memcpy(e->digest, d.digest, r->alg->hash_len);
	if (r->multi_key_req)		/* EncapD of TH */
		spdm_session_th_add(r->ses->s, msg, len);
	put_ack(r, id, true);
	put_get_certificate(r);
	return 0;
}

/* One portion more. False: it does not go with what was asked. */
static bool
add_portion(struct responder_encap *e, const struct spdm_certificate *c,
    size_t asked)
{
	size_t	total = e->len + c->length + c->remainder;

	if (c->slot != e->slot || c->length == 0 || c->length > asked ||
	    ++e->portions > PORTIONS_MAX)
		return false;
	if (e->len == 0) {
		/* The first one: there is no buffer yet. */
		if (total > SPDM_CHAIN_MAX)
			return false;
		e->total = total;
		if ((e->buf = malloc(total)) == NULL)
			return false;
	}
	if (total != e->total)
		return false;
	memcpy(e->buf + e->len, c->data, c->length);
	e->len += c->length;
	return true;
}

static uint8_t
take_encap_certificate(struct responder *r, const uint8_t *msg, size_t len,
    uint8_t id)
{
	struct responder_encap	*e = &r->ses->encap;
	struct spdm_certificate	 c;
	uint8_t			 h[SPDM_HASH_MAX];

	if (spdm_certificate_get(msg, len, &c) == -1 ||
	    !add_portion(e, &c, RESPONDER_TRANSFER))
		return bad_response(r, "CERTIFICATE",
		    "the next portion of the slot asked for", "another");
	if (e->len < e->total) {
		put_ack(r, id, true);
		put_get_certificate(r);
		return 0;
	}
	spdm_hash(spdm_md(r->alg), e->buf, e->len, h);
	if (memcmp(h, e->digest, r->alg->hash_len) != 0)
		return bad_response(r, "CERTIFICATE",
		    "the chain of DIGESTS", "another");
	if (chain_check(r, e->buf, e->len) == -1) {
		responder_session_fail(r);
		return SPDM_E_UNSPECIFIED;
	}
	e->at = ENCAP_DONE;
	put_ack(r, id, false);
	return 0;
}

uint8_t
serve_deliver(struct responder *r, const uint8_t *msg, size_t len)
{
	struct responder_encap	*e;
	const uint8_t		*in = msg + DELIVER_HDR;
	size_t			 n = len - DELIVER_HDR;

	/* An answer that nobody asked for. */
	if (!r->secured || ((e = &r->ses->encap)->at != ENCAP_DIGESTS &&
	    e->at != ENCAP_CERTIFICATE))
		return SPDM_E_UNEXPECTED;
	if (msg[2] != e->id || n < 4)
		return SPDM_E_INVALID_REQUEST;
	if (in[0] != r->version || in[1] != (e->at == ENCAP_DIGESTS ?
	    SPDM_DIGESTS : SPDM_CERTIFICATE))
		return bad_response(r, "encapsulated response",
		    e->at == ENCAP_DIGESTS ? "DIGESTS" : "CERTIFICATE",
		    in[1] == SPDM_ERROR ? spdm_error_name(in[2]) : "another");
	return e->at == ENCAP_DIGESTS ?
	    take_encap_digests(r, in, n, msg[2]) :
	    take_encap_certificate(r, in, n, msg[2]);
}
