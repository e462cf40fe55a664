/* A ProvisionPeer under way. */
#include "busd.h"

void
progress_add(sd_bus *bus)
{
}

void
progress_accepted(const char *name)
{
}

void
progress_step(const struct msg_bus_step *m)
{
}

void
progress_outcome(const struct msg_bus_outcome *m)
{
}

void
progress_removed(struct view_peer *v)
{
}

void
progress_stop(void)
{
}
