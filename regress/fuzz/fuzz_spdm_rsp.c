/*
 * What a peer may answer to attestd -Q: a TCP stream of frames, each taken as
 * the answer to what the requester asked. The first byte chooses: 1 leaves
 * CHALLENGE out, whose signature no input can have; 2 asks for no node CA;
 * 4 reads measurements one by one.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../attestd/spdm.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
zeros(void *arg, uint8_t *p, size_t n)
{
	memset(p, 0, n);
}

static void
step(void *arg, unsigned n, const char *detail)
{
	if (n > 31 || strlen(detail) > 160)
		abort();
}

static const struct spdm_step short_steps[] = {
	{ SPDM_GET_VERSION, 0 }, { SPDM_GET_CAPABILITIES, 0 },
	{ SPDM_NEGOTIATE_ALGORITHMS, 0 }, { SPDM_GET_DIGESTS, 0 },
	{ SPDM_GET_CERTIFICATE, 0 }, { SPDM_GET_CERTIFICATE, 1 },
	{ SPDM_GET_MEASUREMENTS, 0 },
};

static void
configure(struct requester_conf *c, uint8_t how)
{
	static const uint16_t	table[SPDM_NTABLES] = { 0x18, 2, 0x90, 1 };

	requester_defaults(c);
	c->algs.tables = 0xf;
	memcpy(c->algs.table, table, sizeof(table));
	c->random = zeros;
	c->step = step;
	if (how & 1) {
		c->steps = short_steps;
		c->nsteps = sizeof(short_steps) / sizeof(short_steps[0]);
	}
	if (how & 2)
		c->anchor = 0;
	if (how & 4)
		c->caps.data_transfer = c->caps.max_msg = 400;
}

/* A failure says why; everything else has something to send. */
static void
check(const struct requester *r, enum spdm_act act)
{
	size_t	n;
	bool	secured;

	switch (act) {
	case SPDM_FAIL:
		if (requester_why(r)->reason == R_OK)
			abort();
		break;
	case SPDM_SEND:
		(void)requester_out(r, &secured, &n);
		if (n < 4 || n > SPDM_REQUEST_MAX)
			abort();
		break;
	case SPDM_SIGN:
	case SPDM_KEYS:
	case SPDM_ISSUE:
		abort();	/* no session is asked for */
	case SPDM_WAIT:
		if (requester_delay(r) > 60000)
			abort();
		break;
	case SPDM_DONE:
		/* Nobody signs for this nonce. */
		abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t	 nonce[SPDM_NONCE];
	struct spdm_tcp		 tcp = { .counted = true,
	    .max = REQUESTER_TRANSFER };
	struct requester_conf	 conf;
	struct spdm_frame	 f;
	struct requester	*r;
	enum spdm_act		 act;

	if (spdm_init() == -1)
		abort();
	if (size < 1)
		return 0;
	configure(&conf, *data++);
	size--;
	if ((r = requester_new(&conf, nonce)) == NULL)
		abort();
	act = requester_start(r);
	while (act != SPDM_FAIL &&
	    spdm_tcp_next(&tcp, data, size, &f) == TCP_MESSAGE) {
		act = requester_feed(r, f.type == SPDM_TCP_SECURED, f.msg,
		    f.len);
		check(r, act);
		if (act == SPDM_WAIT)
			act = requester_wake(r);
		data += f.used;
		size -= f.used;
	}
	requester_free(r);
	return 0;
}
