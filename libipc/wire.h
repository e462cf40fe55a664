/* One record with its descriptor, to and from a SOCK_SEQPACKET socket. */
#ifndef WIRE_H
#define WIRE_H

#include "ipc.h"

#define WIRE_FDS_MAX	2	/* descriptors received: one too many is seen */

struct arrival {
	uint8_t		 buf[IPC_MAX_RECORD];
	size_t		 len;
	bool		 truncated;	/* longer than a record may be */
	bool		 lost;		/* the kernel kept descriptors back */
	int		 fds[WIRE_FDS_MAX];
	unsigned	 nfds;
};

/* fd goes along unless it is -1. 0, or -1 with errno. Never blocks. */
int	wire_send(int sock, const uint8_t *, size_t, int fd);
/* 1 a record, 0 nothing there, -1 the peer has gone. */
int	wire_recv(int sock, struct arrival *);
void	arrival_close(struct arrival *);	/* descriptors nobody took */

#endif
