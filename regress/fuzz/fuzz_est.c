/*
 * EST: the first line is the path, the second the Content-Type, the rest the
 * body.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../enrold/wire.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* One line into a field of a request; what is left. */
static const uint8_t *
line(const uint8_t *p, const uint8_t *end, char *out, size_t size)
{
	size_t	n = 0;

	for (; p < end && *p != '\n'; p++)
		if (n + 1 < size && *p != '\0')
			out[n++] = (char)*p;
	out[n] = '\0';
	return p < end ? p + 1 : p;
}

static void
body(const struct http_request *q)
{
	static const uint8_t	 binding[32] = { 1 };
	struct csr		 c;
	struct refusal		 why = { 0 };
	uint8_t			*der = malloc(CSR_DER_MAX);
	size_t			 len;

	if (der == NULL)
		abort();
	if (est_csr(q, der, CSR_DER_MAX, &len, &why) == 0 &&
	    csr_parse(der, len, &c, &why) == 0)
		(void)est_binding(&c, binding, &why);
	else if (why.reason == R_OK)
		abort();
	free(der);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_request	 q = { 0 };
	const uint8_t		*end = data + size;
	enum est_operation	 operation = EST_NOPERATIONS;
	char			 label[33];
	uint8_t			*copy, attrs[256];
	size_t			 n;

	data = line(data, end, q.path, sizeof(q.path));
	data = line(data, end, q.content_type, sizeof(q.content_type));
	q.has_type = q.content_type[0] != '\0';
	q.body_len = (size_t)(end - data);
	if ((copy = malloc(q.body_len + 1)) == NULL)
		return 0;
	memcpy(copy, data, q.body_len);
	copy[q.body_len] = '\0';
	q.body = copy;
	if (est_path(q.path, &operation, label) == 0 &&
	    (operation >= EST_NOPERATIONS || strlen(label) > 32))
		abort();
	if (est_csrattrs((uint32_t)size, attrs, sizeof(attrs), &n) == -1 ||
	    n > sizeof(attrs))
		abort();
	body(&q);
	free(copy);
	return 0;
}
