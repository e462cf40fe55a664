/*
 * Values that must not stand twice, found at once: a file may have thousands
 * of peers. Open addressing; at most half of the slots are used.
 */
#include <stdlib.h>
#include <string.h>

#include "conf_parse.h"
#include "log.h"

static const char *
value(const struct conf_index *x, const struct conf_peer *peer)
{
	char	*const *s = (char *const *)(const void *)((const char *)peer +
		    x->offset);

	return *s;
}

/* FNV-1a */
static size_t
hash(const char *s)
{
	uint32_t	h = 2166136261u;

	for (; *s != '\0'; s++)
		h = (h ^ (uint8_t)*s) * 16777619u;
	return h;
}

static const struct conf_peer **
place(const struct conf_index *x, const char *s)
{
	size_t	i = hash(s) & (x->size - 1);

	while (x->slot[i] != NULL && strcmp(value(x, x->slot[i]), s) != 0)
		i = (i + 1) & (x->size - 1);
	return &x->slot[i];
}

static void
grow(struct conf_index *x)
{
	struct conf_index	 old = *x;
	size_t			 i;

	x->size = old.size == 0 ? 64 : old.size * 2;
	if ((x->slot = calloc(x->size, sizeof(void *))) == NULL)
		fatal("conf");
	for (i = 0; i < old.size; i++)
		if (old.slot[i] != NULL)
			*place(x, value(x, old.slot[i])) = old.slot[i];
	free(old.slot);
}

const struct conf_peer *
conf_index_add(struct conf_index *x, size_t offset,
    const struct conf_peer *peer)
{
	const struct conf_peer	**p;

	x->offset = offset;
	if (value(x, peer) == NULL)
		return NULL;
	if (2 * (x->n + 1) > x->size)
		grow(x);
	p = place(x, value(x, peer));
	if (*p != NULL)
		return *p == peer ? NULL : *p;
	*p = peer;
	x->n++;
	return NULL;
}

void
conf_index_free(struct conf_index *x)
{
	free(x->slot);
	*x = (struct conf_index){ .slot = NULL };
}
