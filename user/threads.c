/* SPDX-License-Identifier: MIT */
/*
 * Threads that fault in the same memory, take it from under each other, and meet at a barrier.
 *
 *	threads [THREADS [ROUNDS]]	4 and 50 if it is not said
 *
 * In a round, every thread adds one to each page of a region that was just mapped: whoever comes
 * first makes the page, and none of the additions may be lost. Then one of them unmaps it, which
 * all processors must learn before the next round maps another region at the same place.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define PAGE	 4096ul
#define NR_PAGES 64

static char *region;
static unsigned nr_threads = 4, nr_rounds = 50, wrong;
static pthread_barrier_t barrier;

static void
map_region(void)
{
	void *memory = mmap(region, NR_PAGES * PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED) {
		perror("threads: mmap");
		exit(1);
	}
	region = memory;
}

static void
check_and_unmap(void)
{
	for (int i = 0; i < NR_PAGES; i++) {
		unsigned count = *(unsigned *)(region + i * PAGE);

		if (count != nr_threads) {
			printf("threads: page %d counts %u of %u\n", i, count, nr_threads);
			wrong++;
		}
	}
	munmap(region, NR_PAGES * PAGE);
}

static void *
work(void *arg)
{
	unsigned number = (unsigned long)arg;

	for (unsigned round = 0; round < nr_rounds; round++) {
		if (number == 0)
			map_region();
		pthread_barrier_wait(&barrier);
		/* Each begins elsewhere, so that they meet in the middle. */
		for (unsigned i = 0; i < NR_PAGES; i++) {
			unsigned page = (i + number * NR_PAGES / nr_threads) % NR_PAGES;

			__sync_fetch_and_add((unsigned *)(region + page * PAGE), 1);
		}
		pthread_barrier_wait(&barrier);
		if (number == 0)
			check_and_unmap();
	}
	return NULL;
}

int
main(int argc, char **argv)
{
	pthread_t *threads;
	struct rusage usage;

	if (argc > 1)
		nr_threads = atoi(argv[1]);
	if (argc > 2)
		nr_rounds = atoi(argv[2]);
	threads = calloc(nr_threads, sizeof(*threads));
	if (!threads || pthread_barrier_init(&barrier, NULL, nr_threads)) {
		fprintf(stderr, "usage: threads [THREADS [ROUNDS]]\n");
		return 2;
	}
	for (unsigned long i = 0; i < nr_threads; i++) {
		if (pthread_create(&threads[i], NULL, work, (void *)i)) {
			perror("threads: pthread_create");
			return 1;
		}
	}
	for (unsigned i = 0; i < nr_threads; i++)
		pthread_join(threads[i], NULL);
	getrusage(RUSAGE_SELF, &usage);
	printf("threads: %u threads, %u rounds, %ld faults, %u pages wrong\n", nr_threads,
	       nr_rounds, usage.ru_minflt, wrong);
	return wrong > 0;
}
