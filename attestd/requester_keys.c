/*
 * Multi-key connections (DSP0274 1.3): the peer has several keys of one
 * algorithm and says in DIGESTS which slot has which one, and for what. The
 * key of slot 0 must be one that attests: a key that its owner keeps for
 * something else vouches for nothing here.
 */
#include "spdm.h"
#include "spdm_requester.h"

#define SLOT_ID	0

/* Ours and the peer's capability have the same bits: 1 only, 2 negotiable. */
static bool
only(uint32_t flags)
{
	return (flags & SPDM_CAP_MULTI_KEY) == SPDM_MULTI_KEY_ONLY;
}

void
requester_keys_offer(struct requester *r)
{
	bool	want = r->conf.algs.other & SPDM_MULTI_KEY_CONN;

	r->offered.other &= (uint8_t)~SPDM_MULTI_KEY_CONN;
	r->multi_key = r->version >= SPDM_V13 &&
	    (r->peer_flags & SPDM_CAP_MULTI_KEY) != 0 &&
	    (want || only(r->peer_flags));
	if (r->multi_key)
		r->offered.other |= SPDM_MULTI_KEY_CONN;
}

bool
requester_keys_selected(struct requester *r, const struct spdm_algs *a)
{
	uint32_t	ours = r->conf.caps.flags & SPDM_CAP_MULTI_KEY;

	r->multi_key_own = a->other & SPDM_MULTI_KEY_CONN;
	if (r->version < SPDM_V13 || ours == 0)
		return !r->multi_key_own;
	return r->multi_key_own || !only(ours);
}

/* What the steps do with the key of slot 0. */
static uint16_t
needed(const struct requester *r)
{
	uint16_t	use = 0;

	if (requester_asks(r, SPDM_KEY_EXCHANGE))
		use |= SPDM_USE_KEY_EXCHANGE;
	if (requester_asks(r, SPDM_CHALLENGE))
		use |= SPDM_USE_CHALLENGE;
	if (requester_asks(r, SPDM_GET_MEASUREMENTS))
		use |= SPDM_USE_MEASUREMENTS;
	return use;
}

enum spdm_take
requester_keys_check(struct requester *r, const struct spdm_digests *d)
{
	unsigned	i;
	uint16_t	use;
	uint8_t		model;

	if (d->key_pair == NULL)
		return TAKE_NEXT;
	for (i = 0; i < d->n; i++) {
		model = d->cert_info[i] & SPDM_CERT_MODEL;
		if (d->key_pair[i] == 0 || model == 0 ||
		    model > SPDM_CERT_GENERIC)
			return requester_bad(r, R_ATT_FORM, "DIGESTS",
			    "a key pair and a certificate model each",
			    "key pair %u, model %u", d->key_pair[i], model);
	}
	if ((d->provisioned >> SLOT_ID & 1) == 0)
		return TAKE_NEXT;	/* slots_needed() tells */
	use = (uint16_t)(d->usage[0] | d->usage[1] << 8);
	model = d->cert_info[0] & SPDM_CERT_MODEL;
	if ((use & needed(r)) != needed(r) || model == SPDM_CERT_GENERIC)
		return requester_bad(r, R_ATT_KEY_USAGE, "slot 0",
		    "a device's key for challenge and measurements",
		    "usage %#06x, certificate model %u", use, model);
	return TAKE_NEXT;
}
