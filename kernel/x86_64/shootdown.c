/* SPDX-License-Identifier: MIT */
/*
 * Asking other CPUs to do something now: function calls and TLB shootdowns.
 *
 * A CPU keeps translations in its TLB and never looks whether the page table has changed.
 * So whoever takes a mapping away must have every CPU drop its copy, and wait until all
 * have, before the frame is used for something else. (Black et al., "Translation
 * Lookaside Buffer Consistency: A Software Approach", ASPLOS 1989)
 *
 * Each CPU has one outgoing call, and one word with a bit for each CPU that wants
 * something of it:
 *
 *	caller                                     callee
 *	outgoing = { fn, arg, pending = n }
 *	callee.wanted_by |= 1 << caller  ------->  take all bits, wanted_by = 0
 *	interrupt it                               for each bit: fn(arg) of that CPU's call
 *	until pending == 0: serve my own           its pending -= 1
 *
 * One outgoing call is enough because the caller keeps interrupts off until it has been
 * answered. That a call is never lost: its bit is set before the interrupt is sent, and
 * bits are taken after the interrupt is acknowledged, so either the callee sees the bit
 * or another interrupt is on its way.
 *
 * No deadlock: a CPU that waits for answers has interrupts off and cannot be interrupted
 * by the calls of others; so it serves them itself in its waiting loop. Two CPUs that
 * shoot each other down thus both get on. Everything else that runs with interrupts off
 * ends without needing an answer, because no caller may hold a spin lock (checked in
 * debug builds): a CPU that waits for a lock waits for somebody who is not waiting here.
 */
#include <arch.h>
#include <panic.h>
#include <percpu.h>
#include <sched.h>
#include <smp.h>
#include <spinlock.h>

#include "../lib/lockdep.h"
#include "apic.h"
#include "ipi.h"
#include "pcid.h"
#include "x86.h"

struct call {
	void (*fn)(void *);
	void *arg;
	unsigned pending; /* CPUs that have yet to answer; atomic */
};

static DEFINE_PER_CPU(struct call, outgoing);
static DEFINE_PER_CPU(uint64_t, wanted_by); /* bit for each calling CPU; atomic */

_Static_assert(MAX_CPUS <= 64, "wanted_by has a bit for each CPU");

/* Do what other CPUs want of this one. Interrupts are off. */
static void
serve_calls(void)
{
	uint64_t callers = __atomic_exchange_n(&this_cpu(wanted_by), 0, __ATOMIC_ACQ_REL);

	while (callers) {
		struct call *call = &per_cpu(outgoing, (unsigned)__builtin_ctzll(callers));

		call->fn(call->arg);
		__atomic_sub_fetch(&call->pending, 1, __ATOMIC_RELEASE);
		callers &= callers - 1;
	}
}

/*
 * Have fn(arg) run on each CPU in the set, this one excluded. Interrupts are off, and stay so
 * until wait_for_cpus(). fn runs with interrupts off and must not call other CPUs itself.
 */
static void
send_call(uint64_t cpus, void (*fn)(void *), void *arg)
{
	struct call *call = &this_cpu(outgoing);
	unsigned nr = 0;

	for (uint64_t rest = cpus; rest; rest &= rest - 1)
		nr++;
	ASSERT_EQ(call->pending, 0);
	call->fn = fn;
	call->arg = arg;
	__atomic_store_n(&call->pending, nr, __ATOMIC_RELEASE);
	for (; cpus; cpus &= cpus - 1) {
		unsigned cpu = (unsigned)__builtin_ctzll(cpus);

		__atomic_or_fetch(&per_cpu(wanted_by, cpu), 1ull << cpu_id(), __ATOMIC_ACQ_REL);
		apic_send_ipi(arch_cpus[cpu].apic_id, VECTOR_CALL);
	}
}

/* Until all have answered. */
static void
wait_for_cpus(void)
{
	struct call *call = &this_cpu(outgoing);

	while (__atomic_load_n(&call->pending, __ATOMIC_ACQUIRE)) {
		serve_calls();
		arch_cpu_relax();
	}
}

static void
call_cpus(uint64_t cpus, void (*fn)(void *), void *arg)
{
	send_call(cpus, fn, arg);
	wait_for_cpus();
}

/* The set of all CPUs. */
static uint64_t
all_cpus(void)
{
	return nr_cpus == 64 ? UINT64_MAX : (1ull << nr_cpus) - 1;
}

void
smp_call(unsigned cpu, void (*fn)(void *), void *arg)
{
	irqflags_t flags = arch_irq_save();

	ASSERT_LT(cpu, nr_cpus);
	assert_no_locks_held();
	if (cpu == cpu_id())
		fn(arg);
	else
		call_cpus(1ull << cpu, fn, arg);
	arch_irq_restore(flags);
}

/* All CPUs but this one at the same time, then this one. */
void
arch_call_cpus(void (*fn)(void *), void *arg)
{
	irqflags_t flags;

	DEBUG_ASSERT(arch_irqs_enabled());
	flags = arch_irq_save();
	assert_no_locks_held();
	if (nr_cpus > 1)
		call_cpus(all_cpus() & ~(1ull << cpu_id()), fn, arg);
	fn(arg);
	arch_irq_restore(flags);
}

/* ---- Standing still ----------------------------------------------------------------- */

/* Where the stack of each CPU ended when the world was stopped. */
static DEFINE_PER_CPU(uintptr_t, stopped_sp);

uintptr_t
arch_stopped_sp(unsigned cpu)
{
	return per_cpu(stopped_sp, cpu);
}

struct standstill {
	unsigned standing; /* CPUs; atomic */
	bool over;	   /* atomic */
};

static void
stand(void *arg)
{
	struct standstill *still = arg;

	__builtin_unwind_init(); /* as below: this CPU may wait here for its own call */
	this_cpu(stopped_sp) = read_sp();
	__atomic_add_fetch(&still->standing, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&still->over, __ATOMIC_ACQUIRE))
		arch_cpu_relax();
}

static bool standstill; /* somebody's is under way; atomic */

/*
 * One at a time, else two CPUs could stand, each for the other. Who waits for its turn, or for
 * others to stand, serves their calls meanwhile, and stands for them.
 */
void
arch_stand_still(void (*fn)(void *), void *arg)
{
	struct standstill still = { .standing = 0 };
	irqflags_t flags;

	DEBUG_ASSERT(arch_irqs_enabled());
	flags = arch_irq_save();
	assert_no_locks_held();
	while (__atomic_exchange_n(&standstill, true, __ATOMIC_ACQUIRE)) {
		serve_calls();
		arch_cpu_relax();
	}
	__builtin_unwind_init(); /* the registers of the callers are on the stack now */
	if (nr_cpus > 1)
		send_call(all_cpus() & ~(1ull << cpu_id()), stand, &still);
	while (__atomic_load_n(&still.standing, __ATOMIC_ACQUIRE) < nr_cpus - 1) {
		serve_calls();
		arch_cpu_relax();
	}
	this_cpu(stopped_sp) = read_sp();
	fn(arg);
	__atomic_store_n(&still.over, true, __ATOMIC_RELEASE);
	wait_for_cpus();
	__atomic_store_n(&standstill, false, __ATOMIC_RELEASE);
	arch_irq_restore(flags);
}

/* ---- Translations ------------------------------------------------------------------ */

#define FLUSH_PAGES_MAX 32 /* more: one full flush costs less than so many invlpg */

struct page_range {
	uintptr_t start, end;
};

/* (i) Where the processor has PCIDs. */
static DEFINE_PER_CPU(struct pcid_slots, pcids) = PCID_SLOTS_INIT;

/* Loading CR3 keeps global pages; changing CR4.PGE drops them too. (SDM vol. 3, 4.10.4.1) */
static void
flush_all(void)
{
	uint64_t cr4 = read_cr4();

	if (cpu_has(CPU_INVPCID)) {
		invpcid_all();
	} else if (cr4 & CR4_PGE) {
		write_cr4(cr4 & ~CR4_PGE);
		write_cr4(cr4);
	} else {
		write_cr3(read_cr3());
	}
}

static void
flush_range(void *arg)
{
	const struct page_range *range = arg;

	if (cpu_has(CPU_PCID))
		pcid_forget_others(&this_cpu(pcids));
	if (range->end - range->start > FLUSH_PAGES_MAX * PAGE_SIZE) {
		flush_all();
		return;
	}
	for (uintptr_t at = range->start; at < range->end; at += PAGE_SIZE)
		invlpg(at);
}

void
tlb_shootdown(uintptr_t start, uintptr_t end)
{
	struct page_range range = { ALIGN_DOWN(start, PAGE_SIZE), end };
	irqflags_t flags = arch_irq_save();

	assert_no_locks_held();
	flush_range(&range);
	if (nr_cpus > 1)
		call_cpus(all_cpus() & ~(1ull << cpu_id()), flush_range, &range);
	arch_irq_restore(flags);
}

/* Pages of a program, which are never global: loading CR3 drops them all. */
struct page_set {
	const uintptr_t *pages; /* NULL: all */
	unsigned nr;
	uint64_t space, flush; /* with PCIDs: the how-manieth of which space */
};

static void
flush_pages(void *arg)
{
	const struct page_set *set = arg;
	enum pcid_work work = PCID_PAGES;

	if (cpu_has(CPU_PCID))
		work = pcid_flush(&this_cpu(pcids), set->space, set->flush);
	if (work == PCID_NOTHING)
		return;
	if (work == PCID_ALL || !set->pages || set->nr > FLUSH_PAGES_MAX) {
		write_cr3(read_cr3());
		return;
	}
	for (unsigned i = 0; i < set->nr; i++)
		invlpg(set->pages[i]);
}

/*
 * A CPU that begins to use the tables afterwards sets its bit first and loads CR3 then, so it is
 * either in the set or sees what has changed: see pcid.c for those that remember.
 */
void
tlb_shootdown_pages(struct mmu_users *users, const uintptr_t *pages, unsigned nr)
{
	struct page_set set = { pages, nr, users->id, 0 };
	irqflags_t flags = arch_irq_save();
	uint64_t self = 1ull << cpu_id(), all;

	assert_no_locks_held();
	if (cpu_has(CPU_PCID))
		set.flush = __atomic_add_fetch(&users->flushes, 1, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* the tables are written before this is read */
	all = __atomic_load_n(&users->cpus, __ATOMIC_RELAXED);
	if (all & self)
		flush_pages(&set);
	if (all & ~self)
		call_cpus(all & ~self, flush_pages, &set);
	arch_irq_restore(flags);
}

void
tlb_load(paddr_t root, const struct mmu_users *users)
{
	struct pcid_slots *slots = &this_cpu(pcids);
	uint64_t cr3 = root;

	if (!cpu_has(CPU_PCID)) {
		write_cr3(root);
		return;
	}
	if (!users) { /* nothing would be gained by keeping what is known of these */
		pcid_unload(slots);
	} else {
		if (!pcid_load(slots, users->id,
			       __atomic_load_n(&users->flushes, __ATOMIC_SEQ_CST)))
			cr3 |= CR3_KEEP;
		cr3 |= pcid_of_slot(slots->loaded);
	}
	write_cr3(cr3);
}

/* ---- Interrupts ---------------------------------------------------------------------- */

static void
call_interrupt(struct trap_frame *frame)
{
	(void)frame;
	apic_eoi();
	serve_calls();
	sched_preempt();
}

static void
reschedule_interrupt(struct trap_frame *frame)
{
	(void)frame;
	apic_eoi();
	sched_preempt();
}

void
smp_reschedule(unsigned cpu)
{
	apic_send_ipi(arch_cpus[cpu].apic_id, VECTOR_RESCHEDULE);
}

void
ipi_init(void)
{
	trap_set_handler(VECTOR_CALL, call_interrupt);
	trap_set_handler(VECTOR_RESCHEDULE, reschedule_interrupt);
}
