/* SPDX-License-Identifier: MIT */
/* What is read from a descriptor for signals: Linux's layout. */
#ifndef IKOS_ABI_SIGNALFD_H
#define IKOS_ABI_SIGNALFD_H

#include <types.h>

struct abi_signalfd_siginfo {
	uint32_t signo;
	int32_t error, code;
	uint32_t pid, uid;
	int32_t fd; /* SIGIO */
	uint32_t timer;
	uint32_t band; /* SIGIO */
	uint32_t overrun;
	uint32_t trap;
	int32_t status;
	int32_t value_int; /* the lower half of value */
	uint64_t value;
	uint64_t user_ticks, system_ticks;
	uint64_t address;
	uint8_t bytes[48]; /* of machine checks and SIGSYS, and for later */
};
_Static_assert(sizeof(struct abi_signalfd_siginfo) == 128, "Linux's layout");

#endif
