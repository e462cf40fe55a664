/*
 * A netd and a keyd for the tests of channels: two channels, or keyd's and a
 * bare socket that speaks for netd.
 */
#ifndef CHAN_WORLD_H
#define CHAN_WORLD_H

#include "chan_pair.h"

#define NITEMS(a)	(sizeof(a) / sizeof((a)[0]))

static union ipc_any	any;	/* what raw_recv() read */

/* ---- a keyd for the tests ---- */

static struct {
	unsigned	 handled;
	struct ipc_call	 last;
} keyd;

static inline int
answer(struct chan *c, const struct ipc_call *call, const void *msg)
{
	struct msg_tls_sign_rep	rep = { .signature.len = 2 };

	keyd.handled++;
	keyd.last = *call;
	return chan_reply(c, call, MSG_TLS_SIGN_REP, &rep);
}

static inline int
keep(struct chan *c, const struct ipc_call *call, const void *msg)
{
	keyd.handled++;
	keyd.last = *call;
	return 0;
}

static inline int
object(struct chan *c, const struct ipc_call *call, const void *msg)
{
	keyd.handled++;
	return -1;
}

static inline int
close_self(struct chan *c, const struct ipc_call *call, const void *msg)
{
	keyd.handled++;
	chan_close(c);
	return 0;
}

static const struct ipc_handler answers[] = { { MSG_TLS_SIGN_REQ, answer } };
static const struct ipc_handler keeps[] = { { MSG_TLS_SIGN_REQ, keep } };
static const struct ipc_handler objects[] = { { MSG_TLS_SIGN_REQ, object } };
static const struct ipc_handler closes[] = {
	{ MSG_TLS_SIGN_REQ, close_self }
};

static struct msg_tls_sign_req	request = { .key = 2 };

/* ---- a netd that calls ---- */

static struct {
	unsigned	 times, good;
	enum reason	 reason;
	enum ipc_type	 type;
	struct chan	*again;		/* call here from inside the callback */
	struct chan	*close;		/* close this one */
	int		 ret;		/* of the call from inside */
} result;

static inline void
got(const struct ipc_reply *r, void *arg)
{
	result.times++;
	result.good += r->reason == R_OK;
	result.reason = r->reason;
	result.type = r->type;
	if (r->refused != NULL)
		assert_int_equal(r->refused->reason, r->reason);
	if (result.again != NULL)
		result.ret = chan_call(result.again, MSG_TLS_SIGN_REQ, &request,
		    -1, 1000, got, NULL);
	chan_close(result.close);
	result.close = NULL;
}

static inline int
call(struct chan *c, uint32_t timeout)
{
	return chan_call(c, MSG_TLS_SIGN_REQ, &request, -1, timeout, got, NULL);
}

/* netd and keyd, both channels. */
static struct pair {
	struct chan	*netd, *keyd;
	struct ending	 netd_end, keyd_end;
} pair;

static inline void
pair_make(const struct ipc_handler *h)
{
	int	fds[2];

	socket_pair(fds);
	pair.netd = end_new(fds[0], IPC_NETD, IPC_KEYD, NULL, 0,
	    &pair.netd_end);
	pair.keyd = end_new(fds[1], IPC_KEYD, IPC_NETD, h, 1, &pair.keyd_end);
	memset(&keyd, 0, sizeof(keyd));
	memset(&result, 0, sizeof(result));
}

static inline void
pair_close(void)
{
	if (pair.netd_end.times == 0)
		chan_close(pair.netd);
	if (pair.keyd_end.times == 0)
		chan_close(pair.keyd);
}

/* keyd and a bare socket that speaks for netd. */
static inline int
bare_make(const struct ipc_handler *h)
{
	int	fds[2];

	socket_pair(fds);
	pair.keyd = end_new(fds[1], IPC_KEYD, IPC_NETD, h, 1, &pair.keyd_end);
	memset(&keyd, 0, sizeof(keyd));
	return fds[0];
}

#endif
