#include <sys/mman.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "secret.h"

#ifndef SYS_memfd_secret
#define SYS_memfd_secret	447	/* Linux 5.14, all architectures */
#endif

void
freezero(void *p, size_t len)
{
	if (p == NULL)
		return;
	explicit_bzero(p, len);
	free(p);
}

static size_t
secret_round(size_t len)
{
	size_t	page = (size_t)sysconf(_SC_PAGESIZE);

	if (len == 0 || len > SIZE_MAX - page)
		return 0;
	return (len + page - 1) / page * page;
}

/* Not mapped in the kernel either: no /proc/PID/mem, no dump, no swap. */
static void *
secret_memfd(size_t size)
{
	void	*p;
	int	 fd;

	if ((fd = (int)syscall(SYS_memfd_secret, O_CLOEXEC)) == -1)
		return NULL;
	p = ftruncate(fd, (off_t)size) == -1 ? MAP_FAILED :
	    mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		return NULL;
	/* Only now are its pages taken: fail here and not at the first use. */
	if (madvise(p, size, MADV_POPULATE_WRITE) == -1 && errno != EINVAL) {
		munmap(p, size);
		return NULL;
	}
	return p;
}

static void *
secret_locked(size_t size)
{
	void	*p;

	p = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	if (mlock(p, size) == -1 || madvise(p, size, MADV_DONTDUMP) == -1) {
		munmap(p, size);
		return NULL;
	}
	return p;
}

void *
secret_alloc(size_t len)
{
	size_t	 size = secret_round(len);
	void	*p;

	if (size == 0) {
		errno = EINVAL;
		return NULL;
	}
	if ((p = secret_memfd(size)) == NULL)
		p = secret_locked(size);
	return p;
}

void
secret_free(void *p, size_t len)
{
	if (p == NULL)
		return;
	explicit_bzero(p, len);
	munmap(p, secret_round(len));
}
