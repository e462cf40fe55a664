/*
 * Opaque data of KEY_EXCHANGE and PSK_EXCHANGE: which secured message
 * version is spoken (DSP0277, opaque data). Two formats: the general one of
 * SPDM 1.1 with a signature before it, and OpaqueDataFmt1 of 1.2 (DSP0274,
 * general opaque data format).
 */
#include <string.h>

#include "spdm_session.h"

#define SPEC_ID		0x444d5446u	/* "DMTF", general format of 1.1 */
#define SM_DATA_VERSION	1
#define SM_SELECTION	0		/* SMDataID */
#define SM_SUPPORTED	1
#define ELEMENTS_MAX	8		/* more is no answer to our question */

static const uint16_t	ours[] = {
	SPDM_SECURED_V10, SPDM_SECURED_V11, SPDM_SECURED_V12
};
#define NOURS	(sizeof(ours) / sizeof(ours[0]))

/* ---- written ------------------------------------------------------------- */

static void
head(struct spdm_buf *b, uint8_t version)
{
	if (version < SPDM_V12) {
		spdm_put_u32(b, SPEC_ID);
		spdm_put_u8(b, 1);	/* OpaqueVersion */
		spdm_put_u8(b, 1);	/* TotalElements */
		spdm_put_u16(b, 0);
	} else {
		spdm_put_u8(b, 1);
		spdm_put_u24(b, 0);
	}
}

/* One element of DMTF: registry 0, no vendor. */
static void
element(struct spdm_buf *b, const struct spdm_buf *data)
{
	size_t	n = 4 + data->len;

	spdm_put_u8(b, 0);
	spdm_put_u8(b, 0);
	spdm_put_u16(b, (uint16_t)data->len);
	spdm_put(b, data->data, data->len);
	for (; n % 4 != 0; n++)
		spdm_put_u8(b, 0);
}

void
spdm_opaque_put_supported(struct spdm_buf *b, uint8_t version)
{
	uint8_t		space[3 + 2 * NOURS];
	struct spdm_buf	d;
	size_t		i;

	spdm_buf_init(&d, space, sizeof(space));
	spdm_put_u8(&d, SM_DATA_VERSION);
	spdm_put_u8(&d, SM_SUPPORTED);
	spdm_put_u8(&d, NOURS);
	for (i = 0; i < NOURS; i++)
		spdm_put_u16(&d, ours[i]);
	head(b, version);
	element(b, &d);
}

void
spdm_opaque_put_selected(struct spdm_buf *b, uint8_t version,
    uint16_t secured)
{
	uint8_t		space[4];
	struct spdm_buf	d;

	spdm_buf_init(&d, space, sizeof(space));
	spdm_put_u8(&d, SM_DATA_VERSION);
	spdm_put_u8(&d, SM_SELECTION);
	spdm_put_u16(&d, secured);
	head(b, version);
	element(b, &d);
}

/* ---- read ---------------------------------------------------------------- */

struct opaque {
	const uint8_t	*p;
	size_t		 left;
	unsigned	 elements;
};

static int
head_get(struct opaque *o, uint8_t version)
{
	static const uint8_t	spec[] = { 0x46, 0x54, 0x4d, 0x44, 1 };
	size_t			n = version < SPDM_V12 ? 8 : 4;

	if (o->left < n)
		return -1;
	if (version < SPDM_V12) {
		if (memcmp(o->p, spec, sizeof(spec)) != 0)
			return -1;
		o->elements = o->p[5];
	} else
		o->elements = o->p[0];
	o->p += n;
	o->left -= n;
	return o->elements > ELEMENTS_MAX ? -1 : 0;
}

/*
 * The next element, its data in *data if it is DMTF's own (*len is 0
 * otherwise). -1: it does not fit. libspdm pads to 4 before and after.
 */
static int
element_get(struct opaque *o, const uint8_t **data, size_t *len)
{
	size_t	vendor, n, total;
	uint8_t	registry;

	if (o->left < 4)
		return -1;
	registry = o->p[0];
	vendor = o->p[1];
	if (o->left - 2 < vendor + 2)
		return -1;
	n = o->p[2 + vendor] | (size_t)o->p[3 + vendor] << 8;
	total = (4 + vendor + n + 3) & ~(size_t)3;
	if (o->left < total)
		return -1;
	*data = o->p + 4 + vendor;
	*len = registry == 0 && vendor == 0 ? n : 0;
	o->p += total;
	o->left -= total;
	return 0;
}

/* The data of the one element with this SMDataID, without its two ids.
 * 1, 0: it is not there, -1: malformed, or there are two. */
static int
find(const uint8_t *p, size_t len, uint8_t version, uint8_t id,
    const uint8_t **data, size_t *n)
{
	struct opaque	 o = { .p = p, .left = len };
	const uint8_t	*d;
	size_t		 dlen;
	int		 found = 0;

	if (len == 0)
		return 0;
	if (head_get(&o, version) == -1)
		return -1;
	for (; o.elements > 0; o.elements--) {
		if (element_get(&o, &d, &dlen) == -1)
			return -1;
		if (dlen < 2 || d[0] != SM_DATA_VERSION || d[1] != id)
			continue;
		if (found++)
			return -1;
		*data = d + 2;
		*n = dlen - 2;
	}
	return o.left != 0 ? -1 : found;
}

/* Alpha and update in the low byte do not matter; 0 if it is not ours. */
static int
known(const uint8_t *p)
{
	uint16_t	v = (uint16_t)(p[1] << 8);
	size_t		i;

	for (i = 0; i < NOURS; i++)
		if (ours[i] == v)
			return v;
	return 0;
}

int
spdm_opaque_supported(const uint8_t *p, size_t len, uint8_t version)
{
	const uint8_t	*d;
	size_t		 n, i;
	int		 v, best = 0;

	if ((v = find(p, len, version, SM_SUPPORTED, &d, &n)) != 1)
		return v;
	if (n < 1 || n != 1 + 2 * (size_t)d[0])
		return -1;
	for (i = 0; i < d[0]; i++)
		if ((v = known(d + 1 + 2 * i)) > best)
			best = v;
	return best;
}

int
spdm_opaque_selected(const uint8_t *p, size_t len, uint8_t version)
{
	const uint8_t	*d;
	size_t		 n;
	int		 v;

	if ((v = find(p, len, version, SM_SELECTION, &d, &n)) != 1)
		return v;
	return n == 2 ? known(d) : -1;
}
