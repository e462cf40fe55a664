/*
 * The JSON door: one flat object with known members asks, one object answers
 * (provd-enrol(7)). jansson parses; how deep an object may be nested is
 * looked at before, since jansson recurses.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "hex.h"
#include "wire.h"

#define DEPTH_MAX	4
#define N(a)		(sizeof(a) / sizeof((a)[0]))

/* ---- operations ------------------------------------------------------------ */

#define WANTS_CSR	0x01
#define TAKES_TICKET	0x02
#define TAKES_PROFILE	0x04
#define TAKES_SERIAL	0x08
#define TAKES_REASON	0x10

static const struct {
	const char	*name;
	unsigned	 members;
} operations[JSON_NOPERATIONS] = {
	[JSON_REQUEST] = { "req_client_cert",
	    WANTS_CSR | TAKES_TICKET | TAKES_PROFILE },
	[JSON_RENEW] = { "renew_client_cert", WANTS_CSR | TAKES_PROFILE },
	[JSON_REVOKE] = { "revoke_client_cert", TAKES_SERIAL | TAKES_REASON },
	[JSON_CHAIN] = { "get_ca_chain", 0 },
	[JSON_CRL] = { "get_crl", 0 },
	[JSON_STATUS] = { "status", TAKES_SERIAL },
};

const char *
json_name(enum json_operation op)
{
	return operations[op].name;
}

static enum json_operation
operation_find(const char *name)
{
	enum json_operation op;

	for (op = 0; op < JSON_NOPERATIONS; op++)
		if (strcmp(operations[op].name, name) == 0)
			break;
	return op;
}

int
json_path(const char *path, enum json_operation *op)
{
	*op = JSON_NOPERATIONS;
	if (strcmp(path, "/") == 0)
		return 0;
	*op = operation_find(path + 1);
	return *op == JSON_NOPERATIONS ? -1 : 0;
}

/* ---- members --------------------------------------------------------------- */

static int
refuse(struct refusal *why, enum reason reason, const char *field,
    const char *expected, const char *seen)
{
	refusal_set(why, reason, field, expected, seen);
	return -1;
}

static int
take_operation(struct json_request *r, const char *s, size_t len,
    struct refusal *why)
{
	enum json_operation	op = operation_find(s);
	char			seen[65];

	refusal_text(seen, sizeof(seen), s, len);
	if (op == JSON_NOPERATIONS)
		return refuse(why, R_ENR_OPERATION, "operation",
		    "one that is known", seen);
	if (r->op != JSON_NOPERATIONS && r->op != op)
		return refuse(why, R_ENR_OPERATION, "operation",
		    operations[r->op].name, seen);
	r->op = op;
	return 0;
}

static int
take_csr(struct json_request *r, const char *s, size_t len,
    struct refusal *why)
{
	return base64_csr(s, len, r->csr, sizeof(r->csr), &r->csr_len, why);
}

static int
take_ticket(struct json_request *r, const char *s, size_t len,
    struct refusal *why)
{
	if (ticket_parse(s, len, r->ticket) == -1)
		return refuse(why, R_ENR_FIELD, "ticket", "32 hex digits",
		    "something else");
	r->has_ticket = true;
	return 0;
}

static int
take_profile(struct json_request *r, const char *s, size_t len,
    struct refusal *why)
{
	char seen[65];

	refusal_text(seen, sizeof(seen), s, len);
	if (len == 0 || len >= sizeof(r->profile))
		return refuse(why, R_ENR_FIELD, "profile",
		    "1 to 32 characters", seen);
	memcpy(r->profile, s, len + 1);
	return 0;
}

/* Hex digits as openssl writes them, or with a colon between the octets. */
static int
take_serial(struct json_request *r, const char *s, size_t len,
    struct refusal *why)
{
	uint8_t	out[20];
	size_t	i, n = 0, zeros = 0;
	int	high, low;
	char	seen[65];

	refusal_text(seen, sizeof(seen), s, len);
	for (i = 0; i + 1 < len && n < sizeof(out); i += 2) {
		if (s[i] == ':' && n > 0)
			i++;
		if (i + 1 >= len || (high = hex_digit(s[i])) == -1 ||
		    (low = hex_digit(s[i + 1])) == -1)
			break;
		out[n++] = (uint8_t)(high << 4 | low);
	}
	while (zeros < n && out[zeros] == 0)
		zeros++;
	if (i != len || n == zeros)
		return refuse(why, R_ENR_FIELD, "serial",
		    "2 to 40 hex digits", seen);
	r->serial_len = n - zeros;
	memcpy(r->serial, out + zeros, r->serial_len);
	return 0;
}

/* RFC 5280, 5.3.1, and which of them somebody may ask for. */
static const struct {
	const char	*name;
	bool		 asked;
} reasons[CRL_NREASONS] = {
	[CRL_UNSPECIFIED] = { "unspecified", true },
	[CRL_KEY_COMPROMISE] = { "keyCompromise", true },
	[CRL_CA_COMPROMISE] = { "cACompromise", false },
	[CRL_AFFILIATION_CHANGED] = { "affiliationChanged", true },
	[CRL_SUPERSEDED] = { "superseded", true },
	[CRL_CESSATION] = { "cessationOfOperation", true },
	[CRL_HOLD] = { "certificateHold", false },
	[CRL_REMOVE] = { "removeFromCRL", false },
	[CRL_PRIVILEGE_WITHDRAWN] = { "privilegeWithdrawn", true },
	[CRL_AA_COMPROMISE] = { "aACompromise", false },
};

const char *
json_reason(enum crl_reason reason)
{
	return reason < CRL_NREASONS ? reasons[reason].name : NULL;
}

static int
take_reason(struct json_request *r, const char *s, size_t len,
    struct refusal *why)
{
	enum crl_reason	i;
	char		seen[65];

	for (i = 0; i < CRL_NREASONS; i++)
		if (reasons[i].asked && strcmp(reasons[i].name, s) == 0) {
			r->reason = i;
			return 0;
		}
	refusal_text(seen, sizeof(seen), s, len);
	return refuse(why, R_ENR_FIELD, "reason",
	    "a reason of RFC 5280, 5.3.1, as keyCompromise", seen);
}

static const struct {
	const char	*name;
	unsigned	 member;	/* 0: of every operation */
	int		(*take)(struct json_request *, const char *, size_t,
			    struct refusal *);
} members[] = {
	{ "operation",	0,		take_operation },
	{ "csr",	WANTS_CSR,	take_csr },
	{ "ticket",	TAKES_TICKET,	take_ticket },
	{ "profile",	TAKES_PROFILE,	take_profile },
	{ "serial",	TAKES_SERIAL,	take_serial },
	{ "reason",	TAKES_REASON,	take_reason },
};

static int
take(struct json_request *r, const char *name, const json_t *value,
    unsigned *have, struct refusal *why)
{
	size_t	i;
	char	seen[65];

	refusal_text(seen, sizeof(seen), name, strlen(name));
	for (i = 0; i < N(members); i++)
		if (strcmp(members[i].name, name) == 0)
			break;
	if (i == N(members))
		return refuse(why, R_ENR_FIELD, seen,
		    "operation, csr, ticket, profile, serial or reason",
		    "another");
	if (!json_is_string(value))
		return refuse(why, R_ENR_FIELD, seen, "a string",
		    "another type");
	*have |= members[i].member;
	return members[i].take(r, json_string_value(value),
	    json_string_length(value), why);
}

/* What the operation has, takes and must have. */
static int
check(const struct json_request *r, unsigned have, struct refusal *why)
{
	size_t		i;
	unsigned	takes;

	if (r->op == JSON_NOPERATIONS)
		return refuse(why, R_ENR_FIELD, "operation", "a string",
		    "none");
	takes = operations[r->op].members;
	for (i = 0; i < N(members); i++)
		if (have & members[i].member & ~takes)
			return refuse(why, R_ENR_FIELD, members[i].name,
			    "none in this operation", "one");
	if (takes & WANTS_CSR && !(have & WANTS_CSR))
		return refuse(why, R_ENR_FIELD, "csr",
		    "a certificate request in base64", "none");
	return 0;
}

/* ---- parsing ---------------------------------------------------------------- */

/* Brackets outside of strings: whether they match is jansson's. */
static bool
too_deep(const uint8_t *p, size_t len)
{
	unsigned	depth = 0;
	bool		string = false;
	size_t		i;

	for (i = 0; i < len; i++) {
		if (string) {
			if (p[i] == '\\')
				i++;
			else if (p[i] == '"')
				string = false;
		} else if (p[i] == '"')
			string = true;
		else if (p[i] == '{' || p[i] == '[') {
			if (++depth > DEPTH_MAX)
				return true;
		} else if ((p[i] == '}' || p[i] == ']') && depth > 0)
			depth--;
	}
	return false;
}

static json_t *
load(const uint8_t *p, size_t len, struct refusal *why)
{
	json_error_t	 e;
	json_t		*o;
	char		 place[65];

	if (too_deep(p, len)) {
		refuse(why, R_ENR_JSON_DEEP, "body", "a flat object", NULL);
		return NULL;
	}
	o = json_loadb((const char *)p, len, JSON_REJECT_DUPLICATES, &e);
	if (o != NULL && json_is_object(o))
		return o;
	if (o != NULL)
		refuse(why, R_ENR_JSON, "body", "an object", "another type");
	else if (json_error_code(&e) == json_error_duplicate_key)
		refuse(why, R_ENR_JSON_DUPLICATE, "body", "each member once",
		    NULL);
	else {
		/* Not jansson's text: it cites what may be a ticket. */
		snprintf(place, sizeof(place), "an error at byte %d",
		    e.position);
		refuse(why, R_ENR_JSON, "body", "strict JSON in UTF-8", place);
	}
	json_decref(o);
	return NULL;
}

static int
take_all(struct json_request *r, json_t *o, struct refusal *why)
{
	const char	*name;
	json_t		*value;
	unsigned	 have = 0;

	json_object_foreach(o, name, value)
		if (take(r, name, value, &have, why) == -1)
			return -1;
	return check(r, have, why);
}

int
json_parse(enum json_operation op, const uint8_t *p, size_t len,
    struct json_request *r, struct refusal *why)
{
	json_t	*o;
	int	 e;

	r->op = op;
	r->csr_len = r->serial_len = 0;
	r->has_ticket = false;
	r->profile[0] = '\0';
	r->reason = CRL_UNSPECIFIED;
	if (len == 0 && op != JSON_NOPERATIONS)
		return check(r, 0, why);
	if ((o = load(p, len, why)) == NULL)
		return -1;
	e = take_all(r, o, why);
	json_decref(o);
	return e;
}

/* Wiped where jansson frees it: a string of it may have been a ticket. */
static void *
memory(size_t n)
{
	size_t *p = malloc(sizeof(max_align_t) + n);

	if (p == NULL)
		return NULL;
	*p = n;
	return (char *)p + sizeof(max_align_t);
}

static void
wipe(void *q)
{
	size_t *p;

	if (q == NULL)
		return;
	p = (size_t *)(void *)((char *)q - sizeof(max_align_t));
	explicit_bzero(q, *p);
	free(p);
}

void
json_warm(void)
{
	json_t *o;

	json_set_alloc_funcs(memory, wipe);
	json_object_seed(0);
	o = json_loads("{\"a\":\"b\"}", JSON_REJECT_DUPLICATES, NULL);
	json_decref(o);
}

/* ---- answers ---------------------------------------------------------------- */

static char *
dump(json_t *o, size_t *len)
{
	char	*text = NULL;
	size_t	 n;

	if (o == NULL)
		return NULL;
	n = json_dumpb(o, NULL, 0, JSON_COMPACT);
	if (n > 0 && (text = malloc(n + 2)) != NULL) {
		json_dumpb(o, text, n, JSON_COMPACT);
		text[n] = '\n';
		text[n + 1] = '\0';
		*len = n + 1;
	}
	json_decref(o);
	return text;
}

/*
 * Written here and not by jansson, which looks at each octet of a PEM: all of
 * it is ASCII of ours, so that little needs an escape.
 */
static bool
plain(char c)
{
	return (uint8_t)c >= ' ' && c != '"' && c != '\\';
}

static size_t
quoted_max(const char *s)
{
	size_t n = 2;

	for (; *s != '\0'; s++)
		n += plain(*s) ? 1 : 6;
	return n;
}

static char *
quoted(char *to, const char *s)
{
	static const char	digits[] = "0123456789abcdef";
	size_t			n;

	*to++ = '"';
	for (; *s != '\0'; s++) {
		for (n = 0; s[n] != '\0' && plain(s[n]); n++)
			;
		memcpy(to, s, n);
		to += n;
		if (*(s += n) == '\0')
			break;
		*to++ = '\\';
		if (*s == '\n')
			*to++ = 'n';
		else if (*s == '"' || *s == '\\')
			*to++ = *s;
		else {
			memcpy(to, "u00", 3);
			to[3] = digits[(uint8_t)*s >> 4];
			to[4] = digits[(uint8_t)*s & 15];
			to += 5;
		}
	}
	*to++ = '"';
	return to;
}

static char *
member(char *to, const char *name, const char *value)
{
	to = quoted(to, name);
	*to++ = ':';
	return quoted(to, value);
}

char *
json_answer(enum json_operation op, const struct json_member *m, size_t *len)
{
	const struct json_member	*k;
	size_t				 size = 128;
	char				*text, *p;

	for (k = m; k->name != NULL; k++)
		if (k->value != NULL)
			size += 4 + strlen(k->name) + quoted_max(k->value);
	if ((text = malloc(size)) == NULL)
		return NULL;
	p = text;
	*p++ = '{';
	p = member(p, "status", "ok");
	*p++ = ',';
	p = member(p, "operation", operations[op].name);
	for (k = m; k->name != NULL; k++)
		if (k->value != NULL) {
			*p++ = ',';
			p = member(p, k->name, k->value);
		}
	memcpy(p, "}\n", 3);
	*len = (size_t)(p + 2 - text);
	return text;
}

char *
json_error(const struct refusal *why, size_t *len)
{
	json_t *e = json_pack("{s:s, s:s, s:s}",
	    "code", reason_code(why->reason),
	    "text", reason_text(why->reason),
	    "remedy", reason_remedy(why->reason));

	if (e != NULL && why->field[0] != '\0')
		json_object_set_new(e, "field", json_string(why->field));
	if (e != NULL && why->expected[0] != '\0')
		json_object_set_new(e, "expected", json_string(why->expected));
	if (e != NULL && why->seen[0] != '\0')
		json_object_set_new(e, "seen", json_string(why->seen));
	return dump(e == NULL ? NULL : json_pack("{s:s, s:o}", "status",
	    "error", "error", e), len);
}
