/*
 * The LLDPDU of IEEE 802.1AB-2016 as bytes. The decoder reads what any
 * station on the cable may send: every length is checked against what is
 * left, nothing is allocated, and no field reaches further than its TLV.
 *
 * An error in the order or form of the mandatory TLVs, or a TLV that reaches
 * past the end, refuses the LLDPDU; an error inside an optional TLV leaves
 * out that TLV (9.2.7.7).
 */
#include <arpa/inet.h>
#include <string.h>

#include "claim.h"
#include "lldp.h"

/* 8.4.1: TLV types. Those that are not here are skipped (8.6 too). */
enum {
	TLV_END,
	TLV_CHASSIS,
	TLV_PORT,
	TLV_TTL,
	TLV_PORT_DESCRIPTION,
	TLV_SYSTEM_NAME,
	TLV_SYSTEM_DESCRIPTION,
	TLV_CAPABILITIES,
	TLV_ADDRESS,
	TLV_NKNOWN
};

/* IANA address family numbers, 8.5.9.4 */
#define AFN_IPV4	1
#define AFN_IPV6	2

#define IFNUM_IFINDEX	2	/* 8.5.9.5 */
#define OID_MAX		128	/* 8.5.9.8 */

struct tlv {
	unsigned	 type;
	size_t		 len;
	const uint8_t	*data;
};

struct out {
	uint8_t	*buf;
	size_t	 size, len;
	bool	 full;
};

/* ---- decode ------------------------------------------------------------ */

/* These strings end on an operator's terminal and in the log. */
static int
get_string(const struct tlv *t, bool lines, char *out)
{
	if (t->len > LLDP_STR_MAX || !claim_text(t->data, t->len, lines))
		return -1;
	memcpy(out, t->data, t->len);
	out[t->len] = '\0';
	return 0;
}

static uint16_t
get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static enum reason
get_id(const struct tlv *t, struct lldp_id *id)
{
	if (t->len < 2 || t->len > LLDP_STR_MAX + 1)
		return R_LLD_ID;
	id->subtype = t->data[0];
	id->len = (uint8_t)(t->len - 1);
	memcpy(id->data, t->data + 1, id->len);
	return R_OK;
}

static enum reason
get_caps(const struct tlv *t, struct lldpdu *p)
{
	uint16_t	caps, enabled;

	if (t->len != 4)
		return R_LLD_TLV;
	caps = get16(t->data);
	enabled = get16(t->data + 2);
	if ((enabled & ~caps) != 0)	/* 8.5.8.2 */
		return R_LLD_TLV;
	p->has_caps = true;
	p->caps = caps;
	p->enabled = enabled;
	return R_OK;
}

static enum reason
get_address4(const uint8_t *data, size_t len, struct lldpdu *p)
{
	struct in_addr	a;

	if (len != sizeof(a))
		return R_LLD_TLV;
	memcpy(&a, data, sizeof(a));
	if (!claim_address4(a))
		return R_LLD_ADDRESS;
	if (p->naddr4 < LLDP_ADDRS)
		p->addr4[p->naddr4++] = a;
	return R_OK;
}

static enum reason
get_address6(const uint8_t *data, size_t len, struct lldpdu *p)
{
	struct in6_addr	a;

	if (len != sizeof(a))
		return R_LLD_TLV;
	memcpy(&a, data, sizeof(a));
	if (!claim_address6(&a))
		return R_LLD_ADDRESS;
	if (p->naddr6 < LLDP_ADDRS)
		p->addr6[p->naddr6++] = a;
	return R_OK;
}

/*
 * 8.5.9: length of subtype and address, subtype, address, interface
 * numbering subtype, interface number (4), length of OID, OID.
 */
static enum reason
get_address(const struct tlv *t, struct lldpdu *p)
{
	const uint8_t	*d = t->data;
	enum reason	 r;
	size_t		 alen;
	uint32_t	 number;

	if (t->len < 1 || (alen = d[0]) < 2 || alen > 32 ||
	    t->len < 1 + alen + 6 || d[1 + alen + 5] > OID_MAX ||
	    t->len != 1 + alen + 6 + d[1 + alen + 5])
		return R_LLD_TLV;
	number = (uint32_t)get16(d + 1 + alen + 1) << 16 |
	    get16(d + 1 + alen + 3);
	if (d[1] == AFN_IPV4)
		r = get_address4(d + 2, alen - 1, p);
	else if (d[1] == AFN_IPV6)
		r = get_address6(d + 2, alen - 1, p);
	else
		return R_OK;
	if (r == R_OK && d[1 + alen] == IFNUM_IFINDEX && p->ifindex == 0)
		p->ifindex = number;
	return r;
}

static enum reason
get_text(const struct tlv *t, struct lldpdu *p)
{
	char	*out = NULL;

	if (t->type == TLV_PORT_DESCRIPTION)
		out = p->port_description;
	else if (t->type == TLV_SYSTEM_NAME)
		out = p->system_name;
	else
		out = p->system_description;
	/* Switches describe themselves in several lines. */
	return get_string(t, t->type != TLV_SYSTEM_NAME, out) == -1 ?
	    R_LLD_STRING : R_OK;
}

static void
get_optional(const struct tlv *t, struct lldpdu *p)
{
	enum reason	r;

	if (t->type >= TLV_NKNOWN)
		return;
	if (t->type == TLV_CAPABILITIES)
		r = get_caps(t, p);
	else if (t->type == TLV_ADDRESS)
		r = get_address(t, p);
	else
		r = get_text(t, p);
	if (r != R_OK && p->ndiscarded++ == 0)
		p->discarded = r;
}

/* 8.4: seven bits of type, nine of length. 0, or -1 if it is cut off. */
static int
tlv_next(const uint8_t **p, size_t *left, struct tlv *t)
{
	if (*left < 2)
		return -1;
	t->type = (*p)[0] >> 1;
	t->len = (size_t)((*p)[0] & 1) << 8 | (*p)[1];
	*p += 2;
	*left -= 2;
	if (t->len > *left)
		return -1;
	t->data = *p;
	*p += t->len;
	*left -= t->len;
	return 0;
}

static enum reason
get_mandatory(const struct tlv *t, unsigned place, struct lldpdu *p)
{
	if (t->type != place)
		return R_LLD_ORDER;
	if (place == TLV_CHASSIS)
		return get_id(t, &p->chassis);
	if (place == TLV_PORT)
		return get_id(t, &p->port);
	if (t->len != 2)
		return R_LLD_TTL;
	p->ttl = get16(t->data);
	return R_OK;
}

enum reason
lldp_decode(const uint8_t *buf, size_t len, struct lldpdu *p)
{
	struct tlv	t;
	uint32_t	seen = 0;
	unsigned	place;
	enum reason	r;

	memset(p, 0, sizeof(*p));
	for (place = TLV_CHASSIS; place <= TLV_TTL; place++) {
		if (tlv_next(&buf, &len, &t) == -1)
			return R_LLD_LENGTH;
		if ((r = get_mandatory(&t, place, p)) != R_OK)
			return r;
	}
	for (;;) {
		if (len == 0)
			return R_LLD_END;
		if (tlv_next(&buf, &len, &t) == -1)
			return R_LLD_LENGTH;
		if (t.type == TLV_END)
			break;
		if (t.type <= TLV_TTL || (t.type < TLV_ADDRESS &&
		    (seen & 1U << t.type) != 0))
			return R_LLD_DUPLICATE;
		if (t.type < TLV_ADDRESS)
			seen |= 1U << t.type;
		get_optional(&t, p);
	}
	/* What follows the end is padding of the frame (8.5.1). */
	return t.len == 0 ? R_OK : R_LLD_END;
}

/* ---- encode ------------------------------------------------------------ */

static void
put(struct out *o, const void *data, size_t len)
{
	if (o->full || len > o->size - o->len) {
		o->full = true;
		return;
	}
	if (len != 0)
		memcpy(o->buf + o->len, data, len);
	o->len += len;
}

static void
put8(struct out *o, unsigned v)
{
	uint8_t	b = (uint8_t)v;

	put(o, &b, 1);
}

static void
put16(struct out *o, unsigned v)
{
	put8(o, v >> 8 & 0xff);
	put8(o, v & 0xff);
}

static void
put_head(struct out *o, unsigned type, size_t len)
{
	put16(o, type << 9 | (unsigned)len);
}

static void
put_id(struct out *o, unsigned type, const struct lldp_id *id)
{
	put_head(o, type, 1 + (size_t)id->len);
	put8(o, id->subtype);
	put(o, id->data, id->len);
}

static void
put_string(struct out *o, unsigned type, const char *s)
{
	size_t	len = strlen(s);

	if (len == 0)
		return;
	put_head(o, type, len);
	put(o, s, len);
}

static void
put_address(struct out *o, unsigned family, const void *a, size_t len,
    uint32_t ifindex)
{
	put_head(o, TLV_ADDRESS, 1 + 1 + len + 6);
	put8(o, (unsigned)len + 1);
	put8(o, family);
	put(o, a, len);
	put8(o, IFNUM_IFINDEX);
	put16(o, ifindex >> 16);
	put16(o, ifindex & 0xffff);
	put8(o, 0);		/* no OID */
}

int
lldp_encode(const struct lldpdu *p, uint8_t *buf, size_t size, size_t *len)
{
	struct out	o = { .buf = buf, .size = size };
	size_t		i;

	if (p->chassis.len == 0 || p->port.len == 0 ||
	    p->naddr4 > LLDP_ADDRS || p->naddr6 > LLDP_ADDRS)
		return -1;
	put_id(&o, TLV_CHASSIS, &p->chassis);
	put_id(&o, TLV_PORT, &p->port);
	put_head(&o, TLV_TTL, 2);
	put16(&o, p->ttl);
	if (p->ttl != 0) {	/* a shutdown LLDPDU has no more (8.2.1) */
		put_string(&o, TLV_PORT_DESCRIPTION, p->port_description);
		put_string(&o, TLV_SYSTEM_NAME, p->system_name);
		put_string(&o, TLV_SYSTEM_DESCRIPTION, p->system_description);
		if (p->has_caps) {
			put_head(&o, TLV_CAPABILITIES, 4);
			put16(&o, p->caps);
			put16(&o, p->enabled);
		}
		for (i = 0; i < p->naddr4; i++)
			put_address(&o, AFN_IPV4, &p->addr4[i],
			    sizeof(p->addr4[i]), p->ifindex);
		for (i = 0; i < p->naddr6; i++)
			put_address(&o, AFN_IPV6, &p->addr6[i],
			    sizeof(p->addr6[i]), p->ifindex);
	}
	put_head(&o, TLV_END, 0);
	if (o.full)
		return -1;
	*len = o.len;
	return 0;
}

bool
lldp_id_same(const struct lldp_id *a, const struct lldp_id *b)
{
	return a->subtype == b->subtype && a->len == b->len &&
	    memcmp(a->data, b->data, a->len) == 0;
}
