/*
 * For keyd's tests: a software TPM of their own behind a socketpair, and a
 * proxy before it that answers in the TPM's place when the test says so.
 */
#ifndef KEYD_SWTPM_H
#define KEYD_SWTPM_H

#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "../../keyd/keyd.h"

#define TEST_PATIENCE	60000	/* ms: for a loaded machine */

struct swtpm {
	char	 dir[64];
	pid_t	 pid;
	int	 fd;
};

/* The state stays in s->dir until swtpm_remove(). 0 or -1. */
static inline int
swtpm_run(struct swtpm *s)
{
	char	 fd[16], state[96];
	int	 sv[2], null;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == -1)
		return -1;
	snprintf(state, sizeof(state), "dir=%s", s->dir);
	if ((s->pid = fork()) == -1)
		return -1;
	if (s->pid == 0) {
		snprintf(fd, sizeof(fd), "%d", fcntl(sv[1], F_DUPFD, 10));
		if ((null = open("/dev/null", O_RDWR)) != -1) {
			dup2(null, 0);
			dup2(null, 1);
			dup2(null, 2);
		}
		execlp("swtpm", "swtpm", "socket", "--tpm2", "--fd", fd,
		    "--tpmstate", state, "--flags",
		    "startup-clear,not-need-init", (char *)NULL);
		_exit(127);
	}
	close(sv[1]);
	s->fd = sv[0];
	return 0;
}

static inline int
swtpm_start(struct swtpm *s)
{
	signal(SIGPIPE, SIG_IGN);
	snprintf(s->dir, sizeof(s->dir), "/tmp/swtpm.XXXXXX");
	return mkdtemp(s->dir) == NULL ? -1 : swtpm_run(s);
}

/* It ends by itself once its descriptor is closed everywhere. */
static inline void
swtpm_stop(struct swtpm *s)
{
	if (s->fd != -1)
		close(s->fd);
	s->fd = -1;
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
}

static inline void
swtpm_remove(struct swtpm *s)
{
	char	 path[128];

	snprintf(path, sizeof(path), "%s/tpm2-00.permall", s->dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/.lock", s->dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/tpm2-00.volatilestate", s->dir);
	unlink(path);
	rmdir(s->dir);
}

static inline bool
swtpm_full(int fd, void *buf, size_t len, bool out)
{
	uint8_t	*p = buf;
	ssize_t	 n;

	while (len > 0) {
		n = out ? write(fd, p, len) : read(fd, p, len);
		if (n == -1 && (errno == EINTR || errno == EAGAIN)) {
			struct pollfd	 pfd = {
				.fd = fd, .events = out ? POLLOUT : POLLIN
			};

			poll(&pfd, 1, -1);
			continue;
		}
		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

/* A whole command or response: its length, or 0 at the end. */
static inline size_t
swtpm_record(int fd, uint8_t *buf, size_t size)
{
	size_t	 n;

	if (!swtpm_full(fd, buf, 10, false))
		return 0;
	n = (size_t)buf[2] << 24 | (size_t)buf[3] << 16 |
	    (size_t)buf[4] << 8 | buf[5];
	if (n < 10 || n > size || !swtpm_full(fd, buf + 10, n - 10, false))
		return 0;
	return n;
}

/* One command past ESYS, on a descriptor that nobody else uses now. */
static inline uint32_t
swtpm_raw(int fd, const uint8_t *cmd, size_t len)
{
	uint8_t	 buf[4096];

	memcpy(buf, cmd, len);
	if (!swtpm_full(fd, buf, len, true) ||
	    swtpm_record(fd, buf, sizeof(buf)) == 0)
		return UINT32_MAX;
	return (uint32_t)buf[6] << 24 | (uint32_t)buf[7] << 16 |
	    (uint32_t)buf[8] << 8 | buf[9];
}

/* TPM2_Clear with the lockout hierarchy's empty password. */
static const uint8_t cmd_clear[] = {
	0x80, 0x02, 0, 0, 0, 27, 0, 0, 0x01, 0x26, 0x40, 0, 0, 0x0a,
	0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0,
};
/* TPM2_NV_UndefineSpace of keyd's counter. */
static const uint8_t cmd_undefine[] = {
	0x80, 0x02, 0, 0, 0, 31, 0, 0, 0x01, 0x22, 0x40, 0, 0, 0x01,
	0x01, 0x85, 0, 0x01, 0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0,
};

/* Serve the TPM until *until is not 0. False if it takes a minute. */
static inline bool
swtpm_serve(struct tpm *t, const unsigned *until)
{
	struct pollfd	 pfd = { .fd = tpm_fd(t) };
	uint64_t	 end = clock_mono_ms() + TEST_PATIENCE;

	while (*until == 0 && clock_mono_ms() < end) {
		pfd.events = POLLIN | (tpm_wants_output(t) ? POLLOUT : 0);
		if (poll(&pfd, 1, 1000) == 1)
			tpm_ready(t);
	}
	return *until != 0;
}

/* ---- the proxy ------------------------------------------------------- */

enum fault { PASS, ANSWER, SILENCE, CLOSE, GARBAGE, TORN, LONG };

struct proxy {
	struct swtpm	 tpm;
	int		 front;		/* keyd's end is the other one */
	pthread_t	 thread;
	/* For commands of this code, 0 for all: so many times ... */
	atomic_uint	 code;
	atomic_int	 times;
	atomic_uint	 rc;		/* ... this response code */
	_Atomic enum fault fault;
	atomic_uint	 seen;		/* commands so far */
	atomic_uint	 hits;		/* faults so far */
};

static inline bool
proxy_fault(struct proxy *p, uint8_t *buf)
{
	uint32_t	 code, rc = p->rc;
	enum fault	 f = p->fault;
	uint8_t		 head[10] = { 0x80, 0x01, 0, 0, 0, 10 };

	code = (uint32_t)buf[8] << 8 | buf[9];
	p->seen++;
	if (f == PASS || p->times <= 0 || (p->code != 0 && p->code != code))
		return false;
	p->times--;
	p->hits++;
	head[6] = (uint8_t)(rc >> 24);
	head[7] = (uint8_t)(rc >> 16);
	head[8] = (uint8_t)(rc >> 8);
	head[9] = (uint8_t)rc;
	if (f == CLOSE)
		shutdown(p->front, SHUT_RDWR);
	if (f == ANSWER)
		swtpm_full(p->front, head, sizeof(head), true);
	if (f == TORN)		/* half a response, and no more */
		swtpm_full(p->front, head, 7, true);
	if (f == LONG) {	/* more bytes than its header says */
		swtpm_full(p->front, head, sizeof(head), true);
		swtpm_full(p->front, head, sizeof(head), true);
	}
	if (f == GARBAGE) {	/* a success without any parameter */
		memset(head + 6, 0, 4);
		swtpm_full(p->front, head, sizeof(head), true);
	}
	return true;
}

static inline void *
proxy_main(void *arg)
{
	struct proxy	*p = arg;
	uint8_t		 buf[4096];
	size_t		 n;

	while ((n = swtpm_record(p->front, buf, sizeof(buf))) != 0) {
		if (proxy_fault(p, buf))
			continue;
		if (!swtpm_full(p->tpm.fd, buf, n, true) ||
		    (n = swtpm_record(p->tpm.fd, buf, sizeof(buf))) == 0 ||
		    !swtpm_full(p->front, buf, n, true))
			break;
	}
	return NULL;
}

/* keyd's descriptor, or -1. The TPM runs already. */
static inline int
proxy_start(struct proxy *p)
{
	int	 sv[2];

	p->fault = PASS;
	p->code = p->rc = p->seen = p->hits = 0;
	p->times = 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == -1)
		return -1;
	p->front = sv[0];
	if (pthread_create(&p->thread, NULL, proxy_main, p) != 0)
		return -1;
	return sv[1];
}

/* After keyd's end was closed. */
static inline void
proxy_stop(struct proxy *p)
{
	shutdown(p->front, SHUT_RDWR);
	pthread_join(p->thread, NULL);
	close(p->front);
}

static inline void
proxy_say(struct proxy *p, enum fault f, uint32_t code, uint32_t rc, int times)
{
	p->code = code;
	p->rc = rc;
	p->times = times;
	p->fault = f;
}

#endif
