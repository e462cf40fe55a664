/*
 * This node, attested by itself: by the same evidence and policy as a peer,
 * only where there is D-Bus or somebody asked; what is refused, for which
 * reason; when it is looked at again; and what is shown of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "control_client.h"
#include "../../policyd/self.h"

#define NODE_A	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define DAY	86400u
#define REFERENCE							\
	"{ \"measurements\": ["						\
	"{ \"index\": 1, \"type\": 1, \"digest\": \""			\
	"010101010101010101010101010101010101010101010101"		\
	"010101010101010101010101010101010101010101010101\" },"		\
	"{ \"index\": 2, \"type\": 0, \"value\": \""			\
	"0707070707070707070707070707070707070707\" } ] }"

static const struct proof	proof_a = { NODE_A, ROOT_A, 1, 1, 0, T0 * 2ull,
    T0 - 10000, T0 + 90 * 86400ull, 0x30 };
static char	bus_path[] = "/run/dbus/system_bus_socket", ref_path[96];
static struct proof	p;	/* what attestd -Q will say */

/* What identity.c has once keyd answered; slot 1's CA is that of proof_a. */
static struct identity *
ourselves(void)
{
	return (struct identity *)(uintptr_t)identity_get();
}

static void
know_ourselves(void)
{
	struct identity	*me = ourselves();
	unsigned	 i;

	memset(me, 0, sizeof(*me));
	IPC_SET_STR(me->node, NODE_A);
	for (i = 0; i < IDC_N; i++) {
		me->certs[i].have = true;
		me->certs[i].not_before = T0 - 3600;
		me->certs[i].not_after = T0 + 90 * DAY;
		me->certs[i].len = 300;
		memset(me->certs[i].der, 0x30, 300);
	}
}

static int
world(void **state, char *dbus, char *reference)
{
	p = proof_a;
	know_ourselves();
	config.dbus = dbus;
	config.reference = reference;
	config.listen_address = NULL;
	conf_b.address = (char []){ "192.0.2.2" };
	return c_setup(state);
}

static int
setup(void **state)
{
	return world(state, bus_path, NULL);
}

static int
setup_reference(void **state)
{
	return world(state, bus_path, ref_path);
}

static int
setup_quiet(void **state)
{
	return world(state, NULL, NULL);
}

/* Reference values are read before policyd confines itself: once. */
static int
read_reference(void **state)
{
	FILE	*f;

	snprintf(ref_path, sizeof(ref_path), "/tmp/policyd_self.%d.json",
	    (int)getpid());
	if ((f = fopen(ref_path, "w")) == NULL)
		return -1;
	fputs(REFERENCE, f);
	if (fclose(f) != 0)
		return -1;
	config.reference = ref_path;
	config.peers = NULL;
	policy_read(&config);
	config.peers = &conf_b;
	unlink(ref_path);
	return 0;
}

/* Everybody is there, and the first job is open. */
static void
begin(void)
{
	w_attestr_up();
	w_keyd_up();
	w_pass(2);
	assert_int_equal(w_opens, 1);
	assert_int_equal(w_dials, 1);
	assert_int_equal(self_state(), SELF_ATTESTING);
}

static void
provisioned(void)
{
	begin();
	w_prove(&p);
	assert_int_equal(self_state(), SELF_PROVISIONED);
}

static void
assert_why(const struct why *w, enum reason r, const char *field)
{
	assert_string_equal(reason_code(w->reason), reason_code(r));
	assert_string_equal(w->field, field);
}

/* ---- when it runs --------------------------------------------------------- */

/* Without D-Bus, and nobody asks: nothing of it. */
static void
test_nothing(void **state)
{
	int	fd = greet();

	w_attestr_up();
	w_keyd_up();
	w_pass(2 * DAY);
	peers_identity();
	w_pass(10);
	assert_int_equal(w_opens, 0);
	assert_int_equal(self_state(), SELF_UNKNOWN);
	assert_int_equal(ask(fd, MSG_CTL_STATUS, NULL), MSG_DONE);
	while (nrows > 0) {
		assert_string_not_equal(text(nrows - 1, "row"), "self");
		json_decref(rows[--nrows]);
	}
	close(fd);
}

/* The job is a peer's, to the port that peers come to. */
static void
test_accepted(void **state)
{
	begin();
	assert_int_equal(w_job.kind, JOB_ATTEST);
	assert_int_equal(w_job.versions, 3);
	assert_string_equal(w_dial.address, "127.0.0.1");
	assert_int_equal(w_dial.port, 4194);
	assert_int_equal(self_why()->reason, R_OK);
	w_prove(&p);
	assert_int_equal(self_state(), SELF_PROVISIONED);
	assert_int_equal(self_why()->reason, R_OK);
	assert_int_equal(self_warning(), R_POL_NO_REFERENCE);
	assert_int_equal(self_since(), w_now);
	assert_int_equal(self_attested(), w_now);
	assert_int_equal(w_cancels, 0);
}

static void
test_listen_address(void **state)
{
	config.listen_address = (char []){ "::" };
	begin();
	assert_string_equal(w_dial.address, "::1");
	w_fail(R_ATT_CLOSED);
	config.listen_address = (char []){ "2001:db8::7" };
	w_until_job(60);
	assert_string_equal(w_dial.address, "2001:db8::7");
	w_fail(R_ATT_CLOSED);
	config.listen_address = (char []){ "0.0.0.0" };
	w_until_job(60);
	assert_string_equal(w_dial.address, "127.0.0.1");
}

/* Whoever has a part in it must be there. */
static void
test_waits_for_all(void **state)
{
	w_attestr_up();
	w_pass(30);
	assert_int_equal(w_opens, 0);
	assert_why(self_why(), R_POL_SELF_UNKNOWN, "");
	w_keyd_up();
	w_down(&w_attestr);
	w_pass(30);
	assert_int_equal(w_opens, 0);
	w_attestr_up();
	w_down(&w_attestq);
	w_pass(30);
	w_down(&w_netd);
	w_attestq_up();
	w_pass(30);
	assert_int_equal(w_opens, 0);
	w_netd_up();
	w_pass(2);
	assert_int_equal(w_opens, 1);
}

/* Before keyd has issued them nobody is asked. */
static void
test_waits_for_certificates(void **state)
{
	unsigned	i;

	for (i = 0; i < IDC_N; i++)
		ourselves()->certs[i].have = false;
	w_attestr_up();
	w_keyd_up();
	w_pass(20);
	assert_int_equal(w_opens, 0);
	assert_int_equal(self_state(), SELF_ATTESTING);
	assert_why(self_why(), R_POL_SELF_CERTIFICATE, "node CA");
	know_ourselves();
	peers_identity();
	w_pass(2);
	assert_int_equal(w_opens, 1);
	w_prove(&p);
	assert_int_equal(self_state(), SELF_PROVISIONED);
}

/* ---- what is refused ------------------------------------------------------- */

static void
assert_refused(enum reason r, const char *field)
{
	assert_int_equal(self_state(), SELF_FAILED);
	assert_why(self_why(), r, field);
	assert_int_equal(self_warning(), R_OK);
	assert_int_equal(self_attested(), 0);
	/* The link is as it was: a refusal is no offence. */
	assert_non_null(w_attestq.ours);
}

static void
test_another_node(void **state)
{
	begin();
	p.node = NODE_C;
	w_prove(&p);
	assert_refused(R_POL_IDENTITY, "identity");
	assert_string_equal(self_why()->expected, NODE_A);
	assert_string_equal(self_why()->seen, NODE_C);
}

static void
test_wrong_root(void **state)
{
	begin();
	p.root = ROOT_B;
	w_prove(&p);
	assert_refused(R_POL_ROOT, "root");
}

static void
test_expired_chain(void **state)
{
	begin();
	p.not_after = T0 - 1;
	w_prove(&p);
	assert_refused(R_POL_WINDOW, "validity");
}

static void
test_algorithm(void **state)
{
	policy.algorithms = 1u << KEY_P256;
	begin();
	w_prove(&p);
	assert_refused(R_POL_ALGORITHM, "algorithm");
}

static void
test_revoked(void **state)
{
	peer_store_revoke(NODE_A, "an old name", true);
	begin();
	w_prove(&p);
	assert_refused(R_POL_REVOKED, "identity");
}

static void
test_another_anchor(void **state)
{
	begin();
	p.anchor = 0x31;
	w_prove(&p);
	assert_refused(R_POL_SELF_ANCHOR, "slot 1");
}

static void
test_no_anchor(void **state)
{
	begin();
	w_identity(&p);
	w_measurement(1, 1, false, 1, 48);
	w_end(1);
	w_pump();
	assert_refused(R_POL_INCOMPLETE, "evidence");
}

static void
test_no_measurements(void **state)
{
	begin();
	w_identity(&p);
	w_anchor(&p);
	w_end(0);
	w_pump();
	assert_refused(R_POL_INCOMPLETE, "evidence");
}

static void
test_missing_certificates(void **state)
{
	static const char *const	names[IDC_N] = { "node CA", "SPDM leaf",
	    "TLS leaf" };
	unsigned			i;

	begin();
	for (i = 0; i < IDC_N; i++) {
		ourselves()->certs[i].have = false;
		w_prove(&p);
		assert_refused(R_POL_SELF_CERTIFICATE, names[i]);
		assert_string_equal(self_why()->expected, "issued");
		know_ourselves();
		self_provision();
		w_pump();
	}
	ourselves()->certs[IDC_TLS_LEAF].not_after = T0 - 1;
	w_prove(&p);
	assert_refused(R_POL_SELF_CERTIFICATE, "TLS leaf");
}

/* One that had them and has them no more is found at the next look. */
static void
test_certificates_run_out(void **state)
{
	provisioned();
	ourselves()->certs[IDC_SPDM_LEAF].not_after = w_now + 10;
	w_pass(DAY + 60);
	assert_refused(R_POL_SELF_CERTIFICATE, "SPDM leaf");
	assert_int_equal(w_opens, 1);
}

static void
test_reference(void **state)
{
	begin();
	w_prove(&p);
	assert_int_equal(self_state(), SELF_PROVISIONED);
	assert_int_equal(self_warning(), R_OK);
	self_provision();
	w_pump();
	p.boot = 2;		/* never compared */
	w_prove(&p);
	assert_int_equal(self_state(), SELF_PROVISIONED);
	self_provision();
	w_pump();
	p.firmware = 2;
	w_prove(&p);
	assert_refused(R_POL_MEASUREMENT, "measurement 1 (mutable firmware)");
	assert_true(strncmp(self_why()->expected, "0101", 4) == 0);
	assert_true(strncmp(self_why()->seen, "0202", 4) == 0);
}

static void
test_reference_missing(void **state)
{
	begin();
	w_identity(&p);
	w_anchor(&p);
	w_measurement(1, 1, false, 1, 48);
	w_end(1);
	w_pump();
	assert_refused(R_POL_MISSING, "measurement 2");
}

static void
test_reference_unlisted(void **state)
{
	begin();
	w_identity(&p);
	w_anchor(&p);
	w_measurement(1, 1, false, 1, 48);
	w_measurement(2, 0, true, 7, 20);
	w_measurement(3, 1, false, 7, 48);
	w_end(3);
	w_pump();
	assert_refused(R_POL_UNLISTED, "measurement 3 (mutable firmware)");
}

/* attestd -Q's own refusals: a verdict, or only the way there. */
static void
test_job_failed(void **state)
{
	begin();
	w_fail(R_ATT_MEASURE_SIGNATURE);
	assert_refused(R_ATT_MEASURE_SIGNATURE, "");
	self_provision();
	w_pump();
	w_fail(R_ATT_CLOSED);
	assert_int_equal(self_state(), SELF_ATTESTING);
	assert_why(self_why(), R_ATT_CLOSED, "");
}

static void
test_wrong_nonce(void **state)
{
	begin();
	w_identity(&p);
	w_anchor(&p);
	w_measurement(1, 1, false, 1, 48);
	w_job.nonce.data[0] ^= 1;
	w_end(1);
	w_pump();
	assert_true(w_attestq.offended);
	assert_int_equal(self_state(), SELF_ATTESTING);
	assert_why(self_why(), R_IPC_CLOSED, "daemon");
}

/* Its code is not asked for, so it cannot be proved. */
static void
test_code_unasked(void **state)
{
	begin();
	w_lie = true;
	w_prove(&p);
	assert_true(w_attestq.offended);
	assert_int_not_equal(self_state(), SELF_PROVISIONED);
}

/* ---- when it is looked at again -------------------------------------------- */

static void
test_again_each_day(void **state)
{
	uint64_t	t;

	provisioned();
	t = w_until_job(2 * DAY);
	assert_in_range(t, DAY * 4 / 5, DAY);
	assert_int_equal(self_state(), SELF_PROVISIONED);
	w_prove(&p);
	assert_int_equal(self_state(), SELF_PROVISIONED);
	assert_int_equal(self_attested(), w_now);
}

static void
test_lost_backs_off(void **state)
{
	uint64_t	t, last = 0;
	unsigned	i;

	begin();
	for (i = 0; i < 12; i++) {
		w_fail(R_ATT_CLOSED);
		t = w_until_job(120);
		assert_true(t >= last);
		assert_true(t <= 61);
		last = t;
	}
	assert_true(last >= 30);
	assert_int_equal(self_attempts(), 12);
	w_prove(&p);
	assert_int_equal(self_attempts(), 0);
}

static void
test_bad_is_seldom_tried(void **state)
{
	uint64_t	t, last = 0;
	unsigned	i;

	begin();
	p.root = ROOT_B;
	w_prove(&p);
	for (i = 0; i < 3; i++) {
		t = w_until_job(2 * DAY);
		assert_true(t >= 30);
		assert_true(t >= last);
		assert_int_equal(self_state(), SELF_FAILED);
		last = t;
		w_fail(R_ATT_CLOSED);
		assert_int_equal(self_state(), SELF_FAILED);
		assert_why(self_why(), R_POL_ROOT, "root");
		assert_why(self_trouble(), R_ATT_CLOSED, "");
	}
	w_until_job(2 * DAY);
	p.root = ROOT_A;
	w_prove(&p);
	assert_int_equal(self_state(), SELF_PROVISIONED);
	assert_int_equal(self_trouble()->reason, R_OK);
}

/* What is not reached stays what it was, as long as evidence lives. */
static void
test_expires(void **state)
{
	provisioned();
	w_refuse_dial = R_NET_REFUSED;
	w_pass(6 * DAY);
	assert_int_equal(self_state(), SELF_PROVISIONED);
	assert_why(self_trouble(), R_NET_REFUSED, "");
	assert_int_equal(self_why()->reason, R_OK);
	w_pass(DAY + 600);
	assert_refused(R_POL_EXPIRED, reason_code(R_NET_REFUSED));
}

static void
test_attestr_anew(void **state)
{
	provisioned();
	w_down(&w_attestr);
	w_pass(10);
	assert_int_equal(w_opens, 1);
	w_attestr_up();
	w_pass(2);
	assert_int_equal(w_opens, 2);
	assert_int_equal(self_state(), SELF_PROVISIONED);
}

/* A daemon that starts for ever does not fill the log. */
static void
test_changes_without_end(void **state)
{
	uint64_t	records;
	unsigned	i;

	provisioned();
	records = audit_last();
	for (i = 0; i < 300; i++) {
		w_down(&w_attestr);
		w_attestr_up();
		w_pass(2);
		if (w_opens > 1 && self_attesting())
			w_prove(&p);
	}
	assert_in_range(w_opens, 16, 16 + 600 / 60 + 2);
	assert_in_range(audit_last() - records, 14, 30);
	/* After an hour of peace one is followed soon again. */
	w_pass(3600);
	if (self_attesting())
		w_prove(&p);
	i = w_opens;
	w_down(&w_attestr);
	w_attestr_up();
	w_pass(2);
	assert_int_equal(w_opens, i + 1);
}

/* Another key: what was proved is another node's, at once. */
static void
test_other_key(void **state)
{
	provisioned();
	IPC_SET_STR(ourselves()->node, NODE_C);
	peers_identity();
	assert_int_equal(self_state(), SELF_ATTESTING);
	w_pass(2);
	p.node = NODE_C;
	w_prove(&p);
	assert_int_equal(self_state(), SELF_PROVISIONED);
}

/* What changed while a job ran is looked at after it. */
static void
test_changed_meanwhile(void **state)
{
	begin();
	peers_identity();
	w_pass(5);
	assert_int_equal(w_opens, 1);
	w_prove(&p);
	assert_int_equal(self_state(), SELF_PROVISIONED);
	w_pass(2);
	assert_int_equal(w_opens, 2);
	w_prove(&p);
	w_pass(60);
	assert_int_equal(w_opens, 2);
}

static void
test_attestq_goes(void **state)
{
	begin();
	w_identity(&p);
	w_down(&w_attestq);
	assert_int_equal(self_state(), SELF_ATTESTING);
	assert_why(self_why(), R_IPC_CLOSED, "daemon");
	assert_string_equal(self_why()->expected, "attestd-q");
	w_pass(120);
	w_attestq_up();
	w_pump();
	assert_int_equal(w_opens, 2);
	w_prove(&p);
	assert_int_equal(self_state(), SELF_PROVISIONED);
}

static void
test_timeout(void **state)
{
	struct msg_job_open	first;

	begin();
	first = w_job;
	w_pass(31);
	assert_int_equal(w_cancels, 1);
	assert_why(self_why(), R_POL_TIMEOUT, "");
	if (w_opens == 1)
		w_until_job(60);
	/* Its late messages are excused, and count for nothing. */
	w_job.job = first.job;
	w_prove(&p);
	assert_non_null(w_attestq.ours);
	assert_int_equal(self_state(), SELF_ATTESTING);
}

/* A peer is attested meanwhile; neither waits. */
static void
test_beside_a_peer(void **state)
{
	struct peer		*b = peer_byname("bmc-b");
	struct msg_job_open	 ours;

	begin();
	ours = w_job;
	peer_step(b, EV_PROVISION, NULL);
	jobs_pump();
	w_pump();
	assert_int_equal(w_opens, 2);
	w_prove(&proof_b);
	assert_true(peer_trusted(b));
	assert_int_equal(self_state(), SELF_ATTESTING);
	w_job = ours;
	w_prove(&p);
	assert_int_equal(self_state(), SELF_PROVISIONED);
	/* One's evidence is no good for the other. */
	peer_step(b, EV_PROVISION, NULL);
	jobs_pump();
	w_pump();
	w_prove(&p);
	assert_true(peer_trusted(b));
	assert_string_equal(b->ev->node, NODE_B);
}

/* ---- ATTESTED of our own doing --------------------------------------------- */

/* A peer on this machine, which is heeded when somebody there attests us. */
static struct peer *
peer_at_loopback(void)
{
	struct peer	*b = peer_byname("bmc-b");

	peer_set_address(b, "127.0.0.1");
	return b;
}

static void
test_echo(void **state)
{
	struct peer	*b = peer_at_loopback();

	begin();
	w_attested("127.0.0.1");
	assert_int_equal(b->state, P_NOTDETERMINED);
	w_attested("127.0.0.1");	/* that is another one */
	assert_int_equal(b->state, P_ATTESTING);
}

static void
test_echo_after(void **state)
{
	struct peer	*b = peer_at_loopback();

	provisioned();
	w_pass(3);
	w_attested("127.0.0.1");
	assert_int_equal(b->state, P_NOTDETERMINED);
}

static void
test_echo_is_late(void **state)
{
	struct peer	*b = peer_at_loopback();

	provisioned();
	w_pass(10);
	w_attested("127.0.0.1");
	assert_int_equal(b->state, P_ATTESTING);
}

static void
test_echo_of_none(void **state)
{
	struct peer	*b = peer_at_loopback();

	begin();
	w_fail(R_ATT_CLOSED);	/* nobody was attested */
	w_attested("127.0.0.1");
	assert_int_equal(b->state, P_ATTESTING);
}

static void
test_echo_of_another(void **state)
{
	struct peer	*b = peer_byname("bmc-b");

	begin();
	w_attested("192.0.2.2");
	assert_int_equal(b->state, P_ATTESTING);
}

/* ---- what is shown, and who may ask ---------------------------------------- */

static void
test_status(void **state)
{
	int	fd = greet();

	assert_int_equal(ask(fd, MSG_CTL_STATUS, NULL), MSG_DONE);
	assert_string_equal(row_text("self", "state"), "Unknown");
	assert_string_equal(why_code("self", "reason"), "POL-055");
	assert_true(json_is_null(json_object_get(row("self"), "since")));
	begin();
	assert_int_equal(ask(fd, MSG_CTL_STATUS, NULL), MSG_DONE);
	assert_string_equal(row_text("self", "state"), "Attesting");
	assert_true(json_is_true(json_object_get(row("self"), "attesting")));
	w_prove(&p);
	assert_int_equal(ask(fd, MSG_CTL_STATUS, NULL), MSG_DONE);
	assert_string_equal(row_text("self", "state"), "Provisioned");
	assert_string_equal(row_text("self", "node"), NODE_A);
	assert_string_equal(why_code("self", "warning"), "POL-015");
	assert_true(json_is_true(json_object_get(row("self"), "provisioned")));
	assert_true(json_is_null(json_object_get(row("self"), "reason")));
	close(fd);
}

static struct msg_ctl_provision
wish(bool wait)
{
	struct msg_ctl_provision	m = { .wait = wait };

	IPC_SET_STR(m.name, "self");
	return m;
}

/* Where it does not run, the operator's word starts it. */
static void
test_asked(void **state)
{
	struct msg_ctl_provision	m = wish(false);
	int				fd = greet();

	w_attestr_up();
	w_keyd_up();
	assert_int_equal(ask(fd, MSG_CTL_PROVISION, &m), MSG_DONE);
	assert_string_equal(row_text("self", "state"), "Attesting");
	w_pump();
	assert_int_equal(w_opens, 1);
	w_prove(&p);
	assert_int_equal(self_state(), SELF_PROVISIONED);
	assert_true(self_runs());
	assert_null(peer_byname("self"));
	close(fd);
}

/* Rows of what happens, and the end of it. */
static void
test_wait(void **state)
{
	struct msg_ctl_provision	m = wish(true);
	struct msg_job_step		s = { .step = 6 };
	int				fd = greet();

	begin();
	say(fd, MSG_CTL_PROVISION, 2, &m);
	spin();
	s.job = w_job.job;
	IPC_SET_STR(s.detail, "signed");
	w_send(&w_attestq, MSG_JOB_STEP, &s);
	w_prove(&p);
	rows_clear();
	assert_int_equal(hear(fd), MSG_DONE);
	assert_string_equal(row_text("step", "peer"), "self");
	assert_string_equal(row_text("step", "name"), "CHALLENGE");
	assert_string_equal(row_text("transition", "from"), "Attesting");
	assert_string_equal(row_text("transition", "to"), "Provisioned");
	assert_string_equal(row_text("self", "state"), "Provisioned");
	close(fd);
}

static void
test_wait_refused(void **state)
{
	struct msg_ctl_provision	m = wish(true);
	int				fd = greet();

	begin();
	say(fd, MSG_CTL_PROVISION, 2, &m);
	spin();
	p.root = ROOT_B;
	w_prove(&p);
	rows_clear();
	assert_int_equal(hear(fd), MSG_REFUSED);
	assert_int_equal(refused.reason, R_POL_ROOT);
	assert_string_equal(row_text("self", "state"), "Failed");
	close(fd);
}

/* Who waits too long hears what the last attempt failed of. */
static void
test_wait_too_long(void **state)
{
	struct msg_ctl_provision	m = wish(true);
	int				fd = greet();

	begin();
	say(fd, MSG_CTL_PROVISION, 2, &m);
	spin();
	w_refuse_dial = R_NET_REFUSED;
	w_fail(R_ATT_CLOSED);
	w_pass(WAIT_MS / 1000 + 1);
	control_tick(w_mono);
	rows_clear();
	assert_int_equal(hear(fd), MSG_REFUSED);
	assert_int_equal(refused.reason, R_NET_REFUSED);
	assert_string_equal(why_code("attempt", "reason"), "ATT-001");
	close(fd);
}

static void
test_refused_wishes(void **state)
{
	struct msg_ctl_provision	m = wish(false);
	struct msg_ctl_peer_add		add = { .name = "self" };
	int				fd = greet();

	IPC_SET_STR(m.identity, NODE_A);
	assert_int_equal(ask(fd, MSG_CTL_PROVISION, &m), MSG_REFUSED);
	assert_int_equal(refused.reason, R_CTL_VALUE);
	assert_string_equal(refused.field, "identity");
	m = wish(false);
	m.code.len = CODE_LEN;
	assert_int_equal(ask(fd, MSG_CTL_PROVISION, &m), MSG_REFUSED);
	assert_string_equal(refused.field, "code");
	assert_int_equal(self_state(), SELF_UNKNOWN);
	assert_int_equal(ask(fd, MSG_CTL_PEER_ADD, &add), MSG_REFUSED);
	assert_int_equal(refused.reason, R_POL_NAME);
	close(fd);
}

static void
test_explain(void **state)
{
	struct msg_ctl_explain_peer	m = { .name = "self" };
	int				fd = greet();

	begin();
	p.firmware = 2;
	p.root = ROOT_B;
	w_prove(&p);
	assert_int_equal(ask(fd, MSG_CTL_EXPLAIN_PEER, &m), MSG_DONE);
	assert_string_equal(row_text("explain", "peer"), "self");
	assert_string_equal(row_text("explain", "state"), "Failed");
	assert_string_equal(why_code("explain", "reason"), "POL-004");
	close(fd);
}

/* A neighbour that calls itself so is nobody's peer. */
static void
test_neighbour_of_that_name(void **state)
{
	w_accept[0].serial = "*";	/* a rule may accept it */
	w_attestr_up();
	w_neighbour(5, "self", "192.0.2.50");
	w_attested("192.0.2.50");
	assert_null(peer_byname("self"));
	w_accept[0].serial = NULL;
}

/* ---- records ---------------------------------------------------------------- */

static unsigned	moves, verdicts;

static void
count(const struct audit_row *r, void *arg)
{
	if (strcmp(r->subject, "self") != 0)
		return;
	moves += strcmp(r->kind, "transition") == 0;
	verdicts += strcmp(r->kind, "verdict") == 0;
}

static void
test_records(void **state)
{
	provisioned();
	self_provision();
	w_pump();
	p.root = ROOT_B;
	w_prove(&p);
	w_pass(60);
	moves = verdicts = 0;
	audit_page(1, 1000, count, NULL);
	assert_int_equal(moves, 3);	/* Attesting, Provisioned, Failed */
	assert_int_equal(verdicts, 2);
}

int
main(void)
{
#define T(t)	cmocka_unit_test_setup_teardown(t, setup, c_teardown)
#define R(t)	cmocka_unit_test_setup_teardown(t, setup_reference, c_teardown)
#define Q(t)	cmocka_unit_test_setup_teardown(t, setup_quiet, c_teardown)
	const struct CMUnitTest	tests[] = {
		Q(test_nothing),
		T(test_accepted),
		T(test_listen_address),
		T(test_waits_for_all),
		T(test_waits_for_certificates),
		T(test_another_node),
		T(test_wrong_root),
		T(test_expired_chain),
		T(test_algorithm),
		T(test_revoked),
		T(test_another_anchor),
		T(test_no_anchor),
		T(test_no_measurements),
		T(test_missing_certificates),
		T(test_certificates_run_out),
		R(test_reference),
		R(test_reference_missing),
		R(test_reference_unlisted),
		T(test_job_failed),
		T(test_wrong_nonce),
		T(test_code_unasked),
		T(test_again_each_day),
		T(test_lost_backs_off),
		T(test_bad_is_seldom_tried),
		T(test_expires),
		T(test_attestr_anew),
		T(test_changes_without_end),
		T(test_other_key),
		T(test_changed_meanwhile),
		T(test_attestq_goes),
		T(test_timeout),
		T(test_beside_a_peer),
		T(test_echo),
		T(test_echo_after),
		T(test_echo_is_late),
		T(test_echo_of_none),
		T(test_echo_of_another),
		T(test_status),
		Q(test_asked),
		T(test_wait),
		T(test_wait_refused),
		T(test_wait_too_long),
		T(test_refused_wishes),
		T(test_explain),
		T(test_neighbour_of_that_name),
		T(test_records),
	};

	return cmocka_run_group_tests(tests, read_reference, NULL);
}
