/*
 * Many devices that ask the certificate service at once:
 *
 *   enrolload load [-1ep] [-A address] [-P port] [-c connections]
 *       [-l profile] [-r seconds] [-s rate] [-o acknowledged] -t tickets
 *   enrolload load [-1p] ... -u path -b body -T type -n count
 *   enrolload csr [-w] -n name-in-hex >der
 *   enrolload bare seconds
 *
 * load makes a P-256 key and a request for each line "NAME TICKET" of the
 * file ("-" for no ticket), then sends them as JSON, or with -e as EST, over
 * TLS 1.3 or with -p without, on connections that are kept or with -1 one for
 * each. With -r, what got no answer, or 429 or 503, is sent again in the same
 * bytes until so many seconds are over; with -s no more than rate requests
 * are begun in a second. The file of -o has a line for each
 * certificate: microseconds since 1970 when it was here, name, serial number,
 * SHA-256. With -u the same body is posted count times.
 *
 * Prints "WORD NUMBER" lines: ok, refused, failed, again (sent), seconds,
 * rate, p50 and p99 in microseconds, and how often each reason was given.
 *
 * csr prints a request for a common name of any bytes, signed with another
 * key than its own after -w. bare prints how often OpenSSL signs and verifies
 * with P-256 in a second.
 */
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <netinet/tcp.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sieve.h"

#define CONNS_MAX	1024
#define REPLY_MAX	16384
#define NAME_MAX_HEX	65535	/* bytes of a common name */
#define REASONS_MAX	64
#define PAUSE_MS	20	/* before a connection is tried again */

struct request {
	char		*bytes;	/* the whole of HTTP */
	size_t		 len;
	char		*name;
};

enum state { IDLE, CONNECTING, GREETING, WRITING, READING, RESTING };

struct conn {
	int		 fd;
	SSL		*ssl;
	enum state	 state;
	struct request	*req;
	size_t		 sent, got;
	uint64_t	 since, wake;	/* us; ms, 0: not paused */
	char		 in[REPLY_MAX + 1];
};

static struct {
	struct in_addr	 address;
	uint16_t	 port;
	unsigned	 nconns, nreq, seconds, rate;
	bool		 once, est, plain;
	const char	*profile, *tickets, *path, *body, *type;
	FILE		*acknowledged;
} opt = { .port = 8443, .nconns = 1 };

static SSL_CTX		*ctx;
static OSSL_LIB_CTX	*lib;
static int		 ep;
static struct request	*reqs, **waiting;
static unsigned		 nwaiting;
static uint64_t		 started;	/* ms */
static struct conn	*conns;
static unsigned long	 ok, refused, failed, again;
static uint64_t		*took;	/* us */
static struct { char code[8]; unsigned long n; } reasons[REASONS_MAX];

static uint64_t
now_us(clockid_t id)
{
	struct timespec	ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static uint64_t
now_ms(void)
{
	return now_us(CLOCK_MONOTONIC) / 1000;
}

/* ---- requests for certificates --------------------------------------------- */

struct der {
	uint8_t	*p;
	size_t	 n;
};

static void
put(struct der *d, const void *p, size_t n)
{
	memcpy(d->p + d->n, p, n);
	d->n += n;
}

/* Tag and length, for what was put at d->p + from on: moves it up. */
static void
wrap(struct der *d, size_t from, uint8_t tag)
{
	size_t	n = d->n - from, h = n < 128 ? 2 : n < 256 ? 3 : n < 65536 ? 4 : 5;
	uint8_t	*p = d->p + from;

	memmove(p + h, p, n);
	d->n += h;
	p[0] = tag;
	p[1] = (uint8_t)(h == 2 ? n : 0x80 + h - 2);
	for (; h > 2; h--, n >>= 8)
		p[h - 1] = (uint8_t)n;
}

static EVP_PKEY *
key_new(void)
{
	EVP_PKEY *k = EVP_PKEY_Q_keygen(lib, NULL, "EC", "P-256");

	if (k == NULL)
		errx(1, "key: %s", ERR_reason_error_string(ERR_peek_error()));
	return k;
}

static size_t
sign(EVP_PKEY *k, const uint8_t *p, size_t n, uint8_t sig[80])
{
	EVP_MD_CTX	*c = EVP_MD_CTX_new();
	size_t		 len = 80;

	if (c == NULL || EVP_DigestSignInit_ex(c, NULL, "SHA256", lib, NULL, k,
	    NULL) != 1 || EVP_DigestSign(c, sig, &len, p, n) != 1)
		errx(1, "sign: %s", ERR_reason_error_string(ERR_peek_error()));
	EVP_MD_CTX_free(c);
	return len;
}

/* PKCS#10 (RFC 2986) over a key of P-256, in a buffer of name + 512 bytes. */
static size_t
csr(uint8_t *out, const void *name, size_t len, EVP_PKEY *k, EVP_PKEY *by)
{
	static const uint8_t	spki[] = { 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48,
	    0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7 };
	static const uint8_t	ecdsa[] = { 0x30, 10, 6, 8, 0x2a, 0x86, 0x48,
	    0xce, 0x3d, 4, 3, 2 };
	struct der		d = { out, 0 };
	uint8_t			sig[80], point[65];
	size_t			at, n = 0;

	put(&d, "\2\1\0", 3);
	put(&d, "\6\3\x55\4\3", 5);
	at = d.n;
	put(&d, name, len);
	wrap(&d, at, 0x0c);
	wrap(&d, 3, 0x30);
	wrap(&d, 3, 0x31);
	wrap(&d, 3, 0x30);
	at = d.n;
	put(&d, spki, sizeof(spki));
	if (EVP_PKEY_get_octet_string_param(k, OSSL_PKEY_PARAM_PUB_KEY, point,
	    sizeof(point), &n) != 1 || n != sizeof(point))
		errx(1, "point");
	n = d.n;
	put(&d, "", 1);
	put(&d, point, sizeof(point));
	wrap(&d, n, 3);
	wrap(&d, at, 0x30);
	put(&d, "\xa0", 2);
	wrap(&d, 0, 0x30);
	n = sign(by, out, d.n, sig);
	put(&d, ecdsa, sizeof(ecdsa));
	at = d.n;
	put(&d, "", 1);
	put(&d, sig, n);
	wrap(&d, at, 3);
	wrap(&d, 0, 0x30);
	return d.n;
}

static int
hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ?
	    c - 'a' + 10 : -1;
}

static int
csr_main(int argc, char **argv)
{
	static uint8_t	 name[NAME_MAX_HEX], out[NAME_MAX_HEX + 512];
	EVP_PKEY	*k = key_new(), *by = k;
	const char	*hex = NULL;
	size_t		 n;
	int		 ch;

	while ((ch = getopt(argc, argv, "n:w")) != -1)
		if (ch == 'n')
			hex = optarg;
		else if (ch == 'w')
			by = key_new();
		else
			return 2;
	if (hex == NULL || strlen(hex) / 2 > sizeof(name))
		errx(2, "csr: a name in hex");
	for (n = 0; hex[2 * n] != '\0'; n++)
		name[n] = (uint8_t)(hex_digit(hex[2 * n]) << 4 |
		    hex_digit(hex[2 * n + 1]));
	n = csr(out, name, n, k, by);
	if (by != k)
		EVP_PKEY_free(by);
	EVP_PKEY_free(k);
	return fwrite(out, 1, n, stdout) == n ? 0 : 1;
}

/* ---- requests of HTTP --------------------------------------------------------- */

static char *
base64(const void *p, size_t n)
{
	char	*s = malloc(n / 3 * 4 + 8);

	if (s == NULL)
		err(1, NULL);
	EVP_EncodeBlock((unsigned char *)s, p, (int)n);
	return s;
}

static void
http(struct request *r, const char *path, const char *type, const char *more,
    const char *body, size_t len)
{
	char	head[512];
	int	n;

	n = snprintf(head, sizeof(head), "POST %s HTTP/1.1\r\nHost: ca\r\n"
	    "Content-Type: %s\r\n%sContent-Length: %zu\r\n%s\r\n", path, type,
	    more, len, opt.once ? "Connection: close\r\n" : "");
	if (n < 0 || (size_t)n >= sizeof(head))
		errx(2, "path too long");
	r->len = (size_t)n + len;
	if ((r->bytes = malloc(r->len)) == NULL)
		err(1, NULL);
	memcpy(r->bytes, head, (size_t)n);
	memcpy(r->bytes + n, body, len);
}

static void
request_json(struct request *r, const char *der, const char *ticket)
{
	char	body[4096];
	int	n;

	n = snprintf(body, sizeof(body), "{\"operation\":\"req_client_cert\","
	    "\"csr\":\"%s\"", der);
	if (ticket[0] != '-')
		n += snprintf(body + n, sizeof(body) - (size_t)n,
		    ",\"ticket\":\"%s\"", ticket);
	if (opt.profile != NULL)
		n += snprintf(body + n, sizeof(body) - (size_t)n,
		    ",\"profile\":\"%s\"", opt.profile);
	n += snprintf(body + n, sizeof(body) - (size_t)n, "}");
	http(r, "/", "application/json", "", body, (size_t)n);
}

/* RFC 7030, 4.2.1; the ticket is the password of the device (RFC 7617). */
static void
request_est(struct request *r, const char *der, const char *ticket)
{
	char	 path[128], user[256], more[512], *b;
	int	 n;

	snprintf(path, sizeof(path), "/.well-known/est/%s%ssimpleenroll",
	    opt.profile != NULL ? opt.profile : "",
	    opt.profile != NULL ? "/" : "");
	n = snprintf(user, sizeof(user), "%s:%s", r->name, ticket);
	b = base64(user, (size_t)n);
	snprintf(more, sizeof(more), "Content-Transfer-Encoding: base64\r\n");
	if (ticket[0] != '-')
		snprintf(more, sizeof(more), "Authorization: Basic %s\r\n"
		    "Content-Transfer-Encoding: base64\r\n", b);
	http(r, path, "application/pkcs10", more, der, strlen(der));
	free(b);
}

static void
requests_read(void)
{
	static uint8_t	 der[1024];
	char		 name[128], ticket[128], *b;
	EVP_PKEY	*k;
	FILE		*f = fopen(opt.tickets, "re");
	unsigned	 size = 0;

	if (f == NULL)
		err(1, "%s", opt.tickets);
	while (fscanf(f, "%127s %127s", name, ticket) == 2) {
		if (opt.nreq == size) {
			size = size * 2 + 1024;
			if ((reqs = reallocarray(reqs, size, sizeof(*reqs))) ==
			    NULL)
				err(1, NULL);
		}
		k = key_new();
		b = base64(der, csr(der, name, strlen(name), k, k));
		EVP_PKEY_free(k);
		reqs[opt.nreq].name = strdup(name);
		(opt.est ? request_est : request_json)(&reqs[opt.nreq++], b,
		    ticket);
		free(b);
	}
	fclose(f);
}

/* The same bytes, so often. */
static void
requests_same(void)
{
	static char	 body[65536];
	FILE		*f = fopen(opt.body, "re");
	size_t		 n;
	unsigned	 i;

	if (f == NULL || opt.type == NULL)
		err(1, "%s", opt.body);
	n = fread(body, 1, sizeof(body), f);
	fclose(f);
	if ((reqs = calloc(opt.nreq, sizeof(*reqs))) == NULL)
		err(1, NULL);
	http(&reqs[0], opt.path, opt.type, "", body, n);
	for (i = 1; i < opt.nreq; i++)
		reqs[i] = reqs[0];
}

/* ---- answers ---------------------------------------------------------------------- */

static void
reason_count(const char *body)
{
	const char	*p;
	unsigned	 i;

	for (p = body; *p != '\0'; p++)
		if (strspn(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 3 &&
		    p[3] == '-' && strspn(p + 4, "0123456789") == 3)
			break;
	for (i = 0; *p != '\0' && i < REASONS_MAX; i++)
		if (reasons[i].n == 0 || strncmp(reasons[i].code, p, 7) == 0) {
			memcpy(reasons[i].code, p, 7);
			reasons[i].n++;
			return;
		}
}

static X509 *
answer_json(const char *body)
{
	json_t		*o = json_loads(body, 0, NULL);
	const char	*pem;
	BIO		*b;
	X509		*x = NULL;

	pem = json_string_value(json_object_get(o, "certificate"));
	if (pem != NULL && (b = BIO_new_mem_buf(pem, -1)) != NULL) {
		x = PEM_read_bio_X509(b, NULL, NULL, NULL);
		BIO_free(b);
	}
	json_decref(o);
	return x;
}

/* certs-only (RFC 7030, 4.2.3), base64 in any wrapping: the leaf is first. */
static X509 *
answer_est(const char *body)
{
	BIO		*b64 = BIO_new(BIO_f_base64());
	BIO		*b = BIO_push(b64, BIO_new_mem_buf(body, -1));
	PKCS7		*p7;
	X509		*x = NULL;

	if (strchr(body, '\n') == NULL)
		BIO_set_flags(b64, BIO_FLAGS_BASE64_NO_NL);
	p7 = d2i_PKCS7_bio(b, NULL);
	if (p7 != NULL && PKCS7_type_is_signed(p7))
		x = sk_X509_shift(p7->d.sign->cert);
	PKCS7_free(p7);
	BIO_free_all(b);
	return x;
}

static void
acknowledge(const struct request *r, const char *body)
{
	uint64_t	 at = now_us(CLOCK_REALTIME);
	X509		*x = (opt.est ? answer_est : answer_json)(body);
	uint8_t		 hash[EVP_MAX_MD_SIZE];
	unsigned	 n = 0, i;
	BIGNUM		*bn;
	char		*hex;

	if (x == NULL)
		errx(1, "no certificate in the answer to %s: %.200s", r->name,
		    body);
	bn = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x), NULL);
	if (bn == NULL || (hex = BN_bn2hex(bn)) == NULL ||
	    X509_digest(x, EVP_sha256(), hash, &n) != 1)
		errx(1, "openssl");
	fprintf(opt.acknowledged, "%llu %s %s ", (unsigned long long)at,
	    r->name, hex);
	for (i = 0; i < n; i++)
		fprintf(opt.acknowledged, "%02x", hash[i]);
	fputc('\n', opt.acknowledged);
	OPENSSL_free(hex);
	BN_free(bn);
	X509_free(x);
}

/* ---- connections ----------------------------------------------------------------- */

static void	conn_step(struct conn *);

static void
conn_close(struct conn *c)
{
	SSL_free(c->ssl);
	c->ssl = NULL;
	if (c->fd != -1)
		close(c->fd);
	c->fd = -1;
	c->state = IDLE;
}

static void
conn_dial(struct conn *c)
{
	static const int	on = 1;
	struct sockaddr_in	to = { .sin_family = AF_INET,
	    .sin_addr = opt.address, .sin_port = htons(opt.port) };
	struct epoll_event	ev = { .events = EPOLLIN | EPOLLOUT | EPOLLET,
	    .data.ptr = c };

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd == -1)
		err(1, "socket");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	c->state = CONNECTING;
	c->wake = 0;
	if (connect(c->fd, (struct sockaddr *)&to, sizeof(to)) == -1 &&
	    errno != EINPROGRESS) {
		c->wake = now_ms() + PAUSE_MS;
		conn_close(c);
		return;
	}
	if (epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &ev) == -1)
		err(1, "epoll");
}

/* The next request, on this connection if it is open. */
static void
conn_next(struct conn *c)
{
	if (c->req == NULL) {
		if (nwaiting == 0) {
			conn_close(c);
			return;
		}
		if (opt.rate != 0 && opt.nreq - nwaiting >=
		    1 + (now_ms() - started) * opt.rate / 1000) {
			c->wake = now_ms() + PAUSE_MS;
			c->state = c->state == IDLE ? IDLE : RESTING;
			return;
		}
		c->req = waiting[--nwaiting];
		c->since = now_us(CLOCK_MONOTONIC);
	}
	c->sent = c->got = 0;
	c->wake = 0;
	if (c->state == IDLE)
		conn_dial(c);
	else
		c->state = WRITING;
}

/* It got no answer. */
static void
conn_failed(struct conn *c)
{
	conn_close(c);
	if (opt.seconds == 0) {
		failed++;
		c->req = NULL;
		conn_next(c);
		return;
	}
	again++;
	c->wake = now_ms() + PAUSE_MS;
}

static void
conn_answered(struct conn *c, unsigned status, const char *body, bool ends)
{
	if ((status == 429 || status == 503) && opt.seconds != 0) {
		conn_failed(c);
		return;
	}
	if (status == 200) {
		if (opt.acknowledged != NULL)
			acknowledge(c->req, body);
		took[ok++] = now_us(CLOCK_MONOTONIC) - c->since;
	} else {
		refused++;
		reason_count(body);
	}
	c->req = NULL;
	if (ends || opt.once)
		conn_close(c);
	conn_next(c);
}

/* Is the answer whole? */
static bool
conn_parse(struct conn *c, bool eof)
{
	char		*end, *body, *p;
	size_t		 len;
	unsigned	 status;
	bool		 ends;

	c->in[c->got] = '\0';
	if ((end = strstr(c->in, "\r\n\r\n")) == NULL)
		return false;
	body = end + 4;
	if (sscanf(c->in, "HTTP/1.1 %u", &status) != 1)
		errx(1, "no HTTP: %.100s", c->in);
	*end = '\0';
	ends = eof || strcasestr(c->in, "\r\nConnection: close") != NULL;
	p = strcasestr(c->in, "\r\nContent-Length:");
	*end = '\r';
	len = p != NULL ? strtoul(p + 17, NULL, 10) : eof ? c->got -
	    (size_t)(body - c->in) : SIZE_MAX;
	if (c->got - (size_t)(body - c->in) < len)
		return false;
	conn_answered(c, status, body, ends);
	return true;
}

static int
conn_read(struct conn *c)
{
	size_t	room = REPLY_MAX - c->got;

	if (room == 0)
		errx(1, "an answer of more than %d bytes", REPLY_MAX);
	if (opt.plain)
		return (int)read(c->fd, c->in + c->got, room);
	return SSL_read(c->ssl, c->in + c->got, (int)room);
}

static int
conn_write(struct conn *c)
{
	const char	*p = c->req->bytes + c->sent;
	size_t		 n = c->req->len - c->sent;

	if (opt.plain)
		return (int)write(c->fd, p, n);
	return SSL_write(c->ssl, p, (int)n);
}

/* Would it only have blocked? */
static bool
later(struct conn *c, int r)
{
	int	e;

	if (opt.plain)
		return r == -1 && errno == EAGAIN;
	e = SSL_get_error(c->ssl, r);
	ERR_clear_error();
	return e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE;
}

static void
conn_greet(struct conn *c)
{
	if ((c->ssl = SSL_new(ctx)) == NULL || !SSL_set_fd(c->ssl, c->fd))
		errx(1, "ssl");
	SSL_set_connect_state(c->ssl);
	c->state = GREETING;
}

/* As far as it goes without waiting. */
static void
conn_step(struct conn *c)
{
	int	r;

	for (;;) {
		switch (c->state) {
		case IDLE:
			return;
		case CONNECTING:
			if (opt.plain)
				c->state = WRITING;
			else
				conn_greet(c);
			continue;
		case GREETING:
			if ((r = SSL_do_handshake(c->ssl)) == 1) {
				c->state = WRITING;
				continue;
			}
			break;
		case WRITING:
			if ((r = conn_write(c)) > 0) {
				c->sent += (size_t)r;
				if (c->sent == c->req->len)
					c->state = READING;
				continue;
			}
			break;
		case RESTING:
			c->got = 0;
			if ((r = conn_read(c)) <= 0 && !later(c, r))
				conn_close(c);
			return;
		case READING:
			if ((r = conn_read(c)) > 0) {
				c->got += (size_t)r;
				if (conn_parse(c, false) && c->state != WRITING)
					return;
				continue;
			}
			break;
		default:
			return;
		}
		if (later(c, r))
			return;
		if (c->state != READING || !conn_parse(c, true))
			conn_failed(c);
		return;
	}
}

/* ---- the run ------------------------------------------------------------------------ */

static void
tls_start(void)
{
	static const struct sieve_row rows[] = {
		{ OSSL_OP_DIGEST,	"SHA1",			NULL },
		{ OSSL_OP_DIGEST,	"SHA2-256",		NULL },
		{ OSSL_OP_DIGEST,	"SHA2-384",		NULL },
		{ OSSL_OP_CIPHER,	"AES-256-GCM",		NULL },
		{ OSSL_OP_CIPHER,	"AES-128-GCM",		NULL },
		{ OSSL_OP_MAC,		"HMAC",			NULL },
		{ OSSL_OP_KDF,		"HKDF",			NULL },
		{ OSSL_OP_KDF,		"TLS13-KDF",		NULL },
		{ OSSL_OP_RAND,		"CTR-DRBG",		NULL },
		{ OSSL_OP_RAND,		"SEED-SRC",		NULL },
		{ OSSL_OP_KEYMGMT,	"EC",			NULL },
		{ OSSL_OP_KEYMGMT,	"RSA",			NULL },
		{ OSSL_OP_KEYMGMT,	"X25519",		NULL },
		{ OSSL_OP_KEYEXCH,	"ECDH",			NULL },
		{ OSSL_OP_KEYEXCH,	"X25519",		NULL },
		{ OSSL_OP_SIGNATURE,	"ECDSA",		NULL },
		{ OSSL_OP_SIGNATURE,	"RSA",			NULL },
		{ OSSL_OP_DECODER,	"EC",
		    "input=der,structure=SubjectPublicKeyInfo" },
		{ OSSL_OP_DECODER,	"RSA",
		    "input=der,structure=SubjectPublicKeyInfo" },
	};

	lib = sieve_open(rows, sizeof(rows) / sizeof(rows[0]));
	if (lib == NULL ||
	    (ctx = SSL_CTX_new_ex(lib, NULL, TLS_client_method())) == NULL ||
	    !SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION))
		errx(1, "tls: %s", ERR_reason_error_string(ERR_peek_error()));
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

static void
wake(uint64_t ms)
{
	unsigned	i;

	for (i = 0; i < opt.nconns; i++)
		if (conns[i].wake != 0 && conns[i].wake <= ms) {
			conns[i].wake = 0;
			conn_next(&conns[i]);
			/* A kept connection that waited for its turn. */
			conn_step(&conns[i]);
		}
}

static void
run(void)
{
	struct epoll_event	ev[256];
	uint64_t		end = (started = now_ms()) + (opt.seconds != 0 ?
	    opt.seconds : 600) * 1000ULL;
	unsigned		i;
	int			n;

	for (i = 0; i < opt.nconns; i++) {
		conns[i].fd = -1;
		conn_next(&conns[i]);
	}
	while (ok + refused + failed < opt.nreq && now_ms() < end) {
		n = epoll_wait(ep, ev, 256, PAUSE_MS);
		for (i = 0; n > 0 && i < (unsigned)n; i++)
			conn_step(ev[i].data.ptr);
		wake(now_ms());
	}
	failed = opt.nreq - ok - refused;
}

static int
less(const void *a, const void *b)
{
	const uint64_t	*x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void
report(double s)
{
	unsigned	i;

	qsort(took, ok, sizeof(*took), less);
	printf("ok %lu\nrefused %lu\nfailed %lu\nagain %lu\n", ok, refused,
	    failed, again);
	printf("seconds %.3f\nrate %.1f\n", s, (double)ok / s);
	if (ok > 0)
		printf("p50 %llu\np99 %llu\n", (unsigned long long)took[ok / 2],
		    (unsigned long long)took[ok * 99 / 100]);
	for (i = 0; i < REASONS_MAX && reasons[i].n > 0; i++)
		printf("%s %lu\n", reasons[i].code, reasons[i].n);
}

static void
usage(void)
{
	fprintf(stderr, "usage: see the top of enrolload.c\n");
	exit(2);
}

static void
load_options(int argc, char **argv)
{
	int	ch;

	inet_pton(AF_INET, "127.0.0.1", &opt.address);
	while ((ch = getopt(argc, argv, "1A:P:T:b:c:el:n:o:pr:s:t:u:")) != -1)
		switch (ch) {
		case '1': opt.once = true; break;
		case 'A':
			if (inet_pton(AF_INET, optarg, &opt.address) != 1)
				usage();
			break;
		case 'P': opt.port = (uint16_t)strtoul(optarg, NULL, 10); break;
		case 'T': opt.type = optarg; break;
		case 'b': opt.body = optarg; break;
		case 'c': opt.nconns = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'e': opt.est = true; break;
		case 'l': opt.profile = optarg; break;
		case 'n': opt.nreq = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'o':
			if ((opt.acknowledged = fopen(optarg, "we")) == NULL)
				err(1, "%s", optarg);
			setvbuf(opt.acknowledged, NULL, _IOLBF, 0);
			break;
		case 'p': opt.plain = true; break;
		case 'r': opt.seconds = (unsigned)strtoul(optarg, NULL, 10); break;
		case 's': opt.rate = (unsigned)strtoul(optarg, NULL, 10); break;
		case 't': opt.tickets = optarg; break;
		case 'u': opt.path = optarg; break;
		default: usage();
		}
	if (opt.nconns == 0 || opt.nconns > CONNS_MAX || optind != argc ||
	    (opt.tickets == NULL) == (opt.path == NULL) ||
	    (opt.path != NULL && opt.nreq == 0))
		usage();
	if (opt.tickets != NULL)
		opt.nreq = 0;
}

static int
load_main(int argc, char **argv)
{
	struct rlimit	rl = { CONNS_MAX + 64, CONNS_MAX + 64 };
	uint64_t	from;
	unsigned	i;

	load_options(argc, argv);
	setrlimit(RLIMIT_NOFILE, &rl);
	signal(SIGPIPE, SIG_IGN);
	tls_start();
	if (opt.tickets != NULL)
		requests_read();
	else
		requests_same();
	conns = calloc(opt.nconns, sizeof(*conns));
	waiting = calloc(opt.nreq + 1, sizeof(*waiting));
	took = calloc(opt.nreq + 1, sizeof(*took));
	if (conns == NULL || waiting == NULL || took == NULL)
		err(1, NULL);
	/* The first of the file is the last of the stack. */
	for (i = opt.nreq; i > 0; i--)
		waiting[nwaiting++] = &reqs[i - 1];
	if ((ep = epoll_create1(EPOLL_CLOEXEC)) == -1)
		err(1, "epoll");
	printf("asks %u\n", opt.nreq);
	fflush(stdout);
	from = now_us(CLOCK_MONOTONIC);
	run();
	report((double)(now_us(CLOCK_MONOTONIC) - from) / 1e6);
	return failed == 0 ? 0 : 1;
}

/* What a certificate costs at least: one signature, one verification. */
static int
bare_main(const char *seconds)
{
	EVP_PKEY	*k = key_new();
	EVP_MD_CTX	*s = EVP_MD_CTX_new(), *v = EVP_MD_CTX_new();
	uint8_t		 tbs[400] = { 0 }, sig[80];
	uint64_t	 from = now_us(CLOCK_MONOTONIC);
	uint64_t	 us = strtoull(seconds, NULL, 10) * 1000000, now;
	unsigned	 n = 0;
	size_t		 len;

	do {
		len = sizeof(sig);
		if (EVP_DigestSignInit_ex(s, NULL, "SHA256", NULL, NULL, k,
		    NULL) != 1 || EVP_DigestSign(s, sig, &len, tbs,
		    sizeof(tbs)) != 1 || EVP_DigestVerifyInit_ex(v, NULL,
		    "SHA256", NULL, NULL, k, NULL) != 1 ||
		    EVP_DigestVerify(v, sig, len, tbs, sizeof(tbs)) != 1)
			errx(1, "openssl");
		n++;
		now = now_us(CLOCK_MONOTONIC);
	} while (now - from < us);
	printf("%.1f\n", n * 1e6 / (double)(now - from));
	EVP_MD_CTX_free(s);
	EVP_MD_CTX_free(v);
	EVP_PKEY_free(k);
	return 0;
}

int
main(int argc, char **argv)
{
	if (argc > 2 && strcmp(argv[1], "load") == 0)
		return load_main(argc - 1, argv + 1);
	if (argc > 2 && strcmp(argv[1], "csr") == 0)
		return csr_main(argc - 1, argv + 1);
	if (argc == 3 && strcmp(argv[1], "bare") == 0)
		return bare_main(argv[2]);
	usage();
}
