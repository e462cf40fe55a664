/* Who may send enrold what. keyd only answers, so it has no rows. */
#include "enrold.h"

#define N(t)	(sizeof(t) / sizeof((t)[0]))

static const struct ipc_handler from_policyd[] = {
	{ MSG_ENROL_LISTENER,	enrold_listener },
	{ MSG_ENROL_CA,		enrold_ca },
	{ MSG_ENROL_MAKER,	enrold_maker },
	{ MSG_ENROL_PROFILE,	enrold_profile },
	{ MSG_ENROL_CRL,	enrold_crl },
};

static const struct ipc_handler from_netd[] = {
	{ MSG_HTTP_ACCEPTED,	enrold_accepted },
};

const struct hub_peer	enrold_peers[] = {
	{ IPC_POLICYD,	from_policyd, N(from_policyd), false },
	{ IPC_NETD,	from_netd, N(from_netd), false },
	{ IPC_KEYD,	NULL, 0, false },
};
const size_t		enrold_npeers = N(enrold_peers);

void
enrold_down(enum ipc_role role)
{
	if (role == IPC_NETD)
		conns_netd_gone();
}
