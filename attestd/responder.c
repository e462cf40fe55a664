/*
 * The SPDM responder: a request in, a response out, in whatever order a
 * stranger sends them. What the table (spdm_tables.c) does not allow is
 * answered with an ERROR and changes nothing but what the clause says.
 * A signature is asked for and comes later; meanwhile nothing moves.
 */
#include <stdlib.h>
#include <string.h>

#include "spdm.h"
#include "spdm_handlers.h"
#include "spdm_responder.h"

/* ResponseNotReady: ask again after 2^18 us, at most 64 times that. */
#define RDT_EXPONENT	18
#define RDT_MULTIPLE	64

void
responder_defaults(struct responder_conf *c)
{
	*c = (struct responder_conf){
	    .caps = {
		/* 2^23 us: a signature may have to wait for the TPM. */
		.ct_exponent = 23,
		/* Files are measured at start: MEAS_FRESH would be a lie. */
		.flags = SPDM_CAP_CERT | SPDM_CAP_CHAL | SPDM_CAP_MEAS_SIG |
		    SPDM_CAP_ENCRYPT | SPDM_CAP_MAC | SPDM_CAP_KEY_EX |
		    SPDM_CAP_PSK_CONTEXT |
		    SPDM_CAP_HBEAT | SPDM_CAP_KEY_UPD | SPDM_CAP_CHUNK,
		.data_transfer = RESPONDER_TRANSFER,
		.max_msg = RESPONSE_MAX,
	    },
	    .versions = SPDM_ALLOW_12 | SPDM_ALLOW_13,
	    .algs = {
		.meas_spec = SPDM_MEAS_DMTF,
		.other = SPDM_OPAQUE_FMT1,
		.meas_hash = 0x02,	/* SHA-256, as the PCRs */
		.table = {
		    [SPDM_T_DHE] = SPDM_DHE_P256 | SPDM_DHE_P384,
		    [SPDM_T_AEAD] = SPDM_AEAD_AES256GCM,
		    [SPDM_T_REQ_ASYM] = 0x10 | 0x80,
		    [SPDM_T_SCHEDULE] = SPDM_SCHEDULE_SPDM,
		},
	    },
	    .heartbeat = RESPONDER_HEARTBEAT,
	};
}

struct responder *
responder_new(const struct responder_conf *conf)
{
	struct responder	*r;

	if ((r = calloc(1, sizeof(*r))) == NULL)
		return NULL;
	if (transcript_init(&r->tr) == -1) {
		free(r);
		return NULL;
	}
	r->conf = conf;
	r->state = SPDM_S_START;
	r->version = SPDM_V10;
	return r;
}

void
responder_free(struct responder *r)
{
	if (r == NULL)
		return;
	responder_session_free(r);
	responder_chunk_free(r);
	transcript_free(&r->tr);
	free(r);
}

static bool
version_known(const struct responder *r, uint8_t version)
{
	return (version == SPDM_V12 && r->conf->versions & SPDM_ALLOW_12) ||
	    (version == SPDM_V13 && r->conf->versions & SPDM_ALLOW_13);
}

bool
responder_both(const struct responder *r, uint32_t cap)
{
	return (r->conf->caps.flags & cap) != 0 &&
	    (r->peer_flags & cap) != 0;
}

uint8_t
serve_version(struct responder *r, const uint8_t *msg, size_t len)
{
	uint8_t	n = 0;

	if (msg[0] != SPDM_V10)
		return SPDM_E_VERSION_MISMATCH;
	responder_session_end(r);
	transcript_reset(&r->tr);
	r->alg = NULL;
	r->version = SPDM_V10;
	r->state = SPDM_S_VERSION;
	spdm_put_hdr(&r->out, SPDM_V10, SPDM_VERSION, 0, 0);
	spdm_put_u8(&r->out, 0);
	if (r->conf->versions & SPDM_ALLOW_12)
		n++;
	if (r->conf->versions & SPDM_ALLOW_13)
		n++;
	spdm_put_u8(&r->out, n);
	if (r->conf->versions & SPDM_ALLOW_12)
		spdm_put_u16(&r->out, SPDM_V12 << 8);
	if (r->conf->versions & SPDM_ALLOW_13)
		spdm_put_u16(&r->out, SPDM_V13 << 8);
	return 0;
}

/* Adds a pair to A; the sizes of the table make A bounded. */
static uint8_t
append_a(struct responder *r, const uint8_t *msg, size_t len)
{
	if (transcript_a(&r->tr, msg, len) == -1 ||
	    transcript_a(&r->tr, r->out.data, r->out.len) == -1)
		return SPDM_E_UNSPECIFIED;
	return 0;
}

uint8_t
serve_capabilities(struct responder *r, const uint8_t *msg, size_t len)
{
	struct spdm_caps	c, mine = r->conf->caps;

	if (!version_known(r, msg[0]))
		return SPDM_E_VERSION_MISMATCH;
	if (spdm_caps_get(msg, len, &c) == -1 ||
	    spdm_caps_illegal(&c, true) != NULL)
		return SPDM_E_INVALID_REQUEST;
	r->version = msg[0];
	r->peer_transfer = c.data_transfer;
	r->chunk.peer_max = c.max_msg;
	r->peer_flags = c.flags;
	r->state = SPDM_S_CAPS;
	mine.version = r->version;
	mine.p1 = 0;
	spdm_caps_put(&r->out, SPDM_CAPABILITIES, &mine);
	return 0;
}

/* The algorithm of the key in the lowest slot. */
static const struct spdm_alg *
own_alg(const struct responder *r)
{
	unsigned	i;

	for (i = 0; i < SPDM_SLOTS; i++)
		if (r->conf->slots[i].content != NULL)
			return spdm_alg(r->conf->slots[i].algorithm);
	return NULL;
}

/*
 * Tables of what is negotiated, one of a kind; 0 for what is not (DSP0274,
 * ALGORITHMS). The exchange is on the curve of the signatures.
 */
static void
select_tables(struct responder *r, const struct spdm_alg *alg,
    struct spdm_algs *a)
{
	const uint16_t	*mine = r->conf->algs.table;
	uint16_t	 can[SPDM_NTABLES] = { 0 };
	bool		 session;
	unsigned	 i;

	session = responder_both(r, SPDM_CAP_KEY_EX | SPDM_CAP_PSK) &&
	    responder_both(r, SPDM_CAP_ENCRYPT) &&
	    responder_both(r, SPDM_CAP_MAC);
	if (session) {
		can[SPDM_T_AEAD] = SPDM_AEAD_AES256GCM;
		can[SPDM_T_SCHEDULE] = SPDM_SCHEDULE_SPDM;
	}
	if (session && responder_both(r, SPDM_CAP_KEY_EX))
		can[SPDM_T_DHE] = alg == spdm_alg(KEY_P384) ? SPDM_DHE_P384 :
		    SPDM_DHE_P256;
	if (responder_both(r, SPDM_CAP_MUT_AUTH))
		can[SPDM_T_REQ_ASYM] = (uint16_t)alg->asym;
	for (i = 0; i < SPDM_NTABLES; i++)
		r->table[i] = a->table[i] = a->table[i] & mine[i] & can[i];
}

/*
 * MultiKeyConn is asked for our keys, and answered for the requester's
 * (DSP0274, multi-key connections).
 */
static void
select_keys(struct responder *r, struct spdm_algs *a)
{
	uint32_t	ours = r->conf->caps.flags & SPDM_CAP_MULTI_KEY;
	uint32_t	theirs = r->peer_flags & SPDM_CAP_MULTI_KEY;
	bool		can = r->version >= SPDM_V13;

	r->multi_key = can && (ours == SPDM_MULTI_KEY_ONLY || (ours != 0 &&
	    a->other & SPDM_MULTI_KEY_CONN));
	r->multi_key_req = can && (theirs == SPDM_MULTI_KEY_ONLY ||
	    (theirs != 0 && r->conf->algs.other & SPDM_MULTI_KEY_CONN));
	a->other &= r->conf->algs.other & (uint8_t)~SPDM_MULTI_KEY_CONN;
	if (r->multi_key_req)
		a->other |= SPDM_MULTI_KEY_CONN;
}

uint8_t
serve_algorithms(struct responder *r, const uint8_t *msg, size_t len)
{
	const struct spdm_algs	*mine = &r->conf->algs;
	const struct spdm_alg	*alg;
	struct spdm_algs	 a;

	if (spdm_negotiate_get(msg, len, &a) == -1)
		return SPDM_E_INVALID_REQUEST;
	if ((alg = own_alg(r)) == NULL)
		return SPDM_E_BUSY;	/* no certificate yet */
	if ((a.base_asym & alg->asym) == 0 || (a.base_hash & alg->hash) == 0)
		return SPDM_E_INVALID_REQUEST;
	a.meas_spec &= mine->meas_spec;
	select_keys(r, &a);
	a.mel_spec &= mine->mel_spec;
	a.meas_hash = a.meas_spec != 0 ? mine->meas_hash : 0;
	a.base_asym = alg->asym;
	a.base_hash = alg->hash;
	select_tables(r, alg, &a);
	r->alg = alg;
	r->meas_hash = a.meas_hash;
	r->other = a.other;
	r->state = SPDM_S_READY;
	r->after_vca = true;
	r->digests_len = 0;
	spdm_algorithms_put(&r->out, &a);
	return 0;
}

static void
put_not_ready(struct responder *r)
{
	spdm_error_put(&r->out, r->version, SPDM_E_NOT_READY, 0);
	spdm_put_u8(&r->out, RDT_EXPONENT);
	spdm_put_u8(&r->out, r->request);
	spdm_put_u8(&r->out, (uint8_t)r->sign.serial);
	spdm_put_u8(&r->out, RDT_MULTIPLE);
	r->error = SPDM_E_NOT_READY;
}

uint8_t
serve_if_ready(struct responder *r, const uint8_t *msg, size_t len)
{
	if (!r->deferred || r->secured != r->sign_secured ||
	    msg[2] != r->request || msg[3] != (uint8_t)r->sign.serial)
		return SPDM_E_INVALID_REQUEST;
	if (r->signing) {
		put_not_ready(r);
		return 0;
	}
	r->deferred = false;
	if (!r->ready)
		return SPDM_E_BUSY;
	spdm_put(&r->out, r->held_data, r->held.len);
	r->attested = r->request == SPDM_GET_MEASUREMENTS;
	return 0;
}

/* Rows in the order in which a request is judged. 0 or an error code. */
static uint8_t
admit(const struct responder *r, const struct spdm_row *row,
    const uint8_t *msg, size_t len)
{
	size_t	more;
	uint8_t	e;

	if (row == NULL)
		return SPDM_E_UNSUPPORTED;
	if ((row->states & r->state) == 0)
		return SPDM_E_UNEXPECTED;
	if ((row->flags & SPDM_F_OWN_VER) == 0 && msg[0] != r->version)
		return SPDM_E_VERSION_MISMATCH;
	if (row->since > r->version ||
	    (row->caps != 0 && (r->conf->caps.flags & row->caps) == 0) ||
	    ((row->flags & SPDM_F_BOTH) && !responder_both(r, row->caps)))
		return SPDM_E_UNSUPPORTED;
	if ((e = responder_session_admit(r, row)) != 0)
		return e;
	if (row->serve == NULL)
		return SPDM_E_UNSUPPORTED;
	more = msg[0] >= SPDM_V13 ? row->more13 : 0;
	if (len < row->min + more * (row->min == row->max) ||
	    len > row->max + more)
		return SPDM_E_INVALID_REQUEST;
	return 0;
}

void
responder_put_error(struct responder *r, const uint8_t *msg, size_t len,
    uint8_t code)
{
	uint8_t	version = r->version;

	/* A GET_CAPABILITIES of a version that we have is answered in it. */
	if (r->state == SPDM_S_VERSION && len >= 4 &&
	    msg[1] == SPDM_GET_CAPABILITIES && version_known(r, msg[0]))
		version = msg[0];
	r->out.len = 0;
	r->out.full = false;
	r->error = code;
	spdm_error_put(&r->out, version, code,
	    code == SPDM_E_UNSUPPORTED ? msg[1] : 0);
}

/* Anything but RESPOND_IF_READY gives up what was deferred, and what it
 * would have left in the transcript. */
static void
give_up(struct responder *r)
{
	if (r->deferred && r->request == SPDM_GET_MEASUREMENTS)
		responder_m_reset(r, r->sign_secured);
	if (r->deferred && (r->request == SPDM_KEY_EXCHANGE ||
	    r->request == SPDM_PSK_EXCHANGE))
		responder_session_end(r);
	r->signing = r->deferred = false;
}

enum responder_act
responder_request(struct responder *r, const uint8_t *msg, size_t len)
{
	const struct spdm_row	*row;
	uint8_t			 e = SPDM_E_INVALID_REQUEST;

	r->act = RESPONDER_SEND;
	if (len < 4) {
		responder_put_error(r, msg, len, e);
		return r->act;
	}
	row = spdm_row(msg[1]);
	if ((e = admit(r, row, msg, len)) == 0) {
		if (row->code != SPDM_RESPOND_IF_READY)
			give_up(r);
		if (row->flags & SPDM_RESET_B)
			transcript_reset_b(&r->tr);
		if (row->flags & SPDM_RESET_M)
			responder_m_reset(r, r->secured);
		e = row->serve(r, msg, len);
		if (row->code != SPDM_NEGOTIATE_ALGORITHMS)
			r->after_vca = false;
	}
	if (e == 0 && r->state != SPDM_S_READY)
		e = append_a(r, msg, len);
	else if (e == 0 && row->code == SPDM_NEGOTIATE_ALGORITHMS &&
	    (e = append_a(r, msg, len)) == 0)
		transcript_negotiated(&r->tr, r->alg);
	if (e != 0) {
		r->act = RESPONDER_SEND;
		responder_m_reset(r, r->secured);
		responder_put_error(r, msg, len, e);
	}
	return r->act;
}

enum responder_act
responder_deliver(struct responder *r)
{
	responder_chunk_answer(r);
	if (!r->secured || responder_session_seal(r))
		return RESPONDER_SEND;
	r->out.len = 0;
	return RESPONDER_NONE;
}

enum responder_act
responder_feed(struct responder *r, bool secured, const uint8_t *msg,
    size_t len)
{
	static const uint8_t	none[4];
	enum responder_act	act;

	spdm_buf_init(&r->out, r->out_data, RESPONSE_MAX);
	r->error = 0;
	r->attested = r->secured = false;
	r->why.reason = R_OK;
	responder_session_sweep(r);
	if (secured) switch (responder_session_open(r, &msg, &len)) {
	case OPEN_OK:
		r->secured = true;
		break;
	case OPEN_DECRYPT:
		/* Under the keys of the session, and its last word. */
		r->secured = true;
		responder_put_error(r, none, sizeof(none), SPDM_E_DECRYPT);
		responder_session_fail(r);
		return responder_deliver(r);
	case OPEN_FORM:
	case OPEN_SESSION:
		r->error = SPDM_E_INVALID_SESSION;
		return RESPONDER_NONE;
	}
	if (!responder_chunk_feed(r, &msg, &len) &&
	    (act = responder_request(r, msg, len)) != RESPONDER_SEND)
		return act;
	return responder_deliver(r);
}

const struct responder_sign *
responder_sign(const struct responder *r)
{
	return &r->sign;
}

void
responder_defer(struct responder *r)
{
	memcpy(r->held_data, r->out.data, r->out.len);
	spdm_buf_init(&r->held, r->held_data, sizeof(r->held_data));
	r->held.len = r->out.len;
	r->deferred = true;
	r->ready = false;
	r->out.len = 0;
	put_not_ready(r);
	(void)responder_deliver(r);
}

/* keyd has no signature: what would have had it is not there. */
static void
unsigned_for(struct responder *r)
{
	uint8_t	msg[4] = { 0, r->request, 0, 0 };

	if (r->request == SPDM_KEY_EXCHANGE)
		responder_session_end(r);
	if (!r->deferred)
		responder_put_error(r, msg, sizeof(msg), SPDM_E_BUSY);
}

bool
responder_signed(struct responder *r, uint32_t serial, const uint8_t *sig)
{
	struct spdm_buf	*b = r->deferred ? &r->held : &r->out;

	if (!r->signing || serial != r->sign.serial)
		return false;
	r->signing = false;
	r->ready = sig != NULL;
	if (r->request == SPDM_GET_MEASUREMENTS)
		responder_m_reset(r, r->sign_secured);
	if (sig == NULL)
		unsigned_for(r);
	else {
		if (r->request == SPDM_CHALLENGE)
			transcript_reset_b(&r->tr);
		if (r->request == SPDM_KEY_EXCHANGE)
			responder_exchanged(r, b, sig);
		else
			spdm_put(b, sig, r->sign.sig_len);
		r->attested = !r->deferred &&
		    r->request == SPDM_GET_MEASUREMENTS;
	}
	return !r->deferred && responder_deliver(r) == RESPONDER_SEND;
}

const uint8_t *
responder_out(const struct responder *r, bool *secured, size_t *len)
{
	*secured = r->secured;
	if (r->secured) {
		*len = r->ses->rec_len;
		return r->ses->rec;
	}
	*len = r->out.len;
	return r->out.data;
}

uint8_t
responder_error(const struct responder *r)
{
	return r->error;
}

bool
responder_attested(const struct responder *r)
{
	return r->attested;
}

const struct spdm_why *
responder_why(const struct responder *r)
{
	return &r->why;
}
