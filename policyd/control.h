/* policyd: the control socket; prototypes, grouped by file. */
#ifndef CONTROL_H
#define CONTROL_H

#include <sys/queue.h>

#include <jansson.h>

#include "peer.h"

#define CLIENTS_MAX	16
#define MONITOR_MAX	256	/* rows that a monitor may be behind */
#define WAIT_MS		60000	/* provision --wait gives up */
#define STALL_MS	30000	/* a reader this slow is cut off */

/* ---- control.c ---------------------------------------------------------- */

struct client {
	TAILQ_ENTRY(client) entry;
	struct chan	*chan;
	uid_t		 uid;
	pid_t		 pid;
	bool		 busy;		/* a call is not answered yet */
	struct ipc_call	 call;		/* that one */
	/* Send the next rows of the answer: true if there are more. */
	bool		 (*next)(struct client *);
	uint64_t	 cursor;	/* of next(): where it stands */
	void		*listing;	/* or what it must remember; freed with it */
	bool		 paused;	/* next() goes on in another turn */
	bool		 monitor;
	uint64_t	 lost;		/* rows that a monitor missed */
	uint32_t	 wait;		/* peer that a provision waits for */
	const struct component *component;	/* that an enrol waits for */
	bool		 self;		/* a provision waits for this node */
	uint64_t	 wait_until;	/* mono ms */
	uint64_t	 stalled;	/* mono ms: does not read since, or 0 */
};
TAILQ_HEAD(clientq, client);
extern struct clientq clients;

/* NULL if the client's last call is not answered: refused already. */
struct client	*client_begin(struct chan *, const struct ipc_call *);
/* Sends the row and frees it. */
void		 client_row(struct client *, json_t *);
/* Answer with rows: next() is called as the reader takes them; then DONE. */
int		 client_stream(struct client *, bool (*next)(struct client *));
int		 client_done(struct client *);		/* at once */
int		 client_ack(struct client *);		/* after the commit */
int		 client_refuse(struct client *, const struct why *);
int		 client_refuse_r(struct client *, enum reason,
		    const char *field, const char *expected,
		    const char *seen);
/* The client whose call this is, if it is still there and waits. */
struct client	*client_of(const struct ipc_call *);
/* To every monitor; frees the row. */
void		 monitors_row(json_t *);
/* To whoever waits for that, and every monitor; frees the row. */
void		 waiters_row(bool (*waits)(const struct client *,
		    const void *what), const void *what, json_t *);
/* The same for a peer, or for nobody but monitors. */
void		 watchers_row(const struct peer *, json_t *);
void		 control_tick(uint64_t mono);

/* ---- control_row.c: what the table in control.c says -------------------- */

json_t		*row_new(const char *type);
/* An empty one is null. */
void		 row_str(json_t *, const char *key, const char *);
void		 row_num(json_t *, const char *key, int64_t);
void		 row_bool(json_t *, const char *key, bool);
void		 row_time(json_t *, const char *key, uint64_t);	/* 0: null */
/* A time of our monotonic clock, in ms, as time of day; 0: null. */
void		 row_mono(json_t *, const char *key, uint64_t);
void		 row_hex(json_t *, const char *key, const void *, size_t);
void		 row_pem(json_t *, const char *key, const char *what,
		    const uint8_t *der, size_t);
void		 row_null(json_t *, const char *key);
void		 row_why(json_t *, const char *key, const struct why *);
void		 row_reason(json_t *, const char *key, enum reason);
json_t		*row_peer(const struct peer *);
json_t		*row_evidence(const struct peer *);
json_t		*row_step(const char *peer, uint32_t job, const struct step *);
json_t		*row_measurement(const struct peer *,
		    const struct measurement *);
json_t		*row_link(const struct peer *);
json_t		*row_neighbour(const struct neighbour *, const char *event);
json_t		*row_reference(const struct peer *, const char *set,
		    const struct measures *, const struct measurement *);
json_t		*row_audit(const struct audit_row *);

/* ---- control_trail.c ----------------------------------------------------- */

/* A row of a certificate, with its PEM. */
void		 control_certificate(struct client *, const char *use,
		    unsigned position, const uint8_t *der, size_t len);

#endif
