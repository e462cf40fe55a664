/*
 * enrold speaks HTTP with devices that want certificates.
 *
 * Holds:    connected descriptors from netd; channels to policyd, netd and
 *           keyd; the certificates and CRLs that anybody may read.
 * Does:     terminates TLS, with signatures from keyd; parses HTTP, JSON,
 *           EST, certificate requests and OCSP; checks proof of possession
 *           and the chain of a client's certificate; hands policyd fields.
 * Refuses:  sockets, files, decisions; to hold a private key that outlives a
 *           request; to send keyd anything but the TLS of its listeners.
 */
#include <sys/resource.h>

#include <stdlib.h>

#include "enrold.h"
#include "log.h"

static uv_loop_t	loop;

static void
link_up(enum ipc_role role, struct chan *c)
{
	if (hub_ready())
		start_ready();
}

static void
stop(void)
{
	log_info("ending");
	conns_stop();
	ask_stop();
	hub_stop();
	loop_end();
}

static void
serve(const struct conf *conf, int hub, const struct hub_conf *hc)
{
	loop_start(&loop, stop);
	conns_init(&loop, conf);
	if (hub_start(&loop, hub, hc) == -1)
		fatal("hub");
	log_info("serving");
	uv_run(&loop, UV_RUN_DEFAULT);
	if (hub_lost())
		fatalx("policyd has gone");
	settings_stop();
	tls_stop();
}

/*
 * netd hands on as many as limit enrol: one that the kernel keeps back for
 * want of a descriptor would cost the link to netd, and so every other one.
 */
static void
files_enough(const struct conf *conf)
{
	struct rlimit	rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == -1)
		fatal("getrlimit");
	if (rl.rlim_cur < conf->max_enrol + FILES_BESIDE)
		fatalx("open files: %llu at most, limit enrol %u needs %u",
		    (unsigned long long)rl.rlim_cur, conf->max_enrol,
		    conf->max_enrol + FILES_BESIDE);
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
	if (conf->listeners == NULL) {
		/* A service that the node does not have is no failed one. */
		start_ready();
		start_status("no listener in provd.conf: nothing to do");
		log_info("no listener of the certificate service in %s: "
		    "nothing to do", opts.conf_path);
		conf_free(conf);
		return 0;
	}
	if (tls_init() == -1)
		exit(1);
	start_dirs(&enrold_confine, conf);
	confine_user(&enrold_confine, conf, &opts, path, sizeof(path));
	files_enough(conf);
	hc = (struct hub_conf){
		.self = IPC_ENROLD,
		.path = path,
		.developer = opts.developer,
		.peers = enrold_peers,
		.npeers = enrold_npeers,
		.up = link_up,
		.down = enrold_down,
	};
	if ((hub = hub_connect(&hc)) == -1)
		fatal("hub: %s", path);
	confine_filter(&enrold_confine);
	serve(conf, hub, &hc);
	conf_free(conf);
	return 0;
}
