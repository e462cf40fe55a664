/* The Provisioning interface. */
#include "busd.h"

void
face_node_changed(const struct msg_bus_node *before)
{
}

void
face_outcome(const struct msg_bus_outcome *m)
{
}
