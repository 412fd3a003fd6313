/* SPDX-License-Identifier: MIT */
/*
 * Signals and faults at once: handlers that fault, on other stacks, in the middle of the kernel's
 * copies, with protection keys, and where a file has become shorter than its mapping.
 */
#include "ktap.h"
#include "pkeys.h"

#include <fcntl.h>
#include <sched.h>
#include <ucontext.h>

#define RW	   (PROT_READ | PROT_WRITE)
#define STACK_SIZE (16 * PAGE)

static volatile char *volatile nowhere = (char *)16;

static void
on(int signal, void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags };

	need(sigaction(signal, &action, NULL) == 0);
}

static char *
alternate_stack(size_t size)
{
	char *memory = map(size / PAGE);

	need(sigaltstack(&(stack_t){ .ss_sp = memory, .ss_size = size }, NULL) == 0);
	return memory;
}

static char *
page_of(const void *address)
{
	return (char *)((uintptr_t)address & -PAGE);
}

/* ---- Faults in handlers ---------------------------------------------------------------------- */

#define DEPTH 6

static char *volatile ladder; /* pages that may not be accessed */
static volatile int depth, deepest, wrong;

/* Each makes its page accessible, but touches the next one first. */
static void
climb(int signal, siginfo_t *info, void *context)
{
	char *page = page_of(info->si_addr);
	int mine = depth++;

	(void)signal;
	(void)context;
	wrong += info->si_addr != ladder + mine * PAGE + mine || info->si_code != SEGV_ACCERR;
	deepest = deepest > depth ? deepest : depth;
	if (mine + 1 < DEPTH)
		page[PAGE + mine + 1] = (char)(mine + 1);
	depth--;
	need(mprotect(page, PAGE, RW) == 0);
}

static void
climb_all(int flags)
{
	ladder = map(DEPTH);
	need(mprotect(ladder, DEPTH * PAGE, PROT_NONE) == 0);
	on(SIGSEGV, climb, SA_NODEFER | flags);
	depth = deepest = wrong = 0;
	ladder[0] = 100;
	is(wrong, 0);
	is(deepest, DEPTH);
	is(ladder[0], 100);
	for (int i = 1; i < DEPTH; i++)
		is(ladder[i * PAGE + i], i);
}

CASE(a_handler_that_faults)
{
	climb_all(0);
}

CASE(on_an_alternate_stack)
{
	char *stack = alternate_stack(4 * STACK_SIZE);
	stack_t now;

	climb_all(SA_ONSTACK);
	is(sigaltstack(NULL, &now), 0);
	is(now.ss_flags, 0);
	yes(now.ss_sp == stack);
}

/* Without SA_NODEFER the second fault finds its signal blocked: there is no way on. */
static void
fault_again(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)info;
	(void)context;
	*nowhere = 1;
	_exit(1);
}

CASE(a_fault_whose_signal_is_blocked)
{
	pid_t pid = fork();

	if (pid == 0) {
		on(SIGSEGV, fault_again, 0);
		*nowhere = 1;
		_exit(2);
	}
	is(ended(pid), -SIGSEGV);
}

/* Keeps some of the stack that it runs on, and faults again. */
static void
endless(int signal, siginfo_t *info, void *context)
{
	volatile char taken[1000];

	taken[0] = 1;
	(void)signal;
	(void)info;
	(void)context;
	nowhere[(int)taken[0]] = 1;
}

CASE(an_alternate_stack_that_is_full)
{
	pid_t pid = fork();

	if (pid == 0) {
		char *memory = map(2 * STACK_SIZE / PAGE);
		stack_t stack = { .ss_sp = memory + STACK_SIZE, .ss_size = STACK_SIZE };

		need(sigaltstack(&stack, NULL) == 0);
		on(SIGSEGV, endless, SA_NODEFER | SA_ONSTACK);
		*nowhere = 1;
		_exit(2);
	}
	is(ended(pid), -SIGSEGV);
}

CASE(an_alternate_stack_that_is_gone)
{
	pid_t pid = fork();

	if (pid == 0) {
		char *stack = alternate_stack(STACK_SIZE);

		on(SIGSEGV, fault_again, SA_ONSTACK);
		munmap(stack, STACK_SIZE);
		*nowhere = 1;
		_exit(2);
	}
	is(ended(pid), -SIGSEGV);
}

static volatile int handled;

static void
allow(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	handled++;
	need(mprotect(page_of(info->si_addr), PAGE, RW) == 0);
}

static void
write_denied(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)info;
	(void)context;
	ladder[0] = 5;
}

/* One signal's handler faults; that of the fault runs on the same stack, above it. */
CASE(two_signals_on_one_stack)
{
	(void)alternate_stack(STACK_SIZE);
	ladder = map(1);
	need(mprotect(ladder, PAGE, PROT_NONE) == 0);
	on(SIGUSR1, write_denied, SA_ONSTACK);
	on(SIGSEGV, allow, SA_ONSTACK);
	is(raise(SIGUSR1), 0);
	is(handled, 1);
	is(ladder[0], 5);
}

/* ---- In the kernel's copies ------------------------------------------------------------------ */

CASE(no_signal_from_a_copy)
{
	char *memory = map(3);
	int ends[2];

	on(SIGSEGV, allow, 0);
	on(SIGBUS, allow, 0);
	need(pipe(ends) == 0);
	need(mprotect(memory + PAGE, PAGE, PROT_NONE) == 0);
	is(write(ends[1], memory, 10), 10);
	fails(read(ends[0], memory + PAGE, 10), EFAULT);
	fails(write(ends[1], memory + PAGE, 10), EFAULT);
	fails(pipe((int *)(memory + PAGE)), EFAULT);
	fails(syscall(SYS_sigaltstack, memory + PAGE, NULL), EFAULT);
	is(handled, 0);
	is(read(ends[0], memory, 10), 10);
}

static volatile int interrupted;

static void
interrupt(int signal, siginfo_t *info, void *context)
{
	char *page = mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)signal;
	(void)info;
	(void)context;
	page[0] = 1; /* a fault of its own */
	interrupted++;
	munmap(page, PAGE);
}

/* A copy into memory that is not there yet, with signals that come meanwhile. */
CASE(a_copy_with_faults_and_signals)
{
	size_t size = 64 * PAGE;
	char *memory = map(64);
	int fd = file_of(64);
	pid_t parent = getpid(), pid;

	on(SIGUSR1, interrupt, SA_RESTART);
	pid = fork();
	if (pid == 0) {
		for (int i = 0; i < 50; i++) {
			kill(parent, SIGUSR1);
			sched_yield();
		}
		_exit(0);
	}
	for (int round = 0; round < 20; round++) {
		ssize_t got = pread(fd, memory, size, 0);

		need(got > 0);
		for (ssize_t at = 0; at < got; at += PAGE)
			need(memory[at] == (char)(at / PAGE + 1));
		need(madvise(memory, size, MADV_DONTNEED) == 0);
	}
	is(ended(pid), 0);
	yes(interrupted > 0);
}

/* ---- Files cut short ------------------------------------------------------------------------- */

CASE(a_mapping_cut_short)
{
	int fd = file_of(4);
	char *shared = mmap(NULL, 4 * PAGE, RW, MAP_SHARED, fd, 0);
	char *copy = mmap(NULL, 4 * PAGE, RW, MAP_PRIVATE, fd, 0);

	need(shared != MAP_FAILED && copy != MAP_FAILED);
	is(shared[3 * PAGE], 4);
	copy[2 * PAGE] = 99;
	is(copy[3 * PAGE], 4);
	is(ftruncate(fd, PAGE + 10), 0);
	is(shared[PAGE], 2);
	is(shared[PAGE + 20], 0);
	faults(READ, shared + 2 * PAGE, SIGBUS, BUS_ADRERR);
	faults(WRITE, shared + 3 * PAGE + 5, SIGBUS, BUS_ADRERR);
	faults(READ, copy + 2 * PAGE, SIGBUS, BUS_ADRERR); /* copies go, too */
	faults(WRITE, copy + 3 * PAGE, SIGBUS, BUS_ADRERR);
	is(ftruncate(fd, 4 * PAGE), 0);
	is(shared[2 * PAGE], 0);
	is(copy[2 * PAGE], 0);
}

CASE(cut_short_under_a_copy)
{
	int fd = file_of(4), ends[2], other = file_of(1);
	char *shared = mmap(NULL, 4 * PAGE, RW, MAP_SHARED, fd, 0);

	need(shared != MAP_FAILED && pipe(ends) == 0);
	on(SIGBUS, allow, 0);
	is(ftruncate(fd, PAGE), 0);
	fails(write(ends[1], shared + PAGE, 1), EFAULT);
	fails(pread(other, shared + 2 * PAGE, 10, 0), EFAULT);
	is(pwrite(other, shared + PAGE - 8, 16, 0), 8); /* as far as it goes */
	is(pread(other, shared + PAGE - 8, 16, 0), 8);
	is(handled, 0);
}

static volatile int bus_fd, bus_code;
static void *volatile bus_address;

static void
lengthen(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	bus_code = info->si_code;
	bus_address = info->si_addr;
	handled++;
	need(ftruncate(bus_fd, 4 * PAGE) == 0);
}

CASE(a_handler_makes_the_file_longer)
{
	char *shared;

	bus_fd = file_of(4);
	shared = mmap(NULL, 4 * PAGE, RW, MAP_SHARED, bus_fd, 0);
	need(shared != MAP_FAILED && ftruncate(bus_fd, PAGE) == 0);
	on(SIGBUS, lengthen, 0);
	shared[3 * PAGE + 3] = 33;
	is(handled, 1);
	is(bus_code, BUS_ADRERR);
	yes(bus_address == shared + 3 * PAGE + 3);
	is(shared[3 * PAGE + 3], 33);
	is(shared[2 * PAGE], 0);
}

/* A handler of one fault takes the other one: SIGBUS within SIGSEGV, on another stack. */
static char *volatile beyond;

static void
touch_beyond(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	beyond[0] = 1;
	need(mprotect(page_of(info->si_addr), PAGE, RW) == 0);
}

CASE(a_bus_error_in_a_handler)
{
	volatile char *memory = map(1);

	(void)alternate_stack(2 * STACK_SIZE);
	bus_fd = file_of(4);
	beyond = mmap(NULL, 4 * PAGE, RW, MAP_SHARED, bus_fd, 0);
	need(beyond != MAP_FAILED && ftruncate(bus_fd, 0) == 0);
	need(mprotect((void *)memory, PAGE, PROT_NONE) == 0);
	on(SIGSEGV, touch_beyond, SA_ONSTACK);
	on(SIGBUS, lengthen, SA_ONSTACK);
	memory[0] = 9;
	is(memory[0], 9);
	is(beyond[0], 1);
	is(handled, 1);
}

/* ---- With keys ------------------------------------------------------------------------------- */

static volatile int key_code, climbs;
static volatile int the_key;

/* The handler begins with the key denied, and faults on the same page itself. */
static void
with_key(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	key_code = info->si_code;
	if (climbs++ == 0)
		wrong += *(volatile char *)info->si_addr != 1;
	else
		need(key_protect(page_of(info->si_addr), PAGE, RW, 0) == 0);
}

CASE(a_key_denied_in_a_handler)
{
	volatile char *memory = map(1);

	if (!have_pkeys())
		skip("no protection keys here");
	memory[0] = 1;
	the_key = key_alloc(NO_ACCESS);
	need(the_key > 0);
	need(key_protect((void *)memory, PAGE, RW, the_key) == 0);
	(void)alternate_stack(2 * STACK_SIZE);
	on(SIGSEGV, with_key, SA_NODEFER | SA_ONSTACK);
	wrong = 0;
	is(memory[0], 1);
	is(key_code, PKEY_CODE);
	is(climbs, 2);
	is(wrong, 0);
	is(denied(the_key), NO_ACCESS);
}

/* The key is asked before the file. */
CASE(a_key_and_a_file_cut_short)
{
	int fd = file_of(2), key;
	char *shared = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0);

	if (!have_pkeys())
		skip("no protection keys here");
	need(shared != MAP_FAILED && ftruncate(fd, 0) == 0);
	key = key_alloc(NO_ACCESS);
	need(key > 0);
	need(key_protect(shared, 2 * PAGE, RW, key) == 0);
	faults(READ, shared, SIGSEGV, PKEY_CODE);
	deny(key, 0);
	faults(READ, shared, SIGBUS, BUS_ADRERR);
}

/* A stack for handlers that the thread denies itself: the frame cannot be written. */
CASE(a_denied_alternate_stack)
{
	pid_t pid;

	if (!have_pkeys())
		skip("no protection keys here");
	pid = fork();
	if (pid == 0) {
		char *stack = alternate_stack(STACK_SIZE);
		int key = key_alloc(NO_ACCESS);

		need(key_protect(stack, STACK_SIZE, RW, key) == 0);
		on(SIGUSR1, interrupt, SA_ONSTACK);
		raise(SIGUSR1);
		_exit(0);
	}
	is(ended(pid), -SIGSEGV);
}
