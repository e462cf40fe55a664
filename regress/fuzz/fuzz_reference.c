/* A file of reference values: any bytes give a list or an error with words. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../policyd/peer.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

const struct conf	*conf;

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct measures	l;
	char		err[200] = "";
	unsigned	i;

	if (policy_parse_reference((const char *)data, size, &l, err,
	    sizeof(err)) == -1) {
		if (*err == '\0' || l.n != 0)
			abort();
		return 0;
	}
	for (i = 0; i < l.n; i++)
		if (l.m[i].index < 1 || l.m[i].index > 254 ||
		    l.m[i].dlen < HASH_LEN ||
		    (i > 0 && l.m[i].index <= l.m[i - 1].index) ||
		    measures_find(&l, l.m[i].index) != &l.m[i])
			abort();
	measures_clear(&l);
	return 0;
}
