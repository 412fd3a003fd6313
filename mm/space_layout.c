/* SPDX-License-Identifier: MIT */
/*
 * Where the parts of a new program's address space go.
 *
 * PROBLEM. An attacker who can make a program jump, or write, must know where to. In a program
 * whose parts always lie at the same addresses one leaked or guessed number is enough.
 *
 * IDEA. Draw all places anew for each program that begins, each from a number of its own, so
 * that one that leaked tells nothing of the others:
 *
 *	  program        heap               mappings              stack
 *	 [text data)....[ ) -->          <-- [  )............<-- [    )........| USER_WINDOW
 *	 ^          2^18 pages      map_top ^    2^28 pages       ^  2^22 pages
 *	 2^28 pages                          + limit of the stack  + 2^9 steps of 16 bytes below
 *	 (if it can lie anywhere)
 *
 * Each place is a base plus a whole number of pages below a power of two, so that all its bits are
 * equally likely and none depends on another. The spreads are at least Linux's. There is no place
 * where the kernel shows code of its own to programs (a "vDSO"), so none has to be hidden.
 *
 * A program that wants addresses that do not change asks for LAYOUT_FIXED: personality(2), as
 * debuggers do; a run with seed= gets the same random numbers, and so the same places, each time.
 *
 * (Address space layout randomisation: PaX project, 2001; Shacham and others, "On the Effectiveness
 * of Address-Space Randomization", CCS 2004, on how many bits it takes.)
 */
#include <address_space.h>

#define PROGRAM_BASE 0x555555554000ul /* two thirds of the way up: far from heap and mappings */

#define PROGRAM_BITS 28 /* pages */
#define MAP_BITS     28 /* pages */
#define STACK_BITS   22 /* pages */
#define STEP_BITS    9	/* steps of 16 bytes */
#define HEAP_BITS    18 /* pages */

#define STACK_ROOM MiB(128) /* for a stack whose limit is raised later */

/* One of 2^bits multiples of unit. */
static uintptr_t
draw(uint64_t (*random)(void), unsigned bits, uintptr_t unit)
{
	return (random() & ((1ul << bits) - 1)) * unit;
}

void
space_choose_layout(struct space_layout *layout, enum layout_kind kind, size_t stack_limit,
		    uint64_t (*random)(void))
{
	*layout = (struct space_layout){ .program = PROGRAM_BASE, .stack_top = USER_WINDOW };
	if (kind >= LAYOUT_RANDOM) {
		layout->program += draw(random, PROGRAM_BITS, PAGE_SIZE);
		layout->stack_top -= draw(random, STACK_BITS, PAGE_SIZE);
		layout->stack_offset = draw(random, STEP_BITS, 16);
	}
	layout->map_top = layout->stack_top - MAX(stack_limit, STACK_ROOM) - STACK_GUARD;
	if (kind >= LAYOUT_RANDOM)
		layout->map_top -= draw(random, MAP_BITS, PAGE_SIZE);
	if (kind >= LAYOUT_RANDOM_HEAP)
		layout->heap_offset = draw(random, HEAP_BITS, PAGE_SIZE);
}
