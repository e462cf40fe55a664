/*
 * Logging. The datagram socket to syslogd is opened once, before the daemon
 * is confined, and never again: syslog(3) would open a new one under the
 * system call filter. What syslogd cannot take is lost, not waited for.
 */
#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

#define LOG_LINE_MAX	1024
#define LOG_SOCKET	"/dev/log"

static const char	*log_name = "provd";
static bool		 log_stderr = true;
static bool		 log_prefix;	/* "<4>" before a line: sd-daemon(3) */
static bool		 log_stamp;	/* the standard error is a terminal */
static int		 log_fd = -1;
static enum log_level	 log_floor = LOG_LVL_INFO;	/* of -v */
static enum log_level	 log_now = LOG_LVL_INFO;

/* Who starts us still reads the standard error. */
static void
log_connect(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	memcpy(sun.sun_path, LOG_SOCKET, sizeof(LOG_SOCKET));
	log_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (log_fd == -1)
		return;
	if (connect(log_fd, (struct sockaddr *)&sun, sizeof(sun)) == -1) {
		close(log_fd);
		log_fd = -1;
		log_warn("%s: nothing will be logged", LOG_SOCKET);
	}
}

void
log_init(const char *name, bool foreground)
{
	log_name = name;
	log_stderr = true;
	log_stamp = isatty(STDERR_FILENO);
	if (!foreground && log_fd == -1)
		log_connect();
	tzset();	/* reads a file: not under the filter */
}

void
log_journal(void)
{
	log_prefix = true;
}

void
log_detach(void)
{
	log_stderr = false;
}

void
log_verbose(bool v)
{
	log_floor = log_now = v ? LOG_LVL_TRACE : LOG_LVL_INFO;
}

void
log_level(enum log_level level)
{
	log_now = level < log_floor && log_floor > LOG_LVL_INFO ?
	    log_floor : level;
}

enum log_level
log_level_now(void)
{
	return log_now;
}

/*
 * C0, DEL, and in UTF-8 C1 (U+0080 to U+009F) and what turns the direction of
 * text (U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069).
 */
size_t
log_unsafe(const char *s)
{
	const unsigned char	*p = (const unsigned char *)s;

	if (*p != '\0' && (*p < ' ' || *p == 0x7f))
		return 1;
	if (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
		return 2;
	if (*p == 0xe2 && p[1] == 0x80 && (p[2] == 0x8e || p[2] == 0x8f ||
	    (p[2] >= 0xaa && p[2] <= 0xae)))
		return 3;
	if (*p == 0xe2 && p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9)
		return 3;
	return 0;
}

/* A line is one line: what an outsider sent cannot forge another one. */
static void
log_clean(char *s)
{
	size_t	n;

	while (*s != '\0') {
		if ((n = log_unsafe(s)) > 0)
			memset(s, '?', n);
		s += n > 0 ? n : 1;
	}
}

static void
log_write(int fd, bool sock, const char *buf, size_t len)
{
	ssize_t	n;

	do {
		n = sock ? send(fd, buf, len, MSG_NOSIGNAL) :
		    write(fd, buf, len);
	} while (n == -1 && errno == EINTR);
}

static void
log_emit(int priority, const char *text)
{
	char		 line[LOG_LINE_MAX + 128], stamp[32] = "";
	struct timespec	 ts;
	struct tm	 tm;
	int		 n;

	if (log_fd != -1) {
		n = snprintf(line, sizeof(line), "<%d>%.64s[%d]: %s",
		    LOG_DAEMON | priority, log_name, (int)getpid(), text);
		log_write(log_fd, true, line, (size_t)n);
	}
	if (!log_stderr)
		return;
	if (log_stamp && clock_gettime(CLOCK_REALTIME, &ts) == 0 &&
	    localtime_r(&ts.tv_sec, &tm) != NULL)
		strftime(stamp, sizeof(stamp), "%H:%M:%S ", &tm);
	if (log_prefix)
		snprintf(stamp, sizeof(stamp), "<%d>", priority);
	n = snprintf(line, sizeof(line), "%s%.64s: %s\n", stamp, log_name,
	    text);
	log_write(STDERR_FILENO, false, line, (size_t)n);
}

static void LOG_PRINTF(3, 0)
log_va(int priority, int error, const char *fmt, va_list ap)
{
	char	text[LOG_LINE_MAX];
	int	n;

	n = vsnprintf(text, sizeof(text), fmt, ap);
	if (error != 0 && n >= 0 && (size_t)n < sizeof(text))
		snprintf(text + n, sizeof(text) - (size_t)n, ": %s",
		    strerror(error));
	log_clean(text);
	log_emit(priority, text);
}

#define LOG_BODY(wanted, priority, error) do {			\
	int	saved = errno;					\
	va_list	ap;						\
	if (log_now >= (wanted)) {				\
		va_start(ap, fmt);				\
		log_va((priority), (error), fmt, ap);		\
		va_end(ap);					\
	}							\
	errno = saved;						\
} while (0)

void
log_warn(const char *fmt, ...)
{
	LOG_BODY(LOG_LVL_WARN, LOG_WARNING, saved);
}

void
log_warnx(const char *fmt, ...)
{
	LOG_BODY(LOG_LVL_WARN, LOG_WARNING, 0);
}

void
log_info(const char *fmt, ...)
{
	LOG_BODY(LOG_LVL_INFO, LOG_INFO, 0);
}

void
log_debug(const char *fmt, ...)
{
	LOG_BODY(LOG_LVL_DEBUG, LOG_DEBUG, 0);
}

void
log_trace(const char *fmt, ...)
{
	LOG_BODY(LOG_LVL_TRACE, LOG_DEBUG, 0);
}

void
fatal(const char *fmt, ...)
{
	LOG_BODY(LOG_LVL_WARN, LOG_CRIT, saved);
	_exit(1);
}

void
fatalx(const char *fmt, ...)
{
	LOG_BODY(LOG_LVL_WARN, LOG_CRIT, 0);
	_exit(1);
}
