/*
 * Messages in pieces (DSP0274, CHUNK_SEND and CHUNK_GET), the same for both
 * roles: the chunk of a large request and that of a large response have one
 * layout. Pure as the rest of spdm.h; it sits between record and message, so
 * that transcripts only ever see whole messages.
 */
#ifndef SPDM_CHUNK_H
#define SPDM_CHUNK_H

#include "spdm.h"

#define SPDM_CHUNK_HDR	12	/* of every chunk, before its bytes; ... */
#define SPDM_CHUNK_SIZE	4	/* ... LargeMessageSize, in the first one */
#define SPDM_CHUNK_ACK	6	/* CHUNK_SEND_ACK before the response in it */
#define SPDM_CHUNK_LAST	0x01	/* Param1 of a chunk */
#define SPDM_CHUNK_EARLY 0x01	/* Param1 of CHUNK_SEND_ACK: the error came
				   before the request was whole */
#define SPDM_LARGE_MAX	0x8000	/* bytes of the longest message that we put
				   together: our MaxSPDMmsgSize */

enum spdm_chunk_state {
	CHUNK_IDLE,
	CHUNK_OUT,		/* msg goes out: the next chunk begins at at */
	CHUNK_IN		/* msg comes in: it is there up to at */
};

struct spdm_chunk {
	enum spdm_chunk_state state;
	bool		 secured;	/* all of it inside of the session */
	uint8_t		 version, handle;
	uint16_t	 seq;		/* of the next chunk */
	size_t		 size, at;	/* LargeMessageSize, 0: not known yet */
	uint8_t		*msg;		/* size bytes, owned */
};

enum spdm_chunk_result {
	CHUNK_MORE,		/* it fits, and is not the last one */
	CHUNK_WHOLE,		/* msg, size: the state is CHUNK_IDLE again */
	CHUNK_BAD		/* it does not fit; forgotten, CHUNK_IDLE */
};

/* Forgets what is under way. */
void	spdm_chunk_drop(struct spdm_chunk *);
/* msg is copied. 0, or -1: no memory. */
int	spdm_chunk_out(struct spdm_chunk *, bool secured, uint8_t version,
	    uint8_t handle, const uint8_t *msg, size_t len);
/* Write the next chunk, as a message of at most transfer bytes. True: it was
 * the last one, and the state is CHUNK_IDLE again. */
bool	spdm_chunk_put(struct spdm_chunk *, uint8_t code, size_t transfer,
	    struct spdm_buf *);
void	spdm_chunk_in(struct spdm_chunk *, bool secured, uint8_t version,
	    uint8_t handle);
/*
 * Read a chunk, a message of at most transfer bytes, of a large message of at
 * most max bytes. In *why, if that is not NULL, what is wrong with it.
 */
enum spdm_chunk_result spdm_chunk_take(struct spdm_chunk *, size_t transfer,
	    size_t max, const uint8_t *msg, size_t len, const char **why);
/* Must such a request never come in chunks? */
bool	spdm_chunk_never(uint8_t code);

#endif
