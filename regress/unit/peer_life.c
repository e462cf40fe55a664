/*
 * The life of trust, with the test's clock: it ages, it is renewed, it is not
 * lost by mere silence, and nobody can take it away who is not the peer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "peers_fake.h"

#define HOUR	3600u
#define DAY	86400u


static struct peer *
connected(void)
{
	struct peer	*p;

	w_all_up();
	p = w_provision("bmc-b", &proof_b);
	assert_int_equal(p->state, P_PROVISIONED);
	w_peer_link(p, 2, R_OK);
	assert_int_equal(p->state, P_CONNECTED);
	return p;
}

/* The same peer unreachable for an hour loses nothing. */
static void
test_unreachable_hour(void **state)
{
	struct peer	*p = connected();
	unsigned	 opens;

	w_refuse_dial = R_NET_TIMEOUT;
	w_peer_link(p, 0, R_TLS_SILENT);
	w_pass(DAY);
	opens = w_opens;
	w_pass(HOUR);
	assert_int_equal(p->state, P_NOTCONNECTED);
	assert_non_null(p->ev);
	assert_int_equal(p->trouble.reason, R_NET_TIMEOUT);
	/* Backoff: at the bound, once a minute and not more. */
	assert_in_range(w_opens - opens, 55, 65);
	w_refuse_dial = R_OK;
	w_pass(61);
	w_prove(&proof_b);
	w_peer_link(p, 2, R_OK);
	assert_int_equal(p->state, P_CONNECTED);
	assert_int_equal(p->trouble.reason, R_OK);
}

/* Evidence older than its lifetime ends the trust, and says why. */
static void
test_evidence_lifetime(void **state)
{
	struct peer	*p = connected();

	w_refuse_dial = R_NET_REFUSED;
	w_pass(7 * DAY - HOUR);
	assert_int_equal(p->state, P_CONNECTED);
	w_sets = 0;
	w_pass(2 * HOUR);
	assert_int_equal(p->state, P_ATTESTFAILED);
	assert_int_equal(p->why.reason, R_POL_EXPIRED);
	assert_string_equal(p->why.field, "NET-002");
	assert_int_equal(w_sets, 1);
	assert_int_equal(w_set.anchor.len, 0);
	/* It is listed, so it comes back when it can be reached. */
	w_refuse_dial = R_OK;
	w_until_job(DAY);
	w_prove(&proof_b);
	assert_int_equal(p->state, P_PROVISIONED);
}

/* The age counts over restarts of policyd. */
static void
test_lifetime_over_restarts(void **state)
{
	struct peer	*p = connected();
	int		 i;

	w_refuse_dial = R_NET_REFUSED;
	for (i = 0; i < 6; i++) {
		w_pass(DAY + HOUR);
		w_kill();
		w_mono = 77000000;	/* another boot, another clock */
		w_start();
		w_netd_up();
		w_attestq_up();
		p = peer_byname("bmc-b");
		assert_true(peer_trusted(p));
	}
	w_pass(DAY);
	assert_int_equal(p->state, P_ATTESTFAILED);
	assert_int_equal(p->why.reason, R_POL_EXPIRED);
}

/* A kill between two saves of the run must not make evidence look old. */
static void
test_kill_after_verdict(void **state)
{
	struct peer	*p;

	w_pass(30);		/* the run is saved once a minute */
	connected();
	w_kill();
	w_mono = 77000000;	/* another boot, another clock */
	w_start();
	w_netd_up();
	w_pass(10);
	p = peer_byname("bmc-b");
	assert_true(peer_trusted(p));
}

/* A step of the time of day, by ten years, ages nobody. */
static void
test_clock_step(void **state)
{
	struct peer	*p = connected();

	w_now += 10 * 365 * (uint64_t)DAY;
	w_sets = 0;
	peers_time_step();
	w_pump();
	w_pass(HOUR);
	assert_int_equal(p->state, P_CONNECTED);
	/* The peer's clock is ten years behind ours now: netd learns it. */
	assert_in_range(w_sets, 1, 2);
	assert_true(w_set.shift < -(int64_t)(9 * 365 * (int64_t)DAY));
	w_kill();
	w_start();
	p = peer_byname("bmc-b");
	assert_true(peer_trusted(p));
}

static void
test_reattest(void **state)
{
	struct peer	*p = connected();
	struct proof	 changed = proof_b;

	assert_in_range(w_until_job(DAY), DAY * 8 / 10, DAY);
	assert_int_equal(w_opens, 2);
	w_prove(&proof_b);
	assert_int_equal(p->state, P_CONNECTED);
	/* Another boot id is no change; another firmware is. */
	w_until_job(DAY);
	changed.boot = 9;
	w_prove(&changed);
	assert_int_equal(p->state, P_CONNECTED);
	w_until_job(DAY + 60);
	changed.firmware = 2;
	w_sets = 0;
	w_prove(&changed);
	assert_int_equal(p->state, P_ATTESTFAILED);
	assert_int_equal(p->why.reason, R_POL_CHANGED);
	assert_string_equal(p->why.field, "measurement 1 (mutable firmware)");
	assert_int_equal(w_sets, 1);
	assert_string_equal(w_set.name, "bmc-b");
	assert_int_equal(w_set.anchor.len, 0);
	/* Asking again does not make the change good; the old firmware does. */
	w_provision("bmc-b", &changed);
	assert_int_equal(p->state, P_ATTESTFAILED);
	w_provision("bmc-b", &proof_b);
	assert_int_equal(p->state, P_PROVISIONED);
}

/* Whoever answers in the peer's place takes no trust from it. */
static void
test_impostor(void **state)
{
	struct peer	*p = connected();
	struct proof	 other = proof_b;

	w_until_job(DAY + 60);
	other.node = NODE_C;
	other.firmware = 9;
	w_prove(&other);
	assert_int_equal(p->state, P_CONNECTED);
	assert_int_equal(p->trouble.reason, R_POL_IDENTITY);
	assert_string_equal(p->ev->node, NODE_B);
	w_until_job(3);
	w_fail(R_ATT_CHALLENGE);
	assert_int_equal(p->state, P_CONNECTED);
	assert_int_equal(p->trouble.reason, R_ATT_CHALLENGE);
	w_until_job(10);
	w_prove(&proof_b);
	assert_int_equal(p->trouble.reason, R_OK);
}

/* Nor can another one that a rule would take, had it come first. */
static void
test_impostor_by_rule(void **state)
{
	struct proof	 other = proof_b;
	struct why	 why;
	struct peer	*p;

	memset(w_accept[1].root, ROOT_A, HASH_LEN);
	w_accept[1].serial = "ACME-77*";
	policy.naccepts = 2;
	w_netd_up();
	w_attestq_up();
	p = peer_new("bmc-n", FROM_OPERATOR, "", "", "192.0.2.9", &why);
	assert_non_null(p);
	w_provision("bmc-n", &proof_b);
	assert_int_equal(p->state, P_PROVISIONED);
	w_sets = 0;
	w_until_job(DAY + 60);
	other.node = NODE_C;
	w_prove(&other);
	assert_true(peer_trusted(p));
	assert_string_equal(p->ev->node, NODE_B);
	assert_null(p->anchor2);
	assert_int_equal(p->trouble.reason, R_POL_NOT_PROVED);
	assert_string_equal(p->trouble.expected, NODE_B);
	assert_string_equal(p->trouble.seen, NODE_C);
	assert_int_equal(w_sets, 0);
	/* The operator may exchange it. */
	peer_step(p, EV_UNPROVISION, NULL);
	w_provision("bmc-n", &other);
	assert_string_equal(p->ev->node, NODE_C);
	policy.naccepts = 1;
}

/* The chain of slot 0 runs out by our clock: no verdict about a peer that is
   trusted. */
static void
test_window_of_trusted(void **state)
{
	struct peer	*p = connected();
	struct proof	 old = proof_b;

	w_until_job(DAY + 60);
	old.not_after = w_now - 1;
	w_prove(&old);
	assert_int_equal(p->state, P_CONNECTED);
	assert_int_equal(p->trouble.reason, R_POL_WINDOW);
}

/* A peer that refuses our TLS is attested anew, ever more seldom. */
static void
test_tls_refused(void **state)
{
	struct peer	*p;
	unsigned	 i, first, before;

	w_netd_up();
	w_attestq_up();
	w_pump();
	p = w_provision("bmc-b", &proof_b);
	w_peer_link(p, 0, R_TLS_NOT_YET_VALID);
	assert_int_equal(p->state, P_NOTCONNECTED);
	w_pass(3);
	assert_int_equal(w_opens, 2);
	w_prove(&proof_b);
	for (i = 0; i < HOUR; i++) {
		w_peer_link(p, 0, R_TLS_NOT_YET_VALID);
		before = w_opens;
		w_pass(1);
		if (w_opens != before)
			w_prove(&proof_b);
	}
	first = w_opens;
	assert_in_range(first, 6, 16);
	for (i = 0; i < HOUR; i++) {
		w_peer_link(p, 0, R_TLS_NOT_YET_VALID);
		before = w_opens;
		w_pass(1);
		if (w_opens != before)
			w_prove(&proof_b);
	}
	assert_in_range(w_opens - first, 0, 2);
	/* A connection clears the doubts. */
	w_peer_link(p, 2, R_OK);
	assert_int_equal(p->doubts, 0);
}

/* A new CA of the peer: for a while both are anchors. */
static void
test_anchor_rollover(void **state)
{
	struct peer	*p = connected();
	struct proof	 roll = proof_b;

	roll.anchor = 0x31;
	w_until_job(DAY + 60);
	w_prove(&roll);
	assert_int_equal(p->state, P_CONNECTED);
	assert_int_equal(w_set.anchor.data[0], 0x31);
	assert_int_equal(w_set.anchor2.len, 300);
	assert_int_equal(w_set.anchor2.data[0], 0x30);
	w_kill();
	w_start();
	w_netd_up();
	w_attestq_up();
	w_pump();
	p = peer_byname("bmc-b");
	assert_int_equal(w_set.anchor2.data[0], 0x30);
	w_until_job(DAY + 60);
	w_prove(&roll);
	assert_int_equal(w_set.anchor2.len, 0);
}

/* attestd never answers: the job ends by itself. */
static void
test_job_timeout(void **state)
{
	struct peer	*p;

	p = w_attesting();
	w_pass(31);
	assert_int_equal(p->state, P_ATTESTING);
	assert_int_equal(p->why.reason, R_POL_TIMEOUT);
	assert_int_equal(w_cancels, 1);
	w_pass(2);
	assert_int_equal(w_opens, 2);
	w_prove(&proof_b);
	assert_int_equal(p->state, P_PROVISIONED);
}

/* netd says nothing of a trusted peer, or hangs in the middle. */
static void
test_link_timeout(void **state)
{
	struct peer	*p;

	w_netd_up();
	w_attestq_up();
	w_pump();
	p = w_provision("bmc-b", &proof_b);
	w_pass(61);
	assert_int_equal(p->state, P_NOTCONNECTED);
	assert_int_equal(p->why.reason, R_POL_LINK_TIMEOUT);
	w_peer_link(p, 1, R_OK);
	assert_int_equal(p->state, P_INPROGRESS);
	w_pass(61);
	assert_int_equal(p->state, P_NOTCONNECTED);
}

/* netd redials for hours: the state does not flap, the log does not grow. */
static void
test_no_flapping(void **state)
{
	struct peer	*p = connected();
	uint64_t	 records;
	int		 i;

	w_refuse_dial = R_NET_TIMEOUT;
	w_peer_link(p, 0, R_TLS_SILENT);
	w_peer_link(p, 1, R_OK);
	w_peer_link(p, 0, R_NET_TIMEOUT);
	assert_int_equal(p->state, P_NOTCONNECTED);
	records = audit_last();
	for (i = 0; i < 100; i++) {
		w_peer_link(p, 1, R_OK);
		assert_int_equal(p->state, P_NOTCONNECTED);
		w_peer_link(p, 0, R_NET_TIMEOUT);
	}
	assert_int_equal(audit_last(), records);
	w_pass(1);
	w_peer_link(p, 2, R_OK);
	assert_int_equal(p->state, P_CONNECTED);
}

/* A netd that was taken over cannot fill the disk with its connections. */
static void
test_link_storm(void **state)
{
	struct peer	*p = connected();
	uint64_t	 records;
	unsigned	 i;

	w_pass(1);
	records = audit_last();
	for (i = 0; i < 1000; i++) {
		w_peer_link(p, 0, R_TLS_BROKEN);
		w_peer_link(p, 2, R_OK);
	}
	w_peer_link(p, 0, R_TLS_SILENT);
	assert_true(audit_last() - records <= 16);
	w_pass(1);
	assert_int_equal(p->state, P_NOTCONNECTED);
	assert_int_equal(p->why.reason, R_TLS_SILENT);
	w_peer_link(p, 2, R_OK);
	w_pass(1);
	assert_int_equal(p->state, P_CONNECTED);
	/* Nor by going on for hours: a record a second, of the newest. */
	records = audit_last();
	for (i = 0; i < 1000; i++) {
		w_peer_link(p, 0, R_TLS_BROKEN);
		w_peer_link(p, 2, R_OK);
		w_peer_link(p, i % 2 * 2, R_TLS_BROKEN);
		w_pass(i % 10 == 0);
	}
	assert_true(audit_last() - records <= 2 * 100);
	w_pass(30);
	w_peer_link(p, 0, R_TLS_SILENT);
	assert_int_equal(p->state, P_NOTCONNECTED);
}

static void
test_backoff(void **state)
{
	uint64_t	d, last = 0;
	unsigned	i;

	for (i = 0; i < 100; i++) {
		d = peer_backoff(i, 1000, 60000);
		assert_in_range(d, 500, 60000);
		assert_true(d >= last);
		last = d;
	}
	assert_int_equal(peer_backoff(0, 0, 0) <= 1, 1);
	/* A year in milliseconds does not overflow. */
	d = 365ull * DAY * 1000;
	assert_in_range(peer_backoff(0, d, d), d / 2, d);
	assert_in_range(peer_backoff(1000, 1, d), d / 2, d);
}

int
main(void)
{
#define T(f)	cmocka_unit_test_setup_teardown(f, w_setup, w_teardown)
	const struct CMUnitTest tests[] = {
		T(test_unreachable_hour),
		T(test_evidence_lifetime),
		T(test_lifetime_over_restarts),
		T(test_kill_after_verdict),
		T(test_clock_step),
		T(test_reattest),
		T(test_impostor),
		T(test_impostor_by_rule),
		T(test_window_of_trusted),
		T(test_tls_refused),
		T(test_anchor_rollover),
		T(test_job_timeout),
		T(test_link_timeout),
		T(test_no_flapping),
		T(test_link_storm),
		T(test_backoff),
	};

	return cmocka_run_group_tests_name("peer_life", tests, NULL, NULL);
}
