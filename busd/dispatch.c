/* Who may send busd what. */
#include "busd.h"

#define N(t)	(sizeof(t) / sizeof((t)[0]))

static const struct ipc_handler from_policyd[] = {
	{ MSG_BUS_NODE,		view_set_node },
	{ MSG_BUS_PEER,		view_set_peer },
	{ MSG_BUS_PEER_GONE,	view_peer_gone },
	{ MSG_BUS_PEERS_END,	view_end },
	{ MSG_BUS_STEP,		view_step },
	{ MSG_BUS_OUTCOME,	view_outcome },
};

const struct hub_peer	busd_peers[] = {
	{ IPC_POLICYD,	from_policyd, N(from_policyd), false },
};
const size_t		busd_npeers = N(busd_peers);

void
busd_down(enum ipc_role role)
{
}
