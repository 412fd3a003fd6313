/* SPDX-License-Identifier: MIT */
/*
 * The machine's side of address spaces: root tables, CR3, and what CPUs keep in their TLBs.
 *
 * The kernel is mapped in the upper half of every address space. Its top-level entries are all
 * made at boot and never change (see kernel_map.c), so a copy of them in each root is enough: the
 * tables below are the same ones.
 *
 *	root   0 .. 255     the program's                own tables
 *	       256 .. 511   the kernel's                 copied, tables shared
 *
 * That is so with four levels and with five. With five, all of the kernel is below entry 511.
 *
 * Sources: Intel SDM vol. 3, 4.5 (entries), 4.6.2 (keys), 4.10.4 (invalidation); AMD APM vol. 2,
 * 7.10 (encrypted memory).
 */
#include <arch.h>
#include <memory_advanced.h>
#include <panic.h>
#include <smp.h>
#include <start.h>
#include <string.h>

#include "../pte.h"
#include "../x86.h"

#define ROOT_ENTRIES (PTES_PER_TABLE / 2)

_Static_assert(MMU_BIT_PRESENT == PTE_PRESENT && MMU_BIT_WRITE == PTE_WRITE &&
		   MMU_BIT_LARGE == PTE_LARGE && (MMU_ADDRESS & ~PTE_ADDRESS) == 0 &&
		   MMU_ENTRIES == PTES_PER_TABLE,
	       "<arch/mmu.h> and pte.h describe the same entries");

struct mmu_format arch_mmu_format;

/* The bits of an entry that grants these rights, with that key among them. */
static uint64_t
grant(const struct mmu_format *format, unsigned rights)
{
	uint64_t key = (uint64_t)MMU_KEY_OF(rights) << MMU_KEY_SHIFT, bits;

	if (!(rights & MMU_ALL))
		return MMU_BIT_HIDDEN | key | format->encrypted;
	bits = MMU_BIT_PRESENT | MMU_BIT_USER | key | format->encrypted;
	if (rights & MMU_WRITE)
		bits |= MMU_BIT_WRITE;
	if (!(rights & MMU_EXEC))
		bits |= format->no_exec;
	return bits;
}

void
mmu_format_make(struct mmu_format *format, uint64_t no_exec, uint64_t encrypted)
{
	format->no_exec = no_exec;
	format->encrypted = encrypted;
	for (unsigned rights = 0; rights < MMU_NR_RIGHTS; rights++)
		format->grants[rights] = grant(format, rights);
}

static void
user_map_init(void)
{
	mmu_format_make(&arch_mmu_format, cpu_has(CPU_NX) ? PTE_NX : 0, 0);
}
START_STEP(user_map, user_map_init, START_MEMORY);

paddr_t
arch_mmu_new_root(void)
{
	struct page *page = alloc_pages(GFP_ZERO, 0);
	const uint64_t *kernel = phys_to_virt(kernel_cr3);
	uint64_t *root;

	if (!page)
		return 0;
	root = page_to_virt(page);
	memcpy(root + ROOT_ENTRIES, kernel + ROOT_ENTRIES,
	       (PTES_PER_TABLE - ROOT_ENTRIES) * sizeof(*root));
	return page_to_pfn(page) << PAGE_SHIFT;
}

void
arch_mmu_free_root(paddr_t root)
{
	const uint64_t *entries = phys_to_virt(root);

	for (unsigned i = 0; i < ROOT_ENTRIES; i++)
		DEBUG_ASSERT(entries[i] == 0);
	ASSERT(root != (read_cr3() & PTE_ADDRESS));
	__free_pages(pfn_to_page(root >> PAGE_SHIFT), 0);
}

unsigned
arch_mmu_root_entries(void)
{
	return ROOT_ENTRIES;
}

void
arch_mmu_load(paddr_t root, const struct mmu_users *users)
{
	tlb_load(root ? root : kernel_cr3, users);
}

void
arch_mmu_forget(uintptr_t address)
{
	invlpg(address);
}

void
arch_mmu_flush(struct mmu_users *users, const uintptr_t *pages, unsigned nr)
{
	tlb_shootdown_pages(users, pages, nr);
}
