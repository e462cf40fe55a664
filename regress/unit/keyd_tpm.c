/* keyd and a software TPM: start, keys, signatures, counter, registers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "keyd_dir.h"
#include "keyd_swtpm.h"

static struct swtpm	 sw;
static struct tpm	*tpm;

/* A connection of its own to the same TPM, as after a restart of keyd. */
static enum reason
tpm_again_start(struct why *w)
{
	tpm_free(tpm);
	tpm = tpm_new(dup(sw.fd), TEST_PATIENCE);
	assert_non_null(tpm);
	return tpm_start(tpm, test_dir, w);
}

static void
ring_open(void)
{
	struct key_conf	 conf = {
		.backend = KEY_BACKEND_TPM, .tpm = tpm, .dir = test_dir,
	};
	struct why	 w;

	assert_int_equal(key_open(&conf, &w), 0);
}

static int
setup(void **state)
{
	struct why	 w;

	if (test_dir_make(state) == -1 || swtpm_start(&sw) == -1)
		return -1;
	if (tpm_again_start(&w) != R_OK)
		return -1;
	ring_open();
	return 0;
}

static int
teardown(void **state)
{
	tpm_free(tpm);
	tpm = NULL;
	swtpm_stop(&sw);
	swtpm_remove(&sw);
	return test_dir_remove(state);
}

static const struct key *
make(const char *label, enum key_purpose p, enum key_algorithm a)
{
	struct test_made	 m = { .calls = 0 };

	key_make(label, p, a, test_made_cb, &m);
	assert_true(swtpm_serve(tpm, &m.calls));
	assert_int_equal(m.why.reason, R_OK);
	return m.key;
}

static enum reason
sign(const struct key *k)
{
	struct test_signed	 s = { .calls = 0 };
	char			 msg[64];

	snprintf(msg, sizeof(msg), "message for %u", key_id(k));
	key_sign(k, msg, strlen(msg), test_signed_cb, &s);
	assert_true(swtpm_serve(tpm, &s.calls));
	assert_int_equal(s.calls, 1);
	if (s.sig.why.reason == R_OK)
		assert_true(test_verify(key_curve(k), key_point(k), msg,
		    strlen(msg), s.sig.der, s.sig.len));
	return s.sig.why.reason;
}

struct counted {
	unsigned		 calls;
	struct tpm_result	 r;
};

static void
counted_cb(const struct tpm_result *r, void *arg)
{
	struct counted	*c = arg;

	c->r = *r;
	c->calls++;
}

static enum reason
count(uint64_t advance, uint64_t *value)
{
	struct counted	 c = { .calls = 0 };

	assert_int_equal(tpm_counter(tpm, advance, counted_cb, &c), R_OK);
	assert_true(swtpm_serve(tpm, &c.calls));
	*value = c.r.counter;
	return c.r.reason;
}

static void
test_start_is_repeatable(void **state)
{
	struct why	 w;

	assert_string_equal(tpm_info(tpm)->manufacturer, "IBM SWTPM");
	assert_true(strlen(tpm_info(tpm)->firmware) > 2);
	assert_true(test_has("tpm"));
	assert_int_equal(tpm_again_start(&w), R_OK);
	assert_int_equal(tpm_counter_state(tpm), R_OK);
	/* Adopted if the record was not written before a kill. */
	test_dir_empty(test_dir);
	assert_int_equal(tpm_again_start(&w), R_OK);
	assert_true(test_has("tpm"));
}

/* More keys than the TPM has slots, both curves, in turn. */
static void
test_more_keys_than_slots(void **state)
{
	const struct key	*k[5];
	struct why		 w;
	unsigned		 i;

	k[0] = make("ca", KEY_CA, KEY_P256);
	k[1] = make("spdm", KEY_SPDM, KEY_P384);
	k[2] = make("tls", KEY_TLS, KEY_P256);
	k[3] = make("audit", KEY_AUDIT, KEY_P256);
	k[4] = make("tls-2", KEY_TLS, KEY_P384);
	for (i = 0; i < 20; i++)
		assert_int_equal(sign(k[i * 7 % 5]), R_OK);
	/* Slots are full of what this keyd leaves behind; a new one flushes. */
	key_close();
	assert_int_equal(tpm_again_start(&w), R_OK);
	ring_open();
	assert_int_equal(key_count(), 5);
	for (i = 0; i < 5; i++)
		assert_int_equal(sign(key_byid(i)), R_OK);
}

static void
test_make_is_idempotent(void **state)
{
	const struct key	*k = make("tls", KEY_TLS, KEY_P256);
	struct test_made	 a = { .calls = 0 }, b = { .calls = 0 };
	struct test_made	 c = { .calls = 0 };

	key_make("tls", KEY_TLS, KEY_P256, test_made_cb, &a);
	assert_int_equal(a.calls, 1);
	assert_ptr_equal(a.key, k);
	assert_false(a.made);
	key_make("tls", KEY_SPDM, KEY_P256, test_made_cb, &b);
	assert_int_equal(b.why.reason, R_KEY_OTHER);
	key_make("tls", KEY_TLS, KEY_P384, test_made_cb, &c);
	assert_int_equal(c.why.reason, R_KEY_OTHER);
}

/* Asked twice before the TPM has made the first: one key, one file. */
static void
test_make_twice_at_once(void **state)
{
	struct test_made	 a = { .calls = 0 }, b = { .calls = 0 };
	struct test_made	 c = { .calls = 0 };

	key_make("tls", KEY_TLS, KEY_P256, test_made_cb, &a);
	key_make("tls", KEY_TLS, KEY_P256, test_made_cb, &b);
	key_make("tls", KEY_CA, KEY_P256, test_made_cb, &c);
	assert_true(swtpm_serve(tpm, &c.calls));
	assert_true(a.made);
	assert_false(b.made);
	assert_ptr_equal(a.key, b.key);
	assert_int_equal(c.why.reason, R_KEY_OTHER);
	assert_int_equal(key_count(), 1);
}

static void
test_counter(void **state)
{
	uint64_t	 v, w;
	struct why	 why;

	assert_int_equal(count(0, &v), R_OK);
	assert_true(v > 0);
	assert_int_equal(count(v, &w), R_OK);	/* it stands there: no move */
	assert_int_equal(w, v);
	assert_int_equal(count(v + 1, &w), R_OK);
	assert_int_equal(w, v + 1);
	assert_int_equal(count(v + 1, &w), R_OK);	/* once more: no move */
	assert_int_equal(w, v + 1);
	assert_int_equal(count(v + 3, &w), R_KEY_COUNTER);
	assert_int_equal(count(v, &w), R_KEY_COUNTER);
	assert_int_equal(count(UINT64_MAX, &w), R_KEY_COUNTER);
	assert_int_equal(tpm_again_start(&why), R_OK);
	assert_int_equal(count(0, &w), R_OK);
	assert_int_equal(w, v + 1);
}

static void
test_counter_gone(void **state)
{
	struct counted	 c = { .calls = 0 };
	struct why	 w;
	uint64_t	 v;

	assert_int_equal(swtpm_raw(sw.fd, cmd_undefine,
	    sizeof(cmd_undefine)), 0);
	/* While keyd runs, and at its next start: never made anew. */
	assert_int_equal(count(0, &v), R_TPM_COUNTER);
	assert_int_equal(tpm_again_start(&w), R_OK);
	assert_int_equal(tpm_counter_state(tpm), R_TPM_COUNTER);
	assert_int_equal(tpm_counter(tpm, 0, counted_cb, &c), R_TPM_COUNTER);
	assert_int_equal(c.calls, 0);
}

static void
test_registers(void **state)
{
	struct counted	 c = { .calls = 0 };
	uint8_t		 zero[PCR_LEN] = { 0 };

	assert_int_equal(tpm_pcrs(tpm, counted_cb, &c), R_OK);
	assert_true(swtpm_serve(tpm, &c.calls));
	assert_int_equal(c.r.reason, R_OK);
	assert_int_equal(c.r.len, PCR_LEN);
	assert_memory_equal(c.r.data, zero, PCR_LEN);
}

static void
test_cleared_at_start(void **state)
{
	struct counted	 c = { .calls = 0 };
	struct why	 w;

	make("tls", KEY_TLS, KEY_P256);
	assert_int_equal(swtpm_raw(sw.fd, cmd_clear, sizeof(cmd_clear)), 0);
	assert_int_equal(tpm_again_start(&w), R_TPM_CLEARED);
	assert_int_equal(tpm_state(tpm), R_TPM_CLEARED);
	assert_int_equal(tpm_pcrs(tpm, counted_cb, &c), R_TPM_CLEARED);
	/* And again: nothing was made in silence. */
	assert_int_equal(tpm_again_start(&w), R_TPM_CLEARED);
}

static void
test_cleared_while_running(void **state)
{
	const struct key	*k = make("tls", KEY_TLS, KEY_P256);
	struct test_made	 m = { .calls = 0 };

	assert_int_equal(sign(k), R_OK);
	assert_int_equal(swtpm_raw(sw.fd, cmd_clear, sizeof(cmd_clear)), 0);
	assert_int_equal(sign(k), R_TPM_CLEARED);
	key_make("spdm", KEY_SPDM, KEY_P256, test_made_cb, &m);
	assert_true(swtpm_serve(tpm, &m.calls));
	assert_int_equal(m.why.reason, R_TPM_CLEARED);
}

/* Another TPM under the same key directory. */
static void
test_exchanged(void **state)
{
	struct why	 w;

	make("tls", KEY_TLS, KEY_P256);
	swtpm_stop(&sw);
	swtpm_remove(&sw);
	assert_int_equal(swtpm_start(&sw), 0);
	assert_int_equal(tpm_again_start(&w), R_TPM_CLEARED);
	assert_string_equal(w.seen, "none");
}

/* ... one that has a storage root key of its own. */
static void
test_exchanged_for_a_used_one(void **state)
{
	char		 other[64];
	struct why	 w;

	swtpm_stop(&sw);
	swtpm_remove(&sw);
	assert_int_equal(swtpm_start(&sw), 0);
	memcpy(other, test_dir, sizeof(other));
	memcpy(test_dir, "/tmp/keyd.XXXXXX", 17);
	assert_non_null(mkdtemp(test_dir));
	assert_int_equal(tpm_again_start(&w), R_OK);
	test_dir_empty(test_dir);
	rmdir(test_dir);
	memcpy(test_dir, other, sizeof(other));
	assert_int_equal(tpm_again_start(&w), R_TPM_CLEARED);
	assert_string_equal(w.seen, "another");
}

/* A key file that says another purpose than the TPM's key was made with. */
static void
test_purpose_is_bound(void **state)
{
	struct key_file	 f;
	struct key_conf	 conf = {
		.backend = KEY_BACKEND_TPM, .tpm = tpm, .dir = test_dir,
	};
	struct why	 w;
	uint8_t		 buf[KEY_FILE_MAX];
	size_t		 len;
	ssize_t		 n;

	make("tls", KEY_TLS, KEY_P256);
	key_close();
	n = store_read(test_dir, "tls.key", buf, sizeof(buf));
	assert_true(n > 0);
	assert_int_equal(store_parse(buf, (size_t)n, &f), 0);
	f.purpose = KEY_CA;
	assert_int_equal(store_format(&f, buf, sizeof(buf), &len), 0);
	assert_int_equal(store_write(test_dir, "tls.key", buf, len), 0);
	assert_int_equal(key_open(&conf, &w), -1);
	assert_int_equal(w.reason, R_KEY_FILE);
}

/* ---- sealed ---------------------------------------------------------- */

static void
test_sealed(bool pcrs)
{
	uint8_t		 a[KEK_LEN] = { 0 }, b[KEK_LEN] = { 0 };
	struct why	 w;

	assert_int_equal(seal_open(tpm, test_dir, pcrs, a, &w), R_OK);
	assert_true(test_has("seal"));
	assert_int_equal(tpm_again_start(&w), R_OK);
	assert_int_equal(seal_open(tpm, test_dir, pcrs, b, &w), R_OK);
	assert_memory_equal(a, b, KEK_LEN);
}

static void
test_sealed_plain(void **state)
{
	test_sealed(false);
}

static void
test_sealed_to_registers(void **state)
{
	/* TPM2_PCR_Event of register 4, "x" */
	const uint8_t	 extend[] = {
		0x80, 0x02, 0, 0, 0, 30, 0, 0, 0x01, 0x3c, 0, 0, 0, 4,
		0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0, 0, 1, 'x',
	};
	uint8_t		 kek[KEK_LEN] = { 0 };
	const uint8_t	 zero[KEK_LEN] = { 0 };
	struct why	 w;

	test_sealed(true);
	assert_int_equal(swtpm_raw(sw.fd, extend, sizeof(extend)), 0);
	assert_int_equal(tpm_again_start(&w), R_OK);
	assert_int_equal(seal_open(tpm, test_dir, true, kek, &w),
	    R_TPM_POLICY);
	assert_memory_equal(kek, zero, KEK_LEN);
	/* The configuration cannot say that it was not sealed to them. */
	assert_int_equal(tpm_again_start(&w), R_OK);
	assert_int_equal(seal_open(tpm, test_dir, false, kek, &w),
	    R_TPM_POLICY);
}

/* The unsealed key is where it belongs: no library keeps a copy. */
static void
test_no_copies(void **state)
{
	static uint8_t	*heap;	/* static, so that the compiler keeps it */
	uint8_t		 kek[KEK_LEN] = { 0 };
	struct why	 w;

#ifdef PROVD_SANITIZED
	skip();		/* another heap, which keeps what was freed */
#endif
	assert_int_equal(seal_open(tpm, test_dir, false, kek, &w), R_OK);
	assert_int_equal(test_copies(kek, KEK_LEN), 0);
	assert_int_equal(tpm_again_start(&w), R_OK);
	assert_int_equal(seal_open(tpm, test_dir, false, kek, &w), R_OK);
	assert_int_equal(test_copies(kek, KEK_LEN), 0);
	/* The test can see one. */
	heap = malloc(KEK_LEN);
	assert_non_null(heap);
	memcpy(heap, kek, KEK_LEN);
	assert_int_equal(test_copies(kek, KEK_LEN), 1);
	free(heap);
}

static void
test_sealed_damaged(void **state)
{
	uint8_t		 kek[KEK_LEN] = { 0 }, buf[KEY_FILE_MAX];
	struct why	 w;
	ssize_t		 n;

	assert_int_equal(seal_open(tpm, test_dir, false, kek, &w), R_OK);
	n = store_read(test_dir, "seal", buf, sizeof(buf));
	assert_true(n > 40);
	buf[n / 2] ^= 1;
	assert_int_equal(store_write(test_dir, "seal", buf, (size_t)n), 0);
	assert_int_equal(seal_open(tpm, test_dir, false, kek, &w),
	    R_KEY_FILE);
}

int
main(void)
{
#define T(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_start_is_repeatable),
		T(test_more_keys_than_slots),
		T(test_make_is_idempotent),
		T(test_make_twice_at_once),
		T(test_counter),
		T(test_counter_gone),
		T(test_registers),
		T(test_cleared_at_start),
		T(test_cleared_while_running),
		T(test_exchanged),
		T(test_exchanged_for_a_used_one),
		T(test_purpose_is_bound),
		T(test_sealed_plain),
		T(test_sealed_to_registers),
		T(test_no_copies),
		T(test_sealed_damaged),
	};

	return cmocka_run_group_tests_name("keyd_tpm", tests, NULL, NULL);
}
