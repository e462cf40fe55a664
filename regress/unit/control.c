/*
 * The control socket with real clients: greeting, rows, answers, who may not,
 * who is too slow.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "control_client.h"

static void
test_greeting(void **state)
{
	struct msg_ctl_hello	h = { 0 };
	struct msg_ctl_peer_list l;
	int			fd;

	close(greet());
	/* Another build. */
	fd = client();
	h.catalogue.len = HASH_LEN;
	say(fd, MSG_CTL_HELLO, 1, &h);
	assert_int_equal(hear(fd), MSG_REFUSED);
	assert_int_equal(refused.reason, R_IPC_BUILD);
	close(fd);
	/* A command before the greeting. */
	fd = client();
	say(fd, MSG_CTL_PEER_LIST, 1, &l);
	assert_int_equal(hear(fd), -1);
	close(fd);
	/* What provctl may not say at all. */
	fd = greet();
	struct msg_evid_end	e = { 0 };
	say(fd, MSG_EVID_END, 0, &e);
	assert_int_equal(hear(fd), -1);
	close(fd);
}

static void
test_peer_commands(void **state)
{
	struct msg_ctl_peer_add		 add = { 0 };
	struct msg_ctl_peer_show	 show = { 0 };
	struct msg_ctl_peer_remove	 rem = { 0 };
	static const struct msg_ctl_peer_list list;
	int				 fd = greet();

	assert_int_equal(ask(fd, MSG_CTL_PEER_LIST, &list), MSG_DONE);
	assert_int_equal(nrows, 1);
	assert_string_equal(text(0, "name"), "bmc-b");
	assert_string_equal(text(0, "state"), "NotDetermined");
	assert_string_equal(text(0, "origin"), "configuration");
	assert_string_equal(text(0, "address_from"), "configuration");
	assert_true(json_is_false(json_object_get(rows[0], "provisioned")));
	IPC_SET_STR(add.name, "bmc-c");
	IPC_SET_STR(add.identity, "12");
	assert_int_equal(ask(fd, MSG_CTL_PEER_ADD, &add), MSG_REFUSED);
	assert_int_equal(refused.reason, R_CTL_VALUE);
	assert_string_equal(refused.field, "identity");
	IPC_SET_STR(add.identity, "CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC");
	IPC_SET_STR(add.address, "bmc-c.example");
	assert_int_equal(ask(fd, MSG_CTL_PEER_ADD, &add), MSG_REFUSED);
	assert_string_equal(refused.field, "address");
	IPC_SET_STR(add.address, "2001:db8::3");
	assert_int_equal(ask(fd, MSG_CTL_PEER_ADD, &add), MSG_DONE);
	assert_string_equal(text(0, "identity"), NODE_C);
	assert_int_equal(ask(fd, MSG_CTL_PEER_ADD, &add), MSG_REFUSED);
	assert_int_equal(refused.reason, R_POL_PEER_EXISTS);
	assert_int_equal(ask(fd, MSG_CTL_PEER_LIST, &list), MSG_DONE);
	assert_int_equal(nrows, 2);
	IPC_SET_STR(show.name, "bmc-q");
	assert_int_equal(ask(fd, MSG_CTL_PEER_SHOW, &show), MSG_REFUSED);
	assert_int_equal(refused.reason, R_POL_NO_PEER);
	IPC_SET_STR(rem.name, "bmc-b");
	assert_int_equal(ask(fd, MSG_CTL_PEER_REMOVE, &rem), MSG_REFUSED);
	assert_int_equal(refused.reason, R_POL_CONFIGURED);
	IPC_SET_STR(rem.name, "bmc-c");
	assert_int_equal(ask(fd, MSG_CTL_PEER_REMOVE, &rem), MSG_DONE);
	assert_null(peer_byname("bmc-c"));
	close(fd);
	w_kill();
	w_start();
	assert_null(peer_byname("bmc-c"));
}

static void
provision(int fd, const char *name, const char *identity, bool wait)
{
	struct msg_ctl_provision	m = { .wait = wait };

	IPC_SET_STR(m.name, name);
	IPC_SET_STR(m.identity, identity);
	rows_clear();
	say(fd, MSG_CTL_PROVISION, 3, &m);
}

static void
test_provision_waits(void **state)
{
	struct msg_ctl_peer_show	show = { .name = "bmc-b" };
	struct msg_job_step		step = { .step = 6,
	    .detail = "signature verified" };
	struct proof			changed = proof_b;
	int				fd = greet();

	provision(fd, "bmc-b", "", true);
	assert_int_equal(hear(fd), MSG_NONE);
	step.job = w_job.job;
	w_send(&w_attestq, MSG_JOB_STEP, &step);
	w_prove(&proof_b);
	assert_int_equal(hear(fd), MSG_DONE);
	assert_string_equal(row_text("step", "name"), "CHALLENGE");
	assert_string_equal(row_text("step", "detail"), "signature verified");
	assert_string_equal(row_text("transition", "to"), "Attesting");
	assert_string_equal(row_text("peer", "state"), "Provisioned");
	assert_string_equal(row_text("peer", "node"), NODE_B);
	assert_string_equal(why_code("peer", "warning"), "POL-015");
	assert_int_equal(ask(fd, MSG_CTL_PEER_SHOW, &show), MSG_DONE);
	assert_string_equal(row_text("evidence", "version"), "1.3");
	assert_string_equal(row_text("evidence", "algorithm"),
	    "P-384/SHA-384");
	assert_string_equal(row_text("measurement", "judged"), "baseline");
	assert_string_equal(row_text("link", "state"), "none");
	/* Again: what it is now is what counts, not its connection. */
	provision(fd, "bmc-b", NODE_B, true);
	assert_int_equal(hear(fd), MSG_NONE);
	w_peer_link(peer_byname("bmc-b"), 2, R_OK);
	assert_int_equal(hear(fd), MSG_NONE);
	w_prove(&proof_b);
	assert_int_equal(hear(fd), MSG_DONE);
	provision(fd, "bmc-b", "", true);
	assert_int_equal(hear(fd), MSG_NONE);
	w_fail(R_ATT_CHALLENGE);
	assert_int_equal(hear(fd), MSG_REFUSED);
	assert_int_equal(refused.reason, R_ATT_CHALLENGE);
	assert_string_equal(row_text("peer", "state"), "Connected");
	provision(fd, "bmc-b", "", true);
	assert_int_equal(hear(fd), MSG_NONE);
	changed.firmware = 2;
	w_prove(&changed);
	assert_int_equal(hear(fd), MSG_REFUSED);
	assert_int_equal(refused.reason, R_POL_CHANGED);
	assert_string_equal(row_text("peer", "state"), "AttestationFailed");
	close(fd);
}

static void
test_provision_refused(void **state)
{
	struct msg_ctl_explain_peer	ex = { .name = "bmc-n" };
	struct msg_ctl_revoke		rev = { .name = "bmc-n" };
	struct msg_ctl_unprovision	un = { .name = "bmc-n" };
	int				fd = greet();

	provision(fd, "bmc-n", "", true);
	assert_int_equal(hear(fd), MSG_REFUSED);
	assert_int_equal(refused.reason, R_POL_NO_PEER);
	w_neighbour(4, "bmc-n", "192.0.2.44");
	provision(fd, "bmc-n", "xyz", true);
	assert_int_equal(hear(fd), MSG_REFUSED);
	assert_int_equal(refused.reason, R_CTL_VALUE);
	provision(fd, "bmc-n", "", true);
	assert_int_equal(hear(fd), MSG_NONE);
	w_prove(&proof_b);
	assert_int_equal(hear(fd), MSG_REFUSED);
	assert_int_equal(refused.reason, R_POL_NOT_LISTED);
	assert_string_equal(refused.seen, NODE_B);
	assert_int_equal(ask(fd, MSG_CTL_EXPLAIN_PEER, &ex), MSG_DONE);
	assert_string_equal(row_text("explain", "confirm"), NODE_B);
	assert_string_equal(why_code("explain", "reason"), "POL-001");
	/* The operator confirms what was shown. */
	provision(fd, "bmc-n", NODE_B, true);
	assert_int_equal(hear(fd), MSG_NONE);
	w_prove(&proof_b);
	assert_int_equal(hear(fd), MSG_DONE);
	/* Another id for a trusted peer: not in passing. */
	provision(fd, "bmc-n", NODE_C, true);
	assert_int_equal(hear(fd), MSG_REFUSED);
	assert_int_equal(refused.reason, R_POL_IDENTITY);
	/* The one that it proved, when only a rule had let it in. */
	*peer_byname("bmc-n")->identity = '\0';
	provision(fd, "bmc-n", NODE_B, true);
	assert_int_equal(hear(fd), MSG_NONE);
	w_prove(&proof_b);
	assert_int_equal(hear(fd), MSG_DONE);
	assert_string_equal(peer_byname("bmc-n")->identity, NODE_B);
	/* Another id than the configuration's. */
	provision(fd, "bmc-b", NODE_C, true);
	assert_int_equal(hear(fd), MSG_REFUSED);
	assert_int_equal(refused.reason, R_POL_CONFIGURED);
	assert_int_equal(ask(fd, MSG_CTL_REVOKE, &rev), MSG_DONE);
	assert_string_equal(row_text("peer", "state"), "Revoked");
	provision(fd, "bmc-n", "", true);
	assert_int_equal(hear(fd), MSG_REFUSED);
	assert_int_equal(refused.reason, R_POL_REVOKED);
	assert_int_equal(ask(fd, MSG_CTL_UNPROVISION, &un), MSG_DONE);
	assert_string_equal(row_text("peer", "state"), "NotDetermined");
	close(fd);
}

/* Accepted at once; a peer that proved nothing has nothing to revoke. */
static void
test_provision_no_wait(void **state)
{
	struct msg_ctl_peer_add		add = { .name = "bmc-x" };
	struct msg_ctl_revoke		rev = { .name = "bmc-x" };
	struct msg_ctl_peer_remove	rem = { .name = "bmc-x" };
	int				fd = greet();

	assert_int_equal(ask(fd, MSG_CTL_PEER_ADD, &add), MSG_DONE);
	assert_int_equal(ask(fd, MSG_CTL_REVOKE, &rev), MSG_REFUSED);
	assert_int_equal(refused.reason, R_POL_NOT_ATTESTED);
	provision(fd, "bmc-x", "CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC",
	    false);
	assert_int_equal(hear(fd), MSG_DONE);
	assert_string_equal(row_text("peer", "state"), "Attesting");
	assert_string_equal(row_text("peer", "identity"), NODE_C);
	/* Revoked, its name cannot be forgotten. */
	assert_int_equal(ask(fd, MSG_CTL_REVOKE, &rev), MSG_DONE);
	assert_int_equal(ask(fd, MSG_CTL_PEER_REMOVE, &rem), MSG_REFUSED);
	assert_int_equal(refused.reason, R_POL_REVOKED);
	close(fd);
}

static void
provision_code(int fd, const char *name, const char *code, size_t len)
{
	struct msg_ctl_provision	m = { .wait = true };

	IPC_SET_STR(m.name, name);
	IPC_SET_BLOB(m.code, code, len);
	rows_clear();
	say(fd, MSG_CTL_PROVISION, 3, &m);
}

/* With a code: keyd is asked first, and the wait is as long as it lives. */
static void
test_provision_code(void **state)
{
	struct msg_ctl_peer_show	show = { .name = "bmc-n" };
	struct proof			c = proof_b;
	int				fd = greet();

	w_neighbour(4, "bmc-n", "192.0.2.44");
	provision_code(fd, "bmc-n", "fifteen bytes..", 15);
	assert_int_equal(hear(fd), MSG_REFUSED);
	assert_int_equal(refused.reason, R_CTL_VALUE);
	provision_code(fd, "bmc-n", "sixteen bytes...", 16);
	assert_int_equal(hear(fd), MSG_REFUSED);
	assert_int_equal(refused.reason, R_IPC_NOLINK);
	w_keyd_up();
	w_refuse_code = R_KEY_CODE_FULL;
	provision_code(fd, "bmc-n", "sixteen bytes...", 16);
	assert_int_equal(hear(fd), MSG_REFUSED);
	assert_int_equal(refused.reason, R_KEY_CODE_FULL);
	w_refuse_code = R_OK;
	provision_code(fd, "bmc-n", "sixteen bytes...", 16);
	assert_int_equal(hear(fd), MSG_NONE);
	assert_int_equal(w_job.kind, JOB_CODE);
	w_fail(R_ATT_CODE_UNKNOWN);
	assert_int_equal(hear(fd), MSG_NONE);
	assert_string_equal(why_code("attempt", "reason"), "ATT-071");
	w_pass(100);		/* more than an ordinary wait */
	if (peer_byname("bmc-n")->job == NULL)
		w_until_job(4);
	c.node = NODE_C;
	w_prove(&c);
	assert_int_equal(hear(fd), MSG_DONE);
	assert_string_equal(row_text("peer", "state"), "Provisioned");
	assert_string_equal(row_text("peer", "identity_from"), "code");
	assert_int_equal(ask(fd, MSG_CTL_PEER_SHOW, &show), MSG_DONE);
	assert_string_equal(row_text("peer", "identity"), NODE_C);
	close(fd);
}

/* It cannot be reached: told as it goes, and in the end. */
static void
test_provision_unreachable(void **state)
{
	int		fd = greet();
	uint64_t	t;

	w_refuse_dial = R_NET_REFUSED;
	provision(fd, "bmc-b", "", true);
	assert_int_equal(hear(fd), MSG_NONE);
	assert_string_equal(why_code("attempt", "reason"), "NET-002");
	for (t = 0; t < 61; t++) {
		w_pass(1);
		control_tick(w_mono);
		spin();
	}
	assert_int_equal(hear(fd), MSG_REFUSED);
	assert_int_equal(refused.reason, R_NET_REFUSED);
	assert_int_equal(peer_byname("bmc-b")->state, P_ATTESTING);
	close(fd);
}

/* The command goes away; what it asked for goes on. */
static void
test_client_gone(void **state)
{
	int	fd = greet();

	provision(fd, "bmc-b", "", true);
	spin();
	close(fd);
	spin();
	assert_true(TAILQ_EMPTY(&clients));
	w_prove(&proof_b);
	assert_int_equal(peer_byname("bmc-b")->state, P_PROVISIONED);
}

/* One command at a time on a connection. */
static void
test_busy(void **state)
{
	struct msg_ctl_peer_show	show = { .name = "bmc-b" };
	int				fd = greet();

	provision(fd, "bmc-b", "", true);
	assert_int_equal(hear(fd), MSG_NONE);
	assert_int_equal(ask(fd, MSG_CTL_PEER_SHOW, &show), MSG_REFUSED);
	assert_int_equal(refused.reason, R_CTL_BUSY);
	w_prove(&proof_b);
	assert_int_equal(hear(fd), MSG_DONE);
	close(fd);
}

static void
test_reference_commands(void **state)
{
	struct msg_ctl_reference_learn	learn = { .name = "bmc-b" };
	struct msg_ctl_reference_show	show = { .name = "bmc-b" };
	struct msg_ctl_reference_accept	accept_ = { .name = "bmc-b" };
	int				fd = greet();

	assert_int_equal(ask(fd, MSG_CTL_REFERENCE_LEARN, &learn), MSG_REFUSED);
	assert_int_equal(refused.reason, R_POL_NOT_ATTESTED);
	w_provision("bmc-b", &proof_b);
	assert_int_equal(ask(fd, MSG_CTL_REFERENCE_SHOW, &show), MSG_DONE);
	assert_int_equal(nrows, 3);
	assert_string_equal(text(0, "set"), "baseline");
	assert_int_equal(ask(fd, MSG_CTL_REFERENCE_ACCEPT, &accept_),
	    MSG_REFUSED);
	assert_int_equal(refused.reason, R_POL_NO_PROPOSAL);
	assert_int_equal(ask(fd, MSG_CTL_REFERENCE_LEARN, &learn), MSG_DONE);
	assert_int_equal(nrows, 3);
	assert_string_equal(text(0, "set"), "proposed");
	assert_int_equal(ask(fd, MSG_CTL_REFERENCE_ACCEPT, &accept_), MSG_DONE);
	assert_string_equal(text(0, "set"), "accepted");
	assert_string_equal(text(2, "kind"), "boot id");
	assert_true(json_is_true(json_object_get(rows[2], "ignore")));
	/* Accepted: judged at once. */
	spin();
	assert_int_equal(w_opens, 2);
	close(fd);
}

/* What the operator did is in the log, with who it was. */
static void
test_audit(void **state)
{
	struct msg_ctl_unprovision	un = { .name = "bmc-b" };
	struct msg_ctl_audit_show	show = { 0 };
	char				want[64];
	int				fd = greet();
	unsigned			i, n;

	assert_int_equal(ask(fd, MSG_CTL_UNPROVISION, &un), MSG_DONE);
	assert_int_equal(ask(fd, MSG_CTL_AUDIT_SHOW, &show), MSG_DONE);
	snprintf(want, sizeof(want), "uid %u: unprovision", getuid());
	assert_string_equal(text(nrows - 1, "text"), want);
	assert_string_equal(text(nrows - 1, "kind"), "operator");
	assert_string_equal(text(nrows - 1, "subject"), "bmc-b");
	for (i = 0; i < 300; i++)
		audit_record(AUDIT_KEY, "", R_OK, "record %u", i);
	assert_int_equal(ask(fd, MSG_CTL_AUDIT_SHOW, &show), MSG_DONE);
	n = nrows;
	assert_true(n > 300);
	assert_string_equal(text(n - 1, "text"), "record 299");
	show.last = 5;
	assert_int_equal(ask(fd, MSG_CTL_AUDIT_SHOW, &show), MSG_DONE);
	assert_int_equal(nrows, 5);
	assert_string_equal(text(0, "text"), "record 295");
	show.from = audit_last() + 1;
	show.last = 0;
	assert_int_equal(ask(fd, MSG_CTL_AUDIT_SHOW, &show), MSG_DONE);
	assert_int_equal(nrows, 0);
	close(fd);
}

static void
test_status(void **state)
{
	static const struct msg_ctl_status	m;
	static const struct msg_ctl_identity_show id;
	static const struct msg_ctl_neighbours	n;
	int					fd = greet();

	w_provision("bmc-b", &proof_b);
	w_neighbour(4, "bmc-b", "192.0.2.2");
	assert_int_equal(ask(fd, MSG_CTL_STATUS, &m), MSG_DONE);
	assert_string_equal(row_text("node", "name"), "bmc-a");
	assert_int_equal(json_integer_value(json_object_get(row("peers"),
	    "provisioned")), 1);
	row("daemon");
	row("clock");
	row("trail");
	row("warning");
	assert_int_equal(ask(fd, MSG_CTL_IDENTITY_SHOW, &id), MSG_DONE);
	row("identity");
	assert_int_equal(ask(fd, MSG_CTL_NEIGHBOURS, &n), MSG_DONE);
	assert_string_equal(row_text("neighbour", "peer"), "bmc-b");
	assert_string_equal(row_text("neighbour", "address4"), "192.0.2.2");
	close(fd);
}

static void
test_log_level(void **state)
{
	struct msg_ctl_log_level	m = { .daemon = "sshd", .level = 1 };
	int				fd = greet();

	assert_int_equal(ask(fd, MSG_CTL_LOG_LEVEL, &m), MSG_REFUSED);
	assert_int_equal(refused.reason, R_CTL_DAEMON);
	IPC_SET_STR(m.daemon, "netd");
	assert_int_equal(ask(fd, MSG_CTL_LOG_LEVEL, &m), MSG_DONE);
	close(fd);
}

/* enrold and busd are shown, counted and spoken to only where they run. */
static void
test_optional(void **state)
{
	static struct conf_listener	 door = { .port = 8443 };
	static char			 name[] = "lab";
	static struct conf_profile	 lab = { .name = name, .open = true };
	static const struct msg_ctl_status m;
	struct msg_ctl_log_level	 level = { .daemon = "enrold",
	    .level = 1 }, more = { .daemon = "busd", .level = 1 };
	static char			 bus[] = "/nowhere";
	unsigned			 i, daemons, open;
	int				 fd = greet(), round;

	for (round = 0; round < 2; round++) {
		config.listeners = round == 0 ? NULL : &door;
		config.dbus = round == 0 ? NULL : bus;
		config.profiles = round == 0 ? NULL : &lab;
		assert_int_equal(ask(fd, MSG_CTL_STATUS, &m), MSG_DONE);
		for (i = daemons = open = 0; i < nrows; i++) {
			daemons += strcmp(text(i, "row"), "daemon") == 0;
			open += strcmp(text(i, "row"), "warning") == 0 &&
			    strcmp(text(i, "about"), "lab") == 0;
		}
		assert_int_equal(daemons, 5 + 2 * round);
		assert_int_equal(open, round);
		assert_int_equal(ask(fd, MSG_CTL_LOG_LEVEL, &level),
		    round == 0 ? MSG_REFUSED : MSG_DONE);
		assert_int_equal(ask(fd, MSG_CTL_LOG_LEVEL, &more),
		    round == 0 ? MSG_REFUSED : MSG_DONE);
	}
	config.listeners = NULL;
	config.dbus = NULL;
	config.profiles = NULL;
	close(fd);
}

static void
test_monitor(void **state)
{
	static const struct msg_ctl_monitor	m;
	int					fd = greet();

	assert_int_equal(ask(fd, MSG_CTL_MONITOR, &m), MSG_NONE);
	w_provision("bmc-b", &proof_b);
	w_neighbour(4, "bmc-b", "192.0.2.2");
	w_peer_link(peer_byname("bmc-b"), 2, R_OK);
	assert_int_equal(hear(fd), MSG_NONE);
	row("transition");
	row("audit");
	assert_string_equal(row_text("neighbour", "event"), "heard");
	assert_string_equal(row_text("link", "state"), "connected");
	close(fd);
}

/* A monitor that does not read loses rows, is told so, and delays nobody. */
static void
test_slow_monitor(void **state)
{
	static const struct msg_ctl_monitor	m;
	int		fd = greet();
	json_int_t	got = 0, lost = 0;
	unsigned	i, j;

	assert_int_equal(ask(fd, MSG_CTL_MONITOR, &m), MSG_NONE);
	for (i = 0; i < 20000; i++)
		audit_record(AUDIT_KEY, "", R_OK, "record %u", i);
	audit_record(AUDIT_KEY, "", R_OK, "the last");
	do {
		rows_clear();
		for (i = 0; i < 4 && hear(fd) == MSG_NONE && nrows < 500; i++)
			;
		for (j = 0; j < nrows; j++) {
			if (strcmp(text(j, "row"), "lost") == 0)
				lost += json_integer_value(json_object_get(
				    rows[j], "count"));
			else
				got++;
		}
	} while (nrows > 0);
	assert_true(lost > 0);
	assert_int_equal(got + lost, 20001);
	close(fd);
}

static void
test_stalled(void **state)
{
	static const struct msg_ctl_monitor	m;
	int		fd = greet();
	unsigned	i;

	assert_int_equal(ask(fd, MSG_CTL_MONITOR, &m), MSG_NONE);
	for (i = 0; i < 20000; i++)
		audit_record(AUDIT_KEY, "", R_OK, "record %u", i);
	assert_false(TAILQ_EMPTY(&clients));
	w_mono += STALL_MS + 1000;
	control_tick(w_mono);
	spin();
	assert_true(TAILQ_EMPTY(&clients));
	close(fd);
}

static void
test_sixteen(void **state)
{
	int	fds[CLIENTS_MAX], fd;
	size_t	i;

	for (i = 0; i < CLIENTS_MAX; i++)
		fds[i] = greet();
	fd = client();
	assert_int_equal(hear(fd), -1);
	close(fd);
	close(fds[0]);
	spin();
	fds[0] = greet();
	for (i = 0; i < CLIENTS_MAX; i++)
		close(fds[i]);
}

/* A long answer goes out as it is read. */
static void
test_long_list(void **state)
{
	static const struct msg_ctl_peer_list	m;
	struct why	why;
	char		name[32];
	unsigned	i;
	int		fd = greet();

	for (i = 0; i < 600; i++) {
		snprintf(name, sizeof(name), "peer-%u", i);
		peer_new(name, FROM_OPERATOR, "", "", "", &why);
	}
	rows_clear();
	say(fd, MSG_CTL_PEER_LIST, 2, &m);
	for (i = 0; i < 50; i++)
		spin();
	assert_int_equal(hear(fd), MSG_DONE);
	assert_int_equal(nrows, 601);
	assert_string_equal(text(600, "name"), "peer-599");
	close(fd);
}

static int
c_setup_nic(void **state)
{
	static char	name[] = "nic0", serial[] = "ACME-77*",
	    address[] = "192.0.2.9";
	static struct conf_component	 nic = { .name = name, .slot = 2,
	    .serial = serial, .address = address, .validity = 86400 };
	struct identity	*me = (struct identity *)(uintptr_t)identity_get();

	config.components = &nic;
	me->certs[IDC_NODE_CA].have = true;
	me->certs[IDC_NODE_CA].len = 1;
	return c_setup(state);
}

static void
test_components(void **state)
{
	struct msg_ctl_component_show	 show = { .name = "gpu0" };
	struct msg_ctl_component_enrol	 m = { .name = "nic0", .wait = true };
	struct msg_ctl_component_list	 list;
	struct msg_component_csr	 csr = { .public = { .len = 65 } };
	struct msg_job_step		 step = { .step = 8, .detail = "yes" };
	int				 fd = greet(), second = greet();

	assert_int_equal(ask(fd, MSG_CTL_COMPONENT_LIST, &list), MSG_DONE);
	assert_string_equal(row_text("component", "state"), "NotEnrolled");
	assert_string_equal(why_code("component", "reason"), "POL-051");
	assert_int_equal(ask(fd, MSG_CTL_COMPONENT_SHOW, &show), MSG_REFUSED);
	assert_int_equal(refused.reason, R_POL_COMPONENT_NONE);
	assert_int_equal(ask(fd, MSG_CTL_COMPONENT_ENROL, &m), MSG_NONE);
	assert_int_equal(ask(second, MSG_CTL_COMPONENT_ENROL, &m),
	    MSG_REFUSED);
	assert_int_equal(refused.reason, R_POL_COMPONENT_BUSY);
	rows_clear();
	step.job = csr.job = w_job.job;
	w_send(&w_attestq, MSG_JOB_STEP, &step);
	w_identity(&proof_b);
	w_measurement(1, 1, false, 1, 48);
	w_end(1);
	w_send(&w_attestq, MSG_COMPONENT_CSR, &csr);
	w_pump();
	/* There is no keyd here. */
	assert_int_equal(hear(fd), MSG_REFUSED);
	assert_int_equal(refused.reason, R_IPC_NOLINK);
	assert_string_equal(row_text("step", "component"), "nic0");
	assert_string_equal(row_text("step", "name"), "FINISH");
	assert_string_equal(row_text("component", "state"), "Unfinished");
	IPC_SET_STR(show.name, "nic0");
	assert_int_equal(ask(fd, MSG_CTL_COMPONENT_SHOW, &show), MSG_DONE);
	assert_string_equal(row_text("component", "node"), NODE_B);
	assert_string_equal(row_text("step", "detail"), "yes");
	m.wait = false;
	assert_int_equal(ask(fd, MSG_CTL_COMPONENT_ENROL, &m), MSG_DONE);
	assert_string_equal(row_text("component", "state"), "Enrolling");
	close(fd);
	close(second);
	config.components = NULL;
}

int
main(void)
{
#define T(f)	cmocka_unit_test_setup_teardown(f, c_setup, c_teardown)
	const struct CMUnitTest tests[] = {
		T(test_greeting),
		T(test_peer_commands),
		T(test_provision_waits),
		T(test_provision_refused),
		T(test_provision_no_wait),
		T(test_provision_code),
		T(test_provision_unreachable),
		T(test_client_gone),
		T(test_busy),
		T(test_reference_commands),
		T(test_audit),
		T(test_status),
		T(test_log_level),
		T(test_optional),
		T(test_monitor),
		T(test_slow_monitor),
		T(test_stalled),
		T(test_sixteen),
		T(test_long_list),
		cmocka_unit_test_setup_teardown(test_components, c_setup_nic,
		    c_teardown),
	};

	return cmocka_run_group_tests_name("control", tests, NULL, NULL);
}
