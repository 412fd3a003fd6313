/* SPDX-License-Identifier: MIT */
/* futex(): Linux's numbers. */
#ifndef IKOS_ABI_FUTEX_H
#define IKOS_ABI_FUTEX_H

#define FUTEX_WAIT	  0
#define FUTEX_WAKE	  1
#define FUTEX_REQUEUE	  3
#define FUTEX_CMP_REQUEUE 4
#define FUTEX_WAIT_BITSET 9
#define FUTEX_WAKE_BITSET 10

#define FUTEX_OPERATION	     0x7f
#define FUTEX_PRIVATE	     0x80
#define FUTEX_CLOCK_REALTIME 0x100

#define FUTEX_BITSET_ALL 0xffffffffu

/* In the word of a robust lock. */
#define FUTEX_WAITERS	 0x80000000u
#define FUTEX_OWNER_DIED 0x40000000u
#define FUTEX_TID_MASK	 0x3fffffffu

#endif
