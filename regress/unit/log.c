/* The log: one event is one line, at its level, whatever is in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "child.h"
#include "log.h"

static void
some_lines(void)
{
	errno = ENOENT;
	log_warn("file %d", 7);
	if (errno != ENOENT)
		log_warnx("errno was lost");
	log_warnx("plain");
	log_info("info");
	log_debug("not shown");
	log_trace("not shown");
}

static void
test_lines(void **state)
{
	(void)state;
	assert_int_equal(child_exit(some_lines), 0);
	assert_string_equal(out, "child: file 7: No such file or directory\n"
	    "child: plain\nchild: info\n");
}

static void
hostile(void)
{
	char	*big;

	log_warnx("name: %s", "x\nkeyd: all is well\x1b[2J\r\x7f"
	    "\xc2\x9b" "2J\xc2\xa0\xc3\xa9\xe2\x80\xae\xe2\x81\xa6\xe2\x82\xac");
	if ((big = malloc(4000)) == NULL)
		_exit(9);
	memset(big, 'a', 3999);
	big[3999] = '\0';
	log_warnx("%s", big);
	free(big);
}

static void
test_one_line(void **state)
{
	size_t	len;

	(void)state;
	assert_int_equal(child_exit(hostile), 0);
	len = strcspn(out, "\n");
	out[len] = '\0';
	assert_string_equal(out, "child: name: x?keyd: all is well?[2J??"
	    "??2J\xc2\xa0\xc3\xa9??????\xe2\x82\xac");
	/* cut, with its newline */
	assert_true(strlen(out + len + 1) < 1100);
	assert_int_equal(out[len + strlen(out + len + 1)], '\n');
}

static void
levels(void)
{
	log_level(LOG_LVL_WARN);
	log_info("hidden");
	log_level(LOG_LVL_DEBUG);
	log_debug("debug");
	log_trace("hidden");
	log_verbose(true);
	log_trace("trace");
	log_level(LOG_LVL_WARN);	/* -v holds */
	log_trace("still");
}

static void
test_levels(void **state)
{
	(void)state;
	assert_int_equal(child_exit(levels), 0);
	assert_string_equal(out, "child: debug\nchild: trace\nchild: still\n");
}

static void
die(void)
{
	errno = EPERM;
	fatal("chroot");
}

static void
diex(void)
{
	fatalx("broken");
}

static void
test_fatal(void **state)
{
	(void)state;
	assert_int_equal(child_exit(die), 1);
	assert_string_equal(out, "child: chroot: Operation not permitted\n");
	assert_int_equal(child_exit(diex), 1);
	assert_string_equal(out, "child: broken\n");
}

static void
detached(void)
{
	log_detach();
	log_warnx("nowhere");
}

static void
test_detached(void **state)
{
	(void)state;
	assert_int_equal(child_exit(detached), 0);
	assert_string_equal(out, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_one_line),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_fatal),
		cmocka_unit_test(test_detached),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
