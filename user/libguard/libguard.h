/* SPDX-License-Identifier: MIT */
/*
 * libguard: an allocator that finds misuse of the heap. Link it into a program, before the C
 * library: malloc(), free() and their relatives are then these.
 *
 * What it finds, and when:
 *
 *	a byte written within 64 of an object      at once, or when the object is freed, or by
 *	                                           guard_check()
 *	a byte read within 64 behind an object     at once, but for up to 15 bytes that align it
 *	anything done to an object that was freed  at once, while it is in quarantine
 *	a pointer freed that is no object, twice,  at once
 *	or with the wrong size
 *
 * The report on stderr names the object, the offset, and who allocated and freed it; then the
 * program is aborted, or ended by the signal of its access.
 */
#ifndef LIBGUARD_H
#define LIBGUARD_H

#include <stddef.h>

#define PR_HEAP_GUARD 0x494b0001 /* IKOS; Linux does not know it, and need not */

#define GUARD_ZONE 64 /* bytes beside an object that are watched */

enum guard_kind {
	GUARD_ZONE_BEFORE,   /* a byte before an object was overwritten */
	GUARD_ZONE_AFTER,    /* a byte behind it */
	GUARD_ACCESS_BEFORE, /* an access in the page before */
	GUARD_ACCESS_AFTER,  /* in the page behind */
	GUARD_USED_AFTER_FREE,
	GUARD_DOUBLE_FREE,
	GUARD_INTERIOR,	  /* a pointer into an object is freed */
	GUARD_FOREIGN,	  /* a pointer to nothing that was allocated */
	GUARD_WRONG_SIZE, /* freed with another size than it was allocated with */
};

struct guard_report {
	enum guard_kind kind;
	const void *object; /* or the pointer, if it is none */
	size_t size;
	ptrdiff_t offset;  /* from the object, of the byte or pointer; or the wrong size */
	unsigned char now; /* what an overwritten byte holds */
	const void *allocated_at, *freed_at; /* return addresses, or NULL */
};

/* Look at all objects in use. Reports what it finds, and returns how many are damaged. */
unsigned guard_check(void);

/*
 * Have reports go to fn instead. If it returns, the call goes on as well as it can: what was freed
 * wrongly is not freed. An access that faulted is made again.
 */
void guard_on_report(void (*fn)(const struct guard_report *report));

/* How many objects are in use. */
size_t guard_objects(void);

/* C23: free(), when the size or alignment that was asked for is known. */
void free_sized(void *object, size_t size);
void free_aligned_sized(void *object, size_t alignment, size_t size);

#endif
