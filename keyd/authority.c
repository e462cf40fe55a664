/*
 * The authority of the certificate service, as keyd knows it: its limits from
 * provd.conf, which keyd reads itself; which generation a CA is from the label
 * of its key; and from a file beside that key the name that the CA was given
 * and when its life ends, so that neither changes under what it issues.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "der.h"
#include "keyd.h"
#include "log.h"
#include "store.h"

#define MAGIC		"PROVDCAR"
#define VERSION		1
#define SUFFIX		".ca"

static struct {
	const struct conf	*conf;
	const char		*dir;
	struct ca_record		 records[KEY_MAX];	/* by number of the key */
} authority;

/* What stands before the generation, in labels and names. */
static const struct {
	const char	*label, *name;
} kinds[KEY_NPURPOSES] = {
	[KEY_ROOT] = { "root-", "Root CA" },
	[KEY_ISSUING] = { "issuing-", "Issuing CA" },
	[KEY_OCSP] = { "ocsp-", "OCSP" },
};

/* ---- what is configured ---------------------------------------------- */

const struct conf_ca *
authority_ca(void)
{
	const struct conf	*c = authority.conf;

	if (c == NULL || c->ca.name == NULL || c->ca.name[0] == '\0' ||
	    strlen(c->ca.name) > CA_WORD_MAX)
		return NULL;
	return &c->ca;
}

const struct conf_profile *
authority_profile(const char *name)
{
	const struct conf_profile	*p;

	if (authority_ca() == NULL)
		return NULL;
	for (p = authority.conf->profiles; p != NULL; p = p->next)
		if (strcmp(p->name, name) == 0)
			return p;
	return NULL;
}

/* ---- labels ---------------------------------------------------------- */

static unsigned
generation(enum key_purpose purpose, const char *label)
{
	const char	*prefix = kinds[purpose].label;
	unsigned	 n = 0;
	size_t		 len;

	if (prefix == NULL || strncmp(label, prefix, strlen(prefix)) != 0)
		return 0;
	label += strlen(prefix);
	len = strlen(label);
	if (len == 0 || len > 6 || label[0] == '0' ||
	    strspn(label, "0123456789") != len)
		return 0;
	for (; *label != '\0'; label++)
		n = n * 10 + (unsigned)(*label - '0');
	return n;
}

unsigned
authority_generation(const struct key *k)
{
	return generation(key_purpose(k), key_label(k));
}

void
authority_label(enum key_purpose purpose, unsigned n,
    char out[KEY_LABEL_MAX + 1])
{
	snprintf(out, KEY_LABEL_MAX + 1, "%s%u", kinds[purpose].label, n);
}

int
authority_key_ok(const char *label, enum key_purpose purpose, struct why *w)
{
	if (kinds[purpose].label == NULL)
		return 0;
	if (authority_ca() == NULL)
		return why_set(w, R_KEY_CA_LABEL, "ca", "a name of at most "
		    "40 characters", NULL);
	if (generation(purpose, label) == 0)
		return why_set(w, R_KEY_CA_LABEL, "label",
		    kinds[purpose].label, label);
	return 0;
}

/* ---- records --------------------------------------------------------- */

static void
record_file(const struct key *k, char out[KEY_LABEL_MAX + 8])
{
	snprintf(out, KEY_LABEL_MAX + 8, "%s" SUFFIX, key_label(k));
}

static bool
has_record(const struct key *k)
{
	return key_purpose(k) == KEY_ROOT || key_purpose(k) == KEY_ISSUING;
}

int
ca_record_format(const struct ca_record *r, uint8_t *buf, size_t size,
    size_t *len)
{
	struct put	 p = { .buf = buf, .size = size };

	put_bytes(&p, MAGIC, 8);
	put_uint(&p, VERSION, 1);
	put_uint(&p, (uint32_t)(r->not_after >> 32), 4);
	put_uint(&p, (uint32_t)r->not_after, 4);
	put_uint(&p, (uint32_t)strlen(r->word), 1);
	put_bytes(&p, r->word, strlen(r->word));
	return put_digest(&p, len);
}

int
ca_record_parse(const uint8_t *buf, size_t len, struct ca_record *r)
{
	struct get	 g;
	uint32_t	 n;

	memset(r, 0, sizeof(*r));
	if (get_open(&g, buf, len, MAGIC, VERSION) == -1)
		return -1;
	r->not_after = (uint64_t)get_uint(&g, 4, UINT32_MAX) << 32;
	r->not_after |= get_uint(&g, 4, UINT32_MAX);
	n = get_uint(&g, 1, CA_WORD_MAX);
	get_bytes(&g, r->word, n);
	return g.bad || g.len != 0 || n == 0 || strlen(r->word) != n ? -1 : 0;
}

static int
record_read(const struct key *k, struct why *w)
{
	char		 name[KEY_LABEL_MAX + 8];
	uint8_t		 buf[128];
	ssize_t		 n;

	record_file(k, name);
	if ((n = store_read(authority.dir, name, buf, sizeof(buf))) == 0)
		return 0;
	if (n == -1 || ca_record_parse(buf, (size_t)n,
	    &authority.records[key_id(k)]) == -1)
		return why_set(w, R_KEY_FILE, name, "the record of a CA",
		    n == -1 ? strerror(errno) : NULL);
	return 0;
}

int
authority_open(const struct conf *conf, const char *dir, struct why *w)
{
	const struct key	*k;
	uint32_t		 i;

	memset(&authority, 0, sizeof(authority));
	authority.conf = conf;
	authority.dir = dir;
	for (i = 0; i < KEY_MAX; i++)
		if ((k = key_byid(i)) != NULL && has_record(k) &&
		    record_read(k, w) == -1)
			return -1;
	return 0;
}

/* What the CA of this key is called, or will be. NULL: nothing. */
static const char *
word_of(const struct key *ca)
{
	const struct ca_record	*r = &authority.records[key_id(ca)];

	if (has_record(ca) && r->word[0] != '\0')
		return r->word;
	return authority_ca() == NULL ? NULL : authority_ca()->name;
}

int
authority_record(const struct key *k, uint64_t not_after, struct why *w)
{
	struct ca_record	*r = &authority.records[key_id(k)];
	struct ca_record	 new = { .not_after = not_after };
	const char		*word = word_of(k);
	char			 name[KEY_LABEL_MAX + 8];
	uint8_t			 buf[128];
	size_t			 n;

	if (!has_record(k))
		return 0;
	if (r->word[0] != '\0' && r->not_after >= not_after)
		return 0;
	if (word == NULL)
		return why_set(w, R_KEY_CA_LABEL, "ca", NULL, NULL);
	snprintf(new.word, sizeof(new.word), "%s", word);
	record_file(k, name);
	if (ca_record_format(&new, buf, sizeof(buf), &n) == -1)
		return why_set(w, R_KEY_LIBRARY, name, NULL, NULL);
	if (store_write(authority.dir, name, buf, n) == -1)
		return why_set(w, R_KEY_STORE, name, NULL, strerror(errno));
	*r = new;
	return 0;
}

uint64_t
authority_end(const struct key *ca)
{
	const struct ca_record	*r = &authority.records[key_id(ca)];

	return r->not_after == 0 ? UINT64_MAX : r->not_after;
}

/* ---- names ----------------------------------------------------------- */

void
asn1_attribute(struct put *p, uint8_t at, const char *value)
{
	const uint8_t	 oid[] = { DER_OID, 3, 0x55, 4, at };
	size_t		 set = asn1_begin(p, DER_SET);
	size_t		 one = asn1_begin(p, DER_SEQUENCE);

	put_bytes(p, oid, sizeof(oid));
	asn1_text(p, at == AT_SERIAL ? ASN1_PRINTABLE : ASN1_UTF8, value);
	asn1_end(p, one);
	asn1_end(p, set);
}

/* An OCSP signer has the word of the issuing CA that it speaks for. */
static const struct key *
whose_word(const struct key *k)
{
	char			 label[KEY_LABEL_MAX + 1];
	const struct key	*ca;

	if (key_purpose(k) != KEY_OCSP)
		return k;
	authority_label(KEY_ISSUING, authority_generation(k), label);
	ca = key_bylabel(label);
	return ca == NULL ? k : ca;
}

int
authority_name(struct put *p, const struct key *k)
{
	const char	*word = word_of(whose_word(k));
	unsigned	 n = authority_generation(k);
	char		 cn[CA_WORD_MAX + 32];
	size_t		 mark;

	if (word == NULL || n == 0)
		return -1;
	snprintf(cn, sizeof(cn), "%s %s %u", word, kinds[key_purpose(k)].name,
	    n);
	mark = asn1_begin(p, DER_SEQUENCE);
	asn1_attribute(p, AT_ORGANIZATION, word);
	asn1_attribute(p, AT_COMMON_NAME, cn);
	asn1_end(p, mark);
	return p->bad ? -1 : 0;
}
