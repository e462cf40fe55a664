/* Sockets of bridges to MCTP, which must be where netd can reach them. */
#include <string.h>

#include "conf_parse.h"

/*
 * netd dials from inside of its root: a bridge's socket must stand there. And
 * policyd's socket there is no bridge's.
 */
static void
bridge_ok(struct parse *p, const char *path, int line)
{
	const char	*run = p->conf->run_dir;
	size_t		 n = strlen(run);

	if (path == NULL || *path != '/')
		return;
	if (strncmp(path, run, n) == 0 && strncmp(path + n, "/netd/", 6) == 0 &&
	    path[n + 6] != '\0' && strchr(path + n + 6, '/') == NULL &&
	    strcmp(path + n + 6, "hub.sock") != 0)
		return;
	conf_error(p, line, "transport mctp \"%s\": netd reaches sockets of "
	    "bridges in %s/netd only", path, run);
}

void
conf_bridges(struct parse *p)
{
	struct conf_peer	*peer;
	struct conf_component	*c;

	for (peer = p->conf->peers; peer != NULL; peer = peer->next)
		bridge_ok(p, peer->mctp, peer->line);
	for (c = p->conf->components; c != NULL; c = c->next)
		bridge_ok(p, c->address, c->line);
}
