/*
 * What a peer may answer to PSK_EXCHANGE and in the session after it. The
 * requester stands where its challenge has been answered. The first byte
 * chooses: 1 puts the right verify data at the end of PSK_EXCHANGE_RSP, 2 is
 * SPDM 1.2, 4 a keyd that refuses. A frame of a secured message is sealed
 * under the keys of the session.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/spdm_soft.h"
#include "../../attestd/spdm_requester.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

#define PSK_STEP	8

static struct soft		soft;
static struct spdm_tcp		tcp;
static const struct spdm_binding binding = { .tcp = &tcp };
static const uint8_t		zero[SPDM_HASH_MAX];
static const struct spdm_secrets psk = { zero, zero, zero };
static uint8_t			content[8192];
static size_t			content_len;

static void
zeros(void *arg, uint8_t *p, size_t n)
{
	memset(p, 0, n);
}

static void
init(void)
{
	if (content_len > 0)
		return;
	if (spdm_init() == -1)
		abort();
	soft_new(&soft, KEY_P256);
	memcpy(content + 36, soft.chain0, soft.len0);
	content_len = 36 + soft.len0;
	content[0] = (uint8_t)content_len;
	content[1] = (uint8_t)(content_len >> 8);
	spdm_hash(spdm_sha256(), soft.chain0, der_len(soft.chain0,
	    soft.len0), content + 4);
}

/* As if everything before PSK_EXCHANGE had been right. */
static struct requester *
start(uint8_t mood)
{
	static const uint8_t	 nonce[SPDM_NONCE], hint[SPDM_HINT];
	struct requester_conf	 c;
	struct requester	*r;
	struct spdm_chain_rules	 rules;
	struct spdm_why		 why;

	requester_defaults(&c);
	requester_offer_code(&c, hint);
	c.random = zeros;
	c.binding = &binding;
	if ((r = requester_new(&c, nonce)) == NULL)
		abort();
	r->step = PSK_STEP;
	r->version = mood & 2 ? SPDM_V12 : SPDM_V13;
	r->alg = spdm_alg(KEY_P256);
	r->peer_transfer = 0x1200;
	r->meas_hash = 2;
	r->summed = true;
	transcript_negotiated(&r->tr, r->alg);
	rules = (struct spdm_chain_rules){ .alg = r->alg,
	    .version = r->version };
	if (spdm_chain_read(content, content_len, &rules, &r->slot[0].chain,
	    &why) == -1)
		abort();
	r->slot[0].whole = true;
	return r;
}

/* What keyd's secrets would make of the answer so far. */
static void
patch(const struct requester *r, uint8_t *msg, size_t len)
{
	struct spdm_session	*s;
	uint8_t			 th[SPDM_HASH_MAX];

	if (len < 12 + 32 ||
	    (s = spdm_session_new(r->version, r->alg, r->tr.base)) == NULL)
		return;
	spdm_session_th_add(s, r->req.data, r->req.len);
	spdm_session_th_add(s, msg, len - 32);
	spdm_session_th(s, th);
	spdm_session_handshake_psk(s, zero, zero, zero);
	spdm_session_verify_data(s, SPDM_SIDE_RSP, th, msg + len - 32);
	spdm_session_free(s);
}

static enum spdm_act
feed(struct requester *r, const struct spdm_frame *f, uint8_t mood)
{
	static uint8_t		msg[0x10000], rec[SPDM_RECORD_MAX];
	struct spdm_session	s;
	size_t			n = f->len;
	bool			secured = f->type == SPDM_TCP_SECURED;
	enum spdm_act		act;

	memcpy(msg, f->msg, n);
	if (secured && r->ses.s != NULL) {
		s = *r->ses.s;
		n = spdm_record_seal(&s, SPDM_SIDE_RSP, &binding, zeros, NULL,
		    msg, n, rec, sizeof(rec));
		act = requester_feed(r, true, rec, n);
	} else {
		if (mood & 1 && r->asked == SPDM_PSK_EXCHANGE)
			patch(r, msg, n);
		act = requester_feed(r, secured, msg, n);
	}
	if (act == SPDM_KEYS)
		act = requester_secrets(r, mood & 4 ? NULL : &psk, "KEY-031");
	return act;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct spdm_frame	 f;
	struct requester	*r;
	enum spdm_act		 act;
	uint8_t			 mood;

	init();
	if (size < 1)
		return 0;
	mood = *data++;
	size--;
	tcp = (struct spdm_tcp){ .counted = true, .known = true,
	    .max = REQUESTER_TRANSFER };
	r = start(mood);
	act = requester_wake(r);
	while (act == SPDM_SEND || act == SPDM_WAIT) {
		if (act == SPDM_WAIT) {
			act = requester_wake(r);
			continue;
		}
		if (spdm_tcp_next(&tcp, data, size, &f) != TCP_MESSAGE)
			break;
		act = feed(r, &f, mood);
		data += f.used;
		size -= f.used;
	}
	/* Nobody signs for us here. */
	if (act == SPDM_DONE || requester_evidence(r)->code)
		abort();
	if (act == SPDM_FAIL && requester_why(r)->reason == R_OK)
		abort();
	requester_free(r);
	return 0;
}
