/*
 * Claims from outside: neighbours of LLDP, and strangers that attest us.
 * They choose whom policyd asks, and never whom it trusts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "peers_fake.h"

/* The other side of the main job: listed, attested, attests back. */
static void
test_configured(void **state)
{
	struct peer	*p = peer_byname("bmc-b");

	w_all_up();
	w_attested("192.0.2.2");
	assert_int_equal(p->state, P_ATTESTING);
	assert_int_equal(w_opens, 1);
	assert_string_equal(w_dial.address, "192.0.2.2");
	w_attested("192.0.2.2");	/* one at a time */
	assert_int_equal(w_opens, 1);
	w_prove(&proof_b);
	assert_int_equal(p->state, P_PROVISIONED);
	/* Trusted: it attests us again, we see no reason to. */
	w_attested("192.0.2.2");
	w_pass(5);
	assert_int_equal(w_opens, 1);
}

/* The same address as another stack spells it. */
static void
test_mapped_address(void **state)
{
	w_all_up();
	w_attested("::ffff:192.0.2.2");
	assert_int_equal(w_opens, 1);
	assert_string_equal(w_dial.address, "192.0.2.2");
}

/* An endpoint of MCTP: asked where it is, and known by that name. */
static void
test_mctp(void **state)
{
	static char	where[] = "mctp:1:9";

	conf_b.mctp = where;
	w_all_up();
	w_attested("mctp:1:10");
	w_attested("mctp");
	assert_int_equal(w_opens, 0);
	w_attested("mctp:1:9");
	assert_int_equal(w_opens, 1);
	assert_string_equal(w_dial.address, where);
	/* Its own address is that of the peer channel. */
	w_prove(&proof_b);
	assert_string_equal(peer_byname("bmc-b")->ev->address, "192.0.2.2");
	conf_b.mctp = NULL;
}

static void
test_stranger(void **state)
{
	w_all_up();
	w_attested("192.0.2.77");
	w_attested("not an address");
	w_attested("");
	w_pass(5);
	assert_int_equal(w_opens, 0);
	assert_int_equal(peers_count(), 1);
	assert_false(w_attestr.offended);
}

/* A peer without identity, serial or rule is not ours to attest unasked. */
static void
test_unlisted(void **state)
{
	struct why	 why;
	struct peer	*p;

	w_all_up();
	p = peer_new("bmc-x", FROM_OPERATOR, "", "", "192.0.2.9", &why);
	w_attested("192.0.2.9");
	assert_int_equal(p->state, P_NOTDETERMINED);
	assert_int_equal(w_opens, 0);
}

/* A peer that fails is tried again on its knocking, but not at its pace. */
static void
test_knocking(void **state)
{
	struct proof	 bad = proof_b;
	struct peer	*p = peer_byname("bmc-b");
	unsigned	 i, before;

	bad.root = ROOT_B;
	w_all_up();
	w_attested("192.0.2.2");
	w_prove(&bad);
	assert_int_equal(p->state, P_ATTESTFAILED);
	before = w_opens;
	for (i = 0; i < 300; i++) {
		w_attested("192.0.2.2");
		w_pass(1);
		if (p->job != NULL)
			w_prove(&bad);
	}
	assert_in_range(w_opens - before, 2, 12);
	assert_int_equal(p->state, P_ATTESTFAILED);
}

/* Address from LLDP: the neighbour whose system name is the peer's. */
static void
test_address_from_lldp(void **state)
{
	struct why	 why;
	struct peer	*p;

	w_all_up();
	p = peer_new("bmc-n", FROM_OPERATOR, NODE_C, "", "", &why);
	peer_step(p, EV_PROVISION, NULL);
	jobs_pump();
	w_pump();
	assert_int_equal(w_opens, 0);
	assert_int_equal(p->why.reason, R_POL_NO_ADDRESS);
	w_neighbour(5, "bmc-n", "192.0.2.50");
	w_until_job(2);
	assert_string_equal(w_dial.address, "192.0.2.50");
	w_fail(R_ATT_CLOSED);
	/* Two of one name: the newest is asked. */
	w_neighbour(6, "bmc-n", "192.0.2.66");
	w_until_job(4);
	assert_string_equal(w_dial.address, "192.0.2.66");
	w_fail(R_ATT_CLOSED);
	/* Heard again, unchanged: no newer than before. */
	w_neighbour(5, "bmc-n", "192.0.2.50");
	w_until_job(6);
	assert_string_equal(w_dial.address, "192.0.2.66");
}

/*
 * Whoever shouts a name and gives no address hides nobody; and a peer that is
 * not heard at all is asked where it proved itself.
 */
static void
test_nowhere(void **state)
{
	struct msg_neighbour_gone	gone = { .neighbour = 5 };
	const char			*from;
	struct peer			*p;
	struct why			 why;

	w_all_up();
	p = peer_new("bmc-n", FROM_OPERATOR, NODE_B, "", "", &why);
	w_neighbour(5, "bmc-n", "192.0.2.50");
	w_neighbour(6, "bmc-n", "");
	w_provision("bmc-n", &proof_b);
	assert_string_equal(w_dial.address, "192.0.2.50");
	assert_int_equal(p->state, P_PROVISIONED);
	w_send(&w_netd, MSG_NEIGHBOUR_GONE, &gone);
	w_pump();
	assert_string_equal(net_address(p, &from), "192.0.2.50");
	assert_string_equal(from, "last attestation");
	w_until_job(86460);
	assert_string_equal(w_dial.address, "192.0.2.50");
}

/* Nor does whoever shouts its name divert us from a peer that is trusted. */
static void
test_twin(void **state)
{
	struct msg_neighbour_gone	gone = { .neighbour = 5 };
	struct why			why;
	struct peer			*p;

	w_all_up();
	p = peer_new("bmc-n", FROM_OPERATOR, NODE_B, "", "", &why);
	w_neighbour(5, "bmc-n", "192.0.2.50");
	w_provision("bmc-n", &proof_b);
	assert_int_equal(p->state, P_PROVISIONED);
	assert_string_equal(w_set.address, "192.0.2.50");
	w_sets = 0;
	w_neighbour(6, "bmc-n", "192.0.2.66");
	assert_int_equal(w_sets, 0);
	/* A restart forgets the neighbours, and not who proved itself. */
	w_kill();
	w_start();
	w_all_up();
	p = peer_byname("bmc-n");
	w_neighbour(6, "bmc-n", "192.0.2.66");
	w_neighbour(5, "bmc-n", "192.0.2.50");
	w_neighbour(6, "bmc-n", "192.0.2.67");
	assert_string_equal(w_set.address, "192.0.2.50");
	w_until_job(86460);
	assert_string_equal(w_dial.address, "192.0.2.50");
	w_prove(&proof_b);
	/* It has another address, and says so. */
	w_neighbour(5, "bmc-n", "192.0.2.51");
	assert_string_equal(w_set.address, "192.0.2.51");
	w_until_job(86460);
	assert_string_equal(w_dial.address, "192.0.2.51");
	w_prove(&proof_b);
	w_send(&w_netd, MSG_NEIGHBOUR_GONE, &gone);
	w_pump();
	w_until_job(86460);
	assert_string_equal(w_dial.address, "192.0.2.67");
	w_fail(R_ATT_CLOSED);
}

/* A configured address is not for LLDP to change. */
static void
test_configured_address_wins(void **state)
{
	w_all_up();
	w_neighbour(5, "bmc-b", "192.0.2.50");
	peer_step(peer_byname("bmc-b"), EV_PROVISION, NULL);
	jobs_pump();
	w_pump();
	assert_string_equal(w_dial.address, "192.0.2.2");
	/* Nor does it make bmc-b ask on another's knock. */
	w_prove(&proof_b);
	peer_step(peer_byname("bmc-b"), EV_UNPROVISION, NULL);
	w_attested("192.0.2.50");
	assert_int_equal(peer_byname("bmc-b")->state, P_NOTDETERMINED);
}

/* Attested before the LLDP frame came: remembered for a minute. */
static void
test_knock_before_lldp(void **state)
{
	struct why	 why;
	struct peer	*p;

	w_all_up();
	p = peer_new("bmc-n", FROM_OPERATOR, NODE_C, "", "", &why);
	w_attested("192.0.2.50");
	assert_int_equal(p->state, P_NOTDETERMINED);
	w_pass(50);
	w_neighbour(5, "bmc-n", "192.0.2.50");
	assert_int_equal(p->state, P_ATTESTING);
	assert_int_equal(w_opens, 1);
	peer_step(p, EV_UNPROVISION, NULL);
	p->held = false;
	peer_leave(p);
	/* Only once, and not after a minute. */
	w_neighbour(5, "bmc-n", "192.0.2.51");
	w_attested("192.0.2.52");
	w_pass(61);
	w_neighbour(5, "bmc-n", "192.0.2.52");
	assert_int_equal(p->state, P_NOTDETERMINED);
}

/* A neighbour that is no peer becomes one where a rule may accept it. */
static void
test_rule_makes_peers(void **state)
{
	struct peer	*p;
	char		 name[32], address[32];
	int		 i;

	w_all_up();
	w_neighbour(1, "bmc-n", "192.0.2.50");
	w_attested("192.0.2.50");
	assert_null(peer_byname("bmc-n"));
	memset(w_accept[1].root, ROOT_A, HASH_LEN);
	w_accept[1].serial = "ACME-77*";
	policy.naccepts = 2;
	w_attested("192.0.2.50");
	p = peer_byname("bmc-n");
	assert_non_null(p);
	assert_int_equal(p->origin, FROM_NEIGHBOUR);
	assert_int_equal(p->state, P_ATTESTING);
	w_prove(&proof_b);
	assert_int_equal(p->state, P_PROVISIONED);
	/* Bounded, whatever names are shouted. */
	for (i = 0; i < 600; i++) {
		snprintf(name, sizeof(name), "loud-%d", i);
		snprintf(address, sizeof(address), "192.0.2.%d", i % 250 + 1);
		w_neighbour(2, name, address);
		w_attested(address);
	}
	assert_int_equal(peers_count(), 1 + 256);
	assert_ptr_equal(peer_byname("bmc-n"), p);
	assert_int_equal(p->state, P_PROVISIONED);
	/* And the last to come is not kept out by those before. */
	assert_non_null(peer_byname("loud-599"));
	assert_null(peer_byname("loud-99"));
	policy.naccepts = 1;
}

static unsigned	counted;

static void
count(const struct neighbour *n, void *arg)
{
	counted++;
}

static unsigned
neighbours(void)
{
	counted = 0;
	neighbours_each(count, NULL);
	return counted;
}

static void
test_table(void **state)
{
	struct msg_neighbour_gone	gone = { .neighbour = 3 };
	static const struct msg_neighbours_end end;
	char				name[32];
	uint32_t			i;

	w_all_up();
	for (i = 1; i <= NEIGHBOURS_MAX + 10; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		w_neighbour(i, name, "192.0.2.3");
	}
	assert_int_equal(neighbours(), NEIGHBOURS_MAX);
	w_send(&w_netd, MSG_NEIGHBOUR_GONE, &gone);
	w_pump();
	assert_int_equal(neighbours(), NEIGHBOURS_MAX - 1);
	assert_null(neighbour_byname("n3"));
	/* netd is killed; the new one knows two of them. */
	w_down(&w_netd);
	w_netd_up();
	w_neighbour(1, "n1", "192.0.2.3");
	w_neighbour(2, "n2", "192.0.2.3");
	assert_int_equal(neighbours(), NEIGHBOURS_MAX - 1);
	w_send(&w_netd, MSG_NEIGHBOURS_END, &end);
	w_pump();
	assert_int_equal(neighbours(), 2);
}

/* ---- of an LLDP service on D-Bus ------------------------------------------ */

static struct side	w_busd;
static const struct ipc_handler	at_busd[] = {
	{ MSG_BUS_NODE, w_ignore }, { MSG_BUS_PEER, w_ignore },
	{ MSG_BUS_PEER_GONE, w_ignore }, { MSG_BUS_PEERS_END, w_ignore },
	{ MSG_BUS_STEP, w_ignore }, { MSG_BUS_OUTCOME, w_ignore },
};

static struct chan *
link_of(enum ipc_role role)
{
	return role == IPC_BUSD ? w_busd.ours : w_link(role);
}

static void
pump(void)
{
	int	i;

	for (i = 0; i < 4; i++) {
		w_pump();
		w_side_pump(&w_busd);
	}
}

static void
busd_up(void)
{
	peers_env.link = link_of;
	w_up(&w_busd, IPC_BUSD, from_busd, nfrom_busd, at_busd,
	    sizeof(at_busd) / sizeof(at_busd[0]));
	pump();
}

static void
told(struct side *by, uint32_t id, const char *name, const char *address)
{
	struct msg_neighbour	m = { .neighbour = id, .ttl = 120 };

	IPC_SET_STR(m.system_name, name);
	IPC_SET_STR(m.address4, address);
	w_send(by, MSG_NEIGHBOUR, &m);
	pump();
}

static void
ended(struct side *by)
{
	w_send(by, MSG_NEIGHBOURS_END, NULL);
	pump();
}

static int
setup_dbus(void **state)
{
	static char	path[] = "/run/dbus/system_bus_socket";

	config.dbus = path;
	config.dbus_neighbours = true;
	return w_setup(state);
}

static int
teardown_dbus(void **state)
{
	w_down(&w_busd);
	config.dbus = NULL;
	config.dbus_neighbours = false;
	return w_teardown(state);
}

/* They are as good as netd's, whose are not heeded: no offence, counted. */
static void
test_dbus(void **state)
{
	struct msg_neighbour_gone	 gone5 = { .neighbour = 5 };
	uint64_t			 before = hubd_count(R_BUS_SOURCE);
	struct peer			*p;
	struct why			 why;

	assert_int_equal(neighbours_source(), IPC_BUSD);
	w_all_up();
	busd_up();
	p = peer_new("bmc-n", FROM_OPERATOR, NODE_C, "", "", &why);
	peer_step(p, EV_PROVISION, NULL);
	jobs_pump();
	pump();
	told(&w_netd, 5, "bmc-n", "192.0.2.66");
	assert_int_equal(neighbours(), 0);
	w_pass(20);
	assert_int_equal(w_opens, 0);
	told(&w_busd, 5, "bmc-n", "192.0.2.50");
	assert_int_equal(neighbours(), 1);
	w_until_job(61);
	assert_string_equal(w_dial.address, "192.0.2.50");
	/* Nor can netd take one away, of that number or by its list's end. */
	w_send(&w_netd, MSG_NEIGHBOUR_GONE, &gone5);
	pump();
	assert_int_equal(hubd_count(R_BUS_SOURCE) - before, 3);
	ended(&w_netd);
	assert_int_equal(neighbours(), 1);
	assert_int_equal(hubd_count(R_BUS_SOURCE) - before, 4);
	assert_non_null(w_netd.ours);
	w_send(&w_busd, MSG_NEIGHBOUR_GONE, &gone5);
	pump();
	assert_int_equal(neighbours(), 0);
}

/* They go when it goes; a netd that goes takes none along. */
static void
test_dbus_goes(void **state)
{
	w_all_up();
	busd_up();
	told(&w_busd, 5, "bmc-n", "192.0.2.50");
	told(&w_busd, 6, "bmc-m", "192.0.2.51");
	ended(&w_busd);
	assert_int_equal(neighbours(), 2);
	w_down(&w_netd);
	w_netd_up();
	ended(&w_netd);
	assert_int_equal(neighbours(), 2);
	chan_close(w_busd.theirs);
	pump();
	assert_null(w_busd.ours);
	assert_int_equal(neighbours(), 0);
	busd_up();
	told(&w_busd, 1, "bmc-m", "192.0.2.51");
	ended(&w_busd);
	assert_int_equal(neighbours(), 1);
}

/* Without 'neighbours from dbus' busd has nothing to say of them. */
static void
test_not_from_dbus(void **state)
{
	uint64_t	before = hubd_count(R_BUS_SOURCE);

	config.dbus_neighbours = false;
	w_all_up();
	busd_up();
	told(&w_netd, 5, "bmc-n", "192.0.2.50");
	told(&w_busd, 5, "bmc-n", "192.0.2.66");
	ended(&w_busd);
	assert_int_equal(neighbours(), 1);
	assert_string_equal(neighbour_byname("bmc-n")->m.address4,
	    "192.0.2.50");
	assert_int_equal(hubd_count(R_BUS_SOURCE) - before, 2);
	assert_non_null(w_busd.ours);
	/* netd keeps its own over a busd that goes. */
	chan_close(w_busd.theirs);
	pump();
	assert_int_equal(neighbours(), 1);
}

static void
test_addresses(void **state)
{
	assert_true(address_equal("192.0.2.1", "::ffff:192.0.2.1"));
	assert_true(address_equal("fe80::1%eth0", "fe80:0::1"));
	assert_false(address_equal("fe80::1", "fe80::2"));
	assert_false(address_equal("", ""));
	assert_false(address_equal("bmc-b", "bmc-b"));
	assert_false(address_equal("192.0.2.1", "192.0.2.10"));
}

int
main(void)
{
#define T(f)	cmocka_unit_test_setup_teardown(f, w_setup, w_teardown)
#define D(f)	cmocka_unit_test_setup_teardown(f, setup_dbus, teardown_dbus)
	const struct CMUnitTest tests[] = {
		T(test_configured),
		T(test_mapped_address),
		T(test_mctp),
		T(test_stranger),
		T(test_unlisted),
		T(test_knocking),
		T(test_address_from_lldp),
		T(test_nowhere),
		T(test_twin),
		T(test_configured_address_wins),
		T(test_knock_before_lldp),
		T(test_rule_makes_peers),
		T(test_table),
		D(test_dbus),
		D(test_dbus_goes),
		D(test_not_from_dbus),
		cmocka_unit_test(test_addresses),
	};

	return cmocka_run_group_tests_name("inbound", tests, NULL, NULL);
}
