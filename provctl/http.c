/*
 * One request of HTTP/1.1 over TLS 1.3 or, where the operator says so, TCP.
 * A connection each: a client that asks once a month needs no other. What the
 * server sends is bounded in length and in time, and no redirect is followed:
 * an answer from elsewhere is not the one that was asked for.
 */
#include <sys/socket.h>

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "clock.h"
#include "enrol.h"
#include "secret.h"

#define HEAD_MAX	2048

struct conn {
	int		 fd;
	SSL		*ssl;		/* or NULL */
	uint64_t	 deadline;
	char		*text;		/* WHY_MAX */
};

enum outcome
why(char text[WHY_MAX], enum outcome how, const char *fmt, ...)
{
	va_list	ap;

	va_start(ap, fmt);
	vsnprintf(text, WHY_MAX, fmt, ap);
	va_end(ap);
	return how;
}

/* ---- the address ------------------------------------------------------- */

static const char *
url_port(const char *s, struct url *u)
{
	char	*end;
	long	 port = strtol(s, &end, 10);

	if (!isdigit((unsigned char)*s) || port < 1 || port > 65535 ||
	    (*end != '\0' && *end != '/'))
		return "a port is 1 to 65535";
	snprintf(u->port, sizeof(u->port), "%ld", port);
	return NULL;
}

static bool
host_text(const char *s, size_t n)
{
	return n > 0 && strspn(s, "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:%") >= n;
}

const char *
url_parse(const char *s, struct url *u)
{
	const char	*slash, *end, *bad = NULL;
	size_t		 n;

	memset(u, 0, sizeof(*u));
	if (strncasecmp(s, "https://", 8) == 0)
		u->tls = true;
	else if (strncasecmp(s, "http://", 7) != 0)
		return "a server is https://HOST:PORT";
	s += u->tls ? 8 : 7;
	snprintf(u->port, sizeof(u->port), u->tls ? "443" : "80");
	if (*s == '[') {
		end = strchr(++s, ']');
		if (end == NULL)
			return "an address in brackets ends with one";
		n = (size_t)(end - s);
		end++;
	} else {
		n = strcspn(s, ":/");
		end = s + n;
	}
	if (n >= sizeof(u->host) || !host_text(s, n))
		return "that is no name of a host";
	memcpy(u->host, s, n);
	if (*end == ':' && (bad = url_port(end + 1, u)) != NULL)
		return bad;
	if (*end != ':' && *end != '/' && *end != '\0')
		return "a server is https://HOST:PORT";
	if ((slash = strchr(end, '/')) == NULL)
		return NULL;
	n = strlen(slash);
	while (n > 0 && slash[n - 1] == '/')
		n--;
	if (n >= sizeof(u->path) || strcspn(slash, " ?#\r\n\t") < n)
		return "the path of a server has neither blank, ? nor #";
	memcpy(u->path, slash, n);
	return NULL;
}

/* ---- bytes, in time ---------------------------------------------------- */

static enum outcome
wait_for(struct conn *c, short events)
{
	struct pollfd	p = { .fd = c->fd, .events = events };
	uint64_t	now = clock_mono_ms();
	int		r;

	do {
		if (now >= c->deadline)
			return why(c->text, AGAIN, "no answer in time");
		r = poll(&p, 1, (int)(c->deadline - now));
		now = clock_mono_ms();
	} while (r == -1 && errno == EINTR);
	if (r == -1)
		return why(c->text, AGAIN, "poll: %s", strerror(errno));
	return r == 0 ? why(c->text, AGAIN, "no answer in time") : DONE;
}

static enum outcome
connect_one(struct conn *c, const struct addrinfo *ai)
{
	socklen_t	len = sizeof(int);
	enum outcome	r;
	int		error = 0;

	c->fd = socket(ai->ai_family, ai->ai_socktype | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, ai->ai_protocol);
	if (c->fd == -1)
		return why(c->text, AGAIN, "socket: %s", strerror(errno));
	if (connect(c->fd, ai->ai_addr, ai->ai_addrlen) == 0)
		return DONE;
	if (errno != EINPROGRESS)
		return why(c->text, AGAIN, "%s", strerror(errno));
	if ((r = wait_for(c, POLLOUT)) != DONE)
		return r;
	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		error = errno;
	return error == 0 ? DONE : why(c->text, AGAIN, "%s", strerror(error));
}

static enum outcome
connect_any(struct conn *c, const struct url *u)
{
	const struct addrinfo	 hints = { .ai_socktype = SOCK_STREAM,
				     .ai_flags = AI_NUMERICSERV };
	struct addrinfo		*list, *ai;
	enum outcome		 r = AGAIN;
	int			 e;

	if ((e = getaddrinfo(u->host, u->port, &hints, &list)) != 0)
		return why(c->text, e == EAI_NONAME ? NEVER : AGAIN, "%s",
		    gai_strerror(e));
	for (ai = list; ai != NULL && r != DONE; ai = ai->ai_next) {
		if (c->fd != -1)
			close(c->fd);
		r = connect_one(c, ai);
	}
	freeaddrinfo(list);
	return r;
}

/* ---- TLS --------------------------------------------------------------- */

/* Why a TLS call failed; the server's certificate is what says most. */
static enum outcome
tls_failed(struct conn *c, int r)
{
	long		 v = SSL_get_verify_result(c->ssl);
	int		 saved = errno, e = SSL_get_error(c->ssl, r);
	const char	*text;

	if (v != X509_V_OK && SSL_get_verify_mode(c->ssl) != SSL_VERIFY_NONE)
		return why(c->text, NEVER, "the server's certificate is not "
		    "accepted: %s", X509_verify_cert_error_string(v));
	if (e == SSL_ERROR_SYSCALL && saved != 0)
		return why(c->text, AGAIN, "%s", strerror(saved));
	text = ERR_reason_error_string(ERR_peek_last_error());
	if (e != SSL_ERROR_SSL || ERR_GET_REASON(ERR_peek_last_error()) ==
	    SSL_R_UNEXPECTED_EOF_WHILE_READING)
		return why(c->text, AGAIN, "the server closed the connection");
	return why(c->text, NEVER, "TLS: %s", text != NULL ? text : "failed");
}

/* DONE: call again; else why not. */
static enum outcome
tls_wait(struct conn *c, int r)
{
	switch (SSL_get_error(c->ssl, r)) {
	case SSL_ERROR_WANT_READ:
		return wait_for(c, POLLIN);
	case SSL_ERROR_WANT_WRITE:
		return wait_for(c, POLLOUT);
	default:
		return tls_failed(c, r);
	}
}

static bool
is_address(const char *host)
{
	unsigned char	buf[16];

	return inet_pton(AF_INET, host, buf) == 1 ||
	    inet_pton(AF_INET6, host, buf) == 1;
}

static enum outcome
tls_start(struct conn *c, const struct http_call *h)
{
	char		 host[sizeof(h->url->host)];	/* no const is taken */
	enum outcome	 w;
	int		 r;

	memcpy(host, h->url->host, sizeof(host));
	ERR_clear_error();
	if ((c->ssl = SSL_new(h->tls)) == NULL || SSL_set_fd(c->ssl, c->fd) !=
	    1)
		return why(c->text, NEVER, "TLS cannot be started");
	SSL_set_verify(c->ssl, h->unverified ? SSL_VERIFY_NONE :
	    SSL_VERIFY_PEER, NULL);
	if (is_address(host)) {
		if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(c->ssl),
		    host) != 1)
			return why(c->text, NEVER, "TLS cannot be started");
	} else if (SSL_set1_host(c->ssl, host) != 1 ||
	    SSL_set_tlsext_host_name(c->ssl, host) != 1)
		return why(c->text, NEVER, "TLS cannot be started");
	for (;;) {
		errno = 0;
		if ((r = SSL_connect(c->ssl)) == 1)
			return DONE;
		if ((w = tls_wait(c, r)) != DONE)
			return w;
	}
}

static enum outcome
send_all(struct conn *c, const char *p, size_t len)
{
	enum outcome	w = DONE;
	ssize_t		n;

	while (len > 0 && w == DONE) {
		errno = 0;
		if (c->ssl != NULL)
			n = SSL_write(c->ssl, p, (int)len);
		else
			n = send(c->fd, p, len, MSG_NOSIGNAL);
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		} else if (c->ssl != NULL)
			w = tls_wait(c, (int)n);
		else if (errno == EAGAIN)
			w = wait_for(c, POLLOUT);
		else if (errno != EINTR)
			w = why(c->text, AGAIN, "%s", strerror(errno));
	}
	return w;
}

/* DONE and *len 0: the end. */
static enum outcome
receive(struct conn *c, char *buf, size_t size, size_t *len)
{
	enum outcome	w = DONE;
	ssize_t		n;

	for (*len = 0; w == DONE;) {
		errno = 0;
		if (c->ssl != NULL)
			n = SSL_read(c->ssl, buf, (int)size);
		else
			n = recv(c->fd, buf, size, 0);
		if (n > 0) {
			*len = (size_t)n;
			return DONE;
		}
		if (c->ssl != NULL) {
			if (SSL_get_error(c->ssl, (int)n) ==
			    SSL_ERROR_ZERO_RETURN)
				return DONE;
			w = tls_wait(c, (int)n);
		} else if (n == 0)
			return DONE;
		else if (errno == EAGAIN)
			w = wait_for(c, POLLIN);
		else if (errno != EINTR)
			w = why(c->text, AGAIN, "%s", strerror(errno));
	}
	return w;
}

/* ---- the answer -------------------------------------------------------- */

static enum outcome
read_reply(struct conn *c, struct http_reply *reply)
{
	struct reply_reader	*r = reply_begin(reply);
	enum reply_step		 step = REPLY_MORE;
	enum outcome		 w = DONE;
	size_t			 len;
	char			 buf[8192];

	while (step == REPLY_MORE && w == DONE)
		if ((w = receive(c, buf, sizeof(buf), &len)) == DONE)
			step = reply_feed(r, buf, len);
	reply_end(r);
	if (step == REPLY_LONG)
		w = why(c->text, NEVER, "the answer is longer than %d bytes",
		    HTTP_REPLY_MAX);
	else if (step == REPLY_CUT)
		w = why(c->text, AGAIN, "the server closed the connection in "
		    "the middle of its answer");
	else if (step == REPLY_BAD)
		w = why(c->text, NEVER, "the answer is not HTTP/1.1");
	return w;
}

/* ---- the request ------------------------------------------------------- */

static void
basic(const struct http_call *h, char *out, size_t size)
{
	char	plain[256], code[4 * ((sizeof(plain) + 2) / 3) + 1];
	int	n;

	out[0] = '\0';
	if (h->user == NULL)
		return;
	n = snprintf(plain, sizeof(plain), "%s:%s", h->user, h->password);
	EVP_EncodeBlock((unsigned char *)code, (unsigned char *)plain, n);
	snprintf(out, size, "Authorization: Basic %s\r\n", code);
	explicit_bzero(plain, sizeof(plain));
	explicit_bzero(code, sizeof(code));
}

static enum outcome
send_request(struct conn *c, const struct http_call *h)
{
	const struct url	*u = h->url;
	bool			 v6 = strchr(u->host, ':') != NULL;
	char			 head[HEAD_MAX], auth[512];
	enum outcome		 w = NEVER;
	int			 n;

	basic(h, auth, sizeof(auth));
	n = snprintf(head, sizeof(head), "%s %s%s HTTP/1.1\r\n"
	    "Host: %s%s%s:%s\r\nConnection: close\r\n"
	    "User-Agent: provctl\r\nAccept: %s\r\n%s%s%s%s"
	    "Content-Length: %zu\r\n\r\n", h->method, u->path, h->path,
	    v6 ? "[" : "", u->host, v6 ? "]" : "", u->port, h->accept, auth,
	    h->type != NULL ? "Content-Type: " : "",
	    h->type != NULL ? h->type : "", h->type != NULL ? "\r\n" : "",
	    h->len);
	if (n < (int)sizeof(head) &&
	    (w = send_all(c, head, (size_t)n)) == DONE)
		w = send_all(c, h->body, h->len);
	explicit_bzero(head, sizeof(head));
	explicit_bzero(auth, sizeof(auth));
	return w;
}

enum outcome
http_call(const struct http_call *h, struct http_reply *reply,
    char text[WHY_MAX])
{
	struct conn	c = { .fd = -1, .deadline = h->deadline,
			    .text = text };
	enum outcome	w;

	memset(reply, 0, sizeof(*reply));
	text[0] = '\0';
	w = connect_any(&c, h->url);
	if (w == DONE && h->url->tls)
		w = tls_start(&c, h);
	if (w == DONE && c.ssl != NULL && h->peers != NULL)
		*h->peers = X509_chain_up_ref(SSL_get_peer_cert_chain(c.ssl));
	if (w == DONE)
		w = send_request(&c, h);
	if (w == DONE)
		w = read_reply(&c, reply);
	if (w == DONE && c.ssl != NULL)
		SSL_shutdown(c.ssl);
	SSL_free(c.ssl);
	if (c.fd != -1)
		close(c.fd);
	if (w != DONE) {
		free(reply->body);
		reply->body = NULL;
	}
	return w;
}
