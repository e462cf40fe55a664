/*
 * Large messages in chunks, and datagrams of MCTP. The first byte chooses how
 * large a chunk and a message may be, and whether the rest is datagrams to
 * read, each behind its length in two bytes, or one message to cut and put
 * together again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../attestd/spdm_chunk.h"
#include "../../attestd/spdm_mctp.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

#define NEED(cond)	do { if (!(cond)) abort(); } while (0)

/* What cannot be, whatever came. */
static void
check(const struct spdm_chunk *c, enum spdm_chunk_result r, size_t max,
    const char *why)
{
	switch (r) {
	case CHUNK_MORE:
		NEED(c->state == CHUNK_IN && c->msg != NULL);
		NEED(c->at < c->size && c->size <= max);
		NEED(c->seq > 0 && c->seq <= max / 26 + 1);
		break;
	case CHUNK_WHOLE:
		NEED(c->state == CHUNK_IDLE && c->msg != NULL);
		NEED(c->at == c->size && c->size <= max);
		NEED(c->size > SPDM_MIN_TRANSFER);
		break;
	case CHUNK_BAD:
		NEED(c->state == CHUNK_IDLE && c->msg == NULL && why != NULL);
		break;
	}
}

static void
take(const uint8_t *p, size_t len, size_t transfer, size_t max)
{
	struct spdm_chunk	 c = { .state = CHUNK_IDLE };
	struct spdm_mctp_msg	 m;
	enum spdm_chunk_result	 r;
	const char		*why;
	size_t			 n;

	while (len >= 2) {
		n = p[0] | (size_t)p[1] << 8;
		p += 2;
		len -= 2;
		if (n > len)
			n = len;
		if (spdm_mctp_read(p, n, transfer, &m) == MCTP_OK) {
			NEED(m.len == n - 1 && (m.len == 0 || m.msg == p + 1));
			if (c.state == CHUNK_IDLE && m.len > 3)
				spdm_chunk_in(&c, m.secured, m.msg[0],
				    m.msg[3]);
			why = NULL;
			r = spdm_chunk_take(&c, transfer, max, m.msg, m.len,
			    &why);
			check(&c, r, max, why);
			if (r == CHUNK_WHOLE)
				(void)spdm_chunk_never(c.msg[1]);
		}
		p += n;
		len -= n;
	}
	spdm_chunk_drop(&c);
}

static void
cut(const uint8_t *p, size_t len, size_t transfer)
{
	static uint8_t		wire[0x400];
	struct spdm_chunk	out = { .state = CHUNK_IDLE }, in = out;
	enum spdm_chunk_result	r;
	struct spdm_buf		b;
	bool			last;

	if (len <= transfer)
		return;
	NEED(spdm_chunk_out(&out, false, SPDM_V12, 1, p, len) == 0);
	spdm_chunk_in(&in, false, SPDM_V12, 1);
	do {
		spdm_buf_init(&b, wire, sizeof(wire));
		last = spdm_chunk_put(&out, SPDM_CHUNK_SEND, transfer, &b);
		NEED(!b.full && b.len <= transfer);
		r = spdm_chunk_take(&in, transfer, len, b.data, b.len, NULL);
		NEED(r == (last ? CHUNK_WHOLE : CHUNK_MORE));
	} while (!last);
	NEED(in.size == len && memcmp(in.msg, p, len) == 0);
	spdm_chunk_drop(&in);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	size_t	transfer, max;

	if (len < 1)
		return 0;
	transfer = SPDM_MIN_TRANSFER + (p[0] >> 1 & 7) * 61;
	max = SPDM_LARGE_MAX >> (p[0] >> 4);
	if (p[0] & 1)
		cut(p + 1, len - 1, transfer);
	else
		take(p + 1, len - 1, transfer, max);
	return 0;
}
