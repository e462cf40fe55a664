/*
 * PSK_EXCHANGE and PSK_FINISH as requester (DSP0274, PSK), with the id of a
 * one-time code as hint. It comes after the chains and the challenge: the id
 * of the node whose key answered goes into the PSK, and the measurements are
 * signed by that key once more inside, so that whoever stands between cannot
 * lend another node's code to his own key.
 */
#include <string.h>

#include "spdm_handlers.h"
#include "spdm_requester.h"

#define PSK_CAPS	(SPDM_CAP_PSK_CONTEXT | SPDM_CAP_ENCRYPT | SPDM_CAP_MAC)
#define FIXED		12	/* PSK_EXCHANGE_RSP before its strings */
#define POLICY_12	0x01	/* the responder may go on after an update */

static const struct spdm_step steps[] = {
	REQUESTER_ATTESTS,
	{ SPDM_PSK_EXCHANGE, 0 },
	{ SPDM_PSK_FINISH, 0 },
	{ SPDM_GET_MEASUREMENTS, 0 },
	{ SPDM_END_SESSION, 0 },
};

void
requester_offer_code(struct requester_conf *c, const uint8_t hint[SPDM_HINT])
{
	memcpy(c->hint, hint, SPDM_HINT);
	c->steps = steps;
	c->nsteps = sizeof(steps) / sizeof(steps[0]);
	c->versions &= SPDM_ALLOW_12 | SPDM_ALLOW_13;
	c->caps.flags |= SPDM_CAP_PSK_ASKS | SPDM_CAP_ENCRYPT | SPDM_CAP_MAC;
	c->algs.tables |= 1U << SPDM_T_AEAD | 1U << SPDM_T_SCHEDULE;
	c->algs.table[SPDM_T_AEAD] = SPDM_AEAD_AES256GCM;
	c->algs.table[SPDM_T_SCHEDULE] = SPDM_SCHEDULE_SPDM;
}

enum spdm_take
requester_psk_caps(struct requester *r, uint32_t flags)
{
	if (!requester_asks(r, SPDM_PSK_EXCHANGE) ||
	    (flags & PSK_CAPS) == PSK_CAPS)
		return TAKE_NEXT;
	return requester_bad(r, R_ATT_CODE_CAPABILITY, "Flags",
	    "PSK with context, ENCRYPT, MAC", "%s%s%smissing",
	    flags & SPDM_CAP_PSK_CONTEXT ? "" : "PSK ",
	    flags & SPDM_CAP_ENCRYPT ? "" : "ENCRYPT ",
	    flags & SPDM_CAP_MAC ? "" : "MAC ");
}

enum spdm_take
requester_psk_algs(struct requester *r)
{
	const struct spdm_algs	*a = &r->selected;

	if (!requester_asks(r, SPDM_PSK_EXCHANGE) ||
	    (a->table[SPDM_T_AEAD] != 0 && a->table[SPDM_T_SCHEDULE] != 0 &&
	    (a->other & 0x0f) == SPDM_OPAQUE_FMT1))
		return TAKE_NEXT;
	return requester_bad(r, R_ATT_NO_ALGORITHM, "ALGORITHMS",
	    "AES-256-GCM, the key schedule of SPDM, OpaqueDataFmt1",
	    "AEAD %#x, schedule %#x, other %#x", a->table[SPDM_T_AEAD],
	    a->table[SPDM_T_SCHEDULE], a->other);
}

/* ---- PSK_EXCHANGE -------------------------------------------------------- */

/* Our own responder holds the code, too: somebody plays our messages back. */
static bool
ourselves(const struct requester *r)
{
	const struct spdm_slot	*own = r->conf.slots;

	return own != NULL && own->content != NULL &&
	    spdm_alg(own->algorithm) == r->alg &&
	    memcmp(own->digest, r->slot[0].digest, r->alg->hash_len) == 0;
}

void
ask_psk_exchange(struct requester *r)
{
	uint8_t		random[SPDM_NONCE], opaque[SPDM_OPAQUE_SUPPORTED];
	struct spdm_buf	o;

	requester_session_end(r);
	if (!r->slot[0].whole || !r->summed) {
		requester_bad(r, R_ATT_NO_IDENTITY, "PSK_EXCHANGE",
		    "a key that answered our challenge", "none");
		return;
	}
	if (ourselves(r)) {
		requester_bad(r, R_POL_SELF, "identity", "another node",
		    "our own slot 0");
		return;
	}
	spdm_buf_init(&o, opaque, sizeof(opaque));
	spdm_opaque_put_supported(&o, r->version);
	spdm_put_hdr(&r->req, r->version, SPDM_PSK_EXCHANGE, SPDM_SUMMARY_ALL,
	    POLICY_12);
	spdm_put_u16(&r->req, r->conf.session);
	spdm_put_u16(&r->req, SPDM_HINT);
	spdm_put_u16(&r->req, SPDM_NONCE);
	spdm_put_u16(&r->req, (uint16_t)o.len);
	spdm_put(&r->req, r->conf.hint, SPDM_HINT);
	requester_put_random(r, random, sizeof(random));
	spdm_put(&r->req, o.data, o.len);
}

struct psk_exchange {
	uint8_t		 heartbeat;
	const uint8_t	*id, *summary, *opaque, *verify;
	size_t		 opaque_len;
};

/* Every byte of PSK_EXCHANGE_RSP, or -1. */
static int
psk_exchange_get(const struct requester *r, const uint8_t *msg, size_t len,
    struct psk_exchange *x)
{
	size_t	h = r->alg->hash_len, context;

	if (len < FIXED + 2 * h)
		return -1;
	x->heartbeat = msg[2];
	x->id = msg + 4;
	context = msg[8] | (size_t)msg[9] << 8;
	x->opaque_len = msg[10] | (size_t)msg[11] << 8;
	if (context < SPDM_NONCE || x->opaque_len > SPDM_OPAQUE_MAX ||
	    len != FIXED + 2 * h + context + x->opaque_len)
		return -1;
	x->summary = msg + FIXED;
	x->opaque = x->summary + h + context;
	x->verify = x->opaque + x->opaque_len;
	return 0;
}

/* Fields that the peer was not free to choose. */
static enum spdm_take
psk_fields(struct requester *r, const struct psk_exchange *x)
{
	int	v = spdm_opaque_selected(x->opaque, x->opaque_len, r->version);

	if (v <= 0)
		return requester_bad(r, R_ATT_SECURED_VERSION, "OpaqueData",
		    "the selection of DSP0277 1.0, 1.1 or 1.2", "%s",
		    v == 0 ? "none of them" : "malformed data");
	/* We have no HBEAT in this kind of session. */
	if (x->heartbeat != 0)
		return requester_bad(r, R_ATT_KEY_EXCHANGE_FIELD,
		    "HeartbeatPeriod", "0 without HBEAT on both sides", "%u",
		    x->heartbeat);
	if (memcmp(x->summary, r->summary, r->alg->hash_len) != 0)
		return requester_bad(r, R_ATT_SUMMARY,
		    "MeasurementSummaryHash", "that of CHALLENGE_AUTH",
		    "another");
	return TAKE_NEXT;
}

enum spdm_take
take_psk_exchange(struct requester *r, const uint8_t *msg, size_t len)
{
	struct psk_exchange	 x;
	struct spdm_identity	 id;

	if (psk_exchange_get(r, msg, len, &x) == -1)
		return requester_bad(r, R_ATT_FORM, "PSK_EXCHANGE_RSP",
		    "fields that fill the message", "%zu bytes", len);
	if (requester_session_new(r, x.id) == TAKE_FAIL ||
	    psk_fields(r, &x) == TAKE_FAIL) {
		requester_session_end(r);
		return TAKE_FAIL;
	}
	spdm_session_th_add(r->ses.s, r->req.data, r->req.len);
	spdm_session_th_add(r->ses.s, msg, (size_t)(x.verify - msg));
	spdm_session_th(r->ses.s, r->sign_hash);
	memcpy(r->ses.verify, x.verify, r->alg->hash_len);
	spdm_identity(&r->slot[0].chain, &id);
	memcpy(r->node, id.node, sizeof(r->node));
	r->psk = (struct spdm_psk){
		.hint = r->conf.hint, .node = r->node,
		.version = r->version,
		.algorithm = r->alg == spdm_alg(KEY_P384) ? KEY_P384 :
		    KEY_P256,
		.th1 = r->sign_hash, .hash_len = r->alg->hash_len,
	};
	r->keying = true;
	return TAKE_HOLD;
}

const struct spdm_psk *
requester_psk(const struct requester *r)
{
	return &r->psk;
}

/* The peer's ERROR: has it the code not, or not any more? */
void
requester_psk_error(struct requester *r, uint8_t code)
{
	if (code == SPDM_E_INVALID_REQUEST)
		requester_bad(r, R_ATT_CODE_UNKNOWN, "PSK_EXCHANGE",
		    "a peer that holds the code", "ERROR %s",
		    spdm_error_name(code));
	else
		requester_bad(r, R_ATT_CODE_REFUSED, "PSK_EXCHANGE",
		    "a code that was not used there", "ERROR %s",
		    spdm_error_name(code));
}

enum spdm_take
requester_keyed(struct requester *r, const struct spdm_secrets *secrets,
    const char *why)
{
	struct spdm_session	*s = r->ses.s;

	r->keying = false;
	if (secrets == NULL) {
		requester_session_end(r);
		return requester_bad(r, R_ATT_CODE_KEYD, "PSK_EXCHANGE",
		    "the secrets of the session by keyd", "%s", why);
	}
	spdm_session_handshake_psk(s, secrets->request, secrets->response,
	    secrets->master);
	if (!requester_verified(r, SPDM_SIDE_RSP, r->ses.verify)) {
		requester_session_end(r);
		return requester_bad(r, R_ATT_CODE_PROOF, "PSK_EXCHANGE_RSP",
		    "ResponderVerifyData by the key of the code and of this "
		    "node", "another");
	}
	spdm_session_th_add(s, r->ses.verify, r->alg->hash_len);
	requester_say(r, "it holds the one-time code");
	return TAKE_NEXT;
}

/* ---- PSK_FINISH ---------------------------------------------------------- */

void
ask_psk_finish(struct requester *r)
{
	spdm_put_hdr(&r->req, r->version, SPDM_PSK_FINISH, 0, 0);
	spdm_session_th_add(r->ses.s, r->req.data, r->req.len);
	requester_finish_verify(r);
}

enum spdm_take
take_psk_finish(struct requester *r, const uint8_t *msg, size_t len)
{
	if (len != 4)
		return requester_bad(r, R_ATT_FORM, "PSK_FINISH_RSP",
		    "4 bytes", "%zu", len);
	spdm_session_th_add(r->ses.s, msg, len);
	requester_session_ready(r);
	requester_say(r, "a session under the code");
	return TAKE_NEXT;
}
