/* The start of a daemon: options, a clean slate, the background, "ready". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uv.h>

#include "child.h"
#include "confine.h"
#include "log.h"

static bool	own_stream;	/* JOURNAL_STREAM is what run() reads */

struct run {
	char		*argv[8];
	const char	*modes;
	void		(*then)(const struct start_opts *);
};

static const struct run	*running;

static void
name_stream(void)
{
	struct stat	st;
	char		stream[64];

	if (fstat(STDERR_FILENO, &st) == -1)
		_exit(99);
	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev,
	    (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
}

static void
child_main(void)
{
	const struct run	*r = running;
	char			*argv[9];
	struct start_opts	 o;
	int			 argc;

	for (argc = 0; r->argv[argc] != NULL; argc++)
		argv[argc] = r->argv[argc];
	argv[argc] = NULL;
	if (own_stream)
		name_stream();
	optind = 0;
	start_options(argc, argv, r->modes, &o);
	if (r->then != NULL)
		r->then(&o);
}

/* The exit status of a program that starts so; all it prints in out. */
static int
run(const struct run *r)
{
	running = r;
	return child_exit(child_main);
}

static void
expect(const struct run *r, int status, const char *text)
{
	int	got = run(r);

	if (got != status || strstr(out, text) == NULL)
		fail_msg("%s %s: exit %d, wanted %d and \"%s\": %s",
		    r->argv[0], r->argv[1], got, status, text, out);
}

static void
print_options(const struct start_opts *o)
{
	printf("conf %s check %d fg %d verbose %d mode %d", o->conf_path,
	    o->check, o->foreground, o->verbose, o->mode);
}

static void
test_options(void **state)
{
	char	keyd[] = "/usr/sbin/keyd", d[] = "-d", v[] = "-v", f[] = "-f",
		path[] = "/x", q[] = "-Q", r[] = "-R", x[] = "-x",
		word[] = "word", help[] = "--help", h[] = "-h",
		version[] = "--version", dev[] = "-D";

	(void)state;
	expect(&(struct run){ { keyd, d, v, f, path }, NULL, print_options },
	    0, "conf /x check 0 fg 1 verbose 1 mode 0");
	expect(&(struct run){ { keyd, d }, NULL, print_options },
	    0, "conf " CONF_PATH " ");
	expect(&(struct run){ { keyd, d, q }, "QR", print_options }, 0,
	    "mode 81");
	expect(&(struct run){ { keyd, d, q, r }, "QR", NULL }, 2, "not both");
	expect(&(struct run){ { keyd, d }, "QR", NULL }, 2, "missing");
	expect(&(struct run){ { keyd, q }, NULL, NULL }, 2, "usage: keyd [");
	expect(&(struct run){ { keyd, x }, NULL, NULL }, 2, "usage: keyd [");
	expect(&(struct run){ { keyd, f }, NULL, NULL }, 2, "usage: keyd [");
	expect(&(struct run){ { keyd, word }, NULL, NULL }, 2,
	    "what is \"word\"?");
	expect(&(struct run){ { keyd, h }, NULL, NULL }, 0, "usage: keyd [");
	expect(&(struct run){ { keyd, help }, "QR", NULL }, 0,
	    "usage: keyd -Q | -R [");
	expect(&(struct run){ { keyd, version }, NULL, NULL }, 0,
	    "keyd " PROVD_VERSION);
	if (geteuid() == 0)
		expect(&(struct run){ { keyd, dev, d }, NULL, NULL }, 1,
		    "refused as root");
}

static void
parse_conf(const struct start_opts *o)
{
	start_conf(o);
	puts("went on");
}

static void
test_check(void **state)
{
	char	keyd[] = "keyd", n[] = "-n", f[] = "-f",
		good[] = "regress/data/conf/minimal.conf",
		bad[] = "regress/data/conf/errors.conf";

	(void)state;
	expect(&(struct run){ { keyd, n, f, good }, NULL, parse_conf }, 0,
	    "configuration OK\n");
	assert_null(strstr(out, "went on"));
	expect(&(struct run){ { keyd, n, f, bad }, NULL, parse_conf }, 1,
	    "errors.conf:1: node");
}

static void
look_around(const struct start_opts *o)
{
	struct rlimit	rl;
	struct stat	st, null;
	sigset_t	set;
	char		c;

	printf("env %s fd %d ", environ == NULL || *environ == NULL ?
	    "empty" : *environ, fcntl(77, F_GETFD));
	printf("stdin %zd ", read(STDIN_FILENO, &c, 1));
	printf("null %d ", stat("/dev/null", &null) == 0 &&
	    fstat(STDIN_FILENO, &st) == 0 && st.st_rdev == null.st_rdev);
	getrlimit(RLIMIT_NOFILE, &rl);
	printf("nofile %d ", rl.rlim_cur <= 4096);
	sigprocmask(SIG_SETMASK, NULL, &set);
	printf("blocked %d ", sigismember(&set, SIGTERM));
	printf("pipe %d ", signal(SIGPIPE, SIG_DFL) == SIG_IGN);
	printf("umask %o", (unsigned)umask(0));
}

/* Nothing of who started us remains: descriptors, environment, signals. */
static void
test_slate(void **state)
{
	char		keyd[] = "keyd", d[] = "-d";
	sigset_t	set, old;

	(void)state;
	assert_int_equal(dup2(STDOUT_FILENO, 77), 77);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, &old);
	expect(&(struct run){ { keyd, d }, NULL, look_around }, 0,
	    "env empty fd -1 stdin 0 null 1 nofile 1 blocked 0 pipe 1 "
	    "umask 77");
	sigprocmask(SIG_SETMASK, &old, NULL);
	close(77);
}

static void
ready(const struct start_opts *o)
{
	start_ready();
	start_ready();		/* once is enough */
}

static void
test_notify(void **state)
{
	struct sockaddr_un	 sun = { .sun_family = AF_UNIX };
	char			 dir[] = "/tmp/start.XXXXXX", buf[64];
	char			 keyd[] = "keyd", d[] = "-d";
	int			 s;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/notify", dir);
	s = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s, (struct sockaddr *)&sun, sizeof(sun)), 0);
	setenv("NOTIFY_SOCKET", sun.sun_path, 1);
	expect(&(struct run){ { keyd, d }, NULL, ready }, 0, "");
	assert_int_equal(recv(s, buf, sizeof(buf), MSG_DONTWAIT), 22);
	assert_memory_equal(buf, "READY=1\nSTATUS=serving", 22);
	assert_int_equal(recv(s, buf, sizeof(buf), MSG_DONTWAIT), -1);
	/* nobody there: not a start that nobody hears of */
	unlink(sun.sun_path);
	expect(&(struct run){ { keyd, d }, NULL, ready }, 1, "NOTIFY_SOCKET");
	setenv("NOTIFY_SOCKET", "relative", 1);
	expect(&(struct run){ { keyd, d }, NULL, ready }, 1, "NOTIFY_SOCKET");
	unsetenv("NOTIFY_SOCKET");
	close(s);
	rmdir(dir);
}

/* ---- the watchdog ------------------------------------------------------ */

static const char	*watchdog_usec, *watchdog_pid;	/* NULL: that of us */
static uv_loop_t	 turning;

static void
turn_end(void)
{
	loop_end();
}

/* With its loop, until a signal ends it. */
static void
turns(const struct start_opts *o)
{
	start_status("waiting");
	loop_start(&turning, turn_end);
	start_ready();
	uv_run(&turning, UV_RUN_DEFAULT);
	if (uv_loop_close(&turning) != 0)
		_exit(7);
}

static void
watched_main(void)
{
	char	own[32];

	snprintf(own, sizeof(own), "%d", (int)getpid());
	setenv("WATCHDOG_USEC", watchdog_usec, 1);
	setenv("WATCHDOG_PID", watchdog_pid == NULL ? own : watchdog_pid, 1);
	child_main();
}

static void
heard(int s, const char *want)
{
	char	buf[64];
	ssize_t	n;

	/* a bound for one that fails: this is not about time */
	assert_int_equal(poll(&(struct pollfd){ s, POLLIN, 0 }, 1, 60000), 1);
	n = recv(s, buf, sizeof(buf) - 1, 0);
	assert_true(n > 0);
	buf[n] = '\0';
	assert_string_equal(buf, want);
}

/* A daemon with a loop, and a WatchdogSec= of its own; its pid. */
static pid_t
watched(const struct run *r)
{
	pid_t	pid;

	running = r;
	fflush(stdout);
	if ((pid = fork()) == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		watched_main();
		fflush(stdout);
		_exit(0);
	}
	assert_true(pid > 0);
	return pid;
}

static void
ended_well(pid_t pid)
{
	int	status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static int
notify_socket(char *dir)
{
	struct sockaddr_un	sun = { .sun_family = AF_UNIX };
	int			s;

	assert_non_null(mkdtemp(dir));
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/notify", dir);
	s = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s, (struct sockaddr *)&sun, sizeof(sun)), 0);
	setenv("NOTIFY_SOCKET", sun.sun_path, 1);
	return s;
}

/* From READY on the loop says that it turns, until a signal ends it. */
static void
test_watchdog(void **state)
{
	char		keyd[] = "keyd", d[] = "-d",
			dir[] = "/tmp/start.XXXXXX";
	struct run	r = { { keyd, d }, NULL, turns };
	pid_t		pid;
	int		i, s;

	(void)state;
	s = notify_socket(dir);
	watchdog_usec = "20000";
	pid = watched(&r);
	heard(s, "STATUS=waiting");
	heard(s, "READY=1\nSTATUS=serving");
	for (i = 0; i < 3; i++)
		heard(s, "WATCHDOG=1");
	/* A stopped one says nothing: what came before is read, and no more. */
	kill(pid, SIGSTOP);
	assert_int_equal(waitpid(pid, NULL, WUNTRACED), pid);
	while (recv(s, &(char){ 0 }, 1, MSG_DONTWAIT) != -1)
		continue;
	assert_int_equal(poll(&(struct pollfd){ s, POLLIN, 0 }, 1, 100), 0);
	kill(pid, SIGCONT);
	heard(s, "WATCHDOG=1");
	kill(pid, SIGTERM);
	for (;;) {
		char	buf[64];
		ssize_t	n = recv(s, buf, sizeof(buf), 0);

		assert_true(n > 0);
		if (n == 10 && memcmp(buf, "WATCHDOG=1", 10) == 0)
			continue;
		assert_int_equal(n, 24);
		assert_memory_equal(buf, "STOPPING=1\nSTATUS=ending", 24);
		break;
	}
	ended_well(pid);

	/* That of another process is none of ours, nor is none. */
	watchdog_pid = "1";
	pid = watched(&r);
	heard(s, "STATUS=waiting");
	heard(s, "READY=1\nSTATUS=serving");
	kill(pid, SIGTERM);
	heard(s, "STOPPING=1\nSTATUS=ending");
	ended_well(pid);
	watchdog_pid = NULL;
	unlink(getenv("NOTIFY_SOCKET"));
	unsetenv("NOTIFY_SOCKET");
	close(s);
	rmdir(dir);
}

static void
test_watchdog_bad(void **state)
{
	static const char *const bad[] = { "", "0", "-1", "1s", " 1", "x",
	    "99999999999999999999999" };
	char		keyd[] = "keyd", d[] = "-d",
			dir[] = "/tmp/start.XXXXXX";
	size_t		i;
	int		s;

	(void)state;
	s = notify_socket(dir);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		setenv("WATCHDOG_USEC", bad[i], 1);
		expect(&(struct run){ { keyd, d }, NULL, ready }, 1,
		    "WATCHDOG_USEC");
	}
	/* without a loop, and without a service manager */
	setenv("WATCHDOG_USEC", "20000", 1);
	expect(&(struct run){ { keyd, d }, NULL, ready }, 0, "");
	heard(s, "READY=1\nSTATUS=serving");
	unlink(getenv("NOTIFY_SOCKET"));
	unsetenv("NOTIFY_SOCKET");
	expect(&(struct run){ { keyd, d }, NULL, ready }, 0, "");
	unsetenv("WATCHDOG_USEC");
	close(s);
	rmdir(dir);
}

static void
say_two(const struct start_opts *o)
{
	log_warnx("bad");
	log_info("good");
}

/* In the journal a warning is a warning. */
static void
test_journal(void **state)
{
	struct stat	st;
	char		keyd[] = "keyd", d[] = "-d", stream[64];
	int		fds[2];

	(void)state;
	/* run() makes a pipe of its own: this name is that of another one */
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(fstat(fds[1], &st), 0);
	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev,
	    (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	expect(&(struct run){ { keyd, d }, NULL, say_two }, 0,
	    "keyd: bad\nkeyd: good\n");
	close(fds[0]);
	close(fds[1]);
	own_stream = true;
	/* where there is a journal, they are there */
	expect(&(struct run){ { keyd, d }, NULL, say_two }, 0,
	    access(LOG_JOURNAL, W_OK) == 0 ? "" :
	    "<4>keyd: bad\n<6>keyd: good\n");
	own_stream = false;
	unsetenv("JOURNAL_STREAM");
}

static void
come_up(const struct start_opts *o)
{
	printf("session %d\n", getsid(0) == getpid());
	fflush(stdout);
	start_detach();
	puts("not seen");
	fflush(stdout);
	log_warnx("not seen either");
}

static void
fail_late(const struct start_opts *o)
{
	fatalx("no such interface");
}

static void
killed(const struct start_opts *o)
{
	raise(SIGKILL);
}

/* The shell that starts a daemon sees its errors, and whether it came up. */
static void
test_background(void **state)
{
	char	keyd[] = "keyd";

	(void)state;
	expect(&(struct run){ { keyd }, NULL, come_up }, 0, "session 1");
	assert_null(strstr(out, "not seen"));
	expect(&(struct run){ { keyd }, NULL, fail_late }, 1,
	    "keyd: no such interface");
	expect(&(struct run){ { keyd }, NULL, killed }, 1, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_slate),
		cmocka_unit_test(test_notify),
		cmocka_unit_test(test_watchdog),
		cmocka_unit_test(test_watchdog_bad),
		cmocka_unit_test(test_journal),
		cmocka_unit_test(test_background),
	};

	return cmocka_run_group_tests_name("start", tests, NULL, NULL);
}
