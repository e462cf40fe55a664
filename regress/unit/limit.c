/* limit: what strangers may take, for each address and in all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "../../netd/netd.h"

static const struct link	none;

static int
setup(void **state)
{
	static const struct conf	conf = { .max_connections = 10,
	    .max_per_address = 3, .max_half_open = 5 };

	limit_init(&conf);
	return 0;
}

static int
teardown(void **state)
{
	limit_free();
	return 0;
}

static const struct sockaddr_storage *
from(const char *text)
{
	static struct sockaddr_storage	ss;
	socklen_t			len;

	assert_int_equal(addr_parse(text, 1024, &none, &ss, &len), 0);
	return &ss;
}

static const struct sockaddr_storage *
host(unsigned n)
{
	char	text[32];

	snprintf(text, sizeof(text), "192.0.2.%u", n);
	return from(text);
}

static void
test_per_address(void **state)
{
	unsigned	i;

	for (i = 0; i < 3; i++)
		assert_int_equal(limit_take(host(1), LIMIT_TLS, true), R_OK);
	assert_int_equal(limit_take(host(1), LIMIT_TLS, true), R_NET_PER_ADDRESS);
	assert_int_equal(limit_take(host(2), LIMIT_TLS, true), R_OK);
	assert_int_equal(limit_total(LIMIT_TLS), 4);
	limit_release(host(1), LIMIT_TLS);
	assert_int_equal(limit_take(host(1), LIMIT_TLS, true), R_OK);
	assert_int_equal(limit_take(host(1), LIMIT_TLS, true), R_NET_PER_ADDRESS);
}

static void
test_in_all(void **state)
{
	unsigned	i;

	for (i = 0; i < 10; i++)
		assert_int_equal(limit_take(host(i), LIMIT_TLS, true), R_OK);
	assert_int_equal(limit_take(host(10), LIMIT_TLS, true), R_NET_TOTAL);
	assert_int_equal(limit_take(host(1), LIMIT_TLS, true), R_NET_TOTAL);
	limit_release(host(0), LIMIT_TLS);
	assert_int_equal(limit_take(host(10), LIMIT_TLS, true), R_OK);
	assert_int_equal(limit_total(LIMIT_TLS), 10);
}

/* Half-open connections have a bound of their own; so has SPDM. */
static void
test_classes_are_apart(void **state)
{
	unsigned	i;

	for (i = 0; i < 5; i++)
		assert_int_equal(limit_take(host(i), LIMIT_HALF, true), R_OK);
	assert_int_equal(limit_take(host(9), LIMIT_HALF, true), R_NET_TOTAL);
	for (i = 0; i < 5; i++)
		assert_int_equal(limit_take(host(i), LIMIT_SPDM, true), R_OK);
	assert_int_equal(limit_take(host(9), LIMIT_SPDM, true), R_NET_TOTAL);
	assert_int_equal(limit_take(host(9), LIMIT_TLS, true), R_OK);
	for (i = 0; i < 5; i++)
		limit_release(host(i), LIMIT_HALF);
	assert_int_equal(limit_total(LIMIT_HALF), 0);
	assert_int_equal(limit_total(LIMIT_SPDM), 5);
}

/* IPv4 over the dual-stack socket is the same address as IPv4. */
static void
test_mapped_is_the_same(void **state)
{
	assert_int_equal(limit_take(from("192.0.2.1"), LIMIT_TLS, true), R_OK);
	assert_int_equal(limit_take(from("::ffff:192.0.2.1"), LIMIT_TLS, true), R_OK);
	assert_int_equal(limit_take(from("192.0.2.1"), LIMIT_TLS, true), R_OK);
	assert_int_equal(limit_take(from("::ffff:192.0.2.1"), LIMIT_TLS, true),
	    R_NET_PER_ADDRESS);
	limit_release(from("::ffff:192.0.2.1"), LIMIT_TLS);
	assert_int_equal(limit_take(from("192.0.2.1"), LIMIT_TLS, true), R_OK);
}

/* Rows of the table come back: ten thousand addresses, one after another. */
static void
test_rows_are_freed(void **state)
{
	char		text[32];
	unsigned	i;

	for (i = 0; i < 10000; i++) {
		snprintf(text, sizeof(text), "2001:db8::%x", i);
		assert_int_equal(limit_take(from(text), LIMIT_SPDM, true), R_OK);
		limit_release(from(text), LIMIT_SPDM);
	}
	assert_int_equal(limit_total(LIMIT_SPDM), 0);
}

/* A quarter is kept for the addresses of trusted peers. */
static void
test_strangers_leave_some(void **state)
{
	unsigned	i;

	for (i = 0; i < 8; i++)
		assert_int_equal(limit_take(host(i), LIMIT_TLS, false), R_OK);
	assert_int_equal(limit_take(host(8), LIMIT_TLS, false), R_NET_TOTAL);
	assert_int_equal(limit_take(host(8), LIMIT_TLS, true), R_OK);
	assert_int_equal(limit_take(host(9), LIMIT_TLS, true), R_OK);
	assert_int_equal(limit_take(host(10), LIMIT_TLS, true), R_NET_TOTAL);
	limit_release(host(0), LIMIT_TLS);
	assert_int_equal(limit_take(host(0), LIMIT_TLS, false), R_NET_TOTAL);
	assert_int_equal(limit_take(host(0), LIMIT_TLS, true), R_OK);
}

/* attestd -R has a window of 64 calls: never more sessions than fit. */
static void
test_spdm_fits_the_window(void **state)
{
	static const struct conf	conf = { .max_connections = 4096,
	    .max_per_address = 4096, .max_half_open = 4096 };
	unsigned			n = 0;

	limit_init(&conf);
	while (limit_take(host(1), LIMIT_SPDM, true) == R_OK)
		n++;
	assert_in_range(n, 32, ipc_window(IPC_NETD, IPC_ATTESTR));
}

static struct conf_listener	door = { .port = 8443 };

/* enrold's clients share nothing with peers, and nothing is kept of it. */
static void
test_enrol(void **state)
{
	static const struct conf	conf = { .max_connections = 10,
	    .max_per_address = 3, .max_half_open = 5, .max_enrol = 40,
	    .listeners = &door };
	unsigned			i;

	limit_init(&conf);
	for (i = 0; i < 10; i++)
		assert_int_equal(limit_take(host(i), LIMIT_TLS, true), R_OK);
	for (i = 0; i < 40; i++)
		assert_int_equal(limit_take(host(i), LIMIT_HTTP, true), R_OK);
	assert_int_equal(limit_take(host(99), LIMIT_HTTP, true), R_NET_TOTAL);
	assert_int_equal(limit_take(host(99), LIMIT_SPDM, false), R_OK);
	for (i = 0; i < 40; i++)
		limit_release(host(i), LIMIT_HTTP);
	assert_int_equal(limit_total(LIMIT_HTTP), 0);
	assert_int_equal(limit_total(LIMIT_TLS), 10);
}

/* One address has a quarter, or limit per-address if that is more. */
static void
test_enrol_address(void **state)
{
	static struct conf	conf = { .max_connections = 10,
	    .max_per_address = 3, .max_half_open = 5, .max_enrol = 40,
	    .listeners = &door };
	unsigned		i;

	limit_init(&conf);
	for (i = 0; i < 10; i++)
		assert_int_equal(limit_take(host(1), LIMIT_HTTP, true), R_OK);
	assert_int_equal(limit_take(host(1), LIMIT_HTTP, true),
	    R_NET_PER_ADDRESS);
	conf.max_enrol = 5;
	limit_init(&conf);
	for (i = 0; i < 3; i++)
		assert_int_equal(limit_take(host(1), LIMIT_HTTP, true), R_OK);
	assert_int_equal(limit_take(host(1), LIMIT_HTTP, true),
	    R_NET_PER_ADDRESS);
	conf.listeners = NULL;
	limit_init(&conf);
	assert_int_equal(limit_take(host(1), LIMIT_HTTP, true), R_NET_TOTAL);
}

static void
test_zero_lets_nobody_in(void **state)
{
	static const struct conf	conf = { .max_connections = 10 };

	limit_init(&conf);
	assert_int_equal(limit_take(host(1), LIMIT_TLS, true), R_NET_TOTAL);
	assert_int_equal(limit_take(host(1), LIMIT_HALF, true), R_NET_TOTAL);
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		TEST(test_per_address),
		TEST(test_in_all),
		TEST(test_strangers_leave_some),
		TEST(test_classes_are_apart),
		TEST(test_mapped_is_the_same),
		TEST(test_rows_are_freed),
		TEST(test_spdm_fits_the_window),
		TEST(test_enrol),
		TEST(test_enrol_address),
		TEST(test_zero_lets_nobody_in),
	};

	return cmocka_run_group_tests_name("limit", tests, NULL, NULL);
}
