/*
 * The authority of the certificate service with its neighbours: the keyd of
 * policyd_keyd.h, which also issues for it, signs CRLs and OCSP responses,
 * and lies; an enrold that remembers what it is told; a store of issued
 * certificates that says what a test wants.
 */
#ifndef POLICYD_AUTHORITY_H
#define POLICYD_AUTHORITY_H

#include <sys/mman.h>
#include <sys/stat.h>

#include <fcntl.h>
#include <openssl/pem.h>

#include "clock.h"
#include "policyd_dir.h"
#include "policyd_keyd.h"
#include "../../policyd/ca.h"

#define START	(clock_build_time() + 86400)
#define DAY	UINT64_C(86400)

static char		 ca_name[] = "ACME", host[] = "ca.example.org",
			 address[] = "192.0.2.1", iot[] = "iot";
static struct conf_name	 server2 = { .name = address };
static struct conf_name	 server = { .next = &server2, .name = host };
static struct conf_profile profile = { .name = iot, .keys = 1,
    .validity = 30 * 86400, .renew = 10 * 86400 };
static struct conf_listener doors[3] = {
	{ .next = &doors[1], .door = DOOR_TLS, .port = 1, .key = KEY_P256 },
	{ .next = &doors[2], .door = DOOR_MUTUAL, .port = 2,
	    .key = KEY_RSA2048 },
	{ .door = DOOR_STATUS, .port = 3 },
};
static struct conf	config = {
	.leaf_lifetime = 90 * 86400, .checkpoint = 600000,
	.ca = { .name = ca_name, .root_validity = 3650 * 86400,
	    .issuing_validity = 1825 * 86400, .crl_every = 86400,
	    .server = &server },
	.listeners = doors, .profiles = &profile,
};
const struct conf	*conf = &config;

/* ---- the rest of policyd, played ---- */

static uint64_t		mono;
static uint64_t		counts[R_COUNT];
static bool		clock_is_unset;

void
control_event(const struct audit_row *row)
{
}

bool
clockd_unset(void)
{
	return clock_is_unset;
}

uint64_t
hubd_count(enum reason r)
{
	return ++counts[r];
}

#define REVOKED_MAX	64
static struct {
	uint8_t		 serials[REVOKED_MAX][SERIAL_LEN];
	uint64_t	 times[REVOKED_MAX];
	enum crl_reason	 reasons[REVOKED_MAX];
	size_t		 n, more;	/* more: so many others */
	unsigned	 reads;
	unsigned	 generation;	/* that they are of; 0: any */
	bool		 none_valid;
	struct issued	 one;		/* for issued_status() */
	enum cert_status status;
} issued;

void
issued_revoked(unsigned generation, issued_fn fn, void *arg)
{
	uint8_t	serial[SERIAL_LEN] = { 0x42 };
	size_t	i;

	issued.reads++;
	if (issued.generation != 0 && issued.generation != generation)
		return;
	for (i = 0; i < issued.n; i++)
		fn(issued.serials[i], issued.times[i], issued.reasons[i], arg);
	for (i = 0; i < issued.more; i++) {
		serial[14] = (uint8_t)(i >> 8);
		serial[15] = (uint8_t)i;
		fn(serial, START, CRL_SUPERSEDED, arg);
	}
}

bool
issued_any_valid(unsigned generation, uint64_t now)
{
	return !issued.none_valid;
}

enum cert_status
issued_status(const uint8_t *serial, size_t len, uint64_t now,
    struct issued *i)
{
	if (len != SERIAL_LEN ||
	    memcmp(serial, issued.one.serial, SERIAL_LEN) != 0)
		return CERT_UNKNOWN;
	*i = issued.one;
	return issued.status;
}

static inline void
revoke_one(enum crl_reason reason)
{
	issued.serials[issued.n][0] = 0x41;
	issued.serials[issued.n][15] = (uint8_t)(issued.n + 1);
	issued.times[issued.n] = clock_trusted();
	issued.reasons[issued.n++] = reason;
}

/* ---- keyd: certificates ---- */

static inline const EVP_MD *
fake_md(EVP_PKEY *k)
{
	return EVP_PKEY_get_bits(k) > 256 ? EVP_sha384() : EVP_sha256();
}

static struct {
	unsigned	 calls, ocsps, flying, most;
	uint64_t	 numbers[FAKE_CERTS];	/* of CRLs, in their order */
	size_t		 entries[FAKE_CERTS];
	unsigned	 crls;
	int		 kept;		/* a hostile keyd holds on to the memfd */
	struct msg_ocsp_sign_req ocsp;
	unsigned	 profiles[CA_NPROFILES];
} service = { .kept = -1 };

static inline X509_NAME *
fake_name(uint32_t key)
{
	X509_NAME	*n = X509_NAME_new();
	const char	*label = fake.labels[key], *kind;
	char		 cn[64];

	kind = strncmp(label, "root", 4) == 0 ? "Root CA" :
	    strncmp(label, "issuing", 7) == 0 ? "Issuing CA" : "OCSP";
	if (strncmp(label, "enrol", 5) == 0)
		snprintf(cn, sizeof(cn), "%s", host);
	else
		snprintf(cn, sizeof(cn), "%s %s %s", ca_name, kind,
		    strchr(label, '-') + 1);
	if (strncmp(label, "enrol", 5) != 0)
		X509_NAME_add_entry_by_txt(n, "O", MBSTRING_UTF8,
		    (const unsigned char *)ca_name, -1, -1, 0);
	X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_UTF8,
	    (const unsigned char *)cn, -1, -1, 0);
	return n;
}

static inline void
fake_names(X509 *x)
{
	const struct conf_name	*n;
	char			 san[512] = "";
	size_t			 at = 0;

	for (n = conf->ca.server; n != NULL; n = n->next)
		at += (size_t)snprintf(san + at, sizeof(san) - at, "%s%s:%s",
		    at == 0 ? "" : ",", strspn(n->name, "0123456789.") ==
		    strlen(n->name) ? "IP" : "DNS", n->name);
	if (fake.lie == LIE_SAN_OTHER)
		san[4] ^= 1;
	if (fake.lie == LIE_SAN)
		snprintf(san + at, sizeof(san) - at, ",DNS:evil.example.org");
	fake_ext(x, NID_subject_alt_name, san);
}

static inline void
fake_extensions(X509 *x, uint32_t what)
{
	bool	ca = what == CA_ROOT || what == CA_ISSUING ||
		    what == CA_CROSS;
	int	pathlen = what == CA_ROOT ? 2 : what == CA_CROSS;
	char	basic[64];

	ca = ca || fake.lie == LIE_LEAF_IS_CA;
	if (fake.lie == LIE_PATHLEN || (what == CA_ISSUING &&
	    fake.lie == LIE_PATHLEN_ISSUING))
		pathlen = pathlen == 0;
	snprintf(basic, sizeof(basic), "critical,CA:TRUE,pathlen:%d", pathlen);
	fake_ext(x, NID_basic_constraints, ca ? basic : "critical,CA:FALSE");
	fake_ext(x, NID_key_usage, ca ? "critical,keyCertSign,cRLSign" :
	    "critical,digitalSignature");
	if (what == CA_OCSP || what == CA_ENROL)
		fake_ext(x, NID_ext_key_usage, (what == CA_OCSP) !=
		    (fake.lie == LIE_EKU) ? "OCSPSigning" : "serverAuth");
	if (what == CA_ENROL)
		fake_names(x);
}

static inline X509 *
fake_ca_x509(uint32_t over, uint32_t by, uint32_t what, const uint8_t *serial,
    uint64_t nb, uint64_t na)
{
	X509		*x = X509_new();
	X509_NAME	*n;
	BIGNUM		*b = BN_bin2bn(serial, 16, NULL);

	X509_set_version(x, 2);
	BN_to_ASN1_INTEGER(b, X509_get_serialNumber(x));
	BN_free(b);
	n = fake_name(over);
	X509_set_subject_name(x, n);
	X509_NAME_free(n);
	n = fake_name(fake.lie == LIE_ISSUER ? over : by);
	if (fake.lie == LIE_ISSUER)
		X509_NAME_add_entry_by_txt(n, "OU", MBSTRING_UTF8,
		    (const unsigned char *)"x", -1, -1, 0);
	X509_set_issuer_name(x, n);
	X509_NAME_free(n);
	x509_time_set(X509_getm_notBefore(x), nb);
	x509_time_set(X509_getm_notAfter(x), na);
	X509_set_pubkey(x, fake.keys[over]);
	fake_extensions(x, what);
	if (X509_sign(x, fake.keys[by], fake_md(fake.keys[by])) == 0)
		abort();
	return x;
}

static int
fake_ca_cert(struct chan *c, const struct ipc_call *call, const void *arg)
{
	struct msg_ca_cert_req	 req = *(const struct msg_ca_cert_req *)arg;
	struct msg_cert_rep	 m = { 0 };
	uint8_t			*p = m.certificate.data;
	static EVP_PKEY		*other;
	X509			*x;

	if (fake_begin(c, call) != 0)
		return 0;
	fake_wants_commit();
	memcpy(fake.serials[fake.ncerts], req.serial.data, 16);
	fake.profiles[fake.ncerts++] = req.profile;
	service.profiles[req.profile]++;
	if (fake.lie == LIE_SERIAL)
		req.serial.data[15] ^= 1;
	if (fake.lie == LIE_WINDOW)
		req.not_after += 86400;
	if (fake.lie == LIE_BEGIN)
		req.not_before--;
	if (other == NULL)
		other = EVP_EC_gen("P-256");
	x = fake_ca_x509(req.key, req.issuer, req.profile, req.serial.data,
	    req.not_before, req.not_after);
	if (fake.lie == LIE_KEY)
		X509_set_pubkey(x, other);
	if (fake.lie == LIE_KEY || fake.lie == LIE_SIGNATURE ||
	    (fake.lie == LIE_CROSS && req.profile == CA_CROSS))
		fake_sign_again(x, fake.lie != LIE_KEY ? other :
		    fake.keys[req.issuer]);
	m.certificate.len = (uint32_t)i2d_X509(x, &p);
	if (fake.lie == LIE_JUNK)
		m.certificate.data[1] ^= 0x40;
	X509_free(x);
	return fake_end(c, call, MSG_CERT_REP, &m);
}

/* ---- keyd: CRLs ---- */

static inline void
fake_crl_entry(X509_CRL *crl, const uint8_t *row)
{
	X509_REVOKED	*r = X509_REVOKED_new();
	BIGNUM		*b = BN_bin2bn(row, SERIAL_LEN, NULL);
	ASN1_INTEGER	*s = BN_to_ASN1_INTEGER(b, NULL);
	ASN1_ENUMERATED	*e = ASN1_ENUMERATED_new();
	ASN1_TIME	*t = ASN1_TIME_new();
	uint64_t	 when = 0;
	int		 i;

	for (i = 0; i < 8; i++)
		when = when << 8 | row[SERIAL_LEN + i];
	x509_time_set(t, when + (fake.lie == LIE_CRL_TIME));
	X509_REVOKED_set_serialNumber(r, s);
	X509_REVOKED_set_revocationDate(r, t);
	ASN1_ENUMERATED_set(e, row[24] + (fake.lie == LIE_CRL_REASON));
	if (row[24] != 0 || fake.lie == LIE_CRL_REASON)
		X509_REVOKED_add1_ext_i2d(r, NID_crl_reason, e, 0, 0);
	X509_CRL_add0_revoked(crl, r);
	ASN1_ENUMERATED_free(e);
	ASN1_TIME_free(t);
	ASN1_INTEGER_free(s);
	BN_free(b);
}

static inline X509_CRL *
fake_crl_make(const struct msg_crl_req *req, const uint8_t *rows, EVP_PKEY *key)
{
	static const uint8_t	 more[CRL_ROW] = { 0x47, 1 };
	X509_CRL		*crl = X509_CRL_new();
	X509_NAME		*n = fake_name(fake.lie == LIE_CRL_ISSUER ?
				    req->issuer + 1 : req->issuer);
	AUTHORITY_KEYID		*aki = AUTHORITY_KEYID_new();
	ASN1_TIME		*t = ASN1_TIME_new();
	ASN1_INTEGER		*num = ASN1_INTEGER_new();
	size_t			 i, count = req->count;

	X509_CRL_set_version(crl, 1);
	X509_CRL_set_issuer_name(crl, n);
	X509_NAME_free(n);
	x509_time_set(t, req->this_update - (fake.lie == LIE_CRL_THIS));
	X509_CRL_set1_lastUpdate(crl, t);
	x509_time_set(t, req->next_update + (fake.lie == LIE_CRL_UPDATE));
	X509_CRL_set1_nextUpdate(crl, t);
	ASN1_TIME_free(t);
	if (fake.lie == LIE_CRL_ENTRY && count > 0)
		count--;
	for (i = 0; i < count; i++)
		fake_crl_entry(crl, rows + i * CRL_ROW);
	if (fake.lie == LIE_CRL_MORE)
		fake_crl_entry(crl, more);
	ASN1_INTEGER_set_uint64(num, req->number -
	    (fake.lie == LIE_CRL_NUMBER));
	X509_CRL_add1_ext_i2d(crl, NID_authority_key_identifier, aki, 0, 0);
	AUTHORITY_KEYID_free(aki);
	X509_CRL_add1_ext_i2d(crl, NID_crl_number, num, 0, 0);
	ASN1_INTEGER_free(num);
	if (X509_CRL_sign(crl, key, fake_md(key)) == 0)
		abort();
	return crl;
}

static int
fake_crl(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_crl_req *req = arg;
	struct msg_crl_rep	 m = { 0 };
	static EVP_PKEY		*other;
	uint8_t			*rows = NULL, *der = NULL;
	X509_CRL		*crl;
	int			 n;

	if (fake_begin(c, call) != 0) {
		close(call->fd);
		return 0;
	}
	fake_wants_commit();
	if (other == NULL)
		other = EVP_EC_gen("P-256");
	service.numbers[service.crls] = req->number;
	service.entries[service.crls++] = req->count;
	rows = malloc(req->count * (size_t)CRL_ROW + 1);
	assert_int_equal(pread(call->fd, rows, req->count * (size_t)CRL_ROW,
	    0), req->count * CRL_ROW);
	crl = fake_crl_make(req, rows, fake.lie == LIE_CRL_SIGNATURE ? other :
	    fake.keys[req->issuer]);
	free(rows);
	n = i2d_X509_CRL(crl, &der);
	X509_CRL_free(crl);
	if (fake.lie == LIE_CRL_JUNK)
		der[1] ^= 0x40;
	assert_int_equal(pwrite(call->fd, der, (size_t)n, 0), n);
	OPENSSL_free(der);
	m.length = fake.lie == LIE_CRL_LENGTH ? 268435456 : (uint32_t)n;
	if (fake.lie == LIE_CRL_SHORT)
		assert_int_equal(ftruncate(call->fd, n - 1), 0);
	if (service.kept != -1)
		close(service.kept);
	service.kept = call->fd;
	return fake_end(c, call, MSG_CRL_REP, &m);
}

static int
fake_ocsp(struct chan *c, const struct ipc_call *call, const void *arg)
{
	struct msg_ocsp_sign_rep	m = { 0 };

	if (fake_begin(c, call) != 0)
		return 0;
	service.ocsp = *(const struct msg_ocsp_sign_req *)arg;
	service.ocsps++;
	IPC_SET_BLOB(m.data, "data", 4);
	IPC_SET_BLOB(m.signature, "signature", 9);
	return fake_end(c, call, MSG_OCSP_SIGN_REP, &m);
}

static const struct ipc_handler service_handlers[] = {
	{ MSG_KEYD_STATUS_REQ,	fake_status },
	{ MSG_KEY_MAKE_REQ,	fake_make },
	{ MSG_CERT_REQ,		fake_cert },
	{ MSG_CSR_REQ,		fake_csr },
	{ MSG_CHECKPOINT_REQ,	fake_checkpoint },
	{ MSG_COUNTER_REQ,	fake_counter },
	{ MSG_CA_CERT_REQ,	fake_ca_cert },
	{ MSG_CRL_REQ,		fake_crl },
	{ MSG_OCSP_SIGN_REQ,	fake_ocsp },
};

/* ---- enrold ---- */

static struct {
	struct chan	*chan;		/* its end */
	unsigned	 listeners, cas, makers, profiles, crls;
	struct msg_enrol_listener listener[ENROL_LISTENERS];
	struct msg_enrol_ca	 ca[ENROL_CAS];
	struct msg_enrol_profile profile;
	struct {
		size_t		 len;
		uint8_t		 der[1 << 20];
		int		 seals;
	} crl[ENROL_CAS];
	unsigned	 answers, refusals;
	enum reason	 reason;
	struct msg_ocsp_rep ocsp;
} enrold;

static int
on_listener(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_enrol_listener	*m = arg;

	enrold.listener[m->listener] = *m;
	enrold.listeners++;
	return 0;
}

static int
on_ca(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_enrol_ca	*m = arg;

	fake_wants_commit();	/* nobody is told what may be lost */
	enrold.ca[m->ca] = *m;
	enrold.cas++;
	return 0;
}

static int
on_maker(struct chan *c, const struct ipc_call *call, const void *arg)
{
	enrold.makers++;
	return 0;
}

static int
on_profile(struct chan *c, const struct ipc_call *call, const void *arg)
{
	enrold.profile = *(const struct msg_enrol_profile *)arg;
	enrold.profiles++;
	return 0;
}

static int
on_crl(struct chan *c, const struct ipc_call *call, const void *arg)
{
	const struct msg_enrol_crl	*m = arg;
	ssize_t				 n;

	assert_true(enrold.ca[m->ca].issuing.len > 0);	/* it knows whose */
	n = pread(call->fd, enrold.crl[m->ca].der,
	    sizeof(enrold.crl[m->ca].der), 0);
	assert_int_equal(n, m->length);
	enrold.crl[m->ca].len = (size_t)n;
	enrold.crl[m->ca].seals = fcntl(call->fd, F_GET_SEALS);
	enrold.crls++;
	close(call->fd);
	return 0;
}

static const struct ipc_handler enrold_handlers[] = {
	{ MSG_ENROL_LISTENER,	on_listener },
	{ MSG_ENROL_CA,		on_ca },
	{ MSG_ENROL_MAKER,	on_maker },
	{ MSG_ENROL_PROFILE,	on_profile },
	{ MSG_ENROL_CRL,	on_crl },
};
static const struct ipc_handler of_enrold[] = {
	{ MSG_OCSP_REQ,		enrold_ocsp },
};

static void
enrold_closed(struct chan *c, enum reason offence, unsigned type)
{
	if (c == enrold.chan)
		enrold.chan = NULL;
	if (c == link_other[IPC_ENROLD])
		link_other[IPC_ENROLD] = NULL;
}

static inline void
enrold_start(void)
{
	struct chan_conf	ec = { .self = IPC_ENROLD,
	    .peer = IPC_POLICYD, .handlers = enrold_handlers, .nhandlers = 5,
	    .closed = enrold_closed };
	struct chan_conf	pc = { .self = IPC_POLICYD,
	    .peer = IPC_ENROLD, .handlers = of_enrold, .nhandlers = 1,
	    .closed = enrold_closed };
	int			fds[2];

	memset(&enrold, 0, sizeof(enrold));
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == -1)
		abort();
	enrold.chan = chan_new(fds[0], &ec);
	link_other[IPC_ENROLD] = chan_new(fds[1], &pc);
	chan_set_phase(enrold.chan, IPC_RUN);
	chan_set_phase(link_other[IPC_ENROLD], IPC_RUN);
	ca_up(IPC_ENROLD);
	crl_up(IPC_ENROLD);
}

/* Turns of the loop until nothing moves, at all three. */
static inline void
pump(void)
{
	bool	moved;

	do {
		fake_pump();
		moved = fake_pump_end(enrold.chan);
		moved = fake_pump_end(link_other[IPC_ENROLD]) || moved;
		moved = store_dirty() || moved;
	} while (moved);
}

/* ---- life ---- */

static void
keyd_down(void)
{
	ca_down(IPC_KEYD);
}

static inline void
keyd_up(void)
{
	fake_start();
	ca_up(IPC_KEYD);
	crl_up(IPC_KEYD);
	pump();
}

/* A kill is not a power cut: nothing waits for the disk here. */
static inline enum reason
open_store(void)
{
	enum reason	r = store_open(dir_store);

	if (r == R_OK && sqlite3_exec(store_db(), "PRAGMA synchronous = OFF",
	    NULL, NULL, NULL) != SQLITE_OK)
		abort();
	return r;
}

static inline void
policyd_up(void)
{
	assert_int_equal(open_store(), R_OK);
	audit_start();
	ca_start();
	crl_start();
	ca_tick(mono);
	crl_tick(mono);
}

static inline void
later(uint64_t ms)
{
	mono += ms;
	ca_tick(mono);
	crl_tick(mono);
	pump();
}

static inline void
later_days(uint64_t days)
{
	clock_set(clock_trusted() + days * DAY);
	later(61000);
	later(61000);
}

static unsigned		made;
static struct why	made_why;

static void
on_made(const struct why *why, void *arg)
{
	made++;
	made_why = *why;
}

static inline enum reason
init(bool offline)
{
	struct why	why;

	return ca_init(offline, "test", on_made, NULL, &why);
}

/* Without conf, which is set between. */
static inline int
authority_setup(void **state)
{
	memset(&fake, 0, sizeof(fake));
	memset(&service, 0, sizeof(service));
	memset(&issued, 0, sizeof(issued));
	memset(counts, 0, sizeof(counts));
	service.kept = -1;
	fake_table = service_handlers;
	fake_ntable = sizeof(service_handlers) / sizeof(service_handlers[0]);
	fake_down = keyd_down;
	fake.no_rsa = true;		/* its keys take long to make */
	mono = 1000000;
	made = 0;
	clock_is_unset = false;
	config.ca.server = &server;
	config.ca.curve = CURVE_P256;
	config.ca.issuing_validity = 1825 * DAY;
	config.ca.root_validity = 3650 * DAY;
	config.listeners = doors;
	profile.validity = 30 * DAY;
	clock_set(START);
	if (dir_make(state) == -1)
		return -1;
	policyd_up();
	return 0;
}

static inline int
authority_teardown(void **state)
{
	char	path[160];
	int	i;

	fake_stop();
	fake_forget();
	chan_close(enrold.chan);
	chan_close(link_other[IPC_ENROLD]);
	if (service.kept != -1)
		close(service.kept);
	store_close();
	for (i = 1; i < 32; i++) {
		snprintf(path, sizeof(path), "%s/crl/issuing-%d.crl", dir_path,
		    i);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/crl/new", dir_path);
	unlink(path);
	snprintf(path, sizeof(path), "%s/crl", dir_path);
	chmod(path, 0700);
	rmdir(path);
	return dir_remove(state);
}

#define T(f)								\
	cmocka_unit_test_setup_teardown(f, authority_setup, authority_teardown)

#endif
