/*
 * Who may send netd what. keyd and attestd only answer our calls, so they
 * have no rows.
 */
#include "netd.h"

#define N(t)	(sizeof(t) / sizeof((t)[0]))

static const struct ipc_handler from_policyd[] = {
	{ MSG_NET_IDENTITY,	netd_net_identity },
	{ MSG_PEER_SET,		netd_peer_set },
	{ MSG_PEER_DROP,	netd_peer_drop },
	{ MSG_PEERS_END,	netd_peers_end },
	{ MSG_DIAL_SPDM,	netd_dial_spdm },
};

static const struct ipc_handler from_enrold[] = {
	{ MSG_HTTP_OVER,	netd_http_over },
};

const struct hub_peer	netd_peers[] = {
	{ IPC_POLICYD,	from_policyd, N(from_policyd), false },
	{ IPC_KEYD,	NULL, 0, false },
	{ IPC_ATTESTQ,	NULL, 0, false },
	{ IPC_ATTESTR,	NULL, 0, false },
	{ IPC_ENROLD,	from_enrold, N(from_enrold), true },
};
const size_t		netd_npeers = N(netd_peers);
