/*
 * provctl as a child process, and a policyd that the test plays for it.
 */
#ifndef PROVCTL_WORLD_H
#define PROVCTL_WORLD_H

#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../provctl/provctl.h"

static char	dir[] = "/tmp/provctl.XXXXXX";
static char	sock_path[64];
static char	out[16384], err[16384];

/* ---- a command in a child, its output in out and err ------------------- */

static void
slurp(int fd, char *buf, size_t size)
{
	size_t	len = 0;
	ssize_t	n;

	while ((n = read(fd, buf + len, size - 1 - len)) > 0)
		len += (size_t)n;
	buf[len] = '\0';
	close(fd);
}

/*
 * Words of a line, split at blanks; "-s SOCK" is put in front. in is its
 * standard input, and if that is a terminal its own; -1 leaves ours.
 */
static pid_t
provctl_begin(const char *line, int in, int *o, int *e)
{
	struct args	 a;
	char		*argv[48], *copy, *word, *save = NULL;
	char		 name[] = "provctl", s[] = "-s";
	pid_t		 pid;
	int		 op[2], ep[2], argc = 0, status;

	assert_non_null(copy = strdup(line));
	argv[argc++] = name;
	argv[argc++] = s;
	argv[argc++] = sock_path;
	for (word = strtok_r(copy, " ", &save); word != NULL;
	    word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	argv[argc] = NULL;
	assert_int_equal(pipe(op), 0);
	assert_int_equal(pipe(ep), 0);
	fflush(stdout);
	if ((pid = fork()) == 0) {
		if (in != -1) {
			setsid();
			dup2(in, STDIN_FILENO);
			if (isatty(in))
				ioctl(in, TIOCSCTTY, 0);
		}
		dup2(op[1], STDOUT_FILENO);
		dup2(ep[1], STDERR_FILENO);
		close(op[0]);
		close(ep[0]);
		if ((status = command_parse(argc, argv, &a)) == 0) {
			if (a.help)
				command_help(stdout, a.cmd);
			else
				status = command_run(&a);
		}
		fflush(stdout);
		_exit(status);
	}
	close(op[1]);
	close(ep[1]);
	free(copy);
	*o = op[0];
	*e = ep[0];
	return pid;
}

static int
provctl_end(pid_t pid, int o, int e)
{
	int	status;

	slurp(o, out, sizeof(out));
	slurp(e, err, sizeof(err));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int
provctl(const char *line)
{
	int	o, e;
	pid_t	pid = provctl_begin(line, -1, &o, &e);

	return provctl_end(pid, o, e);
}

/* A terminal: what is typed goes into the first, it is the second. */
static inline void
terminal(int *master, int *slave)
{
	assert_true((*master = posix_openpt(O_RDWR | O_NOCTTY)) != -1);
	assert_int_equal(grantpt(*master), 0);
	assert_int_equal(unlockpt(*master), 0);
	assert_true((*slave = open(ptsname(*master), O_RDWR | O_NOCTTY)) !=
	    -1);
}

/* Read up to and with this text, then type the answer. */
static inline void
on_prompt(int fd, const char *prompt, int master, const char *answer)
{
	char	got[4096];
	size_t	len = 0;
	ssize_t	n;

	do {
		n = read(fd, got + len, 1);
		assert_int_equal(n, 1);
		got[++len] = '\0';
		assert_true(len < sizeof(got) - 1);
	} while (strstr(got, prompt) == NULL);
	assert_int_equal(write(master, answer, strlen(answer)),
	    strlen(answer));
}

static void
expect(const char *line, int status, const char *text)
{
	int	got = provctl(line);

	if (got != status || (strstr(out, text) == NULL &&
	    strstr(err, text) == NULL))
		fail_msg("%s: exit %d, wanted %d and \"%s\" in\n%s%s", line,
		    got, status, text, out, err);
}

/* ---- a policyd --------------------------------------------------------- */

/* What it does with a call. */
struct script {
	enum ipc_type	 want;		/* the call; MSG_NONE: any */
	void		(*check)(const union ipc_any *);
	const char	*rows[8];	/* sent as they are */
	enum reason	 refuse;	/* R_OK: DONE */
	bool		 hang_up;	/* close instead of an answer */
	bool		 other_build, garbage;
	const char	*crl;		/* written into the descriptor */
	const struct script *next;	/* another call on this connection */
};

static void
reply(int fd, enum ipc_type type, uint32_t id, const void *msg)
{
	static uint8_t	buf[IPC_MAX_RECORD];
	size_t		len;

	if (ipc_encode(type, id, msg, buf, sizeof(buf), &len) == -1 ||
	    send(fd, buf, len, MSG_NOSIGNAL) == -1)
		_exit(20);
}

/* A descriptor comes with those types only that have one; *got, or -1. */
static uint32_t
receive(int fd, enum ipc_type *type, union ipc_any *m, int *got)
{
	static uint8_t	buf[IPC_MAX_RECORD];
	union {
		struct cmsghdr	head;
		char		space[CMSG_SPACE(sizeof(int))];
	}		control = { 0 };
	struct iovec	iov = { buf, sizeof(buf) };
	struct msghdr	mh = { .msg_iov = &iov, .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control.space) };
	uint32_t	id;
	ssize_t		n;

	*got = -1;
	n = recvmsg(fd, &mh, 0);
	if (n > 0 && CMSG_FIRSTHDR(&mh) != NULL)
		memcpy(got, CMSG_DATA(&control.head), sizeof(int));
	if (n <= 0 || ipc_peek(buf, (size_t)n, type, &id) == -1 ||
	    ipc_decode(*type, buf, (size_t)n, m) == -1 ||
	    !ipc_route(*type, IPC_PROVCTL, IPC_POLICYD,
	    *type == MSG_CTL_HELLO ? IPC_START : IPC_RUN) ||
	    ipc_takes_fd(*type) != (*got != -1))
		_exit(21);
	return id;
}

static void
play_rows(int fd, const struct script *s)
{
	static struct msg_ctl_row	row;
	size_t				i;

	for (i = 0; i < 8 && s->rows[i] != NULL; i++) {
		IPC_SET_BLOB(row.json, s->rows[i], strlen(s->rows[i]));
		reply(fd, MSG_CTL_ROW, 0, &row);
	}
}

static void
play_call(int fd, const struct script *s)
{
	static union ipc_any	m;
	struct msg_refused	refused = { 0 };
	enum ipc_type		type;
	uint32_t		id;
	int			got;

	memset(&m, 0, sizeof(m));
	id = receive(fd, &type, &m, &got);
	if (s->want != MSG_NONE && type != s->want)
		_exit(23);
	if (s->check != NULL)
		s->check(&m);
	if (s->garbage)
		send(fd, "\xc1garbage", 8, MSG_NOSIGNAL);
	if (s->crl != NULL && write(got, s->crl, strlen(s->crl)) == -1)
		_exit(25);
	play_rows(fd, s);
	refused.reason = s->refuse;
	IPC_SET_STR(refused.field, "measurement 3");
	IPC_SET_STR(refused.expected, "aa");
	IPC_SET_STR(refused.seen, "b\x1b[2Jb");
	if (s->hang_up)
		return;
	if (s->refuse == R_OK)
		reply(fd, MSG_DONE, id, &refused);
	else
		reply(fd, MSG_REFUSED, id, &refused);
}

static inline void
play(int fd, const struct script *s)
{
	static union ipc_any	m;
	struct msg_ctl_welcome	welcome = { 0 };
	enum ipc_type		type;
	uint32_t		id;
	int			none;

	id = receive(fd, &type, &m, &none);
	if (type != MSG_CTL_HELLO)
		_exit(22);
	IPC_SET_BLOB(welcome.catalogue, ipc_catalogue(), 32);
	if (s->other_build)
		welcome.catalogue.data[0] ^= 1;
	reply(fd, MSG_CTL_WELCOME, id, &welcome);
	for (; s != NULL && !s->other_build; s = s->next)
		play_call(fd, s);
}

/* A policyd for one command; its exit status is the test's verdict on it. */
static inline void
with_policyd(const struct script *s, const char *line, int status,
    const char *text)
{
	struct sockaddr_un	sun = { .sun_family = AF_UNIX };
	pid_t			pid;
	int			l, fd, st;

	memcpy(sun.sun_path, sock_path, strlen(sock_path));
	unlink(sock_path);
	l = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(l, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(listen(l, 1), 0);
	fflush(stdout);
	if ((pid = fork()) == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);	/* a test may fail */
		if ((fd = accept(l, NULL, NULL)) == -1)
			_exit(24);
		play(fd, s);
		_exit(0);
	}
	close(l);
	expect(line, status, text);
	assert_int_equal(waitpid(pid, &st, 0), pid);
	if (!WIFEXITED(st) || WEXITSTATUS(st) != 0)
		fail_msg("%s: what it sent was wrong (%#x)", line, (unsigned)st);
	unlink(sock_path);
}

static int
world_setup(void **state)
{
	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(sock_path, sizeof(sock_path), "%s/sock", dir);
	return 0;
}

#endif
