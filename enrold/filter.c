/* The row of enrold. Descriptors come over channels; it opens nothing. */
#include <fcntl.h>
#include <seccomp.h>

#include "enrold.h"

static const struct filter_row	rows[] = {
	FILTER_IS(fcntl, 1, F_GET_SEALS, "blob.c: a CRL cannot change"),
	FILTER_ANY(fstat, "blob.c: how long a CRL is"),
	FILTER_ANY(newfstatat, "blob.c: fstat(3) of glibc"),
};

const struct confine	enrold_confine = {
	.role = "enrold",
	.user = "_enrold",
	.nofile = CONNS_MAX + FILES_BESIDE,
	.filter = rows,
	.nfilter = sizeof(rows) / sizeof(rows[0]),
};
