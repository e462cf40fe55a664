/* What anybody may read, at every door: the CRLs, the CA certificates. */
#include <string.h>

#include "enrold.h"

/* The number in "/crl/issuing-N.crl"; 0 if the path is not of that form. */
static unsigned
number(const char *path, const char *before, const char *behind)
{
	size_t		n = strlen(before);
	unsigned	k = 0;

	if (strncmp(path, before, n) != 0 || path[n] == '0')
		return 0;
	for (path += n; *path >= '0' && *path <= '9' && k < 100000; path++)
		k = k * 10 + (unsigned)(*path - '0');
	return strcmp(path, behind) == 0 ? k : 0;
}

static void
give(struct conn *c, struct blob *b, const char *type)
{
	struct reply r = { .status = 200, .type = type, .blob = b };

	if (b == NULL)
		conn_refuse_why(c, R_ENR_PATH, "path", NULL,
		    conn_request(c)->path);
	else
		conn_reply(c, &r);
}

void
crl_serve(struct conn *c)
{
	const struct authority	*a = settings_generation(number(
	    conn_request(c)->path, "/crl/issuing-", ".crl"));

	give(c, a == NULL ? NULL : a->crl, "application/pkix-crl");
}

void
ca_serve(struct conn *c)
{
	const char		*path = conn_request(c)->path;
	const struct authority	*a;

	if (strcmp(path, "/ca/chain.pem") == 0) {
		a = settings_current();
		give(c, a == NULL ? NULL : a->chain,
		    "application/pem-certificate-chain");
		return;
	}
	a = settings_generation(number(path, "/ca/issuing-", ".der"));
	give(c, a == NULL ? NULL : a->issuing_der, "application/pkix-cert");
}
