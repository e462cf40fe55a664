/*
 * The peer channel: TLS 1.3 between two nodes, with the private key in keyd.
 *
 * token.c and backoff.c are pure. tls.c knows who we are, verify.c a
 * certificate, peer.c the table of peers, peerlink.c what a connection means
 * for its peer; the connection itself is libutil/tlsconn.c.
 */
#ifndef TLS_H
#define TLS_H

#include <sys/queue.h>
#include <sys/socket.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "ipc.h"
#include "netd.h"
#include "tlsconn.h"

#define NODE_MAX	41	/* 40 hex digits and NUL */

/* ---- token.c: the words of the channel, pure ----------------------------- */

#define TOKEN_BABBLE_MAX 1024	/* bytes between tokens that are none */

enum token {
	TOKEN_HELLO,		/* the client's first word */
	TOKEN_ALIVE,		/* the server's answer to anything */
	TOKEN_PING,		/* the client asks whether the server lives */
	TOKEN_NTOKENS,
	TOKEN_NONE,		/* nothing whole in what was read so far */
	TOKEN_BABBLE		/* too much that is no token: give up */
};

struct token_reader {
	unsigned	which;		/* token that began, if at > 0 */
	unsigned	at;		/* bytes of it seen */
	unsigned	babble;		/* other bytes since the last token */
};

/*
 * Read on at buf: the next whole token and in *used how many bytes it took.
 * Tokens follow each other without a sign between them, cut anywhere.
 */
enum token token_next(struct token_reader *, const uint8_t *buf, size_t len,
	    size_t *used);
const char *token_text(enum token);

/* ---- backoff.c: when to try again, pure ---------------------------------- */

struct backoff {
	uint32_t	min, max;	/* ms */
	uint32_t	next;		/* ms, before jitter */
};

void	backoff_init(struct backoff *, uint32_t min, uint32_t max);
/*
 * Milliseconds to wait now; doubles from min to max. random spreads it over
 * a quarter to either side, so that many peers do not come at once.
 */
uint32_t backoff_next(struct backoff *, uint32_t random);
void	backoff_reset(struct backoff *);

/* ---- tls.c: who we are, and connections under that name ------------------ */

/*
 * Who we are from now on: the leaf, DER, and its key at keyd. Connections
 * that exist keep theirs. R_OK, or why the leaf cannot be used.
 */
enum reason tls_identity(uint32_t key, enum key_algorithm, const uint8_t *leaf,
	    size_t len);
bool	tls_ready(void);		/* there is an identity */
/*
 * tls_start() with the context of our identity. NULL with the reason in why
 * (fd is closed then).
 */
struct tls *tls_open(uv_loop_t *, int fd, bool server,
	    const struct tls_events *, void *arg, struct refusal *why);
void	tls_stop(void);			/* free what tls_init() made */
SSL_CTX	*tls_context(void);		/* a new one without identity, or NULL */

/* ---- warm.c -------------------------------------------------------------- */

/*
 * A whole handshake in memory, with keys that are then forgotten, so that
 * OpenSSL has loaded what it loads lazily before the filter is on. 0 or -1.
 */
int	tls_warm(void);

/* ---- verify.c: whose certificate is it ----------------------------------- */

/* The node that the leaf's one URI names; 0, or -1 with why. */
int	verify_identity(X509 *leaf, char node[NODE_MAX], struct refusal *why);
/*
 * Was this leaf issued by one of the anchors, for this side of TLS, and is
 * it valid at now (by the peer's clock)? With now 0 its window does not
 * matter. 0, or -1 with why.
 */
int	verify_leaf(X509 *leaf, X509 *const *anchors, size_t nanchors,
	    bool server, int64_t now, struct refusal *why);
/* Is now inside of the leaf's window? 0, or -1 with why. */
int	verify_window(const X509 *leaf, int64_t now, struct refusal *why);
/* Did this CA issue that leaf? Names, key ids and signature. */
bool	verify_issued(X509 *leaf, X509 *anchor);
/* May this certificate be an anchor? */
bool	verify_anchor(X509 *);

/* ---- peer.c: the table of peers ------------------------------------------ */

#define PEERS_MAX	8192	/* as policyd has */
#define PEER_ANCHORS	2		/* two while a CA is rolled over */

struct peerlink;

struct pin {		/* the leaf that was accepted last */
	bool	 set;
	uint8_t	 sha256[32];
};

struct peer {
	LIST_ENTRY(peer) by_number, by_node;
	LIST_ENTRY(peer) by_host;	/* if has_host */
	uint8_t		 host[16];	/* of address, IPv4 as IPv4-mapped */
	bool		 has_host;
	TAILQ_ENTRY(peer) all;
	uint32_t	 number;	/* policyd's */
	char		 name[65];
	char		 address[65];	/* IP literal, empty: wait to be dialled */
	uint16_t	 port;
	char		 node[NODE_MAX];	/* empty: not in by_node */
	X509		*anchor[PEER_ANCHORS];
	size_t		 nanchors;	/* 0: disabled */
	uint64_t	 epoch;		/* changes with the anchors or the node */
	struct pin	 pin[2];	/* as the client's, as the server's */
	int64_t		 shift;		/* s, their clock minus ours */
	uint32_t	 keepalive, silence;	/* ms */
	bool		 named;		/* since policyd's last greeting */

	/* peerlink.c */
	TAILQ_HEAD(peerlink_list, peerlink) links;	/* all of them */
	struct peerlink	*live;		/* the one that counts, or NULL */

	/* peers.c */
	struct dial	*dial;
	int		 fd;		/* connected, if waits */
	bool		 waits;		/* for one of the handshakes at once */
	TAILQ_ENTRY(peer) waiting;	/* if waits */
	struct backoff	 backoff;
	unsigned	 failures;	/* since the last success, or fresh start */
	uv_timer_t	*redial;	/* NULL: not armed */
	uint32_t	 reported;	/* state of the last PEER_LINK */
	bool		 relinked;	/* another connection is the live one */
	bool		 owed;		/* a report that there was no room for */
	TAILQ_ENTRY(peer) owing;	/* if owed */
	bool		 quiet;		/* being changed: no reports, no dialling */
	struct refusal	 why;		/* of the last loss */
};

TAILQ_HEAD(peer_list, peer);

void	peer_table_init(void);
struct peer *peer_bynumber(uint32_t);
struct peer *peer_bynode(const char *node);
struct peer_list *peer_all(void);
/*
 * Enter a peer or change it to what policyd says. NULL when the table is
 * full. why is R_OK, or why the peer is disabled though policyd gave an
 * anchor.
 */
struct peer *peer_enter(const struct msg_peer_set *, struct refusal *why);
void	peer_remove(struct peer *);	/* out of the table, and freed */
/*
 * Who presents this leaf: the peer, or NULL with why. dialled is the peer
 * whose address was dialled, NULL for a connection from outside; server is
 * their side of TLS.
 */
struct peer *peer_verify(X509 *leaf, bool server, const struct peer *dialled,
	    uint64_t now, struct refusal *why);

/* ---- peers.c: what a peer needs: dialling, reports, policyd's messages --- */

uv_loop_t *peers_loop(void);
uint32_t peers_handshake_timeout(void);	/* ms */
/* Of two connections with this peer, does the one stay that we dialled? */
bool	peers_ours_wins(const struct peer *);
/* A link came, became live, or went (then with why): report, redial. */
void	peers_changed(struct peer *, const struct refusal *why);
void	peers_handshaken(void);	/* one that we dialled has ended its handshake */

/* ---- peerlink.c: one connection and what it means for its peer ----------- */

/* Takes fd, connected to the peer's address. */
void	peerlink_dialled(struct peer *, int fd);
/* The peer's anchors or node changed: who does not fit any more goes. */
void	peerlink_recheck(struct peer *);
void	peerlink_end_all(struct peer *, enum reason);
void	peerlink_end_strangers(enum reason);
/* Is a connection that we dialled on its way? */
bool	peerlink_dialling(const struct peer *);
/* Who is at the other end, for a report; the live one, else the newest. */
const struct peerlink *peerlink_best(const struct peer *);
bool	peerlink_is_dialled(const struct peerlink *);
const char *peerlink_address(const struct peerlink *);

#endif
