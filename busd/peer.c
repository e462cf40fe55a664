/*
 * One object for each peer, below an ObjectManager at BUS_ROOT: what policyd
 * said of it last, and what may be asked for it. The objects are not kept:
 * a path leads to the view, so thousands of them cost nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "busd.h"
#include "log.h"

/* ---- properties and methods ------------------------------------------------- */

#define OF(member)	(offsetof(struct view_peer, m) +		\
    offsetof(struct msg_bus_peer, member))

static int
get_port(sd_bus *bus, const char *path, const char *iface,
    const char *property, sd_bus_message *reply, void *member,
    sd_bus_error *error)
{
	return sd_bus_message_append(reply, "q",
	    (int)(uint16_t)*(const uint32_t *)member);
}

/* How many blocks of its measurements are, to our reference, what. */
static int
get_measurements(sd_bus *bus, const char *path, const char *iface,
    const char *property, sd_bus_message *reply, void *arg,
    sd_bus_error *error)
{
	const struct msg_bus_peer	*m = arg;

	return sd_bus_message_append(reply, "a{su}", 5,
	    "Measured", m->measured, "Equal", m->equal,
	    "Ignored", m->ignored, "Differs", m->differs,
	    "Unlisted", m->unlisted);
}

static int
ask_provision(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	const struct view_peer	*v = arg;

	return call_forward(m, MSG_BUS_PROVISION, v->m.name, 0);
}

static int
ask_unprovision(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	const struct view_peer	*v = arg;

	return call_forward(m, MSG_BUS_UNPROVISION, v->m.name, 0);
}

static int
ask_revoke(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	const struct view_peer	*v = arg;

	return call_forward(m, MSG_BUS_REVOKE, v->m.name, 0);
}

#define CHANGES		SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE
#define CONST		SD_BUS_VTABLE_PROPERTY_CONST
#define METHOD(name, fn)						\
	SD_BUS_METHOD(name, NULL, NULL, fn, SD_BUS_VTABLE_UNPRIVILEGED)

static const sd_bus_vtable	vtable[] = {
	SD_BUS_VTABLE_START(0),
	METHOD("Provision", ask_provision),
	METHOD("Unprovision", ask_unprovision),
	METHOD("Revoke", ask_revoke),
	SD_BUS_PROPERTY("Name", "s", get_text, OF(name), CONST),
	SD_BUS_PROPERTY("Origin", "s", get_text, OF(origin), CHANGES),
	SD_BUS_PROPERTY("State", "s", get_text, OF(state), CHANGES),
	SD_BUS_PROPERTY("Provisioned", "b", get_flag, OF(provisioned), CHANGES),
	SD_BUS_PROPERTY("PeerConnected", "s", get_connected, OF(connected),
	    CHANGES),
	SD_BUS_PROPERTY("Since", "t", NULL, OF(since), CHANGES),
	SD_BUS_PROPERTY("ReasonCode", "s", get_reason, OF(reason), CHANGES),
	SD_BUS_PROPERTY("ReasonText", "s", get_reason, OF(reason), CHANGES),
	SD_BUS_PROPERTY("Remedy", "s", get_reason, OF(reason), CHANGES),
	SD_BUS_PROPERTY("ReasonField", "s", get_text, OF(field), CHANGES),
	SD_BUS_PROPERTY("ReasonExpected", "s", get_text, OF(expected), CHANGES),
	SD_BUS_PROPERTY("ReasonSeen", "s", get_text, OF(seen), CHANGES),
	SD_BUS_PROPERTY("Node", "s", get_text, OF(node), CHANGES),
	SD_BUS_PROPERTY("Identity", "s", get_text, OF(identity), CHANGES),
	SD_BUS_PROPERTY("Address", "s", get_text, OF(address), CHANGES),
	SD_BUS_PROPERTY("Port", "q", get_port, OF(port), CHANGES),
	SD_BUS_PROPERTY("LastAttestation", "t", NULL, OF(attested), CHANGES),
	SD_BUS_PROPERTY("Reference", "s", get_text, OF(reference), CHANGES),
	SD_BUS_PROPERTY("Measurements", "a{su}", get_measurements, OF(peer),
	    CHANGES),
	SD_BUS_VTABLE_END
};
_Static_assert(offsetof(struct msg_bus_peer, peer) == 0,
    "get_measurements() takes the first member for the message");

#define MEMBER(name, kind, member)					\
	{ name, MEMBER_##kind, offsetof(struct msg_bus_peer, member) }

static const struct member	members[] = {
	MEMBER("Origin", TEXT, origin),
	MEMBER("State", TEXT, state),
	MEMBER("Provisioned", FLAG, provisioned),
	MEMBER("PeerConnected", U32, connected),
	MEMBER("Since", U64, since),
	MEMBER("ReasonCode", U32, reason),
	MEMBER("ReasonText", U32, reason),
	MEMBER("Remedy", U32, reason),
	MEMBER("ReasonField", TEXT, field),
	MEMBER("ReasonExpected", TEXT, expected),
	MEMBER("ReasonSeen", TEXT, seen),
	MEMBER("Node", TEXT, node),
	MEMBER("Identity", TEXT, identity),
	MEMBER("Address", TEXT, address),
	MEMBER("Port", U32, port),
	MEMBER("LastAttestation", U64, attested),
	MEMBER("Reference", TEXT, reference),
	MEMBER("Measurements", U32, measured),
	MEMBER("Measurements", U32, equal),
	MEMBER("Measurements", U32, ignored),
	MEMBER("Measurements", U32, differs),
	MEMBER("Measurements", U32, unlisted),
};
#define NMEMBERS	(sizeof(members) / sizeof(members[0]))
_Static_assert(NMEMBERS <= MEMBERS_MAX, "changed_emit() takes no more");

/* ---- objects ------------------------------------------------------------------- */

static int
find(sd_bus *bus, const char *path, const char *iface, void *arg,
    void **found, sd_bus_error *error)
{
	struct view_peer	*v;

	if (!view_told() || (v = view_peer_bypath(path)) == NULL)
		return 0;
	*found = v;
	return 1;
}

int
peer_nodes(const char *below, char ***nodes)
{
	struct view_peer	*v;
	size_t			 i = 0;
	char			**list;

	if (!view_told())
		return 0;
	if ((list = calloc(view_count() + 1, sizeof(*list))) == NULL)
		fatal("peers");
	for (v = view_first(); v != NULL; v = view_next(v))
		if (asprintf(&list[i++], "%s%s", below,
		    v->path + strlen(BUS_PEERS)) == -1)
			fatal("peers");
	*nodes = list;		/* sd-bus frees it */
	return 1;
}

static int
enumerate(sd_bus *bus, const char *prefix, void *arg, char ***nodes,
    sd_bus_error *error)
{
	return peer_nodes(BUS_PEERS, nodes);
}

void
peer_objects_add(sd_bus *bus)
{
	int	r;

	if ((r = sd_bus_add_object_manager(bus, NULL, BUS_ROOT)) < 0 ||
	    (r = sd_bus_add_fallback_vtable(bus, NULL, BUS_PEERS,
	    BUS_IFACE_PEER, vtable, find, NULL)) < 0 ||
	    (r = sd_bus_add_node_enumerator(bus, NULL, BUS_PEERS, enumerate,
	    NULL)) < 0) {
		errno = -r;
		fatal("bus: %s", BUS_PEERS);
	}
}

/* ---- what changed ---------------------------------------------------------------- */

/* Until the names are ours, nobody can know whose signal it is. */
void
peer_object_added(struct view_peer *v)
{
	if (bus_named())
		(void)sd_bus_emit_interfaces_added(bus_get(), v->path,
		    BUS_IFACE_PEER, NULL);
}

void
peer_object_changed(struct view_peer *v, const struct msg_bus_peer *before)
{
	if (bus_named())
		changed_emit(v->path, BUS_IFACE_PEER, members, NMEMBERS,
		    before, &v->m);
}

void
peer_object_removed(struct view_peer *v)
{
	if (bus_named())
		(void)sd_bus_emit_interfaces_removed(bus_get(), v->path,
		    BUS_IFACE_PEER, NULL);
}
