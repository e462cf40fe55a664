/*
 * Where the rest of policyd calls the certificate service: on a node without
 * a "ca" in provd.conf(5) nothing of it runs.
 */
#include "ca.h"

void
service_start(void)
{
	if (conf->ca.name == NULL)
		return;
	ca_start();
	crl_start();
	enrol_start();
}

void
service_up(enum ipc_role role)
{
	if (conf->ca.name == NULL)
		return;
	ca_up(role);
	crl_up(role);
	enrol_up(role);
}

void
service_down(enum ipc_role role)
{
	if (conf->ca.name == NULL)
		return;
	enrol_down(role);
	ca_down(role);
}

void
service_tick(uint64_t mono_ms)
{
	if (conf->ca.name == NULL)
		return;
	ca_tick(mono_ms);
	crl_tick(mono_ms);
	enrol_tick(mono_ms);
}

void
service_time_step(void)
{
	if (conf->ca.name != NULL)
		ca_time_step();
}

void
service_warnings(service_warn_fn fn, void *arg)
{
	if (conf->ca.name == NULL)
		return;
	ca_warnings(fn, arg);
	crl_warnings(fn, arg);
	enrol_warnings(fn, arg);
}
