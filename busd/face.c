/*
 * The interface that OpenBMC's tools know, xyz...Provisioning.Provisioning,
 * and beside it on the same object what provd can say of the node itself.
 */
#include <errno.h>
#include <string.h>

#include "busd.h"
#include "log.h"

/* ---- getters: the vtable's offset has led to the member ----------------------- */

int
get_flag(sd_bus *bus, const char *path, const char *iface,
    const char *property, sd_bus_message *reply, void *member,
    sd_bus_error *error)
{
	return sd_bus_message_append(reply, "b", (int)*(const bool *)member);
}

int
get_text(sd_bus *bus, const char *path, const char *iface,
    const char *property, sd_bus_message *reply, void *member,
    sd_bus_error *error)
{
	return sd_bus_message_append(reply, "s", (const char *)member);
}

const char *
face_connected(uint32_t connected)
{
#define WORD(w)	BUS_IFACE ".PeerConnectionStatus." w
	static const char *const	words[LINK_NWORDS] = {
		[LINK_NOTDETERMINED] = WORD("NotDetermined"),
		[LINK_NOTCONNECTED] = WORD("NotConnected"),
		[LINK_INPROGRESS] = WORD("InProgress"),
		[LINK_CONNECTED] = WORD("Connected"),
	};
#undef WORD

	return words[connected < LINK_NWORDS ? connected : LINK_NOTDETERMINED];
}

int
get_connected(sd_bus *bus, const char *path, const char *iface,
    const char *property, sd_bus_message *reply, void *member,
    sd_bus_error *error)
{
	return sd_bus_message_append(reply, "s",
	    face_connected(*(const uint32_t *)member));
}

/* Without a reason there is no code and nothing to do. */
int
get_reason(sd_bus *bus, const char *path, const char *iface,
    const char *property, sd_bus_message *reply, void *member,
    sd_bus_error *error)
{
	enum reason	 r = *(const uint32_t *)member;
	const char	*s;

	if (r == R_OK)
		s = "";
	else if (strcmp(property, "ReasonCode") == 0)
		s = reason_code(r);
	else if (strcmp(property, "ReasonText") == 0)
		s = reason_text(r);
	else
		s = reason_remedy(r);
	return sd_bus_message_append(reply, "s", s);
}

static int
get_self(sd_bus *bus, const char *path, const char *iface,
    const char *property, sd_bus_message *reply, void *member,
    sd_bus_error *error)
{
	static const char *const	words[SELF_NSTATES] = {
		[SELF_UNKNOWN] = "NotDetermined",
		[SELF_ATTESTING] = "Attesting",
		[SELF_PROVISIONED] = "Provisioned",
		[SELF_FAILED] = "AttestationFailed",
	};
	uint32_t			 self = *(const uint32_t *)member;

	return sd_bus_message_append(reply, "s",
	    words[self < SELF_NSTATES ? self : SELF_UNKNOWN]);
}

/* ---- the object ------------------------------------------------------------------ */

static int
provision_peer(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	const char	*name;
	int		 r;

	if ((r = sd_bus_message_read(m, "s", &name)) < 0)
		return r;
	return call_forward(m, MSG_BUS_PROVISION, name, 0);
}

#define OF(member)	offsetof(struct msg_bus_node, member)
#define CHANGES		SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE

static const sd_bus_vtable	face[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD_WITH_ARGS("ProvisionPeer", SD_BUS_ARGS("s", bmcId),
	    SD_BUS_NO_RESULT, provision_peer, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_PROPERTY("Provisioned", "b", get_flag, OF(provisioned), CHANGES),
	SD_BUS_PROPERTY("PeerConnected", "s", get_connected, OF(connected),
	    CHANGES),
	/* As the README of OpenBMC's daemon once had them. */
	SD_BUS_PROPERTY("provisioned", "b", get_flag, OF(provisioned),
	    SD_BUS_VTABLE_HIDDEN),
	SD_BUS_PROPERTY("peerConnected", "s", get_connected, OF(connected),
	    SD_BUS_VTABLE_HIDDEN),
	SD_BUS_SIGNAL_WITH_ARGS("PeerProvisioned", SD_BUS_ARGS("b", status), 0),
	SD_BUS_VTABLE_END
};

static const sd_bus_vtable	face_node[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_PROPERTY("Node", "s", get_text, OF(node), CHANGES),
	SD_BUS_PROPERTY("Name", "s", get_text, OF(name), CHANGES),
	SD_BUS_PROPERTY("State", "s", get_self, OF(self), CHANGES),
	SD_BUS_PROPERTY("Since", "t", NULL, OF(since), CHANGES),
	SD_BUS_PROPERTY("ReasonCode", "s", get_reason, OF(reason), CHANGES),
	SD_BUS_PROPERTY("ReasonText", "s", get_reason, OF(reason), CHANGES),
	SD_BUS_PROPERTY("Remedy", "s", get_reason, OF(reason), CHANGES),
	SD_BUS_PROPERTY("ReasonField", "s", get_text, OF(field), CHANGES),
	SD_BUS_PROPERTY("ReasonExpected", "s", get_text, OF(expected), CHANGES),
	SD_BUS_PROPERTY("ReasonSeen", "s", get_text, OF(seen), CHANGES),
	SD_BUS_VTABLE_END
};

void
face_add(sd_bus *bus)
{
	/* sd-bus reads it only: no property can be written. */
	void	*node = (void *)(uintptr_t)view_node();
	int	 r;

	if ((r = sd_bus_add_object_vtable(bus, NULL, BUS_ROOT, BUS_IFACE, face,
	    node)) < 0 || (r = sd_bus_add_object_vtable(bus, NULL, BUS_ROOT,
	    BUS_IFACE_NODE, face_node, node)) < 0) {
		errno = -r;
		fatal("bus: %s", BUS_ROOT);
	}
}

/* ---- what changed ------------------------------------------------------------------ */

void
face_emit(const char *path, const char *iface, char **names)
{
	int	r;

	/* Until the names are ours, nobody can know whose signal it is. */
	if (*names == NULL || !bus_named())
		return;
	r = sd_bus_emit_properties_changed_strv(bus_get(), path, iface, names);
	if (r < 0)	/* the bus goes, which bus.c is told, too */
		log_debug("%s: %s", path, strerror(-r));
}

#define MEMBER(name, kind, member)					\
	{ name, MEMBER_##kind, OF(member) }

void
face_node_changed(const struct msg_bus_node *before)
{
	static const struct member	of_face[] = {
		MEMBER("Provisioned", FLAG, provisioned),
		MEMBER("PeerConnected", U32, connected),
	}, of_node[] = {
		MEMBER("Node", TEXT, node),
		MEMBER("Name", TEXT, name),
		MEMBER("State", U32, self),
		MEMBER("Since", U64, since),
		MEMBER("ReasonCode", U32, reason),
		MEMBER("ReasonText", U32, reason),
		MEMBER("Remedy", U32, reason),
		MEMBER("ReasonField", TEXT, field),
		MEMBER("ReasonExpected", TEXT, expected),
		MEMBER("ReasonSeen", TEXT, seen),
	};

	changed_emit(BUS_ROOT, BUS_IFACE, of_face,
	    sizeof(of_face) / sizeof(of_face[0]), before, view_node());
	changed_emit(BUS_ROOT, BUS_IFACE_NODE, of_node,
	    sizeof(of_node) / sizeof(of_node[0]), before, view_node());
}

/* Who asked waits for it; what came of itself is seen in the properties. */
void
face_outcome(const struct msg_bus_outcome *m)
{
	if (!m->asked || !bus_named())
		return;
	(void)sd_bus_emit_signal(bus_get(), BUS_ROOT, BUS_IFACE,
	    "PeerProvisioned", "b", (int)m->provisioned);
}
