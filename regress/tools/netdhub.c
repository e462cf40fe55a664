/*
 * Plays policyd, keyd, attestd and enrold for one netd, so that netd can be tested
 * alone:
 *
 *   netdhub PATH		binds hub.sock at PATH and waits for netd
 *
 * What netd sends becomes lines on the standard output, one each; what is
 * read from the standard input is done:
 *
 *   dial JOB ADDRESS PORT	DIAL_SPDM; "dialled JOB", or
 *				"refused JOB CODE SEEN"
 *   name NAME			NET_IDENTITY with this system name and no leaf
 *   answer			end the oldest SPDM session (DONE)
 *   over I			HTTP_OVER for the connection that was the I-th
 *   over-number N		the same for this number, whoever has it
 *   link ROLE			introduce a sister (keyd, attestd-q, attestd-r,
 *				enrold)
 *   unlink ROLE		close that link
 *   drop			close the link of policyd and listen on
 *   (and those of netdhub_tls.h)
 *   quit
 *
 * A descriptor that comes along is written to ("netdhub\n") and closed, or
 * with SPDM_ACCEPTED kept until the answer, with HTTP_ACCEPTED until over:
 * "http I number N listener L from ADDRESS".
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "ipc.h"
#include "log.h"

#define SESSIONS_MAX	64
#define HTTP_MAX	4096

static uv_loop_t	 loop;
static uv_poll_t	 listener, input;
static int		 listen_fd;
static struct chan	*links[IPC_NROLES];	/* what we hold of each role */
static uint32_t		 generation;
static struct ipc_call	 sessions[SESSIONS_MAX];
static int		 session_fds[SESSIONS_MAX];
static unsigned		 nsessions;
static struct { int fd; uint32_t number; } https[HTTP_MAX];
static unsigned		 nhttps;

static void	say(const char *, ...) __attribute__((format(printf, 1, 2)));
static void	sister_conf(struct chan_conf *, enum ipc_role);

static void
say(const char *fmt, ...)
{
	va_list	ap;

	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

/* ---- as policyd -------------------------------------------------------- */

static void
introduce(enum ipc_role role)
{
	struct msg_introduce	 m = { .peer = role };
	struct msg_link_hello	 hello = { 0 };
	struct chan_conf	 conf;
	int			 sv[2];

	if (links[IPC_POLICYD] == NULL || socketpair(AF_UNIX,
	    SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) == -1)
		fatal("link");
	sister_conf(&conf, role);
	conf.generation = m.generation = ++generation;
	if (links[role] != NULL)
		chan_close(links[role]);
	if ((links[role] = chan_open(&loop, sv[0], &conf)) == NULL)
		fatal("link");
	hello.generation = generation;
	IPC_SET_BLOB(hello.catalogue, ipc_catalogue(), 32);
	chan_send(links[role], MSG_LINK_HELLO, &hello, -1);
	chan_send(links[IPC_POLICYD], MSG_INTRODUCE, &m, sv[1]);
}

static int
on_hello(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_hello	*m = arg;
	struct msg_welcome	 w = { .now = (uint64_t)time(NULL), .log_level = 0 };

	say("hello %s", m->again ? "again" : "first");
	IPC_SET_BLOB(w.catalogue, ipc_catalogue(), 32);
	chan_reply(c, call, MSG_WELCOME, &w);
	chan_set_phase(c, IPC_RUN);
	generation = 0;
	introduce(IPC_KEYD);
	introduce(IPC_ATTESTQ);
	introduce(IPC_ATTESTR);
	return 0;
}

static int
on_ready(struct chan *c, const struct ipc_call *call, const void *arg)
{
	say("ready");
	return 0;
}

static void
print_id(const char *what, unsigned subtype, const uint8_t *id, uint32_t len)
{
	uint32_t	i;

	printf(" %s %u ", what, subtype);
	for (i = 0; i < len; i++)
		printf("%02x", id[i]);
}

static int
on_neighbour(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_neighbour	*m = arg;

	printf("neighbour %u", m->neighbour);
	print_id("chassis", m->chassis_subtype, m->chassis.data,
	    m->chassis.len);
	print_id("port", m->port_subtype, m->port.data, m->port.len);
	say(" ttl %u name %s address %s %s", m->ttl, m->system_name,
	    m->address4[0] == '\0' ? "-" : m->address4,
	    m->address6[0] == '\0' ? "-" : m->address6);
	return 0;
}

static int
on_gone(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_neighbour_gone	*m = arg;

	say("gone %u", m->neighbour);
	return 0;
}

static int
on_neighbours_end(struct chan *c, const struct ipc_call *call, const void *arg)
{
	say("neighbours-end");
	return 0;
}

static int
on_peer_link(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_peer_link	*m = arg;

	say("peer %u state %u %s dialled %u at %s: %s %s %s", m->peer,
	    m->state, reason_code((enum reason)m->reason), m->dialled,
	    m->address, m->field, m->expected, m->seen);
	return 0;
}

static int
on_counter(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_counter	*m = arg;

	say("counter %s %llu", reason_code((enum reason)m->reason),
	    (unsigned long long)m->count);
	return 0;
}

static int
on_offence(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_offence	*m = arg;

	say("offence %s %s", ipc_role_name((enum ipc_role)m->peer),
	    reason_code((enum reason)m->reason));
	return 0;
}

static const struct ipc_handler from_netd[] = {
	{ MSG_HELLO,		on_hello },
	{ MSG_READY,		on_ready },
	{ MSG_NEIGHBOUR,	on_neighbour },
	{ MSG_NEIGHBOUR_GONE,	on_gone },
	{ MSG_NEIGHBOURS_END,	on_neighbours_end },
	{ MSG_PEER_LINK,	on_peer_link },
	{ MSG_COUNTER,		on_counter },
	{ MSG_OFFENCE,		on_offence },
};

/* ---- as keyd and attestd ----------------------------------------------- */

static int
on_link_hello(struct chan *c, const struct ipc_call *call, const void *arg)
{
	chan_set_phase(c, IPC_RUN);
	return 0;
}

#include "netdhub_tls.h"

static void
greet(int fd)
{
	static const char	text[] = "netdhub\n";

	if (send(fd, text, sizeof(text) - 1, MSG_NOSIGNAL) == -1)
		say("descriptor %s", strerror(errno));
}

static int
on_dialled(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_spdm_dialled	*m = arg;

	say("descriptor %u", m->job);
	greet(call->fd);
	close(call->fd);
	return 0;
}

static int
on_accepted(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_spdm_accepted	*m = arg;

	if (nsessions == SESSIONS_MAX)
		fatalx("too many sessions");
	greet(call->fd);
	session_fds[nsessions] = call->fd;
	sessions[nsessions++] = *call;
	say("accepted %s", m->address);
	return 0;
}

static int
on_http(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_http_accepted	*m = arg;

	if (nhttps == HTTP_MAX)
		fatalx("too many connections");
	greet(call->fd);
	https[nhttps].fd = call->fd;
	https[nhttps].number = m->connection;
	say("http %u number %u listener %u from %s", nhttps++, m->connection,
	    m->listener, m->address);
	return 0;
}

static void
http_over(uint32_t number)
{
	struct msg_http_over	m = { .connection = number };

	if (chan_send(links[IPC_ENROLD], MSG_HTTP_OVER, &m, -1) == -1)
		say("not sent");
}

static void
http_close(unsigned i)
{
	if (https[i].fd != -1)
		close(https[i].fd);
	https[i].fd = -1;
}

static const struct ipc_handler from_link[] = {
	{ MSG_LINK_HELLO,	on_link_hello },
	{ MSG_TLS_SIGN_REQ,	on_tls_sign },
	{ MSG_SPDM_DIALLED,	on_dialled },
	{ MSG_SPDM_ACCEPTED,	on_accepted },
	{ MSG_HTTP_ACCEPTED,	on_http },
};

static void
link_closed(struct chan *c, enum reason offence, unsigned type)
{
	unsigned	i;

	for (i = 0; i < IPC_NROLES; i++)
		if (links[i] == c) {
			links[i] = NULL;
			say("closed %s", ipc_role_name((enum ipc_role)i));
		}
}

static void
sister_conf(struct chan_conf *conf, enum ipc_role role)
{
	memset(conf, 0, sizeof(*conf));
	conf->self = role;
	conf->peer = IPC_NETD;
	conf->handlers = from_link;
	conf->nhandlers = sizeof(from_link) / sizeof(from_link[0]);
	conf->closed = link_closed;
}

/* ---- commands ---------------------------------------------------------- */

static void
dial_over(const struct ipc_reply *r, void *arg)
{
	uint32_t	*job = arg;

	if (r->reason == R_OK)
		say("dialled %u", *job);
	else
		say("refused %u %s %s", *job, reason_code(r->reason),
		    r->refused == NULL ? "" : r->refused->seen);
	free(job);
}

static void
dial(uint32_t number, const char *address, uint32_t port)
{
	struct msg_dial_spdm	 m = { .job = number, .port = port };
	uint32_t		*job;

	if ((job = malloc(sizeof(*job))) == NULL)
		fatal("dial");
	*job = number;
	IPC_SET_STR(m.address, address);
	if (chan_call(links[IPC_POLICYD], MSG_DIAL_SPDM, &m, -1, 60000,
	    dial_over, job) == -1)
		fatalx("dial: no window");
}

static void
answer(void)
{
	if (nsessions == 0) {
		say("no session");
		return;
	}
	close(session_fds[0]);
	chan_done(chan_find(&sessions[0]), &sessions[0]);
	nsessions--;
	memmove(sessions, sessions + 1, nsessions * sizeof(sessions[0]));
	memmove(session_fds, session_fds + 1,
	    nsessions * sizeof(session_fds[0]));
	say("answered");
}

static enum ipc_role
role_named(const char *name)
{
	unsigned	i;

	for (i = 0; i < IPC_NROLES; i++)
		if (strcmp(ipc_role_name((enum ipc_role)i), name) == 0)
			return (enum ipc_role)i;
	fatalx("%s: no such role", name);
}

static void
quit(void)
{
	unsigned	i;

	for (i = 0; i < IPC_NROLES; i++)
		chan_close(links[i]);
	while (nsessions > 0)
		close(session_fds[--nsessions]);
	while (nhttps > 0)
		http_close(--nhttps);
	uv_close((uv_handle_t *)&listener, NULL);
	uv_close((uv_handle_t *)&input, NULL);
}

static void
command(const char *line)
{
	struct msg_net_identity	id = { 0 };
	char			word[80];
	unsigned		a, b;

	if (sscanf(line, "dial %u %79s %u", &a, word, &b) == 3)
		dial(a, word, b);
	else if (sscanf(line, "name %64s", word) == 1) {
		IPC_SET_STR(id.system_name, word);
		chan_send(links[IPC_POLICYD], MSG_NET_IDENTITY, &id, -1);
	} else if (strcmp(line, "answer") == 0)
		answer();
	else if (sscanf(line, "over %u", &a) == 1 && a < nhttps) {
		http_close(a);
		http_over(https[a].number);
	} else if (sscanf(line, "over-number %u", &a) == 1)
		http_over(a);
	else if (sscanf(line, "link %79s", word) == 1)
		introduce(role_named(word));
	else if (sscanf(line, "unlink %79s", word) == 1)
		chan_close(links[role_named(word)]);
	else if (strcmp(line, "drop") == 0)
		chan_close(links[IPC_POLICYD]);
	else if (strcmp(line, "quit") == 0)
		quit();
	else if (!tls_command(line))
		fatalx("%s: no such command", line);
}

static void
commands(uv_poll_t *h, int status, int events)
{
	static char	buf[4096];
	static size_t	used;
	char		*nl;
	ssize_t		n;

	n = read(STDIN_FILENO, buf + used, sizeof(buf) - used);
	if (n <= 0) {
		quit();
		return;
	}
	used += (size_t)n;
	while ((nl = memchr(buf, '\n', used)) != NULL) {
		*nl = '\0';
		command(buf);
		used -= (size_t)(nl + 1 - buf);
		memmove(buf, nl + 1, used);
	}
}

/* ---- start ------------------------------------------------------------- */

static void
connected(uv_poll_t *h, int status, int events)
{
	struct chan_conf	conf = {
		.self = IPC_POLICYD,
		.peer = IPC_NETD,
		.handlers = from_netd,
		.nhandlers = sizeof(from_netd) / sizeof(from_netd[0]),
		.closed = link_closed,
	};
	int			fd;

	if ((fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC)) == -1)
		return;
	if (links[IPC_POLICYD] != NULL)
		chan_close(links[IPC_POLICYD]);
	if ((links[IPC_POLICYD] = chan_open(&loop, fd, &conf)) == NULL)
		fatal("hub");
}

static void
bind_hub(const char *path)
{
	struct sockaddr_un	sun = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(sun.sun_path))
		fatalx("%s: too long", path);
	memcpy(sun.sun_path, path, strlen(path));
	unlink(path);
	if ((listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0)) == -1 || bind(listen_fd,
	    (struct sockaddr *)&sun, sizeof(sun)) == -1 ||
	    chmod(path, 0666) == -1 || listen(listen_fd, 4) == -1)
		fatal("%s", path);
}

int
main(int argc, char **argv)
{
	log_init("netdhub", true);
	if (argc != 2)
		fatalx("usage: netdhub path");
	bind_hub(argv[1]);
	uv_loop_init(&loop);
	uv_poll_init(&loop, &listener, listen_fd);
	uv_poll_start(&listener, UV_READABLE, connected);
	uv_poll_init(&loop, &input, STDIN_FILENO);
	uv_poll_start(&input, UV_READABLE, commands);
	say("listening");
	uv_run(&loop, UV_RUN_DEFAULT);
	close(listen_fd);
	return uv_loop_close(&loop) == 0 ? 0 : 1;
}
