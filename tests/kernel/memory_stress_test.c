/* SPDX-License-Identifier: MIT */
/*
 * The kernel's own memory under load from all CPUs, preempted at seeded places. Every
 * frame that is held carries its holder's mark at both ends, so a frame that two hold shows.
 */
#include <ktest.h>
#include <memory_advanced.h>
#include <page_allocator.h>
#include <percpu.h>
#include <thread.h>

#define ROUNDS 500
#define HELD   24

struct stress {
	struct prng prng;
	uint64_t mark;
	unsigned torn; /* blocks whose marks somebody else wrote over */
};

struct block {
	struct page *page;
	unsigned order;
};

static uint64_t *
last_word(const struct block *block)
{
	return (uint64_t *)page_to_virt(block->page) + (PAGE_SIZE << block->order) / 8 - 1;
}

static void
put_mark(const struct block *block, uint64_t mark)
{
	*(uint64_t *)page_to_virt(block->page) = mark;
	*last_word(block) = mark;
}

static bool
has_mark(const struct block *block, uint64_t mark)
{
	return *(uint64_t *)page_to_virt(block->page) == mark && *last_word(block) == mark;
}

static void
stress(void *arg)
{
	struct stress *self = arg;
	struct block held[HELD] = { { NULL, 0 } };

	for (unsigned i = 0; i < ROUNDS + HELD; i++) {
		struct block *block =
		    &held[i < ROUNDS ? prng_below(&self->prng, HELD) : i - ROUNDS];

		if (block->page) {
			self->torn += !has_mark(block, self->mark);
			__free_pages(block->page, block->order);
			block->page = NULL;
		} else if (i < ROUNDS) {
			block->order = prng_below(&self->prng, 6);
			block->page = alloc_pages(GFP_KERNEL, block->order);
			if (block->page)
				put_mark(block, self->mark);
		}
	}
}

KTEST(memory_stress, all_cpus, .min_cpus = 2, .budget_ms = 10000, .nr_params = 3)
{
	static struct stress workers[2 * MAX_CPUS];
	struct thread *threads[2 * MAX_CPUS];
	unsigned nr = MIN(2 * nr_cpus, 16);
	memory_stats_t before, after;

	get_memory_stats(&before);
	sched_fuzz_ticks(3000, 50000, t->seed);
	for (unsigned i = 0; i < nr; i++) {
		workers[i] = (struct stress){ .mark = prng_next(&t->prng) };
		prng_seed(&workers[i].prng, prng_next(&t->prng));
		threads[i] = thread_create("stress", stress, &workers[i], CPU_ANY);
		assert_true(t, threads[i] != NULL);
	}
	for (unsigned i = 0; i < nr; i++) {
		thread_join(threads[i]);
		expect_eq(t, workers[i].torn, 0);
	}
	sched_fuzz_ticks(0, 0, 0);
	get_memory_stats(&after);
	/* The threads' own objects may stay cached. */
	expect_le(t, before.free_memory, after.free_memory + 32 * PAGE_SIZE);
	expect_eq(t, mm_check(), 0);
}
