/* SPDX-License-Identifier: MIT */
/*
 * Making zones: which frames are in which, and how many each keeps free.
 *
 *	first     dma_end            normal_end       end - movable      end
 *	  |  DMA     |      Normal       |      High       |   Movable    |
 *
 * Any of them may be empty. Boundaries are multiples of a page block, so that no block of the
 * buddy allocator could ever cross one. Movable is cut from the top, out of High first.
 *
 * Memory comes in ranges, at any time; page blocks begin as MOVABLE, since from there any group
 * can take them whole.
 *
 * LOCKING. node_init() is alone; the others take each zone's lock.
 */
#include <string.h>
#include <zone.h>

static const char *const zone_names[NR_ZONES] = {
	[ZONE_DMA] = "DMA",
	[ZONE_NORMAL] = "Normal",
	[ZONE_HIGH] = "High",
	[ZONE_MOVABLE] = "Movable",
};

static const char *const group_names[NR_ZONES][NR_MOBILITIES] = {
	[ZONE_DMA] = { "DMA, unmovable", "DMA, reclaimable", "DMA, movable" },
	[ZONE_NORMAL] = { "Normal, unmovable", "Normal, reclaimable", "Normal, movable" },
	[ZONE_HIGH] = { "High, unmovable", "High, reclaimable", "High, movable" },
	[ZONE_MOVABLE] = { "Movable, unmovable", "Movable, reclaimable", "Movable, movable" },
};

static void
group_init(struct zone *zone, enum mobility mobility)
{
	struct page_group *group = &zone->group[mobility];

	buddy_init(&group->buddy, group_names[zone->type][mobility], zone->first, zone->end);
	group->buddy.block_owner = zone->block_mobility;
	group->buddy.owner = mobility;
}

static void
zone_init(struct zone *zone, struct node *node, zone_type_t type, pfn_t first, pfn_t end)
{
	ASSERT(IS_ALIGNED(first | end, MAX_ORDER_FRAMES));
	ASSERT_LE(first, end);

	spin_init(&zone->lock, zone_names[type], RANK_ZONE);
	zone->node = node;
	zone->type = type;
	zone->name = zone_names[type];
	zone->first = first;
	zone->end = end;
}

void
node_init(struct node *node, const struct zone_limits *limits, uint8_t *block_mobility)
{
	pfn_t movable = limits->end - limits->movable;
	pfn_t border[NR_ZONES + 1] = {
		limits->first,
		MIN(limits->dma_end, movable),
		MIN(limits->normal_end, movable),
		movable,
		limits->end,
	};

	ASSERT_LE(limits->movable, limits->end - limits->first);
	memset(node, 0, sizeof(*node));
	memset(block_mobility, MOVABLE, (limits->end - limits->first) >> PAGE_BLOCK_ORDER);
	for (unsigned type = 0; type < NR_ZONES; type++) {
		struct zone *zone = &node->zone[type];

		zone_init(zone, node, type, border[type], border[type + 1]);
		zone->block_mobility =
		    block_mobility + ((zone->first - limits->first) >> PAGE_BLOCK_ORDER);
		for (unsigned mobility = 0; mobility < NR_MOBILITIES; mobility++)
			group_init(zone, mobility);
		zone->group[MOVABLE].nr_blocks = (zone->end - zone->first) >> PAGE_BLOCK_ORDER;
	}
	node->min_free = limits->min_free;
}

/* Give frames to a zone, a page block at a time: each lies in the group that has the block. */
static void
zone_add_range(struct zone *zone, pfn_t first, pfn_t end)
{
	while (first < end) {
		pfn_t after = MIN(ALIGN_DOWN(first, MAX_ORDER_FRAMES) + MAX_ORDER_FRAMES, end);
		irqflags_t flags = spin_lock_irqsave(&zone->lock);
		struct page_group *group = zone_group_of(zone, first);
		uint8_t number = (uint8_t)group_number(zone->type, group->buddy.owner);

		for (pfn_t pfn = first; pfn < after; pfn++) {
			pfn_to_page(pfn)->group = number;
		}
		buddy_add_range(&group->buddy, first, after);
		zone->nr_managed += after - first;
		zone_account_locked(zone, -(long)(after - first));
		spin_unlock_irqrestore(&zone->lock, flags);
		first = after;
	}
}

void
node_add_range(struct node *node, pfn_t first, pfn_t end)
{
	for (unsigned type = 0; type < NR_ZONES; type++) {
		struct zone *zone = &node->zone[type];
		pfn_t from = MAX(first, zone->first), to = MIN(end, zone->end);

		if (from < to)
			zone_add_range(zone, from, to);
	}
	node_set_marks(node);
}

/* The integer part of a square root: one bit after the other, from the top. */
static size_t
square_root(size_t n)
{
	size_t root = 0;

	for (size_t bit = 1ul << 31; bit > 0; bit >>= 1) {
		if ((root + bit) * (root + bit) <= n)
			root += bit;
	}
	return root;
}

/*
 * How long the CPUs' lists of a zone may be: a small part of the zone, whatever the number of
 * CPUs, and not more frames than it pays to take at once.
 */
static void
set_list_limits(struct zone *zone)
{
	size_t frames = MIN(MAX(zone->nr_managed / 1024, 8ul), 256ul);

	for (unsigned cpu = 0; cpu < MAX_CPUS; cpu++) {
		struct cpu_list(*lists)[CPU_LIST_ORDERS] =
		    &zone->node->cpu[cpu].list[group_number(zone->type, 0)];

		for (unsigned mobility = 0; mobility < NR_MOBILITIES; mobility++) {
			for (unsigned order = 0; order < CPU_LIST_ORDERS; order++) {
				struct cpu_list *list = &lists[mobility][order];
				int32_t limit = (int32_t)MAX(frames >> order, 1ul);

				list->room += limit - list->limit;
				list->limit = limit;
			}
		}
	}
}

/*
 * What the zones keep free altogether grows with the square root of memory: a larger machine
 * does more at a time, but not in proportion. 16 MiB keep 128 frames, 4 GiB keep 2,048. High
 * and Movable are no refuge in need and keep a little for themselves.
 */
void
node_set_marks(struct node *node)
{
	size_t low = node->zone[ZONE_DMA].nr_managed + node->zone[ZONE_NORMAL].nr_managed;
	size_t min_free = node->min_free ? node->min_free : 2 * square_root(low);

	for (unsigned type = 0; type < NR_ZONES; type++) {
		struct zone *zone = &node->zone[type];
		size_t share = type <= ZONE_NORMAL ? min_free * zone->nr_managed / MAX(low, 1ul)
						   : MIN(zone->nr_managed / 1024, 128ul);
		irqflags_t flags = spin_lock_irqsave(&zone->lock);

		zone_set_marks_locked(zone, share);
		set_list_limits(zone);
		spin_unlock_irqrestore(&zone->lock, flags);
	}
}
