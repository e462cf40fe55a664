/*
 * Written cases: what a daemon that was taken over asks for in a form that no
 * channel refuses, so that only its receiver can.
 */
#include <err.h>
#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sister.h"
#include "sister_cases.h"

static unsigned	failed;

unsigned
tap_failed(void)
{
	return failed;
}

void
tap(bool good, const char *fmt, ...)
{
	va_list	ap;

	printf("%s 1 - ", good ? "ok" : "not ok");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	failed += !good;
}

void
tap_reason(enum reason got, enum reason want, const char *who, const char *what)
{
	tap(got == want, "%s: %s: %s%s%s", who, what, reason_code(want),
	    got == want ? "" : ", but got ", got == want ? "" :
	    reason_code(got));
}

void
sister_new(struct sister *s, const char *dir, enum ipc_role role)
{
	int	r;

	memset(s, 0, sizeof(*s));
	s->role = role;
	for (r = 0; r < IPC_NROLES; r++)
		s->link[r] = -1;
	if ((s->hub = sister_dial(dir, role)) == -1)
		err(2, "hub of %s", ipc_role_name(role));
}

void
sister_greeted(struct sister *s, const char *dir, enum ipc_role role)
{
	enum reason	r;

	sister_new(s, dir, role);
	if ((r = sister_hello(s, role, true)) != R_OK)
		errx(2, "%s was not greeted: %s", ipc_role_name(role),
		    reason_code(r));
}

void
tap_alive(const struct sister *s)
{
	struct pollfd	p = { .fd = s->hub, .events = 0 };

	tap(poll(&p, 1, 0) == 0, "%s: asking is no offence",
	    ipc_role_name(s->role));
}

/* ---- the greeting of a link ---------------------------------------------- */

void
case_link_hello(const char *dir, enum ipc_role role, enum ipc_role to, bool old)
{
	struct msg_link_hello	m = { 0 };
	struct sister		s;
	unsigned		replies = 0;
	bool			good;

	sister_user(role, role);
	sister_greeted(&s, dir, role);
	if (sister_introduced(&s, to) == -1)
		errx(2, "no link to %s", ipc_role_name(to));
	m.generation = s.generation[to] - (old ? 1 : 0);
	IPC_SET_BLOB(m.catalogue, ipc_catalogue(), 32);
	m.catalogue.data[0] ^= old ? 0 : 1;
	sister_say(s.link[to], MSG_LINK_HELLO, 0, &m);
	good = sister_closed(s.link[to], &replies) &&
	    sister_closed(s.hub, &replies) && replies == 0;
	tap(good, "%s > %s: a link greeted as %s ends: %s",
	    ipc_role_name(role), ipc_role_name(to), old ?
	    "of an older generation" : "of another build",
	    reason_code(old ? R_IPC_GENERATION : R_IPC_BUILD));
	printf("# offence %s %s %s LINK_HELLO\n", ipc_role_name(role),
	    ipc_role_name(to), reason_code(old ? R_IPC_GENERATION :
	    R_IPC_BUILD));
}

/* ---- attestd -Q tells policyd ------------------------------------------- */

/* The next job, accepted. */
static uint32_t
job_wait(struct sister *s, uint8_t nonce[32])
{
	struct heard	h = s->job;

	while (h.type != MSG_JOB_OPEN) {
		if (sister_recv(s->hub, &h, SISTER_MS) != 1)
			errx(2, "no job");
		if (h.fd != -1)
			close(h.fd);
	}
	sister_say(s->hub, MSG_DONE, h.id, NULL);
	memcpy(nonce, h.msg.job_open.nonce.data, 32);
	return h.msg.job_open.job;
}

static void
say_identity(struct sister *s, uint32_t job)
{
	struct msg_evid_identity	m = { .job = job, .version = 0x12,
	    .not_after = UINT32_MAX };

	IPC_SET_STR(m.node, "0123456789abcdef0123456789abcdef01234567");
	IPC_SET_STR(m.serial, "4711");
	m.root.len = 32;
	sister_say(s->hub, MSG_EVID_IDENTITY, 0, &m);
}

static void
say_end(struct sister *s, uint32_t job, const uint8_t nonce[32], uint32_t count)
{
	struct msg_evid_end	m = { .job = job, .count = count };

	IPC_SET_BLOB(m.nonce, nonce, 32);
	sister_say(s->hub, MSG_EVID_END, 0, &m);
}

static void
say_anchor(struct sister *s, uint32_t job, uint32_t len)
{
	static struct msg_evid_anchor	m;

	m.job = job;
	m.anchor.len = len;
	sister_say(s->hub, MSG_EVID_ANCHOR, 0, &m);
}

static void
say_measurement(struct sister *s, uint32_t job, uint32_t index)
{
	static struct msg_evid_measurement	m;

	m.job = job;
	m.index = index;
	m.value.len = 32;
	sister_say(s->hub, MSG_EVID_MEASUREMENT, 0, &m);
}

/* What an honest attestd -Q never says; each in a process of its own. */
enum lie { LIE_NO_JOB, LIE_TWICE, LIE_NONCE, LIE_COUNT,
	LIE_NODE, LIE_ANCHOR, LIE_ANCHOR_TWICE, LIE_INDEX, LIE_INDEX_TWICE,
	LIE_AFTER_END, LIE_NO_REASON, LIE_STEP, NLIES };

static const struct {
	const char	*name;
	enum ipc_type	 type;
} lies[NLIES] = {
	[LIE_NO_JOB] = { "evidence for a job that is none",
	    MSG_EVID_IDENTITY },
	[LIE_TWICE] = { "an identity twice", MSG_EVID_IDENTITY },
	[LIE_NONCE] = { "evidence with another nonce", MSG_EVID_END },
	[LIE_COUNT] = { "another number of measurements", MSG_EVID_END },
	[LIE_NODE] = { "an identity that is none", MSG_EVID_IDENTITY },
	[LIE_ANCHOR] = { "an empty anchor", MSG_EVID_ANCHOR },
	[LIE_ANCHOR_TWICE] = { "an anchor twice", MSG_EVID_ANCHOR },
	[LIE_INDEX] = { "a measurement without an index",
	    MSG_EVID_MEASUREMENT },
	[LIE_INDEX_TWICE] = { "a measurement twice", MSG_EVID_MEASUREMENT },
	[LIE_AFTER_END] = { "evidence after its end", MSG_EVID_END },
	[LIE_NO_REASON] = { "a failure without a reason", MSG_JOB_FAILED },
	[LIE_STEP] = { "a step of no job", MSG_JOB_STEP },
};

static void
tell_lie(struct sister *s, enum lie lie, uint32_t job, uint8_t nonce[32])
{
	struct msg_evid_identity	bad = { .job = job, .root.len = 32 };
	struct msg_job_failed		failure = { .job = job };
	struct msg_job_step		step = { .job = job + 1000 };

	switch (lie) {
	case LIE_TWICE:
		say_identity(s, job);
		say_identity(s, job);
		break;
	case LIE_NONCE:
		nonce[0] ^= 1;
		say_end(s, job, nonce, 0);
		break;
	case LIE_COUNT:
		say_end(s, job, nonce, 3);
		break;
	case LIE_NODE:
		sister_say(s->hub, MSG_EVID_IDENTITY, 0, &bad);
		break;
	case LIE_ANCHOR_TWICE:
		say_anchor(s, job, 16);
		say_anchor(s, job, 16);
		break;
	case LIE_ANCHOR:
		say_anchor(s, job, 0);
		break;
	case LIE_INDEX:
		say_measurement(s, job, 0);
		break;
	case LIE_INDEX_TWICE:
		say_measurement(s, job, 7);
		say_measurement(s, job, 7);
		break;
	case LIE_AFTER_END:
		say_identity(s, job);
		say_end(s, job, nonce, 0);
		say_end(s, job, nonce, 0);
		break;
	case LIE_NO_REASON:
		sister_say(s->hub, MSG_JOB_FAILED, 0, &failure);
		break;
	case LIE_STEP:
		sister_say(s->hub, MSG_JOB_STEP, 0, &step);
		break;
	case LIE_NO_JOB:
	case NLIES:
		say_identity(s, job + 1000);
		break;
	}
}

static void
one_lie(const char *dir, enum lie lie)
{
	struct sister	s;
	uint8_t		nonce[32];
	uint32_t	job;
	unsigned	replies = 0;

	sister_user(IPC_ATTESTQ, IPC_ATTESTQ);
	sister_greeted(&s, dir, IPC_ATTESTQ);
	/* Without the link netd would not dial, and the job be over. */
	if (sister_link(&s, IPC_NETD) == -1)
		errx(2, "no link to netd");
	job = job_wait(&s, nonce);
	tell_lie(&s, lie, job, nonce);
	tap(sister_closed(s.hub, &replies), "attestd-q: %s ends it: %s",
	    lies[lie].name, reason_code(R_IPC_HANDLER));
	printf("# offence attestd-q policyd %s %s\n",
	    reason_code(R_IPC_HANDLER), ipc_name(lies[lie].type));
}

/* A process each: an offender may not come back. */
static void
in_child(void (*fn)(const char *, int), const char *dir, int arg)
{
	int	st;
	pid_t	pid;

	fflush(NULL);
	if ((pid = fork()) == -1)
		err(2, "fork");
	if (pid == 0) {
		fn(dir, arg);
		fflush(NULL);
		_exit(failed == 0 ? 0 : 1);
	}
	if (waitpid(pid, &st, 0) != pid || st != 0)
		failed++;
}

static void
lie_child(const char *dir, int lie)
{
	one_lie(dir, (enum lie)lie);
}

void
cases_evidence(const char *dir)
{
	int	lie;

	for (lie = 0; lie < NLIES; lie++)
		in_child(lie_child, dir, lie);
}

/* ---- what its handler in policyd refuses to netd ------------------------ */

static void
one_handler(const char *dir, int which)
{
	static const char *const names[] = { "a counter that goes back",
	    "an accusation of policyd", "an accusation of itself",
	    "an accusation without a reason" };
	struct msg_counter	count = { .reason = R_NET_TOTAL, .count = 9 };
	struct msg_offence	o = { .peer = IPC_POLICYD, .generation = 1,
	    .reason = R_IPC_FORM };
	struct sister		s;
	unsigned		replies = 0;

	sister_user(IPC_NETD, IPC_NETD);
	sister_greeted(&s, dir, IPC_NETD);
	switch (which) {
	case 0:
		sister_say(s.hub, MSG_COUNTER, 0, &count);
		count.count--;
		sister_say(s.hub, MSG_COUNTER, 0, &count);
		break;
	case 2:
		o.peer = IPC_NETD;
		sister_say(s.hub, MSG_OFFENCE, 0, &o);
		break;
	case 3:
		o.peer = IPC_KEYD;
		o.reason = R_OK;
		sister_say(s.hub, MSG_OFFENCE, 0, &o);
		break;
	default:
		sister_say(s.hub, MSG_OFFENCE, 0, &o);
		break;
	}
	tap(sister_closed(s.hub, &replies), "netd: %s ends it: %s",
	    names[which], reason_code(R_IPC_HANDLER));
	printf("# offence netd policyd %s %s\n", reason_code(R_IPC_HANDLER),
	    which == 0 ? "COUNTER" : "OFFENCE");
}

/* Claims that are well formed: they grant nothing (the test looks after). */
static void
netd_claims(const char *dir, int unused)
{
	struct msg_peer_link	 link = { .state = 2, .dialled = true };
	static struct msg_neighbour n;
	struct sister		 s;

	sister_user(IPC_NETD, IPC_NETD);
	sister_greeted(&s, dir, IPC_NETD);
	for (link.peer = 0; link.peer < 200; link.peer++)
		sister_say(s.hub, MSG_PEER_LINK, 0, &link);
	for (n.neighbour = 0; n.neighbour < 200; n.neighbour++) {
		n.chassis.len = n.port.len = 6;
		n.ttl = 1;
		snprintf(n.system_name, sizeof(n.system_name), "n%u",
		    n.neighbour);
		IPC_SET_STR(n.address4, "192.0.2.2");
		sister_say(s.hub, MSG_NEIGHBOUR, 0, &n);
	}
	tap_alive(&s);
}

#define SOCKETS	100	/* more than any table of jobs or sessions */

/* A message with /dev/null where a connected socket belongs. */
static int
say_socket(int fd, enum ipc_type type, uint32_t id, const void *m)
{
	uint8_t	buf[256];
	size_t	len;

	if (ipc_encode(type, id, m, buf, sizeof(buf), &len) == -1)
		errx(2, "%s cannot be encoded", ipc_name(type));
	return sister_put(fd, buf, len, 1);
}

/*
 * Has the other end read everything? policyd replaces the link of a sister
 * that has gone, and with it what was not read.
 */
static bool
drained(int fd)
{
	int	ms, left = 1;

	for (ms = 0; ms < SISTER_MS; ms++) {
		if (ioctl(fd, SIOCOUTQ, &left) == -1 || left == 0)
			break;
		poll(NULL, 0, 1);
	}
	return left == 0;
}

/*
 * Descriptors that are no sockets, and sockets for jobs that nobody opened:
 * each is put away, and attestd goes on.
 */
static void
netd_sockets(const char *dir, int unused)
{
	struct msg_spdm_accepted accepted = { .address = "192.0.2.7" };
	struct msg_spdm_dialled	 dialled = { .job = 1 };
	struct sister		 s;
	struct heard		 h;
	unsigned		 done = 0;
	uint32_t		 id;

	sister_user(IPC_NETD, IPC_NETD);
	sister_greeted(&s, dir, IPC_NETD);
	if (sister_link(&s, IPC_ATTESTR) == -1 ||
	    sister_link(&s, IPC_ATTESTQ) == -1)
		errx(2, "no links to attestd");
	for (id = 1; id <= SOCKETS; id++) {
		say_socket(s.link[IPC_ATTESTR], MSG_SPDM_ACCEPTED, id,
		    &accepted);
		if (sister_recv(s.link[IPC_ATTESTR], &h, SISTER_MS) == 1)
			done += h.type == MSG_DONE && h.id == id;
	}
	tap(done == SOCKETS, "netd: %d descriptors that are no sockets: each "
	    "session is over at once", SOCKETS);
	for (dialled.job = 1; dialled.job <= SOCKETS; dialled.job++)
		if (say_socket(s.link[IPC_ATTESTQ], MSG_SPDM_DIALLED, 0,
		    &dialled) == -1)
			break;
	tap(dialled.job > SOCKETS && drained(s.link[IPC_ATTESTQ]),
	    "netd: %d sockets for jobs that are none are no offence", SOCKETS);
	tap_alive(&s);
}

void
cases_netd(const char *dir)
{
	int	i;

	in_child(netd_claims, dir, 0);
	in_child(netd_sockets, dir, 0);
	for (i = 0; i < 4; i++)
		in_child(one_handler, dir, i);
}

/* ---- attestd -R tells policyd ------------------------------------------- */

/* Who attested us is nobody's identity, however often it is said. */
void
cases_attested(const char *dir)
{
	struct msg_attested	m;
	struct sister		s;
	unsigned		i;

	sister_user(IPC_ATTESTR, IPC_ATTESTR);
	sister_greeted(&s, dir, IPC_ATTESTR);
	for (i = 0; i < 400; i++) {
		snprintf(m.address, sizeof(m.address), i % 2 == 0 ?
		    "192.0.2.99" : "198.51.100.%u", i / 2 + 1);
		sister_say(s.hub, MSG_ATTESTED, 0, &m);
	}
	tap_alive(&s);
}

/* ---- strangers at the hub ----------------------------------------------- */

static void
stranger_child(const char *dir, int arg)
{
	enum ipc_role	role = (enum ipc_role)(arg & 15);
	enum ipc_role	user = (enum ipc_role)(arg >> 4);
	int		fd, e;

	/* Its own group: it does not reach another role's socket. */
	sister_user(user, user);
	fd = sister_dial(dir, role);
	e = errno;
	tap(fd == -1 && e == EACCES, "%s's user does not reach the %s%s",
	    ipc_role_name(user), role == IPC_PROVCTL ? "control socket" :
	    "hub of ", role == IPC_PROVCTL ? "" : ipc_role_name(role));
	if (fd != -1)
		close(fd);
}

/* With the group, and so with the socket: who it is decides. */
static void
wrong_user(const char *dir, int arg)
{
	enum ipc_role	role = (enum ipc_role)arg;
	struct sister	s;

	sister_user(role == IPC_KEYD ? IPC_NETD : IPC_KEYD, role);
	sister_new(&s, dir, role);
	tap_reason(sister_hello(&s, role, true), R_IPC_USER,
	    ipc_role_name(role), "a greeting by another user");
}

static void
wrong_greeting(const char *dir, int arg)
{
	enum ipc_role	role = (enum ipc_role)arg;
	enum ipc_role	other = role == IPC_KEYD ? IPC_NETD : IPC_KEYD;
	struct sister	s;

	sister_user(role, role);
	sister_new(&s, dir, role);
	tap_reason(sister_hello(&s, role, false), R_IPC_BUILD,
	    ipc_role_name(role), "a greeting by another build");
	close(s.hub);
	sister_new(&s, dir, role);
	tap_reason(sister_hello(&s, other, true), R_IPC_SOCKET,
	    ipc_role_name(role), "a greeting as another role");
	close(s.hub);
	sister_new(&s, dir, role);
	tap_reason(sister_hello(&s, role, true), R_IPC_ROLE,
	    ipc_role_name(role), "a second greeting while the first one lives");
}

void
cases_stranger(const char *dir)
{
	bool	optional;
	int	role, user, fd = -1;

	for (role = IPC_KEYD; role < IPC_NROLES; role++) {
		/* What a node does not have has no hub either. */
		optional = role == IPC_ENROLD || role == IPC_BUSD;
		if (optional && (fd = sister_dial(dir, role)) == -1)
			continue;
		if (optional)
			close(fd);
		for (user = IPC_KEYD; user < IPC_PROVCTL; user++)
			if (user != role)
				in_child(stranger_child, dir, role | user << 4);
		if (role == IPC_PROVCTL)
			continue;
		in_child(wrong_user, dir, role);
		in_child(wrong_greeting, dir, role);
	}
}
