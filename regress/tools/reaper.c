/*
 * reaper: run a command, and see that it leaves no process behind.
 *
 *	reaper command [argument ...]
 *
 * Orphans of the command become our children (PR_SET_CHILD_SUBREAPER). When
 * it has ended, whatever of them still lives is named, killed, and makes the
 * exit status 99. A process that is just ending gets GRACE to do so. On
 * SIGINT and SIGTERM the signal goes on to the command.
 */
#include <sys/prctl.h>
#include <sys/wait.h>

#include <err.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GRACE_MS	3000
#define POLL_MS		20
#define STATUS_LEFT	99

static pid_t	command;

static void
pass_on(int sig)
{
	if (command > 0)
		kill(command, sig);
}

static void
name_of(long pid, char *out, size_t size)
{
	char	 path[64];
	FILE	*f;
	size_t	 n, i;

	snprintf(path, sizeof(path), "/proc/%ld/cmdline", pid);
	out[0] = '\0';
	if ((f = fopen(path, "r")) == NULL)
		return;
	n = fread(out, 1, size - 1, f);
	fclose(f);
	for (i = 0; i < n; i++)
		if (out[i] == '\0')
			out[i] = ' ';
	out[n] = '\0';
}

/* Kill and name our live children; how many there were. */
static int
kill_children(bool tell)
{
	char	 path[64], cmd[256];
	FILE	*f;
	long	 pid;
	int	 n = 0;

	snprintf(path, sizeof(path), "/proc/self/task/%ld/children",
	    (long)getpid());
	if ((f = fopen(path, "r")) == NULL)
		err(1, "%s", path);
	while (fscanf(f, "%ld", &pid) == 1) {
		name_of(pid, cmd, sizeof(cmd));
		if (tell)
			warnx("left running: %ld %s", pid, cmd);
		kill((pid_t)pid, SIGKILL);
		n++;
	}
	fclose(f);
	return n;
}

/* Wait for orphans that are ending; false if some are still there. */
static bool
reap_within(int ms)
{
	for (; ms > 0; ms -= POLL_MS) {
		pid_t	pid;

		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
			;
		if (pid == -1 && errno == ECHILD)
			return true;
		poll(NULL, 0, POLL_MS);
	}
	return false;
}

int
main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = pass_on, .sa_flags = SA_RESTART };
	int	status;
	pid_t	pid;

	if (argc < 2)
		errx(2, "usage: reaper command [argument ...]");
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) == -1)
		err(1, "subreaper");
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	if ((command = fork()) == -1)
		err(1, "fork");
	if (command == 0) {
		execvp(argv[1], argv + 1);
		err(127, "%s", argv[1]);
	}
	while ((pid = waitpid(-1, &status, 0)) != command)
		if (pid == -1 && errno != EINTR)
			err(1, "wait");
	command = 0;
	status = WIFEXITED(status) ? WEXITSTATUS(status) :
	    128 + WTERMSIG(status);
	if (reap_within(GRACE_MS))
		return status;
	kill_children(true);
	while (!reap_within(GRACE_MS) && kill_children(false) > 0)
		;
	return status != 0 ? status : STATUS_LEFT;
}
