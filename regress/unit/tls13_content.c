/*
 * A `tls' key signs the complete CertificateVerify content of TLS 1.3 and
 * nothing else (RFC 8446, 4.4.3).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "../../keyd/keyd.h"

#define SERVER	"TLS 1.3, server CertificateVerify"
#define CLIENT	"TLS 1.3, client CertificateVerify"

static uint8_t	content[TLS13_CONTENT_MAX + 64];

static size_t
build(const char *context, size_t hashlen)
{
	size_t	 n = strlen(context);

	memset(content, 0, sizeof(content));
	memset(content, ' ', 64);
	memcpy(content + 64, context, n);
	memset(content + 64 + n + 1, 0xc3, hashlen);
	return 64 + n + 1 + hashlen;
}

static enum reason
check(enum key_algorithm a, uint32_t scheme, size_t len)
{
	struct why	 w = { .reason = R_OK };
	int		 r = tls13_check(a, IPC_NETD, scheme, content, len, &w);

	assert_int_equal(r == 0, w.reason == R_OK);
	return w.reason;
}

/* The hash is the cipher suite's: both lengths under both schemes. */
static void
test_accepted(void **state)
{
	static const size_t	 hashes[] = { 32, 48 };
	size_t			 i;

	for (i = 0; i < 2; i++) {
		assert_int_equal(check(KEY_P256, 0x0403,
		    build(SERVER, hashes[i])), R_OK);
		assert_int_equal(check(KEY_P256, 0x0403,
		    build(CLIENT, hashes[i])), R_OK);
		assert_int_equal(check(KEY_P384, 0x0503,
		    build(SERVER, hashes[i])), R_OK);
		assert_int_equal(check(KEY_P384, 0x0503,
		    build(CLIENT, hashes[i])), R_OK);
	}
}

static void
test_scheme(void **state)
{
	size_t	 len = build(SERVER, 32);
	uint32_t s;

	for (s = 0; s <= 0xffff; s++)
		assert_int_equal(check(KEY_P256, s, len),
		    s == 0x0403 ? R_OK : R_KEY_TLS_SCHEME);
	assert_int_equal(check(KEY_P384, 0x0403, len), R_KEY_TLS_SCHEME);
	assert_int_equal(check(KEY_P256, 0x10403, len), R_KEY_TLS_SCHEME);
}

static void
test_every_length(void **state)
{
	size_t	 len;

	build(SERVER, 48);
	for (len = 0; len <= sizeof(content); len++)
		assert_int_equal(check(KEY_P256, 0x0403, len),
		    len == 130 || len == 146 ? R_OK : R_KEY_TLS_LENGTH);
}

/* Every bit before the hash counts, no bit of the hash does. */
static void
test_every_bit(void **state)
{
	size_t		 len = build(CLIENT, 32), i;
	enum reason	 want;

	for (i = 0; i < 8 * len; i++) {
		want = i / 8 < 64 ? R_KEY_TLS_PADDING :
		    i / 8 < 98 ? R_KEY_TLS_CONTEXT : R_OK;
		content[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_int_equal(check(KEY_P256, 0x0403, len), want);
		content[i / 8] ^= (uint8_t)(1 << i % 8);
	}
}

/* What others of this protocol family sign: not with this key. */
static void
test_other_contexts(void **state)
{
	static const char *const	 others[] = {
		"TLS 1.3, SERVER CertificateVerify",
		"TLS 1.3, server certificateVerify",
		"TLS 1.2, server CertificateVerify",
		"TLS 1.3, delegated credentials   ",
		"QUIC1.3, server CertificateVerify",
		"Exported Authenticator           ",
	};
	size_t				 i;

	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		assert_int_equal(strlen(others[i]), 33);
		assert_int_equal(check(KEY_P256, 0x0403,
		    build(others[i], 32)), R_KEY_TLS_CONTEXT);
	}
}

/* A digest, or the ServerKeyExchange of TLS 1.2, is nothing like it. */
static void
test_bare_digest(void **state)
{
	memset(content, 0x11, sizeof(content));
	assert_int_equal(check(KEY_P256, 0x0403, 32), R_KEY_TLS_LENGTH);
	assert_int_equal(check(KEY_P256, 0x0403, 130), R_KEY_TLS_PADDING);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_scheme),
		cmocka_unit_test(test_every_length),
		cmocka_unit_test(test_every_bit),
		cmocka_unit_test(test_other_contexts),
		cmocka_unit_test(test_bare_digest),
	};

	return cmocka_run_group_tests_name("tls13_content", tests, NULL, NULL);
}
