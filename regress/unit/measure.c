/*
 * What attestd -R measures of its node: the rows, their order, their forms,
 * and the two summaries. attestd(8) must name every index.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../attestd/spdm.h"
#include "conf.h"

static char			path[64];
static struct measure_set	set;

static int
setup(void **state)
{
	FILE	*f;
	int	 fd;

	snprintf(path, sizeof(path), "/tmp/provd_measure.XXXXXX");
	if (spdm_init() == -1 || (fd = mkstemp(path)) == -1 ||
	    (f = fdopen(fd, "w")) == NULL)
		return -1;
	fputs("abc", f);
	return fclose(f);
}

static int
teardown(void **state)
{
	return unlink(path);
}

static void
take(bool developer)
{
	struct conf_path	second = { NULL, path };
	struct conf_path	first = { &second, path };
	const char		*bad;

	assert_int_equal(measure_files(&set, &first, path, developer, &bad),
	    0);
}

static void
test_rows(void **state)
{
	static const uint8_t	want[] = { 1, 2, 3, 4, 5, 6, 7, 8, 0x20, 0x21,
	    0xf0, 0xfe };
	uint8_t			pcrs[256] = { 0 };
	size_t			i;

	take(false);
	measure_pcrs(&set, pcrs);
	assert_int_equal(set.n, sizeof(want));
	for (i = 0; i < set.n; i++)
		assert_int_equal(set.m[i].index, want[i]);
	/* New values take the place of old ones; a TPM may go. */
	memset(pcrs, 7, sizeof(pcrs));
	measure_pcrs(&set, pcrs);
	assert_int_equal(set.n, sizeof(want));
	assert_int_equal(set.m[7].digest[31], 7);
	measure_pcrs(&set, NULL);
	assert_int_equal(set.n, sizeof(want) - 8);
	assert_null(measure_find(&set, 1));
	assert_non_null(measure_find(&set, 0x21));
	assert_null(measure_find(&set, 0x22));
}

static void
test_file_digest(void **state)
{
	/* FIPS 180-2, B.1: SHA-256 of "abc" */
	static const uint8_t	abc[4] = { 0xba, 0x78, 0x16, 0xbf };

	take(false);
	assert_memory_equal(measure_find(&set, 0x20)->digest, abc, 4);
	assert_memory_equal(measure_find(&set, 0xf0)->digest, abc, 4);
}

static void
block(uint8_t index, bool raw, struct spdm_block *b, uint8_t *buf,
    size_t size)
{
	struct spdm_buf	 w;
	const uint8_t	*p = buf;
	size_t		 left;

	spdm_buf_init(&w, buf, size);
	measure_block(measure_find(&set, index), raw, &w);
	assert_false(w.full);
	left = w.len;
	assert_int_equal(spdm_block_next(&p, &left, b), 1);
	assert_int_equal(left, 0);
}

static void
test_forms(void **state)
{
	struct spdm_block	b;
	uint8_t			buf[256];

	take(false);
	block(0xf0, false, &b, buf, sizeof(buf));
	assert_true(!b.raw && b.len == 32 && b.spec == SPDM_MEAS_DMTF);
	block(0xf0, true, &b, buf, sizeof(buf));
	assert_true(b.raw && b.len == 3);
	/* there is nothing raw of a file, and no digest of the mode */
	block(0x20, true, &b, buf, sizeof(buf));
	assert_true(!b.raw && b.len == 32);
	block(0xfe, false, &b, buf, sizeof(buf));
	assert_true(b.raw && b.len == 16 && b.type == 5);
	assert_int_equal(b.value[12], 0);
	take(true);
	block(0xfe, false, &b, buf, sizeof(buf));
	assert_int_equal(b.value[12], 2);
}

/* TCB: firmware alone. */
static void
test_summary(void **state)
{
	uint8_t	all[32], tcb[32], all2[32], tcb2[32];

	take(false);
	measure_summary(&set, true, spdm_sha256(), all);
	measure_summary(&set, false, spdm_sha256(), tcb);
	take(true);
	measure_summary(&set, true, spdm_sha256(), all2);
	measure_summary(&set, false, spdm_sha256(), tcb2);
	assert_memory_not_equal(all, tcb, 32);
	assert_memory_not_equal(all, all2, 32);
	assert_memory_equal(tcb, tcb2, 32);
	set.m[0].digest[0] ^= 1;
	measure_summary(&set, false, spdm_sha256(), tcb2);
	assert_memory_not_equal(tcb, tcb2, 32);
}

static void
test_missing_file(void **state)
{
	struct conf_path	gone = { NULL, (char[]){ "/nonexistent/x" } };
	const char		*bad = NULL;

	assert_int_equal(measure_files(&set, &gone, path, false, &bad), -1);
	assert_string_equal(bad, "/nonexistent/x");
	assert_int_equal(measure_files(&set, NULL, "/nonexistent/y", false,
	    &bad), -1);
	assert_string_equal(bad, "/nonexistent/y");
}

static void
test_manual(void **state)
{
	static char	page[65536];
	FILE		*f = fopen("man/attestd.8", "r");
	char		word[16];
	size_t		i, n;
	uint8_t		pcrs[256] = { 0 };

	assert_non_null(f);
	n = fread(page, 1, sizeof(page) - 1, f);
	fclose(f);
	page[n] = '\0';
	take(false);
	measure_pcrs(&set, pcrs);
	for (i = 0; i < set.n; i++) {
		if (set.m[i].index == 0x21)	/* 20 to 3f */
			continue;
		snprintf(word, sizeof(word), ".It Li %02x", set.m[i].index);
		if (strstr(page, word) == NULL)
			fail_msg("attestd(8) lacks %s", word);
	}
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_file_digest),
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_summary),
		cmocka_unit_test(test_missing_file),
		cmocka_unit_test(test_manual),
	};

	return cmocka_run_group_tests_name("measure", tests, setup, teardown);
}
