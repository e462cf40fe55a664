/*
 * Enrolment: who gets a certificate, under which name and profile, and who
 * does not; that each is on disk, once, before anybody is answered.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "policyd_enrol.h"

/* ---- a first certificate ---- */

static void
test_ticket(void **state)
{
	struct msg_enrol_req	 m = request("24-0A-C4-12-34-56", "");
	static struct issued	 i;
	struct answer		*a;

	ticket(&m, MAC, "iot");
	m.san_kind = SAN_URI;
	IPC_SET_STR(m.san, "urn:provd:device:240ac4123456");
	a = assert_issued(&m);
	assert_kept(a);
	assert_int_equal(a->rep.ca, 3);
	assert_false(a->rep.again);
	/* keyd was asked for the canonical name, and for what the CA can give. */
	assert_string_equal(keyd_last.name, MAC);
	assert_string_equal(keyd_last.profile, "iot");
	assert_int_equal(keyd_last.not_after - keyd_last.not_before, 30 * DAY);
	assert_true(keyd_last.not_before < NOW);
	assert_true(issued_find(a->rep.serial.data, SERIAL_LEN, &i));
	assert_int_equal(i.auth, AUTH_TICKET);
	assert_int_equal(i.generation, 2);
	assert_string_equal(i.name, MAC);
	assert_string_equal(i.address, "192.0.2.9");
	assert_int_equal(issued_state(&i, NOW), ST_ORPHAN);
	taken(a);
	assert_true(issued_find(a->rep.serial.data, SERIAL_LEN, &i));
	assert_int_equal(issued_state(&i, NOW), ST_VALID);
	/* Asked for, issued: both on record, beside the operator's. */
	assert_int_equal(sql_int("SELECT count(*) FROM audit WHERE kind ="
	    " 'certificate' AND subject = '" MAC "'"), 2);
}

/* Who looks does not see an orphan until somebody has something to write. */
static void
test_settled(void **state)
{
	struct msg_enrol_req	 m = request(MAC, "");
	struct msg_enrol_taken	 t;
	static struct issued	 i;
	struct answer		*a;

	ticket(&m, MAC, "iot");
	a = assert_issued(&m);
	IPC_SET_BLOB(t.serial, a->rep.serial.data, SERIAL_LEN);
	assert_int_equal(chan_send(enrold_theirs, MSG_ENROL_TAKEN, &t, -1),
	    0);
	turns();
	enrol_settle();
	assert_true(issued_find(a->rep.serial.data, SERIAL_LEN, &i));
	assert_int_equal(issued_state(&i, NOW), ST_VALID);
	turns();
}

static void
test_rsa(void **state)
{
	struct msg_enrol_req	 m = request(MAC, "");
	EVP_PKEY		*k = EVP_RSA_gen(2048);
	BIGNUM			*n = NULL;
	struct answer		*a;

	EVP_PKEY_get_bn_param(k, "n", &n);
	m.key_type = SUBJECT_RSA2048;
	m.public.len = (uint32_t)BN_bn2bin(n, m.public.data);
	m.exponent = 65537;
	ticket(&m, MAC, "iot");
	a = assert_issued(&m);
	assert_kept(a);
	/* The same key with an exponent that has its other half in reach. */
	m = request(MAC2, "");
	m.key_type = SUBJECT_RSA2048;
	m.public.len = (uint32_t)BN_bn2bin(n, m.public.data);
	m.exponent = 1;
	ticket(&m, MAC2, "iot");
	assert_refused(&m, R_CRT_KEY_WEAK, "key");
	BN_free(n);
	EVP_PKEY_free(k);
}

/* No longer than the CA above it. */
static void
test_window(void **state)
{
	struct msg_enrol_req	m = request(MAC, "");

	the_ca.not_after = NOW + 5 * DAY;
	the_ca.not_before = NOW - 10;
	ticket(&m, MAC, "iot");
	assert_issued(&m);
	assert_int_equal(keyd_last.not_after, NOW + 5 * DAY);
	assert_int_equal(keyd_last.not_before, NOW - 10);
}

/* ---- every refusal of a first request ---- */

static void
test_names(void **state)
{
	static const struct {
		const char	*profile, *listed, *asked;
		enum reason	 reason;
	} cases[] = {
		{ "iot", MAC, MAC2, R_CRT_NAME },
		{ "iot", MAC, "", R_CRT_NAME_FORM },
		{ "iot", MAC, "24:0a:c4:12:34", R_CRT_NAME_FORM },
		{ "iot", MAC, "24:0a:c4:12:34:56:78", R_CRT_NAME_FORM },
		{ "iot", MAC, "24:0a-c4:12:34:56", R_CRT_NAME_FORM },
		{ "iot", MAC, "24:0a:c4:12:34:5g", R_CRT_NAME_FORM },
		{ "iot", MAC, " 4:0a:c4:12:34:56", R_CRT_NAME_FORM },
		{ "iot", MAC, "25:0a:c4:12:34:56", R_CRT_NAME_FORM },
		{ "iot", MAC, "00:00:00:00:00:00", R_CRT_NAME_FORM },
		{ "iot", MAC, "240AC4123456", R_OK },
		{ "iot", MAC, "24:0A:C4:12:34:56", R_OK },
		{ "web", "www.example.org", "WWW.example.ORG", R_OK },
		{ "web", "www.example.org", "example.org", R_CRT_NAME },
		{ "web", "www.example.org", "*.example.org", R_CRT_NAME_FORM },
		{ "web", "www.example.org", "www.example.org.",
		    R_CRT_NAME_FORM },
		{ "web", "www.example.org", "www.example.net",
		    R_CRT_NAME_FORM },
		{ "web", "www.example.org", "wwwexample.org",
		    R_CRT_NAME_FORM },
		{ "web", "www.example.org", "192.0.2.1", R_CRT_NAME_FORM },
		{ "web", "www.example.org", "-w.example.org",
		    R_CRT_NAME_FORM },
		{ "web", "www.example.org", "w-.example.org",
		    R_CRT_NAME_FORM },
		{ "web", "www.example.org", "w..example.org",
		    R_CRT_NAME_FORM },
		{ "ops", "Alice", "Alice", R_OK },
		{ "ops", "Alice", "alice", R_CRT_NAME },
		{ "ops", "Alice", "Alice,O=x", R_CRT_NAME_FORM },
		{ "ops", "Alice", "Alice ", R_CRT_NAME_FORM },
		/* A device that is named by its MAC has this SAN. */
		{ "ops", "Alice", "240ac4123456", R_CRT_NAME_FORM },
		{ "ops", "Alice", "240AC4123456", R_CRT_NAME_FORM },
		{ "ops", "250ac4123456", "250ac4123456", R_OK },
	};
	struct msg_enrol_req	m;
	size_t			i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		m = request(cases[i].asked, "");
		ticket(&m, cases[i].listed, cases[i].profile);
		if (cases[i].reason == R_OK)
			assert_issued(&m);
		else
			assert_refused(&m, cases[i].reason, "common name");
		attempt_start();
	}
}

static void
test_san(void **state)
{
	static const struct {
		enum san_kind	 kind;
		const char	*san;
	} wrong[] = {
		{ SAN_URI, "urn:provd:device:240ac4123457" },
		{ SAN_URI, "urn:provd:device:240AC4123456" },
		{ SAN_URI, "urn:provd:node:240ac4123456" },
		{ SAN_URI, "" },
		{ SAN_DNS, "www.example.org" },
		{ SAN_DNS, "urn:provd:device:240ac4123456" },
	};
	struct msg_enrol_req	m;
	size_t			i;

	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		m = request(MAC, "");
		ticket(&m, MAC, "iot");
		m.san_kind = wrong[i].kind;
		IPC_SET_STR(m.san, wrong[i].san);
		assert_refused(&m, R_CRT_SAN, "subjectAltName");
	}
	m = request("www.example.org", "");
	ticket(&m, "www.example.org", "web");
	m.san_kind = SAN_DNS;
	IPC_SET_STR(m.san, "WWW.example.org");
	assert_issued(&m);
}

static void
test_keys(void **state)
{
	struct msg_enrol_req	 m = request(MAC, ""), n;
	static struct issued	 i;
	struct answer		*a;
	struct why		 why;

	ticket(&m, MAC, "iot");
	m.key_type = SUBJECT_P384;
	assert_refused(&m, R_CRT_KEY_TYPE, "key");
	assert_string_equal(answers[nasked - 1].refused.expected,
	    "ecdsa-p256 rsa-2048");
	assert_string_equal(answers[nasked - 1].refused.seen, "ecdsa-p384");
	m.key_type = SUBJECT_RSA2048;
	assert_refused(&m, R_CRT_KEY_TYPE, "key");
	m.key_type = SUBJECT_P256;
	m.public.data[0] = 2;
	assert_refused(&m, R_CRT_KEY_TYPE, "key");
	m.public.data[0] = 4;
	m.exponent = 3;
	assert_refused(&m, R_CRT_KEY_TYPE, "key");
	m.exponent = 0;
	m.server_keygen = true;
	assert_refused(&m, R_ENR_NO_KEYGEN, "profile");
	m.server_keygen = false;
	a = assert_issued(&m);
	/* The key of another device. */
	n = request(MAC2, "");
	ticket(&n, MAC2, "iot");
	n.public = m.public;
	assert_refused(&n, R_CRT_KEY_REVOKED, "key");
	/* Of a revoked certificate of this one. */
	assert_true(issued_find(a->rep.serial.data, SERIAL_LEN, &i));
	assert_int_equal(issued_revoke(&i, CRL_KEY_COMPROMISE, "test", &why),
	    R_OK);
	n = request(MAC, "");
	ticket(&n, MAC, "iot");
	n.public = m.public;
	assert_refused(&n, R_CRT_KEY_REVOKED, "key");
	/* A server's key where the profile has it. */
	n = request("www.example.org", "");
	ticket(&n, "www.example.org", "web");
	n.server_keygen = true;
	assert_issued(&n);
}

static void
test_no_authority(void **state)
{
	struct msg_enrol_req	m = request(MAC, "iot");

	list(MAC, "iot");
	assert_refused(&m, R_CRT_NO_AUTH, "ticket or certificate");
	/* Neither a profile nor a device is told from one that is not. */
	IPC_SET_STR(m.profile, "nothing");
	assert_refused(&m, R_CRT_NO_AUTH, "ticket or certificate");
	IPC_SET_STR(m.profile, "");
	assert_refused(&m, R_CRT_NO_AUTH, "ticket or certificate");
	IPC_SET_STR(m.name, MAC2);
	assert_refused(&m, R_CRT_NO_AUTH, "ticket or certificate");
	m.renew = true;
	assert_refused(&m, R_CRT_NO_AUTH, "client certificate");
	assert_int_equal(keyd_asked, 0);
	assert_int_equal(sql_int("SELECT count(*) FROM cert"), 0);
	assert_int_equal(counted[R_CRT_NO_AUTH], 5);
	assert_int_equal(sql_int("SELECT count(*) FROM audit WHERE kind ="
	    " 'refusal'"), 5);
}

static void
test_no_ca(void **state)
{
	struct msg_enrol_req	m = request(MAC, "");

	ticket(&m, MAC, "iot");
	no_ca = true;
	assert_refused(&m, R_CRT_NO_CA, "");
	no_ca = false;
	assert_issued(&m);		/* the ticket is as good as before */
}

/* ---- tickets ---- */

static void
test_ticket_hashed(void **state)
{
	struct msg_enrol_req	 m = request(MAC, "");
	uint8_t			 hash[HASH_LEN];
	sqlite3_stmt		*st;

	ticket(&m, MAC, "iot");
	EVP_Q_digest(NULL, "SHA256", NULL, m.ticket.data, TICKET_LEN, hash,
	    NULL);
	assert_int_equal(sqlite3_prepare_v2(store_db(), "SELECT hash FROM"
	    " ticket", -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	assert_int_equal(sqlite3_column_bytes(st, 0), HASH_LEN);
	assert_memory_equal(sqlite3_column_blob(st, 0), hash, HASH_LEN);
	sqlite3_finalize(st);
}

static void
test_ticket_bound(void **state)
{
	struct msg_enrol_req	m = request(MAC2, "");
	struct device		d;

	/* Another's name. */
	ticket(&m, MAC, "iot");
	list(MAC2, "iot");
	assert_refused(&m, R_CRT_NAME, "common name");
	/* Another profile. */
	m = request(MAC, "guest");
	ticket(&m, MAC, "iot");
	assert_refused(&m, R_CRT_PROFILE, "profile");
	/* One bit of it. */
	IPC_SET_STR(m.profile, "iot");
	m.ticket.data[15] ^= 1;
	assert_refused(&m, R_CRT_TICKET, "ticket");
	m.ticket.data[15] ^= 1;
	m.ticket.len = 15;
	assert_refused(&m, R_CRT_TICKET, "ticket");
	m.ticket.len = TICKET_LEN;
	/* Another one took its place; the device was taken off the list. */
	assert_true(device_find(MAC, &d));
	struct msg_enrol_req	n = m;
	ticket(&n, MAC, "iot");
	assert_refused(&m, R_CRT_TICKET, "ticket");
	assert_int_equal(device_remove(d.id), R_OK);
	assert_refused(&n, R_CRT_TICKET, "ticket");
	assert_int_equal(keyd_asked, 0);
}

static void
test_ticket_once(void **state)
{
	struct msg_enrol_req	m = request(MAC, ""), n = request(MAC, "");

	ticket(&m, MAC, "iot");
	n.ticket = m.ticket;
	assert_issued(&m);
	assert_refused(&n, R_CRT_TICKET_USED, "ticket");
	/* Nor does it renew. */
	n.renew = true;
	assert_refused(&n, R_CRT_NO_AUTH, "client certificate");
}

static void
test_ticket_expired(void **state)
{
	struct msg_enrol_req	m = request(MAC, "");

	ticket(&m, MAC, "iot");
	clock_set(NOW + DAY - 1);
	clock_set(NOW + DAY + 1);
	assert_refused(&m, R_CRT_TICKET_EXPIRED, "ticket");
}

/* One that comes back for nothing was issued does not beside its successor. */
static void
test_ticket_replaced(void **state)
{
	struct msg_enrol_req	m = request(MAC, ""), n = request(MAC, "");
	static struct ticket	t;

	ticket(&m, MAC, "iot");
	assert_true(ticket_find(m.ticket.data, &t));
	assert_int_equal(ticket_burn(t.hash, NOW), R_OK);
	assert_int_equal(ticket_restore(t.hash), R_OK);
	assert_true(ticket_find(m.ticket.data, &t));
	assert_int_equal(t.used, 0);
	assert_int_equal(ticket_burn(t.hash, NOW), R_OK);
	ticket(&n, MAC, "iot");
	assert_int_equal(ticket_restore(t.hash), R_OK);
	assert_refused(&m, R_CRT_TICKET_USED, "ticket");
	assert_issued(&n);
}

/* Two with one ticket in one turn, before anything is committed: one wins. */
static void
test_ticket_race(void **state)
{
	struct msg_enrol_req	 m = request(MAC, ""), n = request(MAC, "");
	struct answer		*a, *b;

	ticket(&m, MAC, "iot");
	n.ticket = m.ticket;
	a = ask(&m);
	b = ask(&n);
	turns();
	assert_int_equal(a->type, MSG_ENROL_REP);
	assert_int_equal(b->reason, R_CRT_TICKET_USED);
	assert_int_equal(keyd_asked, 1);
	assert_int_equal(sql_int("SELECT count(*) FROM cert"), 1);
}

/* What keyd refuses was never issued: no row, and the ticket is good. */
static void
test_keyd_refuses(void **state)
{
	struct msg_enrol_req	m = request(MAC, "");

	ticket(&m, MAC, "iot");
	keyd_refuses = R_KEY_PURPOSE;
	assert_refused(&m, R_KEY_PURPOSE, "");
	assert_int_equal(sql_int("SELECT count(*) FROM cert"), 0);
	keyd_refuses = R_OK;
	assert_issued(&m);
	assert_int_equal(enrol_under_way(), 0);
}

/* keyd dies with it: it may exist, so its row stays, and is asked for again. */
static void
test_keyd_dies(void **state)
{
	struct msg_enrol_req	 m = request(MAC, "");
	struct msg_device_cert_req first;
	static struct issued	 i;
	struct answer		*a;

	ticket(&m, MAC, "iot");
	keyd_holds = true;
	a = ask(&m);
	turns();
	assert_int_equal(keyd_asked, 1);
	assert_int_equal(a->times, 0);
	first = keyd_last;
	chan_close(keyd_theirs);
	turns();
	assert_int_equal(a->reason, R_IPC_CLOSED);
	assert_int_equal(enrol_under_way(), 0);
	assert_true(issued_find(first.serial.data, SERIAL_LEN, &i));
	assert_int_equal(i.len, 0);
	assert_int_equal(issued_state(&i, NOW), ST_ORPHAN);
	assert_int_equal(issued_status(i.serial, SERIAL_LEN, NOW, &i),
	    CERT_UNKNOWN);
	/* Nobody has what was never there, whatever enrold says. */
	memset(a, 0, sizeof(*a));
	IPC_SET_BLOB(a->rep.serial, i.serial, SERIAL_LEN);
	taken(a);
	assert_true(issued_find(first.serial.data, SERIAL_LEN, &i));
	assert_int_equal(issued_state(&i, NOW), ST_ORPHAN);
	/* Without keyd nothing is promised, and the ticket is not lost. */
	assert_refused(&m, R_IPC_NOLINK, "keyd");
	keyd_holds = false;
	keyd_up();
	a = assert_issued(&m);
	assert_kept(a);
	assert_int_equal(sql_int("SELECT count(*) FROM cert"), 1);
}

static void
test_keyd_lies(void **state)
{
	static const char *const	fields[LIE_N] = { [LIE_SERIAL] =
	    "serial", [LIE_KEY] = "public key", [LIE_NAME] = "subject",
	    [LIE_SAN] = "subjectAltName", [LIE_CA] = "basicConstraints",
	    [LIE_AFTER] = "notAfter", [LIE_SIGNATURE] = "signature",
	    [LIE_ISSUER] = "signature", [LIE_JUNK] = "certificate" };
	struct msg_enrol_req		m = request(MAC, "");
	static struct issued		i;

	ticket(&m, MAC, "iot");
	for (lie = LIE_SERIAL; lie < LIE_N; lie++) {
		assert_refused(&m, R_KEY_IDENTITY_CERT, fields[lie]);
		/* Nobody has it, and it is not forgotten. */
		assert_int_equal(sql_int("SELECT count(*) FROM cert"), 1);
		assert_true(issued_newest(MAC, &i));
		assert_int_equal(i.len, 0);
		assert_int_equal(log_lines(i.serial), 0);
	}
	lie = TRUE;
	assert_issued(&m);
}

/* ---- the same request ---- */

static void
test_again(void **state)
{
	struct msg_enrol_req	 m = request(MAC, ""), n;
	struct answer		*a, *b;

	ticket(&m, MAC, "iot");
	a = assert_issued(&m);
	b = assert_issued(&m);
	assert_true(b->rep.again);
	assert_memory_equal(&a->rep.certificate, &b->rep.certificate,
	    sizeof(a->rep.certificate));
	assert_int_equal(keyd_asked, 1);
	/* Across restarts. */
	stop();
	start();
	b = assert_issued(&m);
	assert_true(b->rep.again);
	assert_memory_equal(&a->rep.certificate, &b->rep.certificate,
	    sizeof(a->rep.certificate));
	assert_kept(a);
	/* A day after the ticket has expired, still. */
	clock_set(NOW + 2 * DAY);
	assert_true(assert_issued(&m)->rep.again);
	/* Whoever says that it is the same: not with another ticket, */
	n = m;
	n.ticket.data[3] ^= 1;
	assert_refused(&n, R_CRT_TICKET, "ticket");
	n.ticket.len = 0;
	assert_refused(&n, R_CRT_NO_AUTH, "ticket or certificate");
	/* another key, another request over the same key. */
	n = request(MAC, "");
	n.request = m.request;
	n.ticket = m.ticket;
	assert_refused(&n, R_CRT_TICKET_USED, "ticket");
	n = m;
	n.request.data[31] ^= 1;
	assert_refused(&n, R_CRT_TICKET_USED, "ticket");
	/* By another authority, though a good one, it is another one. */
	n = m;
	ticket(&n, MAC, "iot");
	b = assert_issued(&n);
	assert_false(b->rep.again);
	assert_int_equal(keyd_asked, 2);
	/* Nor once it is revoked. */
	static struct issued	 i;
	struct why		 why;
	assert_true(issued_find(a->rep.serial.data, SERIAL_LEN, &i));
	assert_int_equal(issued_revoke(&i, CRL_UNSPECIFIED, "test", &why),
	    R_OK);
	assert_refused(&m, R_CRT_KEY_REVOKED, "key");
	assert_int_equal(keyd_asked, 2);
}

/* A client that lost patience asks again while the first is on its way. */
static void
test_again_under_way(void **state)
{
	struct msg_enrol_req	 m = request(MAC, "");
	struct answer		*a, *b, *c;

	ticket(&m, MAC, "iot");
	a = ask(&m);
	b = ask(&m);
	turn();
	c = ask(&m);
	turns();
	assert_int_equal(a->type, MSG_ENROL_REP);
	assert_false(a->rep.again);
	assert_int_equal(b->type, MSG_ENROL_REP);
	assert_true(b->rep.again);
	assert_int_equal(c->type, MSG_ENROL_REP);
	assert_memory_equal(&a->rep.serial, &b->rep.serial,
	    sizeof(a->rep.serial));
	assert_memory_equal(&a->rep.serial, &c->rep.serial,
	    sizeof(a->rep.serial));
	assert_int_equal(keyd_asked, 1);
	assert_int_equal(log_lines(a->rep.serial.data), 1);
}

/* ---- many at once ---- */

static unsigned	commits;

static int
on_commit(void *arg)
{
	commits++;
	return 0;
}

static void
test_group(void **state)
{
	static struct msg_enrol_req	m[200];
	char				name[32];
	unsigned			i;

	for (i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "02:00:00:00:00:%02x", i);
		m[i] = request(name, "");
		ticket(&m[i], name, "iot");
	}
	sqlite3_commit_hook(store_db(), on_commit, NULL);
	commits = 0;
	for (i = 0; i < 50; i++)
		(void)ask(&m[i]);
	turns();
	for (i = 0; i < 50; i++)
		assert_int_equal(answers[i].type, MSG_ENROL_REP);
	assert_in_range(commits, 2, 8);
	/* More than fit keyd's window. */
	for (i = 50; i < 200; i++)
		(void)ask(&m[i]);
	turns();
	for (i = 0; i < 200; i++) {
		assert_int_equal(answers[i].type, MSG_ENROL_REP);
		assert_kept(&answers[i]);
	}
	assert_in_range(commits, 2, 40);
	assert_int_equal(enrol_under_way(), 0);
}

/* ---- renewal ---- */

static struct msg_enrol_req	first;
static struct answer		*had;

static void
enrolled(void)
{
	first = request(MAC, "");
	ticket(&first, MAC, "iot");
	had = assert_issued(&first);
	taken(had);
}

static struct msg_enrol_req
renewal(void)
{
	struct msg_enrol_req	m = request(MAC, "");

	m.renew = true;
	with_client(&m, &first, had);
	return m;
}

static void
test_renewal(void **state)
{
	struct msg_enrol_req	 m;
	static struct issued	 i;
	struct answer		*a;

	enrolled();
	m = renewal();
	assert_refused(&m, R_CRT_RENEW_EARLY, "time");
	clock_set(NOW + 21 * DAY);
	a = assert_issued(&m);
	assert_kept(a);
	assert_true(issued_find(a->rep.serial.data, SERIAL_LEN, &i));
	assert_int_equal(i.auth, AUTH_RENEWAL);
	assert_string_equal(i.profile, "iot");
	/* The one before it stays good, and the answer is idempotent. */
	assert_int_equal(issued_status(had->rep.serial.data, SERIAL_LEN,
	    clock_trusted(), &i), CERT_GOOD);
	assert_true(assert_issued(&m)->rep.again);
	/* Another name, another profile, no listed device any more. */
	m = renewal();
	IPC_SET_STR(m.name, MAC2);
	assert_refused(&m, R_CRT_NAME, "common name");
	m = renewal();
	IPC_SET_STR(m.profile, "guest");
	assert_refused(&m, R_CRT_PROFILE, "profile");
	/* What enrold says of the client is held against the row. */
	m = renewal();
	m.client_key.data[0] ^= 1;
	assert_refused(&m, R_CRT_CLIENT_REVOKED, "client certificate");
	m = renewal();
	m.client_serial.data[5] ^= 1;
	assert_refused(&m, R_CRT_CLIENT_REVOKED, "client certificate");
	m = renewal();
	m.client_serial.len = 0;
	assert_refused(&m, R_CRT_CLIENT_REVOKED, "client certificate");
	struct device	d;
	assert_true(device_find(MAC, &d));
	assert_int_equal(device_remove(d.id), R_OK);
	m = renewal();
	assert_refused(&m, R_CRT_DEVICE, "device");
	/* Listed under another profile since. */
	list(MAC, "named");
	m = renewal();
	assert_refused(&m, R_CRT_PROFILE, "profile");
}

static void
test_renewal_revoked(void **state)
{
	struct msg_enrol_req	m;
	static struct issued	i;
	struct why		why;

	enrolled();
	clock_set(NOW + 21 * DAY);
	assert_true(issued_find(had->rep.serial.data, SERIAL_LEN, &i));
	assert_int_equal(issued_revoke(&i, CRL_KEY_COMPROMISE, "test", &why),
	    R_OK);
	m = renewal();
	assert_refused(&m, R_CRT_CLIENT_REVOKED, "client certificate");
	/* Nor with a ticket beside it: that connection is the thief's. */
	ticket(&m, MAC, "iot");
	m.renew = false;
	assert_refused(&m, R_CRT_CLIENT_REVOKED, "client certificate");
	m.client = CLIENT_NONE;
	assert_issued(&m);
}

static void
test_renewal_expired(void **state)
{
	struct msg_enrol_req	m;

	enrolled();
	clock_set(NOW + 30 * DAY);
	m = renewal();
	assert_refused(&m, R_CRT_CLIENT_EXPIRED, "client certificate");
}

/* formats.md: issuing fails after the old one was taken away. */
static void
test_renewal_fails(void **state)
{
	struct msg_enrol_req	m;
	static struct issued	i;

	enrolled();
	clock_set(NOW + 21 * DAY);
	m = renewal();
	keyd_refuses = R_KEY_PURPOSE;
	assert_refused(&m, R_KEY_PURPOSE, "");
	assert_int_equal(issued_status(had->rep.serial.data, SERIAL_LEN,
	    clock_trusted(), &i), CERT_GOOD);
	assert_int_equal(crls, 0);
	keyd_refuses = R_OK;
	assert_issued(&m);
}

/* One stolen certificate is not a source of certificates without end. */
static void
test_renewal_bounded(void **state)
{
	struct msg_enrol_req	m;
	unsigned		i;

	enrolled();
	clock_set(NOW + 21 * DAY);
	for (i = 1; i < CERTS_VALID; i++) {
		m = renewal();
		assert_issued(&m);
	}
	m = renewal();
	assert_refused(&m, R_CRT_ATTEMPTS_DEVICE, "valid certificates");
}

/* A certificate of one device and the ticket of another. */
static void
test_both(void **state)
{
	struct msg_enrol_req	m;

	enrolled();
	m = request(MAC2, "");
	with_client(&m, &first, had);
	ticket(&m, MAC2, "iot");
	assert_refused(&m, R_CRT_NAME, "client certificate");
	m = request(MAC, "");
	with_client(&m, &first, had);
	ticket(&m, MAC, "iot");
	assert_issued(&m);
}

/* ---- manufacturers ---- */

static void
test_maker(void **state)
{
	struct msg_enrol_req	 m = request("ACME-77", "unit");
	static struct issued	 i;
	struct answer		*a;

	with_maker(&m, "a device", "ACME-77");
	a = assert_issued(&m);
	assert_true(issued_find(a->rep.serial.data, SERIAL_LEN, &i));
	assert_int_equal(i.auth, AUTH_MAKER);
	/* Another unit's name; another root; a profile that accepts none. */
	m = request("ACME-78", "unit");
	with_maker(&m, "ACME-78", "ACME-77");
	assert_refused(&m, R_CRT_NAME, "common name");
	m.client_root.data[4] ^= 1;
	assert_refused(&m, R_CRT_MAKER, "profile");
	IPC_SET_STR(m.profile, "");
	assert_refused(&m, R_CRT_MAKER, "manufacturer root");
	with_maker(&m, "", "ACME-78");
	assert_refused(&m, R_CRT_PROFILE, "profile");	/* two accept it */
	IPC_SET_STR(m.profile, "iot");
	assert_refused(&m, R_CRT_MAKER, "profile");
	IPC_SET_STR(m.profile, "nothing");
	assert_refused(&m, R_CRT_PROFILE, "profile");
	IPC_SET_STR(m.profile, "unit");
	with_maker(&m, "ACME-78", "");
	assert_refused(&m, R_CRT_MAKER,
	    "name in the manufacturer's certificate");
	m.client_root.len = 0;
	assert_refused(&m, R_CRT_MAKER, "manufacturer root");
}

/* Named by an operator's list: by the name in the maker's certificate. */
static void
test_maker_listed(void **state)
{
	struct msg_enrol_req	m = request(MAC, "named");

	with_maker(&m, "24-0A-C4-12-34-56", "");
	assert_refused(&m, R_CRT_DEVICE, "device");
	list(MAC2, "named");
	assert_refused(&m, R_CRT_DEVICE, "device");
	list(MAC, "named");
	assert_issued(&m);
	/* Listed under another profile. */
	m = request("02:00:00:00:00:01", "named");
	with_maker(&m, "020000000001", "");
	list("02:00:00:00:00:01", "iot");
	assert_refused(&m, R_CRT_PROFILE, "profile");
}

/* A unit whose certificate was revoked does not come back by itself. */
static void
test_maker_revoked(void **state)
{
	struct msg_enrol_req	 m = request("ACME-77", "unit");
	static struct issued	 i;
	struct why		 why;
	struct answer		*a;

	with_maker(&m, "", "ACME-77");
	a = assert_issued(&m);
	assert_true(issued_find(a->rep.serial.data, SERIAL_LEN, &i));
	assert_int_equal(issued_revoke(&i, CRL_KEY_COMPROMISE, "test", &why),
	    R_OK);
	m = request("ACME-77", "unit");
	with_maker(&m, "", "ACME-77");
	assert_refused(&m, R_CRT_DEVICE, "device");
	list("ACME-77", "unit");
	assert_issued(&m);
}

/* Nor if the revoked one was not its last; what it replaced itself is no
 * reason. */
static void
test_maker_revoked_before(void **state)
{
	struct msg_enrol_req	 m = request("ACME-77", "unit");
	static struct issued	 i;
	struct why		 why;
	struct answer		*a;

	with_maker(&m, "", "ACME-77");
	a = assert_issued(&m);
	assert_true(issued_find(a->rep.serial.data, SERIAL_LEN, &i));
	m = request("ACME-77", "unit");
	with_maker(&m, "", "ACME-77");
	a = assert_issued(&m);
	assert_int_equal(issued_revoke(&i, CRL_SUPERSEDED, "test", &why),
	    R_OK);
	m = request("ACME-77", "unit");
	with_maker(&m, "", "ACME-77");
	assert_issued(&m);
	assert_true(issued_find(a->rep.serial.data, SERIAL_LEN, &i));
	assert_int_equal(issued_revoke(&i, CRL_KEY_COMPROMISE, "test", &why),
	    R_OK);
	m = request("ACME-77", "unit");
	with_maker(&m, "", "ACME-77");
	assert_refused(&m, R_CRT_DEVICE, "device");
}

/* The same request for the next certificate, once the old one is due. */
static void
test_maker_again(void **state)
{
	struct msg_enrol_req	 m = request("ACME-77", "unit");
	struct answer		*a;

	with_maker(&m, "", "ACME-77");
	a = assert_issued(&m);
	clock_set(NOW + 19 * DAY);
	assert_true(assert_issued(&m)->rep.again);
	clock_set(NOW + 21 * DAY);
	assert_false(assert_issued(&m)->rep.again);
	assert_kept(a);
}

static void
test_open(void **state)
{
	struct msg_enrol_req	m = request("visitor", "guest");

	assert_issued(&m);
	/* A name that is somebody's under another profile. */
	list("Alice", "ops");
	m = request("Alice", "guest");
	assert_refused(&m, R_CRT_NO_AUTH, "ticket or certificate");
	/* Nor one of which a certificate is valid, though nobody lists it. */
	m = request("ACME-77", "unit");
	with_maker(&m, "", "ACME-77");
	assert_issued(&m);
	m = request("ACME-77", "guest");
	assert_refused(&m, R_CRT_NO_AUTH, "ticket or certificate");
	clock_set(NOW + 31 * DAY);
	assert_issued(&m);
}

/* ---- limits ---- */

static void
test_limit_address(void **state)
{
	struct msg_enrol_req	m = request(MAC, ""), good;
	unsigned		i;

	good = request(MAC, "");
	ticket(&good, MAC, "iot");
	for (i = 0; i < 60; i++) {
		(void)ask(&m);
		turns();
	}
	assert_refused(&m, R_CRT_ATTEMPTS_ADDRESS, "address");
	assert_refused(&good, R_CRT_ATTEMPTS_ADDRESS, "address");
	/* A second later, one of them is forgotten. */
	mono += 1001;
	enrol_tick(mono);
	IPC_SET_STR(m.name, MAC2);
	assert_refused(&m, R_CRT_NO_AUTH, "ticket or certificate");
	assert_refused(&m, R_CRT_ATTEMPTS_ADDRESS, "address");
	IPC_SET_STR(good.address, "192.0.2.10");
	assert_issued(&good);
	assert_in_range(sql_int("SELECT count(*) FROM audit WHERE kind ="
	    " 'refusal'"), 60, 60);
	/* All of them are counted, in one record. */
	enrol_tick(mono + 60000);
	store_turn();
	assert_int_equal(sql_int("SELECT count(*) FROM audit WHERE kind ="
	    " 'refusal'"), 61);
}

/* Whoever guesses is told nothing more; whoever has the ticket is let in. */
static void
test_limit_device(void **state)
{
	struct msg_enrol_req	m = request(MAC, ""), good;
	unsigned		i;

	good = request(MAC, "");
	ticket(&good, MAC, "iot");
	m.ticket.len = TICKET_LEN;
	for (i = 0; i < 10; i++)
		assert_refused(&m, R_CRT_TICKET, "ticket");
	IPC_SET_STR(m.address, "192.0.2.10");
	assert_refused(&m, R_CRT_ATTEMPTS_DEVICE, "name");
	assert_issued(&good);
}

static void
test_limit_table(void **state)
{
	uint64_t	now = 1000000;
	char		who[64];
	unsigned	i;

	for (i = 0; i < 100000; i++) {
		snprintf(who, sizeof(who), "2001:db8:%x:%x::1", i >> 16,
		    i & 0xffff);
		attempt_refused(ATTEMPT_ADDRESS, who, now);
	}
	/* One of a network is all of it; another network is another. */
	for (i = 0; i < 60; i++)
		attempt_refused(ATTEMPT_ADDRESS, "2001:db8:f::1", now);
	assert_true(attempt_over(ATTEMPT_ADDRESS, "2001:db8:f::2", now));
	assert_false(attempt_over(ATTEMPT_ADDRESS, "2001:db8:f:1::2", now));
	assert_true(attempt_over(ATTEMPT_ADDRESS, "2001:db8:f::1",
	    now + 999));
	assert_false(attempt_over(ATTEMPT_ADDRESS, "2001:db8:f::1",
	    now + 1001));
	assert_false(attempt_over(ATTEMPT_DEVICE, "2001:db8:f::1", now));
}

/* ---- what a taken-over enrold could ask for ---- */

static void
test_hostile(void **state)
{
	struct msg_enrol_req	m, n;
	struct answer		*a;

	enrolled();
	clock_set(NOW + 21 * DAY);
	/* A certificate of nobody. */
	m = request(MAC2, "iot");
	m.client = CLIENT_OURS;
	assert_refused(&m, R_CRT_CLIENT_REVOKED, "client certificate");
	/* One's own certificate for another's name. */
	m = renewal();
	IPC_SET_STR(m.name, MAC2);
	IPC_SET_STR(m.client_name, MAC2);
	assert_refused(&m, R_CRT_NAME, "common name");
	/* A maker's root in the place of ours, and the other way round. */
	m = request(MAC, "iot");
	with_maker(&m, MAC, MAC);
	assert_refused(&m, R_CRT_MAKER, "profile");
	m.client = CLIENT_OURS;
	assert_refused(&m, R_CRT_CLIENT_REVOKED, "client certificate");
	/* Another's answer, by its request's hash. */
	n = request(MAC2, "");
	ticket(&n, MAC2, "iot");
	n.request = first.request;
	a = assert_issued(&n);
	assert_memory_not_equal(a->rep.serial.data, had->rep.serial.data,
	    SERIAL_LEN);
	/* To be taken for a client that has it: only of what was issued. */
	a->rep.serial.data[0] ^= 1;
	taken(a);
	assert_false(offended);
	/* A line of its own in a log of lines. */
	m = request("a\nprovd: all is well", "");
	IPC_SET_STR(m.address, "a\tb");
	assert_refused(&m, R_CRT_NO_AUTH, "ticket or certificate");
	assert_int_equal(sql_int("SELECT count(*) FROM audit WHERE"
	    " instr(text || subject, char(10)) + instr(text, char(9)) > 0"),
	    0);
	assert_int_equal(sql_int("SELECT count(*) FROM audit WHERE"
	    " subject = 'a?provd: all is well'"), 1);
	/* A hash of the wrong length is no request at all. */
	m = request(MAC, "");
	m.request.len = 31;
	(void)ask(&m);
	turns();
	assert_true(offended);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_ticket),
		T(test_settled),
		T(test_rsa),
		T(test_window),
		T(test_names),
		T(test_san),
		T(test_keys),
		T(test_no_authority),
		T(test_no_ca),
		T(test_ticket_hashed),
		T(test_ticket_bound),
		T(test_ticket_once),
		T(test_ticket_expired),
		T(test_ticket_replaced),
		T(test_ticket_race),
		T(test_keyd_refuses),
		T(test_keyd_dies),
		T(test_keyd_lies),
		T(test_again),
		T(test_again_under_way),
		T(test_group),
		T(test_renewal),
		T(test_renewal_revoked),
		T(test_renewal_expired),
		T(test_renewal_fails),
		T(test_renewal_bounded),
		T(test_both),
		T(test_maker),
		T(test_maker_listed),
		T(test_maker_revoked),
		T(test_maker_revoked_before),
		T(test_maker_again),
		T(test_open),
		T(test_limit_address),
		T(test_limit_device),
		T(test_limit_table),
		T(test_hostile),
	};

	return cmocka_run_group_tests_name("policyd_enrol", tests, NULL,
	    NULL);
}
