/*
 * policyd's half of the certificate service, grouped by file: the authority
 * (ca.c, crl.c, ocsp.c), what it issued (cert_store.c, cert_file.c), for whom
 * (device.c, enrol.c), and what the operator sees (control_ca.c,
 * control_cert.c).
 */
#ifndef CA_H
#define CA_H

#include "policyd.h"

#define CA_CERT_MAX	4096	/* bytes of a CA's certificate, DER */
#define SERIAL_LEN	16
#define NAME_LEN	64	/* of a device */

/* ---- service.c: where the rest of policyd calls this half ---------------- */

/* Nothing of it runs without a "ca" in provd.conf(5). */
void		 service_start(void);	/* after store_open(), before the filter */
void		 service_up(enum ipc_role);
void		 service_down(enum ipc_role);
void		 service_tick(uint64_t mono_ms);	/* once a second */
void		 service_time_step(void);
/* What an operator must do something about, for status. */
typedef void (*service_warn_fn)(const char *about, const struct why *,
    void *arg);
void		 service_warnings(service_warn_fn, void *arg);

/* ---- ca.c: the root, the issuing CAs, their signers ---------------------- */

enum ca_state {
	CA_WAITING,		/* has no certificate yet, or no OCSP signer */
	CA_CURRENT,		/* issues */
	CA_OLD,			/* what it issued is still valid */
	CA_GONE,		/* nothing is; only the store knows it */
	CA_NSTATES
};

/* A key of keyd, as keyd told in this life of it. */
struct ca_key {
	bool		 have;
	uint32_t	 key, algorithm;
	size_t		 len;
	uint8_t		 public[256];	/* 04 || X || Y, or a modulus */
};

/* A certificate that keyd issued, or an operator installed. */
struct ca_cert {
	uint8_t		 serial[20];	/* of ours: SERIAL_LEN bytes */
	size_t		 serial_len;
	uint64_t	 not_before, not_after;
	uint32_t	 algorithm;	/* of its key, where the store knows it */
	size_t		 len;		/* 0: there is none */
	uint8_t		 der[CA_CERT_MAX];
};

/* Something to be done for one of them, tried again until it is. */
struct ca_task {
	uint64_t	 retry, backoff;	/* mono ms */
	struct why	 why;			/* of the last attempt */
};

/* An issuing CA that still counts, and what hangs on it. */
struct ca {
	unsigned	 slot;		/* number of its ENROL_CA, 0 to ENROL_CAS - 1 */
	unsigned	 generation;	/* from 1, 0: the slot is free; in its name and
					   the labels of its keys */
	unsigned	 root_generation;	/* 0: not known yet (offline) */
	uint32_t	 algorithm;	/* of its key, and the OCSP signer's */
	bool		 offline;	/* the root's key is not in keyd */
	enum ca_state	 state;
	bool		 up;		/* keyd has the key of its certificate */
	uint32_t	 key, ocsp_key;	/* numbers in keyd, valid while it is up */
	struct ca_key	 issuing_key, signer_key;
	uint64_t	 not_before, not_after;
	uint64_t	 root_not_before, root_not_after, cross_not_after;
	size_t		 root_len, der_len, ocsp_len, cross_len;
	uint8_t		 cross[CA_CERT_MAX];	/* the root, below the one before */
	bool		 cross_lost;	/* whose key is not in keyd any more */
	uint8_t		 root[CA_CERT_MAX], der[CA_CERT_MAX], ocsp[CERT_MAX];
	uint64_t	 ocsp_not_before, ocsp_not_after;
	/* SHA-1 and SHA-256, for the CertID of OCSP (RFC 6960, 4.1.1) */
	uint8_t		 name_hash[2][HASH_LEN], key_hash[2][HASH_LEN];
	bool		 told;		/* enrold knows it as it is */
	struct ca_task	 task;
};

/* A certificate of enrold's listeners, one for each kind of key. */
struct ca_leaf {
	uint32_t	 algorithm;
	unsigned	 generation;	/* of the issuing CA that gave it */
	struct ca_key	 key;
	struct ca_cert	 cert;
	bool		 told;
	struct ca_task	 task;
};
#define CA_LEAFS	2

void		 ca_start(void);
void		 ca_up(enum ipc_role);
void		 ca_down(enum ipc_role);
void		 ca_tick(uint64_t mono_ms);
void		 ca_time_step(void);
void		 ca_warnings(service_warn_fn, void *arg);
/* The one that issues now, with keyd there; else NULL and why. */
const struct ca	*ca_current(struct why *);
const struct ca	*ca_bygeneration(unsigned);
const struct ca	*ca_byslot(unsigned);

/* ---- ca_job.c: what is asked of keyd, one at a time ----------------------- */

bool		 ca_job_busy(void);
void		 ca_job_hold(bool busy);	/* something else is under way */
void		 ca_job_clear(void);
void		 ca_job_clock(uint64_t mono_ms);
/* The next is for this CA, or this leaf of it; false: its time is not there. */
bool		 ca_job_for(struct ca *, struct ca_leaf *);
void		 ca_task_failed(struct ca_task *, const char *what,
		    const struct why *);
/* The key of this label ("issuing" and 2: "issuing-2"), made if there is none. */
bool		 ca_key_make(struct ca_key *, uint32_t purpose,
		    uint32_t algorithm, const char *what, unsigned generation);
/* Nothing may outlive the CA above, nor begin before it. */
struct ca_above {
	const struct ca_key *key;
	uint64_t	 validity, from, until;
	const struct ca_cert *cert;	/* for CA_CROSS, while it is asked for */
};
bool		 ca_cert_issue(enum ca_profile, unsigned generation,
		    const struct ca_key *, const uint8_t *names,
		    const struct ca_above *);

/* ---- ca_rollover.c: generations, and what the operator says of them -------- */

void		 ca_rollover_start(void);
void		 ca_rollover_in_time(void);
void		 ca_rollover_warnings(service_warn_fn, void *arg);
void		 ca_drop_old(void);	/* what has nothing valid left */

/*
 * What an operator asked for is done, or cannot be: R_OK, or why not. It
 * goes on by itself if it only took too long (R_CTL_PENDING).
 */
typedef void (*ca_fn)(const struct why *, void *arg);
/* Begin, in this turn's transaction; fn runs when it can issue, or waits for
 * its certificate. R_OK, or why it cannot begin (fn never runs then). */
enum reason	 ca_init(bool offline, const char *who, ca_fn, void *arg,
		    struct why *);
enum reason	 ca_rollover(bool root, const char *who, ca_fn, void *arg,
		    struct why *);
enum reason	 ca_install(const void *pem, size_t len, const char *who,
		    ca_fn, void *arg, struct why *);
/* ca_wait.c: who waits for a generation. */
void		 ca_wait(unsigned generation, uint64_t mono_ms, ca_fn,
		    void *arg);
void		 ca_wait_tick(uint64_t mono_ms);
void		 ca_wait_clear(void);
void		 ca_wake(unsigned generation, const struct why *);
/* The request of the issuing CA that waits; fn as of identity_csr(). */
void		 ca_csr(unsigned *generation, identity_csr_fn, void *arg);

/* For the files of the authority. */
struct ca	*ca_slot(unsigned);
struct ca	*ca_free_slot(void);		/* NULL: there are too many */
struct ca	*ca_in_state(enum ca_state);	/* the first, or NULL */
uint64_t	 ca_clock(void);		/* mono ms of the last tick */
void		 ca_next(void);			/* ask for what is missing */
/* What was loaded or issued, into its place. */
void		 ca_take_issuing(struct ca *, const struct ca_cert *);
void		 ca_take_ocsp(struct ca *, const struct ca_cert *);
void		 ca_take_cross(struct ca *, const struct ca_cert *);

/* ---- ca_store.c ------------------------------------------------------------ */

/* The CAs that are not gone, each in its slot. */
void		 ca_store_load(struct ca cas[ENROL_CAS]);
unsigned	 ca_store_last(void);	/* the newest generation, 0: none */
unsigned	 ca_store_last_root(void);
enum reason	 ca_store_add(const struct ca *);
enum reason	 ca_store_state(const struct ca *);	/* and its root */
/* The newest certificate of its kind, with these names; false: none. */
bool		 ca_store_cert(enum ca_profile, unsigned generation,
		    uint32_t algorithm, const uint8_t *names, struct ca_cert *);
/* A row before keyd is asked: its serial is drawn here. */
struct ca_intent {
	int64_t		 id;
	enum ca_profile	 profile;
	unsigned	 generation;
	uint8_t		 serial[SERIAL_LEN];
	uint64_t	 not_before, not_after;
	const struct ca_key *key;
	const uint8_t	*names;		/* HASH_LEN bytes, or NULL */
};
enum reason	 ca_store_intent(struct ca_intent *);
void		 ca_store_forget(int64_t id);	/* keyd said no */
enum reason	 ca_store_fill(int64_t id, const uint8_t *der, size_t len);
/* One that an operator installed. */
enum reason	 ca_store_put(enum ca_profile, unsigned generation,
		    const struct ca_key *, const struct ca_cert *);
unsigned	 ca_store_find_root(const uint8_t *der, size_t len);
/* Did this issuing CA issue this one for the service itself? */
bool		 ca_store_issued(unsigned generation, const uint8_t *serial,
		    size_t len);

/* ---- ca_cert.c: what certificates of the authority must be; pure ---------- */

#define CA_SPKI_MAX	320
size_t		 ca_key_spki(const struct ca_key *, uint8_t out[CA_SPKI_MAX]);
struct ca_want {
	enum ca_profile	 profile;
	const uint8_t	*serial;		/* SERIAL_LEN bytes */
	const struct ca_key *key;		/* it is over this one */
	const uint8_t	*issuer;		/* the CA above, DER; none of a root */
	size_t		 issuer_len;
	uint64_t	 not_before, not_after;
	const struct conf_name *names;		/* of a listener */
};
/* What keyd should have answered. R_OK, or why not. */
enum reason	 ca_cert_check(const uint8_t *der, size_t len,
		    const struct ca_want *, struct why *);
bool		 ca_cert_over(const uint8_t *der, size_t len,
		    const struct ca_key *);
/* SHA-1 and SHA-256 of a CA's name and key. 0 or -1. */
int		 ca_cert_hashes(const uint8_t *der, size_t len,
		    uint8_t name[2][HASH_LEN], uint8_t key[2][HASH_LEN]);
/* Two certificates, PEM in any order: over our key, and the root above. */
struct ca_install_want {
	const struct ca_key *key;
	unsigned	 generation;
	uint64_t	 now;			/* 0: the clock is unset */
};
enum reason	 ca_cert_install(const void *pem, size_t len,
		    const struct ca_install_want *, struct ca_cert *root,
		    struct ca_cert *issuing, struct why *);

/* ---- ca_tell.c: settings to enrold ------------------------------------------ */

void		 ca_tell(bool all);	/* all of it, or what changed */
void		 ca_tell_gone(unsigned slot);

/* For ca_tell.c and control_ca.c. */
const struct ca_leaf *ca_leafs(void);	/* CA_LEAFS of them */
void		 ca_leafs_told(void);
void		 ca_all_told(void);

/* ---- crl.c --------------------------------------------------------------- */

/* What is published for an issuing CA. */
struct crl {
	unsigned	 generation;	/* of the CA; 0: none */
	bool		 wanted;	/* a new one is to be signed */
	bool		 in_file;
	uint64_t	 number;	/* 0: there is none yet */
	uint64_t	 this_update, next_update, entries;
	uint64_t	 retry, backoff, file_retry;	/* mono ms */
	uint64_t	 gap;		/* mono ms: no other one before */
	struct why	 why;		/* of the last attempt */
};

void		 crl_start(void);	/* after ca_start() */
void		 crl_up(enum ipc_role);
void		 crl_tick(uint64_t mono_ms);
void		 crl_warnings(service_warn_fn, void *arg);
void		 crl_next(void);	/* sign what is wanted */
bool		 crl_busy(void);	/* one is being signed */
const struct crl *crl_byslot(unsigned);
/*
 * Something of this issuing CA was revoked in this turn's transaction: sign
 * and publish a CRL that says so, soon; several in a row become one. fn, if
 * not NULL, runs once it is published, or with why not.
 */
void		 crl_changed(unsigned generation, store_fn fn, void *arg);
/* An operator asks for the next one: without the gap of long ones. */
void		 crl_hurry(unsigned generation);
/* The published one into somebody's memfd. R_OK, or why not. */
enum reason	 crl_copy(unsigned generation, int fd);

/* ---- crl_file.c ---------------------------------------------------------- */

void		 crl_file_start(void);	/* its directory, before the filter */
enum reason	 crl_file_write(unsigned generation, const uint8_t *, size_t);
/* A memfd with these bytes, or -1. */
int		 crl_memfd(const uint8_t *, size_t, bool sealed);
/* The first bytes of one, malloc()ed; NULL if they are not there. */
uint8_t		*crl_memfd_read(int fd, size_t);
/* Into one that somebody else made: R_CTL_VALUE if it is none. */
enum reason	 crl_memfd_fill(int fd, const uint8_t *, size_t);

/* ---- crl_form.c: pure ---------------------------------------------------- */

#define CRL_ROW		25	/* of CRL_REQ: serial, time, reason */
struct crl_want {
	const uint8_t	*ca;		/* certificate of its issuer, DER */
	size_t		 ca_len;
	uint64_t	 number, this_update, next_update;
	const uint8_t	*rows;		/* CRL_ROW bytes each */
	size_t		 count;
};
/* Is it signed, and says all of that and nothing else? R_OK, or why not. */
enum reason	 crl_check(const uint8_t *der, size_t len,
		    const struct crl_want *, struct why *);

/* ---- cert_store.c: what was issued --------------------------------------- */

enum cert_auth { AUTH_TICKET, AUTH_RENEWAL, AUTH_MAKER, AUTH_OPEN, AUTH_N };

struct issued {
	int64_t		 id;
	uint8_t		 serial[SERIAL_LEN];
	unsigned	 generation;	/* of its issuing CA */
	char		 name[NAME_LEN + 1], profile[33], address[65];
	uint64_t	 not_before, not_after, requested;
	uint64_t	 revoked;	/* 0: not */
	enum crl_reason	 reason;
	enum cert_auth	 auth;
	bool		 est;
	bool		 orphan;	/* asked for, and never acknowledged */
	uint8_t		 key[HASH_LEN];	/* SHA-256 of its SubjectPublicKeyInfo */
	size_t		 len;		/* 0: keyd never answered */
	uint8_t		 der[CERT_MAX];
};

/* The certificate of this serial; false if there is none. */
bool		 issued_find(const uint8_t *serial, size_t len,
		    struct issued *);
/* Its status for OCSP and the status operation; CERT_UNKNOWN if not ours. */
enum cert_status issued_status(const uint8_t *serial, size_t len, uint64_t now,
		    struct issued *);
/* Every revoked one of an issuing CA, oldest first; for its CRL. */
typedef void (*issued_fn)(const uint8_t serial[SERIAL_LEN], uint64_t revoked,
    enum crl_reason, void *arg);
void		 issued_revoked(unsigned generation, issued_fn, void *arg);
/* Revoke in this turn's transaction, with its audit record. R_OK, or why. */
enum reason	 issued_revoke(const struct issued *, enum crl_reason,
		    const char *who, struct why *);
/* Is there one of this generation that is valid after now? */
bool		 issued_any_valid(unsigned generation, uint64_t now);

/* ---- enrol.c, device.c ----------------------------------------------------- */

void		 enrol_start(void);	/* after ca_start(): files, log, orphans */
void		 enrol_up(enum ipc_role);
void		 enrol_down(enum ipc_role);
void		 enrol_tick(uint64_t mono_ms);
/* Before rows are shown: what enrold said of clients, and nobody wrote yet. */
void		 enrol_settle(void);
void		 enrol_warnings(service_warn_fn, void *arg);

/* ---- ocsp.c, control_ca.c, control_cert.c --------------------------------- */

IPC_HANDLER(enrold_enrol);
IPC_HANDLER(enrold_taken);
IPC_HANDLER(enrold_revoke);
IPC_HANDLER(enrold_cert_status);
IPC_HANDLER(enrold_ocsp);

IPC_HANDLER(ctl_ca_init);
IPC_HANDLER(ctl_ca_show);
IPC_HANDLER(ctl_ca_csr);
IPC_HANDLER(ctl_ca_install);
IPC_HANDLER(ctl_ca_rollover);
IPC_HANDLER(ctl_ca_crl);
IPC_HANDLER(ctl_cert_list);
IPC_HANDLER(ctl_cert_show);
IPC_HANDLER(ctl_cert_revoke);
IPC_HANDLER(ctl_cert_stats);
IPC_HANDLER(ctl_device_add);
IPC_HANDLER(ctl_device_remove);
IPC_HANDLER(ctl_device_list);

#endif
