/* Who may send busd what. */
#include "busd.h"

#define N(t)	(sizeof(t) / sizeof((t)[0]))

const struct hub_peer	busd_peers[] = {
	{ IPC_POLICYD,	NULL, 0, false },
};
const size_t		busd_npeers = N(busd_peers);

void
busd_down(enum ipc_role role)
{
}
