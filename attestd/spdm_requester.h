/* What requester.c and requester_auth.c share. */
#ifndef SPDM_REQUESTER_H
#define SPDM_REQUESTER_H

#include "spdm.h"

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

struct requester {
	struct requester_conf	 conf;
	struct transcript	 tr;
	size_t			 step;
	uint8_t			 version;
	const struct spdm_alg	*alg;
	struct spdm_algs	 offered;
	uint32_t		 peer_transfer;
	uint32_t		 meas_hash;
	uint8_t			 mask;		/* provisioned slots */
	struct requester_slot	 slot[SPDM_SLOTS];

	uint8_t			 nonce[SPDM_NONCE];	/* of the job */
	uint8_t			 context[SPDM_CONTEXT];	/* of this request */
	bool			 challenged;
	uint8_t			 summary[SPDM_HASH_MAX];

	enum requester_reading	 reading;
	unsigned		 wanted, found, next;
	uint8_t			 index[SPDM_BLOCKS_MAX];
	uint8_t			*record;
	size_t			 record_len;
	unsigned		 nblocks;

	struct spdm_buf		 req, again;	/* request; RESPOND_IF_READY */
	uint8_t			 req_data[SPDM_REQUEST_MAX], again_data[4];
	bool			 asking_again;
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

/* requester_auth.c: an ERROR answer to GET_MEASUREMENTS. TAKE_NEXT: it is
 * no affair of the way of reading. */
enum spdm_take requester_measure_error(struct requester *, uint8_t code);
void	requester_finish(struct requester *);

#endif
