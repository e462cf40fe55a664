/*
 * mctpbridge FROM TO: a bridge of MCTP, as one that a machine without MCTP in
 * its kernel would run: who connects to the SEQPACKET socket FROM is connected
 * to the one at TO, and datagrams go both ways, unread but for the type, which
 * is printed with the length of each. Ends when told to.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <err.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAIRS_MAX	16

struct pair {
	int	fd[2];		/* who came, and whom it was connected to */
};

static struct pair	pairs[PAIRS_MAX];
static int		npairs;

static int
unix_socket(const char *path, struct sockaddr_un *sun)
{
	int	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	memset(sun, 0, sizeof(*sun));
	sun->sun_family = AF_UNIX;
	if (fd == -1 || strlen(path) >= sizeof(sun->sun_path))
		errx(1, "%s: no socket", path);
	memcpy(sun->sun_path, path, strlen(path));
	return fd;
}

static void
accept_one(int listener, const char *to)
{
	struct sockaddr_un	sun;
	int			in = accept(listener, NULL, NULL), out;

	if (in == -1)
		err(1, "accept");
	out = unix_socket(to, &sun);
	if (npairs == PAIRS_MAX ||
	    connect(out, (struct sockaddr *)&sun, sizeof(sun)) == -1) {
		warn("%s", to);
		close(in);
		close(out);
		return;
	}
	pairs[npairs].fd[0] = in;
	pairs[npairs++].fd[1] = out;
}

/* One datagram from side s. False: the pair is over. */
static int
pass(const struct pair *p, int s)
{
	static unsigned char	buf[0x10001];
	ssize_t			n = recv(p->fd[s], buf, sizeof(buf), 0);

	if (n <= 0 || send(p->fd[!s], buf, n, MSG_NOSIGNAL) != n)
		return 0;
	printf("%s %02x %zd\n", s == 0 ? ">" : "<", buf[0], n);
	fflush(stdout);
	return 1;
}

static void
turn(int listener, const char *to)
{
	struct pollfd	p[1 + 2 * PAIRS_MAX] = { { listener, POLLIN, 0 } };
	int		i, s, n = npairs;

	for (i = 0; i < n; i++)
		for (s = 0; s < 2; s++)
			p[1 + 2 * i + s] = (struct pollfd){ pairs[i].fd[s],
			    POLLIN, 0 };
	if (poll(p, 1 + 2 * n, -1) == -1)
		err(1, "poll");
	/* Downwards, since a pair that is over gives its place to the last. */
	for (i = n - 1; i >= 0; i--)
		for (s = 0; s < 2; s++)
			if (p[1 + 2 * i + s].revents != 0 &&
			    !pass(&pairs[i], s)) {
				close(pairs[i].fd[0]);
				close(pairs[i].fd[1]);
				pairs[i] = pairs[--npairs];
				break;
			}
	if (p[0].revents != 0)
		accept_one(listener, to);
}

int
main(int argc, char **argv)
{
	struct sockaddr_un	sun;
	int			listener;

	if (argc != 3)
		errx(1, "usage: mctpbridge FROM TO");
	listener = unix_socket(argv[1], &sun);
	(void)unlink(argv[1]);
	umask(0);
	if (bind(listener, (struct sockaddr *)&sun, sizeof(sun)) == -1 ||
	    listen(listener, 8) == -1)
		err(1, "%s", argv[1]);
	for (;;)
		turn(listener, argv[2]);
}
