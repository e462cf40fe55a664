/* What the files of the responder share. */
#ifndef SPDM_RESPONDER_H
#define SPDM_RESPONDER_H

#include "spdm.h"
#include "spdm_session.h"

#define RESPONSE_MAX	0x4800	/* bytes of the longest response we give */

struct responder {
	const struct responder_conf	*conf;
	struct transcript		 tr;
	enum spdm_state			 state;
	uint8_t				 version;
	const struct spdm_alg		*alg;
	uint32_t			 peer_transfer;
	uint32_t			 meas_hash;	/* 0: none agreed on */
	struct spdm_buf			 out;
	uint8_t				 error;
	bool				 attested;

	/* A response that waits for its signature. */
	bool				 signing, deferred, ready;
	uint8_t				 request;
	uint8_t				 hash[SPDM_HASH_MAX];
	struct responder_sign		 sign;
	struct spdm_buf			 held;

	uint8_t				 out_data[RESPONSE_MAX];
	uint8_t				 held_data[RESPONSE_MAX];
};

#endif
