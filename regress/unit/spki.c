/* The bytes that name a node: as OpenSSL writes them, and in digits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "hex.h"
#include "spki.h"

static void
compare(const char *curve, size_t want)
{
	EVP_PKEY	*key = EVP_EC_gen(curve);
	uint8_t		 point[97], ours[SPKI_MAX], *theirs = NULL;
	size_t		 len;
	int		 n;

	assert_non_null(key);
	assert_int_equal(EVP_PKEY_get_octet_string_param(key,
	    OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point), &len), 1);
	assert_int_equal(len, want);
	n = i2d_PUBKEY(key, &theirs);
	assert_int_equal(spki_der(point, len, ours), n);
	assert_memory_equal(ours, theirs, (size_t)n);
	OPENSSL_free(theirs);
	EVP_PKEY_free(key);
}

static void
test_same_as_openssl(void **state)
{
	compare("P-256", 65);
	compare("P-384", 97);
}

static void
test_other_forms(void **state)
{
	uint8_t	point[98] = { 4 }, out[SPKI_MAX];
	size_t	len;

	for (len = 0; len <= sizeof(point); len++)
		assert_int_equal(spki_der(point, len, out) != 0,
		    len == 65 || len == 97);
	point[0] = 2;		/* compressed */
	assert_int_equal(spki_der(point, 65, out), 0);
	assert_int_equal(spki_der(point, 97, out), 0);
}

static void
test_hex(void **state)
{
	const uint8_t	bytes[4] = { 0x00, 0x9f, 0xa0, 0xff };
	char		out[HEX_SIZE(4)];

	hex(bytes, 4, out);
	assert_string_equal(out, "009fa0ff");
	hex(bytes, 0, out);
	assert_string_equal(out, "");
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(test_same_as_openssl),
		cmocka_unit_test(test_other_forms),
		cmocka_unit_test(test_hex),
	};

	return cmocka_run_group_tests_name("spki", tests, NULL, NULL);
}
