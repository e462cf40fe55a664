/*
 * Accepted roots: read before confinement, given to attestd -Q; a file that
 * is not the one certificate of a CA stops the start.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/socket.h>

#include <openssl/pem.h>

#define FAKE_ROLE	IPC_ATTESTQ	/* whose link it is */
#include "policyd_dir.h"
#include "policyd_keyd.h"

#define NOW	UINT64_C(1800000000)
#define YEAR	UINT64_C(31536000)

static struct conf	config;
const struct conf	*conf = &config;
static char		paths[3][128];
static struct conf_accept accepts[3];

void
control_event(const struct audit_row *row)
{
}

static void
write_certs(const char *path, unsigned n, bool ca)
{
	static const uint8_t	 serial[16] = { 0x41 };
	EVP_PKEY		*k = EVP_EC_gen("P-384");
	X509			*x;
	FILE			*f;

	assert_non_null(f = fopen(path, "w"));
	while (n-- > 0) {
		x = fake_x509(k, path + strlen(path) - 1, k, "issuer", serial,
		    NOW, NOW + YEAR, ca);
		assert_int_equal(PEM_write_X509(f, x), 1);
		X509_free(x);
	}
	fclose(f);
	EVP_PKEY_free(k);
}

static int
setup(void **state)
{
	unsigned	i;

	if (dir_make(state) == -1)
		return -1;
	memset(accepts, 0, sizeof(accepts));
	for (i = 0; i < 3; i++) {
		snprintf(paths[i], sizeof(paths[i]), "%s/%u", dir_path, i);
		accepts[i].root = paths[i];
		accepts[i].next = i < 2 ? &accepts[i + 1] : NULL;
	}
	config.accepts = accepts;
	return 0;
}

static int
teardown(void **state)
{
	unsigned	i;

	for (i = 0; i < 3; i++)
		unlink(paths[i]);
	return dir_remove(state);
}

/* ---- what attestd hears ---- */

static unsigned		heard;
static struct msg_root_set last;

static int
on_root(struct chan *c, const struct ipc_call *call, const void *arg)
{
	last = *(const struct msg_root_set *)arg;
	assert_int_equal(last.root, heard);
	heard++;
	return 0;
}

static const struct ipc_handler attestd[] = { { MSG_ROOT_SET, on_root } };

static struct chan *
attestd_link(enum ipc_role role, int fds[2])
{
	struct chan_conf	qc = { .self = role,
	    .peer = IPC_POLICYD, .handlers = attestd, .nhandlers = 1 };
	struct chan		*c;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    fds), 0);
	c = chan_new(fds[1], &qc);
	assert_non_null(c);
	chan_set_phase(c, IPC_RUN);
	return c;
}

static void
read_roots(int arg)
{
	settings_read(&config);
}

/* Each error ends the start with a status, and a word about the file. */
static void
test_refused_files(void **state)
{
	FILE	*f;

	accepts[0].next = NULL;
	assert_int_equal(in_child(read_roots, 0), 1);	/* not there */
	assert_non_null(f = fopen(paths[0], "w"));
	fputs("nothing\n", f);
	fclose(f);
	assert_int_equal(in_child(read_roots, 0), 1);
	write_certs(paths[0], 2, true);
	assert_int_equal(in_child(read_roots, 0), 1);
	write_certs(paths[0], 1, false);
	assert_int_equal(in_child(read_roots, 0), 1);
	write_certs(paths[0], 1, true);
	assert_int_equal(in_child(read_roots, 0), 0);
}

static void
test_roots(void **state)
{
	struct chan_conf	 pc = { .self = IPC_POLICYD,
	    .peer = IPC_ATTESTQ };
	const struct root	*r;
	struct chan		*q;
	uint8_t			 hash[HASH_LEN];
	unsigned		 i;
	int			 fds[2];

	write_certs(paths[0], 1, true);
	write_certs(paths[1], 1, true);
	accepts[2].root = paths[0];	/* named twice, with another rule */
	settings_read(&config);
	for (r = settings_roots(), i = 0; r != NULL; r = r->next, i++) {
		assert_string_equal(r->path, paths[i]);
		assert_string_equal(r->subject, i == 0 ? "CN=0" : "CN=1");
		assert_int_equal(EVP_Q_digest(NULL, "SHA256", NULL, r->der,
		    r->len, hash, NULL), 1);
		assert_memory_equal(hash, r->hash, HASH_LEN);
	}
	assert_int_equal(i, 2);

	q = attestd_link(IPC_ATTESTQ, fds);
	assert_non_null(link_keyd = chan_new(fds[0], &pc));
	chan_set_phase(link_keyd, IPC_RUN);
	settings_up(IPC_NETD);
	link_other[IPC_ATTESTR] = link_keyd;
	settings_up(IPC_ATTESTR);	/* it does not ask who somebody is */
	link_other[IPC_ATTESTR] = NULL;
	assert_int_equal(chan_input(q), 0);
	assert_int_equal(heard, 0);
	settings_up(IPC_ATTESTQ);
	assert_int_equal(chan_input(q), 0);	/* both are there already */
	assert_int_equal(heard, 2);
	assert_int_equal(last.certificate.len, settings_roots()->next->len);
	assert_memory_equal(last.certificate.data, settings_roots()->next->der,
	    last.certificate.len);
	chan_close(q);
	chan_close(link_keyd);
}

/* attestd -R judges requesters by the roots of peers, not of components. */
static void
test_roots_mutual(void **state)
{
	struct chan_conf	 pc = { .self = IPC_POLICYD,
	    .peer = IPC_ATTESTR };
	struct conf_component	 component = { .root = paths[2] };
	struct chan		*r;
	int			 fds[2];

	write_certs(paths[0], 1, true);
	write_certs(paths[1], 1, true);
	write_certs(paths[2], 1, true);
	accepts[1].next = NULL;
	config.components = &component;
	config.spdm_mutual = true;
	settings_read(&config);
	assert_non_null(settings_roots()->next->next);
	heard = 0;
	r = attestd_link(IPC_ATTESTR, fds);
	assert_non_null(link_other[IPC_ATTESTR] = chan_new(fds[0],
	    &pc));
	chan_set_phase(link_other[IPC_ATTESTR], IPC_RUN);
	settings_up(IPC_ATTESTR);
	assert_int_equal(chan_input(r), 0);
	assert_int_equal(heard, 2);
	chan_close(r);
	chan_close(link_other[IPC_ATTESTR]);
	link_other[IPC_ATTESTR] = NULL;
	config.components = NULL;
}

/* Makers of devices that enrol are no business of attestd, unless they are
 * accepted for peers, too. */
static void
test_makers(void **state)
{
	static char		 only[128];
	struct chan_conf	 pc = { .self = IPC_POLICYD,
	    .peer = IPC_ATTESTQ };
	struct conf_path	 second = { .path = paths[0] };
	struct conf_path	 first = { .next = &second, .path = only };
	struct conf_profile	 profile = { .makers = &first };
	const struct root	*r;
	struct chan		*q;
	int			 fds[2];
	unsigned		 makers = 0, all = 0;

	snprintf(only, sizeof(only), "%s/maker", dir_path);
	write_certs(only, 1, true);
	write_certs(paths[0], 1, true);
	accepts[0].next = NULL;
	config.profiles = &profile;
	settings_read(&config);
	config.profiles = NULL;
	unlink(only);
	for (r = settings_roots(); r != NULL; r = r->next) {
		all++;
		makers += r->maker;
		assert_int_equal(r->maker, r->path == paths[0] ||
		    r->path == only);
		assert_int_equal(r->path == only, !r->accepted &&
		    !r->component);
	}
	assert_int_equal(makers, 2);
	heard = 0;
	q = attestd_link(IPC_ATTESTQ, fds);
	assert_non_null(link_keyd = chan_new(fds[0], &pc));
	chan_set_phase(link_keyd, IPC_RUN);
	settings_up(IPC_ATTESTQ);
	while (heard < all - 1)
		assert_int_equal(chan_input(q), 0);
	assert_int_equal(heard, all - 1);
	chan_close(q);
	chan_close(link_keyd);
}

#define T(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_refused_files),
		T(test_roots),
		T(test_roots_mutual),
		T(test_makers),
	};

	return cmocka_run_group_tests_name("policyd_settings", tests, NULL,
	    NULL);
}
