/*
 * enrold as a process of its own, over real channels, against a policyd, a
 * netd and a keyd that the test plays, and clients on sockets that it hands
 * over.
 */
#ifndef ENROL_WORLD_H
#define ENROL_WORLD_H

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "../../enrold/enrold.h"
#include "log.h"
#include "x509time.h"

#define N(a)		(sizeof(a) / sizeof((a)[0]))
#define PATIENCE	120000	/* ms; a loaded machine with sanitizers */
#define DAY		86400

static uv_loop_t	loop;
static uv_timer_t	patience;
static uint32_t		request_ms = PATIENCE;	/* of enrold */

enum { L_TLS, L_MUTUAL, L_PLAIN, L_STATUS, L_RSA, L_NONE };

static struct {
	pid_t			 pid;
	struct chan		*hub, *netd, *keyd;	/* we are those */
	unsigned		 ready, handed, over, taken, offences, signatures;
	uint32_t		 over_last;
	bool			 mute_keyd, refuse_keyd;
	bool			 mute;	/* policyd does not answer */
	enum reason		 refuse;	/* or refuses */
	unsigned		 asked;
	struct msg_enrol_req	 req;
	struct msg_revoke_req	 revoke;
	struct msg_cert_status_req status;
	struct msg_ocsp_req	 ocsp;
	struct ipc_call		 calls[512];	/* of those not answered */
	uint64_t		 counts[R_COUNT];
	EVP_PKEY		*ca_key, *ec_key, *rsa_key, *other_key;
	X509			*ca, *ec, *rsa, *other;	/* other: a CA */
} w;

/* ---- certificates ------------------------------------------------------------ */

struct cert_conf {
	EVP_PKEY	*key, *signer;
	X509		*issuer;	/* NULL: a CA, of its own */
	const char	*cn, *unit, *eku;
	int64_t		 from, to;	/* s from now */
};

static inline void
extend(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX	 ctx;
	X509_EXTENSION	*e;

	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	assert_non_null(e = X509V3_EXT_nconf_nid(NULL, &ctx, nid, value));
	assert_int_equal(X509_add_ext(x, e, -1), 1);
	X509_EXTENSION_free(e);
}

static inline void
name_add(X509_NAME *name, const char *what, const char *value)
{
	if (value != NULL)
		assert_int_equal(X509_NAME_add_entry_by_txt(name, what,
		    MBSTRING_UTF8, (const uint8_t *)value, -1, -1, 0), 1);
}

static inline X509 *
cert(const struct cert_conf *c)
{
	static uint32_t	 serial = 0x70000000;
	X509		*x = X509_new();
	X509		*issuer = c->issuer == NULL ? x : c->issuer;
	uint64_t	 now = (uint64_t)time(NULL);

	X509_set_version(x, X509_VERSION_3);
	assert_int_equal(ASN1_INTEGER_set_uint64(X509_get_serialNumber(x),
	    serial++), 1);
	assert_int_equal(x509_time_set(X509_getm_notBefore(x),
	    now + (uint64_t)(c->from == 0 ? -DAY : c->from)), 0);
	assert_int_equal(x509_time_set(X509_getm_notAfter(x),
	    now + (uint64_t)(c->to == 0 ? DAY : c->to)), 0);
	name_add(X509_get_subject_name(x), "serialNumber", c->unit);
	name_add(X509_get_subject_name(x), "CN", c->cn);
	X509_set_issuer_name(x, X509_get_subject_name(issuer));
	X509_set_pubkey(x, c->key);
	extend(x, x, NID_subject_key_identifier, "hash");
	extend(x, issuer, NID_authority_key_identifier, "keyid:always");
	if (c->issuer == NULL) {
		extend(x, x, NID_basic_constraints, "critical,CA:TRUE");
		extend(x, x, NID_key_usage, "critical,keyCertSign,cRLSign");
	} else {
		extend(x, issuer, NID_basic_constraints,
		    "critical,CA:FALSE");
		extend(x, issuer, NID_key_usage,
		    "critical,digitalSignature");
		extend(x, issuer, NID_ext_key_usage,
		    c->eku == NULL ? "clientAuth" : c->eku);
	}
	assert_true(X509_sign(x, c->signer, EVP_sha256()) > 0);
	return x;
}

/* A request in DER, with the key that signs it; free with OPENSSL_free(). */
static inline size_t
csr_der(const char *cn, EVP_PKEY *key, EVP_PKEY *signer, uint8_t **der)
{
	X509_REQ	*r = X509_REQ_new();
	int		 n;

	X509_REQ_set_version(r, X509_REQ_VERSION_1);
	name_add(X509_REQ_get_subject_name(r), "CN", cn);
	assert_int_equal(X509_REQ_set_pubkey(r, key), 1);
	assert_true(X509_REQ_sign(r, signer, EVP_sha256()) > 0);
	*der = NULL;
	assert_true((n = i2d_X509_REQ(r, der)) > 0);
	X509_REQ_free(r);
	return (size_t)n;
}

static inline void
csr_text(const char *cn, EVP_PKEY *key, EVP_PKEY *signer, char *out,
    size_t size)
{
	uint8_t	*der;
	size_t	 n = csr_der(cn, key, signer, &der);

	assert_true(base64_encode(der, n, false, out, size) > 0);
	OPENSSL_free(der);
}

/* ---- the process --------------------------------------------------------------- */

static inline void
child(int hub)
{
	struct conf	 c = { .request_timeout = request_ms,
	    .handshake_timeout = request_ms };
	struct hub_conf	 hc = { .self = IPC_ENROLD, .developer = true,
	    .peers = enrold_peers, .npeers = enrold_npeers,
	    .down = enrold_down };
	uv_loop_t	 l;

	if (tls_init() == -1)
		_exit(1);
	uv_loop_init(&l);
	conns_init(&l, &c);
	if (hub_start(&l, hub, &hc) == -1)
		_exit(1);
	uv_run(&l, UV_RUN_DEFAULT);
	conns_stop();
	ask_stop();
	hub_stop();
	uv_run(&l, UV_RUN_DEFAULT);
	settings_stop();
	tls_stop();
	_exit(uv_loop_close(&l) == 0 ? 0 : 1);
}

/* ---- policyd, played here ------------------------------------------------------- */

static inline int
leave(struct chan *c, const struct ipc_call *call)
{
	assert_true(w.asked < N(w.calls));
	w.calls[w.asked++] = *call;
	return 0;
}

static inline int
on_enrol(struct chan *c, const struct ipc_call *call, const void *msg)
{
	struct msg_enrol_rep	 m = { .ca = 0 };
	uint8_t			*der = NULL, serial[16];
	int			 n;

	w.req = *(const struct msg_enrol_req *)msg;
	if (w.mute)
		return leave(c, call);
	w.asked++;
	if (w.refuse != R_OK)
		return chan_refuse_why(c, call, w.refuse, "name", "a", "b");
	memset(serial, 0x5a, sizeof(serial));
	IPC_SET_BLOB(m.serial, serial, sizeof(serial));
	assert_true((n = i2d_X509(w.ec, &der)) > 0);
	IPC_SET_BLOB(m.certificate, der, (size_t)n);
	OPENSSL_free(der);
	return chan_reply(c, call, MSG_ENROL_REP, &m);
}

static inline int
on_revoke(struct chan *c, const struct ipc_call *call, const void *msg)
{
	w.revoke = *(const struct msg_revoke_req *)msg;
	w.asked++;
	return chan_done(c, call);
}

static inline int
on_status(struct chan *c, const struct ipc_call *call, const void *msg)
{
	struct msg_cert_status_rep m = { .status = CERT_REVOKED,
	    .not_after = 86400, .revoked = 3600,
	    .reason = CRL_KEY_COMPROMISE };

	w.status = *(const struct msg_cert_status_req *)msg;
	if (w.mute)
		return leave(c, call);
	w.asked++;
	return chan_reply(c, call, MSG_CERT_STATUS_REP, &m);
}

static inline int
on_ocsp(struct chan *c, const struct ipc_call *call, const void *msg)
{
	w.ocsp = *(const struct msg_ocsp_req *)msg;
	w.asked++;
	return chan_refuse(c, call, R_CRT_NO_CA);
}

static inline int
on_taken(struct chan *c, const struct ipc_call *call, const void *msg)
{
	const struct msg_enrol_taken *m = msg;

	assert_int_equal(m->serial.len, 16);
	assert_int_equal(m->serial.data[0], 0x5a);
	w.taken++;
	return 0;
}

static inline int
on_counter(struct chan *c, const struct ipc_call *call, const void *msg)
{
	const struct msg_counter *m = msg;

	w.counts[m->reason] = m->count;
	return 0;
}

static inline int
on_offence(struct chan *c, const struct ipc_call *call, const void *msg)
{
	w.offences++;
	return 0;
}

static const struct ipc_handler from_enrold[] = {
	{ MSG_ENROL_REQ, on_enrol }, { MSG_REVOKE_REQ, on_revoke },
	{ MSG_CERT_STATUS_REQ, on_status }, { MSG_OCSP_REQ, on_ocsp },
	{ MSG_ENROL_TAKEN, on_taken }, { MSG_COUNTER, on_counter },
	{ MSG_OFFENCE, on_offence },
};

/* ---- netd and keyd, played here ---------------------------------------------------- */

static inline int
on_http_over(struct chan *c, const struct ipc_call *call, const void *msg)
{
	w.over_last = ((const struct msg_http_over *)msg)->connection;
	w.over++;
	return 0;
}

/* Key 3 is of P-256, key 4 of RSA. */
static inline int
on_sign(struct chan *c, const struct ipc_call *call, const void *msg)
{
	const struct msg_tls_sign_req	*m = msg;
	struct msg_tls_sign_rep		 rep;
	EVP_MD_CTX			*ctx;
	EVP_PKEY_CTX			*pctx;
	uint8_t				 sig[256];
	size_t				 n = sizeof(sig);

	w.signatures++;
	if (w.refuse_keyd)
		return chan_refuse(c, call, R_KEY_NO_TPM);
	if (w.mute_keyd)
		return 0;
	ctx = EVP_MD_CTX_new();
	assert_int_equal(m->scheme, m->key == 4 ? 0x0804 : 0x0403);
	assert_int_equal(EVP_DigestSignInit(ctx, &pctx, EVP_sha256(), NULL,
	    m->key == 4 ? w.rsa_key : w.ec_key), 1);
	if (m->key == 4)
		assert_true(EVP_PKEY_CTX_set_rsa_padding(pctx,
		    RSA_PKCS1_PSS_PADDING) == 1 &&
		    EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx,
		    RSA_PSS_SALTLEN_DIGEST) == 1);
	assert_int_equal(EVP_DigestSign(ctx, sig, &n, m->content.data,
	    m->content.len), 1);
	EVP_MD_CTX_free(ctx);
	IPC_SET_BLOB(rep.signature, sig, n);
	return chan_reply(c, call, MSG_TLS_SIGN_REP, &rep);
}

static const struct ipc_handler netd_from_enrold[] = {
	{ MSG_HTTP_OVER, on_http_over },
};
static const struct ipc_handler keyd_from_enrold[] = {
	{ MSG_TLS_SIGN_REQ, on_sign },
};

/* ---- links --------------------------------------------------------------------------- */

static inline void
on_closed(struct chan *c, enum reason offence, unsigned type)
{
	if (offence != R_OK)
		fail_msg("offence by enrold: %s", reason_code(offence));
	w.hub = c == w.hub ? NULL : w.hub;
	w.netd = c == w.netd ? NULL : w.netd;
	w.keyd = c == w.keyd ? NULL : w.keyd;
}

static inline int
on_link_hello(struct chan *c, const struct ipc_call *call, const void *msg)
{
	chan_set_phase(c, IPC_RUN);
	if (c == w.keyd)
		chan_set_handlers(c, keyd_from_enrold, N(keyd_from_enrold));
	else
		chan_set_handlers(c, netd_from_enrold, N(netd_from_enrold));
	w.ready++;
	return 0;
}

static const struct ipc_handler from_stranger[] = {
	{ MSG_LINK_HELLO, on_link_hello },
};

static inline struct chan *
introduce(enum ipc_role self, uint32_t generation)
{
	struct chan_conf	 conf = { .self = self, .peer = IPC_ENROLD,
	    .generation = generation, .handlers = from_stranger,
	    .nhandlers = 1, .closed = on_closed };
	struct msg_introduce	 m = { .peer = self,
	    .generation = generation };
	struct msg_link_hello	 hello = { .generation = generation };
	struct chan		*c;
	int			 fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    fds), 0);
	assert_non_null(c = chan_open(&loop, fds[0], &conf));
	assert_int_equal(chan_send(w.hub, MSG_INTRODUCE, &m, fds[1]), 0);
	IPC_SET_BLOB(hello.catalogue, ipc_catalogue(), 32);
	assert_int_equal(chan_send(c, MSG_LINK_HELLO, &hello, -1), 0);
	return c;
}

static inline int
on_hello(struct chan *c, const struct ipc_call *call, const void *msg)
{
	struct msg_welcome	m = { .now = (uint64_t)time(NULL) };

	IPC_SET_BLOB(m.catalogue, ipc_catalogue(), 32);
	chan_reply(c, call, MSG_WELCOME, &m);
	chan_set_phase(c, IPC_RUN);
	chan_set_handlers(c, from_enrold, N(from_enrold));
	w.netd = introduce(IPC_NETD, 1);
	w.keyd = introduce(IPC_KEYD, 1);
	return 0;
}

static const struct ipc_handler from_new[] = { { MSG_HELLO, on_hello } };

/* ---- the loop ------------------------------------------------------------------------ */

static inline void
out_of_patience(uv_timer_t *t)
{
	fail_msg("nothing happened in two minutes: asked %u, over %u",
	    w.asked, w.over);
}

#define WAIT_FOR(cond)	do {						\
	uv_timer_start(&patience, out_of_patience, PATIENCE, 0);	\
	while (!(cond))							\
		uv_run(&loop, UV_RUN_ONCE);				\
	uv_timer_stop(&patience);					\
} while (0)

/* ---- settings ------------------------------------------------------------------------- */

static inline void
give_listener(unsigned n, enum enrol_door door, unsigned key, X509 *leaf)
{
	struct msg_enrol_listener	m = { .listener = n, .door = door,
	    .key = key, .algorithm = key == 4 ? KEY_RSA2048 : KEY_P256 };
	uint8_t				*der = NULL;
	int				 len;

	if (leaf != NULL) {
		len = i2d_X509(leaf, &der);
		IPC_SET_BLOB(m.leaf, der, (size_t)len);
		OPENSSL_free(der);
		der = NULL;
		len = i2d_X509(w.ca, &der);
		IPC_SET_BLOB(m.issuing, der, (size_t)len);
		OPENSSL_free(der);
	}
	assert_int_equal(chan_send(w.hub, MSG_ENROL_LISTENER, &m, -1), 0);
}

static inline void
give_ca(unsigned n, X509 *x)
{
	struct msg_enrol_ca	*m = calloc(1, sizeof(*m));
	uint8_t			*der = NULL;
	int			 len = x == NULL ? 0 : i2d_X509(x, &der);

	m->ca = n;
	m->current = true;
	if (len > 0) {
		IPC_SET_BLOB(m->issuing, der, (size_t)len);
		IPC_SET_BLOB(m->root, der, (size_t)len);
		IPC_SET_BLOB(m->ocsp, der, (size_t)len);
	}
	OPENSSL_free(der);
	assert_int_equal(chan_send(w.hub, MSG_ENROL_CA, m, -1), 0);
	free(m);
}

static inline void
give_maker(X509 *x)
{
	struct msg_enrol_maker	*m = calloc(1, sizeof(*m));
	uint8_t			*der = NULL;
	int			 len = x == NULL ? 0 : i2d_X509(x, &der);

	if (len > 0)
		IPC_SET_BLOB(m->certificate, der, (size_t)len);
	OPENSSL_free(der);
	assert_int_equal(chan_send(w.hub, MSG_ENROL_MAKER, m, -1), 0);
	free(m);
}

static inline int
memfd(const void *p, size_t n, bool sealed)
{
	int fd = memfd_create("crl", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd != -1);
	assert_int_equal(write(fd, p, n), (ssize_t)n);
	if (sealed)
		assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK |
		    F_SEAL_WRITE | F_SEAL_GROW), 0);
	return fd;
}

static inline void
give_all(void)
{
	struct msg_enrol_profile	p = { .name = "iot", .keys = 1,
	    .server_keygen = true };

	give_ca(0, w.ca);
	give_listener(L_TLS, DOOR_TLS, 3, w.ec);
	give_listener(L_MUTUAL, DOOR_MUTUAL, 3, w.ec);
	give_listener(L_PLAIN, DOOR_PLAIN, 0, NULL);
	give_listener(L_STATUS, DOOR_STATUS, 0, NULL);
	give_listener(L_RSA, DOOR_TLS, 4, w.rsa);
	assert_int_equal(chan_send(w.hub, MSG_ENROL_PROFILE, &p, -1), 0);
}

/* ---- clients ---------------------------------------------------------------------------- */

struct client_end {
	uv_poll_t	 poll;
	int		 fd;
	SSL_CTX		*ctx;
	SSL		*ssl;		/* NULL: plain */
	bool		 up, failed, eof;
	const char	*queued;	/* to be sent once the handshake is over */
	size_t		 queued_len;
	char		*in;
	size_t		 len;
};

static uint32_t	last_connection = 100;

/* The other end goes to enrold, as netd would hand it. */
static inline void
hand(unsigned listener, int fd)
{
	struct msg_http_accepted m = { .connection = ++last_connection,
	    .listener = listener, .address = "192.0.2.9" };

	assert_int_equal(chan_send(w.netd, MSG_HTTP_ACCEPTED, &m, fd), 0);
	w.handed++;
}

static inline void
client_read(struct client_end *c)
{
	ssize_t	n;

	do {
		if (c->len > 1000000)
			fail_msg("a client reads without end");
		c->in = realloc(c->in, c->len + 4097);
		n = c->ssl == NULL ? recv(c->fd, c->in + c->len, 4096,
		    MSG_DONTWAIT) : SSL_read(c->ssl, c->in + c->len, 4096);
		if (n > 0)
			c->len += (size_t)n;
		c->in[c->len] = '\0';
	} while (n > 0);
	if (c->ssl == NULL ? n == 0 || errno != EAGAIN :
	    SSL_get_error(c->ssl, (int)n) != SSL_ERROR_WANT_READ) {
		c->eof = true;
		uv_poll_stop(&c->poll);
	}
}

static inline void
client_ready(uv_poll_t *h, int status, int events)
{
	struct client_end	*c = h->data;
	int			 r;

	ERR_clear_error();
	if (c->ssl != NULL && !c->up) {
		r = SSL_do_handshake(c->ssl);
		if (r != 1 && SSL_get_error(c->ssl, r) ==
		    SSL_ERROR_WANT_READ)
			return;
		if (r != 1) {
			c->failed = c->eof = true;
			uv_poll_stop(&c->poll);
			return;
		}
		c->up = true;
		if (c->queued_len > 0 && SSL_write(c->ssl, c->queued,
		    (int)c->queued_len) != (int)c->queued_len)
			c->eof = true;
	}
	client_read(c);
}

static inline struct client_end *
client_open(unsigned listener, bool tls, X509 *leaf, EVP_PKEY *key)
{
	struct client_end	*c = calloc(1, sizeof(*c));
	int			 fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0, fds), 0);
	c->fd = fds[0];
	hand(listener, fds[1]);
	assert_int_equal(uv_poll_init(&loop, &c->poll, c->fd), 0);
	c->poll.data = c;
	uv_poll_start(&c->poll, UV_READABLE, client_ready);
	c->in = calloc(1, 1);
	if (!tls)
		return c;
	assert_non_null(c->ctx = SSL_CTX_new(TLS_client_method()));
	if (leaf != NULL) {
		assert_int_equal(SSL_CTX_use_certificate(c->ctx, leaf), 1);
		assert_int_equal(SSL_CTX_use_PrivateKey(c->ctx, key), 1);
	}
	X509_STORE_add_cert(SSL_CTX_get_cert_store(c->ctx), w.ca);
	SSL_CTX_set_verify(c->ctx, SSL_VERIFY_PEER, NULL);
	c->ssl = SSL_new(c->ctx);
	SSL_set_fd(c->ssl, c->fd);
	SSL_set_connect_state(c->ssl);
	client_ready(&c->poll, 0, 0);
	return c;
}

static inline void
client_send(struct client_end *c, const char *text, size_t len)
{
	bool	sent = true;

	if (c->ssl == NULL)
		sent = send(c->fd, text, len, MSG_NOSIGNAL) == (ssize_t)len;
	else if (c->up)
		sent = SSL_write(c->ssl, text, (int)len) == (int)len;
	else {
		c->queued = text;
		c->queued_len = len;
	}
	/* Refused already, which reading would tell. */
	if (!sent)
		c->eof = true;
}

static inline void
client_freed(uv_handle_t *h)
{
	struct client_end *c = h->data;

	SSL_free(c->ssl);
	SSL_CTX_free(c->ctx);
	close(c->fd);
	free(c->in);
	free(c);
}

static inline void
client_close(struct client_end *c)
{
	uv_close((uv_handle_t *)&c->poll, client_freed);
}

/* The length of the first whole answer, or 0. */
static inline size_t
answer_len(const struct client_end *c)
{
	const char	*end = strstr(c->in, "\r\n\r\n"), *p;
	size_t		 n;

	if (end == NULL)
		return 0;
	if ((p = strcasestr(c->in, "Content-Length:")) == NULL || p > end)
		return (size_t)(end + 4 - c->in);
	n = strtoul(p + 15, NULL, 10) + (size_t)(end + 4 - c->in);
	return c->len >= n ? n : 0;
}

static inline unsigned
answer_status(const struct client_end *c)
{
	return c->len > 12 ? (unsigned)atoi(c->in + 9) : 0;
}

static inline void
answer_drop(struct client_end *c)
{
	size_t n = answer_len(c);

	memmove(c->in, c->in + n, c->len - n + 1);
	c->len -= n;
}

/* One request, one answer; its status. */
static inline unsigned
exchange(struct client_end *c, const char *text)
{
	client_send(c, text, strlen(text));
	WAIT_FOR(answer_len(c) > 0 || c->eof);
	return answer_len(c) > 0 ? answer_status(c) : 0;
}

static inline void
post_text(char *out, size_t size, const char *path, const char *body,
    const char *more)
{
	int n = snprintf(out, size, "POST %s HTTP/1.1\r\nHost: ca\r\n%s"
	    "Content-Length: %zu\r\n\r\n%s", path, more, strlen(body), body);

	assert_true(n > 0 && (size_t)n < size);
}

static inline unsigned
post(struct client_end *c, const char *path, const char *body)
{
	static char	text[70000];

	post_text(text, sizeof(text), path, body, "");
	return exchange(c, text);
}

/* ---- the world ------------------------------------------------------------------------------ */

static inline int
setup(void **state)
{
	struct chan_conf	conf = { .self = IPC_POLICYD,
	    .peer = IPC_ENROLD, .handlers = from_new, .nhandlers = 1,
	    .closed = on_closed };
	int			fds[2];

	memset(&w, 0, sizeof(w));
	signal(SIGPIPE, SIG_IGN);
	log_init("enrold_proc", true);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    fds), 0);
	if ((w.pid = fork()) == 0) {
		close(fds[0]);
		child(fds[1]);
	}
	assert_true(w.pid > 0);
	close(fds[1]);
	w.ca_key = EVP_EC_gen("P-256");
	w.ec_key = EVP_EC_gen("P-256");
	w.other_key = EVP_EC_gen("P-256");
	w.rsa_key = EVP_RSA_gen(2048);
	w.ca = cert(&(struct cert_conf){ .key = w.ca_key,
	    .signer = w.ca_key, .cn = "ACME Issuing CA 3" });
	w.other = cert(&(struct cert_conf){ .key = w.other_key,
	    .signer = w.other_key, .cn = "Maker" });
	w.ec = cert(&(struct cert_conf){ .key = w.ec_key, .issuer = w.ca,
	    .signer = w.ca_key, .cn = "localhost", .eku = "serverAuth" });
	w.rsa = cert(&(struct cert_conf){ .key = w.rsa_key, .issuer = w.ca,
	    .signer = w.ca_key, .cn = "localhost", .eku = "serverAuth" });
	uv_loop_init(&loop);
	uv_timer_init(&loop, &patience);
	assert_non_null(w.hub = chan_open(&loop, fds[0], &conf));
	WAIT_FOR(w.ready == 2);
	give_all();
	return 0;
}

/* Without policyd it ends by itself, and leaves nothing behind. */
static inline int
teardown(void **state)
{
	int	status;

	if (w.hub != NULL)
		chan_close(w.hub);
	assert_int_equal(waitpid(w.pid, &status, 0), w.pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	if (w.netd != NULL)
		chan_close(w.netd);
	if (w.keyd != NULL)
		chan_close(w.keyd);
	uv_close((uv_handle_t *)&patience, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	X509_free(w.ca);
	X509_free(w.other);
	X509_free(w.ec);
	X509_free(w.rsa);
	EVP_PKEY_free(w.ca_key);
	EVP_PKEY_free(w.ec_key);
	EVP_PKEY_free(w.other_key);
	EVP_PKEY_free(w.rsa_key);
	return uv_loop_close(&loop);
}

/* Between two tests everybody answers again, and no connection is left. */
static inline int
before(void **state)
{
	WAIT_FOR(w.over == w.handed);
	w.mute = w.mute_keyd = w.refuse_keyd = false;
	w.refuse = R_OK;
	w.asked = 0;
	return 0;
}

#endif
