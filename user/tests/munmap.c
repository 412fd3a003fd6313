/* SPDX-License-Identifier: MIT */
/* munmap(): of the whole, of a part, of nothing, of what several mappings make up. */
#include "ktap.h"

CASE(a_whole_mapping)
{
	char *memory = map(4);

	memset(memory, 1, 4 * PAGE);
	is(munmap(memory, 4 * PAGE), 0);
	for (int i = 0; i < 4; i++)
		faults(READ, memory + i * PAGE, SIGSEGV, SEGV_MAPERR);
}

CASE(the_middle)
{
	char *memory = map(5);

	memset(memory, 3, 5 * PAGE);
	is(munmap(memory + 2 * PAGE, PAGE), 0);
	is(memory[2 * PAGE - 1], 3);
	faults(READ, memory + 2 * PAGE, SIGSEGV, SEGV_MAPERR);
	faults(WRITE, memory + 3 * PAGE - 1, SIGSEGV, SEGV_MAPERR);
	is(memory[3 * PAGE], 3);
	is(memory[5 * PAGE - 1], 3);
}

CASE(head_and_tail)
{
	char *memory = map(6);

	memset(memory, 4, 6 * PAGE);
	is(munmap(memory, 2 * PAGE), 0);
	is(munmap(memory + 5 * PAGE, PAGE), 0);
	faults(READ, memory + PAGE, SIGSEGV, SEGV_MAPERR);
	is(memory[2 * PAGE], 4);
	is(memory[5 * PAGE - 1], 4);
	faults(READ, memory + 5 * PAGE, SIGSEGV, SEGV_MAPERR);
}

CASE(several_mappings_and_holes)
{
	char *memory = map(8);

	memset(memory, 5, 8 * PAGE);
	is(mprotect(memory + PAGE, PAGE, PROT_READ), 0);
	is(munmap(memory + 3 * PAGE, PAGE), 0);
	is(mprotect(memory + 5 * PAGE, PAGE, PROT_NONE), 0);
	is(munmap(memory + PAGE, 6 * PAGE), 0);
	is(memory[0], 5);
	for (int i = 1; i < 7; i++)
		faults(READ, memory + i * PAGE, SIGSEGV, SEGV_MAPERR);
	is(memory[7 * PAGE], 5);
}

CASE(nothing_is_no_error)
{
	char *memory = map(1);

	is(munmap(memory, PAGE), 0);
	is(munmap(memory, PAGE), 0);
}

CASE(what_comes_back_is_fresh)
{
	char *memory = map(4);

	memset(memory, 6, 4 * PAGE);
	is(munmap(memory, 4 * PAGE), 0);
	is(mmap(memory, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		-1, 0),
	   memory);
	for (size_t i = 0; i < 4 * PAGE; i++)
		need(memory[i] == 0);
}

CASE(a_length_is_rounded_up)
{
	char *memory = map(3);

	is(munmap(memory, PAGE + 1), 0);
	faults(READ, memory + PAGE, SIGSEGV, SEGV_MAPERR);
	allowed(WRITE, memory + 2 * PAGE);
}

CASE(bad_ranges)
{
	char *memory = map(2);

	fails(syscall(SYS_munmap, memory + 1, PAGE), EINVAL);
	fails(syscall(SYS_munmap, memory, 0), EINVAL);
	fails(syscall(SYS_munmap, memory, -1ul), EINVAL);
	fails(syscall(SYS_munmap, 0xfffffffffff000ul, PAGE), EINVAL);
	fails(syscall(SYS_munmap, 0xffffffff80000000ul, PAGE), EINVAL);
	allowed(WRITE, memory);
}
