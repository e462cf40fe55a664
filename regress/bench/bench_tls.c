/*
 * What it costs to keep the private key elsewhere: full mutual handshakes a
 * second with the key in keyd, in turns with the key in this process; the
 * same with a key in a TPM, beside what that TPM can sign, while 100 other
 * connections keep their pings; and how many words established connections
 * exchange while 16 handshakes wait for a signer that takes 20 ms for each
 * signature. "--only N" does N handshakes, key here, and nothing else.
 */
#include "bench.h"
#include "keyd_run.h"
#include "../unit/certs.h"

#define HANDSHAKES	64	/* a round, each with two signatures */
#define AT_ONCE		16
#define ROUNDS		9
#define TALKERS		8
#define TPM_ROUNDS	5
#define PINGERS		100
#define PING_MS		100	/* each of them, this often */
#define SLOW_MS		20

struct end {
	struct tls	*tls;
	bool		 server, up, talks;
	double		 pinged;	/* when; 0: answered */
};

static uv_loop_t	 loop;
static struct ca	 ca;
static struct leaf	 leaf;
static struct chan	*keyd;
static struct end	 ends[2 * (AT_ONCE + PINGERS)];
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

/* ---- keyd ---------------------------------------------------------------- */

static void
closed(struct chan *c, enum reason r, unsigned type)
{
}

/* Each end takes the other for the same node, which is ours as well. */
static void
trust(void)
{
	static struct msg_peer_set	m = { .peer = 1 };
	struct refusal			why;

	peer_table_init();
	IPC_SET_STR(m.node, NODE_A);
	CERTS_BLOB(m.anchor, ca.cert);
	if (peer_enter(&m, &why) == NULL || why.reason != R_OK)
		errx(1, "anchor");
}

static void
identity(const struct leaf *l)
{
	uint8_t	*der = NULL;
	int	 len = i2d_X509(l->cert, &der);

	if (tls_identity(0, KEY_P256, der, (size_t)len) != R_OK)
		errx(1, "identity");
	OPENSSL_free(der);
}

/* A leaf of this node over the key that keyd holds. */
static struct leaf
keyd_start(struct keyd_run *run, const char *argv0, const char *backend)
{
	static const struct chan_conf	conf = { .self = IPC_NETD,
	    .peer = IPC_KEYD, .closed = closed };
	EVP_PKEY			*key = certs_key("P-256");

	keyd_run(run, argv0, "tls", backend);
	if ((keyd = chan_open(&loop, run->fd, &conf)) == NULL)
		err(1, "channel");
	chan_set_phase(keyd, IPC_RUN);
	if (EVP_PKEY_set1_encoded_public_key(key, run->point, KEYD_POINT) != 1)
		errx(1, "key");
	return certs_leaf_over(key, &ca, NODE_A, NULL);
}

static void
keyd_end(struct keyd_run *run)
{
	chan_close(keyd);
	uv_run(&loop, UV_RUN_NOWAIT);
	keyd_run_end(run);
}

/* ---- connections --------------------------------------------------------- */

static void
on_up(struct tls *t, void *arg)
{
	struct end *e = arg;

	e->up = true;
	nup++;
}

/* How late were the answers? */
static double	late[200000];
static size_t	nlate;

static void
pong(struct end *e)
{
	if (nlate < sizeof(late) / sizeof(late[0]))
		late[nlate++] = seconds() - e->pinged;
	e->pinged = 0;
}

static void
on_data(struct tls *t, void *arg, const uint8_t *p, size_t len)
{
	struct end *e = arg;

	words += e->server;
	if (e->pinged != 0) {
		pong(e);
		return;
	}
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
	const struct end *e = arg;

	return peer_verify(x, !e->server, NULL, clock_trusted(), why) == NULL ?
	    -1 : 0;
}

static const struct tls_events events = { on_up, on_data, on_down, on_verify,
    NULL };

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
handshakes(provider_sign_fn sign, unsigned all)
{
	double		start = seconds();
	unsigned	i, done = 0, begun;

	provider_signer(sign);
	for (begun = 0; begun < AT_ONCE; begun++)
		open_pair(begun, false);
	while (done < all) {
		uv_run(&loop, UV_RUN_ONCE);
		for (i = 0; i < AT_ONCE; i++) {
			if (!ends[2 * i].up || !ends[2 * i + 1].up)
				continue;
			close_pair(i);
			ends[2 * i].up = false;
			done++;
			if (begun < all) {
				open_pair(i, false);
				begun++;
			}
		}
	}
	return all / (seconds() - start);
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

/* Both ends of each, and keyd: three of the four parts of two nodes. */
static void
bench_handshakes(const char *argv0)
{
	double		here[ROUNDS], there[ROUNDS], ratio[ROUNDS];
	double		cpu[ROUNDS], kcpu[ROUNDS], hcpu[ROUNDS], t;
	struct keyd_run	run;
	struct leaf	remote = keyd_start(&run, argv0, "sealed");
	pid_t		child = keyd_run_child(&run);
	int		i;

	for (i = 0; i < ROUNDS; i++) {
		identity(&leaf);
		t = cpu_seconds(getpid());
		here[i] = handshakes(sign_here, HANDSHAKES);
		hcpu[i] = (cpu_seconds(getpid()) - t) / HANDSHAKES;
		identity(&remote);
		t = cpu_seconds(getpid());
		kcpu[i] = cpu_seconds(child);
		there[i] = handshakes(sign_there, HANDSHAKES);
		cpu[i] = (cpu_seconds(getpid()) - t) / HANDSHAKES;
		kcpu[i] = (cpu_seconds(child) - kcpu[i]) / HANDSHAKES;
		ratio[i] = there[i] / here[i];
		cpu[i] = (cpu[i] + kcpu[i]) / hcpu[i];
	}
	bench_line("tls_handshake_here", median(here, ROUNDS), "/s", 1);
	bench_line("tls_handshake_keyd", median(there, ROUNDS), "/s",
	    median(ratio, ROUNDS));
	t = median(hcpu, ROUNDS);
	bench_line("tls_handshake_here_cpu", 1e6 * t, "us", 1);
	bench_line("tls_handshake_keyd_cpu", 1e6 * t * median(cpu, ROUNDS),
	    "us", cpu[ROUNDS / 2]);
	bench_line("tls_handshake_keyd_cpu_of_keyd",
	    1e6 * median(kcpu, ROUNDS), "us", BENCH_NONE);
	certs_leaf_free(&remote);
	keyd_end(&run);
}

/* ---- a TPM, while others ping -------------------------------------------- */

/* Each timer turn a tenth of them; whoever was not answered is late. */
static void
ping_some(uv_timer_t *t)
{
	static unsigned	turn;
	struct end	*e;
	unsigned	i;

	for (i = turn++ % 10; i < PINGERS; i += 10) {
		e = &ends[2 * (AT_ONCE + i)];
		if (e->pinged != 0)
			continue;
		e->pinged = seconds();
		tls_send(e->tls, "ping", 4);
	}
}

static void
echo_all(bool on)
{
	unsigned	i;

	for (i = 0; i < PINGERS; i++)
		ends[2 * (AT_ONCE + i) + 1].talks = on;
}

static void
pingers_open(void)
{
	unsigned	i, n;

	provider_signer(sign_there);
	for (i = 0; i < PINGERS; i += AT_ONCE) {
		nup = 0;
		for (n = 0; n < AT_ONCE && i + n < PINGERS; n++)
			open_pair(AT_ONCE + i + n, false);
		while (nup < 2 * n)
			uv_run(&loop, UV_RUN_ONCE);
	}
	echo_all(true);
	nlate = 0;
}

static void
bench_tpm(const char *argv0, const char *backend, unsigned n)
{
	double		rate[TPM_ROUNDS], bare[TPM_ROUNDS], ratio[TPM_ROUNDS];
	struct keyd_run	run;
	struct leaf	remote = keyd_start(&run, argv0, backend);
	char		name[64];
	uv_timer_t	timer;
	unsigned	i;

	identity(&remote);
	pingers_open();
	uv_timer_init(&loop, &timer);
	uv_timer_start(&timer, ping_some, PING_MS / 10, PING_MS / 10);
	for (i = 0; i < TPM_ROUNDS; i++) {
		bare[i] = keyd_bare(argv0, backend);
		/* Both ends of a handshake sign. */
		rate[i] = 2 * handshakes(sign_there, n);
		ratio[i] = rate[i] / bare[i];
	}
	uv_close((uv_handle_t *)&timer, NULL);
	qsort(late, nlate, sizeof(late[0]), bench_less);
	snprintf(name, sizeof(name), "tls_%s_bare", backend);
	bench_line(name, median(bare, TPM_ROUNDS), "signatures/s", 1);
	snprintf(name, sizeof(name), "tls_%s_handshakes", backend);
	bench_line(name, median(rate, TPM_ROUNDS), "signatures/s",
	    median(ratio, TPM_ROUNDS));
	snprintf(name, sizeof(name), "tls_%s_ping_median", backend);
	bench_line(name, 1e3 * late[nlate / 2], "ms", BENCH_NONE);
	snprintf(name, sizeof(name), "tls_%s_ping_99_of_100", backend);
	bench_line(name, 1e3 * late[nlate * 99 / 100], "ms", BENCH_NONE);
	for (i = 0; i < PINGERS; i++)
		close_pair(AT_ONCE + i);
	certs_leaf_free(&remote);
	keyd_end(&run);
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
	bench_line("tls_words_idle", median(idle, ROUNDS), "/s", 1);
	bench_line("tls_words_pending", median(busy, ROUNDS), "/s", m);
	for (i = 0; i < TALKERS; i++)
		close_pair(i);
}

int
main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	bench_start(argc, argv);
	uv_loop_init(&loop);
	clock_set((uint64_t)time(NULL));
	if (tls_init(NULL) == -1)
		return 1;
	ca = certs_ca("ca");
	leaf = certs_leaf(&ca, NODE_A, NULL);
	trust();
	identity(&leaf);
	if (argc == 3 && strcmp(argv[1], "--only") == 0)
		handshakes(sign_here, (unsigned)strtoul(argv[2], NULL, 10));
	else {
		bench_pending();
		bench_handshakes(argv[0]);
		bench_tpm(argv[0], "tpm", HANDSHAKES);
		bench_tpm(argv[0], "slow", HANDSHAKES / 2);
	}
	certs_ca_free(&ca);
	certs_leaf_free(&leaf);
	tls_stop();
	return 0;
}
