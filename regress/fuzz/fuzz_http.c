/*
 * Requests of HTTP, one behind the other: what is read must not depend on
 * where the bytes were cut on their way.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../enrold/wire.h"

#define REQUESTS	8

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

struct seen {
	struct http_request	 req;
	uint8_t			*body;
};

static void
remember(struct seen *s, const struct http_request *q)
{
	s->req = *q;
	s->req.body = NULL;
	if (q->body[q->body_len] != '\0' ||
	    (s->body = malloc(q->body_len + 1)) == NULL)
		abort();
	memcpy(s->body, q->body, q->body_len);
}

static bool
same(const struct seen *a, const struct seen *b)
{
	const struct http_request	*p = &a->req, *q = &b->req;

	return p->verb == q->verb && strcmp(p->path, q->path) == 0 &&
	    strcmp(p->query, q->query) == 0 &&
	    strcmp(p->content_type, q->content_type) == 0 &&
	    strcmp(p->authorization, q->authorization) == 0 &&
	    p->has_type == q->has_type && p->keep_alive == q->keep_alive &&
	    p->body_len == q->body_len &&
	    memcmp(a->body, b->body, p->body_len) == 0;
}

/* In pieces of at most step bytes; the number of whole requests. */
static size_t
read_all(const uint8_t *p, size_t len, size_t step, struct seen *seen,
    bool *refused)
{
	struct http	*h = http_new();
	struct refusal	 why = { 0 };
	enum http_step	 r;
	size_t		 n = 0, used;

	if (h == NULL)
		abort();
	*refused = false;
	while (len > 0 && n < REQUESTS) {
		r = http_read(h, p, step < len ? step : len, &used, &why);
		if (used > len)
			abort();
		if (r == HTTP_REFUSED) {
			if (why.reason == R_OK)
				abort();
			*refused = true;
			break;
		}
		if (r != HTTP_WHOLE && r != HTTP_CONTINUE &&
		    used != (step < len ? step : len))
			abort();
		p += used;
		len -= used;
		if (r == HTTP_WHOLE) {
			remember(&seen[n++], http_request(h));
			http_reset(h);
		}
	}
	http_free(h);
	return n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen	a[REQUESTS], b[REQUESTS];
	bool		ra, rb;
	size_t		i, n;

	n = read_all(data, size, size, a, &ra);
	if (read_all(data, size, 1, b, &rb) != n || ra != rb)
		abort();
	for (i = 0; i < n; i++) {
		if (!same(&a[i], &b[i]))
			abort();
		free(a[i].body);
		free(b[i].body);
	}
	return 0;
}
