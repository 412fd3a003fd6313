/* SPDX-License-Identifier: MIT */
/* madvise(): pages given up, children that get none, advice that changes nothing. */
#include "ktap.h"

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
