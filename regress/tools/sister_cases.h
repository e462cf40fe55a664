/* The written cases of sister.c: each prints lines of TAP. */
#ifndef SISTER_CASES_H
#define SISTER_CASES_H

#include "sister.h"

void	tap(bool good, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));
void	tap_reason(enum reason got, enum reason want, const char *who,
	    const char *what);
/* The hub still talks to us: we did nothing that counts as an offence. */
void	tap_alive(const struct sister *);
unsigned tap_failed(void);
/* Connected to the hub, not greeted; and greeted, or the process ends. */
void	sister_new(struct sister *, const char *dir, enum ipc_role);
void	sister_greeted(struct sister *, const char *dir, enum ipc_role);

/* sister_keyd.c: netd, enrold or attestd asks keyd for what it may not have. */
void	cases_keyd(const char *dir, enum ipc_role);

/* sister_cases.c: a link is greeted as of an older generation, or of another
 * build. */
void	case_link_hello(const char *dir, enum ipc_role, enum ipc_role to,
	    bool old);
/* attestd -Q lies about its jobs; policyd must want to attest somebody. */
void	cases_evidence(const char *dir);
/* netd claims and accuses; attestd -R claims. */
void	cases_netd(const char *dir);
void	cases_attested(const char *dir);
/* Processes that are no daemon of this node, while all of them live. */
void	cases_stranger(const char *dir);

/*
 * sister_enrol.c: enrold makes up requests and clients, of two devices (see
 * sister.c for the arguments); netd makes up connections.
 */
void	cases_enrold(const char *dir, char **arg);
void	cases_doors(const char *dir);

/* sister_bus.c: busd asks for too much; and one that reads nothing. */
void	cases_busd(const char *dir, char **arg);
void	case_deaf(const char *dir, const char *peer);

#endif
