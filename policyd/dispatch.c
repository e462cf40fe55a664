/*
 * What policyd does for whom. What is not in a table is refused.
 */
#include "bus.h"
#include "ca.h"

#define COUNT(t)	(sizeof(t) / sizeof((t)[0]))

/* What policyd does for every daemon. */
#define FROM_DAEMON							\
	{ MSG_READY,		hubd_ready },				\
	{ MSG_OFFENCE,		hubd_offence },				\
	{ MSG_COUNTER,		hubd_counter }

const struct ipc_handler from_keyd[] = {
	FROM_DAEMON,
};
const size_t nfrom_keyd = COUNT(from_keyd);

const struct ipc_handler from_netd[] = {
	FROM_DAEMON,
	{ MSG_NEIGHBOUR,	neighbour_told },
	{ MSG_NEIGHBOUR_GONE,	neighbour_gone },
	{ MSG_NEIGHBOURS_END,	neighbours_told },
	{ MSG_PEER_LINK,	netd_peer_link },
};
const size_t nfrom_netd = COUNT(from_netd);

const struct ipc_handler from_attestq[] = {
	FROM_DAEMON,
	{ MSG_JOB_STEP,		attestq_job_step },
	{ MSG_EVID_IDENTITY,	attestq_evid_identity },
	{ MSG_EVID_ANCHOR,	attestq_evid_anchor },
	{ MSG_EVID_MEASUREMENT,	attestq_evid_measurement },
	{ MSG_EVID_END,		attestq_evid_end },
	{ MSG_JOB_FAILED,	attestq_job_failed },
	{ MSG_COMPONENT_CSR,	attestq_component_csr },
	{ MSG_COMPONENT_HELD,	attestq_component_held },
	{ MSG_COMPONENT_RESET,	attestq_component_reset },
};
const size_t nfrom_attestq = COUNT(from_attestq);

const struct ipc_handler from_attestr[] = {
	FROM_DAEMON,
	{ MSG_ATTESTED,		attestr_attested },
};
const size_t nfrom_attestr = COUNT(from_attestr);

const struct ipc_handler from_enrold[] = {
	FROM_DAEMON,
	{ MSG_ENROL_REQ,	enrold_enrol },
	{ MSG_ENROL_TAKEN,	enrold_taken },
	{ MSG_REVOKE_REQ,	enrold_revoke },
	{ MSG_CERT_STATUS_REQ,	enrold_cert_status },
	{ MSG_OCSP_REQ,		enrold_ocsp },
};
const size_t nfrom_enrold = COUNT(from_enrold);

const struct ipc_handler from_busd[] = {
	FROM_DAEMON,
	{ MSG_BUS_PROVISION,	busd_provision },
	{ MSG_BUS_UNPROVISION,	busd_unprovision },
	{ MSG_BUS_REVOKE,	busd_revoke },
	{ MSG_BUS_LOG_LEVEL,	busd_log_level },
	{ MSG_NEIGHBOUR,	neighbour_told },
	{ MSG_NEIGHBOUR_GONE,	neighbour_gone },
	{ MSG_NEIGHBOURS_END,	neighbours_told },
};
const size_t nfrom_busd = COUNT(from_busd);

const struct ipc_handler from_provctl[] = {
	{ MSG_CTL_HELLO,		ctl_hello },
	{ MSG_CTL_STATUS,		ctl_status },
	{ MSG_CTL_NEIGHBOURS,		ctl_neighbours },
	{ MSG_CTL_PEER_LIST,		ctl_peer_list },
	{ MSG_CTL_PEER_SHOW,		ctl_peer_show },
	{ MSG_CTL_PEER_ADD,		ctl_peer_add },
	{ MSG_CTL_PEER_REMOVE,		ctl_peer_remove },
	{ MSG_CTL_PROVISION,		ctl_provision },
	{ MSG_CTL_UNPROVISION,		ctl_unprovision },
	{ MSG_CTL_REVOKE,		ctl_revoke },
	{ MSG_CTL_IDENTITY_SHOW,	ctl_identity_show },
	{ MSG_CTL_IDENTITY_CSR,		ctl_identity_csr },
	{ MSG_CTL_IDENTITY_INSTALL,	ctl_identity_install },
	{ MSG_CTL_COMPONENT_LIST,	ctl_component_list },
	{ MSG_CTL_COMPONENT_SHOW,	ctl_component_show },
	{ MSG_CTL_COMPONENT_ENROL,	ctl_component_enrol },
	{ MSG_CTL_CA_INIT,		ctl_ca_init },
	{ MSG_CTL_CA_SHOW,		ctl_ca_show },
	{ MSG_CTL_CA_CSR,		ctl_ca_csr },
	{ MSG_CTL_CA_INSTALL,		ctl_ca_install },
	{ MSG_CTL_CA_ROLLOVER,		ctl_ca_rollover },
	{ MSG_CTL_CA_CRL,		ctl_ca_crl },
	{ MSG_CTL_CERT_LIST,		ctl_cert_list },
	{ MSG_CTL_CERT_SHOW,		ctl_cert_show },
	{ MSG_CTL_CERT_REVOKE,		ctl_cert_revoke },
	{ MSG_CTL_CERT_STATS,		ctl_cert_stats },
	{ MSG_CTL_DEVICE_ADD,		ctl_device_add },
	{ MSG_CTL_DEVICE_REMOVE,	ctl_device_remove },
	{ MSG_CTL_DEVICE_LIST,		ctl_device_list },
	{ MSG_CTL_REFERENCE_LEARN,	ctl_reference_learn },
	{ MSG_CTL_REFERENCE_SHOW,	ctl_reference_show },
	{ MSG_CTL_REFERENCE_ACCEPT,	ctl_reference_accept },
	{ MSG_CTL_AUDIT_SHOW,		ctl_audit_show },
	{ MSG_CTL_AUDIT_VERIFY,		ctl_audit_verify },
	{ MSG_CTL_EXPLAIN_PEER,		ctl_explain_peer },
	{ MSG_CTL_MONITOR,		ctl_monitor },
	{ MSG_CTL_LOG_LEVEL,		ctl_log_level },
};
const size_t nfrom_provctl = COUNT(from_provctl);
