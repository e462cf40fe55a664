/*
 * What busd is told of this node and its peers.
 */
#include "bus.h"

void
bus_start(void)
{
}

void
bus_up(void)
{
}

void
bus_down(void)
{
}

void
bus_tick(uint64_t mono)
{
}

void
bus_end(void)
{
}

void
bus_node_changed(void)
{
}

void
bus_peer_changed(struct peer *p)
{
}

void
bus_peer_gone(struct peer *p)
{
}

void
bus_step(uint32_t peer, const struct step *s)
{
}

void
bus_outcome(uint32_t peer, bool provisioned, const struct why *why)
{
}
