/*
 * The words of the peer channel, as OpenBMC's daemon speaks them: "Hello",
 * "alive" and "ping" in the stream, with nothing between them.
 */
#include <string.h>

#include "tls.h"

static const char *const words[TOKEN_NTOKENS] = {
	[TOKEN_HELLO] = "Hello",
	[TOKEN_ALIVE] = "alive",
	[TOKEN_PING] = "ping",
};

const char *
token_text(enum token t)
{
	return words[t];
}

/* The token that starts with this byte, or TOKEN_NTOKENS. */
static unsigned
word_starting(uint8_t c)
{
	unsigned i;

	for (i = 0; i < TOKEN_NTOKENS; i++)
		if ((uint8_t)words[i][0] == c)
			break;
	return i;
}

/*
 * The first letter of a token occurs in no token a second time, so a byte
 * that does not fit can only be the start of the next one: nothing that was
 * matched needs to be looked at again.
 */
enum token
token_next(struct token_reader *r, const uint8_t *buf, size_t len, size_t *used)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (r->at > 0 && (uint8_t)words[r->which][r->at] == buf[i]) {
			if (words[r->which][++r->at] != '\0')
				continue;
			r->at = 0;
			r->babble = 0;
			*used = i + 1;
			return r->which;
		}
		r->babble += r->at;
		r->which = word_starting(buf[i]);
		r->at = r->which < TOKEN_NTOKENS;
		r->babble += !r->at;
		if (r->babble > TOKEN_BABBLE_MAX) {
			*used = i + 1;
			return TOKEN_BABBLE;
		}
	}
	*used = len;
	return TOKEN_NONE;
}
