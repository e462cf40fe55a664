/*
 * policyd: components, devices of this machine one of whose SPDM slots this
 * node fills with a certificate of its own CA. They are no peers: nothing
 * connects with them, nothing is decided by what they hold.
 */
#ifndef COMPONENT_H
#define COMPONENT_H

#include <sys/queue.h>

#include "peer.h"

#define COMPONENT_STEPS	32	/* kept of one enrolment */

enum component_state {
	C_NOTENROLLED,		/* nobody asked, or somebody else's slot */
	C_ENROLLING,
	C_UNFINISHED,		/* interrupted, or it could not be reached */
	C_RESETREQUIRED,	/* goes on once the device was reset */
	C_RESUMING,		/* looking whether it was */
	C_ENROLLED,
	C_RENEWING,
	C_FAILED,		/* refused, by us or by the device */
	C_NSTATES
};

enum component_event {
	CE_ENROL,		/* the operator */
	CE_DUE,			/* renewal, or another look after a reset */
	CE_HELD,		/* the slot holds our certificate */
	CE_BAD,			/* refused */
	CE_LOST,		/* nothing was learnt: unreachable, interrupted */
	CE_RESET,		/* the device wants a reset first */
	CE_NEVENTS
};

/* A certificate for a component; id is its row in `issued'. */
struct component_cert {
	int64_t		 id;		/* 0: none */
	uint8_t		 serial[16];
	uint64_t	 not_before, not_after;
	uint8_t		 ca[HASH_LEN];	/* SHA-256 of the node CA above it */
	size_t		 len;
	uint8_t		 der[CERT_MAX];
};

struct component {
	TAILQ_ENTRY(component) entry;
	const struct conf_component *conf;
	const char	*name;		/* conf->name */
	enum component_state state;
	uint64_t	 since;		/* trusted time */
	struct why	 why;		/* why it is not enrolled */
	struct why	 trouble;	/* the last renewal that failed */

	char		 node[NODE_ID_LEN + 1];	/* proved, or "" */
	char		 device[65];	/* serial number in its subject */
	uint64_t	 attested;	/* trusted time */
	struct component_cert cert;	/* held by the slot */
	struct component_cert next;	/* issued, not seen in the slot yet */
	bool		 reset_set;	/* the reset is for a chain, not a CSR */
	uint8_t		 tag;		/* of the CSR after a reset */

	unsigned	 attempts;	/* since the last good one */
	uint64_t	 due;		/* mono ms of the next, 0: none */
	struct step	 steps[COMPONENT_STEPS];
	unsigned	 nsteps;
	uint32_t	 last_job;
	bool		 looked;	/* it only looked at the slot */
};
TAILQ_HEAD(componentq, component);
extern struct componentq components;

/* ---- component.c --------------------------------------------------------- */

void		 components_start(void);	/* after peers_start() */
void		 components_end(void);		/* for tests */
void		 components_tick(uint64_t mono);
struct component *component_byname(const char *);
const char	*component_state_name(enum component_state);
int		 component_state_find(const char *);	/* or -1 */
/* The slot is believed to hold our certificate. */
bool		 component_enrolled(const struct component *);
/* Trusted time at which its certificate is renewed. */
uint64_t	 component_renewal(const struct component *);
/*
 * The only function that changes a component's state. 0, or -1 if the event
 * has no row in this state.
 */
int		 component_step(struct component *, enum component_event,
		    const struct why *);

/* ---- component_job.c: one enrolment at a time ---------------------------- */

/* The component wants a job; it runs when none of another does. */
void		 component_job_pump(void);
void		 component_job_end(void);
/* Has it a job now? */
bool		 component_job_of(const struct component *);
/* SHA-256 over what tells the device in provd.conf: identity, serial, root. */
void		 component_rules(const struct component *,
		    uint8_t out[HASH_LEN]);
/* SHA-256 of our node CA, which must be there. */
void		 component_ca(uint8_t out[HASH_LEN]);

/* ---- component_store.c --------------------------------------------------- */

void		 component_load(struct component *);
enum reason	 component_save(const struct component *);
/* Rows of components that provd.conf no longer has; an audit record each. */
void		 component_sweep(void);
/* The intent: a row before keyd is asked. Its id, or 0 and *why. */
int64_t		 component_intent(const struct component *,
		    const struct component_cert *, const uint8_t *point,
		    size_t len, struct why *);
enum reason	 component_issued(const struct component_cert *);
void		 component_intent_forget(int64_t id);

/* ---- control_component.c ------------------------------------------------- */

void		 control_component_step(const struct component *,
		    const struct step *);
/* It moved, or an attempt of it ended. */
void		 control_component(struct component *);

#endif
