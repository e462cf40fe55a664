/*
 * What the certificate service issued: lists, revocation, export.
 */
#include <stdlib.h>
#include <string.h>

#include "secret.h"
#include "service.h"

static const char *const	states[] = {
	"all", "valid", "revoked", "expired", "orphan"
};

/* RFC 5280, 5.3.1, by number; what an operator has no use for is left out. */
static const struct {
	const char	*name;
	enum crl_reason	 reason;
} reasons[] = {
	{ "unspecified",		CRL_UNSPECIFIED },
	{ "keyCompromise",		CRL_KEY_COMPROMISE },
	{ "affiliationChanged",		CRL_AFFILIATION_CHANGED },
	{ "superseded",			CRL_SUPERSEDED },
	{ "cessationOfOperation",	CRL_CESSATION },
	{ "privilegeWithdrawn",		CRL_PRIVILEGE_WITHDRAWN },
};

static int
state_number(const char *s, uint32_t *n)
{
	uint32_t	i;

	for (i = 0; s != NULL && i < 5; i++)
		if (strcmp(s, states[i]) == 0) {
			*n = i;
			return 0;
		}
	return s == NULL ? 0 : args_wrong("a status is all, valid, revoked, "
	    "expired or orphan, not", s);
}

int
fill_cert_list(const struct args *a, union ipc_any *m)
{
	struct msg_ctl_cert_list	*l = &m->ctl_cert_list;

	l->pem = a->opt[OPT_PEM] != NULL;
	if (state_number(a->opt[OPT_STATUS], &l->status) == -1 ||
	    ARGS_SET(l->name, a->opt[OPT_NAME], "a name") == -1 ||
	    ARGS_SET(l->profile, a->opt[OPT_PROFILE], "a profile") == -1)
		return -1;
	return 0;
}

/* As people write it: with colons, in capitals, or as 0x... */
static int
set_serial(char *field, size_t size, const char *s)
{
	char	 hex[41];
	size_t	 n = 0;

	if (strncmp(s, "0x", 2) == 0)
		s += 2;
	for (; *s != '\0'; s++) {
		if (*s == ':')
			continue;
		if (n == sizeof(hex) - 1)
			return args_wrong("a serial number has at most 40 "
			    "hexadecimal digits", NULL);
		if (*s >= 'A' && *s <= 'F')
			hex[n++] = (char)(*s - 'A' + 'a');
		else if (strchr("0123456789abcdef", *s) != NULL)
			hex[n++] = *s;
		else
			return args_wrong("a serial number is hexadecimal, "
			    "not", s);
	}
	hex[n] = '\0';
	return args_set(field, size, hex, "a serial number");
}

int
fill_cert_show(const struct args *a, union ipc_any *m)
{
	return set_serial(m->ctl_cert_show.serial,
	    sizeof(m->ctl_cert_show.serial), a->pos[0]);
}

int
fill_cert_revoke(const struct args *a, union ipc_any *m)
{
	struct msg_ctl_cert_revoke	*r = &m->ctl_cert_revoke;
	const char			*why = a->opt[OPT_REASON];
	size_t				 i, n;

	if ((a->npos == 1) == (a->opt[OPT_NAME] != NULL))
		return args_wrong("a serial number or --name says what is "
		    "revoked, one of the two", NULL);
	n = sizeof(reasons) / sizeof(reasons[0]);
	for (i = 0; why != NULL && i < n; i++)
		if (strcmp(reasons[i].name, why) == 0)
			break;
	if (i == n)
		return args_wrong("a reason is unspecified, keyCompromise, "
		    "affiliationChanged, superseded, cessationOfOperation or "
		    "privilegeWithdrawn, not", why);
	r->reason = reasons[i].reason;
	if (a->npos == 1)
		return set_serial(r->serial, sizeof(r->serial), a->pos[0]);
	return ARGS_SET(r->name, a->opt[OPT_NAME], "a name");
}

/* With --pem the certificate alone, for a file or a pipe. */
bool
take_pem(const struct args *a, const json_t *row, int *status)
{
	const char	*pem = json_string_value(json_object_get(row, "pem"));

	if (a->opt[OPT_PEM] == NULL || a->json)
		return false;
	if (pem != NULL)
		fputs(pem, stdout);
	return true;
}

struct export {
	FILE		*f;
	bool		 json;
	unsigned long	 count;
};

static int
export_row(const json_t *row, void *arg)
{
	struct export	*e = arg;
	const char	*pem = json_string_value(json_object_get(row, "pem"));

	if (e->json) {
		json_dumpf(row, e->f, JSON_COMPACT | JSON_ENSURE_ASCII);
		fputc('\n', e->f);
	} else if (pem != NULL)
		fputs(pem, e->f);
	e->count += pem != NULL;
	return 0;
}

int
cert_export(const struct args *a)
{
	union ipc_any	*m;
	struct outfile	 o;
	struct export	 e = { .json = a->json };
	struct run	 r;
	int		 status = EX_WRONG;

	if ((m = calloc(1, sizeof(*m))) == NULL)
		abort();
	if (fill_cert_list(a, m) == -1)
		goto out;
	m->ctl_cert_list.pem = 1;
	status = EX_REFUSED;
	if (out_open(&o, a->opt[OPT_OUTPUT], 0644) == -1)
		goto out;
	if ((status = run_begin(&r, a)) != EX_GOOD) {
		out_close(&o, false);
		goto out;
	}
	e.f = o.f;
	status = run_call(&r, MSG_CTL_CERT_LIST, m, -1, export_row, &e);
	if (out_close(&o, status == EX_GOOD) == -1)
		status = EX_REFUSED;
	if (status == EX_GOOD && a->opt[OPT_OUTPUT] != NULL)
		fprintf(stderr, "provctl: %lu certificates\n", e.count);
	status = run_end(&r, status);
 out:
	free(m);
	return status;
}
