/* The JSON door: what it takes, what it answers, which status goes with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "../../enrold/wire.h"

#define N(a)	(sizeof(a) / sizeof((a)[0]))
#define T	"00112233445566778899AABBccddeeff"

static struct json_request	q;
static struct refusal		why;

static int
parse(const char *path, const char *text)
{
	enum json_operation op;

	assert_int_equal(json_path(path, &op), 0);
	memset(&q, 0xa5, sizeof(q));
	memset(&why, 0, sizeof(why));
	return json_parse(op, (const uint8_t *)text, strlen(text), &q, &why);
}

/* ---- requests ------------------------------------------------------------------ */

static void
test_request(void **state)
{
	assert_int_equal(parse("/", "{\"operation\":\"req_client_cert\","
	    "\"csr\":\"MAMCAQA=\",\"ticket\":\"" T "\","
	    "\"profile\":\"iot\"}"), 0);
	assert_int_equal(q.op, JSON_REQUEST);
	assert_int_equal(q.csr_len, 5);
	assert_memory_equal(q.csr, "\x30\x03\x02\x01\x00", 5);
	assert_true(q.has_ticket);
	assert_int_equal(q.ticket[1], 0x11);
	assert_int_equal(q.ticket[15], 0xff);
	assert_string_equal(q.profile, "iot");
	/* The path says it, and the member may say it again. */
	assert_int_equal(parse("/req_client_cert", "{\"csr\":\"MAMCAQA=\"}"),
	    0);
	assert_int_equal(q.op, JSON_REQUEST);
	assert_false(q.has_ticket);
	assert_string_equal(q.profile, "");
	assert_int_equal(parse("/req_client_cert",
	    "{\"operation\":\"req_client_cert\",\"csr\":\"MAMCAQA=\"}"), 0);
	assert_int_equal(parse("/get_ca_chain", ""), 0);
	assert_int_equal(parse("/", " { \"operation\" : \"get_crl\" } "), 0);
	assert_int_equal(q.op, JSON_CRL);
}

static void
test_paths(void **state)
{
	enum json_operation	op, i;
	char			path[64];

	for (i = 0; i < JSON_NOPERATIONS; i++) {
		snprintf(path, sizeof(path), "/%s", json_name(i));
		assert_int_equal(json_path(path, &op), 0);
		assert_int_equal(op, i);
	}
	assert_int_equal(json_path("/", &op), 0);
	assert_int_equal(op, JSON_NOPERATIONS);
	assert_int_equal(json_path("/req_client_cert/", &op), -1);
	assert_int_equal(json_path("/REQ_CLIENT_CERT", &op), -1);
	assert_int_equal(json_path("//status", &op), -1);
}

static void
test_serials(void **state)
{
	static const struct { const char *text; size_t len; } cases[] = {
		{ "01", 1 }, { "0001", 1 }, { "ABcd", 2 }, { "ab:CD:ef", 3 },
		{ "0102030405060708090a0b0c0d0e0f1011121314", 20 },
		{ "", 0 }, { "1", 0 }, { "0", 0 }, { "00", 0 }, { "0g", 0 },
		{ "ab:", 0 }, { ":ab", 0 }, { "ab::cd", 0 }, { "ab c", 0 },
		{ "0x01", 0 },
		{ "0102030405060708090a0b0c0d0e0f101112131415", 0 },
	};
	char	text[128];
	size_t	i;

	for (i = 0; i < N(cases); i++) {
		snprintf(text, sizeof(text), "{\"serial\":\"%s\"}",
		    cases[i].text);
		if (parse("/status", text) != (cases[i].len == 0 ? -1 : 0) ||
		    (cases[i].len > 0 && q.serial_len != cases[i].len))
			fail_msg("%s", cases[i].text);
	}
}

static void
test_reasons(void **state)
{
	assert_int_equal(parse("/revoke_client_cert",
	    "{\"reason\":\"keyCompromise\"}"), 0);
	assert_int_equal(q.reason, CRL_KEY_COMPROMISE);
	assert_int_equal(q.serial_len, 0);
	assert_int_equal(parse("/revoke_client_cert", "{}"), 0);
	assert_int_equal(q.reason, CRL_UNSPECIFIED);
	/* Those are not for a device to say. */
	assert_int_equal(parse("/revoke_client_cert",
	    "{\"reason\":\"cACompromise\"}"), -1);
	assert_int_equal(parse("/revoke_client_cert",
	    "{\"reason\":\"certificateHold\"}"), -1);
	assert_int_equal(why.reason, R_ENR_FIELD);
	assert_string_equal(json_reason(CRL_SUPERSEDED), "superseded");
	assert_null(json_reason((enum crl_reason)7));
}

/* Each refusal, its reason and the member that is to blame. */
static void
test_refused(void **state)
{
	static const struct {
		const char	*path, *text;
		enum reason	 reason;
		const char	*field;
	} cases[] = {
		{ "/", "", R_ENR_JSON, "body" },
		{ "/", "{\"operation\":", R_ENR_JSON, "body" },
		{ "/", "{}{}", R_ENR_JSON, "body" },
		{ "/", "{} x", R_ENR_JSON, "body" },
		{ "/", "[]", R_ENR_JSON, "body" },
		{ "/", "\"status\"", R_ENR_JSON, "body" },
		{ "/", "{'operation':'status'}", R_ENR_JSON, "body" },
		{ "/", "{\"operation\":\"status\",}", R_ENR_JSON, "body" },
		{ "/", "{\"operation\":\"\xff\"}", R_ENR_JSON, "body" },
		{ "/", "{\"operation\":\"status\\u0000\"}", R_ENR_JSON,
		    "body" },
		{ "/", "{\"operation\":1e999}", R_ENR_JSON, "body" },
		{ "/", "{\"a\":{\"b\":{\"c\":{\"d\":{}}}}}", R_ENR_JSON_DEEP,
		    "body" },
		{ "/", "[[[[[", R_ENR_JSON_DEEP, "body" },
		{ "/", "{\"operation\":\"status\",\"operation\":\"status\"}",
		    R_ENR_JSON_DUPLICATE, "body" },
		{ "/", "{}", R_ENR_FIELD, "operation" },
		{ "/", "{\"operation\":7}", R_ENR_FIELD, "operation" },
		{ "/", "{\"operation\":null}", R_ENR_FIELD, "operation" },
		{ "/", "{\"operation\":\"rm\"}", R_ENR_OPERATION,
		    "operation" },
		{ "/get_crl", "{\"operation\":\"status\"}", R_ENR_OPERATION,
		    "operation" },
		{ "/get_crl", "{\"admin\":\"x\"}", R_ENR_FIELD, "admin" },
		{ "/get_crl", "{\"csr\":\"MAMCAQA=\"}", R_ENR_FIELD, "csr" },
		{ "/get_crl", "{\"serial\":\"01\"}", R_ENR_FIELD, "serial" },
		{ "/req_client_cert", "", R_ENR_FIELD, "csr" },
		{ "/req_client_cert", "{\"csr\":\"\"}", R_ENR_BASE64, "csr" },
		{ "/req_client_cert", "{\"csr\":\"!!\"}", R_ENR_BASE64,
		    "csr" },
		/* node_pki's client sends a certificate */
		{ "/req_client_cert", "{\"certificate\":\"MAMCAQA=\"}",
		    R_ENR_FIELD, "certificate" },
		{ "/req_client_cert", "{\"csr\":\"MAMCAQA=\","
		    "\"ticket\":\"00\"}", R_ENR_FIELD, "ticket" },
		{ "/req_client_cert", "{\"csr\":\"MAMCAQA=\",\"ticket\":\""
		    T "0\"}", R_ENR_FIELD, "ticket" },
		{ "/req_client_cert", "{\"csr\":\"MAMCAQA=\",\"ticket\":\""
		    "0011223344556677 899AABBccddeeff\"}", R_ENR_FIELD,
		    "ticket" },
		{ "/req_client_cert", "{\"csr\":\"MAMCAQA=\","
		    "\"profile\":\"\"}", R_ENR_FIELD, "profile" },
		{ "/req_client_cert", "{\"csr\":\"MAMCAQA=\",\"profile\":"
		    "\"123456789012345678901234567890123\"}", R_ENR_FIELD,
		    "profile" },
		{ "/renew_client_cert", "{\"csr\":\"MAMCAQA=\",\"ticket\":\""
		    T "\"}", R_ENR_FIELD, "ticket" },
		{ "/revoke_client_cert", "{\"ticket\":\"" T "\"}",
		    R_ENR_FIELD, "ticket" },
	};
	size_t	i;

	for (i = 0; i < N(cases); i++)
		if (parse(cases[i].path, cases[i].text) != -1 ||
		    why.reason != cases[i].reason ||
		    strcmp(why.field, cases[i].field) != 0)
			fail_msg("%s %s: %s %s", cases[i].path, cases[i].text,
			    reason_code(why.reason), why.field);
}

/* What cannot be read is not cited: it may be a ticket. */
static void
test_no_citation(void **state)
{
	assert_int_equal(parse("/", "{\"ticket\":\"" T), -1);
	assert_null(strstr(why.seen, "AABB"));
	assert_int_equal(parse("/req_client_cert",
	    "{\"ticket\":\"X" T "\"}"), -1);
	assert_null(strstr(why.seen, "AABB"));
}

/* ---- answers ----------------------------------------------------------------------- */

static void
test_answer(void **state)
{
	size_t	 len;
	char	*text = json_answer(JSON_STATUS, (const struct json_member[]){
	    { "serial", "0a" }, { "left_out", NULL }, { "pem", "a\nb" },
	    { "escapes", "\n\"\\\x01\x1f\xc3\xa4/" }, { NULL, NULL } }, &len);
	json_t	*o;

	assert_non_null(text);
	assert_int_equal(len, strlen(text));
	assert_int_equal(text[len - 1], '\n');
	o = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	assert_string_equal(json_string_value(json_object_get(o, "status")),
	    "ok");
	assert_string_equal(json_string_value(json_object_get(o,
	    "operation")), "status");
	assert_string_equal(json_string_value(json_object_get(o, "pem")),
	    "a\nb");
	assert_string_equal(json_string_value(json_object_get(o,
	    "escapes")), "\n\"\\\x01\x1f\xc3\xa4/");
	assert_int_equal(json_object_size(o), 5);
	json_decref(o);
	free(text);
}

static void
test_error(void **state)
{
	struct refusal	 w;
	size_t		 len;
	char		*text;
	json_t		*o, *e;

	refusal_set(&w, R_CRT_NAME, "common name", "a", "b\"");
	text = json_error(&w, &len);
	o = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	e = json_object_get(o, "error");
	assert_string_equal(json_string_value(json_object_get(o, "status")),
	    "error");
	assert_string_equal(json_string_value(json_object_get(e, "code")),
	    "CRT-010");
	assert_string_equal(json_string_value(json_object_get(e, "seen")),
	    "b\"");
	assert_true(json_string_length(json_object_get(e, "text")) > 0);
	assert_true(json_string_length(json_object_get(e, "remedy")) > 0);
	json_decref(o);
	free(text);
}

/* Every reason of both groups has a status that is not the default's. */
static void
test_statuses(void **state)
{
	static const enum reason ours[] = { R_CRT_NO_CA, R_CRT_CA_WAITS,
	    R_CRT_FILES, R_ENR_BUSY, R_ENR_CONNECTIONS, R_ENR_NO_LISTENER };
	size_t	i;

	assert_int_equal(http_status(R_ENR_BODY), 413);
	assert_int_equal(http_status(R_ENR_HEADER), 431);
	assert_int_equal(http_status(R_ENR_SLOW), 408);
	assert_int_equal(http_status(R_CRT_ATTEMPTS_ADDRESS), 429);
	assert_int_equal(http_status(R_CRT_TICKET), 401);
	assert_int_equal(http_status(R_CRT_SERIAL), 404);
	assert_int_equal(http_status(R_IPC_DEADLINE), 503);
	for (i = 0; i < N(ours); i++)
		assert_int_equal(http_status(ours[i]), 503);
	for (i = R_ENR_HTTP; i <= R_ENR_CSR_BINDING; i++)
		assert_int_not_equal(http_status((enum reason)i), 503);
	assert_string_equal(http_phrase(431),
	    "Request Header Fields Too Large");
	assert_string_equal(http_phrase(200), "OK");
}

/* ---- HTTP Basic ----------------------------------------------------------------------- */

static int
basic(const char *text, char name[65], bool *has)
{
	char	field[512] = "Basic ";
	uint8_t	ticket[TICKET_LEN];

	if (base64_encode((const uint8_t *)text, strlen(text), false,
	    field + 6, sizeof(field) - 6) == 0)
		fail();
	return basic_ticket(field, name, ticket, has, &why);
}

static void
test_basic(void **state)
{
	char	name[65];
	uint8_t	ticket[TICKET_LEN];
	bool	has = true;

	assert_int_equal(basic_ticket("", name, ticket, &has, &why), 0);
	assert_false(has);
	assert_int_equal(basic("24:0a:c4:12:34:56:" T, name, &has), 0);
	assert_true(has);
	assert_string_equal(name, "24:0a:c4:12:34:56");
	assert_int_equal(basic("pump-7:" T, name, &has), 0);
	assert_string_equal(name, "pump-7");
	assert_int_equal(basic(":" T, name, &has), -1);
	assert_int_equal(basic("pump-7", name, &has), -1);
	assert_int_equal(basic("pump-7:password", name, &has), -1);
	assert_int_equal(basic("123456789012345678901234567890123456789012345"
	    "67890123456789012345:" T, name, &has), -1);
	assert_int_equal(why.reason, R_ENR_AUTH);
	assert_int_equal(basic_ticket("Bearer x", name, ticket, &has, &why),
	    -1);
	assert_int_equal(basic_ticket("Basic !", name, ticket, &has, &why),
	    -1);
	assert_false(has);
}

static void
test_names(void **state)
{
	assert_true(name_same("24:0A:C4", "24-0a-c4"));
	assert_true(name_same("pump-7", "PUMP-7"));
	assert_false(name_same("pump-7", "pump-77"));
	assert_false(name_same("pump-7", "pump-8"));
	assert_false(name_same("", "a"));
}

/* ---- times ------------------------------------------------------------------------------ */

static void
test_window(void **state)
{
	/* The start of a certificate: version 3, serial, names, the window. */
	static const uint8_t der[] = { 0x30, 0x30, 0x30, 0x2e, 0xa0, 0x03,
	    0x02, 0x01, 0x02, 0x02, 0x01, 0x01, 0x30, 0x00, 0x30, 0x00, 0x30,
	    0x20, 0x17, 0x0d, '7', '0', '0', '1', '0', '2', '0', '0', '0',
	    '0', '0', '1', 'Z', 0x18, 0x0f, '2', '0', '5', '0', '1', '2', '3',
	    '1', '2', '3', '5', '9', '5', '9', 'Z' };
	uint8_t		other[sizeof(der)];
	uint64_t	from, to;
	char		text[32];
	size_t		i;

	assert_int_equal(cert_window(der, sizeof(der), &from, &to), 0);
	assert_int_equal(from, 86401);
	assert_int_equal(to, 2556143999ULL);
	for (i = 0; i < sizeof(der); i++)
		assert_int_equal(cert_window(der, i, &from, &to), -1);
	memcpy(other, der, sizeof(der));
	other[20] = 'x';
	assert_int_equal(cert_window(other, sizeof(der), &from, &to), -1);
	time_text(86401, text);
	assert_string_equal(text, "1970-01-02T00:00:01Z");
	time_text(2556143999ULL, text);
	assert_string_equal(text, "2050-12-31T23:59:59Z");
}

static int
setup(void **state)
{
	json_warm();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_serials),
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_no_citation),
		cmocka_unit_test(test_answer),
		cmocka_unit_test(test_error),
		cmocka_unit_test(test_statuses),
		cmocka_unit_test(test_basic),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_window),
	};

	return cmocka_run_group_tests_name("enrol_json", tests, setup, NULL);
}
