/* The words of the peer channel: no framing, cut anywhere, babble bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "../../netd/tls.h"

static enum token
next(struct token_reader *r, const char **p, size_t *len)
{
	size_t		used;
	enum token	t = token_next(r, (const uint8_t *)*p, *len, &used);

	assert_true(used <= *len);
	*p += used;
	*len -= used;
	return t;
}

/* Several tokens in one record. */
static void
test_several(void **state)
{
	struct token_reader	 r = { 0 };
	const char		*p = "Hellopingpingalive";
	size_t			 len = strlen(p);

	assert_int_equal(next(&r, &p, &len), TOKEN_HELLO);
	assert_int_equal(next(&r, &p, &len), TOKEN_PING);
	assert_int_equal(next(&r, &p, &len), TOKEN_PING);
	assert_int_equal(next(&r, &p, &len), TOKEN_ALIVE);
	assert_int_equal(next(&r, &p, &len), TOKEN_NONE);
	assert_int_equal(len, 0);
}

/* Each byte a record of its own. */
static void
test_byte_by_byte(void **state)
{
	struct token_reader	 r = { 0 };
	const char		 text[] = "alivealive", *p;
	size_t			 i, len, n = 0;

	for (i = 0; i < sizeof(text) - 1; i++) {
		p = text + i;
		len = 1;
		if (next(&r, &p, &len) == TOKEN_ALIVE)
			n++;
	}
	assert_int_equal(n, 2);
}

/* What is no token is skipped, and a token may follow at once. */
static void
test_resync(void **state)
{
	struct token_reader	 r = { 0 };
	const char		*p = "\r\nHelaHelHello pipiping\n";
	size_t			 len = strlen(p);

	assert_int_equal(next(&r, &p, &len), TOKEN_HELLO);
	assert_int_equal(next(&r, &p, &len), TOKEN_PING);
	assert_int_equal(next(&r, &p, &len), TOKEN_NONE);
}

/* A word in another case, or a part of one, is no sign of life. */
static void
test_not_a_token(void **state)
{
	struct token_reader	 r = { 0 };
	const char		*p = "hello HELLO Alive pin aliv";
	size_t			 len = strlen(p);

	assert_int_equal(next(&r, &p, &len), TOKEN_NONE);
}

static void
test_babble_bound(void **state)
{
	struct token_reader	 r = { 0 };
	char			 buf[TOKEN_BABBLE_MAX + 1];
	const char		*p = buf;
	size_t			 len = sizeof(buf) - 1;

	memset(buf, 'x', sizeof(buf));
	assert_int_equal(next(&r, &p, &len), TOKEN_NONE);
	p = "ping";			/* a token makes up for it */
	len = 4;
	assert_int_equal(next(&r, &p, &len), TOKEN_PING);
	p = buf;
	len = sizeof(buf);
	assert_int_equal(next(&r, &p, &len), TOKEN_BABBLE);
}

/* Beginnings that never end count as babble too. */
static void
test_babble_prefixes(void **state)
{
	struct token_reader	 r = { 0 };
	const char		*p;
	size_t			 len, i;
	enum token		 t = TOKEN_NONE;

	for (i = 0; i < TOKEN_BABBLE_MAX && t == TOKEN_NONE; i++) {
		p = "Hell";
		len = 4;
		t = next(&r, &p, &len);
	}
	assert_int_equal(t, TOKEN_BABBLE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_several),
		cmocka_unit_test(test_byte_by_byte),
		cmocka_unit_test(test_resync),
		cmocka_unit_test(test_not_a_token),
		cmocka_unit_test(test_babble_bound),
		cmocka_unit_test(test_babble_prefixes),
	};

	return cmocka_run_group_tests_name("token", tests, NULL, NULL);
}
