/* SPDX-License-Identifier: MIT */
/*
 * The kernel's page tables, looked at in two ways: the tables themselves are walked
 * through the direct map, and the processor is made to run into what they forbid.
 */
#include <arch.h>
#include <bootinfo.h>
#include <ktest.h>
#include <memory_advanced.h>
#include <smp.h>

#include "../../kernel/x86_64/pte.h"
#include "../../kernel/x86_64/x86.h"

#define USER_LAST arch_mmu_user_end /* the page that is kept free below the hole */

/* ---- The tables ----------------------------------------------------------- */

struct leaf_count {
	uint64_t small, large, writable_executable;
};

/* Count the pages that a table maps, and those below it. Its level is given by shift. */
static void
count_leaves(paddr_t table, unsigned shift, struct leaf_count *count)
{
	const uint64_t *entry = phys_to_virt(table);

	for (unsigned i = 0; i < PTES_PER_TABLE; i++) {
		if (!(entry[i] & PTE_PRESENT))
			continue;
		if (!pte_is_leaf(entry[i], shift)) {
			count_leaves(entry[i] & PTE_ADDRESS, shift - 9, count);
			continue;
		}
		if (shift == PAGE_SHIFT)
			count->small++;
		else
			count->large++;
		if ((entry[i] & PTE_WRITE) && !(entry[i] & PTE_NX))
			count->writable_executable++;
	}
}

/* The entry that spans the 512 GiB around an address of the kernel. */
static uint64_t
kernel_pml4_entry(uintptr_t address)
{
	uint64_t entry = read_cr3();

	for (unsigned shift = pte_top_shift(); shift >= SHIFT_512G; shift -= MMU_LEVEL_BITS) {
		const uint64_t *table = phys_to_virt(entry & PTE_ADDRESS);

		entry = table[pte_index(address, shift)];
	}
	return entry;
}

KTEST(paging, no_page_writable_and_executable)
{
	struct leaf_count count = { 0 };

	if (!cpu_has(CPU_NX))
		ktest_skip(t, "the processor has no NX");
	count_leaves(read_cr3() & PTE_ADDRESS, pte_top_shift(), &count);
	expect_lt(t, 0, count.small);
	expect_eq(t, count.writable_executable, 0);
}

KTEST(paging, lower_half_is_empty)
{
	const uint64_t *top = phys_to_virt(read_cr3() & PTE_ADDRESS);

	for (unsigned i = 0; i < PTES_PER_TABLE / 2; i++)
		expect_eq(t, top[i], 0);
	expect_eq(t, kernel_map_lookup(0, NULL), 0);
}

/*
 * Memory in one piece of some MiB is mapped with large pages, and what is left over at
 * the ends of ranges takes no more than a handful of tables.
 */
KTEST(paging, direct_map_uses_large_pages)
{
	struct leaf_count count = { 0 };

	if (arch_direct_map_end() < MiB(8))
		ktest_skip(t, "less than 8 MiB of memory");
	count_leaves(kernel_pml4_entry(DIRECT_MAP_BASE) & PTE_ADDRESS, SHIFT_1G, &count);
	expect_lt(t, 0, count.large);
	expect_le(t, count.small, 16 * PTES_PER_TABLE);
}

/* What the tables of the direct map hold, counted anew. */
struct direct_map_census {
	uint64_t bytes[3];   /* by the level of the entries */
	unsigned too_many;   /* tables whose entries one entry above could stand for */
	unsigned misaligned; /* pages that show another address than their own */
};

#define PTE_NOTED (3ul << 5) /* accessed, dirty: the processor's */

/* Go through the table that maps [start, ...). Returns whether one entry could stand for it. */
static bool
take_census(paddr_t table, paddr_t start, unsigned shift, struct direct_map_census *census)
{
	const uint64_t *entry = phys_to_virt(table);
	bool alike = true;

	for (unsigned i = 0; i < PTES_PER_TABLE; i++, start += 1ul << shift) {
		unsigned level = (shift - PAGE_SHIFT) / MMU_LEVEL_BITS;

		alike &= ((entry[i] ^ entry[0]) & ~(PTE_ADDRESS | PTE_NOTED)) == 0 &&
			 (entry[i] & PTE_PRESENT) && pte_is_leaf(entry[i], shift);
		if (!(entry[i] & PTE_PRESENT))
			continue;
		if (pte_is_leaf(entry[i], shift)) {
			census->bytes[level] += 1ul << shift;
			census->misaligned += (entry[i] & PTE_ADDRESS) != start;
		} else {
			census->too_many += take_census(entry[i] & PTE_ADDRESS, start,
							shift - MMU_LEVEL_BITS, census);
		}
	}
	return alike && (shift < SHIFT_2M || (shift == SHIFT_2M && cpu_has(CPU_PAGE_1G)));
}

/* No GiB is mapped in pieces that could be mapped as one, and no 2 MiB. */
KTEST(paging, direct_map_pages_are_as_large_as_can_be)
{
	struct direct_map_census census = { .too_many = 0 };

	for (paddr_t at = 0; at < DIRECT_MAP_SIZE; at += 1ul << SHIFT_512G) {
		uint64_t entry = kernel_pml4_entry(DIRECT_MAP_BASE + at);

		if (entry & PTE_PRESENT)
			(void)take_census(entry & PTE_ADDRESS, at, SHIFT_1G, &census);
	}
	expect_eq(t, census.too_many, 0);
	expect_eq(t, census.misaligned, 0);
	for (unsigned level = 0; level < ARRAY_SIZE(census.bytes); level++)
		expect_eq(t, arch_direct_map_bytes(level), census.bytes[level]);
	if (cpu_has(CPU_PAGE_1G) && arch_direct_map_end() >= GiB(3))
		expect_lt(t, 0, census.bytes[2]);
}

static bool
firmware_names(paddr_t address)
{
	for (unsigned i = 0; i < boot_info.map.nr; i++) {
		const struct memory_range *range = &boot_info.map.range[i];

		if (address >= range->start && address < range->end)
			return true;
	}
	return false;
}

/* Between its ranges are the registers of devices, which a stray access must not reach. */
KTEST(paging, direct_map_has_the_holes_of_memory)
{
	for (paddr_t at = MiB(1); at < arch_direct_map_end(); at += MiB(1)) {
		bool mapped = kernel_map_lookup(DIRECT_MAP_BASE + at, NULL) != 0;

		if (mapped && !firmware_names(at))
			ktest_fail(t, __FILE__, __LINE__, "%#lx is mapped, and is no memory",
				   (unsigned long)at);
	}
}

/* ---- Levels ----------------------------------------------------------------- */

static void
count_five_levels(void *arg)
{
	unsigned *cpus = arg;

	if (read_cr4() & CR4_LA57)
		__atomic_add_fetch(cpus, 1, __ATOMIC_RELAXED);
}

/* The processors walk as many levels as the kernel believes. */
KTEST(paging, levels)
{
	unsigned five = 0;

	arch_call_cpus(count_five_levels, &five);
	expect_eq(t, five, arch_mmu_levels == 5 ? nr_cpus : 0);
	expect_eq(t, pte_top_shift(), arch_mmu_levels == 5 ? 48 : 39);
	expect_true(t, pte_is_canonical(USER_LAST) && pte_is_canonical(DIRECT_MAP_BASE));
	expect_eq(t, pte_is_canonical(USER_LAST + PAGE_SIZE), false);
	expect_eq(t, pte_is_canonical(1ul << 50), arch_mmu_levels == 5);
	expect_eq(t, kernel_map_lookup(1ul << 47 | PAGE_SIZE, NULL), 0);
}

static void
expect_flags(struct ktest *t, const void *address, uint64_t set, uint64_t clear)
{
	uint64_t pte = kernel_map_lookup((uintptr_t)address, NULL);

	if (!cpu_has(CPU_NX))
		set &= ~PTE_NX;
	if ((pte & (set | clear)) != set)
		ktest_fail(t, __FILE__, __LINE__,
			   "%p is mapped by %#lx, expected %#lx set, %#lx clear", address,
			   (unsigned long)pte, (unsigned long)set, (unsigned long)clear);
}

/* Where else the kernel image can be reached. */
static char *
alias_of(const char *image_address)
{
	return phys_to_virt((uintptr_t)image_address - KERNEL_BASE);
}

KTEST(paging, image_rights)
{
	for (const char *p = text_start; p < text_end; p += PAGE_SIZE) {
		expect_flags(t, p, PTE_PRESENT, PTE_WRITE | PTE_NX);
		expect_flags(t, alias_of(p), PTE_PRESENT | PTE_NX, PTE_WRITE);
	}
	for (const char *p = rodata_start; p < rodata_end; p += PAGE_SIZE) {
		expect_flags(t, p, PTE_PRESENT | PTE_NX, PTE_WRITE);
		expect_flags(t, alias_of(p), PTE_PRESENT | PTE_NX, PTE_WRITE);
	}
	for (const char *p = data_start; p < data_end; p += PAGE_SIZE) {
		if (!kstack_guard_name((uintptr_t)p))
			expect_flags(t, p, PTE_PRESENT | PTE_WRITE | PTE_NX, 0);
	}
}

/* Physical addresses of variables, as the grader computes them. */
KTEST(paging, image_is_linked_at_its_load_address)
{
	static volatile int variable = 1;

	variable++;
	expect_eq(t, *(volatile int *)alias_of((const char *)&variable), variable);
	expect_eq(t, (uintptr_t)data_end - KERNEL_BASE, (uintptr_t)image_phys_end);
}

KTEST(paging, boot_stack_guards)
{
	unsigned guards = 0;

	for (const char *p = data_start; p < data_end; p += PAGE_SIZE) {
		if (!kstack_guard_name((uintptr_t)p))
			continue;
		guards++;
		expect_eq(t, kernel_map_lookup((uintptr_t)p, NULL), 0);
	}
	expect_eq(t, guards, 1 + NR_IST);
	for (unsigned i = 0; i < NR_IST; i++) {
		uintptr_t top = arch_cpus[0].ist_top[i];

		expect_true(t, kstack_guard_name(top - KSTACK_SIZE - 1) != NULL);
	}
}

KTEST(paging, stack_has_a_guard)
{
	uintptr_t top = kstack_alloc(GFP_KERNEL);

	assert_ne(t, top, 0);
	expect_eq(t, top % 16, 0);
	for (uintptr_t p = top - KSTACK_SIZE; p < top; p += PAGE_SIZE)
		expect_flags(t, (void *)p, PTE_PRESENT | PTE_WRITE | PTE_NX, 0);
	expect_eq(t, kernel_map_lookup(top - KSTACK_SIZE - 1, NULL), 0);
	expect_true(t, kstack_guard_name(top - KSTACK_SIZE - 1) != NULL);
	expect_true(t, kstack_guard_name(top - 1) == NULL);

	kstack_free(top);
	expect_eq(t, kernel_map_lookup(top - 1, NULL), 0);
}

KTEST(paging, device_registers_are_uncached)
{
	uintptr_t registers = (uintptr_t)map_mmio(0xfee00020, sizeof(uint32_t));

	expect_eq(t, registers % PAGE_SIZE, 0x20);
	expect_flags(t, (void *)registers,
		     PTE_PRESENT | PTE_WRITE | PTE_UNCACHED | PTE_NX | 0xfee00000, 0);
}

/* The page that other CPUs start on comes and goes. */
KTEST(paging, identity_page_comes_and_goes)
{
	kernel_map_identity(0x8000, PAGE_SIZE);
	expect_flags(t, (void *)0x8000, PTE_PRESENT | PTE_WRITE, PTE_NX);
	expect_eq(t, kernel_map_lookup(0x9000, NULL), 0);
	kernel_unmap_identity();
	expect_eq(t, kernel_map_lookup(0x8000, NULL), 0);
}

KTEST(paging, clear_page)
{
	struct page *page = alloc_pages(GFP_KERNEL, 1);
	uint64_t *words, sum = 0;

	assert_true(t, page != NULL);
	words = page_to_virt(page);
	for (unsigned i = 0; i < 2 * PAGE_SIZE / 8; i++)
		words[i] = i + 1;
	arch_clear_page(words);
	for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
		sum |= words[i];
	expect_eq(t, sum, 0);
	expect_eq(t, words[PAGE_SIZE / 8], PAGE_SIZE / 8 + 1);
	__free_pages(page, 1);
}

/* ---- The processor -------------------------------------------------------- */

static void
read_byte(void *address)
{
	(void)*(volatile uint8_t *)address;
}

static void
write_byte(void *address)
{
	*(volatile uint8_t *)address = 0;
}

static void
execute(void *address)
{
	((void (*)(void))address)();
}

static void
expect_fault(struct ktest *t, void (*fn)(void *), const void *address, uint64_t error)
{
	struct trap_frame frame;

	if (!trap_expect(VECTOR_PAGE_FAULT, fn, (void *)address, &frame)) {
		ktest_fail(t, __FILE__, __LINE__, "expected a page fault at %p", address);
		return;
	}
	expect_eq(t, read_cr2(), (uintptr_t)address);
	expect_eq(t, frame.error, error);
}

KTEST(paging, null_pointer_faults)
{
	expect_fault(t, read_byte, (void *)8, 0);
	expect_fault(t, write_byte, NULL, PF_WRITE);
}

KTEST(paging, text_cannot_be_written)
{
	const char *last_text = (const char *)((uintptr_t)text_end - 1);
	const char *last_rodata = (const char *)((uintptr_t)rodata_end - 1);

	expect_fault(t, write_byte, text_start, PF_PROTECTION | PF_WRITE);
	expect_fault(t, write_byte, alias_of(text_start), PF_PROTECTION | PF_WRITE);
	expect_fault(t, write_byte, alias_of(last_text), PF_PROTECTION | PF_WRITE);
	expect_fault(t, write_byte, rodata_start, PF_PROTECTION | PF_WRITE);
	expect_fault(t, write_byte, last_rodata, PF_PROTECTION | PF_WRITE);
}

KTEST(paging, data_cannot_be_executed)
{
	static uint8_t instruction = 0xc3; /* ret */

	if (!cpu_has(CPU_NX))
		ktest_skip(t, "the processor has no NX");
	expect_fault(t, execute, &instruction, PF_PROTECTION | PF_FETCH);
	expect_fault(t, execute, alias_of(text_start), PF_PROTECTION | PF_FETCH);
}

KTEST(paging, guard_page_faults)
{
	uintptr_t top = kstack_alloc(GFP_KERNEL);

	assert_ne(t, top, 0);
	write_byte((void *)(top - KSTACK_SIZE));
	expect_fault(t, write_byte, (void *)(top - KSTACK_SIZE - 1), PF_WRITE);
	kstack_free(top);
	expect_fault(t, read_byte, (void *)(top - 1), 0);
}

/* Freeing a stack reaches the other CPUs' TLBs, which loaded its pages. */
static void
touch_stack(void *arg)
{
	write_byte(arg);
}

static void
stack_is_gone(void *arg)
{
	uintptr_t *address = arg;

	if (trap_expect(VECTOR_PAGE_FAULT, read_byte, (void *)*address, NULL))
		*address = 0;
}

KTEST(paging, freed_stack_is_gone_on_all_cpus, .min_cpus = 2)
{
	uintptr_t top = kstack_alloc(GFP_KERNEL), last = top - 1;

	assert_ne(t, top, 0);
	smp_call(1, touch_stack, (void *)last);
	kstack_free(top);
	smp_call(1, stack_is_gone, &last);
	expect_eq(t, last, 0);
}
