#include <string.h>

#include "policyd.h"

/* Copy what fits, ending at a character; control characters become '?'. */
void
text_set(char *to, size_t size, const char *from)
{
	size_t	i, n;

	if (from == NULL)
		from = "";
	if ((n = strlen(from)) >= size)
		for (n = size - 1; n > 0 && (from[n] & 0xc0) == 0x80; n--)
			;
	for (i = 0; i < n; i++)
		to[i] = (char)((unsigned char)from[i] < 0x20 ||
		    from[i] == 0x7f ? '?' : from[i]);
	to[n] = '\0';
}

enum reason
why_set(struct why *w, enum reason reason, const char *field,
    const char *expected, const char *seen)
{
	w->reason = reason;
	text_set(w->field, sizeof(w->field), field);
	text_set(w->expected, sizeof(w->expected), expected);
	text_set(w->seen, sizeof(w->seen), seen);
	return reason;
}
