/*
 * What a peer may keep in a slot. The first byte chooses the version (1), the
 * curve (2) and slot 1 (4); the Length field and root hash are made right, so
 * that the certificates are reached.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../attestd/spdm.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct spdm_chain_rules	 rules = { 0 };
	struct spdm_chain	 c;
	struct spdm_identity	 id;
	struct spdm_why		 why = { 0 };
	uint8_t			*p;
	size_t			 hdr, len, first;

	if (spdm_init() == -1)
		abort();
	if (size < 1 || size > SPDM_CHAIN_MAX - 64)
		return 0;
	rules.version = *data & 1 ? SPDM_V13 : SPDM_V12;
	rules.alg = spdm_alg(*data & 2 ? KEY_P384 : KEY_P256);
	rules.self_signed = *data & 4;
	hdr = 4 + rules.alg->hash_len;
	len = hdr + size - 1;
	if ((p = calloc(1, len)) == NULL)
		abort();
	p[0] = len;
	p[1] = len >> 8;
	memcpy(p + hdr, data + 1, size - 1);
	if ((first = der_len(p + hdr, size - 1)) > 0)
		spdm_hash(spdm_md(rules.alg), p + hdr, first, p + 4);
	if (spdm_chain_read(p, len, &rules, &c, &why) == 0) {
		spdm_identity(&c, &id);
		(void)spdm_anchor_check(&c, &c, &why);
		if (strlen(id.node) != 40 || c.n < 2)
			abort();
	} else if (why.reason == R_OK)
		abort();
	spdm_chain_free(&c);
	free(p);
	return 0;
}
