/* SPDX-License-Identifier: MIT */
/* The types, units and small macros that every file shares. */
#ifndef IKOS_TYPES_H
#define IKOS_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t paddr_t; /* physical address, bytes */
typedef uint64_t pfn_t;	  /* page frame number: paddr_t >> PAGE_SHIFT */

#define PAGE_SHIFT 12
#define PAGE_SIZE  (1ul << PAGE_SHIFT)

#define KiB(n) ((uint64_t)(n) << 10)
#define MiB(n) ((uint64_t)(n) << 20)
#define GiB(n) ((uint64_t)(n) << 30)

#define NSEC_PER_SEC  1000000000ull
#define NSEC_PER_MSEC 1000000ull
#define NSEC_PER_USEC 1000ull

/* Both take a power of two. */
#define ALIGN_DOWN(x, a) ((x) & ~((__typeof__(x))(a)-1))
#define ALIGN_UP(x, a)	 ALIGN_DOWN((x) + ((__typeof__(x))(a)-1), a)
#define IS_ALIGNED(x, a) (((x) & ((__typeof__(x))(a)-1)) == 0)

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#define STRINGIFY_(x) #x
#define STRINGIFY(x)  STRINGIFY_(x)

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/*
 * The same pointer; but the compiler keeps it in a register, and does not work out the address
 * anew for each field that is used.
 */
static inline void *
computed(void *pointer)
{
	__asm__("" : "+r"(pointer));
	return pointer;
}

/* Inline all that the function calls: for hot paths made of small functions. */
#define __flatten __attribute__((flatten))

#define __must_check   __attribute__((warn_unused_result))
#define __format(f, a) __attribute__((format(printf, f, a)))

/* gcc emits static variables in the reverse of the source's order; clang has no such word. */
#if __has_attribute(no_reorder)
#define __in_order no_reorder
#else
#define __in_order
#endif

/*
 * Place a table entry in the section that collects the table, in the order of the source.
 * The alignment is spelled out because gcc gives larger objects more than they need, which
 * would leave gaps.
 */
#define __section(name) __attribute__((used, __in_order, section(name), aligned(8)))

#endif
