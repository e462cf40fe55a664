#include <string.h>

#include "der.h"

#define DEPTH_MAX	24

size_t
der_element(const uint8_t *p, size_t left, const uint8_t **body,
    size_t *blen)
{
	size_t	n, i, len = 0;

	if (left < 2 || (p[0] & 0x1f) == 0x1f)
		return 0;
	if (p[1] < 0x80) {
		*body = p + 2;
		*blen = p[1];
		return *blen <= left - 2 ? 2 + *blen : 0;
	}
	n = p[1] & 0x7f;
	if (n == 0 || n > 3 || left < 2 + n || p[2] == 0)
		return 0;
	for (i = 0; i < n; i++)
		len = len << 8 | p[2 + i];
	if (len < 0x80 || len > left - 2 - n)
		return 0;
	*body = p + 2 + n;
	*blen = len;
	return 2 + n + len;
}

/* Does the body of a primitive have the one form of its value? */
static bool
primitive_ok(uint8_t tag, const uint8_t *b, size_t n)
{
	switch (tag) {
	case 0x01:	/* BOOLEAN */
		return n == 1 && (b[0] == 0 || b[0] == 0xff);
	case 0x02:	/* INTEGER */
		if (n == 0)
			return false;
		return n == 1 || !((b[0] == 0 && b[1] < 0x80) ||
		    (b[0] == 0xff && b[1] >= 0x80));
	case 0x03:	/* BIT STRING: unused bits are zero */
		if (n == 0 || b[0] > 7 || (n == 1 && b[0] != 0))
			return false;
		return (b[n - 1] & ((1U << b[0]) - 1)) == 0 || n == 1;
	case 0x05:	/* NULL */
		return n == 0;
	case 0x06:	/* OBJECT IDENTIFIER */
		return n > 0 && b[n - 1] < 0x80;
	}
	return true;
}

static bool
elements_ok(const uint8_t *p, size_t left, unsigned depth)
{
	const uint8_t	*body;
	size_t		 n, blen;

	while (left > 0) {
		n = der_element(p, left, &body, &blen);
		if (n == 0)
			return false;
		if (p[0] & 0x20) {
			if (depth == 0 || !elements_ok(body, blen, depth - 1))
				return false;
		} else if (!primitive_ok(p[0], body, blen))
			return false;
		p += n;
		left -= n;
	}
	return true;
}

size_t
der_len(const uint8_t *p, size_t left)
{
	const uint8_t	*body;
	size_t		 blen;

	if (left < 2 || p[0] != 0x30)
		return 0;
	return der_element(p, left, &body, &blen);
}

bool
der_strict(const uint8_t *p, size_t len)
{
	return der_len(p, len) == len && elements_ok(p, len, DEPTH_MAX);
}

bool
der_next(struct der *d, uint8_t tag, struct der *body, struct der *whole)
{
	size_t	n, blen;

	if (d->left == 0 || d->p[0] != tag ||
	    (n = der_element(d->p, d->left, &body->p, &blen)) == 0)
		return false;
	body->left = blen;
	if (whole != NULL)
		*whole = (struct der){ d->p, n };
	d->p += n;
	d->left -= n;
	return true;
}

bool
der_equals(const struct der *d, const void *p, size_t n)
{
	return d->left == n && memcmp(d->p, p, n) == 0;
}
