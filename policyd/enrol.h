/*
 * policyd: what the files of enrolment share: devices, attempts, decisions,
 * rows and files of what was issued.
 */
#ifndef ENROL_H
#define ENROL_H

#include "ca.h"

#define TICKET_LEN	16	/* 128 bits of getrandom(2) */
#define CERTS_VALID	16	/* certificates of one name at once */

/* ---- device.c: whom an operator listed, and their tickets ---------------- */

struct device {
	int64_t		 id;
	char		 name[NAME_LEN + 1];	/* canonical */
	char		 profile[33];
	uint64_t	 added;
	uint64_t	 expires;	/* of its newest ticket, 0: none */
	uint64_t	 used;		/* when, 0: not */
	int64_t		 certificates;
	uint8_t		 last[SERIAL_LEN];	/* of the newest */
};

struct ticket {
	uint8_t		 hash[HASH_LEN];	/* SHA-256; the ticket is nowhere */
	char		 name[NAME_LEN + 1], profile[33];
	uint64_t	 expires, used;
};

const struct conf_profile *profile_find(const char *name);
/* The one profile of the configuration, or NULL if there are others. */
const struct conf_profile *profile_only(void);
/* The one form of a name of this kind. 0, or -1 if it is none. */
int		 name_canonical(enum conf_name_kind, const char *,
		    char out[NAME_LEN + 1]);
/* The subjectAltName that such a certificate has; its text. */
enum san_kind	 name_san(enum conf_name_kind, const char *name, char *out,
		    size_t size);
/* Whether whoever is not listed may have it. */
bool		 profile_lists(const struct conf_profile *);

bool		 device_find(const char *name, struct device *);
/* List it under the profile. R_OK, or why not; the caller acknowledges. */
enum reason	 device_add(const char *name, const struct conf_profile *,
		    struct why *);
enum reason	 device_remove(int64_t id);
/* Another ticket in the place of one that nobody used. */
enum reason	 device_ticket(int64_t id, uint64_t expires,
		    uint8_t out[TICKET_LEN]);
typedef void (*device_fn)(const struct device *, void *arg);
/* Up to max, by name, after this one. False: there are no more. */
bool		 device_page(char after[NAME_LEN + 1], const char *profile,
		    unsigned max, device_fn, void *arg);
bool		 ticket_find(const uint8_t *ticket, struct ticket *);
enum reason	 ticket_burn(const uint8_t hash[HASH_LEN], uint64_t now);
/* Nothing was issued for it. */
enum reason	 ticket_restore(const uint8_t hash[HASH_LEN]);

/* ---- attempt.c: how often somebody may be refused ------------------------ */

enum attempt { ATTEMPT_ADDRESS, ATTEMPT_DEVICE, ATTEMPT_N };

void		 attempt_start(void);
/* Was refused too often? Time is monotonic, in ms. */
bool		 attempt_over(enum attempt, const char *who, uint64_t now);
void		 attempt_refused(enum attempt, const char *who, uint64_t now);

/* ---- cert_form.c: keys and certificates in DER; pure --------------------- */

#define SPKI_ANY_MAX	600	/* RSA of 4096 bits */

/* The SubjectPublicKeyInfo of a point or a modulus; its length, or 0. */
size_t		 form_spki(uint32_t key_type, const uint8_t *public,
		    size_t len, uint32_t exponent, uint8_t out[SPKI_ANY_MAX]);
struct form_want {
	const struct ca	*ca;
	const struct conf_profile *profile;
	const uint8_t	*serial;	/* SERIAL_LEN */
	const char	*name;
	uint64_t	 not_before, not_after;
	const uint8_t	*spki;
	size_t		 spkilen;
};
/* Is it what keyd was asked for? R_OK, or the part that is not. */
enum reason	 form_check(const uint8_t *der, size_t len,
		    const struct form_want *, struct why *);

/* ---- cert_store.c -------------------------------------------------------- */

struct intent {			/* beside struct issued */
	uint8_t		 request[HASH_LEN];
	uint8_t		 authority[HASH_LEN];	/* ticket or client, hashed */
};

/* A row before keyd is asked; fills in its id. */
enum reason	 issued_intent(struct issued *, const struct intent *);
enum reason	 issued_fill(int64_t id, const uint8_t *der, size_t len);
/* keyd issued nothing: no row either. */
enum reason	 issued_forget(int64_t id);
/* enrold says that a client has it. */
enum reason	 issued_taken(const uint8_t serial[SERIAL_LEN]);
bool		 issued_byid(int64_t id, struct issued *);
/* How the key stands: free, another's or a revoked one, or the same request
   by the same authority, whose row *same is then. */
enum key_use { KEY_FREE, KEY_TAKEN, KEY_REVOKED, KEY_SAME };
enum key_use	 issued_key(const uint8_t key[HASH_LEN], const char *name,
		    const struct intent *, struct issued *same);
/* Certificates of the name that are neither revoked nor expired, up to max. */
unsigned	 issued_valid(const char *name, uint64_t now, unsigned max);
/* The newest of the name. */
bool		 issued_newest(const char *name, struct issued *);
/* One of the name was revoked, and not for another that took its place. */
bool		 issued_taken_back(const char *name);
int64_t		 issued_last(void);	/* the highest id, 0: none */
/* Valid ones asked for before then that nobody is known to have, up to max. */
unsigned	 issued_orphans(uint64_t before, uint64_t now, unsigned max);

enum issued_status { ST_ALL, ST_VALID, ST_REVOKED, ST_EXPIRED, ST_ORPHAN };
struct issued_filter {
	char		 name[NAME_LEN + 1], profile[33];	/* "": all */
	enum issued_status status;
	uint64_t	 now;
};
typedef void (*issued_row_fn)(const struct issued *, void *arg);
/*
 * Rows after id *at, oldest first, until max were found or a bounded number
 * looked at; *at goes on. False: that was the last.
 */
bool		 issued_page(const struct issued_filter *, int64_t *at,
		    unsigned max, issued_row_fn, void *arg);
const char	*cert_auth_name(enum cert_auth);
#define SERIAL_DIGITS	((size_t)2 * SERIAL_LEN)
/* As many of these are hex digits, in either case. 0 or -1. */
int		 serial_read(const char *, uint8_t out[SERIAL_LEN]);
enum issued_status issued_state(const struct issued *, uint64_t now);
/* The same piece by piece, for how many there are of a profile and status. */
typedef void (*issued_count_fn)(const char *profile, enum issued_status,
    int64_t n, void *arg);
bool		 issued_count(int64_t *at, uint64_t now, issued_count_fn,
		    void *arg);
const char	*crl_reason_name(enum crl_reason);
bool		 crl_reason_ok(uint32_t);	/* a certificate may have it */

/* ---- cert_file.c: issued/ab/SERIAL.pem and issued/serials.txt ------------ */

/*
 * Directories, the log without a torn line, and what the store has beyond
 * what is known to be written: at once, or piece by piece if it is much.
 */
void		 files_start(void);
/*
 * Write the files and lines of all of these, and sync them once. R_OK, or
 * R_CRT_FILES: then nothing may be acknowledged, and each is tried again.
 */
enum reason	 files_write(const struct issued *const *, size_t n);
/* What could not be written is written first. R_OK, or R_CRT_FILES. */
enum reason	 files_retry(void);
/* The file of one from an earlier life of policyd. */
enum reason	 files_ensure(const struct issued *);
/* Every row up to this id has its files: the next start begins there. */
void		 files_known(int64_t id);
void		 files_tick(void);
bool		 files_broken(void);	/* the last write failed */

/* ---- enrol_decide.c ------------------------------------------------------ */

struct decision {
	const struct conf_profile *profile;
	char		 name[NAME_LEN + 1];
	enum cert_auth	 auth;
	struct intent	 intent;
	bool		 ticket;	/* burn the one of intent.authority */
	uint8_t		 key[HASH_LEN];
	size_t		 spkilen;
	uint8_t		 spki[SPKI_ANY_MAX];
	bool		 again;		/* same is the row of this request */
	struct issued	 same;
};
/* R_OK, or the check that failed. Changes nothing. */
enum reason	 enrol_decide(const struct msg_enrol_req *, uint64_t now,
		    struct decision *, struct why *);

/* ---- enrol.c ------------------------------------------------------------- */

/* A refusal to whom and where from, in words of a stranger: counted, logged
   once, on record unless there are too many. */
void		 refusal_note(const char *what, const char *who,
		    const char *where, const struct why *);
size_t		 enrol_under_way(void);
uint64_t	 enrol_now(void);	/* mono ms, of the last tick */
void		 enrol_end(void);	/* for tests */

#endif
