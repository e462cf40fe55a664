/*
 * Recorded SPDM conversations (regress/data/spdm) for the tests: the messages
 * in order, and what the signatures of the recording were made of.
 */
#ifndef SPDM_VEC_H
#define SPDM_VEC_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "../../attestd/spdm.h"

#define VEC_MAX	64

struct vec_bytes {
	uint8_t	*p;
	size_t	 len;
};

struct vec {
	json_t			*json;
	size_t			 n;		/* messages */
	struct vec_bytes	 msg[VEC_MAX];
	bool			 request[VEC_MAX];
	json_int_t		 number[VEC_MAX];	/* of the whole run */
	size_t			 nchecks;
	struct vec_bytes	 tbs[8], sig[8];	/* prefix and hash; r, s */
	size_t			 sig_next;
	/* Of messages in a session: the record, and its random bytes if the
	 * transport has any (vec_pads() of spdm_recorded.h). */
	struct vec_bytes	 record[VEC_MAX], pad[VEC_MAX];
	uint8_t			 npad[VEC_MAX];
	/* What "random" returns next. */
	struct vec_bytes	 random[VEC_MAX];
	size_t			 nrandom, random_next;
};

static inline struct vec_bytes
vec_hex(const char *hex)
{
	struct vec_bytes	b = { NULL, strlen(hex) / 2 };
	size_t			i;
	char			two[3] = "";

	b.p = malloc(b.len + 1);
	assert_non_null(b.p);
	for (i = 0; i < b.len; i++) {
		memcpy(two, hex + 2 * i, 2);
		b.p[i] = strtoul(two, NULL, 16);
	}
	return b;
}

static inline struct vec_bytes
vec_field(json_t *o, const char *name)
{
	const char	*s = json_string_value(json_object_get(o, name));

	assert_non_null(s);
	return vec_hex(s);
}

static inline void
vec_load(struct vec *v, const char *path)
{
	json_error_t	 e;
	json_t		*m;
	size_t		 i;

	memset(v, 0, sizeof(*v));
	v->json = json_load_file(path, 0, &e);
	if (v->json == NULL)
		fail_msg("%s: %s", path, e.text);
	json_array_foreach(json_object_get(v->json, "messages"), i, m) {
		assert_true(v->n < VEC_MAX);
		v->msg[v->n] = vec_field(m, "spdm");
		v->number[v->n] = json_integer_value(json_object_get(m, "n"));
		if (json_object_get(m, "record") != NULL)
			v->record[v->n] = vec_field(m, "record");
		v->request[v->n++] = strcmp(json_string_value(
		    json_object_get(m, "dir")), "req") == 0;
	}
	json_array_foreach(json_object_get(v->json, "checks"), i, m) {
		assert_true(v->nchecks < 8);
		/* 1.1 signs the transcript itself. */
		v->tbs[v->nchecks] = json_is_string(json_object_get(m,
		    "signed_message")) ? vec_field(m, "signed_message") :
		    (struct vec_bytes){ NULL, 0 };
		v->sig[v->nchecks++] = vec_field(m, "signature");
	}
}

static inline void
vec_free(struct vec *v)
{
	size_t	i;

	for (i = 0; i < v->n; i++) {
		free(v->msg[i].p);
		free(v->record[i].p);
		free(v->pad[i].p);
	}
	for (i = 0; i < v->nchecks; i++) {
		free(v->tbs[i].p);
		free(v->sig[i].p);
	}
	json_decref(v->json);
}

static inline void
vec_random_add(struct vec *v, uint8_t *p, size_t len)
{
	assert_true(v->nrandom < VEC_MAX);
	v->random[v->nrandom++] = (struct vec_bytes){ p, len };
}

/* The random source of the recording. */
static inline void
vec_random(void *arg, uint8_t *p, size_t len)
{
	struct vec	*v = arg;

	assert_true(v->random_next < v->nrandom);
	assert_int_equal(v->random[v->random_next].len, len);
	memcpy(p, v->random[v->random_next++].p, len);
}

/* The recorded message of this code, from message i on. */
static inline size_t
vec_find(const struct vec *v, uint8_t code, size_t i)
{
	for (; i < v->n; i++)
		if (v->msg[i].p[1] == code)
			return i;
	fail_msg("no message %#x", code);
	return 0;
}

/* The message of this number. */
static inline size_t
vec_number(const struct vec *v, json_int_t number)
{
	size_t	i;

	for (i = 0; i < v->n; i++)
		if (v->number[i] == number)
			return i;
	fail_msg("no message number %lld", (long long)number);
	return 0;
}

/* The recorded slot contents. */
static inline void
vec_slots(const struct vec *v, const struct spdm_alg *alg,
    struct spdm_slot *slots)
{
	json_t			*o;
	const char		*key;
	struct vec_bytes	 b;
	struct spdm_slot	*s;

	json_object_foreach(json_object_get(v->json, "cert_chains"), key, o) {
		b = vec_field(o, "spdm_cert_chain");
		s = &slots[strtoul(key, NULL, 10)];
		s->content = b.p;
		s->len = b.len;
		s->algorithm = alg == spdm_alg(KEY_P384) ? KEY_P384 : KEY_P256;
		spdm_hash(spdm_md(alg), b.p, b.len, s->digest);
	}
}

/* Which key each slot has, and a slot that nobody reads. */
static inline void
vec_keys(const struct vec *v, const struct spdm_alg *alg,
    struct spdm_slot *slots)
{
	struct spdm_digests	d;
	size_t			i = vec_find(v, SPDM_DIGESTS, 0), n = 0;

	assert_int_equal(spdm_digests_get(v->msg[i].p, v->msg[i].len,
	    alg->hash_len, true, &d), 0);
	for (i = 0; i < SPDM_SLOTS; i++) {
		if ((d.provisioned >> i & 1) == 0)
			continue;
		if (slots[i].content == NULL) {
			slots[i].content = calloc(1, 1);
			slots[i].algorithm = slots[0].algorithm;
			memcpy(slots[i].digest, d.digest + n * alg->hash_len,
			    alg->hash_len);
		}
		slots[i].key_pair = d.key_pair[n];
		slots[i].model = d.cert_info[n];
		slots[i].usage = (uint16_t)(d.usage[2 * n] |
		    d.usage[2 * n + 1] << 8);
		n++;
	}
}

/* The blocks of a recorded record, as measurements of ours. */
static inline void
vec_measures(const uint8_t *p, size_t len, struct measure_set *set)
{
	struct spdm_block	 b;
	struct measure		*m;

	set->n = 0;
	while (spdm_block_next(&p, &len, &b) == 1) {
		m = &set->m[set->n++];
		*m = (struct measure){ .index = b.index, .type = b.type,
		    .raw_only = b.raw, .has_raw = b.raw };
		assert_true(b.len <= (b.raw ? sizeof(m->raw) :
		    sizeof(m->digest)));
		memcpy(b.raw ? m->raw : m->digest, b.value, b.len);
		*(b.raw ? &m->raw_len : &m->digest_len) = b.len;
	}
}

#endif
