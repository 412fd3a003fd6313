/* SPDX-License-Identifier: MIT */
/* mremap(): growing, shrinking, moving. */
#include "ktap.h"

/* Pages whose first bytes are 1, 2, 3 ... */
static char *
numbered(int pages)
{
	char *memory = map(pages);

	for (int i = 0; i < pages; i++)
		memory[i * PAGE] = i + 1;
	return memory;
}

static bool
holds_numbers(const char *memory, int pages)
{
	for (int i = 0; i < pages; i++) {
		if (memory[i * PAGE] != i + 1)
			return false;
	}
	return true;
}

CASE(shrinking)
{
	char *memory = numbered(5);

	is(mremap(memory, 5 * PAGE, 2 * PAGE, 0), memory);
	yes(holds_numbers(memory, 2));
	faults(READ, memory + 2 * PAGE, SIGSEGV, SEGV_MAPERR);
	faults(READ, memory + 4 * PAGE, SIGSEGV, SEGV_MAPERR);
}

CASE(growing_in_place)
{
	char *memory = numbered(6);

	is(munmap(memory + 2 * PAGE, 4 * PAGE), 0);
	is(mremap(memory, 2 * PAGE, 6 * PAGE, 0), memory);
	yes(holds_numbers(memory, 2));
	is(memory[2 * PAGE], 0);
	is(memory[6 * PAGE - 1], 0);
	allowed(WRITE, memory + 5 * PAGE);
}

CASE(no_room_to_grow)
{
	char *memory = numbered(4);

	/* The next page belongs to another mapping. */
	is(mprotect(memory + 2 * PAGE, 2 * PAGE, PROT_READ), 0);
	fails(mremap(memory, 2 * PAGE, 3 * PAGE, 0), ENOMEM);
	yes(holds_numbers(memory, 4));
}

CASE(moving_to_grow)
{
	char *memory = numbered(4), *moved;

	is(mprotect(memory + 2 * PAGE, 2 * PAGE, PROT_READ), 0);
	moved = mremap(memory, 2 * PAGE, 8 * PAGE, MREMAP_MAYMOVE);
	need(moved != MAP_FAILED);
	yes(moved != memory);
	yes(holds_numbers(moved, 2));
	is(moved[2 * PAGE], 0);
	allowed(WRITE, moved + 8 * PAGE - 1);
	faults(READ, memory, SIGSEGV, SEGV_MAPERR);
	is(memory[2 * PAGE], 3);
}

CASE(to_a_place_of_choice)
{
	char *memory = numbered(3), *place = map(3);

	place[0] = place[2 * PAGE] = 99;
	is(mremap(memory, 3 * PAGE, 3 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place), place);
	yes(holds_numbers(place, 3));
	faults(READ, memory, SIGSEGV, SEGV_MAPERR);
}

CASE(the_middle_of_a_mapping)
{
	char *memory = numbered(5), *place = map(1);

	is(mremap(memory + 2 * PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place), place);
	is(*place, 3);
	is(memory[PAGE], 2);
	faults(READ, memory + 2 * PAGE, SIGSEGV, SEGV_MAPERR);
	is(memory[3 * PAGE], 4);
}

CASE(what_moves_keeps_its_rights)
{
	char *memory = numbered(2), *moved;

	is(mprotect(memory, 2 * PAGE, PROT_READ), 0);
	moved = mremap(memory, 2 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
	need(moved != MAP_FAILED);
	yes(holds_numbers(moved, 2));
	faults(WRITE, moved, SIGSEGV, SEGV_ACCERR);
	faults(WRITE, moved + 63 * PAGE, SIGSEGV, SEGV_ACCERR);
}

CASE(a_file_mapping_grows_into_the_file)
{
	int fd = file_of(4);
	char *memory = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);

	need(memory != MAP_FAILED);
	memory = mremap(memory, PAGE, 5 * PAGE, MREMAP_MAYMOVE);
	need(memory != MAP_FAILED);
	yes(holds_numbers(memory, 4));
	faults(READ, memory + 4 * PAGE, SIGBUS, BUS_ADRERR);
}

CASE(a_shared_mapping_doubled)
{
	char *memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *twin;

	need(memory != MAP_FAILED);
	/* An old length of 0 makes a second mapping of the same pages. */
	twin = mremap(memory, 0, PAGE, MREMAP_MAYMOVE);
	need(twin != MAP_FAILED);
	*memory = 5;
	is(*twin, 5);
	*twin = 6;
	is(*memory, 6);
}

CASE(bad_arguments)
{
	char *memory = numbered(4);

	fails(syscall(SYS_mremap, memory + 1, PAGE, PAGE, 0), EINVAL);
	fails(syscall(SYS_mremap, memory, PAGE, 0, 0), EINVAL);
	fails(syscall(SYS_mremap, memory, PAGE, PAGE, 64), EINVAL);
	fails(syscall(SYS_mremap, memory, PAGE, PAGE, MREMAP_FIXED, memory + PAGE), EINVAL);
	fails(syscall(SYS_mremap, memory, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		      memory + PAGE),
	      EINVAL);
	fails(syscall(SYS_mremap, memory, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, 123), EINVAL);
	fails(syscall(SYS_mremap, memory, 0, PAGE, MREMAP_MAYMOVE), EINVAL);
	is(munmap(memory + PAGE, PAGE), 0);
	fails(mremap(memory + PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EFAULT);
	fails(mremap(memory, 2 * PAGE, 4 * PAGE, MREMAP_MAYMOVE), EFAULT);
	is(memory[0], 1);
}
