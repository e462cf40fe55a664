/*
 * provctl enrol against a certificate service that the test plays: what it
 * asks, what it believes, what it leaves on disk.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/stat.h>

#include <fcntl.h>

#include "provctl_ca.h"

#define MAC	"24:0a:c4:12:34:56"
#define TICKET	"00112233445566778899aabbccddeeff"

static char	device[80], ca_path[80], ticket_path[80];

static const char *
at(const char *name)
{
	static char	path[8][128];
	static int	n;

	n = (n + 1) % 8;
	snprintf(path[n], sizeof(path[n]), "%s/%s", device, name);
	return path[n];
}

static void
empty(void)
{
	char	cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", device);
	assert_int_equal(system(cmd), 0);
}

/* "enrol" with what every test gives, and what this one adds. */
static void
enrol(const char *scheme, const char *more, int status, const char *says)
{
	char	l[1024];

	snprintf(l, sizeof(l), "enrol --out %s --server %s://127.0.0.1:%d %s",
	    device, scheme, ca_port, more);
	expect(l, status, says);
}

/* The turns, one command, and a look at how both ended. */
static void
with_ca(const struct turn *turns, const char *more, int status,
    const char *says)
{
	char	l[512];

	ca_begin(turns);
	snprintf(l, sizeof(l), "--ca %s --key p256 %s", ca_path, more);
	enrol(turns[0].plain ? "http" : "https", l, status, says);
	ca_end(more);
}

static void
one_turn(void (*serve)(struct visit *), int status, const char *says)
{
	const struct turn	turns[CA_TURNS] = { { .serve = serve } };

	with_ca(turns, "--mac " MAC, status, says);
}

static X509 *
read_cert(const char *path)
{
	FILE	*f = fopen(path, "r");
	X509	*x;

	assert_non_null(f);
	assert_non_null(x = PEM_read_X509(f, NULL, NULL, NULL));
	fclose(f);
	return x;
}

/* What is live holds together; under this key. */
static void
check_live(const char *type, int bits)
{
	FILE		*f;
	EVP_PKEY	*key, *der;
	X509		*x = read_cert(at("cert.pem")), *y;
	struct stat	 st;

	assert_non_null(f = fopen(at("key.pem"), "r"));
	assert_non_null(key = PEM_read_PrivateKey(f, NULL, NULL, NULL));
	fclose(f);
	assert_non_null(f = fopen(at("key.der"), "r"));
	assert_non_null(der = d2i_PrivateKey_fp(f, NULL));
	fclose(f);
	assert_non_null(f = fopen(at("cert.der"), "r"));
	assert_non_null(y = d2i_X509_fp(f, NULL));
	fclose(f);
	assert_int_equal(X509_cmp(x, y), 0);
	assert_int_equal(EVP_PKEY_eq(key, der), 1);
	assert_int_equal(EVP_PKEY_eq(key, X509_get0_pubkey(x)), 1);
	assert_true(EVP_PKEY_is_a(key, type));
	assert_int_equal(EVP_PKEY_get_bits(key), bits);
	X509_free(y);
	y = read_cert(at("chain.pem"));
	assert_int_equal(X509_cmp(y, issuing.cert), 0);
	X509_free(y);
	y = read_cert(at("ca.pem"));
	assert_int_equal(X509_cmp(y, root.cert), 0);
	X509_free(y);
	assert_int_equal(stat(at("key.pem"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(at("key.der"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(device, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(access(at("next"), F_OK), -1);
	EVP_PKEY_free(key);
	EVP_PKEY_free(der);
	X509_free(x);
}

static void
nothing_live(void)
{
	assert_int_equal(access(at("live"), F_OK), -1);
	assert_int_equal(access(at("cert.pem"), F_OK), -1);
}

/* ---- words that are wrong ----------------------------------------------- */

static void
test_usage(void **state)
{
	static const struct {
		const char	*line, *says;
	} rows[] = {
		{ "enrol", "--out says" },
		{ "enrol --out x", "--out says" },
		{ "enrol --out x --server ftp://h", "https://HOST:PORT" },
		{ "enrol --out x --server https://", "no name of a host" },
		{ "enrol --out x --server https://h:0", "a port is" },
		{ "enrol --out x --server https://h:65536", "a port is" },
		{ "enrol --out x --server https://h:1x", "a port is" },
		{ "enrol --out x --server https://a@b", "no name of a host" },
		{ "enrol --out x --server https://[::1", "in brackets" },
		{ "enrol --out x --server https://[::1]x", "HOST:PORT" },
		{ "enrol --out x --server https://h/a?b", "neither" },
		{ "enrol --out x --server https://h --mac 24:0a:c4:12:34",
		    "a MAC address is" },
		{ "enrol --out x --server https://h --mac 24:0a:c4:12:34:5g",
		    "a MAC address is" },
		{ "enrol --out x --server https://h --mac 240ac41234567",
		    "a MAC address is" },
		{ "enrol --out x --server https://h --name a/b", "1 to 64" },
		{ "enrol --out x --server https://h --name a --mac 240ac4123456",
		    "one of --mac" },
		{ "enrol --out x --server https://h --interface ../x",
		    "no interface" },
		{ "enrol --out x --server https://h --key dsa", "rsa-2048" },
		{ "enrol --out x --server https://h --renew --daemon",
		    "renews by itself" },
		{ "enrol --out x --server https://h --now", "goes with --renew" },
		{ "enrol --out x --server https://h --timeout 1d",
		    "not a number" },
		{ "enrol --out x --server https://h --timeout 0", "no time" },
		{ "enrol --out x --server https://h --ticket-file /nonexistent",
		    "No such file" },
	};
	size_t	i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect(rows[i].line, EX_WRONG, rows[i].says);
}

/* ---- JSON --------------------------------------------------------------- */

static X509 *
issue(X509_REQ *req, const struct pair *by, const char *cn)
{
	char	asked[65];

	if (X509_NAME_get_text_by_NID(X509_REQ_get_subject_name(req),
	    NID_commonName, asked, sizeof(asked)) <= 0 ||
	    X509_NAME_entry_count(X509_REQ_get_subject_name(req)) != 1)
		_exit(64);
	return certify(by, X509_REQ_get0_pubkey(req), cn != NULL ? cn : asked,
	    -HOUR, 30 * DAY, NULL, "URI:urn:provd:device:240ac4123456");
}

static const char *
member(const json_t *o, const char *name)
{
	const char	*s = json_string_value(json_object_get(o, name));

	return s != NULL ? s : "";
}

/* With a ticket and a profile, under the canonical name. */
static void
serve_ticket(struct visit *v)
{
	json_t		*o;
	X509_REQ	*req = request_json(v, &o);
	X509		*x = issue(req, &issuing, NULL);
	char		 cn[65];

	X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName,
	    cn, sizeof(cn));
	if (strcmp(member(o, "operation"), "req_client_cert") != 0 ||
	    strcmp(member(o, "ticket"), TICKET) != 0 ||
	    strcmp(member(o, "profile"), "iot") != 0 ||
	    strcmp(cn, MAC) != 0 || v->client != NULL)
		_exit(65);
	answer_cert(v, x);
	X509_free(x);
	X509_REQ_free(req);
	json_decref(o);
}

static void
serve_good(struct visit *v)
{
	json_t		*o;
	X509_REQ	*req = request_json(v, &o);
	X509		*x = issue(req, &issuing, NULL);

	answer_cert(v, x);
	X509_free(x);
	X509_REQ_free(req);
	json_decref(o);
}

static void
put_ticket(const char *text)
{
	FILE	*f = fopen(ticket_path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void
test_json(void **state)
{
	const struct turn	turns[CA_TURNS] = { { .serve = serve_ticket } };
	const struct turn	plain[CA_TURNS] = { { .serve = serve_good,
				    .plain = true } };
	char			l[256], want[128];

	put_ticket("00112233-44556677-8899AABB-CCDDEEFF\r\n");
	snprintf(l, sizeof(l), "--mac 24-0A-C4-12-34-56 --profile iot "
	    "--ticket-file %s", ticket_path);
	with_ca(turns, l, EX_GOOD, "name            " MAC "\n");
	check_live("EC", 256);
	assert_null(strstr(out, TICKET));
	/* what is there already is not replaced unasked */
	snprintf(want, sizeof(want), "--mac " MAC " --ca %s", ca_path);
	enrol("https", want, EX_REFUSED, "--renew renews it");
	empty();
	with_ca(plain, "--mac " MAC, EX_GOOD, "everybody on the way");
	check_live("EC", 256);
	empty();
	put_ticket("0011");
	expect("enrol --out x --server https://h --ticket-file /dev/null "
	    "--key p256", EX_REFUSED, "what the device is called");
	rmdir("x");
	snprintf(l, sizeof(l), "enrol --out x --server https://h "
	    "--ticket-file %s", ticket_path);
	expect(l, EX_WRONG, "32 hexadecimal");
	unlink(ticket_path);
}

static void
test_rsa(void **state)
{
	const struct turn	turns[CA_TURNS] = { { .serve = serve_good } };
	char			l[256];

	ca_begin(turns);
	snprintf(l, sizeof(l), "--json --mac " MAC " --ca %s", ca_path);
	enrol("https", l, EX_GOOD, "{\"row\":\"enrolled\",\"name\":\"" MAC);
	ca_end("rsa");
	check_live("RSA", 2048);
	empty();
}

/* ---- answers that are not believed -------------------------------------- */

static void
serve_bad(struct visit *v, X509 *(*make)(X509_REQ *))
{
	json_t		*o;
	X509_REQ	*req = request_json(v, &o);
	X509		*x = make(req);

	answer_cert(v, x);
	X509_free(x);
	X509_REQ_free(req);
	json_decref(o);
}

static X509 *
make_other_key(X509_REQ *req)
{
	EVP_PKEY	*k = p256();
	X509		*x = certify(&issuing, k, MAC, -HOUR, DAY, NULL, NULL);

	EVP_PKEY_free(k);
	return x;
}

static X509 *
make_other_name(X509_REQ *req)
{
	return issue(req, &issuing, "24:0a:c4:12:34:57");
}

/* Another's CN before ours. */
static X509 *
make_two_names(X509_REQ *req)
{
	X509	*x = issue(req, &issuing, "24:0a:c4:12:34:57");

	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN",
	    MBSTRING_ASC, (const uint8_t *)MAC, -1, -1, 0);
	X509_sign(x, issuing.key, EVP_sha256());
	return x;
}

static X509 *
make_other_root(X509_REQ *req)
{
	return issue(req, &other, NULL);
}

static X509 *
make_expired(X509_REQ *req)
{
	return certify(&issuing, X509_REQ_get0_pubkey(req), MAC, -DAY, -HOUR,
	    NULL, NULL);
}

static X509 *
make_early(X509_REQ *req)
{
	return certify(&issuing, X509_REQ_get0_pubkey(req), MAC, HOUR, DAY,
	    NULL, NULL);
}

static X509 *
make_authority(X509_REQ *req)
{
	return certify(&root, X509_REQ_get0_pubkey(req), MAC, -HOUR, DAY,
	    "critical,CA:TRUE,pathlen:0", NULL);
}

#define BAD(what)						\
static void							\
serve_##what(struct visit *v)					\
{								\
	serve_bad(v, make_##what);				\
}
BAD(other_key)
BAD(other_name)
BAD(two_names)
BAD(other_root)
BAD(expired)
BAD(early)
BAD(authority)

static void
test_not_believed(void **state)
{
	one_turn(serve_other_key, EX_REFUSED, "over another key");
	nothing_live();
	one_turn(serve_other_name, EX_REFUSED, "for another name: asked for "
	    MAC ", given 24:0a:c4:12:34:57");
	one_turn(serve_two_names, EX_REFUSED, "not one common name");
	one_turn(serve_other_root, EX_REFUSED, "does not lead to the CA");
	one_turn(serve_expired, EX_REFUSED, "has expired");
	one_turn(serve_early, EX_REFUSED, "not valid yet");
	one_turn(serve_authority, EX_REFUSED, "that of a CA");
	nothing_live();
	empty();
}

/* ---- answers that are none ---------------------------------------------- */

static void
serve_redirect(struct visit *v)
{
	answer(v, "302 Found", "text/html", "Location: https://127.0.0.1:1/"
	    "\r\n", "moved", 5);
}

static void
serve_html(struct visit *v)
{
	answer(v, "200 OK", "text/html", "", "<html>", 6);
}

static void
serve_garbage(struct visit *v)
{
	answer(v, "200 OK", "application/json", "", "{\"status\":\"ok\"", 14);
}

static void
serve_twice(struct visit *v)
{
	static const char	s[] = "{\"status\":\"ok\",\"status\":\"ok\"}";

	answer(v, "200 OK", "application/json", "", s, strlen(s));
}

static void
serve_nothing(struct visit *v)
{
	static const char	s[] = "{\"status\":\"ok\",\"certificate\":\"\"}";

	answer(v, "200 OK", "application/json", "", s, strlen(s));
}

static void
serve_not_http(struct visit *v)
{
	visit_write(v, "SSH-2.0-OpenSSH_9.2p1\r\n", 23);
}

/* As much as is taken of 1 GiB. */
static void
pour(struct visit *v, size_t head)
{
	static char	block[65536];
	size_t		sent;

	memset(block, 'x', sizeof(block));
	for (sent = head; sent < 1UL << 30; sent += sizeof(block))
		if (!visit_write(v, block, sizeof(block)))
			return;
	_exit(66);		/* it took all of it */
}

/* The same again and again, a thousand times in each record; until it goes. */
static void
repeat(struct visit *v, const char *what)
{
	size_t	 len = strlen(what), i;
	char	*block = malloc(1000 * len);

	for (i = 0; i < 1000; i++)
		memcpy(block + i * len, what, len);
	for (i = 0; i < 1 << 14; i++)
		if (!visit_write(v, block, 1000 * len)) {
			free(block);
			_exit(0);
		}
	free(block);
}

static void
serve_huge(struct visit *v)
{
	static const char	h[] = "HTTP/1.1 200 OK\r\nContent-Type: "
				    "application/json\r\nContent-Length: "
				    "1073741824\r\n\r\n";

	visit_write(v, h, strlen(h));
	pour(v, 0);
}

static void
serve_huge_header(struct visit *v)
{
	static const char	h[] = "HTTP/1.1 200 OK\r\nX: ";

	visit_write(v, h, strlen(h));
	pour(v, 0);
}

static void
serve_many_chunks(struct visit *v)
{
	static const char	h[] = "HTTP/1.1 200 OK\r\nContent-Type: "
				    "application/json\r\nTransfer-Encoding: "
				    "chunked\r\n\r\n";

	visit_write(v, h, strlen(h));
	repeat(v, "1\r\nx\r\n");
	_exit(67);
}

/* Each is whole and none is the answer. */
static void
serve_not_yet(struct visit *v)
{
	repeat(v, "HTTP/1.1 100 Continue\r\n\r\n");
	_exit(77);
}

static void
test_no_answers(void **state)
{
	one_turn(serve_redirect, EX_REFUSED, "HTTP status 302");
	one_turn(serve_html, EX_REFUSED, "type text/html, not application/json");
	one_turn(serve_garbage, EX_REFUSED, "not the JSON");
	one_turn(serve_twice, EX_REFUSED, "not the JSON");
	one_turn(serve_nothing, EX_REFUSED, "no certificate");
	one_turn(serve_not_http, EX_REFUSED, "not HTTP/1.1");
	one_turn(serve_huge, EX_REFUSED, "longer than");
	one_turn(serve_huge_header, EX_REFUSED, "HTTP/1.1");
	one_turn(serve_many_chunks, EX_REFUSED, "longer than");
	one_turn(serve_not_yet, EX_REFUSED, "longer than");
	nothing_live();
	empty();
}

/* The server's own words, without what commands a terminal. */
static void
serve_refusal(struct visit *v)
{
	answer_json(v, "403 Forbidden", "", json_pack("{s:s, s:{s:s, s:s, s:s,"
	    " s:s, s:s, s:s}}", "status", "error", "error", "code", "CRT-014",
	    "text", "The ticket was used before.\x1b[2J", "remedy",
	    "Give it another.", "field", "ticket", "expected", "a fresh one",
	    "seen", "a used one"));
}

static void
test_refused(void **state)
{
	const struct turn	turns[CA_TURNS] = { { .serve = serve_refusal } };

	one_turn(serve_refusal, EX_REFUSED, "CRT-014: The ticket was used "
	    "before.?[2J\n");
	assert_non_null(strstr(err, "  remedy    Give it another.\n"));
	assert_non_null(strstr(err, "  expected  a fresh one\n"));
	with_ca(turns, "--json --mac " MAC, EX_REFUSED,
	    "{\"row\":\"refused\",\"reason\":{\"code\":\"CRT-014\"");
	empty();
}

/* ---- who the server is --------------------------------------------------- */

static void
test_server(void **state)
{
	const struct turn	elsewhere[CA_TURNS] = { { .as = &stranger } };
	const struct turn	below[CA_TURNS] = { { .as = &other } };
	const struct turn	old[CA_TURNS] = { { .tls12 = true } };
	const struct turn	good[CA_TURNS] = { { .serve = serve_good } };
	char			l[256];

	with_ca(elsewhere, "--mac " MAC, EX_REFUSED,
	    "server's certificate is not accepted: IP address mismatch");
	with_ca(below, "--mac " MAC, EX_REFUSED,
	    "server's certificate is not accepted");
	with_ca(old, "--mac " MAC, EX_REFUSED, "TLS: ");
	ca_begin(elsewhere);
	snprintf(l, sizeof(l), "enrol --key p256 --mac " MAC " --ca %s --out "
	    "%s --server https://localhost:%d", ca_path, device, ca_port);
	expect(l, EX_REFUSED, "hostname mismatch");
	ca_end("another name");
	ca_begin(good);
	snprintf(l, sizeof(l), "enrol --key p256 --mac " MAC " --ca %s --out "
	    "%s --server https://localhost:%d", ca_path, device, ca_port);
	expect(l, EX_GOOD, MAC);
	ca_end("its name");
	empty();
	enrol("https", "--mac " MAC, EX_REFUSED, "--fingerprint");
	assert_non_null(strstr(err, "--ca FILE"));
	empty();
}

static void
fingerprint(const X509 *x, char text[65])
{
	unsigned char	md[32];
	unsigned	n, i;

	assert_int_equal(X509_digest(x, EVP_sha256(), md, &n), 1);
	for (i = 0; i < 32; i++)
		snprintf(text + 2 * i, 3, "%02X", md[i]);
}

/* Nothing is said to a server that nobody vouches for. */
static void
serve_chain(struct visit *v)
{
	char	*pem = pem_text(issuing.cert, root.cert);

	if (strcmp(v->body, "{\"operation\":\"get_ca_chain\"}") != 0 ||
	    strstr(v->request, "Authorization") != NULL || v->client != NULL)
		_exit(68);
	answer_json(v, "200 OK", "", json_pack("{s:s, s:s}", "status", "ok",
	    "chain", pem));
	free(pem);
}

static void
test_fingerprint(void **state)
{
	const struct turn	good[CA_TURNS] = { { .serve = serve_chain },
				    { .serve = serve_good } };
	const struct turn	bad[CA_TURNS] = { { .serve = serve_chain } };
	const struct turn	liar[CA_TURNS] = { { .serve = serve_chain,
				    .as = &other }, { .as = &other } };
	char			l[256], digits[65];

	fingerprint(root.cert, digits);
	snprintf(l, sizeof(l), "--key p256 --mac " MAC " --fingerprint %s",
	    digits);
	ca_begin(good);
	enrol("https", l, EX_GOOD, MAC);
	ca_end("good");
	check_live("EC", 256);
	empty();
	/* the right chain, from one who has not its keys */
	ca_begin(liar);
	enrol("https", l, EX_REFUSED, "is not accepted");
	ca_end("liar");
	nothing_live();
	fingerprint(other.cert, digits);
	snprintf(l, sizeof(l), "--mac " MAC " --fingerprint %s", digits);
	ca_begin(bad);
	enrol("https", l, EX_REFUSED, "no CA certificate with this finger");
	ca_end("bad");
	nothing_live();
	empty();
}

/* ---- asking again -------------------------------------------------------- */

static char	first_path[80];

static void
remember(struct visit *v)
{
	FILE	*f = fopen(first_path, "w");

	fputs(v->body, f);
	fclose(f);
}

static void
serve_busy(struct visit *v)
{
	remember(v);
	answer_json(v, "503 Service Unavailable", "Retry-After: 1\r\n",
	    json_pack("{s:s, s:{s:s, s:s}}", "status", "error", "error",
	    "code", "ENR-025", "text", "Too many requests wait already."));
}

static void
serve_silence(struct visit *v)
{
	remember(v);
}

/* Longer than the client tries. */
static void
serve_later(struct visit *v)
{
	remember(v);
	answer_json(v, "503 Service Unavailable", "Retry-After: 3600\r\n",
	    json_pack("{s:s, s:{s:s, s:s}}", "status", "error", "error",
	    "code", "ENR-025", "text", "Too many requests wait already."));
}

/* The same request as before, to the byte. */
static void
serve_same(struct visit *v)
{
	static char	 was[32768];
	FILE		*f = fopen(first_path, "r");

	if (f == NULL || fread(was, 1, sizeof(was) - 1, f) == 0 ||
	    strcmp(was, v->body) != 0)
		_exit(69);
	fclose(f);
	serve_good(v);
}

static void
test_again(void **state)
{
	const struct turn	busy[CA_TURNS] = { { .serve = serve_busy },
				    { .serve = serve_same } };
	const struct turn	silent[CA_TURNS] = { { .serve = serve_silence },
				    { .serve = serve_same } };
	const struct turn	later[CA_TURNS] = { { .serve = serve_later } };
	const struct turn	same[CA_TURNS] = { { .serve = serve_same } };

	with_ca(busy, "--mac " MAC, EX_GOOD, "again in 1.");
	check_live("EC", 256);
	empty();
	with_ca(silent, "--mac " MAC, EX_GOOD, "closed the connection");
	check_live("EC", 256);
	empty();
	/* given up, then run anew: the key and the request are kept */
	with_ca(later, "--mac " MAC, EX_REFUSED, "giving up");
	assert_non_null(strstr(err, "ENR-025"));
	nothing_live();
	with_ca(same, "--mac " MAC, EX_GOOD, MAC);
	check_live("EC", 256);
	empty();
	unlink(first_path);
	enrol("https", "--timeout 1 --mac " MAC " --ca /nonexistent",
	    EX_REFUSED, "No such file");
	empty();
}

/* Until the client has gone. */
static void
serve_slow(struct visit *v)
{
	char	c;

	while (visit_read(v, &c, 1) > 0)
		continue;
}

static void
test_slow(void **state)
{
	const struct turn	turns[CA_TURNS] = { { .serve = serve_slow,
				    .may_go = true } };

	with_ca(turns, "--timeout 1 --mac " MAC, EX_UNREACHABLE,
	    "no answer in time");
	empty();
}

/* ---- EST ----------------------------------------------------------------- */

static void
answer_p7(struct visit *v, X509 *a, X509 *b)
{
	PKCS7		*p7 = PKCS7_new();
	unsigned char	*der = NULL;
	char		*text;
	int		 n, m, i;

	PKCS7_set_type(p7, NID_pkcs7_signed);
	PKCS7_content_new(p7, NID_pkcs7_data);
	PKCS7_add_certificate(p7, a);
	if (b != NULL)
		PKCS7_add_certificate(p7, b);
	n = i2d_PKCS7(p7, &der);
	text = malloc((size_t)n * 3);
	m = EVP_EncodeBlock((unsigned char *)text, der, n);
	/* as some servers do: lines */
	for (i = 64; i < m; i += 65, m++) {
		memmove(text + i + 1, text + i, (size_t)(m - i));
		text[i] = '\n';
	}
	answer(v, "200 OK", "application/pkcs7-mime; smime-type=certs-only",
	    "Content-Transfer-Encoding: base64\r\n", text, (size_t)m);
	free(text);
	OPENSSL_free(der);
	PKCS7_free(p7);
}

static X509_REQ *
request_est(struct visit *v, const char *path)
{
	if (strncmp(v->request, path, strlen(path)) != 0 || strstr(v->request,
	    "Content-Type: application/pkcs10\r\n") == NULL)
		_exit(70);
	return request_der(v->body, strlen(v->body));
}

/* Basic: the device's name, which has colons, and its ticket. */
static void
serve_est(struct visit *v)
{
	X509_REQ	*req = request_est(v, "POST /base/.well-known/est/iot/"
			     "simpleenroll HTTP/1.1\r\n");
	X509		*x = issue(req, &issuing, NULL);
	char		 code[128], want[256];

	EVP_EncodeBlock((unsigned char *)code, (const unsigned char *)MAC ":"
	    TICKET, 17 + 1 + 32);
	snprintf(want, sizeof(want), "Authorization: Basic %s\r\n", code);
	if (strstr(v->request, want) == NULL)
		_exit(71);
	answer_p7(v, x, NULL);
	X509_free(x);
	X509_REQ_free(req);
}

static void
serve_est_open(struct visit *v)
{
	X509_REQ	*req = request_est(v,
			     "POST /.well-known/est/simpleenroll HTTP/1.1\r\n");
	X509		*x = issue(req, &issuing, NULL);

	answer_p7(v, x, NULL);
	X509_free(x);
	X509_REQ_free(req);
}

static void
serve_cacerts(struct visit *v)
{
	if (strncmp(v->request, "GET ", 4) != 0 || strstr(v->request,
	    "/cacerts HTTP/1.1\r\n") == NULL)
		_exit(72);
	answer_p7(v, issuing.cert, root.cert);
}

static void
serve_est_two(struct visit *v)
{
	answer_p7(v, issuing.cert, root.cert);
}

static void
serve_est_html(struct visit *v)
{
	answer(v, "200 OK", "text/html", "", "x", 1);
}

static void
serve_est_broken(struct visit *v)
{
	answer(v, "200 OK", "application/pkcs7-mime", "", "MIIB", 4);
}

static void
serve_est_no(struct visit *v)
{
	answer(v, "401 Unauthorized", "text/plain", "", "no ticket\x1b[2J\n",
	    14);
}

static void
test_est(void **state)
{
	const struct turn	good[CA_TURNS] = { { .serve = serve_est },
				    { .serve = serve_cacerts } };
	const struct turn	two[CA_TURNS] = { { .serve = serve_est_two } };
	const struct turn	html[CA_TURNS] = { { .serve = serve_est_html } };
	const struct turn	broken[CA_TURNS] = { { .serve =
				    serve_est_broken } };
	const struct turn	no[CA_TURNS] = { { .serve = serve_est_no } };
	const struct turn	pinned[CA_TURNS] = { { .serve = serve_cacerts },
				    { .serve = serve_est_open },
				    { .serve = serve_cacerts } };
	char			l[512], digits[65];

	put_ticket(TICKET);
	ca_begin(good);
	snprintf(l, sizeof(l), "enrol --est --key p256 --profile iot --mac "
	    MAC " --ca %s --ticket-file %s --out %s --server "
	    "https://127.0.0.1:%d/base/", ca_path, ticket_path, device,
	    ca_port);
	expect(l, EX_GOOD, MAC);
	ca_end("est");
	check_live("EC", 256);
	empty();
	unlink(ticket_path);
	with_ca(two, "--est --mac " MAC, EX_REFUSED, "2 certificates in the");
	with_ca(html, "--est --mac " MAC, EX_REFUSED, "not application/pkcs7");
	with_ca(broken, "--est --mac " MAC, EX_REFUSED, "no PKCS#7");
	with_ca(no, "--est --mac " MAC, EX_REFUSED, "HTTP status 401: no "
	    "ticket?[2J");
	nothing_live();
	fingerprint(root.cert, digits);
	snprintf(l, sizeof(l), "--est --key p256 --mac " MAC
	    " --fingerprint %s", digits);
	ca_begin(pinned);
	enrol("https", l, EX_GOOD, MAC);
	ca_end("pinned");
	check_live("EC", 256);
	empty();
}

/* ---- renewal ------------------------------------------------------------- */

/* One that is to be renewed: 20 of its 30 days are over. */
static void
serve_aged(struct visit *v)
{
	json_t		*o;
	X509_REQ	*req = request_json(v, &o);
	X509		*x = certify(&issuing, X509_REQ_get0_pubkey(req), MAC,
			     -20 * DAY - HOUR, 10 * DAY, NULL,
			     "URI:urn:provd:device:240ac4123456");

	answer_cert(v, x);
	X509_free(x);
	X509_REQ_free(req);
	json_decref(o);
}

/* The old certificate shows who asks; no ticket. */
static bool
from_old(struct visit *v, X509_REQ *req)
{
	X509	*old = read_cert(at("cert.pem"));
	bool	 same;

	if (v->client == NULL || X509_cmp(v->client, old) != 0)
		_exit(73);
	same = EVP_PKEY_eq(X509_get0_pubkey(old), X509_REQ_get0_pubkey(req)) ==
	    1;
	X509_free(old);
	return same;
}

static void
serve_renewal(struct visit *v)
{
	json_t		*o;
	X509_REQ	*req = request_json(v, &o);

	if (strcmp(member(o, "operation"), "renew_client_cert") != 0 ||
	    json_object_get(o, "ticket") != NULL || from_old(v, req))
		_exit(74);
	X509_REQ_free(req);
	json_decref(o);
	serve_aged(v);
}

static void
serve_same_key(struct visit *v)
{
	json_t		*o;
	X509_REQ	*req = request_json(v, &o);

	if (!from_old(v, req))
		_exit(75);
	X509_REQ_free(req);
	json_decref(o);
	serve_aged(v);
}

/* RFC 7030, 4.2.2: the subject and the SAN of what is renewed. */
static void
serve_reenroll(struct visit *v)
{
	X509_REQ			*req = request_est(v,
					     "POST /.well-known/est/simplereenroll ");
	STACK_OF(X509_EXTENSION)	*exts = X509_REQ_get_extensions(req);
	X509				*x;

	if (from_old(v, req) || X509v3_get_ext_by_NID(exts,
	    NID_subject_alt_name, -1) < 0 || strstr(v->request,
	    "Authorization") != NULL)
		_exit(76);
	sk_X509_EXTENSION_pop_free(exts, X509_EXTENSION_free);
	x = issue(req, &issuing, NULL);
	answer_p7(v, x, NULL);
	X509_free(x);
	X509_REQ_free(req);
}

static void
test_renew(void **state)
{
	const struct turn	aged[CA_TURNS] = { { .serve = serve_aged } };
	const struct turn	renewal[CA_TURNS] = { { .serve =
				    serve_renewal } };
	const struct turn	refusal[CA_TURNS] = { { .serve =
				    serve_refusal } };
	const struct turn	same[CA_TURNS] = { { .serve = serve_same_key } };
	const struct turn	est[CA_TURNS] = { { .serve = serve_reenroll },
				    { .serve = serve_cacerts } };
	static X509		*a, *b;	/* a child has them, too */

	enrol("https", "--renew --mac " MAC, EX_REFUSED, "enrol without");
	with_ca(aged, "--mac " MAC, EX_GOOD, MAC);
	a = read_cert(at("cert.pem"));
	/* neither name nor anchors need be said again */
	ca_begin(renewal);
	enrol("https", "--key p256 --renew", EX_GOOD, MAC);
	ca_end("renewal");
	check_live("EC", 256);
	b = read_cert(at("cert.pem"));
	assert_int_not_equal(X509_cmp(a, b), 0);
	X509_free(a);
	ca_begin(same);
	enrol("https", "--renew --same-key", EX_GOOD, MAC);
	ca_end("same key");
	check_live("EC", 256);
	a = read_cert(at("cert.pem"));
	assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(a), X509_get0_pubkey(b)),
	    1);
	X509_free(b);
	/* a refusal leaves what there is */
	ca_begin(refusal);
	enrol("https", "--key p256 --renew", EX_REFUSED, "CRT-014");
	ca_end("refusal");
	b = read_cert(at("cert.pem"));
	assert_int_equal(X509_cmp(a, b), 0);
	X509_free(a);
	X509_free(b);
	enrol("http", "--renew", EX_REFUSED, "renewed over https");
	ca_begin(est);
	enrol("https", "--est --key p256 --renew", EX_GOOD, MAC);
	ca_end("est");
	check_live("EC", 256);
	/* fresh: nobody is asked */
	enrol("https", "--json --renew", EX_GOOD, "\"fresh\":false");
	ca_begin(same);
	enrol("https", "--renew --now --same-key", EX_GOOD, MAC);
	ca_end("now");
	empty();
}

/* ---- a ticket that is typed, a daemon ------------------------------------- */

static void
enrol_line(char *l, size_t size, const char *more)
{
	snprintf(l, size, "enrol --key p256 --ca %s --out %s --server "
	    "https://127.0.0.1:%d %s", ca_path, device, ca_port, more);
}

static void
test_typed(void **state)
{
	const struct turn	turns[CA_TURNS] = { { .serve = serve_ticket } };
	char			l[512];
	int			master, slave, o, e;
	pid_t			pid;

	terminal(&master, &slave);
	ca_begin(turns);
	enrol_line(l, sizeof(l), "--profile iot --mac " MAC);
	pid = provctl_begin(l, slave, &o, &e);
	on_prompt(e, "Ticket (empty: none): ", master, TICKET "\n");
	assert_int_equal(provctl_end(pid, o, e), EX_GOOD);
	ca_end("typed");
	assert_null(strstr(err, TICKET));
	check_live("EC", 256);
	empty();
	/* nobody is asked for a ticket in vain */
	enrol_line(l, sizeof(l), "--renew --mac " MAC);
	pid = provctl_begin(l, slave, &o, &e);
	assert_int_equal(provctl_end(pid, o, e), EX_REFUSED);
	assert_null(strstr(err, "Ticket"));
	close(slave);
	close(master);
	empty();
}

/* It enrols, says so, and stays; a refusal at the first time ends it. */
static void
test_daemon(void **state)
{
	const struct turn	turns[CA_TURNS] = { { .serve = serve_good } };
	const struct turn	refusal[CA_TURNS] = { { .serve =
				    serve_refusal } };
	char			l[512];
	int			o, e, status, null;
	pid_t			pid;

	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	ca_begin(turns);
	enrol_line(l, sizeof(l), "--daemon --mac " MAC);
	pid = provctl_begin(l, null, &o, &e);
	on_prompt(o, "directory ", null, "");
	ca_end("daemon");
	check_live("EC", 256);
	/* it holds the directory */
	enrol_line(l, sizeof(l), "--renew --mac " MAC);
	expect(l, EX_REFUSED, "another provctl is at work");
	assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	close(o);
	close(e);
	empty();
	ca_begin(refusal);
	enrol_line(l, sizeof(l), "--daemon --mac " MAC);
	expect(l, EX_REFUSED, "CRT-014");
	ca_end("refusal");
	close(null);
	empty();
}

/* ---- a key in a TPM ------------------------------------------------------ */

static void
swtpm_begin(char *where, size_t size)
{
	char	cmd[512];

	snprintf(where, size, "unix:%s/tpm", dir);
	snprintf(cmd, sizeof(cmd), "mkdir %s/tpmstate && swtpm socket --tpm2 "
	    "--daemon --pid file=%s/tpmstate/pid --server type=unixio,path="
	    "%s/tpm --tpmstate dir=%s/tpmstate --flags startup-clear,"
	    "not-need-init", dir, dir, dir, dir);
	assert_int_equal(system(cmd), 0);
}

static void
swtpm_end(void)
{
	char	cmd[256];

	snprintf(cmd, sizeof(cmd), "kill $(cat %s/tpmstate/pid); rm -rf "
	    "%s/tpmstate %s/tpm", dir, dir, dir);
	assert_int_equal(system(cmd), 0);
}

static void
test_tpm(void **state)
{
	const struct turn	aged[CA_TURNS] = { { .serve = serve_aged } };
	const struct turn	renewal[CA_TURNS] = { { .serve =
				    serve_renewal } };
	const struct turn	same[CA_TURNS] = { { .serve =
				    serve_same_key } };
	const struct turn	later[CA_TURNS] = { { .serve = serve_later } };
	const struct turn	again[CA_TURNS] = { { .serve = serve_same } };
	char			where[64], l[256];
	struct stat		st;
	static X509		*a, *b;	/* a child has them, too */

	expect("enrol --out x --server https://h --tpm unix:x --key rsa-2048",
	    EX_WRONG, "in the TPM is p256");
	ca_begin(aged);
	snprintf(l, sizeof(l), "--tpm unix:/nonexistent --mac " MAC " --ca %s",
	    ca_path);
	enrol("https", l, EX_REFUSED, "No such file");
	kill(ca_pid, SIGKILL);
	waitpid(ca_pid, NULL, 0);
	empty();
	swtpm_begin(where, sizeof(where));
	/* what was not answered is asked again, with the key of the TPM */
	snprintf(l, sizeof(l), "--tpm %s --mac " MAC " --ca %s", where,
	    ca_path);
	ca_begin(later);
	enrol("https", l, EX_REFUSED, "giving up");
	ca_end("later");
	ca_begin(again);
	enrol("https", l, EX_GOOD, MAC);
	ca_end("again");
	unlink(first_path);
	assert_int_equal(stat(at("key.tpm"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(lstat(at("key.pem"), &st), -1);
	a = read_cert(at("cert.pem"));
	/* the old key signs the handshake of a renewal */
	snprintf(l, sizeof(l), "--renew --now --tpm %s", where);
	ca_begin(renewal);
	enrol("https", l, EX_GOOD, MAC);
	ca_end("renewal");
	b = read_cert(at("cert.pem"));
	assert_int_not_equal(EVP_PKEY_eq(X509_get0_pubkey(a),
	    X509_get0_pubkey(b)), 1);
	X509_free(a);
	snprintf(l, sizeof(l), "--renew --now --same-key --tpm %s", where);
	ca_begin(same);
	enrol("https", l, EX_GOOD, MAC);
	ca_end("same");
	a = read_cert(at("cert.pem"));
	assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(a),
	    X509_get0_pubkey(b)), 1);
	X509_free(a);
	X509_free(b);
	enrol("https", "--renew --now", EX_REFUSED, "--tpm says where");
	/* another TPM cannot use it */
	swtpm_end();
	swtpm_begin(where, sizeof(where));
	snprintf(l, sizeof(l), "--renew --now --tpm %s", where);
	enrol("https", l, EX_REFUSED, "of another TPM");
	swtpm_end();
	empty();
}

/* ---- the directory ------------------------------------------------------- */

static void
test_directory(void **state)
{
	const struct turn	good[CA_TURNS] = { { .serve = serve_good } };
	struct stat		st;
	FILE			*f;

	assert_int_equal(mkdir(device, 0700), 0);
	assert_int_equal(chmod(device, 0770), 0);
	enrol("https", "--mac " MAC, EX_REFUSED, "others can write");
	assert_int_equal(chmod(device, 0755), 0);
	assert_non_null(f = fopen(at("key.pem"), "w"));
	fclose(f);
	enrol("https", "--mac " MAC, EX_REFUSED, "is there already");
	assert_int_equal(unlink(at("key.pem")), 0);
	/* of a run that ended before its link was made */
	assert_int_equal(mkdir(at("set-0011223344556677"), 0700), 0);
	assert_non_null(f = fopen(at("set-0011223344556677/key.pem"), "w"));
	fclose(f);
	assert_int_equal(chmod(device, 0700), 0);
	with_ca(good, "--mac " MAC, EX_GOOD, MAC);
	check_live("EC", 256);
	assert_int_equal(stat(at("set-0011223344556677"), &st), -1);
	empty();
	expect("enrol --out /nonexistent/x --server https://h --mac " MAC,
	    EX_REFUSED, "No such file");
}

static int
setup(void **state)
{
	FILE	*f;

	if (world_setup(state) == -1)
		return -1;
	snprintf(device, sizeof(device), "%s/device", dir);
	snprintf(ca_path, sizeof(ca_path), "%s/root.pem", dir);
	snprintf(ticket_path, sizeof(ticket_path), "%s/ticket", dir);
	snprintf(first_path, sizeof(first_path), "%s/first", dir);
	ca_make();
	if ((f = fopen(ca_path, "w")) == NULL)
		return -1;
	PEM_write_X509(f, root.cert);
	return fclose(f);
}

static int
teardown(void **state)
{
	ca_free();
	unlink(ca_path);
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_usage),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_rsa),
		cmocka_unit_test(test_not_believed),
		cmocka_unit_test(test_no_answers),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_server),
		cmocka_unit_test(test_fingerprint),
		cmocka_unit_test(test_again),
		cmocka_unit_test(test_slow),
		cmocka_unit_test(test_est),
		cmocka_unit_test(test_renew),
		cmocka_unit_test(test_typed),
		cmocka_unit_test(test_daemon),
		cmocka_unit_test(test_tpm),
		cmocka_unit_test(test_directory),
	};

	return cmocka_run_group_tests_name("provctl_enrol", tests, setup,
	    teardown);
}
