/* Bytes as lower-case hexadecimal digits. */
#ifndef HEX_H
#define HEX_H

#include <stddef.h>

#define HEX_SIZE(n)	(2 * (n) + 1)

void	hex(const void *, size_t n, char *out);	/* HEX_SIZE(n) bytes */

#endif
