/* One event, one line: to syslog, or with -d to the standard error. */
#ifndef LOG_H
#define LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

enum log_level { LOG_LVL_WARN, LOG_LVL_INFO, LOG_LVL_DEBUG, LOG_LVL_TRACE };

#define LOG_PRINTF(a, b)	__attribute__((format(printf, a, b)))

/* Name is kept. Opens syslogd's socket unless foreground; once, never again. */
void	log_init(const char *name, bool foreground);
void	log_journal(void);	/* the standard error is systemd's: say levels */
void	log_detach(void);	/* no more to the standard error */
/* Bytes at s that command a terminal instead of being shown; 0 if none. */
size_t	log_unsafe(const char *);
void	log_verbose(bool);	/* -v; log_level() never goes below it */
void	log_level(enum log_level);	/* ignored below the level of -v */
enum log_level log_level_now(void);
void	log_warn(const char *, ...) LOG_PRINTF(1, 2);	/* adds strerror(errno) */
void	log_warnx(const char *, ...) LOG_PRINTF(1, 2);
void	log_info(const char *, ...) LOG_PRINTF(1, 2);
void	log_debug(const char *, ...) LOG_PRINTF(1, 2);
void	log_trace(const char *, ...) LOG_PRINTF(1, 2);
void	fatal(const char *, ...) LOG_PRINTF(1, 2) __attribute__((noreturn));
void	fatalx(const char *, ...) LOG_PRINTF(1, 2) __attribute__((noreturn));

#endif
