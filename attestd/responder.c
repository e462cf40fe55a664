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
		.flags = SPDM_CAP_CERT | SPDM_CAP_CHAL | SPDM_CAP_MEAS_SIG,
		.data_transfer = RESPONDER_TRANSFER,
		.max_msg = RESPONDER_TRANSFER,
	    },
	    .versions = SPDM_ALLOW_12 | SPDM_ALLOW_13,
	    .algs = {
		.meas_spec = SPDM_MEAS_DMTF,
		.other = SPDM_OPAQUE_FMT1,
		.meas_hash = 0x02,	/* SHA-256, as the PCRs */
	    },
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
	transcript_free(&r->tr);
	free(r);
}

static bool
version_known(const struct responder *r, uint8_t version)
{
	return (version == SPDM_V12 && r->conf->versions & SPDM_ALLOW_12) ||
	    (version == SPDM_V13 && r->conf->versions & SPDM_ALLOW_13);
}

/* The slots whose key is of the negotiated algorithm. */
static uint8_t
slot_mask(const struct responder *r)
{
	uint8_t		mask = 0;
	unsigned	i;

	for (i = 0; i < SPDM_SLOTS; i++)
		if (r->conf->slots[i].content != NULL &&
		    spdm_alg(r->conf->slots[i].algorithm) == r->alg)
			mask = (uint8_t)(mask | 1U << i);
	return mask;
}

static const struct spdm_slot *
slot_find(const struct responder *r, uint8_t slot)
{
	if (slot >= SPDM_SLOTS || (slot_mask(r) >> slot & 1) == 0)
		return NULL;
	return &r->conf->slots[slot];
}

uint8_t
serve_version(struct responder *r, const uint8_t *msg, size_t len)
{
	uint8_t	n = 0;

	if (msg[0] != SPDM_V10)
		return SPDM_E_VERSION_MISMATCH;
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

uint8_t
serve_algorithms(struct responder *r, const uint8_t *msg, size_t len)
{
	const struct spdm_algs	*mine = &r->conf->algs;
	const struct spdm_alg	*alg;
	struct spdm_algs	 a;
	unsigned		 i;

	if (spdm_negotiate_get(msg, len, &a) == -1)
		return SPDM_E_INVALID_REQUEST;
	if ((alg = own_alg(r)) == NULL)
		return SPDM_E_BUSY;	/* no certificate yet */
	if ((a.base_asym & alg->asym) == 0 || (a.base_hash & alg->hash) == 0)
		return SPDM_E_INVALID_REQUEST;
	a.meas_spec &= mine->meas_spec;
	a.other &= mine->other;
	a.mel_spec &= mine->mel_spec;
	a.meas_hash = a.meas_spec != 0 ? mine->meas_hash : 0;
	a.base_asym = alg->asym;
	a.base_hash = alg->hash;
	for (i = 0; i < SPDM_NTABLES; i++)
		a.table[i] &= mine->table[i];
	r->alg = alg;
	r->meas_hash = a.meas_hash;
	r->state = SPDM_S_READY;
	spdm_algorithms_put(&r->out, &a);
	return 0;
}

uint8_t
serve_digests(struct responder *r, const uint8_t *msg, size_t len)
{
	uint8_t		mask = slot_mask(r);
	unsigned	i;

	spdm_put_hdr(&r->out, r->version, SPDM_DIGESTS,
	    r->version >= SPDM_V13 ? mask : 0, mask);
	for (i = 0; i < SPDM_SLOTS; i++)
		if (mask >> i & 1)
			spdm_put(&r->out, r->conf->slots[i].digest,
			    r->alg->hash_len);
	transcript_b(&r->tr, msg, len, r->out.data, r->out.len);
	return 0;
}

uint8_t
serve_certificate(struct responder *r, const uint8_t *msg, size_t len)
{
	struct spdm_get_certificate	 g;
	const struct spdm_slot		*s;
	size_t				 n, room;

	if (spdm_get_certificate_get(msg, len, &g) == -1 ||
	    (s = slot_find(r, g.slot)) == NULL)
		return SPDM_E_INVALID_REQUEST;
	if (g.size_only)
		g.offset = g.length = 0;
	if (g.offset >= s->len)
		return SPDM_E_INVALID_REQUEST;
	room = r->peer_transfer < RESPONSE_MAX ? r->peer_transfer :
	    RESPONSE_MAX;
	n = s->len - g.offset;
	if (n > g.length)
		n = g.length;
	if (n > room - 8)
		n = room - 8;
	spdm_put_hdr(&r->out, r->version, SPDM_CERTIFICATE, g.slot, 0);
	spdm_put_u16(&r->out, (uint16_t)n);
	spdm_put_u16(&r->out, (uint16_t)(s->len - g.offset - n));
	spdm_put(&r->out, s->content + g.offset, n);
	transcript_b(&r->tr, msg, len, r->out.data, r->out.len);
	return 0;
}

/* Does what was built, with its signature, fit the peer's buffer? */
static bool
fits(const struct responder *r, size_t sig_len)
{
	return !r->out.full && r->out.len + sig_len <= r->peer_transfer &&
	    r->out.len + sig_len <= RESPONSE_MAX;
}

static void
ask_signature(struct responder *r, const struct spdm_slot *s,
    const char *context, const uint8_t *msg)
{
	r->request = msg[1];
	r->signing = true;
	r->sign.serial++;
	r->sign.key = s->key;
	r->sign.version = r->version;
	r->sign.context = context;
	r->sign.hash = r->hash;
	r->sign.hash_len = r->alg->hash_len;
	r->sign.sig_len = r->alg->sig_len;
}

static void
put_nonce(struct responder *r)
{
	uint8_t	nonce[SPDM_NONCE];

	r->conf->random(r->conf->random_arg, nonce, sizeof(nonce));
	spdm_put(&r->out, nonce, sizeof(nonce));
}

uint8_t
serve_challenge(struct responder *r, const uint8_t *msg, size_t len)
{
	uint8_t			 summary[SPDM_HASH_MAX];
	const struct spdm_slot	*s;
	struct spdm_challenge	 c;

	if (spdm_challenge_get(msg, len, &c) == -1 ||
	    (s = slot_find(r, c.slot)) == NULL)
		return SPDM_E_INVALID_REQUEST;
	if (c.summary != SPDM_SUMMARY_NONE && (r->meas_hash == 0 ||
	    (c.summary != SPDM_SUMMARY_TCB && c.summary != SPDM_SUMMARY_ALL)))
		return SPDM_E_INVALID_REQUEST;
	if (c.summary != SPDM_SUMMARY_NONE && r->conf->measures == NULL)
		return SPDM_E_BUSY;
	spdm_put_hdr(&r->out, r->version, SPDM_CHALLENGE_AUTH, c.slot,
	    slot_mask(r));
	spdm_put(&r->out, s->digest, r->alg->hash_len);
	put_nonce(r);
	if (c.summary != SPDM_SUMMARY_NONE) {
		measure_summary(r->conf->measures,
		    c.summary == SPDM_SUMMARY_ALL, spdm_md(r->alg), summary);
		spdm_put(&r->out, summary, r->alg->hash_len);
	}
	spdm_put_u16(&r->out, 0);
	if (c.context != NULL)
		spdm_put(&r->out, c.context, SPDM_CONTEXT);
	if (!fits(r, r->alg->sig_len))
		return SPDM_E_RESPONSE_TOO_LARGE;
	transcript_c_hash(&r->tr, msg, len, r->out.data, r->out.len, r->hash);
	ask_signature(r, s, SPDM_CTX_CHALLENGE, msg);
	return 0;
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
	if (g.nonce != NULL && (s = slot_find(r, g.slot)) == NULL)
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
	put_nonce(r);
	spdm_put_u16(&r->out, 0);
	if (g.context != NULL)
		spdm_put(&r->out, g.context, SPDM_CONTEXT);
	if (rec.full || !fits(r, s != NULL ? r->alg->sig_len : 0))
		return SPDM_E_RESPONSE_TOO_LARGE;
	transcript_m(&r->tr, msg, len, r->out.data, r->out.len);
	if (s == NULL)
		return 0;
	transcript_m_hash(&r->tr, r->hash);
	ask_signature(r, s, SPDM_CTX_MEASUREMENTS, msg);
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
	if (!r->deferred || msg[2] != r->request ||
	    msg[3] != (uint8_t)r->sign.serial)
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

	if (row == NULL)
		return SPDM_E_UNSUPPORTED;
	if ((row->states & r->state) == 0)
		return SPDM_E_UNEXPECTED;
	if ((row->flags & SPDM_F_OWN_VER) == 0 && msg[0] != r->version)
		return SPDM_E_VERSION_MISMATCH;
	if (row->since > r->version ||
	    (row->caps != 0 && (r->conf->caps.flags & row->caps) == 0))
		return SPDM_E_UNSUPPORTED;
	if (row->flags & SPDM_F_SESSION)
		return SPDM_E_SESSION_REQUIRED;
	if (row->serve == NULL)
		return SPDM_E_UNSUPPORTED;
	more = msg[0] >= SPDM_V13 ? row->more13 : 0;
	if (len < row->min + more * (row->min == row->max) ||
	    len > row->max + more)
		return SPDM_E_INVALID_REQUEST;
	return 0;
}

static void
put_error(struct responder *r, const uint8_t *msg, size_t len, uint8_t code)
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
		transcript_reset_m(&r->tr);
	r->signing = r->deferred = false;
}

enum responder_act
responder_feed(struct responder *r, const uint8_t *msg, size_t len)
{
	const struct spdm_row	*row;
	uint8_t			 e = SPDM_E_INVALID_REQUEST;

	spdm_buf_init(&r->out, r->out_data, sizeof(r->out_data));
	r->error = 0;
	r->attested = false;
	if (len < 4) {
		put_error(r, msg, len, e);
		return RESPONDER_SEND;
	}
	row = spdm_row(msg[1]);
	if ((e = admit(r, row, msg, len)) == 0) {
		if (row->code != SPDM_RESPOND_IF_READY)
			give_up(r);
		if (row->flags & SPDM_RESET_B)
			transcript_reset_b(&r->tr);
		if (row->flags & SPDM_RESET_M)
			transcript_reset_m(&r->tr);
		e = row->serve(r, msg, len);
	}
	if (e == 0 && r->state != SPDM_S_READY)
		e = append_a(r, msg, len);
	else if (e == 0 && row->code == SPDM_NEGOTIATE_ALGORITHMS &&
	    (e = append_a(r, msg, len)) == 0)
		transcript_negotiated(&r->tr, r->alg);
	if (e != 0) {
		transcript_reset_m(&r->tr);
		put_error(r, msg, len, e);
		return RESPONDER_SEND;
	}
	return r->signing && !r->deferred ? RESPONDER_SIGN : RESPONDER_SEND;
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
}

bool
responder_signed(struct responder *r, uint32_t serial, const uint8_t *sig)
{
	struct spdm_buf	*b = r->deferred ? &r->held : &r->out;
	uint8_t		 msg[4] = { 0, r->request, 0, 0 };

	if (!r->signing || serial != r->sign.serial)
		return false;
	r->signing = false;
	r->ready = sig != NULL;
	if (r->request == SPDM_GET_MEASUREMENTS)
		transcript_reset_m(&r->tr);
	if (sig == NULL) {
		if (!r->deferred)
			put_error(r, msg, sizeof(msg), SPDM_E_BUSY);
		return !r->deferred;
	}
	if (r->request == SPDM_CHALLENGE)
		transcript_reset_b(&r->tr);
	spdm_put(b, sig, r->sign.sig_len);
	if (r->deferred)
		return false;
	r->attested = r->request == SPDM_GET_MEASUREMENTS;
	return true;
}

const uint8_t *
responder_out(const struct responder *r, size_t *len)
{
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

int
spdm_slot_set(struct spdm_slot *s, uint32_t key, enum key_algorithm algorithm,
    const uint8_t *ders, size_t len)
{
	const struct spdm_alg	*alg = spdm_alg(algorithm);
	size_t			 root, total = 4 + alg->hash_len + len;

	spdm_slot_clear(s);
	if ((root = spdm_der_len(ders, len)) == 0 || total > UINT16_MAX ||
	    (s->content = calloc(1, total)) == NULL)
		return -1;
	s->content[0] = (uint8_t)total;
	s->content[1] = (uint8_t)(total >> 8);
	spdm_hash(spdm_md(alg), ders, root, s->content + 4);
	memcpy(s->content + 4 + alg->hash_len, ders, len);
	s->len = total;
	s->key = key;
	s->algorithm = algorithm;
	spdm_hash(spdm_md(alg), s->content, total, s->digest);
	return 0;
}

void
spdm_slot_clear(struct spdm_slot *s)
{
	free(s->content);
	*s = (struct spdm_slot){ 0 };
}
