/* SPDX-License-Identifier: MIT */
/* The monotonic clock. */
#ifndef IKOS_TIME_H
#define IKOS_TIME_H

#include <types.h>

/*
 * Nanoseconds since boot; the same on all CPUs. Under an emulator that counts
 * instructions (-icount shift=0) one instruction is one nanosecond, on any host.
 */
uint64_t time_ns(void);

/* Wait at least that long without giving up the CPU. For device polling and tests. */
void time_spin_ns(uint64_t ns);

#endif
