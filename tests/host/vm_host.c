/* SPDX-License-Identifier: MIT */
/*
 * Pages mapped one by one, on the host: the machine's memory is a file without a name, and so a
 * frame can be mapped a second time, at an address of the area. What is not mapped there is
 * inaccessible.
 *
 * Which frame lies where is also written into tables, made and freed as the kernel's are,
 * one for 2 MiB of addresses: they take frames, and requests for them fail, as there. An entry
 * of the kmap area belongs to the owner of its page, and needs no lock.
 */
#include <arch.h>
#include <errno.h>
#include <memory_advanced.h>
#include <panic.h>
#include <spinlock.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "host.h"

#define PTES	    512
#define REGION	    (PTES * PAGE_SIZE)
#define NR_REGIONS  (LARGE_SIZE / REGION)
#define ENTRY_VALID 1ul

/* In the page of a table: owner is its region's offset in the area, and in the low bits: */
#define TABLE_COUNT  0x3fful
#define TABLE_LISTED (1ul << 11)

uintptr_t host_vm_area;

static spinlock_t vm_lock = SPINLOCK_INIT("vm area", RANK_MODULE);
static struct page *table[NR_REGIONS]; /* (l) vm_lock; lookup reads it without */
static uint64_t kmap_entry[KMAP_PAGES];
static struct list_head emptied = LIST_INIT(emptied);
static size_t nr_tables;
unsigned long host_vm_flushes;

static void
map_page(uintptr_t address, paddr_t frame)
{
	void *got = mmap((void *)address, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			 host_memory_file, (off_t)frame);

	if (got == MAP_FAILED) {
		fprintf(stderr, "cannot map a page: raise vm.max_map_count\n");
		abort();
	}
}

static void
unmap_pages(uintptr_t address, size_t size)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;

	if (mmap((void *)address, size, PROT_NONE, flags, -1, 0) == MAP_FAILED)
		abort();
}

static bool
in_large_area(uintptr_t address)
{
	return address >= LARGE_BASE && address < LARGE_END;
}

/* The entry of a page, or NULL if it has no table. */
static uint64_t *
entry_of(uintptr_t address)
{
	size_t region = (address - LARGE_BASE) / REGION;
	struct page *page;

	if (!in_large_area(address)) {
		ASSERT_LT(address - KMAP_BASE, KMAP_PAGES * PAGE_SIZE);
		return &kmap_entry[(address - KMAP_BASE) / PAGE_SIZE];
	}
	page = __atomic_load_n(&table[region], __ATOMIC_ACQUIRE);
	return page ? (uint64_t *)page_to_virt(page) + address / PAGE_SIZE % PTES : NULL;
}

/* Make the table of a page of the large area. Returns 0 or -ENOMEM. */
static int
make_table(uintptr_t address)
{
	size_t region = (address - LARGE_BASE) / REGION;
	struct page *page = alloc_pages(GFP_KERNEL | GFP_ZERO, 0);
	irqflags_t flags;

	if (!page)
		return -ENOMEM;
	page->owner = region * REGION;
	flags = spin_lock_irqsave(&vm_lock);
	if (!table[region]) {
		__atomic_store_n(&table[region], page, __ATOMIC_RELEASE);
		page = NULL;
		nr_tables++;
	}
	spin_unlock_irqrestore(&vm_lock, flags);
	if (page)
		__free_pages(page, 0);
	return 0;
}

int
arch_vm_map(uintptr_t address, paddr_t frame)
{
	irqflags_t flags;
	uint64_t *entry;

	ASSERT(IS_ALIGNED(address | frame, PAGE_SIZE));
	if (!in_large_area(address)) {
		entry = entry_of(address);
		ASSERT_EQ(*entry, 0);
		__atomic_store_n(entry, frame | ENTRY_VALID, __ATOMIC_RELAXED);
		map_page(address, frame);
		return 0;
	}
	for (;;) {
		flags = spin_lock_irqsave(&vm_lock);
		entry = entry_of(address);
		if (entry)
			break;
		spin_unlock_irqrestore(&vm_lock, flags);
		if (make_table(address) != 0)
			return -ENOMEM;
	}
	ASSERT_EQ(*entry, 0);
	__atomic_store_n(entry, frame | ENTRY_VALID, __ATOMIC_RELAXED);
	table[(address - LARGE_BASE) / REGION]->owner++;
	spin_unlock_irqrestore(&vm_lock, flags);
	map_page(address, frame);
	return 0;
}

/* Empty the entry of a page. Returns the frame that it named. */
static paddr_t
clear_entry(uint64_t *entry, uintptr_t address)
{
	uint64_t old = entry ? *entry : 0;

	if (!(old & ENTRY_VALID))
		panic("vm area: %#lx is not mapped", (unsigned long)address);
	unmap_pages(address, PAGE_SIZE);
	__atomic_store_n(entry, 0, __ATOMIC_RELAXED);
	return old & ~ENTRY_VALID;
}

paddr_t
arch_vm_unmap(uintptr_t address)
{
	irqflags_t flags;
	struct page *page;
	paddr_t frame;

	if (!in_large_area(address))
		return clear_entry(entry_of(address), address);
	flags = spin_lock_irqsave(&vm_lock);
	frame = clear_entry(entry_of(address), address);
	page = table[(address - LARGE_BASE) / REGION];
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
	uint64_t *entry = entry_of(address);
	uint64_t value = entry ? __atomic_load_n(entry, __ATOMIC_RELAXED) : 0;

	ASSERT(!arch_irqs_enabled() || !HOST_INTERRUPTS);
	return value & ENTRY_VALID ? value & ~ENTRY_VALID : ARCH_VM_NONE;
}

/* Take the empty tables out of use; they are listed in cut. */
static void
cut_tables(struct list_head *cut)
{
	irqflags_t flags = spin_lock_irqsave(&vm_lock);
	struct page *page, *tmp;

	list_for_each_entry_safe (page, tmp, &emptied, link) {
		list_del(&page->link);
		if (page->owner & TABLE_COUNT) {
			page->owner &= ~TABLE_LISTED;
			continue;
		}
		__atomic_store_n(&table[page->owner / REGION], NULL, __ATOMIC_RELAXED);
		list_add_tail(&page->link, cut);
		nr_tables--;
	}
	spin_unlock_irqrestore(&vm_lock, flags);
}

static void
nothing(void *arg)
{
	(void)arg;
}

/* There is no TLB here; but who looks a page up with interrupts off is waited for. */
void
arch_vm_flush(uintptr_t start, uintptr_t end)
{
	struct list_head cut = LIST_INIT(cut);
	struct page *page, *tmp;

	ASSERT(start < end);
	cut_tables(&cut);
	arch_call_cpus(nothing, NULL);
	__atomic_add_fetch(&host_vm_flushes, 1, __ATOMIC_RELAXED);
	list_for_each_entry_safe (page, tmp, &cut, link)
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

void
host_vm_reset(void)
{
	spin_init(&vm_lock, "vm area", RANK_MODULE);
	if (nr_tables > 0)
		fprintf(stderr, "# large objects were left: from here on others may fail\n");
	unmap_pages(LARGE_BASE, LARGE_SIZE + PAGE_SIZE * KMAP_PAGES);
	memset(table, 0, sizeof(table));
	memset(kmap_entry, 0, sizeof(kmap_entry));
	list_init(&emptied);
	nr_tables = 0;
}
