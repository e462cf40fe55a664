/*
 * The hub: who may greet on which socket, introductions and their
 * generations, and what becomes of a daemon that breaks a rule. The daemons
 * are played here, over real sockets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <poll.h>
#include <uv.h>

#include "clock.h"
#include "confine.h"
#include "policyd_dir.h"
#include "../../policyd/policyd.h"

#define PATIENCE	60000	/* ms, for a machine under load */
#define FAKES		8

static struct conf	config;
const struct conf	*conf = &config;
static uv_loop_t	loop;
static uv_timer_t	patience;

/* ---- the rest of policyd, played ---- */

const struct ipc_handler from_keyd[] = {
	{ MSG_READY,	hubd_ready },
	{ MSG_OFFENCE,	hubd_offence },
	{ MSG_COUNTER,	hubd_counter },
};
const size_t nfrom_keyd = 3;
const struct ipc_handler from_netd[] = {
	{ MSG_READY,	hubd_ready },
	{ MSG_OFFENCE,	hubd_offence },
	{ MSG_COUNTER,	hubd_counter },
};
const size_t nfrom_netd = 3;
const struct ipc_handler from_attestq[] = {
	{ MSG_READY,	hubd_ready },
	{ MSG_OFFENCE,	hubd_offence },
};
const size_t nfrom_attestq = 2;
const struct ipc_handler from_attestr[] = {
	{ MSG_READY,	hubd_ready },
	{ MSG_OFFENCE,	hubd_offence },
};
const size_t nfrom_attestr = 2;

static unsigned	ups[IPC_NROLES], downs[IPC_NROLES], records[AUDIT_NKINDS];
static enum reason last_reason;
static char	last_subject[65];

void
settings_up(enum ipc_role r)
{
}

void
identity_up(enum ipc_role r)
{
	assert_non_null(hubd_link(r));
	ups[r]++;
}

void
identity_down(enum ipc_role r)
{
	assert_null(hubd_link(r));
	downs[r]++;
}

void
peers_up(enum ipc_role r)
{
}

void
peers_down(enum ipc_role r)
{
}

void
audit_record(enum audit_kind kind, const char *subject, enum reason reason,
    const char *fmt, ...)
{
	records[kind]++;
	last_reason = reason;
	snprintf(last_subject, sizeof(last_subject), "%s", subject);
}

/* ---- daemons, played ---- */

struct fake {
	enum ipc_role	 role;
	struct chan	*chan;		/* NULL: it was closed */
	bool		 answered;
	enum reason	 reason;	/* of the answer to HELLO */
	struct msg_welcome welcome;
	uint32_t	 level;
	unsigned	 introductions[IPC_NROLES];
	uint32_t	 generation[IPC_NROLES];
	int		 link[IPC_NROLES];	/* newest, or -1 */
};

static struct fake	fakes[FAKES];
static unsigned		nfakes;

static int
on_introduce(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_introduce	*m = arg;
	struct fake			*f = chan_arg(c);

	assert_true(m->generation > f->generation[m->peer]);
	if (f->link[m->peer] != -1)
		close(f->link[m->peer]);
	f->introductions[m->peer]++;
	f->generation[m->peer] = m->generation;
	f->link[m->peer] = call->fd;
	return 0;
}

static int
on_level(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_log_level	*m = arg;
	struct fake			*f = chan_arg(c);

	f->level = m->level;
	return 0;
}

static const struct ipc_handler from_hub[] = {
	{ MSG_INTRODUCE,	on_introduce },
	{ MSG_LOG_LEVEL,	on_level },
};

static void
on_closed(struct chan *c, enum reason offence, unsigned type)
{
	struct fake	*f = chan_arg(c);

	assert_int_equal(offence, R_OK);
	f->chan = NULL;
}

static void
on_answer(const struct ipc_reply *r, void *arg)
{
	struct fake	*f = arg;

	f->answered = true;
	f->reason = r->reason;
	if (r->type == MSG_WELCOME)
		f->welcome = *(const struct msg_welcome *)r->msg;
	if (r->type == MSG_WELCOME)
		chan_set_phase(f->chan, IPC_RUN);
}

static int
dial(enum ipc_role socket_of)
{
	struct sockaddr_un	sun = { .sun_family = AF_UNIX };
	int			fd;

	assert_int_equal(confine_hub_path(&config, ipc_role_name(socket_of),
	    sun.sun_path, sizeof(sun.sun_path)), 0);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_not_equal(fd, -1);
	assert_int_equal(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	return fd;
}

static struct fake *
attach(enum ipc_role role, enum ipc_role socket_of)
{
	struct chan_conf	 cc = { .self = role, .peer = IPC_POLICYD,
	    .handlers = from_hub, .nhandlers = 2, .closed = on_closed };
	struct fake		*f;
	unsigned		 i;

	assert_true(nfakes < FAKES);
	f = &fakes[nfakes++];
	memset(f, 0, sizeof(*f));
	f->role = role;
	for (i = 0; i < IPC_NROLES; i++)
		f->link[i] = -1;
	cc.arg = f;
	f->chan = chan_open(&loop, dial(socket_of), &cc);
	assert_non_null(f->chan);
	return f;
}

static void
greet_as(struct fake *f, enum ipc_role claim, bool stranger)
{
	struct msg_hello	m = { .role = claim };

	IPC_SET_BLOB(m.catalogue, ipc_catalogue(), 32);
	m.catalogue.data[0] ^= stranger;
	f->answered = false;
	assert_int_equal(chan_call(f->chan, MSG_HELLO, &m, -1, PATIENCE,
	    on_answer, f), 0);
}

static void
too_late(uv_timer_t *t)
{
	fail_msg("nothing happened for too long");
}

#define UNTIL(cond) do {						\
	uv_timer_start(&patience, too_late, PATIENCE, 0);		\
	while (!(cond))							\
		uv_run(&loop, UV_RUN_ONCE);				\
	uv_timer_stop(&patience);					\
} while (0)

/* Greet and wait for the answer. */
static struct fake *
greet(enum ipc_role role)
{
	struct fake	*f = attach(role, role);

	greet_as(f, role, false);
	UNTIL(f->answered || f->chan == NULL);
	return f;
}

static enum reason
refused(struct fake *f)
{
	UNTIL(f->answered);
	return f->reason;
}

/* The other end of a link is there, or gone. */
static bool
link_open(struct fake *f, enum ipc_role peer)
{
	struct pollfd	p = { .fd = f->link[peer], .events = POLLIN };

	assert_int_not_equal(p.fd, -1);
	return poll(&p, 1, 0) == 0;
}

static bool
link_joins(struct fake *a, struct fake *b)
{
	char	c = 0;

	if (send(a->link[b->role], "x", 1, MSG_NOSIGNAL) != 1)
		return false;
	return recv(b->link[a->role], &c, 1, MSG_DONTWAIT) == 1 && c == 'x';
}

/* ---- each test ---- */

static char	run[96], state_dir[96];

static int
setup(void **state)
{
	static const char *const	dirs[] = { "run", "state", "run/netd",
	    "run/attestd-q", "run/attestd-r", "state/keyd" };
	char				path[128];
	size_t				i;

	if (dir_make(state) == -1)
		return -1;
	for (i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir_path, dirs[i]);
		if (mkdir(path, 0755) == -1)
			return -1;
	}
	snprintf(run, sizeof(run), "%s/run", dir_path);
	snprintf(state_dir, sizeof(state_dir), "%s/state", dir_path);
	config.run_dir = run;
	config.state_dir = state_dir;
	memset(ups, 0, sizeof(ups));
	memset(downs, 0, sizeof(downs));
	memset(records, 0, sizeof(records));
	nfakes = 0;
	uv_loop_init(&loop);
	uv_timer_init(&loop, &patience);
	clock_set(4000000000);
	hubd_bind(&config, true);
	hubd_start(&loop);
	return 0;
}

static int
teardown(void **state)
{
	char		cmd[160];
	unsigned	i, r;

	hubd_stop();
	for (i = 0; i < nfakes; i++) {
		chan_close(fakes[i].chan);
		for (r = 0; r < IPC_NROLES; r++)
			if (fakes[i].link[r] != -1)
				close(fakes[i].link[r]);
	}
	uv_close((uv_handle_t *)&patience, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	if (uv_loop_close(&loop) != 0)
		return -1;
	for (r = IPC_KEYD; r <= IPC_ATTESTR; r++) {
		if (confine_hub_path(&config, ipc_role_name(r), cmd,
		    sizeof(cmd)) == -1 || unlink(cmd) == -1)
			return -1;
		cmd[strlen(cmd) - sizeof("/hub.sock") + 1] = '\0';
		rmdir(cmd);
	}
	rmdir(run);
	rmdir(state_dir);
	return dir_remove(state);
}

static void
test_welcome(void **state)
{
	struct fake	*netd = greet(IPC_NETD);

	assert_int_equal(netd->reason, R_OK);
	assert_memory_equal(netd->welcome.catalogue.data, ipc_catalogue(), 32);
	assert_true(netd->welcome.now >= 4000000000);
	assert_int_equal(netd->welcome.log_level, LOG_LVL_INFO);
	assert_true(hubd_row(IPC_NETD)->up);
	assert_false(hubd_row(IPC_NETD)->ready);
	assert_int_equal(hubd_row(IPC_NETD)->pid, getpid());
	assert_int_equal(hubd_row(IPC_NETD)->uid, geteuid());
	assert_int_equal(ups[IPC_NETD], 1);
	assert_int_equal(chan_send(netd->chan, MSG_READY, NULL, -1), 0);
	UNTIL(hubd_row(IPC_NETD)->ready);
}

/* Who may connect at all is the mode of a file. */
static void
test_modes(void **state)
{
	struct stat	st;
	char		path[128];
	unsigned	r;

	for (r = IPC_KEYD; r <= IPC_ATTESTR; r++) {
		assert_int_equal(confine_hub_path(&config, ipc_role_name(r),
		    path, sizeof(path)), 0);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0660);
	}
}

static void
test_wrong_role(void **state)
{
	struct fake	*f = attach(IPC_ATTESTR, IPC_NETD);

	greet_as(f, IPC_ATTESTR, false);
	assert_int_equal(refused(f), R_IPC_SOCKET);
	assert_false(hubd_row(IPC_NETD)->up);
	assert_false(hubd_row(IPC_ATTESTR)->up);
	assert_int_equal(records[AUDIT_REFUSAL], 1);
	assert_string_equal(last_subject, "netd");
}

static void
test_wrong_build(void **state)
{
	struct fake	*f = attach(IPC_NETD, IPC_NETD);

	greet_as(f, IPC_NETD, true);
	assert_int_equal(refused(f), R_IPC_BUILD);
	assert_false(hubd_row(IPC_NETD)->up);
}

/* In a child, for SO_PEERCRED is fixed at connect(2). */
static void
as_nobody(int arg)
{
	struct msg_hello	m = { .role = IPC_NETD };
	uint8_t			buf[IPC_MAX_RECORD];
	union ipc_any		any;
	enum ipc_type		type;
	uint32_t		id;
	size_t			len;
	ssize_t			n;
	int			fd;

	if (setresgid(65534, 65534, 65534) == -1 ||
	    setresuid(65534, 65534, 65534) == -1)
		_exit(77);
	fd = dial(IPC_NETD);
	IPC_SET_BLOB(m.catalogue, ipc_catalogue(), 32);
	if (ipc_encode(MSG_HELLO, 1, &m, buf, sizeof(buf), &len) == -1 ||
	    send(fd, buf, len, 0) != (ssize_t)len ||
	    (n = recv(fd, buf, sizeof(buf), 0)) <= 0 ||
	    ipc_peek(buf, (size_t)n, &type, &id) == -1 ||
	    type != MSG_REFUSED ||
	    ipc_decode(type, buf, (size_t)n, &any) == -1)
		_exit(1);
	_exit(any.refused.reason == R_IPC_USER ? 0 : 2);
}

static uv_signal_t	child;
static int		child_status;

static void
child_ended(uv_signal_t *h, int signum)
{
	int	st;

	if (waitpid(-1, &st, WNOHANG) > 0)
		child_status = WIFEXITED(st) ? WEXITSTATUS(st) : -2;
}

static void
test_wrong_user(void **state)
{
	char	path[128];
	pid_t	pid;

	if (geteuid() != 0)
		skip();
	assert_int_equal(confine_hub_path(&config, "netd", path,
	    sizeof(path)), 0);
	assert_int_equal(chmod(path, 0666), 0);
	assert_int_equal(chmod(dir_path, 0755), 0);
	uv_signal_init(&loop, &child);
	uv_signal_start(&child, child_ended, SIGCHLD);
	child_status = -1;
	fflush(NULL);
	assert_int_not_equal(pid = fork(), -1);
	if (pid == 0)
		as_nobody(0);
	UNTIL(child_status != -1);
	uv_close((uv_handle_t *)&child, NULL);
	assert_int_equal(child_status, 0);
	assert_false(hubd_row(IPC_NETD)->up);
	assert_int_equal(last_reason, R_IPC_USER);
}

static void
test_second_hello(void **state)
{
	struct fake	*first = greet(IPC_NETD), *second;

	second = attach(IPC_NETD, IPC_NETD);
	greet_as(second, IPC_NETD, false);
	assert_int_equal(refused(second), R_IPC_ROLE);
	assert_non_null(first->chan);
	assert_true(hubd_row(IPC_NETD)->up);
	assert_int_equal(ups[IPC_NETD], 1);
	/* the first one goes: the second tries again on its connection */
	chan_close(first->chan);
	greet_as(second, IPC_NETD, false);
	assert_int_equal(refused(second), R_OK);
	assert_int_equal(ups[IPC_NETD], 2);
	assert_int_equal(downs[IPC_NETD], 1);
	assert_int_equal(hubd_row(IPC_NETD)->generation, 2);
}

/* Each one moves peers and makes links: not without end. */
static void
test_greets_without_end(void **state)
{
	struct fake	*f;
	unsigned	 i;

	for (i = 0; i < 200; i++) {
		nfakes = 0;
		f = greet(IPC_NETD);
		if (f->reason != R_OK)
			break;
		chan_close(f->chan);
		UNTIL(downs[IPC_NETD] == i + 1);
	}
	assert_in_range(i, 60, 199);
	assert_int_equal(f->reason, R_IPC_GREETINGS);
	assert_int_equal(records[AUDIT_REFUSAL], 1);
	nfakes = 1;
	f = greet(IPC_KEYD);		/* the others are not concerned */
	assert_int_equal(f->reason, R_OK);
}

/* A greeting that is faster than the news of the old one's death. */
static void
test_restart_is_not_a_second(void **state)
{
	struct fake	*old = greet(IPC_NETD), *new;
	int		 i;

	new = attach(IPC_NETD, IPC_NETD);
	for (i = 0; i < 3; i++)		/* it is accepted */
		uv_run(&loop, UV_RUN_NOWAIT);
	greet_as(new, IPC_NETD, false);
	chan_close(old->chan);		/* both wait, in this order */
	assert_int_equal(refused(new), R_OK);
}

static void
test_hello_twice_is_an_offence(void **state)
{
	struct fake	*f = greet(IPC_NETD);

	chan_set_phase(f->chan, IPC_START);
	greet_as(f, IPC_NETD, false);
	UNTIL(f->chan == NULL);
	assert_int_equal(records[AUDIT_OFFENCE], 1);
	assert_int_equal(last_reason, R_IPC_PHASE);
	assert_false(hubd_row(IPC_NETD)->up);
}

/* Before its greeting a connection can say nothing else. */
static void
test_ready_before_hello(void **state)
{
	struct fake	*f = attach(IPC_NETD, IPC_NETD);

	chan_set_phase(f->chan, IPC_RUN);
	assert_int_equal(chan_send(f->chan, MSG_READY, NULL, -1), 0);
	UNTIL(f->chan == NULL);
	assert_false(hubd_row(IPC_NETD)->up);
}

/* ---- silence ---- */

static void
test_silent_connections(void **state)
{
	struct fake	*f[5], *good;
	unsigned	 i;

	for (i = 0; i < 4; i++)
		f[i] = attach(IPC_NETD, IPC_NETD);
	good = greet(IPC_NETD);		/* one too many: the oldest goes */
	assert_int_equal(good->reason, R_OK);
	UNTIL(f[0]->chan == NULL);
	for (i = 1; i < 4; i++)
		assert_non_null(f[i]->chan);
	hubd_tick(clock_mono_ms());
	assert_non_null(f[3]->chan);
	hubd_tick(clock_mono_ms() + 3600000);
	UNTIL(f[1]->chan == NULL && f[2]->chan == NULL && f[3]->chan == NULL);
	assert_non_null(good->chan);
}

/* ---- introductions ---- */

static void
test_links(void **state)
{
	struct fake	*keyd, *netd, *q, *r;

	netd = greet(IPC_NETD);
	assert_int_equal(netd->introductions[IPC_KEYD], 0);
	keyd = greet(IPC_KEYD);
	q = greet(IPC_ATTESTQ);
	r = greet(IPC_ATTESTR);
	UNTIL(netd->link[IPC_KEYD] != -1 && keyd->link[IPC_NETD] != -1 &&
	    netd->link[IPC_ATTESTQ] != -1 && q->link[IPC_NETD] != -1 &&
	    netd->link[IPC_ATTESTR] != -1 && r->link[IPC_NETD] != -1 &&
	    r->link[IPC_KEYD] != -1 && keyd->link[IPC_ATTESTR] != -1);
	assert_true(link_joins(netd, keyd));
	assert_true(link_joins(netd, q));
	assert_true(link_joins(netd, r));
	assert_true(link_joins(r, keyd));
	/* and no others: attestd -Q never talks to keyd */
	assert_int_equal(q->introductions[IPC_KEYD], 0);
	assert_int_equal(q->introductions[IPC_ATTESTR], 0);
	assert_int_equal(keyd->introductions[IPC_ATTESTQ], 0);
	assert_int_equal(netd->generation[IPC_KEYD],
	    keyd->generation[IPC_NETD]);
}

static void
test_generation_after_restart(void **state)
{
	struct fake	*keyd, *netd, *again;
	uint32_t	 was;

	netd = greet(IPC_NETD);
	keyd = greet(IPC_KEYD);
	UNTIL(netd->link[IPC_KEYD] != -1 && keyd->link[IPC_NETD] != -1);
	was = netd->generation[IPC_KEYD];
	chan_close(keyd->chan);
	UNTIL(downs[IPC_KEYD] == 1);
	again = greet(IPC_KEYD);
	UNTIL(again->link[IPC_NETD] != -1 &&
	    netd->introductions[IPC_KEYD] == 2);
	assert_true(netd->generation[IPC_KEYD] > was);
	assert_int_equal(netd->generation[IPC_KEYD],
	    again->generation[IPC_NETD]);
	assert_true(link_joins(netd, again));
}

/* ---- offences ---- */

static void
accuse(struct fake *by, enum ipc_role who, uint32_t generation)
{
	struct msg_offence	m = { .peer = who, .generation = generation,
	    .reason = R_IPC_FORM, .type = MSG_TLS_SIGN_REQ };

	assert_int_equal(chan_send(by->chan, MSG_OFFENCE, &m, -1), 0);
}

static void
test_offender_is_parted(void **state)
{
	struct fake	*keyd, *netd, *r;
	uint32_t	 was;

	netd = greet(IPC_NETD);
	keyd = greet(IPC_KEYD);
	r = greet(IPC_ATTESTR);
	UNTIL(netd->link[IPC_ATTESTR] != -1 && keyd->link[IPC_ATTESTR] != -1);
	was = netd->generation[IPC_ATTESTR];
	accuse(keyd, IPC_ATTESTR, keyd->generation[IPC_ATTESTR]);
	UNTIL(r->chan == NULL);
	assert_int_equal(records[AUDIT_OFFENCE], 1);
	assert_string_equal(last_subject, "attestd-r");
	assert_int_equal(last_reason, R_IPC_FORM);
	assert_int_equal(hubd_row(IPC_ATTESTR)->offences, 1);
	assert_false(hubd_row(IPC_ATTESTR)->up);
	/* its link with netd is gone too, though netd noticed nothing */
	UNTIL(netd->generation[IPC_ATTESTR] > was);
	assert_false(link_open(netd, IPC_ATTESTR));
	assert_non_null(netd->chan);
	assert_non_null(keyd->chan);
}

/* The same process may not come back: it must start afresh. */
static void
test_offender_must_start_afresh(void **state)
{
	struct fake	*keyd, *r;

	keyd = greet(IPC_KEYD);
	r = greet(IPC_ATTESTR);
	UNTIL(keyd->link[IPC_ATTESTR] != -1);
	accuse(keyd, IPC_ATTESTR, keyd->generation[IPC_ATTESTR]);
	UNTIL(r->chan == NULL);
	r = greet(IPC_ATTESTR);
	assert_int_equal(r->reason, R_IPC_OFFENDED);
	assert_false(hubd_row(IPC_ATTESTR)->up);
}

static void
test_old_generation(void **state)
{
	struct fake	*keyd, *r;

	keyd = greet(IPC_KEYD);
	r = greet(IPC_ATTESTR);
	UNTIL(keyd->link[IPC_ATTESTR] != -1);
	accuse(keyd, IPC_ATTESTR, keyd->generation[IPC_ATTESTR] + 7);
	assert_int_equal(chan_send(keyd->chan, MSG_READY, NULL, -1), 0);
	UNTIL(hubd_row(IPC_KEYD)->ready);
	assert_non_null(r->chan);
	assert_int_equal(records[AUDIT_OFFENCE], 0);
}

/* No link, so nothing to complain of: the accuser is the offender. */
static void
test_accusing_a_stranger(void **state)
{
	struct fake	*q, *keyd;

	q = greet(IPC_ATTESTQ);
	keyd = greet(IPC_KEYD);
	accuse(q, IPC_KEYD, 0);
	UNTIL(q->chan == NULL);
	assert_non_null(keyd->chan);
	assert_string_equal(last_subject, "attestd-q");
	assert_int_equal(last_reason, R_IPC_HANDLER);
}

/*
 * A hostile attestd -R cannot keep keyd from the others by accusing it again
 * and again. Its accusations are played, each time with a keyd of another
 * process, so that only their number counts.
 */
static void
play_daemon(int role)
{
	struct msg_hello	m = { .role = (uint32_t)role };
	uint8_t			buf[IPC_MAX_RECORD];
	size_t			len;
	int			fd;

	close_range(3, ~0U, 0);		/* the parent's ends are not ours */
	fd = dial((enum ipc_role)role);
	IPC_SET_BLOB(m.catalogue, ipc_catalogue(), 32);
	if (ipc_encode(MSG_HELLO, 1, &m, buf, sizeof(buf), &len) == -1 ||
	    send(fd, buf, len, 0) != (ssize_t)len)
		_exit(1);
	while (recv(fd, buf, sizeof(buf), 0) > 0)
		;
	_exit(0);
}

static void
test_false_accusations(void **state)
{
	struct fake	*r = greet(IPC_ATTESTR);
	unsigned	 i;
	int		 st;
	pid_t		 pid;

	for (i = 1; i <= 4; i++) {
		fflush(NULL);
		assert_int_not_equal(pid = fork(), -1);
		if (pid == 0)
			play_daemon(IPC_KEYD);
		/* one at each greeting, and a dead one at each parting */
		UNTIL(r->introductions[IPC_KEYD] == 2 * i - 1 &&
		    hubd_link(IPC_KEYD) != NULL);
		accuse(r, IPC_KEYD, r->generation[IPC_KEYD]);
		if (i <= 3) {
			UNTIL(hubd_link(IPC_KEYD) == NULL);
			assert_int_equal(waitpid(pid, &st, 0), pid);
			continue;
		}
		UNTIL(r->chan == NULL);	/* now it is the accuser's turn */
		assert_non_null(hubd_link(IPC_KEYD));
		assert_string_equal(last_subject, "attestd-r");
		hubd_stop();
		assert_int_equal(waitpid(pid, &st, 0), pid);
	}
}

/* ---- counters and levels ---- */

static uint64_t	total;

static void
one_counter(enum ipc_role r, enum reason reason, uint64_t n, void *arg)
{
	if (r == IPC_NETD && reason == R_NET_TOTAL)
		total = n;
}

static void
report(struct fake *f, uint64_t n)
{
	struct msg_counter	m = { .reason = R_NET_TOTAL, .count = n };

	assert_int_equal(chan_send(f->chan, MSG_COUNTER, &m, -1), 0);
}

/* They go on over a restart of the daemon, and never back within its life. */
static void
test_counters(void **state)
{
	struct fake	*netd = greet(IPC_NETD);

	report(netd, 5);
	total = 0;
	UNTIL((hubd_counters(one_counter, NULL), total == 5));
	chan_close(netd->chan);
	UNTIL(downs[IPC_NETD] == 1);
	netd = greet(IPC_NETD);
	report(netd, 2);
	UNTIL((hubd_counters(one_counter, NULL), total == 7));
	report(netd, INT64_MAX);
	UNTIL((hubd_counters(one_counter, NULL), total == INT64_MAX));
	report(netd, 1);
	UNTIL(netd->chan == NULL);
	assert_int_equal(last_reason, R_IPC_HANDLER);
}

static void
test_log_level(void **state)
{
	struct fake	*netd = greet(IPC_NETD);

	hubd_log_level(IPC_NETD, LOG_LVL_DEBUG);
	UNTIL(netd->level == LOG_LVL_DEBUG);
	chan_close(netd->chan);
	UNTIL(downs[IPC_NETD] == 1);
	netd = greet(IPC_NETD);		/* it outlives the daemon */
	assert_int_equal(netd->welcome.log_level, LOG_LVL_DEBUG);
}

#define T(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_welcome),
		T(test_modes),
		T(test_wrong_role),
		T(test_wrong_build),
		T(test_wrong_user),
		T(test_second_hello),
		T(test_restart_is_not_a_second),
		T(test_greets_without_end),
		T(test_hello_twice_is_an_offence),
		T(test_ready_before_hello),
		T(test_silent_connections),
		T(test_links),
		T(test_generation_after_restart),
		T(test_offender_is_parted),
		T(test_offender_must_start_afresh),
		T(test_old_generation),
		T(test_accusing_a_stranger),
		T(test_false_accusations),
		T(test_counters),
		T(test_log_level),
	};

	return cmocka_run_group_tests_name("policyd_hub", tests, NULL, NULL);
}
