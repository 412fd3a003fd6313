/* SPDX-License-Identifier: MIT */
/*
 * Large objects on a made-up machine: random calls against a model that keeps what every
 * living object should hold, shortages at every point, misuse, and damage to the books.
 */
#include "host.h"

#include "../../mm/large_object_internal.h"

#include <arch.h>
#include <large_object.h>
#include <page_allocator.h>
#include <string.h>

#define NR_OBJECTS 40

static size_t frames_at_start;

static void
start_machine(uint64_t size)
{
	frames_at_start = host_start_machine(size);
}

static struct large_stats
stats_now(void)
{
	struct large_stats stats;

	memset(&stats, 0xff, sizeof(stats));
	large_get_stats(&stats);
	return stats;
}

/* After a flush no object, frame or page table is left. */
static void
expect_nothing_left(void)
{
	struct large_stats stats;

	(void)large_flush();
	CHECK_EQ(large_check(), 0);
	stats = stats_now();
	CHECK_EQ(stats.nr_objects, 0);
	CHECK_EQ(stats.bytes, 0);
	CHECK_EQ(stats.frames, 0);
	CHECK_EQ(stats.waiting_objects, 0);
	CHECK_EQ(stats.waiting_frames, 0);
	CHECK_EQ(stats.guard_pages, 0);
	CHECK_EQ(stats.descriptor_frames, 0);
	CHECK_EQ(stats.table_frames, 0);
	CHECK_EQ(page_allocator_nr_free(), frames_at_start);
	CHECK_EQ(mm_check(), 0);
}

/* ---- Random calls --------------------------------------------------------------- */

struct expected {
	uint8_t *address; /* NULL: none */
	size_t size;
	uint8_t mark;
};

static struct expected object[NR_OBJECTS];

static size_t
pages_of(size_t size)
{
	return (size + PAGE_SIZE - 1) / PAGE_SIZE;
}

static bool
holds(const struct expected *one, uint8_t value)
{
	for (size_t i = 0; i < pages_of(one->size) * PAGE_SIZE; i += 509) {
		if (one->address[i] != value)
			return false;
	}
	return one->address[pages_of(one->size) * PAGE_SIZE - 1] == value;
}

static void
make_one(struct prng *prng, struct expected *one)
{
	bool zero = prng_below(prng, 2);

	one->size = 1 + prng_below(prng, prng_below(prng, 8) ? 5 * PAGE_SIZE : 70 * PAGE_SIZE);
	one->address = large_alloc(one->size, zero ? GFP_ZERO : GFP_KERNEL);
	if (!one->address)
		return;
	CHECK(IS_ALIGNED((uintptr_t)one->address, PAGE_SIZE));
	if (zero)
		CHECK(holds(one, 0));
	one->mark = (uint8_t)(1 + prng_below(prng, 255));
	memset(one->address, one->mark, pages_of(one->size) * PAGE_SIZE);
}

static void
end_one(struct expected *one)
{
	CHECK(holds(one, one->mark));
	CHECK_EQ(large_size(one->address), one->size);
	large_free(one->address);
	one->address = NULL;
}

static void
compare_with_model(void)
{
	size_t nr = 0, bytes = 0, frames = 0;
	struct large_stats stats = stats_now();

	for (size_t i = 0; i < NR_OBJECTS; i++) {
		const struct expected *one = &object[i];

		if (!one->address)
			continue;
		nr++;
		bytes += one->size;
		frames += pages_of(one->size);
		CHECK(large_contains(one->address));
		CHECK(large_contains(one->address + one->size - 1));
		CHECK(!large_contains(one->address - 1));
		CHECK(!large_contains(one->address + pages_of(one->size) * PAGE_SIZE));
	}
	CHECK_EQ(stats.nr_objects, nr);
	CHECK_EQ(stats.bytes, bytes);
	CHECK_EQ(stats.frames, frames);
	CHECK_EQ(stats.guard_pages, 2 * (nr + stats.waiting_objects));
	CHECK_EQ(frames_at_start - page_allocator_nr_free(),
		 frames + stats.waiting_frames + stats.descriptor_frames + stats.table_frames);
	CHECK_EQ(large_check(), 0);
}

static void
random_calls(struct prng *prng, unsigned nr_calls)
{
	for (unsigned i = 0; i < nr_calls && !host_failed(); i++) {
		struct expected *one = &object[prng_below(prng, NR_OBJECTS)];

		if (one->address)
			end_one(one);
		else
			make_one(prng, one);
		if (prng_below(prng, 20) == 0)
			(void)large_flush();
		if (i % 8 == 0)
			compare_with_model();
	}
	for (size_t i = 0; i < NR_OBJECTS; i++) {
		if (object[i].address)
			end_one(&object[i]);
	}
}

static void
against_a_model(void)
{
	struct prng prng;

	prng_seed(&prng, host_seed);
	start_machine(MiB(16));
	random_calls(&prng, 1000);
	expect_nothing_left();
}

/* The same with so little memory, and so many failures, that many requests get nothing. */
static void
with_failures(void)
{
	struct prng prng;

	prng_seed(&prng, host_seed);
	for (unsigned round = 0; round < 12 && !host_failed(); round++) {
		start_machine(KiB(256));
		page_allocator_set_faults(2 + prng_below(&prng, 20), prng_next(&prng));
		random_calls(&prng, 100);
		page_allocator_set_faults(0, 0);
		expect_nothing_left();
	}
}

/* ---- Shortage at every point ------------------------------------------------------- */

static struct page *hoard;
static size_t kept; /* frames that nobody gets who may fail: zones keep them */

/* Leave exactly nr frames that can be had, no two of them neighbours. Returns whether there were as
 * many. */
static void
leave_free(size_t nr)
{
	struct page *page;

	hoard = NULL;
	while ((page = alloc_pages(GFP_KERNEL, 0))) {
		page->owner = (uintptr_t)hoard;
		hoard = page;
	}
	kept = page_allocator_nr_free();
	for (struct page **link = &hoard; nr > 0 && *link; nr--) {
		page = *link;
		*link = (struct page *)page->owner;
		if (*link)
			link = (struct page **)&(*link)->owner;
		__free_pages(page, 0);
	}
	CHECK_EQ(nr, 0);
}

static void
free_hoard(void)
{
	while (hoard) {
		struct page *page = hoard;

		hoard = (struct page *)page->owner;
		__free_pages(page, 0);
	}
}

/* An object of 21 pages needs a descriptor, 21 frames and a page table: 23. */
static void
shortage_at_every_point(void)
{
	for (size_t nr = 0; nr <= 24 && !host_failed(); nr++) {
		uint64_t failed;
		void *address;

		start_machine(KiB(512));
		failed = stats_now().nr_failed;
		leave_free(nr);
		address = large_alloc(21 * PAGE_SIZE - 7, GFP_KERNEL);
		CHECK_EQ(address != NULL, nr >= 23);
		CHECK_EQ(stats_now().nr_failed - failed, nr < 23);
		CHECK_EQ(large_check(), 0);
		if (address) {
			CHECK_EQ(page_allocator_nr_free() - kept, nr - 23);
			memset(address, 0x5a, 21 * PAGE_SIZE);
			large_free(address);
		} else {
			CHECK_EQ(page_allocator_nr_free() - kept, nr);
			CHECK_EQ(stats_now().guard_pages, 0);
		}
		(void)large_flush();
		free_hoard();
		expect_nothing_left();
	}
}

/* What waits for a flush is flushed when frames are short, at each of the three places. */
static void
shortage_flushes(void)
{
	for (size_t nr = 0; nr < 12 && !host_failed(); nr++) {
		void *first, *second;

		start_machine(KiB(512));
		first = large_alloc(12 * PAGE_SIZE, GFP_KERNEL);
		leave_free(nr);
		large_free(first);
		CHECK_EQ(page_allocator_nr_free() - kept, nr);
		second = large_alloc(12 * PAGE_SIZE, GFP_KERNEL);
		CHECK(second != NULL);
		if (second)
			large_free(second);
		(void)large_flush();
		free_hoard();
		expect_nothing_left();
	}
}

/* Objects of 700 pages need two tables, and the second cannot be had. */
static void
shortage_of_the_second_table(void)
{
	unsigned long flushes;

	start_machine(MiB(8));
	leave_free(1 + 700 + 1);
	flushes = host_vm_flushes;
	CHECK(large_alloc(700 * PAGE_SIZE, GFP_KERNEL) == NULL);
	CHECK_EQ(host_vm_flushes, flushes + 1); /* some pages were mapped for a while */
	CHECK_EQ(page_allocator_nr_free() - kept, 702);
	free_hoard();
	expect_nothing_left();
}

/* It is found among what waits for a flush. */
static void
shortage_of_a_table_flushes(void)
{
	void *first, *second;

	start_machine(MiB(8));
	first = large_alloc(5 * PAGE_SIZE, GFP_KERNEL);
	leave_free(700);
	large_free(first);
	second = large_alloc(700 * PAGE_SIZE, GFP_KERNEL);
	CHECK(second != NULL);
	if (second)
		large_free(second);
	(void)large_flush();
	free_hoard();
	expect_nothing_left();
}

static void
impossible_sizes(void)
{
	start_machine(MiB(1));
	CHECK(large_alloc(LARGE_SIZE, GFP_KERNEL) == NULL);
	CHECK(large_alloc(LARGE_SIZE - PAGE_SIZE, GFP_KERNEL) == NULL);
	CHECK(large_alloc(SIZE_MAX, GFP_KERNEL) == NULL);
	CHECK(large_alloc(0, GFP_KERNEL) == NULL);
	CHECK(large_alloc(LARGE_SIZE - 2 * PAGE_SIZE, GFP_KERNEL) == NULL); /* of frames */
	expect_nothing_left();
}

/* Objects of one page until addresses run out. A freed one's are had again, by a flush. */
static void
shortage_of_addresses(void)
{
	void **last = NULL, **object;
	size_t nr = 0;

	start_machine(MiB(128));
	while ((object = large_alloc(PAGE_SIZE, GFP_KERNEL))) {
		*object = last;
		last = object;
		nr++;
	}
	CHECK_EQ(nr, LARGE_SIZE / (3 * PAGE_SIZE));
	CHECK(page_allocator_nr_free() > MAX_ORDER_FRAMES);
	object = last;
	last = *object;
	large_free(object);
	CHECK(large_alloc(PAGE_SIZE, GFP_KERNEL) == object);
	*object = last;
	last = object;
	while ((object = last)) {
		last = *object;
		large_free(object);
	}
	expect_nothing_left();
}

/* ---- Lazy flushes ------------------------------------------------------------------ */

static void
freed_waits_for_the_flush(void)
{
	uint8_t *first, *second, *third;
	unsigned long flushes;
	size_t before;

	start_machine(MiB(4));
	first = large_alloc(3 * PAGE_SIZE, GFP_KERNEL);
	flushes = host_vm_flushes;
	before = page_allocator_nr_free();
	large_free(first);
	CHECK_EQ(host_vm_flushes, flushes);
	CHECK_EQ(page_allocator_nr_free(), before);
	CHECK_EQ(stats_now().waiting_objects, 1);
	CHECK_EQ(stats_now().waiting_frames, 3);
	second = large_alloc(3 * PAGE_SIZE, GFP_KERNEL);
	CHECK(second != first);
	CHECK_EQ(large_flush(), 3);
	CHECK_EQ(host_vm_flushes, flushes + 1);
	CHECK_EQ(page_allocator_nr_free(), before);
	CHECK_EQ(large_flush(), 0);
	CHECK_EQ(host_vm_flushes, flushes + 1);
	third = large_alloc(3 * PAGE_SIZE, GFP_KERNEL);
	CHECK(third == first);
	large_free(second);
	large_free(third);
	expect_nothing_left();
}

/* A flush for 256 objects or 32 MiB, none for less. */
static void
batches(void)
{
	unsigned long flushes;

	start_machine(MiB(80));
	flushes = host_vm_flushes;
	for (unsigned i = 0; i < 2 * 256; i++) {
		large_free(large_alloc(1, GFP_KERNEL));
		CHECK_EQ(host_vm_flushes - flushes, (i + 1) / 256);
	}
	for (unsigned i = 0; i < 8; i++) {
		large_free(large_alloc(MiB(8), GFP_KERNEL));
		CHECK_EQ(host_vm_flushes - flushes, 2 + (i + 1) / 4);
	}
	expect_nothing_left();
}

/* Where interrupts are off nobody can be waited for: the flush is left to the next one. */
static void
free_with_interrupts_off(void)
{
	void *address[257];
	unsigned long flushes;
	irqflags_t flags;

	start_machine(MiB(4));
	for (unsigned i = 0; i < 257; i++)
		address[i] = large_alloc(1, GFP_KERNEL);
	flushes = host_vm_flushes;
	flags = arch_irq_save();
	for (unsigned i = 0; i < 256; i++)
		large_free(address[i]);
	arch_irq_restore(flags);
	CHECK_EQ(host_vm_flushes, flushes);
	large_free(address[256]);
	CHECK_EQ(host_vm_flushes, flushes + 1);
	CHECK_EQ(stats_now().waiting_objects, 0);
	expect_nothing_left();
}

/* ---- Cost --------------------------------------------------------------------------- */

/* Tree steps that one more object costs beside n others: all ways down and up. */
static uint64_t
steps_of_a_pair(size_t n)
{
	static void *kept[10000];
	uint64_t before;

	start_machine(MiB(64));
	for (size_t i = 0; i < n; i++)
		kept[i] = large_alloc(1, GFP_KERNEL);
	before = stats_now().tree_steps;
	for (size_t i = 0; i < n; i += n / 10) { /* one in the middle goes, and comes back */
		large_free(kept[i]);
		(void)large_flush();
		kept[i] = large_alloc(1, GFP_KERNEL);
	}
	before = stats_now().tree_steps - before;
	CHECK_EQ(large_check(), 0);
	for (size_t i = 0; i < n; i++)
		large_free(kept[i]);
	expect_nothing_left();
	return before / 10;
}

/*
 * Five ways of the tree's height in a pair: gap, overlap, insertion and the way up again,
 * find and erase with its way up. 1.45 log2(10) is 5, of 1,000 it is 15, of 10,000 it is 20.
 */
static void
steps_grow_with_the_logarithm(void)
{
	uint64_t ten = steps_of_a_pair(10), thousand = steps_of_a_pair(1000);
	uint64_t ten_thousand = steps_of_a_pair(10000);

	host_note("tree steps of a pair beside 10, 1,000, 10,000 objects: %lu, %lu, %lu", ten,
		  thousand, ten_thousand);
	CHECK(ten >= 6 && ten <= 7 * 5);
	CHECK(thousand <= 7 * 15);
	CHECK(ten_thousand <= 7 * 20);
	CHECK(ten_thousand < 2 * thousand);
}

/* ---- Misuse ----------------------------------------------------------------------- */

static void
call_free(void *address)
{
	large_free(address);
}

static void
call_size(void *address)
{
	(void)large_size(address);
}

static void
expect_refused(const void *address, const char *message)
{
	struct large_stats before = stats_now(), after;

	CHECK(!host_try(call_size, (void *)address, 1000));
	CHECK_NAMES(host_message, message);
	CHECK(!host_try(call_free, (void *)address, 1000));
	CHECK_NAMES(host_message, message);
	after = stats_now();
	before.tree_steps = after.tree_steps;
	CHECK(memcmp(&before, &after, sizeof(before)) == 0);
	CHECK_EQ(large_check(), 0);
}

/* The frame behind an address, as the page tables have it. */
static paddr_t
frame_at(const void *address)
{
	irqflags_t flags = arch_irq_save();
	paddr_t frame = arch_vm_lookup((uintptr_t)address);

	arch_irq_restore(flags);
	return frame;
}

/* The books of the object that begins there. */
static struct large_object *
descriptor_of(const void *first)
{
	const struct page *page = pfn_to_page(frame_at(first) >> PAGE_SHIFT);

	return (struct large_object *)ALIGN_DOWN(page->owner, sizeof(struct large_object));
}

static void
bad_pointers_panic(void)
{
	uint8_t *first, *second;
	int local;

	start_machine(MiB(1));
	first = large_alloc(2 * PAGE_SIZE + 5, GFP_KERNEL);
	second = large_alloc(PAGE_SIZE, GFP_KERNEL);
	expect_refused(first + 1, "large: interior pointer");
	expect_refused(first + PAGE_SIZE, "byte 4096 of object");
	expect_refused(first + 3 * PAGE_SIZE - 1, "large: interior pointer");
	expect_refused(first + 3 * PAGE_SIZE, "in a guard page of object");
	expect_refused(first - 1, "in a guard page of object");
	expect_refused(&local, "large: foreign pointer");
	expect_refused(NULL, "large: foreign pointer");
	expect_refused((void *)(LARGE_BASE - 1), "not in the area");
	expect_refused((void *)LARGE_END, "not in the area");
	expect_refused((void *)(LARGE_END - PAGE_SIZE), "is in no object");
	large_free(second);
	expect_refused(second, "large: double free");
	expect_refused(second + 8, "large: double free");
	(void)large_flush();
	expect_refused(second, "large: foreign pointer or double free");
	descriptor_of(first)->state = LARGE_MAKING; /* nobody was given it yet */
	CHECK(!host_try(call_free, first, 1000));
	CHECK_NAMES(host_message, "is in no object");
	descriptor_of(first)->state = LARGE_LIVE;
	large_free(first);
	expect_nothing_left();
}

#ifdef IKOS_DEBUG
static void
with_irqs_off(void *flush)
{
	(void)arch_irq_save();
	if (flush)
		(void)large_flush();
	else
		host_note("got %p", large_alloc(1, GFP_KERNEL));
}

static void
irqs_off_panics(void)
{
	start_machine(MiB(1));
	CHECK(!host_try(with_irqs_off, NULL, 1000));
	CHECK_NAMES(host_message, "large_alloc: assertion failed: arch_irqs_enabled()");
	CHECK(!host_try(with_irqs_off, &frames_at_start, 1000));
	CHECK_NAMES(host_message, "large_flush: assertion failed: arch_irqs_enabled()");
	expect_nothing_left();
}
#else
static void
irqs_off_panics(void)
{
}
#endif

static void
read_byte(void *address)
{
	(void)*(volatile uint8_t *)address;
}

static void
expect_fault(void *address)
{
	char expected[64];

	snprintf(expected, sizeof(expected), "page fault: address %p", address);
	CHECK(!host_try(read_byte, address, 1000));
	CHECK_NAMES(host_message, expected);
}

static void
guards_fault(void)
{
	uint8_t *address[3];

	start_machine(MiB(1));
	for (unsigned i = 0; i < 3; i++) {
		address[i] = large_alloc(i * PAGE_SIZE + 1, GFP_KERNEL);
		CHECK(address[i] != NULL);
	}
	for (unsigned i = 0; i < 3; i++) {
		read_byte(address[i]);
		read_byte(address[i] + (i + 1) * PAGE_SIZE - 1);
		expect_fault(address[i] - 1);
		expect_fault(address[i] + (i + 1) * PAGE_SIZE);
	}
	for (unsigned i = 0; i < 3; i++)
		large_free(address[i]);
	expect_fault(address[0]);
	expect_fault(address[2] + 3 * PAGE_SIZE - 1);
	expect_nothing_left();
}

/* ---- The checker -------------------------------------------------------------------- */

static void
expect_found(const char *what)
{
	unsigned errors;

	host_capture_begin();
	errors = large_check();
	host_capture_end();
	if (errors == 0)
		host_fail(__FILE__, __LINE__, "%s: not noticed", what);
	CHECK_NAMES(host_output, "check: ");
}

static void
remap(uint8_t *address, paddr_t frame)
{
	(void)arch_vm_unmap((uintptr_t)address);
	CHECK_EQ(arch_vm_map((uintptr_t)address, frame), 0);
}

static void
damage_is_found(void)
{
	uint8_t *first, *second;
	paddr_t one, other;
	struct page *page;

	start_machine(MiB(1));
	first = large_alloc(11 * PAGE_SIZE, GFP_KERNEL);
	second = large_alloc(11 * PAGE_SIZE, GFP_KERNEL);
	one = frame_at(first);
	other = frame_at(second);
	CHECK_EQ(large_check(), 0);

	remap(first, other);
	expect_found("a page of another object");
	remap(first, frame_at(first + PAGE_SIZE));
	expect_found("the same frame twice");
	remap(first, one);
	(void)arch_vm_unmap((uintptr_t)first + 5 * PAGE_SIZE);
	expect_found("a page that is not mapped");
	CHECK_EQ(arch_vm_map((uintptr_t)first + 5 * PAGE_SIZE, one + 5 * PAGE_SIZE), 0);
	CHECK_EQ(arch_vm_map((uintptr_t)first - PAGE_SIZE, one), 0);
	expect_found("a guard page that is mapped");
	(void)arch_vm_unmap((uintptr_t)first - PAGE_SIZE);
	CHECK_EQ(arch_vm_map((uintptr_t)first + 11 * PAGE_SIZE, one), 0);
	expect_found("a guard page that is mapped");
	(void)arch_vm_unmap((uintptr_t)first + 11 * PAGE_SIZE);

	page = pfn_to_page(one >> PAGE_SHIFT);
	page->owner++;
	expect_found("a block's order");
	page->owner += 127;
	expect_found("a block's owner");
	page->owner -= 128;
	page->state = PAGE_FREE;
	expect_found("a block that is free");
	page->state = PAGE_ALLOCATED;
	CHECK_EQ(large_check(), 0);
	large_free(first);
	large_free(second);
	CHECK_EQ(arch_vm_map((uintptr_t)first, one), 0);
	expect_found("a freed page that is mapped");
	(void)arch_vm_unmap((uintptr_t)first);
	expect_nothing_left();
}

/* A living object of 11 pages, so of blocks of 8, 2 and 1, and a freed one. */
static void
damaged_books(void)
{
	static const struct {
		size_t *counter;
		const char *report;
	} counters[] = {
		{ &large_counters.nr_objects, "large: nr_objects says 2" },
		{ &large_counters.bytes, "large: bytes says 45057" },
		{ &large_counters.frames, "large: frames says 12" },
		{ &large_counters.waiting_objects, "large: waiting_objects says 2" },
		{ &large_counters.waiting_frames, "large: waiting_frames says 2" },
		{ &large_counters.guard_pages, "large: guard_pages says 5" },
	};
	struct large_object *object;
	uint8_t *first;

	start_machine(MiB(1));
	first = large_alloc(11 * PAGE_SIZE, GFP_KERNEL);
	large_free(large_alloc(1, GFP_KERNEL));
	object = descriptor_of(first);
	for (unsigned i = 0; i < ARRAY_SIZE(counters); i++)
		CHECK_FINDS(*counters[i].counter, *counters[i].counter + 1, mm_check(),
			    counters[i].report);
	CHECK_FINDS(large_counters.nr_free, 0, large_check(), "nr_alloc - nr_free says");
	CHECK_FINDS(large_counters.descriptor_frames, 0, large_check(),
		    "0 descriptor frames for 2");
	CHECK_FINDS(object->state, 99, large_check(), "is in state 99");
	CHECK_FINDS(object->size, 1, large_check(), "1 bytes, 11 frames, a range of 0xd000");
	CHECK_FINDS(object->range.end, 0, large_check(), "check: tree");
	CHECK_EQ(large_check(), 0);
	large_free(first);
	expect_nothing_left();
}

/* Its list of frames is wrong, and where that is noticed: so many pages behind its beginning. */
static void
expect_wrong_list(const uint8_t *first, size_t pages)
{
	char report[64];

	expect_found("a list of frames");
	snprintf(report, sizeof(report), "frames is wrong at %p\n",
		 (void *)(first + pages * PAGE_SIZE));
	CHECK_NAMES(host_output, report);
}

static void
damaged_lists(void)
{
	/* An object that says it has so many pages, with blocks of 8, 2 and 1. */
	static const struct {
		size_t says, noticed;
	} sizes[] = { { 12, 11 }, { 9, 8 }, { 8, 8 } };
	struct large_object *object;
	struct list_head *second;
	struct page *page;
	uint8_t *first;

	start_machine(MiB(1));
	first = large_alloc(11 * PAGE_SIZE, GFP_KERNEL);
	object = descriptor_of(first);
	page = list_first_entry(&object->blocks, struct page, link);
	second = page->link.next;
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		object->nr_frames = sizes[i].says;
		object->size = sizes[i].says * PAGE_SIZE;
		expect_wrong_list(first, sizes[i].noticed);
		CHECK_NAMES(host_output, "frames, a range of 0xd000");
	}
	object->nr_frames = 11;
	object->size = 11 * PAGE_SIZE;
	second->prev = NULL;
	expect_wrong_list(first, 8);
	second->prev = &page->link;
	CHECK_EQ(large_check(), 0);
	large_free(first);

	/* Blocks of 8, 8, 1, the first of which says that it has 16. */
	first = large_alloc(17 * PAGE_SIZE, GFP_KERNEL);
	page = list_first_entry(&descriptor_of(first)->blocks, struct page, link);
	page->owner++;
	expect_wrong_list(first, 0);
	page->owner--;
	large_free(first);
	expect_nothing_left();
}

/* ---- kmap --------------------------------------------------------------------------- */

static void
windows(void)
{
	struct page *page;
	uint64_t *window = (uint64_t *)(KMAP_BASE + 7 * PAGE_SIZE), *direct;
	size_t before;

	start_machine(MiB(1));
	page = alloc_pages(GFP_ZERO, 0);
	direct = page_to_virt(page);
	before = page_allocator_nr_free();
	CHECK_EQ(arch_vm_map((uintptr_t)window, page_to_pfn(page) << PAGE_SHIFT), 0);
	CHECK_EQ(page_allocator_nr_free(), before);
	window[3] = 77;
	CHECK_EQ(direct[3], 77);
	CHECK_EQ(frame_at(window), page_to_pfn(page) << PAGE_SHIFT);
	CHECK_EQ(arch_vm_unmap((uintptr_t)window), page_to_pfn(page) << PAGE_SHIFT);
	arch_vm_flush((uintptr_t)window, (uintptr_t)window + PAGE_SIZE);
	CHECK_EQ(frame_at(window), ARCH_VM_NONE);
	expect_fault(window);
	CHECK_EQ(arch_vm_tables(), 0);
	__free_pages(page, 0);
}

HOST_SUITE(large, { "against_a_model", against_a_model }, { "with_failures", with_failures },
	   { "shortage_at_every_point", shortage_at_every_point },
	   { "shortage_flushes", shortage_flushes },
	   { "shortage_of_the_second_table", shortage_of_the_second_table },
	   { "shortage_of_a_table_flushes", shortage_of_a_table_flushes },
	   { "impossible_sizes", impossible_sizes },
	   { "shortage_of_addresses", shortage_of_addresses },
	   { "freed_waits_for_the_flush", freed_waits_for_the_flush }, { "batches", batches },
	   { "free_with_interrupts_off", free_with_interrupts_off },
	   { "steps_grow_with_the_logarithm", steps_grow_with_the_logarithm },
	   { "bad_pointers_panic", bad_pointers_panic }, { "guards_fault", guards_fault },
	   { "damage_is_found", damage_is_found }, { "irqs_off_panics", irqs_off_panics },
	   { "damaged_books", damaged_books }, { "damaged_lists", damaged_lists },
	   { "windows", windows });
