/* Who may send enrold what. keyd only answers, so it has no rows. */
#include "enrold.h"

const struct hub_peer	enrold_peers[] = {
	{ IPC_POLICYD,	NULL, 0, false },
	{ IPC_NETD,	NULL, 0, false },
	{ IPC_KEYD,	NULL, 0, false },
};
const size_t		enrold_npeers =
			    sizeof(enrold_peers) / sizeof(enrold_peers[0]);
