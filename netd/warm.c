/*
 * A whole handshake in memory before confinement, with keys that are then
 * forgotten, and what our own checks of a certificate load lazily.
 */
#include <openssl/err.h>
#include <time.h>

#include "clock.h"
#include "tls.h"

static int
warm_verify(X509_STORE_CTX *store, void *arg)
{
	X509		*anchor = arg, *leaf = X509_STORE_CTX_get0_cert(store);
	struct refusal	 why;
	char		 node[NODE_MAX];

	if (verify_identity(leaf, node, &why) == -1 ||
	    verify_leaf(leaf, &anchor, 1, true, (int64_t)clock_trusted(),
	    &why) == -1)
		return 0;
	X509_STORE_CTX_set_error(store, X509_V_OK);
	return 1;
}

/* What a failed handshake needs: error strings, the alert, the time zone. */
static bool
warm_failure(X509 *leaf)
{
	struct refusal	why;
	struct tm	tm;
	time_t		now = (time_t)clock_trusted();

	tzset();
	return gmtime_r(&now, &tm) != NULL && localtime_r(&now, &tm) != NULL &&
	    verify_leaf(leaf, NULL, 0, true, 0, &why) == -1 &&
	    tls_parse((const uint8_t *)"0", 1) == NULL;
}

int
tls_warm(void)
{
	struct warm	 w;
	SSL_CTX		*ctx = NULL;
	int		 r = -1;

	if (warm_open(&w, tls_lib(), KEY_P256, "URI:urn:provd:node:"
	    "0000000000000000000000000000000000000000") == -1 ||
	    (ctx = tls_context()) == NULL ||
	    SSL_CTX_use_certificate(ctx, w.leaf) != 1 ||
	    SSL_CTX_use_PrivateKey(ctx, w.remote) != 1)
		goto out;
	SSL_CTX_set_cert_verify_callback(ctx, warm_verify, w.ca);
	if (warm_handshake(ctx, ctx) && warm_failure(w.leaf))
		r = 0;
 out:
	if (r == 0)
		ERR_clear_error();
	SSL_CTX_free(ctx);
	warm_close(&w);
	return r;
}
