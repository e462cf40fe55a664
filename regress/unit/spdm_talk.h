/*
 * Requester and responder in one process, with somebody between them who may
 * change every message both ways.
 */
#ifndef SPDM_TALK_H
#define SPDM_TALK_H

#include <openssl/rand.h>

#include "spdm_soft.h"

#define TALK_MSG	0x8000

struct talk {
	struct soft		*soft;
	struct spdm_slot	 slots[SPDM_SLOTS];
	struct measure_set	 set;
	struct responder_conf	 rc;
	struct requester_conf	 qc;
	struct responder	*responder;
	struct requester	*requester;
	uint8_t			 nonce[SPDM_NONCE];
	EVP_PKEY		*sign_key;	/* the soft identity's, or not */
	bool			 no_key;	/* keyd is away */
	unsigned		 defer;		/* keyd takes so many askings */
	unsigned		 asked;
	/* Called with every message; changes it, and its length. */
	void			(*request)(struct talk *, uint8_t *, size_t *);
	void			(*response)(struct talk *, uint8_t *, size_t *);
	uint8_t			 code;		/* what a test looks for ... */
	size_t			 at;		/* ... and where */
	unsigned		 hits, waits, messages;
	struct vec_copy { uint8_t p[TALK_MSG]; size_t len; } kept;
	uint8_t			 buf[TALK_MSG];
	struct transcript	 evil;		/* of who signs what he likes */
	uint8_t			 last[SPDM_REQUEST_MAX];	/* request */
	size_t			 last_len;
	unsigned		 seed;		/* not 0: random repeats */
};

static inline void
talk_random(void *arg, uint8_t *p, size_t n)
{
	struct talk	*t = arg;

	if (t->seed != 0)
		memset(p, (int)t->seed, n);
	else
		NEED(RAND_bytes(p, n) == 1);
}

static inline void
talk_measures(struct measure_set *set)
{
	uint8_t		 pcrs[256];
	const char	*bad;

	NEED(measure_files(set, NULL, "/proc/sys/kernel/random/boot_id", false,
	    &bad) == 0);
	memset(pcrs, 0x5a, sizeof(pcrs));
	measure_pcrs(set, pcrs);
}

static inline void
talk_init(struct talk *t, struct soft *soft)
{
	memset(t, 0, sizeof(*t));
	t->soft = soft;
	t->sign_key = soft->key;
	NEED(spdm_slot_set(&t->slots[0], 5, soft->algorithm, soft->chain0,
	    soft->len0) == 0);
	NEED(spdm_slot_set(&t->slots[1], 5, soft->algorithm, soft->chain1,
	    soft->len1) == 0);
	talk_measures(&t->set);
	responder_defaults(&t->rc);
	t->rc.slots = t->slots;
	t->rc.measures = &t->set;
	t->rc.random = talk_random;
	t->rc.random_arg = t;
	requester_defaults(&t->qc);
	t->qc.random = talk_random;
	t->qc.random_arg = t;
	NEED(RAND_bytes(t->nonce, sizeof(t->nonce)) == 1);
}

static inline void
talk_over(struct talk *t)
{
	requester_free(t->requester);
	responder_free(t->responder);
	t->requester = NULL;
	t->responder = NULL;
}

static inline void
talk_free(struct talk *t)
{
	unsigned	i;

	talk_over(t);
	for (i = 0; i < SPDM_SLOTS; i++)
		spdm_slot_clear(&t->slots[i]);
}

/* keyd's answer, now or when it was asked for often enough. */
static inline void
talk_sign(struct talk *t, bool again)
{
	const struct responder_sign	*sg = responder_sign(t->responder);
	uint8_t				 sig[SPDM_SIG_MAX];

	if (!again)
		t->asked = 0;
	if (t->asked++ < t->defer) {
		if (!again)
			responder_defer(t->responder);
		return;
	}
	if (!t->no_key)
		soft_sign(t->sign_key, t->soft->alg, sg->version, sg->context,
		    sg->hash, sig);
	/* True: it goes out at once, because nothing was deferred. */
	NEED(responder_signed(t->responder, sg->serial,
	    t->no_key ? NULL : sig) == !again);
}

/* One exchange: what the requester wants to send, and what comes of it. */
static inline enum spdm_act
talk_exchange(struct talk *t)
{
	const uint8_t	*p;
	size_t		 len;
	bool		 secured;

	p = requester_out(t->requester, &secured, &len);
	memcpy(t->buf, p, len);
	if (t->request != NULL)
		t->request(t, t->buf, &len);
	if (t->buf[1] == SPDM_RESPOND_IF_READY && t->asked > 0)
		talk_sign(t, true);
	if (responder_feed(t->responder, secured, t->buf, len) ==
	    RESPONDER_SIGN)
		talk_sign(t, false);
	p = responder_out(t->responder, &secured, &len);
	NEED(len <= TALK_MSG);
	memcpy(t->buf, p, len);
	if (t->response != NULL)
		t->response(t, t->buf, &len);
	t->messages++;
	return requester_feed(t->requester, secured, t->buf, len);
}

/* A whole attestation; R_OK, or why there is no evidence. */
static inline enum reason
talk_run(struct talk *t)
{
	enum spdm_act	act;

	talk_over(t);
	t->hits = t->waits = t->messages = 0;
	t->responder = responder_new(&t->rc);
	t->requester = requester_new(&t->qc, t->nonce);
	NEED(t->responder != NULL && t->requester != NULL);
	act = requester_start(t->requester);
	while (act == SPDM_SEND || act == SPDM_WAIT) {
		if (act == SPDM_WAIT) {
			t->waits++;
			act = requester_wake(t->requester);
		} else
			act = talk_exchange(t);
	}
	return act == SPDM_DONE ? R_OK : requester_why(t->requester)->reason;
}

#endif
