/* SPDX-License-Identifier: MIT */
/*
 * The areas whose pages are mapped one by one while the kernel runs: large objects and kmap.
 *
 *	top        2 entries for the large area, 512 GiB each     made at boot
 *	directory  an entry for each GiB                           made at boot
 *	           an entry for each 2 MiB                         made when needed, kept
 *	table      an entry for each page                          made when needed, freed
 *
 * Tables that are made later come from alloc_pages(), which may wait; so a table is
 * allocated without the lock, and the walk starts again. Directories stay: there is one frame
 * in each GiB of addresses that was ever used. The kmap area has one table, made at boot.
 *
 * FREEING A TABLE. Processors also cache directory entries (SDM vol. 3, 4.10.3), so a table may
 * only be freed after a flush, and its directory entry may not lead to another table before:
 * a CPU that still has the old one would look for new pages there, in vain. So a table
 * that has become empty waits for the next flush:
 *
 *	unmap    the last page of a table goes; the table is listed, and stays in use
 *	flush    those still empty are parked: the entry keeps the address but is not present
 *	         all CPUs flush
 *	         those still parked are freed
 *	map      takes the table out of the park, at any time: the entry is what it was
 *
 * One flush of any address is enough for all of them: invlpg drops all cached directory
 * entries, whatever its operand. (SDM vol. 3, 4.10.4.1)
 *
 * LOCKING. vm_lock guards tables and entries of the large area. An entry of the kmap area belongs
 * to the owner of its page. arch_vm_lookup() takes no lock: a table is only freed after a call that
 * a CPU with interrupts off has not answered yet.
 */
#include <arch.h>
#include <errno.h>
#include <memory_advanced.h>
#include <panic.h>
#include <smp.h>
#include <spinlock.h>

#include "pte.h"
#include "x86.h"

/* In the page of a table: owner is the first address that it maps, and in its low bits: */
#define TABLE_COUNT  0x3fful	 /* entries in use, 0 to 512 */
#define TABLE_LISTED (1ul << 11) /* it became empty, and waits for a flush to look at it */

static spinlock_t vm_lock = SPINLOCK_INIT("vm area", RANK_MODULE);
static struct list_head emptied = LIST_INIT(emptied); /* (l) vm_lock: through page->link */
static size_t nr_tables;			      /* (l) directories too */

static bool
in_large_area(uintptr_t address)
{
	return address >= LARGE_BASE && address < LARGE_END;
}

static void
assert_in_area(uintptr_t address)
{
	if (!IS_ALIGNED(address, PAGE_SIZE) ||
	    (!in_large_area(address) && address - KMAP_BASE >= KMAP_PAGES * PAGE_SIZE))
		panic("vm area: %#lx is no page of it", (unsigned long)address);
}

static struct page *
table_page(uint64_t entry)
{
	return pfn_to_page((entry & PTE_ADDRESS) >> PAGE_SHIFT);
}

/* The entry for address in the table that entry leads to. */
static uint64_t *
step_down(uint64_t entry, uintptr_t address, unsigned shift)
{
	uint64_t *table = phys_to_virt(entry & PTE_ADDRESS);

	return &table[pte_index(address, shift)];
}

/* The entry for the GiB that holds address. */
static uint64_t *
gib_entry(uintptr_t address)
{
	uint64_t entry = kernel_cr3;

	for (unsigned shift = pte_top_shift(); shift > SHIFT_1G; shift -= MMU_LEVEL_BITS)
		entry = *step_down(entry, address, shift);
	return step_down(entry, address, SHIFT_1G);
}

/* Put *spare below entry if nothing is there. Returns false if there is no spare. */
static bool
have_table_locked(uint64_t *entry, struct page **spare, uintptr_t first)
{
	if (*entry)
		return true;
	if (!*spare)
		return false;
	(*spare)->owner = first;
	*entry = page_to_pfn(*spare) << PAGE_SHIFT | PTE_WRITE | PTE_PRESENT;
	*spare = NULL;
	nr_tables++;
	return true;
}

/*
 * The entry of a page of the large area, and the entry that leads to its table. NULL when a
 * table is missing and there is no spare one.
 */
static uint64_t *
page_entry_locked(uintptr_t address, struct page **spare, uint64_t **table)
{
	uint64_t *entry = gib_entry(address);

	assert_held(&vm_lock);
	if (!have_table_locked(entry, spare, 0))
		return NULL;
	entry = step_down(*entry, address, SHIFT_2M);
	if (!have_table_locked(entry, spare, ALIGN_DOWN(address, 1ul << SHIFT_2M)))
		return NULL;
	*table = entry;
	return step_down(*entry, address, PAGE_SHIFT);
}

static void
set_entry(uint64_t *entry, uintptr_t address, paddr_t frame)
{
	if (*entry)
		panic("vm area: %#lx is mapped already, to frame %#lx", (unsigned long)address,
		      (unsigned long)((*entry & PTE_ADDRESS) >> PAGE_SHIFT));
	*entry = frame | kernel_data_flags();
}

static paddr_t
clear_entry(uint64_t *entry, uintptr_t address)
{
	paddr_t frame = entry ? *entry & PTE_ADDRESS : 0;

	if (!entry || !(*entry & PTE_PRESENT))
		panic("vm area: %#lx is not mapped", (unsigned long)address);
	*entry = 0;
	return frame;
}

int
arch_vm_map(uintptr_t address, paddr_t frame)
{
	uint64_t *entry = NULL, *table;
	struct page *spare = NULL;
	irqflags_t flags;

	assert_in_area(address);
	if (!in_large_area(address)) {
		set_entry(kernel_map_entry(address), address, frame);
		return 0;
	}
	for (;;) {
		flags = spin_lock_irqsave(&vm_lock);
		entry = page_entry_locked(address, &spare, &table);
		if (entry)
			break;
		spin_unlock_irqrestore(&vm_lock, flags);
		spare = alloc_pages(GFP_KERNEL | GFP_ZERO, 0);
		if (!spare)
			return -ENOMEM;
	}
	set_entry(entry, address, frame);
	table_page(*table)->owner++;
	*table |= PTE_PRESENT; /* it may have been parked */
	spin_unlock_irqrestore(&vm_lock, flags);
	if (spare) /* somebody else was faster */
		__free_pages(spare, 0);
	return 0;
}

paddr_t
arch_vm_unmap(uintptr_t address)
{
	struct page *none = NULL, *page;
	uint64_t *entry, *table = NULL;
	irqflags_t flags;
	paddr_t frame;

	assert_in_area(address);
	if (!in_large_area(address))
		return clear_entry(kernel_map_entry(address), address);
	flags = spin_lock_irqsave(&vm_lock);
	entry = page_entry_locked(address, &none, &table);
	frame = clear_entry(entry, address);
	page = table_page(*table);
	page->owner--;
	if ((page->owner & (TABLE_COUNT | TABLE_LISTED)) == 0) {
		page->owner |= TABLE_LISTED;
		list_add_tail(&page->link, &emptied);
	}
	spin_unlock_irqrestore(&vm_lock, flags);
	return frame;
}

paddr_t
arch_vm_lookup(uintptr_t address)
{
	uint64_t entry;

	DEBUG_ASSERT(!arch_irqs_enabled());
	entry = kernel_map_lookup(address, NULL);
	return entry ? entry & PTE_ADDRESS : ARCH_VM_NONE;
}

/* ---- Flushing --------------------------------------------------------------- */

/* The directory entry that leads to a table on a list here. */
static uint64_t *
entry_of_table(const struct page *page)
{
	uintptr_t first = ALIGN_DOWN(page->owner, 1ul << SHIFT_2M);

	return step_down(*gib_entry(first), first, SHIFT_2M);
}

/* Move the tables that are empty from the list of emptied ones into the park. */
static void
park_tables(struct list_head *park)
{
	irqflags_t flags = spin_lock_irqsave(&vm_lock);
	struct page *page, *tmp;

	list_for_each_entry_safe (page, tmp, &emptied, link) {
		list_del(&page->link);
		if (page->owner & TABLE_COUNT) {
			page->owner &= ~TABLE_LISTED;
			continue;
		}
		*entry_of_table(page) &= ~PTE_PRESENT;
		list_add_tail(&page->link, park);
	}
	spin_unlock_irqrestore(&vm_lock, flags);
}

/* All CPUs have flushed: leave those tables in the park that nobody took out again. */
static void
cut_parked_tables(struct list_head *park)
{
	irqflags_t flags = spin_lock_irqsave(&vm_lock);
	struct page *page, *tmp;

	list_for_each_entry_safe (page, tmp, park, link) {
		uint64_t *entry = entry_of_table(page);

		if (!(*entry & PTE_PRESENT)) {
			*entry = 0;
			nr_tables--;
			continue;
		}
		list_del(&page->link);
		if (page->owner & TABLE_COUNT)
			page->owner &= ~TABLE_LISTED;
		else
			list_add_tail(&page->link, &emptied);
	}
	spin_unlock_irqrestore(&vm_lock, flags);
}

void
arch_vm_flush(uintptr_t start, uintptr_t end)
{
	struct list_head park = LIST_INIT(park);
	struct page *page, *tmp;

	DEBUG_ASSERT(arch_irqs_enabled());
	park_tables(&park);
	tlb_shootdown(start, end);
	cut_parked_tables(&park);
	list_for_each_entry_safe (page, tmp, &park, link)
		__free_pages(page, 0);
}

size_t
arch_vm_tables(void)
{
	irqflags_t flags = spin_lock_irqsave(&vm_lock);
	size_t nr = nr_tables;

	spin_unlock_irqrestore(&vm_lock, flags);
	return nr;
}
