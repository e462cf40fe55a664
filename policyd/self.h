/*
 * policyd: this node, attested by itself as it would attest a peer. It grants
 * nothing: no anchor, no verdict about another, no use of a key hangs on it.
 */
#ifndef SELF_H
#define SELF_H

#include "peer.h"

#define SELF_NAME	"self"	/* what it is called; no peer is */

/*
 * It is looked after: the configuration has D-Bus, or somebody asked for it
 * since policyd started. Where it is not, nothing of it runs.
 */
bool		 self_runs(void);
enum self_state	 self_state(void);
/* R_OK, or why it is not provisioned; what a last look failed of is in
   self_trouble() while it is. */
const struct why *self_why(void);
const struct why *self_trouble(void);
enum reason	 self_warning(void);	/* of one that is provisioned, or R_OK */
uint64_t	 self_since(void);	/* trusted time of the state, or 0 */
uint64_t	 self_attested(void);	/* trusted time of its evidence, or 0 */
/*
 * Attest it now. It is always accepted; bus_outcome(PEER_SELF, ...) follows,
 * which may be at once.
 */
void		 self_provision(void);

#endif
