/* SPDX-License-Identifier: MIT */
/*
 * /proc/PID/pagemap: which frames a program's pages lie in; and remap_file_pages() and
 * membarrier(), which change and order what is seen in them. For the superuser, who is shown
 * numbers of frames.
 */
#include "ktap.h"

#include <fcntl.h>
#include <pthread.h>

#define PRESENT	  (1ull << 63)
#define OF_OBJECT (1ull << 61)
#define EXCLUSIVE (1ull << 56)
#define FRAME	  ((1ull << 55) - 1)

static int
open_pagemap(void)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);

	need(fd >= 0);
	return fd;
}

static uint64_t
entry_of(const volatile void *page)
{
	uint64_t entry;
	int fd = open_pagemap();

	need(pread(fd, &entry, sizeof(entry), (off_t)((uintptr_t)page / PAGE * 8)) == 8);
	close(fd);
	return entry;
}

CASE(what_has_been_touched)
{
	char *memory = map(4);
	uint64_t entry[4];
	int fd = open_pagemap();

	memory[1 * PAGE] = 1;
	memory[3 * PAGE] = 1;
	is(pread(fd, entry, sizeof(entry), (off_t)((uintptr_t)memory / PAGE * 8)), sizeof(entry));
	for (int i = 0; i < 4; i++)
		is(!!(entry[i] & PRESENT), i % 2);
	yes(entry[1] & EXCLUSIVE);
	yes(!(entry[1] & OF_OBJECT));
	is(entry[0], 0);
	if (geteuid() == 0) {
		yes(entry[1] & FRAME);
		yes((entry[1] & FRAME) != (entry[3] & FRAME));
	}
	is(munmap(memory, PAGE * 4), 0);
	is(entry_of(memory + PAGE), 0);
}

CASE(what_is_shared_after_fork)
{
	char *memory = map(2);
	int go[2], done[2];
	char byte;

	need(pipe(go) == 0 && pipe(done) == 0);
	memory[0] = memory[PAGE] = 1;
	uint64_t before = entry_of(memory);
	if (fork() == 0) {
		memory[PAGE] = 2; /* a copy */
		need(write(done[1], "x", 1) == 1);
		need(read(go[0], &byte, 1) == 1);
		_exit(0);
	}
	need(read(done[0], &byte, 1) == 1);
	is(entry_of(memory) & FRAME, before & FRAME);
	yes(!(entry_of(memory) & EXCLUSIVE));
	yes(entry_of(memory + PAGE) & EXCLUSIVE);
	need(write(go[1], "x", 1) == 1);
	need(wait(NULL) > 0);
	yes(entry_of(memory) & EXCLUSIVE);
}

CASE(what_is_of_a_file)
{
	int fd = file_of(2);
	char *shared = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	char *private = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);

	need(shared != MAP_FAILED && private != MAP_FAILED);
	is(shared[0] + private[0], 2);
	yes(entry_of(shared) & OF_OBJECT);
	yes(entry_of(private) & OF_OBJECT);
	is(entry_of(shared) & FRAME, entry_of(private) & FRAME);
	private[0] = 9;
	yes(!(entry_of(private) & OF_OBJECT));
	if (geteuid() == 0)
		yes((entry_of(shared) & FRAME) != (entry_of(private) & FRAME));
}

CASE(what_may_be_read)
{
	int fd = open_pagemap();
	uint64_t entry[2];

	fails(pread(fd, entry, 7, 0), EINVAL);
	fails(pread(fd, entry, 8, 4), EINVAL);
	is(pread(fd, entry, 16, 0), 16);
	is(entry[0], 0);
	is(pread(fd, entry, 8, (off_t)1 << 60), 0);
	fails(pread(fd, (void *)8, 8, 0), EFAULT);
}

CASE(frames_are_for_the_superuser)
{
	char *memory = map(1);

	if (geteuid() != 0)
		skip("only for the superuser");
	memory[0] = 1;
	int fd = open_pagemap();
	uint64_t entry = 0;
	need(pread(fd, &entry, 8, (off_t)((uintptr_t)memory / PAGE * 8)) == 8);
	yes(entry & FRAME);
	close(fd);
	need(setresuid(1234, 1234, 1234) == 0);
	fd = open("/proc/self/pagemap", O_RDONLY);
	if (fd < 0)
		exit(0); /* or it may not be opened at all */
	need(pread(fd, &entry, 8, (off_t)((uintptr_t)memory / PAGE * 8)) == 8);
	is(entry & FRAME, 0);
	yes(entry & PRESENT);
}

/* ---- remap_file_pages() ---------------------------------------------------------------------- */

static long
remap(char *start, size_t length, int prot, size_t index)
{
	return syscall(SYS_remap_file_pages, start, length, prot, index, 0);
}

CASE(other_pages_of_the_file)
{
	int fd = file_of(8);
	char *memory = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	need(memory != MAP_FAILED);
	/* Backwards. */
	for (int i = 0; i < 8; i++)
		is(remap(memory + (size_t)i * PAGE, PAGE, 0, 7 - i), 0);
	for (int i = 0; i < 8; i++)
		is(memory[(size_t)i * PAGE], 8 - i);
	memory[0] = 77;
	char byte = 0;
	is(pread(fd, &byte, 1, 7 * PAGE), 1);
	is(byte, 77);
	/* All at once, over the pieces that are there. */
	is(remap(memory, 8 * PAGE, 0, 0), 0);
	is(memory[0], 1);
	is(memory[7 * PAGE], 77);
	is(remap(memory, 4 * PAGE, 0, 4), 0);
	is(memory[0], 5);
	is(memory[4 * PAGE], 5);
}

CASE(what_cannot_be_remapped)
{
	int fd = file_of(4);
	char *memory = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	char *private = mmap(NULL, 4 * PAGE, PROT_READ, MAP_PRIVATE, fd, 0);

	need(memory != MAP_FAILED && private != MAP_FAILED);
	fails(remap(memory, PAGE, PROT_READ, 0), EINVAL);
	fails(remap(memory, 0, 0, 0), EINVAL);
	fails(remap(private, PAGE, 0, 0), EINVAL);
	fails(remap(map(1), PAGE, 0, 0), EINVAL);
	fails(remap(memory, PAGE, 0, SIZE_MAX), EINVAL);
	is(memory[0], 1);
	/* Over a hole, and over something else. */
	is(munmap(memory + 2 * PAGE, PAGE), 0);
	fails(remap(memory, 4 * PAGE, 0, 0), EINVAL);
	need(mmap(memory + 2 * PAGE, PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1,
		  0) != MAP_FAILED);
	fails(remap(memory, 4 * PAGE, 0, 0), EINVAL);
	is(munmap(memory, 4 * PAGE), 0);
	fails(remap(memory, PAGE, 0, 0), EINVAL);
}

/* ---- membarrier() ---------------------------------------------------------------------------- */

enum {
	QUERY = 0,
	GLOBAL = 1,
	GLOBAL_EXPEDITED = 2,
	PRIVATE_EXPEDITED = 8,
	REGISTER_PRIVATE_EXPEDITED = 16,
};

static long
barrier(int command, int flags)
{
	return syscall(SYS_membarrier, command, flags, 0);
}

CASE(barriers)
{
	long known = barrier(QUERY, 0);

	need(known > 0);
	yes(known & GLOBAL);
	yes(known & PRIVATE_EXPEDITED);
	fails(barrier(QUERY, 1), EINVAL);
	fails(barrier(1 << 20, 0), EINVAL);
	fails(barrier(3, 0), EINVAL);
	is(barrier(GLOBAL, 0), 0);
	fails(barrier(PRIVATE_EXPEDITED, 0), EPERM);
	is(barrier(REGISTER_PRIVATE_EXPEDITED, 0), 0);
	is(barrier(PRIVATE_EXPEDITED, 0), 0);
	is(barrier(GLOBAL_EXPEDITED, 0), 0);
}

/*
 * Dekker's two flags: with the slow side's barrier in place of a fence of the fast side's, never
 * may both find the other's flag down.
 */
static volatile int flag[2], seen[2], turn;
#define ROUNDS 500

static void *
fast(void *arg)
{
	for (int i = 1; i <= ROUNDS; i++) {
		while (turn != i)
			sched_yield();
		flag[0] = 1;
		__asm__ volatile("" ::: "memory");
		seen[0] = flag[1];
		turn = -i;
	}
	return arg;
}

CASE(barriers_order_others)
{
	pthread_t thread;

	need(barrier(REGISTER_PRIVATE_EXPEDITED, 0) == 0);
	need(pthread_create(&thread, NULL, fast, NULL) == 0);
	for (int i = 1; i <= ROUNDS; i++) {
		flag[0] = flag[1] = 0;
		__sync_synchronize();
		turn = i;
		flag[1] = 1;
		need(barrier(PRIVATE_EXPEDITED, 0) == 0);
		seen[1] = flag[0];
		while (turn != -i)
			sched_yield();
		yes(seen[0] || seen[1]);
	}
	need(pthread_join(thread, NULL) == 0);
}
