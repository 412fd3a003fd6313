/* SPDX-License-Identifier: MIT */
/*
 * Per-CPU page lists: most requests are for a frame or two, and need not ask the zone.
 *
 * PROBLEM. Every block that a zone gives out costs its lock, a walk down the orders and a walk
 * up again, and all CPUs wait for the same lock.
 *
 * IDEA. Each CPU keeps a stack of free blocks for each small order and each mobility. A request
 * takes the top one, which was used last and may still be in the CPU's cache. An empty stack is
 * refilled by a batch, one that grows too long gives a batch back, so that the zone's lock is
 * taken once for many requests.
 *
 *	alloc --> [ CPU 0: # # # ]  <-- batch --  zone  -- batch -->  [ CPU 1: # # ]  <-- free
 *
 * A block in a list is free for whoever asks on that CPU, but "allocated" for the buddy
 * allocator, so it does not merge. Hence lists are short: a fraction of the zone, see
 * node_set_marks(); and when memory runs short all of them are emptied.
 *
 * INVARIANTS: a block in a list is PAGE_ALLOCATED, of the list's order, and not lent; it is in
 * the list of the mobility of its page block.
 *
 * LOCKING. A list belongs to its CPU: it is touched with interrupts off, on that CPU only, and
 * needs no lock. To empty the lists of others, each CPU is asked to do so itself.
 */
#include <arch.h>
#include <zone.h>

static struct page *
next_of(const struct page *page)
{
	return (struct page *)page->link.next;
}

static void
push(struct cpu_list *list, struct page *page)
{
	page->link.next = (struct list_head *)list->first;
	list->first = page;
	list->nr++;
}

static struct page *
pop(struct cpu_list *list)
{
	struct page *page = list->first;

	list->first = next_of(page);
	list->nr--;
	return page;
}

static struct cpu_list *
list_of(struct zone *zone, unsigned mobility, unsigned order)
{
	return &zone->cpu[cpu_id()].list[mobility][order];
}

struct page *
cpu_list_alloc(struct zone *zone, enum mobility mobility, unsigned order)
{
	irqflags_t flags = arch_irq_save();
	struct cpu_list *list = list_of(zone, mobility, order);
	struct page *page = NULL;

	if (likely(list->nr > 0)) {
		page = pop(list);
		page->lent = (uint8_t)(order + 1);
		list->nr_alloc++;
	}
	arch_irq_restore(flags);
	return page;
}

struct page *
cpu_list_refill(struct zone *zone, struct gfp_route route, unsigned order, size_t mark)
{
	irqflags_t flags = spin_lock_irqsave(&zone->lock);
	struct cpu_list *list = list_of(zone, route.mobility, order);
	unsigned batch = MAX(list->limit / 2, 1u);
	struct page *first = NULL;

	for (unsigned i = 0; i < batch && zone_allows(zone, order, mark, route.zone); i++) {
		struct page *page = zone_take_locked(zone, route.mobility, order);

		if (!page)
			break;
		if (first)
			push(&zone->cpu[cpu_id()].list[page->mobility][order], page);
		else
			first = page;
	}
	if (first) {
		first->lent = (uint8_t)(order + 1);
		list->nr_alloc++;
		zone->cpu[cpu_id()].nr_refills++;
	}
	spin_unlock_irqrestore(&zone->lock, flags);
	return first;
}

/* Give blocks back to the zone until the list holds no more than keep. Interrupts are off. */
static void
drain(struct zone *zone, struct cpu_list *list, unsigned order, unsigned keep)
{
	spin_lock(&zone->lock);
	while (list->nr > keep)
		zone_give_locked(zone, pop(list), order);
	zone->cpu[cpu_id()].nr_drains++;
	spin_unlock(&zone->lock);
}

void
cpu_list_free(struct zone *zone, struct page *page, unsigned order)
{
	irqflags_t flags = arch_irq_save();
	struct cpu_list *list = list_of(zone, page->mobility, order);

	push(list, page);
	list->nr_free++;
	if (unlikely(list->nr > list->limit))
		drain(zone, list, order, list->limit / 2);
	arch_irq_restore(flags);
}

/* On each CPU, with interrupts off. */
static void
drain_cpu(void *arg)
{
	struct node *node = arg;

	for (unsigned z = 0; z < NR_ZONES; z++) {
		struct zone *zone = &node->zone[z];

		for (unsigned mobility = 0; mobility < NR_MOBILITIES; mobility++) {
			for (unsigned order = 0; order < CPU_LIST_ORDERS; order++) {
				struct cpu_list *list = list_of(zone, mobility, order);

				if (list->nr > 0)
					drain(zone, list, order, 0);
			}
		}
	}
}

void
node_drain_lists(struct node *node)
{
	arch_call_cpus(drain_cpu, node);
}
