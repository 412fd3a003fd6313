/* SPDX-License-Identifier: MIT */
/*
 * A node against the truth about it: one byte a frame, who has it, and what callers hold.
 *
 * The model knows no groups, lists or marks. After each call it can still say: that what was
 * given out was free, is memory, and lies in a zone that the flags allow; that every zone has as
 * many frames free as the model; that a request which got nothing could get nothing; that a
 * block still holds what its owner wrote, wherever it was moved; and that a mistake panics and
 * changes nothing.
 *
 * A trace is bytes: a header that lays out the node, then 4 bytes a call. Any bytes are one.
 */
#include "zone_trace.h"

#include "host.h"

#include <arch.h>
#include <errno.h>
#include <page_frame.h>
#include <stdarg.h>
#include <string.h>

#define MAX_HELD    400
#define CHECK_EVERY 64
#define MAX_RANGES  12

void host_cpu_starts(void);
void host_cpu_ends(void);

struct zone_trace_counts zone_trace_counts;

enum owner { NO_MEMORY, FREE, USED };

struct held {
	pfn_t first;
	size_t nr;
	int order; /* -1: a run */
	bool movable;
	uint64_t mark;
};

static struct node node;
static uint8_t block_mobility[TRACE_BLOCKS];
static uint8_t owner[TRACE_FRAMES];
static pfn_t border[NR_ZONES + 1];
static size_t nr_free[NR_ZONES]; /* frames of the zone whose owner is FREE */
static struct held held[MAX_HELD];
static unsigned nr_held, call_number;
static uint64_t next_mark;
static unsigned moves, refuse_every;
static bool mostly_movable; /* then compaction has something to move */
static const char *wrong;

struct bytes {
	const uint8_t *data;
	size_t left;
};

static unsigned
next(struct bytes *bytes)
{
	if (bytes->left == 0)
		return 0;
	bytes->left--;
	return *bytes->data++;
}

/* Note the first thing that is wrong. */
static void __format(1, 2) complain(const char *fmt, ...)
{
	static char text[256];
	char what[200];
	va_list ap;

	if (wrong)
		return;
	va_start(ap, fmt);
	__builtin_vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	__builtin_snprintf(text, sizeof(text), "call %u: %s", call_number, what);
	wrong = text;
}

/* ---- Flags, told anew -------------------------------------------------------------------- */

unsigned
zone_trace_allowed(gfp_t gfp)
{
	if (gfp & GFP_DMA)
		return 1u << ZONE_DMA;
	if (!(gfp & GFP_HIGHMEM))
		return 1u << ZONE_DMA | 1u << ZONE_NORMAL;
	if (!(gfp & GFP_MOVABLE))
		return 1u << ZONE_DMA | 1u << ZONE_NORMAL | 1u << ZONE_HIGH;
	return (1u << NR_ZONES) - 1;
}

static unsigned
preferred_zone(gfp_t gfp)
{
	return 31 - (unsigned)__builtin_clz(zone_trace_allowed(gfp));
}

bool
zone_trace_contradict(gfp_t gfp)
{
	bool nowait = gfp & GFP_NOWAIT, atomic = gfp & GFP_ATOMIC, nofail = gfp & GFP_NOFAIL;
	bool noretry = gfp & GFP_NORETRY, dma = gfp & GFP_DMA, movable = gfp & GFP_MOVABLE;

	if (nowait + atomic + nofail + noretry > 1)
		return true;
	return (dma && (gfp & GFP_HIGHMEM || movable)) || (movable && gfp & GFP_RECLAIMABLE);
}

/* ---- Looking at the node ------------------------------------------------------------------- */

static unsigned
zone_by_address(pfn_t pfn)
{
	unsigned z = 0;

	while (pfn >= border[z + 1])
		z++;
	return z;
}

static size_t
cached_in(unsigned z)
{
	size_t cached = 0;

	for (unsigned cpu = 0; cpu < nr_cpus; cpu++) {
		for (unsigned i = 0; i < NR_MOBILITIES * CPU_LIST_ORDERS; i++) {
			const struct cpu_list *list =
			    &node.cpu[cpu]
				 .list[group_number(z, i / CPU_LIST_ORDERS)][i % CPU_LIST_ORDERS];

			cached += (size_t)(list->limit - list->room) << i % CPU_LIST_ORDERS;
			if (list->room < 0)
				complain("a list of CPU %u holds more than %d blocks", cpu,
					 list->limit);
		}
	}
	return cached;
}

static void
compare(void)
{
	for (unsigned z = 0; z < NR_ZONES; z++) {
		size_t have = node.zone[z].nr_free + cached_in(z);

		if (have != nr_free[z])
			complain("zone %u has %zu frames free, and should have %zu", z, have,
				 nr_free[z]);
	}
	if (call_number % CHECK_EVERY == 0 && node_check(&node) != 0)
		complain("the node contradicts itself");
}

static bool
has_block(const struct zone *zone, unsigned order)
{
	for (unsigned m = 0; m < NR_MOBILITIES; m++) {
		if (zone->group[m].buddy.nonempty >> order)
			return true;
	}
	return false;
}

/* Could a request for so many frames, from a block of that order, be served from any zone? */
static bool
could_be_served(gfp_t gfp, size_t nr, unsigned order, bool to_the_last)
{
	for (unsigned z = 0; z < NR_ZONES; z++) {
		const struct zone *zone = &node.zone[z];
		size_t keep = zone->mark[MARK_MIN] / (gfp & GFP_ATOMIC ? 2 : 1) +
			      zone->reserve[preferred_zone(gfp)];

		if (!(zone_trace_allowed(gfp) & 1u << z))
			continue;
		if (zone->nr_free >= nr + (to_the_last ? 0 : keep) && has_block(zone, order))
			return true;
	}
	return false;
}

/* ---- What callers hold ---------------------------------------------------------------------- */

static uint64_t *
first_word(pfn_t pfn)
{
	return phys_to_virt(pfn << PAGE_SHIFT);
}

static uint64_t *
last_word(pfn_t end)
{
	return (uint64_t *)phys_to_virt(end << PAGE_SHIFT) - 1;
}

static void
set_owner(pfn_t first, size_t nr, enum owner from, enum owner to)
{
	for (pfn_t pfn = first; pfn < first + nr; pfn++) {
		if (owner[pfn] != from)
			complain("frame %#lx is %s", (unsigned long)pfn,
				 owner[pfn] == USED   ? "given out twice"
				 : owner[pfn] == FREE ? "free already"
						      : "no memory");
		owner[pfn] = to;
	}
	for (pfn_t pfn = first; pfn < first + nr; pfn++) {
		nr_free[zone_by_address(pfn)] += to == FREE;
		nr_free[zone_by_address(pfn)] -= from == FREE;
	}
}

static int
move_held(struct page *from, struct page *to, unsigned order)
{
	struct held *one = (struct held *)from->link.next;

	if (page_to_pfn(from) != one->first || (int)order != one->order)
		complain("the mover is asked for block %#lx of order %u, and %#lx is held",
			 (unsigned long)page_to_pfn(from), order, (unsigned long)one->first);
	if (refuse_every && ++moves % refuse_every == 0)
		return -EBUSY;
	set_owner(page_to_pfn(to), 1ul << order, FREE, USED);
	set_owner(page_to_pfn(from), 1ul << order, USED, FREE);
	memcpy(page_to_virt(to), page_to_virt(from), PAGE_SIZE << order);
	memset(page_to_virt(from), 0x5a, PAGE_SIZE << order);
	to->link.next = from->link.next;
	one->first = page_to_pfn(to);
	zone_trace_counts.moved++;
	return 0;
}

static const struct page_mover mover = { .move = move_held };

static void
hold(struct page *page, size_t nr, int order, gfp_t gfp, bool may_move)
{
	struct held *one = &held[nr_held++];
	pfn_t first = page_to_pfn(page);

	*one = (struct held){ .first = first, .nr = nr, .order = order, .mark = ++next_mark };
	if (order >= 0 && !IS_ALIGNED(first, 1ul << order))
		complain("block %#lx of order %d is not aligned", (unsigned long)first, order);
	set_owner(first, nr, FREE, USED);
	if (!(zone_trace_allowed(gfp) & 1u << zone_by_address(first)))
		complain("flags %#x got frame %#lx, in zone %u", gfp, (unsigned long)first,
			 zone_by_address(first));
	*first_word(first) = *last_word(first + nr) = one->mark;
	if (order < 0 || !(gfp & GFP_MOVABLE) || !may_move)
		return;
	/* The holder may change its place in the table: see drop(). */
	one->movable = true;
	page->link.next = (struct list_head *)one;
	page_set_mover(page, &mover);
}

static void
drop(unsigned i)
{
	struct held one = held[i];
	pfn_t part = one.nr;

	if (*first_word(one.first) != one.mark || *last_word(one.first + one.nr) != one.mark)
		complain("block %#lx does not hold what was written", (unsigned long)one.first);
	if (one.movable && !page_clear_mover(pfn_to_page(one.first)))
		complain("block %#lx is being moved by nobody", (unsigned long)one.first);
	set_owner(one.first, one.nr, USED, FREE);
	held[i] = held[--nr_held];
	if (held[i].movable && i < nr_held)
		pfn_to_page(held[i].first)->link.next = (struct list_head *)&held[i];
	if (wrong)
		return;
	if (one.order >= 0) {
		node_free(&node, pfn_to_page(one.first), (unsigned)one.order);
		return;
	}
	/* In two parts, if a page block ends inside. */
	if (ALIGN_UP(one.first + 1, MAX_ORDER_FRAMES) < one.first + one.nr)
		part = ALIGN_UP(one.first + 1, MAX_ORDER_FRAMES) - one.first;
	node_free_range(&node, one.first + part, one.first + one.nr);
	node_free_range(&node, one.first, one.first + part);
}

/* ---- Calls ----------------------------------------------------------------------------------- */

/* Flags out of a byte, never contradictory; not GFP_NOFAIL. */
static gfp_t
flags_from(unsigned byte)
{
	static const gfp_t where[] = { 0,	    GFP_DMA,
				       GFP_HIGHMEM, GFP_MOVABLE,
				       GFP_USER,    GFP_RECLAIMABLE,
				       GFP_USER,    GFP_HIGHMEM | GFP_RECLAIMABLE };
	static const gfp_t how[] = { GFP_NOWAIT, GFP_ATOMIC, GFP_KERNEL, GFP_NORETRY };

	gfp_t gfp = how[byte / 8 % 4] | (byte & 128 ? GFP_ZERO : 0);

	return gfp | (mostly_movable && byte % 8 ? GFP_USER : where[byte % 8]);
}

/* Note an answer; a request that got nothing must have been hopeless. */
static void
take_answer(struct page *page, gfp_t gfp, size_t nr, int order, bool injected, bool may_move)
{
	unsigned block = order >= 0 ? (unsigned)order
			 : nr == 1  ? 0
				    : 64 - (unsigned)__builtin_clzl(nr - 1);

	if (page) {
		zone_trace_counts.served++;
		hold(page, nr, order, gfp, may_move);
		return;
	}
	zone_trace_counts.refused++;
	if (gfp & GFP_NOFAIL)
		complain("GFP_NOFAIL got nothing");
	else if (!injected && could_be_served(gfp, nr, block, false))
		complain("flags %#x got no %zu frames, although there are some", gfp, nr);
}

/* exact: a run of so many frames, else a block. */
static void
request(unsigned kind, unsigned size, bool exact, bool may_move)
{
	size_t nr = exact ? 1 + size * 4 % 1024 : 1ul << (size < 200 ? size % 5 : size % NR_ORDERS);
	int order = exact ? -1 : __builtin_ctzl(nr);
	unsigned block = nr == 1 ? 0 : 64 - (unsigned)__builtin_clzl(nr - 1);
	uint64_t injected = node.faults.nr_injected;
	gfp_t gfp = flags_from(kind);
	struct page *page;

	if (nr_held == MAX_HELD)
		return;
	/* It would wait for ever if there were none. */
	if (!(gfp & (GFP_NOWAIT | GFP_ATOMIC | GFP_NORETRY)) && kind & 64 &&
	    could_be_served(gfp, nr, block, true))
		gfp |= GFP_NOFAIL;
	page = exact ? node_alloc_exact(&node, gfp, nr) : node_alloc(&node, gfp, (unsigned)order);
	take_answer(page, gfp, nr, order, node.faults.nr_injected != injected, may_move);
}

/* A given range: it can be had if and only if all of it is memory, free, and in no list. */
static void
request_range(unsigned place, unsigned size)
{
	pfn_t span = border[NR_ZONES] - border[0];
	pfn_t first = border[0] + place * span / 256, end = first + 1 + size * size / 32;
	bool possible = true;
	int error;

	if (nr_held == MAX_HELD)
		return;
	node_drain_lists(&node);
	for (pfn_t pfn = first; pfn < end && possible; pfn++)
		possible = pfn < border[NR_ZONES] && owner[pfn] == FREE;
	error = node_alloc_range(&node, first, end);
	if ((error == 0) != possible)
		complain("range [%#lx, %#lx): %d", (unsigned long)first, (unsigned long)end, error);
	else if (!error)
		hold(pfn_to_page(first), end - first, -1, GFP_USER, false);
}

static pfn_t bad_pfn;
static unsigned bad_order;

static void
free_badly(void *arg)
{
	(void)arg;
	node_free(&node, pfn_to_page(bad_pfn), bad_order);
}

/* Free what cannot be freed so. */
static void
misuse(unsigned place, unsigned order)
{
	bad_pfn = border[0] + place * (border[NR_ZONES] - border[0]) / 256;
	bad_order = order % (NR_ORDERS + 2);
	for (unsigned i = 0; i < nr_held; i++) {
		if (held[i].first == bad_pfn && held[i].order == (int)bad_order)
			return; /* that would be right */
	}
	zone_trace_counts.misused++;
	if (host_try(free_badly, NULL, 2000))
		complain("frame %#lx, order %u was freed", (unsigned long)bad_pfn, bad_order);
	else if (__builtin_strncmp(host_message, "zone: ", 6) != 0)
		complain("misuse: %s", host_message);
}

static void
change_cpu(unsigned cpu)
{
	host_cpu_ends();
	host_cpu_id = cpu % nr_cpus;
	host_cpu_starts();
}

/* A block of the smallest order of which none is free, or of any order. */
static void
compact(unsigned z, unsigned order)
{
	struct zone *zone = &node.zone[z % NR_ZONES];

	node_drain_lists(&node);
	order %= 2 * NR_ORDERS;
	if (order >= NR_ORDERS) {
		for (order = 0; order < MAX_ORDER && has_block(zone, order);)
			order++;
	}
	if (zone->nr_managed && compact_zone(zone, order)) {
		zone_trace_counts.compacted++;
		if (!has_block(zone, order))
			complain("compaction made no block of order %u", order);
	}
}

static void
operate(unsigned kind, unsigned a, unsigned b, unsigned c)
{
	switch (kind % 16) {
	case 0 ... 5:
		request(a, b, false, c % 4);
		break;
	case 6 ... 9:
		if (nr_held > 0)
			drop((a << 8 | b) % nr_held);
		break;
	case 10:
		request(a, b, true, false);
		break;
	case 11:
		request_range(a, b);
		break;
	case 12:
		compact(a, b);
		break;
	case 13:
		change_cpu(a);
		break;
	case 14:
		misuse(a, b);
		break;
	default:
		if (a % 4 == 0)
			node_set_faults(&node, b % 16, c);
		else if (a % 4 == 1)
			refuse_every = b % 8;
		else
			node_drain_lists(&node);
	}
}

/* ---- The node -------------------------------------------------------------------------------- */

void
zone_trace_back_pages(void)
{
	static struct memory_map map;

	map.nr = map.nr_dropped = 0;
	memory_map_add(&map, 0, TRACE_FRAMES << PAGE_SHIFT, MEMORY_USABLE);
	host_memmap_reset();
	(void)page_frame_init(&map);
}

/* Zones of some page blocks, and memory in a few pieces with holes between them. */
static void
make_node(struct bytes *bytes)
{
	struct zone_limits limits = { .min_free = next(bytes) };
	size_t movable = next(bytes) % 3;
	pfn_t at;

	mostly_movable = next(bytes) % 2;
	zone_trace_back_pages();
	memset(owner, NO_MEMORY, sizeof(owner));
	memset(nr_free, 0, sizeof(nr_free));
	nr_held = call_number = moves = refuse_every = 0;
	wrong = NULL;
	border[0] = limits.first = next(bytes) % 2 * MAX_ORDER_FRAMES;
	border[1] = limits.dma_end = border[0] + next(bytes) % 3 * MAX_ORDER_FRAMES;
	border[2] = limits.normal_end = border[1] + (1 + next(bytes) % 2) * MAX_ORDER_FRAMES;
	border[3] = border[2] + next(bytes) % 3 * MAX_ORDER_FRAMES;
	border[4] = limits.end = border[3] + movable * MAX_ORDER_FRAMES;
	limits.movable = movable * MAX_ORDER_FRAMES;
	node_init(&node, &limits, block_mobility);
	at = border[0];
	for (unsigned i = 0; i < MAX_RANGES && at < border[4]; i++) {
		pfn_t first = at + (next(bytes) % 4 == 3 ? next(bytes) * 3 : 0);
		pfn_t end = first + 1 + (255 - next(bytes)) * 16;

		if (first >= border[4])
			break;
		end = end < border[4] ? end : border[4];
		node_add_range(&node, first, end);
		set_owner(first, end - first, NO_MEMORY, FREE);
		at = end;
	}
}

/* Everything back: then all memory is free, in as large blocks as it makes. */
static void
end_trace(void)
{
	while (nr_held > 0 && !wrong)
		drop(nr_held - 1);
	if (wrong)
		return;
	node_set_faults(&node, 0, 0);
	node_drain_lists(&node);
	call_number = 0; /* check it all */
	compare();
	for (pfn_t pfn = border[0]; pfn < border[NR_ZONES]; pfn++) {
		if (pfn_to_page(pfn)->use != PAGE_USE_NONE || pfn_to_page(pfn)->lent)
			complain("frame %#lx is still marked", (unsigned long)pfn);
	}
	for (unsigned z = 0; z < NR_ZONES; z++)
		zone_trace_counts.borrowed += node.zone[z].events.nr_borrowed;
}

const char *
zone_trace_run(const uint8_t *data, size_t size)
{
	struct bytes bytes = { data, size };

	make_node(&bytes);
	while (bytes.left >= 4 && !wrong) {
		unsigned kind = next(&bytes), a = next(&bytes), b = next(&bytes), c = next(&bytes);

		call_number++;
		zone_trace_counts.calls++;
		operate(kind, a, b, c);
		compare();
	}
	zone_trace_counts.injected += node.faults.nr_injected;
	end_trace();
	change_cpu(0);
	return wrong;
}
