/* SPDX-License-Identifier: MIT */
/* Protection keys: what a thread denies itself, and the kernel on its behalf. */
#include "pkeys.h"
#include "ktap.h"

#include <fcntl.h>
#include <pthread.h>
#include <ucontext.h>

#define RW	   (PROT_READ | PROT_WRITE)
#define AT_START   0x55555554u /* everything but key 0 is denied */
#define NEED_PKEYS "no protection keys here"

/* si_pkey, which not every C library names. */
#define KEY_OF(info) (*(const uint32_t *)((const char *)(info) + 32))

static int
some_key(unsigned what)
{
	int key;

	if (!have_pkeys())
		skip(NEED_PKEYS);
	key = key_alloc(what);
	need(key > 0);
	return key;
}

/* Memory with a key to which this thread has those rights. */
static char *
memory_with(int key, size_t pages)
{
	char *memory = map(pages);

	memset(memory, 1, pages * PAGE);
	need(key_protect(memory, pages * PAGE, RW, key) == 0);
	return memory;
}

/* ---- The calls ------------------------------------------------------------------------------ */

CASE(without_keys_there_are_none)
{
	char *memory = map(1);

	if (have_pkeys())
		skip("there are protection keys here");
	fails(key_alloc(0), EINVAL); /* what Linux says, whatever its manual does */
	fails(key_free(1), EINVAL);
	fails(key_protect(memory, PAGE, RW, 1), EINVAL);
	is(key_protect(memory, PAGE, PROT_READ, -1), 0); /* as mprotect() */
	faults(WRITE, memory, SIGSEGV, SEGV_ACCERR);
	fails(key_protect(memory, PAGE, RW, 0), EINVAL);
	is(key_protect(memory, PAGE, RW, -1), 0);
	allowed(WRITE, memory);
	is(mprotect(memory, PAGE, PROT_EXEC), 0);
	allowed(READ, memory);
}

CASE(fifteen_of_them)
{
	bool seen[16] = { true };
	int key;

	for (int i = 0; i < 15; i++) {
		key = some_key(0);
		need(key < 16 && !seen[key]);
		seen[key] = true;
	}
	fails(key_alloc(0), ENOSPC);
	is(key_free(7), 0);
	fails(key_free(7), EINVAL);
	is(key_alloc(0), 7);
}

CASE(bad_arguments)
{
	int key = some_key(0);
	char *memory = map(2);

	fails(syscall(SYS_pkey_alloc, 1, 0), EINVAL);
	fails(key_alloc(4), EINVAL);
	fails(key_free(-1), EINVAL);
	fails(key_free(16), EINVAL);
	fails(key_free(key + 1), EINVAL);
	fails(key_protect(memory, PAGE, RW, key + 1), EINVAL);
	fails(key_protect(memory, PAGE, RW, 16), EINVAL);
	fails(key_protect(memory, PAGE, RW, -2), EINVAL);
	fails(key_protect(memory + 1, PAGE, RW, key), EINVAL);
	is(munmap(memory + PAGE, PAGE), 0);
	fails(key_protect(memory, 2 * PAGE, RW, key), ENOMEM);
	is(key_protect(memory, PAGE, RW, 0), 0);
}

CASE(what_is_asked_for_is_denied_at_once)
{
	is(denied(some_key(0)), 0);
	is(denied(some_key(NO_WRITE)), NO_WRITE);
	is(denied(some_key(NO_ACCESS)), NO_ACCESS);
	is(read_pkru() & 3, 0);
}

/* ---- Accesses ------------------------------------------------------------------------------- */

CASE(reading_and_writing)
{
	int key = some_key(0), other = some_key(NO_ACCESS);
	char *memory = memory_with(key, 3);

	allowed(WRITE, memory);
	deny(key, NO_WRITE);
	allowed(READ, memory);
	faults(WRITE, memory + 17, SIGSEGV, PKEY_CODE);
	deny(key, NO_ACCESS);
	faults(READ, memory + PAGE, SIGSEGV, PKEY_CODE);
	faults(WRITE, memory + PAGE, SIGSEGV, PKEY_CODE);
	is(key_protect(memory + PAGE, PAGE, RW, 0), 0);
	faults(READ, memory + PAGE - 1, SIGSEGV, PKEY_CODE);
	allowed(WRITE, memory + PAGE);
	faults(READ, memory + 2 * PAGE, SIGSEGV, PKEY_CODE);
	deny(key, 0);
	is(memory[2 * PAGE], 1);
	is(key_protect(memory, PAGE, RW, other), 0);
	faults(READ, memory, SIGSEGV, PKEY_CODE);
}

CASE(the_mapping_forbids_it_too)
{
	int key = some_key(0);
	char *memory = memory_with(key, 1);

	is(mprotect(memory, PAGE, PROT_READ), 0); /* the key stays */
	faults(WRITE, memory, SIGSEGV, SEGV_ACCERR);
	deny(key, NO_ACCESS);
	faults(READ, memory, SIGSEGV, PKEY_CODE);
	faults(WRITE, memory, SIGSEGV, PKEY_CODE);
	deny(key, 0);
	is(munmap(memory, PAGE), 0);
	faults(READ, memory, SIGSEGV, SEGV_MAPERR);
}

CASE(pages_that_are_not_there_yet)
{
	int key = some_key(NO_WRITE);
	char *memory = map(2);

	is(key_protect(memory, 2 * PAGE, RW, key), 0);
	is(memory[0], 0);
	faults(WRITE, memory, SIGSEGV, PKEY_CODE);
	faults(WRITE, memory + PAGE, SIGSEGV, PKEY_CODE);
	deny(key, 0);
	memory[PAGE] = 3;
	is(memory[PAGE], 3);
	is(memory[0], 0);
}

static volatile uint32_t seen_key;
static volatile int seen_code;

static void
allow_it(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	seen_key = KEY_OF(info);
	seen_code = info->si_code;
	need(key_protect((char *)((uintptr_t)info->si_addr & -PAGE), PAGE, RW, 0) == 0);
}

CASE(the_signal_names_the_key)
{
	int key = some_key(NO_ACCESS), other = some_key(NO_ACCESS);
	struct sigaction action = { .sa_sigaction = allow_it, .sa_flags = SA_SIGINFO };
	volatile char *memory = map(2);

	is(key_protect((void *)memory, PAGE, RW, key), 0);
	is(key_protect((void *)(memory + PAGE), PAGE, RW, other), 0);
	is(sigaction(SIGSEGV, &action, NULL), 0);
	memory[5] = 5;
	is(seen_code, PKEY_CODE);
	is(seen_key, key);
	memory[PAGE] = 6;
	is(seen_key, other);
	is(memory[5], 5);
}

CASE(a_copy_after_fork)
{
	int key = some_key(0);
	char *memory = memory_with(key, 1);
	pid_t pid = fork();

	if (pid == 0) {
		memory[0] = 2; /* a copy, with the same key */
		deny(key, NO_ACCESS);
		faults(READ, memory, SIGSEGV, PKEY_CODE);
		exit(0);
	}
	is(ended(pid), 0);
	is(memory[0], 1);
	deny(key, NO_WRITE);
	pid = fork();
	if (pid == 0) /* what the parent denies itself is inherited */
		_exit((int)denied(key));
	is(ended(pid), NO_WRITE);
	faults(WRITE, memory, SIGSEGV, PKEY_CODE);
}

/* Key 0 is that of the stack, too: not even a handler can be called. */
CASE(all_memory_denied)
{
	pid_t pid;

	(void)some_key(0);
	pid = fork();
	if (pid == 0) {
		signal(SIGSEGV, _exit);
		write_pkru(read_pkru() | NO_ACCESS);
		_exit(7);
	}
	is(ended(pid), -SIGSEGV);
}

CASE(moved_memory_keeps_its_key)
{
	int key = some_key(0);
	char *memory = memory_with(key, 2), *moved;

	moved = mremap(memory, 2 * PAGE, 4 * PAGE, MREMAP_MAYMOVE);
	need(moved != MAP_FAILED);
	is(moved[PAGE], 1);
	deny(key, NO_ACCESS);
	faults(READ, moved + PAGE, SIGSEGV, PKEY_CODE);
	faults(READ, moved + 3 * PAGE, SIGSEGV, PKEY_CODE);
}

CASE(shared_memory)
{
	int key = some_key(NO_WRITE);
	char *memory = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	need(memory != MAP_FAILED);
	is(key_protect(memory, PAGE, RW, key), 0);
	faults(WRITE, memory, SIGSEGV, PKEY_CODE);
	deny(key, 0);
	*memory = 9;
	deny(key, NO_WRITE);
	is(*memory, 9);
}

/* ---- Each thread for itself ------------------------------------------------------------------ */

static void *
note_pkru(void *at)
{
	*(uint32_t *)at = read_pkru();
	write_pkru(0);
	return NULL;
}

CASE(threads_inherit_and_then_differ)
{
	int key = some_key(NO_WRITE);
	uint32_t mine = read_pkru(), theirs = 0;
	pthread_t thread;

	is(mine >> 2 * key & 3, NO_WRITE);
	need(pthread_create(&thread, NULL, note_pkru, &theirs) == 0);
	need(pthread_join(thread, NULL) == 0);
	is(theirs, mine);
	is(read_pkru(), mine);
}

static volatile bool stop;

static void *
toggle(void *arg)
{
	int key = *(int *)arg;
	long wrong = 0;

	for (unsigned i = 0; !stop; i++) {
		deny(key, i % 4);
		sched_yield();
		wrong += denied(key) != i % 4;
	}
	return (void *)wrong;
}

CASE(switches_keep_them_apart)
{
	int key = some_key(0);
	pthread_t threads[3];
	void *wrong;

	for (int i = 0; i < 3; i++)
		need(pthread_create(&threads[i], NULL, toggle, &key) == 0);
	for (int i = 0; i < 200; i++) {
		is(denied(key), 0);
		sched_yield();
	}
	stop = true;
	for (int i = 0; i < 3; i++) {
		need(pthread_join(threads[i], &wrong) == 0);
		is((long)wrong, 0);
	}
}

/* The program itself, executed again only to say what it begins with. */
__attribute__((constructor)) static void
say_pkru(void)
{
	if (getenv("SAY_PKRU"))
		_exit(read_pkru() == AT_START ? 3 : 4);
}

CASE(a_new_program_begins_anew)
{
	pid_t pid;

	(void)some_key(0);
	write_pkru(0);
	pid = fork();
	if (pid == 0) {
		execle("/proc/self/exe", "pkeys", NULL, (char *[]){ "SAY_PKRU=1", NULL });
		_exit(1);
	}
	is(ended(pid), 3);
}

/* ---- The kernel ------------------------------------------------------------------------------ */

CASE(the_kernel_reads_only_what_the_thread_may)
{
	int key = some_key(0), ends[2];
	char *memory = memory_with(key, 2);

	need(pipe(ends) == 0);
	is(write(ends[1], memory, 8), 8);
	is(read(ends[0], memory, 8), 8);
	deny(key, NO_WRITE);
	is(write(ends[1], memory, 8), 8);
	fails(read(ends[0], memory, 8), EFAULT);
	deny(key, NO_ACCESS);
	fails(write(ends[1], memory, 8), EFAULT);
	fails(read(ends[0], memory, 8), EFAULT);
	fails(open(memory, O_RDONLY), EFAULT);
	fails(syscall(SYS_rt_sigprocmask, 0, NULL, memory, 8), EFAULT);
	is(key_protect(memory, PAGE, RW, 0), 0);
	is(write(ends[1], memory + PAGE - 4, 4), 4);
	is(read(ends[0], memory + PAGE - 4, 4), 4);
	is(memory[0], 1);
}

/* ---- Signals --------------------------------------------------------------------------------- */

static volatile uint32_t in_handler;
static volatile int handler_key;

static void
look(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)info;
	(void)context;
	in_handler = read_pkru();
	write_pkru(0);
}

CASE(a_handler_begins_as_a_program_does)
{
	int key = some_key(NO_WRITE);
	struct sigaction action = { .sa_sigaction = look, .sa_flags = SA_SIGINFO };
	uint32_t before = read_pkru();

	handler_key = key;
	is(sigaction(SIGUSR1, &action, NULL), 0);
	is(raise(SIGUSR1), 0);
	is(in_handler, AT_START);
	is(read_pkru(), before);
}

/* Where the frame has the register: the processor says where in what XSAVE stores. */
static uint32_t *
pkru_in(void *context)
{
	ucontext_t *uc = context;
	unsigned size, offset, c, d;

	need(__get_cpuid_count(0xd, 9, &size, &offset, &c, &d) && size >= 4);
	return (uint32_t *)((char *)uc->uc_mcontext.fpregs + offset);
}

static void
change(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)info;
	in_handler = *pkru_in(context);
	*pkru_in(context) = AT_START & ~(3u << 2 * handler_key);
}

CASE(what_the_frame_says_is_loaded)
{
	int key = some_key(NO_ACCESS);
	struct sigaction action = { .sa_sigaction = change, .sa_flags = SA_SIGINFO };
	volatile char *memory = memory_with(key, 1);
	uint32_t before = read_pkru();

	handler_key = key;
	is(sigaction(SIGSEGV, &action, NULL), 0);
	is(*memory, 1); /* a fault; the handler allows it, in the frame */
	is(in_handler, before);
	is(denied(key), 0);
}

/* ---- Only to be executed --------------------------------------------------------------------- */

CASE(memory_that_is_only_executed)
{
	char *code, *mapped;
	int ends[2];

	if (!have_pkeys())
		skip(NEED_PKEYS);
	code = map(1);
	*code = (char)0xc3; /* ret */
	need(pipe(ends) == 0);
	is(mprotect(code, PAGE, PROT_EXEC), 0);
	allowed(EXECUTE, code);
	faults(READ, code, SIGSEGV, PKEY_CODE);
	faults(WRITE, code, SIGSEGV, PKEY_CODE);
	fails(write(ends[1], code, 1), EFAULT);
	is(mprotect(code, PAGE, PROT_READ), 0);
	is(*code, (char)0xc3);
	mapped = mmap(NULL, PAGE, PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	need(mapped != MAP_FAILED);
	faults(READ, mapped, SIGSEGV, PKEY_CODE);
	is(mprotect(mapped, PAGE, PROT_READ | PROT_EXEC), 0);
	allowed(READ, mapped);
}

CASE(its_key_is_nobody_elses)
{
	char *code = map(1);
	int keys = 0;

	if (!have_pkeys())
		skip(NEED_PKEYS);
	is(mprotect(code, PAGE, PROT_EXEC), 0);
	while (key_alloc(0) > 0)
		keys++;
	is(keys, 14);
	for (int key = 1; key < 16; key++)
		keys -= key_free(key) == 0;
	is(keys, 0);
	faults(READ, code, SIGSEGV, PKEY_CODE);
}
