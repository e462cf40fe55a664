/*
 * SPDM over MCTP (DSP0275, DSP0276): a message is a datagram, one byte of
 * type before it. The type says whether it is SPDM or a secured record; the
 * bit above it, IC, that an integrity check follows, which neither has.
 * Who carries it, the kernel or a bridge, has taken MCTP's own header off.
 */
#include "spdm_mctp.h"

const struct spdm_binding spdm_mctp_binding = {
	.seq_len = 2, .pad_max = 32, .mctp = true,
};

enum spdm_mctp_result
spdm_mctp_read(const uint8_t *p, size_t len, size_t max,
    struct spdm_mctp_msg *m)
{
	*m = (struct spdm_mctp_msg){ 0 };
	if (len < SPDM_MCTP_HDR)
		return MCTP_EMPTY;
	m->secured = p[0] == SPDM_MCTP_SECURED;
	if (p[0] != SPDM_MCTP_SPDM && !m->secured)
		return p[0] & SPDM_MCTP_IC ? MCTP_CHECKED : MCTP_TYPE;
	m->msg = p + SPDM_MCTP_HDR;
	m->len = len - SPDM_MCTP_HDR;
	if (m->len > max + (m->secured ? SPDM_RECORD_EXTRA : 0))
		return MCTP_TOO_LARGE;
	return MCTP_OK;
}

const char *
spdm_mctp_text(enum spdm_mctp_result r)
{
	switch (r) {
	case MCTP_OK:
		return "a message";
	case MCTP_EMPTY:
		return "a datagram without a type";
	case MCTP_TYPE:
		return "another type of message";
	case MCTP_CHECKED:
		return "an integrity check";
	case MCTP_TOO_LARGE:
		return "too large a message";
	}
	return "?";
}
