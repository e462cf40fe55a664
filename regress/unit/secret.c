/* Secrets: kept out of dumps, wiped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "secret.h"

/* VmFlags of the mapping that holds p; true if the flag is among them. */
static bool
has_flag(const void *p, const char *flag)
{
	char		 line[512];
	unsigned long	 from, to, at = (unsigned long)p;
	bool		 here = false, found = false;
	FILE		*f;

	assert_non_null(f = fopen("/proc/self/smaps", "r"));
	while (fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			here = at >= from && at < to;
		else if (here && strncmp(line, "VmFlags:", 8) == 0)
			found = strstr(line, flag) != NULL;
	}
	fclose(f);
	return found;
}

/* memfd_secret: the kernel itself cannot read it; else locked, not dumped. */
static void
test_kept_out(void **state)
{
	uint8_t	*p;
	char	 c;
	ssize_t	 n;
	int	 fd;

	(void)state;
	assert_non_null(p = secret_alloc(5000));
	assert_int_equal(p[0] | p[4999], 0);
	memset(p, 0x5a, 5000);
	fd = open("/proc/self/mem", O_RDONLY);
	assert_true(fd != -1);
	n = pread(fd, &c, 1, (off_t)(uintptr_t)p);
	close(fd);
	if (n == 1) {
		assert_true(has_flag(p, " dd"));
		assert_true(has_flag(p, " lo"));
	} else
		assert_int_equal(errno, EIO);
	secret_free(p, 5000);
}

static void
test_bounds(void **state)
{
	(void)state;
	assert_null(secret_alloc(0));
	assert_int_equal(errno, EINVAL);
	assert_null(secret_alloc(SIZE_MAX));
	secret_free(NULL, 10);
	freezero(NULL, 10);
	freezero(malloc(10), 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kept_out),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests_name("secret", tests, NULL, NULL);
}
