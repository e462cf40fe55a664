/*
 * Confinement, tried: a child is confined as a daemon is, then does what it
 * must not. As root with chroot and change of user, else as with -D.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <seccomp.h>
#include <uv.h>

#include "child.h"
#include "confine.h"
#include "log.h"

#define USER	"nobody"

static char		 top[] = "/tmp/confine.XXXXXX";
static struct conf	*conf;

static const struct confine row = {
	.role = "netd", .user = USER, .nofile = 64,
	.caps = 1ULL << CAP_NET_RAW
};

static bool		 started_as_root;

static void
confine_me(bool filter)
{
	struct start_opts	o = { .foreground = true };
	char			hub[128];

	o.developer = !started_as_root;
	confine_user(&row, conf, &o, hub, sizeof(hub));
	if (filter)
		confine_filter(&row);
}

#define CHECK(x)	do {						\
	if (!(x)) {							\
		dprintf(STDERR_FILENO, "not true: %s\n", #x);		\
		_exit(3);						\
	}								\
} while (0)

static void
assert_good(int status)
{
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail_msg("status %#x: %s", (unsigned)status, out);
}

static void
assert_fatal(int status, const char *why)
{
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 1 ||
	    strstr(out, why) == NULL)
		fail_msg("status %#x, no \"%s\" in: %s", (unsigned)status, why,
		    out);
}

/* ---- root is gone ------------------------------------------------------ */

static void
root_is_gone(void)
{
	struct rlimit	rl;
	cap_t		caps, none = cap_init();
	uid_t		r, e, s;

	confine_me(false);
	CHECK(getresuid(&r, &e, &s) == 0 && r != 0 && r == e && e == s);
	CHECK(setuid(0) == -1 && seteuid(0) == -1 && setgid(0) == -1);
	CHECK(setgroups(0, NULL) == -1);
	CHECK((caps = cap_get_proc()) != NULL && cap_compare(caps, none) == 0);
	cap_free(caps);
	cap_free(none);
	CHECK(prctl(PR_GET_DUMPABLE) == 0);
	CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	CHECK(getrlimit(RLIMIT_CORE, &rl) == 0 && rl.rlim_max == 0);
	CHECK(getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_max == 64);
	CHECK(getrlimit(RLIMIT_FSIZE, &rl) == 0 && rl.rlim_max == 0);
	if (confine_developer())
		return;
	CHECK(getrlimit(RLIMIT_NPROC, &rl) == 0 && rl.rlim_max == 0);
	CHECK(fork() == -1 && errno == EAGAIN);
	CHECK(open("/etc/passwd", O_RDONLY) == -1 && errno == ENOENT);
	CHECK(open("../../../../etc/passwd", O_RDONLY) == -1);
	CHECK(open("/proc/self/root", O_RDONLY) == -1);
	CHECK(chroot("/") == -1 && errno == EPERM);
	CHECK(cap_get_bound(CAP_SYS_ADMIN) == 0);
	CHECK(cap_get_bound(CAP_NET_RAW) == 0);
	/* the directory is policyd's, not the daemon's */
	CHECK(open("/made", O_WRONLY | O_CREAT, 0600) == -1);
}

static void
test_root_is_gone(void **state)
{
	(void)state;
	assert_good(child(root_is_gone));
}

/* First the user, then whatever waits outside of the root, then the root. */
static void
user_first(void)
{
	struct start_opts	o = { .foreground = true };
	cap_value_t		cap;
	cap_flag_value_t	has;
	cap_t			caps;
	uid_t			r, e, s;

	confine_become(&row, &o);
	CHECK(getresuid(&r, &e, &s) == 0 && r != 0 && r == e && e == s);
	CHECK(getgroups(0, NULL) == 0 && getgid() != 0);
	CHECK((caps = cap_get_proc()) != NULL);
	for (cap = 0; cap_get_bound(cap) >= 0; cap++) {
		CHECK(cap_get_flag(caps, cap, CAP_PERMITTED, &has) == 0);
		CHECK((has == CAP_SET) == (cap == CAP_SYS_CHROOT));
		CHECK(cap_get_bound(cap) == 0);
	}
	cap_free(caps);
	CHECK(prctl(PR_GET_KEEPCAPS) == 0);
	CHECK(prctl(PR_SET_KEEPCAPS, 1) == -1);
	CHECK(setuid(0) == -1);
	CHECK(open("/etc/passwd", O_RDONLY | O_CLOEXEC) != -1);
	root_is_gone();
}

static void
test_user_first(void **state)
{
	(void)state;
	if (!started_as_root)
		skip();
	assert_good(child(user_first));
}

/* A directory opened before the chroot would lead out of it. */
static void
holds_directory(void)
{
	CHECK(open("/", O_PATH | O_DIRECTORY) != -1);
	confine_me(false);
}

static void
test_directory(void **state)
{
	(void)state;
	assert_fatal(child(holds_directory), "is a directory");
}

static void
wrong_user(void)
{
	CHECK(setgroups(0, NULL) == 0 && setresgid(7, 7, 7) == 0 &&
	    setresuid(7, 7, 7) == 0);
	confine_user(&row, conf, &(struct start_opts){ 0 }, out, sizeof(out));
}

static void
no_capability(void)
{
	const struct passwd	*pw = getpwnam(USER);

	CHECK(pw != NULL && setgroups(0, NULL) == 0 &&
	    setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) == 0 &&
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) == 0);
	confine_user(&row, conf, &(struct start_opts){ 0 }, out, sizeof(out));
}

/* As a unit does it: the user at once, CAP_SYS_CHROOT and another lent. */
static void
lend(cap_value_t other)
{
	const struct passwd	*pw = getpwnam(USER);
	cap_value_t		 lent[] = { CAP_SYS_CHROOT, other };
	cap_t			 caps = cap_init();

	CHECK(pw != NULL && prctl(PR_SET_KEEPCAPS, 1) == 0 &&
	    setgroups(0, NULL) == 0 &&
	    setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) == 0 &&
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) == 0);
	cap_set_flag(caps, CAP_PERMITTED, 2, lent, CAP_SET);
	cap_set_flag(caps, CAP_EFFECTIVE, 2, lent, CAP_SET);
	cap_set_flag(caps, CAP_INHERITABLE, 2, lent, CAP_SET);
	CHECK(cap_set_proc(caps) == 0);
	CHECK(cap_set_ambient(CAP_SYS_CHROOT, CAP_SET) == 0);
	CHECK(cap_set_ambient(other, CAP_SET) == 0);
	cap_free(caps);
}

static void
lent_capability(void)
{
	lend(CAP_NET_RAW);
	confine_me(false);
	CHECK(cap_get_ambient(CAP_NET_RAW) == 0);
	CHECK(socket(AF_PACKET, SOCK_DGRAM, 0) == -1 && errno == EPERM);
	CHECK(open("/etc/passwd", O_RDONLY) == -1 && errno == ENOENT);
}

static void
lent_too_much(void)
{
	lend(CAP_DAC_OVERRIDE);
	confine_me(false);
}

static void
test_started_otherwise(void **state)
{
	(void)state;
	if (!started_as_root)
		return;		/* nothing to start otherwise */
	assert_fatal(child(wrong_user), "neither root nor " USER);
	assert_fatal(child(no_capability), "start as root");
	assert_good(child(lent_capability));
	assert_fatal(child(lent_too_much), "capability cap_dac_override");
}

static char	 netd_root[128];

static void
just_confine(void)
{
	confine_me(false);
}

/* A taken-over policyd may not weaken the root of its sisters. */
static void
test_weak_root(void **state)
{
	char	saved[160];

	(void)state;
	if (!started_as_root)
		return;
	snprintf(netd_root, sizeof(netd_root), "%s/run/netd", top);
	snprintf(saved, sizeof(saved), "%s.saved", netd_root);
	assert_int_equal(rename(netd_root, saved), 0);
	assert_int_equal(symlink("/", netd_root), 0);
	assert_fatal(child(just_confine), "Not a directory");
	assert_int_equal(unlink(netd_root), 0);
	assert_int_equal(rename(saved, netd_root), 0);
	assert_int_equal(chmod(netd_root, 0777), 0);
	assert_fatal(child(just_confine), "is writable for others");
	assert_int_equal(chmod(netd_root, 0755), 0);
	assert_int_equal(chown(netd_root, 12345, 12345), 0);
	assert_fatal(child(just_confine), "belongs to uid 12345");
	assert_int_equal(chown(netd_root, 0, 0), 0);
	assert_good(child(just_confine));
}

/* ---- what a sister of the same user sees ------------------------------- */

static int	 sister_pipe[2];
static pid_t	 sister;

static void
sister_main(void)
{
	char	c;

	confine_me(false);
	CHECK(write(sister_pipe[1], "r", 1) == 1);
	while (read(STDIN_FILENO, &c, 1) > 0)
		continue;
}

static void
attack_sister(void)
{
	struct iovec	 mine = { out, 8 }, theirs = { out, 8 };
	struct passwd	*pw = getpwnam(USER);
	char		 path[64];

	if (started_as_root)
		CHECK(pw != NULL && setgroups(0, NULL) == 0 &&
		    setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) == 0 &&
		    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) == 0);
	CHECK(ptrace(PTRACE_ATTACH, sister, 0, 0) == -1 && errno == EPERM);
	CHECK(ptrace(PTRACE_SEIZE, sister, 0, 0) == -1 && errno == EPERM);
	CHECK(process_vm_readv(sister, &mine, 1, &theirs, 1, 0) == -1 &&
	    errno == EPERM);
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)sister);
	CHECK(open(path, O_RDONLY) == -1 && errno == EACCES);
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)sister);
	CHECK(open(path, O_RDONLY) == -1 && errno == EACCES);
}

static void
test_sister(void **state)
{
	int	in[2], status;
	char	c;

	(void)state;
	assert_int_equal(pipe2(sister_pipe, O_CLOEXEC), 0);
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	if ((sister = fork()) == 0) {
		dup2(in[0], STDIN_FILENO);
		close(in[0]);
		close(in[1]);
		log_init("sister", true);
		sister_main();
		_exit(0);
	}
	close(in[0]);
	close(sister_pipe[1]);
	assert_int_equal(read(sister_pipe[0], &c, 1), 1);
	close(sister_pipe[0]);
	status = child(attack_sister);
	close(in[1]);
	assert_int_equal(waitpid(sister, NULL, 0), sister);
	assert_good(status);
}

/* ---- the filter -------------------------------------------------------- */

static void f_open(void) { open("/etc/passwd", O_RDONLY); }
static void f_openat2(void) { syscall(SYS_openat2, AT_FDCWD, "/", NULL, 0); }
static void f_creat(void) { creat("/x", 0600); }
static void f_unlink(void) { unlink("/x"); }
static void f_stat(void) { struct stat st; stat("/", &st); }
static void f_socket(void) { socket(AF_INET, SOCK_STREAM, 0); }
static void f_unix(void) { socket(AF_UNIX, SOCK_STREAM, 0); }
static void f_pair(void) { int s[2]; socketpair(AF_UNIX, SOCK_STREAM, 0, s); }
static void f_connect(void) { connect(0, NULL, 0); }
static void f_bind(void) { bind(0, NULL, 0); }
static void f_accept(void) { accept(0, NULL, NULL); }
static void f_exec(void) { execl("/bin/true", "true", (char *)NULL); }
static void f_execveat(void) { syscall(SYS_execveat, 0, "", NULL, NULL, 0); }
static void f_fork(void) { if (fork() == 0) _exit(0); }
static void f_clone3(void) { syscall(SYS_clone3, NULL, 0); }
static void f_ptrace(void) { ptrace(PTRACE_ATTACH, getppid(), 0, 0); }
static void f_vmread(void)
{
	syscall(SYS_process_vm_readv, 1, NULL, 0, NULL, 0, 0);
}
static void f_vmwrite(void)
{
	syscall(SYS_process_vm_writev, 1, NULL, 0, NULL, 0, 0);
}
static void f_dumpable(void) { prctl(PR_SET_DUMPABLE, 1); }
static void f_setuid(void) { syscall(SYS_setuid, 0); }
static void f_chroot(void) { syscall(SYS_chroot, "/"); }
static void f_kill(void) { kill(getppid(), SIGTERM); }
static void f_io_uring(void) { syscall(SYS_io_uring_setup, 1, NULL); }
static void f_bpf(void) { syscall(SYS_bpf, 0, NULL, 0); }
static void f_perf(void) { syscall(SYS_perf_event_open, NULL, 0, 0, 0, 0); }
static void f_keyctl(void) { syscall(SYS_keyctl, 0, 0); }
static void f_uffd(void) { syscall(SYS_userfaultfd, 0); }
static void f_memfd(void) { syscall(SYS_memfd_create, "x", 0); }
static void f_pidfd(void) { syscall(SYS_pidfd_open, getppid(), 0); }
static void f_unshare(void) { unshare(CLONE_NEWUSER); }
static void f_mount(void) { syscall(SYS_mount, "", "/", "", 0, NULL); }
static void f_ioctl(void) { syscall(SYS_ioctl, 0, 0x5412, "x"); } /* TIOCSTI */
static void f_dup(void) { fcntl(0, F_DUPFD, 10); }
static void f_exec_map(void)
{
	mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
	    -1, 0);
}
static void f_exec_protect(void)
{
	static char	page[8192] __attribute__((aligned(4096)));

	mprotect(page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC);
}
#ifdef __x86_64__
static void f_int80(void)	/* the 32-bit ABI: getpid */
{
	__asm__ volatile("int $0x80" : : "a"(20) : "memory");
}
#endif

static const struct {
	const char	*name;
	void		(*f)(void);
} forbidden[] = {
	{ "open", f_open }, { "openat2", f_openat2 }, { "creat", f_creat },
	{ "unlink", f_unlink }, { "stat", f_stat }, { "socket", f_socket },
	{ "UNIX socket", f_unix }, { "socketpair", f_pair },
	{ "connect", f_connect }, { "bind", f_bind }, { "accept", f_accept },
	{ "execve", f_exec }, { "execveat", f_execveat }, { "fork", f_fork },
	{ "clone3", f_clone3 }, { "ptrace", f_ptrace },
	{ "process_vm_readv", f_vmread }, { "process_vm_writev", f_vmwrite },
	{ "PR_SET_DUMPABLE", f_dumpable }, { "setuid", f_setuid },
	{ "chroot", f_chroot }, { "kill", f_kill }, { "io_uring", f_io_uring },
	{ "bpf", f_bpf }, { "perf_event_open", f_perf },
	{ "keyctl", f_keyctl }, { "userfaultfd", f_uffd },
	{ "memfd_create", f_memfd }, { "pidfd_open", f_pidfd },
	{ "unshare", f_unshare }, { "mount", f_mount },
	{ "TIOCSTI", f_ioctl }, { "F_DUPFD", f_dup },
	{ "executable mapping", f_exec_map },
	{ "mapping made executable", f_exec_protect },
#ifdef __x86_64__
	{ "32-bit system call", f_int80 },
#endif
};

static void	(*the_call)(void);

static void
forbidden_call(void)
{
	confine_me(true);
	the_call();
}

static void
test_forbidden(void **state)
{
	size_t	i;
	int	status;

	(void)state;
	for (i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++) {
		the_call = forbidden[i].f;
		status = child(forbidden_call);
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
			fail_msg("%s: status %#x instead of SIGSYS: %s",
			    forbidden[i].name, (unsigned)status, out);
	}
}

static void
stop(uv_signal_t *h, int signum)
{
	(void)signum;
	uv_stop(h->loop);
}

static void
tick(uv_timer_t *h)
{
	(void)h;
	raise(SIGTERM);
}

/* raise(3) is tgkill(2), which no daemon needs: let the loop tell of it. */
static const struct filter_row raise_row[] = {
	FILTER_ANY(tgkill, "this test sends itself a signal"),
};

static void
lives_with_raise(void)
{
	static struct confine	own;

	own = row;
	own.filter = raise_row;
	own.nfilter = 1;
	confine_me(false);
	confine_filter(&own);
	the_call();
}

/* What every daemon does all the time must work: the loop, memory, the log. */
static void
loop_only(void)
{
	uv_loop_t	loop;
	uv_signal_t	sig;
	uv_timer_t	timer;
	char		*big;

	CHECK(uv_loop_init(&loop) == 0);
	CHECK(uv_signal_init(&loop, &sig) == 0);
	CHECK(uv_signal_start(&sig, stop, SIGTERM) == 0);
	CHECK(uv_timer_init(&loop, &timer) == 0);
	CHECK(uv_timer_start(&timer, tick, 1, 0) == 0);
	uv_run(&loop, UV_RUN_DEFAULT);
	CHECK((big = malloc(4 << 20)) != NULL);
	memset(big, 1, 4 << 20);
	CHECK((big = realloc(big, 8 << 20)) != NULL);
	free(big);
	log_info("alive");
}

static void
test_lives(void **state)
{
	int	status;

	(void)state;
	the_call = loop_only;
	status = child(lives_with_raise);
	assert_good(status);
	assert_non_null(strstr(out, "child: alive"));
}

/* Each row says who needs it; none is there twice, none of the forbidden. */
static void
test_rows(void **state)
{
	static const int	never[] = {
		SCMP_SYS(socket), SCMP_SYS(connect), SCMP_SYS(open),
		SCMP_SYS(openat), SCMP_SYS(execve), SCMP_SYS(ptrace),
		SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(clone),
		SCMP_SYS(prctl), SCMP_SYS(setuid), SCMP_SYS(kill),
	};
	const struct filter_row	*a, *b;
	size_t			 i, j;

	(void)state;
	for (i = 0; i < filter_nbase; i++) {
		a = &filter_base[i];
		assert_true(a->why != NULL && a->why[0] != '\0');
		assert_true(a->arg >= -1 && a->arg <= 5);
		for (j = 0; j < sizeof(never) / sizeof(never[0]); j++)
			assert_int_not_equal(a->nr, never[j]);
		for (j = 0; j < i; j++) {
			b = &filter_base[j];
			if (a->nr >= 0 && a->nr == b->nr && (a->arg == -1 ||
			    (a->arg == b->arg && a->value == b->value)))
				fail_msg("row %zu again: %s", j, a->why);
		}
	}
}

/* ---- directories ------------------------------------------------------- */

/* etc/sysusers/provd.conf has been applied, and we may use it. */
static bool
suite_users(void)
{
	if (started_as_root && getpwnam("_policyd") != NULL &&
	    getpwnam("_busd") != NULL)
		return true;
	print_message("not root, or the users of the suite are missing\n");
	return false;
}

/* A node without the certificate service, or D-Bus, needs neither its user nor
 * these. */
static void
test_directories(void **state)
{
	static struct conf_listener	door = { .port = 8443 };
	struct stat			st;
	char				path[256], bus[] = "/run/bus";
	size_t				i;

	(void)state;
	if (!suite_users())
		return;
	start_dirs(&row, conf);
	for (i = 0; i < confine_ndirs; i++) {
		assert_int_equal(confine_dir_path(&confine_dirs[i], conf, path,
		    sizeof(path)), 0);
		assert_int_equal(stat(path, &st),
		    strcmp(confine_dirs[i].path, "enrold") == 0 ||
		    strcmp(confine_dirs[i].path, "busd") == 0 ? -1 : 0);
	}
	conf->listeners = &door;
	conf->dbus = bus;
	start_dirs(&row, conf);
	start_dirs(&row, conf);		/* what is there stays */
	conf->listeners = NULL;
	conf->dbus = NULL;
	for (i = 0; i < confine_ndirs; i++) {
		assert_int_equal(confine_dir_path(&confine_dirs[i], conf, path,
		    sizeof(path)), 0);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, confine_dirs[i].mode);
		assert_int_equal(st.st_uid,
		    getpwnam(confine_dirs[i].owner)->pw_uid);
		assert_int_equal(st.st_gid,
		    getgrnam(confine_dirs[i].group)->gr_gid);
	}
}

/* 77: such a mount is not permitted here. */
static void
on_read_only(void)
{
	if (unshare(CLONE_NEWNS) == -1 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1 ||
	    mount(top, top, NULL, MS_BIND, NULL) == -1 ||
	    mount(NULL, top, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY,
	    NULL) == -1)
		_exit(77);
	start_dirs(&row, conf);
	_exit(0);
}

/* Directories that are as they must be are not touched: a daemon starts on a
   read-only file system. */
static void
test_read_only(void **state)
{
	int	status;

	(void)state;
	if (!suite_users())
		return;
	start_dirs(&row, conf);
	if ((status = child_exit(on_read_only)) == 77)
		skip();
	assert_int_equal(status, 0);
}

static void
through_link(void)
{
	char	path[256];

	snprintf(path, sizeof(path), "%s/state", top);
	if (rmdir(path) == -1 || symlink("/tmp", path) == -1)
		_exit(9);
	start_dirs(&row, conf);
}

/* _policyd may write in the run directory: a link there is not followed. */
static void
test_symlink(void **state)
{
	char	path[256];

	(void)state;
	if (!suite_users())
		return;
	assert_fatal(child(through_link), "/state: Not a directory");
	snprintf(path, sizeof(path), "%s/state", top);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0755), 0);
}

static void
test_paths(void **state)
{
	char	buf[256], want[256];

	(void)state;
	assert_int_equal(confine_hub_path(conf, "keyd", buf, sizeof(buf)), 0);
	snprintf(want, sizeof(want), "%s/state/keyd/hub.sock", top);
	assert_string_equal(buf, want);
	assert_int_equal(confine_hub_path(conf, "attestd-q", buf,
	    sizeof(buf)), 0);
	snprintf(want, sizeof(want), "%s/run/attestd-q/hub.sock", top);
	assert_string_equal(buf, want);
	assert_int_equal(confine_hub_path(conf, "nobody", buf,
	    sizeof(buf)), -1);
	assert_int_equal(confine_hub_path(conf, "keyd", buf, 10), -1);
	assert_string_equal(confine_role_user("attestd-r"), "_attestr");
	assert_null(confine_role_user("sshd"));
}

static int
setup(void **state)
{
	char	path[256], text[256];
	FILE	*err = stderr;

	(void)state;
	started_as_root = geteuid() == 0;
	if (mkdtemp(top) == NULL || chmod(top, 0755) == -1)
		return -1;
	snprintf(text, sizeof(text), "node a\nrun directory \"%s/run\"\n"
	    "state directory \"%s/state\"\n", top, top);
	conf = conf_parse_buf(text, strlen(text), "text", NULL, err);
	if (conf == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/run", top);
	if (mkdir(path, 0755) == -1)
		return -1;
	snprintf(path, sizeof(path), "%s/run/netd", top);
	if (mkdir(path, 0755) == -1)
		return -1;
	snprintf(path, sizeof(path), "%s/state", top);
	return mkdir(path, 0755);
}

static int
teardown(void **state)
{
	static const char *const	dirs[] = {
		"run/netd", "run/attestd-q", "run/attestd-r", "run",
		"state/keyd/keys", "state/keyd", "state/policyd", "state", ""
	};
	char				path[256];
	size_t				i;

	(void)state;
	for (i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", top, dirs[i]);
		rmdir(path);
	}
	conf_free(conf);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_root_is_gone),
		cmocka_unit_test(test_user_first),
		cmocka_unit_test(test_directory),
		cmocka_unit_test(test_started_otherwise),
		cmocka_unit_test(test_weak_root),
		cmocka_unit_test(test_sister),
		cmocka_unit_test(test_forbidden),
		cmocka_unit_test(test_lives),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_symlink),
		cmocka_unit_test(test_directories),
		cmocka_unit_test(test_read_only),
	};

	return cmocka_run_group_tests_name("confine", tests, setup, teardown);
}
