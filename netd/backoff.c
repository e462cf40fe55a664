/* Exponential backoff with jitter, in milliseconds. */
#include "tls.h"

void
backoff_init(struct backoff *b, uint32_t min, uint32_t max)
{
	b->min = min > 0 ? min : 1;
	b->max = max > b->min ? max : b->min;
	b->next = b->min;
}

void
backoff_reset(struct backoff *b)
{
	b->next = b->min;
}

uint32_t
backoff_next(struct backoff *b, uint32_t random)
{
	uint64_t spread = b->next / 2;
	uint64_t wait = b->next - b->next / 4 + random % (spread + 1);

	b->next = b->next > b->max / 2 ? b->max : b->next * 2;
	return wait > UINT32_MAX ? UINT32_MAX : (uint32_t)wait;
}
