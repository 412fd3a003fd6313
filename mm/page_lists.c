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
 * the list of the mobility of its page block. A list never holds more than its limit.
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

/* Put a block on top. Returns whether the list is too long now. */
static inline bool
push(struct cpu_list *list, struct page *page)
{
	page->link.next = (struct list_head *)list->first;
	list->first = page;
	return --list->room < 0;
}

/* Take the top of a list that is not empty. */
static inline struct page *
pop(struct cpu_list *list)
{
	struct page *page = list->first;

	list->first = next_of(page);
	list->room++;
	return page;
}

/* This CPU's list. Interrupts are off. */
static inline struct cpu_list *
list_of(struct node *node, size_t group, size_t order)
{
	return computed(&node->cpu[cpu_index()].list[group][order]);
}

/* ---- Allocation ---------------------------------------------------------------------- */

struct page *
cpu_list_alloc(struct node *node, size_t group, size_t order)
{
	irqflags_t flags = arch_irq_save();
	struct cpu_list *list = list_of(node, group, order);
	struct page *page = list->first;

	if (likely(page != NULL)) {
		pop(list);
		page->lent = (uint8_t)lent_mark((unsigned)order);
		list->nr_alloc++;
	}
	arch_irq_restore(flags);
	return page;
}

/* How many blocks, up to a batch, a zone may give without going below its mark. */
static unsigned
batch_size(const struct zone *zone, struct gfp_route route, unsigned order, size_t mark,
	   unsigned batch)
{
	while (batch > 0 && !zone_allows(zone, 0, mark + ((size_t)batch << order) - 1, route.zone))
		batch /= 2;
	return batch;
}

struct page *
cpu_list_refill(struct zone *zone, struct gfp_route route, unsigned order, size_t mark)
{
	irqflags_t flags = spin_lock_irqsave(&zone->lock);
	struct cpu_list *list =
	    list_of(zone->node, group_number(zone->type, route.mobility), order);
	/* Somebody may have put blocks on the list meanwhile. */
	unsigned batch = (unsigned)MIN(list->limit / 2, list->room) + 1;
	struct page *first = NULL, *page;
	unsigned nr = 1;

	batch = batch_size(zone, route, order, mark, batch);
	if (batch > 0)
		first = zone_take_locked(zone, route.mobility, order);
	if (first) {
		/* For those that nobody has asked for yet, nothing is stolen or borrowed. */
		for (; nr < batch; nr++) {
			page = buddy_alloc(&zone->group[route.mobility].buddy, order);
			if (!page)
				break;
			push(list, page);
		}
		first->lent = (uint8_t)lent_mark(order);
		list->nr_alloc++;
		zone->events.nr_refills++;
		zone_account_locked(zone, (long)nr << order);
	}
	spin_unlock_irqrestore(&zone->lock, flags);
	return first;
}

/* The beginning of a request, which is nearly always all of it. */
__flatten struct page *
node_alloc(struct node *node, gfp_t gfp, unsigned order)
{
	size_t group = 0; /* + 1, as in the table */

	if (likely(gfp < ARRAY_SIZE(node->known_group)))
		group = __atomic_load_n(&node->known_group[gfp], __ATOMIC_RELAXED);
	if (likely(group > 0 && order < CPU_LIST_ORDERS)) {
		struct page *page = cpu_list_alloc(node, group - 1, order);

		if (likely(page != NULL))
			return page;
	}
	return node_alloc_slowly(node, gfp, order);
}

/* ---- Giving back ----------------------------------------------------------------------- */

/*
 * Give blocks of a group's list back until it holds no more than keep. Interrupts are off.
 */
static void
drain(struct node *node, size_t group, unsigned order, struct cpu_list *list, int32_t keep)
{
	struct zone *zone = &node->zone[group / NR_MOBILITIES];
	struct buddy *buddy = &zone->group[group % NR_MOBILITIES].buddy;
	long nr = 0;

	spin_lock(&zone->lock);
	for (; list->limit - list->room > keep; nr++)
		buddy_free(buddy, pop(list), order);
	zone_account_locked(zone, -(nr << order));
	zone->events.nr_drains++;
	spin_unlock(&zone->lock);
}

/* The end of cpu_list_free() when the list has become too long. */
static __attribute__((noinline)) void
drain_half(struct node *node, size_t group, unsigned order, irqflags_t flags)
{
	struct cpu_list *list = list_of(node, group, order);

	drain(node, group, order, list, list->limit / 2);
	arch_irq_restore(flags);
}

void
cpu_list_free(struct node *node, struct page *page, size_t order)
{
	size_t group = page->group;
	irqflags_t flags = arch_irq_save();
	struct cpu_list *list = list_of(node, group, order);

	list->nr_free++;
	if (unlikely(push(list, page))) {
		drain_half(node, group, (unsigned)order, flags);
		return;
	}
	arch_irq_restore(flags);
}

__flatten void
node_free(struct node *node, struct page *page, unsigned order)
{
	if (unlikely(page->lent != order + 1)) {
		node_free_slowly(node, page, order);
		return;
	}
	page->lent = 0;
	cpu_list_free(node, page, order);
}

/* On each CPU, with interrupts off. */
static void
drain_cpu(void *arg)
{
	struct node *node = arg;

	for (unsigned group = 0; group < NR_GROUPS; group++) {
		for (unsigned order = 0; order < CPU_LIST_ORDERS; order++) {
			struct cpu_list *list = list_of(node, group, order);

			if (list->first)
				drain(node, group, order, list, 0);
		}
	}
}

void
node_drain_lists(struct node *node)
{
	arch_call_cpus(drain_cpu, node);
}
