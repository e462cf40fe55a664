/* Neighbours from a service on the bus. */
#include "busd.h"

void
lldp_start(uv_loop_t *loop, sd_bus *bus)
{
}

void
lldp_stop(void)
{
}
