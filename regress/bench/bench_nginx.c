/*
 * What a full mutual TLS 1.3 handshake costs a server: netd's with the key in
 * keyd, in turns with nginx (its key in its process) over certificates of one
 * CA. The same plain client for both, one connection at a time over
 * loopback; what counts is the processor time of the servers, keyd's
 * included. nginx as it is set up to be like us, without tickets; as it comes;
 * and resuming a session, which we never do.
 *
 * Without nginx this says so and measures ours alone.
 */
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>

#include "bench.h"
#include "keyd_run.h"
#include "../unit/certs.h"

#define CONNECTIONS	100	/* in a round */
#define ROUNDS		9

struct server {
	const char	*name;
	uint16_t	 port;
	bool		 nginx, resumes;
	double		 cpu[ROUNDS];	/* s, one handshake */
};

enum { OURS, NGINX, NGINX_STOCK, NGINX_RESUMED, NSERVERS };

static struct server	 servers[NSERVERS] = {
	[OURS] = { .name = "tls_server_ours" },
	[NGINX] = { .name = "tls_server_nginx", .nginx = true },
	[NGINX_STOCK] = { .name = "tls_server_nginx_stock", .nginx = true },
	[NGINX_RESUMED] = { .name = "tls_server_nginx_resumed", .nginx = true,
	    .resumes = true },
};
static char		 dir[] = "/tmp/provd-bench.XXXXXX";
static struct ca	 ca;
static uv_loop_t	 loop;
static pid_t		 ours, keyd_pid, nginx;
static SSL_SESSION	*session;

/* ---- our server ---------------------------------------------------------- */

static struct chan	*keyd;

static void
closed(struct chan *c, enum reason r, unsigned type)
{
	_exit(0);
}

static void
signed_there(const struct ipc_reply *r, void *arg)
{
	const struct msg_tls_sign_rep *m = r->msg;

	if (r->type != MSG_TLS_SIGN_REP)
		errx(1, "keyd: %s", reason_text(r->reason));
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

static void
on_up(struct tls *t, void *arg)
{
}

static void
on_data(struct tls *t, void *arg, const uint8_t *p, size_t len)
{
}

static void
on_down(struct tls *t, void *arg, const struct refusal *why)
{
	if (why->reason != R_TLS_CLOSED)
		errx(1, "server: %s %s", reason_text(why->reason), why->seen);
	tls_close(*(struct tls **)arg);
	free(arg);
}

static int
on_verify(struct tls *t, void *arg, X509 *x, struct refusal *why)
{
	return peer_verify(x, false, NULL, clock_trusted(), why) == NULL ?
	    -1 : 0;
}

static void
on_accept(uv_poll_t *h, int status, int events)
{
	static const struct tls_events	 ev = { on_up, on_data, on_down,
	    on_verify, NULL };
	static const int		 on = 1;
	struct refusal			 why;
	struct tls			**slot = malloc(sizeof(*slot));
	uv_os_fd_t			 s;
	int				 fd;

	uv_fileno((uv_handle_t *)h, &s);
	fd = accept4(s, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd == -1 || slot == NULL)
		err(1, "accept");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if ((*slot = tls_open(&loop, fd, true, &ev, slot, &why)) == NULL)
		errx(1, "server: %s", reason_text(why.reason));
}

static void
serve(int s, struct keyd_run *run)
{
	static const struct chan_conf	 conf = { .self = IPC_NETD,
	    .peer = IPC_KEYD, .closed = closed };
	EVP_PKEY			*key = certs_key("P-256");
	struct leaf			 leaf;
	static struct msg_peer_set	 m = { .peer = 1 };
	struct refusal			 why;
	uv_poll_t			 poll;
	uint8_t				*der = NULL;
	int				 len;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	uv_loop_init(&loop);
	peer_table_init();
	IPC_SET_STR(m.node, NODE_B);
	CERTS_BLOB(m.anchor, ca.cert);
	if (peer_enter(&m, &why) == NULL || why.reason != R_OK)
		errx(1, "anchor");
	if (EVP_PKEY_set1_encoded_public_key(key, run->point, KEYD_POINT) != 1)
		errx(1, "key");
	leaf = certs_leaf_over(key, &ca, NODE_A, NULL);
	if ((keyd = chan_open(&loop, run->fd, &conf)) == NULL)
		err(1, "channel");
	chan_set_phase(keyd, IPC_RUN);
	len = i2d_X509(leaf.cert, &der);
	if (tls_identity(0, KEY_P256, der, (size_t)len) != R_OK)
		errx(1, "identity");
	provider_signer(sign_there);
	uv_poll_init(&loop, &poll, s);
	uv_poll_start(&poll, UV_READABLE, on_accept);
	uv_run(&loop, UV_RUN_DEFAULT);
	_exit(0);
}

static int
listener(uint16_t *port)
{
	struct sockaddr_in	sin = { .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t		len = sizeof(sin);
	int			s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (s == -1 || bind(s, (struct sockaddr *)&sin, sizeof(sin)) == -1 ||
	    listen(s, 64) == -1 ||
	    getsockname(s, (struct sockaddr *)&sin, &len) == -1)
		err(1, "listener");
	*port = ntohs(sin.sin_port);
	return s;
}

static void
start_ours(const char *argv0)
{
	static struct keyd_run	run;
	int			s = listener(&servers[OURS].port);

	keyd_run(&run, argv0, "tls", "sealed");
	keyd_pid = keyd_run_child(&run);
	if ((ours = fork()) == -1)
		err(1, "fork");
	if (ours == 0)
		serve(s, &run);
	close(s);
	close(run.fd);
}

/* ---- nginx --------------------------------------------------------------- */

static const char *
in_dir(const char *name)
{
	static char	path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static FILE *
create(const char *name)
{
	FILE	*f = fopen(in_dir(name), "w");

	if (f == NULL)
		err(1, "%s", name);
	return f;
}

/* The key is none of our own library's, which writes none. */
static void
write_pems(void)
{
	EVP_PKEY	*key = EVP_EC_gen("prime256v1");
	struct leaf	 l = certs_leaf_over(key, &ca, NODE_B, NULL);
	FILE		*f = create("ca.pem");

	PEM_write_X509(f, ca.cert);
	fclose(f);
	f = create("leaf.pem");
	PEM_write_X509(f, l.cert);
	fclose(f);
	f = create("key.pem");
	if (!PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL))
		errx(1, "key.pem");
	fclose(f);
	certs_leaf_free(&l);
}

static void
write_server(FILE *f, const struct server *s, bool stock)
{
	fprintf(f, "server { listen 127.0.0.1:%u ssl;\n"
	    "ssl_certificate leaf.pem; ssl_certificate_key key.pem;\n"
	    "ssl_client_certificate ca.pem; ssl_verify_client on;\n"
	    "ssl_protocols TLSv1.3; ssl_session_cache off;\n"
	    "ssl_session_tickets %s; return 204; }\n", s->port,
	    stock ? "on" : "off");
}

static bool
start_nginx(void)
{
	char	pid[160];
	FILE	*f;
	int	i;

	if (access("/usr/sbin/nginx", X_OK) == -1)
		return false;
	for (i = NGINX; i <= NGINX_STOCK; i++)
		close(listener(&servers[i].port));
	servers[NGINX_RESUMED].port = servers[NGINX_STOCK].port;
	f = create("conf");
	fprintf(f, "daemon off; master_process off; error_log stderr crit;\n"
	    "events { }\nhttp { access_log off; client_body_temp_path tmp; "
	    "proxy_temp_path tmp; fastcgi_temp_path tmp; uwsgi_temp_path tmp; "
	    "scgi_temp_path tmp;\n");
	write_server(f, &servers[NGINX], false);
	write_server(f, &servers[NGINX_STOCK], true);
	fprintf(f, "}\n");
	fclose(f);
	snprintf(pid, sizeof(pid), "pid %s/pid;", dir);
	if ((nginx = fork()) == -1)
		err(1, "fork");
	if (nginx == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		execl("/usr/sbin/nginx", "nginx", "-p", dir, "-c",
		    in_dir("conf"), "-g", pid, (char *)NULL);
		err(127, "nginx");
	}
	return true;
}

/* ---- the client ---------------------------------------------------------- */

static int
keep_session(SSL *ssl, SSL_SESSION *s)
{
	SSL_SESSION_free(session);
	session = s;
	return 1;
}

static SSL_CTX *
client(void)
{
	SSL_CTX	*c = SSL_CTX_new(TLS_client_method());
	char	 groups[] = "X25519:P-256";

	if (c == NULL || !SSL_CTX_set_min_proto_version(c, TLS1_3_VERSION) ||
	    SSL_CTX_use_certificate_file(c, in_dir("leaf.pem"),
	    SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_use_PrivateKey_file(c, in_dir("key.pem"),
	    SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_load_verify_file(c, in_dir("ca.pem")) != 1 ||
	    !SSL_CTX_set1_groups_list(c, groups))
		errx(1, "client");
	SSL_CTX_set_verify(c, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_CLIENT |
	    SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(c, keep_session);
	return c;
}

static int
connected(uint16_t port)
{
	struct sockaddr_in	sin = { .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	    .sin_port = htons(port) };
	static const int	on = 1;
	int			fd, tries;

	for (tries = 0; tries < 250; tries++) {
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		if (connect(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0)
			return fd;
		close(fd);
		poll(NULL, 0, 20);	/* nginx is still starting */
	}
	err(1, "connect");
}

/* The end of the stream tells that the server is done with it. */
static void
handshake(SSL_CTX *c, const struct server *s)
{
	SSL	*ssl = SSL_new(c);
	char	 buf[512];
	int	 fd = connected(s->port);

	SSL_set_fd(ssl, fd);
	if (s->resumes && session != NULL)
		SSL_set_session(ssl, session);
	if (SSL_connect(ssl) != 1 ||
	    (s->resumes && session != NULL && !SSL_session_reused(ssl) &&
	    s->cpu[0] != 0))
		errx(1, "%s: handshake", s->name);
	SSL_shutdown(ssl);
	shutdown(fd, SHUT_WR);
	while (SSL_read(ssl, buf, sizeof(buf)) > 0)
		continue;
	SSL_free(ssl);
	close(fd);
}

static double
server_cpu(const struct server *s)
{
	return s->nginx ? cpu_seconds(nginx) :
	    cpu_seconds(ours) + cpu_seconds(keyd_pid);
}

static double
measure(SSL_CTX *c, const struct server *s)
{
	double	t;
	int	i;

	handshake(c, s);
	t = server_cpu(s);
	for (i = 0; i < CONNECTIONS; i++)
		handshake(c, s);
	return (server_cpu(s) - t) / CONNECTIONS;
}

static void
end_all(void)
{
	static const char *const names[] = { "ca.pem", "leaf.pem", "key.pem",
	    "conf", "pid" };
	size_t			 i;

	kill(ours, SIGTERM);
	waitpid(ours, NULL, 0);
	if (nginx > 0) {
		kill(nginx, SIGTERM);
		waitpid(nginx, NULL, 0);
	}
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink(in_dir(names[i]));
	rmdir(in_dir("tmp"));
	rmdir(dir);
}

int
main(int argc, char **argv)
{
	double		 ratio[ROUNDS], m;
	SSL_CTX		*c;
	char		 name[64];
	int		 i, r, n;

	signal(SIGPIPE, SIG_IGN);
	bench_start(argc, argv);
	clock_set((uint64_t)time(NULL));
	if (mkdtemp(dir) == NULL)
		err(1, "%s", dir);
	if (tls_init(NULL) == -1)
		return 1;
	ca = certs_ca("ca");
	write_pems();
	start_ours(argv[0]);
	n = start_nginx() ? NSERVERS : 1;
	if (n == 1)
		warnx("there is no nginx: ours is measured alone");
	c = client();
	for (r = 0; r < ROUNDS; r++)
		for (i = 0; i < n; i++)
			servers[i].cpu[r] = measure(c, &servers[i]);
	for (i = n - 1; i >= 0; i--) {
		for (r = 0; r < ROUNDS; r++)
			ratio[r] = servers[i].cpu[r] / servers[OURS].cpu[r];
		m = median(ratio, ROUNDS);
		snprintf(name, sizeof(name), "%s_cpu", servers[i].name);
		bench_line(name, 1e6 * median(servers[i].cpu, ROUNDS), "us", m);
	}
	SSL_CTX_free(c);
	end_all();
	certs_ca_free(&ca);
	return 0;
}
