/* SPDX-License-Identifier: MIT */
/*
 * The page cache without programs: pages appear once and stay, shortages leave no trace, files
 * are cut and grow as they should, and every frame comes back.
 */
#include <errno.h>
#include <ktest.h>
#include <page_allocator.h>
#include <page_cache.h>
#include <string.h>
#include <thread.h>
#include <user_page.h>

static void
no_reference(struct memory_object *object)
{
	(void)object;
}

static const struct memory_object_ops cache_ops = {
	.get_page = page_cache_get_page,
	.peek_pages = page_cache_peek_pages,
	.get = no_reference,
	.put = no_reference,
};

static struct page_cache cache;

static char *
bytes(struct page *page)
{
	return page_to_virt(page);
}

/* Write one byte in page index, behind the end or not. */
static void
put_byte(struct ktest *t, uint64_t index, char byte)
{
	struct page *page;

	assert_eq(t, page_cache_grab(&cache, index, &page), 0);
	*bytes(page) = byte;
	page_put(page);
	page_cache_extend(&cache, (index << PAGE_SHIFT) + 1);
}

KTEST(space_cache, sparse_pages)
{
	static const uint64_t index[] = {
		0, 1, 63, 64, 4095, 4096, 1ul << 18, 1ul << 30, 1ul << 51
	};
	size_t total = page_cache_total();
	struct page *page;

	page_cache_init(&cache, &cache_ops, NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(index); i++)
		put_byte(t, index[ARRAY_SIZE(index) - 1 - i], (char)(i + 1));
	expect_eq(t, page_cache_nr_pages(&cache), ARRAY_SIZE(index));
	expect_eq(t, page_cache_total(), total + ARRAY_SIZE(index));
	for (unsigned i = 0; i < ARRAY_SIZE(index); i++) {
		assert_eq(t, page_cache_get_page(&cache.object, index[i], false, &page), 0);
		expect_eq(t, *bytes(page), (char)(ARRAY_SIZE(index) - i));
		expect_eq(t, page_references(page), 2);
		page_put(page);
	}
	expect_eq(t, page_cache_get_page(&cache.object, (1ul << 51) + 1, false, &page), -ENXIO);
	expect_eq(t, page_tree_check(&cache.pages), 0);
	page_cache_drop(&cache);
	expect_eq(t, page_cache_total(), total);
}

/* A low tree becomes the highest at once: nodes above its root, and a whole path beside it. */
KTEST(space_cache, far_page_after_a_near_one)
{
	struct page *page;

	page_cache_init(&cache, &cache_ops, NULL);
	put_byte(t, 0, 'a');
	put_byte(t, (1ul << 51) - 1, 'b');
	expect_eq(t, page_cache_nr_pages(&cache), 2);
	assert_eq(t, page_cache_get_page(&cache.object, 0, false, &page), 0);
	expect_eq(t, *bytes(page), 'a');
	page_put(page);
	expect_eq(t, page_tree_check(&cache.pages), 0);
	page_cache_drop(&cache);
}

KTEST(space_cache, cut_and_grow)
{
	struct page *page, *peeked[4];

	page_cache_init(&cache, &cache_ops, NULL);
	for (uint64_t i = 0; i < 100; i++)
		put_byte(t, i, 'a');
	assert_eq(t, page_cache_get_page(&cache.object, 9, false, &page), 0);
	memset(bytes(page), 'b', PAGE_SIZE);
	page_cache_truncate(&cache, 9 * PAGE_SIZE + 10);
	expect_eq(t, page_cache_nr_pages(&cache), 10);
	expect_eq(t, bytes(page)[9], 'b');
	expect_eq(t, bytes(page)[10], 0);
	expect_eq(t, bytes(page)[PAGE_SIZE - 1], 0);
	bytes(page)[20] = 'c'; /* through a mapping, behind the end */
	page_put(page);
	page_cache_truncate(&cache, 12 * PAGE_SIZE);
	assert_eq(t, page_cache_get_page(&cache.object, 9, false, &page), 0);
	expect_eq(t, bytes(page)[20], 0);
	page_put(page);
	page_cache_peek_pages(&cache.object, 8, 4, peeked);
	expect_true(t, peeked[0] && peeked[1] && !peeked[2] && !peeked[3]);
	page_put(peeked[0]);
	page_put(peeked[1]);
	assert_eq(t, page_cache_get_page(&cache.object, 11, true, &page), 0);
	expect_eq(t, bytes(page)[0], 0);
	page_put(page);
	page_cache_punch(&cache, 0, 5);
	expect_eq(t, page_cache_nr_pages(&cache), 6);
	expect_eq(t, page_cache_check(&cache), 0);
	page_cache_drop(&cache);
}

/* Every allocation fails now and then: the caller is told, and may try again. */
KTEST(space_cache, shortage, .budget_ms = 10000)
{
	unsigned failed = 0;
	size_t before;

	page_cache_init(&cache, &cache_ops, NULL);
	put_byte(t, 0, 'x');
	page_cache_drop(&cache);
	before = page_allocator_nr_free();
	page_allocator_set_faults(3, t->seed);
	for (uint64_t i = 0; i < 600; i++) {
		struct page *page;
		int error = page_cache_grab(&cache, i * 97, &page);

		if (error == 0) {
			page_put(page);
			continue;
		}
		expect_eq(t, error, -ENOMEM);
		failed++;
	}
	page_allocator_set_faults(0, 0);
	expect_lt(t, 0, failed);
	expect_eq(t, page_cache_nr_pages(&cache), 600 - failed);
	expect_eq(t, page_tree_check(&cache.pages), 0);
	page_cache_drop(&cache);
	expect_le(t, before, page_allocator_nr_free() + 64); /* slabs that are kept */
}

static unsigned nr_reads; /* pages; atomic */

static int
read_slowly(struct page_cache *file, uint64_t index, struct page **pages, unsigned nr)
{
	(void)file;
	for (unsigned i = 0; i < nr; i++) {
		if (index + i == 7)
			return -EIO;
		memset(page_to_virt(pages[i]), (int)(index + i), PAGE_SIZE);
	}
	__atomic_add_fetch(&nr_reads, nr, __ATOMIC_RELAXED);
	thread_yield();
	return 0;
}

static const struct page_store slow_store = { .read = read_slowly };

static void
read_all(void *arg)
{
	struct ktest *t = arg;

	for (uint64_t i = 0; i < 64; i++) {
		struct page *page = NULL;
		int result = page_cache_get_page(&cache.object, i, false, &page);

		if (i == 7) {
			expect_eq(t, result, -EIO);
			continue;
		}
		assert_true(t, result >= 0);
		expect_eq(t, bytes(page)[PAGE_SIZE - 1], i);
		page_put(page);
	}
}

/* Several threads read the same file: each page is read once, whoever waits for it. */
KTEST(space_cache, read_once, .budget_ms = 10000)
{
	struct thread *thread[4];

	page_cache_init(&cache, &cache_ops, &slow_store);
	page_cache_extend(&cache, 64 * PAGE_SIZE);
	nr_reads = 0;
	for (unsigned i = 0; i < 4; i++) {
		thread[i] = thread_create("reader", read_all, t, CPU_ANY);
		assert_true(t, thread[i] != NULL);
	}
	for (unsigned i = 0; i < 4; i++)
		thread_join(thread[i]);
	expect_eq(t, nr_reads, 63);
	expect_eq(t, page_cache_nr_pages(&cache), 63);
	expect_eq(t, page_cache_check(&cache), 0);
	page_cache_drop(&cache);
}
