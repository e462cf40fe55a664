/*
 * provctl shows and commands over policyd's control socket.
 *
 * Holds:    nothing.
 * Does:     what the operator says, in rows of text or JSON.
 * Refuses:  nothing of its own; it needs no root: membership in the group of
 *           the control socket is enough for all but "check".
 */
#include "provctl.h"

int
main(int argc, char **argv)
{
	struct args	a;
	int		r;

	if ((r = command_parse(argc, argv, &a)) != 0)
		return r;
	if (a.help) {
		if (a.cmd != NULL)
			command_help(stdout, a.cmd);
		else
			command_usage(stdout);
		return EX_GOOD;
	}
	r = command_run(&a);
	if (fflush(stdout) != 0 && r == EX_GOOD) {
		perror("provctl: standard output");
		r = EX_REFUSED;
	}
	return r;
}
