/* SPDX-License-Identifier: MIT */
/*
 * Callers' mistakes: each must panic, the message must name the mistake and the frame, and
 * nothing may have changed.
 */
#include "buddy_model.h"
#include "host.h"

#include <string.h>

#define FIRST (7 * MAX_ORDER_FRAMES)	     /* of the span: two largest blocks */
#define END   (FIRST + 2 * MAX_ORDER_FRAMES) /* no frame from here on has a page */

static struct buddy buddy;
static struct page *block3, *block0, *run5, *freed;

/*
 * Memory is [FIRST + 16, END); taken are a block of order 3, one of order 0, a run of five
 * frames (so blocks of order 2 and 0), and a block that was given back again.
 */
static void
set_up(void)
{
	struct arena arena = { .first = FIRST, .nr_blocks = 2, .nr_ranges = 1 };

	arena.range[0] = (struct frame_range){ FIRST + 16, END };
	arena_back(&arena);
	buddy_init(&buddy, "test", FIRST, END);
	buddy_add_range(&buddy, FIRST + 16, END);
	CHECK_EQ(buddy_reserve_range(&buddy, END - 8, END - 4), 0);
	block3 = buddy_alloc(&buddy, 3);
	block0 = buddy_alloc(&buddy, 0);
	run5 = buddy_alloc_exact(&buddy, 5);
	freed = buddy_alloc(&buddy, 4);
	CHECK(block3 && block0 && run5 && freed);
	if (!host_failed())
		buddy_free(&buddy, freed, 4);
}

struct mistake {
	const char *what;
	struct page **page; /* plus offset; NULL: offset is a frame number */
	pfn_t offset;
	unsigned order;
	const char *message;
};

/* Given to buddy_free(page, order). */
static const struct mistake free_mistakes[] = {
	{ "a block given back twice", &freed, 0, 4, "double free" },
	{ "a frame of a free block", &freed, 5, 0, "double free" },
	{ "the last frame of memory, free", NULL, END - 1, 0, "double free" },
	{ "order too small", &block3, 0, 2, "wrong order" },
	{ "order too large", &block3, 0, 4, "wrong order" },
	{ "order beyond the largest", &block3, 0, MAX_ORDER + 1, "wrong order" },
	{ "order 256, which is 0 in a byte", &block0, 0, 256, "wrong order" },
	{ "order -1", &block0, 0, -1u, "wrong order" },
	{ "a run given back as one block", &run5, 0, 3, "wrong order" },
	{ "the second frame of a block", &block3, 1, 3, "tail" },
	{ "the last frame of a block", &block3, 7, 0, "tail" },
	{ "the buddy half of a block", &block3, 4, 2, "tail" },
	{ "a frame never added", NULL, FIRST, 0, "never given out" },
	{ "a frame never added, beside memory", NULL, FIRST + 15, 0, "never given out" },
	{ "a reserved frame", NULL, END - 8, 2, "never given out" },
	{ "the frame below the span", NULL, FIRST - 1, 0, "not this allocator's" },
	{ "the frame behind the span", NULL, END, 0, "not this allocator's" },
	{ "frame 0", NULL, 0, 0, "not this allocator's" },
	{ "a page below memmap", NULL, -1ul, 0, "not this allocator's" },
};

/* Given to buddy_free_range(page, page + order): here order is a number of frames. */
static const struct mistake range_mistakes[] = {
	{ "one frame too many", &run5, 0, 6, "double free" },
	{ "one frame too few", &block3, 0, 7, "wrong order" },
	{ "cut in the middle of a block", &run5, 0, 3, "wrong order" },
	{ "begun in the middle of a block", &run5, 1, 4, "tail" },
	{ "free frames", &freed, 0, 16, "double free" },
	{ "reserved frames", NULL, FIRST, 4, "never given out" },
	{ "frames below the span", NULL, FIRST - 4, 4, "not this allocator's" },
	{ "frames behind the span", NULL, END, 4, "not this allocator's" },
};

/* All that a mistake could have changed. */
static struct {
	struct buddy buddy;
	struct page page[2 * MAX_ORDER_FRAMES];
} before;

static void
remember(void)
{
	before.buddy = buddy;
	memcpy(before.page, pfn_to_page(FIRST), sizeof(before.page));
}

static void
check_unchanged(const char *what)
{
	if (buddy.lock.serving != buddy.lock.next)
		host_fail(__FILE__, __LINE__, "%s: the lock is still held", what);
	before.buddy.lock = buddy.lock;
	if (memcmp(&before.buddy, &buddy, sizeof(buddy)) != 0)
		host_fail(__FILE__, __LINE__, "%s: struct buddy changed", what);
	if (memcmp(before.page, pfn_to_page(FIRST), sizeof(before.page)) != 0)
		host_fail(__FILE__, __LINE__, "%s: pages changed", what);
}

static pfn_t
frame_of(const struct mistake *mistake)
{
	return (mistake->page ? page_to_pfn(*mistake->page) : 0) + mistake->offset;
}

static void
do_free(void *arg)
{
	const struct mistake *mistake = arg;

	/* By integers: the frame may be one that no page pointer can legally reach. */
	buddy_free(&buddy,
		   (struct page *)((uintptr_t)memmap + frame_of(mistake) * sizeof(struct page)),
		   mistake->order);
}

static void
do_free_range(void *arg)
{
	const struct mistake *mistake = arg;

	buddy_free_range(&buddy, frame_of(mistake), frame_of(mistake) + mistake->order);
}

static void
expect_panic(void (*fn)(void *), const struct mistake *mistake)
{
	char frame[32];

	remember();
	if (host_try(fn, (void *)mistake, 1000)) {
		host_fail(__FILE__, __LINE__, "%s: not noticed", mistake->what);
		return;
	}
	if (!host_contains(host_message, mistake->message))
		host_fail(__FILE__, __LINE__, "%s: expected \"%s\" in \"%s\"", mistake->what,
			  mistake->message, host_message);
	/* A block in the middle of a range is named itself, so look only at whole blocks. */
	snprintf(frame, sizeof(frame), "frame %#lx", frame_of(mistake));
	if (fn == do_free && !host_contains(host_message, frame))
		host_fail(__FILE__, __LINE__, "%s: expected \"%s\" in \"%s\"", mistake->what, frame,
			  host_message);
	check_unchanged(mistake->what);
}

static void
frees(void)
{
	set_up();
	for (unsigned i = 0; i < ARRAY_SIZE(free_mistakes) && !host_failed(); i++)
		expect_panic(do_free, &free_mistakes[i]);
	if (!host_failed())
		CHECK_EQ(buddy_check(&buddy), 0);
}

static void
range_frees(void)
{
	set_up();
	for (unsigned i = 0; i < ARRAY_SIZE(range_mistakes) && !host_failed(); i++)
		expect_panic(do_free_range, &range_mistakes[i]);
	if (!host_failed())
		CHECK_EQ(buddy_check(&buddy), 0);
}

/* What is right must still be accepted. */
static void
right_frees(void)
{
	set_up();
	buddy_free(&buddy, block3, 3);
	buddy_free(&buddy, block0, 0);
	buddy_free_range(&buddy, page_to_pfn(run5), page_to_pfn(run5) + 4);
	buddy_free_range(&buddy, page_to_pfn(run5) + 4, page_to_pfn(run5) + 5);
	CHECK_EQ(buddy.frames_free, buddy.frames_managed);
	CHECK_EQ(buddy_check(&buddy), 0);
}

static void
alloc_too_large(void *arg)
{
	(void)arg;
	if (buddy_alloc(&buddy, MAX_ORDER + 1))
		host_note("a block of order %d", MAX_ORDER + 1);
}

static void
add_twice(void *arg)
{
	(void)arg;
	buddy_add_range(&buddy, END - 16, END - 12);
}

static void
add_outside(void *arg)
{
	(void)arg;
	buddy_add_range(&buddy, END - 8, END + 8);
}

static void
init_in_the_middle(void *arg)
{
	(void)arg;
	buddy_init(&buddy, "test", FIRST + 8, END);
}

/* Assertions of the other entry points. */
static void
other_calls(void)
{
	static const struct {
		void (*fn)(void *arg);
		const char *message;
	} calls[] = {
		{ alloc_too_large, "order" },
		{ add_twice, "PAGE_RESERVED" },
		{ add_outside, "end" },
		{ init_in_the_middle, "MAX_ORDER_FRAMES" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(calls); i++) {
		set_up();
		CHECK(!host_try(calls[i].fn, NULL, 1000));
		CHECK_NAMES(host_message, "assertion failed");
		CHECK_NAMES(host_message, calls[i].message);
	}
}

HOST_SUITE(buddy_misuse, { "frees", frees }, { "range_frees", range_frees },
	   { "right_frees", right_frees }, { "other_calls", other_calls });
