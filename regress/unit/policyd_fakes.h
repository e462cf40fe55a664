/*
 * policyd's hub and the daemons around it, played over real sockets.
 */
#ifndef POLICYD_FAKES_H
#define POLICYD_FAKES_H

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <poll.h>
#include <uv.h>

#include "clock.h"
#include "confine.h"
#include "policyd_dir.h"
#include "../../policyd/ca.h"

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
const struct ipc_handler from_busd[] = {
	{ MSG_READY,		hubd_ready },
	{ MSG_OFFENCE,		hubd_offence },
};
const size_t nfrom_busd = 2;
const struct ipc_handler from_enrold[] = {
	{ MSG_READY,	hubd_ready },
	{ MSG_OFFENCE,	hubd_offence },
};
const size_t nfrom_enrold = 2;

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
service_up(enum ipc_role r)
{
}

void
service_down(enum ipc_role r)
{
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

static inline enum reason
refused(struct fake *f)
{
	UNTIL(f->answered);
	return f->reason;
}

/* The other end of a link is there, or gone. */
static inline bool
link_open(struct fake *f, enum ipc_role peer)
{
	struct pollfd	p = { .fd = f->link[peer], .events = POLLIN };

	assert_int_not_equal(p.fd, -1);
	return poll(&p, 1, 0) == 0;
}

static inline bool
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

#define T(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
