/*
 * GET_CSR, CSR and SET_CERTIFICATE, and the request of a device. The first
 * byte chooses: 0 and 1 a request over P-256 and P-384, others a message.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../attestd/spdm_csr.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
request(const uint8_t *p, size_t n, enum key_algorithm a)
{
	struct spdm_csr	c;
	struct spdm_why	why = { 0 };

	if (spdm_csr_read(p, n, a, &c, &why) == 0) {
		if (c.point_len != spdm_alg(a)->sig_len + 1 ||
		    c.point[0] != 4 || strlen(c.name) > 64 ||
		    strlen(c.device) > 64)
			abort();
	} else if (why.reason == R_OK)
		abort();
}

static void
message(const uint8_t *p, size_t n)
{
	struct spdm_get_csr		g;
	struct spdm_csr_rsp		c;
	struct spdm_set_certificate	s;
	unsigned			sum = 0;
	size_t				i;

	if (spdm_get_csr_get(p, n, &g) == 0)
		for (i = 0; i < g.info_len + g.opaque_len; i++)
			sum += g.info[i];
	if (spdm_csr_get(p, n, &c) == 0)
		for (i = 0; i < c.len; i++)
			sum += c.csr[i];
	if (spdm_set_certificate_get(p, n, &s) == 0)
		for (i = 0; i < s.len; i++)
			sum += s.chain[i];
	if (spdm_set_certificate_rsp_get(p, n) > 15 || sum == 1U << 31)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t	*copy;

	if (spdm_init() == -1)
		abort();
	if (size < 1 || (copy = malloc(size)) == NULL)
		return 0;
	memcpy(copy, data + 1, size - 1);
	if (data[0] < 2)
		request(copy, size - 1, data[0] ? KEY_P384 : KEY_P256);
	else
		message(copy, size - 1);
	free(copy);
	return 0;
}
