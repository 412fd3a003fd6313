/* SPDX-License-Identifier: MIT */
/* Lab 4, graded cases: what processors keep of page tables, and several of them at once. */
#include "lab.h"
#include <errno.h>
#include <thread.h>

#define WORKERS 3

/* One processor keeps the space, and all that it has ever translated in it. */
KTEST(spaces, flush)
{
	struct lab *lab = lab4_begin(t);

	lab4_file(lab, 0, FILE_PAGES);
	lab4_file(lab, 1, FILE_PAGES);
	lab4_space(lab, 0);
	lab->stays = true;
	lab4_use(lab->space[0]);
	lab4_map(lab, 0, 0, 60, RW);
	lab4_map_file(lab, 0, 60, 36, RW, 0, 0, MAP_PRIVATE, PROT_ALL);
	for (unsigned i = 0; i < 40; i++) {
		for (unsigned k = 0; k < ARENA_PAGES; k += 1 + (unsigned)prng_below(&t->prng, 12))
			lab4_read_page(lab, 0, k);
		if (i % 4 == 0) {
			(void)lab4_fork(lab, 0, 1);
			for (unsigned k = 0; k < 20; k++)
				lab4_write_page(lab, 0, prng_below(&t->prng, ARENA_PAGES));
			lab4_put(lab, 1);
		}
		lab4_trace(lab, 6, TRACE_MAP | TRACE_PROTECT | TRACE_DISCARD);
		for (unsigned k = 0; k < 6; k++)
			lab4_write_page(lab, 0, prng_below(&t->prng, ARENA_PAGES));
	}
	lab4_use(NULL);
	lab4_end(lab);
}

/* ---- One after the other ---------------------------------------------------------------- */

/* What a worker is asked to do; it belongs to who is named in turn. */
static struct {
	struct lab *lab;
	unsigned turn; /* (a) 0: the case's own */
	uintptr_t address;
	enum fault_access access;
} order;

#define STOP UINT32_MAX

/* In place of an access: keep the translation while others take the page away. */
#define HOLD ((enum fault_access)3)

static bool work_started[WORKERS];

/*
 * With interrupts off this CPU cannot be made to forget anything. Wait until the entry has gone,
 * and then long enough for whoever took it to do something rash.
 */
static void
hold(struct lab *lab, uintptr_t address)
{
	paddr_t root = lab->space[0]->table.root;
	struct page *page;
	irqflags_t irq;

	(void)lab4_access(lab, 0, address, FAULT_WRITE);
	irq = arch_irq_save();
	page = entry_page(lab4_entry(root, address));
	__atomic_store_n(&order.turn, 0, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < 100000 && lab4_entry(root, address); i++)
		arch_cpu_relax();
	for (unsigned i = 0; i < 5000; i++)
		arch_cpu_relax();
	evidence_log(EV_HELD, page->use == PAGE_USE_ANON, page_to_pfn(page), 0, 0);
	arch_irq_restore(irq);
}

static void
obey(void *arg)
{
	unsigned self = (unsigned)(uintptr_t)arg, turn;

	lab4_use(order.lab->space[0]);
	__atomic_store_n(&work_started[self - 1], true, __ATOMIC_RELEASE);
	while ((turn = __atomic_load_n(&order.turn, __ATOMIC_ACQUIRE)) != STOP) {
		if (turn == self && order.access == HOLD) {
			hold(order.lab, order.address);
		} else if (turn == self) {
			(void)lab4_access(order.lab, 0, order.address, order.access);
			__atomic_store_n(&order.turn, 0, __ATOMIC_RELEASE);
		}
		thread_yield();
	}
	lab4_use(NULL);
}

static void
give_order(unsigned cpu, uintptr_t address, enum fault_access access)
{
	order.address = address;
	order.access = access;
	__atomic_store_n(&order.turn, cpu, __ATOMIC_RELEASE);
	while (__atomic_load_n(&order.turn, __ATOMIC_ACQUIRE) != 0)
		thread_yield();
}

/* Let a CPU make an access somewhere, and wait until it has; 0 is this one. */
static void
access_on(struct lab *lab, unsigned cpu)
{
	size_t page = prng_below(&lab->t->prng, 32);
	uintptr_t address = lab4_page(lab, page) + prng_below(&lab->t->prng, 4) * 1000;
	enum fault_access access = prng_below(&lab->t->prng, 3) ? FAULT_READ : FAULT_WRITE;

	if (cpu == 0) {
		(void)lab4_access(lab, 0, address, access);
		return;
	}
	give_order(cpu, address, access);
}

static void
start_workers(struct lab *lab, struct thread **threads)
{
	order.lab = lab;
	order.turn = 0;
	for (unsigned i = 0; i < WORKERS; i++) {
		work_started[i] = false;
		threads[i] = thread_create("worker", obey, (void *)(uintptr_t)(i + 1), (int)i + 1);
		assert_true(lab->t, threads[i] != NULL);
		while (!__atomic_load_n(&work_started[i], __ATOMIC_ACQUIRE))
			thread_yield();
	}
}

/* Take something away, or let this CPU write: what the others have of it is out of date then. */
static void
change_something(struct lab *lab, unsigned i)
{
	size_t page = prng_below(&lab->t->prng, 24), pages = 1 + prng_below(&lab->t->prng, 8);

	switch (i % 6) {
	case 0:
		lab4_protect(lab, 0, page, pages, RO);
		break;
	case 1:
		lab4_unmap(lab, 0, page, pages);
		lab4_map(lab, 0, page, pages, RW);
		break;
	case 2:
		lab4_advise(lab, 0, page, pages, MADV_DONTNEED);
		break;
	case 3:
		(void)lab4_fork(lab, 0, 1);
		for (unsigned k = 0; k < 16; k++) /* and keep what is shared now */
			give_order(1 + k % WORKERS, lab4_page(lab, (page + k) % 32), FAULT_READ);
		for (unsigned k = 0; k < 8; k++)
			lab4_write_page(lab, 0, (page + 2 * k) % 32);
		lab4_put(lab, 1);
		break;
	case 4:
		lab4_protect(lab, 0, 0, 32, RW);
		break;
	default:
		lab4_unmap(lab, 0, page, pages);
	}
}

/* Four CPUs use the space; after every change each of them must see it. */
KTEST(spaces, shootdown, .min_cpus = 4, .budget_ms = 30000)
{
	struct lab *lab = lab4_begin(t);
	struct thread *threads[WORKERS];

	lab4_space(lab, 0);
	lab->stays = true;
	lab4_map(lab, 0, 0, 32, RW);
	start_workers(lab, threads);
	lab4_use(lab->space[0]);
	for (unsigned i = 0; i < 48; i++) {
		/* Let each of them translate pages, so that there is something to forget. */
		for (unsigned k = 0; k < 24; k++)
			access_on(lab, 1 + k % WORKERS);
		change_something(lab, (unsigned)prng_below(&t->prng, 6));
		for (unsigned k = 0; k < 24; k++)
			access_on(lab, (unsigned)prng_below(&t->prng, WORKERS + 1));
	}
	/* And as long as one of them has not, the page must not be let go. */
	lab4_map(lab, 0, 0, 32, RW);
	for (unsigned i = 0; i < 6; i++) {
		size_t page = prng_below(&t->prng, 32);
		unsigned cpu = 1 + (unsigned)prng_below(&t->prng, WORKERS);

		give_order(cpu, lab4_page(lab, page), HOLD);
		if (i % 2)
			lab4_unmap(lab, 0, page, 1);
		else
			lab4_advise(lab, 0, page, 1, MADV_DONTNEED);
		lab4_map(lab, 0, page, 1, RW);
	}
	__atomic_store_n(&order.turn, STOP, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < WORKERS; i++)
		thread_join(threads[i]);
	lab4_use(NULL);
	lab4_end(lab);
}

/* ---- At the same time --------------------------------------------------------------------- */

#define STRESS_CPUS  4
#define SHARED_PAGES 48

struct stress {
	struct lab *lab;
	struct prng prng;
	unsigned errors;
};

static struct stress stresses[STRESS_CPUS];

/* A word, written or read as a program would; 0 is also what comes of an access that fails. */
static uint64_t
use_word(struct stress *self, struct address_space *space, uintptr_t address, uint64_t value)
{
	uint64_t got = value;

	self->errors += !lab4_raw_access(space, address, value != 0, &got);
	return got;
}

/* Memory of its own, which no other worker's calls may touch. */
static void
use_own(struct stress *self)
{
	struct address_space *space = self->lab->space[0], *child;
	size_t pages = 1 + prng_below(&self->prng, 30);
	uintptr_t own = 0;

	if (space_map(space, &own, pages * PAGE_SIZE, RW, MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0,
		      PROT_ALL) != 0) {
		self->errors++;
		return;
	}
	for (size_t i = 0; i < pages; i += 2)
		(void)use_word(self, space, own + i * PAGE_SIZE, own + i);
	if (prng_below(&self->prng, 4) == 0 && space_fork(space, &child) == 0) {
		self->errors += use_word(self, child, own, 0) != own;
		(void)use_word(self, space, own, own + 1);
		self->errors += use_word(self, child, own, 0) != own;
		(void)use_word(self, space, own, own);
		space_put(child);
	}
	for (size_t i = 0; i < pages; i++)
		self->errors +=
		    use_word(self, space, own + i * PAGE_SIZE, 0) != (i % 2 ? 0 : own + i);
	self->errors += space_unmap(space, own, pages * PAGE_SIZE) != 0;
}

/* Each worker has one word in each of the pages that all of them share. */
static void
stress(void *arg)
{
	struct stress *self = arg;
	unsigned number = (unsigned)(self - stresses);

	for (unsigned i = 0; i < SHARED_PAGES; i++) {
		uintptr_t word = lab4_page(self->lab, i) + number * sizeof(uint64_t);

		(void)use_word(self, self->lab->space[0], word, (number + 1) << 16 | i);
		if (i % 2)
			use_own(self);
		self->errors +=
		    use_word(self, self->lab->space[0], word, 0) != ((number + 1) << 16 | i);
	}
}

/* Faults, calls and forks from all CPUs, which are preempted at places that the seed chooses. */
KTEST(spaces, stress, .min_cpus = 4, .budget_ms = 30000)
{
	struct lab *lab = lab4_begin(t);
	struct thread *threads[STRESS_CPUS];

	lab4_space(lab, 0);
	lab4_map(lab, 0, 0, SHARED_PAGES, RW);
	sched_fuzz_ticks(2000, 20000, t->seed);
	for (unsigned i = 0; i < STRESS_CPUS; i++) {
		stresses[i] = (struct stress){ .lab = lab };
		prng_seed(&stresses[i].prng, prng_next(&t->prng));
		threads[i] = thread_create("stress", stress, &stresses[i], (int)i);
		assert_true(t, threads[i] != NULL);
	}
	for (unsigned i = 0; i < STRESS_CPUS; i++) {
		thread_join(threads[i]);
		evidence_log(EV_WORKER, i, stresses[i].errors, 0, 0);
		expect_eq(t, stresses[i].errors, 0);
	}
	sched_fuzz_ticks(0, 0, 0);
	lab4_end(lab);
}
