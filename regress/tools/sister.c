/*
 * Takes the place of a daemon of a running node and does what one that was
 * taken over could: only its user, its sockets and its links, any bytes.
 *
 *   sister DIR stranger		as no daemon at all
 *   sister DIR written ROLE		ask keyd for what it may not have
 *   sister DIR evidence		lie, as attestd -Q, about its jobs
 *   sister DIR claims			lie, as netd, about the network
 *   sister DIR attested		lie, as attestd -R, about who came
 *   sister DIR enrold SERIAL HAS KEY OTHER TICKET
 *					make up, as enrold, requests and clients:
 *					a certificate's serial number, its
 *					device, SHA-256 of its key; another
 *					device and its ticket
 *   sister DIR doors			make up, as netd, connections for enrold
 *   sister DIR busd TRUSTED REVOKED UNLISTED
 *					ask, as busd, for too much, of peers
 *   sister DIR deaf PEER		ask, as busd, and never read
 *   sister DIR hello ROLE PEER		greet a link wrongly
 *   sister DIR list ROLE PEER start|run SHARE
 *					how many attempts there are
 *   sister DIR try ROLE PEER start|run SHARE FIRST N
 *					the generated ones, N from FIRST
 *
 * SHARE is 1 for every attempt, or n for each n-th of the malformed ones.
 * Prints lines of TAP, "# offence WHO SEEN-BY CODE TYPE" for each that policyd
 * must have on record, "# counted WHO CODE" for each that it only counts. The
 * daemon itself must not run.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sister_cases.h"

#define BAD_MAX	3	/* attempts that fail are enough: each may take long */

/* What is to be attempted on one link, in one phase. */
struct plan {
	const char	*dir;
	struct attempt	*a;
	size_t		 n;
};

static enum ipc_role
role_of(const char *s)
{
	int	r;

	for (r = 0; r < IPC_NROLES; r++)
		if (strcmp(s, ipc_role_name((enum ipc_role)r)) == 0)
			return (enum ipc_role)r;
	errx(2, "what is \"%s\"?", s);
}

static void
plan_make(struct plan *p, char **arg)
{
	unsigned long	share = strtoul(arg[3], NULL, 10);
	size_t		i, n;

	p->a = attempts(role_of(arg[0]), role_of(arg[1]),
	    strcmp(arg[2], "run") == 0 ? IPC_RUN : IPC_START, &n);
	for (p->n = i = 0; i < n; i++)
		if (p->a[i].how == HOW_PLAIN || p->a[i].how >= HOW_GARBAGE ||
		    share <= 1 || i % share == 0)
			p->a[p->n++] = p->a[i];
}

/* In a process of its own; what went wrong, or NULL. */
static const char *
offend(const char *dir, const struct attempt *a)
{
	static uint8_t	 record[ATTEMPT_MAX];
	struct sister	 s;
	unsigned	 replies = 0;
	bool		 hub = a->to == IPC_POLICYD;
	int		 fd;

	if (a->from != IPC_PROVCTL)
		sister_user(a->from, a->from);
	sister_new(&s, dir, a->from);
	if ((!hub || a->phase == IPC_RUN) &&
	    sister_hello(&s, a->from, true) != R_OK)
		return "it was not greeted";
	if (!hub && (a->phase == IPC_RUN ? sister_link(&s, a->to) :
	    sister_introduced(&s, a->to)) == -1)
		return "there is no link";
	fd = hub ? s.hub : s.link[a->to];
	if (sister_put(fd, record, attempt_record(a, record),
	    attempt_fds(a)) == -1 && a->how != HOW_HUGE)
		return "it could not be said";
	if (!sister_closed(fd, &replies))
		return "the link stays open";
	if (replies != 0)
		return "it was answered";
	/* An offence towards one ends the links with all. */
	if (!hub && !sister_closed(s.hub, &replies))
		return "the hub's link stays open";
	return NULL;
}

static bool
in_child(const char *dir, const struct attempt *a)
{
	const char	*wrong;
	pid_t		 pid;
	int		 st;

	fflush(NULL);
	if ((pid = fork()) == -1)
		err(2, "fork");
	if (pid == 0) {
		if ((wrong = offend(dir, a)) != NULL)
			printf("# %s: %s\n", attempt_name(a), wrong);
		fflush(NULL);
		_exit(wrong == NULL ? 0 : 1);
	}
	return waitpid(pid, &st, 0) == pid && st == 0;
}

static void
try(struct plan *p, char **arg)
{
	unsigned long	first = strtoul(arg[4], NULL, 10);
	unsigned long	n = strtoul(arg[5], NULL, 10), i, good = 0;
	unsigned	bad = 0;

	if (first > p->n)
		first = p->n;
	if (n > p->n - first)
		n = p->n - first;
	for (i = first; i < first + n && bad < BAD_MAX; i++) {
		if (in_child(p->dir, &p->a[i]))
			good++;
		else
			bad++;
		/* The others are counted, and recorded once a minute. */
		if (p->a[i].from != IPC_PROVCTL &&
		    (p->a[i].to != IPC_POLICYD || p->a[i].phase == IPC_RUN))
			printf("# offence %s %s %s %s\n", arg[0], arg[1],
			    reason_code(p->a[i].reason),
			    attempt_blame(&p->a[i]));
		else
			printf("# counted %s %s\n", arg[0],
			    reason_code(p->a[i].reason));
	}
	tap(good == n && n > 0, "%s > %s, %s: each of %lu offences ends it"
	    " (%lu to %lu)", arg[0], arg[1], arg[2], n, first, first + n - 1);
}

static void
run(int argc, char **argv)
{
	struct plan	p = { .dir = argv[1] };
	const char	*what = argv[2];

	if (argc == 3 && strcmp(what, "stranger") == 0)
		cases_stranger(p.dir);
	else if (argc == 3 && strcmp(what, "evidence") == 0)
		cases_evidence(p.dir);
	else if (argc == 3 && strcmp(what, "claims") == 0)
		cases_netd(p.dir);
	else if (argc == 3 && strcmp(what, "attested") == 0)
		cases_attested(p.dir);
	else if (argc == 3 && strcmp(what, "doors") == 0)
		cases_doors(p.dir);
	else if (argc == 8 && strcmp(what, "enrold") == 0)
		cases_enrold(p.dir, argv + 3);
	else if (argc == 6 && strcmp(what, "busd") == 0)
		cases_busd(p.dir, argv + 3);
	else if (argc == 4 && strcmp(what, "deaf") == 0)
		case_deaf(p.dir, argv[3]);
	else if (argc == 4 && strcmp(what, "written") == 0)
		cases_keyd(p.dir, role_of(argv[3]));
	else if (argc == 6 && strcmp(what, "hello") == 0)
		case_link_hello(p.dir, role_of(argv[3]), role_of(argv[4]),
		    strcmp(argv[5], "old") == 0);
	else if (argc == 7 && strcmp(what, "list") == 0) {
		plan_make(&p, argv + 3);
		printf("%zu\n", p.n);
	} else if (argc == 9 && strcmp(what, "try") == 0) {
		plan_make(&p, argv + 3);
		try(&p, argv + 3);
	} else
		errx(2, "usage: see the top of sister.c");
	free(p.a);
}

int
main(int argc, char **argv)
{
	if (argc < 3)
		errx(2, "usage: sister dir what [argument ...]");
	run(argc, argv);
	return tap_failed() == 0 ? 0 : 1;
}
