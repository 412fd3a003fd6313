/* SPDX-License-Identifier: MIT */
/*
 * The allocators of other people, clocks and processors: what needs the C library.
 *
 * The libraries are opened each with its names to itself. So all of them live in this one
 * program beside glibc's own malloc(), and none takes the place of another.
 *
 * This file is compiled without the kernel's include directory: see threads_host.c.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <dlfcn.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/*
 * jemalloc's variables of a thread take more room than the C library keeps for libraries that
 * are opened late. How much it keeps is read when a program starts, so start again.
 */
void
make_room_for_libraries(char **argv)
{
	if (getenv("GLIBC_TUNABLES"))
		return;
	setenv("GLIBC_TUNABLES", "glibc.rtld.optional_static_tls=16384", 1);
	execv("/proc/self/exe", argv);
}

static bool
load(struct subject *subject, const char *const *files, const char *package, const char *alloc,
     const char *release)
{
	void *library = NULL;
	Dl_info info;

	for (; *files && !library; files++)
		library = dlopen(*files, RTLD_NOW | RTLD_LOCAL);
	if (!library) {
		printf("# %s is left out: install %s (%s)\n", subject->name, package, dlerror());
		return false;
	}
	subject->alloc = (void *(*)(size_t))dlsym(library, alloc);
	subject->free = (void (*)(void *))dlsym(library, release);
	/* Its own function, not glibc's of the same name. */
	if (!subject->alloc || !subject->free || !dladdr((void *)subject->alloc, &info) ||
	    !strstr(info.dli_fname, subject->name)) {
		printf("# %s is left out: no %s() in it\n", subject->name, alloc);
		return false;
	}
	return true;
}

static bool
load_mimalloc(void)
{
	static const char *const files[] = { "libmimalloc.so.2", "libmimalloc.so.3",
					     "libmimalloc.so", NULL };

	return load(&subject_mimalloc, files, "libmimalloc-dev", "mi_malloc", "mi_free");
}

static bool
load_jemalloc(void)
{
	static const char *const files[] = { "libjemalloc.so.2", "libjemalloc.so", NULL };

	return load(&subject_jemalloc, files, "libjemalloc-dev", "malloc", "free");
}

struct subject subject_glibc = { .name = "glibc", .alloc = malloc, .free = free };
struct subject subject_mimalloc = { .name = "mimalloc", .setup = load_mimalloc };
struct subject subject_jemalloc = { .name = "jemalloc", .setup = load_jemalloc };

static double
clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

double
thread_ns(void)
{
	return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

double
wall_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* The processors that the program was given, before pin_thread() took some away. */
static cpu_set_t processors;

static void __attribute__((constructor)) note_processors(void)
{
	if (sched_getaffinity(0, sizeof(processors), &processors) != 0)
		CPU_ZERO(&processors);
}

unsigned
count_processors(void)
{
	unsigned nr = (unsigned)CPU_COUNT(&processors);

	return nr ? nr : 1;
}

/* Where that is not allowed the figures are only less steady. */
void
pin_thread(unsigned nth)
{
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		cpu_set_t one;

		if (!CPU_ISSET(cpu, &processors) || nth-- > 0)
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		sched_setaffinity(0, sizeof(one), &one);
		return;
	}
}
