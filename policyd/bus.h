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
#define BUS_ROOM_MIN	1024	/* of the queue to busd, never filled by this */

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
/* A step of an attestation; peer is an id, or PEER_SELF. */
void		 bus_step(uint32_t peer, const struct step *);
/* The link, if busd has been told of everything and reads what it is told. */
struct chan	*bus_link(void);
void		 bus_soon(void);	/* tell what there is, after the commit */

/* ---- bus_node.c: the node's words ------------------------------------------ */

/*
 * Worse words are told once they have held: of those since the last good one
 * the best. Pure: now is in ms.
 */
struct bus_hold {
	uint32_t	 told;		/* enum peer_connected */
	uint32_t	 best;		/* since then, if since is not 0 */
	uint64_t	 since;		/* ms: it is worse than what was told */
};
uint32_t	 bus_hold(struct bus_hold *, uint32_t word, uint64_t now);

uint32_t	 bus_word(enum peer_state);	/* enum peer_connected */
void		 bus_count(struct peer *);	/* what it adds, or now adds */
void		 bus_uncount(struct peer *);	/* it goes */
bool		 bus_worsening(void);		/* look again soon */
void		 bus_node_start(void);		/* the words as they are now */
void		 bus_node_fill(struct msg_bus_node *);
void		 bus_peer_fill(const struct peer *, struct msg_bus_peer *);

/* ---- bus_outcome.c: what attestations ended with --------------------------- */

/*
 * It went well (provisioned; why is NULL or R_OK), or did not. Who asked for
 * this one hears of it, once each; if nobody did, it came of itself.
 */
void		 bus_outcome(uint32_t peer, bool provisioned,
		    const struct why *);
/* What an event of a peer means for those who asked for it. */
void		 bus_stepped(const struct peer *, enum peer_event,
		    const struct why *);
/*
 * The call is accepted once it is on disk, and its outcome is owed. 0, or -1
 * if too many are.
 */
int		 bus_asked(const struct ipc_call *, uint32_t peer);
void		 bus_forgotten(const struct peer *, bool told);	/* it goes */
/* Send what must come before the states of peers, or what may come after
   them. 0, or -1 if there is no room. */
int		 bus_send_first(struct chan *);
int		 bus_send_outcomes(struct chan *);
bool		 bus_outcomes_wait(void);
void		 bus_outcomes_tick(uint64_t mono);
void		 bus_outcomes_down(void);

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
