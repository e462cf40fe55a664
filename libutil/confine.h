/*
 * Start and confinement: one order for every daemon, one row a process.
 */
#ifndef CONFINE_H
#define CONFINE_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf.h"

#define PROVD_VERSION	"1.0"

/* The flags every daemon takes: -n -f file -d -v -D (and attestd's -Q, -R). */
struct start_opts {
	const char	*conf_path;
	bool		 check;		/* -n: read the configuration and exit */
	bool		 foreground;	/* -d */
	bool		 developer;	/* -D: no chroot, no change of uid; refused as root */
	bool		 verbose;	/* -v */
	int		 mode;		/* 'Q', 'R' or 0 */
};

/*
 * One allowed system call. With arg 0 to 5, allowed only when that argument
 * under the mask equals value; several rows of one call are alternatives.
 * The reason says who needs it.
 */
struct filter_row {
	int		 nr;		/* SCMP_SYS(...) */
	int		 arg;		/* -1: any arguments */
	uint64_t	 mask, value;
	const char	*why;
	int		 arg2;		/* and this one too, unless mask2 is 0 */
	uint64_t	 mask2, value2;
};

#define FILTER_ANY(call, why)	{ SCMP_SYS(call), -1, 0, 0, why, 0, 0, 0 }
/* The argument is this 32-bit value; the upper half is not looked at. */
#define FILTER_IS(call, arg, value, why) \
	{ SCMP_SYS(call), arg, UINT32_MAX, (uint32_t)(value), why, 0, 0, 0 }
/* Two arguments, the second one under a mask. */
#define FILTER_BOTH(call, arg, value, arg2, mask2, value2, why) \
	{ SCMP_SYS(call), arg, UINT32_MAX, (uint32_t)(value), why, \
	    arg2, mask2, value2 }

struct confine {
	const char	*role;		/* "keyd": name and directory */
	const char	*user;		/* "_keyd" */
	bool		 state_root;	/* root is state_dir/role, else run_dir/role */
	bool		 writes;	/* makes or grows files (RLIMIT_FSIZE) */
	uint64_t	 caps;		/* 1 << CAP_x: needed until start is over,
					   lent by the unit beside CAP_SYS_CHROOT */
	unsigned	 nofile;
	const struct filter_row *filter;	/* beside the base that all have */
	size_t		 nfilter;
	const struct filter_row *more;	/* what the configuration asks for */
	size_t		 nmore;
};

/* ---- start.c ----------------------------------------------------------- */

/*
 * Parse the options; prints usage and exits on --help or a wrong one. Closes
 * what was inherited, empties the environment, goes into the background
 * (unless -d or -n): the parent waits until confine_user() has returned in
 * the child, and exits 0, or with the child's status.
 */
void	start_options(int argc, char **argv, const char *modes,
	    struct start_opts *);
/*
 * conf_parse() of the file that the options name. Exits 1 after errors, and
 * 0 after -n with the words "configuration OK".
 */
struct conf *start_conf(const struct start_opts *);
/*
 * sd_notify(3) without the library; nothing of it where NOTIFY_SOCKET is unset.
 * The socket is opened by start_options(), before confinement.
 *
 * READY=1, once: the daemon is confined and has its links. From then on, where
 * the unit has WatchdogSec=, the loop says every half of it that it turns.
 */
void	start_ready(void);
void	start_status(const char *);	/* STATUS=, for people */
void	start_stopping(void);		/* loop.c calls it at the first signal */
void	start_detach(void);		/* confine_user() calls it */

/* ---- loop.c ------------------------------------------------------------ */

struct uv_loop_s;
/* Makes the loop; end() runs on SIGTERM and on SIGINT, until loop_end(). */
void	loop_start(struct uv_loop_s *, void (*end)(void));
void	loop_end(void);
/* If there is a loop, its turns are told to alive(), every ms; again soon if
 * it could not do with it. */
void	loop_watchdog(uint64_t ms, bool (*alive)(void));

/* ---- confine.c --------------------------------------------------------- */

/* Every directory of the suite; also what provctl check looks at. */
struct confine_dir {
	bool		 state;		/* below state_dir, else run_dir */
	const char	*path;		/* "" is the directory itself */
	const char	*owner, *group;
	mode_t		 mode;
};
extern const struct confine_dir confine_dirs[];
extern const size_t confine_ndirs;
/* That of enrold only where it has a listener, of busd only with D-Bus. */
bool	confine_dir_needed(const struct confine_dir *, const struct conf *);
/* 0, or -1 if it does not fit. */
int	confine_dir_path(const struct confine_dir *, const struct conf *,
	    char *, size_t);
/*
 * Seen from outside of every chroot: the root of a role ("attestd-q"), and
 * the hub socket that policyd binds there. 0, or -1 if it does not fit.
 */
int	confine_root_path(const struct conf *, const char *role, char *,
	    size_t);
int	confine_hub_path(const struct conf *, const char *role, char *,
	    size_t);
/* The user of a role, "_keyd" of "keyd"; NULL if there is no such role. */
const char *confine_role_user(const char *role);

/* Create what is missing of the directories, as root (or with -D as oneself);
 * fatal on error. */
void	start_dirs(const struct confine *, const struct conf *);
/*
 * For who must be its user before it is confined, as busd for the message bus:
 * root becomes the row's user, with what a unit lends it, CAP_SYS_CHROOT and
 * no more. confine_user() then does the rest, as under systemd.
 */
void	confine_become(const struct confine *, const struct start_opts *);
/*
 * DESIGN section 1, in this order: root directory, user, capabilities, no new
 * privileges, not dumpable, no core, limits, proof that root is gone. Any
 * failure is fatal. hub_path is written: where hub.sock is seen from now on.
 */
void	confine_user(const struct confine *, const struct conf *,
	    const struct start_opts *, char *hub_path, size_t hub_size);
bool	confine_developer(void);

/* ---- filter.c ---------------------------------------------------------- */

/* The last step: the system call filter. */
void	confine_filter(const struct confine *);
/* The rows that every daemon has. */
extern const struct filter_row filter_base[];
extern const size_t filter_nbase;

#endif
