#include "ca.h"

void
ca_start(void)
{
}

void
ca_up(enum ipc_role role)
{
}

void
ca_down(enum ipc_role role)
{
}

void
ca_tick(uint64_t mono_ms)
{
}

void
ca_time_step(void)
{
}

void
ca_warnings(service_warn_fn fn, void *arg)
{
}
