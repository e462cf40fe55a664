/*
 * Recorded sessions of an independent implementation, against our responder:
 * every response and every secured record byte by byte. The ephemeral key,
 * the nonces, the padding and the signatures are those of the recording; the
 * requester's signature in FINISH is verified as ever.
 */
#include <stdio.h>

#include "spdm_vec.h"
#include "../../attestd/spdm_session.h"

#define DIR	"regress/data/spdm/"

struct rec {
	struct vec		 v;
	json_t			*s;		/* its secrets */
	struct responder_conf	 conf;
	const struct spdm_alg	*alg;
	struct spdm_slot	 slots[SPDM_SLOTS];
	struct measure_set	 set;
	struct spdm_root	 root;
	struct spdm_slot	 known;
	struct spdm_binding	 binding;
	struct spdm_tcp		 tcp;
	/* What "random" returns next. */
	uint8_t			 random[4096];
	size_t			 nrandom, next;
	size_t			 signatures;
	bool			 made;		/* an ephemeral key is out */
};

static json_t *
message(const struct rec *t, size_t i)
{
	return json_array_get(json_object_get(t->v.json, "messages"), i);
}

static bool
secured(const struct rec *t, size_t i)
{
	return json_is_true(json_object_get(message(t, i), "session"));
}

static void
field(json_t *o, const char *name, uint8_t *out, size_t len)
{
	struct vec_bytes	b = vec_field(o, name);

	assert_int_equal(b.len, len);
	memcpy(out, b.p, len);
	free(b.p);
}

/* ---- what the recorded responder drew ------------------------------------ */

static void
drew(struct rec *t, const uint8_t *p, size_t n)
{
	assert_true(sizeof(t->random) - t->nrandom >= n);
	memcpy(t->random + t->nrandom, p, n);
	t->nrandom += n;
}

static void
random_again(void *arg, uint8_t *p, size_t n)
{
	struct rec	*t = arg;

	assert_true(t->nrandom - t->next >= n);
	memcpy(p, t->random + t->next, n);
	t->next += n;
}

/* Decrypt a recorded record under key and iv, for its padding. */
static void
padding(struct rec *t, size_t i, const uint8_t *key, const uint8_t *iv)
{
	struct vec_bytes	 b = vec_field(message(t, i), "record");
	uint8_t			 plain[SPDM_RECORD_MAX], nonce[SPDM_AEAD_IV];
	EVP_CIPHER_CTX		*c = EVP_CIPHER_CTX_new();
	size_t			 head = 6 + t->binding.seq_len, app;
	uint64_t		 seq = (uint64_t)json_integer_value(
				    json_object_get(message(t, i), "seq"));
	int			 n, len = (int)(b.len - head - SPDM_AEAD_TAG);
	uint8_t			 pad;

	memcpy(nonce, iv, sizeof(nonce));
	nonce[0] ^= (uint8_t)seq;
	assert_int_equal(EVP_CipherInit_ex(c, EVP_aes_256_gcm(), NULL, key,
	    nonce, 0), 1);
	assert_int_equal(EVP_CipherUpdate(c, plain, &n, b.p + head, len), 1);
	app = plain[0] | (size_t)plain[1] << 8;
	pad = (uint8_t)((size_t)len - 2 - app);
	drew(t, &pad, 1);
	drew(t, plain + 2 + app, pad);
	EVP_CIPHER_CTX_free(c);
	free(b.p);
}

/* The responder's keys in the order in which they come. */
static void
response_keys(struct rec *t, uint8_t phase, uint8_t *key, uint8_t *iv)
{
	static const char *const	names[2][2] = {
	    { "response_handshake_key", "response_handshake_iv" },
	    { "response_data_key", "response_data_iv" } };
	json_t				*u;
	size_t				 i;

	if (phase < 2) {
		field(t->s, names[phase][0], key, SPDM_AEAD_KEY);
		field(t->s, names[phase][1], iv, SPDM_AEAD_IV);
		return;
	}
	json_array_foreach(json_object_get(t->s, "key_updates"), i, u)
		if (strcmp(json_string_value(json_object_get(u, "direction")),
		    "response") == 0) {
			field(u, "key", key, SPDM_AEAD_KEY);
			field(u, "iv", iv, SPDM_AEAD_IV);
		}
}

static void
drawn(struct rec *t)
{
	struct spdm_measurements	m;
	uint8_t				phase = 0;
	uint8_t				key[SPDM_AEAD_KEY], iv[SPDM_AEAD_IV];
	const struct vec_bytes		*b;
	size_t				i;

	for (i = 1; i < t->v.n; i += 2) {
		b = &t->v.msg[i];
		if (b->p[1] == SPDM_KEY_EXCHANGE_RSP)
			drew(t, b->p + 8, 32);
		if (b->p[1] == SPDM_MEASUREMENTS) {
			assert_int_equal(spdm_measurements_get(b->p, b->len,
			    t->alg, true, &m), 0);
			drew(t, m.nonce, SPDM_NONCE);
			vec_measures(m.record, m.record_len, &t->set);
		}
		if (t->binding.pad_max == 0 || !secured(t, i))
			continue;
		if (b->p[1] == SPDM_KEY_UPDATE_ACK && b->p[2] ==
		    SPDM_UPDATE_ALL)
			phase = 2;
		response_keys(t, phase, key, iv);
		padding(t, i, key, iv);
		if (b->p[1] == SPDM_FINISH_RSP)
			phase = 1;
	}
}

/* ---- the ephemeral key --------------------------------------------------- */

static int
recorded_make(void *arg, const struct spdm_alg *alg, void **key, uint8_t *pub)
{
	struct rec	*t = arg;
	size_t		 i = vec_find(&t->v, SPDM_KEY_EXCHANGE_RSP, 0);

	memcpy(pub, t->v.msg[i].p + 40, 2 * alg->hash_len);
	assert_false(t->made);
	t->made = true;
	*key = t;
	return 0;
}

static int
recorded_agree(void *arg, const struct spdm_alg *alg, void *key,
    const uint8_t *peer, uint8_t *shared)
{
	struct rec	*t = arg;
	size_t		 i = vec_find(&t->v, SPDM_KEY_EXCHANGE, 0);

	assert_ptr_equal(key, t);
	assert_memory_equal(peer, t->v.msg[i].p + 40, 2 * alg->hash_len);
	field(t->s, "dhe_shared_secret", shared, alg->hash_len);
	return 0;
}

static void
recorded_release(void *arg, void *key)
{
	struct rec	*t = arg;

	assert_true(t->made);
	t->made = false;
}

static const struct spdm_dhe_ops recorded_dhe = { recorded_make,
    recorded_agree, recorded_release };

/* ---- the replay ---------------------------------------------------------- */

/* The root of the recorded requester is accepted. */
static void
accept_root(struct rec *t)
{
	const uint8_t	*der, *end;
	size_t		 n;

	if (json_object_get(t->s, "requester_cert_chain") == NULL)
		return;
	t->known.content = vec_field(t->s, "requester_cert_chain").p;
	t->known.len = t->known.content[0] | (size_t)t->known.content[1] << 8;
	spdm_hash(spdm_md(t->alg), t->known.content, t->known.len,
	    t->known.digest);
	der = t->known.content + 4 + t->alg->hash_len;
	n = der_len(der, t->known.len - 4 - t->alg->hash_len);
	spdm_hash(spdm_sha256(), der, n, t->root.sha256);
	t->root.cert = spdm_x509(der, n, &end);
	assert_non_null(t->root.cert);
	t->conf.roots = &t->root;
	t->conf.nroots = 1;
}

static void
load(struct rec *t, const char *path)
{
	struct responder_conf	*c = &t->conf;
	size_t			 i;

	memset(t, 0, sizeof(*t));
	vec_load(&t->v, path);
	t->s = json_object_get(t->v.json, "session");
	i = vec_find(&t->v, SPDM_CAPABILITIES, 0);
	assert_int_equal(spdm_caps_get(t->v.msg[i].p, t->v.msg[i].len,
	    &c->caps), 0);
	i = vec_find(&t->v, SPDM_ALGORITHMS, 0);
	assert_int_equal(spdm_algorithms_get(t->v.msg[i].p, t->v.msg[i].len,
	    &c->algs), 0);
	t->alg = spdm_alg_selected(c->algs.base_asym, c->algs.base_hash);
	assert_non_null(t->alg);
	c->versions = spdm_allow(c->caps.version);
	vec_slots(&t->v, t->alg, t->slots);
	if (c->algs.other & SPDM_MULTI_KEY_CONN)
		vec_keys(&t->v, t->alg, t->slots);
	t->tcp.counted = true;
	t->binding.tcp = &t->tcp;
	if (strcmp(json_string_value(json_object_get(t->v.json, "transport")),
	    "MCTP") == 0)
		t->binding = (struct spdm_binding){ .seq_len = 2,
		    .pad_max = 32, .mctp = true };
	i = vec_find(&t->v, SPDM_KEY_EXCHANGE_RSP, 0);
	c->heartbeat = t->v.msg[i].p[2];
	c->mutual = t->v.msg[i].p[6];
	drawn(t);
	accept_root(t);
	c->slots = t->slots;
	c->measures = &t->set;
	c->random = random_again;
	c->random_arg = c->dhe_arg = t;
	c->dhe = &recorded_dhe;
	c->binding = &t->binding;
}

static void
unload(struct rec *t)
{
	unsigned	i;

	for (i = 0; i < SPDM_SLOTS; i++)
		spdm_slot_clear(&t->slots[i]);
	spdm_slot_clear(&t->known);
	X509_free(t->root.cert);
	vec_free(&t->v);
}

/* keyd: the recorded signature, for the recorded content and no other. */
static void
sign(struct rec *t, struct responder *r)
{
	const struct responder_sign	*s = responder_sign(r);
	json_t				*checks, *c = NULL;
	uint8_t				 tbs[SPDM_PREFIX + SPDM_HASH_MAX];
	size_t				 i;

	checks = json_object_get(t->v.json, "checks");
	spdm_prefix(s->version, s->context, tbs);
	memcpy(tbs + SPDM_PREFIX, s->hash, s->hash_len);
	json_array_foreach(checks, i, c)
		if (t->v.tbs[i].len == SPDM_PREFIX + s->hash_len &&
		    memcmp(t->v.tbs[i].p, tbs, t->v.tbs[i].len) == 0)
			break;
	if (i == json_array_size(checks))
		fail_msg("%s: not what was signed then", s->context);
	assert_string_not_equal(json_string_value(json_object_get(c,
	    "kind")), "FINISH");
	t->signatures++;
	assert_true(responder_signed(r, s->serial, t->v.sig[i].p));
}

static void
exchange(struct rec *t, struct responder *r, size_t i)
{
	struct vec_bytes	 req = t->v.msg[i], want = t->v.msg[i + 1];
	bool			 sec = secured(t, i), got;
	enum responder_act	 act;
	const uint8_t		*out;
	size_t			 len;

	assert_true(t->v.request[i]);
	if (sec) {
		req = vec_field(message(t, i), "record");
		want = vec_field(message(t, i + 1), "record");
	}
	act = responder_feed(r, sec, req.p, req.len);
	if (act == RESPONDER_SIGN)
		sign(t, r);
	else
		assert_int_equal(act, RESPONDER_SEND);
	out = responder_out(r, &got, &len);
	if (responder_error(r) != 0)
		fail_msg("message %zu: %s (%s %s %s)", i,
		    spdm_error_name(responder_error(r)),
		    responder_why(r)->field, responder_why(r)->expected,
		    responder_why(r)->seen);
	assert_int_equal(got, sec);
	assert_int_equal(len, want.len);
	if (memcmp(out, want.p, len) != 0)
		fail_msg("message %zu is another", i + 1);
	assert_int_equal(responder_attested(r),
	    t->v.msg[i].p[1] == SPDM_GET_MEASUREMENTS);
	if (sec) {
		free(req.p);
		free(want.p);
	}
}

static void
replay(const char *path)
{
	struct rec		 t;
	struct responder	*r;
	size_t			 i;

	load(&t, path);
	assert_non_null(r = responder_new(&t.conf));
	for (i = 0; i < t.v.n; i += 2)
		exchange(&t, r, i);
	/* KEY_EXCHANGE_RSP and MEASUREMENTS; END_SESSION ended it. */
	assert_int_equal(t.signatures, 2);
	assert_int_equal(t.next, t.nrandom);
	assert_false(t.made);
	assert_false(responder_in_session(r));
	responder_free(r);
	unload(&t);
}

static void
test_12(void **state)
{
	replay(DIR "session-1.2-p256.json");
	replay(DIR "session-1.2-p384.json");
}

static void
test_13(void **state)
{
	replay(DIR "session-1.3-p256.json");
	replay(DIR "session-1.3-p384.json");
}

/* MutAuthRequested 4: the requester begins with its DIGESTS. */
static void
test_implicit_digests(void **state)
{
	replay(DIR "session-1.3-p384-mutdigests.json");
}

/* DIGESTS of both sides in TH (DSP0274, MULTI_KEY_CONN). */
static void
test_multikey(void **state)
{
	replay(DIR "session-1.3-p384-multikey.json");
}

/* Sequence bytes, the type byte and random padding (DSP0276). */
static void
test_mctp(void **state)
{
	replay(DIR "session-mctp-1.2-p256.json");
}

/* A requester whose root is not accepted gets no further than its chain. */
static void
test_other_root(void **state)
{
	struct rec		 t;
	struct responder	*r;
	struct vec_bytes	 b;
	const uint8_t		*out;
	size_t			 i, len;
	bool			 sec;

	load(&t, DIR "session-1.3-p256.json");
	t.root.sha256[0] ^= 1;
	assert_non_null(r = responder_new(&t.conf));
	for (i = 0; t.v.msg[i].p[1] != SPDM_DELIVER_ENCAPSULATED ||
	    t.v.msg[i].p[5] != SPDM_CERTIFICATE; i += 2)
		exchange(&t, r, i);
	b = vec_field(message(&t, i), "record");
	assert_int_equal(responder_feed(r, true, b.p, b.len), RESPONDER_SEND);
	free(b.p);
	out = responder_out(r, &sec, &len);
	assert_true(sec && len > 0 && out != NULL);
	assert_int_equal(responder_error(r), SPDM_E_UNSPECIFIED);
	assert_int_equal(responder_why(r)->reason, R_ATT_CHAIN_ROOT);
	assert_false(responder_in_session(r));
	responder_free(r);
	unload(&t);
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
		cmocka_unit_test(test_12),
		cmocka_unit_test(test_13),
		cmocka_unit_test(test_implicit_digests),
		cmocka_unit_test(test_multikey),
		cmocka_unit_test(test_mctp),
		cmocka_unit_test(test_other_root),
	};

	return cmocka_run_group_tests_name("spdm_rsp_replay", tests, setup,
	    NULL);
}
