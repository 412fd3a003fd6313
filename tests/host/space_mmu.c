/* SPDX-License-Identifier: MIT */
/*
 * Page tables on the host, and a processor that believes what it remembers: a translation that
 * was not flushed goes on leading to a frame that may be somebody else's by now, and the model
 * sees the wrong byte. Two CPUs run the programs in turns, each with a memory of its own.
 */
#include "space_mmu.h"

#include "../../mm/space_internal.h"

#include <memory_advanced.h>
#include <string.h>

#define REMEMBERED 1024
#define CPUS	   2

static struct translation {
	const struct address_space *space; /* NULL: none */
	uintptr_t page;
	mmu_entry_t entry;
} tlb[CPUS][REMEMBERED];

static spinlock_t tlb_lock = SPINLOCK_INIT("tlb", RANK_CONSOLE); /* all of tlb */

unsigned arch_mmu_levels = 4;
uintptr_t arch_mmu_user_end = USER_WINDOW;
_Thread_local unsigned host_mmu_cpu;

static struct translation *
slot_of(unsigned cpu, const struct address_space *space, uintptr_t page)
{
	return &tlb[cpu][((uintptr_t)space / 64 + (page >> PAGE_SHIFT)) % REMEMBERED];
}

mmu_entry_t
host_mmu_translate(struct address_space *space, uintptr_t address)
{
	uintptr_t page = ALIGN_DOWN(address, PAGE_SIZE);
	struct translation *slot = slot_of(host_mmu_cpu, space, page);
	irqflags_t irq = spin_lock_irqsave(&tlb_lock);
	mmu_entry_t entry;

	if (slot->space != space || slot->page != page)
		*slot = (struct translation){ space, page, page_table_lookup(&space->table, page) };
	entry = slot->entry;
	if (!arch_mmu_is_visible(entry)) /* what is not there is not remembered */
		slot->space = NULL;
	spin_unlock_irqrestore(&tlb_lock, irq);
	return entry;
}

void
host_mmu_fault(struct address_space *space, uintptr_t address)
{
	struct translation *slot = slot_of(host_mmu_cpu, space, ALIGN_DOWN(address, PAGE_SIZE));
	irqflags_t irq = spin_lock_irqsave(&tlb_lock);

	slot->space = NULL;
	spin_unlock_irqrestore(&tlb_lock, irq);
}

void
host_mmu_reset(void)
{
	memset(tlb, 0, sizeof(tlb));
}

/* ---- <arch.h> ------------------------------------------------------------------------ */

paddr_t
arch_mmu_new_root(void)
{
	struct page *page = alloc_pages(GFP_ZERO, 0);

	return page ? page_to_pfn(page) << PAGE_SHIFT : 0;
}

void
arch_mmu_free_root(paddr_t root)
{
	const uint64_t *entries = phys_to_virt(root);

	for (unsigned i = 0; i < MMU_ENTRIES; i++)
		ASSERT_EQ(entries[i], 0);
	__free_pages(pfn_to_page(root >> PAGE_SHIFT), 0);
}

unsigned
arch_mmu_root_entries(void)
{
	return MMU_ENTRIES / 2;
}

void
arch_mmu_load(paddr_t root, const struct mmu_users *users)
{
	(void)root;
	(void)users; /* forgetting less than a processor would only finds more */
}

/* This CPU's own. It is not said whose page it is, so all of that address go. */
void
arch_mmu_forget(uintptr_t address)
{
	struct translation *own = tlb[host_mmu_cpu];
	irqflags_t irq = spin_lock_irqsave(&tlb_lock);

	for (unsigned i = 0; i < REMEMBERED; i++) {
		if (own[i].page == ALIGN_DOWN(address, PAGE_SIZE))
			own[i].space = NULL;
	}
	spin_unlock_irqrestore(&tlb_lock, irq);
}

void
arch_mmu_flush(struct mmu_users *users, const uintptr_t *pages, unsigned nr)
{
	const struct address_space *space = container_of(users, struct address_space, users);
	irqflags_t irq = spin_lock_irqsave(&tlb_lock);

	for (unsigned i = 0; i < CPUS * REMEMBERED && !pages; i++) {
		struct translation *slot = &tlb[i / REMEMBERED][i % REMEMBERED];

		if (slot->space == space)
			slot->space = NULL;
	}
	for (unsigned i = 0; i < CPUS * nr && pages; i++) {
		struct translation *slot = slot_of(i % CPUS, space, pages[i / CPUS]);

		if (slot->page == pages[i / CPUS])
			slot->space = NULL;
	}
	spin_unlock_irqrestore(&tlb_lock, irq);
}
