/* SPDX-License-Identifier: MIT */
/*
 * Zones when frames are short: who waits and who does not, what threads on several CPUs can take
 * together, and that the CPUs' lists give back what they hold.
 */
#include "zone_node.h"

#include <arch.h>
#include <page_allocator.h>
#include <reclaim.h>
#include <smp.h>
#include <thread.h>

static struct zone *const normal = &test_node.zone[ZONE_NORMAL];

/* ---- Waiting -------------------------------------------------------------------------- */

struct waiter {
	struct page *page; /* atomic */
	gfp_t gfp;
	unsigned order;
	size_t frames; /* 0: a block of that order; else a run */
};

static void
wait_for_block(void *arg)
{
	struct waiter *self = arg;
	struct page *page = self->frames ? node_alloc_exact(&test_node, self->gfp, self->frames)
					 : node_alloc(&test_node, self->gfp, self->order);

	__atomic_store_n(&self->page, page, __ATOMIC_RELEASE);
}

/* Give so many frames back that lie side by side, aligned. Others stay in the pile. */
static void
free_side_by_side(struct ktest *t, struct pile *pile, unsigned order)
{
	struct pile others = { 0 };
	struct page *page = pile_take(pile);
	pfn_t first, nr = 0;

	assert_true(t, page != NULL);
	first = ALIGN_DOWN(page_to_pfn(page), 1ul << order);
	for (; page; page = pile_take(pile)) {
		if (page_to_pfn(page) - first < 1ul << order) {
			node_free(&test_node, page, 0);
			nr++;
		} else {
			pile_add(&others, page);
		}
	}
	assert_eq(t, nr, 1ul << order);
	*pile = others;
}

/*
 * The node is used up to the last frame. A thread asks for more and may not fail: it sleeps
 * until another frees, and gets just that. param 0: a frame, 1: eight, 2: a run of five.
 */
KTEST(zone_pressure, nofail_waits_until_others_free, .nr_params = 3, .budget_ms = 20000)
{
	static struct waiter waiter;
	struct pile pile = { 0 };
	struct thread *thread;

	node_make(t, &one_zone);
	while (normal->nr_free > 0)
		pile_add(&pile, node_alloc(&test_node, GFP_NOFAIL, 0));
	waiter = (struct waiter){ .gfp = GFP_NOFAIL };
	waiter.order = t->param == 1 ? 3 : 0;
	waiter.frames = t->param == 2 ? 5 : 0;
	thread = thread_create("waiter", wait_for_block, &waiter, CPU_ANY);
	assert_true(t, thread != NULL);
	thread_sleep_ns(20 * NSEC_PER_MSEC);
	expect_true(t, __atomic_load_n(&waiter.page, __ATOMIC_ACQUIRE) == NULL);
	free_side_by_side(t, &pile, t->param == 0 ? 0 : 3);
	thread_join(thread);
	assert_true(t, waiter.page != NULL);
	if (waiter.frames)
		node_free_range(&test_node, page_to_pfn(waiter.page),
				page_to_pfn(waiter.page) + waiter.frames);
	else
		node_free(&test_node, waiter.page, waiter.order);
	pile_free(&pile, 0);
	expect_node_whole(t);
}

/* Who may not wait is answered at once, and no thread ran meanwhile to make it so. */
KTEST(zone_pressure, others_do_not_wait, .budget_ms = 20000)
{
	static const gfp_t flags[] = { GFP_NOWAIT, GFP_ATOMIC, GFP_NORETRY, GFP_KERNEL };
	struct pile pile = { 0 };

	node_make(t, &one_zone);
	while (normal->nr_free > 0)
		pile_add(&pile, node_alloc(&test_node, GFP_NOFAIL, 0));
	for (unsigned i = 0; i < ARRAY_SIZE(flags); i++) {
		expect_true(t, node_alloc(&test_node, flags[i], 0) == NULL);
		expect_true(t, node_alloc_exact(&test_node, flags[i], 2) == NULL);
	}
	/* Those two, with interrupts off, as in a handler. */
	for (unsigned i = 0; i < 2; i++) {
		irqflags_t irq = arch_irq_save();
		struct page *page = node_alloc(&test_node, flags[i], 0);

		arch_irq_restore(irq);
		expect_true(t, page == NULL);
	}
	expect_eq(t, normal->events.nr_failed, 2 * ARRAY_SIZE(flags) + 2);
	pile_free(&pile, 0);
	expect_node_whole(t);
}

/* ---- Reclaim ---------------------------------------------------------------------------- */

static struct pile reclaimable;
static unsigned reclaim_calls;
static bool reclaim_allowed;

static size_t
give_some_back(size_t nr_frames, gfp_t gfp)
{
	size_t nr = 0;

	(void)gfp;
	if (!reclaim_allowed)
		return 0;
	reclaim_calls++;
	for (; nr < nr_frames && reclaimable.nr > 0; nr++)
		node_free(&test_node, pile_take(&reclaimable), 0);
	return nr;
}

static struct reclaimer test_reclaimer = {
	.name = "test",
	.reclaim = give_some_back,
	.rank = RECLAIM_PAGES,
};

/* Who may wait gets what a reclaimer gives back; NORETRY asks once; who may not, never. */
KTEST(zone_pressure, reclaim_is_asked, .budget_ms = 20000)
{
	struct pile pile = { 0 };
	size_t calls;
	struct page *page;

	if (!test_reclaimer.link.next)
		reclaim_register(&test_reclaimer);
	node_make(t, &one_zone);
	reclaimable = (struct pile){ 0 };
	reclaim_calls = 0;
	pile_fill(&reclaimable, GFP_NOWAIT, 0);
	reclaim_allowed = true;
	expect_true(t, node_alloc(&test_node, GFP_NOWAIT, 0) == NULL);
	while ((page = node_alloc(&test_node, GFP_ATOMIC, 0)) != NULL)
		pile_add(&pile, page);
	expect_eq(t, reclaim_calls, 0);

	/* Once, for the one frame that is asked for: it lies in this CPU's list then. */
	page = node_alloc(&test_node, GFP_NORETRY, 0);
	assert_true(t, page != NULL);
	pile_add(&pile, page);
	expect_eq(t, reclaim_calls, 1);
	calls = reclaim_calls;
	pile_free(&pile, 0);
	for (unsigned i = 0; i < 50; i++) {
		page = node_alloc(&test_node, GFP_KERNEL, 0);
		assert_true(t, page != NULL);
		pile_add(&pile, page);
	}
	expect_lt(t, calls, reclaim_calls);
	reclaim_allowed = false;
	pile_free(&pile, 0);
	pile_free(&reclaimable, 0);
	expect_node_whole(t);
}

/* While one thread reclaims another that is short waits for its turn, and is not refused. */
static size_t
give_back_slowly(size_t nr_frames, gfp_t gfp)
{
	size_t nr = give_some_back(nr_frames, gfp);

	if (nr > 0)
		thread_sleep_ns(NSEC_PER_MSEC);
	return nr;
}

KTEST(zone_pressure, reclaim_in_turn, .budget_ms = 20000)
{
	static struct waiter waiter[4];
	struct thread *thread[ARRAY_SIZE(waiter)];

	if (!test_reclaimer.link.next)
		reclaim_register(&test_reclaimer);
	node_make(t, &one_zone);
	reclaimable = (struct pile){ 0 };
	pile_fill(&reclaimable, GFP_NOWAIT, 0);
	test_reclaimer.reclaim = give_back_slowly;
	reclaim_allowed = true;
	for (unsigned i = 0; i < ARRAY_SIZE(waiter); i++) {
		waiter[i] = (struct waiter){ .gfp = GFP_KERNEL };
		thread[i] = thread_create("short", wait_for_block, &waiter[i], CPU_ANY);
		assert_true(t, thread[i] != NULL);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(waiter); i++) {
		thread_join(thread[i]);
		expect_true(t, waiter[i].page != NULL);
		if (waiter[i].page)
			node_free(&test_node, waiter[i].page, 0);
	}
	reclaim_allowed = false;
	test_reclaimer.reclaim = give_some_back;
	pile_free(&reclaimable, 0);
	expect_node_whole(t);
}

/* ---- Marks, with several threads ------------------------------------------------------------ */

#define NR_GRABBERS 6

struct grabber {
	gfp_t gfp;
	unsigned order;
	struct pile pile;
};

static void
grab_all(void *arg)
{
	struct grabber *self = arg;

	pile_fill(&self->pile, self->gfp, self->order);
}

static size_t
grabbed_frames(const struct grabber *grabber)
{
	return grabber->pile.nr << grabber->order;
}

/*
 * Several threads take all they can get. Without GFP_ATOMIC the zone ends at its mark min or
 * above, with it at the atomic reserve: to the frame, for nobody's turn comes between the
 * look at the mark and the taking. Every frame is with one of them, in a list or free.
 */
KTEST(zone_pressure, marks_hold_against_many, .nr_params = 4, .budget_ms = 20000)
{
	static struct grabber grabber[NR_GRABBERS];
	struct thread *thread[NR_GRABBERS];
	bool atomic = t->param % 2;
	size_t taken = 0, mark;

	node_make(t, &one_zone);
	mark = normal->mark[MARK_MIN] / (atomic ? 2 : 1);
	sched_fuzz_ticks(3000, 50000, t->seed);
	for (unsigned i = 0; i < NR_GRABBERS; i++) {
		grabber[i] = (struct grabber){ .order = t->param < 2 ? 0 : i % 5 };
		grabber[i].gfp = (i % 3 == 0 && atomic) ? GFP_ATOMIC
				 : i % 2		? GFP_NOWAIT | GFP_MOVABLE
							: GFP_NOWAIT;
		thread[i] = thread_create("grab", grab_all, &grabber[i], CPU_ANY);
		assert_true(t, thread[i] != NULL);
	}
	for (unsigned i = 0; i < NR_GRABBERS; i++) {
		thread_join(thread[i]);
		taken += grabbed_frames(&grabber[i]);
	}
	sched_fuzz_ticks(0, 0, 0);
	expect_le(t, mark, normal->nr_free);
	expect_eq(t, taken + node_cached() + normal->nr_free, ARENA_FRAMES);
	expect_eq(t, node_check(&test_node), 0);
	/* What the lists hold is all that one who drains them can still get. */
	if (t->param < 2) {
		size_t above = node_cached() + normal->nr_free - normal->mark[MARK_MIN];
		struct pile rest = { 0 };

		if (node_cached() + normal->nr_free >= normal->mark[MARK_MIN])
			expect_eq(t, pile_fill(&rest, GFP_KERNEL, 0), above);
		pile_free(&rest, 0);
	}
	for (unsigned i = 0; i < NR_GRABBERS; i++)
		pile_free(&grabber[i].pile, grabber[i].order);
	expect_node_whole(t);
}

/* ---- Lists ----------------------------------------------------------------------------------- */

/* On CPU 1: let its lists hold frames. */
static void
fill_lists(void *arg)
{
	struct pile pile = { 0 };

	(void)arg;
	for (unsigned i = 0; i < 20; i++)
		pile_add(&pile, node_alloc(&test_node, GFP_KERNEL, 1));
	pile_free(&pile, 1);
}

static void
run_on(struct ktest *t, int cpu, void (*fn)(void *))
{
	struct thread *thread = thread_create("list", fn, NULL, cpu);

	assert_true(t, thread != NULL);
	thread_join(thread);
}

KTEST(zone_pressure, lists_drain_on_request, .min_cpus = 2)
{
	node_make(t, &one_zone);
	run_on(t, 1, fill_lists);
	expect_lt(t, 0, node_cached());
	expect_eq(t, node_cached() + normal->nr_free, ARENA_FRAMES);
	node_drain_lists(&test_node);
	expect_eq(t, node_cached(), 0);
	expect_node_whole(t);
}

/* What lies in another CPU's list is out of reach for who may not wait, and only for them. */
KTEST(zone_pressure, lists_drain_under_pressure, .min_cpus = 2, .budget_ms = 20000)
{
	struct pile pile = { 0 };
	size_t cached;

	node_make(t, &one_zone);
	run_on(t, 1, fill_lists);
	/* A thread here might have been moved to CPU 1, so this one takes single frames. */
	pile_fill(&pile, GFP_NOWAIT, 0);
	cached = node_cached();
	expect_lt(t, 0, cached);
	expect_eq(t, pile_fill(&pile, GFP_KERNEL, 0), cached);
	expect_eq(t, node_cached(), 0);
	pile_free(&pile, 0);
	expect_node_whole(t);
}

/* However the lists were filled, none is ever longer than its limit. */
static void
expect_lists_within_limits(struct ktest *t)
{
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++) {
		for (unsigned i = 0; i < NR_GROUPS * CPU_LIST_ORDERS; i++) {
			const struct cpu_list *list =
			    &test_node.cpu[cpu].list[i / CPU_LIST_ORDERS][i % CPU_LIST_ORDERS];

			expect_true(t, 0 <= list->room && list->room <= list->limit);
		}
	}
}

/* No page block is free, so requests of one mobility borrow from another's page blocks. */
KTEST(zone_pressure, borrowing_fills_no_list, .nr_params = CPU_LIST_ORDERS, .budget_ms = 20000)
{
	struct pile movable = { 0 }, kept = { 0 }, borrowed = { 0 };
	struct page *page;

	node_make(t, &one_zone);
	pile_fill(&movable, GFP_NOWAIT | GFP_MOVABLE, 3);
	/* Every other block is free again, and every page block is in use. */
	while ((page = pile_take(&movable)) != NULL) {
		pile_add(&kept, page);
		page = pile_take(&movable);
		if (page)
			node_free(&test_node, page, 3);
	}
	for (unsigned i = 0; i < 300; i++) {
		page = node_alloc(&test_node, GFP_NOWAIT, t->param);
		assert_true(t, page != NULL);
		pile_add(&borrowed, page);
		expect_lists_within_limits(t);
		if (i % 15 == 0)
			expect_eq(t, node_check(&test_node), 0);
	}
	expect_lt(t, 0, normal->events.nr_borrowed);
	pile_free(&borrowed, t->param);
	expect_lists_within_limits(t);
	pile_free(&kept, 3);
	expect_node_whole(t);
}
