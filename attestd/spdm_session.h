/*
 * A secured session (DSP0274, sessions and key schedule; DSP0277, secured
 * messages), the same for both roles. Pure as the rest of spdm.h: the long
 * term keys and a one-time code are keyd's, the ephemeral ones live here and
 * are wiped when the session ends.
 */
#ifndef SPDM_SESSION_H
#define SPDM_SESSION_H

#include "spdm.h"

#define SPDM_DHE_MAX		96	/* X || Y of P-384 */
#define SPDM_SHARED_MAX		48	/* x-coordinate of the shared point */
#define SPDM_AEAD_KEY		32	/* AES-256-GCM: the only one we offer */
#define SPDM_AEAD_IV		12
#define SPDM_AEAD_TAG		16
#define SPDM_RECORD_MAX		0x4900	/* bytes of one secured record */
#define SPDM_RECORD_EXTRA	64	/* most that a record adds to a message */

#define SPDM_AEAD_AES256GCM	0x0002	/* algorithm tables */
#define SPDM_DHE_P256		0x0008
#define SPDM_DHE_P384		0x0010
#define SPDM_SCHEDULE_SPDM	0x0001

/* MutAuthRequested of KEY_EXCHANGE_RSP. */
#define SPDM_MUT_NONE		0x00
#define SPDM_MUT_KNOWN		0x01	/* no encapsulated flow */
#define SPDM_MUT_ENCAP		0x02	/* GET_ENCAPSULATED_REQUEST */
#define SPDM_MUT_DIGESTS	0x04	/* implicit GET_DIGESTS */

/* KEY_UPDATE, Param1. */
#define SPDM_UPDATE_KEY		1
#define SPDM_UPDATE_ALL		2
#define SPDM_VERIFY_NEW		3

#define SPDM_CTX_KEY_EXCHANGE	"responder-key_exchange_rsp signing"
#define SPDM_CTX_FINISH		"requester-finish signing"

/* Who sends: the direction of a key. */
enum spdm_side { SPDM_SIDE_REQ, SPDM_SIDE_RSP, SPDM_NSIDES };

/*
 * What a transport adds to a secured record and to the message inside it:
 * TCP no sequence bytes and the message under its 4-byte header again
 * (DSP0287), MCTP 2 bytes, random padding and the type byte (DSP0276).
 */
struct spdm_binding {
	uint8_t		 seq_len;	/* sequence bytes in a record: 0, 2 */
	uint8_t		 pad_max;	/* most random padding that we add */
	bool		 mctp;
	const struct spdm_tcp *tcp;	/* PayloadLen of this connection */
};

struct spdm_dir {			/* keys of one direction */
	uint8_t		 secret[SPDM_HASH_MAX];
	uint8_t		 key[SPDM_AEAD_KEY], iv[SPDM_AEAD_IV];
	uint64_t	 seq;		/* of the next record */
};

enum spdm_phase { SPDM_P_NONE, SPDM_P_HANDSHAKE, SPDM_P_DATA };

struct spdm_session {
	enum spdm_phase	 phase;
	uint8_t		 id[4];		/* ReqSessionID, RspSessionID */
	uint8_t		 version;
	const struct spdm_alg *alg;
	bool		 psk;
	EVP_MD_CTX	*th, *m, *tmp;	/* TH so far; M of this session */
	EVP_MD_CTX	*base;		/* A, what m starts from */
	uint8_t		 finished[SPDM_NSIDES][SPDM_HASH_MAX];
	uint8_t		 hs[SPDM_HASH_MAX];	/* handshake secret, DHE */
	uint8_t		 master[SPDM_HASH_MAX];
	struct spdm_dir	 dir[SPDM_NSIDES];
	struct spdm_dir	 before;	/* the responder's, until its ACK to
					   UpdateAllKeys has been opened */
	bool		 has_before;
	bool		 went_back;	/* its answer came under that one */
};

/* ---- spdm_sched.c -------------------------------------------------------- */

/* What OpenSSL would load lazily, as spdm_init(), which calls it. 0 or -1. */
int	spdm_session_init(void);
/*
 * base: the running hash of A, copied. NULL: no memory. TH starts as A; the
 * caller adds DIGESTS (multi-key), Hash(chain) and the messages in order.
 */
struct spdm_session *spdm_session_new(uint8_t version,
	    const struct spdm_alg *, const EVP_MD_CTX *base);
void	spdm_session_free(struct spdm_session *);	/* wipes; NULL fine */
void	spdm_session_th_add(struct spdm_session *, const void *, size_t);
void	spdm_session_th(struct spdm_session *, uint8_t *out);	/* Hash(TH) */
/* M of this session, as transcript_m() and its kin. */
void	spdm_session_m_reset(struct spdm_session *);
void	spdm_session_m_add(struct spdm_session *, const void *, size_t);
void	spdm_session_m(struct spdm_session *, uint8_t *out);

/* HS from the shared secret of the DHE, hash_len bytes of it. */
void	spdm_session_shared(struct spdm_session *, const uint8_t *shared,
	    size_t);
/* From HS and TH1: handshake secrets, finished keys, record keys; phase
 * HANDSHAKE. */
void	spdm_session_handshake(struct spdm_session *, const uint8_t *th1);
/* The same when keyd holds the PSK: it gives both handshake secrets and the
 * master secret, each alg->hash_len long. */
void	spdm_session_handshake_psk(struct spdm_session *,
	    const uint8_t *req_secret, const uint8_t *rsp_secret,
	    const uint8_t *master);
/* HMAC(finished key of the side, Hash(TH)). */
void	spdm_session_verify_data(const struct spdm_session *, enum spdm_side,
	    const uint8_t *th, uint8_t *out);
/* From TH2: data keys, sequences at 0, handshake secrets wiped; phase DATA. */
void	spdm_session_data(struct spdm_session *, const uint8_t *th2);
/* The next key of a direction (KEY_UPDATE). */
void	spdm_session_update(struct spdm_session *, enum spdm_side);
/*
 * A requester that updates both keys: keep the responder's present one, and,
 * when its answer has been opened (spdm_record_open() does it), forget it or
 * go back to it.
 */
void	spdm_session_before(struct spdm_session *);
void	spdm_session_settle(struct spdm_session *, bool back);

/* ---- spdm_record.c ------------------------------------------------------- */

int	spdm_record_init(void);		/* by spdm_session_init() */
/*
 * Seal one SPDM message as a record in out (at most size bytes). Its length,
 * or 0 if it does not fit or the sequence is used up. pad random bytes come
 * from random, as many as binding->pad_max allows.
 */
size_t	spdm_record_seal(struct spdm_session *, enum spdm_side,
	    const struct spdm_binding *, spdm_random_fn, void *random_arg,
	    const uint8_t *msg, size_t len, uint8_t *out, size_t size);

enum spdm_open { OPEN_OK, OPEN_FORM, OPEN_SESSION, OPEN_DECRYPT };
/*
 * Open a record of the side into out (size bytes): *msg, *len are the SPDM
 * message in it, its transport prefix taken off and checked. OPEN_SESSION:
 * the id is not ours. Nothing of the session changes unless OPEN_OK.
 */
enum spdm_open spdm_record_open(struct spdm_session *, enum spdm_side,
	    const struct spdm_binding *, const uint8_t *rec, size_t reclen,
	    uint8_t *out, size_t size, const uint8_t **msg, size_t *len);

/* ---- spdm_dhe.c ---------------------------------------------------------- */

/*
 * One ephemeral key. A test puts its own functions here to play a
 * recording, whose private keys nobody has.
 */
struct spdm_dhe_ops {
	/* Make a key: X || Y into pub (2 * shared length). 0 or -1. */
	int	(*make)(void *arg, const struct spdm_alg *, void **key,
		    uint8_t *pub);
	/* The x-coordinate shared with peer (X || Y, checked to be on the
	 * curve and not infinity), padded. 0 or -1. */
	int	(*agree)(void *arg, const struct spdm_alg *, void *key,
		    const uint8_t *peer, uint8_t *shared);
	void	(*release)(void *arg, void *key);
};
extern const struct spdm_dhe_ops spdm_dhe;	/* the real ones */

/* ---- opaque data: spdm_opaque.c ------------------------------------------ */

#define SPDM_SECURED_V10	0x1000	/* DSP0277 versions that we speak; */
#define SPDM_SECURED_V11	0x1100	/* they differ in nothing that we */
#define SPDM_SECURED_V12	0x1200	/* use, the newest wins */
#define SPDM_OPAQUE_SUPPORTED	24	/* most bytes of what we write */

/* The general opaque format of 1.1, or Fmt1 from 1.2 on; without the
 * OpaqueLength before it. */
void	spdm_opaque_put_supported(struct spdm_buf *, uint8_t version);
void	spdm_opaque_put_selected(struct spdm_buf *, uint8_t version,
	    uint16_t secured);
/* The newest of the peer's list that we speak, 0 if none; -1 if malformed.
 * Unknown element ids are passed over. */
int	spdm_opaque_supported(const uint8_t *, size_t, uint8_t version);
/* The one that the peer selected: 0 if it is not there or not one of ours;
 * -1 if malformed. */
int	spdm_opaque_selected(const uint8_t *, size_t, uint8_t version);

#endif
