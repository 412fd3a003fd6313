/* SPDX-License-Identifier: MIT */
/*
 * Another right solution of lab 2: a list is no stack. A block that comes back goes below the top,
 * so that the one on top is not the one used last. Refills take as much as the list may hold,
 * batches that go back leave a quarter of it, or one.
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
	struct page *top = list->first;

	if (top) {
		page->link.next = top->link.next;
		top->link.next = (struct list_head *)page;
	} else {
		page->link.next = NULL;
		list->first = page;
	}
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
		batch--;
	return batch;
}

struct page *
cpu_list_refill(struct zone *zone, struct gfp_route route, unsigned order, size_t mark)
{
	irqflags_t flags = spin_lock_irqsave(&zone->lock);
	struct cpu_list *list =
	    list_of(zone->node, group_number(zone->type, route.mobility), order);
	/* Somebody may have put blocks on the list meanwhile. */
	unsigned batch = (unsigned)list->room + 1;
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

	drain(node, group, order, list, MAX(list->limit / 4, 1));
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
