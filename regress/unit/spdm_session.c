/*
 * The key schedule and the records of every recorded session, from the
 * recorded DHE secret and messages alone: each secret, key, verify data and
 * transcript hash, and each record, opened and sealed, byte for byte.
 */
#include <openssl/core_names.h>

#include "spdm_vec.h"
#include "../../attestd/spdm_session.h"

#define DIR	"regress/data/spdm/"

struct play {
	struct vec		 v;
	json_t			*js;		/* "session" */
	const struct spdm_alg	*alg;
	struct spdm_session	*s;
	struct spdm_binding	 binding;
	struct spdm_tcp		 tcp;
	bool			 clear, th_digests;
	struct vec_bytes	 pad;		/* what is drawn for a record */
	size_t			 drawn;
};

/* Which message is inside, also of the encapsulated flow. */
static uint8_t
code(const struct play *p, size_t i)
{
	return p->v.msg[i].p[1];
}

static void
same(const struct play *p, const char *name, const uint8_t *got, size_t len)
{
	struct vec_bytes	b = vec_field(p->js, name);

	if (b.len != len || memcmp(b.p, got, len) != 0)
		fail_msg("%s differs", name);
	free(b.p);
}

static EVP_MD_CTX *
base_of(const struct play *p)
{
	EVP_MD_CTX	*c = EVP_MD_CTX_new();
	size_t		 i;

	assert_int_equal(EVP_DigestInit_ex2(c, spdm_md(p->alg), NULL), 1);
	for (i = 0; i < 6; i++)
		EVP_DigestUpdate(c, p->v.msg[i].p, p->v.msg[i].len);
	return c;
}

static void
th_check(struct play *p, const char *name, uint8_t *th)
{
	spdm_session_th(p->s, th);
	same(p, name, th, p->alg->hash_len);
}

static void
open_play(struct play *p, const char *path)
{
	struct spdm_algs	 a;
	const char		*transport;
	EVP_MD_CTX		*base;
	size_t			 i;

	memset(p, 0, sizeof(*p));
	vec_load(&p->v, path);
	p->js = json_object_get(p->v.json, "session");
	p->clear = json_is_true(json_object_get(p->js,
	    "handshake_in_the_clear"));
	p->th_digests = json_is_true(json_object_get(p->js,
	    "digests_in_th"));
	transport = json_string_value(json_object_get(p->v.json,
	    "transport"));
	p->tcp = (struct spdm_tcp){ .counted = true, .known = true };
	p->binding.tcp = &p->tcp;
	if (strcmp(transport, "MCTP") == 0)
		p->binding = (struct spdm_binding){ .seq_len = 2,
		    .pad_max = 32, .mctp = true };
	i = vec_find(&p->v, SPDM_ALGORITHMS, 0);
	/* 1.4 has tables that we do not know; what we need is fixed. */
	memcpy(&a.base_asym, p->v.msg[i].p + 12, 4);
	memcpy(&a.base_hash, p->v.msg[i].p + 16, 4);
	p->alg = spdm_alg_selected(a.base_asym, a.base_hash);
	assert_non_null(p->alg);
	base = base_of(p);
	p->s = spdm_session_new(p->v.msg[2].p[0], p->alg, base);
	assert_non_null(p->s);
	EVP_MD_CTX_free(base);
}

static void
close_play(struct play *p)
{
	spdm_session_free(p->s);
	vec_free(&p->v);
}

/* ---- the handshake ------------------------------------------------------- */

/* The signature of KEY_EXCHANGE_RSP, by the key of the recorded chain. */
static void
signature_check(struct play *p, const uint8_t *th, const uint8_t *sig)
{
	struct spdm_slot		 slots[SPDM_SLOTS] = { 0 };
	struct spdm_chain_rules		 rules = { .alg = p->alg };
	struct spdm_chain		 chain;
	struct spdm_why			 why;
	unsigned			 i;

	rules.version = p->s->version;
	vec_slots(&p->v, p->alg, slots);
	if (spdm_chain_read(slots[0].content, slots[0].len, &rules, &chain,
	    &why) == -1)
		fail_msg("%s: %s", why.field, why.seen);
	if (p->s->version >= SPDM_V12)
		assert_int_equal(spdm_verify(chain.key, p->alg,
		    p->s->version, SPDM_CTX_KEY_EXCHANGE, th, sig), 0);
	spdm_chain_free(&chain);
	for (i = 0; i < SPDM_SLOTS; i++)
		spdm_slot_clear(&slots[i]);
}

static void
secrets_check(struct play *p)
{
	const struct spdm_dir	*q = &p->s->dir[SPDM_SIDE_REQ];
	const struct spdm_dir	*r = &p->s->dir[SPDM_SIDE_RSP];
	size_t			 n = p->alg->hash_len;

	same(p, "request_direction_handshake_secret", q->secret, n);
	same(p, "response_direction_handshake_secret", r->secret, n);
	same(p, "request_finished_key", p->s->finished[SPDM_SIDE_REQ], n);
	same(p, "response_finished_key", p->s->finished[SPDM_SIDE_RSP], n);
	same(p, "request_handshake_key", q->key, sizeof(q->key));
	same(p, "request_handshake_iv", q->iv, sizeof(q->iv));
	same(p, "response_handshake_key", r->key, sizeof(r->key));
	same(p, "response_handshake_iv", r->iv, sizeof(r->iv));
	same(p, "master_secret", p->s->master, n);
}

static void
key_exchange(struct play *p)
{
	size_t			 k = vec_find(&p->v, SPDM_KEY_EXCHANGE, 0);
	const uint8_t		*rsp = p->v.msg[k + 1].p;
	size_t			 len = p->v.msg[k + 1].len;
	size_t			 n = p->alg->hash_len, sig;
	struct vec_bytes	 b;
	uint8_t			 th[SPDM_HASH_MAX], vd[SPDM_HASH_MAX];

	if (p->th_digests) {
		b = p->v.msg[vec_find(&p->v, SPDM_DIGESTS, 0)];
		spdm_session_th_add(p->s, b.p, b.len);
	}
	b = vec_field(p->js, "cert_chain_hash");
	spdm_session_th_add(p->s, b.p, b.len);
	free(b.p);
	spdm_session_th_add(p->s, p->v.msg[k].p, p->v.msg[k].len);
	sig = len - (p->clear ? 0 : n) - p->alg->sig_len;
	spdm_session_th_add(p->s, rsp, sig);
	th_check(p, "th_key_exchange_rsp_signature_hash", th);
	signature_check(p, th, rsp + sig);
	spdm_session_th_add(p->s, rsp + sig, p->alg->sig_len);
	th_check(p, "th1_hash", th);
	b = vec_field(p->js, "session_id_le");
	memcpy(p->s->id, b.p, 4);
	free(b.p);
	b = vec_field(p->js, "dhe_shared_secret");
	spdm_session_shared(p->s, b.p, b.len);
	free(b.p);
	same(p, "handshake_secret", p->s->hs, n);
	spdm_session_handshake(p->s, th);
	secrets_check(p);
	if (p->clear)
		return;
	spdm_session_verify_data(p->s, SPDM_SIDE_RSP, th, vd);
	same(p, "responder_verify_data_in_key_exchange_rsp", vd, n);
	assert_memory_equal(rsp + len - n, vd, n);
	spdm_session_th_add(p->s, rsp + len - n, n);
}

static void
requester_chain(struct play *p)
{
	struct vec_bytes	b;
	uint8_t			h[SPDM_HASH_MAX];
	size_t			i;

	/* EncapD: the DIGESTS that the requester delivered. */
	for (i = 0; p->th_digests && i < p->v.n; i++) {
		b = p->v.msg[i];
		if (b.p[1] == SPDM_DELIVER_ENCAPSULATED &&
		    b.p[5] == SPDM_DIGESTS)
			spdm_session_th_add(p->s, b.p + 4, b.len - 4);
	}
	if (json_object_get(p->js, "requester_cert_chain") == NULL)
		return;
	b = vec_field(p->js, "requester_cert_chain");
	spdm_hash(spdm_md(p->alg), b.p, b.len, h);
	spdm_session_th_add(p->s, h, p->alg->hash_len);
	free(b.p);
}

/* FINISH and FINISH_RSP are opened already if they were records. */
static void
finish(struct play *p, size_t f)
{
	const uint8_t	*req = p->v.msg[f].p;
	struct vec_bytes rsp = p->v.msg[f + 1];
	size_t		 n = p->alg->hash_len, vlen = p->clear ? n : 0;
	uint8_t		 th[SPDM_HASH_MAX], vd[SPDM_HASH_MAX];

	requester_chain(p);
	spdm_session_th_add(p->s, req, p->v.msg[f].len - n);
	spdm_session_th(p->s, th);
	spdm_session_verify_data(p->s, SPDM_SIDE_REQ, th, vd);
	same(p, "requester_verify_data", vd, n);
	assert_memory_equal(req + p->v.msg[f].len - n, vd, n);
	spdm_session_th_add(p->s, vd, n);
	spdm_session_th_add(p->s, rsp.p, rsp.len - vlen);
	if (p->clear) {
		spdm_session_th(p->s, th);
		spdm_session_verify_data(p->s, SPDM_SIDE_RSP, th, vd);
		same(p, "responder_verify_data_in_finish_rsp", vd, n);
		assert_memory_equal(rsp.p + rsp.len - n, vd, n);
		spdm_session_th_add(p->s, vd, n);
	}
	th_check(p, "th2_hash", th);
	spdm_session_data(p->s, th);
	same(p, "request_direction_data_secret",
	    p->s->dir[SPDM_SIDE_REQ].secret, n);
	same(p, "response_direction_data_secret",
	    p->s->dir[SPDM_SIDE_RSP].secret, n);
	same(p, "request_data_key", p->s->dir[SPDM_SIDE_REQ].key, 32);
	same(p, "request_data_iv", p->s->dir[SPDM_SIDE_REQ].iv, 12);
	same(p, "response_data_key", p->s->dir[SPDM_SIDE_RSP].key, 32);
	same(p, "response_data_iv", p->s->dir[SPDM_SIDE_RSP].iv, 12);
}

/* ---- records ------------------------------------------------------------- */

static void
recorded_pad(void *arg, uint8_t *out, size_t n)
{
	struct play	*p = arg;

	if (p->drawn++ == 0) {
		assert_int_equal(n, 1);
		*out = (uint8_t)p->pad.len;
	} else {
		assert_int_equal(n, p->pad.len);
		memcpy(out, p->pad.p, n);
	}
}

static void
update_keys(struct play *p, size_t i)
{
	json_t		*u, *whole = p->js;
	size_t		 j;
	enum spdm_side	 side;

	json_array_foreach(json_object_get(whole, "key_updates"), j, u) {
		if ((size_t)json_integer_value(json_object_get(u,
		    "first_record_n")) != i)
			continue;
		side = strcmp(json_string_value(json_object_get(u,
		    "direction")), "request") == 0 ? SPDM_SIDE_REQ :
		    SPDM_SIDE_RSP;
		spdm_session_update(p->s, side);
		p->js = u;
		same(p, "new_data_secret", p->s->dir[side].secret,
		    p->alg->hash_len);
		same(p, "key", p->s->dir[side].key, SPDM_AEAD_KEY);
		same(p, "iv", p->s->dir[side].iv, SPDM_AEAD_IV);
		p->js = whole;
	}
}

/* Nothing but the record itself opens, and a failure changes nothing. */
static void
open_refuses(struct play *p, enum spdm_side side, struct vec_bytes rec)
{
	struct spdm_dir	 d = p->s->dir[side];
	uint8_t		 out[SPDM_RECORD_MAX];
	const uint8_t	*msg;
	size_t		 i, len, step = rec.len < 200 ? 1 : 37;
	enum spdm_open	 e;

	for (i = 0; i < rec.len; i += step) {
		rec.p[i] ^= 0x10;
		e = spdm_record_open(p->s, side, &p->binding, rec.p, rec.len,
		    out, sizeof(out), &msg, &len);
		rec.p[i] ^= 0x10;
		assert_int_equal(e, i < 4 ? OPEN_SESSION :
		    i < 4U + p->binding.seq_len ? OPEN_DECRYPT :
		    i < 6U + p->binding.seq_len ? OPEN_FORM : OPEN_DECRYPT);
		assert_memory_equal(&d, &p->s->dir[side], sizeof(d));
	}
	for (i = 0; i < rec.len; i += step)
		assert_int_equal(spdm_record_open(p->s, side, &p->binding,
		    rec.p, i, out, sizeof(out), &msg, &len), OPEN_FORM);
	/* The other direction has other keys. */
	assert_int_equal(spdm_record_open(p->s, !side, &p->binding, rec.p,
	    rec.len, out, sizeof(out), &msg, &len), OPEN_DECRYPT);
}

static void
record(struct play *p, size_t i, json_t *m)
{
	enum spdm_side		 side = p->v.request[i] ? SPDM_SIDE_REQ :
	    SPDM_SIDE_RSP;
	struct vec_bytes	 rec = vec_field(m, "record");
	struct spdm_dir		 d;
	uint8_t			 plain[SPDM_RECORD_MAX], out[SPDM_RECORD_MAX];
	const uint8_t		*msg;
	size_t			 len, app;

	update_keys(p, i);
	d = p->s->dir[side];
	assert_int_equal(d.seq,
	    json_integer_value(json_object_get(m, "seq")));
	open_refuses(p, side, rec);
	assert_int_equal(spdm_record_open(p->s, side, &p->binding, rec.p,
	    rec.len, plain, sizeof(plain), &msg, &len), OPEN_OK);
	assert_int_equal(len, p->v.msg[i].len);
	assert_memory_equal(msg, p->v.msg[i].p, len);
	/* Not twice. */
	assert_int_equal(spdm_record_open(p->s, side, &p->binding, rec.p,
	    rec.len, out, sizeof(out), &msg, &len), OPEN_DECRYPT);
	p->s->dir[side] = d;
	app = plain[0] | (size_t)plain[1] << 8;
	p->pad = (struct vec_bytes){ plain + 2 + app, (size_t)
	    json_integer_value(json_object_get(m, "random_padding")) };
	p->drawn = 0;
	len = spdm_record_seal(p->s, side, &p->binding, recorded_pad, p,
	    p->v.msg[i].p, p->v.msg[i].len, out, sizeof(out));
	assert_int_equal(len, rec.len);
	assert_memory_equal(out, rec.p, len);
	assert_int_equal(p->s->dir[side].seq, d.seq + 1);
	free(rec.p);
}

static void
play(const char *path)
{
	struct play	 p;
	json_t		*m;
	size_t		 i, finished = 0;

	open_play(&p, path);
	key_exchange(&p);
	json_array_foreach(json_object_get(p.v.json, "messages"), i, m) {
		if (json_object_get(m, "record") != NULL)
			record(&p, i, m);
		if (code(&p, i) == (SPDM_FINISH & 0x7f)) {
			finish(&p, i - 1);
			finished++;
		}
	}
	assert_int_equal(finished, 1);
	close_play(&p);
}

static void
test_sessions(void **state)
{
	static const char *const	files[] = {
		"1.1-p256", "1.1-p384", "1.2-p256", "1.2-p384", "1.3-p256",
		"1.3-p384", "1.4-p256", "1.4-p384", "1.3-p384-multikey",
		"1.3-p384-mutdigests", "clear-1.2-p256", "clear-1.3-p384",
		"mctp-1.2-p256",
	};
	char	path[128];
	size_t	i;

	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), DIR "session-%s.json", files[i]);
		play(path);
	}
}

/* ---- records that no recording has --------------------------------------- */

static struct spdm_session *
some_session(void)
{
	const struct spdm_alg	*alg = spdm_alg(KEY_P256);
	static const uint8_t	 h[SPDM_HASH_MAX];
	EVP_MD_CTX		*base = EVP_MD_CTX_new();
	struct spdm_session	*s;

	assert_int_equal(EVP_DigestInit_ex2(base, spdm_md(alg), NULL), 1);
	assert_non_null(s = spdm_session_new(SPDM_V12, alg, base));
	EVP_MD_CTX_free(base);
	spdm_session_handshake_psk(s, h, h, h);
	return s;
}

static void
random_ff(void *arg, uint8_t *p, size_t n)
{
	memset(p, 0xff, n);
}

static void
test_limits(void **state)
{
	struct spdm_session	*s = some_session();
	struct spdm_binding	 b = { .mctp = true, .seq_len = 2,
	    .pad_max = 32 };
	uint8_t			 rec[128], out[128], msg[4] = { 0x12, 0xe8 };
	const uint8_t		*p;
	size_t			 n, len;

	/* 4 + 2 + 2, AppLen 2, type 1, message, padding 255 % 33, tag. */
	assert_int_equal(spdm_record_seal(s, SPDM_SIDE_REQ, &b, random_ff,
	    NULL, msg, 4, rec, 54), 0);
	assert_int_equal(s->dir[SPDM_SIDE_REQ].seq, 0);
	n = spdm_record_seal(s, SPDM_SIDE_REQ, &b, random_ff, NULL, msg, 4,
	    rec, 55);
	assert_int_equal(n, 55);
	s->dir[SPDM_SIDE_REQ].seq = 0;
	/* Room for what was decrypted: all but head and tag. */
	assert_int_equal(spdm_record_open(s, SPDM_SIDE_REQ, &b, rec, n, out,
	    30, &p, &len), OPEN_FORM);
	assert_int_equal(spdm_record_open(s, SPDM_SIDE_REQ, &b, rec, n, out,
	    31, &p, &len), OPEN_OK);
	assert_int_equal(len, 4);
	assert_memory_equal(p, msg, 4);
	/* A key is used up after 2^24 records, both ways. */
	s->dir[SPDM_SIDE_REQ].seq = (1U << 24) - 1;
	n = spdm_record_seal(s, SPDM_SIDE_REQ, &b, random_ff, NULL, msg, 4,
	    rec, sizeof(rec));
	assert_int_equal(n, 55);
	assert_int_equal(spdm_record_seal(s, SPDM_SIDE_REQ, &b, random_ff,
	    NULL, msg, 4, rec, sizeof(rec)), 0);
	assert_int_equal(spdm_record_open(s, SPDM_SIDE_REQ, &b, rec, n, out,
	    sizeof(out), &p, &len), OPEN_DECRYPT);
	spdm_session_update(s, SPDM_SIDE_REQ);
	assert_int_equal(s->dir[SPDM_SIDE_REQ].seq, 0);
	spdm_session_free(s);
}

/* What is sealed right and holds something wrong. */
static void
test_inside(void **state)
{
	struct spdm_tcp		 counted = { .counted = true }, plain = { 0 };
	struct spdm_binding	 mctp = { .mctp = true }, tcp = { 0 };
	struct spdm_session	*s = some_session();
	struct spdm_dir		 d = s->dir[SPDM_SIDE_RSP];
	uint8_t			 rec[128], out[128];
	uint8_t			 msg[8] = { 0x08, 0, 1, 5, 0x12, 0x68, 0, 0 };
	const uint8_t		*p;
	size_t			 n, len;

	/* A header that counts otherwise than this connection. */
	tcp.tcp = &counted;
	n = spdm_record_seal(s, SPDM_SIDE_RSP, &tcp, NULL, NULL, msg, 4, rec,
	    sizeof(rec));
	s->dir[SPDM_SIDE_RSP] = d;
	tcp.tcp = &plain;
	assert_int_equal(spdm_record_open(s, SPDM_SIDE_RSP, &tcp, rec, n, out,
	    sizeof(out), &p, &len), OPEN_FORM);
	assert_int_equal(s->dir[SPDM_SIDE_RSP].seq, 0);
	/* The other binding's prefix. */
	assert_int_equal(spdm_record_open(s, SPDM_SIDE_RSP, &mctp, rec, n,
	    out, sizeof(out), &p, &len), OPEN_FORM);
	/* No record before there are keys. */
	s->phase = SPDM_P_NONE;
	assert_int_equal(spdm_record_open(s, SPDM_SIDE_RSP, &tcp, rec, n, out,
	    sizeof(out), &p, &len), OPEN_SESSION);
	assert_int_equal(spdm_record_seal(s, SPDM_SIDE_RSP, &tcp, NULL, NULL,
	    msg, 4, rec, sizeof(rec)), 0);
	spdm_session_free(s);
}

/*
 * A record as whoever has the keys may make it: these bytes before the
 * ciphertext, this plaintext, under the sequence that is expected.
 */
static size_t
forge(const struct spdm_session *s, const char *head_hex,
    const char *plain_hex, uint8_t *rec)
{
	const struct spdm_dir	*d = &s->dir[SPDM_SIDE_RSP];
	struct vec_bytes	 head = vec_hex(head_hex);
	struct vec_bytes	 plain = vec_hex(plain_hex);
	EVP_CIPHER_CTX		*c = EVP_CIPHER_CTX_new();
	uint8_t			 iv[SPDM_AEAD_IV];
	size_t			 n = head.len + plain.len, i;
	int			 len;

	memcpy(iv, d->iv, sizeof(iv));
	for (i = 0; i < 8; i++)
		iv[i] ^= (uint8_t)(d->seq >> 8 * i);
	memcpy(rec, head.p, head.len);
	assert_int_equal(EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL,
	    d->key, iv), 1);
	EVP_EncryptUpdate(c, NULL, &len, rec, (int)head.len);
	EVP_EncryptUpdate(c, rec + head.len, &len, plain.p, (int)plain.len);
	EVP_EncryptFinal_ex(c, rec + n, &len);
	EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, 16, rec + n);
	EVP_CIPHER_CTX_free(c);
	free(head.p);
	free(plain.p);
	return n + 16;
}

static void
test_forged(void **state)
{
	struct spdm_binding	 b = { .mctp = true, .seq_len = 2 };
	struct spdm_session	*s = some_session();
	uint8_t			 rec[128], out[128];
	const uint8_t		*p;
	size_t			 i, n, len;
	static const struct {
		const char	*head, *plain;
		enum spdm_open	 what;
	} cases[] = {
		{ "0000000000001700", "05000512680000", OPEN_OK },
		{ "0000000000001900", "050005126800000000", OPEN_OK },
		/* AppLen: more than there is, less than the prefix. */
		{ "0000000000001700", "06000512680000", OPEN_FORM },
		{ "0000000000001700", "ffff0512680000", OPEN_FORM },
		{ "0000000000001700", "00000512680000", OPEN_FORM },
		/* Another type of message. */
		{ "0000000000001700", "05000612680000", OPEN_FORM },
		/* Sequence bytes that are authentic and not the sequence. */
		{ "0000000001001700", "05000512680000", OPEN_DECRYPT },
		{ "0000000000011700", "05000512680000", OPEN_DECRYPT },
	};

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		s->dir[SPDM_SIDE_RSP].seq = 0;
		n = forge(s, cases[i].head, cases[i].plain, rec);
		assert_int_equal(spdm_record_open(s, SPDM_SIDE_RSP, &b, rec,
		    n, out, sizeof(out), &p, &len), cases[i].what);
		assert_int_equal(s->dir[SPDM_SIDE_RSP].seq,
		    cases[i].what == OPEN_OK);
	}
	/* The last that a key may seal, and one more. */
	s->dir[SPDM_SIDE_RSP].seq = (1U << 24) - 1;
	n = forge(s, "00000000ffff1700", "05000512680000", rec);
	assert_int_equal(spdm_record_open(s, SPDM_SIDE_RSP, &b, rec, n, out,
	    sizeof(out), &p, &len), OPEN_OK);
	n = forge(s, "0000000000001700", "05000512680000", rec);
	assert_int_equal(spdm_record_open(s, SPDM_SIDE_RSP, &b, rec, n, out,
	    sizeof(out), &p, &len), OPEN_DECRYPT);
	spdm_session_free(s);
}

/* The responder's key of before an update opens its ERROR, and then stays. */
static void
test_before(void **state)
{
	struct spdm_session	*q = some_session(), *r = some_session();
	struct spdm_binding	 b = { .mctp = true };
	uint8_t			 rec[64], out[64], msg[4] = { 0x12, 0x7f };
	const uint8_t		*p;
	size_t			 n, len;

	spdm_session_before(q);
	spdm_session_update(q, SPDM_SIDE_RSP);
	n = spdm_record_seal(r, SPDM_SIDE_RSP, &b, NULL, NULL, msg, 4, rec,
	    sizeof(rec));
	assert_int_equal(spdm_record_open(q, SPDM_SIDE_RSP, &b, rec, n, out,
	    sizeof(out), &p, &len), OPEN_OK);
	assert_true(q->went_back);
	assert_memory_equal(&q->dir, &r->dir, sizeof(q->dir));
	/* And the new one, which is forgotten no more. */
	spdm_session_before(q);
	spdm_session_update(q, SPDM_SIDE_RSP);
	n = spdm_record_seal(r, SPDM_SIDE_RSP, &b, NULL, NULL, msg, 4, rec,
	    sizeof(rec));
	spdm_session_update(r, SPDM_SIDE_RSP);
	len = spdm_record_seal(r, SPDM_SIDE_RSP, &b, NULL, NULL, msg, 4, out,
	    sizeof(out));
	memcpy(rec, out, len);
	assert_int_equal(spdm_record_open(q, SPDM_SIDE_RSP, &b, rec, len, out,
	    sizeof(out), &p, &n), OPEN_OK);
	assert_false(q->went_back);
	assert_false(q->has_before);
	assert_memory_equal(&q->dir, &r->dir, sizeof(q->dir));
	spdm_session_free(q);
	spdm_session_free(r);
}

/* ---- ECDH ---------------------------------------------------------------- */

static void
agree(const struct spdm_alg *alg)
{
	uint8_t	 a[SPDM_DHE_MAX], b[SPDM_DHE_MAX], zero[SPDM_DHE_MAX] = { 0 };
	uint8_t	 x[SPDM_SHARED_MAX], y[SPDM_SHARED_MAX];
	void	*ka, *kb;
	size_t	 i, n = 2 * alg->hash_len;

	assert_int_equal(spdm_dhe.make(NULL, alg, &ka, a), 0);
	assert_int_equal(spdm_dhe.make(NULL, alg, &kb, b), 0);
	assert_memory_not_equal(a, b, n);
	assert_int_equal(spdm_dhe.agree(NULL, alg, ka, b, x), 0);
	assert_int_equal(spdm_dhe.agree(NULL, alg, kb, a, y), 0);
	assert_memory_equal(x, y, alg->hash_len);
	for (i = 0; i < n; i += 7) {
		b[i] ^= 1;
		assert_int_equal(spdm_dhe.agree(NULL, alg, ka, b, x), -1);
		b[i] ^= 1;
	}
	assert_int_equal(spdm_dhe.agree(NULL, alg, ka, zero, x), -1);
	memset(zero, 0xff, sizeof(zero));
	assert_int_equal(spdm_dhe.agree(NULL, alg, ka, zero, x), -1);
	spdm_dhe.release(NULL, ka);
	spdm_dhe.release(NULL, kb);
}

static void
test_dhe(void **state)
{
	agree(spdm_alg(KEY_P256));
	agree(spdm_alg(KEY_P384));
}

/* ---- opaque data --------------------------------------------------------- */

static int
supported(const char *hex, uint8_t version)
{
	struct vec_bytes	b = vec_hex(hex);
	int			v = spdm_opaque_supported(b.p, b.len, version);

	free(b.p);
	return v;
}

static int
selected(const char *hex, uint8_t version)
{
	struct vec_bytes	b = vec_hex(hex);
	int			v = spdm_opaque_selected(b.p, b.len, version);

	free(b.p);
	return v;
}

#define FMT1	"01000000"
#define GENERAL	"46544d4401010000"
#define THREE	"00000900010103001000110012000000"
#define ONE	"0000040001000012"

static void
put_is(const char *hex, bool sel, uint8_t version)
{
	struct vec_bytes	b = vec_hex(hex);
	uint8_t			out[SPDM_OPAQUE_SUPPORTED];
	struct spdm_buf		w;

	spdm_buf_init(&w, out, sizeof(out));
	if (sel)
		spdm_opaque_put_selected(&w, version, SPDM_SECURED_V12);
	else
		spdm_opaque_put_supported(&w, version);
	assert_int_equal(w.len, b.len);
	assert_memory_equal(out, b.p, b.len);
	free(b.p);
}

static void
test_opaque(void **state)
{
	put_is(FMT1 THREE, false, SPDM_V12);
	put_is(GENERAL THREE, false, 0x11);
	put_is(FMT1 ONE, true, SPDM_V13);
	put_is(GENERAL ONE, true, 0x11);
	assert_int_equal(supported(FMT1 THREE, SPDM_V12), 0x1200);
	assert_int_equal(supported(GENERAL THREE, 0x11), 0x1200);
	assert_int_equal(selected(FMT1 ONE, SPDM_V12), 0x1200);
	assert_int_equal(selected(GENERAL ONE, 0x11), 0x1200);
	/* Formats are not mixed. */
	assert_int_equal(supported(GENERAL THREE, SPDM_V12), -1);
	assert_int_equal(supported(FMT1 THREE, 0x11), -1);
	/* Nothing at all; nothing that we know. */
	assert_int_equal(supported("", SPDM_V12), 0);
	assert_int_equal(supported("00000000", SPDM_V12), 0);
	assert_int_equal(selected(FMT1 "0000040001000013", SPDM_V12), 0);
	assert_int_equal(supported(FMT1 "000005000101010020000000", SPDM_V12),
	    0);
	/* An AEAD limit of DSP0277 1.3, and a vendor's element. */
	assert_int_equal(selected("02000000" "0000040001020018" ONE,
	    SPDM_V12), 0x1200);
	assert_int_equal(selected("02000000" "0302ab00040001020018" "0000"
	    ONE, SPDM_V12), 0x1200);
}

static void
test_opaque_bad(void **state)
{
	struct vec_bytes	b = vec_hex(FMT1 THREE);
	size_t			i;

	/* Cut anywhere, it is malformed. */
	for (i = 1; i < b.len; i++)
		assert_int_equal(spdm_opaque_supported(b.p, i, SPDM_V12), -1);
	free(b.p);
	assert_int_equal(supported(FMT1 THREE "00", SPDM_V12), -1);
	/* Two answers to one question. */
	assert_int_equal(selected("02000000" ONE ONE, SPDM_V12), -1);
	/* Counts that the data does not have. */
	assert_int_equal(supported(FMT1 "0000090001010400100011001200"
	    "0000", SPDM_V12), -1);
	assert_int_equal(selected(FMT1 "000003000100000000", SPDM_V12), -1);
	assert_int_equal(selected("09000000" ONE ONE ONE, SPDM_V12), -1);
	assert_int_equal(selected(FMT1 "00ff040001000012", SPDM_V12), -1);
	assert_int_equal(selected(FMT1 "0000ffff01000012", SPDM_V12), -1);
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
		cmocka_unit_test(test_sessions),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_inside),
		cmocka_unit_test(test_forged),
		cmocka_unit_test(test_before),
		cmocka_unit_test(test_dhe),
		cmocka_unit_test(test_opaque),
		cmocka_unit_test(test_opaque_bad),
	};

	return cmocka_run_group_tests_name("spdm_session", tests, setup, NULL);
}
