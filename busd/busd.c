/*
 * busd shows this node on D-Bus, as OpenBMC's tools expect it.
 *
 * Holds:    a connection to the system bus; a channel to policyd; what
 *           policyd said last of this node and its peers.
 * Does:     answers properties, sends signals, hands policyd what a caller
 *           wants and which uid the bus says that he has; reports the
 *           neighbours of an LLDP service where the configuration says so.
 * Refuses:  to decide, to keep anything, keys, files, any socket of its own;
 *           to ask for more than provision, unprovision, revoke, log level;
 *           to take what another service signals for evidence.
 */
#include <stdlib.h>

#include "busd.h"
#include "log.h"

static uv_loop_t	loop;
static bool		neighbours;	/* come from the bus */

static void
link_up(enum ipc_role role, struct chan *c)
{
	busd_ready();
}

void
busd_ready(void)
{
	if (bus_named() && hub_ready()) {
		start_ready();
		if (neighbours)
			lldp_start(&loop, bus_get());
	}
}

void
busd_end(void)
{
	log_info("ending");
	lldp_stop();
	call_stop();
	progress_stop();
	view_stop();
	bus_stop();
	hub_stop();
	loop_end();
}

static void
serve(int hub, const struct hub_conf *hc)
{
	loop_start(&loop, busd_end);
	bus_start(&loop);
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
	struct start_opts	 opts;
	struct hub_conf		 hc;
	struct conf		*conf;
	char			 path[108];	/* sun_path */
	int			 hub, fd;

	start_options(argc, argv, NULL, &opts);
	conf = start_conf(&opts);
	if (conf->dbus == NULL) {
		/* A face that the node does not have is no failed service. */
		start_ready();
		start_status("no dbus in provd.conf: nothing to do");
		log_info("no dbus in %s: nothing to do", opts.conf_path);
		conf_free(conf);
		return 0;
	}
	start_dirs(&busd_confine, conf);
	/*
	 * The bus takes the uid of who connects, and its socket is outside of
	 * the root. No root process waits for a bus that is absent, and nobody
	 * who started us in the order of an rc script.
	 */
	confine_become(&busd_confine, &opts);
	start_detach();
	fd = bus_connect(conf->dbus);
	confine_user(&busd_confine, conf, &opts, path, sizeof(path));
	hc = (struct hub_conf){
		.self = IPC_BUSD,
		.path = path,
		.developer = opts.developer,
		.peers = busd_peers,
		.npeers = busd_npeers,
		.up = link_up,
		.down = busd_down,
	};
	if ((hub = hub_connect(&hc)) == -1)
		fatal("hub: %s", path);
	bus_init(fd);
	confine_filter(&busd_confine);
	neighbours = conf->dbus_neighbours;
	if (conf->interface != NULL)
		lldp_interface(conf->interface);
	serve(hub, &hc);
	conf_free(conf);
	return bus_lost() ? 1 : 0;
}
