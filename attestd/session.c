/*
 * Sessions of attestd -R: netd brings a stranger's socket, the responder
 * answers, keyd signs. Each session keeps the slots and measurements with
 * which it began, so that its summary is always that of its blocks.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attestd.h"
#include "clock.h"
#include "log.h"

#define IDLE_MS		30000	/* silence that ends a session */
#define LIFETIME_MS	300000	/* longest session of all */
#define PATIENCE_MS	1500	/* then ResponseNotReady until keyd signs */
#define KEYD_MS		30000	/* deadline of our calls to keyd */

struct session {
	uint32_t		 id;	/* 0: this place is free */
	struct ipc_call		 accepted;
	char			 address[65];
	uint64_t		 began;	/* ms */
	uint64_t		 spoke, heard;	/* ms: anything; in the
						   secured session */
	struct conn		*conn;
	struct responder	*responder;
	struct responder_conf	 conf;
	struct slotset		*slots;
	struct measure_set	 measures;
	bool			 measured;	/* the PCRs are in */
	bool			 waits_pcrs;
	bool			 signing;	/* nothing answered yet */
	bool			 asked;		/* keyd owes us a signature */
};

/* What a call to keyd belongs to: the session may be gone when it ends. */
struct ticket {
	uint32_t	session, serial;
};

/* One process has one set of sessions. */
static uv_loop_t		*loop;
static struct session		 sessions[SESSIONS_MAX];
static uint32_t			 last_id;
static struct slotset		*current;
static struct session_conf	 conf;
static bool			 reading_pcrs;

void
session_init(uv_loop_t *l, const struct session_conf *c)
{
	loop = l;
	conf = *c;
	current = slotset_new();
}

static struct session *
session_find(uint32_t id)
{
	size_t	i;

	for (i = 0; i < SESSIONS_MAX; i++)
		if (sessions[i].id == id)
			return &sessions[i];
	return NULL;
}

static void
session_end(struct session *s)
{
	struct chan	*netd;

	conn_close(s->conn);
	responder_free(s->responder);
	slotset_release(s->slots);
	if ((netd = chan_find(&s->accepted)) != NULL)
		chan_done(netd, &s->accepted);
	memset(s, 0, sizeof(*s));
}

void
session_stop(void)
{
	size_t	i;

	for (i = 0; i < SESSIONS_MAX; i++)
		if (sessions[i].id != 0)
			session_end(&sessions[i]);
	roots_clear();
	slotset_release(current);
	current = NULL;
}

/* What strangers do is counted; only the first of a kind is logged. */
static void
count(const struct session *s, enum reason reason, const char *detail)
{
	if (hub_count(reason) == 1)
		log_about(LOG_LVL_INFO, reason_code(reason), NULL,
		    "session of %s: %s %s (%s)", s->address,
		    reason_code(reason), reason_text(reason), detail);
	else
		log_debug("session of %s: %s %s", s->address,
		    reason_code(reason), detail);
}

/* ---- measurements -------------------------------------------------------- */

static void
pcrs_done(const uint8_t *values, bool known)
{
	struct session	*s;

	reading_pcrs = false;
	for (s = sessions; s < sessions + SESSIONS_MAX; s++) {
		if (s->id == 0 || s->measured)
			continue;
		if (known) {
			measure_pcrs(&s->measures, values);
			s->measured = true;
			s->conf.measures = &s->measures;
		}
		if (s->waits_pcrs) {
			s->waits_pcrs = false;
			conn_resume(s->conn);
		}
	}
}

/*
 * A node without a TPM, or a TPM without the SHA-256 bank, has no PCRs. Any
 * other refusal passes: measurements without PCRs would be taken for a
 * change, so there are none meanwhile (Busy).
 */
static void
pcrs_read(const struct ipc_reply *r, void *arg)
{
	const struct msg_pcr_rep	*m = r->msg;

	if (r->reason == R_OK && m->values.len == 32 * MEASURE_PCRS)
		pcrs_done(m->values.data, true);
	else
		pcrs_done(NULL, r->reason == R_KEY_NO_TPM ||
		    r->reason == R_TPM_PCR);
}

static bool
pcrs_fetch(void)
{
	if (!reading_pcrs && chan_call(hub_link(IPC_KEYD), MSG_PCR_REQ, NULL,
	    -1, KEYD_MS, pcrs_read, NULL) == 0)
		reading_pcrs = true;
	return reading_pcrs;
}

/* ---- the conversation ---------------------------------------------------- */

/* When the secured session ends if its requester says nothing in it. */
static uint64_t
heartbeat_due(const struct session *s)
{
	return s->heard + UINT64_C(2000) * responder_heartbeat(s->responder);
}

/* Wait for the peer: until it has been silent for too long, or the secured
 * session has. */
static void
wait_for_peer(struct session *s)
{
	uint64_t	now = clock_mono_ms(), due = s->spoke + IDLE_MS;

	if (responder_heartbeat(s->responder) != 0 && heartbeat_due(s) < due)
		due = heartbeat_due(s);
	conn_timer(s->conn, due > now ? due - now : 1);
}

/* True: nobody spoke in the secured session for two heartbeats. */
static bool
heartbeat_missed(struct session *s)
{
	if (responder_heartbeat(s->responder) == 0 ||
	    clock_mono_ms() < heartbeat_due(s))
		return false;
	count(s, R_ATT_SESSION_HEARTBEAT, "two heartbeats");
	responder_expire(s->responder);
	return true;
}

static void
count_error(const struct session *s)
{
	const struct spdm_why	*why = responder_why(s->responder);
	uint8_t			 e = responder_error(s->responder);
	char			 text[256];

	if (why->reason != R_OK) {
		snprintf(text, sizeof(text), "%s: expected %.80s, seen %.80s",
		    why->field, why->expected, why->seen);
		count(s, why->reason, text);
	} else if (e == SPDM_E_BUSY && s->slots->slot[0].content == NULL &&
	    s->slots->slot[1].content == NULL)
		count(s, R_ATT_SESSION_EMPTY, "no certificates");
	else if (e != 0 && e != SPDM_E_NOT_READY)
		count(s, R_ATT_SESSION_REQUEST, spdm_error_name(e));
}

static void
answer(struct session *s)
{
	const uint8_t		*p;
	size_t			 n;
	struct msg_attested	 m = { .address = "" };
	uint32_t		 id = s->id;
	bool			 attested = responder_attested(s->responder);
	bool			 secured;

	count_error(s);
	IPC_SET_STR(m.address, s->address);
	p = responder_out(s->responder, &secured, &n);
	s->spoke = clock_mono_ms();
	wait_for_peer(s);
	/* A session that could not carry it has gone without a word. */
	if (n > 0)
		conn_send(s->conn, secured, p, n);
	/* The connection may have ended in conn_send(). */
	if (attested && s->id == id) {
		log_debug("session of %s: attested us", s->address);
		chan_send(hub_link(IPC_POLICYD), MSG_ATTESTED, &m, -1);
	}
}

static void
signature(struct session *s, uint32_t serial, const uint8_t *sig)
{
	bool	deferred = !s->signing;

	/* Another request came meanwhile: nobody waits for this one. */
	if (serial != responder_sign(s->responder)->serial)
		return;
	s->signing = false;
	if (sig == NULL)
		count(s, R_ATT_SESSION_KEY, "no signature");
	if (responder_signed(s->responder, serial, sig))
		answer(s);
	if (!deferred && s->id != 0)
		conn_resume(s->conn);
}

static void
key_signed(const struct ipc_reply *r, void *arg)
{
	const struct msg_spdm_sign_rep	*m = r->msg;
	struct ticket			 t = *(struct ticket *)arg;
	struct session			*s;

	free(arg);
	if ((s = session_find(t.session)) == NULL)
		return;
	s->asked = false;
	if (r->reason == R_OK &&
	    m->signature.len == responder_sign(s->responder)->sig_len)
		signature(s, t.serial, m->signature.data);
	else
		signature(s, t.serial, NULL);
}

/* Nothing more is read until keyd has signed, or its time is up. */
static void
ask_signature(struct session *s)
{
	const struct responder_sign	*sg = responder_sign(s->responder);
	struct msg_spdm_sign_req	 m = { .key = sg->key,
	    .version = sg->version };
	struct ticket			*t;

	s->signing = true;
	/* One at a time a session: keyd's window belongs to all of them. */
	if (s->asked) {
		signature(s, sg->serial, NULL);
		return;
	}
	IPC_SET_STR(m.context, sg->context);
	IPC_SET_BLOB(m.hash, sg->hash, sg->hash_len);
	if ((t = malloc(sizeof(*t))) == NULL)
		fatal("session");
	*t = (struct ticket){ s->id, sg->serial };
	conn_pause(s->conn);
	conn_timer(s->conn, PATIENCE_MS);
	if (chan_call(hub_link(IPC_KEYD), MSG_SPDM_SIGN_REQ, &m, -1, KEYD_MS,
	    key_signed, t) == -1) {
		free(t);
		signature(s, sg->serial, NULL);
		return;
	}
	s->asked = true;
}

static void
secrets(struct session *s, uint32_t serial, const struct spdm_secrets *sec,
    enum reason reason)
{
	bool	deferred = !s->signing;
	uint8_t	e = SPDM_E_BUSY;

	if (serial != responder_psk(s->responder)->serial)
		return;
	s->signing = false;
	/* Whoever names a code that is held has burned it; whoever guesses
	 * an id, nothing. */
	if (reason == R_KEY_CODE_UNKNOWN)
		e = SPDM_E_INVALID_REQUEST;
	else if (reason == R_KEY_CODE_USED || reason == R_KEY_CODE_EXPIRED)
		e = SPDM_E_UNSPECIFIED;
	if (sec == NULL)
		count(s, R_ATT_SESSION_CODE, reason_code(reason));
	if (responder_secrets(s->responder, serial, sec, e))
		answer(s);
	if (!deferred && s->id != 0)
		conn_resume(s->conn);
}

static void
key_derived(const struct ipc_reply *r, void *arg)
{
	const struct msg_psk_rep	*m = r->msg;
	struct ticket			 t = *(struct ticket *)arg;
	struct spdm_secrets		 sec;
	struct session			*s;
	size_t				 n;

	free(arg);
	if ((s = session_find(t.session)) == NULL)
		return;
	s->asked = false;
	n = responder_psk(s->responder)->hash_len;
	if (r->reason != R_OK || m->request.len != n ||
	    m->response.len != n || m->master.len != n) {
		secrets(s, t.serial, NULL, r->reason);
		return;
	}
	sec = (struct spdm_secrets){ m->request.data, m->response.data,
	    m->master.data };
	secrets(s, t.serial, &sec, R_OK);
}

/* As for a signature; keyd alone knows whether it holds the code. */
static void
ask_secrets(struct session *s)
{
	const struct spdm_psk	*p = responder_psk(s->responder);
	struct msg_psk_req	 m = { .key = p->key, .version = p->version,
	    .algorithm = p->algorithm };
	struct ticket		*t;

	s->signing = true;
	IPC_SET_BLOB(m.code, p->hint, SPDM_HINT);
	IPC_SET_BLOB(m.th1, p->th1, p->hash_len);
	if ((t = malloc(sizeof(*t))) == NULL)
		fatal("session");
	*t = (struct ticket){ s->id, p->serial };
	conn_pause(s->conn);
	conn_timer(s->conn, PATIENCE_MS);
	if (s->asked || chan_call(hub_link(IPC_KEYD), MSG_PSK_REQ, &m, -1,
	    KEYD_MS, key_derived, t) == -1) {
		free(t);
		secrets(s, p->serial, NULL, R_IPC_NOLINK);
		return;
	}
	s->asked = true;
}

static void
session_message(void *arg, bool secured, const uint8_t *msg, size_t len)
{
	struct session	*s = arg;

	if (clock_mono_ms() - s->began > LIFETIME_MS) {
		count(s, R_ATT_SESSION_IDLE, "too long a session");
		session_end(s);
		return;
	}
	if (!s->measured)
		pcrs_fetch();
	(void)heartbeat_missed(s);
	switch (responder_feed(s->responder, secured, msg, len)) {
	case RESPONDER_SEND:
		break;
	case RESPONDER_SIGN:
		s->heard = secured ? clock_mono_ms() : s->heard;
		ask_signature(s);
		return;
	case RESPONDER_PSK:
		ask_secrets(s);
		return;
	case RESPONDER_NONE:
		/* No answer, and no sign of life. */
		count(s, R_ATT_SESSION_RECORD, "no session");
		return;
	}
	if (secured)
		s->heard = clock_mono_ms();
	answer(s);
}

static void
session_lost(void *arg, enum reason reason, const char *expected,
    const char *seen)
{
	struct session	*s = arg;

	if (reason != R_ATT_CLOSED)
		count(s, R_ATT_SESSION_FRAME, seen);
	session_end(s);
}

static void
session_timer(void *arg)
{
	struct session	*s = arg;

	if (!s->signing) {
		(void)heartbeat_missed(s);
		/* The loop's clock may be early by a little. */
		if (clock_mono_ms() < s->spoke + IDLE_MS) {
			wait_for_peer(s);
			return;
		}
		count(s, R_ATT_SESSION_IDLE, "silence");
		session_end(s);
		return;
	}
	s->signing = false;
	responder_defer(s->responder);
	answer(s);
	if (s->id != 0)
		conn_resume(s->conn);
}

static const struct conn_ops ops = { session_message, session_lost,
    session_timer };

/* ---- messages ------------------------------------------------------------ */

int
attestr_slot(struct chan *c, const struct ipc_call *call, const void *arg)
{
	return slotset_change(&current, arg);
}

static void
session_start(struct session *s, const struct ipc_call *call,
    const char *address)
{
	if (++last_id == 0)
		last_id = 1;
	s->id = last_id;
	s->accepted = *call;
	s->began = clock_mono_ms();
	IPC_SET_STR(s->address, address);
	s->slots = slotset_hold(current);
	s->measures = *conf.measures;
	responder_defaults(&s->conf);
	s->conf.versions = conf.versions;
	s->conf.heartbeat = conf.heartbeat;
	s->conf.slots = s->slots->slot;
	s->conf.random = attestd_random;
	if (conf.mutual) {
		s->conf.caps.flags |= SPDM_CAP_MUT_AUTH | SPDM_CAP_ENCAP;
		s->conf.mutual = SPDM_MUT_ENCAP;
		s->conf.roots = roots_get(&s->conf.nroots);
		s->conf.now = clock_trusted();
	}
	if ((s->responder = responder_new(&s->conf)) == NULL)
		fatal("session");
}

int
attestr_accepted(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_spdm_accepted	*m = arg;
	struct session			*s = session_find(0);

	if (s == NULL) {
		close(call->fd);
		if (hub_count(R_ATT_SESSION_LIMIT) == 1)
			log_warnx("session of %s: %s", m->address,
			    reason_text(R_ATT_SESSION_LIMIT));
		return chan_refuse(c, call, R_ATT_SESSION_LIMIT);
	}
	session_start(s, call, m->address);
	s->conn = conn_new(loop, call->fd, RESPONDER_TRANSFER, &ops, s);
	if (s->conn == NULL) {
		session_end(s);
		return 0;
	}
	s->conf.binding = conn_binding(s->conn);
	s->spoke = s->began;
	wait_for_peer(s);
	/* PCRs first, so that every answer of the session agrees. */
	if (pcrs_fetch()) {
		s->waits_pcrs = true;
		conn_pause(s->conn);
	}
	return 0;
}
