/*
 * Bytes that several answers share and nobody changes: a CRL may have many
 * megabytes, and a client may take its time to read it.
 */
#include <sys/mman.h>
#include <sys/stat.h>

#include <fcntl.h>
#include <stdlib.h>

#include "enrold.h"
#include "log.h"

#define SEALS	(F_SEAL_SHRINK | F_SEAL_WRITE)

struct blob *
blob_new(void *p, size_t len)
{
	struct blob *b = calloc(1, sizeof(*b));

	if (b == NULL)
		fatal("blob");
	*b = (struct blob){ .refs = 1, .p = p, .len = len };
	return b;
}

/* Whoever could shrink it could kill us with SIGBUS. */
struct blob *
blob_map(int fd, size_t len)
{
	struct stat	 st;
	struct blob	*b;
	void		*p;
	int		 seals = fcntl(fd, F_GET_SEALS);

	if (len == 0 || seals == -1 || (seals & SEALS) != SEALS ||
	    fstat(fd, &st) == -1 || st.st_size < 0 ||
	    (uint64_t)st.st_size < len)
		return NULL;
	p = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return NULL;
	b = blob_new(p, len);
	b->mapped = true;
	return b;
}

struct blob *
blob_ref(struct blob *b)
{
	b->refs++;
	return b;
}

void
blob_release(struct blob *b)
{
	if (b == NULL || --b->refs > 0)
		return;
	if (b->mapped)
		munmap((void *)(uintptr_t)b->p, b->len);
	else
		free((void *)(uintptr_t)b->p);
	free(b);
}
