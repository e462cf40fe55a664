/*
 * Start and confinement: one order for every daemon, one row a process.
 */
#ifndef CONFINE_H
#define CONFINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf.h"

/* The flags every daemon takes: -n -f file -d -v -D (and attestd's -Q, -R). */
struct start_opts {
	const char	*conf_path;
	bool		 check;		/* -n: read the configuration and exit */
	bool		 foreground;	/* -d */
	bool		 developer;	/* -D: no chroot, no change of uid; refused as root */
	int		 verbose;	/* -v, -vv, -vvv */
	int		 mode;		/* 'Q', 'R' or 0 */
};

/*
 * One allowed system call. With narg set, allowed only when the masked
 * argument equals value. The reason says who needs it.
 */
struct filter_row {
	int		 nr;		/* SCMP_SYS(...) */
	int		 arg;		/* -1: any arguments */
	uint64_t	 mask, value;
	const char	*why;
};

struct confine {
	const char	*role;		/* "keyd": name, user _keyd, directory */
	const char	*user;		/* "_keyd" */
	bool		 state_root;	/* root is state_dir/role, else run_dir/role */
	uint64_t	 caps;		/* capabilities kept until start is over */
	unsigned	 nofile;
	const struct filter_row *filter;	/* beside the base that all have */
	size_t		 nfilter;
};

/* Parse the options; prints usage and exits on --help or a wrong one. */
void	start_options(int argc, char **argv, const char *modes,
	    struct start_opts *);
/* Create what is missing of a role's directories, as root; fatal on error. */
void	start_dirs(const struct confine *, const struct conf *);
/*
 * DESIGN section 1, in this order: root directory, user, capabilities, no new
 * privileges, not dumpable, no core, limits, proof that root is gone. Any
 * failure is fatal. hub_path is written: where hub.sock is seen from now on.
 */
void	confine_user(const struct confine *, const struct conf *,
	    const struct start_opts *, char *hub_path, size_t hub_size);
/* The last step: the system call filter. */
void	confine_filter(const struct confine *);
/* sd_notify(3) READY=1 without the library; nothing if NOTIFY_SOCKET is unset.
 * The socket is opened by start_options(), before confinement. */
void	start_ready(void);
bool	confine_developer(void);

#endif
