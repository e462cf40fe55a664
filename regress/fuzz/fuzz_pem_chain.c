/*
 * What an operator installs as the manufacturer's chain. The input is the
 * point of our key (65 bytes), then PEM. What is taken is one chain in DER
 * whose leaf is over that point, and nothing beside it.
 */
#include <stdlib.h>
#include <string.h>

#include "../../policyd/policyd.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t		 out[SLOT_MAX];
	struct cert_info	 info;
	const uint8_t		*p = out, *der = NULL;
	size_t			 outlen = 0, left, len = 0;
	struct why		 why;

	if (size < 65)
		return 0;
	if (cert_chain(data + 65, size - 65, data, 65, 0, out, &outlen,
	    &why) != R_OK) {
		if (why.reason == R_OK)
			abort();
		return 0;
	}
	for (left = outlen; cert_next(&p, &left, &der, &len);)
		if (cert_read(der, len, &info) == -1)
			abort();
	if (left != 0 || der == NULL || info.pointlen != 65 ||
	    memcmp(info.point, data, 65) != 0)
		abort();
	return 0;
}
