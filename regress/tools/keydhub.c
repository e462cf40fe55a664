/*
 * Plays policyd, netd, enrold and attestd for one keyd, so that keyd can be
 * tested alone:
 *
 *   keydhub PATH COMMAND...	binds hub.sock at PATH, waits for one keyd and
 *				does the commands one after the other
 *
 *   status			"status BACKEND REASON keys N counter 0|1 MAKER"
 *   make LABEL PURPOSE ALG	"key N new|old POINT"; purposes tls spdm ca
 *				audit enrol root issuing ocsp, algorithms p256
 *				p384 rsa2048
 *   listener KEY		"signed N": the same for enrold, N bytes
 *   ca PROFILE ISSUER KEY DAYS FILE
 *				"certificate": a CA's, written to FILE; profiles
 *				root issuing ocsp enrol
 *   device ISSUER PROFILE NAME FILE
 *				"certificate": over a new P-256 key, for a day
 *   crl ISSUER COUNT FILE	"crl LENGTH": of so many rows
 *   ocsp KEY			"response LENGTH": about an unknown certificate
 *   tls KEY			"signed": a CertificateVerify, verified here
 *   counter N			"counter N"
 *   pcrs			"pcrs HEX"
 *   flood KEY N		send N signature requests, wait for none
 *   answers			wait for them: "answers SIGNED REASON REFUSED"
 *   sister			"sister OFFENCE-CODE": netd breaks a rule, keyd
 *				reports it and serves the others
 *   kill			SIGKILL to keyd
 *   stop PID			SIGSTOP to the TPM; the same with end (SIGKILL)
 *   gone			wait until keyd has closed the link: "gone"
 *
 * What is refused becomes "refused CODE". Exits 1 if keyd goes when it should
 * not, or does not answer for a minute.
 */
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../../keyd/keyd.h"
#include "clock.h"
#include "log.h"

#define PATIENCE	60000	/* ms */

enum { POLICYD, NETD, ATTESTR, ENROLD, NLINKS };

static struct chan	*links[NLINKS];
static pid_t		 keyd_pid;
static bool		 greeted, ready, answered, policyd_gone;
static enum reason	 offence;
static enum reason	 reason;		/* of the last answer */
static union ipc_any	 answer;
static uint8_t		 points[KEY_MAX][KEY_PUBLIC_MAX];
static uint8_t		 algorithms[KEY_MAX];
static unsigned		 outstanding, flood_signed, flood_refused;
static enum reason	 flood_reason;

static void
link_closed(struct chan *c, enum reason why, unsigned type)
{
	int	 i;

	for (i = 0; i < NLINKS; i++)
		if (links[i] == c)
			links[i] = NULL;
	if (chan_peer(c) == IPC_KEYD && chan_arg(c) == NULL)
		policyd_gone = true;
}

/* ---- as policyd ------------------------------------------------------ */

/* The other end of a new link goes to keyd; a generation of its own. */
static void
introduce(int which, enum ipc_role role)
{
	struct msg_introduce	 m = { .peer = role, .generation = 1 };
	struct msg_link_hello	 hello = { .generation = 1 };
	struct chan_conf	 conf = {
		.self = role, .peer = IPC_KEYD, .generation = 1,
		.closed = link_closed, .arg = &links[which],
	};
	int			 sv[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) == -1)
		fatal("socketpair");
	if ((links[which] = chan_new(sv[0], &conf)) == NULL)
		fatal("link");
	IPC_SET_BLOB(hello.catalogue, ipc_catalogue(), 32);
	chan_send(links[which], MSG_LINK_HELLO, &hello, -1);
	chan_send(links[POLICYD], MSG_INTRODUCE, &m, sv[1]);
}

static int
on_link_hello(struct chan *c, const struct ipc_call *call, const void *arg)
{
	chan_set_phase(c, IPC_RUN);
	return 0;
}

static const struct ipc_handler from_sister[] = {
	{ MSG_LINK_HELLO, on_link_hello },
};

static int
on_hello(struct chan *c, const struct ipc_call *call, const void *arg)
{
	struct msg_welcome	 w = { .now = (uint64_t)time(NULL) };

	IPC_SET_BLOB(w.catalogue, ipc_catalogue(), 32);
	chan_reply(c, call, MSG_WELCOME, &w);
	chan_set_phase(c, IPC_RUN);
	introduce(NETD, IPC_NETD);
	introduce(ATTESTR, IPC_ATTESTR);
	introduce(ENROLD, IPC_ENROLD);
	chan_set_handlers(links[NETD], from_sister, 1);
	chan_set_handlers(links[ENROLD], from_sister, 1);
	chan_set_handlers(links[ATTESTR], from_sister, 1);
	greeted = true;
	return 0;
}

static int
on_ready(struct chan *c, const struct ipc_call *call, const void *arg)
{
	ready = true;
	return 0;
}

static int
on_counter(struct chan *c, const struct ipc_call *call, const void *arg)
{
	return 0;
}

static int
on_offence(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_offence	*m = arg;

	offence = (enum reason)m->reason;
	return 0;
}

static const struct ipc_handler from_keyd[] = {
	{ MSG_HELLO,	on_hello },
	{ MSG_READY,	on_ready },
	{ MSG_COUNTER,	on_counter },
	{ MSG_OFFENCE,	on_offence },
};

/* ---- waiting --------------------------------------------------------- */

static void
turn(void)
{
	struct pollfd	 pfd[NLINKS];
	struct chan	*c[NLINKS];
	int		 i, n = 0;

	for (i = 0; i < NLINKS; i++) {
		if (links[i] == NULL)
			continue;
		c[n] = links[i];
		pfd[n].fd = chan_fd(links[i]);
		pfd[n].events = POLLIN |
		    (chan_wants_output(links[i]) ? POLLOUT : 0);
		pfd[n++].revents = 0;
	}
	if (poll(pfd, (nfds_t)n, 1000) == -1 && errno != EINTR)
		fatal("poll");
	for (i = 0; i < n; i++) {
		if (pfd[i].revents & POLLOUT && chan_output(c[i]) == -1)
			continue;
		if (pfd[i].revents & ~POLLOUT)
			(void)chan_input(c[i]);
	}
}

/* Until *flag is set. keyd may only go where it is meant to. */
static void
await(const bool *flag)
{
	uint64_t	 end = clock_mono_ms() + PATIENCE;

	while (!*flag) {
		if (policyd_gone && flag != &policyd_gone)
			fatalx("keyd went away");
		if (clock_mono_ms() > end)
			fatalx("keyd does not answer");
		turn();
	}
}

static void
replied(const struct ipc_reply *r, void *arg)
{
	answered = true;
	reason = r->reason;
	if (r->msg != NULL)
		memcpy(&answer, r->msg, ipc_size(r->type));
}

/* True if it was answered; else it says why not. */
static bool
call_fd(int which, enum ipc_type type, const void *msg, int fd)
{
	answered = false;
	if (links[which] == NULL || chan_call(links[which], type, msg, fd,
	    PATIENCE, replied, NULL) == -1)
		fatalx("%s cannot be sent", ipc_name(type));
	await(&answered);
	if (reason == R_OK)
		return true;
	printf("refused %s\n", reason_code(reason));
	return false;
}

static bool
call(int which, enum ipc_type type, const void *msg)
{
	return call_fd(which, type, msg, -1);
}

/* ---- commands -------------------------------------------------------- */

static int
number_of(const char *const *names, int n, const char *s)
{
	int	 i;

	for (i = 0; i < n; i++)
		if (strcmp(names[i], s) == 0)
			return i;
	fatalx("what is \"%s\"?", s);
}

static void
do_status(char **arg)
{
	static const char *const backends[] = { "tpm", "sealed", "soft" };
	const struct msg_keyd_status *m = &answer.keyd_status;

	if (call(POLICYD, MSG_KEYD_STATUS_REQ, NULL))
		printf("status %s %s keys %u counter %d %s\n",
		    backends[m->backend], reason_code((enum reason)m->reason),
		    m->keys, m->counter, m->manufacturer);
}

static void
do_make(char **arg)
{
	static const char *const purposes[] = { "tls", "spdm", "ca", "audit",
		"enrol", "root", "issuing", "ocsp" };
	static const char *const algs[] = { "p256", "p384", "rsa2048" };
	const struct msg_key_info *k = &answer.key_info;
	struct msg_key_make_req	 m = { .purpose = 0 };
	uint32_t		 i;

	IPC_SET_STR(m.label, arg[0]);
	m.purpose = (uint32_t)number_of(purposes, KEY_NPURPOSES,
	    arg[1]);
	m.algorithm = (uint32_t)number_of(algs, KEY_NALGORITHMS, arg[2]);
	if (!call(POLICYD, MSG_KEY_MAKE_REQ, &m))
		return;
	printf("key %u %s ", k->key, k->made ? "new" : "old");
	for (i = 0; i < k->public.len; i++)
		printf("%02x", k->public.data[i]);
	putchar('\n');
	memcpy(points[k->key], k->public.data, k->public.len);
	algorithms[k->key] = (uint8_t)k->algorithm;
}

static uint32_t
key_number(const char *s)
{
	unsigned long	 n = strtoul(s, NULL, 10);

	if (n >= KEY_MAX)
		fatalx("key \"%s\"", s);
	return (uint32_t)n;
}

static void
tls_request(struct msg_tls_sign_req *m, uint32_t key)
{
	memset(m, 0, sizeof(*m));
	m->key = key;
	m->scheme = algorithms[key] == KEY_RSA2048 ? 0x0804 :
	    curve_get(algorithms[key])->tls_scheme;
	m->content.len = TLS13_CONTENT_MIN;
	memset(m->content.data, ' ', 64);
	memcpy(m->content.data + 64, "TLS 1.3, server CertificateVerify", 34);
}

static bool
verify(uint32_t key, const struct msg_tls_sign_req *m)
{
	const struct curve	*c = curve_get(algorithms[key]);
	X509_PUBKEY		*pub = curve_spki(c, points[key]);
	EVP_MD_CTX		*ctx = EVP_MD_CTX_new();
	uint8_t			*spki = NULL;
	const uint8_t		*p;
	int			 n = i2d_X509_PUBKEY(pub, &spki);
	EVP_PKEY		*pkey;
	bool			 ok;

	p = spki;
	pkey = n > 0 ? d2i_PUBKEY(NULL, &p, n) : NULL;
	ok = pkey != NULL && EVP_DigestVerifyInit_ex(ctx, NULL, c->md_name,
	    NULL, NULL, pkey, NULL) == 1 &&
	    EVP_DigestVerify(ctx, answer.tls_sign_rep.signature.data,
	    answer.tls_sign_rep.signature.len, m->content.data,
	    m->content.len) == 1;
	EVP_PKEY_free(pkey);
	OPENSSL_free(spki);
	EVP_MD_CTX_free(ctx);
	X509_PUBKEY_free(pub);
	return ok;
}

static void
do_tls(char **arg)
{
	uint32_t		 key = key_number(arg[0]);
	struct msg_tls_sign_req	 m;

	tls_request(&m, key);
	if (call(NETD, MSG_TLS_SIGN_REQ, &m))
		puts(verify(key, &m) ? "signed" : "a wrong signature");
}

static void
do_listener(char **arg)
{
	struct msg_tls_sign_req	 m;

	tls_request(&m, key_number(arg[0]));
	if (call(ENROLD, MSG_TLS_SIGN_REQ, &m))
		printf("signed %u\n", answer.tls_sign_rep.signature.len);
}

/* ---- the certificate service ---- */

static void
save(const char *path, const void *data, size_t len)
{
	FILE	*f = fopen(path, "w");

	if (f == NULL || fwrite(data, 1, len, f) != len || fclose(f) != 0)
		fatal("%s", path);
}

static void
save_certificate(const char *path)
{
	save(path, answer.cert_rep.certificate.data,
	    answer.cert_rep.certificate.len);
	puts("certificate");
}

/* 128 bits that no other certificate has. */
static void
serial_set(uint8_t *p)
{
	static uint8_t	 count;

	memset(p, 0x5a, 16);
	p[15] = count++;
}

static void
do_ca(char **arg)
{
	static const char *const profiles[] = { "root", "issuing", "ocsp",
		"enrol", "cross" };
	struct msg_ca_cert_req	 m = { .serial = { .len = 16 } };

	m.profile = (uint32_t)number_of(profiles, CA_NPROFILES, arg[0]);
	m.issuer = key_number(arg[1]);
	m.key = key_number(arg[2]);
	serial_set(m.serial.data);
	m.not_before = (uint64_t)time(NULL) - 60;
	m.not_after = m.not_before + strtoul(arg[3], NULL, 10) * 86400;
	if (call(POLICYD, MSG_CA_CERT_REQ, &m))
		save_certificate(arg[4]);
}

static void
do_device(char **arg)
{
	struct msg_device_cert_req m = { .serial = { .len = 16 },
	    .public = { .len = 65 } };
	uint8_t			 scalar[SCALAR_MAX];

	m.issuer = key_number(arg[0]);
	IPC_SET_STR(m.profile, arg[1]);
	IPC_SET_STR(m.name, arg[2]);
	if (local_make(curve_get(KEY_P256), scalar, m.public.data) == -1)
		fatalx("key");
	serial_set(m.serial.data);
	m.not_before = (uint64_t)time(NULL) - 60;
	m.not_after = m.not_before + 86400;
	if (call(POLICYD, MSG_DEVICE_CERT_REQ, &m))
		save_certificate(arg[3]);
}

static void
do_crl(char **arg)
{
	struct msg_crl_req	 m = { .number = 1 };
	unsigned		 i, k;
	uint8_t			 row[25] = { 0x5a };
	void			*map;
	size_t			 len;
	int			 fd = memfd_create("crl", MFD_ALLOW_SEALING);
	int			 mine = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	m.issuer = key_number(arg[0]);
	m.count = (uint32_t)strtoul(arg[1], NULL, 10);
	m.this_update = (uint64_t)time(NULL) - 60;
	m.next_update = m.this_update + 3600;
	for (k = 0; k < 8; k++)
		row[16 + k] = (uint8_t)(m.this_update >> (56 - 8 * k));
	for (i = 0; i < m.count; i++) {
		memcpy(row + 4, &i, sizeof(i));
		if (write(fd, row, sizeof(row)) != sizeof(row))
			fatal("rows");
	}
	if (!call_fd(POLICYD, MSG_CRL_REQ, &m, fd))
		return;
	len = answer.crl_rep.length;
	map = mmap(NULL, len, PROT_READ, MAP_SHARED, mine, 0);
	if (map == MAP_FAILED)
		fatal("mmap");
	save(arg[2], map, len);
	munmap(map, len);
	close(mine);
	printf("crl %zu\n", len);
}

static void
do_ocsp(char **arg)
{
	struct msg_ocsp_sign_req m = { .status = CERT_UNKNOWN,
	    .name_hash = { .len = 20 }, .key_hash = { .len = 20 },
	    .serial = { .len = 1, .data = { 7 } } };

	m.key = key_number(arg[0]);
	m.this_update = (uint64_t)time(NULL);
	m.next_update = m.this_update + 3600;
	if (call(POLICYD, MSG_OCSP_SIGN_REQ, &m))
		printf("response %u\n", answer.ocsp_sign_rep.data.len);
}

static void
do_counter(char **arg)
{
	struct msg_counter_req	 m = { .advance = strtoull(arg[0], NULL, 10) };

	if (call(POLICYD, MSG_COUNTER_REQ, &m))
		printf("counter %llu\n",
		    (unsigned long long)answer.counter_rep.value);
}

static void
do_pcrs(char **arg)
{
	uint32_t	 i;

	if (!call(ATTESTR, MSG_PCR_REQ, NULL))
		return;
	printf("pcrs ");
	for (i = 0; i < answer.pcr_rep.values.len; i++)
		printf("%02x", answer.pcr_rep.values.data[i]);
	putchar('\n');
}

static void
flooded(const struct ipc_reply *r, void *arg)
{
	outstanding--;
	if (r->reason == R_OK)
		flood_signed++;
	else {
		flood_refused++;
		flood_reason = r->reason;
	}
}

static void
do_flood(char **arg)
{
	unsigned long		 n = strtoul(arg[1], NULL, 10);
	struct msg_tls_sign_req	 m;

	flood_signed = flood_refused = 0;
	flood_reason = R_OK;
	tls_request(&m, key_number(arg[0]));
	for (; n > 0; n--, outstanding++)
		if (chan_call(links[NETD], MSG_TLS_SIGN_REQ, &m, -1, PATIENCE,
		    flooded, NULL) == -1)
			fatalx("the window is full");
	while (chan_wants_output(links[NETD]))
		turn();
}

static void
do_answers(char **arg)
{
	while (outstanding > 0)
		turn();
	printf("answers %u %s %u\n", flood_signed, reason_code(flood_reason),
	    flood_refused);
}

/* A record that no netd may send; the link ends, keyd does not. */
static void
do_sister(char **arg)
{
	static const uint8_t	 record[] = { 0xc1 };	/* not msgpack */

	offence = R_OK;
	if (send(chan_fd(links[NETD]), record, sizeof(record), 0) == -1)
		fatal("send");
	while (offence == R_OK && !policyd_gone)
		turn();
	printf("sister %s\n", reason_code(offence));
}

static void
do_kill(char **arg)
{
	if (kill(keyd_pid, SIGKILL) == -1)
		fatal("kill");
}

static void
signal_to(const char *pid, int sig)
{
	long	 n = strtol(pid, NULL, 10);

	if (n <= 1 || kill((pid_t)n, sig) == -1)
		fatal("signal to %s", pid);
}

static void
do_stop(char **arg)
{
	signal_to(arg[0], SIGSTOP);
}

static void
do_end(char **arg)
{
	signal_to(arg[0], SIGKILL);
}

static void
do_gone(char **arg)
{
	await(&policyd_gone);
	puts("gone");
}

static const struct {
	const char	*name;
	int		 nargs;
	void		(*fn)(char **);
} commands[] = {
	{ "status", 0, do_status },	{ "make", 3, do_make },
	{ "tls", 1, do_tls },		{ "counter", 1, do_counter },
	{ "pcrs", 0, do_pcrs },		{ "flood", 2, do_flood },
	{ "answers", 0, do_answers },	{ "sister", 0, do_sister },
	{ "kill", 0, do_kill },		{ "gone", 0, do_gone },
	{ "stop", 1, do_stop },		{ "end", 1, do_end },
	{ "listener", 1, do_listener },	{ "ca", 5, do_ca },
	{ "device", 4, do_device },	{ "crl", 3, do_crl },
	{ "ocsp", 1, do_ocsp },
};

static void
run(int argc, char **argv)
{
	size_t	 i;

	while (argc > 0) {
		for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
			if (strcmp(commands[i].name, argv[0]) == 0)
				break;
		if (i == sizeof(commands) / sizeof(commands[0]) ||
		    argc <= commands[i].nargs)
			fatalx("what is \"%s\"?", argv[0]);
		commands[i].fn(argv + 1);
		fflush(stdout);
		argc -= 1 + commands[i].nargs;
		argv += 1 + commands[i].nargs;
	}
}

/* ---- start ----------------------------------------------------------- */

static int
listen_at(const char *path)
{
	struct sockaddr_un	 sun = { .sun_family = AF_UNIX };
	int			 fd;

	if (strlen(path) >= sizeof(sun.sun_path))
		fatalx("%s: too long", path);
	memcpy(sun.sun_path, path, strlen(path));
	unlink(path);
	umask(0117);
	if ((fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)) == -1 ||
	    bind(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1 ||
	    listen(fd, 4) == -1)
		fatal("%s", path);
	return fd;
}

static void
accept_keyd(int listener)
{
	struct chan_conf	 conf = {
		.self = IPC_POLICYD, .peer = IPC_KEYD,
		.handlers = from_keyd,
		.nhandlers = sizeof(from_keyd) / sizeof(from_keyd[0]),
		.closed = link_closed,
	};
	struct pollfd		 pfd = { .fd = listener, .events = POLLIN };
	struct ucred		 cred;
	socklen_t		 len = sizeof(cred);
	int			 fd;

	if (poll(&pfd, 1, PATIENCE) != 1)
		fatalx("no keyd comes");
	if ((fd = accept(listener, NULL, NULL)) == -1 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == -1)
		fatal("accept");
	keyd_pid = cred.pid;
	if ((links[POLICYD] = chan_new(fd, &conf)) == NULL)
		fatal("link");
}

int
main(int argc, char **argv)
{
	int	 fd;

	log_init("keydhub", true);
	signal(SIGPIPE, SIG_IGN);
	if (argc < 3)
		fatalx("usage: keydhub path command ...");
	if (curve_init() == -1)
		fatalx("OpenSSL cannot be used");
	fd = listen_at(argv[1]);
	accept_keyd(fd);
	await(&greeted);
	await(&ready);
	run(argc - 2, argv + 2);
	close(fd);
	return 0;
}
