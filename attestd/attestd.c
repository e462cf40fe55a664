/*
 * attestd speaks SPDM: with -Q it attests peers, with -R it answers them.
 *
 * -Q, the requester
 * Holds:    connected descriptors from netd; channels to policyd, netd and
 *           keyd.
 * Does:     attests the peer of a job that policyd opened; checks chains,
 *           signatures and transcripts; reports evidence. Has keyd sign the
 *           FINISH of a session whose responder asks who we are.
 * Refuses:  sockets, files, verdicts; a job that it was not given; to hold
 *           a key that outlives a session.
 *
 * -R, the responder
 * Holds:    connected descriptors from netd; channels to policyd, netd and
 *           keyd; what was measured at start.
 * Does:     answers whoever asks, with signatures from keyd, in the clear
 *           and in secured sessions, whose ephemeral keys it makes and wipes.
 * Refuses:  sockets, files; to report evidence on anyone; to hold a key that
 *           outlives a session; to serve in one what it does not serve
 *           outside.
 */
#include "attestd.h"
#include "log.h"

static uv_loop_t		loop;
static struct measure_set	measures;
static enum ipc_role		self;

/* ---- links --------------------------------------------------------------- */

static void
link_up(enum ipc_role role, struct chan *c)
{
	if (hub_ready())
		start_ready();
}

/* ---- the end ------------------------------------------------------------- */

static void
stop(void)
{
	log_info("ending");
	if (self == IPC_ATTESTQ)
		job_stop();
	else
		session_stop();
	hub_stop();
	loop_end();
}

/* ---- start --------------------------------------------------------------- */

static void
measure(const struct conf *conf, const struct start_opts *opts)
{
	const char	*bad = NULL;

	if (measure_files(&measures, conf->measure, conf->boot_id,
	    opts->developer, &bad) == -1)
		fatal("measure: %s", bad);
}

static void
serve(const struct conf *conf, int hub, const struct hub_conf *hc)
{
	loop_start(&loop, stop);
	if (self == IPC_ATTESTQ)
		job_init(&loop);
	else
		session_init(&loop, &(struct session_conf){
		    .versions = conf->versions, .mutual = conf->spdm_mutual,
		    .heartbeat = RESPONDER_HEARTBEAT,
		    .measures = &measures });
	if (hub_start(&loop, hub, hc) == -1)
		fatal("hub");
	log_info("serving");
	uv_run(&loop, UV_RUN_DEFAULT);
	if (hub_lost())
		fatalx("policyd has gone");
}

int
main(int argc, char **argv)
{
	const struct confine	*row;
	struct start_opts	 opts;
	struct hub_conf		 hc;
	struct conf		*conf;
	char			 path[108];	/* sun_path */
	int			 hub;

	start_options(argc, argv, "QR", &opts);
	self = opts.mode == 'Q' ? IPC_ATTESTQ : IPC_ATTESTR;
	row = self == IPC_ATTESTQ ? &attestq_confine : &attestr_confine;
	conf = start_conf(&opts);
	attestd_warm();
	if (self == IPC_ATTESTR)
		measure(conf, &opts);
	start_dirs(row, conf);
	confine_user(row, conf, &opts, path, sizeof(path));
	hc = (struct hub_conf){
		.self = self,
		.path = path,
		.developer = opts.developer,
		.peers = self == IPC_ATTESTQ ? attestq_peers : attestr_peers,
		.npeers = self == IPC_ATTESTQ ? attestq_npeers :
		    attestr_npeers,
		.up = link_up,
	};
	if ((hub = hub_connect(&hc)) == -1)
		fatal("hub: %s", path);
	confine_filter(row);
	serve(conf, hub, &hc);
	conf_free(conf);
	return 0;
}
