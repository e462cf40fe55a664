/*
 * netd owns the network and decides nothing.
 *
 * Holds:    every network socket: the mtls and spdm ports and those of the
 *           certificate service, the LLDP packet socket, the connections;
 *           channels to policyd, keyd, attestd, enrold.
 * Does:     accepts and dials within limits; LLDP; the TLS of the peer
 *           channel, with signatures from keyd; hands connected
 *           descriptors of SPDM, over TCP or MCTP, to attestd, and those of
 *           HTTP to enrold.
 * Refuses:  private keys, files, decisions; to parse SPDM or HTTP; to open
 *           any socket but TCP or MCTP to a peer, and the one to policyd's
 *           hub, once it has started; the kernel's MCTP, if provd.conf has none.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "log.h"
#include "mctp.h"
#include "netd.h"

static uv_loop_t	loop;

/* ---- links ------------------------------------------------------------- */

static void
link_up(enum ipc_role role, struct chan *c)
{
	peers_hub(role, true);
	if (role == IPC_POLICYD)
		lldp_report();
	if (hub_ready())
		start_ready();
}

static void
link_down(enum ipc_role role)
{
	peers_hub(role, false);
	if (role == IPC_ENROLD)
		door_gone();
}

/* ---- the end ----------------------------------------------------------- */

static void
stop(void)
{
	log_info("ending");
	lldp_stop();
	listen_stop();
	peers_stop();
	dial_stop();
	mctp_stop();
	link_stop();
	hub_stop();
	loop_end();
}

/* ---- start ------------------------------------------------------------- */

/* What needs names, files or capabilities, before there are none. */
static void
open_all(const struct conf *conf)
{
	limit_init(conf);
	door_init(conf);
	if (link_open(conf) == -1 || listen_open(conf) == -1 ||
	    lldp_open(conf) == -1 || tls_init(conf) == -1)
		exit(1);
}

static void
serve(const struct conf *conf, int hub, const struct hub_conf *hc)
{
	char	root[PATH_MAX] = "";
	int	err;

	loop_start(&loop, stop);
	if (!hc->developer && confine_root_path(conf, netd_confine.role, root,
	    sizeof(root)) == -1)
		fatalx("path of the root is too long");
	dial_init(&loop);
	mctp_init(&loop, root, mctp_wanted(conf));
	if (peers_init(&loop, conf) == -1 || link_start(&loop) == -1 ||
	    lldp_start(&loop, conf) == -1 || listen_start(&loop) == -1)
		fatalx("start failed");
	if (hub_start(&loop, hub, hc) == -1)
		fatal("hub");
	log_info("serving");
	uv_run(&loop, UV_RUN_DEFAULT);
	/* Every handle is closed: the loop has nothing left. */
	if ((err = uv_loop_close(&loop)) != 0)
		log_warnx("loop: %s", uv_strerror(err));
	door_free();
	limit_free();
}

int
main(int argc, char **argv)
{
	struct start_opts	 opts;
	struct hub_conf		 hc;
	struct confine		 row;
	struct conf		*conf;
	char			 path[108];	/* sun_path */
	int			 hub;

	start_options(argc, argv, NULL, &opts);
	conf = start_conf(&opts);
	row = netd_confine_for(conf);
	open_all(conf);
	start_dirs(&row, conf);
	confine_user(&row, conf, &opts, path, sizeof(path));
	hc = (struct hub_conf){
		.self = IPC_NETD,
		.path = path,
		.developer = opts.developer,
		.keep = true,
		.peers = netd_peers,
		.npeers = netd_npeers,
		.up = link_up,
		.down = link_down,
	};
	if ((hub = hub_connect(&hc)) == -1)
		fatal("hub: %s", path);
	confine_filter(&row);
	serve(conf, hub, &hc);
	conf_free(conf);
	return 0;
}
