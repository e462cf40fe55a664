/*
 * libipc: the messages of the suite and the channels that carry them.
 *
 * One SOCK_SEQPACKET record is one canonical msgpack array
 * [type, id, field...]. The library knows no daemon and no event loop;
 * ipc_uv.c alone binds a channel to libuv.
 */
#ifndef IPC_H
#define IPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reason.h"

#define IPC_MAX_RECORD	65536	/* bytes of one record */
#define IPC_QUEUE_MAX	4096	/* records waiting for the kernel, a channel */

enum ipc_role {
	IPC_POLICYD,
	IPC_KEYD,
	IPC_NETD,
	IPC_ATTESTQ,
	IPC_ATTESTR,
	IPC_ENROLD,
	IPC_BUSD,
	IPC_PROVCTL,
	IPC_NROLES
};

enum ipc_kind { IPC_CALL, IPC_REPLY, IPC_EVENT, IPC_STATE };
enum ipc_phase { IPC_START, IPC_RUN };

/* What a key is for; it never changes (DESIGN: one purpose a key). */
enum key_purpose {
	KEY_TLS, KEY_SPDM, KEY_CA, KEY_AUDIT,
	KEY_ENROL,	/* TLS of enrold's listeners */
	KEY_ROOT,	/* the root CA of the certificate service */
	KEY_ISSUING,	/* its issuing CAs */
	KEY_OCSP,	/* its delegated OCSP signers (RFC 6960, 4.2.2.2) */
	KEY_NPURPOSES
};

enum key_algorithm {
	KEY_P256,	/* ECDSA P-256 with SHA-256 */
	KEY_P384,	/* ECDSA P-384 with SHA-384 */
	KEY_NCURVES,
	KEY_RSA2048 = KEY_NCURVES, /* RSASSA-PSS with SHA-256, of KEY_ENROL only */
	KEY_NALGORITHMS
};

/* The keys that devices bring; a profile allows some of them. */
enum subject_key {
	SUBJECT_P256, SUBJECT_P384,
	SUBJECT_RSA2048, SUBJECT_RSA3072, SUBJECT_RSA4096,
	SUBJECT_NKEYS
};

/* What keyd issues for the certificate service itself. */
enum ca_profile {
	CA_ROOT,		/* self-signed */
	CA_ISSUING,		/* below a root: pathLenConstraint 0 */
	CA_OCSP,		/* EKU OCSPSigning, no-check */
	CA_ENROL,		/* TLS server of enrold, under its DNS names */
	CA_CROSS,		/* a new root, below the one before it */
	CA_NPROFILES
};

/* What a listener of the certificate service is for. */
enum enrol_door {
	DOOR_TLS,		/* JSON and EST, a client certificate if there is one */
	DOOR_MUTUAL,		/* the same, none without a certificate */
	DOOR_PLAIN,		/* JSON without TLS, where the configuration wants it */
	DOOR_STATUS,		/* OCSP, CRLs and CA certificates, plain HTTP, no more */
	DOOR_NDOORS
};

/* RFC 5280, 5.3.1: these numbers, 7 is not used. */
enum crl_reason {
	CRL_UNSPECIFIED, CRL_KEY_COMPROMISE, CRL_CA_COMPROMISE,
	CRL_AFFILIATION_CHANGED, CRL_SUPERSEDED, CRL_CESSATION,
	CRL_HOLD, CRL_REMOVE = 8, CRL_PRIVILEGE_WITHDRAWN, CRL_AA_COMPROMISE,
	CRL_NREASONS
};

/* Who a client of enrold has shown to be, in its TLS handshake. */
enum enrol_client {
	CLIENT_NONE,
	CLIENT_OURS,		/* a certificate that our issuing CA signed */
	CLIENT_MAKER,		/* one below an accepted manufacturer root */
	CLIENT_NKINDS
};

/* What OCSP says of a certificate (RFC 6960, 2.2), and EXPIRED beside it. */
enum cert_status {
	CERT_GOOD, CERT_REVOKED, CERT_UNKNOWN, CERT_EXPIRED,
	CERT_NSTATUS
};

/* OpenBMC's PeerConnectionStatus, the worst first. */
enum peer_connected {
	LINK_NOTDETERMINED, LINK_NOTCONNECTED, LINK_INPROGRESS, LINK_CONNECTED,
	LINK_NWORDS
};

/* How this node stands to itself: policyd attests it as it would a peer. */
enum self_state {
	SELF_UNKNOWN,		/* not looked at since policyd started */
	SELF_ATTESTING,
	SELF_PROVISIONED,
	SELF_FAILED,
	SELF_NSTATES
};

#define PEER_SELF	0	/* in messages for busd: this node, no peer's id */

/* What keyd issues: see keyd/profile.c and keyd(8). */
enum cert_profile {
	CERT_NODE_CA,		/* self-signed, the node's own CA */
	CERT_SPDM_LEAF,		/* slot 1: over the SPDM key */
	CERT_TLS_LEAF,		/* both sides, SAN URI urn:provd:node:ID */
	CERT_COMPONENT_LEAF,	/* a device's slot: over a key of that device */
	CERT_NPROFILES
};

/* What a job of attestd -Q is for; each attests the peer first. */
enum job_kind {
	JOB_ATTEST,		/* nothing more */
	JOB_CODE,		/* then a session keyed by a one-time code */
	JOB_COMPONENT,		/* then a session in which a slot is filled */
	JOB_NKINDS
};

/* Bounds of the certificate service's tables. */
#define ENROL_LISTENERS	8
#define ENROL_CAS	8	/* issuing CAs that still count */
#define ENROL_PROFILES	16

/* The one subjectAltName that a request may have. */
enum san_kind { SAN_NONE, SAN_DNS, SAN_URI, SAN_NKINDS };

#define KEY_BACKEND_TPM		0
#define KEY_BACKEND_SEALED	1
#define KEY_BACKEND_SOFT	2

/* The enum ipc_type (MSG_HELLO, ...), and struct msg_hello, ... */
#include "ipc_types.h"

/* ---- codec.c: pure functions ---- */

/*
 * Encode *msg (struct msg_X of the type) with call id into buf. Returns 0
 * and the length, or -1 if a field is out of bound or buf too small.
 */
int	ipc_encode(enum ipc_type, uint32_t id, const void *msg, uint8_t *buf,
	    size_t size, size_t *len);
/* Type and id of a record without its fields. 0, or -1. */
int	ipc_peek(const uint8_t *buf, size_t len, enum ipc_type *, uint32_t *id);
/*
 * Decode the fields of a record of this type into *msg. 0 only if it is the
 * one canonical form: exact count, shortest form, bounds, nothing after it.
 */
int	ipc_decode(enum ipc_type, const uint8_t *buf, size_t len, void *msg);
size_t	ipc_size(enum ipc_type);	/* sizeof(struct msg_X) */
const char *ipc_name(enum ipc_type);	/* "TLS_SIGN_REQ" */
const char *ipc_role_name(enum ipc_role);	/* "netd", "attestd-q" */
enum ipc_kind ipc_kind(enum ipc_type);
bool	ipc_takes_fd(enum ipc_type);
/* May from send this type to to, in this phase? */
bool	ipc_route(enum ipc_type, enum ipc_role from, enum ipc_role to,
	    enum ipc_phase);
/* The window of the link between two roles, 0 if there is no such link. */
unsigned ipc_window(enum ipc_role, enum ipc_role);
/* Is this type an answer to that call? */
bool	ipc_answers(enum ipc_type call, enum ipc_type reply);
const uint8_t *ipc_catalogue(void);	/* 32 bytes */
#define IPC_SET_STR(f, s)	ipc_set_str((f), sizeof(f), (s))
#define IPC_SET_BLOB(f, p, n)						\
	ipc_set_blob(&(f).len, (f).data, sizeof((f).data), (p), (n))
/* 0, or -1 if it does not fit (then the field is empty). */
int	ipc_set_str(char *field, size_t size, const char *);
int	ipc_set_blob(uint32_t *len, uint8_t *data, size_t size, const void *,
	    size_t);

/* ---- chan.c: channels ---- */

struct chan;

/* A call that waits for our answer; copy it to answer later. */
struct ipc_call {
	uint64_t	 chan;	/* serial of the channel it came on */
	uint32_t	 id;
	enum ipc_type	 type;
	int		 fd;	/* descriptor that came along, the handler's to
				   close; -1 if none */
};

/*
 * Handles a CALL, EVENT or STATE. Returns 0, or -1 if the sender broke a rule
 * (the link is then closed and reported as an offence). A CALL must be
 * answered once, now or later. msg is valid during the call only. The
 * descriptor in call->fd is the handler's, on every path.
 */
typedef int (*ipc_fn)(struct chan *, const struct ipc_call *, const void *msg);

struct ipc_handler {
	enum ipc_type	type;
	ipc_fn		fn;
};

/* What came of a call of ours. */
struct ipc_reply {
	enum ipc_type	 type;	/* the reply's type; MSG_REFUSED on failure */
	const void	*msg;	/* struct msg_X, valid during the callback */
	enum reason	 reason;/* R_OK, the sender's reason, or R_IPC_CLOSED,
				   R_IPC_DEADLINE */
	const struct msg_refused *refused;	/* NULL if not refused */
};
typedef void (*ipc_reply_fn)(const struct ipc_reply *, void *arg);

struct chan_conf {
	enum ipc_role	 self, peer;
	uint32_t	 generation;
	const struct ipc_handler *handlers;	/* for what this peer sends */
	size_t		 nhandlers;
	/*
	 * The channel is closed (by the peer, by an offence, by chan_close).
	 * Pending calls have failed already. offence is R_OK unless the peer
	 * broke a rule; type is the type of the offending record.
	 */
	void		(*closed)(struct chan *, enum reason offence,
			    unsigned type);
	/* All that was queued is with the kernel: there is room for more. */
	void		(*drained)(struct chan *);
	void		*arg;
};

/* Takes fd (connected SOCK_SEQPACKET; made non-blocking). NULL if no memory. */
struct chan *chan_new(int fd, const struct chan_conf *);
void	chan_close(struct chan *);	/* calls closed(); freed when unused */
int	chan_fd(const struct chan *);
enum ipc_role chan_peer(const struct chan *);
uint32_t chan_generation(const struct chan *);
void	*chan_arg(const struct chan *);
/* Starts in IPC_START; the greeting's handler moves it to IPC_RUN, after the
 * reply to HELLO was given. What is sent is held to the phase too. */
void	chan_set_phase(struct chan *, enum ipc_phase);
void	chan_set_handlers(struct chan *, const struct ipc_handler *, size_t);
/* The live channel that a call came on, or NULL if it has gone since. */
struct chan *chan_find(const struct ipc_call *);

/*
 * Send an EVENT or STATE; msg NULL if it has no fields; fd is -1 or, for the
 * types that take one, a descriptor. 0: the descriptor is the channel's, which
 * closes it once sent. -1 (c is NULL or closing, not a message for this peer in
 * this phase, a field out of bound): nothing was sent and the descriptor is
 * still the caller's. Never closes the channel from inside: one whose peer does
 * not read (more than IPC_QUEUE_MAX records) closes at the loop's next turn.
 */
int	chan_send(struct chan *, enum ipc_type, const void *msg, int fd);
/* Records that may still be queued. Who streams many waits for drained(). */
size_t	chan_room(const struct chan *);
/*
 * Send a CALL. cb runs exactly once: with the reply, a refusal, or
 * R_IPC_DEADLINE after timeout milliseconds, or R_IPC_CLOSED. Never from
 * inside chan_call() itself. -1 (and no callback, and the descriptor is still
 * the caller's) if c is NULL or the window is full (chan_window() tells), or
 * for what chan_send() returns -1. A call that missed its deadline keeps its
 * place in the window until its reply comes and is dropped.
 */
int	chan_call(struct chan *, enum ipc_type, const void *msg, int fd,
	    uint32_t timeout, ipc_reply_fn cb, void *arg);
unsigned chan_window(const struct chan *);	/* calls that may go out now */
/*
 * Answer a call; c may be chan_find()'s NULL. -1 if the channel has gone, the
 * call was answered before, or this type is no answer to it. A message that
 * does not encode becomes a refusal, R_IPC_FORM.
 */
int	chan_reply(struct chan *, const struct ipc_call *, enum ipc_type,
	    const void *msg);
int	chan_done(struct chan *, const struct ipc_call *);	/* MSG_DONE */
int	chan_refuse(struct chan *, const struct ipc_call *, enum reason);
/* With the check that failed; any of the three may be NULL. */
int	chan_refuse_why(struct chan *, const struct ipc_call *, enum reason,
	    const char *field, const char *expected, const char *seen);

/*
 * For the event loop: read and dispatch what is there, but a bounded number of
 * records, so that one chatty peer does not starve the others. 0, or -1 if
 * the channel closed; it may be freed then, unless ipc_uv.c holds it.
 */
int	chan_input(struct chan *);
int	chan_output(struct chan *);	/* send what is queued; 0 or -1 */
bool	chan_wants_output(const struct chan *);
/* Fail calls whose deadline passed; milliseconds to the next one, or -1. */
int64_t	chan_deadlines(struct chan *, uint64_t now_ms);

/* ---- ipc_uv.c ---- */

struct uv_loop_s;
/* chan_new() plus a poll and a timer handle on the loop. */
struct chan *chan_open(struct uv_loop_s *, int fd, const struct chan_conf *);

/* ---- hub.c: a daemon's side of the hub ---- */

struct hub_peer {
	enum ipc_role	 role;
	const struct ipc_handler *handlers;
	size_t		 nhandlers;
	bool		 optional;	/* READY does not wait for it */
};

struct hub_conf {
	enum ipc_role	 self;
	const char	*path;		/* hub.sock as seen after the chroot */
	bool		 developer;
	bool		 keep;		/* netd: outlive policyd */
	const struct hub_peer *peers;	/* policyd's row too */
	size_t		 npeers;
	/* The link to this role is up (greeted both ways), or gone. */
	void		(*up)(enum ipc_role, struct chan *);
	void		(*down)(enum ipc_role);
};

/* Connect (blocking, before the filter); waits for policyd. fd or -1. */
int	hub_connect(const struct hub_conf *);
/*
 * Greet on a connected descriptor, then serve introductions on the loop.
 * Serves LOG_LEVEL and TRUSTED_TIME itself (log_level(), clock_set()).
 * Without keep, the loss of policyd ends the loop (uv_stop) and hub_lost()
 * is true.
 */
int	hub_start(struct uv_loop_s *, int fd, const struct hub_conf *);
struct chan *hub_link(enum ipc_role);	/* the live link, or NULL */
/* Once every peer of hub_conf is linked, says READY to policyd; true if it did
 * so now. Each policyd is told once. */
bool	hub_ready(void);
bool	hub_lost(void);
/*
 * Count a refusal of this reason; policyd is told (COUNTER). Returns the
 * count, so that the first one can be logged.
 */
uint64_t hub_count(enum reason);
void	hub_stop(void);			/* close every link, for a clean end */

#endif
