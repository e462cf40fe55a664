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
/*
 * The standard error is the journal's: lines go to its socket at path, with
 * fields. They go on to the standard error, each with its level before it,
 * where that socket cannot be connected, or later refuses what it is sent.
 */
#define LOG_JOURNAL	"/run/systemd/journal/socket"
void	log_journal(const char *path);
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
/*
 * With the fields PROVD_REASON, the code of a reason, and PROVD_PEER, the name
 * of a peer, as the journal has them; either may be NULL or "". The line says
 * both all the same: others than the journal have nothing else.
 */
void	log_about(enum log_level, const char *reason, const char *peer,
	    const char *, ...) LOG_PRINTF(4, 5);
void	fatal(const char *, ...) LOG_PRINTF(1, 2) __attribute__((noreturn));
void	fatalx(const char *, ...) LOG_PRINTF(1, 2) __attribute__((noreturn));

#endif
