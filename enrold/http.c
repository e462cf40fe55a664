/*
 * Requests of HTTP/1.1 (RFC 9110, RFC 9112), read by http_parser, or by llhttp
 * where the system has it.
 *
 * What stands between a client and us may read a request in another way than
 * we do; whatever could be read in two ways is refused before the parser sees
 * it: a header is collected whole and its lines are looked at one by one.
 * The parser says what the body's length is; what frames the chunks of one is
 * looked at again, since Debian's build of http_parser is not strict.
 */
#ifdef HAVE_LLHTTP
#include <llhttp.h>
#else
#include <http_parser.h>
#endif
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "secret.h"
#include "wire.h"

#define FRAMING_MAX	HTTP_BODY_MAX	/* bytes that only frame chunks */
#define BODY_FIRST	2048

#ifdef HAVE_LLHTTP
typedef llhttp_t	 parser_t;
typedef llhttp_settings_t settings_t;
#else
typedef http_parser	 parser_t;
typedef http_parser_settings settings_t;
#endif

struct http {
	parser_t		 parser;
	struct http_request	 req;
	bool			 headed;	/* the header was read */
	bool			 whole;
	bool			 chunked, has_length, has_host;
	bool			 bad;		/* why says so already */
	struct refusal		*why;		/* of the call under way */
	uint8_t			 head[HTTP_HEADER_MAX];
	size_t			 head_len;
	const char		*name;		/* of the field at hand, in head */
	size_t			 name_len;
	uint8_t			*body;
	size_t			 body_size;
	size_t			 framing;	/* bytes so far */
	uint8_t			 last;		/* of the framing */
	const uint8_t		*data_end;	/* of the last span of body */
};

static enum http_step
refuse(struct http *h, enum reason reason, const char *field,
    const char *expected, const char *seen)
{
	if (!h->bad)
		refusal_set(h->why, reason, field, expected, seen);
	h->bad = true;
	return HTTP_REFUSED;
}

/* For callbacks of the parser. */
static int
stop(struct http *h, enum reason reason, const char *field,
    const char *expected, const char *seen)
{
	refuse(h, reason, field, expected, seen);
	return -1;
}

/* ---- the header, line by line --------------------------------------------- */

/* RFC 9110, 5.6.2 */
static bool
is_token(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
	    (c >= 'a' && c <= 'z') ||
	    (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* RFC 9110, 5.5: no control characters but tab, none at the ends. */
static bool
is_value(const uint8_t *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if ((p[i] < 0x20 && p[i] != '\t') || p[i] == 0x7f)
			return false;
	return true;
}

static bool
field_ok(const uint8_t *p, size_t len)
{
	size_t i;

	/* A blank before the name would continue the line before (obs-fold),
	 * one behind it hides the name from others. */
	for (i = 0; i < len && is_token(p[i]); i++)
		;
	return i > 0 && i < len && p[i] == ':' &&
	    is_value(p + i + 1, len - i - 1);
}

/* RFC 9112, 3: two single blanks; the target is a path. */
static bool
request_line_ok(const uint8_t *p, size_t len)
{
	size_t i, blanks = 0, slash = 0;

	for (i = 0; i < len; i++) {
		if (p[i] <= 0x20 || p[i] >= 0x7f) {
			if (p[i] != ' ')
				return false;
			if (++blanks == 1)
				slash = i + 1;
		} else if (p[i] == '#')
			return false;
	}
	return blanks == 2 && slash < len && p[slash] == '/';
}

/* Every line ends in CRLF, and neither is anywhere else. */
static enum http_step
check_head(struct http *h)
{
	const uint8_t	*p = h->head, *end = h->head + h->head_len, *eol;
	char		 seen[81];
	bool		 first = true;

	for (; end - p > 2; p = eol + 2, first = false) {
		eol = memchr(p, '\r', (size_t)(end - p));
		if (eol == NULL || memchr(p, '\n', (size_t)(eol - p)) != NULL ||
		    eol[1] != '\n')
			return refuse(h, R_ENR_HTTP, "header",
			    "lines that end in CRLF", "another line end");
		refusal_text(seen, sizeof(seen), p, (size_t)(eol - p));
		if (first && !request_line_ok(p, (size_t)(eol - p)))
			return refuse(h, R_ENR_HTTP, "request line",
			    "METHOD /path HTTP/1.1", seen);
		/* What it says may be a ticket. */
		if (!first && !field_ok(p, (size_t)(eol - p)))
			return refuse(h, R_ENR_HTTP, "header", "name: value",
			    "another line");
	}
	return HTTP_MORE;
}

/* ---- the fields that matter ------------------------------------------------ */

static bool
is(const char *p, size_t len, const char *text)
{
	return strlen(text) == len && strncasecmp(p, text, len) == 0;
}

static void
trim(const char **p, size_t *len)
{
	while (*len > 0 && (**p == ' ' || **p == '\t')) {
		(*p)++;
		(*len)--;
	}
	while (*len > 0 && ((*p)[*len - 1] == ' ' || (*p)[*len - 1] == '\t'))
		(*len)--;
}

/* Fields that are kept whole. Of two, one would be the wrong one. */
static int
keep(struct http *h, char *to, size_t size, bool again, const char *p,
    size_t len)
{
	char name[65];

	refusal_text(name, sizeof(name), h->name, h->name_len);
	if (again)
		return stop(h, R_ENR_AMBIGUOUS, name, "one field", "two");
	if (len >= size)
		return stop(h, R_ENR_HEADER, name, "a shorter value", NULL);
	memcpy(to, p, len);
	to[len] = '\0';
	return 0;
}

static int
content_length(struct http *h, const char *p, size_t len)
{
	size_t	 i;
	uint64_t n = 0;
	char	 seen[65];

	refusal_text(seen, sizeof(seen), p, len);
	if (h->has_length || h->chunked)
		return stop(h, R_ENR_AMBIGUOUS, "Content-Length", "one length",
		    "two");
	h->has_length = true;
	for (i = 0; i < len && p[i] >= '0' && p[i] <= '9'; i++)
		if (n <= UINT64_MAX / 100)
			n = n * 10 + (uint64_t)(p[i] - '0');
	if (len == 0 || i < len)
		return stop(h, R_ENR_AMBIGUOUS, "Content-Length", "digits",
		    seen);
	if (n > HTTP_BODY_MAX)
		return stop(h, R_ENR_BODY, "Content-Length", "at most 65536",
		    seen);
	return 0;
}

static int
transfer_encoding(struct http *h, const char *p, size_t len)
{
	char seen[65];

	refusal_text(seen, sizeof(seen), p, len);
	if (h->has_length || h->chunked)
		return stop(h, R_ENR_AMBIGUOUS, "Transfer-Encoding",
		    "one length", "two");
	if (!is(p, len, "chunked"))
		return stop(h, R_ENR_AMBIGUOUS, "Transfer-Encoding", "chunked",
		    seen);
	h->chunked = true;
	return 0;
}

static int
host(struct http *h, const char *p, size_t len)
{
	size_t i;

	if (h->has_host)
		return stop(h, R_ENR_AMBIGUOUS, "Host", "one host", "two");
	h->has_host = true;
	for (i = 0; i < len; i++)
		if (p[i] == ' ' || p[i] == '\t' || p[i] == '/' || p[i] == '@' ||
		    p[i] == ',')
			return stop(h, R_ENR_HTTP, "Host", "one host", NULL);
	return 0;
}

static int
expect(struct http *h, const char *p, size_t len)
{
	if (!is(p, len, "100-continue"))
		return stop(h, R_ENR_HTTP, "Expect", "100-continue",
		    "something else");
	h->req.expects = true;
	return 0;
}

/* ---- callbacks of the parser ------------------------------------------------ */

static int
on_url(parser_t *parser, const char *p, size_t len)
{
	struct http	*h = parser->data;
	const char	*query = memchr(p, '?', len);
	size_t		 path = query == NULL ? len : (size_t)(query - p);

	if (path >= sizeof(h->req.path) || len - path > sizeof(h->req.query))
		return stop(h, R_ENR_HEADER, "path", "a shorter path", NULL);
	memcpy(h->req.path, p, path);
	h->req.path[path] = '\0';
	if (query != NULL) {
		memcpy(h->req.query, query + 1, len - path - 1);
		h->req.query[len - path - 1] = '\0';
	}
	return 0;
}

static int
on_name(parser_t *parser, const char *p, size_t len)
{
	struct http *h = parser->data;

	if (h->headed)
		return stop(h, R_ENR_HTTP, "body", "no trailers", NULL);
	h->name = p;
	h->name_len = len;
	return 0;
}

static int
on_value(parser_t *parser, const char *p, size_t len)
{
	struct http		*h = parser->data;
	struct http_request	*r = &h->req;

	trim(&p, &len);
	if (is(h->name, h->name_len, "content-length"))
		return content_length(h, p, len);
	if (is(h->name, h->name_len, "transfer-encoding"))
		return transfer_encoding(h, p, len);
	if (is(h->name, h->name_len, "host"))
		return host(h, p, len);
	if (is(h->name, h->name_len, "expect"))
		return expect(h, p, len);
	if (is(h->name, h->name_len, "authorization"))
		return keep(h, r->authorization, sizeof(r->authorization),
		    r->authorization[0] != '\0', p, len);
	if (is(h->name, h->name_len, "content-type")) {
		if (keep(h, r->content_type, sizeof(r->content_type),
		    r->has_type, p, len) == -1)
			return -1;
		r->has_type = true;
	} else if (is(h->name, h->name_len, "content-transfer-encoding"))
		return keep(h, r->transfer_encoding,
		    sizeof(r->transfer_encoding),
		    r->transfer_encoding[0] != '\0', p, len);
	else if (is(h->name, h->name_len, "accept") && r->accept[0] == '\0' &&
	    len < sizeof(r->accept))
		return keep(h, r->accept, sizeof(r->accept), false, p, len);
	return 0;
}

static int
on_headed(parser_t *parser)
{
	struct http *h = parser->data;

	h->headed = true;
	switch (parser->method) {
	case HTTP_GET:
		h->req.verb = VERB_GET;
		break;
	case HTTP_HEAD:
		h->req.verb = VERB_HEAD;
		break;
	case HTTP_POST:
		h->req.verb = VERB_POST;
		break;
	default:
		h->req.verb = VERB_OTHER;
	}
	if (parser->http_major != 1 || parser->http_minor > 1)
		return stop(h, R_ENR_HTTP, "version", "HTTP/1.1", NULL);
	if (parser->http_minor == 1 && !h->has_host)
		return stop(h, R_ENR_HTTP, "Host", "one host", "none");
	/* RFC 9112, 6.1: chunks are not of HTTP/1.0, so who knows. */
	if (parser->http_minor == 0 && h->chunked)
		return stop(h, R_ENR_AMBIGUOUS, "Transfer-Encoding", "HTTP/1.1",
		    "HTTP/1.0");
#ifdef HAVE_LLHTTP
	h->req.keep_alive = llhttp_should_keep_alive(parser) != 0;
#else
	h->req.keep_alive = http_should_keep_alive(parser) != 0;
#endif
	return 0;
}

/* One octet stays free behind what is there. */
static int
body_room(struct http *h, size_t more)
{
	size_t	 size = h->body_size == 0 ? BODY_FIRST : h->body_size;
	uint8_t	*grown;

	if (more > HTTP_BODY_MAX - h->req.body_len)
		return stop(h, R_ENR_BODY, "body", "at most 65536 bytes",
		    "more");
	while (size <= h->req.body_len + more)
		size *= 2;
	if (size == h->body_size)
		return 0;
	if ((grown = malloc(size)) == NULL)
		return stop(h, R_ENR_BUSY, "memory", NULL, NULL);
	if (h->req.body_len > 0)
		memcpy(grown, h->body, h->req.body_len);
	freezero(h->body, h->body_size);
	h->body = grown;
	h->body_size = size;
	return 0;
}

static int	framing(struct http *, const uint8_t *, size_t);

static int
on_body(parser_t *parser, const char *p, size_t len)
{
	struct http	*h = parser->data;
	const uint8_t	*at = (const uint8_t *)p;

	if (h->chunked && framing(h, h->data_end,
	    (size_t)(at - h->data_end)) == -1)
		return -1;
	h->data_end = at + len;
	if (body_room(h, len) == -1)
		return -1;
	memcpy(h->body + h->req.body_len, p, len);
	h->req.body_len += len;
	return 0;
}

static int
on_chunk(parser_t *parser)
{
	struct http *h = parser->data;

	if (parser->content_length > HTTP_BODY_MAX - h->req.body_len)
		return stop(h, R_ENR_BODY, "chunk", "at most 65536 bytes",
		    "more");
	return 0;
}

static int
on_whole(parser_t *parser)
{
	struct http *h = parser->data;

	h->whole = true;
#ifdef HAVE_LLHTTP
	return HPE_PAUSED;
#else
	http_parser_pause(parser, 1);
	return 0;
#endif
}

/* ---- what frames the chunks -------------------------------------------------- */

/*
 * CR and LF are only ever a pair, and there are no other control characters:
 * neither a chunk's extension nor a short line end hides another request.
 */
static int
framing(struct http *h, const uint8_t *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if ((h->last == '\r') != (p[i] == '\n') ||
		    (p[i] < 0x20 && p[i] != '\r' && p[i] != '\n') ||
		    p[i] >= 0x7f)
			return stop(h, R_ENR_AMBIGUOUS, "chunk",
			    "hex digits and CRLF", "something else");
		h->last = p[i];
	}
	if ((h->framing += len) > FRAMING_MAX)
		return stop(h, R_ENR_BODY, "chunk", "longer chunks", NULL);
	return 0;
}

/* ---- reading ------------------------------------------------------------------ */

static const settings_t settings = {
	.on_url = on_url,
	.on_header_field = on_name,
	.on_header_value = on_value,
	.on_headers_complete = on_headed,
	.on_body = on_body,
	.on_chunk_header = on_chunk,
	.on_message_complete = on_whole,
};

/* How much the parser took; false if it does not go on. */
static bool
parse(struct http *h, const uint8_t *p, size_t len, size_t *used)
{
	const char	*text = (const char *)p;

	h->data_end = p;
#ifdef HAVE_LLHTTP
	llhttp_errno_t e = llhttp_execute(&h->parser, text, len);

	*used = e == HPE_OK ? len :
	    (size_t)(llhttp_get_error_pos(&h->parser) - text);
	return !h->bad && (e == HPE_OK || (e == HPE_PAUSED && h->whole));
#else
	*used = http_parser_execute(&h->parser, &settings, text, len);
	return !h->bad && (h->whole || (*used == len &&
	    HTTP_PARSER_ERRNO(&h->parser) == HPE_OK));
#endif
}

static enum http_step
refuse_parser(struct http *h)
{
#ifdef HAVE_LLHTTP
	const char *text = llhttp_get_error_reason(&h->parser);
#else
	const char *text = http_errno_description(
	    HTTP_PARSER_ERRNO(&h->parser));
#endif

	return refuse(h, R_ENR_HTTP, "request", "HTTP/1.1", text);
}

/* The end of the header in what was collected and these octets: how many of
 * them belong to it, or 0 if it goes on. */
static size_t
head_end(const struct http *h, const uint8_t *p, size_t len)
{
	static const char	 mark[4] = "\r\n\r\n";
	uint8_t			 seam[6];
	size_t			 had = h->head_len < 3 ? h->head_len : 3, n;
	const uint8_t		*at;

	n = len < 3 ? len : 3;
	memcpy(seam, h->head + h->head_len - had, had);
	memcpy(seam + had, p, n);
	if ((at = memmem(seam, had + n, mark, 4)) != NULL)
		return (size_t)(at - seam) + 4 - had;
	if ((at = memmem(p, len, mark, 4)) != NULL)
		return (size_t)(at - p) + 4;
	return 0;
}

/* Who does not speak HTTP at all is told so at once. */
static bool
begins_well(const struct http *h)
{
	size_t i;

	for (i = 0; i < h->head_len && h->head[i] != '\r'; i++)
		if (h->head[i] < 0x20 || h->head[i] >= 0x7f)
			return false;
	return is_token(h->head[0]);
}

static enum http_step
read_head(struct http *h, const uint8_t *p, size_t len, size_t *used)
{
	size_t	n, parsed;

	/* RFC 9112, 2.2: an empty line before a request is passed over. */
	for (; len > 0 && h->head_len == 0 && (*p == '\r' || *p == '\n') &&
	    h->framing < 4; p++, len--, h->framing++)
		(*used)++;
	if (len == 0)
		return HTTP_MORE;
	n = head_end(h, p, len);
	if ((n == 0 ? len : n) > sizeof(h->head) - h->head_len)
		return refuse(h, R_ENR_HEADER, "header", "at most 8192 bytes",
		    "more");
	memcpy(h->head + h->head_len, p, n == 0 ? len : n);
	h->head_len += n == 0 ? len : n;
	*used += n == 0 ? len : n;
	if (!begins_well(h))
		return refuse(h, R_ENR_HTTP, "request line",
		    "METHOD /path HTTP/1.1", "something else");
	if (n == 0)
		return HTTP_MORE;
	h->framing = 0;
	if (check_head(h) == HTTP_REFUSED)
		return HTTP_REFUSED;
	if (!parse(h, h->head, h->head_len, &parsed) || !h->headed)
		return refuse_parser(h);
	explicit_bzero(h->head, h->head_len);
	/* The header's own last line feed begins what frames the chunks. */
	h->last = '\n';
	if (h->whole)
		return HTTP_WHOLE;
	return h->req.expects ? HTTP_CONTINUE : HTTP_MORE;
}

static enum http_step
read_body(struct http *h, const uint8_t *p, size_t len, size_t *used)
{
	size_t	n;
	bool	ok = parse(h, p, len, &n);

	if (ok && h->chunked && h->data_end < p + n &&
	    framing(h, h->data_end, (size_t)(p + n - h->data_end)) == -1)
		ok = false;
	*used += n;
	if (!ok)
		return refuse_parser(h);
	return h->whole ? HTTP_WHOLE : HTTP_MORE;
}

enum http_step
http_read(struct http *h, const uint8_t *p, size_t len, size_t *used,
    struct refusal *why)
{
	enum http_step	 r = HTTP_MORE;

	*used = 0;
	h->why = why;
	if (h->bad)
		return refuse(h, R_ENR_HTTP, NULL, NULL, NULL);
	if (h->whole)
		return HTTP_WHOLE;
	if (!h->headed)
		r = read_head(h, p, len, used);
	if (r == HTTP_MORE && h->headed && *used < len)
		r = read_body(h, p + *used, len - *used, used);
	if (r == HTTP_WHOLE) {
		h->req.body = h->body == NULL ? (const uint8_t *)"" : h->body;
		if (h->body != NULL)
			h->body[h->req.body_len] = '\0';
	}
	h->why = NULL;
	return r;
}

/* ---- one after the other ------------------------------------------------------- */

static void
begin(struct http *h)
{
#ifdef HAVE_LLHTTP
	llhttp_init(&h->parser, HTTP_REQUEST, &settings);
#else
	http_parser_init(&h->parser, HTTP_REQUEST);
#endif
	h->parser.data = h;
}

struct http *
http_new(void)
{
	struct http *h = calloc(1, sizeof(*h));

	if (h != NULL)
		begin(h);
	return h;
}

void
http_reset(struct http *h)
{
	freezero(h->body, h->body_size);
	explicit_bzero(h, sizeof(*h));
	begin(h);
}

void
http_free(struct http *h)
{
	if (h == NULL)
		return;
	freezero(h->body, h->body_size);
	freezero(h, sizeof(*h));
}

const struct http_request *
http_request(const struct http *h)
{
	return &h->req;
}

enum http_part
http_part(const struct http *h)
{
	if (h->headed)
		return HTTP_BODY;
	return h->head_len > 0 ? HTTP_HEADER : HTTP_IDLE;
}
