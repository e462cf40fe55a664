/*
 * Hostile sisters: what a daemon that was taken over could say, generated
 * from messages.def, and the means to say it. sister.c takes the place of a
 * daemon of a running node, sisterhub.c that of every sister of one daemon,
 * regress/unit/sisters.c that of both ends of a channel.
 */
#ifndef SISTER_H
#define SISTER_H

#include <sys/types.h>

#include "ipc.h"

/* ---- sister_list.c: the attempts ---- */

/* How a message is put. All but PLAIN are said by who may say the message. */
enum how {
	HOW_PLAIN,		/* canonical, as it should be */
	HOW_FD,			/* a descriptor where none belongs */
	HOW_NO_FD,		/* none where one belongs */
	HOW_TWO_FDS,
	HOW_SHORT,		/* its last byte is missing */
	HOW_LONG,		/* a byte after the last field */
	HOW_FEWER, HOW_MORE,	/* fields than the message has */
	HOW_WIDE,		/* not the shortest form */
	HOW_NUMBER,		/* an event with a number, a call without */
	HOW_BOUND,		/* a field beyond its bound */
	HOW_KIND,		/* a field of another kind */
	HOW_UTF8, HOW_NUL,	/* a string that is none */
	/* No message of the catalogue at all. */
	HOW_GARBAGE, HOW_UNKNOWN, HOW_HUGE, HOW_NOT_ARRAY
};

struct attempt {
	enum ipc_role	 from, to;
	enum ipc_phase	 phase;
	enum ipc_type	 type;
	enum how	 how;
	unsigned	 field;		/* for BOUND to NUL */
	/* What the receiver must find, and in what. */
	enum reason	 reason;
	unsigned	 blame;		/* a type, or MSG_NONE */
};

#define ATTEMPT_MAX	(IPC_MAX_RECORD + 64)	/* bytes of one */

/*
 * Every offence that from can commit towards to in this phase; *n of them, to
 * be freed by the caller. What is no offence is not in it.
 */
struct attempt *attempts(enum ipc_role from, enum ipc_role to, enum ipc_phase,
	    size_t *n);
/* The record; buf has ATTEMPT_MAX bytes. */
size_t	attempt_record(const struct attempt *, uint8_t *buf);
unsigned attempt_fds(const struct attempt *);	/* that travel with it */
/* "netd > keyd, run: CERT_REQ plain". Static memory. */
const char *attempt_name(const struct attempt *);
/* "CERT_REQ", or what policyd's audit calls a record without a type. */
const char *attempt_blame(const struct attempt *);

/* ---- sister_wire.c: the means ---- */

#define SISTER_MS	15000	/* patience with an answer */

/* A record that sister_recv() read. */
struct heard {
	enum ipc_type	 type;
	uint32_t	 id;
	int		 fd;	/* -1 if none came; the reader's */
	union ipc_any	 msg;
};

/* A process that plays one daemon of a running node. */
struct sister {
	enum ipc_role	 role;
	int		 hub;			/* -1: closed */
	int		 link[IPC_NROLES];	/* -1: none yet */
	uint32_t	 generation[IPC_NROLES];
	uint32_t	 next_id;
	struct heard	 job;	/* JOB_OPEN that came meanwhile */
};

/* Become the user of a role; the group may be another role's. Ends the process
 * on failure. */
void	sister_user(enum ipc_role user, enum ipc_role group);
/* The hub socket of a role below DIR (run/, state/), or -1 with errno. */
int	sister_dial(const char *dir, enum ipc_role);
/* n descriptors of /dev/null go along. 0, or -1 with errno. */
int	sister_put(int fd, const uint8_t *, size_t, unsigned n);
int	sister_say(int fd, enum ipc_type, uint32_t id, const void *msg);
/* The next record within ms: 1, 0 if there is none, -1 at the end. */
int	sister_recv(int fd, struct heard *, int ms);
/* Greet as a role whose catalogue may be wrong. R_OK, or why it was refused. */
enum reason sister_hello(struct sister *, enum ipc_role, bool right_build);
/* Read from the hub, and keep introductions, until there is a link to this
 * role. 0, or -1. */
int	sister_introduced(struct sister *, enum ipc_role);
/* ... and greeted both ways. 0, or -1. */
int	sister_link(struct sister *, enum ipc_role);
/* Reads until the other end has closed; false if it did not in time. *replies
 * counts what is an answer other than REFUSED. */
bool	sister_closed(int fd, unsigned *replies);
/* A call and its answer in h: R_OK, why it was refused, or R_IPC_CLOSED. */
enum reason sister_call(struct sister *, int fd, enum ipc_type,
	    const void *msg, struct heard *h);

#endif
