/* SPDX-License-Identifier: MIT */
/*
 * Finding out that a function wrote past an array on its stack.
 *
 * The pages below stacks (kstack.c) catch a stack that is too deep. A write past the end of an
 * array goes the other way, up, into what lies above it: other variables, and the address that the
 * function will return to. So the compiler (-fstack-protector-strong) puts a secret word in
 * between, in every function that has an array or hands out the address of a variable:
 *
 *	  | array ........ | guard | registers of the caller | return address |
 *	    writes past the end -->
 *
 * The function compares it before it returns. That costs it five instructions, and a function that
 * only computes with its variables nothing.
 *
 * One word for all CPUs and threads: two compilers agree on it, and a program cannot read it. Its
 * first byte in memory is 0, so that a string which is copied without an end cannot write it. It is
 * different at each boot, unless seed= asks for a boot that repeats.
 */
#include <arch.h>
#include <ktest.h>
#include <panic.h>
#include <prng.h>

#include "x86.h"

#define CPUID_RDRAND (1u << 30) /* leaf 1, ECX */
#define RDRAND_TRIES 10		/* Intel SDM vol. 1, 7.3.17.1: more often than by bad luck */
#define ROUNDS	     64

extern uintptr_t __stack_chk_guard;
_Noreturn void __stack_chk_fail(void);

uintptr_t __stack_chk_guard = 0x4b9c33d2a6e71500; /* until stack_guard_init() */

static bool
rdrand(uint64_t *value)
{
	bool good = false;

	if (!(cpuid(1, 0).ecx & CPUID_RDRAND))
		return false;
	for (unsigned i = 0; i < RDRAND_TRIES && !good; i++)
		__asm__ volatile("rdrand %0" : "=r"(*value), "=@ccc"(good));
	return good;
}

/* How long an instruction takes that waits for all others, and under a hypervisor for it. */
static uint64_t
jitter(void)
{
	uint64_t mix = arch_cycles();

	for (unsigned i = 0; i < ROUNDS; i++) {
		(void)cpuid(0, 0);
		mix = (mix ^ arch_cycles()) * 0x9e3779b97f4a7c15;
		mix ^= mix >> 29;
	}
	return mix;
}

/* Its own guard is the old one, at its end too: so it must not be inlined below. */
static __attribute__((noinline)) uint64_t
random_word(void)
{
	uint64_t word = 0;
	struct prng prng;

	if (ktest_seed_given()) {
		prng_seed(&prng, ktest_seed());
		return prng_next(&prng);
	}
	(void)rdrand(&word);
	return word ^ jitter();
}

void
stack_guard_init(void)
{
	__stack_chk_guard = random_word() & ~0xfful;
}

_Noreturn void
__stack_chk_fail(void)
{
	panic("kernel stack smashed by the function at %#lx: it wrote past an array of its own",
	      (unsigned long)__builtin_return_address(0));
}
