/*
 * The rows of attestd -Q and -R. Neither needs a system call beside those
 * that every daemon has: descriptors come over channels, and nothing else
 * is opened.
 */
#include "attestd.h"

const struct confine	attestq_confine = {
	.role = "attestd-q",
	.user = "_attestq",
	.nofile = JOBS_MAX + 32,
};

const struct confine	attestr_confine = {
	.role = "attestd-r",
	.user = "_attestr",
	.nofile = SESSIONS_MAX + 32,
};
