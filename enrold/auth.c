/* Tickets, as HTTP Basic (RFC 7617) and JSON bring them. */
#include <string.h>
#include <strings.h>

#include "hex.h"
#include "wire.h"

int
ticket_parse(const char *text, size_t len, uint8_t ticket[TICKET_LEN])
{
	size_t	i;
	int	high, low;

	if (len != (size_t)2 * TICKET_LEN)
		return -1;
	for (i = 0; i < TICKET_LEN; i++) {
		high = hex_digit(text[2 * i]);
		low = hex_digit(text[2 * i + 1]);
		if (high == -1 || low == -1)
			return -1;
		ticket[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

bool
name_same(const char *a, const char *b)
{
	for (; *a != '\0' && *b != '\0'; a++, b++) {
		const char *x = *a == '-' ? ":" : a, *y = *b == '-' ? ":" : b;

		if (strncasecmp(x, y, 1) != 0)
			return false;
	}
	return *a == *b;
}

/*
 * "name:ticket". A MAC has colons, so that the ticket is what stands behind
 * the last one.
 */
static int
split(const char *text, size_t len, char name[65], uint8_t ticket[TICKET_LEN])
{
	const char	*colon = memrchr(text, ':', len);
	size_t		 n;

	if (colon == NULL || memchr(text, '\0', len) != NULL)
		return -1;
	n = (size_t)(colon - text);
	if (n == 0 || n > 64 ||
	    ticket_parse(colon + 1, len - n - 1, ticket) == -1)
		return -1;
	memcpy(name, text, n);
	name[n] = '\0';
	return 0;
}

int
basic_ticket(const char *authorization, char name[65],
    uint8_t ticket[TICKET_LEN], bool *has, struct refusal *why)
{
	char	text[192];
	size_t	len;
	int	r = -1;

	*has = false;
	if (authorization[0] == '\0')
		return 0;
	if (strncasecmp(authorization, "Basic ", 6) == 0 &&
	    base64_decode(authorization + 6, strlen(authorization + 6),
	    (uint8_t *)text, sizeof(text), &len) == 0)
		r = split(text, len, name, ticket);
	explicit_bzero(text, sizeof(text));
	*has = r == 0;
	if (r == -1)
		refusal_set(why, R_ENR_AUTH, "Authorization",
		    "Basic, of the device's name and its ticket",
		    "something else");
	return r;
}
