/* addr: IP literals and nothing else, and when two are the same host. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>

#include "../../netd/netd.h"

static const struct link	eth1 = { .name = "eth1", .index = 7 };
static const struct link	none = { .index = 0 };

static int
parse(const char *text, const struct link *link, struct sockaddr_storage *ss)
{
	socklen_t	len;

	return addr_parse(text, 8090, link, ss, &len);
}

static void
test_literals(void **state)
{
	static const char *const	good[] = {
		"192.0.2.1", "2001:db8::1", "::1", "::", "fe80::1",
	};
	struct sockaddr_storage		ss;
	char				text[NETD_ADDR_MAX];
	size_t				i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(parse(good[i], &eth1, &ss), 0);
		addr_text(&ss, text, sizeof(text));
		assert_string_equal(text, good[i]);
	}
}

static void
test_port_and_length(void **state)
{
	struct sockaddr_storage	ss;
	socklen_t		len;

	assert_int_equal(addr_parse("192.0.2.1", 8090, &eth1, &ss, &len), 0);
	assert_int_equal(len, sizeof(struct sockaddr_in));
	assert_int_equal(((struct sockaddr_in *)&ss)->sin_port, htons(8090));
	assert_int_equal(addr_parse("::1", 4194, &eth1, &ss, &len), 0);
	assert_int_equal(len, sizeof(struct sockaddr_in6));
	assert_int_equal(((struct sockaddr_in6 *)&ss)->sin6_port, htons(4194));
}

/* Names are never looked up; nothing that is nearly an address passes. */
static void
test_no_names(void **state)
{
	static const char *const	bad[] = {
		"", "bmc-b", "localhost", "192.0.2", "192.0.2.1 ", " ::1",
		"192.0.2.1/24", "[::1]", "0x7f000001", "127.1", "1:2",
		"2001:db8::1%eth1", "::1%eth1", "fe80::1%", "fe80::1%eth2",
		"fe80::1%eth1%eth1", "192.0.2.1%eth1",
		"1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111",
	};
	struct sockaddr_storage		ss;
	size_t				i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (parse(bad[i], &eth1, &ss) != -1)
			fail_msg("\"%s\" was accepted", bad[i]);
}

/* A link-local address is one on our interface, said or not. */
static void
test_link_local_scope(void **state)
{
	struct sockaddr_storage	ss;
	struct sockaddr_in6	*sin6 = (struct sockaddr_in6 *)&ss;

	assert_int_equal(parse("fe80::1", &eth1, &ss), 0);
	assert_int_equal(sin6->sin6_scope_id, 7);
	assert_int_equal(parse("fe80::1%eth1", &eth1, &ss), 0);
	assert_int_equal(sin6->sin6_scope_id, 7);
	assert_int_equal(parse("2001:db8::1", &eth1, &ss), 0);
	assert_int_equal(sin6->sin6_scope_id, 0);
	assert_int_equal(parse("fe80::1%eth1", &none, &ss), -1);
	assert_int_equal(parse("fe80::1", &none, &ss), 0);
	assert_int_equal(sin6->sin6_scope_id, 0);
}

static bool
same(const char *a, const char *b)
{
	struct sockaddr_storage	sa, sb;

	assert_int_equal(parse(a, &eth1, &sa), 0);
	assert_int_equal(parse(b, &eth1, &sb), 0);
	assert_int_equal(addr_same(&sa, &sb), addr_same(&sb, &sa));
	return addr_same(&sa, &sb);
}

static void
test_same(void **state)
{
	struct sockaddr_storage	a, b;

	assert_true(same("192.0.2.1", "192.0.2.1"));
	assert_true(same("192.0.2.1", "::ffff:192.0.2.1"));
	assert_true(same("2001:db8::1", "2001:db8:0::1"));
	assert_false(same("192.0.2.1", "192.0.2.2"));
	assert_false(same("2001:db8::1", "2001:db8::2"));
	assert_false(same("192.0.2.1", "2001:db8::1"));
	assert_false(same("0.0.0.0", "::"));
	/* the same link-local address on two cables is two hosts */
	assert_int_equal(parse("fe80::1", &eth1, &a), 0);
	assert_int_equal(parse("fe80::1", &none, &b), 0);
	assert_false(addr_same(&a, &b));
	memset(&a, 0, sizeof(a));
	assert_false(addr_same(&a, &b));
	assert_false(addr_same(&a, &a));
}

static bool
onlink(const char *text)
{
	struct link		l = eth1;
	struct sockaddr_storage	ss;

	l.naddr4 = l.naddr6 = 2;
	inet_pton(AF_INET, "192.0.2.1", &l.addr4[0]);
	inet_pton(AF_INET, "198.51.100.129", &l.addr4[1]);
	inet_pton(AF_INET6, "2001:db8::1", &l.addr6[0]);
	inet_pton(AF_INET6, "2001:db8:1:7f00::1", &l.addr6[1]);
	l.len4[0] = 24;
	l.len4[1] = 25;
	l.len6[0] = 64;
	l.len6[1] = 57;
	assert_int_equal(parse(text, &l, &ss), 0);
	return addr_onlink(&ss, &l);
}

/* Whom a dead cable cuts off: by the prefixes of its interface. */
static void
test_onlink(void **state)
{
	assert_true(onlink("192.0.2.77"));
	assert_true(onlink("::ffff:192.0.2.77"));
	assert_false(onlink("192.0.3.1"));
	assert_true(onlink("198.51.100.255"));
	assert_false(onlink("198.51.100.127"));
	assert_true(onlink("2001:db8::ffff"));
	assert_false(onlink("2001:db8:0:1::1"));
	assert_true(onlink("2001:db8:1:7f7f::1"));
	assert_false(onlink("2001:db8:1:7e7f::1"));
	assert_true(onlink("fe80::1"));
	assert_false(onlink("127.0.0.1"));
}

static void
test_block(void **state)
{
	static const struct { const char *address, *block; } t[] = {
		{ "192.0.2.1", "192.0.2.1" },
		{ "::ffff:192.0.2.1", "192.0.2.1" },
		{ "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::" },
		{ "fe80::1", "fe80::" },
	};
	struct sockaddr_storage	ss, block;
	char			text[NETD_ADDR_MAX];
	size_t			i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		assert_int_equal(parse(t[i].address, &eth1, &ss), 0);
		block = addr_block(&ss);
		addr_text(&block, text, sizeof(text));
		assert_string_equal(text, t[i].block);
	}
}

static void
test_text(void **state)
{
	struct sockaddr_storage	ss;
	char			text[NETD_ADDR_MAX];

	assert_int_equal(parse("::ffff:192.0.2.1", &eth1, &ss), 0);
	addr_text(&ss, text, sizeof(text));
	assert_string_equal(text, "192.0.2.1");
	assert_int_equal(parse("fe80::1%eth1", &eth1, &ss), 0);
	addr_text(&ss, text, sizeof(text));
	assert_string_equal(text, "fe80::1");
	memset(&ss, 0, sizeof(ss));
	addr_text(&ss, text, sizeof(text));
	assert_string_equal(text, "?");
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(test_literals),
		cmocka_unit_test(test_port_and_length),
		cmocka_unit_test(test_no_names),
		cmocka_unit_test(test_link_local_scope),
		cmocka_unit_test(test_same),
		cmocka_unit_test(test_onlink),
		cmocka_unit_test(test_block),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests_name("addr", tests, NULL, NULL);
}
