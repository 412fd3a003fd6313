/* SPDX-License-Identifier: MIT */
/* Clocks and timers: Linux's numbers. The structures are in <abi/resource.h>. */
#ifndef IKOS_ABI_TIME_H
#define IKOS_ABI_TIME_H

#include <abi/resource.h>

#define CLOCK_REALTIME	       0
#define CLOCK_MONOTONIC	       1
#define CLOCK_PROCESS_CPUTIME  2
#define CLOCK_THREAD_CPUTIME   3
#define CLOCK_MONOTONIC_RAW    4
#define CLOCK_REALTIME_COARSE  5
#define CLOCK_MONOTONIC_COARSE 6
#define CLOCK_BOOTTIME	       7

/* The running process's time in user mode: one of the clocks that clock_getcpuclockid() gives. */
#define CLOCK_PROCESS_USER (~0 * 8 + 1)

#define TIMER_ABSTIME 1

#define ITIMER_REAL    0
#define ITIMER_VIRTUAL 1
#define ITIMER_PROF    2
#define NR_ITIMERS     3

#endif
