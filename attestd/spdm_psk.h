/*
 * Sessions keyed by a one-time code (DSP0274, PSK_EXCHANGE). keyd holds the
 * code: it is asked for the secrets of one session and of no other.
 */
#ifndef SPDM_PSK_H
#define SPDM_PSK_H

#include "spdm.h"

#define SPDM_CAP_PSK_ASKS	0x00000400u	/* of a requester */
#define SPDM_CAP_PSK_CONTEXT	0x00000800u	/* of a responder */

/* What keyd must derive from. */
struct spdm_psk {
	uint32_t	 serial;	/* responder: give it back with them */
	const uint8_t	*hint;		/* SPDM_HINT bytes, the code's id */
	const char	*node;		/* requester: who answers, 40 digits */
	uint32_t	 key;		/* responder: keyd's number of slot 0 */
	uint8_t		 version;
	enum key_algorithm algorithm;
	const uint8_t	*th1;
	size_t		 hash_len;	/* of TH1 and of each secret */
};

/* Handshake secrets and master secret. */
struct spdm_secrets {
	const uint8_t	*request, *response, *master;
};

/* ---- requester_psk.c, requester.c ---------------------------------------- */

/* What it offers and does besides with the id of a one-time code. */
void	requester_offer_code(struct requester_conf *,
	    const uint8_t hint[SPDM_HINT]);
/* For SPDM_KEYS; without secrets, why keyd has none to give. */
const struct spdm_psk *requester_psk(const struct requester *);
enum spdm_act requester_secrets(struct requester *,
	    const struct spdm_secrets *, const char *why);

/* ---- responder_psk.c ----------------------------------------------------- */

/*
 * For RESPONDER_PSK, as responder_signed(); without secrets, the ERROR that
 * is the answer.
 */
const struct spdm_psk *responder_psk(const struct responder *);
bool	responder_secrets(struct responder *, uint32_t serial,
	    const struct spdm_secrets *, uint8_t error);

#endif
