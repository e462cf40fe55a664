/* Times of certificates: both forms, to the second, to the end of 9999. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "x509time.h"

static const struct {
	uint64_t	 seconds;
	int		 type;
	const char	*text;
} times[] = {
	{ 0, V_ASN1_UTCTIME, "700101000000Z" },
	{ 951782399, V_ASN1_UTCTIME, "000228235959Z" },
	{ 951782400, V_ASN1_UTCTIME, "000229000000Z" },
	{ 2147483648, V_ASN1_UTCTIME, "380119031408Z" },
	{ 2524607999, V_ASN1_UTCTIME, "491231235959Z" },
	{ 2524608000, V_ASN1_GENERALIZEDTIME, "20500101000000Z" },
	{ 4294967296, V_ASN1_GENERALIZEDTIME, "21060207062816Z" },
	{ 253402300799, V_ASN1_GENERALIZEDTIME, "99991231235959Z" },
};

static void
test_both_ways(void **state)
{
	ASN1_TIME	*t = ASN1_TIME_new();
	size_t		 i;

	for (i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		assert_int_equal(x509_time_set(t, times[i].seconds), 0);
		assert_int_equal(ASN1_STRING_type(t), times[i].type);
		assert_int_equal(ASN1_STRING_length(t), strlen(times[i].text));
		assert_memory_equal(ASN1_STRING_get0_data(t), times[i].text,
		    strlen(times[i].text));
		assert_int_equal(x509_time(t), times[i].seconds);
	}
	ASN1_TIME_free(t);
}

static void
test_no_time(void **state)
{
	ASN1_TIME	*t = ASN1_TIME_new();

	assert_int_equal(x509_time_set(t, 253402300800), -1);
	assert_int_equal(x509_time_set(t, UINT64_MAX), -1);
	assert_int_equal(ASN1_STRING_set(t, "991301000000Z", 13), 1);
	assert_int_equal(x509_time(t), 0);
	assert_int_equal(ASN1_TIME_set_string_X509(t, "691231235959Z"), 1);
	assert_int_equal(x509_time(t), 0);
	assert_int_equal(x509_time(NULL), 0);
	ASN1_TIME_free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_ways),
		cmocka_unit_test(test_no_time),
	};

	return cmocka_run_group_tests_name("x509time", tests, NULL, NULL);
}
