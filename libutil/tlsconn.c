/*
 * A TLS 1.3 connection on the event loop. The private key is at keyd: a
 * handshake pauses for its signature and no other connection waits with it.
 */
#include <sys/socket.h>

#include <openssl/async.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "tlsconn.h"

#define SIGN_TIMEOUT	10000			/* ms */
#define OUT_MAX		256			/* tokens that wait to be sent */
#define READS_MAX	32			/* a turn; others want theirs */

struct tls {
	uv_poll_t	 poll;
	int		 watched;	/* UV_READABLE, ... */
	int		 fd;
	SSL		*ssl;
	bool		 server, up, failed, closed, paused;
	struct refusal	 why;		/* from the verification */
	STACK_OF(X509)	*chain;		/* during the verification */
	const struct tls_events *ev;
	void		*arg;
	uint8_t		 out[OUT_MAX];
	size_t		 outlen;
};

/* ---- the library --------------------------------------------------------- */

static OSSL_LIB_CTX	*library;	/* the process's, once it is open */

OSSL_LIB_CTX *
tls_lib(void)
{
	return library;
}

int
tls_library(const struct sieve_row *rows, size_t nrows, bool rsa)
{
	if (!OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG |
	    OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL) ||
	    !OPENSSL_init_ssl(OPENSSL_INIT_LOAD_SSL_STRINGS |
	    OPENSSL_INIT_NO_LOAD_CONFIG, NULL) ||
	    (library = sieve_open(rows, nrows)) == NULL ||
	    provider_init(library, rsa) == -1 ||
	    !ASYNC_init_thread((size_t)2 * (rsa ? SIGN_SLOTS : SIGN_MAX), 0))
		return -1;
	return 0;
}

X509 *
tls_parse(const uint8_t *der, size_t len)
{
	const uint8_t	*p = der;
	X509		*x = X509_new_ex(library, TLS_PROPQ);

	if (x == NULL || d2i_X509(&x, &p, (long)len) == NULL) {
		X509_free(x);
		ERR_clear_error();
		return NULL;
	}
	if (p != der + len) {
		X509_free(x);
		return NULL;
	}
	return x;
}

SSL_CTX *
tls_rules(const SSL_METHOD *method, const char *ciphers, char *sigalgs,
    long list, long fragment)
{
	SSL_CTX	*ctx = SSL_CTX_new_ex(library, TLS_PROPQ, method);
	/* P-256 second: libssl checks each point of it with a multiplication. */
	char	 groups[] = "X25519:P-256:P-384";

	if (ctx == NULL)
		return NULL;
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
	    SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(ctx, SSL_MODE_NO_AUTO_CHAIN |
	    SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_max_early_data(ctx, 0);
	SSL_CTX_set_recv_max_early_data(ctx, 0);
	SSL_CTX_set_max_cert_list(ctx, list);
	SSL_CTX_set_max_send_fragment(ctx, fragment);
	SSL_CTX_set_cert_verify_callback(ctx, tls_verify, NULL);
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) &&
	    SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) &&
	    SSL_CTX_set_num_tickets(ctx, 0) &&
	    SSL_CTX_set_ciphersuites(ctx, ciphers) &&
	    SSL_CTX_set1_groups_list(ctx, groups) &&
	    SSL_CTX_set1_sigalgs_list(ctx, sigalgs))
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

/* ---- keyd ---------------------------------------------------------------- */

static void
keyd_signed(const struct ipc_reply *r, void *arg)
{
	uint32_t id = (uint32_t)(uintptr_t)arg;
	const struct msg_tls_sign_rep *m;

	if (r->type == MSG_TLS_SIGN_REP) {
		m = r->msg;
		provider_done(id, R_OK, m->signature.data, m->signature.len);
	} else
		provider_done(id, r->reason, NULL, 0);
}

static enum reason
keyd_sign(const struct sign_request *q)
{
	struct chan		*c = hub_link(IPC_KEYD);
	struct msg_tls_sign_req	 m = { .key = q->key, .scheme = q->scheme };

	if (c == NULL)
		return R_IPC_NOLINK;
	if (chan_window(c) == 0)
		return R_TLS_BUSY;
	if (IPC_SET_BLOB(m.content, q->content, q->len) == -1 ||
	    chan_call(c, MSG_TLS_SIGN_REQ, &m, -1, SIGN_TIMEOUT, keyd_signed,
	    (void *)(uintptr_t)q->id) == -1)
		return R_IPC_CLOSED;
	return R_OK;
}

void
tls_keyd(void)
{
	provider_signer(keyd_sign);
}

/* ---- certificates -------------------------------------------------------- */

/*
 * libssl makes the alert of the verification error. What the other side may
 * know: its leaf is out of date, unfit, or of an unknown issuer.
 */
int
tls_alert(enum reason reason)
{
	switch (reason) {
	case R_TLS_EXPIRED:
	case R_CRT_CLIENT_EXPIRED:
		return X509_V_ERR_CERT_HAS_EXPIRED;
	case R_TLS_NOT_YET_VALID:
		return X509_V_ERR_CERT_NOT_YET_VALID;
	case R_TLS_PURPOSE:
	case R_TLS_KEY_USAGE:
	case R_TLS_LEAF_CA:
		return X509_V_ERR_INVALID_PURPOSE;
	case R_TLS_NO_IDENTITY:
	case R_TLS_TWO_IDENTITIES:
	case R_TLS_BAD_IDENTITY:
	case R_TLS_CERTIFICATE:
		return X509_V_ERR_CERT_REJECTED;
	default:
		return X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY;
	}
}

int
tls_verify(X509_STORE_CTX *store, void *arg)
{
	SSL		*ssl = X509_STORE_CTX_get_ex_data(store,
			    SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls	*t = SSL_get_app_data(ssl);
	X509		*leaf = X509_STORE_CTX_get0_cert(store);
	int		 r = -1;

	t->chain = X509_STORE_CTX_get0_untrusted(store);
	if (leaf != NULL)
		r = t->ev->verify(t, t->arg, leaf, &t->why);
	t->chain = NULL;
	if (r == -1) {
		X509_STORE_CTX_set_error(store, tls_alert(t->why.reason));
		return 0;
	}
	t->why.reason = R_OK;
	X509_STORE_CTX_set_error(store, X509_V_OK);
	return 1;
}

EVP_PKEY *
tls_leaf_key(X509 *leaf, uint32_t key, enum key_algorithm algorithm)
{
	EVP_PKEY	*pub = X509_get0_pubkey(leaf);
	BIGNUM		*n = NULL;
	uint8_t		 raw[256];
	size_t		 len = 0;

	if (pub == NULL)
		return NULL;
	if (algorithm != KEY_RSA2048) {
		if (!EVP_PKEY_get_octet_string_param(pub,
		    OSSL_PKEY_PARAM_PUB_KEY, raw, sizeof(raw), &len))
			return NULL;
	} else {
		if (EVP_PKEY_get_bn_param(pub, OSSL_PKEY_PARAM_RSA_N, &n) &&
		    BN_num_bytes(n) == (int)sizeof(raw))
			len = (size_t)BN_bn2bin(n, raw);
		BN_free(n);
	}
	return provider_key(key, algorithm, raw, len);
}

/* ---- why it failed ------------------------------------------------------- */

static void
why_library(struct refusal *why, unsigned long e)
{
	int n = ERR_GET_REASON(e);

	if (n >= SSL_AD_REASON_OFFSET) {
		n -= SSL_AD_REASON_OFFSET;
		refusal_set(why, n == SSL_AD_PROTOCOL_VERSION ? R_TLS_VERSION :
		    R_TLS_REFUSED_US, "alert", NULL,
		    SSL_alert_desc_string_long(n));
		return;
	}
	switch (n) {
	case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
		refusal_set(why, R_TLS_NO_CERTIFICATE, "certificate", "one",
		    "none");
		break;
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_WRONG_VERSION_NUMBER:
		refusal_set(why, R_TLS_VERSION, "version", "TLS 1.3",
		    ERR_reason_error_string(e));
		break;
	case SSL_R_UNEXPECTED_EOF_WHILE_READING:
		refusal_set(why, R_TLS_CLOSED, NULL, NULL, NULL);
		break;
	default:
		refusal_set(why, R_TLS_PROTOCOL, "handshake", NULL,
		    ERR_reason_error_string(e));
	}
}

static void
why_failed(struct tls *t, int error, int saved_errno, struct refusal *why)
{
	enum reason	r = provider_failure();
	unsigned long	e = ERR_peek_error();

	if (t->why.reason != R_OK)
		*why = t->why;
	else if (r != R_OK)
		refusal_set(why, r, "signature", NULL, NULL);
	else if (error == SSL_ERROR_ZERO_RETURN)
		refusal_set(why, R_TLS_CLOSED, NULL, NULL, NULL);
	else if (error == SSL_ERROR_WANT_ASYNC_JOB)
		refusal_set(why, R_TLS_BUSY, NULL, NULL, NULL);
	else if (e != 0 && ERR_GET_LIB(e) != ERR_LIB_SYS)
		why_library(why, e);
	else
		refusal_set(why, R_TLS_BROKEN, NULL, NULL,
		    strerrordesc_np(saved_errno));
	ERR_clear_error();
}

/* ---- the connection ------------------------------------------------------ */

static void tls_event(uv_poll_t *, int, int);

static void
watch(struct tls *t, int events)
{
	if (t->watched == events)
		return;
	t->watched = events;
	if (events == 0)
		uv_poll_stop(&t->poll);
	else
		uv_poll_start(&t->poll, events, tls_event);
}

static void
went_down(struct tls *t, int error, int saved_errno)
{
	struct refusal why;

	t->failed = true;
	why_failed(t, error, saved_errno, &why);
	watch(t, 0);
	t->ev->down(t, t->arg, &why);
}

static void
handshake(struct tls *t)
{
	int r, error;

	ERR_clear_error();
	(void)provider_failure();
	r = SSL_do_handshake(t->ssl);
	switch (error = SSL_get_error(t->ssl, r)) {
	case SSL_ERROR_NONE:
		/* Left on, it would cost every read and write a job. */
		SSL_clear_mode(t->ssl, SSL_MODE_ASYNC);
		t->up = true;
		watch(t, UV_READABLE);
		t->ev->up(t, t->arg);
		break;
	case SSL_ERROR_WANT_READ:
		watch(t, UV_READABLE);
		break;
	case SSL_ERROR_WANT_WRITE:
		watch(t, UV_WRITABLE);
		break;
	case SSL_ERROR_WANT_ASYNC:
		watch(t, 0);
		provider_flush();	/* t may be over when this returns */
		break;
	default:
		went_down(t, error, errno);
	}
}

/* The signature came, or will not come: libssl calls back to go on. */
static int
signature_came(SSL *ssl, void *arg)
{
	struct tls *t = arg;

	if (!t->closed)
		handshake(t);
	return 1;
}

/* An error here is met again by the next read. */
size_t
tls_write(struct tls *t, const void *p, size_t len)
{
	size_t	n, done = 0;
	int	error = SSL_ERROR_NONE;

	while (done < len) {
		ERR_clear_error();
		if (SSL_write_ex(t->ssl, (const uint8_t *)p + done, len - done,
		    &n) != 1) {
			error = SSL_get_error(t->ssl, 0);
			break;
		}
		done += n;
	}
	if (error != SSL_ERROR_NONE && error != SSL_ERROR_WANT_WRITE)
		t->paused = false;
	watch(t, (t->paused ? 0 : UV_READABLE) |
	    (error == SSL_ERROR_WANT_WRITE ? UV_WRITABLE : 0));
	return done;
}

static void
flush(struct tls *t)
{
	size_t	n = tls_write(t, t->out, t->outlen);

	t->outlen -= n;
	memmove(t->out, t->out + n, t->outlen);
	if (t->ev->drained != NULL)
		t->ev->drained(t, t->arg);
}

static void
receive(struct tls *t)
{
	uint8_t	buf[1024];
	int	i, n, error;

	/* What libssl holds back of a record makes no socket readable. */
	for (i = 0; (i < READS_MAX && !t->paused) || SSL_pending(t->ssl) > 0;
	    i++) {
		ERR_clear_error();
		n = SSL_read(t->ssl, buf, sizeof(buf));
		if (n > 0) {
			t->ev->data(t, t->arg, buf, (size_t)n);
			explicit_bzero(buf, (size_t)n);
			if (t->closed)
				return;
			continue;
		}
		error = SSL_get_error(t->ssl, n);
		if (error != SSL_ERROR_WANT_READ &&
		    error != SSL_ERROR_WANT_WRITE)
			went_down(t, error, errno);
		return;
	}
}

static void
tls_event(uv_poll_t *h, int status, int events)
{
	struct tls *t = h->data;

	/* A reset stops the handle; reading tells what it was. */
	if (status < 0) {
		t->watched = 0;
		watch(t, UV_READABLE);
		events = UV_READABLE;
	}
	if (!t->up) {
		handshake(t);
		return;
	}
	if (events & UV_WRITABLE)
		flush(t);
	if (events & UV_READABLE && !t->closed)
		receive(t);
}

static void
tls_free(uv_handle_t *h)
{
	free(h->data);
}

static SSL *
session_new(struct tls *t, SSL_CTX *ctx)
{
	SSL *ssl = SSL_new(ctx);

	if (ssl == NULL || !SSL_set_fd(ssl, t->fd) ||
	    !SSL_set_app_data(ssl, t) ||
	    !SSL_set_async_callback(ssl, signature_came) ||
	    !SSL_set_async_callback_arg(ssl, t)) {
		SSL_free(ssl);
		return NULL;
	}
	SSL_set_mode(ssl, SSL_MODE_ASYNC);
	if (t->server)
		SSL_set_accept_state(ssl);
	else
		SSL_set_connect_state(ssl);
	return ssl;
}

struct tls *
tls_start(uv_loop_t *loop, SSL_CTX *ctx, int fd, bool server,
    const struct tls_events *ev, void *arg)
{
	struct tls *t;

	if ((t = calloc(1, sizeof(*t))) == NULL)
		fatal("tls");
	t->fd = fd;
	t->server = server;
	t->ev = ev;
	t->arg = arg;
	if ((t->ssl = session_new(t, ctx)) == NULL)
		fatalx("tls: no memory");
	if (uv_poll_init(loop, &t->poll, fd) != 0)
		fatalx("tls: descriptor cannot be watched");
	t->poll.data = t;
	/* A client speaks first, a server listens first. */
	watch(t, server ? UV_READABLE : UV_WRITABLE);
	return t;
}

int
tls_send(struct tls *t, const void *p, size_t len)
{
	if (len > sizeof(t->out) - t->outlen)
		return -1;
	memcpy(t->out + t->outlen, p, len);
	t->outlen += len;
	flush(t);
	return 0;
}

/*
 * A job that is paused cannot be freed: it is told to give up, resumed once
 * more, and ends in failure. There is no other way to close.
 */
void
tls_close(struct tls *t)
{
	if (t == NULL || t->closed)
		return;
	t->closed = true;
	if (!t->up && provider_abort(t->ssl))
		(void)SSL_do_handshake(t->ssl);
	else if (t->up && !t->failed)
		(void)SSL_shutdown(t->ssl);
	(void)provider_failure();
	ERR_clear_error();
	SSL_free(t->ssl);
	t->ssl = NULL;
	uv_close((uv_handle_t *)&t->poll, tls_free);
	close(t->fd);
}

X509 *
tls_leaf(const struct tls *t)
{
	return SSL_get0_peer_certificate(t->ssl);
}

void
tls_pause(struct tls *t, bool paused)
{
	if (t->paused == paused || t->failed)
		return;
	t->paused = paused;
	watch(t, (t->watched & UV_WRITABLE) | (paused ? 0 : UV_READABLE));
}

void
tls_finish(struct tls *t)
{
	ERR_clear_error();
	(void)SSL_shutdown(t->ssl);
	ERR_clear_error();
	(void)shutdown(t->fd, SHUT_WR);
}

STACK_OF(X509) *
tls_chain(const struct tls *t)
{
	return t->chain;
}

SSL *
tls_ssl(const struct tls *t)
{
	return t->ssl;
}
