/*
 * Messages of SPDM over MCTP (DSP0275, DSP0276): the type byte and nothing
 * else; the recorded frames of an independent implementation.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "spdm_vec.h"

#include "../../attestd/spdm_mctp.h"

#define MAX	0x1200

static struct spdm_mctp_msg	m;

static enum spdm_mctp_result
take(const char *hex, size_t more)
{
	static uint8_t		buf[0x2000];
	struct vec_bytes	b = vec_hex(hex);

	memset(buf, 0, sizeof(buf));
	memcpy(buf, b.p, b.len);
	free(b.p);
	return spdm_mctp_read(buf, b.len + more, MAX, &m);
}

static void
test_types(void **state)
{
	assert_int_equal(take("0510840000", 0), MCTP_OK);
	assert_false(m.secured);
	assert_int_equal(m.len, 4);
	assert_int_equal(m.msg[1], SPDM_GET_VERSION);
	assert_int_equal(take("06ffff0000", 0), MCTP_OK);
	assert_true(m.secured);
	assert_int_equal(take("05", 0), MCTP_OK);	/* none: for SPDM */
	assert_int_equal(m.len, 0);
	assert_int_equal(take("", 0), MCTP_EMPTY);
	/* Other types of MCTP, such as PLDM and vendors'. */
	assert_int_equal(take("0010840000", 0), MCTP_TYPE);
	assert_int_equal(take("0110840000", 0), MCTP_TYPE);
	assert_int_equal(take("0710840000", 0), MCTP_TYPE);
	assert_int_equal(take("7e10840000", 0), MCTP_TYPE);
	/* An integrity check is none of these bindings'. */
	assert_int_equal(take("8510840000", 0), MCTP_CHECKED);
	assert_int_equal(take("8610840000", 0), MCTP_CHECKED);
}

static void
test_sizes(void **state)
{
	assert_int_equal(take("05", MAX), MCTP_OK);
	assert_int_equal(take("05", MAX + 1), MCTP_TOO_LARGE);
	assert_int_equal(take("06", MAX + 1), MCTP_OK);
	assert_int_equal(take("06", MAX + SPDM_RECORD_EXTRA), MCTP_OK);
	assert_int_equal(take("06", MAX + SPDM_RECORD_EXTRA + 1),
	    MCTP_TOO_LARGE);
}

static void
test_text(void **state)
{
	unsigned	i;

	for (i = MCTP_OK; i <= MCTP_TOO_LARGE; i++)
		assert_true(strlen(spdm_mctp_text(i)) > 1);
}

static void
test_binding(void **state)
{
	assert_true(spdm_mctp_binding.mctp);
	assert_int_equal(spdm_mctp_binding.seq_len, 2);
	assert_true(spdm_mctp_binding.pad_max > 0);
}

/*
 * Every recorded frame, behind the recording's own header of 12 bytes: the
 * type byte, and a message that is whole.
 */
static void
test_recorded(void **state)
{
	json_error_t		 e;
	json_t			*j, *list, *o;
	struct vec_bytes	 b;
	size_t			 i, n = 0;

	j = json_load_file("regress/data/spdm/framing.json", 0, &e);
	assert_non_null(j);
	list = json_object_get(json_object_get(j, "frames"), "MCTP");
	json_array_foreach(list, i, o) {
		b = vec_field(o, "hex");
		/* NORMAL: the others are the emulators' own */
		if (b.p[2] == 0 && b.p[3] == 1) {
			assert_int_equal(spdm_mctp_read(b.p + 12, b.len - 12,
			    MAX, &m), MCTP_OK);
			assert_false(m.secured);
			assert_int_equal(m.len, b.len - 13);
			n++;
		}
		free(b.p);
	}
	assert_true(n >= 12);
	json_decref(j);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_binding),
		cmocka_unit_test(test_recorded),
	};

	return cmocka_run_group_tests_name("spdm_mctp", tests, NULL, NULL);
}
