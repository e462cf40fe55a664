/*
 * The JSON door. The first byte is the operation of the path, the rest the
 * body. Texts of the request come back in an error, which must be JSON, too.
 */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../enrold/wire.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
refused(const struct refusal *why)
{
	size_t	 len;
	char	*text = json_error(why, &len);
	json_t	*o;

	if (why->reason == R_OK || text == NULL || strlen(text) != len ||
	    (o = json_loads(text, JSON_REJECT_DUPLICATES, NULL)) == NULL)
		abort();
	json_decref(o);
	free(text);
	(void)http_phrase(http_status(why->reason));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct json_request	r;
	static bool			warm;
	struct refusal			why = { 0 };
	uint8_t				*body;
	bool				has;
	char				name[65];

	if (!warm)
		json_warm();
	warm = true;
	if (size < 1 || (body = malloc(size)) == NULL)
		return 0;
	memcpy(body, data + 1, size - 1);
	body[size - 1] = '\0';
	if (json_parse(data[0] % (JSON_NOPERATIONS + 1), body, size - 1, &r,
	    &why) == -1)
		refused(&why);
	else if (r.op >= JSON_NOPERATIONS || r.csr_len > sizeof(r.csr) ||
	    r.serial_len > sizeof(r.serial) || r.reason >= CRL_NREASONS)
		abort();
	/* A ticket beside it, from any text. */
	if (basic_ticket((const char *)body, name, r.ticket, &has, &why) == -1)
		refused(&why);
	free(body);
	return 0;
}
