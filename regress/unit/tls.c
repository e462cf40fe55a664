/*
 * Connections whose signatures come late, never, or not in order: nobody else
 * waits, and whoever closes leaves nothing behind.
 */
#include <sys/socket.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <openssl/err.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "certs.h"

#define PAIRS_MAX	80
#define GUARD_MS	60000	/* a test that hangs fails */

struct end {
	struct tls	*tls;
	bool		 up, down, echo, refuse;
	struct refusal	 why;
	unsigned	 bytes;
};

static uv_loop_t	 loop;
static uv_timer_t	 guard;
static bool		 late;
static struct ca	 ca;
static struct leaf	 leaf;
static struct end	 server[PAIRS_MAX], client[PAIRS_MAX];

/* ---- the signer: holds what it was asked, answers when told -------------- */

static struct { uint32_t id; uint8_t content[146]; size_t len; } held[256];
static unsigned		 nheld, hold_max;
static bool		 hold;
static enum reason	 sign_fails;

static enum reason
sign(const struct sign_request *q)
{
	uint8_t	sig[112];
	size_t	len;

	if (sign_fails != R_OK)
		return sign_fails;
	assert_int_equal(q->key, 3);
	if (!hold) {
		len = certs_signature(leaf.key, q->content, q->len, sig);
		provider_done(q->id, R_OK, sig, len);
		return R_OK;
	}
	if (nheld >= hold_max)
		return R_TLS_BUSY;
	held[nheld].id = q->id;
	memcpy(held[nheld].content, q->content, q->len);
	held[nheld++].len = q->len;
	return R_OK;
}

/* The newest first, so that order is seen not to matter. */
static void
answer_one(enum reason r)
{
	uint8_t		sig[112];
	size_t		len;
	uint32_t	id;

	assert_true(nheld > 0);
	nheld--;
	id = held[nheld].id;
	len = certs_signature(leaf.key, held[nheld].content, held[nheld].len,
	    sig);
	provider_done(id, r, sig, len);
}

/* ---- events -------------------------------------------------------------- */

static void
on_up(struct tls *t, void *arg)
{
	struct end *e = arg;

	e->up = true;
	assert_non_null(tls_leaf(t));
}

static void
on_data(struct tls *t, void *arg, const uint8_t *p, size_t len)
{
	struct end *e = arg;

	e->bytes += len;
	if (e->echo)
		assert_int_equal(tls_send(t, p, len), 0);
}

static void
on_down(struct tls *t, void *arg, const struct refusal *why)
{
	struct end *e = arg;

	e->down = true;
	e->why = *why;
	tls_close(t);
	e->tls = NULL;
}

static int
on_verify(struct tls *t, void *arg, X509 *x, struct refusal *why)
{
	struct end *e = arg;

	if (!e->refuse)
		return 0;
	refusal_set(why, R_TLS_FOREIGN_ANCHOR, "issuer", "a", "b");
	return -1;
}

static const struct tls_events events = { on_up, on_data, on_down, on_verify,
    NULL };

static void
on_guard(uv_timer_t *t)
{
	late = true;
	uv_stop(&loop);
}

/* Turn the loop until cond, or fail after the guard's time. */
#define UNTIL(cond)	do {						\
	late = false;							\
	uv_timer_start(&guard, on_guard, GUARD_MS, 0);			\
	while (!(cond) && !late)					\
		uv_run(&loop, UV_RUN_ONCE);				\
	uv_timer_stop(&guard);						\
	assert_false(late);						\
} while (0)

static struct tls *
open_end(int fd, bool is_server, struct end *e)
{
	struct refusal why;

	memset(e, 0, sizeof(*e));
	e->tls = tls_open(&loop, fd, is_server, &events, e, &why);
	assert_non_null(e->tls);
	return e->tls;
}

static void
socket_pair(int sv[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0, sv), 0);
}

static void
pair(unsigned i)
{
	int sv[2];

	socket_pair(sv);
	open_end(sv[0], true, &server[i]);
	open_end(sv[1], false, &client[i]);
}

static unsigned
count_up(unsigned n)
{
	unsigned i, up = 0;

	for (i = 0; i < n; i++)
		up += server[i].up && client[i].up;
	return up;
}

static void
close_pairs(unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		tls_close(server[i].tls);
		tls_close(client[i].tls);
		server[i].tls = client[i].tls = NULL;
	}
	while (uv_run(&loop, UV_RUN_NOWAIT))
		if (!uv_is_active((uv_handle_t *)&guard))
			break;
	nheld = 0;
	assert_int_equal(provider_pending(), 0);
}

static int
setup(void **state)
{
	uint8_t	*der = NULL;
	int	 len;

	signal(SIGPIPE, SIG_IGN);
	clock_set((uint64_t)time(NULL));
	uv_loop_init(&loop);
	uv_timer_init(&loop, &guard);
	if (tls_init(NULL) == -1)
		return -1;
	provider_signer(sign);
	ca = certs_ca("ca");
	leaf = certs_leaf(&ca, NODE_A, NULL);
	len = i2d_X509(leaf.cert, &der);
	if (tls_identity(3, KEY_P256, der, (size_t)len) != R_OK)
		return -1;
	OPENSSL_free(der);
	return 0;
}

static int
teardown(void **state)
{
	certs_ca_free(&ca);
	certs_leaf_free(&leaf);
	tls_stop();
	uv_close((uv_handle_t *)&guard, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	return uv_loop_close(&loop);
}

static int
before(void **state)
{
	hold = false;
	hold_max = 256;
	nheld = 0;
	sign_fails = R_OK;
	return 0;
}

/* ---- tests --------------------------------------------------------------- */

static void
test_echo(void **state)
{
	pair(0);
	server[0].echo = true;
	UNTIL(count_up(1) == 1);
	assert_int_equal(tls_send(client[0].tls, "Hello", 5), 0);
	UNTIL(client[0].bytes == 5);
	tls_close(client[0].tls);
	client[0].tls = NULL;
	UNTIL(server[0].down);
	assert_int_equal(server[0].why.reason, R_TLS_CLOSED);
	close_pairs(1);
}

/* Sixteen handshakes wait for 32 signatures; an open connection does not. */
static void
test_pending_stalls_nobody(void **state)
{
	unsigned i;

	pair(0);
	server[0].echo = true;
	UNTIL(count_up(1) == 1);
	hold = true;
	for (i = 1; i <= 16; i++)
		pair(i);
	UNTIL(nheld == 16);		/* the servers sign first */
	for (i = 1; i <= 100; i++) {
		assert_int_equal(tls_send(client[0].tls, "ping", 4), 0);
		UNTIL(client[0].bytes == 4 * i);
	}
	assert_int_equal(provider_pending(), 16);
	assert_int_equal(count_up(17), 1);
	while (nheld > 0)
		answer_one(R_OK);
	UNTIL(nheld == 16);		/* now the clients */
	while (nheld > 0)
		answer_one(R_OK);
	UNTIL(count_up(17) == 17);
	close_pairs(17);
}

/* The link's window is small: the others wait for their turn. */
static void
test_window(void **state)
{
	unsigned i;

	hold = true;
	hold_max = 3;
	for (i = 0; i < 16; i++)
		pair(i);
	while (count_up(16) < 16) {
		UNTIL(nheld > 0 || count_up(16) == 16);
		assert_true(nheld <= 3);
		if (nheld > 0)
			answer_one(R_OK);
	}
	close_pairs(16);
}

/* Closing in the middle frees the job; a later answer is nobody's. */
static void
test_close_pending(void **state)
{
	unsigned i, n;

	hold = true;
	for (i = 0; i < 16; i++)
		pair(i);
	UNTIL(nheld == 16);
	n = nheld;
	for (i = 0; i < 16; i++) {
		tls_close(server[i].tls);
		server[i].tls = NULL;
	}
	assert_int_equal(provider_pending(), 0);
	UNTIL(client[0].down && client[15].down);
	nheld = n;
	while (nheld > 0)
		answer_one(R_OK);
	close_pairs(16);
}

/* keyd went away: the handshake fails and says why. */
static void
test_signature_fails(void **state)
{
	hold = true;
	pair(0);
	UNTIL(nheld == 1);
	answer_one(R_IPC_CLOSED);
	assert_true(server[0].down);
	assert_int_equal(server[0].why.reason, R_IPC_CLOSED);
	assert_string_equal(server[0].why.field, "signature");
	close_pairs(1);
	sign_fails = R_IPC_NOLINK;
	pair(0);
	UNTIL(server[0].down);
	assert_int_equal(server[0].why.reason, R_IPC_NOLINK);
	close_pairs(1);
}

/* keyd answers with a signature of something else: the other side notices. */
static void
test_signature_wrong(void **state)
{
	hold = true;
	pair(0);
	UNTIL(nheld == 1);
	held[0].content[70] ^= 1;
	answer_one(R_OK);
	UNTIL(client[0].down && server[0].down);
	assert_int_equal(client[0].why.reason, R_TLS_PROTOCOL);
	assert_int_equal(server[0].why.reason, R_TLS_REFUSED_US);
	assert_false(client[0].up);
	close_pairs(1);
}

/* More than may be pending: refused with a reason, the others go on. */
static void
test_too_many(void **state)
{
	unsigned i, down = 0;

	hold = true;
	for (i = 0; i < SIGN_MAX + 4; i++)
		pair(i);
	UNTIL(nheld == SIGN_MAX && server[SIGN_MAX + 3].down);
	for (i = 0; i < SIGN_MAX + 4; i++)
		if (server[i].down) {
			assert_int_equal(server[i].why.reason, R_TLS_BUSY);
			down++;
		}
	assert_int_equal(down, 4);
	hold = false;
	while (nheld > 0)
		answer_one(R_OK);
	UNTIL(count_up(SIGN_MAX + 4) == SIGN_MAX);
	close_pairs(SIGN_MAX + 4);
}

/* A refusal is an alert there and a reason here. */
static void
test_verify_refuses(void **state)
{
	pair(0);
	server[0].refuse = true;
	UNTIL(server[0].down && client[0].down);
	assert_int_equal(server[0].why.reason, R_TLS_FOREIGN_ANCHOR);
	assert_string_equal(server[0].why.seen, "b");
	assert_int_equal(client[0].why.reason, R_TLS_REFUSED_US);
	assert_string_equal(client[0].why.seen, "unknown CA");
	close_pairs(1);
	pair(0);
	client[0].refuse = true;
	UNTIL(server[0].down && client[0].down);
	assert_int_equal(client[0].why.reason, R_TLS_FOREIGN_ANCHOR);
	assert_false(server[0].up);
	close_pairs(1);
}

/* A renewed leaf is for new handshakes; an open connection keeps its own. */
static void
test_renewal(void **state)
{
	struct leaf	 renewed = certs_leaf(&ca, NODE_A, NULL), old;
	uint8_t		*der = NULL;
	int		 len = i2d_X509(renewed.cert, &der);

	pair(0);
	server[0].echo = true;
	UNTIL(count_up(1) == 1);
	assert_int_equal(tls_identity(3, KEY_P256, der, (size_t)len), R_OK);
	assert_int_equal(tls_send(client[0].tls, "ping", 4), 0);
	UNTIL(client[0].bytes == 4);
	old = leaf;
	leaf = renewed;
	pair(1);
	UNTIL(count_up(2) == 2);
	assert_int_equal(X509_cmp(tls_leaf(client[0].tls), old.cert), 0);
	assert_int_equal(X509_cmp(tls_leaf(client[1].tls), renewed.cert), 0);
	close_pairs(2);
	certs_leaf_free(&old);
	OPENSSL_free(der);
}

static void
test_bad_leaf(void **state)
{
	uint8_t	*der = NULL;
	int	 len = i2d_X509(leaf.cert, &der);

	assert_int_equal(tls_identity(3, KEY_P384, der, (size_t)len),
	    R_TLS_BAD_LEAF);
	assert_int_equal(tls_identity(3, KEY_P256, der, (size_t)len - 1),
	    R_TLS_BAD_LEAF);
	assert_true(tls_ready());	/* the last good one stays */
	OPENSSL_free(der);
}

/* Who does not read cannot make us queue for ever. */
static void
test_queue_bound(void **state)
{
	int	sv[2], i, r = 0;

	socket_pair(sv);
	open_end(sv[0], true, &server[0]);
	open_end(sv[1], false, &client[0]);
	UNTIL(count_up(1) == 1);
	for (i = 0; i < 1000000 && r == 0; i++)
		r = tls_send(server[0].tls, "alive", 5);
	assert_int_equal(r, -1);
	close_pairs(1);
}

/* ---- other people's clients ---------------------------------------------- */

/* A plain OpenSSL client on fd until it is through, or failed. */
static int
plain_client(SSL *ssl, struct end *e)
{
	int r = -1;

	late = false;
	uv_timer_start(&guard, on_guard, GUARD_MS, 0);
	while (!late) {
		ERR_clear_error();
		r = SSL_do_handshake(ssl);
		if (r == 1 || SSL_get_error(ssl, r) != SSL_ERROR_WANT_READ)
			break;
		uv_run(&loop, UV_RUN_NOWAIT);
	}
	while (!late && !e->up && !e->down)
		uv_run(&loop, UV_RUN_ONCE);
	uv_timer_stop(&guard);
	assert_false(late);
	return r;
}

static SSL_CTX *
plain_context(const struct leaf *l)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	assert_non_null(ctx);
	if (l != NULL) {
		assert_int_equal(SSL_CTX_use_certificate(ctx, l->cert), 1);
		assert_int_equal(SSL_CTX_use_PrivateKey(ctx, l->key), 1);
	}
	return ctx;
}

static SSL *
plain_open(SSL_CTX *ctx, struct end *e)
{
	SSL	*ssl = SSL_new(ctx);
	int	 sv[2];

	socket_pair(sv);
	open_end(sv[0], true, e);
	SSL_set_fd(ssl, sv[1]);
	SSL_set_connect_state(ssl);
	return ssl;
}

static void
plain_close(SSL *ssl)
{
	close(SSL_get_fd(ssl));
	SSL_free(ssl);
}

static void
test_tls12_refused(void **state)
{
	SSL_CTX	*ctx = plain_context(&leaf);
	SSL	*ssl;

	SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
	ssl = plain_open(ctx, &server[0]);
	assert_int_not_equal(plain_client(ssl, &server[0]), 1);
	assert_true(server[0].down);
	assert_int_equal(server[0].why.reason, R_TLS_VERSION);
	plain_close(ssl);
	SSL_CTX_free(ctx);
	close_pairs(1);
}

static void
test_no_certificate(void **state)
{
	SSL_CTX	*ctx = plain_context(NULL);
	SSL	*ssl = plain_open(ctx, &server[0]);

	plain_client(ssl, &server[0]);
	assert_true(server[0].down);
	assert_int_equal(server[0].why.reason, R_TLS_NO_CERTIFICATE);
	plain_close(ssl);
	SSL_CTX_free(ctx);
	close_pairs(1);
}

/* An Ed25519 or RSA handshake is none of ours. */
static void
test_other_algorithms(void **state)
{
	char	 sigalgs[] = "rsa_pss_rsae_sha256:ed25519";
	SSL_CTX	*ctx = plain_context(&leaf);
	SSL	*ssl;

	SSL_CTX_set1_sigalgs_list(ctx, sigalgs);
	ssl = plain_open(ctx, &server[0]);
	assert_int_not_equal(plain_client(ssl, &server[0]), 1);
	assert_true(server[0].down);
	assert_int_equal(server[0].why.reason, R_TLS_PROTOCOL);
	plain_close(ssl);
	SSL_CTX_free(ctx);
	close_pairs(1);
}

/*
 * No ticket is given, and a session that a client brings all the same is not
 * taken: the handshake is a full one, with its certificate looked at.
 */
static void
test_no_resumption(void **state)
{
	SSL_CTX		*ctx = plain_context(&leaf);
	SSL		*ssl = plain_open(ctx, &server[0]);
	SSL_SESSION	*session;
	uint8_t		 buf[16];

	assert_int_equal(plain_client(ssl, &server[0]), 1);
	assert_true(server[0].up);
	assert_true(SSL_read(ssl, buf, sizeof(buf)) <= 0);
	session = SSL_get1_session(ssl);
	assert_int_equal(SSL_SESSION_is_resumable(session), 0);
	assert_null(SSL_get0_peer_CA_list(ssl));	/* and no CA is named */
	plain_close(ssl);
	close_pairs(1);
	SSL_SESSION_free(session);
	SSL_CTX_free(ctx);
}

static int
psk_of_client(SSL *ssl, const EVP_MD *md, const unsigned char **id,
    size_t *idlen, SSL_SESSION **session)
{
	static const uint8_t	 key[32] = { 1 };
	SSL_SESSION		*s = SSL_SESSION_new();

	SSL_SESSION_set1_master_key(s, key, sizeof(key));
	SSL_SESSION_set_protocol_version(s, TLS1_3_VERSION);
	SSL_SESSION_set_cipher(s, SSL_CIPHER_find(ssl,
	    (const unsigned char *)"\x13\x01"));
	*id = (const unsigned char *)"a session of yesterday";
	*idlen = 22;
	*session = s;
	return 1;
}

static void
test_foreign_session(void **state)
{
	SSL_CTX	*ctx = plain_context(&leaf);
	SSL	*ssl;

	SSL_CTX_set_psk_use_session_callback(ctx, psk_of_client);
	ssl = plain_open(ctx, &server[0]);
	assert_int_equal(plain_client(ssl, &server[0]), 1);
	assert_true(server[0].up);
	assert_int_equal(SSL_session_reused(ssl), 0);
	plain_close(ssl);
	SSL_CTX_free(ctx);
	close_pairs(1);
}

static void
test_garbage(void **state)
{
	int sv[2];

	socket_pair(sv);
	open_end(sv[0], true, &server[0]);
	assert_int_equal(write(sv[1], "GET / HTTP/1.0\r\n\r\n", 18), 18);
	UNTIL(server[0].down);
	assert_true(server[0].why.reason == R_TLS_PROTOCOL ||
	    server[0].why.reason == R_TLS_VERSION);
	close(sv[1]);
	close_pairs(1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_echo, before),
		cmocka_unit_test_setup(test_pending_stalls_nobody, before),
		cmocka_unit_test_setup(test_window, before),
		cmocka_unit_test_setup(test_close_pending, before),
		cmocka_unit_test_setup(test_signature_fails, before),
		cmocka_unit_test_setup(test_signature_wrong, before),
		cmocka_unit_test_setup(test_too_many, before),
		cmocka_unit_test_setup(test_verify_refuses, before),
		cmocka_unit_test_setup(test_renewal, before),
		cmocka_unit_test_setup(test_bad_leaf, before),
		cmocka_unit_test_setup(test_queue_bound, before),
		cmocka_unit_test_setup(test_tls12_refused, before),
		cmocka_unit_test_setup(test_no_certificate, before),
		cmocka_unit_test_setup(test_other_algorithms, before),
		cmocka_unit_test_setup(test_no_resumption, before),
		cmocka_unit_test_setup(test_foreign_session, before),
		cmocka_unit_test_setup(test_garbage, before),
	};

	return cmocka_run_group_tests_name("tls", tests, setup, teardown);
}
