/* SPDX-License-Identifier: MIT */
/* mlock() and its relatives: pages that are there and stay. */
#include "ktap.h"

static int
there(const void *memory)
{
	unsigned char page = 2;

	need(mincore((void *)memory, PAGE, &page) == 0);
	return page & 1;
}

CASE(locking_brings_pages_in)
{
	char *memory = map(4);

	is(there(memory), 0);
	is(mlock(memory, 3 * PAGE), 0);
	for (int i = 0; i < 3; i++)
		is(there(memory + i * PAGE), 1);
	is(there(memory + 3 * PAGE), 0);
	is(munlock(memory, 3 * PAGE), 0);
	is(there(memory), 1);
}

CASE(parts_of_pages_count_as_pages)
{
	char *memory = map(3);

	is(mlock(memory + PAGE + 100, PAGE), 0); /* the end of page 1, the start of page 2 */
	is(there(memory), 0);
	is(there(memory + PAGE), 1);
	is(there(memory + 2 * PAGE), 1);
}

CASE(on_fault)
{
	char *memory = map(2);

	is(mlock2(memory, 2 * PAGE, MLOCK_ONFAULT), 0);
	is(there(memory), 0);
	memory[PAGE] = 1;
	is(there(memory + PAGE), 1);
	fails(mlock2(memory, PAGE, 8), EINVAL);
}

CASE(locked_pages_are_not_given_up)
{
	char *memory = map(1);

	*memory = 4;
	is(mlock(memory, PAGE), 0);
	fails(madvise(memory, PAGE, MADV_DONTNEED), EINVAL);
	is(*memory, 4);
	is(munlock(memory, PAGE), 0);
	is(madvise(memory, PAGE, MADV_DONTNEED), 0);
	is(*memory, 0);
}

CASE(locked_memory_can_be_unmapped)
{
	char *memory = map(2);

	is(mlock(memory, 2 * PAGE), 0);
	is(munmap(memory, PAGE), 0);
	faults(READ, memory, SIGSEGV, SEGV_MAPERR);
	allowed(WRITE, memory + PAGE);
}

CASE(map_locked)
{
	char *memory = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);

	need(memory != MAP_FAILED);
	is(there(memory), 1);
	is(there(memory + PAGE), 1);
}

CASE(a_child_inherits_no_locks)
{
	char *memory = map(1);
	pid_t pid;

	is(mlock(memory, PAGE), 0);
	pid = fork();
	if (pid == 0)
		_exit(madvise(memory, PAGE, MADV_DONTNEED) == 0 ? 1 : 2);
	is(ended(pid), 1);
}

CASE(everything)
{
	char *before = map(1), *after;

	is(mlockall(MCL_CURRENT), 0);
	is(there(before), 1);
	is(mlockall(MCL_FUTURE), 0);
	after = map(2);
	is(there(after + PAGE), 1);
	is(munlockall(), 0);
	after = map(1);
	is(there(after), 0);
	fails(mlockall(0), EINVAL);
	fails(mlockall(64), EINVAL);
}

CASE(bad_ranges)
{
	char *memory = map(3);

	is(munmap(memory + PAGE, PAGE), 0);
	fails(mlock(memory, 3 * PAGE), ENOMEM);
	fails(mlock(memory + PAGE, PAGE), ENOMEM);
	fails(munlock(memory + PAGE, PAGE), ENOMEM);
	fails(mlock(memory, -1ul - 2 * PAGE), EINVAL);
	is(mlock(memory, 0), 0);
}
