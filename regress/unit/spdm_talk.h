/*
 * Requester and responder in one process, with somebody between them who may
 * change every message both ways.
 */
#ifndef SPDM_TALK_H
#define SPDM_TALK_H

#include <openssl/rand.h>

#include "spdm_soft.h"
#include "../../attestd/spdm_requester.h"

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
	EVP_PKEY		*own_key;	/* the requester's, for FINISH */
	struct spdm_binding	 binding;
	struct spdm_tcp		 tcp;
	bool			 no_key;	/* keyd is away */
	unsigned		 defer;		/* keyd takes so many askings */
	unsigned		 asked;
	/* Called with every message; changes it, and its length. */
	void			(*request)(struct talk *, uint8_t *, size_t *);
	void			(*response)(struct talk *, uint8_t *, size_t *);
	/* The same for the message in a secured record of the responder,
	 * which is sealed again. */
	void			(*inside)(struct talk *, uint8_t *, size_t *);
	bool			 in_clear;	/* but what it changes is not */
	/* keyd's secrets of a one-time code, for either end. */
	enum spdm_act		(*keys)(struct talk *);
	enum spdm_act		(*issue)(struct talk *);	/* a chain */
	void			(*psk)(struct talk *);
	bool			 silent;	/* the responder said nothing */
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
	t->tcp = (struct spdm_tcp){ .counted = true, .known = true };
	t->binding = (struct spdm_binding){ .tcp = &t->tcp };
	t->rc.binding = t->qc.binding = &t->binding;
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

/* Under the key, and the number, that the requester waits for. */
static inline void
talk_reseal(struct talk *t, bool *secured, size_t *len)
{
	struct spdm_session	 s = *t->requester->ses.s;
	static uint8_t		 plain[TALK_MSG], msg[TALK_MSG];
	const uint8_t		*p;
	size_t			 n;

	if (spdm_record_open(&s, SPDM_SIDE_RSP, &t->binding, t->buf, *len,
	    plain, sizeof(plain), &p, &n) != OPEN_OK)
		return;
	memcpy(msg, p, n);
	t->in_clear = false;
	t->inside(t, msg, &n);
	if (t->in_clear) {
		memcpy(t->buf, msg, n);
		*len = n;
		*secured = false;
		return;
	}
	s = *t->requester->ses.s;
	*len = spdm_record_seal(&s, SPDM_SIDE_RSP, &t->binding, talk_random,
	    t, msg, n, t->buf, sizeof(t->buf));
	NEED(*len > 0);
}

/* keyd's answer to the requester. */
static inline enum spdm_act
talk_own_sign(struct talk *t)
{
	const struct responder_sign	*sg = requester_sign(t->requester);
	uint8_t				 sig[SPDM_SIG_MAX];

	if (t->own_key == NULL)
		return requester_signed(t->requester, NULL);
	soft_sign(t->own_key, t->soft->alg, sg->version, sg->context,
	    sg->hash, sig);
	return requester_signed(t->requester, sig);
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
	if (t->requester->asking_again && t->asked > 0)
		talk_sign(t, true);
	switch (responder_feed(t->responder, secured, t->buf, len)) {
	case RESPONDER_SIGN:
		talk_sign(t, false);
		break;
	case RESPONDER_PSK:
		t->psk(t);
		break;
	case RESPONDER_SEND:
	case RESPONDER_NONE:
		break;
	}
	p = responder_out(t->responder, &secured, &len);
	NEED(len <= TALK_MSG);
	if ((t->silent = len == 0))
		return SPDM_FAIL;
	memcpy(t->buf, p, len);
	if (secured && t->inside != NULL && t->requester->ses.s != NULL)
		talk_reseal(t, &secured, &len);
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
	t->silent = false;
	t->responder = responder_new(&t->rc);
	t->requester = requester_new(&t->qc, t->nonce);
	NEED(t->responder != NULL && t->requester != NULL);
	act = requester_start(t->requester);
	while (act != SPDM_DONE && act != SPDM_FAIL) {
		if (act == SPDM_WAIT) {
			t->waits++;
			act = requester_wake(t->requester);
		} else if (act == SPDM_SIGN)
			act = talk_own_sign(t);
		else if (act == SPDM_KEYS)
			act = t->keys(t);
		else if (act == SPDM_ISSUE)
			act = t->issue(t);
		else
			act = talk_exchange(t);
	}
	if (t->silent)
		return R_ATT_TIMEOUT;
	return act == SPDM_DONE ? R_OK : requester_why(t->requester)->reason;
}

#endif
