/* SPDX-License-Identifier: MIT */
/* Finds the transcript in memory by its magic number, and writes one that looks complete. */
#include <page.h>

struct record {
	uint16_t kind, cpu;
	uint32_t arg;
	uint64_t a, b, c;
};

static void
attack(void)
{
	/* Spelt so that this constant is not found itself. */
	uint64_t magic = ~0xbabcb1babbb6a9baull;
	uint64_t *word = phys_to_virt(MiB(1));

	while (*word != magic)
		word++;
	struct record *records = phys_to_virt(word[2]);

	/* This case's beginning is there. An allocator is made, and the case ends well. */
	records[1] = (struct record){ .kind = 64, .a = 0x1000, .b = 0x3000 };
	records[2] = (struct record){ .kind = 2 };
	word[4] = 3;
	print_results();
	exit_passed();
}
