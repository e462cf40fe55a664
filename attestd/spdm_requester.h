/* What the requester's files share; none of them knows the daemon. */
#ifndef SPDM_REQUESTER_H
#define SPDM_REQUESTER_H

#include "spdm_chunk.h"
#include "spdm_csr.h"
#include "spdm_psk.h"
#include "spdm_session.h"

/*
 * The steps of an attestation. DIGESTS come first, so that every transcript
 * starts alike.
 */
#define REQUESTER_ATTESTS						\
	{ SPDM_GET_VERSION, 0 }, { SPDM_GET_CAPABILITIES, 0 },		\
	{ SPDM_NEGOTIATE_ALGORITHMS, 0 }, { SPDM_GET_DIGESTS, 0 },	\
	{ SPDM_GET_CERTIFICATE, 0 }, { SPDM_GET_CERTIFICATE, 1 },	\
	{ SPDM_CHALLENGE, 0 }, { SPDM_GET_MEASUREMENTS, 0 }

/* How measurements are read: all at once or, when the record does not fit,
 * their number, then who they are, then one by one. */
enum requester_reading { READ_ALL, READ_COUNT, READ_FIND, READ_EACH };

struct requester_slot {
	uint8_t			*buf;		/* content, as it grows */
	size_t			 len, total;
	unsigned		 portions;
	bool			 named, whole;	/* in DIGESTS; all checked */
	uint8_t			 digest[SPDM_HASH_MAX];
	struct spdm_chain	 chain;
};

/* What the responder asks of us inside its answers (DSP0274, mutual
 * authentication by the encapsulated request flow). */
struct requester_encap {
	uint8_t			 next;	/* SPDM_GET_ENCAPSULATED,
					   SPDM_DELIVER_ENCAPSULATED, 0: over */
	uint8_t			 id;	/* of the request to answer, */
	uint8_t			 req[8];	/* as far as we look at it */
	size_t			 len;
	unsigned		 answered;
	bool			 digests;	/* EncapD is in TH */
};

/* The one session of a connection. */
struct requester_session {
	struct spdm_session	*s;	/* NULL: none, or over */
	bool			 clear;	/* the handshake is not protected */
	void			*key;	/* ephemeral, until it is agreed */
	uint8_t			 pub[SPDM_DHE_MAX];
	uint8_t			 verify[SPDM_HASH_MAX];	/* to be compared */
	uint8_t			 heartbeat;	/* seconds, 0: none */
	uint8_t			 mutual;	/* SPDM_MUT_ */
	uint8_t			 own_slot;	/* whose key signs FINISH */
	bool			 own_chain;	/* it is in TH */
	struct requester_encap	 encap;
	uint8_t			*rec, *plain;	/* sealed, opened */
	size_t			 rec_len;
};

/* Large messages; one a time. */
struct requester_chunk {
	bool			 on;		/* both sides have CHUNK */
	uint32_t		 peer_max;	/* its MaxSPDMmsgSize */
	struct spdm_chunk	 one;
	struct spdm_buf		 piece;		/* what goes out, if anything */
	bool			 secured;	/* it goes in the session */
	bool			 sending;	/* the request, not the answer */
	uint8_t			 handle;	/* the last one of ours */
	uint16_t		 piece_seq;	/* to be acknowledged */
};

/* The slot of a component that we fill. */
struct requester_csr {
	struct spdm_csr		 asked;
	bool			 waiting;	/* for requester_chain() */
	uint8_t			*chain;		/* content of the slot */
	size_t			 len;
	uint8_t			 key_pair;	/* of slot 0, multi-key */
	uint8_t			 tag;		/* with ResetRequired */
};

struct requester {
	struct requester_conf	 conf;
	struct transcript	 tr;
	size_t			 step;
	uint8_t			 version;
	const struct spdm_alg	*alg;
	struct spdm_algs	 offered;
	uint32_t		 peer_transfer;
	struct requester_chunk	 chunk;
	uint32_t		 peer_flags;	/* capabilities */
	struct spdm_algs	 selected;
	uint32_t		 meas_hash;
	uint8_t			 mask;		/* provisioned slots */
	struct requester_slot	 slot[SPDM_SLOTS];

	uint8_t			 nonce[SPDM_NONCE];	/* of the job */
	uint8_t			 context[SPDM_CONTEXT];	/* of this request */
	bool			 summed;	/* the peer signed a summary */
	uint8_t			 summary[SPDM_HASH_MAX];

	enum requester_reading	 reading;
	unsigned		 wanted, found, next;
	uint8_t			 index[SPDM_BLOCKS_MAX];
	uint8_t			*record;
	size_t			 record_len;
	unsigned		 nblocks;

	/* Multi-key connections: DIGESTS are part of TH, the peer's and
	 * ours (DSP0274 1.3). */
	bool			 multi_key, multi_key_own;
	uint8_t			 digests[SPDM_DIGESTS_MAX];
	size_t			 digests_len;

	struct requester_csr	 csr;
	struct requester_session ses;
	bool			 signing;	/* waits for requester_signed() */
	bool			 beating;	/* HEARTBEAT while a chain is
						   awaited */
	struct responder_sign	 sign;
	uint8_t			 sign_hash[SPDM_HASH_MAX];
	bool			 keying;	/* waits for requester_secrets() */
	struct spdm_psk		 psk;
	char			 node[41];	/* whose key answered */

	uint8_t			 asked;		/* code of the request */
	struct spdm_buf		 req, again;	/* request; RESPOND_IF_READY */
	uint8_t			*req_data, again_data[4];
	bool			 asking_again;
	const uint8_t		*out;		/* what leaves, */
	size_t			 out_len;
	bool			 secured;	/* as a record */
	unsigned		 tries;		/* of this request */
	uint32_t		 delay;
	struct spdm_why		 why;
	struct spdm_evidence	 evidence;
};

/* requester.c */
enum spdm_take requester_bad(struct requester *, enum reason,
	    const char *field, const char *expected, const char *seen, ...)
	    __attribute__((format(printf, 5, 6)));
void	requester_say(struct requester *, const char *, ...)
	    __attribute__((format(printf, 2, 3)));
const struct spdm_step *requester_step(const struct requester *);
/*
 * The last stop of what leaves: seals it if the session protects. The bytes
 * must stay where they are until the answer has come.
 */
enum spdm_act requester_send(struct requester *, const uint8_t *, size_t);
/* Is there a step with this request? */
bool	requester_asks(const struct requester *, uint8_t code);
void	requester_put_random(struct requester *, uint8_t *, size_t);

/* requester_auth.c: an ERROR answer to GET_MEASUREMENTS. TAKE_NEXT: it is
 * no affair of the way of reading. */
enum spdm_take requester_measure_error(struct requester *, uint8_t code);
void	requester_finish(struct requester *);
/* M of the connection, or of the session inside which we are. */
void	requester_m_reset(struct requester *);

/* ---- requester_session.c ------------------------------------------------- */

/* Does the connection allow the session that the steps want? */
enum spdm_take requester_session_caps(struct requester *, uint32_t flags);
enum spdm_take requester_session_algs(struct requester *);
/* A session under this RspSessionID, TH starting with A. */
enum spdm_take requester_session_new(struct requester *,
	    const uint8_t rsp_id[2]);
void	requester_session_end(struct requester *);	/* wipes all of it */
/* Do messages travel in records now? */
bool	requester_secured(const struct requester *);
/* HMAC of the side over TH so far, compared. */
bool	requester_verified(struct requester *, enum spdm_side,
	    const uint8_t *data);
/* FINISH was written up to its signature: here it is, or NULL. */
void	requester_finish_signed(struct requester *, const uint8_t *sig);
/* The handshake is over: TH2, data keys. */
void	requester_session_ready(struct requester *);
/* Open what came in *msg, *len if it is secured; it becomes the message. */
enum spdm_take requester_session_take(struct requester *, bool secured,
	    const uint8_t **msg, size_t *len);

/* RequesterVerifyData ends the request; then TH holds all of it. */
void	requester_finish_verify(struct requester *);

/* ---- requester_psk.c ----------------------------------------------------- */

/* As the two of sessions, for one with a one-time code. */
enum spdm_take requester_psk_caps(struct requester *, uint32_t flags);
enum spdm_take requester_psk_algs(struct requester *);
void	requester_psk_error(struct requester *, uint8_t code);
/* Secrets, or why there are none. */
enum spdm_take requester_keyed(struct requester *,
	    const struct spdm_secrets *, const char *why);

/* ---- requester_encap.c --------------------------------------------------- */

/* Begin what MutAuthRequested asks for. */
enum spdm_take requester_mutual(struct requester *, uint8_t mutual,
	    uint8_t slot);
/* A slot that we may show with the negotiated algorithms, or NULL. */
const struct spdm_slot *requester_own(const struct requester *, uint8_t slot);

/* ---- requester_keys.c ---------------------------------------------------- */

/* Sets OtherParams of r->offered, and r->multi_key. */
void	requester_keys_offer(struct requester *);
/* False: the peer selected what our capabilities do not allow. */
bool	requester_keys_selected(struct requester *, const struct spdm_algs *);
/* Is the key of slot 0 for what we ask of it? */
enum spdm_take requester_keys_check(struct requester *,
	    const struct spdm_digests *);

/* ---- requester_csr.c ----------------------------------------------------- */

/* Does the peer have what the steps want? */
enum spdm_take requester_csr_caps(struct requester *, uint32_t flags);
/* Take the chain for SET_CERTIFICATE. False, and why. */
bool	requester_csr_chain(struct requester *, const uint8_t *ders, size_t);
/* An ERROR answer: true if it was to GET_CSR or SET_CERTIFICATE and ends us. */
bool	requester_csr_error(struct requester *, const struct spdm_error *);
void	requester_csr_free(struct requester *);

/* ---- requester_chunk.c --------------------------------------------------- */

enum chunk_in {
	CHUNK_IN_WHOLE,		/* *msg, *len: go on with it */
	CHUNK_IN_SEND,		/* chunk.piece goes to the peer */
	CHUNK_IN_FAIL		/* requester_why() */
};

/* What follows from the peer's CAPABILITIES. */
void	requester_chunk_caps(struct requester *, const struct spdm_caps *);
/* A connection begins, or ends: nothing is under way. */
void	requester_chunk_reset(struct requester *);
/* r->req was written: in chunks, if the peer does not take it whole. */
void	requester_chunk_ask(struct requester *, bool secured);
/* A message came in. It may be a piece of another one. */
enum chunk_in requester_chunk_feed(struct requester *, bool secured,
	    const uint8_t **msg, size_t *len);
/* Most bytes of one answer; of one CERTIFICATE, which the peer must send. */
size_t	requester_chunk_max(const struct requester *);
uint32_t requester_chunk_portion(const struct requester *);

#endif
