/*
 * The recorded sessions of an independent implementation, played against our
 * requester: every request, in the clear or as a record, byte for byte. The
 * ephemeral keys are the recorded ones, and the signature of FINISH is given
 * out only for the recorded hash.
 */
#include "spdm_recorded.h"

#define DIR	"regress/data/spdm/"

/* Which slots the recorded requester had, and what is in each. */
static void
own_slots(const struct vec *v, enum key_algorithm a, struct spdm_slot *slots)
{
	json_t			*js = json_object_get(v->json, "session");
	struct vec_bytes	 chain, d = { NULL, 0 };
	const uint8_t		*keys;
	uint8_t			 mask = 0;
	size_t			 i, n = 0, k = 0, h = spdm_alg(a)->hash_len;

	if (json_object_get(js, "requester_cert_chain") == NULL)
		return;
	for (i = 0; i < v->n; i++)
		if (v->msg[i].p[1] == SPDM_DELIVER_ENCAPSULATED &&
		    v->msg[i].p[5] == SPDM_DIGESTS)
			d = v->msg[i];
	assert_non_null(d.p);
	mask = d.p[7];
	assert_true(mask & 1);
	for (i = 0; i < SPDM_SLOTS; i++)
		n += mask >> i & 1;
	/* KeyPairID, CertificateInfo, KeyUsageMask, each of all slots. */
	keys = d.len > 8 + n * h ? d.p + 8 + n * h : NULL;
	for (i = 0; i < SPDM_SLOTS; i++) {
		if ((mask >> i & 1) == 0)
			continue;
		chain = vec_field(js, "requester_cert_chain");
		slots[i].key = (uint32_t)i + 3;
		slots[i].algorithm = a;
		slots[i].content = chain.p;
		slots[i].len = chain.len;
		spdm_hash(spdm_md(spdm_alg(a)), chain.p, chain.len,
		    slots[i].digest);
		if (keys != NULL) {
			slots[i].key_pair = keys[k];
			slots[i].model = keys[n + k];
			slots[i].usage = (uint16_t)(keys[2 * n + 2 * k] |
			    keys[2 * n + 2 * k + 1] << 8);
		}
		k++;
	}
}

/* The check of FINISH, and the signature that it is about. */
static struct vec_bytes
finish_check(const struct vec *v, const struct responder_sign *sg)
{
	json_t			*m;
	struct vec_bytes	 hash, sig = { NULL, 0 };
	uint8_t			 tbs[SPDM_PREFIX + SPDM_HASH_MAX];
	size_t			 i;

	json_array_foreach(json_object_get(v->json, "checks"), i, m) {
		if (strcmp(json_string_value(json_object_get(m, "kind")),
		    "FINISH") != 0)
			continue;
		hash = vec_field(m, "th_hash");
		assert_int_equal(hash.len, sg->hash_len);
		assert_memory_equal(hash.p, sg->hash, hash.len);
		free(hash.p);
		if (sg->version >= SPDM_V12) {
			spdm_prefix(sg->version, sg->context, tbs);
			memcpy(tbs + SPDM_PREFIX, sg->hash, sg->hash_len);
			assert_memory_equal(v->tbs[i].p, tbs,
			    SPDM_PREFIX + sg->hash_len);
		}
		sig = v->sig[i];
	}
	assert_int_equal(sig.len, sg->sig_len);
	assert_int_equal(sg->key, 3);	/* slot 0 */
	return sig;
}

static void
failed(const struct requester *r, const char *path, size_t i)
{
	const struct spdm_why	*w = requester_why(r);

	fail_msg("%s, message %zu: %s %s: expected %s, seen %s", path, i,
	    reason_code(w->reason), w->field, w->expected, w->seen);
}

static struct requester *
begin(struct vec *v, struct requester_conf *conf, struct spdm_step *steps,
    struct spdm_binding *binding, struct spdm_tcp *tcp,
    struct spdm_slot *slots)
{
	struct requester	*r;
	uint8_t			 nonce[SPDM_NONCE] = { 0 };
	size_t			 i;

	vec_pads(v, SPDM_SIDE_REQ);
	recorded_binding(v, binding, tcp);
	requester_recorded(v, conf, steps);
	conf->binding = binding;
	conf->dhe = &recorded_dhe_req;
	conf->dhe_arg = v;
	own_slots(v, conf->algorithms == 1U << KEY_P384 ? KEY_P384 :
	    KEY_P256, slots);
	conf->slots = slots;
	for (i = 0; i < v->n; i++)
		if (v->msg[i].p[1] == SPDM_GET_MEASUREMENTS)
			memcpy(nonce, v->msg[i].p + 4, sizeof(nonce));
	assert_non_null(r = requester_new(conf, nonce));
	return r;
}

/* Change this byte of this recorded message, and R is the reason. */
static const struct spoil {
	uint8_t		code;
	size_t		from_end;	/* 1 is the last byte */
	enum reason	why;
} *spoiled;

static bool
spoil(const struct vec *v, size_t i)
{
	struct vec_bytes	b = v->msg[i];

	if (spoiled == NULL || b.p[1] != spoiled->code)
		return false;
	assert_true(spoiled->from_end <= b.len);
	b.p[b.len - spoiled->from_end] ^= 1;
	return true;
}

static void
replay(const char *path)
{
	struct vec		 v;
	struct requester_conf	 conf;
	struct spdm_step	 steps[VEC_MAX];
	struct spdm_binding	 binding;
	struct spdm_tcp		 tcp;
	struct spdm_slot	 slots[SPDM_SLOTS] = { 0 };
	struct vec_bytes	 want, in;
	struct requester	*r;
	enum spdm_act		 act;
	const uint8_t		*out;
	size_t			 i, len;
	bool			 secured, over = false;

	vec_load(&v, path);
	r = begin(&v, &conf, steps, &binding, &tcp, slots);
	act = requester_start(r);
	for (i = 0; i < v.n; i += 2) {
		if (act == SPDM_SIGN)
			act = requester_signed(r, finish_check(&v,
			    requester_sign(r)).p);
		if (act != SPDM_SEND)
			failed(r, path, i);
		out = requester_out(r, &secured, &len);
		assert_int_equal(secured, v.record[i].p != NULL);
		want = secured ? v.record[i] : v.msg[i];
		assert_int_equal(len, want.len);
		assert_memory_equal(out, want.p, len);
		secured = v.record[i + 1].p != NULL;
		in = secured ? v.record[i + 1] : v.msg[i + 1];
		over = spoil(&v, i + 1);
		act = requester_feed(r, secured, in.p, in.len);
		if (over)
			break;
	}
	if (over) {
		assert_int_equal(act, SPDM_FAIL);
		assert_int_equal(requester_why(r)->reason, spoiled->why);
	} else {
		if (act != SPDM_DONE)
			failed(r, path, i);
		assert_int_equal(v.random_next, v.nrandom);
	}
	requester_free(r);
	for (i = 0; i < SPDM_SLOTS; i++)
		spdm_slot_clear(&slots[i]);
	vec_free(&v);
}

static void
test_mutual(void **state)
{
	replay(DIR "session-1.2-p256.json");
	replay(DIR "session-1.2-p384.json");
	replay(DIR "session-1.3-p256.json");
	replay(DIR "session-1.3-p384.json");
}

/* keyd signs nothing of 1.1; the session itself is as any other. */
static void
test_mutual_11(void **state)
{
	replay(DIR "session-1.1-p256.json");
	replay(DIR "session-1.1-p384.json");
}

/* MutAuthRequested bit 2: our DIGESTS come first, unasked for. */
static void
test_mutual_digests(void **state)
{
	replay(DIR "session-1.3-p384-mutdigests.json");
}

/* HANDSHAKE_IN_THE_CLEAR. */
static void
test_clear(void **state)
{
	replay(DIR "session-clear-1.2-p256.json");
	replay(DIR "session-clear-1.3-p384.json");
}

/* Without protection, ResponderVerifyData is all that proves the keys. */
static void
test_clear_spoiled(void **state)
{
	static const struct spoil	s[] = {
		{ SPDM_FINISH & 0x7f, 1, R_ATT_VERIFY_DATA },
		{ SPDM_FINISH & 0x7f, 32, R_ATT_VERIFY_DATA },
		{ SPDM_FINISH & 0x7f, 33, R_ATT_VERIFY_DATA },
		{ SPDM_KEY_EXCHANGE & 0x7f, 1, R_ATT_KEY_EXCHANGE },
		{ SPDM_KEY_EXCHANGE & 0x7f, 64, R_ATT_KEY_EXCHANGE },
	};
	size_t				i;

	for (i = 0; i < sizeof(s) / sizeof(s[0]); i++) {
		spoiled = &s[i];
		replay(DIR "session-clear-1.2-p256.json");
	}
	spoiled = NULL;
}

/* Several keys on both sides: DIGESTS of both are in TH. */
static void
test_multikey(void **state)
{
	replay(DIR "session-1.3-p384-multikey.json");
}

static void
test_mctp(void **state)
{
	replay(DIR "session-mctp-1.2-p256.json");
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
		cmocka_unit_test(test_mutual),
		cmocka_unit_test(test_mutual_11),
		cmocka_unit_test(test_mutual_digests),
		cmocka_unit_test(test_clear),
		cmocka_unit_test(test_clear_spoiled),
		cmocka_unit_test(test_multikey),
		cmocka_unit_test(test_mctp),
	};

	return cmocka_run_group_tests_name("spdm_replay_req", tests, setup,
	    NULL);
}
