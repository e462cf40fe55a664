/*
 * What any station on the cable may send. What was understood is said
 * again and must be understood the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../netd/lldp.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lldpdu	a, b;
	uint8_t		buf[LLDP_MAX];
	size_t		len;

	if (lldp_decode(data, size, &a) != R_OK || a.ttl == 0)
		return 0;
	if (lldp_encode(&a, buf, sizeof(buf), &len) == -1)
		abort();
	if (lldp_decode(buf, len, &b) != R_OK || b.ndiscarded != 0)
		abort();
	a.ndiscarded = 0;
	a.discarded = R_OK;
	if (a.naddr4 + a.naddr6 == 0)
		a.ifindex = 0;
	if (memcmp(&a, &b, sizeof(a)) != 0)
		abort();
	return 0;
}
