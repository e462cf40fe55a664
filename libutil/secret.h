/* Secrets: wiped, compared in constant time, kept out of dumps. */
#ifndef SECRET_H
#define SECRET_H

#include <stddef.h>

int	timingsafe_bcmp(const void *, const void *, size_t);	/* 0 if equal */
void	freezero(void *, size_t);	/* wipe, then free; NULL is fine */
/*
 * Memory for secrets: memfd_secret where the kernel has it, else locked and
 * left out of dumps. Zeroed. NULL with errno set if neither is possible.
 */
void	*secret_alloc(size_t);
void	secret_free(void *, size_t);	/* wipes */

#endif
