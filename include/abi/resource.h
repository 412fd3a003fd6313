/* SPDX-License-Identifier: MIT */
/* Limits and usage of resources, and time: Linux's numbers and layouts on x86-64. */
#ifndef IKOS_ABI_RESOURCE_H
#define IKOS_ABI_RESOURCE_H

#include <types.h>

#define RLIMIT_CPU	  0
#define RLIMIT_FSIZE	  1
#define RLIMIT_DATA	  2
#define RLIMIT_STACK	  3
#define RLIMIT_CORE	  4
#define RLIMIT_NPROC	  6
#define RLIMIT_NOFILE	  7
#define RLIMIT_MEMLOCK	  8
#define RLIMIT_AS	  9
#define RLIMIT_SIGPENDING 11
#define NR_RLIMITS	  16

#define RLIM_INFINITY UINT64_MAX

struct abi_rlimit {
	uint64_t current, max;
};

struct abi_timespec {
	int64_t sec, nsec;
};

struct abi_timeval {
	int64_t sec, usec;
};

struct abi_itimerval {
	struct abi_timeval interval, value;
};

#define RUSAGE_SELF	0
#define RUSAGE_CHILDREN (-1)
#define RUSAGE_THREAD	1

struct abi_rusage {
	struct abi_timeval user, system;
	int64_t maxrss, ixrss, idrss, isrss, minflt, majflt, nswap, inblock, oublock, msgsnd,
	    msgrcv, nsignals, nvcsw, nivcsw;
};

#define USER_HZ 100 /* of times() and /proc */

#endif
