/* SPDX-License-Identifier: MIT */
/*
 * Threads that play CPUs.
 *
 * This file alone is compiled without the kernel's include directory: pthread.h reads
 * the C library's time.h and errno.h, and the kernel has headers of the same names.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_THREADS 64

void host_run_threads(unsigned nr, void (*fn)(unsigned cpu, void *arg), void *arg);

extern _Thread_local unsigned host_cpu_id;
extern unsigned nr_cpus;

void host_cpu_starts(void);
void host_cpu_ends(void);

struct start {
	pthread_t thread;
	unsigned cpu;
	void (*fn)(unsigned cpu, void *arg);
	void *arg;
	pthread_barrier_t *barrier;
};

static void *
play_cpu(void *argument)
{
	struct start *start = argument;

	host_cpu_id = start->cpu;
	host_cpu_starts();
	/* Threads that start together overlap most. */
	pthread_barrier_wait(start->barrier);
	start->fn(start->cpu, start->arg);
	host_cpu_ends();
	return NULL;
}

void
host_run_threads(unsigned nr, void (*fn)(unsigned cpu, void *arg), void *arg)
{
	struct start start[MAX_THREADS];
	pthread_barrier_t barrier;

	if (nr > MAX_THREADS || pthread_barrier_init(&barrier, NULL, nr) != 0) {
		fprintf(stderr, "cannot run %u threads: at most %u\n", nr, MAX_THREADS);
		abort();
	}
	if (nr > nr_cpus)
		nr_cpus = nr;
	host_cpu_ends(); /* one of the threads plays the CPU of this one */
	for (unsigned i = 0; i < nr; i++) {
		start[i] = (struct start){ .cpu = i, .fn = fn, .arg = arg, .barrier = &barrier };
		if (pthread_create(&start[i].thread, NULL, play_cpu, &start[i]) != 0) {
			fprintf(stderr, "cannot start thread %u of %u\n", i + 1, nr);
			abort();
		}
	}
	for (unsigned i = 0; i < nr; i++)
		pthread_join(start[i].thread, NULL);
	host_cpu_starts();
	pthread_barrier_destroy(&barrier);
}
