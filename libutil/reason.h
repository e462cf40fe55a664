/*
 * Why something was refused or failed. libutil/reason.def is the only list;
 * provd_reasons(7) is made from it.
 */
#ifndef REASON_H
#define REASON_H

/* Both define R_OK for access(2); ours takes its place wherever it is included. */
#include <fcntl.h>
#include <unistd.h>
#undef R_OK

enum reason {
#define REASON(name, code, text, remedy)	R_##name,
#include "reason.def"
#undef REASON
	R_COUNT
};
#define REASON_MAX	(R_COUNT - 1)

const char *reason_code(enum reason);	/* "ATT-014"; stable for ever */
const char *reason_text(enum reason);	/* one sentence */
const char *reason_remedy(enum reason);	/* what the operator can do */
/* The reason with this code, case ignored, or -1. */
int	reason_find(const char *code);

#endif
