/* SPDX-License-Identifier: MIT */
/* The suite of host-threads, which is built with the thread sanitizer. */
#include "host.h"

extern const struct host_suite host_suite_threads;
extern const struct host_suite host_suite_wait;
extern const struct host_suite host_suite_pool_threads;

const struct host_suite *const host_suites[] = {
	&host_suite_threads,
	&host_suite_wait,
	&host_suite_pool_threads,
	NULL,
};
