/*
 * policyd decides.
 *
 * Holds:    the store, the policy, the audit log, every state machine, the
 *           control socket; a channel to each daemon.
 * Does:     introduces the daemons to each other, opens attestations, judges
 *           their evidence, tells netd whom to trust, decides which devices
 *           get certificates and keeps what was issued, answers the operator,
 *           tells busd what D-Bus shows.
 * Refuses:  private keys, any network socket, to parse bytes that came from
 *           the network, and to start a program.
 */
#include <sys/stat.h>
#include <sys/timerfd.h>

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <uv.h>

#include "bus.h"
#include "ca.h"
#include "clock.h"
#include "confine.h"

#define TICK_MS		1000
#define LOOK_MS		10000	/* between two looks at the system clock */
#define PROBE_MS	10000	/* between two attempts to write a full store */
#define STOP_MS		5000	/* for the last checkpoint */

const struct conf	*conf;

static uv_loop_t	 loop;
static uv_prepare_t	 turn;
static uv_idle_t	 again;
static uv_timer_t	 tick, grace;
static uv_poll_t	 steps;
static int		 steps_fd;
static uint64_t		 looked, probed;
static bool		 stopping;
static int		 status;

/* ---- the turn ---- */

static void
nothing(uv_idle_t *h)
{
}

/*
 * Before the loop waits: what this turn changed is committed and acknowledged
 * together. With more to do it does not wait.
 */
static void
turn_end(uv_prepare_t *h)
{
	bool	more;

	more = audit_work();
	more = control_work() || more;
	store_turn();
	if (store_failed()) {
		log_warnx("store: %s %s; starting anew from what is on disk",
		    reason_code(store_state()), reason_remedy(store_state()));
		status = 1;
		uv_stop(&loop);
		return;
	}
	if (more || store_dirty())
		uv_idle_start(&again, nothing);
	else
		uv_idle_stop(&again);
}

/* ---- time ---- */

static uint64_t
system_now(void)
{
	struct timespec	ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec < 0 ? 0 : (uint64_t)ts.tv_sec;
}

/* Expires in the year 2286, or with ECANCELED when the clock is set. */
static void
steps_arm(void)
{
	struct itimerspec	its = { .it_value = { .tv_sec = 9999999999 } };

	if (timerfd_settime(steps_fd, TFD_TIMER_ABSTIME |
	    TFD_TIMER_CANCEL_ON_SET, &its, NULL) == -1 && errno != ECANCELED)
		fatal("timerfd");
}

static void
clock_was_set(uv_poll_t *h, int err, int events)
{
	uint64_t	n;

	if (read(steps_fd, &n, sizeof(n)) == -1 && errno == EAGAIN)
		return;
	steps_arm();
	looked = clock_mono_ms();
	clockd_look(system_now(), looked, true);
}

static void
every_second(uv_timer_t *h)
{
	uint64_t	now = clock_mono_ms();

	if (store_state() != R_OK && now - probed >= PROBE_MS) {
		probed = now;
		(void)store_probe();
	}
	if (now - looked >= LOOK_MS) {
		looked = now;
		clockd_look(system_now(), now, false);
	}
	hubd_tick(now);
	identity_tick(now);
	service_tick(now);
	audit_tick(now);
	peers_tick(now);
}

/* ---- the end ---- */

static void
stop_now(void *arg)
{
	uv_stop(&loop);
}

static void
stop_late(uv_timer_t *h)
{
	log_warnx("no last checkpoint: keyd did not answer in time");
	uv_stop(&loop);
}

static void
got_signal(void)
{
	if (stopping) {
		uv_stop(&loop);
		return;
	}
	stopping = true;
	log_info("stopping");
	audit_record(AUDIT_START, "policyd", R_OK, "stopped");
	uv_timer_start(&grace, stop_late, STOP_MS, 0);
	audit_stop(stop_now, NULL);
}

static void
finish(void)
{
	control_stop();
	hubd_stop();
	store_turn();
	uv_close((uv_handle_t *)&turn, NULL);
	uv_close((uv_handle_t *)&again, NULL);
	uv_close((uv_handle_t *)&tick, NULL);
	uv_close((uv_handle_t *)&grace, NULL);
	uv_close((uv_handle_t *)&steps, NULL);
	loop_end();
	uv_run(&loop, UV_RUN_DEFAULT);
	store_close();
}

/* ---- start ---- */

/*
 * What OpenSSL would look for later: algorithms, and no configuration file.
 */
static void
crypto_start(void)
{
	EVP_MD	*md;

	if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG |
	    OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL) != 1 ||
	    (md = EVP_MD_fetch(NULL, "SHA256", NULL)) == NULL)
		fatalx("OpenSSL cannot be used");
	EVP_MD_free(md);
}

static int
control_bind(void)
{
	char		 path[PATH_MAX];
	struct group	*gr;
	gid_t		 gid = (gid_t)-1;

	if (geteuid() == 0) {
		if ((gr = getgrnam("provd")) == NULL)
			fatalx("there is no group provd");
		gid = gr->gr_gid;
	}
	snprintf(path, sizeof(path), "%s/control.sock", conf->run_dir);
	return hubd_listen(path, gid);
}

static void
store_start(bool developer)
{
	char		path[PATH_MAX], root[PATH_MAX - 16] = "";
	enum reason	r;

	if (developer &&
	    confine_root_path(conf, "policyd", root, sizeof(root)) == -1)
		fatalx("path of the store is too long");
	snprintf(path, sizeof(path), "%s/store.db", root);
	if ((r = store_open(path)) != R_OK)
		fatalx("%s: %s %s %s", path, reason_code(r), reason_text(r),
		    reason_remedy(r));
}

static void
start_serving(int control)
{
	int	e;

	loop_start(&loop, got_signal);
	uv_prepare_init(&loop, &turn);
	uv_prepare_start(&turn, turn_end);
	uv_idle_init(&loop, &again);
	uv_timer_init(&loop, &tick);
	uv_timer_start(&tick, every_second, TICK_MS, TICK_MS);
	uv_timer_init(&loop, &grace);
	if ((e = uv_poll_init(&loop, &steps, steps_fd)) != 0 ||
	    (e = uv_poll_start(&steps, UV_READABLE, clock_was_set)) != 0)
		fatalx("loop: %s", uv_strerror(e));
	hubd_start(&loop);
	peers_start(&loop);
	control_start(&loop, control);
}

/* With -n, the files that the configuration names are read as well. */
static void
check(const struct start_opts *opts)
{
	if ((conf = conf_parse(opts->conf_path, stderr)) == NULL)
		exit(1);
	settings_read(conf);
	policy_read(conf);
}

int
main(int argc, char **argv)
{
	struct start_opts	opts;
	struct confine		row;
	char			hub[PATH_MAX];
	int			control;

	start_options(argc, argv, "", &opts);
	crypto_start();
	if (opts.check)
		check(&opts);
	conf = start_conf(&opts);	/* the end, with -n */
	settings_read(conf);
	policy_read(conf);
	bus_read(conf, opts.developer);
	start_dirs(&policyd_confine, conf);
	hubd_bind(conf, opts.developer);
	control = control_bind();
	steps_fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	if (steps_fd == -1)
		fatal("timerfd");
	steps_arm();
	confine_user(&policyd_confine, conf, &opts, hub, sizeof(hub));
	store_start(opts.developer);
	audit_start();
	clockd_start(system_now());
	identity_start();
	service_start();
	row = policyd_confine_for(conf);
	confine_filter(&row);

	audit_record(AUDIT_START, "policyd", store_state(), "started%s",
	    opts.developer ? ", developer mode" : "");
	start_serving(control);
	looked = clock_mono_ms();
	clockd_look(system_now(), looked, false);
	start_ready();
	log_info("ready");
	uv_run(&loop, UV_RUN_DEFAULT);
	finish();
	log_info("stopped");
	return status;
}
