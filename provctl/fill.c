/*
 * The fields of each message, from the words of the operator. What could not
 * be one is told here, before policyd is asked.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "confine.h"
#include "provctl.h"

int
args_wrong(const char *what, const char *arg)
{
	fprintf(stderr, "provctl: %s%s%s%s\n", what, arg != NULL ? " \"" : "",
	    arg != NULL ? arg : "", arg != NULL ? "\"" : "");
	return -1;
}

int
args_set(char *field, size_t size, const char *s, const char *what)
{
	if (s == NULL)
		return 0;
	if (s[0] == '\0' || ipc_set_str(field, size, s) == -1) {
		fprintf(stderr, "provctl: %s has 1 to %zu characters\n", what,
		    size - 1);
		return -1;
	}
	return 0;
}

static int
set_identity(char *field, size_t size, const char *s)
{
	if (s != NULL && (strlen(s) != 40 ||
	    strspn(s, "0123456789abcdef") != 40))
		return args_wrong("an identity is 40 lower-case hexadecimal digits, "
		    "not", s);
	return args_set(field, size, s, "an identity");
}

int
args_number(const char *s, uint64_t max, uint64_t *n)
{
	char	*end;

	if (s == NULL)
		return 0;
	errno = 0;
	*n = strtoull(s, &end, 10);
	if (!isdigit((unsigned char)*s) || *end != '\0' || errno != 0 ||
	    *n > max)
		return args_wrong("not a number:", s);
	return 0;
}

int
fill_peer_show(const struct args *a, union ipc_any *m)
{
	return ARGS_SET(m->ctl_peer_show.name, a->pos[0], "a name");
}

int
fill_peer_add(const struct args *a, union ipc_any *m)
{
	struct msg_ctl_peer_add	*p = &m->ctl_peer_add;

	if (ARGS_SET(p->name, a->pos[0], "a name") == -1 ||
	    set_identity(p->identity, sizeof(p->identity),
	    a->opt[OPT_IDENTITY]) == -1 ||
	    ARGS_SET(p->serial, a->opt[OPT_SERIAL], "a serial number") == -1 ||
	    ARGS_SET(p->address, a->opt[OPT_ADDRESS], "an address") == -1)
		return -1;
	return 0;
}

int
fill_peer_remove(const struct args *a, union ipc_any *m)
{
	return ARGS_SET(m->ctl_peer_remove.name, a->pos[0], "a name");
}

int
fill_provision(const struct args *a, union ipc_any *m)
{
	struct msg_ctl_provision	*p = &m->ctl_provision;

	p->wait = a->opt[OPT_NO_WAIT] == NULL;
	if (ARGS_SET(p->name, a->pos[0], "a name") == -1)
		return -1;
	if (a->opt[OPT_CODE] == NULL)
		return set_identity(p->identity, sizeof(p->identity),
		    a->opt[OPT_IDENTITY]);
	if (a->opt[OPT_IDENTITY] != NULL)
		return args_wrong("one of --identity and --code says who it is, not "
		    "both", NULL);
	p->code.len = CODE_LEN;
	return code_ask(a, p->code.data);
}

int
fill_unprovision(const struct args *a, union ipc_any *m)
{
	return ARGS_SET(m->ctl_unprovision.name, a->pos[0], "a name");
}

int
fill_revoke(const struct args *a, union ipc_any *m)
{
	return ARGS_SET(m->ctl_revoke.name, a->pos[0], "a name");
}

int
fill_csr(const struct args *a, union ipc_any *m)
{
	return ARGS_SET(m->ctl_identity_csr.serial, a->opt[OPT_SERIAL],
	    "a serial number");
}

int
fill_install(const struct args *a, union ipc_any *m)
{
	struct msg_ctl_identity_install	*p = &m->ctl_identity_install;
	const char			*path = a->pos[0];
	FILE				*f;
	size_t				 n;
	bool				 bad;

	f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	if (f == NULL) {
		fprintf(stderr, "provctl: %s: %s\n", path, strerror(errno));
		return -1;
	}
	n = fread(p->chain.data, 1, sizeof(p->chain.data), f);
	bad = ferror(f) || fgetc(f) != EOF;
	if (f != stdin)
		fclose(f);
	if (bad)
		return args_wrong("cannot be read, or is no certificate chain:",
		    path);
	p->chain.len = (uint32_t)n;
	return 0;
}

int
fill_component(const struct args *a, union ipc_any *m)
{
	return ARGS_SET(m->ctl_component_show.name, a->pos[0], "a name");
}

int
fill_enrol(const struct args *a, union ipc_any *m)
{
	m->ctl_component_enrol.wait = a->opt[OPT_NO_WAIT] == NULL;
	return ARGS_SET(m->ctl_component_enrol.name, a->pos[0], "a name");
}

int
fill_learn(const struct args *a, union ipc_any *m)
{
	return ARGS_SET(m->ctl_reference_learn.name, a->pos[0], "a name");
}

int
fill_reference(const struct args *a, union ipc_any *m)
{
	return ARGS_SET(m->ctl_reference_show.name, a->pos[0], "a name");
}

int
fill_accept(const struct args *a, union ipc_any *m)
{
	return ARGS_SET(m->ctl_reference_accept.name, a->pos[0], "a name");
}

int
fill_audit(const struct args *a, union ipc_any *m)
{
	uint64_t	last = 0;

	if (args_number(a->opt[OPT_FROM], INT64_MAX,
	    &m->ctl_audit_show.from) == -1 ||
	    args_number(a->opt[OPT_LAST], UINT32_MAX, &last) == -1)
		return -1;
	m->ctl_audit_show.last = (uint32_t)last;
	return 0;
}

int
fill_explain(const struct args *a, union ipc_any *m)
{
	return ARGS_SET(m->ctl_explain_peer.name, a->pos[0], "a name");
}

int
fill_log(const struct args *a, union ipc_any *m)
{
	static const char *const	levels[] = {
		"warn", "info", "debug", "trace"
	};
	uint32_t			i;

	for (i = 0; i < 4; i++)
		if (strcmp(a->pos[0], levels[i]) == 0)
			break;
	if (i == 4)
		return args_wrong("a level is warn, info, debug or trace, not",
		    a->pos[0]);
	m->ctl_log_level.level = i;
	if (a->npos == 2 && confine_role_user(a->pos[1]) == NULL)
		return args_wrong("a daemon is policyd, keyd, netd, attestd-q, "
		    "attestd-r or enrold, not", a->pos[1]);
	return ARGS_SET(m->ctl_log_level.daemon, a->pos[1], "a daemon");
}
