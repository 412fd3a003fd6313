/* SPDX-License-Identifier: MIT */
/*
 * Frames outside of the direct map, and the windows onto them. Most cases need a kernel that
 * was started with mm.directmap=; tests/tools/test_zones.py does that.
 */
#include <arch.h>
#include <high_memory.h>
#include <ktest.h>
#include <page_allocator.h>
#include <page_frame.h>
#include <string.h>
#include <thread.h>

#include "../../kernel/x86_64/x86.h"

static void
need_high_memory(struct ktest *t)
{
	if (page_frame_end() <= arch_direct_map_end() >> PAGE_SHIFT)
		ktest_skip(t, "all memory is in the direct map: start with mm.directmap=64M");
}

/* A frame that the direct map does not reach. */
static struct page *
high_frame(struct ktest *t)
{
	struct page *page = alloc_pages(GFP_HIGHMEM, 0);

	assert_true(t, page != NULL);
	assert_le(t, arch_direct_map_end() >> PAGE_SHIFT, page_to_pfn(page));
	return page;
}

static bool
is_window(const void *address)
{
	return (uintptr_t)address - KMAP_BASE < KMAP_PAGES * PAGE_SIZE;
}

KTEST(kmap, direct_frames_need_no_window)
{
	struct page *page = alloc_pages(GFP_KERNEL, 0);
	struct kmap_stats before, after;

	assert_true(t, page != NULL);
	kmap_get_stats(&before);
	expect_true(t, kmap(page) == page_to_virt(page));
	kmap_get_stats(&after);
	kunmap(page);
	expect_eq(t, before.used, after.used);
	expect_eq(t, before.nr_mappings, after.nr_mappings);
	__free_pages(page, 0);
}

KTEST(kmap, high_frames_are_not_in_the_direct_map)
{
	struct page *page;
	void *window;

	need_high_memory(t);
	page = high_frame(t);
	expect_eq(t, kernel_map_lookup((uintptr_t)page_to_virt(page), NULL), 0);
	window = kmap(page);
	expect_true(t, is_window(window));
	expect_true(t, kmap(page) == window); /* it nests */
	kunmap(page);
	memset(window, 0x77, PAGE_SIZE);
	kunmap(page);
	expect_eq(t, kmap_check(), 0);
	__free_pages(page, 0);
}

/* Several times as many frames as windows: each keeps what was written, and flushes are rare. */
KTEST(kmap, many_frames, .budget_ms = 20000)
{
	enum { FRAMES = 4 * KMAP_PAGES };
	static struct page *page[FRAMES];
	struct kmap_stats before, after;

	need_high_memory(t);
	kmap_get_stats(&before);
	for (unsigned i = 0; i < FRAMES; i++) {
		uint64_t *words;

		page[i] = high_frame(t);
		words = kmap(page[i]);
		words[0] = words[PAGE_SIZE / 8 - 1] = t->seed ^ i;
		kunmap(page[i]);
	}
	expect_eq(t, kmap_check(), 0);
	for (unsigned i = 0; i < FRAMES; i++) {
		uint64_t *words = kmap(page[i]);

		expect_eq(t, words[0], t->seed ^ i);
		expect_eq(t, words[PAGE_SIZE / 8 - 1], t->seed ^ i);
		kunmap(page[i]);
		__free_pages(page[i], 0);
	}
	kmap_get_stats(&after);
	expect_eq(t, after.used, before.used);
	expect_le(t, after.nr_mappings - before.nr_mappings, 2 * FRAMES);
	/* One flush empties all windows. */
	expect_le(t, after.nr_flushes - before.nr_flushes, 2 * FRAMES / KMAP_PAGES);
	expect_lt(t, 0, after.nr_flushes - before.nr_flushes);
	expect_eq(t, mm_check(), 0);
}

/* ---- No window is left ------------------------------------------------------------------- */

static struct page *wanted;
static bool got_it; /* atomic */

static void
look_at_one_more(void *arg)
{
	(void)arg;
	*(uint64_t *)kmap(wanted) = 1;
	__atomic_store_n(&got_it, true, __ATOMIC_RELEASE);
	kunmap(wanted);
}

KTEST(kmap, waits_for_a_window, .budget_ms = 20000)
{
	static struct page *page[KMAP_PAGES];
	struct kmap_stats before, after;
	struct thread *thread;

	need_high_memory(t);
	kmap_get_stats(&before);
	for (unsigned i = 0; i < KMAP_PAGES; i++) {
		page[i] = high_frame(t);
		(void)kmap(page[i]);
	}
	wanted = high_frame(t);
	got_it = false;
	thread = thread_create("look", look_at_one_more, NULL, CPU_ANY);
	assert_true(t, thread != NULL);
	thread_sleep_ns(5 * NSEC_PER_MSEC);
	expect_true(t, !__atomic_load_n(&got_it, __ATOMIC_ACQUIRE));
	(void)kmap(page[7]); /* one that has a window needs no other */
	kunmap(page[7]);
	thread_sleep_ns(5 * NSEC_PER_MSEC);
	expect_true(t, !__atomic_load_n(&got_it, __ATOMIC_ACQUIRE));
	kunmap(page[7]);
	thread_join(thread);
	kmap_get_stats(&after);
	expect_lt(t, before.nr_waits, after.nr_waits);
	for (unsigned i = 0; i < KMAP_PAGES; i++) {
		if (i != 7)
			kunmap(page[i]);
		__free_pages(page[i], 0);
	}
	__free_pages(wanted, 0);
	expect_eq(t, mm_check(), 0);
}

/* ---- Many threads ------------------------------------------------------------------------ */

#define NR_THREADS    8
#define FRAMES_SHARED 700 /* more than there are windows */
#define ROUNDS	      400

static struct page *shared[FRAMES_SHARED];

struct looker {
	struct prng prng;
	unsigned number, nr_wrong;
};

/* Each thread has a word in every frame, and counts it up. Two windows are held at a time. */
static void
look(void *arg)
{
	struct looker *self = arg;
	static uint64_t expected[NR_THREADS][FRAMES_SHARED];
	uint64_t *mine = expected[self->number];

	memset(mine, 0, sizeof(expected[0]));
	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned a = (unsigned)prng_below(&self->prng, FRAMES_SHARED);
		unsigned b = (unsigned)prng_below(&self->prng, FRAMES_SHARED);
		uint64_t *first = kmap(shared[a]), *second = kmap(shared[b]);

		self->nr_wrong += first[self->number] != mine[a];
		first[self->number] = ++mine[a];
		self->nr_wrong += second[self->number] != mine[b];
		kunmap(shared[a]);
		second[self->number] = ++mine[b];
		kunmap(shared[b]);
	}
}

KTEST(kmap, threads_share_windows, .nr_params = 3, .budget_ms = 30000)
{
	static struct looker looker[NR_THREADS];
	struct thread *thread[NR_THREADS];

	need_high_memory(t);
	for (unsigned i = 0; i < FRAMES_SHARED; i++) {
		shared[i] = alloc_pages(GFP_HIGHMEM | GFP_ZERO, 0);
		assert_true(t, shared[i] != NULL);
	}
	sched_fuzz_ticks(3000, 50000, t->seed);
	for (unsigned i = 0; i < NR_THREADS; i++) {
		looker[i] = (struct looker){ .number = i };
		prng_seed(&looker[i].prng, prng_next(&t->prng));
		thread[i] = thread_create("look", look, &looker[i], CPU_ANY);
		assert_true(t, thread[i] != NULL);
	}
	for (unsigned i = 0; i < NR_THREADS; i++) {
		thread_join(thread[i]);
		expect_eq(t, looker[i].nr_wrong, 0);
	}
	sched_fuzz_ticks(0, 0, 0);
	for (unsigned i = 0; i < FRAMES_SHARED; i++)
		__free_pages(shared[i], 0);
	expect_eq(t, mm_check(), 0);
}

/* ---- Zeroes, and mistakes ------------------------------------------------------------------ */

KTEST(kmap, zeroed_when_asked)
{
	struct page *page, *urgent;
	irqflags_t flags;
	const uint64_t *words;

	need_high_memory(t);
	page = high_frame(t);
	memset(kmap(page), 0xa5, PAGE_SIZE);
	kunmap(page);
	__free_pages(page, 0);
	page = alloc_pages(GFP_HIGHMEM | GFP_ZERO, 0);
	assert_true(t, page != NULL);
	words = kmap(page);
	for (size_t i = 0; i < PAGE_SIZE / 8; i++)
		assert_eq(t, words[i], 0);
	kunmap(page);
	__free_pages(page, 0);

	/* A window may have to be waited for, and a handler cannot. */
	flags = arch_irq_save();
	urgent = alloc_pages(GFP_HIGHMEM | GFP_ZERO | GFP_ATOMIC, 0);
	arch_irq_restore(flags);
	assert_true(t, urgent != NULL);
	expect_lt(t, page_to_pfn(urgent), arch_direct_map_end() >> PAGE_SHIFT);
	__free_pages(urgent, 0);
}

KTEST(kmap, unmapped_twice, .expect_panic = "kunmap: frame ")
{
	struct page *page;

	need_high_memory(t);
	page = high_frame(t);
	(void)kmap(page);
	kunmap(page);
	kunmap(page);
}
