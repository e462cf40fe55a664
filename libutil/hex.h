/* Bytes as hexadecimal digits. */
#ifndef HEX_H
#define HEX_H

#include <stddef.h>

#define HEX_SIZE(n)	(2 * (n) + 1)

/* Lower case; HEX_SIZE(n) bytes. */
void	hex(const void *, size_t n, char *out);
int	hex_digit(char);	/* its value, of either case; or -1 */

#endif
