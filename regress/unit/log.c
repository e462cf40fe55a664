/*
 * The log: one event is one line, at its level, whatever is in it; and for the
 * journal one entry, with the fields that were meant and no other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/socket.h>
#include <sys/un.h>

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
	    "\xc2\x9b" "2J\xc2\xa0\xc3\xa9\xe2\x80\xae\xe2\x81\xa6\xe2\x82\xac"
	    /* no UTF-8: alone, overlong, a surrogate, too high, cut short */
	    "\x9b\xc0\xaf\xe0\x80\xaf\xed\xa0\x80\xf4\x90\x80\x80\xff\xf0\x9f");
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
	    "??2J\xc2\xa0\xc3\xa9??????\xe2\x82\xac????????????????");
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

/* ---- the journal -------------------------------------------------------- */

static char	dir[] = "/tmp/log.XXXXXX";
static char	path[64];
static int	played = -1;	/* the journal's end */

static int
play(void **state)
{
	struct sockaddr_un	sun = { .sun_family = AF_UNIX };

	memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/socket", dir);
	memcpy(sun.sun_path, path, sizeof(path));
	played = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return bind(played, (struct sockaddr *)&sun, sizeof(sun));
}

static int
played_out(void **state)
{
	close(played);
	unlink(path);
	return rmdir(dir);
}

/* The next entry; false if there is none. */
static bool
entry(char *buf, size_t size)
{
	ssize_t	n = recv(played, buf, size - 1, MSG_DONTWAIT);

	buf[n > 0 ? n : 0] = '\0';
	return n > 0;
}

static void
expect_entry(int priority, const char *rest)
{
	char	buf[8192], want[8192];

	assert_true(entry(buf, sizeof(buf)));
	snprintf(want, sizeof(want), "PRIORITY=%d\nSYSLOG_FACILITY=3\n"
	    "SYSLOG_IDENTIFIER=child\n%s", priority, rest);
	assert_string_equal(buf, want);
}

static void
to_journal(void)
{
	log_journal(path);
	log_warnx("plain");
	log_about(LOG_LVL_INFO, "POL-001", "bmc-b", "peer %s", "bmc-b");
	log_about(LOG_LVL_WARN, NULL, "bmc-b", "no reason");
	log_about(LOG_LVL_WARN, "NET-001", "", "no peer");
	log_about(LOG_LVL_DEBUG, "NET-001", "", "not shown");
	errno = ENOENT;
	fatal("file");
}

static void
test_journal(void **state)
{
	char	buf[64];

	(void)state;
	assert_int_equal(child_exit(to_journal), 1);
	assert_string_equal(out, "");
	expect_entry(4, "MESSAGE=plain\n");
	expect_entry(6, "MESSAGE=peer bmc-b\nPROVD_REASON=POL-001\n"
	    "PROVD_PEER=bmc-b\n");
	expect_entry(4, "MESSAGE=no reason\nPROVD_PEER=bmc-b\n");
	expect_entry(4, "MESSAGE=no peer\nPROVD_REASON=NET-001\n");
	expect_entry(2, "MESSAGE=file: No such file or directory\n");
	assert_false(entry(buf, sizeof(buf)));
}

/* What says that it is another field, and the binary form of one. */
static const char	forged[] =
	    "b\nPROVD_REASON=OK\nMESSAGE\n\x04\r=\x1b[2J\x9b\xe2\x80\xae";

static void
hostile_journal(void)
{
	char	big[4001];

	memset(big, 'a', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	log_journal(path);
	log_about(LOG_LVL_WARN, forged, forged, "%s", forged);
	log_about(LOG_LVL_WARN, big, big, "%s", big);
}

/* No name, no reason, no text makes a field that was not meant. */
static void
test_journal_hostile(void **state)
{
	char	buf[8192], *line, *rest;
	size_t	n;

	(void)state;
	assert_int_equal(child_exit(hostile_journal), 0);
	expect_entry(4,
	    "MESSAGE=b?PROVD_REASON=OK?MESSAGE??\?=?[2J????\n"
	    "PROVD_REASON=b?PROVD_REASON=OK?MESSAGE??\?=?[2J????\n"
	    "PROVD_PEER=b?PROVD_REASON=OK?MESSAGE??\?=?[2J????\n");
	assert_true(entry(buf, sizeof(buf)));
	for (n = 0, line = strtok_r(buf, "\n", &rest); line != NULL;
	    line = strtok_r(NULL, "\n", &rest), n++)
		switch (n) {
		case 3:
			assert_memory_equal(line, "MESSAGE=aaa", 11);
			assert_int_equal(strlen(line), 8 + 1023);
			break;
		case 4:
			assert_memory_equal(line, "PROVD_REASON=aaa", 16);
			assert_int_equal(strlen(line), 13 + 256);
			break;
		case 5:
			assert_memory_equal(line, "PROVD_PEER=aaa", 14);
			assert_int_equal(strlen(line), 11 + 256);
			break;
		}
	assert_int_equal(n, 6);
	assert_false(entry(buf, sizeof(buf)));
}

/* A journal that does not read holds nobody up, and hears of what it missed. */
static void
flood_journal(void)
{
	char		buf[8192];
	unsigned	i, got = 0;

	log_journal(path);
	for (i = 0; i < 3000; i++)
		log_info("line %u", i);
	while (entry(buf, sizeof(buf)))
		got++;
	if (got == 0 || got == 3000)
		_exit(2);
	log_info("after");
	snprintf(buf, sizeof(buf), "PRIORITY=4\nSYSLOG_FACILITY=3\n"
	    "SYSLOG_IDENTIFIER=child\nMESSAGE=%u lines lost: the journal took "
	    "no more\n", 3000 - got);
	fputs(buf, stdout);
}

static void
test_journal_full(void **state)
{
	char	buf[8192];

	(void)state;
	assert_int_equal(child_exit(flood_journal), 0);
	assert_true(entry(buf, sizeof(buf)));
	assert_string_equal(buf, out);
	expect_entry(6, "MESSAGE=after\n");
	assert_false(entry(buf, sizeof(buf)));
}

static void
journal_away(void)
{
	struct sockaddr_un	sun = { .sun_family = AF_UNIX };
	int			fd;

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	unlink(path);
	fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	if (bind(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1)
		_exit(2);
	log_journal(path);
	close(fd);
	log_about(LOG_LVL_WARN, "NET-001", "bmc-b", "to whoever reads");
	log_info("still");
}

static void
no_journal(void)
{
	char	wrong[300];

	memset(wrong, 'x', sizeof(wrong) - 1);
	wrong[sizeof(wrong) - 1] = '\0';
	log_journal(wrong);
	log_warnx("one");
	log_journal("/nowhere/at/all");
	log_info("two");
}

/* Today's way: the standard error, with the level in front. */
static void
test_journal_away(void **state)
{
	(void)state;
	assert_int_equal(child_exit(no_journal), 0);
	assert_string_equal(out, "<4>child: one\n<6>child: two\n");
	assert_int_equal(child_exit(journal_away), 0);
	assert_string_equal(out, "<4>child: to whoever reads\n"
	    "<6>child: still\n");
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
		cmocka_unit_test_setup_teardown(test_journal, play, played_out),
		cmocka_unit_test_setup_teardown(test_journal_hostile, play,
		    played_out),
		cmocka_unit_test_setup_teardown(test_journal_full, play,
		    played_out),
		cmocka_unit_test_setup_teardown(test_journal_away, play,
		    played_out),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
