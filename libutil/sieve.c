/*
 * The sieve is a provider before the default provider, which lives in a
 * library context of its own: same functions, same provider context, fewer of
 * them.
 */
#include <openssl/core_dispatch.h>
#include <openssl/crypto.h>
#include <openssl/provider.h>
#include <string.h>

#include "sieve.h"

/* One process has one; both contexts live as long as it does. */
static struct {
	OSSL_PROVIDER	*real;
	OSSL_LIB_CTX	*outer;
	OSSL_ALGORITHM	 kept[OSSL_OP__HIGHEST + 1][SIEVE_MAX + 1];
} sieve;

/* Names are separated by colons; a row has the first. */
static int
matches(const OSSL_ALGORITHM *a, const struct sieve_row *row)
{
	size_t n = strlen(row->name);

	return strncmp(a->algorithm_names, row->name, n) == 0 &&
	    (a->algorithm_names[n] == ':' || a->algorithm_names[n] == '\0') &&
	    (row->property == NULL ||
	    strstr(a->property_definition, row->property) != NULL);
}

static void
sift(int operation, const struct sieve_row *rows, size_t nrows)
{
	const OSSL_ALGORITHM	*a;
	size_t			 i, n = 0;
	int			 no_cache;

	a = OSSL_PROVIDER_query_operation(sieve.real, operation, &no_cache);
	for (; a != NULL && a->algorithm_names != NULL; a++)
		for (i = 0; i < nrows; i++)
			if (rows[i].operation == operation && n < SIEVE_MAX &&
			    matches(a, &rows[i]))
				sieve.kept[operation][n++] = *a;
}

static const OSSL_ALGORITHM *
query(void *provctx, int operation, int *no_cache)
{
	*no_cache = 0;
	if (operation < 0 || operation > OSSL_OP__HIGHEST ||
	    sieve.kept[operation][0].algorithm_names == NULL)
		return NULL;
	return sieve.kept[operation];
}

/* libssl asks here for the groups of TLS. */
static int
capabilities(void *provctx, const char *what, OSSL_CALLBACK *cb, void *arg)
{
	return OSSL_PROVIDER_get_capabilities(sieve.real, what, cb, arg);
}

static int
entry(const OSSL_CORE_HANDLE *core, const OSSL_DISPATCH *in,
    const OSSL_DISPATCH **out, void **provctx)
{
	static const OSSL_DISPATCH functions[] = {
		{ OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query },
		{ OSSL_FUNC_PROVIDER_GET_CAPABILITIES,
		    (void (*)(void))capabilities },
		{ 0, NULL }
	};

	*out = functions;
	*provctx = OSSL_PROVIDER_get0_provider_ctx(sieve.real);
	return 1;
}

OSSL_LIB_CTX *
sieve_open(const struct sieve_row *rows, size_t nrows)
{
	OSSL_LIB_CTX	*inner;
	int		 operation;

	if (sieve.outer != NULL)
		return sieve.outer;
	if ((inner = OSSL_LIB_CTX_new()) == NULL ||
	    (sieve.real = OSSL_PROVIDER_load(inner, "default")) == NULL)
		return NULL;
	for (operation = 0; operation <= OSSL_OP__HIGHEST; operation++)
		sift(operation, rows, nrows);
	if ((sieve.outer = OSSL_LIB_CTX_new()) == NULL ||
	    OSSL_PROVIDER_add_builtin(sieve.outer, "sieve", entry) != 1 ||
	    OSSL_PROVIDER_load(sieve.outer, "sieve") == NULL) {
		sieve.outer = NULL;
		return NULL;
	}
	return sieve.outer;
}
