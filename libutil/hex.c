#include <stdint.h>

#include "hex.h"

void
hex(const void *bytes, size_t n, char *out)
{
	static const char	 digit[] = "0123456789abcdef";
	const uint8_t		*p = bytes;

	for (; n > 0; n--, p++) {
		*out++ = digit[*p >> 4];
		*out++ = digit[*p & 0xf];
	}
	*out = '\0';
}

int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}
