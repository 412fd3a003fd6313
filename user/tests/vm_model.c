/* SPDX-License-Identifier: MIT */
/*
 * Random operations on memory, beside a model that does the same by hand.
 *
 *	vm_model [SEED [OPERATIONS [verbose] [huge]]]
 *
 * The model knows for every page of an arena whether it is mapped, with which rights, and each
 * of its bytes. After every operation some pages are compared, now and then all of them, by
 * accesses that must go well or get exactly the right signal. It says what the first
 * contradiction was; the same seed does the same again. Status 0: there was none.
 *
 *	     arena of NR_PAGES
 *	+----+----+----+----+----+----+
 *	|    | a  | a  | f3 | f4 |    |    a: anonymous, private    f3: page 3 of the file, shared
 *	+----+----+----+----+----+----+        or private; a private one is a copy once written
 *
 * With "huge", the arena lies in memory for which huge pages are asked, a third of its pages across
 * each border between two of those. Now and then all of that memory is mapped anew, so that the
 * next accesses get huge pages, and what follows takes these apart:
 *
 *	   huge page    |    huge page    |    huge page    |    huge page
 *	            [ arena ]         [ arena ]         [ arena ]
 *
 * What the file holds is shared with children, as the file itself is; all else is each process's
 * own. So a child goes on with a copy of the model, and both must be right in the end.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "random.h"

#define PAGE	   4096ul
#define NR_PAGES   48 /* of the arena */
#define FILE_PAGES 16 /* of the file, at most */
#define MAX_RUN	   12 /* pages of one operation */
#define HUGE	   (512 * PAGE)
#define THIRD	   (NR_PAGES / 3)
#define HUGE_ARENA (4 * HUGE)

struct page {
	bool mapped;
	bool shared; /* the file's page itself */
	bool copied; /* private page of a file: was written, data is what it holds */
	int prot;
	int file; /* page of the file, or -1: anonymous */
	unsigned char data[PAGE];
};

/* The file, as all processes see it. */
struct file {
	int nr_pages;
	unsigned char data[FILE_PAGES][PAGE];
};

static struct page pages[NR_PAGES];
static struct file *file;
static int fd;
static unsigned char *arena;
static struct random rng;
static uint64_t seed;
static unsigned long operation;
static char doing[128];
static int depth; /* of processes */
static bool verbose, huge;

static void
say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(doing, sizeof(doing), format, args);
	va_end(args);
	if (verbose)
		fprintf(stderr, "%lu: %s\n", operation, doing);
}

static void
contradiction(const char *format, ...)
{
	va_list args;

	printf("vm_model: seed %lu, operation %lu, process %d: %s: ", (unsigned long)seed,
	       operation, depth, doing);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
	_exit(1);
}

static unsigned
below(unsigned end)
{
	return random_below(&rng, end);
}

static unsigned char *
address_of(int number)
{
	if (!huge)
		return arena + number * PAGE;
	return arena + (number / THIRD + 1) * HUGE + (number % THIRD - THIRD / 2) * PAGE;
}

/* A run of pages of the arena, side by side. */
struct run {
	int first, nr;
};

static struct run
some_pages(void)
{
	int first = below(NR_PAGES), nr = 1 + below(MAX_RUN);
	int end = huge ? first / THIRD * THIRD + THIRD : NR_PAGES;

	return (struct run){ first, first + nr > end ? end - first : nr };
}

static int
some_rights(void)
{
	static const int rights[] = { PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE };

	return rights[below(5) > 2 ? 2 : below(3)];
}

/* ---- The model ------------------------------------------------------------------------------ */

/* What the page shows, or NULL: it lies behind the end of its file. */
static unsigned char *
contents(struct page *page)
{
	if (page->file < 0 || page->copied)
		return page->data;
	return page->file < file->nr_pages ? file->data[page->file] : NULL;
}

/* The signal's code that an access must get, or 0. No signal has both codes. */
static int
expected_code(struct page *page, bool write)
{
	if (!page->mapped)
		return SEGV_MAPERR;
	if (page->prot == PROT_NONE || (write && !(page->prot & PROT_WRITE)))
		return SEGV_ACCERR;
	return contents(page) ? 0 : -BUS_ADRERR;
}

/* Where a write of the program goes: a private page of a file becomes a copy first. */
static unsigned char *
for_writing(struct page *page)
{
	if (page->file >= 0 && !page->shared && !page->copied) {
		memcpy(page->data, contents(page), PAGE);
		page->copied = true;
	}
	return contents(page);
}

static bool
has_hole(struct run run)
{
	for (int i = run.first; i < run.first + run.nr; i++) {
		if (!pages[i].mapped)
			return true;
	}
	return false;
}

/* ---- Accesses ------------------------------------------------------------------------------- */

static sigjmp_buf back;
static volatile int got_code;
static void *volatile got_address;

static void
caught(int signal, siginfo_t *info, void *context)
{
	(void)context;
	got_code = signal == SIGBUS ? -info->si_code : info->si_code;
	got_address = info->si_addr;
	siglongjmp(back, 1);
}

/* Read a byte, or write it if value is not negative. Returns the signal's code, or 0. */
static int
access_byte(volatile unsigned char *byte, int value)
{
	got_code = 0;
	if (!sigsetjmp(back, 1)) {
		if (value < 0)
			(void)*byte;
		else
			*byte = value;
	}
	return got_code;
}

/* Compare a page's bytes with the model's. An access that is not allowed must fault. */
static void
compare(int number, unsigned offset)
{
	struct page *page = &pages[number];
	unsigned char *memory = address_of(number), *model;
	int code = expected_code(page, false), got = access_byte(memory + offset, -1);

	if (got != code)
		contradiction("reading page %d gives code %d, expected %d", number, got, code);
	if (code && got_address != memory + offset)
		contradiction("reading page %d faults at %p, expected %p", number, got_address,
			      memory + offset);
	if (code)
		return;
	model = contents(page);
	for (unsigned i = 0; i < PAGE; i++) {
		if (memory[i] != model[i])
			contradiction("page %d, byte %u is %d, expected %d", number, i, memory[i],
				      model[i]);
	}
}

static void
compare_all(void)
{
	for (int i = 0; i < NR_PAGES; i++)
		compare(i, below(PAGE));
}

/* A call's result against what the model says: 0 or an error number. */
static void
check_result(long result, int expected)
{
	int error = result == -1 ? errno : 0;

	if (error != expected)
		contradiction("error %d (%s), expected %d (%s)", error, strerror(error), expected,
			      strerror(expected));
}

static void
do_write(void)
{
	int number = below(NR_PAGES);
	unsigned offset = below(PAGE);
	unsigned char value = below(256);
	int code = expected_code(&pages[number], true), got;

	say("write of %d at page %d + %u", value, number, offset);
	got = access_byte(address_of(number) + offset, value);
	if (got != code)
		contradiction("code %d, expected %d", got, code);
	if (!code)
		for_writing(&pages[number])[offset] = value;
}

static void
do_read(void)
{
	int number = below(NR_PAGES);

	say("read of page %d", number);
	compare(number, below(PAGE));
}

/* The kernel writes for the program: read() from the file into the arena. */
static void
do_read_file(void)
{
	int number = below(NR_PAGES), from = below(FILE_PAGES);
	unsigned offset = below(PAGE), size = 1 + below(PAGE - offset);
	struct page *page = &pages[number];
	unsigned char old[PAGE];
	ssize_t got;

	/* In what order bytes are copied is nobody's promise: not from a page into itself. */
	if (page->shared && page->file == from)
		offset = 0;
	say("pread of %u bytes of page %d of the file to page %d + %u", size, from, number, offset);
	got = pread(fd, address_of(number) + offset, size, from * PAGE);
	if (from >= file->nr_pages) {
		if (got != 0)
			contradiction("%zd, expected the end of the file", got);
	} else if (expected_code(page, true)) {
		check_result(got, EFAULT);
	} else if (got != size) {
		contradiction("%zd, expected %u", got, size);
	} else {
		memcpy(old, file->data[from], size);
		memcpy(for_writing(page) + offset, old, size);
	}
}

/* ---- Operations ----------------------------------------------------------------------------- */

static void
model_map(struct run run, int prot, bool shared, int from)
{
	for (int i = 0; i < run.nr; i++) {
		struct page *page = &pages[run.first + i];

		page->mapped = true;
		page->prot = prot;
		page->shared = shared;
		page->copied = false;
		page->file = from < 0 ? -1 : from + i;
		memset(page->data, 0, PAGE);
	}
}

static void
do_map(void)
{
	struct run run = some_pages();
	int prot = some_rights(), kind = below(4), from = kind < 2 ? -1 : (int)below(FILE_PAGES);
	bool shared = kind == 2, replace = below(4) > 0, taken = false;
	int flags = (shared ? MAP_SHARED : MAP_PRIVATE) | (from < 0 ? MAP_ANONYMOUS : 0);
	unsigned char *at = address_of(run.first);
	void *result;

	for (int i = run.first; i < run.first + run.nr; i++)
		taken |= pages[i].mapped;
	flags |= replace ? MAP_FIXED : MAP_FIXED_NOREPLACE;
	say("mmap of pages %d+%d, rights %d, flags %#x, file page %d", run.first, run.nr, prot,
	    flags, from);
	result =
	    mmap(at, run.nr * PAGE, prot, flags, from < 0 ? -1 : fd, from < 0 ? 0 : from * PAGE);
	if (!replace && taken) {
		check_result(result == MAP_FAILED ? -1 : 0, EEXIST);
		return;
	}
	check_result(result == MAP_FAILED ? -1 : 0, 0);
	if (result != at)
		contradiction("mapped at %p, expected %p", result, (void *)at);
	model_map(run, prot, shared, from);
}

static void
do_unmap(void)
{
	struct run run = some_pages();

	say("munmap of pages %d+%d", run.first, run.nr);
	check_result(munmap(address_of(run.first), run.nr * PAGE), 0);
	for (int i = run.first; i < run.first + run.nr; i++)
		pages[i].mapped = false;
}

static void
do_protect(void)
{
	struct run run = some_pages();
	unsigned char *at = address_of(run.first);
	int prot = some_rights(), nr = 0;

	say("mprotect of pages %d+%d, rights %d", run.first, run.nr, prot);
	check_result(mprotect(at, run.nr * PAGE, prot), has_hole(run) ? ENOMEM : 0);
	while (nr < run.nr && pages[run.first + nr].mapped)
		pages[run.first + nr++].prot = prot;
	/* Before a hole, the rights may have changed or not: make it so. */
	if (nr < run.nr)
		check_result(mprotect(at, nr * PAGE, prot), 0);
}

static void
do_give_up(void)
{
	struct run run = some_pages();

	say("madvise DONTNEED of pages %d+%d", run.first, run.nr);
	check_result(madvise(address_of(run.first), run.nr * PAGE, MADV_DONTNEED),
		     has_hole(run) ? ENOMEM : 0);
	for (int i = run.first; i < run.first + run.nr; i++) {
		pages[i].copied = false;
		if (pages[i].file < 0)
			memset(pages[i].data, 0, PAGE);
	}
}

/* Move one page to another place, where it may grow into a run. */
static void
do_move(void)
{
	struct run to = some_pages();
	int from = below(NR_PAGES);
	struct page moved = pages[from];
	unsigned char *at = address_of(to.first);
	void *result;

	if (from >= to.first && from < to.first + to.nr)
		return; /* they must not overlap */
	say("mremap of page %d to %d+%d", from, to.first, to.nr);
	result = mremap(address_of(from), PAGE, to.nr * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, at);
	check_result(result == MAP_FAILED ? -1 : 0, moved.mapped ? 0 : EFAULT);
	if (!moved.mapped) {
		/* Linux has made room already when it finds that there is nothing to move. */
		munmap(at, to.nr * PAGE);
		for (int i = to.first; i < to.first + to.nr; i++)
			pages[i].mapped = false;
		return;
	}
	model_map(to, moved.prot, moved.shared, moved.file);
	pages[to.first].copied = moved.copied;
	memcpy(pages[to.first].data, moved.data, PAGE);
	pages[from].mapped = false;
}

/* Map all memory around the arena anew, and ask for huge pages. */
static void
do_renew(void)
{
	void *result;

	if (!huge)
		return;
	say("all is mapped anew");
	result = mmap(arena, HUGE_ARENA, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	check_result(result == MAP_FAILED ? -1 : 0, 0);
	check_result(madvise(arena, HUGE_ARENA, MADV_HUGEPAGE), 0);
	model_map((struct run){ 0, NR_PAGES }, PROT_READ | PROT_WRITE, false, -1);
}

static void
do_write_file(void)
{
	unsigned char data[64];
	int number = below(FILE_PAGES);
	unsigned offset = below(PAGE - sizeof(data));

	memset(data, below(256), sizeof(data));
	if (number >= file->nr_pages)
		return; /* only do_resize_file() makes it longer */
	say("pwrite to page %d of the file + %u", number, offset);
	if (pwrite(fd, data, sizeof(data), number * PAGE + offset) != sizeof(data))
		contradiction("it failed: %s", strerror(errno));
	memcpy(file->data[number] + offset, data, sizeof(data));
}

static void
do_resize_file(void)
{
	int nr_pages = below(FILE_PAGES + 1);

	if (depth > 0)
		return; /* the parent's copies would go, too */
	say("ftruncate to %d pages", nr_pages);
	check_result(ftruncate(fd, nr_pages * PAGE), 0);
	for (int i = 0; i < NR_PAGES; i++) {
		if (pages[i].file >= nr_pages)
			pages[i].copied = false;
	}
	for (int i = nr_pages; i < FILE_PAGES; i++)
		memset(file->data[i], 0, PAGE);
	file->nr_pages = nr_pages;
}

static void operate(unsigned nr);

/* A child that goes on from here, while the parent waits, or first writes to its own pages. */
static void
do_fork(void)
{
	bool parent_writes = below(2);
	int go[2], status;
	uint64_t child_seed = random_next(&rng);
	pid_t pid;
	char byte = 0;

	if (depth >= 2)
		return;
	say("fork");
	if (pipe(go))
		contradiction("no pipe: %s", strerror(errno));
	pid = fork();
	if (pid == 0) {
		depth++;
		rng = random_of(child_seed);
		if (read(go[0], &byte, 1) != 1)
			contradiction("no word from the parent");
		compare_all();
		operate(below(30));
		compare_all();
		_exit(0);
	}
	if (pid < 0)
		contradiction("it failed: %s", strerror(errno));
	for (int i = 0; parent_writes && i < 20; i++)
		do_write();
	if (write(go[1], &byte, 1) != 1 || waitpid(pid, &status, 0) != pid)
		contradiction("the child is lost: %s", strerror(errno));
	close(go[0]);
	close(go[1]);
	if (WIFSIGNALED(status))
		contradiction("the child got signal %d", WTERMSIG(status));
	if (status)
		_exit(1); /* it has said why */
	say("after fork");
	compare_all();
}

static const struct {
	void (*run)(void);
	unsigned weight;
} operations[] = {
	{ do_map, 20 },	 { do_unmap, 8 },      { do_protect, 16 },    { do_give_up, 6 },
	{ do_move, 10 }, { do_write, 60 },     { do_read, 20 },	      { do_read_file, 12 },
	{ do_fork, 1 },	 { do_write_file, 8 }, { do_resize_file, 2 }, { do_renew, 4 },
};

#define NR_OPERATIONS (sizeof(operations) / sizeof(*operations))

static void
operate(unsigned nr)
{
	unsigned total = 0;

	for (size_t i = 0; i < NR_OPERATIONS; i++)
		total += operations[i].weight;
	for (unsigned n = 0; n < nr; n++) {
		unsigned choice = below(total);
		size_t i = 0;

		while (choice >= operations[i].weight)
			choice -= operations[i++].weight;
		operation++;
		operations[i].run();
		compare(below(NR_PAGES), below(PAGE));
		if (n % 64 == 63)
			compare_all();
	}
}

static void
set_up(void)
{
	struct sigaction action = { .sa_sigaction = caught, .sa_flags = SA_SIGINFO };
	char name[] = "/tmp/vm_model-XXXXXX";
	size_t size = huge ? HUGE_ARENA : NR_PAGES * PAGE;

	say("start");
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	fd = mkstemp(name);
	if (fd < 0 || unlink(name))
		contradiction("no file: %s", strerror(errno));
	file = mmap(NULL, sizeof(*file), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	/* A place for the arena, with room around it, so that nothing merges with it. */
	arena = mmap(NULL, size + HUGE + PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (file == MAP_FAILED || arena == MAP_FAILED)
		contradiction("no memory: %s", strerror(errno));
	arena += PAGE;
	arena += -(uintptr_t)arena % HUGE;
	if (munmap(arena, size))
		contradiction("munmap: %s", strerror(errno));
	for (int i = 0; i < NR_PAGES; i++)
		pages[i].file = -1;
}

int
main(int argc, char **argv)
{
	unsigned long nr = argc > 2 ? strtoul(argv[2], NULL, 0) : 5000;

	seed = argc > 1 ? strtoul(argv[1], NULL, 0) : 1;
	for (int i = 3; i < argc; i++)
		*(strcmp(argv[i], "huge") ? &verbose : &huge) = true;
	rng = random_of(seed);
	set_up();
	operate(nr);
	compare_all();
	printf("vm_model: seed %lu, %lu operations: no contradiction\n", (unsigned long)seed, nr);
	return 0;
}
