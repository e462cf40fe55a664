/*
 * A keyd for the tests of policyd: real keys and certificates of OpenSSL at
 * the other end of a real channel. It dies when it is told to, before or
 * after it did what it was asked, and then starts again with its keys and its
 * counter as they are.
 */
#ifndef POLICYD_KEYD_H
#define POLICYD_KEYD_H

#include <sys/socket.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint.h"
#include "x509time.h"
#include "../../policyd/policyd.h"

#define FAKE_KEYS	48
#define FAKE_CERTS	256

enum fake_lie { LIE_NONE, LIE_SERIAL, LIE_KEY, LIE_WINDOW, LIE_SIGNATURE,
    LIE_NODE, LIE_JUNK, LIE_CHECKPOINT,
    /* policyd_authority.h */
    LIE_ISSUER, LIE_LEAF_IS_CA, LIE_PATHLEN, LIE_PATHLEN_ISSUING,
    LIE_EKU, LIE_SAN, LIE_PURPOSE, LIE_POINT, LIE_BEGIN,
    LIE_SAN_OTHER, LIE_CROSS, LIE_CRL_ISSUER, LIE_CRL_THIS,
    LIE_CRL_ENTRY, LIE_CRL_MORE, LIE_CRL_REASON, LIE_CRL_TIME, LIE_CRL_NUMBER,
    LIE_CRL_UPDATE, LIE_CRL_SIGNATURE, LIE_CRL_JUNK, LIE_CRL_LENGTH,
    LIE_CRL_SHORT, LIE_N };

static struct {
	EVP_PKEY	*keys[FAKE_KEYS];
	char		 labels[FAKE_KEYS][33];
	uint32_t	 purposes[FAKE_KEYS];
	unsigned	 nkeys;
	bool		 counted;
	uint64_t	 counter;
	unsigned	 counter_moves;

	struct chan	*chan;		/* its end; NULL: it is dead */
	unsigned	 calls;		/* since fake_calls = 0 */
	unsigned	 die_before, die_after;	/* at this call, 0: never */
	enum reason	 refuse;	/* every call */
	enum fake_lie	 lie;
	bool		 no_rsa;	/* as backend tpm */

	unsigned	 ncerts;
	uint8_t		 serials[FAKE_CERTS][16];
	uint32_t	 profiles[FAKE_CERTS];
	unsigned	 checkpoints;
} fake;

static struct chan	*link_keyd;	/* policyd's end */
static struct chan	*link_other[IPC_NROLES];	/* if a test sets it */
static void		(*fake_down)(void);	/* what hubd would tell */

#ifndef FAKE_ROLE
#define FAKE_ROLE	IPC_KEYD
#endif

struct chan *
hubd_link(enum ipc_role r)
{
	return r == FAKE_ROLE ? link_keyd : link_other[r];
}

/* ---- keys ---- */

static inline size_t
fake_point(EVP_PKEY *k, uint8_t point[97])
{
	size_t	n = 0;

	if (EVP_PKEY_is_a(k, "RSA"))
		abort();
	if (EVP_PKEY_get_octet_string_param(k, OSSL_PKEY_PARAM_PUB_KEY, point,
	    97, &n) != 1)
		abort();
	return n;
}

static inline size_t
fake_modulus(EVP_PKEY *k, uint8_t out[256])
{
	BIGNUM	*n = NULL;

	if (EVP_PKEY_get_bn_param(k, OSSL_PKEY_PARAM_RSA_N, &n) != 1 ||
	    BN_bn2binpad(n, out, 256) != 256)
		abort();
	BN_free(n);
	return 256;
}

static inline unsigned
fake_key(const char *label, uint32_t purpose, uint32_t algorithm, bool *made)
{
	unsigned	i;

	*made = false;
	for (i = 0; i < fake.nkeys; i++)
		if (strcmp(fake.labels[i], label) == 0)
			return i;
	*made = true;
	fake.nkeys++;
	snprintf(fake.labels[i], sizeof(fake.labels[i]), "%s", label);
	fake.purposes[i] = purpose;
	fake.keys[i] = algorithm == KEY_RSA2048 ?
	    EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048) :
	    EVP_EC_gen(algorithm == KEY_P384 ? "P-384" : "P-256");
	if (fake.keys[i] == NULL)
		abort();
	return i;
}

static inline void
fake_forget(void)
{
	while (fake.nkeys > 0)
		EVP_PKEY_free(fake.keys[--fake.nkeys]);
}

/* ---- certificates ---- */

static inline EVP_PKEY *
fake_public(const uint8_t *point, size_t len)
{
	OSSL_PARAM	 params[3];
	EVP_PKEY_CTX	*ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	EVP_PKEY	*k = NULL;
	char		 group[8];
	uint8_t		 copy[97];

	memcpy(copy, point, len);
	snprintf(group, sizeof(group), "%s", len == 97 ? "P-384" : "P-256");
	params[0] = OSSL_PARAM_construct_utf8_string("group", group, 0);
	params[1] = OSSL_PARAM_construct_octet_string("pub", copy, len);
	params[2] = OSSL_PARAM_construct_end();
	if (EVP_PKEY_fromdata_init(ctx) != 1 || EVP_PKEY_fromdata(ctx, &k,
	    EVP_PKEY_PUBLIC_KEY, params) != 1)
		abort();
	EVP_PKEY_CTX_free(ctx);
	return k;
}

static inline void
fake_ext(X509 *x, int nid, const char *value)
{
	X509_EXTENSION	*e;

	if ((e = X509V3_EXT_conf_nid(NULL, NULL, nid, value)) == NULL ||
	    X509_add_ext(x, e, -1) != 1)
		abort();
	X509_EXTENSION_free(e);
}

/* A certificate signed by key, under these names. The caller frees it. */
static inline X509 *
fake_x509(EVP_PKEY *subject, const char *cn, EVP_PKEY *key, const char *issuer,
    const uint8_t *serial, uint64_t nb, uint64_t na, bool ca)
{
	X509		*x = X509_new();
	X509_NAME	*n = X509_NAME_new();
	BIGNUM		*b = BN_bin2bn(serial, 16, NULL);
	ASN1_TIME	*t;

	X509_set_version(x, 2);
	BN_to_ASN1_INTEGER(b, X509_get_serialNumber(x));
	X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_UTF8,
	    (const unsigned char *)cn, -1, -1, 0);
	X509_set_subject_name(x, n);
	X509_NAME_free(n);
	n = X509_NAME_new();
	X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_UTF8,
	    (const unsigned char *)issuer, -1, -1, 0);
	X509_set_issuer_name(x, n);
	X509_NAME_free(n);
	t = ASN1_TIME_new();
	x509_time_set(t, nb);
	X509_set1_notBefore(x, t);
	x509_time_set(t, na);
	X509_set1_notAfter(x, t);
	ASN1_TIME_free(t);
	X509_set_pubkey(x, subject);
	fake_ext(x, NID_basic_constraints, ca ? "critical,CA:TRUE" :
	    "critical,CA:FALSE");
	fake_ext(x, NID_key_usage, ca ? "critical,keyCertSign" :
	    "critical,digitalSignature");
	BN_free(b);
	if (X509_sign(x, key, EVP_sha256()) == 0)
		abort();
	return x;
}

static inline void
fake_sign_again(X509 *x, EVP_PKEY *key)
{
	if (X509_sign(x, key, EVP_sha256()) == 0)
		abort();
}

/* ---- calls ---- */

/* What this call follows from is on disk: no transaction is open. */
static inline void
fake_wants_commit(void)
{
	if (sqlite3_get_autocommit(store_db()) == 0)
		abort();
}

static inline bool
fake_dies(unsigned at)
{
	if (at == 0 || fake.calls != at)
		return false;
	fake.die_before = fake.die_after = 0;
	chan_close(fake.chan);
	return true;
}

/* -1: it died; 1: it refused; 0: go on. */
static inline int
fake_begin(struct chan *c, const struct ipc_call *call)
{
	fake.calls++;
	if (fake_dies(fake.die_before))
		return -1;
	if (fake.refuse == R_OK)
		return 0;
	chan_refuse_why(c, call, fake.refuse, "field", "this", "that");
	return 1;
}

static inline int
fake_end(struct chan *c, const struct ipc_call *call, enum ipc_type type,
    const void *msg)
{
	if (!fake_dies(fake.die_after))
		chan_reply(c, call, type, msg);
	return 0;
}

static int
fake_status(struct chan *c, const struct ipc_call *call, const void *arg)
{
	struct msg_keyd_status	m = { .backend = KEY_BACKEND_SOFT };

	if (fake_begin(c, call) != 0)
		return 0;
	m.counter = fake.counted;
	m.keys = fake.nkeys;
	return fake_end(c, call, MSG_KEYD_STATUS, &m);
}

static int
fake_make(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_key_make_req	*req = arg;
	struct msg_key_info		 m = { 0 };
	uint8_t				 point[97];
	size_t				 n;

	if (fake_begin(c, call) != 0)
		return 0;
	if (fake.no_rsa && req->algorithm == KEY_RSA2048) {
		if (!fake_dies(fake.die_after))
			chan_refuse(c, call, R_KEY_ALGORITHM);
		return 0;
	}
	m.key = fake_key(req->label, req->purpose, req->algorithm, &m.made);
	m.purpose = fake.lie == LIE_PURPOSE ? KEY_TLS : req->purpose;
	m.algorithm = req->algorithm;
	if (req->algorithm == KEY_RSA2048) {
		m.public.len = (uint32_t)fake_modulus(fake.keys[m.key],
		    m.public.data);
		return fake_end(c, call, MSG_KEY_INFO, &m);
	}
	n = fake_point(fake.keys[m.key], point);
	IPC_SET_BLOB(m.public, point, n - (fake.lie == LIE_POINT));
	return fake_end(c, call, MSG_KEY_INFO, &m);
}

static inline void
fake_lie_about(struct msg_cert_req *r, EVP_PKEY **signer)
{
	static EVP_PKEY	*other;
	uint8_t		 point[97];
	size_t		 n;

	if (other == NULL)
		other = EVP_EC_gen("P-256");
	if (fake.lie == LIE_SERIAL)
		r->serial.data[15] ^= 1;
	else if (fake.lie == LIE_WINDOW)
		r->not_after += 86400;
	else if (fake.lie == LIE_SIGNATURE)
		*signer = other;
	else if (fake.lie == LIE_NODE)
		r->node[0] = r->node[0] == '0' ? '1' : '0';
	else if (fake.lie == LIE_KEY) {
		n = fake_point(other, point);
		IPC_SET_BLOB(r->public, point, n);
	}
}

static int
fake_cert(struct chan *c, const struct ipc_call *call, const void *arg)
{
	struct msg_cert_req	 req = *(const struct msg_cert_req *)arg;
	struct msg_cert_rep	 m = { 0 };
	EVP_PKEY		*subject, *ca = fake.keys[req.issuer];
	uint8_t			*p = m.certificate.data;
	char			 san[64];
	X509			*x;

	if (fake_begin(c, call) != 0)
		return 0;
	fake_wants_commit();
	if (fake.ncerts == FAKE_CERTS)
		abort();
	memcpy(fake.serials[fake.ncerts], req.serial.data, 16);
	fake.profiles[fake.ncerts++] = req.profile;
	fake_lie_about(&req, &ca);
	subject = fake_public(req.public.data, req.public.len);
	x = fake_x509(subject, req.profile == CERT_NODE_CA ? "ca" : "leaf", ca,
	    "ca", req.serial.data, req.not_before, req.not_after,
	    req.profile == CERT_NODE_CA);
	if (req.profile == CERT_TLS_LEAF) {
		snprintf(san, sizeof(san), "URI:urn:provd:node:%s", req.node);
		fake_ext(x, NID_subject_alt_name, san);
		fake_sign_again(x, ca);
	}
	m.certificate.len = (uint32_t)i2d_X509(x, &p);
	if (fake.lie == LIE_JUNK)
		m.certificate.data[1] ^= 0x40;
	X509_free(x);
	EVP_PKEY_free(subject);
	return fake_end(c, call, MSG_CERT_REP, &m);
}

static int
fake_csr(struct chan *c, const struct ipc_call *call, const void *arg)
{
	struct msg_csr_rep	m = { 0 };

	if (fake_begin(c, call) != 0)
		return 0;
	IPC_SET_BLOB(m.csr, "csr", 3);
	return fake_end(c, call, MSG_CSR_REP, &m);
}

static int
fake_checkpoint(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_checkpoint_req	*r = arg;
	struct msg_checkpoint_rep	 m = { 0 };
	uint8_t				 bytes[CHECKPOINT_LEN];
	size_t				 n = sizeof(m.signature.data);
	EVP_MD_CTX			*ctx = EVP_MD_CTX_new();

	if (fake_begin(c, call) != 0) {
		EVP_MD_CTX_free(ctx);
		return 0;
	}
	checkpoint_bytes(r->sequence, r->chain.data, r->time, r->counter +
	    (fake.lie == LIE_CHECKPOINT), bytes);
	if (EVP_DigestSignInit_ex(ctx, NULL, "SHA256", NULL, NULL,
	    fake.keys[r->key], NULL) != 1 || EVP_DigestSign(ctx,
	    m.signature.data, &n, bytes, sizeof(bytes)) != 1)
		abort();
	m.signature.len = (uint32_t)n;
	EVP_MD_CTX_free(ctx);
	fake.checkpoints++;
	return fake_end(c, call, MSG_CHECKPOINT_REP, &m);
}

static int
fake_counter(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_counter_req	*r = arg;
	struct msg_counter_rep		 m;

	if (fake_begin(c, call) != 0)
		return 0;
	if (!fake.counted) {
		chan_refuse(c, call, R_KEY_NO_TPM);
		return 0;
	}
	if (r->advance != 0 && r->advance != fake.counter + 1) {
		chan_refuse(c, call, R_KEY_COUNTER);
		return 0;
	}
	if (r->advance != 0) {
		fake_wants_commit();
		fake.counter++;
		fake.counter_moves++;
	}
	m.value = fake.counter;
	return fake_end(c, call, MSG_COUNTER_REP, &m);
}

static const struct ipc_handler fake_handlers[] = {
	{ MSG_KEYD_STATUS_REQ,	fake_status },
	{ MSG_KEY_MAKE_REQ,	fake_make },
	{ MSG_CERT_REQ,		fake_cert },
	{ MSG_CSR_REQ,		fake_csr },
	{ MSG_CHECKPOINT_REQ,	fake_checkpoint },
	{ MSG_COUNTER_REQ,	fake_counter },
};

/* What keyd serves; a test may put more into its place. */
static const struct ipc_handler	*fake_table = fake_handlers;
static size_t			 fake_ntable = 6;

/* ---- life and death ---- */

static void
fake_closed(struct chan *c, enum reason offence, unsigned type)
{
	if (c == fake.chan)
		fake.chan = NULL;
	if (c == link_keyd) {
		link_keyd = NULL;
		if (fake_down != NULL)
			fake_down();
	}
}

static inline void
fake_start(void)
{
	struct chan_conf	kc = { .self = IPC_KEYD, .peer = IPC_POLICYD,
	    .handlers = fake_table, .nhandlers = fake_ntable,
	    .closed = fake_closed };
	struct chan_conf	pc = { .self = IPC_POLICYD, .peer = IPC_KEYD,
	    .closed = fake_closed };
	int			fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == -1)
		abort();
	fake.chan = chan_new(fds[0], &kc);
	link_keyd = chan_new(fds[1], &pc);
	if (fake.chan == NULL || link_keyd == NULL)
		abort();
	chan_set_phase(fake.chan, IPC_RUN);
	chan_set_phase(link_keyd, IPC_RUN);
}

static inline void
fake_stop(void)
{
	chan_close(fake.chan);
	chan_close(link_keyd);
}

/* One record of one end; was there any? */
static inline bool
fake_pump_end(struct chan *c)
{
	struct pollfd	p = { .events = POLLIN };

	if (c == NULL)
		return false;
	p.fd = chan_fd(c);
	if (poll(&p, 1, 0) <= 0)
		return false;
	(void)chan_input(c);
	return true;
}

/*
 * Turns of the loop until nothing moves. What policyd sent before its commit
 * arrives before its commit.
 */
static inline void
fake_pump(void)
{
	bool	moved;

	do {
		moved = fake_pump_end(fake.chan);
		moved = fake_pump_end(link_keyd) || moved;
		moved = fake_pump_end(fake.chan) || moved;
		moved = audit_work() || moved;
		moved = store_dirty() || moved;
		store_turn();
	} while (moved);
}

#endif
