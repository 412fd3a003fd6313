/* SPDX-License-Identifier: MIT */
/*
 * Zones on the host: every combination of flags, random traces against a model, and every field
 * of the books damaged in turn, which the checker must find.
 */
#include "host.h"
#include "zone_trace.h"

#include <arch.h>
#include <memory_map.h>
#include <page_frame.h>
#include <string.h>

/* ---- Flags -------------------------------------------------------------------------- */

static struct gfp_route route;

static void
find_route(void *arg)
{
	route = gfp_route(*(gfp_t *)arg);
}

/* All of them: those that contradict each other panic and say so, the others have a route. */
static void
every_combination_of_flags(void)
{
	unsigned nr_good = 0;

	for (gfp_t gfp = 0; gfp < 4u << NR_GFP_BITS && !host_failed(); gfp++) {
		bool good = host_try(find_route, &gfp, 1000);

		if (gfp >> NR_GFP_BITS) {
			CHECK(!good);
			CHECK_NAMES(host_message, "zone: unknown flags");
			continue;
		}
		CHECK_EQ(good, !zone_trace_contradict(gfp));
		if (!good) {
			CHECK_NAMES(host_message, "zone: flags contradict each other");
			continue;
		}
		nr_good++;
		CHECK_EQ(route.zone, 31 - __builtin_clz(zone_trace_allowed(gfp)));
		CHECK_EQ(route.mobility, gfp & GFP_MOVABLE	 ? MOVABLE
					 : gfp & GFP_RECLAIMABLE ? RECLAIMABLE
								 : UNMOVABLE);
	}
	/* 5 ways to wait, twice for GFP_ZERO, and 8 where from. */
	CHECK_EQ(nr_good, 5 * 2 * 8);
}

/* ---- Traces ------------------------------------------------------------------------- */

static void
random_traces(void)
{
	static uint8_t data[4 * 1500 + 32];
	struct zone_trace_counts before = zone_trace_counts, *now = &zone_trace_counts;
	struct prng prng;

	prng_seed(&prng, host_seed);
	for (unsigned round = 0; round < 60 && !host_failed(); round++) {
		size_t size = 32 + 4 * (round < 20 ? 30 : 1500);
		const char *wrong;

		for (size_t i = 0; i < size; i++)
			data[i] = (uint8_t)prng_next(&prng);
		wrong = zone_trace_run(data, size);
		if (wrong)
			host_fail(__FILE__, __LINE__, "trace %u: %s", round, wrong);
	}
	host_note("%lu calls, %lu served, %lu refused, %lu moves, %lu misused, %lu compactions, "
		  "%lu borrowed, %lu injected",
		  (unsigned long)now->calls, (unsigned long)now->served,
		  (unsigned long)now->refused, (unsigned long)now->moved,
		  (unsigned long)now->misused, (unsigned long)now->compacted,
		  (unsigned long)now->borrowed, (unsigned long)now->injected);
	CHECK(now->served > before.served + 1000);
	CHECK(now->refused > before.refused + 100);
	CHECK(now->moved > before.moved + 100);
	CHECK(now->misused > before.misused + 100);
	CHECK(now->compacted > before.compacted + 50);
	CHECK(now->borrowed > before.borrowed + 50);
	CHECK(now->injected > before.injected + 50);
}

/* ---- The checker ---------------------------------------------------------------------- */

static struct node node;
static uint8_t block_mobility[4];
static struct page *page[60];

static struct zone *const normal = &node.zone[ZONE_NORMAL];

static bool
is_freed(unsigned i)
{
	return i % 5 == 0;
}

/* A node of two zones with frames [5, end), some in use, some in lists, some free. */
static void
set_up_node(pfn_t end)
{
	struct zone_limits limits = {
		.dma_end = MAX_ORDER_FRAMES,
		.normal_end = 4 * MAX_ORDER_FRAMES,
		.end = 4 * MAX_ORDER_FRAMES,
	};

	node_init(&node, &limits, block_mobility);
	node_add_range(&node, 5, end);
	for (unsigned i = 0; i < ARRAY_SIZE(page); i++)
		page[i] = node_alloc(&node, i < 30 ? GFP_KERNEL : GFP_RECLAIMABLE, i % 6);
	for (unsigned i = 0; i < ARRAY_SIZE(page); i++) {
		if (is_freed(i))
			node_free(&node, page[i], i % 6);
	}
	CHECK_EQ(node_check(&node), 0);
}

static void
set_up(void)
{
	zone_trace_back_pages();
	set_up_node(4 * MAX_ORDER_FRAMES - 3);
}

/* The same without its last two page blocks, of which the first has no pages either. */
static void
set_up_with_hole(void)
{
	static struct memory_map map;

	map.nr = map.nr_dropped = 0;
	memory_map_add(&map, 0, 2 * MAX_ORDER_FRAMES << PAGE_SHIFT, MEMORY_USABLE);
	memory_map_add(&map, 3 * MAX_ORDER_FRAMES << PAGE_SHIFT, MAX_ORDER_FRAMES << PAGE_SHIFT,
		       MEMORY_USABLE);
	host_memmap_reset();
	(void)page_frame_init(&map);
	set_up_node(2 * MAX_ORDER_FRAMES);
}

static unsigned errors;

static void
do_check(void *arg)
{
	(void)arg;
	errors = node_check(&node);
}

/* Run the checker, which must find something and live. */
static void
expect_found(const char *what)
{
	bool returned;

	if (host_failed())
		return;
	errors = 0;
	host_capture_begin();
	returned = host_try(do_check, NULL, 2000);
	host_capture_end();
	if (!returned)
		host_fail(__FILE__, __LINE__, "%s: the checker died: %s", what, host_message);
	else if (errors == 0)
		host_fail(__FILE__, __LINE__, "%s: the checker found nothing", what);
}

/* Change a number to another one, look, and change it back. */
#define DAMAGE(lvalue, value)                                                                      \
	do {                                                                                       \
		__typeof__(lvalue) before_ = (lvalue);                                             \
		(lvalue) = (__typeof__(lvalue))(value);                                            \
		expect_found(#lvalue " = " #value);                                                \
		(lvalue) = before_;                                                                \
		CHECK_EQ(node_check(&node), 0);                                                    \
	} while (0)

static void
damaged_zone(void)
{
	set_up();
	DAMAGE(normal->nr_free, normal->nr_free + 1);
	DAMAGE(normal->nr_free, normal->nr_free - 1);
	DAMAGE(normal->nr_managed, normal->nr_managed + 1);
	for (unsigned b = 0; b < 3; b++) {
		for (unsigned m = 0; m < 5; m++) {
			if (normal->block_mobility[b] == m)
				continue;
			DAMAGE(normal->block_mobility[b], m);
		}
	}
	for (unsigned m = 0; m < NR_MOBILITIES; m++) {
		DAMAGE(normal->group[m].nr_blocks, normal->group[m].nr_blocks + 1);
		DAMAGE(normal->group[m].buddy.frames_free, 7777);
		DAMAGE(normal->group[m].buddy.frames_managed, 7777);
		DAMAGE(normal->group[m].buddy.nonempty, ~normal->group[m].buddy.nonempty);
	}
}

/* What pages say of their group and of being lent. */
static void
damaged_pages(void)
{
	set_up();
	for (unsigned i = 0; i < ARRAY_SIZE(page) && !host_failed(); i++) {
		struct page *tail = page[i] + (1ul << i % 6) - 1;

		DAMAGE(page[i]->group, page[i]->group + 1);
		DAMAGE(page[i]->group, page[i]->group - 1);
		DAMAGE(tail->group, tail->group ^ 2);
		if (tail != page[i])
			DAMAGE(tail->lent, 1);
		DAMAGE(page[i]->lent, lent_mark(i % 6) + 1);
	}
}

/* What is said of damage that more than one check finds. */
static void
named_damage(void)
{
	struct cpu_list *dma, *list = NULL;
	struct page *head;

	set_up();
	for (unsigned order = 0; order < CPU_LIST_ORDERS && !(list && list->first); order++)
		list = &node.cpu[0].list[group_number(ZONE_NORMAL, UNMOVABLE)][order];
	dma = &node.cpu[0].list[group_number(ZONE_DMA, UNMOVABLE)][0];
	CHECK(list->first && !dma->first && node.zone[ZONE_DMA].end == normal->first);
	head = list->first;
	CHECK_FINDS(normal->block_mobility[0], 3, node_check(&node), "page block 0 has mobility 3");
	CHECK_FINDS(list->first, pfn_to_page(normal->first - 1), node_check(&node),
		    "no page of it");
	CHECK_FINDS(list->first, (uintptr_t)head + 8, node_check(&node), "no page of it");
	CHECK_FINDS(head->state, PAGE_FREE, node_check(&node), "does not belong there");
	CHECK_FINDS(head->order, 9, node_check(&node), "does not belong there");
	CHECK_FINDS(head->group, 0, node_check(&node), "does not belong there");
	dma->room = dma->limit - 1;
	CHECK_FINDS(dma->first, pfn_to_page(normal->first), node_check(&node), "no page of it");
	dma->room = dma->limit;
	/* Those of Normal, of which 8 are printed. */
	for (pfn_t pfn = normal->end - 29; pfn < normal->end - 3; pfn++)
		pfn_to_page(pfn)->group++;
	CHECK_FINDS(normal->nr_free, normal->nr_free + 1, node_check(&node), "check: and 19 more");

	set_up_with_hole();
	CHECK_FINDS(list->first, pfn_to_page(normal->first + MAX_ORDER_FRAMES), node_check(&node),
		    "no page of it");
}

static void
damaged_lists(void)
{
	unsigned damaged = 0;

	set_up();
	for (unsigned group = 0; group < NR_GROUPS; group++) {
		for (unsigned order = 0; order < CPU_LIST_ORDERS; order++) {
			struct cpu_list *list = &node.cpu[0].list[group][order];

			if (!list->first || host_failed())
				continue;
			damaged++;
			DAMAGE(list->first, NULL);
			DAMAGE(list->first, list->first + 1);
			DAMAGE(list->first, pfn_to_page(1ul << 40));
			DAMAGE(list->first, (uintptr_t)list->first + 8);
			DAMAGE(list->room, list->room + 1);
			DAMAGE(list->room, list->room - 1);
			DAMAGE(list->first->order, list->first->order + 1);
			DAMAGE(list->first->lent, lent_mark(order));
			DAMAGE(list->first->link.next, (struct list_head *)list->first);
		}
	}
	CHECK(damaged > 2);
}

HOST_SUITE(zone, { "every_combination_of_flags", every_combination_of_flags },
	   { "random_traces", random_traces }, { "damaged_zone", damaged_zone },
	   { "damaged_pages", damaged_pages }, { "damaged_lists", damaged_lists },
	   { "named_damage", named_damage });
