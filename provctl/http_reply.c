/*
 * An answer of HTTP/1.1, read by http_parser, or by llhttp where the system
 * has it. Pure: bytes in, struct out.
 */
#ifdef HAVE_LLHTTP
#include <llhttp.h>
#else
#include <http_parser.h>
#endif
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "enrol.h"

#define BYTES_MAX	(HTTP_REPLY_MAX + 65536)	/* with header and framing */

#ifdef HAVE_LLHTTP
typedef llhttp_t		parser_t;
typedef llhttp_settings_t	settings_t;
#else
typedef http_parser		parser_t;
typedef http_parser_settings	settings_t;
#endif

struct reply_reader {
	parser_t		 parser;
	struct http_reply	*reply;
	char			 field[32], value[64];
	size_t			 fieldlen, valuelen;
	size_t			 total;		/* bytes, with all framing */
	bool			 in_value, complete, too_long;
};

static void
header_over(struct reply_reader *r)
{
	size_t	i;

	r->field[r->fieldlen] = r->value[r->valuelen] = '\0';
	if (strcasecmp(r->field, "content-type") == 0) {
		for (i = 0; r->value[i] != '\0' && strchr("; \t",
		    r->value[i]) == NULL; i++)
			r->reply->type[i] = (char)tolower(
			    (unsigned char)r->value[i]);
		r->reply->type[i] = '\0';
	} else if (strcasecmp(r->field, "retry-after") == 0 &&
	    strspn(r->value, "0123456789") == r->valuelen && r->valuelen < 7)
		r->reply->retry_after = (uint32_t)strtoul(r->value, NULL, 10);
	r->fieldlen = r->valuelen = 0;
	r->in_value = false;
}

/* What is too long for us is cut: it is none that we look for. */
static void
collect(char *to, size_t size, size_t *have, const char *at, size_t len)
{
	if (len > size - 1 - *have)
		len = size - 1 - *have;
	memcpy(to + *have, at, len);
	*have += len;
}

static int
on_field(parser_t *p, const char *at, size_t len)
{
	struct reply_reader	*r = p->data;

	if (r->in_value)
		header_over(r);
	collect(r->field, sizeof(r->field), &r->fieldlen, at, len);
	return 0;
}

static int
on_value(parser_t *p, const char *at, size_t len)
{
	struct reply_reader	*r = p->data;

	r->in_value = true;
	collect(r->value, sizeof(r->value), &r->valuelen, at, len);
	return 0;
}

static int
on_headers(parser_t *p)
{
	struct reply_reader	*r = p->data;

	if (r->in_value)
		header_over(r);
	r->reply->status = p->status_code;
	return 0;
}

static int
on_body(parser_t *p, const char *at, size_t len)
{
	struct reply_reader	*r = p->data;

	if (len > HTTP_REPLY_MAX - r->reply->len) {
		r->too_long = true;
		return -1;
	}
	memcpy(r->reply->body + r->reply->len, at, len);
	r->reply->len += len;
	return 0;
}

static int
on_complete(parser_t *p)
{
	struct reply_reader	*r = p->data;

	/* 1xx: the answer comes yet */
	if (r->reply->status >= 200)
		r->complete = true;
	return 0;
}

static const settings_t	settings = {
	.on_header_field = on_field,
	.on_header_value = on_value,
	.on_headers_complete = on_headers,
	.on_body = on_body,
	.on_message_complete = on_complete,
};

struct reply_reader *
reply_begin(struct http_reply *reply)
{
	struct reply_reader	*r = calloc(1, sizeof(*r));

	if (r == NULL || (reply->body = malloc(HTTP_REPLY_MAX + 1)) == NULL)
		abort();
	r->reply = reply;
#ifdef HAVE_LLHTTP
	llhttp_init(&r->parser, HTTP_RESPONSE, &settings);
#else
	http_parser_init(&r->parser, HTTP_RESPONSE);
#endif
	r->parser.data = r;
	return r;
}

static bool
feed(parser_t *p, const char *buf, size_t len)
{
#ifdef HAVE_LLHTTP
	return (len > 0 ? llhttp_execute(p, buf, len) : llhttp_finish(p)) ==
	    HPE_OK;
#else
	return http_parser_execute(p, &settings, buf, len) == len &&
	    HTTP_PARSER_ERRNO(p) == HPE_OK;
#endif
}

enum reply_step
reply_feed(struct reply_reader *r, const char *buf, size_t len)
{
	bool	good;

	r->total += len;
	good = feed(&r->parser, buf, len);
	if (r->complete) {
		r->reply->body[r->reply->len] = '\0';
		return REPLY_WHOLE;
	}
	if (r->too_long || r->total > BYTES_MAX)
		return REPLY_LONG;
	if (len == 0)
		return REPLY_CUT;
	return good ? REPLY_MORE : REPLY_BAD;
}

void
reply_end(struct reply_reader *r)
{
	free(r);
}
