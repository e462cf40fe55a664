/*
 * busd: types and prototypes, grouped by file.
 *
 * One thread, one loop. sd-bus is driven from libuv (bus.c); what policyd
 * said is kept in view.c, and every object on the bus is made from there.
 *
 * Rules for whoever adds a vtable:
 * - SD_BUS_VTABLE_UNPRIVILEGED on every method: without it sd-bus asks the
 *   bus, blocking, for the caller's capabilities. Who may is policyd's answer.
 * - no sd_bus_call(), sd_bus_query_sender_creds(), sd_bus_flush(), sd_bus_wait()
 *   and nothing synchronous else; nothing that opens a file or a socket.
 * - what is queued for the bus goes out at the loop's next turn by itself.
 */
#ifndef BUSD_H
#define BUSD_H

#include <sys/queue.h>
#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-bus.h>
#include <uv.h>

#include "conf.h"
#include "confine.h"
#include "ipc.h"

#define BUS_NAME	"xyz.openbmc_project.Provisioning"
#define BUS_NAME_ATTEST	"xyz.openbmc_project.attestation"
#define BUS_ROOT	"/xyz/openbmc_project/Provisioning"
#define BUS_PEERS	BUS_ROOT "/peers"
#define BUS_PROGRESS	BUS_ROOT "/progress"
#define BUS_DEBUG	"/xyz/openbmc_project/Debug"
#define BUS_IFACE	"xyz.openbmc_project.Provisioning.Provisioning"
#define BUS_IFACE_NODE	"xyz.openbmc_project.Provisioning.Node"
#define BUS_IFACE_PEER	"xyz.openbmc_project.Provisioning.Peer"
#define BUS_IFACE_DEBUG	"xyz.openbmc_project.Provisioning.DebugControl"

#define NAME_SELF	"self"	/* as an argument: this node */
#define NAME_LEN	64	/* bytes of a peer's name, at most */

/* ---- busd.c --------------------------------------------------------------- */

void	busd_ready(void);	/* look whether we are, and say so once */
void	busd_end(void);

/* ---- bus.c: the connection ------------------------------------------------ */

/*
 * Connect to the bus's socket, before the chroot; waits for a bus that is not
 * there yet (BUS-001, logged once). The connected descriptor; fatal on error.
 */
int	bus_connect(const char *path);
/*
 * Make sd-bus of the descriptor, with every object of ours: what it asks the
 * kernel about the descriptor it asks now, before the filter.
 */
void	bus_init(int fd);
/* Drive it from the loop. */
void	bus_start(uv_loop_t *);
uv_loop_t *bus_loop(void);	/* that loop */
/* policyd has told all: ask for our names. Objects are shown from now on. */
void	bus_publish(void);
bool	bus_named(void);	/* both names are settled */
bool	bus_lost(void);		/* or our name: end, and be started anew */
void	bus_stop(void);
sd_bus	*bus_get(void);		/* NULL before bus_init() and after bus_stop() */

/* ---- view.c: what policyd said last ---------------------------------------- */

struct view_peer {
	struct msg_bus_peer	 m;
	char			*path;	/* of its object, below BUS_PEERS */
	TAILQ_ENTRY(view_peer)	 entry;
	LIST_ENTRY(view_peer)	 by_id, by_name;
};

const struct msg_bus_node *view_node(void);	/* zeroes before policyd spoke */
/* Everything was told: before this nobody is shown and nothing is signalled. */
bool	view_told(void);
struct view_peer *view_peer_byid(uint32_t peer);
struct view_peer *view_peer_byname(const char *);
struct view_peer *view_peer_bypath(const char *);	/* exactly this path */
/* In the order in which policyd named them; NULL at the end. */
struct view_peer *view_first(void);
struct view_peer *view_next(struct view_peer *);
size_t	view_count(void);
void	view_stop(void);

/* Handlers of what policyd says. */
int	view_set_node(struct chan *, const struct ipc_call *, const void *);
int	view_set_peer(struct chan *, const struct ipc_call *, const void *);
int	view_peer_gone(struct chan *, const struct ipc_call *, const void *);
int	view_end(struct chan *, const struct ipc_call *, const void *);
int	view_step(struct chan *, const struct ipc_call *, const void *);
int	view_outcome(struct chan *, const struct ipc_call *, const void *);

/* ---- call.c: what a caller wants -------------------------------------------- */

/*
 * What every method uses that policyd decides: fetch the caller's uid from the
 * bus, hold the limits (of a caller, of a user, of all), ask policyd, and
 * answer m: with nothing (BUS_LOG_LEVEL: with true), or the error of error.c.
 * type is one of BUS_PROVISION, BUS_UNPROVISION, BUS_REVOKE (of the peer name)
 * and BUS_LOG_LEVEL (name is the word for level). The return value is the
 * method handler's. A name that no peer can have is refused here.
 */
int	call_forward(sd_bus_message *m, enum ipc_type type, const char *name,
	    uint32_t level);
void	call_stop(void);

/* ---- error.c: reasons as D-Bus errors ---------------------------------------- */

/* "xyz.openbmc_project.Common.Error.NotAllowed" and the like. */
const char *error_name(enum reason);
/*
 * Answer a call with a reason of ours, counted and the first one of its kind
 * logged: "BUS-004 text field expected X seen Y remedy". Any of the three may
 * be NULL or empty. Returns 1, which a method handler returns.
 */
int	error_reply(sd_bus_message *, enum reason, const char *field,
	    const char *expected, const char *seen);
/* The same for a reason of policyd, which counts and logs its own. */
int	error_relay(sd_bus_message *, enum reason, const char *field,
	    const char *expected, const char *seen);

/* ---- face.c: the Provisioning interface ---------------------------------------- */

void	face_add(sd_bus *);		/* its vtables, once */
void	face_node_changed(const struct msg_bus_node *before);
void	face_outcome(const struct msg_bus_outcome *);
/* BUS_IFACE ".PeerConnectionStatus.Connected" */
const char *face_connected(uint32_t);
/* Property getters for a vtable whose offsets lead to a member of userdata. */
int	get_flag(sd_bus *, const char *path, const char *iface,
	    const char *property, sd_bus_message *, void *, sd_bus_error *);
int	get_text(sd_bus *, const char *, const char *, const char *,
	    sd_bus_message *, void *, sd_bus_error *);	/* char member[] */
int	get_connected(sd_bus *, const char *, const char *, const char *,
	    sd_bus_message *, void *, sd_bus_error *);	/* uint32_t */
/* ReasonCode, ReasonText or Remedy, by the property's name; of a uint32_t. */
int	get_reason(sd_bus *, const char *, const char *, const char *,
	    sd_bus_message *, void *, sd_bus_error *);
/* One PropertiesChanged with these names, NULL at the end; none if empty. */
void	face_emit(const char *path, const char *iface, char **names);

/* ---- debug.c: DebugControl -------------------------------------------------------- */

void	debug_add(sd_bus *);
/* policyd accepted the level that somebody on the bus set with this word. */
void	debug_accepted(const char *word);

/* ---- changed.c: what PropertiesChanged says ------------------------------------------ */

/* A property, and a member of a struct that it is made from. */
struct member {
	const char	*name;
	enum { MEMBER_TEXT, MEMBER_FLAG, MEMBER_U32, MEMBER_U64 } kind;
	size_t		 offset;
};

#define MEMBERS_MAX	32

/*
 * One signal with exactly the properties that differ, none if none does. One
 * that is made from several members has them side by side in the list.
 */
void	changed_emit(const char *path, const char *iface, const struct member *,
	    size_t n, const void *before, const void *now);

/* ---- peer.c: one object a peer ---------------------------------------------------- */

void	peer_objects_add(sd_bus *);
/* For an enumerator: what ends below as the peers' objects end below theirs. */
int	peer_nodes(const char *below, char ***nodes);
/* Only once view_told(). v->m is new already; before is how it was. */
void	peer_object_added(struct view_peer *);
void	peer_object_changed(struct view_peer *, const struct msg_bus_peer *before);
/* Still in the view; it goes after this. */
void	peer_object_removed(struct view_peer *);

/* ---- progress.c: a ProvisionPeer under way ------------------------------------------ */

void	progress_add(sd_bus *);
/* policyd accepted BUS_PROVISION of this name (or NAME_SELF). */
void	progress_accepted(const char *name);
void	progress_step(const struct msg_bus_step *);
void	progress_outcome(const struct msg_bus_outcome *);
void	progress_removed(struct view_peer *);	/* the peer goes */
void	progress_stop(void);

/* ---- attestation.c: OpenBMC's names for it ------------------------------------------- */

void	attestation_add(sd_bus *);
void	attestation_added(struct view_peer *);
void	attestation_changed(struct view_peer *, const struct msg_bus_peer *before);
void	attestation_removed(struct view_peer *);
void	attestation_outcome(const struct msg_bus_outcome *);

/* ---- lldp.c: neighbours from a service on the bus -------------------------------------- */

/* Frames of which interface count, before the start; else those of any. */
void	lldp_interface(const char *);
/*
 * Only with 'neighbours from dbus', once: the bus is ready and policyd linked.
 */
void	lldp_start(uv_loop_t *, sd_bus *);
void	lldp_stop(void);

/* ---- dispatch.c ---------------------------------------------------------- */

extern const struct hub_peer busd_peers[];
extern const size_t busd_npeers;
void	busd_down(enum ipc_role);

/* ---- filter.c ------------------------------------------------------------ */

extern const struct confine busd_confine;

#endif
