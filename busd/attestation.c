/*
 * OpenBMC's attestation service, as its own tools know it: a device for each
 * peer, that can be told to attest, and the signal Attested. It is said when
 * policyd's own attestation has ended; what another program signals under
 * these names is not listened to here, and decides nothing anywhere.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "busd.h"
#include "log.h"

#define ROOT		"/xyz/openbmc_project/attestation_requester"
#define DEVICES		ROOT "/devices/tcp"
#define RESPONDER	"/xyz/openbmc_project/attestation_responder/tcp/responder1"
#define IFACE_DEVICE	"xyz.openbmc_project.AttestationDevice"
#define IFACE_RESPONDER	"xyz.openbmc_project.AttestationResponder"
#define PATH_LEN	512	/* a name is 64 bytes, encoded 192 at most */

/* Its object there and its object here end alike. */
static void
path_of(const struct view_peer *v, char path[PATH_LEN])
{
	snprintf(path, PATH_LEN, "%s%s", DEVICES, v->path + strlen(BUS_PEERS));
}

static struct view_peer *
peer_at(const char *path)
{
	char	of_peer[PATH_LEN];

	if (strncmp(path, DEVICES "/", strlen(DEVICES "/")) != 0 ||
	    snprintf(of_peer, sizeof(of_peer), "%s%s", BUS_PEERS,
	    path + strlen(DEVICES)) >= (int)sizeof(of_peer))
		return NULL;
	return view_peer_bypath(of_peer);
}

/* ---- the objects --------------------------------------------------------------- */

static int
attest(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	const struct view_peer	*v = arg;

	return call_forward(m, MSG_BUS_PROVISION, v->m.name, 0);
}

/* A string in the original, too. */
static int
get_port(sd_bus *bus, const char *path, const char *iface,
    const char *property, sd_bus_message *reply, void *member,
    sd_bus_error *error)
{
	uint32_t	port = *(const uint32_t *)member;
	char		text[16] = "";

	if (port != 0)
		snprintf(text, sizeof(text), "%u", port);
	return sd_bus_message_append(reply, "s", text);
}

#define OF(member)	(offsetof(struct view_peer, m) +		\
    offsetof(struct msg_bus_peer, member))
#define CHANGES		SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE

static const sd_bus_vtable	device[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("attest", NULL, NULL, attest,
	    SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_PROPERTY("remote_ip", "s", get_text, OF(address), CHANGES),
	SD_BUS_PROPERTY("remote_port", "s", get_port, OF(port), CHANGES),
	SD_BUS_SIGNAL_WITH_ARGS("Attested", SD_BUS_ARGS("b", status), 0),
	SD_BUS_VTABLE_END
};

static const sd_bus_vtable	responder[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_SIGNAL_WITH_ARGS("Attested", SD_BUS_ARGS("b", status), 0),
	SD_BUS_VTABLE_END
};

static const struct member	members[] = {
	{ "remote_ip", MEMBER_TEXT, offsetof(struct msg_bus_peer, address) },
	{ "remote_port", MEMBER_U32, offsetof(struct msg_bus_peer, port) },
};

static int
find(sd_bus *bus, const char *path, const char *iface, void *arg,
    void **found, sd_bus_error *error)
{
	struct view_peer	*v;

	if (!view_told() || (v = peer_at(path)) == NULL)
		return 0;
	*found = v;
	return 1;
}

static int
enumerate(sd_bus *bus, const char *prefix, void *arg, char ***nodes,
    sd_bus_error *error)
{
	return peer_nodes(DEVICES, nodes);
}

void
attestation_add(sd_bus *bus)
{
	int	r;

	if ((r = sd_bus_add_object_manager(bus, NULL, ROOT)) < 0 ||
	    (r = sd_bus_add_fallback_vtable(bus, NULL, DEVICES, IFACE_DEVICE,
	    device, find, NULL)) < 0 ||
	    (r = sd_bus_add_node_enumerator(bus, NULL, DEVICES, enumerate,
	    NULL)) < 0 ||
	    (r = sd_bus_add_object_vtable(bus, NULL, RESPONDER,
	    IFACE_RESPONDER, responder, NULL)) < 0) {
		errno = -r;
		fatal("bus: %s", ROOT);
	}
}

/* ---- what happens ---------------------------------------------------------------- */

void
attestation_added(struct view_peer *v)
{
	char	path[PATH_LEN];

	path_of(v, path);
	if (bus_named())
		(void)sd_bus_emit_interfaces_added(bus_get(), path,
		    IFACE_DEVICE, NULL);
}

void
attestation_changed(struct view_peer *v, const struct msg_bus_peer *before)
{
	char	path[PATH_LEN];

	path_of(v, path);
	if (bus_named())
		changed_emit(path, IFACE_DEVICE, members,
		    sizeof(members) / sizeof(members[0]), before, &v->m);
}

void
attestation_removed(struct view_peer *v)
{
	char	path[PATH_LEN];

	path_of(v, path);
	if (bus_named())
		(void)sd_bus_emit_interfaces_removed(bus_get(), path,
		    IFACE_DEVICE, NULL);
}

static void
attested(const char *path, const char *iface, bool good)
{
	(void)sd_bus_emit_signal(bus_get(), path, iface, "Attested", "b",
	    (int)good);
}

/*
 * The device says it of every attestation of its peer, the responder of those
 * that nobody asked for here: as a rule the peer had attested us. One that is
 * not over yet (CTL-004) is no result, nor is that of the node itself.
 */
void
attestation_outcome(const struct msg_bus_outcome *m)
{
	struct view_peer	*v = view_peer_byid(m->peer);
	char			 path[PATH_LEN];
	bool			 good = m->provisioned && m->reason == R_OK;

	if (v == NULL || m->reason == R_CTL_PENDING || !bus_named())
		return;
	path_of(v, path);
	attested(path, IFACE_DEVICE, good);
	if (!m->asked)
		attested(RESPONDER, IFACE_RESPONDER, good);
}
