/* The codec: every message, every bound, every form that is not the one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <msgpack.h>

#include "sample.h"

#define NITEMS(a)	(sizeof(a) / sizeof((a)[0]))
#define EACH_TYPE(t)	for (t = MSG_NONE + 1; t < MSG_COUNT; t++)

static union ipc_any	one, two;

struct raw {
	size_t	len;
	uint8_t	buf[IPC_MAX_RECORD * 2];
};

static int
raw_put(void *arg, const char *p, size_t n)
{
	struct raw	*r = arg;

	assert_true(r->len + n <= sizeof(r->buf));
	memcpy(r->buf + r->len, p, n);
	r->len += n;
	return 0;
}

/*
 * Decode from a buffer of exactly this size, so that the sanitizer sees one
 * byte read too many.
 */
static int
decode(enum ipc_type type, const uint8_t *buf, size_t len, void *msg)
{
	uint8_t	*copy = malloc(len > 0 ? len : 1);
	int	 ret;

	assert_non_null(copy);
	memcpy(copy, buf, len);
	ret = ipc_decode(type, copy, len, msg);
	free(copy);
	return ret;
}

static size_t
encode(enum ipc_type type, const void *msg, uint8_t *buf, size_t size)
{
	size_t	len = 0;

	assert_int_equal(ipc_encode(type, sample_id(type), msg, buf, size,
	    &len), 0);
	return len;
}

static void
pack_field(msgpack_packer *pk, const struct field *f, const void *msg)
{
	const char		*p = (const char *)msg + f->offset;
	const struct field_blob	*b = (const struct field_blob *)p;

	switch (f->kind) {
	case F_U32:
		msgpack_pack_uint32(pk, *(const uint32_t *)p);
		break;
	case F_U64:
		msgpack_pack_uint64(pk, *(const uint64_t *)p);
		break;
	case F_I64:
		msgpack_pack_int64(pk, *(const int64_t *)p);
		break;
	case F_FLAG:
		if (*(const bool *)p)
			msgpack_pack_true(pk);
		else
			msgpack_pack_false(pk);
		break;
	case F_STR:
		msgpack_pack_str(pk, strlen(p));
		msgpack_pack_str_body(pk, p, strlen(p));
		break;
	case F_BLOB:
		msgpack_pack_bin(pk, b->len);
		msgpack_pack_bin_body(pk, b->data, b->len);
		break;
	}
}

/* A record of typical values, the field at this place spelled as given. */
static void
raw_with(struct raw *r, enum ipc_type type, size_t place, const void *bytes,
    size_t len)
{
	const struct field	*f;
	msgpack_packer		 pk;
	size_t			 i, n;

	r->len = 0;
	sample_fill(type, &one, SAMPLE_TYPICAL);
	f = ipc_fields(type, &n);
	msgpack_packer_init(&pk, r, raw_put);
	msgpack_pack_array(&pk, n + 2);
	msgpack_pack_uint32(&pk, type);
	msgpack_pack_uint32(&pk, sample_id(type));
	for (i = 0; i < n; i++) {
		if (i == place)
			raw_put(r, bytes, len);
		else
			pack_field(&pk, &f[i], &one);
	}
}

/* ---- round trips ---- */

static void
test_round_trip(void **state)
{
	uint8_t		 a[IPC_MAX_RECORD], b[IPC_MAX_RECORD];
	size_t		 alen, blen;
	enum ipc_type	 t, seen;
	uint32_t	 id;
	enum sample	 how;

	EACH_TYPE(t) {
		for (how = SAMPLE_LEAST; how < SAMPLE_KINDS; how++) {
			sample_fill(t, &one, how);
			alen = encode(t, &one, a, sizeof(a));
			assert_int_equal(ipc_peek(a, alen, &seen, &id), 0);
			assert_int_equal(seen, t);
			assert_int_equal(id, sample_id(t));
			memset(&two, 0xff, sizeof(two));
			assert_int_equal(decode(t, a, alen, &two), 0);
			blen = encode(t, &two, b, sizeof(b));
			assert_int_equal(alen, blen);
			assert_memory_equal(a, b, alen);
		}
	}
}

/* A decoded struct holds nothing of what was in its memory before. */
static void
test_decode_clears(void **state)
{
	struct msg_cert_rep	m;
	uint8_t			buf[64];
	size_t			len, i;

	memset(&m, 0, sizeof(m));
	len = encode(MSG_CERT_REP, &m, buf, sizeof(buf));
	memset(&m, 0xff, sizeof(m));
	assert_int_equal(decode(MSG_CERT_REP, buf, len, &m), 0);
	for (i = 0; i < sizeof(m.certificate.data); i++)
		assert_int_equal(m.certificate.data[i], 0);
}

/* The largest record of each type fits a record and no smaller buffer. */
static void
test_buffer_size(void **state)
{
	uint8_t		 buf[IPC_MAX_RECORD];
	enum ipc_type	 t;
	size_t		 len, got;

	EACH_TYPE(t) {
		sample_fill(t, &one, SAMPLE_MOST);
		len = encode(t, &one, buf, sizeof(buf));
		assert_int_equal(ipc_encode(t, sample_id(t), &one, buf,
		    len - 1, &got), -1);
		assert_int_equal(ipc_encode(t, sample_id(t), &one, buf, len,
		    &got), 0);
	}
}

static void
test_no_fields(void **state)
{
	uint8_t	buf[8];
	size_t	len;

	assert_int_equal(ipc_encode(MSG_DONE, 1, NULL, buf, sizeof(buf), &len),
	    0);
	assert_int_equal(len, 3);
	assert_int_equal(decode(MSG_DONE, buf, len, NULL), 0);
}

/* ---- bounds ---- */

/* Spell a value one above the bound, 0 if no spelling of this kind has one. */
static size_t
above(const struct field *f, struct raw *r)
{
	static uint8_t	 zeros[IPC_MAX_RECORD];
	msgpack_packer	 pk;

	r->len = 0;
	msgpack_packer_init(&pk, r, raw_put);
	switch (f->kind) {
	case F_U32:
	case F_U64:
		if (f->bound == UINT64_MAX)
			return 0;
		msgpack_pack_uint64(&pk, f->bound + 1);
		break;
	case F_I64:
		msgpack_pack_uint64(&pk, f->bound + 1);
		break;
	case F_FLAG:
		msgpack_pack_uint32(&pk, 1);
		break;
	case F_STR:
		memset(zeros, 'x', f->bound + 1);
		msgpack_pack_str(&pk, f->bound + 1);
		msgpack_pack_str_body(&pk, zeros, f->bound + 1);
		break;
	case F_BLOB:
		msgpack_pack_bin(&pk, f->bound + 1);
		msgpack_pack_bin_body(&pk, zeros, f->bound + 1);
		break;
	}
	return r->len;
}

static void
test_decode_above_bound(void **state)
{
	static struct raw	 r, v;
	const struct field	*f;
	enum ipc_type		 t;
	size_t			 i, n;

	EACH_TYPE(t) {
		f = ipc_fields(t, &n);
		for (i = 0; i < n; i++) {
			if (above(&f[i], &v) == 0)
				continue;
			raw_with(&r, t, i, v.buf, v.len);
			if (decode(t, r.buf, r.len, &two) != -1)
				fail_msg("%s.%s", ipc_name(t), f[i].name);
		}
	}
}

/* Below zero there is nothing but for I64, which has a lowest value. */
static void
test_decode_below_bound(void **state)
{
	static struct raw	 r, v;
	const struct field	*f;
	msgpack_packer		 pk;
	enum ipc_type		 t;
	size_t			 i, n;

	msgpack_packer_init(&pk, &v, raw_put);
	EACH_TYPE(t) {
		f = ipc_fields(t, &n);
		for (i = 0; i < n; i++) {
			v.len = 0;
			msgpack_pack_int64(&pk, f[i].kind == F_I64 ?
			    -(int64_t)f[i].bound - 1 : -1);
			raw_with(&r, t, i, v.buf, v.len);
			if (decode(t, r.buf, r.len, &two) != -1)
				fail_msg("%s.%s", ipc_name(t), f[i].name);
		}
	}
}

static bool
set_above(const struct field *f, void *msg)
{
	char			*p = (char *)msg + f->offset;
	struct field_blob	*b = (struct field_blob *)p;

	switch (f->kind) {
	case F_U32:
		*(uint32_t *)p = (uint32_t)f->bound + 1;
		return f->bound < UINT32_MAX;
	case F_U64:
		*(uint64_t *)p = f->bound + 1;
		return f->bound < UINT64_MAX;
	case F_I64:
		*(int64_t *)p = INT64_MIN;
		return true;
	case F_FLAG:
		return false;
	case F_STR:
		memset(p, 'x', f->bound + 1);
		return true;
	case F_BLOB:
		b->len = (uint32_t)f->bound + 1;
		return true;
	}
	return false;
}

static void
test_encode_above_bound(void **state)
{
	uint8_t			 buf[IPC_MAX_RECORD];
	const struct field	*f;
	enum ipc_type		 t;
	size_t			 i, n, len;

	EACH_TYPE(t) {
		f = ipc_fields(t, &n);
		for (i = 0; i < n; i++) {
			sample_fill(t, &one, SAMPLE_TYPICAL);
			if (!set_above(&f[i], &one))
				continue;
			if (ipc_encode(t, sample_id(t), &one, buf, sizeof(buf),
			    &len) != -1)
				fail_msg("%s.%s", ipc_name(t), f[i].name);
		}
	}
}

/* ---- forms ---- */

/* Spellings that are wrong wherever they stand. */
static const struct {
	const char	*what;
	size_t		 len;
	const char	*bytes;
} wrong[] = {
	{ "5 as uint 8", 2, "\xcc\x05" },
	{ "127 as uint 8", 2, "\xcc\x7f" },
	{ "5 as uint 16", 3, "\xcd\x00\x05" },
	{ "255 as uint 16", 3, "\xcd\x00\xff" },
	{ "5 as uint 32", 5, "\xce\x00\x00\x00\x05" },
	{ "65535 as uint 32", 5, "\xce\x00\x00\xff\xff" },
	{ "5 as uint 64", 9, "\xcf\x00\x00\x00\x00\x00\x00\x00\x05" },
	{ "2^32-1 as uint 64", 9, "\xcf\x00\x00\x00\x00\xff\xff\xff\xff" },
	{ "5 as int 8", 2, "\xd0\x05" },
	{ "5 as int 16", 3, "\xd1\x00\x05" },
	{ "5 as int 32", 5, "\xd2\x00\x00\x00\x05" },
	{ "5 as int 64", 9, "\xd3\x00\x00\x00\x00\x00\x00\x00\x05" },
	{ "-1 as int 8", 2, "\xd0\xff" },
	{ "-32 as int 8", 2, "\xd0\xe0" },
	{ "-128 as int 16", 3, "\xd1\xff\x80" },
	{ "-32768 as int 32", 5, "\xd2\xff\xff\x80\x00" },
	{ "-2^31 as int 64", 9, "\xd3\xff\xff\xff\xff\x80\x00\x00\x00" },
	{ "empty str 8", 2, "\xd9\x00" },
	{ "a as str 8", 3, "\xd9\x01" "a" },
	{ "a as str 16", 4, "\xda\x00\x01" "a" },
	{ "a as str 32", 6, "\xdb\x00\x00\x00\x01" "a" },
	{ "a as bin 16", 4, "\xc5\x00\x01" "a" },
	{ "a as bin 32", 6, "\xc6\x00\x00\x00\x01" "a" },
	{ "nil", 1, "\xc0" },
	{ "never used", 1, "\xc1" },
	{ "float 32", 5, "\xca\x00\x00\x00\x00" },
	{ "float 64", 9, "\xcb\x00\x00\x00\x00\x00\x00\x00\x00" },
	{ "fixmap", 1, "\x80" },
	{ "map 16", 3, "\xde\x00\x00" },
	{ "map 32", 5, "\xdf\x00\x00\x00\x00" },
	{ "fixarray", 1, "\x90" },
	{ "array of one", 2, "\x91\x01" },
	{ "array 16", 3, "\xdc\x00\x00" },
	{ "fixext 1", 3, "\xd4\x01\x01" },
	{ "fixext 2", 4, "\xd5\x01\x01\x01" },
	{ "fixext 4", 6, "\xd6\x01\x01\x01\x01\x01" },
	{ "fixext 8", 10, "\xd7\x01\x01\x01\x01\x01\x01\x01\x01\x01" },
	{ "fixext 16", 18, "\xd8\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01"
	    "\x01\x01\x01\x01\x01\x01" },
	{ "ext 8", 3, "\xc7\x00\x01" },
	{ "ext 16", 4, "\xc8\x00\x00\x01" },
	{ "ext 32", 6, "\xc9\x00\x00\x00\x00\x01" },
	{ "NUL in a string", 2, "\xa1\x00" },
	{ "UTF-8: lone continuation", 2, "\xa1\x80" },
	{ "UTF-8: overlong slash", 3, "\xa2\xc0\xaf" },
	{ "UTF-8: overlong slash, 3", 4, "\xa3\xe0\x80\xaf" },
	{ "UTF-8: overlong slash, 4", 5, "\xa4\xf0\x80\x80\xaf" },
	{ "UTF-8: surrogate", 4, "\xa3\xed\xa0\x80" },
	{ "UTF-8: above 10FFFF", 5, "\xa4\xf4\x90\x80\x80" },
	{ "UTF-8: f5", 5, "\xa4\xf5\x80\x80\x80" },
	{ "UTF-8: cut short", 3, "\xa2\xe2\x82" },
	{ "str longer than the record", 5, "\xdb\xff\xff\xff\xff" },
	{ "bin longer than the record", 5, "\xc6\xff\xff\xff\xff" },
};

static void
test_wrong_form(void **state)
{
	static struct raw	 r;
	const struct field	*f;
	enum ipc_type		 t;
	size_t			 i, n, w;

	EACH_TYPE(t) {
		f = ipc_fields(t, &n);
		for (i = 0; i < n; i++) {
			for (w = 0; w < NITEMS(wrong); w++) {
				raw_with(&r, t, i, wrong[w].bytes,
				    wrong[w].len);
				if (decode(t, r.buf, r.len, &two) != -1)
					fail_msg("%s.%s: %s", ipc_name(t),
					    f[i].name, wrong[w].what);
			}
		}
	}
}

/* A field takes its own kind only. */
static void
test_wrong_kind(void **state)
{
	static const struct {
		enum field_kind	kind;
		const char	bytes[3];
		size_t		len;
	} kinds[] = {
		{ F_U32, "\x00", 1 }, { F_U64, "\x00", 1 },
		{ F_I64, "\x00", 1 },
		{ F_FLAG, "\xc2", 1 }, { F_STR, "\xa0", 1 },
		{ F_BLOB, "\xc4\x00", 2 },
	};
	static struct raw	 r;
	const struct field	*f;
	enum ipc_type		 t;
	size_t			 i, k, n;
	bool			 same;

	EACH_TYPE(t) {
		f = ipc_fields(t, &n);
		for (i = 0; i < n; i++) {
			for (k = 0; k < NITEMS(kinds); k++) {
				same = f[i].kind == kinds[k].kind ||
				    (f[i].kind <= F_I64 &&
				    kinds[k].kind <= F_I64);
				raw_with(&r, t, i, kinds[k].bytes,
				    kinds[k].len);
				if (decode(t, r.buf, r.len, &two) !=
				    (same ? 0 : -1))
					fail_msg("%s.%s %zu", ipc_name(t),
					    f[i].name, k);
			}
		}
	}
}

static void
test_string_is_utf8(void **state)
{
	static const char	 good[] =
	    "\xa9" "\xc3\xa9\xe2\x82\xac\xf0\x9f\x94\x91";
	static struct raw	 r;
	struct msg_ctl_peer_show m;

	raw_with(&r, MSG_CTL_PEER_SHOW, 0, good, sizeof(good) - 1);
	assert_int_equal(decode(MSG_CTL_PEER_SHOW, r.buf, r.len, &m), 0);
	assert_string_equal(m.name, good + 1);
	assert_false(ipc_utf8("\xff", 1));
	m.name[0] = '\xff';
	assert_int_equal(ipc_encode(MSG_CTL_PEER_SHOW, 1, &m, r.buf,
	    sizeof(r.buf), &r.len), -1);
}

static void
test_trailing_byte(void **state)
{
	uint8_t		 buf[IPC_MAX_RECORD + 1];
	enum ipc_type	 t;
	size_t		 len;

	EACH_TYPE(t) {
		sample_fill(t, &one, SAMPLE_TYPICAL);
		len = encode(t, &one, buf, sizeof(buf));
		buf[len] = 0;
		assert_int_equal(decode(t, buf, len + 1, &two), -1);
	}
}

static void
test_cut_short(void **state)
{
	uint8_t		 buf[IPC_MAX_RECORD];
	enum ipc_type	 t;
	size_t		 len, cut;

	EACH_TYPE(t) {
		sample_fill(t, &one, SAMPLE_TYPICAL);
		len = encode(t, &one, buf, sizeof(buf));
		for (cut = 0; cut < len; cut++)
			assert_int_equal(decode(t, buf, cut, &two), -1);
	}
}

static void
test_count(void **state)
{
	uint8_t		 buf[IPC_MAX_RECORD];
	enum ipc_type	 t;
	size_t		 len;

	EACH_TYPE(t) {
		sample_fill(t, &one, SAMPLE_TYPICAL);
		len = encode(t, &one, buf, sizeof(buf) - 1);
		buf[0]++;
		assert_int_equal(decode(t, buf, len, &two), -1);
		buf[len] = 0;		/* a further field, counted */
		assert_int_equal(decode(t, buf, len + 1, &two), -1);
		buf[0] -= 2;
		assert_int_equal(decode(t, buf, len, &two), -1);
	}
}

/* The array, the type and the number are held to the shortest form too. */
static void
test_start(void **state)
{
	static const struct {
		const char	*bytes;
		size_t		 len;
		int		 ret;
	} starts[] = {
		{ "", 0, -1 },
		{ "\x92", 1, -1 },
		{ "\x92\x01", 2, -1 },
		{ "\x92\x01\x01", 3, 0 },
		{ "\xdc\x00\x02\x01\x01", 5, -1 },
		{ "\xdd\x00\x00\x00\x02\x01\x01", 7, -1 },
		{ "\x92\xcc\x01\x01", 4, -1 },
		{ "\x92\x01\xcc\x01", 4, -1 },
		{ "\x92\x00\x01", 3, -1 },
		{ "\x92\x01\xcf\x00\x00\x00\x01\x00\x00\x00\x00", 11, -1 },
		{ "\x92\xcd\xff\xff\x01", 5, -1 },
		{ "\x92\xce\x00\x01\x00\x01\x01", 7, -1 },
		{ "\x82\x01\x01", 3, -1 },
		{ "\xff\x01\x01", 3, -1 },
		{ "\x92\xa1" "a" "\x01", 4, -1 },
		{ "\x92\x01\xff", 3, -1 },
	};
	enum ipc_type	t;
	uint32_t	id;
	size_t		i;

	for (i = 0; i < NITEMS(starts); i++) {
		if (ipc_peek((const uint8_t *)starts[i].bytes, starts[i].len,
		    &t, &id) != starts[i].ret)
			fail_msg("start %zu", i);
	}
}

static void
test_wrong_type(void **state)
{
	uint8_t	buf[64];
	size_t	len;

	len = encode(MSG_KEYD_STATUS_REQ, NULL, buf, sizeof(buf));
	assert_int_equal(decode(MSG_KEYD_STATUS_REQ, buf, len, &two), 0);
	assert_int_equal(decode(MSG_CTL_STATUS, buf, len, &two), -1);
	assert_int_equal(ipc_encode(MSG_COUNT, 1, NULL, buf, sizeof(buf), &len),
	    -1);
	assert_int_equal(ipc_encode(MSG_NONE, 1, NULL, buf, sizeof(buf), &len),
	    -1);
}

/* Calls and replies have a number, what wants no answer has none. */
static void
test_number(void **state)
{
	uint8_t		buf[64];
	size_t		len;
	enum ipc_type	t;
	uint32_t	id;

	assert_int_equal(ipc_encode(MSG_DONE, 0, NULL, buf, sizeof(buf), &len),
	    -1);
	assert_int_equal(ipc_encode(MSG_READY, 1, NULL, buf, sizeof(buf), &len),
	    -1);
	assert_int_equal(ipc_encode(MSG_READY, 0, NULL, buf, sizeof(buf), &len),
	    0);
	buf[len - 1] = 1;
	assert_int_equal(ipc_peek(buf, len, &t, &id), -1);
	assert_int_equal(decode(MSG_READY, buf, len, NULL), -1);
}

/* ---- mutation ---- */

static uint32_t
next_random(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

/* Whatever still decodes was the one spelling of what it says. */
static void
test_mutation(void **state)
{
	static uint8_t	 a[IPC_MAX_RECORD], b[IPC_MAX_RECORD];
	uint32_t	 seed = 20261126, id;
	enum ipc_type	 t, seen;
	size_t		 len, blen, round, k;

	EACH_TYPE(t) {
		for (round = 0; round < 2000; round++) {
			sample_fill(t, &one, SAMPLE_TYPICAL);
			len = encode(t, &one, a, sizeof(a));
			for (k = next_random(&seed) % 3 + 1; k > 0; k--)
				a[next_random(&seed) % len] ^=
				    (uint8_t)next_random(&seed);
			if (ipc_peek(a, len, &seen, &id) == -1 ||
			    decode(seen, a, len, &two) == -1)
				continue;
			assert_int_equal(ipc_encode(seen, id, &two, b,
			    sizeof(b), &blen), 0);
			assert_int_equal(len, blen);
			assert_memory_equal(a, b, len);
		}
	}
}

/* ---- filling and asking ---- */

static void
test_set(void **state)
{
	struct msg_ctl_peer_show	s;
	struct msg_checkpoint_rep	b;
	char				text[80];
	uint8_t				bytes[113] = { 1, 2, 3 };

	memset(text, 'x', sizeof(text));
	text[64] = '\0';
	assert_int_equal(IPC_SET_STR(s.name, text), 0);
	assert_string_equal(s.name, text);
	text[64] = 'x';
	text[65] = '\0';
	assert_int_equal(IPC_SET_STR(s.name, text), -1);
	assert_string_equal(s.name, "");
	assert_int_equal(IPC_SET_STR(s.name, "\xc3"), -1);
	assert_string_equal(s.name, "");
	assert_int_equal(IPC_SET_BLOB(b.signature, bytes, 112), 0);
	assert_int_equal(b.signature.len, 112);
	assert_memory_equal(b.signature.data, bytes, 112);
	assert_int_equal(IPC_SET_BLOB(b.signature, bytes, 113), -1);
	assert_int_equal(b.signature.len, 0);
	assert_int_equal(IPC_SET_BLOB(b.signature, NULL, 0), 0);
}

static void
test_answers(void **state)
{
	assert_true(ipc_answers(MSG_TLS_SIGN_REQ, MSG_TLS_SIGN_REP));
	assert_true(ipc_answers(MSG_TLS_SIGN_REQ, MSG_REFUSED));
	assert_false(ipc_answers(MSG_TLS_SIGN_REQ, MSG_DONE));
	assert_false(ipc_answers(MSG_TLS_SIGN_REQ, MSG_SPDM_SIGN_REP));
	assert_true(ipc_answers(MSG_JOB_OPEN, MSG_DONE));
	assert_true(ipc_answers(MSG_JOB_OPEN, MSG_REFUSED));
	assert_false(ipc_answers(MSG_JOB_OPEN, MSG_KEY_INFO));
	assert_false(ipc_answers(MSG_READY, MSG_REFUSED));
	assert_false(ipc_answers(MSG_NONE, MSG_REFUSED));
}

/* What the queue takes as the key of a STATE is a number, and first. */
static void
test_state_key(void **state)
{
	const struct field	*f;
	enum ipc_type		 t;
	size_t			 n;

	EACH_TYPE(t) {
		if (ipc_kind(t) != IPC_STATE)
			continue;
		f = ipc_fields(t, &n);
		assert_true(n > 0);
		assert_int_equal(f[0].kind, F_U32);
		sample_fill(t, &one, SAMPLE_MOST);
		assert_int_equal(ipc_state_key(t, &one), f[0].bound);
	}
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_decode_clears),
		cmocka_unit_test(test_buffer_size),
		cmocka_unit_test(test_no_fields),
		cmocka_unit_test(test_decode_above_bound),
		cmocka_unit_test(test_decode_below_bound),
		cmocka_unit_test(test_encode_above_bound),
		cmocka_unit_test(test_wrong_form),
		cmocka_unit_test(test_wrong_kind),
		cmocka_unit_test(test_string_is_utf8),
		cmocka_unit_test(test_trailing_byte),
		cmocka_unit_test(test_cut_short),
		cmocka_unit_test(test_count),
		cmocka_unit_test(test_start),
		cmocka_unit_test(test_wrong_type),
		cmocka_unit_test(test_number),
		cmocka_unit_test(test_mutation),
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_state_key),
	};

	return cmocka_run_group_tests_name("codec", tests, NULL, NULL);
}
