/* SPDX-License-Identifier: MIT */
/* mincore() and msync(): what is there, and what has reached the file. */
#include "ktap.h"

CASE(pages_come_when_they_are_touched)
{
	unsigned char there[5] = { 2, 2, 2, 2, 2 };
	char *memory = map(5);

	memory[PAGE] = 1;
	memory[3 * PAGE] = 1;
	is(mincore(memory, 5 * PAGE, there), 0);
	for (int i = 0; i < 5; i++)
		is(there[i] & 1, i == 1 || i == 3);
}

CASE(a_length_is_rounded_up)
{
	unsigned char there[3] = { 2, 2, 2 };
	char *memory = map(2);

	memory[PAGE] = 1;
	is(mincore(memory, PAGE + 1, there), 0);
	is(there[1] & 1, 1);
	is(there[2], 2); /* no byte too many */
}

CASE(pages_of_a_file_that_is_in_memory)
{
	unsigned char there[2] = { 2, 2 };
	int fd = file_of(2);
	char *memory = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, 0);

	need(memory != MAP_FAILED);
	is(memory[0], 1);
	is(memory[PAGE], 2);
	is(mincore(memory, 2 * PAGE, there), 0);
	is(there[0] & 1, 1);
	is(there[1] & 1, 1);
}

CASE(bad_arguments)
{
	unsigned char there[3];
	char *memory = map(3), *nowhere = map(1);

	is(munmap(nowhere, PAGE), 0);
	is(munmap(memory + PAGE, PAGE), 0);
	fails(mincore(memory, 3 * PAGE, there), ENOMEM);
	fails(mincore(memory + PAGE, PAGE, there), ENOMEM);
	fails(mincore(memory + 1, PAGE, there), EINVAL);
	fails(mincore(memory, PAGE, (unsigned char *)nowhere), EFAULT);
	fails(mincore((void *)0xffff800000000000ul, PAGE, there), ENOMEM);
	is(mincore(memory, 0, there), 0);
}

CASE(msync_of_a_shared_file_mapping)
{
	int fd = file_of(2);
	char *memory = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), byte;

	need(memory != MAP_FAILED);
	memory[PAGE + 1] = 55;
	is(msync(memory, 2 * PAGE, MS_SYNC), 0);
	is(pread(fd, &byte, 1, PAGE + 1), 1);
	is(byte, 55);
	is(msync(memory, PAGE, MS_ASYNC), 0);
	is(msync(memory, PAGE, MS_ASYNC | MS_INVALIDATE), 0);
	is(msync(memory, 0, MS_SYNC), 0);
}

CASE(msync_of_anonymous_memory)
{
	char *memory = map(1);

	*memory = 2;
	is(msync(memory, PAGE, MS_SYNC), 0);
	is(*memory, 2);
}

CASE(msync_bad_arguments)
{
	char *memory = map(3);

	fails(msync(memory, PAGE, MS_SYNC | MS_ASYNC), EINVAL);
	fails(msync(memory, PAGE, 64), EINVAL);
	fails(msync(memory + 1, PAGE, MS_SYNC), EINVAL);
	is(munmap(memory + PAGE, PAGE), 0);
	fails(msync(memory, 3 * PAGE, MS_SYNC), ENOMEM);
	fails(msync(memory + PAGE, PAGE, MS_ASYNC), ENOMEM);
}
