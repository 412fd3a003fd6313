/* SPDX-License-Identifier: MIT */
/*
 * Stacks of programs: growing, and what keeps them from growing into something else.
 *
 * PROBLEM. A stack is to be as large as it turns out to be. But a stack that runs into the
 * memory below it destroys that without a sign, or is made to by an attacker (the "Stack Clash",
 * Qualys 2017).
 *
 * IDEA. The region of a stack begins small and grows when the program touches what is below it,
 * down to its limit. Below it a gap is kept free, wide enough that code which moves its stack
 * pointer by less than that cannot jump over it:
 *
 *	  other    guard gap       may grow        stack
 *	 [......)| STACK_GUARD |                 |[......)  top
 *	           OVERFLOW     ^lowest  DONE     ^region_start
 *
 * An access in the guard gap, or at a place to which the stack cannot grow because something
 * else is too near, is an overflow: the program's stack is too small or it recurses without end,
 * which is worth telling apart from a wild pointer. The gap below is also left by those who look
 * for a free place.
 *
 * LOCKING. space->lock.
 */
#include <errno.h>

#include "space_internal.h"

static uintptr_t
guard_size(const struct address_space *space)
{
	return space->guard_stack ? STACK_GUARD : 0;
}

/* Does something lie so near below start that the stack must not begin there? */
static bool
is_too_near(struct address_space *space, const struct region *stack, uintptr_t start)
{
	struct region *below = region_prev(stack);
	uintptr_t gap = guard_size(space);

	if (below && (below->prot == PROT_NONE || (below->flags & MAP_GROWSDOWN)))
		gap = 0;
	return below && region_end(below) + gap > start;
}

enum fault_result
stack_grow(struct address_space *space, uintptr_t address, struct region **region)
{
	struct region *stack = region_find_from(space, address);
	uintptr_t start = ALIGN_DOWN(address, PAGE_SIZE);
	size_t pages;

	assert_space_locked(space);
	if (!stack || !(stack->flags & MAP_GROWSDOWN))
		return FAULT_MAPERR;
	if (start + guard_size(space) < stack->lowest)
		return FAULT_MAPERR;
	if (start < stack->lowest)
		return guard_size(space) ? FAULT_OVERFLOW : FAULT_MAPERR;
	if (is_too_near(space, stack, start))
		return FAULT_OVERFLOW;
	pages = region_pages(stack);
	region_grow_down(stack, start);
	space_count_mapped(space, (int64_t)(region_pages(stack) - pages));
	space->stats.faults_stack++;
	*region = stack;
	return FAULT_DONE;
}

uintptr_t
stack_clear_end(struct address_space *space, uintptr_t start, uintptr_t end)
{
	struct region *above = region_find_from(space, end);
	uintptr_t limit;

	(void)start;
	if (!above || !(above->flags & MAP_GROWSDOWN))
		return end;
	limit =
	    region_start(above) > guard_size(space) ? region_start(above) - guard_size(space) : 0;
	return MIN(end, limit);
}

void
space_guard_stack(struct address_space *space, bool guard)
{
	mutex_lock(&space->lock);
	space->guard_stack = guard;
	mutex_unlock(&space->lock);
}

struct address_space *(*space_of_process)(int pid);

static int
set_protection(int pid, bool guard)
{
	struct address_space *space = space_of_process ? space_of_process(pid) : NULL;

	if (!space)
		return -ESRCH;
	space_guard_stack(space, guard);
	space_put(space);
	return 0;
}

int
enable_stack_protection(int pid)
{
	return set_protection(pid, true);
}

int
disable_stack_protection(int pid)
{
	return set_protection(pid, false);
}
