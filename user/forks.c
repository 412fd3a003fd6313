/* SPDX-License-Identifier: MIT */
/*
 * Generations of processes that share memory by copy-on-write, each writing to a part of it.
 *
 *	forks [GENERATIONS [MEBIBYTES]]		5 and 4 if it is not said
 *
 *	            p
 *	          /   \		every process forks two, in each generation, and each
 *	         a     b	checks that all it did not write itself is still as its
 *	        / \   / \	ancestors wrote it
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul

/* Counted by all. */
struct totals {
	unsigned processes, wrong;
	unsigned long faults;
};

static struct totals *totals;
static uint64_t *memory;
static size_t nr_pages;

static uint64_t *
page(size_t number)
{
	return memory + number * PAGE / sizeof(*memory);
}

/* What a process with this path from the root writes: the pages of its generation's residue. */
static void
write_own(unsigned generation, unsigned generations, uint64_t path)
{
	for (size_t i = generation; i < nr_pages; i += generations)
		*page(i) = path;
}

/* Pages of generation g hold the path down to g: the first g bits of this one's. */
static bool
as_ancestors_wrote(unsigned generation, unsigned generations, uint64_t path)
{
	for (size_t i = 0; i < nr_pages; i++) {
		unsigned written = i % generations;
		uint64_t expected = written <= generation ? path >> (generation - written) : 0;

		if (*page(i) != expected)
			return false;
	}
	return true;
}

static void
live(unsigned generation, unsigned generations, uint64_t path)
{
	struct rusage usage;

	write_own(generation, generations, path);
	for (int child = 0; generation + 1 < generations && child < 2; child++) {
		pid_t pid = fork();

		if (pid == 0) {
			live(generation + 1, generations, path << 1 | child);
			_exit(0);
		}
		if (pid < 0)
			perror("forks: fork");
	}
	while (wait(NULL) > 0)
		;
	if (!as_ancestors_wrote(generation, generations, path))
		__sync_fetch_and_add(&totals->wrong, 1);
	getrusage(RUSAGE_SELF, &usage);
	__sync_fetch_and_add(&totals->processes, 1);
	__sync_fetch_and_add(&totals->faults, usage.ru_minflt);
}

int
main(int argc, char **argv)
{
	unsigned generations = argc > 1 ? atoi(argv[1]) : 5;
	size_t size = (argc > 2 ? strtoul(argv[2], NULL, 0) : 4) << 20;

	nr_pages = size / PAGE;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	totals = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (generations < 1 || memory == MAP_FAILED || totals == MAP_FAILED) {
		fprintf(stderr, "usage: forks [GENERATIONS [MEBIBYTES]]\n");
		return 2;
	}
	live(0, generations, 1);
	printf("forks: %u processes, %lu faults, %u saw what they should not\n", totals->processes,
	       totals->faults, totals->wrong);
	return totals->wrong > 0;
}
