/* SPDX-License-Identifier: MIT */
/* What the files of libguard share. The theory is in guard.c. */
#ifndef LIBGUARD_INTERNAL_H
#define LIBGUARD_INTERNAL_H

#include "libguard.h"

#include <stdbool.h>
#include <stdint.h>

#define PAGE 4096ul

#define FILL_RED   0xc3 /* beside an object */
#define FILL_FRESH 0x5a /* in one that was not written to yet */

enum record_state { UNUSED, LIVE, QUARANTINED, FREE };

/* What is known of a span, and of the object that is, or was last, in it. All under guard_lock().
 */
struct record {
	enum record_state state;
	uint32_t next; /* in the quarantine or a list of free spans */
	size_t pages;  /* of the span, without its guard page */
	char *span;    /* the first of them */
	char *object;  /* [object, object + size) is the program's */
	size_t size;
	const void *allocated_at, *freed_at;
};

void guard_lock(void);
void guard_unlock(void);

/* ---- arena.c: where spans come from ---------------------------------------------------------- */

/* A span of so many pages, none of which can be accessed; NULL for want of memory. */
struct record *span_take(size_t pages);

/* Nobody may access it any more, and after a while it is handed out again. */
void span_quarantine(struct record *record);

/* The record of the span that holds an address, or NULL. A guard page is in none. */
struct record *span_of(const void *address);

/* Is it in the arena at all? */
bool in_arena(const void *address);

/* Let the pages of [from, to) be read and written. Returns false for want of memory. */
bool pages_show(char *from, char *to);

/* The records that there are, from 1 on; NULL behind the last. */
struct record *record_at(uint32_t number);

/* ---- report.c -------------------------------------------------------------------------------- */

/* Tell of it; returns only if guard_on_report() wants that. Not locked. */
void report(const struct guard_report *report);

/* Have faults in the arena explained. Once. */
void report_faults(void);

#endif
