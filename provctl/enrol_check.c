/*
 * What a server answered is a certificate once it is over our key, under our
 * name, valid now and below an anchor; until then it is bytes of a stranger.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "enrol.h"
#include "x509time.h"

#define SKEW	300	/* s that a server's clock may be ahead */

static enum outcome
check_name(const X509 *x, const char *name, char text[WHY_MAX])
{
	char		*cn = name_of(X509_get_subject_name(x));
	enum outcome	 w = DONE;

	if (cn == NULL)
		w = why(text, NEVER, "the certificate has not one common "
		    "name");
	else if (strcmp(cn, name) != 0)
		w = why(text, NEVER, "the certificate is for another name: "
		    "asked for %s, given %s", name, cn);
	free(cn);
	return w;
}

/* OpenSSL is not asked: it would want a time_t of its own width. */
static enum outcome
check_time(const X509 *x, const char *whose, char text[WHY_MAX])
{
	uint64_t	now = (uint64_t)time(NULL);

	if (x509_time(X509_get0_notAfter(x)) < now)
		return why(text, NEVER, "%s has expired, or the clock of this "
		    "machine is wrong", whose);
	if (x509_time(X509_get0_notBefore(x)) > now + SKEW)
		return why(text, NEVER, "%s is not valid yet, or the clock of "
		    "this machine is wrong", whose);
	return DONE;
}

/*
 * What may stand between: a new root that a stranger sent would only hide the
 * certificate that the old one gave it, as both have one name and one key.
 */
static STACK_OF(X509) *
between(STACK_OF(X509) *chain)
{
	STACK_OF(X509)	*s = sk_X509_new_null();
	int		 i;

	if (s == NULL)
		abort();
	for (i = 0; i < sk_X509_num(chain); i++)
		if (X509_self_signed(sk_X509_value(chain, i), 0) != 1 &&
		    sk_X509_push(s, sk_X509_value(chain, i)) <= 0)
			abort();
	return s;
}

static enum outcome
check_path(X509 *x, STACK_OF(X509) *chain, STACK_OF(X509) *anchors,
    STACK_OF(X509) **path, char text[WHY_MAX])
{
	X509_STORE	*store = X509_STORE_new();
	X509_STORE_CTX	*ctx = X509_STORE_CTX_new();
	STACK_OF(X509)	*others = between(chain);
	enum outcome	 w = NEVER;
	int		 i;

	if (store == NULL || ctx == NULL)
		abort();
	for (i = 0; i < sk_X509_num(anchors); i++)
		X509_STORE_add_cert(store, sk_X509_value(anchors, i));
	X509_STORE_set_flags(store, X509_V_FLAG_X509_STRICT |
	    X509_V_FLAG_NO_CHECK_TIME);
	if (X509_STORE_CTX_init(ctx, store, x, others) != 1)
		why(text, NEVER, "the chain cannot be checked");
	else if (X509_verify_cert(ctx) != 1)
		why(text, NEVER, "the certificate does not lead to the CA that "
		    "is trusted here: %s", X509_verify_cert_error_string(
		    X509_STORE_CTX_get_error(ctx)));
	else if ((*path = X509_STORE_CTX_get1_chain(ctx)) != NULL)
		w = DONE;
	X509_STORE_CTX_free(ctx);
	sk_X509_free(others);
	X509_STORE_free(store);
	return w;
}

enum outcome
check_cert(X509 *x, STACK_OF(X509) *chain, STACK_OF(X509) *anchors,
    EVP_PKEY *key, const char *name, STACK_OF(X509) **path,
    char text[WHY_MAX])
{
	EVP_PKEY	*pub = X509_get0_pubkey(x);
	enum outcome	 w;
	int		 i;

	*path = NULL;
	if (pub == NULL || EVP_PKEY_eq(pub, key) != 1)
		w = why(text, NEVER, "the certificate is over another key");
	else if (X509_check_ca(x) != 0)
		w = why(text, NEVER, "the certificate is that of a CA");
	else if ((w = check_name(x, name, text)) == DONE &&
	    (w = check_time(x, "the certificate", text)) == DONE)
		w = check_path(x, chain, anchors, path, text);
	for (i = 1; w == DONE && i < sk_X509_num(*path); i++)
		w = check_time(sk_X509_value(*path, i), "a CA above the "
		    "certificate", text);
	if (w != DONE) {
		sk_X509_pop_free(*path, X509_free);
		*path = NULL;
	}
	ERR_clear_error();
	return w;
}

uint64_t
check_renewal(const X509 *x)
{
	uint64_t	from = x509_time(X509_get0_notBefore(x)),
			until = x509_time(X509_get0_notAfter(x));

	return until < from ? 0 : from + (until - from) / 3 * 2;
}
