/*
 * What is loaded at its first use, before confinement: handshakes in memory
 * with a certificate on both sides, a client's chain, JSON, time zones.
 */
#include <openssl/err.h>
#include <stdlib.h>
#include <time.h>

#include "clock.h"
#include "enrold.h"

/* As on_verify(), with the leaf below a CA of ours, then below a maker. */
static int
warm_verify(X509_STORE_CTX *store, void *arg)
{
	struct client	 who;
	struct refusal	 why;
	int		*kinds = arg;

	if (client_verify(X509_STORE_CTX_get0_cert(store),
	    X509_STORE_CTX_get0_untrusted(store), clock_trusted(), &who,
	    &why) == -1)
		return 0;
	*kinds |= 1 << who.kind;
	X509_STORE_CTX_set_error(store, X509_V_OK);
	return 1;
}

/* The CA of the handshake is one of ours, or a maker's root, for a moment. */
static int
warm_trust(X509 *ca, bool ours)
{
	struct msg_enrol_ca	*a = calloc(1, sizeof(*a));
	struct msg_enrol_maker	*m = calloc(1, sizeof(*m));
	uint8_t			*der = NULL;
	int			 len = ca == NULL ? 0 : i2d_X509(ca, &der);
	int			 r = -1;

	if (a == NULL || m == NULL || len < 0)
		goto out;
	if (ours && ca != NULL) {
		IPC_SET_BLOB(a->root, der, (size_t)len);
		IPC_SET_BLOB(a->issuing, der, (size_t)len);
	} else if (ca != NULL)
		IPC_SET_BLOB(m->certificate, der, (size_t)len);
	r = ours ? enrold_ca(NULL, NULL, a) : enrold_maker(NULL, NULL, m);
 out:
	OPENSSL_free(der);
	free(a);
	free(m);
	return r;
}

static SSL_CTX *
warm_client(const struct warm *w)
{
	SSL_CTX	*ctx = SSL_CTX_new_ex(w->lib, TLS_PROPQ,
		    TLS_client_method());

	if (ctx != NULL && SSL_CTX_use_certificate(ctx, w->leaf) == 1 &&
	    SSL_CTX_use_PrivateKey(ctx, w->remote) == 1)
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

static int
warm_tls(enum key_algorithm algorithm, bool ours)
{
	struct warm	 w;
	SSL_CTX		*servers = NULL, *clients = NULL;
	int		 r = -1, kinds = 0;

	if (warm_open(&w, tls_lib(), algorithm, "DNS:localhost") == -1 ||
	    (servers = tls_context(0, algorithm, w.leaf, w.ca, NULL, true)) ==
	    NULL || (clients = warm_client(&w)) == NULL ||
	    warm_trust(w.ca, ours) == -1)
		goto out;
	SSL_CTX_set_cert_verify_callback(servers, warm_verify, &kinds);
	if (warm_handshake(servers, clients) &&
	    kinds == 1 << (ours ? CLIENT_OURS : CLIENT_MAKER))
		r = 0;
	warm_trust(NULL, ours);
 out:
	SSL_CTX_free(servers);
	SSL_CTX_free(clients);
	warm_close(&w);
	return r;
}

int
warm(void)
{
	char	text[32];

	tzset();
	time_text(clock_trusted(), text);
	json_warm();
	if (warm_tls(KEY_P256, true) == -1 ||
	    warm_tls(KEY_RSA2048, false) == -1 ||
	    csr_warm(tls_lib()) == -1 || est_warm(tls_lib()) == -1 ||
	    tls_parse((const uint8_t *)"0", 1) != NULL)
		return -1;
	ERR_clear_error();
	return 0;
}
