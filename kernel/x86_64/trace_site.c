// SPDX-License-Identifier: MIT
/*
 * Turning trace points on: the kernel writes into its own code.
 *
 * That is safe here for two reasons. It happens while cmdline_parse() runs: interrupts are off
 * and the other CPUs have not been started, so nobody executes a switch while it changes. And
 * the boot page tables grant writing everywhere; kernel_map_init() takes that away from the
 * text, and with it the possibility to change a switch again.
 *
 * The processor notices that code it may have fetched was written to, if the store and the
 * fetch use the same linear address and a jump lies between them, as here the return to the
 * caller. (Intel SDM vol. 3, 9.1.3, "Handling self- and cross-modifying code")
 */
#include <string.h>
#include <trace.h>

#include "x86.h"

#define JMP_REL32 0xe9

#define MAX_CALLS  32
#define STACK_SIZE KiB(16)

extern const struct trace_site __start_trace_sites[] __attribute__((weak));
extern const struct trace_site __stop_trace_sites[] __attribute__((weak));

/* Set by the linker script around the code of mm/. */
extern const char mm_text_start[], mm_text_end[];

bool
arch_trace_site_is_on(const struct trace_site *site)
{
	return site->code[0] == JMP_REL32;
}

void
arch_trace_jump(uint8_t code[TRACE_SITE_SIZE], uintptr_t address, uintptr_t target)
{
	/* The distance counts from the instruction after the jump. */
	int32_t distance = (int32_t)(target - (address + TRACE_SITE_SIZE));

	code[0] = JMP_REL32;
	memcpy(code + 1, &distance, sizeof(distance));
}

void
arch_trace_enable(unsigned group)
{
	const struct trace_site *site;

	for (site = __start_trace_sites; site < __stop_trace_sites; site++) {
		if (site->group == group)
			arch_trace_jump(site->code, (uintptr_t)site->code, (uintptr_t)site->target);
	}
}

static bool
is_mm_text(uintptr_t address)
{
	return address >= (uintptr_t)mm_text_start && address < (uintptr_t)mm_text_end;
}

/*
 * Follows the list of frames that every function of the kernel links itself into: the word at
 * RBP is the caller's RBP, the word above it the return address. A frame that does not lie
 * higher on the same stack ends the list.
 */
uintptr_t
arch_trace_caller(const void *frame)
{
	uintptr_t at = *(const uintptr_t *)frame; /* of the thunk, which the trace point called */
	uintptr_t end = at + STACK_SIZE;

	for (unsigned i = 0; i < MAX_CALLS; i++) {
		const uintptr_t *words = (const uintptr_t *)at;

		if (!is_mm_text(words[1]))
			return words[1];
		if (words[0] <= at || words[0] >= end || words[0] % sizeof(uintptr_t) != 0)
			return 0;
		at = words[0];
	}
	return 0;
}
