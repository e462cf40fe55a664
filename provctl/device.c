/*
 * Devices and their tickets, one by one and as CSV. A ticket is shown once,
 * by policyd's answer, or goes into a file that only its owner reads.
 */
#include <ctype.h>
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "secret.h"
#include "service.h"

#define CSV_MAX		(16UL * 1024 * 1024)
#define CSV_FIELDS	2		/* name, profile */
#define LIFETIME_MAX	31536000	/* s, as in the catalogue */

/* "90", "90s", "30m", "24h", "7d"; NULL and "" leave policyd's own. */
static int
lifetime(const char *s, uint32_t *out)
{
	static const struct {
		char		unit;
		uint64_t	seconds;
	}		 units[] = {
		{ '\0', 1 }, { 's', 1 }, { 'm', 60 }, { 'h', 3600 },
		{ 'd', 86400 }
	};
	uint64_t	 n;
	size_t		 i;
	char		*end;

	if (s == NULL || *s == '\0')
		return 0;
	errno = 0;
	n = strtoull(s, &end, 10);
	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (*end == units[i].unit && (*end == '\0' || end[1] == '\0'))
			break;
	if (!isdigit((unsigned char)*s) || errno != 0 ||
	    i == sizeof(units) / sizeof(units[0]) || n == 0 ||
	    n > LIFETIME_MAX / units[i].seconds)
		return args_wrong("a ticket lives at most a year, such as 90m, "
		    "24h or 7d, not", s);
	*out = (uint32_t)(n * units[i].seconds);
	return 0;
}

static int
fill_add(const struct args *a, const char *name, const char *profile,
    struct msg_ctl_device_add *m)
{
	memset(m, 0, sizeof(*m));
	m->ticket = a->opt[OPT_TICKET] != NULL;
	if (profile == NULL || *profile == '\0')
		profile = a->opt[OPT_PROFILE];
	if (ARGS_SET(m->name, name, "a name") == -1 ||
	    ARGS_SET(m->profile, profile, "a profile") == -1 ||
	    lifetime(a->opt[OPT_TICKET], &m->lifetime) == -1)
		return -1;
	return 0;
}

int
fill_device_remove(const struct args *a, union ipc_any *m)
{
	return ARGS_SET(m->ctl_device_remove.name, a->pos[0], "a name");
}

int
fill_device_list(const struct args *a, union ipc_any *m)
{
	if (ARGS_SET(m->ctl_device_list.name, a->opt[OPT_NAME], "a name") ==
	    -1 || ARGS_SET(m->ctl_device_list.profile, a->opt[OPT_PROFILE],
	    "a profile") == -1)
		return -1;
	return 0;
}

/* ---- CSV, RFC 4180 ----------------------------------------------------- */

static void
csv_put(FILE *f, const char *s, char after)
{
	bool	quote = s[strcspn(s, ",\"\r\n")] != '\0';

	if (quote)
		fputc('"', f);
	for (; *s != '\0'; s++) {
		if (*s == '"')
			fputc('"', f);
		fputc(*s, f);
	}
	if (quote)
		fputc('"', f);
	fputc(after, f);
}

static void
csv_member(FILE *f, const json_t *row, const char *name, char after)
{
	const json_t	*v = json_object_get(row, name);
	char		 number[32];

	if (json_is_integer(v)) {
		snprintf(number, sizeof(number), "%lld",
		    (long long)json_integer_value(v));
		csv_put(f, number, after);
	} else
		csv_put(f, json_is_string(v) ? json_string_value(v) : "",
		    after);
}

/* Past the quotes at *s; the field is moved to where they began. Its end. */
static char *
csv_quoted(char **s)
{
	char	*from = *s + 1, *to = *s;

	for (;; from++) {
		if (*from == '\0')
			return NULL;
		if (*from == '"' && *++from != '"')
			break;
		*to++ = *from;
	}
	from += strspn(from, " \t");
	if (*from != '\0' && strchr(",\r\n", *from) == NULL)
		return NULL;
	*s = from;
	return to;
}

/*
 * Take the line at *p apart, in place; blanks around a field are not of it.
 * How many fields it has, or -1 if it is no CSV.
 */
static int
csv_line(char **p, char *fields[CSV_FIELDS])
{
	char	*s = *p, *begin, *end, after;
	int	 n = 0;

	do {
		begin = s += strspn(s, " \t");
		if (*s == '"') {
			if ((end = csv_quoted(&s)) == NULL)
				return -1;
		} else {
			end = s += strcspn(s, ",\r\n");
			while (end > begin && (end[-1] == ' ' ||
			    end[-1] == '\t'))
				end--;
		}
		if (n < CSV_FIELDS)
			fields[n] = begin;
		n++;
		if ((after = *s) != '\0')
			s++;
		*end = '\0';
	} while (after == ',');
	if (after == '\r' && *s++ != '\n')
		return -1;
	*p = s;
	return n;
}

/* ---- add and import ---------------------------------------------------- */

struct import {
	struct run	 run;
	struct outfile	 tickets;	/* CSV, if file */
	bool		 file;
	unsigned long	 line, added, refused;
};

static int
import_row(const json_t *row, void *arg)
{
	struct import	*i = arg;

	if (i->file) {
		csv_member(i->tickets.f, row, "name", ',');
		csv_member(i->tickets.f, row, "profile", ',');
		csv_member(i->tickets.f, row, "ticket", ',');
		csv_member(i->tickets.f, row, "ticket_expires", '\n');
	} else
		row_print(&i->run.printer, row);
	return 0;
}

/* A ticket passes through jansson. */
static void
wipe(void *p)
{
	if (p != NULL)
		freezero(p, malloc_usable_size(p));
}

static int
import_begin(struct import *i, const struct args *a)
{
	int	status;

	json_set_alloc_funcs(malloc, wipe);
	memset(i, 0, sizeof(*i));
	if (a->opt[OPT_OUTPUT] != NULL && a->opt[OPT_TICKET] == NULL) {
		args_wrong("-o is for tickets, and none is asked for with "
		    "--ticket", NULL);
		return EX_WRONG;
	}
	/* many tickets are of use to programs, one to a reader */
	i->file = a->opt[OPT_OUTPUT] != NULL || (!a->json &&
	    !(a->cmd->show & DETAIL) && a->opt[OPT_TICKET] != NULL);
	if (i->file && out_open(&i->tickets, a->opt[OPT_OUTPUT], 0600) == -1)
		return EX_REFUSED;
	if ((status = run_begin(&i->run, a)) == EX_GOOD && i->file)
		fputs("name,profile,ticket,expires\n", i->tickets.f);
	else if (i->file)
		out_close(&i->tickets, false);
	return status;
}

/* What was given is kept even if the rest was refused. */
static int
import_end(struct import *i, int status)
{
	if (i->file && out_close(&i->tickets, i->added > 0) == -1)
		status = EX_REFUSED;
	return run_end(&i->run, status);
}

static int
import_one(struct import *i, union ipc_any *m)
{
	struct msg_refused	refused;
	int			status;

	status = run_try(&i->run, MSG_CTL_DEVICE_ADD, m, -1, import_row, i,
	    &refused);
	if (status == EX_GOOD)
		i->added++;
	if (status == EX_REFUSED) {
		i->refused++;
		if (i->line > 0)
			fprintf(stderr, "provctl: %s:%lu:\n",
			    i->run.args->pos[0], i->line);
		run_say(&i->run, &refused);
	}
	return status;
}

int
device_add(const struct args *a)
{
	union ipc_any	*m;
	struct import	 i;
	int		 status = EX_WRONG;

	if ((m = calloc(1, sizeof(*m))) == NULL)
		abort();
	if (fill_add(a, a->pos[0], NULL, &m->ctl_device_add) == 0 &&
	    (status = import_begin(&i, a)) == EX_GOOD)
		status = import_end(&i, import_one(&i, m));
	freezero(m, sizeof(*m));
	return status;
}

static bool
is_header(char *const *fields)
{
	return strcasecmp(fields[0], "name") == 0 ||
	    strcasecmp(fields[0], "mac") == 0;
}

/* Every line is looked at before the first device is added. */
static int
import_lines(const struct args *a, char *text, struct import *i)
{
	union ipc_any	*m;
	char		*p = text, *fields[CSV_FIELDS];
	unsigned long	 line = 0;
	int		 n, status = EX_GOOD;

	if ((m = calloc(1, sizeof(*m))) == NULL)
		abort();
	while (*p != '\0' && status != EX_UNREACHABLE) {
		line++;
		if (*p == '#') {
			p += strcspn(p, "\n");
			p += *p == '\n';
			continue;
		}
		fields[1] = NULL;
		n = csv_line(&p, fields);
		if (n == 1 && *fields[0] == '\0')
			continue;
		if (line == 1 && n != -1 && is_header(fields))
			continue;
		if (n == -1 || *fields[0] == '\0' || fill_add(a, fields[0],
		    n > 1 ? fields[1] : NULL, &m->ctl_device_add) == -1) {
			fprintf(stderr, "provctl: %s:%lu: a line is NAME or "
			    "NAME,PROFILE\n", a->pos[0], line);
			status = EX_WRONG;
			break;
		}
		if (i == NULL)
			continue;
		i->line = line;
		status = import_one(i, m);
	}
	freezero(m, sizeof(*m));
	return status == EX_REFUSED ? EX_GOOD : status;
}

int
device_import(const struct args *a)
{
	struct import	 i;
	char		*text, *copy;
	size_t		 len;
	int		 status = EX_WRONG;

	if ((text = file_get(a->pos[0], CSV_MAX, &len)) == NULL)
		return EX_WRONG;
	if (strlen(text) != len) {
		args_wrong("is no text:", a->pos[0]);
		goto out;
	}
	if ((copy = strdup(text)) == NULL)
		abort();
	status = import_lines(a, copy, NULL);
	free(copy);
	if (status != EX_GOOD ||
	    (status = import_begin(&i, a)) != EX_GOOD)
		goto out;
	status = import_lines(a, text, &i);
	if (status == EX_GOOD && i.refused > 0)
		status = EX_REFUSED;
	fflush(stdout);
	status = import_end(&i, status);
	fprintf(stderr, "provctl: %lu devices, %lu refused\n", i.added,
	    i.refused);
 out:
	free(text);
	return status;
}

/* ---- export ------------------------------------------------------------ */

struct export {
	FILE	*f;
	bool	 json;
};

static int
export_row(const json_t *row, void *arg)
{
	struct export	*e = arg;

	if (e->json) {
		json_dumpf(row, e->f, JSON_COMPACT | JSON_ENSURE_ASCII);
		fputc('\n', e->f);
		return 0;
	}
	csv_member(e->f, row, "name", ',');
	csv_member(e->f, row, "profile", ',');
	csv_member(e->f, row, "added", ',');
	csv_member(e->f, row, "ticket_state", ',');
	csv_member(e->f, row, "certificates", ',');
	csv_member(e->f, row, "last", '\n');
	return 0;
}

int
device_export(const struct args *a)
{
	union ipc_any	*m;
	struct outfile	 o;
	struct export	 e = { .json = a->json };
	struct run	 r;
	int		 status = EX_WRONG;

	if ((m = calloc(1, sizeof(*m))) == NULL)
		abort();
	if (fill_device_list(a, m) == -1)
		goto out;
	status = EX_REFUSED;
	if (out_open(&o, a->opt[OPT_OUTPUT], 0644) == -1)
		goto out;
	if ((status = run_begin(&r, a)) != EX_GOOD) {
		out_close(&o, false);
		goto out;
	}
	e.f = o.f;
	if (!a->json)
		fputs("name,profile,added,ticket,certificates,last\n", o.f);
	status = run_call(&r, MSG_CTL_DEVICE_LIST, m, -1, export_row, &e);
	if (out_close(&o, status == EX_GOOD) == -1)
		status = EX_REFUSED;
	status = run_end(&r, status);
 out:
	free(m);
	return status;
}
