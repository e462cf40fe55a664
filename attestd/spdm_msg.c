/*
 * SPDM messages (DSP0274, 10): bytes in, struct out, and back. Every length
 * is checked against what is left, and a message must end where its last
 * field ends.
 */
#include <string.h>

#include "spdm.h"

/* What is left of a message; bad is set once something was missing. */
struct rd {
	const uint8_t	*p;
	size_t		 left;
	bool		 bad;
};

static const uint8_t *
rd_bytes(struct rd *r, size_t n)
{
	const uint8_t	*p = r->p;

	if (r->bad || r->left < n) {
		r->bad = true;
		return NULL;
	}
	r->p += n;
	r->left -= n;
	return p;
}

static uint32_t
rd_le(struct rd *r, size_t n)
{
	const uint8_t	*p;
	uint32_t	 v = 0;

	if ((p = rd_bytes(r, n)) == NULL)
		return 0;
	while (n-- > 0)
		v = v << 8 | p[n];
	return v;
}

static uint8_t
rd_u8(struct rd *r)
{
	return (uint8_t)rd_le(r, 1);
}

static uint16_t
rd_u16(struct rd *r)
{
	return (uint16_t)rd_le(r, 2);
}

/* Skips the header, whose fields the caller has. */
static struct rd
rd_body(const uint8_t *msg, size_t len)
{
	struct rd	r = { msg, len, false };

	(void)rd_bytes(&r, 4);
	return r;
}

static int
rd_end(const struct rd *r)
{
	return r->bad || r->left != 0 ? -1 : 0;
}

/* OpaqueDataLength and the data; nothing of it is used here. */
static void
rd_opaque(struct rd *r)
{
	size_t	n = rd_u16(r);

	if (n > SPDM_OPAQUE_MAX)
		r->bad = true;
	(void)rd_bytes(r, n);
}

uint32_t
spdm_le32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	    (uint32_t)p[3] << 24;
}

void
spdm_buf_init(struct spdm_buf *b, uint8_t *data, size_t size)
{
	*b = (struct spdm_buf){ .data = data, .size = size };
}

void
spdm_put(struct spdm_buf *b, const void *p, size_t n)
{
	if (b->full || b->size - b->len < n) {
		b->full = true;
		return;
	}
	if (n > 0)
		memcpy(b->data + b->len, p, n);
	b->len += n;
}

static void
put_le(struct spdm_buf *b, uint32_t v, size_t n)
{
	uint8_t	le[4];
	size_t	i;

	for (i = 0; i < n; i++)
		le[i] = (uint8_t)(v >> 8 * i);
	spdm_put(b, le, n);
}

void
spdm_put_u8(struct spdm_buf *b, uint8_t v)
{
	put_le(b, v, 1);
}

void
spdm_put_u16(struct spdm_buf *b, uint16_t v)
{
	put_le(b, v, 2);
}

void
spdm_put_u24(struct spdm_buf *b, uint32_t v)
{
	put_le(b, v, 3);
}

void
spdm_put_u32(struct spdm_buf *b, uint32_t v)
{
	put_le(b, v, 4);
}

void
spdm_put_hdr(struct spdm_buf *b, uint8_t version, uint8_t code, uint8_t p1,
    uint8_t p2)
{
	uint8_t	h[4] = { version, code, p1, p2 };

	spdm_put(b, h, sizeof(h));
}

static void
put_zero(struct spdm_buf *b, size_t n)
{
	while (n-- > 0)
		spdm_put_u8(b, 0);
}

int
spdm_hdr_get(const uint8_t *msg, size_t len, struct spdm_hdr *h)
{
	if (len < 4)
		return -1;
	*h = (struct spdm_hdr){ msg[0], msg[1], msg[2], msg[3] };
	return 0;
}

int
spdm_versions_get(const uint8_t *msg, size_t len, struct spdm_versions *v)
{
	struct rd	r = rd_body(msg, len);
	size_t		i;

	(void)rd_u8(&r);
	v->n = rd_u8(&r);
	if (v->n > SPDM_VERSIONS_MAX)
		return -1;
	/* Major and minor; update and alpha do not change the wire form. */
	for (i = 0; i < v->n; i++)
		v->version[i] = (uint8_t)(rd_u16(&r) >> 8);
	return rd_end(&r);
}

/*
 * Request and response have one layout. 1.1 ends with the flags: then the
 * sizes are what any transport may carry.
 */
int
spdm_caps_get(const uint8_t *msg, size_t len, struct spdm_caps *c)
{
	struct rd	r = rd_body(msg, len);

	if (r.bad)
		return -1;
	c->version = msg[0];
	c->p1 = msg[2];
	(void)rd_u8(&r);
	c->ct_exponent = rd_u8(&r);
	(void)rd_u16(&r);
	c->flags = rd_le(&r, 4);
	c->data_transfer = c->max_msg = SPDM_ANY_TRANSFER;
	if (c->version >= SPDM_V12) {
		c->data_transfer = rd_le(&r, 4);
		c->max_msg = rd_le(&r, 4);
	}
	return rd_end(&r);
}

void
spdm_caps_put(struct spdm_buf *b, uint8_t code, const struct spdm_caps *c)
{
	spdm_put_hdr(b, c->version, code, c->p1, 0);
	spdm_put_u8(b, 0);
	spdm_put_u8(b, c->ct_exponent);
	spdm_put_u16(b, 0);
	spdm_put_u32(b, c->flags);
	if (c->version < SPDM_V12)
		return;
	spdm_put_u32(b, c->data_transfer);
	spdm_put_u32(b, c->max_msg);
}

/*
 * The tables at the end of both messages: type, count (bits 7:4 bytes of the
 * field, always 2; 3:0 extended algorithms), u16; types ascend. Types that
 * these versions do not define are malformed, not ignored: they would change
 * what is negotiated.
 */
static int
tables_get(struct rd *r, size_t n, struct spdm_algs *a)
{
	uint8_t	type, count, last = 0;
	size_t	next;

	a->tables = 0;
	memset(a->table, 0, sizeof(a->table));
	while (n-- > 0) {
		type = rd_u8(r);
		count = rd_u8(r);
		if (r->bad || type <= last || type < 2 ||
		    type >= 2 + SPDM_NTABLES || count >> 4 != 2)
			return -1;
		a->table[type - 2] = rd_u16(r);
		a->tables = (uint8_t)(a->tables | 1U << (type - 2));
		next = count & 0xf;
		a->ext = (uint8_t)(a->ext + next);
		(void)rd_bytes(r, 4 * next);
		last = type;
	}
	return rd_end(r);
}

static void
tables_put(struct spdm_buf *b, const struct spdm_algs *a)
{
	unsigned	i;

	for (i = 0; i < SPDM_NTABLES; i++) {
		if ((a->tables & 1U << i) == 0)
			continue;
		spdm_put_u8(b, (uint8_t)(i + 2));
		spdm_put_u8(b, 0x20);
		spdm_put_u16(b, a->table[i]);
	}
}

static uint8_t
tables_count(const struct spdm_algs *a)
{
	unsigned	i;
	uint8_t		n = 0;

	for (i = 0; i < SPDM_NTABLES; i++)
		if (a->tables >> i & 1)
			n++;
	return n;
}

int
spdm_negotiate_get(const uint8_t *msg, size_t len, struct spdm_algs *a)
{
	struct rd	r = rd_body(msg, len);
	size_t		nasym, nhash;

	if (rd_u16(&r) != len)
		return -1;
	a->version = msg[0];
	a->meas_spec = rd_u8(&r);
	a->other = rd_u8(&r);
	a->base_asym = rd_le(&r, 4);
	a->base_hash = rd_le(&r, 4);
	a->meas_hash = 0;
	(void)rd_bytes(&r, 12);
	nasym = rd_u8(&r);
	nhash = rd_u8(&r);
	(void)rd_u8(&r);
	a->mel_spec = rd_u8(&r);
	a->ext = nasym + nhash > 0;
	(void)rd_bytes(&r, 4 * (nasym + nhash));
	return r.bad ? -1 : tables_get(&r, msg[2], a);
}

void
spdm_negotiate_put(struct spdm_buf *b, const struct spdm_algs *a)
{
	uint8_t	n = tables_count(a);

	spdm_put_hdr(b, a->version, SPDM_NEGOTIATE_ALGORITHMS, n, 0);
	spdm_put_u16(b, (uint16_t)(32 + 4 * n));
	spdm_put_u8(b, a->meas_spec);
	spdm_put_u8(b, a->other);
	spdm_put_u32(b, a->base_asym);
	spdm_put_u32(b, a->base_hash);
	put_zero(b, 15);
	spdm_put_u8(b, a->mel_spec);
	tables_put(b, a);
}

int
spdm_algorithms_get(const uint8_t *msg, size_t len, struct spdm_algs *a)
{
	struct rd	r = rd_body(msg, len);
	size_t		n;

	if (rd_u16(&r) != len)
		return -1;
	a->version = msg[0];
	a->meas_spec = rd_u8(&r);
	a->other = rd_u8(&r);
	a->meas_hash = rd_le(&r, 4);
	a->base_asym = rd_le(&r, 4);
	a->base_hash = rd_le(&r, 4);
	(void)rd_bytes(&r, 11);
	a->mel_spec = rd_u8(&r);
	n = rd_u8(&r);
	n += rd_u8(&r);
	a->ext = n > 0;
	(void)rd_u16(&r);
	(void)rd_bytes(&r, 4 * n);
	return r.bad ? -1 : tables_get(&r, msg[2], a);
}

void
spdm_algorithms_put(struct spdm_buf *b, const struct spdm_algs *a)
{
	uint8_t	n = tables_count(a);

	spdm_put_hdr(b, a->version, SPDM_ALGORITHMS, n, 0);
	spdm_put_u16(b, (uint16_t)(36 + 4 * n));
	spdm_put_u8(b, a->meas_spec);
	spdm_put_u8(b, a->other);
	spdm_put_u32(b, a->meas_hash);
	spdm_put_u32(b, a->base_asym);
	spdm_put_u32(b, a->base_hash);
	put_zero(b, 11);
	spdm_put_u8(b, a->mel_spec);
	put_zero(b, 4);
	tables_put(b, a);
}

int
spdm_digests_get(const uint8_t *msg, size_t len, size_t hash_len,
    bool multi_key, struct spdm_digests *d)
{
	struct rd	r = rd_body(msg, len);
	unsigned	i;

	if (r.bad)
		return -1;
	d->supported = msg[2];	/* reserved before 1.3 */
	d->provisioned = msg[3];
	d->n = 0;
	for (i = 0; i < SPDM_SLOTS; i++)
		d->n += d->provisioned >> i & 1;
	d->digest = rd_bytes(&r, d->n * hash_len);
	d->key_pair = d->cert_info = d->usage = NULL;
	if (multi_key) {
		d->key_pair = rd_bytes(&r, d->n);
		d->cert_info = rd_bytes(&r, d->n);
		d->usage = rd_bytes(&r, 2 * d->n);
	}
	return rd_end(&r);
}

void
spdm_digests_put(struct spdm_buf *b, uint8_t version,
    const struct spdm_slot *slots, uint8_t mask, size_t hash_len,
    bool multi_key)
{
	unsigned	i;

	/* The supported slots, from 1.3 on: those that have something. */
	spdm_put_hdr(b, version, SPDM_DIGESTS, version >= SPDM_V13 ? mask : 0,
	    mask);
	for (i = 0; i < SPDM_SLOTS; i++)
		if (mask >> i & 1)
			spdm_put(b, slots[i].digest, hash_len);
	if (!multi_key)
		return;
	for (i = 0; i < SPDM_SLOTS; i++)
		if (mask >> i & 1)
			spdm_put_u8(b, slots[i].key_pair);
	for (i = 0; i < SPDM_SLOTS; i++)
		if (mask >> i & 1)
			spdm_put_u8(b, slots[i].model);
	for (i = 0; i < SPDM_SLOTS; i++)
		if (mask >> i & 1)
			spdm_put_u16(b, slots[i].usage);
}

int
spdm_get_certificate_get(const uint8_t *msg, size_t len,
    struct spdm_get_certificate *g)
{
	struct rd	r = rd_body(msg, len);

	if (r.bad)
		return -1;
	g->slot = msg[2];
	g->size_only = msg[0] >= SPDM_V13 && (msg[3] & 1);
	g->offset = rd_u16(&r);
	g->length = rd_u16(&r);
	return rd_end(&r);
}

int
spdm_certificate_get(const uint8_t *msg, size_t len,
    struct spdm_certificate *c)
{
	struct rd	r = rd_body(msg, len);

	if (r.bad)
		return -1;
	c->slot = msg[2] & 0xf;
	c->length = rd_u16(&r);
	c->remainder = rd_u16(&r);
	c->data = rd_bytes(&r, c->length);
	return rd_end(&r);
}

int
spdm_challenge_get(const uint8_t *msg, size_t len, struct spdm_challenge *c)
{
	struct rd	r = rd_body(msg, len);

	if (r.bad)
		return -1;
	c->slot = msg[2];
	c->summary = msg[3];
	c->nonce = rd_bytes(&r, SPDM_NONCE);
	c->context = NULL;
	if (msg[0] >= SPDM_V13)
		c->context = rd_bytes(&r, SPDM_CONTEXT);
	return rd_end(&r);
}

int
spdm_challenge_auth_get(const uint8_t *msg, size_t len,
    const struct spdm_alg *alg, bool summary, struct spdm_challenge_auth *c)
{
	struct rd	r = rd_body(msg, len);

	if (r.bad)
		return -1;
	c->slot = msg[2];
	c->mask = msg[3];
	c->chain_hash = rd_bytes(&r, alg->hash_len);
	c->nonce = rd_bytes(&r, SPDM_NONCE);
	c->summary = summary ? rd_bytes(&r, alg->hash_len) : NULL;
	rd_opaque(&r);
	c->context = NULL;
	if (msg[0] >= SPDM_V13)
		c->context = rd_bytes(&r, SPDM_CONTEXT);
	c->signature = rd_bytes(&r, alg->sig_len);
	return rd_end(&r);
}

int
spdm_get_measurements_get(const uint8_t *msg, size_t len,
    struct spdm_get_measurements *g)
{
	struct rd	r = rd_body(msg, len);

	if (r.bad)
		return -1;
	g->attr = msg[2];
	g->op = msg[3];
	g->nonce = NULL;
	g->slot = 0;
	if (g->attr & SPDM_ATTR_SIGN) {
		g->nonce = rd_bytes(&r, SPDM_NONCE);
		g->slot = rd_u8(&r);
	}
	g->context = NULL;
	if (msg[0] >= SPDM_V13)
		g->context = rd_bytes(&r, SPDM_CONTEXT);
	return rd_end(&r);
}

int
spdm_measurements_get(const uint8_t *msg, size_t len,
    const struct spdm_alg *alg, bool is_signed, struct spdm_measurements *m)
{
	struct rd	r = rd_body(msg, len);

	if (r.bad)
		return -1;
	m->count = msg[2];
	m->slot = msg[3] & 0xf;
	/* Reserved before 1.2: the peer does not tell. */
	m->changed = msg[0] >= SPDM_V12 ? msg[3] >> 4 & 3 : 0;
	m->nblocks = rd_u8(&r);
	m->record_len = rd_le(&r, 3);
	m->record = rd_bytes(&r, m->record_len);
	m->nonce = rd_bytes(&r, SPDM_NONCE);
	rd_opaque(&r);
	m->context = NULL;
	if (msg[0] >= SPDM_V13)
		m->context = rd_bytes(&r, SPDM_CONTEXT);
	m->signature = is_signed ? rd_bytes(&r, alg->sig_len) : NULL;
	return rd_end(&r);
}

int
spdm_block_next(const uint8_t **p, size_t *left, struct spdm_block *b)
{
	struct rd	r = { *p, *left, false };
	size_t		size, type;

	if (r.left == 0)
		return 0;
	b->index = rd_u8(&r);
	b->spec = rd_u8(&r);
	size = rd_u16(&r);
	type = rd_u8(&r);
	b->len = rd_u16(&r);
	b->value = rd_bytes(&r, b->len);
	if (r.bad || size != b->len + 3)
		return -1;
	b->raw = type & 0x80;
	b->type = type & 0x7f;
	*p = r.p;
	*left = r.left;
	return 1;
}

void
spdm_block_put(struct spdm_buf *b, const struct spdm_block *m)
{
	spdm_put_u8(b, m->index);
	spdm_put_u8(b, m->spec);
	spdm_put_u16(b, (uint16_t)(m->len + 3));
	spdm_put_u8(b, m->type | (m->raw ? 0x80 : 0));
	spdm_put_u16(b, (uint16_t)m->len);
	spdm_put(b, m->value, m->len);
}

/* Extended error data is at most 32 bytes; only ResponseNotReady's is used. */
int
spdm_error_get(const uint8_t *msg, size_t len, struct spdm_error *e)
{
	struct rd	r = rd_body(msg, len);

	*e = (struct spdm_error){ 0 };
	if (r.bad || r.left > 32)
		return -1;
	e->code = msg[2];
	e->data = msg[3];
	if (e->code != SPDM_E_NOT_READY)
		return 0;
	e->rdt_exponent = rd_u8(&r);
	e->request = rd_u8(&r);
	e->token = rd_u8(&r);
	e->rdtm = rd_u8(&r);
	return rd_end(&r);
}

void
spdm_error_put(struct spdm_buf *b, uint8_t version, uint8_t code,
    uint8_t data)
{
	spdm_put_hdr(b, version, SPDM_ERROR, code, data);
}
