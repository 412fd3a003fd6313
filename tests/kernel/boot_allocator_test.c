/* SPDX-License-Identifier: MIT */
/*
 * The boot allocator, on maps of memory that is never touched. By the time tests run the
 * kernel has no more use for it, so it may start again on any map.
 */
#include <boot_allocator.h>
#include <ktest.h>

#define PAGE(n) ((uint64_t)(n) << PAGE_SHIFT)

static struct memory_map map;

static struct {
	uint64_t first[64], end[64];
	unsigned nr;
} given;

static void
collect(uint64_t first, uint64_t end)
{
	given.first[given.nr] = first;
	given.end[given.nr++] = end;
}

static void
begin(void)
{
	map.nr = 0;
	memory_map_add(&map, 0, PAGE(0x9f), MEMORY_USABLE);
	memory_map_add(&map, PAGE(0x9f), PAGE(0x61), MEMORY_RESERVED);
	memory_map_add(&map, PAGE(0x100), PAGE(0x700), MEMORY_USABLE);
	memory_map_add(&map, PAGE(0x100000), PAGE(0x100), MEMORY_USABLE);
	boot_alloc_init(&map);
}

KTEST(boot_allocator, from_the_top)
{
	begin();
	expect_eq(t, boot_alloc_raw(PAGE(1), PAGE_SIZE, 0), PAGE(0x1000ff));
	expect_eq(t, boot_alloc_raw(1, PAGE_SIZE, 0), PAGE(0x1000fe));
	expect_eq(t, boot_alloc_used(), PAGE(2));
	expect_eq(t, boot_alloc_raw(PAGE(1), PAGE_SIZE, PAGE(0x100000)), PAGE(0x7ff));
	expect_eq(t, boot_alloc_raw(PAGE(1), PAGE_SIZE, PAGE(0x100)), PAGE(0x9e));
	expect_eq(t, boot_alloc_raw(PAGE(0x10), PAGE(0x40), 0), PAGE(0x1000c0));
	expect_eq(t, boot_alloc_raw(PAGE(1), PAGE_SIZE, 0), PAGE(0x1000fd));
}

KTEST(boot_allocator, none_left)
{
	begin();
	expect_eq(t, boot_alloc_raw(PAGE(0x701), PAGE_SIZE, 0), 0);
	expect_eq(t, boot_alloc_raw(~0ul - PAGE_SIZE, PAGE_SIZE, 0), 0);
	expect_eq(t, boot_alloc_raw(PAGE(0x700), PAGE_SIZE, 0), PAGE(0x100));
	expect_eq(t, boot_alloc_raw(PAGE(0x101), PAGE_SIZE, 0), 0);
	/* The first frame is never given out: its address means failure. */
	expect_eq(t, boot_alloc_raw(PAGE(0x9e), PAGE_SIZE, PAGE(0x100)), PAGE(1));
	expect_eq(t, boot_alloc_raw(PAGE(1), PAGE_SIZE, PAGE(0x100)), 0);
}

KTEST(boot_allocator, rest_is_given_once)
{
	uint64_t taken = 0, frames = 0;
	static struct {
		uint64_t first, end;
	} piece[40];

	begin();
	for (unsigned i = 0; i < ARRAY_SIZE(piece); i++) {
		uint64_t size = 1 + prng_below(&t->prng, 20);
		uint64_t align = 1ul << prng_below(&t->prng, 5);
		uint64_t limit = prng_below(&t->prng, 2) ? PAGE(0x800) : 0;
		paddr_t start = boot_alloc_raw(PAGE(size), PAGE(align), limit);

		assert_ne(t, start, 0);
		expect_eq(t, start & (PAGE(align) - 1), 0);
		piece[i].first = start >> PAGE_SHIFT;
		piece[i].end = piece[i].first + size;
		taken += size;
		for (unsigned j = 0; j < i; j++)
			expect_true(t, piece[j].end <= piece[i].first ||
					   piece[i].end <= piece[j].first);
	}
	given.nr = 0;
	boot_alloc_finish(collect);
	for (unsigned i = 0; i < given.nr; i++) {
		frames += given.end[i] - given.first[i];
		for (unsigned j = 0; j < ARRAY_SIZE(piece); j++)
			expect_true(t, piece[j].end <= given.first[i] ||
					   given.end[i] <= piece[j].first);
	}
	expect_eq(t, frames + taken, 0x9f + 0x700 + 0x100);
}
