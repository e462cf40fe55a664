/*
 * What an LLDP service on the bus shows of a neighbour, as OpenBMC's
 * xyz.openbmc_project.Network.LLDP.TLVs has it. Pure: no bus, no loop.
 */
#ifndef LLDP_TLV_H
#define LLDP_TLV_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "ipc.h"
#include "reason.h"

#define TLV_ROOT	"/xyz/openbmc_project/network/lldp"
#define TLV_MAX		255	/* bytes of a string (IEEE 802.1AB, 8.5) */

/* A chassis or port: the text, and how it is to be read. */
struct tlv_id {
	char		text[TLV_MAX + 1];
	uint8_t		subtype;	/* IEEE 802.1AB-2016, 8.5.2.2, 8.5.3.2;
					   0: the service does not say */
};

/* The properties of an object; zeroes are an object that says nothing. */
struct tlvs {
	struct tlv_id	chassis, port;
	char		name[TLV_MAX + 1];
	char		address4[INET_ADDRSTRLEN], address6[INET6_ADDRSTRLEN];
	uint8_t		mac[6];
	bool		has_mac;
	bool		ours;		/* what this node itself sends */
};

/*
 * One property that has a string, or a number. R_OK, also for a property that
 * is not ours to know; else why its value is left out, and the property is
 * then as if it were empty.
 */
enum reason tlv_text(struct tlvs *, const char *property, const char *value);
enum reason tlv_number(struct tlvs *, const char *property, uint64_t value);
/*
 * The message for policyd, all but its neighbour's number. *there is false if
 * the object tells of nobody. R_OK, or why an id was left out.
 */
enum reason tlv_neighbour(const struct tlvs *, struct msg_neighbour *,
	    bool *there);
/*
 * Is path the object of a frame that came in on the interface (if it is
 * empty, on any)? OpenBMC's service writes eth0.5 as eth0_5, sd_bus_path_encode(3) as eth0_2e5.
 */
bool	tlv_path(const char *path, const char *interface);

#endif
