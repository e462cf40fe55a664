/*
 * The token reader: cut in two anywhere, a stream gives the same tokens, and
 * each token is really there.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../netd/tls.h"

#define STREAM_MAX	4096

static size_t
read_all(const uint8_t *p, size_t len, size_t cut, enum token *out)
{
	struct token_reader	r = { 0 };
	size_t			used, n = 0, end = cut;
	enum token		t;

	while (n < STREAM_MAX) {
		t = token_next(&r, p, end, &used);
		if (used > end || (t == TOKEN_NONE && used != end))
			abort();
		p += used;
		len -= used;
		end -= used;
		if (t == TOKEN_NONE) {
			if (len == 0)
				break;
			end = len;	/* the second part */
			continue;
		}
		out[n++] = t;
		if (t == TOKEN_BABBLE)
			break;
	}
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	static enum token	whole[STREAM_MAX], cut[STREAM_MAX];
	size_t			n, i;

	if (len > STREAM_MAX)
		return 0;
	n = read_all(p, len, len, whole);
	for (i = 0; i <= len && i < 64; i++)
		if (read_all(p, len, i, cut) != n ||
		    memcmp(whole, cut, n * sizeof(*whole)) != 0)
			abort();
	for (i = 0; i < n; i++)
		if (whole[i] < TOKEN_NTOKENS && memmem(p, len,
		    token_text(whole[i]), strlen(token_text(whole[i]))) == NULL)
			abort();
	return 0;
}
