/*
 * TLS signatures a second through keyd's own dispatch in another process, 32
 * under way at once, beside what is below it: OpenSSL in this process (one
 * context, signing the digest), and ESYS over the same kind of descriptor to
 * a software TPM; certificates of devices and OCSP responses in the same way,
 * and CRLs of 100,000 entries. In turns, so that a drifting machine drifts for
 * all.
 *
 * For other benches: "--serve tls|spdm sealed|tpm|slow" is such a keyd on
 * descriptor 3, its key's public point goes to 4; "--bare tpm|slow" prints the
 * rate of ESYS. A slow TPM takes 20 ms for each command, as chips do.
 */
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "secret.h"
#include "../../keyd/keyd.h"
#include "../unit/keyd_dir.h"
#include "../unit/keyd_swtpm.h"

#define ROUNDS	7
#define FLIGHT	32
#define SLOW_MS	20
#define ENTRIES	100000		/* of a CRL */
#define ROW	25
#define NOW	1790000000ULL

/* ---- keyd in a process of its own ------------------------------------ */

struct way {
	const char	*name;
	double		 (*round)(struct way *);	/* per second */
	unsigned	 signatures;	/* a round */
	int		 below;		/* index of what it is compared with */
	double		 rate[ROUNDS];
	/* of keyd */
	struct chan	*chan;
	pid_t		 pid;
	struct swtpm	 sw;
	enum key_algorithm algorithm;
	enum ipc_role	 peer;		/* whom it serves */
	int		 tell;		/* where the key's point goes, or 0 */
	unsigned	 backend;	/* KEY_BACKEND_*; soft needs no TPM */
	enum ipc_type	 ask;		/* MSG_NONE: a TLS signature */
};

/* Between a software TPM and whoever uses it: each command takes SLOW_MS. */
static void
make_slow(struct swtpm *sw)
{
	uint8_t			buf[4096];
	size_t			n;
	int			sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == -1)
		err(1, "socketpair");
	switch (fork()) {
	case -1:
		err(1, "fork");
	case 0:
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(sv[0]);
		while ((n = swtpm_record(sv[1], buf, sizeof(buf))) > 0 &&
		    swtpm_full(sw->fd, buf, n, true) &&
		    (n = swtpm_record(sw->fd, buf, sizeof(buf))) > 0) {
			poll(NULL, 0, SLOW_MS);
			if (!swtpm_full(sv[1], buf, n, true))
				break;
		}
		_exit(0);
	}
	close(sv[1]);
	close(sw->fd);
	sw->fd = sv[0];
}

static struct msg_tls_sign_req	 request = { .key = 0, .scheme = 0x0403 };

/* Numbers of the keys that service_keys() makes. */
enum { ISSUING, OCSP };

static struct msg_device_cert_req device = { .issuer = ISSUING,
    .profile = "iot", .name = "24:0a:c4:12:34:56",
    .serial = { .len = 16, .data = { 1 } },
    .not_before = NOW, .not_after = NOW + 86400 };
static struct msg_ocsp_sign_req	 ocsp = { .key = OCSP,
    .name_hash = { .len = 20 }, .key_hash = { .len = 20 },
    .serial = { .len = 16, .data = { 1 } }, .status = CERT_UNKNOWN,
    .this_update = NOW, .next_update = NOW + 3600 };
static struct msg_crl_req	 crl = { .issuer = ISSUING, .number = 1,
    .this_update = NOW, .next_update = NOW + 86400, .count = ENTRIES };
static uint8_t			*rows;

static char	 name[] = "ACME", profile_name[] = "iot";
static char	 url[] = "http://ca.example.org:8080";
static struct conf_profile profile = { .name = profile_name,
    .keys = 1 << SUBJECT_P256, .validity = 86400, .usage = USAGE_CLIENT };
static struct conf	 conf = { .profiles = &profile,
    .ca = { .name = name, .url = url, .crl_every = 86400 } };

static void
service_requests(void)
{
	uint8_t	 scalar[SCALAR_MAX];
	uint32_t i;

	device.public.len = 65;
	if (local_make(curve_get(KEY_P256), scalar, device.public.data) == -1 ||
	    (rows = calloc(ENTRIES, ROW)) == NULL)
		errx(1, "requests");
	for (i = 0; i < ENTRIES; i++) {
		rows[i * ROW] = 0x5a;
		memcpy(rows + i * ROW + 1, &i, sizeof(i));
		memcpy(rows + i * ROW + 20, "\x6a\xb1\x00\x00\x01", 5);
	}
}

/* The memfd that a CRL is asked for with; keyd writes into it. */
static int
rows_fd(void)
{
	int	 fd = memfd_create("rows", MFD_ALLOW_SEALING);

	if (fd == -1 || write(fd, rows, ENTRIES * ROW) != ENTRIES * ROW)
		err(1, "memfd");
	return fd;
}

static void
service_keys(struct test_made *m)
{
	struct why	 w;

	key_make("issuing-1", KEY_ISSUING, KEY_P256, test_made_cb, m);
	key_make("ocsp-1", KEY_OCSP, KEY_P256, test_made_cb, m);
	if (authority_open(&conf, test_dir, &w) == -1)
		errx(1, "authority");
}

static void
closed(struct chan *c, enum reason why, unsigned type)
{
	_exit(0);
}

static const struct hub_peer *
peer_of(enum ipc_role role)
{
	size_t	 i;

	for (i = 0; i < keyd_npeers; i++)
		if (keyd_peers[i].role == role)
			return &keyd_peers[i];
	errx(1, "no such peer");
}

static bool
has_tpm(const struct way *w)
{
	return w->backend != KEY_BACKEND_SOFT;
}

static void
serve(struct chan *c, struct tpm *t)
{
	struct pollfd	 pfd[2];
	nfds_t		 n = t != NULL ? 2 : 1;

	for (;;) {
		pfd[0] = (struct pollfd){ chan_fd(c), POLLIN, 0 };
		if (chan_wants_output(c))
			pfd[0].events |= POLLOUT;
		if (t != NULL)
			pfd[1] = (struct pollfd){ tpm_fd(t), POLLIN, 0 };
		if (poll(pfd, n, -1) == -1)
			err(1, "poll");
		if (t != NULL && pfd[1].revents != 0)
			tpm_ready(t);
		if (pfd[0].revents & ~POLLOUT && chan_input(c) == -1)
			_exit(0);
		if (pfd[0].revents & POLLOUT && chan_output(c) == -1)
			_exit(0);
	}
}

static void
keyd_main(struct way *w, int fd)
{
	const struct hub_peer	*p = peer_of(w->peer);
	struct chan_conf	 cc = {
		.self = IPC_KEYD, .peer = w->peer, .closed = closed,
		.handlers = p->handlers, .nhandlers = p->nhandlers,
	};
	struct key_conf		 ring = { .dir = test_dir, .kek = test_kek };
	struct keyd_conf	 kc = { .backend = w->backend };
	struct test_made	 m = { .calls = 0 };
	struct chan		*c;
	struct why		 why;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	ring.backend = w->backend;
	if (has_tpm(w)) {
		if ((ring.tpm = tpm_new(w->sw.fd, TEST_PATIENCE)) == NULL ||
		    tpm_start(ring.tpm, test_dir, &why) != R_OK)
			errx(1, "software TPM");
		kc.tpm = ring.tpm;
	}
	if (w->backend == KEY_BACKEND_SEALED &&
	    ((ring.kek = secret_alloc(KEK_LEN)) == NULL ||
	    seal_open(ring.tpm, test_dir, false, ring.kek, &why) != R_OK))
		errx(1, "sealed key");
	keyd_serve(&kc);
	if (key_open(&ring, &why) == -1)
		errx(1, "keys");
	if (w->peer == IPC_POLICYD)
		service_keys(&m);
	else if (w->peer == IPC_ATTESTR)
		key_make("spdm", KEY_SPDM, w->algorithm, test_made_cb, &m);
	else
		key_make("tls", KEY_TLS, w->algorithm, test_made_cb, &m);
	if (w->backend == KEY_BACKEND_TPM &&
	    !swtpm_serve(ring.tpm, &m.calls))
		errx(1, "key");
	if (m.key == NULL || (c = chan_new(fd, &cc)) == NULL)
		errx(1, "key");
	if (w->tell != 0 && write(w->tell, key_point(m.key),
	    curve_get(w->algorithm)->point) == -1)
		err(1, "point");
	chan_set_phase(c, IPC_RUN);
	serve(c, ring.tpm);
}

static void
way_open(struct way *w)
{
	struct chan_conf	 cc = {
		.self = w->peer, .peer = IPC_KEYD, .closed = closed,
	};
	int			 sv[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv) == -1)
		err(1, "socketpair");
	if (test_dir_make(NULL) == -1 ||
	    (has_tpm(w) && swtpm_start(&w->sw) == -1))
		errx(1, "directory or software TPM");
	if ((w->pid = fork()) == 0) {
		close(sv[0]);
		keyd_main(w, sv[1]);
	}
	close(sv[1]);
	if (has_tpm(w)) {
		close(w->sw.fd);
		w->sw.fd = -1;
	}
	if ((w->chan = chan_new(sv[0], &cc)) == NULL)
		err(1, "channel");
	chan_set_phase(w->chan, IPC_RUN);
}

static unsigned	 done;

static void
signed_one(const struct ipc_reply *r, void *arg)
{
	if (r->reason != R_OK)
		errx(1, "refused: %s", reason_text(r->reason));
	done++;
}

static int
ask(struct way *w)
{
	switch (w->ask) {
	case MSG_DEVICE_CERT_REQ:
		return chan_call(w->chan, w->ask, &device, -1, 60000,
		    signed_one, NULL);
	case MSG_OCSP_SIGN_REQ:
		return chan_call(w->chan, w->ask, &ocsp, -1, 60000,
		    signed_one, NULL);
	case MSG_CRL_REQ:
		return chan_call(w->chan, w->ask, &crl, rows_fd(), 60000,
		    signed_one, NULL);
	default:
		return chan_call(w->chan, MSG_TLS_SIGN_REQ, &request, -1,
		    60000, signed_one, NULL);
	}
}

static double
round_keyd(struct way *w)
{
	struct pollfd	 pfd = { chan_fd(w->chan), POLLIN, 0 };
	unsigned	 sent = 0;
	double		 start = seconds();

	request.scheme = curve_get(w->algorithm)->tls_scheme;
	for (done = 0; done < w->signatures;) {
		while (sent < w->signatures && sent - done < FLIGHT) {
			if (ask(w) == -1)
				errx(1, "call");
			sent++;
		}
		pfd.events = POLLIN |
		    (chan_wants_output(w->chan) ? POLLOUT : 0);
		if (poll(&pfd, 1, -1) == -1)
			err(1, "poll");
		if (pfd.revents & POLLOUT)
			chan_output(w->chan);
		if (pfd.revents & ~POLLOUT)
			chan_input(w->chan);
	}
	return w->signatures / (seconds() - start);
}

/* ---- what is below it ------------------------------------------------ */

static double
round_openssl(struct way *w)
{
	static struct local	*keys[KEY_NCURVES];
	const struct curve	*c = curve_get(w->algorithm);
	uint8_t			 scalar[SCALAR_MAX], point[KEY_POINT_MAX];
	uint8_t			 digest[48], der[SIG_DER_MAX];
	size_t			 len;
	unsigned		 i;
	double			 start;

	if (keys[w->algorithm] == NULL) {
		if (local_make(c, scalar, point) == -1)
			errx(1, "key");
		keys[w->algorithm] = local_new(c, scalar, point);
	}
	start = seconds();
	for (i = 0; i < w->signatures; i++)
		if (curve_digest(c, request.content.data, request.content.len,
		    digest) == -1 || local_sign(keys[w->algorithm], digest,
		    c->hash, der, &len) == -1)
			errx(1, "sign");
	return w->signatures / (seconds() - start);
}

/* One loaded key, ESYS called directly. */
static struct {
	struct swtpm	 sw;
	TSS2_TCTI_CONTEXT *tcti;
	ESYS_CONTEXT	*esys;
	ESYS_TR		 key;
	bool		 slow;
} raw;

#define RAW(async, finish) do {						\
	struct pollfd	 pfd_ = { raw.sw.fd, POLLIN, 0 };		\
	TSS2_RC		 rc_ = (async);					\
									\
	if (rc_ != TSS2_RC_SUCCESS)					\
		errx(1, "ESYS: 0x%x", rc_);				\
	while ((rc_ = (finish)) != TSS2_RC_SUCCESS) {			\
		if ((rc_ & 0xffff) != TSS2_BASE_RC_TRY_AGAIN)		\
			errx(1, "ESYS: 0x%x", rc_);			\
		poll(&pfd_, 1, -1);					\
	}								\
} while (0)

static void
raw_open(void)
{
	const TPM2B_SENSITIVE_CREATE	 sensitive = { .size = 0 };
	const TPM2B_DATA		 outside = { .size = 0 };
	const TPML_PCR_SELECTION	 pcrs = { .count = 0 };
	TPM2B_PUBLIC			 in = { .size = 0 }, *public;
	TPMT_PUBLIC			*p = &in.publicArea;
	TPM2B_CREATION_DATA		*data;
	TPM2B_DIGEST			*hash;
	TPMT_TK_CREATION		*ticket;

	if (swtpm_start(&raw.sw) == -1)
		errx(1, "software TPM");
	if (raw.slow)
		make_slow(&raw.sw);
	if ((raw.tcti = tcti_new(raw.sw.fd)) == NULL ||
	    Esys_Initialize(&raw.esys, raw.tcti, NULL) != TSS2_RC_SUCCESS)
		errx(1, "software TPM");
	p->type = TPM2_ALG_ECC;
	p->nameAlg = TPM2_ALG_SHA256;
	p->objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
	    TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
	    TPMA_OBJECT_SIGN_ENCRYPT;
	p->parameters.eccDetail.symmetric.algorithm = TPM2_ALG_NULL;
	p->parameters.eccDetail.scheme.scheme = TPM2_ALG_ECDSA;
	p->parameters.eccDetail.scheme.details.ecdsa.hashAlg = TPM2_ALG_SHA256;
	p->parameters.eccDetail.curveID = TPM2_ECC_NIST_P256;
	p->parameters.eccDetail.kdf.scheme = TPM2_ALG_NULL;
	RAW(Esys_CreatePrimary_Async(raw.esys, ESYS_TR_RH_OWNER,
	    ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &sensitive, &in,
	    &outside, &pcrs), Esys_CreatePrimary_Finish(raw.esys, &raw.key,
	    &public, &data, &hash, &ticket));
	Esys_Free(public);
	Esys_Free(data);
	Esys_Free(hash);
	Esys_Free(ticket);
}

static double
round_esys(struct way *w)
{
	const TPMT_TK_HASHCHECK	 ticket = {
		.tag = TPM2_ST_HASHCHECK, .hierarchy = TPM2_RH_NULL,
	};
	const TPMT_SIG_SCHEME	 scheme = { .scheme = TPM2_ALG_NULL };
	TPM2B_DIGEST		 digest = { .size = 32 };
	TPMT_SIGNATURE		*sig;
	unsigned		 i;
	double			 start;

	if (raw.esys == NULL)
		raw_open();
	start = seconds();
	for (i = 0; i < w->signatures; i++) {
		RAW(Esys_Sign_Async(raw.esys, raw.key, ESYS_TR_PASSWORD,
		    ESYS_TR_NONE, ESYS_TR_NONE, &digest, &scheme, &ticket),
		    Esys_Sign_Finish(raw.esys, &sig));
		Esys_Free(sig);
	}
	return w->signatures / (seconds() - start);
}

/* ---- all of them, in turns ------------------------------------------- */

static struct way	 ways[] = {
	{ .name = "openssl_p256", .round = round_openssl, .signatures = 4000,
	    .peer = IPC_NETD, .algorithm = KEY_P256, .below = 0,
	    .backend = KEY_BACKEND_SOFT },
	{ .name = "keyd_soft_p256", .round = round_keyd, .signatures = 4000,
	    .peer = IPC_NETD, .algorithm = KEY_P256, .below = 0,
	    .backend = KEY_BACKEND_SOFT },
	{ .name = "openssl_p384", .round = round_openssl, .signatures = 200,
	    .peer = IPC_NETD, .algorithm = KEY_P384, .below = 2,
	    .backend = KEY_BACKEND_SOFT },
	{ .name = "keyd_soft_p384", .round = round_keyd, .signatures = 200,
	    .peer = IPC_NETD, .algorithm = KEY_P384, .below = 2,
	    .backend = KEY_BACKEND_SOFT },
	{ .name = "esys_p256", .round = round_esys, .signatures = 300,
	    .peer = IPC_NETD, .algorithm = KEY_P256, .below = 4,
	    .backend = KEY_BACKEND_SOFT },
	{ .name = "keyd_tpm_p256", .round = round_keyd, .signatures = 300,
	    .peer = IPC_NETD, .algorithm = KEY_P256, .below = 4,
	    .backend = KEY_BACKEND_TPM },
	{ .name = "keyd_sealed_p256", .round = round_keyd, .signatures = 4000,
	    .peer = IPC_NETD, .algorithm = KEY_P256, .below = 0,
	    .backend = KEY_BACKEND_SEALED },
	{ .name = "keyd_device_p256", .round = round_keyd, .signatures = 4000,
	    .peer = IPC_POLICYD, .algorithm = KEY_P256, .below = 0,
	    .backend = KEY_BACKEND_SOFT, .ask = MSG_DEVICE_CERT_REQ },
	{ .name = "keyd_ocsp_p256", .round = round_keyd, .signatures = 4000,
	    .peer = IPC_POLICYD, .algorithm = KEY_P256, .below = 0,
	    .backend = KEY_BACKEND_SOFT, .ask = MSG_OCSP_SIGN_REQ },
	{ .name = "keyd_crl_100k", .round = round_keyd, .signatures = 8,
	    .peer = IPC_POLICYD, .algorithm = KEY_P256, .below = 0,
	    .backend = KEY_BACKEND_SOFT, .ask = MSG_CRL_REQ },
};
#define NWAYS	(sizeof(ways) / sizeof(ways[0]))

static void
bare_only(const char *backend)
{
	struct way	w = { .signatures = 100 };

	if ((raw.slow = strcmp(backend, "slow") == 0))
		w.signatures = 25;
	raw_open();
	printf("%f\n", round_esys(&w));
	swtpm_stop(&raw.sw);
	swtpm_remove(&raw.sw);
}

/*
 * keyd itself is a child, which ends with its channel, so that somebody puts
 * away what it made.
 */
static void
serve_only(const char *purpose, const char *backend)
{
	struct way	w = { .algorithm = KEY_P256, .tell = 4 };

	w.peer = strcmp(purpose, "spdm") == 0 ? IPC_ATTESTR : IPC_NETD;
	w.backend = strcmp(backend, "sealed") == 0 ? KEY_BACKEND_SEALED :
	    KEY_BACKEND_TPM;
	if (test_dir_make(NULL) == -1 || swtpm_start(&w.sw) == -1)
		errx(1, "directory or software TPM");
	if (strcmp(backend, "slow") == 0)
		make_slow(&w.sw);
	if ((w.pid = fork()) == 0)
		keyd_main(&w, 3);
	close(3);
	close(4);
	waitpid(w.pid, NULL, 0);
	swtpm_stop(&w.sw);
	swtpm_remove(&w.sw);
	test_dir_empty(test_dir);
	rmdir(test_dir);
}

int
main(int argc, char **argv)
{
	double	 rate, ratios[ROUNDS];
	char	 dirs[NWAYS][64];
	size_t	 i;
	int	 r;

	signal(SIGPIPE, SIG_IGN);
	setenv("TSS2_LOG", "all+none", 1);
	if (argc == 4 && strcmp(argv[1], "--serve") == 0)
		serve_only(argv[2], argv[3]);
	else if (argc == 3 && strcmp(argv[1], "--bare") == 0)
		bare_only(argv[2]);
	if (argc > 1 && !bench_start(argc, argv))
		return 0;
	request.content.len = TLS13_CONTENT_MIN;
	memset(request.content.data, ' ', 64);
	memcpy(request.content.data + 64, "TLS 1.3, server CertificateVerify",
	    34);
	if (curve_init() == -1)
		errx(1, "OpenSSL");
	service_requests();
	for (i = 0; i < NWAYS; i++)
		if (ways[i].round == round_keyd) {
			way_open(&ways[i]);
			memcpy(dirs[i], test_dir, sizeof(dirs[i]));
		}
	for (r = 0; r < ROUNDS; r++)
		for (i = 0; i < NWAYS; i++)
			ways[i].rate[r] = ways[i].round(&ways[i]);
	/* From the last: what is below comes first, and is sorted last. */
	for (i = NWAYS; i-- > 0;) {
		for (r = 0; r < ROUNDS; r++)
			ratios[r] = ways[i].rate[r] /
			    ways[ways[i].below].rate[r];
		rate = median(ways[i].rate, ROUNDS);
		/* no signature is like a whole CRL */
		bench_line(ways[i].name, rate, "/s",
		    ways[i].ask == MSG_CRL_REQ ? BENCH_NONE :
		    median(ratios, ROUNDS));
		if (ways[i].round != round_keyd)
			continue;
		kill(ways[i].pid, SIGKILL);
		waitpid(ways[i].pid, NULL, 0);
		test_dir_empty(dirs[i]);
		rmdir(dirs[i]);
		if (has_tpm(&ways[i])) {
			swtpm_stop(&ways[i].sw);
			swtpm_remove(&ways[i].sw);
		}
	}
	swtpm_stop(&raw.sw);
	swtpm_remove(&raw.sw);
	return 0;
}
