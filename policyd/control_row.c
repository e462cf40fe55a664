/* Rows of JSON, as the table in control.c lists them. */
#include <openssl/sha.h>

#include <stdio.h>
#include <string.h>

#include "control.h"
#include "hex.h"

#define LAST_TIME	253402300799ULL	/* RFC 3339 ends with 9999 */

json_t *
row_new(const char *type)
{
	json_t	*o;

	if ((o = json_pack("{s:s}", "row", type)) == NULL)
		fatal("json");
	return o;
}

/* Takes v; a text that is not UTF-8 becomes null. */
static void
row_set(json_t *o, const char *key, json_t *v)
{
	if (v == NULL)
		v = json_null();
	if (json_object_set_new(o, key, v) == -1)
		fatal("json");
}

void
row_null(json_t *o, const char *key)
{
	row_set(o, key, NULL);
}

void
row_str(json_t *o, const char *key, const char *s)
{
	row_set(o, key, s == NULL || *s == '\0' ? NULL : json_string(s));
}

void
row_num(json_t *o, const char *key, int64_t n)
{
	row_set(o, key, json_integer(n));
}

void
row_bool(json_t *o, const char *key, bool b)
{
	row_set(o, key, json_boolean(b));
}

void
row_time(json_t *o, const char *key, uint64_t t)
{
	char	buf[32];

	if (t == 0 || t > LAST_TIME) {
		row_null(o, key);
		return;
	}
	time_text(t, buf, sizeof(buf));
	row_str(o, key, buf);
}

void
row_hex(json_t *o, const char *key, const void *p, size_t n)
{
	char	buf[HEX_SIZE(128)];

	hex(p, n < 128 ? n : 128, buf);
	row_str(o, key, buf);
}

void
row_why(json_t *o, const char *key, const struct why *w)
{
	json_t	*v;

	if (w == NULL || w->reason == R_OK) {
		row_null(o, key);
		return;
	}
	if ((v = json_object()) == NULL)
		fatal("json");
	row_str(v, "code", reason_code(w->reason));
	row_str(v, "text", reason_text(w->reason));
	row_str(v, "remedy", reason_remedy(w->reason));
	row_str(v, "field", w->field);
	row_str(v, "expected", w->expected);
	row_str(v, "seen", w->seen);
	row_set(o, key, v);
}

void
row_reason(json_t *o, const char *key, enum reason r)
{
	struct why	w;

	why_set(&w, r, NULL, NULL, NULL);
	row_why(o, key, &w);
}

void
row_pem(json_t *o, const char *key, const char *what, const uint8_t *der,
    size_t len)
{
	char	buf[PEM_SIZE(SLOT_MAX)];

	row_str(o, key, pem_text(buf, sizeof(buf), what, der, len) > 0 ?
	    buf : "");
}

/* ---- peers -------------------------------------------------------------- */

void
row_mono(json_t *o, const char *key, uint64_t mono)
{
	uint64_t	now = peers_env.mono();

	if (mono == 0)
		row_null(o, key);
	else
		row_time(o, key, peers_env.now() +
		    (mono > now ? (mono - now) / 1000 : 0));
}

static void
row_age(json_t *o, const struct peer *p)
{
	uint64_t	age = peers_run() - p->attested_run;
	uint64_t	life = conf->evidence_lifetime;

	if (!peer_trusted(p))
		row_null(o, "expires");
	else
		row_time(o, "expires", peers_env.now() +
		    (life > age ? (life - age) / 1000 : 0));
}

json_t *
row_peer(const struct peer *p)
{
	static const char *const origins[] = {
	    "configuration", "operator", "neighbour" };
	json_t		*o = row_new("peer");
	const char	*from, *address = net_address(p, &from);
	struct why	 warning;

	row_str(o, "name", p->name);
	row_str(o, "origin", origins[p->origin]);
	row_str(o, "state", fsm_state_name(p->state));
	row_bool(o, "provisioned", peer_trusted(p));
	row_str(o, "connected", fsm_connected(p->state));
	row_time(o, "since", p->since);
	row_str(o, "node", p->ev != NULL ? p->ev->node : "");
	row_str(o, "identity", p->identity);
	row_str(o, "identity_from", *p->identity == '\0' ? "" :
	    p->conf != NULL && p->conf->identity != NULL ? origins[FROM_CONF] :
	    p->pinned == PIN_CODE ? "code" : origins[FROM_OPERATOR]);
	row_mono(o, "code", p->code.held ? p->code.until : 0);
	row_str(o, "serial", p->serial);
	row_str(o, "address", address);
	row_str(o, "address_from", *address != '\0' ? from : "");
	row_bool(o, "attesting", p->job != NULL || p->queued);
	row_time(o, "attested", p->attested);
	row_age(o, p);
	row_mono(o, "next", p->due);
	row_num(o, "attempts", p->attempts);
	row_num(o, "shift", p->ev == NULL ? 0 : policy_shift(
	    p->ev->anchor_before, p->ev->anchor_after, peers_env.now()));
	row_why(o, "reason", &p->why);
	/* What the last attempt met comes before what is always so. */
	why_set(&warning, p->warning, NULL, NULL, NULL);
	row_why(o, "warning", p->trouble.reason != R_OK ? &p->trouble :
	    peer_trusted(p) ? &warning : NULL);
	return o;
}

json_t *
row_evidence(const struct peer *p)
{
	const struct evidence	*ev = p->ev;
	json_t			*o = row_new("evidence");
	uint8_t			 hash[HASH_LEN];
	char			 version[8];

	snprintf(version, sizeof(version), "%u.%u", ev->version >> 4,
	    ev->version & 15);
	row_str(o, "peer", p->name);
	row_time(o, "time", p->attested);
	row_str(o, "version", version);
	row_str(o, "algorithm", ev->algorithm == KEY_P256 ? "P-256/SHA-256" :
	    "P-384/SHA-384");
	row_str(o, "node", ev->node);
	row_str(o, "serial", ev->serial);
	row_str(o, "device", ev->device);
	row_str(o, "subject", ev->subject);
	row_hex(o, "root", ev->root, HASH_LEN);
	row_time(o, "not_before", ev->not_before);
	row_time(o, "not_after", ev->not_after);
	SHA256(ev->anchor, ev->anchor_len, hash);
	row_hex(o, "anchor", hash, sizeof(hash));
	return o;
}

json_t *
row_step(const char *peer, uint32_t job, const struct step *s)
{
	json_t	*o = row_new("step");

	row_str(o, "peer", peer);
	row_null(o, "component");
	row_num(o, "job", job);
	row_num(o, "step", s->step);
	row_str(o, "name", step_name(s->step));
	row_str(o, "detail", s->detail);
	row_time(o, "time", s->time);
	return o;
}

json_t *
row_measurement(const struct peer *p, const struct measurement *m)
{
	json_t			*o = row_new("measurement");
	const struct measures	*list;
	enum ref_source		 source;
	const char		*judged = "unjudged";

	list = peer_reference(p, &source);
	switch (measurement_judge(m, list)) {
	case J_UNJUDGED:
		break;
	case J_EQUAL:
		judged = source == REF_BASELINE ? "baseline" : "equal";
		break;
	case J_IGNORED:
		judged = "ignored";
		break;
	case J_DIFFERS:
	case J_UNLISTED:
		judged = "differs";
		break;
	}
	row_str(o, "peer", p->name);
	row_num(o, "index", m->index);
	row_num(o, "type", m->type);
	row_str(o, "kind", measurement_boot(m) ? "boot id" :
	    measurement_kind(m->type));
	row_bool(o, "raw", m->raw);
	if (m->vlen > 0)
		row_hex(o, "value", m->value, m->vlen);
	else
		row_hex(o, "value", m->digest, m->dlen);
	row_str(o, "judged", judged);
	return o;
}

json_t *
row_link(const struct peer *p)
{
	static const char *const states[] = { "none", "in progress",
	    "connected" };
	json_t	*o = row_new("link");

	row_str(o, "peer", p->name);
	row_str(o, "state", states[p->link]);
	row_bool(o, "dialled", p->dialled);
	row_str(o, "address", p->link_address);
	row_why(o, "reason", &p->link_why);
	row_time(o, "since", p->link_since);
	return o;
}

json_t *
row_reference(const struct peer *p, const char *set, const struct measures *l,
    const struct measurement *m)
{
	json_t	*o = row_new("reference");

	row_str(o, "peer", p->name);
	row_str(o, "set", set);
	row_num(o, "index", m->index);
	if (m->type == MEASURE_ANY_TYPE)
		row_null(o, "type");
	else
		row_num(o, "type", m->type);
	row_str(o, "kind", m->type == MEASURE_ANY_TYPE ? "" :
	    measurement_boot(m) ? "boot id" : measurement_kind(m->type));
	row_bool(o, "raw", m->raw);
	row_hex(o, "digest", m->digest, m->dlen);
	row_bool(o, "ignore", measures_ignored(l, m->index) ||
	    measurement_boot(m));
	row_time(o, "time", l->time);
	return o;
}

/* ---- neighbours --------------------------------------------------------- */

static bool
printable(const uint8_t *p, size_t n)
{
	size_t	i;

	for (i = 0; i < n; i++)
		if (p[i] < 0x20 || p[i] > 0x7e)
			return false;
	return n > 0;
}

/*
 * IEEE 802.1AB, 8.5.2.2 and 8.5.3.2: subtype mac is a MAC address, network an
 * address with its family; the others are names, or else shown in hex.
 */
static void
row_id(json_t *o, const char *key, const uint8_t *p, size_t n, bool mac)
{
	char	buf[2 * 255 + 1] = "";
	size_t	i;

	if (!mac && printable(p, n)) {
		memcpy(buf, p, n);
		buf[n] = '\0';
	} else
		for (i = 0; i < n && i * 3 + 3 < sizeof(buf); i++)
			snprintf(buf + 3 * i, 4, "%02x%s", p[i],
			    i + 1 < n ? ":" : "");
	row_str(o, key, buf);
}

json_t *
row_neighbour(const struct neighbour *n, const char *event)
{
	const struct peer	*p = peer_byname(n->m.system_name);
	json_t			*o = row_new("neighbour");

	row_num(o, "neighbour", n->m.neighbour);
	row_str(o, "name", n->m.system_name);
	row_id(o, "chassis", n->m.chassis.data, n->m.chassis.len,
	    n->m.chassis_subtype == 4);
	row_num(o, "chassis_subtype", n->m.chassis_subtype);
	row_id(o, "port", n->m.port.data, n->m.port.len,
	    n->m.port_subtype == 3);
	row_num(o, "port_subtype", n->m.port_subtype);
	row_num(o, "ttl", n->m.ttl);
	row_str(o, "address4", n->m.address4);
	row_str(o, "address6", n->m.address6);
	row_time(o, "heard", n->heard);
	row_str(o, "peer", p != NULL ? p->name : "");
	row_str(o, "event", event);
	return o;
}

json_t *
row_audit(const struct audit_row *a)
{
	json_t	*o = row_new("audit");
	int	 r = reason_find(a->reason);

	row_num(o, "sequence", (int64_t)a->sequence);
	row_time(o, "time", a->time);
	row_str(o, "kind", a->kind);
	row_str(o, "subject", a->subject);
	row_reason(o, "reason", r > 0 ? (enum reason)r : R_OK);
	row_str(o, "text", a->text);
	row_hex(o, "hash", a->hash, HASH_LEN);
	return o;
}
