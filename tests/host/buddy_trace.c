/* SPDX-License-Identifier: MIT */
/* Running traces against the model: see buddy_trace.h. */
#include "buddy_trace.h"

#include "host.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

static struct buddy buddy;
static struct model model;
static const struct arena *arena; /* of the trace that runs */
static unsigned next_id;	  /* of the next request: the p17 of the printed calls */
static unsigned ranges_added;
static bool printing;
static char failure[600];

/* Print one call as C, when the trace is being explained. */
static void say(const char *fmt, ...) __format(1, 2);

static void
say(const char *fmt, ...)
{
	va_list ap;

	if (!printing)
		return;
	va_start(ap, fmt);
	printf("#\t");
	vprintf(fmt, ap);
	putchar('\n');
	va_end(ap);
}

/* Note what went wrong. Returns false, so that a step can return it. */
static bool fail(const char *fmt, ...) __format(1, 2);

static bool
fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(failure, sizeof(failure), fmt, ap);
	va_end(ap);
	return false;
}

/* ---- What an owner does with its frames -------------------------------------------- */

static uint64_t
owner_mark(unsigned id, pfn_t pfn)
{
	return (uint64_t)id << 32 ^ pfn ^ 0xa5a5a5a5;
}

/* Use all that the owner may use. A link that is followed leads to a fault. */
static void
scribble(const struct holding *held)
{
	for (pfn_t pfn = held->first; pfn < held->first + held->nr; pfn++) {
		struct page *page = pfn_to_page(pfn);

		page->owner = owner_mark(held->id, pfn);
		page->link.next = page->link.prev = (struct list_head *)8;
	}
}

static bool
marks_intact(const struct holding *held)
{
	for (pfn_t pfn = held->first; pfn < held->first + held->nr; pfn++) {
		if (pfn_to_page(pfn)->owner != owner_mark(held->id, pfn))
			return fail("the owner field of frame %#lx changed while it was held", pfn);
	}
	return true;
}

/* ---- Steps -------------------------------------------------------------------------- */

/* Judge the result of a request that a run of 2^order free frames would have satisfied. */
static bool
judge(const struct page *page, size_t nr, unsigned order, int held_order)
{
	pfn_t pfn;

	if (!page) {
		model.nr_failed++;
		return !model_has_run(&model, order) ||
		       fail("nothing allocated, though %lu aligned frames in a row are free",
			    1ul << order);
	}
	pfn = page_to_pfn(page);
	if (!IS_ALIGNED(pfn, held_order >= 0 ? 1ul << order : 1))
		return fail("frame %#lx is not aligned to order %u", pfn, order);
	if (!model_all(&model, pfn, pfn + nr, FRAME_FREE))
		return fail("[%#lx, %#lx) was given out, but not all of it is free", pfn, pfn + nr);
	model_hold(&model, pfn, nr, held_order, next_id - 1);
	scribble(&model.held[model.nr_held - 1]);
	return true;
}

/* The order of the smallest free block that is large enough; NR_ORDERS when there is none. */
static unsigned
smallest_fit(unsigned order)
{
	while (order < NR_ORDERS && buddy.area[order].nr_free == 0)
		order++;
	return order;
}

static bool
step_alloc(const struct op *op)
{
	unsigned order = op->a % NR_ORDERS, fit = smallest_fit(order);
	uint64_t before = buddy.stats.nr_alloc[order];
	size_t nr_free = fit < NR_ORDERS ? buddy.area[fit].nr_free : 0;
	struct page *page;

	say("struct page *p%u = buddy_alloc(&buddy, %u);", next_id++, order);
	page = buddy_alloc(&buddy, order);
	if (buddy.stats.nr_alloc[order] != before + (page != NULL))
		return fail("nr_alloc[%u] went from %lu to %lu", order, before,
			    buddy.stats.nr_alloc[order]);
	if (page && fit < NR_ORDERS && buddy.area[fit].nr_free != nr_free - 1)
		return fail("a larger block was split, though one of order %u is free", fit);
	return judge(page, 1ul << order, order, (int)order);
}

static bool
step_exact(const struct op *op)
{
	size_t nr = op->a % (MAX_ORDER_FRAMES + 3);
	unsigned order = 0;
	struct page *page;

	while (1ul << order < nr)
		order++;
	say("struct page *p%u = buddy_alloc_exact(&buddy, %zu);", next_id++, nr);
	page = buddy_alloc_exact(&buddy, nr);
	if (nr == 0 || order > MAX_ORDER)
		return !page || fail("%zu frames were allocated, which cannot be", nr);
	return judge(page, nr, order, -1);
}

/*
 * The frames that OP_RANGE and OP_RESERVE mean: they may lie partly outside the span, but
 * those inside must have pages, so the range ends before the first that has none.
 */
static struct frame_range
op_range(const struct op *op)
{
	size_t span = model.end - model.first;
	pfn_t first = model.first + op->a % (span + 8), end = first;

	while (end < first + op->b % (span + 8) && (end >= model.end || arena_has_page(arena, end)))
		end++;
	return (struct frame_range){ first, end };
}

static int
expected_error(struct frame_range range)
{
	if (range.first >= range.end || range.end > model.end)
		return -EINVAL;
	return model_all(&model, range.first, range.end, FRAME_FREE) ? 0 : -EBUSY;
}

static bool
step_range(const struct op *op)
{
	struct frame_range range = op_range(op);
	int expected = expected_error(range), error;

	say("int e%u = buddy_alloc_range(&buddy, %#lx, %#lx);", next_id++, range.first, range.end);
	error = buddy_alloc_range(&buddy, range.first, range.end);
	if (error != expected)
		return fail("buddy_alloc_range() returned %d, not %d", error, expected);
	if (error) {
		model.nr_failed++;
		return true;
	}
	model_hold(&model, range.first, range.end - range.first, -1, next_id - 1);
	scribble(&model.held[model.nr_held - 1]);
	return true;
}

static bool
step_reserve(const struct op *op)
{
	struct frame_range range = op_range(op);
	int expected, error;

	/* Small, or soon nothing would be left to test with. */
	range.end = MIN(range.end, range.first + 40);
	expected = expected_error(range);
	say("int e%u = buddy_reserve_range(&buddy, %#lx, %#lx);", next_id++, range.first,
	    range.end);
	error = buddy_reserve_range(&buddy, range.first, range.end);
	if (error != expected)
		return fail("buddy_reserve_range() returned %d, not %d", error, expected);
	if (!error)
		model_set(&model, range.first, range.end, FRAME_RESERVED);
	return true;
}

static bool
free_holding(unsigned i)
{
	struct holding held = model.held[i];
	uint64_t before;

	model.held[i] = model.held[--model.nr_held];
	if (!marks_intact(&held))
		return false;
	model_set(&model, held.first, held.first + held.nr, FRAME_FREE);
	if (held.order < 0) {
		say("buddy_free_range(&buddy, %#lx, %#lx); /* p%u */", held.first,
		    held.first + held.nr, held.id);
		buddy_free_range(&buddy, held.first, held.first + held.nr);
		return true;
	}
	say("buddy_free(&buddy, p%u, %d); /* frame %#lx */", held.id, held.order, held.first);
	before = buddy.stats.nr_free[held.order];
	buddy_free(&buddy, pfn_to_page(held.first), (unsigned)held.order);
	return buddy.stats.nr_free[held.order] == before + 1 ||
	       fail("nr_free[%d] went from %lu to %lu", held.order, before,
		    buddy.stats.nr_free[held.order]);
}

static bool
step_free(const struct op *op)
{
	return model.nr_held == 0 || free_holding(op->a % model.nr_held);
}

/* Give back the first part of a run, up to where one of its blocks ends. */
static bool
step_free_part(const struct op *op)
{
	struct holding *held;
	pfn_t cut;

	if (model.nr_held == 0)
		return true;
	held = &model.held[op->a % model.nr_held];
	if (held->order >= 0)
		return true;
	cut = held->first;
	for (unsigned i = 0; i <= op->b % 8 && cut < held->first + held->nr; i++)
		cut += 1ul << pfn_to_page(cut)->order;
	if (cut >= held->first + held->nr)
		return true;
	if (!marks_intact(held))
		return false;
	say("buddy_free_range(&buddy, %#lx, %#lx); /* part of p%u */", held->first, cut, held->id);
	model_set(&model, held->first, cut, FRAME_FREE);
	buddy_free_range(&buddy, held->first, cut);
	held->nr -= cut - held->first;
	held->first = cut;
	return true;
}

static bool
step_add(const struct op *op)
{
	struct frame_range range;

	(void)op;
	if (ranges_added == arena->nr_ranges)
		return true;
	range = arena->range[ranges_added++];
	say("buddy_add_range(&buddy, %#lx, %#lx);", range.first, range.end);
	buddy_add_range(&buddy, range.first, range.end);
	model_set(&model, range.first, range.end, FRAME_FREE);
	return true;
}

/* An injected failure must look like a shortage and change nothing. */
static bool
step_fault(const struct op *op)
{
	unsigned order = op->a % NR_ORDERS;
	struct page *page;
	uint64_t injected;

	say("fault_set(&buddy.faults, 2, %u);", op->b);
	say("struct page *p%u = buddy_alloc(&buddy, %u);", next_id++, order);
	say("fault_set(&buddy.faults, 0, 0);");
	fault_set(&buddy.faults, 2, op->b);
	page = buddy_alloc(&buddy, order);
	injected = buddy.faults.nr_injected;
	fault_set(&buddy.faults, 0, 0);
	if (injected > (page == NULL))
		return fail("%lu failures were injected, and frame %#lx given out", injected,
			    page_to_pfn(page));
	if (injected == 0)
		return judge(page, 1ul << order, order, (int)order);
	model.nr_failed++;
	return true;
}

/* ---- Running ------------------------------------------------------------------------ */

static bool (*const steps[NR_OP_KINDS])(const struct op *op) = {
	[OP_ALLOC] = step_alloc, [OP_EXACT] = step_exact,	  [OP_RANGE] = step_range,
	[OP_FREE] = step_free,	 [OP_FREE_PART] = step_free_part, [OP_RESERVE] = step_reserve,
	[OP_ADD] = step_add,	 [OP_FAULT] = step_fault,
};

static bool
compare(void)
{
	const char *wrong = model_compare(&model, &buddy);

	return !wrong || fail("%s", wrong);
}

static bool
start(const struct trace *trace)
{
	arena = &trace->arena;
	arena_back(arena);
	model_init(&model, arena->first, arena->first + arena->nr_blocks * MAX_ORDER_FRAMES);
	next_id = 0;
	ranges_added = 0;
	failure[0] = '\0';

	say("buddy_init(&buddy, \"test\", %#lx, %#lx);", model.first, model.end);
	buddy_init(&buddy, "test", model.first, model.end);
	while (ranges_added < arena->nr_at_start)
		step_add(NULL);
	return compare();
}

static bool
run(const struct trace *trace)
{
	if (!start(trace))
		return false;
	for (unsigned i = 0; i < trace->nr; i++) {
		if (!steps[trace->op[i].kind](&trace->op[i]))
			return false;
		if (i % trace->check_every == 0 && !compare())
			return false;
	}
	if (!compare())
		return false;
	while (model.nr_held > 0) {
		if (!free_holding(model.nr_held - 1))
			return false;
	}
	return compare();
}

const char *
trace_run(const struct trace *trace)
{
	return run(trace) ? NULL : failure;
}

static void
run_for_try(void *trace)
{
	trace_run(trace);
}

#define TRACE_BUDGET_MS	 2000
#define SHRINK_BUDGET_MS 50 /* a trace that hangs is run again and again */

static unsigned budget_ms = TRACE_BUDGET_MS;

const char *
trace_try(const struct trace *trace)
{
	if (!host_try(run_for_try, (void *)trace, budget_ms))
		snprintf(failure, sizeof(failure), "%s", host_message);
	return failure[0] ? failure : NULL;
}

/* ---- Shrinking ------------------------------------------------------------------------ */

/* Does the trace still fail without the ops [from, from + nr)? Keep it so if it does. */
static bool
try_without(struct trace *trace, unsigned from, unsigned nr)
{
	static struct trace shorter;

	shorter = *trace;
	memmove(&shorter.op[from], &shorter.op[from + nr],
		(trace->nr - from - nr) * sizeof(shorter.op[0]));
	shorter.nr -= nr;
	if (!trace_try(&shorter))
		return false;
	*trace = shorter;
	return true;
}

/*
 * Remove runs of operations, long ones first, for as long as what is left fails (Zeller
 * and Hildebrandt, "Simplifying and isolating failure-inducing input", 2002).
 */
void
trace_explain(struct trace *trace)
{
	bool removed = true;

	host_capture_begin();
	budget_ms = SHRINK_BUDGET_MS;
	trace->check_every = 1;
	if (!trace_try(trace))
		host_note("the trace does not fail again when it is checked at every step");
	while (removed) {
		removed = false;
		for (unsigned nr = MAX(trace->nr / 2, 1); nr > 0; nr /= 2) {
			for (unsigned from = 0; from + nr <= trace->nr;) {
				if (try_without(trace, from, nr))
					removed = true;
				else
					from += nr;
			}
		}
	}
	host_capture_end();

	host_note("shortest failing trace found:");
	printing = true;
	trace_try(trace);
	printing = false;
	budget_ms = TRACE_BUDGET_MS;
	host_note("then: %s", failure);
}
