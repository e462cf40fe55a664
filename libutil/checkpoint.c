#include <string.h>

#include "checkpoint.h"

static const char	magic[26] = "provd audit checkpoint v1";

static uint8_t *
put64(uint8_t *p, uint64_t v)
{
	int	i;

	for (i = 56; i >= 0; i -= 8)
		*p++ = (uint8_t)(v >> i);
	return p;
}

void
checkpoint_bytes(uint64_t sequence, const uint8_t chain[32], uint64_t time,
    uint64_t counter, uint8_t out[CHECKPOINT_LEN])
{
	uint8_t	*p = out;

	memcpy(p, magic, sizeof(magic));
	p = put64(p + sizeof(magic), sequence);
	memcpy(p, chain, 32);
	p = put64(p + 32, time);
	put64(p, counter);
}
