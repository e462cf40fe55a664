/*
 * EST (RFC 7030, as RFC 8951 clarifies it) on the doors with TLS. What is
 * asked for goes to policyd in fields; what comes back is wrapped in PKCS#7.
 * Refusals are the error objects of the JSON door: EST leaves their body open.
 */
#include <stdlib.h>
#include <string.h>

#include "enrold.h"
#include "log.h"
#include "secret.h"

#define CERTS_ONLY	"application/pkcs7-mime; smime-type=certs-only"
/* In one line, which RFC 8951, 3.1 leaves open: strongSwan reads no other. */
#define BASE64		"Content-Transfer-Encoding: base64\r\n"
#define KEY_MAX		256		/* PKCS#8 of a P-256 key */
#define P7_MAX		2304		/* of one certificate of ENROL_REP */
#define BODY_MAX	4096		/* the same in base64, beside a key */

/* What an answer from policyd needs of the request. */
struct wait {
	uint8_t	key[KEY_MAX];		/* a secret */
	size_t	key_len;		/* 0: not serverkeygen */
};

static void
wait_free(void *arg)
{
	freezero(arg, sizeof(struct wait));
}

static void *
allocate(size_t n)
{
	void	*p = calloc(1, n);

	if (p == NULL)
		fatal("est");
	return p;
}

/* ---- what anybody may read -------------------------------------------------- */

static void
serve_cacerts(struct conn *c)
{
	struct reply	r = { .status = 200, .type = CERTS_ONLY,
			    .more = BASE64, .blob = settings_cacerts() };

	if (r.blob == NULL)
		conn_refuse_why(c, R_CRT_NO_CA, "cacerts", NULL, NULL);
	else
		conn_reply(c, &r);
}

static void
serve_csrattrs(struct conn *c, uint32_t keys)
{
	struct reply	r = { .status = 200, .type = "application/csrattrs",
			    .more = BASE64 };
	uint8_t		der[256];
	char		*text;
	size_t		 len;

	if (est_csrattrs(keys, der, sizeof(der), &len) == -1)
		fatalx("est: the attributes do not fit");
	text = allocate(2 * sizeof(der));
	r.len = base64_encode(der, len, false, text, 2 * sizeof(der));
	r.body = text;
	conn_reply(c, &r);
}

/* ---- certificates ----------------------------------------------------------- */

/* The certificate, or with it the key that was made for it. */
static int
wrap(const struct msg_enrol_rep *m, const struct wait *w, char *body,
    size_t *len, char type[128])
{
	struct bytes	cert = { m->certificate.data, m->certificate.len };
	struct bytes	key = { w->key, w->key_len };
	uint8_t		p7[P7_MAX];
	size_t		n;

	if (pkcs7_certs(&cert, 1, p7, sizeof(p7), &n) == -1)
		return -1;
	if (w->key_len > 0)
		return est_multipart(key, (struct bytes){ p7, n }, body,
		    BODY_MAX, len, type);
	memcpy(type, CERTS_ONLY, sizeof(CERTS_ONLY));
	*len = base64_encode(p7, n, false, body, BODY_MAX);
	return *len > 0 ? 0 : -1;
}

static void
answered(struct conn *c, const void *msg, const struct refusal *why, void *ctx)
{
	const struct msg_enrol_rep	*m = msg;
	const struct wait		*w = ctx;
	struct reply			 r = { .status = 200 };
	char				 type[128];

	if (m == NULL) {
		conn_refuse(c, why);
		return;
	}
	r.body = allocate(BODY_MAX);
	if (wrap(m, w, r.body, &r.len, type) == -1)
		fatalx("est: a certificate does not fit");
	r.type = type;
	r.more = w->key_len > 0 ? NULL : BASE64;
	r.secret = w->key_len > 0;
	memcpy(r.taken, m->serial.data, m->serial.len);
	r.taken_len = m->serial.len;
	conn_reply(c, &r);
}

int
est_bound(const struct conn *c, const struct csr *csr, struct refusal *why)
{
	uint8_t	binding[32];

	if (csr->password[0] == '\0')
		return 0;
	if (conn_binding(c, binding) == 0)
		return est_binding(csr, binding, why);
	refusal_set(why, R_ENR_CSR_BINDING, "challengePassword",
	    "none where there is no TLS", "one");
	return -1;
}

/* The request itself, checked as far as enrold can. 0; or -1 with why. */
static int
read_request(struct conn *c, enum est_operation op, uint8_t *der, size_t size,
    struct csr *csr, struct refusal *why)
{
	size_t	len;

	if (est_csr(conn_request(c), der, size, &len, why) == -1 ||
	    csr_parse(der, len, csr, why) == -1)
		return -1;
	/* The key of a serverkeygen and its proof are not looked at
	 * (RFC 7030, 4.4.1). */
	if (op != EST_KEYGEN && csr_verify(csr, why) == -1)
		return -1;
	return est_bound(c, csr, why);
}

/*
 * A certificate is renewed under its own name (RFC 7030, 4.2.2); a ticket is
 * the device's that it names.
 */
static int
check_name(struct conn *c, bool renew, const struct csr *csr,
    const char *ticket_name, struct refusal *why)
{
	const struct client	*client = conn_client(c);

	if (renew && (client == NULL || client->kind != CLIENT_OURS)) {
		refusal_set(why, R_ENR_AUTH, "client certificate",
		    "the one to renew", "none");
		return -1;
	}
	if (renew && !name_same(client->name, csr->name)) {
		refusal_set(why, R_CRT_NAME, "subject", client->name,
		    csr->name);
		return -1;
	}
	if (ticket_name != NULL && !name_same(ticket_name, csr->name)) {
		refusal_set(why, R_ENR_AUTH, "Authorization", csr->name,
		    ticket_name);
		return -1;
	}
	return 0;
}

static void
send_request(struct conn *c, const struct enrol_ask *a, struct wait *w)
{
	struct msg_enrol_req	m;

	enrol_message(c, a, &m);
	ask(c, MSG_ENROL_REQ, &m, sizeof(m), answered, w, wait_free);
	explicit_bzero(&m, sizeof(m));
}

static void
serve_enroll(struct conn *c, enum est_operation op, const char *label)
{
	uint8_t			 der[CSR_DER_MAX], ticket[TICKET_LEN];
	struct csr		 csr;
	struct wait		*w = allocate(sizeof(*w));
	struct refusal		 why;
	char			 name[65];
	bool			 has = false;
	struct enrol_ask	 a = { .renew = op == EST_REENROLL,
	    .est = true, .keygen = op == EST_KEYGEN, .profile = label,
	    .csr = &csr };

	if (basic_ticket(conn_request(c)->authorization, name, ticket, &has,
	    &why) == -1 ||
	    read_request(c, op, der, sizeof(der), &csr, &why) == -1 ||
	    check_name(c, a.renew, &csr, has ? name : NULL, &why) == -1) {
		conn_refuse(c, &why);
		wait_free(w);
	} else if (a.keygen && est_keygen(&csr, w->key, sizeof(w->key),
	    &w->key_len) == -1) {
		conn_refuse_why(c, R_ENR_BUSY, "serverkeygen", NULL, NULL);
		wait_free(w);
	} else {
		a.ticket = has ? ticket : NULL;
		send_request(c, &a, w);
	}
	explicit_bzero(ticket, sizeof(ticket));
}

void
est_serve(struct conn *c)
{
	const struct http_request	*q = conn_request(c);
	enum est_operation		 op;
	char				 label[33];
	uint32_t			 keys;
	bool				 keygen, get;

	if (est_path(q->path, &op, label) == -1) {
		conn_refuse_why(c, R_ENR_PATH, "path", "an operation of EST",
		    q->path);
		return;
	}
	get = op == EST_CACERTS || op == EST_CSRATTRS;
	if (get ? q->verb != VERB_GET && q->verb != VERB_HEAD :
	    q->verb != VERB_POST)
		conn_refuse_why(c, R_ENR_METHOD, "method",
		    get ? "GET" : "POST", NULL);
	else if (!settings_profile(label, &keys, &keygen) && label[0] != '\0')
		conn_refuse_why(c, R_CRT_PROFILE, "label", "a profile", label);
	else if (op == EST_CACERTS)
		serve_cacerts(c);
	else if (op == EST_CSRATTRS)
		serve_csrattrs(c, keys);
	else if (op == EST_KEYGEN &&
	    (!keygen || (keys & 1U << SUBJECT_P256) == 0))
		conn_refuse_why(c, R_ENR_NO_KEYGEN, "serverkeygen",
		    "a profile with server-keygen and P-256", label);
	else
		serve_enroll(c, op, label);
}
