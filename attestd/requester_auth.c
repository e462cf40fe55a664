/*
 * The requester's second half: certificates, the challenge, measurements.
 * CHALLENGE_AUTH's signature covers every byte of every certificate read,
 * so that it vouches for slot 1 too.
 */
#include <stdlib.h>
#include <string.h>

#include "hex.h"
#include "spdm_handlers.h"
#include "spdm_requester.h"

#define PORTIONS_MAX	1024	/* of one slot; 34 bytes each is the least */
#define SLOT_ID	0	/* the manufacturer's chain */

/* ---- DIGESTS ------------------------------------------------------------- */

/* B is of the connection: what is asked in a session is not of it. */
static void
b_add(struct requester *r, const uint8_t *rsp, size_t len)
{
	if (!requester_secured(r))
		transcript_b(&r->tr, r->req.data, r->req.len, rsp, len);
}

void
ask_digests(struct requester *r)
{
	spdm_put_hdr(&r->req, r->version, SPDM_GET_DIGESTS, 0, 0);
}

static enum spdm_take
slots_needed(struct requester *r)
{
	uint8_t	slot;
	size_t	i;

	/* A slot that is filled later is named by DIGESTS after that. */
	for (i = r->step + 1; i < r->conf.nsteps; i++) {
		slot = r->conf.steps[i].slot;
		if (r->conf.steps[i].code == SPDM_GET_DIGESTS)
			break;
		if (r->conf.steps[i].code != SPDM_GET_CERTIFICATE ||
		    r->mask >> slot & 1)
			continue;
		return requester_bad(r, slot == SLOT_ID ? R_ATT_NO_IDENTITY :
		    slot == r->conf.anchor ? R_ATT_NO_ANCHOR : R_ATT_SLOT_OTHER,
		    "slot mask", slot == SLOT_ID ? "slot 0" :
		    slot == r->conf.anchor ? "slot 1" : "the slot that is "
		    "read", "%#04x", r->mask);
	}
	return TAKE_NEXT;
}

enum spdm_take
take_digests(struct requester *r, const uint8_t *msg, size_t len)
{
	struct spdm_digests	 d;
	struct requester_slot	*s;
	size_t			 n = r->alg->hash_len;
	unsigned		 i;

	if (spdm_digests_get(msg, len, n, r->multi_key, &d) == -1)
		return requester_bad(r, R_ATT_FORM, "DIGESTS",
		    "one digest for each slot of the mask",
		    "%zu bytes, mask %#04x", len, len > 3 ? msg[3] : 0);
	if (requester_keys_check(r, &d) == TAKE_FAIL)
		return TAKE_FAIL;
	r->mask = d.provisioned;
	for (i = 0; i < SPDM_SLOTS; i++) {
		if ((r->mask >> i & 1) == 0)
			continue;
		s = &r->slot[i];
		if (s->whole && memcmp(s->digest, d.digest, n) != 0)
			return requester_bad(r, R_ATT_DIGEST, "DIGESTS",
			    "the same digests again", "slot %u changed", i);
		memcpy(s->digest, d.digest, n);
		s->named = true;
		d.digest += n;
	}
	if (d.key_pair != NULL && d.n > 0)
		r->csr.key_pair = d.key_pair[0];
	/* The first of a connection is the one in TH. */
	if (r->digests_len == 0 && len <= sizeof(r->digests)) {
		memcpy(r->digests, msg, len);
		r->digests_len = len;
	}
	b_add(r, msg, len);
	requester_say(r, "%zu certificate chain%s, slot mask %#04x", d.n,
	    d.n == 1 ? "" : "s", r->mask);
	return slots_needed(r);
}

/* ---- CERTIFICATE --------------------------------------------------------- */

static size_t
portion_max(const struct requester *r)
{
	uint32_t	n = requester_chunk_portion(r);

	n -= 8;				/* CERTIFICATE before its portion */
	return n < UINT16_MAX ? n : UINT16_MAX;
}

void
ask_certificate(struct requester *r)
{
	uint8_t			 slot = requester_step(r)->slot;
	struct requester_slot	*s = &r->slot[slot];
	size_t			 n = portion_max(r);

	/* A step that reads a slot again starts over and compares. */
	if (s->whole && s->len == s->total) {
		s->len = s->total = 0;
		s->portions = 0;
	}
	if (s->len > 0 && s->total - s->len < n)
		n = s->total - s->len;
	spdm_put_hdr(&r->req, r->version, SPDM_GET_CERTIFICATE, slot, 0);
	spdm_put_u16(&r->req, (uint16_t)s->len);
	spdm_put_u16(&r->req, (uint16_t)n);
}

/* The chain is whole: its digest, its form, its signatures, and once only. */
static enum spdm_take
chain_whole(struct requester *r, uint8_t slot)
{
	struct requester_slot		*s = &r->slot[slot];
	struct spdm_chain_rules		 rules;
	struct spdm_identity		 id;
	uint8_t				 h[SPDM_HASH_MAX];
	char				 want[97], got[97], root[65];

	spdm_hash(spdm_md(r->alg), s->buf, s->len, h);
	/* A script without GET_DIGESTS has nothing to compare with. */
	if (!requester_asks(r, SPDM_GET_DIGESTS))
		memcpy(s->digest, h, r->alg->hash_len);
	else if (!s->named || memcmp(h, s->digest, r->alg->hash_len) != 0) {
		hex(s->digest, r->alg->hash_len, want);
		hex(h, r->alg->hash_len, got);
		return requester_bad(r, R_ATT_DIGEST, slot == SLOT_ID ?
		    "slot 0" : "slot 1", want, "%s", got);
	}
	if (s->whole)
		return TAKE_NEXT;	/* the same bytes as before */
	rules = (struct spdm_chain_rules){ .alg = r->alg,
	    .version = r->version, .slot = slot };
	if (r->conf.anchor != 0 && slot == r->conf.anchor)
		rules.self_signed = true;
	else {
		rules.roots = r->conf.roots;
		rules.nroots = r->conf.nroots;
	}
	if (spdm_chain_read(s->buf, s->len, &rules, &s->chain, &r->why) == -1
	    || (rules.self_signed && spdm_anchor_check(&s->chain,
	    &r->slot[SLOT_ID].chain, &r->why) == -1))
		return TAKE_FAIL;
	s->whole = true;
	spdm_identity(&s->chain, &id);
	hex(s->chain.root_sha256, 32, root);
	requester_say(r, "%zu certificates, root %.16s.., leaf serial %.40s",
	    s->chain.n, root, id.serial);
	return TAKE_NEXT;
}

enum spdm_take
take_certificate(struct requester *r, const uint8_t *msg, size_t len)
{
	uint8_t			 slot = requester_step(r)->slot;
	struct requester_slot	*s = &r->slot[slot];
	struct spdm_certificate	 c;
	size_t			 asked;

	if (spdm_certificate_get(msg, len, &c) == -1)
		return requester_bad(r, R_ATT_FORM, "CERTIFICATE",
		    "a portion that fills the message", "%zu bytes", len);
	asked = r->req.data[6] | (size_t)r->req.data[7] << 8;
	if (c.slot != slot || c.length == 0 || c.length > asked)
		return requester_bad(r, R_ATT_PORTION, "CERTIFICATE",
		    "1 byte to what was asked for, of the slot asked for",
		    "%u bytes of slot %u, asked %zu of %u", c.length, c.slot,
		    asked, slot);
	if (s->len == 0) {
		s->total = (size_t)c.length + c.remainder;
		if (s->total > SPDM_CHAIN_MAX)
			return requester_bad(r, R_ATT_PORTION,
			    "RemainderLength", "at most 20480 bytes",
			    "%zu", s->total);
		if (s->buf == NULL &&
		    (s->buf = malloc(SPDM_CHAIN_MAX)) == NULL)
			return requester_bad(r, R_ATT_PORTION, "CERTIFICATE",
			    "memory", "none");
	}
	if (s->len + c.length + c.remainder != s->total ||
	    ++s->portions > PORTIONS_MAX)
		return requester_bad(r, R_ATT_PORTION, "RemainderLength",
		    "what the first portion left, in at most 1024 portions",
		    "%zu read, %u in portion %u, %u remain, of %zu", s->len,
		    c.length, s->portions, c.remainder, s->total);
	memcpy(s->buf + s->len, c.data, c.length);
	s->len += c.length;
	b_add(r, msg, len);
	return s->len < s->total ? TAKE_AGAIN : chain_whole(r, slot);
}

/* ---- CHALLENGE ----------------------------------------------------------- */

void
ask_challenge(struct requester *r)
{
	uint8_t	nonce[SPDM_NONCE];

	spdm_put_hdr(&r->req, r->version, SPDM_CHALLENGE, SLOT_ID,
	    SPDM_SUMMARY_ALL);
	requester_put_random(r, nonce, sizeof(nonce));
	if (r->version >= SPDM_V13)
		requester_put_random(r, r->context, sizeof(r->context));
}

enum spdm_take
take_challenge(struct requester *r, const uint8_t *msg, size_t len)
{
	struct spdm_challenge_auth	 c;
	const struct requester_slot	*s = &r->slot[SLOT_ID];
	uint8_t				 h[SPDM_HASH_MAX];

	if (spdm_challenge_auth_get(msg, len, r->alg, true, &c) == -1)
		return requester_bad(r, R_ATT_FORM, "CHALLENGE_AUTH",
		    "fields that fill the message", "%zu bytes", len);
	/* Bit 7 would ask for the deprecated basic mutual authentication. */
	if (!requester_asks(r, SPDM_GET_DIGESTS))
		r->mask = c.mask;
	if (c.slot != SLOT_ID || c.mask != r->mask)
		return requester_bad(r, R_ATT_CHALLENGE_FIELD,
		    "CHALLENGE_AUTH slot", "slot 0, the mask of DIGESTS",
		    "slot %#04x, mask %#04x", c.slot, c.mask);
	if (memcmp(c.chain_hash, s->digest, r->alg->hash_len) != 0)
		return requester_bad(r, R_ATT_CHALLENGE_FIELD,
		    "CertChainHash", "the digest of slot 0", "another");
	if (c.context != NULL &&
	    memcmp(c.context, r->context, sizeof(r->context)) != 0)
		return requester_bad(r, R_ATT_CHALLENGE_FIELD,
		    "RequesterContext", "ours", "another");
	transcript_c_hash(&r->tr, r->req.data, r->req.len, msg,
	    len - r->alg->sig_len, h);
	if (spdm_verify(s->chain.key, r->alg, r->version, SPDM_CTX_CHALLENGE,
	    h, c.signature) == -1)
		return requester_bad(r, R_ATT_CHALLENGE, "CHALLENGE_AUTH",
		    "a signature by the key of slot 0 over what we sent and "
		    "read", "one that does not verify");
	memcpy(r->summary, c.summary, r->alg->hash_len);
	r->summed = true;
	transcript_reset_b(&r->tr);
	requester_say(r, "the key of slot 0 answered; it vouches for every "
	    "certificate read");
	return TAKE_NEXT;
}

/* ---- MEASUREMENTS -------------------------------------------------------- */

void
requester_m_reset(struct requester *r)
{
	if (requester_secured(r))
		spdm_session_m_reset(r->ses.s);
	else
		transcript_reset_m(&r->tr);
}

static void
m_add(struct requester *r, const uint8_t *rsp, size_t len)
{
	if (!requester_secured(r)) {
		transcript_m(&r->tr, r->req.data, r->req.len, rsp, len);
		return;
	}
	spdm_session_m_add(r->ses.s, r->req.data, r->req.len);
	spdm_session_m_add(r->ses.s, rsp, len);
}

static void
m_hash(struct requester *r, uint8_t *h)
{
	if (requester_secured(r))
		spdm_session_m(r->ses.s, h);
	else
		transcript_m_hash(&r->tr, h);
	requester_m_reset(r);
}

/* The operation and whether it is signed, by how we read. */
static uint8_t
measure_op(const struct requester *r, bool *is_signed)
{
	*is_signed = r->reading == READ_ALL ||
	    (r->reading == READ_EACH && r->next + 1 == r->wanted);
	switch (r->reading) {
	case READ_ALL:
		return SPDM_OP_ALL;
	case READ_COUNT:
		return SPDM_OP_COUNT;
	case READ_FIND:
		return (uint8_t)r->next;
	case READ_EACH:
		break;
	}
	return r->index[r->next];
}

static void
read_anew(struct requester *r)
{
	r->record_len = 0;
	r->nblocks = 0;
	r->next = 0;
}

void
ask_measurements(struct requester *r)
{
	bool	is_signed;
	uint8_t	op = measure_op(r, &is_signed);

	/* A step that reads again starts over. */
	if (r->reading == READ_ALL)
		read_anew(r);
	spdm_put_hdr(&r->req, r->version, SPDM_GET_MEASUREMENTS,
	    is_signed ? SPDM_ATTR_SIGN : 0, op);
	if (is_signed) {
		/* The job's nonce was signed already when a code's session
		   begins. */
		if (r->ses.s != NULL && r->ses.s->psk)
			requester_put_random(r, r->nonce, sizeof(r->nonce));
		else
			spdm_put(&r->req, r->nonce, sizeof(r->nonce));
		spdm_put_u8(&r->req, SLOT_ID);
	}
	if (r->version >= SPDM_V13)
		requester_put_random(r, r->context, sizeof(r->context));
}

static bool
block_ok(const struct requester *r, const struct spdm_block *b, unsigned last)
{
	if (b->index <= last || b->index == SPDM_OP_ALL ||
	    b->spec != SPDM_MEAS_DMTF || b->len > SPDM_VALUE_MAX)
		return false;
	return b->raw || b->len == spdm_meas_hash_len(r->meas_hash);
}

/* The blocks of one answer: well formed, ascending, as many as it says. */
static enum spdm_take
blocks_check(struct requester *r, const struct spdm_measurements *m)
{
	const uint8_t		*p = m->record;
	size_t			 left = m->record_len;
	struct spdm_block	 b = { 0 };
	unsigned		 n = 0, last = 0;
	int			 e;

	while ((e = spdm_block_next(&p, &left, &b)) == 1) {
		if (!block_ok(r, &b, last))
			return requester_bad(r, R_ATT_MEASURE_FORM,
			    "measurement block",
			    "DMTF blocks in ascending order, digests of the "
			    "negotiated size", "index %u, specification %u, "
			    "type %u, %zu bytes, after index %u", b.index,
			    b.spec, b.type, b.len, last);
		last = b.index;
		n++;
	}
	if (e == -1 || n != m->nblocks || n > SPDM_BLOCKS_MAX)
		return requester_bad(r, R_ATT_MEASURE_FORM,
		    "measurement record", "as many whole blocks as it says",
		    "%u of %u%s", n, m->nblocks, e == -1 ?
		    ", then a malformed one" : "");
	return TAKE_NEXT;
}

static enum spdm_take
keep(struct requester *r, const struct spdm_measurements *m)
{
	uint8_t	*p;

	if (r->record_len + m->record_len > UINT16_MAX ||
	    (p = realloc(r->record, r->record_len + m->record_len + 1))
	    == NULL)
		return requester_bad(r, R_ATT_MEASURE_FORM,
		    "measurement record", "at most 65535 bytes", "%zu more",
		    m->record_len);
	r->record = p;
	memcpy(p + r->record_len, m->record, m->record_len);
	r->record_len += m->record_len;
	r->nblocks += m->nblocks;
	return TAKE_NEXT;
}

/* The number is known: none, or look for who they are from index 1 on. */
static enum spdm_take
counted(struct requester *r, const struct spdm_measurements *m)
{
	if (m->count == 0 || m->count > SPDM_BLOCKS_MAX || m->nblocks != 0)
		return requester_bad(r, R_ATT_MEASURE_FORM,
		    "number of measurements", "1 to 128, and no block",
		    "%u, and %u blocks", m->count, m->nblocks);
	r->wanted = m->count;
	r->found = 0;
	r->reading = READ_FIND;
	r->next = 1;
	return TAKE_AGAIN;
}

/* The next index, or all are found, or there is no next one. */
static enum spdm_take
find_next(struct requester *r)
{
	if (r->found < r->wanted && r->next < SPDM_OP_ALL - 1) {
		r->next++;
		return TAKE_AGAIN;
	}
	if (r->found < r->wanted)
		return requester_bad(r, R_ATT_MEASURE_FORM,
		    "number of measurements", "as many as were counted",
		    "%u of %u", r->found, r->wanted);
	r->reading = READ_EACH;
	read_anew(r);
	return TAKE_AGAIN;
}

enum spdm_take
requester_measure_error(struct requester *r, uint8_t code)
{
	if (r->reading == READ_ALL && (code == SPDM_E_RESPONSE_TOO_LARGE ||
	    code == SPDM_E_LARGE_RESPONSE)) {
		r->reading = READ_COUNT;
		return TAKE_AGAIN;
	}
	if (r->reading == READ_FIND && code == SPDM_E_INVALID_REQUEST)
		return find_next(r);
	/* What was read before this ERROR is no longer part of L1/L2. */
	if (r->reading == READ_EACH && code == SPDM_E_BUSY)
		read_anew(r);
	return TAKE_NEXT;
}

static enum spdm_take
signature_check(struct requester *r, const struct spdm_measurements *m)
{
	uint8_t	h[SPDM_HASH_MAX];

	m_hash(r, h);
	if (m->slot != SLOT_ID)
		return requester_bad(r, R_ATT_MEASURE_FIELD,
		    "MEASUREMENTS slot", "slot 0", "slot %u", m->slot);
	if (spdm_verify(r->slot[SLOT_ID].chain.key, r->alg, r->version,
	    SPDM_CTX_MEASUREMENTS, h, m->signature) == -1)
		return requester_bad(r, R_ATT_MEASURE_SIGNATURE,
		    "MEASUREMENTS", "a signature by the key of slot 0 over "
		    "our nonce and what we read", "one that does not verify");
	/* 1: changed, 2: not, 0: the peer cannot tell; 3 is reserved. */
	if (m->changed & 1)
		return requester_bad(r, R_ATT_CHANGED, "content changed",
		    "no change", "%u", m->changed);
	return TAKE_NEXT;
}

/* CHALLENGE_AUTH's summary is the hash of the whole blocks. */
static enum spdm_take
summary_check(struct requester *r)
{
	uint8_t	h[SPDM_HASH_MAX];
	char	want[97], got[97];
	size_t	n = r->alg->hash_len;

	if (!r->summed)
		return TAKE_NEXT;
	spdm_hash(spdm_md(r->alg), r->record, r->record_len, h);
	if (memcmp(h, r->summary, n) == 0)
		return TAKE_NEXT;
	hex(r->summary, n, want);
	hex(h, n, got);
	return requester_bad(r, R_ATT_SUMMARY, "MeasurementSummaryHash", want,
	    "%s", got);
}

/* One answer of those that are kept; the last one is signed. */
static enum spdm_take
kept(struct requester *r, const struct spdm_measurements *m, uint8_t op,
    bool is_signed)
{
	enum spdm_take	t;

	if (op != SPDM_OP_ALL && (m->nblocks != 1 || m->record[0] != op))
		return requester_bad(r, R_ATT_MEASURE_FORM,
		    "measurement block", "the one asked for", "%u blocks",
		    m->nblocks);
	if ((t = keep(r, m)) != TAKE_NEXT)
		return t;
	if (!is_signed) {
		r->next++;
		return TAKE_AGAIN;
	}
	if ((t = signature_check(r, m)) != TAKE_NEXT ||
	    (t = summary_check(r)) != TAKE_NEXT)
		return t;
	if (requester_secured(r) && r->ses.s->psk)
		r->evidence.code = true;
	requester_say(r, "%u measurements, signed over our nonce; their "
	    "summary agrees", r->nblocks);
	return TAKE_NEXT;
}

enum spdm_take
take_measurements(struct requester *r, const uint8_t *msg, size_t len)
{
	struct spdm_measurements	 m;
	enum spdm_take			 t;
	bool				 is_signed;
	uint8_t				 op = measure_op(r, &is_signed);

	if (spdm_measurements_get(msg, len, r->alg, is_signed, &m) == -1)
		return requester_bad(r, R_ATT_FORM, "MEASUREMENTS",
		    "fields that fill the message", "%zu bytes", len);
	if (m.context != NULL &&
	    memcmp(m.context, r->context, sizeof(r->context)) != 0)
		return requester_bad(r, R_ATT_MEASURE_FIELD,
		    "RequesterContext", "ours", "another");
	m_add(r, msg, len - (is_signed ? r->alg->sig_len : 0));
	if ((t = blocks_check(r, &m)) != TAKE_NEXT)
		return t;
	switch (r->reading) {
	case READ_COUNT:
		return counted(r, &m);
	case READ_FIND:
		if (m.nblocks != 1 || m.record[0] != op)
			return requester_bad(r, R_ATT_MEASURE_FORM,
			    "measurement block", "the one asked for",
			    "%u blocks", m.nblocks);
		r->index[r->found++] = op;
		return find_next(r);
	case READ_ALL:
	case READ_EACH:
		break;
	}
	return kept(r, &m, op, is_signed);
}

/* ---- evidence ------------------------------------------------------------ */

void
requester_finish(struct requester *r)
{
	struct spdm_evidence	*e = &r->evidence;
	const struct spdm_chain	*c = &r->slot[SLOT_ID].chain;
	const struct spdm_chain	*a = &r->slot[r->conf.anchor].chain;

	e->version = r->version;
	e->algorithm = r->alg == spdm_alg(KEY_P384) ? KEY_P384 : KEY_P256;
	spdm_identity(c, &e->id);
	memcpy(e->root_sha256, c->root_sha256, sizeof(e->root_sha256));
	e->not_before = c->not_before;
	e->not_after = c->not_after;
	if (r->conf.anchor != 0) {
		e->anchor = a->der[0];
		e->anchor_len = a->der_len[0];
		e->anchor_before = a->not_before;
		e->anchor_after = a->not_after;
	}
	e->record = r->record;
	e->record_len = r->record_len;
	e->nblocks = r->nblocks;
}
