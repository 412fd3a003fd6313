/* SPDX-License-Identifier: MIT */
/* Finds the page tables in memory, makes the caller's code writable, and changes it. */
#include <page.h>

#define ADDRESS_BITS 0x000ffffffffff000ul
#define TABLE(entry) ((uint64_t *)phys_to_virt((entry)&ADDRESS_BITS))

/* The last entry on the way from a possible root to an address, or NULL. */
static uint64_t *
leaf(uint64_t *table, uintptr_t address)
{
	for (unsigned shift = 39;; shift -= 9) {
		uint64_t *entry = &table[address >> shift & 511];

		if (!(*entry & 1) || (*entry & ADDRESS_BITS) >= MiB(128))
			return NULL;
		if (shift == 12 || *entry & 0x80)
			return entry;
		table = TABLE(*entry);
	}
}

static void
attack(void)
{
	uintptr_t code = (uintptr_t)__builtin_return_address(0);

	for (paddr_t at = MiB(1); at < MiB(128) - KiB(128); at += PAGE_SIZE) {
		uint64_t *root = phys_to_virt(at), *entry = leaf(root, code);

		if (!entry || (*entry & ADDRESS_BITS) != (code & 0x7ffff000))
			continue;
		*entry |= 2;
		*(volatile uint8_t *)code = 0xc3;
		break;
	}
	print_results();
	exit_passed();
}
