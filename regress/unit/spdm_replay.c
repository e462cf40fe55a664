/*
 * The recorded conversations of an independent implementation against both
 * roles, byte by byte. The signer is fake: it returns the recorded signature
 * if prefix and hash are the recorded ones, and only then.
 */
#include <stdio.h>

#include "spdm_recorded.h"

#define DIR	"regress/data/spdm/"

/* ---- responder ----------------------------------------------------------- */

/* What the recorded responder drew: the nonces of its signed answers. */
static void
responder_random(struct vec *v, const struct spdm_alg *alg)
{
	struct spdm_challenge_auth	c;
	struct spdm_measurements	m;
	size_t				i;

	for (i = 0; i < v->n; i++) {
		if (v->msg[i].p[1] == SPDM_CHALLENGE_AUTH) {
			assert_int_equal(spdm_challenge_auth_get(v->msg[i].p,
			    v->msg[i].len, alg, true, &c), 0);
			vec_random_add(v, v->msg[i].p +
			    (c.nonce - v->msg[i].p), SPDM_NONCE);
		} else if (v->msg[i].p[1] == SPDM_MEASUREMENTS) {
			assert_int_equal(spdm_measurements_get(v->msg[i].p,
			    v->msg[i].len, alg, true, &m), 0);
			vec_random_add(v, v->msg[i].p +
			    (m.nonce - v->msg[i].p), SPDM_NONCE);
		}
	}
}

/* The recorded measurements: those of the vector that read them all. */
static void
recorded_measures(const char *path, const struct spdm_alg *alg,
    struct measure_set *set)
{
	struct vec			v;
	struct spdm_measurements	m;
	size_t				i;

	vec_load(&v, path);
	i = vec_find(&v, SPDM_MEASUREMENTS, 0);
	assert_int_equal(spdm_measurements_get(v.msg[i].p, v.msg[i].len, alg,
	    true, &m), 0);
	vec_measures(m.record, m.record_len, set);
	vec_free(&v);
}

static void
fake_sign(struct vec *v, struct responder *r)
{
	const struct responder_sign	*s = responder_sign(r);
	uint8_t				 tbs[SPDM_PREFIX + SPDM_HASH_MAX];

	assert_true(v->sig_next < v->nchecks);
	spdm_prefix(s->version, s->context, tbs);
	memcpy(tbs + SPDM_PREFIX, s->hash, s->hash_len);
	assert_int_equal(v->tbs[v->sig_next].len, SPDM_PREFIX + s->hash_len);
	assert_memory_equal(v->tbs[v->sig_next].p, tbs,
	    SPDM_PREFIX + s->hash_len);
	assert_int_equal(v->sig[v->sig_next].len, s->sig_len);
	assert_true(responder_signed(r, s->serial, v->sig[v->sig_next++].p));
}

static void
replay_responder(const char *path, const char *measures)
{
	struct vec		 v;
	struct responder_conf	 conf = { 0 };
	struct spdm_slot	 slots[SPDM_SLOTS] = { 0 };
	struct measure_set	 set;
	struct responder	*r;
	const struct spdm_alg	*alg;
	const uint8_t		*out;
	size_t			 i, len;
	bool			 secured;

	vec_load(&v, path);
	i = vec_find(&v, SPDM_CAPABILITIES, 0);
	assert_int_equal(spdm_caps_get(v.msg[i].p, v.msg[i].len, &conf.caps),
	    0);
	alg = recorded_algs(&v, &conf.algs);
	assert_non_null(alg);
	conf.versions = conf.caps.version == SPDM_V12 ? SPDM_ALLOW_12 :
	    SPDM_ALLOW_13;
	vec_slots(&v, alg, slots);
	if (conf.algs.other & SPDM_MULTI_KEY_CONN)
		vec_keys(&v, alg, slots);
	recorded_measures(measures, alg, &set);
	responder_random(&v, alg);
	conf.slots = slots;
	conf.measures = &set;
	conf.random = vec_random;
	conf.random_arg = &v;
	assert_non_null(r = responder_new(&conf));
	for (i = 0; i < v.n; i += 2) {
		assert_true(v.request[i]);
		if (responder_feed(r, false, v.msg[i].p, v.msg[i].len) ==
		    RESPONDER_SIGN)
			fake_sign(&v, r);
		out = responder_out(r, &secured, &len);
		assert_int_equal(len, v.msg[i + 1].len);
		assert_memory_equal(out, v.msg[i + 1].p, len);
		assert_int_equal(responder_attested(r),
		    v.msg[i].p[1] == SPDM_GET_MEASUREMENTS);
	}
	assert_int_equal(v.sig_next, v.nchecks);
	assert_int_equal(v.random_next, v.nrandom);
	responder_free(r);
	for (i = 0; i < SPDM_SLOTS; i++)
		spdm_slot_clear(&slots[i]);
	vec_free(&v);
}

/* ---- requester ----------------------------------------------------------- */

static void
check_evidence(const struct vec *v, const struct spdm_evidence *e)
{
	struct spdm_block	 b;
	const uint8_t		*p = e->record;
	size_t			 i, left = e->record_len;
	struct vec_bytes	 value;
	json_t			*m;

	json_array_foreach(json_object_get(v->json,
	    "measurement_blocks_of_last_response"), i, m) {
		assert_int_equal(spdm_block_next(&p, &left, &b), 1);
		assert_int_equal(b.index,
		    json_integer_value(json_object_get(m, "index")));
		assert_int_equal(b.type | (b.raw ? 0x80 : 0),
		    json_integer_value(json_object_get(m, "value_type")));
		value = vec_field(m, "value");
		assert_int_equal(b.len, value.len);
		assert_memory_equal(b.value, value.p, b.len);
		free(value.p);
	}
	assert_int_equal(spdm_block_next(&p, &left, &b), 0);
	assert_int_equal(e->nblocks, i);
	assert_int_equal(strlen(e->id.node), 40);
}

static void
replay_requester(const char *path)
{
	struct vec		 v;
	struct requester_conf	 conf;
	struct spdm_step	 steps[VEC_MAX];
	struct requester	*r;
	enum spdm_act		 act;
	const uint8_t		*out;
	size_t			 i, len;
	bool			 secured;

	vec_load(&v, path);
	requester_recorded(&v, &conf, steps);
	i = vec_find(&v, SPDM_GET_MEASUREMENTS, 0);
	assert_non_null(r = requester_new(&conf, v.msg[i].p + 4));
	act = requester_start(r);
	for (i = 0; i < v.n; i += 2) {
		assert_int_equal(act, SPDM_SEND);
		out = requester_out(r, &secured, &len);
		assert_false(secured);
		assert_int_equal(len, v.msg[i].len);
		assert_memory_equal(out, v.msg[i].p, len);
		act = requester_feed(r, false, v.msg[i + 1].p,
		    v.msg[i + 1].len);
		if (act == SPDM_FAIL)
			fail_msg("message %zu: %s %s: expected %s, seen %s", i,
			    reason_code(requester_why(r)->reason),
			    requester_why(r)->field,
			    requester_why(r)->expected,
			    requester_why(r)->seen);
	}
	assert_int_equal(act, SPDM_DONE);
	assert_int_equal(v.random_next, v.nrandom);
	check_evidence(&v, requester_evidence(r));
	requester_free(r);
	vec_free(&v);
}

/* ---- tests --------------------------------------------------------------- */

static void
test_responder(void **state)
{
	replay_responder(DIR "attest-1.2-p256.json",
	    DIR "attest-1.2-p256.json");
	replay_responder(DIR "attest-1.2-p384.json",
	    DIR "attest-1.2-p384.json");
	replay_responder(DIR "attest-1.3-p256.json",
	    DIR "attest-1.3-p256.json");
	replay_responder(DIR "attest-1.3-p384.json",
	    DIR "attest-1.3-p384.json");
}

static void
test_responder_multikey(void **state)
{
	replay_responder(DIR "attest-1.3-p384-multikey.json",
	    DIR "attest-1.3-p384-multikey.json");
}

/* One block of all, under a signature of its own. */
static void
test_responder_onebyone(void **state)
{
	replay_responder(DIR "attest-1.2-p256-onebyone.json",
	    DIR "attest-1.2-p256.json");
}

static void
test_requester(void **state)
{
	replay_requester(DIR "attest-1.2-p256.json");
	replay_requester(DIR "attest-1.2-p384.json");
	replay_requester(DIR "attest-1.3-p256.json");
	replay_requester(DIR "attest-1.3-p384.json");
}

/* 1.1: no prefix, L1/L2 without A, no sizes in CAPABILITIES. */
static void
test_requester_11(void **state)
{
	replay_requester(DIR "attest-1.1-p256.json");
	replay_requester(DIR "attest-1.1-p384.json");
}

static void
test_requester_multikey(void **state)
{
	replay_requester(DIR "attest-1.3-p384-multikey.json");
}

/* ---- signatures ---------------------------------------------------------- */

/* The messages that a check names, and which part of the transcript. */
static void
check_part(struct transcript *tr, const struct vec *v, json_t *check,
    char part, uint8_t *hash)
{
	static const char	*const minus[] = {
	    "c_last_message_minus_bytes", "m_last_message_minus_bytes" };
	const char		 key[2] = { part, 0 };
	json_t			*list = json_object_get(check, key), *o;
	size_t			 i, n = json_array_size(list), at[VEC_MAX];
	size_t			 cut = json_integer_value(json_object_get(check,
	    minus[part == 'M']));

	json_array_foreach(list, i, o)
		at[i] = vec_number(v, json_integer_value(o));
	for (i = 0; i + 1 < n; i += 2) {
		const struct vec_bytes	*q = &v->msg[at[i]];
		const struct vec_bytes	*a = &v->msg[at[i + 1]];
		size_t			 len = a->len - (i + 2 == n ? cut : 0);

		if (part == 'A') {
			assert_int_equal(transcript_a(tr, q->p, q->len), 0);
			assert_int_equal(transcript_a(tr, a->p, a->len), 0);
		} else if (part == 'B')
			transcript_b(tr, q->p, q->len, a->p, a->len);
		else if (part == 'M')
			transcript_m(tr, q->p, q->len, a->p, len);
		else
			transcript_c_hash(tr, q->p, q->len, a->p, len, hash);
	}
}

/* Every signature of a recording, by our transcript and our verification. */
static void
signatures(const char *path)
{
	struct vec		 v;
	struct spdm_slot	 slots[SPDM_SLOTS] = { 0 };
	struct spdm_chain_rules	 rules = { 0 };
	struct spdm_chain	 chain = { 0 };
	struct spdm_why		 why;
	struct transcript	 tr;
	uint8_t			 hash[SPDM_HASH_MAX];
	json_t			*check;
	size_t			 i, n = 0;

	vec_load(&v, path);
	/* ALGORITHMS of 1.4 has tables that we do not read. */
	rules.alg = spdm_alg(v.sig[0].len == 64 ? KEY_P256 : KEY_P384);
	rules.version = v.msg[vec_find(&v, SPDM_ALGORITHMS, 0)].p[0];
	vec_slots(&v, rules.alg, slots);
	assert_int_equal(spdm_chain_read(slots[0].content, slots[0].len,
	    &rules, &chain, &why), 0);
	json_array_foreach(json_object_get(v.json, "checks"), i, check) {
		assert_int_equal(transcript_init(&tr), 0);
		check_part(&tr, &v, check, 'A', NULL);
		if (tr.alen == 0) {	/* L1/L2 before 1.2 */
			assert_int_equal(rules.version, SPDM_V11);
			transcript_m_alone(&tr);
		}
		transcript_negotiated(&tr, rules.alg);
		check_part(&tr, &v, check, 'B', NULL);
		check_part(&tr, &v, check, 'C', hash);
		check_part(&tr, &v, check, 'M', NULL);
		if (json_object_get(check, "M") != NULL)
			transcript_m_hash(&tr, hash);
		assert_int_equal(spdm_verify(chain.key, rules.alg,
		    rules.version, json_object_get(check, "M") != NULL ?
		    SPDM_CTX_MEASUREMENTS : SPDM_CTX_CHALLENGE, hash,
		    v.sig[i].p), 0);
		hash[0] ^= 1;
		assert_int_equal(spdm_verify(chain.key, rules.alg,
		    rules.version, SPDM_CTX_CHALLENGE, hash, v.sig[i].p), -1);
		transcript_free(&tr);
		n++;
	}
	assert_int_equal(n, 2);
	spdm_chain_free(&chain);
	for (i = 0; i < SPDM_SLOTS; i++)
		spdm_slot_clear(&slots[i]);
	vec_free(&v);
}

static void
test_signatures(void **state)
{
	signatures(DIR "attest-1.1-p256.json");
	signatures(DIR "attest-1.1-p384.json");
	signatures(DIR "attest-1.1-p384-onebyone.json");
	signatures(DIR "attest-1.2-p256.json");
	signatures(DIR "attest-1.2-p256-onebyone.json");
	signatures(DIR "attest-1.3-p384.json");
	signatures(DIR "attest-1.3-p384-multikey.json");
	signatures(DIR "attest-1.4-p256.json");
	signatures(DIR "attest-1.4-p384.json");
	signatures(DIR "chunk-1.2-p256.json");
}

/* ---- versions that we do not speak, or not in both roles ----------------- */

/* VERSION with these, and what the requester does. */
static enum reason
versions_offered(const char *entries, uint32_t allowed, uint8_t *chosen)
{
	struct requester_conf	 conf;
	struct requester	*r;
	struct vec_bytes	 b = vec_hex(entries);
	uint8_t			 msg[64] = { 0x10, SPDM_VERSION };
	static const uint8_t	 nonce[SPDM_NONCE];
	const uint8_t		*out;
	size_t			 len;
	bool			 secured;
	enum reason		 reason = R_OK;

	requester_defaults(&conf);
	conf.versions = allowed;
	assert_non_null(r = requester_new(&conf, nonce));
	requester_start(r);
	msg[5] = (uint8_t)(b.len / 2);
	memcpy(msg + 6, b.p, b.len);
	if (requester_feed(r, false, msg, 6 + b.len) == SPDM_FAIL)
		reason = requester_why(r)->reason;
	out = requester_out(r, &secured, &len);
	*chosen = out[0];
	if (reason == R_OK)
		assert_int_equal(len, *chosen == SPDM_V11 ? 12 : 20);
	requester_free(r);
	free(b.p);
	return reason;
}

static void
test_versions(void **state)
{
	uint8_t	v;

	assert_int_equal(versions_offered("001100120013" "0014",
	    SPDM_ALLOW_ALL, &v), R_OK);
	assert_int_equal(v, SPDM_V13);
	assert_int_equal(versions_offered("00140011", SPDM_ALLOW_ALL, &v),
	    R_OK);
	assert_int_equal(v, SPDM_V11);
	/* 1.1 is for who asked for it. */
	assert_int_equal(versions_offered("00110014", SPDM_ALLOW_12 |
	    SPDM_ALLOW_13, &v), R_ATT_VERSION);
	assert_int_equal(versions_offered("0014", SPDM_ALLOW_ALL, &v),
	    R_ATT_VERSION);
	/* Neither 1.0 nor a major version of the future. */
	assert_int_equal(versions_offered("001000200022", SPDM_ALLOW_ALL, &v),
	    R_ATT_VERSION);
}

/* A recorded requester of another version meets our responder. */
static void
responder_refuses(const char *path, uint32_t allowed)
{
	struct vec		 v;
	struct responder_conf	 conf;
	struct responder	*r;
	const uint8_t		*out;
	size_t			 len;
	bool			 secured;

	vec_load(&v, path);
	responder_defaults(&conf);
	conf.versions = allowed;
	conf.random = vec_random;
	assert_non_null(r = responder_new(&conf));
	responder_feed(r, false, v.msg[0].p, v.msg[0].len);
	out = responder_out(r, &secured, &len);
	/* 1.1 is not offered, whatever is allowed. */
	assert_int_equal(len, 10);
	assert_memory_equal(out + 4, "\0\2\0\x12\0\x13", 6);
	responder_feed(r, false, v.msg[2].p, v.msg[2].len);
	out = responder_out(r, &secured, &len);
	assert_int_equal(len, 4);
	assert_memory_equal(out, "\x10\x7f\x41\0", 4);
	/* The connection has not moved: a version of ours is still taken. */
	responder_feed(r, false, (const uint8_t *)"\x13\xe1\0\0\0\0\0\0\6\0\0\0"
	    "\0\x12\0\0\0\x12\0\0", 20);
	assert_int_equal(responder_error(r), 0);
	responder_free(r);
	vec_free(&v);
}

static void
test_responder_refuses(void **state)
{
	responder_refuses(DIR "attest-1.1-p256.json", SPDM_ALLOW_ALL);
	responder_refuses(DIR "attest-1.4-p384.json", SPDM_ALLOW_ALL);
}

static int
setup(void **state)
{
	return spdm_init();
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(test_responder),
		cmocka_unit_test(test_responder_onebyone),
		cmocka_unit_test(test_requester),
		cmocka_unit_test(test_requester_11),
		cmocka_unit_test(test_responder_multikey),
		cmocka_unit_test(test_requester_multikey),
		cmocka_unit_test(test_signatures),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_responder_refuses),
	};

	return cmocka_run_group_tests_name("spdm_replay", tests, setup, NULL);
}
