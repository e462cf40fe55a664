/* What policyd tells busd: the node, its peers, and the words for all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "policyd_bus.h"

/* ---- telling ------------------------------------------------------------------------- */

static void
test_greeting(void **state)
{
	another("bmc-c", FROM_OPERATOR, NODE_C);
	store_turn();
	busd_greets();
	read_all();
	assert_string_equal(order, "PPNE");
	assert_string_equal(node.name, "bmc-a");
	assert_false(node.provisioned);
	assert_int_equal(node.connected, LINK_NOTDETERMINED);
	assert_int_equal(node.self, SELF_UNKNOWN);
	assert_int_equal(node.reason, R_POL_SELF_UNKNOWN);
	assert_int_equal(node.log_level, log_level_now());
	/* Nothing changes, nothing is said. */
	forget();
	pass(1000);
	pass(1000);
	bus_node_changed();
	read_all();
	assert_string_equal(order, "");
	/* The next busd is told everything anew. */
	busd_dies();
	busd_greets();
	read_all();
	assert_string_equal(order, "PPNE");
}

static void
test_after_commit(void **state)
{
	struct peer	*p = peer_byname("bmc-b");

	w_netd_up();
	w_attestq_up();
	busd_up();
	peer_step(p, EV_PROVISION, NULL);
	/* Nothing leaves before the turn's commit ... */
	assert_false(chan_wants_output(busd.ours));
	chan_input(busd.theirs);
	assert_string_equal(order, "");
	/* ... and then one message, however often it moved. */
	peer_step(p, EV_UNPROVISION, NULL);
	peer_step(p, EV_PROVISION, NULL);
	read_all();
	assert_string_equal(order, "P");
	assert_string_equal(seen.state, "Attesting");
}

static void
test_peer_shown(void **state)
{
	struct peer	*p = connected();

	assert_int_equal(seen.peer, p->id);
	assert_string_equal(seen.name, "bmc-b");
	assert_string_equal(seen.origin, "configuration");
	assert_string_equal(seen.state, "Connected");
	assert_true(seen.provisioned);
	assert_int_equal(seen.connected, LINK_CONNECTED);
	assert_int_equal(seen.since, p->since);
	assert_int_equal(seen.reason, R_OK);
	assert_string_equal(seen.node, NODE_B);
	assert_string_equal(seen.identity, NODE_B);
	assert_string_equal(seen.address, "192.0.2.2");
	assert_int_equal(seen.port, 4194);
	assert_int_equal(seen.attested, p->attested);
	assert_string_equal(seen.reference, "baseline");
	assert_int_equal(seen.measured, 3);
	assert_int_equal(seen.equal, 2);
	assert_int_equal(seen.ignored, 1);	/* the boot id */
	assert_int_equal(seen.differs + seen.unlisted, 0);
}

/* Why it is refused travels, and what differs is counted. */
static void
test_peer_refused(void **state)
{
	struct proof	 bad = proof_b;
	struct peer	*p = connected();

	bad.firmware = 9;
	forget();
	peer_step(p, EV_POLICY, NULL);
	jobs_pump();
	w_pump();
	w_prove(&bad);
	read_all();
	assert_string_equal(seen.state, "AttestationFailed");
	assert_false(seen.provisioned);
	assert_int_equal(seen.connected, LINK_NOTCONNECTED);
	assert_int_equal(seen.reason, R_POL_CHANGED);
	assert_string_not_equal(seen.field, "");
	assert_int_equal(seen.differs, 1);
	/* It came of itself. */
	assert_int_equal(noutcomes, 1);
	assert_int_equal(outcomes[0].peer, p->id);
	assert_false(outcomes[0].asked);
	assert_false(outcomes[0].provisioned);
	assert_int_equal(outcomes[0].reason, R_POL_CHANGED);
}

/* Of a trusted peer, what the last look failed of. */
static void
test_peer_trouble(void **state)
{
	struct peer	*p = connected();

	peer_step(p, EV_POLICY, NULL);
	jobs_pump();
	w_pump();
	forget();
	w_fail(R_ATT_BUSY);
	read_all();
	assert_string_equal(seen.state, "Connected");
	assert_int_equal(seen.reason, R_ATT_BUSY);
	assert_int_equal(noutcomes, 0);		/* it is tried again */
}

static void
test_steps(void **state)
{
	struct msg_job_step	m = { .step = 6 };
	struct peer		*p;

	busd_up();
	p = w_attesting();
	m.job = w_job.job;
	IPC_SET_STR(m.detail, "signed");
	read_all();
	forget();
	w_send(&w_attestq, MSG_JOB_STEP, &m);
	read_all();
	assert_string_equal(order, "S");
	assert_int_equal(step.peer, p->id);
	assert_int_equal(step.step, 6);
	assert_string_equal(step.name, "CHALLENGE");
	assert_string_equal(step.detail, "signed");
}

static void
test_address_heard(void **state)
{
	another("bmc-d", FROM_OPERATOR, NODE_C);
	peer_set_address(peer_byname("bmc-d"), "");
	w_netd_up();
	busd_up();
	w_neighbour(1, "bmc-d", "192.0.2.77");
	read_all();
	assert_string_equal(order, "P");
	assert_string_equal(seen.address, "192.0.2.77");
}

/* Its name may be another's at once: it goes before that one comes. */
static void
test_gone(void **state)
{
	struct peer	*p = another("bmc-c", FROM_OPERATOR, NODE_C);
	uint32_t	 id = p->id;

	busd_up();
	peer_remove(p);
	p = another("bmc-c", FROM_OPERATOR, NODE_B);
	read_all();
	assert_string_equal(order, "GP");
	assert_int_equal(gone, id);
	assert_int_equal(seen.peer, p->id);
	/* What it ended with goes along. */
	forget();
	bus_outcome(p->id, false, NULL);
	peer_remove(p);
	read_all();
	assert_string_equal(order, "OG");
	/* One that busd never heard of does not go. */
	forget();
	peer_remove(another("bmc-e", FROM_OPERATOR, ""));
	read_all();
	assert_string_equal(order, "");
}

static void
test_without_dbus(void **state)
{
	struct peer	*p;

	busd_greets();			/* as if there were one */
	w_all_up();
	p = w_provision("bmc-b", &proof_b);
	w_peer_link(p, 2, R_OK);
	bus_node_changed();
	bus_outcome(p->id, true, NULL);
	bus_tick(w_mono);
	assert_null(bus_link());
	assert_false(p->bus.counted);
	assert_int_equal(noutcomes + nsteps, 0);
	/* And nobody but root was read. */
	assert_false(bus_may(MEMBER));
	assert_false(bus_may(PRIMARY));
}

/* ---- the node's words -------------------------------------------------------------------- */

static void
test_hold(void **state)
{
	struct bus_hold	h = { 0 };

	/* What is better is told at once. */
	assert_int_equal(bus_hold(&h, LINK_INPROGRESS, 100), LINK_INPROGRESS);
	assert_int_equal(bus_hold(&h, LINK_CONNECTED, 101), LINK_CONNECTED);
	/* What is worse, once it has held. */
	assert_int_equal(bus_hold(&h, LINK_NOTCONNECTED, 200), LINK_CONNECTED);
	assert_int_equal(bus_hold(&h, LINK_NOTCONNECTED, 2199),
	    LINK_CONNECTED);
	assert_int_equal(bus_hold(&h, LINK_NOTCONNECTED, 2200),
	    LINK_NOTCONNECTED);
	assert_int_equal(h.since, 0);
	/* A dip is not told, and does not add to the next one. */
	bus_hold(&h, LINK_CONNECTED, 3000);
	bus_hold(&h, LINK_NOTCONNECTED, 3100);
	assert_int_equal(bus_hold(&h, LINK_CONNECTED, 4900), LINK_CONNECTED);
	assert_int_equal(bus_hold(&h, LINK_NOTCONNECTED, 5000),
	    LINK_CONNECTED);
	assert_int_equal(bus_hold(&h, LINK_NOTCONNECTED, 6999),
	    LINK_CONNECTED);
	/* Of what was worse, the best has held; the rest has its own time. */
	bus_hold(&h, LINK_CONNECTED, 7000);
	bus_hold(&h, LINK_INPROGRESS, 8000);
	bus_hold(&h, LINK_NOTCONNECTED, 9900);
	assert_int_equal(bus_hold(&h, LINK_NOTCONNECTED, 10000),
	    LINK_INPROGRESS);
	assert_int_equal(bus_hold(&h, LINK_NOTCONNECTED, 11999),
	    LINK_INPROGRESS);
	assert_int_equal(bus_hold(&h, LINK_NOTCONNECTED, 12000),
	    LINK_NOTCONNECTED);
}

/* Each state of a peer is one of the words of OpenBMC. */
static void
test_words(void **state)
{
	assert_int_equal(bus_word(P_NOTDETERMINED), LINK_NOTDETERMINED);
	assert_int_equal(bus_word(P_ATTESTING), LINK_NOTDETERMINED);
	assert_int_equal(bus_word(P_PROVISIONED), LINK_NOTDETERMINED);
	assert_int_equal(bus_word(P_INPROGRESS), LINK_INPROGRESS);
	assert_int_equal(bus_word(P_CONNECTED), LINK_CONNECTED);
	assert_int_equal(bus_word(P_NOTCONNECTED), LINK_NOTCONNECTED);
	assert_int_equal(bus_word(P_ATTESTFAILED), LINK_NOTCONNECTED);
	assert_int_equal(bus_word(P_REVOKED), LINK_NOTCONNECTED);
}

static void
test_worsens_late(void **state)
{
	struct peer	*p = connected();

	assert_int_equal(node.connected, LINK_CONNECTED);
	forget();
	w_peer_link(p, 0, R_TLS_LINK_DOWN);
	read_all();
	/* The peer's own word at once, the node's not. */
	assert_int_equal(seen.connected, LINK_NOTCONNECTED);
	assert_int_equal(nnodes, 0);
	pass(1000);
	assert_int_equal(nnodes, 0);
	w_peer_link(p, 2, R_OK);
	read_all();
	pass(5000);
	assert_int_equal(nnodes, 0);
	w_peer_link(p, 0, R_TLS_LINK_DOWN);
	pass(1000);
	pass(999);
	assert_int_equal(nnodes, 0);
	pass(1);
	assert_int_equal(nnodes, 1);
	assert_int_equal(node.connected, LINK_NOTCONNECTED);
	w_peer_link(p, 2, R_OK);
	read_all();
	assert_int_equal(nnodes, 2);
	assert_int_equal(node.connected, LINK_CONNECTED);
}

/* The worst of those that somebody wants. */
static void
test_worst(void **state)
{
	struct peer	*p = connected(), *c;

	another("stranger", FROM_NEIGHBOUR, "");
	pass(3000);
	assert_int_equal(node.connected, LINK_CONNECTED);
	c = another("bmc-c", FROM_OPERATOR, NODE_C);
	pass(2000);
	pass(2000);
	assert_int_equal(node.connected, LINK_NOTDETERMINED);
	peer_remove(c);
	read_all();
	assert_int_equal(node.connected, LINK_CONNECTED);
	/* A neighbour whose identity was confirmed is wanted. */
	another("confirmed", FROM_NEIGHBOUR, NODE_C);
	pass(2000);
	pass(2000);
	assert_int_equal(node.connected, LINK_NOTDETERMINED);
	assert_int_equal(p->state, P_CONNECTED);
}

/* Provisioned: this node itself, and each of them. */
static void
test_provisioned(void **state)
{
	struct peer	*p = connected(), *c;

	assert_false(node.provisioned);
	self_done();
	assert_int_equal(node.self, SELF_PROVISIONED);
	assert_string_equal(node.node, NODE_C);
	assert_int_equal(node.reason, R_OK);
	assert_true(node.provisioned);
	c = another("bmc-c", FROM_OPERATOR, NODE_C);
	read_all();
	assert_false(node.provisioned);
	peer_remove(c);
	read_all();
	assert_true(node.provisioned);
	peer_step(p, EV_UNPROVISION, NULL);
	read_all();
	assert_false(node.provisioned);
	own_identity(false);
}

/* ---- a busd that is none ----------------------------------------------------------------------- */

/* It stopped: nobody waits for it, and then it is told how things are. */
static void
test_stopped(void **state)
{
	struct step	 s = { .step = 1, .detail = (char []){ "detail" } };
	struct peer	*p = connected();
	unsigned	 i;

	deaf = true;
	for (i = 0; i < 6000; i++) {
		bus_step(p->id, &s);
		if (i % 300 != 0)
			continue;
		w_peer_link(p, i % 600 == 0 ? 0 : 2, R_OK);
		peer_step(p, EV_POLICY, NULL);
		jobs_pump();
		w_pump();
		w_prove(&proof_b);
		w_mono += 20000;
		peers_tick(w_mono);
		pump();
	}
	assert_non_null(busd.ours);
	assert_true(chan_room(busd.ours) >= BUS_ROOM_MIN - 1);
	deaf = false;
	for (i = 0; i < 10; i++)
		pass(1000);
	assert_non_null(busd.ours);
	assert_string_equal(seen.state, fsm_state_name(p->state));
	assert_int_equal(seen.attested, p->attested);
	assert_int_equal(node.connected, bus_word(p->state));
}

/* A message that no busd may say ends the link, and nothing else. */
static void
test_offence(void **state)
{
	struct msg_peer_link	m = { .state = 2 };
	struct peer		*p = connected();

	m.peer = p->id;
	assert_int_equal(chan_send(busd.theirs, MSG_PEER_LINK, &m, -1), -1);
	assert_int_equal(p->state, P_CONNECTED);
	assert_false(busd.offended);
}

#define MANY	6000u

/* More than a queue holds: they stream, and the end comes once. */
static void
test_many(void **state)
{
	struct peer	*p;
	char		 name[32];
	unsigned	 i;

	for (i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "peer-%u", i);
		another(name, FROM_OPERATOR, "");
	}
	store_turn();
	deaf = true;
	busd_greets();
	pump();
	assert_true(chan_room(busd.ours) >= BUS_ROOM_MIN - 1);
	/* Changes meanwhile add nothing to the queue. */
	for (i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "peer-%u", i);
		assert_non_null(p = peer_byname(name));
		bus_peer_changed(p);
	}
	bus_outcome(peer_byname("peer-1")->id, true, NULL);
	pump();
	assert_true(chan_room(busd.ours) >= BUS_ROOM_MIN - 1);
	deaf = false;
	for (i = 0; i < 20 && nends == 0; i++)
		pass(1000);
	assert_int_equal(nends, 1);
	assert_int_equal(noutcomes, 0);
	assert_true(npeers >= MANY + 1);
	assert_true(npeers <= MANY + 1 + 1000);
	assert_ptr_equal(strchr(order, 'E'), order + nheard - 1);
	TAILQ_FOREACH(p, &peers, entry)
		assert_true(p->bus.known && !p->bus.marked);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		T(test_greeting),
		T(test_after_commit),
		T(test_peer_shown),
		T(test_peer_refused),
		T(test_peer_trouble),
		T(test_steps),
		T(test_address_heard),
		T(test_gone),
		cmocka_unit_test_setup_teardown(test_without_dbus,
		    setup_without, teardown),
		cmocka_unit_test(test_hold),
		cmocka_unit_test(test_words),
		T(test_worsens_late),
		T(test_worst),
		T(test_provisioned),
		T(test_stopped),
		T(test_offence),
		T(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
