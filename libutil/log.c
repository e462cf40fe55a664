/*
 * Logging. The datagram socket to syslogd, or to systemd's journal, is opened
 * once, before the daemon is confined, and never again: syslog(3) would open a
 * new one under the system call filter. What the other side cannot take is
 * lost, not waited for.
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
#define LOG_FIELD_MAX	256
#define LOG_SOCKET	"/dev/log"

static const char	*log_name = "provd";
static bool		 log_stderr = true;
static bool		 log_prefix;	/* "<4>" before a line: sd-daemon(3) */
static bool		 log_stamp;	/* the standard error is a terminal */
static int		 log_fd = -1;
static int		 journal_fd = -1;
static unsigned		 journal_lost;	/* lines, since the last one */
static enum log_level	 log_floor = LOG_LVL_INFO;	/* of -v */
static enum log_level	 log_now = LOG_LVL_INFO;

static int
log_connect(const char *path)
{
	struct sockaddr_un	sun = { .sun_family = AF_UNIX };
	int			fd, saved;

	if (strlen(path) >= sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(sun.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1 ||
	    connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

void
log_init(const char *name, bool foreground)
{
	log_name = name;
	log_stderr = true;
	log_stamp = isatty(STDERR_FILENO);
	/* Who starts us still reads the standard error. */
	if (!foreground && log_fd == -1 &&
	    (log_fd = log_connect(LOG_SOCKET)) == -1)
		log_warn("%s: nothing will be logged", LOG_SOCKET);
	tzset();	/* reads a file: not under the filter */
}

void
log_journal(const char *path)
{
	log_prefix = true;
	journal_fd = log_connect(path);
}

void
log_detach(void)
{
	log_stderr = false;
	if (journal_fd != -1)
		close(journal_fd);
	journal_fd = -1;
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

/* Of the character at s, or 0: this is not UTF-8 (RFC 3629, section 4). */
static size_t
log_utf8(const char *s)
{
	const unsigned char	*p = (const unsigned char *)s;
	size_t			 i, n;

	n = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 :
	    p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;
	for (i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

/*
 * A line is one line, and a field one field: what an outsider sent cannot
 * forge another one. Nor does it hide its own: the journal does not show what
 * is not UTF-8.
 */
static void
log_clean(char *s)
{
	size_t	n;

	while (*s != '\0') {
		if ((n = log_unsafe(s)) > 0)
			memset(s, '?', n);
		else if ((n = log_utf8(s)) == 0)
			*s = '?';
		s += n > 0 ? n : 1;
	}
}

static int
journal_field(char *buf, size_t size, const char *name, const char *value)
{
	char	clean[LOG_FIELD_MAX + 1];

	if (value == NULL || *value == '\0')
		return 0;
	snprintf(clean, sizeof(clean), "%s", value);
	log_clean(clean);
	return snprintf(buf, size, "%s=%s\n", name, clean);
}

/* The journal's own protocol: a field a line, none with a newline in it. */
static bool
journal_send(int priority, const char *text, const char *reason,
    const char *peer)
{
	char	buf[LOG_LINE_MAX + 2 * LOG_FIELD_MAX + 256];
	ssize_t	sent;
	int	n;

	n = snprintf(buf, sizeof(buf), "PRIORITY=%d\nSYSLOG_FACILITY=%d\n"
	    "SYSLOG_IDENTIFIER=%.64s\nMESSAGE=%s\n", priority,
	    LOG_DAEMON >> 3, log_name, text);
	n += journal_field(buf + n, sizeof(buf) - (size_t)n, "PROVD_REASON",
	    reason);
	n += journal_field(buf + n, sizeof(buf) - (size_t)n, "PROVD_PEER",
	    peer);
	do {
		sent = send(journal_fd, buf, (size_t)n, MSG_NOSIGNAL);
	} while (sent == -1 && errno == EINTR);
	return sent != -1;
}

/* False: not the journal's any more. */
static bool
journal_emit(int priority, const char *text, const char *reason,
    const char *peer)
{
	char	note[64];

	if (journal_lost > 0) {
		snprintf(note, sizeof(note), "%u lines lost: the journal took "
		    "no more", journal_lost);
		if (journal_send(LOG_WARNING, note, NULL, NULL))
			journal_lost = 0;
	}
	if (journal_lost == 0 && journal_send(priority, text, reason, peer))
		return true;
	if (errno == EAGAIN || errno == ENOBUFS) {
		journal_lost++;
		return true;
	}
	close(journal_fd);
	journal_fd = -1;
	return false;
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
log_emit(int priority, const char *text, const char *reason, const char *peer)
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
	if (!log_stderr || (journal_fd != -1 &&
	    journal_emit(priority, text, reason, peer)))
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

static void LOG_PRINTF(5, 0)
log_va(int priority, int error, const char *reason, const char *peer,
    const char *fmt, va_list ap)
{
	char	text[LOG_LINE_MAX];
	int	n;

	n = vsnprintf(text, sizeof(text), fmt, ap);
	if (error != 0 && n >= 0 && (size_t)n < sizeof(text))
		snprintf(text + n, sizeof(text) - (size_t)n, ": %s",
		    strerror(error));
	log_clean(text);
	log_emit(priority, text, reason, peer);
}

#define LOG_BODY(wanted, priority, error)			\
	LOG_WITH(wanted, priority, error, NULL, NULL)
#define LOG_WITH(wanted, priority, error, reason, peer) do {	\
	int	saved = errno;					\
	va_list	ap;						\
	if (log_now >= (wanted)) {				\
		va_start(ap, fmt);				\
		log_va((priority), (error), (reason), (peer), fmt, ap); \
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
log_about(enum log_level level, const char *reason, const char *peer,
    const char *fmt, ...)
{
	LOG_WITH(level, level == LOG_LVL_WARN ? LOG_WARNING :
	    level == LOG_LVL_INFO ? LOG_INFO : LOG_DEBUG, 0, reason, peer);
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
