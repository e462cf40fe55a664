/*
 * Key files: one form, whole or not there, whenever keyd is killed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>

#include <openssl/crypto.h>

#include "keyd_dir.h"

static int
setup(void **state)
{
	struct why	 w;

	if (test_dir_make(state) == -1)
		return -1;
	return test_ring_open(&w);
}

static void
sample(struct key_file *f)
{
	uint8_t	 scalar[SCALAR_MAX];

	memset(f, 0, sizeof(*f));
	f->id = 7;
	f->purpose = KEY_SPDM;
	f->algorithm = KEY_P384;
	f->backend = KEY_BACKEND_SEALED;
	strcat(f->label, "spdm-2");
	f->public_len = 97;
	assert_int_equal(local_make(curve_get(KEY_P384), scalar, f->public), 0);
	f->blob_len = 76;
	memset(f->blob, 0x5a, f->blob_len);
}

static void
test_round_trip(void **state)
{
	struct key_file	 a, b;
	uint8_t		 buf[KEY_FILE_MAX], again[KEY_FILE_MAX];
	size_t		 n, m;

	sample(&a);
	assert_int_equal(store_format(&a, buf, sizeof(buf), &n), 0);
	assert_int_equal(store_parse(buf, n, &b), 0);
	assert_memory_equal(&a, &b, sizeof(a));
	assert_int_equal(store_format(&b, again, sizeof(again), &m), 0);
	assert_int_equal(n, m);
	assert_memory_equal(buf, again, n);
	assert_int_equal(store_format(&a, buf, n - 1, &m), -1);
}

static void
test_one_form(void **state)
{
	struct key_file	 a, b;
	uint8_t		 buf[KEY_FILE_MAX] = { 0 };
	size_t		 n, i;

	sample(&a);
	assert_int_equal(store_format(&a, buf, sizeof(buf), &n), 0);
	for (i = 0; i < n; i++)
		assert_int_equal(store_parse(buf, i, &b), -1);
	assert_int_equal(store_parse(buf, n + 1, &b), -1);
	for (i = 0; i < 8 * n; i++) {
		buf[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_int_equal(store_parse(buf, n, &b), -1);
		buf[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	assert_int_equal(store_parse(buf, n, &b), 0);
}

/* Fields that a right digest does not save. */
static void
test_fields(void **state)
{
	struct key_file	 a, b;
	uint8_t		 buf[KEY_FILE_MAX];
	size_t		 n;

#define BAD(change) do {						\
	sample(&a);							\
	change;								\
	assert_int_equal(store_format(&a, buf, sizeof(buf), &n), 0);	\
	assert_int_equal(store_parse(buf, n, &b), -1);			\
} while (0)
	BAD(a.id = KEY_MAX);
	BAD(a.purpose = KEY_NPURPOSES);
	BAD(a.algorithm = KEY_NCURVES);
	BAD(a.algorithm = KEY_P256);
	BAD(a.backend = 3);
	BAD(a.label[0] = '\0');
	BAD(a.label[0] = '/');
	BAD(a.label[0] = 'S');
	BAD(a.label[0] = '-');
	BAD(a.label[0] = '.');
	BAD(a.public[0] = 2);
	BAD(a.public[5] ^= 1);
	BAD(a.public_len = 96);
	BAD(a.public_len = 0);
	BAD(memset(a.public + 1, 0, 96));
#undef BAD
}

/* Bytes that nobody reads, or that are missing, under a right digest. */
static void
test_length_under_digest(void **state)
{
	struct key_file	 a, b;
	uint8_t		 buf[KEY_FILE_MAX + 8] = { 0 };
	size_t		 n;
	int		 more;

	for (more = -1; more <= 1; more++) {
		sample(&a);
		assert_int_equal(store_format(&a, buf, sizeof(buf), &n), 0);
		n = (size_t)((int)n + more);
		assert_int_equal(curve_digest(curve_get(KEY_P256), buf, n - 32,
		    buf + n - 32), 0);
		assert_int_equal(store_parse(buf, n, &b), more == 0 ? 0 : -1);
	}
}

static void
test_labels(void **state)
{
	struct test_made	 m = { .calls = 0 };
	static const char *const bad[] = {
		"", "../x", "a/b", "A", "a b", "-a", ".", "a.key", "\xc3\xa4",
		"a23456789012345678901234567890123",
	};
	size_t			 i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		key_make(bad[i], KEY_TLS, KEY_P256, test_made_cb, &m);
		assert_int_equal(m.calls, i + 1);
		assert_int_equal(m.why.reason, R_KEY_LABEL);
		assert_null(m.key);
	}
	assert_non_null(test_key("a2345678901234567890123456789012", KEY_TLS,
	    KEY_P256));
}

static void
test_ring_survives(void **state)
{
	const struct key	*k;
	struct test_signed	 s = { .calls = 0 };
	struct why		 w;
	uint8_t			 point[KEY_POINT_MAX];
	char			 label[8] = "key-a";
	unsigned		 i;

	for (i = 0; i < 5; i++, label[4]++)
		assert_non_null(test_key(label, i % KEY_NPURPOSES, i % 2));
	memcpy(point, key_point(key_byid(3)), sizeof(point));
	key_close();
	assert_int_equal(test_ring_open(&w), 0);
	assert_int_equal(key_count(), 5);
	k = key_byid(3);
	assert_int_equal(key_purpose(k), 3);
	assert_int_equal(key_algorithm(k), KEY_P384);
	assert_memory_equal(key_point(k), point, 97);
	key_sign(k, "m", 1, test_signed_cb, &s);
	assert_int_equal(s.calls, 1);
	assert_true(test_verify(key_curve(k), point, "m", 1, s.sig.der,
	    s.sig.len));
	assert_false(test_verify(key_curve(k), point, "n", 1, s.sig.der,
	    s.sig.len));
}

static void
test_table_is_bounded(void **state)
{
	struct test_made	 m = { .calls = 0 };
	char			 label[16];
	unsigned		 i;

	for (i = 0; i < KEY_MAX; i++) {
		snprintf(label, sizeof(label), "k%u", i);
		assert_non_null(test_key(label, KEY_TLS, KEY_P256));
	}
	key_make("more", KEY_TLS, KEY_P256, test_made_cb, &m);
	assert_int_equal(m.why.reason, R_KEY_TABLE);
	assert_false(test_has("more.key"));
	assert_null(key_byid(KEY_MAX));
	assert_null(key_byid(UINT32_MAX));
}

/* ---- what must not be taken ------------------------------------------ */

static void
refused(void)
{
	struct why	 w;

	key_close();
	assert_int_equal(test_ring_open(&w), -1);
	assert_int_equal(w.reason, R_KEY_FILE);
}

static void
test_foreign_files(void **state)
{
	char	 from[128], to[128];
	struct why w;

	assert_non_null(test_key("tls", KEY_TLS, KEY_P256));
	snprintf(from, sizeof(from), "%s/tls.key", test_dir);
	snprintf(to, sizeof(to), "%s/ca.key", test_dir);
	/* Under another name; twice; through a link; readable by others. */
	assert_int_equal(link(from, to), 0);
	refused();
	unlink(to);
	assert_int_equal(symlink(from, to), 0);
	refused();
	unlink(to);
	assert_int_equal(mkfifo(to, 0600), 0);
	refused();
	unlink(to);
	assert_int_equal(chmod(from, 0640), 0);
	refused();
	assert_int_equal(chmod(from, 0600), 0);
	assert_int_equal(truncate(from, 0), 0);
	refused();
	unlink(from);
	key_close();
	assert_int_equal(test_ring_open(&w), 0);
}

/* The private half opens only as the key that it was made for. */
static void
test_purpose_is_bound(void **state)
{
	struct key_file	 f;
	uint8_t		 buf[KEY_FILE_MAX];
	size_t		 len;
	ssize_t		 n;

	assert_non_null(test_key("tls", KEY_TLS, KEY_P256));
	n = store_read(test_dir, "tls.key", buf, sizeof(buf));
	assert_int_equal(store_parse(buf, (size_t)n, &f), 0);
	f.purpose = KEY_CA;
	assert_int_equal(store_format(&f, buf, sizeof(buf), &len), 0);
	assert_int_equal(store_write(test_dir, "tls.key", buf, len), 0);
	refused();
	f.purpose = KEY_TLS;
	assert_int_equal(store_format(&f, buf, sizeof(buf), &len), 0);
	assert_int_equal(store_write(test_dir, "tls.key", buf, len), 0);
	test_kek[0] ^= 1;
	refused();
	test_kek[0] ^= 1;
	f.backend = KEY_BACKEND_SEALED;
	assert_int_equal(store_format(&f, buf, sizeof(buf), &len), 0);
	assert_int_equal(store_write(test_dir, "tls.key", buf, len), 0);
	refused();
}

/* Two files that both say to be number 0. */
static void
test_number_is_one_keys(void **state)
{
	struct key_file	 f;
	struct why	 w;
	uint8_t		 buf[KEY_FILE_MAX], scalar[SCALAR_MAX], aad[256];
	size_t		 len, n;
	ssize_t		 r;

	assert_non_null(test_key("tls", KEY_TLS, KEY_P256));
	r = store_read(test_dir, "tls.key", buf, sizeof(buf));
	assert_int_equal(store_parse(buf, (size_t)r, &f), 0);
	assert_int_equal(store_header(&f, aad, sizeof(aad), &n), 0);
	assert_int_equal(wrap_open(test_kek, aad, n, f.blob, f.blob_len,
	    scalar), 0);
	f.label[0] = 'x';
	assert_int_equal(store_header(&f, aad, sizeof(aad), &n), 0);
	assert_int_equal(wrap_seal(test_kek, aad, n, scalar, 32, f.blob), 0);
	assert_int_equal(store_format(&f, buf, sizeof(buf), &len), 0);
	assert_int_equal(store_write(test_dir, "xls.key", buf, len), 0);
	refused();
	f.id = 1;
	assert_int_equal(store_header(&f, aad, sizeof(aad), &n), 0);
	assert_int_equal(wrap_seal(test_kek, aad, n, scalar, 32, f.blob), 0);
	assert_int_equal(store_format(&f, buf, sizeof(buf), &len), 0);
	assert_int_equal(store_write(test_dir, "xls.key", buf, len), 0);
	key_close();
	assert_int_equal(test_ring_open(&w), 0);
	assert_int_equal(key_count(), 2);
}

static void
test_no_secret_on_disk(void **state)
{
	struct key_file	 f;
	uint8_t		 buf[KEY_FILE_MAX], scalar[SCALAR_MAX], aad[256];
	size_t		 n;
	ssize_t		 len;

	assert_non_null(test_key("tls", KEY_TLS, KEY_P256));
	len = store_read(test_dir, "tls.key", buf, sizeof(buf));
	assert_int_equal(store_parse(buf, (size_t)len, &f), 0);
	assert_int_equal(store_header(&f, aad, sizeof(aad), &n), 0);
	assert_int_equal(wrap_open(test_kek, aad, n, f.blob, f.blob_len,
	    scalar), 0);
	assert_null(memmem(buf, (size_t)len, scalar, 32));
	/* One changed bit of additional data: refused, and wiped. */
	aad[11] ^= 1;
	assert_int_equal(wrap_open(test_kek, aad, n, f.blob, f.blob_len,
	    scalar), -1);
	memset(buf, 0, 32);
	assert_memory_equal(scalar, buf, 32);
	assert_int_equal(wrap_open(test_kek, aad, n, f.blob, 27, scalar), -1);
}

/* A private scalar is in OpenSSL's secure heap, in both byte orders, only. */
static void
test_no_copies(void **state)
{
	struct test_signed	 s = { .calls = 0 };
	const struct key	*k;
	struct key_file		 f;
	struct why		 w;
	uint8_t			 buf[KEY_FILE_MAX], aad[256];
	static uint8_t		 big[SCALAR_MAX], little[SCALAR_MAX], *heap;
	size_t			 n, i;
	ssize_t			 len;
	unsigned		 a;

#ifdef PROVD_SANITIZED
	skip();
#endif
	assert_int_equal(CRYPTO_secure_malloc_init(131072, 32), 1);
	for (a = 0; a < KEY_NCURVES; a++) {
		k = test_key(a == 0 ? "a" : "b", KEY_TLS, a);
		assert_non_null(k);
		key_close();
		assert_int_equal(test_ring_open(&w), 0);
		k = key_byid(a);
		key_sign(k, "m", 1, test_signed_cb, &s);
		len = store_read(test_dir, a == 0 ? "a.key" : "b.key", buf,
		    sizeof(buf));
		assert_int_equal(store_parse(buf, (size_t)len, &f), 0);
		assert_int_equal(store_header(&f, aad, sizeof(aad), &n), 0);
		assert_int_equal(wrap_open(test_kek, aad, n, f.blob,
		    f.blob_len, big), 0);
		n = key_curve(k)->coord;
		for (i = 0; i < n; i++)
			little[i] = big[n - 1 - i];
		assert_int_equal(test_copies(big, n), 0);
		assert_int_equal(test_copies(little, n), 0);
		/* A part of it, too. */
		assert_int_equal(test_copies(big + 8, 16), 0);
		assert_int_equal(test_copies(little + 8, 16), 0);
		heap = malloc(n);
		memcpy(heap, little, n);
		assert_int_equal(test_copies(little, n), 1);
		memset(heap, 0, n);
		free(heap);
	}
	key_close();
	assert_int_equal(CRYPTO_secure_malloc_done(), 1);
}

/* ---- the file of the backend `soft' ---------------------------------- */

static void
test_soft_secret(void **state)
{
	uint8_t		 a[KEK_LEN], b[KEK_LEN], buf[128];
	struct stat	 st;
	struct why	 w;
	char		 path[128];
	ssize_t		 n;

	assert_int_equal(seal_soft(test_dir, a, &w), R_OK);
	assert_int_equal(seal_soft(test_dir, b, &w), R_OK);
	assert_memory_equal(a, b, KEK_LEN);
	snprintf(path, sizeof(path), "%s/soft.secret", test_dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(seal_soft(test_dir, b, &w), R_KEY_FILE);
	assert_int_equal(chmod(path, 0600), 0);
	n = store_read(test_dir, "soft.secret", buf, sizeof(buf));
	buf[20] ^= 1;
	assert_int_equal(store_write(test_dir, "soft.secret", buf, (size_t)n),
	    0);
	assert_int_equal(seal_soft(test_dir, b, &w), R_KEY_FILE);
	/* Lost, with keys there that it opened: no other one is made. */
	assert_int_equal(unlink(path), 0);
	assert_non_null(test_key("tls", KEY_TLS, KEY_P256));
	assert_int_equal(seal_soft(test_dir, b, &w), R_KEY_FILE);
	assert_false(test_has("soft.secret"));
}

static void
test_tpm_record(void **state)
{
	struct tpm_record	 a = { .srk_len = 34, .counter = true }, b;
	uint8_t			 buf[256];
	size_t			 n, i;

	memset(a.srk_name, 9, 34);
	assert_int_equal(tpm_record_format(&a, buf, sizeof(buf), &n), 0);
	assert_int_equal(tpm_record_parse(buf, n, &b), 0);
	assert_memory_equal(&a, &b, sizeof(a));
	for (i = 0; i < 8 * n; i++) {
		buf[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_int_equal(tpm_record_parse(buf, n, &b), -1);
		buf[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	for (i = 0; i < n; i++)
		assert_int_equal(tpm_record_parse(buf, i, &b), -1);
}

/* A full disk: refused with the reason, nothing left, and later it works. */
static void
test_disk_full(void **state)
{
	struct test_made	 m = { .calls = 0 };
	struct rlimit		 old, tiny;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	tiny = old;
	tiny.rlim_cur = 20;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tiny), 0);
	key_make("tls", KEY_TLS, KEY_P256, test_made_cb, &m);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(m.why.reason, R_KEY_STORE);
	assert_int_equal(key_count(), 0);
	assert_false(test_has("tls.key"));
	assert_false(test_has("tls.key.tmp"));
	assert_non_null(test_key("tls", KEY_TLS, KEY_P256));
}

/* ---- kill -9 at every system call ------------------------------------ */

static void
child(void)
{
	struct why	 w;

	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == -1)
		_exit(2);
	raise(SIGSTOP);
	if (test_ring_open(&w) == -1 ||
	    test_key("audit", KEY_AUDIT, KEY_P256) == NULL)
		_exit(3);
	_exit(0);
}

/* True if the child was killed at its n-th stop, false if it was faster. */
static bool
kill_at(unsigned n)
{
	pid_t	 pid;
	int	 st;

	if ((pid = fork()) == 0)
		child();
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &st, 0), pid);
	assert_true(WIFSTOPPED(st));
	while (n-- > 0) {
		if (ptrace(PTRACE_SYSCALL, pid, NULL, NULL) == -1)
			break;
		assert_int_equal(waitpid(pid, &st, 0), pid);
		if (WIFEXITED(st)) {
			assert_int_equal(WEXITSTATUS(st), 0);
			return false;
		}
	}
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &st, 0), pid);
	return true;
}

static void
test_kill_anywhere(void **state)
{
	const struct key	*k;
	struct why		 w;
	unsigned		 n, without = 0, whole = 0;
	bool			 had;

	for (n = 1; kill_at(n); n++) {
		had = test_has("audit.key");
		had ? whole++ : without++;
		/* Whatever is there, the next keyd goes on from it. */
		assert_int_equal(test_ring_open(&w), 0);
		assert_false(test_has("audit.key.tmp"));
		assert_int_equal(key_count(), had);
		k = test_key("audit", KEY_AUDIT, KEY_P256);
		assert_non_null(k);
		assert_int_equal(key_id(k), 0);
		key_close();
		test_dir_empty(test_dir);
	}
	assert_true(without > 4);
	assert_true(whole > 4);
	assert_int_equal(test_ring_open(&w), 0);
	assert_int_equal(key_count(), 1);
}

/* The file is on the disk before its name is, and its name before its use. */
static void
test_synced(void **state)
{
	struct __ptrace_syscall_info	 info = { 0 };
	char				 calls[64] = "";
	const char			*name;
	pid_t				 pid;
	int				 st;

	if ((pid = fork()) == 0)
		child();
	assert_int_equal(waitpid(pid, &st, 0), pid);
	assert_int_equal(ptrace(PTRACE_SETOPTIONS, pid, NULL,
	    (void *)PTRACE_O_TRACESYSGOOD), 0);
	for (;;) {
		assert_int_equal(ptrace(PTRACE_SYSCALL, pid, NULL, NULL), 0);
		assert_int_equal(waitpid(pid, &st, 0), pid);
		if (WIFEXITED(st))
			break;
		if (ptrace(PTRACE_GET_SYSCALL_INFO, pid,
		    (void *)sizeof(info), &info) <= 0 ||
		    info.op != PTRACE_SYSCALL_INFO_ENTRY)
			continue;
		name = info.entry.nr == SYS_fsync ? "sync " :
		    info.entry.nr == SYS_renameat2 ||
#ifdef SYS_rename
		    info.entry.nr == SYS_rename ||
#endif
		    info.entry.nr == SYS_renameat ? "rename " : "";
		strcat(calls, name);
	}
	assert_int_equal(WEXITSTATUS(st), 0);
	assert_string_equal(calls, "sync rename sync ");
}

int
main(void)
{
#define T(f)	cmocka_unit_test_setup_teardown(f, setup, test_dir_remove)
	const struct CMUnitTest tests[] = {
		T(test_round_trip),
		T(test_one_form),
		T(test_fields),
		T(test_length_under_digest),
		T(test_labels),
		T(test_ring_survives),
		T(test_table_is_bounded),
		T(test_foreign_files),
		T(test_purpose_is_bound),
		T(test_number_is_one_keys),
		T(test_no_secret_on_disk),
		T(test_no_copies),
		T(test_soft_secret),
		T(test_tpm_record),
		T(test_disk_full),
		T(test_kill_anywhere),
		T(test_synced),
	};

	return cmocka_run_group_tests_name("keyd_store", tests, NULL, NULL);
}
