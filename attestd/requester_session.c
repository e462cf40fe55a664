/*
 * Sessions as requester (DSP0274: KEY_EXCHANGE, FINISH, HEARTBEAT,
 * KEY_UPDATE, END_SESSION). A session is the peer's whose chain has been
 * read: its key signs the exchange, and every later record depends on it.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "secret.h"
#include "spdm_handlers.h"
#include "spdm_requester.h"

#define POLICY_12	0x01	/* the responder may go on after an update */
#define FINISH_SIGNED	0x01	/* FINISH, Param1 */

#define SESSION_CAPS	(SPDM_CAP_KEY_EX | SPDM_CAP_ENCRYPT | SPDM_CAP_MAC)
#define MUTUAL_CAPS	(SPDM_CAP_MUT_AUTH | SPDM_CAP_ENCAP | SPDM_CAP_CERT)

void
requester_offer_session(struct requester_conf *c, bool mutual)
{
	unsigned	i;

	c->caps.flags |= SESSION_CAPS | SPDM_CAP_HBEAT | SPDM_CAP_KEY_UPD;
	c->algs.tables |= 1U << SPDM_T_DHE | 1U << SPDM_T_AEAD |
	    1U << SPDM_T_SCHEDULE;
	c->algs.table[SPDM_T_AEAD] = SPDM_AEAD_AES256GCM;
	c->algs.table[SPDM_T_SCHEDULE] = SPDM_SCHEDULE_SPDM;
	if (mutual) {
		c->caps.flags |= MUTUAL_CAPS;
		c->algs.tables |= 1U << SPDM_T_REQ_ASYM;
	}
	for (i = 0; i < KEY_NCURVES; i++) {
		if ((c->algorithms & 1U << i) == 0)
			continue;
		c->algs.table[SPDM_T_DHE] |= i == KEY_P384 ? SPDM_DHE_P384 :
		    SPDM_DHE_P256;
		if (mutual)
			c->algs.table[SPDM_T_REQ_ASYM] |=
			    (uint16_t)spdm_alg(i)->asym;
	}
}

/* ---- what the connection allows ------------------------------------------ */

static bool
both(const struct requester *r, uint32_t cap)
{
	return (r->conf.caps.flags & r->peer_flags & cap) == cap;
}

enum spdm_take
requester_session_caps(struct requester *r, uint32_t flags)
{
	uint32_t	need = 0;

	if (requester_asks(r, SPDM_KEY_EXCHANGE))
		need |= SESSION_CAPS;
	if (requester_asks(r, SPDM_HEARTBEAT))
		need |= SPDM_CAP_HBEAT;
	if (requester_asks(r, SPDM_KEY_UPDATE))
		need |= SPDM_CAP_KEY_UPD;
	if ((need & ~flags) == 0)
		return TAKE_NEXT;
	need &= ~flags;
	return requester_bad(r, R_ATT_SESSION_CAPABILITY, "Flags",
	    "KEY_EX, ENCRYPT, MAC and what the session does", "%s%s%s%s%s"
	    "missing", need & SPDM_CAP_KEY_EX ? "KEY_EX " : "",
	    need & SPDM_CAP_ENCRYPT ? "ENCRYPT " : "",
	    need & SPDM_CAP_MAC ? "MAC " : "",
	    need & SPDM_CAP_HBEAT ? "HBEAT " : "",
	    need & SPDM_CAP_KEY_UPD ? "KEY_UPD " : "");
}

enum spdm_take
requester_session_algs(struct requester *r)
{
	const struct spdm_algs	*a = &r->selected;

	if (!requester_asks(r, SPDM_KEY_EXCHANGE))
		return TAKE_NEXT;
	if (a->table[SPDM_T_DHE] == 0 || a->table[SPDM_T_AEAD] == 0 ||
	    a->table[SPDM_T_SCHEDULE] == 0 ||
	    (r->version >= SPDM_V12 &&
	    (a->other & 0x0f) != SPDM_OPAQUE_FMT1))
		return requester_bad(r, R_ATT_NO_ALGORITHM, "ALGORITHMS",
		    "a curve, AES-256-GCM, the key schedule of SPDM, "
		    "OpaqueDataFmt1", "DHE %#x, AEAD %#x, schedule %#x, "
		    "other %#x", a->table[SPDM_T_DHE], a->table[SPDM_T_AEAD],
		    a->table[SPDM_T_SCHEDULE], a->other);
	return TAKE_NEXT;
}

/* The curve of the ephemeral keys, which need not be that of signatures. */
static const struct spdm_alg *
curve(const struct requester *r)
{
	return spdm_alg(r->selected.table[SPDM_T_DHE] == SPDM_DHE_P384 ?
	    KEY_P384 : KEY_P256);
}

static const struct spdm_dhe_ops *
dhe(const struct requester *r)
{
	return r->conf.dhe != NULL ? r->conf.dhe : &spdm_dhe;
}

/* ---- life ---------------------------------------------------------------- */

static void
key_release(struct requester *r)
{
	if (r->ses.key != NULL)
		dhe(r)->release(r->conf.dhe_arg, r->ses.key);
	r->ses.key = NULL;
}

void
requester_session_end(struct requester *r)
{
	struct requester_session	*ses = &r->ses;

	key_release(r);
	spdm_session_free(ses->s);
	freezero(ses->rec, SPDM_RECORD_MAX);
	freezero(ses->plain, SPDM_RECORD_MAX);
	OPENSSL_cleanse(ses, sizeof(*ses));
	r->signing = false;
}

enum spdm_take
requester_session_new(struct requester *r, const uint8_t rsp_id[2])
{
	struct requester_session	*ses = &r->ses;

	ses->s = spdm_session_new(r->version, r->alg, r->tr.base);
	ses->rec = malloc(SPDM_RECORD_MAX);
	ses->plain = malloc(SPDM_RECORD_MAX);
	if (ses->s == NULL || ses->rec == NULL || ses->plain == NULL ||
	    r->conf.binding == NULL)
		return requester_bad(r, R_ATT_NO_SESSION, "session", "memory",
		    "none");
	ses->clear = both(r, SPDM_CAP_CLEAR);
	ses->s->id[0] = (uint8_t)r->conf.session;
	ses->s->id[1] = (uint8_t)(r->conf.session >> 8);
	memcpy(ses->s->id + 2, rsp_id, 2);
	return TAKE_NEXT;
}

bool
requester_secured(const struct requester *r)
{
	const struct spdm_session	*s = r->ses.s;

	return s != NULL && (s->phase == SPDM_P_DATA ||
	    (s->phase == SPDM_P_HANDSHAKE && !r->ses.clear));
}

bool
requester_verified(struct requester *r, enum spdm_side side,
    const uint8_t *data)
{
	uint8_t	th[SPDM_HASH_MAX], want[SPDM_HASH_MAX];

	spdm_session_th(r->ses.s, th);
	spdm_session_verify_data(r->ses.s, side, th, want);
	return CRYPTO_memcmp(want, data, r->alg->hash_len) == 0;
}

void
requester_session_ready(struct requester *r)
{
	uint8_t	th[SPDM_HASH_MAX];

	spdm_session_th(r->ses.s, th);
	spdm_session_data(r->ses.s, th);
}

/* What opens, or does not, in words. */
static enum spdm_take
open_failed(struct requester *r, enum spdm_open e)
{
	static const struct {
		enum reason	 reason;
		const char	*expected, *seen;
	} why[] = {
		[OPEN_FORM] = { R_ATT_RECORD_FORM,
		    "a secured record of DSP0277", "a malformed one" },
		[OPEN_SESSION] = { R_ATT_RECORD_SESSION,
		    "a record of our session", "one of another" },
		[OPEN_DECRYPT] = { R_ATT_RECORD,
		    "the next record under the key of the session",
		    "one that does not open" },
	};

	requester_bad(r, why[e].reason, spdm_code_name(r->asked),
	    why[e].expected, "%s", why[e].seen);
	requester_session_end(r);
	return TAKE_FAIL;
}

/*
 * Nothing but DecryptError may come in the clear while there are keys: the
 * responder has none any more. Believing it costs no more than the job,
 * which whoever is between us can end anyway.
 */
static bool
decrypt_error(const uint8_t *msg, size_t len)
{
	return len >= 4 && msg[1] == SPDM_ERROR && msg[2] == SPDM_E_DECRYPT;
}

enum spdm_take
requester_session_take(struct requester *r, bool secured, const uint8_t **msg,
    size_t *len)
{
	enum spdm_open	e;

	if (!secured && !requester_secured(r))
		return TAKE_NEXT;
	if (!secured) {
		if (decrypt_error(*msg, *len))
			return TAKE_NEXT;
		requester_bad(r, R_ATT_NOT_SECURED, spdm_code_name(r->asked),
		    "a secured record", "%zu bytes in the clear", *len);
		requester_session_end(r);
		return TAKE_FAIL;
	}
	if (!requester_secured(r))
		return requester_bad(r, R_ATT_NO_SESSION,
		    spdm_code_name(r->asked), "a message in the clear",
		    "a secured record");
	e = spdm_record_open(r->ses.s, SPDM_SIDE_RSP, r->conf.binding, *msg,
	    *len, r->ses.plain, SPDM_RECORD_MAX, msg, len);
	return e == OPEN_OK ? TAKE_NEXT : open_failed(r, e);
}

/* ---- KEY_EXCHANGE -------------------------------------------------------- */

void
ask_key_exchange(struct requester *r)
{
	struct requester_session	*ses = &r->ses;
	uint8_t				 slot = requester_step(r)->slot;
	uint8_t				 random[SPDM_NONCE];
	uint8_t				 opaque[SPDM_OPAQUE_SUPPORTED];
	struct spdm_buf			 o;

	requester_session_end(r);	/* one that was begun before */
	if (!r->slot[slot].whole) {
		requester_bad(r, R_ATT_NO_IDENTITY, "KEY_EXCHANGE",
		    "a chain that was read and checked", "none in slot %u",
		    slot);
		return;
	}
	if (dhe(r)->make(r->conf.dhe_arg, curve(r), &ses->key, ses->pub)
	    == -1) {
		requester_bad(r, R_ATT_NO_SESSION, "KEY_EXCHANGE",
		    "an ephemeral key", "none");
		return;
	}
	spdm_buf_init(&o, opaque, sizeof(opaque));
	spdm_opaque_put_supported(&o, r->version);
	spdm_put_hdr(&r->req, r->version, SPDM_KEY_EXCHANGE, SPDM_SUMMARY_ALL,
	    slot);
	spdm_put_u16(&r->req, r->conf.session);
	spdm_put_u8(&r->req, r->version >= SPDM_V12 ? POLICY_12 : 0);
	spdm_put_u8(&r->req, 0);
	requester_put_random(r, random, sizeof(random));
	spdm_put(&r->req, ses->pub, 2 * curve(r)->hash_len);
	spdm_put_u16(&r->req, (uint16_t)o.len);
	spdm_put(&r->req, o.data, o.len);
}

struct exchange {
	uint8_t		 heartbeat, mutual, slot;
	const uint8_t	*id, *point, *summary, *opaque, *signature, *verify;
	size_t		 opaque_len;
};

/* Every byte of KEY_EXCHANGE_RSP, or -1. */
static int
exchange_get(const struct requester *r, const uint8_t *msg, size_t len,
    struct exchange *x)
{
	size_t	h = r->alg->hash_len, n = 40, end;

	end = r->alg->sig_len + (both(r, SPDM_CAP_CLEAR) ? 0 : h);
	if (len < n + 2 * curve(r)->hash_len + h + 2 + end)
		return -1;
	x->heartbeat = msg[2];
	x->id = msg + 4;
	x->mutual = msg[6];
	x->slot = msg[7];
	x->point = msg + n;
	n += 2 * curve(r)->hash_len;
	x->summary = msg + n;
	n += h;
	x->opaque_len = msg[n] | (size_t)msg[n + 1] << 8;
	n += 2;
	if (x->opaque_len > SPDM_OPAQUE_MAX || len - n - end != x->opaque_len)
		return -1;
	x->opaque = msg + n;
	x->signature = x->opaque + x->opaque_len;
	x->verify = x->signature + r->alg->sig_len;
	return 0;
}

/* Fields that the peer was not free to choose. */
static enum spdm_take
exchange_fields(struct requester *r, const struct exchange *x)
{
	int	v;

	v = spdm_opaque_selected(x->opaque, x->opaque_len, r->version);
	if (v <= 0)
		return requester_bad(r, R_ATT_SECURED_VERSION, "OpaqueData",
		    "the selection of DSP0277 1.0, 1.1 or 1.2", "%s",
		    v == 0 ? "none of them" : "malformed data");
	if (x->heartbeat != 0 && !both(r, SPDM_CAP_HBEAT))
		return requester_bad(r, R_ATT_KEY_EXCHANGE_FIELD,
		    "HeartbeatPeriod", "0 without HBEAT on both sides",
		    "%u", x->heartbeat);
	if (r->summed && memcmp(x->summary, r->summary, r->alg->hash_len)
	    != 0)
		return requester_bad(r, R_ATT_SUMMARY,
		    "MeasurementSummaryHash", "that of CHALLENGE_AUTH",
		    "another");
	r->ses.heartbeat = x->heartbeat;
	return requester_mutual(r, x->mutual, x->slot);
}

/* TH up to the signature, which must be the peer's; then with it. */
static enum spdm_take
exchange_signed(struct requester *r, const struct exchange *x,
    const uint8_t *msg)
{
	const struct requester_slot	*slot;
	struct spdm_session		*s = r->ses.s;
	uint8_t				 th[SPDM_HASH_MAX];

	slot = &r->slot[requester_step(r)->slot];
	if (r->multi_key)
		spdm_session_th_add(s, r->digests, r->digests_len);
	spdm_session_th_add(s, slot->digest, r->alg->hash_len);
	spdm_session_th_add(s, r->req.data, r->req.len);
	spdm_session_th_add(s, msg, (size_t)(x->signature - msg));
	spdm_session_th(s, th);
	if (spdm_verify(slot->chain.key, r->alg, r->version,
	    SPDM_CTX_KEY_EXCHANGE, th, x->signature) == -1)
		return requester_bad(r, R_ATT_KEY_EXCHANGE,
		    "KEY_EXCHANGE_RSP", "a signature by the key of the "
		    "slot over the exchange", "one that does not verify");
	spdm_session_th_add(s, x->signature, r->alg->sig_len);
	return TAKE_NEXT;
}

static enum spdm_take
exchange_keys(struct requester *r, const struct exchange *x)
{
	uint8_t	shared[SPDM_SHARED_MAX], th1[SPDM_HASH_MAX];

	if (dhe(r)->agree(r->conf.dhe_arg, curve(r), r->ses.key, x->point,
	    shared) == -1)
		return requester_bad(r, R_ATT_POINT, "ExchangeData",
		    "a point of the curve", "another");
	key_release(r);
	spdm_session_shared(r->ses.s, shared, curve(r)->hash_len);
	OPENSSL_cleanse(shared, sizeof(shared));
	spdm_session_th(r->ses.s, th1);
	spdm_session_handshake(r->ses.s, th1);
	if (r->ses.clear)
		return TAKE_NEXT;	/* it comes with FINISH_RSP */
	if (!requester_verified(r, SPDM_SIDE_RSP, x->verify))
		return requester_bad(r, R_ATT_VERIFY_DATA,
		    "KEY_EXCHANGE_RSP", "ResponderVerifyData by the key of "
		    "the session", "another");
	spdm_session_th_add(r->ses.s, x->verify, r->alg->hash_len);
	return TAKE_NEXT;
}

enum spdm_take
take_key_exchange(struct requester *r, const uint8_t *msg, size_t len)
{
	struct exchange	x;

	if (exchange_get(r, msg, len, &x) == -1)
		return requester_bad(r, R_ATT_FORM, "KEY_EXCHANGE_RSP",
		    "fields that fill the message", "%zu bytes", len);
	if (requester_session_new(r, x.id) == TAKE_FAIL ||
	    exchange_fields(r, &x) == TAKE_FAIL ||
	    exchange_signed(r, &x, msg) == TAKE_FAIL ||
	    exchange_keys(r, &x) == TAKE_FAIL) {
		requester_session_end(r);
		return TAKE_FAIL;
	}
	if (!r->summed) {
		memcpy(r->summary, x.summary, r->alg->hash_len);
		r->summed = true;
	}
	requester_say(r, "keys agreed on by %s; the key of slot %u signed it",
	    curve(r)->group, requester_step(r)->slot);
	return TAKE_NEXT;
}

/* ---- FINISH -------------------------------------------------------------- */

/* EncapD and our chain come before FINISH in TH, once. */
static void
own_chain(struct requester *r, const struct spdm_slot *slot)
{
	if (!r->ses.own_chain)
		spdm_session_th_add(r->ses.s, slot->digest, r->alg->hash_len);
	r->ses.own_chain = true;
}

void
requester_finish_verify(struct requester *r)
{
	struct spdm_session	*s = r->ses.s;
	uint8_t			 th[SPDM_HASH_MAX], data[SPDM_HASH_MAX];

	spdm_session_th(s, th);
	spdm_session_verify_data(s, SPDM_SIDE_REQ, th, data);
	spdm_put(&r->req, data, r->alg->hash_len);
	spdm_session_th_add(s, data, r->alg->hash_len);
}

void
ask_finish(struct requester *r)
{
	struct requester_session	*ses = &r->ses;
	const struct spdm_slot		*slot;

	if (ses->mutual == SPDM_MUT_NONE) {
		spdm_put_hdr(&r->req, r->version, SPDM_FINISH, 0, 0);
		spdm_session_th_add(ses->s, r->req.data, r->req.len);
		requester_finish_verify(r);
		return;
	}
	if ((slot = requester_own(r, ses->own_slot)) == NULL) {
		requester_bad(r, R_ATT_MUTUAL, "FINISH",
		    "a slot of ours that is filled", "slot %u",
		    ses->own_slot);
		return;
	}
	own_chain(r, slot);
	spdm_put_hdr(&r->req, r->version, SPDM_FINISH, FINISH_SIGNED,
	    ses->own_slot);
	spdm_session_th_add(ses->s, r->req.data, r->req.len);
	spdm_session_th(ses->s, r->sign_hash);
	r->sign = (struct responder_sign){
		.key = slot->key,
		.version = r->version,
		.context = SPDM_CTX_FINISH,
		.hash = r->sign_hash,
		.hash_len = r->alg->hash_len,
		.sig_len = spdm_alg(slot->algorithm)->sig_len,
	};
	r->signing = true;
}

void
requester_finish_signed(struct requester *r, const uint8_t *sig)
{
	if (sig == NULL) {
		requester_bad(r, R_ATT_SIGN, "FINISH", "a signature by keyd",
		    "none");
		return;
	}
	spdm_put(&r->req, sig, r->sign.sig_len);
	spdm_session_th_add(r->ses.s, sig, r->sign.sig_len);
	requester_finish_verify(r);
}

enum spdm_take
take_finish(struct requester *r, const uint8_t *msg, size_t len)
{
	struct requester_session	*ses = &r->ses;
	size_t				 n = ses->clear ? r->alg->hash_len : 0;

	if (len != 4 + n)
		return requester_bad(r, R_ATT_FORM, "FINISH_RSP",
		    "ResponderVerifyData if the handshake was in the clear, "
		    "and nothing more", "%zu bytes", len);
	spdm_session_th_add(ses->s, msg, 4);
	if (ses->clear && !requester_verified(r, SPDM_SIDE_RSP, msg + 4))
		return requester_bad(r, R_ATT_VERIFY_DATA, "FINISH_RSP",
		    "ResponderVerifyData by the key of the session",
		    "another");
	spdm_session_th_add(ses->s, msg + 4, n);
	requester_session_ready(r);
	requester_say(r, ses->mutual == SPDM_MUT_NONE ? "a session" :
	    "a session; the key of our slot %u signed it", ses->own_slot);
	return TAKE_NEXT;
}

/* ---- inside the session -------------------------------------------------- */

void
ask_plain(struct requester *r)
{
	spdm_put_hdr(&r->req, r->version, r->asked, 0, 0);
}

enum spdm_take
take_heartbeat(struct requester *r, const uint8_t *msg, size_t len)
{
	if (len != 4)
		return requester_bad(r, R_ATT_FORM, "HEARTBEAT_ACK",
		    "4 bytes", "%zu", len);
	return TAKE_NEXT;
}

/*
 * UpdateAllKeys: the answer already comes under the responder's new key, so
 * that this one must be there before. Ours changes after the answer.
 */
void
ask_key_update(struct requester *r)
{
	uint8_t	op = requester_step(r)->slot, tag;

	r->conf.random(r->conf.random_arg, &tag, 1);
	spdm_put_hdr(&r->req, r->version, SPDM_KEY_UPDATE, op, tag);
	if (op != SPDM_UPDATE_ALL)
		return;
	spdm_session_before(r->ses.s);
	spdm_session_update(r->ses.s, SPDM_SIDE_RSP);
}

enum spdm_take
take_key_update(struct requester *r, const uint8_t *msg, size_t len)
{
	uint8_t	op = requester_step(r)->slot;

	if (len != 4)
		return requester_bad(r, R_ATT_FORM, "KEY_UPDATE_ACK",
		    "4 bytes", "%zu", len);
	if (msg[2] != r->req.data[2] || msg[3] != r->req.data[3])
		return requester_bad(r, R_ATT_KEY_UPDATE, "KEY_UPDATE_ACK",
		    "our operation and tag", "%u and %#04x for %u and %#04x",
		    msg[2], msg[3], r->req.data[2], r->req.data[3]);
	if (op == SPDM_UPDATE_ALL && r->ses.s->went_back)
		return requester_bad(r, R_ATT_KEY_UPDATE, "KEY_UPDATE_ACK",
		    "the responder's new key", "the old one");
	if (op != SPDM_VERIFY_NEW)
		spdm_session_update(r->ses.s, SPDM_SIDE_REQ);
	return TAKE_NEXT;
}

void
ask_end_session(struct requester *r)
{
	spdm_put_hdr(&r->req, r->version, SPDM_END_SESSION,
	    requester_step(r)->slot, 0);
}

enum spdm_take
take_end_session(struct requester *r, const uint8_t *msg, size_t len)
{
	if (len != 4)
		return requester_bad(r, R_ATT_FORM, "END_SESSION_ACK",
		    "4 bytes", "%zu", len);
	requester_session_end(r);
	return TAKE_NEXT;
}
