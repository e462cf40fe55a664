/*
 * policyd: what the face on D-Bus is told, and what it may ask for.
 *
 * busd holds nothing and decides nothing. Nothing here waits for it: what it
 * has not read yet stays a mark on a peer, and a busd that is not there, does
 * not read or lies delays nobody. Without 'dbus' in provd.conf(5) nothing of
 * this runs.
 */
#ifndef BUS_H
#define BUS_H

#include "peer.h"

#define BUS_HOLD_MS	2000	/* the node's word must be worse for so long */
#define BUS_PATIENCE_MS	30000	/* after which an asked outcome is "pending" */
#define BUS_ASKED_MAX	64	/* provisions that wait for their outcome */

/* ---- bus.c: what it is told ------------------------------------------------ */

void		 bus_start(void);	/* after the peers were loaded */
void		 bus_up(void);		/* busd greeted: it is told everything */
void		 bus_down(void);
void		 bus_tick(uint64_t mono);	/* once a second */
void		 bus_end(void);		/* for tests: forget everything */
/*
 * Something that is shown may have changed: of this node, or of a peer. Cheap;
 * busd is told once, after this turn's commit.
 */
void		 bus_node_changed(void);
void		 bus_peer_changed(struct peer *);
void		 bus_peer_gone(struct peer *);	/* before it is freed */
/*
 * A step of an attestation, and what one ended with: well (provisioned, why is
 * NULL or R_OK), or not. peer is an id, or PEER_SELF.
 */
void		 bus_step(uint32_t peer, const struct step *);
void		 bus_outcome(uint32_t peer, bool provisioned,
		    const struct why *);

/* ---- bus_ask.c: what it asks for ------------------------------------------- */

/*
 * Read who may ask, root and the group provd, before confinement. developer:
 * our own user may, too.
 */
void		 bus_read(const struct conf *, bool developer);
bool		 bus_may(uint32_t uid);

IPC_HANDLER(busd_provision);
IPC_HANDLER(busd_unprovision);
IPC_HANDLER(busd_revoke);
IPC_HANDLER(busd_log_level);

#endif
