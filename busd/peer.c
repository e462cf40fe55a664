/* One object a peer. */
#include "busd.h"

void
peer_objects_add(sd_bus *bus)
{
}

void
peer_object_added(struct view_peer *v)
{
}

void
peer_object_changed(struct view_peer *v, const struct msg_bus_peer *before)
{
}

void
peer_object_removed(struct view_peer *v)
{
}
