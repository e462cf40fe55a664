/*
 * keyd keeps the private keys and uses them for others.
 *
 * Holds:    the TPM and the key directory; one-time codes, in memory;
 *           channels to policyd, netd, enrold, attestd.
 * Does:     certificates, CRLs and OCSP responses for policyd; TLS signatures
 *           for netd and enrold, each with keys of its own; SPDM
 *           signatures for attestd, -R as responder, -Q to finish a session;
 *           the secrets of one SPDM session from a code, once each way.
 * Refuses:  to send a private key or a code, to sign what it cannot name, to
 *           use a network, or to start a program.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include <openssl/crypto.h>

#include "clock.h"
#include "keyd.h"
#include "log.h"
#include "secret.h"

#define PATIENCE	5000	/* ms that the TPM may take for a command */
#define SECURE_HEAP	131072	/* bytes: 64 keys and their signatures */
#define LINGER		100	/* ms for the last answers to go out */
#define ENROL_RSA	"enrol-rsa2048"	/* label, as policyd asks for it */

static uv_loop_t	loop;
static uv_poll_t	tpm_poll;
static uv_timer_t	tpm_timer;
static uv_timer_t	linger;
static uv_timer_t	code_timer;
static struct tpm	*tpm;
static uint8_t		*kek;
static bool		 failed;	/* the exit status */

/* ---- the end --------------------------------------------------------- */

static void
stop_all(void)
{
	hub_stop();
	uv_stop(&loop);
}

static void
stop_signal(void)
{
	log_info("ending");
	stop_all();
}

static void
stop_linger(uv_timer_t *h)
{
	stop_all();
}

/*
 * The TPM cannot be opened again from in here. Whoever asked has been told;
 * the service manager starts a new keyd, which finds the TPM or says why not.
 */
static void
tpm_gone(void *arg)
{
	enum reason	 r = tpm_state(tpm);

	log_about(LOG_LVL_WARN, reason_code(r), NULL, "tpm: %s: %s %s",
	    reason_code(r), reason_text(r),
	    reason_remedy(r));
	failed = true;
	uv_poll_stop(&tpm_poll);
	uv_timer_start(&linger, stop_linger, LINGER, 0);
}

/* ---- the TPM on the loop --------------------------------------------- */

static void
tpm_event(uv_poll_t *h, int status, int events)
{
	tpm_ready(tpm);
}

static void
tpm_late(uv_timer_t *h)
{
	tpm_tick(tpm, clock_mono_ms());
}

/* Before the loop sleeps: what handlers queued sets events and deadline. */
static void
tpm_watch(uv_prepare_t *h)
{
	static int	 events;
	int64_t		 ms;
	int		 want;

	if (failed)
		return;
	want = UV_READABLE | UV_DISCONNECT |
	    (tpm_wants_output(tpm) ? UV_WRITABLE : 0);
	if (want != events) {
		uv_poll_start(&tpm_poll, want, tpm_event);
		events = want;
	}
	if ((ms = tpm_timeout(tpm, clock_mono_ms())) == -1)
		uv_timer_stop(&tpm_timer);
	else
		uv_timer_start(&tpm_timer, tpm_late, (uint64_t)ms, 0);
}

static void
tpm_loop(void)
{
	static uv_prepare_t	 prepare;
	int			 err;

	if (tpm == NULL)
		return;
	if ((err = uv_poll_init(&loop, &tpm_poll, tpm_fd(tpm))) != 0)
		fatalx("tpm: poll: %s", uv_strerror(err));
	uv_timer_init(&loop, &tpm_timer);
	uv_prepare_init(&loop, &prepare);
	uv_prepare_start(&prepare, tpm_watch);
	tpm_on_lost(tpm, tpm_gone, NULL);
}

/* ---- codes ----------------------------------------------------------- */

static void
codes_wipe(uv_timer_t *h)
{
	code_tick(clock_mono_ms());
}

/* Before the loop sleeps: a code does not outlive its time in memory. */
static void
codes_watch(uv_prepare_t *h)
{
	int64_t	 ms = code_tick(clock_mono_ms());

	if (ms == -1)
		uv_timer_stop(&code_timer);
	else
		uv_timer_start(&code_timer, codes_wipe, (uint64_t)ms, 0);
}

static void
codes_loop(void)
{
	static uv_prepare_t	 prepare;

	uv_timer_init(&loop, &code_timer);
	uv_prepare_init(&loop, &prepare);
	uv_prepare_start(&prepare, codes_watch);
}

/* ---- start ----------------------------------------------------------- */

static void
fatal_why(const char *what, const struct why *w)
{
	fatalx("%s: %s %s", what, why_text(w), reason_remedy(w->reason));
}

/*
 * Everything that libraries would open or load later: OpenSSL without its
 * configuration file, its secure heap, no log file of the TPM libraries.
 */
static void
warm_up(void)
{
	if (setenv("TSS2_LOG", "all+none", 1) == -1)
		fatal("setenv");
	if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG |
	    OPENSSL_INIT_ADD_ALL_CIPHERS | OPENSSL_INIT_ADD_ALL_DIGESTS,
	    NULL) != 1 || curve_init() == -1)
		fatalx("OpenSSL cannot be used");
	/* 2: not locked, or not left out of dumps */
	if (CRYPTO_secure_malloc_init(SECURE_HEAP, 32) != 1)
		fatalx("memory for private keys cannot be locked: raise the "
		    "limit of locked memory (ulimit -l) to 256 kB");
	if ((kek = secret_alloc(KEK_LEN)) == NULL || code_open() == -1)
		fatal("memory for private keys cannot be locked");
}

static void
open_tpm(const struct conf *conf)
{
	int	 fd;

	if (conf->backend == BACKEND_SOFT) {
		log_warnx("backend soft: the keys are files; use a TPM");
		return;
	}
	if ((fd = tpm_connect(conf->tpm)) == -1)
		fatalx("%s: %s: %s: %s %s", conf->tpm, strerror(errno),
		    reason_code(R_TPM_ABSENT), reason_text(R_TPM_ABSENT),
		    reason_remedy(R_TPM_ABSENT));
	if ((tpm = tpm_new(fd, PATIENCE)) == NULL)
		fatalx("tpm: out of memory");
}

/*
 * May keyd serve, and say in its status what is wrong? What may pass by
 * itself, or leaves nothing to say, is for the service manager to try again.
 */
static bool
bearable(enum reason r)
{
	switch (r) {
	case R_TPM_GONE:
	case R_TPM_SILENT:
	case R_TPM_FORM:
	case R_TPM_BUSY:
	case R_KEY_FILE:
	case R_KEY_STORE:
	case R_KEY_LIBRARY:
		return false;
	default:
		return true;
	}
}

static enum reason
open_backend(const struct conf *conf, const char *dir)
{
	struct why	 w = { .reason = R_OK };

	if (tpm != NULL)
		tpm_start(tpm, dir, &w);
	if (tpm != NULL && tpm_state(tpm) == R_OK &&
	    conf->backend == BACKEND_SEALED)
		seal_open(tpm, dir, conf->seal_pcrs, kek, &w);
	else if (conf->backend == BACKEND_SOFT)
		seal_soft(dir, kek, &w);
	else if (tpm != NULL)
		w.reason = tpm_state(tpm);
	if (w.reason == R_OK)
		return R_OK;
	if (!bearable(w.reason))
		fatal_why(conf->backend == BACKEND_SOFT ? dir : "tpm", &w);
	log_about(LOG_LVL_WARN, reason_code(w.reason), NULL, "tpm: %s %s",
	    why_text(&w), reason_remedy(w.reason));
	return w.reason;
}

static void
slow_key_made(const struct key *k, bool made, const struct why *w, void *arg)
{
	if (k == NULL)
		log_warnx("key %s: %s %s", ENROL_RSA, why_text(w),
		    reason_remedy(w->reason));
}

/*
 * An RSA key takes so long to make that nobody should wait for keyd
 * meanwhile: where a listener wants one it is there before keyd serves.
 */
static void
make_slow_key(const struct conf *conf)
{
	const struct conf_listener	*l;

	for (l = conf->listeners; l != NULL; l = l->next)
		if (l->key == KEY_RSA2048) {
			key_make(ENROL_RSA, KEY_ENROL, KEY_RSA2048,
			    slow_key_made, NULL);
			return;
		}
}

/* After the change of user and root: every file here is keyd's own. */
static void
open_keys(const struct conf *conf)
{
	static char	 dir[512];
	struct keyd_conf kc = { .tpm = tpm };
	struct key_conf	 ring = { .tpm = tpm, .dir = dir, .kek = kek };
	struct why	 w;
	int		 n;

	n = confine_developer() ?
	    snprintf(dir, sizeof(dir), "%s/keyd/keys", conf->state_dir) :
	    snprintf(dir, sizeof(dir), "/keys");
	if (n < 0 || (size_t)n >= sizeof(dir))
		fatalx("path of the key directory is too long");
	ring.backend = kc.backend = conf->backend == BACKEND_TPM ?
	    KEY_BACKEND_TPM : conf->backend == BACKEND_SEALED ?
	    KEY_BACKEND_SEALED : KEY_BACKEND_SOFT;
	if ((kc.state = open_backend(conf, dir)) == R_OK) {
		if (key_open(&ring, &w) == -1 ||
		    authority_open(conf, dir, &w) == -1)
			fatal_why(dir, &w);
		make_slow_key(conf);
	}
	keyd_serve(&kc);
}

/* ---- main ------------------------------------------------------------ */

static void
link_up(enum ipc_role role, struct chan *c)
{
	if (role != IPC_POLICYD)
		return;
	/* Netd and attestd may come and go: keyd serves whoever is there. */
	chan_send(c, MSG_READY, NULL, -1);
	start_ready();
}

static void
link_down(enum ipc_role role)
{
	log_debug("%s is gone", ipc_role_name(role));
}

static void
serve(int hub, const struct hub_conf *hc)
{
	loop_start(&loop, stop_signal);
	uv_timer_init(&loop, &linger);
	tpm_loop();
	codes_loop();
	if (hub_start(&loop, hub, hc) == -1)
		fatal("hub");
	log_info("serving, %u keys", key_count());
	uv_run(&loop, UV_RUN_DEFAULT);
	if (hub_lost())
		log_info("policyd is gone: ending");
}

int
main(int argc, char **argv)
{
	struct start_opts	 opts;
	struct hub_conf		 hc;
	struct conf		*conf;
	char			 path[108];	/* sun_path */
	int			 hub;

	start_options(argc, argv, NULL, &opts);
	conf = start_conf(&opts);
	warm_up();
	open_tpm(conf);
	start_dirs(&keyd_confine, conf);
	confine_user(&keyd_confine, conf, &opts, path, sizeof(path));
	open_keys(conf);
	hc = (struct hub_conf){
		.self = IPC_KEYD, .path = path, .developer = opts.developer,
		.peers = keyd_peers, .npeers = keyd_npeers,
		.up = link_up, .down = link_down,
	};
	if ((hub = hub_connect(&hc)) == -1)
		fatal("hub");
	confine_filter(&keyd_confine);
	serve(hub, &hc);
	code_close();
	key_close();
	secret_free(kek, KEK_LEN);
	tpm_free(tpm);
	conf_free(conf);
	return failed ? 1 : 0;
}
