/* SPDX-License-Identifier: MIT */
/*
 * Memory managed by a program's own fault handler: an array larger than it may ever have.
 *
 *	signals [PAGES [ACCESSES]]	of 4096 pages at most 64 are there at any time
 *
 * The array is mapped without any rights. The handler of SIGSEGV gives rights to the page that
 * was touched, fills it with what belongs there, and takes the oldest one away: demand paging
 * and replacement in user mode. It runs on a stack of its own.
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "random.h"

#define PAGE	  4096ul
#define NR_FRAMES 64 /* pages that are there at once */

static char *array;
static size_t nr_pages = 4096;
static size_t there[NR_FRAMES]; /* which, in the order of their arrival */
static unsigned oldest, nr_there;
static unsigned long nr_faults;

static void
give_up(const char *what)
{
	(void)!write(2, what, strlen(what));
	_exit(1);
}

static void
take_away_oldest(void)
{
	char *page = array + there[oldest] * PAGE;

	if (madvise(page, PAGE, MADV_DONTNEED) || mprotect(page, PAGE, PROT_NONE))
		give_up("signals: cannot take a page away\n");
	nr_there--;
}

static void
bring_in(int signal, siginfo_t *info, void *context)
{
	size_t number = ((char *)info->si_addr - array) / PAGE;
	char *page = array + number * PAGE;

	(void)signal;
	(void)context;
	if (number >= nr_pages)
		give_up("signals: a fault outside the array\n");
	if (nr_there == NR_FRAMES)
		take_away_oldest();
	if (mprotect(page, PAGE, PROT_READ | PROT_WRITE))
		give_up("signals: cannot bring a page in\n");
	*(size_t *)page = number; /* what belongs there */
	there[oldest] = number;
	oldest = (oldest + 1) % NR_FRAMES;
	nr_there++;
	nr_faults++;
}

int
main(int argc, char **argv)
{
	unsigned long accesses = argc > 2 ? strtoul(argv[2], NULL, 0) : 5000, wrong = 0;
	static char handler_stack[64 * 1024];
	stack_t stack = { .ss_sp = handler_stack, .ss_size = sizeof(handler_stack) };
	struct sigaction action = { .sa_sigaction = bring_in, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	struct random random = random_of(1);

	if (argc > 1)
		nr_pages = strtoul(argv[1], NULL, 0);
	array = mmap(NULL, nr_pages * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (array == MAP_FAILED || sigaltstack(&stack, NULL) || sigaction(SIGSEGV, &action, NULL)) {
		perror("signals");
		return 1;
	}
	for (unsigned long i = 0; i < accesses; i++) {
		size_t number = random_below(&random, nr_pages);

		wrong += *(volatile size_t *)(array + number * PAGE) != number;
	}
	printf("signals: %lu accesses to %zu pages, %lu faults, %u pages there, %lu wrong\n",
	       accesses, nr_pages, nr_faults, nr_there, wrong);
	return wrong > 0;
}
