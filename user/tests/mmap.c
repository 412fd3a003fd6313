/* SPDX-License-Identifier: MIT */
/* mmap(): what is mapped where, what it shows, and what cannot be mapped. */
#include "ktap.h"

#include <fcntl.h>

#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW   (PROT_READ | PROT_WRITE)

CASE(fresh_memory_is_zero)
{
	char *memory = map(16);

	is(memory[0], 0);
	for (size_t i = 0; i < 16 * PAGE; i++)
		need(memory[i] == 0);
	memory[16 * PAGE - 1] = 7;
	is(memory[16 * PAGE - 1], 7);
}

CASE(it_does_not_grow_beyond_its_pages)
{
	char *memory = map(3);

	is(munmap(memory + 2 * PAGE, PAGE), 0);
	allowed(WRITE, memory + 2 * PAGE - 1);
	faults(READ, memory + 2 * PAGE, SIGSEGV, SEGV_MAPERR);
	faults(WRITE, memory + 2 * PAGE + 123, SIGSEGV, SEGV_MAPERR);
}

CASE(a_length_is_rounded_up)
{
	char *memory = map(2);

	is(munmap(memory, 2 * PAGE), 0);
	is(mmap(memory, PAGE + 1, RW, ANON, -1, 0), memory);
	allowed(WRITE, memory + 2 * PAGE - 1);
}

CASE(a_free_hint_is_taken)
{
	char *memory = map(4);

	is(munmap(memory, 4 * PAGE), 0);
	is(mmap(memory + PAGE, PAGE, RW, ANON, -1, 0), memory + PAGE);
	is(mmap(memory + 2 * PAGE + 5, PAGE, RW, ANON, -1, 0), memory + 2 * PAGE);
}

/* Of 57 bits, where the machine has so many, nobody gets more than 47 who did not ask. */
CASE(only_a_hint_gives_more_than_47_bits)
{
	char *high = (char *)(1ul << 50);
	char *memory = mmap(high, PAGE, RW, ANON, -1, 0);

	yes((uintptr_t)map(1) < 1ul << 47);
	yes(memory == high || (uintptr_t)memory < 1ul << 47);
	allowed(WRITE, memory);
	is(munmap(memory, PAGE), 0);
	faults(READ, memory, SIGSEGV, SEGV_MAPERR);
	yes((uintptr_t)map(1) < 1ul << 47);
}

CASE(a_hint_never_replaces)
{
	char *memory = map(1), *other;

	*memory = 1;
	other = mmap(memory, PAGE, RW, ANON, -1, 0);
	yes(other != MAP_FAILED && other != memory);
	is(*memory, 1);
}

CASE(fixed_replaces)
{
	char *memory = map(3);

	memory[0] = memory[PAGE] = memory[2 * PAGE] = 9;
	is(mmap(memory + PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0), memory + PAGE);
	is(memory[0], 9);
	is(memory[PAGE], 0);
	is(memory[2 * PAGE], 9);
}

CASE(fixed_noreplace_refuses)
{
	char *memory = map(2);

	fails(mmap(memory, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
	fails(mmap(memory - PAGE, 2 * PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
	is(munmap(memory, PAGE), 0);
	is(mmap(memory, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0), memory);
}

CASE(rights)
{
	char *none = mmap(NULL, PAGE, PROT_NONE, ANON, -1, 0);
	char *read = mmap(NULL, PAGE, PROT_READ, ANON, -1, 0);
	char *code = mmap(NULL, PAGE, RW | PROT_EXEC, ANON, -1, 0);

	faults(READ, none + 5, SIGSEGV, SEGV_ACCERR);
	faults(WRITE, none, SIGSEGV, SEGV_ACCERR);
	faults(EXECUTE, none, SIGSEGV, SEGV_ACCERR);
	allowed(READ, read);
	faults(WRITE, read, SIGSEGV, SEGV_ACCERR);
	faults(EXECUTE, read + 8, SIGSEGV, SEGV_ACCERR);
	*code = (char)0xc3; /* ret */
	allowed(EXECUTE, code);
}

CASE(a_private_file_mapping_shows_the_file)
{
	int fd = file_of(4);
	char *memory = mmap(NULL, 4 * PAGE, RW, MAP_PRIVATE, fd, 0), byte;

	need(memory != MAP_FAILED);
	for (int i = 0; i < 4; i++)
		is(memory[i * PAGE], i + 1);
	memory[PAGE] = 99;
	is(pread(fd, &byte, 1, PAGE), 1);
	is(byte, 2);
	is(close(fd), 0);
	is(memory[3 * PAGE], 4);
}

CASE(a_shared_file_mapping_is_the_file)
{
	int fd = file_of(2);
	char *one = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0), byte;
	char *two = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, 0);

	need(one != MAP_FAILED && two != MAP_FAILED);
	one[PAGE + 3] = 77;
	is(two[PAGE + 3], 77);
	is(pread(fd, &byte, 1, PAGE + 3), 1);
	is(byte, 77);
	is(pwrite(fd, "x", 1, 10), 1);
	is(one[10], 'x');
	faults(WRITE, two, SIGSEGV, SEGV_ACCERR);
}

CASE(an_offset_selects_pages)
{
	int fd = file_of(8);
	char *memory = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 5 * PAGE);

	need(memory != MAP_FAILED);
	is(*memory, 6);
	fails(syscall(SYS_mmap, NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 100), EINVAL);
}

CASE(the_tail_of_the_last_page_is_zero)
{
	int fd = file_of(1);
	char *memory;

	is(ftruncate(fd, 100), 0);
	memory = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0);
	need(memory != MAP_FAILED);
	is(memory[100], 0);
	is(memory[PAGE - 1], 0);
	allowed(WRITE, memory + PAGE - 1);
	faults(READ, memory + PAGE, SIGBUS, BUS_ADRERR);
	faults(WRITE, memory + PAGE + 17, SIGBUS, BUS_ADRERR);
}

CASE(a_file_cut_short_takes_its_pages_away)
{
	int fd = file_of(4);
	char *shared = mmap(NULL, 4 * PAGE, RW, MAP_SHARED, fd, 0);
	char *copy = mmap(NULL, 4 * PAGE, RW, MAP_PRIVATE, fd, 0);

	need(shared != MAP_FAILED && copy != MAP_FAILED);
	is(shared[3 * PAGE], 4);
	copy[3 * PAGE] = 5;
	is(ftruncate(fd, 2 * PAGE), 0);
	is(shared[PAGE], 2);
	faults(READ, shared + 2 * PAGE, SIGBUS, BUS_ADRERR);
	faults(WRITE, shared + 3 * PAGE + 9, SIGBUS, BUS_ADRERR);
	/* Copies of pages behind the new end go, too. */
	faults(READ, copy + 3 * PAGE, SIGBUS, BUS_ADRERR);
	is(ftruncate(fd, 4 * PAGE), 0);
	is(shared[3 * PAGE], 0);
}

CASE(rights_of_the_descriptor)
{
	char name[256];
	int fd = mkstemp(ktap_template(name)), reader = open(name, O_RDONLY),
	    writer = open(name, O_WRONLY);
	char *memory;

	need(fd >= 0 && reader >= 0 && writer >= 0);
	is(unlink(name), 0);
	is(ftruncate(fd, PAGE), 0);
	fails(mmap(NULL, PAGE, RW, MAP_SHARED, reader, 0), EACCES);
	fails(mmap(NULL, PAGE, RW, 0, reader, 0), EINVAL);
	fails(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, writer, 0), EACCES);
	fails(mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, writer, 0), EACCES);
	memory = mmap(NULL, PAGE, RW, MAP_PRIVATE, reader, 0);
	yes(memory != MAP_FAILED);
	allowed(WRITE, memory);
}

CASE(what_cannot_be_mapped)
{
	int ends[2];

	need(pipe(ends) == 0);
	fails(mmap(NULL, 0, RW, ANON, -1, 0), EINVAL);
	fails(mmap(NULL, PAGE, RW, MAP_ANONYMOUS, -1, 0), EINVAL);
	fails(mmap(NULL, PAGE, RW, MAP_PRIVATE, -1, 0), EBADF);
	fails(mmap(NULL, PAGE, RW, MAP_PRIVATE, 999, 0), EBADF);
	fails(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, ends[0], 0), ENODEV);
	fails(syscall(SYS_mmap, 1ul, PAGE, RW, ANON | MAP_FIXED, -1, 0), EINVAL);
	fails(syscall(SYS_mmap, 0xfffffffffff000ul, PAGE, RW, ANON | MAP_FIXED, -1, 0), ENOMEM);
	fails(syscall(SYS_mmap, 0xffff800000000000ul, PAGE, RW, ANON | MAP_FIXED, -1, 0), ENOMEM);
	fails(syscall(SYS_mmap, NULL, -PAGE, RW, ANON, -1, 0), ENOMEM);
	fails(syscall(SYS_mmap, NULL, -1ul, RW, ANON, -1, 0), ENOMEM);
	fails(syscall(SYS_mmap, NULL, 1ul << 47, RW, ANON | MAP_NORESERVE, -1, 0), ENOMEM);
}

CASE(offsets_that_overflow)
{
	int fd = file_of(1);

	fails(syscall(SYS_mmap, NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE, fd, -PAGE), EOVERFLOW);
}

CASE(populate_brings_pages_in)
{
	unsigned char there[8] = { 0 };
	char *memory = mmap(NULL, 8 * PAGE, RW, ANON | MAP_POPULATE, -1, 0);

	need(memory != MAP_FAILED);
	is(mincore(memory, 8 * PAGE, there), 0);
	for (int i = 0; i < 8; i++)
		is(there[i] & 1, 1);
}

CASE(a_reservation_costs_nothing)
{
	/* More than the machine has, never touched but at the ends. */
	size_t length = 1ul << 36;
	char *memory = mmap(NULL, length, RW, ANON | MAP_NORESERVE, -1, 0);

	need(memory != MAP_FAILED);
	memory[0] = memory[length - 1] = 1;
	is(memory[length / 2], 0);
	is(munmap(memory, length), 0);
}

CASE(shared_anonymous_memory_is_zero_and_shared)
{
	char *memory = mmap(NULL, 2 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	need(memory != MAP_FAILED);
	is(memory[PAGE], 0);
	pid = fork();
	if (pid == 0) {
		memory[0] = memory[PAGE] = 42;
		_exit(0);
	}
	is(ended(pid), 0);
	is(memory[0], 42);
	is(memory[PAGE], 42);
}

/* /dev/zero is the old way to get memory. */
CASE(from_dev_zero)
{
	int fd = open("/dev/zero", O_RDWR), status;
	char *own, *shared;

	need(fd >= 0);
	own = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	shared = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	need(own != MAP_FAILED && shared != MAP_FAILED);
	is(close(fd), 0);
	is(own[PAGE], 0);
	is(shared[PAGE], 0);
	if (fork() == 0) {
		own[PAGE] = shared[PAGE] = 5;
		_exit(0);
	}
	yes(wait(&status) > 0);
	is(own[PAGE], 0);
	is(shared[PAGE], 5);
	is(munmap(own, 2 * PAGE), 0);
	is(munmap(shared, 2 * PAGE), 0);
}
