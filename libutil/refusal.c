/* The check that failed, in texts that fit into a message. */
#include <string.h>

#include "refusal.h"

static void
cut(char *out, size_t size, const char *text)
{
	size_t n = text == NULL ? 0 : strnlen(text, size - 1);

	if (n > 0)
		memcpy(out, text, n);
	out[n] = '\0';
}

void
refusal_set(struct refusal *why, enum reason reason, const char *field,
    const char *expected, const char *seen)
{
	why->reason = reason;
	cut(why->field, sizeof(why->field), field);
	cut(why->expected, sizeof(why->expected), expected);
	cut(why->seen, sizeof(why->seen), seen);
}

void
refusal_text(char *out, size_t size, const void *bytes, size_t len)
{
	const uint8_t	*p = bytes;
	size_t		 i;

	for (i = 0; i < len && i + 1 < size; i++)
		out[i] = (char)(p[i] >= 0x20 && p[i] < 0x7f ? p[i] : '?');
	out[i] = '\0';
}
