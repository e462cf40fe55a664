/*
 * Messages in chunks: what is cut is put together again at every size, and
 * whatever does not fit together is forgotten. Then requester and responder
 * with buffers of 42 bytes.
 */
#include <stdio.h>

#include "spdm_vec.h"

#include "../../attestd/spdm_chunk.h"
#include "../../attestd/spdm_responder.h"
#include "spdm_trial.h"

/* ---- one message --------------------------------------------------------- */

static struct spdm_chunk	out, in;
static uint8_t			message[SPDM_LARGE_MAX], wire[0x1000];
static struct spdm_buf		b;

static void
fill(void)
{
	size_t	i;

	for (i = 0; i < sizeof(message); i++)
		message[i] = (uint8_t)(i * 31 + (i >> 8));
}

static bool
cut(size_t transfer)
{
	spdm_buf_init(&b, wire, sizeof(wire));
	return spdm_chunk_put(&out, SPDM_CHUNK_SEND, transfer, &b);
}

static enum spdm_chunk_result
give(size_t transfer)
{
	return spdm_chunk_take(&in, transfer, sizeof(message), b.data, b.len,
	    NULL);
}

static void
through(size_t len, size_t transfer)
{
	enum spdm_chunk_result	r;
	bool			last;
	unsigned		n = 0;

	assert_int_equal(spdm_chunk_out(&out, false, SPDM_V12, 7, message,
	    len), 0);
	spdm_chunk_in(&in, false, SPDM_V12, 7);
	do {
		last = cut(transfer);
		assert_false(b.full);
		assert_true(b.len <= transfer);
		/* Every chunk but the last one is full. */
		assert_true(last || b.len == transfer);
		r = give(transfer);
		assert_int_equal(r, last ? CHUNK_WHOLE : CHUNK_MORE);
		n++;
	} while (!last);
	assert_true(n >= 2);
	assert_int_equal(in.size, len);
	assert_memory_equal(in.msg, message, len);
	assert_int_equal(out.state, CHUNK_IDLE);
	assert_int_equal(in.state, CHUNK_IDLE);
	spdm_chunk_drop(&in);
}

static void
test_through(void **state)
{
	size_t	len, transfer;

	fill();
	for (transfer = SPDM_MIN_TRANSFER; transfer < 130; transfer++)
		for (len = transfer + 1; len < 4 * transfer; len++)
			through(len, transfer);
	through(sizeof(message), SPDM_MIN_TRANSFER);
	through(sizeof(message), 0x1000);
}

/* ---- what does not fit --------------------------------------------------- */

/* 100 bytes in four chunks of 42: which one is tampered with, and how. */
static void
spoil(unsigned which, void (*how)(void))
{
	const char	*why = NULL;
	unsigned	 i;

	spdm_chunk_out(&out, false, SPDM_V12, 7, message, 100);
	spdm_chunk_in(&in, false, SPDM_V12, 7);
	for (i = 0; i < which; i++) {
		assert_false(cut(SPDM_MIN_TRANSFER));
		assert_int_equal(give(SPDM_MIN_TRANSFER), CHUNK_MORE);
	}
	cut(SPDM_MIN_TRANSFER);
	how();
	assert_int_equal(spdm_chunk_take(&in, SPDM_MIN_TRANSFER,
	    sizeof(message), b.data, b.len, &why), CHUNK_BAD);
	assert_non_null(why);
	/* Nothing is left, and nothing more is taken. */
	assert_int_equal(in.state, CHUNK_IDLE);
	assert_null(in.msg);
	assert_int_equal(give(SPDM_MIN_TRANSFER), CHUNK_BAD);
	spdm_chunk_drop(&out);
}

static void
handle(void)
{
	wire[3]++;
}

static void
version(void)
{
	wire[0]++;
}

static void
gap(void)
{
	wire[4]++;
}

static void
again(void)
{
	wire[4]--;
}

static void
far_away(void)
{
	wire[5]++;
}

static void
last(void)
{
	wire[2] ^= SPDM_CHUNK_LAST;
}

static void
longer(void)
{
	wire[8]++;
}

static void
huge_chunk(void)
{
	wire[11] = 0xff;
}

static void
more_bytes(void)
{
	b.len++;
}

static void
fewer_bytes(void)
{
	b.len--;
}

static void
header_only(void)
{
	b.len = SPDM_CHUNK_HDR;
}

static void
huge_message(void)
{
	memset(wire + SPDM_CHUNK_HDR, 0xff, 4);
}

static void
just_too_large(void)
{
	wire[SPDM_CHUNK_HDR + 1] = (sizeof(message) + 1) >> 8 & 0xff;
	wire[SPDM_CHUNK_HDR] = 1;
}

static void
small_message(void)
{
	wire[SPDM_CHUNK_HDR] = SPDM_MIN_TRANSFER;
}

/* A message that ends with its first chunk. */
static void
all_at_once(void)
{
	wire[2] = SPDM_CHUNK_LAST;
	wire[SPDM_CHUNK_HDR] = 26;
}

/* A chunk of one byte: would 4096 of them be one message? */
static void
crumb(void)
{
	wire[8] = 1;
	b.len = SPDM_CHUNK_HDR + 1;
}

/* A last chunk that overlaps: more than the message has. */
static void
overlap(void)
{
	wire[2] = SPDM_CHUNK_LAST;
	wire[8] = 30;
	b.len = SPDM_CHUNK_HDR + 30;
}

static void
test_spoiled(void **state)
{
	unsigned	i;

	fill();
	for (i = 0; i < 4; i++) {
		spoil(i, handle);
		spoil(i, version);
		spoil(i, gap);
		spoil(i, far_away);
		spoil(i, last);
		spoil(i, longer);
		spoil(i, huge_chunk);
		spoil(i, more_bytes);
		spoil(i, fewer_bytes);
		spoil(i, header_only);
		if (i > 0)
			spoil(i, again);
		if (i > 0 && i < 3)
			spoil(i, crumb);
	}
	spoil(0, huge_message);
	spoil(0, just_too_large);
	spoil(0, small_message);
	spoil(0, all_at_once);
	spoil(3, overlap);
}

/* What one chunk can hold is sent whole, and not as a chunk. */
static void
test_alone(void **state)
{
	fill();
	spdm_chunk_out(&out, false, SPDM_V12, 7, message, 100);
	spdm_chunk_in(&in, false, SPDM_V12, 7);
	assert_true(cut(200));
	assert_int_equal(b.len, SPDM_CHUNK_HDR + SPDM_CHUNK_SIZE + 100);
	assert_int_equal(give(200), CHUNK_BAD);
}

/* A peer that never ends: the size it said first is the end of it. */
static void
test_endless(void **state)
{
	unsigned	n;

	fill();
	spdm_chunk_out(&out, false, SPDM_V12, 7, message, sizeof(message));
	spdm_chunk_in(&in, false, SPDM_V12, 7);
	cut(SPDM_MIN_TRANSFER);
	wire[SPDM_CHUNK_HDR] = 100;
	wire[SPDM_CHUNK_HDR + 1] = 0;
	assert_int_equal(give(SPDM_MIN_TRANSFER), CHUNK_MORE);
	for (n = 1; n < 10; n++) {
		cut(SPDM_MIN_TRANSFER);
		if (give(SPDM_MIN_TRANSFER) == CHUNK_BAD)
			break;
	}
	assert_int_equal(n, 3);
	spdm_chunk_drop(&out);
}

/* ---- requester and responder, small buffers ------------------------------ */

static void
sizes(uint32_t requester, uint32_t responder, uint32_t versions)
{
	t.qc.caps.data_transfer = requester;
	t.rc.caps.data_transfer = responder;
	t.qc.versions = versions;
	run_expect(R_OK);
	assert_int_equal(requester_evidence(t.requester)->nblocks, 10);
}

static void
test_small_buffers(void **state)
{
	static const uint32_t	versions[] = { SPDM_ALLOW_12, SPDM_ALLOW_13 };
	unsigned		i, whole;

	for (i = 0; i < 2; i++) {
		sizes(REQUESTER_TRANSFER, RESPONDER_TRANSFER, versions[i]);
		whole = t.messages;
		sizes(SPDM_MIN_TRANSFER, RESPONDER_TRANSFER, versions[i]);
		assert_true(t.messages > 3 * whole);
		sizes(REQUESTER_TRANSFER, SPDM_MIN_TRANSFER, versions[i]);
		assert_true(t.messages >= whole + 2 * i);
		sizes(SPDM_MIN_TRANSFER, SPDM_MIN_TRANSFER, versions[i]);
		sizes(43, 61, versions[i]);
		sizes(0x100, 0x100, versions[i]);
		/* A signature that takes its time. */
		t.defer = 2;
		sizes(SPDM_MIN_TRANSFER, SPDM_MIN_TRANSFER, versions[i]);
		assert_int_equal(t.waits, 4);
		t.defer = 0;
	}
}

/* Who lacks CHUNK is spared: one by one, as far as that fits. */
static void
test_without(void **state)
{
	t.qc.caps.flags &= ~SPDM_CAP_CHUNK;
	sizes(0x200, RESPONDER_TRANSFER, SPDM_ALLOW_12);
	t.qc.caps.flags |= SPDM_CAP_CHUNK;
	t.rc.caps.flags &= ~SPDM_CAP_CHUNK;
	sizes(0x200, RESPONDER_TRANSFER, SPDM_ALLOW_12);
}

/* A byte of the first message of this kind, one after the other. */
static void
flip(struct talk *k, uint8_t *msg, size_t *len)
{
	if (msg[1] != k->code || (k->code == SPDM_ERROR &&
	    msg[2] != SPDM_E_LARGE_RESPONSE) || k->hits > 0 || k->at >= *len)
		return;
	msg[k->at] ^= 0x01;
	k->hits++;
}

/* Bytes that are nobody's. */
static bool
reserved(uint8_t code, size_t at)
{
	switch (code) {
	case SPDM_CHUNK_SEND:
	case SPDM_CHUNK_RESPONSE:
		return at == 6 || at == 7;
	case SPDM_CHUNK_GET:
		return at == 2;
	case SPDM_CHUNK_SEND_ACK:	/* with LargeResponse in it */
		return at == SPDM_CHUNK_ACK + 3;
	case SPDM_ERROR:
		return at == 3;
	}
	return false;
}

static void
flip_all(uint8_t code, size_t least)
{
	enum reason	r;

	t.code = code;
	for (t.at = 0;; t.at++) {
		r = talk_run(&t);
		if (t.hits == 0)
			break;
		if (r == R_OK && !reserved(code, t.at))
			fail_msg("byte %zu of %#x may be flipped", t.at, code);
	}
	assert_int_equal(r, R_OK);
	assert_true(t.at >= least);
}

static void
test_flipped(void **state)
{
	t.qc.versions = SPDM_ALLOW_13;
	t.qc.caps.data_transfer = t.rc.caps.data_transfer = SPDM_MIN_TRANSFER;
	t.response = flip;
	flip_all(SPDM_CHUNK_RESPONSE, 42);
	flip_all(SPDM_CHUNK_SEND_ACK, 6);
	flip_all(SPDM_ERROR, 5);
	t.response = NULL;
	t.request = flip;
	flip_all(SPDM_CHUNK_SEND, 42);
	flip_all(SPDM_CHUNK_GET, 6);
}

/* The peer answers the n-th CHUNK_GET with something else. */
static void
other_answer(struct talk *k, uint8_t *msg, size_t *len)
{
	static const uint8_t	lost[] = { SPDM_V12, SPDM_ERROR,
	    SPDM_E_MESSAGE_LOST, 0 };
	static const uint8_t	digests[] = { SPDM_V12, SPDM_DIGESTS, 0, 0 };
	static const uint8_t	large[] = { SPDM_V12, SPDM_ERROR,
	    SPDM_E_LARGE_RESPONSE, 0, 9 };

	if (msg[1] != SPDM_CHUNK_RESPONSE || k->hits++ != k->at)
		return;
	*len = 4;
	switch (k->code) {
	case 0:
		memcpy(msg, lost, *len);
		break;
	case 1:
		memcpy(msg, digests, *len);
		break;
	case 2:
		memcpy(msg, large, *len = sizeof(large));
		break;
	default:
		*len = 3;
	}
}

static void
test_other_answers(void **state)
{
	t.qc.versions = SPDM_ALLOW_12;
	t.qc.caps.data_transfer = 0x100;
	t.response = other_answer;
	for (t.code = 0; t.code < 4; t.code++)
		for (t.at = 0; t.at < 4; t.at++)
			run_expect(R_ATT_CHUNK);
}

/* LargeResponse from a peer that did not say it could. */
static void
unasked(struct talk *k, uint8_t *msg, size_t *len)
{
	static const uint8_t	large[] = { SPDM_V12, SPDM_ERROR,
	    SPDM_E_LARGE_RESPONSE, 0, 1 };

	if (msg[1] == k->code)
		memcpy(msg, large, *len = sizeof(large));
}

static void
test_unasked(void **state)
{
	t.qc.versions = SPDM_ALLOW_12;
	t.response = unasked;
	t.code = SPDM_DIGESTS;
	t.rc.caps.flags &= ~SPDM_CAP_CHUNK;
	run_expect(R_ATT_ERROR);
	/* Before there are capabilities, there is none. */
	t.rc.caps.flags |= SPDM_CAP_CHUNK;
	t.code = SPDM_VERSION;
	run_expect(R_ATT_ERROR);
	t.code = SPDM_CAPABILITIES;
	run_expect(R_ATT_ERROR);
}

/* ---- inside of a session --------------------------------------------------- */

static const struct spdm_step	session[] = {
	{ SPDM_GET_VERSION, 0 }, { SPDM_GET_CAPABILITIES, 0 },
	{ SPDM_NEGOTIATE_ALGORITHMS, 0 }, { SPDM_GET_DIGESTS, 0 },
	{ SPDM_GET_CERTIFICATE, 0 }, { SPDM_GET_CERTIFICATE, 1 },
	{ SPDM_CHALLENGE, 0 }, { SPDM_GET_MEASUREMENTS, 0 },
	{ SPDM_KEY_EXCHANGE, 0 }, { SPDM_FINISH, 0 }, { SPDM_HEARTBEAT, 0 },
	{ SPDM_KEY_UPDATE, SPDM_UPDATE_ALL },
	{ SPDM_KEY_UPDATE, SPDM_VERIFY_NEW },
	{ SPDM_GET_MEASUREMENTS, 0 }, { SPDM_GET_CERTIFICATE, 0 },
	{ SPDM_END_SESSION, 0 },
};

static void
offer(void)
{
	requester_offer_session(&t.qc, t.qc.slots != NULL);
	t.qc.steps = session;
	t.qc.nsteps = sizeof(session) / sizeof(session[0]);
}

static void
in_session(uint32_t transfer)
{
	offer();
	t.qc.caps.data_transfer = t.rc.caps.data_transfer = transfer;
	t.qc.versions = SPDM_ALLOW_12;
	run_expect(R_OK);
	t.qc.versions = SPDM_ALLOW_13;
	run_expect(R_OK);
}

/* TH sees KEY_EXCHANGE and FINISH whole, records carry the pieces. */
static void
test_session(void **state)
{
	in_session(SPDM_MIN_TRANSFER);
	in_session(100);
	/* And DIGESTS in it, in a multi-key connection. */
	t.rc.caps.flags |= SPDM_MULTI_KEY_NEG;
	in_session(SPDM_MIN_TRANSFER);
}

/* The requester shows who it is, in pieces too. */
static void
test_session_mutual(void **state)
{
	static struct spdm_root	root;
	uint8_t			der[2048];
	size_t			n = soft_der(t.soft->root, der);

	spdm_hash(spdm_md(spdm_alg(KEY_P256)), der, n, root.sha256);
	spdm_hash(spdm_md(spdm_alg(KEY_P384)), der, n, root.sha384);
	root.cert = t.soft->root;
	t.rc.roots = &root;
	t.rc.nroots = 1;
	t.rc.mutual = SPDM_MUT_ENCAP;
	t.rc.caps.flags |= SPDM_CAP_MUT_AUTH | SPDM_CAP_ENCAP;
	t.qc.slots = t.slots;
	t.own_key = t.soft->key;
	in_session(100);
	in_session(SPDM_MIN_TRANSFER);
	t.qc.caps.flags |= SPDM_MULTI_KEY_NEG;
	t.rc.algs.other |= SPDM_MULTI_KEY_CONN;
	in_session(SPDM_MIN_TRANSFER);
	t.rc.caps.flags |= SPDM_MULTI_KEY_NEG;
	in_session(100);
}

/* Somebody without the session asks for a piece of what is said in it. */
static void
asks_outside(struct talk *k, uint8_t *msg, size_t *len)
{
	struct responder_chunk	*c = &k->responder->chunk;
	uint8_t			 get[6] = { k->responder->version,
	    SPDM_CHUNK_GET, 0, c->one.handle, (uint8_t)c->one.seq, 0 };
	const uint8_t		*p;
	size_t			 n;
	bool			 secured;

	if (c->one.state != CHUNK_OUT || !c->one.secured || k->hits++ > 0)
		return;
	(void)responder_feed(k->responder, false, get, sizeof(get));
	p = responder_out(k->responder, &secured, &n);
	assert_false(secured);
	assert_int_equal(p[1], SPDM_ERROR);
	assert_int_equal(p[2], SPDM_E_MESSAGE_LOST);
	assert_int_equal(n, 4);
}

static void
test_session_outside(void **state)
{
	offer();
	t.qc.caps.data_transfer = 100;
	t.request = asks_outside;
	run_expect(R_ATT_CHUNK);
	assert_true(t.hits > 0);
}

/* ---- what a stranger may try with a responder ---------------------------- */

static const uint8_t	*answer;
static size_t		 answer_len;

static void
ask(const char *hex)
{
	struct vec_bytes	q = vec_hex(hex);
	bool			secured;

	if (responder_feed(t.responder, false, q.p, q.len) == RESPONDER_SIGN)
		talk_sign(&t, false);
	answer = responder_out(t.responder, &secured, &answer_len);
	assert_false(secured);
	free(q.p);
}

static void
expect(const char *hex)
{
	struct vec_bytes	a = vec_hex(hex);

	assert_true(answer_len >= a.len);
	assert_memory_equal(answer, a.p, a.len);
	free(a.p);
}

#define CAPS_42		"12e1000000000000" "02000200" "2a000000" "00800000"
#define ALGORITHMS	"12e30000200001021000000001000000000000000000000000000000" \
			"00000000"
#define GET_DIGESTS	"12810000"

/* The requester has a buffer of 42 bytes, as the responder. */
static void
begin(void)
{
	talk_over(&t);
	t.rc.caps.data_transfer = SPDM_MIN_TRANSFER;
	assert_non_null(t.responder = responder_new(&t.rc));
	ask("10840000");
	ask(CAPS_42);
	assert_int_equal(responder_error(t.responder), 0);
	ask(ALGORITHMS);
	assert_int_equal(responder_error(t.responder), 0);
}

static void
test_get(void **state)
{
	begin();
	ask("128600010000");			/* nothing was announced */
	expect("127f0400");
	ask(GET_DIGESTS);			/* 68 bytes */
	expect("127f0f0001");
	assert_int_equal(responder_error(t.responder), 0);
	ask("128600010000");
	expect("12060001000000001a00000044000000" "1201");
	assert_int_equal(answer_len, 42);
	ask("128600010100");
	expect("12060001010000001e000000");
	ask("128600010200");			/* the rest: 12 bytes */
	expect("12060101020000000c000000");
	assert_int_equal(answer_len, 24);
	ask("128600010300");			/* past the end */
	expect("127f1000");
	/* Another handle, another sequence number: it is given up. */
	ask(GET_DIGESTS);
	expect("127f0f0002");
	ask("128600010000");
	expect("127f0100");
	ask("128600020000");
	expect("127f1000");
	ask(GET_DIGESTS);
	ask("128600030100");
	expect("127f0100");
	ask(GET_DIGESTS);
	ask("12860004000000");			/* a byte too much */
	expect("127f0100");
	ask(GET_DIGESTS);
	ask("138600050000");			/* another version */
	expect("127f4100");
	/* Another request gives the answer up. */
	ask(GET_DIGESTS);
	expect("127f0f0006");
	ask("128600060000");
	ask(GET_DIGESTS);
	expect("127f0f0007");
	ask("128600060100");
	expect("127f0100");
	/* GET_VERSION gives up everything. */
	ask(GET_DIGESTS);
	ask("10840000");
	expect("10040000");
	ask("128600080000");
	expect("107f0400");
}

/* CHALLENGE of 36 bytes, in chunks as if it were larger: 44 bytes. */
static void
test_send(void **state)
{
	begin();
	/* 48 bytes: GET_DIGESTS with a tail, which is too long for it. */
	ask("12850005000000001a00000030000000" GET_DIGESTS
	    "00000000000000000000000000000000000000000000");
	expect("120500050000");
	assert_int_equal(answer_len, 6);
	ask("128501050100000016000000"
	    "00000000000000000000000000000000000000000000");
	expect("120500050100" "127f0100");	/* whole, and refused */
	assert_int_equal(answer_len, 10);
	/* What must not come in chunks. */
	ask("12850006000000001a00000030000000" "10840000"
	    "00000000000000000000000000000000000000000000");
	ask("128501060100000016000000"
	    "00000000000000000000000000000000000000000000");
	expect("120500060100" "127f0100");
	/* Nor may a chunk. */
	ask("12850006000000001a00000030000000" "12850000"
	    "00000000000000000000000000000000000000000000");
	ask("128501060100000016000000"
	    "00000000000000000000000000000000000000000000");
	expect("120500060100" "127f0100");
	/* An error early: the rest of it is not waited for. */
	ask("12850007000000001a000000ffffffff" GET_DIGESTS
	    "00000000000000000000000000000000000000000000");
	expect("120501070000" "127f0100");
	ask("128501070100000016000000"
	    "00000000000000000000000000000000000000000000");
	expect("120501070100" "127f0100");
	/* Restarted in the middle: forgotten, and a new start works. */
	ask("12850008000000001a00000030000000" GET_DIGESTS
	    "00000000000000000000000000000000000000000000");
	ask("12850009000000001a00000030000000" GET_DIGESTS
	    "00000000000000000000000000000000000000000000");
	expect("120501090000" "127f0100");
	ask("12850009000000001a00000030000000" GET_DIGESTS
	    "00000000000000000000000000000000000000000000");
	expect("120500090000");
	/* Another request gives it up. */
	ask(GET_DIGESTS);
	expect("127f0f");
	ask("128501090100000016000000"
	    "00000000000000000000000000000000000000000000");
	expect("120501090100" "127f0100");
	ask("12850009");			/* no chunk at all */
	expect("127f0100");
}

/* An answer as long as any still has the acknowledgement before it. */
static void
test_longest(void **state)
{
	struct responder	*r;
	size_t			 i;

	begin();
	r = t.responder;
	r->peer_transfer = 2 * RESPONSE_MAX;
	r->out.len = RESPONSE_MAX;
	memset(r->out.data, 0x5a, RESPONSE_MAX);
	memset(r->held_data, 0, RESPONSE_MAX);
	r->chunk.final = false;
	r->chunk.ack = true;
	responder_chunk_answer(r);
	assert_int_equal(r->out.len, RESPONSE_MAX + SPDM_CHUNK_ACK);
	assert_int_equal(r->out.data[1], SPDM_CHUNK_SEND_ACK);
	for (i = 0; i < RESPONSE_MAX; i++) {
		assert_int_equal(r->out.data[SPDM_CHUNK_ACK + i], 0x5a);
		assert_int_equal(r->held_data[i], 0);
	}
}

/* The answer to a large request is large itself. */
static void
test_both_ways(void **state)
{
	uint8_t	handle_of;

	begin();
	talk_over(&t);
	t.qc.versions = SPDM_ALLOW_13;
	assert_non_null(t.responder = responder_new(&t.rc));
	ask("10840000");
	ask("13e1000000000000" "02000200" "2a000000" "00800000");
	ask("13e30000200001021000000001000000000000000000000000000000"
	    "00000000");
	ask(/* CHALLENGE, 44 bytes */
	    "13850001000000001a0000002c000000" "13830000"
	    "00000000000000000000000000000000000000000000");
	expect("130500010000");
	ask("138501010100000012000000"
	    "000000000000000000000000000000000000");
	expect("130500010100" "137f0f00");
	handle_of = answer[10];
	assert_int_equal(answer_len, 11);
	assert_false(responder_attested(t.responder));
	assert_int_equal(handle_of, 1);
	ask("138600010000");
	expect("13060001");
}

/* Without CHUNK on the other side, the requests are not ours to serve. */
static void
test_no_capability(void **state)
{
	talk_over(&t);
	assert_non_null(t.responder = responder_new(&t.rc));
	ask("10840000");
	ask("12e1000000000000" "02000000" "2a000000" "2a000000");
	ask(ALGORITHMS);
	ask("128600010000");
	expect("127f0786");
	ask("12850005000000001a00000030000000" GET_DIGESTS
	    "00000000000000000000000000000000000000000000");
	expect("127f0785");
}

#define PLAIN(f)	cmocka_unit_test(f)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		PLAIN(test_through),
		PLAIN(test_spoiled),
		PLAIN(test_alone),
		PLAIN(test_endless),
		TRIAL(test_small_buffers),
		TRIAL(test_without),
		TRIAL(test_flipped),
		TRIAL(test_other_answers),
		TRIAL(test_unasked),
		TRIAL(test_session),
		TRIAL(test_session_mutual),
		TRIAL(test_session_outside),
		TRIAL(test_get),
		TRIAL(test_send),
		TRIAL(test_longest),
		TRIAL(test_both_ways),
		TRIAL(test_no_capability),
	};

	return cmocka_run_group_tests_name("spdm_chunk", tests, setup,
	    teardown);
}
