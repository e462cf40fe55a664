/*
 * relay: a wire between two interfaces that loses, delays, reorders and
 * duplicates frames, by a seed.
 *
 *	relay seed left right
 *
 * Commands come on the standard input, one a line, each a word and a number:
 *
 *	loss, reorder, duplicate  percent of the frames, each way
 *	lossleft, lossright       percent of those that left or right sent
 *	delay, jitter             ms; jitter is drawn for each frame, and keeps
 *	                          their order
 *	count 0                   print what was done so far
 *
 * A line "ok" says that a command holds from now on. A frame that is reordered
 * waits REORDER_MS more, so that later ones overtake it. The end of the input
 * ends the relay.
 *
 * Frames are taken and sent with their virtio_net_hdr: a veth leaves checksums
 * and segments to its peer, and without that header the peer would take the
 * unfinished checksum for a wrong one.
 */
#include <sys/socket.h>

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FRAME_MAX	(80 * 1024)	/* a segment of 64 KiB and its headers */
#define HELD_MAX	4096		/* frames on the wire; more are lost */
#define REORDER_MS	30

struct held {
	uint64_t	 due;		/* ms */
	uint64_t	 order;		/* of two that are due together */
	int		 to;
	size_t		 len;
	uint8_t		*frame;
};

static int		 fds[2];	/* left, right */
static struct held	 held[HELD_MAX];
static size_t		 nheld;
static uint64_t		 last_due[2], nframes, state;
static struct {
	const char	*word;
	long		 value, max;
} knobs[] = {
	{ "lossleft", 0, 100 }, { "lossright", 0, 100 },
	{ "reorder", 0, 100 }, { "duplicate", 0, 100 },
	{ "delay", 0, 10000 }, { "jitter", 0, 10000 },
};
enum { LOSS_LEFT, LOSS_RIGHT, REORDER, DUPLICATE, DELAY, JITTER, NKNOBS };
static struct {
	unsigned long	 taken, lost, reordered, duplicated;
} count;

static uint64_t
now_ms(void)
{
	struct timespec	ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* splitmix64 */
static uint64_t
draw(uint64_t below)
{
	uint64_t	z = (state += 0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return (z ^ z >> 31) % below;
}

static bool
chance(int knob)
{
	return draw(100) < (uint64_t)knobs[knob].value;
}

static int
port_open(const char *name)
{
	struct sockaddr_ll	sll = { .sll_family = AF_PACKET,
	    .sll_protocol = htons(ETH_P_ALL) };
	struct packet_mreq	mr = { .mr_type = PACKET_MR_PROMISC };
	int			fd, on = 1;

	sll.sll_ifindex = mr.mr_ifindex = (int)if_nametoindex(name);
	if (sll.sll_ifindex == 0)
		err(1, "%s", name);
	if ((fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0)) == -1 ||
	    setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) == -1 ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on,
	    sizeof(on)) == -1 ||
	    setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &mr,
	    sizeof(mr)) == -1 ||
	    bind(fd, (struct sockaddr *)&sll, sizeof(sll)) == -1)
		err(1, "%s", name);
	return fd;
}

static void
hold(const uint8_t *frame, size_t len, int to)
{
	struct held	*h;
	uint64_t	 due = now_ms() + (uint64_t)knobs[DELAY].value;

	if (nheld == HELD_MAX) {
		count.lost++;
		return;
	}
	due += draw((uint64_t)knobs[JITTER].value + 1);
	if (chance(REORDER)) {
		due += REORDER_MS;
		count.reordered++;
	} else {
		if (due < last_due[to])
			due = last_due[to];
		last_due[to] = due;
	}
	h = &held[nheld++];
	if ((h->frame = malloc(len)) == NULL)
		err(1, NULL);
	memcpy(h->frame, frame, len);
	h->len = len;
	h->due = due;
	h->order = nframes++;
	h->to = to;
}

static void
take(int from)
{
	static uint8_t	frame[FRAME_MAX];
	ssize_t		n;

	while ((n = read(fds[from], frame, sizeof(frame))) > 0) {
		count.taken++;
		if (chance(from == 0 ? LOSS_LEFT : LOSS_RIGHT)) {
			count.lost++;
			continue;
		}
		hold(frame, (size_t)n, !from);
		if (chance(DUPLICATE)) {
			count.duplicated++;
			hold(frame, (size_t)n, !from);
		}
	}
	if (n == -1 && errno != EAGAIN && errno != EINTR && errno != ENETDOWN)
		err(1, "read");
}

/* The one that is due first; HELD_MAX if there is none. */
static size_t
first(void)
{
	size_t	i, f = HELD_MAX;

	for (i = 0; i < nheld; i++)
		if (f == HELD_MAX || held[i].due < held[f].due ||
		    (held[i].due == held[f].due &&
		    held[i].order < held[f].order))
			f = i;
	return f;
}

/* Send what is due. ms until the next one is, or -1. */
static int
give(void)
{
	uint64_t	now = now_ms();
	size_t		f;

	while ((f = first()) != HELD_MAX) {
		if (held[f].due > now)
			return (int)(held[f].due - now);
		/* What an interface does not take is lost, as on a wire. */
		if (write(fds[held[f].to], held[f].frame, held[f].len) == -1)
			count.lost++;
		free(held[f].frame);
		held[f] = held[--nheld];
	}
	return -1;
}

static void
command(const char *line)
{
	char	word[32];
	long	value;
	size_t	i;
	bool	known = false;

	if (sscanf(line, "%31s %ld", word, &value) != 2)
		errx(1, "a word and a number, please: %s", line);
	if (strcmp(word, "count") == 0) {
		printf("taken %lu lost %lu reordered %lu duplicated %lu\n",
		    count.taken, count.lost, count.reordered, count.duplicated);
		known = true;
	}
	for (i = 0; i < NKNOBS; i++) {
		if (strcmp(word, knobs[i].word) != 0 &&
		    (strcmp(word, "loss") != 0 || i > LOSS_RIGHT))
			continue;
		if (value < 0 || value > knobs[i].max)
			errx(1, "%s: 0 to %ld", word, knobs[i].max);
		knobs[i].value = value;
		known = true;
	}
	if (!known)
		errx(1, "no knob \"%s\"", word);
	printf("ok\n");
	fflush(stdout);
}

/* The lines of one read; false at the end of the input. */
static bool
commands(void)
{
	static char	 buf[1024];
	static size_t	 have;
	char		*nl;
	ssize_t		 n;

	if ((n = read(0, buf + have, sizeof(buf) - 1 - have)) <= 0)
		return false;
	have += (size_t)n;
	buf[have] = '\0';
	while ((nl = strchr(buf, '\n')) != NULL) {
		*nl = '\0';
		command(buf);
		have -= (size_t)(nl + 1 - buf);
		memmove(buf, nl + 1, have + 1);
	}
	return true;
}

int
main(int argc, char **argv)
{
	struct pollfd	pfd[3] = { { .events = POLLIN }, { .events = POLLIN },
	    { .events = POLLIN } };
	int		i;

	if (argc != 4)
		errx(2, "usage: relay seed left right");
	state = strtoull(argv[1], NULL, 10);
	for (i = 0; i < 2; i++)
		pfd[i].fd = fds[i] = port_open(argv[2 + i]);
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		if (poll(pfd, 3, give()) == -1 && errno != EINTR)
			err(1, "poll");
		for (i = 0; i < 2; i++)
			if (pfd[i].revents != 0)
				take(i);
		if (pfd[2].revents != 0 && !commands())
			return 0;
	}
}
