/* SPDM over MCTP (DSP0275, DSP0276), pure; see spdm_mctp.c. */
#ifndef SPDM_MCTP_H
#define SPDM_MCTP_H

#include "spdm_session.h"

#define SPDM_MCTP_HDR		1
#define SPDM_MCTP_SPDM		0x05
#define SPDM_MCTP_SECURED	0x06
#define SPDM_MCTP_IC		0x80

struct spdm_mctp_msg {
	bool		 secured;
	const uint8_t	*msg;		/* in the datagram */
	size_t		 len;
};

enum spdm_mctp_result {
	MCTP_OK,
	MCTP_EMPTY,
	MCTP_TYPE,
	MCTP_CHECKED,		/* IC is set */
	MCTP_TOO_LARGE
};

/* max is the longest SPDM message that is taken; a record may be longer. */
enum spdm_mctp_result spdm_mctp_read(const uint8_t *, size_t, size_t max,
	    struct spdm_mctp_msg *);
const char *spdm_mctp_text(enum spdm_mctp_result);
extern const struct spdm_binding spdm_mctp_binding;

#endif
