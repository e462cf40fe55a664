/*
 * A certificate service for one client: a child process that answers each
 * connection as it is told, well or badly.
 */
#ifndef PROVCTL_CA_H
#define PROVCTL_CA_H

#include <sys/prctl.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <time.h>

#include "provctl_world.h"
#include "x509time.h"

#define HOUR	3600L
#define DAY	86400L
#define CA_TURNS 8

struct pair {
	EVP_PKEY	*key;
	X509		*cert;
};

/* The service's root and issuing CA, and somebody else's root. */
static struct pair	root, issuing, other, server, stranger;

static EVP_PKEY *
p256(void)
{
	EVP_PKEY	*k = EVP_EC_gen("P-256");

	if (k == NULL)
		abort();
	return k;
}

static void
extend(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX	 ctx;
	X509_EXTENSION	*e;

	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	e = X509V3_EXT_nconf_nid(NULL, &ctx, nid, value);
	if (e == NULL || X509_add_ext(x, e, -1) != 1)
		abort();
	X509_EXTENSION_free(e);
}

/* basic NULL: a leaf. Times are seconds from now. by NULL: itself. */
static X509 *
certify(const struct pair *by, EVP_PKEY *key, const char *cn, long from,
    long to, const char *basic, const char *san)
{
	static long	 serial = 1000;
	X509		*x = X509_new(), *issuer = by != NULL ? by->cert : x;
	uint64_t	 now = (uint64_t)time(NULL);

	if (x == NULL || X509_set_version(x, X509_VERSION_3) != 1 ||
	    ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial) != 1 ||
	    x509_time_set(X509_getm_notBefore(x), now + (uint64_t)from) ==
	    -1 || x509_time_set(X509_getm_notAfter(x), now + (uint64_t)to) ==
	    -1 || X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN",
	    MBSTRING_ASC, (const uint8_t *)cn, -1, -1, 0) != 1 ||
	    X509_set_issuer_name(x, X509_get_subject_name(issuer)) != 1 ||
	    X509_set_pubkey(x, key) != 1)
		abort();
	extend(x, issuer, NID_basic_constraints, basic != NULL ? basic :
	    "critical,CA:FALSE");
	extend(x, issuer, NID_key_usage, basic != NULL ?
	    "critical,keyCertSign,cRLSign" : "critical,digitalSignature");
	extend(x, issuer, NID_subject_key_identifier, "hash");
	extend(x, issuer, NID_authority_key_identifier, "keyid:always");
	if (san != NULL)
		extend(x, issuer, NID_subject_alt_name, san);
	if (X509_sign(x, by != NULL ? by->key : key, EVP_sha256()) <= 0)
		abort();
	return x;
}

static void
pair_make(struct pair *p, const struct pair *by, const char *cn,
    const char *basic, const char *san)
{
	p->key = p256();
	p->cert = certify(by, p->key, cn, -400 * DAY, 3650 * DAY, basic, san);
}

static void
pair_free(struct pair *p)
{
	EVP_PKEY_free(p->key);
	X509_free(p->cert);
}

static void
ca_make(void)
{
	pair_make(&root, NULL, "Root", "critical,CA:TRUE,pathlen:1", NULL);
	pair_make(&issuing, &root, "Issuing", "critical,CA:TRUE,pathlen:0",
	    NULL);
	pair_make(&other, NULL, "Other", "critical,CA:TRUE", NULL);
	pair_make(&server, &issuing, "ca", NULL,
	    "IP:127.0.0.1,DNS:localhost");
	pair_make(&stranger, &issuing, "ca", NULL, "DNS:elsewhere.example");
}

static void
ca_free(void)
{
	pair_free(&root);
	pair_free(&issuing);
	pair_free(&other);
	pair_free(&server);
	pair_free(&stranger);
}

/* ---- one connection ---------------------------------------------------- */

struct visit {
	int	 fd;
	SSL	*ssl;			/* NULL: plain */
	char	 request[32768];	/* header and body */
	char	*body;
	X509	*client;		/* or NULL */
};

/* How a connection is answered. */
struct turn {
	void			(*serve)(struct visit *);
	const struct pair	*as;	/* server's certificate; NULL: server */
	bool			 plain;	/* no TLS */
	bool			 tls12;	/* nothing newer */
	bool			 may_go; /* the client, before it has asked */
};

static ssize_t
visit_read(struct visit *v, char *buf, size_t size)
{
	return v->ssl != NULL ? SSL_read(v->ssl, buf, (int)size) :
	    recv(v->fd, buf, size, 0);
}

static int
visit_write(struct visit *v, const void *buf, size_t len)
{
	return v->ssl != NULL ? SSL_write(v->ssl, buf, (int)len) > 0 :
	    send(v->fd, buf, len, MSG_NOSIGNAL) > 0;
}

/* False if the client went before it was whole. */
static bool
visit_request(struct visit *v)
{
	size_t	 len = 0, want = 0;
	ssize_t	 n;
	char	*p;

	for (;;) {
		n = visit_read(v, v->request + len, sizeof(v->request) - 1 -
		    len);
		if (n <= 0)
			return false;
		len += (size_t)n;
		v->request[len] = '\0';
		if (v->body == NULL &&
		    (p = strstr(v->request, "\r\n\r\n")) != NULL) {
			v->body = p + 4;
			p = strstr(v->request, "Content-Length: ");
			want = p != NULL ? strtoul(p + 16, NULL, 10) : 0;
		}
		if (v->body != NULL && len >= (size_t)(v->body - v->request) +
		    want)
			return true;
	}
}

/* Every client is asked for a certificate and none is checked here. */
static int
any_client(int good, X509_STORE_CTX *ctx)
{
	return 1;
}

static SSL_CTX *
visit_context(const struct turn *t)
{
	SSL_CTX			*c = SSL_CTX_new(TLS_server_method());
	const struct pair	*as = t->as != NULL ? t->as : &server;

	if (c == NULL || SSL_CTX_use_certificate(c, as->cert) != 1 ||
	    SSL_CTX_use_PrivateKey(c, as->key) != 1 ||
	    SSL_CTX_add1_chain_cert(c, issuing.cert) != 1)
		abort();
	if (t->tls12)
		SSL_CTX_set_max_proto_version(c, TLS1_2_VERSION);
	SSL_CTX_set_verify(c, SSL_VERIFY_PEER, any_client);
	return c;
}

/* A handshake that fails is the client's refusal, which its words tell. */
static void
visit_serve(int fd, const struct turn *t)
{
	struct visit	 v = { .fd = fd };
	SSL_CTX		*c = NULL;

	if (!t->plain) {
		c = visit_context(t);
		v.ssl = SSL_new(c);
		SSL_set_fd(v.ssl, fd);
		if (SSL_accept(v.ssl) != 1)
			goto out;
		v.client = SSL_get1_peer_certificate(v.ssl);
	}
	if (visit_request(&v))
		t->serve(&v);
	else if (!t->may_go)
		_exit(60);
	if (v.ssl != NULL)
		SSL_shutdown(v.ssl);
 out:
	X509_free(v.client);
	SSL_free(v.ssl);
	SSL_CTX_free(c);
}

static int	ca_port;
static pid_t	ca_pid;

/* Serves these turns, one connection each, then refuses. */
static void
ca_begin(const struct turn *turns)
{
	struct sockaddr_in	sin = { .sin_family = AF_INET };
	socklen_t		len = sizeof(sin);
	int			l, fd, i;

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(l, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(listen(l, 8), 0);
	assert_int_equal(getsockname(l, (struct sockaddr *)&sin, &len), 0);
	ca_port = ntohs(sin.sin_port);
	fflush(stdout);
	if ((ca_pid = fork()) == 0) {
		signal(SIGPIPE, SIG_IGN);
		prctl(PR_SET_PDEATHSIG, SIGKILL);	/* a test may fail */
		for (i = 0; i < CA_TURNS && (turns[i].serve != NULL ||
		    turns[i].as != NULL || turns[i].tls12); i++) {
			if ((fd = accept(l, NULL, NULL)) == -1)
				_exit(61);
			visit_serve(fd, &turns[i]);
			close(fd);
		}
		_exit(0);
	}
	close(l);
}

/* All turns were taken, and what was asked was right. */
static void
ca_end(const char *what)
{
	int	st;

	assert_int_equal(waitpid(ca_pid, &st, 0), ca_pid);
	if (!WIFEXITED(st) || WEXITSTATUS(st) != 0)
		fail_msg("%s: what it asked was wrong (%#x)", what,
		    (unsigned)st);
}

/* ---- answers ----------------------------------------------------------- */

static void
answer(struct visit *v, const char *status, const char *type,
    const char *more, const void *body, size_t len)
{
	char	head[512];
	int	n;

	n = snprintf(head, sizeof(head), "HTTP/1.1 %s\r\nContent-Type: %s\r\n"
	    "%sContent-Length: %zu\r\n\r\n", status, type, more, len);
	visit_write(v, head, (size_t)n);
	if (len > 0)
		visit_write(v, body, len);
}

static void
answer_json(struct visit *v, const char *status, const char *more, json_t *o)
{
	char	*s = json_dumps(o, JSON_COMPACT);

	answer(v, status, "application/json; charset=utf-8", more, s,
	    strlen(s));
	free(s);
	json_decref(o);
}

static X509_REQ *
request_der(const char *base64, size_t len)
{
	unsigned char		*der = malloc(len + 1);
	const unsigned char	*p = der;
	X509_REQ		*req;
	int			 n;

	n = EVP_DecodeBlock(der, (const unsigned char *)base64, (int)len);
	while (len > 0 && base64[--len] == '=')
		n--;
	req = n > 0 ? d2i_X509_REQ(NULL, &p, n) : NULL;
	if (req == NULL || X509_REQ_verify(req, X509_REQ_get0_pubkey(req)) !=
	    1)
		_exit(62);
	free(der);
	return req;
}

/* The request in a JSON body; *o is the body. */
static X509_REQ *
request_json(struct visit *v, json_t **o)
{
	const char	*csr;

	*o = json_loads(v->body, JSON_REJECT_DUPLICATES, NULL);
	csr = json_string_value(json_object_get(*o, "csr"));
	if (strncmp(v->request, "POST / HTTP/1.1\r\n", 17) != 0 ||
	    strstr(v->request, "Content-Type: application/json\r\n") == NULL ||
	    csr == NULL)
		_exit(63);
	return request_der(csr, strlen(csr));
}

static char *
pem_text(X509 *x, X509 *more)
{
	BIO	*b = BIO_new(BIO_s_mem());
	char	*p, *s;
	long	 n;

	PEM_write_bio_X509(b, x);
	if (more != NULL)
		PEM_write_bio_X509(b, more);
	n = BIO_get_mem_data(b, &p);
	s = strndup(p, (size_t)n);
	BIO_free(b);
	return s;
}

static void
answer_cert(struct visit *v, X509 *x)
{
	char	*pem = pem_text(x, NULL), *chain = pem_text(issuing.cert,
		    root.cert);

	answer_json(v, "200 OK", "", json_pack("{s:s, s:s, s:s, s:s}",
	    "status", "ok", "operation", "req_client_cert", "certificate", pem,
	    "chain", chain));
	free(pem);
	free(chain);
}

#endif
