/* neighbour: who was heard; bounded and aged. Time is chosen here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "../../netd/lldp.h"

#define T0	1000000ULL	/* ms */

static unsigned	nheard, ngone, nfresh, nseen;
static uint32_t	heard_id, gone_id;
static char	heard_name[LLDP_STR_MAX + 1];

static void
on_heard(const struct neighbour *n)
{
	nheard++;
	heard_id = n->id;
	memcpy(heard_name, n->pdu.system_name, sizeof(heard_name));
}

static void
on_gone(uint32_t id)
{
	ngone++;
	gone_id = id;
}

static void
on_fresh(void)
{
	nfresh++;
}

/* The trusted peer is at 192.0.2.99. */
static bool
on_known(const struct lldpdu *p)
{
	return p->naddr4 > 0 && p->addr4[0].s_addr == htonl(0xc0000263);
}

static const struct neighbour_ops ops = { on_heard, on_gone, on_fresh,
    on_known };

static int
setup(void **state)
{
	nheard = ngone = nfresh = nseen = 0;
	heard_id = gone_id = 0;
	return neighbour_init(&ops);
}

static int
teardown(void **state)
{
	neighbour_free();
	return 0;
}

/* Station number, port number, name, TTL. */
static const struct lldpdu *
pdu(unsigned station, unsigned port, const char *name, uint16_t ttl)
{
	static struct lldpdu	p;

	memset(&p, 0, sizeof(p));
	p.chassis.subtype = LLDP_CHASSIS_MAC;
	p.chassis.len = 6;
	p.chassis.data[4] = (uint8_t)(station >> 8);
	p.chassis.data[5] = (uint8_t)station;
	p.port.subtype = LLDP_PORT_IFNAME;
	p.port.len = 1;
	p.port.data[0] = (uint8_t)port;
	p.ttl = ttl;
	snprintf(p.system_name, sizeof(p.system_name), "%s", name);
	return &p;
}

static void
test_new_is_reported_once(void **state)
{
	assert_int_equal(neighbour_heard(pdu(1, 1, "bmc-b", 120), T0), R_OK);
	assert_int_equal(neighbour_heard(pdu(1, 1, "bmc-b", 120), T0 + 30000),
	    R_OK);
	assert_int_equal(nheard, 1);
	assert_int_equal(nfresh, 1);
	assert_string_equal(heard_name, "bmc-b");
	assert_int_equal(neighbour_count(), 1);
}

static void
test_a_row_is_chassis_and_port(void **state)
{
	neighbour_heard(pdu(1, 1, "a", 120), T0);
	neighbour_heard(pdu(1, 2, "a", 120), T0);
	neighbour_heard(pdu(2, 1, "a", 120), T0);
	assert_int_equal(neighbour_count(), 3);
	assert_int_equal(nheard, 3);
}

static void
test_change_is_reported(void **state)
{
	struct lldpdu	p;

	neighbour_heard(pdu(1, 1, "a", 120), T0);
	neighbour_heard(pdu(1, 1, "b", 120), T0 + 2000);
	assert_int_equal(nheard, 2);
	assert_string_equal(heard_name, "b");
	p = *pdu(1, 1, "b", 120);
	p.naddr4 = 1;
	p.addr4[0].s_addr = 1;
	neighbour_heard(&p, T0 + 4000);
	assert_int_equal(nheard, 3);
	p.naddr6 = 1;
	neighbour_heard(&p, T0 + 6000);
	assert_int_equal(nheard, 4);
	p.ttl = 60;
	neighbour_heard(&p, T0 + 8000);
	assert_int_equal(nheard, 5);
	assert_int_equal(nfresh, 1);
	/* descriptions reach nobody */
	p.system_description[0] = 'x';
	neighbour_heard(&p, T0 + 10000);
	assert_int_equal(nheard, 5);
}

/* A row that changes at every frame is reported once a second. */
static void
test_changes_wait(void **state)
{
	char		name[16];
	unsigned	i;

	for (i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		neighbour_heard(pdu(1, 1, name, 120), T0 + i);
	}
	assert_int_equal(nheard, 1);
	neighbour_sweep(T0 + 500);
	assert_int_equal(nheard, 1);
	neighbour_sweep(T0 + 1000);
	assert_int_equal(nheard, 2);
	assert_string_equal(heard_name, "n99");
	neighbour_sweep(T0 + 9000);
	assert_int_equal(nheard, 2);
}

static void
test_ttl_ages(void **state)
{
	uint32_t	first;

	neighbour_heard(pdu(1, 1, "a", 3), T0);
	first = heard_id;
	neighbour_heard(pdu(2, 1, "b", 120), T0);
	neighbour_sweep(T0 + 2999);
	assert_int_equal(ngone, 0);
	neighbour_sweep(T0 + 3000);
	assert_int_equal(ngone, 1);
	assert_int_equal(gone_id, first);
	assert_int_equal(neighbour_count(), 1);
	/* heard again: another row */
	neighbour_heard(pdu(1, 1, "a", 3), T0 + 4000);
	assert_int_equal(heard_id, first + 2);
}

static void
test_refresh_keeps(void **state)
{
	unsigned	i;

	for (i = 0; i < 10; i++) {
		neighbour_heard(pdu(1, 1, "a", 3), T0 + i * 2000);
		neighbour_sweep(T0 + i * 2000 + 1999);
	}
	assert_int_equal(ngone, 0);
	assert_int_equal(nheard, 1);
}

static void
test_ttl_zero_removes(void **state)
{
	uint32_t	first;

	neighbour_heard(pdu(1, 1, "a", 120), T0);
	first = heard_id;
	neighbour_heard(pdu(2, 1, "b", 120), T0);
	assert_int_equal(neighbour_heard(pdu(1, 1, "", 0), T0 + 1), R_OK);
	assert_int_equal(ngone, 1);
	assert_int_equal(gone_id, first);
	assert_int_equal(neighbour_count(), 1);
	/* goodbye from somebody who was never there */
	assert_int_equal(neighbour_heard(pdu(9, 1, "", 0), T0 + 2), R_OK);
	assert_int_equal(ngone, 1);
	assert_int_equal(nheard, 2);
}

/* A newcomer is refused, those that are there stay and are still refreshed. */
static void
test_full_table_refuses(void **state)
{
	unsigned	i;

	for (i = 0; i < NEIGHBOUR_MAX; i++)
		assert_int_equal(neighbour_heard(pdu(i, 1, "a", 10), T0), R_OK);
	assert_int_equal(neighbour_heard(pdu(999, 1, "x", 10), T0 + 5000),
	    R_LLD_TABLE);
	assert_int_equal(neighbour_count(), NEIGHBOUR_MAX);
	assert_int_equal(neighbour_heard(pdu(5, 1, "a", 10), T0 + 5000), R_OK);
	neighbour_sweep(T0 + 10000);
	assert_int_equal(neighbour_count(), 1);
	assert_int_equal(ngone, NEIGHBOUR_MAX - 1);
	assert_int_equal(neighbour_heard(pdu(999, 1, "x", 10), T0 + 10000),
	    R_OK);
}

/* Strangers who said "18 hours" and left do not shut others out so long. */
static void
test_full_table_of_the_silent(void **state)
{
	unsigned	i;
	uint32_t	first = 0;

	for (i = 0; i < NEIGHBOUR_MAX; i++) {
		neighbour_heard(pdu(i, 1, "a", UINT16_MAX), T0);
		if (i == 0)
			first = heard_id;
	}
	for (i = 1; i < NEIGHBOUR_MAX; i++)
		neighbour_heard(pdu(i, 1, "a", UINT16_MAX), T0 + 60000);
	assert_int_equal(neighbour_heard(pdu(999, 1, "x", 120), T0 + 119999),
	    R_LLD_TABLE);
	assert_int_equal(neighbour_heard(pdu(999, 1, "x", 120), T0 + 120000),
	    R_OK);
	assert_int_equal(ngone, 1);
	assert_int_equal(gone_id, first);
	assert_int_equal(neighbour_count(), NEIGHBOUR_MAX);
	/* the others were heard of a minute ago: they stay */
	assert_int_equal(neighbour_heard(pdu(998, 1, "y", 120), T0 + 121000),
	    R_LLD_TABLE);
}

static const struct lldpdu *
trusted(unsigned station)
{
	static struct lldpdu	p;

	p = *pdu(station, 1, "bmc-b", 120);
	p.naddr4 = 1;
	p.addr4[0].s_addr = htonl(0xc0000263);
	return &p;
}

/* Strangers who keep their rows fresh do not shut out a trusted peer... */
static void
test_known_takes_a_row(void **state)
{
	unsigned	i;

	for (i = 0; i < 200; i++)
		neighbour_heard(pdu(i, 1, "a", 120), T0);
	assert_int_equal(neighbour_heard(pdu(999, 1, "bmc-b", 120), T0 + 1),
	    R_LLD_TABLE);
	assert_int_equal(neighbour_heard(trusted(999), T0 + 1), R_OK);
	assert_int_equal(ngone, 1);
	assert_string_equal(heard_name, "bmc-b");
	assert_int_equal(neighbour_count(), NEIGHBOUR_MAX);
	/* and do not get its row back */
	for (i = 0; i < 200; i++)
		neighbour_heard(pdu(i, 1, "a", 120), T0 + 2000);
	assert_int_equal(ngone, 1);
}

/* ... and whoever claims its address takes no more than half of the rows. */
static void
test_known_are_bounded(void **state)
{
	unsigned	i, taken = 0;

	for (i = 0; i < NEIGHBOUR_MAX; i++)
		neighbour_heard(pdu(i, 1, "a", UINT16_MAX), T0);
	for (i = 0; i < 100; i++)
		if (neighbour_heard(trusted(1000 + i), T0 + 2000 * i / 2) ==
		    R_OK)
			taken++;
	assert_int_equal(taken, NEIGHBOUR_MAX / 2);
}

/* Rows that come and go at line rate do not become messages at line rate. */
static void
test_news_are_bounded(void **state)
{
	unsigned	i, refused = 0;

	for (i = 0; i < 10000; i++) {
		if (neighbour_heard(pdu(i, 1, "a", 120), T0) == R_LLD_RATE)
			refused++;
		neighbour_heard(pdu(i, 1, "a", 0), T0);
	}
	assert_int_equal(nheard, NEIGHBOUR_MAX);
	assert_int_equal(refused, 10000 - NEIGHBOUR_MAX);
	/* later there is room again, for a few */
	for (i = 0; i < 10; i++)
		neighbour_heard(pdu(i, 1, "a", 120), T0 + 3000);
	assert_int_equal(nheard, NEIGHBOUR_MAX + 3);
}

static void
see(const struct neighbour *n)
{
	nseen += n->id;
}

static void
test_each(void **state)
{
	uint32_t	first;

	neighbour_heard(pdu(1, 1, "a", 120), T0);
	first = heard_id;
	neighbour_heard(pdu(2, 1, "b", 120), T0);
	neighbour_heard(pdu(3, 1, "c", 120), T0);
	neighbour_heard(pdu(1, 1, "", 0), T0);
	neighbour_each(see);
	assert_int_equal(nseen, 2 * first + 1 + 2);
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		TEST(test_new_is_reported_once),
		TEST(test_a_row_is_chassis_and_port),
		TEST(test_change_is_reported),
		TEST(test_changes_wait),
		TEST(test_ttl_ages),
		TEST(test_refresh_keeps),
		TEST(test_ttl_zero_removes),
		TEST(test_full_table_refuses),
		TEST(test_full_table_of_the_silent),
		TEST(test_known_takes_a_row),
		TEST(test_known_are_bounded),
		TEST(test_news_are_bounded),
		TEST(test_each),
	};

	return cmocka_run_group_tests_name("neighbour", tests, NULL, NULL);
}
