/* SPDX-License-Identifier: MIT */
/*
 * Checkers: functions that recompute what a subsystem believes and return how many
 * contradictions they found, which they have printed. mm_check() runs all that are declared.
 */
#ifndef IKOS_CHECKER_H
#define IKOS_CHECKER_H

#include <types.h>

struct checker {
	unsigned (*check)(void); /* from a thread that may sleep and holds no spin lock */
};

#define MM_CHECKER(ident, check_function)                                                          \
	static const struct checker ident##_checker __section("mm_checkers") = { check_function }

#endif
