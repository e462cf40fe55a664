/*
 * A device that speaks SPDM and one of whose slots somebody else fills, with
 * keys in this process and a maker of its own:
 *
 *   spdmdev [-c p256|p384] [-m] [-r csr|set] [-x WAY] [-A ROOT] DIR
 *           ADDRESS PORT | PATH
 *
 *   -m   wants to know who fills its slot   -A   whom it believes then (PEM)
 *   -r   wants a reset after that request   -x   is hostile in this way:
 *        other    asks for a certificate over a key that it does not hold
 *        clear    sends its request outside of the session
 *        session  sends its request under another session's id
 *        refuse   does not take the certificate
 *        lie      takes it and keeps another
 *
 * It listens on TCP, or for MCTP's messages on a UNIX socket (SEQPACKET).
 * DIR/root.pem is its maker's root, DIR/slotN.pem what was put in slot N. What
 * happens becomes lines on the standard output. SIGHUP is the reset.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/rand.h>

#include "../unit/spdm_soft.h"
#include "../../attestd/spdm_csr.h"
#include "../../attestd/spdm_mctp.h"

#define CONNS	8
#define BUF	0x6000

struct conn {
	int			 fd;		/* -1: free */
	struct responder	*responder;
	struct responder_conf	 conf;
	struct spdm_binding	 binding;
	struct spdm_tcp		 tcp;
	uint8_t			 in[BUF];
	size_t			 len;
};

static struct conn		 conns[CONNS];
static struct soft		 soft;
static struct spdm_slot		 slots[SPDM_SLOTS], pending[SPDM_SLOTS];
static struct measure_set	 measures;
static struct spdm_root		 root;		/* whom -m believes */
static const char		*dir, *hostile = "", *wants_reset = "";
static bool			 mutual, mctp, tagged;
static uint8_t			 plain[SPDM_CSR_MAX + 8];	/* -x clear */
static size_t			 plain_len;
static bool			 twist;		/* -x session: the next one */
static volatile sig_atomic_t	 hup;

static void
say(const char *what, unsigned n)
{
	printf("%s %u\n", what, n);
	fflush(stdout);
}

static void
on_hup(int sig)
{
	hup = 1;
}

static void
write_pem(const char *name, const uint8_t *ders, size_t len)
{
	const uint8_t	*p = ders;
	char		 path[256], tmp[264];
	X509		*x;
	FILE		*f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	snprintf(tmp, sizeof(tmp), "%s.new", path);
	if ((f = fopen(tmp, "w")) == NULL)
		err(1, "%s", tmp);
	while (p < ders + len) {
		if ((x = d2i_X509(NULL, &p, ders + len - p)) == NULL)
			break;
		PEM_write_X509(f, x);
		X509_free(x);
	}
	if (fclose(f) != 0 || rename(tmp, path) == -1)
		err(1, "%s", path);
}

/* ---- what is asked of the device ----------------------------------------- */

static size_t
request(uint8_t *out, size_t size)
{
	EVP_PKEY	*key = soft.key;
	X509_REQ	*q = X509_REQ_new();
	X509_NAME	*name = X509_REQ_get_subject_name(q);
	int		 n;

	if (strcmp(hostile, "other") == 0)
		key = EVP_EC_gen(soft.alg->group);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
	    (const unsigned char *)"a device", -1, -1, 0);
	X509_NAME_add_entry_by_txt(name, "serialNumber", MBSTRING_ASC,
	    (const unsigned char *)"ACME-7712", -1, -1, 0);
	X509_REQ_set_pubkey(q, key);
	NEED(X509_REQ_sign(q, soft.key, soft.algorithm == KEY_P384 ?
	    EVP_sha384() : EVP_sha256()) > 0);
	NEED((size_t)i2d_X509_REQ(q, NULL) <= size);
	n = i2d_X509_REQ(q, &out);
	X509_REQ_free(q);
	if (key != soft.key)
		EVP_PKEY_free(key);
	return (size_t)n;
}

static uint8_t
on_csr(void *arg, uint8_t *tag, uint8_t *out, size_t *len)
{
	struct spdm_csr_rsp	 c = { .csr = out };
	struct conn		*conn = arg;
	struct spdm_buf		 b;

	if (strcmp(wants_reset, "csr") == 0) {
		*tag = 3;
		tagged = true;
		say("reset required", 0);
		return SPDM_E_RESET_REQUIRED;
	}
	/* 1.2 has no tag to ask for. */
	if (tagged && conn->conf.versions != SPDM_ALLOW_12 && *tag != 3)
		return SPDM_E_INVALID_REQUEST;
	c.len = *len = request(out, *len);
	say("csr", (unsigned)*len);
	if (strcmp(hostile, "clear") == 0) {
		spdm_buf_init(&b, plain, sizeof(plain));
		spdm_csr_put(&b, SPDM_V13, &c);
		plain_len = b.len;
	}
	twist = strcmp(hostile, "session") == 0;
	return 0;
}

static void
slot_set(struct spdm_slot *set, unsigned slot, const uint8_t *ders,
    size_t len)
{
	char	name[16];

	NEED(spdm_slot_set(&set[slot], 1, soft.algorithm, ders, len) == 0);
	if (set != slots)
		return;
	snprintf(name, sizeof(name), "slot%u.pem", slot);
	write_pem(name, ders, len);
}

static uint8_t
on_set(void *arg, uint8_t slot, const uint8_t *ders, size_t len)
{
	if (ders == NULL) {
		spdm_slot_clear(&slots[slot]);
		return 0;
	}
	if (strcmp(hostile, "refuse") == 0 || der_len(ders, len) == 0)
		return SPDM_E_UNSPECIFIED;
	if (strcmp(hostile, "lie") == 0)
		slot_set(slots, slot, soft.chain1, soft.len1);
	else if (strcmp(wants_reset, "set") == 0) {
		slot_set(pending, slot, ders, len);
		say("reset required", slot);
		return SPDM_E_RESET_REQUIRED;
	} else
		slot_set(slots, slot, ders, len);
	say("set", slot);
	return 0;
}

static void
fill(void *arg, uint8_t *p, size_t n)
{
	NEED(RAND_bytes(p, (int)n) == 1);
}

/* ---- connections --------------------------------------------------------- */

static void
conn_close(struct conn *c)
{
	if (c->fd == -1)
		return;
	close(c->fd);
	responder_free(c->responder);
	c->responder = NULL;
	c->fd = -1;
}

static void
conn_open(int fd)
{
	struct conn	*c;

	for (c = conns; c < conns + CONNS && c->fd != -1; c++)
		;
	if (c == conns + CONNS) {
		close(fd);
		return;
	}
	c->fd = fd;
	c->len = 0;
	c->tcp = (struct spdm_tcp){ .counted = SPDM_TCP_COUNTED_DEFAULT,
	    .max = RESPONDER_TRANSFER };
	c->binding = mctp ? spdm_mctp_binding :
	    (struct spdm_binding){ .tcp = &c->tcp };
	responder_defaults(&c->conf);
	c->conf.caps.flags |= SPDM_CAP_CSR | SPDM_CAP_SET_CERT |
	    SPDM_CAP_INSTALL_RESET;
	if (mutual) {
		c->conf.caps.flags |= SPDM_CAP_MUT_AUTH | SPDM_CAP_ENCAP;
		c->conf.mutual = SPDM_MUT_ENCAP;
		c->conf.roots = &root;
		c->conf.nroots = 1;
	}
	c->conf.slots = slots;
	c->conf.measures = &measures;
	c->conf.random = fill;
	c->conf.binding = &c->binding;
	c->conf.csr = on_csr;
	c->conf.set_certificate = on_set;
	c->conf.csr_arg = c;
	NEED((c->responder = responder_new(&c->conf)) != NULL);
}

static void
conn_send(struct conn *c, bool secured, const uint8_t *msg, size_t len)
{
	uint8_t	out[BUF];
	size_t	hdr = mctp ? SPDM_MCTP_HDR : SPDM_TCP_HDR;

	NEED(hdr + len <= sizeof(out));
	if (mctp)
		out[0] = secured ? SPDM_MCTP_SECURED : SPDM_MCTP_SPDM;
	else
		spdm_tcp_header(&c->tcp, secured ? SPDM_TCP_SECURED :
		    SPDM_TCP_SPDM, len, out);
	memcpy(out + hdr, msg, len);
	if (twist && secured) {
		out[hdr] ^= 0x80;
		twist = false;
	}
	if (send(c->fd, out, hdr + len, MSG_NOSIGNAL) == -1)
		conn_close(c);
}

static void
serve(struct conn *c, bool secured, const uint8_t *msg, size_t len)
{
	const struct responder_sign	*sg;
	uint8_t				 sig[SPDM_SIG_MAX];
	const uint8_t			*p;
	size_t				 n;

	if (responder_feed(c->responder, secured, msg, len) ==
	    RESPONDER_SIGN) {
		sg = responder_sign(c->responder);
		soft_sign(soft.key, soft.alg, sg->version, sg->context,
		    sg->hash, sig);
		(void)responder_signed(c->responder, sg->serial, sig);
	}
	if (responder_error(c->responder) != 0)
		say(spdm_error_name(responder_error(c->responder)), 0);
	p = responder_out(c->responder, &secured, &n);
	if (plain_len > 0) {
		conn_send(c, false, plain, plain_len);
		plain_len = 0;
	} else if (n > 0)
		conn_send(c, secured, p, n);
}

/* True: there may be another message. */
static bool
next_frame(struct conn *c)
{
	struct spdm_mctp_msg	m;
	struct spdm_frame	f;

	if (mctp) {
		if (c->len == 0)
			return false;
		if (spdm_mctp_read(c->in, c->len, RESPONDER_TRANSFER, &m) !=
		    MCTP_OK) {
			conn_close(c);
			return false;
		}
		serve(c, m.secured, m.msg, m.len);
		c->len = 0;
		return false;
	}
	switch (spdm_tcp_next(&c->tcp, c->in, c->len, &f)) {
	case TCP_MORE:
		return false;
	case TCP_MESSAGE:
		break;
	case TCP_PEER_ERROR:
	case TCP_BAD:
		conn_close(c);
		return false;
	}
	serve(c, f.type == SPDM_TCP_SECURED, f.msg, f.len);
	c->len -= f.used;
	memmove(c->in, c->in + f.used, c->len);
	return c->fd != -1;
}

static void
conn_read(struct conn *c)
{
	ssize_t	n = recv(c->fd, c->in + c->len, sizeof(c->in) - c->len, 0);

	if (n <= 0) {
		conn_close(c);
		return;
	}
	c->len += (size_t)n;
	while (next_frame(c))
		;
}

/* ---- the device ---------------------------------------------------------- */

/* What waited for the reset is so from now on. */
static void
reset(void)
{
	unsigned	i;

	hup = 0;
	for (i = 0; i < CONNS; i++)
		conn_close(&conns[i]);
	for (i = 0; i < SPDM_SLOTS; i++) {
		if (pending[i].content == NULL)
			continue;
		slot_set(slots, i, pending[i].content + 4 +
		    soft.alg->hash_len, pending[i].len - 4 -
		    soft.alg->hash_len);
		spdm_slot_clear(&pending[i]);
	}
	wants_reset = "";
	say("reset", 0);
}

static int
listen_at(const char *address, const char *port)
{
	struct sockaddr_un	sun = { .sun_family = AF_UNIX };
	struct sockaddr_in	sin = { .sin_family = AF_INET };
	int			fd, on = 1;

	if ((mctp = port == NULL)) {
		snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", address);
		umask(0);		/* netd is another user */
		fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
		if (fd == -1 || bind(fd, (struct sockaddr *)&sun,
		    sizeof(sun)) == -1 || listen(fd, 8) == -1)
			err(1, "%s", address);
		return fd;
	}
	sin.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
	if (inet_pton(AF_INET, address, &sin.sin_addr) != 1)
		errx(1, "%s: not an IPv4 address", address);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd == -1 || bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1 ||
	    listen(fd, 8) == -1)
		err(1, "%s port %s", address, port);
	return fd;
}

static void
run(int listener)
{
	struct pollfd	pfd[CONNS + 1];
	int		i, fd;

	for (;;) {
		if (hup)
			reset();
		pfd[CONNS] = (struct pollfd){ .fd = listener, .events =
		    POLLIN };
		for (i = 0; i < CONNS; i++)
			pfd[i] = (struct pollfd){ .fd = conns[i].fd,
			    .events = POLLIN };
		if (poll(pfd, CONNS + 1, -1) == -1) {
			if (errno == EINTR)
				continue;
			err(1, "poll");
		}
		for (i = 0; i < CONNS; i++)
			if (pfd[i].revents != 0)
				conn_read(&conns[i]);
		if (pfd[CONNS].revents != 0 &&
		    (fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) != -1)
			conn_open(fd);
	}
}

static void
believe(const char *path)
{
	uint8_t	*der = NULL;
	FILE	*f = fopen(path, "r");
	int	 n;

	if (f == NULL || (root.cert = PEM_read_X509(f, NULL, NULL, NULL)) ==
	    NULL || (n = i2d_X509(root.cert, &der)) <= 0)
		errx(1, "%s: no certificate", path);
	fclose(f);
	spdm_hash(spdm_sha256(), der, (size_t)n, root.sha256);
	spdm_hash(spdm_md(spdm_alg(KEY_P384)), der, (size_t)n, root.sha384);
	OPENSSL_free(der);
}

int
main(int argc, char **argv)
{
	struct sigaction	 sa = { .sa_handler = on_hup };
	enum key_algorithm	 a = KEY_P384;
	const char		*bad, *believed = NULL;
	int			 ch, fd, i;

	while ((ch = getopt(argc, argv, "A:c:mr:x:")) != -1) {
		switch (ch) {
		case 'A':
			believed = optarg;
			break;
		case 'c':
			a = strcmp(optarg, "p256") == 0 ? KEY_P256 : KEY_P384;
			break;
		case 'm':
			mutual = true;
			break;
		case 'r':
			wants_reset = optarg;
			break;
		case 'x':
			hostile = optarg;
			break;
		}
	}
	argc -= optind;
	argv += optind;
	if (argc < 2 || argc > 3)
		errx(2, "usage: spdmdev [-c curve] [-m] [-r csr|set] "
		    "[-x way] [-A root] dir address port | path");
	dir = argv[0];
	if (spdm_init() == -1 || measure_files(&measures, NULL,
	    "/proc/sys/kernel/random/boot_id", true, &bad) == -1)
		errx(1, "cannot begin");
	if (believed != NULL)
		believe(believed);
	soft_new(&soft, a);
	slot_set(slots, 0, soft.chain0, soft.len0);
	write_pem("root.pem", soft.chain0, der_len(soft.chain0,
	    soft.len0));
	for (i = 0; i < CONNS; i++)
		conns[i].fd = -1;
	sigaction(SIGHUP, &sa, NULL);
	fd = listen_at(argv[1], argv[2]);
	say("listening", 0);
	run(fd);
	return 0;
}
