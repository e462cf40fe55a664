/*
 * What policyd needs to issue certificates for devices: 50 requests under
 * way over real channels, each with a ticket, durable, audited, in its file
 * and in the log, with a keyd in the same process that signs and does nothing
 * else; with 1,000 certificates in the store, and with 100,000 (ROWS=n).
 * Beside it, what the signature of keyd and its verification take alone.
 */
#include <sys/socket.h>
#include <sys/stat.h>

#include <ftw.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "bench.h"
#include "clock.h"
#include "x509time.h"
#include "../../policyd/enrol.h"

#define NOW	UINT64_C(2000000000)
#define FLIGHT	50
#define ROUND	1000		/* certificates */
#define ROUNDS	5

static struct conf_profile profile = { NULL, (char []){ "iot" }, 1,
    30 * 86400, 10 * 86400, 1, NAME_MAC, NULL, false, false, false, 0 };
static struct conf	config = { .profiles = &profile };
const struct conf	*conf = &config;
static struct ca	the_ca;
static EVP_PKEY		*ca_key, *subject;
static EVP_MD_CTX	*ctx;
static struct chan	*ours[2], *theirs[2];	/* keyd, enrold */
static char		 dir[64], path[96];
static unsigned		 answered, numbered;

/* ---- the rest of policyd ---- */

const struct ca *
ca_current(struct why *why)
{
	return &the_ca;
}

const struct ca *
ca_bygeneration(unsigned g)
{
	return &the_ca;
}

void
crl_changed(unsigned g, store_fn fn, void *arg)
{
}

const struct root *
settings_roots(void)
{
	return NULL;
}

uint64_t
hubd_count(enum reason r)
{
	return 2;
}

void
control_event(const struct audit_row *row)
{
}

struct chan *
hubd_link(enum ipc_role r)
{
	return r == IPC_KEYD ? ours[0] : ours[1];
}

/* ---- keyd: a certificate whose parts are put into place ---- */

static uint8_t	model[CERT_MAX];
static size_t	model_len, at_serial, at_name, at_uri, at_point, at_nb, at_na;

static size_t
find(const void *what, size_t n, size_t nth)
{
	size_t	i;

	for (i = 0; i + n <= model_len; i++)
		if (memcmp(model + i, what, n) == 0 && nth-- == 0)
			return i;
	errx(1, "the model lacks something");
}

static X509 *
x509_new(const char *cn, uint64_t nb, uint64_t na, EVP_PKEY *key, bool leaf)
{
	static const uint8_t	 serial[SERIAL_LEN] = "Aaaaaaaaaaaaaaaa";
	X509			*x = X509_new();
	BIGNUM			*b = BN_bin2bn(serial, SERIAL_LEN, NULL);
	X509_NAME		*n = X509_NAME_new();
	X509_EXTENSION		*e;
	ASN1_TIME		*t = ASN1_TIME_new();

	X509_set_version(x, 2);
	BN_to_ASN1_INTEGER(b, X509_get_serialNumber(x));
	X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_UTF8,
	    (const unsigned char *)"Issuing CA 1", -1, -1, 0);
	X509_set_issuer_name(x, n);
	X509_NAME_free(n);
	n = X509_NAME_new();
	X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_UTF8,
	    (const unsigned char *)cn, -1, -1, 0);
	X509_set_subject_name(x, n);
	X509_NAME_free(n);
	x509_time_set(t, nb);
	X509_set1_notBefore(x, t);
	x509_time_set(t, na);
	X509_set1_notAfter(x, t);
	ASN1_TIME_free(t);
	BN_free(b);
	X509_set_pubkey(x, key);
	if (leaf) {
		e = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name,
		    "URI:urn:provd:device:020000000000");
		X509_add_ext(x, e, -1);
		X509_EXTENSION_free(e);
		e = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints,
		    "critical,CA:FALSE");
		X509_add_ext(x, e, -1);
		X509_EXTENSION_free(e);
	}
	if (X509_sign(x, ca_key, EVP_sha256()) == 0)
		errx(1, "X509_sign");
	return x;
}

static size_t
point_of(EVP_PKEY *k, uint8_t *out, size_t size)
{
	size_t	n = 0;

	if (EVP_PKEY_get_octet_string_param(k, "pub", out, size, &n) != 1)
		errx(1, "a point");
	return n;
}

static void
model_make(void)
{
	uint8_t	*p = model, point[65];
	X509	*x;

	ca_key = EVP_EC_gen("P-256");
	subject = EVP_EC_gen("P-256");
	ctx = EVP_MD_CTX_new();
	x = x509_new("Issuing CA 1", NOW - 1000, NOW + 9000 * 86400ull,
	    ca_key, false);
	the_ca.generation = 1;
	the_ca.not_before = NOW - 1000;
	the_ca.not_after = NOW + 9000 * 86400ull;
	p = the_ca.der;
	the_ca.der_len = (size_t)i2d_X509(x, &p);
	X509_free(x);
	x = x509_new("02:00:00:00:00:00", 2100000000, 2100000001, subject,
	    true);
	p = model;
	model_len = (size_t)i2d_X509(x, &p);
	X509_free(x);
	at_serial = find("Aaaaaaaaaaaaaaaa", SERIAL_LEN, 0);
	at_name = find("02:00:00:00:00:00", 17, 0);
	at_uri = find("020000000000", 12, 0);
	at_nb = find("360718132000Z", 13, 0);
	at_na = find("360718132001Z", 13, 0);
	(void)point_of(subject, point, sizeof(point));
	at_point = find(point, sizeof(point), 0);
}

static void
time_put(uint8_t *p, uint64_t t)
{
	char		text[16];
	time_t		when = (time_t)t;
	struct tm	tm;

	gmtime_r(&when, &tm);
	strftime(text, sizeof(text), "%y%m%d%H%M%SZ", &tm);
	memcpy(p, text, 13);
}

static size_t
sign(const uint8_t *p, size_t n, uint8_t *sig)
{
	size_t	len = 80;

	if (EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, ca_key) != 1 ||
	    EVP_DigestSign(ctx, sig, &len, p, n) != 1)
		errx(1, "sign");
	return len;
}

static int
keyd_cert(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_device_cert_req	*m = arg;
	static struct msg_cert_rep		 rep;
	uint8_t					*d = rep.certificate.data;
	size_t					 tbs, n, siglen, i, k;

	memcpy(d, model, model_len);
	memcpy(d + at_serial, m->serial.data, SERIAL_LEN);
	memcpy(d + at_name, m->name, 17);
	for (i = k = 0; i < 17; i++)
		if (m->name[i] != ':')
			d[at_uri + k++] = (uint8_t)m->name[i];
	memcpy(d + at_point, m->public.data, 65);
	time_put(d + at_nb, m->not_before);
	time_put(d + at_na, m->not_after);
	tbs = 4 + (size_t)(d[6] << 8 | d[7]);
	siglen = sign(d + 4, tbs, d + 4 + tbs + 12 + 3);
	d[4 + tbs + 12] = 3;
	d[4 + tbs + 13] = (uint8_t)(siglen + 1);
	d[4 + tbs + 14] = 0;
	n = tbs + 12 + 3 + siglen;
	d[2] = (uint8_t)(n >> 8);
	d[3] = (uint8_t)n;
	rep.certificate.len = (uint32_t)(4 + n);
	return chan_reply(c, call, MSG_CERT_REP, &rep);
}

/* ---- channels ---- */

static void
closed(struct chan *c, enum reason offence, unsigned type)
{
	errx(1, "a channel was closed: %s", reason_text(offence));
}

static void
link_up(unsigned i, enum ipc_role role, const struct ipc_handler *h, size_t n,
    const struct ipc_handler *th, size_t tn)
{
	struct chan_conf	 cc = { .self = IPC_POLICYD, .peer = role,
	    .generation = 1, .handlers = h, .nhandlers = n,
	    .closed = closed };
	int			 fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == -1)
		err(1, "socketpair");
	ours[i] = chan_new(fds[0], &cc);
	cc.self = role;
	cc.peer = IPC_POLICYD;
	cc.handlers = th;
	cc.nhandlers = tn;
	theirs[i] = chan_new(fds[1], &cc);
	chan_set_phase(ours[i], IPC_RUN);
	chan_set_phase(theirs[i], IPC_RUN);
}

static void
turn(void)
{
	unsigned	i;

	for (i = 0; i < 2; i++) {
		chan_output(ours[i]);
		chan_input(theirs[i]);
		chan_output(theirs[i]);
		chan_input(ours[i]);
	}
	store_turn();
}

/* ---- enrold ---- */

static void
got(const struct ipc_reply *r, void *arg)
{
	const struct msg_enrol_rep	*m = r->msg;
	struct msg_enrol_taken		 t;

	if (r->type != MSG_ENROL_REP)
		errx(1, "%s %s", reason_code(r->reason),
		    r->refused == NULL ? "" : r->refused->field);
	answered++;
	IPC_SET_BLOB(t.serial, m->serial.data, SERIAL_LEN);
	(void)chan_send(theirs[1], MSG_ENROL_TAKEN, &t, -1);
}

static void
ask(const uint8_t *ticket, const char *name)
{
	static struct msg_enrol_req	m;
	static unsigned			n;

	memset(&m, 0, sizeof(m));
	m.request.len = HASH_LEN;
	n++;
	memcpy(m.request.data, &n, sizeof(n));
	IPC_SET_STR(m.name, name);
	IPC_SET_STR(m.address, "192.0.2.9");
	/* Not one of the curve, which is for enrold and keyd to see. */
	m.public.len = 65;
	m.public.data[0] = 4;
	RAND_bytes(m.public.data + 1, 64);
	IPC_SET_BLOB(m.ticket, ticket, TICKET_LEN);
	if (chan_call(theirs[1], MSG_ENROL_REQ, &m, -1, 600000, got,
	    NULL) == -1)
		errx(1, "ask");
}

static uint8_t	tickets[ROUND][TICKET_LEN];
static char	names[ROUND][20];

static void
list(void)
{
	struct device	d;
	struct why	why;
	unsigned	i, n;

	for (i = 0; i < ROUND; i++) {
		n = numbered++ * 2654435761u;	/* in no order */
		snprintf(names[i], sizeof(names[i]),
		    "02:00:%02x:%02x:%02x:%02x", n >> 24, n >> 16 & 255,
		    n >> 8 & 255, n & 255);
		if (device_add(names[i], &profile, &why) != R_OK ||
		    !device_find(names[i], &d) || device_ticket(d.id, NOW +
		    86400000, tickets[i]) != R_OK)
			errx(1, "list");
		if (i % 100 == 0)
			store_turn();
	}
	store_turn();
}

/* Certificates a second, and the processor's share of it. */
static double
issue(double *cpu)
{
	double		start, used;
	unsigned	i = 0;

	list();
	answered = 0;
	start = seconds();
	used = cpu_seconds(getpid());
	while (answered < ROUND) {
		for (; i < ROUND && i - answered < FLIGHT; i++)
			ask(tickets[i], names[i]);
		turn();
	}
	start = seconds() - start;
	*cpu = (cpu_seconds(getpid()) - used) / ROUND;
	enrol_tick(clock_mono_ms());
	store_turn();
	return ROUND / start;
}

static void
fill(int64_t rows)
{
	static uint8_t	der[700];
	struct issued	i;
	struct intent	in;
	int64_t		n;

	memset(&i, 0, sizeof(i));
	for (n = issued_last(); n < rows; n++) {
		serial_draw(i.serial);
		RAND_bytes(i.key, HASH_LEN);
		RAND_bytes((uint8_t *)&in, sizeof(in));
		snprintf(i.name, sizeof(i.name), "03:%02x:%02x:%02x:%02x:%02x",
		    i.key[0], i.key[1], i.key[2], i.key[3], i.key[4]);
		snprintf(i.profile, sizeof(i.profile), "iot");
		i.generation = 1;
		i.not_after = NOW + 86400 + (uint64_t)n;
		if (issued_intent(&i, &in) != R_OK ||
		    issued_fill(i.id, der, sizeof(der)) != R_OK ||
		    issued_taken(i.serial) != R_OK)
			errx(1, "fill");
		if (n % 5000 == 0)
			store_turn();
	}
	store_turn();
}

/* What remains if keyd's signature and ours over it were all. */
static double
bare(void)
{
	uint8_t		sig[80], tbs[600] = { 0 };
	double		start = seconds();
	size_t		n;
	unsigned	i;

	for (i = 0; i < ROUND; i++) {
		n = sign(tbs, sizeof(tbs), sig);
		if (EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL,
		    ca_key) != 1 || EVP_DigestVerify(ctx, sig, n, tbs,
		    sizeof(tbs)) != 1)
			errx(1, "verify");
	}
	return ROUND / (seconds() - start);
}

static void
measure(const char *name, int64_t rows)
{
	double		rate[ROUNDS], cpu[ROUNDS], alone[ROUNDS];
	char		text[64];
	unsigned	i;

	fill(rows);
	for (i = 0; i < ROUNDS; i++) {
		alone[i] = bare();
		rate[i] = issue(&cpu[i]);
	}
	snprintf(text, sizeof(text), "%s_%lld", name, (long long)rows);
	bench_line(text, median(rate, ROUNDS), "certs/s",
	    median(rate, ROUNDS) / median(alone, ROUNDS));
	snprintf(text, sizeof(text), "%s_cpu_%lld", name, (long long)rows);
	bench_line(text, median(cpu, ROUNDS) * 1e6, "us", BENCH_NONE);
}

static int
remove_one(const char *p, const struct stat *st, int type, struct FTW *f)
{
	return remove(p);
}

int
main(int argc, char **argv)
{
	static const struct ipc_handler	at_keyd[] = {
		{ MSG_DEVICE_CERT_REQ, keyd_cert } };
	static const struct ipc_handler	at_policyd[] = {
		{ MSG_ENROL_REQ, enrold_enrol },
		{ MSG_ENROL_TAKEN, enrold_taken } };
	const char	*rows = getenv("ROWS");

	bench_start(argc, argv);
	snprintf(dir, sizeof(dir), "%s/provd-bench.XXXXXX",
	    getenv("BENCH_DIR") != NULL ? getenv("BENCH_DIR") : "/tmp");
	if (mkdtemp(dir) == NULL)
		err(1, "%s", dir);
	snprintf(path, sizeof(path), "%s/store.db", dir);
	clock_set(NOW);
	model_make();
	if (store_open(path) != R_OK)
		errx(1, "%s", path);
	audit_start();
	enrol_start();
	link_up(0, IPC_KEYD, NULL, 0, at_keyd, 1);
	link_up(1, IPC_ENROLD, at_policyd, 2, NULL, 0);
	measure("issue", 1000);
	measure("issue", rows != NULL ? atoll(rows) : 100000);
	store_close();
	return nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0 ? 0 : 1;
}
