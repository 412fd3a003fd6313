/* SPDX-License-Identifier: MIT */
/*
 * Several CPUs on one node: they allocate, free, empty each other's lists, compact, and look at
 * the statistics, all at once. Built with the thread sanitizer as well.
 */
#include "host.h"

#include <arch.h>
#include <errno.h>
#include <page_allocator.h>
#include <page_frame.h>
#include <string.h>
#include <thread.h>
#include <zone.h>

#define NR_THREADS 4
#define NR_BLOCKS  3
#define NR_FRAMES  (NR_BLOCKS * MAX_ORDER_FRAMES)
#define NR_OPS	   4000
#define NR_CELLS   220 /* a thread: together 2,600 frames when half of them are full */
#define NR_MOVES   50  /* go on until there were so many, but not for ever */

static struct node node;
static uint8_t block_mobility[NR_BLOCKS];
static struct zone *const normal = &node.zone[ZONE_NORMAL];

/* A place that refers to a block; page->link.next of a movable block leads back to it. */
struct cell {
	struct page *page; /* (l) */
	uint64_t mark;	   /* (l) what its first and its last word hold */
	int order;	   /* (l) -1: a run of three frames */
	bool movable;	   /* (l) */
};

static struct cell cell[NR_THREADS][NR_CELLS];
static spinlock_t lock[NR_THREADS]; /* (l) of the cells of a thread */

/* What each CPU found wrong: host_fail() is not for threads. */
static struct {
	unsigned marks_lost, not_mine, served, moved;
} found[NR_THREADS];

static size_t
frames_of(const struct cell *one)
{
	return one->order < 0 ? 3 : 1ul << one->order;
}

static uint64_t *
word(const struct page *page, size_t frames, bool last)
{
	return (uint64_t *)page_to_virt(page) + (last ? frames * PAGE_SIZE / 8 - 1 : 0);
}

static bool
is_intact(const struct cell *one)
{
	size_t frames = frames_of(one);

	return *word(one->page, frames, false) == one->mark &&
	       *word(one->page, frames, true) == one->mark;
}

static int
move_cell(struct page *from, struct page *to, unsigned order)
{
	struct cell *one = (struct cell *)from->link.next;
	unsigned owner = (unsigned)((size_t)(one - cell[0]) / NR_CELLS);
	irqflags_t flags;

	memcpy(page_to_virt(to), page_to_virt(from), PAGE_SIZE << order);
	flags = spin_lock_irqsave(&lock[owner]);
	found[owner].not_mine += one->page != from || one->order != (int)order;
	found[owner].marks_lost += !is_intact(one);
	__atomic_add_fetch(&found[owner].moved, 1, __ATOMIC_RELAXED);
	to->link.next = from->link.next;
	one->page = to;
	spin_unlock_irqrestore(&lock[owner], flags);
	return 0;
}

static const struct page_mover mover = { .move = move_cell };

static unsigned
nr_moves(void)
{
	unsigned nr = 0;

	for (unsigned i = 0; i < NR_THREADS; i++)
		nr += __atomic_load_n(&found[i].moved, __ATOMIC_RELAXED);
	return nr;
}

static void
fill(unsigned cpu, struct cell *one, struct prng *prng)
{
	static const gfp_t flags[] = { GFP_NOWAIT, GFP_ATOMIC, GFP_NORETRY, GFP_RECLAIMABLE,
				       GFP_KERNEL };
	bool run = prng_below(prng, 8) == 0, movable = prng_below(prng, 4) != 0;
	gfp_t gfp =
	    flags[prng_below(prng, movable ? 3 : ARRAY_SIZE(flags))] | (movable ? GFP_USER : 0);
	int order = run ? -1 : (int)prng_below(prng, 5);
	struct page *page =
	    run ? node_alloc_exact(&node, gfp, 3) : node_alloc(&node, gfp, (unsigned)order);
	irqflags_t irq;

	if (!page)
		return;
	found[cpu].served++;
	irq = spin_lock_irqsave(&lock[cpu]);
	*one = (struct cell){ .page = page, .mark = prng_next(prng), .order = order };
	one->movable = movable && !run;
	*word(page, frames_of(one), false) = *word(page, frames_of(one), true) = one->mark;
	if (one->movable) {
		page->link.next = (struct list_head *)one;
		page_set_mover(page, &mover);
	}
	spin_unlock_irqrestore(&lock[cpu], irq);
}

static void
empty(unsigned cpu, struct cell *one)
{
	struct page *page = NULL;

	while (!page) {
		irqflags_t flags = spin_lock_irqsave(&lock[cpu]);

		if (!one->movable || page_clear_mover(one->page)) {
			page = one->page;
			found[cpu].marks_lost += !is_intact(one);
			one->page = NULL;
		}
		spin_unlock_irqrestore(&lock[cpu], flags);
		if (!page)
			thread_yield();
	}
	if (one->order < 0)
		node_free_range(&node, page_to_pfn(page), page_to_pfn(page) + 3);
	else
		node_free(&node, page, (unsigned)one->order);
}

/* What a CPU does now and then to all of the node. */
static void
disturb(struct prng *prng)
{
	struct page_totals totals;
	zone_stats_t stats;

	switch (prng_below(prng, 4)) {
	case 0:
		node_drain_lists(&node);
		break;
	case 1:
		zone_get_stats(normal, &stats);
		node_get_totals(&node, &totals);
		break;
	default:
		(void)compact_zone(normal, 4 + (unsigned)prng_below(prng, 4));
	}
}

static void
work(unsigned cpu, void *arg)
{
	struct prng prng;

	(void)arg;
	prng_seed(&prng, host_seed * 100 + cpu);
	for (unsigned i = 0; i < NR_OPS || (i < 20 * NR_OPS && nr_moves() < NR_MOVES); i++) {
		struct cell *one = &cell[cpu][prng_below(&prng, NR_CELLS)];
		struct page *page;
		irqflags_t flags = spin_lock_irqsave(&lock[cpu]);

		page = one->page;
		spin_unlock_irqrestore(&lock[cpu], flags);
		if (page)
			empty(cpu, one);
		else
			fill(cpu, one, &prng);
		if (prng_below(&prng, 40) == 0)
			disturb(&prng);
	}
	for (unsigned i = 0; i < NR_CELLS; i++) {
		if (cell[cpu][i].page)
			empty(cpu, &cell[cpu][i]);
	}
}

static void
make_node(void)
{
	struct zone_limits limits = { .normal_end = NR_FRAMES, .end = NR_FRAMES };
	static struct memory_map map;

	map.nr = map.nr_dropped = 0;
	memory_map_add(&map, 0, NR_FRAMES << PAGE_SHIFT, MEMORY_USABLE);
	host_memmap_reset();
	(void)page_frame_init(&map);
	node_init(&node, &limits, block_mobility);
	node_add_range(&node, 0, NR_FRAMES);
}

static void
expect_whole(void)
{
	node_drain_lists(&node);
	CHECK_EQ(normal->nr_free, NR_FRAMES);
	CHECK_EQ(node_check(&node), 0);
}

static void
threads_share_a_node(void)
{
	unsigned served = 0;

	make_node();
	memset(cell, 0, sizeof(cell));
	memset(found, 0, sizeof(found));
	for (unsigned i = 0; i < NR_THREADS; i++)
		spin_init(&lock[i], "cells", RANK_TEST);
	host_run_threads(NR_THREADS, work, NULL);
	for (unsigned i = 0; i < NR_THREADS; i++) {
		CHECK_EQ(found[i].marks_lost, 0);
		CHECK_EQ(found[i].not_mine, 0);
		served += found[i].served;
	}
	CHECK(served > NR_OPS);
	CHECK(nr_moves() >= NR_MOVES);
	expect_whole();
}

/* ---- GFP_NOFAIL ------------------------------------------------------------------------- */

#define LAST_FRAMES 3 /* one less than there are threads that want one */

/* Nobody waits for a frame while it has one, so all are served in turn. */
static void
want_one(unsigned cpu, void *arg)
{
	(void)arg;
	for (unsigned round = 0; round < 100; round++) {
		struct page *page = node_alloc(&node, GFP_NOFAIL, 0);

		found[cpu].not_mine += page == NULL || *word(page, 1, false) != 0;
		if (!page)
			continue;
		*word(page, 1, false) = cpu + 1;
		thread_yield();
		found[cpu].marks_lost += *word(page, 1, false) != cpu + 1;
		*word(page, 1, false) = 0;
		node_free(&node, page, 0);
	}
}

static void
nofail_is_always_served(void)
{
	static struct page *all[NR_FRAMES];
	size_t nr = 0;

	make_node();
	memset(found, 0, sizeof(found));
	for (; nr < NR_FRAMES; nr++) {
		all[nr] = node_alloc(&node, GFP_NOFAIL, 0);
		*word(all[nr], 1, false) = 0;
	}
	for (unsigned i = 0; i < LAST_FRAMES; i++)
		node_free(&node, all[--nr], 0);
	host_run_threads(NR_THREADS, want_one, NULL);
	for (unsigned i = 0; i < NR_THREADS; i++) {
		CHECK_EQ(found[i].not_mine, 0);
		CHECK_EQ(found[i].marks_lost, 0);
	}
	while (nr > 0)
		node_free(&node, all[--nr], 0);
	expect_whole();
}

HOST_SUITE(zone_threads, { "threads_share_a_node", threads_share_a_node },
	   { "nofail_is_always_served", nofail_is_always_served });
