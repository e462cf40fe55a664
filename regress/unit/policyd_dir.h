/*
 * A temporary directory for a store, and a disk that fails on command:
 * SQLite's system calls that write are counted here, and from a chosen one
 * on the process dies, or the disk is full.
 */
#ifndef POLICYD_DIR_H
#define POLICYD_DIR_H

#include <sys/types.h>
#include <sys/wait.h>

#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *dir_base = "/tmp";
static char	dir_path[64];
static char	dir_store[96];

static inline int
dir_make(void **state)
{
	snprintf(dir_path, sizeof(dir_path), "%s/provd-unit.XXXXXX",
	    dir_base);
	if (mkdtemp(dir_path) == NULL)
		return -1;
	snprintf(dir_store, sizeof(dir_store), "%s/store.db", dir_path);
	return 0;
}

static inline int
dir_remove(void **state)
{
	static const char *const ends[] = { "", "-wal", "-journal", "-shm" };
	char			 path[128];
	size_t			 i;

	for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", dir_store, ends[i]);
		unlink(path);
	}
	return rmdir(dir_path);
}

/* What policyd itself would never write. */
static inline void
dir_sql(const char *sql)
{
	sqlite3	*db;

	assert_int_equal(sqlite3_open(dir_store, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* ---- the disk ---- */

static unsigned	disk_die_at;	/* die before this write, counted from 1 */
static bool	disk_half;	/* and write half of it before */
static unsigned	disk_writes;
static int	disk_errno;	/* every write fails with it */

static inline int
disk_gate(int fd, const void *buf, size_t n, off_t off)
{
	if (disk_errno != 0) {
		errno = disk_errno;
		return -1;
	}
	if (++disk_writes != disk_die_at)
		return 0;
	if (disk_half && buf != NULL &&
	    pwrite(fd, buf, n / 2, off) == -1)
		_exit(99);
	kill(getpid(), SIGKILL);
	return -1;
}

static ssize_t
disk_pwrite(int fd, const void *buf, size_t n, off_t off)
{
	return disk_gate(fd, buf, n, off) == -1 ? -1 : pwrite(fd, buf, n, off);
}

static int
disk_ftruncate(int fd, off_t n)
{
	return disk_gate(fd, NULL, 0, 0) == -1 ? -1 : ftruncate(fd, n);
}

static int
disk_unlink(const char *path)
{
	return disk_gate(-1, NULL, 0, 0) == -1 ? -1 : unlink(path);
}

static inline void
disk_install(void)
{
	sqlite3_vfs	*vfs = sqlite3_vfs_find(NULL);

	disk_writes = 0;

	vfs->xSetSystemCall(vfs, "pwrite", (sqlite3_syscall_ptr)disk_pwrite);
	vfs->xSetSystemCall(vfs, "pwrite64", (sqlite3_syscall_ptr)disk_pwrite);
	vfs->xSetSystemCall(vfs, "ftruncate",
	    (sqlite3_syscall_ptr)disk_ftruncate);
	vfs->xSetSystemCall(vfs, "unlink", (sqlite3_syscall_ptr)disk_unlink);
}

/* Run fn in a child. Its exit status, or -1 if a signal ended it. */
static inline int
in_child(void (*fn)(int), int arg)
{
	pid_t	pid;
	int	st;

	fflush(NULL);
	if ((pid = fork()) == -1)
		abort();
	if (pid == 0) {
		fn(arg);
		_exit(0);
	}
	while (waitpid(pid, &st, 0) == -1)
		if (errno != EINTR)
			abort();
	return WIFEXITED(st) ? WEXITSTATUS(st) : -1;
}

#endif
