/*
 * policyd: peers, evidence, policy and the control socket; types and
 * prototypes, grouped by file.
 */
#ifndef PEER_H
#define PEER_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policyd.h"

#define PEERS_MAX	8192
#define JOBS_MAX	16	/* attestations of peers at once */
#define STEPS_MAX	24	/* kept of one attestation */
#define MEASURE_KEPT	64	/* bytes kept of a value; longer: its SHA-256 */
#define MEASURE_BYTES	65536	/* values of one attestation, in all */
#define MEASURE_BOOT_ID	0xf0	/* attestd's index of the boot id, of type */
#define MEASURE_BOOT_TYPE 3	/* firmware configuration: never compared */
#define MEASURE_ANY_TYPE 255	/* a reference value without a type */
#define NEIGHBOURS_MAX	512
#define SELF_NAME	"self"	/* this node where a peer is named: self.c */

/* ---- peer_fsm.c: the table ---------------------------------------------- */

enum peer_state {
#define STATE(name, word, provisioned, connected)	P_##name,
#include "peer_fsm.def"
	P_NSTATES
};

enum peer_event {
#define EVENT(name, word, text)	EV_##name,
#include "peer_fsm.def"
	EV_N
};

enum peer_bit {
#define BIT(name, word, text)	BIT_##name,
#include "peer_fsm.def"
	BIT_N
};

enum {
#define BIT(name, word, text)	HAVE_##name = 1u << BIT_##name,
#include "peer_fsm.def"
	HAVE_NOTHING = 0
};

enum peer_act {
#define ACT(name, text)	ACT_##name,
#include "peer_fsm.def"
	ACT_N
};

struct trans {
	enum peer_state	 state;
	enum peer_event	 event;
	unsigned	 needs;
	enum peer_act	 act;
	enum peer_state	 next;
};

/* The one row of a state and an event, or NULL: the event is refused. */
const struct trans *fsm_find(enum peer_state, enum peer_event);
bool		 fsm_trusted(enum peer_state);
const char	*fsm_state_name(enum peer_state);
const char	*fsm_connected(enum peer_state);	/* OpenBMC's word */
const char	*fsm_event_name(enum peer_event);
const char	*fsm_event_text(enum peer_event);
const char	*fsm_act_name(enum peer_act);
const char	*fsm_act_text(enum peer_act);
const char	*fsm_bit_name(enum peer_bit);
const char	*fsm_bit_text(enum peer_bit);
int		 fsm_state_find(const char *name);	/* or -1 */

/* ---- evidence.c: what attestd -Q sent for one job; pure ----------------- */

struct measurement {
	uint8_t		 index, type;
	bool		 raw;
	uint16_t	 size;		/* bytes as they were sent */
	uint8_t		 dlen, vlen;
	uint8_t		 digest[MEASURE_KEPT];	/* SHA-256 of a raw value, or
						   the digest as sent */
	uint8_t		 value[MEASURE_KEPT];	/* of a raw value, if it fits */
};

struct measures {
	uint64_t	 time;		/* trusted seconds; when it was seen */
	unsigned	 n;
	struct measurement *m;		/* ascending by index */
	uint8_t		 ignored[32];	/* bit i: index i is not compared */
};

struct evidence {
	unsigned	 have;		/* HAVE_IDENTITY ... HAVE_FRESH */
	uint8_t		 version;	/* 0x12, 0x13 */
	uint8_t		 algorithm;	/* KEY_P256 ... */
	char		 node[NODE_ID_LEN + 1];
	char		 serial[65];	/* of the slot-0 leaf, hex */
	char		 device[65];	/* serialNumber of its subject, or "" */
	char		 subject[256];
	uint8_t		 root[HASH_LEN];
	uint64_t	 not_before, not_after;	/* of the whole slot-0 chain */
	size_t		 anchor_len;
	uint8_t		*anchor;
	uint64_t	 anchor_before, anchor_after;	/* slot 1's leaf */
	size_t		 bytes;		/* of all values */
	char		 address[65];	/* where it was proved */
	bool		 code;		/* and that it holds the one-time code */
	struct measures	 measures;
};

struct evidence	*evidence_new(void);
void		 evidence_free(struct evidence *);
/* Each returns 0, or -1 if no honest attestd -Q would send this. */
int		 evidence_identity(struct evidence *,
		    const struct msg_evid_identity *);
int		 evidence_anchor(struct evidence *,
		    const struct msg_evid_anchor *);
int		 evidence_measurement(struct evidence *,
		    const struct msg_evid_measurement *);
int		 evidence_end(struct evidence *, const struct msg_evid_end *,
		    const uint8_t nonce[32]);

const struct measurement *measures_find(const struct measures *,
		    unsigned index);
/* Insert in order; NULL if the index is there already or out of range. */
struct measurement *measures_add(struct measures *, unsigned index);
void		 measures_copy(struct measures *, const struct measures *);
void		 measures_clear(struct measures *);
bool		 measures_ignored(const struct measures *, unsigned index);
void		 measures_ignore(struct measures *, unsigned index);
const char	*measurement_kind(unsigned type);	/* DSP0274's words */

/* How one measurement stands to a list. */
enum judged { J_UNJUDGED, J_EQUAL, J_IGNORED, J_DIFFERS, J_UNLISTED };
bool		 measurement_boot(const struct measurement *);	/* a boot id */
enum judged	 measurement_judge(const struct measurement *,
		    const struct measures *list);

/* ---- policy.c: pure but for policy_read() ------------------------------- */

struct policy_accept {			/* accept root R serial "GLOB" */
	uint8_t		 root[HASH_LEN];
	const char	*serial;	/* NULL: the root lists nobody */
};

struct policy {
	struct policy_accept *accepts;
	size_t		 naccepts;
	uint32_t	 versions;	/* bit 0: 1.2, 1: 1.3, 2: 1.1 */
	uint32_t	 algorithms;	/* bit KEY_P256, bit KEY_P384 */
};

/* Where the values come from that a peer's measurements are compared with. */
enum ref_source { REF_NONE, REF_BASELINE, REF_FILE, REF_ACCEPTED };

/* What is known of a peer beside its evidence. */
struct listing {
	const char	*identity;	/* 40 hex digits, or "" */
	const char	*serial;	/* or "" */
	const char	*own;		/* our own node id, or "" */
	const char	*revoked;	/* name that the node was revoked by */
	bool		 unset;		/* our clock is: time is at least now */
	const char	*other;		/* peer that has the node, or NULL */
	const struct measures *reference; /* NULL: nothing to compare */
	enum ref_source	 source;
};

extern struct policy policy;		/* made by policy_read() */

/*
 * The verdict: pure. R_OK, or the first check that failed. warning is R_OK
 * or what the operator should know of an accepted peer.
 */
enum reason	 policy_judge(const struct policy *, const struct listing *,
		    const struct evidence *, uint64_t now, struct why *,
		    enum reason *warning);
/*
 * The same for a component: l->serial is a pattern, root the SHA-256 of its
 * own maker's root or NULL, an accepted one.
 */
enum reason	 policy_judge_component(const struct policy *,
		    const struct listing *, const uint8_t *root,
		    const struct evidence *, uint64_t now, struct why *);
/* RFC 3339, UTC. */
const char	*time_text(uint64_t, char *buf, size_t);
/* May this peer pair without being asked for? */
bool		 policy_lists(const struct policy *, const char *identity,
		    const char *serial);
/* Does some rule accept identities by their serial number? */
bool		 policy_has_rule(const struct policy *);
/* The failure says nothing about who answered: try again. */
bool		 policy_transient(enum reason);
/* A TLS refusal that a new attestation may cure. */
bool		 policy_doubtful(enum reason);
bool		 policy_glob(const char *pattern, const char *s);
/*
 * Reference values from a JSON file's text. R_OK, or -1 with err filled:
 * "line: what".
 */
int		 policy_parse_reference(const char *text, size_t len,
		    struct measures *, char *err, size_t errsize);
const struct measures *policy_file(const char *path);	/* read at start */
/* PEER_SET.shift: seconds from our time to that of a peer whose slot-1 leaf
   has this window. */
int64_t		 policy_shift(uint64_t before, uint64_t after, uint64_t now);

/* ---- peer.c: the set of peers, and the one function that moves them ----- */

enum peer_origin { FROM_CONF, FROM_OPERATOR, FROM_NEIGHBOUR };

/* Who said that the listed identity is the peer's. */
enum peer_pin { PIN_OPERATOR, PIN_CODE };

struct step {
	uint32_t	 step;
	uint64_t	 time;		/* trusted seconds */
	char		*detail;
};

struct job;

enum peer_tell { TELL_NOTHING, TELL_COMMIT, TELL_NOW };	/* netd */

struct peer {
	uint32_t	 id;		/* the store's; never given again */
	char		 name[65];
	enum peer_origin origin;
	const struct conf_peer *conf;	/* or NULL */
	char		 identity[NODE_ID_LEN + 1];	/* listed, or "" */
	enum peer_pin	 pinned;
	char		 serial[65];	/* listed, or "" */
	char		 address[65];	/* configured or given, or "" */
	bool		 held;		/* unprovisioned: nobody else may ask */

	enum peer_state	 state;
	enum peer_state	 stored;	/* as the store had it at start */
	unsigned	 have;		/* HAVE_... */
	uint64_t	 since;		/* trusted time of the state */
	struct why	 why;		/* why not trusted, or not connected */
	struct why	 trouble;	/* the last attempt to attest it anew */
	enum reason	 warning;

	struct evidence	*fresh;		/* being judged; EV_GOOD takes it */
	struct evidence	*ev;		/* it was last trusted for; its measures
					   are the baseline */
	size_t		 anchor2_len;	/* the CA before a rollover */
	uint8_t		*anchor2;
	uint64_t	 attested;	/* trusted time of ev */
	uint64_t	 attested_run;	/* the same, by peers_run() */
	struct measures	 seen, proposed, accepted;

	uint64_t	 due;		/* mono ms of the next job, 0: none */
	const char	*cause;		/* why it is due */
	unsigned	 attempts;	/* since the last good one */
	unsigned	 doubts;	/* since the last connection */
	uint64_t	 inbound_after;	/* mono ms: heed no ATTESTED before */
	uint64_t	 deadline;	/* mono ms of TIMEOUT, 0: none */
	bool		 queued;	/* waits for a free job */
	struct job	*job;
	uint32_t	 last_job;
	struct step	*steps;		/* of the last job */
	unsigned	 nsteps;

	struct {			/* a one-time code waits for it */
		bool	 held;
		uint8_t	 id[CODE_ID_LEN];
		uint64_t until;		/* mono ms */
	} code;

	uint32_t	 link;		/* as PEER_LINK.state */
	bool		 dialled;
	char		 link_address[65];
	struct why	 link_why;
	uint64_t	 link_since;
	bool		 lost;		/* was connected since ev, then not */

	unsigned	 redials;	/* failed ones since it was connected */
	unsigned	 link_news;	/* moves; one less each second */
	enum peer_tell	 tell;
	bool		 told;		/* netd knows it */
	struct {			/* busd, on a node with D-Bus */
		bool	 marked, known;	/* is to be told; was told */
		bool	 counted;	/* in the node's words, as these: */
		bool	 trusted;
		uint8_t	 word;		/* enum peer_connected */
	} bus;

	TAILQ_ENTRY(peer) entry;	/* all, in order of their ids */
	TAILQ_ENTRY(peer) wait;		/* those that are queued */
	TAILQ_ENTRY(peer) telling;	/* those that netd is to be told of */
	TAILQ_ENTRY(peer) showing;	/* and busd */
	struct peer	*name_next, *id_next;
	LIST_ENTRY(peer) by_node;	/* if ev */
	LIST_ENTRY(peer) by_host;	/* if has_host */
	uint8_t		 host[16];	/* address, IPv4 as IPv4-mapped */
	bool		 has_host;
};
TAILQ_HEAD(peerq, peer);

/* What the peers take from outside; tests set their own. */
struct peers_env {
	struct chan	*(*link)(enum ipc_role);
	uint64_t	 (*mono)(void);		/* ms */
	uint64_t	 (*now)(void);		/* trusted seconds */
	void		 (*random)(void *, size_t);
};
extern struct peers_env peers_env;
extern struct peerq peers;

/*
 * The only function that changes a peer's state. 0, or -1 if the event has
 * no row in this state or evidence is missing; that is counted.
 * why is the reason that goes with the event, or NULL.
 */
int		 peer_step(struct peer *, enum peer_event, const struct why *);
struct peer	*peer_byname(const char *);
struct peer	*peer_byid(uint32_t);
size_t		 peers_count(void);
bool		 peer_trusted(const struct peer *);
/* New, in the store at the end of this turn. NULL with *why filled. */
struct peer	*peer_new(const char *name, enum peer_origin,
		    const char *identity, const char *serial,
		    const char *address, struct why *);
/* For peer_store_load(): a peer that the store has. */
struct peer	*peer_restore(uint32_t id, const char *name, enum peer_origin);
void		 peer_remove(struct peer *);
void		 peer_forget_evidence(struct peer *);
bool		 peer_name_ok(const char *);
uint64_t	 peers_age(void);	/* ms since peers_start() */
void		 peers_run_save(void);
uint64_t	 peers_run(void);	/* ms that policyd ran, over restarts */
void		 peers_end(void);	/* for tests: forget everything */
/* The name that this node was revoked by, or NULL. */
const char	*peer_revoked(const char *node);
/* LEAVE, from listing and policy. */
void		 peer_leave(struct peer *);
/* What policy knows of p for a judgement of ev. */
void		 peer_listing(const struct peer *, const struct evidence *,
		    struct listing *);
const struct measures *peer_reference(const struct peer *, enum ref_source *);

/* ---- peer_index.c: found by node and by address ------------------------- */

/* Takes ev, which may be NULL; frees what was there. */
void		 peer_set_evidence(struct peer *, struct evidence *);
/* The trusted peer of this node id, other than not; or NULL. */
const struct peer *peer_bynode(const char *node, const struct peer *not);
void		 peer_set_address(struct peer *, const char *);
/* Every peer that was given this address, in whatever spelling. */
void		 peers_at(const char *address, void (*)(struct peer *, void *),
		    void *arg);

/* ---- peer_act.c: what a transition does, and when the next one is due --- */

void		 peer_run_act(struct peer *, const struct trans *,
		    const struct why *);
void		 peer_resume(struct peer *);	/* from what the store has */
void		 peer_schedule(struct peer *, uint64_t delay_ms,
		    const char *cause);
/* Doubling from min to max, of which half is left to chance. */
uint64_t	 peer_backoff(unsigned attempts, uint64_t min, uint64_t max);
/* From one good attestation to the next: reattest, less up to a fifth. */
uint64_t	 peer_period(void);
void		 peer_tick(struct peer *, uint64_t mono);

/* ---- peer_ask.c: what somebody asks of a peer --------------------------- */

/*
 * A peer that may be provisioned, or a neighbour of this name that becomes
 * one: for an operator any, else one that a rule of the policy may accept.
 * NULL with *why filled.
 */
struct peer	*peer_wanted(const char *name, bool operator, struct why *);
void		 peer_provision(struct peer *);
/* kind and who are for the record: AUDIT_OPERATOR, "uid 0". */
void		 peer_unprovision(struct peer *, enum audit_kind,
		    const char *who);
enum reason	 peer_revoke(struct peer *, enum audit_kind, const char *who,
		    struct why *);

/* ---- code.c: one-time codes --------------------------------------------- */

/* p is NULL if the peer has gone meanwhile. */
typedef void (*code_fn)(struct peer *p, const struct why *, void *arg);
/*
 * Have keyd hold a code for this peer; it takes the place of one before. fn
 * runs once, later. 0, or -1 and fn never runs: keyd is not there.
 */
int		 code_hold(struct peer *, const uint8_t *code, size_t len,
		    code_fn, void *arg);
void		 code_forget(struct peer *);	/* keyd keeps it */
void		 code_drop(struct peer *);	/* keyd wipes it */
/* An attestation with the code ended without a verdict: soon again. */
void		 code_retry(struct peer *);
/* Evidence that holds the code: the identity is listed from now on. */
void		 code_confirm(struct peer *, const struct evidence *);
void		 code_tick(struct peer *, uint64_t mono);
void		 codes_down(void);		/* keyd went, and they with it */

/* ---- job.c: attestations under way, whoever they are for ---------------- */

enum job_loss { JOB_UNREACHABLE, JOB_TIMEOUT, JOB_ATTESTQ_LOST };

/* What its owner does for a job; evidence, failed and lost must end it. */
struct job_ops {
	/* Where to dial; an empty address is nowhere. */
	void		 (*where)(struct job *, struct msg_dial_spdm *);
	/* May take s->detail and leave NULL. */
	void		 (*step)(struct job *, struct step *s);
	/* All of it is there, and fresh. May go on, without more evidence. */
	void		 (*evidence)(struct job *);
	/* attestd -Q ended it, and says why. */
	void		 (*failed)(struct job *, const struct why *);
	/* It ends without a word of attestd -Q about who was asked. */
	void		 (*lost)(struct job *, enum job_loss,
			    const struct why *);
};

struct job {
	LIST_ENTRY(job)	 entry;
	uint32_t	 id;
	uint32_t	 kind;		/* JOB_ATTEST ... */
	const struct job_ops *ops;
	void		*owner;
	struct evidence	*ev;
	uint8_t		 nonce[32];
	bool		 proved;	/* there is no more evidence to come */
	uint64_t	 deadline;	/* mono ms */
};

void		 jobs_start(void);
void		 jobs_tick(uint64_t mono);
void		 jobs_down(enum ipc_role);
bool		 job_possible(void);	/* attestd -Q and netd are there */
/*
 * Fills number, nonce, algorithms and deadline of m, which is attestd -Q's
 * to begin with. NULL if it cannot be opened now.
 */
struct job	*job_open(const struct job_ops *, void *owner,
		    struct msg_job_open *m);
/* It is over, and freed: by us, so that attestd -Q hears of it and its late
   messages are excused, or by its last report. */
void		 job_end(struct job *, bool by_us);
/* By its evidence, which is the caller's now. */
struct evidence	*job_take(struct job *);
/* Is a late message for this job excused? */
bool		 job_late(uint32_t id);
void		 why_reply(struct why *, const struct ipc_reply *);
const char	*step_name(uint32_t step);	/* of attestd's script */

/* ---- peer_job.c: those of peers ----------------------------------------- */

void		 job_want(struct peer *);	/* one, when there is room */
void		 job_cancel(struct peer *);	/* the peer's, if any */
void		 jobs_pump(void);
unsigned	 jobs_running(void);

/* ---- peer_net.c: what netd is told and tells ---------------------------- */

void		 net_tell(struct peer *);	/* the store has it already */
void		 net_tell_after(struct peer *);	/* after this turn's commit */
void		 net_untell(struct peer *);	/* at once: an empty anchor */
void		 net_forget(struct peer *);	/* at once: PEER_DROP */
void		 net_quiet(struct peer *);	/* nothing to tell of it */
void		 net_up(void);
void		 net_down(void);
void		 net_pump(void);
void		 net_tick(struct peer *);	/* once a second */
/* Where to reach a peer: configured or given, else its neighbour's. "" if
   nowhere; *from names which. */
const char	*net_address(const struct peer *, const char **from);
/* Where it is attested, which may be over MCTP; "" if nobody knows. */
const char	*net_spdm_address(const struct peer *);

/* ---- peer_store.c ------------------------------------------------------- */

void		 peer_store_load(void);
void		 peer_store_insert(struct peer *);
/* What the operator said of it, its state and why. */
void		 peer_store_save(const struct peer *);
enum reason	 peer_store_evidence(const struct peer *);
void		 peer_store_delete(const struct peer *);
void		 peer_store_revoke(const char *node, const char *name, bool on);

/* ---- reference.c -------------------------------------------------------- */

enum measures_list { LIST_SEEN, LIST_BASELINE, LIST_PROPOSED, LIST_ACCEPTED };

void		 reference_load(void);	/* of all peers, once they are there */
void		 reference_save(const struct peer *, enum measures_list,
		    const struct measures *);
enum reason	 reference_learn(struct peer *);
enum reason	 reference_accept(struct peer *);

/* ---- neighbour.c -------------------------------------------------------- */

struct neighbour {
	bool		 used, stale;
	uint64_t	 heard;		/* trusted seconds */
	uint64_t	 order;		/* of two of one name, the higher */
	struct msg_neighbour m;
};

/* netd, or busd where the configuration says so. */
enum ipc_role	 neighbours_source(void);
/* A daemon greeted: what its source does not name again before the end of
   the list is gone. */
void		 neighbours_up(enum ipc_role);
void		 neighbours_down(enum ipc_role);
void		 neighbours_clear(void);
/* The newest of this system name that has an address, or none of them has. */
const struct neighbour *neighbour_byname(const char *);
const struct neighbour *neighbour_of(const struct peer *);
const char	*neighbour_address(const struct neighbour *);
void		 neighbours_each(void (*)(const struct neighbour *, void *),
		    void *);
/* The 16 bytes of an address, IPv4 as IPv4-mapped, no zone. 0 or -1. */
int		 address_bytes(const char *, uint8_t out[16]);
/* Two spellings of one IP address. */
bool		 address_equal(const char *, const char *);

/* ---- inbound.c: somebody attested us ------------------------------------ */

void		 inbound_heard(const struct neighbour *);
/* The peer that this neighbour is, or becomes if a rule can accept it. */
struct peer	*inbound_peer(const struct neighbour *);
void		 inbound_clear(void);

/* ---- control_peer.c ----------------------------------------------------- */

/* What happens, for monitor and for whoever waits. */
void		 control_step(const struct peer *, const struct step *);
void		 control_transition(const struct peer *, enum peer_state from,
		    enum peer_event, const struct why *);
/* An event that did not move the peer. */
void		 control_stay(const struct peer *, enum peer_event,
		    const struct why *);
/* An attestation ended without a verdict. */
void		 control_attempt(const struct peer *, const struct why *);
void		 control_link(const struct peer *);
void		 control_neighbour(const struct neighbour *, bool gone);

#endif
