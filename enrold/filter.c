/* The row of enrold. Descriptors come over channels; it opens nothing. */
#include "enrold.h"

const struct confine	enrold_confine = {
	.role = "enrold",
	.user = "_enrold",
	.nofile = 4096 + 64,
};
