/*
 * Rows for people: tables, blocks of "name value", and one line an event.
 * With --json a row is printed as it came, one a line.
 */
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "provctl.h"

#define COLUMNS	18
#define ROWS_MAX	10000	/* a longer table comes in pieces */

enum shape {
	BLOCK,		/* a line a member */
	WHOLE,		/* the same, where one thing is shown whole */
	TABLE		/* a line a row, with its neighbours of the same kind */
};

struct column {
	const char	*head, *member;
};

/* What is shown of each kind of row, and how. */
static const struct layout {
	const char	*row;
	enum shape	 shape;
	struct column	 columns[COLUMNS];
	const char	*line;		/* in a stream: {member} is its value */
} layouts[] = {
	{ "node", BLOCK, { { "node", "name" }, { "id", "node" },
	    { "state", "state" }, { "started", "started" },
	    { "developer mode", "developer" } }, NULL },
	{ "daemon", TABLE, { { "DAEMON", "role" }, { "STATE", "state" },
	    { "PID", "pid" }, { "UID", "uid" }, { "STARTS", "generation" },
	    { "SINCE", "since" }, { "OFFENCES", "offences" } },
	    "{time} {role}: {state}" },
	{ "keyd", BLOCK, { { "keys", "backend" }, { "TPM", "manufacturer" },
	    { "firmware", "firmware" }, { "number of keys", "keys" },
	    { "audit counter", "counter" }, { "condition", "condition" } },
	    NULL },
	{ "clock", BLOCK, { { "trusted time", "time" },
	    { "not before", "floor" }, { "clock unset", "unset" } }, NULL },
	{ "peers", BLOCK, { { "peers", "total" },
	    { "provisioned", "provisioned" }, { "connected", "connected" },
	    { "attesting", "attesting" }, { "failed", "failed" },
	    { "revoked", "revoked" } }, NULL },
	{ "self", BLOCK, { { "this node", "state" }, { "since", "since" },
	    { "provisioned", "provisioned" }, { "attested", "attested" },
	    { "next attempt", "next" }, { "attempts", "attempts" },
	    { "reason", "reason" }, { "warning", "warning" } },
	    "self: {state}, provisioned {provisioned} {reason}" },
	{ "trail", BLOCK, { { "audit records", "sequence" },
	    { "checkpoint", "checkpoint" }, { "TPM counter", "counter" },
	    { "uncovered", "uncovered" }, { "condition", "condition" } },
	    NULL },
	{ "counter", TABLE, { { "COUNT", "count" }, { "DAEMON", "role" },
	    { "REFUSAL", "reason" } }, NULL },
	{ "warning", TABLE, { { "WARNING", "about" }, { "REASON", "reason" } },
	    "{about}: warning: {reason}" },
	{ "neighbour", TABLE, { { "NAME", "name" }, { "PORT", "port" },
	    { "ADDRESS", "address4" }, { "ADDRESS6", "address6" },
	    { "CHASSIS", "chassis" }, { "TTL", "ttl" }, { "PEER", "peer" } },
	    "neighbour {name} {event}: port {port}, {address4} {address6}" },
	{ "peer", TABLE, { { "PEER", "name" }, { "STATE", "state" },
	    { "PROVISIONED", "provisioned" }, { "CONNECTED", "connected" },
	    { "ADDRESS", "address" }, { "ID", "node" },
	    { "REASON", "reason" } },
	    "{name}: {state}, provisioned {provisioned}, {connected} "
	    "{reason}" },
	{ "peer", WHOLE, { { "peer", "name" }, { "state", "state" },
	    { "since", "since" }, { "provisioned", "provisioned" },
	    { "connected", "connected" }, { "reason", "reason" },
	    { "warning", "warning" }, { "listed by", "origin" },
	    { "listed id", "identity" }, { "id from", "identity_from" },
	    { "listed serial", "serial" }, { "code until", "code" },
	    { "proved id", "node" }, { "address", "address" },
	    { "address from", "address_from" }, { "attested", "attested" },
	    { "expires", "expires" }, { "next attempt", "next" } },
	    NULL },
	{ "evidence", BLOCK, { { "attested", "time" }, { "SPDM", "version" },
	    { "algorithm", "algorithm" }, { "id", "node" },
	    { "serial", "serial" }, { "subject", "subject" },
	    { "root", "root" }, { "valid from", "not_before" },
	    { "valid until", "not_after" }, { "anchor", "anchor" } },
	    "{peer}: attested as {node}, serial {serial}" },
	{ "step", TABLE, { { "STEP", "name" }, { "CHECKED", "detail" },
	    { "TIME", "time" } }, "{peer}{component}: {name}: {detail}" },
	{ "component", TABLE, { { "COMPONENT", "name" }, { "STATE", "state" },
	    { "ENROLLED", "enrolled" }, { "SLOT", "slot" },
	    { "ADDRESS", "address" }, { "UNTIL", "not_after" },
	    { "REASON", "reason" } },
	    "{name}: {state}, slot {slot}, until {not_after} {reason}" },
	{ "component", WHOLE, { { "component", "name" },
	    { "state", "state" }, { "since", "since" },
	    { "enrolled", "enrolled" }, { "reason", "reason" },
	    { "warning", "warning" }, { "slot", "slot" },
	    { "address", "address" }, { "listed id", "identity" },
	    { "listed serial", "serial" }, { "proved id", "node" },
	    { "attested", "attested" }, { "certificate", "certificate" },
	    { "valid from", "not_before" }, { "valid until", "not_after" },
	    { "renewal", "renewal" }, { "next attempt", "next" } }, NULL },
	{ "measurement", TABLE, { { "INDEX", "index" }, { "KIND", "kind" },
	    { "JUDGED", "judged" }, { "RAW", "raw" }, { "VALUE", "value" } },
	    "{peer}: measurement {index} ({kind}) {judged}: {value}" },
	{ "link", BLOCK, { { "connection", "state" }, { "address", "address" },
	    { "dialled by us", "dialled" }, { "since", "since" },
	    { "reason", "reason" } },
	    "{peer}: connection {state} {address} {reason}" },
	{ "attempt", TABLE, { { "PEER", "peer" }, { "ATTEMPT", "attempts" },
	    { "NEXT", "next" }, { "REASON", "reason" } },
	    "{peer}: attempt {attempts}: {reason}" },
	{ "transition", TABLE, { { "TIME", "time" }, { "PEER", "peer" },
	    { "FROM", "from" }, { "TO", "to" }, { "CAUSE", "cause" },
	    { "REASON", "reason" } },
	    "{time} {peer}: {from} -> {to} ({cause}) {reason}" },
	{ "lost", BLOCK, { { "rows lost", "count" } },
	    "{count} rows lost: this reader is too slow" },
	{ "identity", BLOCK, { { "id", "node" }, { "name", "name" },
	    { "algorithm", "algorithm" }, { "state", "state" },
	    { "reason", "reason" } }, NULL },
	{ "key", TABLE, { { "KEY", "label" }, { "PURPOSE", "purpose" },
	    { "ALGORITHM", "algorithm" }, { "NUMBER", "key" } }, NULL },
	{ "certificate", TABLE, { { "USE", "use" }, { "POS", "position" },
	    { "SUBJECT", "subject" }, { "ISSUER", "issuer" },
	    { "UNTIL", "not_after" }, { "SERIAL", "serial" } }, NULL },
	{ "csr", BLOCK, { { "request", "pem" } }, NULL },
	{ "reference", TABLE, { { "PEER", "peer" }, { "SET", "set" },
	    { "INDEX", "index" }, { "KIND", "kind" }, { "IGNORE", "ignore" },
	    { "DIGEST", "digest" } }, NULL },
	{ "audit", TABLE, { { "NUMBER", "sequence" }, { "TIME", "time" },
	    { "KIND", "kind" }, { "SUBJECT", "subject" },
	    { "REASON", "reason.code" }, { "TEXT", "text" } },
	    "{time} audit {sequence} {kind} {subject}: {text} {reason.code}" },
	{ "verify", BLOCK, { { "records", "records" },
	    { "checkpoints", "checkpoints" }, { "uncovered", "uncovered" },
	    { "counter", "counter" }, { "TPM counter", "tpm_counter" },
	    { "found at", "sequence" }, { "reason", "reason" } }, NULL },
	{ "explain", BLOCK, { { "peer", "peer" }, { "state", "state" },
	    { "why", "text" }, { "reason", "reason" },
	    { "warning", "warning" }, { "id to confirm", "confirm" } }, NULL },
	{ "ca", TABLE, { { "CA", "kind" }, { "N", "generation" },
	    { "STATE", "state" }, { "KEY", "key" }, { "UNTIL", "not_after" },
	    { "SERIAL", "serial" }, { "SUBJECT", "subject" },
	    { "REASON", "reason" } }, NULL },
	{ "crl", TABLE, { { "CRL OF", "generation" }, { "NUMBER", "number" },
	    { "ENTRIES", "entries" }, { "SINCE", "this_update" },
	    { "NEXT", "next_update" }, { "REASON", "reason" } }, NULL },
	{ "ca_csr", BLOCK, { { "subject", "subject" }, { "request", "pem" } },
	    NULL },
	{ "cert", TABLE, { { "SERIAL", "serial" }, { "NAME", "name" },
	    { "PROFILE", "profile" }, { "STATUS", "status" },
	    { "UNTIL", "not_after" }, { "BY", "auth" }, { "DOOR", "door" } },
	    NULL },
	{ "cert", WHOLE, { { "serial", "serial" }, { "name", "name" },
	    { "profile", "profile" }, { "status", "status" },
	    { "revoked", "revoked" }, { "because of", "revocation" },
	    { "valid from", "not_before" }, { "valid until", "not_after" },
	    { "issued", "issued" }, { "acknowledged", "acknowledged" },
	    { "issuing CA", "generation" }, { "let in by", "auth" },
	    { "door", "door" }, { "address", "address" },
	    { "SHA-256", "sha256" } }, NULL },
	{ "cert_stats", TABLE, { { "PROFILE", "profile" }, { "TOTAL", "total" },
	    { "VALID", "valid" }, { "REVOKED", "revoked" },
	    { "EXPIRED", "expired" }, { "ORPHANS", "orphan" } }, NULL },
	{ "device", TABLE, { { "DEVICE", "name" }, { "PROFILE", "profile" },
	    { "TICKET", "ticket_state" }, { "UNTIL", "ticket_expires" },
	    { "CERTIFICATES", "certificates" }, { "LAST", "last" } }, NULL },
	{ "device", WHOLE, { { "device", "name" }, { "profile", "profile" },
	    { "added", "added" }, { "ticket", "ticket" },
	    { "good until", "ticket_expires" },
	    { "certificates", "certificates" }, { "last", "last" } }, NULL },
	{ "enrolled", BLOCK, { { "name", "name" }, { "serial", "serial" },
	    { "valid from", "not_before" }, { "valid until", "not_after" },
	    { "renewed from", "renewal" }, { "directory", "directory" } },
	    NULL },
	{ "reason", BLOCK, { { "code", "code" }, { "what", "text" },
	    { "remedy", "remedy" } }, NULL },
	{ "refused", BLOCK, { { "refused", "reason" } }, NULL },
};

static const struct layout *
layout_find(const struct printer *p, const json_t *row)
{
	const char		*name;
	const struct layout	*found = NULL;
	size_t			 i;

	if ((name = json_string_value(json_object_get(row, "row"))) == NULL)
		return NULL;
	for (i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++)
		if (strcmp(layouts[i].row, name) == 0 && (found == NULL ||
		    (layouts[i].shape == WHOLE) == p->detail))
			found = &layouts[i];
	return found;
}

/* ---- values ------------------------------------------------------------ */

/* What a terminal acts upon stays out of it. */
void
row_text(FILE *f, const char *s)
{
	size_t	n;

	for (; *s != '\0'; s += n) {
		n = log_unsafe(s);
		fputc(n > 0 ? '?' : *s, f);
		n = n > 0 ? n : 1;
	}
}

static const char *
member(const json_t *o, const char *name)
{
	const char	*s = json_string_value(json_object_get(o, name));

	return s == NULL || s[0] == '\0' ? NULL : s;
}

static void
put_member(FILE *f, const json_t *o, const char *before, const char *name,
    const char *after)
{
	const char	*s = member(o, name);

	if (s == NULL)
		return;
	fputs(before, f);
	row_text(f, s);
	fputs(after, f);
}

/* "reason.code" is the member code of the member reason. */
static const json_t *
lookup(const json_t *row, const char *name)
{
	const char	*dot = strchr(name, '.');
	char		 outer[32];

	if (dot == NULL)
		return json_object_get(row, name);
	snprintf(outer, sizeof(outer), "%.*s", (int)(dot - name), name);
	return json_object_get(json_object_get(row, outer), dot + 1);
}

/*
 * "ATT-014: It differs. (measurement 3: expected aa, seen bb)"; in a block
 * what is in the parentheses and the remedy stand on lines of their own.
 */
static void
put_why(FILE *f, const json_t *w, bool block)
{
	bool	check = member(w, "field") != NULL ||
	    member(w, "expected") != NULL || member(w, "seen") != NULL;

	put_member(f, w, "", "code", "");
	put_member(f, w, ": ", "text", "");
	if (check) {
		fputs(block ? "\n\t" : " (", f);
		put_member(f, w, "", "field", member(w, "expected") != NULL ||
		    member(w, "seen") != NULL ? ": " : "");
		put_member(f, w, "expected ", "expected",
		    member(w, "seen") != NULL ? ", " : "");
		put_member(f, w, "seen ", "seen", "");
		if (!block)
			fputc(')', f);
	}
	if (block)
		put_member(f, w, "\n\tremedy: ", "remedy", "");
}

static void
put_value(FILE *f, const json_t *v, bool block)
{
	switch (v == NULL ? JSON_NULL : json_typeof(v)) {
	case JSON_STRING:
		if (json_string_length(v) == 0)
			fputc('-', f);
		row_text(f, json_string_value(v));
		break;
	case JSON_INTEGER:
		fprintf(f, "%lld", (long long)json_integer_value(v));
		break;
	case JSON_REAL:
		fprintf(f, "%g", json_real_value(v));
		break;
	case JSON_TRUE:
		fputs("yes", f);
		break;
	case JSON_FALSE:
		fputs("no", f);
		break;
	case JSON_OBJECT:
		put_why(f, v, block);
		break;
	case JSON_ARRAY:
	case JSON_NULL:
		fputc('-', f);
		break;
	}
}

/* As a string; the caller frees. */
static char *
value_string(const json_t *v)
{
	char	*s;
	size_t	 len;
	FILE	*f;

	if ((f = open_memstream(&s, &len)) == NULL)
		abort();
	put_value(f, v, false);
	fclose(f);
	return s;
}

/* Columns on a terminal: characters, not bytes. */
static size_t
width(const char *s)
{
	size_t	n = 0;

	for (; *s != '\0'; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

/* ---- shapes ------------------------------------------------------------ */

static void
print_block(FILE *f, const struct layout *l, const json_t *row)
{
	const struct column	*c;
	const json_t		*v;

	for (c = l->columns; c < l->columns + COLUMNS && c->member; c++) {
		v = lookup(row, c->member);
		if (v == NULL || json_is_null(v))
			continue;
		fprintf(f, "%-16s", c->head);
		put_value(f, v, true);
		fputc('\n', f);
	}
}

/* The last column is not padded: it may be long. */
static void
print_cells(FILE *f, char *const *cells, const size_t *widths, size_t n)
{
	size_t	i, pad;

	for (i = 0; i < n; i++) {
		fputs(cells[i], f);
		pad = widths[i] + 2 - width(cells[i]);
		while (i + 1 < n && pad-- > 0)
			fputc(' ', f);
	}
	fputc('\n', f);
}

static void
print_table(FILE *f, const struct layout *l, const json_t *list)
{
	size_t	 widths[COLUMNS] = { 0 }, n, i, r, rows = json_array_size(list);
	char	**cells, *heads[COLUMNS];

	for (n = 0; n < COLUMNS && l->columns[n].member != NULL; n++)
		if ((heads[n] = strdup(l->columns[n].head)) == NULL)
			abort();
	if ((cells = calloc(rows * n + 1, sizeof(*cells))) == NULL)
		abort();
	for (r = 0; r < rows; r++)
		for (i = 0; i < n; i++) {
			cells[r * n + i] = value_string(lookup(
			    json_array_get(list, r), l->columns[i].member));
			if (width(cells[r * n + i]) > widths[i])
				widths[i] = width(cells[r * n + i]);
		}
	for (i = 0; i < n; i++)
		if (width(heads[i]) > widths[i])
			widths[i] = width(heads[i]);
	print_cells(f, heads, widths, n);
	for (r = 0; r < rows; r++)
		print_cells(f, cells + r * n, widths, n);
	for (i = 0; i < rows * n; i++)
		free(cells[i]);
	for (i = 0; i < n; i++)
		free(heads[i]);
	free(cells);
}

/* A member that is null leaves nothing, and no blank at the end. */
static void
print_line(FILE *out, const char *format, const json_t *row)
{
	const json_t	*v;
	const char	*end;
	char		*line, name[32];
	size_t		 len;
	FILE		*f;

	if ((f = open_memstream(&line, &len)) == NULL)
		abort();
	for (; *format != '\0'; format++) {
		if (*format != '{' || (end = strchr(format, '}')) == NULL) {
			fputc(*format, f);
			continue;
		}
		snprintf(name, sizeof(name), "%.*s", (int)(end - format - 1),
		    format + 1);
		v = lookup(row, name);
		if (v != NULL && !json_is_null(v))
			put_value(f, v, false);
		format = end;
	}
	fclose(f);
	while (len > 0 && line[len - 1] == ' ')
		len--;
	fprintf(out, "%.*s\n", (int)len, line);
	free(line);
}

static void
flush_table(struct printer *p)
{
	if (p->list == NULL)
		return;
	if (p->blocks++ > 0)
		fputc('\n', p->out);
	print_table(p->out, layout_find(p, json_array_get(p->list, 0)),
	    p->list);
	json_decref(p->list);
	p->list = NULL;
}

void
row_begin(struct printer *p, FILE *out, bool json, bool stream, bool detail)
{
	memset(p, 0, sizeof(*p));
	p->out = out;
	p->json = json;
	p->stream = stream;
	p->detail = detail;
}

void
row_print(struct printer *p, const json_t *row)
{
	const struct layout	*l = layout_find(p, row);

	if (p->list != NULL && layout_find(p, json_array_get(p->list, 0)) !=
	    l) {
		if (p->group && l != NULL) {
			json_array_append_new(p->others, json_deep_copy(row));
			return;
		}
		flush_table(p);
	}
	if (p->list != NULL && json_array_size(p->list) == ROWS_MAX)
		flush_table(p);
	if (p->json || l == NULL) {
		/* a row of a newer policyd is better than none */
		json_dumpf(row, p->out, JSON_COMPACT | JSON_ENSURE_ASCII);
		fputc('\n', p->out);
	} else if (p->stream && l->line != NULL)
		print_line(p->out, l->line, row);
	else if (l->shape != TABLE) {
		if (p->blocks++ > 0)
			fputc('\n', p->out);
		print_block(p->out, l, row);
	} else {
		if (p->list == NULL && (p->list = json_array()) == NULL)
			abort();
		json_array_append_new(p->list, json_deep_copy(row));
	}
	if (p->stream || p->json)
		fflush(p->out);
}

/* With group: a table of each kind, in the order in which they came up. */
void
row_end(struct printer *p)
{
	json_t	*later;
	size_t	 i;

	flush_table(p);
	while (p->others != NULL && json_array_size(p->others) > 0) {
		later = p->others;
		if ((p->others = json_array()) == NULL)
			abort();
		for (i = 0; i < json_array_size(later); i++)
			row_print(p, json_array_get(later, i));
		json_decref(later);
		flush_table(p);
	}
	json_decref(p->others);
	p->others = NULL;
	fflush(p->out);
}

json_t *
row_why(enum reason r, const char *field, const char *expected,
    const char *seen)
{
	json_t	*w;

#define OR_NULL(s)	((s) != NULL && (s)[0] != '\0' ? (s) : NULL)
	w = json_pack("{s:s, s:s, s:s, s:s?, s:s?, s:s?}",
	    "code", reason_code(r), "text", reason_text(r),
	    "remedy", reason_remedy(r), "field", OR_NULL(field),
	    "expected", OR_NULL(expected), "seen", OR_NULL(seen));
	if (w == NULL)
		abort();
	return w;
}
