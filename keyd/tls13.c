/*
 * The one form that a `tls' key signs: the complete content of a TLS 1.3
 * CertificateVerify (RFC 8446, 4.4.3), so that netd cannot have anything
 * else signed.
 */
#include <stdio.h>
#include <string.h>

#include "keyd.h"

#define SPACES		64
#define CONTEXT_LEN	33
#define HASH_AT		(SPACES + CONTEXT_LEN + 1)

/* With the zero byte that separates it from the hash. */
static const char contexts[][CONTEXT_LEN + 1] = {
	"TLS 1.3, server CertificateVerify",
	"TLS 1.3, client CertificateVerify",
};

static bool
tls13_context(const uint8_t *p)
{
	size_t	 i;

	for (i = 0; i < sizeof(contexts) / sizeof(contexts[0]); i++)
		if (memcmp(p, contexts[i], sizeof(contexts[i])) == 0)
			return true;
	return false;
}

/*
 * The transcript hash is the cipher suite's, not the signature scheme's: a
 * P-256 key under TLS_AES_256_GCM_SHA384 signs a content with 48 bytes of it.
 */
int
tls13_check(const struct curve *c, uint32_t scheme, const uint8_t *content,
    size_t len, struct why *w)
{
	char	 expected[16], seen[16];
	size_t	 i;

	if (scheme != c->tls_scheme) {
		snprintf(expected, sizeof(expected), "0x%04x", c->tls_scheme);
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
	if (!tls13_context(content + SPACES))
		return why_set(w, R_KEY_TLS_CONTEXT, "context string",
		    "TLS 1.3, server or client CertificateVerify", NULL);
	return 0;
}
