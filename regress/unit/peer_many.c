/* 5,000 peers: attested, told to netd, loaded again; the bounds hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "peers_fake.h"

#define MANY	5000u


static void
node_of(unsigned i, char node[NODE_ID_LEN + 1])
{
	snprintf(node, NODE_ID_LEN + 1, "%040x", i + 1);
}

/* Jobs run one after the other here: each is proved when it is opened. */
static void
test_many(void **state)
{
	char		 name[32], node[NODE_ID_LEN + 1];
	struct proof	 proof = proof_b;
	struct peer	*p;
	struct why	 why;
	unsigned	 i;

	for (i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "peer-%u", i);
		node_of(i, node);
		assert_non_null(peer_new(name, FROM_OPERATOR, node, "",
		    "192.0.2.3", &why));
	}
	store_turn();
	w_netd_up();
	w_attestq_up();
	/* All at once: only so many jobs run, nobody is forgotten. */
	w_hold = true;
	TAILQ_FOREACH(p, &peers, entry)
		assert_int_equal(peer_step(p, EV_PROVISION, NULL), 0);
	jobs_pump();
	w_pump();
	assert_int_equal(jobs_running(), JOBS_MAX);
	assert_int_equal(w_opens, JOBS_MAX);
	TAILQ_FOREACH(p, &peers, entry)
		peer_step(p, EV_UNPROVISION, NULL);
	w_pump();
	assert_int_equal(jobs_running(), 0);
	w_hold = false;
	proof.node = node;
	for (i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "peer-%u", i);
		p = peer_byname(name);
		node_of(i, node);
		peer_step(p, EV_PROVISION, NULL);
		jobs_pump();
		w_side_pump(&w_attestq);
		w_side_pump(&w_netd);
		w_side_pump(&w_attestq);
		w_identity(&proof);
		w_anchor(&proof);
		w_measurement(1, 1, false, 1, 48);
		w_end(1);
		w_side_pump(&w_attestq);
		assert_int_equal(p->state, P_PROVISIONED);
		if (i % 64 == 0)
			w_pump();
	}
	w_pump();
	w_kill();
	w_sets = w_ends = 0;
	w_start();
	assert_int_equal(peers_count(), MANY + 1);
	w_netd_up();
	for (i = 0; i < 100 && w_ends == 0; i++)
		w_pass(1);
	assert_int_equal(w_sets, MANY);
	assert_int_equal(w_ends, 1);
	p = peer_byname("peer-4999");
	assert_true(peer_trusted(p));
	node_of(4999, node);
	assert_string_equal(p->ev->node, node);
	assert_ptr_equal(peer_bynode(node, NULL), p);
}

/* The table is bounded. */
static void
test_bound(void **state)
{
	struct why	 why;
	char		 name[32];
	unsigned	 i;

	for (i = 1; i < PEERS_MAX; i++) {
		snprintf(name, sizeof(name), "peer-%u", i);
		assert_non_null(peer_new(name, FROM_OPERATOR, "", "", "",
		    &why));
	}
	assert_null(peer_new("one more", FROM_OPERATOR, "", "", "", &why));
	assert_int_equal(why.reason, R_POL_PEERS_FULL);
	assert_null(peer_new("peer-1", FROM_OPERATOR, "", "", "", &why));
	peer_remove(peer_byname("peer-1"));
	assert_null(peer_byname("peer-1"));
	assert_non_null(peer_new("one more", FROM_OPERATOR, "", "", "", &why));
}

static void
test_names(void **state)
{
	struct why	 why;
	char		 longest[66];

	memset(longest, 'n', 64);
	longest[64] = '\0';
	assert_null(peer_new("", FROM_OPERATOR, "", "", "", &why));
	assert_int_equal(why.reason, R_POL_NAME);
	assert_null(peer_new("a\nb", FROM_OPERATOR, "", "", "", &why));
	assert_int_equal(why.reason, R_POL_NAME);
	assert_null(peer_new("bmc-b", FROM_OPERATOR, "", "", "", &why));
	assert_int_equal(why.reason, R_POL_PEER_EXISTS);
	assert_non_null(peer_new(longest, FROM_OPERATOR, "", "", "", &why));
}

int
main(void)
{
#define T(f)	cmocka_unit_test_setup_teardown(f, w_setup, w_teardown)
	const struct CMUnitTest tests[] = {
		T(test_many),
		T(test_bound),
		T(test_names),
	};

	return cmocka_run_group_tests_name("peer_many", tests, NULL, NULL);
}
