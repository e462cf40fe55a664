/*
 * LLDP (IEEE 802.1AB-2016): the LLDPDU as bytes and as a struct, and the
 * table of neighbours. Pure: no socket, no clock, no message.
 */
#ifndef LLDP_H
#define LLDP_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reason.h"

#define LLDP_ETHERTYPE		0x88cc
#define LLDP_MAX		1500	/* bytes of an LLDPDU: one frame */
#define LLDP_STR_MAX		255	/* bytes of a string or an id (8.5) */
#define LLDP_ADDRS		4	/* addresses kept, each family */

/* 8.5.2.2 and 8.5.3.2: the subtypes that we send ourselves. */
#define LLDP_CHASSIS_MAC	4
#define LLDP_PORT_IFNAME	5

/* 8.5.8.1 */
#define LLDP_CAP_STATION	0x0080

struct lldp_id {
	uint8_t		subtype;
	uint8_t		len;		/* 1..255 */
	uint8_t		data[LLDP_STR_MAX];
};

/*
 * What an LLDPDU says. Strings are printable UTF-8, NUL-terminated, empty
 * if absent. Addresses are unicast. What a stranger wrote is a claim.
 */
struct lldpdu {
	struct lldp_id	chassis, port;
	uint16_t	ttl;		/* s; 0: the sender says goodbye */
	char		port_description[LLDP_STR_MAX + 1];
	char		system_name[LLDP_STR_MAX + 1];
	char		system_description[LLDP_STR_MAX + 1];
	bool		has_caps;
	uint16_t	caps, enabled;
	uint32_t	ifindex;	/* interface number of the addresses */
	uint8_t		naddr4, naddr6;
	struct in_addr	addr4[LLDP_ADDRS];
	struct in6_addr	addr6[LLDP_ADDRS];
	/*
	 * Optional TLVs that were left out because they were malformed
	 * (9.2.7.7: the rest of the LLDPDU counts), and why the first was.
	 */
	unsigned	ndiscarded;
	enum reason	discarded;
};

/* ---- lldp.c ------------------------------------------------------------ */

/* 0 and the length, or -1 if a field is out of bounds or buf too small. */
int	lldp_encode(const struct lldpdu *, uint8_t *buf, size_t size,
	    size_t *len);
/* R_OK, or the reason for which the whole LLDPDU is refused. */
enum reason lldp_decode(const uint8_t *buf, size_t len, struct lldpdu *);
bool	lldp_id_same(const struct lldp_id *, const struct lldp_id *);

/* ---- neighbour.c ------------------------------------------------------- */

#define NEIGHBOUR_MAX	64

struct neighbour {
	uint32_t	id;		/* never used twice */
	struct lldpdu	pdu;
	uint64_t	heard;		/* monotonic ms; the last time */
	uint64_t	expires;	/* monotonic ms */
	uint64_t	reported;	/* monotonic ms; last ops->heard */
	bool		dirty;		/* changed since it was reported */
};

struct neighbour_ops {
	void	(*heard)(const struct neighbour *);	/* new or changed */
	void	(*gone)(uint32_t id);
	void	(*fresh)(void);		/* a new one: announce ourselves fast */
	/*
	 * Does it claim the address of a trusted peer? Such a row is not
	 * shut out by those that do not; NULL: nobody does.
	 */
	bool	(*known)(const struct lldpdu *);
};

int	neighbour_init(const struct neighbour_ops *);	/* 0 or -1 */
/*
 * A decoded LLDPDU arrived at now (monotonic ms). R_OK, or the reason for
 * which it changes nothing (table full, too much news).
 */
enum reason neighbour_heard(const struct lldpdu *, uint64_t now);
void	neighbour_sweep(uint64_t now);	/* age, and report what waited */
void	neighbour_each(void (*)(const struct neighbour *));
unsigned neighbour_count(void);
void	neighbour_free(void);

#endif
