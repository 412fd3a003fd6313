/* SPDX-License-Identifier: MIT */
/* The suites of host-tests. */
#include "host.h"

extern const struct host_suite host_suite_string;
extern const struct host_suite host_suite_printf;
extern const struct host_suite host_suite_cmdline;
extern const struct host_suite host_suite_memory_map;
extern const struct host_suite host_suite_boot_allocator;
extern const struct host_suite host_suite_buddy;
extern const struct host_suite host_suite_buddy_misuse;
extern const struct host_suite host_suite_buddy_check;
extern const struct host_suite host_suite_memory_allocators;
extern const struct host_suite host_suite_tree;
extern const struct host_suite host_suite_large;
extern const struct host_suite host_suite_threads;
extern const struct host_suite host_suite_large_threads;

const struct host_suite *const host_suites[] = {
	&host_suite_string,
	&host_suite_printf,
	&host_suite_cmdline,
	&host_suite_memory_map,
	&host_suite_boot_allocator,
	&host_suite_buddy,
	&host_suite_buddy_misuse,
	&host_suite_buddy_check,
	&host_suite_memory_allocators,
	&host_suite_tree,
	&host_suite_large,
	&host_suite_threads,
	&host_suite_large_threads,
	NULL,
};
