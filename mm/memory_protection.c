/* SPDX-License-Identifier: MIT */
/*
 * Protection: what a program may do with its memory, and what it denies itself.
 *
 * PROBLEM. An attacker who can write to memory that is then executed has won. And one part of a
 * program may be trusted with data that the rest of it must not touch, while changing the rights
 * of pages for each step between the two would cost a system call and every CPU's translations.
 *
 * IDEA. Three walls, each of them thinner and faster than the one before:
 *
 *	region      prot        what mmap() and mprotect() gave           a call, and a flush
 *	W^X         prot        never both writable and executable,       checked in that call
 *	                        unless one call asked for both
 *	key         rights      16 colours for pages; each thread denies  one instruction
 *	                        itself to read or write those of a colour
 *
 *	  page --> [key 3 | frame | r w -]          thread A  keys 0 . . . . .
 *	                 `--- may I? ---------------------->  key 3: no write     SEGV_PKUERR
 *	                                             thread B  key 3: all
 *
 * W^X. The kernel never makes memory writable and executable of its own: a page is both only if
 * a single call, or a segment of the program's file, asked for PROT_WRITE | PROT_EXEC, as programs
 * do that compile while they run. A process may give that up for ever, for itself and all that
 * comes from it: prctl(PR_SET_MDWE), or mm.strict_wx=1 for all of them. Then such calls fail, and
 * so does giving the right to execute to memory that did not have it.
 *
 * KEYS are numbers that a space gives out: key 0 is that of all memory at first. What a thread
 * denies itself is a register of its own (WRPKRU, in user mode), which the processor compares at
 * every access to data, the kernel's on the program's behalf included: a system call cannot read
 * what its caller may not. Where the processor has no keys none can be allocated.
 *
 * MEMORY THAT IS ONLY EXECUTED. Page tables cannot say so: what may be executed may be read. With
 * keys they can: PROT_EXEC alone gets a key to which all threads deny themselves access, as
 * fetching instructions asks no key.
 *
 * LOCKING. space->lock.
 */
#include <cmdline.h>
#include <errno.h>

#include "space_internal.h"

#define PROT_ALL (PROT_READ | PROT_WRITE | PROT_EXEC)

static uint64_t strict_wx;
TUNABLE(strict_wx, "mm.strict_wx", 0, 1,
	"1: no memory of a program becomes executable that was writable, even if it asks");

void
protection_init(struct address_space *space)
{
	space->keys = arch_nr_keys() > 1;
	space->no_exec_gain = strict_wx;
}

/* ---- W^X --------------------------------------------------------------------------------- */

/* May a region get these rights? */
static inline bool
may_get(const struct region *region, unsigned prot)
{
	return !(prot & ~region->max_prot) &&
	       (likely(!region->space->no_exec_gain) || !gains_exec(region->prot, prot));
}

void
space_refuse_exec_gain(struct address_space *space)
{
	mutex_lock(&space->lock);
	space->no_exec_gain = true;
	mutex_unlock(&space->lock);
}

bool
space_refuses_exec_gain(struct address_space *space)
{
	return __atomic_load_n(&space->no_exec_gain, __ATOMIC_RELAXED);
}

/* ---- Keys -------------------------------------------------------------------------------- */

bool
key_denies(unsigned key, enum fault_access access)
{
	unsigned denied = arch_key_denied(key);

	if (access == FAULT_EXEC)
		return false;
	return (denied & KEY_NO_ACCESS) || (access == FAULT_WRITE && (denied & KEY_NO_WRITE));
}

static int
key_alloc_locked(struct address_space *space)
{
	assert_space_locked(space);
	for (unsigned key = 0; key < arch_nr_keys(); key++) {
		if (space->keys & 1u << key)
			continue;
		space->keys |= (uint16_t)(1u << key);
		return (int)key;
	}
	return -ENOSPC;
}

int
space_key_alloc(struct address_space *space)
{
	int key;

	if (arch_nr_keys() == 1)
		return -EINVAL;
	mutex_lock(&space->lock);
	key = key_alloc_locked(space);
	mutex_unlock(&space->lock);
	return key;
}

/* Is it one that the program was given? The one of memory that is only executed is not. */
static bool
is_given(const struct address_space *space, int key)
{
	return key >= 0 && key < (int)arch_nr_keys() && (space->keys & 1u << key) &&
	       (key == 0 || key != space->exec_key);
}

/* Pages that have it keep it, as Linux has it: who frees a key has seen to them. */
int
space_key_free(struct address_space *space, int key)
{
	int error = 0;

	mutex_lock(&space->lock);
	if (is_given(space, key))
		space->keys &= (uint16_t) ~(1u << key);
	else
		error = -EINVAL;
	mutex_unlock(&space->lock);
	return error;
}

unsigned
exec_only_key(struct address_space *space)
{
	if (!space->exec_key) {
		int key = key_alloc_locked(space);

		if (key <= 0) /* none is left, or the program has freed key 0 */
			return 0;
		space->exec_key = (uint8_t)key;
	}
	arch_key_deny(space->exec_key, KEY_NO_ACCESS);
	return space->exec_key;
}

/* The key of a region that gets these rights, and is to have that key or none in particular. */
static inline unsigned
key_for(struct address_space *space, const struct region *region, unsigned prot, int wanted)
{
	unsigned now = region_key(region), exec_only = 0;

	if (wanted != NO_KEY)
		return (unsigned)wanted;
	if (unlikely(prot == PROT_EXEC))
		exec_only = exec_only_key(space);
	else if (now == space->exec_key)
		return 0;
	return exec_only ? exec_only : now;
}

/* ---- Changing ---------------------------------------------------------------------------- */

/*
 * Up to where may [start, *end) have these rights? As Linux has it, what lies before the first
 * hole, or the first region that must not have them, gets them all the same: *end is that place,
 * and the result is what is to be said about it.
 */
static int
may_protect(struct address_space *space, uintptr_t start, uintptr_t *end, unsigned prot)
{
	struct region *region = region_find(space, start);
	uintptr_t at = start;

	if (has_too_many_regions(space, 2)) {
		*end = start;
		return -ENOMEM;
	}
	for (; at < *end && region && region_start(region) <= at; region = region_next(region)) {
		if (!may_get(region, prot)) {
			*end = at;
			return -EACCES;
		}
		at = region_end(region);
	}
	if (at >= *end)
		return 0;
	*end = at;
	return -ENOMEM;
}

static void
protect_locked(struct address_space *space, uintptr_t start, uintptr_t end, unsigned prot, int key,
	       struct region_spares *spares, struct list_head *dead)
{
	struct region *region;
	struct gather gather;
	unsigned rights;

	if (spares->nr > 0)
		regions_cut(space, start, end, spares);
	gather_begin(&gather, space);
	for (region = region_find(space, start); region && region_start(region) < end;
	     region = region_next(region)) {
		rights = prot_rights(prot, key_for(space, region, prot, key));
		if (region->prot == prot && region->rights == rights)
			continue;
		region->prot = prot;
		region->rights = rights;
		protect_pages(&gather, region);
	}
	gather_end(&gather);
	regions_merge(space, start, end, dead);
}

int
space_protect_key(struct address_space *space, uintptr_t start, size_t length, unsigned prot,
		  int key)
{
	struct region_spares spares = { .nr = 0 };
	struct list_head dead = LIST_INIT(dead);
	uintptr_t end = start;
	int error = -EINVAL;

	if (!IS_ALIGNED(start, PAGE_SIZE) || (prot & ~(unsigned)PROT_ALL))
		return -EINVAL;
	if (length == 0)
		return 0;
	if (space_check_range(start, &length) != 0)
		return -ENOMEM;
	mutex_lock(&space->lock);
	if (key == NO_KEY || is_given(space, key)) {
		end = start + length;
		error = may_protect(space, start, &end, prot);
	}
	if (end > start && regions_reserve(&spares, regions_cuts(space, start, end)) != 0)
		error = -ENOMEM;
	else if (end > start)
		protect_locked(space, start, end, prot, key, &spares, &dead);
	mutex_unlock(&space->lock);
	regions_release(&spares);
	regions_bury(&dead);
	return error;
}

int
space_protect(struct address_space *space, uintptr_t start, size_t length, unsigned prot)
{
	return space_protect_key(space, start, length, prot, NO_KEY);
}

int
set_memory_protection(void *addr, size_t size, protection_flags_t flags)
{
	struct address_space *space = space_running();
	int error;

	if (!space)
		return -ESRCH;
	error =
	    space_protect_key(space, (uintptr_t)addr, size, flags & 0xff, PROTECTION_KEY_OF(flags));
	space_put(space);
	return error;
}
