/*
 * The recorded conversations of an independent implementation against both
 * roles, byte by byte. The signer is fake: it returns the recorded signature
 * if prefix and hash are the recorded ones, and only then.
 */
#include <stdio.h>

#include "spdm_vec.h"

#define DIR	"regress/data/spdm/"

static const struct spdm_alg *
recorded_algs(const struct vec *v, struct spdm_algs *a)
{
	size_t	i = vec_find(v, SPDM_ALGORITHMS, 0);

	assert_int_equal(spdm_algorithms_get(v->msg[i].p, v->msg[i].len, a),
	    0);
	return spdm_alg_selected(a->base_asym, a->base_hash);
}

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

	vec_load(&v, path);
	i = vec_find(&v, SPDM_CAPABILITIES, 0);
	assert_int_equal(spdm_caps_get(v.msg[i].p, v.msg[i].len, &conf.caps),
	    0);
	alg = recorded_algs(&v, &conf.algs);
	assert_non_null(alg);
	conf.versions = conf.caps.version == SPDM_V12 ? SPDM_ALLOW_12 :
	    SPDM_ALLOW_13;
	vec_slots(&v, alg, slots);
	recorded_measures(measures, alg, &set);
	responder_random(&v, alg);
	conf.slots = slots;
	conf.measures = &set;
	conf.random = vec_random;
	conf.random_arg = &v;
	assert_non_null(r = responder_new(&conf));
	for (i = 0; i < v.n; i += 2) {
		assert_true(v.request[i]);
		if (responder_feed(r, v.msg[i].p, v.msg[i].len) ==
		    RESPONDER_SIGN)
			fake_sign(&v, r);
		out = responder_out(r, &len);
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

/* The recorded requester's script: its requests in order, a portion once. */
static size_t
recorded_steps(const struct vec *v, struct spdm_step *steps)
{
	size_t	i, n = 0;

	for (i = 0; i < v->n; i++)
		if (v->request[i])
			steps[n++] = (struct spdm_step){ v->msg[i].p[1],
			    v->msg[i].p[1] == SPDM_GET_CERTIFICATE ?
			    v->msg[i].p[2] : 0 };
	return n;
}

static void
requester_random(struct vec *v)
{
	size_t	i;
	uint8_t	*p;

	for (i = 0; i < v->n; i++) {
		p = v->msg[i].p;
		if (p[1] == SPDM_CHALLENGE)
			vec_random_add(v, p + 4, SPDM_NONCE);
		if (p[0] >= SPDM_V13 && (p[1] == SPDM_CHALLENGE ||
		    p[1] == SPDM_GET_MEASUREMENTS))
			vec_random_add(v, p + v->msg[i].len - SPDM_CONTEXT,
			    SPDM_CONTEXT);
	}
}

static void
requester_recorded(struct vec *v, struct requester_conf *conf,
    struct spdm_step *steps)
{
	const struct spdm_alg	*alg;
	struct spdm_algs	 a;
	size_t			 i;

	requester_defaults(conf);
	i = vec_find(v, SPDM_GET_CAPABILITIES, 0);
	assert_int_equal(spdm_caps_get(v->msg[i].p, v->msg[i].len,
	    &conf->caps), 0);
	i = vec_find(v, SPDM_NEGOTIATE_ALGORITHMS, 0);
	assert_int_equal(spdm_negotiate_get(v->msg[i].p, v->msg[i].len,
	    &conf->algs), 0);
	alg = recorded_algs(v, &a);
	conf->algs.base_asym = conf->algs.base_hash = 0;
	conf->algorithms = 1U << (alg == spdm_alg(KEY_P384) ? KEY_P384 :
	    KEY_P256);
	conf->versions = SPDM_ALLOW_12 | SPDM_ALLOW_13;
	conf->anchor = 0;
	conf->steps = steps;
	conf->nsteps = recorded_steps(v, steps);
	conf->random = vec_random;
	conf->random_arg = v;
	requester_random(v);
}

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

	vec_load(&v, path);
	requester_recorded(&v, &conf, steps);
	i = vec_find(&v, SPDM_GET_MEASUREMENTS, 0);
	assert_non_null(r = requester_new(&conf, v.msg[i].p + 4));
	act = requester_start(r);
	for (i = 0; i < v.n; i += 2) {
		assert_int_equal(act, SPDM_SEND);
		out = requester_out(r, &len);
		assert_int_equal(len, v.msg[i].len);
		assert_memory_equal(out, v.msg[i].p, len);
		act = requester_feed(r, v.msg[i + 1].p, v.msg[i + 1].len);
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
	};

	return cmocka_run_group_tests_name("spdm_replay", tests, setup, NULL);
}
