/*
 * Weak RSA keys: each rule broken alone, and keys of the family of
 * CVE-2017-15361, made here as that library made them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

#include <openssl/bn.h>

#include "weakkey.h"

#define LEN	256

/* Of two random primes, made by openssl-genrsa(1). */
static const char good_hex[] =
    "b535b6a52bf86029c5c0c2cc9a3a04208f9232dc68ce865b4916208e877d3d4b"
    "11fd0f2d210fb4819a511410621cd92da7835ee794fe0d136919fd6c2f464bc7"
    "47d73a16f4245b0973d825713f594806d633129d4c6d5eadee4d913ddfa2b756"
    "89bae6f9e870e9888ec473604ff64b24ef41b8bfa27a29ff6c10e14de5e7c2ba"
    "d086e2f8d64352e7ebf5020267ea7fa46b11bff10f45899e8e42440ef5100e68"
    "9b690591ae14db1df4023b21028adcbb65affea11ca3157a2d2a5e93f1cd21ab"
    "3ac7f106ba723a2f4ce128330ace61fb50dfe28f59a91020727ba01c4fa0e98e"
    "25bfcf52905040967399c8ff58ae7d9dd75669485f1e21e516b5481f01e5e237";

static BN_CTX	*ctx;
static uint8_t	 good[LEN];

static int
setup(void **state)
{
	BIGNUM	*n = NULL;

	if ((ctx = BN_CTX_new()) == NULL || BN_hex2bn(&n, good_hex) == 0 ||
	    BN_bn2binpad(n, good, LEN) != LEN)
		return -1;
	BN_free(n);
	return 0;
}

static int
teardown(void **state)
{
	BN_CTX_free(ctx);
	return 0;
}

static const char *
weak(const BIGNUM *n)
{
	uint8_t	 buf[WEAK_RSA_MAX];
	int	 len = BN_num_bytes(n);

	assert_true((size_t)len <= sizeof(buf));
	assert_int_equal(BN_bn2bin(n, buf), len);
	return weak_rsa(buf, (size_t)len, 65537);
}

static void
test_good(void **state)
{
	assert_null(weak_rsa(good, LEN, 65537));
	assert_null(weak_rsa(good, LEN, UINT32_MAX));
}

static void
test_exponent(void **state)
{
	static const uint32_t	 bad[] = { 0, 1, 2, 3, 17, 257, 65535, 65536,
				    65538, UINT32_MAX - 1 };
	size_t			 i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_non_null(weak_rsa(good, LEN, bad[i]));
		assert_non_null(strstr(weak_rsa(good, LEN, bad[i]),
		    "exponent"));
	}
}

static void
test_size(void **state)
{
	uint8_t	 buf[WEAK_RSA_MAX + 4] = { 0 };
	size_t	 i;

	for (i = 0; i < LEN; i++)
		assert_non_null(weak_rsa(good, i, 65537));
	memcpy(buf, good, LEN);
	buf[0] &= 0x7f;			/* 2046 bits */
	assert_string_equal(weak_rsa(buf, LEN, 65537),
	    "a modulus of fewer than 2048 bits");
	memcpy(buf + 1, good, LEN);
	buf[0] = 0;
	assert_string_equal(weak_rsa(buf, LEN + 1, 65537),
	    "a modulus with a leading zero");
	memset(buf, 0xff, sizeof(buf));
	assert_string_equal(weak_rsa(buf, sizeof(buf), 65537),
	    "a modulus that is too long");
	memcpy(buf, good, LEN);
	buf[LEN - 1] &= 0xfe;
	assert_string_equal(weak_rsa(buf, LEN, 65537), "an even modulus");
}

static bool
is_prime(unsigned p)
{
	unsigned	 i;

	for (i = 2; i * i <= p; i++)
		if (p % i == 0)
			return false;
	return true;
}

/*
 * A modulus is moved to the next multiple of p, and to the next one that is
 * odd; with 757 it may stay what it is, with smaller primes it may not.
 */
static void
test_factors(void **state)
{
	BIGNUM		*n = BN_new();
	BN_ULONG	 r;
	unsigned	 p, tried = 0;
	size_t		 len;

	for (len = LEN; len <= LEN + 3; len++)
		for (p = 3; p <= 757; p += 2) {
			if (!is_prime(p))
				continue;
			assert_non_null(BN_bin2bn(good, LEN, n));
			/* a modulus of any length modulo 4 */
			assert_int_equal(BN_lshift(n, n, (int)(8 * (len -
			    LEN))), 1);
			r = BN_mod_word(n, p);
			assert_int_equal(BN_add_word(n, p - r), 1);
			if (!BN_is_odd(n))
				assert_int_equal(BN_add_word(n, p), 1);
			if (p < 752)
				assert_string_equal(weak(n),
				    "a modulus with a small factor");
			tried++;
		}
	assert_int_equal(tried, 4 * 133);
	BN_free(n);
}

/* What that library makes of k and a, for a key of 2048 bits. */
static BIGNUM *
roca_prime(const char *khex, const char *ahex, const BIGNUM *generator)
{
	BIGNUM		*m = BN_new(), *k = NULL, *a = NULL, *p = BN_new();
	unsigned	 i, q;

	assert_int_equal(BN_one(m), 1);
	for (i = 0, q = 2; i < 126; q++)
		if (is_prime(q)) {
			assert_int_equal(BN_mul_word(m, q), 1);
			i++;
		}
	assert_int_equal(BN_num_bits(m), 971);
	assert_true(BN_hex2bn(&k, khex) > 0 && BN_hex2bn(&a, ahex) > 0);
	assert_int_equal(BN_mod_exp(p, generator, a, m, ctx), 1);
	assert_int_equal(BN_mul(k, k, m, ctx), 1);
	assert_int_equal(BN_add(p, p, k), 1);
	BN_free(m);
	BN_free(k);
	BN_free(a);
	return p;
}

static void
test_roca(void **state)
{
	BIGNUM	*g = BN_new(), *n = BN_new(), *p, *q;

	assert_int_equal(BN_set_word(g, 65537), 1);
	p = roca_prime("1c2fdeec036913", "25ba513294a72ccd67c1c5d547e91bd5"
	    "a5460f7073c523cf0baa05a3700130ee", g);
	q = roca_prime("1fae57b7b09644", "3a9e87c0723183faa14f752d30326f8e"
	    "13a8ea922df49ac3e1390f4de79e0def", g);
	assert_int_equal(BN_check_prime(p, ctx, NULL), 1);
	assert_int_equal(BN_check_prime(q, ctx, NULL), 1);
	assert_int_equal(BN_mul(n, p, q, ctx), 1);
	assert_int_equal(BN_num_bits(n), 2048);
	assert_string_equal(weak(n),
	    "a key of the broken family of CVE-2017-15361");
	/* One prime of the family alone does not make a modulus of it. */
	assert_int_equal(BN_bin2bn(good, 128, q) != NULL, 1);
	assert_int_equal(BN_set_bit(q, 0), 1);
	while (BN_mod_word(q, 3) == 0 || BN_mod_word(q, 5) == 0)
		assert_int_equal(BN_add_word(q, 2), 1);
	assert_int_equal(BN_mul(n, p, q, ctx), 1);
	assert_true(weak(n) == NULL || strcmp(weak(n),
	    "a modulus with a small factor") == 0);
	BN_free(g);
	BN_free(n);
	BN_free(p);
	BN_free(q);
}

/* Two numbers without small factors, d apart or a little more. */
static const char *
close_pair(const BIGNUM *p, int bits)
{
	BIGNUM		*q = BN_new(), *n = BN_new();
	const char	*why;

	do {
		assert_int_equal(BN_one(q) == 1 && BN_lshift(q, q, bits) == 1 &&
		    BN_add(q, q, p) == 1, 1);
		do
			assert_int_equal(BN_add_word(q, 2), 1);
		while (BN_check_prime(q, ctx, NULL) != 1);
		assert_int_equal(BN_mul(n, p, q, ctx), 1);
		why = weak(n);
	} while (why != NULL && strstr(why, "small factor") != NULL);
	BN_free(q);
	BN_free(n);
	return why;
}

/*
 * Primes next to each other, and half of their length apart, are found by
 * Fermat; primes that are 2^900 apart are not, and need not be.
 */
static void
test_close(void **state)
{
	BIGNUM	*p = NULL, *n = BN_new();

	assert_true(BN_hex2bn(&p,
	    "e170b33839263059f28c105d1fb17c2390c192cfd3ac94af0f21ddb66cad4a26"
	    "8d116ece1738f7d93d9c172411e20b8f6b0d549b6f03675a1600a35a099950d8"
	    "36f675cc81e74ef5e8e25d940ed904759531985d5d9dc9f81818e811892f902b"
	    "d23f0824128b2f330c5c7fd0a6a3a4506513270e269e0d37f2a74de452e6b439") > 0);
	assert_int_equal(BN_num_bits(p), 1024);
	while (BN_check_prime(p, ctx, NULL) != 1)
		assert_int_equal(BN_add_word(p, 2), 1);
	assert_string_equal(close_pair(p, 1),
	    "a modulus of two primes that are too close");
	assert_string_equal(close_pair(p, 500),
	    "a modulus of two primes that are too close");
	assert_null(close_pair(p, 900));
	/* one prime, twice */
	assert_int_equal(BN_sqr(n, p, ctx), 1);
	assert_string_equal(weak(n),
	    "a modulus of two primes that are too close");
	BN_free(p);
	BN_free(n);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_exponent),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_factors),
		cmocka_unit_test(test_roca),
		cmocka_unit_test(test_close),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
