/* SPDX-License-Identifier: MIT */
/* mprotect(): rights taken away and given back, to the page. */
#include "ktap.h"

#include <fcntl.h>

#define RW (PROT_READ | PROT_WRITE)

CASE(reading_only)
{
	char *memory = map(2);

	memset(memory, 1, 2 * PAGE);
	is(mprotect(memory, 2 * PAGE, PROT_READ), 0);
	is(memory[PAGE], 1);
	faults(WRITE, memory, SIGSEGV, SEGV_ACCERR);
	faults(WRITE, memory + 2 * PAGE - 1, SIGSEGV, SEGV_ACCERR);
	is(mprotect(memory, 2 * PAGE, RW), 0);
	allowed(WRITE, memory);
	is(memory[PAGE], 1);
}

CASE(nothing_at_all_and_the_contents_survive)
{
	char *memory = map(1);

	memory[9] = 9;
	is(mprotect(memory, PAGE, PROT_NONE), 0);
	faults(READ, memory + 9, SIGSEGV, SEGV_ACCERR);
	faults(WRITE, memory + 9, SIGSEGV, SEGV_ACCERR);
	is(mprotect(memory, PAGE, PROT_READ), 0);
	is(memory[9], 9);
}

CASE(only_the_pages_that_were_named)
{
	char *memory = map(5);

	memset(memory, 2, 5 * PAGE);
	is(mprotect(memory + 2 * PAGE, PAGE, PROT_NONE), 0);
	allowed(WRITE, memory + 2 * PAGE - 1);
	faults(READ, memory + 2 * PAGE, SIGSEGV, SEGV_ACCERR);
	faults(READ, memory + 3 * PAGE - 1, SIGSEGV, SEGV_ACCERR);
	allowed(WRITE, memory + 3 * PAGE);
}

CASE(pages_that_are_not_there_yet)
{
	char *memory = map(4);

	is(mprotect(memory + PAGE, PAGE, PROT_READ), 0);
	is(memory[PAGE], 0);
	faults(WRITE, memory + PAGE, SIGSEGV, SEGV_ACCERR);
	is(mprotect(memory + PAGE, PAGE, RW), 0);
	memory[PAGE] = 5; /* the zero page is never written */
	is(memory[PAGE], 5);
	is(memory[2 * PAGE], 0);
}

CASE(execution)
{
	char *memory = map(1);

	*memory = (char)0xc3; /* ret */
	faults(EXECUTE, memory, SIGSEGV, SEGV_ACCERR);
	is(mprotect(memory, PAGE, PROT_READ | PROT_EXEC), 0);
	allowed(EXECUTE, memory);
	is(mprotect(memory, PAGE, PROT_READ), 0);
	faults(EXECUTE, memory, SIGSEGV, SEGV_ACCERR);
}

CASE(over_several_mappings)
{
	char *memory = map(6);

	is(mprotect(memory + PAGE, PAGE, PROT_READ), 0);
	is(mprotect(memory + 3 * PAGE, PAGE, PROT_NONE), 0);
	is(mprotect(memory, 6 * PAGE, RW), 0);
	for (int i = 0; i < 6; i++)
		allowed(WRITE, memory + i * PAGE);
}

CASE(a_hole_stops_it)
{
	char *memory = map(5);

	is(munmap(memory + 2 * PAGE, PAGE), 0);
	fails(mprotect(memory, 5 * PAGE, PROT_READ), ENOMEM);
	/* What lies behind the hole stays as it was. */
	allowed(WRITE, memory + 3 * PAGE);
	fails(mprotect(memory + 2 * PAGE, PAGE, PROT_READ), ENOMEM);
}

CASE(a_copy_stays_a_copy)
{
	char *memory = map(1);
	pid_t pid;

	*memory = 1;
	pid = fork();
	if (pid == 0) {
		mprotect(memory, PAGE, PROT_READ);
		mprotect(memory, PAGE, RW);
		*memory = 2;
		_exit(*memory);
	}
	is(ended(pid), 2);
	is(*memory, 1);
}

CASE(rights_that_the_file_does_not_give)
{
	char name[256];
	int fd = mkstemp(ktap_template(name)), reader = open(name, O_RDONLY);
	char *shared, *copy;

	need(fd >= 0 && reader >= 0);
	is(unlink(name), 0);
	is(ftruncate(fd, PAGE), 0);
	shared = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, reader, 0);
	copy = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, reader, 0);
	need(shared != MAP_FAILED && copy != MAP_FAILED);
	fails(mprotect(shared, PAGE, RW), EACCES);
	is(mprotect(copy, PAGE, RW), 0);
	allowed(WRITE, copy);
}

CASE(bad_arguments)
{
	char *memory = map(2);

	fails(syscall(SYS_mprotect, memory + 1, PAGE, PROT_READ), EINVAL);
	is(syscall(SYS_mprotect, memory, 0, PROT_READ), 0);
	fails(syscall(SYS_mprotect, memory, -1ul, PROT_READ), ENOMEM);
	fails(syscall(SYS_mprotect, memory, PAGE, 0x70), EINVAL);
	fails(syscall(SYS_mprotect, 0xffff800000000000ul, PAGE, PROT_READ), ENOMEM);
	allowed(WRITE, memory);
}
