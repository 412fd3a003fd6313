/* SPDX-License-Identifier: MIT */
/*
 * Assertions about system calls, reported as KTAP version 1.
 *
 *	CASE(unmapped_memory_is_gone)
 *	{
 *		char *page = map(1);
 *
 *		is(munmap(page, PAGE), 0);
 *		faults(READ, page, SIGSEGV, SEGV_MAPERR);
 *	}
 *
 * A case runs in a process of its own: it may leave behind what it likes, and one that dies or
 * hangs is a failure of its own only. Every failed assertion says what it expected and what it
 * got. The same binary runs on Linux, which proves that the assertions are right.
 *
 * Words on the command line: run only cases whose names contain one of them.
 */
#ifndef USER_KTAP_H
#define USER_KTAP_H

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE	      4096ul
#define MAX_CASES     64
#define LIMIT_SECONDS 60 /* of a case */

struct ktap_case {
	const char *name;
	void (*run)(void);
};

static struct ktap_case ktap_cases[MAX_CASES];
static unsigned ktap_nr_cases;

/* Counted by a case's process, read by the one that reports. */
struct ktap_counts {
	unsigned checks, failed;
	const char *skipped; /* why the case was left, or NULL */
};
static struct ktap_counts *ktap_counts;

#define CASE(ident)                                                                                \
	static void ident(void);                                                                   \
	__attribute__((constructor)) static void ktap_add_##ident(void)                            \
	{                                                                                          \
		ktap_cases[ktap_nr_cases++] = (struct ktap_case){ #ident, ident };                 \
	}                                                                                          \
	static void ident(void)

/* ---- Assertions --------------------------------------------------------------------------- */

static inline bool
ktap_check(bool good, const char *file, int line)
{
	ktap_counts->checks++;
	if (!good) {
		ktap_counts->failed++;
		printf("# %s:%d: ", file, line);
	}
	return good;
}

static inline void
ktap_is(long got, long expected, const char *what, const char *file, int line)
{
	int error = errno;

	if (!ktap_check(got == expected, file, line))
		printf("%s: expected %ld, got %ld%s%s\n", what, expected, got,
		       got == -1 ? ": " : "", got == -1 ? strerror(error) : "");
}

static inline void
ktap_fails(long got, int error, int expected, const char *what, const char *file, int line)
{
	if (!ktap_check(got == -1 && error == expected, file, line))
		printf("%s: expected the error \"%s\", got %ld%s%s\n", what, strerror(expected),
		       got, got == -1 ? ": " : "", got == -1 ? strerror(error) : "");
}

/* The value is the expected one. */
#define is(value, expected) ktap_is((long)(value), (long)(expected), #value, __FILE__, __LINE__)

/* It is true. */
#define yes(value) ktap_is(!!(value), 1, #value, __FILE__, __LINE__)

/* The call returns -1 and sets errno. */
#define fails(call, error)                                                                         \
	({                                                                                         \
		errno = 0;                                                                         \
		long ktap_got = (long)(call);                                                      \
		ktap_fails(ktap_got, errno, error, #call, __FILE__, __LINE__);                     \
	})

/* What the rest of a case cannot do without. */
#define need(value)                                                                                \
	do {                                                                                       \
		if (!(value)) {                                                                    \
			ktap_is(0, 1, #value, __FILE__, __LINE__);                                 \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

/* Leave a case that the machine lacks something for. why: a string of the program's own. */
#define skip(why)                                                                                  \
	do {                                                                                       \
		ktap_counts->skipped = why;                                                        \
		exit(0);                                                                           \
	} while (0)

/* ---- Faults ------------------------------------------------------------------------------- */

enum access { READ, WRITE, EXECUTE };

struct fault {
	int signal, code; /* 0: the access went well */
	void *address;
};

static sigjmp_buf ktap_back;
static volatile struct fault ktap_fault;

static inline void
ktap_catch(int signal, siginfo_t *info, void *context)
{
	(void)context;
	ktap_fault.signal = signal;
	ktap_fault.code = info->si_code;
	ktap_fault.address = info->si_addr;
	siglongjmp(ktap_back, 1);
}

/* Do one access, and return how it ended. */
static inline struct fault
fault_of(enum access access, const volatile void *address)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGILL };
	struct sigaction action = { .sa_sigaction = ktap_catch, .sa_flags = SA_SIGINFO }, old[3];
	/* A memory operand wider than a byte could reach into the next page. */
	volatile char *byte = (volatile char *)address;

	for (int i = 0; i < 3; i++)
		sigaction(signals[i], &action, &old[i]);
	ktap_fault = (struct fault){ 0, 0, NULL };
	if (!sigsetjmp(ktap_back, 1)) {
		if (access == READ)
			(void)*byte;
		else if (access == WRITE)
			*byte = *byte;
		else
			((void (*)(void))(uintptr_t)address)();
	}
	for (int i = 0; i < 3; i++)
		sigaction(signals[i], &old[i], NULL);
	return (struct fault){ ktap_fault.signal, ktap_fault.code, ktap_fault.address };
}

static inline void
ktap_faults(struct fault got, int signal, int code, const volatile void *address, const char *what,
	    const char *file, int line)
{
	bool good = got.signal == signal && got.code == code && got.address == (void *)address;

	if (!ktap_check(good, file, line))
		printf("%s: expected signal %d, code %d at %p, got signal %d, code %d at %p\n",
		       what, signal, code, (void *)address, got.signal, got.code, got.address);
}

/* The access gets a signal with this code and the very address; or goes well. */
#define faults(access, address, signal, code)                                                      \
	ktap_faults(fault_of(access, address), signal, code, address, #access " of " #address,     \
		    __FILE__, __LINE__)
#define allowed(access, address)                                                                   \
	ktap_faults(fault_of(access, address), 0, 0, NULL, #access " of " #address, __FILE__,      \
		    __LINE__)

/* ---- Things that cases begin with --------------------------------------------------------- */

/* Fresh private memory, readable and writable. */
static inline char *
map(size_t pages)
{
	void *memory =
	    mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	need(memory != MAP_FAILED);
	return memory;
}

/* A pattern for mkstemp() in $TMPDIR, so that tests run on any file system: room for 256 bytes. */
static inline char *
ktap_template(char *name)
{
	const char *directory = getenv("TMPDIR");

	snprintf(name, 256, "%s/ktap-XXXXXX", directory ? directory : "/tmp");
	return name;
}

/* A file without a name, of so many pages, the first byte of each its number, from 1 on. */
static inline int
file_of(size_t pages)
{
	char name[256];
	int fd = mkstemp(ktap_template(name));

	need(fd >= 0);
	need(unlink(name) == 0);
	need(ftruncate(fd, pages * PAGE) == 0);
	for (size_t i = 0; i < pages; i++)
		need(pwrite(fd, &(char){ i + 1 }, 1, i * PAGE) == 1);
	return fd;
}

/* How a child ended: its exit status, or minus the signal that killed it. */
static inline int
ended(pid_t pid)
{
	int status;

	need(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* ---- Running ------------------------------------------------------------------------------ */

static inline bool
ktap_chosen(const char *name, char **words)
{
	bool any = !*words;

	for (; *words; words++)
		any |= !!strstr(name, *words);
	return any;
}

static inline bool
ktap_run(const struct ktap_case *test)
{
	int status = 0;
	pid_t pid;

	fflush(stdout);
	ktap_counts->failed = 0;
	ktap_counts->skipped = NULL;
	pid = fork();
	if (pid == 0) {
		alarm(LIMIT_SECONDS);
		test->run();
		fflush(stdout);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid) {
		printf("# cannot run it: %s\n", strerror(errno));
		return false;
	}
	if (WIFSIGNALED(status))
		printf("# ended by signal %d\n", WTERMSIG(status));
	return status == 0 && ktap_counts->failed == 0;
}

int
main(int argc, char **argv)
{
	unsigned number = 0, chosen = 0, failed = 0, skipped = 0;

	(void)argc;
	setvbuf(stdout, NULL, _IOLBF, 0); /* what a case that dies has printed is not lost */
	ktap_counts = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (ktap_counts == MAP_FAILED) {
		printf("Bail out! no shared memory: %s\n", strerror(errno));
		return 1;
	}
	for (unsigned i = 0; i < ktap_nr_cases; i++)
		chosen += ktap_chosen(ktap_cases[i].name, argv + 1);
	printf("KTAP version 1\n1..%u\n", chosen);
	for (unsigned i = 0; i < ktap_nr_cases; i++) {
		bool good;

		if (!ktap_chosen(ktap_cases[i].name, argv + 1))
			continue;
		good = ktap_run(&ktap_cases[i]);
		failed += !good;
		printf("%sok %u %s", good ? "" : "not ", ++number, ktap_cases[i].name);
		if (good && ktap_counts->skipped) {
			printf(" # SKIP %s", ktap_counts->skipped);
			skipped++;
		}
		printf("\n");
	}
	printf("# pass:%u fail:%u skip:%u total:%u checks:%u\n", number - failed - skipped, failed,
	       skipped, number, ktap_counts->checks);
	return failed > 0;
}

#endif
