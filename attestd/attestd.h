/* attestd: the daemon's part. What is pure SPDM is in spdm.h. */
#ifndef ATTESTD_H
#define ATTESTD_H

#include <uv.h>

#include "conf.h"
#include "confine.h"
#include "ipc.h"
#include "spdm_psk.h"
#include "spdm_session.h"

#define JOBS_MAX	32
#define SESSIONS_MAX	64	/* the window of netd's link */

/* ---- conn.c: a connected descriptor, framed ------------------------------ */

struct conn;

struct conn_ops {
	/* One SPDM message, or a secured record; valid during the call. */
	void	(*message)(void *arg, bool secured, const uint8_t *, size_t);
	/* Of no use any more, and why; the owner calls conn_close(). */
	void	(*lost)(void *arg, enum reason, const char *expected,
		    const char *seen);
	/* The time of conn_timer() has come. */
	void	(*timer)(void *arg);
};

/*
 * Takes fd, also on failure (NULL: no memory). max is the longest message
 * that is taken. The connection reads until conn_pause().
 */
struct conn *conn_new(uv_loop_t *, int fd, size_t max, const struct conn_ops *,
	    void *arg);
/* One write(2) a frame; what the kernel does not take follows later. */
void	conn_send(struct conn *, bool secured, const uint8_t *, size_t);
/* How records look on this connection; as long as it lives. */
const struct spdm_binding *conn_binding(const struct conn *);
void	conn_pause(struct conn *);
void	conn_resume(struct conn *);
void	conn_timer(struct conn *, uint64_t ms);	/* 0: no timer */
void	conn_close(struct conn *);		/* NULL is fine */

/* ---- slotset.c: our own slots -------------------------------------------- */

/* The slots as policyd last set them; whoever holds a set keeps it alive. */
struct slotset {
	unsigned		refs;
	struct spdm_slot	slot[SPDM_SLOTS];
};

struct slotset *slotset_new(void);		/* all empty */
struct slotset *slotset_hold(struct slotset *);
void	slotset_release(struct slotset *);	/* NULL is fine */
/* Put a changed copy in *current's place. 0, or -1: the slot is empty now. */
int	slotset_change(struct slotset **current, const struct msg_spdm_slot *);

/* ---- roots.c ------------------------------------------------------------- */

/* They stay where they are; one without a certificate is not set. */
const struct spdm_root *roots_get(size_t *n);
void	roots_clear(void);
int	attestd_root_set(struct chan *, const struct ipc_call *, const void *);

/* ---- job.c: attestd -Q --------------------------------------------------- */

void	job_init(uv_loop_t *);
void	job_stop(void);		/* every job ends without a word */
int	attestq_job_open(struct chan *, const struct ipc_call *, const void *);
int	attestq_job_cancel(struct chan *, const struct ipc_call *,
	    const void *);
int	attestq_slot(struct chan *, const struct ipc_call *, const void *);
int	attestq_component_chain(struct chan *, const struct ipc_call *,
	    const void *);
int	attestq_dialled(struct chan *, const struct ipc_call *, const void *);

/* ---- session.c: attestd -R ----------------------------------------------- */

struct session_conf {
	uint32_t	 versions;	/* SPDM_ALLOW_ bits */
	bool		 mutual;	/* a secured session is for those that
					   show a chain to an accepted root */
	uint8_t		 heartbeat;	/* seconds */
	/* What was measured at start, without the PCRs. */
	const struct measure_set *measures;
};

void	session_init(uv_loop_t *, const struct session_conf *);
void	session_stop(void);
int	attestr_slot(struct chan *, const struct ipc_call *, const void *);
int	attestr_accepted(struct chan *, const struct ipc_call *, const void *);

/* ---- random.c ------------------------------------------------------------ */

void	attestd_random(void *, uint8_t *, size_t);
/* Everything that OpenSSL and libc load lazily, before confinement. */
void	attestd_warm(void);

/* ---- dispatch.c, filter.c ------------------------------------------------ */

extern const struct hub_peer	attestq_peers[], attestr_peers[];
extern const size_t		attestq_npeers, attestr_npeers;
extern const struct confine	attestq_confine, attestr_confine;

#endif
