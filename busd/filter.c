/* The row of busd. */
#include "busd.h"

const struct confine	busd_confine = {
	.role = "busd",
	.user = "_busd",
	.nofile = 64,
	.filter = NULL,
	.nfilter = 0,
};
