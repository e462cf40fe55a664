/*
 * busd_lldp: neighbours of an LLDP service on the bus, that is played here:
 * what policyd is told of them, and of whom it is not.
 */
#include "bus_world.h"

/* It looks more often than the real one, as a rule. */
static uint64_t	again_ms = 50, look_ms = 300;
#define AGAIN_MS	again_ms
#define LOOK_MS		look_ms
#include "../../busd/lldp.c"

#define PORT(i)		TLV_ROOT "/" i "/receive"
#define OURS		PORT("eth1")

/* ---- the service ------------------------------------------------------------------- */

static struct service {
	struct caller	*c;
	unsigned	 looks;		/* GetManagedObjects that it answered */
	unsigned	 gets;		/* properties that were read */
	bool		 deny;		/* it answers no question */
	bool		 deaf;		/* nor does it say so */
	const char	*name, *address4, *address6, *chassis, *word;
	uint8_t		 number;	/* the subtype, where word is NULL */
} svc;

static int
get_string(sd_bus *b, const char *path, const char *face,
    const char *name, sd_bus_message *reply, void *arg, sd_bus_error *e)
{
	const char	*v = "";

	svc.gets++;
	if (strcmp(name, "SystemName") == 0)
		v = svc.name;
	else if (strcmp(name, "ManagementAddressIPv4") == 0)
		v = svc.address4;
	else if (strcmp(name, "ManagementAddressIPv6") == 0)
		v = svc.address6;
	else if (strcmp(name, "ChassisId") == 0)
		v = svc.chassis;
	else if (strcmp(name, "ChassisIdSubtype") == 0)
		v = svc.word;
	return sd_bus_message_append(reply, "s", v);
}

static int
get_number(sd_bus *b, const char *path, const char *face,
    const char *name, sd_bus_message *reply, void *arg, sd_bus_error *e)
{
	return sd_bus_message_append(reply, "y", svc.number);
}

static int
get_list(sd_bus *b, const char *path, const char *face,
    const char *name, sd_bus_message *reply, void *arg, sd_bus_error *e)
{
	return sd_bus_message_append(reply, "as", 2, "Station", "Bridge");
}

#define P(name, type, get)						\
	SD_BUS_PROPERTY(name, type, get, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE)

static const sd_bus_vtable	words[] = {
	SD_BUS_VTABLE_START(0),
	P("ChassisId", "s", get_string), P("ChassisIdSubtype", "s", get_string),
	P("ManagementAddressIPv4", "s", get_string),
	P("ManagementAddressIPv6", "s", get_string),
	P("PortId", "s", get_string), P("SystemCapabilities", "as", get_list),
	P("SystemName", "s", get_string),
	SD_BUS_VTABLE_END
};

/* The design of 2025: numbers. Its name is not even a string. */
static const sd_bus_vtable	numbers[] = {
	SD_BUS_VTABLE_START(0),
	P("ChassisId", "s", get_string), P("ChassisIdSubtype", "y", get_number),
	P("ManagementAddressIPv4", "s", get_string),
	P("ManagementVlanId", "y", get_number),
	P("PortIdSubtype", "y", get_number), P("SystemName", "as", get_list),
	SD_BUS_VTABLE_END
};

/* Counts what is asked of the service, before it answers. */
static int
count(sd_bus_message *m, void *arg, sd_bus_error *e)
{
	const char	*member = sd_bus_message_get_member(m);

	if (member == NULL || (strcmp(member, "GetManagedObjects") != 0 &&
	    strcmp(member, "GetAll") != 0))
		return 0;
	svc.looks++;
	if (svc.deaf)
		return 1;
	return !svc.deny ? 0 : sd_bus_reply_method_errorf(m,
	    SD_BUS_ERROR_FAILED, "no");
}

/* A service under the name, with nothing to show yet. */
static void
serve(const char *at)
{
	memset(&svc, 0, sizeof(svc));
	svc.name = svc.address4 = svc.address6 = svc.chassis = svc.word = "";
	svc.c = caller_open(0, false);
	if (at != NULL)
		assert_true(sd_bus_add_object_manager(svc.c->bus, NULL,
		    at) >= 0);
	assert_true(sd_bus_add_filter(svc.c->bus, NULL, count, NULL) >= 0);
	assert_true(sd_bus_request_name(svc.c->bus, SERVICE, 0) >= 0);
}

static sd_bus_slot *
show(const char *path, const sd_bus_vtable *v)
{
	sd_bus_slot	*slot;

	assert_true(sd_bus_add_object_vtable(svc.c->bus, &slot, path,
	    IFACE_TLVS, v, NULL) >= 0);
	/* It goes with the connection, unless hide() comes before. */
	assert_true(sd_bus_slot_set_floating(slot, 1) >= 0);
	sd_bus_slot_unref(slot);
	return slot;
}

static void
hide(sd_bus_slot *slot)
{
	sd_bus_slot_ref(slot);
	assert_true(sd_bus_slot_set_floating(slot, 0) >= 0);
	sd_bus_slot_unref(slot);
}

/* The signal alone, where there is no such object. */
static void
changed_nothing(void)
{
	assert_true(sd_bus_emit_signal(svc.c->bus, OURS, IFACE_PROPS,
	    "PropertiesChanged", "sa{sv}as", IFACE_TLVS, 0, 0) >= 0);
}

static void
changed(const char *path, const char *property_name)
{
	assert_true(sd_bus_emit_properties_changed(svc.c->bus, path,
	    IFACE_TLVS, property_name, NULL) >= 0);
}

static int
setup_lldp(void **state)
{
	struct msg_bus_node	m = node_words();

	world_dir();
	w.anybody = true;
	busd_neighbours = true;
	lldp_interface("eth1");
	bus_start_daemon();
	busd_start();
	busd_greeted();
	say_node(&m);
	say_end();
	WAIT_FOR(w.ready == 1);
	return 0;
}

static int
teardown_lldp(void **state)
{
	if (svc.c != NULL)
		caller_close(svc.c);
	svc.c = NULL;
	world_end();
	lldp_stop();		/* what this process has of it */
	return 0;
}

/* It has looked once more than it had, and policyd heard all that it saw. */
static void
looked_again(void)
{
	unsigned	before = svc.looks;

	WAIT_FOR(svc.looks >= before + 2);
}

/*
 * Nothing is asked any more: what was signalled before was looked at. From a
 * signal to the end of the look that it makes are some steps; each has had
 * its turn when busd has answered.
 */
static void
looked_at_rest(void)
{
	unsigned	 before = svc.looks, same = 0;
	struct answer	 a;

	while (same < 8) {
		call_wait(svc.c, &a, BUS_ROOT, PROPERTIES, "GetAll",
		    BUS_IFACE);
		answer_free(&a);
		same = svc.looks == before ? same + 1 : 0;
		before = svc.looks;
	}
}

/* ---- tests ---------------------------------------------------------------------------- */

/* Nobody has the name: policyd does not wait for neighbours. */
static void
test_absent(void **state)
{
	WAIT_FOR(w.neighbours_end == 1);
	assert_int_equal(w.neighbours, 0);
	assert_int_equal(w.counts[R_BUS_LLDP], 0);
}

static void
test_life(void **state)
{
	sd_bus_slot	*slot;
	uint32_t	 id;

	WAIT_FOR(w.neighbours_end == 1);
	serve(TLV_ROOT);
	svc.name = "bmc-b";
	svc.address4 = "192.0.2.7";
	svc.chassis = "02:00:00:00:00:01";
	svc.word = IFACE_TLVS ".IdSubtype.MacAddr";
	slot = show(OURS, words);
	assert_true(sd_bus_emit_interfaces_added(svc.c->bus, OURS, IFACE_TLVS,
	    NULL) >= 0);
	WAIT_FOR(w.neighbours == 1);
	id = w.neighbour.neighbour;
	assert_string_equal(w.neighbour.system_name, "bmc-b");
	assert_string_equal(w.neighbour.address4, "192.0.2.7");
	assert_string_equal(w.neighbour.address6, "");
	assert_int_equal(w.neighbour.chassis_subtype, 4);
	assert_int_equal(w.neighbour.chassis.len, 6);
	/* One that changes is the same; one that does not is no news. */
	svc.address4 = "192.0.2.8";
	changed(OURS, "ManagementAddressIPv4");
	WAIT_FOR(w.neighbours == 2);
	assert_int_equal(w.neighbour.neighbour, id);
	assert_string_equal(w.neighbour.address4, "192.0.2.8");
	changed(OURS, "ManagementAddressIPv4");
	looked_again();
	assert_int_equal(w.neighbours, 2);
	/* And one that changes silently is seen, too. */
	svc.address6 = "2001:db8::7";
	WAIT_FOR(w.neighbours == 3);
	assert_string_equal(w.neighbour.address6, "2001:db8::7");
	/* A port without a frame stays; there is nobody. */
	svc.name = svc.address4 = svc.address6 = svc.chassis = svc.word = "";
	WAIT_FOR(w.neighbours_gone == 1);
	svc.name = "bmc-c";
	WAIT_FOR(w.neighbours == 4);
	assert_true(w.neighbour.neighbour != id);
	assert_true(sd_bus_emit_interfaces_removed(svc.c->bus, OURS,
	    IFACE_TLVS, NULL) >= 0);
	hide(slot);
	WAIT_FOR(w.neighbours_gone == 2);
	assert_int_equal(w.neighbours_end, 1);
	assert_int_equal(w.counts[R_BUS_NEIGHBOUR], 0);
	assert_int_equal(w.counts[R_BUS_LLDP], 0);
}

/* Its neighbours go with the service; the next one is asked anew. */
static void
test_service_gone(void **state)
{
	unsigned	i;

	for (i = 1; i <= 3; i++) {
		serve("/");
		svc.name = "bmc-b";
		show(OURS, words);
		WAIT_FOR(w.neighbours == i);
		assert_int_equal(w.neighbour.neighbour, i);
		caller_close(svc.c);
		svc.c = NULL;
		WAIT_FOR(w.neighbours_gone == i);
	}
	assert_int_equal(w.neighbours_end, 1);
}

/* One that takes the name over is another one. */
static void
test_service_replaced(void **state)
{
	struct caller	*old;

	serve(TLV_ROOT);
	assert_true(sd_bus_release_name(svc.c->bus, SERVICE) >= 0);
	assert_true(sd_bus_request_name(svc.c->bus, SERVICE,
	    SD_BUS_NAME_ALLOW_REPLACEMENT) >= 0);
	svc.name = "bmc-b";
	show(OURS, words);
	WAIT_FOR(w.neighbours == 1);
	old = svc.c;
	svc.c = caller_open(0, false);
	assert_true(sd_bus_request_name(svc.c->bus, SERVICE,
	    SD_BUS_NAME_REPLACE_EXISTING) >= 0);
	WAIT_FOR(w.neighbours_gone == 1);
	/* The old one still signals, and is not heard. */
	assert_true(sd_bus_emit_interfaces_added(old->bus, OURS, IFACE_TLVS,
	    NULL) >= 0);
	show(OURS, words);
	WAIT_FOR(w.neighbours == 2);
	caller_close(old);
}

/* Values of another form are left out alone, counted; types are skipped. */
static void
test_nonsense(void **state)
{
	serve(TLV_ROOT);
	svc.name = "bmc\x1b[2J";
	svc.address4 = "127.0.0.1";
	svc.chassis = "rack 7";
	svc.word = "Frobnicated";
	show(OURS, words);
	WAIT_FOR(w.neighbours == 1);
	assert_string_equal(w.neighbour.system_name, "");
	assert_string_equal(w.neighbour.address4, "");
	assert_int_equal(w.neighbour.chassis_subtype, 7);
	WAIT_FOR(w.counts[R_BUS_NEIGHBOUR] >= 3);
	svc.word = "MacAddr";	/* and the text is none */
	svc.address4 = "192.0.2.7";
	changed(OURS, "ChassisIdSubtype");
	WAIT_FOR(w.neighbours == 2);
	assert_int_equal(w.neighbour.chassis.len, 0);
	assert_string_equal(w.neighbour.address4, "192.0.2.7");
}

static void
test_numbers(void **state)
{
	serve(TLV_ROOT);
	svc.number = 5;
	svc.chassis = "192.0.2.9";
	svc.address4 = "192.0.2.7";
	show(OURS, numbers);
	WAIT_FOR(w.neighbours == 1);
	assert_int_equal(w.neighbour.chassis_subtype, 5);
	assert_int_equal(w.neighbour.chassis.len, 5);
	assert_string_equal(w.neighbour.system_name, "");
	assert_int_equal(w.counts[R_BUS_NEIGHBOUR], 0);
	svc.number = 9;
	changed(OURS, "ChassisIdSubtype");
	WAIT_FOR(w.counts[R_BUS_NEIGHBOUR] > 0);
}

/* What other interfaces hear, or what we send, is not our neighbour. */
static void
test_other_objects(void **state)
{
	serve("/");
	svc.name = "bmc-x";
	show(PORT("eth0"), words);
	show(TLV_ROOT "/eth1/transmit", words);
	show(TLV_ROOT "/eth1", words);
	show("/eth1/receive", words);
	looked_again();
	assert_int_equal(w.neighbours, 0);
	svc.name = "bmc-b";
	show(OURS, words);
	WAIT_FOR(w.neighbours == 1);
}

/* Services without an ObjectManager have the object of OpenBMC's design. */
static void
test_without_manager(void **state)
{
	serve(NULL);
	svc.name = "bmc-b";
	show(OURS, words);
	WAIT_FOR(w.neighbours == 1);
	svc.name = "bmc-c";
	changed(OURS, "SystemName");
	WAIT_FOR(w.neighbours == 2);
	assert_string_equal(w.neighbour.system_name, "bmc-c");
	assert_int_equal(w.counts[R_BUS_LLDP], 0);
}

/* 64 rows, whatever it shows. */
static void
test_many(void **state)
{
	char		path[128];
	unsigned	i;

	serve(TLV_ROOT);
	svc.name = "bmc-b";
	for (i = 0; i < 100; i++) {
		snprintf(path, sizeof(path), OURS "/%u", i);
		show(path, words);
	}
	looked_again();
	WAIT_FOR(w.counts[R_LLD_TABLE] >= 36);
	assert_int_equal(w.neighbours, 64);
}

/* A service that signals without end is looked at as often as ever. */
static void
test_flood(void **state)
{
	uint64_t	began;
	unsigned	first, i;

	serve(TLV_ROOT);
	svc.name = "bmc-b";
	show(OURS, words);
	WAIT_FOR(w.neighbours == 1);
	first = svc.looks;
	began = uv_hrtime();
	for (i = 0; i < 2000; i++)
		changed(OURS, "SystemName");
	WAIT_FOR(svc.looks >= first + 3);
	assert_true(svc.looks - first <=
	    (uv_hrtime() - began) / 1000000 / AGAIN_MS + 2);
	assert_int_equal(w.neighbours, 1);
}

static int
setup_waiting(void **state)
{
	again_ms = 0;		/* at once, and of itself never */
	look_ms = 3600000;
	return setup_lldp(state);
}

static int
teardown_waiting(void **state)
{
	again_ms = 50;
	look_ms = 300;
	return teardown_lldp(state);
}

static void
lie(struct caller *c, bool of_owner)
{
	sd_bus_message	*m;

	assert_true(sd_bus_message_new_signal(c->bus, &m, OURS,
	    of_owner ? DRIVER : IFACE_PROPS,
	    of_owner ? "NameOwnerChanged" : "PropertiesChanged") >= 0);
	if (of_owner)
		assert_true(sd_bus_message_append(m, "sss", SERVICE, "x",
		    "") >= 0);
	else
		assert_true(sd_bus_message_append(m, "sa{sv}as", IFACE_TLVS, 0,
		    0) >= 0);
	assert_true(sd_bus_message_set_destination(m, BUS_NAME) >= 0);
	assert_true(sd_bus_send(c->bus, m, NULL) >= 0);
	sd_bus_message_unref(m);
}

/*
 * Whatever a signal says of its sender, only the owner of the name is heard:
 * here the bus would let everybody through.
 */
static void
test_impostor(void **state)
{
	struct caller	*c = caller_open(0, false);
	struct answer	 a;
	unsigned	 i, first;

	serve(TLV_ROOT);
	svc.name = "bmc-b";
	show(OURS, words);
	changed(OURS, "SystemName");
	WAIT_FOR(w.neighbours == 1);
	looked_at_rest();
	first = svc.looks;
	for (i = 0; i < 4; i++) {
		lie(c, i >= 2);
		call_wait(c, &a, BUS_ROOT, PROPERTIES, "GetAll", BUS_IFACE);
		assert_false(a.error);
		answer_free(&a);
	}
	svc.name = "bmc-c";
	changed(OURS, "SystemName");
	WAIT_FOR(w.neighbours == 2);
	assert_int_equal(svc.looks, first + 1);
	assert_int_equal(w.neighbours_gone, 0);
	caller_close(c);
}

/* It answers with an error: what was known stays, policyd does not wait. */
static void
test_refuses(void **state)
{
	serve(TLV_ROOT);
	svc.deny = true;
	WAIT_FOR(w.counts[R_BUS_LLDP] >= 1);
	WAIT_FOR(w.neighbours_end == 1);
	svc.deny = false;
	svc.name = "bmc-b";
	show(OURS, words);
	WAIT_FOR(w.neighbours == 1);
	svc.deny = true;
	looked_again();
	assert_int_equal(w.neighbours_gone, 0);
}

/* Whoever has its name and speaks another language altogether. */
static int
garble(sd_bus_message *m, void *arg, sd_bus_error *e)
{
	const char	*member = sd_bus_message_get_member(m);

	if (member == NULL || strcmp(member, "GetManagedObjects") != 0)
		return 0;
	return sd_bus_reply_method_return(m, "a{sv}", 1, "SystemName", "s",
	    "bmc-b");
}

static void
test_garbled(void **state)
{
	serve(NULL);
	assert_true(sd_bus_add_filter(svc.c->bus, NULL, garble, NULL) >= 0);
	WAIT_FOR(w.counts[R_BUS_LLDP] >= 2);
	assert_int_equal(w.neighbours, 0);
	assert_int_equal(w.neighbours_end, 1);
}

/* ---- answers that nobody thought of ---- */

static const char *const	properties[] = { "SystemName", "ChassisId",
    "ChassisIdSubtype", "PortId", "PortIdSubtype", "ManagementAddressIPv4",
    "ManagementAddressIPv6", "ManagementAddressMAC", "Direction", "" };
static const char *const	texts[] = { "", "bmc-b", "192.0.2.7",
    "2001:db8::7", "02:00:00:00:00:01", "MacAddr", "a\tb", "fe80::1%eth1",
    "Received", "NotTransmitted" };
static const char *const	paths[] = { OURS, OURS "d", OURS "/1", "/",
    TLV_ROOT, PORT("eth0") };
static const char *const	ifaces[] = { IFACE_TLVS, IFACE_TLVS, "a.b" };

static unsigned
pick(unsigned n)
{
	return (unsigned)random() % n;
}

static const char *
word(void)
{
	static char	longest[300];

	memset(longest, 'x', sizeof(longest) - 1);
	return pick(9) == 0 ? longest + pick(60) : texts[pick(N(texts))];
}

/* A variant of whatever type. */
static int
random_value(sd_bus_message *m)
{
	switch (pick(10)) {
	case 0:
		return sd_bus_message_append(m, "v", "y", pick(256));
	case 1:
		return sd_bus_message_append(m, "v", "q", pick(9));
	case 2:
		return sd_bus_message_append(m, "v", "t",
		    (uint64_t)pick(9) << pick(60));
	case 3:
		return sd_bus_message_append(m, "v", "as", 1, word());
	case 4:
		return sd_bus_message_append(m, "v", "a{sv}", 1, "x", "v", "s",
		    word());
	case 5:
		return sd_bus_message_append(m, "v", "d", 0.5);
	case 6:
		return sd_bus_message_append(m, "v", "(si)", word(), -1);
	default:
		return sd_bus_message_append(m, "v", "s", word());
	}
}

static int
random_object(sd_bus_message *m)
{
	unsigned	i, n = pick(12);

	if (sd_bus_message_append(m, "o", paths[pick(N(paths))]) < 0 ||
	    sd_bus_message_open_container(m, 'a', "{sa{sv}}") < 0 ||
	    sd_bus_message_open_container(m, 'e', "sa{sv}") < 0 ||
	    sd_bus_message_append(m, "s", ifaces[pick(N(ifaces))]) < 0 ||
	    sd_bus_message_open_container(m, 'a', "{sv}") < 0)
		return -1;
	for (i = 0; i < n; i++)
		if (sd_bus_message_open_container(m, 'e', "sv") < 0 ||
		    sd_bus_message_append(m, "s",
		    properties[pick(N(properties))]) < 0 ||
		    random_value(m) < 0 ||
		    sd_bus_message_close_container(m) < 0)
			return -1;
	return sd_bus_message_close_container(m) < 0 ||
	    sd_bus_message_close_container(m) < 0 ||
	    sd_bus_message_close_container(m) < 0 ? -1 : 0;
}

static int
random_answer(sd_bus_message *m, void *arg, sd_bus_error *e)
{
	const char	*member = sd_bus_message_get_member(m);
	sd_bus_message	*reply;
	unsigned	 i, n = pick(4);

	if (member == NULL || strcmp(member, "GetManagedObjects") != 0)
		return 0;
	svc.looks++;
	if (pick(9) == 0)
		return sd_bus_reply_method_return(m, pick(2) == 0 ? "s" : "",
		    "nonsense");
	assert_true(sd_bus_message_new_method_return(m, &reply) >= 0);
	assert_true(sd_bus_message_open_container(reply, 'a',
	    "{oa{sa{sv}}}") >= 0);
	for (i = 0; i < n; i++) {
		assert_true(sd_bus_message_open_container(reply, 'e',
		    "oa{sa{sv}}") >= 0);
		assert_int_equal(random_object(reply), 0);
		assert_true(sd_bus_message_close_container(reply) >= 0);
	}
	assert_true(sd_bus_message_close_container(reply) >= 0);
	assert_true(sd_bus_send(svc.c->bus, reply, NULL) >= 0);
	sd_bus_message_unref(reply);
	return 1;
}

/*
 * Objects, interfaces and values in any order and of any type: policyd gets
 * messages that it takes, or none, and busd goes on.
 */
static void
test_random(void **state)
{
	unsigned	seed = (unsigned)time(NULL), i, before;

	print_message("# seed %u\n", seed);
	srandom(seed);
	serve(NULL);
	assert_true(sd_bus_add_filter(svc.c->bus, NULL, random_answer,
	    NULL) >= 0);
	for (i = 0; i < 500; i++) {
		before = svc.looks;
		changed_nothing();
		WAIT_FOR(svc.looks > before || w.hub == NULL);
		assert_non_null(w.hub);
	}
	assert_true(w.neighbours > 0);
	assert_int_equal(w.offences, 0);
	assert_int_equal(w.neighbours_end, 1);
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, setup_lldp, teardown_lldp)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		TEST(test_absent),
		TEST(test_life),
		TEST(test_service_gone),
		TEST(test_service_replaced),
		TEST(test_nonsense),
		TEST(test_numbers),
		TEST(test_other_objects),
		TEST(test_without_manager),
		TEST(test_many),
		TEST(test_flood),
		cmocka_unit_test_setup_teardown(test_impostor, setup_waiting,
		    teardown_waiting),
		TEST(test_refuses),
		TEST(test_garbled),
		cmocka_unit_test_setup_teardown(test_random, setup_waiting,
		    teardown_waiting),
	};
	const char		*lacks = world_lacks();

	if (lacks != NULL) {
		printf("1..0 # SKIP %s\n", lacks);
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
