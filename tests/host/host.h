/* SPDX-License-Identifier: MIT */
/*
 * The host test framework.
 *
 * A test program holds the suites of the files that it is linked from, a suite is a table of
 * cases, and each case prints one line of TAP: "ok 3 - buddy.traces". A check that fails
 * prints a "# " line with what was expected and the case goes on; it is reported at its end.
 */
#ifndef HOST_H
#define HOST_H

#include <prng.h>
#include <stdio.h>
#include <types.h>

struct host_case {
	const char *name;
	void (*run)(void);
};

struct host_suite {
	const char *name;
	const struct host_case *cases;
	unsigned nr;
};

/* Define a suite from a table of cases. A program has those that are linked into it. */
#define HOST_SUITE(ident, ...)                                                                     \
	static const struct host_case ident##_cases[] = { __VA_ARGS__ };                           \
	static const struct host_suite ident##_suite = { #ident, ident##_cases,                    \
							 ARRAY_SIZE(ident##_cases) };              \
	static const struct host_suite *const ident##_listed                                       \
	    __attribute__((used, section("host_suites"))) = &ident##_suite

/* The seed of this run, from the command line; a case derives all its choices from it. */
extern uint64_t host_seed;

/* Print one "# " line. */
void host_note(const char *fmt, ...) __format(1, 2);

/* Fail the running case and say why. */
void host_fail(const char *file, int line, const char *fmt, ...) __format(3, 4);

/* Has the running case failed already? */
bool host_failed(void);

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond))                                                                       \
			host_fail(__FILE__, __LINE__, "expected %s", #cond);                       \
	} while (0)

#define CHECK_EQ(a, b)                                                                             \
	do {                                                                                       \
		uint64_t a_ = (uint64_t)(a), b_ = (uint64_t)(b);                                   \
		if (a_ != b_)                                                                      \
			host_fail(__FILE__, __LINE__, "expected %s == %s, but %#lx != %#lx", #a,   \
				  #b, (unsigned long)a_, (unsigned long)b_);                       \
	} while (0)

/* Does text hold word? Both are shown if not. */
#define CHECK_NAMES(text, word)                                                                    \
	do {                                                                                       \
		if (!host_contains(text, word))                                                    \
			host_fail(__FILE__, __LINE__, "expected \"%s\" in \"%s\"", word, text);    \
	} while (0)

bool host_contains(const char *text, const char *word);

/*
 * Run fn(arg). Returns true if it came back; false if it panicked, touched memory that
 * is not there, or ran for longer than budget_ms of processor time: host_message says
 * which. Interrupts are on again afterwards; a lock that fn held stays taken for ever.
 */
bool host_try(void (*fn)(void *), void *arg, unsigned budget_ms);

extern char host_message[512];

/* From here on keep what the kernel prints in host_output instead of showing it. */
void host_capture_begin(void);
void host_capture_end(void);

extern char host_output[16384];

/* Give lvalue a wrong value: check, an expression, must count it and print word. Then mend it. */
#define CHECK_FINDS(lvalue, value, check, word)                                                    \
	do {                                                                                       \
		__typeof__(lvalue) before_ = (lvalue);                                             \
		unsigned errors_;                                                                  \
		(lvalue) = (__typeof__(lvalue))(value);                                            \
		host_capture_begin();                                                              \
		errors_ = (check);                                                                 \
		host_capture_end();                                                                \
		(lvalue) = before_;                                                                \
		if (errors_ == 0)                                                                  \
			host_fail(__FILE__, __LINE__, "%s = %s: not noticed", #lvalue, #value);    \
		CHECK_NAMES(host_output, word);                                                    \
	} while (0)

/* Take the backing of all memmap away: the next test starts with no page at all. */
void host_memmap_reset(void);

/* What arch_direct_map_end() says. A test that changes it puts it back. */
extern paddr_t host_direct_map_end;

/* The machine's memory, as a file. */
extern int host_memory_file;

/* Unmap all that arch_vm_map() mapped, and forget its tables: their frames are not freed. */
void host_vm_reset(void);

/*
 * Start the whole memory manager on a machine with size bytes of memory, and nothing mapped by
 * arch_vm_map(): a test gives its large objects back and flushes them before the next machine.
 * Returns how many frames are free.
 */
size_t host_start_machine(uint64_t size);

/* How often arch_vm_flush() was called. */
extern unsigned long host_vm_flushes;

/* Run fn(0, arg) .. fn(nr - 1, arg) at the same time, one thread and CPU each. */
void host_run_threads(unsigned nr, void (*fn)(unsigned cpu, void *arg), void *arg);

/*
 * Begin and stop to play the CPU host_cpu_id. A thread of host_run_threads() plays its CPU
 * all the time, unless it stops and begins again itself.
 */
void host_cpu_starts(void);
void host_cpu_ends(void);

/* End the calls of other CPUs that this thread has left by a panic. */
void host_abandon_calls(void);

/* How many CPUs are played by threads at the moment, this one included. */
unsigned host_cpus_played(void);

#endif
