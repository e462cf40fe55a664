/*
 * busd_progress: what became of a request goes by itself, some time after its
 * end; and one whose end was never said does not stay for ever.
 */
#include "bus_world.h"

/* Not five minutes, and not a quarter of an hour. */
#define KEEP_MS		100
#define LIMIT_MS	300
#include "../../busd/progress.c"

#define PROGRESS_B	BUS_PROGRESS "/bmc_2db"

static struct caller	*root;

static int
setup_root(void **state)
{
	struct msg_bus_peer	m = peer_words(1, "bmc-b");

	setup(state);
	root = caller_open(0, false);
	caller_listen(root, BUS_ROOT);
	say_peer(&m);
	signals_settle(root);
	signals_clear(root);
	return 0;
}

static int
teardown_root(void **state)
{
	caller_close(root);
	return teardown(state);
}

static void
provision(const char *name)
{
	struct answer	a;

	call_wait(root, &a, BUS_ROOT, BUS_IFACE, "ProvisionPeer", name);
	assert_false(a.error);
	answer_free(&a);
}

static bool
heard(const char *what)
{
	return strstr(root->signals, what) != NULL;
}

static void
test_goes(void **state)
{
	struct msg_bus_outcome	m = { .peer = 1, .asked = true,
	    .provisioned = true };
	struct answer		a;

	provision("bmc-b");
	chan_send(w.hub, MSG_BUS_OUTCOME, &m, -1);
	WAIT_FOR(heard(STATUS("Completed")));
	WAIT_FOR(heard("InterfacesRemoved " PROGRESS_B ";"));
	call_wait(root, &a, PROGRESS_B, PROPERTIES, "GetAll", IFACE_COMMON);
	assert_true(a.error);
	answer_free(&a);
}

/* Two of them, each at its time. */
static void
test_limit(void **state)
{
	provision("bmc-b");
	provision("self");
	WAIT_FOR(heard(PROGRESS_B " PropertiesChanged Status="
	    STATUS("Aborted")));
	WAIT_FOR(heard("InterfacesRemoved " PROGRESS_B ";"));
	WAIT_FOR(heard("InterfacesRemoved " BUS_PROGRESS "/self;"));
	assert_true(heard(BUS_PROGRESS "/self PropertiesChanged Status="
	    STATUS("Aborted")));
	assert_false(heard(STATUS("Completed")));
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test_setup_teardown(test_goes, setup_root,
		    teardown_root),
		cmocka_unit_test_setup_teardown(test_limit, setup_root,
		    teardown_root),
	};
	const char		*lacks = world_lacks();

	if (lacks != NULL) {
		printf("1..0 # SKIP %s\n", lacks);
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
