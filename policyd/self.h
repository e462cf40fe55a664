/*
 * policyd: this node, attested by itself as it would attest a peer. It grants
 * nothing: no anchor, no verdict about another, no use of a key hangs on it.
 */
#ifndef SELF_H
#define SELF_H

#include "peer.h"

/* SELF_NAME is what it is called, and no peer. */

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

/* ---- for policyd's other files ------------------------------------------- */

void		 self_start(void);
void		 self_end(void);		/* for tests */
void		 self_tick(uint64_t mono);
void		 self_pump(void);	/* a daemon greeted */
/* Something that it is judged by is another now. */
void		 self_changed(void);
/* ATTESTED from this address is our own doing: once for each job. */
bool		 self_heard(const char *address);

const char	*self_state_name(enum self_state);
bool		 self_attesting(void);	/* a job is running */
uint64_t	 self_due(void);	/* mono ms of the next job, or 0 */
unsigned	 self_attempts(void);	/* since the last good one */
uint32_t	 self_last_job(void);
const struct step *self_steps(unsigned *n);	/* of the last job */

/* ---- control_self.c ------------------------------------------------------ */

struct client;
struct msg_ctl_provision;

void		 control_self_step(const struct step *);
void		 control_self_transition(enum self_state from,
		    const char *event, const char *cause, const struct why *);
void		 control_self_attempt(const struct why *);
/* A verdict: R_OK or why not; whoever waited is answered. */
void		 control_self_judged(const struct why *);
void		 control_self_status(struct client *);
int		 control_self_provision(struct client *,
		    const struct msg_ctl_provision *);
int		 control_self_explain(struct client *);
/* Nobody waits any longer: what to say. */
void		 control_self_pending(struct why *);

#endif
