/* What a neighbour says of itself: see claim.h. */
#include <arpa/inet.h>

#include "claim.h"

/*
 * The value of a UTF-8 sequence at p and its length, or 0 if it is not one
 * (RFC 3629: shortest form, no surrogates, up to U+10FFFF).
 */
static size_t
utf8_next(const uint8_t *p, size_t left, uint32_t *value)
{
	static const uint32_t	least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t			n, i;

	if (p[0] < 0x80) {
		*value = p[0];
		return 1;
	}
	if ((p[0] & 0xe0) == 0xc0)
		n = 2;
	else if ((p[0] & 0xf0) == 0xe0)
		n = 3;
	else if ((p[0] & 0xf8) == 0xf0)
		n = 4;
	else
		return 0;
	if (n > left)
		return 0;
	*value = p[0] & (0x7f >> n);
	for (i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		*value = *value << 6 | (p[i] & 0x3f);
	}
	if (*value < least[n] || *value > 0x10ffff ||
	    (*value >= 0xd800 && *value <= 0xdfff))
		return 0;
	return n;
}

static bool
printable(uint32_t c)
{
	if (c < 0x20 || (c >= 0x7f && c < 0xa0))
		return false;
	if (c == 0x061c || c == 0xfeff || (c >= 0x200b && c <= 0x200f) ||
	    (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) ||
	    (c >= 0xfff9 && c <= 0xfffb) || c >= 0xe0000)
		return false;
	return true;
}

bool
claim_text(const void *text, size_t len, bool lines)
{
	const uint8_t	*p = text;
	uint32_t	 c;
	size_t		 i, n;

	for (i = 0; i < len; i += n) {
		if ((n = utf8_next(p + i, len - i, &c)) == 0)
			return false;
		if (!printable(c) &&
		    !(lines && (c == '\t' || c == '\r' || c == '\n')))
			return false;
	}
	return true;
}

bool
claim_address4(struct in_addr a)
{
	uint32_t	h = ntohl(a.s_addr);

	return (h >> 24) != 0 && (h >> 24) != 127 && (h >> 28) < 14;
}

bool
claim_address6(const struct in6_addr *a)
{
	return !IN6_IS_ADDR_UNSPECIFIED(a) && !IN6_IS_ADDR_LOOPBACK(a) &&
	    !IN6_IS_ADDR_MULTICAST(a) && !IN6_IS_ADDR_V4MAPPED(a) &&
	    !IN6_IS_ADDR_V4COMPAT(a);
}
