/*
 * A stranger on the wire who wants to be in the way:
 *
 *   flood -i interface -A node -b address -c count [-e seed] [-s seconds]
 *       [-p port] [-r rate] mode...
 *
 *   lldp    frames of every broken kind
 *   names   proper LLDP frames of ever new stations; -n gives them a name
 *   hello   a TLS hello, and away without reading the answer
 *   half    a TLS hello, the answer read, then nothing: held until cut
 *   stuck   a connection to the mtls port that says nothing at all
 *   noise   random bytes to both ports
 *   spdm    SPDM connections held open with a request now and then
 *
 * With -p the TLS port is another one, that of enrold for example.
 * Each mode is done rate times a second (500), until seconds are over (10)
 * or SIGTERM; connections come in turn from count addresses from this one
 * on, which must be local. At the end, a line for each mode: how often it
 * was done, and how many connections the node ended or refused.
 */
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ETHERTYPE_LLDP	0x88cc
#define HOLD_MAX	512	/* connections of one mode that are held */

struct mode;

struct held {
	struct mode	*mode;
	int		 fd;
};

struct mode {
	const char	*name;
	void		(*act)(struct mode *);
	bool		 on;
	unsigned long	 done, ended;
	unsigned	 nheld, next;
	struct held	 held[HOLD_MAX];
};

static struct in_addr	 node, base;
static unsigned		 naddresses = 1, next_address, ifindex;
static unsigned		 rate = 500, length = 10, station;
static const char	*station_name = "stranger";
static uint16_t		 tls_port = 8090, spdm_port = 4194;
static int		 lldp_fd = -1, ep;
static uint64_t		 seed;
static uint8_t		 hello[2048];
static size_t		 hello_len;
static volatile sig_atomic_t ended;

static void
usage(void)
{
	fprintf(stderr, "usage: flood -i interface -A node -b address "
	    "-c count [-e seed] [-n name] [-p port] [-r rate] [-s seconds] mode...\n");
	exit(2);
}

/* xorshift64*: the same seed does the same. */
static uint32_t
rnd(void)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return (uint32_t)(seed * 2685821657736338717ULL >> 32);
}

static uint64_t
now_ms(void)
{
	struct timespec	ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* ---- LLDP ---------------------------------------------------------------- */

static void
lldp_send(const uint8_t *p, size_t n)
{
	struct sockaddr_ll	to = { .sll_family = AF_PACKET,
	    .sll_protocol = htons(ETHERTYPE_LLDP), .sll_halen = 6,
	    .sll_ifindex = (int)ifindex,
	    .sll_addr = { 0x01, 0x80, 0xc2, 0x00, 0x00, 0x0e } };

	if (sendto(lldp_fd, p, n, MSG_DONTWAIT, (struct sockaddr *)&to,
	    sizeof(to)) == -1 && errno != EAGAIN && errno != ENOBUFS)
		err(1, "lldp");
}

static size_t
tlv(uint8_t *p, unsigned type, const void *value, size_t n)
{
	p[0] = (uint8_t)(type << 1 | n >> 8);
	p[1] = (uint8_t)n;
	memcpy(p + 2, value, n);
	return n + 2;
}

/* Chassis, port, TTL and a name: a neighbour like any other. */
static size_t
proper(uint8_t *p, unsigned number, const char *name)
{
	uint8_t	id[7] = { 4, 0x02, 0, (uint8_t)(number >> 24),
	    (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number };
	uint8_t	ttl[2] = { 0xff, 0xff };
	size_t	n;

	n = tlv(p, 1, id, sizeof(id));
	n += tlv(p + n, 2, "\5eth0", 5);
	n += tlv(p + n, 3, ttl, sizeof(ttl));
	n += tlv(p + n, 5, name, strlen(name));
	return n + tlv(p + n, 0, "", 0);
}

/* A proper one with some bytes changed, cut short, or plain noise. */
static void
act_lldp(struct mode *m)
{
	uint8_t		p[1500];
	size_t		n = proper(p, rnd(), "broken"), i;
	unsigned	changes = 1 + rnd() % 4;

	switch (rnd() % 3) {
	case 0:
		for (; changes > 0; changes--)
			p[rnd() % n] = (uint8_t)rnd();
		break;
	case 1:
		n = 1 + rnd() % n;
		break;
	default:
		n = 1 + rnd() % sizeof(p);
		for (i = 0; i < n; i++)
			p[i] = (uint8_t)rnd();
	}
	lldp_send(p, n);
}

/* A few hundred stations, each kept fresh, and new ones now and then. */
static void
act_names(struct mode *m)
{
	uint8_t	p[1500];

	lldp_send(p, proper(p, station++ % 300 + (rnd() % 8 == 0 ? rnd() : 0),
	    station_name));
}

/* ---- connections --------------------------------------------------------- */

static int
connect_to(struct mode *m, uint16_t port)
{
	struct sockaddr_in	me = { .sin_family = AF_INET };
	struct sockaddr_in	to = { .sin_family = AF_INET, .sin_addr = node,
	    .sin_port = htons(port) };
	static const int	on = 1;
	static const struct linger gone = { 1, 0 };
	int			fd;

	me.sin_addr.s_addr = htonl(ntohl(base.s_addr) +
	    next_address++ % naddresses);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		err(1, "socket");
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &gone, sizeof(gone));
	if (bind(fd, (struct sockaddr *)&me, sizeof(me)) == -1)
		err(2, "%s is not local", inet_ntoa(me.sin_addr));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == -1 &&
	    errno != EINPROGRESS) {
		m->ended++;
		close(fd);
		return -1;
	}
	return fd;
}

static void
let_go(struct held *h)
{
	close(h->fd);
	h->fd = -1;
	h->mode->nheld--;
}

/* Keep it; of too many the oldest goes. Writable tells that it stands. */
static void
hold(struct mode *m, int fd)
{
	struct held		*h = &m->held[m->next++ % HOLD_MAX];
	struct epoll_event	 ev = { .events = EPOLLOUT | EPOLLIN |
	    EPOLLET, .data.ptr = h };

	if (h->fd != -1)
		let_go(h);
	h->fd = fd;
	m->nheld++;
	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) == -1)
		err(1, "epoll");
}

static void
act_tls(struct mode *m)
{
	int	fd = connect_to(m, tls_port);

	if (fd != -1)
		hold(m, fd);
}

static void
act_spdm(struct mode *m)
{
	int	fd = connect_to(m, spdm_port);

	if (fd != -1)
		hold(m, fd);
}

static void
act_noise(struct mode *m)
{
	int	fd = connect_to(m, rnd() % 2 ? tls_port : spdm_port);

	if (fd != -1)
		hold(m, fd);
}

/* DSP0287's header, then GET_VERSION, or what is no request at all. */
static void
speak_spdm(int fd)
{
	static const uint8_t	version[] = { 6, 0, 1, 5, 0x10, 0x84, 0, 0 };
	uint8_t			odd[64];
	size_t			i;

	if (rnd() % 4 != 0) {
		(void)!write(fd, version, sizeof(version));
		return;
	}
	memcpy(odd, version, sizeof(version));
	odd[0] = 62;
	for (i = 5; i < sizeof(odd); i++)
		odd[i] = (uint8_t)rnd();
	(void)!write(fd, odd, sizeof(odd));
}

static void
speak(struct held *h)
{
	const char	*name = h->mode->name;
	uint8_t		 buf[512];
	size_t		 i;

	if (strcmp(name, "spdm") == 0)
		speak_spdm(h->fd);
	else if (strcmp(name, "half") == 0 || strcmp(name, "hello") == 0)
		(void)!write(h->fd, hello, hello_len);
	else if (strcmp(name, "noise") == 0) {
		for (i = 0; i < sizeof(buf); i++)
			buf[i] = (uint8_t)rnd();
		(void)!write(h->fd, buf, 1 + rnd() % sizeof(buf));
	}
}

static void
event(struct held *h, uint32_t events)
{
	uint8_t	buf[4096];
	ssize_t	n;

	if (h->fd == -1)
		return;
	if (events & EPOLLIN) {
		while ((n = read(h->fd, buf, sizeof(buf))) > 0)
			continue;
		if (n == 0 || errno != EAGAIN)
			events |= EPOLLERR;
	}
	if (events & (EPOLLERR | EPOLLHUP)) {
		h->mode->ended++;
		let_go(h);
		return;
	}
	if (!(events & EPOLLOUT) || (events & EPOLLIN))
		return;
	speak(h);
	if (strcmp(h->mode->name, "hello") == 0)
		let_go(h);
}

/* What libssl says first, once for all connections. */
static void
make_hello(void)
{
	SSL_CTX	*ctx = SSL_CTX_new(TLS_client_method());
	SSL	*ssl = SSL_new(ctx);
	char	 groups[] = "P-256";
	BIO	*in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	int	 n;

	if (ssl == NULL || in == NULL || out == NULL)
		errx(1, "openssl");
	SSL_set_bio(ssl, in, out);
	SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
	SSL_set1_groups_list(ssl, groups);
	SSL_connect(ssl);
	if ((n = BIO_read(out, hello, sizeof(hello))) <= 0)
		errx(1, "no hello");
	hello_len = (size_t)n;
	SSL_free(ssl);
	SSL_CTX_free(ctx);
}

/* ---- the loop ------------------------------------------------------------ */

static struct mode modes[] = {
	{ .name = "lldp",  .act = act_lldp },
	{ .name = "names", .act = act_names },
	{ .name = "hello", .act = act_tls },
	{ .name = "half",  .act = act_tls },
	{ .name = "stuck", .act = act_tls },
	{ .name = "noise", .act = act_noise },
	{ .name = "spdm",  .act = act_spdm },
};
#define NMODES	(sizeof(modes) / sizeof(modes[0]))

static void
stop(int sig)
{
	ended = 1;
}

static void
events(void)
{
	struct epoll_event	ev[128];
	int			i, n;

	n = epoll_wait(ep, ev, 128, 2);
	for (i = 0; i < n; i++)
		event(ev[i].data.ptr, ev[i].events);
}

/* Each mode as often as its rate says by now, no more than 64 in a turn. */
static void
loop(void)
{
	uint64_t	from = now_ms(), due;
	unsigned	i, n;

	while (!ended && now_ms() - from < length * 1000ULL) {
		due = (now_ms() - from) * rate / 1000;
		for (i = 0; i < NMODES; i++)
			for (n = 0; n < 64 && modes[i].on &&
			    modes[i].done < due; n++) {
				modes[i].act(&modes[i]);
				modes[i].done++;
			}
		events();
	}
}

static void
mode_on(const char *name)
{
	unsigned	i, k;

	for (i = 0; i < NMODES; i++) {
		if (strcmp(name, modes[i].name) != 0 && strcmp(name, "all") != 0)
			continue;
		modes[i].on = true;
		for (k = 0; k < HOLD_MAX; k++)
			modes[i].held[k] = (struct held){ &modes[i], -1 };
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

	while ((ch = getopt(argc, argv, "A:b:c:e:i:n:p:r:s:")) != -1)
		switch (ch) {
		case 'A':
			address(optarg, &node);
			break;
		case 'b':
			address(optarg, &base);
			break;
		case 'c':
			naddresses = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'e':
			seed = strtoull(optarg, NULL, 10);
			break;
		case 'i':
			ifindex = if_nametoindex(optarg);
			break;
		case 'n':
			station_name = optarg;
			break;
		case 'p':
			tls_port = (uint16_t)strtoul(optarg, NULL, 10);
			break;
		case 'r':
			rate = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 's':
			length = (unsigned)strtoul(optarg, NULL, 10);
			break;
		default:
			usage();
		}
	if (ifindex == 0 || node.s_addr == 0 || base.s_addr == 0 ||
	    naddresses == 0 || optind == argc)
		usage();
	for (; optind < argc; optind++)
		mode_on(argv[optind]);
}

int
main(int argc, char **argv)
{
	struct rlimit	rl = { 8192, 8192 };
	unsigned	i;

	seed = (uint64_t)time(NULL) << 16 ^ (uint64_t)getpid();
	options(argc, argv);
	printf("seed %llu\n", (unsigned long long)seed);
	setrlimit(RLIMIT_NOFILE, &rl);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, stop);
	make_hello();
	if ((lldp_fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) == -1)
		err(1, "packet socket");
	if ((ep = epoll_create1(EPOLL_CLOEXEC)) == -1)
		err(1, "epoll");
	printf("floods\n");
	fflush(stdout);
	loop();
	for (i = 0; i < NMODES; i++)
		if (modes[i].on)
			printf("%s done %lu ended %lu held %u\n",
			    modes[i].name, modes[i].done, modes[i].ended,
			    modes[i].nheld);
	return 0;
}
