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

/* Of a page, or of a huge page by one entry for all of it. */
struct translation {
	const struct address_space *space; /* NULL: none */
	uintptr_t page;
	mmu_entry_t entry;
};

static struct translation tlb[CPUS][REMEMBERED], large_tlb[CPUS][REMEMBERED];

static spinlock_t tlb_lock = SPINLOCK_INIT("tlb", RANK_CONSOLE); /* all of tlb */

unsigned arch_mmu_levels = 4;
uint64_t host_mmu_encrypted;
static _Thread_local uint32_t denied_keys; /* two bits a key */
uintptr_t arch_mmu_user_end = USER_WINDOW;
_Thread_local unsigned host_mmu_cpu;

static struct translation *
slot_of(unsigned cpu, const struct address_space *space, uintptr_t page)
{
	return &tlb[cpu][((uintptr_t)space / 64 + (page >> PAGE_SHIFT)) % REMEMBERED];
}

/* Every entry on the way to a page has the C-bit: without it a processor would read noise. */
static void
check_encrypted(const struct page_table *table, uintptr_t page)
{
	paddr_t at = table->root;

	for (unsigned level = arch_mmu_levels; level-- > 0;) {
		unsigned index = page >> (PAGE_SHIFT + level * MMU_LEVEL_BITS) & (MMU_ENTRIES - 1);
		mmu_entry_t entry = arch_mmu_read((mmu_entry_t *)phys_to_virt(at) + index);

		if (!entry)
			return;
		ASSERT_EQ(entry & host_mmu_encrypted, host_mmu_encrypted);
		if (level == 1 && arch_mmu_is_large(entry))
			return;
		at = arch_mmu_frame(entry);
	}
}

static struct translation *
large_slot_of(unsigned cpu, const struct address_space *space, uintptr_t page)
{
	return &large_tlb[cpu][((uintptr_t)space / 64 + page / HUGE_SIZE) % REMEMBERED];
}

static bool
is_of(const struct translation *slot, const struct address_space *space, uintptr_t start)
{
	return slot->space == space && slot->page == start;
}

/* Forget what one CPU has of a page of a space, and of a huge page around it. */
static void
forget(unsigned cpu, const struct address_space *space, uintptr_t page)
{
	struct translation *slot = slot_of(cpu, space, page);
	struct translation *large = large_slot_of(cpu, space, page);

	if (is_of(slot, space, page))
		slot->space = NULL;
	if (is_of(large, space, ALIGN_DOWN(page, HUGE_SIZE)))
		large->space = NULL;
}

/*
 * Find a page in the tables, and remember it as large as it is there. What is not there, or was
 * just being split or joined, is not remembered: the program faults.
 */
static mmu_entry_t
walk_tables(struct address_space *space, uintptr_t page)
{
	struct page_row row;
	enum page_span span = page_table_span(&space->table, page, &row);
	mmu_entry_t entry;

	if (span == SPAN_HUGE) {
		entry = arch_mmu_read(row.entry);
		if (!arch_mmu_is_large(entry) || !arch_mmu_is_visible(entry))
			return 0;
		*large_slot_of(host_mmu_cpu, space, page) =
		    (struct translation){ space, row.start, arch_mmu_small(entry, 0) };
		return arch_mmu_small(entry, (unsigned)((page - row.start) >> PAGE_SHIFT));
	}
	entry = page_table_lookup(&space->table, page);
	if (!arch_mmu_is_visible(entry) || page_table_span(&space->table, page, &row) != span)
		return 0;
	*slot_of(host_mmu_cpu, space, page) = (struct translation){ space, page, entry };
	return entry;
}

mmu_entry_t
host_mmu_translate(struct address_space *space, uintptr_t address)
{
	uintptr_t page = ALIGN_DOWN(address, PAGE_SIZE), start = ALIGN_DOWN(page, HUGE_SIZE);
	irqflags_t irq = spin_lock_irqsave(&tlb_lock);
	struct translation *slot = slot_of(host_mmu_cpu, space, page);
	struct translation *large = large_slot_of(host_mmu_cpu, space, page);
	struct page_row row;
	mmu_entry_t entry;

	check_encrypted(&space->table, page);
	if (is_of(large, space, start)) {
		entry = large->entry + (page - start);
		/* Two sizes at one time: a processor may do what it likes then. */
		ASSERT(page_table_span(&space->table, page, &row) != SPAN_PAGES);
	} else if (is_of(slot, space, page)) {
		entry = slot->entry;
	} else {
		entry = walk_tables(space, page);
	}
	spin_unlock_irqrestore(&tlb_lock, irq);
	return entry;
}

void
host_mmu_fault(struct address_space *space, uintptr_t address)
{
	irqflags_t irq = spin_lock_irqsave(&tlb_lock);

	forget(host_mmu_cpu, space, ALIGN_DOWN(address, PAGE_SIZE));
	spin_unlock_irqrestore(&tlb_lock, irq);
}

void
host_mmu_reset(void)
{
	memset(tlb, 0, sizeof(tlb));
	memset(large_tlb, 0, sizeof(large_tlb));
}

unsigned
arch_nr_keys(void)
{
	return MMU_KEYS;
}

unsigned
arch_key_denied(unsigned key)
{
	return denied_keys >> 2 * key & (KEY_NO_ACCESS | KEY_NO_WRITE);
}

void
arch_key_deny(unsigned key, unsigned denied)
{
	denied_keys &= ~(3u << 2 * key);
	denied_keys |= denied << 2 * key;
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
	struct translation *own = tlb[host_mmu_cpu], *large = large_tlb[host_mmu_cpu];
	irqflags_t irq = spin_lock_irqsave(&tlb_lock);

	for (unsigned i = 0; i < REMEMBERED; i++) {
		if (own[i].page == ALIGN_DOWN(address, PAGE_SIZE))
			own[i].space = NULL;
		if (large[i].page == ALIGN_DOWN(address, HUGE_SIZE))
			large[i].space = NULL;
	}
	spin_unlock_irqrestore(&tlb_lock, irq);
}

/* Forget all of a space. */
static void
forget_all(struct translation *slots, const struct address_space *space)
{
	for (unsigned i = 0; i < CPUS * REMEMBERED; i++) {
		if (slots[i].space == space)
			slots[i].space = NULL;
	}
}

void
arch_mmu_flush(struct mmu_users *users, const uintptr_t *pages, unsigned nr)
{
	const struct address_space *space = container_of(users, struct address_space, users);
	irqflags_t irq = spin_lock_irqsave(&tlb_lock);

	if (!pages) {
		forget_all(tlb[0], space);
		forget_all(large_tlb[0], space);
	}
	for (unsigned i = 0; i < CPUS * nr && pages; i++)
		forget(i % CPUS, space, pages[i / CPUS]);
	spin_unlock_irqrestore(&tlb_lock, irq);
}

/* ---- Trace points, none of which is on here ------------------------------------------------ */

void
trace_log_space(unsigned event, const void *space, uint64_t what)
{
	panic("trace event %u of %p: %#lx", event, space, (unsigned long)what);
}
