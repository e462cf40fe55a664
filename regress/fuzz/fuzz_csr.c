/* A certificate request, and the texts that devices make of one. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../enrold/wire.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
request(const uint8_t *p, size_t n)
{
	static bool	warm;
	struct csr	c;
	struct refusal	why = { 0 };

	if (!warm && csr_warm(NULL) == -1)
		abort();
	warm = true;
	if (csr_parse(p, n, &c, &why) == -1) {
		if (why.reason == R_OK)
			abort();
		return;
	}
	if (c.name[0] == '\0' || strlen(c.name) > 64 || strlen(c.san) > 128 ||
	    (c.san_kind == SAN_NONE) != (c.san[0] == '\0') ||
	    c.public_len < 65 || c.public_len > sizeof(c.public) ||
	    c.info.p < p || c.info.p + c.info.len > p + n ||
	    c.signature.p + c.signature.len > p + n)
		abort();
	if (csr_verify(&c, &why) == -1 && why.reason == R_OK)
		abort();
}

/* Text that is base64 of a request, or PEM; and what is written is read. */
static void
text(const uint8_t *p, size_t n)
{
	uint8_t		*out = malloc(n + 1), *again = malloc(n + 1);
	char		*back = malloc(2 * n + 128);
	struct refusal	 why = { 0 };
	size_t		 len, len2;

	if (out == NULL || again == NULL || back == NULL)
		abort();
	if (base64_csr((const char *)p, n, out, n + 1, &len, &why) == 0)
		request(out, len);
	else if (why.reason == R_OK)
		abort();
	if (base64_decode((const char *)p, n, out, n + 1, &len) == 0 &&
	    len > 0) {
		size_t b = base64_encode(out, len, true, back, 2 * n + 128);

		if (b == 0 || base64_decode(back, b, again, n + 1, &len2) ==
		    -1 || len2 != len || memcmp(out, again, len) != 0)
			abort();
		b = pem_encode(out, len, "X", back, 2 * n + 128);
		if (b == 0 || pem_decode(back, b, "X", again, n + 1, &len2) ==
		    -1 || len2 != len || memcmp(out, again, len) != 0)
			abort();
	}
	free(out);
	free(again);
	free(back);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	request(data, size);
	text(data, size);
	return 0;
}
