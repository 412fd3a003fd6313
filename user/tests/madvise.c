/* SPDX-License-Identifier: MIT */
/* madvise(): pages given up, children that get none or zeroes, pages that come at once. */
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "ktap.h"

/* Newer than the C library's header. */
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23

CASE(dontneed_gives_zeroes)
{
	char *memory = map(4);

	memset(memory, 1, 4 * PAGE);
	is(madvise(memory + PAGE, 2 * PAGE, MADV_DONTNEED), 0);
	is(memory[PAGE - 1], 1);
	is(memory[PAGE], 0);
	is(memory[3 * PAGE - 1], 0);
	is(memory[3 * PAGE], 1);
	allowed(WRITE, memory + PAGE);
}

CASE(dontneed_frees_the_frames)
{
	unsigned char there[4];
	char *memory = map(4);

	memset(memory, 1, 4 * PAGE);
	is(madvise(memory, 4 * PAGE, MADV_DONTNEED), 0);
	is(mincore(memory, 4 * PAGE, there), 0);
	for (int i = 0; i < 4; i++)
		is(there[i] & 1, 0);
}

CASE(dontneed_of_a_private_file_page_shows_the_file_again)
{
	int fd = file_of(2);
	char *memory = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);

	need(memory != MAP_FAILED);
	memory[PAGE] = 99;
	is(madvise(memory, 2 * PAGE, MADV_DONTNEED), 0);
	is(memory[0], 1);
	is(memory[PAGE], 2);
}

CASE(dontneed_of_a_shared_page_loses_nothing)
{
	char *memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	need(memory != MAP_FAILED);
	*memory = 7;
	is(madvise(memory, PAGE, MADV_DONTNEED), 0);
	is(*memory, 7);
}

CASE(free_keeps_or_clears_and_a_write_stays)
{
	char *memory = map(2);

	memory[0] = memory[PAGE] = 5;
	is(madvise(memory, 2 * PAGE, MADV_FREE), 0);
	yes(memory[0] == 5 || memory[0] == 0);
	memory[PAGE] = 6;
	is(memory[PAGE], 6);
}

CASE(dontfork)
{
	char *memory = map(3);
	pid_t pid;

	memset(memory, 8, 3 * PAGE);
	is(madvise(memory + PAGE, PAGE, MADV_DONTFORK), 0);
	pid = fork();
	if (pid == 0) {
		struct fault fault = fault_of(READ, memory + PAGE);

		_exit(memory[0] == 8 && memory[2 * PAGE] == 8 && fault.code == SEGV_MAPERR ? 3 : 4);
	}
	is(ended(pid), 3);
	is(memory[PAGE], 8);
	is(madvise(memory + PAGE, PAGE, MADV_DOFORK), 0);
	pid = fork();
	if (pid == 0)
		_exit(memory[PAGE]);
	is(ended(pid), 8);
}

CASE(advice_that_changes_nothing)
{
	static const int advice[] = { MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED };
	char *memory = map(2);

	memory[PAGE] = 3;
	for (size_t i = 0; i < sizeof(advice) / sizeof(*advice); i++)
		is(madvise(memory, 2 * PAGE, advice[i]), 0);
	is(memory[PAGE], 3);
}

/* Lines of /proc/self/maps that begin in [start, end). */
static int
regions_in(char *start, char *end)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long at;
	char line[256];
	int nr = 0;

	need(maps);
	while (fgets(line, sizeof(line), maps)) {
		need(sscanf(line, "%lx", &at) == 1);
		nr += at >= (unsigned long)start && at < (unsigned long)end;
	}
	fclose(maps);
	return nr;
}

CASE(different_advice_keeps_regions_apart)
{
	char *memory = mmap(NULL, 8 * PAGE, PROT_READ, MAP_SHARED, file_of(8), 0);

	need(memory != MAP_FAILED);
	is(regions_in(memory, memory + 8 * PAGE), 1);
	is(madvise(memory + 2 * PAGE, 3 * PAGE, MADV_RANDOM), 0);
	is(regions_in(memory, memory + 8 * PAGE), 3);
	is(memory[3 * PAGE], 4);
	is(memory[4 * PAGE], 5);
	is(madvise(memory, 8 * PAGE, MADV_NORMAL), 0);
	is(regions_in(memory, memory + 8 * PAGE), 1);
}

CASE(holes)
{
	char *memory = map(3);

	memset(memory, 1, 3 * PAGE);
	is(munmap(memory + PAGE, PAGE), 0);
	/* Advice is taken as far as there are pages, on both sides of the hole. */
	fails(madvise(memory, 3 * PAGE, MADV_DONTNEED), ENOMEM);
	is(memory[0], 0);
	is(memory[2 * PAGE], 0);
}

CASE(bad_arguments)
{
	char *memory = map(2);

	*memory = 1;
	fails(madvise(memory + 1, PAGE, MADV_DONTNEED), EINVAL);
	fails(madvise(memory, PAGE, 12345), EINVAL);
	fails(madvise(memory, -1ul, MADV_DONTNEED), EINVAL);
	is(madvise(memory, 0, MADV_DONTNEED), 0);
	is(*memory, 1);
}

/* ---- What a child gets ---------------------------------------------------------------------- */

/* A child's exit status: the sum of the first bytes of pages. */
static int
seen_by_child(const char *memory, int pages)
{
	pid_t pid = fork();
	int sum = 0;

	if (pid != 0)
		return ended(pid);
	for (int i = 0; i < pages; i++)
		sum += memory[i * PAGE];
	_exit(sum);
}

CASE(wipeonfork)
{
	char *memory = map(3);
	pid_t pid;

	for (int i = 0; i < 3; i++)
		memory[i * PAGE] = 1 << i;
	is(madvise(memory + PAGE, PAGE, MADV_WIPEONFORK), 0);
	is(seen_by_child(memory, 3), 1 + 4);
	is(memory[PAGE], 2);
	pid = fork();
	if (pid == 0) { /* what the child writes there, its own child does not get either */
		memory[PAGE] = 16;
		_exit(seen_by_child(memory, 3));
	}
	is(ended(pid), 1 + 4);
	is(madvise(memory, 3 * PAGE, MADV_KEEPONFORK), 0);
	is(seen_by_child(memory, 3), 1 + 2 + 4);
}

CASE(wipeonfork_of_what_others_have_too)
{
	int fd = file_of(1);
	char *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *file = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);

	need(shared != MAP_FAILED && file != MAP_FAILED);
	fails(madvise(shared, PAGE, MADV_WIPEONFORK), EINVAL);
	fails(madvise(file, PAGE, MADV_WIPEONFORK), EINVAL);
	is(seen_by_child(file, 1), 1);
}

CASE(wiped_pages_of_a_huge_one)
{
	size_t huge = 512 * PAGE;
	char *memory = map(1024), *at;

	at = (char *)(((uintptr_t)memory + huge - 1) & -huge);
	(void)madvise(at, huge, MADV_HUGEPAGE);
	at[0] = 1;
	at[PAGE] = 2;
	at[2 * PAGE] = 4;
	is(madvise(at + PAGE, PAGE, MADV_WIPEONFORK), 0);
	is(seen_by_child(at, 3), 1 + 4);
	is(at[PAGE], 2);
}

/* ---- Holes in what a file has --------------------------------------------------------------- */

CASE(remove_frees_a_file_s_pages)
{
	int fd = memfd_create("removed", 0);
	char *memory, *other;
	struct stat before, after;

	need(fd >= 0 && ftruncate(fd, 4 * PAGE) == 0);
	memory = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	other = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	need(memory != MAP_FAILED && other != MAP_FAILED);
	memset(memory, 5, 4 * PAGE);
	other[PAGE] = 6; /* a copy of its own */
	is(other[2 * PAGE], 5);
	is(fstat(fd, &before), 0);
	is(madvise(memory + PAGE, 2 * PAGE, MADV_REMOVE), 0);
	is(fstat(fd, &after), 0);
	is(after.st_size, before.st_size);
	is((before.st_blocks - after.st_blocks) * 512, 2 * PAGE);
	is(memory[PAGE - 1], 5);
	is(memory[PAGE], 0);
	is(memory[3 * PAGE - 1], 0);
	is(memory[3 * PAGE], 5);
	is(other[PAGE], 6);
	is(other[2 * PAGE], 0);
	memory[PAGE] = 7;
	is(pread(fd, memory, 1, PAGE), 1);
	is(*memory, 7);
}

CASE(remove_of_shared_memory)
{
	char *memory =
	    mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	need(memory != MAP_FAILED);
	memory[0] = memory[PAGE] = 3;
	pid = fork();
	if (pid == 0)
		_exit(madvise(memory, PAGE, MADV_REMOVE) ? 1 : memory[0]);
	is(ended(pid), 0);
	is(memory[0], 0);
	is(memory[PAGE], 3);
}

CASE(remove_refused)
{
	int fd = memfd_create("removed", 0);
	char *private, *readable, name[32];

	need(fd >= 0 && ftruncate(fd, PAGE) == 0);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	private = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	readable = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, open(name, O_RDONLY), 0);
	need(private != MAP_FAILED && readable != MAP_FAILED);
	fails(madvise(private, PAGE, MADV_REMOVE), EACCES);
	fails(madvise(readable, PAGE, MADV_REMOVE), EACCES);
	fails(madvise(map(1), PAGE, MADV_REMOVE), EINVAL);
}

/* ---- Pages that come at once ------------------------------------------------------------------
 */

/* How many pages are there. */
static int
resident(char *memory, int pages)
{
	unsigned char there[16];
	int nr = 0;

	need(mincore(memory, pages * PAGE, there) == 0);
	for (int i = 0; i < pages; i++)
		nr += there[i] & 1;
	return nr;
}

CASE(populate)
{
	char *memory = map(8);
	struct rusage before, after;

	is(madvise(memory, 8 * PAGE, MADV_NOHUGEPAGE), 0);
	is(madvise(memory + PAGE, 3 * PAGE, MADV_POPULATE_WRITE), 0);
	is(resident(memory, 8), 3);
	getrusage(RUSAGE_SELF, &before);
	memory[PAGE] = memory[2 * PAGE] = memory[3 * PAGE] = 1;
	getrusage(RUSAGE_SELF, &after);
	is(after.ru_minflt, before.ru_minflt);
	is(madvise(memory, 8 * PAGE, MADV_POPULATE_READ), 0);
	is(resident(memory, 8), 8);
	is(memory[PAGE] + memory[4 * PAGE], 1);
}

CASE(populate_refused)
{
	char *memory = map(4), *file;

	is(mprotect(memory, PAGE, PROT_READ), 0);
	is(madvise(memory, PAGE, MADV_POPULATE_READ), 0);
	fails(madvise(memory, PAGE, MADV_POPULATE_WRITE), EINVAL);
	is(mprotect(memory, PAGE, PROT_NONE), 0);
	fails(madvise(memory, PAGE, MADV_POPULATE_READ), EINVAL);
	is(munmap(memory + 2 * PAGE, PAGE), 0);
	fails(madvise(memory + PAGE, 3 * PAGE, MADV_POPULATE_WRITE), ENOMEM);
	is(resident(memory + PAGE, 1), 1);
	file = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, file_of(1), 0);
	need(file != MAP_FAILED);
	fails(madvise(file, 2 * PAGE, MADV_POPULATE_READ), EFAULT);
}

CASE(cold_pages_stay_what_they_are)
{
	char *memory = map(2);

	memory[PAGE] = 9;
	is(madvise(memory, 2 * PAGE, MADV_COLD), 0);
	is(madvise(memory, 2 * PAGE, MADV_PAGEOUT), 0);
	is(madvise(memory, 2 * PAGE, MADV_DONTDUMP), 0);
	is(madvise(memory, 2 * PAGE, MADV_DODUMP), 0);
	is(memory[PAGE], 9);
	is(mlock(memory, PAGE), 0);
	fails(madvise(memory, PAGE, MADV_COLD), EINVAL);
	fails(madvise(memory, PAGE, MADV_PAGEOUT), EINVAL);
}
