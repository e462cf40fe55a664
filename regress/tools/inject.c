/*
 * inject: make a running process attempt a system call, under its own filter,
 * user and root, and say what came of it.
 *
 *	inject pid call victim
 *
 * Prints one line: "killed SIGSYS" (the filter), "errno NAME", or "allowed N".
 * Exits 0 if the attempt was refused, 1 if it was allowed, 2 if it could not
 * be made. A process whose attempt was allowed is killed: it is in a state
 * that nobody asked for.
 *
 * The process is stopped in a system call of its own, so the two bytes before
 * its instruction pointer are the instruction that we need. x86-64 only.
 */
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STR	0x5354520000000000UL	/* stands for the address of str */
#define VICTIM	0x5649430000000000UL	/* stands for the victim, a sister's pid */

struct attempt {
	const char	*name;
	long		 nr;
	unsigned long	 arg[6];
	const char	*str;
};

static const struct attempt attempts[] = {
	{ "open-keys",	 SYS_openat, { AT_FDCWD, STR, O_RDONLY }, "/keys" },
	{ "open-root",	 SYS_openat, { AT_FDCWD, STR, O_RDONLY }, "/" },
	{ "open-passwd", SYS_openat, { AT_FDCWD, STR, O_RDONLY }, "/etc/passwd" },
	{ "open-up",	 SYS_openat, { AT_FDCWD, STR, O_RDONLY },
	    "../../../../../../../etc/passwd" },
	{ "socket-inet", SYS_socket, { AF_INET, SOCK_STREAM, 0 }, NULL },
	{ "socket-inet6", SYS_socket, { AF_INET6, SOCK_DGRAM, 0 }, NULL },
	{ "socket-unix", SYS_socket, { AF_UNIX, SOCK_STREAM, 0 }, NULL },
	{ "socket-packet", SYS_socket, { AF_PACKET, SOCK_RAW, 0 }, NULL },
	{ "socket-netlink", SYS_socket, { AF_NETLINK, SOCK_RAW, 0 }, NULL },
	{ "bind",	 SYS_bind, { 0, STR, 16 }, "" },
	{ "exec",	 SYS_execve, { STR, 0, 0 }, "/bin/sh" },
	{ "fork",	 SYS_fork, { 0 }, NULL },
	{ "clone",	 SYS_clone, { SIGCHLD }, NULL },
	{ "thread",	 SYS_clone, { CLONE_VM | CLONE_FS | CLONE_FILES |
	    CLONE_SIGHAND | CLONE_THREAD }, NULL },
	{ "ptrace",	 SYS_ptrace, { PTRACE_ATTACH, VICTIM }, NULL },
	{ "read-memory", SYS_process_vm_readv, { VICTIM, STR, 1, STR, 1 }, "" },
	{ "kill",	 SYS_kill, { VICTIM, 0 }, NULL },
	{ "setuid",	 SYS_setuid, { 0 }, NULL },
	{ "setresuid",	 SYS_setresuid, { 0, 0, 0 }, NULL },
	{ "setgid",	 SYS_setgid, { 0 }, NULL },
	{ "dumpable",	 SYS_prctl, { PR_SET_DUMPABLE, 1 }, NULL },
	{ "chroot",	 SYS_chroot, { STR }, "/" },
	{ "mount",	 SYS_mount, { STR, STR, STR }, "/" },
	{ "unshare",	 SYS_unshare, { CLONE_NEWUSER }, NULL },
	{ "mknod",	 SYS_mknodat, { AT_FDCWD, STR, 0600 }, "/x" },
	{ "bpf",	 SYS_bpf, { 0 }, NULL },
	{ "io_uring",	 SYS_io_uring_setup, { 1, STR }, "" },
	{ "mmap-exec",	 SYS_mmap, { 0, 4096, 7, 0x22, -1UL, 0 }, NULL },
	{ "keyctl",	 SYS_keyctl, { 0 }, NULL },
	{ "perf",	 SYS_perf_event_open, { STR }, "" },
};

static const struct attempt *
find(const char *name)
{
	size_t	i;

	for (i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++)
		if (strcmp(attempts[i].name, name) == 0)
			return &attempts[i];
	return NULL;
}

static void
poke(pid_t pid, unsigned long at, const char *s)
{
	size_t		i, len = strlen(s) + 1;
	unsigned long	word;

	for (i = 0; i < len; i += sizeof(word)) {
		word = 0;
		memcpy(&word, s + i, len - i < sizeof(word) ? len - i : sizeof(word));
		if (ptrace(PTRACE_POKEDATA, pid, at + i, word) == -1)
			err(2, "poke");
	}
}

/* Wait until the process has stopped; false if it has died of sig. */
static int
stopped(pid_t pid, int *sig)
{
	int	status;

	if (waitpid(pid, &status, __WALL) == -1)
		err(2, "wait");
	*sig = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	return WIFSTOPPED(status);
}

static void
get_regs(pid_t pid, struct user_regs_struct *regs)
{
	if (ptrace(PTRACE_GETREGS, pid, 0, regs) == -1)
		err(2, "registers of %d", (int)pid);
}

static void
set_regs(pid_t pid, const struct user_regs_struct *regs)
{
	if (ptrace(PTRACE_SETREGS, pid, 0, regs) == -1)
		err(2, "registers of %d", (int)pid);
}

/* On to where the next system call begins, or ends. */
static void
run_to_call(pid_t pid)
{
	int	sig;

	if (ptrace(PTRACE_SYSCALL, pid, 0, 0) == -1)
		err(2, "go on");
	if (!stopped(pid, &sig))
		errx(2, "%d ended", (int)pid);
}

/*
 * Stop it behind a syscall instruction of its own. after is what to give it
 * back so that it goes on as if nothing had been.
 */
static void
seize(pid_t pid, struct user_regs_struct *regs, struct user_regs_struct *after)
{
	unsigned long	code;
	int		sig;

	if (ptrace(PTRACE_ATTACH, pid, 0, 0) == -1)
		err(2, "attach to %d", (int)pid);
	if (!stopped(pid, &sig))
		errx(2, "%d ended", (int)pid);
	get_regs(pid, regs);
	*after = *regs;
	code = (unsigned long)ptrace(PTRACE_PEEKTEXT, pid, regs->rip - 2, 0);
	if ((code & 0xffff) == 0x050f)
		return;
	/* It computes: skip its next call, which it makes again afterwards. */
	run_to_call(pid);
	get_regs(pid, regs);
	*after = *regs;
	after->rip -= 2;
	after->rax = regs->orig_rax;
	after->orig_rax = -1UL;
	regs->orig_rax = -1UL;
	set_regs(pid, regs);
	run_to_call(pid);
	get_regs(pid, regs);
}

static void
set_call(pid_t pid, struct user_regs_struct *regs, const struct attempt *a,
    unsigned long victim)
{
	unsigned long	arg[6], at = (regs->rsp - 512) & ~15UL;
	int		i;

	for (i = 0; i < 6; i++)
		arg[i] = a->arg[i] == STR ? at :
		    a->arg[i] == VICTIM ? victim : a->arg[i];
	if (a->str != NULL)
		poke(pid, at, a->str);
	regs->rip -= 2;
	regs->rax = (unsigned long)a->nr;
	regs->orig_rax = -1UL;		/* no restart of the call it was in */
	regs->rdi = arg[0];
	regs->rsi = arg[1];
	regs->rdx = arg[2];
	regs->r10 = arg[3];
	regs->r8 = arg[4];
	regs->r9 = arg[5];
	set_regs(pid, regs);
}

int
main(int argc, char **argv)
{
	struct user_regs_struct	 regs, after;
	const struct attempt	*a;
	pid_t			 pid;
	long			 ret;
	int			 sig;

	if (argc != 4 || (pid = (pid_t)strtol(argv[1], NULL, 10)) <= 1)
		errx(2, "usage: inject pid call victim");
	if ((a = find(argv[2])) == NULL)
		errx(2, "no attempt '%s'", argv[2]);
	seize(pid, &regs, &after);
	set_call(pid, &regs, a, strtoul(argv[3], NULL, 10));
	if (ptrace(PTRACE_SINGLESTEP, pid, 0, 0) == -1)
		err(2, "step");
	if (!stopped(pid, &sig)) {
		printf("killed SIG%s\n", sigabbrev_np(sig));
		return sig == SIGSYS ? 0 : 2;
	}
	get_regs(pid, &regs);
	ret = (long)regs.rax;
	if (ret < 0 && ret > -4096) {
		printf("errno %s\n", strerrorname_np((int)-ret));
		set_regs(pid, &after);
		if (ptrace(PTRACE_DETACH, pid, 0, 0) == -1)
			err(2, "detach");
		return 0;
	}
	printf("allowed %ld\n", ret);
	kill(pid, SIGKILL);
	return 1;
}
