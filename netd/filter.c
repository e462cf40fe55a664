/* The row of netd, and the system calls it needs beside those of everybody. */
#include <linux/capability.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <fcntl.h>
#include <seccomp.h>
#include <stdint.h>

#include "mctp.h"
#include "netd.h"

/*
 * No AF_PACKET, AF_NETLINK or raw socket: those that netd has were opened
 * before. No bind or listen: nobody else's port can be taken.
 */
#define TYPE	0xf	/* of a socket, without SOCK_NONBLOCK and _CLOEXEC */

static const struct filter_row	rows[] = {
	FILTER_BOTH(socket, 0, AF_INET, 1, TYPE, SOCK_STREAM,
	    "dial.c: a connection to a peer"),
	FILTER_BOTH(socket, 0, AF_INET6, 1, TYPE, SOCK_STREAM,
	    "dial.c: a connection to a peer"),
	FILTER_BOTH(socket, 0, AF_UNIX, 1, TYPE, SOCK_SEQPACKET,
	    "hub: policyd was started anew; mctp.c: a bridge"),
	FILTER_ANY(connect, "dial.c, mctp.c; hub: policyd was started anew"),
	FILTER_ANY(accept4, "listen.c"),
	FILTER_BOTH(setsockopt, 1, IPPROTO_TCP, 2, UINT32_MAX, TCP_NODELAY,
	    "dial_tune()"),
	FILTER_BOTH(setsockopt, 1, IPPROTO_TCP, 2, UINT32_MAX, TCP_KEEPIDLE,
	    "dial_tune()"),
	FILTER_BOTH(setsockopt, 1, IPPROTO_TCP, 2, UINT32_MAX, TCP_KEEPINTVL,
	    "dial_tune()"),
	FILTER_BOTH(setsockopt, 1, IPPROTO_TCP, 2, UINT32_MAX, TCP_KEEPCNT,
	    "dial_tune()"),
	FILTER_BOTH(setsockopt, 1, SOL_SOCKET, 2, UINT32_MAX, SO_KEEPALIVE,
	    "dial_tune()"),
	FILTER_BOTH(setsockopt, 1, SOL_PACKET, 2, UINT32_MAX,
	    PACKET_ADD_MEMBERSHIP,
	    "lldp_io.c: the interface came back"),
	FILTER_IS(fcntl, 1, F_DUPFD_CLOEXEC,
	    "listen.c: the descriptor in reserve"),
};

/* Only where the configuration has the kernel's MCTP: most have not. */
static const struct filter_row	mctp_rows[] = {
	FILTER_BOTH(socket, 0, AF_MCTP, 1, TYPE, SOCK_DGRAM,
	    "mctp.c: a peer over the kernel's MCTP"),
	FILTER_BOTH(socketpair, 0, AF_UNIX, 1, TYPE, SOCK_SEQPACKET,
	    "mctp.c: attestd's end of it"),
};

const struct confine	netd_confine = {
	.role = "netd",
	.user = "_netd",
	/* The second one only where the kernel's MCTP is listened to. */
	.caps = 1ULL << CAP_NET_RAW | 1ULL << CAP_NET_BIND_SERVICE,
	/* A connection with each of PEERS_MAX, and as many that come or go. */
	.nofile = 16384,
	.filter = rows,
	.nfilter = sizeof(rows) / sizeof(rows[0]),
};

struct confine
netd_confine_for(const struct conf *conf)
{
	struct confine	c = netd_confine;

	if (mctp_wanted(conf)) {
		c.more = mctp_rows;
		c.nmore = sizeof(mctp_rows) / sizeof(mctp_rows[0]);
	}
	return c;
}
