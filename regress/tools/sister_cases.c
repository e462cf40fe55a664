/*
 * Written cases: what a daemon that was taken over asks for in a form that no
 * channel refuses, so that only its receiver can.
 */
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sister.h"
#include "sister_cases.h"

#define KEYS		64
#define TLS13_LEN	130	/* of a content with a hash of 32 bytes */
#define FLOOD		20000	/* calls, far more than any window */

static unsigned	failed;

unsigned
tap_failed(void)
{
	return failed;
}

void
tap(bool good, const char *fmt, ...)
{
	va_list	ap;

	printf("%s 1 - ", good ? "ok" : "not ok");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	failed += !good;
}

static void
tap_reason(enum reason got, enum reason want, const char *who, const char *what)
{
	tap(got == want, "%s: %s: %s%s%s", who, what, reason_code(want),
	    got == want ? "" : ", but got ", got == want ? "" :
	    reason_code(got));
}

void
sister_new(struct sister *s, const char *dir, enum ipc_role role)
{
	int	r;

	memset(s, 0, sizeof(*s));
	s->role = role;
	for (r = 0; r < IPC_NROLES; r++)
		s->link[r] = -1;
	if ((s->hub = sister_dial(dir, role)) == -1)
		err(2, "hub of %s", ipc_role_name(role));
}

static void
sister_greeted(struct sister *s, const char *dir, enum ipc_role role)
{
	enum reason	r;

	sister_new(s, dir, role);
	if ((r = sister_hello(s, role, true)) != R_OK)
		errx(2, "%s was not greeted: %s", ipc_role_name(role),
		    reason_code(r));
}

/* The hub still talks to us: we did nothing that counts as an offence. */
static void
tap_alive(const struct sister *s)
{
	struct pollfd	p = { .fd = s->hub, .events = 0 };

	tap(poll(&p, 1, 0) == 0, "%s: asking is no offence",
	    ipc_role_name(s->role));
}

/* ---- netd asks keyd --------------------------------------------------- */

static void
tls_content(struct msg_tls_sign_req *m, uint32_t key)
{
	memset(m, 0, sizeof(*m));
	m->key = key;
	m->scheme = 0x0403;			/* ecdsa_secp256r1_sha256 */
	m->content.len = TLS13_LEN;
	memset(m->content.data, ' ', 64);
	memcpy(m->content.data + 64, "TLS 1.3, client CertificateVerify", 34);
	memset(m->content.data + 98, 0xa5, 32);
}

static const struct {
	const char	*name, *prefix;
	size_t		 at, len;	/* where the prefix goes; 0: all of it */
	enum reason	 reason;
} contents[] = {
	{ "a bare SHA-256 digest", "", 0, 32, R_KEY_TLS_LENGTH },
	{ "a bare SHA-384 digest", "", 0, 48, R_KEY_TLS_LENGTH },
	{ "nothing", "", 0, 0, R_KEY_TLS_LENGTH },
	{ "a certificate request", "0\201\177\002\001", 0, TLS13_LEN,
	    R_KEY_TLS_PADDING },
	{ "a certificate", "0\201\177\240\003\002\001\002", 0, TLS13_LEN,
	    R_KEY_TLS_PADDING },
	{ "a ServerKeyExchange of TLS 1.2", "\003\000\027A\004", 64, 133,
	    R_KEY_TLS_LENGTH },
	{ "one cut to the length of TLS 1.3", "\003\000\027A\004", 64,
	    TLS13_LEN, R_KEY_TLS_CONTEXT },
	{ "SPDM's combined prefix", "dmtf-spdm-v1.2.*dmtf-spdm-v1.2.*", 0,
	    TLS13_LEN, R_KEY_TLS_PADDING },
	{ "an audit checkpoint", "provd audit checkpoint", 0, TLS13_LEN,
	    R_KEY_TLS_PADDING },
	{ "another context of TLS 1.3", "TLS 1.3, exporter", 64, TLS13_LEN,
	    R_KEY_TLS_CONTEXT },
	{ "the context of a post-handshake nothing",
	    "TLS 1.3, server CertificateVerifx", 64, TLS13_LEN,
	    R_KEY_TLS_CONTEXT },
	{ "a context without its zero", "TLS 1.3, server CertificateVerify!",
	    64, TLS13_LEN, R_KEY_TLS_CONTEXT },
	{ "63 spaces", "TLS 1.3, server CertificateVerify", 63, TLS13_LEN,
	    R_KEY_TLS_PADDING },
	{ "65 spaces", "TLS 1.3, server CertificateVerify", 65, TLS13_LEN,
	    R_KEY_TLS_CONTEXT },
	{ "a hash of 31 bytes", "TLS 1.3, server CertificateVerify", 64,
	    TLS13_LEN - 1, R_KEY_TLS_LENGTH },
	{ "a hash of 33 bytes", "TLS 1.3, server CertificateVerify", 64,
	    TLS13_LEN + 1, R_KEY_TLS_LENGTH },
};

static const uint32_t	schemes[] = { 0, 0x0401, 0x0501, 0x0503, 0x0603,
	0x0804, 0x0807, 0x0203, 0xffff };

/* Of all numbers, the one for which this netd's key signs; -1 if not one. */
static int
only_key(struct sister *s, enum ipc_type type, const void *(*make)(uint32_t))
{
	unsigned	n = 0, purpose = 0, unknown = 0;
	enum reason	r;
	struct heard	h;
	uint32_t	k;
	int		found = -1;

	for (k = 0; k < KEYS; k++) {
		r = sister_call(s, s->link[IPC_KEYD], type, make(k), &h);
		if (r == R_OK) {
			found = (int)k;
			n++;
		}
		purpose += r == R_KEY_PURPOSE;
		unknown += r == R_KEY_UNKNOWN;
	}
	tap(n == 1 && purpose >= 3 && n + purpose + unknown == KEYS,
	    "%s: one of 64 key numbers signs, %u serve another purpose",
	    ipc_role_name(s->role), purpose);
	return n == 1 ? found : -1;
}

static const void *
tls_make(uint32_t key)
{
	static struct msg_tls_sign_req	m;

	tls_content(&m, key);
	return &m;
}

static void
cases_tls(struct sister *s)
{
	struct msg_tls_sign_req	m;
	struct heard		h;
	size_t			i, n;
	int			key, keyd = s->link[IPC_KEYD];
	enum reason		r;
	unsigned		bad = 0;

	if ((key = only_key(s, MSG_TLS_SIGN_REQ, tls_make)) == -1)
		return;
	for (i = 0; i < sizeof(contents) / sizeof(contents[0]); i++) {
		tls_content(&m, (uint32_t)key);
		memset(m.content.data, ' ', 64);
		memset(m.content.data + 64, 0x5a, sizeof(m.content.data) - 64);
		m.content.data[64] = ' ';
		n = strlen(contents[i].prefix);
		memcpy(m.content.data + contents[i].at, contents[i].prefix, n);
		if (contents[i].at >= 63)
			m.content.data[contents[i].at + n] = 0;
		m.content.len = (uint32_t)contents[i].len;
		r = sister_call(s, keyd, MSG_TLS_SIGN_REQ, &m, &h);
		tap_reason(r, contents[i].reason, "netd", contents[i].name);
	}
	for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		tls_content(&m, (uint32_t)key);
		m.scheme = schemes[i];
		r = sister_call(s, keyd, MSG_TLS_SIGN_REQ, &m, &h);
		bad += r != R_KEY_TLS_SCHEME;
	}
	tap(bad == 0, "netd: %zu schemes of other keys: %s", i,
	    reason_code(R_KEY_TLS_SCHEME));
}

/* ---- attestd asks keyd ------------------------------------------------- */

static const char	*own_context;

static void
spdm_request(struct msg_spdm_sign_req *m, uint32_t key)
{
	memset(m, 0, sizeof(*m));
	m->key = key;
	m->version = 0x12;
	IPC_SET_STR(m->context, own_context);
	m->hash.len = 32;
	memset(m->hash.data, 0x5a, 32);
}

static const void *
spdm_make(uint32_t key)
{
	static struct msg_spdm_sign_req	m;

	spdm_request(&m, key);
	return &m;
}

/* DSP0274, signature generation: every context of both sides. */
static const char *const	contexts[] = {
	"responder-challenge_auth signing", "responder-measurements signing",
	"responder-key_exchange_rsp signing", "requester-challenge_auth signing",
	"requester-finish signing", "responder-endpoint_info signing",
	"requester-endpoint_info signing", "", "x", "signing",
	"responder-challenge_auth signin", "TLS 1.3, server CertificateVerify",
};

static void
cases_contexts(struct sister *s, uint32_t key, const char *side)
{
	const char		*who = ipc_role_name(s->role);
	struct msg_spdm_sign_req m;
	struct heard		 h;
	enum reason		 r;
	unsigned		 bad = 0, n = 0;
	size_t			 i;

	for (i = 0; i < sizeof(contexts) / sizeof(contexts[0]); i++) {
		if (strncmp(contexts[i], side, strlen(side)) == 0 &&
		    strlen(contexts[i]) != 31)
			continue;		/* its own; may be signed */
		spdm_request(&m, key);
		IPC_SET_STR(m.context, contexts[i]);
		r = sister_call(s, s->link[IPC_KEYD], MSG_SPDM_SIGN_REQ, &m,
		    &h);
		n++;
		if (r == R_KEY_SPDM_CONTEXT)
			continue;
		bad++;
		printf("# \"%s\": %s\n", contexts[i], reason_code(r));
	}
	tap(bad == 0 && n >= 7, "%s: %u contexts that are not its own: %s", who,
	    n, reason_code(R_KEY_SPDM_CONTEXT));
}

static void
cases_spdm(struct sister *s, const char *side)
{
	static const uint32_t	 versions[] = { 0, 0x10, 0x11, 0x14, 0x22, 0xff };
	static const uint32_t	 lengths[] = { 0, 1, 31, 33, 47, 48 };
	const char		*who = ipc_role_name(s->role);
	struct msg_spdm_sign_req m;
	struct heard		 h;
	int			 key, keyd = s->link[IPC_KEYD];
	unsigned		 bad = 0;
	size_t			 i;

	if ((key = only_key(s, MSG_SPDM_SIGN_REQ, spdm_make)) == -1)
		return;
	cases_contexts(s, (uint32_t)key, side);
	for (i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		spdm_request(&m, (uint32_t)key);
		m.version = versions[i];
		bad += sister_call(s, keyd, MSG_SPDM_SIGN_REQ, &m, &h) !=
		    R_KEY_SPDM_VERSION;
	}
	tap(bad == 0, "%s: %zu versions without a prefix: %s", who, i,
	    reason_code(R_KEY_SPDM_VERSION));
	for (bad = 0, i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		spdm_request(&m, (uint32_t)key);
		m.hash.len = lengths[i];
		bad += sister_call(s, keyd, MSG_SPDM_SIGN_REQ, &m, &h) !=
		    R_KEY_SPDM_HASH;
	}
	tap(bad == 0, "%s: %zu hashes of another length: %s", who, i,
	    reason_code(R_KEY_SPDM_HASH));
}

/* Secrets of a code that nobody typed, whatever the key and the hash. */
static void
cases_code(struct sister *s)
{
	struct msg_psk_req	m = { .version = 0x12, .code = { .len = 16 },
	    .th1 = { .len = 32 } };
	struct heard		h;
	enum reason		r;
	unsigned		n = 0, known = 0;

	IPC_SET_STR(m.node, "0123456789abcdef0123456789abcdef01234567");
	for (m.key = 0; m.key < KEYS; m.key++) {
		memset(m.code.data, (int)m.key, 16);
		m.code.len = m.key == 7 ? 0 : 16;
		r = sister_call(s, s->link[IPC_KEYD], MSG_PSK_REQ, &m, &h);
		n += r == R_OK;
		known += r == R_KEY_CODE_UNKNOWN;
	}
	tap(n == 0 && known >= 1, "%s: no secrets of a code that is not held,"
	    " in %d tries", ipc_role_name(s->role), KEYS);
}

/* ---- every role that has a link with keyd ------------------------------- */

/*
 * A link that was replaced: what is said on it is not heard, whoever holds it.
 */
static void
case_old_link(struct sister *s, const char *dir, enum ipc_type type,
    const void *call)
{
	const char	*who = ipc_role_name(s->role);
	struct sister	 again;
	unsigned	 replies = 0;
	int		 old = s->link[IPC_KEYD];

	close(s->hub);
	sister_greeted(&again, dir, s->role);
	if (sister_link(&again, IPC_KEYD) == -1)
		errx(2, "no second link to keyd");
	/* keyd has the new one, so the old one is closed or about to be. */
	(void)sister_say(old, type, 1, call);
	tap(sister_closed(old, &replies) && replies == 0,
	    "%s: a link of an older generation is dead", who);
	close(old);
	*s = again;
}

/* More calls than the window, and no reply is read. */
static void
case_window(struct sister *s, enum ipc_type type, const void *call)
{
	struct pollfd	p = { .fd = s->hub };
	unsigned	i;

	for (i = 0; i < FLOOD; i++)
		if (sister_say(s->link[IPC_KEYD], type, i + 1000, call) == -1)
			break;
	tap(i < FLOOD, "%s: the link ends when its window is exceeded",
	    ipc_role_name(s->role));
	while (poll(&p, 1, SISTER_MS) == 1 && (p.revents & POLLHUP) == 0)
		;
	tap((p.revents & POLLHUP) != 0, "%s: and so does its hub's",
	    ipc_role_name(s->role));
	printf("# offence %s keyd %s %s\n", ipc_role_name(s->role),
	    reason_code(R_IPC_WINDOW), ipc_name(type));
}

void
cases_keyd(const char *dir, enum ipc_role role)
{
	enum ipc_type	 type = role == IPC_NETD ? MSG_TLS_SIGN_REQ :
	    MSG_SPDM_SIGN_REQ;
	struct sister	 s;

	sister_user(role, role);
	sister_greeted(&s, dir, role);
	if (sister_link(&s, IPC_KEYD) == -1)
		errx(2, "no link to keyd");
	own_context = role == IPC_ATTESTQ ? "requester-finish signing" :
	    "responder-challenge_auth signing";
	if (role == IPC_NETD)
		cases_tls(&s);
	else
		cases_spdm(&s, role == IPC_ATTESTQ ? "requester-" :
		    "responder-");
	if (role != IPC_NETD)
		cases_code(&s);
	tap_alive(&s);
	case_old_link(&s, dir, type, role == IPC_NETD ? tls_make(0) :
	    spdm_make(0));
	case_window(&s, type, role == IPC_NETD ? tls_make(0) : spdm_make(0));
}

/* ---- the greeting of a link ---------------------------------------------- */

void
case_link_hello(const char *dir, enum ipc_role role, enum ipc_role to, bool old)
{
	struct msg_link_hello	m = { 0 };
	struct sister		s;
	unsigned		replies = 0;
	bool			good;

	sister_user(role, role);
	sister_greeted(&s, dir, role);
	if (sister_introduced(&s, to) == -1)
		errx(2, "no link to %s", ipc_role_name(to));
	m.generation = s.generation[to] - (old ? 1 : 0);
	IPC_SET_BLOB(m.catalogue, ipc_catalogue(), 32);
	m.catalogue.data[0] ^= old ? 0 : 1;
	sister_say(s.link[to], MSG_LINK_HELLO, 0, &m);
	good = sister_closed(s.link[to], &replies) &&
	    sister_closed(s.hub, &replies) && replies == 0;
	tap(good, "%s > %s: a link greeted as %s ends: %s",
	    ipc_role_name(role), ipc_role_name(to), old ?
	    "of an older generation" : "of another build",
	    reason_code(old ? R_IPC_GENERATION : R_IPC_BUILD));
	printf("# offence %s %s %s LINK_HELLO\n", ipc_role_name(role),
	    ipc_role_name(to), reason_code(old ? R_IPC_GENERATION :
	    R_IPC_BUILD));
}

/* ---- attestd -Q tells policyd --------------------------------------------- */

/* The next job, accepted. */
static uint32_t
job_wait(struct sister *s, uint8_t nonce[32])
{
	struct heard	h = s->job;

	while (h.type != MSG_JOB_OPEN) {
		if (sister_recv(s->hub, &h, SISTER_MS) != 1)
			errx(2, "no job");
		if (h.fd != -1)
			close(h.fd);
	}
	sister_say(s->hub, MSG_DONE, h.id, NULL);
	memcpy(nonce, h.msg.job_open.nonce.data, 32);
	return h.msg.job_open.job;
}

static void
say_identity(struct sister *s, uint32_t job)
{
	struct msg_evid_identity	m = { .job = job, .version = 0x12,
	    .not_after = UINT32_MAX };

	IPC_SET_STR(m.node, "0123456789abcdef0123456789abcdef01234567");
	IPC_SET_STR(m.serial, "4711");
	m.root.len = 32;
	sister_say(s->hub, MSG_EVID_IDENTITY, 0, &m);
}

static void
say_end(struct sister *s, uint32_t job, const uint8_t nonce[32], uint32_t count)
{
	struct msg_evid_end	m = { .job = job, .count = count };

	IPC_SET_BLOB(m.nonce, nonce, 32);
	sister_say(s->hub, MSG_EVID_END, 0, &m);
}

static void
say_anchor(struct sister *s, uint32_t job, uint32_t len)
{
	static struct msg_evid_anchor	m;

	m.job = job;
	m.anchor.len = len;
	sister_say(s->hub, MSG_EVID_ANCHOR, 0, &m);
}

static void
say_measurement(struct sister *s, uint32_t job, uint32_t index)
{
	static struct msg_evid_measurement	m;

	m.job = job;
	m.index = index;
	m.value.len = 32;
	sister_say(s->hub, MSG_EVID_MEASUREMENT, 0, &m);
}

/* What an honest attestd -Q never says; each in a process of its own. */
enum lie { LIE_NO_JOB, LIE_TWICE, LIE_NONCE, LIE_COUNT,
	LIE_NODE, LIE_ANCHOR, LIE_ANCHOR_TWICE, LIE_INDEX, LIE_INDEX_TWICE,
	LIE_AFTER_END, LIE_NO_REASON, LIE_STEP, NLIES };

static const struct {
	const char	*name;
	enum ipc_type	 type;
} lies[NLIES] = {
	[LIE_NO_JOB] = { "evidence for a job that is none",
	    MSG_EVID_IDENTITY },
	[LIE_TWICE] = { "an identity twice", MSG_EVID_IDENTITY },
	[LIE_NONCE] = { "evidence with another nonce", MSG_EVID_END },
	[LIE_COUNT] = { "another number of measurements", MSG_EVID_END },
	[LIE_NODE] = { "an identity that is none", MSG_EVID_IDENTITY },
	[LIE_ANCHOR] = { "an empty anchor", MSG_EVID_ANCHOR },
	[LIE_ANCHOR_TWICE] = { "an anchor twice", MSG_EVID_ANCHOR },
	[LIE_INDEX] = { "a measurement without an index",
	    MSG_EVID_MEASUREMENT },
	[LIE_INDEX_TWICE] = { "a measurement twice", MSG_EVID_MEASUREMENT },
	[LIE_AFTER_END] = { "evidence after its end", MSG_EVID_END },
	[LIE_NO_REASON] = { "a failure without a reason", MSG_JOB_FAILED },
	[LIE_STEP] = { "a step of no job", MSG_JOB_STEP },
};

static void
tell_lie(struct sister *s, enum lie lie, uint32_t job, uint8_t nonce[32])
{
	struct msg_evid_identity	bad = { .job = job, .root.len = 32 };
	struct msg_job_failed		failure = { .job = job };
	struct msg_job_step		step = { .job = job + 1000 };

	switch (lie) {
	case LIE_TWICE:
		say_identity(s, job);
		say_identity(s, job);
		break;
	case LIE_NONCE:
		nonce[0] ^= 1;
		say_end(s, job, nonce, 0);
		break;
	case LIE_COUNT:
		say_end(s, job, nonce, 3);
		break;
	case LIE_NODE:
		sister_say(s->hub, MSG_EVID_IDENTITY, 0, &bad);
		break;
	case LIE_ANCHOR_TWICE:
		say_anchor(s, job, 16);
		say_anchor(s, job, 16);
		break;
	case LIE_ANCHOR:
		say_anchor(s, job, 0);
		break;
	case LIE_INDEX:
		say_measurement(s, job, 0);
		break;
	case LIE_INDEX_TWICE:
		say_measurement(s, job, 7);
		say_measurement(s, job, 7);
		break;
	case LIE_AFTER_END:
		say_identity(s, job);
		say_end(s, job, nonce, 0);
		say_end(s, job, nonce, 0);
		break;
	case LIE_NO_REASON:
		sister_say(s->hub, MSG_JOB_FAILED, 0, &failure);
		break;
	case LIE_STEP:
		sister_say(s->hub, MSG_JOB_STEP, 0, &step);
		break;
	case LIE_NO_JOB:
	case NLIES:
		say_identity(s, job + 1000);
		break;
	}
}

static void
one_lie(const char *dir, enum lie lie)
{
	struct sister	s;
	uint8_t		nonce[32];
	uint32_t	job;
	unsigned	replies = 0;

	sister_user(IPC_ATTESTQ, IPC_ATTESTQ);
	sister_greeted(&s, dir, IPC_ATTESTQ);
	/* Without the link netd would not dial, and the job be over. */
	if (sister_link(&s, IPC_NETD) == -1)
		errx(2, "no link to netd");
	job = job_wait(&s, nonce);
	tell_lie(&s, lie, job, nonce);
	tap(sister_closed(s.hub, &replies), "attestd-q: %s ends it: %s",
	    lies[lie].name, reason_code(R_IPC_HANDLER));
	printf("# offence attestd-q policyd %s %s\n",
	    reason_code(R_IPC_HANDLER), ipc_name(lies[lie].type));
}

/* A process each: an offender may not come back. */
static void
in_child(void (*fn)(const char *, int), const char *dir, int arg)
{
	int	st;
	pid_t	pid;

	fflush(NULL);
	if ((pid = fork()) == -1)
		err(2, "fork");
	if (pid == 0) {
		fn(dir, arg);
		fflush(NULL);
		_exit(failed == 0 ? 0 : 1);
	}
	if (waitpid(pid, &st, 0) != pid || st != 0)
		failed++;
}

static void
lie_child(const char *dir, int lie)
{
	one_lie(dir, (enum lie)lie);
}

void
cases_evidence(const char *dir)
{
	int	lie;

	for (lie = 0; lie < NLIES; lie++)
		in_child(lie_child, dir, lie);
}

/* ---- what its handler in policyd refuses to netd ---------------------------- */

static void
one_handler(const char *dir, int which)
{
	static const char *const names[] = { "a counter that goes back",
	    "an accusation of policyd", "an accusation of itself",
	    "an accusation without a reason" };
	struct msg_counter	count = { .reason = R_NET_TOTAL, .count = 9 };
	struct msg_offence	o = { .peer = IPC_POLICYD, .generation = 1,
	    .reason = R_IPC_FORM };
	struct sister		s;
	unsigned		replies = 0;

	sister_user(IPC_NETD, IPC_NETD);
	sister_greeted(&s, dir, IPC_NETD);
	switch (which) {
	case 0:
		sister_say(s.hub, MSG_COUNTER, 0, &count);
		count.count--;
		sister_say(s.hub, MSG_COUNTER, 0, &count);
		break;
	case 2:
		o.peer = IPC_NETD;
		sister_say(s.hub, MSG_OFFENCE, 0, &o);
		break;
	case 3:
		o.peer = IPC_KEYD;
		o.reason = R_OK;
		sister_say(s.hub, MSG_OFFENCE, 0, &o);
		break;
	default:
		sister_say(s.hub, MSG_OFFENCE, 0, &o);
		break;
	}
	tap(sister_closed(s.hub, &replies), "netd: %s ends it: %s",
	    names[which], reason_code(R_IPC_HANDLER));
	printf("# offence netd policyd %s %s\n", reason_code(R_IPC_HANDLER),
	    which == 0 ? "COUNTER" : "OFFENCE");
}

/* Claims that are well formed: they grant nothing (the test looks after). */
static void
netd_claims(const char *dir, int unused)
{
	struct msg_peer_link	 link = { .state = 2, .dialled = true };
	static struct msg_neighbour n;
	struct sister		 s;

	sister_user(IPC_NETD, IPC_NETD);
	sister_greeted(&s, dir, IPC_NETD);
	for (link.peer = 0; link.peer < 200; link.peer++)
		sister_say(s.hub, MSG_PEER_LINK, 0, &link);
	for (n.neighbour = 0; n.neighbour < 200; n.neighbour++) {
		n.chassis.len = n.port.len = 6;
		n.ttl = 1;
		snprintf(n.system_name, sizeof(n.system_name), "n%u",
		    n.neighbour);
		IPC_SET_STR(n.address4, "192.0.2.2");
		sister_say(s.hub, MSG_NEIGHBOUR, 0, &n);
	}
	tap_alive(&s);
}

void
cases_netd(const char *dir)
{
	int	i;

	in_child(netd_claims, dir, 0);
	for (i = 0; i < 4; i++)
		in_child(one_handler, dir, i);
}

/* ---- strangers at the hub ---------------------------------------------------- */

static void
stranger_child(const char *dir, int arg)
{
	enum ipc_role	role = (enum ipc_role)(arg & 15);
	enum ipc_role	user = (enum ipc_role)(arg >> 4);
	int		fd, e;

	/* Its own group: it does not reach another role's socket. */
	sister_user(user, user);
	fd = sister_dial(dir, role);
	e = errno;
	tap(fd == -1 && e == EACCES, "%s's user does not reach the %s%s",
	    ipc_role_name(user), role == IPC_PROVCTL ? "control socket" :
	    "hub of ", role == IPC_PROVCTL ? "" : ipc_role_name(role));
	if (fd != -1)
		close(fd);
}

/* With the group, and so with the socket: who it is decides. */
static void
wrong_user(const char *dir, int arg)
{
	enum ipc_role	role = (enum ipc_role)arg;
	struct sister	s;

	sister_user(role == IPC_KEYD ? IPC_NETD : IPC_KEYD, role);
	sister_new(&s, dir, role);
	tap_reason(sister_hello(&s, role, true), R_IPC_USER,
	    ipc_role_name(role), "a greeting by another user");
}

static void
wrong_greeting(const char *dir, int arg)
{
	enum ipc_role	role = (enum ipc_role)arg;
	enum ipc_role	other = role == IPC_KEYD ? IPC_NETD : IPC_KEYD;
	struct sister	s;

	sister_user(role, role);
	sister_new(&s, dir, role);
	tap_reason(sister_hello(&s, role, false), R_IPC_BUILD,
	    ipc_role_name(role), "a greeting by another build");
	close(s.hub);
	sister_new(&s, dir, role);
	tap_reason(sister_hello(&s, other, true), R_IPC_SOCKET,
	    ipc_role_name(role), "a greeting as another role");
	close(s.hub);
	sister_new(&s, dir, role);
	tap_reason(sister_hello(&s, role, true), R_IPC_ROLE,
	    ipc_role_name(role), "a second greeting while the first one lives");
}

void
cases_stranger(const char *dir)
{
	int	role, user;

	for (role = IPC_KEYD; role < IPC_NROLES; role++) {
		for (user = IPC_KEYD; user < IPC_PROVCTL; user++)
			if (user != role)
				in_child(stranger_child, dir, role | user << 4);
		if (role == IPC_PROVCTL)
			continue;
		in_child(wrong_user, dir, role);
		in_child(wrong_greeting, dir, role);
	}
}
