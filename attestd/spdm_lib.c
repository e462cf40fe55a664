/*
 * The OpenSSL of attestd: a library context with what certificates and
 * signatures of an attestation need, and nothing else. To decode a public
 * key OpenSSL collects every decoder that it has; with two of them instead
 * of some sixty a certificate is read in a third of the time, and what
 * strangers send meets that much less code.
 *
 * The provider is a sieve before the default provider, which lives in a
 * context of its own: same functions, same provider context, fewer of them.
 */
#include <string.h>

#include <openssl/core_dispatch.h>
#include <openssl/provider.h>

#include "spdm.h"

#define KEPT_MAX	8	/* algorithms of one kind */

/* What is kept: the first name and, for decoders, what they take. */
static const struct {
	int		 operation;
	const char	*name, *property;
} wanted[] = {
	/* SHA-1: fingerprints by which X509 objects are told apart */
	{ OSSL_OP_DIGEST,	"SHA1",		NULL },
	{ OSSL_OP_DIGEST,	"SHA2-256",	NULL },
	{ OSSL_OP_DIGEST,	"SHA2-384",	NULL },
	{ OSSL_OP_DIGEST,	"SHA2-512",	NULL },
	/* secured sessions: ECDH, the key schedule, records */
	{ OSSL_OP_KEYEXCH,	"ECDH",		NULL },
	{ OSSL_OP_MAC,		"HMAC",		NULL },
	{ OSSL_OP_CIPHER,	"AES-256-GCM",	NULL },
	{ OSSL_OP_KEYMGMT,	"EC",		NULL },
	{ OSSL_OP_KEYMGMT,	"RSA",		NULL },
	{ OSSL_OP_SIGNATURE,	"ECDSA",	NULL },
	{ OSSL_OP_SIGNATURE,	"RSA",		NULL },
	{ OSSL_OP_DECODER,	"EC",
	  "input=der,structure=SubjectPublicKeyInfo" },
	{ OSSL_OP_DECODER,	"RSA",
	  "input=der,structure=SubjectPublicKeyInfo" },
};

/* One process has one; both contexts live as long as it does. */
static struct {
	OSSL_LIB_CTX	*inner, *outer;
	OSSL_PROVIDER	*real;
	OSSL_ALGORITHM	 kept[OSSL_OP__HIGHEST + 1][KEPT_MAX + 1];
} lib;

/* Names are colon-separated; ours is the first. */
static bool
matches(const OSSL_ALGORITHM *a, size_t i)
{
	size_t	n = strlen(wanted[i].name);

	return strncmp(a->algorithm_names, wanted[i].name, n) == 0 &&
	    (a->algorithm_names[n] == ':' || a->algorithm_names[n] == '\0') &&
	    (wanted[i].property == NULL ||
	    strstr(a->property_definition, wanted[i].property) != NULL);
}

static void
sift(int operation)
{
	const OSSL_ALGORITHM	*a;
	size_t			 i, n = 0;
	int			 no_cache;

	a = OSSL_PROVIDER_query_operation(lib.real, operation, &no_cache);
	for (; a != NULL && a->algorithm_names != NULL; a++)
		for (i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
			if (wanted[i].operation == operation &&
			    n < KEPT_MAX && matches(a, i))
				lib.kept[operation][n++] = *a;
}

static const OSSL_ALGORITHM *
query(void *provctx, int operation, int *no_cache)
{
	*no_cache = 0;
	if (operation < 0 || operation > OSSL_OP__HIGHEST ||
	    lib.kept[operation][0].algorithm_names == NULL)
		return NULL;
	return lib.kept[operation];
}

static const OSSL_DISPATCH dispatch[] = {
	{ OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query },
	{ 0, NULL }
};

static int
init(const OSSL_CORE_HANDLE *core, const OSSL_DISPATCH *in,
    const OSSL_DISPATCH **out, void **provctx)
{
	*out = dispatch;
	*provctx = OSSL_PROVIDER_get0_provider_ctx(lib.real);
	return 1;
}

OSSL_LIB_CTX *
spdm_lib(void)
{
	return lib.outer;
}

int
spdm_lib_init(void)
{
	int	op;

	if (lib.outer != NULL)
		return 0;
	if ((lib.inner = OSSL_LIB_CTX_new()) == NULL ||
	    (lib.real = OSSL_PROVIDER_load(lib.inner, "default")) == NULL)
		return -1;
	for (op = 0; op <= OSSL_OP__HIGHEST; op++)
		sift(op);
	if ((lib.outer = OSSL_LIB_CTX_new()) == NULL ||
	    OSSL_PROVIDER_add_builtin(lib.outer, "attest", init) != 1 ||
	    OSSL_PROVIDER_load(lib.outer, "attest") == NULL)
		return -1;
	return 0;
}
