/* SPDX-License-Identifier: MIT */
/*
 * The checker of zones: recompute their books and compare, as memory_validator.c does for
 * buddy allocators, whose checker it runs on every group.
 *
 * A zone's books say which page block is in which group, how many frames it has and how many
 * are free, and what lies in the CPUs' lists. The truth is in the groups' own books (once they
 * have been checked), in the pages of all frames, and in the lists, walked without believing
 * their counts.
 *
 * LOCKING. The zone's lock is held, but lists belong to their CPUs: so nobody else may use the
 * zone meanwhile, and tests that check stop their workers first.
 */
#include <page_frame.h>
#include <printk.h>
#include <zone.h>

#define MAX_PRINTED 8

#define REPORT(errors, ...)                                                                        \
	do {                                                                                       \
		if ((*(errors))++ < MAX_PRINTED)                                                   \
			kprintf("check: " __VA_ARGS__);                                            \
	} while (0)

/* The groups against the zone's sums. */
static void
check_sums(struct zone *zone, unsigned *errors)
{
	size_t blocks[NR_MOBILITIES] = { 0 }, free = 0, managed = 0;

	for (size_t b = 0; b < (zone->end - zone->first) >> PAGE_BLOCK_ORDER; b++) {
		unsigned mobility = zone->block_mobility[b];

		if (mobility < NR_MOBILITIES)
			blocks[mobility]++;
		else
			REPORT(errors, "%s: page block %lu has mobility %u\n", zone->name,
			       (unsigned long)b, mobility);
	}
	for (unsigned mobility = 0; mobility < NR_MOBILITIES; mobility++) {
		struct page_group *group = &zone->group[mobility];

		*errors += buddy_check(&group->buddy);
		free += group->buddy.frames_free;
		managed += group->buddy.frames_managed;
		if (group->nr_blocks != blocks[mobility])
			REPORT(errors, "%s: group %u has %lu page blocks, but %lu are marked so\n",
			       zone->name, mobility, (unsigned long)group->nr_blocks,
			       (unsigned long)blocks[mobility]);
	}
	if (zone->nr_free != free)
		REPORT(errors, "%s: nr_free says %lu, but %lu are free in its groups\n", zone->name,
		       (unsigned long)zone->nr_free, (unsigned long)free);
	if (zone->nr_managed != managed)
		REPORT(errors, "%s: nr_managed says %lu, but its groups have %lu\n", zone->name,
		       (unsigned long)zone->nr_managed, (unsigned long)managed);
}

/* May the page be marked as it is lent? */
static bool
is_lent_head(const struct page *page)
{
	return page->state == PAGE_ALLOCATED &&
	       (page->lent == LENT_RUN || page->lent == lent_mark(page->order));
}

/* What each frame's page says of the zone and the page block that it lies in. */
static void
check_pages(struct zone *zone, unsigned *errors)
{
	struct frame_range part = page_frame_next(zone->first);

	for (; part.first < part.end && part.first < zone->end; part = page_frame_next(part.end)) {
		for (pfn_t pfn = part.first; pfn < MIN(part.end, zone->end); pfn++) {
			const struct page *page = pfn_to_page(pfn);
			size_t block = (pfn - zone->first) >> PAGE_BLOCK_ORDER;

			if (page->state == PAGE_RESERVED)
				continue;
			if (page->group != group_number(zone->type, zone->block_mobility[block]))
				REPORT(errors, "%s: frame %#lx says that it is in group %u\n",
				       zone->name, (unsigned long)pfn, page->group);
			if (page->lent && !is_lent_head(page))
				REPORT(errors, "frame %#lx is lent, but heads no such block\n",
				       (unsigned long)pfn);
		}
	}
}

/* Is this a page of the zone, where a list may lead? */
static bool
is_page_of(const struct zone *zone, const struct page *page)
{
	if (page < pfn_to_page(zone->first) || page >= pfn_to_page(zone->end))
		return false;
	return page_is_whole(page) && page_frame_present(page_to_pfn(page));
}

/* One list of one CPU. */
static void
check_list(const struct zone *zone, const struct cpu_list *list, unsigned group, unsigned order,
	   unsigned *errors)
{
	const struct page *page = list->first;
	int32_t nr = 0, expected = list->limit - list->room;

	for (; nr < expected; nr++, page = (const struct page *)page->link.next) {
		if (!is_page_of(zone, page)) {
			REPORT(errors, "%s: a CPU's list of order %u leads to %p, no page of it\n",
			       zone->name, order, (const void *)page);
			return;
		}
		if (page->state != PAGE_ALLOCATED || page->order != order || page->lent != 0 ||
		    page->group != group)
			REPORT(errors,
			       "%s: a CPU's list of group %u, order %u holds frame %#lx, which "
			       "does not belong there\n",
			       zone->name, group, order, (unsigned long)page_to_pfn(page));
	}
	if (page != NULL)
		REPORT(errors, "%s: a CPU's list of order %u is longer than it says (%d)\n",
		       zone->name, order, expected);
}

static void
check_lists(const struct zone *zone, unsigned *errors)
{
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++) {
		for (unsigned mobility = 0; mobility < NR_MOBILITIES; mobility++) {
			unsigned group = group_number(zone->type, mobility);

			for (unsigned order = 0; order < CPU_LIST_ORDERS; order++)
				check_list(zone, &zone->node->cpu[cpu].list[group][order], group,
					   order, errors);
		}
	}
}

unsigned
zone_check(struct zone *zone)
{
	irqflags_t flags = spin_lock_irqsave(&zone->lock);
	unsigned errors = 0;

	check_sums(zone, &errors);
	check_pages(zone, &errors);
	check_lists(zone, &errors);
	spin_unlock_irqrestore(&zone->lock, flags);
	if (errors > MAX_PRINTED)
		kprintf("check: and %u more\n", errors - MAX_PRINTED);
	return errors;
}

unsigned
node_check(struct node *node)
{
	unsigned errors = 0;

	for (unsigned z = 0; z < NR_ZONES; z++) {
		if (node->zone[z].end > node->zone[z].first)
			errors += zone_check(&node->zone[z]);
	}
	return errors;
}
