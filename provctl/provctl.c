/*
 * provctl shows and commands over policyd's control socket; it makes an offline
 * root, and is the client of a certificate service.
 *
 * Holds:    a private key only while it makes or uses one: that of an offline
 *           root, or of a device that enrols.
 * Does:     what the operator says, in rows of text or JSON.
 * Refuses:  a passphrase or a ticket as an argument; a server, or a certificate,
 *           that does not lead to the root it was given. It needs no root
 *           itself: membership in the group of the control socket is enough
 *           for all but "check", and "enrol" and "ca sign" need no socket.
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
