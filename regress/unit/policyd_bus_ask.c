/* What busd asks of policyd, and what it is owed for that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "policyd_bus.h"

/* ---- asking --------------------------------------------------------------------------------- */

static void
test_provision(void **state)
{
	struct peer	*p = peer_byname("bmc-b");

	w_all_up();
	busd_up();
	wish(MSG_BUS_PROVISION, MEMBER, "bmc-b");
	chan_input(busd.ours);
	/* Not before it is on disk. */
	if (chan_wants_output(busd.ours))
		chan_output(busd.ours);
	chan_input(busd.theirs);
	assert_string_equal(order, "");
	read_all();
	assert_int_equal(dones, 1);
	assert_int_equal(noutcomes, 0);
	assert_int_equal(recorded("operator", "bmc-b",
	    "claimed by busd: uid 1001: provision"), 1);
	w_prove(&proof_b);
	read_all();
	assert_int_equal(p->state, P_PROVISIONED);
	assert_int_equal(noutcomes, 1);
	assert_int_equal(outcomes[0].peer, p->id);
	assert_true(outcomes[0].asked);
	assert_true(outcomes[0].provisioned);
	assert_int_equal(outcomes[0].reason, R_OK);
	/* The state is told before what came of it. */
	assert_ptr_equal(strrchr(order, 'O'), order + nheard - 1);
	/* Exactly once. */
	pass(60000);
	assert_int_equal(noutcomes, 1);
	/* Attested again: the verdict is the outcome. */
	forget();
	assert_int_equal(ask(MSG_BUS_PROVISION, 0, "bmc-b"), R_OK);
	assert_int_equal(noutcomes, 0);
	w_prove(&proof_b);
	read_all();
	assert_int_equal(noutcomes, 1);
	assert_true(outcomes[0].asked);
	/* And what comes of itself was not asked for. */
	peer_step(p, EV_POLICY, NULL);
	jobs_pump();
	w_pump();
	w_prove(&proof_b);
	read_all();
	assert_int_equal(noutcomes, 2);
	assert_false(outcomes[1].asked);
}

/* Each who asked has an outcome of his own. */
static void
test_twice_asked(void **state)
{
	w_all_up();
	busd_up();
	assert_int_equal(ask(MSG_BUS_PROVISION, 0, "bmc-b"), R_OK);
	assert_int_equal(ask(MSG_BUS_PROVISION, PRIMARY, "bmc-b"), R_OK);
	w_fail(R_ATT_CHALLENGE);
	read_all();
	assert_int_equal(noutcomes, 2);
	assert_true(outcomes[0].asked && outcomes[1].asked);
	assert_false(outcomes[0].provisioned || outcomes[1].provisioned);
	assert_int_equal(outcomes[1].reason, R_ATT_CHALLENGE);
	pass(60000);
	assert_int_equal(noutcomes, 2);
}

/* A verdict that came in the turn of the request: the answer comes first. */
static void
test_answer_first(void **state)
{
	struct peer	*p;

	busd_up();
	p = w_attesting();
	read_all();
	forget();
	wish(MSG_BUS_PROVISION, 0, "bmc-b");
	bus_node_changed();		/* the turn has something to tell */
	chan_input(busd.ours);
	bus_outcome(p->id, true, NULL);
	bus_outcome(p->id, false, NULL);	/* it answers nobody any more */
	read_all();
	assert_int_equal(dones, 1);
	assert_int_equal(noutcomes, 2);
	assert_int_equal(nasked, 1);
	assert_true(outcomes[1].asked && outcomes[1].provisioned);
	assert_non_null(strchr(order, 'D'));
	assert_true(strchr(order, 'D') < strrchr(order, 'O'));
}

static void
test_pending(void **state)
{
	struct peer	*p = peer_byname("bmc-b");

	busd_up();			/* and nobody who could attest */
	assert_int_equal(ask(MSG_BUS_PROVISION, 0, "bmc-b"), R_OK);
	pass(29000);
	assert_int_equal(noutcomes, 0);
	pass(1000);
	assert_int_equal(noutcomes, 1);
	assert_true(outcomes[0].asked);
	assert_false(outcomes[0].provisioned);
	assert_int_equal(outcomes[0].reason, R_CTL_PENDING);
	pass(60000);
	assert_int_equal(noutcomes, 1);
	/* What the last attempt met is no end, but it is said. */
	forget();
	w_all_up();
	w_refuse_dial = R_TLS_LINK_DOWN;
	assert_int_equal(ask(MSG_BUS_PROVISION, 0, "bmc-b"), R_OK);
	pass(30000);
	assert_int_equal(p->state, P_ATTESTING);
	assert_int_equal(noutcomes, 1);
	assert_int_equal(outcomes[0].reason, R_CTL_PENDING);
	assert_int_not_equal(p->why.reason, R_OK);
	assert_string_equal(outcomes[0].seen, reason_code(p->why.reason));
}

static void
test_overtaken(void **state)
{
	struct peer	*p = another("bmc-c", FROM_OPERATOR, NODE_C);
	uint32_t	 id = p->id;

	w_all_up();
	busd_up();
	assert_int_equal(ask(MSG_BUS_PROVISION, 0, "bmc-c"), R_OK);
	assert_int_equal(ask(MSG_BUS_UNPROVISION, 0, "bmc-c"), R_OK);
	assert_int_equal(noutcomes, 1);
	assert_true(outcomes[0].asked);
	assert_int_equal(outcomes[0].reason, R_POL_UNPROVISIONED);
	/* It goes: first what it ended with, then that it is gone. */
	assert_int_equal(ask(MSG_BUS_PROVISION, 0, "bmc-b"), R_OK);
	assert_int_equal(ask(MSG_BUS_PROVISION, 0, "bmc-c"), R_OK);
	forget();
	peer_remove(p);
	read_all();
	assert_string_equal(order, "OG");
	assert_int_equal(outcomes[0].peer, id);
	assert_true(outcomes[0].asked);
	assert_int_equal(gone, id);
	/* Gone in the turn in which it was asked for. */
	p = another("bmc-c", FROM_OPERATOR, NODE_C);
	read_all();
	forget();
	wish(MSG_BUS_PROVISION, 0, "bmc-c");
	chan_input(busd.ours);
	peer_remove(p);
	read_all();
	assert_int_equal(answer, R_POL_NO_PEER);
	assert_int_equal(noutcomes, 0);
	assert_int_equal(ngone, 1);
}

static void
test_self(void **state)
{
	struct proof	p = proof_b;

	w_all_up();
	w_keyd_up();
	own_identity(true);
	busd_up();
	assert_int_equal(ask(MSG_BUS_PROVISION, 0, "self"), R_OK);
	assert_int_equal(recorded("operator", "self",
	    "claimed by busd: uid 0: provision"), 1);
	p.node = NODE_C;
	w_prove(&p);
	read_all();
	assert_int_equal(noutcomes, 1);
	assert_int_equal(outcomes[0].peer, PEER_SELF);
	assert_true(outcomes[0].asked && outcomes[0].provisioned);
	/* It is no peer. */
	assert_int_equal(ask(MSG_BUS_UNPROVISION, 0, "self"), R_POL_NO_PEER);
	assert_int_equal(ask(MSG_BUS_REVOKE, 0, "self"), R_POL_NO_PEER);
	own_identity(false);
}

static void
test_self_pending(void **state)
{
	busd_up();
	assert_int_equal(ask(MSG_BUS_PROVISION, 0, "self"), R_OK);
	pass(30000);
	assert_int_equal(noutcomes, 1);
	assert_int_equal(outcomes[0].peer, PEER_SELF);
	assert_true(outcomes[0].asked);
	assert_int_equal(outcomes[0].reason, R_CTL_PENDING);
}

static void
test_unprovision(void **state)
{
	struct peer	*p = connected();

	assert_int_equal(ask(MSG_BUS_UNPROVISION, MEMBER, "bmc-b"), R_OK);
	assert_int_equal(p->state, P_NOTDETERMINED);
	assert_true(p->held);
	assert_string_equal(seen.state, "NotDetermined");
	assert_int_equal(seen.reason, R_POL_UNPROVISIONED);
	assert_int_equal(recorded("operator", "bmc-b",
	    "claimed by busd: uid 1001: unprovision"), 1);
}

static void
test_revoke(void **state)
{
	struct peer	*p = connected();

	assert_int_equal(ask(MSG_BUS_REVOKE, 0, "bmc-b"), R_OK);
	assert_int_equal(p->state, P_REVOKED);
	assert_int_equal(recorded("operator", "bmc-b",
	    "claimed by busd: uid 0: revoke " NODE_B), 1);
	/* It is not lifted over D-Bus, in either way. */
	assert_int_equal(ask(MSG_BUS_UNPROVISION, 0, "bmc-b"), R_BUS_REVOKED);
	assert_int_equal(p->state, P_REVOKED);
	assert_int_equal(ask(MSG_BUS_PROVISION, 0, "bmc-b"), R_POL_REVOKED);
	assert_int_equal(p->state, P_REVOKED);
	assert_int_equal(recorded("refusal", "bmc-b",
	    "claimed by busd: uid 0: unprovision refused"), 1);
	/* Nobody knows what to revoke. */
	another("bmc-x", FROM_OPERATOR, "");
	assert_int_equal(ask(MSG_BUS_REVOKE, 0, "bmc-x"), R_POL_NOT_ATTESTED);
}

static void
test_nobody(void **state)
{
	static const enum ipc_type	all[] = { MSG_BUS_PROVISION,
	    MSG_BUS_UNPROVISION, MSG_BUS_REVOKE };
	size_t				i, n = peers_count();

	busd_up();
	for (i = 0; i < 3; i++) {
		assert_int_equal(ask(all[i], 0, "nobody"), R_POL_NO_PEER);
		assert_int_equal(ask(all[i], 0, ""), R_POL_NO_PEER);
	}
	assert_int_equal(peers_count(), n);
	assert_int_equal(noutcomes, 0);
}

/* Only who is root or of the group, and what is not in it is on record. */
static void
test_caller(void **state)
{
	static const enum ipc_type	all[] = { MSG_BUS_PROVISION,
	    MSG_BUS_UNPROVISION, MSG_BUS_REVOKE };
	struct msg_bus_log_level	 m = { .caller = STRANGER, .level = 2 };
	enum peer_state			 was;
	struct peer			*p = connected();
	size_t				 i;

	was = p->state;
	for (i = 0; i < 3; i++) {
		assert_int_equal(ask(all[i], STRANGER, "bmc-b"), R_BUS_CALLER);
		assert_int_equal(ask(all[i], UINT32_MAX, "bmc-b"),
		    R_BUS_CALLER);
	}
	say(MSG_BUS_LOG_LEVEL, &m);
	read_all();
	assert_int_equal(answer, R_BUS_CALLER);
	assert_int_equal(p->state, was);
	assert_null(p->job);
	assert_int_equal(recorded("refusal", "bmc-b",
	    "claimed by busd: uid 1003: revoke refused"), 1);
	assert_true(bus_may(0));
	assert_true(bus_may(MEMBER));
	assert_true(bus_may(PRIMARY));
	/* As it was when policyd started. */
	no_group = true;
	assert_true(bus_may(MEMBER));
	bus_read(conf, false);
	assert_false(bus_may(MEMBER));
	assert_true(bus_may(0));
	/* A developer's policyd serves its own user. */
	assert_int_equal(bus_may(geteuid()), geteuid() == 0);
	bus_read(conf, true);
	assert_true(bus_may(geteuid()));
}

static void
test_rate(void **state)
{
	unsigned	i;

	busd_up();
	for (i = 0; i < 30; i++)
		assert_int_equal(ask(MSG_BUS_UNPROVISION, STRANGER, "bmc-b"),
		    R_BUS_CALLER);
	for (i = 0; i < 20; i++)
		assert_int_equal(ask(MSG_BUS_UNPROVISION, 0, "bmc-b"),
		    R_BUS_RATE);
	/* One record tells of them. */
	assert_int_equal(recorded("refusal", "bmc-b",
	    "claimed by busd: uid 0: unprovision refused"), 1);
	pass(2000);
	assert_int_equal(ask(MSG_BUS_UNPROVISION, 0, "bmc-b"), R_OK);
	assert_int_equal(ask(MSG_BUS_UNPROVISION, 0, "bmc-b"), R_BUS_RATE);
	pass(60000);
	for (i = 0; i < 30; i++)
		assert_int_equal(ask(MSG_BUS_UNPROVISION, 0, "bmc-b"), R_OK);
	assert_int_equal(ask(MSG_BUS_UNPROVISION, 0, "bmc-b"), R_BUS_RATE);
	assert_int_equal(recorded("refusal", "bmc-b",
	    "claimed by busd: uid 0: unprovision refused"), 2);
}

static void
test_neighbour(void **state)
{
	struct peer	*p;

	w_all_up();
	busd_up();
	w_neighbour(1, "new", "192.0.2.50");
	assert_int_equal(ask(MSG_BUS_PROVISION, 0, "new"), R_BUS_UNLISTED);
	assert_null(peer_byname("new"));
	/* With a rule that can accept it, it is attested. */
	w_accept[0].serial = "ACME-*";
	assert_int_equal(ask(MSG_BUS_PROVISION, 0, "new"), R_OK);
	assert_non_null(p = peer_byname("new"));
	assert_int_equal(p->state, P_ATTESTING);
	assert_int_equal(p->origin, FROM_NEIGHBOUR);
	w_accept[0].serial = NULL;
}

static void
test_log_level(void **state)
{
	struct msg_bus_log_level	m = { .caller = 0, .level = 2 };
	enum log_level			was = log_level_now();

	busd_up();
	say(MSG_BUS_LOG_LEVEL, &m);
	read_all();
	assert_int_equal(answer, R_OK);
	assert_int_equal(log_level_now(), LOG_LVL_DEBUG);
	assert_int_equal(node.log_level, 2);
	assert_int_equal(hubd_row(IPC_KEYD)->log_level, 2);
	assert_int_equal(recorded("operator", "",
	    "claimed by busd: uid 0: log level 2"), 1);
	log_level(was);
}

/* What was asked for is owed, however late it reads. */
static void
test_stopped_asked(void **state)
{
	struct peer	*p = connected();
	unsigned	 i;

	deaf = true;
	forget();
	for (i = 0; i < 5000; i++) {
		bus_outcome(p->id, true, NULL);
		store_turn();
	}
	wish(MSG_BUS_PROVISION, 0, "bmc-b");
	pump();
	w_prove(&proof_b);
	pump();
	assert_true(chan_room(busd.ours) >= BUS_ROOM_MIN - 1);
	assert_int_equal(nheard, 0);
	deaf = false;
	for (i = 0; i < 5; i++)
		pass(1000);
	assert_int_equal(dones, 1);
	assert_int_equal(nasked, 1);
	assert_true(noutcomes < 5000);	/* of the others, what had room */
}

/* What is not on disk was not accepted, and nothing is owed for it. */
static void
test_full_disk(void **state)
{
	w_all_up();
	busd_up();
	disk_install();
	disk_errno = ENOSPC;
	wish(MSG_BUS_PROVISION, 0, "bmc-b");
	chan_input(busd.ours);
	store_turn();
	disk_errno = 0;
	read_all();
	assert_int_equal(answers, 1);
	assert_int_equal(answer, R_SYS_STORE_FULL);
	assert_int_equal(noutcomes, 0);
	assert_false(bus_outcomes_wait());
	assert_true(store_failed());	/* and policyd starts anew */
}

/* So many may wait for theirs, whatever the time between them. */
static void
test_owed(void **state)
{
	struct ipc_call	call = { .fd = -1 };
	unsigned	i;

	busd_up();
	for (i = 0; i < BUS_ASKED_MAX; i++)
		assert_int_equal(bus_asked(&call, PEER_SELF), 0);
	assert_int_equal(bus_asked(&call, PEER_SELF), -1);
	assert_int_equal(ask(MSG_BUS_PROVISION, 0, "bmc-b"), R_BUS_RATE);
}

/* It dies with requests out; the next one is owed nothing. */
static void
test_dies(void **state)
{
	struct peer	*p = peer_byname("bmc-b");

	w_all_up();
	busd_up();
	assert_int_equal(ask(MSG_BUS_PROVISION, 0, "bmc-b"), R_OK);
	/* One is on its way to the disk. */
	wish(MSG_BUS_PROVISION, 0, "bmc-b");
	chan_input(busd.ours);
	busd_dies();
	busd_greets();
	read_all();
	forget();
	w_prove(&proof_b);
	read_all();
	assert_int_equal(p->state, P_PROVISIONED);
	assert_int_equal(noutcomes, 1);
	assert_false(outcomes[0].asked);
	busd_dies();
	/* Nothing is kept for one that is not there. */
	peer_step(p, EV_UNPROVISION, NULL);
	bus_outcome(p->id, false, &p->why);
	pass(1000);
	assert_false(p->bus.marked);
	assert_false(bus_outcomes_wait());
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		T(test_provision),
		T(test_twice_asked),
		T(test_answer_first),
		T(test_pending),
		T(test_overtaken),
		T(test_self),
		T(test_self_pending),
		T(test_unprovision),
		T(test_revoke),
		T(test_nobody),
		T(test_caller),
		T(test_rate),
		T(test_neighbour),
		T(test_log_level),
		T(test_stopped_asked),
		T(test_full_disk),
		T(test_owed),
		T(test_dies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
