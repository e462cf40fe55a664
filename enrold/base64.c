/*
 * Base64 (RFC 4648, 4) and PEM (RFC 7468). White space is all that may stand
 * between the characters: no other one is skipped, padding is complete, and
 * the bits behind the last byte are zero, so that bytes have one text.
 */
#include <string.h>

#include "wire.h"

static const char	alphabet[] =	/* and what fills up */
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";

static int
value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

static bool
white(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

int
base64_decode(const char *text, size_t len, uint8_t *out, size_t size,
    size_t *outlen)
{
	uint32_t	bits = 0;
	unsigned	n = 0, pads = 0;	/* of this group of four */
	size_t		i, have = 0;
	int		v;

	for (i = 0; i < len; i++) {
		if (white(text[i]))
			continue;
		if (text[i] == '=') {
			if (n + ++pads > 4 || n < 2)
				return -1;
			continue;
		}
		if (pads > 0 || (v = value(text[i])) == -1)
			return -1;
		bits = bits << 6 | (uint32_t)v;
		if (++n < 4)
			continue;
		if (size - have < 3)
			return -1;
		out[have++] = (uint8_t)(bits >> 16);
		out[have++] = (uint8_t)(bits >> 8);
		out[have++] = (uint8_t)bits;
		n = 0;
		bits = 0;
	}
	if (n + pads != 0 && n + pads != 4)
		return -1;
	if (n > 0) {
		if ((bits & (n == 2 ? 0x0f : 0x03)) != 0 || size - have < n - 1)
			return -1;
		bits <<= 6 * (4 - n);
		out[have++] = (uint8_t)(bits >> 16);
		if (n == 3)
			out[have++] = (uint8_t)(bits >> 8);
	}
	*outlen = have;
	return 0;
}

size_t
base64_encode(const uint8_t *p, size_t len, bool lines, char *out, size_t size)
{
	size_t		i, n = 0, column = 0, groups = len / 3 + (len % 3 != 0);
	uint32_t	bits;

	if (groups > SIZE_MAX / 8 || groups * 4 +
	    (lines ? groups / 16 + (groups % 16 != 0) : 0) >= size)
		return 0;
	for (i = 0; i < len; i += 3) {
		bits = (uint32_t)p[i] << 16;
		if (i + 1 < len)
			bits |= (uint32_t)p[i + 1] << 8;
		if (i + 2 < len)
			bits |= p[i + 2];
		out[n++] = alphabet[bits >> 18];
		out[n++] = alphabet[bits >> 12 & 63];
		out[n++] = alphabet[i + 1 < len ? bits >> 6 & 63 : 64];
		out[n++] = alphabet[i + 2 < len ? bits & 63 : 64];
		if (lines && ++column == 16) {
			out[n++] = '\n';
			column = 0;
		}
	}
	if (column > 0)
		out[n++] = '\n';
	out[n] = '\0';
	return n;
}

/* ---- PEM ------------------------------------------------------------------- */

/* "-----BEGIN LABEL-----" at p; its length, or 0. */
static size_t
boundary(const char *p, size_t left, const char *word, const char *label)
{
	const char	*part[] = { "-----", word, " ", label, "-----" };
	size_t		 i, n, at = 0;

	for (i = 0; i < sizeof(part) / sizeof(part[0]); i++) {
		n = strlen(part[i]);
		if (left - at < n || memcmp(p + at, part[i], n) != 0)
			return 0;
		at += n;
	}
	return at;
}

/* The characters between the boundaries of the only block. */
static bool
block(const char *text, size_t len, const char *label, const char **body,
    size_t *body_len)
{
	const char	*end;
	size_t		 n;

	while (len > 0 && white(*text))
		text++, len--;
	while (len > 0 && white(text[len - 1]))
		len--;
	if ((n = boundary(text, len, "BEGIN", label)) == 0)
		return false;
	text += n;
	len -= n;
	if (len == 0 || !white(*text) ||
	    (end = memchr(text, '-', len)) == NULL)
		return false;
	*body = text;
	*body_len = (size_t)(end - text);
	len -= *body_len;
	return white(end[-1]) && boundary(end, len, "END", label) == len;
}

int
pem_decode(const char *text, size_t len, const char *label, uint8_t *out,
    size_t size, size_t *outlen)
{
	const char	*body;
	size_t		 n;

	if (!block(text, len, label, &body, &n) &&
	    (strcmp(label, "CERTIFICATE REQUEST") != 0 ||
	    !block(text, len, "NEW CERTIFICATE REQUEST", &body, &n)))
		return -1;
	return base64_decode(body, n, out, size, outlen);
}

size_t
pem_encode(const uint8_t *p, size_t len, const char *label, char *out,
    size_t size)
{
	static const char	dashes[] = "-----";
	size_t			l = strlen(label), n, head = l + 17;

	if (size < head + l + 16)
		return 0;
	n = base64_encode(p, len, true, out + head, size - head - l - 15);
	if (n == 0)
		return 0;
	memcpy(out, "-----BEGIN ", 11);
	memcpy(out + 11, label, l);
	memcpy(out + 11 + l, dashes, 5);
	out[head - 1] = '\n';
	n += head;
	memcpy(out + n, "-----END ", 9);
	memcpy(out + n + 9, label, l);
	memcpy(out + n + 9 + l, dashes, 5);
	n += l + 14;
	out[n++] = '\n';
	out[n] = '\0';
	return n;
}

int
base64_csr(const char *text, size_t len, uint8_t *out, size_t size,
    size_t *outlen, struct refusal *why)
{
	static const char	label[] = "CERTIFICATE REQUEST";
	char			seen[24];
	size_t			n;

	if (pem_decode(text, len, label, out, size, outlen) == 0)
		return 0;
	if (base64_decode(text, len, out, size, outlen) == 0) {
		n = *outlen;
		if (n > 0 && out[0] != '-')
			return 0;
		/* Base64 of a PEM file; what is written is behind what is read. */
		if (n > 0 && pem_decode((const char *)out, n, label, out, n,
		    outlen) == 0)
			return 0;
	}
	refusal_text(seen, sizeof(seen), text, len < 16 ? len : 16);
	refusal_set(why, R_ENR_BASE64, "csr",
	    "base64 of one certificate request, as DER or PEM", seen);
	return -1;
}
