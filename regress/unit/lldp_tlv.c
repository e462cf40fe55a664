/*
 * lldp_tlv: what an LLDP service shows on the bus, and what becomes of it
 * (IEEE 802.1AB-2016; OpenBMC's xyz.openbmc_project.Network.LLDP.TLVs).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "../../busd/lldp_tlv.h"

#define N(a)	(sizeof(a) / sizeof((a)[0]))
#define WORD(w)	"xyz.openbmc_project.Network.LLDP.TLVs.IdSubtype." w

static enum reason
text(struct tlvs *t, const char *property, const char *value)
{
	return tlv_text(t, property, value);
}

static void
good(struct tlvs *t, const char *property, const char *value)
{
	if (text(t, property, value) != R_OK)
		fail_msg("%s \"%s\" was refused", property, value);
}

static void
bad(struct tlvs *t, const char *property, const char *value)
{
	if (text(t, property, value) != R_BUS_NEIGHBOUR)
		fail_msg("%s \"%s\" was taken", property, value);
}

/* The words of OpenBMC, as its service sends them. */
static void
test_whole(void **state)
{
	static const uint8_t	 mac[] = { 2, 0, 0, 0, 0xab, 1 };
	struct msg_neighbour	 m;
	struct tlvs		 t = { .has_mac = false };
	bool			 there;

	good(&t, "ChassisId", "02:00:00:00:AB:01");
	good(&t, "ChassisIdSubtype", WORD("MacAddr"));
	good(&t, "PortId", "eth1");
	good(&t, "PortIdSubtype", WORD("IfName"));
	good(&t, "SystemName", "bmc-b");
	good(&t, "SystemDescription", "a BMC");
	good(&t, "ManagementAddressIPv4", "192.0.2.7");
	good(&t, "ManagementAddressIPv6", "2001:db8:0::0007");
	good(&t, "Direction",
	    "xyz.openbmc_project.Network.LLDP.TLVs.Direction.Received");
	assert_int_equal(tlv_neighbour(&t, &m, &there), R_OK);
	assert_true(there);
	assert_int_equal(m.neighbour, 0);
	assert_int_equal(m.chassis_subtype, 4);
	assert_int_equal(m.chassis.len, 6);
	assert_memory_equal(m.chassis.data, mac, 6);
	assert_int_equal(m.port_subtype, 5);
	assert_int_equal(m.port.len, 4);
	assert_memory_equal(m.port.data, "eth1", 4);
	assert_string_equal(m.system_name, "bmc-b");
	assert_string_equal(m.address4, "192.0.2.7");
	assert_string_equal(m.address6, "2001:db8::7");
}

/* A port that holds no frame has an object with nothing in it. */
static void
test_nobody(void **state)
{
	struct msg_neighbour	 m;
	struct tlvs		 t = { .has_mac = false };
	bool			 there = true;

	assert_int_equal(tlv_neighbour(&t, &m, &there), R_OK);
	assert_false(there);
	good(&t, "ChassisId", "");
	good(&t, "ChassisIdSubtype", WORD("NotTransmitted"));
	good(&t, "SystemName", "");
	good(&t, "ManagementAddressIPv4", "");
	good(&t, "ManagementAddressIPv6", "");
	good(&t, "ManagementAddressMAC", "");
	good(&t, "PortId", "eth1");	/* a port alone is nobody */
	assert_int_equal(tlv_neighbour(&t, &m, &there), R_OK);
	assert_false(there);
	good(&t, "SystemName", "bmc-b");
	tlv_neighbour(&t, &m, &there);
	assert_true(there);
	good(&t, "Direction", "Transmitted");	/* what we send ourselves */
	tlv_neighbour(&t, &m, &there);
	assert_false(there);
}

/* Each subtype, as a number and as a word of either generation. */
static void
test_subtypes(void **state)
{
	static const struct {
		const char	*word;
		uint8_t		 chassis, port;
	} rows[] = {
		{ "AgentId", 0, 6 }, { "ChassisComp", 1, 0 },
		{ "ChassisComponent", 1, 0 }, { "IfAlias", 2, 1 },
		{ "IfName", 6, 5 }, { "LocalAssign", 7, 7 },
		{ "LocalAssigned", 7, 7 }, { "MacAddr", 4, 3 },
		{ "MacAddress", 4, 3 }, { "NetworkAddr", 5, 4 },
		{ "PortComp", 3, 2 }, { "PortComponent", 3, 2 },
	};
	struct tlvs	 t = { .has_mac = false };
	size_t		 i;

	for (i = 0; i < N(rows); i++) {
		assert_int_equal(text(&t, "ChassisIdSubtype", rows[i].word),
		    rows[i].chassis == 0 ? R_BUS_NEIGHBOUR : R_OK);
		assert_int_equal(t.chassis.subtype, rows[i].chassis);
		assert_int_equal(text(&t, "PortIdSubtype", rows[i].word),
		    rows[i].port == 0 ? R_BUS_NEIGHBOUR : R_OK);
		assert_int_equal(t.port.subtype, rows[i].port);
	}
	bad(&t, "ChassisIdSubtype", WORD("Frobnicated"));
	bad(&t, "PortIdSubtype", WORD("macaddr"));
	for (i = 0; i <= 7; i++) {
		assert_int_equal(tlv_number(&t, "ChassisIdSubtype", i), R_OK);
		assert_int_equal(t.chassis.subtype, i);
		assert_int_equal(tlv_number(&t, "PortIdSubtype", i), R_OK);
		assert_int_equal(t.port.subtype, i);
	}
	assert_int_equal(tlv_number(&t, "PortIdSubtype", 8), R_BUS_NEIGHBOUR);
	assert_int_equal(t.port.subtype, 0);
	assert_int_equal(tlv_number(&t, "ChassisIdSubtype", UINT64_MAX),
	    R_BUS_NEIGHBOUR);
	assert_int_equal(t.chassis.subtype, 0);
	assert_int_equal(tlv_number(&t, "ManagementVlanId", UINT64_MAX), R_OK);
}

/* An id is written as LLDP has it, or not at all; the rest still counts. */
static void
test_ids(void **state)
{
	static const struct {
		uint8_t		 subtype;	/* of a chassis */
		const char	*text;
		uint32_t	 seen, len;	/* len 0: left out */
		uint8_t		 first;
	} rows[] = {
		{ 0, "02:00:00:00:00:01", 4, 6, 2 },
		{ 0, "rack 7", 7, 6, 'r' },
		{ 0, "02:00:00:00:00:0", 7, 16, '0' },
		{ 4, "02-00-00-00-00-01", 4, 6, 2 },
		{ 4, "02-00:00-00-00-01", 0, 0, 0 },
		{ 4, "02.00.00.00.00.01", 0, 0, 0 },
		{ 4, "02:00:00:00:00:01:02", 0, 0, 0 },
		{ 4, "02:00:00:00:00:0g", 0, 0, 0 },
		{ 4, "020000000001", 0, 0, 0 },
		{ 5, "192.0.2.9", 5, 5, 1 },
		{ 5, "2001:db8::9", 5, 17, 2 },
		{ 5, "192.0.2", 0, 0, 0 },
		{ 5, "1 192.0.2.9", 0, 0, 0 },
		{ 1, "\t", 1, 1, '\t' },	/* bytes, to whoever shows them */
		{ 7, "02:00:00:00:00:01", 7, 17, '0' },
	};
	struct msg_neighbour	 m;
	struct tlvs		 t;
	bool			 there;
	size_t			 i;

	for (i = 0; i < N(rows); i++) {
		memset(&t, 0, sizeof(t));
		good(&t, "ChassisId", rows[i].text);
		good(&t, "SystemName", "b");
		t.chassis.subtype = rows[i].subtype;
		assert_int_equal(tlv_neighbour(&t, &m, &there),
		    rows[i].len == 0 ? R_BUS_NEIGHBOUR : R_OK);
		assert_true(there);
		assert_string_equal(m.system_name, "b");
		assert_int_equal(m.chassis_subtype, rows[i].seen);
		assert_int_equal(m.chassis.len, rows[i].len);
		assert_int_equal(m.chassis.data[0], rows[i].first);
	}
	/* Ports count differently. */
	memset(&t, 0, sizeof(t));
	good(&t, "PortId", "192.0.2.9");
	assert_int_equal(tlv_number(&t, "PortIdSubtype", 5), R_OK);
	assert_int_equal(tlv_neighbour(&t, &m, &there), R_OK);
	assert_int_equal(m.port.len, 9);
	assert_int_equal(tlv_number(&t, "PortIdSubtype", 4), R_OK);
	assert_int_equal(tlv_neighbour(&t, &m, &there), R_OK);
	assert_int_equal(m.port.len, 5);
	assert_int_equal(tlv_number(&t, "PortIdSubtype", 3), R_OK);
	assert_int_equal(tlv_neighbour(&t, &m, &there), R_BUS_NEIGHBOUR);
	assert_int_equal(m.port.len, 0);
}

/* The management MAC address names a chassis that has no id. */
static void
test_mac(void **state)
{
	struct msg_neighbour	 m;
	struct tlvs		 t = { .has_mac = false };
	bool			 there;

	good(&t, "ManagementAddressMAC", "02:00:00:00:00:aa");
	assert_int_equal(tlv_neighbour(&t, &m, &there), R_OK);
	assert_true(there);
	assert_int_equal(m.chassis_subtype, 4);
	assert_int_equal(m.chassis.len, 6);
	assert_int_equal(m.chassis.data[5], 0xaa);
	good(&t, "ChassisId", "rack 7");
	tlv_neighbour(&t, &m, &there);
	assert_int_equal(m.chassis_subtype, 7);
	bad(&t, "ManagementAddressMAC", "03:00:00:00:00:aa");	/* a group */
	assert_false(t.has_mac);
	bad(&t, "ManagementAddressMAC", "00:00:00:00:00:00");
	bad(&t, "ManagementAddressMAC", "02:00:00:00:00");
	good(&t, "ManagementAddressMAC", "02:00:00:00:00:aa");
	good(&t, "ManagementAddressMAC", "");
	assert_false(t.has_mac);
}

/* Only addresses of a host that could be asked. What is refused is gone. */
static void
test_addresses(void **state)
{
	static const char *const bad4[] = { "127.0.0.1", "0.0.0.0", "0.1.2.3",
	    "224.0.0.251", "255.255.255.255", "192.0.2", "192.0.2.256",
	    "192.0.2.7 ", "::1", "bmc-b", "192.0.2.7%eth0",
	    "192.0.2.7/24" };
	static const char *const bad6[] = { "::", "::1", "ff02::1",
	    "::ffff:192.0.2.7", "::192.0.2.7", "2001:db8::7%eth0", "fe80",
	    "fe80::1::2", "192.0.2.7", "%eth0",
	    "2001:db8:0000:0000:0000:0000:0000:0000:0000:0007",
	    "00000000000000000000000000000000000000000000001%e" };
	struct msg_neighbour	 m;
	struct tlvs		 t = { .has_mac = false };
	bool			 there;
	size_t			 i;

	for (i = 0; i < N(bad4); i++) {
		good(&t, "ManagementAddressIPv4", "192.0.2.7");
		bad(&t, "ManagementAddressIPv4", bad4[i]);
		assert_string_equal(t.address4, "");
	}
	for (i = 0; i < N(bad6); i++) {
		good(&t, "ManagementAddressIPv6", "2001:db8::7");
		bad(&t, "ManagementAddressIPv6", bad6[i]);
		assert_string_equal(t.address6, "");
	}
	good(&t, "ManagementAddressIPv6", "fe80::1%eth1");
	tlv_neighbour(&t, &m, &there);
	assert_true(there);
	assert_string_equal(m.address6, "fe80::1");
}

/* A name goes to terminals and logs. */
static void
test_names(void **state)
{
	static const char *const names[] = { "a\nb", "\x1b[2J", "a\x7f",
	    "\xe2\x80\xaex", "\xc2\x85", "\xc0\x80", "\xed\xa0\x80", "\xff",
	    "\xf4\x90\x80\x80", "caf\xc3" };
	struct tlvs	 t = { .has_mac = false };
	char		 longest[TLV_MAX + 2];
	size_t		 i;

	for (i = 0; i < N(names); i++) {
		good(&t, "SystemName", "bmc-b");
		bad(&t, "SystemName", names[i]);
		assert_string_equal(t.name, "");
	}
	good(&t, "SystemName", "B\xc3\xbcro \xe6\xa9\x9f 7");
	memset(longest, 'x', sizeof(longest));
	longest[TLV_MAX + 1] = '\0';
	bad(&t, "SystemName", longest);
	bad(&t, "ChassisId", longest);
	bad(&t, "PortId", longest);
	longest[TLV_MAX] = '\0';
	good(&t, "SystemName", longest);
	good(&t, "ChassisId", longest);
	good(&t, "PortId", longest);
	bad(&t, "Direction", "Sideways");
	good(&t, "Direction", "Received");
	good(&t, "NobodyKnowsThis", "\x1b[2J");
}

static void
test_paths(void **state)
{
	static const struct {
		const char	*path, *interface;
		bool		 ok;
	} rows[] = {
		{ TLV_ROOT "/eth1/receive", "eth1", true },
		{ TLV_ROOT "/eth1/received", "eth1", true },
		{ TLV_ROOT "/eth1/Receive", "eth1", true },
		{ TLV_ROOT "/eth1/receive/2", "eth1", true },
		{ TLV_ROOT "/eth1/transmit", "eth1", false },
		{ TLV_ROOT "/eth1", "eth1", false },
		{ TLV_ROOT "/eth1/", "eth1", false },
		{ TLV_ROOT "/eth2/receive", "eth1", false },
		{ TLV_ROOT "/eth11/receive", "eth1", false },
		{ TLV_ROOT "/eth/receive", "eth1", false },
		{ TLV_ROOT, "eth1", false },
		{ "/xyz/openbmc_project/network/eth1/receive", "eth1", false },
		{ "/", "eth1", false },
		{ TLV_ROOT "/eth0_5/receive", "eth0.5", true },
		{ TLV_ROOT "/eth0_2e5/receive", "eth0.5", true },
		{ TLV_ROOT "/eth0_2e5/receive", "eth0.6", false },
		{ TLV_ROOT "/eth0_/receive", "eth0.5", false },
		{ TLV_ROOT "/eth_0/receive", "eth_0", true },
		{ TLV_ROOT "/eth_5f0/receive", "eth_0", true },
		{ TLV_ROOT "/eth1/receive", "", true },
		{ TLV_ROOT "/eth1/transmit", "", false },
		{ TLV_ROOT "/gpu/port_1/received", "", false },
	};
	size_t	i;

	for (i = 0; i < N(rows); i++)
		if (tlv_path(rows[i].path, rows[i].interface) != rows[i].ok)
			fail_msg("%s on \"%s\"", rows[i].path,
			    rows[i].interface);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_subtypes),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_mac),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
