/*
 * The system call filter: what is not in a row ends the process.
 */
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <seccomp.h>

#include "confine.h"
#include "log.h"

/* The flag under the mask is absent: PROT_EXEC of mmap and mprotect. */
#define WITHOUT(call, arg, flag, why)	\
	{ SCMP_SYS(call), arg, flag, 0, why, 0, 0, 0 }

const struct filter_row filter_base[] = {
	/* channels, log, pipes that exist already */
	FILTER_ANY(read, "libuv: signal pipe, eventfd; timers"),
	FILTER_ANY(readv, "streams of libuv"),
	FILTER_ANY(write, "the log; libuv: signal pipe, eventfd"),
	FILTER_ANY(writev, "streams of libuv"),
	FILTER_ANY(recvmsg, "channels; descriptors arrive with records"),
	FILTER_ANY(sendmsg, "channels"),
	FILTER_ANY(recvfrom, "recv(2) on a connected socket"),
	FILTER_ANY(sendto, "send(2): channels, log, journal, sd_notify"),
	FILTER_ANY(shutdown, "end of a channel"),
	FILTER_ANY(close, "end of a channel"),
	FILTER_IS(fcntl, 1, F_GETFL, "non-blocking mode of a descriptor"),
	FILTER_IS(fcntl, 1, F_SETFL, "non-blocking mode of a descriptor"),
	FILTER_IS(fcntl, 1, F_GETFD, "close-on-exec of a descriptor"),
	FILTER_IS(fcntl, 1, F_SETFD, "close-on-exec of a descriptor"),
	FILTER_IS(ioctl, 1, FIONBIO, "libuv: non-blocking mode"),
	FILTER_ANY(getsockopt, "libipc, libuv: SO_ERROR, SO_PEERCRED, SO_TYPE"),

	/* the loop: made after the filter, from nothing but these */
	FILTER_ANY(epoll_create1, "libuv: the loop"),
	FILTER_ANY(epoll_ctl, "libuv: the loop"),
	FILTER_ANY(epoll_wait, "libuv: the loop"),
	FILTER_ANY(epoll_pwait, "libuv: the loop"),
	FILTER_ANY(eventfd2, "libuv: uv_async of the loop"),
	FILTER_ANY(pipe2, "libuv: signal pipe"),
	FILTER_ANY(poll, "libuv: a last look at descriptors"),
	FILTER_ANY(ppoll, "poll(2) where it is not a call of its own"),

	/* time: where the vdso cannot answer */
	FILTER_ANY(clock_gettime, "timers, trusted time"),
	FILTER_ANY(clock_getres, "libuv: which clock is cheap"),
	FILTER_ANY(gettimeofday, "time stamps"),
	FILTER_ANY(time, "OpenSSL"),
	FILTER_ANY(timerfd_settime, "a timer that was opened at start"),
	FILTER_ANY(timerfd_gettime, "a timer that was opened at start"),
	FILTER_ANY(restart_syscall, "the kernel, after a stop signal"),

	/* memory: nothing becomes executable */
	FILTER_ANY(brk, "malloc"),
	WITHOUT(mmap, 2, PROT_EXEC, "malloc, secret memory"),
	WITHOUT(mprotect, 2, PROT_EXEC, "malloc"),
	FILTER_ANY(munmap, "malloc"),
	FILTER_ANY(mremap, "malloc"),
	FILTER_ANY(madvise, "malloc, secret memory"),
	FILTER_ANY(futex, "locks of OpenSSL"),
	FILTER_ANY(getrandom, "OpenSSL, jitter"),

	/* itself */
	FILTER_ANY(getpid, "the log"),
	FILTER_ANY(gettid, "libc: abort(3)"),
	FILTER_ANY(getuid, "OpenSSL: not set-user-id?"),
	FILTER_ANY(geteuid, "OpenSSL: not set-user-id?"),
	FILTER_ANY(getgid, "OpenSSL: not set-user-id?"),
	FILTER_ANY(getegid, "OpenSSL: not set-user-id?"),
	FILTER_ANY(rt_sigaction, "libuv: SIGTERM, SIGINT"),
	FILTER_ANY(rt_sigprocmask, "libuv: SIGTERM, SIGINT"),
	FILTER_ANY(rt_sigreturn, "return from a signal handler"),
	FILTER_ANY(exit, "end"),
	FILTER_ANY(exit_group, "end"),
};
const size_t filter_nbase = sizeof(filter_base) / sizeof(filter_base[0]);

/*
 * What libc calls in the place of a row's call on 32-bit machines, with the
 * same arguments: times and offsets of 64 bits, ids of 32. ARM also has
 * send(2) and recv(2) of its own. Elsewhere these numbers do not exist.
 */
static const struct {
	int	call, in_place;
} twins[] = {
	{ SCMP_SYS(mmap),		SCMP_SYS(mmap2) },
	{ SCMP_SYS(fcntl),		SCMP_SYS(fcntl64) },
	{ SCMP_SYS(stat),		SCMP_SYS(stat64) },
	{ SCMP_SYS(fstat),		SCMP_SYS(fstat64) },
	{ SCMP_SYS(newfstatat),		SCMP_SYS(fstatat64) },
#if __SIZEOF_POINTER__ == 4
	{ SCMP_SYS(newfstatat),		SCMP_SYS(statx) },
#endif
	{ SCMP_SYS(ftruncate),		SCMP_SYS(ftruncate64) },
	{ SCMP_SYS(clock_gettime),	SCMP_SYS(clock_gettime64) },
	{ SCMP_SYS(clock_getres),	SCMP_SYS(clock_getres_time64) },
	{ SCMP_SYS(timerfd_settime),	SCMP_SYS(timerfd_settime64) },
	{ SCMP_SYS(timerfd_gettime),	SCMP_SYS(timerfd_gettime64) },
	{ SCMP_SYS(ppoll),		SCMP_SYS(ppoll_time64) },
	{ SCMP_SYS(futex),		SCMP_SYS(futex_time64) },
	{ SCMP_SYS(sendto),		SCMP_SYS(send) },
	{ SCMP_SYS(recvfrom),		SCMP_SYS(recv) },
	{ SCMP_SYS(getuid),		SCMP_SYS(getuid32) },
	{ SCMP_SYS(geteuid),		SCMP_SYS(geteuid32) },
	{ SCMP_SYS(getgid),		SCMP_SYS(getgid32) },
	{ SCMP_SYS(getegid),		SCMP_SYS(getegid32) },
	{ SCMP_SYS(rt_sigreturn),	SCMP_SYS(sigreturn) },
};

#ifdef PROVD_SANITIZED
/* What the run-time libraries of the sanitizers call. */
static const struct filter_row filter_sanitized[] = {
	FILTER_ANY(sched_yield, "sanitizers: spin locks"),
	FILTER_ANY(sigaltstack, "sanitizers: stack of signal handlers"),
	FILTER_ANY(getrlimit, "sanitizers: bounds of the stack"),
	FILTER_IS(prctl, 0, PR_GET_DUMPABLE, "sanitizers: may a core be made"),
};
static bool	filter_loaded;

/* The leak check at exit starts a thread that traces: not under a filter. */
int	__lsan_is_turned_off(void);
int
__lsan_is_turned_off(void)
{
	return filter_loaded;
}
#endif

static void
add_row(scmp_filter_ctx ctx, const struct filter_row *row, int nr)
{
	struct scmp_arg_cmp	cmp[2];
	int			r;

	/* negative: this architecture has no such call */
	if (nr < 0)
		return;
	if (row->arg == -1)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0);
	else {
		cmp[0] = SCMP_CMP((unsigned)row->arg, SCMP_CMP_MASKED_EQ,
		    row->mask, row->value);
		cmp[1] = SCMP_CMP((unsigned)row->arg2, SCMP_CMP_MASKED_EQ,
		    row->mask2, row->value2);
		r = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, nr,
		    row->mask2 == 0 ? 1 : 2, cmp);
	}
	/* a call that an earlier row allows whole */
	if (r < 0 && r != -EEXIST)
		fatalx("filter: %s: %s", row->why, strerror(-r));
}

static void
add_rows(scmp_filter_ctx ctx, const struct filter_row *rows, size_t n)
{
	size_t	i, k;

	for (i = 0; i < n; i++) {
		add_row(ctx, &rows[i], rows[i].nr);
		for (k = 0; k < sizeof(twins) / sizeof(twins[0]); k++)
			if (twins[k].call == rows[i].nr)
				add_row(ctx, &rows[i], twins[k].in_place);
	}
}

void
confine_filter(const struct confine *c)
{
	scmp_filter_ctx	ctx;
	int		r;

	if ((ctx = seccomp_init(SCMP_ACT_KILL_PROCESS)) == NULL)
		fatalx("filter: seccomp_init");
	if ((r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH,
	    SCMP_ACT_KILL_PROCESS)) < 0)
		fatalx("filter: %s", strerror(-r));
	/* should a library have started a thread, it is confined too */
	if ((r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1)) < 0)
		fatalx("filter: %s", strerror(-r));
	add_rows(ctx, filter_base, filter_nbase);
	add_rows(ctx, c->filter, c->nfilter);
	add_rows(ctx, c->more, c->nmore);
#ifdef PROVD_SANITIZED
	add_rows(ctx, filter_sanitized,
	    sizeof(filter_sanitized) / sizeof(filter_sanitized[0]));
	filter_loaded = true;
#endif
	if ((r = seccomp_load(ctx)) < 0)
		fatalx("filter: %s: is CONFIG_SECCOMP_FILTER in the kernel?",
		    strerror(-r));
	seccomp_release(ctx);
}
