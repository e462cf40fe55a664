/*
 * policyd: types and prototypes, grouped by file.
 *
 * One thread, one loop. Whoever changes something that must last writes it
 * into the turn's transaction (store_write), records it (audit_record) and
 * acknowledges it after the commit (store_after_commit, ack_call).
 */
#ifndef POLICYD_H
#define POLICYD_H

#include <sys/types.h>

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf.h"
#include "ipc.h"
#include "log.h"
#include "reason.h"

struct uv_loop_s;
struct X509_name_st;

/* A handler of dispatch.c's tables (ipc_fn). */
#define IPC_HANDLER(fn)							\
	int fn(struct chan *, const struct ipc_call *, const void *)

#define NODE_ID_LEN	40
#define CERT_MAX	2048	/* bytes of a certificate of ours, DER */
#define SLOT_MAX	16384		/* bytes of a slot's chain, DER */
#define HASH_LEN	32		/* SHA-256 */
#define CODE_LEN	16		/* bytes of a one-time code */
#define CODE_ID_LEN	16		/* and of its id */

/* ---- why.c --------------------------------------------------------------- */

/* The check that failed, as it travels in replies, rows and records. */
struct why {
	enum reason	 reason;
	char		 field[65];
	char		 expected[161];
	char		 seen[161];
};

/* Fills *w, cutting what is too long at a character; returns the reason. */
enum reason	 why_set(struct why *w, enum reason, const char *field,
		    const char *expected, const char *seen);
/* Copy what fits, ending at a character; control characters become '?'. */
void		 text_set(char *to, size_t size, const char *from);

/* ---- policyd.c ----------------------------------------------------------- */

extern const struct conf *conf;	/* set once in main, before confinement */

/* ---- schema.c: every table, in one place --------------------------------- */

/* Statement n takes a store from user_version n to n + 1; NULL ends it. */
extern const char *const store_schema[];

/* ---- store.c ------------------------------------------------------------- */

typedef void (*store_fn)(enum reason, void *arg);

/* A statement that is prepared at its first use and kept: make it static. */
struct store_sql {
	const char	*sql;
	sqlite3_stmt	*st;
	struct store_sql *next;
};
#define STORE_SQL(text)	{ .sql = (text) }

/*
 * Open the store, or make it; an older one is moved forward. R_OK, or why
 * not. A store that can be read but not written opens: store_state() says so
 * and every write is refused with that reason until store_probe() succeeds.
 */
enum reason	 store_open(const char *path);
void		 store_close(void);
/* A file beside the store, "crl/issuing-1.crl". 0, or -1 if it does not fit. */
int		 store_path(const char *name, char *buf, size_t size);
sqlite3		*store_db(void);
enum reason	 store_state(void);	/* R_OK, or why no write can be */
enum reason	 store_probe(void);	/* try again to write */
/*
 * Run fn after the commit of this turn's changes with R_OK, or with the
 * reason for which they are not on disk. Without changes it runs at the
 * end of the turn all the same. In the order of the calls.
 */
void		 store_after_commit(store_fn fn, void *arg);
/* End of the loop's turn: at most one commit, then the acknowledgements. */
void		 store_turn(void);
bool		 store_dirty(void);	/* store_turn() has something to do */
/* A commit failed, memory is ahead of the disk: policyd must start anew. */
bool		 store_failed(void);
/* The statement, reset and with no bindings. */
sqlite3_stmt	*store_stmt(struct store_sql *);
/* Bind from 1 on: i int64_t, s const char * (NULL is NULL), b const void * and
   size_t, n nothing (NULL). */
void		 store_bind(sqlite3_stmt *, const char *kinds, ...);
/* A row: 1; no more: 0, and the statement is reset. What cannot be read must
   not count as what is not there: a broken store ends the process. */
int		 store_row(sqlite3_stmt *);
/* The same for one who can tell of it: -1. */
int		 store_row_try(sqlite3_stmt *);
/* Run a statement that writes, in the turn's transaction. R_OK, or why not. */
enum reason	 store_write(sqlite3_stmt *);
/* Columns: cut to the buffer; NULL is empty. */
void		 store_text(sqlite3_stmt *, int col, char *buf, size_t size);
size_t		 store_blob(sqlite3_stmt *, int col, void *buf, size_t size);
/* A reason and its check: four columns from col on. */
void		 store_why(sqlite3_stmt *, int col, struct why *);
/* Small values by name (table meta). */
int64_t		 store_meta_int(const char *name, int64_t missing);
enum reason	 store_meta_set_int(const char *name, int64_t);
size_t		 store_meta_blob(const char *name, void *buf, size_t size);
enum reason	 store_meta_set_blob(const char *name, const void *, size_t);

/* ---- audit.c, audit_walk.c ----------------------------------------------- */

enum audit_kind {
	AUDIT_START,		/* policyd started, or stopped */
	AUDIT_OPERATOR,		/* an operator's command */
	AUDIT_CLAIM,		/* the same, as busd claims it */
	AUDIT_TRANSITION,	/* a peer moved from one state to another */
	AUDIT_VERDICT,		/* what we concluded about a peer */
	AUDIT_REFUSAL,		/* refused, with its reason */
	AUDIT_CERT,		/* issued, installed or renewed */
	AUDIT_KEY,		/* a key made or changed; the TPM's condition */
	AUDIT_OFFENCE,		/* a sister process broke a rule */
	AUDIT_CLOCK,		/* trusted time stepped */
	AUDIT_NKINDS
};

struct audit_row {
	uint64_t	 sequence;	/* from 1, without a hole */
	uint64_t	 time;		/* trusted seconds since 1970 */
	char		 kind[16];
	char		 subject[65];	/* name of a peer or role */
	char		 reason[16];	/* code, "OK" if nothing is wrong */
	char		 text[513];
	uint8_t		 hash[HASH_LEN];
};

/*
 * Append a record in the turn's transaction, beside the change it records.
 * If the store cannot be written it is logged and counted instead: the number
 * of lost ones becomes a record when the store can be written again.
 */
void		 audit_record(enum audit_kind, const char *subject,
		    enum reason, const char *fmt, ...) LOG_PRINTF(4, 5);
/*
 * Call fn for up to max records from sequence on, oldest first. Returns the
 * sequence to go on from, or 0 when there are no more: page with it, a turn
 * of the loop for each, however long the log is.
 */
typedef void (*audit_row_fn)(const struct audit_row *, void *arg);
uint64_t	 audit_page(uint64_t from, unsigned max, audit_row_fn,
		    void *arg);
uint64_t	 audit_last(void);	/* the newest record, 0 if none */

struct audit_result {
	struct why	 why;		/* R_OK, or the first thing found */
	uint64_t	 sequence;	/* of the record it concerns, or 0 */
	uint64_t	 records;	/* walked */
	uint64_t	 checkpoints;	/* whose signature was checked */
	uint64_t	 uncovered;	/* records after the last checkpoint */
	uint64_t	 counter;	/* of the last checkpoint */
	uint64_t	 tpm_counter;	/* what the TPM says */
	bool		 have_counter;	/* the TPM was asked and answered */
};
typedef void (*audit_result_fn)(const struct audit_result *, void *arg);
/* Walk all of it in bounded pieces; fn runs once, later. */
void		 audit_verify(audit_result_fn, void *arg);
/* A piece of the walks that run; true if there is more to do. */
bool		 audit_work(void);
/* For settings and status: time and counter of the last checkpoint. */
void		 audit_status(uint64_t *time, uint64_t *counter,
		    uint64_t *uncovered, struct why *);

void		 audit_start(void);	/* after store_open() */
/*
 * keyd is there and told its audit key, and whether it has a counter: a
 * pending checkpoint is completed, and new ones can be made.
 */
void		 audit_keyd_up(uint32_t key, const uint8_t *point, size_t len,
		    bool counter);
void		 audit_keyd_down(void);
void		 audit_tick(uint64_t mono_ms);	/* once a second */
/* One more checkpoint for a clean stop; fn runs when it is done or given up. */
void		 audit_stop(void (*fn)(void *), void *arg);

/* For audit_walk.c: what a checkpoint says, or the head of the log. */
struct audit_mark {
	uint64_t	 sequence, time, counter;
	uint8_t		 chain[HASH_LEN];
};
void		 audit_hash(const struct audit_row *,
		    const uint8_t before[HASH_LEN], uint8_t out[HASH_LEN]);
bool		 audit_signed_by(const uint8_t *point, size_t pointlen,
		    const struct audit_mark *, const uint8_t *sig,
		    size_t siglen);
size_t		 audit_point(uint8_t point[97], bool *counter);

/* ---- clockd.c ------------------------------------------------------------ */

void		 clockd_start(uint64_t system_now);	/* after store_open() */
/*
 * Look at the system clock: every ten seconds, and when the kernel says that
 * it was set. Computes trusted time (clock_set), keeps it in the store, tells
 * the daemons and, after a step, identity and peers. stepped: the kernel said
 * so.
 */
void		 clockd_look(uint64_t system_now, uint64_t mono_ms,
		    bool stepped);
bool		 clockd_unset(void);	/* the system clock is too low */
uint64_t	 clockd_floor(void);

/* ---- hubd.c -------------------------------------------------------------- */

struct hubd_row {
	bool		 up, ready;
	pid_t		 pid;
	uid_t		 uid;
	bool		 developer;
	uint32_t	 generation;	/* how often it has greeted */
	uint64_t	 since;		/* trusted time of its greeting */
	uint64_t	 offences;
	uint32_t	 log_level;
};

/* A UNIX SEQPACKET listener, mode 0660, group gid (-1: as it comes); fatal. */
int		 hubd_listen(const char *path, gid_t gid);
void		 hubd_bind(const struct conf *, bool developer);
void		 hubd_start(struct uv_loop_s *);
struct chan	*hubd_link(enum ipc_role);	/* the live link, or NULL */
const struct hubd_row *hubd_row(enum ipc_role);
/* Refusals counted in all daemons: fn for each that is not zero. */
void		 hubd_counters(void (*fn)(enum ipc_role, enum reason, uint64_t,
		    void *), void *arg);
uint64_t	 hubd_count(enum reason);	/* one of policyd's own */
void		 hubd_log_level(enum ipc_role, uint32_t level);
void		 hubd_broadcast(enum ipc_type, const void *msg);
void		 hubd_tick(uint64_t mono_ms);	/* ends who says nothing */
void		 hubd_stop(void);
IPC_HANDLER(hubd_hello);
IPC_HANDLER(hubd_ready);
IPC_HANDLER(hubd_offence);
IPC_HANDLER(hubd_counter);

/* ---- cert.c: certificates of this node; pure ----------------------------- */

struct cert_info {
	uint8_t		 serial[20];	/* big-endian, without leading zeros */
	size_t		 seriallen;
	uint64_t	 not_before, not_after;
	uint8_t		 point[97];	/* 04 || X || Y, if it is such a key */
	size_t		 pointlen;
	char		 subject[256], issuer[256];
};

/* One certificate in DER and nothing after it. 0 or -1. */
int		 cert_read(const uint8_t *der, size_t len, struct cert_info *);
/* Hex of SHA-256 over the SubjectPublicKeyInfo, 20 bytes of it. 0 or -1. */
int		 cert_node_id(const uint8_t *point, size_t len,
		    char id[NODE_ID_LEN + 1]);
/*
 * What keyd should have answered: this serial, key, window and signature by
 * the CA's key (its own for the CA itself), and the URI of node unless NULL.
 * R_OK, or why not.
 */
struct cert_want {
	const uint8_t	*serial;	/* 16 bytes */
	const uint8_t	*point, *ca;	/* 04 || X || Y */
	size_t		 pointlen, calen;
	uint64_t	 not_before, not_after;
	const char	*node;
	const char	*component;	/* NULL: the node's own name */
};
enum reason	 cert_check(const uint8_t *der, size_t len,
		    const struct cert_want *, struct why *);
/*
 * PEM certificates in any order to one chain in DER, root first, whose leaf
 * is over this point, valid at now (0: the clock is unset, do not look).
 * R_OK, or the check that failed. out holds SLOT_MAX bytes.
 */
enum reason	 cert_chain(const void *pem, size_t pemlen,
		    const uint8_t *point, size_t pointlen, uint64_t now,
		    uint8_t *out, size_t *outlen, struct why *);
/*
 * The certificates of a PEM file in its order, nothing else among them. R_OK,
 * or the check that failed; cert_pem_free() on every path.
 */
#define CERT_PEM_MAX	8
struct cert_pem {
	struct x509_st	*certs[CERT_PEM_MAX];
	unsigned	 n;
};
void		 cert_name(const struct X509_name_st *, char *buf,
		    size_t size);	/* as RFC 2253 writes it */
enum reason	 cert_pem_read(struct cert_pem *, const void *pem, size_t len,
		    struct why *);
void		 cert_pem_free(struct cert_pem *);
/* The certificates of a chain in turn; false at its end. */
bool		 cert_next(const uint8_t **p, size_t *left, const uint8_t **der,
		    size_t *len);

/* 128 bits (RFC 5280, 4.1.2.2): positive, and no leading zero to be lost. */
void		 serial_draw(uint8_t serial[16]);
/* DER as PEM; its length, or 0 if it does not fit. */
#define PEM_SIZE(n)	((n) * 3 / 2 + 256)
size_t		 pem_text(char *buf, size_t size, const char *label,
		    const uint8_t *der, size_t len);

/* ---- identity.c ---------------------------------------------------------- */

enum identity_key { IDK_CA, IDK_SPDM, IDK_TLS, IDK_AUDIT, IDK_N };
enum identity_cert { IDC_NODE_CA, IDC_SPDM_LEAF, IDC_TLS_LEAF, IDC_N };

struct identity {
	char		 node[NODE_ID_LEN + 1];	/* empty: not known yet */
	struct {
		bool		 have;
		uint32_t	 key, algorithm;
		size_t		 len;
		uint8_t		 point[97];	/* 04 || X || Y */
	} keys[IDK_N];
	struct {
		bool		 have;
		uint8_t		 serial[16];
		uint64_t	 not_before, not_after, renew;
		size_t		 len;
		uint8_t		 der[CERT_MAX];
	} certs[IDC_N];
	struct {			/* slot 0, from the operator */
		bool		 have;
		size_t		 len;
		uint8_t		 der[SLOT_MAX];	/* root first */
		char		 subject[256], issuer[256], serial[65];
		uint8_t		 root[HASH_LEN];	/* of its root */
		uint64_t	 not_before, not_after;
	} slot0;
	uint32_t	 backend;	/* KEY_BACKEND_..., as keyd said */
	enum reason	 condition;	/* of keyd and its TPM */
	uint32_t	 nkeys;
	bool		 counter;	/* keyd has a TPM counter */
	char		 manufacturer[65], firmware[65];
	struct why	 why;		/* R_OK, or why it is not complete */
};

void		 identity_start(void);	/* loads what the store has */
void		 identity_up(enum ipc_role);
void		 identity_down(enum ipc_role);
void		 identity_tick(uint64_t mono_ms);	/* once a second */
void		 identity_time_step(void);
const struct identity *identity_get(void);
/* The manufacturer's chain, PEM in any order. Acknowledge after the commit. */
enum reason	 identity_install(const void *pem, size_t len, struct why *);
/* A CSR over the SPDM key; fn gets DER, or NULL and why. */
typedef void (*identity_csr_fn)(const uint8_t *der, size_t len,
    const struct why *, void *arg);
void		 identity_csr(const char *serial, identity_csr_fn, void *arg);

/* ---- settings.c ---------------------------------------------------------- */

struct root {
	struct root	*next;
	const char	*path;		/* as in conf_accept.root */
	bool		 accepted;	/* named there, not by a component */
	bool		 component;	/* named by one */
	bool		 maker;		/* by a profile of the certificate service */
	uint8_t		 hash[HASH_LEN];	/* SHA-256 of the DER */
	char		 subject[256];
	size_t		 len;
	uint8_t		*der;
};

/* Read the files of accepted roots, before confinement; fatal on error. */
void		 settings_read(const struct conf *);
const struct root *settings_roots(void);
void		 settings_up(enum ipc_role);

/* ---- dispatch.c ---------------------------------------------------------- */

/* Handler tables, one for each peer. */
extern const struct ipc_handler from_keyd[], from_netd[], from_attestq[],
    from_attestr[], from_enrold[], from_busd[], from_provctl[];
extern const size_t nfrom_keyd, nfrom_netd, nfrom_attestq, nfrom_attestr,
    nfrom_enrold, nfrom_busd, nfrom_provctl;

/* ---- ack.c --------------------------------------------------------------- */

/* Answer DONE after this turn's commit, or REFUSED if it failed. */
void		 ack_call(const struct ipc_call *);
int		 refuse_why(struct chan *, const struct ipc_call *,
		    const struct why *);

/* ---- filter.c ------------------------------------------------------------ */

extern const struct confine policyd_confine;
/* With what the configuration asks for. */
struct confine	 policyd_confine_for(const struct conf *);

/* ==== below: peers, policy, evidence, control (the other half) ============ */

/*
 * Called by the files above:
 *   policy_read(conf)    before confinement: reference files and whatever else
 *                        must be opened; fatal on error
 *   peers_start(loop)    after store_open(), audit_start(), clockd_start()
 *   peers_up(role)       a daemon greeted; send it what it must know (PEER_SET
 *                        ... PEERS_END to netd)
 *   peers_down(role)     it is gone; its calls have failed already
 *   peers_time_step()    trusted time stepped: shifts, windows
 *   peers_tick(mono_ms)  once a second
 *   peers_identity()     our own identity is complete, or changed
 *   control_start(loop, fd)  fd is the bound control socket
 *   control_stop()
 */
void		 policy_read(const struct conf *);
void		 peers_start(struct uv_loop_s *);
void		 peers_up(enum ipc_role);
void		 peers_down(enum ipc_role);
void		 peers_time_step(void);
void		 peers_tick(uint64_t mono_ms);
void		 peers_identity(void);
void		 control_start(struct uv_loop_s *, int fd);
void		 control_stop(void);
/* A step of the answers that look at much; true if there is more to do. */
bool		 control_work(void);
/* A line for 'provctl monitor': kind, subject, reason, text. From audit.c. */
void		 control_event(const struct audit_row *);

IPC_HANDLER(neighbour_told);
IPC_HANDLER(neighbour_gone);
IPC_HANDLER(neighbours_told);
IPC_HANDLER(netd_peer_link);
IPC_HANDLER(attestq_job_step);
IPC_HANDLER(attestq_evid_identity);
IPC_HANDLER(attestq_evid_anchor);
IPC_HANDLER(attestq_evid_measurement);
IPC_HANDLER(attestq_evid_end);
IPC_HANDLER(attestq_job_failed);
IPC_HANDLER(attestq_component_csr);
IPC_HANDLER(attestq_component_held);
IPC_HANDLER(attestq_component_reset);
IPC_HANDLER(attestr_attested);

IPC_HANDLER(ctl_hello);
IPC_HANDLER(ctl_status);
IPC_HANDLER(ctl_neighbours);
IPC_HANDLER(ctl_peer_list);
IPC_HANDLER(ctl_peer_show);
IPC_HANDLER(ctl_peer_add);
IPC_HANDLER(ctl_peer_remove);
IPC_HANDLER(ctl_provision);
IPC_HANDLER(ctl_unprovision);
IPC_HANDLER(ctl_revoke);
IPC_HANDLER(ctl_identity_show);
IPC_HANDLER(ctl_identity_csr);
IPC_HANDLER(ctl_identity_install);
IPC_HANDLER(ctl_component_list);
IPC_HANDLER(ctl_component_show);
IPC_HANDLER(ctl_component_enrol);
IPC_HANDLER(ctl_reference_learn);
IPC_HANDLER(ctl_reference_show);
IPC_HANDLER(ctl_reference_accept);
IPC_HANDLER(ctl_audit_show);
IPC_HANDLER(ctl_audit_verify);
IPC_HANDLER(ctl_explain_peer);
IPC_HANDLER(ctl_monitor);
IPC_HANDLER(ctl_log_level);

#endif
