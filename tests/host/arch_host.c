/* SPDX-License-Identifier: MIT */
/*
 * The arch_* interface, panic() and the console, as mm/ needs them, on the host.
 *
 * memmap is reserved for all HOST_FRAMES frames without access. Backing a part of it
 * makes just that part readable, so an access to the page of a frame that has none ends
 * in a fault here, where the kernel would take a page fault.
 *
 * A panic goes back to the host_try() that runs, if there is one in this thread.
 */
#define _GNU_SOURCE /* memfd_create() */
#include "host.h"

#include <arch.h>
#include <page.h>
#include <panic.h>
#include <percpu.h>
#include <printk.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#define HOST_PAGE	4096ul
#define MEMMAP_SIZE	(HOST_FRAMES * sizeof(struct page))
#define NR_MEMMAP_PAGES (MEMMAP_SIZE / HOST_PAGE)

struct page *host_memmap;
uintptr_t host_direct_map;
paddr_t host_direct_map_end = HOST_FRAMES << PAGE_SHIFT;
int host_memory_file;
_Thread_local unsigned host_cpu_id;
_Thread_local bool host_irqs_off;

char host_percpu[MAX_CPUS][HOST_PERCPU_SIZE] __attribute__((aligned(64)));

char host_message[512];
char host_output[16384];

static bool backed[NR_MEMMAP_PAGES];	/* by host page of memmap */
static size_t backed_first, backed_end; /* no page outside [first, end) is backed */
static bool capturing;
static _Thread_local sigjmp_buf *volatile try_target;

/* Addresses without access. */
static void *
reserve(size_t size)
{
	void *area =
	    mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (area == MAP_FAILED) {
		fprintf(stderr, "cannot reserve %zu MiB of address space: check ulimit -v\n",
			size >> 20);
		exit(2);
	}
	return area;
}

/*
 * End by abort(), so that a test program can say where it was. Nothing here is allocated to
 * be freed; and looking for leaks needs ptrace, which many containers forbid.
 */
const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

const char *
__asan_default_options(void)
{
	return "abort_on_error=1:detect_leaks=0";
}

const char *
__ubsan_default_options(void)
{
	return "abort_on_error=1:print_stacktrace=1";
}

/* The machine's memory, which is a file, and above it, as in the kernel, the area of mappings. */
static void
map_memory(void)
{
	size_t size = HOST_FRAMES << PAGE_SHIFT;
	void *memory = reserve(size + LARGE_SIZE + KMAP_PAGES * PAGE_SIZE);

	host_memory_file = memfd_create("memory", MFD_CLOEXEC);
	if (host_memory_file < 0 || ftruncate(host_memory_file, (off_t)size) != 0 ||
	    mmap(memory, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED,
		 host_memory_file, 0) == MAP_FAILED) {
		perror("cannot make a file of the machine's memory");
		exit(2);
	}
	host_direct_map = (uintptr_t)memory;
	host_vm_area = host_direct_map + size;
}

/* Before main(), so that fuzz targets, whose main() is not ours, find memory as well. */
__attribute__((constructor)) static void
reserve_memory(void)
{
	size_t percpu_size = (size_t)(__stop_percpu - __start_percpu);

	if (percpu_size > HOST_PERCPU_SIZE) {
		fprintf(stderr, "raise HOST_PERCPU_SIZE to %zu\n", percpu_size);
		exit(2);
	}
	/* Without the checks of debug kernels there may be no such variable. */
	for (unsigned cpu = 0; percpu_size > 0 && cpu < MAX_CPUS; cpu++)
		memcpy(host_percpu[cpu], __start_percpu, percpu_size);
	host_memmap = reserve(MEMMAP_SIZE);
	map_memory();
}

uint64_t
arch_map_boot_memory(uintptr_t start, uint64_t size)
{
	size_t first = (start - (uintptr_t)host_memmap) / HOST_PAGE;
	size_t end = first + size / HOST_PAGE;
	uint64_t taken = 0;

	ASSERT(IS_ALIGNED(start | size, HOST_PAGE));
	ASSERT_LE((uintptr_t)host_memmap, start);
	ASSERT_LE(end, NR_MEMMAP_PAGES);
	backed_first = backed_end ? MIN(backed_first, first) : first;
	backed_end = MAX(backed_end, end);
	for (size_t i = first; i < end; i++) {
		if (backed[i])
			continue;
		backed[i] = true;
		taken += HOST_PAGE;
	}
	ASSERT_EQ(mprotect((void *)start, size, PROT_READ | PROT_WRITE), 0);
	return taken;
}

void
host_memmap_reset(void)
{
	for (size_t i = backed_first, end; i < backed_end; i = end) {
		char *start = (char *)host_memmap + i * HOST_PAGE;

		end = i + 1;
		if (!backed[i])
			continue;
		while (end < backed_end && backed[end])
			end++;
		memset(backed + i, false, end - i);
		/* Zeroed when it is backed again. */
		madvise(start, (end - i) * HOST_PAGE, MADV_DONTNEED);
		mprotect(start, (end - i) * HOST_PAGE, PROT_NONE);
	}
	backed_first = backed_end = 0;
}

paddr_t
arch_direct_map_end(void)
{
	return host_direct_map_end;
}

void
arch_clear_page(void *page)
{
	memset(page, 0, PAGE_SIZE);
}

/* ---- Panics ------------------------------------------------------------------- */

static _Noreturn void
end_try(void)
{
	/* Not to another thread's host_try(): its stack is not ours to leave to. */
	if (!try_target) {
		printf("# panic: %s\n", host_message);
		fflush(stdout);
		abort();
	}
	siglongjmp(*try_target, 1);
}

void
panic(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(host_message, sizeof(host_message), fmt, ap);
	va_end(ap);
	end_try();
}

void
lab_todo(int lab, const char *what)
{
	panic("lab %d: TODO: %s", lab, what);
}

static void
on_signal(int number, siginfo_t *info, void *context)
{
	(void)context;
	if (!try_target && number != SIGPROF) {
		/* Run the instruction again, into the sanitizer's handler or the default. */
		signal(number, SIG_DFL);
		return;
	}
	if (number == SIGPROF) {
		snprintf(host_message, sizeof(host_message), "hang: no end");
	} else {
		uintptr_t offset = (uintptr_t)info->si_addr - (uintptr_t)host_memmap;

		if (offset < MEMMAP_SIZE)
			snprintf(host_message, sizeof(host_message),
				 "page fault: the page of frame %#zx, which has none",
				 offset / sizeof(struct page));
		else
			snprintf(host_message, sizeof(host_message), "page fault: address %p",
				 info->si_addr);
	}
	end_try();
}

static void
set_handlers(void)
{
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };

	sigaction(SIGPROF, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
}

/* Of processor time, or a loaded machine would look like a hang. 0: no limit. */
static void
set_budget(unsigned ms)
{
	struct itimerval timer = { .it_value = { ms / 1000, ms % 1000 * 1000 } };

	setitimer(ITIMER_PROF, &timer, NULL);
}

bool
host_try(void (*fn)(void *), void *arg, unsigned budget_ms)
{
	static bool handlers_set;
	static unsigned running_budget_ms;
	char percpu_before[HOST_PERCPU_SIZE];
	sigjmp_buf target, *volatile outer = try_target;
	volatile unsigned outer_budget_ms = running_budget_ms;
	volatile bool returned = false;

	if (!handlers_set) {
		set_handlers();
		handlers_set = true;
	}
	host_message[0] = '\0';
	memcpy(percpu_before, host_percpu[host_cpu_id], sizeof(percpu_before));
	if (sigsetjmp(target, 1) == 0) {
		try_target = &target;
		running_budget_ms = budget_ms;
		set_budget(budget_ms);
		fn(arg);
		returned = true;
	} else {
		host_abandon_calls();
		/* What this CPU was in the middle of, such as holding locks, it is no more. */
		memcpy(host_percpu[host_cpu_id], percpu_before, sizeof(percpu_before));
	}
	running_budget_ms = outer_budget_ms;
	set_budget(outer_budget_ms);
	try_target = outer;
	host_irqs_off = false;
	return returned;
}

/* ---- Console -------------------------------------------------------------------- */

void
host_capture_begin(void)
{
	capturing = true;
	host_output[0] = '\0';
}

void
host_capture_end(void)
{
	capturing = false;
}

void
kvprintf(const char *fmt, va_list ap)
{
	char text[1024];
	size_t used = strlen(host_output);

	kvsnprintf(text, sizeof(text), fmt, ap);
	if (capturing)
		snprintf(host_output + used, sizeof(host_output) - used, "%s", text);
	else
		printf("# %s", text);
}

void
kprintf(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	kvprintf(fmt, ap);
	va_end(ap);
}

void
host_note(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	printf("# ");
	vprintf(fmt, ap);
	putchar('\n');
	va_end(ap);
}
