/* SPDX-License-Identifier: MIT */
/* The model of a buddy allocator: see buddy_model.h. */
#include "buddy_model.h"

#include "host.h"

#include <stdarg.h>
#include <string.h>

static const char *describe(const char *fmt, ...) __format(1, 2);

static const char *
describe(const char *fmt, ...)
{
	static char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return text;
}

void
model_init(struct model *model, pfn_t first, pfn_t end)
{
	memset(model->use, FRAME_RESERVED, end - first);
	model->first = first;
	model->end = end;
	model->nr_held = 0;
	model->nr_managed = 0;
	model->nr_free = 0;
	model->peak = 0;
	model->nr_failed = 0;
}

void
model_set(struct model *model, pfn_t first, pfn_t end, enum frame_use use)
{
	for (pfn_t pfn = first; pfn < end; pfn++) {
		uint8_t *frame = &model->use[pfn - model->first];

		model->nr_free -= *frame == FRAME_FREE;
		model->nr_managed -= *frame != FRAME_RESERVED;
		*frame = use;
		model->nr_free += use == FRAME_FREE;
		model->nr_managed += use != FRAME_RESERVED;
	}
	model->peak = MAX(model->peak, model->nr_managed - model->nr_free);
}

bool
model_all(const struct model *model, pfn_t first, pfn_t end, enum frame_use use)
{
	if (first < model->first || end > model->end)
		return false;
	for (pfn_t pfn = first; pfn < end; pfn++) {
		if (model->use[pfn - model->first] != use)
			return false;
	}
	return true;
}

/* The span begins at a multiple of the largest block, so offsets align as frames do. */
bool
model_has_run(const struct model *model, unsigned order)
{
	size_t size = 1ul << order, span = model->end - model->first;

	for (size_t i = 0; i + size <= span; i += size) {
		if (!__builtin_memchr(model->use + i, FRAME_RESERVED, size) &&
		    !__builtin_memchr(model->use + i, FRAME_USED, size))
			return true;
	}
	return false;
}

/* The order of the largest aligned free run that begins at offset i; -1 for none. */
static int
run_order(const struct model *model, size_t i)
{
	int order = -1;

	for (size_t size = 1; size <= MAX_ORDER_FRAMES && i % size == 0; size *= 2) {
		if (!model_all(model, model->first + i + size / 2, model->first + i + size,
			       FRAME_FREE))
			break;
		order++;
	}
	return order;
}

void
model_count_runs(const struct model *model, size_t count[NR_ORDERS])
{
	memset(count, 0, NR_ORDERS * sizeof(count[0]));
	for (size_t i = 0; i < model->end - model->first;) {
		int order = run_order(model, i);

		if (order >= 0)
			count[order]++;
		i += order >= 0 ? 1ul << order : 1;
	}
}

void
model_hold(struct model *model, pfn_t first, size_t nr, int order, unsigned id)
{
	model->held[model->nr_held++] = (struct holding){ first, nr, order, id };
	model_set(model, first, first + nr, FRAME_USED);
}

/* Every block on the list of an order must be one of the model's runs of that order. */
static const char *
compare_list(const struct model *model, const struct buddy *buddy, unsigned order, size_t expected)
{
	const struct free_area *area = &buddy->area[order];
	const struct list_head *link = area->list.next;
	size_t length = 0;

	for (; link != &area->list; link = link->next) {
		const struct page *page = list_entry(link, struct page, link);
		pfn_t pfn = page_to_pfn(page);

		if (link->next->prev != link)
			return describe("list %u: the links at frame %#lx disagree", order, pfn);
		if (pfn < model->first || pfn >= model->end)
			return describe("list %u holds foreign frame %#lx", order, pfn);
		if (run_order(model, pfn - model->first) != (int)order)
			return describe("list %u holds frame %#lx, not a run of that order", order,
					pfn);
		if (page->state != PAGE_FREE || page->order != order)
			return describe("list %u holds frame %#lx, of state %u and order %u", order,
					pfn, page->state, page->order);
		if (++length > expected)
			break;
	}
	if (length != expected)
		return describe("list %u holds %zu blocks or more, but there are %zu runs", order,
				length, expected);
	if (area->nr_free != expected)
		return describe("nr_free of order %u is %zu, not %zu", order, area->nr_free,
				expected);
	if ((buddy->nonempty >> order & 1) != (expected != 0))
		return describe("nonempty is %#x, but order %u has %zu blocks", buddy->nonempty,
				order, expected);
	return NULL;
}

/* What callers hold must be headed by allocated pages, and reserved frames look reserved. */
static const char *
compare_pages(const struct model *model)
{
	for (unsigned i = 0; i < model->nr_held; i++) {
		const struct holding *held = &model->held[i];
		pfn_t pfn = held->first, end = held->first + held->nr;

		while (pfn < end && pfn_to_page(pfn)->state == PAGE_ALLOCATED &&
		       IS_ALIGNED(pfn, 1ul << pfn_to_page(pfn)->order))
			pfn += 1ul << pfn_to_page(pfn)->order;
		if (pfn != end ||
		    (held->order >= 0 && pfn_to_page(held->first)->order != held->order))
			return describe("[%#lx, %#lx) is held, but its pages say otherwise",
					held->first, end);
	}
	for (pfn_t pfn = model->first; pfn < model->end; pfn++) {
		if (model->use[pfn - model->first] == FRAME_RESERVED && page_frame_present(pfn) &&
		    pfn_to_page(pfn)->state != PAGE_RESERVED)
			return describe("frame %#lx is reserved, but its state is %u", pfn,
					pfn_to_page(pfn)->state);
	}
	return NULL;
}

static const char *
compare_counters(const struct model *model, const struct buddy *buddy)
{
	size_t held = 0;

	if (buddy->frames_free != model->nr_free)
		return describe("frames_free is %zu, not %zu", buddy->frames_free, model->nr_free);
	if (buddy->frames_managed != model->nr_managed)
		return describe("frames_managed is %zu, not %zu", buddy->frames_managed,
				model->nr_managed);
	if (buddy->stats.frames_peak != model->peak)
		return describe("frames_peak is %lu, not %zu", buddy->stats.frames_peak,
				model->peak);
	if (buddy->stats.nr_failed != model->nr_failed)
		return describe("nr_failed is %lu, not %lu", buddy->stats.nr_failed,
				model->nr_failed);
	for (unsigned order = 0; order < NR_ORDERS; order++)
		held += (buddy->stats.nr_alloc[order] - buddy->stats.nr_free[order]) << order;
	if (held != model->nr_managed - model->nr_free)
		return describe("nr_alloc and nr_free say that %zu frames are allocated, not %zu",
				held, model->nr_managed - model->nr_free);
	return NULL;
}

/* What must hold between any two calls: nobody holds the lock, interrupts are on. */
static const char *
compare_lock(const struct buddy *buddy)
{
	if (buddy->lock.serving != buddy->lock.next)
		return "the lock is still held";
	if (!arch_irqs_enabled())
		return "interrupts are still off";
	return NULL;
}

const char *
model_compare(const struct model *model, struct buddy *buddy)
{
	size_t runs[NR_ORDERS];
	const char *wrong;

	if ((wrong = compare_lock(buddy)) || (wrong = compare_counters(model, buddy)) ||
	    (wrong = compare_pages(model)))
		return wrong;
	model_count_runs(model, runs);
	for (unsigned order = 0; order < NR_ORDERS; order++) {
		if ((wrong = compare_list(model, buddy, order, runs[order])))
			return wrong;
	}
	if (buddy_check(buddy) != 0)
		return "buddy_check() contradicts the model, which found nothing wrong";
	return NULL;
}

void
arena_back(const struct arena *arena)
{
	static struct memory_map usable, normal;
	struct memory_map_report report;

	usable.nr = 0;
	for (unsigned i = 0; i < arena->nr_ranges; i++)
		memory_map_add(&usable, arena->range[i].first << PAGE_SHIFT,
			       (arena->range[i].end - arena->range[i].first) << PAGE_SHIFT,
			       MEMORY_USABLE);
	host_memmap_reset();
	if (memory_map_normalise(&usable, &normal, HOST_FRAMES << PAGE_SHIFT, &report) != 0)
		normal.nr = 0;
	page_frame_init(&normal);
}

bool
arena_has_page(const struct arena *arena, pfn_t pfn)
{
	pfn_t block = ALIGN_DOWN(pfn, MAX_ORDER_FRAMES);

	for (unsigned i = 0; i < arena->nr_ranges; i++) {
		if (arena->range[i].first < block + MAX_ORDER_FRAMES && arena->range[i].end > block)
			return true;
	}
	return false;
}
