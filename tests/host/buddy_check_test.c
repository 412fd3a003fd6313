/* SPDX-License-Identifier: MIT */
/*
 * Testing the checker: every single field that describes the state of memory is damaged in
 * turn, and buddy_check() must notice. A checker that finds nothing proves nothing.
 */
#include "buddy_model.h"
#include "host.h"

#include <string.h>

#define FIRST (3 * MAX_ORDER_FRAMES)
#define END   (FIRST + 2 * MAX_ORDER_FRAMES) /* the second block has no memory */
#define PAGES MAX_ORDER_FRAMES

static struct buddy buddy;

/* A hundred frames, some free, some not, with free blocks of several orders. */
static void
set_up(void)
{
	struct arena arena = { .first = FIRST, .nr_blocks = 2, .nr_ranges = 3 };
	struct page *page[24];

	arena.range[0] = (struct frame_range){ FIRST + 37, FIRST + 139 };
	arena.range[1] = (struct frame_range){ FIRST - PAGES, FIRST - 1 }; /* somebody else's */
	arena.range[2] = (struct frame_range){ END, END + 5 };
	arena_back(&arena);
	buddy_init(&buddy, "test", FIRST, END);
	buddy_add_range(&buddy, FIRST + 37, FIRST + 139);
	for (unsigned i = 0; i < ARRAY_SIZE(page); i++)
		page[i] = buddy_alloc(&buddy, i % 3);
	for (unsigned i = 0; i < ARRAY_SIZE(page); i += 2) {
		if (page[i])
			buddy_free(&buddy, page[i], i % 3);
	}
	CHECK_EQ(buddy_check(&buddy), 0);
}

static unsigned errors;

static void
do_check(void *arg)
{
	(void)arg;
	errors = buddy_check(&buddy);
}

/* Run the checker on damaged state; what it prints is in host_output. */
static void
expect_found(const char *what, pfn_t pfn, uint64_t value)
{
	bool returned;

	if (host_failed())
		return;
	errors = 0;
	host_capture_begin();
	returned = host_try(do_check, NULL, 1000);
	host_capture_end();
	if (!returned) {
		host_fail(__FILE__, __LINE__, "%s %#lx := %#lx: the checker died: %s", what, pfn,
			  value, host_message);
		/* It died with the lock held. */
		buddy.lock.serving = buddy.lock.next;
	} else if (errors == 0) {
		host_fail(__FILE__, __LINE__, "%s %#lx := %#lx: not noticed", what, pfn, value);
	} else if (!host_contains(host_output, "check: ")) {
		host_fail(__FILE__, __LINE__, "%s %#lx := %#lx: counted, not printed", what, pfn,
			  value);
	}
}

static void
every_state(void)
{
	static const uint8_t states[] = {
		PAGE_RESERVED, PAGE_TAIL, PAGE_FREE, PAGE_ALLOCATED, 4, 7, 255
	};

	set_up();
	for (pfn_t pfn = FIRST; pfn < FIRST + PAGES; pfn++) {
		struct page *page = pfn_to_page(pfn);
		uint8_t state = page->state;

		for (unsigned i = 0; i < ARRAY_SIZE(states); i++) {
			if (states[i] == state)
				continue;
			page->state = states[i];
			expect_found("state of", pfn, states[i]);
		}
		page->state = state;
	}
	CHECK_EQ(buddy_check(&buddy), 0);
}

static void
every_order(void)
{
	static const uint8_t orders[] = { 0,  1,  2,  3,  4,  5,  6,  7,   8,  9,
					  10, 11, 31, 32, 63, 64, 65, 128, 255 };

	set_up();
	for (pfn_t pfn = FIRST; pfn < FIRST + PAGES; pfn++) {
		struct page *page = pfn_to_page(pfn);
		uint8_t order = page->order;

		if (page->state != PAGE_FREE && page->state != PAGE_ALLOCATED)
			continue;
		for (unsigned i = 0; i < ARRAY_SIZE(orders); i++) {
			if (orders[i] == order)
				continue;
			page->order = orders[i];
			expect_found("order of", pfn, orders[i]);
		}
		page->order = order;
	}
	CHECK_EQ(buddy_check(&buddy), 0);
}

/* Point one link at everything that a stray write may leave there. */
static void
damage_link(struct list_head **link, pfn_t pfn)
{
	struct list_head *const good = *link;
	struct list_head *const wrong[] = {
		NULL,
		(struct list_head *)8,
		(struct list_head *)-8ul,
		(struct list_head *)0xdeadbeefdeadbee8ul,
		(struct list_head *)link, /* itself, or the middle of itself */
		(struct list_head *)((uintptr_t)good + 8),
		&buddy.area[0].list,
		&buddy.area[MAX_ORDER].list,
		&pfn_to_page(FIRST)->link,
		&pfn_to_page(FIRST + 38)->link,
		&pfn_to_page(FIRST - 1)->link,
		&pfn_to_page(END)->link,
		&pfn_to_page(END - 1)->link, /* in the span, but there is no page */
	};

	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
		if (wrong[i] == good)
			continue;
		*link = wrong[i];
		expect_found("link of", pfn, (uintptr_t)wrong[i]);
	}
	*link = good;
}

static void
every_link(void)
{
	set_up();
	for (pfn_t pfn = FIRST; pfn < FIRST + PAGES; pfn++) {
		if (pfn_to_page(pfn)->state != PAGE_FREE)
			continue;
		damage_link(&pfn_to_page(pfn)->link.next, pfn);
		damage_link(&pfn_to_page(pfn)->link.prev, pfn);
	}
	for (unsigned order = 0; order < NR_ORDERS; order++) {
		damage_link(&buddy.area[order].list.next, order);
		damage_link(&buddy.area[order].list.prev, order);
	}
	CHECK_EQ(buddy_check(&buddy), 0);
}

static void
damage_counter(const char *what, size_t *counter)
{
	static const size_t off[] = { 1, -1ul, 7, 1ul << 32 };

	for (unsigned i = 0; i < ARRAY_SIZE(off); i++) {
		*counter += off[i];
		expect_found(what, 0, *counter);
		if (!host_contains(host_output, what))
			host_fail(__FILE__, __LINE__, "expected \"%s\" in \"%s\"", what,
				  host_output);
		*counter -= off[i];
	}
}

static void
every_counter(void)
{
	set_up();
	damage_counter("frames_free", &buddy.frames_free);
	damage_counter("frames_managed", &buddy.frames_managed);
	for (unsigned order = 0; order < NR_ORDERS; order++)
		damage_counter("nr_free", &buddy.area[order].nr_free);
	for (unsigned bit = 0; bit < 32; bit++) {
		buddy.nonempty ^= 1u << bit;
		expect_found("nonempty, bit", bit, buddy.nonempty);
		CHECK_NAMES(host_output, "nonempty");
		buddy.nonempty ^= 1u << bit;
	}
	CHECK_EQ(buddy_check(&buddy), 0);
}

/* ---- Damage that a wrong allocator does, and the word that must name it ------------- */

/* The first free block of at least that order. */
static struct page *
some_free_block(unsigned order)
{
	for (; order < NR_ORDERS; order++) {
		if (!list_empty(&buddy.area[order].list))
			return list_first_entry(&buddy.area[order].list, struct page, link);
	}
	host_fail(__FILE__, __LINE__, "no free block to damage");
	return pfn_to_page(FIRST + 40);
}

static void
lose_block(void)
{
	list_del(&some_free_block(1)->link);
}

static void
list_foreign_frame(void)
{
	struct page *page = some_free_block(1);

	list_add(&pfn_to_page(FIRST)->link, &buddy.area[page->order].list);
}

static void
list_on_wrong_order(void)
{
	struct page *page = some_free_block(1);

	list_del(&page->link);
	list_add(&page->link, &buddy.area[0].list);
}

static void
forget_prev(void)
{
	some_free_block(0)->link.prev = NULL;
}

static void
wild_next(void)
{
	some_free_block(0)->link.next = (struct list_head *)0xdeadbeefdead0000ul;
}

static void
end_list_early(void)
{
	struct page *page = some_free_block(0);

	page->link.next = &buddy.area[page->order].list;
}

/* Split a block, correctly in all but one thing: its halves may not both be free. */
static void
forget_to_merge(void)
{
	struct page *page = some_free_block(1);
	unsigned order = page->order;

	list_del(&page->link);
	if (--buddy.area[order].nr_free == 0)
		buddy.nonempty &= ~(1u << order);
	order--;
	page->order = order;
	page[1ul << order].state = PAGE_FREE;
	page[1ul << order].order = order;
	list_add(&page->link, &buddy.area[order].list);
	list_add(&page[1ul << order].link, &buddy.area[order].list);
	buddy.area[order].nr_free += 2;
	buddy.nonempty |= 1u << order;
}

static void
second_head(void)
{
	some_free_block(1)[1].state = PAGE_ALLOCATED;
}

static void
lost_head(void)
{
	some_free_block(1)->state = PAGE_TAIL;
}

static void
misaligned_block(void)
{
	pfn_to_page(FIRST + 37)->state = PAGE_ALLOCATED;
	pfn_to_page(FIRST + 37)->order = 3;
}

static void
impossible_order(void)
{
	some_free_block(0)->order = 99;
}

/* Its span ends in the middle of a block. */
static void
beyond_the_end(void)
{
	buddy.end = FIRST + 140;
	pfn_to_page(FIRST + 136)->state = PAGE_ALLOCATED;
	pfn_to_page(FIRST + 136)->order = 3;
}

static void
list_allocated_block(void)
{
	some_free_block(0)->state = PAGE_ALLOCATED;
}

/* Frames of other allocators have pages as well. */
static void
list_below_the_span(void)
{
	some_free_block(0)->link.next = &pfn_to_page(FIRST - 1)->link;
}

static void
list_above_the_span(void)
{
	some_free_block(0)->link.next = &pfn_to_page(END)->link;
}

static void
list_inside_a_page(void)
{
	struct page *page = some_free_block(0);

	page->link.next = (struct list_head *)((uintptr_t)page->link.next + 8);
}

static void
many_at_once(void)
{
	for (pfn_t pfn = FIRST; pfn < FIRST + 29; pfn++)
		pfn_to_page(pfn)->state = 99;
}

static void
names(void)
{
	static const struct {
		void (*damage)(void);
		const char *word;
	} cases[] = {
		{ lose_block, "fewer blocks" },
		{ list_foreign_frame, "more blocks" },
		{ list_on_wrong_order, "holds frame" },
		{ forget_prev, "is broken" },
		{ wild_next, "which is no page" },
		{ end_list_early, "does not end" },
		{ forget_to_merge, "both free" },
		{ second_head, "inside the block" },
		{ lost_head, "outside any block" },
		{ misaligned_block, "cannot lie there" },
		{ impossible_order, "heads a block of order 99" },
		{ beyond_the_end, "cannot lie there" },
		{ list_allocated_block, "holds frame" },
		{ list_below_the_span, "which is no page" },
		{ list_above_the_span, "which is no page" },
		{ list_inside_a_page, "which is no page" },
		{ many_at_once, "check: and 21 more" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		set_up();
		cases[i].damage();
		expect_found("named damage", i, 0);
		CHECK_NAMES(host_output, cases[i].word);
		/* All but the missing merge is right, so that must be all that is reported. */
		if (cases[i].damage == forget_to_merge)
			CHECK_EQ(errors, 1);
	}
}

HOST_SUITE(buddy_check, { "every_state", every_state }, { "every_order", every_order },
	   { "every_link", every_link }, { "every_counter", every_counter }, { "names", names });
