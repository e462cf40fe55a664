/*
 * One-time codes as people read and type them: what is a typing error, what
 * is not, and that a terminal shows nothing of what is typed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/wait.h>

#include <ctype.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "../../provctl/provctl.h"

#define PATIENCE	60000	/* ms */

static const char	alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/* All bits clear, all set; @ is what the check comes to. */
static const struct {
	uint8_t		 first, rest;
	const char	*text;
} known[] = {
	{ 0x00, 0x00, "0000-0000-0000-0000-0000-0000-0000" },
	{ 0xff, 0xff, "7ZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZ@@" },
};

/* The number modulo 1021, a bit at a time. */
static unsigned
check_of(const uint8_t *code)
{
	unsigned	 i, sum = 0;

	for (i = 0; i < 8 * CODE_LEN; i++)
		sum = (2 * sum + (code[i / 8] >> (7 - i % 8) & 1)) % 1021;
	return sum;
}

static void
test_known(void **state)
{
	uint8_t	 code[CODE_LEN], back[CODE_LEN];
	char	 text[CODE_TEXT], want[CODE_TEXT];
	size_t	 i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		memset(code, known[i].rest, sizeof(code));
		code[0] = known[i].first;
		memcpy(want, known[i].text, CODE_TEXT);
		want[32] = alphabet[check_of(code) / 32];
		want[33] = alphabet[check_of(code) % 32];
		code_text(code, text);
		assert_string_equal(text, want);
		assert_null(code_parse(text, back));
		assert_memory_equal(code, back, CODE_LEN);
	}
}

static void
some_code(unsigned seed, uint8_t code[CODE_LEN])
{
	unsigned	 i;

	for (i = 0; i < CODE_LEN; i++) {
		seed = seed * 1103515245u + 12345;
		code[i] = (uint8_t)(seed >> 16);
	}
}

static void
test_there_and_back(void **state)
{
	uint8_t		 code[CODE_LEN], back[CODE_LEN];
	char		 text[CODE_TEXT];
	unsigned	 i;

	for (i = 0; i < 500; i++) {
		some_code(i, code);
		code_text(code, text);
		assert_int_equal(strlen(text), CODE_TEXT - 1);
		assert_null(code_parse(text, back));
		assert_memory_equal(code, back, CODE_LEN);
	}
}

/* Every wrong character, every two neighbours in the wrong order. */
static void
test_typing_errors(void **state)
{
	uint8_t		 code[CODE_LEN], back[CODE_LEN];
	char		 text[CODE_TEXT], bad[CODE_TEXT], c;
	unsigned	 n, i, j;

	for (n = 0; n < 20; n++) {
		some_code(n, code);
		code_text(code, text);
		for (i = 0; i < CODE_TEXT - 1; i++) {
			for (j = 0; text[i] != '-' && j < 32; j++) {
				memcpy(bad, text, sizeof(bad));
				bad[i] = alphabet[j];
				assert_true((code_parse(bad, back) == NULL) ==
				    (bad[i] == text[i]));
			}
			j = text[i + 1] == '-' ? i + 2 : i + 1;
			if (text[i] == '-' || text[j] == '\0' ||
			    text[i] == text[j])
				continue;
			memcpy(bad, text, sizeof(bad));
			c = bad[i];
			bad[i] = bad[j];
			bad[j] = c;
			assert_non_null(code_parse(bad, back));
			assert_memory_equal(back,
			    ((uint8_t[CODE_LEN]){ 0 }), CODE_LEN);
		}
	}
}

static void
test_spellings(void **state)
{
	uint8_t		 code[CODE_LEN], back[CODE_LEN];
	char		 text[CODE_TEXT], other[80], *o = other;
	unsigned	 i;

	memset(code, 0x08, sizeof(code));	/* has 0 and 1 in it */
	code_text(code, text);
	assert_non_null(strchr(text, '0'));
	assert_non_null(strchr(text, '1'));
	for (i = 0; text[i] != '\0'; i++) {
		if (text[i] == '0')
			*o++ = i % 2 ? 'O' : 'o';
		else if (text[i] == '1')
			*o++ = i % 3 ? 'l' : 'I';
		else if (text[i] == '-')
			*o++ = i % 2 ? ' ' : '\t';
		else
			*o++ = (char)tolower((unsigned char)text[i]);
		if (i % 5 == 0)
			*o++ = ' ';
	}
	*o = '\0';
	assert_null(code_parse(other, back));
	assert_memory_equal(code, back, CODE_LEN);
}

static void
test_not_a_code(void **state)
{
	static const struct {
		const char	*text, *what;
	} rows[] = {
		{ "", "fewer" },
		{ "0000-0000-0000-0000-0000-0000-000", "fewer" },
		{ "0000-0000-0000-0000-0000-0000-0000-0", "more" },
		{ "0000-0000-0000-0000-0000-0000-000U", "character" },
		{ "0000-0000-0000-0000-0000-0000-00\xc3\xa4", "character" },
		{ "8000-0000-0000-0000-0000-0000-0000", "typing error" },
		{ "0000-0000-0000-0000-0000-0000-0001", "typing error" },
	};
	uint8_t		 code[CODE_LEN];
	const char	*bad;
	size_t		 i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bad = code_parse(rows[i].text, code);
		if (bad == NULL || strstr(bad, rows[i].what) == NULL)
			fail_msg("%s: %s", rows[i].text, bad);
	}
}

/* ---- asking ------------------------------------------------------------ */

static char	said[4096];	/* what came out, at both ends */

/* code_ask() in a child with this standard input; its exit code. */
static int
asked(int in, bool json, int *out)
{
	struct args	 a = { .json = json, .pos = { "bmc-b" }, .npos = 1 };
	uint8_t		 code[CODE_LEN];
	pid_t		 pid;
	int		 fds[2];

	assert_int_equal(pipe(fds), 0);
	fflush(stdout);
	if ((pid = fork()) == 0) {
		dup2(in, STDIN_FILENO);
		dup2(fds[1], STDOUT_FILENO);
		dup2(fds[1], STDERR_FILENO);
		close(fds[0]);
		_exit(code_ask(&a, code) == 0 ? code[15] : 255);
	}
	close(fds[1]);
	*out = fds[0];
	return pid;
}

static int
ended(int pid)
{
	int	 status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
slurp(int fd)
{
	size_t	 len = 0;
	ssize_t	 n;

	while ((n = read(fd, said + len, sizeof(said) - 1 - len)) > 0)
		len += (size_t)n;
	said[len] = '\0';
	close(fd);
}

static int
from_pipe(const char *typed, bool json)
{
	int	 fds[2], out, pid;

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], typed, strlen(typed)), strlen(typed));
	close(fds[1]);
	pid = asked(fds[0], json, &out);
	close(fds[0]);
	slurp(out);
	return ended(pid);
}

static void
test_standard_input(void **state)
{
	uint8_t		 code[CODE_LEN];
	char		 text[CODE_TEXT + 1], big[1000], *p;
	int		 status;

	some_code(7, code);
	code[15] = 0x5a;
	code_text(code, text);
	strcat(text, "\n");
	assert_int_equal(from_pipe(text, false), 0x5a);
	assert_string_equal(said, "");		/* no prompt, no echo */
	text[strlen(text) - 1] = '\0';
	assert_int_equal(from_pipe(text, false), 0x5a);
	text[3] = text[3] == '0' ? '1' : '0';
	assert_int_equal(from_pipe(text, false), 255);
	assert_non_null(strstr(said, "typing error"));
	assert_null(strstr(said, text + 5));
	assert_int_equal(from_pipe("", false), 255);
	assert_non_null(strstr(said, "no code was typed"));
	memset(big, '0', sizeof(big));
	big[999] = '\0';
	assert_int_equal(from_pipe(big, false), 255);
	/* An empty line makes one, and says it. */
	status = from_pipe("\n", false);
	assert_non_null(p = strstr(said, "One-time code: "));
	p[15 + CODE_TEXT - 1] = '\0';
	assert_null(code_parse(p + 15, code));
	assert_int_equal(status, code[15]);	/* any byte, 255 too */
	from_pipe("  \n", true);
	assert_memory_equal(said, "{\"row\":\"code\",\"peer\":\"bmc-b\","
	    "\"code\":\"", 37);
	assert_int_equal(said[37 + CODE_TEXT - 1], '"');
}

static void
read_until(int fd, const char *what)
{
	struct pollfd	 pfd = { .fd = fd, .events = POLLIN };
	size_t		 len = 0;
	ssize_t		 n;

	do {
		assert_int_equal(poll(&pfd, 1, PATIENCE), 1);
		n = read(fd, said + len, sizeof(said) - 1 - len);
		assert_true(n > 0);
		said[len += (size_t)n] = '\0';
	} while (strstr(said, what) == NULL);
}

static bool
echoes(int tty)
{
	struct termios	 t;

	assert_int_equal(tcgetattr(tty, &t), 0);
	return t.c_lflag & ECHO;
}

/* On a terminal: a prompt, and what is typed is not shown. */
static void
test_terminal(void **state)
{
	uint8_t	 code[CODE_LEN];
	char	 text[CODE_TEXT + 1];
	int	 master, slave, out, pid;

	some_code(9, code);
	code[15] = 0x33;
	code_text(code, text);
	strcat(text, "\n");
	assert_true((master = posix_openpt(O_RDWR | O_NOCTTY)) != -1);
	assert_int_equal(grantpt(master), 0);
	assert_int_equal(unlockpt(master), 0);
	assert_true((slave = open(ptsname(master), O_RDWR | O_NOCTTY)) != -1);
	pid = asked(slave, false, &out);
	read_until(out, "(empty: make one): ");
	assert_false(echoes(slave));
	assert_int_equal(write(master, text, strlen(text)), strlen(text));
	slurp(out);
	assert_int_equal(ended(pid), 0x33);
	assert_true(echoes(slave));	/* as it was */
	assert_int_equal(fcntl(master, F_SETFL, O_NONBLOCK), 0);
	assert_true(read(master, said, sizeof(said)) <= 0);
	close(slave);
	close(master);
}

/* Whoever thinks better of it has his terminal back. */
static void
test_interrupted(void **state)
{
	int	 master, slave, out, pid, status;

	assert_true((master = posix_openpt(O_RDWR | O_NOCTTY)) != -1);
	assert_int_equal(grantpt(master), 0);
	assert_int_equal(unlockpt(master), 0);
	assert_true((slave = open(ptsname(master), O_RDWR | O_NOCTTY)) != -1);
	pid = asked(slave, false, &out);
	read_until(out, "(empty: make one): ");
	assert_false(echoes(slave));
	assert_int_equal(kill(pid, SIGINT), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
	assert_true(echoes(slave));
	close(out);
	close(slave);
	close(master);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_typing_errors),
		cmocka_unit_test(test_spellings),
		cmocka_unit_test(test_not_a_code),
		cmocka_unit_test(test_standard_input),
		cmocka_unit_test(test_terminal),
		cmocka_unit_test(test_interrupted),
	};

	return cmocka_run_group_tests_name("provctl_code", tests, NULL, NULL);
}
