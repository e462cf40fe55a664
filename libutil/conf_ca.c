/*
 * The certificate service in provd.conf: the authority, its listeners and its
 * profiles, and what they must be together.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf_parse.h"
#include "ipc.h"

#define NAMES_MAX	8	/* of a server, or constraints */
#define NAMES_LEN	512	/* characters of them all: a leaf is 2048 bytes */
#define COMMON_NAME_MAX	64	/* RFC 5280, ub-common-name */
#define PROFILE_NAME_MAX 32
#define MAKERS_MAX	64	/* of all profiles: ENROL_MAKER's numbers */

/* ---- the authority ------------------------------------------------------ */

void
conf_ca_begin(struct parse *p, char *name)
{
	p->block = IN_CA;
	if (p->seen[SET_CA] == 0)
		p->conf->ca.line = p->line;
	conf_string(p, SET_CA, name);
}

static void
add_name(struct parse *p, struct conf_name **end, const char *what,
    const char *wrong, char *name)
{
	struct conf_name	*n;
	size_t			 len = strlen(name);
	unsigned		 count = 0;

	if (wrong != NULL)
		conf_error(p, p->line, "%s \"%s\": %s", what, name, wrong);
	for (; *end != NULL; end = &(*end)->next, count++) {
		len += strlen((*end)->name);
		if (strcasecmp((*end)->name, name) == 0)
			conf_error(p, p->line, "%s \"%s\" stands here twice",
			    what, name);
	}
	if (count == NAMES_MAX)
		conf_error(p, p->line, "more than %d names: %s", NAMES_MAX,
		    what);
	else if (len > NAMES_LEN)
		conf_error(p, p->line, "names of more than %d characters "
		    "together: %s", NAMES_LEN, what);
	n = conf_zalloc(sizeof(*n));
	n->name = name;
	*end = n;
}

void
conf_server(struct parse *p, char *name)
{
	const char	*wrong = conf_check_server(name);

	/* The first one is the common name, too. */
	if (p->conf->ca.server == NULL && strlen(name) > COMMON_NAME_MAX)
		wrong = "the first name has at most 64 characters";
	add_name(p, &p->conf->ca.server, "server", wrong, name);
}

void
conf_permitted(struct parse *p, char *name)
{
	add_name(p, &p->conf->ca.permitted, "permitted dns",
	    conf_check_dns(name), name);
}

/* ---- listeners ---------------------------------------------------------- */

void
conf_listener(struct parse *p, unsigned door, int64_t port, char *key)
{
	struct conf_listener	*l, **end = &p->conf->listeners;
	int64_t			 algorithm = KEY_P256;
	unsigned		 n = 0;

	if (key != NULL &&
	    (algorithm = conf_word(SET_DOOR_KEY, key)) == -1)
		conf_error(p, p->line, "key of a listener \"%s\": ecdsa-p256 "
		    "or rsa-2048", key);
	free(key);
	if (port < 1 || port > 65535) {
		conf_error(p, p->line, "port is 1 to 65535");
		return;
	}
	for (; *end != NULL; end = &(*end)->next, n++)
		if ((*end)->port == port)
			conf_error(p, p->line, "port %lld has a listener "
			    "already, in line %d", (long long)port,
			    (*end)->line);
	if (n == ENROL_LISTENERS)
		conf_error(p, p->line, "more than %d listeners of the "
		    "certificate service", ENROL_LISTENERS);
	l = conf_zalloc(sizeof(*l));
	l->door = door;
	l->port = (uint16_t)port;
	l->key = (unsigned)algorithm;
	l->line = p->line;
	*end = l;
}

/* ---- profiles ----------------------------------------------------------- */

/* It is a label in paths of EST, which no operation may be (RFC 7030, 3.2.2). */
static const char *
check_profile(const char *name)
{
	static const char	*const operations[] = {
		"cacerts", "simpleenroll", "simplereenroll", "fullcmc",
		"serverkeygen", "csrattrs"
	};
	const char		*what = conf_check_name(name);
	size_t			 i;

	if (what == NULL && strlen(name) > PROFILE_NAME_MAX)
		what = "the name of a profile has at most 32 characters";
	if (what == NULL && name[0] == '.')
		what = "the name of a profile does not start with '.'";
	for (i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
		if (strcasecmp(name, operations[i]) == 0)
			what = "an operation of EST has this name";
	return what;
}

void
conf_profile_begin(struct parse *p, char *name)
{
	struct conf_profile	*f, **end = &p->conf->profiles;
	const char		*what = check_profile(name);
	unsigned		 n = 0;

	if (what != NULL)
		conf_error(p, p->line, "profile \"%s\": %s", name, what);
	for (; *end != NULL; end = &(*end)->next, n++)
		if (strcmp((*end)->name, name) == 0)
			conf_error(p, p->line, "profile \"%s\" stands here "
			    "twice", name);
	if (n == ENROL_PROFILES)
		conf_error(p, p->line, "more than %d profiles",
		    ENROL_PROFILES);
	conf_fresh(p, SET_PROFILE_KEY);
	f = conf_zalloc(sizeof(*f));
	f->name = name;
	f->names = NAME_MAC;
	f->line = p->line;
	*end = f;
	p->profile = f;
	p->block = IN_PROFILE;
}

void
conf_maker(struct parse *p, char *path)
{
	struct conf_path	*m, **end = &p->profile->makers;
	const char		*what;

	if ((what = conf_check_path(path)) != NULL)
		conf_error(p, p->line, "manufacturer root \"%s\": %s", path,
		    what);
	for (; *end != NULL; end = &(*end)->next)
		if (strcmp((*end)->path, path) == 0)
			conf_error(p, p->line, "manufacturer root \"%s\" "
			    "stands here twice", path);
	m = conf_zalloc(sizeof(*m));
	m->path = path;
	*end = m;
}

void
conf_profile_end(struct parse *p)
{
	struct conf_profile	*f = p->profile;

	p->profile = NULL;
	p->block = NO_BLOCK;
	if (p->seen[SET_PROFILE_KEY] == 0)
		conf_error(p, f->line, "profile \"%s\" has no key: what kinds "
		    "may a device have?", f->name);
	if (p->seen[SET_PROFILE_VALID] == 0)
		conf_error(p, f->line, "profile \"%s\" is not said to be valid "
		    "for some time", f->name);
	if (f->usage == 0)
		f->usage = USAGE_CLIENT;
	if (f->renew == 0)
		f->renew = (f->validity + 2) / 3;
	if (f->renew > f->validity)
		conf_error(p, f->line, "profile \"%s\": renewed before it is "
		    "valid", f->name);
	if (f->operators && f->open)
		conf_error(p, f->line, "profile \"%s\" is open, and would make "
		    "an operator of whoever asks", f->name);
	if (f->operators && f->makers != NULL && f->names == NAME_SERIAL)
		conf_error(p, f->line, "profile \"%s\": name serial would make "
		    "an operator of every unit of the manufacturer", f->name);
	if (f->operators && (f->usage & USAGE_CLIENT) == 0)
		conf_error(p, f->line, "profile \"%s\": operators show a "
		    "client's certificate, which usage server is not", f->name);
}

/* ---- together ----------------------------------------------------------- */

/* Is it below the constraint (RFC 5280, 4.2.1.10), or the same? */
static bool
below(const char *name, const char *constraint)
{
	size_t	n = strlen(name), c = strlen(constraint);

	return n >= c && strcasecmp(name + n - c, constraint) == 0 &&
	    (n == c || name[n - c - 1] == '.');
}

/* enrold's own leafs come from the issuing CA, too. */
static void
server_ok(struct parse *p, const char *name)
{
	const struct conf_name	*c = p->conf->ca.permitted;

	if (c == NULL || conf_check_dns(name) != NULL)
		return;
	for (; c != NULL; c = c->next)
		if (below(name, c->name))
			return;
	conf_error(p, p->conf->ca.line, "server \"%s\" is not below any "
	    "permitted dns", name);
}

static void
finish_server(struct parse *p)
{
	struct conf		*c = p->conf;
	const struct conf_name	*n;

	if (c->ca.server == NULL && c->node != NULL) {
		if (conf_check_dns(c->node) != NULL) {
			conf_error(p, c->ca.line, "ca has no server, and node "
			    "\"%s\" is no DNS name", c->node);
			return;
		}
		conf_server(p, conf_copy(c->node));
	}
	for (n = c->ca.server; n != NULL; n = n->next)
		server_ok(p, n->name);
}

static void
finish_listeners(struct parse *p)
{
	const struct conf_listener	*l;
	bool				 tls = false;

	for (l = p->conf->listeners; l != NULL; l = l->next) {
		if (p->seen[SET_CA] == 0)
			conf_error(p, l->line, "a listener of the certificate "
			    "service needs a ca");
		if (l->port == p->conf->mtls_port ||
		    l->port == p->conf->spdm_port)
			conf_error(p, l->line, "port %u is the one of %s",
			    l->port, l->port == p->conf->mtls_port ? "mtls" :
			    "spdm");
		tls = tls || l->door == DOOR_TLS || l->door == DOOR_MUTUAL;
	}
	if (tls && p->seen[SET_CA] != 0)
		finish_server(p);
}

static void
finish_profiles(struct parse *p)
{
	const struct conf_profile	*f;
	const struct conf_path		*m;
	unsigned			 makers = 0;

	for (f = p->conf->profiles; f != NULL; f = f->next) {
		if (p->seen[SET_CA] == 0)
			conf_error(p, f->line, "profile \"%s\" needs a ca",
			    f->name);
		if (f->validity > p->conf->ca.issuing_validity)
			conf_error(p, f->line, "profile \"%s\" is valid for "
			    "longer than an issuing CA", f->name);
		for (m = f->makers; m != NULL; m = m->next)
			if (makers++ == MAKERS_MAX)
				conf_error(p, f->line, "more than %d "
				    "manufacturer roots in all profiles",
				    MAKERS_MAX);
	}
}

/* Defaults may stand below. */
void
conf_ca_finish(struct parse *p)
{
	const struct conf_ca	*ca = &p->conf->ca;

	if (ca->issuing_validity > ca->root_validity)
		conf_error(p, conf_later(p, SET_CA_ROOT, SET_CA_ISSUING),
		    "an issuing CA would be valid for longer than its root");
	if (ca->crl_every > ca->issuing_validity)
		conf_error(p, conf_later(p, SET_CA_CRL, SET_CA_ISSUING),
		    "a CRL would count for longer than its issuing CA");
	finish_listeners(p);
	finish_profiles(p);
}

/* ---- freed -------------------------------------------------------------- */

static void
free_names(struct conf_name *n)
{
	struct conf_name	*next;

	for (; n != NULL; n = next) {
		next = n->next;
		free(n->name);
		free(n);
	}
}

static void
free_profile(struct conf_profile *f)
{
	struct conf_path	*m;

	while ((m = f->makers) != NULL) {
		f->makers = m->next;
		free(m->path);
		free(m);
	}
	free(f->name);
	free(f);
}

void
conf_ca_free(struct conf *c)
{
	struct conf_listener	*l;
	struct conf_profile	*f;

	while ((l = c->listeners) != NULL) {
		c->listeners = l->next;
		free(l);
	}
	while ((f = c->profiles) != NULL) {
		c->profiles = f->next;
		free_profile(f);
	}
	free_names(c->ca.server);
	free_names(c->ca.permitted);
	free(c->ca.name);
	free(c->ca.url);
}
