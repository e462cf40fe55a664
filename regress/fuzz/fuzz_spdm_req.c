/*
 * What a stranger may send to attestd -R: a TCP stream of frames (DSP0287),
 * answered by the responder. The first byte chooses versions and keyd's mood.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../attestd/spdm.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static struct spdm_slot		slots[SPDM_SLOTS];
static struct measure_set	set;
static struct responder_conf	conf;

static void
zeros(void *arg, uint8_t *p, size_t n)
{
	memset(p, 0, n);
}

static void
init(void)
{
	/* The responder never looks into its own certificates. */
	static uint8_t	der[600] = { 0x30, 0x82, 0x02, 0x54 };
	uint8_t		pcrs[256] = { 1 };
	const char	*bad;

	if (conf.random != NULL)
		return;
	if (spdm_init() == -1 ||
	    spdm_slot_set(&slots[0], 1, KEY_P256, der, 600) == -1 ||
	    spdm_slot_set(&slots[1], 1, KEY_P256, der, 600) == -1 ||
	    measure_files(&set, NULL, NULL, false, &bad) == -1)
		abort();
	measure_pcrs(&set, pcrs);
	responder_defaults(&conf);
	conf.slots = slots;
	conf.random = zeros;
}

static void
answer(struct responder *r, const uint8_t *msg, size_t len, uint8_t mood)
{
	static const uint8_t		 sig[SPDM_SIG_MAX];
	const struct responder_sign	*s;
	const uint8_t			*out;
	size_t				 n;
	bool				 secured;

	if (responder_feed(r, false, msg, len) == RESPONDER_SIGN) {
		s = responder_sign(r);
		if (mood & 4)
			responder_defer(r);
		else
			responder_signed(r, s->serial, mood & 8 ? NULL : sig);
	} else if (mood & 4)
		responder_signed(r, responder_sign(r)->serial, sig);
	out = responder_out(r, &secured, &n);
	if (n < 4 || out[0] < SPDM_V10 || (out[1] & 0x80) != 0)
		abort();
	if ((out[1] == SPDM_ERROR) != (responder_error(r) != 0) &&
	    out[2] != SPDM_E_NOT_READY)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct spdm_tcp		 tcp = { .counted = true,
	    .max = RESPONDER_TRANSFER };
	struct spdm_frame	 f;
	struct responder	*r;
	uint8_t			 mood;

	init();
	if (size < 1)
		return 0;
	mood = *data++;
	size--;
	conf.versions = mood & 1 ? SPDM_ALLOW_12 : SPDM_ALLOW_12 |
	    SPDM_ALLOW_13;
	conf.measures = mood & 2 ? NULL : &set;
	if ((r = responder_new(&conf)) == NULL)
		abort();
	while (spdm_tcp_next(&tcp, data, size, &f) == TCP_MESSAGE) {
		answer(r, f.msg, f.len, mood);
		data += f.used;
		size -= f.used;
	}
	responder_free(r);
	return 0;
}
