/*
 * The responder's large messages: a request that comes in chunks, an answer
 * that leaves in chunks. One of them at a time; any other request in between
 * gives it up, as GET_VERSION gives up everything.
 */
#include <string.h>

#include "spdm_chunk.h"
#include "spdm_responder.h"

static bool
chunks(const struct responder *r)
{
	return r->version >= SPDM_V12 &&
	    (r->state == SPDM_S_CAPS || r->state == SPDM_S_READY) &&
	    (r->conf->caps.flags & r->peer_flags & SPDM_CAP_CHUNK);
}

size_t
responder_chunk_max(const struct responder *r)
{
	size_t	n = chunks(r) ? r->chunk.peer_max : r->peer_transfer;

	return n < RESPONSE_MAX ? n : RESPONSE_MAX;
}

/* ---- requests ------------------------------------------------------------ */

/* The next piece of an answer. */
static void
serve_get(struct responder *r, const uint8_t *msg, size_t len)
{
	struct responder_chunk	*c = &r->chunk;
	uint8_t			 e = 0;

	if (len != 6)
		e = SPDM_E_INVALID_REQUEST;
	else if (c->one.state != CHUNK_OUT || c->one.secured != r->secured)
		e = c->handle != 0 && msg[3] == c->handle ?
		    SPDM_E_MESSAGE_LOST : SPDM_E_UNEXPECTED;
	else if (msg[3] != c->one.handle ||
	    (msg[4] | msg[5] << 8) != c->one.seq)
		e = SPDM_E_INVALID_REQUEST;
	if (e != 0) {
		spdm_chunk_drop(&c->one);
		responder_put_error(r, msg, len, e);
		return;
	}
	if (spdm_chunk_put(&c->one, SPDM_CHUNK_RESPONSE, r->peer_transfer,
	    &r->out))
		r->attested = c->attested;
}

/* A piece of a request. True: it was the last, and *msg is the request. */
static bool
serve_send(struct responder *r, const uint8_t **msg, size_t *len)
{
	struct responder_chunk	*c = &r->chunk;
	const uint8_t		*p = *msg;

	if (*len < SPDM_CHUNK_HDR) {
		spdm_chunk_drop(&c->one);
		responder_put_error(r, p, *len, SPDM_E_INVALID_REQUEST);
		return false;
	}
	c->ack = true;
	c->early = false;
	c->ack_handle = p[3];
	c->ack_seq = (uint16_t)(p[4] | p[5] << 8);
	if (c->one.state != CHUNK_IN || c->one.secured != r->secured)
		spdm_chunk_in(&c->one, r->secured, r->version, p[3]);
	switch (spdm_chunk_take(&c->one, r->conf->caps.data_transfer,
	    r->conf->caps.max_msg, p, *len, NULL)) {
	case CHUNK_MORE:
		return false;
	case CHUNK_BAD:
		c->early = true;
		break;
	case CHUNK_WHOLE:
		*msg = c->one.msg;
		*len = c->one.size;
		if (!spdm_chunk_never(c->one.msg[1]))
			return true;
		break;
	}
	responder_put_error(r, p, 4, SPDM_E_INVALID_REQUEST);
	return false;
}

bool
responder_chunk_feed(struct responder *r, const uint8_t **msg, size_t *len)
{
	struct responder_chunk	*c = &r->chunk;
	const uint8_t		*p = *msg;

	c->ack = c->final = false;
	/* A request that was put together stays until the next one comes. */
	if (c->one.state == CHUNK_IDLE)
		spdm_chunk_drop(&c->one);
	if (*len < 4 || (p[1] != SPDM_CHUNK_GET && p[1] != SPDM_CHUNK_SEND) ||
	    !chunks(r) || p[0] != r->version) {
		spdm_chunk_drop(&c->one);
		return false;
	}
	if (p[1] == SPDM_CHUNK_GET) {
		serve_get(r, p, *len);
		c->final = true;
		return true;
	}
	return !serve_send(r, msg, len);
}

/* ---- answers ------------------------------------------------------------- */

/* What is in r->out becomes a large response, announced by an ERROR that is
 * none of ours. */
static void
announce(struct responder *r)
{
	struct responder_chunk	*c = &r->chunk;

	if (r->out.len > responder_chunk_max(r) ||
	    spdm_chunk_out(&c->one, r->secured, r->version, ++c->handle,
	    r->out.data, r->out.len) == -1) {
		r->attested = false;
		responder_put_error(r, NULL, 0, SPDM_E_RESPONSE_TOO_LARGE);
		return;
	}
	c->attested = r->attested;
	r->attested = false;
	r->out.len = 0;
	spdm_error_put(&r->out, r->version, SPDM_E_LARGE_RESPONSE, 0);
	spdm_put_u8(&r->out, c->handle);
}

void
responder_chunk_answer(struct responder *r)
{
	struct responder_chunk	*c = &r->chunk;
	size_t			 hdr = c->ack ? SPDM_CHUNK_ACK : 0;
	uint8_t			 ack[SPDM_CHUNK_ACK] = { r->version,
	    SPDM_CHUNK_SEND_ACK, c->early ? SPDM_CHUNK_EARLY : 0,
	    c->ack_handle, (uint8_t)c->ack_seq, (uint8_t)(c->ack_seq >> 8) };

	if (c->final)
		return;
	if (chunks(r) && r->out.len + hdr > r->peer_transfer)
		announce(r);
	c->ack = false;
	if (hdr == 0)
		return;
	memmove(r->out.data + hdr, r->out.data, r->out.len);
	memcpy(r->out.data, ack, hdr);
	r->out.len += hdr;
}

void
responder_chunk_free(struct responder *r)
{
	spdm_chunk_drop(&r->chunk.one);
}
