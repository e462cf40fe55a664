/*
 * The responder's second half: certificates, the challenge, measurements.
 * What they have signed is asked of keyd and comes later.
 */
#include <stdlib.h>
#include <string.h>

#include "spdm.h"
#include "spdm_handlers.h"
#include "spdm_responder.h"

/* The slots whose key is of the negotiated algorithm. */
uint8_t
responder_slot_mask(const struct responder *r)
{
	uint8_t		mask = 0;
	unsigned	i;

	for (i = 0; i < SPDM_SLOTS; i++)
		if (r->conf->slots[i].content != NULL &&
		    spdm_alg(r->conf->slots[i].algorithm) == r->alg)
			mask = (uint8_t)(mask | 1U << i);
	return mask;
}

const struct spdm_slot *
responder_slot(const struct responder *r, uint8_t slot)
{
	if (slot >= SPDM_SLOTS || (responder_slot_mask(r) >> slot & 1) == 0)
		return NULL;
	return &r->conf->slots[slot];
}

const struct spdm_slot *
responder_slot_for(const struct responder *r, uint8_t slot, uint16_t use)
{
	const struct spdm_slot	*s = responder_slot(r, slot);

	return s != NULL && r->multi_key && (s->usage & use) == 0 ? NULL : s;
}

/* ---- certificates -------------------------------------------------------- */

/* B is of the connection: what is asked in a session is not of it. */
static void
add_b(struct responder *r, const uint8_t *msg, size_t len)
{
	if (!r->secured)
		transcript_b(&r->tr, msg, len, r->out.data, r->out.len);
}

uint8_t
serve_digests(struct responder *r, const uint8_t *msg, size_t len)
{
	spdm_digests_put(&r->out, r->version, r->conf->slots,
	    responder_slot_mask(r), r->alg->hash_len, r->multi_key);
	/* In TH, if they follow A at once (DSP0274, transcript hash). */
	if (r->multi_key && r->after_vca) {
		memcpy(r->digests, r->out.data, r->out.len);
		r->digests_len = r->out.len;
	}
	add_b(r, msg, len);
	return 0;
}

uint8_t
serve_certificate(struct responder *r, const uint8_t *msg, size_t len)
{
	struct spdm_get_certificate	 g;
	const struct spdm_slot		*s;
	size_t				 n, room;

	if (spdm_get_certificate_get(msg, len, &g) == -1 ||
	    (s = responder_slot(r, g.slot)) == NULL)
		return SPDM_E_INVALID_REQUEST;
	if (g.size_only)
		g.offset = g.length = 0;
	if (g.offset >= s->len)
		return SPDM_E_INVALID_REQUEST;
	room = responder_chunk_max(r);
	n = s->len - g.offset;
	if (n > g.length)
		n = g.length;
	if (n > room - 8)
		n = room - 8;
	spdm_put_hdr(&r->out, r->version, SPDM_CERTIFICATE, g.slot,
	    r->multi_key ? s->model : 0);
	spdm_put_u16(&r->out, (uint16_t)n);
	spdm_put_u16(&r->out, (uint16_t)(s->len - g.offset - n));
	spdm_put(&r->out, s->content + g.offset, n);
	add_b(r, msg, len);
	return 0;
}

/* ---- what is signed ------------------------------------------------------ */

bool
responder_fits(const struct responder *r, size_t more)
{
	return !r->out.full && r->out.len + more <= responder_chunk_max(r) &&
	    r->out.len + more <= RESPONSE_MAX;
}

void
responder_ask_signature(struct responder *r, const struct spdm_slot *s,
    const char *context, const uint8_t *msg)
{
	r->request = msg[1];
	r->signing = true;
	r->sign_secured = r->secured;
	r->act = RESPONDER_SIGN;
	r->sign.serial++;
	r->sign.key = s->key;
	r->sign.version = r->version;
	r->sign.context = context;
	r->sign.hash = r->hash;
	r->sign.hash_len = r->alg->hash_len;
	r->sign.sig_len = r->alg->sig_len;
}

void
responder_put_nonce(struct responder *r)
{
	uint8_t	nonce[SPDM_NONCE];

	r->conf->random(r->conf->random_arg, nonce, sizeof(nonce));
	spdm_put(&r->out, nonce, sizeof(nonce));
}

/* Can it be given? 0, or an error code. */
static uint8_t
summary_check(const struct responder *r, uint8_t type)
{
	if (type == SPDM_SUMMARY_NONE)
		return 0;
	if (r->meas_hash == 0 ||
	    (type != SPDM_SUMMARY_TCB && type != SPDM_SUMMARY_ALL))
		return SPDM_E_INVALID_REQUEST;
	return r->conf->measures == NULL ? SPDM_E_BUSY : 0;
}

uint8_t
responder_put_summary(struct responder *r, uint8_t type)
{
	uint8_t	summary[SPDM_HASH_MAX], e;

	if ((e = summary_check(r, type)) != 0 || type == SPDM_SUMMARY_NONE)
		return e;
	measure_summary(r->conf->measures, type == SPDM_SUMMARY_ALL,
	    spdm_md(r->alg), summary);
	spdm_put(&r->out, summary, r->alg->hash_len);
	return 0;
}

uint8_t
serve_challenge(struct responder *r, const uint8_t *msg, size_t len)
{
	const struct spdm_slot	*s;
	struct spdm_challenge	 c;
	uint8_t			 e;

	if (spdm_challenge_get(msg, len, &c) == -1 ||
	    (s = responder_slot_for(r, c.slot, SPDM_USE_CHALLENGE)) == NULL)
		return SPDM_E_INVALID_REQUEST;
	if ((e = summary_check(r, c.summary)) != 0)
		return e;
	spdm_put_hdr(&r->out, r->version, SPDM_CHALLENGE_AUTH, c.slot,
	    responder_slot_mask(r));
	spdm_put(&r->out, s->digest, r->alg->hash_len);
	responder_put_nonce(r);
	(void)responder_put_summary(r, c.summary);
	spdm_put_u16(&r->out, 0);
	if (c.context != NULL)
		spdm_put(&r->out, c.context, SPDM_CONTEXT);
	if (!responder_fits(r, r->alg->sig_len))
		return SPDM_E_RESPONSE_TOO_LARGE;
	transcript_c_hash(&r->tr, msg, len, r->out.data, r->out.len, r->hash);
	responder_ask_signature(r, s, SPDM_CTX_CHALLENGE, msg);
	return 0;
}

/* ---- measurements -------------------------------------------------------- */

void
responder_m_reset(struct responder *r, bool secured)
{
	if (!secured)
		transcript_reset_m(&r->tr);
	else if (responder_session_there(r))
		spdm_session_m_reset(r->ses->s);
}

static void
add_m(struct responder *r, const uint8_t *msg, size_t len)
{
	if (!r->secured)
		transcript_m(&r->tr, msg, len, r->out.data, r->out.len);
	else {
		spdm_session_m_add(r->ses->s, msg, len);
		spdm_session_m_add(r->ses->s, r->out.data, r->out.len);
	}
}

static void
hash_m(struct responder *r)
{
	if (r->secured)
		spdm_session_m(r->ses->s, r->hash);
	else
		transcript_m_hash(&r->tr, r->hash);
}

/* The blocks that were asked for. Their number, or -1 if there is none. */
static int
put_blocks(struct responder *r, const struct spdm_get_measurements *g,
    struct spdm_buf *b)
{
	const struct measure_set	*set = r->conf->measures;
	const struct measure		*m;
	bool				 raw = g->attr & SPDM_ATTR_RAW;
	size_t				 i;

	if (g->op == SPDM_OP_COUNT)
		return 0;
	if (g->op != SPDM_OP_ALL) {
		if ((m = measure_find(set, g->op)) == NULL)
			return -1;
		measure_block(m, raw, b);
		return 1;
	}
	for (i = 0; i < set->n; i++)
		measure_block(&set->m[i], raw, b);
	return (int)set->n;
}

uint8_t
serve_measurements(struct responder *r, const uint8_t *msg, size_t len)
{
	struct spdm_get_measurements	 g;
	const struct spdm_slot		*s = NULL;
	struct spdm_buf			 rec;
	uint8_t				 p2;
	int				 n;

	if (r->meas_hash == 0 ||
	    spdm_get_measurements_get(msg, len, &g) == -1)
		return SPDM_E_INVALID_REQUEST;
	if (g.nonce != NULL && (s = responder_slot_for(r, g.slot,
	    SPDM_USE_MEASUREMENTS)) == NULL)
		return SPDM_E_INVALID_REQUEST;
	if (r->conf->measures == NULL)
		return SPDM_E_BUSY;
	/* The record is built where it belongs: after header, count, length. */
	spdm_buf_init(&rec, r->out_data + 8, RESPONSE_MAX - 8);
	if ((n = put_blocks(r, &g, &rec)) == -1)
		return SPDM_E_INVALID_REQUEST;
	/* Bits 5:4, signed only: 2, nothing changed since M began. */
	p2 = g.nonce != NULL ? (g.slot | 0x20) : 0;
	spdm_put_hdr(&r->out, r->version, SPDM_MEASUREMENTS,
	    g.op == SPDM_OP_COUNT ? (uint8_t)r->conf->measures->n : 0, p2);
	spdm_put_u8(&r->out, (uint8_t)n);
	spdm_put_u24(&r->out, (uint32_t)rec.len);
	r->out.len += rec.len;
	responder_put_nonce(r);
	spdm_put_u16(&r->out, 0);
	if (g.context != NULL)
		spdm_put(&r->out, g.context, SPDM_CONTEXT);
	if (rec.full || !responder_fits(r, s != NULL ? r->alg->sig_len : 0))
		return SPDM_E_RESPONSE_TOO_LARGE;
	add_m(r, msg, len);
	if (s == NULL)
		return 0;
	hash_m(r);
	responder_ask_signature(r, s, SPDM_CTX_MEASUREMENTS, msg);
	return 0;
}

/* ---- slots -------------------------------------------------------------- */

int
spdm_slot_set(struct spdm_slot *s, uint32_t key, enum key_algorithm algorithm,
    const uint8_t *ders, size_t len)
{
	const struct spdm_alg	*alg = spdm_alg(algorithm);
	size_t			 root, total = 4 + alg->hash_len + len;

	spdm_slot_clear(s);
	if ((root = der_len(ders, len)) == 0 || total > UINT16_MAX ||
	    (s->content = calloc(1, total)) == NULL)
		return -1;
	s->content[0] = (uint8_t)total;
	s->content[1] = (uint8_t)(total >> 8);
	spdm_hash(spdm_md(alg), ders, root, s->content + 4);
	memcpy(s->content + 4 + alg->hash_len, ders, len);
	s->len = total;
	s->key = key;
	s->algorithm = algorithm;
	s->key_pair = (uint8_t)(key + 1);
	s->model = SPDM_CERT_DEVICE;
	s->usage = SPDM_USE_KEY_EXCHANGE | SPDM_USE_CHALLENGE |
	    SPDM_USE_MEASUREMENTS;
	spdm_hash(spdm_md(alg), s->content, total, s->digest);
	return 0;
}

void
spdm_slot_clear(struct spdm_slot *s)
{
	free(s->content);
	*s = (struct spdm_slot){ 0 };
}
