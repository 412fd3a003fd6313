/* SPDX-License-Identifier: MIT */
/*
 * kernel/x86_64/stack_guard.c: a function that writes past its array is caught when it returns, and
 * one that fills it is not.
 */
#include <ktest.h>
#include <prng.h>

#include "../../kernel/x86_64/x86.h"

#define SIZE 64

extern uintptr_t __stack_chk_guard;

/* Write so many bytes into an array of SIZE, and read one. */
static __attribute__((noinline)) uint8_t
fill(unsigned bytes)
{
	uint8_t array[SIZE];
	volatile uint8_t *to = array;

	for (unsigned i = 0; i < bytes; i++)
		to[i] = (uint8_t)(i + 1);
	return to[bytes / 2];
}

KTEST(stack_guard, within)
{
	for (unsigned bytes = 1; bytes <= SIZE; bytes++)
		expect_eq(t, fill(bytes), bytes / 2 + 1);
}

KTEST(stack_guard, overrun, .expect_panic = "kernel stack smashed by the function at 0x")
{
	expect_eq(t, fill(SIZE + 16), SIZE / 2 + 9);
}

/* No string that is copied too far can hold it, and nobody can know it. */
KTEST(stack_guard, secret)
{
	struct prng prng;

	prng_seed(&prng, ktest_seed());
	expect_eq(t, __stack_chk_guard & 0xff, 0);
	expect_ne(t, __stack_chk_guard >> 32, 0);
	if (ktest_seed_given())
		expect_eq(t, __stack_chk_guard, prng_next(&prng) & ~0xfful);
	else
		expect_ne(t, __stack_chk_guard, prng_next(&prng) & ~0xfful);
}
