/*
 * What every daemon does first: options, a clean slate (descriptors,
 * environment, signals), the background, and at last the word "ready".
 */
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "confine.h"
#include "log.h"

/* Descriptors are below this until confine_user() has looked at them all. */
#define START_NOFILE	4096

static const char	*start_name;
static char		 start_role[32];
static int		 notify_fd = -1;
static bool		 notify_ready;	/* READY=1 was said */
static uint64_t		 watchdog_ms;	/* half of WatchdogSec=; 0: none */
static int		 parent_fd = -1;

static void
usage(FILE *f, const char *modes)
{
	fprintf(f, "usage: %s %s[-dDnv] [-f file]\n", start_name,
	    modes == NULL ? "" : "-Q | -R ");
	fputs("  -d       stay in the foreground, log to the standard error\n"
	    "  -D       developer mode: no chroot, no change of user; not as "
	    "root\n"
	    "  -f file  configuration, " CONF_PATH " without it\n"
	    "  -n       check the configuration and exit\n", f);
	if (modes != NULL)
		fputs("  -Q       SPDM requester: attest peers\n"
		    "  -R       SPDM responder: answer peers\n", f);
	fputs("  -v       log more, with a line for each message\n"
	    "  -h, --help, --version\n", f);
}

static void
slate_descriptors(void)
{
	int	fd;

	/* 0, 1 and 2 exist, so that no socket of ours becomes one of them. */
	do {
		if ((fd = open("/dev/null", O_RDWR)) == -1)
			fatal("/dev/null");
	} while (fd <= STDERR_FILENO);
	if (dup2(fd, STDIN_FILENO) == -1)
		fatal("dup2");
	if (close_range(STDERR_FILENO + 1, ~0U, 0) == -1)
		fatal("close_range");
}

static void
slate_limits(void)
{
	struct rlimit	rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == -1)
		fatal("getrlimit");
	if (rl.rlim_cur > START_NOFILE)
		rl.rlim_cur = START_NOFILE;
	if (setrlimit(RLIMIT_NOFILE, &rl) == -1)
		fatal("setrlimit: open files");
}

static void
slate_signals(void)
{
	sigset_t	none;

	sigemptyset(&none);
	if (sigprocmask(SIG_SETMASK, &none, NULL) == -1 ||
	    signal(SIGPIPE, SIG_IGN) == SIG_ERR ||
	    signal(SIGHUP, SIG_IGN) == SIG_ERR)
		fatal("signals");
}

/*
 * The environment is read here, and nowhere else: NOTIFY_SOCKET, WATCHDOG_USEC
 * and WATCHDOG_PID as in sd_notify(3) and sd_watchdog_enabled(3), JOURNAL_STREAM
 * as in systemd.exec(5).
 */
static void
notify_open(void)
{
	struct sockaddr_un	 sun = { .sun_family = AF_UNIX };
	const char		*path;
	size_t			 len;

	if ((path = secure_getenv("NOTIFY_SOCKET")) == NULL)
		return;
	len = strlen(path);
	if (len < 2 || len >= sizeof(sun.sun_path) ||
	    (path[0] != '/' && path[0] != '@'))
		fatalx("NOTIFY_SOCKET is not the address of a socket");
	memcpy(sun.sun_path, path, len);
	if (path[0] == '@')
		sun.sun_path[0] = '\0';
	notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (notify_fd == -1 || connect(notify_fd, (struct sockaddr *)&sun,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) == -1)
		fatal("NOTIFY_SOCKET");
}

/* A watchdog that is meant for another process is none of ours. */
static void
watchdog_read(void)
{
	const char	*usec = secure_getenv("WATCHDOG_USEC");
	const char	*pid = secure_getenv("WATCHDOG_PID");
	char		 own[32], *end;
	uint64_t	 n;

	snprintf(own, sizeof(own), "%d", (int)getpid());
	if (notify_fd == -1 || usec == NULL ||
	    (pid != NULL && strcmp(pid, own) != 0))
		return;
	errno = 0;
	n = strtoull(usec, &end, 10);
	if (*usec < '0' || *usec > '9' || *end != '\0' || errno != 0 || n == 0)
		fatalx("WATCHDOG_USEC is no number of microseconds");
	watchdog_ms = n < 2000 ? 1 : n / 2000;
}

/* systemd names the stream that leads to its journal by device and inode. */
static void
journal_open(void)
{
	struct stat	 st;
	const char	*stream;
	char		 own[64];

	if ((stream = secure_getenv("JOURNAL_STREAM")) == NULL ||
	    fstat(STDERR_FILENO, &st) == -1)
		return;
	snprintf(own, sizeof(own), "%ju:%ju", (uintmax_t)st.st_dev,
	    (uintmax_t)st.st_ino);
	if (strcmp(own, stream) == 0)
		log_journal(LOG_JOURNAL);
}

/* Until the child is confined its errors appear where it was started. */
static void
background(void)
{
	int	fds[2], status;
	pid_t	pid;
	char	c = 0;

	if (pipe2(fds, O_CLOEXEC) == -1)
		fatal("pipe");
	if ((pid = fork()) == -1)
		fatal("fork");
	if (pid == 0) {
		close(fds[0]);
		parent_fd = fds[1];
		if (setsid() == -1)
			fatal("setsid");
		return;
	}
	close(fds[1]);
	while (read(fds[0], &c, 1) == -1)
		if (errno != EINTR)
			break;
		else
			continue;
	if (c == 'r')
		_exit(0);
	if (waitpid(pid, &status, 0) != pid)
		_exit(1);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

void
start_detach(void)
{
	if (parent_fd == -1)
		return;
	log_detach();
	if (dup2(STDIN_FILENO, STDOUT_FILENO) == -1 ||
	    dup2(STDIN_FILENO, STDERR_FILENO) == -1)
		fatal("dup2");
	while (write(parent_fd, "r", 1) == -1 && errno == EINTR)
		continue;
	close(parent_fd);
	parent_fd = -1;
}

static void
parse(int argc, char **argv, const char *modes, struct start_opts *o)
{
	static const struct option	longs[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 }
	};
	char				shorts[32];
	int				ch;

	snprintf(shorts, sizeof(shorts), "dDf:hnv%s",
	    modes == NULL ? "" : modes);
	while ((ch = getopt_long(argc, argv, shorts, longs, NULL)) != -1)
		switch (ch) {
		case 'd':
			o->foreground = true;
			break;
		case 'D':
			o->developer = true;
			break;
		case 'f':
			o->conf_path = optarg;
			break;
		case 'n':
			o->check = true;
			break;
		case 'v':
			o->verbose = true;
			break;
		case 'h':
			usage(stdout, modes);
			exit(0);
		case 'V':
			printf("%s %s\n", start_name, PROVD_VERSION);
			exit(0);
		case '?':
			usage(stderr, modes);
			exit(2);
		default:
			if (o->mode != 0 && o->mode != ch) {
				fprintf(stderr, "%s: one of -Q and -R, not "
				    "both\n", start_name);
				exit(2);
			}
			o->mode = ch;
			break;
		}
	if (optind == argc && (modes == NULL || o->mode != 0))
		return;
	if (optind < argc)
		fprintf(stderr, "%s: what is \"%s\"?\n", start_name,
		    argv[optind]);
	else
		fprintf(stderr, "%s: -Q or -R is missing\n", start_name);
	usage(stderr, modes);
	exit(2);
}

void
start_options(int argc, char **argv, const char *modes, struct start_opts *o)
{
	const char	*slash;

	if (modes != NULL && modes[0] == '\0')
		modes = NULL;
	start_name = argc > 0 ? argv[0] : "provd";
	if ((slash = strrchr(start_name, '/')) != NULL)
		start_name = slash + 1;
	memset(o, 0, sizeof(*o));
	o->conf_path = CONF_PATH;
	parse(argc, argv, modes, o);
	snprintf(start_role, sizeof(start_role), "%s%s", start_name,
	    o->mode == 'Q' ? "-q" : o->mode == 'R' ? "-r" : "");
	log_init(start_role, true);
	log_verbose(o->verbose);
	if (o->developer && (getuid() == 0 || geteuid() == 0))
		fatalx("developer mode (-D) leaves protections out and is "
		    "refused as root: run it as another user");
	umask(077);
	slate_descriptors();
	slate_limits();
	slate_signals();
	if (o->check)
		return;
	notify_open();
	watchdog_read();
	journal_open();
	if (clearenv() != 0)
		fatalx("environment");
	if (!o->foreground) {
		log_init(start_role, false);
		background();
	}
}

struct conf *
start_conf(const struct start_opts *o)
{
	struct conf	*conf;

	if ((conf = conf_parse(o->conf_path, stderr)) == NULL)
		exit(1);
	if (!o->check)
		return conf;
	conf_free(conf);
	puts("configuration OK");
	exit(0);
}

/* False: the service manager has not been told. */
static bool
notify(const char *text, int flags)
{
	ssize_t	n;

	do {
		n = send(notify_fd, text, strlen(text), MSG_NOSIGNAL | flags);
	} while (n == -1 && errno == EINTR);
	return n != -1;
}

static bool
watchdog_tell(void)
{
	return notify("WATCHDOG=1", MSG_DONTWAIT);
}

void
start_ready(void)
{
	if (notify_fd == -1 || notify_ready)
		return;
	notify_ready = true;
	if (!notify("READY=1\nSTATUS=serving", 0))
		log_warn("telling the service manager that we are ready");
	if (watchdog_ms != 0)
		loop_watchdog(watchdog_ms, watchdog_tell);
}

void
start_status(const char *what)
{
	char	text[128];

	snprintf(text, sizeof(text), "STATUS=%s", what);
	if (notify_fd != -1)
		(void)notify(text, MSG_DONTWAIT);
}

void
start_stopping(void)
{
	if (notify_fd != -1)
		(void)notify("STOPPING=1\nSTATUS=ending", MSG_DONTWAIT);
}
