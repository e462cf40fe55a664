/* What an `audit' key signs: the fields of a checkpoint, byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "../../keyd/keyd.h"

static void
sample(struct msg_checkpoint_req *m)
{
	memset(m, 0, sizeof(*m));
	m->sequence = 0x0102030405060708;
	m->chain.len = 32;
	memset(m->chain.data, 0xcc, 32);
	m->time = 0x1112131415161718;
	m->counter = 0x2122232425262728;
}

static void
test_bytes(void **state)
{
	static const uint8_t	 want[CHECKPOINT_LEN] =
	    "provd audit checkpoint v1\0"
	    "\x01\x02\x03\x04\x05\x06\x07\x08"
	    "\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc"
	    "\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc"
	    "\x11\x12\x13\x14\x15\x16\x17\x18"
	    "\x21\x22\x23\x24\x25\x26\x27\x28";
	struct msg_checkpoint_req m;
	uint8_t			 out[CHECKPOINT_LEN];
	struct why		 w;

	sample(&m);
	assert_int_equal(checkpoint_build(&m, out, &w), 0);
	assert_memory_equal(out, want, sizeof(want));
}

static void
test_chain_length(void **state)
{
	struct msg_checkpoint_req m;
	uint8_t			 out[CHECKPOINT_LEN];
	struct why		 w;
	uint32_t		 n;

	for (n = 0; n < 32; n++) {
		sample(&m);
		m.chain.len = n;
		assert_int_equal(checkpoint_build(&m, out, &w), -1);
		assert_int_equal(w.reason, R_KEY_CHECKPOINT);
	}
}

/* It cannot be taken for anything else that keyd signs. */
static void
test_unlike_the_others(void **state)
{
	struct msg_checkpoint_req m;
	uint8_t			 out[CHECKPOINT_LEN];
	struct why		 w;

	sample(&m);
	assert_int_equal(checkpoint_build(&m, out, &w), 0);
	assert_int_not_equal(out[0], 0x30);	/* DER: certificate, request */
	assert_int_not_equal(out[0], ' ');	/* TLS 1.3 */
	assert_int_not_equal(out[0], 'd');	/* SPDM: dmtf- */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_chain_length),
		cmocka_unit_test(test_unlike_the_others),
	};

	return cmocka_run_group_tests_name("keyd_checkpoint", tests, NULL,
	    NULL);
}
