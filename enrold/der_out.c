#include <string.h>

#include "der_out.h"

void
der_out(struct der_out *o, uint8_t *buf, size_t size)
{
	*o = (struct der_out){ .buf = buf, .size = size, .at = size };
}

void
der_out_raw(struct der_out *o, const void *p, size_t n)
{
	if (o->full || n > o->at) {
		o->full = true;
		return;
	}
	o->at -= n;
	if (n > 0)
		memcpy(o->buf + o->at, p, n);
}

static void
octet(struct der_out *o, size_t value)
{
	uint8_t	b = (uint8_t)value;

	der_out_raw(o, &b, 1);
}

void
der_out_head(struct der_out *o, uint8_t tag, size_t mark)
{
	size_t	n, len, octets = 0;

	if (o->full)
		return;
	len = mark - o->at;
	if (len < 0x80)
		octet(o, len);
	else {
		for (n = len; n > 0; n >>= 8, octets++)
			octet(o, n);
		octet(o, 0x80 | octets);
	}
	octet(o, tag);
}

int
der_out_end(struct der_out *o, size_t *len)
{
	if (o->full)
		return -1;
	*len = o->size - o->at;
	memmove(o->buf, o->buf + o->at, *len);
	return 0;
}
