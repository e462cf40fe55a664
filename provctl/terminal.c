/*
 * What is typed and must not be seen: a line of a terminal without echo.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "provctl.h"

/*
 * A byte at a time, so that no buffer of stdio keeps it; signals that are
 * blocked come while it waits. -1: no line.
 */
static int
read_line(int fd, const sigset_t *mask, char *buf, size_t size)
{
	struct pollfd	p = { .fd = fd, .events = POLLIN };
	size_t		n = 0;
	ssize_t		r = -1;
	char		c;

	while (ppoll(&p, 1, NULL, mask) == 1 && (r = read(fd, &c, 1)) == 1 &&
	    c != '\n') {
		if (n == size - 1)
			return -1;
		buf[n++] = c;
		r = -1;
	}
	buf[n] = '\0';
	return r == -1 || (r == 0 && n == 0) ? -1 : 0;
}

int
terminal_line(int fd, char *buf, size_t size)
{
	return read_line(fd, NULL, buf, size);
}

static volatile sig_atomic_t	caught;

static void
on_signal(int signo)
{
	caught = signo;
}

/* A signal ends the asking, not the echo of the terminal. */
static void
signals(void (*fn)(int), sigset_t *set)
{
	static const int	 which[] = { SIGINT, SIGQUIT, SIGTERM, SIGHUP };
	struct sigaction	 sa = { .sa_handler = fn };
	size_t			 i;

	sigemptyset(&sa.sa_mask);
	sigemptyset(set);
	for (i = 0; i < sizeof(which) / sizeof(which[0]); i++) {
		sigaction(which[i], &sa, NULL);
		sigaddset(set, which[i]);
	}
}

int
terminal_ask(int fd, const char *prompt, char *buf, size_t size)
{
	struct termios	was, quiet;
	sigset_t	set, mask;
	int		r;

	if (tcgetattr(fd, &was) == -1)
		return -1;
	quiet = was;
	signals(on_signal, &set);
	sigprocmask(SIG_BLOCK, &set, &mask);
	quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
	tcsetattr(fd, TCSAFLUSH, &quiet);
	row_text(stderr, prompt);
	fflush(stderr);
	r = read_line(fd, &mask, buf, size);
	tcsetattr(fd, TCSAFLUSH, &was);
	fputc('\n', stderr);
	signals(SIG_DFL, &set);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	if (caught != 0) {
		explicit_bzero(buf, size);
		raise(caught);
	}
	return r;
}
