/*
 * The one form that `tls' and `enrol' keys sign: the complete content of a TLS
 * 1.3 CertificateVerify (RFC 8446, 4.4.3), so that netd and enrold cannot have
 * anything else signed. enrold is a server only, and signs as one only.
 */
#include <stdio.h>
#include <string.h>

#include "keyd.h"

#define SPACES		64
#define CONTEXT_LEN	33
#define HASH_AT		(SPACES + CONTEXT_LEN + 1)
#define PSS_SHA256	0x0804	/* rsa_pss_rsae_sha256 */

/* With the zero byte that separates it from the hash. */
static const char contexts[][CONTEXT_LEN + 1] = {
	"TLS 1.3, server CertificateVerify",
	"TLS 1.3, client CertificateVerify",
};

static bool
tls13_context(const uint8_t *p, enum ipc_role asker)
{
	size_t	 i, n = asker == IPC_ENROLD ? 1 : sizeof(contexts) /
		    sizeof(contexts[0]);

	for (i = 0; i < n; i++)
		if (memcmp(p, contexts[i], sizeof(contexts[i])) == 0)
			return true;
	return false;
}

/*
 * The transcript hash is the cipher suite's, not the signature scheme's: a
 * P-256 key under TLS_AES_256_GCM_SHA384 signs a content with 48 bytes of it.
 */
int
tls13_check(enum key_algorithm a, enum ipc_role asker, uint32_t scheme,
    const uint8_t *content, size_t len, struct why *w)
{
	uint32_t want = a == KEY_RSA2048 ? PSS_SHA256 :
		    curve_get(a)->tls_scheme;
	char	 expected[16], seen[16];
	size_t	 i;

	if (scheme != want) {
		snprintf(expected, sizeof(expected), "0x%04x", want);
		snprintf(seen, sizeof(seen), "0x%04x", scheme);
		return why_set(w, R_KEY_TLS_SCHEME, "scheme", expected, seen);
	}
	if (len != HASH_AT + 32 && len != HASH_AT + 48) {
		snprintf(seen, sizeof(seen), "%zu", len);
		return why_set(w, R_KEY_TLS_LENGTH, "content length",
		    "130 or 146", seen);
	}
	for (i = 0; i < SPACES; i++)
		if (content[i] != ' ')
			return why_num(w, R_KEY_TLS_PADDING, "content",
			    SPACES, i);
	if (!tls13_context(content + SPACES, asker))
		return why_set(w, R_KEY_TLS_CONTEXT, "context string",
		    asker == IPC_ENROLD ? contexts[0] :
		    "TLS 1.3, server or client CertificateVerify", NULL);
	return 0;
}
