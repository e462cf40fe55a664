/*
 * A child process that may end as it likes: how it ended, and what it said.
 */
#ifndef CHILD_H
#define CHILD_H

#include <sys/wait.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

static char	out[8192];	/* the child's output and its errors */

/* Runs f in a child; its wait status. */
static int
child(void (*f)(void))
{
	size_t	len = 0;
	ssize_t	n;
	pid_t	pid;
	int	fds[2], status;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	fflush(stdout);
	if ((pid = fork()) == 0) {
		if (dup2(fds[1], STDOUT_FILENO) == -1 ||
		    dup2(fds[1], STDERR_FILENO) == -1)
			_exit(99);
		log_init("child", true);
		f();
		fflush(stdout);
		_exit(0);
	}
	assert_true(pid > 0);
	close(fds[1]);
	while ((n = read(fds[0], out + len, sizeof(out) - 1 - len)) > 0)
		len += (size_t)n;
	out[len] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* The same for one that is to exit by itself; its exit status. */
static inline int
child_exit(void (*f)(void))
{
	int	status = child(f);

	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

#endif
