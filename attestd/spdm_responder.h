/* What the files of the responder share. */
#ifndef SPDM_RESPONDER_H
#define SPDM_RESPONDER_H

#include "spdm.h"
#include "spdm_chunk.h"
#include "spdm_psk.h"
#include "spdm_session.h"

#define RESPONSE_MAX	0x4800	/* bytes of the longest response we give */
#define PORTIONS_MAX	64	/* in which a requester's chain may come */

/* What changes once the answer has been sealed, as it is about to leave. */
enum responder_then {
	THEN_NOTHING,
	THEN_DATA,		/* FINISH_RSP: the data keys */
	THEN_UPDATE,		/* KEY_UPDATE_ACK: the next request key */
	THEN_END		/* the session is over */
};

/* Where the encapsulated flow stands (DSP0274, mutual authentication). */
enum responder_encap_at {
	ENCAP_NONE,		/* none was asked for */
	ENCAP_WAIT,		/* for GET_ENCAPSULATED_REQUEST */
	ENCAP_DIGESTS,		/* our GET_DIGESTS is out */
	ENCAP_CERTIFICATE,	/* our GET_CERTIFICATE is out */
	ENCAP_DONE		/* the requester's chain has been checked */
};

struct responder_encap {
	enum responder_encap_at	 at;
	uint8_t			 id;	/* of our request */
	uint8_t			 slot;	/* of the requester */
	uint8_t			 digest[SPDM_HASH_MAX];
	uint8_t			*buf;	/* the slot's content, as it grows */
	size_t			 len, total;
	unsigned		 portions;
	struct spdm_chain	 chain;
};

/* Made by KEY_EXCHANGE or PSK_EXCHANGE; one a connection. */
struct responder_session {
	struct spdm_session	*s;	/* NULL: over; its last record is in
					   rec until the next request */
	uint8_t			 mutual;	/* MutAuthRequested */
	struct responder_encap	 encap;
	bool			 updating;	/* VerifyNewKey is due */
	enum responder_then	 then;
	size_t			 rec_len;
	uint8_t			 plain[RESPONDER_TRANSFER + SPDM_RECORD_EXTRA];
	uint8_t			 rec[SPDM_RECORD_MAX];
};

/* Large messages; one a time. */
struct responder_chunk {
	uint32_t	 peer_max;	/* the requester's MaxSPDMmsgSize */
	struct spdm_chunk one;
	bool		 ack;		/* the answer goes in CHUNK_SEND_ACK: */
	bool		 early;		/* ... before the request was whole */
	uint8_t		 ack_handle;
	uint16_t	 ack_seq;
	bool		 final;		/* the answer is a piece itself */
	uint8_t		 handle;	/* of the last large answer, 0: none */
	bool		 attested;	/* it will have been */
};

struct responder {
	const struct responder_conf	*conf;
	struct transcript		 tr;
	enum spdm_state			 state;
	uint8_t				 version;
	const struct spdm_alg		*alg;
	uint32_t			 peer_transfer;
	struct responder_chunk		 chunk;
	uint32_t			 peer_flags;	/* capabilities */
	uint32_t			 meas_hash;	/* 0: none agreed on */
	uint8_t				 other;		/* OtherParamsSel */
	/* Multi-key connections (1.3), of ours and of the requester's. */
	bool				 multi_key, multi_key_req;
	bool				 after_vca;	/* nothing was asked yet */
	uint8_t				 digests[SPDM_DIGESTS_MAX];
	size_t				 digests_len;	/* in TH, or 0 */
	uint16_t			 table[SPDM_NTABLES];	/* selected */
	struct spdm_buf			 out;
	uint8_t				 error;
	bool				 attested;
	struct spdm_why			 why;	/* no requester of ours */

	struct responder_session	*ses;	/* NULL: none */
	uint16_t			 sessions;	/* begun so far */
	bool				 secured;	/* this exchange is */

	/* What the daemon must do before there is a response. */
	enum responder_act		 act;

	/* A response that waits for its signature. */
	bool				 signing, deferred, ready;
	bool				 sign_secured;	/* it was asked so */
	uint8_t				 request;
	uint8_t				 hash[SPDM_HASH_MAX];
	struct responder_sign		 sign;
	struct spdm_buf			 held;
	struct spdm_psk			 psk;
	uint8_t				 hint[SPDM_HINT];
	bool				 guessed;	/* PSK_EXCHANGE came */

	/* With room for the header of CHUNK_SEND_ACK before a response. */
	uint8_t				 out_data[RESPONSE_MAX +
					     SPDM_CHUNK_ACK];
	uint8_t				 held_data[RESPONSE_MAX];
};

/* ---- responder.c --------------------------------------------------------- */

/*
 * Judge and serve one plain request; the response is in r->out, an ERROR if
 * need be. RESPONDER_SEND: it may be delivered. Otherwise it waits for that
 * act, whose handler calls responder_deliver() in the end.
 */
enum responder_act responder_request(struct responder *, const uint8_t *,
	    size_t);
/* Seal r->out if the exchange is secured. RESPONDER_NONE: nothing can go. */
enum responder_act responder_deliver(struct responder *);
void	responder_put_error(struct responder *, const uint8_t *msg, size_t,
	    uint8_t code);
/* Is the capability negotiated: ours, and the requester's? */
bool	responder_both(const struct responder *, uint32_t cap);

/* ---- responder_auth.c ---------------------------------------------------- */

uint8_t	responder_slot_mask(const struct responder *);
const struct spdm_slot *responder_slot(const struct responder *, uint8_t);
/* A slot whose key may be used so, or NULL. */
const struct spdm_slot *responder_slot_for(const struct responder *, uint8_t,
	    uint16_t use);
/* Does what was built, with so many bytes more, fit the peer's buffer? */
bool	responder_fits(const struct responder *, size_t more);
void	responder_put_nonce(struct responder *);
/* The measurement summary of the type asked for. 0, or an error code. */
uint8_t	responder_put_summary(struct responder *, uint8_t type);
/* r->hash is what is signed; feed returns RESPONDER_SIGN. */
void	responder_ask_signature(struct responder *, const struct spdm_slot *,
	    const char *context, const uint8_t *msg);
/* M of the connection, or of the session. */
void	responder_m_reset(struct responder *, bool secured);

/* ---- responder_session.c ------------------------------------------------- */

/*
 * A session with its running TH, to which nothing but A was added; its id is
 * ReqSessionID and one of ours. 0, or an error code.
 */
uint8_t	responder_session_begin(struct responder *, const uint8_t req_id[2]);
/* Keys, chain and what it had asked for are wiped; a sealed record stays. */
void	responder_session_end(struct responder *);
/* Over with the answer that is being built. */
void	responder_session_fail(struct responder *);
void	responder_session_free(struct responder *);
/* What is left of one that is over. */
void	responder_session_sweep(struct responder *);
/* A session that stands or is being made. */
bool	responder_session_there(const struct responder *);
/* Open a record of the requester: the message in it takes its place, and is
 * valid until the next one. */
enum spdm_open responder_session_open(struct responder *,
	    const uint8_t **msg, size_t *len);
bool	responder_session_seal(struct responder *);
/* May this row come now, in the session? 0, or an error code. */
uint8_t	responder_session_admit(const struct responder *,
	    const struct spdm_row *);
/* KEY_EXCHANGE_RSP has its signature: verify data, handshake keys. */
void	responder_exchanged(struct responder *, struct spdm_buf *,
	    const uint8_t *sig);

/* ---- responder_encap.c --------------------------------------------------- */

/* What KEY_EXCHANGE_RSP asks of the requester. 0, or an error code. */
uint8_t	responder_mutual(const struct responder *, uint8_t *mutual);
/* Begin it; slot is SlotIDParam. 0, or an error code. */
uint8_t	responder_encap_begin(struct responder *, uint8_t *slot);
void	responder_encap_free(struct responder_encap *);

/* ---- responder_chunk.c --------------------------------------------------- */

/*
 * CHUNK_SEND and CHUNK_GET end here. True: the answer is in r->out. False:
 * *msg, *len is a request to serve, which may be another than before.
 */
bool	responder_chunk_feed(struct responder *, const uint8_t **msg,
	    size_t *len);
/* The answer is complete: in CHUNK_SEND_ACK if its request came in chunks,
 * and in chunks if the peer does not take it whole. */
void	responder_chunk_answer(struct responder *);
/* Most bytes of one answer. */
size_t	responder_chunk_max(const struct responder *);
void	responder_chunk_free(struct responder *);

#endif
