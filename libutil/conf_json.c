/*
 * include json "FILE": the configuration of OpenBMC's provisioning daemon.
 * Its types are held to: a port in quotes is an error there too, but a late
 * one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "conf_parse.h"

/* The peer that rip and rport describe; OpenBMC knows one, of this name. */
#define JSON_PEER	"peer"

static void
json_peer(struct parse *p)
{
	struct conf_peer	*peer;

	for (peer = p->conf->peers; peer != NULL; peer = peer->next)
		if (strcmp(peer->name, JSON_PEER) == 0)
			break;
	if (peer == NULL || p->json_peer == NULL) {
		conf_peer_begin(p, conf_copy(JSON_PEER));
		p->json_peer = p->peer;
	}
	p->peer = p->json_peer;
}

static void
take_port(struct parse *p, const json_t *v)
{
	conf_number(p, SET_MTLS_PORT, json_integer_value(v));
}

static void
take_cert_root(struct parse *p, const json_t *v)
{
	conf_string(p, SET_CERT_ROOT, conf_copy(json_string_value(v)));
}

static void
take_interface(struct parse *p, const json_t *v)
{
	conf_string(p, SET_INTERFACE, conf_copy(json_string_value(v)));
}

/* We never give up on a peer: there is no count to keep. */
static void
take_retry_count(struct parse *p, const json_t *v)
{
	if (json_integer_value(v) < 1)
		conf_error(p, p->line, "retry_count is 1 or more");
}

/* A fixed number of seconds there, the longest pause of the backoff here. */
static void
take_retry_timer(struct parse *p, const json_t *v)
{
	json_int_t	n = json_integer_value(v);

	if (n < 1 || n > 86400)
		conf_error(p, p->line, "retry_timer is 1 to 86400");
	else
		conf_retry(p, n > 1 ? 1000 : 500, n * 1000);
}

static void
take_rip(struct parse *p, const json_t *v)
{
	json_peer(p);
	conf_string(p, SET_PEER_ADDRESS, conf_copy(json_string_value(v)));
}

static void
take_rport(struct parse *p, const json_t *v)
{
	json_peer(p);
	conf_number(p, SET_PEER_MTLS, json_integer_value(v));
}

static const struct {
	const char	*name;
	json_type	 type;
	void		(*take)(struct parse *, const json_t *);
} members[] = {
	{ "port",	  JSON_INTEGER,	take_port },
	{ "cert_root",	  JSON_STRING,	take_cert_root },
	{ "interface_id", JSON_STRING,	take_interface },
	{ "retry_count",  JSON_INTEGER,	take_retry_count },
	{ "retry_timer",  JSON_INTEGER,	take_retry_timer },
	{ "rip",	  JSON_STRING,	take_rip },
	{ "rport",	  JSON_INTEGER,	take_rport },
};

/* Of the file that the attestation daemon beside it reads. */
static const char *const others[] = {
	"ip", "server-cert", "server-pkey", "client-cert", "client-pkey",
	"sign-privkey", "sign-cert", "verify-cert", "self-signed",
	"exchange_prefix", "resources",
};

static void
unknown_member(struct parse *p, const char *name)
{
	size_t	i;

	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (strcmp(name, others[i]) == 0) {
			conf_error(p, p->line, "%s is a setting of the "
			    "attestation daemon, whose file has no place here: "
			    "accept root and reference say whom to trust, "
			    "measure file what is measured", name);
			return;
		}
	conf_error(p, p->line, "%s is not a setting of the provisioning "
	    "daemon", name);
}

static void
wrong_type(struct parse *p, const char *name, const json_t *v, json_type want)
{
	const char	*s = json_string_value(v);	/* or NULL */

	if (want == JSON_STRING)
		conf_error(p, p->line, "%s is not a string", name);
	else if (s != NULL && *s != '\0' && strlen(s) <= 10 &&
	    strspn(s, "0123456789") == strlen(s))
		conf_error(p, p->line, "%s is a number in quotes: write "
		    "\"%s\": %s without them", name, name, s);
	else
		conf_error(p, p->line, "%s is not a whole number", name);
}

static void
json_members(struct parse *p, json_t *root)
{
	const char	*name;
	json_t		*v;
	size_t		 i, n = sizeof(members) / sizeof(members[0]);

	json_object_foreach(root, name, v) {
		for (i = 0; i < n; i++)
			if (strcmp(name, members[i].name) == 0)
				break;
		if (i == n)
			unknown_member(p, name);
		else if (json_typeof(v) != members[i].type)
			wrong_type(p, name, v, members[i].type);
		else
			members[i].take(p, v);
	}
	if (p->peer != NULL)
		conf_peer_end(p);
}

void
conf_json(struct parse *p, const char *path)
{
	const char	*outer = p->name;
	json_error_t	 error;
	json_t		*root;
	char		*buf;
	size_t		 len;
	int		 line = p->line;

	if (p->included != NULL) {
		conf_error(p, line, "include json stands here twice");
		return;
	}
	if (path[0] != '/') {
		conf_error(p, line, "include json \"%s\": a path starts with "
		    "'/'", path);
		return;
	}
	if (p->load == NULL || p->load(path, &buf, &len) == -1) {
		conf_error(p, line, "include json \"%s\": %s", path,
		    p->load == NULL ? "not here" : conf_fault(errno));
		return;
	}
	p->included = conf_copy(path);
	p->name = p->included;
	root = json_loadb(buf, len, JSON_REJECT_DUPLICATES, &error);
	free(buf);
	p->line = root == NULL ? error.line : 1;
	if (root == NULL)
		conf_error(p, p->line, "%s", error.text);
	else if (!json_is_object(root))
		conf_error(p, p->line, "not a JSON object");
	else
		json_members(p, root);
	json_decref(root);
	p->name = outer;
	p->line = line;
}

/* That file names no node, and OpenBMC's LLDP announces the host's name. */
void
conf_host(struct parse *p)
{
	char		 name[65];
	const char	*what;

	if (gethostname(name, sizeof(name)) == -1)
		name[0] = '\0';
	name[sizeof(name) - 1] = '\0';
	what = strcmp(name, "localhost") == 0 ? "every host has that name" :
	    conf_check_name(name);
	if (what != NULL)
		conf_error(p, p->line, "no node, and the host name \"%s\" "
		    "cannot be it: %s: give this node a name with node "
		    "\"NAME\"", name, what);
	else
		p->conf->node = conf_copy(name);
}
