/* reason.def: codes are unique and well formed; the man page is made of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>

#define REASONDOC_TEST
#include "../tools/reasondoc.c"

static void
test_codes(void **state)
{
	const char	*code;
	int		 r, s;
	size_t		 g;

	(void)state;
	assert_string_equal(reason_code(R_OK), "OK");
	for (r = R_OK + 1; r < R_COUNT; r++) {
		code = reason_code(r);
		assert_int_equal(strlen(code), 7);
		assert_true(code[3] == '-' && isdigit(code[4]) &&
		    isdigit(code[5]) && isdigit(code[6]));
		for (g = 0; g < sizeof(groups) / sizeof(groups[0]); g++)
			if (strncmp(groups[g].prefix, code, 3) == 0)
				break;
		/* a code of no group would be missing from the man page */
		assert_true(g < sizeof(groups) / sizeof(groups[0]));
		for (s = 0; s < r; s++)
			if (strcmp(reason_code(s), code) == 0)
				fail_msg("%s exists twice", code);
	}
}

static void
test_sentences(void **state)
{
	const char	*texts[2];
	int		 r, i;

	(void)state;
	for (r = 0; r < R_COUNT; r++) {
		texts[0] = reason_text(r);
		texts[1] = reason_remedy(r);
		for (i = 0; i < 2; i++) {
			if (strlen(texts[i]) < 5 ||
			    texts[i][strlen(texts[i]) - 1] != '.')
				fail_msg("%s: \"%s\" is not a sentence",
				    reason_code(r), texts[i]);
		}
	}
}

static void
test_find(void **state)
{
	(void)state;
	assert_int_equal(reason_find("ipc-001"), R_IPC_CLOSED);
	assert_int_equal(reason_find("IPC-001"), R_IPC_CLOSED);
	assert_int_equal(reason_find("IPC-01"), -1);
	assert_int_equal(reason_find(""), -1);
	/* a number from another process may be anything */
	assert_string_equal(reason_code((enum reason)(R_COUNT + 7)),
	    reason_code(R_IPC_FORM));
}

static void
test_man_page(void **state)
{
	FILE	*f;
	char	*made, *have;
	size_t	 size, n;

	(void)state;
	assert_non_null(f = open_memstream(&made, &size));
	reasondoc(f);
	fclose(f);
	assert_non_null(f = fopen("man/provd_reasons.7", "r"));
	assert_non_null(have = calloc(1, size + 2));
	n = fread(have, 1, size + 1, f);
	fclose(f);
	if (n != size || memcmp(have, made, size) != 0)
		fail_msg("man/provd_reasons.7 is old: make generated");
	free(have);
	free(made);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_codes),
		cmocka_unit_test(test_sentences),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_man_page),
	};

	return cmocka_run_group_tests_name("reason", tests, NULL, NULL);
}
