/* SPDX-License-Identifier: MIT */
/*
 * What system calls, faults and fork cost, one line a figure: bench: NAME VALUE insn/op.
 *
 * The operations are those that Linux was measured with, in the same order on the same sizes, so
 * that scripts/bench can print its figures beside these. Under -icount shift=0 the time stamp
 * counter counts instructions. Each figure is the median of its repetitions. As the first program
 * (init=/bin/bench) it switches the machine off in the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE	  4096ul
#define NR_PAGES  (64ul * 256) /* of the large region: 64 MiB */
#define SIZE	  (NR_PAGES * PAGE)
#define HUGE	  (512 * PAGE)
#define LARGE	  5 /* repetitions with the large region */
#define SMALL	  9 /* and of what is quick */
#define RW	  (PROT_READ | PROT_WRITE)
#define FILE_NAME "/tmp/bench-file"

static uint64_t
now(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

static void
finish(int status)
{
	if (getpid() == 1)
		reboot(RB_POWER_OFF);
	exit(status);
}

static void
need(int good, const char *what)
{
	if (!good) {
		printf("bench: %s: %s\n", what, strerror(errno));
		finish(1);
	}
}

/* ---- Figures -------------------------------------------------------------------------------- */

struct figure {
	const char *name;
	unsigned long operations; /* of a repetition */
	unsigned nr;
	uint64_t took[SMALL];
};

static void
add(struct figure *figure, uint64_t took)
{
	figure->took[figure->nr++] = took;
}

static int
compare(const void *one, const void *two)
{
	uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)two;

	return a < b ? -1 : a > b;
}

static void
print(struct figure *figure)
{
	qsort(figure->took, figure->nr, sizeof(*figure->took), compare);
	printf("bench: %s %.3f insn/op\n", figure->name,
	       (double)figure->took[figure->nr / 2] / figure->operations);
	fflush(stdout);
}

/* ---- Memory --------------------------------------------------------------------------------- */

static char *
anonymous(size_t size)
{
	char *memory = mmap(NULL, size, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	need(memory != MAP_FAILED, "mmap");
	return memory;
}

static uint64_t
write_pages(volatile char *memory)
{
	uint64_t start = now();

	for (size_t i = 0; i < NR_PAGES; i++)
		memory[i * PAGE] = 1;
	return now() - start;
}

static uint64_t
read_pages(volatile char *memory)
{
	uint64_t start = now();

	for (size_t i = 0; i < NR_PAGES; i++)
		(void)memory[i * PAGE];
	return now() - start;
}

static void
system_calls(void)
{
	struct figure call = { .name = "syscall.getppid", .operations = 10000 };
	struct figure touch = { .name = "touch.resident", .operations = NR_PAGES };
	char *memory;

	for (int i = 0; i < SMALL; i++) {
		uint64_t start = now();

		for (int k = 0; k < 10000; k++)
			syscall(SYS_getppid);
		add(&call, now() - start);
	}
	print(&call);
	memory = anonymous(SIZE);
	write_pages(memory);
	for (int i = 0; i < SMALL; i++)
		add(&touch, write_pages(memory));
	print(&touch);
	munmap(memory, SIZE);
}

static void
anonymous_memory(void)
{
	struct figure first = { .name = "anon.write_fault", .operations = NR_PAGES };
	struct figure unmap = { .name = "anon.munmap_64MiB.per_page", .operations = NR_PAGES };
	struct figure zero = { .name = "anon.read_fault_zero_page", .operations = NR_PAGES };
	struct figure over = { .name = "anon.write_fault_over_zero_page", .operations = NR_PAGES };
	char *memory;

	for (int i = 0; i < LARGE; i++) {
		uint64_t start;

		memory = anonymous(SIZE);
		add(&first, write_pages(memory));
		start = now();
		munmap(memory, SIZE);
		add(&unmap, now() - start);
	}
	print(&first);
	print(&unmap);
	for (int i = 0; i < LARGE; i++) {
		memory = anonymous(SIZE);
		add(&zero, read_pages(memory));
		add(&over, write_pages(memory));
		munmap(memory, SIZE);
	}
	print(&zero);
	print(&over);
}

/* The same pages by huge ones, from the beginning of one on. */
static void
huge_pages(void)
{
	struct figure first = { .name = "thp.write_touch.per_4k_page", .operations = NR_PAGES };
	struct figure unmap = { .name = "thp.munmap_64MiB.per_4k_page", .operations = NR_PAGES };

	for (int i = 0; i < LARGE; i++) {
		char *memory = anonymous(SIZE + HUGE), *aligned = memory;
		uint64_t start;

		aligned += -(uintptr_t)memory % HUGE;
		need(madvise(aligned, SIZE, MADV_HUGEPAGE) == 0, "madvise");
		add(&first, write_pages(aligned));
		start = now();
		munmap(memory, SIZE + HUGE);
		add(&unmap, now() - start);
	}
	print(&first);
	print(&unmap);
}

static void
protection(void)
{
	struct figure take = { .name = "mprotect_ro_64MiB.per_page", .operations = NR_PAGES };
	struct figure give = { .name = "mprotect_rw_64MiB.per_page", .operations = NR_PAGES };
	struct figure touch = { .name = "touch_after_mprotect_rw", .operations = NR_PAGES };
	struct figure drop = { .name = "madvise_dontneed_64MiB.per_page", .operations = NR_PAGES };
	char *memory = anonymous(SIZE);

	write_pages(memory);
	for (int i = 0; i < LARGE; i++) {
		uint64_t start = now();

		mprotect(memory, SIZE, PROT_READ);
		add(&take, now() - start);
		start = now();
		mprotect(memory, SIZE, RW);
		add(&give, now() - start);
		add(&touch, write_pages(memory));
	}
	print(&take);
	print(&give);
	print(&touch);
	for (int i = 0; i < LARGE; i++) {
		uint64_t start = now();

		madvise(memory, SIZE, MADV_DONTNEED);
		add(&drop, now() - start);
		write_pages(memory);
	}
	print(&drop);
	munmap(memory, SIZE);
}

static void
single_pages(void)
{
	struct figure pair = { .name = "mprotect_1page.ro_rw_pair", .operations = 1000 };
	struct figure round = { .name = "mmap_touch_munmap_1page", .operations = 1000 };
	char *memory = anonymous(PAGE);

	*memory = 1;
	for (int i = 0; i < SMALL; i++) {
		uint64_t start = now();

		for (int k = 0; k < 1000; k++) {
			mprotect(memory, PAGE, PROT_READ);
			mprotect(memory, PAGE, RW);
		}
		add(&pair, now() - start);
	}
	print(&pair);
	munmap(memory, PAGE);
	for (int i = 0; i < SMALL; i++) {
		uint64_t start = now();

		for (int k = 0; k < 1000; k++) {
			memory = mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			*(volatile char *)memory = 1;
			munmap(memory, PAGE);
		}
		add(&round, now() - start);
	}
	print(&round);
}

/* ---- Processes ------------------------------------------------------------------------------ */

static void
tell(int fd)
{
	need(write(fd, "", 1) == 1, "write to a pipe");
}

static void
hear(int fd)
{
	char byte;

	need(read(fd, &byte, 1) == 1, "read from a pipe");
}

struct forks {
	struct figure call, copy, reuse, end;
};

/*
 * Fork; the parent writes every page, which copies it; then the child, the last owner of the
 * old pages, writes them too, and ends.
 */
static void
fork_once(struct forks *figures, char *memory, volatile uint64_t *shared)
{
	int down[2], up[2];
	uint64_t start;
	pid_t pid;

	need(!pipe(down) && !pipe(up), "pipe");
	start = now();
	pid = fork();
	if (pid == 0) {
		tell(up[1]);
		hear(down[0]);
		*shared = write_pages(memory);
		tell(up[1]);
		hear(down[0]);
		_exit(0);
	}
	add(&figures->call, now() - start);
	need(pid > 0, "fork");
	hear(up[0]); /* the child sleeps again */
	add(&figures->copy, write_pages(memory));
	tell(down[1]);
	hear(up[0]);
	add(&figures->reuse, *shared);
	start = now();
	tell(down[1]);
	waitpid(pid, NULL, 0);
	add(&figures->end, now() - start);
	for (int i = 0; i < 2; i++) {
		close(down[i]);
		close(up[i]);
	}
}

static void
large_processes(void)
{
	struct forks figures = {
		.call = { .name = "fork_64MiB.whole_call", .operations = 1 },
		.copy = { .name = "cow_fault.copy", .operations = NR_PAGES },
		.reuse = { .name = "cow_fault.last_owner_reuse", .operations = NR_PAGES },
		.end = { .name = "exit_and_wait_64MiB.whole_call", .operations = 1 },
	};
	uint64_t *shared = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *memory = anonymous(SIZE);

	need(shared != MAP_FAILED, "shared memory");
	write_pages(memory);
	for (int i = 0; i < LARGE; i++)
		fork_once(&figures, memory, shared);
	print(&figures.call);
	print(&figures.copy);
	print(&figures.reuse);
	print(&figures.end);
	munmap(memory, SIZE);
}

static void
small_processes(void)
{
	struct figure call = { .name = "fork_small.whole_call", .operations = 1 };
	struct figure whole = { .name = "fork_exit_wait_small.whole", .operations = 1 };

	for (int i = 0; i < SMALL; i++) {
		uint64_t start = now();
		pid_t pid = fork();

		if (pid == 0)
			_exit(0);
		add(&call, now() - start);
		waitpid(pid, NULL, 0);
		add(&whole, now() - start);
	}
	print(&call);
	print(&whole);
}

/* ---- Files in memory ------------------------------------------------------------------------ */

static void
read_and_write(int fd)
{
	struct figure fresh = { .name = "tmpfs.pwrite4k.new_page", .operations = NR_PAGES };
	struct figure again = { .name = "tmpfs.pread4k", .operations = NR_PAGES };
	static char page[PAGE];
	uint64_t start = now();

	for (size_t k = 0; k < NR_PAGES; k++)
		need(pwrite(fd, page, PAGE, k * PAGE) == (ssize_t)PAGE, "pwrite");
	add(&fresh, now() - start);
	print(&fresh);
	for (int i = 0; i < LARGE; i++) {
		start = now();
		for (size_t k = 0; k < NR_PAGES; k++)
			need(pread(fd, page, PAGE, k * PAGE) == (ssize_t)PAGE, "pread");
		add(&again, now() - start);
	}
	print(&again);
}

static void
map_and_touch(int fd, const char *name, int prot, int flags, int advice,
	      uint64_t (*touch)(volatile char *))
{
	struct figure figure = { .name = name, .operations = NR_PAGES };

	for (int i = 0; i < LARGE; i++) {
		char *memory = mmap(NULL, SIZE, prot, flags, fd, 0);

		need(memory != MAP_FAILED, "mmap of a file");
		need(!madvise(memory, SIZE, advice), "madvise");
		add(&figure, touch(memory));
		munmap(memory, SIZE);
	}
	print(&figure);
}

static void
files(void)
{
	int fd = open(FILE_NAME, O_RDWR | O_CREAT | O_TRUNC, 0600);

	need(fd >= 0, FILE_NAME);
	read_and_write(fd);
	map_and_touch(fd, "tmpfs.shared_read.fault_around_default", PROT_READ, MAP_SHARED,
		      MADV_NORMAL, read_pages);
	map_and_touch(fd, "tmpfs.shared_read.one_page_per_fault", PROT_READ, MAP_SHARED,
		      MADV_RANDOM, read_pages);
	map_and_touch(fd, "tmpfs.shared_write", RW, MAP_SHARED, MADV_NORMAL, write_pages);
	map_and_touch(fd, "tmpfs.private_write", RW, MAP_PRIVATE, MADV_NORMAL, write_pages);
	close(fd);
	unlink(FILE_NAME);
}

int
main(void)
{
	system_calls();
	anonymous_memory();
	protection();
	single_pages();
	large_processes();
	small_processes();
	files();
	huge_pages();
	finish(0);
}
