/*
 * What an `spdm' key signs: keyd builds the combined prefix of DSP0274
 * (signature generation) itself, so that no other protocol's bytes can come
 * out of it. The process that answers strangers has the responder's contexts
 * only, the one that asks only that of FINISH: neither can sign what the
 * other says. SPDM 1.0 and 1.1 have no prefix: keyd could not tell what it
 * signs.
 */
#include <stdio.h>
#include <string.h>

#include "keyd.h"

#define PREFIX_REPEAT	4	/* times "dmtf-spdm-v1.x.*", 16 bytes */

static const struct {
	enum ipc_role	 asker;
	const char	*name;
} contexts[] = {
	{ IPC_ATTESTR,	"responder-challenge_auth signing" },
	{ IPC_ATTESTR,	"responder-measurements signing" },
	{ IPC_ATTESTR,	"responder-key_exchange_rsp signing" },
	{ IPC_ATTESTQ,	"requester-finish signing" },
};

static const char *
spdm_context(enum ipc_role asker, const char *s)
{
	size_t	 i;

	for (i = 0; i < sizeof(contexts) / sizeof(contexts[0]); i++)
		if (contexts[i].asker == asker &&
		    strcmp(s, contexts[i].name) == 0)
			return contexts[i].name;
	return NULL;
}

int
spdm_build(const struct curve *c, enum ipc_role asker, uint32_t version,
    const char *context, const uint8_t *hash, size_t hashlen, uint8_t *out,
    size_t *outlen, struct why *w)
{
	char		 one[17], seen[16];
	const char	*known;
	size_t		 i, n;

	if (version != 0x12 && version != 0x13) {
		snprintf(seen, sizeof(seen), "0x%02x", version);
		return why_set(w, R_KEY_SPDM_VERSION, "version",
		    "0x12 or 0x13", seen);
	}
	if ((known = spdm_context(asker, context)) == NULL)
		return why_set(w, R_KEY_SPDM_CONTEXT, "context",
		    asker == IPC_ATTESTQ ? "the requester's of FINISH" :
		    "one of the responder's", context);
	if (hashlen != c->hash)
		return why_num(w, R_KEY_SPDM_HASH, "hash length", c->hash,
		    hashlen);
	snprintf(one, sizeof(one), "dmtf-spdm-v1.%u.*", version & 15);
	memset(out, 0, SPDM_PREFIX_LEN);
	for (i = 0; i < PREFIX_REPEAT; i++)
		memcpy(out + 16 * i, one, 16);
	n = strlen(known);
	memcpy(out + SPDM_PREFIX_LEN - n, known, n);
	memcpy(out + SPDM_PREFIX_LEN, hash, hashlen);
	*outlen = SPDM_PREFIX_LEN + hashlen;
	return 0;
}
