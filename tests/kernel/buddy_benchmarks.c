/* SPDX-License-Identifier: MIT */
/* The workload "mixed" on a bare buddy allocator, for kernels without zones. */
#include <allocators.h>
#include <string.h>
#include <test_arena.h>

#include "mixed_workload.h"

static struct buddy node;

static struct page *
node_take(unsigned order)
{
	return buddy_alloc(&node, order);
}

static void
node_give(struct page *page, unsigned order)
{
	buddy_free(&node, page, order);
}

static void
measure_mixed(const char *load, unsigned nr_slots)
{
	size_t bytes = nr_slots * sizeof(struct holding);
	struct page *slots_table;
	struct holding *slot = bench_table(bytes, &slots_table);

	if (!slot)
		return;
	mixed_report_ticks(load, ".dry", mixed_play(slot, nr_slots, true, node_take, node_give));
	memset(slot, 0, bytes);
	mixed_report_ticks(load, "", mixed_play(slot, nr_slots, false, node_take, node_give));

	mixed_report(load, "live.unusable9", buddy_unusable(&node, 9), "permille");
	mixed_report(load, "live.order9_available", mixed_large_blocks(node_take, node_give),
		     "blocks");
	for (unsigned i = 0; i < nr_slots; i++) {
		if (slot[i].page)
			buddy_free(&node, slot[i].page, slot[i].order);
	}
	mixed_report(load, "after_free_all.unusable9", buddy_unusable(&node, 9), "permille");
	bench_table_free(slots_table, bytes);
}

BENCH_SUITE(mixed, "200,000 random requests of all orders at three loads, and fragmentation")
{
	struct frame_range arena = test_arena_frames(NODE_FRAMES);

	if (arena.first == arena.end) {
		kprintf("bench: mixed needs 128 MiB of free memory: start with more (-m 256M)\n");
		return;
	}
	buddy_init(&node, "node", arena.first, arena.end);
	buddy_add_range(&node, arena.end - MANAGED_FRAMES, arena.end);
	measure_mixed("light", 2048);
	measure_mixed("medium", 4096);
	measure_mixed("heavy", 6144);
}
