/* The SPDM slots of this node, as policyd sets them one by one. */
#include <stdlib.h>

#include "attestd.h"
#include "log.h"

struct slotset *
slotset_new(void)
{
	struct slotset	*s;

	if ((s = calloc(1, sizeof(*s))) == NULL)
		fatal("slots");
	s->refs = 1;
	return s;
}

struct slotset *
slotset_hold(struct slotset *s)
{
	s->refs++;
	return s;
}

void
slotset_release(struct slotset *s)
{
	unsigned	i;

	if (s == NULL || --s->refs > 0)
		return;
	for (i = 0; i < SPDM_SLOTS; i++)
		spdm_slot_clear(&s->slot[i]);
	free(s);
}

int
slotset_change(struct slotset **current, const struct msg_spdm_slot *m)
{
	struct slotset		*set = slotset_new();
	const struct spdm_slot	*old;
	size_t			 hdr;
	unsigned		 i;
	int			 rv = 0;

	for (i = 0; i < SPDM_SLOTS; i++) {
		old = &(*current)->slot[i];
		if (i == m->slot || old->content == NULL)
			continue;
		hdr = 4 + spdm_alg(old->algorithm)->hash_len;
		if (spdm_slot_set(&set->slot[i], old->key, old->algorithm,
		    old->content + hdr, old->len - hdr) == -1)
			fatalx("slot %u", i);
	}
	if (m->chain.len > 0)
		rv = spdm_slot_set(&set->slot[m->slot], m->key,
		    (enum key_algorithm)m->algorithm, m->chain.data,
		    m->chain.len);
	slotset_release(*current);
	*current = set;
	log_debug("slot %u: %u bytes", m->slot, m->chain.len);
	return rv;
}
