/*
 * The SPDM requester: asks the steps of a script, one after the other, and
 * ends with evidence or with the first check that failed. It accepts nothing
 * that it did not ask for and judges nothing: that is policyd's.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "secret.h"
#include "spdm_handlers.h"
#include "spdm_requester.h"

#define BUSY_MAX	8		/* retries of one request */
#define BUSY_DELAY	100		/* ms, doubled each time */
#define NOT_READY_MAX	32		/* RESPOND_IF_READY of one request */
#define RDT_MAX		23		/* 2^23 us: our longest wait */

#define SESSION_ID	0xffff		/* a connection has one session */

#define NEEDED_CAPS	(SPDM_CAP_CERT | SPDM_CAP_CHAL | SPDM_CAP_MEAS_SIG)

static const struct spdm_step steps[] = {
	REQUESTER_ATTESTS,
};

void
requester_defaults(struct requester_conf *c)
{
	*c = (struct requester_conf){
	    .caps = {
		.flags = SPDM_CAP_CHUNK,
		.data_transfer = REQUESTER_TRANSFER,
		.max_msg = SPDM_LARGE_MAX,
	    },
	    .algs = {
		.meas_spec = SPDM_MEAS_DMTF,
		.other = SPDM_OPAQUE_FMT1 | SPDM_MULTI_KEY_CONN,
	    },
	    .versions = SPDM_ALLOW_12 | SPDM_ALLOW_13,
	    .algorithms = 1U << KEY_P256 | 1U << KEY_P384,
	    .anchor = 1,
	    .steps = steps,
	    .nsteps = sizeof(steps) / sizeof(steps[0]),
	    .session = SESSION_ID,
	};
}

struct requester *
requester_new(const struct requester_conf *conf,
    const uint8_t nonce[SPDM_NONCE])
{
	struct requester	*r;

	if ((r = calloc(1, sizeof(*r))) == NULL)
		return NULL;
	if ((r->req_data = malloc(SPDM_REQUEST_MAX)) == NULL ||
	    transcript_init(&r->tr) == -1) {
		free(r->req_data);
		free(r);
		return NULL;
	}
	r->conf = *conf;
	memcpy(r->nonce, nonce, sizeof(r->nonce));
	return r;
}

void
requester_free(struct requester *r)
{
	unsigned	i;

	if (r == NULL)
		return;
	for (i = 0; i < SPDM_SLOTS; i++) {
		spdm_chain_free(&r->slot[i].chain);
		free(r->slot[i].buf);
	}
	free(r->record);
	requester_chunk_reset(r);
	requester_csr_free(r);
	requester_session_end(r);
	transcript_free(&r->tr);
	freezero(r->req_data, SPDM_REQUEST_MAX);
	free(r);
}

enum spdm_take
requester_bad(struct requester *r, enum reason reason, const char *field,
    const char *expected, const char *seen, ...)
{
	va_list	ap;
	char	text[161];

	va_start(ap, seen);
	vsnprintf(text, sizeof(text), seen, ap);
	va_end(ap);
	spdm_fail(&r->why, reason, field, expected, "%s", text);
	return TAKE_FAIL;
}

void
requester_say(struct requester *r, const char *fmt, ...)
{
	va_list	ap;
	char	text[161];

	if (r->conf.step == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	r->conf.step(r->conf.step_arg, (unsigned)r->step, text);
}

const struct spdm_step *
requester_step(const struct requester *r)
{
	return &r->conf.steps[r->step];
}

bool
requester_asks(const struct requester *r, uint8_t code)
{
	size_t	i;

	for (i = 0; i < r->conf.nsteps; i++)
		if (r->conf.steps[i].code == code)
			return true;
	return false;
}

static const struct spdm_row *
row_now(const struct requester *r)
{
	return spdm_row(r->asked);
}

void
requester_put_random(struct requester *r, uint8_t *p, size_t n)
{
	r->conf.random(r->conf.random_arg, p, n);
	spdm_put(&r->req, p, n);
}

/* ---- version, capabilities, algorithms ----------------------------------- */

void
ask_version(struct requester *r)
{
	r->version = SPDM_V10;
	requester_session_end(r);
	transcript_reset(&r->tr);
	requester_chunk_reset(r);
	spdm_put_hdr(&r->req, SPDM_V10, SPDM_GET_VERSION, 0, 0);
}

static enum spdm_take
append_a(struct requester *r, const uint8_t *msg, size_t len)
{
	if (transcript_a(&r->tr, r->req.data, r->req.len) == -1 ||
	    transcript_a(&r->tr, msg, len) == -1)
		return requester_bad(r, R_ATT_FORM, "negotiation",
		    "at most 1024 bytes", "more");
	return TAKE_NEXT;
}

enum spdm_take
take_version(struct requester *r, const uint8_t *msg, size_t len)
{
	struct spdm_versions	v;
	char			list[160] = "";
	size_t			i, n = 0;

	if (spdm_versions_get(msg, len, &v) == -1)
		return requester_bad(r, R_ATT_FORM, "VERSION",
		    "entries that fill the message", "%zu bytes", len);
	for (i = 0; i < v.n; i++) {
		if ((spdm_allow(v.version[i]) & r->conf.versions) != 0 &&
		    v.version[i] > r->version)
			r->version = v.version[i];
		if (n + 8 < sizeof(list))
			n += (size_t)snprintf(list + n, sizeof(list) - n,
			    " %u.%u", v.version[i] >> 4,
			    v.version[i] & 0xfU);
	}
	if (r->version == SPDM_V10)
		return requester_bad(r, R_ATT_VERSION, "SPDM version",
		    spdm_versions_text(r->conf.versions), "%s",
		    n > 0 ? list + 1 : "none");
	requester_say(r, "SPDM %u.%u, of%s", r->version >> 4,
	    r->version & 0xfU, list);
	return append_a(r, msg, len);
}

void
ask_capabilities(struct requester *r)
{
	struct spdm_caps	c = r->conf.caps;

	c.version = r->version;
	c.flags &= spdm_caps_known(r->version);
	spdm_caps_put(&r->req, SPDM_GET_CAPABILITIES, &c);
}

enum spdm_take
take_capabilities(struct requester *r, const uint8_t *msg, size_t len)
{
	struct spdm_caps	 c;
	const char		*illegal;

	if (spdm_caps_get(msg, len, &c) == -1)
		return requester_bad(r, R_ATT_FORM, "CAPABILITIES",
		    r->version >= SPDM_V12 ? "20 bytes" : "12 bytes", "%zu",
		    len);
	if ((illegal = spdm_caps_illegal(&c, false)) != NULL)
		return requester_bad(r, R_ATT_CAPABILITY, "CAPABILITIES",
		    "a legal combination", "%s", illegal);
	if ((c.flags & NEEDED_CAPS) != NEEDED_CAPS)
		return requester_bad(r, R_ATT_CAPABILITY, "Flags",
		    "CERT, CHAL, MEAS with signature", "%s%s%smissing",
		    c.flags & SPDM_CAP_CERT ? "" : "CERT ",
		    c.flags & SPDM_CAP_CHAL ? "" : "CHAL ",
		    c.flags & SPDM_CAP_MEAS_SIG ? "" : "signed MEAS ");
	if (requester_session_caps(r, c.flags) == TAKE_FAIL ||
	    requester_csr_caps(r, c.flags) == TAKE_FAIL ||
	    requester_psk_caps(r, c.flags) == TAKE_FAIL)
		return TAKE_FAIL;
	r->peer_transfer = c.data_transfer;
	r->peer_flags = c.flags;
	requester_chunk_caps(r, &c);
	requester_say(r, "certificates, challenge, signed measurements; "
	    "%u bytes a message", c.data_transfer);
	return append_a(r, msg, len);
}

void
ask_algorithms(struct requester *r)
{
	unsigned	i;

	r->offered = r->conf.algs;
	r->offered.version = r->version;
	if (r->version < SPDM_V12)
		r->offered.other = 0;		/* reserved */
	requester_keys_offer(r);
	for (i = 0; i < KEY_NCURVES; i++) {
		if ((r->conf.algorithms & 1U << i) == 0)
			continue;
		r->offered.base_asym |= spdm_alg(i)->asym;
		r->offered.base_hash |= spdm_alg(i)->hash;
	}
	spdm_negotiate_put(&r->req, &r->offered);
}

/* At most one bit, and it was offered. */
static bool
selected(uint32_t got, uint32_t offered)
{
	return (got & (got - 1)) == 0 && (got & ~offered) == 0;
}

static const char *
not_offered(const struct requester *r, const struct spdm_algs *a)
{
	const struct spdm_algs	*o = &r->offered;
	unsigned		 i;

	if (a->ext != 0)
		return "an extended algorithm";
	if (!selected(a->base_asym, o->base_asym))
		return "BaseAsymSel";
	if (!selected(a->base_hash, o->base_hash))
		return "BaseHashSel";
	if (!selected(a->meas_spec, o->meas_spec))
		return "MeasurementSpecificationSel";
	/* MultiKeyConn is another bit in the answer: ours, not the peer's. */
	if (!selected(a->other & 0x0f, o->other & 0x0f) ||
	    (a->other & 0xe0 & ~o->other) != 0)
		return "OtherParamsSelection";
	if (!selected(a->mel_spec, o->mel_spec))
		return "MELspecificationSel";
	if ((a->tables & ~o->tables) != 0)
		return "an algorithm table";
	for (i = 0; i < SPDM_NTABLES; i++)
		if (!selected(a->table[i], o->table[i]))
			return "an algorithm table";
	return NULL;
}

enum spdm_take
take_algorithms(struct requester *r, const uint8_t *msg, size_t len)
{
	struct spdm_algs	 a;
	const char		*what;
	enum spdm_take		 t;

	if (spdm_algorithms_get(msg, len, &a) == -1)
		return requester_bad(r, R_ATT_FORM, "ALGORITHMS",
		    "Length and tables that fill the message", "%zu bytes",
		    len);
	if ((what = not_offered(r, &a)) != NULL)
		return requester_bad(r, R_ATT_ALGORITHM, what,
		    "one of those that we offered",
		    "asymmetric %#x, hash %#x, measurements %#x/%#x",
		    a.base_asym, a.base_hash, a.meas_spec, a.meas_hash);
	if (a.base_asym == 0 || a.base_hash == 0 || a.meas_spec == 0 ||
	    (spdm_meas_hash_len(a.meas_hash) == 0 && a.meas_hash != 1))
		return requester_bad(r, R_ATT_NO_ALGORITHM, "ALGORITHMS",
		    "one of each kind that we offered",
		    "asymmetric %#x, hash %#x, measurements %#x/%#x",
		    a.base_asym, a.base_hash, a.meas_spec, a.meas_hash);
	/* P-256 with SHA-384 is legal SPDM and nothing that keyd signs. */
	if ((r->alg = spdm_alg_selected(a.base_asym, a.base_hash)) == NULL)
		return requester_bad(r, R_ATT_NO_ALGORITHM, "ALGORITHMS",
		    "P-256 with SHA-256, or P-384 with SHA-384",
		    "asymmetric %#x with hash %#x", a.base_asym, a.base_hash);
	if (!requester_keys_selected(r, &a))
		return requester_bad(r, R_ATT_ALGORITHM, "MultiKeyConn",
		    "what our capabilities allow", "%#04x", a.other);
	r->meas_hash = a.meas_hash;
	r->selected = a;
	if (requester_session_algs(r) == TAKE_FAIL ||
	    requester_psk_algs(r) == TAKE_FAIL)
		return TAKE_FAIL;
	if ((t = append_a(r, msg, len)) != TAKE_NEXT)
		return t;
	if (r->version < SPDM_V12)
		transcript_m_alone(&r->tr);
	transcript_negotiated(&r->tr, r->alg);
	if (r->meas_hash == 1)
		requester_say(r, "%s; raw measurements", r->alg->name);
	else
		requester_say(r, "%s; measurements SHA-%zu", r->alg->name,
		    8 * spdm_meas_hash_len(r->meas_hash));
	return TAKE_NEXT;
}

/* ---- the machine --------------------------------------------------------- */

enum spdm_act
requester_send(struct requester *r, const uint8_t *msg, size_t len)
{
	struct requester_session	*ses = &r->ses;

	r->secured = requester_secured(r);
	r->out = msg;
	r->out_len = len;
	if (!r->secured)
		return SPDM_SEND;
	ses->rec_len = spdm_record_seal(ses->s, SPDM_SIDE_REQ,
	    r->conf.binding, r->conf.random, r->conf.random_arg, msg, len,
	    ses->rec, SPDM_RECORD_MAX);
	if (ses->rec_len == 0) {
		requester_bad(r, R_ATT_RECORD_LIMIT, row_now(r)->name,
		    "a request that fits a record, and a key that is not "
		    "used up", "%zu bytes", len);
		return SPDM_FAIL;
	}
	r->out = ses->rec;
	r->out_len = ses->rec_len;
	return SPDM_SEND;
}

/* What was written, whole or in chunks, unless it could not be. */
static enum spdm_act
send_request(struct requester *r)
{
	uint32_t	most = r->chunk.on ? r->chunk.peer_max :
	    r->peer_transfer;

	if (r->why.reason != R_OK)
		return SPDM_FAIL;
	if (r->signing)
		return SPDM_SIGN;
	requester_chunk_ask(r, requester_secured(r));
	if (r->req.full || r->req.len > most || (r->chunk.piece.len == 0 &&
	    r->req.len > r->peer_transfer)) {
		requester_bad(r, R_ATT_REQUEST_SIZE, row_now(r)->name,
		    "a request that the peer can take",
		    "%zu bytes, it takes %u", r->req.len, most);
		return SPDM_FAIL;
	}
	if (r->chunk.piece.len > 0)
		return requester_send(r, r->chunk.piece.data,
		    r->chunk.piece.len);
	return requester_send(r, r->req.data, r->req.len);
}

/* What comes before the step's own request, or that one. */
static uint8_t
code_now(const struct requester *r)
{
	uint8_t	code = requester_step(r)->code;

	if (r->beating)
		return SPDM_HEARTBEAT;
	if (code == SPDM_FINISH && r->ses.encap.next != 0)
		return r->ses.encap.next;
	return code;
}

/* Write the request of the current step. */
static enum spdm_act
ask(struct requester *r)
{
	const struct spdm_row	*row;

	r->asked = code_now(r);
	row = row_now(r);
	if ((row->flags & SPDM_F_SESSION) && r->ses.s == NULL) {
		requester_bad(r, R_ATT_NO_SESSION, row->name, "a session",
		    "none");
		return SPDM_FAIL;
	}
	if (row->flags & SPDM_RESET_B)
		transcript_reset_b(&r->tr);
	if (row->flags & SPDM_RESET_M)
		requester_m_reset(r);
	spdm_buf_init(&r->req, r->req_data, SPDM_REQUEST_MAX);
	r->asking_again = false;
	row->ask(r);
	return send_request(r);
}

const struct responder_sign *
requester_sign(const struct requester *r)
{
	return &r->sign;
}

enum spdm_act
requester_signed(struct requester *r, const uint8_t *sig)
{
	if (!r->signing)
		return SPDM_FAIL;
	r->signing = false;
	requester_finish_signed(r, sig);
	return send_request(r);
}

enum spdm_act
requester_start(struct requester *r)
{
	r->step = 0;
	r->peer_transfer = SPDM_MIN_TRANSFER;	/* until CAPABILITIES */
	return ask(r);
}

static enum spdm_act
moved(struct requester *r, enum spdm_take t)
{
	if (t == TAKE_FAIL)
		return SPDM_FAIL;
	if (t == TAKE_HOLD)
		return SPDM_KEYS;
	r->tries = 0;
	if (r->beating) {
		r->beating = false;
		return SPDM_ISSUE;
	}
	if (t == TAKE_NEXT) {
		r->reading = READ_ALL;
		if (++r->step == r->conf.nsteps) {
			requester_finish(r);
			return SPDM_DONE;
		}
	}
	if (r->csr.waiting) {
		requester_finish(r);
		return SPDM_ISSUE;
	}
	return ask(r);
}

enum spdm_act
requester_chain(struct requester *r, const uint8_t *ders, size_t len)
{
	if (!r->csr.waiting || r->beating ||
	    !requester_csr_chain(r, ders, len))
		return SPDM_FAIL;
	r->csr.waiting = false;
	return ask(r);
}

uint32_t
requester_beat_after(const struct requester *r)
{
	return r->ses.s == NULL ? 0 : r->ses.heartbeat * 500U;
}

enum spdm_act
requester_beat(struct requester *r)
{
	r->beating = true;
	return ask(r);
}

static enum spdm_act
busy(struct requester *r)
{
	if (r->tries++ >= BUSY_MAX) {
		requester_bad(r, R_ATT_BUSY, row_now(r)->name,
		    "an answer after 8 retries", "Busy");
		return SPDM_FAIL;
	}
	r->delay = (uint32_t)BUSY_DELAY << (r->tries - 1);
	r->asking_again = false;
	return SPDM_WAIT;
}

static enum spdm_act
not_ready(struct requester *r, const struct spdm_error *e)
{
	/* The answer to KEY_UPDATE decides which key comes next: no waiting. */
	if (e->request != row_now(r)->code || e->rdt_exponent > RDT_MAX ||
	    e->request == SPDM_KEY_UPDATE ||
	    r->tries++ >= NOT_READY_MAX) {
		requester_bad(r, R_ATT_NOT_READY, row_now(r)->name,
		    "an answer within 32 times 2^23 us",
		    "ResponseNotReady for %s, 2^%u us",
		    spdm_code_name(e->request), e->rdt_exponent);
		return SPDM_FAIL;
	}
	r->delay = (1U << e->rdt_exponent) / 1000 + 1;
	spdm_buf_init(&r->again, r->again_data, sizeof(r->again_data));
	spdm_put_hdr(&r->again, r->version, SPDM_RESPOND_IF_READY,
	    e->request, e->token);
	r->asking_again = true;
	return SPDM_WAIT;
}

static enum spdm_act
error_answer(struct requester *r, const uint8_t *msg, size_t len)
{
	const struct spdm_row	*row = row_now(r);
	struct spdm_error	 e;
	enum spdm_take		 t;

	if (spdm_error_get(msg, len, &e) == -1) {
		requester_bad(r, R_ATT_FORM, "ERROR",
		    "at most 32 bytes of extended data", "%zu bytes", len);
		return SPDM_FAIL;
	}
	if (e.code == SPDM_E_NOT_READY)
		return not_ready(r, &e);
	if (e.code == SPDM_E_DECRYPT && r->ses.s != NULL) {
		requester_bad(r, R_ATT_SESSION_ENDED, row->name, "an answer",
		    "ERROR DecryptError");
		requester_session_end(r);
		return SPDM_FAIL;
	}
	/* DSP0274, GET_MEASUREMENTS: an ERROR starts L1/L2 anew. */
	requester_m_reset(r);
	if (row->code == SPDM_GET_MEASUREMENTS &&
	    (t = requester_measure_error(r, e.code)) != TAKE_NEXT)
		return moved(r, t);
	if (requester_csr_error(r, &e))
		return SPDM_FAIL;
	if (e.code == SPDM_E_BUSY)
		return busy(r);
	if (row->code == SPDM_PSK_EXCHANGE) {
		requester_psk_error(r, e.code);
		return SPDM_FAIL;
	}
	requester_bad(r, R_ATT_ERROR, row->name, "an answer",
	    "ERROR %s (%#04x), data %#04x", spdm_error_name(e.code), e.code,
	    e.data);
	return SPDM_FAIL;
}

/* A message, out of its record and, if it was large, in one piece. */
static enum spdm_act
message(struct requester *r, const uint8_t *msg, size_t len)
{
	const struct spdm_row	*row = row_now(r);
	struct spdm_hdr		 h;
	uint8_t			 version;

	if (spdm_hdr_get(msg, len, &h) == -1) {
		requester_bad(r, R_ATT_FORM, row->name,
		    "an answer of at least 4 bytes", "%zu", len);
		return SPDM_FAIL;
	}
	if (h.code == SPDM_ERROR)
		return error_answer(r, msg, len);
	if (h.code != (row->code & 0x7f)) {
		requester_bad(r, R_ATT_ANSWER, row->name,
		    "the response to it", "code %#04x", h.code);
		return SPDM_FAIL;
	}
	version = row->code == SPDM_GET_VERSION ? SPDM_V10 : r->version;
	if (h.version != version) {
		requester_bad(r, R_ATT_VERSION_CHANGED, row->name,
		    version == SPDM_V10 ? "1.0" :
		    spdm_versions_text(spdm_allow(version)), "%u.%u",
		    h.version >> 4, h.version & 0xfU);
		return SPDM_FAIL;
	}
	if (len < row->rsp_min || len > requester_chunk_max(r)) {
		requester_bad(r, R_ATT_FORM, row->name,
		    "a response of the right length", "%zu bytes", len);
		return SPDM_FAIL;
	}
	return moved(r, row->take(r, msg, len));
}

enum spdm_act
requester_feed(struct requester *r, bool secured, const uint8_t *msg,
    size_t len)
{
	if (r->signing || r->keying || (r->csr.waiting && !r->beating)) {
		requester_bad(r, R_ATT_ANSWER, row_now(r)->name,
		    "silence until it is asked", "%zu bytes", len);
		return SPDM_FAIL;
	}
	if (requester_session_take(r, secured, &msg, &len) == TAKE_FAIL)
		return SPDM_FAIL;
	switch (requester_chunk_feed(r, secured, &msg, &len)) {
	case CHUNK_IN_SEND:
		return requester_send(r, r->chunk.piece.data,
		    r->chunk.piece.len);
	case CHUNK_IN_FAIL:
		return SPDM_FAIL;
	case CHUNK_IN_WHOLE:
		break;
	}
	return message(r, msg, len);
}

enum spdm_act
requester_secrets(struct requester *r, const struct spdm_secrets *secrets,
    const char *why)
{
	if (!r->keying)
		return SPDM_FAIL;
	return moved(r, requester_keyed(r, secrets, why));
}

/* After a delay: the same request, or RESPOND_IF_READY. */
enum spdm_act
requester_wake(struct requester *r)
{
	if (r->asking_again)
		return requester_send(r, r->again.data, r->again.len);
	/* FINISH is in TH already, byte for byte. */
	if (r->asked == SPDM_FINISH || r->asked == SPDM_PSK_FINISH)
		return send_request(r);
	/* What was read one by one may have to start anew. */
	return ask(r);
}

const uint8_t *
requester_out(const struct requester *r, bool *secured, size_t *len)
{
	*secured = r->secured;
	*len = r->out_len;
	return r->out;
}

uint32_t
requester_delay(const struct requester *r)
{
	return r->delay;
}

const struct spdm_why *
requester_why(const struct requester *r)
{
	return &r->why;
}

const struct spdm_evidence *
requester_evidence(const struct requester *r)
{
	return &r->evidence;
}
