/* SPDX-License-Identifier: MIT */
/*
 * Large objects on the real page tables: what they hold, what the processor forbids around
 * them, when other CPUs forget them, and that everything comes back. Models, shortages at
 * every point and damage to the books are tested in tests/host/large_test.c.
 */
#include <arch.h>
#include <console.h>
#include <ktest.h>
#include <large_object.h>
#include <page_allocator.h>
#include <percpu.h>
#include <smp.h>
#include <string.h>
#include <thread.h>

#include "../../kernel/x86_64/pte.h"
#include "../../kernel/x86_64/x86.h"

/* ---- Books ------------------------------------------------------------------------- */

#define KEPT_FRAMES 16 /* that caches of threads may keep */

static size_t free_before;
static struct large_stats stats_before;

/* The area's first directory is made by the first object and stays. */
static void
begin(struct ktest *t)
{
	void *first = large_alloc(1, GFP_KERNEL);

	assert_true(t, first != NULL);
	large_free(first);
	(void)large_flush();
	large_get_stats(&stats_before);
	free_before = page_allocator_nr_free();
}

static void
expect_all_back(struct ktest *t)
{
	struct large_stats stats;

	(void)large_flush();
	large_get_stats(&stats);
	expect_eq(t, stats.nr_objects, stats_before.nr_objects);
	expect_eq(t, stats.bytes, stats_before.bytes);
	expect_eq(t, stats.frames, stats_before.frames);
	expect_eq(t, stats.waiting_objects, 0);
	expect_eq(t, stats.waiting_frames, 0);
	expect_eq(t, stats.guard_pages, stats_before.guard_pages);
	expect_eq(t, stats.descriptor_frames, stats_before.descriptor_frames);
	expect_eq(t, stats.table_frames, stats_before.table_frames);
	expect_le(t, free_before, page_allocator_nr_free() + KEPT_FRAMES);
	expect_eq(t, large_check(), 0);
	expect_eq(t, mm_check(), 0);
}

KTEST(large, console_command)
{
	expect_eq(t, console_execute("largeinfo"), 0);
}

/* ---- What they hold ---------------------------------------------------------------- */

#define NR_OBJECTS 20

/* Objects of 1 page to 2.5 MiB at once, each word with its own address; half of them freed. */
KTEST(large, keeps_data, .budget_ms = 10000)
{
	static uint64_t *object[NR_OBJECTS];
	static size_t words[NR_OBJECTS];

	begin(t);
	for (unsigned i = 0; i < NR_OBJECTS; i++) {
		words[i] = (i == 7 ? MiB(2) + KiB(512) : PAGE_SIZE * (i + 1)) / sizeof(uint64_t);
		object[i] = large_alloc(words[i] * sizeof(uint64_t), GFP_KERNEL);
		assert_true(t, object[i] != NULL);
		for (size_t j = 0; j < words[i]; j++)
			object[i][j] = (uintptr_t)&object[i][j];
	}
	for (unsigned i = 0; i < NR_OBJECTS; i += 2)
		large_free(object[i]);
	expect_eq(t, large_check(), 0);
	for (unsigned i = 1; i < NR_OBJECTS; i += 2) {
		for (size_t j = 0; j < words[i]; j++)
			assert_eq(t, object[i][j], (uintptr_t)&object[i][j]);
		expect_eq(t, large_size(object[i]), words[i] * sizeof(uint64_t));
		large_free(object[i]);
	}
	expect_all_back(t);
}

KTEST(large, zeroed_when_asked)
{
	uint64_t *words = large_alloc(9 * PAGE_SIZE, GFP_KERNEL);

	assert_true(t, words != NULL);
	memset(words, 0xa5, 9 * PAGE_SIZE);
	large_free(words);
	(void)large_flush();
	words = large_alloc(9 * PAGE_SIZE, GFP_ZERO);
	assert_true(t, words != NULL);
	for (size_t i = 0; i < 9 * PAGE_SIZE / sizeof(*words); i++)
		assert_eq(t, words[i], 0);
	large_free(words);
}

/* Free memory in single frames only: a buddy allocator alone could give none of two frames. */
KTEST(large, scattered_frames_suffice, .budget_ms = 10000)
{
	struct page *odd = NULL, *even = NULL, *pairs = NULL, *page;
	uint8_t *address = NULL;

	begin(t);
	while ((page = alloc_pages(GFP_KERNEL, 0)) != NULL) {
		struct page **list = page_to_pfn(page) % 2 ? &odd : &even;

		page->owner = (uintptr_t)*list;
		*list = page;
	}
	while ((page = odd)) {
		odd = (struct page *)page->owner;
		__free_pages(page, 0);
	}
	/* What zones had kept is still in larger blocks. */
	while ((page = alloc_pages(GFP_KERNEL, 1)) != NULL) {
		page->owner = (uintptr_t)pairs;
		pairs = page;
	}
	address = large_alloc(MiB(4), GFP_KERNEL);
	while ((page = even)) {
		even = (struct page *)page->owner;
		__free_pages(page, 0);
	}
	while ((page = pairs)) {
		pairs = (struct page *)page->owner;
		__free_pages(page, 1);
	}
	assert_true(t, address != NULL);
	memset(address, 0x3c, MiB(4));
	expect_eq(t, large_check(), 0);
	large_free(address);
	expect_all_back(t);
}

/* Take all memory in large objects until there is none, and give it back. */
KTEST(large, exhaustion, .budget_ms = 20000)
{
	void **last = NULL, **object;
	size_t nr = 0;

	begin(t);
	while ((object = large_alloc(MiB(1) - PAGE_SIZE * (nr % 7), GFP_KERNEL)) != NULL) {
		*object = last;
		last = object;
		nr++;
	}
	expect_lt(t, free_before / 256, nr + 2);
	expect_eq(t, large_check(), 0);
	while ((object = last)) {
		last = *object;
		large_free(object);
	}
	expect_all_back(t);
}

/* Requests fail here and there, at every place where one takes memory. */
KTEST(large, failures_leave_nothing, .budget_ms = 20000)
{
	unsigned failed = 0;

	begin(t);
	for (unsigned i = 0; i < 300; i++) {
		void *object;

		page_allocator_set_faults(2 + i % 12, t->seed + i);
		object = large_alloc((1 + i % 40) * PAGE_SIZE, GFP_KERNEL);
		page_allocator_set_faults(0, 0);
		failed += object == NULL;
		if (object)
			large_free(object);
		expect_all_back(t);
	}
	expect_lt(t, 10, failed);
	expect_lt(t, failed, 290);
}

/* ---- What the processor forbids ------------------------------------------------------ */

static void
read_byte(void *address)
{
	(void)*(volatile uint8_t *)address;
}

static void
write_byte(void *address)
{
	*(volatile uint8_t *)address = 0xc3; /* ret, for execute() */
}

static void
execute(void *address)
{
	((void (*)(void))address)();
}

static void
expect_fault(struct ktest *t, void (*fn)(void *), void *address, uint64_t error)
{
	struct trap_frame frame;

	if (!trap_expect(VECTOR_PAGE_FAULT, fn, address, &frame)) {
		ktest_fail(t, __FILE__, __LINE__, "expected a page fault at %p", address);
		return;
	}
	expect_eq(t, read_cr2(), (uintptr_t)address);
	expect_eq(t, frame.error, error);
}

KTEST(large, guards_fault)
{
	uint8_t *object[3];

	for (unsigned i = 0; i < 3; i++) {
		object[i] = large_alloc(PAGE_SIZE * i + 1, GFP_KERNEL);
		assert_true(t, object[i] != NULL);
	}
	for (unsigned i = 0; i < 3; i++) {
		uint8_t *end = object[i] + PAGE_SIZE * (i + 1);

		write_byte(object[i]);
		write_byte(end - 1);
		expect_fault(t, write_byte, object[i] - 1, PF_WRITE);
		expect_fault(t, read_byte, object[i] - PAGE_SIZE, 0);
		expect_fault(t, write_byte, end, PF_WRITE);
		expect_fault(t, read_byte, end + PAGE_SIZE - 1, 0);
	}
	for (unsigned i = 0; i < 3; i++)
		large_free(object[i]);
}

KTEST(large, cannot_be_executed)
{
	uint8_t *object = large_alloc(3 * PAGE_SIZE, GFP_KERNEL);

	assert_true(t, object != NULL);
	for (unsigned i = 0; i < 3; i++) {
		uint64_t pte = kernel_map_lookup((uintptr_t)object + i * PAGE_SIZE, NULL);

		expect_eq(t, pte & (PTE_PRESENT | PTE_WRITE), PTE_PRESENT | PTE_WRITE);
		expect_eq(t, (pte & PTE_NX) != 0, cpu_has(CPU_NX));
		write_byte(object + i * PAGE_SIZE);
		if (cpu_has(CPU_NX))
			expect_fault(t, execute, object + i * PAGE_SIZE, PF_PROTECTION | PF_FETCH);
	}
	large_free(object);
}

KTEST(large, underrun, .expect_panic = "page fault writing address 0xffffc8")
{
	uint8_t *object = large_alloc(PAGE_SIZE, GFP_KERNEL);

	assert_true(t, object != NULL);
	write_byte(object - 1);
}

KTEST(large, overrun, .expect_panic = "page fault writing address 0xffffc8")
{
	uint8_t *object = large_alloc(3 * PAGE_SIZE, GFP_KERNEL);

	assert_true(t, object != NULL);
	write_byte(object + 3 * PAGE_SIZE);
}

/* ---- Misuse ------------------------------------------------------------------------- */

KTEST(large, double_free, .expect_panic = "large: double free of 0xffffc8")
{
	void *object = large_alloc(1, GFP_KERNEL);

	(void)t;
	large_free(object);
	large_free(object);
}

KTEST(large, double_free_after_flush,
      .expect_panic = "large: foreign pointer or double free: 0xffffc8")
{
	void *object = large_alloc(1, GFP_KERNEL);

	(void)t;
	large_free(object);
	(void)large_flush();
	large_free(object);
}

KTEST(large, interior_free, .expect_panic = "large: interior pointer 0xffffc8")
{
	uint8_t *object = large_alloc(2 * PAGE_SIZE, GFP_KERNEL);

	(void)t;
	large_free(object + PAGE_SIZE);
}

KTEST(large, foreign_free, .expect_panic = "large: foreign pointer 0xffff")
{
	large_free(t);
}

/* ---- Other CPUs ---------------------------------------------------------------------- */

struct look {
	volatile uint8_t *address;
	uint8_t value;
	bool faulted;
};

static void
look_at(void *arg)
{
	struct look *look = arg;

	look->value = *look->address;
}

static void
look_and_tell(void *arg)
{
	struct look *look = arg;

	look->faulted = trap_expect(VECTOR_PAGE_FAULT, look_at, look, NULL);
}

/*
 * CPU 1 has looked at an object, so its TLB knows it. Until the flush nobody gets the object's
 * addresses or frames; after it CPU 1 sees that the object is gone, and what comes in its place.
 */
KTEST(large, reused_after_the_flush_only, .min_cpus = 2)
{
	struct look look = { NULL, 0, false };
	uint8_t *first, *other, *second;
	struct page *page, *all = NULL;
	paddr_t frame;

	begin(t);
	first = large_alloc(PAGE_SIZE, GFP_KERNEL);
	assert_true(t, first != NULL);
	frame = kernel_map_lookup((uintptr_t)first, NULL) & PTE_ADDRESS;
	memset(first, 0x11, PAGE_SIZE);
	look.address = first;
	smp_call(1, look_and_tell, &look);
	expect_eq(t, look.value, 0x11);

	large_free(first);
	other = large_alloc(PAGE_SIZE, GFP_KERNEL);
	expect_true(t, other != NULL && other != first);
	expect_ne(t, kernel_map_lookup((uintptr_t)other, NULL) & PTE_ADDRESS, frame);
	/* Who may not sleep does not flush either. */
	while ((page = alloc_pages(GFP_NOWAIT, 0)) != NULL) {
		assert_ne(t, page_to_pfn(page) << PAGE_SHIFT, frame);
		page->owner = (uintptr_t)all;
		all = page;
	}
	while ((page = all)) {
		all = (struct page *)page->owner;
		__free_pages(page, 0);
	}

	expect_eq(t, large_flush(), 1);
	smp_call(1, look_and_tell, &look);
	expect_true(t, look.faulted);
	second = large_alloc(PAGE_SIZE, GFP_KERNEL);
	assert_true(t, second == first);
	memset(second, 0x22, PAGE_SIZE);
	smp_call(1, look_and_tell, &look);
	expect_true(t, !look.faulted);
	expect_eq(t, look.value, 0x22);
	large_free(other);
	large_free(second);
	expect_all_back(t);
}

/* A table that became empty serves again before the flush, and is freed by it if not. */
KTEST(large, tables_come_and_go)
{
	uint8_t *object;
	size_t tables;

	begin(t);
	tables = arch_vm_tables();
	object = large_alloc(MiB(5), GFP_KERNEL);
	assert_true(t, object != NULL);
	expect_le(t, tables + 3, arch_vm_tables());
	tables = arch_vm_tables();
	large_free(object);
	expect_eq(t, arch_vm_tables(), tables);
	object = large_alloc(PAGE_SIZE, GFP_KERNEL);
	assert_true(t, object != NULL);
	(void)large_flush();
	write_byte(object);
	expect_lt(t, arch_vm_tables(), tables);
	large_free(object);
	expect_all_back(t);
}

/* The last 2 MiB of the area, where no object comes, and the directory entry for them. */
#define LAST_TABLE (LARGE_END - MiB(2))

static volatile uint64_t *
last_table_entry(void)
{
	uint64_t *table = phys_to_virt(read_cr3() & PTE_ADDRESS);

	for (unsigned shift = pte_top_shift(); shift > SHIFT_2M; shift -= MMU_LEVEL_BITS)
		table = phys_to_virt(table[pte_index(LAST_TABLE, shift)] & PTE_ADDRESS);
	return &table[pte_index(LAST_TABLE, SHIFT_2M)];
}

struct mapper {
	paddr_t frame;
	bool waits;
	int error;
};

/* With interrupts off, so that a flush waits for this CPU; map when the table is parked. */
static void
map_meanwhile(void *arg)
{
	struct mapper *mapper = arg;
	irqflags_t flags = arch_irq_save();

	__atomic_store_n(&mapper->waits, true, __ATOMIC_RELEASE);
	while (*last_table_entry() & PTE_PRESENT)
		arch_cpu_relax();
	mapper->error = arch_vm_map(LAST_TABLE + 5 * PAGE_SIZE, mapper->frame);
	arch_irq_restore(flags);
}

/* An empty table that gets a page while a flush is about to free it stays. */
KTEST(large, table_is_used_during_the_flush, .min_cpus = 2)
{
	struct page *page = alloc_pages(GFP_KERNEL, 0);
	struct mapper mapper = { .error = -1 };
	uint8_t *address = (uint8_t *)LAST_TABLE + 5 * PAGE_SIZE;
	struct thread *thread;
	size_t tables;

	assert_true(t, page != NULL);
	mapper.frame = page_to_pfn(page) << PAGE_SHIFT;
	assert_eq(t, arch_vm_map(LAST_TABLE, mapper.frame), 0);
	tables = arch_vm_tables();
	expect_eq(t, arch_vm_unmap(LAST_TABLE), mapper.frame);
	thread = thread_create("mapper", map_meanwhile, &mapper, 1);
	assert_true(t, thread != NULL);
	while (!__atomic_load_n(&mapper.waits, __ATOMIC_ACQUIRE))
		arch_cpu_relax();
	arch_vm_flush(LAST_TABLE, LAST_TABLE + PAGE_SIZE);
	thread_join(thread);
	expect_eq(t, mapper.error, 0);
	expect_eq(t, arch_vm_tables(), tables);
	write_byte(address);
	expect_eq(t, *(uint8_t *)page_to_virt(page), 0xc3);
	expect_eq(t, arch_vm_unmap((uintptr_t)address), mapper.frame);
	arch_vm_flush((uintptr_t)address, (uintptr_t)address + PAGE_SIZE);
	expect_eq(t, arch_vm_tables(), tables - 1);
	expect_eq(t, *last_table_entry(), 0);
	__free_pages(page, 0);
	expect_eq(t, mm_check(), 0);
}

#define ROUNDS 150
#define HELD   8

struct worker {
	struct prng prng;
	uint64_t mark;
	unsigned torn; /* objects in which somebody else wrote */
};

struct held {
	uint64_t *words;
	size_t pages;
};

static void
mark_pages(const struct held *held, uint64_t mark)
{
	for (size_t i = 0; i < held->pages; i++)
		held->words[i * (PAGE_SIZE / sizeof(uint64_t)) + i] = mark + i;
}

static bool
marks_are_there(const struct held *held, uint64_t mark)
{
	for (size_t i = 0; i < held->pages; i++) {
		if (held->words[i * (PAGE_SIZE / sizeof(uint64_t)) + i] != mark + i)
			return false;
	}
	return true;
}

static void
work(void *arg)
{
	struct worker *self = arg;
	struct held held[HELD] = { { NULL, 0 } };

	for (unsigned i = 0; i < ROUNDS + HELD; i++) {
		struct held *one = &held[i < ROUNDS ? prng_below(&self->prng, HELD) : i - ROUNDS];

		if (one->words) {
			self->torn += !marks_are_there(one, self->mark);
			large_free(one->words);
			one->words = NULL;
		} else if (i < ROUNDS) {
			one->pages = 1 + prng_below(&self->prng, 40);
			one->words = large_alloc(one->pages * PAGE_SIZE, GFP_KERNEL);
			if (one->words)
				mark_pages(one, self->mark);
		}
		if (prng_below(&self->prng, 8) == 0)
			(void)large_flush();
	}
}

KTEST(large, all_cpus, .min_cpus = 2, .budget_ms = 20000, .nr_params = 3)
{
	static struct worker workers[16];
	struct thread *threads[16];
	unsigned nr = MIN(2 * nr_cpus, 8);

	begin(t);
	sched_fuzz_ticks(3000, 50000, t->seed);
	for (unsigned i = 0; i < nr; i++) {
		workers[i] = (struct worker){ .mark = prng_next(&t->prng) };
		prng_seed(&workers[i].prng, prng_next(&t->prng));
		threads[i] = thread_create("large", work, &workers[i], CPU_ANY);
		assert_true(t, threads[i] != NULL);
	}
	for (unsigned i = 0; i < nr; i++) {
		thread_join(threads[i]);
		expect_eq(t, workers[i].torn, 0);
	}
	sched_fuzz_ticks(0, 0, 0);
	expect_all_back(t);
}

/* ---- kmap ----------------------------------------------------------------------------- */

/* A window shows one frame, then another; it takes no memory; nobody may execute there. */
KTEST(large, kmap_windows)
{
	uint8_t *window = (uint8_t *)KMAP_BASE + (KMAP_PAGES - 1) * PAGE_SIZE;
	struct page *page[2] = { alloc_pages(GFP_ZERO, 0), alloc_pages(GFP_ZERO, 0) };
	size_t free = page_allocator_nr_free();

	assert_true(t, page[0] && page[1]);
	for (unsigned i = 0; i < 2; i++) {
		paddr_t frame = page_to_pfn(page[i]) << PAGE_SHIFT;

		expect_fault(t, read_byte, window, 0);
		assert_eq(t, arch_vm_map((uintptr_t)window, frame), 0);
		window[5] = (uint8_t)(40 + i);
		expect_eq(t, ((uint8_t *)page_to_virt(page[i]))[5], 40 + i);
		expect_true(t, !cpu_has(CPU_NX) ||
				   kernel_map_lookup((uintptr_t)window, NULL) & PTE_NX);
		expect_eq(t, arch_vm_unmap((uintptr_t)window), frame);
		arch_vm_flush((uintptr_t)window, (uintptr_t)window + PAGE_SIZE);
	}
	expect_eq(t, page_allocator_nr_free(), free);
	__free_pages(page[0], 0);
	__free_pages(page[1], 0);
}

KTEST(large, mapped_twice, .expect_panic = "vm area: 0xffffca0000000000 is mapped already")
{
	assert_eq(t, arch_vm_map(KMAP_BASE, 0), 0);
	(void)!arch_vm_map(KMAP_BASE, 0);
}

KTEST(large, unmapped_twice, .expect_panic = "vm area: 0xffffc80000000000 is not mapped")
{
	(void)t;
	(void)arch_vm_unmap(LARGE_BASE);
}

KTEST(large, not_the_area, .expect_panic = "vm area: 0xffffca0000200000 is no page of it")
{
	(void)t;
	(void)!arch_vm_map(KMAP_BASE + KMAP_PAGES * PAGE_SIZE, 0);
}
