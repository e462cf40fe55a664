/*
 * What an operator installs from an offline root. The input is the point of
 * our key (65 bytes), then PEM. What is taken is an issuing CA over that
 * point, and a root that is another certificate.
 */
#include <stdlib.h>
#include <string.h>

#include "../../policyd/ca.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static char		 name[] = "ACME";
static struct conf	 config = { .ca = { .name = name } };
const struct conf	*conf = &config;

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ca_cert	root, issuing;
	struct ca_key		key = { .have = true, .algorithm = KEY_P256,
	    .len = 65 };
	struct ca_install_want	w = { .key = &key, .generation = 1 };
	struct why		why;

	if (size < 65)
		return 0;
	memcpy(key.public, data, 65);
	if (ca_cert_install(data + 65, size - 65, &w, &root, &issuing,
	    &why) != R_OK) {
		if (why.reason != R_CRT_CHAIN)
			abort();
		return 0;
	}
	if (why.reason != R_OK || !ca_cert_over(issuing.der, issuing.len,
	    &key) || ca_cert_over(root.der, root.len, &key) ||
	    issuing.not_after > root.not_after)
		abort();
	return 0;
}
