/* SPDX-License-Identifier: MIT */
/*
 * Compaction: that it makes large blocks out of movable ones, loses nobody's contents, and gets
 * along with owners who free, hold on to and look at their blocks while they are moved.
 */
#include "zone_node.h"

#include <errno.h>
#include <percpu.h>
#include <string.h>
#include <thread.h>

static struct zone *const normal = &test_node.zone[ZONE_NORMAL];

/* ---- Owners ----------------------------------------------------------------------------- */

#define NR_CELLS 4096

/* A place that refers to a block. page->link.next of the block leads back to it. */
struct cell {
	struct page *page; /* (l) cells_lock */
	uint64_t mark;	   /* (l) its words at both ends */
	uint8_t order;	   /* (l) */
};

static struct cell cell[NR_CELLS];
static spinlock_t cells_lock = SPINLOCK_INIT("cells", RANK_TEST); /* (l) */
static unsigned nr_wrong, nr_moves;				  /* (l) calls of the mover */
static int refuse; /* (l) moves to refuse: one in so many; 0: none */

static uint64_t *
first_word(const struct page *page)
{
	return page_to_virt(page);
}

static uint64_t *
last_word(const struct page *page, unsigned order)
{
	return (uint64_t *)page_to_virt(page) + (PAGE_SIZE << order) / 8 - 1;
}

static bool
is_intact(const struct cell *at)
{
	return *first_word(at->page) == at->mark && *last_word(at->page, at->order) == at->mark;
}

static int
move_cell(struct page *from, struct page *to, unsigned order)
{
	struct cell *at = (struct cell *)from->link.next;
	irqflags_t flags;
	int error = 0;

	/* Long enough that others run meanwhile. They may read, and cannot free. */
	memcpy(page_to_virt(to), page_to_virt(from), PAGE_SIZE << order);
	flags = spin_lock_irqsave(&cells_lock);
	if (at->page != from || at->order != order || !is_intact(at))
		nr_wrong++;
	nr_moves++;
	if (refuse && nr_moves % (unsigned)refuse == 0) {
		memset(page_to_virt(to), 0, PAGE_SIZE << order);
		error = -EBUSY;
	} else {
		to->link.next = from->link.next;
		at->page = to;
		memset(page_to_virt(from), 0x5a, PAGE_SIZE << order);
	}
	spin_unlock_irqrestore(&cells_lock, flags);
	return error;
}

static const struct page_mover cell_mover = { .move = move_cell };

/* Fill an empty cell. Returns false if there is no block. */
static bool
cell_fill(struct cell *at, gfp_t gfp, unsigned order, uint64_t mark)
{
	struct page *page = node_alloc(&test_node, gfp, order);
	irqflags_t flags;

	if (!page)
		return false;
	*first_word(page) = *last_word(page, order) = mark;
	page->link.next = (struct list_head *)at;
	flags = spin_lock_irqsave(&cells_lock);
	*at = (struct cell){ .page = page, .order = (uint8_t)order, .mark = mark };
	page_set_mover(page, &cell_mover);
	spin_unlock_irqrestore(&cells_lock, flags);
	return true;
}

/* Empty a cell: its block is the caller's alone, and goes. */
static void
cell_empty(struct cell *at)
{
	struct page *page = NULL;
	unsigned order = 0;

	while (!page) {
		irqflags_t flags = spin_lock_irqsave(&cells_lock);

		if (page_clear_mover(at->page)) {
			page = at->page;
			order = at->order;
			if (!is_intact(at))
				nr_wrong++;
			at->page = NULL;
		}
		spin_unlock_irqrestore(&cells_lock, flags);
		if (!page)
			thread_yield(); /* it is being moved */
	}
	node_free(&test_node, page, order);
}

static void
cells_reset(void)
{
	memset(cell, 0, sizeof(cell));
	nr_wrong = nr_moves = 0;
	refuse = 0;
}

/* All single frames in use but the marks; then one in so many remains. */
static void
make_sparse(struct ktest *t, unsigned one_in)
{
	struct pile pile = { 0 };
	struct page *page;
	unsigned nr = 0;

	cells_reset();
	node_make(t, &one_zone);
	pile_fill(&pile, GFP_USER | GFP_NOWAIT, 0);
	while ((page = pile_take(&pile)) != NULL) {
		if (page_to_pfn(page) % one_in != 0) {
			node_free(&test_node, page, 0);
			continue;
		}
		assert_le(t, nr + 1, NR_CELLS);
		cell[nr] = (struct cell){ .page = page, .mark = prng_next(&t->prng) };
		*first_word(page) = *last_word(page, 0) = cell[nr].mark;
		page->link.next = (struct list_head *)&cell[nr++];
	}
	node_drain_lists(&test_node);
	expect_true(t, node_alloc(&test_node, GFP_USER | GFP_NOWAIT, 9) == NULL);
}

static void
let_all_move(void)
{
	for (unsigned i = 0; i < NR_CELLS; i++) {
		if (cell[i].page)
			page_set_mover(cell[i].page, &cell_mover);
	}
}

static void
empty_all(struct ktest *t)
{
	for (unsigned i = 0; i < NR_CELLS; i++) {
		if (cell[i].page)
			cell_empty(&cell[i]);
	}
	expect_eq(t, nr_wrong, 0);
	expect_node_whole(t);
}

static const struct node_shape crowded = { .normal = 2 };

/* ---- One thread -------------------------------------------------------------------------- */

/* As many large blocks as there is free memory for, but for the marks and what is in use. */
KTEST(zone_compaction, makes_large_blocks, .nr_params = 2, .budget_ms = 20000)
{
	unsigned order = t->param ? 10 : 9;
	struct pile large = { 0 };
	size_t used, before;

	make_sparse(t, 8);
	used = ARENA_FRAMES - normal->nr_free;
	let_all_move();
	before = normal->events.nr_moved;
	pile_fill(&large, GFP_USER, order);
	expect_le(t, ((ARENA_FRAMES - used - normal->mark[MARK_MIN]) >> order) - 1, large.nr);
	expect_lt(t, before, normal->events.nr_moved);
	expect_le(t, large.nr, normal->events.nr_compacted);
	expect_eq(t, node_check(&test_node), 0);
	pile_free(&large, order);
	empty_all(t);
}

/* Without movers nothing moves, and who cannot wait does not compact. */
KTEST(zone_compaction, only_what_may_move, .budget_ms = 20000)
{
	make_sparse(t, 8);
	expect_true(t, node_alloc(&test_node, GFP_USER, 9) == NULL);
	expect_eq(t, normal->events.nr_moved, 0);
	let_all_move();
	expect_true(t, node_alloc(&test_node, GFP_USER | GFP_NOWAIT, 9) == NULL);
	expect_eq(t, normal->events.nr_moved, 0);
	/* One frame in each run of order 9 stays: then none can be emptied. */
	for (unsigned i = 0; i < NR_CELLS; i++) {
		if (cell[i].page && page_to_pfn(cell[i].page) % 512 == 0)
			assert_true(t, page_clear_mover(cell[i].page));
	}
	expect_true(t, node_alloc(&test_node, GFP_USER, 9) == NULL);
	expect_eq(t, normal->events.nr_moved, 0);
	expect_eq(t, node_check(&test_node), 0);
	for (unsigned i = 0; i < NR_CELLS; i++) {
		if (cell[i].page && page_to_pfn(cell[i].page) % 512 == 0)
			page_set_mover(cell[i].page, &cell_mover);
	}
	empty_all(t);
}

/* A mover that refuses: nothing is lost, and other runs, or later tries, do. */
KTEST(zone_compaction, movers_may_refuse, .budget_ms = 20000)
{
	struct page *page = NULL;

	make_sparse(t, 8);
	let_all_move();
	refuse = 1;
	expect_true(t, node_alloc(&test_node, GFP_USER, 9) == NULL);
	expect_lt(t, 0, normal->events.nr_compact_failed);
	expect_eq(t, normal->events.nr_moved, 0);
	expect_eq(t, node_check(&test_node), 0);
	refuse = 40;
	for (unsigned i = 0; i < 20 && !page; i++)
		page = node_alloc(&test_node, GFP_USER, 9);
	assert_true(t, page != NULL);
	expect_eq(t, node_check(&test_node), 0);
	node_free(&test_node, page, 9);
	empty_all(t);
}

/* The cheapest run is taken: the one with the fewest frames to move. */
KTEST(zone_compaction, moves_as_little_as_possible, .budget_ms = 20000)
{
	pfn_t cheap;
	struct page *page;

	make_sparse(t, 8);
	let_all_move();
	cheap = normal->first + 5 * 512;
	for (unsigned i = 0; i < NR_CELLS; i++) {
		pfn_t pfn = cell[i].page ? page_to_pfn(cell[i].page) : 0;

		/* 64 in each run, but 3 in that one. */
		if (pfn >= cheap && pfn < cheap + 512 && (pfn - cheap) / 8 % 20 != 0)
			cell_empty(&cell[i]);
	}
	node_drain_lists(&test_node);
	page = node_alloc(&test_node, GFP_USER, 9);
	assert_true(t, page != NULL);
	expect_eq(t, page_to_pfn(page), cheap);
	expect_le(t, normal->events.nr_moved, 4);
	node_free(&test_node, page, 9);
	empty_all(t);
}

/* GFP_NOFAIL, below all marks: what is free lies apart, and moving brings it together. */
KTEST(zone_compaction, nofail_compacts_below_the_marks, .budget_ms = 20000)
{
	struct page *page;
	unsigned nr = 0;

	cells_reset();
	node_make(t, &crowded);
	while (normal->nr_free > 0)
		cell_fill(&cell[nr++], GFP_USER | GFP_NOFAIL, 0, prng_next(&t->prng));
	for (unsigned i = 0; i < 40; i++)
		cell_empty(&cell[i * 50]);
	node_drain_lists(&test_node);
	expect_lt(t, normal->nr_free, normal->mark[MARK_MIN]);
	expect_true(t, node_alloc(&test_node, GFP_USER, 4) == NULL);
	expect_eq(t, normal->events.nr_moved, 0);
	page = node_alloc(&test_node, GFP_USER | GFP_NOFAIL, 4);
	assert_true(t, page != NULL);
	node_free(&test_node, page, 4);
	empty_all(t);
}

/* ---- Several threads that all want a large block: each waits for its turn. */

static void
want_large(void *arg)
{
	*(struct page **)arg = node_alloc(&test_node, GFP_USER, 9);
}

KTEST(zone_compaction, compaction_in_turn, .budget_ms = 20000)
{
	static struct page *large[4];
	struct thread *thread[ARRAY_SIZE(large)];

	make_sparse(t, 8);
	let_all_move();
	sched_fuzz_ticks(3000, 50000, t->seed);
	for (unsigned i = 0; i < ARRAY_SIZE(large); i++) {
		thread[i] = thread_create("large", want_large, &large[i], CPU_ANY);
		assert_true(t, thread[i] != NULL);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(large); i++) {
		thread_join(thread[i]);
		expect_true(t, large[i] != NULL);
		if (large[i])
			node_free(&test_node, large[i], 9);
	}
	sched_fuzz_ticks(0, 0, 0);
	empty_all(t);
}

/* ---- Many threads --------------------------------------------------------------------------- */

#define NR_OWNERS      4
#define CELLS_EACH     200 /* of 3.75 frames on average, half of them full: 1,500 frames */
#define COMPACT_ROUNDS 100
#define NR_MOVES       50
#define MAX_TRIES      20000

struct owner {
	struct prng prng;
	struct cell *cells;
};

static unsigned nr_compacting; /* atomic: threads that still do */

static bool
is_time(void)
{
	return __atomic_load_n(&nr_compacting, __ATOMIC_ACQUIRE) > 0;
}

/* Fill, look at and empty cells of one's own, in any order. */
static void
own(void *arg)
{
	struct owner *self = arg;

	while (is_time()) {
		struct cell *at = &self->cells[prng_below(&self->prng, CELLS_EACH)];
		uint64_t mark = prng_next(&self->prng);

		if (!at->page)
			cell_fill(at, GFP_USER | GFP_NOWAIT, mark % 4, mark);
		else
			cell_empty(at);
	}
	for (unsigned i = 0; i < CELLS_EACH; i++) {
		if (self->cells[i].page)
			cell_empty(&self->cells[i]);
	}
}

static unsigned nr_large; /* atomic: blocks that compacting threads got */

static void
compact_often(void *arg)
{
	(void)arg;
	while (__atomic_load_n(&normal->nr_free, __ATOMIC_RELAXED) > MAX_ORDER_FRAMES * 5 / 8)
		thread_yield(); /* the owners have just begun */
	for (unsigned i = 0; i < COMPACT_ROUNDS || (nr_moves < NR_MOVES && i < MAX_TRIES); i++) {
		unsigned order = 5 + i % 4;
		struct page *page;

		(void)compact_zone(normal, order);
		page = node_alloc(&test_node, GFP_USER, order);
		if (page) {
			memset(page_to_virt(page), 0xee, PAGE_SIZE);
			*last_word(page, order) = 0;
			node_free(&test_node, page, order);
			__atomic_add_fetch(&nr_large, 1, __ATOMIC_RELAXED);
		}
	}
	__atomic_sub_fetch(&nr_compacting, 1, __ATOMIC_RELEASE);
}

static void
drain_often(void *arg)
{
	(void)arg;
	while (is_time()) {
		node_drain_lists(&test_node);
		thread_sleep_ns(100 * NSEC_PER_USEC);
	}
}

/*
 * Owners free blocks while others compact and drain, preempted at seeded places. Nobody's marks
 * are lost, no block has two owners, and in the end all memory is there.
 */
KTEST(zone_compaction, owners_and_compaction_race, .nr_params = 3, .budget_ms = 60000)
{
	static void (*const others[])(void *) = { compact_often, compact_often, drain_often };
	struct thread *thread[NR_OWNERS + ARRAY_SIZE(others)];
	static struct owner owner[NR_OWNERS];

	cells_reset();
	nr_large = 0;
	refuse = t->param == 2 ? 5 : 0;
	node_make(t, &crowded);
	__atomic_store_n(&nr_compacting, 2, __ATOMIC_RELEASE);
	sched_fuzz_ticks(3000, 50000, t->seed);
	for (unsigned i = 0; i < NR_OWNERS + ARRAY_SIZE(others); i++) {
		bool owns = i < NR_OWNERS;

		if (owns) {
			owner[i].cells = &cell[i * CELLS_EACH];
			prng_seed(&owner[i].prng, prng_next(&t->prng));
		}
		thread[i] = thread_create("race", owns ? own : others[i - NR_OWNERS],
					  owns ? &owner[i] : NULL, CPU_ANY);
		assert_true(t, thread[i] != NULL);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(thread); i++)
		thread_join(thread[i]);
	sched_fuzz_ticks(0, 0, 0);
	expect_lt(t, 0, normal->events.nr_moved);
	expect_lt(t, 0, nr_large);
	ktest_note(t, "%lu frames moved, %lu runs made, %lu not, %u large blocks",
		   (unsigned long)normal->events.nr_moved,
		   (unsigned long)normal->events.nr_compacted,
		   (unsigned long)normal->events.nr_compact_failed, nr_large);
	empty_all(t);
}
