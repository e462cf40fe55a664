/*
 * What it costs to keep the private key elsewhere: full mutual handshakes a
 * second with the signer in a second process behind libipc, in turns with the
 * signer in this one; and how many words established connections exchange
 * while 16 handshakes wait for a signer that takes 20 ms for each signature.
 * Prints
 *
 *     name  median  unit  ratio to the one beside it
 */
#include <sys/socket.h>
#include <sys/wait.h>

#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "../unit/certs.h"

#define HANDSHAKES	64	/* a round, each with two signatures */
#define AT_ONCE		16
#define ROUNDS		9
#define TALKERS		8
#define SLOW_MS		20

struct end {
	struct tls	*tls;
	bool		 server, up, talks;
};

static uv_loop_t	 loop;
static struct leaf	 leaf;
static struct chan	*keyd;
static struct end	 ends[2 * (AT_ONCE + TALKERS)];
static unsigned		 nup, words;

/* ---- signers ------------------------------------------------------------- */

static enum reason
sign_here(const struct sign_request *q)
{
	uint8_t	sig[112];
	size_t	len = certs_signature(leaf.key, q->content, q->len, sig);

	provider_done(q->id, R_OK, sig, len);
	return R_OK;
}

static void
signed_there(const struct ipc_reply *r, void *arg)
{
	const struct msg_tls_sign_rep *m = r->msg;

	if (r->type != MSG_TLS_SIGN_REP)
		errx(1, "signer: %s", reason_text(r->reason));
	provider_done((uint32_t)(uintptr_t)arg, R_OK, m->signature.data,
	    m->signature.len);
}

static enum reason
sign_there(const struct sign_request *q)
{
	struct msg_tls_sign_req m = { .key = q->key, .scheme = q->scheme };

	IPC_SET_BLOB(m.content, q->content, q->len);
	return chan_call(keyd, MSG_TLS_SIGN_REQ, &m, -1, 60000, signed_there,
	    (void *)(uintptr_t)q->id) == 0 ? R_OK : R_TLS_BUSY;
}

static struct { uint32_t id; uint8_t content[146]; size_t len; } queue[64];
static unsigned nqueued;

static enum reason
sign_slowly(const struct sign_request *q)
{
	queue[nqueued].id = q->id;
	memcpy(queue[nqueued].content, q->content, q->len);
	queue[nqueued++].len = q->len;
	return R_OK;
}

/* One signature in SLOW_MS, as of a TPM. */
static void
sign_next(uv_timer_t *t)
{
	uint8_t	sig[112];
	size_t	len;

	if (nqueued == 0)
		return;
	nqueued--;
	len = certs_signature(leaf.key, queue[nqueued].content,
	    queue[nqueued].len, sig);
	provider_done(queue[nqueued].id, R_OK, sig, len);
}

/* ---- the second process -------------------------------------------------- */

static int
on_sign(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_tls_sign_req	*q = arg;
	struct msg_tls_sign_rep		 m = { 0 };
	uint8_t				 sig[112];

	IPC_SET_BLOB(m.signature, sig, certs_signature(leaf.key,
	    q->content.data, q->content.len, sig));
	return chan_reply(c, call, MSG_TLS_SIGN_REP, &m);
}

static void
closed(struct chan *c, enum reason r, unsigned type)
{
}

static struct chan *
open_chan(int fd, enum ipc_role self, enum ipc_role peer)
{
	static const struct ipc_handler	handlers[] = {
		{ MSG_TLS_SIGN_REQ, on_sign },
	};
	const struct chan_conf		conf = {
		.self = self, .peer = peer, .handlers = handlers,
		.nhandlers = self == IPC_KEYD, .closed = closed,
	};
	struct chan			*c = chan_open(&loop, fd, &conf);

	if (c == NULL)
		err(1, "channel");
	chan_set_phase(c, IPC_RUN);
	return c;
}

static pid_t
start_signer(void)
{
	int	sv[2];
	pid_t	pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) == -1)
		err(1, "socketpair");
	if ((pid = fork()) == -1)
		err(1, "fork");
	uv_loop_init(&loop);
	if (pid == 0) {
		close(sv[0]);
		open_chan(sv[1], IPC_KEYD, IPC_NETD);
		uv_run(&loop, UV_RUN_DEFAULT);
		_exit(0);
	}
	close(sv[1]);
	keyd = open_chan(sv[0], IPC_NETD, IPC_KEYD);
	return pid;
}

/* ---- connections --------------------------------------------------------- */

static void
on_up(struct tls *t, void *arg)
{
	struct end *e = arg;

	e->up = true;
	nup++;
}

static void
on_data(struct tls *t, void *arg, const uint8_t *p, size_t len)
{
	struct end *e = arg;

	words += e->server;
	if (e->talks && tls_send(t, p, len) == -1)
		errx(1, "queue");
}

static void
on_down(struct tls *t, void *arg, const struct refusal *why)
{
	errx(1, "connection: %s %s", reason_text(why->reason), why->seen);
}

static int
on_verify(struct tls *t, void *arg, X509 *x, struct refusal *why)
{
	X509 *anchor = *(X509 **)loop.data;

	return verify_leaf(x, &anchor, 1, true, (int64_t)clock_trusted(), why);
}

static const struct tls_events events = { on_up, on_data, on_down, on_verify };

static void
open_pair(unsigned i, bool talks)
{
	struct refusal	why;
	int		sv[2], j;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
	    sv) == -1)
		err(1, "socketpair");
	for (j = 0; j < 2; j++) {
		ends[2 * i + j] = (struct end){ .server = j == 0,
		    .talks = talks };
		ends[2 * i + j].tls = tls_open(&loop, sv[j], j == 0, &events,
		    &ends[2 * i + j], &why);
	}
}

static void
close_pair(unsigned i)
{
	tls_close(ends[2 * i].tls);
	tls_close(ends[2 * i + 1].tls);
}

/* Handshakes a second, AT_ONCE of them under way at any time. */
static double
handshakes(provider_sign_fn sign)
{
	double		start = seconds();
	unsigned	i, done = 0, begun;

	provider_signer(sign);
	for (begun = 0; begun < AT_ONCE; begun++)
		open_pair(begun, false);
	while (done < HANDSHAKES) {
		uv_run(&loop, UV_RUN_ONCE);
		for (i = 0; i < AT_ONCE; i++) {
			if (!ends[2 * i].up || !ends[2 * i + 1].up)
				continue;
			close_pair(i);
			ends[2 * i].up = false;
			done++;
			if (begun < HANDSHAKES) {
				open_pair(i, false);
				begun++;
			}
		}
	}
	return HANDSHAKES / (seconds() - start);
}

/* Words a second between TALKERS in the time of AT_ONCE slow signatures. */
static double
talk(bool pending)
{
	double		start;
	unsigned	i;
	uv_timer_t	timer;

	if (pending) {
		provider_signer(sign_slowly);
		for (i = 0; i < AT_ONCE; i++)
			open_pair(TALKERS + i, false);
		while (nqueued < AT_ONCE)
			uv_run(&loop, UV_RUN_ONCE);
	}
	uv_timer_init(&loop, &timer);
	uv_timer_start(&timer, sign_next, SLOW_MS, SLOW_MS);
	words = 0;
	for (start = seconds(); seconds() < start + AT_ONCE * SLOW_MS / 1e3; )
		uv_run(&loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&timer, NULL);
	if (pending)
		for (i = 0; i < AT_ONCE; i++)
			close_pair(TALKERS + i);
	uv_run(&loop, UV_RUN_NOWAIT);
	nqueued = 0;
	return words / (AT_ONCE * SLOW_MS / 1e3);
}

static void
bench_handshakes(void)
{
	double	here[ROUNDS], there[ROUNDS], ratio[ROUNDS], m;
	int	i;

	for (i = 0; i < ROUNDS; i++) {
		here[i] = handshakes(sign_here);
		there[i] = handshakes(sign_there);
		ratio[i] = there[i] / here[i];
	}
	m = median(ratio, ROUNDS);
	printf("tls_handshake_here\t%.0f\t/s\t1.00\n", median(here, ROUNDS));
	printf("tls_handshake_keyd\t%.0f\t/s\t%.2f\n", median(there, ROUNDS), m);
}

static void
bench_pending(void)
{
	double		idle[ROUNDS], busy[ROUNDS], ratio[ROUNDS], m;
	unsigned	i;

	provider_signer(sign_here);
	nup = 0;
	for (i = 0; i < TALKERS; i++)
		open_pair(i, true);
	while (nup < 2 * TALKERS)
		uv_run(&loop, UV_RUN_ONCE);
	for (i = 0; i < TALKERS; i++)
		tls_send(ends[2 * i].tls, "ping", 4);
	for (i = 0; i < ROUNDS; i++) {
		idle[i] = talk(false);
		busy[i] = talk(true);
		ratio[i] = busy[i] / idle[i];
	}
	m = median(ratio, ROUNDS);
	printf("tls_words_idle\t%.0f\t/s\t1.00\n", median(idle, ROUNDS));
	printf("tls_words_pending\t%.0f\t/s\t%.2f\n", median(busy, ROUNDS), m);
	for (i = 0; i < TALKERS; i++)
		close_pair(i);
}

int
main(void)
{
	struct ca	 ca;
	uint8_t		*der = NULL;
	int		 len;
	pid_t		 pid;

	signal(SIGPIPE, SIG_IGN);
	clock_set((uint64_t)time(NULL));
	if (tls_init(NULL) == -1)
		return 1;
	ca = certs_ca("ca");
	leaf = certs_leaf(&ca, NODE_A, NULL);
	pid = start_signer();
	loop.data = &ca.cert;
	len = i2d_X509(leaf.cert, &der);
	if (tls_identity(3, KEY_P256, der, (size_t)len) != R_OK)
		errx(1, "identity");
	OPENSSL_free(der);
	bench_handshakes();
	bench_pending();
	chan_close(keyd);
	uv_run(&loop, UV_RUN_NOWAIT);
	waitpid(pid, NULL, 0);
	certs_ca_free(&ca);
	certs_leaf_free(&leaf);
	tls_stop();
	return 0;
}
