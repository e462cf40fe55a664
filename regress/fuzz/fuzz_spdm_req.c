/*
 * What a stranger may send to attestd -R: a TCP stream of frames (DSP0287),
 * answered by the responder. The first byte chooses versions and keyd's mood,
 * whether the requester must authenticate itself, and whether a session is
 * let through its handshake, which no fuzzer could finish. What comes as a
 * secured message is sealed here as the stranger would, unless its first byte
 * is 0.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../attestd/spdm_responder.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static struct spdm_slot		slots[SPDM_SLOTS];
static struct measure_set	set;
static struct responder_conf	conf;
static struct spdm_tcp		tcp;
static const struct spdm_binding binding = { .tcp = &tcp };

static void
zeros(void *arg, uint8_t *p, size_t n)
{
	memset(p, 0, n);
}

/* An exchange without mathematics: points that begin with 0 are refused. */
static int
fake_make(void *arg, const struct spdm_alg *alg, void **key, uint8_t *pub)
{
	memset(pub, 1, 2 * alg->hash_len);
	*key = NULL;
	return 0;
}

static int
fake_agree(void *arg, const struct spdm_alg *alg, void *key,
    const uint8_t *peer, uint8_t *shared)
{
	memset(shared, 2, alg->hash_len);
	return peer[0] == 0 ? -1 : 0;
}

static void
fake_release(void *arg, void *key)
{
}

static const struct spdm_dhe_ops fake_dhe = { fake_make, fake_agree,
    fake_release };

static void
init(void)
{
	/* The responder never looks into its own certificates. */
	static uint8_t	der[600] = { 0x30, 0x82, 0x02, 0x54 };
	uint8_t		pcrs[256] = { 1 };
	const char	*bad;

	if (conf.random != NULL)
		return;
	if (spdm_init() == -1 ||
	    spdm_slot_set(&slots[0], 1, KEY_P256, der, 600) == -1 ||
	    spdm_slot_set(&slots[1], 1, KEY_P256, der, 600) == -1 ||
	    measure_files(&set, NULL, NULL, false, &bad) == -1)
		abort();
	measure_pcrs(&set, pcrs);
	responder_defaults(&conf);
	conf.slots = slots;
	conf.random = zeros;
	conf.dhe = &fake_dhe;
	conf.binding = &binding;
}

/* The message as the record that the responder waits for. */
static size_t
seal(const struct responder *r, const uint8_t *msg, size_t len, uint8_t *rec,
    size_t size)
{
	struct spdm_session	s;

	if (len == 0 || msg[0] == 0 || r->ses == NULL || r->ses->s == NULL)
		return 0;
	s = *r->ses->s;
	return spdm_record_seal(&s, SPDM_SIDE_REQ, &binding, zeros, NULL, msg,
	    len, rec, size);
}

static void
check(const struct responder *r)
{
	const uint8_t	*out;
	size_t		 n;
	bool		 secured;

	out = responder_out(r, &secured, &n);
	if (secured ? n < 32 : n < 4 || out[0] < SPDM_V10 ||
	    (out[1] & 0x80) != 0)
		abort();
	/* Two of them are no refusals; one that came in chunks is inside. */
	if (!secured && out[1] != SPDM_CHUNK_SEND_ACK &&
	    (out[1] == SPDM_ERROR) != (responder_error(r) != 0) &&
	    out[2] != SPDM_E_NOT_READY && out[2] != SPDM_E_LARGE_RESPONSE)
		abort();
}

static void
answer(struct responder *r, bool secured, const uint8_t *msg, size_t len,
    uint8_t mood)
{
	static const uint8_t		 sig[SPDM_SIG_MAX];
	static const uint8_t		 th[SPDM_HASH_MAX];
	static const struct spdm_secrets psk = { th, th, th };
	const struct responder_sign	*s;

	switch (responder_feed(r, secured, msg, len)) {
	case RESPONDER_NONE:
		return;
	case RESPONDER_SIGN:
		s = responder_sign(r);
		if (mood & 4)
			responder_defer(r);
		else
			responder_signed(r, s->serial, mood & 8 ? NULL : sig);
		break;
	case RESPONDER_PSK:
		responder_secrets(r, responder_psk(r)->serial, mood & 8 ?
		    NULL : &psk, SPDM_E_BUSY);
		break;
	default:
		if (mood & 4)
			responder_signed(r, responder_sign(r)->serial, sig);
	}
	check(r);
	if (mood & 16 && r->ses != NULL && r->ses->s != NULL &&
	    r->ses->s->phase == SPDM_P_HANDSHAKE)
		spdm_session_data(r->ses->s, th);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t		 rec[SPDM_RECORD_MAX];
	struct spdm_frame	 f;
	struct responder	*r;
	size_t			 n;
	uint8_t			 mood;

	init();
	if (size < 1)
		return 0;
	mood = *data++;
	size--;
	conf.versions = mood & 1 ? SPDM_ALLOW_12 : SPDM_ALLOW_12 |
	    SPDM_ALLOW_13;
	conf.measures = mood & 2 ? NULL : &set;
	conf.mutual = mood & 32 ? SPDM_MUT_ENCAP : mood & 64 ?
	    SPDM_MUT_DIGESTS : SPDM_MUT_NONE;
	conf.caps.flags &= ~(SPDM_CAP_MUT_AUTH | SPDM_CAP_ENCAP);
	if (mood & (32 | 64))
		conf.caps.flags |= SPDM_CAP_MUT_AUTH | SPDM_CAP_ENCAP;
	tcp = (struct spdm_tcp){ .counted = true, .max = RESPONDER_TRANSFER };
	if ((r = responder_new(&conf)) == NULL)
		abort();
	while (spdm_tcp_next(&tcp, data, size, &f) == TCP_MESSAGE) {
		n = 0;
		if (f.type == SPDM_TCP_SECURED)
			n = seal(r, f.msg, f.len, rec, sizeof(rec));
		answer(r, f.type == SPDM_TCP_SECURED, n > 0 ? rec : f.msg,
		    n > 0 ? n : f.len, mood);
		data += f.used;
		size -= f.used;
	}
	responder_free(r);
	return 0;
}
