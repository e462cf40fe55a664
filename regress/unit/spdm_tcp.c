/*
 * Frames of SPDM over TCP (DSP0287): both readings of PayloadLen, frames in
 * pieces, and what is answered to what breaks the binding. The recorded
 * frames are those of an independent implementation.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "spdm_vec.h"

static struct spdm_tcp		tcp;
static struct spdm_frame	f;

static int
before(void **state)
{
	tcp = (struct spdm_tcp){ .counted = SPDM_TCP_COUNTED_DEFAULT,
	    .max = 0x1200 };
	return 0;
}

/* Whole is taken at once; every prefix of it only waits. */
static void
whole(const uint8_t *p, size_t len, size_t msg)
{
	struct spdm_tcp	start = tcp;
	size_t		n;

	for (n = 0; n < len; n++) {
		tcp = start;
		assert_int_equal(spdm_tcp_next(&tcp, p, n, &f), TCP_MORE);
	}
	assert_int_equal(spdm_tcp_next(&tcp, p, len, &f), TCP_MESSAGE);
	assert_int_equal(f.len, msg);
	assert_int_equal(f.used, len);
	assert_ptr_equal(f.msg, p + SPDM_TCP_HDR);
}

static void
test_counted(void **state)
{
	static const uint8_t	get[] = { 6, 0, 1, 5, 0x10, 0x84, 0, 0 };
	uint8_t			hdr[4];

	whole(get, sizeof(get), 4);
	assert_true(tcp.counted && tcp.known);
	spdm_tcp_header(&tcp, SPDM_TCP_SPDM, 8, hdr);
	assert_memory_equal(hdr, "\x0a\x00\x01\x05", 4);
}

static void
test_plain(void **state)
{
	static const uint8_t	get[] = { 4, 0, 1, 5, 0x10, 0x84, 0, 0 };
	static const uint8_t	next[] = { 4, 0, 1, 5, 0x12, 0x81, 0, 0 };
	uint8_t			hdr[4];

	whole(get, sizeof(get), 4);
	assert_true(!tcp.counted && tcp.known);
	whole(next, sizeof(next), 4);
	spdm_tcp_header(&tcp, SPDM_TCP_SPDM, 8, hdr);
	assert_memory_equal(hdr, "\x08\x00\x01\x05", 4);
}

/* The requester learns from VERSION, whose entries tell its length, or from
 * an ERROR. */
static void
test_learns_from_answer(void **state)
{
	static const uint8_t	counted[] = { 12, 0, 1, 5, 0x10, 4, 0, 0, 0, 2, 0,
	    0x12, 0, 0x13 };
	static const uint8_t	plain[] = { 10, 0, 1, 5, 0x10, 4, 0, 0, 0, 2, 0,
	    0x12, 0, 0x13 };
	static const uint8_t	error[] = { 4, 0, 1, 5, 0x10, 0x7f, 4, 0 };

	whole(counted, sizeof(counted), 10);
	assert_true(tcp.counted);
	before(NULL);
	whole(plain, sizeof(plain), 10);
	assert_false(tcp.counted);
	before(NULL);
	whole(error, sizeof(error), 4);
	assert_false(tcp.counted);
}

static void
expect(const char *hex, enum spdm_tcp_result want, uint8_t reply)
{
	struct vec_bytes	b = vec_hex(hex);

	before(NULL);
	assert_int_equal(spdm_tcp_next(&tcp, b.p, b.len, &f), want);
	assert_int_equal(f.reply, reply);
	free(b.p);
}

static void
test_broken(void **state)
{
	expect("0600020510840000", TCP_BAD, SPDM_TCP_NO_VERSION);
	expect("0600000510840000", TCP_BAD, SPDM_TCP_NO_VERSION);
	expect("0600010610840000", TCP_BAD, 0);	/* secured, no session */
	expect("0600010710840000", TCP_BAD, 0);	/* reserved type */
	expect("0000010510840000", TCP_BAD, 0);	/* no message at all */
	expect("0300010510840000", TCP_BAD, 0);
	expect("0500010510840000", TCP_MESSAGE, 0); /* 3 bytes: for SPDM */
	expect("ffff010512840000", TCP_BAD, SPDM_TCP_TOO_LARGE);
	expect("000001bf", TCP_PEER_ERROR, 0);
	expect("000001c0", TCP_PEER_ERROR, 0);
	expect("000001c3", TCP_PEER_ERROR, 0);
	expect("000002c1", TCP_PEER_ERROR, 0);
	expect("090001bf", TCP_BAD, 0);		/* an inquiry with a payload */
}

/* Errors carry nothing, in either reading. */
static void
test_error_header(void **state)
{
	uint8_t	hdr[4];

	spdm_tcp_header(&tcp, SPDM_TCP_INQUIRY, 0, hdr);
	assert_memory_equal(hdr, "\x00\x00\x01\xbf", 4);
}

/* Every recorded frame, behind the recording's own header of 12 bytes. */
static void
test_recorded(void **state)
{
	json_error_t		 e;
	json_t			*j, *list, *o;
	struct vec_bytes	 b;
	size_t			 i, n = 0;

	j = json_load_file("regress/data/spdm/framing.json", 0, &e);
	assert_non_null(j);
	list = json_object_get(json_object_get(j, "frames"), "TCP");
	json_array_foreach(list, i, o) {
		b = vec_field(o, "hex");
		/* NORMAL: the others are the emulators' own */
		if (b.p[2] == 0 && b.p[3] == 1) {
			whole(b.p + 12, b.len - 12, b.len - 16);
			n++;
		}
		free(b.p);
	}
	assert_true(n >= 12);
	json_decref(j);
}

#define TCP(name)	cmocka_unit_test_setup(name, before)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		TCP(test_counted),
		TCP(test_plain),
		TCP(test_learns_from_answer),
		TCP(test_broken),
		TCP(test_error_header),
		TCP(test_recorded),
	};

	return cmocka_run_group_tests_name("spdm_tcp", tests, NULL, NULL);
}
