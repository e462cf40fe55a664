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
}

void
service_up(enum ipc_role role)
{
	if (conf->ca.name == NULL)
		return;
	ca_up(role);
	crl_up(role);
}

void
service_down(enum ipc_role role)
{
	if (conf->ca.name == NULL)
		return;
	ca_down(role);
}

void
service_tick(uint64_t mono_ms)
{
	if (conf->ca.name == NULL)
		return;
	ca_tick(mono_ms);
	crl_tick(mono_ms);
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
}

/* Until cert_store.c is there. */
__attribute__((weak)) bool
issued_any_valid(unsigned generation, uint64_t now)
{
	return true;
}

__attribute__((weak)) void
issued_revoked(unsigned generation, issued_fn fn, void *arg)
{
}

__attribute__((weak)) enum cert_status
issued_status(const uint8_t *serial, size_t len, uint64_t now,
    struct issued *i)
{
	return CERT_UNKNOWN;
}
