/*
 * One large message, in chunks (DSP0274, CHUNK_SEND and CHUNK_GET): what is
 * sent, and what may come. A peer decides nothing but the bytes: the size is
 * said once and bounded, sequence and handle must be the next ones, and each
 * chunk but the last carries at least what the smallest buffer holds, so that
 * the number of them is bounded, too.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "spdm_chunk.h"

void
spdm_chunk_drop(struct spdm_chunk *c)
{
	/* What was said in a session stays in it. */
	if (c->secured && c->msg != NULL)
		OPENSSL_cleanse(c->msg, c->size);
	free(c->msg);
	*c = (struct spdm_chunk){ .state = CHUNK_IDLE };
}

int
spdm_chunk_out(struct spdm_chunk *c, bool secured, uint8_t version,
    uint8_t handle, const uint8_t *msg, size_t len)
{
	spdm_chunk_drop(c);
	if ((c->msg = malloc(len)) == NULL)
		return -1;
	memcpy(c->msg, msg, len);
	c->state = CHUNK_OUT;
	c->secured = secured;
	c->version = version;
	c->handle = handle;
	c->size = len;
	return 0;
}

bool
spdm_chunk_put(struct spdm_chunk *c, uint8_t code, size_t transfer,
    struct spdm_buf *b)
{
	size_t	hdr = SPDM_CHUNK_HDR + (c->seq == 0 ? SPDM_CHUNK_SIZE : 0);
	size_t	n = c->size - c->at;
	bool	last = n <= transfer - hdr;

	if (!last)
		n = transfer - hdr;
	spdm_put_hdr(b, c->version, code, last ? SPDM_CHUNK_LAST : 0,
	    c->handle);
	spdm_put_u16(b, c->seq);
	spdm_put_u16(b, 0);
	spdm_put_u32(b, (uint32_t)n);
	if (c->seq == 0)
		spdm_put_u32(b, (uint32_t)c->size);
	spdm_put(b, c->msg + c->at, n);
	c->seq++;
	c->at += n;
	if (last)
		spdm_chunk_drop(c);
	return last;
}

void
spdm_chunk_in(struct spdm_chunk *c, bool secured, uint8_t version,
    uint8_t handle)
{
	spdm_chunk_drop(c);
	c->state = CHUNK_IN;
	c->secured = secured;
	c->version = version;
	c->handle = handle;
}

/* LargeMessageSize, and room for it. NULL, or what is wrong. */
static const char *
begin(struct spdm_chunk *c, uint32_t size, size_t max)
{
	if (size <= SPDM_MIN_TRANSFER)
		return "a large message that is small";
	if (size > max)
		return "a larger message than we take";
	if ((c->msg = malloc(size)) == NULL)
		return "a large message that finds no memory";
	c->size = size;
	return NULL;
}

static const char *
take(struct spdm_chunk *c, size_t transfer, size_t max, const uint8_t *msg,
    size_t len, bool *last)
{
	size_t		 hdr, n;
	uint32_t	 size;
	const char	*what;

	hdr = SPDM_CHUNK_HDR + (c->seq == 0 ? SPDM_CHUNK_SIZE : 0);
	if (c->state != CHUNK_IN)
		return "a chunk of nothing";
	if (len <= hdr || len > transfer)
		return "a chunk of a wrong length";
	if (msg[0] != c->version || msg[3] != c->handle)
		return "a chunk of another message";
	if ((msg[4] | msg[5] << 8) != c->seq)
		return "a chunk out of its order";
	n = spdm_le32(msg + 8);
	if (n != len - hdr)
		return "a chunk of another length than it says";
	if (c->seq == 0) {
		size = spdm_le32(msg + SPDM_CHUNK_HDR);
		if ((what = begin(c, size, max)) != NULL)
			return what;
	}
	*last = msg[2] & SPDM_CHUNK_LAST;
	if (n > c->size - c->at)
		return "more bytes than the message has";
	if (*last != (c->at + n == c->size))
		return *last ? "an end before the end" : "no end at the end";
	if (!*last && len < SPDM_MIN_TRANSFER)
		return "a chunk that is too small";
	/* Whole in one chunk, it would have been sent whole. */
	if (*last && c->seq == 0)
		return "one chunk that is all";
	memcpy(c->msg + c->at, msg + hdr, n);
	c->at += n;
	c->seq++;
	return NULL;
}

enum spdm_chunk_result
spdm_chunk_take(struct spdm_chunk *c, size_t transfer, size_t max,
    const uint8_t *msg, size_t len, const char **why)
{
	bool		 last = false;
	const char	*what;

	if ((what = take(c, transfer, max, msg, len, &last)) != NULL) {
		spdm_chunk_drop(c);
		if (why != NULL)
			*why = what;
		return CHUNK_BAD;
	}
	if (!last)
		return CHUNK_MORE;
	c->state = CHUNK_IDLE;
	return CHUNK_WHOLE;
}

bool
spdm_chunk_never(uint8_t code)
{
	return code == SPDM_GET_VERSION || code == SPDM_GET_CAPABILITIES ||
	    code == SPDM_CHUNK_SEND || code == SPDM_CHUNK_GET ||
	    (code & 0x80) == 0;
}
