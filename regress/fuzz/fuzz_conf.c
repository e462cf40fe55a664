/*
 * provd.conf: any bytes give settings or errors. What follows the first NUL
 * is the JSON file, should one be included.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static const uint8_t	*json;
static size_t		 json_len;

static int
load(const char *path, char **buf, size_t *len)
{
	if ((*buf = malloc(json_len + 1)) == NULL)
		abort();
	memcpy(*buf, json, json_len);
	*len = json_len;
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t	*nul;
	struct conf	*c;
	FILE		*f;
	char		*out;
	size_t		 len = size, outlen;

	json = data + size;
	json_len = 0;
	if (size > 0 && (nul = memchr(data, '\0', size)) != NULL) {
		len = (size_t)(nul - data);
		json = nul + 1;
		json_len = size - len - 1;
	}
	if ((f = open_memstream(&out, &outlen)) == NULL)
		abort();
	c = conf_parse_buf((const char *)data, len, "fuzz", load, f);
	fclose(f);
	/* refused with a word, or taken without one */
	if ((c == NULL) == (outlen == 0))
		abort();
	if (c != NULL && (c->node == NULL || c->silence <= c->keepalive ||
	    c->reattest == 0 || c->mtls_port == 0))
		abort();
	conf_free(c);
	free(out);
	return 0;
}
