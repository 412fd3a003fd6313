/* SPDX-License-Identifier: MIT */
/*
 * Page table entries, of four and five levels (Intel SDM vol. 3, 4.5).
 *
 * A level is named by the log2 of what one of its entries spans: 48 (PML5), 39 (PML4), 30, 21, 12.
 */
#ifndef X86_PTE_H
#define X86_PTE_H

#include <arch/mmu.h>
#include <types.h>

#define PTE_PRESENT  (1ul << 0)
#define PTE_WRITE    (1ul << 1)
#define PTE_UNCACHED (3ul << 3) /* PCD and PWT: entry 3 of the reset PAT, "UC" */
#define PTE_LARGE    (1ul << 7) /* maps 1 GiB at level 30, 2 MiB at level 21 */
#define PTE_GLOBAL   (1ul << 8)
#define PTE_NX	     (1ul << 63)
#define PTE_ADDRESS  0x000ffffffffff000ul

#define SHIFT_512G 39
#define SHIFT_1G   30
#define SHIFT_2M   21

#define PTES_PER_TABLE 512

/* The level of a root. */
static inline unsigned
pte_top_shift(void)
{
	return PAGE_SHIFT + (arch_mmu_levels - 1) * MMU_LEVEL_BITS;
}

/* Are the bits above those that the tables translate all like the highest of these? */
static inline bool
pte_is_canonical(uintptr_t address)
{
	unsigned unused = 64 - MMU_LEVEL_BITS - pte_top_shift();

	return (uintptr_t)((int64_t)(address << unused) >> unused) == address;
}

/* Index of the entry that spans address in its table of that level. */
static inline unsigned
pte_index(uintptr_t address, unsigned shift)
{
	return (address >> shift) % PTES_PER_TABLE;
}

/* Does an entry of that level map a page, rather than point at a table? */
static inline bool
pte_is_leaf(uint64_t pte, unsigned shift)
{
	return shift == PAGE_SHIFT || (pte & PTE_LARGE);
}

#endif
