/* SPDX-License-Identifier: MIT */
/*
 * Kernel stacks, and what lies below them.
 *
 * A stack that overflows must not run into its neighbour, so below each lies a guard
 * page that is never mapped: the first push past the end faults, the processor finds no room
 * for the fault's frame either, and the double fault handler, on a stack of its own, can
 * say what happened.
 *
 *	KSTACK_BASE                                    one slot of KSTACK_SLOT bytes
 *	| guard | stack 0        | guard | stack 1        | ...
 *	                         ^ top of stack 0
 *
 * The page tables of the whole area are built at boot, so a stack needs four frames and
 * nothing else. A stack's frames need not be adjacent.
 *
 * To free a stack, all CPUs are interrupted. Programs' threads come and go by the hundred, so a few
 * of their stacks are kept as they are, for the next ones.
 *
 * Locking: kstack_lock guards the bitmap of slots and the stacks that are kept. The entries of a
 * slot belong to whoever owns the slot.
 */
#include <boot_allocator.h>
#include <memory_advanced.h>
#include <panic.h>
#include <smp.h>
#include <spinlock.h>

#include "pte.h"
#include "x86.h"

#define NR_KSTACKS   1024
#define NR_KEPT	     8
#define KSTACK_PAGES (KSTACK_SIZE / PAGE_SIZE)
#define KSTACK_SLOT  (PAGE_SIZE + KSTACK_SIZE)
#define KSTACK_END   (KSTACK_BASE + NR_KSTACKS * KSTACK_SLOT)

#define NR_BOOT_STACKS (1 + NR_IST)

extern uint8_t boot_cpu_stacks[NR_BOOT_STACKS][KSTACK_SLOT]; /* boot.S */

static const char *const boot_stack_names[NR_BOOT_STACKS] = {
	"thread stack",
	"double fault stack",
	"NMI stack",
	"machine check stack",
};

static spinlock_t kstack_lock = SPINLOCK_INIT("kstack", RANK_MODULE);
static uint64_t slots_used[NR_KSTACKS / 64]; /* (l) kstack_lock */
static uintptr_t kept[NR_KEPT];		     /* (l) tops of stacks that nobody uses */
static unsigned nr_kept;		     /* (l) */

void
boot_cpu_stacks_init(void)
{
	for (unsigned i = 0; i < NR_IST; i++)
		arch_cpus[0].ist_top[i] = (uintptr_t)boot_cpu_stacks[1 + i] + KSTACK_SLOT;
}

void
kstack_init(void)
{
	kernel_map_tables(KSTACK_BASE, KSTACK_END - KSTACK_BASE);
}

/* Take a slot. Returns where it starts, or 0 when all are taken. */
static uintptr_t
slot_take(void)
{
	irqflags_t flags = spin_lock_irqsave(&kstack_lock);
	uintptr_t slot = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(slots_used) && !slot; i++) {
		unsigned bit;

		if (slots_used[i] == UINT64_MAX)
			continue;
		bit = (unsigned)__builtin_ctzll(~slots_used[i]);
		slots_used[i] |= 1ull << bit;
		slot = KSTACK_BASE + (i * 64 + bit) * KSTACK_SLOT;
	}
	spin_unlock_irqrestore(&kstack_lock, flags);
	return slot;
}

static void
slot_give(uintptr_t slot)
{
	unsigned i = (unsigned)((slot - KSTACK_BASE) / KSTACK_SLOT);
	irqflags_t flags = spin_lock_irqsave(&kstack_lock);

	slots_used[i / 64] &= ~(1ull << i % 64);
	spin_unlock_irqrestore(&kstack_lock, flags);
}

/* Map one page of a stack to a frame. */
static void
stack_map(uintptr_t page, paddr_t frame)
{
	*kernel_map_entry(page) = frame | kernel_data_flags();
}

/* Unmap a page of a stack and return its frame. TLBs may still hold the page. */
static struct page *
stack_unmap(uintptr_t page)
{
	uint64_t *pte = kernel_map_entry(page);
	pfn_t pfn = (*pte & PTE_ADDRESS) >> PAGE_SHIFT;

	*pte = 0;
	return pfn_to_page(pfn);
}

uintptr_t
kstack_alloc(gfp_t gfp)
{
	uintptr_t slot = slot_take(), page;

	if (!slot)
		return 0;
	for (page = slot + PAGE_SIZE; page < slot + KSTACK_SLOT; page += PAGE_SIZE) {
		struct page *frame = alloc_pages(gfp, 0);

		if (!frame)
			goto no_frame;
		stack_map(page, page_to_pfn(frame) << PAGE_SHIFT);
	}
	return slot + KSTACK_SLOT;

no_frame:
	while (page > slot + PAGE_SIZE) {
		page -= PAGE_SIZE;
		__free_pages(stack_unmap(page), 0);
	}
	slot_give(slot);
	return 0;
}

/* Waits for all CPUs, so no spin lock may be held. */
void
kstack_free(uintptr_t top)
{
	uintptr_t slot = top - KSTACK_SLOT;
	struct page *frames[KSTACK_PAGES];

	ASSERT(slot >= KSTACK_BASE && top <= KSTACK_END);
	ASSERT_EQ((slot - KSTACK_BASE) % KSTACK_SLOT, 0);

	for (unsigned i = 0; i < KSTACK_PAGES; i++)
		frames[i] = stack_unmap(slot + (1 + i) * PAGE_SIZE);
	tlb_shootdown(slot + PAGE_SIZE, top);
	for (unsigned i = 0; i < KSTACK_PAGES; i++)
		__free_pages(frames[i], 0);
	slot_give(slot);
}

uintptr_t
kstack_take(gfp_t gfp)
{
	irqflags_t flags = spin_lock_irqsave(&kstack_lock);
	uintptr_t top = nr_kept ? kept[--nr_kept] : 0;

	spin_unlock_irqrestore(&kstack_lock, flags);
	return top ? top : kstack_alloc(gfp);
}

void
kstack_keep(uintptr_t top)
{
	irqflags_t flags = spin_lock_irqsave(&kstack_lock);
	bool keep = nr_kept < ARRAY_SIZE(kept);

	if (keep)
		kept[nr_kept++] = top;
	spin_unlock_irqrestore(&kstack_lock, flags);
	if (!keep)
		kstack_free(top);
}

uintptr_t
kstack_alloc_boot(void)
{
	uintptr_t slot = slot_take();
	paddr_t frames = boot_alloc(KSTACK_SIZE, PAGE_SIZE, 0);

	if (!slot || !frames)
		panic("boot: no memory for the stacks of all CPUs: start with fewer CPUs");
	for (unsigned i = 0; i < KSTACK_PAGES; i++)
		stack_map(slot + (1 + i) * PAGE_SIZE, frames + i * PAGE_SIZE);
	return slot + KSTACK_SLOT;
}

/* Where the slot begins that address lies in: its guard page. 0: in none. */
static uintptr_t
slot_of(uintptr_t address)
{
	uintptr_t area = (uintptr_t)boot_cpu_stacks;

	if (address >= KSTACK_BASE && address < KSTACK_END)
		area = KSTACK_BASE;
	else if (address < area || address >= area + sizeof(boot_cpu_stacks))
		return 0;
	return address - (address - area) % KSTACK_SLOT;
}

uintptr_t
kstack_top(uintptr_t sp)
{
	uintptr_t slot = slot_of(sp);

	ASSERT(slot != 0);
	return slot + KSTACK_SLOT;
}

bool
kstack_is_own_guard(uintptr_t address, uintptr_t sp)
{
	/* A stack pointer points behind what is free: at the top it is of the slot below. */
	return kstack_guard_name(address) && slot_of(address) == slot_of(sp - 1);
}

struct stack_area
kstack_boot_area(void)
{
	uintptr_t start = (uintptr_t)boot_cpu_stacks;

	return (struct stack_area){ start, start + sizeof(boot_cpu_stacks) };
}

const char *
kstack_guard_name(uintptr_t address)
{
	uintptr_t boot_stacks = (uintptr_t)boot_cpu_stacks;

	if (address >= KSTACK_BASE && address < KSTACK_END)
		return (address - KSTACK_BASE) % KSTACK_SLOT < PAGE_SIZE ? "thread stack" : NULL;
	if (address >= boot_stacks && address < boot_stacks + sizeof(boot_cpu_stacks) &&
	    (address - boot_stacks) % KSTACK_SLOT < PAGE_SIZE)
		return boot_stack_names[(address - boot_stacks) / KSTACK_SLOT];
	return NULL;
}
