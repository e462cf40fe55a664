/*
 * Why: the reason with the check that failed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "keyd.h"

int
why_set(struct why *w, enum reason reason, const char *field,
    const char *expected, const char *seen)
{
	memset(w, 0, sizeof(*w));
	w->reason = reason;
	if (field != NULL)
		snprintf(w->field, sizeof(w->field), "%s", field);
	if (expected != NULL)
		snprintf(w->expected, sizeof(w->expected), "%s", expected);
	if (seen != NULL)
		snprintf(w->seen, sizeof(w->seen), "%s", seen);
	return -1;
}

int
why_num(struct why *w, enum reason reason, const char *field,
    unsigned long long expected, unsigned long long seen)
{
	why_set(w, reason, field, NULL, NULL);
	snprintf(w->expected, sizeof(w->expected), "%llu", expected);
	snprintf(w->seen, sizeof(w->seen), "%llu", seen);
	return -1;
}

void
why_tpm(struct why *w, const struct tpm_result *r)
{
	why_set(w, r->reason, r->command, NULL, NULL);
	if (r->reason == R_OK || r->rc == TSS2_RC_SUCCESS)
		return;
	snprintf(w->expected, sizeof(w->expected), "TPM_RC_SUCCESS");
	snprintf(w->seen, sizeof(w->seen), "0x%08" PRIx32, r->rc);
}

const char *
why_text(const struct why *w)
{
	static char	 text[640];
	size_t		 n;

	n = (size_t)snprintf(text, sizeof(text), "%s: %s",
	    reason_code(w->reason), reason_text(w->reason));
	if (w->field[0] != '\0')
		snprintf(text + n, sizeof(text) - n, " (%s%s%s%s%s)", w->field,
		    w->expected[0] == '\0' ? "" : ": expected ",
		    w->expected, w->seen[0] == '\0' ? "" : ", seen ", w->seen);
	return text;
}
