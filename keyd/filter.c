/*
 * What keyd may ask of the kernel beside what every daemon may: write a key
 * file, and exchange a list in memory that policyd brought. It cannot read a
 * key file any more, nor open the TPM.
 */
#include <sys/mman.h>

#include <fcntl.h>
#include <seccomp.h>

#include "keyd.h"

/* A file that did not exist; a directory, to sync it. */
#define NEW	(O_ACCMODE | O_CREAT | O_EXCL | O_TRUNC)
#define DIRFLAG	(O_ACCMODE | O_CREAT | O_DIRECTORY)

static const struct filter_row rows[] = {
	{ SCMP_SYS(openat), 2, NEW, O_WRONLY | O_CREAT | O_EXCL,
	    "store.c: a new key file", 0, 0, 0 },
	{ SCMP_SYS(openat), 2, DIRFLAG, O_RDONLY | O_DIRECTORY,
	    "store.c: its directory, to sync it", 0, 0, 0 },
	FILTER_ANY(fsync, "store.c: a key is on the disk before it is used"),
	FILTER_ANY(unlink, "store.c: what is left of a killed keyd"),
	FILTER_ANY(rename, "store.c: a key file appears whole"),
	FILTER_ANY(unlinkat, "store.c, where unlink(2) is not a call"),
	FILTER_ANY(renameat, "store.c, where rename(2) is not a call"),
	FILTER_ANY(renameat2, "store.c, where rename(2) is not a call"),
	FILTER_IS(fcntl, 1, F_GET_SEALS, "crl.c: is it a memfd"),
	FILTER_ANY(lseek, "crl.c: its size"),
	FILTER_ANY(_llseek, "crl.c: the same on 32-bit machines"),
	FILTER_ANY(pread64, "crl.c: rows of revoked certificates"),
	FILTER_ANY(pwrite64, "crl.c: the list in their place"),
	FILTER_ANY(ftruncate, "crl.c: and its length"),
	FILTER_ANY(munlock, "OpenSSL's secure heap, at the end"),
};

const struct confine keyd_confine = {
	.role = "keyd",
	.user = "_keyd",
	.state_root = true,
	.writes = true,
	.caps = 0,
	.nofile = 32,
	.filter = rows,
	.nfilter = sizeof(rows) / sizeof(rows[0]),
};
