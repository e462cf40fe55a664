/*
 * Devices that an operator listed, what they may be called, and the one-time
 * tickets that let them in for the first time.
 */
#include <sys/random.h>

#include <ctype.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "clock.h"
#include "enrol.h"

/* ---- profiles ---- */

const struct conf_profile *
profile_find(const char *name)
{
	const struct conf_profile	*p;

	for (p = conf->profiles; p != NULL; p = p->next)
		if (strcmp(p->name, name) == 0)
			break;
	return p;
}

const struct conf_profile *
profile_only(void)
{
	return conf->profiles != NULL && conf->profiles->next == NULL ?
	    conf->profiles : NULL;
}

/* A maker's serial number is a list in itself; an open profile has none. */
bool
profile_lists(const struct conf_profile *p)
{
	return !p->open && !(p->makers != NULL && p->names == NAME_SERIAL);
}

/* ---- names ---- */

/*
 * Six octets in hex, with colons, with dashes, or with nothing between them,
 * of one station: neither a group nor all zero (IEEE 802, 8.2).
 */
static int
canonical_mac(const char *s, char *out)
{
	size_t	 len = strlen(s), step = len == 12 ? 2 : 3, i;
	char	 between = ':';
	unsigned any = 0;

	if (len == 17 && s[2] == '-')
		between = '-';
	if (len != 12 && len != 17)
		return -1;
	for (i = 0; i < 6; i++, s += step) {
		if (!isxdigit((unsigned char)s[0]) ||
		    !isxdigit((unsigned char)s[1]) ||
		    (step == 3 && i < 5 && s[2] != between))
			return -1;
		out[3 * i] = (char)tolower((unsigned char)s[0]);
		out[3 * i + 1] = (char)tolower((unsigned char)s[1]);
		out[3 * i + 2] = i < 5 ? ':' : '\0';
		any |= s[0] != '0' || s[1] != '0';
	}
	if (any == 0 || strchr("13579bdf", out[1]) != NULL)
		return -1;
	return 0;
}

/* Is the host name the domain, or below it? */
static bool
within(const char *name, const char *domain)
{
	size_t	n = strlen(name), d = strlen(domain);

	return n >= d && strcasecmp(name + n - d, domain) == 0 &&
	    (n == d || name[n - d - 1] == '.');
}

static bool
permitted(const char *name)
{
	const struct conf_name	*n;

	for (n = conf->ca.permitted; n != NULL; n = n->next)
		if (within(name, n->name + (n->name[0] == '.')))
			return true;
	return conf->ca.permitted == NULL;
}

/* Labels of letters, digits and hyphens (RFC 1123, 2.1); no address. */
static int
canonical_dns(const char *s, char *out)
{
	size_t	i, len = strlen(s), label = 0;
	bool	alpha = false;

	for (i = 0; i < len; i++) {
		out[i] = (char)tolower((unsigned char)s[i]);
		if (s[i] == '.') {
			if (label == 0 || s[i - 1] == '-')
				return -1;
			label = 0;
			alpha = false;
			continue;
		}
		if ((!isalnum((unsigned char)s[i]) && s[i] != '-') ||
		    (label == 0 && s[i] == '-') || ++label > 63)
			return -1;
		alpha = alpha || !isdigit((unsigned char)s[i]);
	}
	out[len] = '\0';
	if (label == 0 || s[len - 1] == '-' || !alpha)
		return -1;
	return permitted(out) ? 0 : -1;
}

/* Are there devices whose SAN is that of a text of twelve hex digits? */
static bool
macs_named(void)
{
	const struct conf_profile	*p;

	for (p = conf->profiles; p != NULL; p = p->next)
		if (p->names == NAME_MAC)
			break;
	return p != NULL;
}

/* Case counts: "unit-1" and "Unit-1" are two. Verifiers take what has a dot
 * for a host name, and hold it against the constraints of the CA. */
static int
canonical_text(const char *s, char *out)
{
	size_t	i;

	if (strlen(s) == 12 && canonical_mac(s, out) == 0 && macs_named())
		return -1;
	for (i = 0; s[i] != '\0'; i++)
		if (!isalnum((unsigned char)s[i]) &&
		    strchr("-_.", s[i]) == NULL)
			return -1;
	memcpy(out, s, i + 1);
	return strchr(s, '.') == NULL || permitted(out) ? 0 : -1;
}

int
name_canonical(enum conf_name_kind kind, const char *s,
    char out[NAME_LEN + 1])
{
	size_t	len = strlen(s);

	out[0] = '\0';
	if (len == 0 || len > NAME_LEN)
		return -1;
	switch (kind) {
	case NAME_MAC:
		return canonical_mac(s, out);
	case NAME_DNS:
		return canonical_dns(s, out);
	case NAME_TEXT:
	case NAME_SERIAL:
		return canonical_text(s, out);
	}
	return -1;
}

enum san_kind
name_san(enum conf_name_kind kind, const char *name, char *out, size_t size)
{
	size_t	at;

	if (kind == NAME_DNS) {
		snprintf(out, size, "%s", name);
		return SAN_DNS;
	}
	at = (size_t)snprintf(out, size, "urn:provd:device:");
	for (; *name != '\0' && at + 1 < size; name++)
		if (kind != NAME_MAC || *name != ':')
			out[at++] = *name;
	out[at] = '\0';
	return SAN_URI;
}

/* ---- devices ---- */

#define COLUMNS								\
	"d.id, d.name, d.profile, d.added,"				\
	" coalesce(t.expires, 0), coalesce(t.used, 0),"			\
	" (SELECT count(*) FROM cert WHERE name = d.name),"		\
	" (SELECT serial FROM cert WHERE name = d.name"			\
	" ORDER BY id DESC LIMIT 1)"
/* with the newest of its tickets */
#define FROM								\
	" FROM device d LEFT JOIN ticket t ON t.hash = (SELECT hash"	\
	" FROM ticket WHERE device = d.id ORDER BY used = 0 DESC,"	\
	" made DESC LIMIT 1)"

static void
device_read(sqlite3_stmt *st, struct device *d)
{
	memset(d, 0, sizeof(*d));
	d->id = sqlite3_column_int64(st, 0);
	store_text(st, 1, d->name, sizeof(d->name));
	store_text(st, 2, d->profile, sizeof(d->profile));
	d->added = (uint64_t)sqlite3_column_int64(st, 3);
	d->expires = (uint64_t)sqlite3_column_int64(st, 4);
	d->used = (uint64_t)sqlite3_column_int64(st, 5);
	d->certificates = sqlite3_column_int64(st, 6);
	store_blob(st, 7, d->last, sizeof(d->last));
}

bool
device_find(const char *name, struct device *d)
{
	static struct store_sql	 get = STORE_SQL("SELECT " COLUMNS FROM
	    " WHERE d.name = ?1");
	sqlite3_stmt		*st = store_stmt(&get);
	bool			 found;

	store_bind(st, "s", name);
	if ((found = store_row(st) == 1))
		device_read(st, d);
	sqlite3_reset(st);
	return found;
}

bool
device_page(char after[NAME_LEN + 1], const char *profile, unsigned max,
    device_fn fn, void *arg)
{
	static struct store_sql	 get = STORE_SQL("SELECT " COLUMNS FROM
	    " WHERE d.name > ?1 AND (?2 = '' OR d.profile = ?2)"
	    " ORDER BY d.name");
	sqlite3_stmt		*st = store_stmt(&get);
	struct device		 d;

	store_bind(st, "ss", after, profile);
	for (; max > 0; max--) {
		if (store_row(st) == 0)
			return false;
		device_read(st, &d);
		memcpy(after, d.name, sizeof(d.name));
		fn(&d, arg);
	}
	sqlite3_reset(st);
	return true;
}

enum reason
device_add(const char *name, const struct conf_profile *p, struct why *why)
{
	static struct store_sql	 put = STORE_SQL("INSERT INTO device (name,"
	    " profile, added) VALUES (?1, ?2, ?3)");
	sqlite3_stmt		*st = store_stmt(&put);
	enum reason		 r;

	store_bind(st, "ssi", name, p->name, (int64_t)clock_trusted());
	r = store_write(st);
	return why_set(why, r, r == R_OK ? NULL : "store", NULL, NULL);
}

enum reason
device_remove(int64_t id)
{
	static struct store_sql	 del = STORE_SQL(
	    "DELETE FROM device WHERE id = ?1");
	sqlite3_stmt		*st = store_stmt(&del);

	store_bind(st, "i", id);
	return store_write(st);
}

/* ---- tickets ---- */

static void
ticket_hash(const uint8_t *ticket, uint8_t hash[HASH_LEN])
{
	if (EVP_Q_digest(NULL, "SHA256", NULL, ticket, TICKET_LEN, hash,
	    NULL) != 1)
		fatalx("device: SHA-256");
}

enum reason
device_ticket(int64_t id, uint64_t expires, uint8_t out[TICKET_LEN])
{
	static struct store_sql	 del = STORE_SQL(
	    "DELETE FROM ticket WHERE device = ?1 AND used = 0");
	static struct store_sql	 put = STORE_SQL("INSERT INTO ticket"
	    " SELECT ?1, id, profile, ?3, ?4, 0 FROM device WHERE id = ?2");
	sqlite3_stmt		*st = store_stmt(&del);
	uint8_t			 hash[HASH_LEN];
	enum reason		 r;

	store_bind(st, "i", id);
	if ((r = store_write(st)) != R_OK)
		return r;
	if (getrandom(out, TICKET_LEN, 0) != TICKET_LEN)
		fatal("getrandom");
	ticket_hash(out, hash);
	st = store_stmt(&put);
	store_bind(st, "biii", hash, sizeof(hash), id,
	    (int64_t)clock_trusted(), (int64_t)expires);
	return store_write(st);
}

bool
ticket_find(const uint8_t *ticket, struct ticket *t)
{
	static struct store_sql	 get = STORE_SQL("SELECT d.name, t.profile,"
	    " t.expires, t.used FROM ticket t JOIN device d"
	    " ON d.id = t.device WHERE t.hash = ?1");
	sqlite3_stmt		*st = store_stmt(&get);
	bool			 found;

	ticket_hash(ticket, t->hash);
	store_bind(st, "b", t->hash, sizeof(t->hash));
	if ((found = store_row(st) == 1)) {
		store_text(st, 0, t->name, sizeof(t->name));
		store_text(st, 1, t->profile, sizeof(t->profile));
		t->expires = (uint64_t)sqlite3_column_int64(st, 2);
		t->used = (uint64_t)sqlite3_column_int64(st, 3);
	}
	sqlite3_reset(st);
	return found;
}

enum reason
ticket_burn(const uint8_t hash[HASH_LEN], uint64_t now)
{
	static struct store_sql	 use = STORE_SQL(
	    "UPDATE ticket SET used = ?2 WHERE hash = ?1");
	sqlite3_stmt		*st = store_stmt(&use);

	store_bind(st, "bi", hash, (size_t)HASH_LEN,
	    now == 0 ? (int64_t)1 : (int64_t)now);
	return store_write(st);
}

/* Not beside the one that an operator gave in its place meanwhile. */
enum reason
ticket_restore(const uint8_t hash[HASH_LEN])
{
	static struct store_sql	 set = STORE_SQL("UPDATE ticket SET used = 0"
	    " WHERE hash = ?1 AND NOT EXISTS (SELECT 1 FROM ticket t"
	    " WHERE t.device = ticket.device AND t.used = 0)");
	sqlite3_stmt		*st = store_stmt(&set);

	store_bind(st, "b", hash, (size_t)HASH_LEN);
	return store_write(st);
}
