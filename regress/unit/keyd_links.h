/*
 * For tests of keyd's handlers: its end and the other one of a link to each of
 * its peers, and calls over them.
 */
#ifndef KEYD_LINKS_H
#define KEYD_LINKS_H

#include "chan_pair.h"
#include "keyd_dir.h"

/* keyd's end and the other one, for each of its peers. */
struct link {
	struct chan	*keyd, *peer;
	struct ending	 keyd_end, peer_end;
};

static struct link	policyd;	/* whom make() asks as */

static inline const struct hub_peer *
table(enum ipc_role role)
{
	size_t	 i;

	for (i = 0; i < keyd_npeers; i++)
		if (keyd_peers[i].role == role)
			return &keyd_peers[i];
	fail();
	return NULL;
}

static inline void
link_new(struct link *l, enum ipc_role role)
{
	const struct hub_peer	*t = table(role);
	int			 fds[2];

	socket_pair(fds);
	l->keyd = end_new(fds[0], IPC_KEYD, role, t->handlers, t->nhandlers,
	    &l->keyd_end);
	l->peer = end_new(fds[1], role, IPC_KEYD, NULL, 0, &l->peer_end);
}

static inline void
link_end(struct link *l)
{
	if (l->peer_end.times == 0)
		chan_close(l->peer);
	if (l->keyd_end.times == 0)
		chan_close(l->keyd);
}

/* ---- calls ----------------------------------------------------------- */

static struct {
	unsigned	 calls;
	enum ipc_type	 type;
	enum reason	 reason;
	char		 field[65];
	union ipc_any	 msg;
	const uint8_t	*where;		/* it lay in the channel */
} got;

static inline void
replied(const struct ipc_reply *r, void *arg)
{
	got.calls++;
	got.type = r->type;
	got.reason = r->reason;
	if (r->refused != NULL)
		IPC_SET_STR(got.field, r->refused->field);
	got.where = r->msg;
	if (r->msg != NULL)
		memcpy(&got.msg, r->msg, ipc_size(r->type));
}

/* With a descriptor, which the channel has from now on, or -1. */
static inline enum reason
call_fd(struct link *l, enum ipc_type type, const void *msg, int fd)
{
	unsigned	 i;

	memset(&got, 0, sizeof(got));
	assert_int_equal(chan_call(l->peer, type, msg, fd, 60000, replied,
	    NULL), 0);
	for (i = 0; i < 10 && got.calls == 0; i++) {
		chan_output(l->peer);
		if (chan_input(l->keyd) == -1)
			break;
		chan_output(l->keyd);
		if (chan_input(l->peer) == -1)
			break;
	}
	assert_int_equal(got.calls, 1);
	return got.reason;
}

static inline enum reason
call(struct link *l, enum ipc_type type, const void *msg)
{
	return call_fd(l, type, msg, -1);
}

static inline uint32_t
make(const char *label, enum key_purpose p, enum key_algorithm a)
{
	struct msg_key_make_req	 m = { .purpose = p, .algorithm = a };

	IPC_SET_STR(m.label, label);
	assert_int_equal(call(&policyd, MSG_KEY_MAKE_REQ, &m), R_OK);
	assert_int_equal(got.type, MSG_KEY_INFO);
	assert_int_equal(got.msg.key_info.purpose, p);
	assert_int_equal(got.msg.key_info.algorithm, a);
	assert_int_equal(got.msg.key_info.public.len, a == KEY_P256 ? 65 :
	    a == KEY_P384 ? 97 : 256);
	return got.msg.key_info.key;
}

#endif
