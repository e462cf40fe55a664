/*
 * A stranger that opens secured sessions with a node, with keys in this
 * process and a maker of its own:
 *
 *   spdmreq DIR ADDRESS PORT
 *
 * DIR/root.pem is its maker's root. Then, for each line on the standard input
 * one connection: it attests the node, opens a session, shows who it is if
 * asked, updates the keys, has measurements signed in the session and ends
 * it. What came of it is a line on the standard output: 'session N', with the
 * number of measurements, or the code of the first check that failed and what
 * was seen.
 */
#include <sys/socket.h>

#include <arpa/inet.h>
#include <err.h>
#include <poll.h>
#include <stdbool.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/rand.h>

#include "../unit/spdm_soft.h"
#include "../../attestd/spdm_requester.h"

#define BUF	0x6000

static const struct spdm_step	steps[] = {
	{ SPDM_GET_VERSION, 0 }, { SPDM_GET_CAPABILITIES, 0 },
	{ SPDM_NEGOTIATE_ALGORITHMS, 0 }, { SPDM_GET_DIGESTS, 0 },
	{ SPDM_GET_CERTIFICATE, 0 }, { SPDM_GET_CERTIFICATE, 1 },
	{ SPDM_CHALLENGE, 0 }, { SPDM_GET_MEASUREMENTS, 0 },
	{ SPDM_KEY_EXCHANGE, 0 }, { SPDM_FINISH, 0 },
	{ SPDM_HEARTBEAT, 0 },
	{ SPDM_KEY_UPDATE, SPDM_UPDATE_ALL },
	{ SPDM_KEY_UPDATE, SPDM_VERIFY_NEW },
	{ SPDM_KEY_UPDATE, SPDM_UPDATE_KEY },
	{ SPDM_KEY_UPDATE, SPDM_VERIFY_NEW },
	{ SPDM_GET_MEASUREMENTS, 0 },
	{ SPDM_GET_DIGESTS, 0 }, { SPDM_GET_CERTIFICATE, 0 },
	{ SPDM_END_SESSION, 0 },
};

static struct soft		soft;
static struct spdm_slot		slots[SPDM_SLOTS];
static struct spdm_tcp		tcp;
static const struct spdm_binding binding = { .tcp = &tcp };
static struct sockaddr_in	node;

static void
fill(void *arg, uint8_t *p, size_t n)
{
	NEED(RAND_bytes(p, (int)n) == 1);
}

static int
dial(void)
{
	int	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd == -1 || connect(fd, (struct sockaddr *)&node, sizeof(node)) ==
	    -1)
		err(1, "connect");
	return fd;
}

static bool
ask(int fd, bool secured, const uint8_t *msg, size_t len)
{
	uint8_t	out[BUF];

	NEED(SPDM_TCP_HDR + len <= sizeof(out));
	spdm_tcp_header(&tcp, secured ? SPDM_TCP_SECURED : SPDM_TCP_SPDM, len,
	    out);
	memcpy(out + SPDM_TCP_HDR, msg, len);
	len += SPDM_TCP_HDR;
	return send(fd, out, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/* One frame of the answer. False: the connection has ended. */
static bool
answer(int fd, uint8_t *in, struct spdm_frame *f)
{
	size_t	have = 0;
	ssize_t	n;

	for (;;) {
		switch (spdm_tcp_next(&tcp, in, have, f)) {
		case TCP_MESSAGE:
			return true;
		case TCP_MORE:
			break;
		case TCP_PEER_ERROR:
		case TCP_BAD:
			return false;
		}
		if ((n = recv(fd, in + have, BUF - have, 0)) <= 0)
			return false;
		have += (size_t)n;
	}
}

static enum spdm_act
sign(struct requester *r)
{
	const struct responder_sign	*sg = requester_sign(r);
	uint8_t				 sig[SPDM_SIG_MAX];

	soft_sign(soft.key, soft.alg, sg->version, sg->context, sg->hash,
	    sig);
	return requester_signed(r, sig);
}

static enum spdm_act
exchange(struct requester *r, int fd)
{
	static uint8_t		 in[BUF];
	struct spdm_frame	 f;
	const uint8_t		*p;
	size_t			 n;
	bool			 secured;

	p = requester_out(r, &secured, &n);
	if (!ask(fd, secured, p, n) || !answer(fd, in, &f))
		errx(1, "closed");
	return requester_feed(r, f.type == SPDM_TCP_SECURED, f.msg, f.len);
}

static void
session(void)
{
	static const uint8_t	 nonce[SPDM_NONCE] = { 1 };
	struct requester_conf	 conf;
	struct requester	*r;
	enum spdm_act		 act;
	int			 fd = dial();

	tcp = (struct spdm_tcp){ .counted = SPDM_TCP_COUNTED_DEFAULT,
	    .max = REQUESTER_TRANSFER };
	requester_defaults(&conf);
	conf.random = fill;
	conf.binding = &binding;
	conf.slots = slots;
	conf.steps = steps;
	conf.nsteps = sizeof(steps) / sizeof(steps[0]);
	requester_offer_session(&conf, true);
	NEED((r = requester_new(&conf, nonce)) != NULL);
	act = requester_start(r);
	while (act != SPDM_DONE && act != SPDM_FAIL) {
		if (act == SPDM_SIGN)
			act = sign(r);
		else if (act == SPDM_WAIT) {
			poll(NULL, 0, (int)requester_delay(r));
			act = requester_wake(r);
		} else {
			NEED(act == SPDM_SEND);
			act = exchange(r, fd);
		}
	}
	if (act == SPDM_FAIL)
		printf("%s %s: %s\n", reason_code(requester_why(r)->reason),
		    requester_why(r)->field, requester_why(r)->seen);
	else
		printf("session %u\n", requester_evidence(r)->nblocks);
	fflush(stdout);
	requester_free(r);
	close(fd);
}

int
main(int argc, char **argv)
{
	char	 path[256], line[16];
	FILE	*f;

	if (argc != 4)
		errx(2, "usage: spdmreq dir address port");
	node = (struct sockaddr_in){ .sin_family = AF_INET,
	    .sin_port = htons((uint16_t)strtoul(argv[3], NULL, 10)) };
	if (inet_pton(AF_INET, argv[2], &node.sin_addr) != 1)
		errx(1, "%s: not an IPv4 address", argv[2]);
	if (spdm_init() == -1)
		errx(1, "cannot begin");
	soft_new(&soft, KEY_P256);
	NEED(spdm_slot_set(&slots[0], 1, KEY_P256, soft.chain0, soft.len0) ==
	    0);
	snprintf(path, sizeof(path), "%s/root.pem", argv[1]);
	if ((f = fopen(path, "w")) == NULL)
		err(1, "%s", path);
	PEM_write_X509(f, soft.root);
	fclose(f);
	printf("ready\n");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin) != NULL)
		session();
	spdm_slot_clear(&slots[0]);
	soft_free(&soft);
	return 0;
}
