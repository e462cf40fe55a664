/*
 * The requester's large messages: a request that leaves in chunks, an answer
 * that comes in chunks. What the peer says beside them ends the attestation:
 * there is no good reason to lose a piece of a message.
 */
#include <stdlib.h>
#include <string.h>

#include "spdm_chunk.h"
#include "spdm_requester.h"

void
requester_chunk_caps(struct requester *r, const struct spdm_caps *peer)
{
	r->chunk.on = r->version >= SPDM_V12 &&
	    (r->conf.caps.flags & peer->flags & SPDM_CAP_CHUNK);
	r->chunk.peer_max = peer->max_msg;
}

void
requester_chunk_reset(struct requester *r)
{
	spdm_chunk_drop(&r->chunk.one);
	free(r->chunk.piece.data);
	spdm_buf_init(&r->chunk.piece, NULL, 0);
	r->chunk.on = r->chunk.sending = false;
}

size_t
requester_chunk_max(const struct requester *r)
{
	return r->chunk.on ? r->conf.caps.max_msg : r->conf.caps.data_transfer;
}

uint32_t
requester_chunk_portion(const struct requester *r)
{
	uint32_t	ours = r->conf.caps.data_transfer;
	uint32_t	peer = r->peer_transfer;

	if (r->chunk.on) {
		ours = r->conf.caps.max_msg;
		peer = r->chunk.peer_max;
	}
	return ours < peer ? ours : peer;
}

static enum chunk_in
bad(struct requester *r, const char *seen)
{
	spdm_chunk_drop(&r->chunk.one);
	r->chunk.piece.len = 0;
	requester_bad(r, R_ATT_CHUNK, "chunk",
	    "the pieces of one message, in their order", "%s", seen);
	return CHUNK_IN_FAIL;
}

/* The next piece of a request, or the question for that of an answer. */
static void
next_out(struct requester *r)
{
	struct spdm_buf	*b = &r->chunk.piece;

	b->len = 0;
	spdm_chunk_put(&r->chunk.one, SPDM_CHUNK_SEND, r->peer_transfer, b);
}

static void
next_in(struct requester *r)
{
	struct spdm_buf	*b = &r->chunk.piece;

	b->len = 0;
	spdm_put_hdr(b, r->version, SPDM_CHUNK_GET, 0, r->chunk.one.handle);
	spdm_put_u16(b, r->chunk.one.seq);
}

/* Room for any piece: what the peer takes, and no more than the request. */
static bool
piece_room(struct requester *r, size_t request)
{
	size_t	n = request + SPDM_CHUNK_HDR + SPDM_CHUNK_SIZE;

	free(r->chunk.piece.data);
	spdm_buf_init(&r->chunk.piece, malloc(n), n);
	return r->chunk.piece.data != NULL;
}

void
requester_chunk_ask(struct requester *r, bool secured)
{
	struct requester_chunk	*c = &r->chunk;

	c->piece.len = 0;
	spdm_chunk_drop(&c->one);
	if (!c->on || r->req.len <= r->peer_transfer)
		return;
	if (!piece_room(r, r->req.len) || spdm_chunk_out(&c->one, secured,
	    r->version, ++c->handle, r->req.data, r->req.len) == -1)
		return;			/* whole, then: let the peer say */
	c->secured = secured;
	c->sending = true;
	c->piece_seq = 0;
	next_out(r);
}

/* An ERROR LargeResponse starts the questions for its pieces. */
static enum chunk_in
whole(struct requester *r, bool secured, const uint8_t *msg, size_t len)
{
	struct requester_chunk	*c = &r->chunk;

	if (!c->on || len < 4 || msg[1] != SPDM_ERROR ||
	    msg[2] != SPDM_E_LARGE_RESPONSE)
		return CHUNK_IN_WHOLE;
	if (len != 5 || msg[0] != r->version)
		return bad(r, "LargeResponse without one handle");
	if (!piece_room(r, 0))
		return bad(r, "no memory for it");
	spdm_chunk_in(&c->one, secured, r->version, msg[4]);
	c->secured = secured;
	next_in(r);
	return CHUNK_IN_SEND;
}

/* CHUNK_SEND_ACK to our last piece; in the end, the answer is in it. */
static enum chunk_in
acked(struct requester *r, bool secured, const uint8_t **msg, size_t *len)
{
	struct requester_chunk	*c = &r->chunk;
	const uint8_t		*p = *msg;
	bool			 more = c->one.state == CHUNK_OUT;

	c->piece.len = 0;
	/* Anything else is the answer to the request, which asks no more. */
	if (*len < 4 || p[1] != SPDM_CHUNK_SEND_ACK) {
		c->sending = false;
		spdm_chunk_drop(&c->one);
		return CHUNK_IN_WHOLE;
	}
	if (*len < SPDM_CHUNK_ACK || p[0] != r->version ||
	    p[3] != c->handle || (p[4] | p[5] << 8) != c->piece_seq)
		return bad(r, "CHUNK_SEND_ACK for another piece");
	*msg += SPDM_CHUNK_ACK;
	*len -= SPDM_CHUNK_ACK;
	if (p[2] & SPDM_CHUNK_EARLY) {
		if (*len < 4 || (*msg)[1] != SPDM_ERROR)
			return bad(r, "an early error that is none");
		more = false;
	} else if (more && *len != 0)
		return bad(r, "an answer before the question was whole");
	if (more) {
		c->piece_seq++;
		next_out(r);
		return CHUNK_IN_SEND;
	}
	c->sending = false;
	spdm_chunk_drop(&c->one);
	return whole(r, secured, *msg, *len);
}

static enum chunk_in
got(struct requester *r, const uint8_t **msg, size_t *len)
{
	struct requester_chunk	*c = &r->chunk;
	const uint8_t		*p = *msg;
	const char		*why = NULL;

	if (*len >= 4 && p[1] == SPDM_ERROR)
		return bad(r, spdm_error_name(p[2]));
	if (*len < 4 || p[1] != SPDM_CHUNK_RESPONSE)
		return bad(r, "another answer than CHUNK_RESPONSE");
	switch (spdm_chunk_take(&c->one, r->conf.caps.data_transfer,
	    r->conf.caps.max_msg, p, *len, &why)) {
	case CHUNK_MORE:
		next_in(r);
		return CHUNK_IN_SEND;
	case CHUNK_BAD:
		return bad(r, why);
	case CHUNK_WHOLE:
		break;
	}
	c->piece.len = 0;
	*msg = c->one.msg;
	*len = c->one.size;
	return CHUNK_IN_WHOLE;
}

enum chunk_in
requester_chunk_feed(struct requester *r, bool secured, const uint8_t **msg,
    size_t *len)
{
	struct requester_chunk	*c = &r->chunk;

	if (c->piece.len == 0) {
		/* What was put together before has been read. */
		spdm_chunk_drop(&c->one);
		return whole(r, secured, *msg, *len);
	}
	if (secured != c->secured)
		return bad(r, secured ? "a secured answer to a plain piece" :
		    "a plain answer to a secured piece");
	return c->sending ? acked(r, secured, msg, len) : got(r, msg, len);
}
