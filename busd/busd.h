/*
 * busd: types and prototypes, grouped by file.
 *
 * One thread, one loop. sd-bus is driven from libuv (bus.c); what policyd
 * said is kept in view.c, and every object on the bus is made from there.
 */
#ifndef BUSD_H
#define BUSD_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "conf.h"
#include "confine.h"
#include "ipc.h"

/* ---- dispatch.c ---------------------------------------------------------- */

extern const struct hub_peer busd_peers[];
extern const size_t busd_npeers;
void	busd_down(enum ipc_role);

/* ---- filter.c ------------------------------------------------------------ */

extern const struct confine busd_confine;

#endif
