/*
 * A TLS 1.3 connection on the event loop. The private key is at keyd: a
 * handshake pauses for its signature and no other connection waits with it.
 */
#include <openssl/async.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "sieve.h"
#include "tls.h"

#define SIGN_TIMEOUT	10000			/* ms */
#define OUT_MAX		256			/* tokens that wait to be sent */
#define CERT_LIST_MAX	8192			/* bytes of certificates a peer may send */
#define FRAGMENT_MAX	2048
#define READS_MAX	32			/* a turn; others want theirs */

struct tls {
	uv_poll_t	 poll;
	int		 watched;	/* UV_READABLE, ... */
	int		 fd;
	SSL		*ssl;
	bool		 server, up, failed, closed;
	struct refusal	 why;		/* from the verification */
	const struct tls_events *ev;
	void		*arg;
	uint8_t		 out[OUT_MAX];
	size_t		 outlen;
};

/* What TLS 1.3 as below and certificates over P-256 and P-384 are made of. */
static const struct sieve_row algorithms[] = {
	{ OSSL_OP_DIGEST,	"SHA1",			NULL },	/* X509_cmp() */
	{ OSSL_OP_DIGEST,	"SHA2-256",		NULL },
	{ OSSL_OP_DIGEST,	"SHA2-384",		NULL },
	{ OSSL_OP_CIPHER,	"AES-256-GCM",		NULL },
	{ OSSL_OP_CIPHER,	"AES-128-GCM",		NULL },
	{ OSSL_OP_CIPHER,	"ChaCha20-Poly1305",	NULL },
	{ OSSL_OP_MAC,		"HMAC",			NULL },
	{ OSSL_OP_KDF,		"HKDF",			NULL },
	{ OSSL_OP_KDF,		"TLS13-KDF",		NULL },
	{ OSSL_OP_RAND,		"CTR-DRBG",		NULL },
	{ OSSL_OP_RAND,		"SEED-SRC",		NULL },
	{ OSSL_OP_KEYMGMT,	"EC",			NULL },
	{ OSSL_OP_KEYMGMT,	"X25519",		NULL },
	{ OSSL_OP_KEYEXCH,	"ECDH",			NULL },
	{ OSSL_OP_KEYEXCH,	"X25519",		NULL },
	{ OSSL_OP_SIGNATURE,	"ECDSA",		NULL },
	{ OSSL_OP_DECODER,	"EC",
	    "input=der,structure=SubjectPublicKeyInfo" },
	{ OSSL_OP_ENCODER,	"EC",			/* warm.c's */
	    "output=der,structure=SubjectPublicKeyInfo" },
};

static struct {
	OSSL_LIB_CTX	*lib;
	SSL_CTX		*ctx;		/* both sides; replaced with the leaf */
} tls;

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

/* ---- the context --------------------------------------------------------- */

static int
cert_verify(X509_STORE_CTX *store, void *arg)
{
	SSL		*ssl = X509_STORE_CTX_get_ex_data(store,
			    SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls	*t = SSL_get_app_data(ssl);
	X509		*leaf = X509_STORE_CTX_get0_cert(store);

	if (leaf == NULL || t->ev->verify(t, t->arg, leaf, &t->why) == -1) {
		X509_STORE_CTX_set_error(store, verify_alert(t->why.reason));
		return 0;
	}
	t->why.reason = R_OK;
	X509_STORE_CTX_set_error(store, X509_V_OK);
	return 1;
}

/*
 * No tickets, no cache, no early data: a session cannot be resumed, so no
 * revocation needs to be looked for in one.
 */
SSL_CTX *
tls_context(void)
{
	SSL_CTX	*ctx = SSL_CTX_new_ex(tls.lib, TLS_PROPQ, TLS_method());
	/* P-256 second: libssl checks each point of it with a multiplication. */
	char	 groups[] = "X25519:P-256:P-384";
	char	 sigalgs[] = "ecdsa_secp256r1_sha256:ecdsa_secp384r1_sha384";

	if (ctx == NULL)
		return NULL;
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
	    SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_mode(ctx, SSL_MODE_NO_AUTO_CHAIN |
	    SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_max_early_data(ctx, 0);
	SSL_CTX_set_recv_max_early_data(ctx, 0);
	SSL_CTX_set_max_cert_list(ctx, CERT_LIST_MAX);
	SSL_CTX_set_max_send_fragment(ctx, FRAGMENT_MAX);
	SSL_CTX_set_verify(ctx,
	    SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(ctx, cert_verify, NULL);
	if (!SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) ||
	    !SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) ||
	    !SSL_CTX_set_num_tickets(ctx, 0) ||
	    !SSL_CTX_set_ciphersuites(ctx, "TLS_AES_256_GCM_SHA384:"
	    "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256") ||
	    !SSL_CTX_set1_groups_list(ctx, groups) ||
	    !SSL_CTX_set1_sigalgs_list(ctx, sigalgs)) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

int
tls_init(const struct conf *conf)
{
	if (!OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG |
	    OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL) ||
	    !OPENSSL_init_ssl(OPENSSL_INIT_LOAD_SSL_STRINGS |
	    OPENSSL_INIT_NO_LOAD_CONFIG, NULL) ||
	    (tls.lib = sieve_open(algorithms,
	    sizeof(algorithms) / sizeof(algorithms[0]))) == NULL ||
	    provider_init(tls.lib) == -1 ||
	    !ASYNC_init_thread((size_t)2 * SIGN_MAX, 0) || tls_warm() == -1) {
		log_warnx("tls: openssl: %s",
		    ERR_reason_error_string(ERR_peek_error()));
		return -1;
	}
	provider_signer(keyd_sign);
	return 0;
}

void
tls_stop(void)
{
	SSL_CTX_free(tls.ctx);
	tls.ctx = NULL;
	ASYNC_cleanup_thread();
}

OSSL_LIB_CTX *
tls_lib(void)
{
	return tls.lib;
}

bool
tls_ready(void)
{
	return tls.ctx != NULL;
}

X509 *
tls_parse(const uint8_t *der, size_t len)
{
	const uint8_t	*p = der;
	X509		*x = X509_new_ex(tls.lib, TLS_PROPQ);

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

static EVP_PKEY *
leaf_key(X509 *leaf, uint32_t key, enum key_algorithm algorithm)
{
	EVP_PKEY	*pub = X509_get0_pubkey(leaf);
	uint8_t		 point[97];
	size_t		 len;

	if (pub == NULL || !EVP_PKEY_get_octet_string_param(pub,
	    OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point), &len))
		return NULL;
	return provider_key(key, algorithm, point, len);
}

enum reason
tls_identity(uint32_t key, enum key_algorithm algorithm, const uint8_t *der,
    size_t len)
{
	X509		*leaf = tls_parse(der, len);
	EVP_PKEY	*pkey = NULL;
	SSL_CTX		*ctx = NULL;
	enum reason	 r = R_TLS_BAD_LEAF;

	if (leaf == NULL || (pkey = leaf_key(leaf, key, algorithm)) == NULL ||
	    (ctx = tls_context()) == NULL ||
	    SSL_CTX_use_certificate(ctx, leaf) != 1 ||
	    SSL_CTX_use_PrivateKey(ctx, pkey) != 1 ||
	    SSL_CTX_check_private_key(ctx) != 1)
		goto out;
	SSL_CTX_free(tls.ctx);
	tls.ctx = ctx;
	ctx = NULL;
	r = R_OK;
 out:
	ERR_clear_error();
	SSL_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	X509_free(leaf);
	return r;
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
static void
flush(struct tls *t)
{
	int n, error = SSL_ERROR_NONE;

	while (t->outlen > 0) {
		ERR_clear_error();
		n = SSL_write(t->ssl, t->out, (int)t->outlen);
		if (n <= 0) {
			error = SSL_get_error(t->ssl, n);
			break;
		}
		t->outlen -= (size_t)n;
		memmove(t->out, t->out + n, t->outlen);
	}
	watch(t, UV_READABLE |
	    (error == SSL_ERROR_WANT_WRITE ? UV_WRITABLE : 0));
}

static void
receive(struct tls *t)
{
	uint8_t	buf[1024];
	int	i, n, error;

	/* What libssl holds back of a record makes no socket readable. */
	for (i = 0; i < READS_MAX || SSL_pending(t->ssl) > 0; i++) {
		ERR_clear_error();
		n = SSL_read(t->ssl, buf, sizeof(buf));
		if (n > 0) {
			t->ev->data(t, t->arg, buf, (size_t)n);
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
	if (events & UV_READABLE)
		receive(t);
}

static void
tls_free(uv_handle_t *h)
{
	free(h->data);
}

static SSL *
session_new(struct tls *t)
{
	SSL *ssl = SSL_new(tls.ctx);

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
tls_open(uv_loop_t *loop, int fd, bool server, const struct tls_events *ev,
    void *arg, struct refusal *why)
{
	struct tls *t;

	if (tls.ctx == NULL) {
		refusal_set(why, R_TLS_NO_LEAF, NULL, NULL, NULL);
		close(fd);
		return NULL;
	}
	if ((t = calloc(1, sizeof(*t))) == NULL)
		fatal("tls");
	t->fd = fd;
	t->server = server;
	t->ev = ev;
	t->arg = arg;
	if ((t->ssl = session_new(t)) == NULL)
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
