/*
 * One-time codes that an operator typed here and another one at a peer. keyd
 * has the code; a peer has its id while it waits for the first attestation
 * that a session keyed by it confirms. Nothing of it is stored.
 */
#include <stdlib.h>
#include <string.h>

#include "peer.h"

#define RETRY_MS	3000	/* until the peer's operator has typed it too */
#define KEYD_MS		10000

struct asked {
	uint32_t	 peer;
	code_fn		 fn;
	void		*arg;
};

static void
drop(const uint8_t *id)
{
	struct msg_code_drop	 m = { .code = { .len = 0 } };

	IPC_SET_BLOB(m.code, id, CODE_ID_LEN);
	(void)chan_send(peers_env.link(IPC_KEYD), MSG_CODE_DROP, &m, -1);
}

void
code_forget(struct peer *p)
{
	memset(&p->code, 0, sizeof(p->code));
}

void
code_drop(struct peer *p)
{
	if (p->code.held)
		drop(p->code.id);
	code_forget(p);
}

/* ---- taking one --------------------------------------------------------- */

static void
held(const struct ipc_reply *r, void *arg)
{
	const struct msg_code_held	*m = r->msg;
	struct asked			*a = arg;
	struct peer			*p = peer_byid(a->peer);
	struct why			 why = { .reason = R_OK };

	if (r->refused != NULL)
		why_set(&why, r->reason, r->refused->field,
		    r->refused->expected, r->refused->seen);
	else if (r->reason != R_OK)
		why_set(&why, r->reason, "daemon", "keyd", NULL);
	else if (m->code.len != CODE_ID_LEN)
		why_set(&why, R_KEY_CODE_FORM, "code", NULL, NULL);
	else if (p == NULL)
		drop(m->code.data);
	if (p != NULL && why.reason == R_OK) {
		code_drop(p);		/* the one before it, if any */
		p->code.held = true;
		p->code.until = peers_env.mono() + conf->code_lifetime;
		memcpy(p->code.id, m->code.data, CODE_ID_LEN);
	}
	a->fn(p, &why, a->arg);
	free(a);
}

int
code_hold(struct peer *p, const uint8_t *code, size_t len, code_fn fn,
    void *arg)
{
	struct msg_code_put	 m = { .lifetime = conf->code_lifetime };
	struct asked		*a;
	int			 r;

	if ((a = calloc(1, sizeof(*a))) == NULL)
		fatal("code");
	*a = (struct asked){ p->id, fn, arg };
	IPC_SET_BLOB(m.code, code, len);
	r = chan_call(peers_env.link(IPC_KEYD), MSG_CODE_PUT, &m, -1, KEYD_MS,
	    held, a);
	explicit_bzero(&m, sizeof(m));
	if (r == -1)
		free(a);
	return r;
}

/* ---- what comes of it --------------------------------------------------- */

/* No longer than a code lives: the other operator is typing. */
void
code_retry(struct peer *p)
{
	uint64_t	soon;

	if (!p->code.held)
		return;
	soon = peer_backoff(0, RETRY_MS, RETRY_MS);
	if (p->due == 0 || p->due > peers_env.mono() + soon)
		peer_schedule(p, soon, "the peer did not have the code yet");
}

void
code_confirm(struct peer *p, const struct evidence *ev)
{
	code_forget(p);		/* keyd has it still, for the peer's own use */
	/* A listed identity that is another was refused before. */
	if (strcmp(p->identity, ev->node) == 0)
		return;
	log_info("peer %s: one-time code confirms %s", p->name, ev->node);
	audit_record(AUDIT_VERDICT, p->name, R_OK,
	    "identity %s confirmed by one-time code", ev->node);
	IPC_SET_STR(p->identity, ev->node);
	p->pinned = PIN_CODE;
	peer_leave(p);
	peer_store_save(p);
}

/* It ends without having confirmed anything. */
static void
code_end(struct peer *p, enum reason reason)
{
	struct why	why;

	code_drop(p);
	log_about(LOG_LVL_INFO, reason_code(reason), p->name,
	    "peer %s: %s: %s", p->name, reason_code(reason),
	    reason_text(reason));
	why_set(&why, reason, p->why.reason != R_OK ?
	    reason_code(p->why.reason) : NULL, NULL, NULL);
	/* One that is trusted anyway stays so. */
	if (p->state != P_ATTESTING) {
		control_stay(p, EV_UNPROVED, &why);
		return;
	}
	job_cancel(p);
	peer_step(p, EV_BAD, &why);
}

void
code_tick(struct peer *p, uint64_t mono)
{
	/* A job that runs tells what came of it. */
	if (p->code.held && mono >= p->code.until && p->job == NULL)
		code_end(p, R_POL_CODE_EXPIRED);
}

void
codes_down(void)
{
	struct peer	*p;

	TAILQ_FOREACH(p, &peers, entry)
		if (p->code.held)
			code_end(p, R_POL_CODE_LOST);
}
