/*
 * Around policyd's enrolment: a keyd that issues real certificates and lies
 * on command, an enrold that asks, an authority, a disk that fails. Channels
 * are real, so is the store.
 */
#ifndef POLICYD_ENROL_H
#define POLICYD_ENROL_H

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <fcntl.h>
#include <ftw.h>

#include "clock.h"
#include "hex.h"
#include "policyd_dir.h"
#include "x509time.h"
#include "../../policyd/enrol.h"

#define NOW	UINT64_C(2000000000)
#define DAY	UINT64_C(86400)
#define MAC	"24:0a:c4:12:34:56"
#define MAC2	"24:0a:c4:12:34:57"
#define MAKER	0xaa			/* every byte of its root's hash */
#define ASKED	300			/* requests of a test */

static struct conf_path	maker_path = { .path = (char []){ "/maker.pem" } };
static struct conf_name	domain = { .name = (char []){ "example.org" } };
#define KEYS	(1u << SUBJECT_P256 | 1u << SUBJECT_RSA2048)
static struct conf_profile profiles[] = {
	{ &profiles[1], (char []){ "iot" }, KEYS, 30 * DAY, 10 * DAY, 1,
	    NAME_MAC, NULL, false, false, false, 0 },
	{ &profiles[2], (char []){ "web" }, KEYS, 30 * DAY, 10 * DAY, 2,
	    NAME_DNS, NULL, false, true, false, 0 },
	{ &profiles[3], (char []){ "unit" }, KEYS, 30 * DAY, 10 * DAY, 1,
	    NAME_SERIAL, &maker_path, false, false, false, 0 },
	{ &profiles[4], (char []){ "named" }, KEYS, 30 * DAY, 10 * DAY, 1,
	    NAME_MAC, &maker_path, false, false, false, 0 },
	{ &profiles[5], (char []){ "guest" }, KEYS, 30 * DAY, 10 * DAY, 1,
	    NAME_TEXT, NULL, true, false, false, 0 },
	{ NULL, (char []){ "ops" }, KEYS, 30 * DAY, 10 * DAY, 1,
	    NAME_TEXT, NULL, false, false, true, 0 },
};
static struct conf	config = { .profiles = profiles,
    .checkpoint = 600000, .ca = { .name = (char []){ "ACME" },
    .permitted = &domain } };
const struct conf	*conf = &config;

/* ---- the rest of policyd, played ---- */

static struct ca	the_ca;
static uint64_t		mono;		/* ms, as the tests have it */
static bool		no_ca;
static unsigned		crls;
static uint64_t		counted[R_COUNT];
static struct root	maker = { .path = "/maker.pem" };

const struct ca *
ca_current(struct why *why)
{
	if (!no_ca)
		return &the_ca;
	why_set(why, R_CRT_NO_CA, NULL, NULL, NULL);
	return NULL;
}

const struct ca *
ca_bygeneration(unsigned g)
{
	return g == the_ca.generation ? &the_ca : NULL;
}

void
crl_changed(unsigned generation, store_fn fn, void *arg)
{
	assert_int_equal(generation, the_ca.generation);
	crls++;
	if (fn != NULL)
		store_after_commit(fn, arg);
}

const struct root *
settings_roots(void)
{
	memset(maker.hash, MAKER, HASH_LEN);
	return &maker;
}

uint64_t
hubd_count(enum reason r)
{
	return ++counted[r];
}

void
control_event(const struct audit_row *row)
{
}

/* ---- the channels ---- */

static struct chan	*keyd_ours, *keyd_theirs, *enrold_ours,
			*enrold_theirs;
static bool		 offended;

struct chan *
hubd_link(enum ipc_role r)
{
	return r == IPC_KEYD ? keyd_ours : r == IPC_ENROLD ? enrold_ours :
	    NULL;
}

static void
link_closed(struct chan *c, enum reason offence, unsigned type)
{
	struct chan	**end = chan_arg(c);

	*end = NULL;
	offended = offended || offence != R_OK;
	if (end == &keyd_ours)
		enrol_down(IPC_KEYD);
}

static inline void
link_up(enum ipc_role role, struct chan **ours, struct chan **theirs,
    const struct ipc_handler *h, size_t n, const struct ipc_handler *th,
    size_t tn)
{
	struct chan_conf	 cc = { .self = IPC_POLICYD, .peer = role,
	    .generation = 1, .handlers = h, .nhandlers = n,
	    .closed = link_closed, .arg = ours };
	int			 fds[2], size = 1 << 20;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    fds), 0);
	setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	*ours = chan_new(fds[0], &cc);
	cc.self = role;
	cc.peer = IPC_POLICYD;
	cc.handlers = th;
	cc.nhandlers = tn;
	cc.arg = theirs;
	*theirs = chan_new(fds[1], &cc);
	assert_non_null(*ours);
	assert_non_null(*theirs);
	chan_set_phase(*ours, IPC_RUN);
	chan_set_phase(*theirs, IPC_RUN);
}

/* ---- keyd ---- */

enum lie { TRUE, LIE_SERIAL, LIE_KEY, LIE_NAME, LIE_SAN, LIE_CA, LIE_AFTER,
    LIE_SIGNATURE, LIE_ISSUER, LIE_JUNK, LIE_N };

static EVP_PKEY		*ca_key, *other_key;
static enum lie		 lie;
static enum reason	 keyd_refuses;
static bool		 keyd_holds;	/* answers nothing */
static unsigned		 keyd_asked;
static struct msg_device_cert_req keyd_last;

static inline EVP_PKEY *
rsa_public(const uint8_t *n, size_t len, uint32_t e)
{
	OSSL_PARAM_BLD	*b = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX	*ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	BIGNUM		*bn = BN_bin2bn(n, (int)len, NULL);
	OSSL_PARAM	*p;
	EVP_PKEY	*k = NULL;

	OSSL_PARAM_BLD_push_BN(b, "n", bn);
	OSSL_PARAM_BLD_push_uint(b, "e", e);
	p = OSSL_PARAM_BLD_to_param(b);
	if (EVP_PKEY_fromdata_init(ctx) != 1 || EVP_PKEY_fromdata(ctx, &k,
	    EVP_PKEY_PUBLIC_KEY, p) != 1)
		abort();
	OSSL_PARAM_free(p);
	OSSL_PARAM_BLD_free(b);
	BN_free(bn);
	EVP_PKEY_CTX_free(ctx);
	return k;
}

static inline EVP_PKEY *
ec_public(const uint8_t *point, size_t len)
{
	OSSL_PARAM	 params[3];
	EVP_PKEY_CTX	*ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	EVP_PKEY	*k = NULL;
	char		 group[] = "P-256";
	uint8_t		 copy[97];

	memcpy(copy, point, len);
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
x509_ext(X509 *x, int nid, const char *value)
{
	X509_EXTENSION	*e;

	if ((e = X509V3_EXT_conf_nid(NULL, NULL, nid, value)) == NULL ||
	    X509_add_ext(x, e, -1) != 1)
		abort();
	X509_EXTENSION_free(e);
}

static inline void
x509_names(X509 *x, const char *cn, const char *issuer)
{
	X509_NAME	*n = X509_NAME_new();

	X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_UTF8,
	    (const unsigned char *)cn, -1, -1, 0);
	X509_set_subject_name(x, n);
	X509_NAME_free(n);
	n = X509_NAME_new();
	X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_UTF8,
	    (const unsigned char *)issuer, -1, -1, 0);
	X509_set_issuer_name(x, n);
	X509_NAME_free(n);
}

static inline X509 *
x509_begin(const uint8_t *serial, uint64_t nb, uint64_t na, const char *cn,
    const char *issuer, EVP_PKEY *subject)
{
	X509		*x = X509_new();
	BIGNUM		*b = BN_bin2bn(serial, SERIAL_LEN, NULL);
	ASN1_TIME	*t = ASN1_TIME_new();

	X509_set_version(x, 2);
	BN_to_ASN1_INTEGER(b, X509_get_serialNumber(x));
	BN_free(b);
	x509_names(x, cn, issuer);
	x509_time_set(t, nb);
	X509_set1_notBefore(x, t);
	x509_time_set(t, na);
	X509_set1_notAfter(x, t);
	ASN1_TIME_free(t);
	X509_set_pubkey(x, subject);
	return x;
}

static inline size_t
x509_end(X509 *x, EVP_PKEY *key, uint8_t *out, size_t size)
{
	int	n;

	if (X509_sign(x, key, EVP_sha256()) == 0 ||
	    (n = i2d_X509(x, NULL)) <= 0 || (size_t)n > size)
		abort();
	(void)i2d_X509(x, &out);
	X509_free(x);
	return (size_t)n;
}

static inline const struct conf_profile *
profile_of(const char *name)
{
	const struct conf_profile	*p = profile_find(name);

	assert_non_null(p);
	return p;
}

static int
keyd_cert(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_device_cert_req	*m = arg;
	struct msg_cert_rep			 rep;
	uint8_t					 serial[SERIAL_LEN];
	char					 text[128], san[160];
	enum san_kind				 kind;
	EVP_PKEY				*k;
	X509					*x;

	keyd_asked++;
	keyd_last = *m;
	if (keyd_holds)
		return 0;
	if (keyd_refuses != R_OK)
		return chan_refuse(c, call, keyd_refuses);
	assert_int_equal(m->issuer, the_ca.key);
	memcpy(serial, m->serial.data, SERIAL_LEN);
	serial[15] ^= lie == LIE_SERIAL;
	k = m->key_type >= SUBJECT_RSA2048 ? rsa_public(m->public.data,
	    m->public.len, m->exponent) : ec_public(m->public.data,
	    m->public.len);
	x = x509_begin(serial, m->not_before, m->not_after +
	    (lie == LIE_AFTER), lie == LIE_NAME ? "another" : m->name,
	    lie == LIE_ISSUER ? "another" : "Issuing CA 1",
	    lie == LIE_KEY ? other_key : k);
	kind = name_san(profile_of(m->profile)->names, m->name, text,
	    sizeof(text));
	snprintf(san, sizeof(san), "%s:%s%s", kind == SAN_DNS ? "DNS" : "URI",
	    text, lie == LIE_SAN ? "x" : "");
	x509_ext(x, NID_subject_alt_name, san);
	x509_ext(x, NID_basic_constraints, lie == LIE_CA ?
	    "critical,CA:TRUE" : "critical,CA:FALSE");
	rep.certificate.len = (uint32_t)x509_end(x, lie == LIE_SIGNATURE ?
	    other_key : ca_key, rep.certificate.data,
	    sizeof(rep.certificate.data));
	EVP_PKEY_free(k);
	if (lie == LIE_JUNK)
		rep.certificate.data[3] ^= 1;
	return chan_reply(c, call, MSG_CERT_REP, &rep);
}

static const struct ipc_handler at_keyd[] = {
	{ MSG_DEVICE_CERT_REQ, keyd_cert },
};
static const struct ipc_handler at_policyd[] = {
	{ MSG_ENROL_REQ, enrold_enrol },
	{ MSG_ENROL_TAKEN, enrold_taken },
	{ MSG_REVOKE_REQ, enrold_revoke },
	{ MSG_CERT_STATUS_REQ, enrold_cert_status },
};

static inline void
keyd_up(void)
{
	link_up(IPC_KEYD, &keyd_ours, &keyd_theirs, NULL, 0, at_keyd, 1);
	enrol_up(IPC_KEYD);
}

static inline void
enrold_up(void)
{
	link_up(IPC_ENROLD, &enrold_ours, &enrold_theirs, at_policyd, 4, NULL,
	    0);
}

/* ---- turns ---- */

static inline void
pump_end(struct chan **ours, struct chan **theirs)
{
	if (*ours != NULL && chan_wants_output(*ours))
		chan_output(*ours);
	if (*theirs != NULL)
		chan_input(*theirs);
	if (*theirs != NULL && chan_wants_output(*theirs))
		chan_output(*theirs);
	if (*ours != NULL)
		chan_input(*ours);
}

/* One turn of policyd's loop, with all that waits for it. */
static inline void
turn(void)
{
	unsigned	i;

	for (i = 0; i < 8; i++) {	/* chan_input() reads so many */
		pump_end(&enrold_ours, &enrold_theirs);
		pump_end(&keyd_ours, &keyd_theirs);
	}
	store_turn();
}

/* Until nothing moves any more, or waits for somebody who is silent. */
static inline void
turns(void)
{
	unsigned	i, quiet = 0;

	for (i = 0; quiet < 3 && (i < 40 || store_dirty()); i++) {
		turn();
		quiet = store_dirty() || enrol_under_way() > 0 ? 0 :
		    quiet + 1;
	}
	assert_true(i < 400);
}

/* ---- enrold ---- */

struct answer {
	unsigned	 times;
	enum ipc_type	 type;
	struct msg_refused refused;
	enum reason	 reason;
	struct msg_enrol_rep rep;
	struct msg_cert_status_rep status;
};
static struct answer	answers[ASKED];
static unsigned		nasked;

static void
got_answer(const struct ipc_reply *r, void *arg)
{
	struct answer	*a = arg;

	a->times++;
	a->type = r->type;
	a->reason = r->reason;
	if (r->refused != NULL)
		a->refused = *r->refused;
	if (r->type == MSG_ENROL_REP)
		a->rep = *(const struct msg_enrol_rep *)r->msg;
	if (r->type == MSG_CERT_STATUS_REP)
		a->status = *(const struct msg_cert_status_rep *)r->msg;
}

static inline struct answer *
call(enum ipc_type type, const void *m)
{
	struct answer	*a = &answers[nasked++];

	assert_true(nasked <= ASKED);
	memset(a, 0, sizeof(*a));
	assert_int_equal(chan_call(enrold_theirs, type, m, -1, 600000,
	    got_answer, a), 0);
	return a;
}

static inline struct answer *
ask(const struct msg_enrol_req *m)
{
	return call(MSG_ENROL_REQ, m);
}

/* A request over a key of its own; the caller may change it. */
static inline struct msg_enrol_req
request(const char *name, const char *profile)
{
	static uint32_t		 n;
	struct msg_enrol_req	 m;
	EVP_PKEY		*k = EVP_EC_gen("P-256");
	size_t			 len = 0;

	memset(&m, 0, sizeof(m));
	n++;
	memcpy(m.request.data, &n, sizeof(n));
	m.request.len = HASH_LEN;
	IPC_SET_STR(m.name, name);
	IPC_SET_STR(m.profile, profile);
	IPC_SET_STR(m.address, "192.0.2.9");
	if (EVP_PKEY_get_octet_string_param(k, OSSL_PKEY_PARAM_PUB_KEY,
	    m.public.data, sizeof(m.public.data), &len) != 1)
		abort();
	m.public.len = (uint32_t)len;
	EVP_PKEY_free(k);
	return m;
}

static inline void
key_hash(const struct msg_enrol_req *m, uint8_t out[HASH_LEN])
{
	uint8_t	spki[SPKI_ANY_MAX];
	size_t	n = form_spki(m->key_type, m->public.data, m->public.len,
		    m->exponent, spki);

	EVP_Q_digest(NULL, "SHA256", NULL, spki, n, out, NULL);
}

/* It connects with the certificate that was the answer to that request. */
static inline void
with_client(struct msg_enrol_req *m, const struct msg_enrol_req *was,
    const struct answer *a)
{
	uint8_t	hash[HASH_LEN];

	m->client = CLIENT_OURS;
	IPC_SET_BLOB(m->client_serial, a->rep.serial.data, SERIAL_LEN);
	key_hash(was, hash);
	IPC_SET_BLOB(m->client_key, hash, HASH_LEN);
	IPC_SET_STR(m->client_name, was->name);
}

static inline void
with_maker(struct msg_enrol_req *m, const char *name, const char *unit)
{
	m->client = CLIENT_MAKER;
	memset(m->client_root.data, MAKER, HASH_LEN);
	m->client_root.len = HASH_LEN;
	m->client_serial.len = 1;
	m->client_serial.data[0] = 7;
	IPC_SET_STR(m->client_name, name);
	IPC_SET_STR(m->client_unit, unit);
}

/* What an operator does: list it, and a ticket for a day. */
static inline void
list(const char *name, const char *profile)
{
	struct device	d;
	struct why	why;

	if (!device_find(name, &d))
		assert_int_equal(device_add(name, profile_of(profile), &why),
		    R_OK);
}

static inline void
ticket(struct msg_enrol_req *m, const char *name, const char *profile)
{
	struct device	d;

	list(name, profile);
	assert_true(device_find(name, &d));
	assert_int_equal(device_ticket(d.id, clock_trusted() + DAY,
	    m->ticket.data), R_OK);
	m->ticket.len = TICKET_LEN;
	store_turn();
}

static inline void
assert_refused(const struct msg_enrol_req *m, enum reason r, const char *field)
{
	struct answer	*a = ask(m);

	turns();
	assert_int_equal(a->times, 1);
	assert_int_equal(a->type, MSG_REFUSED);
	assert_string_equal(reason_code(a->reason), reason_code(r));
	assert_string_equal(a->refused.field, field);
}

static inline struct answer *
assert_issued(const struct msg_enrol_req *m)
{
	struct answer	*a = ask(m);

	turns();
	assert_int_equal(a->times, 1);
	if (a->type != MSG_ENROL_REP)
		fail_msg("%s: %s", reason_code(a->reason), a->refused.field);
	return a;
}

static inline void
taken(const struct answer *a)
{
	struct msg_enrol_taken	m;

	IPC_SET_BLOB(m.serial, a->rep.serial.data, SERIAL_LEN);
	assert_int_equal(chan_send(enrold_theirs, MSG_ENROL_TAKEN, &m, -1),
	    0);
	turns();
	enrol_tick(mono);
	turns();
}

static inline int64_t
sql_int(const char *sql)
{
	sqlite3_stmt	*st;
	int64_t		 n = -1;

	assert_int_equal(sqlite3_prepare_v2(store_db(), sql, -1, &st, NULL),
	    SQLITE_OK);
	if (sqlite3_step(st) == SQLITE_ROW)
		n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return n;
}

/* ---- files ---- */

static inline void
path_of(const uint8_t *serial, char *out, size_t size)
{
	char	digits[HEX_SIZE(SERIAL_LEN)];

	hex(serial, SERIAL_LEN, digits);
	snprintf(out, size, "%s/issued/%.2s/%s.pem", dir_path, digits,
	    digits);
}

/* The certificate in its file, or 0. */
static inline size_t
file_read(const uint8_t *serial, uint8_t *der, size_t size)
{
	char		 path[256];
	FILE		*f;
	X509		*x;
	int		 n;

	path_of(serial, path, sizeof(path));
	if ((f = fopen(path, "r")) == NULL)
		return 0;
	x = PEM_read_X509(f, NULL, NULL, NULL);
	fclose(f);
	if (x == NULL)
		return 0;
	n = i2d_X509(x, NULL);
	assert_true((size_t)n <= size);
	(void)i2d_X509(x, &der);
	X509_free(x);
	return (size_t)n;
}

static inline char *
log_text(void)
{
	char	 path[256], *text = NULL;
	size_t	 size = 0;
	FILE	*f;

	snprintf(path, sizeof(path), "%s/issued/serials.txt", dir_path);
	if ((f = fopen(path, "r")) == NULL)
		return strdup("");
	if (getdelim(&text, &size, '\0', f) == -1) {
		free(text);
		text = strdup("");
	}
	fclose(f);
	return text;
}

static inline unsigned
log_lines(const uint8_t *serial)
{
	char		 digits[HEX_SIZE(SERIAL_LEN)], *text = log_text(), *p;
	unsigned	 n = 0;

	hex(serial, SERIAL_LEN, digits);
	for (p = text; (p = strstr(p, digits)) != NULL; p++)
		n++;
	free(text);
	return n;
}

/* In the store once, and in its file, and one line of the log. */
static inline void
assert_kept(const struct answer *a)
{
	static struct issued	 i;
	uint8_t			 der[CERT_MAX];

	assert_true(issued_find(a->rep.serial.data, SERIAL_LEN, &i));
	assert_int_equal(i.len, a->rep.certificate.len);
	assert_memory_equal(i.der, a->rep.certificate.data, i.len);
	assert_int_equal(file_read(i.serial, der, sizeof(der)), i.len);
	assert_memory_equal(der, i.der, i.len);
	assert_int_equal(log_lines(i.serial), 1);
}

/* ---- each test ---- */

static inline void
start(void)
{
	assert_int_equal(store_open(dir_store), R_OK);
	audit_start();
	enrol_start();
	enrol_tick(mono);
	enrold_up();
	keyd_up();
	store_turn();
}

/* policyd ends, and is started again. */
static inline void
stop(void)
{
	chan_close(enrold_theirs);
	turns();
	chan_close(keyd_theirs);
	turns();
	if (enrold_ours != NULL)
		chan_close(enrold_ours);
	if (keyd_ours != NULL)
		chan_close(keyd_ours);
	enrol_end();
	store_close();
}

static inline void
ca_make(void)
{
	static const uint8_t	serial[SERIAL_LEN] = { 0x40, 1 };
	X509			*x;

	if (ca_key == NULL) {
		ca_key = EVP_EC_gen("P-256");
		other_key = EVP_EC_gen("P-256");
	}
	memset(&the_ca, 0, sizeof(the_ca));
	the_ca.slot = 3;
	the_ca.generation = 2;
	the_ca.state = CA_CURRENT;
	the_ca.up = true;
	the_ca.key = 9;
	the_ca.not_before = NOW - 100 * DAY;
	the_ca.not_after = NOW + 2000 * DAY;
	x = x509_begin(serial, the_ca.not_before, the_ca.not_after,
	    "Issuing CA 1", "Issuing CA 1", ca_key);
	the_ca.der_len = x509_end(x, ca_key, the_ca.der, sizeof(the_ca.der));
}

static inline int
e_setup(void **state)
{
	/* Hundreds of commits, whose durability is not what is tested. */
	if (access("/dev/shm", W_OK) == 0)
		dir_base = "/dev/shm";
	if (dir_make(state) == -1)
		return -1;
	clock_set(NOW);
	mono = 1000000;
	memset(counted, 0, sizeof(counted));
	ca_make();
	no_ca = keyd_holds = offended = false;
	keyd_refuses = R_OK;
	lie = TRUE;
	keyd_asked = crls = nasked = 0;
	start();
	return 0;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
	return remove(path);
}

static inline int
e_teardown(void **state)
{
	stop();
	return nftw(dir_path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#define T(f)	cmocka_unit_test_setup_teardown(f, e_setup, e_teardown)

#endif
