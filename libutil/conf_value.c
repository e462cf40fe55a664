/*
 * The settings: defaults, bounds, and what they must be together.
 */
#include <stdlib.h>
#include <string.h>

#include "conf_parse.h"
#include "ipc.h"

#define SECOND	1000LL
#define MINUTE	(60 * SECOND)
#define HOUR	(60 * MINUTE)
#define DAY	(24 * HOUR)
#define MINUTES	(10 * MINUTE)
#define YEARS	(3650 * DAY)

enum value_kind { V_U8, V_U16, V_U32, V_U64, V_SECONDS, V_STRING };
typedef const char *(*value_check)(const char *);

#define OFF(f)		offsetof(struct conf, f)
#define PEER(f)		offsetof(struct conf_peer, f)
#define COMP(f)		offsetof(struct conf_component, f)
#define PROF(f)		offsetof(struct conf_profile, f)
#define STRING(name, offset, check)	{ name, V_STRING, offset, 0, 0, check }
#define BOUND(name, kind, offset, min, max) \
	{ name, kind, offset, min, max, NULL }
#define CHOICE(name, offset)		{ name, V_U32, offset, 0, 0, NULL }

/* One row a setting; times are in milliseconds here. */
static const struct value {
	const char	*name;
	enum value_kind	 kind;
	size_t		 offset;
	int64_t		 min, max;
	value_check	 check;
} values[SET_COUNT] = {
	[SET_NODE] =		STRING("node", OFF(node), conf_check_name),
	[SET_INTERFACE] =	STRING("interface", OFF(interface), conf_check_interface),
	[SET_RUN] =		STRING("run directory", OFF(run_dir), conf_check_directory),
	[SET_STATE] =		STRING("state directory", OFF(state_dir), conf_check_directory),
	[SET_BACKEND] =		STRING("key backend", OFF(tpm), NULL),
	[SET_LISTEN_ADDRESS] =	STRING("listen address", OFF(listen_address), conf_check_address),
	[SET_MTLS_PORT] =	BOUND("listen mtls port", V_U16, OFF(mtls_port), 1, 65535),
	[SET_SPDM_MCTP] =	STRING("listen spdm mctp", OFF(spdm_mctp), conf_check_socket),
	[SET_SPDM_PORT] =	BOUND("listen spdm port", V_U16, OFF(spdm_port), 1, 65535),
	[SET_MUTUAL] =		BOUND("listen spdm mutual", V_U8, OFF(spdm_mutual), 0, 1),
	[SET_MAX_CONNECTIONS] =	BOUND("limit connections", V_U32, OFF(max_connections), 1, 4096),
	[SET_MAX_PER_ADDRESS] =	BOUND("limit per-address", V_U32, OFF(max_per_address), 1, 4096),
	[SET_MAX_HALF_OPEN] =	BOUND("limit half-open", V_U32, OFF(max_half_open), 1, 4096),
	[SET_HANDSHAKE] =	BOUND("handshake timeout", V_U32, OFF(handshake_timeout), 100, MINUTES),
	[SET_CURVE] =		CHOICE("spdm curve", OFF(spdm_curve)),
	[SET_VERSIONS] =	CHOICE("spdm versions", OFF(versions)),
	[SET_ALGORITHMS] =	CHOICE("spdm algorithms", OFF(algorithms)),
	[SET_BOOT_ID] =		STRING("boot id", OFF(boot_id), conf_check_path),
	[SET_REFERENCE] =	STRING("reference", OFF(reference), conf_check_path),
	[SET_KEEPALIVE] =	BOUND("keepalive", V_U32, OFF(keepalive), 100, HOUR),
	[SET_SILENCE] =		BOUND("silence", V_U32, OFF(silence), 100, HOUR),
	[SET_RETRY] =		BOUND("retry", V_U32, OFF(retry_min), 10, DAY),
	[SET_ATTEST] =		BOUND("attest timeout", V_U32, OFF(attest_timeout), 100, MINUTES),
	[SET_REATTEST] =	BOUND("reattest every", V_U64, OFF(reattest), SECOND, 365 * DAY),
	[SET_EVIDENCE] =	BOUND("evidence lifetime", V_U64, OFF(evidence_lifetime), SECOND, YEARS),
	[SET_CODE] =		BOUND("code lifetime", V_U32, OFF(code_lifetime), SECOND, MINUTES),
	[SET_CHECKPOINT] =	BOUND("audit checkpoint every", V_U64, OFF(checkpoint), SECOND, DAY),
	[SET_LLDP_INTERVAL] =	BOUND("lldp interval", V_U32, OFF(lldp_interval), 100, HOUR),
	[SET_LLDP_HOLD] =	BOUND("lldp hold", V_U32, OFF(lldp_hold), 1, 100),
	[SET_LEAF] =		BOUND("leaf lifetime", V_SECONDS, OFF(leaf_lifetime), SECOND, YEARS),
	[SET_CERT_ROOT] =	STRING("cert_root", OFF(cert_root), conf_check_path),
	[SET_PEER_IDENTITY] =	STRING("identity", PEER(identity), conf_check_identity),
	[SET_PEER_SERIAL] =	STRING("serial", PEER(serial), conf_check_serial),
	[SET_PEER_ADDRESS] =	STRING("address", PEER(address), conf_check_address),
	[SET_PEER_MTLS] =	BOUND("mtls port", V_U16, PEER(mtls_port), 1, 65535),
	[SET_PEER_SPDM] =	BOUND("spdm port", V_U16, PEER(spdm_port), 1, 65535),
	[SET_PEER_MCTP] =	STRING("transport mctp", PEER(mctp), conf_check_socket),
	[SET_PEER_KEEPALIVE] =	BOUND("keepalive", V_U32, PEER(keepalive), 100, HOUR),
	[SET_PEER_SILENCE] =	BOUND("silence", V_U32, PEER(silence), 100, HOUR),
	[SET_PEER_REFERENCE] =	STRING("reference", PEER(reference), conf_check_path),
	[SET_COMP_IDENTITY] =	STRING("identity", COMP(identity), conf_check_identity),
	[SET_COMP_SERIAL] =	STRING("serial", COMP(serial), conf_check_serial),
	[SET_COMP_ROOT] =	STRING("root", COMP(root), conf_check_path),
	[SET_COMP_ADDRESS] =	STRING("address", COMP(address), conf_check_address),
	[SET_COMP_SPDM] =	BOUND("spdm port", V_U16, COMP(spdm_port), 1, 65535),
	[SET_COMP_MCTP] =	STRING("transport mctp", COMP(address), conf_check_socket),
	[SET_COMP_SLOT] =	BOUND("slot", V_U8, COMP(slot), 1, 7),
	[SET_COMP_VALIDITY] =	BOUND("validity", V_SECONDS, COMP(validity), MINUTE, 90 * DAY),
	[SET_CA] =		STRING("ca", OFF(ca.name), conf_check_ca),
	[SET_CA_CURVE] =	CHOICE("curve", OFF(ca.curve)),
	[SET_CA_ROOT] =		BOUND("root validity", V_SECONDS, OFF(ca.root_validity), MINUTE, 3 * YEARS),
	[SET_CA_ISSUING] =	BOUND("issuing validity", V_SECONDS, OFF(ca.issuing_validity),
				    MINUTE, 3 * YEARS),
	[SET_CA_CRL] =		BOUND("crl every", V_SECONDS, OFF(ca.crl_every), SECOND, 365 * DAY),
	[SET_CA_URL] =		STRING("url", OFF(ca.url), conf_check_url),
	[SET_CA_SERVER] =	STRING("server", OFF(ca.server), conf_check_server),
	[SET_CA_PERMITTED] =	STRING("permitted dns", OFF(ca.permitted), conf_check_dns),
	[SET_DOOR_KEY] =	CHOICE("key of a listener", 0),
	[SET_MAX_ENROL] =	BOUND("limit enrol", V_U32, OFF(max_enrol), 1, 4096),
	[SET_REQUEST] =		BOUND("request timeout", V_U32, OFF(request_timeout), 100, MINUTES),
	[SET_DBUS] =		STRING("dbus", OFF(dbus), conf_check_socket),
	[SET_NEIGHBOURS] =	BOUND("neighbours", V_U8, OFF(dbus_neighbours), 0, 1),
	[SET_PROFILE_KEY] =	CHOICE("key", PROF(keys)),
	[SET_PROFILE_VALID] =	BOUND("valid", V_SECONDS, PROF(validity), SECOND, 3 * YEARS),
	[SET_PROFILE_RENEW] =	BOUND("renew", V_SECONDS, PROF(renew), SECOND, 3 * YEARS),
	[SET_PROFILE_USAGE] =	CHOICE("usage", PROF(usage)),
	[SET_PROFILE_NAME] =	CHOICE("name", PROF(names)),
	[SET_PROFILE_OPEN] =	BOUND("open", V_U8, PROF(open), 0, 1),
	[SET_PROFILE_KEYGEN] =	BOUND("server-keygen", V_U8, PROF(server_keygen), 0, 1),
	[SET_PROFILE_OPERATORS] = BOUND("operators", V_U8, PROF(operators), 0, 1),
};

/* In the order in which a person reads them. */
static const struct {
	const char	*name;
	int64_t		 ms;
} units[] = {
	{ "ms", 1 }, { "s", SECOND }, { "m", MINUTE }, { "h", HOUR },
	{ "d", DAY },
};

static const struct {
	enum conf_set	 set;
	const char	*word;
	uint32_t	 value;
} choices[] = {
	{ SET_CURVE,	  "p256", CURVE_P256 },
	{ SET_CURVE,	  "p384", CURVE_P384 },
	{ SET_VERSIONS,	  "1.2",  1 << 0 },
	{ SET_VERSIONS,	  "1.3",  1 << 1 },
	{ SET_VERSIONS,	  "1.1",  1 << 2 },
	{ SET_ALGORITHMS, "p256", 1 << KEY_P256 },
	{ SET_ALGORITHMS, "p384", 1 << KEY_P384 },
	{ SET_CA_CURVE,	  "p256", CURVE_P256 },
	{ SET_CA_CURVE,	  "p384", CURVE_P384 },
	{ SET_DOOR_KEY,	  "ecdsa-p256", KEY_P256 },
	{ SET_DOOR_KEY,	  "rsa-2048", KEY_RSA2048 },
	{ SET_PROFILE_KEY, "ecdsa-p256", 1 << SUBJECT_P256 },
	{ SET_PROFILE_KEY, "ecdsa-p384", 1 << SUBJECT_P384 },
	{ SET_PROFILE_KEY, "rsa-2048", 1 << SUBJECT_RSA2048 },
	{ SET_PROFILE_KEY, "rsa-3072", 1 << SUBJECT_RSA3072 },
	{ SET_PROFILE_KEY, "rsa-4096", 1 << SUBJECT_RSA4096 },
	{ SET_PROFILE_USAGE, "client", USAGE_CLIENT },
	{ SET_PROFILE_USAGE, "server", USAGE_SERVER },
	{ SET_PROFILE_USAGE, "both", USAGE_CLIENT | USAGE_SERVER },
	{ SET_PROFILE_NAME, "mac", NAME_MAC },
	{ SET_PROFILE_NAME, "dns", NAME_DNS },
	{ SET_PROFILE_NAME, "text", NAME_TEXT },
	{ SET_PROFILE_NAME, "serial", NAME_SERIAL },
};

#define NITEMS(a)	(sizeof(a) / sizeof((a)[0]))

char *
conf_copy(const char *s)
{
	char	*p;

	if ((p = strdup(s)) == NULL)
		abort();
	return p;
}

void *
conf_zalloc(size_t size)
{
	void	*p;

	if ((p = calloc(1, size)) == NULL)
		abort();
	return p;
}

int64_t
conf_unit(const char *word)
{
	size_t	i;

	for (i = 0; i < NITEMS(units); i++)
		if (strcmp(word, units[i].name) == 0)
			return units[i].ms;
	return 0;
}

struct conf *
conf_new(void)
{
	struct conf	*c = conf_zalloc(sizeof(*c));

	c->run_dir = conf_copy("/run/provd");
	c->state_dir = conf_copy("/var/lib/provd");
	c->tpm = conf_copy("/dev/tpmrm0");
	c->listen_address = conf_copy("::");
	c->boot_id = conf_copy("/proc/sys/kernel/random/boot_id");
	c->backend = BACKEND_TPM;
	c->spdm_curve = CURVE_P256;
	c->mtls_port = 8090;
	c->spdm_port = 4194;
	c->versions = 1 << 0 | 1 << 1;
	c->algorithms = 1 << KEY_P256 | 1 << KEY_P384;
	c->keepalive = 10 * SECOND;
	c->silence = 30 * SECOND;
	c->retry_min = 1 * SECOND;
	c->retry_max = 60 * SECOND;
	c->attest_timeout = 30 * SECOND;
	c->reattest = 24 * HOUR;
	c->evidence_lifetime = 7 * DAY;
	c->code_lifetime = 5 * MINUTE;
	c->checkpoint = 10 * MINUTE;
	c->lldp_interval = 30 * SECOND;
	c->lldp_hold = 4;
	c->max_connections = 256;
	c->max_per_address = 8;
	c->max_half_open = 32;
	c->handshake_timeout = 10 * SECOND;
	c->leaf_lifetime = 90 * DAY / SECOND;
	c->ca.root_validity = 3650 * DAY / SECOND;
	c->ca.issuing_validity = 1825 * DAY / SECOND;
	c->ca.crl_every = 24 * HOUR / SECOND;
	c->max_enrol = 512;
	c->request_timeout = 10 * SECOND;
	return c;
}

/* What is set, in the peer, component or profile if it is one of that. */
static void *
target(struct parse *p, enum conf_set set)
{
	char	*base;

	base = set >= SET_PROFILE_KEY ? (char *)p->profile :
	    set >= SET_COMP_IDENTITY ? (char *)p->component :
	    set >= SET_PEER_IDENTITY ? (char *)p->peer : (char *)p->conf;
	return base + values[set].offset;
}

bool
conf_once(struct parse *p, enum conf_set set)
{
	if (p->seen[set] != 0) {
		conf_error(p, p->line, "%s is set again, first in %s:%d",
		    values[set].name, p->seen_in[set], p->seen[set]);
		return false;
	}
	p->seen[set] = p->line;
	p->seen_in[set] = p->name;
	return true;
}

void
conf_fresh(struct parse *p, enum conf_set first)
{
	int	set;

	for (set = (int)first; set < SET_COUNT; set++)
		p->seen[set] = 0;
}

void
conf_number(struct parse *p, enum conf_set set, int64_t n)
{
	const struct value	*v = &values[set];

	if (!conf_once(p, set))
		return;
	if (n < v->min || n > v->max) {
		conf_error(p, p->line, "%s is %lld to %lld", v->name,
		    (long long)v->min, (long long)v->max);
		return;
	}
	if (v->kind == V_U8)
		*(uint8_t *)target(p, set) = (uint8_t)n;
	else if (v->kind == V_U16)
		*(uint16_t *)target(p, set) = (uint16_t)n;
	else
		*(uint32_t *)target(p, set) = (uint32_t)n;
}

/* "90 d", "1500 ms": the largest unit that divides it. */
static const char *
show_time(int64_t ms, char *buf, size_t size)
{
	size_t	i = NITEMS(units);

	while (--i > 0 && ms % units[i].ms != 0)
		continue;
	snprintf(buf, size, "%lld %s", (long long)(ms / units[i].ms),
	    units[i].name);
	return buf;
}

static bool
time_ok(struct parse *p, enum conf_set set, int64_t ms)
{
	const struct value	*v = &values[set];
	char			 min[32], max[32];

	if (ms >= v->min && ms <= v->max)
		return true;
	conf_error(p, p->line, "%s is %s to %s", v->name,
	    show_time(v->min, min, sizeof(min)),
	    show_time(v->max, max, sizeof(max)));
	return false;
}

void
conf_time(struct parse *p, enum conf_set set, int64_t ms)
{
	if (!conf_once(p, set) || !time_ok(p, set, ms))
		return;
	switch (values[set].kind) {
	case V_U64:
		*(uint64_t *)target(p, set) = (uint64_t)ms;
		break;
	case V_SECONDS:
		*(uint64_t *)target(p, set) = (uint64_t)(ms / SECOND);
		break;
	case V_U32:
	case V_U16:
	case V_U8:
	case V_STRING:
		*(uint32_t *)target(p, set) = (uint32_t)ms;
		break;
	}
}

void
conf_retry(struct parse *p, int64_t min, int64_t max)
{
	if (!conf_once(p, SET_RETRY) || !time_ok(p, SET_RETRY, min) ||
	    !time_ok(p, SET_RETRY, max))
		return;
	if (min > max) {
		conf_error(p, p->line, "retry starts above its end");
		return;
	}
	p->conf->retry_min = (uint32_t)min;
	p->conf->retry_max = (uint32_t)max;
}

void
conf_string(struct parse *p, enum conf_set set, char *s)
{
	const char	*what;
	char		**to;

	if (!conf_once(p, set)) {
		free(s);
		return;
	}
	if (values[set].check != NULL &&
	    (what = values[set].check(s)) != NULL) {
		conf_error(p, p->line, "%s \"%s\": %s", values[set].name, s,
		    what);
		free(s);
		return;
	}
	to = target(p, set);
	free(*to);
	*to = s;
}

/* 0 to 7 and 255 are no endpoints (DSP0236, special endpoint IDs). */
void
conf_mctp(struct parse *p, enum conf_set set, int64_t net, int64_t eid)
{
	char	text[40], **to;
	int	n;

	if (!conf_once(p, set))
		return;
	if (net < 1 || net > INT32_MAX ||
	    (set != SET_SPDM_MCTP && (eid < 8 || eid > 254))) {
		conf_error(p, p->line, "%s: a network is 1 to 2147483647, an "
		    "eid 8 to 254", values[set].name);
		return;
	}
	n = snprintf(text, sizeof(text), "mctp:%lld", (long long)net);
	if (set != SET_SPDM_MCTP)
		snprintf(text + n, sizeof(text) - (size_t)n, ":%lld",
		    (long long)eid);
	to = target(p, set);
	free(*to);
	*to = conf_copy(text);
}

/* The first path may be that of a device or, after unix:, of a socket. */
void
conf_key(struct parse *p, enum conf_backend backend, char *tpm, bool pcrs)
{
	const char	*path = tpm;

	if (!conf_once(p, SET_BACKEND)) {
		free(tpm);
		return;
	}
	if (tpm != NULL && strncmp(tpm, "unix:", 5) == 0)
		path += 5;
	if (tpm != NULL && conf_check_path(path) != NULL)
		conf_error(p, p->line, "key backend \"%s\": neither the path "
		    "of a device nor unix: and that of a socket", tpm);
	else if (path != tpm && strlen(path) > 107)
		conf_error(p, p->line, "key backend \"%s\": longer than a "
		    "socket's path may be", tpm);
	p->conf->backend = backend;
	p->conf->seal_pcrs = pcrs;
	free(p->conf->tpm);
	p->conf->tpm = tpm;
}

void
conf_flag(struct parse *p, enum conf_set set)
{
	*(bool *)target(p, set) = conf_once(p, set);
}

int64_t
conf_word(enum conf_set set, const char *word)
{
	size_t	i;

	for (i = 0; i < NITEMS(choices); i++)
		if (choices[i].set == set && strcmp(choices[i].word, word) == 0)
			return choices[i].value;
	return -1;
}

static void
choose(struct parse *p, enum conf_set set, const char *word)
{
	uint32_t	*mask, value;

	if (conf_word(set, word) == -1) {
		conf_error(p, p->line, "%s does not know %s", values[set].name,
		    word);
		return;
	}
	value = (uint32_t)conf_word(set, word);
	if (set == SET_CURVE || set == SET_CA_CURVE) {
		*(enum conf_curve *)target(p, set) = (enum conf_curve)value;
		return;
	}
	if (set == SET_PROFILE_NAME) {
		p->profile->names = (enum conf_name_kind)value;
		return;
	}
	mask = target(p, set);
	if (*mask & value)
		conf_error(p, p->line, "%s names %s twice", values[set].name,
		    word);
	*mask |= value;
}

void
conf_choice(struct parse *p, enum conf_set set, char *word)
{
	choose(p, set, word);
	free(word);
}

static bool
same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

void
conf_accept(struct parse *p, char *root, char *serial)
{
	struct conf_accept	*a, **end = &p->conf->accepts;
	const char		*what = conf_check_path(root);
	unsigned		 n = 0;

	if (what == NULL && serial != NULL)
		what = conf_check_serial(serial);
	if (what != NULL)
		conf_error(p, p->line, "accept root: %s", what);
	for (; *end != NULL; end = &(*end)->next, n++)
		if (same((*end)->root, root) && same((*end)->serial, serial))
			conf_error(p, p->line, "accept root \"%s\" stands here "
			    "twice", root);
	if (n == 64)
		conf_error(p, p->line, "more than 64 accepted roots");
	a = conf_zalloc(sizeof(*a));
	a->root = root;
	a->serial = serial;
	*end = a;
}

void
conf_measure(struct parse *p, char *path)
{
	struct conf_path	*m, **end = &p->conf->measure;
	const char		*what;
	unsigned		 n = 0;

	if ((what = conf_check_path(path)) != NULL)
		conf_error(p, p->line, "measure file \"%s\": %s", path, what);
	for (; *end != NULL; end = &(*end)->next, n++)
		if (same((*end)->path, path))
			conf_error(p, p->line, "measure file \"%s\" stands here "
			    "twice", path);
	if (n == 32)
		conf_error(p, p->line, "more than 32 measured files");
	m = conf_zalloc(sizeof(*m));
	m->path = path;
	*end = m;
}

void
conf_peer_begin(struct parse *p, char *name)
{
	struct conf_peer	*peer;
	const char		*what;

	if ((what = conf_check_peer(name)) != NULL)
		conf_error(p, p->line, "peer \"%s\": %s", name, what);
	conf_fresh(p, SET_PEER_IDENTITY);
	peer = conf_zalloc(sizeof(*peer));
	peer->name = name;
	if (conf_index_add(&p->names, offsetof(struct conf_peer, name), peer)
	    != NULL)
		conf_error(p, p->line, "peer \"%s\" stands here twice", name);
	*(p->last != NULL ? p->last : &p->conf->peers) = peer;
	p->last = &peer->next;
	p->peer = peer;
	p->peer_line = p->line;
}

void
conf_peer_end(struct parse *p)
{
	const struct conf_peer	*o;
	struct conf_peer	*peer = p->peer;

	if ((o = conf_index_add(&p->identities, offsetof(struct conf_peer,
	    identity), peer)) != NULL)
		conf_error(p, p->peer_line, "peer \"%s\" has the "
		    "identity of \"%s\"", peer->name, o->name);
	if ((o = conf_index_add(&p->serials, offsetof(struct conf_peer,
	    serial), peer)) != NULL)
		conf_error(p, p->peer_line, "peer \"%s\" has the "
		    "serial of \"%s\"", peer->name, o->name);
	/* Defaults may stand below: see conf_finish(). */
	peer->line = p->peer_line;
	p->peer = NULL;
}

#define COMPONENT_NAME_MAX	32	/* so that it fits a common name */
#define COMPONENTS_MAX		64

void
conf_component_begin(struct parse *p, char *name)
{
	struct conf_component	*c, **end = &p->conf->components;
	const char		*what = conf_check_name(name);
	unsigned		 n = 0;

	if (what == NULL && strlen(name) > COMPONENT_NAME_MAX)
		what = "the name of a component has at most 32 characters";
	if (what != NULL)
		conf_error(p, p->line, "component \"%s\": %s", name, what);
	for (; *end != NULL; end = &(*end)->next, n++)
		if (same((*end)->name, name))
			conf_error(p, p->line, "component \"%s\" stands here "
			    "twice", name);
	if (n == COMPONENTS_MAX)
		conf_error(p, p->line, "more than 64 components");
	conf_fresh(p, SET_COMP_IDENTITY);
	c = conf_zalloc(sizeof(*c));
	c->name = name;
	*end = c;
	p->component = c;
	p->peer_line = p->line;
}

void
conf_component_end(struct parse *p)
{
	struct conf_component	*o, *c = p->component;

	if (c->address == NULL)
		conf_error(p, p->peer_line, "component \"%s\" has no address",
		    c->name);
	if (p->seen[SET_COMP_ADDRESS] != 0 && p->seen[SET_COMP_MCTP] != 0)
		conf_error(p, p->peer_line, "component \"%s\" has an address "
		    "and another transport", c->name);
	if (c->slot == 0)
		conf_error(p, p->peer_line, "component \"%s\" has no slot: "
		    "1 to 7", c->name);
	/* A maker's root alone has every unit of that maker below it. */
	if (c->identity == NULL && c->serial == NULL)
		conf_error(p, p->peer_line, "component \"%s\" has neither "
		    "identity nor serial", c->name);
	for (o = p->conf->components; o != c; o = o->next)
		if (c->identity != NULL && same(o->identity, c->identity) &&
		    o->slot == c->slot)
			conf_error(p, p->peer_line, "component \"%s\" has the "
			    "identity and slot of \"%s\"", c->name, o->name);
	c->line = p->peer_line;
	p->component = NULL;
}

/* Defaults may stand below. */
static void
finish_components(struct parse *p)
{
	struct conf_component	*c;
	struct conf_peer	*peer;

	for (c = p->conf->components; c != NULL; c = c->next) {
		/* Both are subjects of the audit log. */
		for (peer = p->conf->peers; peer != NULL; peer = peer->next)
			if (same(peer->name, c->name))
				conf_error(p, c->line, "component \"%s\" has "
				    "the name of a peer", c->name);
		if (c->spdm_port == 0)
			c->spdm_port = p->conf->spdm_port;
		if (c->validity == 0)
			c->validity = p->conf->leaf_lifetime;
	}
}

static void
finish_peers(struct parse *p)
{
	struct conf		*c = p->conf;
	struct conf_peer	*peer;

	for (peer = c->peers; peer != NULL; peer = peer->next) {
		if (peer->mtls_port == 0)
			peer->mtls_port = c->mtls_port;
		if (peer->spdm_port == 0)
			peer->spdm_port = c->spdm_port;
		if (peer->keepalive == 0)
			peer->keepalive = c->keepalive;
		if (peer->silence == 0)
			peer->silence = c->silence;
		if (peer->silence <= peer->keepalive)
			conf_error(p, peer->line, "peer \"%s\": silence is not "
			    "longer than keepalive", peer->name);
	}
}

int
conf_later(const struct parse *p, enum conf_set a, enum conf_set b)
{
	int	line = p->seen[a] > p->seen[b] ? p->seen[a] : p->seen[b];

	return line > 0 ? line : p->line;
}

void
conf_finish(struct parse *p)
{
	struct conf	*c = p->conf;

	if (c->silence <= c->keepalive)
		conf_error(p, conf_later(p, SET_KEEPALIVE, SET_SILENCE),
		    "silence is not longer than keepalive");
	else
		finish_peers(p);
	conf_bridges(p);
	finish_components(p);
	conf_ca_finish(p);
	if (p->seen[SET_NODE] == 0 && p->included != NULL)
		conf_host(p);
	else if (p->seen[SET_NODE] == 0)
		conf_error(p, p->line, "no node: give this node a name with "
		    "node \"NAME\"");
	/* 1.1 signs without saying what: we verify it, we do not sign so. */
	if (c->versions == 1 << 2)
		conf_error(p, conf_later(p, SET_VERSIONS, SET_VERSIONS),
		    "spdm versions: this node answers in 1.2 or 1.3 only, so "
		    "that one of them stands beside 1.1");
	if (c->dbus_neighbours && p->seen[SET_DBUS] == 0)
		conf_error(p, conf_later(p, SET_NEIGHBOURS, SET_NEIGHBOURS),
		    "neighbours from dbus needs a line with dbus");
	if (same(c->run_dir, c->state_dir))
		conf_error(p, conf_later(p, SET_RUN, SET_STATE),
		    "run and state directory are the same");
	if (c->mtls_port == c->spdm_port)
		conf_error(p, conf_later(p, SET_MTLS_PORT, SET_SPDM_PORT),
		    "mtls and spdm listen on the same port");
	if (c->max_per_address > c->max_connections)
		conf_error(p, conf_later(p, SET_MAX_PER_ADDRESS,
		    SET_MAX_CONNECTIONS),
		    "limit per-address is above limit connections");
	if (c->evidence_lifetime < c->reattest)
		conf_error(p, conf_later(p, SET_EVIDENCE, SET_REATTEST),
		    "evidence lifetime is shorter than reattest");
	/* TTL is 16 bits of seconds (802.1AB, 8.5.4) */
	if ((uint64_t)c->lldp_interval * c->lldp_hold > 65535 * SECOND)
		conf_error(p, conf_later(p, SET_LLDP_INTERVAL, SET_LLDP_HOLD),
		    "lldp interval times hold is above 65535 s");
}

void
conf_free(struct conf *c)
{
	struct conf_accept	*a;
	struct conf_path	*m;
	struct conf_peer	*peer;
	struct conf_component	*comp;

	if (c == NULL)
		return;
	while ((a = c->accepts) != NULL) {
		c->accepts = a->next;
		free(a->root);
		free(a->serial);
		free(a);
	}
	while ((m = c->measure) != NULL) {
		c->measure = m->next;
		free(m->path);
		free(m);
	}
	while ((peer = c->peers) != NULL) {
		c->peers = peer->next;
		free(peer->name);
		free(peer->identity);
		free(peer->serial);
		free(peer->address);
		free(peer->mctp);
		free(peer->reference);
		free(peer);
	}
	while ((comp = c->components) != NULL) {
		c->components = comp->next;
		free(comp->name);
		free(comp->identity);
		free(comp->serial);
		free(comp->root);
		free(comp->address);
		free(comp);
	}
	conf_ca_free(c);
	free(c->node);
	free(c->interface);
	free(c->run_dir);
	free(c->state_dir);
	free(c->tpm);
	free(c->listen_address);
	free(c->spdm_mctp);
	free(c->boot_id);
	free(c->reference);
	free(c->dbus);
	free(c->cert_root);
	free(c);
}
