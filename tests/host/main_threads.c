/* SPDX-License-Identifier: MIT */
/* The suites of host-threads, which are built with the thread sanitizer. */
#include "host.h"

extern const struct host_suite host_suite_threads;
extern const struct host_suite host_suite_large_threads;

const struct host_suite *const host_suites[] = {
	&host_suite_threads,
	&host_suite_large_threads,
	NULL,
};
