/*
 * netd: every network socket of the suite. See netd.c for what it holds,
 * does and refuses, and netd(8).
 */
#ifndef NETD_H
#define NETD_H

#include <sys/socket.h>

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf.h"
#include "confine.h"
#include "ipc.h"
#include "reason.h"

struct uv_loop_s;

#define NETD_ADDR_MAX	65	/* text of an address with its zone, and NUL */

/* ---- dispatch.c: who may send what ------------------------------------- */

extern const struct hub_peer	netd_peers[];
extern const size_t		netd_npeers;

int	netd_net_identity(struct chan *, const struct ipc_call *, const void *);
int	netd_peer_set(struct chan *, const struct ipc_call *, const void *);
int	netd_peer_drop(struct chan *, const struct ipc_call *, const void *);
int	netd_peers_end(struct chan *, const struct ipc_call *, const void *);
int	netd_dial_spdm(struct chan *, const struct ipc_call *, const void *);
int	netd_http_over(struct chan *, const struct ipc_call *, const void *);

/* ---- filter.c ---------------------------------------------------------- */

extern const struct confine	netd_confine;
/* The same, with what this configuration needs beside it. */
struct confine	netd_confine_for(const struct conf *);

/* ---- addr.c: addresses as text and as sockaddr, pure ------------------- */

struct link;

/*
 * An IP literal, never a name. A link-local address is one on our
 * interface: it gets that scope, and may say it ("fe80::1%eth1"). 0 or -1.
 */
int	addr_parse(const char *text, uint16_t port, const struct link *,
	    struct sockaddr_storage *, socklen_t *);
/* "192.0.2.1", "fe80::1": mapped IPv4 as IPv4, no zone, no port; "mctp" for
 * whoever came over a bridge. */
void	addr_text(const struct sockaddr_storage *, char *, size_t);
/* Is it inside of a prefix of the interface, or link-local? */
bool	addr_onlink(const struct sockaddr_storage *, const struct link *);
/* The host in 16 bytes, IPv4 as IPv4-mapped; false if it is none. */
bool	addr_host(const struct sockaddr_storage *, uint8_t out[16]);
/* What one subscriber has at least: the /64 of an IPv6 address (RFC 6177). */
struct sockaddr_storage addr_block(const struct sockaddr_storage *);
/* The same host? Ports are ignored, mapped IPv4 is IPv4. */
bool	addr_same(const struct sockaddr_storage *,
	    const struct sockaddr_storage *);

/* ---- limit.c: how much a stranger may take ----------------------------- */

enum limit_class {
	LIMIT_TLS,	/* TLS connections that strangers opened */
	LIMIT_HALF,	/* those of them whose handshake is not complete */
	LIMIT_SPDM,	/* SPDM sessions handed to attestd -R */
	LIMIT_HTTP,	/* connections handed to enrold */
	LIMIT_NCLASSES
};

/* Bounds in all and for each address; 0 means none are let in. */
void	limit_init(const struct conf *);
/*
 * R_OK, and limit_release() is owed; or the reason for which it is refused.
 * known: it is the address of a trusted peer.
 */
enum reason limit_take(const struct sockaddr_storage *, enum limit_class,
	    bool known);
void	limit_release(const struct sockaddr_storage *, enum limit_class);
unsigned limit_total(enum limit_class);
void	limit_free(void);

/* ---- door.c: connections that enrold has --------------------------------- */

void	door_init(const struct conf *);	/* after limit_init() */
/*
 * Hand a connection on this listener to enrold (NULL: it is not there). R_OK,
 * and fd is gone; or why not, and fd is still the caller's.
 */
enum reason door_hand(struct chan *enrold, int fd,
	    const struct sockaddr_storage *from, unsigned listener);
void	door_gone(void);	/* enrold has gone: all are over */
unsigned door_total(void);
void	door_free(void);

/* ---- listen.c: the ports that strangers may connect to ------------------- */

/* Before confinement; 0, or -1 logged. */
int	listen_open(const struct conf *);
int	listen_start(struct uv_loop_s *);
void	listen_stop(void);

/* ---- dial.c: connections that we open ---------------------------------- */

struct dial;

/*
 * fd is connected, non-blocking, close-on-exec and the callee's; or -1 with
 * the reason. Called exactly once unless cancelled, never from inside
 * dial_start(). The dial is freed afterwards.
 */
typedef void (*dial_fn)(int fd, enum reason, void *arg);

void	dial_init(struct uv_loop_s *);
/* NULL if too many are under way, or no memory: the caller tries again. */
struct dial *dial_start(const char *address, uint16_t port,
	    uint32_t timeout_ms, dial_fn done, void *arg);
void	dial_cancel(struct dial *);	/* done is not called; NULL is fine */
void	dial_stop(void);		/* the end: done gets R_IPC_CLOSED */
/* TCP_NODELAY and keepalive, for every connection; 0 or -1. */
int	dial_tune(int fd);

/* ---- lldp.c: the LLDPDU of IEEE 802.1AB-2016, pure --------------------- */
/* see lldp.h */

/* ---- neighbour.c: who was heard ---------------------------------------- */
/* see lldp.h */

/* ---- lldp_io.c: the packet socket -------------------------------------- */

/* Before CAP_NET_RAW goes; 0, or -1 logged. */
int	lldp_open(const struct conf *);
int	lldp_start(struct uv_loop_s *, const struct conf *);
void	lldp_name(const char *);	/* the system name we announce */
void	lldp_report(void);	/* every neighbour to policyd */
void	lldp_changed(void);	/* the link or our addresses: announce anew */
void	lldp_stop(void);		/* shutdown frame, then closed */

/* ---- netlink.c: the interface comes, goes, has addresses --------------- */

#define LINK_ADDRS	8

struct link {
	char		name[IF_NAMESIZE];	/* empty: none is configured */
	unsigned	index;		/* 0: there is no such interface */
	bool		up;		/* has a carrier, and is not shut */
	bool		ethernet;
	uint8_t		mac[6];	/* if ethernet */
	uint8_t		naddr4, naddr6;
	struct in_addr	addr4[LINK_ADDRS];
	struct in6_addr	addr6[LINK_ADDRS];	/* link-local last */
	uint8_t		len4[LINK_ADDRS];	/* bits of the prefix */
	uint8_t		len6[LINK_ADDRS];
};

/* Before confinement; 0, or -1 logged. */
int	link_open(const struct conf *);
int	link_start(struct uv_loop_s *);
const struct link *link_now(void);
/*
 * Is this address a neighbour's on our interface, by the prefixes that it has
 * or had last? True for no address: who knows.
 */
bool	link_reaches(const char *address);
void	link_stop(void);

/* ---- tls.c, peers.c, peerlink.c: the peer channel; see tls.h ------------- */

/* Is this the address of a trusted peer, as policyd gave it? */
bool	peer_at(const struct sockaddr_storage *);

/* Before confinement: all that OpenSSL loads lazily. */
int	tls_init(const struct conf *);
int	peers_init(struct uv_loop_s *, const struct conf *);
/*
 * A connection on the mtls port, already counted under LIMIT_TLS and
 * LIMIT_HALF for this address; takes fd, and owes both limit_release().
 * 0, or -1 if it could not be taken (fd and limits have been given back).
 */
int	peerlink_accept(int fd, const struct sockaddr_storage *from);
/*
 * Our interface lost its carrier (or vanished): connections with those that
 * it reaches are over. Or it has it back: redial now.
 */
void	peers_link(bool up);
/* A link to this sister is up or gone; with policyd, tell PEER_LINKs anew. */
void	peers_hub(enum ipc_role, bool up);
void	peers_stop(void);		/* close every connection */

#endif
