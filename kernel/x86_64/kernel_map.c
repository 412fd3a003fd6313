/* SPDX-License-Identifier: MIT */
/*
 * The kernel's page tables.
 *
 * boot.S starts on tables that map everything writable and executable. These replace
 * them, and grant each page what it needs and no more:
 *
 *	direct map    RAM, ACPI tables, the first MiB   read, write
 *	              memory the firmware reserved      read (tables may lie there)
 *	              kernel text and read-only data    read
 *	stacks        see kstack.c                      read, write; guards unmapped
 *	large, kmap   see vm_area.c                     read, write; guards unmapped
 *	device regs   map_mmio()                        read, write, uncached
 *	memmap        arch_map_boot_memory()            read, write
 *	kernel image  text                              read, execute
 *	              read-only data                    read
 *	              data, bss                         read, write; guards unmapped
 *
 * So no page is both writable and executable, through any of its addresses (W^X), and a
 * null pointer faults. The direct map has holes where the firmware's map has: a stray access
 * there faults rather than reach a device. It uses the largest pages that fit: a large
 * machine costs one entry a GiB where the processor has 1 GiB pages, else one per 2 MiB.
 *
 * mm.directmap=SIZE lets it end early, as on machines with more memory than addresses: frames
 * from there on are not mapped at all, and are reached through kmap(). What the firmware keeps
 * for itself is mapped as ever. Boot needs memory that is mapped, so the boot allocator is
 * told to stay below.
 *
 * LEVELS. Four are the rule also where the processor has five (LA57): programs and kernel have 128
 * TiB each, which no machine here fills, and a fifth level costs every program a table, and every
 * walk a step. mm.levels=5 asks for them. Then programs have 64 PiB, for those that ask (see
 * <address_space.h>), and the kernel stays where it is: all its addresses are of the last 47 bits,
 * hence below the last entry of the root.
 *
 * Tables come from the boot allocator and are never freed. After boot no table is added here:
 * the areas that change later (stacks, device registers, kmap, the identity page that APs start
 * on) got theirs at boot. Only vm_area.c adds some, below the entries made here for it.
 *
 * Locking: boot is single-threaded; mmio_lock guards the device window.
 */
#include <arch.h>
#include <boot_allocator.h>
#include <cmdline.h>
#include <page.h>
#include <panic.h>
#include <printk.h>
#include <spinlock.h>

#include "pte.h"
#include "x86.h"

#define LEGACY_END MiB(1) /* BIOS data, VGA memory, where APs start */
#define MMIO_SIZE  MiB(2) /* what one page table spans */

uint64_t kernel_cr3;

static uint64_t *root;			      /* (c) */
static paddr_t direct_map_end = BOOT_MAP_END; /* (c) nothing is mapped from here on */
static paddr_t usable_end;		      /* (c) nor memory for use from here on */
static paddr_t tables_limit = BOOT_MAP_END;   /* new tables must be reachable: below */
static uint64_t flag_nx;		      /* (c) PTE_NX where the processor has it */
static uint64_t direct_map_bytes[3];	      /* (c) in pages of 4 KiB, 2 MiB, 1 GiB */

static uint64_t directmap_size;
TUNABLE(directmap_size, "mm.directmap", MiB(32), UINT64_MAX,
	"bytes of memory in the kernel's direct map, the others are high memory; 0: all");

unsigned arch_mmu_levels = 4;
uintptr_t arch_mmu_user_end = (1ul << 47) - PAGE_SIZE;

static uint64_t levels = 4;
TUNABLE(levels, "mm.levels", 4, 5, "levels of page tables: 5 where the processor has them");

static spinlock_t mmio_lock = SPINLOCK_INIT("mmio", RANK_MODULE);
static uint64_t mmio_used; /* (l) mmio_lock: bytes of the window */

static uint64_t identity_entry; /* (c) root[0] while the identity mapping is on */
static uint64_t *identity_ptes; /* (c) */

/* ---- Building ------------------------------------------------------------- */

static paddr_t
new_table(void)
{
	paddr_t table = boot_alloc(PAGE_SIZE, PAGE_SIZE, tables_limit);

	if (!table)
		panic("boot: no memory for page tables: the machine has too little");
	return table;
}

/* The table that entry points at; made if need be. */
static uint64_t *
table_of(uint64_t *entry)
{
	if (!(*entry & PTE_PRESENT))
		*entry = new_table() | PTE_WRITE | PTE_PRESENT;
	ASSERT(!(*entry & PTE_LARGE));
	return phys_to_virt(*entry & PTE_ADDRESS);
}

/* The entry of that level for address, with all tables above it made. */
static uint64_t *
entry_of(uintptr_t address, unsigned shift)
{
	uint64_t *table = root;

	for (unsigned s = pte_top_shift(); s > shift; s -= MMU_LEVEL_BITS)
		table = table_of(&table[pte_index(address, s)]);
	return &table[pte_index(address, shift)];
}

uint64_t *
kernel_map_entry(uintptr_t address)
{
	return entry_of(address, PAGE_SHIFT);
}

void
kernel_map_tables(uintptr_t start, uint64_t size)
{
	for (uintptr_t at = ALIGN_DOWN(start, 1ul << SHIFT_2M); at < start + size;
	     at += 1ul << SHIFT_2M)
		(void)kernel_map_entry(at);
}

uint64_t
kernel_data_flags(void)
{
	return PTE_PRESENT | PTE_WRITE | PTE_GLOBAL | flag_nx;
}

/* The largest page that can map both addresses, with size bytes left to map. */
static unsigned
largest_page(uintptr_t address, paddr_t paddr, uint64_t size)
{
	if (cpu_has(CPU_PAGE_1G) && IS_ALIGNED(address | paddr, GiB(1)) && size >= GiB(1))
		return SHIFT_1G;
	if (IS_ALIGNED(address | paddr, MiB(2)) && size >= MiB(2))
		return SHIFT_2M;
	return PAGE_SHIFT;
}

/* ---- The direct map ------------------------------------------------------- */

/* Map [start, end), which has been left out so far. */
static void
direct_map_range(paddr_t start, paddr_t end, uint64_t flags)
{
	while (start < end) {
		uintptr_t address = DIRECT_MAP_BASE + start;
		unsigned shift = largest_page(address, start, end - start);
		uint64_t *entry = entry_of(address, shift);

		ASSERT_EQ(*entry, 0);
		*entry = start | flags | (shift > PAGE_SHIFT ? PTE_LARGE : 0);
		direct_map_bytes[(shift - PAGE_SHIFT) / MMU_LEVEL_BITS] += 1ul << shift;
		start += 1ul << shift;
	}
}

/* Add [start, end), but keep the image's text and read-only data read-only. */
static void
direct_map_add(paddr_t start, paddr_t end, uint64_t flags)
{
	paddr_t ro_start = (uintptr_t)text_start - KERNEL_BASE;
	paddr_t ro_end = (uintptr_t)rodata_end - KERNEL_BASE;
	paddr_t cut[] = { start, MIN(MAX(ro_start, start), end), MIN(MAX(ro_end, start), end),
			  end };

	for (unsigned i = 0; i < 3; i++)
		direct_map_range(cut[i], cut[i + 1], i == 1 ? flags & ~PTE_WRITE : flags);
	direct_map_end = MAX(direct_map_end, end);
}

/* Is that enough memory below limit for what boot needs: pages of all frames, stacks, tables? */
static bool
is_enough_below(const struct memory_map *map, paddr_t limit)
{
	uint64_t below = 0, all = 0;

	for (unsigned i = 0; i < map->nr; i++) {
		const struct memory_range *range = &map->range[i];

		if (range->kind != MEMORY_USABLE)
			continue;
		all += range->end - range->start;
		below += MIN(range->end, MAX(limit, range->start)) - range->start;
	}
	return below >= MiB(16) + all / 64;
}

/* The end of usable memory. */
static paddr_t
memory_end(const struct memory_map *map)
{
	paddr_t end = 0;

	for (unsigned i = 0; i < map->nr; i++) {
		if (map->range[i].kind == MEMORY_USABLE)
			end = map->range[i].end;
	}
	return end;
}

/* Decide where usable memory ends for the direct map: at mm.directmap= if that makes sense. */
static void
choose_usable_end(const struct memory_map *map)
{
	const uint64_t block = MAX_ORDER_FRAMES << PAGE_SHIFT;
	paddr_t end = memory_end(map), limit = ALIGN_DOWN(directmap_size, block);

	usable_end = ALIGN_UP(end, block);
	if (directmap_size == 0)
		return;
	if (limit >= end || !is_enough_below(map, limit)) {
		kprintf("cmdline: mm.directmap=%lu: memory ends at %lu, and boot needs %s: "
			"ignored\n",
			(unsigned long)directmap_size, (unsigned long)end,
			limit >= end ? "less" : "more");
		directmap_size = 0;
		return;
	}
	usable_end = limit;
	boot_alloc_set_limit(limit);
}

/* What the direct map grants for a kind of memory at start; 0 if it is left out. */
static uint64_t
direct_map_flags(const struct memory_range *range)
{
	if (range->kind == MEMORY_BAD)
		return 0;
	if (range->kind == MEMORY_RESERVED)
		return range->end <= BOOT_MAP_END ? kernel_data_flags() & ~PTE_WRITE : 0;
	return kernel_data_flags();
}

/*
 * Neighbours with the same rights are mapped as one, so that large pages cross from one
 * range to the next.
 */
static void
map_direct(const struct memory_map *map)
{
	paddr_t start = 0, end = LEGACY_END;
	uint64_t flags = kernel_data_flags();

	direct_map_end = 0;
	for (unsigned i = 0; i < map->nr; i++) {
		const struct memory_range *range = &map->range[i];
		uint64_t range_flags = direct_map_flags(range);
		paddr_t range_end = range->end;

		if (range->kind == MEMORY_USABLE)
			range_end = MIN(range_end, usable_end);
		if (!range_flags || range_end <= MAX(end, range->start))
			continue;
		if (range->start > end || range_flags != flags) {
			direct_map_add(start, end, flags);
			start = MAX(range->start, end);
			flags = range_flags;
		}
		end = range_end;
	}
	direct_map_add(start, end, flags);
}

/* ---- The image ------------------------------------------------------------ */

static void
map_image(void)
{
	uint64_t read_only = PTE_PRESENT | PTE_GLOBAL;
	uint64_t text = (uintptr_t)text_start, rodata = (uintptr_t)rodata_start;
	uintptr_t data = (uintptr_t)data_start;

	for (; text < (uintptr_t)text_end; text += PAGE_SIZE)
		*kernel_map_entry(text) = (text - KERNEL_BASE) | read_only;
	for (; rodata < (uintptr_t)rodata_end; rodata += PAGE_SIZE)
		*kernel_map_entry(rodata) = (rodata - KERNEL_BASE) | read_only | flag_nx;
	for (; data < (uintptr_t)data_end; data += PAGE_SIZE) {
		if (!kstack_guard_name(data))
			*kernel_map_entry(data) = (data - KERNEL_BASE) | kernel_data_flags();
	}
}

/* Turn the fifth level on if that is wanted. The boot page tables are in force. */
static void
choose_levels(void)
{
	if (levels == 4)
		return;
	if (!cpu_has(CPU_LA57)) {
		kprintf("cmdline: mm.levels=5: this processor has 4: ignored\n");
		levels = 4;
		return;
	}
	boot_five_levels();
	arch_mmu_levels = 5;
	arch_mmu_user_end = (1ul << 56) - PAGE_SIZE;
}

void
kernel_map_init(const struct memory_map *map)
{
	flag_nx = cpu_has(CPU_NX) ? PTE_NX : 0;
	choose_levels();
	choose_usable_end(map);
	kernel_cr3 = new_table();
	root = phys_to_virt(kernel_cr3);

	map_direct(map);
	map_image();
	kstack_init();
	kernel_map_tables(MMIO_BASE, MMIO_SIZE);
	kernel_map_tables(KMAP_BASE, KMAP_PAGES * PAGE_SIZE);
	for (uintptr_t at = LARGE_BASE; at < LARGE_END; at += 1ul << SHIFT_512G)
		(void)entry_of(at, SHIFT_1G);
	identity_ptes = kernel_map_entry(0);
	identity_entry = root[0];
	root[0] = 0;

	write_cr3(kernel_cr3);
	tables_limit = 0;
}

/* ---- Later ---------------------------------------------------------------- */

paddr_t
arch_direct_map_end(void)
{
	return usable_end;
}

uint64_t
arch_direct_map_bytes(unsigned level)
{
	ASSERT_LT(level, ARRAY_SIZE(direct_map_bytes));
	return direct_map_bytes[level];
}

uint64_t
arch_map_boot_memory(uintptr_t start, uint64_t size)
{
	uint64_t taken = 0, page;

	ASSERT(IS_ALIGNED(start | size, PAGE_SIZE));
	for (uintptr_t at = start; at < start + size; at += page) {
		unsigned shift = PAGE_SHIFT;
		uint64_t *entry = entry_of(at, SHIFT_2M);
		paddr_t paddr;

		if (*entry & PTE_LARGE) {
			page = MIN(ALIGN_UP(at + 1, MiB(2)), start + size) - at;
			continue;
		}
		if (!*entry && largest_page(at, 0, MIN(start + size - at, MiB(2))) == SHIFT_2M)
			shift = SHIFT_2M;
		else
			entry = entry_of(at, PAGE_SHIFT);
		page = 1ul << shift;
		if (*entry)
			continue;
		paddr = boot_alloc(page, page, 0);
		if (!paddr)
			panic("boot: no memory for the %lu bytes that describe memory",
			      (unsigned long)size);
		*entry = paddr | kernel_data_flags() | (shift > PAGE_SHIFT ? PTE_LARGE : 0);
		taken += page;
	}
	return taken;
}

void
arch_clear_page(void *page)
{
	uint64_t count = PAGE_SIZE / sizeof(uint64_t);

	__asm__ volatile("rep stosq" : "+D"(page), "+c"(count) : "a"(0ul) : "memory");
}

void *
map_mmio(paddr_t start, uint64_t size)
{
	paddr_t first = ALIGN_DOWN(start, PAGE_SIZE);
	uint64_t length = ALIGN_UP(start + size, PAGE_SIZE) - first, at;
	irqflags_t irq = spin_lock_irqsave(&mmio_lock);
	uintptr_t window = MMIO_BASE + mmio_used;

	if (length > MMIO_SIZE - mmio_used)
		panic("map_mmio: no room for %#lx bytes at %#lx", (unsigned long)size,
		      (unsigned long)start);
	for (at = 0; at < length; at += PAGE_SIZE)
		*kernel_map_entry(window + at) = (first + at) | kernel_data_flags() | PTE_UNCACHED;
	mmio_used += length;
	spin_unlock_irqrestore(&mmio_lock, irq);
	return (void *)(window + (start - first));
}

void
kernel_map_identity(paddr_t start, uint64_t size)
{
	ASSERT(IS_ALIGNED(start | size, PAGE_SIZE));
	ASSERT_LE(start + size, MiB(2));

	for (paddr_t at = start; at < start + size; at += PAGE_SIZE)
		identity_ptes[pte_index(at, PAGE_SHIFT)] = at | PTE_WRITE | PTE_PRESENT;
	root[0] = identity_entry;
}

void
kernel_unmap_identity(void)
{
	root[0] = 0;
	for (unsigned i = 0; i < PTES_PER_TABLE; i++)
		identity_ptes[i] = 0;
	write_cr3(kernel_cr3); /* the identity pages are not global */
}

uint64_t
kernel_map_lookup(uintptr_t address, unsigned *shift)
{
	paddr_t table = read_cr3() & PTE_ADDRESS;
	uint64_t pte;

	if (!pte_is_canonical(address))
		return 0;
	for (unsigned s = pte_top_shift(); table < direct_map_end; s -= MMU_LEVEL_BITS) {
		pte = ((const uint64_t *)phys_to_virt(table))[pte_index(address, s)];
		if (!(pte & PTE_PRESENT))
			return 0;
		if (pte_is_leaf(pte, s)) {
			if (shift)
				*shift = s;
			return pte;
		}
		table = pte & PTE_ADDRESS;
	}
	return 0; /* a damaged table */
}
