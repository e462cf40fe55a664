/*
 * SPDM over TCP (DSP0287): PayloadLen u16, BindingVersion, MessageType.
 * A connecting side is the requester here; role inquiries are answered with
 * an error.
 */
#include "spdm_session.h"

#define BINDING_VERSION	0x01

/*
 * How long the first message of a connection must be, as far as its bytes
 * say; 0 if they do not. GET_VERSION and ERROR have four bytes, VERSION has
 * six and two an entry.
 */
static size_t
first_len(const uint8_t *msg, size_t len)
{
	if (len < 4 || msg[0] != SPDM_V10)
		return 0;
	if (msg[1] == SPDM_GET_VERSION || msg[1] == SPDM_ERROR)
		return 4;
	if (msg[1] == SPDM_VERSION && len >= 6)
		return 6 + 2 * (size_t)msg[5];
	return 0;
}

/* Learn from the first message what PayloadLen counts. */
static void
learn(struct spdm_tcp *t, const uint8_t *msg, size_t have, size_t payload)
{
	size_t	want = first_len(msg, have);

	if (want != 0 && payload == want + 2)
		t->counted = true;
	else if (want != 0 && payload == want)
		t->counted = false;
	t->known = true;
}

static enum spdm_tcp_result
bad(struct spdm_frame *f, uint8_t reply)
{
	f->reply = reply;
	return TCP_BAD;
}

enum spdm_tcp_result
spdm_tcp_next(struct spdm_tcp *t, const uint8_t *buf, size_t have,
    struct spdm_frame *f)
{
	size_t	payload, len;

	*f = (struct spdm_frame){ 0 };
	if (have < SPDM_TCP_HDR)
		return TCP_MORE;
	payload = buf[0] | (size_t)buf[1] << 8;
	f->type = buf[3];
	if (f->type >= SPDM_TCP_INQUIRY && f->type <= SPDM_TCP_NO_RESPONDER) {
		/* 0xC1 says in BindingVersion what the peer supports. */
		f->used = SPDM_TCP_HDR;
		return payload == 0 || payload == 2 ? TCP_PEER_ERROR :
		    bad(f, 0);
	}
	if (buf[2] != BINDING_VERSION)
		return bad(f, SPDM_TCP_NO_VERSION);
	/* There is no session before the first message. */
	if (f->type != SPDM_TCP_SPDM &&
	    (f->type != SPDM_TCP_SECURED || !t->known))
		return bad(f, 0);
	/* Six bytes tell the longest first message; none is shorter than 4. */
	if (!t->known) {
		if (payload < 4)
			return bad(f, 0);
		if (have < SPDM_TCP_HDR + 4 ||
		    (payload >= 6 && buf[5] == SPDM_VERSION &&
		    have < SPDM_TCP_HDR + 6))
			return TCP_MORE;
		learn(t, buf + SPDM_TCP_HDR, have - SPDM_TCP_HDR, payload);
	}
	if (t->counted && payload < 2)
		return bad(f, 0);
	len = payload - (t->counted ? 2 : 0);
	if (len > t->max + (f->type == SPDM_TCP_SECURED ? SPDM_RECORD_EXTRA :
	    0))
		return bad(f, SPDM_TCP_TOO_LARGE);
	if (have < SPDM_TCP_HDR + len)
		return TCP_MORE;
	f->msg = buf + SPDM_TCP_HDR;
	f->len = len;
	f->used = SPDM_TCP_HDR + len;
	return TCP_MESSAGE;
}

void
spdm_tcp_header(const struct spdm_tcp *t, uint8_t type, size_t len,
    uint8_t out[SPDM_TCP_HDR])
{
	size_t	payload = len;

	/* Role-Inquiry and errors carry nothing and count nothing. */
	if ((type == SPDM_TCP_SPDM || type == SPDM_TCP_SECURED) && t->counted)
		payload += 2;
	out[0] = (uint8_t)payload;
	out[1] = (uint8_t)(payload >> 8);
	out[2] = BINDING_VERSION;
	out[3] = type;
}
