/*
 * Commands about the authority, with real clients and without a keyd: who
 * waits is answered, or may go; what is refused says why; no descriptor that
 * a client brought stays open.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <sys/mman.h>

#include <dirent.h>

#include "clock.h"
#include "control_client.h"
#include "../../policyd/ca.h"

static char	name[] = "ACME";

static int
setup(void **state)
{
	if (c_setup(state) == -1)
		return -1;
	config.ca.name = name;
	config.ca.curve = CURVE_P256;
	config.ca.root_validity = 3650 * UINT64_C(86400);
	config.ca.issuing_validity = 1825 * UINT64_C(86400);
	config.ca.crl_every = 86400;
	clock_set(T0);
	ca_start();
	crl_start();
	ca_tick(1000);
	return 0;
}

static int
teardown(void **state)
{
	char	path[128];

	snprintf(path, sizeof(path), "%s/crl", dir_path);
	rmdir(path);
	config.ca.name = NULL;
	return c_teardown(state);
}

static unsigned
descriptors(void)
{
	DIR		*d = opendir("/proc/self/fd");
	unsigned	 n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static int
init(int fd, bool offline)
{
	struct msg_ctl_ca_init	m = { .offline = offline };

	return ask(fd, MSG_CTL_CA_INIT, &m);
}

/* As ask(), with a descriptor. */
static int
ask_crl(int fd, int mem, uint32_t generation, bool publish)
{
	struct msg_ctl_ca_crl	m = { .generation = generation,
	    .publish = publish };
	union {
		struct cmsghdr	h;
		char		space[CMSG_SPACE(sizeof(int))];
	} control;
	uint8_t			buf[256];
	struct iovec		iov = { .iov_base = buf };
	struct msghdr		msg = { .msg_iov = &iov, .msg_iovlen = 1,
	    .msg_control = &control, .msg_controllen = sizeof(control) };
	struct cmsghdr		*c;

	rows_clear();
	assert_int_equal(ipc_encode(MSG_CTL_CA_CRL, 2, &m, buf, sizeof(buf),
	    &iov.iov_len), 0);
	memset(&control, 0, sizeof(control));
	c = CMSG_FIRSTHDR(&msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &mem, sizeof(int));
	assert_int_equal(sendmsg(fd, &msg, MSG_NOSIGNAL), iov.iov_len);
	return hear(fd);
}

/* ---- tests ---- */

static void
test_without(void **state)
{
	int	fd = greet();

	assert_int_equal(ask(fd, MSG_CTL_CA_SHOW, NULL), MSG_REFUSED);
	assert_int_equal(refused.reason, R_CRT_NO_CA);
	assert_int_equal(ask(fd, MSG_CTL_CA_CSR, NULL), MSG_REFUSED);
	assert_int_equal(refused.reason, R_CRT_NO_CA);
	assert_int_equal(ask(fd, MSG_CTL_CA_ROLLOVER,
	    &(struct msg_ctl_ca_rollover){ 0 }), MSG_REFUSED);
	assert_int_equal(refused.reason, R_CRT_NO_CA);
	assert_int_equal(ask(fd, MSG_CTL_CA_INSTALL,
	    &(struct msg_ctl_ca_install){ 0 }), MSG_REFUSED);
	assert_int_equal(refused.reason, R_CRT_NO_CA);
	config.ca.name = NULL;		/* and with none in provd.conf */
	assert_int_equal(init(fd, false), MSG_REFUSED);
	assert_int_equal(refused.reason, R_CRT_NO_CA);
	assert_string_equal(refused.field, "ca");
	assert_int_equal(ask(fd, MSG_CTL_CA_SHOW, NULL), MSG_REFUSED);
	assert_int_equal(refused.reason, R_CRT_NO_CA);
	close(fd);
	spin();
}

/* It waits for keyd, and another one is told what there is. */
static void
test_waits(void **state)
{
	int	fd = greet(), other = greet();

	assert_int_equal(init(fd, false), MSG_NONE);
	assert_int_equal(init(other, true), MSG_REFUSED);
	assert_int_equal(refused.reason, R_CRT_CA_EXISTS);
	assert_int_equal(ask(other, MSG_CTL_CA_SHOW, NULL), MSG_DONE);
	assert_int_equal(nrows, 1);
	assert_string_equal(row_text("ca", "kind"), "issuing");
	assert_string_equal(row_text("ca", "state"), "waiting");
	assert_string_equal(row_text("ca", "key"), "P-256");
	assert_true(json_is_null(json_object_get(row("ca"), "pem")));
	assert_int_equal(hear(fd), MSG_NONE);
	ca_tick(70000);
	assert_int_equal(hear(fd), MSG_REFUSED);
	assert_int_equal(refused.reason, R_CTL_PENDING);
	assert_int_equal(ask(other, MSG_CTL_CA_ROLLOVER,
	    &(struct msg_ctl_ca_rollover){ 0 }), MSG_REFUSED);
	assert_int_equal(refused.reason, R_CRT_CA_WAITS);
	close(fd);
	close(other);
	spin();
}

static void
test_goes(void **state)
{
	int	fd = greet();

	assert_int_equal(init(fd, false), MSG_NONE);
	close(fd);
	spin();
	ca_tick(70000);			/* nobody is there to be told */
	spin();
	fd = greet();
	assert_int_equal(init(fd, false), MSG_NONE);	/* asked again */
	close(fd);
	spin();
}

static void
test_offline(void **state)
{
	struct msg_ctl_ca_install	m = { 0 };
	int				fd = greet(), other = greet();

	assert_int_equal(init(fd, true), MSG_NONE);
	assert_int_equal(ask(other, MSG_CTL_CA_CSR, NULL), MSG_REFUSED);
	assert_int_equal(refused.reason, R_IPC_NOLINK);
	IPC_SET_BLOB(m.chain, "junk", 4);
	assert_int_equal(ask(other, MSG_CTL_CA_INSTALL, &m), MSG_REFUSED);
	assert_int_equal(refused.reason, R_IPC_NOLINK);
	close(fd);
	close(other);
	spin();
}

/* None of this leaves anything behind. */
static void
test_descriptors(void **state)
{
	int		fd = greet(), mem, fds[2];
	unsigned	before;

	assert_int_equal(init(fd, true), MSG_NONE);
	close(fd);
	spin();
	fd = greet();
	mem = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_not_equal(mem, -1);
	assert_int_equal(pipe(fds), 0);
	before = descriptors();
	assert_int_equal(ask_crl(fd, mem, 0, false), MSG_REFUSED);
	assert_int_equal(refused.reason, R_CRT_NO_CRL);	/* none is current */
	assert_int_equal(ask_crl(fd, mem, 7, false), MSG_REFUSED);
	assert_int_equal(refused.reason, R_CRT_NO_CRL);
	assert_int_equal(ask_crl(fd, mem, 1, false), MSG_REFUSED);
	assert_int_equal(refused.reason, R_CRT_NO_CRL);	/* not signed yet */
	assert_int_equal(ask_crl(fd, fds[1], 1, false), MSG_REFUSED);
	assert_int_equal(descriptors(), before);
	/* Without a descriptor it is an offence. */
	assert_int_equal(ask(fd, MSG_CTL_CA_CRL,
	    &(struct msg_ctl_ca_crl){ .generation = 1 }), -1);
	close(fd);
	spin();
	close(mem);
	close(fds[0]);
	close(fds[1]);
}

#define T(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_without),
		T(test_waits),
		T(test_goes),
		T(test_offline),
		T(test_descriptors),
	};

	return cmocka_run_group_tests_name("control_ca", tests, NULL, NULL);
}
