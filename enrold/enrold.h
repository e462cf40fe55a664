/* enrold: types and prototypes, grouped by file. */
#ifndef ENROLD_H
#define ENROLD_H

#include <uv.h>

#include "conf.h"
#include "confine.h"
#include "ipc.h"

/* ---- dispatch.c: who may send what --------------------------------------- */

extern const struct hub_peer	enrold_peers[];
extern const size_t		enrold_npeers;

/* ---- filter.c ------------------------------------------------------------ */

extern const struct confine	enrold_confine;

#endif
