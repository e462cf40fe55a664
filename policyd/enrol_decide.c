/*
 * Whether a device gets a certificate, and under which name and profile: the
 * whole decision, which changes nothing. What enrold says of a request is
 * believed for two things only: that the sender holds the key, and which
 * client certificate its connection has shown.
 */
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "enrol.h"
#include "hex.h"
#include "peer.h"
#include "weakkey.h"

/* Between the steps of one decision. */
struct asked {
	const struct msg_enrol_req *m;
	uint64_t	 now;
	struct decision	*d;
	struct why	*why;
	const char	*name;		/* that the authority gives, or NULL */
	bool		 used, expired;	/* the ticket */
	struct issued	 client;	/* the client's own certificate */
};

static enum reason
no(struct asked *a, enum reason r, const char *field, const char *expected,
    const char *seen)
{
	return why_set(a->why, r, field, expected, seen);
}

static void
sha256(const void *p, size_t n, uint8_t out[HASH_LEN])
{
	static EVP_MD	*md;

	if (md == NULL && (md = EVP_MD_fetch(NULL, "SHA256", NULL)) == NULL)
		fatalx("enrol: no SHA-256");
	if (EVP_Digest(p, n, out, NULL, md, NULL) != 1)
		fatalx("enrol: SHA-256");
}

/* ---- the authority ---- */

/* The profile that the authority names must be the one that was asked for. */
static enum reason
profile_is(struct asked *a, const char *name)
{
	if (*a->m->profile != '\0' && strcmp(a->m->profile, name) != 0)
		return no(a, R_CRT_PROFILE, "profile", name, a->m->profile);
	if ((a->d->profile = profile_find(name)) == NULL)
		return no(a, R_CRT_PROFILE, "profile", NULL, name);
	return R_OK;
}

static enum reason
by_ticket(struct asked *a)
{
	static struct ticket	t;

	if (a->m->ticket.len != TICKET_LEN)
		return no(a, R_CRT_TICKET, "ticket", "16 bytes", NULL);
	if (!ticket_find(a->m->ticket.data, &t))
		return no(a, R_CRT_TICKET, "ticket", NULL, NULL);
	a->d->auth = AUTH_TICKET;
	a->d->ticket = true;
	memcpy(a->d->intent.authority, t.hash, HASH_LEN);
	snprintf(a->d->name, sizeof(a->d->name), "%s", t.name);
	a->name = a->d->name;
	if (a->m->client == CLIENT_OURS && strcmp(a->client.name, t.name) != 0)
		return no(a, R_CRT_NAME, "client certificate", t.name,
		    a->client.name);
	a->used = t.used != 0;
	a->expired = t.expires <= a->now;
	return profile_is(a, t.profile);
}

/* A certificate of ours: recorded, over this key, and good until now. */
static enum reason
client_ours(struct asked *a)
{
	const struct msg_enrol_req	*m = a->m;
	char				 until[32];

	if (!issued_find(m->client_serial.data, m->client_serial.len,
	    &a->client) || a->client.len == 0)
		return no(a, R_CRT_CLIENT_REVOKED, "client certificate",
		    "a recorded one", NULL);
	if (m->client_key.len != HASH_LEN ||
	    memcmp(m->client_key.data, a->client.key, HASH_LEN) != 0)
		return no(a, R_CRT_CLIENT_REVOKED, "client certificate",
		    "the recorded key", NULL);
	if (a->client.revoked != 0)
		return no(a, R_CRT_CLIENT_REVOKED, "client certificate",
		    "not revoked", crl_reason_name(a->client.reason));
	if (a->client.not_after <= a->now)
		return no(a, R_CRT_CLIENT_EXPIRED, "client certificate",
		    NULL, time_text(a->client.not_after, until,
		    sizeof(until)));
	return R_OK;
}

static enum reason
by_ours(struct asked *a)
{
	struct device	dev;

	snprintf(a->d->name, sizeof(a->d->name), "%s", a->client.name);
	a->name = a->d->name;
	a->d->auth = AUTH_RENEWAL;
	sha256(a->client.serial, SERIAL_LEN, a->d->intent.authority);
	if (profile_is(a, a->client.profile) != R_OK)
		return a->why->reason;
	/* Taken off the list, it keeps what it has, and gets no more; listed
	 * under another profile, it has no claim to this one. */
	if (device_find(a->name, &dev))
		return strcmp(dev.profile, a->client.profile) == 0 ? R_OK :
		    no(a, R_CRT_PROFILE, "profile", dev.profile,
		    a->client.profile);
	if (profile_lists(a->d->profile))
		return no(a, R_CRT_DEVICE, "device", "listed", a->name);
	return R_OK;
}

static bool
maker_ok(const struct conf_profile *p, const struct msg_enrol_req *m)
{
	const struct conf_path	*path;
	const struct root	*r;

	for (path = p->makers; path != NULL; path = path->next)
		for (r = settings_roots(); r != NULL; r = r->next)
			if (strcmp(r->path, path->path) == 0 &&
			    memcmp(r->hash, m->client_root.data,
			    HASH_LEN) == 0)
				return true;
	return false;
}

/* The profile of a maker's device: asked for, its own, or the only one. */
static enum reason
maker_profile(struct asked *a)
{
	const struct conf_profile	*p, *only = NULL;

	if (*a->m->profile != '\0') {
		only = profile_find(a->m->profile);
		if (only == NULL)
			return no(a, R_CRT_PROFILE, "profile", NULL,
			    a->m->profile);
		if (!maker_ok(only, a->m))
			return no(a, R_CRT_MAKER, "profile", NULL, only->name);
	}
	for (p = conf->profiles; *a->m->profile == '\0' && p != NULL;
	    p = p->next) {
		if (!maker_ok(p, a->m))
			continue;
		if (only != NULL)
			return no(a, R_CRT_PROFILE, "profile", "named, since"
			    " several accept this manufacturer", NULL);
		only = p;
	}
	if ((a->d->profile = only) == NULL)
		return no(a, R_CRT_MAKER, "manufacturer root", NULL, NULL);
	return R_OK;
}

/*
 * The unit is named by its maker: what it may be called here is what stands
 * in that certificate. Where an operator lists devices, it must be listed;
 * where the maker's serial number is the list, a unit of which a certificate
 * was revoked must be listed as well, or it would come back by itself.
 */
static enum reason
by_maker(struct asked *a)
{
	const struct msg_enrol_req	*m = a->m;
	const struct conf_profile	*p;
	static struct issued		 newest;
	uint8_t				 who[HASH_LEN + 20];
	struct device			 dev;
	const char			*unit;

	if (m->client_root.len != HASH_LEN || m->client_serial.len == 0)
		return no(a, R_CRT_MAKER, "manufacturer root", NULL, NULL);
	if (maker_profile(a) != R_OK)
		return a->why->reason;
	p = a->d->profile;
	unit = p->names == NAME_SERIAL ? m->client_unit : m->client_name;
	if (name_canonical(p->names, unit, a->d->name) == -1)
		return no(a, R_CRT_MAKER, "name in the manufacturer's"
		    " certificate", "one of the profile's kind", unit);
	a->name = a->d->name;
	a->d->auth = AUTH_MAKER;
	memset(who, 0, sizeof(who));
	memcpy(who, m->client_root.data, HASH_LEN);
	memcpy(who + HASH_LEN, m->client_serial.data, m->client_serial.len);
	sha256(who, sizeof(who), a->d->intent.authority);
	if (device_find(a->name, &dev))
		return strcmp(dev.profile, p->name) == 0 ? R_OK :
		    no(a, R_CRT_PROFILE, "profile", dev.profile, p->name);
	if (profile_lists(p) || (issued_newest(a->name, &newest) &&
	    (newest.revoked != 0 || issued_taken_back(a->name))))
		return no(a, R_CRT_DEVICE, "device", "listed", a->name);
	return R_OK;
}

/* Is it listed under another profile, or does one there have it today? */
static bool
elsewhere(const struct asked *a, const char *name, const char *profile)
{
	static struct issued	newest;
	struct device		dev;

	if (device_find(name, &dev) && strcmp(dev.profile, profile) != 0)
		return true;
	return issued_newest(name, &newest) && newest.not_after > a->now &&
	    strcmp(newest.profile, profile) != 0 &&
	    profile_find(newest.profile) != NULL;
}

/* Whoever asks. A name that is somebody's under another profile stays his. */
static enum reason
by_nobody(struct asked *a)
{
	const struct conf_profile	*p;

	p = *a->m->profile != '\0' ? profile_find(a->m->profile) :
	    profile_only();
	if (p == NULL || !p->open)
		return no(a, R_CRT_NO_AUTH, "ticket or certificate", NULL,
		    NULL);
	a->d->profile = p;
	a->d->auth = AUTH_OPEN;
	if (name_canonical(p->names, a->m->name, a->d->name) == 0 &&
	    elsewhere(a, a->d->name, p->name))
		return no(a, R_CRT_NO_AUTH, "ticket or certificate", NULL,
		    NULL);
	return R_OK;
}

/*
 * A ticket counts before a certificate, but a certificate of ours that is
 * shown with it must be good as well.
 */
static enum reason
authority(struct asked *a)
{
	const struct msg_enrol_req	*m = a->m;

	if (m->client == CLIENT_OURS && client_ours(a) != R_OK)
		return a->why->reason;
	if (m->renew && m->client != CLIENT_OURS)
		return no(a, R_CRT_NO_AUTH, "client certificate",
		    "the one to renew", NULL);
	if (m->ticket.len != 0 && !m->renew)
		return by_ticket(a);
	if (m->client == CLIENT_OURS)
		return by_ours(a);
	if (m->client == CLIENT_MAKER)
		return by_maker(a);
	return by_nobody(a);
}

/* ---- the request ---- */

static enum reason
names(struct asked *a)
{
	static const char *const	 kinds[] = {
	    [NAME_MAC] = "a MAC address", [NAME_DNS] = "a host name",
	    [NAME_TEXT] = "letters, digits, - _ .",
	    [NAME_SERIAL] = "letters, digits, - _ ." };
	const struct conf_profile	*p = a->d->profile;
	char				 asked[NAME_LEN + 1], san[128];
	enum san_kind			 kind;

	if (name_canonical(p->names, a->m->name, asked) == -1)
		return no(a, R_CRT_NAME_FORM, "common name", kinds[p->names],
		    a->m->name);
	if (a->name != NULL && strcmp(asked, a->name) != 0)
		return no(a, R_CRT_NAME, "common name", a->name, a->m->name);
	memcpy(a->d->name, asked, sizeof(asked));
	if (a->m->san_kind == SAN_NONE)
		return R_OK;
	kind = name_san(p->names, a->d->name, san, sizeof(san));
	if (a->m->san_kind != kind || (kind == SAN_DNS ?
	    strcasecmp(a->m->san, san) : strcmp(a->m->san, san)) != 0)
		return no(a, R_CRT_SAN, "subjectAltName", san, a->m->san);
	return R_OK;
}

static const char	*const key_names[SUBJECT_NKEYS] = {
    [SUBJECT_P256] = "ecdsa-p256", [SUBJECT_P384] = "ecdsa-p384",
    [SUBJECT_RSA2048] = "rsa-2048", [SUBJECT_RSA3072] = "rsa-3072",
    [SUBJECT_RSA4096] = "rsa-4096" };

/* With what would do, as provd.conf has it. */
static enum reason
key_kind(struct asked *a)
{
	char	 kinds[64];
	size_t	 at = 0;
	unsigned i;

	kinds[0] = '\0';
	for (i = 0; i < SUBJECT_NKEYS && at < sizeof(kinds); i++)
		if (a->d->profile->keys & 1u << i)
			at += (size_t)snprintf(kinds + at, sizeof(kinds) - at,
			    "%s%s", at > 0 ? " " : "", key_names[i]);
	return no(a, R_CRT_KEY_TYPE, "key", kinds, key_names[a->m->key_type]);
}

static enum reason
key(struct asked *a)
{
	const struct msg_enrol_req	*m = a->m;
	struct decision			*d = a->d;
	const char			*weak;

	if (m->server_keygen && !d->profile->server_keygen)
		return no(a, R_ENR_NO_KEYGEN, "profile", NULL,
		    d->profile->name);
	if ((d->profile->keys & 1u << m->key_type) == 0)
		return key_kind(a);
	if ((d->spkilen = form_spki(m->key_type, m->public.data,
	    m->public.len, m->exponent, d->spki)) == 0)
		return no(a, R_CRT_KEY_TYPE, "key", "one of its type", NULL);
	if (m->key_type >= SUBJECT_RSA2048 && (weak = weak_rsa(m->public.data,
	    m->public.len, m->exponent)) != NULL)
		return no(a, R_CRT_KEY_WEAK, "key", NULL, weak);
	sha256(d->spki, d->spkilen, d->key);
	return R_OK;
}

/*
 * The same request by the same authority: its row, as long as it is of use.
 * Who comes without a ticket may ask for the next one, with the same words,
 * once the old one is to be renewed.
 */
static bool
asked_before(const struct asked *a)
{
	const struct issued	*s = &a->d->same;
	uint64_t		 until = s->not_after;

	if (a->d->auth == AUTH_MAKER || a->d->auth == AUTH_OPEN)
		until -= a->d->profile->renew < until - s->not_before ?
		    a->d->profile->renew : 0;
	return a->now < until;
}

static enum reason
key_free(struct asked *a)
{
	struct decision	*d = a->d;

	switch (issued_key(d->key, d->name, &d->intent, &d->same)) {
	case KEY_TAKEN:
		return no(a, R_CRT_KEY_REVOKED, "key", "of this device alone",
		    NULL);
	case KEY_REVOKED:
		return no(a, R_CRT_KEY_REVOKED, "key", "of no revoked"
		    " certificate", NULL);
	case KEY_SAME:
		d->again = asked_before(a);
		break;
	case KEY_FREE:
		break;
	}
	return R_OK;
}

static enum reason
in_time(struct asked *a)
{
	const struct conf_profile	*p = a->d->profile;
	char				 from[32], now[32];
	uint64_t			 renew;

	if (a->used)
		return no(a, R_CRT_TICKET_USED, "ticket", NULL, NULL);
	if (a->expired)
		return no(a, R_CRT_TICKET_EXPIRED, "ticket", NULL, NULL);
	if (a->d->auth != AUTH_RENEWAL)
		return R_OK;
	renew = a->client.not_after > p->renew ? a->client.not_after -
	    p->renew : 0;
	if (a->now < renew)
		return no(a, R_CRT_RENEW_EARLY, "time", time_text(renew, from,
		    sizeof(from)), time_text(a->now, now, sizeof(now)));
	return R_OK;
}

enum reason
enrol_decide(const struct msg_enrol_req *m, uint64_t now, struct decision *d,
    struct why *why)
{
	static struct asked	a;

	memset(&a, 0, sizeof(a));
	memset(d, 0, sizeof(*d));
	a.m = m;
	a.now = now;
	a.d = d;
	a.why = why;
	why_set(why, R_OK, NULL, NULL, NULL);
	memcpy(d->intent.request, m->request.data, m->request.len);
	if (authority(&a) != R_OK || names(&a) != R_OK || key(&a) != R_OK ||
	    key_free(&a) != R_OK || d->again)
		return why->reason;
	if (in_time(&a) != R_OK)
		return why->reason;
	if (issued_valid(d->name, now, CERTS_VALID) >= CERTS_VALID)
		return no(&a, R_CRT_ATTEMPTS_DEVICE, "valid certificates",
		    "fewer than 16", NULL);
	return R_OK;
}
