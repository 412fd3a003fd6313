/* SPDX-License-Identifier: MIT */
/*
 * Clocks and timers of programs, as time_calls.c and timers.c see them. Times are ns.
 *
 * All clocks but those of processor time follow time_ns(): the time of day is that plus what the
 * battery clock said at the start, or what clock_settime() has made of it.
 */
#ifndef CLOCKS_H
#define CLOCKS_H

#include <abi/time.h>
#include <time.h>

#include "user.h"

struct abi_timespec to_timespec(uint64_t ns);
struct abi_timeval to_timeval(uint64_t ns);

/* 0, -EFAULT or -EINVAL; what would overflow is for ever. */
int read_timespec(uintptr_t from, uint64_t *ns) __must_check;

/* The time_ns() that is ns from now, or a time of day is, or was. */
uint64_t from_now(uint64_t ns);
uint64_t time_limit(uint64_t until); /* that of the call before, if this is it again */
uint64_t from_wall_clock(uint64_t wall_ns);

/* What a clock says that measures processor time: of the running thread or process, or that of
 * the number which clock_getcpuclockid() put into it. Returns false if there is no such clock. */
bool clock_is_cpu_time(int clock);
bool cpu_clock_read_locked(int clock, uint64_t *ns);

/* The time of day was set: what waits for one looks at it again. timers.c */
void timers_wall_clock_set_locked(void);

#endif
