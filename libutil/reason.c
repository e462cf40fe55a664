#include <strings.h>

#include "reason.h"

static const struct {
	const char *code, *text, *remedy;
} reasons[R_COUNT] = {
#define REASON(name, code, text, remedy)	[R_##name] = { code, text, remedy },
#include "reason.def"
#undef REASON
};

static unsigned
known(enum reason r)
{
	return (unsigned)r < R_COUNT ? (unsigned)r : R_IPC_FORM;
}

const char *
reason_code(enum reason r)
{
	return reasons[known(r)].code;
}

const char *
reason_text(enum reason r)
{
	return reasons[known(r)].text;
}

const char *
reason_remedy(enum reason r)
{
	return reasons[known(r)].remedy;
}

int
reason_find(const char *code)
{
	int	i;

	for (i = 0; i < R_COUNT; i++)
		if (strcasecmp(reasons[i].code, code) == 0)
			return i;
	return -1;
}
