/* Where a CRL is published: a memfd for enrold, a file beside the store. */
#include <sys/mman.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ca.h"

static int
write_all(int fd, const uint8_t *p, size_t n)
{
	size_t	at = 0;
	ssize_t	w;

	while (at < n) {
		w = pwrite(fd, p + at, n - at, (off_t)at);
		if (w == -1 && errno == EINTR)
			continue;
		if (w <= 0)
			return -1;
		at += (size_t)w;
	}
	return 0;
}

int
crl_memfd(const uint8_t *p, size_t n, bool sealed)
{
	int	fd = memfd_create("crl", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd == -1)
		return -1;
	if (write_all(fd, p, n) == -1 || (sealed && fcntl(fd, F_ADD_SEALS,
	    F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) == -1)) {
		close(fd);
		return -1;
	}
	return fd;
}

uint8_t *
crl_memfd_read(int fd, size_t n)
{
	uint8_t	*p;
	size_t	 at = 0;
	ssize_t	 r;

	if ((p = malloc(n)) == NULL)
		fatal("crl");
	while (at < n) {
		r = pread(fd, p + at, n - at, (off_t)at);
		if (r == -1 && errno == EINTR)
			continue;
		if (r <= 0) {
			free(p);
			return NULL;
		}
		at += (size_t)r;
	}
	return p;
}

enum reason
crl_memfd_fill(int fd, const uint8_t *p, size_t n)
{
	int	seals = fcntl(fd, F_GET_SEALS);

	/* Anything else than memory might make us wait. */
	if (seals == -1 || (seals & (F_SEAL_WRITE | F_SEAL_GROW)) != 0)
		return R_CTL_VALUE;
	return ftruncate(fd, 0) == -1 || write_all(fd, p, n) == -1 ?
	    R_CTL_VALUE : R_OK;
}

/* ---- the file ---- */

void
crl_file_start(void)
{
	char	path[PATH_MAX];

	if (store_path("crl", path, sizeof(path)) == -1)
		fatalx("crl: path is too long");
	if (mkdir(path, 0755) == -1 && errno != EEXIST && errno != EROFS)
		log_warn("%s", path);
}

/* A name is on disk once its directory is. */
static int
sync_directory(void)
{
	char	path[PATH_MAX];
	int	fd, r;

	if (store_path("crl", path, sizeof(path)) == -1 ||
	    (fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		return -1;
	r = fdatasync(fd);
	close(fd);
	return r;
}

enum reason
crl_file_write(unsigned generation, const uint8_t *p, size_t n)
{
	char	name[64], path[PATH_MAX], temp[PATH_MAX];
	int	fd, r;

	snprintf(name, sizeof(name), "crl/issuing-%u.crl", generation);
	if (store_path(name, path, sizeof(path)) == -1 ||
	    store_path("crl/new", temp, sizeof(temp)) == -1)
		return R_CRT_FILES;
	fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
	    0644);
	if (fd == -1) {
		log_warn("%s", temp);
		return R_CRT_FILES;
	}
	r = write_all(fd, p, n) == -1 || fdatasync(fd) == -1 ? -1 : 0;
	close(fd);
	if (r == -1 || rename(temp, path) == -1 || sync_directory() == -1) {
		log_warn("%s", path);
		return R_CRT_FILES;
	}
	return R_OK;
}
