/*
 * What policyd may ask of the kernel beside what every daemon may. It opens
 * no socket: it accepts on the UNIX ones that were bound before, and makes
 * pairs. The files are SQLite's, below policyd's own root; the store is
 * locked for good (locking_mode EXCLUSIVE), so there is no shared memory.
 */
#include <sys/socket.h>

#include <fcntl.h>
#include <seccomp.h>

#include "confine.h"
#include "policyd.h"

static const struct filter_row rows[] = {
	FILTER_ANY(accept4, "daemons and operators: listeners bound at start"),
	FILTER_IS(socketpair, 0, AF_UNIX, "links between daemons"),
	FILTER_ANY(openat, "SQLite: log, directory to sync"),
	FILTER_ANY(open, "SQLite, where libc has no openat in open(3)"),
	FILTER_ANY(pread64, "SQLite: pages"),
	FILTER_ANY(pwrite64, "SQLite: pages"),
	FILTER_ANY(lseek, "SQLite: a file system without pread"),
	FILTER_ANY(fdatasync, "SQLite: a commit is on disk"),
	FILTER_ANY(fsync, "SQLite: a new file's directory is on disk"),
	FILTER_ANY(ftruncate, "SQLite: the log starts over"),
	FILTER_ANY(unlink, "SQLite: the log at a clean end"),
	FILTER_ANY(access, "SQLite: is there a log"),
	FILTER_ANY(faccessat, "SQLite, where libc has no access"),
	FILTER_ANY(stat, "SQLite: is the file still the one that was opened"),
	FILTER_ANY(fstat, "SQLite: size of a file"),
	FILTER_ANY(newfstatat, "SQLite: size of a file"),
	FILTER_ANY(lstat, "SQLite: name of a file"),
	FILTER_IS(fcntl, 1, F_SETLK, "SQLite: locks"),
	FILTER_IS(fcntl, 1, F_GETLK, "SQLite: locks"),
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
