/* keyd in a process of its own, as bench_keyd beside this program serves it. */
#ifndef KEYD_RUN_H
#define KEYD_RUN_H

#include <sys/socket.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>

#include "bench.h"

#define KEYD_POINT	65	/* bytes of a public key of P-256 */

struct keyd_run {
	pid_t	pid;
	int	fd;			/* the channel to it */
	uint8_t	point[KEYD_POINT];	/* of its only key, number 0 */
};

static inline void
keyd_run_path(const char *argv0, char *path, size_t size)
{
	const char	*slash = strrchr(argv0, '/');

	snprintf(path, size, "%.*sbench_keyd",
	    slash == NULL ? 0 : (int)(slash - argv0 + 1), argv0);
}

/*
 * purpose is "tls" or "spdm"; backend "sealed" or "tpm" (to a software TPM),
 * or "slow" (one that takes its time).
 */
static inline void
keyd_run(struct keyd_run *k, const char *argv0, const char *purpose,
    const char *backend)
{
	char	path[512];
	int	sv[2], pub[2];

	keyd_run_path(argv0, path, sizeof(path));
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv) == -1 ||
	    pipe(pub) == -1 || (k->pid = fork()) == -1)
		err(1, "keyd");
	if (k->pid == 0) {
		sv[1] = fcntl(sv[1], F_DUPFD, 10);
		pub[1] = fcntl(pub[1], F_DUPFD, 10);
		dup2(sv[1], 3);
		dup2(pub[1], 4);
		closefrom(5);
		execl(path, path, "--serve", purpose, backend, (char *)NULL);
		err(127, "%s", path);
	}
	close(sv[1]);
	close(pub[1]);
	k->fd = sv[0];
	fcntl(k->fd, F_SETFD, FD_CLOEXEC);
	fcntl(k->fd, F_SETFL, O_NONBLOCK);
	if (read(pub[0], k->point, sizeof(k->point)) != sizeof(k->point))
		errx(1, "%s: no key", path);
	close(pub[0]);
}

/* keyd itself: the last child of what was started, after its software TPM. */
static inline pid_t
keyd_run_child(const struct keyd_run *k)
{
	char	 path[64];
	int	 child = 0;
	FILE	*f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)k->pid,
	    (int)k->pid);
	if ((f = fopen(path, "r")) == NULL)
		err(1, "%s", path);
	while (fscanf(f, "%d", &child) == 1)
		;
	if (child == 0)
		errx(1, "%s: no keyd", path);
	fclose(f);
	return child;
}

/* It ends when the channel closes. */
static inline void
keyd_run_end(struct keyd_run *k)
{
	waitpid(k->pid, NULL, 0);
}

/* Signatures a second of a software TPM through bare ESYS, one at a time. */
static inline double
keyd_bare(const char *argv0, const char *backend)
{
	char	 path[512], cmd[600], line[64] = "";
	FILE	*f;

	keyd_run_path(argv0, path, sizeof(path));
	snprintf(cmd, sizeof(cmd), "%s --bare %s", path, backend);
	if ((f = popen(cmd, "r")) == NULL || fgets(line, sizeof(line), f) ==
	    NULL || pclose(f) != 0)
		errx(1, "%s", cmd);
	return strtod(line, NULL);
}

#endif
