/* The accepted roots, as policyd sets them one by one. */
#include "attestd.h"

#define ROOTS_MAX	64	/* ROOT_SET.root */

/* One process has one set. */
static struct spdm_root	 roots[ROOTS_MAX];

const struct spdm_root *
roots_get(size_t *n)
{
	*n = ROOTS_MAX;
	return roots;
}

void
roots_clear(void)
{
	size_t	i;

	for (i = 0; i < ROOTS_MAX; i++) {
		X509_free(roots[i].cert);
		roots[i].cert = NULL;
	}
}

int
attestd_root_set(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_root_set	*m = arg;
	struct spdm_root		*r = &roots[m->root];
	const uint8_t			*p = m->certificate.data, *end;

	X509_free(r->cert);
	r->cert = NULL;
	if (m->certificate.len == 0)
		return 0;
	spdm_hash(spdm_sha256(), p, m->certificate.len, r->sha256);
	spdm_hash(spdm_md(spdm_alg(KEY_P384)), p, m->certificate.len,
	    r->sha384);
	r->cert = spdm_x509(p, m->certificate.len, &end);
	if (r->cert == NULL || end != p + m->certificate.len) {
		X509_free(r->cert);
		r->cert = NULL;
		return -1;
	}
	return 0;
}
