/*
 * Peers against a netd and an attestd -Q that the test plays: what is asked
 * of them, what their words change and what they cannot change.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "peers_fake.h"

/* The main job, one side of it. */
static void
test_provision(void **state)
{
	struct peer	*p;

	w_all_up();
	assert_int_equal(w_ends, 1);
	assert_int_equal(w_sets, 0);
	p = peer_byname("bmc-b");
	assert_non_null(p);
	assert_int_equal(p->state, P_NOTDETERMINED);
	assert_int_equal(peer_step(p, EV_PROVISION, NULL), 0);
	assert_int_equal(p->state, P_ATTESTING);
	jobs_pump();
	w_pump();
	assert_int_equal(w_opens, 1);
	assert_int_equal(w_job.nonce.len, 32);
	assert_int_equal(w_job.versions, 3);
	assert_int_equal(w_dials, 1);
	assert_int_equal(w_dial.job, w_job.job);
	assert_string_equal(w_dial.address, "192.0.2.2");
	assert_int_equal(w_dial.port, 4194);
	w_prove(&proof_b);
	assert_int_equal(p->state, P_PROVISIONED);
	assert_int_equal(p->warning, R_POL_NO_REFERENCE);
	assert_int_equal(w_sets, 1);
	assert_string_equal(w_set.node, NODE_B);
	assert_string_equal(w_set.address, "192.0.2.2");
	assert_int_equal(w_set.anchor.len, 300);
	assert_int_equal(w_set.shift, 0);
	w_peer_link(p, 1, R_OK);
	assert_int_equal(p->state, P_INPROGRESS);
	w_peer_link(p, 2, R_OK);
	assert_int_equal(p->state, P_CONNECTED);
	w_peer_link(p, 0, R_TLS_LINK_DOWN);
	assert_int_equal(p->state, P_NOTCONNECTED);
	assert_int_equal(p->why.reason, R_TLS_LINK_DOWN);
	w_peer_link(p, 1, R_OK);
	w_peer_link(p, 2, R_OK);
	assert_int_equal(p->state, P_CONNECTED);
	/* It may have restarted: it is attested anew, and stays connected. */
	w_pass(3);
	assert_int_equal(w_opens, 2);
	w_prove(&proof_b);
	assert_int_equal(p->state, P_CONNECTED);
	assert_false(w_netd.offended || w_attestq.offended);
}

static void
test_refusals(void **state)
{
	static const struct {
		struct proof	proof;
		enum reason	reason;
	} rows[] = {
		{ { NODE_B, ROOT_B, 1, 1, 0, T0 * 2ull, 0, T0 * 2ull, 0x30 },
		    R_POL_ROOT },
		{ { NODE_C, ROOT_A, 1, 1, 0, T0 * 2ull, 0, T0 * 2ull, 0x30 },
		    R_POL_IDENTITY },
		{ { NODE_B, ROOT_A, 1, 1, 0, T0 - 1, 0, T0 * 2ull, 0x30 },
		    R_POL_WINDOW },
		{ { NODE_B, ROOT_A, 1, 1, T0 * 2ull, T0 * 3ull, 0, T0 * 2ull,
		    0x30 }, R_POL_WINDOW },
	};
	struct peer	*p;
	size_t		 i;

	w_all_up();
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		p = w_provision("bmc-b", &rows[i].proof);
		assert_int_equal(p->state, P_ATTESTFAILED);
		assert_int_equal(p->why.reason, rows[i].reason);
		assert_int_equal(p->have & ~(unsigned)HAVE_LEAVE, 0);
		assert_true(*p->why.seen != '\0');
	}
	assert_int_equal(w_sets, 0);
}

/* A genuine unit of the same maker that nobody listed; then it is confirmed. */
static void
test_not_listed(void **state)
{
	struct why	 why;
	struct peer	*p;

	w_all_up();
	w_neighbour(1, "bmc-x", "192.0.2.9");
	p = peer_new("bmc-x", FROM_NEIGHBOUR, "", "", "", &why);
	assert_non_null(p);
	w_provision("bmc-x", &proof_b);
	assert_string_equal(w_dial.address, "192.0.2.9");
	assert_int_equal(p->state, P_ATTESTFAILED);
	assert_int_equal(p->why.reason, R_POL_NOT_LISTED);
	assert_string_equal(p->why.seen, NODE_B);
	/* Nobody asks again by itself for who is not listed. */
	w_pass(7200);
	assert_int_equal(w_opens, 1);
	IPC_SET_STR(p->identity, NODE_B);
	w_provision("bmc-x", &proof_b);
	assert_int_equal(p->state, P_PROVISIONED);
	/* One identity, one name. */
	p = w_provision("bmc-b", &proof_b);
	assert_int_equal(p->state, P_ATTESTFAILED);
	assert_int_equal(p->why.reason, R_POL_DUPLICATE);
	assert_string_equal(p->why.seen, "bmc-x");
}

static void
test_accept_rule(void **state)
{
	struct why	 why;
	struct peer	*p;

	w_all_up();
	memset(w_accept[1].root, ROOT_A, HASH_LEN);
	w_accept[1].serial = "acme-77*";
	policy.naccepts = 2;
	p = peer_new("bmc-x", FROM_OPERATOR, "", "", "192.0.2.9", &why);
	w_provision("bmc-x", &proof_b);
	assert_int_equal(p->state, P_PROVISIONED);
	assert_int_equal(peer_step(p, EV_UNPROVISION, NULL), 0);
	w_accept[1].serial = "OTHER*";
	w_provision("bmc-x", &proof_b);
	assert_int_equal(p->state, P_ATTESTFAILED);
	assert_int_equal(p->why.reason, R_POL_NOT_LISTED);
	policy.naccepts = 1;
}

/* What a check of attestd refuses reaches the operator under its own name. */
static void
test_failed_check(void **state)
{
	struct peer	*p;

	w_all_up();
	p = peer_byname("bmc-b");
	peer_step(p, EV_PROVISION, NULL);
	jobs_pump();
	w_pump();
	w_fail(R_ATT_CHALLENGE);
	assert_int_equal(p->state, P_ATTESTFAILED);
	assert_int_equal(p->why.reason, R_ATT_CHALLENGE);
	/* What says nothing of the peer is tried again. */
	peer_step(p, EV_PROVISION, NULL);
	jobs_pump();
	w_pump();
	w_fail(R_ATT_CLOSED);
	assert_int_equal(p->state, P_ATTESTING);
	assert_int_equal(p->why.reason, R_ATT_CLOSED);
	w_pass(2);
	assert_int_equal(w_opens, 3);
	w_prove(&proof_b);
	assert_int_equal(p->state, P_PROVISIONED);
}

/* A claim of netd gives nobody a connection that is not trusted. */
static void
test_link_without_trust(void **state)
{
	struct peer	*p;

	w_all_up();
	p = peer_byname("bmc-b");
	w_peer_link(p, 2, R_OK);
	assert_int_equal(p->state, P_NOTDETERMINED);
	w_peer_link(p, 1, R_OK);
	assert_int_equal(p->state, P_NOTDETERMINED);
	p = w_provision("bmc-b", &proof_b);
	assert_int_equal(peer_step(p, EV_UNPROVISION, NULL), 0);
	w_pump();
	w_peer_link(p, 2, R_OK);
	assert_int_equal(p->state, P_NOTDETERMINED);
}

static void
test_unprovision_and_revoke(void **state)
{
	struct peer	*p;

	w_all_up();
	p = w_provision("bmc-b", &proof_b);
	w_peer_link(p, 2, R_OK);
	assert_int_equal(peer_step(p, EV_UNPROVISION, NULL), 0);
	w_pump();
	assert_int_equal(w_drops, 1);
	assert_int_equal(p->state, P_NOTDETERMINED);
	assert_null(p->ev);
	/* The peer attests us, but an operator said no. */
	w_attested("192.0.2.2");
	assert_int_equal(p->state, P_NOTDETERMINED);
	p = w_provision("bmc-b", &proof_b);
	assert_int_equal(p->state, P_PROVISIONED);
	assert_int_equal(peer_step(p, EV_REVOKE, NULL), 0);
	w_pump();
	assert_int_equal(w_drops, 2);
	assert_int_equal(p->state, P_REVOKED);
	assert_string_equal(peer_revoked(NODE_B), "bmc-b");
	assert_int_equal(peer_step(p, EV_PROVISION, NULL), -1);
	assert_int_equal(peer_step(p, EV_INBOUND, NULL), -1);
	assert_int_equal(peer_step(p, EV_UNPROVISION, NULL), 0);
	assert_null(peer_revoked(NODE_B));
}

/* A revoked identity is refused under every name. */
static void
test_revoked_identity(void **state)
{
	struct why	 why;
	struct peer	*p, *x;

	w_all_up();
	p = w_provision("bmc-b", &proof_b);
	peer_step(p, EV_REVOKE, NULL);
	x = peer_new("bmc-x", FROM_OPERATOR, NODE_B, "", "192.0.2.9", &why);
	w_provision("bmc-x", &proof_b);
	assert_int_equal(x->state, P_ATTESTFAILED);
	assert_int_equal(x->why.reason, R_POL_REVOKED);
	w_kill();
	w_start();
	assert_non_null(peer_revoked(NODE_B));
	assert_int_equal(peer_byname("bmc-b")->state, P_REVOKED);
	/* It outlives the name in the configuration, and can be taken back. */
	w_kill();
	config.peers = NULL;
	w_start();
	assert_null(peer_byname("bmc-b"));
	assert_non_null(peer_revoked(NODE_B));
	w_kill();
	config.peers = &conf_b;
	w_start();
	peer_step(peer_byname("bmc-b"), EV_UNPROVISION, NULL);
	assert_null(peer_revoked(NODE_B));
}

/* Unprovisioned while its evidence is on the way: it comes to nothing. */
static void
test_unprovision_during_job(void **state)
{
	struct peer	*p;

	w_all_up();
	p = peer_byname("bmc-b");
	peer_step(p, EV_PROVISION, NULL);
	jobs_pump();
	w_pump();
	w_identity(&proof_b);
	peer_step(p, EV_UNPROVISION, NULL);
	w_prove(&proof_b);
	assert_int_equal(p->state, P_NOTDETERMINED);
	assert_int_equal(w_cancels, 1);
	assert_int_equal(w_sets, 0);
	assert_false(w_attestq.offended);	/* it could not know */
}

/* policyd is killed at any time: trust, jobs and refusals come back. */
static void
test_kill(void **state)
{
	struct peer	*p;
	uint32_t	 id;
	uint8_t		 nonce[32];

	w_all_up();
	p = w_provision("bmc-b", &proof_b);
	w_peer_link(p, 2, R_OK);
	id = p->id;
	memcpy(nonce, w_job.nonce.data, sizeof(nonce));
	w_kill();
	w_sets = w_ends = 0;
	w_start();
	p = peer_byname("bmc-b");
	assert_int_equal(p->id, id);
	assert_int_equal(p->state, P_PROVISIONED);
	assert_int_equal(p->warning, R_POL_NO_REFERENCE);
	w_pass(1);
	assert_int_equal(p->state, P_PROVISIONED);
	w_all_up();
	assert_int_equal(w_sets, 1);
	assert_int_equal(w_ends, 1);
	assert_int_equal(w_set.peer, id);
	assert_string_equal(w_set.node, NODE_B);
	w_peer_link(p, 2, R_OK);
	assert_int_equal(p->state, P_CONNECTED);
	/* In the middle of an attestation. */
	peer_step(p, EV_UNPROVISION, NULL);
	peer_step(p, EV_PROVISION, NULL);
	jobs_pump();
	w_pump();
	w_identity(&proof_b);
	w_kill();
	w_start();
	p = peer_byname("bmc-b");
	assert_int_equal(p->state, P_ATTESTING);
	w_all_up();
	w_pump();
	assert_memory_not_equal(w_job.nonce.data, nonce, sizeof(nonce));
	w_prove(&proof_b);
	assert_int_equal(p->state, P_PROVISIONED);
}

/* Policy that became stricter while policyd was down counts at once. */
static void
test_policy_at_start(void **state)
{
	struct peer	*p;

	w_all_up();
	w_provision("bmc-b", &proof_b);
	w_kill();
	memset(w_accept[0].root, ROOT_B, HASH_LEN);
	w_sets = 0;
	w_start();
	p = peer_byname("bmc-b");
	assert_int_equal(p->state, P_ATTESTFAILED);
	assert_int_equal(p->why.reason, R_POL_ROOT);
	w_all_up();
	assert_int_equal(w_sets, 0);
	assert_int_equal(w_ends, 2);
}

/* An identity is listed by the configuration only while it is there. */
static void
test_conf_identity_removed(void **state)
{
	char	*identity = conf_b.identity;

	w_all_up();
	w_provision("bmc-b", &proof_b);
	w_kill();
	conf_b.identity = NULL;
	w_start();
	assert_string_equal(peer_byname("bmc-b")->identity, "");
	assert_int_equal(peer_byname("bmc-b")->state, P_ATTESTFAILED);
	assert_int_equal(peer_byname("bmc-b")->why.reason, R_POL_NOT_LISTED);
	conf_b.identity = identity;
}

/* A peer that left the configuration is gone, with its trust. */
static void
test_conf_removed(void **state)
{
	w_all_up();
	w_provision("bmc-b", &proof_b);
	w_kill();
	config.peers = NULL;
	w_start();
	assert_null(peer_byname("bmc-b"));
	config.peers = &conf_b;
	w_kill();
	w_start();
	assert_int_equal(peer_byname("bmc-b")->state, P_NOTDETERMINED);
}

/* The other daemons die; each comes back to what it must know. */
static void
test_daemons_die(void **state)
{
	struct peer	*p;

	w_all_up();
	p = w_provision("bmc-b", &proof_b);
	w_peer_link(p, 2, R_OK);
	w_down(&w_netd);
	assert_int_equal(p->state, P_NOTCONNECTED);
	w_sets = w_ends = 0;
	w_netd_up();
	w_pump();
	assert_int_equal(w_sets, 1);
	assert_int_equal(w_ends, 1);
	w_peer_link(p, 2, R_OK);
	assert_int_equal(p->state, P_CONNECTED);
	w_pass(2);		/* the connection was lost: attested anew */
	assert_int_equal(w_opens, 2);
	w_down(&w_attestq);
	assert_int_equal(p->state, P_CONNECTED);
	assert_null(p->job);
	w_attestq_up();
	w_pass(3);
	assert_int_equal(w_opens, 3);
	w_prove(&proof_b);
	assert_int_equal(p->state, P_CONNECTED);
}

/* Trust that the store cannot keep is not given. */
static void
test_store_fails(void **state)
{
	struct peer	*p;

	w_all_up();
	p = peer_byname("bmc-b");
	peer_step(p, EV_PROVISION, NULL);
	jobs_pump();
	w_pump();
	disk_errno = ENOSPC;
	disk_install();
	audit_record(AUDIT_KEY, "", R_OK, "something to write");
	store_turn();
	assert_int_not_equal(store_state(), R_OK);
	w_prove(&proof_b);
	assert_int_not_equal(p->state, P_PROVISIONED);
	assert_int_equal(w_sets, 0);
	disk_errno = 0;
}

int
main(void)
{
#define T(f)	cmocka_unit_test_setup_teardown(f, w_setup, w_teardown)
	const struct CMUnitTest tests[] = {
		T(test_provision),
		T(test_refusals),
		T(test_not_listed),
		T(test_accept_rule),
		T(test_failed_check),
		T(test_link_without_trust),
		T(test_unprovision_and_revoke),
		T(test_revoked_identity),
		T(test_unprovision_during_job),
		T(test_kill),
		T(test_policy_at_start),
		T(test_conf_identity_removed),
		T(test_conf_removed),
		T(test_daemons_die),
		T(test_store_fails),
	};

	return cmocka_run_group_tests_name("peer", tests, NULL, NULL);
}
