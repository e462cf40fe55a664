/*
 * What an `spdm' key signs is built by keyd; the recorded exchanges of
 * another implementation say whether it is right (DSP0274, signature
 * generation).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "../../keyd/keyd.h"

#define CHALLENGE	"responder-challenge_auth signing"
#define MEASUREMENTS	"responder-measurements signing"
#define KEY_EXCHANGE	"responder-key_exchange_rsp signing"
#define FINISH		"requester-finish signing"

static size_t
unhex(const char *s, uint8_t *out, size_t size)
{
	size_t	 n = strlen(s) / 2, i;
	unsigned v;

	assert_true(n <= size);
	for (i = 0; i < n; i++) {
		assert_int_equal(sscanf(s + 2 * i, "%2x", &v), 1);
		out[i] = (uint8_t)v;
	}
	return n;
}

/* The field that ends in "_hash". */
static const char *
find_hash(const json_t *check)
{
	const char	*key;
	json_t		*v;
	void		*it;

	for (it = json_object_iter((json_t *)(uintptr_t)check); it != NULL;
	    it = json_object_iter_next((json_t *)(uintptr_t)check, it)) {
		key = json_object_iter_key(it);
		v = json_object_iter_value(it);
		if (strlen(key) > 5 && json_is_string(v) &&
		    strcmp(key + strlen(key) - 5, "_hash") == 0)
			return json_string_value(v);
	}
	fail();
	return NULL;
}

static unsigned
replay(const char *name, uint32_t version, enum key_algorithm a)
{
	char		 path[128];
	uint8_t		 hash[64], want[SPDM_SIGNED_MAX], out[SPDM_SIGNED_MAX];
	json_t		*doc, *checks, *c;
	size_t		 i, n, hashlen, wantlen, len;
	const char	*context;
	struct why	 w;

	snprintf(path, sizeof(path), "regress/data/spdm/%s.json", name);
	doc = json_load_file(path, 0, NULL);
	assert_non_null(doc);
	checks = json_object_get(doc, "checks");
	n = json_array_size(checks);
	for (i = 0; i < n; i++) {
		c = json_array_get(checks, i);
		context = strcmp(json_string_value(json_object_get(c, "kind")),
		    "CHALLENGE_AUTH") == 0 ? CHALLENGE : MEASUREMENTS;
		hashlen = unhex(find_hash(c), hash, sizeof(hash));
		wantlen = unhex(json_string_value(json_object_get(c,
		    "signed_message")), want, sizeof(want));
		assert_int_equal(spdm_build(curve_get(a), IPC_ATTESTR, version,
		    context, hash, hashlen, out, &len, &w), 0);
		assert_int_equal(len, wantlen);
		assert_memory_equal(out, want, len);
	}
	json_decref(doc);
	return (unsigned)n;
}

static void
test_recorded(void **state)
{
	unsigned	 n = 0;

	n += replay("attest-1.2-p256", 0x12, KEY_P256);
	n += replay("attest-1.2-p256-onebyone", 0x12, KEY_P256);
	n += replay("attest-1.2-p384", 0x12, KEY_P384);
	n += replay("attest-1.3-p256", 0x13, KEY_P256);
	n += replay("attest-1.3-p384", 0x13, KEY_P384);
	assert_true(n >= 10);
}

static enum reason
build_for(enum ipc_role asker, enum key_algorithm a, uint32_t version,
    const char *context, size_t hashlen)
{
	uint8_t		 hash[64] = { 0 }, out[SPDM_SIGNED_MAX];
	size_t		 len;
	struct why	 w = { .reason = R_OK };
	int		 r;

	r = spdm_build(curve_get(a), asker, version, context, hash, hashlen,
	    out, &len, &w);
	assert_int_equal(r == 0, w.reason == R_OK);
	return w.reason;
}

static enum reason
build(enum key_algorithm a, uint32_t version, const char *context,
    size_t hashlen)
{
	return build_for(IPC_ATTESTR, a, version, context, hashlen);
}

static void
test_versions(void **state)
{
	uint32_t	 v;

	for (v = 0; v < 0x1000; v++)
		assert_int_equal(build(KEY_P256, v, CHALLENGE, 32),
		    v == 0x12 || v == 0x13 ? R_OK : R_KEY_SPDM_VERSION);
}

/* Each of the two that may ask has its own list, nobody else has any. */
static void
test_contexts(void **state)
{
	static const struct {
		const char	*context;
		enum ipc_role	 asker;	/* IPC_POLICYD: nobody */
	} rows[] = {
		{ CHALLENGE,		IPC_ATTESTR },
		{ MEASUREMENTS,		IPC_ATTESTR },
		{ KEY_EXCHANGE,		IPC_ATTESTR },
		{ FINISH,		IPC_ATTESTQ },
		{ "",					IPC_POLICYD },
		{ "responder-challenge_auth signing ",	IPC_POLICYD },
		{ "responder-challenge_auth",		IPC_POLICYD },
		{ "Responder-measurements signing",	IPC_POLICYD },
		{ "responder-endpoint_info signing",	IPC_POLICYD },
		{ "responder-finish signing",		IPC_POLICYD },
		{ "requester-challenge_auth signing",	IPC_POLICYD },
		{ "requester-endpoint_info signing",	IPC_POLICYD },
		{ "requester-finish signin",		IPC_POLICYD },
	};
	size_t		 i;
	unsigned	 r;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (r = IPC_POLICYD + 1; r < IPC_NROLES; r++)
			assert_int_equal(build_for((enum ipc_role)r, KEY_P256,
			    0x12, rows[i].context, 32), r == rows[i].asker ?
			    R_OK : R_KEY_SPDM_CONTEXT);
}

static void
test_hash_lengths(void **state)
{
	size_t	 n;

	for (n = 0; n <= 64; n++) {
		assert_int_equal(build(KEY_P256, 0x13, MEASUREMENTS, n),
		    n == 32 ? R_OK : R_KEY_SPDM_HASH);
		assert_int_equal(build(KEY_P384, 0x13, MEASUREMENTS, n),
		    n == 48 ? R_OK : R_KEY_SPDM_HASH);
	}
}

/* r || s: padded to the curve's size both ways, and back to the same DER. */
static void
test_raw_and_der(void **state)
{
	const struct curve	*c = curve_get(KEY_P384);
	uint8_t			 raw[SIG_RAW_MAX] = { 0 }, back[SIG_RAW_MAX];
	uint8_t			 der[SIG_DER_MAX], longer[SIG_DER_MAX + 1];
	size_t			 len;

	raw[47] = 1;		/* r = 1 */
	memset(raw + 48, 0xff, 48);
	assert_int_equal(ecdsa_to_der(c, raw, der, sizeof(der), &len), 0);
	assert_int_equal(len, 2 + 3 + 2 + 49);
	assert_int_equal(ecdsa_to_raw(c, der, len, back), 0);
	assert_memory_equal(raw, back, sizeof(raw));
	assert_int_equal(ecdsa_to_der(c, raw, der, len - 1, &len), -1);
	/* Too long for the curve, or followed by something. */
	assert_int_equal(ecdsa_to_der(c, raw, der, sizeof(der), &len), 0);
	assert_int_equal(ecdsa_to_raw(curve_get(KEY_P256), der, len, back),
	    -1);
	memcpy(longer, der, len);
	longer[len] = 0;
	assert_int_equal(ecdsa_to_raw(c, longer, len + 1, back), -1);
	assert_int_equal(ecdsa_to_raw(c, der, len - 1, back), -1);
}

static int
setup(void **state)
{
	return curve_init();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recorded),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_contexts),
		cmocka_unit_test(test_hash_lengths),
		cmocka_unit_test(test_raw_and_der),
	};

	return cmocka_run_group_tests_name("keyd_spdm", tests, setup, NULL);
}
