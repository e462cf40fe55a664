/*
 * DER written from its end to its beginning: the length of a body is known
 * when its head is written, and nothing is written twice.
 */
#ifndef DER_OUT_H
#define DER_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "der.h"

struct der_out {
	uint8_t	*buf;
	size_t	 size;
	size_t	 at;		/* first byte written; size while there is none */
	bool	 full;		/* something did not fit */
};

void	der_out(struct der_out *, uint8_t *buf, size_t size);
void	der_out_raw(struct der_out *, const void *, size_t);
/* The head of what was written since mark, which is an at of before. */
void	der_out_head(struct der_out *, uint8_t tag, size_t mark);
/* Moves it to the start of the buffer. 0, or -1 if it did not fit. */
int	der_out_end(struct der_out *, size_t *len);

#endif
