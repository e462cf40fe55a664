/*
 * enrold as a process: what its clients get, what policyd is asked, and what
 * netd, keyd and policyd may do to it.
 */
#include <inttypes.h>

#include "enrol_world.h"

#define GET(path)	"GET " path " HTTP/1.1\r\nHost: ca\r\n\r\n"
#define TICKET		"000102030405060708090a0b0c0d0e0f"
#define NAME		"24:0a:c4:12:34:56"
#define STATUS		"POST /status HTTP/1.1\r\nHost: ca\r\n"		\
			"Content-Length: 15\r\n\r\n{\"serial\":\"01\"}"

static char	csr[4096], body[8192];

static void
request_body(const char *operation, const char *more)
{
	snprintf(body, sizeof(body),
	    "{\"operation\":\"%s\",\"csr\":\"%s\"%s}", operation, csr, more);
}

/* The code in the error object that came. */
static void
code_is(const struct client_end *c, const char *code)
{
	char	text[32];

	snprintf(text, sizeof(text), "\"code\":\"%s\"", code);
	if (strstr(c->in, text) == NULL)
		fail_msg("not %s: %s", code, c->in);
}

static X509 *
device(EVP_PKEY *key, const char *eku, int64_t to)
{
	return cert(&(struct cert_conf){ .key = key, .issuer = w.ca,
	    .signer = w.ca_key, .cn = NAME, .eku = eku, .to = to });
}

/* ---- what anybody may read ------------------------------------------------------- */

static void
test_plain(void **state)
{
	struct client_end	*c = client_open(L_PLAIN, false, NULL, NULL);
	static const char	 two[] = GET("/get_ca_chain")
		    "HEAD /ca/chain.pem HTTP/1.1\r\nHost: ca\r\n\r\n"
		    GET("/nothing");

	/* Three at once: answered in their order. */
	client_send(c, two, sizeof(two) - 1);
	WAIT_FOR(answer_len(c) > 0);
	assert_int_equal(answer_status(c), 200);
	assert_non_null(strstr(c->in, "\"status\":\"ok\""));
	assert_non_null(strstr(c->in, "BEGIN CERTIFICATE"));
	assert_non_null(strstr(c->in, "Connection: keep-alive"));
	answer_drop(c);
	WAIT_FOR(strstr(c->in, "\r\n\r\n") != NULL);
	assert_int_equal(answer_status(c), 200);
	assert_non_null(strstr(c->in,
	    "application/pem-certificate-chain"));
	c->len -= (size_t)(strstr(c->in, "\r\n\r\n") + 4 - c->in);
	memmove(c->in, strstr(c->in, "\r\n\r\n") + 4, c->len + 1);
	WAIT_FOR(answer_len(c) > 0);
	assert_int_equal(answer_status(c), 404);
	code_is(c, "ENR-006");
	client_close(c);
	WAIT_FOR(w.over_last == last_connection);
}

static void
test_status_door(void **state)
{
	static const struct { const char *path; unsigned status; } gets[] = {
		{ GET("/ca/chain.pem"), 200 },
		{ GET("/ca/issuing-3.der"), 200 },
		{ GET("/ca/issuing-4.der"), 404 },
		{ GET("/ca/issuing-03.der"), 404 },
		{ GET("/ca/"), 404 },
		{ GET("/crl/issuing-3.crl"), 404 },	/* none was given */
		{ GET("/get_ca_chain"), 403 },
		{ GET("/.well-known/est/cacerts"), 403 },
		{ GET("/"), 403 },
		{ "DELETE /ca/chain.pem HTTP/1.1\r\nHost: ca\r\n\r\n", 405 },
	};
	struct client_end	*c = client_open(L_STATUS, false, NULL, NULL);
	size_t			 i;

	for (i = 0; i < N(gets); i++) {
		if (exchange(c, gets[i].path) != gets[i].status)
			fail_msg("%s: %s", gets[i].path, c->in);
		answer_drop(c);
	}
	assert_int_equal(post(c, "/", "{\"operation\":\"get_crl\"}"), 403);
	code_is(c, "ENR-024");
	client_close(c);
}

/* A CRL comes in memory that nobody changes any more. */
static void
test_crl(void **state)
{
	static uint8_t		 der[100000];
	struct msg_enrol_crl	 m = { .ca = 0, .length = sizeof(der),
	    .next_update = 86400 };
	struct client_end	*c = client_open(L_STATUS, false, NULL, NULL);
	struct client_end	*j = client_open(L_PLAIN, false, NULL, NULL);
	size_t			 n;

	memset(der, 0x30, sizeof(der));
	assert_int_equal(chan_send(w.hub, MSG_ENROL_CRL, &m,
	    memfd(der, sizeof(der), true)), 0);
	do {	/* two links have no order between them */
		answer_drop(c);
	} while (exchange(c, GET("/crl/issuing-3.crl")) == 404);
	n = answer_len(c);
	assert_int_equal(answer_status(c), 200);
	assert_memory_equal(c->in + n - sizeof(der), der, sizeof(der));
	assert_int_equal(post(j, "/get_crl", ""), 200);
	assert_non_null(strstr(j->in, "BEGIN X509 CRL"));
	assert_non_null(strstr(j->in, "1970-01-02T00:00:00Z"));
	client_close(c);
	client_close(j);
}

/* ---- certificates ------------------------------------------------------------------- */

static void
test_enrol(void **state)
{
	EVP_PKEY		*key = EVP_EC_gen("P-256");
	struct client_end	*c = client_open(L_TLS, true, NULL, NULL);
	unsigned		 taken = w.taken;
	uint8_t			 hash[32];

	csr_text(NAME, key, key, csr, sizeof(csr));
	request_body("req_client_cert", ",\"ticket\":\"" TICKET "\","
	    "\"profile\":\"iot\"");
	if (post(c, "/", body) != 200)
		fail_msg("%s", c->in);
	assert_non_null(strstr(c->in, "\"serial\":\"5a5a5a5a"));
	assert_non_null(strstr(c->in, "BEGIN CERTIFICATE"));
	assert_non_null(strstr(c->in, "\"renew_after\":\"20"));
	assert_string_equal(w.req.name, NAME);
	assert_string_equal(w.req.profile, "iot");
	assert_string_equal(w.req.address, "192.0.2.9");
	assert_int_equal(w.req.ticket.len, 16);
	assert_int_equal(w.req.ticket.data[15], 15);
	assert_int_equal(w.req.public.len, 65);
	assert_int_equal(w.req.client, CLIENT_NONE);
	assert_int_equal(w.req.client_serial.len, 0);
	assert_false(w.req.renew || w.req.est || w.req.server_keygen);
	/* policyd learns that the answer was written. */
	WAIT_FOR(w.taken == taken + 1);
	/* The same request has the same hash; another ticket has not. */
	memcpy(hash, w.req.request.data, 32);
	answer_drop(c);
	assert_int_equal(post(c, "/", body), 200);
	assert_memory_equal(hash, w.req.request.data, 32);
	answer_drop(c);
	request_body("req_client_cert", ",\"profile\":\"iot\"");
	assert_int_equal(post(c, "/", body), 200);
	assert_int_equal(w.req.ticket.len, 0);
	assert_memory_not_equal(hash, w.req.request.data, 32);
	client_close(c);
	EVP_PKEY_free(key);
}

/* Without TLS, the operation as path, the ticket by HTTP Basic. */
static void
test_enrol_plain(void **state)
{
	static char		 text[8192];
	EVP_PKEY		*key = EVP_RSA_gen(2048);
	struct client_end	*c = client_open(L_PLAIN, false, NULL, NULL);
	char			 more[256], basic[128];

	csr_text(NAME, key, key, csr, sizeof(csr));
	snprintf(body, sizeof(body), "{\"csr\":\"%s\"}", csr);
	assert_true(base64_encode((const uint8_t *)"24-0A-C4-12-34-56:"
	    TICKET, 50, false, basic, sizeof(basic)) > 0);
	snprintf(more, sizeof(more), "Authorization: Basic %s\r\n", basic);
	post_text(text, sizeof(text), "/req_client_cert", body, more);
	assert_int_equal(exchange(c, text), 200);
	assert_int_equal(w.req.ticket.data[1], 1);
	assert_int_equal(w.req.key_type, SUBJECT_RSA2048);
	assert_int_equal(w.req.public.len, 256);
	assert_int_equal(w.req.exponent, 65537);
	/* The name beside the ticket is the request's. */
	answer_drop(c);
	w.asked = 0;
	assert_true(base64_encode((const uint8_t *)"24-0A-C4-12-34-57:"
	    TICKET, 50, false, basic, sizeof(basic)) > 0);
	snprintf(more, sizeof(more), "Authorization: Basic %s\r\n", basic);
	post_text(text, sizeof(text), "/req_client_cert", body, more);
	assert_int_equal(exchange(c, text), 401);
	assert_non_null(strstr(c->in, "WWW-Authenticate: Basic"));
	code_is(c, "ENR-021");
	assert_int_equal(w.asked, 0);
	client_close(c);
	EVP_PKEY_free(key);
}

/* Who does not hold the key is refused before policyd hears of it. */
static void
test_possession(void **state)
{
	EVP_PKEY		*key = EVP_EC_gen("P-256");
	struct client_end	*c = client_open(L_PLAIN, false, NULL, NULL);

	csr_text(NAME, key, w.other_key, csr, sizeof(csr));
	request_body("req_client_cert", "");
	assert_int_equal(post(c, "/", body), 400);
	code_is(c, "ENR-016");
	answer_drop(c);
	assert_int_equal(post(c, "/req_client_cert", "{\"csr\":\"MAMCAQA=\"}"),
	    400);
	code_is(c, "ENR-015");
	assert_int_equal(w.asked, 0);
	client_close(c);
	EVP_PKEY_free(key);
}

static void
test_refused(void **state)
{
	EVP_PKEY		*key = EVP_EC_gen("P-256");
	struct client_end	*c = client_open(L_PLAIN, false, NULL, NULL);
	unsigned		 taken = w.taken;

	csr_text(NAME, key, key, csr, sizeof(csr));
	request_body("req_client_cert", "");
	w.refuse = R_CRT_NAME;
	assert_int_equal(post(c, "/", body), 403);
	code_is(c, "CRT-010");
	assert_non_null(strstr(c->in, "\"seen\":\"b\""));
	answer_drop(c);
	w.refuse = R_CRT_ATTEMPTS_DEVICE;
	assert_int_equal(post(c, "/", body), 429);
	assert_non_null(strstr(c->in, "Retry-After:"));
	assert_int_equal(w.taken, taken);
	client_close(c);
	EVP_PKEY_free(key);
}

/* How often these bytes are in the memory of enrold that may be written. */
static unsigned
found(const void *p, size_t len)
{
	char		 path[64], line[512], *text = NULL;
	uint64_t	 from, to;
	unsigned	 n = 0;
	FILE		*maps;
	const char	*hit;
	ssize_t		 k;
	int		 mem;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)w.pid);
	assert_non_null(maps = fopen(path, "r"));
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)w.pid);
	assert_true((mem = open(path, O_RDONLY | O_CLOEXEC)) != -1);
	while (fgets(line, sizeof(line), maps) != NULL) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " rw", &from, &to) !=
		    2 || strstr(line, " rw-p ") == NULL ||
		    to - from > 64 * 1024 * 1024)
			continue;
		assert_non_null(text = malloc((size_t)(to - from)));
		k = pread(mem, text, (size_t)(to - from), (off_t)from);
		for (hit = text; k > 0 && (hit = memmem(hit,
		    (size_t)(text + k - hit), p, len)) != NULL; hit++)
			n++;
		free(text);
	}
	close(mem);
	fclose(maps);
	return n;
}

/* Once the answer is written, nothing here knows the ticket any more. */
static void
test_wipes(void **state)
{
	static const char	 hex[] = "c0ffee5eed5eed5eed5eed5eed5eed99";
	static const uint8_t	 raw[] = { 0xc0, 0xff, 0xee, 0x5e, 0xed, 0x5e,
	    0xed, 0x5e, 0xed, 0x5e, 0xed, 0x5e, 0xed, 0x5e, 0xed, 0x99 };
	EVP_PKEY		*key = EVP_EC_gen("P-256");
	struct client_end	*c = client_open(L_TLS, true, NULL, NULL);
	struct client_end	*p = client_open(L_PLAIN, false, NULL, NULL);

	csr_text(NAME, key, key, csr, sizeof(csr));
	request_body("req_client_cert", ",\"ticket\":\""
	    "c0ffee5eed5eed5eed5eed5eed5eed99\"");
	assert_int_equal(post(c, "/", body), 200);
	assert_memory_equal(w.req.ticket.data, raw, sizeof(raw));
	answer_drop(c);
	assert_int_equal(post(p, "/", body), 200);
	/* It is through with them once it answers something else. */
	answer_drop(p);
	assert_int_equal(exchange(p, GET("/nothing")), 404);
	assert_int_equal(found("\xff" "no such bytes", 14), 0);
	assert_int_not_equal(found("ACME Issuing CA 3", 17), 0);
	assert_int_equal(found(hex, 32), 0);
	assert_int_equal(found(raw, sizeof(raw)), 0);
	client_close(c);
	client_close(p);
	EVP_PKEY_free(key);
}

/* ---- clients with a certificate -------------------------------------------------------- */

static void
test_renew(void **state)
{
	EVP_PKEY		*key = EVP_EC_gen("P-256");
	X509			*x = device(key, "clientAuth", 0);
	struct client_end	*c = client_open(L_MUTUAL, true, x, key);
	uint8_t			 md[32], *spki = NULL;
	int			 n = i2d_PUBKEY(key, &spki);

	csr_text(NAME, key, key, csr, sizeof(csr));
	request_body("renew_client_cert", "");
	if (post(c, "/", body) != 200)
		fail_msg("%s", c->in);
	assert_true(w.req.renew);
	assert_int_equal(w.req.client, CLIENT_OURS);
	assert_int_equal(w.req.client_serial.len, 4);
	assert_memory_equal(w.req.client_serial.data,
	    ASN1_STRING_get0_data(X509_get0_serialNumber(x)), 4);
	assert_string_equal(w.req.client_name, NAME);
	assert_int_equal(w.req.client_root.len, 0);
	assert_int_equal(EVP_Digest(spki, (size_t)n, md, NULL, EVP_sha256(),
	    NULL), 1);
	assert_memory_equal(w.req.client_key.data, md, 32);
	OPENSSL_free(spki);
	answer_drop(c);
	/* Its own, for a reason; the serial of another is policyd's to say. */
	assert_int_equal(post(c, "/revoke_client_cert",
	    "{\"reason\":\"superseded\"}"), 200);
	assert_memory_equal(w.revoke.serial.data, w.req.client_serial.data, 4);
	assert_int_equal(w.revoke.reason, CRL_SUPERSEDED);
	answer_drop(c);
	assert_int_equal(post(c, "/status", ""), 200);
	assert_non_null(strstr(c->in, "\"certificate_status\":\"revoked\""));
	assert_non_null(strstr(c->in, "\"reason\":\"keyCompromise\""));
	assert_int_equal(w.status.serial.len, 4);
	client_close(c);
	X509_free(x);
	EVP_PKEY_free(key);
}

/* What takes a certificate is refused to whoever shows none. */
static void
test_no_certificate(void **state)
{
	EVP_PKEY		*key = EVP_EC_gen("P-256");
	struct client_end	*c = client_open(L_TLS, true, NULL, NULL);
	struct client_end	*p = client_open(L_PLAIN, false, NULL, NULL);

	csr_text(NAME, key, key, csr, sizeof(csr));
	request_body("renew_client_cert", "");
	assert_int_equal(post(c, "/", body), 401);
	code_is(c, "ENR-021");
	answer_drop(c);
	assert_int_equal(post(c, "/revoke_client_cert",
	    "{\"serial\":\"01\"}"), 401);
	code_is(c, "ENR-021");
	/* At the plain door there is no revoking at all. */
	assert_int_equal(post(p, "/revoke_client_cert",
	    "{\"serial\":\"01\"}"), 403);
	code_is(p, "ENR-024");
	answer_drop(p);
	assert_int_equal(post(p, "/",
	    "{\"operation\":\"revoke_client_cert\",\"serial\":\"01\"}"), 403);
	code_is(p, "ENR-024");
	assert_int_equal(w.asked, 0);
	client_close(c);
	client_close(p);
	EVP_PKEY_free(key);
}

static void
test_maker(void **state)
{
	EVP_PKEY		*key = EVP_RSA_gen(2048);
	X509			*x = cert(&(struct cert_conf){ .key = key,
	    .issuer = w.other, .signer = w.other_key, .cn = "pump",
	    .unit = "SN-77", .eku = "clientAuth" });
	struct client_end	*c;
	uint8_t			 md[32], *der = NULL;
	int			 n = i2d_X509(w.other, &der);

	give_maker(w.other);
	csr_text("SN-77", key, key, csr, sizeof(csr));
	request_body("req_client_cert", "");
	do {	/* two links have no order between them */
		c = client_open(L_MUTUAL, true, x, key);
		n = (int)post(c, "/", body);
		client_close(c);
	} while (n == 0);
	assert_int_equal(n, 200);
	assert_int_equal(w.req.client, CLIENT_MAKER);
	assert_string_equal(w.req.client_name, "pump");
	assert_string_equal(w.req.client_unit, "SN-77");
	n = i2d_X509(w.other, NULL);
	assert_int_equal(EVP_Digest(der, (size_t)n, md, NULL, EVP_sha256(),
	    NULL), 1);
	assert_int_equal(w.req.client_root.len, 32);
	assert_memory_equal(w.req.client_root.data, md, 32);
	OPENSSL_free(der);
	X509_free(x);
	EVP_PKEY_free(key);
	give_maker(NULL);
}

/* Certificates that end the handshake, each with its reason. */
static void
test_bad_clients(void **state)
{
	EVP_PKEY	*key = EVP_EC_gen("P-256");
	X509		*x[] = {
		/* below nobody that is known */
		cert(&(struct cert_conf){ .key = key, .issuer = w.other,
		    .signer = w.other_key, .cn = NAME }),
		/* our CA's name, another key */
		cert(&(struct cert_conf){ .key = key, .issuer = w.ca,
		    .signer = w.other_key, .cn = NAME }),
		device(key, "OCSPSigning", 0),
		cert(&(struct cert_conf){ .key = key, .issuer = w.ca,
		    .signer = w.ca_key, .cn = NAME, .from = 3600 }),
		device(key, "clientAuth", -60),
	};
	static const enum reason reasons[] = { R_ENR_CLIENT, R_ENR_CLIENT,
	    R_ENR_CLIENT, R_ENR_CLIENT, R_CRT_CLIENT_EXPIRED };
	struct client_end	*c;
	size_t			 i;
	uint64_t		 n;

	for (i = 0; i < N(x); i++) {
		n = w.counts[reasons[i]];
		c = client_open(L_TLS, true, x[i], key);
		if (exchange(c, GET("/get_ca_chain")) != 0)
			fail_msg("client %zu was served", i);
		WAIT_FOR(w.counts[reasons[i]] == n + 1);
		client_close(c);
		X509_free(x[i]);
	}
	/* None at all is none for the mutual door. */
	n = w.counts[R_TLS_NO_CERTIFICATE];
	c = client_open(L_MUTUAL, true, NULL, NULL);
	assert_int_equal(exchange(c, GET("/get_ca_chain")), 0);
	WAIT_FOR(w.counts[R_TLS_NO_CERTIFICATE] == n + 1);
	client_close(c);
	EVP_PKEY_free(key);
}

/* ---- TLS --------------------------------------------------------------------------------- */

static void
test_rsa_listener(void **state)
{
	struct client_end	*c = client_open(L_RSA, true, NULL, NULL);

	assert_int_equal(exchange(c, GET("/get_ca_chain")), 200);
	assert_int_equal(SSL_version(c->ssl), TLS1_3_VERSION);
	assert_int_equal(EVP_PKEY_get_base_id(X509_get0_pubkey(
	    SSL_get0_peer_certificate(c->ssl))), EVP_PKEY_RSA);
	client_close(c);
}

static void
test_tls12(void **state)
{
	struct client_end	*c;
	uint64_t		 n = w.counts[R_TLS_VERSION];
	static const char	 hello[] = "\x16\x03\x01\x00\x2f\x01\x00\x00"
		    "\x2b\x03\x03" "0123456789abcdef0123456789abcdef" "\x00"
		    "\x00\x02\xc0\x2b\x01\x00\x00\x00";

	c = client_open(L_TLS, false, NULL, NULL);
	client_send(c, hello, sizeof(hello) - 1);
	WAIT_FOR(c->eof);
	WAIT_FOR(w.counts[R_TLS_VERSION] == n + 1);
	client_close(c);
}

/* keyd does not sign: the handshake fails, and the next one is none the worse. */
static void
test_keyd_refuses(void **state)
{
	struct client_end	*c;

	w.refuse_keyd = true;
	c = client_open(L_TLS, true, NULL, NULL);
	assert_int_equal(exchange(c, GET("/get_ca_chain")), 0);
	client_close(c);
	WAIT_FOR(w.counts[R_KEY_NO_TPM] == 1);
	w.refuse_keyd = false;
	c = client_open(L_TLS, true, NULL, NULL);
	assert_int_equal(exchange(c, GET("/get_ca_chain")), 200);
	client_close(c);
}

/* keyd goes in the middle of handshakes: they end, its successor signs. */
static void
test_keyd_gone(void **state)
{
	struct client_end	*c[8];
	unsigned		 i, before = w.signatures, over = w.over;

	w.mute_keyd = true;
	for (i = 0; i < N(c); i++)
		c[i] = client_open(L_TLS, true, NULL, NULL);
	WAIT_FOR(w.signatures == before + N(c));
	/* Some clients do not wait for it. */
	client_close(c[0]);
	client_close(c[1]);
	chan_close(w.keyd);
	for (i = 2; i < N(c); i++) {
		WAIT_FOR(c[i]->eof);
		client_close(c[i]);
	}
	WAIT_FOR(w.over == over + N(c));
	w.mute_keyd = false;
	i = w.ready;
	w.keyd = introduce(IPC_KEYD, 2);
	WAIT_FOR(w.ready == i + 1);
	do {	/* our word is not yet theirs */
		c[0] = client_open(L_TLS, true, NULL, NULL);
		i = exchange(c[0], GET("/get_ca_chain"));
		client_close(c[0]);
	} while (i == 0);
	assert_int_equal(i, 200);
}

/* ---- HTTP over connections -------------------------------------------------------------------- */

static void
test_expect(void **state)
{
	struct client_end	*c = client_open(L_TLS, true, NULL, NULL);

	assert_int_equal(exchange(c, "POST /get_ca_chain HTTP/1.1\r\n"
	    "Host: ca\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"),
	    100);
	answer_drop(c);
	assert_int_equal(exchange(c, "{}"), 200);
	client_close(c);
}

/* A gibibyte is refused where it is announced, and the answer can be read. */
static void
test_large(void **state)
{
	static char		 junk[32768];
	struct client_end	*c = client_open(L_TLS, true, NULL, NULL);
	unsigned		 i, over = w.over;

	assert_int_equal(exchange(c, "POST / HTTP/1.1\r\nHost: ca\r\n"
	    "Content-Length: 1073741824\r\n\r\n{"), 413);
	code_is(c, "ENR-004");
	assert_non_null(strstr(c->in, "Connection: close"));
	WAIT_FOR(c->eof);
	/* It sends on nevertheless, until nobody listens. */
	for (i = 0; i < 10000 && w.over == over; i++) {
		ERR_clear_error();
		if (SSL_write(c->ssl, junk, sizeof(junk)) <= 0)
			uv_run(&loop, UV_RUN_ONCE);
		uv_run(&loop, UV_RUN_NOWAIT);
	}
	assert_int_equal(w.over, over + 1);
	client_close(c);
}

static void
test_bad_http(void **state)
{
	static const struct {
		const char	*text;
		unsigned	 status;
		const char	*code;
	} cases[] = {
		{ "hello\r\n\r\n", 400, "ENR-001" },
		{ "\x16\x03\x01", 400, "ENR-001" },
		{ "POST / HTTP/1.1\r\nHost: ca\r\nContent-Length: 1\r\n"
		    "Transfer-Encoding: chunked\r\n\r\n", 400, "ENR-002" },
	};
	struct client_end	*c;
	size_t			 i;

	for (i = 0; i < N(cases); i++) {
		c = client_open(L_PLAIN, false, NULL, NULL);
		assert_int_equal(exchange(c, cases[i].text), cases[i].status);
		code_is(c, cases[i].code);
		/* Where the next request begins, nobody knows. */
		WAIT_FOR(c->eof);
		client_close(c);
	}
	c = client_open(L_PLAIN, false, NULL, NULL);
	assert_int_equal(exchange(c, "POST / HTTP/1.1\r\nHost: ca\r\n"
	    "Content-Type: text/html\r\nContent-Length: 2\r\n\r\n{}"), 415);
	code_is(c, "ENR-008");
	client_close(c);
}

/* ---- policyd and netd ------------------------------------------------------------------------------ */

/* More than the link's window: the others wait, and each has its answer. */
static void
test_many(void **state)
{
	static struct client_end *c[400];
	struct msg_cert_status_rep m = { .status = CERT_GOOD };
	unsigned		   i, n, over = w.over;

	w.mute = true;
	for (i = 0; i < N(c); i++) {
		c[i] = client_open(L_PLAIN, false, NULL, NULL);
		client_send(c[i], STATUS, sizeof(STATUS) - 1);
	}
	WAIT_FOR(w.asked == ipc_window(IPC_ENROLD, IPC_POLICYD));
	/* Who goes away meanwhile is not noticed before there is an answer. */
	client_close(c[N(c) - 1]);
	for (n = 0; n < N(c); n++) {
		WAIT_FOR(w.asked > n);
		assert_int_equal(chan_reply(w.hub, &w.calls[n],
		    MSG_CERT_STATUS_REP, &m), 0);
	}
	for (i = 0; i < N(c) - 1; i++) {
		WAIT_FOR(answer_len(c[i]) > 0);
		assert_int_equal(answer_status(c[i]), 200);
		client_close(c[i]);
	}
	assert_int_equal(w.asked, N(c));
	WAIT_FOR(w.over == over + N(c));
}

/* The answer comes when nobody waits any more. */
static void
test_gone(void **state)
{
	struct msg_cert_status_rep m = { .status = CERT_GOOD };
	struct client_end	*c = client_open(L_PLAIN, false, NULL, NULL);

	w.mute = true;
	client_send(c, STATUS, sizeof(STATUS) - 1);
	WAIT_FOR(w.asked == 1);
	client_close(c);
	assert_int_equal(chan_reply(w.hub, &w.calls[0], MSG_CERT_STATUS_REP,
	    &m), 0);
	WAIT_FOR(w.over_last == last_connection);
}

static void
test_no_listener(void **state)
{
	struct client_end	*c = client_open(L_NONE, false, NULL, NULL);

	WAIT_FOR(c->eof);
	WAIT_FOR(w.counts[R_ENR_NO_LISTENER] >= 1);
	WAIT_FOR(w.over_last == last_connection);
	client_close(c);
}

/* netd goes: who waits for an answer has it, the others end. */
static void
test_netd_gone(void **state)
{
	struct msg_cert_status_rep m = { .status = CERT_GOOD };
	struct client_end	*idle = client_open(L_PLAIN, false, NULL,
	    NULL);
	struct client_end	*busy = client_open(L_PLAIN, false, NULL,
	    NULL);
	unsigned		 over = w.over, i = w.ready;

	w.mute = true;
	assert_int_equal(exchange(idle, GET("/get_ca_chain")), 200);
	client_send(busy, STATUS, sizeof(STATUS) - 1);
	WAIT_FOR(w.asked == 1);
	chan_close(w.netd);
	w.handed -= 2;
	WAIT_FOR(idle->eof);
	assert_int_equal(chan_reply(w.hub, &w.calls[0], MSG_CERT_STATUS_REP,
	    &m), 0);
	WAIT_FOR(busy->eof);
	assert_int_equal(answer_status(busy), 200);
	client_close(idle);
	client_close(busy);
	/* The next netd never handed them on, and does not hear of them. */
	w.netd = introduce(IPC_NETD, 2);
	WAIT_FOR(w.ready == i + 1);
	idle = client_open(L_PLAIN, false, NULL, NULL);
	assert_int_equal(exchange(idle, GET("/get_ca_chain")), 200);
	client_close(idle);
	WAIT_FOR(w.over == over + 1);
	assert_int_equal(w.over_last, last_connection);
}

/* A file is no socket: netd broke a rule. */
static void
test_no_socket(void **state)
{
	unsigned	i = w.ready;

	hand(L_PLAIN, memfd("x", 1, false));
	w.handed--;
	WAIT_FOR(w.offences == 1 && w.netd == NULL);
	w.netd = introduce(IPC_NETD, 3);
	WAIT_FOR(w.ready == i + 1);
}

/* A CRL that may still change is none: policyd broke a rule, and enrold ends. */
static void
test_unsealed(void **state)
{
	struct msg_enrol_crl m = { .ca = 0, .length = 1 };

	assert_int_equal(chan_send(w.hub, MSG_ENROL_CRL, &m,
	    memfd("x", 1, false)), 0);
	WAIT_FOR(w.hub == NULL);
}

/* ---- time -------------------------------------------------------------------------------------------- */

static int
setup_slow(void **state)
{
	request_ms = 400;
	return setup(state);
}

/* Too slow in each part of a request; the answer says so if it can. */
static void
test_slow(void **state)
{
	static const char	*const parts[] = { "POST / HT",
		    "POST / HTTP/1.1\r\nHost: ca\r\nX: ",
		    "POST / HTTP/1.1\r\nHost: ca\r\nContent-Length: 3\r\n\r\n{" };
	struct client_end	*c;
	size_t			 i;

	for (i = 0; i < N(parts); i++) {
		c = client_open(L_PLAIN, false, NULL, NULL);
		assert_int_equal(exchange(c, parts[i]), 408);
		code_is(c, "ENR-005");
		WAIT_FOR(c->eof);
		client_close(c);
	}
	WAIT_FOR(w.counts[R_ENR_SLOW] == N(parts));
}

/* Who says nothing at all, in the clear or instead of a handshake. */
static void
test_silent(void **state)
{
	struct client_end	*a = client_open(L_PLAIN, false, NULL, NULL);
	struct client_end	*b = client_open(L_TLS, false, NULL, NULL);
	uint64_t		 n = w.counts[R_ENR_SLOW];

	WAIT_FOR(a->eof && b->eof);
	assert_int_equal(a->len, 0);
	WAIT_FOR(w.counts[R_ENR_SLOW] == n + 2);
	client_close(a);
	client_close(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_plain, before),
		cmocka_unit_test_setup(test_status_door, before),
		cmocka_unit_test_setup(test_crl, before),
		cmocka_unit_test_setup(test_enrol, before),
		cmocka_unit_test_setup(test_enrol_plain, before),
		cmocka_unit_test_setup(test_possession, before),
		cmocka_unit_test_setup(test_refused, before),
		cmocka_unit_test_setup(test_wipes, before),
		cmocka_unit_test_setup(test_renew, before),
		cmocka_unit_test_setup(test_no_certificate, before),
		cmocka_unit_test_setup(test_maker, before),
		cmocka_unit_test_setup(test_bad_clients, before),
		cmocka_unit_test_setup(test_rsa_listener, before),
		cmocka_unit_test_setup(test_tls12, before),
		cmocka_unit_test_setup(test_keyd_refuses, before),
		cmocka_unit_test_setup(test_keyd_gone, before),
		cmocka_unit_test_setup(test_expect, before),
		cmocka_unit_test_setup(test_large, before),
		cmocka_unit_test_setup(test_bad_http, before),
		cmocka_unit_test_setup(test_many, before),
		cmocka_unit_test_setup(test_gone, before),
		cmocka_unit_test_setup(test_no_listener, before),
		cmocka_unit_test_setup(test_netd_gone, before),
		cmocka_unit_test_setup(test_no_socket, before),
	};
	const struct CMUnitTest last[] = {
		cmocka_unit_test_setup(test_unsealed, before),
	};
	const struct CMUnitTest slow[] = {
		cmocka_unit_test_setup(test_slow, before),
		cmocka_unit_test_setup(test_silent, before),
	};
	int	r;

	r = cmocka_run_group_tests_name("enrold_proc", tests, setup,
	    teardown);
	r |= cmocka_run_group_tests_name("enrold_proc_last", last, setup,
	    teardown);
	return r | cmocka_run_group_tests_name("enrold_proc_slow", slow,
	    setup_slow, teardown);
}
