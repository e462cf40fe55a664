/* HTTP/1.1 as enrold reads it: what can be read in two ways is not read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../enrold/wire.h"

#define N(a)	(sizeof(a) / sizeof((a)[0]))
#define H	"Host: ca\r\n"

/* ---- reading in pieces ------------------------------------------------------- */

static enum http_step
feed(struct http *h, const char *p, size_t len, size_t piece, size_t *taken,
    struct refusal *why)
{
	enum http_step	s = HTTP_MORE;
	size_t		n, used;

	for (*taken = 0; *taken < len; *taken += used) {
		n = len - *taken < piece ? len - *taken : piece;
		s = http_read(h, (const uint8_t *)p + *taken, n, &used, why);
		assert_true(used <= n);
		if (s == HTTP_WHOLE || s == HTTP_REFUSED) {
			*taken += used;
			break;
		}
		if (s == HTTP_MORE)
			assert_int_equal(used, n);
	}
	return s;
}

/* Whole, and octet by octet: the same. */
static enum http_step
read_text(struct http **h, const char *text, size_t len, struct refusal *why)
{
	struct http	*one = http_new();
	struct refusal	 other = { 0 };
	enum http_step	 a, b;
	size_t		 used, used_one;

	*h = http_new();
	assert_non_null(*h);
	assert_non_null(one);
	memset(why, 0, sizeof(*why));
	a = feed(*h, text, len, len, &used, why);
	b = feed(one, text, len, 1, &used_one, &other);
	if ((a == HTTP_REFUSED) != (b == HTTP_REFUSED) ||
	    (a == HTTP_WHOLE && (b != HTTP_WHOLE || used != used_one)))
		fail_msg("in one or in pieces: %d, %d: %s", a, b, text);
	http_free(one);
	return a;
}

static void
refused(const char *text, size_t len, enum reason reason)
{
	struct http	*h;
	struct refusal	 why;
	enum http_step	 s = read_text(&h, text, len, &why);

	if (s != HTTP_REFUSED || why.reason != reason)
		fail_msg("step %d, %s, not %s: %s", s, reason_code(why.reason),
		    reason_code(reason), text);
	http_free(h);
}

/* ---- what is read -------------------------------------------------------------- */

static void
test_post(void **state)
{
	static const char text[] = "POST /req_client_cert?a=b HTTP/1.1\r\n" H
	    "Content-Type: application/json; charset=utf-8\r\n"
	    "authorization:\t Basic eDp5 \r\nContent-Length: 5\r\n"
	    "Accept: */*\r\nAccept: text/html\r\n\r\n{\"a\"}";
	struct http			*h;
	const struct http_request	*q;
	struct refusal			 why;

	/* What follows is not of this request. */
	assert_int_equal(read_text(&h, text, sizeof(text) - 1, &why),
	    HTTP_WHOLE);
	q = http_request(h);
	assert_int_equal(q->verb, VERB_POST);
	assert_string_equal(q->path, "/req_client_cert");
	assert_string_equal(q->query, "a=b");
	assert_string_equal(q->content_type,
	    "application/json; charset=utf-8");
	assert_string_equal(q->authorization, "Basic eDp5");
	assert_string_equal(q->accept, "*/*");
	assert_true(q->keep_alive);
	assert_int_equal(q->body_len, 5);
	assert_string_equal((const char *)q->body, "{\"a\"}");
	http_reset(h);
	assert_string_equal(http_request(h)->authorization, "");
	assert_int_equal(http_part(h), HTTP_IDLE);
	http_free(h);
}

/* What node_pki's client sends: chunks, and no Content-Type. */
static void
test_chunks(void **state)
{
	static const char text[] = "POST / HTTP/1.1\r\n" H
	    "Transfer-Encoding: chunked\r\n\r\n"
	    "3\r\nabc\r\n0A;x=y\r\ndefghijklm\r\n0\r\n\r\n";
	struct http	*h;
	struct refusal	 why;

	assert_int_equal(read_text(&h, text, sizeof(text) - 1, &why),
	    HTTP_WHOLE);
	assert_false(http_request(h)->has_type);
	assert_string_equal((const char *)http_request(h)->body,
	    "abcdefghijklm");
	http_free(h);
}

static void
test_two_in_a_row(void **state)
{
	static const char text[] = "GET /a HTTP/1.1\r\n" H "\r\n"
	    "\r\nPOST /b HTTP/1.1\r\n" H "Content-Length: 1\r\n\r\nx"
	    "GET /c HTTP/1.0\r\n\r\n";
	static const char	*const paths[] = { "/a", "/b", "/c" };
	struct http		*h = http_new();
	struct refusal		 why;
	size_t			 i, at = 0, used;

	for (i = 0; i < N(paths); i++) {
		assert_int_equal(http_read(h, (const uint8_t *)text + at,
		    sizeof(text) - 1 - at, &used, &why), HTTP_WHOLE);
		assert_string_equal(http_request(h)->path, paths[i]);
		assert_int_equal(http_request(h)->keep_alive, i < 2);
		at += used;
		http_reset(h);
	}
	assert_int_equal(at, sizeof(text) - 1);
	http_free(h);
}

/* A client that waits for leave to send its body is told so, once. */
static void
test_expect(void **state)
{
	static const char head[] = "POST / HTTP/1.1\r\n" H
	    "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n";
	struct http	*h = http_new();
	struct refusal	 why;
	size_t		 used;

	assert_int_equal(http_read(h, (const uint8_t *)head, sizeof(head) - 1,
	    &used, &why), HTTP_CONTINUE);
	assert_int_equal(used, sizeof(head) - 1);
	assert_int_equal(http_part(h), HTTP_BODY);
	assert_int_equal(http_read(h, (const uint8_t *)"{", 1, &used, &why),
	    HTTP_MORE);
	assert_int_equal(http_read(h, (const uint8_t *)"}G", 2, &used, &why),
	    HTTP_WHOLE);
	assert_int_equal(used, 1);
	http_free(h);
}

static void
test_verbs(void **state)
{
	static const struct { const char *text; enum http_verb verb; } c[] = {
		{ "GET / HTTP/1.1\r\n" H "\r\n", VERB_GET },
		{ "HEAD / HTTP/1.1\r\n" H "\r\n", VERB_HEAD },
		{ "POST / HTTP/1.1\r\n" H "\r\n", VERB_POST },
		{ "DELETE / HTTP/1.1\r\n" H "\r\n", VERB_OTHER },
		{ "OPTIONS / HTTP/1.1\r\n" H "\r\n", VERB_OTHER },
	};
	struct http	*h;
	struct refusal	 why;
	size_t		 i;

	for (i = 0; i < N(c); i++) {
		assert_int_equal(read_text(&h, c[i].text, strlen(c[i].text),
		    &why), HTTP_WHOLE);
		assert_int_equal(http_request(h)->verb, c[i].verb);
		http_free(h);
	}
}

/* ---- what is refused ------------------------------------------------------------- */

#define POST	"POST / HTTP/1.1\r\n" H

/* Requests that others may read in another way. */
static void
test_smuggling(void **state)
{
	static const char *const texts[] = {
		POST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
		POST "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
		POST "Content-Length: 3, 3\r\n\r\nabc",
		POST "Content-Length: +3\r\n\r\nabc",
		POST "Content-Length: -3\r\n\r\nabc",
		POST "Content-Length: 0x3\r\n\r\nabc",
		POST "Content-Length: 3 4\r\n\r\nabc",
		POST "Content-Length:\r\n\r\nabc",
		POST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
		    "0\r\n\r\n",
		POST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"
		    "0\r\n\r\n",
		POST "Transfer-Encoding: chunked\r\n"
		    "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		POST "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
		POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		POST "Transfer-Encoding: identity\r\n\r\n",
		"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"
		    "0\r\n\r\n",
		POST "Host: other\r\n\r\n",
		POST "Content-Type: a/b\r\nContent-Type: a/c\r\n\r\n",
		POST "Authorization: a\r\nAuthorization: b\r\n\r\n",
		POST "Transfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n",
		POST "Transfer-Encoding: chunked\r\n\r\n1;a\nb\r\nx\r\n0\r\n\r\n",
		POST "Transfer-Encoding: chunked\r\n\r\n1;\x01\r\nx\r\n0\r\n\r\n",
		POST "Transfer-Encoding: chunked\r\n\r\n1\r\nx\rZ0\r\n\r\n",
	};
	struct http	*h;
	struct refusal	 why;
	size_t		 i;

	for (i = 0; i < N(texts); i++) {
		if (read_text(&h, texts[i], strlen(texts[i]), &why) !=
		    HTTP_REFUSED || (why.reason != R_ENR_AMBIGUOUS &&
		    why.reason != R_ENR_HTTP))
			fail_msg("%s: %s", reason_code(why.reason), texts[i]);
		http_free(h);
	}
}

static void
test_form(void **state)
{
	static const char *const texts[] = {
		"GET / HTTP/1.1\r\n\r\n",			/* no Host */
		"GET / HTTP/1.1\n" H "\n\n\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: ca\n\r\n\r\n",		/* short end */
		"GET / HTTP/1.1\r\nHost: ca\r\r\n\r\n",
		"GET / HTTP/1.1\r\n" H "X: a\r\n b\r\n\r\n",	/* folded */
		"GET / HTTP/1.1\r\n" H " X: a\r\n\r\n",
		"GET / HTTP/1.1\r\n" H "X : a\r\n\r\n",
		"GET / HTTP/1.1\r\n" H ": a\r\n\r\n",
		"GET / HTTP/1.1\r\n" H "X\r\n\r\n",
		"GET / HTTP/1.1\r\n" H "X(: a\r\n\r\n",
		"GET / HTTP/1.1\r\n" H "X: \x01\r\n\r\n",
		"GET / HTTP/1.1\r\n" H "X: \x7f\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
		"GET http://ca/ HTTP/1.1\r\n" H "\r\n",		/* absolute */
		"GET * HTTP/1.1\r\n" H "\r\n",
		"CONNECT ca:443 HTTP/1.1\r\n" H "\r\n",
		"GET /a#b HTTP/1.1\r\n" H "\r\n",
		"GET  / HTTP/1.1\r\n" H "\r\n",
		"GET / HTTP/1.1 \r\n" H "\r\n",
		"GET /\xc3\xa4 HTTP/1.1\r\n" H "\r\n",
		"GET / HTTP/2.0\r\n" H "\r\n",
		"GET / HTTP/1.2\r\n" H "\r\n",
		"GET /\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"get / HTTP/1.1\r\n" H "\r\n",
		" GET / HTTP/1.1\r\n" H "\r\n",
		"\x16\x03\x01\x02",				/* TLS */
		"GET / HTTP/1.1\r\n" H "Expect: a pony\r\n\r\n",
		POST "Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n",
		POST "Transfer-Encoding: chunked\r\n\r\ng\r\n",
	};
	size_t	i;

	for (i = 0; i < N(texts); i++)
		refused(texts[i], strlen(texts[i]), R_ENR_HTTP);
	refused("GET / HTTP/1.1\r\nHost: c\0a\r\n\r\n", 30, R_ENR_HTTP);
	refused("G\0T / HTTP/1.1\r\n" H "\r\n", 28, R_ENR_HTTP);
}

static void
filled(char *buf, const char *head, size_t len, const char *tail)
{
	size_t	n = strlen(head);

	memcpy(buf, head, n);
	memset(buf + n, 'a', len);
	memcpy(buf + n + len, tail, strlen(tail) + 1);
}

/* Bounds, each met and passed by one. */
static void
test_bounds(void **state)
{
	static const char	head[] = "GET / HTTP/1.1\r\n" H "X: ";
	char			buf[HTTP_HEADER_MAX + 64];
	size_t			fits = HTTP_HEADER_MAX - (sizeof(head) - 1) - 4;
	struct http		*h;
	struct refusal		 why;

	filled(buf, head, fits, "\r\n\r\n");
	assert_int_equal(read_text(&h, buf, strlen(buf), &why), HTTP_WHOLE);
	http_free(h);
	filled(buf, head, fits + 1, "\r\n\r\n");
	refused(buf, strlen(buf), R_ENR_HEADER);
	filled(buf, head, fits + 32, "");	/* before its end is seen */
	refused(buf, strlen(buf), R_ENR_HEADER);
	filled(buf, "GET /", 1022, " HTTP/1.1\r\n" H "\r\n");
	assert_int_equal(read_text(&h, buf, strlen(buf), &why), HTTP_WHOLE);
	http_free(h);
	filled(buf, "GET /", 1023, " HTTP/1.1\r\n" H "\r\n");
	refused(buf, strlen(buf), R_ENR_HEADER);
	filled(buf, "GET / HTTP/1.1\r\n" H "Authorization: ", 256,
	    "\r\n\r\n");
	refused(buf, strlen(buf), R_ENR_HEADER);
}

/* A body that is too long is refused where its length is said. */
static void
test_body_bounds(void **state)
{
	static const char	*const heads[] = {
		POST "Content-Length: 65537\r\n\r\n",
		POST "Content-Length: 1073741824\r\n\r\n",
		POST "Transfer-Encoding: chunked\r\n\r\n10001\r\n",
		POST "Transfer-Encoding: chunked\r\n\r\n40000000\r\n",
	};
	static const char	endless[] = POST
		    "Content-Length: 99999999999999999999999999\r\n\r\n";
	static const char	fits[] = POST "Content-Length: 65536\r\n\r\n";
	char			*buf = malloc(sizeof(fits) + HTTP_BODY_MAX);
	struct http		*h;
	struct refusal		 why;
	size_t			 i;

	for (i = 0; i < N(heads); i++)
		refused(heads[i], strlen(heads[i]), R_ENR_BODY);
	/* Parsers differ in what they say of a length that is no number. */
	assert_int_equal(read_text(&h, endless, sizeof(endless) - 1, &why),
	    HTTP_REFUSED);
	http_free(h);
	assert_non_null(buf);
	filled(buf, fits, HTTP_BODY_MAX, "");
	assert_int_equal(read_text(&h, buf, strlen(buf), &why), HTTP_WHOLE);
	assert_int_equal(http_request(h)->body_len, HTTP_BODY_MAX);
	http_free(h);
	free(buf);
}

/* Many small chunks: what frames them has a bound of its own. */
static void
test_tiny_chunks(void **state)
{
	static const char	head[] = POST
		    "Transfer-Encoding: chunked\r\n\r\n";
	struct http		*h = http_new();
	struct refusal		 why;
	enum http_step		 s = HTTP_MORE;
	size_t			 used, i;

	http_read(h, (const uint8_t *)head, sizeof(head) - 1, &used, &why);
	for (i = 0; s == HTTP_MORE && i < HTTP_BODY_MAX; i++)
		s = http_read(h, (const uint8_t *)"1\r\na\r\n", 6, &used,
		    &why);
	assert_int_equal(s, HTTP_REFUSED);
	assert_int_equal(why.reason, R_ENR_BODY);
	assert_true(i < 20000);
	http_free(h);
}

/* After a refusal nothing is read any more. */
static void
test_stays_refused(void **state)
{
	static const char bad[] = "GET * HTTP/1.1\r\n" H "\r\n";
	static const char good[] = "GET / HTTP/1.1\r\n" H "\r\n";
	struct http	*h = http_new();
	struct refusal	 why;
	size_t		 used;

	assert_int_equal(http_read(h, (const uint8_t *)bad, sizeof(bad) - 1,
	    &used, &why), HTTP_REFUSED);
	assert_int_equal(http_read(h, (const uint8_t *)good, sizeof(good) - 1,
	    &used, &why), HTTP_REFUSED);
	assert_int_equal(used, 0);
	http_free(h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_post),
		cmocka_unit_test(test_chunks),
		cmocka_unit_test(test_two_in_a_row),
		cmocka_unit_test(test_expect),
		cmocka_unit_test(test_verbs),
		cmocka_unit_test(test_smuggling),
		cmocka_unit_test(test_form),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_body_bounds),
		cmocka_unit_test(test_tiny_chunks),
		cmocka_unit_test(test_stays_refused),
	};

	return cmocka_run_group_tests_name("enrol_http", tests, NULL, NULL);
}
