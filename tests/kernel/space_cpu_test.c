/* SPDX-License-Identifier: MIT */
/*
 * Address spaces on the real processor: it is made to use their page tables, faults, and keeps
 * translations; several CPUs do so at the same time while others take pages and rights away.
 */
#include <errno.h>
#include <ktest.h>
#include <page_allocator.h>
#include <thread.h>
#include <time.h>

#include "../../kernel/x86_64/x86.h"
#include "space_user.h"

/* ---- Accesses by the processor --------------------------------------------------------- */

struct processor_access {
	struct address_space *space;
	uintptr_t address;
	bool write;
	uint64_t value; /* to write, or what was read */
};

static void
allow_user_access(bool allow)
{
	if (!cpu_has(CPU_SMAP))
		return;
	if (allow)
		__asm__ volatile("stac" ::: "memory");
	else
		__asm__ volatile("clac" ::: "memory");
}

static void
access_now(void *arg)
{
	struct processor_access *access = arg;
	volatile uint64_t *word = (volatile uint64_t *)access->address;

	space_activate(access->space);
	allow_user_access(true);
	if (access->write)
		*word = access->value;
	else
		access->value = *word;
}

/* Returns whether the processor faulted. */
static bool
try_access(struct processor_access *access)
{
	irqflags_t irq = arch_irq_save();
	bool faulted = trap_expect(VECTOR_PAGE_FAULT, access_now, access, NULL);

	allow_user_access(false);
	space_activate(NULL);
	arch_irq_restore(irq);
	return faulted;
}

/* Access a word as a program would, with faults resolved. */
static enum fault_result
processor(struct address_space *space, uintptr_t address, bool write, uint64_t *value)
{
	struct processor_access access = { space, address, write, *value };

	for (unsigned tries = 0; try_access(&access); tries++) {
		enum fault_result result =
		    space_take_fault(space, address, write ? FAULT_WRITE : FAULT_READ);

		if (result != FAULT_DONE || tries > 100)
			return result;
	}
	*value = access.value;
	return FAULT_DONE;
}

/* The processor comes and goes; each time it sees what the tables say then, and not before. */
KTEST(space_cpu, changes_while_it_is_away, .budget_ms = 20000)
{
	struct address_space *space[8];
	uintptr_t at[8];
	uint64_t value;

	for (unsigned i = 0; i < ARRAY_SIZE(space); i++) {
		space[i] = space_create();
		at[i] = user_map(space[i], 40, RW);
	}
	for (unsigned round = 1; round < 200; round++) {
		unsigned i = (unsigned)prng_below(&t->prng, ARRAY_SIZE(space));
		uintptr_t page = at[i] + prng_below(&t->prng, 40) * PAGE_SIZE;

		value = round;
		expect_eq(t, processor(space[i], page, true, &value), FAULT_DONE);
		expect_eq(t, processor(space[i], page, false, &value), FAULT_DONE);
		expect_eq(t, value, round);
		/* 1 to 40 pages: one by one, or all at once. */
		expect_eq(t, space_advise(space[i], at[i], page + PAGE_SIZE - at[i], MADV_DONTNEED),
			  0);
		expect_eq(t, processor(space[i], page, false, &value), FAULT_DONE);
		expect_eq(t, value, 0);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(space); i++)
		space_put(space[i]);
}

/* Where the processor has identifiers, a space that comes back has its own again. */
KTEST(space_cpu, identifiers)
{
	struct address_space *space = space_create(), *other = space_create();
	irqflags_t irq = arch_irq_save();
	uint64_t first, second;

	space_activate(space);
	first = read_cr3() & CR3_PCID;
	space_activate(other);
	second = read_cr3() & CR3_PCID;
	space_activate(NULL);
	expect_eq(t, read_cr3(), kernel_cr3);
	space_activate(space);
	expect_eq(t, read_cr3() & CR3_PCID, first);
	space_activate(NULL);
	arch_irq_restore(irq);
	expect_eq(t, first != 0, cpu_has(CPU_PCID));
	expect_eq(t, first != second, cpu_has(CPU_PCID));
	space_put(other);
	space_put(space);
}

KTEST(space_cpu, faults)
{
	struct address_space *space = space_create(), *child;
	uintptr_t at = user_map(space, 4, RW);
	uint64_t value = 1;

	expect_eq(t, processor(space, at, false, &value), FAULT_DONE);
	expect_eq(t, value, 0);
	value = 77;
	expect_eq(t, processor(space, at, true, &value), FAULT_DONE);
	expect_eq(t, space->stats.faults_zero, 1);
	expect_eq(t, space->stats.faults_anonymous, 1);
	assert_eq(t, space_fork(space, &child), 0);
	value = 78;
	expect_eq(t, processor(child, at, true, &value), FAULT_DONE);
	expect_eq(t, processor(space, at, false, &value), FAULT_DONE);
	expect_eq(t, value, 77);
	value = 79;
	expect_eq(t, processor(space, at, true, &value), FAULT_DONE);
	expect_eq(t, processor(child, at, false, &value), FAULT_DONE);
	expect_eq(t, value, 78);
	expect_eq(t, child->stats.faults_cow, 1);
	expect_eq(t, space->stats.faults_reuse, 1);
	expect_eq(t, space_protect(space, at, PAGE_SIZE, PROT_NONE), 0);
	expect_eq(t, processor(space, at, false, &value), FAULT_ACCERR);
	expect_eq(t, space_unmap(space, at, PAGE_SIZE), 0);
	expect_eq(t, processor(space, at, false, &value), FAULT_MAPERR);
	expect_eq(t, space->stats.faults_spurious, 0);
	expect_eq(t, space_check(space) + space_check(child), 0);
	space_put(child);
	space_put(space);
}

/* Memory of huge pages only: at a multiple of HUGE_SIZE, and asked for. */
static uintptr_t
map_huge(struct ktest *t, struct address_space *space, size_t nr)
{
	uintptr_t at = user_map(space, (nr + 1) * HUGE_PAGES, RW);

	assert_true(t, at != 0);
	at = ALIGN_UP(at, HUGE_SIZE);
	assert_eq(t, space_advise(space, at, nr * HUGE_SIZE, MADV_HUGEPAGE), 0);
	return at;
}

KTEST(space_cpu, huge_faults)
{
	struct address_space *space = space_create(), *child;
	uintptr_t at = map_huge(t, space, 2), last = at + 2 * HUGE_SIZE - 8;
	uint64_t value = 1;

	expect_eq(t, processor(space, at + HUGE_SIZE - 8, true, &value), FAULT_DONE);
	expect_eq(t, processor(space, last, true, &value), FAULT_DONE);
	expect_eq(t, space->stats.faults_minor, 2);
	expect_eq(t, space->nr_huge, 2);
	expect_eq(t, processor(space, at, false, &value), FAULT_DONE);
	expect_eq(t, value, 0);
	assert_eq(t, space_fork(space, &child), 0);
	value = 2;
	expect_eq(t, processor(child, last, true, &value), FAULT_DONE);
	expect_eq(t, processor(space, last, false, &value), FAULT_DONE);
	expect_eq(t, value, 1);
	expect_eq(t, child->nr_huge, 1);
	space_put(child);
	expect_eq(t, processor(space, last, true, &value), FAULT_DONE);
	expect_eq(t, space->nr_huge, 2);
	expect_eq(t, space->stats.faults_reuse, 1);
	expect_eq(t, space_protect(space, at, HUGE_SIZE, PROT_NONE), 0);
	expect_eq(t, processor(space, at + HUGE_SIZE - 8, false, &value), FAULT_ACCERR);
	expect_eq(t, space_protect(space, at, HUGE_SIZE, RW), 0);
	expect_eq(t, space_unmap(space, at, HUGE_SIZE - PAGE_SIZE), 0);
	expect_eq(t, processor(space, at, false, &value), FAULT_MAPERR);
	expect_eq(t, processor(space, at + HUGE_SIZE - 8, false, &value), FAULT_DONE);
	expect_eq(t, value, 1);
	expect_eq(t, space->stats.faults_spurious, 0);
	expect_eq(t, space_check(space), 0);
	space_put(space);
}

/* ---- Several CPUs ------------------------------------------------------------------------ */

#define WORKERS 4

struct worker {
	struct ktest *t;
	struct address_space *space;
	uintptr_t at;
	unsigned number;
	uint64_t seed;
};

static bool stop; /* atomic */

static void
run_workers(struct ktest *t, struct address_space *space, uintptr_t at, void (*fn)(void *),
	    unsigned nr)
{
	static struct worker worker[WORKERS];
	struct thread *thread[WORKERS];

	for (unsigned i = 0; i < nr; i++) {
		worker[i] = (struct worker){ t, space, at, i, prng_next(&t->prng) };
		thread[i] = thread_create("worker", fn, &worker[i], (int)((i + 1) % nr_cpus));
		assert_true(t, thread[i] != NULL);
	}
	for (unsigned i = 0; i < nr; i++)
		thread_join(thread[i]);
}

#define SAME_PAGES 200

static void
touch_same(void *arg)
{
	struct worker *worker = arg;

	for (unsigned i = 0; i < SAME_PAGES; i++) {
		uintptr_t word = worker->at + i * PAGE_SIZE + worker->number * sizeof(uint64_t);
		uint64_t value = worker->number + i;

		expect_eq(worker->t, processor(worker->space, word, true, &value), FAULT_DONE);
	}
}

/* All CPUs fault on the same pages: each gets one frame, and nothing that was written is lost. */
KTEST(space_cpu, same_pages, .min_cpus = 2, .budget_ms = 20000)
{
	struct address_space *space = space_create();
	uintptr_t at = user_map(space, SAME_PAGES, RW);
	uint64_t value = 0;

	run_workers(t, space, at, touch_same, WORKERS);
	expect_eq(t, space->nr_resident, SAME_PAGES);
	for (unsigned i = 0; i < SAME_PAGES; i++) {
		for (unsigned j = 0; j < WORKERS; j++) {
			expect_eq(t, processor(space, at + i * PAGE_SIZE + j * 8, false, &value),
				  FAULT_DONE);
			expect_eq(t, value, i + j);
		}
	}
	expect_eq(t, space_check(space), 0);
	space_put(space);
}

#define SAME_HUGE 4

static void
touch_same_huge(void *arg)
{
	struct worker *worker = arg;

	for (unsigned i = 0; i < SAME_HUGE; i++) {
		uintptr_t word = worker->at + i * HUGE_SIZE + worker->number * 100 * PAGE_SIZE;
		uint64_t value = worker->number + i;

		expect_eq(worker->t, processor(worker->space, word, true, &value), FAULT_DONE);
	}
}

KTEST(space_cpu, same_huge_pages, .min_cpus = 2, .budget_ms = 20000)
{
	struct address_space *space = space_create();
	uintptr_t at = map_huge(t, space, SAME_HUGE);
	uint64_t value = 0;

	run_workers(t, space, at, touch_same_huge, WORKERS);
	expect_eq(t, space->nr_huge, SAME_HUGE);
	expect_eq(t, space->nr_resident, SAME_HUGE * HUGE_PAGES);
	for (unsigned i = 0; i < SAME_HUGE * WORKERS; i++) {
		uintptr_t word = at + i / WORKERS * HUGE_SIZE + i % WORKERS * 100 * PAGE_SIZE;

		expect_eq(t, processor(space, word, false, &value), FAULT_DONE);
		expect_eq(t, value, i / WORKERS + i % WORKERS);
	}
	expect_eq(t, space_check(space), 0);
	space_put(space);
}

/* Write to a word without end. In between the CPU keeps the space, and what it has in its TLB. */
static void
write_on(void *arg)
{
	struct worker *worker = arg;
	irqflags_t irq;

	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		uint64_t value = 1;
		enum fault_result result = processor(worker->space, worker->at, true, &value);

		if (result != FAULT_ACCERR) /* it is write-protected just now */
			expect_eq(worker->t, result, FAULT_DONE);
		irq = arch_irq_save();
		space_activate(worker->space);
		arch_irq_restore(irq);
		thread_yield();
	}
	irq = arch_irq_save();
	space_activate(NULL);
	arch_irq_restore(irq);
}

/*
 * While other CPUs write: once rights are taken away, or the page was shared with a child, nobody
 * may write to it any more through a translation that his CPU has kept.
 */
KTEST(space_cpu, shootdown, .min_cpus = 2, .budget_ms = 30000, .nr_params = 2)
{
	struct address_space *space = space_create(), *child;
	bool huge = t->param == 1;
	uintptr_t at = huge ? map_huge(t, space, 1) : user_map(space, 1, RW);
	size_t size = huge ? HUGE_SIZE : PAGE_SIZE;
	static struct worker worker;
	struct thread *thread;

	stop = false;
	worker = (struct worker){ t, space, at, 0, 0 };
	thread = thread_create("writer", write_on, &worker, 1);
	assert_true(t, thread != NULL);
	for (unsigned i = 0; i < 100 && t->failures == 0; i++) {
		uint64_t *word, before;

		if (i % 4 == 0) /* a fresh one, huge if it may be */
			expect_eq(t, space_advise(space, at, size, MADV_DONTNEED), 0);
		while (user_read(space, at) == 0)
			thread_yield();
		if (i % 2) {
			expect_eq(t, space_protect(space, at, size, PROT_READ), 0);
			child = space_get(space);
		} else {
			assert_eq(t, space_fork(space, &child), 0);
		}
		word = phys_to_virt(arch_mmu_frame(page_table_lookup(&child->table, at)));
		__atomic_store_n(word, 1000 + i, __ATOMIC_SEQ_CST);
		for (unsigned n = 0; n < 50; n++)
			arch_cpu_relax();
		before = __atomic_load_n(word, __ATOMIC_SEQ_CST);
		expect_eq(t, before, 1000 + i);
		space_put(child);
		expect_eq(t, space_protect(space, at, size, RW), 0);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	thread_join(thread);
	expect_eq(t, space->stats.huge_faults > 0, huge);
	expect_eq(t, space_check(space), 0);
	space_put(space);
}

/* Map, fault, protect, fork, unmap, all at the same time in one space. */
static void
churn(void *arg)
{
	struct worker *worker = arg;
	struct address_space *space = worker->space, *child;
	struct prng prng;

	prng_seed(&prng, worker->seed);
	for (unsigned i = 0; i < 60; i++) {
		size_t pages = 1 + prng_below(&prng, 40);
		uintptr_t own = user_map(space, pages, RW);
		uint64_t value = i;

		if (!own)
			continue; /* for want of memory */
		for (size_t n = 0; n < pages; n += 3) {
			value = own + n;
			expect_eq(worker->t, processor(space, own + n * PAGE_SIZE, true, &value),
				  FAULT_DONE);
		}
		value = 0;
		expect_eq(worker->t,
			  processor(space, worker->at + prng_below(&prng, SAME_PAGES) * PAGE_SIZE,
				    prng_below(&prng, 2), &value),
			  FAULT_DONE);
		if (prng_below(&prng, 8) == 0 && space_fork(space, &child) == 0) {
			expect_eq(worker->t, processor(child, own, false, &value), FAULT_DONE);
			expect_eq(worker->t, value, own);
			space_put(child);
		}
		for (size_t n = 0; n < pages; n += 3) {
			expect_eq(worker->t, processor(space, own + n * PAGE_SIZE, false, &value),
				  FAULT_DONE);
			expect_eq(worker->t, value, own + n);
		}
		expect_eq(worker->t, space_unmap(space, own, pages << PAGE_SHIFT), 0);
	}
}

static void
churn_once(struct ktest *t)
{
	struct address_space *space = space_create();
	uintptr_t at = user_map(space, SAME_PAGES, RW);

	run_workers(t, space, at, churn, WORKERS);
	expect_eq(t, space->nr_mapped, SAME_PAGES);
	expect_eq(t, space_check(space), 0);
	space_put(space);
}

KTEST(space_cpu, churn, .budget_ms = 60000)
{
	size_t before;

	churn_once(t);
	before = page_allocator_nr_free();
	churn_once(t);
	expect_le(t, before, page_allocator_nr_free() + 32); /* slabs that CPUs keep */
	expect_le(t, page_allocator_nr_free(), before + 32);
}

/* The same with huge pages, of each of which parts are given up, moved, shared. */
static void
churn_huge(void *arg)
{
	struct worker *worker = arg;
	struct address_space *space = worker->space, *child;
	struct prng prng;

	prng_seed(&prng, worker->seed);
	for (unsigned i = 0; i < 12; i++) {
		uintptr_t own = map_huge(worker->t, space, 1), at;
		size_t first = prng_below(&prng, HUGE_PAGES), nr;
		uint64_t value;

		nr = 1 + prng_below(&prng, HUGE_PAGES - first);
		for (at = own; at < own + HUGE_SIZE; at += 32 * PAGE_SIZE) {
			value = at + i;
			expect_eq(worker->t, processor(space, at, true, &value), FAULT_DONE);
		}
		if (prng_below(&prng, 2) && space_fork(space, &child) == 0) {
			expect_eq(worker->t, processor(child, own, false, &value), FAULT_DONE);
			expect_eq(worker->t, value, own + i);
			value = 0;
			expect_eq(worker->t, processor(child, own, true, &value), FAULT_DONE);
			space_put(child);
		}
		expect_eq(worker->t,
			  space_advise(space, own + first * PAGE_SIZE, nr * PAGE_SIZE,
				       MADV_DONTNEED),
			  0);
		for (at = own; at < own + HUGE_SIZE; at += 32 * PAGE_SIZE) {
			size_t page = (at - own) >> PAGE_SHIFT;

			expect_eq(worker->t, processor(space, at, false, &value), FAULT_DONE);
			expect_eq(worker->t, value,
				  page >= first && page < first + nr ? 0 : at + i);
		}
		expect_eq(worker->t, space_unmap(space, own, HUGE_SIZE), 0);
	}
}

static void
churn_huge_once(struct ktest *t)
{
	struct address_space *space = space_create();

	run_workers(t, space, 0, churn_huge, WORKERS);
	expect_lt(t, 10, space->stats.huge_faults);
	expect_eq(t, space->nr_huge, 0);
	expect_eq(t, space_check(space), 0);
	space_put(space);
}

KTEST(space_cpu, churn_huge, .budget_ms = 60000)
{
	size_t before;

	churn_huge_once(t);
	before = page_allocator_nr_free();
	churn_huge_once(t);
	expect_le(t, before, page_allocator_nr_free() + 32); /* slabs that CPUs keep */
	expect_le(t, page_allocator_nr_free(), before + 32);
}
