/*
 * Many BMCs in one program, for one real node to meet:
 *
 *   fleet [-D] [-N node [-j n]] [-m port] [-s port] -n peers -b address
 *       -r root.pem -k root.key
 *
 *   -n -b   so many peers, at consecutive IPv4 addresses from this one on,
 *           which must be local ("ip route add local PREFIX dev lo")
 *   -r -k   their maker: issues each its slot-0 certificate
 *   -N -j   each attests this node once, n of them at a time (16)
 *   -D      after that, each dials the node as well, as a provd does
 *   -m -s   ports of TLS (8090) and SPDM (4194), everybody's
 *
 * Each peer has an SPDM responder, a CA of its own and a TLS 1.3 end that
 * demands a certificate (of anybody). One socket listens for all: the address
 * that was asked for tells whose connection it is. Lines on the standard
 * output: "ready", "attested", "served", "connected" with the number of
 * peers and the milliseconds since ready, each once all of them are; "now"
 * once a second while something changes; at SIGTERM "end" with totals.
 */
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <openssl/err.h>

#include "clock.h"
#include "conf.h"
#include "fleet.h"

#define IN_MAX		(REQUESTER_TRANSFER + SPDM_TCP_HDR)
#define PING_MS		1000
#define AGAIN_MS	500

enum kind { LISTEN_SPDM, LISTEN_TLS, SPDM_IN, SPDM_OUT, TLS_IN, TLS_OUT };

struct link {
	enum kind	 kind;
	int		 fd;
	struct member	*m;
	struct responder *rsp;
	struct requester *req;
	struct requester_conf *req_conf;
	struct spdm_tcp	 tcp;
	uint8_t		*in;
	size_t		 in_len;
	bool		 connecting;
	SSL		*ssl;
	bool		 up, greeted;
	struct link	*next, **prev;	/* of those that we ping */
};

static struct member	*members;
static unsigned		 nmembers = 50, jobs_max = 16, njobs, next_job;
static struct in_addr	 base, node;
static bool		 dial_too;
static uint16_t		 tls_port = 8090, spdm_port = 4194;
static SSL_CTX		*ctx;
static struct measure_set measures;
static struct link	*pinged;
static int		 ep;
static volatile sig_atomic_t ended;
static uint64_t		 started;
static struct {
	unsigned	 attested, served, once, live, lost;
	unsigned long	 attestations, handshakes, tokens, failed;
} total;

static void
usage(void)
{
	fprintf(stderr, "usage: fleet [-D] [-N node [-j n]] [-m port] "
	    "[-s port] -n peers -b address -r root.pem -k root.key\n");
	exit(2);
}

static void
milestone(const char *what, unsigned n)
{
	printf("%s %u %llu ms\n", what, n,
	    (unsigned long long)(clock_mono_ms() - started));
}

static void
fill(void *arg, uint8_t *p, size_t n)
{
	NEED(getrandom(p, n, 0) == (ssize_t)n);
}

/* ---- links --------------------------------------------------------------- */

static void
watch(struct link *l, uint32_t events, bool add)
{
	struct epoll_event ev = { .events = events, .data.ptr = l };

	NEED(epoll_ctl(ep, add ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, l->fd, &ev)
	    == 0);
}

static struct link *
link_new(enum kind kind, int fd, struct member *m, uint32_t events)
{
	struct link	*l = calloc(1, sizeof(*l));

	NEED(l != NULL);
	l->kind = kind;
	l->fd = fd;
	l->m = m;
	if (kind == SPDM_IN || kind == SPDM_OUT) {
		l->in = malloc(IN_MAX);
		NEED(l->in != NULL);
		l->tcp = (struct spdm_tcp){ .max = REQUESTER_TRANSFER,
		    .counted = SPDM_TCP_COUNTED_DEFAULT };
	}
	watch(l, events, true);
	return l;
}

static void
not_greeted(struct link *l)
{
	if (!l->greeted)
		return;
	if (--l->m->live == 0) {
		total.live--;
		total.lost++;
	}
	if (l->prev != NULL) {
		*l->prev = l->next;
		if (l->next != NULL)
			l->next->prev = l->prev;
	}
}

static void
link_end(struct link *l)
{
	if (l->kind == SPDM_OUT) {
		njobs--;
		l->m->attesting = false;
		l->m->again = clock_mono_ms() + AGAIN_MS;
	}
	not_greeted(l);
	responder_free(l->rsp);
	requester_free(l->req);
	free(l->req_conf);
	free(l->in);
	SSL_free(l->ssl);
	close(l->fd);
	free(l);
}

/* Frames are short: the kernel takes them, or soon will. */
static void
send_all(int fd, const uint8_t *p, size_t n)
{
	struct pollfd	pfd = { .fd = fd, .events = POLLOUT };
	ssize_t		r;

	while (n > 0) {
		if ((r = send(fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT)) > 0) {
			p += r;
			n -= (size_t)r;
		} else if (errno != EAGAIN || poll(&pfd, 1, 5000) != 1)
			return;		/* the read will tell */
	}
}

static void
send_spdm(struct link *l, const uint8_t *msg, size_t n)
{
	uint8_t	frame[SPDM_TCP_HDR + 0x4800];

	NEED(n <= sizeof(frame) - SPDM_TCP_HDR);
	spdm_tcp_header(&l->tcp, SPDM_TCP_SPDM, n, frame);
	memcpy(frame + SPDM_TCP_HDR, msg, n);
	send_all(l->fd, frame, SPDM_TCP_HDR + n);
}

/* ---- SPDM ---------------------------------------------------------------- */

static void
respond(struct link *l, const uint8_t *msg, size_t n)
{
	const struct responder_sign	*s;
	uint8_t				 sig[SPDM_SIG_MAX];
	const uint8_t			*out;
	size_t				 len;
	bool				 secured;

	if (responder_feed(l->rsp, false, msg, n) == RESPONDER_SIGN) {
		s = responder_sign(l->rsp);
		soft_sign(l->m->key, spdm_alg(KEY_P256), s->version,
		    s->context, s->hash, sig);
		responder_signed(l->rsp, s->serial, sig);
	}
	out = responder_out(l->rsp, &secured, &len);
	send_spdm(l, out, len);
	if (!responder_attested(l->rsp))
		return;
	total.attestations++;
	if (!l->m->served && ++total.served == nmembers)
		milestone("served", nmembers);
	l->m->served = true;
}

static void	dial(struct member *, enum kind);

static bool
request(struct link *l, enum spdm_act act)
{
	const uint8_t	*out;
	size_t		 len;
	bool		 secured;

	switch (act) {
	case SPDM_SEND:
		out = requester_out(l->req, &secured, &len);
		send_spdm(l, out, len);
		return true;
	case SPDM_DONE:
		l->m->attested = true;
		if (++total.attested == nmembers)
			milestone("attested", nmembers);
		if (dial_too && l->m->live == 0)
			dial(l->m, TLS_OUT);
		return false;
	default:
		total.failed++;
		return false;		/* Busy: another time */
	}
}

static bool
spdm_start(struct link *l)
{
	uint8_t	nonce[SPDM_NONCE];

	l->connecting = false;
	watch(l, EPOLLIN, false);
	l->req_conf = calloc(1, sizeof(*l->req_conf));
	NEED(l->req_conf != NULL);
	requester_defaults(l->req_conf);
	l->req_conf->versions = SPDM_ALLOW_12 | SPDM_ALLOW_13;
	l->req_conf->algorithms = 1u << KEY_P256;
	l->req_conf->random = fill;
	fill(NULL, nonce, sizeof(nonce));
	NEED((l->req = requester_new(l->req_conf, nonce)) != NULL);
	return request(l, requester_start(l->req));
}

static bool
spdm_readable(struct link *l)
{
	struct spdm_frame	f;
	ssize_t			n;

	if (l->connecting)
		return spdm_start(l);
	n = recv(l->fd, l->in + l->in_len, IN_MAX - l->in_len, MSG_DONTWAIT);
	if (n <= 0)
		return n == -1 && errno == EAGAIN;
	l->in_len += (size_t)n;
	for (;;) {
		switch (spdm_tcp_next(&l->tcp, l->in, l->in_len, &f)) {
		case TCP_MORE:
			return true;
		case TCP_MESSAGE:
			break;
		default:
			return false;
		}
		if (l->kind == SPDM_IN)
			respond(l, f.msg, f.len);
		else if (!request(l, requester_feed(l->req, false, f.msg,
		    f.len)))
			return false;
		l->in_len -= f.used;
		memmove(l->in, l->in + f.used, l->in_len);
	}
}

/* ---- TLS ----------------------------------------------------------------- */

static int
any_certificate(X509_STORE_CTX *store, void *arg)
{
	X509_STORE_CTX_set_error(store, X509_V_OK);
	return 1;
}

static SSL_CTX *
context(void)
{
	SSL_CTX	*c = SSL_CTX_new(TLS_method());

	NEED(c != NULL);
	NEED(SSL_CTX_set_min_proto_version(c, TLS1_3_VERSION));
	SSL_CTX_set_num_tickets(c, 0);
	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_verify(c, SSL_VERIFY_PEER |
	    SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(c, any_certificate, NULL);
	return c;
}

static void
tls_begin(struct link *l)
{
	l->ssl = SSL_new(ctx);
	NEED(l->ssl != NULL);
	NEED(SSL_use_certificate(l->ssl, l->m->tls_leaf) == 1);
	NEED(SSL_use_PrivateKey(l->ssl, l->m->tls_key) == 1);
	SSL_set_fd(l->ssl, l->fd);
	if (l->kind == TLS_IN)
		SSL_set_accept_state(l->ssl);
	else
		SSL_set_connect_state(l->ssl);
}

static void
greeted(struct link *l)
{
	if (l->greeted)
		return;
	l->greeted = true;
	if (l->m->live++ == 0)
		total.live++;
	if (!l->m->connected && ++total.once == nmembers)
		milestone("connected", nmembers);
	l->m->connected = true;
	if (l->kind != TLS_OUT)
		return;
	l->next = pinged;
	l->prev = &pinged;
	if (pinged != NULL)
		pinged->prev = &l->next;
	pinged = l;
}

static bool
tls_read(struct link *l)
{
	char	buf[1024];
	int	n;

	while ((n = SSL_read(l->ssl, buf, sizeof(buf))) > 0) {
		total.tokens++;
		greeted(l);
		if (l->kind == TLS_IN || memchr(buf, 'p', (size_t)n) != NULL)
			SSL_write(l->ssl, "alive", 5);
	}
	n = SSL_get_error(l->ssl, n);
	return n == SSL_ERROR_WANT_READ;
}

static bool
tls_ready(struct link *l)
{
	int	r;

	ERR_clear_error();
	if (l->ssl == NULL)
		tls_begin(l);
	if (l->up)
		return tls_read(l);
	r = SSL_do_handshake(l->ssl);
	if (r == 1) {
		l->up = true;
		total.handshakes++;
		watch(l, EPOLLIN, false);
		if (l->kind == TLS_OUT)
			SSL_write(l->ssl, "Hello", 5);
		return tls_read(l);
	}
	r = SSL_get_error(l->ssl, r);
	if (r == SSL_ERROR_WANT_READ)
		watch(l, EPOLLIN, false);
	else if (r == SSL_ERROR_WANT_WRITE)
		watch(l, EPOLLOUT, false);
	else {
		total.failed++;
		return false;
	}
	return true;
}

static void
ping_all(void)
{
	struct link	*l;

	for (l = pinged; l != NULL; l = l->next)
		SSL_write(l->ssl, "ping", 4);
}

/* ---- sockets ------------------------------------------------------------- */

static void
tune(int fd)
{
	static const int	on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static int
listener(uint16_t port)
{
	struct sockaddr_in	sin = { .sin_family = AF_INET,
	    .sin_port = htons(port) };
	static const int	on = 1;
	int			fd;

	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd == -1 || bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1 ||
	    listen(fd, 1024) == -1)
		err(2, "port %u", port);
	return fd;
}

static void
accept_all(struct link *l)
{
	struct sockaddr_in	 sin;
	struct responder	*r;
	socklen_t		 len;
	unsigned		 i;
	int			 fd;

	while ((fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC))
	    != -1) {
		len = sizeof(sin);
		i = nmembers;
		if (getsockname(fd, (struct sockaddr *)&sin, &len) == 0)
			i = ntohl(sin.sin_addr.s_addr) - ntohl(base.s_addr);
		if (i >= nmembers) {
			close(fd);
			continue;
		}
		tune(fd);
		if (l->kind == LISTEN_TLS) {
			link_new(TLS_IN, fd, &members[i], EPOLLIN);
			continue;
		}
		NEED((r = responder_new(&members[i].conf)) != NULL);
		link_new(SPDM_IN, fd, &members[i], EPOLLIN)->rsp = r;
	}
}

/* From the peer's own address, as the real one would. */
static void
dial(struct member *m, enum kind kind)
{
	struct sockaddr_in	me = { .sin_family = AF_INET,
	    .sin_addr = m->address };
	struct sockaddr_in	to = { .sin_family = AF_INET, .sin_addr = node,
	    .sin_port = htons(kind == SPDM_OUT ? spdm_port : tls_port) };
	static const int	on = 1;
	int			fd;

	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	NEED(fd != -1);
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	tune(fd);
	if (bind(fd, (struct sockaddr *)&me, sizeof(me)) == -1)
		err(2, "%s is not local", inet_ntoa(m->address));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == -1 &&
	    errno != EINPROGRESS) {
		close(fd);
		m->again = clock_mono_ms() + AGAIN_MS;
		return;
	}
	if (kind == SPDM_OUT) {
		njobs++;
		m->attesting = true;
	}
	link_new(kind, fd, m, EPOLLOUT)->connecting = true;
}

static void
attest_more(void)
{
	uint64_t	 now = clock_mono_ms();
	struct member	*m;
	unsigned	 i;

	if (node.s_addr == 0 || total.attested == nmembers)
		return;
	for (i = 0; i < nmembers && njobs < jobs_max; i++) {
		m = &members[next_job++ % nmembers];
		if (!m->attested && !m->attesting && now >= m->again)
			dial(m, SPDM_OUT);
	}
}

/* ---- the loop ------------------------------------------------------------ */

static void
event(struct link *l)
{
	bool	alive = true;

	switch (l->kind) {
	case LISTEN_SPDM:
	case LISTEN_TLS:
		accept_all(l);
		break;
	case SPDM_IN:
	case SPDM_OUT:
		alive = spdm_readable(l);
		break;
	case TLS_IN:
	case TLS_OUT:
		alive = tls_ready(l);
		break;
	}
	if (!alive)
		link_end(l);
}

static void
second(void)
{
	static unsigned	attested, served, live, lost;

	ping_all();
	if (attested == total.attested && served == total.served &&
	    live == total.live && lost == total.lost)
		return;
	attested = total.attested;
	served = total.served;
	live = total.live;
	lost = total.lost;
	printf("now attested %u served %u connected %u lost %u failed %lu\n",
	    attested, served, live, lost, total.failed);
}

static void
loop(void)
{
	struct epoll_event	ev[64];
	uint64_t		due = clock_mono_ms() + PING_MS;
	int			i, n;

	while (!ended) {
		n = epoll_wait(ep, ev, 64, 20);
		for (i = 0; i < n; i++)
			event(ev[i].data.ptr);
		attest_more();
		if (clock_mono_ms() < due)
			continue;
		due += PING_MS;
		second();
	}
}

static void
stop(int sig)
{
	ended = 1;
}

static void
make_members(void)
{
	static char		 exe[] = "/proc/self/exe";
	struct conf_path	 self = { NULL, exe };
	uint8_t			 pcrs[32 * MEASURE_PCRS] = { 0 };
	const char		*bad;
	struct member		*m;
	unsigned		 i;

	NEED(measure_files(&measures, &self, "/proc/sys/kernel/random/boot_id",
	    false, &bad) == 0);
	measure_pcrs(&measures, pcrs);
	members = calloc(nmembers, sizeof(*members));
	NEED(members != NULL);
	for (i = 0; i < nmembers; i++) {
		m = &members[i];
		fleet_member(m, i, (struct in_addr){
		    htonl(ntohl(base.s_addr) + i) });
		responder_defaults(&m->conf);
		m->conf.slots = m->slot;
		m->conf.measures = &measures;
		m->conf.random = fill;
	}
}

static void
address(const char *text, struct in_addr *out)
{
	if (inet_pton(AF_INET, text, out) != 1)
		errx(2, "%s: not an IPv4 address", text);
}

static void
options(int argc, char **argv)
{
	int	ch;

	while ((ch = getopt(argc, argv, "DN:b:j:k:m:n:r:s:")) != -1)
		switch (ch) {
		case 'D':
			dial_too = true;
			break;
		case 'N':
			address(optarg, &node);
			break;
		case 'b':
			address(optarg, &base);
			break;
		case 'j':
			jobs_max = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'k':
			maker_key = fleet_pem(optarg, true);
			break;
		case 'm':
			tls_port = (uint16_t)strtoul(optarg, NULL, 10);
			break;
		case 'n':
			nmembers = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'r':
			maker = fleet_pem(optarg, false);
			break;
		case 's':
			spdm_port = (uint16_t)strtoul(optarg, NULL, 10);
			break;
		default:
			usage();
		}
	if (maker == NULL || maker_key == NULL || base.s_addr == 0 ||
	    nmembers == 0 || optind != argc)
		usage();
}

int
main(int argc, char **argv)
{
	struct rlimit	rl = { 65536, 65536 };

	options(argc, argv);
	setrlimit(RLIMIT_NOFILE, &rl);
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, stop);
	signal(SIGINT, stop);
	NEED(spdm_init() == 0);
	ctx = context();
	make_members();
	NEED((ep = epoll_create1(EPOLL_CLOEXEC)) != -1);
	link_new(LISTEN_SPDM, listener(spdm_port), NULL, EPOLLIN);
	link_new(LISTEN_TLS, listener(tls_port), NULL, EPOLLIN);
	started = clock_mono_ms();
	milestone("ready", nmembers);
	loop();
	printf("end attestations %lu handshakes %lu tokens %lu connected %u "
	    "lost %u failed %lu\n", total.attestations, total.handshakes,
	    total.tokens, total.live, total.lost, total.failed);
	fflush(stdout);
	_exit(0);	/* of thousands of peers nobody needs to free any */
}
