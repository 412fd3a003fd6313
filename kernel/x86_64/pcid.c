/* SPDX-License-Identifier: MIT */
/*
 * Process-context identifiers: translations that outlast a switch of address spaces.
 *
 * PROBLEM. Without them, loading CR3 makes a processor forget all translations of programs, and
 * whoever comes back has to have his tables walked again. With them, it notes with each translation
 * the identifier that was in CR3, uses only those of the present one, and forgets at a load only
 * when asked to. But then a CPU that has left a space still knows things about it, and must not
 * believe them for ever.
 *
 * IDEA. Nobody interrupts a CPU for a space that it does not use: it learns of what it missed when
 * it comes back. Flushes of a space are counted, in the space. Each CPU has a few slots, each with
 * an identifier of its own, and notes in them how many flushes it has seen:
 *
 *	space 7: 5 flushes         CPU 0  slot 0: space 7, seen 5   loaded: is interrupted
 *	                           CPU 1  slot 0: space 9, seen 2   loaded
 *	                                  slot 1: space 7, seen 4   forgets all when it is loaded
 *
 * There are 4096 identifiers but only a few slots: what a CPU did not use for that long has left
 *its TLB anyway. Newcomers take the slots in turns.
 *
 * WHY NOTHING IS MISSED. Who changes tables then adds 1 to the count, and then reads which CPUs use
 * the space. Who begins to use it enters itself there, and then reads the count. So one of
 * the two sees the other: the CPU is interrupted, or it finds that it has missed a flush. Both may
 * happen, and flushes of several CPUs may come in any order: so a CPU that is to do flush n forgets
 * single pages only if it has seen n - 1, and everything if it is further behind.
 *
 * Ids of spaces are never used again, so what a slot says of a space that is gone cannot be taken
 * for something else. Two spaces of one slot never meet either: its newcomer begins with nothing.
 *
 * The kernel's pages are global, and translations of them do not belong to an identifier. But what
 * a processor remembers of its tables does, and INVLPG only drops what belongs to the one that is
 * loaded; so after a flush of kernel pages, which may free tables, all others are given up.
 *
 * Nothing here touches the processor: shootdown.c does what this says. So it can be tested on
 * machines that have no such identifiers.
 *
 * Source: Intel SDM vol. 3, 4.10.1 (PCIDs), 4.10.4.1 (what invalidates what).
 */
#include "pcid.h"

bool
pcid_load(struct pcid_slots *slots, uint64_t space, uint64_t flushes)
{
	struct pcid_slot *slot;
	bool stale;
	unsigned i;

	for (i = 0; i < PCID_SLOTS && slots->slot[i].space != space; i++)
		;
	if (i == PCID_SLOTS) {
		i = slots->next;
		slots->next = (i + 1) % PCID_SLOTS;
	}
	slot = &slots->slot[i];
	stale = slot->space != space || slot->seen != flushes;
	*slot = (struct pcid_slot){ space, flushes };
	slots->loaded = i;
	return stale;
}

void
pcid_unload(struct pcid_slots *slots)
{
	slots->loaded = PCID_NONE;
}

enum pcid_work
pcid_flush(struct pcid_slots *slots, uint64_t space, uint64_t flush)
{
	struct pcid_slot *slot = &slots->slot[slots->loaded];
	enum pcid_work work;

	/* It may have left since it was asked: then it finds out when it comes back. */
	if (slots->loaded == PCID_NONE || slot->space != space || slot->seen >= flush)
		return PCID_NOTHING;
	work = slot->seen + 1 == flush ? PCID_PAGES : PCID_ALL;
	slot->seen = flush;
	return work;
}

void
pcid_forget_others(struct pcid_slots *slots)
{
	for (unsigned i = 0; i < PCID_SLOTS; i++) {
		if (i != slots->loaded)
			slots->slot[i].space = 0;
	}
}
