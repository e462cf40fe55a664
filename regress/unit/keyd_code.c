/*
 * One-time codes: what they open, once in each direction, and for how long.
 * The secrets are computed here a second time, from HMAC alone (RFC 5869;
 * DSP0274, key schedule).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#include "../../keyd/keyd.h"

#define MINUTES_5	300000
#define NODE_A		"00112233445566778899aabbccddeeff00112233"
#define NODE_B		"ffeeddccbbaa99887766554433221100ffeeddcc"

static uint64_t		now;
static unsigned		ncodes;		/* a new one each time */
static uint8_t		code[CODE_LEN], id[CODE_ID_LEN], th1[CODE_HASH_MAX];
static struct code_secrets got;
static struct why	why;

static int
setup(void **state)
{
	assert_int_equal(code_open(), 0);
	now = 1000000;
	memset(th1, 0x3c, sizeof(th1));
	return 0;
}

static int
teardown(void **state)
{
	code_close();
	return 0;
}

static void
fresh(void)
{
	memset(code, 0, sizeof(code));
	code[0] = (uint8_t)++ncodes;
	code[15] = 0xa5;
}

static enum reason
put(uint32_t lifetime)
{
	return code_put(code, sizeof(code), lifetime, now, id, &why) == 0 ?
	    R_OK : why.reason;
}

static enum reason
use_as(enum code_dir dir, const char *node, uint32_t version,
    enum key_algorithm a)
{
	struct code_ask	 ask = { .id = id, .idlen = sizeof(id), .dir = dir,
	    .node = node, .version = version, .algorithm = a, .th1 = th1,
	    .th1len = curve_get(a)->hash };

	return code_use(&ask, now, &got, &why) == 0 ? R_OK : why.reason;
}

static enum reason
use(enum code_dir dir)
{
	return use_as(dir, NODE_A, 0x13, KEY_P256);
}

/* ---- the same by hand -------------------------------------------------- */

static const EVP_MD *
md_of(enum key_algorithm a)
{
	return a == KEY_P256 ? EVP_sha256() : EVP_sha384();
}

static void
hmac(enum key_algorithm a, const void *key, size_t keylen, const void *p,
    size_t n, uint8_t *out)
{
	assert_non_null(HMAC(md_of(a), key, (int)keylen, p, n, out, NULL));
}

/* One block of HKDF-Expand is all that a hash's length needs. */
static void
expand(enum key_algorithm a, const uint8_t *prk, const void *info, size_t n,
    uint8_t *out)
{
	uint8_t	 buf[256];

	memcpy(buf, info, n);
	buf[n] = 1;
	hmac(a, prk, curve_get(a)->hash, buf, n + 1, out);
}

static void
label(enum key_algorithm a, const uint8_t *secret, unsigned minor,
    const char *name, const uint8_t *context, uint8_t *out)
{
	uint8_t	 info[128];
	size_t	 h = curve_get(a)->hash, n;

	info[0] = (uint8_t)h;
	info[1] = 0;
	n = 2 + (size_t)snprintf((char *)info + 2, 60, "spdm1.%u %s", minor,
	    name);
	if (context != NULL) {
		memcpy(info + n, context, h);
		n += h;
	}
	expand(a, secret, info, n, out);
}

static void
expect(enum key_algorithm a, unsigned minor, const char *node)
{
	size_t	 h = curve_get(a)->hash;
	uint8_t	 prk[64], psk[64], salt[64], zero[64] = { 0 }, hs[64], out[64];

	hmac(a, "provd one-time code", 19, code, sizeof(code), prk);
	expand(a, prk, node, strlen(node), psk);
	memset(salt, minor >= 3 ? 0xff : 0, sizeof(salt));
	hmac(a, salt, h, psk, h, hs);
	assert_int_equal(got.len, h);
	label(a, hs, minor, "req hs data", th1, out);
	assert_memory_equal(got.request, out, h);
	label(a, hs, minor, "rsp hs data", th1, out);
	assert_memory_equal(got.response, out, h);
	label(a, hs, minor, "derived", NULL, salt);
	hmac(a, salt, h, zero, h, out);
	assert_memory_equal(got.master, out, h);
}

/* ---- tests ------------------------------------------------------------- */

static void
test_secrets(void **state)
{
	unsigned	 a, minor;

	for (a = 0; a < KEY_NCURVES; a++)
		for (minor = 2; minor <= 3; minor++) {
			fresh();
			assert_int_equal(put(MINUTES_5), R_OK);
			assert_int_equal(use_as(CODE_REQUESTER, NODE_B,
			    0x10 + minor, a), R_OK);
			expect(a, minor, NODE_B);
			assert_int_equal(use_as(CODE_RESPONDER, NODE_A,
			    0x10 + minor, a), R_OK);
			expect(a, minor, NODE_A);
		}
}

static void
test_id(void **state)
{
	uint8_t	 in[13 + CODE_LEN] = "provd code id", md[32];

	fresh();
	memcpy(in + 13, code, CODE_LEN);
	SHA256(in, sizeof(in), md);
	assert_int_equal(put(MINUTES_5), R_OK);
	assert_memory_equal(id, md, CODE_ID_LEN);
}

/* Both ends of one direction agree, the two directions do not. */
static void
test_directions(void **state)
{
	struct code_secrets	 theirs;

	fresh();
	assert_int_equal(put(MINUTES_5), R_OK);
	assert_int_equal(use_as(CODE_REQUESTER, NODE_B, 0x12, KEY_P384), R_OK);
	theirs = got;
	assert_int_equal(use_as(CODE_RESPONDER, NODE_A, 0x12, KEY_P384), R_OK);
	assert_memory_not_equal(theirs.request, got.request, 48);
	/* the other node, whose responder is B */
	code_close();
	setup(NULL);
	assert_int_equal(put(MINUTES_5), R_OK);
	assert_int_equal(use_as(CODE_RESPONDER, NODE_B, 0x12, KEY_P384), R_OK);
	assert_memory_equal(theirs.request, got.request, 48);
	assert_memory_equal(theirs.response, got.response, 48);
	assert_memory_equal(theirs.master, got.master, 48);
}

static void
test_once(void **state)
{
	fresh();
	assert_int_equal(put(MINUTES_5), R_OK);
	assert_int_equal(use(CODE_RESPONDER), R_OK);
	assert_int_equal(use(CODE_RESPONDER), R_KEY_CODE_USED);
	assert_int_equal(put(MINUTES_5), R_KEY_CODE_AGAIN);
	assert_int_equal(use(CODE_REQUESTER), R_OK);
	assert_int_equal(use(CODE_REQUESTER), R_KEY_CODE_USED);
	assert_int_equal(use(CODE_RESPONDER), R_KEY_CODE_USED);
	assert_int_equal(put(MINUTES_5), R_KEY_CODE_AGAIN);
}

/* Whatever comes of the first attempt. */
static void
test_burned_by_failure(void **state)
{
	struct code_ask	 ask = { .id = id, .idlen = sizeof(id),
	    .dir = CODE_RESPONDER, .node = NODE_A, .version = 0x13,
	    .algorithm = KEY_P256, .th1 = th1, .th1len = 31 };

	fresh();
	assert_int_equal(put(MINUTES_5), R_OK);
	assert_int_equal(code_use(&ask, now, &got, &why), -1);
	assert_int_equal(why.reason, R_KEY_SPDM_HASH);
	assert_int_equal(use(CODE_RESPONDER), R_KEY_CODE_USED);
	assert_int_equal(use_as(CODE_REQUESTER, NODE_A, 0x11, KEY_P256),
	    R_KEY_SPDM_VERSION);
	assert_int_equal(use(CODE_REQUESTER), R_KEY_CODE_USED);
	fresh();
	assert_int_equal(put(MINUTES_5), R_OK);
	assert_int_equal(use_as(CODE_REQUESTER, "", 0x12, KEY_P256),
	    R_KEY_CODE_FORM);
	assert_int_equal(use(CODE_REQUESTER), R_KEY_CODE_USED);
	assert_int_equal(use(CODE_RESPONDER), R_OK);
}

/* A guess is no attempt: it burns nothing that it does not name. */
static void
test_guess(void **state)
{
	unsigned	 i;

	fresh();
	assert_int_equal(put(MINUTES_5), R_OK);
	for (i = 0; i < 128; i++) {
		id[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_int_equal(use(CODE_RESPONDER), R_KEY_CODE_UNKNOWN);
		id[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	assert_int_equal(use(CODE_RESPONDER), R_OK);
}

static void
test_expiry(void **state)
{
	fresh();
	assert_int_equal(put(MINUTES_5), R_OK);
	assert_int_equal(code_tick(now), MINUTES_5);
	now += MINUTES_5 - 1;
	assert_int_equal(code_tick(now), 1);
	assert_int_equal(use(CODE_REQUESTER), R_OK);
	now += 1;
	assert_int_equal(use(CODE_RESPONDER), R_KEY_CODE_EXPIRED);
	assert_int_equal(code_tick(now), -1);
	assert_int_equal(put(MINUTES_5), R_KEY_CODE_AGAIN);
}

static void
test_drop(void **state)
{
	fresh();
	assert_int_equal(put(MINUTES_5), R_OK);
	code_drop(id, CODE_ID_LEN - 1);
	assert_int_equal(code_tick(now), MINUTES_5);
	code_drop(id, CODE_ID_LEN);
	assert_int_equal(code_tick(now), -1);
	assert_int_equal(use(CODE_REQUESTER), R_KEY_CODE_USED);
	assert_int_equal(put(MINUTES_5), R_KEY_CODE_AGAIN);
}

static void
test_few(void **state)
{
	unsigned	 i;

	for (i = 0; i < CODES_MAX; i++) {
		fresh();
		assert_int_equal(put(1000 + i), R_OK);
	}
	fresh();
	assert_int_equal(put(MINUTES_5), R_KEY_CODE_FULL);
	now += 1000;		/* the first is over */
	assert_int_equal(put(MINUTES_5), R_OK);
}

static void
test_form(void **state)
{
	fresh();
	assert_int_equal(put(0), R_KEY_CODE_FORM);
	assert_int_equal(put(600001), R_KEY_CODE_FORM);
	assert_int_equal(code_put(code, 15, 1000, now, id, &why), -1);
	assert_int_equal(why.reason, R_KEY_CODE_FORM);
	assert_int_equal(code_tick(now), -1);
	assert_int_equal(put(600000), R_OK);
}

int
main(void)
{
#define T(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_secrets),
		T(test_id),
		T(test_directions),
		T(test_once),
		T(test_burned_by_failure),
		T(test_guess),
		T(test_expiry),
		T(test_drop),
		T(test_few),
		T(test_form),
	};

	return cmocka_run_group_tests_name("keyd_code", tests, NULL, NULL);
}
