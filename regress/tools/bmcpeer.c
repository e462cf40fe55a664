/*
 * The other end of the peer channel as OpenBMC's daemon has it, with a plain
 * OpenSSL and PEM files:
 *
 *   bmcpeer [-2qn] [-p ms] server|client ADDRESS PORT CERT KEY ANCHOR
 *
 *   -2   TLS 1.2 at most      -q   quiet: read, never answer or greet
 *   -n   accept any anchor    -p   as client, ping every so many ms
 *
 * The client says Hello, the server answers alive to any message. What
 * happens becomes lines on the standard output; a line on the standard input
 * is sent as it is, in a record of its own ("close" closes; the end of input
 * ends the program). A server takes one connection after the other; port 0
 * is any free one.
 */
#include <sys/socket.h>

#include <arpa/inet.h>
#include <err.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool	quiet;
static int	ping_ms = -1;

static void
usage(void)
{
	fprintf(stderr, "usage: bmcpeer [-2qn] [-p ms] server|client "
	    "address port cert key anchor\n");
	exit(2);
}

static SSL_CTX *
context(const char *cert, const char *key, const char *anchor, int max,
    bool any)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());

	if (ctx == NULL || !SSL_CTX_set_max_proto_version(ctx, max) ||
	    SSL_CTX_use_certificate_file(ctx, cert, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_load_verify_file(ctx, anchor) != 1) {
		ERR_print_errors_fp(stderr);
		exit(2);
	}
	SSL_CTX_set_verify(ctx, any ? SSL_VERIFY_NONE : SSL_VERIFY_PEER |
	    SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	return ctx;
}

static void
say_failed(const char *what)
{
	unsigned long e = ERR_get_error();

	printf("%s %s\n", what, e == 0 ? "-" : ERR_reason_error_string(e));
	ERR_clear_error();
}

/* A line of the standard input: 1 sent, 0 close, -1 the end of input. */
static int
command(SSL *ssl)
{
	char	buf[2048];
	ssize_t	n = read(STDIN_FILENO, buf, sizeof(buf) - 1);

	if (n <= 0)
		return -1;
	buf[n] = '\0';
	if (strcmp(buf, "close\n") == 0 || ssl == NULL)
		return 0;
	SSL_write(ssl, buf, (int)(buf[n - 1] == '\n' ? n - 1 : n));
	return 1;
}

/* One read is one message, of at most 1024 bytes. 0, or -1 at the end. */
static int
receive(SSL *ssl, bool server)
{
	char	buf[1025];
	int	n;

	do {
		if ((n = SSL_read(ssl, buf, 1024)) <= 0) {
			say_failed("closed");
			return -1;
		}
		buf[n] = '\0';
		printf("received %s\n", buf);
		if (server && !quiet)
			SSL_write(ssl, "alive", 5);
	} while (SSL_pending(ssl) > 0);
	return 0;
}

/* 0 when the connection is over, -1 when the program is. */
static int
talk(SSL *ssl, bool server)
{
	struct pollfd	p[2] = {
		{ .fd = SSL_get_fd(ssl), .events = POLLIN },
		{ .fd = STDIN_FILENO, .events = POLLIN },
	};
	int		n;

	printf("connected %s %s\n", SSL_get_version(ssl),
	    SSL_CIPHER_get_name(SSL_get_current_cipher(ssl)));
	if (!server && !quiet)
		SSL_write(ssl, "Hello", 5);
	for (;;) {
		n = poll(p, 2, server ? -1 : ping_ms);
		if (n == 0)
			SSL_write(ssl, "ping", 4);
		if (p[0].revents != 0 && receive(ssl, server) == -1)
			return 0;
		if (p[1].revents != 0 && (n = command(ssl)) <= 0) {
			SSL_shutdown(ssl);
			return n;
		}
	}
}

static int
session(SSL_CTX *ctx, int fd, bool server)
{
	SSL	*ssl = SSL_new(ctx);
	int	 r = 0;

	SSL_set_fd(ssl, fd);
	if ((server ? SSL_accept(ssl) : SSL_connect(ssl)) == 1)
		r = talk(ssl, server);
	else
		say_failed("failed");
	SSL_free(ssl);
	close(fd);
	return r;
}

static int
serve(SSL_CTX *ctx, int s)
{
	struct pollfd p[2] = {
		{ .fd = s, .events = POLLIN },
		{ .fd = STDIN_FILENO, .events = POLLIN },
	};

	for (;;) {
		poll(p, 2, -1);
		if (p[1].revents != 0 && command(NULL) == -1)
			return 0;
		if (p[0].revents != 0 &&
		    session(ctx, accept(s, NULL, NULL), true) == -1)
			return 0;
	}
}

static int
open_socket(const char *address, const char *port, bool server)
{
	const struct addrinfo	 hints = { .ai_socktype = SOCK_STREAM,
				    .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV };
	struct addrinfo		*ai;
	struct sockaddr_storage	 ss;
	socklen_t		 len = sizeof(ss);
	int			 s, r, on = 1;
	char			 name[16];

	if ((r = getaddrinfo(address, port, &hints, &ai)) != 0)
		errx(2, "%s: %s", address, gai_strerror(r));
	if ((s = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1)
		err(2, "socket");
	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (server ? bind(s, ai->ai_addr, ai->ai_addrlen) == -1 ||
	    listen(s, 8) == -1 : connect(s, ai->ai_addr, ai->ai_addrlen) == -1)
		err(2, "%s port %s", address, port);
	freeaddrinfo(ai);
	getsockname(s, (struct sockaddr *)&ss, &len);
	getnameinfo((struct sockaddr *)&ss, len, NULL, 0, name, sizeof(name),
	    NI_NUMERICSERV);
	if (server)
		printf("listening %s\n", name);
	return s;
}

int
main(int argc, char **argv)
{
	SSL_CTX	*ctx;
	int	 ch, s, r, max = TLS1_3_VERSION;
	bool	 server, any = false;

	while ((ch = getopt(argc, argv, "2qnp:")) != -1)
		switch (ch) {
		case '2':
			max = TLS1_2_VERSION;
			break;
		case 'q':
			quiet = true;
			break;
		case 'n':
			any = true;
			break;
		case 'p':
			ping_ms = (int)strtol(optarg, NULL, 10);
			break;
		default:
			usage();
		}
	argc -= optind;
	argv += optind;
	if (argc != 6 || (strcmp(argv[0], "server") != 0 &&
	    strcmp(argv[0], "client") != 0))
		usage();
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	server = strcmp(argv[0], "server") == 0;
	ctx = context(argv[3], argv[4], argv[5], max, any);
	s = open_socket(argv[1], argv[2], server);
	r = server ? serve(ctx, s) : session(ctx, s, false);
	SSL_CTX_free(ctx);
	return r == -1 ? 0 : r;
}
