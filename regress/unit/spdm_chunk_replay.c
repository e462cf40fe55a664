/*
 * The recorded large messages: as they travelled in chunks, through both
 * roles, and as they are put together.
 */
#include "spdm_vec.h"

#include "../../attestd/spdm_chunk.h"
#include "../../attestd/spdm_responder.h"

#define VECTOR	"regress/data/spdm/chunk-1.2-p256.json"

/* wire: as it travelled; whole: put together. */
static struct vec		wire_v, whole_v;
static const struct spdm_alg	*alg;

static void
recording(void)
{
	json_t	*m;
	size_t	 i;

	vec_load(&whole_v, VECTOR);
	vec_load(&wire_v, VECTOR);
	for (i = 0; i < wire_v.n; i++)
		free(wire_v.msg[i].p);
	wire_v.n = 0;
	json_array_foreach(json_object_get(wire_v.json, "wire_messages"), i,
	    m) {
		assert_true(i < VEC_MAX);
		wire_v.msg[i] = vec_field(m, "spdm");
		wire_v.request[i] = i % 2 == 0;
		wire_v.n++;
	}
	assert_int_equal(wire_v.n, 42);
	alg = spdm_alg(KEY_P256);
}

static void
recorded(uint8_t code, struct vec_bytes *m)
{
	*m = whole_v.msg[vec_find(&whole_v, code, 0)];
}

static void
recording_free(void)
{
	vec_free(&wire_v);
	vec_free(&whole_v);
}

static void
wire_sign(struct responder *r)
{
	const struct responder_sign	*s = responder_sign(r);
	uint8_t				 tbs[SPDM_PREFIX + SPDM_HASH_MAX];

	spdm_prefix(s->version, s->context, tbs);
	memcpy(tbs + SPDM_PREFIX, s->hash, s->hash_len);
	assert_memory_equal(wire_v.tbs[wire_v.sig_next].p, tbs,
	    SPDM_PREFIX + s->hash_len);
	assert_true(responder_signed(r, s->serial,
	    wire_v.sig[wire_v.sig_next++].p));
}

/*
 * The recorded responder selects tables of sessions that neither side can
 * have, where DSP0274 has 0 (ALGORITHMS, algorithm structures): its A
 * stands in for ours.
 */
static void
their_a(struct responder *r)
{
	size_t	i;

	transcript_reset(&r->tr);
	for (i = 0; i < 6; i++)
		assert_int_equal(transcript_a(&r->tr, wire_v.msg[i].p,
		    wire_v.msg[i].len), 0);
	transcript_negotiated(&r->tr, alg);
}

static void
wire_answers(struct responder *r)
{
	const struct vec_bytes	*q, *a;
	const uint8_t		*p;
	size_t			 i, len;
	bool			 secured;

	for (i = 0; i < wire_v.n; i += 2) {
		q = &wire_v.msg[i];
		a = &wire_v.msg[i + 1];
		/* Handles are the sender's choice. */
		if (a->p[1] == SPDM_ERROR)
			r->chunk.handle = (uint8_t)(a->p[4] - 1);
		if (responder_feed(r, false, q->p, q->len) == RESPONDER_SIGN)
			wire_sign(r);
		p = responder_out(r, &secured, &len);
		assert_int_equal(len, a->len);
		if (q->p[1] == SPDM_NEGOTIATE_ALGORITHMS)
			their_a(r);
		else
			assert_memory_equal(p, a->p, len);
		/* Attested, once the last piece is out. */
		assert_int_equal(responder_attested(r), i + 2 == wire_v.n);
	}
	assert_int_equal(wire_v.sig_next, wire_v.nchecks);
}

static void
test_recorded_responder(void **state)
{
	struct responder_conf		 conf = { 0 };
	struct spdm_slot		 slots[SPDM_SLOTS] = { 0 };
	static struct measure_set	 set;
	struct spdm_challenge_auth	 c;
	struct spdm_measurements	 m;
	struct vec_bytes		 v;
	struct responder		*r;
	unsigned			 i;

	recording();
	recorded(SPDM_CAPABILITIES, &v);
	assert_int_equal(spdm_caps_get(v.p, v.len, &conf.caps), 0);
	assert_int_equal(conf.caps.data_transfer, 0x100);
	recorded(SPDM_ALGORITHMS, &v);
	assert_int_equal(spdm_algorithms_get(v.p, v.len, &conf.algs), 0);
	recorded(SPDM_CHALLENGE_AUTH, &v);
	assert_int_equal(spdm_challenge_auth_get(v.p, v.len, alg, true, &c),
	    0);
	vec_random_add(&wire_v, v.p + (c.nonce - v.p), SPDM_NONCE);
	recorded(SPDM_MEASUREMENTS, &v);
	assert_int_equal(spdm_measurements_get(v.p, v.len, alg, true, &m), 0);
	vec_random_add(&wire_v, v.p + (m.nonce - v.p), SPDM_NONCE);
	vec_measures(m.record, m.record_len, &set);
	vec_slots(&whole_v, alg, slots);
	/* Slot 1 is in its mask, and nobody read it. */
	slots[1].content = calloc(1, 1);
	slots[1].algorithm = KEY_P256;
	conf.versions = SPDM_ALLOW_12;
	conf.slots = slots;
	conf.measures = &set;
	conf.random = vec_random;
	conf.random_arg = &wire_v;
	assert_non_null(r = responder_new(&conf));
	wire_answers(r);
	responder_free(r);
	for (i = 0; i < SPDM_SLOTS; i++)
		spdm_slot_clear(&slots[i]);
	recording_free();
}

static void
wire_requests(struct requester *r)
{
	enum spdm_act	 act = requester_start(r);
	const uint8_t	*p;
	size_t		 i, len;
	bool		 secured;

	for (i = 0; i < wire_v.n; i += 2) {
		assert_int_equal(act, SPDM_SEND);
		p = requester_out(r, &secured, &len);
		assert_int_equal(len, wire_v.msg[i].len);
		assert_memory_equal(p, wire_v.msg[i].p, len);
		act = requester_feed(r, false, wire_v.msg[i + 1].p,
		    wire_v.msg[i + 1].len);
		if (act == SPDM_FAIL)
			fail_msg("message %zu: %s: %s: %s", i,
			    reason_code(requester_why(r)->reason),
			    requester_why(r)->field, requester_why(r)->seen);
	}
	assert_int_equal(act, SPDM_DONE);
}

static void
test_recorded_requester(void **state)
{
	static const struct spdm_step	steps[] = {
		{ .code = SPDM_GET_VERSION }, { .code = SPDM_GET_CAPABILITIES },
		{ .code = SPDM_NEGOTIATE_ALGORITHMS },
		{ .code = SPDM_GET_CERTIFICATE }, { .code = SPDM_CHALLENGE },
		{ .code = SPDM_GET_CERTIFICATE },
		{ .code = SPDM_GET_MEASUREMENTS },
	};
	struct requester_conf		 conf;
	struct requester		*r;
	struct vec_bytes		 v;

	recording();
	requester_defaults(&conf);
	recorded(SPDM_GET_CAPABILITIES, &v);
	assert_int_equal(spdm_caps_get(v.p, v.len, &conf.caps), 0);
	recorded(SPDM_NEGOTIATE_ALGORITHMS, &v);
	assert_int_equal(spdm_negotiate_get(v.p, v.len, &conf.algs), 0);
	conf.algs.base_asym = conf.algs.base_hash = 0;
	conf.algorithms = 1U << KEY_P256;
	conf.versions = SPDM_ALLOW_12;
	conf.anchor = 0;
	conf.steps = steps;
	conf.nsteps = sizeof(steps) / sizeof(steps[0]);
	conf.random = vec_random;
	conf.random_arg = &wire_v;
	recorded(SPDM_CHALLENGE, &v);
	vec_random_add(&wire_v, v.p + 4, SPDM_NONCE);
	recorded(SPDM_GET_MEASUREMENTS, &v);
	assert_non_null(r = requester_new(&conf, v.p + 4));
	wire_requests(r);
	assert_int_equal(requester_evidence(r)->nblocks, 8);
	requester_free(r);
	recording_free();
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
		cmocka_unit_test(test_recorded_responder),
		cmocka_unit_test(test_recorded_requester),
	};

	return cmocka_run_group_tests_name("spdm_chunk_replay", tests, setup,
	    NULL);
}
