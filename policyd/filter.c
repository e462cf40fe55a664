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

/* Only where provd.conf has a certificate service. */
static const struct filter_row ca_rows[] = {
	{ SCMP_SYS(openat), 2, O_ACCMODE | O_CREAT | O_TRUNC,
	    O_WRONLY | O_CREAT | O_TRUNC, "crl_file.c: a file takes the place "
	    "of another", 0, 0, 0 },
	{ SCMP_SYS(openat), 2, O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND,
	    O_RDWR | O_CREAT | O_APPEND, "cert_file.c: the log of serials",
	    0, 0, 0 },
	FILTER_ANY(sync_file_range, "cert_file.c: the files of a whole turn"),
	FILTER_ANY(sync_file_range2, "the same, on ARM"),
	FILTER_ANY(mkdir, "cert_file.c: directories that somebody took"),
	FILTER_ANY(mkdirat, "the same, where there is no mkdir(2)"),
	FILTER_ANY(rename, "crl_file.c: the same"),
	FILTER_ANY(renameat, "the same, where there is no rename(2)"),
	FILTER_ANY(memfd_create, "crl_file.c: a CRL, on its way"),
	FILTER_IS(fcntl, 1, F_ADD_SEALS, "crl_file.c: enrold may not wait "
	    "for us to change it"),
	FILTER_IS(fcntl, 1, F_GET_SEALS, "crl_file.c: is it one"),
	FILTER_IS(fcntl, 1, F_DUPFD_CLOEXEC, "crl.c: our end of it"),
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

struct confine
policyd_confine_for(const struct conf *c)
{
	struct confine	row = policyd_confine;

	if (c->ca.name != NULL) {
		row.more = ca_rows;
		row.nmore = sizeof(ca_rows) / sizeof(ca_rows[0]);
	}
	return row;
}
