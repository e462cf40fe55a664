/* What a recorded requester was told and drew, as the conf of ours. */
#ifndef SPDM_RECORDED_H
#define SPDM_RECORDED_H

#include "spdm_vec.h"
#include "../../attestd/spdm_session.h"

static inline const struct spdm_alg *
recorded_algs(const struct vec *v, struct spdm_algs *a)
{
	size_t	i = vec_find(v, SPDM_ALGORITHMS, 0);

	assert_int_equal(spdm_algorithms_get(v->msg[i].p, v->msg[i].len, a),
	    0);
	return spdm_alg_selected(a->base_asym, a->base_hash);
}

/* ---- sessions ------------------------------------------------------------ */

/* The keys under which the recorded message i of a side was sealed. */
static inline void
recorded_keys(const struct vec *v, size_t i, enum spdm_side side,
    struct spdm_dir *d)
{
	json_t		*js = json_object_get(v->json, "session"), *u;
	const char	*dir = side == SPDM_SIDE_REQ ? "request" : "response";
	bool		 hand = i <= vec_find(v, SPDM_FINISH & 0x7f, 0);
	struct vec_bytes k, iv;
	char		 name[40];
	size_t		 n;

	snprintf(name, sizeof(name), "%s_%s_key", dir, hand ? "handshake" :
	    "data");
	k = vec_field(js, name);
	snprintf(name, sizeof(name), "%s_%s_iv", dir, hand ? "handshake" :
	    "data");
	iv = vec_field(js, name);
	json_array_foreach(json_object_get(js, "key_updates"), n, u) {
		if (i < (size_t)json_integer_value(json_object_get(u,
		    "first_record_n")) || strcmp(dir, json_string_value(
		    json_object_get(u, "direction"))) != 0)
			continue;
		free(k.p);
		free(iv.p);
		k = vec_field(u, "key");
		iv = vec_field(u, "iv");
	}
	assert_int_equal(k.len, sizeof(d->key));
	assert_int_equal(iv.len, sizeof(d->iv));
	memcpy(d->key, k.p, k.len);
	memcpy(d->iv, iv.p, iv.len);
	free(k.p);
	free(iv.p);
}

/* How records look in this recording. */
static inline void
recorded_binding(const struct vec *v, struct spdm_binding *b,
    struct spdm_tcp *tcp)
{
	*tcp = (struct spdm_tcp){ .counted = true, .known = true };
	*b = (struct spdm_binding){ .tcp = tcp };
	if (strcmp(json_string_value(json_object_get(v->json, "transport")),
	    "MCTP") == 0)
		*b = (struct spdm_binding){ .seq_len = 2, .pad_max = 32,
		    .mctp = true };
}

/* Which random bytes the side put into its records; TCP has none. */
static inline void
vec_pads(struct vec *v, enum spdm_side side)
{
	struct spdm_session	 s = { .phase = SPDM_P_DATA };
	struct spdm_binding	 b;
	struct spdm_tcp		 tcp;
	uint8_t			 out[SPDM_RECORD_MAX];
	const uint8_t		*msg;
	size_t			 i, len;
	json_t			*m;

	recorded_binding(v, &b, &tcp);
	json_array_foreach(json_object_get(v->json, "messages"), i, m) {
		if (v->record[i].p == NULL || !b.mctp ||
		    v->request[i] != (side == SPDM_SIDE_REQ))
			continue;
		recorded_keys(v, i, side, &s.dir[side]);
		s.dir[side].seq = (uint64_t)
		    json_integer_value(json_object_get(m, "seq"));
		memcpy(s.id, v->record[i].p, sizeof(s.id));
		assert_int_equal(spdm_record_open(&s, side, &b,
		    v->record[i].p, v->record[i].len, out, sizeof(out), &msg,
		    &len), OPEN_OK);
		v->npad[i] = (uint8_t)
		    json_integer_value(json_object_get(m, "random_padding"));
		v->pad[i].len = v->npad[i];
		v->pad[i].p = malloc(v->pad[i].len + 1U);
		assert_non_null(v->pad[i].p);
		memcpy(v->pad[i].p, msg + len, v->pad[i].len);
	}
}

/* Ephemeral keys of a recording: the arg is its struct vec. */
static inline int
recorded_make(void *arg, const struct spdm_alg *alg, void **key,
    uint8_t *pub)
{
	struct vec	*v = arg;
	size_t		 i = vec_find(v, SPDM_KEY_EXCHANGE, 0);

	memcpy(pub, v->msg[i].p + 40, 2 * alg->hash_len);
	*key = v;
	return 0;
}

/* ... of the responder. */
static inline int
recorded_make_rsp(void *arg, const struct spdm_alg *alg, void **key,
    uint8_t *pub)
{
	struct vec	*v = arg;
	size_t		 i = vec_find(v, SPDM_KEY_EXCHANGE, 0);

	memcpy(pub, v->msg[i + 1].p + 40, 2 * alg->hash_len);
	*key = v;
	return 0;
}

static inline int
recorded_agree(void *arg, const struct spdm_alg *alg, void *key,
    const uint8_t *peer, uint8_t *shared)
{
	struct vec		*v = arg;
	struct vec_bytes	 b = vec_field(json_object_get(v->json,
	    "session"), "dhe_shared_secret");

	assert_ptr_equal(key, v);
	assert_int_equal(b.len, alg->hash_len);
	memcpy(shared, b.p, b.len);
	free(b.p);
	return 0;
}

static inline void
recorded_release(void *arg, void *key)
{
	assert_ptr_equal(arg, key);
}

static const struct spdm_dhe_ops	recorded_dhe_req = {
	recorded_make, recorded_agree, recorded_release
};
static const struct spdm_dhe_ops	recorded_dhe_rsp = {
	recorded_make_rsp, recorded_agree, recorded_release
};

/* ---- requester ----------------------------------------------------------- */

/* The recorded requester's script: its requests in order, a portion once. */
static inline size_t
recorded_steps(const struct vec *v, struct spdm_step *steps)
{
	const uint8_t	*p;
	size_t		 i, n = 0;

	for (i = 0; i < v->n; i++) {
		p = v->msg[i].p;
		/* Those of the encapsulated flow are no steps. */
		if (!v->request[i] || p[1] == SPDM_GET_ENCAPSULATED ||
		    p[1] == SPDM_DELIVER_ENCAPSULATED)
			continue;
		steps[n++] = (struct spdm_step){ p[1],
		    p[1] == SPDM_GET_CERTIFICATE || p[1] == SPDM_KEY_UPDATE ||
		    p[1] == SPDM_END_SESSION ? p[2] : 0 };
	}
	return n;
}

static inline void
requester_random(struct vec *v)
{
	size_t	i;
	uint8_t	*p;

	for (i = 0; i < v->n; i++) {
		p = v->msg[i].p;
		if (p[1] == SPDM_CHALLENGE)
			vec_random_add(v, p + 4, SPDM_NONCE);
		if (p[1] == SPDM_KEY_EXCHANGE)
			vec_random_add(v, p + 8, SPDM_NONCE);
		if (p[1] == SPDM_KEY_UPDATE)
			vec_random_add(v, p + 3, 1);
		if (p[0] >= SPDM_V13 && (p[1] == SPDM_CHALLENGE ||
		    p[1] == SPDM_GET_MEASUREMENTS))
			vec_random_add(v, p + v->msg[i].len - SPDM_CONTEXT,
			    SPDM_CONTEXT);
		/* How much padding, and which. */
		if (v->request[i] && v->pad[i].p != NULL) {
			vec_random_add(v, &v->npad[i], 1);
			if (v->npad[i] > 0)
				vec_random_add(v, v->pad[i].p, v->pad[i].len);
		}
	}
}

static inline void
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
	/* 1.1 does not say how much the recorded requester took. */
	if (conf->caps.version == SPDM_V11)
		conf->caps.data_transfer = 0x1200;
	conf->versions = SPDM_ALLOW_ALL;
	conf->anchor = 0;
	conf->steps = steps;
	conf->nsteps = recorded_steps(v, steps);
	conf->random = vec_random;
	conf->random_arg = v;
	requester_random(v);
}

#endif
