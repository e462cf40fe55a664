/*
 * provd.conf: any bytes give settings or errors. What follows the first NUL
 * is the JSON file, should one be included.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "ipc.h"

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

/* What the certificate service relies on. */
static bool
ca_ok(const struct conf *c)
{
	const struct conf_listener	*l;
	const struct conf_profile	*p;
	unsigned			 listeners = 0, profiles = 0;

	for (l = c->listeners; l != NULL; l = l->next, listeners++)
		if (l->port == 0 || l->port == c->mtls_port ||
		    (l->door <= DOOR_MUTUAL && c->ca.server == NULL))
			return false;
	for (p = c->profiles; p != NULL; p = p->next, profiles++)
		if (p->keys == 0 || p->usage == 0 || p->renew == 0 ||
		    p->renew > p->validity ||
		    p->validity > c->ca.issuing_validity)
			return false;
	return listeners <= ENROL_LISTENERS && profiles <= ENROL_PROFILES &&
	    (c->ca.name != NULL || (listeners == 0 && profiles == 0));
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
	    c->reattest == 0 || c->mtls_port == 0 || !ca_ok(c)))
		abort();
	conf_free(c);
	free(out);
	return 0;
}
