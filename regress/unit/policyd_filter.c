/*
 * policyd_filter: what the certificate service needs of the kernel it may use
 * where provd.conf has one, and nowhere else. One child for each call.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "confine.h"
#include "policyd_dir.h"
#include "../../policyd/ca.h"

static char		name[] = "ACME";
static struct conf	config;
const struct conf	*conf = &config;
static struct confine	row;
static char		dir[160], from[160], to[160];
static int		mem = -1;

/* How a child ends that calls f under the filter: 0, or the signal. */
static int
under_filter(void (*f)(void))
{
	int	status;
	pid_t	pid;

	if ((pid = fork()) == 0) {
		confine_filter(&row);
		f();
		syscall(SYS_exit_group, 0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status))
		return WTERMSIG(status);
	assert_int_equal(WEXITSTATUS(status), 0);
	return 0;
}

static void
need(bool ok, int code)
{
	if (!ok)
		syscall(SYS_exit_group, code);
}

/* ---- what the service needs ---- */

static void
writes_a_file(void)
{
	need(crl_file_write(1, (const uint8_t *)"crl", 3) == R_OK, 1);
	need(crl_file_write(1, (const uint8_t *)"other", 5) == R_OK, 2);
}

static void
seals_memory(void)
{
	int	fd = crl_memfd((const uint8_t *)"crl", 3, true);

	need(fd != -1, 1);
	need(crl_memfd_fill(fd, (const uint8_t *)"x", 1) == R_CTL_VALUE, 2);
	need(crl_memfd_fill(mem, (const uint8_t *)"x", 1) == R_OK, 3);
	need(close(fcntl(mem, F_DUPFD_CLOEXEC, 0)) == 0, 4);
}

static void
makes_a_directory(void)
{
	need(mkdir(dir, 0700) == 0, 1);
}

/* ---- what goes with it, one call each ---- */

static void
makes_a_file(void)
{
	open(from, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

static void
renames(void)
{
	rename(from, to);
}

static void
makes_memory(void)
{
	memfd_create("x", MFD_CLOEXEC);
}

static void
seals(void)
{
	fcntl(mem, F_ADD_SEALS, F_SEAL_SHRINK);
}

/* ---- what it never needs ---- */

static void
links(void)
{
	need(link(from, to) == 0, 1);
}

static void
links_softly(void)
{
	need(symlink(from, to) == 0, 1);
}

static void
changes_a_mode(void)
{
	chmod(from, 04755);
}

static void
changes_an_owner(void)
{
	need(chown(from, 0, 0) == 0, 1);
}

static void
writes_over(void)
{
	open(from, O_WRONLY | O_CLOEXEC);	/* in its place, not anew */
}

static void
maps_it_to_run(void)
{
	mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, mem, 0);
}

static void (*const with[])(void) = { makes_a_file, renames, makes_memory,
    seals, makes_a_directory };
static void (*const never[])(void) = { links, links_softly, changes_a_mode,
    changes_an_owner, writes_over, maps_it_to_run };

static void
test_needed(void **state)
{
	config.ca.name = name;
	row = policyd_confine_for(&config);
	assert_int_equal(under_filter(writes_a_file), 0);
	assert_int_equal(under_filter(seals_memory), 0);
	assert_int_equal(under_filter(makes_a_directory), 0);
}

/* A node without the service is as confined as it ever was. */
static void
test_without(void **state)
{
	size_t	i;

	config.ca.name = NULL;
	row = policyd_confine_for(&config);
	for (i = 0; i < sizeof(with) / sizeof(with[0]); i++)
		assert_int_equal(under_filter(with[i]), SIGSYS);
	for (i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		assert_int_equal(under_filter(never[i]), SIGSYS);
}

static void
test_never(void **state)
{
	size_t	i;

	config.ca.name = name;
	row = policyd_confine_for(&config);
	for (i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		assert_int_equal(under_filter(never[i]), SIGSYS);
}

static int
setup(void **state)
{
	if (dir_make(state) == -1 || store_open(dir_store) != R_OK)
		return -1;
	snprintf(dir, sizeof(dir), "%s/dir", dir_path);
	snprintf(from, sizeof(from), "%s/from", dir_path);
	snprintf(to, sizeof(to), "%s/to", dir_path);
	mem = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	crl_file_start();
	return mem == -1 ? -1 : 0;
}

static int
teardown(void **state)
{
	char	path[160];

	close(mem);
	store_close();
	rmdir(dir);
	unlink(from);
	unlink(to);
	snprintf(path, sizeof(path), "%s/crl/issuing-1.crl", dir_path);
	unlink(path);
	snprintf(path, sizeof(path), "%s/crl", dir_path);
	rmdir(path);
	return dir_remove(state);
}

#define T(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_needed),
		T(test_without),
		T(test_never),
	};

	return cmocka_run_group_tests_name("policyd_filter", tests, NULL, NULL);
}
