/* SPDX-License-Identifier: MIT */
/* Which address spaces a CPU keeps translations of: see pcid.c. */
#ifndef X86_PCID_H
#define X86_PCID_H

#include <types.h>

#define PCID_SLOTS 6
#define PCID_NONE  PCID_SLOTS /* in place of a slot: the kernel's own tables */

struct pcid_slot {
	uint64_t space; /* its id; 0: none */
	uint64_t seen;	/* the CPU has forgotten what the first so many flushes were about */
};

/* One for each CPU, which alone touches it, with interrupts off. */
struct pcid_slots {
	struct pcid_slot slot[PCID_SLOTS];
	unsigned loaded; /* the slot whose tables the CPU uses, or PCID_NONE */
	unsigned next;	 /* the slot that the next newcomer gets */
};

/* The identifier of a slot. 0 is that of the kernel's own tables. */
static inline uint64_t
pcid_of_slot(unsigned slot)
{
	return slot + 1;
}

#define PCID_SLOTS_INIT                                                                            \
	{                                                                                          \
		.loaded = PCID_NONE                                                                \
	}

/*
 * The CPU is about to use the tables of a space of which so many flushes have been asked for, from
 * slots->loaded. Returns whether it must forget all that it knows under that identifier.
 */
bool pcid_load(struct pcid_slots *slots, uint64_t space, uint64_t flushes) __must_check;

/* The CPU is about to use the kernel's own tables. */
void pcid_unload(struct pcid_slots *slots);

enum pcid_work {
	PCID_NOTHING,
	PCID_PAGES, /* forget the pages that the flush is about */
	PCID_ALL,   /* forget everything of the tables that are loaded */
};

/* What must this CPU do for a space's flush of that number? It is taken to do it. */
enum pcid_work pcid_flush(struct pcid_slots *slots, uint64_t space, uint64_t flush) __must_check;

/* Whatever is not loaded must be forgotten before it is loaded again. */
void pcid_forget_others(struct pcid_slots *slots);

#endif
