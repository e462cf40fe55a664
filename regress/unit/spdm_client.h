/*
 * A requester made by hand: what a test says to our responder, in the clear
 * and in a session, right or wrong. It checks what a requester must check.
 */
#ifndef SPDM_CLIENT_H
#define SPDM_CLIENT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "spdm_talk.h"
#include "../../attestd/spdm_session.h"

#define CLIENT_CAPS	(SPDM_CAP_CERT | SPDM_CAP_CHAL | SPDM_CAP_ENCRYPT | \
			    SPDM_CAP_MAC | SPDM_CAP_KEY_EX | SPDM_CAP_HBEAT | \
			    SPDM_CAP_KEY_UPD)
#define CLIENT_MUTUAL	(CLIENT_CAPS | SPDM_CAP_MUT_AUTH | SPDM_CAP_ENCAP)

static struct soft	soft;
static struct talk	t;

/* Ephemeral keys of the responder that are alive, and were ever made. */
static unsigned	dhe_alive, dhe_made;

static struct client {
	uint8_t			 version;
	uint32_t		 caps;
	uint8_t			 other;		/* opaque data formats */
	const struct spdm_alg	*alg;
	EVP_MD_CTX		*a;		/* of VCA */
	struct spdm_session	*s;
	uint8_t			 id[4];		/* of the last session */
	uint8_t			 mutual, heartbeat, slot_param;
	struct spdm_binding	 binding;
	struct spdm_tcp		 tcp;
	uint8_t			 in[0x8000], plain[0x8000];
	const uint8_t		*ans;		/* the answer, opened */
	size_t			 anslen;
	bool			 ans_secured;
	uint8_t			 rec[0x8000];	/* the last record sent */
	size_t			 rec_len;
	enum responder_act	 act;
	bool			 keyd_mute;	/* leave what must be signed */
	struct soft		*who;		/* whose chain it shows */
} c;

static inline int
counted_make(void *arg, const struct spdm_alg *alg, void **key, uint8_t *pub)
{
	dhe_alive++;
	dhe_made++;
	return spdm_dhe.make(arg, alg, key, pub);
}

static inline int
counted_agree(void *arg, const struct spdm_alg *alg, void *key,
    const uint8_t *peer, uint8_t *shared)
{
	return spdm_dhe.agree(arg, alg, key, peer, shared);
}

static inline void
counted_release(void *arg, void *key)
{
	dhe_alive--;
	spdm_dhe.release(arg, key);
}

static const struct spdm_dhe_ops counted_dhe = { counted_make, counted_agree,
    counted_release };

/* ---- life ---------------------------------------------------------------- */

static inline int
client_setup(void **state)
{
	if (spdm_init() == -1)
		return -1;
	soft_new(&soft, KEY_P256);
	return 0;
}

static inline int
client_teardown(void **state)
{
	soft_free(&soft);
	return 0;
}

static inline int
client_before(void **state)
{
	talk_init(&t, &soft);
	memset(&c, 0, sizeof(c));
	dhe_alive = dhe_made = 0;
	c.version = SPDM_V13;
	c.caps = CLIENT_CAPS;
	c.other = SPDM_OPAQUE_FMT1;
	c.alg = soft.alg;
	c.who = &soft;
	c.tcp.counted = true;
	c.binding.tcp = &c.tcp;
	t.rc.binding = &c.binding;
	t.rc.dhe = &counted_dhe;
	return 0;
}

static inline int
client_after(void **state)
{
	spdm_session_free(c.s);
	EVP_MD_CTX_free(c.a);
	c.s = NULL;
	talk_free(&t);
	/* Whatever happened, no ephemeral key is left. */
	return dhe_alive == 0 ? 0 : -1;
}

#define CLIENT(f)	cmocka_unit_test_setup_teardown(f, client_before, \
			    client_after)

/* ---- in the clear -------------------------------------------------------- */

/* keyd signs at once. */
static inline void
client_sign(void)
{
	const struct responder_sign	*sg = responder_sign(t.responder);
	uint8_t				 sig[SPDM_SIG_MAX];

	soft_sign(t.sign_key, t.soft->alg, sg->version, sg->context, sg->hash,
	    sig);
	responder_signed(t.responder, sg->serial, t.no_key ? NULL : sig);
}

/* Feed it; the raw answer is in c.in. */
static inline void
client_feed(bool secured, const uint8_t *msg, size_t len)
{
	const uint8_t	*p;

	c.anslen = 0;
	c.ans = NULL;
	c.act = responder_feed(t.responder, secured, msg, len);
	if (c.act == RESPONDER_SIGN) {
		if (c.keyd_mute)
			return;
		client_sign();
		c.act = RESPONDER_SEND;
	}
	if (c.act != RESPONDER_SEND)
		return;
	p = responder_out(t.responder, &c.ans_secured, &c.anslen);
	assert_true(c.anslen > 0 && c.anslen <= sizeof(c.in));
	memcpy(c.in, p, c.anslen);
	c.ans = c.in;
}

/* Say something in the clear. The code of the answer. */
static inline uint8_t
say(const uint8_t *msg, size_t len)
{
	client_feed(false, msg, len);
	assert_int_equal(c.act, RESPONDER_SEND);
	assert_false(c.ans_secured);
	return c.ans[1];
}

static inline uint8_t
say4(uint8_t code, uint8_t p1, uint8_t p2)
{
	const uint8_t	m[4] = { c.version, code, p1, p2 };

	return say(m, sizeof(m));
}

#define error_is(e)	do {						\
	assert_int_equal(c.ans[1], SPDM_ERROR);				\
	assert_int_equal(c.ans[2], e);					\
} while (0)

static inline void
client_vca(const uint8_t *msg, size_t len, uint8_t code)
{
	EVP_DigestUpdate(c.a, msg, len);
	assert_int_equal(say(msg, len), code);
	EVP_DigestUpdate(c.a, c.ans, c.anslen);
}

/* GET_VERSION to ALGORITHMS. */
static inline void
client_connect(void)
{
	static const uint8_t	version[4] = { SPDM_V10, SPDM_GET_VERSION };
	struct spdm_caps	caps = { .version = c.version,
	    .flags = c.caps, .data_transfer = 0x1200, .max_msg = 0x1200 };
	struct spdm_algs	algs = { .version = c.version,
	    .meas_spec = SPDM_MEAS_DMTF, .other = c.other,
	    .base_asym = c.alg->asym, .base_hash = c.alg->hash,
	    .tables = 0xf, .table = { SPDM_DHE_P256 | SPDM_DHE_P384,
		SPDM_AEAD_AES256GCM, 0x90, SPDM_SCHEDULE_SPDM } };
	uint8_t			 space[128];
	struct spdm_buf		 b;

	if (t.responder == NULL)
		NEED((t.responder = responder_new(&t.rc)) != NULL);
	if (c.a == NULL)
		c.a = EVP_MD_CTX_new();
	EVP_DigestInit_ex2(c.a, spdm_md(c.alg), NULL);
	client_vca(version, sizeof(version), SPDM_VERSION);
	spdm_buf_init(&b, space, sizeof(space));
	spdm_caps_put(&b, SPDM_GET_CAPABILITIES, &caps);
	client_vca(b.data, b.len, SPDM_CAPABILITIES);
	spdm_buf_init(&b, space, sizeof(space));
	spdm_negotiate_put(&b, &algs);
	client_vca(b.data, b.len, SPDM_ALGORITHMS);
}

/* ---- in a session -------------------------------------------------------- */

/* The answer as a record, opened. */
static inline void
client_open(void)
{
	const uint8_t	*msg;
	size_t		 len;

	assert_true(c.ans_secured);
	assert_int_equal(spdm_record_open(c.s, SPDM_SIDE_RSP, &c.binding,
	    c.in, c.anslen, c.plain, sizeof(c.plain), &msg, &len), OPEN_OK);
	c.ans = msg;
	c.anslen = len;
}

static inline void
client_seal(const uint8_t *msg, size_t len)
{
	c.rec_len = spdm_record_seal(c.s, SPDM_SIDE_REQ, &c.binding,
	    talk_random, &t, msg, len, c.rec, sizeof(c.rec));
	assert_true(c.rec_len > 0);
}

/* Say it in the session. The code of the answer. */
static inline uint8_t
sec(const uint8_t *msg, size_t len)
{
	client_seal(msg, len);
	client_feed(true, c.rec, c.rec_len);
	assert_int_equal(c.act, RESPONDER_SEND);
	client_open();
	return c.ans[1];
}

static inline uint8_t
sec4(uint8_t code, uint8_t p1, uint8_t p2)
{
	const uint8_t	m[4] = { c.version, code, p1, p2 };

	return sec(m, sizeof(m));
}

/* KEY_EXCHANGE with this exchange data; the request is left in msg. */
static inline size_t
client_exchange_put(uint8_t *msg, size_t size, const uint8_t *pub)
{
	struct spdm_buf	b;
	uint8_t		random[32];
	size_t		at;

	spdm_buf_init(&b, msg, size);
	spdm_put_hdr(&b, c.version, SPDM_KEY_EXCHANGE, SPDM_SUMMARY_ALL, 0);
	spdm_put_u16(&b, 0x1234);
	spdm_put_u16(&b, 0);
	talk_random(&t, random, sizeof(random));
	spdm_put(&b, random, sizeof(random));
	spdm_put(&b, pub, 2 * c.alg->hash_len);
	at = b.len;
	spdm_put_u16(&b, 0);
	if (c.other != 0)
		spdm_opaque_put_supported(&b, c.version);
	msg[at] = (uint8_t)(b.len - at - 2);
	assert_false(b.full);
	return b.len;
}

/* KEY_EXCHANGE_RSP: signature, keys, verify data; c.s stands then. */
static inline void
client_exchanged(const uint8_t *req, size_t len, const uint8_t *shared)
{
	const size_t	 n = c.alg->hash_len, sig = c.alg->sig_len;
	const uint8_t	*rsp = c.ans;
	size_t		 rlen = c.anslen;
	uint8_t		 th[SPDM_HASH_MAX], want[SPDM_HASH_MAX];

	assert_int_equal(rsp[1], SPDM_KEY_EXCHANGE_RSP);
	c.heartbeat = rsp[2];
	c.mutual = rsp[6];
	c.slot_param = rsp[7];
	assert_non_null(c.s = spdm_session_new(c.version, c.alg, c.a));
	memcpy(c.s->id, req + 4, 2);
	memcpy(c.s->id + 2, rsp + 4, 2);
	memcpy(c.id, c.s->id, 4);
	spdm_session_th_add(c.s, t.slots[0].digest, n);
	spdm_session_th_add(c.s, req, len);
	spdm_session_th_add(c.s, rsp, rlen - n - sig);
	spdm_session_th(c.s, th);
	assert_int_equal(spdm_verify(t.soft->key, c.alg, c.version,
	    SPDM_CTX_KEY_EXCHANGE, th, rsp + rlen - n - sig), 0);
	spdm_session_th_add(c.s, rsp + rlen - n - sig, sig);
	spdm_session_th(c.s, th);
	spdm_session_shared(c.s, shared, n);
	spdm_session_handshake(c.s, th);
	spdm_session_verify_data(c.s, SPDM_SIDE_RSP, th, want);
	assert_memory_equal(rsp + rlen - n, want, n);
	spdm_session_th_add(c.s, want, n);
}

/* KEY_EXCHANGE, answered by whatever code. */
static inline uint8_t
client_exchange(void)
{
	uint8_t	msg[512], pub[SPDM_DHE_MAX], shared[SPDM_SHARED_MAX];
	void	*key;
	size_t	 len;

	NEED(spdm_dhe.make(NULL, c.alg, &key, pub) == 0);
	len = client_exchange_put(msg, sizeof(msg), pub);
	client_feed(false, msg, len);
	if (c.act == RESPONDER_SEND && c.ans[1] == SPDM_KEY_EXCHANGE_RSP) {
		NEED(spdm_dhe.agree(NULL, c.alg, key, c.ans + 40, shared) ==
		    0);
		client_exchanged(msg, len, shared);
	}
	spdm_dhe.release(NULL, key);
	return c.act == RESPONDER_SEND ? c.ans[1] : 0;
}

/* FINISH as a message, signed by key if there is one. */
static inline size_t
client_finish_put(uint8_t *msg, EVP_PKEY *key, const uint8_t *chain_hash,
    uint8_t slot)
{
	const size_t	n = c.alg->hash_len, sig = c.alg->sig_len;
	uint8_t		th[SPDM_HASH_MAX];
	size_t		len = 4;

	msg[0] = c.version;
	msg[1] = SPDM_FINISH;
	msg[2] = key != NULL;
	msg[3] = slot;
	if (chain_hash != NULL)
		spdm_session_th_add(c.s, chain_hash, n);
	spdm_session_th_add(c.s, msg, 4);
	if (key != NULL) {
		spdm_session_th(c.s, th);
		soft_sign(key, c.alg, c.version, SPDM_CTX_FINISH, th, msg + 4);
		spdm_session_th_add(c.s, msg + 4, sig);
		len += sig;
	}
	spdm_session_th(c.s, th);
	spdm_session_verify_data(c.s, SPDM_SIDE_REQ, th, msg + len);
	spdm_session_th_add(c.s, msg + len, n);
	return len + n;
}

/* The session has finished: data keys. */
static inline void
client_finished(void)
{
	uint8_t	th[SPDM_HASH_MAX];

	assert_int_equal(c.ans[1], SPDM_FINISH_RSP);
	assert_int_equal(c.anslen, 4);
	spdm_session_th_add(c.s, c.ans, c.anslen);
	spdm_session_th(c.s, th);
	spdm_session_data(c.s, th);
}

static inline void
client_finish(void)
{
	uint8_t	msg[256];

	sec(msg, client_finish_put(msg, NULL, NULL, 0));
	client_finished();
}

/* A session, from nothing. */
static inline void
client_session(void)
{
	client_connect();
	assert_int_equal(client_exchange(), SPDM_KEY_EXCHANGE_RSP);
	client_finish();
}

/* The responder knows nothing of the session any more. */
static inline void
client_is_over(void)
{
	assert_false(responder_in_session(t.responder));
	client_feed(true, c.rec, c.rec_len);
	assert_int_equal(c.act, RESPONDER_NONE);
	assert_int_equal(responder_error(t.responder),
	    SPDM_E_INVALID_SESSION);
	spdm_session_free(c.s);
	c.s = NULL;
}

#endif
