/* etc/openapi.json says of the JSON door what the door does. */
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

static json_t	*doc;

/* By a path of member names with blanks between; never NULL. */
static json_t *
at(json_t *o, const char *path)
{
	char	 buf[256], *p, *save;

	snprintf(buf, sizeof(buf), "%s", path);
	for (p = strtok_r(buf, " ", &save); p != NULL;
	    p = strtok_r(NULL, " ", &save))
		if ((o = json_object_get(o, p)) == NULL)
			fail_msg("%s: there is no %s", path, p);
	return o;
}

static bool
has(json_t *array, const char *text)
{
	json_t	*v;
	size_t	 i;

	json_array_foreach(array, i, v)
		if (strcmp(json_string_value(v), text) == 0)
			return true;
	return false;
}

/* Every reference leads somewhere. */
static void
references(json_t *o)
{
	const char	*name, *ref;
	char		 path[256], *p;
	json_t		*v;
	size_t		 i;

	if ((ref = json_string_value(json_object_get(o, "$ref"))) != NULL) {
		assert_memory_equal(ref, "#/", 2);
		snprintf(path, sizeof(path), "%s", ref + 2);
		for (p = path; *p != '\0'; p++)
			if (*p == '/')
				*p = ' ';
		at(doc, path);
	}
	json_object_foreach(o, name, v)
		references(v);
	if (json_is_array(o))
		json_array_foreach(o, i, v)
			references(v);
}

static void
test_form(void **state)
{
	assert_string_equal(json_string_value(at(doc, "openapi")), "3.1.0");
	at(doc, "info title");
	at(doc, "info version");
	references(doc);
}

/* Each operation has its path and its name in a request, and no other has. */
static void
test_operations(void **state)
{
	json_t			*paths = at(doc, "paths"), *one;
	enum json_operation	 op, found;
	const char		*path;
	char			 text[128];

	assert_int_equal(json_object_size(paths), JSON_NOPERATIONS + 1);
	json_object_foreach(paths, path, one) {
		assert_int_equal(json_path(path, &found), 0);
		at(one, "post responses 200");
	}
	for (op = 0; op < JSON_NOPERATIONS; op++) {
		snprintf(text, sizeof(text),
		    "components schemas %s_request properties operation const",
		    json_name(op));
		assert_string_equal(json_string_value(at(doc, text)),
		    json_name(op));
	}
	at(doc, "paths /get_ca_chain get");
	at(doc, "paths /get_crl get");
}

/* Members that the description has are taken, and no others. */
static void
test_members(void **state)
{
	static const char *const all[] = { "csr", "ticket", "profile",
	    "serial", "reason" };
	static const char *const values[] = { "MAMCAQA=",
	    "00112233445566778899aabbccddeeff", "iot", "0a",
	    "keyCompromise" };
	static struct json_request q;
	struct refusal		 why;
	enum json_operation	 op;
	json_t			*schema, *required;
	char			 text[256];
	size_t			 i;
	int			 r;

	for (op = 0; op < JSON_NOPERATIONS; op++) {
		snprintf(text, sizeof(text), "components schemas %s_request",
		    json_name(op));
		schema = at(doc, text);
		required = at(schema, "required");
		for (i = 0; i < 5; i++) {
			snprintf(text, sizeof(text), "{\"%s\":\"%s\"%s}",
			    all[i], values[i], i > 0 &&
			    has(required, "csr") ? ",\"csr\":\"MAMCAQA=\"" :
			    "");
			r = json_parse(op, (const uint8_t *)text,
			    strlen(text), &q, &why);
			if ((r == 0) != (json_object_get(at(schema,
			    "properties"), all[i]) != NULL))
				fail_msg("%s %s", json_name(op), text);
		}
		r = json_parse(op, (const uint8_t *)"{}", 2, &q, &why);
		assert_int_equal(r == 0, json_array_size(required) == 0);
	}
}

static void
test_reasons(void **state)
{
	static struct json_request q;
	json_t		*words = at(doc, "components schemas "
			    "revoke_client_cert_request properties reason "
			    "enum");
	struct refusal	 why;
	enum crl_reason	 i;
	char		 text[64];

	for (i = 0; i < CRL_NREASONS; i++) {
		if (json_reason(i) == NULL)
			continue;
		snprintf(text, sizeof(text), "{\"reason\":\"%s\"}",
		    json_reason(i));
		assert_int_equal(json_parse(JSON_REVOKE,
		    (const uint8_t *)text, strlen(text), &q, &why) == 0,
		    has(words, json_reason(i)));
	}
}

/* The statuses are those that reasons have, at every path. */
static void
test_statuses(void **state)
{
	json_t		*paths = at(doc, "paths"), *one, *responses;
	const char	*path, *status;
	bool		 known[600] = { [200] = true, [503] = true };
	unsigned	 i, n = 0;
	json_t		*v;

	for (i = 1; i < R_COUNT; i++)
		known[http_status((enum reason)i)] = true;
	for (i = 0; i < 600; i++)
		n += known[i];
	assert_int_equal(json_object_size(at(doc, "components responses")),
	    n - 1);
	json_object_foreach(paths, path, one) {
		responses = at(one, "post responses");
		assert_int_equal(json_object_size(responses), n);
		json_object_foreach(responses, status, v)
			assert_true(known[atoi(status) % 600]);
	}
}

/* An error has the members that are described. */
static void
test_error(void **state)
{
	json_t		*known = at(doc,
			    "components schemas error properties error "
			    "properties"), *e, *v;
	struct refusal	 w;
	size_t		 len;
	const char	*name;
	char		*text;

	refusal_set(&w, R_CRT_NAME, "a", "b", "c");
	text = json_error(&w, &len);
	e = json_loadb(text, len, 0, NULL);
	assert_int_equal(json_object_size(at(e, "error")),
	    json_object_size(known));
	json_object_foreach(at(e, "error"), name, v)
		assert_non_null(json_object_get(known, name));
	json_decref(e);
	free(text);
}

static int
setup(void **state)
{
	json_error_t e;

	json_warm();
	doc = json_load_file("etc/openapi.json", JSON_REJECT_DUPLICATES, &e);
	if (doc == NULL)
		fprintf(stderr, "etc/openapi.json:%d: %s\n", e.line, e.text);
	return doc == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	json_decref(doc);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_form),
		cmocka_unit_test(test_operations),
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_statuses),
		cmocka_unit_test(test_error),
	};

	return cmocka_run_group_tests_name("enrol_openapi", tests, setup,
	    teardown);
}
