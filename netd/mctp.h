/* SPDM over MCTP: a bridge's socket, or the kernel's MCTP; see mctp.c. */
#ifndef MCTP_H
#define MCTP_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reason.h"

struct conf;
struct sockaddr_storage;
struct uv_loop_s;

#ifndef AF_MCTP
#define AF_MCTP	45
#endif

struct mctp_endpoint {
	uint32_t	network;
	uint8_t		eid;
	uint8_t		tag;	/* of a message: MCTP_TAG_OWNER, or what
				   answers it */
};

/* The kernel's part, which a test replaces: few kernels have it. */
struct mctp_kernel {
	int	(*open)(void);		/* descriptor, or -1 and errno */
	/* Take requests of this type on a network. 0, or -1 and errno. */
	int	(*bind)(int fd, uint32_t network, uint8_t type);
	ssize_t	(*send)(int fd, const struct mctp_endpoint *, uint8_t type,
		    const uint8_t *, size_t);
	/* The length that it had, which may be more than size. */
	ssize_t	(*recv)(int fd, struct mctp_endpoint *, uint8_t *type,
		    uint8_t *, size_t size);
};
extern struct mctp_kernel	mctp_kernel;

/* Does a line of the configuration use the kernel's MCTP? */
bool	mctp_wanted(const struct conf *);
/*
 * chrooted: where our root is, so that bridges are found in it; "": it is
 * the root of everybody. kernel: its MCTP may be used, as the filter lets us.
 */
void	mctp_init(struct uv_loop_s *, const char *chrooted, bool kernel);
void	mctp_stop(void);
/* Is the address one of MCTP: a path, or "mctp:NET:EID"? */
bool	mctp_is(const char *address);
/* A SEQPACKET descriptor, connected; or the reason, and *fd may be one to
 * close. */
enum reason mctp_dial(const char *address, int *fd);
/* A socket to which bridges connect, before confinement. -1: errno. */
int	mctp_listen(const char *path);
/*
 * Or requests by the kernel's MCTP: "mctp:NET", before confinement. 0, or -1
 * and errno. Then each endpoint that asks has a descriptor of its own.
 */
int	mctp_bind(const char *where);
typedef void (*mctp_accept_fn)(int fd, const struct sockaddr_storage *from);
void	mctp_serve(mctp_accept_fn);
/* An endpoint as an address, for limits and names. */
void	mctp_address(const struct mctp_endpoint *, struct sockaddr_storage *);
bool	mctp_same(const struct sockaddr_storage *,
	    const struct sockaddr_storage *);
void	mctp_text(const struct sockaddr_storage *, char *, size_t);

#endif
