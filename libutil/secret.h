/* Secrets: wiped, and kept out of dumps. */
#ifndef SECRET_H
#define SECRET_H

#include <stddef.h>

void	freezero(void *, size_t);	/* wipe, then free; NULL is fine */
/*
 * Memory for secrets: memfd_secret where the kernel has it, else locked and
 * left out of dumps. Zeroed. NULL with errno set if neither is possible.
 */
void	*secret_alloc(size_t);
void	secret_free(void *, size_t);	/* wipes */

#endif
