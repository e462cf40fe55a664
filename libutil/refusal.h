/* Which check failed: what a refusal in the catalogue carries. */
#ifndef REFUSAL_H
#define REFUSAL_H

#include <stddef.h>
#include <stdint.h>

#include "reason.h"

struct refusal {
	enum reason	reason;
	char		field[65];
	char		expected[161];
	char		seen[161];
};

/* Any of the three texts may be NULL; they are cut to fit. */
void	refusal_set(struct refusal *, enum reason, const char *field,
	    const char *expected, const char *seen);
/* A stranger's bytes for a refusal: printable ASCII, the rest as '?'. */
void	refusal_text(char *out, size_t size, const void *, size_t len);

#endif
