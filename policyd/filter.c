/*
 * What policyd may ask of the kernel beside what every daemon may. It opens
 * no socket: it accepts on the UNIX ones that were bound before, and makes
 * pairs. The store and its log are open before the filter is there, and it is
 * locked for good (locking_mode EXCLUSIVE), so SQLite needs no shared memory
 * and opens nothing afterwards but, once, the directory to sync it.
 */
#include <sys/socket.h>

#include <fcntl.h>
#include <seccomp.h>

#include "confine.h"
#include "policyd.h"

static const struct filter_row rows[] = {
	FILTER_ANY(accept4, "daemons and operators: listeners bound at start"),
	FILTER_IS(socketpair, 0, AF_UNIX, "links between daemons"),
	{ SCMP_SYS(openat), 2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY,
	    "SQLite: the directory, to sync a new log", 0, 0, 0 },
	FILTER_ANY(pread64, "SQLite: pages"),
	FILTER_ANY(pwrite64, "SQLite: pages"),
	FILTER_ANY(fdatasync, "SQLite: a commit is on disk"),
	FILTER_ANY(ftruncate, "SQLite: the store shrinks"),
	FILTER_ANY(unlink, "SQLite: the log, at a clean end"),
	FILTER_ANY(stat, "SQLite: is the file still the one it opened"),
	FILTER_ANY(fstat, "SQLite: size of a file"),
	FILTER_ANY(access, "may a read-only store be written again"),
	FILTER_ANY(faccessat, "the same, where there is no access(2)"),
	FILTER_ANY(newfstatat, "SQLite: the same two, by newer libcs"),
	FILTER_IS(fcntl, 1, F_SETLK, "SQLite: locks, at the end"),
};

const struct confine policyd_confine = {
	.role = "policyd",
	.user = "_policyd",
	.state_root = true,
	.writes = true,
	.caps = 0,
	.nofile = 128,
	.filter = rows,
	.nfilter = sizeof(rows) / sizeof(rows[0]),
};
