/* Who may send attestd what. keyd only answers, so it has no rows. */
#include "attestd.h"

#define N(t)	(sizeof(t) / sizeof((t)[0]))

/* -Q: jobs from policyd, their sockets from netd. */
static const struct ipc_handler q_from_policyd[] = {
	{ MSG_ROOT_SET,		attestd_root_set },
	{ MSG_JOB_OPEN,		attestq_job_open },
	{ MSG_JOB_CANCEL,	attestq_job_cancel },
	{ MSG_COMPONENT_CHAIN,	attestq_component_chain },
	{ MSG_SPDM_SLOT,	attestq_slot },
};
static const struct ipc_handler q_from_netd[] = {
	{ MSG_SPDM_DIALLED,	attestq_dialled },
};

/* -R: what to show from policyd, strangers from netd. */
static const struct ipc_handler r_from_policyd[] = {
	{ MSG_SPDM_SLOT,	attestr_slot },
	{ MSG_ROOT_SET,		attestd_root_set },
};
static const struct ipc_handler r_from_netd[] = {
	{ MSG_SPDM_ACCEPTED,	attestr_accepted },
};

const struct hub_peer	attestq_peers[] = {
	{ IPC_POLICYD,	q_from_policyd, N(q_from_policyd), false },
	{ IPC_NETD,	q_from_netd, N(q_from_netd), false },
	{ IPC_KEYD,	NULL, 0, false },
};
const size_t		attestq_npeers = N(attestq_peers);

const struct hub_peer	attestr_peers[] = {
	{ IPC_POLICYD,	r_from_policyd, N(r_from_policyd), false },
	{ IPC_NETD,	r_from_netd, N(r_from_netd), false },
	{ IPC_KEYD,	NULL, 0, false },
};
const size_t		attestr_npeers = N(attestr_peers);
