/*
 * Policy: who may be trusted, and what is compared. policy_judge() is the
 * verdict: a pure function of policy, listing, evidence and time.
 */
#include <openssl/sha.h>

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "hex.h"
#include "peer.h"

#define REFERENCE_FILE_MAX	((size_t)256 * 1024)	/* bytes */
#define SHIFT_INWARD		3600		/* seconds */
#define YEAR_10000		253402300800ULL
#define CLOCK_SKEW		300	/* s: a chain may be issued just now */

struct policy policy;

/* Reference files by their paths, read before confinement. */
struct ref_file {
	struct ref_file	*next;
	const char	*path;
	struct measures	 measures;
};
static struct ref_file *files;

/* '*' and '?' only, case ignored: a serial number is no path. */
bool
policy_glob(const char *pat, const char *s)
{
	const char	*star = NULL, *back = NULL;

	while (*s != '\0') {
		if (*pat == '*') {
			star = pat++;
			back = s;
		} else if (*pat == '?' || tolower((unsigned char)*pat) ==
		    tolower((unsigned char)*s)) {
			pat++;
			s++;
		} else if (star != NULL) {
			pat = star + 1;
			s = ++back;
		} else
			return false;
	}
	while (*pat == '*')
		pat++;
	return *pat == '\0';
}

bool
policy_has_rule(const struct policy *p)
{
	size_t	i;

	for (i = 0; i < p->naccepts; i++)
		if (p->accepts[i].serial != NULL)
			return true;
	return false;
}

bool
policy_lists(const struct policy *p, const char *identity, const char *serial)
{
	return *identity != '\0' || *serial != '\0' || policy_has_rule(p);
}

/* What tells of the way to the peer, and not of the peer. */
bool
policy_transient(enum reason r)
{
	static const enum reason transient[] = {
		R_ATT_CLOSED, R_ATT_TIMEOUT, R_ATT_BUSY, R_ATT_NOT_READY,
		R_ATT_ERROR, R_ATT_DIGEST, R_ATT_NO_ANCHOR, R_ATT_CHANGED,
		R_ATT_JOB_LIMIT, R_ATT_JOB_UNKNOWN,
		R_ATT_JOB_EXISTS, R_ATT_CODE_UNKNOWN, R_ATT_SIGN,
		R_POL_NO_ADDRESS, R_POL_TIMEOUT
	};
	const char	*code = reason_code(r);
	size_t		 i;

	if (strncmp(code, "NET-", 4) == 0 || strncmp(code, "IPC-", 4) == 0 ||
	    strncmp(code, "SYS-", 4) == 0)
		return true;
	for (i = 0; i < sizeof(transient) / sizeof(transient[0]); i++)
		if (transient[i] == r)
			return true;
	return false;
}

bool
policy_doubtful(enum reason r)
{
	static const enum reason doubtful[] = {
		R_TLS_EXPIRED, R_TLS_NOT_YET_VALID, R_TLS_WRONG_ANCHOR,
		R_TLS_UNKNOWN_PEER, R_TLS_REFUSED_US, R_TLS_BAD_ANCHOR
	};
	size_t	i;

	for (i = 0; i < sizeof(doubtful) / sizeof(doubtful[0]); i++)
		if (doubtful[i] == r)
			return true;
	return false;
}

int64_t
policy_shift(uint64_t before, uint64_t after, uint64_t now)
{
	uint64_t	in = SHIFT_INWARD;

	if (now >= before && now <= after)
		return 0;
	if (before > INT64_MAX / 2 || after < before)
		return 0;
	if (after - before < 2 * in)
		in = (after - before) / 2;
	if (now < before)
		return (int64_t)(before + in) - (int64_t)now;
	return (int64_t)(after - in) - (int64_t)now;
}

/* ---- the verdict -------------------------------------------------------- */

static enum reason
judge_form(const struct policy *pol, const struct evidence *ev,
    unsigned need, struct why *why)
{
	/* Bits of 'spdm versions' from 1.1 on. */
	static const unsigned	 bits[] = { 1u << 2, 1u << 0, 1u << 1 };
	char			 seen[32];
	unsigned		 i;

	for (i = 0; i < BIT_N; i++)
		if (need & 1u << i && !(ev->have & 1u << i))
			return why_set(why, R_POL_INCOMPLETE, "evidence",
			    fsm_bit_name((enum peer_bit)i), "nothing");
	if (ev->version < 0x11 || ev->version > 0x13 ||
	    !(pol->versions & bits[ev->version - 0x11])) {
		snprintf(seen, sizeof(seen), "%u.%u", ev->version >> 4,
		    ev->version & 15);
		return why_set(why, R_POL_VERSION, "version",
		    "an allowed SPDM version", seen);
	}
	if (!(pol->algorithms & 1u << ev->algorithm))
		return why_set(why, R_POL_ALGORITHM, "algorithm",
		    "an allowed algorithm",
		    ev->algorithm == KEY_P256 ? "P-256" : "P-384");
	return R_OK;
}

static bool
serial_matches(const char *listed, const struct evidence *ev)
{
	return (*ev->serial != '\0' && strcasecmp(listed, ev->serial) == 0) ||
	    (*ev->device != '\0' && strcasecmp(listed, ev->device) == 0);
}

/* Accepted root, and the rule of that root that takes this serial number. */
static bool
root_accepts(const struct policy *pol, const struct evidence *ev, bool *rule)
{
	const struct policy_accept	*a;
	bool				 found = false;
	size_t				 i;

	*rule = false;
	for (i = 0; i < pol->naccepts; i++) {
		a = &pol->accepts[i];
		if (memcmp(a->root, ev->root, HASH_LEN) != 0)
			continue;
		found = true;
		if (a->serial != NULL &&
		    ((*ev->serial && policy_glob(a->serial, ev->serial)) ||
		    (*ev->device && policy_glob(a->serial, ev->device))))
			*rule = true;
	}
	return found;
}

/* By its id alone: not us, not revoked, not another's, the listed one. */
static enum reason
judge_known(const struct listing *l, const struct evidence *ev,
    struct why *why)
{
	char	want[161];

	if (*l->own != '\0' && strcmp(ev->node, l->own) == 0)
		return why_set(why, R_POL_SELF, "identity", "another node",
		    ev->node);
	if (l->revoked != NULL) {
		snprintf(want, sizeof(want), "not revoked, as %s was",
		    l->revoked);
		return why_set(why, R_POL_REVOKED, "identity", want, ev->node);
	}
	if (l->other != NULL)
		return why_set(why, R_POL_DUPLICATE, "identity", ev->node,
		    l->other);
	if (*l->identity != '\0' && strcasecmp(l->identity, ev->node) != 0)
		return why_set(why, R_POL_IDENTITY, "identity", l->identity,
		    ev->node);
	return R_OK;
}

static enum reason
judge_identity(const struct policy *pol, const struct listing *l,
    const struct evidence *ev, struct why *why)
{
	char	seen[161];
	bool	rule;

	if (!root_accepts(pol, ev, &rule)) {
		hex(ev->root, HASH_LEN, seen);
		return why_set(why, R_POL_ROOT, "root", "an accepted root",
		    seen);
	}
	if (judge_known(l, ev, why) != R_OK)
		return why->reason;
	if (*l->serial != '\0' && !serial_matches(l->serial, ev))
		return why_set(why, R_POL_SERIAL, "serial", l->serial,
		    *ev->device != '\0' ? ev->device : ev->serial);
	/* Two operators who typed the same code have said who it is. */
	if (*l->identity == '\0' && *l->serial == '\0' && !rule && !ev->code)
		return why_set(why, R_POL_NOT_LISTED, "identity",
		    "a listed identity", ev->node);
	return R_OK;
}

static enum reason
judge_measures(const struct listing *l, const struct evidence *ev,
    struct why *why)
{
	const struct measurement	*m, *r;
	char				 field[64], want[161], seen[161];
	unsigned			 i;

	if (l->reference == NULL)
		return R_OK;
	for (i = 0; i < ev->measures.n; i++) {
		m = &ev->measures.m[i];
		snprintf(field, sizeof(field), "measurement %u (%s)", m->index,
		    measurement_kind(m->type));
		hex(m->digest, m->dlen, seen);
		switch (measurement_judge(m, l->reference)) {
		case J_UNJUDGED:
		case J_EQUAL:
		case J_IGNORED:
			break;
		case J_UNLISTED:
			return why_set(why, R_POL_UNLISTED, field, "nothing",
			    seen);
		case J_DIFFERS:
			r = measures_find(l->reference, m->index);
			hex(r->digest, r->dlen, want);
			return why_set(why, l->source == REF_BASELINE ?
			    R_POL_CHANGED : R_POL_MEASUREMENT, field, want,
			    seen);
		}
	}
	for (i = 0; i < l->reference->n; i++) {
		r = &l->reference->m[i];
		if (measures_ignored(l->reference, r->index) ||
		    measurement_boot(r) ||
		    measures_find(&ev->measures, r->index) != NULL)
			continue;
		snprintf(field, sizeof(field), "measurement %u", r->index);
		hex(r->digest, r->dlen, want);
		return why_set(why, R_POL_MISSING, field, want, "nothing");
	}
	return R_OK;
}

/* RFC 3339, which ends with the year 9999; so do certificates. */
const char *
time_text(uint64_t t, char *buf, size_t size)
{
	struct tm	tm;
	time_t		tt = (time_t)t;

	if (t >= YEAR_10000 || gmtime_r(&tt, &tm) == NULL)
		snprintf(buf, size, "never");
	else
		strftime(buf, size, "%Y-%m-%dT%H:%M:%SZ", &tm);
	return buf;
}

static enum reason
judge_window(const struct listing *l, const struct evidence *ev, uint64_t now,
    struct why *why)
{
	char	want[161], from[32], to[32], seen[32];

	/* Without a clock, now is only the earliest that it can be. */
	if ((!l->unset && now + CLOCK_SKEW < ev->not_before) ||
	    now > ev->not_after) {
		snprintf(want, sizeof(want), "%s to %s",
		    time_text(ev->not_before, from, sizeof(from)),
		    time_text(ev->not_after, to, sizeof(to)));
		time_text(now, seen, sizeof(seen));
		return why_set(why, R_POL_WINDOW, "validity", want, seen);
	}
	return R_OK;
}

enum reason
policy_judge(const struct policy *pol, const struct listing *l,
    const struct evidence *ev, uint64_t now, struct why *why,
    enum reason *warning)
{
	memset(why, 0, sizeof(*why));
	*warning = R_OK;
	if (judge_form(pol, ev, HAVE_IDENTITY | HAVE_ANCHOR | HAVE_MEASURED |
	    HAVE_FRESH, why) != R_OK ||
	    judge_identity(pol, l, ev, why) != R_OK ||
	    judge_window(l, ev, now, why) != R_OK ||
	    judge_measures(l, ev, why) != R_OK)
		return why->reason;
	if (l->source == REF_NONE || l->source == REF_BASELINE)
		*warning = R_POL_NO_REFERENCE;
	return R_OK;
}

/*
 * A component has no anchor and, as it is not trusted with anything, no
 * reference values; a root of its own takes the place of the accepted ones.
 */
enum reason
policy_judge_component(const struct policy *pol, const struct listing *l,
    const uint8_t *root, const struct evidence *ev, uint64_t now,
    struct why *why)
{
	char	want[161], seen[161];
	bool	rule;

	memset(why, 0, sizeof(*why));
	if (judge_form(pol, ev, HAVE_IDENTITY | HAVE_MEASURED | HAVE_FRESH,
	    why) != R_OK)
		return why->reason;
	hex(ev->root, HASH_LEN, seen);
	if (root != NULL && memcmp(root, ev->root, HASH_LEN) != 0) {
		hex(root, HASH_LEN, want);
		return why_set(why, R_POL_ROOT, "root", want, seen);
	}
	if (root == NULL && !root_accepts(pol, ev, &rule))
		return why_set(why, R_POL_ROOT, "root", "an accepted root",
		    seen);
	if (judge_known(l, ev, why) != R_OK)
		return why->reason;
	if (*l->serial != '\0' && !(*ev->serial != '\0' &&
	    policy_glob(l->serial, ev->serial)) && !(*ev->device != '\0' &&
	    policy_glob(l->serial, ev->device)))
		return why_set(why, R_POL_SERIAL, "serial", l->serial,
		    *ev->device != '\0' ? ev->device : ev->serial);
	if (*l->identity == '\0' && *l->serial == '\0')
		return why_set(why, R_POL_NOT_LISTED, "identity",
		    "a listed identity", ev->node);
	return judge_window(l, ev, now, why);
}

/* ---- reference files ---------------------------------------------------- */

static int
unhex(const char *s, uint8_t *out, size_t size)
{
	size_t	n = strlen(s), i;
	char	two[3] = { 0 };

	if (n == 0 || n % 2 != 0 || n / 2 > size ||
	    strspn(s, "0123456789abcdefABCDEF") != n)
		return -1;
	for (i = 0; i < n / 2; i++) {
		memcpy(two, s + 2 * i, 2);
		out[i] = (uint8_t)strtoul(two, NULL, 16);
	}
	return (int)(n / 2);
}

static const char *
parse_one(json_t *o, struct measures *l)
{
	static const char *const known[] = { "index", "type", "digest",
	    "value", "comment" };
	struct measurement	*m;
	uint8_t			 raw[1024];
	const char		*key;
	json_t			*v, *index = json_object_get(o, "index");
	json_t			*digest = json_object_get(o, "digest");
	json_t			*value = json_object_get(o, "value");
	size_t			 i;
	int			 n;

	json_object_foreach(o, key, v) {
		for (i = 0; i < 5 && strcmp(key, known[i]) != 0; i++)
			;
		if (i == 5)
			return "an unknown member in a measurement";
	}
	if (!json_is_integer(index) || json_integer_value(index) < 1 ||
	    json_integer_value(index) > 254)
		return "'index' is not a number from 1 to 254";
	if ((digest == NULL) == (value == NULL))
		return "give either 'digest' or 'value'";
	if ((m = measures_add(l, (unsigned)json_integer_value(index))) == NULL)
		return "an index occurs twice";
	m->type = MEASURE_ANY_TYPE;
	if ((v = json_object_get(o, "type")) != NULL) {
		if (!json_is_integer(v) || json_integer_value(v) < 0 ||
		    json_integer_value(v) > 127)
			return "'type' is not a number from 0 to 127";
		m->type = (uint8_t)json_integer_value(v);
	}
	if (digest != NULL) {
		if (!json_is_string(digest) ||
		    (n = unhex(json_string_value(digest), m->digest,
		    sizeof(m->digest))) < HASH_LEN)
			return "'digest' is not hex of 32 to 64 bytes";
		m->dlen = (uint8_t)n;
		return NULL;
	}
	if (!json_is_string(value) ||
	    (n = unhex(json_string_value(value), raw, sizeof(raw))) == -1)
		return "'value' is not hex of 1 to 1024 bytes";
	m->raw = true;
	m->size = (uint16_t)n;
	SHA256(raw, (size_t)n, m->digest);
	m->dlen = HASH_LEN;
	if ((size_t)n <= sizeof(m->value)) {
		memcpy(m->value, raw, (size_t)n);
		m->vlen = (uint8_t)n;
	}
	return NULL;
}

static const char *
parse_root(json_t *root, struct measures *l)
{
	json_t		*list = json_object_get(root, "measurements");
	json_t		*ignore = json_object_get(root, "ignore"), *v;
	const char	*bad, *key;
	size_t		 i;

	if (!json_is_object(root))
		return "the file is not one object";
	json_object_foreach(root, key, v) {
		if (strcmp(key, "measurements") != 0 &&
		    strcmp(key, "ignore") != 0 && strcmp(key, "comment") != 0)
			return "an unknown member";
	}
	if (!json_is_array(list))
		return "'measurements' is not a list";
	json_array_foreach(list, i, v) {
		if (!json_is_object(v))
			return "a measurement is not an object";
		if ((bad = parse_one(v, l)) != NULL)
			return bad;
	}
	if (ignore == NULL)
		return NULL;
	if (!json_is_array(ignore))
		return "'ignore' is not a list";
	json_array_foreach(ignore, i, v) {
		if (!json_is_integer(v) || json_integer_value(v) < 1 ||
		    json_integer_value(v) > 254)
			return "'ignore' holds something else than an index";
		measures_ignore(l, (unsigned)json_integer_value(v));
	}
	return NULL;
}

int
policy_parse_reference(const char *text, size_t len, struct measures *l,
    char *err, size_t errsize)
{
	json_error_t	 e;
	json_t		*root;
	const char	*bad;

	memset(l, 0, sizeof(*l));
	root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &e);
	if (root == NULL) {
		snprintf(err, errsize, "%d: %s", e.line, e.text);
		return -1;
	}
	if ((bad = parse_root(root, l)) != NULL) {
		snprintf(err, errsize, "%s", bad);
		measures_clear(l);
	}
	json_decref(root);
	return bad == NULL ? 0 : -1;
}

const struct measures *
policy_file(const char *path)
{
	struct ref_file	*f;

	if (path == NULL)
		return NULL;
	for (f = files; f != NULL; f = f->next)
		if (strcmp(f->path, path) == 0)
			return &f->measures;
	return NULL;
}

static void
read_file(const char *path)
{
	struct ref_file	*f;
	FILE		*fp;
	char		*text, err[200];
	size_t		 n;

	if (path == NULL || policy_file(path) != NULL)
		return;
	if ((f = calloc(1, sizeof(*f))) == NULL ||
	    (text = malloc(REFERENCE_FILE_MAX)) == NULL)
		fatal("reference values");
	if ((fp = fopen(path, "re")) == NULL)
		fatal("%s", path);
	n = fread(text, 1, REFERENCE_FILE_MAX, fp);
	if (ferror(fp))
		fatal("%s", path);
	if (n == REFERENCE_FILE_MAX)
		fatalx("%s: too large for reference values", path);
	fclose(fp);
	if (policy_parse_reference(text, n, &f->measures, err,
	    sizeof(err)) == -1)
		fatalx("%s:%s", path, err);
	free(text);
	f->path = path;
	f->next = files;
	files = f;
}

void
policy_read(const struct conf *c)
{
	const struct conf_accept *a;
	const struct conf_peer	 *p;
	const struct root	 *r;
	size_t			  n = 0;

	json_object_seed(0);	/* reads /dev/urandom, which is gone later */
	for (a = c->accepts; a != NULL; a = a->next)
		n++;
	if (n > 0 &&
	    (policy.accepts = calloc(n, sizeof(*policy.accepts))) == NULL)
		fatal("policy");
	for (a = c->accepts; a != NULL; a = a->next) {
		for (r = settings_roots(); r != NULL; r = r->next)
			if (strcmp(r->path, a->root) == 0)
				break;
		if (r == NULL)
			fatalx("%s: was not read", a->root);
		memcpy(policy.accepts[policy.naccepts].root, r->hash, HASH_LEN);
		policy.accepts[policy.naccepts++].serial = a->serial;
	}
	policy.versions = c->versions;
	policy.algorithms = c->algorithms;
	read_file(c->reference);
	for (p = c->peers; p != NULL; p = p->next)
		read_file(p->reference);
}
