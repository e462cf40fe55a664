/* An OCSP request, as DER or as a path. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../enrold/wire.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
request(const uint8_t *p, size_t n)
{
	struct ocsp_query	q;
	struct refusal		why = { 0 };
	enum key_algorithm	algorithm;

	(void)ocsp_algorithm((struct bytes){ p, n }, &algorithm);
	if (ocsp_parse(p, n, &q, &why) == -1) {
		if (why.reason != R_ENR_OCSP)
			abort();
		return;
	}
	if ((q.hash_len != 20 && q.hash_len != 32) || q.serial_len == 0 ||
	    q.serial_len > 20 || q.nonce_len > 32 ||
	    (q.serial_len > 1 && q.serial[0] == 0))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char	 path[1024];
	uint8_t	 der[1024], *copy;
	size_t	 n = size < sizeof(path) - 1 ? size : sizeof(path) - 1;

	if ((copy = calloc(1, size + (size == 0))) == NULL)
		return 0;
	if (size > 0)
		memcpy(copy, data, size);
	request(copy, size);
	free(copy);
	memcpy(path, data, n);
	path[n] = '\0';
	if (ocsp_path(path, der, sizeof(der), &n) == 0)
		request(der, n);
	return 0;
}
