/*
 * Evidence: what attestd -Q reported for one job. Nothing is judged here but
 * its form: what an honest attestd never sends is told apart, so that the
 * link can be closed. It is never more than this process's word about one
 * peer; the nonce and the job tie it to what policyd asked for.
 */
#include <openssl/sha.h>

#include <stdlib.h>
#include <string.h>

#include "peer.h"

struct evidence *
evidence_new(void)
{
	struct evidence	*ev;

	if ((ev = calloc(1, sizeof(*ev))) == NULL)
		fatal("evidence");
	return ev;
}

void
evidence_free(struct evidence *ev)
{
	if (ev == NULL)
		return;
	measures_clear(&ev->measures);
	free(ev->anchor);
	free(ev);
}

static bool
node_ok(const char *s)
{
	return strlen(s) == NODE_ID_LEN &&
	    strspn(s, "0123456789abcdef") == NODE_ID_LEN;
}

int
evidence_identity(struct evidence *ev, const struct msg_evid_identity *m)
{
	if (ev->have & HAVE_IDENTITY || !node_ok(m->node) ||
	    m->root.len != HASH_LEN)
		return -1;
	ev->version = (uint8_t)m->version;
	ev->algorithm = (uint8_t)m->algorithm;
	memcpy(ev->node, m->node, sizeof(ev->node));
	if (ipc_set_str(ev->serial, sizeof(ev->serial), m->serial) == -1 ||
	    ipc_set_str(ev->device, sizeof(ev->device), m->device) == -1 ||
	    ipc_set_str(ev->subject, sizeof(ev->subject), m->subject) == -1)
		return -1;
	memcpy(ev->root, m->root.data, HASH_LEN);
	ev->not_before = m->not_before;
	ev->not_after = m->not_after;
	ev->have |= HAVE_IDENTITY;
	return 0;
}

int
evidence_anchor(struct evidence *ev, const struct msg_evid_anchor *m)
{
	if (ev->have & HAVE_ANCHOR || m->anchor.len == 0)
		return -1;
	if ((ev->anchor = malloc(m->anchor.len)) == NULL)
		fatal("evidence");
	memcpy(ev->anchor, m->anchor.data, m->anchor.len);
	ev->anchor_len = m->anchor.len;
	ev->anchor_before = m->not_before;
	ev->anchor_after = m->not_after;
	ev->have |= HAVE_ANCHOR;
	return 0;
}

int
evidence_measurement(struct evidence *ev, const struct msg_evid_measurement *m)
{
	struct measurement	*d;

	/* DSP0274, measurement block: index 1 to 0xfe. */
	if (m->index < 1 || m->index > 254 || m->value.len == 0 ||
	    (!m->raw && m->value.len > sizeof(d->digest)))
		return -1;
	if (ev->bytes + m->value.len > MEASURE_BYTES)
		return -1;
	if ((d = measures_add(&ev->measures, m->index)) == NULL)
		return -1;
	ev->bytes += m->value.len;
	d->type = (uint8_t)m->type;
	d->raw = m->raw;
	d->size = (uint16_t)m->value.len;
	if (m->raw) {
		SHA256(m->value.data, m->value.len, d->digest);
		d->dlen = HASH_LEN;
	} else {
		memcpy(d->digest, m->value.data, m->value.len);
		d->dlen = (uint8_t)m->value.len;
	}
	if (m->value.len <= sizeof(d->value)) {
		memcpy(d->value, m->value.data, m->value.len);
		d->vlen = (uint8_t)m->value.len;
	}
	return 0;
}

int
evidence_end(struct evidence *ev, const struct msg_evid_end *m,
    const uint8_t nonce[32])
{
	if (m->nonce.len != 32 || memcmp(m->nonce.data, nonce, 32) != 0 ||
	    m->count != ev->measures.n)
		return -1;
	ev->have |= HAVE_FRESH;
	ev->code = m->code;
	if (ev->measures.n > 0)
		ev->have |= HAVE_MEASURED;
	return 0;
}

/* ---- lists of measurements ---------------------------------------------- */

const struct measurement *
measures_find(const struct measures *l, unsigned index)
{
	unsigned	i;

	for (i = 0; i < l->n; i++)
		if (l->m[i].index == index)
			return &l->m[i];
	return NULL;
}

struct measurement *
measures_add(struct measures *l, unsigned index)
{
	struct measurement	*m;
	unsigned		 i;

	if (index > 254 || measures_find(l, index) != NULL)
		return NULL;
	if ((m = reallocarray(l->m, l->n + 1, sizeof(*m))) == NULL)
		fatal("measurements");
	l->m = m;
	for (i = l->n; i > 0 && m[i - 1].index > index; i--)
		m[i] = m[i - 1];
	memset(&m[i], 0, sizeof(m[i]));
	m[i].index = (uint8_t)index;
	l->n++;
	return &m[i];
}

void
measures_copy(struct measures *to, const struct measures *from)
{
	struct measurement	*m = NULL;

	if (from->n > 0) {
		if ((m = calloc(from->n, sizeof(*m))) == NULL)
			fatal("measurements");
		memcpy(m, from->m, from->n * sizeof(*m));
	}
	free(to->m);
	*to = *from;
	to->m = m;
}

void
measures_clear(struct measures *l)
{
	free(l->m);
	memset(l, 0, sizeof(*l));
}

bool
measures_ignored(const struct measures *l, unsigned index)
{
	return index < 256 && (l->ignored[index / 8] >> (index % 8) & 1);
}

void
measures_ignore(struct measures *l, unsigned index)
{
	if (index < 256)
		l->ignored[index / 8] |= (uint8_t)(1u << (index % 8));
}

/* DSP0274, DMTFSpecMeasurementValueType */
const char *
measurement_kind(unsigned type)
{
	static const char *const kinds[] = {
		"immutable ROM", "mutable firmware", "hardware configuration",
		"firmware configuration", "measurement manifest",
		"device mode", "firmware version", "secure version number"
	};

	if (type >= sizeof(kinds) / sizeof(kinds[0]))
		return "other";
	return kinds[type];
}

bool
measurement_boot(const struct measurement *m)
{
	return m->index == MEASURE_BOOT_ID && m->type == MEASURE_BOOT_TYPE;
}

enum judged
measurement_judge(const struct measurement *m, const struct measures *list)
{
	const struct measurement	*r;

	if (list == NULL)
		return J_UNJUDGED;
	if (measures_ignored(list, m->index) || measurement_boot(m))
		return J_IGNORED;
	if ((r = measures_find(list, m->index)) == NULL)
		return J_UNLISTED;
	if ((r->type != MEASURE_ANY_TYPE && r->type != m->type) ||
	    r->dlen != m->dlen || memcmp(r->digest, m->digest, m->dlen) != 0)
		return J_DIFFERS;
	return J_EQUAL;
}
