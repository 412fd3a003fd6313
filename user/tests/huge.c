/* SPDX-License-Identifier: MIT */
/*
 * Pages of 2 MiB: who asks gets them, and whatever is then done to a part of one is done to that
 * part exactly. How many there are smaps says. Linux may have none to give, and is not asked to.
 */
#include <sys/prctl.h>

#include "ktap.h"

#define HUGE	  (512 * PAGE)
#define HUGE_KIB  (HUGE >> 10)
#define PART	  (100 * PAGE) /* in the middle of one */
#define PART_SIZE (7 * PAGE)

/* The number after a key in the lines of /proc/self/smaps about an address, or -1. */
static long
smaps_kib(const void *address, const char *key)
{
	unsigned long start, end, value;
	char line[256], name[64];
	bool here = false;
	long found = -1;
	FILE *file = fopen("/proc/self/smaps", "r");

	need(file);
	while (found < 0 && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = start <= (uintptr_t)address && (uintptr_t)address < end;
		else if (here && sscanf(line, "%63[^:]: %lu", name, &value) == 2 &&
			 !strcmp(name, key))
			found = value;
	}
	fclose(file);
	return found;
}

/* Does the address's region have this flag of two letters? */
static bool
has_flag(const void *address, const char *flag)
{
	unsigned long start, end;
	bool here = false, found = false;
	char line[256];
	FILE *file = fopen("/proc/self/smaps", "r");

	need(file);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = start <= (uintptr_t)address && (uintptr_t)address < end;
		else if (here && !strncmp(line, "VmFlags:", 8))
			found = strstr(line, flag) != NULL;
	}
	fclose(file);
	return found;
}

/* So many KiB of the region at an address are huge; or none, where the system may say no. */
static void
expect_huge(const void *address, long kib)
{
	long got = smaps_kib(address, "AnonHugePages");

	if (got == 0 && access("/sys/kernel", F_OK) == 0)
		return;
	is(got, kib);
}

/* Memory for nr of them, from the beginning of one on, for which they were asked. */
static unsigned char *
ask(size_t nr)
{
	unsigned char *memory = (unsigned char *)map((nr + 1) * 512);

	memory += -(uintptr_t)memory % HUGE;
	need(madvise(memory, nr * HUGE, MADV_HUGEPAGE) == 0);
	return memory;
}

static unsigned char
stamp_of(size_t offset)
{
	return 1 + offset / PAGE % 251;
}

/* The same, each page written to. */
static unsigned char *
stamped(size_t nr)
{
	unsigned char *memory = ask(nr);

	for (size_t i = 0; i < nr * HUGE; i += PAGE)
		memory[i + i / PAGE] = stamp_of(i);
	expect_huge(memory, nr * HUGE_KIB);
	return memory;
}

/* [start, end) of what was stamped is as it was, and is now at memory + start. */
static void
intact(unsigned char *memory, size_t start, size_t end)
{
	size_t wrong = 0;

	for (size_t i = start; i < end; i += PAGE) {
		size_t at = i / PAGE % PAGE;

		wrong += memory[i + at] != stamp_of(i);
		wrong += memory[i + (at + 1) % PAGE] != 0;
	}
	is(wrong, 0);
}

CASE(who_asks_gets_them)
{
	unsigned char *memory = ask(2), there[2 * 512];
	size_t dirty = 0;

	is(smaps_kib(memory, "AnonHugePages"), 0);
	memory[HUGE + 12345] = 1;
	memory[7] = 2;
	expect_huge(memory, 2 * HUGE_KIB);
	for (size_t i = 0; i < 2 * HUGE; i++)
		dirty += memory[i] != 0;
	is(dirty, 2);
	is(smaps_kib(memory, "Rss"), 2 * HUGE_KIB);
	is(smaps_kib(memory, "Anonymous"), 2 * HUGE_KIB);
	is(mincore(memory, 2 * HUGE, there), 0);
	for (size_t i = 0; i < sizeof(there); i++)
		need(there[i] & 1);
	yes(has_flag(memory, " hg"));
	yes(!has_flag(memory, " nh"));
}

CASE(who_refuses_gets_none)
{
	unsigned char *memory = ask(1);

	is(madvise(memory, HUGE, MADV_NOHUGEPAGE), 0);
	memory[PART] = 1;
	is(smaps_kib(memory, "AnonHugePages"), 0);
	is(smaps_kib(memory, "Rss"), 4);
	yes(has_flag(memory, " nh"));
	yes(!has_flag(memory, " hg"));
	is(smaps_kib(memory, "THPeligible"), 0);
}

/* For itself, for a child, and for what that executes: which is this very case. */
CASE(prctl_forbids_them)
{
	unsigned char *memory = ask(2);
	pid_t pid;

	if (prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 0) {
		is(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), 0);
		pid = fork();
		if (pid == 0) {
			need(freopen("/dev/null", "w", stdout));
			execl("/proc/self/exe", "huge", "prctl_forbids_them", NULL);
			_exit(9);
		}
		is(ended(pid), 0);
	}
	memory[0] = 1;
	is(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), 1);
	is(smaps_kib(memory, "AnonHugePages"), 0);
	is(smaps_kib(memory, "Rss"), 4);
	is(prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0), 0);
	memory[HUGE] = 1;
	expect_huge(memory, HUGE_KIB);
	fails(prctl(PR_SET_THP_DISABLE, 1, 1, 0, 0), EINVAL);
	fails(prctl(PR_GET_THP_DISABLE, 1, 0, 0, 0), EINVAL);
}

CASE(where_none_fits)
{
	unsigned char *memory = ask(2);

	/* The middle of two. */
	is(munmap(memory, HUGE / 2), 0);
	is(munmap(memory + 3 * HUGE / 2, HUGE / 2), 0);
	memory[HUGE / 2] = memory[HUGE] = 1;
	is(smaps_kib(memory + HUGE, "AnonHugePages"), 0);
	is(smaps_kib(memory + HUGE, "Rss"), 8);
}

CASE(munmap_of_a_part)
{
	unsigned char *memory = stamped(2);

	is(munmap(memory + PART, PART_SIZE), 0);
	faults(READ, memory + PART, SIGSEGV, SEGV_MAPERR);
	faults(READ, memory + PART + PART_SIZE - 1, SIGSEGV, SEGV_MAPERR);
	intact(memory, 0, PART);
	intact(memory, PART + PART_SIZE, 2 * HUGE);
	is(smaps_kib(memory, "AnonHugePages"), 0);
	expect_huge(memory + HUGE, HUGE_KIB);
	is(smaps_kib(memory, "Rss"), PART >> 10);
}

CASE(mprotect_of_a_part_and_of_all)
{
	unsigned char *memory = stamped(2);

	is(mprotect(memory + PART, PART_SIZE, PROT_READ), 0);
	faults(WRITE, memory + PART, SIGSEGV, SEGV_ACCERR);
	allowed(WRITE, memory + PART - 1);
	allowed(WRITE, memory + PART + PART_SIZE);
	is(mprotect(memory + HUGE, HUGE, PROT_NONE), 0);
	faults(READ, memory + HUGE, SIGSEGV, SEGV_ACCERR);
	faults(READ, memory + 2 * HUGE - 1, SIGSEGV, SEGV_ACCERR);
	is(mprotect(memory, 2 * HUGE, PROT_READ | PROT_WRITE), 0);
	intact(memory, 0, 2 * HUGE);
	allowed(WRITE, memory + PART);
	allowed(WRITE, memory + HUGE + PART);
	expect_huge(memory, HUGE_KIB);
}

CASE(dontneed_of_a_part)
{
	unsigned char *memory = stamped(1);
	long before = smaps_kib(memory, "Rss");

	is(madvise(memory + PART, PART_SIZE, MADV_DONTNEED), 0);
	is(before - smaps_kib(memory, "Rss"), PART_SIZE >> 10);
	for (size_t i = PART; i < PART + PART_SIZE; i++)
		need(memory[i] == 0);
	intact(memory, 0, PART);
	intact(memory, PART + PART_SIZE, HUGE);
	/* All of it: the next touch may get a huge one again. */
	is(madvise(memory, HUGE, MADV_DONTNEED), 0);
	is(smaps_kib(memory, "Rss"), 0);
	memory[PART] = 1;
	expect_huge(memory, HUGE_KIB);
}

CASE(mremap_of_a_part)
{
	unsigned char *memory = stamped(1), *place = (unsigned char *)map(7);

	is(mremap(memory + PART, PART_SIZE, PART_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, place),
	   place);
	faults(READ, memory + PART, SIGSEGV, SEGV_MAPERR);
	intact(place - PART, PART, PART + PART_SIZE);
	intact(memory, 0, PART);
	intact(memory, PART + PART_SIZE, HUGE);
}

CASE(mremap_of_all)
{
	unsigned char *memory = stamped(2), *place = ask(2), *odd = (unsigned char *)map(513);

	is(mremap(memory, 2 * HUGE, 2 * HUGE, MREMAP_MAYMOVE | MREMAP_FIXED, place), place);
	intact(place, 0, 2 * HUGE);
	expect_huge(place, 2 * HUGE_KIB);
	odd += PAGE * ((uintptr_t)odd % HUGE == 0); /* not where one could be */
	is(mremap(place, HUGE, HUGE, MREMAP_MAYMOVE | MREMAP_FIXED, odd), odd);
	intact(odd, 0, HUGE);
	is(smaps_kib(odd, "AnonHugePages"), 0);
	expect_huge(place + HUGE, HUGE_KIB);
	intact(place, HUGE, 2 * HUGE);
}

CASE(mlock_of_a_part)
{
	unsigned char *memory = stamped(1);

	is(mlock(memory + PART, PART_SIZE), 0);
	intact(memory, 0, HUGE);
	is(smaps_kib(memory + PART, "Locked"), PART_SIZE >> 10);
	is(munlock(memory + PART, PART_SIZE), 0);
	intact(memory, 0, HUGE);
}

/* The child writes to some pages, then the parent to others; then the child to all. */
CASE(fork_copies_what_is_written)
{
	unsigned char *memory = stamped(2), byte;
	int down[2], up[2];
	pid_t pid;

	need(pipe(down) == 0 && pipe(up) == 0);
	pid = fork();
	if (pid == 0) {
		intact(memory, 0, 2 * HUGE);
		for (size_t i = 0; i < PART_SIZE; i += PAGE)
			memory[PART + i] = 99;
		need(write(up[1], "x", 1) == 1 && read(down[0], &byte, 1) == 1);
		intact(memory, HUGE, 2 * HUGE);
		memset(memory, 55, 2 * HUGE);
		_exit(ktap_counts->failed != 0);
	}
	need(read(up[0], &byte, 1) == 1);
	intact(memory, 0, 2 * HUGE);
	memory[HUGE + 5 * PAGE + 100] = 77;
	memory[PART] = 88;
	need(write(down[1], "x", 1) == 1);
	is(ended(pid), 0);
	is(memory[HUGE + 5 * PAGE + 100], 77);
	is(memory[PART], 88);
	memory[HUGE + 5 * PAGE + 100] = memory[PART] = 0;
	intact(memory, 0, 2 * HUGE);
	/* The last owner. */
	for (size_t i = 0; i < 2 * HUGE; i += PAGE)
		memory[i + i / PAGE] = stamp_of(i);
	intact(memory, 0, 2 * HUGE);
}

CASE(a_child_that_writes_to_nothing_splits_nothing)
{
	unsigned char *memory = stamped(1);
	pid_t pid = fork();

	if (pid == 0) {
		intact(memory, 0, HUGE);
		expect_huge(memory, HUGE_KIB);
		_exit(0);
	}
	is(ended(pid), 0);
	memory[PART] = 0;
	memory[PART + 100] = stamp_of(PART);
	expect_huge(memory, HUGE_KIB);
	intact(memory, 0, HUGE);
}

/* The kernel reads and writes there, across the border of two, for a part that is split. */
CASE(copies_by_the_kernel)
{
	unsigned char *memory = ask(2);
	int fd = file_of(8);

	is(pread(fd, memory + HUGE - 3 * PAGE, 8 * PAGE, 0), 8 * PAGE);
	for (size_t i = 0; i < 8; i++)
		is(memory[HUGE - 3 * PAGE + i * PAGE], i + 1);
	is(mprotect(memory + HUGE, 2 * PAGE, PROT_READ), 0);
	fails(pread(fd, memory + HUGE, PAGE, 0), EFAULT);
	is(pwrite(fd, memory + HUGE - 3 * PAGE, 8 * PAGE, 0), 8 * PAGE);
	expect_huge(memory, HUGE_KIB);
}

CASE(advice_is_for_what_is_mapped)
{
	unsigned char *memory = ask(1);

	is(munmap(memory + PART, PAGE), 0);
	fails(madvise(memory, HUGE, MADV_HUGEPAGE), ENOMEM);
	fails(madvise(memory + 1, PAGE, MADV_HUGEPAGE), EINVAL);
	is(madvise(memory, 0, MADV_NOHUGEPAGE), 0);
	memory[0] = 1;
	is(smaps_kib(memory, "AnonHugePages"), 0);
}
