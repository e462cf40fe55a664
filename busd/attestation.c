/* OpenBMC's names for an attestation. */
#include "busd.h"

void
attestation_add(sd_bus *bus)
{
}

void
attestation_added(struct view_peer *v)
{
}

void
attestation_changed(struct view_peer *v, const struct msg_bus_peer *before)
{
}

void
attestation_removed(struct view_peer *v)
{
}

void
attestation_outcome(const struct msg_bus_outcome *m)
{
}
