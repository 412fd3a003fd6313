/* SPDX-License-Identifier: MIT */
/*
 * The workload "mixed" on a node of its own, with one zone, and what zones do now and then:
 * empty the CPUs' lists, let a page block change its group, make room for a large block.
 */
#include <arch.h>
#include <string.h>
#include <test_arena.h>
#include <zone.h>

#include "mixed_workload.h"

static struct node node;
static uint8_t block_mobility[NODE_FRAMES >> PAGE_BLOCK_ORDER];

static struct zone *const zone = &node.zone[ZONE_NORMAL];

/* Make the node, its memory free. Returns false, with a message, if there is no arena. */
static bool
make_node(void)
{
	struct frame_range arena = test_arena_frames(NODE_FRAMES);
	struct zone_limits limits = {
		.first = arena.first,
		.dma_end = arena.first,
		.normal_end = arena.end,
		.end = arena.end,
	};

	if (arena.first == arena.end) {
		kprintf("bench: this needs 128 MiB of free memory: start with more (-m 256M)\n");
		return false;
	}
	node_init(&node, &limits, block_mobility);
	node_add_range(&node, arena.end - MANAGED_FRAMES, arena.end);
	return true;
}

static struct page *
take(unsigned order)
{
	return node_alloc(&node, GFP_USER | GFP_NOWAIT, order);
}

/* The same, but try as hard as can be: compaction too. */
static struct page *
take_patiently(unsigned order)
{
	return node_alloc(&node, GFP_USER, order);
}

static void
give(struct page *page, unsigned order)
{
	node_free(&node, page, order);
}

static uint64_t
unusable9(void)
{
	zone_stats_t stats;

	zone_get_stats(zone, &stats);
	return stats.unusable;
}

/* ---- Blocks that can be moved: page->link.next is the holder ----------------------------- */

static int
move_holding(struct page *from, struct page *to, unsigned order)
{
	struct holding *held = (struct holding *)from->link.next;

	memcpy(page_to_virt(to), page_to_virt(from), PAGE_SIZE << order);
	to->link.next = from->link.next;
	held->page = to;
	return 0;
}

static const struct page_mover holding_mover = { .move = move_holding };

static void
allow_moves(struct holding *slot, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		if (!slot[i].page)
			continue;
		slot[i].page->link.next = (struct list_head *)&slot[i];
		page_set_mover(slot[i].page, &holding_mover);
	}
}

/* Nobody compacts any more. */
static void
free_movable(struct holding *slot, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		if (!slot[i].page)
			continue;
		if (!page_clear_mover(slot[i].page))
			panic("bench: a block is being moved by nobody");
		give(slot[i].page, slot[i].order);
		slot[i].page = NULL;
	}
}

/* ---- mixed ---------------------------------------------------------------------------------- */

static void
measure_mixed(const char *load, unsigned nr_slots)
{
	size_t bytes = nr_slots * sizeof(struct holding);
	struct page *slots_table;
	struct holding *slot = bench_table(bytes, &slots_table);
	uint64_t moved;

	if (!slot)
		return;
	mixed_report_ticks(load, ".dry", mixed_play(slot, nr_slots, true, take, give));
	memset(slot, 0, bytes);
	mixed_report_ticks(load, "", mixed_play(slot, nr_slots, false, take, give));

	mixed_report(load, "live.unusable9", unusable9(), "permille");
	mixed_report(load, "live.order9_available", mixed_large_blocks(take, give), "blocks");
	allow_moves(slot, nr_slots);
	moved = zone->events.nr_moved;
	mixed_report(load, "live.order9_compacted", mixed_large_blocks(take_patiently, give),
		     "blocks");
	mixed_report(load, "live.frames_moved", zone->events.nr_moved - moved, "frames");
	free_movable(slot, nr_slots);
	node_drain_lists(&node); /* what they hold is free as well */
	mixed_report(load, "after_free_all.unusable9", unusable9(), "permille");
	bench_table_free(slots_table, bytes);
}

BENCH_SUITE(mixed, "200,000 random requests of all orders at three loads, and fragmentation")
{
	if (!make_node())
		return;
	measure_mixed("light", 2048);
	measure_mixed("medium", 4096);
	measure_mixed("heavy", 6144);
	if (node_check(&node) != 0)
		panic("bench: the zone contradicts itself");
}

/* ---- zones: what happens now and then -------------------------------------------------------- */

static void
measure_drains(void)
{
	uint64_t empty[BENCH_REPS], full[BENCH_REPS];

	for (unsigned rep = 0; rep < BENCH_REPS; rep++) {
		uint64_t before;

		node_drain_lists(&node);
		before = arch_cycles();
		node_drain_lists(&node);
		empty[rep] = arch_cycles() - before;

		give(take(0), 0); /* a batch is in the list now */
		before = arch_cycles();
		node_drain_lists(&node);
		full[rep] = arch_cycles() - before;
	}
	bench_report("zones.drain.empty", empty, BENCH_REPS, 1);
	bench_report("zones.drain.batch", full, BENCH_REPS, 1);
}

/* Page blocks change their group to and fro. */
static void
measure_steals(void)
{
	uint64_t ticks[BENCH_REPS];

	for (unsigned rep = 0; rep < BENCH_REPS; rep++) {
		irqflags_t flags = spin_lock_irqsave(&zone->lock);
		uint64_t before = arch_cycles();
		bool stolen = zone_steal_block_locked(zone, rep % 2 ? MOVABLE : UNMOVABLE);

		ticks[rep] = arch_cycles() - before;
		spin_unlock_irqrestore(&zone->lock, flags);
		if (!stolen)
			panic("bench: no page block is free");
	}
	bench_report("zones.steal", ticks, BENCH_REPS, 1);
}

#define SPARSE 64 /* one frame in so many is used: 8 in a run of order 9 */

/* A run of order 9 in which a few frames are used, in memory where all runs are like that. */
static void
measure_compaction(void)
{
	size_t bytes = NODE_FRAMES * sizeof(struct holding);
	uint64_t ticks[BENCH_REPS], moved = zone->events.nr_moved;
	struct page *slots_table;
	struct holding *slot = bench_table(bytes, &slots_table);
	unsigned nr = 0;

	while (slot && (slot[nr].page = take(0)) != NULL)
		nr++;
	for (unsigned i = 0; i < nr; i++) {
		if (page_to_pfn(slot[i].page) % SPARSE == 0)
			continue;
		give(slot[i].page, 0);
		slot[i].page = NULL;
	}
	node_drain_lists(&node);
	allow_moves(slot, nr);
	for (unsigned rep = 0; slot && rep < BENCH_REPS; rep++) {
		uint64_t before = arch_cycles();
		bool made = compact_zone(zone, 9);

		ticks[rep] = arch_cycles() - before;
		if (!made)
			panic("bench: no run could be emptied");
		(void)!take(9); /* so that the next one is another; the node is not used again */
	}
	bench_report("zones.compact9", ticks, BENCH_REPS, 1);
	bench_value("zones.compact9.moved", (zone->events.nr_moved - moved) / BENCH_REPS, "frames");
	free_movable(slot, nr);
	bench_table_free(slots_table, bytes);
}

BENCH_SUITE(zones, "emptying the CPUs' lists, stealing a page block, compaction")
{
	if (!make_node())
		return;
	measure_drains();
	measure_steals();
	measure_compaction();
}
