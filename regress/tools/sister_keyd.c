/*
 * Written cases: what netd, enrold and attestd, taken over, may ask keyd to
 * sign or to derive, and must not get.
 */
#include <err.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sister_cases.h"

#define KEYS		64
#define TLS13_LEN	130	/* of a content with a hash of 32 bytes */
#define FLOOD		20000	/* calls, far more than any window */

/* ---- netd and enrold ask keyd --------------------------------------------------- */

/* Of the side that the asker has: enrold is no client. */
static const char	*own_tls = "TLS 1.3, client CertificateVerify";

static void
tls_content(struct msg_tls_sign_req *m, uint32_t key)
{
	memset(m, 0, sizeof(*m));
	m->key = key;
	m->scheme = 0x0403;			/* ecdsa_secp256r1_sha256 */
	m->content.len = TLS13_LEN;
	memset(m->content.data, ' ', 64);
	memcpy(m->content.data + 64, own_tls, 34);
	memset(m->content.data + 98, 0xa5, 32);
}

static const struct {
	const char	*name, *prefix;
	size_t		 at, len;	/* where the prefix goes */
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
	const char		*who = ipc_role_name(s->role);
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
		tap_reason(r, contents[i].reason, who, contents[i].name);
	}
	if (s->role == IPC_ENROLD) {
		tls_content(&m, (uint32_t)key);
		memcpy(m.content.data + 73, "client", 6);
		tap_reason(sister_call(s, keyd, MSG_TLS_SIGN_REQ, &m, &h),
		    R_KEY_TLS_CONTEXT, who, "the context of a client");
	}
	for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		tls_content(&m, (uint32_t)key);
		m.scheme = schemes[i];
		r = sister_call(s, keyd, MSG_TLS_SIGN_REQ, &m, &h);
		bad += r != R_KEY_TLS_SCHEME;
	}
	tap(bad == 0, "%s: %zu schemes of other keys: %s", who, i,
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
	"responder-key_exchange_rsp signing",
	"requester-challenge_auth signing",
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
	static const uint32_t	 versions[] = { 0, 0x10, 0x11, 0x14, 0x22,
	    0xff };
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
	bool		 tls = role == IPC_NETD || role == IPC_ENROLD;
	enum ipc_type	 type = tls ? MSG_TLS_SIGN_REQ : MSG_SPDM_SIGN_REQ;
	struct sister	 s;

	sister_user(role, role);
	sister_greeted(&s, dir, role);
	if (sister_link(&s, IPC_KEYD) == -1)
		errx(2, "no link to keyd");
	if (role == IPC_ENROLD)
		own_tls = "TLS 1.3, server CertificateVerify";
	own_context = role == IPC_ATTESTQ ? "requester-finish signing" :
	    "responder-challenge_auth signing";
	if (tls)
		cases_tls(&s);
	else
		cases_spdm(&s, role == IPC_ATTESTQ ? "requester-" :
		    "responder-");
	if (!tls)
		cases_code(&s);
	tap_alive(&s);
	case_old_link(&s, dir, type, tls ? tls_make(0) : spdm_make(0));
	case_window(&s, type, tls ? tls_make(0) : spdm_make(0));
}
