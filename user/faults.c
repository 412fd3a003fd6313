/* SPDX-License-Identifier: MIT */
/*
 * Every kind of page fault, provoked on purpose: how many there were, and what they cost.
 *
 *	faults [PAGES]		256 if it is not said
 */
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul
#define HUGE (512 * PAGE)
#define RW   (PROT_READ | PROT_WRITE)

static size_t nr_pages = 256;

static uint64_t
cycles(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

static long
faults_so_far(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt + usage.ru_majflt;
}

static void *
map(int flags, int fd)
{
	void *memory = mmap(NULL, nr_pages * PAGE, RW, flags, fd, 0);

	if (memory == MAP_FAILED) {
		perror("faults: mmap");
		exit(1);
	}
	return memory;
}

/* Touch every page, and print what that took. */
static void
touch(const char *what, volatile char *memory, bool write)
{
	long faults = faults_so_far();
	uint64_t start = cycles();

	for (size_t i = 0; i < nr_pages; i++) {
		if (write)
			memory[i * PAGE] = 1;
		else
			(void)memory[i * PAGE];
	}
	start = cycles() - start;
	printf("%-44s %6ld faults %8lu cycles each\n", what, faults_so_far() - faults,
	       (unsigned long)(start / nr_pages));
	fflush(stdout);
}

/* In a child, whose pages are shared with this process until one of the two writes. */
static void
touch_copy(char *memory)
{
	pid_t pid = fork();

	if (pid == 0) {
		touch("write to a page shared by fork: a copy", memory, true);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	touch("write by the last owner: no copy", memory, true);
}

static void
touch_file(void)
{
	char name[] = "/tmp/faults-XXXXXX";
	int fd = mkstemp(name);

	if (fd < 0 || unlink(name) || ftruncate(fd, nr_pages * PAGE)) {
		perror("faults: file");
		exit(1);
	}
	touch("write to a shared page of a file: a new page", map(MAP_SHARED, fd), true);
	touch("read of a page of a file: those around too", map(MAP_SHARED, fd), false);
	touch("write to a private page of a file: a copy", map(MAP_PRIVATE, fd), true);
	close(fd);
}

static void
touch_stack(void)
{
	touch("write below the stack: it grows",
	      (char *)__builtin_frame_address(0) - (nr_pages + 8) * PAGE, true);
}

/* As many faults as it takes pages of 2 MiB, if there are such. */
static void
touch_huge(void)
{
	size_t size = nr_pages * PAGE + 2 * HUGE;
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED || madvise(memory, size, MADV_HUGEPAGE)) {
		perror("faults: huge pages");
		exit(1);
	}
	touch("first write where huge pages are asked for", memory + -(uintptr_t)memory % HUGE,
	      true);
}

static sigjmp_buf back;
static volatile int got_signal, got_code;

static void
caught(int signal, siginfo_t *info, void *context)
{
	(void)context;
	got_signal = signal;
	got_code = info->si_code;
	siglongjmp(back, 1);
}

static void
refused(const char *what, volatile char *address)
{
	got_signal = 0;
	if (!sigsetjmp(back, 1))
		*address = 1;
	printf("%-44s signal %d, code %d\n", what, got_signal, got_code);
}

static void
bad_accesses(void)
{
	struct sigaction action = { .sa_sigaction = caught, .sa_flags = SA_SIGINFO };
	char *read_only = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	refused("write to nothing", (char *)8);
	refused("write to a page that may only be read", read_only);
	refused("write to the kernel", (char *)0xffffffff80000000ul);
}

int
main(int argc, char **argv)
{
	char *memory, *zero;

	if (argc > 1)
		nr_pages = strtoul(argv[1], NULL, 0);
	memory = map(MAP_PRIVATE | MAP_ANONYMOUS, -1);
	zero = map(MAP_PRIVATE | MAP_ANONYMOUS, -1);
	touch("first write to anonymous memory", memory, true);
	touch("second write: no fault", memory, true);
	touch("first read: the page of zeroes", zero, false);
	touch("then a write: a page of its own", zero, true);
	touch_copy(memory);
	touch_file();
	touch_huge();
	touch_stack();
	bad_accesses();
	return 0;
}
